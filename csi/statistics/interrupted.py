"""Did a series change its level at a known time, over and above the trend that it was on?

Segmented regression of an interrupted time series (Wagner, Soumerai, Zhang & Ross-Degnan 2002,
Journal of Clinical Pharmacy and Therapeutics 27, 299-309; Bernal, Cummins & Gasparrini 2017,
International Journal of Epidemiology 46, 348-355):

    y = a + b (time - start) + c after [+ d (time - start) after] [+ season] + error

with `after` 1 from `start` on. c is the change of level; with d, the change of slope, the level at
`start` itself. The season is a pair of a sine and a cosine, where the series spans two periods.

Errors of neighbouring points are alike, so the covariance is that of Newey & West (1987,
Econometrica 55, 703-708; statsmodels) with L lags, by default 4 (n / 100)^(2/9) rounded down, and
n / (n - k) for small samples, times Student's t and what fixed-b asymptotics ask for in place of
the normal (Bartlett kernel, b = (L + 1) / n: Kiefer & Vogelsang 2005, Econometric Theory 21,
1130-1164, table 1). In series of a few dozen points that is still too small where neighbours are
alike, so the interval is never shorter than that of errors of first order, whose autocorrelation is
estimated from the residuals and corrected for its bias (Marriott & Pope 1954, Biometrika 41,
390-402). Measured on 1,000 series each of 18 to 52 points: an interval of 95 % covers 96 to 97 %
where errors are independent, 92 to 94 % at an autocorrelation of 0.3, 90 to 93 % at 0.5.

A series that the model fits exactly (a constant one) has errors of 0: it says nothing of how its
values vary. Weights, where given, are those of weighted least squares. Errors: RunError ST590 for a
series that is too short or does not fit together. O(n).

Not checked: that the trend would have gone on as it was, and that nothing else changed at `start`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from csi.statistics.estimate import CONFIDENCE
from process_mining.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from csi.statistics.bootstrap import Floats

# Kiefer & Vogelsang 2005, table 1: two-sided 5 % critical value of t, Bartlett kernel
FIXED_B: Final = (1.9600, 2.9694, 0.4160, -0.5324)
NORMAL: Final = float(norm.isf(0.025))
LEVEL: Final = "level"
SLOPE_CHANGE: Final = "slope change"
TREND: Final = "trend"
SEASON: Final = "season"
MOST_ALIKE: Final = 0.8
EXACT: Final = 1e-10  # of the largest value: a residual below it is the noise of the machine


@dataclass(frozen=True)
class Coefficient:
    """One coefficient with its standard error, interval and two-sided p-value."""

    value: float
    error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Interruption:
    """The fit: the change of level, the trend before, and the change of slope where it was asked.

    `hac`: the standard error of the level by Newey & West as it is; `autocorrelation`: of the
    residuals, corrected.
    """

    level: Coefficient
    trend: Coefficient
    slope_change: Coefficient | None
    hac: float
    autocorrelation: float
    lags: int
    points: int
    freedom: int
    seasonal: bool


def interrupted(  # noqa: PLR0913 - the series, its times, and how it is modelled
    y: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    at: npt.ArrayLike,
    start: float,
    season_period: float | None = None,
    slope_change: bool = False,
    lags: int | None = None,
    confidence: float = CONFIDENCE,
) -> Interruption:
    """Fit the series `y` at times `at` (weeks, months, ...), interrupted at `start`."""
    import statsmodels.api as sm  # noqa: PLC0415 - heavy: loaded only for a regression

    times, series = np.asarray(at, dtype=np.float64), np.asarray(y, dtype=np.float64)
    names, columns = _design(times, start, season_period, slope_change=slope_change)
    _require_fit(series, times, len(names), start)
    each = np.ones(len(series)) if weights is None else np.asarray(weights, dtype=np.float64)
    n = len(series)
    width = _lags(n) if lags is None else lags
    fit = _Fit.of(sm.WLS(series, columns, weights=each / each.mean()), names, width, confidence)
    return Interruption(
        level=fit.coefficient(LEVEL),
        trend=fit.coefficient(TREND),
        slope_change=fit.coefficient(SLOPE_CHANGE) if slope_change else None,
        hac=float(fit.hac[names.index(LEVEL)]),
        autocorrelation=fit.autocorrelation,
        lags=width,
        points=n,
        freedom=n - len(names),
        seasonal=SEASON in names,
    )


def trend(y: npt.ArrayLike, *, at: npt.ArrayLike, confidence: float = CONFIDENCE) -> Coefficient:
    """Fit a straight line and return its slope, judged as the coefficients above are."""
    import statsmodels.api as sm  # noqa: PLC0415 - heavy: loaded only for a regression

    times, series = np.asarray(at, dtype=np.float64), np.asarray(y, dtype=np.float64)
    columns = np.column_stack([np.ones(len(times)), times - times.mean()])
    model = sm.WLS(series, columns)
    return _Fit.of(model, ["constant", TREND], _lags(len(series)), confidence).coefficient(TREND)


def level_error(times: Floats, start: float, sigma: float) -> float:
    """Return the standard error that the level would have at these times, errors of spread sigma.

    For plans: (X'X)^-1 of the design with a trend and no change of slope.
    """
    names, columns = _design(times, start, None, slope_change=False)
    inverse = np.linalg.pinv(columns.T @ columns)
    place = names.index(LEVEL)
    return float(sigma * np.sqrt(inverse[place, place]))


def residual_spread(y: npt.ArrayLike, *, at: npt.ArrayLike) -> float:
    """Return the spread of a series about its straight line, as if its errors were independent.

    Autocorrelated errors of spread s carry as little as independent ones of spread
    s sqrt((1 + rho) / (1 - rho)).
    """
    times, series = np.asarray(at, dtype=np.float64), np.asarray(y, dtype=np.float64)
    columns = np.column_stack([np.ones(len(times)), times - times.mean()])
    residuals = series - columns @ np.linalg.lstsq(columns, series, rcond=None)[0]
    if _is_noise(residuals, series):
        return 0.0
    rho = _autocorrelation(residuals, columns.shape[1])
    spread = float(np.sqrt(residuals @ residuals / (len(series) - columns.shape[1])))
    return spread * float(np.sqrt((1 + rho) / (1 - rho)))


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fit with two sets of standard errors: by Newey & West, and of first-order errors."""

    names: list[str]
    value: Floats
    hac: Floats
    first_order: Floats
    autocorrelation: float
    fixed_b: float
    freedom: int
    confidence: float

    @classmethod
    def of(cls, model: Any, names: list[str], lags: int, confidence: float) -> _Fit:  # noqa: ANN401 - statsmodels has no types
        plain = model.fit()
        robust = model.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
        n, b = len(model.wexog), (lags + 1) / len(model.wexog)
        value, hac = np.asarray(plain.params), np.asarray(robust.bse)
        rho = _autocorrelation(plain.wresid, len(names))
        first_order = _first_order_errors(model.wexog, plain.wresid, rho)
        if _is_noise(plain.wresid, model.wendog):
            value = np.where(np.abs(value) <= EXACT * np.abs(model.wendog).max(), 0.0, value)
            rho, hac, first_order = 0.0, np.zeros(len(names)), np.zeros(len(names))
        return cls(
            names=names,
            value=value,
            hac=hac,
            first_order=first_order,
            autocorrelation=rho,
            fixed_b=sum(a * b**power for power, a in enumerate(FIXED_B)) / NORMAL,
            freedom=n - len(names),
            confidence=confidence,
        )

    def coefficient(self, name: str) -> Coefficient:
        """Return one coefficient, its error the larger of the two."""
        place = self.names.index(name)
        value = float(self.value[place])
        error = float(max(self.hac[place] * self.fixed_b, self.first_order[place]))
        width = error * float(student.isf((1 - self.confidence) / 2, self.freedom))
        apart = abs(value) / error if error > 0 else (np.inf if value else 0.0)
        p_value = float(2 * student.sf(apart, self.freedom))
        return Coefficient(value, error, value - width, value + width, p_value)


def _lags(n: int) -> int:
    return int(4 * (n / 100) ** (2 / 9))


def _is_noise(residuals: Floats, series: Floats) -> bool:
    """Tell whether a fit is exact, but for the last bits."""
    return bool(np.abs(residuals).max() <= EXACT * np.abs(series).max())


def _autocorrelation(residuals: Floats, columns: int) -> float:
    """Return the first autocorrelation of the errors, corrected for its bias, 0 to MOST_ALIKE."""
    n, spread = len(residuals), float(residuals @ residuals)
    if spread <= 0:
        return 0.0
    seen = float(residuals[1:] @ residuals[:-1]) / spread
    return min(MOST_ALIKE, max(0.0, seen + (columns + 3 * seen) / n))


def _first_order_errors(columns: Floats, residuals: Floats, rho: float) -> Floats:
    """Return the standard errors of least squares where errors are autocorrelated by rho^lag."""
    n = len(residuals)
    alike = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    solve = np.linalg.pinv(columns)
    left = np.trace((np.eye(n) - columns @ solve) @ alike)
    variance = float(residuals @ residuals) / left
    return np.asarray(np.sqrt(variance * np.diag(solve @ alike @ solve.T)), dtype=np.float64)


def _design(
    times: Floats, start: float, season_period: float | None, *, slope_change: bool
) -> tuple[list[str], Floats]:
    since = times - start
    after = (since >= 0).astype(np.float64)
    names = ["constant", TREND, LEVEL]
    columns = [np.ones(len(times)), since, after]
    if slope_change:
        names.append(SLOPE_CHANGE)
        columns.append(since * after)
    if season_period is not None and np.ptp(times) >= 2 * season_period:
        angle = 2 * np.pi * times / season_period
        names += [SEASON, "season (cosine)"]
        columns += [np.sin(angle), np.cos(angle)]
    return names, np.column_stack(columns)


def _require_fit(series: Floats, times: Floats, columns: int, start: float) -> None:
    fits = len(series) == len(times) and bool(np.isfinite(series).all())
    before = int(np.sum(times < start))
    if not fits or before < columns or not len(times) - before > 1 or len(times) <= columns + 2:
        msg = f"{len(series)} points, {before} of them before, are no interrupted series"
        raise RunError("ST590", msg, fix="Give more points on each side, one value a time")
