"""Is a case resolved within a time limit of its beginning, pauses left out?

The clock starts at the first `since` (default: the first step of the case) and stops at the last
`activity` that no `Reopen` and no further `since` follows: after one of those it runs on, as if it
had not been stopped. Time runs in the named calendar; stays in one of the states `pauses`, each
from its step to the next step of the practice (updates and steps outside the model end none), are
left out. It is the resolve clock of a service level (`rules.service_level`) with a limit of the
rule's own. Metric temporal logic (Koymans 1990) with a stopwatch.

Past the limit is final, whether the clock has stopped or not: it never runs back. An open case
within the limit is pending, stopped or not, for it may be taken up again; its clock runs to `as_of`
(to its last event, if that is later). A case that ends without `activity` (cancelled) owes
nothing more: it is vacuous, unless the limit had passed by its last step. Vacuous is also a case
in which the clock never starts. Where `activity` is a step outside the model it may still come
after the end, so the clock of a case that has ended runs on to `as_of`. Logs without times are
unknown.

`pauses` only excuse: where the source never records one of them, or a word of the case is unmapped
and could be one, late is unknown. Such a word reads as a step that ends a pause, or that starts the
clock as the first one; where it is an update the clock seems too long.

Not checked: whether a pause was justified; whether what was resolved stays so after the case ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.clock import Pauses, business_us, paused_us
from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.durations import Duration, format_duration, refuse_days
from rules.service_level import REOPEN
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    VIOLATION,
    WORDS,
    Activities,
    Activity,
    Desk,
    OptionalActivity,
    TemplateParams,
)
from rules.templates._conditions import mask_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

    Mask = npt.NDArray[np.bool_]

FORMULA = (
    "first since -> F[0, within] (activity & !F (Reopen | since)), or it ends without;"
    "   time in pauses not counted"
)
NONE = segments.NONE
HINGES = {
    ORDER: CLAIMS,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    START: CLAIMS,
    MIDDLE: CLAIMS,
    END: CLAIMS,
    WORDS: VIOLATION,
}
EXPLAIN = {
    "begun": "whether the clock has started (1 yes, 0 no)",
    "may_begin": "whether it may still start (1 yes, 0 no)",
    "late": "whether it has run for longer than the limit (1 yes, 0 no)",
    "stopped": "whether '{activity}' has stopped it (1 yes, 0 no)",
    "over": "whether it can start and stop no more (1 yes, 0 no)",
}


class Params(TemplateParams):
    """The last `activity` comes `within` a time of the first `since`, `pauses` left out."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"pauses"})

    activity: Activity = Field(description="the activity that stops the clock")
    since: OptionalActivity = Field(
        default=None, description="the activity that starts it (default: the first step)"
    )
    within: Duration = Field(description="the limit, such as '50h'")
    calendar: str = Field(
        min_length=1, examples=["24x7"], description="the calendar whose open time counts"
    )
    pauses: Activities = Field(default=(), description="states whose time is left out")

    @model_validator(mode="before")
    @classmethod
    def _no_days_of_open_hours(cls, params: object) -> object:
        return refuse_days(params, limit="within")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.activity == self.since:
            msg = "activity and since are the same activity"
            raise ValueError(msg)
        if self.since in self.pauses:
            msg = "since starts the clock, and among the pauses it would hold it"
            raise ValueError(msg)
        if len(set(self.pauses)) < len(self.pauses):
            msg = "an activity stands twice among the pauses"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, eq=False)
class _Clocks:
    """Per case: where its clock starts and stops (NONE: not), and where its last step is.

    `over`: it can start and stop no more. Span k is paused from event pauses[k] to event resumes[k]
    (NONE: the clock's end).
    """

    start: Ints
    stop: Ints
    last: Ints
    pauses: Ints
    resumes: Ints
    over: Mask


def measure(desk: Desk, params: Params) -> Measure:
    """Run the clock of every case; its start and, where there is one, its stop are the evidence."""
    arrays = desk.log.arrays
    clocks = _clocks(desk, params)
    begins = _marked(arrays.case_of, clocks.start)
    judged = desk.judged(begins)
    begun = segments.count(arrays, judged)
    elapsed = _elapsed_us(desk, params, clocks)
    starts, stops = _starts_and_stops(desk, clocks)
    may_begin = ~desk.complete & (clocks.start == NONE)
    return Measure(
        facts={
            "timed": np.full(arrays.n_cases, int(desk.log.timed), dtype=np.int64),
            "begun": begun,
            "may_begin": may_begin.astype(np.int64),
            "late": begun & (elapsed > params.within),
            "stopped": (clocks.stop != NONE).astype(np.int64),
            "over": clocks.over.astype(np.int64),
            "complete": desk.complete.astype(np.int64),
        },
        events=(clocks.start, clocks.stop),
        measured=elapsed,
        limit=np.full(arrays.n_cases, params.within, dtype=np.int64),
        unit="us",
        starts=starts,
        stops=stops,
        cause="the log has no times",
        judged=judged,
        margin_us=np.abs(elapsed - params.within) // (1 + _pauses(desk, clocks)),
    )


def _clocks(desk: Desk, params: Params) -> _Clocks:
    arrays, steps = desk.log.arrays, desk.steps
    since = mask_of(desk, params.since)
    start = segments.first(arrays, steps if params.since is None else since)
    first = start[arrays.case_of]
    runs = (first != NONE) & (np.arange(len(first)) >= first)
    stop = segments.last(arrays, desk.mask(params.activity) & runs)
    again = segments.last(arrays, (since | desk.mask(REOPEN)) & runs)
    pauses = np.flatnonzero(mask_of(desk, *params.pauses) & steps & runs)
    return _Clocks(
        start=start,
        stop=np.where(again > stop, NONE, stop),
        last=segments.last(arrays, steps),
        pauses=pauses,
        resumes=segments.next_position(arrays, steps)[pauses],
        over=desk.complete & (params.activity not in desk.outside),
    )


def _elapsed_us(desk: Desk, params: Params, clocks: _Clocks) -> Ints:
    """Return each clock's open time, its pauses left out; 0 where it never started."""
    arrays = desk.log.arrays
    elapsed = np.zeros(arrays.n_cases, dtype=np.int64)
    cases = np.flatnonzero(clocks.start != NONE)
    if not desk.log.timed or not len(cases):
        return elapsed
    calendar = desk.service_levels.calendar(params.calendar)
    last_event = segments.take(arrays.at, segments.last_event(arrays), fill=0)
    last_step = segments.take(arrays.at, clocks.last, fill=0)
    ends = np.where(clocks.over, last_step, np.maximum(last_event, desk.as_of_us))
    ends = np.where(clocks.stop == NONE, ends, segments.take(arrays.at, clocks.stop, fill=0))
    start = arrays.at[clocks.start[cases]]
    end = np.maximum(ends[cases], start)
    # every pause belongs to a started clock; what lies beyond the clock's end is cut off
    owner = np.searchsorted(cases, arrays.case_of[clocks.pauses])
    begin = arrays.at[clocks.pauses]
    until = np.where(
        clocks.resumes == NONE, end[owner], segments.take(arrays.at, clocks.resumes, fill=0)
    )
    paused = paused_us(start, end, Pauses(owner, begin, np.maximum(until, begin)), calendar)
    elapsed[cases] = business_us(start, end, calendar) - paused
    return elapsed


def _pauses(desk: Desk, clocks: _Clocks) -> Ints:
    """Count each case's pauses: where times are cut to units, each may be wrong by one more."""
    return np.bincount(desk.log.arrays.case_of[clocks.pauses], minlength=len(clocks.start)).astype(
        np.int64
    )


def _starts_and_stops(desk: Desk, clocks: _Clocks) -> tuple[Mask, Mask]:
    """Mark the events that make the clocks run, and those that hold them (an end holds too)."""
    case_of = desk.log.arrays.case_of
    ended = np.where(clocks.over & (clocks.stop == NONE), clocks.last, clocks.stop)
    starts = _marked(case_of, clocks.start, clocks.resumes)
    return starts, _marked(case_of, ended, clocks.pauses)


def _marked(case_of: Ints, *positions: Ints) -> Mask:
    """Mark the events that stand at some positions."""
    mask = np.zeros(len(case_of), dtype=bool)
    for some in positions:
        mask[some[some != NONE]] = True
    return mask


def decide(_: Params) -> DecisionTable:
    """Past the limit violates for good; an end without the activity owes nothing."""
    runs = {"timed": POSITIVE, "begun": POSITIVE}
    idle = {"timed": POSITIVE, "begun": ZERO}
    within = runs | {"late": ZERO}
    return (
        Row(Verdict.UNKNOWN, {"timed": ZERO}),
        Row(Verdict.PENDING, idle | {"may_begin": POSITIVE}),
        Row(Verdict.VACUOUS, idle | {"may_begin": ZERO}),
        Row(Verdict.VIOLATES, runs | {"late": POSITIVE}),
        Row(Verdict.PENDING, within | {"complete": ZERO}),
        Row(Verdict.CONFORMS, within | {"complete": POSITIVE, "stopped": POSITIVE}),
        Row(Verdict.PENDING, within | {"complete": POSITIVE, "stopped": ZERO, "over": ZERO}),
        Row(Verdict.VACUOUS, within | {"complete": POSITIVE, "stopped": ZERO, "over": POSITIVE}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    limit = f"within {format_duration(params.within)} (calendar {params.calendar})"
    since = "the first step" if params.since is None else f"the first '{params.since}'"
    without = " and ".join(f"'{activity}'" for activity in params.pauses)
    paused = f", time in {without} left out" if params.pauses else ""
    return f"The last '{params.activity}' comes {limit} of {since}{paused}."
