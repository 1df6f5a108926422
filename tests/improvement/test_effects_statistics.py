"""Are adjusted and matched differences what plain arithmetic and refitting by hand give?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm
from scipy.stats import t as student

from csi.statistics.adjusted import (
    FEWEST_CLUSTERS,
    SMALLEST,
    TIMES,
    odds_ratio,
    point_difference,
    time_ratio,
)
from csi.statistics.alike import POOLED, Levels, Marked
from csi.statistics.matched import (
    matched_odds_ratio,
    matched_point_difference,
    matched_time_ratio,
)
from csi.statistics.time_lost import STEPS, Times, time_lost
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = npt.NDArray[np.float64]


def made(
    seed: int = 1, n: int = 400, clusters: int = 12
) -> tuple[Marked, Floats, np.random.Generator]:
    """Marked cases, hours, and the generator for more."""
    rng = np.random.default_rng(seed)
    priority = rng.integers(0, 3, n)
    team = rng.integers(0, 2, n)
    mark = rng.random(n) < 0.1 + 0.1 * priority
    hours = np.exp(1.0 + 0.5 * priority + 0.6 * mark + rng.normal(0, 1, n))
    words = {"priority": np.array(["P1", "P2", "P3"], dtype=object)[priority], "team": team}
    return Marked(mark, words, rng.integers(0, clusters, n)), hours, rng


def columns(marked: Marked) -> Floats:
    """The design by hand: intercept, P2, P3, team 1, mark."""
    priority, team = marked.alike["priority"], marked.alike["team"]
    parts = [priority == "P2", priority == "P3", team == 1, marked.mark]
    return np.column_stack([np.ones(len(team)), *parts]).astype(np.float64)


def by_deletion(marked: Marked, fit: Callable[[npt.NDArray[np.bool_]], float]) -> float:
    """The jackknife by refitting without each cluster."""
    whole = fit(np.ones(len(marked.mark), dtype=bool))
    names = np.unique(marked.clusters)
    moved = [fit(marked.clusters != name) - whole for name in names]
    return float(np.sqrt((len(names) - 1) / len(names) * np.sum(np.square(moved))))


def test_points_are_least_squares_with_each_cluster_left_out_in_turn() -> None:
    marked, hours, _ = made()
    x, y = columns(marked), np.log(hours)

    def fit(keep: npt.NDArray[np.bool_]) -> float:
        return float(np.linalg.lstsq(x[keep], y[keep], rcond=None)[0][-1])

    found = point_difference(y, marked)
    error = by_deletion(marked, fit)
    value = fit(np.ones(len(y), dtype=bool))
    wide = student.ppf(0.975, 11) * error
    assert found.value == pytest.approx(value, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((value - wide, value + wide), rel=1e-9)
    assert found.p == pytest.approx(2 * student.sf(abs(value) / error, 11), rel=1e-6)
    assert (found.n, found.n_others, found.clusters) == (marked.mark.sum(), 400 - found.n, 12)
    assert found.groups == ("priority", "team")


def test_times_without_open_cases_are_least_squares_of_their_logarithms() -> None:
    marked, hours, _ = made(2)
    found = time_ratio(hours, np.zeros(len(hours), dtype=bool), marked)
    b = np.linalg.lstsq(columns(marked), np.log(hours), rcond=None)[0]
    assert found.value == pytest.approx(np.exp(b[-1]), rel=1e-6)
    assert found.differs


def test_open_times_are_censored_as_the_plain_likelihood_says() -> None:
    marked, hours, rng = made(3)
    limit = rng.exponential(12.0, len(hours))
    seen, censored = np.minimum(hours, limit), hours > limit
    assert 0.2 < censored.mean() < 0.5
    x, y = columns(marked), np.log(np.maximum(seen, 1 / 60))

    def loss(p: Floats, keep: npt.NDArray[np.bool_]) -> float:
        z = (y - x @ p[:-1]) / np.exp(p[-1])
        each = np.where(censored, norm.logsf(z), norm.logpdf(z) - p[-1])
        return -float(each[keep].sum())

    def fit(keep: npt.NDArray[np.bool_]) -> float:
        return float(minimize(loss, np.zeros(6), args=(keep,), method="BFGS").x[-2])

    found = time_ratio(seen, censored, marked)
    assert found.low is not None
    assert found.high is not None
    everyone = fit(np.ones(len(y), dtype=bool))
    assert found.value == pytest.approx(np.exp(everyone), rel=1e-4)
    width = 2 * student.ppf(0.975, 11) * by_deletion(marked, fit)
    assert np.log(found.high / found.low) == pytest.approx(width, rel=0.03)


def test_odds_are_the_logistic_likelihoods_with_each_cluster_left_out() -> None:
    marked, _, rng = made(4)
    x = columns(marked)
    event = rng.random(len(x)) < 1 / (1 + np.exp(-(x @ [-1.0, 0.3, 0.6, 0.2, 0.8])))

    def loss(b: Floats, keep: npt.NDArray[np.bool_]) -> float:
        eta = x @ b
        return float((np.logaddexp(0, eta) - event * eta)[keep].sum())

    def fit(keep: npt.NDArray[np.bool_]) -> float:
        return float(minimize(loss, np.zeros(5), args=(keep,), method="BFGS").x[-1])

    found = odds_ratio(event, marked)
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(np.exp(fit(np.ones(len(x), dtype=bool))), rel=1e-4)
    width = 2 * student.ppf(0.975, 11) * by_deletion(marked, fit)
    assert np.log(found.high / found.low) == pytest.approx(width, rel=0.03)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_cases_does_not_matter(seed: int) -> None:
    marked, hours, rng = made(5, n=200)
    order = np.random.default_rng(seed).permutation(200)
    moved = Marked(
        marked.mark[order],
        {name: words[order] for name, words in marked.alike.items()},
        marked.clusters[order],
    )
    open_ = rng.random(200) < 0.2
    a, b = time_ratio(hours, open_, marked), time_ratio(hours[order], open_[order], moved)
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), rel=1e-6)
    assert replace(a, value=0, low=0, high=0, p=0) == replace(b, value=0, low=0, high=0, p=0)


@given(factor=st.floats(0.01, 100))
@settings(max_examples=10, deadline=None)
def test_a_ratio_does_not_depend_on_the_unit_of_time(factor: float) -> None:
    marked, hours, _ = made(6, n=200)
    hours = hours + 10.0  # above a minute in every unit
    none = np.zeros(200, dtype=bool)
    a, b = time_ratio(hours, none, marked), time_ratio(hours * factor, none, marked)
    assert a.value == pytest.approx(b.value, rel=1e-5)


# --- what is not estimated


def test_fewer_than_twenty_on_a_side_are_not_estimated() -> None:
    marked, hours, _ = made()
    few = marked.mark & (np.cumsum(marked.mark) < SMALLEST)
    some = Marked(few, marked.alike, marked.clusters)
    none = np.zeros(len(hours), dtype=bool)
    for found in (
        time_ratio(hours, none, some),
        odds_ratio(hours > 5, some),
        point_difference(hours, some),
    ):
        assert found.value is None
        ended = " have ended" if found.unit == TIMES else ""
        need = f"at least {SMALLEST} of both are needed"
        assert found.why_not == f"19 against 381 tickets{ended}; {need}"
        assert not found.differs


def test_times_need_twenty_that_ended() -> None:
    marked, hours, _ = made()
    found = time_ratio(hours, marked.mark, marked)
    assert "0 against" in found.why_not
    assert "have ended" in found.why_not


@pytest.mark.parametrize(("value", "word"), [(True, "all"), (False, "none")])
def test_perfect_separation_is_named(value: bool, word: str) -> None:  # noqa: FBT001 - a case
    marked, _, rng = made()
    event = rng.random(400) < 0.5
    event[marked.mark] = value
    found = odds_ratio(event, marked)
    assert found.value is None
    assert found.why_not == f"perfect separation: {word} of the violating tickets"


def test_a_mark_that_the_groups_tell_is_not_estimated() -> None:
    marked, hours, _ = made()
    alike = {**marked.alike, "twin": np.where(marked.mark, "yes", "no").astype(object)}
    found = point_difference(hours, Marked(marked.mark, alike, marked.clusters))
    assert found.why_not == "the groups tell already which cases are marked"


def test_too_few_clusters_are_not_estimated() -> None:
    marked, hours, _ = made(clusters=FEWEST_CLUSTERS - 1)
    assert "clusters" in point_difference(hours, marked).why_not
    marked, hours, _ = made()
    one = np.where(marked.mark, 0, marked.clusters)
    found = point_difference(hours, Marked(marked.mark, marked.alike, one))
    assert found.why_not == "all of one side fall into one cluster"


def test_levels_without_an_event_are_dropped_and_told() -> None:
    marked, _, rng = made()
    event = (rng.random(400) < 0.4) & (marked.alike["priority"] != "P1")
    found, without = odds_ratio(event, marked), marked.alike["priority"] != "P1"
    same = odds_ratio(event[without], marked.part(without))
    assert found.value == pytest.approx(same.value)
    gone = int((~without).sum())
    assert f"{gone} tickets of priority levels without variation are dropped" in found.notes


def test_rare_levels_are_pooled_and_told() -> None:
    words = np.array(["a"] * 50 + ["b"] * 30 + ["c"] * 15 + ["d"] * 6 + [None], dtype=object)
    found = Levels.of(words).pooled(20)
    assert dict(zip(found.names, found.n.tolist(), strict=True)) == {POOLED: 22, "a": 50, "b": 30}
    alone = Levels.of(words[:95]).pooled(20)  # a pool of 15 is too small: it joins the commonest
    assert dict(zip(alone.names, alone.n.tolist(), strict=True)) == {"a": 65, "b": 30}
    marked, hours, rng = made()
    many = np.array([f"c{i}" for i in rng.integers(0, 60, 400)], dtype=object)
    notes = point_difference(hours, Marked(marked.mark, {"category": many}, marked.clusters)).notes
    assert any("of category with fewer than 20 tickets are pooled" in note for note in notes)


def test_there_are_ten_cases_for_each_parameter() -> None:
    marked, hours, rng = made(n=800)
    many = {f"g{k}": np.asarray(rng.integers(0, 30, 800)) for k in range(4)}
    crowded = Marked(marked.mark, many, marked.clusters)
    found = odds_ratio(rng.random(800) < 0.5, crowded)
    assert found.value is not None
    gone = [int(note.split()[0]) for note in found.notes if "are pooled" in note]
    # of 120 levels; those that are pooled leave a pool, and the first of a group is no column
    assert 30 <= 120 - sum(gone) <= 40
    assert point_difference(hours, crowded).value is not None


def test_arrays_must_be_about_the_same_cases() -> None:
    marked, hours, _ = made()
    with pytest.raises(RunError) as caught:
        point_difference(hours[:-1], marked)
    assert caught.value.code == "ST570"
    with pytest.raises(RunError):
        Marked(marked.mark, marked.alike, marked.clusters[:-1])


# --- matched


def cells(rows: list[tuple[str, bool, float]]) -> tuple[Marked, Floats]:
    """Cases of a cell, marked or not, with a value; each twenty times over, for the pool."""
    many = rows * 20
    mark = np.array([one for _, one, _ in many])
    words = np.array([name for name, _, _ in many], dtype=object)
    values = np.array([value for _, _, value in many])
    return Marked(mark, {"cell": words}, np.arange(len(many))), values


def test_matched_cases_weigh_as_their_cells_marked_ones() -> None:
    marked, values = cells(
        [
            *(("a", True, 8.0), ("a", True, 6.0), ("a", False, 4.0), ("b", True, 3.0)),
            *(("b", False, 1.0), ("b", False, 2.0), ("c", True, 99.0), ("d", False, 99.0)),
        ]
    )
    # marked: (8 + 6 + 3) / 3; others: a counts twice, b once
    found = matched_point_difference(values, marked)
    assert found.value == pytest.approx(17 / 3 - (2 * 4 + 1.5) / 3)
    assert (found.n, found.n_others) == (60, 60)
    ratio = matched_time_ratio(values, np.zeros(len(values), dtype=bool), marked)
    assert ratio.value == pytest.approx(6.0 / 4.0)


def test_matched_odds_are_mantel_and_haenszel() -> None:
    # cell a: 2 of 4 against 1 of 4; cell b: 3 of 4 against 2 of 4
    rows = [("a", True, i < 2) for i in range(4)] + [("a", False, i < 1) for i in range(4)]
    rows += [("b", True, i < 3) for i in range(4)] + [("b", False, i < 2) for i in range(4)]
    marked, values = cells([(cell, mark, float(v)) for cell, mark, v in rows])
    found = matched_odds_ratio(values > 0, marked)
    assert found.value == pytest.approx((2 * 3 / 8 + 3 * 2 / 8) / (2 * 1 / 8 + 1 * 2 / 8))


def test_nothing_is_told_of_cases_without_a_match() -> None:
    marked, values = cells([("a", True, 1.0), ("b", False, 2.0)])
    none = np.zeros(len(values), dtype=bool)
    for found in (
        matched_time_ratio(values, none, marked),
        matched_odds_ratio(values > 1, marked),
        matched_point_difference(values, marked),
    ):
        assert (found.value, found.n, found.n_others) == (None, 0, 0)


# --- time lost


def times(hours: list[float], mark: list[bool], censored: list[bool] | None = None) -> Times:
    n = len(hours)
    return Times(
        hours=np.array(hours),
        censored=np.zeros(n, dtype=bool) if censored is None else np.array(censored),
        mark=np.array(mark),
        weight=np.ones(n),
        clusters=np.arange(n) % 4,
    )


def test_time_lost_is_the_marked_times_the_difference_of_means_below_the_horizon() -> None:
    given_hours = [10.0, 30.0, 500.0, 4.0, 8.0, 12.0, 40.0]
    found = time_lost(times(given_hours, [True] * 3 + [False] * 4), horizon_h=100, seed=1)
    assert found.value == pytest.approx(3 * ((10 + 30 + 100) / 3 - 16), abs=3 * 100 / STEPS)
    assert found.n == 3


def test_the_interval_of_time_lost_holds_what_was_lost() -> None:
    rng = np.random.default_rng(5)
    mark = rng.random(2000) < 0.2
    hours = rng.exponential(10.0, 2000) + 5.0 * mark
    lost = Times(hours, mark & False, mark, np.ones(2000), rng.integers(0, 20, 2000))
    found = time_lost(lost, horizon_h=1000, seed=1)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 5.0 * mark.sum() < found.high
    assert time_lost(lost, horizon_h=1000, seed=1) == found


def test_open_cases_lose_time_by_the_kaplan_meier_curve() -> None:
    # marked: ends at 10 and 40, open at 20. The curve is 2/3 from 10 and 0 from 40: 10 + 30 * 2/3
    found = time_lost(
        times(
            [10.0, 20.0, 40.0, 10.0, 10.0, 10.0],
            [True] * 3 + [False] * 3,
            [False, True] + [False] * 4,
        ),
        horizon_h=80,
        seed=1,
    )
    assert found.value == pytest.approx(3 * (30.0 - 10.0), abs=3 * 80 / STEPS)


def test_nobody_loses_time_beyond_what_was_seen() -> None:
    # the longest of the others is open at 50: no curve is known beyond it
    found = time_lost(
        times([90.0, 90.0, 50.0, 50.0], [True, True, False, False], [False, False, True, True]),
        horizon_h=1000,
        seed=1,
    )
    assert found.value == pytest.approx(0.0, abs=1e-9)
    assert "up to 50 h" in found.method


@pytest.mark.parametrize("horizon", [0.0, -1.0, float("nan")])
def test_a_horizon_is_positive(horizon: float) -> None:
    with pytest.raises(RunError) as caught:
        time_lost(times([1.0, 2.0], [True, False]), horizon_h=horizon, seed=1)
    assert caught.value.code == "ST571"


def test_time_lost_needs_both_sides_and_arrays_of_one_length() -> None:
    with pytest.raises(RunError):
        time_lost(times([1.0, 2.0], [True, True]), horizon_h=1, seed=1)
    with pytest.raises(RunError):
        time_lost(replace(times([1.0, 2.0], [True, False]), weight=np.ones(3)), horizon_h=1, seed=1)
