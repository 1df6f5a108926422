"""Of which events does a condition on an attribute speak?

`Where` narrows events by an event attribute: whole numbers within bounds, or texts (compared
trimmed and without case) that are among some or among none. An event whose attribute is missing,
or no whole number where bounds ask for one, may or may not be meant: it is *unsure*, all others
are *sure*. Rules and service-level targets ask with it; masks have one entry an event of the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from process_mining import schema as s
from rules.spec import Interval
from rules.texts import plain, text_codes

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.templates import Desk

    Mask = npt.NDArray[np.bool_]

WHOLE_NUMBER = r"^-?[0-9]{1,18}$"
# Strict models take no list for a tuple; TOML has lists only.
Texts = Annotated[tuple[str, ...] | None, Field(strict=False, min_length=1)]


class Where(BaseModel):
    """A condition on an event attribute: a whole number within bounds, or one of some texts."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"examples": [{"attribute": "score", "at_most": 2}]},
    )

    attribute: str = Field(min_length=1, description="event attribute, without 'attr.'")
    at_least: int | None = Field(default=None, description="smallest whole number that is meant")
    at_most: int | None = Field(default=None, description="greatest whole number that is meant")
    one_of: Texts = Field(default=None, description="texts that are meant")
    none_of: Texts = Field(default=None, description="texts that are not meant; all others are")

    @model_validator(mode="after")
    def _says_something(self) -> Where:
        if not self.bounded and self.one_of is None and self.none_of is None:
            msg = "where bounds nothing: give at_least, at_most or both, or one_of, or none_of"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Where:
        if self.bounded + (self.one_of is not None) + (self.none_of is not None) > 1:
            msg = "where takes bounds, or one_of, or none_of: one of the three"
            raise ValueError(msg)
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            msg = f"no number is at least {self.at_least} and at most {self.at_most}"
            raise ValueError(msg)
        return self

    @property
    def bounded(self) -> bool:
        """Whether the attribute has to be a whole number."""
        return self.at_least is not None or self.at_most is not None

    @property
    def interval(self) -> Interval:
        """The numbers for which the condition holds."""
        return Interval(self.at_least, self.at_most)

    @property
    def cause(self) -> str:
        """Why it may be unknown whether an event is meant."""
        what = "is no whole number" if self.bounded else "is missing"
        return f"the attribute '{self.attribute}' {what}"

    def among(self, desk: Desk, events: Mask) -> Asking:
        """Tell which of the marked events are surely meant, and of which it cannot be told."""
        name, place = s.ATTRIBUTE_PREFIX + self.attribute, np.flatnonzero(events)
        there = name in desk.log.events.column_names
        column = desk.log.events[name].take(pa.array(place)) if there else pa.nulls(len(place))
        said = pa.table({name: column})
        if self.bounded:
            values, known = _whole_numbers(said, name)
            meant = self.interval.holds(values)
        else:
            codes, texts = text_codes(said, name)
            known = codes >= 0
            named = {plain(text) for text in self.one_of or self.none_of or ()}
            listed = np.isin(codes, [i for i, text in enumerate(texts) if text in named])
            meant = listed if self.one_of is not None else ~listed
        sure, unsure = np.zeros_like(events), np.zeros_like(events)
        sure[place], unsure[place] = known & meant, ~known
        return Asking(sure=sure, unsure=unsure)

    def words(self) -> str:
        """Say the condition, to follow the activity's name in a sentence."""
        if self.bounded:
            low = "" if self.at_least is None else f"{self.at_least} <= "
            high = "" if self.at_most is None else f" <= {self.at_most}"
            return f" with {low}{self.attribute}{high}"
        among = ", ".join(f"'{text}'" for text in self.one_of or self.none_of or ())
        return f" with {self.attribute} {'in' if self.one_of is not None else 'not in'} {among}"


@dataclass(frozen=True, eq=False)
class Asking:
    """The events that a rule speaks of, and those of which it cannot be told (one bool each)."""

    sure: Mask
    unsure: Mask

    @property
    def possible(self) -> Mask:
        """All events that the rule may speak of."""
        return self.sure | self.unsure

    def judged(self, desk: Desk) -> Asking:
        """Return those at which the rule is in force."""
        return Asking(sure=desk.judged(self.sure), unsure=desk.judged(self.unsure))


def _whole_numbers(events: pa.Table, column: str) -> tuple[Ints, Mask]:
    """Read an attribute as int64; false where it is missing or anything but a whole number."""
    if column not in events.column_names:
        return np.zeros(events.num_rows, dtype=np.int64), np.zeros(events.num_rows, dtype=bool)
    text = events[column].cast(pa.string()).combine_chunks()
    known = pc.fill_null(pc.match_substring_regex(text, WHOLE_NUMBER), fill_value=False)
    digits = pc.if_else(known, text, "0")
    values: Ints = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values, known.to_numpy(zero_copy_only=False)
