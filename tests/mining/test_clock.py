from __future__ import annotations

import datetime as dt
import random
import tomllib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.minute_clock import count_minutes

from process_mining import schema as s
from process_mining.clock import (
    ALWAYS,
    WEEKDAYS,
    Calendar,
    HolidayRule,
    add_business_us,
    business_us,
    load_zone,
    read_calendar,
)
from process_mining.errors import CodedError, ManyCodedErrors, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from process_mining.eventlog import Ints

    Hours = Mapping[int, Sequence[tuple[str, str]]]
    Pair = tuple[dt.datetime, dt.datetime]

OFFICE: Hours = {day: [("08:00", "18:00")] for day in range(1, 6)}
SPLIT: Hours = {day: [("09:30", "12:00"), ("13:00", "17:45")] for day in range(1, 7)}
NIGHT: Hours = {day: [("00:00", "06:00"), ("22:00", "24:00")] for day in range(1, 8)}
ODD: Hours = {
    7: [("02:15", "02:45")],
    1: [("00:00", "24:00")],
}  # on and about the hour clocks change
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
# The hours around each zone's changes of 2023, where most faults of business clocks lie.
CHANGES = ("2023-03-12", "2023-03-26", "2023-04-02", "2023-10-01", "2023-10-29", "2023-11-05")
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
    extra_closures: tuple[dt.date, ...] = (),
) -> Calendar:
    days = tuple(
        tuple((_minute(a), _minute(b)) for a, b in hours.get(day, ())) for day in range(1, 8)
    )
    return Calendar("test", zone, days, holidays=holidays, extra_closures=extra_closures)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def us(year: int, month: int = 1, day: int = 1) -> int:
    return (dt.date(year, month, day).toordinal() - 719_163) * s.US_PER_DAY


def at(text: str) -> Ints:
    return np.array([text], "datetime64[us]").astype(np.int64)


def intervals(rng: random.Random, number: int) -> Iterator[Pair]:
    """Whole-minute intervals of up to two weeks; half of them begin around a change of clocks."""
    for index in range(number):
        if index % 2:
            begin = dt.datetime.fromisoformat(rng.choice(CHANGES) + "T00:00+00:00")
            begin += dt.timedelta(minutes=rng.randrange(-1440, 1440))
        else:
            begin = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
            begin += dt.timedelta(minutes=rng.randrange(360 * 1440))
        length = rng.choice((90, 1440, 4 * 1440, 9 * 1440))
        yield begin, begin + dt.timedelta(minutes=rng.randrange(length))


def columns(pairs: Sequence[Pair]) -> Ints:
    found = [[round(t.timestamp()) * s.US_PER_SECOND for t in pair] for pair in pairs]
    return np.array(found, np.int64).T


@pytest.mark.parametrize("zone", ZONES)
def test_equals_counting_minutes(zone: str) -> None:
    rng = random.Random(f"minutes {zone}")  # noqa: S311 - a seeded test
    closed = {dt.date(2023, 3, 27), dt.date(2023, 10, 30), dt.date(2023, 4, 2)}
    for hours in (OFFICE, SPLIT, NIGHT, ODD):
        calendar = calendar_of(hours, zone, extra_closures=tuple(sorted(closed)))
        pairs = list(intervals(rng, 22))
        start, end = columns(pairs)
        counted = [count_minutes(a, b, zone=zone, hours=hours, closed=closed) for a, b in pairs]
        found = business_us(start, end, calendar)
        assert found.tolist() == [n * s.US_PER_MINUTE for n in counted]


def test_bavarian_holidays_equal_counting_minutes() -> None:
    rule = HolidayRule("DE", "BY", ("public", "catholic"))
    calendar = calendar_of(OFFICE, "Europe/Berlin", holidays=rule)
    begin = dt.datetime(2022, 12, 30, 7, 13, tzinfo=dt.UTC)
    pairs = [(begin, begin + dt.timedelta(days=n)) for n in (5, 100, 370)]
    start, end = columns(pairs)
    closed = BAVARIA | {dt.date(2024, 1, 1)}
    counted = [
        count_minutes(a, b, zone="Europe/Berlin", hours=OFFICE, closed=closed) for a, b in pairs
    ]
    assert business_us(start, end, calendar).tolist() == [n * s.US_PER_MINUTE for n in counted]


def test_fifteenth_of_august_needs_its_category() -> None:
    day = at("2023-08-15T00:00"), at("2023-08-16T00:00")
    public = calendar_of(OFFICE, "UTC", holidays=HolidayRule("DE", "BY", ("public",)))
    catholic = calendar_of(OFFICE, "UTC", holidays=HolidayRule("DE", "BY", ("public", "catholic")))
    assert business_us(*day, public).tolist() == [10 * s.US_PER_HOUR]
    assert business_us(*day, catholic).tolist() == [0]


@pytest.mark.parametrize(("day", "hours"), [("2023-03-26", 7), ("2023-10-29", 9)])
def test_a_night_shift_is_as_long_as_it_was(day: str, hours: int) -> None:
    calendar = calendar_of(NIGHT, "Europe/Berlin")
    end = at(day + "T12:00")
    assert business_us(end - s.US_PER_DAY, end, calendar).tolist() == [hours * s.US_PER_HOUR]


def test_opening_hours_inside_a_skipped_hour_are_no_time_and_in_a_repeated_hour_count_twice() -> (
    None
):
    calendar = calendar_of(ODD, "Europe/Berlin")  # Sundays 02:15-02:45
    spring, autumn = at("2023-03-26T00:00"), at("2023-10-29T00:00")
    assert business_us(spring, spring + 3 * s.US_PER_HOUR, calendar).tolist() == [0]
    found = business_us(autumn, autumn + 3 * s.US_PER_HOUR, calendar)
    assert found.tolist() == [60 * s.US_PER_MINUTE]


moments = st.integers(us(2010, 1, 1), us(2030, 1, 1))
calendars = st.builds(
    calendar_of, st.sampled_from([OFFICE, SPLIT, NIGHT, ODD]), st.sampled_from(ZONES)
)


@given(moments, moments)
def test_24x7_is_the_wall_clock(start: int, end: int) -> None:
    everywhere = [Calendar(name="c", zone=zone, hours=ALWAYS.hours) for zone in ZONES]
    for calendar in (ALWAYS, *everywhere):
        assert int(business_us(np.int64(start), np.int64(end), calendar)) == end - start


@given(moments, moments)
def test_whole_days_closed_on_one_far_date_are_the_wall_clock_too(start: int, end: int) -> None:
    """The same through the table of intervals, which `continuous` calendars do not use."""
    closed = (dt.date(2031, 6, 1),)
    for zone in ZONES:
        calendar = Calendar(name="c", zone=zone, hours=ALWAYS.hours, extra_closures=closed)
        assert int(business_us(np.int64(start), np.int64(end), calendar)) == end - start


@given(st.lists(moments, min_size=3, max_size=3), calendars)
@settings(deadline=None)
def test_times_add_up_and_turn_round(three: list[int], calendar: Calendar) -> None:
    a, b, c = (np.array([t], np.int64) for t in three)
    ab, bc, ac = (business_us(*pair, calendar) for pair in ((a, b), (b, c), (a, c)))
    assert (ab + bc).tolist() == ac.tolist()
    assert business_us(b, a, calendar).tolist() == (-ab).tolist()
    assert (np.abs(ab) <= np.abs(b - a)).all()


@given(moments, st.integers(1, 300 * s.US_PER_HOUR), calendars)
@settings(deadline=None)
def test_adding_is_the_inverse_and_gives_the_first_such_moment(
    start: int, amount: int, calendar: Calendar
) -> None:
    begin, more = np.array([start], np.int64), np.array([amount], np.int64)
    due = add_business_us(begin, more, calendar)
    assert business_us(begin, due, calendar).tolist() == [amount]
    assert business_us(begin, due - 1, calendar).tolist() == [amount - 1]


def test_adding_nothing_stays_and_adding_less_than_nothing_is_refused() -> None:
    sunday = at("2024-01-07T12:00")
    calendar = calendar_of(OFFICE, "UTC")
    assert add_business_us(sunday, np.int64(0), calendar).tolist() == sunday.tolist()
    with pytest.raises(ValueError, match="negative"):
        add_business_us(sunday, np.int64(-1), calendar)


def test_a_deadline_may_lie_years_ahead_but_not_for_ever() -> None:
    rare = calendar_of({1: [("00:00", "00:01")]}, "UTC")
    start = at("2024-01-01T00:00")  # a Monday
    due = add_business_us(start, np.int64(53 * s.US_PER_MINUTE), rare)
    assert due.tolist() == (at("2024-12-30T00:01")).tolist()
    with pytest.raises(RunError, match="SL108"):
        add_business_us(start, np.int64(20_000 * s.US_PER_MINUTE), rare)


def test_order_and_company_of_rows_change_nothing() -> None:
    rng = np.random.default_rng(7)
    start = rng.integers(us(2000, 1, 1), us(2030, 1, 1), 500)
    end = start + rng.integers(0, 40 * s.US_PER_DAY, 500)
    calendar = calendar_of(SPLIT, "America/New_York")
    together = business_us(start, end, calendar)
    alone = [int(business_us(a, b, calendar)) for a, b in zip(start, end, strict=True)]
    assert together.tolist() == alone


def test_no_rows_give_no_rows() -> None:
    none = np.empty(0, np.int64)
    assert business_us(none, none, calendar_of(OFFICE, "UTC")).tolist() == []
    assert add_business_us(none, none, calendar_of(OFFICE, "UTC")).tolist() == []


def test_a_placeholder_date_is_a_coded_error() -> None:
    with pytest.raises(RunError, match="SL107"):
        business_us(at("2024-01-01T00:00"), at("9999-12-31T00:00"), calendar_of(OFFICE, "UTC"))


GOOD = """
name = "munich"
zone = "Europe/Berlin"
extra_closures = [2024-12-24]
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
    assert calendar.extra_closures == (dt.date(2024, 12, 24),)


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
    ],
)
def test_mistakes_are_coded_and_say_the_mend(old: str, new: str, code: str, says: str) -> None:
    found, message = codes(GOOD.replace(old, new))
    assert code in found
    assert says in message


def test_all_mistakes_at_once() -> None:
    text = GOOD.replace("Europe/Berlin", "Mars").replace("13:00", "11:00").replace('"DE"', '"DX"')
    assert codes(text)[0] == ["SL102", "SL103", "SL105"]
    with pytest.raises(ManyCodedErrors):
        Calendar(name="c", zone="Mars", hours=((),) * 7)


def test_zones_do_not_come_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", ("/nowhere",))
    assert load_zone("Europe/Berlin").key == "Europe/Berlin"
    with pytest.raises(CodedError, match="SL102"):
        load_zone("Europe/Nowhere")
