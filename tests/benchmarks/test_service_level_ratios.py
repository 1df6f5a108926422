"""How many times as fast are the clocks of a million tickets as one ticket after another in pandas?

All sides start from a log in memory and end with elapsed and paused time, the moment at which it
was due, and the outcome of two promises (respond, resolve) for every ticket: limits by priority in
open time (Monday to Friday 8 to 18, UTC, without the holidays of Bavaria), pauses while the
customer is awaited, some reopened. The others are given a part of the tickets, and what they took
is scaled up to all (they go ticket by ticket, so that it grows with their number). For the part all
results are equal, which is asserted.

- ours: one pass over columns of all tickets; cold, the integer columns of the log are worked out
  anew (any analysis of a log does that once), warm they are there.
- pandas: `groupby(...).apply` over the events of each ticket, their timestamps, and intervals that
  are gone through from day to day (as the package businesstimedelta does it); or as lean as can be:
  `groupby(...).agg(list)`, then `DataFrame.apply` over its rows, all in whole seconds, with
  `numpy.busday_count` and `busday_offset` on a calendar that is made once.
- pm4py: the lean way, with pm4py's `BusinessHours` and its calendar for every interval; it cannot
  add open time, so what is due is found by numpy here too.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import holidays
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from benchmarks.turns import seconds, side_by_side

from process_mining import schema as s
from process_mining.eventlog import POSITION, EventLog, LogMeta
from rules.service_level import clocks, load_service_levels
from rules.templates import Desk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    from benchmarks.conftest import Tell

pytestmark = pytest.mark.benchmark

N, PART, TURNS = 1_000_000, 5_000, 3
STEPS = ("Register", "Assign", "Diagnose", "Await customer", "Resolve", "Reopen", "Close")
WAITS, RESOLVES = STEPS.index("Await customer"), STEPS.index("Resolve")
COURSES = tuple(
    tuple(STEPS.index(step) for step in course)
    for course in (
        ("Register", "Assign", "Diagnose", "Resolve", "Close"),
        ("Register", "Assign", "Await customer", "Diagnose", "Resolve", "Close"),
        ("Register", "Assign", "Await customer", "Diagnose", "Await customer", "Resolve", "Close"),
        ("Register", "Assign", "Diagnose", "Resolve", "Reopen", "Diagnose", "Resolve", "Close"),
        ("Register", "Diagnose", "Await customer", "Diagnose"),
        ("Register",),
    )
)
SHARES = (0.45, 0.25, 0.1, 0.05, 0.1, 0.05)
BEGINS = int(dt.datetime(2022, 1, 3, tzinfo=dt.UTC).timestamp())
YEAR, DAY, HOUR = 365 * 86_400, 86_400, 3_600
AS_OF = BEGINS + YEAR + 60 * DAY
OPENS, CLOSES = 8 * HOUR, 18 * HOUR
LENGTH = CLOSES - OPENS
SATURDAY = 6
LIMITS = {  # open hours
    "respond": {"P1": 1, "P2": 2, "P3": 8, "P4": 10},
    "resolve": {"P1": 4, "P2": 10, "P3": 30, "P4": 60},
}
PRIORITIES = tuple(LIMITS["resolve"])
TARGET = """
[[target]]
name = "{priority} {metric}"
metric = "{metric}"
priority = "{priority}"
limit = "{hours}h"
calendar = "office"
pauses = ["Await customer"]
objective = 0.95
valid_from = 2000-01-01
"""
CALENDAR = """
[[calendar]]
name = "office"
zone = "UTC"
holidays = { country = "DE", subdivision = "BY", categories = ["public"] }
[calendar.hours]
monday = ["08:00-18:00"]
tuesday = ["08:00-18:00"]
wednesday = ["08:00-18:00"]
thursday = ["08:00-18:00"]
friday = ["08:00-18:00"]
"""
Outcome = tuple[Any, Any, Any, str]


# --- the tickets, in columns


@dataclass(frozen=True, eq=False)
class Tickets:
    """One entry an event (case, step, second), and one a case (priority)."""

    case: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    priority: npt.NDArray[np.int64]

    @property
    def size(self) -> str:
        return f"n = {len(self.priority):,} tickets, {len(self.case):,} events"

    def first(self, n: int) -> Tickets:
        few = self.case < n
        return Tickets(self.case[few], self.step[few], self.at[few], self.priority[:n])

    def desk(self, folder: Path) -> Desk:
        path = folder / "targets.toml"
        promised = (
            TARGET.format(priority=priority, metric=metric, hours=hours)
            for metric, limits in LIMITS.items()
            for priority, hours in limits.items()
        )
        path.write_text("".join([CALENDAR, *promised]), encoding="utf-8")
        ids = pa.array(np.char.mod("INC%07d", np.arange(len(self.priority))), pa.string())
        steps = pa.array(STEPS, pa.string())
        events = {
            s.CASE_ID: ids.take(pa.array(self.case)),
            s.ACTIVITY: steps.take(pa.array(self.step)),
            s.AT: pa.array(self.at * s.US_PER_SECOND),
            POSITION: pa.array(np.arange(len(self.case))),
        }
        cases = {
            s.CASE_ID: ids,
            s.PRACTICE: pa.repeat(pa.scalar("incident"), len(ids)),
            s.PRIORITY: pa.array(PRIORITIES).take(pa.array(self.priority)),
        }
        log = EventLog.build(pa.table(events), cases=pa.table(cases), meta=LogMeta("made"))
        complete = np.zeros(len(ids), bool)
        complete[self.case[self.step == STEPS.index("Close")]] = True
        levels = load_service_levels(path)
        return Desk(log, complete, AS_OF * s.US_PER_SECOND, levels)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the same as an analyst would hold it: one frame of events, one of tickets."""
        events = pd.DataFrame(
            {
                "case_id": self.case,
                "activity": np.array(STEPS, dtype=object)[self.step],
                "at": self.at,
            }
        )
        return events, pd.DataFrame({"priority": np.array(PRIORITIES, object)[self.priority]})


def made(n: int) -> Tickets:
    """Random tickets of six courses, over a year."""
    rng = np.random.default_rng(8)
    lengths = np.array([len(course) for course in COURSES])
    longest = lengths.max()
    padded = np.array([[*course, *[0] * (longest - len(course))] for course in COURSES])
    course = rng.choice(len(COURSES), n, p=SHARES)
    used = np.arange(longest) < lengths[course][:, None]
    gaps = rng.exponential(14 * HOUR, (n, longest)).astype(np.int64)
    gaps[:, 0] = rng.integers(BEGINS, BEGINS + YEAR, n)
    return Tickets(
        case=np.repeat(np.arange(n), lengths[course]),
        step=padded[course][used],
        at=np.cumsum(gaps, axis=1)[used],
        priority=rng.integers(0, len(PRIORITIES), n),
    )


# --- ticket by ticket


class Office(Protocol):
    """Open time between two moments, and the first moment by which so much has passed.

    Both are numbers of seconds, or those of datetime.
    """

    now: Any
    hour: Any

    def between(self, start: Any, end: Any) -> Any: ...  # noqa: ANN401

    def add(self, start: Any, amount: Any) -> Any: ...  # noqa: ANN401


class ByBusdays:
    """Open seconds of an office: whole days counted by numpy, the parts of two days by hand."""

    now, hour = AS_OF, HOUR

    def __init__(self, closed: list[dt.date]) -> None:
        self.week = np.busdaycalendar(holidays=np.array(closed, "datetime64[D]"))

    def between(self, start: int, end: int) -> int:
        first, last = start // DAY, end // DAY
        dates = np.datetime64(first, "D"), np.datetime64(last, "D")
        days = int(np.busday_count(*dates, busdaycal=self.week))
        return days * LENGTH + self._part(end, dates[1]) - self._part(start, dates[0])

    def _part(self, moment: int, date: np.datetime64) -> int:
        if not np.is_busday(date, busdaycal=self.week):
            return 0
        return min(max(moment % DAY - OPENS, 0), LENGTH)

    def add(self, start: int, amount: int) -> int:
        date = start // DAY
        day = self._offset(date, 0)
        begin = max(start, day * DAY + OPENS) if day == date else day * DAY + OPENS
        left = max(day * DAY + CLOSES - begin, 0)
        if amount <= left:
            return begin + amount
        full, rest = divmod(amount - left - 1, LENGTH)
        return self._offset(day, 1 + full) * DAY + OPENS + rest + 1

    def _offset(self, day: int, days: int) -> int:
        found = np.busday_offset(np.datetime64(day, "D"), days, roll="forward", busdaycal=self.week)
        return int(found.astype(np.int64))


class ByDays:
    """The open time of an office by going from day to day, in the words of datetime."""

    now, hour = dt.datetime.fromtimestamp(AS_OF, dt.UTC), dt.timedelta(hours=1)
    opens, closes = dt.time(8, tzinfo=dt.UTC), dt.time(18, tzinfo=dt.UTC)

    def __init__(self, closed: list[dt.date]) -> None:
        self.closed = set(closed)

    def between(self, start: dt.datetime, end: dt.datetime) -> dt.timedelta:
        total, day = dt.timedelta(), start.date()
        while day <= end.date():
            if self._is_open(day):
                begin = max(start, dt.datetime.combine(day, self.opens))
                close = min(end, dt.datetime.combine(day, self.closes))
                if close > begin:
                    total += close - begin
            day += dt.timedelta(days=1)
        return total

    def add(self, start: dt.datetime, amount: dt.timedelta) -> dt.datetime:
        day = start.date()
        while True:
            if self._is_open(day):
                begin = max(start, dt.datetime.combine(day, self.opens))
                close = dt.datetime.combine(day, self.closes)
                if begin + amount <= close:
                    return begin + amount
                amount -= max(close - begin, dt.timedelta())
            day += dt.timedelta(days=1)

    def _is_open(self, day: dt.date) -> bool:
        return day.isoweekday() < SATURDAY and day not in self.closed


class ByPm4py(ByBusdays):
    """Open seconds by pm4py's slots of the week and a calendar of its kind; it cannot add any."""

    def __init__(self, closed: list[dt.date]) -> None:
        from pm4py.util.business_hours import BusinessHours  # noqa: PLC0415 - slow to import

        super().__init__(closed)
        self.measure, self.closed = BusinessHours, frozenset(closed)
        self.slots = [(day * DAY + OPENS, day * DAY + CLOSES) for day in range(5)]

    def is_working_day(self, day: dt.date) -> bool:
        return day not in self.closed

    def between(self, start: int, end: int) -> int:
        moments = (dt.datetime.fromtimestamp(x, dt.UTC) for x in (start, end))
        found = self.measure(*moments, business_hour_slots=self.slots, work_calendar=self)
        return round(found.get_seconds())


def by_rows(tickets: Tickets, office: Office) -> pd.Series:
    """Return of each ticket what `outcome` says of each metric."""
    events, cases = tickets.frames()
    rows = events.groupby("case_id", sort=True).agg({"activity": list, "at": list}).join(cases)
    return rows.apply(
        lambda row: tuple(
            outcome(metric, row["activity"], row["at"], row["priority"], office)
            for metric in LIMITS
        ),
        axis=1,
    )


def by_frames(tickets: Tickets, office: Office) -> pd.Series:
    """Return the same, from a frame of each ticket's events, with timestamps."""
    events, cases = tickets.frames()
    events["at"] = pd.to_datetime(events["at"], unit="s", utc=True)
    priority = cases["priority"]

    def of_ticket(frame: pd.DataFrame) -> tuple[Outcome, ...]:
        names, at, told = frame["activity"].tolist(), frame["at"].tolist(), priority[frame.name]
        return tuple(outcome(metric, names, at, told, office) for metric in LIMITS)

    return events.groupby("case_id", sort=True).apply(of_ticket)


def outcome(metric: str, names: list[str], at: list[Any], priority: str, office: Office) -> Outcome:
    """Elapsed and paused seconds, when it was due, and whether the promise was kept."""
    stop = None
    if metric == "respond":
        stops = ("Assign", "Diagnose", "Resolve")
        stop = next((i for i, name in enumerate(names) if name in stops), None)
    else:
        for i, name in enumerate(names):
            stop = i if name == "Resolve" else None if name == "Reopen" else stop
    last = len(names) - 1 if "Close" in names and stop is None else stop
    end = office.now if last is None else at[last]
    limit = left = LIMITS[metric][priority] * office.hour
    elapsed = paused = 0 * office.hour
    due, since = None, at[0]
    for i, name in enumerate(names[:last]):
        if name == "Await customer":
            spent = office.between(since, at[i])
            if due is None and spent >= left:
                due = office.add(since, left)
            elapsed, left = elapsed + spent, left - spent
            since = at[i + 1] if i + 1 < len(at) else end
            paused += office.between(at[i], since)
    spent = office.between(since, end)
    elapsed += spent
    if due is None:
        due = office.add(since, left) if spent >= left else office.add(end, left - spent)
    if elapsed > limit:
        return elapsed, paused, due, "breached"
    word = "running" if last is None else "lapsed" if stop is None else "met"
    return elapsed, paused, due, word


def closed_days() -> list[dt.date]:
    days = holidays.country_holidays("DE", subdiv="BY", years=range(2021, 2025))
    return sorted(days)


# --- what is measured


def outcomes(table: pa.Table) -> Mapping[str, list[Outcome]]:
    found: dict[str, list[Any]] = {metric: [] for metric in LIMITS}
    for row in table.to_pylist():
        elapsed, paused = (row[x] // s.US_PER_SECOND for x in ("elapsed_us", "paused_us"))
        due = int(row["due"].timestamp())
        found[row["metric"]].append((elapsed, paused, due, row["status"]))
    return found


def in_seconds(found: pd.Series) -> list[tuple[Outcome, ...]]:
    """What another way found, in the words of ours."""

    def seconds_of(value: Any) -> Any:  # noqa: ANN401 - a moment, an amount, a number or a word
        if isinstance(value, dt.timedelta):
            return int(value.total_seconds())
        return int(value.timestamp()) if isinstance(value, dt.datetime) else value

    return [tuple(tuple(map(seconds_of, one)) for one in row) for row in found]


def cold(desk: Desk) -> pa.Table:
    """Judge a log of which nothing has been worked out before, not even its integer columns."""
    return clocks(replace(desk, log=replace(desk.log)))


def test_a_million_tickets_against_going_row_by_row(tell: Tell, tmp_path: Path) -> None:
    tickets = made(N)
    desk, part = tickets.desk(tmp_path), tickets.first(PART)
    closed = closed_days()
    ways = {
        "pandas, ticket by ticket and day by day": partial(by_frames, part, ByDays(closed)),
        "pandas, row by row with busday_count": partial(by_rows, part, ByBusdays(closed)),
        "pm4py's business hours, row by row": partial(by_rows, part, ByPm4py(closed)),
    }
    ours = outcomes(cold(part.desk(tmp_path)))
    for way in ways.values():
        assert in_seconds(way()) == list(zip(*(ours[metric] for metric in LIMITS), strict=True))
    assert cold(desk).num_rows == N * len(LIMITS)
    desk.log.arrays  # noqa: B018 - worked out once, for `warm`
    both = {"cold": partial(cold, desk), "warm": lambda: clocks(replace(desk))}
    turns = side_by_side({**both, **ways}, TURNS)
    own, warm = median(turns.pop("cold")), median(turns.pop("warm"))
    lines = []
    for name, took in turns.items():
        all_of_it = median(took) * N / PART
        lines.append(
            f"{name}: ours is {all_of_it / own:,.0f} times as fast, warm {all_of_it / warm:,.0f}"
            f" times ({median(took):,.2f} s for {PART:,} tickets, {all_of_it:,.0f} s for all)"
        )
    head = (
        f"two clocks of every ticket ({tickets.size}; median of {TURNS} turns): {own:,.1f} s cold,"
        f" {warm:,.1f} s warm, {N / own:,.0f} and {N / warm:,.0f} tickets a second"
    )
    tell("\n".join([head, *lines]))


def test_the_time_grows_with_the_tickets(tell: Tell, tmp_path: Path) -> None:
    lines = []
    for n in (10_000, 100_000, N):
        desk = made(n).desk(tmp_path)
        took = median(seconds(partial(cold, desk)) for _ in range(TURNS))
        lines.append(f"{n:,} tickets: {took:,.2f} s, {took / n * 1e6:,.2f} µs a ticket")
    tell("\n".join([f"two clocks of every ticket, median of {TURNS} turns", *lines]))
