"""Does one activity only happen after another has happened in the case?

Declare's `precedence` (Pesic, van der Aalst 2006). One earlier occurrence allows every later one.
An occurrence that comes too early is final, so open cases can violate; and once the first activity
has happened, no continuation can violate. Where a case has words that the vocabulary does not map,
the earlier step that is missing may be one of them: unknown instead of a violation.

Not checked: how long before, how often, by whom; order among events with equal times is the log's
declared order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from process_mining.columnar import segments
from process_mining.quality import MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, VIOLATION, WORDS, Activity, Desk, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "!activity W before"
ONE = Interval(1, 1)
HINGES = {ORDER: CLAIMS, START: CLAIMS, MIDDLE: CLAIMS, WORDS: VIOLATION}


class Params(TemplateParams):
    """`before` must have happened whenever `activity` happens."""

    before: Activity
    activity: Activity

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.before == self.activity:
            msg = "before and activity are the same activity"
            raise ValueError(msg)
        return self


def measure(desk: Desk, params: Params) -> Measure:
    """Count the activity, and how often it came too early; the first early one decides."""
    arrays = desk.log.arrays
    wanted, happens = desk.mask(params.before), desk.mask(params.activity)
    early = happens & (segments.count_before(arrays, wanted) == 0)
    first = segments.first(arrays, early)
    too_late = segments.take(segments.next_position(arrays, wanted), first, fill=segments.NONE)
    n_early = segments.count(arrays, early)
    return Measure(
        facts={
            "early": n_early,
            "count": segments.count(arrays, happens),
            "complete": desk.complete.astype(np.int64),
        },
        events=(too_late, first),
        measured=n_early,
        limit=np.zeros_like(n_early),
        unit="times too early",
    )


def decide(_: Params) -> DecisionTable:
    """One early occurrence violates for good; none at all leaves the rule unused."""
    return (
        Row(Verdict.VIOLATES, {"early": POSITIVE}),
        Row(Verdict.CONFORMS, {"early": ZERO, "count": POSITIVE}),
        Row(Verdict.VACUOUS, {"early": ZERO, "count": ZERO, "complete": ONE}),
        Row(Verdict.PENDING, {"early": ZERO, "count": ZERO, "complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"'{params.activity}' happens only after '{params.before}'."
