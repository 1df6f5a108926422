"""In which order did the events of a log happen?

By case, time, position, declared order of activities, then by every other column by name: strings
by code point with null first, numbers with null last. The result is total: events that tie are
equal in every column.

Method: case, time, position and declared order are packed into one int64 a row (a key whose span
is too wide is replaced by its dense rank, so that two keys always fit) and sorted once. Only rows
that tie are looked at column by column, until none ties. Complexity: O(n log n) on integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining._coded import Coded, is_text, ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining._coded import Ints

    Bools = npt.NDArray[np.bool_]

_UNITS: Final = (s.US_PER_DAY, s.US_PER_MINUTE, s.US_PER_SECOND, 1_000)
_ROOM: Final = 1 << 63


@dataclass(frozen=True, eq=False)
class Order:
    """The rows in order, the case of each, and where each case starts (and the end).

    `unordered` are the numbers of the cases whose order nothing but the events' content tells:
    where two events in a row share a time (or have none), the source gives them no different
    positions, they are different activities, and no order of these two is declared.
    """

    rows: Ints
    case: Coded
    offsets: Ints
    unordered: Ints


def order_of(events: pa.Table, *, position: str, activity_order: Sequence[str]) -> Order:
    """Return the total order of events that have the canonical columns, and perhaps a position."""
    case, at = ranked(events[s.CASE_ID]), _times(events[s.AT])
    keys = [case.codes.astype(np.int64), at]
    place = None
    if position in events.column_names:
        place = _nulls_last(events[position])
        keys.append(place)
    tie = None
    if activity_order:
        tie = _declared(events[s.ACTIVITY], activity_order)
        keys.append(tie)
    packed = packed_keys(keys)
    rows = np.argsort(packed)
    _settle(rows, packed[rows], events.drop_columns(_keys(events, position)))
    case = case.take(rows)
    starts = np.flatnonzero(np.diff(case.codes, prepend=-2))
    offsets = np.append(starts, len(rows)).astype(np.int64)
    same = _same(at, rows)
    same[starts[1:] - 1] = False
    if place is not None:
        same &= _same(place, rows)
    if tie is not None:
        named = tie[rows] < len(activity_order)
        same &= ~(named[1:] & named[:-1])
    return Order(rows, case, offsets, _torn(events[s.ACTIVITY], rows, same, offsets))


def _keys(events: pa.Table, position: str) -> list[str]:
    return [name for name in (s.CASE_ID, s.AT, position) if name in events.column_names]


def _times(column: pa.ChunkedArray) -> Ints:
    """Return times counted from the first, in the coarsest unit that tells them apart."""
    if column.null_count or not len(column):
        return np.zeros(len(column), np.int64)
    at: Ints = column.to_numpy()
    low = at.min()
    since: Ints = at - low
    for unit in _UNITS:
        if not (since[:1024] % unit).any() and not (since % unit).any():
            since //= unit
            break
    return since


def _nulls_last(column: pa.ChunkedArray) -> Ints:
    top = pc.max(column).as_py()
    filled = column.cast(pa.int64()).fill_null(0 if top is None else min(top, _ROOM - 2) + 1)
    values: Ints = filled.to_numpy()
    return values


def _declared(activities: pa.ChunkedArray, activity_order: Sequence[str]) -> Ints:
    """Return the place of each activity in the declared order; others come after all of them."""
    coded = ranked(activities)
    place = pc.index_in(coded.words, value_set=pa.array(activity_order, pa.string()))
    places: Ints = place.fill_null(len(activity_order)).to_numpy().astype(np.int64)
    return places[coded.codes] if len(places) else np.zeros(len(activities), np.int64)


def packed_keys(keys: list[Ints]) -> Ints:
    """Return one key that orders rows as all keys do, one after the other."""
    whole, span = np.zeros(len(keys[0]), np.int64), 1
    for key in keys if len(whole) else []:
        low = int(key.min())
        width = int(key.max()) - low + 1
        if span * width >= _ROOM and width > len(key):
            key, low = _dense(key), 0  # noqa: PLW2901 - the same order in a narrower key
            width = int(key.max()) + 1
        if span * width >= _ROOM:
            whole = _dense(whole)
            span = int(whole.max()) + 1
        whole = whole * width + (key - low)
        span *= width
    return whole


def _dense(key: Ints) -> Ints:
    order = np.argsort(key)
    rank = np.empty(len(key), np.int64)
    rank[order] = np.append(0, np.cumsum(np.diff(key[order]) != 0))
    return rank


def _settle(rows: Ints, keys: Ints, events: pa.Table) -> None:
    """Order rows that tie (their keys are equal) by the columns that are no key, in place."""
    at, group = _tied(np.arange(len(rows)), keys)
    for name in events.column_names:
        if not len(at):
            return
        mine = rows[at]
        values = _values(events[name], mine)
        order = np.lexsort((values, group))
        rows[at] = mine[order]
        at, group = _tied(at, group * (int(values.max()) + 2) + values[order] + 1)


def _tied(at: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """Return the places at which neighbours have one key, and the number of the key of each."""
    equal = keys[1:] == keys[:-1]
    mine = np.append(equal, [False]) | np.append([False], equal)
    if len(keys) == 0 or not mine.any():
        return at[:0], keys[:0]
    own = keys[mine]
    return at[mine], np.append(0, np.cumsum(np.diff(own) != 0))


def _values(column: pa.ChunkedArray, rows: Ints) -> Ints:
    """Return the ranks of some rows of a column: strings with null first, others with null last."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.unify_dictionaries()
    some = column.take(pa.array(rows))
    if is_text(kind):
        return ranked(some).codes.astype(np.int64)
    if pa.types.is_null(kind):
        return np.zeros(len(rows), np.int64)
    plain = some.cast(pa.uint8()) if pa.types.is_boolean(kind) else some
    rank: Ints = pc.rank(plain, sort_keys="ascending", tiebreaker="dense").to_numpy()
    return rank.astype(np.int64)


def _same(key: Ints, rows: Ints) -> Bools:
    """Return where a row has the same key as the row before it."""
    own = key[rows]
    same: Bools = own[1:] == own[:-1]
    return same


def _torn(activities: pa.ChunkedArray, rows: Ints, same: Bools, offsets: Ints) -> Ints:
    """Return the cases in which neighbours that are the `same` are different activities."""
    if not same.any():
        return np.empty(0, np.int64)
    word = ranked(activities).codes[rows]
    torn = np.flatnonzero(same & (word[1:] != word[:-1])) + 1
    return np.unique(np.searchsorted(offsets, torn, side="right") - 1)
