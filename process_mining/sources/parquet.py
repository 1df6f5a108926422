"""Which events does a Parquet file hold, read as its mapping says?

The same mapping as for CSV, or our own column names. Text is read as text and converted by the
mapping's declared types; numbers and booleans become their text; timestamps are taken as they
are: with a zone they are instants, without one they are wall-clock times of the declared zone.
Digits past the microsecond are cut. Rows are placed by their number, counted from 1.

Streams record batches of the columns that the mapping names. A column that holds lists, structs
or bytes cannot be mapped.

A small file must not fill the machine. Refused by what the footer says (LG068): more than
`MAX_COLUMNS` columns, pages that unpack to more than `MAX_RATIO` times their size once they have
`RATIO_FROM` bytes, and more than `ROWS_A_BYTE` rows for a byte once there are `ROWS_FROM` (events
differ; rows that all say the same take next to no room). A stamp has at most `LONGEST_STAMP` bytes.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from process_mining._ahead import ahead
from process_mining._coded import unified
from process_mining.errors import CodedError, RunError
from process_mining.sources import Parts
from process_mining.sources._files import MAX_RATIO, RATIO_FROM
from process_mining.sources._mapped import (
    Converter,
    canonical,
    check_columns,
    ranked,
    seen_of,
    zone_of_columns,
)
from process_mining.sources._mapping import ALL, TableMapping, load_mapping
from process_mining.sources._rejects import RejectList
from process_mining.sources._table import MAX_COLUMNS, too_many

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions

NAME: Final = "parquet"
FALLBACK: Final = True
BATCH: Final = 1 << 18
MAGIC: Final = b"PAR1"
ROWS_A_BYTE: Final = 10
ROWS_FROM: Final = 10_000_000
LONGEST_STAMP: Final = 1 << 12
HEADER_SHOWN: Final = 40


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether the file starts with Parquet's mark."""
    return head.startswith(MAGIC)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    given = load_mapping(options.mapping) if options.mapping else None
    rejects, policies = RejectList(), Counter[str]()
    rows_in, tables = 0, []
    for path in paths:
        schema = _schema(path)
        mapping = given.table(path) if given else _own_names(path, schema.names)
        columns = _columns(mapping, schema, path)
        zone = zone_of_columns(mapping, schema, options.timezone)
        converter = Converter(mapping, path.name, "row", zone, rejects, policies)
        tables.append(converter.convert_coded(_empty(schema, columns), np.empty(0, np.int64)))
        first = 1
        coded = [name for name in columns if name not in {time.column for time in mapping.times()}]
        for batch in ahead(converter.prepared, _batches(path, columns, coded)):
            rows = np.arange(first, first + batch.rows)
            tables.append(converter.accepted(batch, rows))
            first += len(rows)
        rows_in += first - 1
    events = pa.concat_tables(tables, promote_options="default")
    tables.clear()  # so that what is brought together is not held twice
    return Parts(
        events=ranked(unified(events)),
        cases=None,
        rows_in=rows_in,
        rejects=rejects.table(),
        refused_cases=rejects.cases(),
        timezone=zone or "UTC",
        notes=tuple(mapping.notes),
        seen=seen_of(policies),
        people=mapping.people(),
        activity_order=mapping.activity_order,
        milestones=tuple(mapping.milestones or ()),
    )


def _schema(path: Path) -> pa.Schema:
    try:
        with pq.ParquetFile(path) as file:
            _check_limits(path, file.metadata)
            return file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _check_limits(path: Path, footer: pq.FileMetaData) -> None:
    """Raise the error that says that a small file would unfold to more than a log."""
    if footer.num_columns > MAX_COLUMNS:
        raise too_many(path.name)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    unpacked, size = sum(group.total_byte_size for group in groups), path.stat().st_size
    rows = footer.num_rows
    if unpacked > max(RATIO_FROM, size * MAX_RATIO) or rows > max(ROWS_FROM, size * ROWS_A_BYTE):
        msg = f"{path.name} has {size:,} bytes and unfolds to {rows:,} rows, {unpacked:,} bytes"
        why = f"the limits are {ROWS_A_BYTE} rows for a byte, and {MAX_RATIO} bytes for one"
        raise RunError("LG068", msg, why=why, fix="Check the export, or write it as CSV")


def _check_stamps(path: Path, times: Sequence[str]) -> None:
    """Refuse times whose dictionary holds a text that is none, before it stands in every row."""
    with pq.ParquetFile(path, read_dictionary=list(times)) as file:
        texts = [
            name for name in times if pa.types.is_dictionary(file.schema_arrow.field(name).type)
        ]
        for number in range(file.num_row_groups if texts else 0):
            # one row is enough: it comes with all the words of its page
            for batch in islice(file.iter_batches(1, row_groups=[number], columns=texts), 1):
                _check_lengths(path, {name: batch[name].dictionary for name in texts})


def _check_lengths(path: Path, words: dict[str, pa.Array]) -> None:
    for name, texts in words.items():
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        if longest > LONGEST_STAMP:
            msg = f"column '{name}' of {path.name} holds a text of {longest:,} bytes"
            raise RunError("LG068", msg, why="no time is so long", fix="Check the export")


def _damaged(path: Path, error: Exception) -> RunError:
    reason = str(error).splitlines()[0]
    msg = f"{path.name} is cut or damaged ({reason})"
    return RunError("LG065", msg, fix="Copy or export it again")


def _own_names(path: Path, header: list[str]) -> TableMapping:
    mapping = canonical(header)
    if mapping is not None:
        return mapping
    shown = ", ".join(header[:HEADER_SHOWN])
    raise CodedError(
        "LG042",
        f"{path.name} has columns of its own: {shown}",
        why="which of them is the case, the activity and the time is not guessed",
        fix="Declare them in a mapping file and give it with --mapping",
    )


def _columns(mapping: TableMapping, schema: pa.Schema, path: Path) -> list[str]:
    check_columns(mapping, schema.names, path)
    every = mapping.event.attributes == ALL
    names = [name for name in schema.names if every or name in mapping.columns()]
    for name in names:
        if not _readable(schema.field(name).type):
            msg = f"column '{name}' of {path.name} holds {schema.field(name).type}"
            raise CodedError("LG066", msg, fix="Export it as text, number or timestamp")
    return names


def _readable(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    nested_or_bytes = pa.types.is_nested(kind) or pa.types.is_binary(kind)
    return not (nested_or_bytes or pa.types.is_large_binary(kind))


def _batches(path: Path, columns: list[str], coded: list[str]) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns; texts among `coded` come by their distinct words, as they are stored."""
    try:
        _check_stamps(path, sorted(set(columns) - set(coded)))
        with pq.ParquetFile(path, read_dictionary=coded) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=columns):
                yield {name: _plain(batch[name]) for name in columns}
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _empty(schema: pa.Schema, columns: list[str]) -> dict[str, pa.Array]:
    return {name: _plain(pa.nulls(0, schema.field(name).type)) for name in columns}


def _plain(column: pa.Array) -> pa.Array:
    """Decode dictionaries of anything but text, and bring every kind of text to one."""
    if pa.types.is_dictionary(column.type):
        words = _plain(column.dictionary)
        if pa.types.is_string(words.type):
            return pa.DictionaryArray.from_arrays(column.indices, words)
        column = column.dictionary_decode()
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column
