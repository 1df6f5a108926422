"""What an audit proposes for the improvement register, and where it shows what has piled up."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from improvement.command_line import event_line, in_process, write_lines

from csi.escalations import CASES_NAMED, FINDINGS_NAMED, TO_BE_SAID, draft_of
from csi.evidence import Scope
from csi.kpi import load_kpis
from csi.register import Improvement, Register
from csi.simulate import Request, simulate, write
from csi.simulate.tables import IN_CLUSTER
from csi.statistics import DecisionRule
from rules.catalogue import load_catalogue
from rules.escalation import ESCALATIONS_SCHEMA
from rules.escalation_file import Pattern, Proposal
from rules.opportunity import Opportunity
from rules.spec import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NET = "Net <script>alert(1)</script> {n}"
TICKETS = CASES_NAMED + 5
START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)


def desk() -> Iterator[str]:
    """One team of five resolves without diagnosing, too early to classify; one of four does too."""
    for i in range(TICKETS + 6):
        net = i < TICKETS
        team, people = (NET, 5) if net else ("Few", 4)
        steps = ("Register", "Assign", "Classify", "Resolve", "Close")
        for hour, step in enumerate(steps):
            at = (START + dt.timedelta(hours=20 * i + hour)).isoformat()
            who = f"{'Nora' if net else 'Frida'} {i % people}"
            more = {"actor": who, "team": team, "seq": hour}
            yield event_line(f"INC{i:04}", step, at, **more)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("desk")
    log = write_lines(folder / "log.ndjson", desk())
    ran = in_process("audit", log, "--out", folder / "out")
    (folder / "out" / "printed.txt").write_text(ran.out, "utf-8")
    return folder / "out"


@pytest.fixture(scope="module")
def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def proposed(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "opportunities.json").read_text("utf-8"))
    return found


def test_the_summary_tells_what_has_piled_up(summary: dict[str, Any]) -> None:
    rows = {(row["code"], *row["rules"]): row for row in summary["escalations"]}
    diagnosed = rows["ESC001", "INC002"]
    assert (diagnosed["subject_kind"], diagnosed["subject"]) == ("team", NET)
    assert (diagnosed["n"], diagnosed["unit"], diagnosed["window"]) == (TICKETS, "tickets", "28d")
    assert diagnosed["cases"] == [f"INC{i:04}" for i in range(CASES_NAMED)]
    assert diagnosed["cases_in_all"] == diagnosed["findings"] == TICKETS
    higher = next(row for row in summary["escalations"] if row["code"] == "ESC006")
    assert diagnosed["part_of"] == [higher["fingerprint"]]
    assert diagnosed["fingerprint"] in higher["parts"]
    assert (higher["unit"], higher["severity"]) == ("escalations", "high")
    assert {row["subject"] for row in summary["escalations"]} == {NET}  # not the team of four
    assert summary["not_escalated"]["of teams of fewer than 5 known people"] > 0


def test_the_table_holds_all_cases_and_findings(out: Path, summary: dict[str, Any]) -> None:
    table = pq.read_table(out / "escalations.parquet")
    assert table.schema == ESCALATIONS_SCHEMA
    rows = table.to_pylist()
    named = [(row["fingerprint"], row["n"], row["cases_in_all"]) for row in summary["escalations"]]
    assert [(row["fingerprint"], row["n"], len(row["cases"])) for row in rows] == named
    findings = pq.read_table(out / "findings.parquet")
    known = set(findings["fingerprint"].to_pylist())
    assert all(set(row["findings"]) <= known for row in rows)


def test_drafts_need_only_what_people_must_say(proposed: dict[str, Any], tmp_path: Path) -> None:
    register = Register.open(tmp_path / "register.db")
    said = {
        "decision_rule": DecisionRule(minimum_effect=0.1),
        "comparison_group": "the months before",
        "guardrails": (),
        "planned_start": "2025-06-01",
        "planned_evaluation": "2025-12-01",
        "kpi": "KPI08",
    }
    at = dt.datetime(2025, 5, 1, tzinfo=dt.UTC)
    assert proposed["opportunities"]
    for one in proposed["opportunities"]:
        draft = one["draft"]
        assert set(draft) == set(Improvement.__dataclass_fields__)
        assert sorted(name for name, value in draft.items() if value is None) == one["to_be_said"]
        whole = draft | {name: said[name] for name in one["to_be_said"]}
        Scope.of(whole["scope"])
        whole["source_findings"] = tuple(whole["source_findings"])
        assert whole["kpi"] in load_kpis()
        register.add(Improvement(**whole), at=at, actor="Owner", key=one["fingerprint"])
    assert len(register.list()) == len(proposed["opportunities"])


def test_a_draft_says_what_was_seen_and_by_whom_it_is_owned(proposed: dict[str, Any]) -> None:
    by_title = {one["draft"]["title"]: one for one in proposed["opportunities"]}
    (one,) = (one for title, one in by_title.items() if "nobody had diagnosed it" in title)
    draft = one["draft"]
    assert draft["opportunity"] == (
        f"Team {NET}: {TICKETS} tickets violate INC002 in 28 days (2025-03-03 to 2025-03-23); "
        "5 are enough."
    )
    assert f"team {NET} depart from the agreed way (INC002)" in draft["hypothesis"]
    assert "fewer than 5 tickets in 28 days" in draft["hypothesis"]
    assert (draft["kpi"], draft["owner"]) == ("KPI08", "Incident manager")
    assert draft["scope"] == {"team": [NET]}
    assert len(draft["source_findings"]) == one["findings"] == TICKETS


def test_findings_beyond_a_number_are_counted_not_named() -> None:
    pattern = Pattern(
        code="ESC001",
        name="again",
        title="Again",
        kind="repeated",
        by="control",
        each="all",
        threshold=2,
        window_us=1,
        rules=frozenset(),
        at_least=Severity.LOW,
        of=(),
        severity=Severity.LOW,
        why="",
        known_problems=(),
        owner=None,
        opportunity=Proposal("x", "y", None, per="escalation"),
        path="",
    )
    many = tuple(f"{i:016}" for i in range(FINDINGS_NAMED + 1))
    one = Opportunity(pattern, "t", "s", "h", None, "Boss", {}, ("e",), many, "f")
    assert len(draft_of(one)["source_findings"]) == FINDINGS_NAMED
    assert {name for name, value in draft_of(one).items() if value is None} == {*TO_BE_SAID, "kpi"}


def test_the_page_shows_them_inert(out: Path) -> None:
    page = (out / "report.html").read_text("utf-8")
    assert '<h2 id="escalations">Escalations</h2>' in page
    assert '<a href="#escalations">' in page
    assert "Find the common cause of several offences in team Net &lt;script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "of teams of fewer than 5 known people" in page
    part = page[page.index('id="escalations"') : page.index('id="rules"')]
    assert "Made up of" in part
    assert "p-" not in part.replace("top-", "")  # nobody's pseudonym


def test_the_terminal_names_the_gravest(out: Path) -> None:
    printed = (out / "printed.txt").read_text("utf-8")
    lines = printed[printed.index("Escalations: ") :].split("\n")
    assert "proposed in opportunities.json" in lines[0]
    assert lines[2].split()[:2] == ["ESC006", "high"]


def test_neither_row_order_nor_the_run_changes_them(out: Path, tmp_path: Path) -> None:
    lines = list(desk())
    random.Random(3).shuffle(lines)  # noqa: S311 - no secrets
    log = write_lines(tmp_path / "log.ndjson", lines)
    in_process("audit", log, "--out", tmp_path / "out")
    for name in ("opportunities.json", "escalations.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (out / name).read_bytes()


def test_what_is_planted_in_the_desk_escalates_and_nothing_else(tmp_path: Path) -> None:
    """The cluster of one team, every major incident that taught nothing, every control."""
    write(found := simulate(Request(tickets=300)), tmp_path)
    files = [tmp_path / name for name in ("events.ndjson", "tickets.csv")]
    targets = ("--targets", tmp_path / "targets.toml")
    in_process("audit", *files, *targets, "--out", tmp_path / "out")
    planted: defaultdict[str, set[str]] = defaultdict(set)
    for row in found.truth.to_pylist():
        planted[row["rule"]].add(row["case_id"])
    cluster = {r["case_id"] for r in found.truth.to_pylist() if r["note"] == IN_CLUSTER}
    rows = pq.read_table(tmp_path / "out" / "escalations.parquet").to_pylist()
    by_code: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_code.setdefault(row["code"], []).append(row)
    assert set(by_code) == {"ESC001", "ESC004", "ESC005"}
    (one,) = by_code["ESC001"]
    assert (one["rules"], set(one["cases"])) == (["REQ002"], cluster)
    taught = {case for row in by_code["ESC004"] for case in row["cases"]}
    assert taught == planted["MAJ004"] | planted["MAJ005"]
    controls = {rule.code: rule.control for rule in load_catalogue().rules if rule.control}
    for row in by_code["ESC005"]:
        assert {controls[code] for code in row["rules"]} == {row["subject"]}
        assert all(any(case in planted[code] for code in row["rules"]) for case in row["cases"])
    several = {
        name
        for name in set(controls.values())
        if len(set().union(*(planted[c] for c, of in controls.items() if of == name))) > 1
    }
    assert {row["subject"] for row in by_code["ESC005"]} <= several


def test_a_log_without_offences_proposes_nothing(tmp_path: Path) -> None:
    steps = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")
    lines = [
        event_line("INC1", step, f"2025-03-03T0{i}:00:00Z", actor="A", team="B", seq=i)
        for i, step in enumerate(steps)
    ]
    ran = in_process("audit", write_lines(tmp_path / "l.ndjson", lines), "--out", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "opportunities.json").read_text("utf-8"))
    assert found["opportunities"] == []
    assert pq.read_table(tmp_path / "out" / "escalations.parquet").num_rows == 0
    assert "Escalations" not in ran.out
    assert 'id="escalations"' not in (tmp_path / "out" / "report.html").read_text("utf-8")
