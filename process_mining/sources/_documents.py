"""Which JSON documents does a file hold, and where does each stand?

Tools answer in JSON, and people keep the answers in three ways, all of which are read:

- one JSON text, an object or a list of objects (each element of the list is a document);
- one JSON text a line (NDJSON), also where each line is a page of an API's answers;
- a table of raw answers as Apache DevLake keeps them: id, params, data, url, input, created_at,
  with the answer in `data`.

A document is placed by its line in the file (where it has one of its own) or by its number. A text
that ends early is an error, never fewer documents. Bounded: one JSON text, or one line of NDJSON,
may have `MAX_TEXT` bytes, for it is parsed as a whole.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from process_mining.errors import RunError
from process_mining.sources._csv import records
from process_mining.sources._files import encoding_of, first_line, looks_binary, open_bytes
from process_mining.sources._json import BadJsonError, outline, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

MAX_TEXT: Final = 128 << 20
RAW_TABLE: Final = ("id", "params", "data", "url", "input", "created_at")
DATA: Final = RAW_TABLE.index("data")
URL: Final = RAW_TABLE.index("url")


class Document(NamedTuple):
    """A JSON value, where it stands in its file, its number there, and the address it came from.

    `value` is None and `problem` the (code, reason) of a reject where one of several cannot be
    read; `number` counts from 1 and sorts them.
    """

    value: Any
    place: str
    number: int
    url: str = ""
    problem: tuple[str, str] | None = None


def keys_of(head: bytes) -> frozenset[str]:
    """Return the paths of the keys that the first bytes show (see `outline`), for recognising.

    A list at the top is left out of the path: "[].id" is "id", as it is in NDJSON.
    """
    if looks_binary(head):
        return frozenset()
    text = head.decode(encoding_of(head), errors="replace")
    if _is_raw_table(head):
        text = _first_data(text)
    return frozenset(path.removeprefix("[].").removeprefix("[]") for path in outline(text))


def documents(path: Path) -> Iterator[Document]:
    """Yield the documents of a file in file order."""
    with open_bytes(path) as stream:
        head = stream.read1(1 << 16)
    if _is_raw_table(head):
        yield from _of_table(path)
    else:
        yield from _of_json(path)


def _is_raw_table(head: bytes) -> bool:
    return tuple(next(csv.reader([first_line(head)]), ())) == RAW_TABLE


def _first_data(text: str) -> str:
    """Return what the beginning shows of the first answer of a raw table."""
    rows = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    next(rows, None)
    row = next(rows, [])
    return row[DATA] if len(row) > DATA else ""


def _of_table(path: Path) -> Iterator[Document]:
    rows = records(path, delimiter=",", encoding=None, width=len(RAW_TABLE))
    next(rows)
    for row in rows:
        place = f"line {row.line}"
        if row.problem:
            yield Document(None, place, row.line, problem=row.problem)
            continue
        url = row.cells[URL]
        try:
            value = parse_json(row.cells[DATA], mend=True)
        except BadJsonError as error:
            yield Document(None, place, row.line, url, (error.code, f"data {error.reason}"))
        else:
            yield Document(value, place, row.line, url)


def _of_json(path: Path) -> Iterator[Document]:
    """Yield one document a line where the first line is one and more follow, else the one text."""
    with open_bytes(path) as stream:
        first = _next_line(stream, path, 0)
        several = first is not None and _is_json(first.text) and _next_line(stream, path, 1)
    if several:
        yield from _of_lines(path)
        return
    try:
        value = parse_json(_whole_text(path), mend=True)
    except BadJsonError as error:
        raise _unreadable(path, error) from error
    if isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield Document(item, f"element {number}", number)
    else:
        yield Document(value, "line 1", 1)


class _Line(NamedTuple):
    """A line that is not blank: its number, its text, and whether a line break ends it."""

    number: int
    text: str
    ended: bool


def _next_line(stream: BufferedReader, path: Path, number: int) -> _Line | None:
    """Return the next line that is not blank; `number` is that of the line before."""
    while data := stream.readline(MAX_TEXT + 1):
        number += 1
        if len(data) > MAX_TEXT:
            return _Line(number, "", ended=False)  # one text, too long: the whole is refused
        try:
            text = data.decode(encoding_of(data) if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            if number == 1:
                return _Line(number, "", ended=False)  # the whole says which encoding it is not
            msg = f"{path.name} line {number} byte {error.start + 1} is no utf-8"
            raise RunError("LG063", msg, fix="Write JSON as UTF-8 (RFC 8259)") from error
        if text.strip():
            return _Line(number, text, ended=data.endswith(b"\n"))
    return None


def _is_json(text: str) -> bool:
    try:
        parse_json(text, mend=True)
    except BadJsonError:
        return False
    return True


def _of_lines(path: Path) -> Iterator[Document]:
    """Yield one document a line, one line in memory at a time; a last line that is cut stops."""
    with open_bytes(path) as stream:
        line = _next_line(stream, path, 0)
        while line is not None:
            following = _next_line(stream, path, line.number)
            yield _document(path, line, last=following is None)
            line = following


def _document(path: Path, line: _Line, *, last: bool) -> Document:
    place = f"line {line.number}"
    try:
        return Document(parse_json(line.text, mend=True), place, line.number)
    except BadJsonError as error:
        if last and not line.ended and error.code == "LG120":
            msg = f"{path.name} ends in the middle of line {line.number}"
            fix = "Copy or export it again"
            raise RunError("LG060", msg, why="the log would be cut", fix=fix) from error
        return Document(None, place, line.number, problem=(error.code, error.reason))


def _whole_text(path: Path) -> str:
    with open_bytes(path) as stream:
        data = stream.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        msg = f"{path.name} is one JSON text of more than {MAX_TEXT >> 20} MiB"
        raise RunError("LG062", msg, fix="Export it in pages, one file or one line a page")
    try:
        return data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        msg = f"{path.name} byte {error.start + 1} is no {encoding_of(data).removesuffix('-sig')}"
        raise RunError("LG063", msg, fix="Write JSON as UTF-8 (RFC 8259)") from error


def _unreadable(path: Path, error: BadJsonError) -> RunError:
    msg = f"{path.name} {error.reason}"
    why = "a text that ends early would be a log that is cut"
    return RunError("LG064", msg, why=why, fix="Copy or export it again")
