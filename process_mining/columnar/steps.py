"""Which events of a log are steps, and what follows each?

A step is an event with an activity that is not left out. `Steps` holds the steps alone, in log
order (by case, then in the order of the case), as integer columns: one entry a step. O(events).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from process_mining.eventlog import Codes, EventLog, Ints

    Bools = npt.NDArray[np.bool_]

NONE: Final = -1


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of a log: `position` among its events, `case`, `code` (into `names`), `time`."""

    names: tuple[str, ...]
    position: Ints
    case: Ints
    code: Ints
    time: Ints

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.code)

    @cached_property
    def last(self) -> Bools:
        """Whether a step is the last of its case."""
        following = np.append(self.case[1:], NONE)
        return np.asarray(self.case != following)

    @cached_property
    def first(self) -> Bools:
        """Whether a step is the first of its case."""
        before = np.append(NONE, self.case)[: len(self.case)]
        return np.asarray(self.case != before)

    def among(self, words: Collection[str]) -> Bools:
        """Whether a step is one of these activities."""
        wanted = frozenset(words)
        table = np.array([name in wanted for name in self.names], dtype=bool)
        return np.asarray(table[self.code]) if len(table) else np.zeros(len(self), dtype=bool)


def steps_of(log: EventLog, *, leave_out: Collection[str] = ()) -> Steps:
    """Return the steps of a log."""
    codes, names = step_codes(log, leave_out)
    position = np.flatnonzero(codes >= 0)
    arrays = log.arrays
    return Steps(
        names=names,
        position=position,
        case=arrays.case_of[position],
        code=codes[position].astype(np.int64),
        time=arrays.at[position],
    )


def step_codes(log: EventLog, leave_out: Collection[str]) -> tuple[Codes, tuple[str, ...]]:
    """Return the code of every event's step (-1 for none) and the names that codes stand for."""
    names, hidden = log.arrays.activities, frozenset(leave_out)
    kept: Bools = np.array([name not in hidden for name in names], dtype=bool)
    code = np.where(kept, np.cumsum(kept) - 1, NONE)
    table = np.append(code, NONE).astype(np.int32)  # the last entry answers for -1
    return table[log.arrays.activity], tuple(name for name in names if name not in hidden)
