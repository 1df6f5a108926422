from __future__ import annotations

import datetime as dt
import random
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import holidays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.minute_clock import MinuteClock, Week, count_minutes

from process_mining import schema as s
from process_mining.clock import (
    ALWAYS,
    WEEKDAYS,
    Calendar,
    DaySpan,
    HolidayRule,
    Pauses,
    add_business_us,
    business_us,
    due_us,
    load_zone,
    paused_us,
    read_calendar,
    zone_names,
)
from process_mining.errors import CodedError, ManyCodedErrors, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from process_mining.eventlog import Ints

    Hours = Mapping[int, Sequence[tuple[str, str]]]
    Span = tuple[int, int]

ROUND: Hours = {day: [("00:00", "24:00")] for day in range(1, 8)}
OFFICE: Hours = {day: [("09:00", "17:00")] for day in range(1, 6)}
LONG: Hours = {day: [("08:00", "18:00")] for day in range(1, 6)}
SPLIT: Hours = {day: [("09:30", "12:00"), ("13:00", "17:45")] for day in range(1, 7)}
NIGHT: Hours = {day: [("00:00", "06:00"), ("22:00", "24:00")] for day in range(1, 8)}
ODD: Hours = {
    7: [("01:45", "02:15"), ("02:20", "02:40")],
    1: [("00:00", "24:00")],
}  # on and about the hour clocks change
MINUTE = s.US_PER_MINUTE


@dataclass(frozen=True)
class Place:
    """A zone, the days on which it is tried, and whose holidays its calendars keep."""

    zone: str
    first: dt.date
    last: dt.date
    country: str = "DE"
    subdivision: str = "BY"
    categories: tuple[str, ...] = ("public", "catholic")

    @property
    def rule(self) -> HolidayRule:
        return HolidayRule(self.country, self.subdivision, self.categories)

    def holidays(self) -> set[dt.date]:
        years = range(self.first.year - 1, self.last.year + 2)
        found = holidays.country_holidays(
            self.country,
            subdiv=self.subdivision or None,
            years=years,
            categories=self.categories,
            expand=False,
        )
        return set(found)


FIRST, LAST = dt.date(2023, 1, 1), dt.date(2024, 2, 1)
PLACES = (
    Place("UTC", FIRST, LAST),
    Place("Europe/Berlin", FIRST, LAST),
    Place("America/New_York", FIRST, LAST, "US", "NY", ("public",)),
    Place("Australia/Lord_Howe", FIRST, LAST, "AU", "NSW", ("public",)),  # half an hour of DST
    Place("Asia/Kolkata", FIRST, LAST, "IN", "KA", ("public",)),
    Place("Africa/Casablanca", FIRST, LAST, "MA", "", ("public",)),  # DST but for Ramadan
    # changed its clocks at 00:01
    Place("America/St_Johns", dt.date(2010, 9, 1), dt.date(2011, 12, 1), "CA", "NL", ("public",)),
    # skipped 30 December 2011
    Place("Pacific/Apia", dt.date(2011, 6, 1), dt.date(2012, 6, 1), "WS", "", ("public",)),
)
ZONES = tuple(place.zone for place in PLACES)
WEEKS = ("24x7", "office", "night", "split", "odd", "holidays", "exceptions")
HOURS = {"24x7": ROUND, "night": NIGHT, "split": SPLIT, "odd": ODD}
BAVARIA = {
    dt.date(2023, month, day)
    for month, day in (
        *((1, 1), (1, 6), (4, 7), (4, 10), (5, 1), (5, 18), (5, 29)),
        *((6, 8), (8, 15), (10, 3), (11, 1), (12, 25), (12, 26)),
    )
}


def calendar_of(
    hours: Hours,
    zone: str,
    *,
    holidays: HolidayRule | None = None,
    closures: Sequence[DaySpan] = (),
    openings: Sequence[DaySpan] = (),
) -> Calendar:
    days = tuple(tuple(minutes(*span) for span in hours.get(day, ())) for day in range(1, 8))
    return Calendar(
        "test",
        zone,
        days,
        holidays=holidays,
        extra_closures=tuple(closures),
        extra_openings=tuple(openings),
    )


def minutes(begins: str, ends: str) -> tuple[int, int]:
    a, b = (int(text[:2]) * 60 + int(text[3:]) for text in (begins, ends))
    return a, b


def us(year: int, month: int = 1, day: int = 1) -> int:
    return (dt.date(year, month, day).toordinal() - 719_163) * s.US_PER_DAY


def at(text: str) -> Ints:
    return np.array([text], "datetime64[us]").astype(np.int64)


# --- equal to counting minutes ---------------------------------------------------------------

FOUR = ("04:00", "07:30")
NOON = ("12:00", "24:00")


@lru_cache(maxsize=64)
def pair_of(place: Place, name: str) -> tuple[Calendar, MinuteClock]:
    """The same calendar twice: as ours, and as the minutes that the oracle asked."""
    if name == "holidays":
        week = Week(OFFICE, closed=place.holidays())
        calendar = calendar_of(OFFICE, place.zone, holidays=place.rule)
    elif name == "exceptions":
        calendar, week = with_exceptions(place)
    else:
        hours = HOURS.get(name, OFFICE)
        calendar, week = calendar_of(hours, place.zone), Week(hours)
    return calendar, MinuteClock(place.zone, place.first, place.last, week)


def with_exceptions(place: Place) -> tuple[Calendar, Week]:
    """Openings beat holidays, closures beat openings; every Sunday of one month, two half days."""
    sundays = [day for day in days_of(place) if day.isoweekday() == 7 and day.month in (3, 10, 11)]
    eves = [day for day in days_of(place) if (day.month, day.day) == (12, 24)]
    feasts = place.holidays()
    opened = {day: [FOUR, ("11:00", "13:00")] for day in (*sundays, *sorted(feasts)[::2])}
    shut = {day: [NOON] for day in (*sundays[::2], *eves)} | {sundays[1]: [("00:00", "24:00")]}
    calendar = calendar_of(
        NIGHT,
        place.zone,
        holidays=place.rule,
        closures=[
            DaySpan(0, 12, 24, *minutes(*NOON)),
            *spans_of(shut),
        ],
        openings=spans_of(opened),
    )
    return calendar, Week(NIGHT, closed=feasts, opened=opened, shut=shut)


def spans_of(days: Mapping[dt.date, Sequence[tuple[str, str]]]) -> list[DaySpan]:
    return [
        DaySpan(day.year, day.month, day.day, *minutes(*span))
        for day, spans in days.items()
        for span in spans
    ]


def days_of(place: Place) -> Iterator[dt.date]:
    return map(dt.date.fromordinal, range(place.first.toordinal(), place.last.toordinal()))


def spans(rng: random.Random, clock: MinuteClock, number: int, unit: int = 1) -> list[Span]:
    """Intervals of up to 40 days, a third of them from near a change of clocks, some of nothing."""
    found = []
    for index in range(number):
        if index % 3 == 0 and len(clock.changes_us):
            begin = int(rng.choice(clock.changes_us)) + rng.randrange(-s.US_PER_DAY, s.US_PER_DAY)
        else:
            begin = rng.randrange(clock.first_us, clock.last_us)
        length = rng.choice((0, 90 * MINUTE, s.US_PER_DAY, 9 * s.US_PER_DAY, 40 * s.US_PER_DAY))
        begin = max(min(begin, clock.last_us - 1), clock.first_us) // unit * unit
        end = min(begin + rng.randrange(length + 1), clock.last_us - 1) // unit * unit
        found.append((begin, end))
    return found


def columns(pairs: Sequence[Span]) -> tuple[Ints, Ints]:
    start, end = np.array(pairs, np.int64).reshape(-1, 2).T
    return start, end


def check_durations(rng: random.Random, place: Place, name: str, number: int) -> int:
    calendar, clock = pair_of(place, name)
    pairs = spans(rng, clock, number)
    start, end = columns(pairs)
    counted = [clock.between(a, b) for a, b in pairs]
    assert business_us(start, end, calendar).tolist() == counted
    assert business_us(end, start, calendar).tolist() == [-n for n in counted]
    return len(pairs)


def check_additions(rng: random.Random, place: Place, name: str, number: int) -> int:
    calendar, clock = pair_of(place, name)
    moments = [begin for begin, _ in spans(rng, clock, number)]
    amounts = [rng.randrange(1, 60 * s.US_PER_HOUR) for _ in moments]
    whole = [rng.randrange(1, 40) * 15 * MINUTE if k % 2 else n for k, n in enumerate(amounts)]
    asked = [(t, n) for t, n in zip(moments, whole, strict=True)]
    later = [(t, n, due) for t, n in asked if (due := clock.after(t, n)) is not None]
    earlier = [(t, -n, begin) for t, n in asked if (begin := clock.back(t, n)) is not None]
    start, amount, moment = np.array(later + earlier, np.int64).T
    assert add_business_us(start, amount, calendar).tolist() == moment.tolist()
    return len(start)


def check_pauses(rng: random.Random, place: Place, name: str, number: int) -> int:
    calendar, clock = pair_of(place, name)
    pairs = spans(rng, clock, number, MINUTE)
    start, end = columns(pairs)
    pauses = [(k, *one) for k, (a, b) in enumerate(pairs) for one in pauses_in(rng, a, b)]
    rng.shuffle(pauses)
    owner, begin, until = np.array(pauses, np.int64).reshape(-1, 3).T
    of = grouped(pauses, number)
    stood = paused_us(start, end, Pauses(owner, begin, until), calendar)
    worked = business_us(start, end, calendar) - stood
    counted = [clock.paused(a, b, mine) for (a, b), mine in zip(pairs, of, strict=True)]
    found = zip((worked // MINUTE).tolist(), (stood // MINUTE).tolist(), strict=True)
    assert list(found) == counted
    limits = np.array([rng.randrange(0, 3000) for _ in pairs])
    dues = [clock.due(a, int(n), mine) for (a, _), n, mine in zip(pairs, limits, of, strict=True)]
    known = np.array([due is not None for due in dues])
    kept = np.where(known)[0]
    due = due_us(start[kept], limits[kept] * MINUTE, owned(kept, owner, begin, until), calendar)
    assert due.tolist() == [due for due in dues if due is not None]
    return number + len(kept)


def pauses_in(rng: random.Random, start: int, end: int) -> list[Span]:
    """Pauses on whole minutes: touching, overlapping, empty, and beyond both ends."""
    reach = max(end - start, s.US_PER_HOUR) // MINUTE
    found = []
    for _ in range(rng.choice((0, 1, 2, 5))):
        begin = start + rng.randrange(-reach // 3, reach) * MINUTE
        found.append((begin, begin + rng.randrange(0, reach) * MINUTE))
    return found


def grouped(pauses: Sequence[tuple[int, int, int]], number: int) -> list[list[Span]]:
    found: list[list[Span]] = [[] for _ in range(number)]
    for owner, begin, end in pauses:
        found[owner].append((begin, end))
    return found


def owned(kept: Ints, owner: Ints, begin: Ints, end: Ints) -> Pauses:
    """The pauses of some intervals, which are numbered anew."""
    mine = np.isin(owner, kept)
    return Pauses(np.searchsorted(kept, owner[mine]), begin[mine], end[mine])


CHECKS = (check_durations, check_additions, check_pauses)
PER_PAIR = 180  # 8 places and 7 weeks: 10,080 of each kind


@pytest.mark.parametrize("place", PLACES, ids=ZONES)
def test_equals_counting_minutes(place: Place) -> None:
    """10,080 durations, 10,080 amounts after and before, 10,080 with pauses over all places."""
    rng = random.Random(f"minutes {place.zone}")  # noqa: S311 - a seeded test
    for check in CHECKS:
        checked = sum(check(rng, place, name, PER_PAIR) for name in WEEKS)
        assert checked >= len(WEEKS) * PER_PAIR


@pytest.mark.trial
def test_equals_counting_minutes_on_many_more() -> None:
    """200,000 durations, amounts and pauses, in the places above and 40 zones by lot."""
    rng = random.Random("a long trial")  # noqa: S311 - a seeded test
    years = [(zone, rng.randrange(1975, 2036)) for zone in rng.sample(sorted(zone_names()), 40)]
    places = [
        Place(z, dt.date(y, 1, 1), dt.date(y + 1, 1, 1), "FR", "", ("public",)) for z, y in years
    ]
    names = [(place, name) for place in (*PLACES, *places) for name in WEEKS]
    for check in CHECKS:
        assert sum(check(rng, *pair, 600) for pair in names) > 200_000


@pytest.mark.trial
def test_offsets_are_those_of_every_hour_in_every_zone() -> None:
    """The table of a zone against asking the zone hour by hour, over 598 zones and the years."""
    rng = random.Random("offsets")  # noqa: S311 - a seeded test
    for zone in sorted(zone_names()):
        calendar = calendar_of(OFFICE, zone)
        local, year = load_zone(zone), rng.randrange(1905, 2100)
        begin = us(year) // s.US_PER_SECOND
        start = np.arange(begin, begin + 365 * 86_400, 900, dtype=np.int64)
        found = business_us(start * s.US_PER_SECOND, (start + 1) * s.US_PER_SECOND, calendar) > 0
        shown = [dt.datetime.fromtimestamp(t, local) for t in start.tolist()]
        expected = [t.isoweekday() < 6 and 9 <= t.hour < 17 for t in shown]
        assert found.tolist() == expected, (zone, year)


def test_the_oracle_equals_asking_one_minute_after_another() -> None:
    """Its table of minutes against `count_minutes`, which keeps none."""
    for place in PLACES[1::3]:
        week = Week(ODD, closed=place.holidays())
        clock = MinuteClock(place.zone, place.first, place.last, week)
        for change in clock.changes_us.tolist()[:2]:
            start = dt.datetime.fromtimestamp(change // 10**6, dt.UTC) - dt.timedelta(hours=30)
            end = start + dt.timedelta(days=3)
            found = clock.between(*(int(t.timestamp()) * 10**6 for t in (start, end))) // MINUTE
            counted = count_minutes(start, end, zone=place.zone, hours=ODD, closed=week.closed)
            assert found == counted


# --- what the definition says ----------------------------------------------------------------


def test_bavarian_holidays_are_the_thirteen_of_the_year() -> None:
    """Against a list written by hand, not by the library."""
    rule = HolidayRule("DE", "BY", ("public", "catholic"))
    calendar = calendar_of(ROUND, "Europe/Berlin", holidays=rule)
    start = np.array([us(2023) + day * s.US_PER_DAY for day in range(365)])
    noon = start + 11 * s.US_PER_HOUR
    closed = business_us(noon, noon + 1, calendar) == 0
    assert {dt.date(2023, 1, 1) + dt.timedelta(days=int(n)) for n in np.flatnonzero(closed)} == (
        BAVARIA
    )


def test_fifteenth_of_august_needs_its_category() -> None:
    day = at("2023-08-15T00:00"), at("2023-08-16T00:00")
    public = calendar_of(LONG, "UTC", holidays=HolidayRule("DE", "BY", ("public",)))
    catholic = calendar_of(LONG, "UTC", holidays=HolidayRule("DE", "BY", ("public", "catholic")))
    assert business_us(*day, public).tolist() == [10 * s.US_PER_HOUR]
    assert business_us(*day, catholic).tolist() == [0]


def test_a_half_holiday_closes_the_hours_that_are_said() -> None:
    eve = at("2024-12-24T04:00"), at("2024-12-25T04:00")  # midnights of Puerto Rico
    for half_days, hours in (((720, 1440), 3), ((0, 600), 7), ((0, 1440), 0)):
        rule = HolidayRule("US", "PR", ("public", "half_day"), half_days)
        calendar = calendar_of(OFFICE, "America/Puerto_Rico", holidays=rule)
        assert business_us(*eve, calendar).tolist() == [hours * s.US_PER_HOUR]


@pytest.mark.parametrize(("day", "hours"), [("2023-03-26", 7), ("2023-10-29", 9)])
def test_a_night_shift_is_as_long_as_it_was(day: str, hours: int) -> None:
    calendar = calendar_of(NIGHT, "Europe/Berlin")
    end = at(day + "T12:00")
    assert business_us(end - s.US_PER_DAY, end, calendar).tolist() == [hours * s.US_PER_HOUR]


def test_a_holiday_ends_a_night_shift_at_its_midnight() -> None:
    calendar = calendar_of(NIGHT, "UTC", closures=[DaySpan(2024, 5, 1)])
    found = business_us(at("2024-04-30T12:00"), at("2024-05-02T12:00"), calendar)
    assert found.tolist() == [(2 + 0 + 6) * s.US_PER_HOUR]


def test_opening_hours_inside_a_skipped_hour_are_no_time_and_in_a_repeated_hour_count_twice() -> (
    None
):
    calendar = calendar_of({7: [("02:15", "02:45")]}, "Europe/Berlin")
    spring, autumn = at("2023-03-26T00:00"), at("2023-10-29T00:00")
    assert business_us(spring, spring + 3 * s.US_PER_HOUR, calendar).tolist() == [0]
    found = business_us(autumn, autumn + 3 * s.US_PER_HOUR, calendar)
    assert found.tolist() == [60 * MINUTE]


def test_a_day_that_a_zone_skipped_is_no_time() -> None:
    week = at("2011-12-26T10:00"), at("2012-01-01T10:00")  # Monday to Sunday 00:00 in Samoa
    found = business_us(*week, calendar_of(OFFICE, "Pacific/Apia"))
    assert found.tolist() == [4 * 8 * s.US_PER_HOUR]  # that Friday was not


def test_openings_beat_holidays_and_closures_beat_openings() -> None:
    """1 May 2024 was a Wednesday and a holiday, 4 May a Saturday."""
    rule = HolidayRule("DE", "BY", ("public",))
    days = at("2024-05-01T00:00"), at("2024-05-05T00:00")
    opened = [DaySpan(2024, 5, 1, 600, 720), DaySpan(2024, 5, 4, 540, 780)]
    shut = [DaySpan(0, 5, 4, 720, 1440), DaySpan(2024, 5, 3)]
    for openings, closures, hours in (((), (), 16), (opened, (), 22), (opened, shut, 13)):
        calendar = calendar_of(OFFICE, "UTC", holidays=rule, openings=openings, closures=closures)
        assert business_us(*days, calendar).tolist() == [hours * s.US_PER_HOUR]


def test_a_leap_day_of_every_year_is_one_in_four() -> None:
    calendar = calendar_of(ROUND, "UTC", closures=[DaySpan(0, 2, 29)])
    found = business_us(at("2020-01-01T00:00"), at("2028-01-01T00:00"), calendar)
    assert found.tolist() == [us(2028) - us(2020) - 2 * s.US_PER_DAY]


# --- properties ------------------------------------------------------------------------------

moments = st.integers(us(2010), us(2030))
rules = st.sampled_from(
    [None, HolidayRule("DE", "BY", ("public",)), HolidayRule("IN", "KA", ("public",))]
)
calendars = st.builds(
    calendar_of,
    st.sampled_from([OFFICE, SPLIT, NIGHT, ODD]),
    st.sampled_from(ZONES),
    holidays=rules,
    closures=st.sampled_from([(), (DaySpan(0, 12, 24, 720, 1440),)]),
    openings=st.sampled_from([(), (DaySpan(0, 12, 24, 60, 780), DaySpan(2024, 5, 4, 0, 9))]),
)
amounts = st.integers(-300 * s.US_PER_HOUR, 300 * s.US_PER_HOUR)


@given(moments, moments)
def test_24x7_is_the_wall_clock(start: int, end: int) -> None:
    everywhere = [Calendar(name="c", zone=zone, hours=ALWAYS.hours) for zone in ZONES]
    for calendar in (ALWAYS, *everywhere):
        assert int(business_us(np.int64(start), np.int64(end), calendar)) == end - start


@given(moments, moments)
@settings(deadline=None, max_examples=25)
def test_whole_days_closed_on_one_far_date_are_the_wall_clock_too(start: int, end: int) -> None:
    """The same through the table of intervals, which `continuous` calendars do not use."""
    closed = (DaySpan(2031, 6, 1),)
    for zone in ZONES:
        calendar = Calendar(name="c", zone=zone, hours=ALWAYS.hours, extra_closures=closed)
        assert int(business_us(np.int64(start), np.int64(end), calendar)) == end - start
        assert int(add_business_us(np.int64(start), np.int64(10**12), calendar)) == start + 10**12
        assert int(add_business_us(np.int64(start), np.int64(-1), calendar)) == start - 1


@given(st.lists(moments, min_size=3, max_size=3), calendars)
@settings(deadline=None)
def test_times_add_up_turn_round_and_never_fall(three: list[int], calendar: Calendar) -> None:
    a, b, c = (np.array([t], np.int64) for t in sorted(three))
    ab, bc, ac = (business_us(*pair, calendar) for pair in ((a, b), (b, c), (a, c)))
    assert (ab + bc).tolist() == ac.tolist()
    assert business_us(b, a, calendar).tolist() == (-ab).tolist()
    assert 0 <= int(ab[0]) <= int(b[0] - a[0])


@given(moments, amounts, calendars)
@settings(deadline=None)
def test_adding_is_the_inverse_and_gives_the_nearest_such_moment(
    start: int, amount: int, calendar: Calendar
) -> None:
    begin, more = np.array([start], np.int64), np.array([amount], np.int64)
    moment = add_business_us(begin, more, calendar)
    assert business_us(begin, moment, calendar).tolist() == [amount]
    if amount:
        nearer = moment - np.sign(more)
        assert business_us(begin, nearer, calendar).tolist() == [amount - np.sign(amount)]
    else:
        assert moment.tolist() == [start]


@given(moments, moments, calendars, st.lists(st.tuples(moments, moments), max_size=6))
@settings(deadline=None)
def test_pauses_count_once_whatever_their_order(
    start: int, end: int, calendar: Calendar, pairs: list[Span]
) -> None:
    begin, until = columns([(min(pair), max(pair)) for pair in pairs])
    none = np.zeros(len(pairs), np.int64)
    interval = np.array([start]), np.array([end])
    stood = paused_us(*interval, Pauses(none, begin, until), calendar)
    twice = Pauses(*(np.concatenate([x[::-1], x]) for x in (none, begin, until)))
    assert paused_us(*interval, twice, calendar).tolist() == stood.tolist()
    turned = paused_us(interval[1], interval[0], twice, calendar)
    assert turned.tolist() == (-stood).tolist()
    assert 0 <= abs(int(stood[0])) <= abs(int(business_us(*interval, calendar)[0]))
    assert abs(int(stood[0])) <= int(business_us(begin, until, calendar).sum())


@given(moments, st.integers(0, 300 * s.US_PER_HOUR), calendars)
@settings(deadline=None)
def test_due_without_pauses_is_adding(start: int, limit: int, calendar: Calendar) -> None:
    begin, more = np.array([start]), np.array([limit])
    found = due_us(begin, more, none_paused(), calendar)
    assert found.tolist() == add_business_us(begin, more, calendar).tolist()


def none_paused() -> Pauses:
    none = np.empty(0, np.int64)
    return Pauses(none, none, none)


@given(
    moments,
    st.integers(1, 100 * s.US_PER_HOUR),
    calendars,
    st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 10**12)), max_size=6),
)
@settings(deadline=None)
def test_by_the_due_moment_the_limit_is_used_up_and_not_before(
    start: int, limit: int, calendar: Calendar, spans: list[Span]
) -> None:
    begin = np.array([start + offset for offset, _ in spans], np.int64)
    until = begin + np.array([length for _, length in spans], np.int64)
    pauses = Pauses(np.zeros(len(spans), np.int64), begin, until)
    first = np.array([start])
    due = due_us(first, np.array([limit]), pauses, calendar)

    def used(end: Ints) -> int:
        return int((business_us(first, end, calendar) - paused_us(first, end, pauses, calendar))[0])

    assert used(due) == limit
    assert used(due - 1) == limit - 1


def test_order_and_company_of_rows_change_nothing() -> None:
    rng = np.random.default_rng(7)
    start = rng.integers(us(2000), us(2030), 300)
    end = start + rng.integers(0, 40 * s.US_PER_DAY, 300)
    calendar = calendar_of(SPLIT, "America/New_York")
    together = business_us(start, end, calendar)
    alone = [int(business_us(a, b, calendar)) for a, b in zip(start, end, strict=True)]
    assert together.tolist() == alone
    later = add_business_us(start, end - start, calendar)
    alone = [int(add_business_us(a, b - a, calendar)) for a, b in zip(start, end, strict=True)]
    assert later.tolist() == alone


def test_no_rows_give_no_rows() -> None:
    none, office = np.empty(0, np.int64), calendar_of(OFFICE, "UTC")
    for calendar in (ALWAYS, office):
        assert business_us(none, none, calendar).tolist() == []
        assert add_business_us(none, none, calendar).tolist() == []
        assert paused_us(none, none, none_paused(), calendar).tolist() == []
        assert due_us(none, none, none_paused(), calendar).tolist() == []


# --- bounds ----------------------------------------------------------------------------------


def test_a_placeholder_date_is_a_coded_error() -> None:
    office = calendar_of(OFFICE, "UTC")
    for placeholder in ("9999-12-31T00:00", "0001-01-01T00:00", "1899-12-31T23:59", "2200-01-01"):
        for pair in ((at("2024-01-01"), at(placeholder)), (at(placeholder), at("2024-01-01"))):
            with pytest.raises(RunError, match="SL107"):
                business_us(*pair, office)
        with pytest.raises(RunError, match="SL107"):
            add_business_us(at(placeholder), np.int64(1), office)


def test_what_is_no_time_is_refused_under_24x7_too() -> None:
    nat = np.array(["NaT"], "datetime64[us]").astype(np.int64)
    with pytest.raises(RunError, match="SL107"):
        business_us(at("2024-01-01"), nat, ALWAYS)
    with pytest.raises(RunError, match="SL107"):
        add_business_us(nat, np.int64(1), ALWAYS)
    with pytest.raises(RunError, match="SL108"):
        add_business_us(at("9999-12-31T23:59"), np.int64(s.US_PER_HOUR), ALWAYS)
    with pytest.raises(RunError, match="SL108"):
        add_business_us(at("2024-01-01"), np.int64(2**62), ALWAYS)
    assert business_us(at("2024-01-01"), at("9999-12-31"), ALWAYS) == us(9999, 12, 31) - us(2024)


def test_the_first_and_the_last_year_are_whole_by_local_time() -> None:
    """Their first and last hours lie in other years by UTC."""
    shut = [DaySpan(2050, 6, 1)]
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"):
        calendar = calendar_of(ROUND, zone, closures=shut)
        first, last = (
            dt.datetime(*parts, tzinfo=load_zone(zone)).timestamp()
            for parts in ((1900, 1, 1), (2199, 12, 31, 23, 59, 59))
        )
        start, end = (np.array([round(t)]) * s.US_PER_SECOND for t in (first, last))
        assert business_us(start, end, calendar).tolist() == (end - start - s.US_PER_DAY).tolist()
        for outside in (start - s.US_PER_SECOND, end + s.US_PER_SECOND):
            with pytest.raises(RunError, match="SL107"):
                business_us(outside, outside, calendar)


def test_only_whole_microseconds_are_taken() -> None:
    stamps = np.array(["2024-01-01"], "datetime64[ns]")
    for wrong in (stamps, np.array([1.5])):
        with pytest.raises(TypeError, match="whole microseconds"):
            business_us(wrong, wrong, ALWAYS)


def test_a_deadline_may_lie_years_ahead_but_not_for_ever() -> None:
    rare = calendar_of({1: [("00:00", "00:01")]}, "UTC")
    start = at("2024-01-01T00:00")  # a Monday
    ahead, back = (np.int64(n * MINUTE) for n in (53, -53))
    assert add_business_us(start, ahead, rare).tolist() == at("2024-12-30T00:01").tolist()
    assert add_business_us(start, back, rare).tolist() == at("2022-12-26T00:00").tolist()
    for far in (20_000, -20_000):
        with pytest.raises(RunError, match="SL108"):
            add_business_us(start, np.int64(far * MINUTE), rare)


@pytest.mark.parametrize(
    ("rule", "known", "unknown"),
    [
        (("DE", "BY", ("public",)), (1991, 2100), (1990, 2101)),
        (("IN", "KA", ("public",)), (2001, 2035), (2000, 2036)),
    ],
)
def test_years_of_unknown_holidays_are_no_years_without_holidays(
    rule: tuple[str, str, tuple[str, ...]], known: tuple[int, int], unknown: tuple[int, int]
) -> None:
    """The library answers 'none' for them, with a warning at most."""
    calendar = calendar_of(OFFICE, "UTC", holidays=HolidayRule(*rule))
    first, last = (np.array([us(year, 6, 1)]) for year in known)
    assert business_us(first, last, calendar)[0] > 0
    for year in unknown:
        with pytest.raises(RunError, match=f"SL109 .*{rule[0]} in {year} are not known"):
            business_us(first, np.array([us(year, 6, 1)]), calendar)
    hours = np.array([s.US_PER_HOUR * 8 * 60])
    assert (add_business_us(last, hours, calendar) < us(known[1] + 1)).all()
    assert (add_business_us(first, -hours, calendar) >= us(known[0])).all()
    for start, amount in ((last, hours * 4), (first, -hours * 4)):
        with pytest.raises(RunError, match="SL109"):
            add_business_us(start, amount, calendar)


def test_holidays_that_name_no_day_at_all_are_a_mistake() -> None:
    calendar = calendar_of(OFFICE, "UTC", holidays=HolidayRule("DE", "", ("catholic",)))
    with pytest.raises(CodedError, match="SL113"):
        business_us(at("2024-01-01"), at("2024-02-01"), calendar)


# --- pauses ----------------------------------------------------------------------------------


def test_pauses_that_are_none_are_refused() -> None:
    one, none = np.array([5]), np.array([0])
    with pytest.raises(RunError, match="SL112 1 of 1 pauses end before they begin"):
        Pauses(none, one, one - 1)
    with pytest.raises(ValueError, match="equally long"):
        Pauses(none, one, np.array([5, 6]))
    for owner in (1, -1):
        pauses = Pauses(np.array([owner]), one, one)
        with pytest.raises(ValueError, match="belong to"):
            paused_us(one, one, pauses, ALWAYS)
    with pytest.raises(ValueError, match="negative"):
        due_us(one, -one, none_paused(), ALWAYS)
    with pytest.raises(ValueError, match="columns"):
        paused_us(np.int64(1), np.int64(2), none_paused(), ALWAYS)


def test_a_pause_that_has_not_ended_is_cut_to_its_interval() -> None:
    start, end = at("2024-01-01T09:00"), at("2024-01-01T17:00")  # a Monday
    pauses = Pauses(np.array([0]), start + s.US_PER_HOUR, at("9999-12-31"))
    found = paused_us(start, end, pauses, calendar_of(OFFICE, "UTC"))
    assert found.tolist() == [7 * s.US_PER_HOUR]


# --- calendars as TOML -----------------------------------------------------------------------

GOOD = """
name = "munich"
zone = "Europe/Berlin"
extra_closures = [2024-12-24, "2024-12-27 12:00-24:00", "12-31 14:00-24:00"]
extra_openings = ["2024-12-28 09:00-13:00"]
[hours]
monday = ["08:00-12:00", "13:00-24:00"]
[holidays]
country = "DE"
subdivision = "BY"
categories = ["public"]
"""


def codes(text: str) -> tuple[list[str], str]:
    calendar, mistakes = read_calendar(tomllib.loads(text), "x.toml")
    assert (calendar is None) == bool(mistakes)
    assert all("x.toml" in str(mistake) for mistake in mistakes)
    return [mistake.code for mistake in mistakes], " ".join(map(str, mistakes))


def test_a_calendar_is_read() -> None:
    calendar, mistakes = read_calendar(tomllib.loads(GOOD), "x.toml")
    assert mistakes == []
    assert calendar is not None
    assert calendar.hours[0] == ((480, 720), (780, 1440))
    assert dict(zip(WEEKDAYS, calendar.hours, strict=True))["sunday"] == ()
    assert calendar.extra_closures == (
        DaySpan(0, 12, 31, 14 * 60, 24 * 60),
        DaySpan(2024, 12, 24),
        DaySpan(2024, 12, 27, 12 * 60, 24 * 60),
    )
    assert [str(one) for one in calendar.extra_openings] == ["2024-12-28 09:00-13:00"]


def test_the_order_of_exceptions_makes_no_other_calendar() -> None:
    other = GOOD.replace('2024-12-24, "2024-12-27', '"12-31 14:00-24:00", 2024-12-24, "2024-12-27')
    assert read_calendar(tomllib.loads(other), "x") == read_calendar(tomllib.loads(GOOD), "x")


def test_half_days_are_read() -> None:
    text = GOOD.replace('"DE"', '"US"').replace('"BY"', '"PR"')
    text = text.replace('["public"]', '["public", "half_day"]\nhalf_days = "12:00-24:00"')
    calendar, mistakes = read_calendar(tomllib.loads(text), "x.toml")
    assert mistakes == []
    assert calendar is not None
    assert calendar.holidays == HolidayRule("US", "PR", ("public", "half_day"), (720, 1440))


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("zone =", "zoen =", "SL101", "Did you mean 'zone'?"),
        ("monday =", "mondey =", "SL101", "Did you mean 'monday'?"),
        ("country =", "land =", "SL101", "missing"),
        ('["public"]', '"public"', "SL101", "list"),
        ("Europe/Berlin", "Europe/Berlyn", "SL102", "Did you mean 'Europe/Berlin'?"),
        ("Europe/Berlin", "../../etc/localtime", "SL102", "IANA"),
        ("08:00-12:00", "8-12", "SL103", "HH:MM"),
        ("08:00-12:00", "12:00-08:00", "SL103", "does not end after it begins"),
        ("13:00-24:00", "13:00-24:01", "SL103", "24:01"),
        ("13:00-24:00", "11:00-15:00", "SL103", "begins before"),
        ('monday = ["08:00-12:00", "13:00-24:00"]', "", "SL104", "never open"),
        ('"DE"', '"DX"', "SL105", "unknown country"),
        ('"BY"', '"BX"', "SL105", "subdivision 'BX'"),
        ('"public"', '"publik"', "SL105", "Did you mean 'public'?"),
        ('["public"]', '["public"]\nhalf_days = "12:00-24:00"', "SL110", "belong together"),
        ('["public"]', '["public"]\nhalf_days = "noon"', "SL110", "'noon' is no interval"),
        ('["public"]', '["public"]\nhalf_days = "13:00-12:00"', "SL110", "belong together"),
        (
            '"DE"\nsubdivision = "BY"\ncategories = ["public"]',
            '"US"\nsubdivision = "PR"\ncategories = ["half_day"]',
            "SL110",
            "which half",
        ),
        ("2024-12-24,", "2024-12-24T12:00:00,", "SL111", "in another way"),
        ("2024-12-24,", "12,", "SL111", "'12'"),
        ("12-31 14", "0000-12-31 14", "SL111", "0000-12-31"),
        ("2024-12-27 12", "2024-13-27 12", "SL111", "no such day"),
        ("2024-12-27 12", "2023-02-29 12", "SL111", "no such day"),
        ("2024-12-27 12", "1066-12-27 12", "SL111", "1900 to 2199"),
        ("12-31 14:00-24:00", "12-31 14:00-12:00", "SL111", "does not end after"),
        ("2024-12-28 09:00-13:00", "2024-12-28", "SL111", "needs its hours"),
    ],
)
def test_mistakes_are_coded_and_say_the_mend(old: str, new: str, code: str, says: str) -> None:
    found, message = codes(GOOD.replace(old, new))
    assert code in found
    assert says in message


def test_all_mistakes_at_once() -> None:
    text = GOOD.replace("Europe/Berlin", "Mars").replace("13:00", "11:00").replace('"DE"', '"DX"')
    assert codes(text)[0] == ["SL102", "SL103", "SL105"]
    assert codes(text.replace("11:00-24", "noon-24"))[0] == ["SL103", "SL102", "SL105"]
    with pytest.raises(ManyCodedErrors):
        Calendar(name="c", zone="Mars", hours=((),) * 7)


def test_zones_do_not_come_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", ("/nowhere",))
    assert load_zone("Europe/Berlin").key == "Europe/Berlin"
    with pytest.raises(CodedError, match="SL102"):
        load_zone("Europe/Nowhere")


def test_a_zone_is_refused_with_the_callers_code_and_place() -> None:
    with pytest.raises(CodedError, match=r"LG999 --timezone: .*Did you mean 'Europe/Berlin'\?"):
        load_zone("Europe/Berlim", code="LG999", place="--timezone")
