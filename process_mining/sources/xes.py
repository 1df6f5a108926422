"""Which events does an XES log hold?

A reader of our own for IEEE 1849 logs (1849-2016 and 1849-2023), streaming over expat: one trace
is held at a time. What it takes, and as what:

    trace: concept:name → case_id; other attributes → the case's attr.<key>
    event: concept:name → activity, lifecycle:transition → lifecycle, org:resource → actor,
           org:group → team, time:timestamp → at, place in the trace → position;
           other attributes → attr.<key>

Values are kept as the text that stands in the file, whatever their tag (int, float, boolean, id,
date). Attributes nested in an attribute or container are kept as attr.<outer>.<inner>; lists have
no column form and are left out, counted in a note. Attributes of the log, extensions, globals and
classifiers are not read: a global's value is the default of a tool, not a fact. Names may have any
namespace prefix; the namespace itself is not checked.

A log without any time is read (level A: order only). Rejected: an event without name, one whose
time is missing or unreadable, one with a key twice or an attribute without key or value, and every
event of a trace without name. These stop the reading: DOCTYPE (so no entity can be declared),
malformed or cut XML, an event outside a trace, two logs in one file, two traces of one name, and
a tag of more than `MAX_TAG` bytes.

Cost: one Python call for each start and end tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.eventlog import POSITION
from process_mining.sources import Parts, refuse_mapping
from process_mining.sources._files import UTF16_MARKS, open_bytes
from process_mining.sources._rejects import RejectList, shown
from process_mining.sources._table import TableBuilder
from process_mining.sources._times import ISO, BadTimeError, TimeReader, load_zone, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions
    from process_mining.sources._times import Instant

NAME: Final = "xes"
CHUNK: Final = 1 << 20
MAX_TAG: Final = 64 << 20
MAX_DEPTH: Final = 64

CONCEPT_NAME: Final = "concept:name"
TIMESTAMP: Final = "time:timestamp"
COLUMNS: Final = {
    CONCEPT_NAME: s.ACTIVITY,
    "lifecycle:transition": s.LIFECYCLE,
    "org:resource": s.ACTOR,
    "org:group": s.TEAM,
}
VALUES: Final = frozenset({"string", "date", "int", "float", "boolean", "id"})
TYPES: Final = {s.AT: pa.int64(), POSITION: pa.int64()}
_ROOT: Final = re.compile(r"<(?!\?|!--)(?:[\w.-]+:)?(!DOCTYPE|[\w.-]+)")
_COMMENT: Final = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_JUNK: Final = frozenset({9, 17})  # expat: content after the root, a second XML declaration


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is XML whose root is `log`, or which starts with a DOCTYPE (then refused)."""
    text = _COMMENT.sub("", _xml_text(head)).lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return False
    root = _ROOT.search(text)
    return root is not None and root.group(1) in {"log", "!DOCTYPE"}


def _xml_text(head: bytes) -> str:
    if head.startswith(UTF16_MARKS):
        return head.decode("utf-16", errors="replace")
    if head.startswith((b"<\0", b"\0<")):
        return head.replace(b"\0", b"").decode("latin-1")
    return head.decode("utf-8", errors="replace")


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    refuse_mapping(options, NAME)
    zone = load_zone(options.timezone) if options.timezone else None
    log = _Log(instant=reading(TimeReader(pattern=ISO, zone=zone)))
    for path in paths:
        _File(path, log).read()
    return log.parts(options.timezone or "UTC")


class _Place(NamedTuple):
    file: str
    line: int
    trace: int
    event: int

    def __str__(self) -> str:
        return f"line {self.line} (trace {self.trace}, event {self.event})"


@dataclass(eq=False)
class _Item:
    """A trace or an event while it is open: its cells, and the first thing wrong with it."""

    line: int
    cells: dict[str, str] = field(default_factory=dict)
    problem: tuple[str, str] | None = None

    def put(self, key: str | None, value: str | None, path: list[str]) -> None:
        """Keep one attribute; `path` names the attributes around it."""
        if key is None or value is None:
            what = "key" if key is None else f"value for key {shown(key)}"
            self._note("LG143", f"has an attribute without {what}")
            return
        name = ".".join([*path, key])
        if name in self.cells:
            self._note("LG142", f"has key {shown(name)} twice")
        self.cells[name] = value

    def _note(self, code: str, reason: str) -> None:
        self.problem = self.problem or (code, reason)


@dataclass(eq=False)
class _Log:
    """What all files of one call give together."""

    instant: Callable[[str], Instant]
    rejects: RejectList = field(default_factory=RejectList)
    rows_in: int = 0
    rows: int = 0
    lists: int = 0
    odd_times: int = 0
    events: TableBuilder = field(default_factory=lambda: TableBuilder(types=TYPES, place="the log"))
    cases: TableBuilder = field(default_factory=lambda: TableBuilder(types={}, place="the log"))
    traces: dict[str, str] = field(default_factory=dict)
    untimed: list[tuple[int, _Place]] = field(default_factory=list)

    def trace(self, trace: _Item, events: list[_Item], file: str, index: int) -> None:
        """Take one finished trace."""
        self.rows_in += len(events)
        case = trace.cells.pop(CONCEPT_NAME, "")
        problem = trace.problem or (None if case else ("LG140", "belongs to a trace without name"))
        if not problem:
            self._case(case, trace, f"{file} line {trace.line} (trace {index})")
        for position, event in enumerate(events):
            place = _Place(file, event.line, index, position + 1)
            code_and_reason = problem or event.problem or self._event(case, event, position, place)
            if code_and_reason:
                self._reject(place, *code_and_reason)

    def parts(self, timezone: str) -> Parts:
        """Return everything, once the last file is read."""
        timed = len(self.untimed) < self.rows
        keep = np.ones(self.rows, bool)
        if timed:
            keep[[row for row, _ in self.untimed]] = False
            for _, place in self.untimed:
                self._reject(place, "LG103", "has no time, while other events have one")
        return Parts(
            events=self.events.table().filter(pa.array(keep)),
            cases=self.cases.table() if self.traces else None,
            rows_in=self.rows_in,
            rejects=self.rejects.table(),
            timezone=timezone,
            notes=self._notes(),
        )

    def _case(self, case: str, trace: _Item, place: str) -> None:
        if case in self.traces:
            raise RunError(
                "LG075",
                f"trace {shown(case)} stands in {self.traces[case]} and in {place}",
                why="whether they are one case is not guessed",
                fix="Give every trace a concept:name of its own",
            )
        self.traces[case] = place
        attributes = {s.ATTRIBUTE_PREFIX + key: value for key, value in trace.cells.items()}
        self.cases.add({s.CASE_ID: case, **attributes})

    def _event(
        self, case: str, event: _Item, position: int, place: _Place
    ) -> tuple[str, str] | None:
        """Add one event; return what is wrong with it, if anything."""
        cells = event.cells
        if not cells.get(CONCEPT_NAME):
            return ("LG141", "has no concept:name")
        stamp = cells.pop(TIMESTAMP, None)
        try:
            at = None if stamp is None else self.instant(stamp).us
        except BadTimeError as error:
            return (error.code, f"{TIMESTAMP} {error.reason}")
        if at is None:
            self.untimed.append((self.rows, place))
        row: dict[str, str | int | None] = {
            COLUMNS.get(key) or s.ATTRIBUTE_PREFIX + key: value for key, value in cells.items()
        }
        self.events.add(row | {s.CASE_ID: case, s.AT: at, POSITION: position})
        self.rows += 1
        return None

    def _reject(self, place: _Place, code: str, reason: str) -> None:
        self.rejects.add(
            file=place.file, number=place.line, place=str(place), code=code, reason=reason
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self.lists:
            notes.append(f"{self.lists} list attributes have no column form and were left out")
        if self.odd_times:
            notes.append(f"{self.odd_times} times stand in another tag than <date>")
        return tuple(notes)


class _File:
    """One file on its way through expat: what is open, and where."""

    def __init__(self, path: Path, log: _Log) -> None:
        self._path, self._name, self._log = path, path.name, log
        self._parser = self._new_parser()
        self._fed = 0
        self._skip = 0
        self._opened = self._closed = False
        self._trace: _Item | None = None
        self._event: _Item | None = None
        self._events: list[_Item] = []
        self._traces = 0
        self._keys: list[str] = []

    def read(self) -> None:
        """Feed the whole file."""
        with open_bytes(self._path) as stream:
            while chunk := stream.read(CHUNK):
                self._feed(chunk, last=False)
                if self._fed - self._parser.CurrentByteIndex > MAX_TAG:
                    msg = f"{self._name} line {self._line} holds a tag over {MAX_TAG >> 20} MiB"
                    raise RunError("LG076", msg, fix="Check the export")
        self._feed(b"", last=True)

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        return parser

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _feed(self, chunk: bytes, *, last: bool) -> None:
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            raise self._malformed(error, last=last) from error

    def _malformed(self, error: expat.ExpatError, *, last: bool) -> RunError:
        where = f"{self._name} line {error.lineno}, column {error.offset + 1}"
        if last:
            msg = f"{self._name} ends in the middle of the log (line {error.lineno})"
            fix = "Copy or export it again"
            return RunError("LG071", msg, why="the log would be cut", fix=fix)
        if self._closed and error.code in _JUNK:
            msg = f"{where}: something follows after the end of the log"
            return RunError("LG074", msg, fix="Keep one log in a file")
        reason = expat.errors.messages.get(error.code, "") and expat.ErrorString(error.code)
        fix = "Mend the XML; if letters are at fault, declare the encoding in its first line"
        return RunError("LG072", f"{where}: no well-formed XML ({reason})", fix=fix)

    def _doctype(self, *_: object) -> None:
        raise RunError(
            "LG070",
            f"{self._name} line {self._line} holds a DOCTYPE",
            why="it could declare entities that read files or fill the memory; XES has none",
            fix="Remove the DOCTYPE",
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skip:
            self._skip += 1
            return
        name = tag.rpartition(":")[2]
        if name in VALUES or name == "container":
            self._attribute(name, attributes)
        elif name == "event":
            self._start_event()
        elif name == "trace":
            self._start_trace()
        elif name == "log" and not self._opened:
            self._opened = True
        else:
            self._leave_out(name)

    def _attribute(self, tag: str, attributes: dict[str, str]) -> None:
        item = self._event or self._trace
        if item is None:
            self._skip = 1
            return
        key, value = attributes.get("key"), attributes.get("value")
        if tag != "container" or key is None:
            item.put(key, value, self._keys)
        if key == TIMESTAMP and tag != "date" and self._event:
            self._log.odd_times += 1
        self._keys.append(key or "")
        if len(self._keys) > MAX_DEPTH:
            msg = f"{self._name} line {self._line} nests attributes over {MAX_DEPTH} deep"
            raise RunError("LG076", msg, fix="Check the export")

    def _start_event(self) -> None:
        if self._trace is None or self._event is not None or self._keys:
            msg = f"{self._name} line {self._line}: an event stands outside a trace"
            raise RunError("LG073", msg, why="its case is unknown", fix="Put it into its trace")
        self._event = _Item(self._line)

    def _start_trace(self) -> None:
        if not self._opened or self._trace is not None:
            msg = f"{self._name} line {self._line}: a trace stands outside the log"
            raise RunError("LG073", msg, fix="Put traces directly into <log>")
        self._traces += 1
        self._trace = _Item(self._line)

    def _leave_out(self, name: str) -> None:
        if name == "log":
            msg = f"{self._name} line {self._line}: a second log begins inside the log"
            raise RunError("LG074", msg, fix="Keep one log in a file")
        if name == "list" and self._trace is not None:
            self._log.lists += 1
        self._skip = 1

    def _end(self, _tag: str) -> None:
        if self._skip:
            self._skip -= 1
        elif self._keys:
            self._keys.pop()
        elif self._event is not None:
            self._events.append(self._event)
            self._event = None
        elif self._trace is not None:
            self._log.trace(self._trace, self._events, self._name, self._traces)
            self._trace, self._events = None, []
        else:
            self._closed = True
