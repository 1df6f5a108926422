"""What do the numbers say, and how sure are they? Arrays in, frozen results out.

Every result carries its n, unit, interval and method. Times of service desks are skewed, so they
are summed up by quantiles, never by a bare mean; tickets that are still open are censored, not
dropped (closed tickets alone make a desk look faster than it is). An effect is claimed only by a
`DecisionRule` that was fixed before the data were looked at.
"""

from __future__ import annotations

from csi.statistics.compare import (
    Sample,
    Share,
)
from csi.statistics.decision import (
    Comparison,
    DecisionRule,
    Direction,
    Outcome,
)
from csi.statistics.estimate import (
    Estimate,
    censored_quantile,
    mean,
    proportion,
    quantile,
    rate,
)

__all__ = [
    "Comparison",
    "DecisionRule",
    "Direction",
    "Estimate",
    "Outcome",
    "Sample",
    "Share",
    "censored_quantile",
    "mean",
    "proportion",
    "quantile",
    "rate",
]
