"""How are the records of a tool's answers taken one by one, and what is refused of them?

A *record* is one JSON object (a ticket, an audit, an event) or one row of a table. Each counts as
one row in and is either taken or refused with its place; a page's own keys (count, next_page) are
no records. Values: an id is text or a whole number and keeps its digits; "" and null are no value;
times are read as `_times` says. A record that a `BadRecordError` leaves half way is refused whole:
handlers read everything first and keep it last.

Rejects: LG166 a record that is no object · LG167 a record that does not say which ticket it is of ·
LG168 a value of another shape than the tool writes · LG169 an id that lost digits (a spreadsheet
wrote 3.6E+11) · LG103 to LG105 a time that is missing or cannot be read.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from process_mining.errors import CodedError, did_you_mean
from process_mining.sources._csv import header_of, records
from process_mining.sources._rejects import RejectList, shown
from process_mining.sources._times import BadTimeError, TimeReader, load_zone, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from process_mining.sources._documents import Document
    from process_mining.sources._mapping import Mapping

    Handler = Callable[["Place", dict[str, Any]], None]

_ROUNDED: Final = re.compile(r"\d(?:\.\d+)?E\+\d+|\d+\.\d+", re.ASCII | re.IGNORECASE)


class BadRecordError(Exception):
    """A record that is not taken: the code and the reason of its reject."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep both for the list of rejects."""
        super().__init__(reason)
        self.code, self.reason = code, reason


class Place(NamedTuple):
    """Where a record stands: file, place, a number that sorts places, the address it is from."""

    file: str
    place: str
    number: int
    url: str = ""

    def __str__(self) -> str:
        """As messages show it."""
        return f"{self.file} {self.place}"


@dataclass
class Taken:
    """What was taken and refused so far; `met` are the fields that records had."""

    rejects: RejectList = field(default_factory=RejectList)
    rows_in: int = 0
    met: set[str] = field(default_factory=set)
    unused: Counter[str] = field(default_factory=Counter)

    def take(self, place: Place, record: object, handler: Handler) -> None:
        """Hand one record to its handler; what it cannot read becomes a reject."""
        self.rows_in += 1
        try:
            handler(place, object_of(record))
        except (BadRecordError, BadTimeError) as error:
            self.refuse(place, error.code, error.reason)

    def take_list(self, place: Place, found: object, handler: Handler) -> None:
        """Hand over the records of a list, or the one record that stands in its place."""
        several = isinstance(found, list)
        for number, record in enumerate(list_of(found), start=1):
            where = f"{place.place}, record {number}" if several else place.place
            self.take(place._replace(place=where), record, handler)

    def unreadable(self, place: Place, problem: tuple[str, str]) -> None:
        """Note a record that could not even be parsed."""
        self.rows_in += 1
        self.refuse(place, *problem)

    def refuse(self, place: Place, code: str, reason: str) -> None:
        """Note a reject."""
        self.rejects.add(
            file=place.file, number=place.number, place=place.place, code=code, reason=reason
        )

    def pass_over(self, name: str, n: int = 1) -> None:
        """Count records of a kind that says nothing of tickets, for a note."""
        self.rows_in += n
        self.unused[name] += n

    def notes(self) -> list[str]:
        """Return a note that names what was recognised and not used."""
        if not self.unused:
            return []
        kinds = ", ".join(f"{name} ({n:,})" for name, n in sorted(self.unused.items()))
        return [f"read, and of no use for the log: {kinds}"]


def place_of(path: Path, document: Document) -> Place:
    """Return the place of a document."""
    return Place(path.name, document.place, document.number, document.url)


def header(path: Path) -> list[str]:
    """Return the names of a table's columns, in small letters, without quotes of their own."""
    return [_plain(name) for name in header_of(path)]


def plain_header(line: str) -> list[str]:
    """Return the same of a header line."""
    return [_plain(name) for name in next(csv.reader([line]), [])]


def _plain(name: str) -> str:
    return name.replace('"', "").strip().lower()


def rows(path: Path, taken: Taken) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the rows of a table as records; an unreadable one is refused."""
    names = header(path)
    lines = records(path, delimiter=",", encoding=None, width=len(names))
    next(lines)
    for line in lines:
        place = Place(path.name, f"line {line.line}", line.line)
        if line.problem:
            taken.unreadable(place, line.problem)
        else:
            yield place, dict(zip(names, line.cells, strict=True))


def object_of(value: object, name: str = "record") -> dict[str, Any]:
    """Return a JSON object; BadRecordError LG166 for anything else."""
    if not isinstance(value, dict):
        raise BadRecordError("LG166", f"{name} is {_kind(value)}, not an object")
    return value


def list_of(value: object) -> list[Any]:
    """Return a list; one object alone is a list of one, nothing an empty one."""
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def part(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside a record; {} where there is none."""
    value = record.get(name)
    return {} if value is None else object_of(value, name)


def text(record: dict[str, Any], name: str) -> str | None:
    """Return a value as text, None where there is none; BadRecordError LG168 for a container."""
    value = record.get(name)
    if isinstance(value, (dict, list)):
        raise BadRecordError("LG168", f"{name} is {_kind(value)}, not a text")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value is not None and value != "" else None


def id_of(record: dict[str, Any], name: str) -> str | None:
    """Return an id in its own digits; BadRecordError LG169 for one that a spreadsheet rounded."""
    value = text(record, name)
    if value is not None and _ROUNDED.fullmatch(value):
        raise BadRecordError("LG169", f"{name} {shown(value)} has lost digits")
    return value


def needed_id(record: dict[str, Any], name: str) -> str:
    """Return the id of the ticket that a record is of; BadRecordError LG167 where it is missing."""
    value = id_of(record, name)
    if value is None:
        raise BadRecordError("LG167", f"has no {name}")
    return value


@dataclass(frozen=True)
class Clock:
    """Reads a tool's times; `zone` is the one that its documentation states for bare stamps."""

    read: Callable[[str], Any]
    zone: str

    def us(self, record: dict[str, Any], name: str) -> int | None:
        """Return a time in µs UTC, None where there is none."""
        value = text(record, name)
        return None if value is None else int(self.read(value).us)

    def needed(self, record: dict[str, Any], name: str) -> int:
        """Return a time that must be there; BadRecordError LG103 where it is not."""
        value = self.us(record, name)
        if value is None:
            raise BadRecordError("LG103", f"has no {name}")
        return value


def clock_of(mapping: Mapping, timezone: str | None, *, documented: str | None = None) -> Clock:
    """Return the clock: the zone that is declared, else the documented one, else none."""
    zone = mapping.time.timezone or timezone or documented
    reader = TimeReader(
        pattern=mapping.time.format or "iso",
        zone=load_zone(zone) if zone else None,
        ambiguous=mapping.time.ambiguous,
        nonexistent=mapping.time.nonexistent,
    )
    return Clock(reading(reader), zone or "UTC")


def require_fields(mapping: Mapping, met: Collection[str], *, of: str) -> None:
    """Raise CodedError LG089 for a field that [fields] names and no record has."""
    for where, name in declared(mapping):
        if name not in met:
            raise CodedError(
                "LG089",
                f"mapping '{mapping.name}', fields.{where}: no {of} has a field '{name}'",
                why="what it should say would be missing without a word",
                fix=did_you_mean(name, met) or "Leave it out",
            )


def declared(mapping: Mapping) -> Iterable[tuple[str, str]]:
    """Yield what [fields] says: the log's name of a field, the tool's."""
    for where, value in mapping.fields:
        for name in value if isinstance(value, tuple) else (value,):
            if name is not None:
                yield where, name


def no_tickets(tool: str, taken: Taken, fix: str) -> CodedError:
    """Return the error for files that tell of no ticket at all."""
    found = ", ".join(sorted(taken.unused)) or "nothing that is a ticket"
    return CodedError(
        "LG088",
        f"these {tool} files tell of no ticket: {found}",
        why="lookup tables alone make no log",
        fix=fix,
    )


def _kind(value: object) -> str:
    names: dict[type, str] = {dict: "an object", list: "a list", bool: "true or false"}
    return "nothing" if value is None else names.get(type(value), "a text or a number")
