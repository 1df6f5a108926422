"""States, waits, loops and batches equal counting by hand, on random logs, real ones and a desk."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining.small_logs import (
    BPI13,
    HOUR,
    NAMES,
    UCI,
    a_desk,
    case_lists,
    cases_of,
    hidden,
    log_of,
    ordered,
    quick,
)
from oracles import naive_mining as naive
from oracles.minute_clock import count_minutes
from scipy.stats import binom

from process_mining import performance
from process_mining.clock import Calendar
from process_mining.columnar import groups
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from process_mining.eventlog import EventLog

OFFICE = Calendar(name="office", zone="UTC", hours=(((8 * 60, 16 * 60),),) * 5 + ((), ()))
AS_OF = 20 * HOUR


def given_or_none(value: object) -> object:
    return None if pd.isna(value) else value


# --- states -----------------------------------------------------------------------------------


def assert_sojourn(
    cases: Sequence[naive.Case], log: EventLog, gone: Collection[str], ends: Collection[str],
    as_of: int,
) -> None:  # fmt: skip
    frame = performance.sojourn(log, leave_out=gone, ends=ends, as_of_us=as_of)
    known = naive.sojourn(cases, gone, ends, as_of)
    assert set(frame["activity"]) == {row for row in known if known[row]["visits"]}
    for row in frame.to_dict("records"):
        want = known[row["activity"]]
        for name in ("visits", "cases", "ended", "final", "open_visits"):
            assert row[name] == want[name]
        for name in ("p25_us", "median_us", "p75_us", "p90_us"):
            assert given_or_none(row[name]) == want[name]
        for name in ("total", "open"):
            hours = given_or_none(row[f"{name}_h"])
            us = want[f"{name}_us"]
            assert hours == (None if us is None else pytest.approx(us / HOUR))


@quick
@given(cases=case_lists, gone=hidden, ends=hidden, timed=st.booleans())
def test_sojourn_is_that_of_counting(
    cases: list[list[naive.Event]], gone: set[str], ends: set[str], *, timed: bool
) -> None:
    known = ordered(cases, timed=timed)
    log = log_of(known)
    assert_sojourn(known, log, gone, ends, as_of=9)
    frame = performance.sojourn(log, leave_out=gone, ends=ends)
    assert (frame["ended"] + frame["final"] + frame["open_visits"] == frame["visits"]).all()
    keys = [(-(row.total_h if timed else 0), row.activity) for row in frame.itertuples()]
    assert keys == sorted(keys)


def test_a_desk_is_in_its_states_as_long_as_it_says() -> None:
    frame = performance.sojourn(log_of(a_desk()), ends=["Close"], as_of_us=AS_OF)
    rows = frame.set_index("activity").to_dict("index")
    # b diagnoses from 1 to 4 although it changes hands in between, and from 9 to 10; a from 5 to 6
    assert rows["Diagnose"]["visits"] == 3
    assert rows["Diagnose"]["median_us"] == HOUR
    assert rows["Diagnose"]["total_h"] == 5
    assert (rows["Await customer"]["ended"], rows["Await customer"]["open_visits"]) == (1, 1)
    assert rows["Await customer"]["median_us"] == 4 * HOUR
    assert rows["Await customer"]["open_h"] == 17
    assert (rows["Close"]["final"], rows["Close"]["total_h"]) == (2, 0)
    assert pd.isna(rows["Close"]["median_us"])
    assert frame["share"].sum() == pytest.approx(1)
    assert frame["activity"].iloc[0] == "Resolve"
    assert rows["Resolve"]["total_h"] == 4 + 5 + 2


def test_states_in_office_hours_are_those_of_the_minute_clock() -> None:
    friday = dt.datetime(2024, 5, 3, 12, tzinfo=dt.UTC)
    times = [friday + dt.timedelta(hours=h) for h in (0, 3, 70, 80, 91)]
    events: list[naive.Event] = [("s", int(at.timestamp()) * 1_000_000, None, None) for at in times]
    frame = performance.sojourn(log_of([("a", events)]), calendar=OFFICE)
    hours = {day: [("08:00", "16:00")] for day in range(1, 6)}
    spent = sorted(
        60_000_000 * count_minutes(a, b, zone="UTC", hours=hours) for a, b in pairwise(times)
    )
    assert frame["total_h"].item() * HOUR == pytest.approx(sum(spent))
    assert frame["median_us"].item() == spent[1]
    assert frame["clock"].item() == "office"


def test_what_is_open_cannot_end_before_the_log_does() -> None:
    log = log_of(a_desk())
    for work in (
        lambda: performance.sojourn(log, as_of_us=HOUR),
        lambda: performance.waiting_split(log, waiting=["Await customer"], as_of_us=HOUR),
    ):
        with pytest.raises(CodedError, match=r"^LG313 as_of_us .* EventLog\.until"):
            work()


# --- waiting and working ----------------------------------------------------------------------

words = st.sets(st.sampled_from(NAMES), max_size=3)


@quick
@given(cases=case_lists, waiting=words, done=words, ends=words, as_of=st.sampled_from([None, 9]),
       timed=st.booleans())  # fmt: skip
def test_waiting_and_working_are_those_of_counting(  # noqa: PLR0913 - drawn by hypothesis
    cases: list[list[naive.Event]], waiting: set[str], done: set[str], ends: set[str],
    as_of: int | None, *, timed: bool,
) -> None:  # fmt: skip
    known = ordered(cases, timed=timed)
    done -= waiting
    found = performance.waiting_split(
        log_of(known), waiting=waiting, done=done, ends=ends, as_of_us=as_of
    )
    want = [naive.split(case, waiting, done, ends, as_of) for case in known]
    rows = found.cases[["waiting_us", "working_us", "done_us", "open"]].to_numpy(object).tolist()
    for case, row, sums in zip(known, rows, want, strict=True):
        if timed and naive.trace(case):
            assert tuple(row) == sums
        else:
            assert (row[0], row[3]) == (pd.NA, sums[3]) or pd.isna(row[0])
    if timed or not any(cases):
        totals = (found.waiting_h, found.working_h, found.done_h)
        assert totals == pytest.approx([sum(w[k] for w in want) / HOUR for k in range(3)])
    else:
        assert found.waiting_h is None


def test_a_desk_waits_for_the_customer_and_works_the_rest() -> None:
    said = performance.waiting_split(
        log_of(a_desk()), waiting=["Await customer"], done=["Resolve"], ends=["Close"],
        as_of_us=AS_OF,
    )  # fmt: skip
    assert (said.waiting_h, said.working_h, said.done_h) == (4 + 17, 1 + 1 + 4 + 1 + 1, 4 + 5 + 2)
    assert said.waiting_share == 21 / 29
    assert said.cases["open"].tolist() == [False, False, True]


def test_a_word_means_one_thing() -> None:
    log = log_of([])
    with pytest.raises(CodedError, match="LG315 'x' is declared as waiting and as done"):
        performance.waiting_split(log, waiting=["x"], done=["x", "y"])
    with pytest.raises(CodedError, match="LG315 'x' is declared as start and as complete"):
        performance.service_times(log, starts=["x"], completes=["x"])


lifecycle_cases = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(0, 6),
            st.sampled_from(["start", "complete", "assign"]),
        ),
        max_size=10,
    ),
    max_size=6,
)


@quick
@given(lifecycle_cases)
def test_service_times_are_those_of_queues(cases: list[list[tuple[str, int, str]]]) -> None:
    told = [sorted(events, key=lambda e: e[1]) for events in cases]
    log = log_of([(f"c{i}", [(a, at, None, None) for a, at, _ in e]) for i, e in enumerate(told)])
    spelled = [word.upper() if at % 2 else word for events in told for _, at, word in events]
    log = log.with_columns(events={"lifecycle": pa.array(spelled, pa.string())})
    frame = performance.service_times(log)
    found = [naive.pairs(events) for events in told]
    for row in frame.to_dict("records"):
        name = row["activity"]
        served = sorted(b - a for matched, _, _ in found for n, a, b in matched if n == name)
        waited = sorted(wait for _, _, waits in found for n, wait in waits if n == name)
        assert row["n"] == len(served)
        assert row["cases"] == sum(any(n == name for n, *_ in matched) for matched, _, _ in found)
        lost = [counts.get(name, [0, 0]) for _, counts, _ in found]
        assert row["unmatched_starts"] == sum(starts for starts, _ in lost)
        assert row["unmatched_completes"] == sum(completes for _, completes in lost)
        assert given_or_none(row["median_service_us"]) == naive.quantile(served, 50)
        assert row["n_waits"] == len(waited)
        assert given_or_none(row["median_waiting_us"]) == naive.quantile(waited, 50)
        assert row["total_waiting_h"] == pytest.approx(sum(waited) / HOUR)
    named = {n for events in told for n, _, word in events if word != "assign"}
    assert set(frame["activity"]) == named


def test_a_log_of_states_has_no_service_times() -> None:
    assert performance.service_times(log_of(a_desk())).empty


# --- bottlenecks ------------------------------------------------------------------------------


@quick
@given(cases=case_lists, gone=hidden)
def test_bottlenecks_are_the_waits_of_counting(
    cases: list[list[naive.Event]], gone: set[str]
) -> None:
    known = ordered(cases)
    log = log_of(known)
    pairs = naive.successions([naive.steps(case, gone) for case in known])
    edges = {pair: e for pair, e in pairs.items() if None not in pair}
    frame = performance.bottlenecks(log, leave_out=gone)
    rows = frame.to_dict("records")
    assert {(row["source"], row["target"]) for row in rows} == set(edges)
    for row in rows:
        want = edges[row["source"], row["target"]]
        assert (row["n"], row["cases"]) == (want.n, want.cases)
        assert row["median_us"] == naive.quantile(want.waits, 50)
        assert row["total_h"] == pytest.approx(sum(want.waits) / HOUR)
        assert row["typical_h"] == pytest.approx(row["median_us"] * row["n"] / HOUR)
    total = sorted(rows, key=lambda r: (-r["total_h"], r["source"], r["target"]))
    typical = sorted(rows, key=lambda r: (-r["typical_h"], r["source"], r["target"]))
    assert rows == total
    assert [row["rank_total"] for row in total] == list(range(1, len(rows) + 1))
    assert [row["rank_typical"] for row in typical] == list(range(1, len(rows) + 1))
    states = performance.bottlenecks(log, leave_out=gone, by="state")
    stays = performance.sojourn(log, leave_out=gone).set_index("activity")
    assert set(states["source"]) == set(stays.index[stays["ended"] > 0])
    for row in states.to_dict("records"):
        same = stays.loc[row["source"]]
        assert (row["n"], row["median_us"]) == (same["ended"], same["median_us"])
        assert row["total_h"] == pytest.approx(same["total_h"])


def test_the_interval_of_a_median_covers_it_as_often_as_it_says() -> None:
    """Coverage by the binomial sum itself: the median lies between the two ranks."""
    counts = np.arange(0, 200)
    for confidence in (0.5, 0.9, 0.95, 0.99):
        low, high = groups.median_ranks(counts, confidence=confidence)
        for n, r, t in zip(counts.tolist(), low.tolist(), high.tolist(), strict=True):
            if not r:
                assert (t, n == 0 or 1 - 2 * 0.5**n < confidence) == (0, True)
                continue
            # P(x_(r) <= m < x_(t)) = P(r <= B < t)
            assert sum(binom.pmf(k, n, 0.5) for k in range(r, t)) >= confidence - 1e-12
            narrower = sum(binom.pmf(k, n, 0.5) for k in range(r + 1, t - 1))
            assert narrower < confidence + 1e-12


def test_few_waits_have_no_interval_and_many_have_one() -> None:
    def told(n: int) -> EventLog:
        return log_of(
            [(f"c{i}", [("a", 0, None, None), ("b", i * HOUR, None, None)]) for i in range(n)]
        )

    few = performance.bottlenecks(told(5))
    assert few[["median_low_us", "median_high_us"]].isna().all(axis=None)
    many = performance.bottlenecks(told(20))
    # n = 20: ranks 6 and 15 (Conover's table), so the waits of 5 and of 14 hours
    assert (many["median_low_us"].item(), many["median_high_us"].item()) == (5 * HOUR, 14 * HOUR)


def test_a_confidence_is_a_share() -> None:
    with pytest.raises(CodedError, match=r"LG314 confidence is 95"):
        performance.bottlenecks(log_of([]), confidence=95)


# --- loops ------------------------------------------------------------------------------------


def assert_loops(cases: Sequence[naive.Case], log: EventLog, gone: Collection[str]) -> None:
    longest = 2
    found = performance.loops(log, leave_out=gone, longest=longest)
    known = [naive.loops(case, gone) for case in cases]
    timed = log.timed
    paths: dict[tuple[str, tuple[str, ...] | None], list[tuple[int, int | None]]] = {}
    for i, (_, returns, _) in enumerate(known):
        for name, path, away in returns:
            key = (name, path if len(path) <= longest else None)
            paths.setdefault(key, []).append((i, away))
    rows = found.paths.to_dict("records")
    assert {(row["activity"], row["path"]) for row in rows} == set(paths)
    for row in rows:
        listed = paths[row["activity"], row["path"]]
        assert (row["n"], row["cases"]) == (len(listed), len({i for i, _ in listed}))
        aways = sorted(away for _, away in listed if away is not None)
        assert given_or_none(row["median_away_us"]) == naive.quantile(aways, 50)
        assert given_or_none(row["total_away_h"]) == (
            pytest.approx(sum(aways) / HOUR) if timed else None
        )
    keys = [(-r["n"], r["activity"], r["path"] is None, r["path"] or ()) for r in rows]
    assert keys == sorted(keys)
    for row in found.activities.to_dict("records"):
        name = row["activity"]
        back = [[r for r in returns if r[0] == name] for _, returns, _ in known]
        selves = [again.count(name) for again, _, _ in known]
        assert (row["returns"], row["cases_return"]) == (sum(map(len, back)), sum(map(bool, back)))
        assert (row["self_loops"], row["cases_self_loop"]) == (sum(selves), sum(map(bool, selves)))
    assert found.cases_looping == sum(bool(returns) for _, returns, _ in known)
    if timed:
        assert found.looped_h == pytest.approx(sum(inside for *_, inside in known) / HOUR)
    else:
        assert (found.looped_h, found.total_h) == (None, None)


@quick
@given(cases=case_lists, gone=hidden, timed=st.booleans())
def test_loops_are_those_of_counting(
    cases: list[list[naive.Event]], gone: set[str], *, timed: bool
) -> None:
    known = ordered(cases, timed=timed)
    assert_loops(known, log_of(known), gone)


def test_a_desk_comes_back_to_its_diagnosis_by_one_way() -> None:
    found = performance.loops(log_of(a_desk()))
    rows = found.paths[["activity", "path", "n", "total_away_h"]].to_numpy(object).tolist()
    # resolved at 4, so diagnosis was left then, and came back at 9; the resolution was left at 9
    assert rows == [["Diagnose", ("Resolve",), 1, 5.0], ["Resolve", ("Diagnose",), 1, 1.0]]
    assert (found.cases, found.cases_looping, found.looped_h) == (3, 1, 6.0)
    assert found.total_h == 10 + 12 + 1
    with pytest.raises(CodedError, match="LG316"):
        performance.loops(log_of([]), longest=0)


# --- batches ----------------------------------------------------------------------------------


@quick
@given(cases=case_lists, least=st.integers(2, 4), window=st.integers(0, 3), coarse=st.booleans(),
       doer=st.sampled_from(["actor", "team", "anyone"]))  # fmt: skip
def test_batches_are_those_of_growing_bundles(
    cases: list[list[naive.Event]], least: int, window: int, doer: performance.Doer, *,
    coarse: bool,
) -> None:  # fmt: skip
    known = ordered(cases)
    log = log_of(known)
    if coarse:
        log = with_resolution(log, 2)
    found = performance.batches(log, doer=doer, window_us=window, least_cases=least)
    gap = window - (1 if coarse else 0)
    assert found.decidable == (gap >= 0)
    if gap < 0:
        assert found.activities.empty
        return
    place = {"actor": 2, "team": 3, "anyone": None}[doer]
    want = naive.batches(known, place, gap)
    assert set(found.activities["activity"]) == set(want)
    for row in found.activities.to_dict("records"):
        every = want[row["activity"]]
        large = [bundle for bundle in every if bundle[1] >= least]
        sizes = sorted(cases for _, cases, _ in large)
        assert row["n"] == sum(steps for steps, *_ in every)
        assert (row["batches"], row["batched"]) == (len(large), sum(n for n, *_ in large))
        assert row["simultaneous"] == sum(at_once for *_, at_once in large)
        assert given_or_none(row["median_size"]) == naive.quantile(sizes, 50)
        assert given_or_none(row["largest"]) == (sizes[-1] if sizes else None)
    assert found.unknown + found.activities["n"].sum() == sum(
        len(naive.trace(case)) for case in known
    )


def with_resolution(log: EventLog, us: int) -> EventLog:
    from dataclasses import replace  # noqa: PLC0415 - used here only

    return replace(log, meta=replace(log.meta, time_resolution_us=us))


def test_a_clock_too_coarse_for_the_window_tells_nothing() -> None:
    """Closed on one day by one person: a batch, or a day's work? A clock of days cannot tell."""
    log = log_of([(f"c{i}", [("Close", 0, "ann", None)]) for i in range(9)])
    assert performance.batches(log).activities["largest"].item() == 9
    day = with_resolution(log, 24 * HOUR)
    assert not performance.batches(day).decidable
    assert performance.batches(day).activities.empty
    assert performance.batches(day, window_us=24 * HOUR).decidable
    with pytest.raises(CodedError, match="LG317"):
        performance.batches(log, least_cases=1)


# --- whole logs -------------------------------------------------------------------------------

EVERY: list[Callable[[EventLog], object]] = [
    performance.sojourn,
    performance.bottlenecks,
    lambda log: performance.bottlenecks(log, by="state"),
    lambda log: performance.waiting_split(log, waiting=["a"]),
    performance.service_times,
    performance.loops,
    performance.batches,
]


@pytest.mark.parametrize("work", EVERY)
def test_empty_and_untimed_logs_have_answers(work: Callable[[EventLog], object]) -> None:
    assert work(log_of([])) is not None
    assert work(log_of([("a", []), ("b", [])])) is not None
    assert work(log_of([("a", [("x", None, None, None)] * 3)])) is not None


def test_waits_longer_in_sum_than_64_bits_do_not_overflow() -> None:
    century = 100 * 365 * 24 * HOUR
    cases = [(f"c{i:05d}", [("a", 0, None, None), ("b", century, None, None)]) for i in range(3000)]
    frame = performance.sojourn(log_of(cases))
    assert frame["total_h"].iloc[0] == pytest.approx(3000 * 100 * 365 * 24)
    said = performance.waiting_split(log_of(cases), waiting=["a"])
    assert said.waiting_h == pytest.approx(3000 * 100 * 365 * 24)


@pytest.mark.skipif(not BPI13.exists(), reason=f"{BPI13.name} is not there")
def test_bpi_2013_problems_as_counted() -> None:
    log = open_log([BPI13], ReadOptions())
    cases = cases_of(log)
    assert_sojourn(cases, log, (), ("Completed",), as_of=int(log.arrays.at.max()))
    assert_loops(cases, log, ())


@pytest.mark.skipif(not UCI.exists(), reason=f"{UCI.name} is not there")
def test_some_uci_incidents_as_counted() -> None:
    whole = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow"), timezone="UTC"))
    log = whole.select(np.arange(whole.n_cases) % 40 == 0)
    cases = cases_of(log)
    assert_sojourn(cases, log, (), ("Closed",), as_of=int(log.arrays.at.max()))
    assert_loops(cases, log, ())
    found = performance.batches(whole, doer="anyone")
    want = naive.batches(cases_of(whole), None, 0)
    assert found.resolution_us == 60_000_000
    for row in found.activities.to_dict("records"):
        sizes = [size for _, size, _ in want[row["activity"]] if size >= 3]
        assert (row["batches"], given_or_none(row["largest"])) == (
            len(sizes),
            max(sizes, default=None),
        )
