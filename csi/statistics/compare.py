"""What is compared between two sides, and by how much do two shares differ?

The interval of the difference of two shares is the hybrid score interval (Newcombe 1998, Statistics
in Medicine 17, 873-890, method 10). It treats cases as independent; bursts make it too short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

if TYPE_CHECKING:
    import numpy.typing as npt


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


def newcombe(baseline: Share, current: Share, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the hybrid score interval of current - baseline (Newcombe 1998, method 10)."""
    p1, l1, u1 = _wilson(baseline, confidence)
    p2, l2, u2 = _wilson(current, confidence)
    low = p2 - p1 - float(np.hypot(p2 - l2, u1 - p1))
    high = p2 - p1 + float(np.hypot(u2 - p2, p1 - l1))
    return max(low, -1.0), min(high, 1.0)


def _wilson(share: Share, confidence: float) -> tuple[float, float, float]:
    found = binomtest(share.k, share.n).proportion_ci(confidence, method="wilson")
    return share.k / share.n, float(found.low), float(found.high)
