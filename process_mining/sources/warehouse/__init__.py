"""Which log does a query of a warehouse give? DuckDB, PostgreSQL or Spark, by URL.

The log argument is a TOML file that has a [warehouse] table: url, query, and the sections of a
mapping that maps a table (`file` says them all). Rows come as Arrow in batches and are
converted as Parquet's are: timestamps with a zone are instants, those without one are wall-clock
times of the declared zone, numbers and booleans become their text. The database is only read, and
its session's zone is UTC, so a cast in the query means the same on every machine.

A query's rows have no order: events of one time stay unordered unless the mapping declares
`order_by`, and the number that places a reject is the row's in this answer (stable if the query
has an ORDER BY). The log's notes say url (without user), the query's SHA-256 and the row count.

Not checked: that two runs of one query saw the same data; the log's own fingerprint tells.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pyarrow as pa

from process_mining._coded import unified
from process_mining.errors import CodedError
from process_mining.sources import Parts, refuse_mapping
from process_mining.sources._files import encoding_of, first_line, looks_binary
from process_mining.sources._mapped import (
    Converter,
    canonical,
    check_columns,
    ranked,
    seen_of,
    zone_of_columns,
)
from process_mining.sources._mapping import ALL
from process_mining.sources._rejects import RejectList
from process_mining.sources.warehouse.arrow import check_types, faults, plain
from process_mining.sources.warehouse.file import load_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions
    from process_mining.sources._mapping import TableMapping
    from process_mining.sources.warehouse.arrow import Answer, Database
    from process_mining.sources.warehouse.file import Request, WarehouseFile

NAME: Final = "warehouse"
IS_MAPPING: Final = True
PLACE: Final = "query row"
HEADER_SHOWN: Final = 40
_MODULES: Final = {"duckdb": "on_duckdb", "postgresql": "on_postgresql", "sc": "on_spark"}
_SECTION: Final = re.compile(
    r"^[ \t]*(\[[ \t]*warehouse[ \t]*\]|warehouse[ \t]*[.=])", re.MULTILINE
)
_TOML_LINE: Final = re.compile(r"\s*(#|\[[^\[\]]+\]\s*(#|$)|[\w.\"' -]+=)")


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is TOML with a [warehouse] table."""
    if looks_binary(head) or not _TOML_LINE.match(first_line(head)):
        return False
    return _SECTION.search(head.decode(encoding_of(head), "replace")) is not None


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the answers to the files' queries as one log."""
    refuse_mapping(options, "a warehouse file")
    readings = [_Reading.of(path, options) for path in paths]
    for reading in readings:
        reading.run()
    first = readings[0]
    rejects = RejectList([reject for r in readings for reject in r.rejects.rejects])
    events = pa.concat_tables(
        [table for reading in readings for table in reading.tables], promote_options="default"
    )
    return Parts(
        events=ranked(unified(events)),
        cases=None,
        rows_in=sum(reading.rows for reading in readings),
        rejects=rejects.table(),
        timezone=first.zone or "UTC",
        notes=tuple(note for reading in readings for note in reading.notes()),
        seen=seen_of(sum((reading.policies for reading in readings), Counter[str]())),
        people=frozenset().union(*(reading.people for reading in readings)),
        activity_order=first.file.activity_order,
    )


@dataclass(eq=False)
class _Reading:
    """One warehouse file on its way to event columns."""

    file: WarehouseFile
    request: Request
    option: str | None
    rejects: RejectList = field(default_factory=RejectList)
    policies: Counter[str] = field(default_factory=Counter)
    tables: list[pa.Table] = field(default_factory=list)
    people: frozenset[str] = frozenset()
    zone: str | None = None
    ordered: bool = False
    rows: int = 0

    @classmethod
    def of(cls, path: Path, options: ReadOptions) -> _Reading:
        """Check a file before any database is asked."""
        file, request = load_warehouse(path)
        return cls(file, request, options.timezone)

    def run(self) -> None:
        """Ask the database and convert what it answers."""
        name = f"process_mining.sources.warehouse.{_MODULES[self.request.url.scheme]}"
        with cast("Database", import_module(name)).ask(self.request) as answer:
            self._convert(answer)

    def notes(self) -> list[str]:
        """Return what the log remembers of its origin, the file's own notes last."""
        url, sha256 = self.request.url.shown, self.request.sha256
        notes = [f"{url}: query with SHA-256 {sha256}, {self.rows:,} rows"]
        if not self.ordered:
            file = self.request.file.name
            notes.append(f"{file} declares no order_by: events of one time have no order")
        return [*notes, *self.file.notes]

    def _convert(self, answer: Answer) -> None:
        mapping = self._mapping(answer.schema.names)
        check_columns(mapping, answer.schema.names, self.request.file)
        used = _used(mapping, answer.schema.names)
        check_types(answer.schema, used, self.request.file.name)
        self.zone = zone_of_columns(mapping, answer.schema, self.option)
        self.people, self.ordered = (
            mapping.people(),
            bool(mapping.event.order_by or mapping.milestones),
        )
        converter = Converter(
            mapping, self.request.file.name, PLACE, self.zone, self.rejects, self.policies
        )
        empty = {name: plain(pa.nulls(0, answer.schema.field(name).type)) for name in used}
        self.tables.append(converter.convert_coded(empty, np.empty(0, np.int64)))
        for batch in answer.batches:
            columns = {name: plain(batch.column(name)) for name in used}
            self._accept(converter, columns, batch.num_rows)

    def _accept(self, converter: Converter, columns: dict[str, pa.Array], length: int) -> None:
        places = np.arange(self.rows + 1, self.rows + 1 + length)
        self.rows += length
        bad = faults(columns)
        if bad:
            self._reject(bad, places.tolist())
            keep = np.ones(length, bool)
            keep[list(bad)] = False
            columns = {name: column.filter(pa.array(keep)) for name, column in columns.items()}
            places = places[keep]
        self.tables.append(converter.convert_coded(columns, places))

    def _reject(self, bad: dict[int, tuple[str, str]], places: Sequence[int]) -> None:
        file = self.request.file.name
        for row, (code, reason) in sorted(bad.items()):
            at = places[row]
            self.rejects.add(file=file, number=at, place=f"{PLACE} {at}", code=code, reason=reason)

    def _mapping(self, names: list[str]) -> TableMapping:
        if self.file.event is not None:
            return self.file.table(self.request.file)
        own = canonical(names)
        if own is None:
            raise _own_columns(names, self.request.file)
        kept = ("name", "notes", "activity_order", "csv", "time")
        return own.model_copy(update={key: getattr(self.file, key) for key in kept})


def _used(mapping: TableMapping, names: Iterable[str]) -> list[str]:
    every = mapping.event.attributes == ALL
    return [name for name in names if every or name in mapping.columns()]


def _own_columns(names: Sequence[str], path: Path) -> CodedError:
    shown = ", ".join(names[:HEADER_SHOWN])
    return CodedError(
        "LG042",
        f"the query of {path.name} gives columns of its own: {shown}",
        why="which of them is the case, the activity and the time is not guessed",
        fix="Declare them under [event] in the file, or name them so in the query",
    )
