"""How likely does something last beyond a limit, given that it has lasted so far?

Kaplan & Meier (1958, JASA 53, 457-481): P(T > limit | T > so far) is the product of 1 - d/n over
the times in (so far, limit] at which d of the n at risk ended. What was still going when it was
last seen is censored there: at risk up to that time, and at the ends of equal time still. What was
seen only from some time on (late entry) is at risk from then on, so that it cannot count for times
at which its end would not have been seen (Tsai, Jewell & Wang 1987, Biometrika 74, 883-886).

Interval of 95 %: log(-log p) with Greenwood's variance (1926) of the factors used. Where fewer than
`FEW` like it are known to have ended by the limit or passed it, or p is 0 or 1, the normal law of
that transform does not hold: then Clopper & Pearson (1934) of p in that number, which is exact
without censoring and longer than needed with it.

There is no value where nobody was at risk at `so far`, or where the last one at risk was lost from
sight before the limit: the curve does not reach it.

Not checked: that what was censored would have gone on as the others did, and that cases are
independent. Cost: O(n log n), and O(log n) a question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from scipy.stats import beta, norm

if TYPE_CHECKING:
    import numpy.typing as npt

    from csi.statistics.bootstrap import Bools, Floats, Ints

Number = TypeVar("Number", np.float64, np.int64)

CONFIDENCE: Final = 0.95
FEW: Final = 30


@dataclass(frozen=True, eq=False)
class Lasting:
    """Answers, one entry a question; share, low and high are NaN where there is no value.

    `at_risk` had lasted so far; of them `known` ended by the limit or were seen to pass it.
    """

    share: Floats
    low: Floats
    high: Floats
    at_risk: Ints
    known: Ints


@dataclass(frozen=True, eq=False)
class Survival:
    """A Kaplan-Meier curve.

    `entries` and `exits` ascend. `at` are the times of ends; the others have one entry more, the
    sums over the first 0, 1, ... of these: ends, times at which all at risk ended, and of the other
    times the logarithm of their factors and Greenwood's terms.
    """

    entries: Floats
    exits: Floats
    at: Floats
    ends: Ints
    wiped_out: Ints
    log_share: Floats
    variance: Floats

    @classmethod
    def of(cls, times: Floats, ended: Bools, entered: Floats | None = None) -> Survival:
        """Sum up how long each lasted, whether it was seen to end, and from when it was seen.

        `entered` is -inf for what was seen from its start (an end at time 0 counts), by default
        all. What was seen for no time says nothing.
        """
        begin = np.full(len(times), -np.inf) if entered is None else entered
        seen = begin < times
        entries, exits = np.sort(begin[seen]), np.sort(times[seen])
        at, d = np.unique(times[seen & ended], return_counts=True)
        d = d.astype(np.int64)
        n = np.searchsorted(entries, at) - np.searchsorted(exits, at)
        left = n - d
        some = left > 0
        safe = np.where(some, left, 1)
        factor = np.where(some, np.log(safe / n), 0.0)
        term = np.where(some, d / (n * safe), 0.0)
        return cls(
            entries=entries,
            exits=exits,
            at=at,
            ends=_sums(d),
            wiped_out=_sums((~some).astype(np.int64)),
            log_share=_sums(factor),
            variance=_sums(term),
        )

    def beyond(
        self, limit: Floats, so_far: Floats, at_once: tuple[Ints, Ints] | None = None
    ) -> Lasting:
        """Say how likely what lasts longer than `so_far` lasts longer than `limit`, at least it.

        `at_once` is for what may also end at `so_far` itself: ended and at risk there, the factor
        before all others; (0, 0) for what may not.
        """
        i, j = (np.searchsorted(self.at, x, side="right") for x in (so_far, limit))
        none = self.wiped_out[j] > self.wiped_out[i]
        share = np.where(none, 0.0, np.exp(self.log_share[j] - self.log_share[i]))
        variance = self.variance[j] - self.variance[i]
        at_risk, passed = self._at_risk(so_far), self._at_risk(limit)
        known = np.minimum(at_risk, self.ends[j] - self.ends[i] + passed)
        told = (known > 0) & (none | (passed > 0))
        if at_once is not None:
            d, n = at_once
            left = n - d
            share = share * np.where(n > 0, left / np.maximum(n, 1), 1.0)
            variance = variance + np.where(left > 0, d / np.maximum(n * left, 1), 0.0)
            known = np.where(n > 0, np.minimum(known, n), known)
        low, high = _limits(share, variance, known)
        share, low, high = (np.where(told, x, np.nan) for x in (share, low, high))
        return Lasting(share, low, high, at_risk, known)

    def _at_risk(self, x: Floats) -> Ints:
        """How many that were seen by then last longer."""
        begun = np.searchsorted(self.entries, x, side="right")
        found: Ints = begun - np.searchsorted(self.exits, x, side="right")
        return found


def _limits(share: Floats, variance: Floats, known: Ints) -> tuple[Floats, Floats]:
    """The limits of each share; `variance` is that of its logarithm."""
    exact = (known < FEW) | (share <= 0.0) | (share >= 1.0)
    low, high = np.zeros(len(share)), np.ones(len(share))
    few = np.flatnonzero(exact & (known > 0))
    low[few], high[few] = _exact(share[few], known[few])
    many = np.flatnonzero(~exact)
    log = np.log(share[many])
    wide = float(norm.ppf((1.0 + CONFIDENCE) / 2.0)) * np.sqrt(variance[many]) / -log
    low[many], high[many] = np.exp(log * np.exp(wide)), np.exp(log * np.exp(-wide))
    return low, high


def _exact(share: Floats, known: Ints) -> tuple[Floats, Floats]:
    """Clopper-Pearson limits; with censoring, share * known need not be whole."""
    # few pairs differ, and a quantile of the beta law is dear
    pairs, place = np.unique(np.stack([share, known], axis=1), axis=0, return_inverse=True)
    hit, n = pairs[:, 0] * pairs[:, 1], pairs[:, 1]
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.zeros(len(pairs)), np.ones(len(pairs))
    some, rest = hit > 0, hit < n
    low[some] = beta.ppf(tail, hit[some], n[some] - hit[some] + 1.0)
    high[rest] = beta.ppf(1.0 - tail, hit[rest] + 1.0, n[rest] - hit[rest])
    place = place.ravel()
    return low[place], high[place]


def _sums(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The sums of the first 0, 1, ... values."""
    return np.concatenate([np.zeros(1, values.dtype), np.cumsum(values, dtype=values.dtype)])
