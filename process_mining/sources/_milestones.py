"""How do tickets of one row each, with a time column for every milestone, become events?

A row becomes one event for each of its milestones that has a time. Where two have one time, the
order in which the mapping lists them holds; it is kept as an ordering column, as those of
`order_by` are. What the row says of the case stands with each of its events.

Complexity: columnar, O(rows · milestones).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from process_mining import schema as s
from process_mining._coded import CODED, encoded, from_indices
from process_mining._coded import ranked as code_ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining._coded import Ints

ORDER_PREFIX: Final = "order."
MILESTONE: Final = "milestone."


def unfolded(table: pa.Table, activities: Sequence[str]) -> pa.Table:
    """Return the events of tickets, in the order of the rows and then of the activities.

    `table` has, for the milestone of number i, a column `milestone.<i>.at` (int64, null where it
    was not reached) and, where they are known, `.actor` and `.team`; all others go with every
    event.
    """
    reached = [_column(table, f"{MILESTONE}{i}.{s.AT}") for i in range(len(activities))]
    known = np.column_stack([at.is_valid().to_numpy(zero_copy_only=False) for at in reached])
    row, number = np.nonzero(known)
    at = np.column_stack([at.fill_null(0).to_numpy() for at in reached])
    rows = pa.array(row)
    out = {
        name: _column(table, name).take(rows)
        for name in table.column_names
        if not name.startswith(MILESTONE)
    }
    out[s.ACTIVITY] = from_indices(number.astype(np.int32), pa.array(activities, pa.string()))
    out[s.AT] = pa.array(at[row, number], pa.int64())
    out[f"{ORDER_PREFIX}0"] = pa.array(number, pa.int64())
    for name in (s.ACTOR, s.TEAM):
        told = [f"{MILESTONE}{i}.{name}" for i in range(len(activities))]
        if not set(told).isdisjoint(table.column_names):
            out[name] = _gathered(table, told, row, number)
    return pa.table(out)


def _gathered(table: pa.Table, names: Sequence[str], row: Ints, number: Ints) -> pa.Array:
    """Return for each event the word that the column of its milestone has in its row."""
    nothing = pa.nulls(table.num_rows, CODED)
    columns = [
        encoded(_column(table, name)) if name in table.column_names else nothing for name in names
    ]
    coded = code_ranks(pa.chunked_array(columns, CODED))
    return from_indices(coded.codes[number * table.num_rows + row], coded.words)


def _column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks()
