"""A desk on which nothing changes shows no effect, whatever the metric."""

from __future__ import annotations

import datetime as dt
import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from csi.stages import Loop
from csi.statistics import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, MIDDLE, LAST = dt.date(2025, 1, 6), dt.date(2025, 1, 20), dt.date(2025, 2, 3)
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
        for i in range(10)
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


@pytest.mark.parametrize("kpi", ["KPI01", "KPI03", "KPI08", "KPI09"])
def test_nothing_changed_and_nothing_is_shown(tmp_path: Path, kpi: str) -> None:
    found = Loop.open(desk(tmp_path, kpi), tmp_path / "out").evaluate()
    before, now = found.comparison.baseline, found.comparison.current
    assert before.n == now.n
    assert before.value == now.value
    assert found.verdict in {Outcome.NO_EFFECT, Outcome.INCONCLUSIVE}
