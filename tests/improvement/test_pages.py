"""Do the pages load nothing, run nothing, fit a phone, and show hostile text as mere text?"""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from improvement.command_line import HOSTILE_TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from improvement.conftest import Audited, Demo

PAGES = ("demo", "demo-audit", "demo-cycle", "demo-sla", "demo-customer", "uci", "bpi13", "hostile")
PHONE, DESKTOP = 390, 1280
LOADING = {"srcset", "poster", "data", "action", "formaction", "background", "ping"}
FORBIDDEN = {
    *("script", "iframe", "frame", "object", "embed", "applet", "link", "base", "form", "input"),
    *(
        "button",
        "audio",
        "video",
        "source",
        "portal",
        "foreignobject",
        "animate",
        "set",
        "template",
    ),
}
POLICY = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

# Says how wide the view and its content are, and which elements stick out of it.
MEASURE = """<script>addEventListener("load", () => {
  const clipped = e => { for (let p = e.parentElement; p; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
  const out = [...document.querySelectorAll("body *")].filter(e =>
    e.getBoundingClientRect().right > innerWidth + 1 && !clipped(e)).map(e => e.tagName);
  parent.postMessage([innerWidth, document.documentElement.scrollWidth,
    document.body.scrollWidth, ...out.slice(0, 5)].join(" "), "*");
})</script>"""
FRAME = """<!doctype html><title>nothing came</title>
<script>addEventListener("message", said => { document.title = said.data })</script>
<iframe src="page.html" width="WIDTH" height="844" style="border:0"></iframe>"""


class Seen(HTMLParser):
    """What a browser would make of a page: its tags, its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.meta: dict[str, str] = {}
        self.ids: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = {key.lower(): value or "" for key, value in attrs}
        self.attributes += [(tag, key, value) for key, value in named.items()]
        self.ids.add(named.get("id", ""))
        if tag == "meta" and "http-equiv" in named:
            self.meta[named["http-equiv"].lower()] = named["content"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


def path_of(name: str, request: pytest.FixtureRequest) -> Path:
    if name.startswith("demo"):
        demo: Demo = request.getfixturevalue("demo")
        if name == "demo-sla":
            return demo.folder / "sla" / "sla.html"
        if name == "demo-customer":
            return min((demo.folder / "sla" / "customer").iterdir())
        folder = demo.folder / name.removeprefix("demo").removeprefix("-")
    else:
        audited: Audited = request.getfixturevalue(name)
        folder = audited.out
    return folder / "report.html"


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Path:
    return path_of(request.param, request)


@pytest.fixture
def seen(page: Path) -> Seen:
    return Seen(page.read_text("utf-8"))


def offences(seen: Seen) -> list[str]:
    """What on a page could load or run something."""
    found = [f"<{tag}>" for tag in seen.tags if tag in FORBIDDEN]
    for tag, key, value in seen.attributes:
        local = value.startswith("data:image/" if tag == "img" else "#")
        outside = re.match(r"\s*([a-z][a-z0-9+.-]*:|//|\\)", value, re.IGNORECASE)
        if (
            key.startswith("on")
            or key in LOADING
            or (key == "src" and not local)
            or (key == "style" and "url(" in value)
            or (key.endswith("href") and outside)
            or (key == "http-equiv" and value.lower() == "refresh")
        ):
            found.append(f"{tag} {key}={value[:50]}")
    return found


def test_the_check_of_offences_can_fail() -> None:
    for bad in (
        "<script>1</script>",
        "<img src='http://x/y'>",
        "<p onclick=x>",
        "<a href='JavaScript:x'>",
        "<a href='//x'>",
        "<svg><image xlink:href='https://x'/></svg>",
        "<p style='background:url(x)'>",
        "<meta http-equiv=refresh content='0;url=x'>",
        "<link rel=stylesheet href=x>",
    ):
        assert offences(Seen(bad)), bad
    assert (
        offences(Seen("<a href='#x'>&lt;script&gt;</a><img src='data:image/png;base64,AA'>")) == []
    )


def test_a_page_loads_and_runs_nothing(page: Path, seen: Seen) -> None:
    assert offences(seen) == []
    styles = re.findall(r"(?s)<style[^>]*>(.*?)</style>", page.read_text("utf-8"))
    assert [word for style in styles for word in ("@import", "url(", "http") if word in style] == []


def test_a_page_forbids_loads_and_scripts_by_policy(seen: Seen) -> None:
    rules = seen.meta["content-security-policy"].split(";")
    policy = {name: rest for name, _, rest in (rule.strip().partition(" ") for rule in rules)}
    assert {name: policy.get(name) for name in POLICY} == POLICY
    assert "script-src" not in policy
    assert policy.keys() <= {*POLICY, "style-src", "img-src"}
    assert policy.get("img-src", "data:") == "data:"


def test_links_lead_somewhere(page: Path, seen: Seen) -> None:
    for tag, key, value in seen.attributes:
        if tag == "a" and key == "href":
            place, _, anchor = value.partition("#")
            assert (page.parent / place).exists(), value
            assert place or anchor in seen.ids, value


def test_a_page_has_one_heading_and_pictures_have_words(seen: Seen) -> None:
    assert seen.tags.count("h1") == 1
    told = ("aria-label", "aria-hidden")  # hidden: a sign beside the word that it stands for
    named = [key for tag, key, _ in seen.attributes if tag == "svg" and key.startswith(told)]
    assert len(named) == seen.tags.count("svg")


# --- hostile text


def test_hostile_text_is_shown_as_text(hostile: Audited) -> None:
    assert hostile.ran.code == 0
    seen = Seen((hostile.out / "report.html").read_text("utf-8"))
    activities = [text for text in HOSTILE_TEXTS[:11] if text.isprintable()]
    assert [text for text in activities if text not in seen.text] == []


def test_hostile_text_makes_no_tag(hostile: Audited) -> None:
    text = (hostile.out / "report.html").read_text("utf-8")
    for raw in ("<script", "<img", "<iframe", "</style></svg>", "{{", "{% raw"):
        assert text.count(raw) <= ("{" in raw) * text.count("{{ 7 * 7 }}")
    assert "49" not in re.findall(r"\D49\{%", text)


def test_no_control_character_reaches_the_terminal(hostile: Audited) -> None:
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", hostile.ran.out) == []


def test_a_line_end_in_ticket_text_begins_no_line_at_the_terminal(hostile: Audited) -> None:
    assert [line for line in hostile.ran.out.splitlines() if line.startswith("line, ")] == []


def test_ten_thousand_characters_do_not_fill_the_terminal(hostile: Audited) -> None:
    assert max(map(len, hostile.ran.out.splitlines())) < 2_000


# --- width, in a browser


def widths(page: Path, width: int, folder: Path, measure: str = MEASURE) -> list[str]:
    """View, document and body width, and what sticks out, of a page in a frame of this width.

    Or what another script measures there.
    """
    html = page.read_text("utf-8")
    # The measuring script needs the policy out of the way; nothing else is changed.
    html, policies = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', measure, html)
    assert policies == 1
    (folder / "page.html").write_text(html, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000"]
    address = (folder / "frame.html").as_uri()
    done = subprocess.run(
        [*command, "--dump-dom", address], check=True, capture_output=True, text=True, timeout=60
    )
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None
    return found[1].split()


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: widths are not measured")
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_page_is_no_wider_than_the_screen(page: Path, width: int, tmp_path: Path) -> None:
    view, document, body, *sticking_out = widths(page, width, tmp_path)
    assert int(view) == width
    assert max(int(document), int(body)) <= width
    assert sticking_out == []


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: widths are not measured")
def test_the_check_of_widths_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src">'
    page.write_text(f"<!doctype html>{policy}<p style='width:900px'>wide", encoding="utf-8")
    view, document, *_ = widths(page, PHONE, tmp_path)
    assert (int(view), int(document) >= 900) == (PHONE, True)
