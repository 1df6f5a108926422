"""Is every KPI of the catalogue what a plain count of the raw files comes to?

A whole desk is simulated, written, audited and measured; `oracles.kpi_counts` counts the same files
in loops. The targets file gets an OLA besides, so that no KPI is left out.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from oracles.kpi_counts import CONFORMS, KPIS, VIOLATES, Case, Counter, Desk, Event

from csi.audit import AuditRequest, audit
from csi.audit_evidence import evidence_of
from csi.kpi import load_kpis, measure
from csi.simulate import Request, simulate, write
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from csi.audit import Audit
    from csi.evidence import Evidence
    from csi.kpi import Kpi

CATALOGUE = load_kpis()
OLA = """
[[target]]
name = "second-line-resolve"
metric = "resolve"
case_type = "incident"
agreement = "OLA"
team = "Network Operations"
limit = "6h"
calendar = "24x7"
objective = 0.9
valid_from = 2000-01-01
"""


@dataclass(frozen=True)
class Window:
    """Microseconds UTC."""

    start_us: int
    end_us: int


def _day(year: int, month: int, day: int) -> int:
    return int(dt.datetime(year, month, day, tzinfo=dt.UTC).timestamp()) * 1_000_000


WINDOWS = {
    "all there is": Window(_day(2022, 1, 1), _day(2030, 1, 1)),
    "two months": Window(_day(2025, 2, 3), _day(2025, 4, 7)),
}


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def _cases(folder: Path) -> list[Case]:
    with (folder / "tickets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    events: dict[str, list[tuple[float, int, Event]]] = {row["case_id"]: [] for row in rows}
    for line in (folder / "events.ndjson").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        at = _seconds(one["at"])
        event = Event(at, one["activity"], one.get("team"))
        events[one["case_id"]].append((at, one["seq"], event))
    return [
        Case(
            case_id=row["case_id"],
            practice=row["practice"],
            kind=(
                f"{row['type']}_change"
                if row["type"]
                else "major_incident"
                if row["major_incident_state"] == "accepted"
                else row["practice"]
            ),
            opened=_seconds(row["opened"]),
            events=[event for _, _, event in sorted(events[row["case_id"]])],
        )
        for row in rows
    ]


def _desk(folder: Path, found: Audit) -> Desk:
    words = {Verdict.CONFORMS: CONFORMS, Verdict.VIOLATES: VIOLATES}
    verdicts: dict[str, dict[str, str]] = {}
    clocks: list[dict[str, object]] = []
    for part in found.practices:
        ids = part.translation.log.cases["case_id"].to_pylist()
        for i, rule in enumerate(part.result.rules):
            said = zip(ids, part.result.verdicts[i], strict=True)
            verdicts.setdefault(rule.code, {}).update(
                {one: words[verdict] for one, verdict in said if verdict in words}
            )
        for row in part.clocks.to_pylist():
            ran = (row["elapsed_us"] or 0) + (row["paused_us"] or 0)
            clocks.append({**row, "ran": ran, "limit": row["limit_us"]})
    with (folder / "surveys.csv").open(encoding="utf-8", newline="") as file:
        surveys: list[dict[str, object]] = list(csv.DictReader(file))
    return Desk(_cases(folder), verdicts, clocks, surveys, found.as_of_us / 1e6)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Desk]:
    folder = tmp_path_factory.mktemp("desk")
    write(simulate(Request(seed=11, tickets=600)), folder)
    targets = folder / "targets.toml"
    targets.write_text(targets.read_text(encoding="utf-8") + OLA, encoding="utf-8")
    found = audit(
        AuditRequest(
            logs=(folder / "events.ndjson", folder / "tickets.csv"),
            targets=targets,
            surveys=folder / "surveys.csv",
        )
    )
    return evidence_of(found), _desk(folder, found)


def test_every_kpi_has_an_oracle() -> None:
    assert sorted(CATALOGUE) == sorted(KPIS)
    assert len(CATALOGUE) >= 34


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("code", sorted(KPIS))
def test_a_kpi_is_what_a_plain_count_comes_to(
    both: tuple[Evidence, Desk], code: str, window: str
) -> None:
    evidence, desk = both
    span = WINDOWS[window]
    found = measure(CATALOGUE[code], evidence, span)
    counted = KPIS[code](Counter(desk, span.start_us / 1e6, span.end_us / 1e6))
    assert found.n == counted.n
    assert found.value == (
        counted.value if counted.value is None else pytest.approx(counted.value, rel=1e-9)
    )


def test_every_kpi_is_measured_on_a_desk_with_all_practices(both: tuple[Evidence, Desk]) -> None:
    found = [measure(one, both[0], WINDOWS["all there is"]) for one in CATALOGUE.values()]
    assert [(one.kpi, one.note) for one in found if one.value is None] == []
    assert [one.kpi for one in found if one.n < 1] == []


def test_every_interval_holds_its_value(both: tuple[Evidence, Desk]) -> None:
    for window in WINDOWS.values():
        for kpi in CATALOGUE.values():
            one = measure(kpi, both[0], window)
            if one.value is not None:
                assert one.low is None or one.low <= one.value, one
                assert one.high is None or one.value <= one.high, one
            assert one.method


def test_every_rule_that_a_kpi_reads_is_in_the_rulebook(both: tuple[Evidence, Desk]) -> None:
    named = {code: kpi.params.model_dump().get("rule") for code, kpi in CATALOGUE.items()}
    assert {rule for rule in named.values() if rule} <= set(both[0].verdicts)
    for code, rule in named.items():
        if rule:
            assert re.search(rf"rule {rule} (conforms|violated)", CATALOGUE[code].definition), code


def test_what_the_words_of_a_tool_cannot_say_is_untold(tmp_path: Path) -> None:
    """Zendesk has no word for cancelling, nor for the root cause of a problem."""
    log = tmp_path / "tickets.csv"
    rows = [
        f"T{i},{word},2025-03-0{day + 1}T0{i}:00:00Z"
        for i in range(8)
        for day, word in enumerate(("new", "open", "solved", "closed"))
    ]
    log.write_text("\n".join(["case_id,activity,at", *rows]) + "\n", encoding="utf-8")
    for practice, told, untold in (
        ("incident", {"KPI13": 24.0, "KPI01": 48.0, "KPI18": 24.0}, {"KPI21": "Cancel"}),
        ("problem", {"KPI27": 48.0}, {"KPI11": "root cause"}),
    ):
        evidence = evidence_of(audit(AuditRequest(logs=(log,), practice=practice)))
        found = {code: measure(one, evidence, WINDOWS["two months"]) for code, one in _of(practice)}
        assert {code: found[code].value for code in told} == told
        notes = {code: found[code].note for code in untold}
        assert notes == {code: f"the log does not tell '{word}'" for code, word in untold.items()}


def _of(case_type: str) -> list[tuple[str, Kpi]]:
    return [(code, kpi) for code, kpi in CATALOGUE.items() if kpi.case_type == case_type]
