"""Are the probabilities of a breach what the history says, and do they come true?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from improvement.command_line import UCI
from oracles import survival as oracle
from scipy.stats import CensoredData, binomtest, ecdf

from csi.audit import AuditRequest, make_ready
from csi.service_levels.at_risk import (
    AT_RISK,
    NONE_AS_LONG,
    SAME_METRIC,
    SAME_TARGET,
    TOO_FEW,
    TOO_FEW_PAUSES,
    at_risk,
)
from csi.service_levels.calibration import (
    AFTER_END,
    BETTER,
    TOO_FEW_DECIDED,
    WORSE,
    Calibration,
    Known,
    calibrate,
    known_at,
    month_starts,
)
from csi.simulate import Request, simulate, write
from csi.statistics.survival import Survival
from process_mining import schema as s
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, find_mapping, open_log
from rules.catalogue import load_catalogue
from rules.service_level import CLOCKS, PAUSES

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Row = dict[str, Any]

HOUR = s.US_PER_HOUR
DAY = 24 * HOUR
NOW = round(dt.datetime(2024, 6, 1, tzinfo=dt.UTC).timestamp()) * s.US_PER_SECOND
LIMIT = 20

# Freireich et al. 1963, weeks in remission, as in test_statistics
SIX_MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
SIX_MP_CENSORED = [0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]


# --- the estimator


def share_beyond(limit: float, so_far: float, *curve: Any) -> float:  # noqa: ANN401
    found = Survival.of(*curve).beyond(np.array([limit]), np.array([so_far]))
    return float(found.share[0])


def test_the_published_curve_of_6_mp() -> None:
    times, ended = np.array(SIX_MP, float), ~np.array(SIX_MP_CENSORED, bool)
    for at, share in ((6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (23, 0.448)):
        assert share_beyond(at, -1, times, ended) == pytest.approx(share, abs=5e-4)
    assert share_beyond(23, 10, times, ended) == pytest.approx(0.448 / 0.753, abs=1e-3)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(-4, 11)), min_size=1),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_shares_are_those_of_the_definition(
    rows: list[tuple[int, bool, int]], so_far: int, more: int
) -> None:
    times, ended, entered = (np.array(x) for x in zip(*rows, strict=True))
    entered = np.where(entered < 0, -np.inf, entered)
    limit = so_far + more
    curve = Survival.of(times.astype(float), ended, entered)
    said = curve.beyond(np.array([limit]), np.array([so_far]))
    told = not np.isnan(said.share[0])
    as_long = sum(t > so_far >= e for t, e in zip(times, entered, strict=True))
    assert said.at_risk[0] == as_long
    assert as_long or not told
    if told:
        wanted = oracle.beyond(limit, so_far, times.tolist(), (~ended).tolist(), entered.tolist())
        assert said.share[0] == pytest.approx(float(wanted), abs=1e-12)
        assert 0 <= said.low[0] <= said.share[0] + 1e-12
        assert said.share[0] - 1e-12 <= said.high[0] <= 1


def test_the_interval_of_many_is_scipys() -> None:
    rng = np.random.default_rng(1)
    times, last = rng.exponential(1.0, 500), rng.exponential(1.5, 500)
    lasted, ended = np.minimum(times, last), times <= last
    limit = np.array([0.3, 0.7, 1.0])
    found = Survival.of(lasted, ended).beyond(limit, np.full(3, -1.0))
    curve = ecdf(CensoredData.right_censored(lasted, ~ended)).sf
    band: Any = curve.confidence_interval(0.95, method="log-log")
    np.testing.assert_allclose(found.share, curve.evaluate(limit))
    np.testing.assert_allclose(found.low, band.low.evaluate(limit))
    np.testing.assert_allclose(found.high, band.high.evaluate(limit))


@pytest.mark.parametrize(("over", "n"), [(0, 12), (3, 12), (12, 12), (0, 200), (200, 200)])
def test_the_interval_of_few_is_exact(over: int, n: int) -> None:
    times = np.where(np.arange(n) < over, 30.0, 10.0)
    found = Survival.of(times, np.ones(n, bool)).beyond(np.array([20.0]), np.array([5.0]))
    wanted = binomtest(over, n).proportion_ci(0.95, method="exact")
    assert (found.low[0], found.high[0]) == pytest.approx((wanted.low, wanted.high))


def test_an_end_at_once_is_one_more_factor() -> None:
    """A curve with that end on it says the same."""
    times = np.array([*[5.0] * 10, *range(6, 46)], float)
    whole = Survival.of(times, np.ones(50, bool)).beyond(np.array([20.0]), np.array([4.0]))
    parts = Survival.of(times[10:], np.ones(40, bool)).beyond(
        np.array([20.0]), np.array([5.0]), (np.array([10]), np.array([50]))
    )
    assert parts.share == pytest.approx(whole.share)
    assert parts.low == pytest.approx(whole.low)
    assert parts.high == pytest.approx(whole.high)


# --- clocks by hand


def clock(  # noqa: PLR0913 - what a test may want to say of a clock
    case: str,
    hours: float,
    status: str,
    *,
    target: str = "t",
    limit: float = LIMIT,
    cycle: int = 1,
    start: int | None = None,
    **more: Any,  # noqa: ANN401
) -> Row:
    elapsed = round(hours * HOUR)
    stopped = status == "met" or (status == "breached" and more.pop("stopped", True))
    begin = NOW - 1000 * HOUR if start is None else start
    return {
        "case_id": case,
        "agreement": "SLA",
        "target": target,
        "metric": "resolve",
        "cycle": cycle,
        "priority": "P1",
        "team": "desk",
        "start": begin,
        "stop": begin + elapsed if stopped else None,
        "elapsed_us": elapsed,
        "paused_us": 0,
        "limit_us": round(limit * HOUR),
        "remaining_us": round(limit * HOUR) - elapsed if status == "running" else None,
        "due": begin + round(limit * HOUR),
        "breached_at": begin + round(limit * HOUR) if status == "breached" else None,
        "status": status,
        "start_seq": 0,
        "stop_seq": 9 if stopped else None,
    } | more


def pause(case: str, hours: float, *, by_stop: bool | None, target: str = "t") -> Row:
    """A pause; `by_stop` None: it goes on."""
    begin = NOW - 999 * HOUR if by_stop is not None else NOW - round(hours * HOUR)
    return {
        "case_id": case,
        "agreement": "SLA",
        "target": target,
        "metric": "resolve",
        "cycle": 1,
        "begin": begin,
        "end": None if by_stop is None else begin + round(hours * HOUR),
        "end_seq": {None: None, True: 9, False: 5}[by_stop],
    }


def table(rows: list[Row], schema: pa.Schema = CLOCKS) -> pa.Table:
    ordered = sorted(rows, key=lambda row: (row["case_id"], row["cycle"]))
    columns = {
        one.name: pa.array([row.get(one.name) for row in ordered], _raw(one.type)).cast(one.type)
        for one in schema
    }
    return pa.table(columns, schema=schema)


def _raw(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(kind) else kind


def ended(hours: list[float], name: str = "h", **more: Any) -> list[Row]:  # noqa: ANN401
    limit = more.get("limit", LIMIT)
    return [
        clock(f"{name}{i:03d}", h, "breached" if h > limit else "met", **more)
        for i, h in enumerate(hours)
    ]


THIRTY = [float(h) for h in range(1, 31)]


def told(rows: list[Row], pauses: list[Row] | None = None, **more: Any) -> list[Row]:  # noqa: ANN401
    held = None if pauses is None else table(pauses, PAUSES)
    found = at_risk(table(rows), NOW, pauses=held, **more).table
    assert found.schema == AT_RISK
    return list(found.to_pylist())


def test_probability_interval_and_time_left_of_a_running_clock() -> None:
    (row,) = told([*ended(THIRTY), clock("r", 10, "running")])
    wanted = binomtest(10, 20).proportion_ci(0.95, method="exact")
    assert row["probability"] == pytest.approx(10 / 20)
    assert (row["low"], row["high"]) == pytest.approx((wanted.low, wanted.high))
    assert (row["elapsed_us"], row["remaining_us"]) == (10 * HOUR, 10 * HOUR)
    assert (row["n_like"], row["n_as_long"], row["like"]) == (30, 20, SAME_TARGET)
    assert (row["why_not"], row["paused_now"], row["n_pauses"]) == (None, None, None)


def test_equal_to_the_limit_is_met() -> None:
    (row,) = told([*ended([*THIRTY[:-1], 20.0]), clock("r", 19, "running")])
    assert row["probability"] == pytest.approx(9 / 11)


def test_what_still_runs_or_lapsed_is_censored() -> None:
    """Five that lapsed at 15 are at risk till then: (1 - 1/26) ... (1 - 1/21), and 5 fewer."""
    rows = [*ended(THIRTY), *(clock(f"l{i}", 15, "lapsed") for i in range(5))]
    (row,) = told([*rows, clock("r", 10, "running")])
    assert row["probability"] == pytest.approx(20 / 25 * 10 / 15)
    (again,) = told(
        [*rows[:30], clock("q", 30, "breached", stopped=False), clock("r", 10, "running")]
    )
    assert again["probability"] == pytest.approx(11 / 21)
    assert again["n_like"] == 30


def test_the_widest_likeness_that_has_enough() -> None:
    few = ended([10.0, 50.0] * 14, "f", target="few", limit=40)
    rows = [*ended(THIRTY), *few, clock("r", 20, "running", target="few", limit=40)]
    (row,) = told(rows)
    assert (row["like"], row["n_like"], row["n_as_long"]) == (SAME_METRIC, 58, 20 + 14)
    assert row["probability"] == pytest.approx((10 + 14) / (20 + 14))  # by elapsed / limit
    (row,) = told(rows, case_types={"few": "problem"})
    assert (row["like"], row["probability"], row["why_not"]) == (None, None, TOO_FEW)


def test_without_enough_history_there_is_no_probability() -> None:
    (row,) = told([*ended(THIRTY[:29]), clock("r", 10, "running")])
    assert (row["probability"], row["low"], row["high"]) == (None, None, None)
    assert (row["n_like"], row["why_not"]) == (29, TOO_FEW)
    (row,) = told([*ended([5.0] * 40), clock("r", 10, "running")])
    assert (row["probability"], row["n_like"], row["why_not"]) == (None, 40, NONE_AS_LONG)


def test_a_target_that_took_over_late_counts_from_then_on() -> None:
    """Clocks that came past the limit say nothing of those within it."""
    late = []
    for i in range(40):
        begin = NOW - (900 - i) * HOUR
        late += [
            clock(f"c{i:02d}", 50, "superseded", target="old", limit=100, start=begin),
            clock(f"c{i:02d}", 60, "breached", start=begin),
        ]
    (row,) = told([*ended(THIRTY), *late, clock("r", 10, "running")])
    assert row["probability"] == pytest.approx(10 / 20)
    assert row["n_as_long"] == 20


def test_a_clock_that_stands_still_may_be_stopped_by_what_ends_its_pause() -> None:
    rows = [*ended([*THIRTY, *THIRTY]), clock("r", 10, "running"), clock("s", 10, "running")]
    held = [pause(f"h{i:03d}", 1 + i, by_stop=i % 4 == 0) for i in range(40)]
    now = [pause("s", 0.5, by_stop=None)]
    running, still = told(rows, [*held, *now])
    assert (running["case_id"], running["paused_now"], running["n_pauses"]) == ("r", False, None)
    assert (still["case_id"], still["paused_now"], still["n_pauses"]) == ("s", True, 40)
    assert running["probability"] == pytest.approx(1 / 2)
    assert still["probability"] == pytest.approx(1 / 2 * 30 / 40)
    # as long as this one: the longest 35
    _, still = told(rows, [*held, pause("s", 5, by_stop=None)])
    assert still["n_pauses"] == 35
    assert still["probability"] == pytest.approx(1 / 2 * 27 / 35)
    # fewer than 30 were: the longest 30
    _, still = told(rows, [*held, pause("s", 400, by_stop=None)])
    assert still["n_pauses"] == 30
    assert still["probability"] == pytest.approx(1 / 2 * 23 / 30)
    # what began when the promise was broken does not count
    over = [pause("h029", 9, by_stop=True) | {"begin": NOW - 979 * HOUR}]
    assert told(rows, [*held, *over, *now])[1]["n_pauses"] == 40
    _, still = told(rows, [*held[:29], *now])
    assert (still["probability"], still["why_not"]) == (None, TOO_FEW_PAUSES)


def test_order_is_by_probability_then_due() -> None:
    rows = [
        *ended(THIRTY),
        clock("a", 12, "running", start=NOW - 12 * HOUR),
        clock("b", 15, "running"),
        clock("c", 12, "running", start=NOW - 15 * HOUR),
        clock("d", 1, "running", target="other", agreement="OLA"),
    ]
    assert [row["case_id"] for row in told(rows)] == ["b", "c", "a", "d"]
    found = at_risk(table(rows), NOW)
    assert found.without == {TOO_FEW: 1}
    assert found.expected == pytest.approx(2 * 16 / 19 * 10 / 15 + 10 / 15)  # b is at risk till 15


def test_nothing_runs() -> None:
    assert told(ended(THIRTY)) == []
    assert told([]) == []


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 60), st.booleans()), min_size=40, max_size=120),
    st.lists(st.floats(0, 20), min_size=1, max_size=20),
)
def test_the_longer_it_has_run_the_likelier_the_breach(
    history: list[tuple[float, bool]], going: list[float]
) -> None:
    rows = []
    for i, (hours, stops) in enumerate(history):
        word = ("breached" if hours > LIMIT else "met") if stops else "lapsed"
        rows += [clock(f"h{i:03d}", hours, word if stops or hours <= LIMIT else "breached")]
        rows[-1]["stop"] = rows[-1]["stop"] if stops else None
    rows += [clock(f"r{i:03d}", hours, "running") for i, hours in enumerate(going)]
    found = sorted(told(rows), key=lambda row: row["elapsed_us"])
    said = [row["probability"] for row in found if row["probability"] is not None]
    assert all(0 <= p <= 1 for p in said)
    assert said == sorted(said)
    for row in found:
        if row["probability"] is not None:
            assert row["low"] <= row["probability"] + 1e-12 <= row["high"] + 2e-12


# --- do they come true?


@dataclass(frozen=True)
class Process:
    """Clocks of a known law: when each began (µs) and how long it takes (hours, limit 20)."""

    start: npt.NDArray[np.int64]
    hours: Floats

    def at(self, moment: int) -> pa.Table:
        rows = []
        for i in np.flatnonzero(self.start <= moment):
            begin, takes = int(self.start[i]), float(self.hours[i])
            so_far = (moment - begin) / HOUR
            lasted = min(takes, so_far)
            over = takes <= so_far
            word = "breached" if lasted > LIMIT else "met" if over else "running"
            rows.append(clock(f"c{i:05d}", lasted, word, start=begin, stopped=over))
        return table(rows)


def process(law: str, n: int = 6000) -> Process:
    rng = np.random.default_rng(7)
    start = NOW - rng.integers(10 * DAY, 220 * DAY, n)
    if law == "exponential":
        return Process(start, rng.exponential(15.0, n))
    return Process(start, rng.lognormal(np.log(8.0), 1.2, n))


MOMENTS = [NOW - days * DAY for days in range(20, 150, 5)]


def calibrated(one: Process) -> Calibration:
    return calibrate([Known(at, one.at(at)) for at in MOMENTS], one.at(NOW), NOW)


@pytest.mark.parametrize("law", ["exponential", "lognormal"])
def test_probabilities_of_a_known_law_come_true(law: str) -> None:
    found = calibrated(process(law))
    assert found.verdict == BETTER
    assert found.n == sum(row["n"] for row in found.reliability.to_pylist()) > 300
    assert found.left_out == {}
    for row in found.reliability.to_pylist():
        assert row["low"] <= row["predicted"] <= row["high"]
    assert found.in_the_large.low is not None
    assert found.in_the_large.high is not None
    assert found.in_the_large.low < 0 < found.in_the_large.high


def test_intervals_cover_what_an_exponential_law_says() -> None:
    """It has no memory: P = exp(-time left / mean)."""
    hits = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        start = NOW - rng.integers(0, 10 * DAY, 300)
        rows = at_risk(Process(start, rng.exponential(15.0, 300)).at(NOW), NOW).table.to_pylist()
        row = rows[int(rng.integers(len(rows)))]
        hits.append(row["low"] <= np.exp(-row["remaining_us"] / HOUR / 15) <= row["high"])
    assert sum(hits) >= 53  # of 60; with 95 % that has a probability above 0.97


def test_of_shuffled_outcomes_they_know_nothing() -> None:
    """Outcomes by lot are no better told by the probabilities than by the share of breaches."""
    one = process("lognormal")
    final, known = one.at(NOW), [Known(at, one.at(at)) for at in MOMENTS]
    asked = set(calibrate(known, final, NOW).predicted["case_id"].to_pylist())
    mine = np.array([case in asked for case in final["case_id"].to_pylist()])
    status = np.array(final["status"].to_pylist(), dtype=object)
    share = np.mean(status == "breached")
    status[mine] = np.where(np.random.default_rng(3).random(mine.sum()) < share, "breached", "met")
    column = final.column_names.index("status")
    mixed = final.set_column(column, "status", pa.array(status.tolist(), pa.string()))
    found = calibrate(known, mixed, NOW)
    assert found.verdict == WORSE
    assert found.brier.value is not None
    assert found.reference.value is not None
    assert found.brier.value > found.reference.value


def test_scores_by_hand_and_what_is_left_out() -> None:
    """Sixty clocks of 10 hours, said 1/2: half of them breach; and one of each that is left out."""
    then, late = NOW - 40 * DAY, NOW + HOUR
    history = ended(THIRTY)
    open_ = [f"r{i:02d}" for i in range(60)]
    others = {"a": "running", "b": "lapsed", "c": "superseded", "d": "unknown"}
    running = [clock(one, 10, "running", start=then - 10 * HOUR) for one in [*open_, *others, "g"]]
    known = [*history, *running, clock("z", 10, "running", start=then, due=late)]
    became = [
        clock(one, 25 if i % 3 else 15, "breached" if i % 3 else "met")
        for i, one in enumerate(open_)
    ]
    final = [*history, *became, *(clock(one, 10, word) for one, word in others.items())]
    found = calibrate([Known(then, table(known))], table([*final, clock("z", 11, "met")]), NOW)
    assert dict(found.left_out) == {
        "running": 1,
        "lapsed": 1,
        "superseded": 1,
        "unknown": 1,
        "gone": 1,
        AFTER_END: 1,
    }
    assert (found.n, found.cases) == (60, 60)
    assert found.brier.value == pytest.approx(0.25)
    assert found.reference.value == pytest.approx((40 * (2 / 3) ** 2 + 20 * (1 / 3) ** 2) / 60)
    assert found.in_the_large.value == pytest.approx(2 / 3 - 1 / 2)
    (row,) = found.reliability.to_pylist()
    assert (row["from"], row["to"], row["n"], row["breached"]) == (0.4, 0.6, 60, 40)
    wanted = binomtest(40, 60).proportion_ci(0.95, method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((wanted.low, wanted.high))


def test_too_few_to_tell() -> None:
    then = NOW - 40 * DAY
    running = [clock(f"r{i:02d}", 10, "running") for i in range(49)]
    final = [*ended(THIRTY), *(clock(f"r{i:02d}", 11, "met") for i in range(49))]
    found = calibrate([Known(then, table([*ended(THIRTY), *running]))], table(final), NOW)
    assert (found.verdict, found.n) == (TOO_FEW_DECIDED, 49)
    assert found.brier.value is None
    assert found.skill.value is None
    assert found.reliability.num_rows == 0
    assert calibrate([], table(final), NOW).verdict == TOO_FEW_DECIDED


def test_months_to_look_back_to() -> None:
    def moment(*day: int) -> int:
        return round(dt.datetime(*day, tzinfo=dt.UTC).timestamp()) * s.US_PER_SECOND  # type: ignore[misc,arg-type]

    first, last = moment(2024, 1, 1), moment(2024, 4, 1)
    rows = [clock("a", 1, "met", start=first), clock("b", 1, "met", start=last)]
    assert month_starts(table(rows)) == (moment(2024, 2, 1), moment(2024, 3, 1))
    rows += [clock("c", 1, "met", start=last + 1)]
    assert month_starts(table(rows), 2) == (moment(2024, 3, 1), last)
    assert month_starts(table([])) == ()
    with pytest.raises(CodedError, match="SL260"):
        month_starts(table(rows), 0)


# --- logs


def test_nothing_is_known_before_it_happens(tmp_path: Path) -> None:
    desk = simulate(Request(tickets=400))
    write(desk, tmp_path)
    log = open_log((tmp_path / "events.ndjson", tmp_path / "tickets.csv"))
    log = log.select(log.cases[s.PRACTICE].to_numpy() == "incident")
    request = AuditRequest(logs=(), practice="incident", targets=tmp_path / "targets.toml")
    catalogue = load_catalogue(())
    shares = make_ready(log, request, catalogue.practices, as_of_us=int(log.arrays.at.max())).shares
    first, last = int(log.arrays.at.min()), int(log.arrays.at.max())
    moment, later = first + (last - first) // 2, first + (last - first) * 3 // 4
    (whole,) = known_at(log, request, shares, catalogue, [first - 1, moment])
    (cut,) = known_at(log.until(later), request, shares, catalogue, [moment])
    assert whole.clocks.equals(cut.clocks)
    assert whole.pauses is not None
    assert whole.pauses.equals(cut.pauses)
    running = whole.clocks.filter(pc.equal(whole.clocks["status"], "running"))
    assert running.num_rows > 0
    assert max(whole.clocks["start"].drop_null().cast(pa.int64()).to_pylist()) <= moment


@pytest.mark.skipif(not UCI.is_file(), reason="the UCI log is missing")
def test_incidents_of_a_real_desk() -> None:
    """One month of history, April 2016: better than the plain share, and only with the pauses."""
    log = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow")))
    request = AuditRequest(logs=(), practice="incident")
    catalogue = load_catalogue(())
    as_of_us = int(log.arrays.at.max())
    shares = make_ready(log, request, catalogue.practices, as_of_us=as_of_us).shares
    (final,) = known_at(log, request, shares, catalogue, [as_of_us])
    known = known_at(log, request, shares, catalogue, month_starts(final.clocks))
    assert [one.at_us for one in known] == [1_459_468_800 * s.US_PER_SECOND]
    found = calibrate(known, final.clocks, as_of_us)
    assert (found.n, found.verdict) == (717, BETTER)
    assert found.brier.value == pytest.approx(0.1171, abs=5e-4)
    assert found.reference.value == pytest.approx(0.2226, abs=5e-4)
    assert found.skill.value == pytest.approx(0.474, abs=5e-3)
    blind = calibrate([Known(one.at_us, one.clocks) for one in known], final.clocks, as_of_us)
    assert blind.verdict != BETTER
