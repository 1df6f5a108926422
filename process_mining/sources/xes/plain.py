"""What does a stretch of plain XES hold, read as columns and not tag by tag?

Most logs are plain: traces of events of attributes, each attribute one empty tag with `key` and
`value` in double quotes. A block of whole traces is cut at every `<` and at the quotes, and what
lies between falls into few distinct texts, which alone are looked at one by one:

    head    <string key="concept:name" value="      (tag and key: as many as the log has keys)
    value   what the log says
    tail    "/> and white space
    bare    <trace>, </trace>, <event>, </event> and white space

A block of such pieces, in an order that makes whole traces, is well-formed XML by construction, and
what it means is certain. A trace that holds anything else (nested attributes, lists, containers,
single quotes, prefixes, a key twice, an undeclared entity, …) is doubtful and is left to
`by_tags`; a comment, CDATA, a processing instruction or bytes that are no UTF-8 make the whole
block doubtful, for they can hide tags. Entities and line breaks in values are read by expat, once
for each distinct value.

Complexity: O(bytes) in vector operations, O(distinct pieces) Python steps.
Not taken: traces that are longer than the reader's block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.eventlog import POSITION
from process_mining.sources._table import MAX_COLUMNS
from process_mining.sources.xes.by_tags import TIMESTAMP, TRACE, value_reader
from process_mining.sources.xes.forms import FORMS, count_malformed

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from process_mining.sources.xes.by_tags import FileFacts

    Bools = npt.NDArray[np.bool_]
    Bytes = npt.NDArray[np.uint8]

BAD, ATTRIBUTE, OPEN_TRACE, OPEN_EVENT, END_EVENT, END_TRACE = range(6)
QUOTES: Final = 4  # of an attribute: two around the key, two around the value
MARKUP: Final = (ord("!"), ord("?"))
_BARE: Final = {
    "<trace": OPEN_TRACE,
    "<event": OPEN_EVENT,
    "</event": END_EVENT,
    "</trace": END_TRACE,
}
# Which tag may follow which, attributes left out: rows first, columns next.
_FOLLOWS: Final = np.zeros((6, 6), bool)
_FOLLOWS[
    [OPEN_TRACE, OPEN_TRACE, OPEN_EVENT, END_EVENT, END_EVENT, END_TRACE],
    [OPEN_EVENT, END_TRACE, END_EVENT, OPEN_EVENT, END_TRACE, OPEN_TRACE],
] = True
_WS: Final = "[ \\t\\r\\n]"
_HEAD: Final = re.compile(
    rf"<(string|date|int|float|boolean|id){_WS}+key{_WS}*={_WS}*"
    rf'"([^"<&\x00-\x1f]*)"{_WS}+value{_WS}*={_WS}*"'
)
_TAIL: Final = re.compile(rf'"{_WS}*/>{_WS}*')
_TAG: Final = re.compile(rf"(</?(?:trace|event)){_WS}*>{_WS}*")
# expat refuses U+FFFE and U+FFFF, which UTF-8 itself can say
_NONCHARACTERS: Final = ("\ufffe", "\uffff")
_NEED_READING: Final = r"[&\x00-\x1f]"


class Key(NamedTuple):
    """An attribute's tag and key."""

    tag: str
    name: str


@dataclass(frozen=True, eq=False)
class _Tags:
    """One row for each tag of a block: what it is, and where its value stands among the values."""

    opens: Ints
    kinds: npt.NDArray[np.int8]
    heads: Ints
    keys: tuple[Key | None, ...]
    values: pa.Array
    value_of: Ints


@dataclass(frozen=True, eq=False)
class Block:
    """A block of whole traces: which of them are doubtful, and the columns of the others.

    `starts` says at which byte each trace begins; the last entry is the length of the block.
    """

    starts: Ints
    doubtful: Bools
    _tags: _Tags
    _trace_of: Ints
    _event_of: Ints
    _in_event: Bools

    def take(self, facts: FileFacts, ordinals: Ints) -> None:
        """Add the plain traces to what the file gives; `ordinals` number all traces."""
        plain = ~self.doubtful
        sure = plain[self._trace_of]
        kinds = self._tags.kinds
        opened = np.flatnonzero(sure & (kinds == OPEN_EVENT))
        trace = self._trace_of[opened]
        n_before = np.searchsorted(trace, trace)
        columns = {
            TRACE: pa.array(ordinals[trace]),
            POSITION: pa.array(np.arange(len(trace)) - n_before),
        }
        rows = np.cumsum(plain) - 1
        events = np.full(int(np.count_nonzero(kinds == OPEN_EVENT)) + 1, -1)
        events[self._event_of[opened]] = np.arange(len(opened))
        inside = sure & (kinds == ATTRIBUTE) & self._in_event
        outside = sure & (kinds == ATTRIBUTE) & ~self._in_event
        if len(opened):
            columns |= self._columns(inside, events[self._event_of], len(opened), facts)
            facts.events.append(pa.table(columns))
        named = self._columns(outside, rows[self._trace_of], int(plain.sum()), None)
        if plain.any():
            facts.traces.append(pa.table({TRACE: pa.array(ordinals[plain])} | named))
        self._count_forms(facts, inside, outside)

    def _columns(
        self, chosen: Bools, row_of: Ints, n_rows: int, facts: FileFacts | None
    ) -> dict[str, pa.Array]:
        """Return one text column for each key of the chosen attributes."""
        tags = self._tags
        places = np.flatnonzero(chosen)
        names, name_of = _names(tags.keys)
        codes = name_of[tags.heads[places]].astype(np.int16)  # radix sort
        order = np.argsort(codes, kind="stable")
        places = places[order]
        bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
        columns = {}
        for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True):
            own = places[start:end]
            if len(own):
                column = _scattered(tags.values, tags.value_of[own], row_of[own], n_rows)
                columns[s.ATTRIBUTE_PREFIX + name] = column
        if facts is not None:
            odd = np.array([key is not None and _is_odd_time(key) for key in tags.keys], bool)
            facts.odd_times += int(np.count_nonzero(odd[tags.heads[places]]))
        return columns

    def _count_forms(self, facts: FileFacts, inside: Bools, outside: Bools) -> None:
        """Count the typed values without the form of their tag; an event's time is judged later."""
        tags = self._tags
        for code, key in enumerate(tags.keys):
            if key is None or key.tag not in FORMS:
                continue
            chosen = outside if key.name == TIMESTAMP else inside | outside
            places = np.flatnonzero(chosen & (tags.heads == code))
            bad = count_malformed(key.tag, tags.values.take(pa.array(tags.value_of[places])))
            if bad:
                facts.malformed[key.tag] += bad


def scan(block: bytes) -> Block | None:
    """Cut a block that begins with a trace and ends after one; None if all of it is doubtful."""
    buffer = np.frombuffer(block, np.uint8)
    opens = np.flatnonzero(buffer == ord("<"))
    if not _is_text(block) or np.isin(buffer[opens + 1], MARKUP).any():
        return None
    tags = _tags(block, buffer, opens)
    kinds = tags.kinds
    if kinds[0] != OPEN_TRACE or len(tags.keys) > MAX_COLUMNS:
        return None
    last = np.maximum.accumulate(np.where(kinds > ATTRIBUTE, np.arange(len(kinds)), 0))
    trace_of = np.cumsum(kinds == OPEN_TRACE) - 1
    event_of = np.cumsum(kinds == OPEN_EVENT) - 1
    in_event = kinds[last] == OPEN_EVENT
    starts = np.append(opens[kinds == OPEN_TRACE], len(block))
    doubtful = np.zeros(len(starts) - 1, bool)
    doubtful[trace_of[kinds == BAD]] = True
    doubtful[trace_of[(kinds == ATTRIBUTE) & (kinds[last] == END_TRACE)]] = True
    doubtful[trace_of[_out_of_place(kinds)]] = True
    doubtful[trace_of[_twice(tags, trace_of, event_of, in_event)]] = True
    return Block(starts, doubtful, tags, trace_of, event_of, in_event)


def _is_text(block: bytes) -> bool:
    """Whether the bytes are UTF-8 of characters that XML allows."""
    if block.isascii():
        return True
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return False
    return not any(character in text for character in _NONCHARACTERS)


def _tags(block: bytes, buffer: Bytes, opens: Ints) -> _Tags:
    """Cut the block into pieces and say what each tag is."""
    quotes = np.flatnonzero(buffer == ord('"'))
    first = np.searchsorted(quotes, opens)
    n_quotes = np.diff(first, append=len(quotes))
    quoted = n_quotes == QUOTES
    n_pieces = np.where(quoted, 3, 1)
    start = np.cumsum(n_pieces) - n_pieces
    offsets = np.empty(int(n_pieces.sum()) + 1, np.int32)
    offsets[start] = opens
    offsets[start[quoted] + 1] = quotes[first[quoted] + 2] + 1
    offsets[start[quoted] + 2] = quotes[first[quoted] + 3]
    offsets[-1] = len(block)
    pieces = pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(block)
    )
    heads, head_words = _coded(pieces.take(pa.array(start)))
    tails, tail_words = _coded(pieces.take(pa.array(start[quoted] + 2)))
    values = pieces.take(pa.array(start[quoted] + 1))
    controls = int(np.count_nonzero(buffer < ord(" ")))
    controls -= _controls(heads, head_words) + _controls(tails, tail_words)
    keys = tuple(_key(word) for word in head_words)
    kinds = _kinds(heads, head_words, quoted=quoted, bare=n_quotes == 0)
    value_of = np.cumsum(quoted) - 1
    closed = np.array([_TAIL.fullmatch(word) is not None for word in tail_words], bool)
    readable = closed[tails]
    if controls or b"&" in block:
        values, known = _read_values(values)
        readable &= known
    kinds[np.flatnonzero(quoted)[~readable]] = BAD
    return _Tags(opens, kinds, heads, keys, values, value_of)


def _coded(column: pa.Array) -> tuple[Ints, list[str]]:
    coded = column.dictionary_encode()
    return coded.indices.to_numpy(), coded.dictionary.to_pylist()


def _controls(codes: Ints, words: list[str]) -> int:
    """Return how many control characters stand in the pieces."""
    counts = np.bincount(codes, minlength=len(words))
    each = [sum(character < " " for character in word) for word in words]
    return int(counts @ np.array(each, np.int64))


def _key(word: str) -> Key | None:
    match = _HEAD.fullmatch(word)
    return Key(match[1], match[2]) if match else None


def _kinds(heads: Ints, words: list[str], *, quoted: Bools, bare: Bools) -> npt.NDArray[np.int8]:
    """Say what each tag is."""
    as_attribute = np.array([ATTRIBUTE if _key(word) else BAD for word in words], np.int8)
    tags = [_TAG.fullmatch(word) for word in words]
    as_bare = np.array([_BARE[tag[1]] if tag else BAD for tag in tags], np.int8)
    kinds = np.where(bare, as_bare[heads], np.int8(BAD))
    return np.where(quoted, as_attribute[heads], kinds)


def _read_values(values: pa.Array) -> tuple[pa.Array, Bools]:
    """Read entities and line breaks as XML does; a value that XML does not know is not known."""
    mask = pc.match_substring_regex(values, pattern=_NEED_READING)
    places = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
    known = np.ones(len(values), bool)
    coded = values.take(pa.array(places)).dictionary_encode()
    read = value_reader()
    texts = pa.array([read(raw) for raw in coded.dictionary.to_pylist()], pa.string())
    found = texts.take(coded.indices)
    known[places[found.is_null().to_numpy(zero_copy_only=False)]] = False
    return pc.replace_with_mask(values, mask, found), known


def _out_of_place(kinds: npt.NDArray[np.int8]) -> Ints:
    """Return the tags that may not follow the one before them, or that leave a trace open."""
    places = np.flatnonzero(kinds > ATTRIBUTE)
    order = kinds[places]
    wrong = places[1:][~_FOLLOWS[order[:-1], order[1:]]]
    left_open = places[-1:] if order[-1] != END_TRACE else places[:0]
    # A trace that begins too early ends the one before it, which is then the doubtful one too.
    early = places[:-1][~_FOLLOWS[order[:-1], order[1:]]]
    return np.concatenate([wrong, early, left_open])


def _names(keys: tuple[Key | None, ...]) -> tuple[list[str], Ints]:
    """Return the distinct names, and for each head the number of its name (-1: no attribute)."""
    names = sorted({key.name for key in keys if key is not None})
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([-1 if key is None else number[key.name] for key in keys])


def _twice(tags: _Tags, trace_of: Ints, event_of: Ints, in_event: Bools) -> Ints:
    """Return the attributes whose trace or event has their key already."""
    places = np.flatnonzero(tags.kinds == ATTRIBUTE)
    _, name_of = _names(tags.keys)
    item = np.where(in_event, event_of, trace_of)[places]
    key = (2 * name_of + 1)[tags.heads[places]].astype(np.int16) - in_event[places]
    order = np.argsort(key, kind="stable")
    same = (np.diff(key[order]) == 0) & (np.diff(item[order]) == 0)
    again: Ints = places[order[1:][same]]
    return again


def _scattered(values: pa.Array, chosen: Ints, rows: Ints, n_rows: int) -> pa.Array:
    """Return the chosen values at their rows, null in the others."""
    if len(rows) == n_rows:
        return values.take(pa.array(chosen))
    index = np.full(n_rows, -1)
    index[rows] = chosen
    return values.take(pa.array(index, mask=index < 0))


def _is_odd_time(key: Key) -> bool:
    return key.name == TIMESTAMP and key.tag != "date"
