"""Are changes of level found where they are, and not where there are none?"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csi.statistics.change_points import PENALTY, SHORTEST, change_points
from process_mining.errors import RunError

NOISE = [0.3, -0.4, 0.1, 0.5, -0.6, 0.2, -0.1, 0.4, -0.3, 0.0, 0.6, -0.5, 0.2, -0.2, 0.3, -0.4]
VALUES = st.lists(st.floats(-50, 50).map(lambda v: round(v, 3)), min_size=12, max_size=14)


def step(size: float, at: int = 8) -> list[float]:
    return [v + (size if i >= at else 0.0) for i, v in enumerate(NOISE)]


def cheapest(values: list[float]) -> tuple[list[int], float]:
    """The cheapest division, by trying every one: no dynamic programming, no pruning."""
    n = len(values)
    sigma = sum(abs(a - b) for a, b in pairwise(values)) / (n - 1) / 1.128
    penalty = PENALTY * sigma**2 * math.log(n)

    def cost(cuts: tuple[int, ...]) -> float:
        edges = [0, *cuts, n]
        total = penalty * len(cuts)
        for a, b in pairwise(edges):
            if b - a < SHORTEST:
                return math.inf
            mean = sum(values[a:b]) / (b - a)
            total += sum((v - mean) ** 2 for v in values[a:b])
        return total

    every = [cuts for size in range(n // SHORTEST) for cuts in combinations(range(1, n), size)]
    best = min(every, key=cost)
    return list(best), cost(best)


def test_a_step_is_found_at_its_first_point_with_both_levels_by_hand() -> None:
    values = step(5.0)
    (found,) = change_points(values)
    before, after = values[:8], values[8:]
    means = [sum(part) / 8 for part in (before, after)]
    squares = sum((v - means[0]) ** 2 for v in before) + sum((v - means[1]) ** 2 for v in after)
    half = 2.144787 * math.sqrt(squares / 14) / math.sqrt(8)  # t of 14 degrees of freedom
    assert found.point == 8
    assert found.before.value == pytest.approx(means[0])
    assert found.after.value == pytest.approx(means[1])
    assert found.after.low == pytest.approx(means[1] - half, abs=1e-6)
    assert found.after.high == pytest.approx(means[1] + half, abs=1e-6)
    assert (found.before.points, found.after.points) == (8, 8)


def test_two_steps_share_the_level_between() -> None:
    values = [*step(6.0, at=8), *[v - 3 for v in NOISE]]
    first, second = change_points(values)
    assert (first.point, second.point) == (8, 16)
    assert first.after == second.before


def test_noise_alone_has_no_change() -> None:
    assert change_points(NOISE) == ()


def test_a_constant_series_has_no_change_and_one_clean_step_does() -> None:
    assert change_points([7.0] * 30) == ()
    (found,) = change_points([7.0] * 15 + [9.0] * 15)
    assert (found.point, found.before.value, found.after.value) == (15, 7.0, 9.0)


def test_few_points_tell_nothing() -> None:
    assert change_points([*[0.0, 0.1] * 3, *[99.0, 99.1] * 2]) == ()


def test_weeks_without_a_value_are_passed_over() -> None:
    values = step(5.0)
    gaps = [*values[:4], math.nan, *values[4:8], math.nan, math.nan, *values[8:]]
    (found,) = change_points(gaps)
    assert found.point == 11
    assert found.before == change_points(values)[0].before


def test_levels_of_times_are_geometric_means() -> None:
    hours = [math.exp(v) for v in step(4.0)]
    (found,) = change_points(hours, scale="log")
    assert found.before.value == pytest.approx(math.exp(sum(NOISE[:8]) / 8))
    assert found.before.low < found.before.value < found.before.high


@settings(max_examples=40)
@given(VALUES)
def test_no_division_is_cheaper(values: list[float]) -> None:
    cuts, cost = cheapest(values)
    found = [one.point for one in change_points(values)]
    if len(set(values)) > 1 and found != cuts:  # another one may be as cheap
        parts = np.split(np.array(values), found)
        sigma = float(np.abs(np.diff(values)).mean()) / 1.128
        penalty = PENALTY * sigma**2 * math.log(len(values))
        mine = sum(float(((p - p.mean()) ** 2).sum()) for p in parts) + penalty * len(found)
        assert mine == pytest.approx(cost, rel=1e-6, abs=1e-9)


@settings(max_examples=40)
@given(VALUES, st.floats(0.01, 100), st.floats(-1000, 1000))
def test_another_unit_changes_no_place(values: list[float], by: float, up: float) -> None:
    spread = float(np.abs(np.diff(values)).mean())
    if spread < 0.1:
        return
    here = [one.point for one in change_points(values)]
    cuts, cost = cheapest(values)
    other = [one.point for one in change_points([by * v + up for v in values])]
    if here != other:  # only where two divisions cost the same
        assert cost == pytest.approx(cheapest([by * v + up for v in values])[1] / by**2, rel=1e-6)
        assert cuts in (here, other) or len(here) == len(other)


def test_false_alarms_are_as_rare_as_the_documentation_says() -> None:
    """3 % of 26 points, constant or overdispersed, measured on 600; here 150, three errors."""
    rng = np.random.default_rng(20_240_109)
    limit = 0.03 + 3 * math.sqrt(0.03 * 0.97 / 150)
    calm = [bool(change_points(rng.standard_normal(26))) for _ in range(150)]
    share = np.clip(0.2 + 0.05 * rng.standard_normal((150, 26)), 0.01, 0.99)
    n = rng.integers(50, 150, (150, 26))
    weeks = rng.binomial(n, share) / n
    assert sum(calm) / 150 < limit
    assert sum(bool(change_points(row)) for row in weeks) / 150 < limit


def test_a_step_of_two_sigmas_is_mostly_found_in_its_place() -> None:
    rng = np.random.default_rng(20_240_110)
    found = [change_points(rng.standard_normal(26) + 2 * (np.arange(26) >= 13)) for _ in range(200)]
    assert sum(len(one) == 1 for one in found) / 200 > 0.9
    near = [abs(one[0].point - 13) <= 2 for one in found if one]
    assert sum(near) / len(near) > 0.85


def test_a_time_of_nought_has_no_logarithm() -> None:
    with pytest.raises(RunError) as caught:
        change_points([0.0] * 20, scale="log")
    assert caught.value.code == "ST561"
