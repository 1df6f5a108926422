"""Arrival and backlog curves equal counting by hand, in zones whose clocks change too."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining.small_logs import HOUR, a_desk, log_of, quick
from oracles import naive_mining as naive

from process_mining import backlog
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAY = 24 * HOUR


def us(*parts: int) -> int:
    return int((dt.datetime(*parts, tzinfo=dt.UTC) - EPOCH).total_seconds()) * 1_000_000  # type: ignore[misc, arg-type]


def desk_of(spans: list[tuple[int, int | None]]) -> EventLog:
    return log_of(
        [
            (
                f"c{i:03d}",
                [("Open", a, None, None), *([] if b is None else [("End", b, None, None)])],
            )
            for i, (a, b) in enumerate(spans)
        ]
    )


# around both clock changes of 2024 in Berlin, in steps of half an hour
starts = st.sampled_from([us(2024, 3, 29), us(2024, 10, 25)])
moves = st.lists(st.tuples(st.integers(0, 150), st.none() | st.integers(0, 200)), max_size=12)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])


@quick
@given(starts, moves, zones)
def test_days_are_those_of_counting(
    start: int, drawn: list[tuple[int, int | None]], zone: str
) -> None:
    spans = [
        (start + a * HOUR // 2, None if b is None else start + (a + b) * HOUR // 2)
        for a, b in drawn
    ]
    found = backlog.backlog(desk_of(spans), zone=zone, ends=["End"])
    assert (found.cases, found.without_start) == (len(spans), 0)
    assert found.open == sum(b is None for _, b in spans)
    if not spans:
        assert found.days.empty
        return
    local = ZoneInfo(zone)

    def day(moment: int) -> str:
        shown = EPOCH + dt.timedelta(microseconds=moment)
        return shown.astimezone(local).date().isoformat()

    last = max(t for span in spans for t in span if t is not None)
    rows = found.days.to_dict("records")
    assert rows[0]["day"] == min(day(a) for a, _ in spans)
    for row in rows:
        assert row["opened"] == sum(day(a) == row["day"] for a, _ in spans)
        assert row["ended"] == sum(b is not None and day(b) == row["day"] for _, b in spans)
        date = dt.date.fromisoformat(row["day"]) + dt.timedelta(days=1)
        midnight = dt.datetime.combine(date, dt.time(), local).astimezone(dt.UTC)
        end = (midnight - EPOCH) // dt.timedelta(microseconds=1)
        ages = naive.open_at(spans, end if row is not rows[-1] else last + 1)
        ages = ages if row is not rows[-1] else [age - 1 for age in ages]
        assert row["open"] == len(ages)
        for name, percent in (("median", 50), ("p90", 90), ("oldest", 100)):
            said = row[f"{name}_age_us"]
            assert (None if pd.isna(said) else said) == naive.quantile(ages, percent)


def test_littles_law_by_hand() -> None:
    found = backlog.backlog(log_of(a_desk()), ends=["Close"], as_of_us=20 * HOUR)
    law = found.little
    assert law is not None
    # open for 10, 12 and (from 2 on) 18 of 20 hours; three came; two took 11 hours on average
    assert law.mean_open == pytest.approx(2.0)
    assert law.arrivals_a_day == pytest.approx(3 / (20 / 24))
    assert law.mean_days == pytest.approx(11 / 24)
    assert law.ratio == pytest.approx(2.0 / (3 / 20 * 11))
    assert (law.n, law.ended) == (3, 2)
    assert found.days[["opened", "ended", "open", "median_age_us"]].to_numpy().tolist() == [
        [3, 2, 1, 18 * HOUR]
    ]


def test_where_every_case_has_ended_littles_law_is_an_identity() -> None:
    law = backlog.backlog(desk_of([(0, 3 * DAY), (DAY, 2 * DAY), (DAY, DAY)]), ends=["End"]).little
    assert law is not None
    assert law.ratio == pytest.approx(1)


def test_without_words_for_the_end_the_case_table_tells() -> None:
    log = desk_of([(DAY, 2 * DAY), (DAY, 3 * DAY), (DAY, None)])
    times = {"opened": [0, None, None], "closed": [DAY // 2, DAY // 2, None]}
    log = log.with_columns(cases={n: pa.array(v, pa.int64()) for n, v in times.items()})
    found = backlog.backlog(log)
    assert found.days["opened"].tolist() == [1, 2, 0, 0]
    # the second was closed before its first event: it counts as closed when it was opened
    assert found.days["ended"].tolist() == [1, 1, 0, 0]
    assert (found.reversed, found.open) == (1, 1)


def test_the_week_is_that_of_the_zone() -> None:
    sunday_night = us(2024, 3, 31, 22, 30)  # Monday 00:30 in Berlin
    log = desk_of([(sunday_night, None), (us(2024, 4, 1, 9), us(2024, 4, 1, 10))])
    for zone, weekday, hour in (("UTC", 6, 22), ("Europe/Berlin", 0, 0)):
        frame = backlog.week_profile(log, zone=zone, ends=["End"])
        assert len(frame) == 168
        assert frame[["opened", "ended", "steps"]].sum().tolist() == [2, 1, 3]
        row = frame[(frame["weekday"] == weekday) & (frame["hour"] == hour)]
        assert row["opened"].item() == 1


def test_empty_and_untimed_logs_have_answers() -> None:
    for log in (log_of([]), log_of([("a", [])]), log_of([("a", [("x", None, None, None)])])):
        found = backlog.backlog(log, ends=["x"])
        assert (len(found.days), found.little, found.as_of_us) == (0, None, None)
        assert found.without_start == log.n_cases
        assert backlog.week_profile(log)["steps"].sum() == 0


def test_mistakes_are_coded() -> None:
    log = desk_of([(0, DAY)])
    with pytest.raises(CodedError, match=r"^LG322"):
        backlog.backlog(log, zone="Europe/Berlni")
    with pytest.raises(CodedError, match=r"^LG324 .*EventLog\.until"):
        backlog.backlog(log, as_of_us=0)
    for other in (us(2150, 1, 1), us(9999, 1, 1), us(1, 1, 2)):
        with pytest.raises(CodedError, match=r"^LG323 the log spans .* placeholder"):
            backlog.backlog(desk_of([(us(2024, 1, 1), None), (other, None)]))
