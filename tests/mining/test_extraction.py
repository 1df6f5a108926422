"""Days that an export lost and hours that it shifted are suspected; honest logs are not."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from process_mining.eventlog import EventLog, LogMeta
from process_mining.quality import inspect
from process_mining.sources import ReadOptions, open_log

DAY = 86_400_000_000
HOUR = DAY // 24
START = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000


def desk(
    days: int, *, seed: int = 1, arrive_until: int | None = None, lasts: float = 3.0
) -> pa.Table:
    """Tickets on working days, each with some events over the days that follow."""
    random = np.random.default_rng(seed)
    rows: list[tuple[str, str, int]] = []
    for day in range(arrive_until or days):
        if day % 7 >= 5:
            continue
        for n in range(random.poisson(40)):
            at = START + day * DAY + int(random.integers(8 * HOUR, 17 * HOUR))
            case = f"{day:03d}-{n:03d}"
            rows.append((case, "New", at))
            for step in ("Work", "Resolved", "Closed"):
                at += int(random.exponential(lasts * DAY / 3))
                rows.append((case, step, at))
    ids, words, times = zip(*rows, strict=True)
    table = pa.table({"case_id": ids, "activity": words, "at": pa.array(times, pa.int64())})
    return table.filter(pa.array(np.array(times) < START + days * DAY))


def build(table: pa.Table, **facts: object) -> EventLog:
    meta = LogMeta(source="test", timezone=str(facts.get("zone", "UTC")))
    return EventLog.build(table, meta=meta, cases=facts.get("cases"))  # type: ignore[arg-type]


def lost(log: EventLog) -> list[tuple[str, int]]:
    return [(d.subject, d.count) for d in inspect(log).find("QG153")]


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_log_has_no_collapse(seed: int) -> None:
    assert lost(build(desk(150, seed=seed))) == []


def test_a_selection_that_comes_to_its_end_is_no_collapse() -> None:
    """Tickets opened until day 70, followed to their end: arrivals stop, the rest is process."""
    assert lost(build(desk(150, arrive_until=70, lasts=8.0))) == []


def test_days_that_were_lost_are_found_with_the_cases_that_span_them() -> None:
    table = desk(150, lasts=30.0)
    at = np.array(table["at"])
    first, end = START + 91 * DAY, START + 100 * DAY  # a Monday, nine days
    table = table.filter(pa.array((at < first) | (at >= end)))
    log = build(table)
    assert lost(log) == [("2024-04-01 to 2024-04-09", 9)]
    (defect,) = inspect(log).find("QG153")
    times = log.events.group_by("case_id").aggregate([("at", "min"), ("at", "max")])
    month = 28 * DAY
    rows = sorted(log.events.to_pylist(), key=lambda row: (row["case_id"], row["seq"]))
    opens = {row["case_id"]: row["activity"] for row in reversed(rows)}
    closes = {row["case_id"]: row["activity"] for row in rows}
    concerned = set()
    for row in times.to_pylist():
        case, low, high = row["case_id"], row["at_min"], row["at_max"]
        spans = low < first and high >= end
        broken_off = low < first and first - month <= high < end and closes[case] != "Closed"
        begun_after = end <= low < end + month and opens[case] != "New"
        if spans or broken_off or begun_after:
            concerned.add(case)
    assert defect.cases is not None
    assert set(defect.cases.to_pylist()) == concerned != set()
    assert defect.makes_unknown == ("start", "middle", "end")


def test_an_extraction_that_breaks_off_is_found_at_the_end() -> None:
    table = desk(150)
    at = np.array(table["at"])
    drip = np.arange(len(at)) % 200 == 0
    log = build(table.filter(pa.array((at < START + 119 * DAY) | drip)))
    ((subject, _),) = lost(log)
    assert subject.startswith("2024-04-29 to")


def test_opened_that_differs_by_whole_hours_is_a_zone() -> None:
    table = desk(20)
    log = build(table)
    first = log.events.group_by("case_id").aggregate([("at", "min")])
    opened = first["at_min"].to_numpy().copy()
    right = pa.table({"case_id": first["case_id"], "opened": pa.array(opened)})
    assert inspect(build(table, cases=right)).find("QG150") == ()
    opened[:5] += 2 * HOUR
    wrong = pa.table({"case_id": first["case_id"], "opened": pa.array(opened)})
    (defect,) = inspect(build(table, cases=wrong)).find("QG150")
    assert (defect.count, defect.makes_unknown) == (5, ("time",))
    rather = np.array(first["at_min"]) + np.random.default_rng(3).integers(1, HOUR, len(opened))
    work = pa.table({"case_id": first["case_id"], "opened": pa.array(rather)})
    assert inspect(build(table, cases=work)).find("QG150") == ()


def office(zone: str, written_in: str) -> pa.Table:
    """An office that works 8 to 17 by its own clock, in spring; stamps written in a zone."""
    random = np.random.default_rng(5)
    rows = []
    for day in range(70):
        for n in range(40):
            minute = int(random.triangular(480, 560, 1020))
            wall = dt.datetime(2024, 3, 1) + dt.timedelta(days=day, minutes=minute)  # noqa: DTZ001
            moment = wall.replace(tzinfo=ZoneInfo(zone))
            stamp = moment.astimezone(ZoneInfo(written_in)).replace(tzinfo=ZoneInfo(zone))
            rows.append((f"{day}-{n}", "New", int(stamp.timestamp()) * 1_000_000))
    ids, words, times = zip(*rows, strict=True)
    return pa.table({"case_id": ids, "activity": words, "at": pa.array(times, pa.int64())})


def test_a_profile_that_jumps_with_the_clocks_is_another_zone() -> None:
    right = build(office("Europe/Berlin", "Europe/Berlin"), zone="Europe/Berlin")
    assert inspect(right).find("QG150") == ()
    wrong = build(office("Europe/Berlin", "UTC"), zone="Europe/Berlin")
    (defect,) = inspect(wrong).find("QG150")
    assert (defect.count, defect.unit) == (1, "clock changes")
    assert defect.examples == ("2024-03-31T01Z",)


HEADER = "case_id,activity,at\n"


def table_of(cases: int) -> list[str]:
    return [
        f"T{case:03d},{word},2024-01-{1 + case % 28:02d}T{10 + hour}:{case % 60:02d}:11Z\n"
        for case in range(cases)
        for hour, word in enumerate(("New", "Work", "Closed"))
    ]


def test_a_table_that_stops_inside_its_last_case_is_suspected(tmp_path) -> None:  # noqa: ANN001
    path = tmp_path / "log.csv"
    path.write_text(HEADER + "".join(table_of(40)))
    assert inspect(open_log([path])).find("QG152") == ()
    path.write_text(HEADER + "".join(table_of(40)[:-1]))
    (defect,) = inspect(open_log([path], ReadOptions())).find("QG152")
    assert (defect.examples, defect.makes_unknown) == (("T039",), ("end",))
    path.write_text(HEADER + "".join(sorted(table_of(40)[:-1], key=lambda row: row[-22:])))
    assert inspect(open_log([path])).find("QG152") == ()
