"""How large is it, and between which limits does it lie?

An `Estimate` is a value with its interval, n, unit and method. A limit of None means that the data
do not bound that side (too few cases, or too many still open).

- share: Wilson score interval (Wilson 1927, JASA 22, 209-212).
- quantile of complete times: order statistics with binomial ranks (Conover 1999, Practical
  Nonparametric Statistics, 3.2; Campbell & Gardner 1988, BMJ 296, 1454-1456). No shape is assumed.
- quantile of times of which some are still running: Kaplan & Meier (1958) with the log-log limits
  of the curve inverted (Brookmeyer & Crowley 1982, Biometrics 38, 29-41).
- rate of a count per time: exact Poisson limits (Garwood 1936, Biometrika 28, 437-442). Events that
  come in bursts vary more; the limits are then too narrow.
- mean of scores or counts: expanded percentile bootstrap (csi.statistics.bootstrap).

The q-quantile is the smallest observed time by which at least the share q has ended (Hyndman & Fan
1996, type 1), here and in the Kaplan-Meier estimate alike, so that censoring nothing changes
nothing. Intervals treat cases as independent unless clusters are given.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np
from scipy.stats import CensoredData, binom, binomtest, chi2, ecdf

from csi.statistics import bootstrap
from process_mining.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from csi.statistics.bootstrap import Floats

CONFIDENCE: Final = 0.95
REPLICATES: Final = 1999


class Curve(Protocol):
    """A step function over the quantiles of `scipy.stats.ecdf`."""

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Its height at each quantile."""


@dataclass(frozen=True)
class Estimate:
    """A value, its interval at `confidence`, the number of cases, the unit and the method."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    unit: str
    confidence: float = CONFIDENCE


def proportion(k: int, n: int, *, unit: str = "share", confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the share k of n with its Wilson score interval; no value where n is 0."""
    if not 0 <= k <= n:
        msg = f"a share of {k} in {n} is impossible"
        raise RunError("ST220", msg, fix="Count the part among the whole")
    method = "share, Wilson score interval"
    if n == 0:
        return Estimate(None, None, None, 0, method, unit, confidence)
    found = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return Estimate(k / n, float(found.low), float(found.high), n, method, unit, confidence)


def quantile(
    values: npt.ArrayLike, q: float = 0.5, *, unit: str = "h", confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate a quantile of complete times with its order-statistic interval.

    The ranks r < s are the innermost with P(B < r) and P(B >= s) at most half of 1 - confidence
    each, B ~ Binomial(n, q): the interval covers with at least the stated confidence.
    """
    ordered = np.sort(_finite(values))
    n = len(ordered)
    method = f"{_named(q)}, order-statistic interval"
    if n == 0:
        return Estimate(None, None, None, 0, method, unit, confidence)
    low, high = order_ranks(n, q, confidence=confidence)
    return Estimate(
        value=float(ordered[max(1, int(np.ceil(n * q - bootstrap.TOLERANCE))) - 1]),
        low=float(ordered[low - 1]) if low else None,
        high=float(ordered[high - 1]) if high else None,
        n=n,
        method=method,
        unit=unit,
        confidence=confidence,
    )


def order_ranks(n: int, q: float, *, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Return the ranks (from 1) of the limits of a quantile; 0 where n is too small for one."""
    tail = (1.0 - confidence) / 2.0
    below = binom.cdf(np.arange(n), n, q)  # below[r - 1] = P(B < r)
    low = int(np.sum(below <= tail))
    beyond = binom.sf(np.arange(n), n, q)  # beyond[s - 1] = P(B >= s)
    enough = np.flatnonzero(beyond <= tail)
    return low, int(enough[0]) + 1 if len(enough) else 0


def censored_quantile(
    times: npt.ArrayLike,
    censored: npt.ArrayLike,
    q: float = 0.5,
    *,
    unit: str = "h",
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Estimate a quantile of times of which some had not ended when they were last seen.

    `censored` is true where the time is only a lower bound. n counts all cases, ended or not.
    """
    lengths, running = _finite(times), np.asarray(censored, dtype=bool)
    n, method = len(lengths), f"Kaplan-Meier {_named(q)}, log-log interval"
    if n == 0 or running.all():
        return Estimate(None, None, None, n, method, unit, confidence)
    curve = ecdf(CensoredData.right_censored(lengths, running)).sf
    with warnings.catch_warnings():
        # log(-log S) has no value where everybody has ended: such a time gives no limit
        warnings.filterwarnings("ignore", "The confidence interval", RuntimeWarning)
        band = curve.confidence_interval(confidence, method="log-log")
    share = _shares(curve)
    low, high = (_shares(cast("Curve", side)) for side in (band.low, band.high))
    at = np.asarray(curve.quantiles, dtype=np.float64)
    return Estimate(
        value=_first(at, share, q),
        low=_first(at, low, q),
        high=_first(at, high, q),
        n=n,
        method=method,
        unit=unit,
        confidence=confidence,
    )


def rate(count: int, exposure: float, *, unit: str, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate how many events there are in one unit of time; `exposure` is how many were seen.

    The exact limits of a Poisson count: half a chi-squared quantile. n is the count.
    """
    if count < 0 or not 0 < exposure < np.inf:
        msg = f"{count} events in {exposure} units of time are impossible"
        raise RunError("ST223", msg, fix="Count whole events in a time longer than 0")
    tail = (1.0 - confidence) / 2.0
    low = float(chi2.ppf(tail, 2 * count)) / 2.0 if count else 0.0
    high = float(chi2.ppf(1.0 - tail, 2 * count + 2)) / 2.0
    method = "count per time, exact Poisson interval"
    return Estimate(
        count / exposure, low / exposure, high / exposure, count, method, unit, confidence
    )


def mean(
    values: npt.ArrayLike,
    *,
    unit: str,
    seed: int,
    confidence: float = CONFIDENCE,
    clusters: npt.NDArray[np.generic] | None = None,
) -> Estimate:
    """Estimate the mean of scores or counts (not of skewed times) with a bootstrap interval.

    There are no limits where all values are equal: the data do not show how they vary.
    """
    given = _finite(values)
    order = np.argsort(given, kind="stable")
    ordered, n = given[order], len(given)
    method = "mean, percentile bootstrap" + ("" if clusters is None else " of clusters")
    if n == 0:
        return Estimate(None, None, None, 0, method, unit, confidence)
    codes = None if clusters is None else bootstrap.cluster_codes(clusters)[order]
    units = n if codes is None else int(codes.max()) + 1
    value = float(ordered.sum() / n)
    if units == 1 or ordered[0] == ordered[-1]:
        return Estimate(value, None, None, n, method, unit, confidence)
    rng = np.random.default_rng(seed)
    drawn = bootstrap.means(ordered, codes, replicates=REPLICATES, rng=rng)
    low, high = bootstrap.percentile_interval(drawn, confidence=confidence, units=units)
    return Estimate(value, low, high, n, method, unit, confidence)


def _shares(curve: Curve) -> Floats:
    return np.asarray(curve.probabilities, dtype=np.float64)


def _named(q: float) -> str:
    return "median" if q == 0.5 else f"{100 * q:g}th percentile"  # noqa: PLR2004 - the median


def _finite(values: npt.ArrayLike) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    bad = int(np.sum(~np.isfinite(given)))
    if bad:
        msg = f"{bad} of {len(given)} values are missing or infinite"
        raise RunError("ST221", msg, fix="Leave out or censor them before they are summed up")
    return given


def _first(at: Floats, share: Floats, q: float) -> float | None:
    reached = np.flatnonzero(share <= 1.0 - q + bootstrap.TOLERANCE)
    return float(at[reached[0]]) if len(reached) else None
