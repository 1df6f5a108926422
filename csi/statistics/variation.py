"""What share of cases would have to be of another class for two groups to be alike?

The total variation distance of two distributions over classes: half the sum of the absolute
differences of their shares, 0 (alike) to 1 (no class in common). Many rare classes make it large by
chance alone, so it is told beside the value that is expected if the labels mean nothing: with m
cases in a class, n and n' in the groups, the number of A's among the m is hypergeometric, and the
expectation of the absolute difference is a sum over that law (exact up to `EXACT` cases in a class;
above, the normal limit, whose error is below 1 in 1,000 there).

O(classes) and, for each distinct size of a class, O(its size). Not a test: see `permutation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import hypergeom

if TYPE_CHECKING:
    from csi.statistics.bootstrap import Ints

EXACT: Final = 1000


@dataclass(frozen=True)
class Variation:
    """The distance, what chance alone would give on average, and the number of classes."""

    distance: float
    by_chance: float
    classes: int


def variation(a: Ints, b: Ints) -> Variation | None:
    """Compare the cases of each class in A with those in B; None where a group is empty."""
    n, m = int(a.sum()), int(b.sum())
    if not n or not m:
        return None
    sizes, times = np.unique(a + b, return_counts=True)
    chance = sum(
        int(count) * _expected(int(size), n, m) for size, count in zip(sizes, times, strict=True)
    )
    seen = float(np.abs(a * m - b * n).sum()) / (n * m)  # whole numbers until here
    return Variation(seen / 2, chance / 2, int(((a + b) > 0).sum()))


def _expected(size: int, n: int, m: int) -> float:
    """Return the mean absolute difference of the shares of a class of `size` cases."""
    total = n + m
    if size > EXACT:
        spread = size * (total - size) * n * m / (total * total * (total - 1))
        return float(np.sqrt(2 * spread / np.pi)) * total / (n * m)
    inside = np.arange(max(0, size - m), min(size, n) + 1)
    apart = np.abs(inside / n - (size - inside) / m)
    return float((hypergeom.pmf(inside, total, size, n) * apart).sum())
