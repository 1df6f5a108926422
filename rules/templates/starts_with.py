"""Is this activity the first step of every case?

Declare's `init` (Pesic, van der Aalst 2006). The first step is final, whether the case is open or
not. Updates and steps outside the model are no first step, unless the rule names their activity. A
complete case without any step has no first one: vacuous. Where a case has words that the vocabulary
does not map, one may have come first, and may be the activity: unknown.

Not checked: that the log begins where the case began (the log-quality gate looks for that).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from process_mining.columnar import segments
from process_mining.quality import MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, WORDS, Activity, Desk, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "G (!Y true -> activity)   that is: the step that none comes before is the activity"
ONE = Interval(1, 1)
# a case ends with a step; one without any step is shown only where steps outside the model exist
UNSHOWN = frozenset({Verdict.VACUOUS, Verdict.PENDING})
HINGES = {ORDER: CLAIMS, START: CLAIMS, MIDDLE: CLAIMS, WORDS: CLAIMS}
EXPLAIN = {
    "ahead": "steps before the first '{activity}' (all, where there is none)",
    "steps": "steps of the case",
}


class Params(TemplateParams):
    """The first step is `activity`."""

    BY_TRACE: ClassVar[bool] = True

    activity: Activity = Field(description="the step that comes first")


def measure(desk: Desk, params: Params) -> Measure:
    """Count the steps before the activity's first occurrence; the first step of all decides."""
    arrays, mask = desk.log.arrays, desk.mask(params.activity)
    steps = desk.steps | mask
    count, found = segments.count(arrays, steps), segments.first(arrays, mask)
    ahead = segments.take(segments.count_before(arrays, steps), found, fill=0)
    ahead = np.where(found == segments.NONE, count, ahead)
    return Measure(
        facts={"ahead": ahead, "steps": count, "complete": desk.complete.astype(np.int64)},
        events=(segments.first(arrays, steps),),
        measured=ahead,
        limit=np.zeros_like(ahead),
        unit="steps before it",
    )


def decide(_: Params) -> DecisionTable:
    """The first step decides for good."""
    empty = {"ahead": ZERO, "steps": ZERO}
    return (
        Row(Verdict.VIOLATES, {"ahead": POSITIVE}),
        Row(Verdict.CONFORMS, {"ahead": ZERO, "steps": POSITIVE}),
        Row(Verdict.VACUOUS, empty | {"complete": ONE}),
        Row(Verdict.PENDING, empty | {"complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"The first step of a case is '{params.activity}'."
