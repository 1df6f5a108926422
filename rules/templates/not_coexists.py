"""Do two activities never happen in one case?

Declare's `not co-existence` (Pesic, van der Aalst 2006). As soon as both have happened it is final,
so open cases can violate; only the end of a case can say that the other did not come. A version of
the rule judges the occurrences of both activities while it is in force; the later of the two is the
offence, the earlier one may have come before.

Not checked: in which order and how often they happen, and whether one was taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CONFORMITY, Activity, Desk, TwoActivities

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "!(F first & F second)   that is: G (first -> !O second) & G (second -> !O first)"
ONE = Interval(1, 1)
HINGES = {START: CONFORMITY, MIDDLE: CONFORMITY, END: CONFORMITY}
EXPLAIN = {
    "together": "times one of the two came after the other",
    "count": "times '{first}' or '{second}' happened",
}


class Params(TwoActivities):
    """A case has `first` or `second`, never both."""

    BY_TRACE: ClassVar[bool] = True

    first: Activity = Field(description="one of two steps that exclude each other")
    second: Activity = Field(description="the other")


def measure(desk: Desk, params: Params) -> Measure:
    """Look for the other activity earlier; the first event that comes after the other decides."""
    arrays = desk.log.arrays
    one, other = desk.mask(params.first), desk.mask(params.second)
    earlier = np.where(
        one,
        segments.previous_position(arrays, other),
        segments.previous_position(arrays, one),
    )
    judged = desk.judged(one | other)
    together = judged & (earlier != segments.NONE)
    decisive, n_together = segments.first(arrays, together), segments.count(arrays, together)
    return Measure(
        facts={
            "together": n_together,
            "count": segments.count(arrays, judged),
            "complete": desk.complete.astype(np.int64),
        },
        events=(segments.take(earlier, decisive, fill=segments.NONE), decisive),
        measured=n_together,
        limit=np.zeros_like(n_together),
        unit="times after the other",
        judged=judged,
    )


def decide(_: Params) -> DecisionTable:
    """Both violate for good; `together` never exceeds `count`."""
    apart = {"together": ZERO, "complete": ONE}
    return (
        Row(Verdict.VIOLATES, {"together": POSITIVE}),
        Row(Verdict.PENDING, {"together": ZERO, "complete": ZERO}),
        Row(Verdict.CONFORMS, apart | {"count": POSITIVE}),
        Row(Verdict.VACUOUS, apart | {"count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"'{params.first}' and '{params.second}' never happen in one case."
