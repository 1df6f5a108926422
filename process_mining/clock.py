"""How much business time lies between two moments, and when is an amount of it used up?

A calendar is open at an instant when the wall clock of its zone then shows an opening hour of a
local date. Whether it does, in this order: the weekly hours of the date's weekday, none of them on
a holiday; and whatever an extra opening names; but nothing that an extra closure names. With B(t)
the open time before t, the business time from `start` to `end` is B(end) - B(start): int64
microseconds, exact, additive over splits, never falling while time goes on, and negative where
`end` lies before `start` (minus the time of the reverse). Pauses are subtracted as a set of
instants: cut to the interval, and what several of them cover counts once.

What follows from that one definition where clocks change: an hour (or, in Samoa in 2011, a day)
that the zone skips is no time; an hour that it repeats counts twice; hours that name only part of
a skipped or repeated hour are open while the wall clock reads them. So a shift from 22:00 to 06:00
lasts seven hours in one night of the year and nine in another, and `24x7` equals the wall clock in
every zone.

Opening hours are whole minutes of local time, `HH:MM-HH:MM` up to `24:00`; a shift over midnight
is written as two, for each date is judged by itself: a holiday ends a night shift at its 00:00. An
extra closure is a date, with or without hours (`2024-12-24 12:00-24:00`), or a day of every year
(`12-24 12:00-24:00`); an extra opening is the same, always with hours. Holidays come from the
`holidays` library and are local dates: country, subdivision and categories must all be said, for
they differ (15 August is a holiday in Bavaria only with the category `catholic`); the category
`half_day` must say which hours it closes. Days moved to a weekday ("observed") count as that
library has them. It answers "no holiday" for years that it does not know (Germany before 1991,
India after 2035, anywhere after 2100): here they are an error. Zones come from the tzdata package
and never from the machine.

Method: the zone's offsets change a few times a year; between two changes local time is UTC plus a
constant, so whole years of opening hours become one sorted table of UTC intervals with running
sums. B(t) is a look-up by UTC day, O(1) a moment and interval of a day; its inverse a binary
search, O(log m) for m opening intervals of the years that the data spans; pauses cost one sort.
Supported are the local years 1900 to 2199 (tzdata has no two changes within four days since 1900,
and the search for them relies on one a day at most); a calendar that never closes needs no table
and takes the years 1 to 9999. Sources: IANA tz database; ISO 8601 for weekdays and times; opening
hours with exceptions as in schema.org's OpeningHoursSpecification.

What it does not check: whether a calendar is the one that was agreed; holidays that the library
can only estimate (those that wait for the moon); a mistake in its tables.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2199
MINUTES_PER_DAY: Final = 24 * 60
US_PER_WEEK: Final = 7 * s.US_PER_DAY
US_PER_YEAR: Final = 366 * s.US_PER_DAY
HALF_DAY: Final = "half_day"
_SPAN: Final = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)
_DATED: Final = re.compile(r"(?:([1-9]\d{3})-)?(\d\d)-(\d\d)(?: (\S+))?", re.ASCII)
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday
_FIRST_US: Final = (dt.date.min.toordinal() - _EPOCH) * s.US_PER_DAY
_LAST_US: Final = (dt.date.max.toordinal() - _EPOCH + 1) * s.US_PER_DAY
_LEAP_YEAR: Final = 2000

Hours = tuple[tuple[tuple[int, int], ...], ...]
Spans = tuple["Ints", "Ints"]


@dataclass(frozen=True)
class HolidayRule:
    """Whose holidays close a calendar; an empty subdivision means the nationwide ones alone.

    `half_days` are the minutes (from, to) that a day of the category `half_day` closes.
    """

    country: str
    subdivision: str
    categories: tuple[str, ...]
    half_days: tuple[int, int] | None = None


@dataclass(frozen=True, order=True)
class DaySpan:
    """Some minutes of one local date; of that day in every year where `year` is 0."""

    year: int
    month: int
    day: int
    begins: int = 0
    ends: int = MINUTES_PER_DAY

    @property
    def mistake(self) -> str:
        """What makes it no span of a day that there is, else nothing."""
        try:
            dt.date(self.year or _LEAP_YEAR, self.month, self.day)
        except ValueError as error:
            return f"there is no such day ({error})"
        if self.year and not FIRST_YEAR <= self.year <= LAST_YEAR:
            return f"the year lies outside {FIRST_YEAR} to {LAST_YEAR}"
        fits = 0 <= self.begins < self.ends <= MINUTES_PER_DAY
        return "" if fits else "it does not end after it begins, within the day"

    def __str__(self) -> str:
        """Write it as the TOML file does."""
        day = f"{self.month:02d}-{self.day:02d}"
        year = f"{self.year:04d}-" if self.year else ""
        return f"{year}{day} {_hhmm(self.begins)}-{_hhmm(self.ends)}"

    def days(self, first_year: int, last_year: int) -> Iterator[int]:
        """Yield its days of these years, counted from 1970-01-01."""
        leap_day = (self.month, self.day) == (2, 29)
        for year in range(first_year, last_year + 1):
            if self.year in (0, year) and not (leap_day and not _is_leap(year)):
                yield dt.date(year, self.month, self.day).toordinal() - _EPOCH


@dataclass(frozen=True)
class Calendar:
    """Opening hours in one zone, checked when built.

    `hours` has one entry a weekday from Monday on: the open intervals as minutes after local
    midnight (opens, closes), in order, not overlapping.
    """

    name: str
    zone: str
    hours: Hours
    holidays: HolidayRule | None = None
    extra_closures: tuple[DaySpan, ...] = ()
    extra_openings: tuple[DaySpan, ...] = ()

    def __post_init__(self) -> None:
        """Raise all mistakes at once.

        SL102 zone, SL103 hours, SL104 never open, SL105 holidays, SL110 half days, SL111 extra
        closures and openings.
        """
        place = f"calendar '{self.name}'"
        extra = (*self.extra_closures, *self.extra_openings)
        mistakes = [
            *_zone_mistakes(self.zone, f"{place}, zone"),
            *_hours_mistakes(self.hours, place),
            *_holiday_mistakes(self.holidays, place),
            *(_no_day(f"{place}, '{one}'", one.mistake) for one in extra if one.mistake),
        ]
        raise_all(mistakes)

    @property
    def continuous(self) -> bool:
        """Whether the calendar never closes, so that business time is the wall clock's."""
        full = all(_minutes(day) == MINUTES_PER_DAY for day in self.hours)
        return full and self.holidays is None and not self.extra_closures

    @property
    def weekly_us(self) -> int:
        """Open time of a week without holidays, extras and clock changes, in µs."""
        return sum(map(_minutes, self.hours)) * s.US_PER_MINUTE


@dataclass(frozen=True, eq=False)
class Pauses:
    """When the clocks of some intervals stood still: one entry a pause, in any order.

    `owner` is the position of the interval that a pause belongs to; `begin` and `end` are µs UTC.
    Pauses may overlap, touch and reach beyond their interval. Raises RunError SL112 where one ends
    before it begins.
    """

    owner: Ints
    begin: Ints
    end: Ints

    def __post_init__(self) -> None:
        """Refuse what is no pause."""
        if not len(self.owner) == len(self.begin) == len(self.end):
            msg = "owner, begin and end of pauses are not equally long"
            raise ValueError(msg)
        wrong = np.flatnonzero(_whole(self.end) < _whole(self.begin))
        if len(wrong):
            msg = f"{len(wrong)} of {len(self.owner)} pauses end before they begin"
            why = f"The first is that of interval {int(self.owner[wrong[0]])}"
            raise RunError("SL112", msg, why=why, fix="Put begin and end of the pauses right")


def business_us(start: Ints, end: Ints, calendar: Calendar) -> Ints:
    """Return the open time from each start to each end, in µs; both are µs UTC.

    Raises RunError SL107 for a moment outside the years 1900 to 2199 (1 to 9999 where the calendar
    never closes), SL109 for one in a year of which the holidays are not known.
    """
    start, end = np.broadcast_arrays(_whole(start), _whole(end))
    if not start.size:
        return np.zeros(start.shape, np.int64)
    low, high = int(min(start.min(), end.min())), int(max(start.max(), end.max()))
    if calendar.continuous:
        _require_date(low, high, calendar)
        return np.asarray(end - start)
    table = _table(calendar, _year_of(low, calendar), _year_of(high, calendar))
    return table.before(end) - table.before(start)


def add_business_us(start: Ints, amount: Ints, calendar: Calendar) -> Ints:
    """Return the moment that lies an amount of open time, in µs, after or before each start.

    Above 0 it is the first moment by which that much has passed since the start (a deadline): it
    lies inside an opening interval or at its close. Below 0 it is the last moment from which that
    much passes until the start (the latest begin): inside an opening interval or at its opening.
    0 gives the start itself, open or not. So business_us(start, result) is the amount, always.
    Raises RunError SL107 and SL109 as business_us does, SL108 where the result would lie outside
    the years.
    """
    start, amount = np.broadcast_arrays(_whole(start), _whole(amount))
    if not start.size:
        return np.zeros(start.shape, np.int64)
    low, high = int(amount.min()), int(amount.max())
    if low < _FIRST_US - _LAST_US or high > _LAST_US - _FIRST_US:
        raise _out_of_years(calendar, "1 to 9999")  # and the sum below cannot overflow
    if calendar.continuous:
        _require_date(int(start.min()), int(start.max()), calendar)
        return _within_dates(start + amount, calendar)
    table = _table_with_room(start, amount, calendar)
    total = table.before(start) + amount
    later = table.first(total) if high > 0 else start
    earlier = table.last(total) if low < 0 else start
    return np.where(amount > 0, later, np.where(amount < 0, earlier, start))


def paused_us(start: Ints, end: Ints, pauses: Pauses, calendar: Calendar) -> Ints:
    """Return the open time of each interval that its pauses cover, in µs, each instant once.

    Pauses are cut to their interval; where `end` lies before `start` the result is minus that of
    the reverse. Business time without pauses is business_us - paused_us.
    """
    start, end = _columns(start, end)
    low, high = np.minimum(start, end), np.maximum(start, end)
    pieces = _pieces(low, high, pauses)
    covered = business_us(pieces.begin, pieces.end, calendar)
    return np.where(end < start, -1, 1) * _sums(covered, pieces.owner, len(start))


def due_us(start: Ints, limit: Ints, pauses: Pauses, calendar: Calendar) -> Ints:
    """Return the first moment by which `limit` µs of open time have passed that no pause covers.

    Only pauses that begin before the limit is used up move the moment; time before the start is no
    pause. A limit of 0 gives the start. Raises ValueError for a limit below 0, RunError as
    add_business_us does.
    """
    start, limit = _columns(start, limit)
    if (limit < 0).any():
        msg = "a limit of business time is negative"
        raise ValueError(msg)
    pieces = _pieces(start, np.full_like(start, np.iinfo(np.int64).max), pauses)
    since = start[pieces.owner]
    opened = business_us(since, pieces.begin, calendar)
    covered = business_us(pieces.begin, pieces.end, calendar)
    used = opened - _sums_before(covered, pieces.owner)
    moving = used < limit[pieces.owner]
    extra = _sums(covered[moving], pieces.owner[moving], len(start))
    return add_business_us(start, limit + extra, calendar)


# --- pauses -----------------------------------------------------------------------------------


def _pieces(low: Ints, high: Ints, pauses: Pauses) -> Pauses:
    """Cut pauses to their intervals and to what no earlier one covers: disjoint, in order."""
    owner = _whole(pauses.owner)
    if len(owner) and not 0 <= owner.min() <= owner.max() < len(low):
        msg = f"pauses belong to intervals 0 to {len(low) - 1}"
        raise ValueError(msg)
    begin = np.maximum(_whole(pauses.begin), low[owner])
    end = np.minimum(_whole(pauses.end), high[owner])
    if not _ascend(owner, begin):
        order = np.lexsort((begin, owner))
        owner, begin, end = owner[order], begin[order], end[order]
    begin = np.maximum(begin, _covered_until(owner, end))
    some = end > begin
    return Pauses(owner[some], begin[some], end[some])


def _ascend(owner: Ints, begin: Ints) -> bool:
    """Whether rows are in order of owner, then begin."""
    later = owner[1:] > owner[:-1]
    return bool(np.all(later | ((owner[1:] == owner[:-1]) & (begin[1:] >= begin[:-1]))))


def _covered_until(owner: Ints, end: Ints) -> Ints:
    """Return for each row the latest end of the rows before it that have the same owner.

    Owners ascend. Ends are replaced by their ranks, so that one running maximum serves all owners.
    """
    ends, rank = np.unique(end, return_inverse=True)
    latest = np.maximum.accumulate(owner * len(ends) + rank)[:-1]
    same = owner[1:] == owner[:-1]
    until = np.full(len(end), np.iinfo(np.int64).min)
    until[1:][same] = ends[latest[same] % len(ends)]
    return until


def _sums(amounts: Ints, owner: Ints, n: int) -> Ints:
    """Sum the amounts of each of n owners; owners ascend."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(amounts)])
    bounds = np.searchsorted(owner, np.arange(n + 1))
    return np.asarray(np.diff(running[bounds]))


def _sums_before(amounts: Ints, owner: Ints) -> Ints:
    """Return for each amount the sum of those before it that have the same owner."""
    running = np.cumsum(amounts) - amounts
    return np.asarray(running - running[np.searchsorted(owner, owner)])


# --- moments ----------------------------------------------------------------------------------


def _whole(values: npt.ArrayLike) -> Ints:
    """Return int64 values; a datetime64 of another unit or a float is refused, not converted."""
    found = np.asarray(values)
    if found.size and found.dtype.kind not in "iu":
        msg = f"moments and amounts are whole microseconds, not {found.dtype}"
        raise TypeError(msg)
    return found.astype(np.int64, copy=False)


def _columns(start: Ints, other: Ints) -> tuple[Ints, Ints]:
    start, other = np.broadcast_arrays(_whole(start), _whole(other))
    if start.ndim != 1:
        msg = "pauses need columns of intervals"
        raise ValueError(msg)
    return start, other


def _require_date(low: int, high: int, calendar: Calendar) -> None:
    for moment in (low, high):
        if not _FIRST_US <= moment < _LAST_US:
            raise _no_moment(calendar, moment, "1 to 9999")


def _within_dates(moments: Ints, calendar: Calendar) -> Ints:
    if moments.min() < _FIRST_US or moments.max() >= _LAST_US:
        raise _out_of_years(calendar, "1 to 9999")
    return np.asarray(moments)


def _year_of(moment_us: int, calendar: Calendar) -> int:
    """Return the local year of a moment."""
    if _FIRST_US + US_PER_YEAR <= moment_us < _LAST_US - US_PER_YEAR:
        seconds = moment_us // s.US_PER_SECOND
        local = seconds + _offset(load_zone(calendar.zone), seconds)
        year = dt.date.fromordinal(local // 86_400 + _EPOCH).year
        if FIRST_YEAR <= year <= LAST_YEAR:
            return year
    raise _no_moment(calendar, moment_us, f"{FIRST_YEAR} to {LAST_YEAR}")


def _no_moment(calendar: Calendar, moment_us: int, years: str) -> RunError:
    msg = f"calendar '{calendar.name}': the moment {moment_us} µs lies outside the years {years}"
    why = "A placeholder such as 9999-12-31 is no time at which something happened"
    return RunError("SL107", msg, why=why, fix="Declare such values as missing in the mapping")


def _out_of_years(calendar: Calendar, years: str) -> RunError:
    msg = f"calendar '{calendar.name}': a deadline lies outside the years {years}"
    return RunError("SL108", msg, fix="Open the calendar or shorten the limit")


# --- tables of opening intervals --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Table:
    """Open intervals in UTC, sorted, and the open time before each; one sum more at the end."""

    opens: Ints
    sums: Ints
    days: _Days

    def before(self, moment: Ints) -> Ints:
        """B(t): the open time of the table before each moment."""
        return self.days.before(moment)

    def first(self, total: Ints) -> Ints:
        """Return the first moment t with B(t) = total, for totals above 0."""
        return self._at(total, np.searchsorted(self.sums, total, side="left") - 1)

    def last(self, total: Ints) -> Ints:
        """Return the last moment t with B(t) = total, for totals below all of the table's."""
        return self._at(total, np.searchsorted(self.sums[:-1], total, side="right") - 1)

    def _at(self, total: Ints, row: Ints) -> Ints:
        return np.asarray(
            self.opens.take(row, mode="clip") + (total - self.sums.take(row, mode="clip"))
        )

    @property
    def total(self) -> int:
        """All open time of the table."""
        return int(self.sums[-1])


@dataclass(frozen=True, eq=False)
class _Days:
    """The same by UTC day, where a look-up costs no search.

    `sums` holds the open time before each day from `first` on, `opens` and `lengths` one row for
    the first interval of each day, one for the second, and so on (length 0: there is none).
    """

    first: int
    sums: Ints
    opens: Ints
    lengths: Ints

    def before(self, moment: Ints) -> Ints:
        """B(t); moments before the first and after the last day see nothing and all."""
        day = np.asarray(moment // s.US_PER_DAY - self.first)
        found = np.asarray(self.sums.take(day, mode="clip"))
        for opens, lengths in zip(self.opens, self.lengths, strict=True):
            since = moment - opens.take(day, mode="clip")
            found = found + np.clip(since, 0, lengths.take(day, mode="clip"))
        return found


def _by_day(opens: Ints, closes: Ints) -> _Days:
    """Cut sorted intervals at UTC midnights and number those of each day."""
    first, last = int(opens[0]) // s.US_PER_DAY, int(closes[-1]) // s.US_PER_DAY
    midnights = np.arange(first, last + 1, dtype=np.int64) * s.US_PER_DAY
    row = np.maximum(np.searchsorted(opens, midnights) - 1, 0)
    inside = midnights[(opens[row] < midnights) & (midnights < closes[row])]
    begin, end = (np.sort(np.concatenate([edges, inside])) for edges in (opens, closes))
    day = begin // s.US_PER_DAY - first
    counts = np.bincount(day, minlength=last - first + 1)
    place = np.arange(len(begin)) - (np.cumsum(counts) - counts)[day]
    grid = np.zeros((2, int(counts.max()), len(counts)), np.int64)
    grid[:, place, day] = begin, end - begin
    sums = grid[1].sum(axis=0)
    return _Days(first, np.cumsum(sums) - sums, *grid)


@lru_cache(maxsize=64)
def _table(calendar: Calendar, first_year: int, last_year: int) -> _Table:
    """Opening intervals of the local years first_year..last_year.

    A function of its arguments alone, so keeping the last few changes no result.
    """
    opens, closes = _local_intervals(calendar, first_year, last_year)
    parts_open, parts_close = [], []
    for begin, end, offset in _stretches(calendar.zone, first_year, last_year):
        low = np.searchsorted(closes, begin + offset, side="right")
        high = np.searchsorted(opens, end + offset)
        parts_open.append(np.maximum(opens[low:high] - offset, begin))
        parts_close.append(np.minimum(closes[low:high] - offset, end))
    opened, closed = np.concatenate(parts_open), np.concatenate(parts_close)
    if not len(opened):  # closed for all these years: one empty interval keeps look-ups total
        opened = closed = np.array([_day(first_year) * s.US_PER_DAY], np.int64)
    sums = np.concatenate([[0], np.cumsum(closed - opened)]).astype(np.int64)
    return _Table(opened, sums, _by_day(opened, closed))


def _table_with_room(start: Ints, amount: Ints, calendar: Calendar) -> _Table:
    """Return a table that holds every result; each guess at the years missing is plain weeks."""
    first, last = (_year_of(int(t), calendar) for t in (start.min(), start.max()))
    earliest, latest = _known_years(calendar.holidays, first, last)
    while True:
        table = _table(calendar, first, last)
        total = table.before(start) + amount
        lacks_after = max(int(total.max()) - table.total, 0)
        lacks_before = max(-int(total.min()), 0)
        if not lacks_after and not lacks_before:
            return table
        if (lacks_after and last == latest) or (lacks_before and first == earliest):
            _require_known(calendar, first - bool(lacks_before), last + bool(lacks_after))
            raise _out_of_years(calendar, f"{FIRST_YEAR} to {LAST_YEAR}")
        last = min(last + _years_for(lacks_after, calendar), latest)
        first = max(first - _years_for(lacks_before, calendar), earliest)


def _years_for(amount: int, calendar: Calendar) -> int:
    """Return about how many years hold an amount of open time; at least 1 where there is any."""
    return bool(amount) + amount // max(calendar.weekly_us, 1) * US_PER_WEEK // US_PER_YEAR


def _local_intervals(calendar: Calendar, first_year: int, last_year: int) -> Spans:
    """Opening intervals of these years in µs of local wall-clock time: sorted, not touching."""
    _require_known(calendar, first_year, last_year)
    days = np.arange(_day(first_year), _day(last_year + 1), dtype=np.int64)
    weekday = (days + _EPOCH_WEEKDAY) % 7
    weekly = _joined(
        _on(days[weekday == number], span)
        for number, spans in enumerate(calendar.hours)
        for span in spans
    )
    extra = (_spans_of(one, first_year, last_year) for one in calendar.extra_openings)
    shut = (_spans_of(one, first_year, last_year) for one in calendar.extra_closures)
    usual = _without(weekly, _holiday_spans(calendar.holidays))
    return _without(_joined([usual, *extra]), _joined(shut))


def _on(days: Ints, minutes: tuple[int, int]) -> Spans:
    begin, end = (days * s.US_PER_DAY + minute * s.US_PER_MINUTE for minute in minutes)
    return begin, end


def _spans_of(one: DaySpan, first_year: int, last_year: int) -> Spans:
    days = np.fromiter(one.days(first_year, last_year), np.int64)
    return _on(days, (one.begins, one.ends))


def _joined(parts: Iterable[Spans]) -> Spans:
    found = [(np.empty(0, np.int64), np.empty(0, np.int64)), *parts]
    return np.concatenate([begin for begin, _ in found]), np.concatenate([end for _, end in found])


def _without(spans: Spans, shut: Spans) -> Spans:
    """Return what the spans cover and `shut` does not: sorted, touching ones joined."""
    at = np.concatenate([*spans, *shut])
    counts = [len(edge) for edge in (*spans, *shut)]
    depth = np.repeat([1, -1, 0, 0], counts)
    shade = np.repeat([0, 0, 1, -1], counts)
    order = np.argsort(at, kind="stable")
    at, depth, shade = at[order], np.cumsum(depth[order]), np.cumsum(shade[order])
    settled = np.append(at[1:] != at[:-1], np.ones(min(len(at), 1), bool))
    is_open = ((depth > 0) & (shade == 0))[settled]
    turns = np.flatnonzero(np.diff(is_open, prepend=False))
    edges = at[settled][turns]
    return edges[::2], edges[1::2]


def wall_us(at: Ints, zone: str) -> Ints:
    """Return what a wall clock in the zone shows at instants (µs since 1970 by that clock).

    Exact for the years from FIRST_YEAR to LAST_YEAR; before and after them the offset is the one at
    their border.
    """
    if not len(at):
        return at
    first, end = (_day(year) * s.US_PER_DAY for year in (FIRST_YEAR, LAST_YEAR + 1))
    sane = np.clip(at, first, end - 1)
    years = [
        dt.date.fromordinal(int(t) // s.US_PER_DAY + _EPOCH).year for t in (sane.min(), sane.max())
    ]
    begins, _, offsets = (
        np.array(column, np.int64) for column in zip(*_stretches(zone, *years), strict=True)
    )
    shown: Ints = at + offsets[np.maximum(np.searchsorted(begins, sane, side="right") - 1, 0)]
    return shown


def _stretches(zone: str, first_year: int, last_year: int) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, end, offset) in µs: the spans of UTC in which the zone's offset is constant.

    They reach two days further than the years, so that all local time of the years is in them.
    """
    local = load_zone(zone)
    first, last = (_day(first_year) - 2) * 86_400, (_day(last_year + 1) + 2) * 86_400
    begin, offset = first, _offset(local, first)
    for day in range(first, last, 86_400):
        then = day + 86_400
        if _offset(local, then) != offset:
            change = _change(local, day, then)
            yield begin * s.US_PER_SECOND, change * s.US_PER_SECOND, offset * s.US_PER_SECOND
            begin, offset = change, _offset(local, change)
    yield begin * s.US_PER_SECOND, last * s.US_PER_SECOND, offset * s.US_PER_SECOND


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """Return the second, in UTC, from which the offset differs from that at `low`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, second: int) -> int:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    offset = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _day(year: int) -> int:
    return dt.date(year, 1, 1).toordinal() - _EPOCH


def _is_leap(year: int) -> bool:
    return _day(year + 1) - _day(year) > 365  # noqa: PLR2004 - days of a common year


# --- holidays ---------------------------------------------------------------------------------


_NO_DAY_FIX: Final = "Give the subdivision and the categories that are meant"


@dataclass(frozen=True, eq=False)
class _Holidays:
    """The years that the library knows, and its days in them, counted from 1970-01-01."""

    years: frozenset[int]
    whole: Ints
    half: Ints


@lru_cache(maxsize=64)
def _holidays(rule: HolidayRule) -> _Holidays:
    """Ask the library for every year; one for which it warns, or says nothing, is not known."""
    import holidays  # noqa: PLC0415 - 0.2 s that a log without holiday calendars does not pay

    country = holidays.country_holidays(rule.country)
    years: set[int] = set()
    whole: set[int] = set()
    half: set[int] = set()
    for year in range(country.start_year, country.end_year + 1):
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            closed, shortened = _holidays_of(rule, year)
        if not doubts:
            years.add(year)
            whole |= closed
            half |= shortened
    if not whole and not half:
        msg = f"holidays of {rule.country}, subdivision '{rule.subdivision}', categories"
        why = "A calendar that names holidays would have none"
        words = ", ".join(rule.categories)
        raise CodedError("SL113", f"{msg} {words}: no day in any year", why=why, fix=_NO_DAY_FIX)
    return _Holidays(frozenset(years), _sorted(whole), _sorted(half))


def _holidays_of(rule: HolidayRule, year: int) -> tuple[set[int], set[int]]:
    """Return the whole and the half holidays of a year."""
    import holidays  # noqa: PLC0415 - as above

    def days(categories: list[str]) -> set[int]:
        if not categories:
            return set()
        found = holidays.country_holidays(
            rule.country,
            subdiv=rule.subdivision or None,
            years=year,
            categories=categories,
            expand=False,
        )
        return {day.toordinal() - _EPOCH for day in found}

    whole = [category for category in rule.categories if category != HALF_DAY]
    return days(whole), days([category for category in rule.categories if category == HALF_DAY])


def _sorted(days: set[int]) -> Ints:
    return np.array(sorted(days), np.int64)


def _holiday_spans(rule: HolidayRule | None) -> Spans:
    if rule is None:
        return _joined([])
    found = _holidays(rule)
    half = _on(found.half, rule.half_days or (0, MINUTES_PER_DAY))
    return _joined([_on(found.whole, (0, MINUTES_PER_DAY)), half])


def _known_years(rule: HolidayRule | None, first: int, last: int) -> tuple[int, int]:
    """Return how far the known years reach without a gap before `first` and after `last`."""
    if rule is None:
        return FIRST_YEAR, LAST_YEAR
    years = _holidays(rule).years
    while first - 1 in years and first > FIRST_YEAR:
        first -= 1
    while last + 1 in years and last < LAST_YEAR:
        last += 1
    return first, last


def _require_known(calendar: Calendar, first: int, last: int) -> None:
    """Raise RunError SL109 where the holidays of a year are not known."""
    rule = calendar.holidays
    if rule is None:
        return
    years = _holidays(rule).years
    unknown = [year for year in range(first, last + 1) if year not in years]
    if unknown:
        known = f"it knows {min(years)} to {max(years)}" if years else "it knows none"
        msg = f"calendar '{calendar.name}': the holidays of {rule.country} in {unknown[0]}"
        why = f"The `holidays` library has none for that year ({known}), and no holiday is a guess"
        fix = "Use a calendar without them, and name the days as extra_closures"
        raise RunError("SL109", f"{msg} are not known", why=why, fix=fix)


# --- zones ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every IANA zone of the tzdata package."""
    return frozenset((resources.files("tzdata") / "zones").read_text("utf-8").split())


@lru_cache(maxsize=64)
def load_zone(name: str, *, code: str = "SL102", place: str = "time zone") -> ZoneInfo:
    """Return a zone out of the tzdata package, so that no machine's own files are asked.

    Raises a CodedError with the caller's code and place for an unknown name.
    """
    return ZoneInfo.from_file(io.BytesIO(zone_bytes(name, code=code, place=place)), key=name)


def zone_bytes(name: str, *, code: str = "SL102", place: str = "time zone") -> bytes:
    """Return a zone's TZif file out of the tzdata package; errors as load_zone has them."""
    raise_all(_zone_mistakes(name, place, code))
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def _zone_mistakes(zone: str, place: str, code: str = "SL102") -> list[CodedError]:
    if zone == "UTC" or zone in zone_names():  # UTC without reading the list: no import-time work
        return []
    msg = f"{place}: '{zone}' is unknown"
    near = did_you_mean(zone, zone_names())
    fix = near if near.startswith("Did") else "Give an IANA name such as 'Europe/Berlin'"
    return [CodedError(code, msg, fix=fix)]


# --- checks -----------------------------------------------------------------------------------


def _minutes(day: Sequence[tuple[int, int]]) -> int:
    return sum(closes - opens for opens, closes in day)


def _hours_mistakes(hours: Hours, place: str) -> list[CodedError]:
    if len(hours) != len(WEEKDAYS):
        return [CodedError("SL103", f"{place}: hours name {len(hours)} days, a week has 7")]
    mistakes = [
        CodedError("SL103", f"{place}, {name}: {message}", fix=_HOURS_FIX)
        for name, day in zip(WEEKDAYS, hours, strict=True)
        for message in _day_mistakes(day)
    ]
    if not mistakes and not any(hours):
        why = "no deadline under it would ever come"
        fix = "Give opening hours for at least one weekday"
        mistakes.append(CodedError("SL104", f"{place} is never open", why=why, fix=fix))
    return mistakes


_HOURS_FIX: Final = (
    "Write 'HH:MM-HH:MM' between 00:00 and 24:00, in order; split a shift over midnight in two"
)


def _day_mistakes(day: Sequence[tuple[int, int]]) -> Iterator[str]:
    last = 0
    for opens, closes in day:
        span = f"{_hhmm(opens)}-{_hhmm(closes)}"
        if not 0 <= opens < closes <= MINUTES_PER_DAY:
            yield f"'{span}' does not end after it begins, within the day"
        elif opens < last:
            yield f"'{span}' begins before the interval ahead of it has ended"
        last = max(last, closes)


def _hhmm(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _holiday_mistakes(rule: HolidayRule | None, place: str) -> list[CodedError]:
    if rule is None:
        return []
    import holidays  # noqa: PLC0415 - as above

    countries = holidays.list_supported_countries(include_aliases=False)
    place = f"{place}, holidays"
    if rule.country not in countries:
        return [_no_holidays(f"{place}: unknown country '{rule.country}'", rule.country, countries)]
    country = holidays.country_holidays(rule.country)
    mistakes = []
    parts = {*country.subdivisions, ""}
    if rule.subdivision not in parts:
        msg = f"{place}: {rule.country} has no subdivision '{rule.subdivision}'"
        mistakes.append(_no_holidays(msg, rule.subdivision, parts - {""}))
    for category in rule.categories or ("",):
        if category not in country.supported_categories:
            msg = f"{place}: {rule.country} has no category '{category}'"
            mistakes.append(_no_holidays(msg, category, country.supported_categories))
    return [*mistakes, *_half_day_mistakes(rule, place)]


def _half_day_mistakes(rule: HolidayRule, place: str) -> Iterator[CodedError]:
    if (HALF_DAY in rule.categories) != (rule.half_days is not None):
        msg = f"{place}: the category '{HALF_DAY}' and half_days belong together"
        why = "The library names half holidays as days, not which half"
        fix = "Write half_days = '12:00-24:00', the hours that they close"
        yield CodedError("SL110", msg, why=why, fix=fix)
    elif rule.half_days and not 0 <= rule.half_days[0] < rule.half_days[1] <= MINUTES_PER_DAY:
        span = "-".join(map(_hhmm, rule.half_days))
        msg = f"{place}: half_days '{span}' does not end after it begins, within the day"
        yield CodedError("SL110", msg, fix=_HOURS_FIX)


def _no_day(place: str, why: str) -> CodedError:
    fix = "Write a date, '2024-12-24 12:00-24:00', or '12-24 12:00-24:00' for every year"
    return CodedError("SL111", f"{place} is no part of a day", why=why, fix=fix)


def _no_holidays(
    msg: str, word: str, known: Sequence[str] | set[str] | Mapping[str, Any]
) -> CodedError:
    return CodedError("SL105", msg, fix=did_you_mean(word, known))


# --- calendars as TOML ------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HolidaySpec(_Strict):
    """`[calendar.holidays]`: nothing is taken as said that was not said."""

    country: str
    subdivision: str
    categories: list[str] = Field(min_length=1)
    half_days: str | None = None


class HoursSpec(_Strict):
    """`[calendar.hours]`: the intervals of each weekday; a weekday that is not named is closed."""

    monday: list[str] = []
    tuesday: list[str] = []
    wednesday: list[str] = []
    thursday: list[str] = []
    friday: list[str] = []
    saturday: list[str] = []
    sunday: list[str] = []


class CalendarSpec(_Strict):
    """One `[[calendar]]` of a TOML file."""

    name: str = Field(min_length=1)
    zone: str
    hours: HoursSpec
    holidays: HolidaySpec | None = None
    extra_closures: list[object] = []
    extra_openings: list[object] = []


def read_calendar(table: Mapping[str, Any], place: str) -> tuple[Calendar | None, list[CodedError]]:
    """Build a calendar from a TOML table; all its mistakes, each naming `place`, else the calendar.

    SL101 is a field that is unknown, missing or of the wrong kind; the others as in Calendar.
    """
    try:
        spec = CalendarSpec.model_validate(table)
    except ValidationError as error:
        return None, spec_mistakes(error, CalendarSpec, code="SL101", place=place)
    mistakes: list[CodedError] = []
    try:
        calendar = _calendar(spec, mistakes)
    except CodedError as error:
        mistakes += getattr(error, "errors", (error,))
    if not mistakes:
        return calendar, []
    return None, [CodedError(e.code, f"{place}: {e.what}", why=e.why, fix=e.fix) for e in mistakes]


def _calendar(spec: CalendarSpec, mistakes: list[CodedError]) -> Calendar:
    """Put a calendar together; what cannot be read is left out and added to the mistakes."""
    place = f"calendar '{spec.name}'"
    hours = _read_hours(spec.hours, place, mistakes)
    return Calendar(
        name=spec.name,
        zone=spec.zone,
        # hours that could not be read are no second mistake: that nothing is open
        hours=hours if any(hours) or not mistakes else ALWAYS.hours,
        holidays=_read_holidays(spec.holidays, place, mistakes),
        extra_closures=_read_days(spec.extra_closures, f"{place}, extra_closures", mistakes),
        extra_openings=_read_openings(spec.extra_openings, f"{place}, extra_openings", mistakes),
    )


def _read_hours(spec: HoursSpec, place: str, mistakes: list[CodedError]) -> Hours:
    days = []
    for name in WEEKDAYS:
        texts: list[str] = getattr(spec, name)
        found = [_minutes_of(text) for text in texts]
        mistakes += [
            CodedError("SL103", f"{place}, {name}: '{text}' is no interval", fix=_HOURS_FIX)
            for text, span in zip(texts, found, strict=True)
            if span is None
        ]
        days.append(tuple(span for span in found if span))
    return tuple(days)


def _minutes_of(text: str) -> tuple[int, int] | None:
    """Read 'HH:MM-HH:MM' as minutes after midnight."""
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    opens_h, opens_m, closes_h, closes_m = map(int, match.groups())
    return opens_h * 60 + opens_m, closes_h * 60 + closes_m


def _read_holidays(
    spec: HolidaySpec | None, place: str, mistakes: list[CodedError]
) -> HolidayRule | None:
    if spec is None:
        return None
    half_days = _minutes_of(spec.half_days) if spec.half_days is not None else None
    if spec.half_days is not None and half_days is None:
        msg = f"{place}, holidays: half_days '{spec.half_days}' is no interval"
        mistakes.append(CodedError("SL110", msg, fix=_HOURS_FIX))
        return None
    return HolidayRule(spec.country, spec.subdivision, tuple(spec.categories), half_days)


def _read_openings(
    values: Sequence[object], place: str, mistakes: list[CodedError]
) -> tuple[DaySpan, ...]:
    """Read extra openings: without hours it would be a guess which ones are meant."""
    hourless = [value for value in values if not (isinstance(value, str) and " " in value)]
    why = "an opening needs its hours"
    mistakes += [_no_day(f"{place}: '{_shown(value)}'", why) for value in hourless]
    return _read_days([value for value in values if value not in hourless], place, mistakes)


def _read_days(
    values: Sequence[object], place: str, mistakes: list[CodedError]
) -> tuple[DaySpan, ...]:
    found = {value: _read_day(value) for value in map(_shown, values)}
    why = "it is written in another way"
    mistakes += [_no_day(f"{place}: '{text}'", why) for text, day in found.items() if day is None]
    return tuple(sorted(day for day in found.values() if day))


def _shown(value: object) -> str:
    return str(value)[:60]


def _read_day(text: str) -> DaySpan | None:
    """Read 'YYYY-MM-DD' or 'MM-DD', each with or without ' HH:MM-HH:MM'."""
    match = _DATED.fullmatch(text)
    if match is None:
        return None
    year, month, day, hours = match.groups()
    span = _minutes_of(hours) if hours else (0, MINUTES_PER_DAY)
    return DaySpan(int(year or 0), int(month), int(day), *span) if span else None


def spec_mistakes(
    error: ValidationError, model: type[BaseModel], *, code: str, place: str
) -> list[CodedError]:
    """Turn pydantic's list into coded errors, each naming its field and, unknown, the nearest."""
    return [_spec_mistake(dict(item), model, code, place) for item in error.errors()]


def _spec_mistake(
    item: Mapping[str, Any], model: type[BaseModel], code: str, place: str
) -> CodedError:
    path = [str(step) for step in item["loc"]]
    where = f"{place}, {'.'.join(path)}"
    if item["type"] == "extra_forbidden":
        fix = did_you_mean(path[-1], _fields(model, path[:-1]))
        return CodedError(code, f"{where}: unknown field '{path[-1]}'", fix=fix)
    if item["type"] == "missing":
        return CodedError(code, f"{where}: field '{path[-1]}' is missing", fix="Give it")
    return CodedError(code, f"{where}: {item['msg']}", fix=f"Found: {item['input']!r:.60}")


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the field names of the model that the path leads to, through optional ones too."""
    for step in path:
        info = model.model_fields.get(step)
        kinds = [info.annotation, *getattr(info.annotation, "__args__", ())] if info else []
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            model = inner[0]
    return list(model.model_fields)


ALWAYS: Final = Calendar(name="24x7", zone="UTC", hours=(((0, MINUTES_PER_DAY),),) * 7)
