"""The pages of service levels: what each says, what it keeps back, and the names of its files."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from improvement.command_line import event_line, hostile_log, in_process, write_lines
from improvement.test_pages import Seen, offences

from csi.report.level_words import aim_words, attained_words, calendar_words, open_time
from csi.service_levels.outputs import slugs
from process_mining.clock import ALWAYS, Calendar
from process_mining.schema import US_PER_HOUR, US_PER_MINUTE

if TYPE_CHECKING:
    from pathlib import Path

TARGET = """
[[target]]
name = "{name}"
metric = "resolve"
limit = "4h"
calendar = "24x7"
objective = 0.9
valid_from = 2000-01-01
"""


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a simulated desk of 200 tickets."""
    folder = tmp_path_factory.mktemp("levels")
    desk = folder / "desk"
    assert in_process("simulate", "--out", desk, "--tickets", 200).code == 0
    logs = (desk / "events.ndjson", desk / "tickets.csv")
    targets = ("--targets", desk / "targets.toml")
    ran = in_process("sla", *logs, *targets, "--out", folder / "out")
    assert (ran.code, ran.err) == (0, "")
    return folder / "out"


def case(name: str, hours: float, service: str, customer: str = "") -> tuple[list[str], str]:
    steps = (("Register", 0.0), ("Assign", 0.5), ("Diagnose", 0.6), ("Resolve", hours))
    lines = [
        event_line(name, step, f"2025-01-06T{int(at):02d}:{int(at % 1 * 60):02d}:00Z", seq=i)
        for i, (step, at) in enumerate((*steps, ("Close", 23.0)))
    ]
    return lines, f"{name},incident,P1,{service},{customer}"


def desk_of(folder: Path, cases: list[tuple[list[str], str]], *targets: str) -> tuple[object, ...]:
    lines = [line for some, _ in cases for line in some]
    write_lines(folder / "events.ndjson", lines)
    head = "case_id,practice,priority,service,customer"
    write_lines(folder / "tickets.csv", [head, *(row for _, row in cases)])
    (folder / "targets.toml").write_text("".join(targets), encoding="utf-8")
    logs = (folder / "events.ndjson", folder / "tickets.csv")
    return ("sla", *logs, "--targets", folder / "targets.toml", "--out", folder / "out")


def test_every_section_is_there_and_says_something(levels: Path) -> None:
    text = (levels / "sla.html").read_text("utf-8")
    headings = re.findall(r'<h2 id="([a-z-]+)">', text)
    links = re.findall(r"<nav.*?</nav>", text, re.DOTALL)[0]
    assert headings == re.findall(r'href="#([a-z-]+)"', links)
    for part in re.split(r'<h2 id="[a-z-]+">[^<]*</h2>', text)[1:]:
        assert len(re.sub(r"<[^>]*>", "", part).split()) > 5
    assert "None" not in re.sub(r"<[^>]*>", " ", text).split()
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).lower().split()


def test_the_page_says_the_figures_of_the_summary(levels: Path) -> None:
    found = json.loads((levels / "summary.json").read_text("utf-8"))
    text = Seen((levels / "sla.html").read_text("utf-8")).text
    for row in found["attainment"]:
        assert row["target"] in text
        assert attained_words(row) in text
    late = [row for row in found["attainment"] if row["verdict"] == "missed"]
    assert all(f"{row['target']} ({attained_words(row)}" in text for row in late)
    assert str(found["breaches"]["clocks"]) in text


def test_there_is_a_report_for_each_service_and_the_page_leads_to_it(levels: Path) -> None:
    text = (levels / "sla.html").read_text("utf-8")
    hrefs = re.findall(r'href="(customer/[^"]+)"', text)
    assert {path.name for path in (levels / "customer").iterdir()} == {h[9:] for h in hrefs}
    found = json.loads((levels / "summary.json").read_text("utf-8"))
    names = {row["service"] for row in found["by"]["service"]}
    titles = [
        unescape(re.findall(r'<p class="lead service">([^<]*)<', (levels / h).read_text())[0])
        for h in hrefs
    ]
    assert sorted(titles) == sorted(names)


def test_a_customer_reads_no_word_of_the_inside(levels: Path) -> None:
    for path in (levels / "customer").iterdir():
        text = Seen(path.read_text("utf-8")).text
        assert "incident-p" not in text
        assert not re.search(r"\b(OLA|SLA|UC|breach|clock runs|hand-over|queue)\b", text)


def test_a_customer_is_told_too_few_tickets_only_as_counts(tmp_path: Path) -> None:
    cases = [case(f"A{i}", 1 + 4 * (i == 0), "Mail") for i in range(4)]
    cases += [case(f"B{i}", 1 + 4 * (i == 0), "Web") for i in range(5)]
    ran = in_process(*desk_of(tmp_path, cases, TARGET.format(name="solve")))
    assert (ran.code, ran.err) == (0, "")
    few, enough = (
        Seen((tmp_path / "out" / "customer" / name).read_text("utf-8")).text
        for name in ("mail.html", "web.html")
    )
    assert "3 of 4" in few
    assert "too few to say" in few
    assert "75.0 %" not in few
    assert "4 of 5" in enough
    assert "80.0 %" in enough
    assert "A0" in few  # the ticket that was late is named
    assert "A0" not in enough
    page = Seen((tmp_path / "out" / "sla.html").read_text("utf-8")).text
    assert "Not shown: 1 with fewer than 5 clocks" in page


def test_no_customer_reads_the_name_of_another(tmp_path: Path) -> None:
    cases = [case(f"A{i}", 1, "Mail", "Acme") for i in range(5)]
    cases += [case(f"B{i}", 2, "Mail", "Globex") for i in range(5)]
    own = TARGET.format(name="theirs").replace("metric", 'customer = "Acme"\nmetric')
    ran = in_process(*desk_of(tmp_path, cases, TARGET.format(name="all"), own))
    assert (ran.code, ran.err) == (0, "")
    text = (tmp_path / "out" / "customer" / "mail.html").read_text("utf-8")
    assert "Acme" not in text
    assert "under an agreement of its own" in text


def test_reports_of_services_that_are_gone_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    words = desk_of(tmp_path, [case("A", 1, "Mail"), case("B", 1, "Web")], TARGET.format(name="x"))
    folder = tmp_path / "out" / "customer"
    assert in_process(*words).code == 0
    (folder / "mine.html").write_text("mine", encoding="utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["mail.html", "mine.html", "web.html"]
    assert in_process(*desk_of(tmp_path, [case("A", 1, "Mail")], TARGET.format(name="x"))).code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["mail.html", "mine.html"]
    strange = json.dumps({"written": {"customer/../../targets.toml": "", "customer/mine.html": ""}})
    (tmp_path / "out" / "provenance.json").write_text(strange, encoding="utf-8")
    assert in_process(*words).code == 0
    assert (tmp_path / "targets.toml").exists()


def test_a_folder_in_the_way_leaves_the_last_good_set(tmp_path: Path) -> None:
    words = desk_of(tmp_path, [case("A", 1, "Mail")], TARGET.format(name="x"))
    assert in_process(*words).code == 0
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    shutil.rmtree(out / "customer")
    (out / "customer").write_text("a file in the way", encoding="utf-8")
    ran = in_process(*desk_of(tmp_path, [case("B", 1, "Web")], TARGET.format(name="y")))
    assert (ran.code, "CY001" in ran.err) == (3, True)
    assert all(path.read_bytes() == old for path, old in before.items() if path.parent == out)


def test_text_that_attacks_is_text_on_every_page(tmp_path: Path) -> None:
    target = tmp_path / "targets.toml"
    target.write_text(TARGET.format(name="<script>alert(1)</script>"), encoding="utf-8")
    words = ("sla", *hostile_log(tmp_path), "--practice", "incident", "--clear-names")
    ran = in_process(*words, "--targets", target, "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    pages = [tmp_path / "out" / "sla.html", *(tmp_path / "out" / "customer").iterdir()]
    assert len(pages) == 20
    for path in pages:
        text = path.read_text("utf-8")
        assert offences(Seen(text)) == []
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
    assert max(map(len, ran.out.splitlines())) < 2_000


NAMES = st.lists(st.none() | st.text(max_size=90), max_size=12, unique=True)


@given(names=NAMES)
def test_names_of_files_are_safe_and_each_its_own(names: list[str | None]) -> None:
    found = slugs(names)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,120}", slug) for slug in found.values())
    assert slugs(names[::-1]) == found


def test_names_of_files_that_would_be_the_same() -> None:
    found = slugs(["Mail", "mail", "MAIL!", "Web", None, "no service named", "x" * 61, ".."])
    assert found["Web"] == "web"
    assert len({slug.rpartition("-")[0] for slug in map(found.get, ("Mail", "mail")) if slug}) == 1
    assert found[None] != found["no service named"]
    assert len(set(found.values())) == 8


def test_lengths_of_time_and_objectives_in_words() -> None:
    assert open_time(31 * US_PER_HOUR + 12 * US_PER_MINUTE) == "31 h 12 min"
    assert open_time(240 * US_PER_HOUR) == "240 h"
    assert open_time(5 * US_PER_MINUTE) == "5 min"
    assert open_time(-2 * US_PER_HOUR) == "\N{MINUS SIGN}2 h"
    assert [aim_words(x) for x in (0.95, 0.999, 0.9)] == ["95 %", "99.9 %", "90 %"]
    assert calendar_words(ALWAYS) == "Always open."
    week = (((480, 1080),),) * 4 + (((480, 720), (780, 960)),) + ((),) * 2
    shop = Calendar(name="shop", zone="Europe/Berlin", hours=week)
    said = "Mon to Thu 08:00-18:00, Fri 08:00-12:00 and 13:00-16:00 (Europe/Berlin)."
    assert calendar_words(shop) == said
