"""What does an OCEL 2.0 log state, before an object type is chosen as the case?

The three file formats are read into this one form; `ocel` flattens it. Everything is text as it
stands in the file, times included. An object's attribute has values, each from a time on. What a
file holds beyond the standard is counted in `left_out`, so that nothing is lost in silence.

Source: Berti et al., OCEL (Object-Centric Event Log) 2.0 Specification, 2024, arXiv:2403.01975.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from process_mining.errors import RunError
from process_mining.sources._json import Number
from process_mining.sources._rejects import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

Pairs = tuple[tuple[str, str], ...]
Types = dict[str, dict[str, set[str]]]

# What a static attribute is given as its time by the standard.
STATIC: Final = "1970-01-01T00:00:00Z"


class OddError(Exception):
    """A part of a file that OCEL does not allow: the code and the reason of a reject."""

    def __init__(self, reason: str, code: str = "LG152") -> None:
        """Keep both for the list of rejects."""
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class OcelEvent:
    """One event; `related` are pairs (object id, qualifier), `attributes` pairs (name, value).

    `number` sorts the events of a file, `place` says where it stands; `problem` is the code and
    reason for which it cannot be read, if it cannot.
    """

    id: str
    type: str
    time: str | None
    attributes: Pairs
    related: Pairs
    file: str
    number: int
    place: str
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class OcelObject:
    """One object; `values` are triples (attribute, time from which it holds, value)."""

    id: str
    type: str
    values: tuple[tuple[str, str, str], ...]
    related: Pairs
    place: str


@dataclass(eq=False)
class Ocel:
    """All that the files of one call state; declared types of an attribute by type and name."""

    events: list[OcelEvent] = field(default_factory=list)
    objects: dict[str, OcelObject] = field(default_factory=dict)
    event_types: Types = field(default_factory=dict)
    object_types: Types = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add_object(self, item: OcelObject) -> None:
        """Take one object; RunError LG097 where its id was taken before."""
        known = self.objects.setdefault(item.id, item)
        if known is not item:
            raise RunError(
                "LG097",
                f"object {shown(item.id)} stands in {known.place} and in {item.place}",
                why="which of the two is meant is not guessed",
                fix="Keep one; ids are unique over all object types",
            )


def declare(types: Types, name: str, attributes: Iterable[tuple[str, str]]) -> None:
    """Note a declared type and its attributes; what several files declare is put together."""
    own = types.setdefault(name, {})
    for attribute, kind in attributes:
        own.setdefault(attribute, set()).add(kind)


def needed(value: str | None, what: str) -> str:
    """Return the text; OddError where it is missing or empty."""
    if not value:
        msg = f"has no {what}"
        raise OddError(msg)
    return value


def distinct(attributes: Iterable[tuple[str, str]]) -> Pairs:
    """Return the attributes of an event; OddError LG154 where one stands twice."""
    found = tuple(attributes)
    if len(found) != len(dict(found)):
        twice = Counter(name for name, _ in found).most_common(1)[0][0]
        raise OddError(f"has attribute {shown(twice)} twice", "LG154")
    return found


def scalar(value: object) -> str | None:
    """Return a value as text, None for null; OddError where it is no single value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number | str | int):
        return str(value).replace("\0", "\ufffd")
    if isinstance(value, float):
        return repr(value)
    msg = f"has a value that is no single value ({type(value).__name__})"
    raise OddError(msg)


def not_ocel(file: str, what: str, fix: str = "Export it again as OCEL 2.0") -> RunError:
    """Return the error for a file that is not built as the standard says."""
    return RunError("LG098", f"{file} is no OCEL 2.0: {what}", fix=fix)
