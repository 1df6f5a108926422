"""Do two activities only happen together, the first before the second?

Declare's `succession`, and its forms `alternate` and `chain` (Pesic, van der Aalst 2006; Pesic,
Schonenberg, van der Aalst 2007): the first is followed by the second as `responds` says, and the
second happens only after the first as `precedes` says, both in the same form.

A second that comes too early is final, and in the stricter forms so is a first that is not answered
by the next one, or the next step; that it is not answered at all only the end of a case can say.
As a further first may always come, no open case conforms. Words that the vocabulary does not map
may be the step that is missing; for `chain` also a step in between: unknown.

Not checked: how soon, by whom; in the form `any` one occurrence may serve several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from process_mining.quality import COUNT, END, MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    VIOLATION,
    WORDS,
    Activity,
    Desk,
    TwoActivities,
    precedes,
    responds,
)
from rules.templates._conditions import Form  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.spec import DecisionTable

FORMULA = (
    "any: G (first -> F second) & G (second -> O first)"
    "   alternate: G (first -> X (!first U second)) & G (second -> Y (!second S first))"
    "   chain: G (first -> X second) & G (second -> Y first)"
)
ONE = Interval(1, 1)
HINGES = {
    ORDER: CLAIMS,
    START: CLAIMS,
    MIDDLE: CLAIMS,
    END: CLAIMS,
    COUNT: VIOLATION,
    WORDS: CLAIMS,
}
EXPLAIN = {
    "alone": "times one of the two came without the other",
    "count": "times '{first}' or '{second}' happened",
}


class Params(TwoActivities):
    """`first` is followed by `second`, and `second` happens only after `first`."""

    BY_TRACE: ClassVar[bool] = True

    first: Activity = Field(description="the step that comes first")
    second: Activity = Field(description="the step that follows it")
    form: Form = Field(
        default="any",
        description="any: some time later; alternate: in turns; chain: one right after the other",
    )

    def not_read(self) -> frozenset[str]:
        """Where any later or earlier one will do, doubles change nothing."""
        return frozenset({COUNT}) if self.form == "any" else frozenset()

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Only between neighbours an unmapped word can spoil what seems to be kept."""
        found = super().hinges(named)
        return found if self.form == "chain" else found | {WORDS: VIOLATION}


def measure(desk: Desk, params: Params) -> Measure:
    """Count the firsts without a second, and the seconds without a first; one of these decides."""
    answer = responds.measure(
        desk, responds.Params(activity=params.first, then=params.second, form=params.form)
    )
    before = precedes.measure(
        desk, precedes.Params(before=params.first, activity=params.second, form=params.form)
    )
    alone = answer.facts["missing"] + before.facts["early"]
    return Measure(
        facts={
            "alone": alone,
            "count": answer.facts["count"] + before.facts["count"],
            "complete": desk.complete.astype(np.int64),
        },
        events=(*answer.events, *before.events),
        measured=alone,
        limit=np.zeros_like(alone),
        unit="times one without the other",
        judged=_either(answer, before),
    )


def _either(one: Measure, other: Measure) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
    """Mark the events that one of two measures judged."""
    if one.judged is None or other.judged is None:
        return None
    return np.logical_or(one.judged, other.judged)


def decide(_: Params) -> DecisionTable:
    """One without the other violates for good; `alone` never exceeds `count`."""
    paired = {"alone": ZERO, "complete": ONE}
    return (
        Row(Verdict.VIOLATES, {"alone": POSITIVE}),
        Row(Verdict.PENDING, {"alone": ZERO, "complete": ZERO}),
        Row(Verdict.CONFORMS, paired | {"count": POSITIVE}),
        Row(Verdict.VACUOUS, paired | {"count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    how = {"any": "", "alternate": ", in turns", "chain": ", as the very next step"}[params.form]
    return f"'{params.first}' and '{params.second}' only happen together, in this order{how}."
