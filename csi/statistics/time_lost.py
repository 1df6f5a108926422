"""How much longer did marked cases take, all together, than others that are alike?

Time lost is n (A - B): n marked cases, A their restricted mean time and B that of the others, each
of which weighs what it stands for among the marked. A restricted mean is the area under the
Kaplan-Meier curve up to a horizon (Irwin 1949; Royston & Parmar 2013, BMC Medical Research
Methodology 13, 152): the mean time where no case counts for more than the horizon. So open cases
are censored, a few endless ones do not decide, and cases that are no different lose nothing, which
a sum over medians would not give for skewed times. The horizon is shortened to the last time that
both sides were seen, if that is earlier.

Interval: whole clusters (weeks of opening) are drawn anew, weights kept; expanded percentiles
(`csi.statistics.bootstrap`). Curves are taken on a grid of `STEPS` steps up to the horizon.

Cost: O(n + replicates x clusters x STEPS). Not checked: what the weights do not make alike.
Errors: RunError ST571 for arrays of different lengths, a horizon that is not positive, or a side
without cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.statistics import bootstrap
from csi.statistics.estimate import CONFIDENCE, Estimate
from process_mining.errors import RunError

if TYPE_CHECKING:
    from csi.statistics.bootstrap import Bools, Floats, Ints

STEPS: Final = 400
REPLICATES: Final = 999


@dataclass(frozen=True, eq=False)
class Times:
    """Hours and which of them are censored; `mark`; what each counts; clusters. One entry a case.

    A case of weight 0 counts for nothing.
    """

    hours: Floats
    censored: Bools
    mark: Bools
    weight: Floats
    clusters: Ints

    @property
    def sides(self) -> tuple[Bools, Bools]:
        """The marked cases and the others that count."""
        some = self.weight > 0
        return self.mark & some, ~self.mark & some

    def seen(self) -> float:
        """Return the last time that both sides were seen; infinite where all of both ended."""
        ends = []
        for side in self.sides:
            longest = self.hours[side].max()
            lost = self.censored[side] & (self.hours[side] >= longest)
            ends.append(longest if lost.any() else np.inf)
        return float(min(ends))


def time_lost(times: Times, *, horizon_h: float, seed: int, unit: str = "h") -> Estimate:
    """Return the hours that the marked cases took beyond the others, no case above the horizon."""
    _check(times, horizon_h)
    horizon = min(horizon_h, times.seen())
    codes = bootstrap.cluster_codes(times.clusters)
    n_clusters = int(codes.max()) + 1
    sides = [_counts(times, side, codes, horizon) for side in times.sides]
    weight = np.bincount(codes, times.weight * times.mark, minlength=n_clusters)
    step = horizon / STEPS

    def lost(drawn: Floats) -> Floats:
        marked, others = (_area(drawn, at_risk, ended) for at_risk, ended in sides)
        found: Floats = (drawn * weight).sum(axis=1) * (marked - others) * step
        return found

    value = float(lost(np.ones((1, n_clusters)))[0])
    n = int(times.sides[0].sum())
    method = f"restricted mean times up to {horizon:.0f} h, whole clusters drawn"
    if n_clusters == 1:
        return Estimate(value, None, None, n, method, unit)
    drawn = bootstrap.replicate(
        lost,
        n=n_clusters,
        clusters=None,
        replicates=REPLICATES,
        rng=np.random.default_rng(seed),
    )
    low, high = bootstrap.percentile_interval(drawn, confidence=CONFIDENCE, units=n_clusters)
    finite = np.isfinite([low, high]).all()
    return Estimate(value, low if finite else None, high if finite else None, n, method, unit)


def _counts(times: Times, side: Bools, codes: Ints, horizon: float) -> tuple[Floats, Floats]:
    """Return for each cluster and step the weight at risk, and that which ended."""
    n_clusters, step = int(codes.max()) + 1, horizon / STEPS
    # beyond the horizon is the step after the last: still at risk in every step before
    place = np.minimum(times.hours[side] / step, STEPS).astype(np.int64)
    cell = codes[side] * (STEPS + 1) + place
    size, shape = n_clusters * (STEPS + 1), (n_clusters, STEPS + 1)
    weight = times.weight[side]
    held = np.bincount(cell, weight, minlength=size).reshape(shape)
    ended = np.bincount(cell, weight * ~times.censored[side], minlength=size).reshape(shape)
    at_risk = np.cumsum(held[:, ::-1], axis=1)[:, ::-1]
    return at_risk[:, :STEPS].astype(np.float64), ended[:, :STEPS].astype(np.float64)


def _area(drawn: Floats, at_risk: Floats, ended: Floats) -> Floats:
    """Return the area under the curve of each draw of clusters, in steps (trapezoids)."""
    # not by BLAS: the same sums on any machine
    n, d = (np.einsum("rc,ck->rk", drawn, one, optimize=False) for one in (at_risk, ended))
    share = np.cumprod(1.0 - d / np.where(n > 0, n, 1.0), axis=1)
    before = np.hstack([np.ones((len(share), 1)), share[:, :-1]])
    # a draw without any case of this side says nothing
    some = np.where(n[:, 0] > 0, 1.0, np.nan)
    found: Floats = (before + share).sum(axis=1) / 2 * some
    return found


def _check(times: Times, horizon_h: float) -> None:
    arrays = (times.hours, times.censored, times.mark, times.weight, times.clusters)
    if len({len(one) for one in arrays}) > 1:
        raise RunError("ST571", "times, marks, weights and clusters are of different numbers")
    if not horizon_h > 0:
        raise RunError("ST571", f"a horizon of {horizon_h} h", fix="Give hours above 0")
    if not all(side.any() for side in times.sides):
        raise RunError("ST571", "one side has no case that counts")
