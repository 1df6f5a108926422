"""Is every occurrence of one activity followed by another within a time limit?

Declare's `response` with a metric bound (MTL; Koymans 1990). The first `then`, or `or_else` where
one is named, after each occurrence stops its clock. Time runs in the named calendar. `where`
narrows the occurrences to those whose event attribute is a whole number within bounds. With
`earlier_counts` an answer that came before counts too: whether it was too early is another rule's
matter (O below is the past operator "once").

An answer after the limit is final, and so is none by the limit: open cases can violate, judged at
the desk's `as_of`. An occurrence whose attribute is missing or no whole number may or may not ask
for an answer: where none came in time the case is unknown, unless another occurrence violates. In
a complete case no answer can come any more, and an unanswered clock stops with its last step. Steps
outside the model may still come (feedback comes after the end): for those the deadline alone
decides, and an unanswered clock runs up to `as_of`. Logs without times are unknown.

`or_else` only excuses: where the source never records it, kept is kept and late is unknown. Late is
unknown too where a case has words that the vocabulary does not map, for one may be the answer.

Not checked: that an answer belongs to this occurrence and no other; one may serve several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.clock import business_us
from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.durations import Duration, format_duration, refuse_days
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    VIOLATION,
    WORDS,
    Activity,
    Desk,
    OptionalActivity,
    TemplateParams,
)
from rules.templates._conditions import Where, asking

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

    Mask = npt.NDArray[np.bool_]

FORMULA = (
    "G ((activity & where) -> F[0, within] (then | or_else))"
    "   with earlier_counts: G ((activity & where) -> O (then | or_else) | F[0, within] ...)"
)
ONE = Interval(1, 1)
HINGES = {
    ORDER: CLAIMS,
    START: CLAIMS,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    MIDDLE: CLAIMS,
    END: CLAIMS,
    WORDS: VIOLATION,
}
EXPLAIN = {
    "late": "times '{activity}' got its answer too late, or never",
    "unsure": "the same where it cannot be told whether one is owed",
    "waiting": "answers that are still to come in time",
    "count": "times '{activity}' asked for an answer",
}


class Params(TemplateParams):
    """Every `activity` (`where` …) gets `then`, or `or_else`, `within` a time of the calendar."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"or_else"})

    activity: Activity
    then: Activity
    or_else: OptionalActivity = None
    within: Duration
    calendar: str = Field(min_length=1)
    where: Where | None = None
    earlier_counts: bool = False

    @model_validator(mode="before")
    @classmethod
    def _no_days_of_open_hours(cls, params: object) -> object:
        return refuse_days(params, limit="within")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.activity in (self.then, self.or_else):
            msg = "an activity cannot be its own answer"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, eq=False)
class _Clocks:
    """Per event: its answer's position, business time until then, and what else is known.

    `ended`: no answer can come any more. `settled`: an earlier answer counts, no clock runs.
    `answers`: the event is an answer.
    """

    answers: Mask
    answer: Ints
    elapsed_us: Ints
    ended: Mask
    settled: Mask


def measure(desk: Desk, params: Params) -> Measure:
    """Clock every asking event; the worst late one is the evidence, its answer decides."""
    arrays = desk.log.arrays
    asks, clocks = asking(desk, params.activity, params.where), _clocks(desk, params)
    missing = clocks.answer == segments.NONE
    too_late = (clocks.elapsed_us > params.within) | (missing & clocks.ended)
    late = asks.sure & too_late & ~clocks.settled
    perhaps_late = asks.unsure & too_late & ~clocks.settled
    waiting = asks.possible & missing & ~too_late & ~clocks.settled
    late_or_not = segments.count(arrays, late)[arrays.case_of] == 0
    worst = segments.argmax(arrays, late | (asks.sure & late_or_not), clocks.elapsed_us)
    return Measure(
        facts={
            "timed": np.full(arrays.n_cases, int(desk.log.timed), dtype=np.int64),
            "late": segments.count(arrays, late),
            "unsure": segments.count(arrays, perhaps_late),
            "waiting": segments.count(arrays, waiting),
            "count": segments.count(arrays, asks.sure),
            "complete": desk.complete.astype(np.int64),
        },
        events=(worst, segments.take(clocks.answer, worst, fill=segments.NONE)),
        measured=segments.take(clocks.elapsed_us, worst, fill=0),
        limit=np.full(arrays.n_cases, params.within, dtype=np.int64),
        unit="us",
        starts=asks.possible,
        stops=clocks.answers,
        cause=_cause(desk, params),
    )


def _clocks(desk: Desk, params: Params) -> _Clocks:
    """Let a clock run from every event to its answer, to `as_of`, or to the end of its case."""
    arrays = desk.log.arrays
    answers = desk.mask(params.then)
    if params.or_else is not None:
        answers |= desk.mask(params.or_else)
    answer = segments.next_position(arrays, answers)
    over = desk.complete & (params.then not in desk.outside)
    ends = segments.take(arrays.at, segments.last(arrays, desk.steps), fill=desk.as_of_us)
    unanswered = np.where(over, ends, desk.as_of_us)[arrays.case_of]
    stop = np.where(answer == segments.NONE, unanswered, segments.take(arrays.at, answer, fill=0))
    stop = np.maximum(stop, arrays.at)
    calendar = desk.service_levels.calendar(params.calendar)
    return _Clocks(
        answers=answers,
        answer=answer,
        elapsed_us=business_us(arrays.at, stop, calendar),
        ended=over[arrays.case_of],
        settled=(segments.count_before(arrays, answers) > 0) & params.earlier_counts,
    )


def _cause(desk: Desk, params: Params) -> str:
    if not desk.log.timed:
        return "the log has no times"
    return params.where.cause if params.where else ""


def decide(_: Params) -> DecisionTable:
    """Late violates for good; then what is unsure, then what may still come."""
    timed = {"timed": ONE}
    sure = timed | {"late": ZERO, "unsure": ZERO}
    over = sure | {"waiting": ZERO, "complete": ONE}
    return (
        Row(Verdict.UNKNOWN, {"timed": ZERO}),
        Row(Verdict.VIOLATES, timed | {"late": POSITIVE}),
        Row(Verdict.UNKNOWN, timed | {"late": ZERO, "unsure": POSITIVE}),
        Row(Verdict.PENDING, sure | {"waiting": POSITIVE}),
        Row(Verdict.PENDING, sure | {"waiting": ZERO, "complete": ZERO}),
        Row(Verdict.CONFORMS, over | {"count": POSITIVE}),
        Row(Verdict.VACUOUS, over | {"count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    answer = f"'{params.then}'" + (f" or '{params.or_else}'" if params.or_else else "")
    limit = f"within {format_duration(params.within)} (calendar {params.calendar})"
    verb = "is preceded or followed" if params.earlier_counts else "is followed"
    where = params.where.words() if params.where else ""
    return f"Every '{params.activity}'{where} {verb} by {answer} {limit}."
