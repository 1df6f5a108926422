"""Did it change? Two windows of one measure, and the verdict of a rule fixed beforehand.

- `compare_times`: relative change of the Kaplan-Meier quantile (the median by default), current /
  baseline - 1. Open cases are censored. Interval: expanded percentile bootstrap, both sides drawn
  anew; whole clusters where they are given. n counts all cases, ended or not.
- `compare_proportions`: difference of shares, current - baseline; hybrid score interval (Newcombe
  1998, Statistics in Medicine 17, 873-890, method 10).
- `compare_means`: difference of means of scores; expanded percentile bootstrap.

Seeded by the rule; the same data in any row order give the same result.

Not checked: that the two windows are alike in everything else. A before/after comparison without a
comparison group cannot tell an improvement from a season or from regression to the mean. The
intervals of shares treat cases as independent; bursts make them too short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from csi.statistics import bootstrap
from csi.statistics.decision import Effect, judge
from csi.statistics.estimate import censored_quantile, mean, proportion
from process_mining.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from csi.statistics.bootstrap import Bools, Floats, Ints
    from csi.statistics.decision import Comparison, DecisionRule, Direction
    from csi.statistics.estimate import Estimate


@dataclass(frozen=True, eq=False)
class Sample:
    """Values of one window, one a case; `censored` marks lower bounds, `clusters` labels groups."""

    values: npt.ArrayLike
    unit: str
    censored: npt.ArrayLike | None = None
    clusters: npt.ArrayLike | None = None


@dataclass(frozen=True)
class Share:
    """k of n."""

    k: int
    n: int
    unit: str = "share"


def compare_times(
    baseline: Sample,
    current: Sample,
    *,
    rule: DecisionRule,
    better: Direction = "lower",
    q: float = 0.5,
) -> Comparison:
    """Compare skewed, possibly censored times by the relative change of a quantile."""
    sides = [_prepared(baseline), _prepared(current)]
    estimates = [
        censored_quantile(
            side.values, ~side.observed, q, unit=side.unit, confidence=rule.confidence
        )
        for side in sides
    ]
    rng = np.random.default_rng(rule.seed)
    drawn = [_quantiles(side, q, rule, rng) for side in sides if side.units > 1]
    effect = None
    if len(drawn) == len(sides):
        value = _relative(*(_quantile_of(side, q) for side in sides))
        low, high = bootstrap.percentile_interval(
            _relative(*drawn), confidence=rule.confidence, units=min(side.units for side in sides)
        )
        effect = Effect(float(value[0]), max(low, -1.0), high, "relative change", _method(q, sides))
    return judge(
        effect,
        rule=rule,
        better=better,
        sides=(estimates[0], estimates[1]),
        obstacle=_few_clusters(sides, rule),
    )


def compare_proportions(
    baseline: Share,
    current: Share,
    *,
    rule: DecisionRule,
    better: Direction = "higher",
) -> Comparison:
    """Compare two shares by their difference, current - baseline."""
    estimates = [
        proportion(side.k, side.n, unit=side.unit, confidence=rule.confidence)
        for side in (baseline, current)
    ]
    effect = None
    if baseline.n and current.n:
        low, high = newcombe(baseline, current, confidence=rule.confidence)
        value = current.k / current.n - baseline.k / baseline.n
        method = "difference of shares, Newcombe hybrid score interval"
        effect = Effect(value, low, high, "difference of shares", method)
    return judge(
        effect,
        rule=rule,
        better=better,
        sides=(estimates[0], estimates[1]),
        obstacle="" if effect else "one side has no cases",
    )


def newcombe(baseline: Share, current: Share, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the hybrid score interval of current - baseline (Newcombe 1998, method 10)."""
    p1, l1, u1 = _wilson(baseline, confidence)
    p2, l2, u2 = _wilson(current, confidence)
    low = p2 - p1 - float(np.hypot(p2 - l2, u1 - p1))
    high = p2 - p1 + float(np.hypot(u2 - p2, p1 - l1))
    return max(low, -1.0), min(high, 1.0)


def compare_means(
    baseline: Sample,
    current: Sample,
    *,
    rule: DecisionRule,
    better: Direction = "higher",
) -> Comparison:
    """Compare means of scores or counts (not of skewed times) by their difference."""
    sides = [_prepared(baseline), _prepared(current)]
    estimates = [_mean_of(side, rule) for side in sides]
    rng = np.random.default_rng(rule.seed)
    drawn = [_means(side, rule, rng) for side in sides if side.units > 1]
    effect, values = None, [estimate.value for estimate in estimates]
    if len(drawn) == len(sides) and values[0] is not None and values[1] is not None:
        low, high = bootstrap.percentile_interval(
            drawn[1] - drawn[0],
            confidence=rule.confidence,
            units=min(side.units for side in sides),
        )
        method = f"difference of means, percentile bootstrap{_clustered(sides)}"
        effect = Effect(values[1] - values[0], low, high, current.unit, method)
    return judge(
        effect,
        rule=rule,
        better=better,
        sides=(estimates[0], estimates[1]),
        obstacle=_few_clusters(sides, rule),
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """Values in time order, which of them are complete, cluster codes, independent units."""

    values: Floats
    observed: Bools
    clusters: Ints | None
    units: int
    unit: str


def _prepared(sample: Sample) -> _Side:
    values = np.asarray(sample.values, dtype=np.float64)
    censored = np.zeros(len(values), bool) if sample.censored is None else sample.censored
    observed = ~np.asarray(censored, dtype=bool)
    codes = (
        np.arange(len(values))
        if sample.clusters is None
        else bootstrap.cluster_codes(np.asarray(sample.clusters))
    )
    if not len(values) == len(observed) == len(codes):
        msg = f"{len(values)} values, {len(observed)} censoring marks, {len(codes)} clusters"
        raise RunError("ST222", msg, fix="Give one of each for every case")
    # ties by cluster, so that the order of rows does not matter; without clusters tied cases are
    # interchangeable
    ties = codes if sample.clusters is not None else np.zeros(len(values))
    order = np.lexsort((ties, ~observed, values))
    units = int(codes.max()) + 1 if len(codes) else 0
    clusters = None if sample.clusters is None else codes[order]
    return _Side(values[order], observed[order], clusters, units, sample.unit)


def _quantile_of(side: _Side, q: float) -> Floats:
    everyone = np.ones((1, len(side.values)))
    return bootstrap.kaplan_meier_quantile(side.values, side.observed, everyone, q)


def _quantiles(side: _Side, q: float, rule: DecisionRule, rng: np.random.Generator) -> Floats:
    return bootstrap.replicate(
        lambda w: bootstrap.kaplan_meier_quantile(side.values, side.observed, w, q),
        n=len(side.values),
        clusters=side.clusters,
        replicates=rule.replicates,
        rng=rng,
    )


def _means(side: _Side, rule: DecisionRule, rng: np.random.Generator) -> Floats:
    return bootstrap.means(side.values, side.clusters, replicates=rule.replicates, rng=rng)


def _mean_of(side: _Side, rule: DecisionRule) -> Estimate:
    return mean(
        side.values,
        unit=side.unit,
        seed=rule.seed,
        confidence=rule.confidence,
        clusters=side.clusters,
    )


def _relative(baseline: Floats, current: Floats) -> Floats:
    """Return current / baseline - 1; 0 / 0 and inf / inf are not numbers, on purpose."""
    with np.errstate(divide="ignore", invalid="ignore"):
        change: Floats = current / baseline - 1.0
    return change


def _wilson(share: Share, confidence: float) -> tuple[float, float, float]:
    found = binomtest(share.k, share.n).proportion_ci(confidence, method="wilson")
    return share.k / share.n, float(found.low), float(found.high)


def _method(q: float, sides: list[_Side]) -> str:
    name = "median" if q == 0.5 else f"{100 * q:g}th percentile"  # noqa: PLR2004 - the median
    return f"relative change of the Kaplan-Meier {name}, percentile bootstrap{_clustered(sides)}"


def _clustered(sides: list[_Side]) -> str:
    if all(side.clusters is None for side in sides):
        return ""
    return f" of clusters ({sides[0].units} and {sides[1].units})"


def _few_clusters(sides: list[_Side], rule: DecisionRule) -> str:
    counts = [side.units for side in sides if side.clusters is not None]
    if not counts or min(counts) >= rule.min_clusters:
        return ""
    return f"a side has {min(counts)} clusters, the rule asks for {rule.min_clusters}"
