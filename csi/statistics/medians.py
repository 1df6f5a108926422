"""By how much do two medians differ, when some times are still running? MOVER limits.

Each side's median has order-statistic limits where every time is complete (`quantile`), else it is
the Kaplan-Meier median with its log-log limits (`censored_quantile`; of complete times both are the
same median). Their limits are put together by MOVER (csi.statistics.mover).

No shape is assumed and nothing is drawn: O(n log n). A limit is None where the data do not bound
that side (too few cases, or too many still running), the difference where a median lies beyond what
was seen.

Not checked: that cases are independent; that those still running will end as the others did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.statistics.estimate import CONFIDENCE, censored_quantile, quantile
from csi.statistics.mover import difference

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
    return MedianDifference(left, right, *difference(left, right), confidence)


def _median(side: Sample, confidence: float) -> Estimate:
    values = np.asarray(side.values, dtype=np.float64)
    running = np.zeros(0) if side.censored is None else np.asarray(side.censored)
    if not running.any():
        return quantile(values, unit=side.unit, confidence=confidence)
    return censored_quantile(values, running, unit=side.unit, confidence=confidence)
