"""Is one activity always followed by another before the case ends?

Declare's `response` (Pesic, van der Aalst 2006) and its stricter forms (Pesic, Schonenberg, van der
Aalst 2007): `any`, some time later; `alternate`, before the activity asks again; `chain`, the very
next step is the answer. `where` narrows the occurrences that ask; `match` correlates the answer
with the occurrence that asks for it (MP-Declare; Burattini, Maggi, Sperduti 2016). `or_else` is
another answer; it has to match as well.

In the form `any` only the end of a case decides: until then the answer may still come, so open
cases are pending. In the other forms the next occurrence, or the next step, is final, so open cases
can violate. Updates and steps outside the model are no next step, unless the rule names their
activity. As a further occurrence may always ask for an answer, no open case conforms.

An occurrence of which it cannot be told whether it asks, or whether its answer matches, leaves the
case unknown where that decides. So does a word that the vocabulary does not map: it may be the
answer that is missing, and for `chain` a step in between.

For answers that come after a case has ended (feedback), use `responds_within`: it has a deadline.

Not checked: how soon the answer comes; in the form `any` one answer may serve several occurrences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar.segments import NONE, Marked
from process_mining.quality import COUNT, END, MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    CONFORMITY,
    VIOLATION,
    WORDS,
    Activity,
    Desk,
    OptionalActivity,
    TemplateParams,
)
from rules.templates._conditions import (
    Form,
    Match,
    asking,
    causes,
    comes_first,
    marked,
    mask_of,
    nearest_after,
    pairs,
)
from rules.where import Where  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

    Mask = npt.NDArray[np.bool_]

FORMULA = (
    "asks = activity & where, answer = (then | or_else) & match;  any: G (asks -> F answer)"
    "   alternate: G (asks -> X (!asks U answer))   chain: G (asks -> X answer)"
)
ONE = Interval(1, 1)
HINGES = {
    ORDER: CLAIMS,
    START: CONFORMITY,
    MIDDLE: CLAIMS,
    END: CLAIMS,
    COUNT: VIOLATION,
    WORDS: CLAIMS,
    "actor": (),
    "team": (),
}
EXPLAIN = {
    "missing": "times '{activity}' surely stays unanswered",
    "unsure": "times it does so, surely or possibly",
    "count": "times '{activity}' asked for an answer",
}


class Params(TemplateParams):
    """Every `activity` (`where` …) is followed by `then`, or `or_else`."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"or_else"})

    activity: Activity = Field(description="the step that asks for an answer")
    then: Activity = Field(description="the answer")
    or_else: OptionalActivity = Field(default=None, description="another acceptable answer")
    form: Form = Field(
        default="any",
        description="any: some time later; alternate: before the next `activity`; chain: the very"
        " next step",
    )
    where: Where | None = Field(default=None, description="which occurrences ask")
    match: Match | None = Field(default=None, description="what ties the answer to the asking one")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.activity in (self.then, self.or_else):
            msg = "activity and its answer are the same activity"
            raise ValueError(msg)
        return self

    def by_trace(self) -> bool:
        """Neither attributes nor people are read where nothing narrows or ties the occurrences."""
        return self.where is None and self.match is None

    def not_read(self) -> frozenset[str]:
        """Where any later answer will do, doubles and lost beginnings change nothing."""
        free = {COUNT} if self.form == "any" else set()
        if self.form == "any" and self.match is None:
            free.add(START)
        return frozenset(free) | (self.match.not_read() if self.match else {"actor", "team"})

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Only between neighbours an unmapped word can spoil what seems to be kept."""
        found = super().hinges(named)
        return found if self.form == "chain" else found | {WORDS: VIOLATION}


@dataclass(frozen=True, eq=False)
class _Answered:
    """Per asking event: is it surely, or possibly, answered; has its time surely, possibly ended?

    `ended_by` is the position of the event that ended it.
    """

    sure: Mask
    possible: Mask
    over: Mask
    perhaps_over: Mask
    ended_by: Ints


def measure(desk: Desk, params: Params) -> Measure:
    """Count the activity, and how often it stays unanswered; the first unanswered one decides."""
    asked = asking(desk, params.activity, params.where)
    judged = desk.judged(asked.possible)
    asks = Marked.of(desk.log.arrays, asked.possible)
    mine, sure, ended = judged[asks.place], asked.sure[asks.place], desk.complete[asks.case]
    found = _answered(desk, params, asks, sure)
    unanswered = asks.only(mine & sure & ~found.possible & (found.over | ended))
    unsure = mine & ~found.sure & (found.perhaps_over | ended)
    first, missing = unanswered.first(), unanswered.count()
    return Measure(
        facts={
            "missing": missing,
            "unsure": asks.only(unsure).count(),
            "count": asks.only(mine & sure).count(),
            "complete": desk.complete.astype(np.int64),
        },
        events=(first, asks.at(found.ended_by, first, fill=NONE)),
        measured=missing,
        limit=np.zeros_like(missing),
        unit="times unanswered",
        cause=causes(params.where, params.match),
        judged=judged,
    )


def _answered(desk: Desk, params: Params, asks: Marked, sure: Mask) -> _Answered:
    answers = mask_of(desk, params.then, params.or_else)
    if params.form == "chain":
        return _next_step(desk, params, asks, answers)
    near = nearest_after(desk, asks, answers, params.match)
    if params.form == "any":
        never = np.zeros(len(asks), dtype=bool)
        there = near.sure != NONE, near.possible != NONE
        return _Answered(*there, over=never, perhaps_over=never, ended_by=np.full(len(asks), NONE))
    again, perhaps_again = asks.next_among(asks.only(sure)), asks.next_among(asks)
    return _Answered(
        sure=comes_first(near.sure, perhaps_again),
        possible=comes_first(near.possible, again),
        over=again != NONE,
        perhaps_over=perhaps_again != NONE,
        ended_by=again,
    )


def _next_step(desk: Desk, params: Params, asks: Marked, answers: Mask) -> _Answered:
    """The step that follows is the answer, or there is none."""
    steps = desk.steps | answers | mask_of(desk, params.activity)
    following = asks.next_among(Marked.of(desk.log.arrays, steps))
    sure, possible = pairs(desk, asks, following, params.match)
    answered, came = marked(answers, following), following != NONE
    return _Answered(
        sure=sure & answered,
        possible=possible & answered,
        over=came,
        perhaps_over=came,
        ended_by=following,
    )


def decide(_: Params) -> DecisionTable:
    """Unanswered for good violates; then what is unsure, then what may still come."""
    clear = {"missing": ZERO, "unsure": ZERO}
    return (
        Row(Verdict.VIOLATES, {"missing": POSITIVE}),
        Row(Verdict.UNKNOWN, {"missing": ZERO, "unsure": POSITIVE}),
        Row(Verdict.PENDING, clear | {"complete": ZERO}),
        Row(Verdict.CONFORMS, clear | {"complete": ONE, "count": POSITIVE}),
        Row(Verdict.VACUOUS, clear | {"complete": ONE, "count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    where = params.where.words() if params.where else ""
    match = params.match.words() if params.match else ""
    answer = f"'{params.then}'" + (f" or '{params.or_else}'" if params.or_else else "") + match
    asks = f"Every '{params.activity}'{where} is"
    if params.form == "chain":
        return f"{asks} followed by {answer} as the very next step."
    again = f" before the next '{params.activity}'{where}" if params.form == "alternate" else ""
    return f"{asks} followed by {answer}{again}."
