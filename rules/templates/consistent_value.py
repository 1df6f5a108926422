"""Does a value stay what it is during a part of the case, such as the risk of an approved change?

A data condition over time (first-order LTL with one rigid variable). `column` is an attribute of
events, their team or their actor; an event that names none says nothing and changes nothing, so the
value at any moment is the last one named. The part begins with the first `after` (else with the
case) and ends before the first later `until` (else with the case): what the `after` event itself
says is the value that must stay, what the `until` event says is free. Any event in between may show
a change, a step or an update, and one that changes the value back is a change too. The first value
ever named is no change. Attributes are compared trimmed and without case.

A change is final, and after `until` nothing can go wrong any more; before it an open case may still
change its value and is pending. A case without `after` is vacuous. A case that names no value up
to the end of the part is unknown, open or not; so is every such case of a log that lacks the
column.

`until` only excuses: where the source never records it, or a word of the case is unmapped and could
be it, a change is unknown.

Not checked: a second `after` once the first part has ended; who changed the value and why; changes
that the source does not record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.columnar.segments import NONE, Marked
from process_mining.quality import END, MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import CLAIMS, CONFORMITY, Desk, OptionalActivity, TemplateParams
from rules.templates._conditions import mask_of
from rules.templates._values import Values

if TYPE_CHECKING:
    from process_mining.eventlog import Codes, Ints
    from rules.spec import DecisionTable

FORMULA = "for every value v: G ((after & !O after & value = v) -> (value = v W until))"
HINGES = {
    ORDER: CLAIMS,
    START: CLAIMS,
    MIDDLE: CLAIMS,
    END: CONFORMITY,
    "actor": (),
    "team": (),
}
EXPLAIN = {
    "begun": "events judged in the part in which the value must stay (0: it has not begun)",
    "named": "events of that part that say '{column}'",
    "changes": "changes of the value inside that part",
    "over": "whether that part is over (1 yes, 0 no)",
}


class Params(TemplateParams):
    """The value of `column` does not change from the first `after` to the next `until`."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"until"})

    column: str = Field(
        pattern=r"^(actor|team|attr\..+)$",
        examples=["attr.category"],
        description="what must stay: actor, team or attr.NAME",
    )
    after: OptionalActivity = Field(
        default=None, description="the activity from which on it must (default: the beginning)"
    )
    until: OptionalActivity = Field(
        default=None, description="the activity that lets it change again (default: the end)"
    )

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.after is not None and self.after == self.until:
            msg = "after and until are the same activity"
            raise ValueError(msg)
        return self

    def not_read(self) -> frozenset[str]:
        """Of actor and team a rule reads the one that it names."""
        return frozenset({s.ACTOR, s.TEAM} - {self.column})


def measure(desk: Desk, params: Params) -> Measure:
    """Count the changes inside the part; the first one decides, shown with the value before it."""
    arrays = desk.log.arrays
    codes = _codes(desk, params.column)
    part = _Part.of(desk, params)
    judged = desk.judged(segments.between(arrays, part.begin, part.end))
    known = Marked.of(arrays, codes >= 0)
    before, named = known.previous_among(known), known.only(known.place < part.end[known.case])
    changed = segments.take(codes, before, fill=-1) != codes[known.place]
    changed &= (before != NONE) & judged[known.place] & (known.place > part.begin[known.case])
    decisive, changes = known.only(changed).first(), known.only(changed).count()
    return Measure(
        facts={
            "begun": segments.count(arrays, judged),
            "named": named.count(),
            "changes": changes,
            "over": (desk.complete | (part.end < arrays.offsets[1:])).astype(np.int64),
        },
        events=(known.at(before, decisive, fill=NONE), decisive),
        measured=changes,
        limit=np.zeros_like(changes),
        unit="changes",
        cause=f"no event of the case says its '{params.column}'",
        judged=judged,
    )


def _codes(desk: Desk, column: str) -> Codes | Ints:
    """Return what each event says, as a code; below 0 where it says nothing."""
    arrays = desk.log.arrays
    if column == s.ACTOR:
        return arrays.actor
    return arrays.team if column == s.TEAM else Values.of(desk.log.events, column).codes


@dataclass(frozen=True, eq=False)
class _Part:
    """The part of each case that counts: the events after `begin` and before `end` (positions).

    `begin` is the first `after`, where there is one; a case without it has an empty part.
    """

    begin: Ints
    end: Ints

    @classmethod
    def of(cls, desk: Desk, params: Params) -> _Part:
        """Find each case's part."""
        arrays = desk.log.arrays
        ends = arrays.offsets[1:]
        first_after = segments.first(arrays, mask_of(desk, params.after))
        begin = np.where(first_after == NONE, ends, first_after)
        if params.after is None:
            begin = arrays.offsets[:-1] - 1
        untils = Marked.of(arrays, mask_of(desk, params.until))
        until = untils.only(untils.place > begin[untils.case]).first()
        return cls(begin, np.where(until == NONE, ends, until))


def decide(_: Params) -> DecisionTable:
    """A change violates for good; an end of the part without one is just as final."""
    begun = {"changes": ZERO, "begun": POSITIVE}
    return (
        Row(Verdict.VIOLATES, {"changes": POSITIVE}),
        Row(Verdict.PENDING, {"changes": ZERO, "begun": ZERO, "over": ZERO}),
        Row(Verdict.VACUOUS, {"changes": ZERO, "begun": ZERO, "over": POSITIVE}),
        Row(Verdict.UNKNOWN, begun | {"named": ZERO}),
        Row(Verdict.PENDING, begun | {"named": POSITIVE, "over": ZERO}),
        Row(Verdict.CONFORMS, begun | {"named": POSITIVE, "over": POSITIVE}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    since = "" if params.after is None else f" after the first '{params.after}'"
    until = "" if params.until is None else f" until '{params.until}'"
    return f"The value of '{params.column}' does not change{since}{until}."
