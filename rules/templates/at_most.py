"""Does an activity, or a change of team, happen at most so many times in a case?

Declare's `absence(n + 1)` (Pesic, van der Aalst 2006); a limit of 0 forbids the activity. With
`what = "team_changes"` the count is of events whose known team differs from the last known team
before it in the case: an event without a team says nothing and changes nothing.

Going over the limit is final. An open case within the limit may still go over it, so it is
pending. A case that names no team at all is unknown, not free of changes.

Not checked: why a team changed, whether a change back to an earlier team was right, teams between
two events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.quality import COUNT, END, MIDDLE, ORDER, START
from rules.spec import ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, CONFORMITY, VIOLATION, Desk, OptionalActivity, TemplateParams

if TYPE_CHECKING:
    import numpy.typing as npt

    from rules.spec import DecisionTable

FORMULA = "!(F (a & X F (a & ... )))  with limit + 1 times a; a = activity, or a change of team"
ONE = Interval(1, 1)
HINGES = {
    ORDER: CLAIMS,
    COUNT: VIOLATION,
    START: CONFORMITY,
    MIDDLE: CONFORMITY,
    END: CONFORMITY,
    "team": (),
}


class Params(TemplateParams):
    """Either an `activity` or `what = "team_changes"` happens at most `limit` times."""

    activity: OptionalActivity = None
    what: Literal["activity", "team_changes"] = "activity"
    limit: int = Field(ge=0, le=1000)

    @model_validator(mode="after")
    def _one_thing_is_counted(self) -> Params:
        if (self.activity is None) == (self.what == "activity"):
            msg = 'name an activity, or say what = "team_changes", not both and not neither'
            raise ValueError(msg)
        return self

    def not_read(self) -> frozenset[str]:
        """A rule that counts an activity reads no team."""
        return frozenset() if self.activity is None else frozenset({"team"})


def measure(desk: Desk, params: Params) -> Measure:
    """Count; the event that goes over the limit decides, the first one is shown with it."""
    arrays = desk.log.arrays
    mask, known = _counted(desk, params)
    count = segments.count(arrays, mask)
    facts = {"known": known, "count": count, "complete": desk.complete.astype(np.int64)}
    return Measure(
        facts=facts,
        events=(segments.first(arrays, mask), segments.nth(arrays, mask, params.limit + 1)),
        measured=count,
        limit=np.full(arrays.n_cases, params.limit, dtype=np.int64),
        unit="times" if params.activity is not None else "team changes",
        cause="" if params.activity is not None else "no event of the case names a team",
    )


def _counted(desk: Desk, params: Params) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """The events that count, and for each case whether they can be counted."""
    arrays = desk.log.arrays
    if params.activity is not None:
        return desk.mask(params.activity), np.ones(arrays.n_cases, dtype=np.int64)
    named = segments.count(arrays, arrays.team >= 0) > 0
    return segments.changes(arrays, arrays.team), named.astype(np.int64)


def decide(params: Params) -> DecisionTable:
    """Over the limit violates for good; within it the end of the case decides."""
    within = {"known": ONE, "count": Interval(None, params.limit)}
    return (
        Row(Verdict.UNKNOWN, {"known": ZERO}),
        Row(Verdict.VIOLATES, {"known": ONE, "count": Interval(params.limit + 1, None)}),
        Row(Verdict.CONFORMS, within | {"complete": ONE}),
        Row(Verdict.PENDING, within | {"complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    thing = "The team" if params.activity is None else f"'{params.activity}'"
    verb = "changes" if params.activity is None else "happens"
    if params.limit == 0:
        return f"{thing} never {verb}."
    times = "once" if params.limit == 1 else f"{params.limit} times"
    return f"{thing} {verb} at most {times} in a case."
