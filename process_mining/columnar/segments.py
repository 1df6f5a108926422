"""Where in its case does an event stand, relative to the events that a mask marks?

Segments are cases: case i owns the events offsets[i]:offsets[i + 1] of `EventArrays`, in log order.
A *position* is an index into the log's event columns; NONE (-1) says that there is no such event.
Masks hold one bool an event. Per-event results have one entry an event, per-case results one entry
a case; a case without events counts 0 and has no position.

`Marked` holds the positions of some events: what is asked of them alone, in columns of one entry a
marked event, costs little where they are few. The other kernels say something of every event or
every case of the log. All take O(events + cases) time and memory, in whole columns: the marked
events are looked for once, and what holds between two of them is said run by run (`_spread`).
`Marked.next_among` and the like search, O(log n) a marked event; `next_equal` and `previous_equal`
sort the events that they read by (case, code).
The kernels know no activities and no times; they do not check that offsets fit the events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Codes, EventArrays, Ints

    Mask = npt.NDArray[np.bool_]

NONE: Final = -1
Value = TypeVar("Value", np.int64, np.bool_)


@dataclass(frozen=True, eq=False)
class Marked:
    """Some events of a log: their positions, ascending."""

    arrays: EventArrays
    place: Ints

    @classmethod
    def of(cls, arrays: EventArrays, mask: Mask) -> Marked:
        """Return the events that a mask marks."""
        return cls(arrays, np.flatnonzero(mask))

    def __len__(self) -> int:
        """Number of marked events."""
        return len(self.place)

    @cached_property
    def case(self) -> Ints:
        """The case of each."""
        return self.arrays.case_of[self.place]

    def only(self, keep: Mask) -> Marked:
        """Return those for which `keep`, one bool a marked event, holds."""
        return Marked(self.arrays, self.place[keep])

    @property
    def mask(self) -> Mask:
        """Tell for each event of the log whether it is marked."""
        mask = np.zeros(len(self.arrays.at), dtype=bool)
        mask[self.place] = True
        return mask

    def count(self) -> Ints:
        """Per case: how many are marked."""
        return np.bincount(self.case, minlength=self.arrays.n_cases)

    def first(self) -> Ints:
        """Per case: the first position."""
        found = np.full(self.arrays.n_cases, NONE, dtype=np.int64)
        found[self.case[::-1]] = self.place[::-1]  # of several the one written last stays
        return found

    def last(self) -> Ints:
        """Per case: the last position."""
        found = np.full(self.arrays.n_cases, NONE, dtype=np.int64)
        found[self.case] = self.place
        return found

    def rank(self) -> Ints:
        """Per marked event: how many are marked before it in its case."""
        return np.arange(len(self)) - (np.cumsum(count := self.count()) - count)[self.case]

    def greatest(self, values: Ints, *, fill: int) -> Ints:
        """Per case: the greatest of the values, one a marked event; `fill` where none is marked."""
        found = np.full(self.arrays.n_cases, fill, dtype=np.int64)
        if len(self):
            starts = np.flatnonzero(np.append(True, self.case[1:] != self.case[:-1]))
            found[self.case[starts]] = np.maximum.reduceat(values, starts)
        return found

    def most(self, values: Ints) -> Ints:
        """Per case: the first position with the greatest of the values, one a marked event."""
        return self.only(values == self.greatest(values, fill=0)[self.case]).first()

    def at(self, values: Ints, positions: Ints, *, fill: int) -> Ints:
        """Return the value, of one a marked event, at each position; `fill` where that is NONE."""
        there = positions != NONE
        found = np.full(len(positions), fill, dtype=np.int64)
        found[there] = values[np.searchsorted(self.place, positions[there])]
        return found

    def next_among(self, others: Marked) -> Ints:
        """Per marked event: the position of the first of the others after it in its case."""
        index = np.searchsorted(others.place, self.place, side="right")
        after = np.append(others.place, self.arrays.offsets[-1])[index]
        return np.where(after < self.arrays.offsets[self.case + 1], after, NONE)

    def previous_among(self, others: Marked) -> Ints:
        """Per marked event: the position of the last of the others before it in its case."""
        before = np.append(NONE, others.place)[np.searchsorted(others.place, self.place)]
        return np.where(before >= self.arrays.offsets[self.case], before, NONE)


def count(arrays: EventArrays, mask: Mask) -> Ints:
    """Per case: how many of its events the mask marks."""
    return Marked.of(arrays, mask).count()


def count_before(arrays: EventArrays, mask: Mask) -> Ints:
    """Per event: how many events of its case before it the mask marks (itself not counted)."""
    marked = Marked.of(arrays, mask)
    return _spread(len(mask), *_after(marked), marked.rank() + 1, fill=0)


def next_position(arrays: EventArrays, mask: Mask) -> Ints:
    """Per event: the position of the first marked event after it in its case."""
    marked = Marked.of(arrays, mask)
    before = np.append(0, marked.place)[: len(marked)]
    begin = np.maximum(arrays.offsets[marked.case], before)
    return _spread(len(mask), begin, marked.place, marked.place, fill=NONE)


def previous_position(arrays: EventArrays, mask: Mask) -> Ints:
    """Per event: the position of the last marked event before it in its case."""
    marked = Marked.of(arrays, mask)
    return _spread(len(mask), *_after(marked), marked.place, fill=NONE)


def first(arrays: EventArrays, mask: Mask) -> Ints:
    """Per case: the position of its first marked event."""
    return Marked.of(arrays, mask).first()


def last(arrays: EventArrays, mask: Mask) -> Ints:
    """Per case: the position of its last marked event."""
    return Marked.of(arrays, mask).last()


def nth(arrays: EventArrays, mask: Mask, n: int) -> Ints:
    """Per case: the position of its n-th marked event, counted from 1."""
    return first(arrays, mask & (count_before(arrays, mask) == n - 1))


def last_event(arrays: EventArrays) -> Ints:
    """Per case: the position of its last event."""
    ends = arrays.offsets[1:]
    return np.where(ends > arrays.offsets[:-1], ends - 1, NONE)


def between(arrays: EventArrays, begin: Ints, end: Ints) -> Mask:
    """Per event: whether it stands at `begin`, a position a case, or after it and before `end`.

    Positions outside the case are its borders; none stands between where `end` is not after.
    """
    begin = np.clip(begin, arrays.offsets[:-1], arrays.offsets[1:])
    end = np.clip(end, begin, arrays.offsets[1:])
    return _spread(len(arrays.at), begin, end, np.ones(arrays.n_cases, dtype=bool), fill=False)


def changes(arrays: EventArrays, codes: Codes | Ints, *, among: Mask | None = None) -> Mask:
    """Per event: whether its known code differs from the last known code before it in its case.

    A code below 0 is unknown: it neither changes nor forgets the value before it. `among` leaves
    the other events out, as if they were not there.
    """
    known = Marked.of(arrays, codes >= 0 if among is None else (codes >= 0) & among)
    case, code = known.case, codes[known.place]
    changed = np.zeros(len(known), dtype=bool)
    changed[1:] = (case[1:] == case[:-1]) & (code[1:] != code[:-1])
    return known.only(changed).mask


def next_equal(arrays: EventArrays, mask: Mask, codes: Codes | Ints, *, of: Mask) -> Ints:
    """Per event of `of`: the position of the first marked event after it with its known code.

    NONE for all other events, and where the code is below 0 (unknown). O(n log n).
    """
    place = np.flatnonzero((mask | of) & (codes >= 0))
    found = np.full(len(mask), NONE, dtype=np.int64)
    if not len(place):
        return found
    known = codes[place].astype(np.int64)
    group = arrays.case_of[place] * (int(known.max()) + 1) + known
    order = np.argsort(group, kind="stable")
    place, group = place[order], group[order]
    here = np.where(mask[place], np.arange(len(place)), len(place))
    after = np.append(np.minimum.accumulate(here[::-1])[::-1][1:], len(place))
    slot = np.minimum(after, len(place) - 1)
    equal = (after < len(place)) & (group[slot] == group) & of[place]
    found[place[equal]] = place[slot[equal]]
    return found


def next_different(arrays: EventArrays, mask: Mask, codes: Codes | Ints, *, of: Mask) -> Ints:
    """Per event of `of`: the position of the first marked event after it with another known code.

    NONE for all other events, and where its own code is unknown.
    """
    known = mask & (codes >= 0)
    nearest = next_position(arrays, known)
    before = take(codes, previous_position(arrays, known), fill=-1)
    changed = next_position(arrays, known & (before >= 0) & (codes != before))
    # The nearest has another code, or the first one after it that changes does.
    later = take(changed, nearest, fill=NONE)
    same = take(codes, nearest, fill=-1) == codes
    return np.where(of & (codes >= 0), np.where(same, later, nearest), NONE)


def previous_equal(arrays: EventArrays, mask: Mask, codes: Codes | Ints, *, of: Mask) -> Ints:
    """Per event of `of`: the position of the last marked event before it with its known code."""
    turned = _turned(arrays)
    return _turned_back(next_equal(turned, mask[::-1], codes[::-1], of=of[::-1]))


def previous_different(arrays: EventArrays, mask: Mask, codes: Codes | Ints, *, of: Mask) -> Ints:
    """Per event of `of`: the position of the last marked event before it with another code."""
    turned = _turned(arrays)
    return _turned_back(next_different(turned, mask[::-1], codes[::-1], of=of[::-1]))


def _turned(arrays: EventArrays) -> EventArrays:
    """Return the borders of the same cases, read from the log's last event to its first."""
    return replace(arrays, offsets=arrays.offsets[-1] - arrays.offsets[::-1])


def _turned_back(positions: Ints) -> Ints:
    """Say positions in a log that was turned as positions in the log itself."""
    found = positions[::-1]
    return np.where(found == NONE, NONE, len(found) - 1 - found)


def argmax(arrays: EventArrays, mask: Mask, values: Ints) -> Ints:
    """Per case: the position of the first marked event with the greatest value among the marked."""
    marked = Marked.of(arrays, mask)
    return marked.most(values[marked.place])


def take(values: Ints | Codes, positions: Ints, *, fill: int) -> Ints:
    """Return the value at each position, `fill` where there is none."""
    if not len(values):
        return np.full(len(positions), fill, dtype=np.int64)
    return np.where(positions == NONE, fill, values[positions]).astype(np.int64, copy=False)


def _after(marked: Marked) -> tuple[Ints, Ints]:
    """Return from where to where each marked event is the last marked one before."""
    following = np.append(marked.place[1:] + 1, marked.arrays.offsets[-1])[: len(marked)]
    return marked.place + 1, np.minimum(following, marked.arrays.offsets[marked.case + 1])


def _spread(
    size: int, begin: Ints, end: Ints, values: npt.NDArray[Value], *, fill: int
) -> npt.NDArray[Value]:
    """Say values[i] of the events begin[i]:end[i], which ascend, and `fill` of all others."""
    edges = np.zeros(2 * len(values) + 2, dtype=np.int64)
    edges[1:-1:2], edges[2:-1:2], edges[-1] = begin, end, size
    said = np.full(2 * len(values) + 1, fill, dtype=values.dtype)
    said[1::2] = values
    return np.repeat(said, np.diff(edges))
