"""What goes with the violations of each rule, and what do they cost?

`effects_of` estimates for every violated rule how its tickets came out against tickets alike
(`csi.effects.violations`: time to resolve, broken clocks, reopenings, satisfaction), leaves out
what is so by definition (`csi.effects.definitions`), looks at a negative control, and ranks the
rules by count, by time lost and by adjusted cost (`csi.effects.losses`). `causes_of` gives the
attributes that go with the weightiest offences (`csi.root_causes`). `pareto_picture` draws the
three rankings.

Nothing here is a cause: an estimate is of tickets alike in what was recorded. Deterministic: the
same evidence gives the same result, whatever the order of its rows. Figures are rounded to
`DIGITS` significant digits, so that the last bits of a machine's linear algebra do not show.
"""

from __future__ import annotations

from csi.effects.causes import Cause, causes_of
from csi.effects.losses import Costing
from csi.effects.outcomes import BREACH, OUTCOMES, REOPENING, SATISFACTION, TIME
from csi.effects.picture import pareto_picture
from csi.effects.result import DIGITS, Effects, effects_of
from csi.effects.violations import Standing

__all__ = [
    "BREACH",
    "DIGITS",
    "OUTCOMES",
    "REOPENING",
    "SATISFACTION",
    "TIME",
    "Cause",
    "Costing",
    "Effects",
    "Standing",
    "causes_of",
    "effects_of",
    "pareto_picture",
]
