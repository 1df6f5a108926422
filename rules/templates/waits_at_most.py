"""Does a case stay in a state no longer than a limit, each time?

A state is entered by its activity and left by the next other step; updates, repetitions of the
activity (a reminder does not start a new wait) and steps outside the model (feedback) do not leave
it. Time runs in the named calendar. In first-order MTL (Koymans 1990) over maximal runs.

A wait over the limit is final; a case that still waits is clocked up to the desk's `as_of`. A
complete case waits no more: its last run counts no time. Logs without times are unknown.

A word that the vocabulary does not map may be a state of its own, the same one, or none: it cannot
be told which waits it ends, so what would conform or violate is unknown in such a case.

Not checked: the sum of several waits; whether the wait was justified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.columnar.segments import NONE, Marked
from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.durations import Duration, format_duration, refuse_days
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, CONFORMITY, WORDS, Activity, Desk, TemplateParams
from rules.templates._time import open_time_us

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

FORMULA = "G ((activity & !Y activity) -> (activity U[0, limit] (!activity | end)))"
ONE = Interval(1, 1)
HINGES = {
    ORDER: CLAIMS,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    START: CONFORMITY,
    MIDDLE: CLAIMS,
    END: CONFORMITY,
    WORDS: CLAIMS,
}
EXPLAIN = {
    "over": "stays in '{activity}' that lasted too long",
    "count": "stays in '{activity}'",
}


class Params(TemplateParams):
    """Each stay in `activity` lasts at most `limit` of the calendar's time."""

    activity: Activity = Field(description="the state")
    limit: Duration = Field(description="how long each stay may last, such as '50h'")
    calendar: str = Field(
        min_length=1, examples=["24x7"], description="the calendar whose open time counts"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_days_of_open_hours(cls, params: object) -> object:
        return refuse_days(params, limit="limit")


@dataclass(frozen=True, eq=False)
class _Waits:
    """The events that enter the state; of each the step that leaves it, and the time between."""

    enters: Marked
    leaves: Ints
    elapsed_us: Ints


def measure(desk: Desk, params: Params) -> Measure:
    """Clock every stay; the longest one over the limit is the evidence, its end decides."""
    arrays = desk.log.arrays
    waits = _waits(desk, params)
    enters, elapsed = waits.enters, waits.elapsed_us
    worst, judged = enters.most(elapsed), enters.mask
    return Measure(
        facts={
            "timed": np.full(arrays.n_cases, int(desk.log.timed), dtype=np.int64),
            "over": enters.only(elapsed > params.limit).count(),
            "count": enters.count(),
            "complete": desk.complete.astype(np.int64),
        },
        events=(worst, enters.at(waits.leaves, worst, fill=NONE)),
        measured=enters.greatest(elapsed, fill=0),
        limit=np.full(arrays.n_cases, params.limit, dtype=np.int64),
        unit="us",
        starts=judged,
        stops=_named(waits.leaves, len(judged)),
        cause="the log has no times",
        judged=judged,
    )


def _named(positions: Ints, n: int) -> npt.NDArray[np.bool_]:
    """Mark the events that stand at some positions."""
    mask = np.zeros(n, dtype=bool)
    mask[positions[positions != NONE]] = True
    return mask


def _waits(desk: Desk, params: Params) -> _Waits:
    arrays, here = desk.log.arrays, desk.mask(params.activity)
    state, others = Marked.of(arrays, here), Marked.of(arrays, desk.steps & ~here)
    first = state.previous_among(state) <= state.previous_among(others)
    enters = state.only(first & desk.judged(here)[state.place])
    leaves, at = enters.next_among(others), arrays.at[enters.place]
    still = np.where(desk.complete[enters.case], at, desk.as_of_us)
    stop = np.where(leaves == NONE, still, segments.take(arrays.at, leaves, fill=0))
    return _Waits(enters, leaves, open_time_us(desk, params.calendar, start=at, stop=stop))


def decide(_: Params) -> DecisionTable:
    """A wait over the limit violates for good; an open case may still wait too long."""
    timed = {"timed": ONE}
    within = timed | {"over": ZERO}
    return (
        Row(Verdict.UNKNOWN, {"timed": ZERO}),
        Row(Verdict.VIOLATES, timed | {"over": POSITIVE}),
        Row(Verdict.PENDING, within | {"complete": ZERO}),
        Row(Verdict.CONFORMS, within | {"complete": ONE, "count": POSITIVE}),
        Row(Verdict.VACUOUS, within | {"complete": ONE, "count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    limit = f"{format_duration(params.limit)} (calendar {params.calendar})"
    return f"Each stay in '{params.activity}' lasts at most {limit}."
