"""Is every occurrence of one activity followed by another within a time limit?

Declare's `response` with a metric bound (MTL; Koymans 1990). The first `then`, or `or_else` where
one is named, after each occurrence stops its clock. Time runs in the named calendar. `where`
narrows the occurrences by an event attribute; `match` correlates the answer with the occurrence
that asks for it (MP-Declare; Burattini, Maggi, Sperduti 2016). With `earlier_counts` an answer that
came before counts too: whether it was too early is another rule's matter (Y and O below are the
past operators "before this" and "once"). `then` may be `activity` itself, which is then to be
repeated in time until `or_else` comes: the last one, too, needs a later `or_else`. After the first
`until` nothing asks any more (the scope "before" of Dwyer, Avrunin, Corbett 1999): what is said
after the end of an outage needs no other message after it.

An answer after the limit is final, and so is none by the limit: open cases can violate, judged at
the desk's `as_of`. An open case conforms where nothing that may come could ask in vain: after the
first `until`, and with `earlier_counts` once an answer has come (where it must be another actor,
team or value: answers of two). An occurrence whose attribute is missing may or may not ask for an
answer, and one whose partner in `match` is not named may or may not be answered by it: where that
decides, the case is unknown, unless another occurrence violates. In a complete case no answer can
come any more, and an unanswered clock stops with its last step. Steps outside the model may still
come (feedback comes after the end): for those the deadline alone decides, and an unanswered clock
runs up to `as_of`. Logs without times are unknown.

`or_else` and `until` only excuse: where the source never records them, kept is kept and late is
unknown. Late is unknown too where a case has words that the vocabulary does not map, for one may be
the answer.

Not checked: that an answer belongs to this occurrence and no other, beyond what `match` asks; one
may serve several; what asks after an `until` that was taken back (a reopening).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.columnar.segments import NONE, Marked
from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.durations import Duration, format_duration, refuse_days
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import (
    CLAIMS,
    NOT_MEASURED,
    VIOLATION,
    WORDS,
    Activity,
    Desk,
    OptionalActivity,
    TemplateParams,
)
from rules.templates._conditions import (
    Match,
    Nearest,
    all_to_come,
    asking,
    causes,
    mask_of,
    nearest_after,
    nearest_before,
)
from rules.templates._time import open_time_us
from rules.where import Asking, Where

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

    Mask = npt.NDArray[np.bool_]

FORMULA = (
    "answer = (then | or_else) & match;   G ((activity & where) -> X F[0, within] answer)"
    "   with earlier_counts: G ((activity & where) -> Y O answer | X F[0, within] answer)"
    "   with until: activity & !Y O until asks"
)
HINGES = {
    ORDER: CLAIMS,
    START: CLAIMS,
    TIME: CLAIMS,
    RECORDED: CLAIMS,
    MIDDLE: CLAIMS,
    END: CLAIMS,
    WORDS: VIOLATION,
    "actor": (),
    "team": (),
}
EXPLAIN = {
    "late": "times '{activity}' got its answer too late, or never",
    "unsure": "times that is so, surely or possibly",
    "waiting": "answers that are still to come in time",
    "count": "times '{activity}' asked for an answer",
    "safe": "above 0: whatever may still ask has its answer behind it",
    "closed": "whether nothing can ask any more: 1 yes, 0 no",
}


class Params(TemplateParams):
    """Every `activity` (`where` …) gets `then`, or `or_else`, `within` a time of the calendar."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"or_else", "until"})

    activity: Activity = Field(description="the activity that asks for an answer")
    then: Activity = Field(description="the answer; may be the activity itself")
    or_else: OptionalActivity = Field(default=None, description="another acceptable answer")
    until: OptionalActivity = Field(
        default=None, description="the activity after which none asks any more"
    )
    within: Duration = Field(description="how soon it must come, such as '4h'")
    calendar: str = Field(
        min_length=1, examples=["24x7"], description="the calendar whose open time counts"
    )
    where: Where | None = Field(default=None, description="which occurrences ask")
    match: Match | None = Field(default=None, description="what ties the answer to the asking one")
    earlier_counts: bool = Field(default=False, description="whether an earlier answer will do")

    @model_validator(mode="before")
    @classmethod
    def _no_days_of_open_hours(cls, params: object) -> object:
        return refuse_days(params, limit="within")

    @model_validator(mode="after")
    def _answers(self) -> Params:
        if self.activity == self.or_else:
            msg = "an activity can be its own answer as `then`, not as `or_else`"
            raise ValueError(msg)
        if self.activity == self.then and self.earlier_counts:
            msg = "an activity that is its own answer comes earlier but once: leave earlier_counts"
            raise ValueError(msg)
        if self.activity == self.until:
            msg = "after an activity that is its own `until` none would ask but the first"
            raise ValueError(msg)
        return self

    def not_read(self) -> frozenset[str]:
        """Of actor and team a rule reads the one that it compares."""
        return self.match.not_read() if self.match else frozenset({"actor", "team"})


@dataclass(frozen=True, eq=False)
class _Clocks:
    """Per asking event: its answer's position, business time until then, is it kept, late, waiting.

    `late`: no answer can be in time any more. `kept`: an earlier answer counts, no clock runs.
    """

    answer: Ints
    elapsed_us: Ints
    late: Mask
    kept: Mask

    @property
    def failed(self) -> Mask:
        """Whether it stays unanswered for good."""
        return self.late & ~self.kept

    @property
    def waiting(self) -> Mask:
        """Whether its answer may still come."""
        return np.asarray((self.answer == NONE) & ~self.late & ~self.kept)


def measure(desk: Desk, params: Params) -> Measure:
    """Clock every asking event; the worst late one is the evidence, its answer decides."""
    arrays = desk.log.arrays
    asked, answers = _asks(desk, params), mask_of(desk, params.then, params.or_else)
    asks = Marked.of(arrays, asked.possible)
    sure = asked.sure[asks.place]
    # at best every answer that may match counts, at worst those alone that surely do
    best, worst = _clocks(desk, params, asks, answers)
    late = sure & best.failed
    n_late = asks.only(late).count()
    telling = late | (sure & (n_late == 0)[asks.case])
    shown = asks.only(telling).most(best.elapsed_us[telling])
    return Measure(
        facts={
            "timed": np.full(arrays.n_cases, int(desk.log.timed), dtype=np.int64),
            "late": n_late,
            "unsure": asks.only(worst.failed).count(),
            "waiting": asks.only(worst.waiting).count(),
            "count": asks.only(sure).count(),
            "safe": _safe(desk, params, answers),
            "closed": _closed(desk, params),
        },
        events=(shown, asks.at(best.answer, shown, fill=NONE)),
        measured=asks.at(best.elapsed_us, shown, fill=NOT_MEASURED),
        limit=np.full(arrays.n_cases, params.within, dtype=np.int64),
        unit="us",
        starts=asked.possible,
        stops=answers,
        cause=causes(params.where, params.match) if desk.log.timed else "the log has no times",
        judged=asked.possible,
    )


def _asks(desk: Desk, params: Params) -> Asking:
    """The occurrences that ask: judged, and before any `until`."""
    asks = asking(desk, params.activity, params.where).judged(desk)
    if params.until is None:
        return asks
    before = segments.count_before(desk.log.arrays, desk.mask(params.until)) == 0
    return Asking(sure=asks.sure & before, unsure=asks.unsure & before)


def _safe(desk: Desk, params: Params, answers: Mask) -> Ints:
    """Per case: above 0 where whatever may still ask has its answer behind it."""
    if not params.earlier_counts:
        return np.zeros(desk.log.n_cases, dtype=np.int64)
    return all_to_come(desk, answers, params.match)


def _closed(desk: Desk, params: Params) -> Ints:
    """Per case: 1 where nothing can ask any more."""
    until = segments.count(desk.log.arrays, mask_of(desk, params.until)) > 0
    return (desk.complete | until).astype(np.int64)


def _clocks(desk: Desk, params: Params, asks: Marked, answers: Mask) -> tuple[_Clocks, _Clocks]:
    """Let a clock run from every asking event to its answer, at best and at worst."""
    after = nearest_after(desk, asks, answers, params.match)
    nothing = np.full(len(asks), NONE)
    before = Nearest(nothing, nothing)
    if params.earlier_counts:
        before = nearest_before(desk, asks, answers, params.match)
    best = _run(desk, params, asks, after.possible, before.possible)
    if params.match is None:
        return best, best
    return best, _run(desk, params, asks, after.sure, before.sure)


def _run(desk: Desk, params: Params, asks: Marked, answer: Ints, earlier: Ints) -> _Clocks:
    """Stop each clock at its answer, else at the end of its case, else at `as_of`."""
    at = desk.log.arrays.at
    over = desk.complete & (params.then not in desk.outside)
    ends = segments.take(at, desk.last_step, fill=desk.as_of_us)
    unanswered = np.where(over, ends, desk.as_of_us)[asks.case]
    missing = answer == NONE
    stop = np.where(missing, unanswered, segments.take(at, answer, fill=0))
    elapsed = open_time_us(desk, params.calendar, start=at[asks.place], stop=stop)
    late = (elapsed > params.within) | (missing & over[asks.case])
    return _Clocks(answer=answer, elapsed_us=elapsed, late=late, kept=earlier != NONE)


def decide(_: Params) -> DecisionTable:
    """Late violates for good; then what is unsure, then what may still come."""
    timed = {"timed": POSITIVE}
    sure = timed | {"late": ZERO, "unsure": ZERO}
    kept = sure | {"waiting": ZERO, "count": POSITIVE}
    unused = sure | {"waiting": ZERO, "count": ZERO}
    return (
        Row(Verdict.UNKNOWN, {"timed": ZERO}),
        Row(Verdict.VIOLATES, timed | {"late": POSITIVE}),
        Row(Verdict.UNKNOWN, timed | {"late": ZERO, "unsure": POSITIVE}),
        Row(Verdict.PENDING, sure | {"waiting": POSITIVE}),
        Row(Verdict.CONFORMS, kept | {"closed": POSITIVE}),
        Row(Verdict.CONFORMS, kept | {"closed": ZERO, "safe": POSITIVE}),
        Row(Verdict.PENDING, kept | {"closed": ZERO, "safe": ZERO}),
        Row(Verdict.VACUOUS, unused | {"closed": POSITIVE}),
        Row(Verdict.PENDING, unused | {"closed": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    where = params.where.words() if params.where else ""
    match = params.match.words() if params.match else ""
    answer = f"'{params.then}'" + (f" or '{params.or_else}'" if params.or_else else "") + match
    limit = f"within {format_duration(params.within)} (calendar {params.calendar})"
    verb = "is preceded or followed" if params.earlier_counts else "is followed"
    until = f" before the first '{params.until}'" if params.until else ""
    return f"Every '{params.activity}'{where}{until} {verb} by {answer} {limit}."
