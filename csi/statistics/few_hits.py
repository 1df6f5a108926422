"""How sure is a share of which hardly a ticket, or nearly every one, is a hit?

Whole weeks cannot show how such a share varies: with no hit at all no week differs from another,
and drawing them would make it seem certain. Two limits that no draw may fall below: Newcombe's for
differences (1998, Statistics in Medicine 17, 873-890, method 10), several changes put together by
MOVER (Zou & Donner 2008, Statistics in Medicine 27, 1693-1702); for plans the standard error of
Agresti & Coull (1998, The American Statistician 52, 119-126).

Not checked: that tickets are independent; where they are not, both are still too short.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from csi.statistics.compare import Share, newcombe

if TYPE_CHECKING:
    from csi.statistics.sides import Side

FEW_HITS: Final = 15


def hardly_any(side: Side) -> bool:
    """Tell whether a side has too few hits, or too few others, for weeks to show how they vary."""
    k, n = float(side.each.sum()), len(side.each)
    return min(k, n - k) < FEW_HITS


def agresti_coull_error(side: Side) -> float:
    """Return the standard error of a share with two hits and two others more (95 %)."""
    n = len(side.each) + 4
    share = (float(side.each.sum()) + 2) / n
    return math.sqrt(share * (1 - share) / n)


def newcombe_widths(pairs: list[tuple[Side, Side]], confidence: float) -> tuple[float, float]:
    """Return how far Newcombe's limits lie below and above the change, or the first less others."""
    below, above = [], []
    for place, pair in enumerate(pairs):
        baseline, current = (Share(int(side.each.sum()), len(side.each)) for side in pair)
        value = current.k / current.n - baseline.k / baseline.n
        low, high = newcombe(baseline, current, confidence=confidence)
        widths = (value - low, high - value)
        below.append(widths[0 if place == 0 else 1])
        above.append(widths[1 if place == 0 else 0])
    return math.hypot(*below), math.hypot(*above)
