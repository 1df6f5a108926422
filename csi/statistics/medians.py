"""By how much do two medians differ, when some times are still running? MOVER limits.

Each side's median has order-statistic limits where every time is complete (`quantile`), else it is
the Kaplan-Meier median with its log-log limits (`censored_quantile`; of complete times both are the
same median). From them the limits of the difference b - a are put together by the method of
variance estimates recovery, which squares and adds the distances of the limits from their medians
(Zou & Donner 2008, Statistics in Medicine 27, 1693-1702), as Newcombe's method 10 does for shares:

    low  = b - a - sqrt((b - b_low)^2 + (a_high - a)^2)
    high = b - a + sqrt((b_high - b)^2 + (a - a_low)^2)

No shape is assumed and nothing is drawn: O(n log n). A limit is None where the data do not bound
that side (too few cases, or too many still running), the difference where a median lies beyond what
was seen.

Not checked: that cases are independent; that those still running will end as the others did.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.statistics.estimate import CONFIDENCE, censored_quantile, quantile

if TYPE_CHECKING:
    from csi.statistics.compare import Sample
    from csi.statistics.estimate import Estimate

METHOD: Final = "difference of medians (Kaplan-Meier where some are open), MOVER limits"


@dataclass(frozen=True)
class MedianDifference:
    """b - a in the unit of both, its limits at `confidence`, and each side's median."""

    a: Estimate
    b: Estimate
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    method: str = METHOD

    @property
    def relative(self) -> float | None:
        """The difference as a share of the median of a."""
        return None if self.value is None or not self.a.value else self.value / self.a.value


def difference_of_medians(
    a: Sample, b: Sample, *, confidence: float = CONFIDENCE
) -> MedianDifference:
    """Compare the medians of two samples of possibly censored times."""
    left, right = (_median(side, confidence) for side in (a, b))
    if left.value is None or right.value is None:
        return MedianDifference(left, right, None, None, None, confidence)
    value = right.value - left.value
    down = _joined(right.value, right.low, left.value, left.high)
    up = _joined(right.value, right.high, left.value, left.low)
    return MedianDifference(
        a=left,
        b=right,
        value=value,
        low=None if down is None else value - down,
        high=None if up is None else value + up,
        confidence=confidence,
    )


def _median(side: Sample, confidence: float) -> Estimate:
    values = np.asarray(side.values, dtype=np.float64)
    running = np.zeros(0) if side.censored is None else np.asarray(side.censored)
    if not running.any():
        return quantile(values, unit=side.unit, confidence=confidence)
    return censored_quantile(values, running, unit=side.unit, confidence=confidence)


def _joined(b: float, b_limit: float | None, a: float, a_limit: float | None) -> float | None:
    """Return how far the limit lies from the difference."""
    return None if b_limit is None or a_limit is None else hypot(b - b_limit, a - a_limit)
