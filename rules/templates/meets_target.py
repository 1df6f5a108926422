"""Does a case meet the service level target of its priority?

The clock of one metric (`rules.service_level`) is compared with the limit of the target in force at
each time: both in open time of the target's calendar, pauses left out. Past the limit is final,
whether the clock still runs or not, and whatever priority the case has later; equal to the limit
is met. An open case within its limit is pending. A case that ended within the limit without
stopping the clock (cancelled) owes nothing more, and a case whose priority has no target owes
nothing at all: both are vacuous.

Where a step that might have stopped the clock is one that the source never records, or a word of
the case is unmapped, only a stop within the limit is known to be one; the rest is unknown.

Not checked: whether pauses were justified, whether the priority is right, whether there should be
a target (`has_target`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.service_level import Metric  # noqa: TC001 - pydantic reads it
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, VIOLATION, WORDS, Desk, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "start -> F[0, limit] (stop | end), time measured without pauses"
ONE = Interval(1, 1)
WITHIN = Interval(None, 0)
HINGES = {
    ORDER: CLAIMS,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    START: CLAIMS,
    MIDDLE: CLAIMS,
    END: VIOLATION,
    "priority": (),
    WORDS: (),
}
EXPLAIN = {
    "known": "whether its priority, its times and its steps are known (1 yes, 0 no)",
    "target": "whether a target is in force for the case (1 yes, 0 no)",
    "stopped": "whether its clock has stopped (1 yes, 0 no)",
    "ended": "whether it can stop no more (1 yes, 0 no)",
    "over_us": "time by which the clock is over the limit (microseconds)",
}


class Params(TemplateParams):
    """The clock of `metric` stays within the limit of the case's target."""

    metric: Metric = Field(description="the clock that is compared")


def measure(desk: Desk, params: Params) -> Measure:
    """Run the clock; its start and, where there is one, its stop are the evidence."""
    clock = desk.clocks[params.metric]
    over = np.where(clock.has_target & clock.started, clock.over_us, 0)
    facts = {
        "known": clock.known,
        "target": clock.has_target,
        "stopped": clock.stopped,
        "ended": clock.ended,
    }
    return Measure(
        facts={name: flag.astype(np.int64) for name, flag in facts.items()} | {"over_us": over},
        events=(clock.start_event, clock.stop_event),
        measured=clock.elapsed_us,
        limit=clock.limit_us,
        unit="us",
        starts=clock.starts,
        stops=clock.stops,
        # where times are cut to units, each pause may be wrong by one more
        margin_us=np.abs(clock.elapsed_us - clock.limit_us) // (1 + clock.pauses),
        cause=(
            "the case has no priority or no times, or its clock may have been stopped by a step"
            " that the source does not record or the vocabulary does not map"
        ),
    )


def decide(_: Params) -> DecisionTable:
    """Being over the limit decides first; then the stop, the end, and else nothing yet."""
    runs = {"known": ONE, "target": ONE}
    within = runs | {"over_us": WITHIN}
    return (
        Row(Verdict.UNKNOWN, {"known": ZERO}),
        Row(Verdict.VACUOUS, {"known": ONE, "target": ZERO}),
        Row(Verdict.VIOLATES, runs | {"over_us": POSITIVE}),
        Row(Verdict.CONFORMS, within | {"stopped": ONE}),
        Row(Verdict.VACUOUS, within | {"stopped": ZERO, "ended": ONE}),
        Row(Verdict.PENDING, within | {"stopped": ZERO, "ended": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"Every case keeps the '{params.metric}' target of its priority."
