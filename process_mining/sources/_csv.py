"""Which records does a CSV file hold, and on which line does each start?

RFC 4180 as the standard library's strict parser reads it: quoted cells may hold delimiters, line
breaks and doubled quotes. Line numbers are physical lines of the file, counted from 1; a record
is placed by the line on which it starts. Blank lines are no records. A record of another length
than the header and a stray quote are problems of that record; reading goes on after it. These
stop the reading: bytes that are not in the declared encoding, NUL, and a last record that is cut
(an open quote, or too few cells and no line break at the end).

A byte order mark before the first cell (Excel's "CSV UTF-8" writes one) is no part of it, whatever
encoding is declared. Cells longer than 131,072 characters (the parser's limit) are a problem of
their record.
"""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from process_mining.errors import RunError
from process_mining.sources._files import encoding_of, head_of, open_bytes
from process_mining.sources._table import MAX_COLUMNS, too_many

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from process_mining.eventlog import Ints

MAX_LINE: Final = 16 << 20
BYTE_ORDER_MARK: Final = "\ufeff"


class Record(NamedTuple):
    """Cells of one record, the line it starts on, and its problem: a reject's (code, reason)."""

    line: int
    cells: list[str]
    problem: tuple[str, str] | None


@dataclass
class _Lines:
    """The physical lines of a text stream; remembers whether the last one was ended."""

    stream: io.TextIOWrapper
    name: str
    number: int = 0
    ended: bool = True

    def __iter__(self) -> Iterator[str]:
        while line := self.stream.readline(MAX_LINE):
            self.number += 1
            self.ended = line[-1] in "\r\n"
            if "\0" in line:
                self._refuse("LG043", "holds a NUL character", "Export it as plain text")
            if len(line) == MAX_LINE and not self.ended:
                self._refuse("LG061", f"is longer than {MAX_LINE >> 20} MiB", "Check the export")
            yield line.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else line

    def _refuse(self, code: str, what: str, fix: str) -> None:
        raise RunError(code, f"{self.name} line {self.number} {what}", fix=fix)


def header_of(path: Path, *, delimiter: str = ",", encoding: str | None = None) -> list[str]:
    """Return the cells of the first record; RunError LG077 where no table has so many."""
    for record in records(path, delimiter=delimiter, encoding=encoding, width=None):
        if record.problem:
            break
        if len(record.cells) > MAX_COLUMNS:
            raise too_many(path.name)
        return record.cells
    raise RunError("LG040", f"{path.name} has no readable header", fix="Name the columns in line 1")


def records(
    path: Path, *, delimiter: str, encoding: str | None, width: int | None
) -> Iterator[Record]:
    """Yield the records in file order, the header among them; `width` None checks no lengths."""
    declared = encoding or encoding_of(head_of(path))
    with _text(path, declared) as stream:
        lines = _Lines(stream, path.name)
        parser = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            start = parser.line_num + 1
            try:
                cells = next(parser)
            except StopIteration:
                return
            except csv.Error as error:
                _check_open_quote(error, path, start)
                yield Record(start, [], ("LG111", str(error)))
                continue
            if cells:
                yield _record(path, start, cells, width=width, ended=lines.ended)


def columns_of(
    rows: list[Record], header: list[str], *, keep: Container[str]
) -> tuple[dict[str, pa.Array], Ints]:
    """Return the cells of the columns to keep, as text columns, and the records' lines."""
    cells = list(zip(*(record.cells for record in rows), strict=True)) or [()] * len(header)
    columns = {
        name: pa.array(cells[index], pa.string())
        for index, name in enumerate(header)
        if name in keep
    }
    return columns, np.array([record.line for record in rows], np.int64)


def _record(path: Path, start: int, cells: list[str], *, width: int | None, ended: bool) -> Record:
    if width is None or len(cells) == width:
        return Record(start, cells, None)
    if len(cells) < width and not ended:
        msg = f"{path.name} ends in the middle of the record of line {start}"
        raise RunError("LG044", msg, why="the log would be cut", fix="Copy or export it again")
    return Record(start, cells, ("LG110", f"has {len(cells)} cells, the header {width}"))


def _check_open_quote(error: csv.Error, path: Path, start: int) -> None:
    if str(error) == "unexpected end of data":
        msg = f"{path.name} ends inside the quoted cell that is open since line {start}"
        raise RunError("LG044", msg, why="the log would be cut", fix="Close the quote, or export")


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as stream:
        try:
            yield stream
        except UnicodeDecodeError as error:
            line = _line_of_bad_byte(path, encoding)
            raise RunError(
                "LG043",
                f"{path.name} line {line} holds bytes that are no {encoding.removesuffix('-sig')}",
                fix='Declare the encoding under [csv] in the mapping, such as encoding = "cp1252"',
            ) from error


def _line_of_bad_byte(path: Path, encoding: str) -> int:
    """Read again, a line at a time, until the line that does not decode."""
    number = 1
    with open_bytes(path) as raw:
        if encoding.startswith("utf-16"):
            return number
        for number, line in enumerate(raw, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                return number
    return number
