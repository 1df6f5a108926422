"""How do events that are read one by one become columns?

Each event hands over the cells that it has; columns appear as they are met and are null where an
event lacks them. Rows go into Arrow every `FLUSH` rows, so Python objects are held for one batch
only. Memory: the Arrow columns, plus one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

FLUSH: Final = 1 << 16
MAX_COLUMNS: Final = 5_000


class TableBuilder:
    """Collects rows of sparse cells; `types` are the columns that are no text."""

    def __init__(self, *, types: Mapping[str, pa.DataType], place: str) -> None:
        """Start empty; `place` names the file for the one error that can occur."""
        self._types, self._place = types, place
        self._names: set[str] = set(types)
        self._cells: dict[str, tuple[list[int], list[str | int]]] = {}
        self._rows = 0
        self._batches: list[pa.Table] = []

    def add(self, cells: Mapping[str, str | int | None]) -> None:
        """Add one row."""
        for name, value in cells.items():
            if value is not None:
                at, values = self._cells.get(name) or self._open(name)
                at.append(self._rows)
                values.append(value)
        self._rows += 1
        if self._rows == FLUSH:
            self._flush()

    def table(self) -> pa.Table:
        """Return all rows; columns by name."""
        self._flush()
        whole = pa.concat_tables(self._batches, promote_options="default")
        return whole.select(sorted(whole.column_names)).combine_chunks()

    def _open(self, name: str) -> tuple[list[int], list[str | int]]:
        self._names.add(name)
        if len(self._names) > MAX_COLUMNS:
            raise too_many(self._place)
        return self._cells.setdefault(name, ([], []))

    def _flush(self) -> None:
        columns = {name: pa.nulls(self._rows, kind) for name, kind in self._types.items()}
        for name, (at, values) in self._cells.items():
            columns[name] = self._column(name, at, values)
        self._batches.append(pa.table(columns))
        self._cells, self._rows = {}, 0

    def _column(self, name: str, at: list[int], values: list[str | int]) -> pa.Array:
        column = pa.array(values, self._types.get(name, pa.string()))
        if len(at) == self._rows:
            return column
        place: list[int | None] = [None] * self._rows
        for index, row in enumerate(at):
            place[row] = index
        return column.take(pa.array(place, pa.int64()))


def too_many(place: str) -> RunError:
    """Return the error that says that a log has more attributes than any log has."""
    msg = f"{place} has more than {MAX_COLUMNS:,} different attributes"
    return RunError("LG077", msg, why="keys look like values", fix="Check the export")
