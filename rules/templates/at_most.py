"""Does an activity, or a change of team, happen at most so many times, in a case or in a window?

Declare's `absence(n + 1)` (Pesic, van der Aalst 2006); a limit of 0 forbids the activity. With
`what = "team_changes"` the count is of events whose known team differs from the last known team
before it in the case: an event without a team says nothing and changes nothing. `where` narrows the
occurrences of an activity by an event attribute.

With `within` no window of that much open time of the `calendar` holds more than `limit`
occurrences: metric temporal logic with counting (Hirshfeld, Rabinovich 2004). The window is closed:
two occurrences that lie exactly `within` apart share one. The occurrence that goes over the limit
offends; those before it may lie outside the time of the rule's version.

Going over the limit is final. An open case within the limit may still go over it, so it is
pending. A case that names no team at all is unknown, not free of changes. An occurrence whose
attribute is missing may or may not count: where that decides, the case is unknown. So is every case
of a log without times where there is a window.

Complexity: O(events); with a window O(n log n) in the occurrences.

Not checked: why a team changed, whether a change back to an earlier team was right, teams between
two events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from process_mining.clock import business_us
from process_mining.columnar import segments
from process_mining.quality import COUNT, END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.durations import Duration, format_duration, refuse_days
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import CLAIMS, CONFORMITY, VIOLATION, Desk, OptionalActivity, TemplateParams
from rules.templates._conditions import asking, causes
from rules.where import Asking, Where

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

    Mask = npt.NDArray[np.bool_]

LONG = 2**62  # longer than every span of time
FORMULA = (
    "!(F (a & X F (a & ... )))  with limit + 1 times a; a = activity, or a change of team"
    "   with within: !(F (a & X F (a & ...))) for every limit + 1 times a in a window of that time"
)
HINGES = {
    ORDER: CLAIMS,
    COUNT: VIOLATION,
    START: CONFORMITY,
    MIDDLE: CLAIMS,  # a change of team that is not seen may be seen later, nearer to another one
    END: CONFORMITY,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    "team": (),
}
EXPLAIN = {
    "known": "whether the case tells enough to count (1 yes, 0 no)",
    "over": "times it happened once too often",
    "unsure": "times it may have happened once too often",
}


class Params(TemplateParams):
    """Either an `activity` or `what = "team_changes"` happens at most `limit` times."""

    activity: OptionalActivity = Field(default=None, description="the activity that is counted")
    what: Literal["activity", "team_changes"] = Field(
        default="activity", description="what is counted: an activity, or changes of team"
    )
    limit: int = Field(ge=0, le=1000, description="how often it may happen")
    where: Where | None = Field(default=None, description="which occurrences of the activity count")
    within: Duration | None = Field(
        default=None, description="the length of the window, such as '10h' (default: the case)"
    )
    calendar: str | None = Field(
        default=None,
        min_length=1,
        examples=["24x7"],
        description="the calendar whose open time counts",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_days_of_open_hours(cls, params: object) -> object:
        return refuse_days(params, limit="within")

    @model_validator(mode="after")
    def _one_thing_is_counted(self) -> Params:
        if (self.activity is None) == (self.what == "activity"):
            msg = 'name an activity, or say what = "team_changes", not both and not neither'
            raise ValueError(msg)
        if self.where is not None and self.activity is None:
            msg = "where narrows an activity, and changes of team are counted"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _a_window_has_a_calendar(self) -> Params:
        if (self.within is None) != (self.calendar is None):
            msg = "a window needs both, within and calendar"
            raise ValueError(msg)
        if self.within is not None and self.limit == 0:
            msg = "a limit of 0 forbids it everywhere, so a window says nothing"
            raise ValueError(msg)
        return self

    def by_trace(self) -> bool:
        """Neither times nor attributes nor teams are read where steps of the case are counted."""
        return self.activity is not None and self.within is None and self.where is None

    def not_read(self) -> frozenset[str]:
        """A rule that counts an activity reads no team, and one without a window no time."""
        no_team = frozenset() if self.activity is None else frozenset({"team"})
        return no_team if self.within is not None else no_team | {TIME, RECORDED}

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Only a change of team can move into a window when something before it is missing."""
        found = super().hinges(named)
        moving = self.activity is None and self.within is not None
        return found if moving else found | {MIDDLE: CONFORMITY}


def measure(desk: Desk, params: Params) -> Measure:
    """Count; the event that goes over the limit decides, shown with the first that is counted.

    Of several windows over the limit the fullest is shown, of several of these the earliest.
    """
    arrays = desk.log.arrays
    counted, known = _counted(desk, params)
    sure = _Windows.of(desk, params, counted.sure)
    perhaps = sure if params.where is None else _Windows.of(desk, params, counted.possible)
    judged = counted.judged(desk)
    mine, maybe = judged.sure[sure.events.place], judged.possible[perhaps.events.place]
    over, unsure = mine & (sure.count > params.limit), maybe & (perhaps.count > params.limit)
    offences, most = sure.events.only(over), sure.most(sure.count, mine, fill=0)
    fullest = over & (sure.count == most[sure.events.case])
    decisive = offences.first() if params.within is None else sure.events.only(fullest).first()
    timed = params.within is None or desk.log.timed
    return Measure(
        facts={
            "timed": np.full(arrays.n_cases, int(timed), dtype=np.int64),
            "known": known,
            "over": offences.count(),
            "unsure": perhaps.events.only(unsure).count(),
            "complete": desk.complete.astype(np.int64),
        },
        events=(sure.events.at(sure.first, decisive, fill=segments.NONE), decisive),
        measured=most,
        limit=np.full(arrays.n_cases, params.limit, dtype=np.int64),
        unit=_unit(params),
        cause=_cause(params, timed=timed),
        starts=counted.possible,
        stops=counted.possible,
        judged=judged.possible,
        margin_us=_margin_us(params, (sure, over), (perhaps, maybe)),
    )


def _counted(desk: Desk, params: Params) -> tuple[Asking, Ints]:
    """The events that count, and for each case whether they can be counted."""
    arrays = desk.log.arrays
    if params.activity is not None:
        countable = np.ones(arrays.n_cases, dtype=np.int64)
        return asking(desk, params.activity, params.where), countable
    changes = segments.changes(arrays, arrays.team)
    named = segments.count(arrays, arrays.team >= 0) > 0
    return Asking(sure=changes, unsure=np.zeros_like(changes)), named.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Windows:
    """Per counted event: how many its window holds up to it, and the position of the first of them.

    Without a window all of its case so far. `span_us`: the open time since the counted event that
    is `limit` of them before it (LONG without a window, or such an event).
    """

    events: segments.Marked
    first: Ints
    count: Ints
    span_us: Ints

    @classmethod
    def of(cls, desk: Desk, params: Params, mask: Mask) -> _Windows:
        """Look back from every marked event."""
        events = segments.Marked.of(desk.log.arrays, mask)
        rank, here = events.rank(), np.arange(len(events))
        span = np.full(len(events), LONG, dtype=np.int64)
        if params.within is None or params.calendar is None or not desk.log.timed or not len(here):
            return cls(events, events.place[here - rank], rank + 1, span)
        at, calendar = (
            desk.log.arrays.at[events.place],
            desk.service_levels.calendar(params.calendar),
        )
        clock = business_us(np.full_like(at, at.min()), at, calendar)
        enough = np.flatnonzero(rank >= params.limit)
        span[enough] = clock[enough] - clock[enough - params.limit]
        oldest = _oldest(clock, here - rank, params.within)
        return cls(events, events.place[oldest], here - oldest + 1, span)

    def most(self, values: Ints, among: Mask, *, fill: int) -> Ints:
        """Per case: the greatest value of its counted events, of those that are `among` them."""
        return self.events.only(among).greatest(values[among], fill=fill)


def _oldest(clock: Ints, first: Ints, within_us: int) -> Ints:
    """Per event: the first one from `first` on, the first of its case, that its window holds.

    The clock ascends from there to the event itself: all are searched at once, halving the rest.
    """
    low, high = first, np.arange(len(clock))
    while (low < high).any():
        middle = (low + high) // 2
        inside = clock - clock[middle] <= within_us
        low, high = np.where(inside, low, middle + 1), np.where(inside, middle, high)
    return high


def _margin_us(
    params: Params, sure: tuple[_Windows, Mask], perhaps: tuple[_Windows, Mask]
) -> Ints | None:
    """How far the time that decides a case lies from the window's length; None without a window.

    `sure` with the offences and `perhaps` with all judged events among them. Of several offences
    the clearest one counts; of a case without any the nearest miss.
    """
    if params.within is None:
        return None
    (windows, over), (wider, judged) = sure, perhaps
    clearest = -windows.most(-windows.span_us, over, fill=-LONG)
    nearest = -wider.most(-wider.span_us, judged, fill=-LONG)
    offends = windows.events.only(over).count() > 0
    return np.asarray(np.abs(np.where(offends, clearest, nearest) - params.within))


def _unit(params: Params) -> str:
    thing = "times" if params.activity is not None else "team changes"
    return thing if params.within is None else f"{thing} within {format_duration(params.within)}"


def _cause(params: Params, *, timed: bool) -> str:
    if not timed:
        return "the log has no times"
    return causes(params.where) if params.activity else "no event of the case names a team"


def decide(_: Params) -> DecisionTable:
    """Over the limit violates for good; within it the end of the case decides."""
    known = {"timed": POSITIVE, "known": POSITIVE}
    within = known | {"over": ZERO, "unsure": ZERO}
    return (
        Row(Verdict.UNKNOWN, {"timed": ZERO}),
        Row(Verdict.UNKNOWN, {"timed": POSITIVE, "known": ZERO}),
        Row(Verdict.VIOLATES, known | {"over": POSITIVE}),
        Row(Verdict.UNKNOWN, known | {"over": ZERO, "unsure": POSITIVE}),
        Row(Verdict.CONFORMS, within | {"complete": POSITIVE}),
        Row(Verdict.PENDING, within | {"complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    condition = "" if params.where is None else params.where.words()
    thing = "The team" if params.activity is None else f"'{params.activity}'{condition}"
    verb = "changes" if params.activity is None else "happens"
    if params.limit == 0:
        return f"{thing} never {verb}."
    times = "once" if params.limit == 1 else f"{params.limit} times"
    place = "in a case"
    if params.within is not None:
        place = f"within {format_duration(params.within)} (calendar {params.calendar})"
    return f"{thing} {verb} at most {times} {place}."
