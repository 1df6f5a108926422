"""Does a column hold a value, and an allowed one, where it should?

A data condition on activities (Montali et al. 2013, "Monitoring business constraints with the event
calculus"), or on the case as a whole. With `activity` every occurrence of it carries the event
attribute `column`; without, the case carries the column `column` when it ends. A missing value is
the offence; a value offends where `one_of` is named and it is none of them, or where it is one of
`none_of`. Values are texts, compared trimmed and without case; an empty one is missing.

What an event carries is written once: an occurrence that lacks its value violates for good, in an
open case too, and another occurrence may still come, so an open case without an offence is pending.
What a case carries may be filled in until it ends: an open case is pending whatever it says now.
Where no event (no case) of the log carries the column at all, the source does not keep it: what
asks for it is unknown, for open cases too.

Not checked: whether the value is the right one; when a case's column was filled in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, START
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import CONFORMITY, Desk, OptionalActivity, TemplateParams
from rules.templates._values import CASE_COLUMN, EVENT_COLUMN, Texts, Values, end_of_case
from rules.texts import plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from rules.spec import DecisionTable

FORMULA = "G (activity -> column is known & allowed); without activity: at the end it is"
HINGES = {START: CONFORMITY, MIDDLE: CONFORMITY, END: CONFORMITY}
EXPLAIN = {
    "kept": "whether the log has '{column}' anywhere (1 yes, 0 no)",
    "bad": "values that are missing or not allowed",
    "count": "events, or cases, that have to carry a value",
}


class Params(TemplateParams):
    """Every `activity`, or else every case, carries an allowed value in `column`."""

    column: str = Field(
        pattern=CASE_COLUMN,
        examples=["category"],
        description="the column: priority, category, service or attr.NAME of the case;"
        " attr.NAME of the events where an activity is named",
    )
    activity: OptionalActivity = Field(
        default=None, description="the activity whose events carry it (default: the case does)"
    )
    one_of: Texts | None = Field(default=None, description="the allowed values (default: any)")
    none_of: Texts | None = Field(default=None, description="values that are not allowed")

    @model_validator(mode="after")
    def _sense(self) -> Params:
        if self.activity is not None and not re.fullmatch(EVENT_COLUMN, self.column):
            msg = f"events carry attributes: write 'attr.NAME', not '{self.column}'"
            raise ValueError(msg)
        if self.one_of and self.none_of:
            allowed = {plain(text) for text in self.one_of} - {plain(t) for t in self.none_of}
            if not allowed:
                msg = "none_of forbids every value of one_of"
                raise ValueError(msg)
        return self

    def not_read(self) -> frozenset[str]:
        """A rule on the column of a case reads no event."""
        return frozenset(HINGES) if self.activity is None else frozenset()


def measure(desk: Desk, params: Params) -> Measure:
    """Count occurrences (a case is one) and those without an allowed value; the first decides."""
    arrays = desk.log.arrays
    if params.activity is None:
        values, judged = Values.of(desk.log.cases, params.column), None
        bad, count = _offends(values, params).astype(np.int64), np.ones(arrays.n_cases, np.int64)
        decisive = end_of_case(desk)
    else:
        values = Values.of(desk.log.events, params.column)
        judged = desk.judged(desk.mask(params.activity))
        offending = judged & _offends(values, params)
        bad, count = segments.count(arrays, offending), segments.count(arrays, judged)
        decisive = segments.first(arrays, offending)
    return Measure(
        facts={
            "kept": np.full(arrays.n_cases, int(values.kept), dtype=np.int64),
            "bad": bad,
            "count": count,
            "complete": desk.complete.astype(np.int64),
        },
        events=(decisive,),
        measured=bad,
        limit=np.zeros_like(bad),
        unit="values missing or not allowed",
        cause=f"the log has no column '{params.column}'; its source may keep it under another name",
        judged=judged,
    )


def _offends(values: Values, params: Params) -> npt.NDArray[np.bool_]:
    """Tell for each value whether it is missing or not allowed."""
    wrong = values.missing
    if params.one_of is not None:
        wrong = wrong | ~values.among(params.one_of)
    if params.none_of is not None:
        wrong = wrong | values.among(params.none_of)
    return wrong


def decide(params: Params) -> DecisionTable:
    """An event keeps what it says; a case may be filled in until it ends."""
    if params.activity is None:
        ended = {"kept": POSITIVE, "complete": POSITIVE}
        return (
            Row(Verdict.UNKNOWN, {"kept": ZERO}),
            Row(Verdict.PENDING, {"kept": POSITIVE, "complete": ZERO}),
            Row(Verdict.VIOLATES, ended | {"bad": POSITIVE}),
            Row(Verdict.CONFORMS, ended | {"bad": ZERO}),
        )
    asked = {"kept": POSITIVE, "count": POSITIVE}
    clear = asked | {"bad": ZERO}
    return (
        Row(Verdict.VACUOUS, {"count": ZERO, "complete": POSITIVE}),
        Row(Verdict.PENDING, {"count": ZERO, "complete": ZERO}),
        Row(Verdict.UNKNOWN, {"kept": ZERO, "count": POSITIVE}),
        Row(Verdict.VIOLATES, asked | {"bad": POSITIVE}),
        Row(Verdict.CONFORMS, clear | {"complete": POSITIVE}),
        Row(Verdict.PENDING, clear | {"complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    values = ""
    if params.one_of is not None:
        values += f" that is one of {_listed(params.one_of)}"
    if params.none_of is not None:
        values += (" and" if values else " that is") + f" none of {_listed(params.none_of)}"
    if params.activity is None:
        return f"A case that has ended carries a value in '{params.column}'{values}."
    return f"Every '{params.activity}' carries a value in '{params.column}'{values}."


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(f"'{text}'" for text in texts)
