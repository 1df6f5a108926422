"""Which events does a rule speak of, and which answer belongs to which of them?

A condition on an attribute (`rules.where`) narrows the events of an activity.

`Match` correlates an answer (or a predecessor, `or_else` included) with the event that asks for it:
both have the same actor, team or attribute, or different ones. Texts of attributes are compared
trimmed and without case. Where the value is missing on either side the two match *possibly*, else
*surely* or not at all. Every such comparison is unknown on its own: what one missing value would
mean for two comparisons at once is not thought through, so UNKNOWN is said rather too often.

Masks have one entry an event of the log, what is found of asking events one for each of them;
positions are those of `columnar.segments`. Cost:
O(n log n) in the events for equal values, O(n) else, in whole columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.columnar.segments import Marked
from rules.texts import text_codes
from rules.where import Asking, Where

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Codes, Ints
    from rules.templates import Desk

    Mask = npt.NDArray[np.bool_]

Form = Literal["any", "alternate", "chain"]


def asking(desk: Desk, activity: str, where: Where | None) -> Asking:
    """Return the steps of an activity that a rule speaks of."""
    happens = desk.mask(activity)
    if where is None:
        return Asking(sure=happens, unsure=np.zeros_like(happens))
    return where.among(desk, happens)


class Match(BaseModel):
    """A condition on two events: the same, or another, actor, team or event attribute."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"examples": [{"field": "actor", "relation": "other"}]},
    )

    field: str = Field(
        pattern=r"^(actor|team|attr\..+)$", description="what is compared: actor, team or attr.NAME"
    )
    relation: Literal["same", "other"] = Field(description="equal in both events, or different")

    @property
    def cause(self) -> str:
        """Why it may be unknown whether two events match."""
        return f"an event names no {self.noun}"

    @property
    def noun(self) -> str:
        """What is compared, as a reader calls it."""
        return self.field.removeprefix(s.ATTRIBUTE_PREFIX)

    def words(self) -> str:
        """Say the condition, to follow an answer's name in a sentence."""
        return f" of {'the same' if self.relation == 'same' else 'another'} {self.noun}"

    def not_read(self) -> frozenset[str]:
        """Return those of the facts `actor` and `team` that are not compared."""
        return frozenset({s.ACTOR, s.TEAM} - {self.field})

    def codes(self, desk: Desk) -> Codes | Ints:
        """Return what is compared, one code an event, below 0 where it is missing."""
        if self.field == s.ACTOR:
            return desk.log.arrays.actor
        if self.field == s.TEAM:
            return desk.log.arrays.team
        return text_codes(desk.log.events, self.field)[0]


@dataclass(frozen=True, eq=False)
class Nearest:
    """Per asking event: where the nearest one is that surely, and that possibly, matches it."""

    sure: Ints
    possible: Ints


def nearest_after(desk: Desk, asks: Marked, candidates: Mask, match: Match | None) -> Nearest:
    """Per asking event: the nearest later candidate of its case that matches it.

    The possible one never comes after the sure one. Without `match` every candidate matches.
    """
    arrays = desk.log.arrays
    following = asks.next_among(Marked.of(arrays, candidates))
    if match is None:
        return Nearest(following, following)
    codes = match.codes(desk)
    kernel = segments.next_equal if match.relation == "same" else segments.next_different
    sure = kernel(arrays, candidates, codes, of=asks.mask)[asks.place]
    open_ones = asks.next_among(Marked.of(arrays, candidates & (codes < 0)))
    known = np.where(comes_first(open_ones, sure), open_ones, sure)
    return Nearest(sure, np.where(codes[asks.place] < 0, following, known))


def nearest_before(desk: Desk, asks: Marked, candidates: Mask, match: Match | None) -> Nearest:
    """Per asking event: the nearest earlier candidate of its case that matches it.

    The possible one never comes before the sure one; else as `nearest_after`.
    """
    arrays = desk.log.arrays
    before = asks.previous_among(Marked.of(arrays, candidates))
    if match is None:
        return Nearest(before, before)
    codes = match.codes(desk)
    kernel = segments.previous_equal if match.relation == "same" else segments.previous_different
    sure = kernel(arrays, candidates, codes, of=asks.mask)[asks.place]
    open_ones = asks.previous_among(Marked.of(arrays, candidates & (codes < 0)))
    known = np.maximum(open_ones, sure)
    return Nearest(sure, np.where(codes[asks.place] < 0, before, known))


def pairs(desk: Desk, asks: Marked, others: Ints, match: Match | None) -> tuple[Mask, Mask]:
    """Per asking event: whether it surely, and possibly, matches the event at its `others`.

    False both times where that is NONE.
    """
    there = others != segments.NONE
    if match is None:
        return there, there
    codes = match.codes(desk)
    mine, theirs = codes[asks.place], segments.take(codes, others, fill=-1)
    known = (mine >= 0) & (theirs >= 0)
    alike = (mine == theirs) if match.relation == "same" else (mine != theirs)
    return there & known & alike, there & (~known | alike)


def all_to_come(desk: Desk, candidates: Mask, match: Match | None) -> Ints:
    """Per case: above 0 where any event that may still come finds a candidate that matches it.

    Where another value is asked for that is so once the candidates say two of them: whatever comes
    differs from one. Not thought through: that a `where` on the attribute that is compared leaves
    few values to come; then an open case is pending longer than it need be.
    """
    arrays = desk.log.arrays
    if match is None:
        return segments.count(arrays, candidates)
    if match.relation == "same":
        return np.zeros(arrays.n_cases, dtype=np.int64)
    return segments.count(arrays, segments.changes(arrays, match.codes(desk), among=candidates))


def comes_first(one: Ints, other: Ints) -> Mask:
    """Tell where `one` is a position and `other` none, or a later one."""
    return np.asarray((one != segments.NONE) & ((other == segments.NONE) | (one < other)))


def marked(mask: Mask, positions: Ints) -> Mask:
    """Tell for each position whether the mask marks it; false where it is NONE."""
    return segments.take(mask.astype(np.int64), positions, fill=0) > 0


def mask_of(desk: Desk, *activities: str | None) -> Mask:
    """Tell for each event whether it is a step of one of the activities; None is none."""
    mask = np.zeros(desk.log.n_events, dtype=bool)
    for activity in activities:
        if activity is not None:
            mask |= desk.mask(activity)
    return mask


def causes(*parts: Where | Match | None) -> str:
    """Join the reasons why a verdict can be unknown."""
    return "; ".join(part.cause for part in parts if part is not None)
