"""Which events does a CSV export hold, read as its mapping says?

Reads CSV, packed with gzip or not. Every cell is text; the mapping's declared types convert it.
Without a mapping only a table with our own column names (case_id, activity, at in ISO 8601 with
offset, …) is read; any other table is an error that shows its header.

The strict parser of `_csv` says what a file holds. `_fast_csv` reads the same where it is certain
to see the same, some twenty times as fast; a file that gives reason for doubt is read from its
start by the strict one. Streams: one block, or one batch of `BATCH` records, is text at a time.

Not checked: whether the export is complete (a CSV has no end mark).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from process_mining._ahead import ahead
from process_mining._coded import unified
from process_mining.errors import CodedError
from process_mining.sources import Parts
from process_mining.sources._csv import Record, columns_of, header_of, records
from process_mining.sources._fast_csv import Block, Doubt, Piece, QuickCsv
from process_mining.sources._files import DELIMITERS, first_line, looks_binary
from process_mining.sources._mapped import (
    Converter,
    Prepared,
    canonical,
    check_columns,
    ranked,
    readable,
    seen_of,
    zone_of,
)
from process_mining.sources._mapping import ALL, Mapping, TableMapping, load_mapping
from process_mining.sources._rejects import RejectList

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions

NAME: Final = "csv_mapped"
FALLBACK: Final = True
BATCH: Final = 1 << 13
HEADER_SHOWN: Final = 40


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is delimited text."""
    if looks_binary(head):
        return False
    line = first_line(head)
    return any(mark in line for mark in DELIMITERS) and line.lstrip()[0] not in "{[<"


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    given = load_mapping(options.mapping) if options.mapping else None
    rejects, policies = RejectList(), Counter[str]()
    rows_in = 0
    tables: list[pa.Table] = []
    cases: list[pa.Table] = []
    for file in _files(paths, given, options.timezone):
        got = file.read()
        rows_in += got.rows
        (cases if file.of_cases else tables).extend(got.tables)
        rejects.rejects.extend(got.converter.rejects.rejects)
        policies.update(got.converter.policies)
    events = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    tables.clear()  # so that what is brought together is not held twice
    return Parts(
        events=ranked(unified(events)) if events.num_columns else events,
        cases=pa.concat_tables(cases, promote_options="default") if cases else None,
        rows_in=rows_in,
        rejects=rejects.table(),
        refused_cases=rejects.cases(),
        timezone=file.zone or "UTC",
        notes=tuple(file.mapping.notes),
        seen=seen_of(policies),
        people=file.mapping.people(),
        activity_order=file.mapping.activity_order,
        milestones=tuple(file.mapping.milestones or ()),
    )


def _files(paths: Sequence[Path], given: Mapping | None, zone: str | None) -> list[_File]:
    """Return each file with its header, and the part of the mapping that is about it."""
    found = []
    for path in paths:
        mapping = given.table(path) if given else _own_names(path)
        header = header_of(path, delimiter=mapping.csv.delimiter, encoding=mapping.csv.encoding)
        found.append((path, mapping, header))
    every = {name for _, _, header in found for name in header}
    files = []
    for path, whole, header in found:
        of_cases = given is not None and len(paths) > 1 and whole.of_cases(header)
        mapping = (whole.for_cases() if of_cases else whole).within(header, every)
        check_columns(mapping, header, path)
        files.append(_File(path, mapping, header, zone_of(mapping, zone), of_cases=of_cases))
    return files


def _own_names(path: Path) -> TableMapping:
    header = header_of(path)
    mapping = canonical(header)
    if mapping is not None:
        return mapping
    shown = ", ".join(header[:HEADER_SHOWN]) + (", …" if len(header) > HEADER_SHOWN else "")
    raise CodedError(
        "LG042",
        f"{path.name} has columns of its own: {shown}",
        why="which of them is the case, the activity and the time is not guessed",
        fix="Declare them in a mapping file and give it with --mapping",
    )


@dataclass(eq=False)
class _Got:
    """What one file gave."""

    converter: Converter
    tables: list[pa.Table] = field(default_factory=list)
    rows: int = 0


@dataclass(frozen=True)
class _File:
    """One file and how it is to be read."""

    path: Path
    mapping: TableMapping
    header: list[str]
    zone: str | None
    of_cases: bool = False

    def read(self) -> _Got:
        """Read the file quickly; where that is not certain to be right, strictly."""
        if self.of_cases:
            return self._cases()
        try:
            return self._quick()
        except Doubt:
            return self._strict()

    def _quick(self) -> _Got:
        got, csv = _Got(self._converter()), self.mapping.csv
        times = {time.column for time in self.mapping.times()}
        file = QuickCsv(self.path, self.header, csv.delimiter, csv.encoding, self._keep(), times)

        def work(piece: Piece) -> tuple[Block, Prepared | None]:
            block = file.block(piece)
            return block, got.converter.prepared(block.columns) if block.rows else None

        got.tables.append(self._events([], got.converter))
        line: int | None = 2
        for block, batch in ahead(work, file.pieces()):
            line = line if block.simple else None
            if batch is not None:
                lines = None if line is None else np.arange(line, line + block.rows)
                got.tables.append(got.converter.accepted(batch, lines))
            line = None if line is None else line + block.rows
            got.rows += block.rows
        return got

    def _strict(self) -> _Got:
        got, csv = _Got(self._converter()), self.mapping.csv
        rows = records(
            self.path, delimiter=csv.delimiter, encoding=csv.encoding, width=len(self.header)
        )
        next(rows)
        batch = list(islice(rows, BATCH))
        while batch or not got.tables:
            got.rows += len(batch)
            got.tables.append(self._events(batch, got.converter))
            batch = list(islice(rows, BATCH))
        return got

    def _cases(self) -> _Got:
        """Read a table of cases; an id that stands twice is refused where the log is built."""
        got, csv = _Got(self._converter()), self.mapping.csv
        rows = list(
            records(
                self.path, delimiter=csv.delimiter, encoding=csv.encoding, width=len(self.header)
            )
        )[1:]
        got.rows = len(rows)
        columns, lines = columns_of(readable(rows, got.converter), self.header, keep=self._keep())
        got.tables.append(got.converter.convert_cases(columns, lines))
        return got

    def _events(self, batch: list[Record], converter: Converter) -> pa.Table:
        """Turn one batch of records into event columns; unreadable records become rejects."""
        columns, lines = columns_of(readable(batch, converter), self.header, keep=self._keep())
        return converter.convert_coded(columns, lines)

    def _converter(self) -> Converter:
        name, rejects, policies = self.path.name, RejectList(), Counter[str]()
        return Converter(self.mapping, name, "line", self.zone, rejects, policies)

    def _keep(self) -> set[str]:
        every = self.mapping.event.attributes == ALL
        return set(self.header) if every else set(self.mapping.columns())
