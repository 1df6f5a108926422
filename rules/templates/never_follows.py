"""Does one activity never come after another, unless a third has lifted the ban in between?

Declare's `not succession` (Pesic, van der Aalst 2006): after `activity`, `then` is forbidden. With
`unless` the ban holds only until that happens, and anew from the next `activity` on (the scope
"after-until" of Dwyer, Avrunin, Corbett 1999).

A forbidden step is final, so open cases can violate; only the end of a case can say that none came.
`unless` only excuses: where the source never records it, a violation is unknown; so it is where a
case has words that the vocabulary does not map, for one may have lifted the ban. A version of the
rule judges the occurrences of both activities while it is in force; the one that set the ban may
have come before.

Not checked: that `unless` was meant for this occurrence and no other; how much later `then` comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    CONFORMITY,
    Activity,
    Desk,
    OptionalActivity,
    TemplateParams,
)
from rules.templates._conditions import mask_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.spec import DecisionTable

FORMULA = "G (activity -> !F then)   with unless: G (activity -> X (!then W unless))"
ONE = Interval(1, 1)
HINGES = {ORDER: CLAIMS, START: CONFORMITY, MIDDLE: CLAIMS, END: CONFORMITY}
EXPLAIN = {
    "offences": "times '{then}' came although it was forbidden",
    "count": "times '{activity}' happened, or '{then}' in spite of it",
}


class Params(TemplateParams):
    """After `activity` no `then` happens, unless `unless` happens in between."""

    BY_TRACE: ClassVar[bool] = True
    EXCUSES: ClassVar[frozenset[str]] = frozenset({"unless"})

    activity: Activity = Field(description="the step after which the ban holds")
    then: Activity = Field(description="the step that is forbidden from then on")
    unless: OptionalActivity = Field(default=None, description="the step that lifts the ban")

    @model_validator(mode="after")
    def _different_activities(self) -> Params:
        if self.activity == self.then:
            msg = (
                "activity and then are the same activity: at_most, or precedes alternate, say that"
            )
            raise ValueError(msg)
        if self.unless in (self.activity, self.then):
            msg = "an activity cannot lift the ban on itself, or its own"
            raise ValueError(msg)
        return self

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Only where something lifts the ban can it be what is missing."""
        found = super().hinges(named)
        return found if self.unless else found | {MIDDLE: CONFORMITY}


def measure(desk: Desk, params: Params) -> Measure:
    """Count what happens in spite of the ban; the first such event decides."""
    arrays = desk.log.arrays
    bans, forbidden = desk.mask(params.activity), desk.mask(params.then)
    banned_at = segments.previous_position(arrays, bans)
    lifted_at = segments.previous_position(arrays, mask_of(desk, params.unless))
    # NONE lies before every position: without an `activity` nothing is banned.
    offends = forbidden & (banned_at > lifted_at)
    judged = desk.judged(bans | offends)
    offends &= judged
    first, n_offends = segments.first(arrays, offends), segments.count(arrays, offends)
    return Measure(
        facts={
            "offences": n_offends,
            "count": segments.count(arrays, judged),
            "complete": desk.complete.astype(np.int64),
        },
        events=(segments.take(banned_at, first, fill=segments.NONE), first),
        measured=n_offends,
        limit=np.zeros_like(n_offends),
        unit="times in spite of it",
        judged=judged,
    )


def decide(_: Params) -> DecisionTable:
    """A forbidden step violates for good; `offences` never exceeds `count`."""
    kept = {"offences": ZERO, "complete": ONE}
    return (
        Row(Verdict.VIOLATES, {"offences": POSITIVE}),
        Row(Verdict.PENDING, {"offences": ZERO, "complete": ZERO}),
        Row(Verdict.CONFORMS, kept | {"count": POSITIVE}),
        Row(Verdict.VACUOUS, kept | {"count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    unless = f", unless '{params.unless}' comes in between" if params.unless else ""
    return f"'{params.then}' never comes after '{params.activity}'{unless}."
