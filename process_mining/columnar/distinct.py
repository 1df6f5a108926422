"""Which cases took the same steps? One representative stands for all of them.

A trace is the sequence of a case's activity codes, updates (code -1) left out. Cases are grouped by
(trace, `besides`), where `besides` is any code of the case, such as whether it has ended. What
depends on these alone is worked out once a group and read off for its cases; `expand` turns a
position in the representatives' events into the position of the same step in each case.

The grouping is exact, without hashes: prefixes are numbered, one step of all cases at a time, by
(number of the prefix before, code). O(events) where the numbers are dense, else a sort a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from process_mining.eventlog import EventArrays, Ints

_NONE: Final = -1
_DENSE: Final = 8  # up to so many possible codes a value, a look-up array beats sorting


@dataclass(frozen=True, eq=False)
class DistinctTraces:
    """Groups of cases, numbered by their first case.

    `representative`: the first case of each group, ascending. `group_of_case`: one entry a case.
    `steps`: positions of all steps in the log's events; case c owns steps[offsets[c]:offsets[c+1]].
    """

    representative: Ints
    group_of_case: Ints
    steps: Ints
    offsets: Ints

    @property
    def rows(self) -> Ints:
        """The positions of the representatives' steps, case by case."""
        starts = self.offsets[self.representative]
        lengths = self.offsets[self.representative + 1] - starts
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.asarray(self.steps[np.repeat(starts, lengths) + within])

    def expand(self, positions: Ints, cases: Ints | None = None) -> Ints:
        """Turn a position among `rows` a group (-1: none) into one of the log's events a case.

        Of all cases, or of those that are given.
        """
        if cases is None:
            cases = np.arange(len(self.group_of_case))
        lengths = np.diff(self.offsets)[self.representative]
        place = positions - (np.cumsum(lengths) - lengths)
        group = self.group_of_case[cases]
        found = positions[group] != _NONE
        expanded = np.full(len(cases), _NONE, dtype=np.int64)
        expanded[found] = self.steps[place[group[found]] + self.offsets[cases[found]]]
        return expanded


def distinct_traces(arrays: EventArrays, besides: Ints) -> DistinctTraces:
    """Group the cases of a log; `besides` has one code from 0 on a case."""
    steps = np.flatnonzero(arrays.activity >= 0)
    offsets = np.searchsorted(steps, arrays.offsets).astype(np.int64)
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    state, n_states = compact(besides[order], int(besides.max(initial=0)) + 1)
    codes, base = arrays.activity[steps], len(arrays.activities)
    for place, n_longer in enumerate(_longer(lengths)):
        longer = order[:n_longer]
        keys = state[:n_longer] * base + codes[offsets[longer] + place]
        state[:n_longer], n_new = compact(keys, n_states * base)
        n_states = max(n_states, n_new)
    groups = np.empty(len(lengths), dtype=np.int64)
    groups[order] = lengths[order] * n_states + state
    return _numbered(groups, int(lengths.max(initial=0) + 1) * n_states, steps, offsets)


def _longer(lengths: Ints) -> list[int]:
    """Return for each place from 0 on how many cases have a step there."""
    counts = np.bincount(lengths)
    longer: list[int] = (len(lengths) - np.cumsum(counts))[: len(counts) - 1].tolist()
    return longer


def _numbered(groups: Ints, n_codes: int, steps: Ints, offsets: Ints) -> DistinctTraces:
    """Number groups by their first case."""
    codes, n_groups = compact(groups, n_codes)
    first = first_of(codes, n_groups)
    rank = np.empty(n_groups, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(n_groups)
    return DistinctTraces(np.sort(first), rank[codes], steps, offsets)


def first_of(codes: Ints, n_codes: int) -> Ints:
    """Return the first place of each code from 0 to n_codes - 1; each occurs."""
    first = np.empty(n_codes, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def compact(codes: Ints, n_codes: int) -> tuple[Ints, int]:
    """Renumber codes below n_codes from 0 on without gaps, in their order; return how many."""
    if n_codes > _DENSE * len(codes):
        found, index = np.unique(codes, return_inverse=True)
        return index.astype(np.int64), len(found)
    seen = np.zeros(n_codes, dtype=bool)
    seen[codes] = True
    return (np.cumsum(seen) - 1)[codes], int(seen.sum())
