"""Where in its case does an event stand, relative to the events that a mask marks?

Segments are cases: case i owns the events offsets[i]:offsets[i + 1] of `EventArrays`, in log order.
A *position* is an index into the log's event columns; NONE (-1) says that there is no such event.
Masks hold one bool an event. Per-event results have one entry an event, per-case results one entry
a case; a case without events counts 0 and has no position.

Every kernel takes O(events + cases) time and memory, in whole columns: a running count or a
running extreme over the entire log, then corrected by the value at the case's border (a segmented
scan; Blelloch 1990, "Prefix sums and their applications"). `argmax` adds one unordered scatter;
`next_equal` and `previous_equal` sort the events that they read by (case, code).
The kernels know no activities and no times; they do not check that offsets fit the events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Codes, EventArrays, Ints

    Mask = npt.NDArray[np.bool_]

NONE: Final = -1


def count(arrays: EventArrays, mask: Mask) -> Ints:
    """Per case: how many of its events the mask marks."""
    running = _running(mask)
    return running[arrays.offsets[1:]] - running[arrays.offsets[:-1]]


def count_before(arrays: EventArrays, mask: Mask) -> Ints:
    """Per event: how many events of its case before it the mask marks (itself not counted)."""
    running = _running(mask)
    return running[:-1] - running[arrays.offsets[:-1]][arrays.case_of]


def next_position(arrays: EventArrays, mask: Mask) -> Ints:
    """Per event: the position of the first marked event after it in its case."""
    size = len(mask)
    here = np.where(mask, np.arange(size), size)
    nearest = np.minimum.accumulate(here[::-1])[::-1]
    after = np.append(nearest[1:], size) if size else nearest
    return np.where(after < arrays.offsets[1:][arrays.case_of], after, NONE)


def previous_position(arrays: EventArrays, mask: Mask) -> Ints:
    """Per event: the position of the last marked event before it in its case."""
    here = np.where(mask, np.arange(len(mask)), NONE)
    before = np.concatenate([[NONE], np.maximum.accumulate(here)[:-1]]) if len(mask) else here
    return np.where(before >= arrays.offsets[:-1][arrays.case_of], before, NONE)


def first(arrays: EventArrays, mask: Mask) -> Ints:
    """Per case: the position of its first marked event."""
    size = len(mask)
    here = np.where(mask, np.arange(size), size)
    nearest = np.append(np.minimum.accumulate(here[::-1])[::-1], size)[arrays.offsets[:-1]]
    return np.where(nearest < arrays.offsets[1:], nearest, NONE)


def last(arrays: EventArrays, mask: Mask) -> Ints:
    """Per case: the position of its last marked event."""
    here = np.where(mask, np.arange(len(mask)), NONE)
    nearest = np.concatenate([[NONE], np.maximum.accumulate(here)])[arrays.offsets[1:]]
    return np.where(nearest >= arrays.offsets[:-1], nearest, NONE)


def nth(arrays: EventArrays, mask: Mask, n: int) -> Ints:
    """Per case: the position of its n-th marked event, counted from 1."""
    return first(arrays, mask & (count_before(arrays, mask) == n - 1))


def last_event(arrays: EventArrays) -> Ints:
    """Per case: the position of its last event."""
    ends = arrays.offsets[1:]
    return np.where(ends > arrays.offsets[:-1], ends - 1, NONE)


def changes(arrays: EventArrays, codes: Codes | Ints, *, among: Mask | None = None) -> Mask:
    """Per event: whether its known code differs from the last known code before it in its case.

    A code below 0 is unknown: it neither changes nor forgets the value before it. `among` leaves
    the other events out, as if they were not there.
    """
    known = codes >= 0 if among is None else (codes >= 0) & among
    before = previous_position(arrays, known)
    return np.asarray(known & (before != NONE) & (codes != take(codes, before, fill=-1)))


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
    greatest = np.full(arrays.n_cases, np.iinfo(np.int64).min)
    np.maximum.at(greatest, arrays.case_of[mask], values[mask])
    return first(arrays, mask & (values == greatest[arrays.case_of]))


def take(values: Ints | Codes, positions: Ints, *, fill: int) -> Ints:
    """Return the value at each position, `fill` where there is none."""
    if not len(values):
        return np.full(len(positions), fill, dtype=np.int64)
    return np.where(positions == NONE, fill, values[positions]).astype(np.int64, copy=False)


def _running(mask: Mask) -> Ints:
    """How many marked events stand before each place of the whole log, its end included."""
    return np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
