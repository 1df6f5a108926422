"""Does one activity only happen after another has happened in the case?

Declare's `precedence` (Pesic, van der Aalst 2006) and its stricter forms (Pesic, Schonenberg, van
der Aalst 2007): `any`, one earlier occurrence allows every later one; `alternate`, each occurrence
needs a new one since the previous occurrence; `chain`, the step just before is it. `where` narrows
the occurrences that need a predecessor; `match` correlates the two (MP-Declare; Burattini, Maggi,
Sperduti 2016). `or_else` is another predecessor that will do; it has to match as well.

An occurrence that comes too early is final, so open cases can violate. In the form `any` no
continuation can violate once the predecessor has happened; where the two must have another actor
(team, attribute), once two different ones have done it, for whoever comes next is another than one
of them. Updates and steps outside the model are no step before, unless the rule names their
activity.

An occurrence of which it cannot be told whether it needs a predecessor, or whether that matches,
leaves the case unknown where that decides. So does a word that the vocabulary does not map: it may
be the earlier step that is missing, and for `chain` a step in between.

Not checked: how long before, and by whom where nothing must match; order among events with equal
times is the log's declared order.
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
    all_to_come,
    asking,
    causes,
    marked,
    mask_of,
    nearest_before,
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
    "asks = activity & where, allows = (before | or_else) & match;  any: G (asks -> O allows)"
    "   alternate: G (asks -> Y (!asks S allows))   chain: G (asks -> Y allows)"
)
ONE = Interval(1, 1)
HINGES = {
    ORDER: CLAIMS,
    START: CLAIMS,
    MIDDLE: CLAIMS,
    END: CONFORMITY,
    COUNT: VIOLATION,
    WORDS: CLAIMS,
    "actor": (),
    "team": (),
}
EXPLAIN = {
    "early": "times '{activity}' surely came without its predecessor",
    "unsure": "times it did so, surely or possibly",
    "count": "times '{activity}' needed one",
    "safe": "above 0: no later step can come too early any more",
}


class Params(TemplateParams):
    """`before`, or `or_else`, must have happened whenever `activity` (`where` …) happens."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"or_else"})

    before: Activity = Field(description="the step that has to come first")
    activity: Activity = Field(description="the step that needs it")
    or_else: OptionalActivity = Field(default=None, description="another acceptable predecessor")
    form: Form = Field(
        default="any",
        description="any: some time before; alternate: anew since the previous `activity`; chain:"
        " the step just before",
    )
    where: Where | None = Field(default=None, description="which occurrences need it")
    match: Match | None = Field(default=None, description="what ties the predecessor to its step")

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.activity in (self.before, self.or_else):
            msg = "activity and its predecessor are the same activity"
            raise ValueError(msg)
        return self

    def by_trace(self) -> bool:
        """Neither attributes nor people are read where nothing narrows or ties the occurrences."""
        return self.where is None and self.match is None

    def not_read(self) -> frozenset[str]:
        """Where any earlier predecessor will do, doubles and lost endings change nothing."""
        free = {COUNT} if self.form == "any" else set()
        if self.form == "any" and self.match is None:
            free.add(END)
        return frozenset(free) | (self.match.not_read() if self.match else {"actor", "team"})

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Only between neighbours an unmapped word can spoil what seems to be kept."""
        found = super().hinges(named)
        return found if self.form == "chain" else found | {WORDS: VIOLATION}


@dataclass(frozen=True, eq=False)
class _Allowed:
    """Per asking event: has it surely, or possibly, its predecessor; what shows it has none?"""

    sure: Mask
    possible: Mask
    shows: Ints


def measure(desk: Desk, params: Params) -> Measure:
    """Count the activity, and how often it came too early; the first early one decides."""
    asked = asking(desk, params.activity, params.where)
    judged, allows = desk.judged(asked.possible), mask_of(desk, params.before, params.or_else)
    asks = Marked.of(desk.log.arrays, asked.possible)
    mine, sure = judged[asks.place], asked.sure[asks.place]
    found = _allowed(desk, params, asks, sure, allows)
    early = asks.only(mine & sure & ~found.possible)
    first, n_early = early.first(), early.count()
    return Measure(
        facts={
            "early": n_early,
            "unsure": asks.only(mine & ~found.sure).count(),
            "count": asks.only(mine & sure).count(),
            "safe": _safe(desk, params, allows),
            "complete": desk.complete.astype(np.int64),
        },
        events=(asks.at(found.shows, first, fill=NONE), first),
        measured=n_early,
        limit=np.zeros_like(n_early),
        unit="times too early" if params.form == "any" else "times without it before",
        cause=causes(params.where, params.match),
        judged=judged,
    )


def _allowed(desk: Desk, params: Params, asks: Marked, sure: Mask, allows: Mask) -> _Allowed:
    if params.form == "chain":
        return _step_before(desk, params, asks, allows)
    near = nearest_before(desk, asks, allows, params.match)
    if params.form == "any":
        too_late = asks.next_among(Marked.of(desk.log.arrays, allows))
        return _Allowed(near.sure != NONE, near.possible != NONE, too_late)
    last, perhaps_last = asks.previous_among(asks.only(sure)), asks.previous_among(asks)
    # NONE lies before every position: without an earlier occurrence any predecessor is a new one.
    return _Allowed(near.sure > perhaps_last, near.possible > last, last)


def _step_before(desk: Desk, params: Params, asks: Marked, allows: Mask) -> _Allowed:
    """The step just before allows it, or nothing does."""
    steps = desk.steps | allows | mask_of(desk, params.activity)
    before = asks.previous_among(Marked.of(desk.log.arrays, steps))
    sure, possible = pairs(desk, asks, before, params.match)
    allowed = marked(allows, before)
    return _Allowed(sure & allowed, possible & allowed, before)


def _safe(desk: Desk, params: Params, allows: Mask) -> Ints:
    """Per case: above 0 where no continuation can come too early."""
    if params.form != "any":
        return np.zeros(desk.log.n_cases, dtype=np.int64)
    return all_to_come(desk, allows, params.match)


def decide(_: Params) -> DecisionTable:
    """One early occurrence violates for good; none at all leaves the rule unused."""
    clear = {"early": ZERO, "unsure": ZERO}
    kept, unused = clear | {"count": POSITIVE}, clear | {"count": ZERO}
    return (
        Row(Verdict.VIOLATES, {"early": POSITIVE}),
        Row(Verdict.UNKNOWN, {"early": ZERO, "unsure": POSITIVE}),
        Row(Verdict.CONFORMS, kept | {"safe": POSITIVE}),
        Row(Verdict.CONFORMS, kept | {"safe": ZERO, "complete": ONE}),
        Row(Verdict.PENDING, kept | {"safe": ZERO, "complete": ZERO}),
        Row(Verdict.VACUOUS, unused | {"complete": ONE}),
        Row(Verdict.PENDING, unused | {"complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    where = params.where.words() if params.where else ""
    match = params.match.words() if params.match else ""
    before = f"'{params.before}'" + (f" or '{params.or_else}'" if params.or_else else "") + match
    happens = f"'{params.activity}'{where} happens only"
    if params.form == "chain":
        return f"{happens} right after {before}."
    again = f", anew since the previous '{params.activity}'{where}"
    return f"{happens} after {before}{again if params.form == 'alternate' else ''}."
