"""Segmented regression: the fit, its errors, and what shifts and scales must not change.

The oracle (tests/oracles/segmented.py) solves the normal equations in fractions and sums the
covariance lag by lag; statsmodels and numpy are second opinions.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import segmented
from scipy.linalg import toeplitz
from scipy.stats import t as student

from csi.statistics.interrupted import (
    FIXED_B,
    Interruption,
    interrupted,
    level_error,
    residual_spread,
    trend,
)
from process_mining.errors import RunError

if TYPE_CHECKING:
    from csi.statistics.bootstrap import Floats


def series(  # noqa: PLR0913 - a law of series
    seed: int,
    n: int = 30,
    *,
    before: int = 20,
    level: float = 0.0,
    slope: float = 0.0,
    rho: float = 0.0,
) -> tuple[Floats, Floats]:
    """Times and values: a line with errors of first order, a step from `before` on."""
    rng = np.random.default_rng(seed)
    errors = [float(rng.standard_normal()) / math.sqrt(1 - rho**2)]
    for _ in range(n - 1):
        errors.append(rho * errors[-1] + float(rng.standard_normal()))
    at = np.arange(n, dtype=np.float64)
    return at, 2.0 + slope * at + level * (at >= before) + np.array(errors)


def fitted(at: Floats, y: Floats, **options: float | bool) -> Interruption:
    start = float(options.pop("start", 20.0))
    return interrupted(y, at=at, start=start, **options)  # type: ignore[arg-type]


# --- the fit


@given(seed=st.integers(0, 10**6), n=st.integers(10, 30), lags=st.integers(0, 5))
@settings(max_examples=12, deadline=None)
def test_the_fit_is_that_of_exact_fractions(seed: int, n: int, lags: int) -> None:
    at, y = series(seed, n, before=n // 2, level=1.0)
    found = fitted(at, y, start=float(n // 2), lags=lags)
    rows = segmented.rows(at.tolist(), n // 2)
    exact = [Fraction(value) for value in y.tolist()]
    beta = segmented.least_squares(rows, exact, [Fraction(1)] * n)
    assert found.trend.value == pytest.approx(float(beta[1]), rel=1e-9)
    assert found.level.value == pytest.approx(float(beta[2]), rel=1e-9)
    errors = segmented.newey_west(rows, exact, lags)
    assert found.hac == pytest.approx(errors[2], rel=1e-9)
    assert found.lags == lags


@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_weights_are_those_of_weighted_least_squares(seed: int) -> None:
    at, y = series(seed, 24, before=12)
    weights = np.random.default_rng(seed).integers(1, 60, 24)
    found = interrupted(y, weights, at=at, start=12.0)
    beta = segmented.least_squares(
        segmented.rows(at.tolist(), 12),
        [Fraction(value) for value in y.tolist()],
        [Fraction(int(w)) for w in weights],
    )
    assert found.level.value == pytest.approx(float(beta[2]), rel=1e-9)
    # only their ratios matter
    again = interrupted(y, weights * 7.0, at=at, start=12.0)
    assert again.level.value == pytest.approx(found.level.value)
    assert again.level.error == pytest.approx(found.level.error)


@pytest.mark.parametrize("season", [False, True])
def test_slopes_and_seasons_are_fitted_together(season: bool) -> None:  # noqa: FBT001 - a case
    at, y = series(3, 60, before=40, level=2.0)
    y = y + 0.1 * np.maximum(at - 40, 0) + 1.5 * np.sin(2 * np.pi * at / 12 + 0.4) * season
    found = interrupted(
        y, at=at, start=40.0, slope_change=True, season_period=12.0 if season else None
    )
    after = (at >= 40).astype(float)
    columns = [np.ones(60), at - 40, after, (at - 40) * after]
    if season:
        columns += [np.sin(2 * np.pi * at / 12), np.cos(2 * np.pi * at / 12)]
    x = np.column_stack(columns)
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    assert found.slope_change is not None
    assert (found.trend.value, found.level.value, found.slope_change.value) == pytest.approx(
        tuple(beta[1:4])
    )
    assert found.seasonal is season
    assert found.freedom == 60 - x.shape[1]
    fit = sm.OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True})
    assert found.lags == 3
    assert found.hac == pytest.approx(fit.bse[2])


def test_a_season_needs_two_periods() -> None:
    at, y = series(3, 30)
    assert not fitted(at, y, season_period=15.0).seasonal
    assert fitted(at, y, season_period=14.5).seasonal


def test_lags_grow_with_the_series() -> None:
    """4 (n / 100)^(2/9), rounded down: 2 up to 37 points, 3 up to 99, 4 from 100 on."""
    for n, lags in ((18, 2), (27, 2), (28, 3), (99, 3), (100, 4)):
        at, y = series(1, n, before=n // 2)
        assert fitted(at, y, start=float(n // 2)).lags == lags


# --- its errors


def first_order_error(at: Floats, y: Floats, start: float, rho: float) -> float:
    """The error of the level where errors are autocorrelated, by the formula of the covariance."""
    x = np.column_stack([np.ones(len(at)), at - start, at >= start]).astype(float)
    hat = x @ np.linalg.inv(x.T @ x) @ x.T
    alike = toeplitz(rho ** np.arange(len(at)))
    left = np.eye(len(at)) - hat
    variance = float(y @ left @ y) / float(np.trace(left @ alike))
    inverse = np.linalg.inv(x.T @ x)
    return math.sqrt(variance * float((inverse @ x.T @ alike @ x @ inverse)[2, 2]))


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_the_error_is_the_larger_of_the_two(rho: float) -> None:
    which = set()
    for seed in range(12):
        at, y = series(seed, rho=rho)
        found = fitted(at, y)
        b = (found.lags + 1) / 30
        wider = sum(a * b**power for power, a in enumerate(FIXED_B)) / FIXED_B[0]
        both = (found.hac * wider, first_order_error(at, y, 20.0, found.autocorrelation))
        assert found.level.error == pytest.approx(max(both), rel=1e-3)
        which.add(both.index(max(both)))
    assert 1 in which


def test_the_interval_is_students() -> None:
    at, y = series(7, level=3.0)
    found = fitted(at, y, confidence=0.9)
    width = found.level.error * student.isf(0.05, 27)
    assert found.freedom == 27
    assert found.level.low == pytest.approx(found.level.value - width)
    assert found.level.high == pytest.approx(found.level.value + width)
    p = 2 * student.sf(abs(found.level.value) / found.level.error, 27)
    assert found.level.p_value == pytest.approx(p)


def test_autocorrelation_is_corrected_for_its_bias() -> None:
    at, y = series(5, rho=0.5)
    found = fitted(at, y)
    x = np.column_stack([np.ones(30), at, at >= 20]).astype(float)
    e = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    seen = float(e[1:] @ e[:-1] / (e @ e))
    assert found.autocorrelation == pytest.approx(min(0.8, max(0.0, seen + (3 + 3 * seen) / 30)))


@pytest.mark.parametrize(("b", "published"), [(0.0, 1.960), (1.0, 4.771)])
def test_fixed_b_meets_the_published_limits(b: float, published: float) -> None:
    """b = 0: the normal. b = 1: Kiefer, Vogelsang & Bunzel (2000), 6.747 over the root of 2."""
    assert sum(a * b**i for i, a in enumerate(FIXED_B)) == pytest.approx(published, rel=0.01)
    assert published == pytest.approx(6.747 / math.sqrt(2) if b else 1.96, abs=1e-3)


@pytest.mark.parametrize("b", [0.06, 0.12, 0.2])
def test_fixed_b_is_the_law_of_its_statistic(b: float) -> None:
    """Drawn: the mean of 250 normal values over its Newey-West error of 250 b - 1 lags."""
    n, draws = 250, 12_000
    lags = round(b * n) - 1
    rng = np.random.default_rng(8)
    values = rng.standard_normal((draws, n))
    e = values - values.mean(axis=1, keepdims=True)
    variance = (e * e).sum(axis=1)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (e[:, lag:] * e[:, :-lag]).sum(axis=1)
    size = np.abs(values.sum(axis=1)) / np.sqrt(variance)
    assert sum(a * b**i for i, a in enumerate(FIXED_B)) == pytest.approx(
        float(np.quantile(size, 0.95)), rel=0.035
    )


@pytest.mark.parametrize(("rho", "least"), [(0.0, 0.93), (0.4, 0.87)])
def test_the_interval_covers(rho: float, least: float) -> None:
    """400 series of 24 points. Independent errors: 95 %; at 0.4 the module says 90 to 94 %."""
    inside = 0
    for seed in range(400):
        at, y = series(seed, 24, before=14, level=1.0, slope=0.1, rho=rho)
        found = fitted(at, y, start=14.0)
        inside += found.level.low <= 1.0 <= found.level.high
    assert inside / 400 >= least


# --- properties


@given(
    seed=st.integers(0, 10**6),
    shift=st.integers(-3000, 3000),
    scale=st.sampled_from([0.25, 7.0, 52.0]),
)
@settings(max_examples=12, deadline=None)
def test_neither_the_origin_nor_the_unit_of_time_matters(
    seed: int, shift: int, scale: float
) -> None:
    at, y = series(seed, level=1.0, slope=0.05)
    one = fitted(at, y, slope_change=seed % 2 == 0)
    two = interrupted(
        y, at=at * scale + shift, start=20.0 * scale + shift, slope_change=seed % 2 == 0
    )
    assert (two.level.value, two.level.error) == pytest.approx(
        (one.level.value, one.level.error), rel=1e-6
    )
    assert two.trend.value * scale == pytest.approx(one.trend.value, rel=1e-6)
    assert two.trend.error * scale == pytest.approx(one.trend.error, rel=1e-6)


@given(seed=st.integers(0, 10**6), add=st.floats(-9, 9), times=st.sampled_from([-1.0, 0.01, 40.0]))
@settings(max_examples=12, deadline=None)
def test_the_scale_of_the_values_goes_through(seed: int, add: float, times: float) -> None:
    at, y = series(seed)
    one, two = fitted(at, y), fitted(at, times * y + add)
    assert two.level.value == pytest.approx(times * one.level.value, abs=1e-9)
    assert two.level.error == pytest.approx(abs(times) * one.level.error)
    assert two.level.p_value == pytest.approx(one.level.p_value)


@given(seed=st.integers(0, 10**6), slope=st.floats(-1, 1))
@settings(max_examples=10, deadline=None)
def test_a_trend_that_goes_on_is_no_change_of_level(seed: int, slope: float) -> None:
    at, y = series(seed)
    assert fitted(at, y + slope * at).level.value == pytest.approx(
        fitted(at, y).level.value, abs=1e-9
    )


def test_the_first_point_after_is_after() -> None:
    at = np.arange(30.0)
    noise = 0.01 * np.sin(at * 2.3)
    found = fitted(at, noise + (at >= 20))
    assert found.level.value == pytest.approx(1.0, abs=0.02)


def test_a_trend_is_found_where_there_is_one() -> None:
    at, y = series(4, 26)
    assert trend(y, at=at).p_value > 0.05
    steep = trend(y + 0.3 * at, at=at)
    assert steep.p_value < 0.001
    assert steep.value == pytest.approx(float(np.polyfit(at, y + 0.3 * at, 1)[0]))
    assert trend(y + 0.3 * at, at=at + 2900).value == pytest.approx(steep.value)


def test_the_same_again_is_the_same() -> None:
    at, y = series(2, rho=0.4)
    one, two = (json.dumps(asdict(fitted(at, y)), allow_nan=False) for _ in range(2))
    assert one == two


# --- what does not vary


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1.0, math.log(7.3), 1e6])
@pytest.mark.parametrize("n", [13, 18, 26, 40])
def test_a_constant_series_has_no_trend_and_no_step(value: float, n: int) -> None:
    """Its residuals are the noise of the machine, from which nothing may be read."""
    y, at = np.full(n, value), np.arange(n) + 2880.0
    slope, found = trend(y, at=at), interrupted(y, at=at, start=float(at[-6]))
    for one in (slope, found.level, found.trend):
        assert (one.value, one.error, one.p_value) == (0.0, 0.0, 1.0)
    assert residual_spread(y, at=at) == 0.0


def test_an_exact_line_has_a_trend_and_no_step() -> None:
    at = np.arange(24.0)
    y = 0.3 * at + 0.1
    assert trend(y, at=at).value == pytest.approx(0.3)
    assert trend(y, at=at).p_value == 0.0
    found = fitted(at, y, start=14.0)
    assert (found.level.value, found.level.error, found.level.p_value) == (0.0, 0.0, 1.0)


# --- for plans


def test_the_planned_error_is_that_of_the_normal_equations() -> None:
    at = np.arange(32.0)
    x = np.column_stack([np.ones(32), at - 20, at >= 20]).astype(float)
    expected = 0.7 * math.sqrt(float(np.linalg.inv(x.T @ x)[2, 2]))
    assert level_error(at, 20.0, 0.7) == pytest.approx(expected)
    more = np.arange(60.0)
    assert level_error(more, 20.0, 0.7) < expected


def test_the_spread_of_a_baseline_counts_neighbours_that_are_alike() -> None:
    at, y = series(6, 200, slope=0.2)
    plain = float(np.std(y - np.polyval(np.polyfit(at, y, 1), at)))
    assert residual_spread(y, at=at) == pytest.approx(plain, rel=0.15)
    at, y = series(6, 200, rho=0.6)
    plain = float(np.std(y - np.polyval(np.polyfit(at, y, 1), at)))
    # sqrt(1.6 / 0.4) = 2
    assert residual_spread(y, at=at) / plain == pytest.approx(2.0, rel=0.3)


# --- what is no series


@pytest.mark.parametrize(
    ("n", "start", "bad"),
    [
        (30, 2.0, ""),
        (30, 29.0, ""),
        (30, 40.0, ""),
        (5, 3.0, ""),
        (0, 0.0, ""),
        (30, 20.0, "nan"),
        (30, 20.0, "length"),
    ],
)
def test_what_is_no_series_is_refused(n: int, start: float, bad: str) -> None:
    at, y = np.arange(float(n)), np.arange(float(n)) % 3
    if bad == "nan":
        y[4] = np.nan
    if bad == "length":
        y = y[1:]
    with pytest.raises(RunError, match=r"^ST590"):
        interrupted(y, at=at, start=start)
