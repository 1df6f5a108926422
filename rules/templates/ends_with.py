"""Is this activity the last step of every case that has ended?

Declare's `end` (Maggi, Mooij, van der Aalst 2011). Only the end of a case decides: an open one may
go on. Updates and steps outside the model are no last step, unless the rule names their activity.
`or_else` is another last step that will do. A complete case without any step has no last one:
vacuous. Where a case has words that the vocabulary does not map, one may have come last, and may be
the activity: unknown.

Not checked: that the log goes on to where the case ended (the log-quality gate looks for that).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, WORDS, Activity, Desk, OptionalActivity, TemplateParams
from rules.templates._conditions import mask_of

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = (
    "G (!X true -> activity | or_else)   that is: the step that none comes after is one of them"
)
ONE = Interval(1, 1)
UNSHOWN = frozenset({Verdict.VACUOUS})  # a case ends with a step
HINGES = {ORDER: CLAIMS, MIDDLE: CLAIMS, END: CLAIMS, WORDS: CLAIMS}
EXPLAIN = {
    "after": "steps after the last one that may end the case (all, where there is none)",
    "steps": "steps of the case",
}


class Params(TemplateParams):
    """The last step is `activity`, or `or_else`."""

    BY_TRACE: ClassVar[bool] = True
    EXCUSES: ClassVar[frozenset[str]] = frozenset({"or_else"})

    activity: Activity = Field(description="the step that comes last")
    or_else: OptionalActivity = Field(default=None, description="another acceptable last step")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.activity == self.or_else:
            msg = "activity and or_else are the same activity"
            raise ValueError(msg)
        return self


def measure(desk: Desk, params: Params) -> Measure:
    """Count the steps after the activity's last occurrence; the last step of all decides."""
    arrays, mask = desk.log.arrays, mask_of(desk, params.activity, params.or_else)
    steps = desk.steps | mask
    count, found = segments.count(arrays, steps), segments.last(arrays, mask)
    up_to = segments.take(segments.count_before(arrays, steps), found, fill=-1) + 1
    after = count - up_to
    return Measure(
        facts={"after": after, "steps": count, "complete": desk.complete.astype(np.int64)},
        events=(segments.last(arrays, steps),),
        measured=after,
        limit=np.zeros_like(after),
        unit="steps after it",
    )


def decide(_: Params) -> DecisionTable:
    """Only a complete case is decided. `after` never exceeds `steps`."""
    ended = {"complete": ONE, "after": ZERO}
    return (
        Row(Verdict.PENDING, {"complete": ZERO}),
        Row(Verdict.VIOLATES, {"complete": ONE, "after": POSITIVE}),
        Row(Verdict.CONFORMS, ended | {"steps": POSITIVE}),
        Row(Verdict.VACUOUS, ended | {"steps": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    instead = f" or '{params.or_else}'" if params.or_else else ""
    return f"The last step of a case is '{params.activity}'{instead}."
