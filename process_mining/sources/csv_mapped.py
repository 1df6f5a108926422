"""Which events does a CSV export hold, read as its mapping says?

Reads CSV, packed with gzip or not. Every cell is text; the mapping's declared types convert it.
Without a mapping only a table with our own column names (case_id, activity, at in ISO 8601 with
offset, …) is read; any other table is an error that shows its header. Streams: one batch of
`BATCH` records is held as text at a time.

Not checked: whether the export is complete (a CSV has no end mark).
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining.errors import CodedError
from process_mining.sources import Parts, own_cases
from process_mining.sources._csv import Record, columns_of, header_of, records
from process_mining.sources._files import first_line, looks_binary
from process_mining.sources._mapped import (
    Converter,
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
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions

NAME: Final = "csv_mapped"
FALLBACK: Final = True
BATCH: Final = 1 << 13
DELIMITERS: Final = ",;\t|"
HEADER_SHOWN: Final = 40


def sniff(path: Path, head: bytes) -> bool:
    """Whether this is delimited text (and no case table of our own schema)."""
    if looks_binary(head) or own_cases.sniff(path, head):
        return False
    line = first_line(head)
    return any(mark in line for mark in DELIMITERS) and line.lstrip()[0] not in "{[<"


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    given = load_mapping(options.mapping) if options.mapping else None
    rejects, policies = RejectList(), Counter[str]()
    rows_in, tables = 0, []
    for path in paths:
        mapping = given.table(path) if given else _own_names(path)
        header = header_of(path, delimiter=mapping.csv.delimiter, encoding=mapping.csv.encoding)
        check_columns(mapping, header, path)
        zone = zone_of(mapping, options.timezone)
        converter = Converter(mapping, path.name, "line", zone, rejects, policies)
        for batch in _batches(path, mapping, header):
            rows_in += len(batch)
            tables.append(_events(batch, header, converter))
    return Parts(
        events=ranked(pa.concat_tables(tables, promote_options="default")),
        cases=None,
        rows_in=rows_in,
        rejects=rejects.table(),
        timezone=zone or "UTC",
        notes=tuple(mapping.notes),
        seen=seen_of(policies),
        people=mapping.people(),
        activity_order=mapping.activity_order,
    )


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


def _batches(path: Path, mapping: Mapping, header: list[str]) -> Iterator[list[Record]]:
    """Yield the records below the header in batches; one empty batch if there are none."""
    rows = records(
        path, delimiter=mapping.csv.delimiter, encoding=mapping.csv.encoding, width=len(header)
    )
    next(rows)
    batch = list(islice(rows, BATCH))
    yield batch
    while batch := list(islice(rows, BATCH)):
        yield batch


def _events(batch: list[Record], header: list[str], converter: Converter) -> pa.Table:
    """Turn one batch of records into event columns; unreadable records become rejects."""
    every = converter.mapping.event.attributes == ALL
    keep = set(header) if every else converter.mapping.columns()
    columns, lines = columns_of(readable(batch, converter), header, keep=keep)
    return converter.convert(columns, lines)
