"""Is one activity always followed by another before the case ends?

Declare's `response` (Pesic, van der Aalst 2006). Only the end of a case decides: until then the
answer may still come, and a further occurrence may still ask for one, so open cases are pending.
Where a case has words that the vocabulary does not map, the missing answer may be one of them:
unknown instead of a violation.

For answers that come after a case has ended (feedback), use `responds_within`: it has a deadline.

Not checked: how soon the answer comes; one answer may serve several occurrences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, VIOLATION, WORDS, Activity, Desk, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "G (activity -> F then)"
ONE = Interval(1, 1)
HINGES = {ORDER: CLAIMS, MIDDLE: CLAIMS, END: CLAIMS, WORDS: VIOLATION}


class Params(TemplateParams):
    """Every `activity` is followed by `then`."""

    activity: Activity
    then: Activity

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.then == self.activity:
            msg = "activity and then are the same activity"
            raise ValueError(msg)
        return self


def measure(desk: Desk, params: Params) -> Measure:
    """Count the activity, and how often it stays unanswered; the first unanswered one decides."""
    arrays = desk.log.arrays
    asks = desk.mask(params.activity)
    answer = segments.next_position(arrays, desk.mask(params.then))
    unanswered = asks & (answer == segments.NONE)
    missing = segments.count(arrays, unanswered)
    return Measure(
        facts={
            "missing": missing,
            "count": segments.count(arrays, asks),
            "complete": desk.complete.astype(np.int64),
        },
        events=(segments.first(arrays, unanswered),),
        measured=missing,
        limit=np.zeros_like(missing),
        unit="times unanswered",
    )


def decide(_: Params) -> DecisionTable:
    """Only a complete case is decided. `missing` never exceeds `count`."""
    return (
        Row(Verdict.PENDING, {"complete": ZERO}),
        Row(Verdict.VIOLATES, {"complete": ONE, "missing": POSITIVE}),
        Row(Verdict.CONFORMS, {"complete": ONE, "missing": ZERO, "count": POSITIVE}),
        Row(Verdict.VACUOUS, {"complete": ONE, "missing": ZERO, "count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"Every '{params.activity}' is followed by '{params.then}'."
