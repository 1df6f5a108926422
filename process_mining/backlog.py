"""How many cases arrive and end each day, how many stay open, how old are those, and at what hours?

Definitions
- Opened: the case table's `opened`, else the case's first event.
- Ended: with `ends` (words that end a case), the time of the case's last step where that is one of
  them, else the case is open; a case that was closed and reopened is open in between. Without
  `ends`, the case table's `closed`, and cases without it are open. An end before the opening is
  taken as the opening, and counted (`reversed`; the quality gate, QG102, names the cases).
- Day: a local date of `zone`, from its first instant on, so 23 or 25 hours where clocks change. The
  last day ends at `as_of_us` (by default the last time in the log), which belongs to it.
- Backlog: opened before the end of the day and not ended by then. Age: from the opening to the end
  of the day, elapsed. Percentiles of ages are observed values (type 1 of Hyndman & Fan 1996).
- Little's law (Little 1961, Operations Research 9, 383-387; L = λW): in a stable system the mean
  number open L is arrivals a day λ times mean days from opening to end W. L is the time average
  over the whole window, λ counts all arrivals in it, W is the mean over the cases that ended, for
  the law is about means. `ratio` is L / (λW). Where every case has ended it is 1, whatever the
  desk does; well above 1 it says that cases stay open which no mean of ended cases knows of: the
  backlog grows or ages; below 1, that the open ones are young.

Complexity: O(n log n) for n cases, and one pass over the open cases a day. No more than
`MOST_DAYS` days: a longer span is a placeholder among the times (CodedError LG323).

Not checked: cases that were opened before the log begins and are not in it, so the backlog of the
first weeks is too low; what a source's `closed` means.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from process_mining import schema as s
from process_mining.clock import FIRST_YEAR, LAST_YEAR, load_zone, wall_us
from process_mining.columnar import segments
from process_mining.columnar.groups import exact_sum
from process_mining.columnar.steps import steps_of
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Collection
    from zoneinfo import ZoneInfo

    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints

    Bools = npt.NDArray[np.bool_]

MOST_DAYS: Final = 36_525
NEVER: Final = np.iinfo(np.int64).max
HOURS: Final = 24
WEEKDAYS: Final = 7
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday, and Monday is 0
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_US, _LAST_US = (
    (dt.datetime(year, 1, 1, tzinfo=dt.UTC) - _EPOCH) // dt.timedelta(microseconds=1)
    for year in (FIRST_YEAR, LAST_YEAR + 1)
)


@dataclass(frozen=True)
class LittlesLaw:
    """L, λ and W over a window of days (the head-note defines them); n cases, of which ended."""

    mean_open: float
    arrivals_a_day: float
    mean_days: float
    ratio: float
    days: float
    n: int
    ended: int


@dataclass(frozen=True, eq=False)
class Backlog:
    """Arrivals, ends and what stayed open.

    `days`: day (ISO date, local to `zone`), opened, ended, open (at its end), median_age_us,
    p90_age_us, oldest_age_us (null where none is open); one row a day without gaps. `cases` have a
    known opening, `open` of them are open at the end; `without_start` have none and are left out;
    `reversed` ended before they were opened. `little` is None where no case has ended.
    """

    days: pd.DataFrame
    zone: str
    as_of_us: int | None
    cases: int
    open: int
    without_start: int
    reversed: int
    little: LittlesLaw | None


def backlog(
    log: EventLog,
    *,
    zone: str = "UTC",
    ends: Collection[str] | None = None,
    leave_out: Collection[str] = (),
    as_of_us: int | None = None,
) -> Backlog:
    """Return the arrival and backlog curves of a log by day.

    Raises CodedError LG322 for an unknown zone, LG323 for a span of more than MOST_DAYS days, LG324
    where as_of_us lies before the last time of the log.
    """
    local = load_zone(zone, code="LG322")
    spans = _spans(log, ends, leave_out)
    opened, ended = spans.opened[spans.known], spans.ended[spans.known]
    until = _until(log, opened, ended, as_of_us)
    days = _days(opened, until, local)
    came = np.bincount(_day_of(opened, days), minlength=len(days))
    went = np.bincount(_day_of(ended[ended != NEVER], days), minlength=len(days))
    frame = pd.DataFrame(
        {
            "day": days.dates,
            "opened": came,
            "ended": went,
            "open": np.cumsum(came - went),
            **_ages(opened, ended, days),
        }
    )
    return Backlog(
        days=frame,
        zone=zone,
        as_of_us=until if len(opened) else None,
        cases=len(opened),
        open=int((ended == NEVER).sum()),
        without_start=log.n_cases - len(opened),
        reversed=spans.reversed,
        little=_little(opened, ended, until),
    )


def week_profile(
    log: EventLog,
    *,
    zone: str = "UTC",
    ends: Collection[str] | None = None,
    leave_out: Collection[str] = (),
) -> pd.DataFrame:
    """Return when work comes and goes: weekday (0 is Monday), hour, opened, ended, steps.

    One row for each of the 168 local hours of a week, in order; counts over the whole log. An hour
    that a clock change repeats counts twice in it. Raises CodedError LG322 for an unknown zone.
    """
    load_zone(zone, code="LG322")
    spans = _spans(log, ends, leave_out)
    done = spans.known & (spans.ended != NEVER)
    steps = steps_of(log, leave_out=leave_out)
    times = {
        "opened": spans.opened[spans.known],
        "ended": spans.ended[done],
        "steps": steps.time if log.timed else steps.time[:0],
    }
    weekday, hour = np.divmod(np.arange(WEEKDAYS * HOURS), HOURS)
    counts = {
        name: np.bincount(_week_hour(at, zone), minlength=WEEKDAYS * HOURS)
        for name, at in times.items()
    }
    return pd.DataFrame({"weekday": weekday, "hour": hour, **counts})


# --- when cases begin and end -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Spans:
    """One entry a case: opened, ended (NEVER where open), and whether the opening is known."""

    opened: Ints
    ended: Ints
    known: Bools
    reversed: int


def _spans(log: EventLog, ends: Collection[str] | None, leave_out: Collection[str]) -> _Spans:
    arrays = log.arrays
    filled = (np.diff(arrays.offsets) > 0) & log.timed
    first = segments.take(arrays.at, np.where(filled, arrays.offsets[:-1], segments.NONE), fill=0)
    given, has = _case_times(log, s.OPENED)
    opened, known = np.where(has, given, first), has | filled
    if ends is None:
        closed, has = _case_times(log, s.CLOSED)
        ended = np.where(has, closed, NEVER)
    else:
        ended = _last_steps(log, ends, leave_out)
    backwards = known & (ended < opened)
    return _Spans(opened, np.maximum(ended, opened), known, int(backwards.sum()))


def _case_times(log: EventLog, name: str) -> tuple[Ints, Bools]:
    column = log.cases[name].combine_chunks()
    has: Bools = column.is_valid().to_numpy(zero_copy_only=False)
    return column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), has


def _last_steps(log: EventLog, ends: Collection[str], leave_out: Collection[str]) -> Ints:
    """Return when the last step of each case was taken where it ends the case, else NEVER."""
    steps = steps_of(log, leave_out=leave_out)
    final = steps.last & steps.among(ends) & log.timed
    ended = np.full(log.n_cases, NEVER)
    ended[steps.case[final]] = steps.time[final]
    return ended


def _until(log: EventLog, opened: Ints, ended: Ints, as_of_us: int | None) -> int:
    at = log.arrays.at if log.timed else np.empty(0, np.int64)
    times = np.concatenate([opened, ended[ended != NEVER], at])
    last = int(times.max()) if len(times) else 0
    if as_of_us is not None and len(times) and as_of_us < last:
        msg = f"as_of_us is {as_of_us}, but the last time of the log is {last}"
        raise CodedError("LG324", msg, fix="Cut the log with EventLog.until first")
    return last if as_of_us is None else as_of_us


# --- days -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Days:
    """Local dates and the instants at which they begin and end; the last ends with the log."""

    dates: list[str]
    begins: Ints
    ends: Ints

    def __len__(self) -> int:
        """Number of days."""
        return len(self.dates)


def _days(opened: Ints, until: int, local: ZoneInfo) -> _Days:
    if not len(opened):
        return _Days([], opened, opened)
    first, last = (_date(moment, local) for moment in (int(opened.min()), until))
    n = last.toordinal() - first.toordinal() + 1
    if n > MOST_DAYS:
        raise _too_long(int(opened.min()), until)
    dates = [dt.date.fromordinal(first.toordinal() + i) for i in range(n)]
    begins = np.array([_midnight(date, local) for date in dates], np.int64)
    return _Days([date.isoformat() for date in dates], begins, np.append(begins[1:], until))


def _date(moment: int, local: ZoneInfo) -> dt.date:
    """Return the local date of a moment in the years that clocks are known for."""
    if not _FIRST_US <= moment < _LAST_US:
        raise _too_long(moment, moment)
    return (_EPOCH + dt.timedelta(microseconds=moment)).astimezone(local).date()


def _midnight(date: dt.date, local: ZoneInfo) -> int:
    """Return the first instant of a local date: where midnight is skipped, that of the skip."""
    begin = dt.datetime(date.year, date.month, date.day, tzinfo=local)
    return (begin - _EPOCH) // dt.timedelta(microseconds=1)


def _too_long(first: int, last: int) -> CodedError:
    begin, end = (np.datetime64(moment, "us") for moment in (first, last))
    return CodedError(
        "LG323",
        f"the log spans {begin} to {end} UTC",
        why="a curve by day needs times that are real; a placeholder is no time of a ticket",
        fix="Declare such values as missing in the mapping (QG113 and QG155 count them)",
    )


def _day_of(moments: Ints, days: _Days) -> Ints:
    return np.asarray(np.searchsorted(days.begins, moments, side="right") - 1)


def _ages(opened: Ints, ended: Ints, days: _Days) -> dict[str, pd.Series[int]]:
    """Return percentiles of the age of what is open at the end of each day.

    The open cases are kept in order of opening, so an age is a look-up; a day costs what is open.
    """
    order = np.argsort(opened, kind="stable")
    opened = opened[order]
    ended = np.where(ended == NEVER, len(days), _day_of(ended, days))[order]
    upto = np.searchsorted(_day_of(opened, days), np.arange(len(days)), side="right")
    ages = np.full((3, len(days)), segments.NONE, np.int64)
    live, seen = np.empty(0, np.int64), 0
    for day, (stop, end) in enumerate(zip(upto.tolist(), days.ends.tolist(), strict=True)):
        live = np.concatenate([live, np.arange(seen, stop)])
        live, seen = live[ended[live] > day], stop
        n = len(live)
        if n:
            ranks = [n - -(-n * percent // 100) for percent in (50, 90, 100)]
            ages[:, day] = end - opened[live[ranks]]
    names = ("median_age_us", "p90_age_us", "oldest_age_us")
    found = {name: pd.Series(row, dtype="Int64") for name, row in zip(names, ages, strict=True)}
    return {name: column.where(column >= 0) for name, column in found.items()}


def _week_hour(at: Ints, zone: str) -> Ints:
    """Return the local hour of the week, 0 for Monday from midnight on."""
    shown = wall_us(at, zone)
    weekday = (shown // s.US_PER_DAY + _EPOCH_WEEKDAY) % WEEKDAYS
    return np.asarray(weekday * HOURS + shown % s.US_PER_DAY // s.US_PER_HOUR)


def _little(opened: Ints, ended: Ints, until: int) -> LittlesLaw | None:
    """Compare the three figures of Little's law over the whole window."""
    over = ended != NEVER
    days = (until - int(opened.min())) / s.US_PER_DAY if len(opened) else 0.0
    in_system = exact_sum(np.minimum(ended, until) - opened) / s.US_PER_DAY
    finished = exact_sum((ended - opened)[over]) / s.US_PER_DAY
    if not days or not finished:
        return None
    n, n_ended = len(opened), int(over.sum())
    mean_open, arrivals, mean_days = in_system / days, n / days, finished / n_ended
    ratio = mean_open / (arrivals * mean_days)
    return LittlesLaw(mean_open, arrivals, mean_days, ratio, days, n, n_ended)
