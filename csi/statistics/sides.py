"""What is compared of the tickets of a window: times, scores or shares, whole clusters weighted?

A `Side` holds the tickets of one window of one group. f is the logarithm of a Kaplan-Meier quantile
for times, the mean for scores and shares; it is computed for many replicates at once, a replicate
being a row that says how often each cluster (week or team) counts.

Times are compared as ratios, so a difference of logarithms becomes a relative change. O(replicates
* tickets). Sums are not by BLAS: the same on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from csi.statistics import bootstrap
from csi.statistics.mix import mix_of

if TYPE_CHECKING:
    from csi.statistics.bootstrap import Bools, Floats, Ints
    from csi.statistics.decision import Direction
    from csi.statistics.mix import Mix


@dataclass(frozen=True, eq=False)
class Side:
    """The tickets of one window of one group.

    `each`: hours, scores, or 0 and 1. `censored` marks hours still running, None where they
    are no times. `clusters`: the week of opening or the team, one label a ticket. `words`: what
    makes tickets alike (priority, category, ...), one row a ticket.
    """

    each: Floats
    clusters: Ints
    words: pd.DataFrame
    censored: Bools | None = None


@dataclass(frozen=True)
class Measure:
    """What is compared: a quantile of times (`q`), a `total`, else the mean of scores or shares."""

    unit: str
    better: Direction
    q: float | None = None
    total: bool = False

    @property
    def ratio(self) -> bool:
        """Whether f is a logarithm, so that its differences are relative changes."""
        return self.total or self.q is not None

    @property
    def effect_unit(self) -> str:
        """In which unit the effect is said."""
        if self.ratio:
            return "relative change"
        return "difference of shares" if self.unit == "share" else self.unit

    def effect(self, difference: float) -> float:
        """Return the effect that a difference of f stands for."""
        return float(np.expm1(difference)) if self.ratio else difference

    def difference(self, effect: float) -> float:
        """Return the difference of f that an effect stands for."""
        return float(np.log1p(effect)) if self.ratio else effect


@dataclass(frozen=True, eq=False)
class Sorted:
    """Some tickets in the order of their values, ends before those still running.

    `table`: tickets by cluster (`labels`) and combination of words.
    """

    each: Floats
    ended: Bools
    place: Ints
    combination: Ints
    labels: Ints
    table: Floats

    @classmethod
    def of(cls, side: Side, combination: Ints, combinations: int) -> Sorted:
        """Sort a side; `combination` is that of each ticket, of so many."""
        censored = side.censored
        ended = np.ones(len(side.each), bool) if censored is None else ~censored
        order = np.lexsort((combination, side.clusters, ~ended, side.each))
        labels, place = np.unique(side.clusters[order], return_inverse=True)
        cells = place * combinations + combination[order]
        counts = np.bincount(cells, minlength=len(labels) * combinations)
        return cls(
            each=side.each[order].astype(np.float64),
            ended=ended[order],
            place=place.astype(np.int64),
            combination=combination[order],
            labels=labels,
            table=counts.reshape(len(labels), combinations).astype(np.float64),
        )

    @classmethod
    def alone(cls, side: Side) -> Sorted:
        """Sort a side that is weighted to no other."""
        return cls.of(side, np.zeros(len(side.each), np.int64), 1)

    def among(self, units: Ints) -> Ints:
        """Return where the clusters stand among all units that are drawn."""
        return np.searchsorted(units, self.labels).astype(np.int64)

    def f(self, counts: Floats, measure: Measure, factors: Floats | None = None) -> Floats:
        """Return f, one a row of counts: how often each of `labels` was drawn."""
        weights = counts[:, self.place]
        if factors is not None:
            weights *= factors[:, self.combination]
        if measure.q is not None:
            found = bootstrap.kaplan_meier_quantile(self.each, self.ended, weights, measure.q)
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(found), dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (weights * self.each).sum(axis=1) / weights.sum(axis=1)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Group:
    """The baseline and the current window of some tickets, and what makes them comparable."""

    before: Sorted
    after: Sorted
    mix: Mix

    @classmethod
    def of(cls, baseline: Side, current: Side) -> Group:
        """Sort both windows and code what makes their tickets alike."""
        mix = mix_of(baseline.words, current.words)
        before, after = (
            Sorted.of(side, codes, mix.combinations)
            for side, codes in ((baseline, mix.baseline), (current, mix.current))
        )
        return cls(before, after, mix)

    def parts(self, before: Floats, after: Floats, measure: Measure) -> tuple[Floats, Floats]:
        """Return f(baseline, weighted) and f(current), one a row of counts of their clusters."""
        factors = None
        if self.mix.levels:
            had, wanted = (
                np.einsum("rg,gc->rc", counts, side.table, optimize=False)
                for counts, side in ((before, self.before), (after, self.after))
            )
            factors = self.mix.factors(had, wanted)
        return self.before.f(before, measure, factors), self.after.f(after, measure)


def joined(pair: tuple[Side, Side]) -> Side:
    """Return the tickets of two sides as one."""
    first, second = pair
    censored = None
    if first.censored is not None and second.censored is not None:
        censored = np.concatenate([first.censored, second.censored])
    return Side(
        each=np.concatenate([first.each, second.each]),
        clusters=np.concatenate([first.clusters, second.clusters]),
        words=pd.concat([first.words, second.words], ignore_index=True),
        censored=censored,
    )


@dataclass(frozen=True, eq=False)
class Weekly:
    """f by week: the weeks in order, how many tickets each has, f (NaN where it has no value)."""

    weeks: Ints
    n: Ints
    f: Floats


def weekly(side: Side, like: Side, measure: Measure) -> Weekly:
    """Return f of each cluster of a side, each weighted to the mix of the tickets in `like`."""
    mix = mix_of(side.words, like.words)
    tickets = Sorted.of(side, mix.baseline, mix.combinations)
    each = np.eye(len(tickets.labels))
    factors = None
    if mix.levels:
        wanted = np.bincount(mix.current, minlength=mix.combinations).astype(np.float64)
        factors = mix.factors(tickets.table, np.repeat(wanted[None, :], len(each), axis=0))
    found = tickets.f(each, measure, factors)
    counts = tickets.table.sum(axis=1).astype(np.int64)
    return Weekly(tickets.labels, counts, np.where(np.isfinite(found), found, np.nan))
