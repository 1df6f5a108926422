"""Are stamps read as the instants that they mean, and refused when they mean none or two?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.errors import CodedError
from process_mining.sources._times import BadTimeError, TimeReader, compiled, load_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC")


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def instants_of(wall: datetime, zone: ZoneInfo) -> list[int]:
    """Every instant at which a clock of the zone shows `wall`: all offsets tried (the oracle)."""
    found = []
    for minutes in range(-15 * 60, 15 * 60 + 1, 5):
        moment = wall.replace(tzinfo=UTC) - timedelta(minutes=minutes)
        if moment.astimezone(zone).replace(tzinfo=None) == wall:
            found.append(us(moment))
    return sorted(found)


@given(
    st.datetimes(datetime(1975, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001 - wall times
    st.sampled_from(ZONES),
)
def test_local_times_are_read_as_all_offsets_tried_say(wall: datetime, name: str) -> None:
    wall = wall.replace(second=0, microsecond=0)
    expected = instants_of(wall, ZoneInfo(name))
    reader = TimeReader("%Y-%m-%d %H:%M", load_zone(name))
    if len(expected) == 1:
        assert reader.read(f"{wall:%Y-%m-%d %H:%M}").us == expected[0]
    else:
        with pytest.raises(BadTimeError):
            reader.read(f"{wall:%Y-%m-%d %H:%M}")


def test_a_time_that_happened_twice_is_refused_or_decided_as_declared() -> None:
    zone, text = load_zone("Europe/Berlin"), "2024-10-27T02:30:00"
    early, late = instants_of(datetime.fromisoformat(text), zone)
    with pytest.raises(BadTimeError, match="happened twice in Europe/Berlin"):
        TimeReader("iso", zone).read(text)
    assert TimeReader("iso", zone, ambiguous="earlier").read(text).us == early
    assert TimeReader("iso", zone, ambiguous="later").read(text) == (late, "ambiguous = later")


def test_a_time_that_never_happened_is_refused_or_shifted() -> None:
    zone, text = load_zone("Europe/Berlin"), "2024-03-31T02:30:00"
    assert instants_of(datetime.fromisoformat(text), zone) == []
    with pytest.raises(BadTimeError, match="never happened"):
        TimeReader("iso", zone).read(text)
    shifted = TimeReader("iso", zone, nonexistent="shift_forward").read(text).us
    assert shifted == us(datetime(2024, 3, 31, 3, 30, tzinfo=zone))


@given(
    st.datetimes(
        timezones=st.builds(
            timezone,
            st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
                lambda d: timedelta(minutes=d // timedelta(minutes=1))
            ),
        )
    )
)
def test_iso_with_offset_is_what_the_standard_library_reads(moment: datetime) -> None:
    reader = TimeReader("iso", None)
    expected = us(moment)
    if not us(datetime(1, 1, 1, tzinfo=UTC)) <= expected <= us(datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(BadTimeError):
            reader.read(moment.isoformat())
    else:
        assert reader.read(moment.isoformat()).us == expected


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - wall times
def test_declared_formats_are_what_the_standard_library_writes(wall: datetime) -> None:
    expected = us(wall.replace(tzinfo=UTC, microsecond=0))
    text = f"{wall.day}. {wall:%B} {wall.year:04d}, {wall:%I:%M:%S} {wall:%p}"
    assert TimeReader("%d. %B %Y, %I:%M:%S %p", load_zone("UTC")).read(text).us == expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("iso", "2024-02-29 10:00+01", "2024-02-29T09:00:00+00:00"),
        ("iso", "2024-02-29T10:00:00.5+0100", "2024-02-29T09:00:00.500000+00:00"),
        ("iso", "2024-02-29T10:00:00,123456789Z", "2024-02-29T10:00:00.123456+00:00"),
        ("%d/%m/%Y %H:%M %z", "3/4/2024 9:05 -0330", "2024-04-03T12:35:00+00:00"),
        ("%d %b %Y %I:%M %p%z", "01 MAR 2024 12:00 amZ", "2024-03-01T00:00:00+00:00"),
        ("epoch_s", "1704067200", "2024-01-01T00:00:00+00:00"),
        ("epoch_ms", "-1", "1969-12-31T23:59:59.999000+00:00"),
    ],
)
def test_stamps_that_say_their_offset_need_no_zone(pattern: str, text: str, expected: str) -> None:
    assert TimeReader(pattern, None).read(text).us == us(datetime.fromisoformat(expected))


@pytest.mark.parametrize("pattern", ["iso_date", "%Y-%m-%d"])
def test_a_date_is_midnight_in_the_declared_zone(pattern: str) -> None:
    reader = TimeReader(pattern, load_zone("Europe/Berlin"))
    assert reader.read("2024-07-01").us == us(datetime(2024, 6, 30, 22, tzinfo=UTC))
    for text in ("2024-07-01 00:00", "2024-02-30", "01.07.2024"):
        with pytest.raises(BadTimeError, match=r"does not follow|no date"):
            reader.read(text)
    beirut = TimeReader(pattern, load_zone("Asia/Beirut"))
    with pytest.raises(BadTimeError, match="never happened"):
        beirut.read("2024-03-31")  # the clock went from midnight to one
    with pytest.raises(BadTimeError, match="no offset and no zone"):
        TimeReader(pattern, None).read("2024-07-01")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2024-01-01", "LG104"),
        ("20240101T100000Z", "LG104"),
        ("2024-W01-1T10:00:00Z", "LG104"),
        ("2023-02-29T10:00:00Z", "LG104"),
        ("2024-01-01T24:00:00Z", "LG104"),
        ("2024-01-01T10:00:60Z", "LG104"),
        ("2024-01-01T10:00:00+24:00", "LG104"),
        ("2024-01-01T10:00:00Z ", "LG104"),
        ("٢٠٢٤-01-01T10:00:00Z", "LG104"),
        ("0001-01-01T00:00:00+01:00", "LG104"),
        ("9999-12-31T23:59:59-01:00", "LG104"),
        ("2024-01-01T10:00:00", "LG105"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, code: str) -> None:
    with pytest.raises(BadTimeError) as caught:
        TimeReader("iso", None).read(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("%d/%m/%y %H:%M", "%y is not read"),
        ("%d/%m/%Y %M", "%H or %I is missing"),
        ("%d/%m/%Y %z", "%H or %I is missing"),
        ("%Y-%m-%d %H:%M %Y", "%Y stands twice"),
        ("%Y-%m-%d %I:%M", "belong together"),
        ("%m/%Y %H:%M", "%d is missing"),
    ],
)
def test_a_format_that_would_need_guessing_is_refused(pattern: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        compiled(pattern)


def test_an_unknown_zone_is_answered_with_the_nearest() -> None:
    with pytest.raises(CodedError, match=r"LG036 .*Did you mean 'Europe/Berlin'\?"):
        load_zone("Europe/Berlim")
    with pytest.raises(CodedError, match="LG036"):
        load_zone("../../etc/passwd")
