"""Does every case contain this activity?

Declare's `existence` (Pesic, van der Aalst 2006). A complete case without the activity violates;
an open case may still get it. The rule is never vacuous: every case must contain the step, or the
one that will do instead of it (`or_else`). Where a case has words that the vocabulary does not map,
what is missing may be one of them: unknown.

Not checked: how often and when it happens, and by whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import VIOLATION, WORDS, Activity, Desk, OptionalActivity, TemplateParams
from rules.templates._conditions import mask_of

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "F (activity | or_else)"
HINGES = {START: VIOLATION, MIDDLE: VIOLATION, END: VIOLATION, WORDS: VIOLATION}
EXPLAIN = {
    "count": "times '{activity}', or what will do instead, happened",
}


class Params(TemplateParams):
    """`activity`, or `or_else`, must happen at least once."""

    BY_TRACE: ClassVar[bool] = True
    EXCUSES: ClassVar[frozenset[str]] = frozenset({"or_else"})

    activity: Activity = Field(description="the step that every case contains")
    or_else: OptionalActivity = Field(default=None, description="the step that will do instead")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.activity == self.or_else:
            msg = "activity and or_else are the same activity"
            raise ValueError(msg)
        return self


def measure(desk: Desk, params: Params) -> Measure:
    """Count the activity; what never came has no event to show."""
    count = segments.count(desk.log.arrays, mask_of(desk, params.activity, params.or_else))
    return Measure(
        facts={"count": count, "complete": desk.complete.astype(np.int64)},
        measured=count,
        limit=np.ones_like(count),
        unit="times",
    )


def decide(_: Params) -> DecisionTable:
    """At least one conforms at once; none is final only when the case has ended."""
    return (
        Row(Verdict.CONFORMS, {"count": POSITIVE}),
        Row(Verdict.VIOLATES, {"count": ZERO, "complete": Interval(1, 1)}),
        Row(Verdict.PENDING, {"count": ZERO, "complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    instead = f" or '{params.or_else}'" if params.or_else else ""
    return f"Every case contains '{params.activity}'{instead}."
