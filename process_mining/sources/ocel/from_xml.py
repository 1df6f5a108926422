"""What does an OCEL 2.0 XML file state?

    log
      object-types / object-type[name] / attributes / attribute[name type]
      event-types / event-type[name] / attributes / attribute[name type]
      objects / object[id type]
          attributes / attribute[name time] with the value as text
          objects / relationship[object-id qualifier]
      events / event[id type time]
          attributes / attribute[name] with the value as text
          objects / relationship[object-id qualifier]

Streams over expat; one event or object is held at a time. A relationship may also be called
`object` or `relobj`, as in examples of the specification. Names may have any namespace prefix.
Elements and XML attributes that the standard lacks are counted and left out. A DOCTYPE stops the
reading (so no entity can be declared), as do malformed or cut XML, text after the log, and a tag
or a value of more than `MAX_TAG` bytes.

Cost: one Python call for each start and end tag.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from process_mining.errors import RunError
from process_mining.sources._files import UTF16_MARKS, open_bytes
from process_mining.sources._rejects import shown
from process_mining.sources._xml import doctype, malformed
from process_mining.sources.ocel.log import (
    STATIC,
    OcelEvent,
    OcelObject,
    OddError,
    declare,
    distinct,
    needed,
    not_ocel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from process_mining.sources.ocel.log import Ocel

CHUNK: Final = 1 << 20
MAX_TAG: Final = 64 << 20

_COMMENT: Final = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_ROOT: Final = re.compile(r"<(?!\?)(?:[\w.-]+:)?(!DOCTYPE|[\w.-]+)")
_OWN: Final = re.compile(r"<(?:[\w.-]+:)?(?:object-types|event-types|objects|events)[\s/>]")

Tags = tuple[str, ...]
OBJECT: Final = ("log", "objects", "object")
EVENT: Final = ("log", "events", "event")
OBJECT_TYPE: Final = ("log", "object-types", "object-type")
EVENT_TYPE: Final = ("log", "event-types", "event-type")
TYPES: Final = frozenset({OBJECT_TYPE, EVENT_TYPE})
RELATION: Final = ("relationship", "object", "relobj")
DECLARED: Final = frozenset((*top, "attributes", "attribute") for top in TYPES)
VALUES: Final = frozenset((*top, "attributes", "attribute") for top in (OBJECT, EVENT))
RELATED: Final = frozenset((*top, "objects", tag) for top in (OBJECT, EVENT) for tag in RELATION)
HOLDERS: Final = frozenset(
    {
        *(("log",), OBJECT[:2], EVENT[:2], OBJECT_TYPE[:2], EVENT_TYPE[:2]),
        *((*top, "attributes") for top in (OBJECT, EVENT, OBJECT_TYPE, EVENT_TYPE)),
        *((*top, "objects") for top in (OBJECT, EVENT)),
    }
)
NAMES: Final[dict[Tags, set[str]]] = {OBJECT: {"id", "type"}, EVENT: {"id", "type", "time"}}


def is_ocel_xml(head: bytes) -> bool:
    """Whether this is XML with root `log` that holds object or event types, objects or events."""
    text = _COMMENT.sub("", _text(head)).lstrip("\ufeff \t\r\n")
    root = _ROOT.search(text) if text.startswith("<") else None
    return root is not None and root.group(1) == "log" and _OWN.search(text) is not None


def is_xml(head: bytes) -> bool:
    """Whether the content starts as XML does."""
    return _text(head).lstrip("\ufeff \t\r\n").startswith("<")


def read_xml(path: Path, log: Ocel) -> None:
    """Read one file into the log."""
    _File(path, log).read()


def _text(head: bytes) -> str:
    if head.startswith(UTF16_MARKS):
        return head.decode("utf-16", errors="replace")
    if head.startswith((b"<\0", b"\0<")):
        return head.replace(b"\0", b"").decode("latin-1")
    return head.decode("utf-8", errors="replace")


class _Open:
    """An event, an object or a declared type while it is open."""

    def __init__(self, attributes: Mapping[str, str], line: int, number: int) -> None:
        self.attributes, self.line, self.number = attributes, line, number
        self.values: list[tuple[str, str, str]] = []
        self.declared: list[tuple[str, str]] = []
        self.related: list[tuple[str, str]] = []
        self.problem: OddError | None = None

    def take(self, path: Tags, attributes: Mapping[str, str]) -> None:
        """Take a declared attribute or a relationship."""
        try:
            if path in RELATED:
                other = needed(attributes.get("object-id"), "object-id in a relationship")
                self.related.append((other, attributes.get("qualifier", "")))
            else:
                name = needed(attributes.get("name"), "name of an attribute")
                self.declared.append((name, needed(attributes.get("type"), f"type of {name}")))
        except OddError as error:
            self.problem = self.problem or error

    def value(self, attributes: Mapping[str, str], text: str) -> None:
        """Take the value of an attribute."""
        try:
            name = needed(attributes.get("name"), "name of an attribute")
            self.values.append((name, attributes.get("time") or STATIC, text))
        except OddError as error:
            self.problem = self.problem or error


class _File:
    """One file on its way through expat: what is open, and where."""

    def __init__(self, path: Path, log: Ocel) -> None:
        self._path, self._name, self._log = path, path.name, log
        self._parser = self._new_parser()
        self._fed = self._skip = self._events = 0
        self._tags: list[str] = []
        self._seen: set[Tags] = set()
        self._item: _Open | None = None
        self._value: Mapping[str, str] | None = None
        self._texts: list[str] = []
        self._length = 0

    def read(self) -> None:
        """Feed the whole file; an element of ours that cannot be read stops it."""
        with open_bytes(self._path) as stream:
            while chunk := stream.read(CHUNK):
                self._feed(chunk, last=False)
                self._check_size(self._fed - self._parser.CurrentByteIndex)
        self._feed(b"", last=True)
        missing = [top[1] for top in (EVENT, OBJECT) if top[:2] not in self._seen]
        if missing:
            raise not_ocel(self._name, f"it has no {' and no '.join(missing)}")

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        return parser

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _feed(self, chunk: bytes, *, last: bool) -> None:
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            closed = bool(self._seen) and not self._tags
            raise malformed(error, self._name, last=last, closed=closed) from error

    def _check_size(self, size: int) -> None:
        if size > MAX_TAG:
            msg = f"{self._name} line {self._line} holds a tag or value over {MAX_TAG >> 20} MiB"
            raise RunError("LG076", msg, fix="Check the export")

    def _doctype(self, *_: object) -> None:
        raise doctype(self._name, self._line)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skip:
            self._skip += 1
            return
        self._tags.append(tag.rpartition(":")[2])
        path = tuple(self._tags)
        if path in HOLDERS:
            self._seen.add(path)
        elif path in TYPES or path in NAMES:
            self._open(path, attributes)
        elif path in VALUES:
            self._value, self._texts, self._length = attributes, [], 0
        elif self._item is not None and (path in DECLARED or path in RELATED):
            self._item.take(path, attributes)
        else:
            self._unknown(path)

    def _open(self, path: Tags, attributes: dict[str, str]) -> None:
        self._events += path == EVENT
        self._item = _Open(attributes, self._line, self._events)
        for name in sorted(attributes.keys() - NAMES.get(path, {"name"})):
            self._log.left_out[f"XML attributes {shown(name)} of {path[-1]}"] += 1

    def _unknown(self, path: Tags) -> None:
        """Count an element that the standard lacks, and skip what it holds."""
        if path[0] != "log":
            raise not_ocel(self._name, f"its root is {shown(path[0])}, not 'log'")
        if path == ("log", "global"):
            raise not_ocel(self._name, "it is OCEL 1.0 or XES", "Convert it to OCEL 2.0")
        self._log.left_out[f"elements {shown('/'.join(path))}"] += 1
        self._tags.pop()
        self._skip = 1

    def _characters(self, text: str) -> None:
        if self._value is not None and not self._skip:
            self._texts.append(text)
            self._length += len(text)
            self._check_size(self._length)

    def _end(self, _tag: str) -> None:
        if self._skip:
            self._skip -= 1
            return
        path = tuple(self._tags)
        self._tags.pop()
        if self._item is None:
            return
        if self._value is not None:
            self._item.value(self._value, "".join(self._texts))
            self._value = None
        elif path == EVENT:
            self._log.events.append(self._event(self._item))
        elif path == OBJECT:
            self._object(self._item)
        elif path in TYPES:
            self._type(path, self._item)
        if path in TYPES or path in NAMES:
            self._item = None

    def _event(self, item: _Open) -> OcelEvent:
        place = f"line {item.line}"
        try:
            if item.problem:
                raise item.problem
            name = needed(item.attributes.get("id"), "id")
            place = f"{place} ({shown(name)})"
            return OcelEvent(
                id=name,
                type=needed(item.attributes.get("type"), "type"),
                time=item.attributes.get("time"),
                attributes=distinct((key, value) for key, _, value in item.values),
                related=tuple(item.related),
                file=self._name,
                number=item.number,
                place=place,
            )
        except OddError as error:
            problem = (error.code, error.reason)
            return OcelEvent("", "", None, (), (), self._name, item.number, place, problem)

    def _object(self, item: _Open) -> None:
        place = f"{self._name} line {item.line}"
        try:
            if item.problem:
                raise item.problem
            name = needed(item.attributes.get("id"), "id")
            kind = needed(item.attributes.get("type"), "type")
        except OddError as error:
            raise not_ocel(place, f"the object {error.reason}") from error
        values, related = tuple(item.values), tuple(item.related)
        self._log.add_object(OcelObject(name, kind, values, related, place))

    def _type(self, path: Tags, item: _Open) -> None:
        log = self._log
        try:
            if item.problem:
                raise item.problem
            name = needed(item.attributes.get("name"), "name")
        except OddError as error:
            what = f"the {path[-1]} {error.reason}"
            raise not_ocel(f"{self._name} line {item.line}", what) from error
        declare(log.object_types if path == OBJECT_TYPE else log.event_types, name, item.declared)
