"""How much business time lies between two moments, and when is an amount of it used up?

A calendar is open at an instant when the wall clock of its zone then shows an opening hour of a
day that is neither a holiday nor an extra closure. With B(t) the open time before t, the business
time from `start` to `end` is B(end) - B(start): int64 microseconds, exact, additive, and negative
where `end` lies before `start` (minus the time of the reverse).

What follows from that one definition where clocks change: an hour that the zone skips is no time;
an hour that it repeats counts twice; hours that name only part of a skipped or repeated hour are
open while the wall clock reads them. `24x7` equals the wall clock in every zone.

Opening hours are whole minutes of local time, `HH:MM-HH:MM` up to `24:00`; a shift over midnight
is written as two. Holidays come from the `holidays` library and are local dates: country,
subdivision and categories must all be said, for they differ (15 August is a holiday in Bavaria
only with the category `catholic`); days moved to a weekday ("observed") count as that library has
them. Zones come from the tzdata package and never from the machine.

Method: the zone's offsets change a few times a year; between two changes local time is UTC plus a
constant, so whole years of opening hours become one sorted table of UTC intervals with running
sums, and a moment costs one binary search: O(n log m) for n moments and m opening intervals of the
years that the data spans. Supported are the years 1900 to 2199. Sources: IANA tz database;
ISO 8601 for weekdays and times.

What it does not check: whether a calendar is the one that was agreed; half-day holidays (give the
date as an extra closure, or not at all).
"""

from __future__ import annotations

import datetime as dt
import re
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
    from collections.abc import Iterator, Mapping, Sequence

    from process_mining.eventlog import Ints

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2199
MINUTES_PER_DAY: Final = 24 * 60
US_PER_WEEK: Final = 7 * s.US_PER_DAY
_SPAN: Final = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday

Hours = tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class HolidayRule:
    """Whose holidays close a calendar; an empty subdivision means the nationwide ones alone."""

    country: str
    subdivision: str
    categories: tuple[str, ...]


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
    extra_closures: tuple[dt.date, ...] = ()

    def __post_init__(self) -> None:
        """Raise all mistakes at once: SL102 zone, SL103 hours, SL104 never open, SL105 holidays."""
        place = f"calendar '{self.name}'"
        mistakes = [
            *_zone_mistakes(self.zone, f"{place}, zone"),
            *_hours_mistakes(self.hours, place),
        ]
        raise_all([*mistakes, *_holiday_mistakes(self.holidays, place)])

    @property
    def continuous(self) -> bool:
        """Whether the calendar never closes, so that business time is the wall clock's."""
        full = all(_minutes(day) == MINUTES_PER_DAY for day in self.hours)
        return full and self.holidays is None and not self.extra_closures

    @property
    def weekly_us(self) -> int:
        """Open time of a week without holidays and clock changes, in µs."""
        return sum(map(_minutes, self.hours)) * s.US_PER_MINUTE


def business_us(start: Ints, end: Ints, calendar: Calendar) -> Ints:
    """Return the open time from each start to each end, in µs; both are µs UTC.

    Raises RunError SL107 for a moment outside the years 1900 to 2199.
    """
    start, end = np.broadcast_arrays(np.asarray(start, np.int64), np.asarray(end, np.int64))
    if calendar.continuous or not start.size:
        return np.asarray(end - start)
    first = _year_of(min(int(start.min()), int(end.min())), calendar)
    last = _year_of(max(int(start.max()), int(end.max())), calendar)
    table = _table(calendar, first, last)
    return table.before(end) - table.before(start)


def add_business_us(start: Ints, amount: Ints, calendar: Calendar) -> Ints:
    """Return the first moment at which `amount` µs of open time have passed since each start.

    An amount of 0 gives the start itself, open or not; a positive amount always ends inside an
    opening interval or at its close. Raises ValueError for a negative amount, RunError SL108 where
    the moment would lie after the year 2199.
    """
    start, amount = np.broadcast_arrays(np.asarray(start, np.int64), np.asarray(amount, np.int64))
    if start.size and int(amount.min()) < 0:
        msg = "an amount of business time to add is negative"
        raise ValueError(msg)
    if calendar.continuous or not start.size:
        return np.asarray(start + amount)
    table = _table_with_room(start, amount, calendar)
    moment = table.when(table.before(start) + amount)
    return np.where(amount == 0, start, moment)


@dataclass(frozen=True, eq=False)
class _Table:
    """Open intervals in UTC, sorted, and the open time before each; one entry more at the end."""

    opens: Ints
    closes: Ints
    sums: Ints

    def before(self, moment: Ints) -> Ints:
        """B(t): the open time of the table before each moment."""
        row = np.searchsorted(self.opens, moment, side="right") - 1
        inside = np.minimum(moment, self.closes[row]) - self.opens[row]
        return np.where(row < 0, 0, self.sums[row] + inside)

    def when(self, total: Ints) -> Ints:
        """Return the first moment t with B(t) = total, for totals above 0."""
        row = np.maximum(np.searchsorted(self.sums, total, side="left") - 1, 0)
        return self.opens[row] + (total - self.sums[row])

    @property
    def total(self) -> int:
        """All open time of the table."""
        return int(self.sums[-1])


@lru_cache(maxsize=64)
def _table(calendar: Calendar, first_year: int, last_year: int) -> _Table:
    """Opening intervals that touch the UTC years first_year..last_year.

    A function of its arguments alone, so keeping the last few changes no result.
    """
    opens, closes = _local_intervals(calendar, first_year, last_year)
    parts_open, parts_close = [], []
    for begin, end, offset in _stretches(calendar.zone, first_year, last_year):
        low, high = np.searchsorted(closes, begin + offset), np.searchsorted(opens, end + offset)
        parts_open.append(np.maximum(opens[low:high] - offset, begin))
        parts_close.append(np.minimum(closes[low:high] - offset, end))
    opened, closed = np.concatenate(parts_open), np.concatenate(parts_close)
    some = closed > opened
    opened, closed = opened[some], closed[some]
    if not len(opened):  # closed for all these years: one empty interval keeps look-ups total
        opened = closed = np.array([_midnight(first_year)], np.int64)
    sums = np.concatenate([[0], np.cumsum(closed - opened)]).astype(np.int64)
    return _Table(opened, closed, sums)


def _table_with_room(start: Ints, amount: Ints, calendar: Calendar) -> _Table:
    """Return a table that holds the end of every amount; the first guess is the plain weeks."""
    first, last = _year_of(int(start.min()), calendar), _year_of(int(start.max()), calendar)
    more = 1 + int(amount.max()) * US_PER_WEEK // calendar.weekly_us // (366 * s.US_PER_DAY)
    while True:
        table = _table(calendar, first, min(last + more, LAST_YEAR))
        if int((table.before(start) + amount).max()) <= table.total:
            return table
        if last + more >= LAST_YEAR:
            msg = f"calendar '{calendar.name}': a deadline lies after the year {LAST_YEAR}"
            raise RunError("SL108", msg, fix="Open the calendar or shorten the limit")
        more *= 2


def _local_intervals(calendar: Calendar, first_year: int, last_year: int) -> tuple[Ints, Ints]:
    """Opening and closing moments in µs of local wall-clock time, sorted, a day to spare."""
    first, last = _day(first_year) - 2, _day(last_year + 1) + 2
    days = np.arange(first, last, dtype=np.int64)
    closed = _holiday_days(calendar.holidays, first_year, last_year)
    closed |= {day.toordinal() - _EPOCH for day in calendar.extra_closures}
    days = days[~np.isin(days, np.array(sorted(closed), np.int64))]
    weekday = (days + _EPOCH_WEEKDAY) % 7
    spans = [(d, a, b) for d, day in enumerate(calendar.hours) for a, b in day]
    opens = [days[weekday == d] * s.US_PER_DAY + a * s.US_PER_MINUTE for d, a, _ in spans]
    closes = [days[weekday == d] * s.US_PER_DAY + b * s.US_PER_MINUTE for d, _, b in spans]
    return np.sort(np.concatenate(opens)), np.sort(np.concatenate(closes))


def _holiday_days(rule: HolidayRule | None, first_year: int, last_year: int) -> set[int]:
    if rule is None:
        return set()
    import holidays  # noqa: PLC0415 - 0.2 s that a log without holiday calendars does not pay

    found = holidays.country_holidays(
        rule.country,
        subdiv=rule.subdivision or None,
        years=range(first_year - 1, last_year + 2),
        categories=rule.categories,
        expand=False,
    )
    return {day.toordinal() - _EPOCH for day in found}


def _stretches(zone: str, first_year: int, last_year: int) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, end, offset) in µs: the spans of UTC in which the zone's offset is constant."""
    local = load_zone(zone)
    first, last = _day(first_year) * 86_400, _day(last_year + 1) * 86_400
    begin, offset = first, _offset(local, first)
    for day in range(first, last, 86_400):
        then = min(day + 86_400, last)
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


def _midnight(year: int) -> int:
    return _day(year) * s.US_PER_DAY


def _year_of(moment_us: int, calendar: Calendar) -> int:
    if _midnight(FIRST_YEAR) <= moment_us < _midnight(LAST_YEAR + 1):
        return dt.date.fromordinal(moment_us // s.US_PER_DAY + _EPOCH).year
    msg = f"calendar '{calendar.name}': the moment {moment_us} µs lies outside the years"
    why = "A placeholder such as 9999-12-31 is no time at which something happened"
    fix = "Declare such values as missing in the mapping"
    raise RunError("SL107", f"{msg} {FIRST_YEAR} to {LAST_YEAR}", why=why, fix=fix)


# --- zones ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every IANA zone of the tzdata package."""
    return frozenset((resources.files("tzdata") / "zones").read_text("utf-8").split())


@lru_cache(maxsize=64)
def load_zone(name: str) -> ZoneInfo:
    """Return a zone out of the tzdata package, so that no machine's own files are asked.

    Raises CodedError SL102 for an unknown name.
    """
    raise_all(_zone_mistakes(name, "time zone"))
    source = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with source.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _zone_mistakes(zone: str, place: str) -> list[CodedError]:
    if zone == "UTC" or zone in zone_names():  # UTC without reading the list: no import-time work
        return []
    msg = f"{place}: '{zone}' is unknown"
    near = did_you_mean(zone, zone_names())
    fix = near if near.startswith("Did") else "Give an IANA name such as 'Europe/Berlin'"
    return [CodedError("SL102", msg, fix=fix)]


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
    return mistakes


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

    def rule(self) -> HolidayRule:
        """Return the same, frozen."""
        return HolidayRule(self.country, self.subdivision, tuple(self.categories))


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
    extra_closures: list[dt.date] = []


def read_calendar(table: Mapping[str, Any], place: str) -> tuple[Calendar | None, list[CodedError]]:
    """Build a calendar from a TOML table; all its mistakes, each naming `place`, else the calendar.

    SL101 is a field that is unknown, missing or of the wrong kind; SL102 to SL105 as in Calendar.
    """
    try:
        spec = CalendarSpec.model_validate(table)
    except ValidationError as error:
        return None, spec_mistakes(error, CalendarSpec, code="SL101", place=place)
    hours, mistakes = _read_hours(spec.hours, f"calendar '{spec.name}'")
    if not mistakes:
        try:
            return _calendar(spec, hours), []
        except CodedError as error:
            mistakes = list(getattr(error, "errors", (error,)))
    return None, [CodedError(e.code, f"{place}: {e.what}", why=e.why, fix=e.fix) for e in mistakes]


def _calendar(spec: CalendarSpec, hours: Hours) -> Calendar:
    return Calendar(
        name=spec.name,
        zone=spec.zone,
        hours=hours,
        holidays=spec.holidays.rule() if spec.holidays else None,
        extra_closures=tuple(sorted(set(spec.extra_closures))),
    )


def _read_hours(spec: HoursSpec, place: str) -> tuple[Hours, list[CodedError]]:
    days, mistakes = [], []
    for name in WEEKDAYS:
        texts: list[str] = getattr(spec, name)
        matches = [_SPAN.fullmatch(text) for text in texts]
        mistakes += [
            CodedError("SL103", f"{place}, {name}: '{text}' is no interval", fix=_HOURS_FIX)
            for text, match in zip(texts, matches, strict=True)
            if match is None
        ]
        found = [[int(number) for number in match.groups()] for match in matches if match]
        days.append(tuple((h * 60 + m, hh * 60 + mm) for h, m, hh, mm in found))
    return tuple(days), mistakes


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
