"""What does our own case table (tickets.csv) say about each ticket?

One row a ticket, beside a log of events: case_id, practice, priority, category, service, opened,
resolved, closed (ISO 8601 with offset, or empty), columns such as `link.problem` that hold the id
of another ticket, and further columns, which are kept as attributes. Recognised by its header:
case_id and at least one more of these names, and neither activity nor at. Its values win over what
the events say of the case.

A ticket that stands twice is an error: which row is right is not guessed.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean
from process_mining.sources import Parts
from process_mining.sources._csv import Record, columns_of, header_of, records
from process_mining.sources._files import first_line, looks_binary
from process_mining.sources._mapped import Converter, readable
from process_mining.sources._mapping import TableMapping
from process_mining.sources._rejects import RejectList, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions

NAME: Final = "own_cases"
_FACTS: Final = frozenset(s.CASE_TYPES) - {s.CASE_ID}


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether the header is that of our own case table."""
    if looks_binary(head):
        return False
    header = set(next(csv.reader([first_line(head)]), []))
    return s.CASE_ID in header and bool(header & _FACTS) and not header & {s.ACTIVITY, s.AT}


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the tables as one; a ticket may stand in one row of one of them only."""
    rejects, rows_in, tables = RejectList(), 0, []
    seen: dict[str, str] = {}
    for path in paths:
        header = _header(path)
        rows = list(records(path, delimiter=",", encoding=None, width=len(header)))[1:]
        rows_in += len(rows)
        converter = Converter(_mapping(header), path.name, "line", options.timezone, rejects)
        good = readable(rows, converter)
        _refuse_twice(good, header.index(s.CASE_ID), path.name, seen)
        columns, lines = columns_of(good, header, keep=frozenset(header))
        tables.append(converter.convert_cases(columns, lines))
    return Parts(
        events=pa.table({}),
        cases=pa.concat_tables(tables, promote_options="default"),
        rows_in=rows_in,
        rejects=rejects.table(),
        timezone=options.timezone or "UTC",
    )


def _header(path: Path) -> list[str]:
    header = header_of(path)
    twice = sorted(name for name in set(header) if header.count(name) > 1)
    if s.CASE_ID not in header:
        raise CodedError(
            "LG041",
            f"{path.name} has no column 'case_id', which a case table needs",
            fix=did_you_mean(s.CASE_ID, header),
        )
    if twice:
        msg = f"{path.name} has {header.count(twice[0])} columns named '{twice[0]}'"
        raise CodedError("LG045", msg, fix="Rename all but one of them in the export")
    return header


def _mapping(header: list[str]) -> TableMapping:
    """Return the mapping of the case columns; the event columns are never read."""
    facts = {name: name for name in s.CASE_TYPES if name in header and name != s.CASE_ID}
    links = {n.removeprefix(s.LINK_PREFIX): n for n in header if n.startswith(s.LINK_PREFIX)}
    rest = [n for n in header if n not in s.CASE_TYPES and n not in links.values()]
    event = {"case_id": s.CASE_ID, "activity": s.CASE_ID, "at": s.CASE_ID}
    data = {"name": NAME, "time": {"format": "iso"}, "event": event}
    return TableMapping.model_validate(
        data | {"case": facts | {"attributes": rest, "links": links}}
    )


def _refuse_twice(rows: list[Record], column: int, file: str, seen: dict[str, str]) -> None:
    for record in rows:
        case, place = record.cells[column], f"{file} line {record.line}"
        if case and case in seen:
            msg = f"case {shown(case)} stands in {seen[case]} and in {place}"
            raise RunError("LG080", msg, why="which row is right is not guessed", fix="Keep one")
        seen[case] = place
