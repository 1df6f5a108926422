"""Business time by counting: one minute after another, each asked what the wall clock shows.

Imports nothing of the project; zones are the standard library's, read from the tzdata package.
Hours are whole minutes, and so are the zones' offsets (true for every zone since 1972); moments
may lie inside a minute.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Span = tuple[str, str]

MINUTE = dt.timedelta(minutes=1)
MINUTE_US = 60_000_000
DAY = 1_440


def is_open(
    minute: dt.datetime, hours: Mapping[int, Sequence[Span]], closed: Collection[dt.date]
) -> bool:
    """`hours`: ISO weekday (Monday 1) → ("08:00", "18:00") pairs; `minute` in local time."""
    if minute.date() in closed:
        return False
    shown = f"{minute.hour:02d}:{minute.minute:02d}"
    return any(opens <= shown < closes for opens, closes in hours.get(minute.isoweekday(), ()))


def count_minutes(
    start: dt.datetime,
    end: dt.datetime,
    *,
    zone: str,
    hours: Mapping[int, Sequence[Span]],
    closed: Collection[dt.date] = (),
) -> int:
    """Count the open minutes in [start, end); both are whole UTC minutes."""
    local, minute, found = ZoneInfo(zone), start, 0
    while minute < end:
        found += is_open(minute.astimezone(local), hours, closed)
        minute += MINUTE
    return found


@dataclass(frozen=True)
class Week:
    """What a calendar says: weekly hours, days closed, and more hours open or shut on a date."""

    hours: Mapping[int, Sequence[Span]]
    closed: Collection[dt.date] = ()
    opened: Mapping[dt.date, Sequence[Span]] = field(default_factory=dict)
    shut: Mapping[dt.date, Sequence[Span]] = field(default_factory=dict)

    def minutes_of(self, day: dt.date) -> list[bool]:
        """Say of each minute of a date whether it is open."""
        usual = () if day in self.closed else self.hours.get(day.isoweekday(), ())
        return _minutes_of((*usual, *self.opened.get(day, ())), tuple(self.shut.get(day, ())))


@lru_cache(maxsize=256)
def _minutes_of(opened: tuple[Span, ...], shut: tuple[Span, ...]) -> list[bool]:
    texts = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(DAY)]
    return [
        any(a <= text < b for a, b in opened) and not any(a <= text < b for a, b in shut)
        for text in texts
    ]


@lru_cache(maxsize=256)
def wall_clock(zone: str, first: dt.date, last: dt.date) -> Ints:
    """What a zone's clock shows at each UTC minute of these days: minutes since 0001-01-01."""
    with files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as file:
        local = ZoneInfo.from_file(file, key=zone)
    begin, end = (int(_midnight(day).timestamp()) for day in (first, last))
    shown = (dt.datetime.fromtimestamp(second, local) for second in range(begin, end, 60))
    found = (t.toordinal() * DAY + t.hour * 60 + t.minute for t in shown)
    return np.fromiter(found, np.int64, (end - begin) // 60)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


class MinuteClock:
    """The open minutes of one zone and week between two UTC dates, one flag a minute."""

    def __init__(self, zone: str, first: dt.date, last: dt.date, week: Week) -> None:
        """Ask every minute."""
        wall = wall_clock(zone, first, last)
        days, day_of = np.unique(wall // DAY, return_inverse=True)
        table = np.array([week.minutes_of(dt.date.fromordinal(int(day))) for day in days])
        self.open: Bools = table[day_of, wall % DAY]
        self.until = [0, *np.cumsum(self.open).tolist()]
        self.first_us = int(_midnight(first).timestamp()) * 1_000_000
        self.changes_us = (np.flatnonzero(np.diff(wall) != 1) + 1) * MINUTE_US + self.first_us

    @property
    def last_us(self) -> int:
        """The end of the last minute that was asked."""
        return self.first_us + len(self.open) * MINUTE_US

    def before(self, moment: int) -> int:
        """Open µs before a moment."""
        minute, rest = divmod(moment - self.first_us, MINUTE_US)
        part = rest if rest and self.open[minute] else 0
        return int(self.until[minute] * MINUTE_US + part)

    def between(self, start: int, end: int) -> int:
        """Open µs between two moments."""
        return self.before(end) - self.before(start)

    def after(self, start: int, amount: int) -> int | None:
        """Return the first moment by which `amount` has passed; None: not in these days."""
        return self._minute(self.before(start) + amount, first=True)

    def back(self, end: int, amount: int) -> int | None:
        """Return the last moment from which `amount` passes until `end`."""
        return self._minute(self.before(end) - amount, first=False)

    def _minute(self, total: int, *, first: bool) -> int | None:
        if total < 0:
            return None
        if first:
            minute = bisect_left(self.until, -(-total // MINUTE_US)) - 1
        else:
            minute = bisect_right(self.until, total // MINUTE_US) - 1
        if minute >= len(self.open):
            return None
        return int(self.first_us + minute * MINUTE_US + total - self.until[minute] * MINUTE_US)

    def paused(self, start: int, end: int, pauses: Iterable[tuple[int, int]]) -> tuple[int, int]:
        """Count open minutes of [start, end) in no pause and in some; all are whole minutes."""
        row, length = self._row(start), self._row(end) - self._row(start)
        working = int(self._working(row, length, pauses).sum())
        return working, int(self.open[row : row + length].sum()) - working

    def due(self, start: int, limit: int, pauses: Iterable[tuple[int, int]]) -> int | None:
        """Find the first minute by which `limit` minutes were open and in no pause."""
        row, spans = self._row(start), list(pauses)
        for ahead in (8 * DAY, len(self.open)):  # most are near
            used = np.cumsum(self._working(row, ahead, spans))
            if limit and len(used) and used[-1] >= limit:
                return start + (int(np.argmax(used >= limit)) + 1) * MINUTE_US
        return None if limit else start

    def _working(self, row: int, ahead: int, pauses: Iterable[tuple[int, int]]) -> Bools:
        working = self.open[row : row + ahead].copy()
        for begin, until in pauses:
            working[max(self._row(begin) - row, 0) : max(self._row(until) - row, 0)] = False
        return working

    def _row(self, moment: int) -> int:
        return (moment - self.first_us) // MINUTE_US
