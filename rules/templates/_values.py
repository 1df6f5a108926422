"""What may be called a column of cases or events, and is what it says one of some texts?

Values are texts, compared trimmed and without case; one that is empty then is missing
(`rules.texts`).

Not checked: whether two different texts mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from process_mining.columnar import segments
from rules.texts import plain, text_codes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pyarrow as pa

    from process_mining.eventlog import Ints
    from rules.templates import Desk

    Mask = npt.NDArray[np.bool_]

CASE_COLUMN = r"^(priority|category|service|attr\..+)$"
EVENT_COLUMN = r"^attr\..+$"
Texts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)
]


@dataclass(frozen=True, eq=False)
class Values:
    """What each case (or event) says in a column: a code of `texts`, below 0 where nothing."""

    codes: Ints
    texts: tuple[str, ...]

    @classmethod
    def of(cls, table: pa.Table, column: str) -> Values:
        """Read a column of the log's cases or events."""
        return cls(*text_codes(table, column))

    @property
    def missing(self) -> Mask:
        """Tell where there is no value."""
        return self.codes < 0

    @property
    def kept(self) -> bool:
        """Whether there is any value: else the source does not keep the column."""
        return len(self.texts) > 0

    def among(self, texts: Iterable[str]) -> Mask:
        """Tell where the value is one of some texts; a missing one is not."""
        wanted = {plain(text) for text in texts}
        codes = [code for code, text in enumerate(self.texts) if text in wanted]
        return np.isin(self.codes, codes)


def end_of_case(desk: Desk) -> Ints:
    """Return where each case ends: its last step, those outside the model left out, if it has one.

    That is the event which shows what a case says of itself.
    """
    last = desk.last_step
    return np.where(last == segments.NONE, segments.last_event(desk.log.arrays), last)
