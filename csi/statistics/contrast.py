"""Did the tickets of the current window fare otherwise than alike tickets of the baseline?

One measure f (the logarithm of a Kaplan-Meier quantile for times, the mean for scores and shares)
of four possible groups of tickets:

    before and after           f(current) - f(baseline weighted to the current mix)
    difference in differences  that of those who were touched, less that of those who were not

(for the second: Card & Krueger 1994; what hits both groups alike cancels). The baseline is
weighted by `csi.statistics.mix`. Times are compared as ratios, so a difference of logarithms
becomes a relative change.

Interval: whole clusters are drawn with replacement (Field & Welsh 2007), because the tickets of one
week share its outages and rosters; weeks are drawn for all groups at once, teams within their
group. The standard error of the replicates is widened by sqrt(G / (G - 1)) for few clusters and
multiplied by Student's t: percentile intervals of a dozen clusters are too short (Cameron, Gelbach
& Miller 2008, Review of Economics and Statistics 90, 414-427). The degrees of freedom are those of
the side with fewer clusters, the lower bound of Welch's: what is claimed errs on the safe side. The
standard error is read off the 5th and 95th percentile, so that a few replicates in which a quantile
was never reached do no harm. With hardly a hit (or hardly anything else) on a side the clusters
cannot show how shares vary: then the interval is never shorter than Newcombe's
(`csi.statistics.few_hits`). Other values that do not vary at all give no verdict.

The second key: the clusters are relabelled at random (weeks: baseline or current; teams: touched or
not), the numbers on both sides kept, and everything is computed anew;
p = (1 + as far) / (1 + relabellings). `Comparison.p_value` is the larger p of the two.

Cost: O(replicates * tickets) time, blocks of bounded memory. Seeded by the rule; the order of rows
plays no part.

Not checked: a trend that was there before (`csi.statistics.interrupted` is for that); that clusters
are independent; that the comparison group would have gone the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from csi.statistics.decision import Effect, judge
from csi.statistics.estimate import censored_quantile, mean, proportion
from csi.statistics.few_hits import agresti_coull_error, hardly_any, newcombe_widths
from csi.statistics.sides import Group, Measure, Side, Sorted, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from csi.statistics.bootstrap import Floats, Ints
    from csi.statistics.decision import Comparison, DecisionRule
    from csi.statistics.estimate import Estimate

Clusters = Literal["week", "team"]

BLOCK: Final = 2_000_000
MOST_UNREACHED: Final = 0.02
CLOSE: Final = 1e-9


@dataclass(frozen=True)
class Spread:
    """How sure an estimate is: its standard error and the degrees of freedom of Student's t."""

    error: float
    freedom: int

    def width(self, confidence: float) -> float:
        """Return half the length of the interval."""
        return self.error * float(student.isf((1 - confidence) / 2, self.freedom))

    def p_value(self, difference: float) -> float:
        """Return the two-sided p-value of a difference of 0."""
        if self.error <= CLOSE:
            return 1.0 if abs(difference) <= CLOSE else 0.0
        return float(2 * student.sf(abs(difference) / self.error, self.freedom))


def before_after(
    baseline: Side, current: Side, *, measure: Measure, rule: DecisionRule
) -> Comparison:
    """Compare a window with the baseline, weighted to its mix; the clusters are weeks."""
    return _Contrast([(baseline, current)], measure, rule, "week").judged()


def difference_in_differences(
    touched: tuple[Side, Side],
    others: tuple[Side, Side],
    *,
    measure: Measure,
    rule: DecisionRule,
    clusters: Clusters = "week",
) -> Comparison:
    """Compare the change (baseline, current) of those touched with that of those who were not."""
    return _Contrast([touched, others], measure, rule, clusters).judged()


def spread_of(
    baseline: Side, others: Side | None, *, measure: Measure, rule: DecisionRule
) -> Spread | None:
    """Return how sure f of a window is by itself, whole weeks drawn: what a plan rests on.

    With `others`, of the difference of the two groups. None where it cannot be told.
    """
    sides = [Sorted.alone(side) for side in (baseline, others) if side is not None]
    weeks = np.unique(np.concatenate([side.labels for side in sides]))
    if len(weeks) < 2:  # noqa: PLR2004 - one week has no spread
        return None
    rng = np.random.default_rng(rule.seed)
    found = []
    for rows in _blocks(sides, rule.replicates):
        counts = _drawn(len(weeks), rows, rng)
        parts = [side.f(counts[:, side.among(weeks)], measure) for side in sides]
        found.append(parts[0] - (parts[1] if len(parts) > 1 else 0.0))
    error = _error(np.concatenate(found)) * np.sqrt(_widening(len(weeks)))
    shares = [side for side in (baseline, others) if side is not None]
    if measure.unit == "share" and any(hardly_any(one) for one in shares):
        error = max(error, math.hypot(*(agresti_coull_error(one) for one in shares)))
    return Spread(float(error), len(weeks) - 1) if np.isfinite(error) and error > 0 else None


@dataclass(frozen=True, eq=False)
class _Contrast:
    """One or two pairs (baseline, current): who was touched and, as a second, who was not."""

    pairs: list[tuple[Side, Side]]
    measure: Measure
    rule: DecisionRule
    clusters: Clusters

    def judged(self) -> Comparison:
        """Estimate, test and judge by the rule."""
        sides = tuple(_estimate(side, self.measure, self.rule) for side in self.pairs[0])
        found: Effect | str = ""
        if all(len(side.each) for pair in self.pairs for side in pair):
            found = self._effect()
        return judge(
            None if isinstance(found, str) else found,
            rule=self.rule,
            better=self.measure.better,
            sides=(sides[0], sides[1]),
            obstacle=self._obstacle() or (found if isinstance(found, str) else ""),
        )

    def _obstacle(self) -> str:
        few = [
            f"{len(np.unique(side.clusters))} {self.clusters}s"
            for pair in self.pairs
            for side in pair
            if len(np.unique(side.clusters)) < self.rule.min_clusters
        ]
        if not few:
            return ""
        return f"a side has tickets of {few[0]}, and the rule asks for {self.rule.min_clusters}"

    def _effect(self) -> Effect | str:
        """Return the effect, or why there is none; "" where too few have ended."""
        groups = [Group.of(*pair) for pair in self._marked()]
        seen = _change(groups, _everything(groups), self.measure)
        value, spread = float(seen.difference[0]), self._spread(groups)
        if seen.nothing:
            return f"the {self._what} of a side is 0, of which there is no relative change"
        if spread is None or not np.isfinite(value):
            return ""
        down = up = spread.width(self.rule.confidence)
        few = any(hardly_any(side) for pair in self.pairs for side in pair)
        if self.measure.unit == "share" and few:
            least = newcombe_widths(self.pairs, self.rule.confidence)
            down, up = max(down, least[0]), max(up, least[1])
        if max(down, up) <= CLOSE:
            return f"the {self._what} is the same whichever {self.clusters}s are drawn"
        p_value = max(spread.p_value(value), self._relabelled(value, groups))
        low, said, high = (self.measure.effect(one) for one in (value - down, value, value + up))
        return Effect(said, low, high, self.measure.effect_unit, self._method(groups), p_value)

    def _marked(self) -> list[tuple[Side, Side]]:
        """Give a week that both windows have a part of two labels, one a window."""
        if self.clusters == "team":
            return self.pairs
        return [
            (
                replace(before, clusters=2 * before.clusters),
                replace(after, clusters=2 * after.clusters + 1),
            )
            for before, after in self.pairs
        ]

    def _spread(self, groups: list[Group]) -> Spread | None:
        """Return the standard error, its two independent parts each widened for its clusters."""
        rng = np.random.default_rng(self.rule.seed)
        weeks = self.clusters == "week"
        drawing = _drawn_weeks if weeks else _drawn_teams
        found = [
            _change(groups, drawn, self.measure)
            for drawn in drawing(groups, self.rule.replicates, rng)
        ]
        whole = _error(np.concatenate([one.difference for one in found])) ** 2
        part = _error(np.concatenate([one.after if weeks else one.touched for one in found])) ** 2
        units = _units(groups, self.clusters)
        if not np.isfinite(whole) or not np.isfinite(part) or min(units) < 2:  # noqa: PLR2004 - one has no spread
            return None
        parts = (max(whole - part, 0.0) * _widening(units[0]), part * _widening(units[1]))
        return Spread(float(np.sqrt(sum(parts))), min(units) - 1)

    def _relabelled(self, value: float, groups: list[Group]) -> float:
        """Return the p-value of the random relabellings."""
        rng = np.random.default_rng(self.rule.seed + 1)
        relabelling = _relabelled_weeks if self.clusters == "week" else _relabelled_teams
        far = 0
        for pooled, drawn in relabelling(self._marked(), groups, self.rule.replicates, rng):
            change = _change(pooled, drawn, self.measure).difference
            # what could not be computed could be as far as anything
            far += int(np.sum(~(np.abs(change) < abs(value) - CLOSE)))
        return (1 + far) / (1 + self.rule.replicates)

    @property
    def _what(self) -> str:
        return "mean" if self.measure.q is None else _quantile_name(self.measure.q)

    def _method(self, groups: list[Group]) -> str:
        design = "before and after" if len(self.pairs) == 1 else "difference in differences"
        levels = any(group.mix.levels for group in groups)
        mixed = ", baseline weighted to the current mix" if levels else ""
        unmatched = sum(group.mix.unmatched for group in groups)
        lacking = f" ({unmatched} tickets of a kind that the baseline lacks)" if unmatched else ""
        counts = " and ".join(str(len(np.unique(side.clusters))) for side in self.pairs[0])
        return (
            f"{self._what}, {design}{mixed}{lacking}; whole {self.clusters}s drawn ({counts}), "
            "t interval, permutation test"
        )


@dataclass(frozen=True, eq=False)
class _Change:
    """The contrast, one entry a replicate, and parts of it that vary by themselves.

    `after`: its part from the current window; `touched`: that from those who were touched.
    `nothing`: whether any f is the logarithm of 0.
    """

    difference: Floats
    after: Floats
    touched: Floats
    nothing: bool


def _change(groups: list[Group], drawn: list[tuple[Floats, Floats]], measure: Measure) -> _Change:
    parts = [group.parts(*counts, measure) for group, counts in zip(groups, drawn, strict=True)]
    with np.errstate(invalid="ignore"):
        changes = [after - before for before, after in parts]
        difference, now = changes[0], parts[0][1]
        for (_, after), change in zip(parts[1:], changes[1:], strict=True):
            difference, now = difference - change, now - after
    nothing = any(bool(np.isneginf(side).any()) for pair in parts for side in pair)
    return _Change(difference, now, changes[0], nothing)


def _everything(groups: list[Group]) -> list[tuple[Floats, Floats]]:
    return [
        (np.ones((1, len(group.before.labels))), np.ones((1, len(group.after.labels))))
        for group in groups
    ]


def _windows(groups: list[Group]) -> tuple[Ints, Ints]:
    """Return the clusters of each window over all groups."""
    before = np.unique(np.concatenate([group.before.labels for group in groups]))
    after = np.unique(np.concatenate([group.after.labels for group in groups]))
    return before, after


def _sides(groups: list[Group]) -> list[Sorted]:
    return [side for group in groups for side in (group.before, group.after)]


def _members(group: Group) -> Ints:
    """Return the clusters of a group over both windows."""
    return np.unique(np.concatenate([group.before.labels, group.after.labels]))


def _units(groups: list[Group], clusters: Clusters) -> tuple[int, int]:
    """Return how many clusters the two independent parts of the variance rest on."""
    if clusters == "week":
        before, after = _windows(groups)
        return len(before), len(after)
    touched, others = (len(_members(group)) for group in groups)
    return others, touched


def _drawn_weeks(
    groups: list[Group], replicates: int, rng: np.random.Generator
) -> Iterator[list[tuple[Floats, Floats]]]:
    before, after = _windows(groups)
    for rows in _blocks(_sides(groups), replicates):
        counts = _drawn(len(before), rows, rng), _drawn(len(after), rows, rng)
        yield [_of_windows(group, (before, after), counts) for group in groups]


def _drawn_teams(
    groups: list[Group], replicates: int, rng: np.random.Generator
) -> Iterator[list[tuple[Floats, Floats]]]:
    for rows in _blocks(_sides(groups), replicates):
        drawn = []
        for group in groups:
            teams = _members(group)
            counts = _drawn(len(teams), rows, rng)
            drawn.append(_of_windows(group, (teams, teams), (counts, counts)))
        yield drawn


def _relabelled_weeks(
    pairs: list[tuple[Side, Side]],
    groups: list[Group],
    replicates: int,
    rng: np.random.Generator,
) -> Iterator[tuple[list[Group], list[tuple[Floats, Floats]]]]:
    """Yield all tickets as either window's, and which weeks are taken for whose."""
    pooled = []
    for pair, group in zip(pairs, groups, strict=True):
        codes = np.concatenate([group.mix.baseline, group.mix.current])
        both = Sorted.of(joined(pair), codes, group.mix.combinations)
        pooled.append(Group(both, both, group.mix))
    before, after = _windows(groups)
    weeks = np.concatenate([before, after])
    order = np.argsort(weeks)
    for rows in _blocks(_sides(pooled), replicates):
        now = _chosen(len(weeks), len(after), rows, rng)
        counts = (1.0 - now[:, order], now[:, order])
        yield pooled, [_of_windows(one, (weeks[order], weeks[order]), counts) for one in pooled]


def _relabelled_teams(
    pairs: list[tuple[Side, Side]],
    groups: list[Group],
    replicates: int,
    rng: np.random.Generator,
) -> Iterator[tuple[list[Group], list[tuple[Floats, Floats]]]]:
    """Yield all teams as either group's, and which are taken for whose."""
    windows = [joined((pairs[0][side], pairs[1][side])) for side in (0, 1)]
    pooled = Group.of(windows[0], windows[1])
    teams = _members(pooled)
    for rows in _blocks(_sides([pooled]), replicates):
        touched = _chosen(len(teams), len(_members(groups[0])), rows, rng)
        yield (
            [pooled, pooled],
            [
                _of_windows(pooled, (teams, teams), (counts, counts))
                for counts in (touched, 1.0 - touched)
            ],
        )


def _of_windows(
    group: Group, units: tuple[Ints, Ints], counts: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return the counts of a group's own clusters in each window."""
    sides = (group.before, group.after)
    before, after = (
        count[:, side.among(unit)] for side, unit, count in zip(sides, units, counts, strict=True)
    )
    return before, after


def _blocks(sides: Iterable[Sorted], replicates: int) -> Iterator[int]:
    """Yield how many replicates fit a block of bounded memory."""
    n = max(len(side.each) for side in sides)
    step = max(1, BLOCK // n)
    for start in range(0, replicates, step):
        yield min(step, replicates - start)


def _drawn(units: int, rows: int, rng: np.random.Generator) -> Floats:
    """Draw clusters with replacement: how often each one was drawn, a row a replicate."""
    drawn = rng.integers(units, size=(rows, units))
    drawn += np.arange(rows)[:, None] * units
    times = np.bincount(drawn.ravel(), minlength=rows * units)
    return times.reshape(rows, units).astype(np.float64)


def _chosen(units: int, n: int, rows: int, rng: np.random.Generator) -> Floats:
    """Choose n of the clusters, a row a relabelling."""
    first = np.broadcast_to(np.arange(units) < n, (rows, units))
    return rng.permuted(first, axis=1).astype(np.float64)


def _error(replicates: Floats) -> float:
    """Return the standard error; infinite where too many replicates have no value."""
    known = np.isfinite(replicates)
    if not len(replicates) or np.mean(~known) > MOST_UNREACHED:
        return float("inf")
    low, high = np.quantile(replicates[known], (0.05, 0.95), method="inverted_cdf")
    return float(high - low) / (2 * float(norm.isf(0.05)))


def _widening(units: int) -> float:
    """Return by what the variance of drawn means falls short of that of the mean."""
    return units / (units - 1) if units > 1 else float("inf")


def _estimate(side: Side, measure: Measure, rule: DecisionRule) -> Estimate:
    """Estimate one side as it is, unweighted."""
    if measure.q is not None:
        running = np.zeros(len(side.each), bool) if side.censored is None else side.censored
        return censored_quantile(
            side.each, running, measure.q, unit=measure.unit, confidence=rule.confidence
        )
    if measure.unit == "share":
        k, n = int(side.each.sum()), len(side.each)
        return proportion(k, n, unit=measure.unit, confidence=rule.confidence)
    return mean(
        side.each,
        unit=measure.unit,
        seed=rule.seed,
        confidence=rule.confidence,
        clusters=side.clusters,
    )


def _quantile_name(q: float) -> str:
    return "median" if q == 0.5 else f"{100 * q:g}th percentile"  # noqa: PLR2004 - the median
