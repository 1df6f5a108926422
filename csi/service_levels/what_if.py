"""What would have become of the same tickets under other targets, calendars or pause rules?

History is not touched: the clocks of the same log are run again under the other file, and each
case's standing (`standing`) before and after is compared. What it does not say: how people would
have worked, had other promises been in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rules.service_level import attainment

if TYPE_CHECKING:
    import pandas as pd

KEYS: Final = ("case_id", "agreement", "party", "metric")
CHANGES: Final = pa.schema(
    [
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("metric", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("cases", pa.int64()),
    ]
)
NONE: Final = "no target"
_GRAVEST: Final = {"breached": 0, "unknown": 1}


@dataclass(frozen=True, eq=False)
class WhatIf:
    """How the figures would change.

    `changes` counts cases by standing before and after (see CHANGES); `cases` has one row for each
    whose standing changes: KEYS, before, after. `before` and `after` are ATTAINMENT tables.
    """

    name: str
    changes: pa.Table
    cases: pa.Table
    before: pa.Table
    after: pa.Table

    def to_pandas(self) -> pd.DataFrame:
        """Return the counts as a tidy DataFrame."""
        frame: pd.DataFrame = self.changes.to_pandas()
        return frame

    @property
    def summary(self) -> dict[str, Any]:
        """Return what a summary holds."""
        return {
            "name": self.name,
            "changes": self.changes.to_pylist(),
            "before": self.before.to_pylist(),
            "after": self.after.to_pylist(),
        }


def standing(clocks: pa.Table) -> pa.Table:
    """Return one row a case, agreement, party and metric: KEYS, status, target, priority.

    Of several clocks the one that matters most: a breach, else what is unknown, else the last.
    """
    status = clocks["status"].to_pylist()
    rank = pa.array([_GRAVEST.get(word, 2) for word in status], pa.int8())
    place = pa.array(-np.arange(clocks.num_rows))  # clocks come in order; the last one first
    order = [*((name, "ascending") for name in KEYS), ("_rank", "ascending"), ("_at", "ascending")]
    wide = clocks.append_column("_rank", rank).append_column("_at", place)
    ordered = wide.sort_by(order).select([*KEYS, "status", "target", "priority"]).combine_chunks()
    new = np.ones(ordered.num_rows, dtype=bool)
    for index, name in enumerate(KEYS):
        column = ordered[name].combine_chunks().dictionary_encode()
        codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        same = codes[1:] == codes[:-1]
        new[1:] = ~same if index == 0 else new[1:] | ~same
    return ordered.filter(pa.array(new))


def what_if(name: str, before: pa.Table, after: pa.Table) -> WhatIf:
    """Compare two CLOCKS tables of one log."""
    joined = _joined(standing(before), standing(after))
    counted = joined.group_by([*KEYS[1:], "before", "after"]).aggregate([([], "count_all")])
    counted = counted.rename_columns([*CHANGES.names[:-1], "cases"])
    changes = counted.sort_by([(column, "ascending") for column in CHANGES.names[:-1]])
    moved = joined.filter(pc.not_equal(joined["before"], joined["after"]))
    return WhatIf(
        name=name,
        changes=changes.select(CHANGES.names).cast(CHANGES).combine_chunks(),
        cases=moved.sort_by([(column, "ascending") for column in KEYS]).combine_chunks(),
        before=attainment(before),
        after=attainment(after),
    )


def _joined(before: pa.Table, after: pa.Table) -> pa.Table:
    """Put both standings of each case beside each other; one that is missing is no target."""
    sides = []
    for table, name in ((before, "before"), (after, "after")):
        keyed = table.select([*KEYS, "status"]).rename_columns([*KEYS, name])
        party = pc.fill_null(keyed["party"], "")  # a join never matches nulls
        sides.append(keyed.set_column(KEYS.index("party"), "party", party))
    both = sides[0].join(sides[1], keys=list(KEYS), join_type="full outer")
    for name in ("before", "after"):
        filled = pc.fill_null(both[name], NONE)
        both = both.set_column(both.column_names.index(name), name, filled)
    party = pc.if_else(pc.equal(both["party"], ""), pa.scalar(None, pa.string()), both["party"])
    return both.set_column(both.column_names.index("party"), "party", party)
