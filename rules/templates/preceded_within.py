"""Does one activity only happen a short time after another?

Declare's `precedence` with a metric bound (past MTL; Koymans 1990; O is the past operator "once"):
each occurrence of `activity` has a `before` earlier in its case, at most `within` of the calendar's
open time ago; exactly `within` ago is in time. The latest `before` counts, and one may serve
several occurrences. `where` narrows the occurrences by an event attribute.

An occurrence without a `before` in time is final: open cases violate. Nothing that happened allows
all that may come, so an open case without an offence is pending. An occurrence whose attribute is
missing may or may not be meant: where it has no `before` in time the case is unknown, unless
another occurrence violates. Logs without times are unknown. Where a case has words that the
vocabulary does not map, the `before` that is missing may be one of them: unknown instead of a
violation.

Not checked: that a `before` belongs to this occurrence and no other; what happened between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.columnar.segments import NONE, Marked
from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.durations import Duration, format_duration, refuse_days
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    CONFORMITY,
    NOT_MEASURED,
    VIOLATION,
    WORDS,
    Activity,
    Desk,
    TemplateParams,
)
from rules.templates._conditions import asking, causes
from rules.templates._time import open_time_us
from rules.where import Where  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "G ((activity & where) -> O[0, within] before)"
HINGES = {
    ORDER: CLAIMS,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    START: CLAIMS,
    MIDDLE: CLAIMS,
    END: CONFORMITY,
    WORDS: VIOLATION,
}
EXPLAIN = {
    "late": "times '{activity}' came without a '{before}' in time",
    "unsure": "the same where it cannot be told whether one is needed",
    "count": "times '{activity}' needed one",
}


class Params(TemplateParams):
    """Each `activity` (`where` …) has a `before` at most `within` a calendar's time earlier."""

    before: Activity = Field(description="the activity that must have happened")
    activity: Activity = Field(description="the activity that needs it")
    within: Duration = Field(description="how long ago it may be at most, such as '30d'")
    calendar: str = Field(
        min_length=1, examples=["24x7"], description="the calendar whose open time counts"
    )
    where: Where | None = Field(default=None, description="which occurrences of the activity")

    @model_validator(mode="before")
    @classmethod
    def _no_days_of_open_hours(cls, params: object) -> object:
        return refuse_days(params, limit="within")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.before == self.activity:
            msg = "before and activity are the same activity"
            raise ValueError(msg)
        return self


def measure(desk: Desk, params: Params) -> Measure:
    """Look back from every occurrence; the one with the longest way back is the evidence."""
    arrays, wanted = desk.log.arrays, desk.mask(params.before)
    asked = asking(desk, params.activity, params.where).judged(desk)
    asks = Marked.of(arrays, asked.possible)
    sure = asked.sure[asks.place]
    latest = asks.previous_among(Marked.of(arrays, wanted))
    missing, at = latest == NONE, arrays.at[asks.place]
    since = np.where(missing, at, segments.take(arrays.at, latest, fill=0))
    elapsed = open_time_us(desk, params.calendar, start=since, stop=at)
    too_late = missing | (elapsed > params.within)
    way = np.where(missing, np.iinfo(np.int64).max, elapsed)  # what is too late is the longest way
    worst = asks.only(sure).most(way[sure])
    shown = np.where(missing, NOT_MEASURED, elapsed)
    return Measure(
        facts={
            "timed": np.full(arrays.n_cases, int(desk.log.timed), dtype=np.int64),
            "late": asks.only(sure & too_late).count(),
            "unsure": asks.only(~sure & too_late).count(),
            "count": asks.only(sure).count(),
            "complete": desk.complete.astype(np.int64),
        },
        events=(asks.at(latest, worst, fill=NONE), worst),
        measured=asks.at(shown, worst, fill=NOT_MEASURED),
        limit=np.full(arrays.n_cases, params.within, dtype=np.int64),
        unit="us",
        cause=causes(params.where) if desk.log.timed else "the log has no times",
        starts=wanted,
        stops=asked.possible,
        judged=asked.possible,
    )


def decide(_: Params) -> DecisionTable:
    """Too long ago violates for good; then what is unsure, then what may still come."""
    timed = {"timed": POSITIVE}
    sure = timed | {"late": ZERO, "unsure": ZERO}
    return (
        Row(Verdict.UNKNOWN, {"timed": ZERO}),
        Row(Verdict.VIOLATES, timed | {"late": POSITIVE}),
        Row(Verdict.UNKNOWN, timed | {"late": ZERO, "unsure": POSITIVE}),
        Row(Verdict.PENDING, sure | {"complete": ZERO}),
        Row(Verdict.CONFORMS, sure | {"complete": POSITIVE, "count": POSITIVE}),
        Row(Verdict.VACUOUS, sure | {"complete": POSITIVE, "count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    condition = "" if params.where is None else params.where.words()
    limit = f"at most {format_duration(params.within)} (calendar {params.calendar})"
    return f"Every '{params.activity}'{condition} happens {limit} after a '{params.before}'."
