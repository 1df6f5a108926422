"""Which distinct ways did cases take?

A variant is the sequence of activities of a case, in log order, updates left out. Variants are
stored as integers: variant v is codes[offsets[v]:offsets[v + 1]], and code c stands for
activities[c]. Variants are in total order: the most frequent first, equal ones by their codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from process_mining.eventlog import Codes, Ints


@dataclass(frozen=True, eq=False)
class Variants:
    """The distinct traces of a log: arrays of int64, `codes` int32."""

    activities: tuple[str, ...]
    offsets: Ints
    codes: Codes
    counts: Ints
    variant_of_case: Ints

    def __len__(self) -> int:
        """Number of distinct variants."""
        return len(self.counts)

    def trace(self, index: int) -> tuple[str, ...]:
        """Return the activity names of one variant."""
        span = self.codes[self.offsets[index] : self.offsets[index + 1]]
        return tuple(self.activities[code] for code in span)

    def to_pandas(self) -> pd.DataFrame:
        """One row a variant: trace (tuple of names), n (cases), events (length)."""
        traces = [self.trace(i) for i in range(len(self))]
        return pd.DataFrame({"trace": traces, "n": self.counts, "events": list(map(len, traces))})
