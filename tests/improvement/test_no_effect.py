"""A desk on which nothing changes shows no effect, whatever the metric."""

from __future__ import annotations

import datetime as dt
import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from csi.stages import Loop
from csi.statistics import Outcome
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, MIDDLE, LAST = dt.date(2025, 1, 6), dt.date(2025, 2, 24), dt.date(2025, 4, 14)
CYCLE = """
log = ["events.ndjson"]
report_date = {last}
[baseline]
start = {first}
end = {middle}
[current]
start = {middle}
end = {last}
[improvement]
title = "Nothing"
opportunity = "None"
hypothesis = "Nothing changes"
kpi = "{kpi}"
minimum_effect = 0.1
owner = "Nobody"
started = {middle}
"""


def working_days(first: dt.date) -> Iterator[dt.date]:
    day = first
    while True:
        if day.weekday() < 5:
            yield day
        day += dt.timedelta(days=1)


def ticket(name: str, day: dt.date, *, slow: bool) -> Iterator[dict[str, Any]]:
    """Registered at nine; solved in an hour, or after six working days of ten hours: too late."""
    days = working_days(day)
    solved = [next(days) for _ in range(7)][-1] if slow else day
    start = dt.datetime.combine(day, dt.time(9), dt.UTC)
    end = dt.datetime.combine(solved, dt.time(10), dt.UTC)
    hour = dt.timedelta(hours=1)
    steps = [("Register", start), ("Classify", start), ("Assign", start), ("Diagnose", start)]
    steps += [("Resolve", end), ("Close", end + hour)]
    for seq, (step, at) in enumerate(steps):
        yield {
            "case_id": name,
            "practice": "incident",
            "activity": step,
            "at": at.isoformat(),
            "seq": seq,
            "actor": "one" if step != "Close" else "another",
            "team": "desk",
            "attributes": {},
        }


def desk(folder: Path, kpi: str) -> Path:
    days = takewhile(lambda day: day < LAST, working_days(FIRST))
    rows = [
        event
        for day in days
        for i in range(6)
        for event in ticket(f"{day}-{i}", day, slow=i % 2 == 0)
        if str(event["at"]) < LAST.isoformat()
    ]
    lines = [json.dumps(row) for row in rows]
    (folder / "events.ndjson").write_text("\n".join([*lines, ""]), encoding="utf-8")
    tickets = ["case_id,priority", *(f"{case},P4" for case in sorted({r["case_id"] for r in rows}))]
    (folder / "tickets.csv").write_text("\n".join([*tickets, ""]), encoding="utf-8")
    path = folder / "cycle.toml"
    text = CYCLE.format(first=FIRST, middle=MIDDLE, last=LAST, kpi=kpi)
    path.write_text(text.replace('"events.ndjson"', '"events.ndjson", "tickets.csv"'), "utf-8")
    return path


def test_nothing_changed_and_nothing_is_shown(tmp_path: Path) -> None:
    path = desk(tmp_path, "KPI01")
    named = 'kpi = "KPI01"\nalso = ["KPI03", "KPI08", "KPI09"]'
    path.write_text(path.read_text("utf-8").replace('kpi = "KPI01"', named), "utf-8")
    found = Loop.open(path, tmp_path / "out").evaluate()
    (answer,) = found.answers
    compared = [answer.judged.primary, *(one.comparison for one in answer.judged.also)]
    assert len(compared) == 4
    for one in compared:
        assert one.baseline.n == one.current.n
        assert one.baseline.value == one.current.value
        assert one.verdict in {Outcome.NO_EFFECT, Outcome.INCONCLUSIVE}
    assert found.verdict in {Outcome.NO_EFFECT.value, Outcome.INCONCLUSIVE.value}


def test_a_practice_without_tickets_by_then_is_counted_as_none(tmp_path: Path) -> None:
    path = desk(tmp_path, "KPI01")
    at = dt.datetime.combine(MIDDLE, dt.time(9), dt.UTC) + dt.timedelta(days=1)
    steps = ["Register", "Classify", "Assign", "Investigate"]
    rows = [
        {"case_id": "PRB1", "practice": "problem", "activity": step, "at": at.isoformat(), "seq": i}
        for i, step in enumerate(steps)
    ]
    with (tmp_path / "events.ndjson").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    incidents = (tmp_path / "tickets.csv").read_text("utf-8").splitlines()
    named = [f"{line},incident" for line in incidents[1:]]
    tickets = ["case_id,priority,practice", *named, "PRB1,P3,problem", ""]
    (tmp_path / "tickets.csv").write_text("\n".join(tickets), encoding="utf-8")
    rules = Loop.open(path, tmp_path / "out").measure().rules
    counts = rules[rules["code"] == "PRB005"].set_index("window")
    verdicts = ["conforms", "violates", "pending", "vacuous", "unknown"]
    assert counts[verdicts].sum(axis=1).to_dict() == {"baseline": 0, "current": 1}


def test_a_log_that_ends_long_before_the_window_is_refused(tmp_path: Path) -> None:
    path = desk(tmp_path, "KPI01")
    path.write_text(path.read_text("utf-8").replace(str(LAST), "2025-06-01"), "utf-8")
    with pytest.raises(CodedError, match=r"^CY208 "):
        Loop.open(path, tmp_path / "out").measure()
