"""How would a statistic have come out on another sample of the same desk?

Seeded and vectorised. A replicate of the bootstrap (Efron 1979) is a row of weights: how often
each observation was drawn with replacement. Where tickets come in clusters (the tickets of one day
share an outage, a roster) whole clusters are drawn, so that likeness inside a cluster widens the
interval as it should (Field & Welsh 2007). Statistics are computed from weights, one array
operation for a block of replicates.

Intervals are percentile intervals. They keep their meaning under any monotone transform, so a
relative change and its logarithm agree. BCa is not used: its acceleration comes from the
jackknife, which is inconsistent for quantiles (Efron & Tibshirani 1993, 10.6). The levels are
moved outward for few drawn units (expanded percentile interval, Hesterberg 2015, The American
Statistician 69, 371-386, 5.3), because with n units the plain interval is too short by the factor
sqrt((n - 1) / n) and by the normal in place of t.

Complexity: O(replicates * n) time for quantiles, about 10 ns a cell; O(replicates * clusters) for
means. Memory is bounded by BLOCK cells a block or one row of n. Observations are sorted by value
first, so a result does not depend on the order of rows.

Not checked: that clusters are independent of each other (a trend over the window is not seen).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import norm, t

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

# small enough that a block's few arrays stay in the processor's cache (measured: twice as fast)
BLOCK: Final = 100_000
# Shares of survivors are products of fractions; a share that is exactly 1/2 may come out as
# 0.5000000000000001. The smallest true step is 1/n, far above this.
TOLERANCE: Final = 1e-9


def replicate(
    statistic: Callable[[Floats], Floats],
    *,
    n: int,
    clusters: Ints | None,
    replicates: int,
    rng: np.random.Generator,
) -> Floats:
    """Return the statistic of each replicate.

    `statistic` takes weights (replicates x n) and gives one value a row. `clusters` holds a code
    0..k-1 for each observation, or is None where every observation stands for itself.
    """
    blocks = (statistic(w) for w in _weights(n, clusters, replicates, rng))
    return np.concatenate(list(blocks))


def _weights(
    n: int, clusters: Ints | None, replicates: int, rng: np.random.Generator
) -> Iterator[Floats]:
    units = n if clusters is None else int(clusters.max()) + 1
    step = max(1, BLOCK // n)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = rng.integers(units, size=(rows, units))
        drawn += np.arange(rows)[:, None] * units
        times = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
        weights = times.astype(np.float64)
        yield weights if clusters is None else weights[:, clusters]


def kaplan_meier_quantile(times: Floats, observed: Bools, weights: Floats, q: float) -> Floats:
    """Return, for each row of weights, the first time at which at most 1 - q are still waiting.

    `times` ascend, and at equal times observed ends stand before censored ones: then the product
    of the factors of equal times telescopes to the Kaplan-Meier factor. Infinite where the share
    never falls that far (the quantile lies beyond what was seen).
    """
    at_risk = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    ended = np.where(observed, weights, 0.0)
    safe = np.where(at_risk > 0, at_risk, 1.0)
    surviving = np.cumprod(1.0 - ended / safe, axis=1)
    reached = surviving <= 1.0 - q + TOLERANCE
    first = np.argmax(reached, axis=1)
    return np.where(reached.any(axis=1), times[first], np.inf)


def means(
    values: Floats, clusters: Ints | None, *, replicates: int, rng: np.random.Generator
) -> Floats:
    """Return the mean of each replicate, from the sums and sizes of the units drawn."""
    codes = np.arange(len(values)) if clusters is None else clusters
    sums, sizes = np.bincount(codes, values), np.bincount(codes)
    # not by BLAS: the same sums on any machine
    return replicate(
        lambda w: (w * sums).sum(axis=1) / (w * sizes).sum(axis=1),
        n=len(sums),
        clusters=None,
        replicates=replicates,
        rng=rng,
    )


def cluster_codes(clusters: npt.NDArray[np.generic]) -> Ints:
    """Return 0..k-1 for any labels, in the order of the labels."""
    _, codes = np.unique(clusters, return_inverse=True)
    ranks: Ints = codes.astype(np.int64)
    return ranks


def percentile_interval(
    replicates: Floats, *, confidence: float, units: int
) -> tuple[float, float]:
    """Return the expanded percentile interval; `units` is how many independent units were drawn.

    A replicate that is not a number (infinite against infinite) could be anything: it counts as
    the smallest value for the lower limit and as the largest for the upper one.
    """
    tail = (1.0 - confidence) / 2.0
    wider = float(t.ppf(tail, units - 1)) * (units / (units - 1)) ** 0.5
    level = float(norm.cdf(wider))
    low = np.sort(np.where(np.isnan(replicates), -np.inf, replicates))
    high = np.sort(np.where(np.isnan(replicates), np.inf, replicates))
    last = len(replicates) - 1
    # outward rounding: an observed replicate, never an interpolation across infinities
    return float(low[int(np.floor(level * last))]), float(high[int(np.ceil((1.0 - level) * last))])
