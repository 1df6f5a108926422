"""Which records does a CSV file hold, where a quick parser must see what the strict one sees?

`_csv.records` (the standard library's strict parser) is the definition. This reads the same file in
blocks that end with a record, looks each block over in numpy, and lets Arrow parse it; what Arrow
might read in another way is never handed to it. `Doubt` is raised, and the caller starts over with
the strict parser, where the file has

- a quote that does not open a cell at its start, or close it at its end (doubled quotes are fine);
- a carriage return that is not followed by a line feed, NUL, or a byte order mark that is not the
  file's first (Arrow would take one off the start of any piece);
- bytes that are not in the encoding; a delimiter that is no single ASCII character or is a quote;
- a line, or a quoted cell, of more than `LONGEST` bytes (the strict parser's limit for a cell);
- a record with more or fewer cells than the header.

Cells are text and stay what they are: no word means null, no digits mean a number. Each block is a
table with the wanted columns: `plain` ones as strings, the others coded by distinct values.

Line numbers: as long as every block is `simple`, record r (from 0) below the header starts on line
r + 2; after a blank line or a line break in a cell that is not known.

Memory: one piece of `BLOCK` bytes and its table, for each that is worked on; Arrow parses it in
parts of `PARSED_AT_ONCE` bytes (where there are no quotes), which stay in the processor's cache.
Complexity: O(bytes).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from process_mining.errors import RunError
from process_mining.sources._files import encoding_of, head_of, open_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

BLOCK: Final = 8 << 20
PARSED_AT_ONCE: Final = 1 << 20
LONGEST: Final = 1 << 17
CODED: Final = pa.dictionary(pa.int32(), pa.string())
_MARK: Final = "\ufeff".encode()
_NEWLINE, _RETURN, _QUOTE = b"\n", b"\r", b'"'


class Doubt(Exception):  # noqa: N818 - it is no error: the strict parser reads the file
    """The quick parser might not see what the strict one sees."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Whole records of a file; `simple` unless more than the header's line stands before them."""

    text: bytes
    simple: bool = True


@dataclass(frozen=True, eq=False)
class Block:
    """Some records of a file, in order; `simple` if each of them has one line."""

    columns: dict[str, pa.Array]
    rows: int
    simple: bool


@dataclass(frozen=True)
class QuickCsv:
    """One file: where it is, how it is laid out, which columns are wanted and which stay plain."""

    path: Path
    header: Sequence[str]
    delimiter: str
    encoding: str | None
    keep: Collection[str]
    plain: Collection[str]

    def pieces(self) -> Iterator[Piece]:
        """Yield the records below the header, in some pieces; nothing of them is checked yet."""
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n\0':
            raise Doubt
        texts = _whole_records(_utf8(self.path, self.encoding))
        for text in texts:
            yield self._below_header(text)
            break
        for text in texts:
            yield Piece(text)

    def block(self, piece: Piece) -> Block:
        """Check and parse a piece; Doubt says that the strict parser must read the file."""
        text = piece.text
        if not text:
            return Block({}, 0, piece.simple)
        _check(text, self.delimiter.encode())
        columns, rows = self._parse(text)
        lines = text.count(_NEWLINE) + (not text.endswith(_NEWLINE))
        return Block(columns, rows, piece.simple and lines == rows)

    def _below_header(self, text: bytes) -> Piece:
        """Return what stands below the first record."""
        start = 0
        while text[start : start + 1] in {_NEWLINE, _RETURN}:
            start += 1
        end = text.find(_NEWLINE, start) + 1
        while end and text.count(_QUOTE, start, end) % 2:
            end = text.find(_NEWLINE, end) + 1
        head = text[: end or len(text)]
        _check(head, self.delimiter.encode())
        simple = start == 0 and head.count(_NEWLINE) <= 1
        return Piece(text[end:] if end else b"", simple)

    def _parse(self, text: bytes) -> tuple[dict[str, pa.Array], int]:
        """Return the wanted columns; a name that stands twice means its last column."""
        place = {name: str(i) for i, name in enumerate(self.header) if name in self.keep}
        # Where one of Arrow's blocks ends inside the \r\n of a quoted line break, Arrow drops
        # the \n (seen in version 26): text with quotes is one block.
        at_once = len(text) + 1 if _QUOTE in text else min(len(text) + 1, PARSED_AT_ONCE)
        types = {p: pa.string() if name in self.plain else CODED for name, p in place.items()}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(text),
                read_options=arrow_csv.ReadOptions(
                    column_names=[str(index) for index in range(len(self.header))],
                    block_size=at_once,
                    use_threads=False,
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=_QUOTE in text
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise Doubt from error
        return {name: _one(table[p]) for name, p in place.items()}, table.num_rows


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


# --- text in whole records


def _utf8(path: Path, encoding: str | None) -> Iterator[bytes]:
    """Yield the text as UTF-8, without a byte order mark, in pieces of `BLOCK` bytes."""
    declared = encoding or encoding_of(head_of(path))
    pieces = _stored(path) if _is_utf8(declared) else _decoded(path, declared)
    first = next(pieces, b"").removeprefix(_MARK)
    if first.startswith(_MARK):
        raise Doubt
    yield first
    yield from pieces


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"}


def _stored(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as stream:
        try:
            while piece := stream.read(BLOCK):
                yield piece
        except RunError as error:  # which fault of the file comes first, the strict reader tells
            raise Doubt from error


def _decoded(path: Path, encoding: str) -> Iterator[bytes]:
    with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as stream:
        try:
            while piece := stream.read(BLOCK // 2):
                yield piece.encode()
        except (UnicodeError, RunError) as error:
            raise Doubt from error


def _whole_records(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield text that ends with a record (if its quotes are as `_check` wants them)."""
    rest = b""
    for piece in pieces:
        if _QUOTE in rest or _QUOTE in piece:
            text = rest + piece
            end = _end_of_last_record(text)
            whole, rest = text[:end], text[end:]
        else:
            end = piece.rfind(_NEWLINE) + 1
            whole = b"".join((rest, memoryview(piece)[:end])) if end else b""
            rest = piece[end:] if end else rest + piece
        if len(rest) > BLOCK + LONGEST:
            raise Doubt
        if whole:
            yield whole
    if rest:
        yield rest


def _end_of_last_record(text: bytes) -> int:
    """Return the place after the last line feed that no open quote precedes."""
    end = text.rfind(_NEWLINE) + 1
    quotes = text.count(_QUOTE, 0, end)
    while end and quotes % 2:
        before = text.rfind(_NEWLINE, 0, end - 1) + 1
        quotes -= text.count(_QUOTE, before, end)
        end = before
    return end


# --- what is not certain


def _check(text: bytes, delimiter: bytes) -> None:
    """Raise Doubt if the text is not sound in the sense of this module's head-note."""
    if (
        b"\0" in text
        or text.startswith(_MARK)
        or (_RETURN in text and text.count(_RETURN) != text.count(b"\r\n"))
    ):
        raise Doubt
    if not text.isascii() and not _is_valid(text):
        raise Doubt
    start = 0
    while start < len(text):
        end = text.rfind(_NEWLINE, start, start + LONGEST) + 1
        if not end and len(text) - start > LONGEST:
            raise Doubt
        start = end or len(text)
    if _QUOTE in text:
        _check_quotes(np.frombuffer(text, np.uint8), delimiter)


def _is_valid(text: bytes) -> bool:
    whole = pa.Array.from_buffers(
        pa.binary(), 1, [None, pa.py_buffer(np.array([0, len(text)], np.int32)), pa.py_buffer(text)]
    )
    try:
        whole.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _check_quotes(text: npt.NDArray[np.uint8], delimiter: bytes) -> None:
    """Raise Doubt unless quotes only open, close, or stand doubled between the two.

    Taken in turn, quotes open and close; one that opens right after one that closed is the second
    of a doubled pair. Every other one must open after a delimiter or a line break and close before
    one.
    """
    at = np.flatnonzero(text == ord(_QUOTE))
    if len(at) % 2:
        raise Doubt
    opens, closes = at[0::2], at[1::2]
    ends = np.zeros(256, bool)
    ends[[*delimiter, *_NEWLINE]] = True
    apart = np.ones(len(opens), bool)
    apart[1:] = opens[1:] != closes[:-1] + 1
    first, last = opens[apart], closes[np.append(apart[1:], [True])]
    starts_cell = ends[text[np.maximum(first - 1, 0)]] | (first == 0)
    ends[ord(_RETURN)] = True
    ends_cell = ends[text[np.minimum(last + 1, len(text) - 1)]] | (last == len(text) - 1)
    if not (starts_cell.all() and ends_cell.all() and (last - first < LONGEST).all()):
        raise Doubt
