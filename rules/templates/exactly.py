"""Does every case contain this activity exactly so many times?

Declare's `exactly(n)` (Pesic, van der Aalst 2006). Once more is final, so open cases can violate;
too few is final only when the case has ended. As a further occurrence may always come, no open case
conforms. The rule is never vacuous. Where a case has words that the vocabulary does not map, what
is missing may be one of them: unknown.

Not checked: when it happens, and by whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from process_mining.columnar import segments
from process_mining.quality import COUNT, END, MIDDLE, START
from rules.spec import ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, VIOLATION, WORDS, Activity, Desk, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "F (a & X F (a & ... ))  with `times` times a, and not with once more; a = activity"
ONE = Interval(1, 1)
HINGES = {COUNT: CLAIMS, START: CLAIMS, MIDDLE: CLAIMS, END: CLAIMS, WORDS: VIOLATION}
EXPLAIN = {
    "count": "times '{activity}' happened",
}


class Params(TemplateParams):
    """`activity` happens `times` times."""

    BY_TRACE: ClassVar[bool] = True

    activity: Activity = Field(description="the step that is counted")
    times: int = Field(ge=1, le=1000, description="how often it happens in a case")


def measure(desk: Desk, params: Params) -> Measure:
    """Count the activity; the event that is one too many decides."""
    arrays, mask = desk.log.arrays, desk.mask(params.activity)
    count = segments.count(arrays, mask)
    return Measure(
        facts={"count": count, "complete": desk.complete.astype(np.int64)},
        events=(segments.first(arrays, mask), segments.nth(arrays, mask, params.times + 1)),
        measured=count,
        limit=np.full_like(count, params.times),
        unit="times",
    )


def decide(params: Params) -> DecisionTable:
    """Once more violates for good; the end of the case decides the rest."""
    few, met = Interval(None, params.times - 1), Interval(params.times, params.times)
    return (
        Row(Verdict.VIOLATES, {"count": Interval(params.times + 1, None)}),
        Row(Verdict.VIOLATES, {"count": few, "complete": ONE}),
        Row(Verdict.CONFORMS, {"count": met, "complete": ONE}),
        Row(Verdict.PENDING, {"count": Interval(None, params.times), "complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    times = "once" if params.times == 1 else f"{params.times} times"
    return f"'{params.activity}' happens exactly {times} in a case."
