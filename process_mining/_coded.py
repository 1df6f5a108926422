"""How is a column of text held as integers?

A coded column is an Arrow dictionary array: int32 indices into words. A row is null where it has no
index, or where its word is null: so one word can be made null for all rows at once. Text work
(translation, masking, sorting) is then done once a distinct word, and rows are moved, compared and
sorted as integers. Sources may hand coded columns to `EventLog.build`; the finished log holds plain
text again.

Arrow's plain text has 32-bit offsets, so a column may hold 2 GiB of text at most; `decoded` raises
RunError LG069 for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining._ahead import ahead
from process_mining.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.int32]
    Ints = npt.NDArray[np.int64]

CODED: Final = pa.dictionary(pa.int32(), pa.string())
MAX_TEXT: Final = (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class Coded:
    """A column: for each row the rank of its word among the sorted distinct `words`, -1 for null.

    `words` are sorted by code point (UTF-8's byte order is the same); a word may be used by no row.
    """

    codes: Codes
    words: pa.Array

    def take(self, rows: Ints) -> Coded:
        """Return the rows in another order, or some of them."""
        return Coded(self.codes[rows], self.words)

    def used(self) -> pa.Array:
        """Return the words that a row uses, in order."""
        times = np.bincount(self.codes + 1, minlength=len(self.words) + 1)
        return self.words.take(pa.array(np.flatnonzero(times[1:])))

    def sizes(self) -> Ints:
        """Return how many bytes each word has, and at the end 0 for null."""
        return np.append(pc.binary_length(self.words).to_numpy().astype(np.int64), 0)


def is_coded(kind: pa.DataType) -> bool:
    """Whether a column of this type is coded text."""
    return bool(pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type is text, plain or coded."""
    return bool(pa.types.is_string(kind)) or is_coded(kind)


def encoded(column: pa.Array) -> pa.Array:
    """Return plain text as a coded column; a coded one as it is."""
    if is_coded(column.type):
        return column if column.type.equals(CODED) else column.cast(CODED)
    return column.cast(pa.string()).dictionary_encode()


def indices_of(column: pa.Array) -> Codes:
    """Return the indices of a coded column, -1 for null."""
    indices = column.indices
    if not indices.null_count:
        codes: Codes = indices.to_numpy()
        return codes
    raw = np.frombuffer(indices.buffers()[1], np.int32, len(indices), 4 * indices.offset)
    return np.where(indices.is_valid().to_numpy(zero_copy_only=False), raw, np.int32(-1))


def from_indices(indices: Codes, words: pa.Array) -> pa.Array:
    """Return the coded column with these indices; -1 means null."""
    missing = indices < 0
    mask = missing if missing.any() else None
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32(), mask=mask), words)


def ranked(column: pa.Array | pa.ChunkedArray) -> Coded:
    """Return text, plain or coded, as ranks among its sorted distinct words."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    coded = [encoded(chunk) for chunk in chunks]
    words = {_address(chunk.dictionary): chunk.dictionary for chunk in coded}
    if len(coded) == 1 and _in_order(coded[0].dictionary):
        return Coded(indices_of(coded[0]), coded[0].dictionary)
    every, rank_of = _ranks(words)
    codes = np.empty(len(column), np.int32)
    start = 0
    for chunk in coded:
        end = start + len(chunk)
        codes[start:end] = rank_of[_address(chunk.dictionary)][indices_of(chunk)]
        start = end
    return Coded(codes, every)


def _ranks(words: dict[tuple[int, ...], pa.Array]) -> tuple[pa.Array, dict[tuple[int, ...], Codes]]:
    """Return the sorted distinct words of all, and the rank of each word of each (and of null)."""
    # In one pass; a translation may have given two words one meaning, and made words null.
    filled = {key: part for key, part in words.items() if len(part)}
    own = pa.chunked_array(list(filled.values()), pa.string()).dictionary_encode()
    every = own.chunk(0).dictionary if filled else pa.array([], pa.string())
    order = pc.sort_indices(every).to_numpy()
    rank = np.empty(len(order) + 1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    rank[-1] = -1
    rank_of = dict.fromkeys(words, np.array([-1], np.int32))
    for key, part in zip(filled, own.chunks, strict=True):
        rank_of[key] = np.append(rank[indices_of(part)], np.int32(-1))
    return every.take(pa.array(order)), rank_of


def _in_order(words: pa.Array) -> bool:
    """Whether words are distinct, sorted and not null."""
    if words.null_count:
        return False
    return len(words) < 2 or bool(pc.all(pc.less(words[:-1], words[1:])).as_py())  # noqa: PLR2004


def _address(words: pa.Array) -> tuple[int, ...]:
    """Tell the same words in memory from others: parts of one file share their dictionaries."""
    places = (buffer.address if buffer else 0 for buffer in words.buffers())
    return (words.offset, len(words), *places)


def decoded(column: Coded, name: str) -> pa.Array:
    """Return a coded column as plain text; RunError LG069 if it is more than Arrow can hold."""
    longest = pc.max(pc.binary_length(column.words)).as_py() or 0
    size = longest * len(column.codes)
    if size > MAX_TEXT:  # as it well may be only if all rows had the longest word
        size = int(column.sizes()[column.codes].sum())
    if size > MAX_TEXT:
        raise RunError(
            "LG069",
            f"column '{name}' holds {size / (1 << 30):.1f} GiB of text",
            why="a column of the log may hold 2 GiB",
            fix="Leave the column out in the mapping, or split the log by cases",
        )
    return from_indices(column.codes, column.words).dictionary_decode()


def unified(table: pa.Table) -> pa.Table:
    """Return a table in which every coded column has one chunk and sorted words."""

    def work(name: str) -> pa.Array | pa.ChunkedArray:
        column = table[name]
        if not is_coded(column.type):
            return column
        coded = ranked(column)
        return from_indices(coded.codes, coded.words)

    return pa.table(dict(zip(table.column_names, ahead(work, table.column_names), strict=True)))


def plain(table: pa.Table) -> pa.Table:
    """Return a table whose coded columns are plain text again."""
    for index, name in enumerate(table.column_names):
        if is_coded(table[name].type):
            table = table.set_column(index, name, table[name].cast(pa.string()))
    return table
