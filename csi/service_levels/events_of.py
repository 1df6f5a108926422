"""Which step of a case lies at a time, after another, or before a Reopen?

The tool gives times without saying what happened at them. Steps are events that have an activity;
updates have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rules.service_level import REOPEN

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints


@dataclass(frozen=True, eq=False)
class EventsOf:
    """Looks up steps of the cases that pairs are about; `case` is each pair's place in the log."""

    log: EventLog
    case: Ints

    def word(self, row: int, at: int, grain: int) -> str:
        """Name the step of a pair's case at a time, up to the resolution."""
        arrays = self.log.arrays
        case = int(self.case[row])
        span = slice(*arrays.offsets[case : case + 2])
        near = (np.abs(arrays.at[span] - at) < grain) & (arrays.activity[span] >= 0)
        codes = arrays.activity[span][near]
        return f"at {arrays.activities[codes[0]]}" if len(codes) else "at no step of the log"

    def before_reopen(self, case: int) -> int:
        """Return when the step before the first Reopen of a case happened, -1 if there is none."""
        at, codes = self._steps(case)
        arrays = self.log.arrays
        reopened = np.flatnonzero(codes == arrays.code_of(REOPEN))
        return int(at[reopened[0] - 1]) if len(reopened) and reopened[0] else -1

    def reopened_within(self, case: int, low: int, high: int) -> bool:
        """Tell whether a case was reopened after one time and not after another."""
        at, codes = self._steps(case)
        mine = at[codes == self.log.arrays.code_of(REOPEN)]
        return low >= 0 and bool(((mine >= low) & (mine <= high)).any())

    def stops(self, rows: Ints) -> dict[str, tuple[Ints, Ints]]:
        """Return the pairs that have the first and the last of each activity, and when that was."""
        found: dict[str, list[tuple[int, int]]] = {}
        words = self.log.arrays.activities
        for row in rows:
            at, codes = self._steps(int(self.case[row]))
            for place in (1, -1):
                order = range(len(codes))[::-place]
                last = {int(codes[i]): int(at[i]) for i in order}
                name = "first" if place == 1 else "last"
                for code, moment in last.items():
                    found.setdefault(f"at the {name} {words[code]}", []).append((int(row), moment))
        return {
            name: (np.array([r for r, _ in some]), np.array([t for _, t in some]))
            for name, some in found.items()
        }

    def second(self, cases: Ints, start: Ints) -> Ints:
        """Return when the first step after the start of each case happened; the start if none."""
        found = []
        for case, begin in zip(cases, start, strict=True):
            at, _ = self._steps(int(case))
            later = at[at > begin]
            found.append(int(later[0]) if len(later) else int(begin))
        return np.array(found, np.int64)

    def _steps(self, case: int) -> tuple[Ints, npt.NDArray[np.int32]]:
        arrays = self.log.arrays
        span = slice(*arrays.offsets[case : case + 2])
        steps = arrays.activity[span] >= 0
        return arrays.at[span][steps], arrays.activity[span][steps]
