"""How are the values of each group distributed: how many, which quantiles, what in all?

Groups are numbered 0 to n - 1; `groups` and `values` are columns of equal length, int64. A
quantile is the smallest value that at least that share of its group do not exceed (Hyndman & Fan
1996, type 1): an observed value, exact. Sums are exact: they are kept in two halves, since the
waits of a large log in µs can pass 64 bits. The limits of a median are order statistics with
binomial ranks (Conover 1999, Practical Nonparametric Statistics, 3.2): no shape is assumed, but
that values are independent.

One sort by group and value, O(n log n); every question after that is a look-up a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining._order import packed_keys

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints

    Floats = npt.NDArray[np.float64]

_HALF: Final = 31  # bits of the lower half of a sum


@dataclass(frozen=True, eq=False)
class Grouped:
    """Values ascending inside their groups: group g owns values[offsets[g]:offsets[g + 1]]."""

    offsets: Ints
    values: Ints

    @property
    def counts(self) -> Ints:
        """How many values each group has."""
        return np.diff(self.offsets)

    def nth(self, ranks: Ints) -> Ints:
        """Return the value at a rank (from 1) of each group, 0 where the rank is below 1."""
        padded = np.append(self.values, 0)
        place = np.where(ranks > 0, self.offsets[:-1] + ranks - 1, len(self.values))
        return np.asarray(padded[place])

    def quantile(self, percent: int) -> Ints:
        """Return the percentile (1 to 100) of each group, 0 where it is empty."""
        return self.nth(-(-self.counts * percent // 100))

    def totals(self) -> Floats:
        """Return the sum of each group: exact integers, rounded once to float."""
        high, low = (
            np.diff(np.append(0, np.cumsum(half))[self.offsets]).astype(np.float64)
            for half in _halves(self.values)
        )
        return np.asarray(high * float(1 << _HALF) + low)


def grouped(groups: Ints, values: Ints, *, n: int) -> Grouped:
    """Sort the values of n groups."""
    order = np.lexsort((values, groups))
    offsets = np.append(0, np.cumsum(np.bincount(groups, minlength=n))).astype(np.int64)
    return Grouped(offsets, values[order])


def exact_sum(values: Ints) -> int:
    """Return the sum of all values, which may pass 64 bits."""
    high, low = (int(half.sum()) for half in _halves(values))
    return (high << _HALF) + low


def _halves(values: Ints) -> tuple[Ints, Ints]:
    """Return the upper and the lower half of each value, so that sums of halves fit 64 bits."""
    return values >> _HALF, values & ((1 << _HALF) - 1)


def sums(groups: Ints, values: Ints, *, n: int) -> Ints:
    """Return the sum of each of n groups, which ascend; each sum has to fit 64 bits."""
    running = np.append(0, np.cumsum(values))  # wraps around in a large log; differences are right
    return np.asarray(np.diff(running[np.searchsorted(groups, np.arange(n + 1))]))


def distinct(groups: Ints, members: Ints, *, n: int) -> Ints:
    """Count the distinct members of n groups; members are at least 0."""
    width = int(members.max(initial=0)) + 1
    pairs = np.unique(groups * width + members)
    return np.bincount(pairs // width, minlength=n)


def numbered(*columns: Ints) -> tuple[Ints, Ints]:
    """Number the distinct rows of columns in their order.

    Returns the number of each row, and for each number the place of one row that has it.
    """
    _, place, number = np.unique(packed_keys(list(columns)), return_index=True, return_inverse=True)
    return number.astype(np.int64), place.astype(np.int64)


def median_ranks(counts: Ints, *, confidence: float) -> tuple[Ints, Ints]:
    """Return the ranks (from 1) of the limits of the median of so many values, 0 where too few.

    The lower rank is the greatest r with P(B < r) at most half of 1 - confidence, B ~ Binomial(n,
    1/2); the upper is n + 1 - r. Both limits are values, so equal ones make the interval wider.
    """
    from scipy.stats import binom  # noqa: PLC0415 - a second to import; few commands need it

    sizes, which = np.unique(counts, return_inverse=True)
    tail = (1.0 - confidence) / 2.0
    rank = np.maximum(binom.ppf(tail, sizes, 0.5), 0).astype(np.int64)
    rank += binom.cdf(rank, sizes, 0.5) <= tail
    low = np.where(sizes > 0, rank, 0)[which]
    return low, np.where(low > 0, counts + 1 - low, 0)
