"""What does any well-formed XES hold, tag by tag?

The exact reader: everything that IEEE 1849 allows and XML can say goes through here unless
`plain` knows it to be plain. Streams over expat; one trace is held at a time.

Which tags make what is said in `xes`. Cost: one Python call for each start and end tag.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.eventlog import POSITION
from process_mining.sources._rejects import shown
from process_mining.sources._table import TableBuilder
from process_mining.sources._xml import doctype, malformed
from process_mining.sources.xes.forms import has_form
from process_mining.sources.xes.lists import HOLDERS, OpenList

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TIMESTAMP: Final = "time:timestamp"
TRACE: Final = "trace"
LINE: Final = "line"
CODE: Final = "code"
REASON: Final = "reason"
MAX_TAG: Final = 16 << 20
MAX_DEPTH: Final = 64
_EVENT_TYPES: Final = {TRACE: pa.int64(), POSITION: pa.int64(), LINE: pa.int64()}
_TRACE_TYPES: Final = {TRACE: pa.int64(), LINE: pa.int64()}


@dataclass(eq=False)
class FileFacts:
    """What one file gives: tables of raw text, and what is declared or odd.

    `events` hold `trace` (ordinal over all files), `position`, `attr.<key>`, and where they were
    read tag by tag `line`, `code`, `reason` (of the first problem); `traces` hold the same without
    `position`. `first` is the ordinal of the first trace.
    """

    name: str
    first: int
    events: list[pa.Table] = field(default_factory=list)
    traces: list[pa.Table] = field(default_factory=list)
    n_traces: int = 0
    declared: dict[str, dict[str, None]] = field(default_factory=lambda: {"trace": {}, "event": {}})
    classifiers: dict[str, str] = field(default_factory=dict)
    malformed: Counter[str] = field(default_factory=Counter)
    odd_times: int = 0


@dataclass(eq=False)
class _Item:
    """A trace or an event while it is open: its cells, and the first thing wrong with it."""

    line: int
    facts: FileFacts
    in_event: bool
    cells: dict[str, str] = field(default_factory=dict)
    problem: tuple[str, str] | None = None

    def put(self, key: str | None, value: str | None, path: Sequence[str]) -> None:
        """Keep one attribute; `path` names the attributes around it."""
        if key is None or value is None:
            what = "key" if key is None else f"value for key {shown(key)}"
            self.note("LG143", f"has an attribute without {what}")
            return
        name = s.ATTRIBUTE_PREFIX + ".".join([*path, key]) if path else s.ATTRIBUTE_PREFIX + key
        if name in self.cells:
            short = name.removeprefix(s.ATTRIBUTE_PREFIX)
            self.note("LG142", f"has key {shown(short)} twice")
        self.cells[name] = value

    def note(self, code: str, reason: str) -> None:
        """Take a problem; the first one counts."""
        self.problem = self.problem or (code, reason)

    def typed(self, tag: str, value: str) -> None:
        """Count a value that lacks the form of its tag."""
        if tag != "string" and not has_form(tag, value):
            self.facts.malformed[tag] += 1

    def row(self) -> dict[str, str | int | None]:
        """Return the cells with the place and the problem."""
        row: dict[str, str | int | None] = {**self.cells, LINE: self.line}
        if self.problem:
            row[CODE], row[REASON] = self.problem
        return row


class TagReader:
    """One file on its way through expat: what is open, and where."""

    def __init__(self, facts: FileFacts) -> None:
        """Start before the first byte."""
        self._facts = facts
        place = facts.name
        self._event_rows = TableBuilder(types=_EVENT_TYPES, place=place)
        self._trace_rows = TableBuilder(types=_TRACE_TYPES, place=place)
        self._parser = self._new_parser()
        self._fed = self._skip = self._skipped_lines = 0
        self._opened = self._closed = False
        self._trace: _Item | None = None
        self._event: _Item | None = None
        self._events: list[_Item] = []
        self._keys: list[str] = []
        self._list: OpenList | None = None
        self._list_depth = 0
        self._scope: str | None = None

    def feed(self, chunk: bytes, *, last: bool = False) -> None:
        """Read on."""
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            raise malformed(
                error, self._facts.name, last=last, closed=self._closed, skipped=self._skipped_lines
            ) from error
        if not last and self._fed - self._parser.CurrentByteIndex > MAX_TAG:
            msg = f"{self._facts.name} line {self._line} holds a tag over {MAX_TAG >> 20} MiB"
            raise RunError("LG076", msg, fix="Check the export")

    def close(self) -> None:
        """Hand over what was read, once the last byte was fed."""
        self.feed(b"", last=True)
        for rows, tables in (
            (self._event_rows, self._facts.events),
            (self._trace_rows, self._facts.traces),
        ):
            table = rows.table()
            if table.num_rows:
                tables.append(table)

    def skip_lines(self, lines: int) -> None:
        """Count the lines of a stretch that was read otherwise and is not fed."""
        self._skipped_lines += lines

    @property
    def between_traces(self) -> bool:
        """Whether the log is open and nothing in it."""
        return (
            self._opened
            and not self._closed
            and not (self._skip or self._keys or self._trace or self._scope)
        )

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber + self._skipped_lines

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        return parser

    def _doctype(self, *_: object) -> None:
        raise doctype(self._facts.name, self._line)

    # --- start tags

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skip:
            self._skip += 1
            return
        name = tag.rpartition(":")[2]
        if self._list is not None:
            self._in_list(self._list, name, attributes)
        elif name in HOLDERS:
            self._attribute(name, attributes)
        elif name == "event":
            self._start_event()
        elif name == "trace":
            self._start_trace()
        elif name == "log" and not self._opened:
            self._opened = True
        else:
            self._rest(name, attributes)

    def _attribute(self, tag: str, attributes: Mapping[str, str]) -> None:
        item = self._event or self._trace
        key, value = attributes.get("key"), attributes.get("value")
        if item is None:
            self._declare(key)
            self._skip = 1
            return
        if tag != "container" or key is None:
            item.put(key, value, self._keys)
            self._judge_form(item, tag, key, value)
        self._keys.append(key or "")
        if len(self._keys) > MAX_DEPTH:
            self._too_deep()

    def _judge_form(self, item: _Item, tag: str, key: str | None, value: str | None) -> None:
        """Count values without the form of their tag; the time of an event is judged as a time."""
        if item.in_event and key == TIMESTAMP:
            self._facts.odd_times += tag != "date"
            if not self._keys:
                return
        if tag != "string" and value is not None:
            item.typed(tag, value)

    def _declare(self, key: str | None) -> None:
        """Note a key that a global declares."""
        if self._scope in self._facts.declared and key is not None:
            self._facts.declared[self._scope][key] = None

    def _in_list(self, open_list: OpenList, name: str, attributes: Mapping[str, str]) -> None:
        self._list_depth += 1
        if self._list_depth + len(self._keys) > MAX_DEPTH:
            self._too_deep()
        open_list.start(name, attributes)

    def _too_deep(self) -> None:
        msg = f"{self._facts.name} line {self._line} nests attributes over {MAX_DEPTH} deep"
        raise RunError("LG076", msg, fix="Check the export")

    def _start_event(self) -> None:
        if self._trace is None or self._event is not None or self._keys:
            msg = f"{self._facts.name} line {self._line}: an event stands outside a trace"
            raise RunError("LG073", msg, why="its case is unknown", fix="Put it into its trace")
        self._event = _Item(self._line, self._facts, in_event=True)

    def _start_trace(self) -> None:
        if not self._opened or self._trace is not None or self._scope is not None:
            msg = f"{self._facts.name} line {self._line}: a trace stands outside the log"
            raise RunError("LG073", msg, fix="Put traces directly into <log>")
        self._trace = _Item(self._line, self._facts, in_event=False)

    def _rest(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take what is no attribute and holds no event."""
        if name == "log":
            msg = f"{self._facts.name} line {self._line}: a second log begins inside the log"
            raise RunError("LG074", msg, fix="Keep one log in a file")
        item = self._event or self._trace
        if name == "list" and item is not None:
            if attributes.get("key") is None:
                item.put(None, None, ())
            self._list, self._list_depth = OpenList(attributes.get("key") or "", item), 0
        elif name == "global" and item is None and self._opened and self._scope is None:
            self._scope = attributes.get("scope", "")
        else:
            if name == "list" and item is None:
                self._declare(attributes.get("key"))
            if name == "classifier" and item is None:
                self._facts.classifiers[attributes.get("name", "")] = attributes.get("keys", "")
            self._skip = 1

    # --- end tags

    def _end(self, _tag: str) -> None:
        if self._skip:
            self._skip -= 1
        elif self._list is not None:
            self._end_in_list(self._list)
        elif self._keys:
            self._keys.pop()
        elif self._event is not None:
            self._events.append(self._event)
            self._event = None
        elif self._trace is not None:
            self._end_trace(self._trace)
        elif self._scope is not None:
            self._scope = None
        else:
            self._closed = True

    def _end_in_list(self, open_list: OpenList) -> None:
        self._list_depth -= 1
        item = self._event or self._trace
        if not open_list.end() or item is None:
            return
        for name, value in open_list.cells().items():
            text = value if isinstance(value, str) else _json(value)
            item.put(name, text, self._keys)
        self._list = None

    def _end_trace(self, trace: _Item) -> None:
        ordinal = self._facts.first + self._facts.n_traces
        self._facts.n_traces += 1
        self._trace_rows.add(trace.row() | {TRACE: ordinal})
        for position, event in enumerate(self._events):
            self._event_rows.add(event.row() | {TRACE: ordinal, POSITION: position})
        self._trace, self._events = None, []


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def value_reader() -> Callable[[str], str | None]:
    """Return a function that reads the text between the quotes of an attribute as XML does.

    None where it is no text of an attribute.
    """

    def read(raw: str) -> str | None:
        found: list[str] = []
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = lambda _, attributes: found.append(attributes["v"])
        try:
            parser.Parse(f'<a v="{raw}"/>'.encode(), True)  # noqa: FBT003 - expat has no keyword
        except expat.ExpatError:
            return None
        return found[0]

    return read
