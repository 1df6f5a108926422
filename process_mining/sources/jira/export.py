"""What did the files of a Jira export give, before anything is made of it?

All forms (REST answers, Fivetran's and DevLake's tables, Jira's own CSV) become the same records:
issues with their fields as the REST interface shapes them, entries of changelogs, comments, service
level clocks, and the names behind ids. A row is one issue, one entry, one comment, one service
level, or one row of a table; rows in = accepted + rejected. What comes from which file is kept
only as far as errors and notes need it, so the order of files plays no part.

Issues are referred to by id ("10063") or key ("EE-1"), whichever a record names; the two never look
alike. Texts that people write (summaries, descriptions, comments) are not kept.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from process_mining.sources._json import BadJsonError
from process_mining.sources._rejects import RejectList
from process_mining.sources._times import BadTimeError, TimeReader, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from process_mining.sources._mapping import Mapping as MappingFile
    from process_mining.sources._times import Instant

# Free text, and lists that only repeat what other records say: kept where a mapping names them.
DROPPED: Final = frozenset(
    (
        *("summary", "description", "environment", "comment", "worklog", "attachment", "subtasks"),
        *("votes", "watches", "progress", "aggregateprogress", "timetracking", "thumbnail"),
    )
)
PERSON: Final = ("accountId", "name", "key")
SEPARATOR: Final = ", "


class Place(NamedTuple):
    """Where a record stands: the file, a number that sorts, and words for people."""

    file: str
    number: int
    words: str

    def within(self, part: str) -> Place:
        """Return the place of a part of the record."""
        return self._replace(words=f"{self.words}, {part}")


class Item(NamedTuple):
    """One field that a save changed: ids and words before and after, None where there is none."""

    field: str
    field_id: str | None
    old_id: str | None
    old: str | None
    new_id: str | None
    new: str | None


class Entry(NamedTuple):
    """One save of a changelog; `save` is its id, "" where the export gives none."""

    save: str
    order: tuple[int, ...]
    at: int
    actor: str | None
    items: tuple[Item, ...]


class Remark(NamedTuple):
    """One comment without its text; `public` says whether customers see it, where that is known."""

    id: str
    at: int
    actor: str | None
    public: str | None


class Value(NamedTuple):
    """A value that a field of an issue took at a time, as Fivetran keeps history."""

    issue: str
    field_id: str
    at: int
    actor: str | None
    active: bool
    value: str | None
    several: bool


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as it is now; `fields` as the REST interface names and shapes them.

    `whole` tells that the record carried its changelog, even an empty one.
    """

    id: str | None
    key: str | None
    fields: dict[str, Any]
    place: Place
    whole: bool

    @property
    def ref(self) -> str:
        """What refers to it."""
        return self.key or self.id or ""


class SearchPage(NamedTuple):
    """One page of a search: where it starts, how many issues there are in all, which it holds."""

    start: int
    total: int
    refs: tuple[str, ...]


@dataclass(eq=False)
class Clock:
    """Reads stamps and counts those that a policy decided."""

    reader: TimeReader
    policies: Counter[str] = field(default_factory=Counter)
    _read: Callable[[str], Instant] = field(init=False)

    def __post_init__(self) -> None:
        """Give the reader a memory: stamps repeat."""
        self._read = reading(self.reader)

    def us(self, text: str) -> int:
        """Return the instant; BadTimeError says why there is none."""
        instant = self._read(text)
        if instant.policy:
            self.policies[instant.policy] += 1
        return instant.us


@dataclass(eq=False)
class Export:
    """Collects the records of all files of one call."""

    mapping: MappingFile
    clock: Clock
    rejects: RejectList = field(default_factory=RejectList)
    rows: int = 0
    told: int = 0
    issues: list[Issue] = field(default_factory=list)
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    remarks: list[tuple[str, Remark]] = field(default_factory=list)
    levels: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    links: list[tuple[str, str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    lookups: dict[str, set[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    totals: dict[str, int] = field(default_factory=dict)
    comment_totals: dict[str, int] = field(default_factory=dict)
    pages: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    searches: set[SearchPage] = field(default_factory=set)
    goes_on: bool = False
    ended: bool = False
    deleted: int = 0
    known_fields: set[str] = field(default_factory=set)

    @contextmanager
    def row(self, place: Place) -> Iterator[None]:
        """Count one row of the story; what cannot be read of it makes it a reject."""
        self.rows += 1
        self.told += 1
        with self.judged(place):
            yield

    @contextmanager
    def judged(self, place: Place) -> Iterator[None]:
        """Turn what is wrong with a row that is counted already into its reject."""
        try:
            yield
        except (BadJsonError, BadTimeError) as error:
            self.reject(place, error.code, error.reason)

    def reject(self, place: Place, code: str, reason: str) -> None:
        """Note one refused row."""
        self.rejects.add(
            file=place.file, number=place.number, place=place.words, code=code, reason=reason
        )

    def add_lookup(self, kind: str, ident: str | None, word: str | None, file: str) -> None:
        """Take one row of a lookup table: the word behind an id."""
        self.rows += 1
        self.lookups.setdefault(kind, set()).add(file)
        if ident and word:
            self.words.setdefault(kind, {}).setdefault(ident, word)
            if kind == "field":
                self.names.setdefault(ident, word)

    def word(self, kind: str, ident: str | None) -> str | None:
        """Return the word that the lookup tables have for an id of a kind."""
        found = self.words.get(kind, {}).get(ident or "")
        if found is not None:
            self.used.add(kind)
        return found

    def name_of(self, field_id: str) -> str:
        """Return the name of a field, the id where none is known."""
        if field_id in self.words.get("field", {}):
            self.used.add("field")
        return self.names.get(field_id, field_id)

    def kept(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of an issue that are worth keeping."""
        self.known_fields.update(fields)
        own = self.mapping.fields
        asked = {value for name, value in own if isinstance(value, str)}
        asked |= {*own.attributes, *own.people}
        drop = DROPPED - asked
        return {
            name: value
            for name, value in fields.items()
            if value is not None and value != [] and name not in drop
        }


def person(value: object, attribute: str | None = None) -> str | None:
    """Return what identifies a user: the account id (Cloud), else the user name or key (Server).

    With `attribute`, that one and no other. An anonymised user has none.
    """
    if not isinstance(value, dict):
        return None
    names = PERSON if attribute is None else (attribute,)
    found = (value.get(name) for name in names)
    return next((text for text in found if isinstance(text, str) and text), None)


def is_person(value: object) -> bool:
    """Whether a value is a user."""
    if not isinstance(value, dict):
        return False
    return "accountId" in value or "emailAddress" in value


def scalar(value: object, what: str) -> str | None:
    """Return a text or number as text, None for nothing; BadJsonError LG164 for anything else."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadJsonError("LG164", f"{what} is neither text nor number")


def texts(value: object) -> list[str]:
    """Return the words of a field's value, whatever its kind, sorted, each once.

    Options, versions, components, teams and services have a name, value, title or key; a cascading
    choice is written parent / child; a document (ADF, version 3) its plain text; a user the id.
    """
    if value is None or value == "":
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int):
        return [str(value)]
    if isinstance(value, list):
        return sorted({text for part in value for text in texts(part)})
    if isinstance(value, dict):
        return _of_object(value)
    return []


def _of_object(value: dict[str, Any]) -> list[str]:
    if value.get("type") == "doc" and "content" in value:
        text = " ".join(_document_texts(value))
        return [text] if text else []
    if is_person(value):
        who = person(value)
        return [who] if who else []
    for name in ("value", "name", "title", "key", "id"):
        own = value.get(name)
        if isinstance(own, str | int) and not isinstance(own, bool) and own != "":
            child = texts(value.get("child"))
            return [" / ".join([str(own), *child])]
    return []


def _document_texts(node: object) -> Iterator[str]:
    """Yield the texts of a document of Atlassian's format, in order."""
    if isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"].strip()
        yield from _document_texts(node.get("content"))
    elif isinstance(node, list):
        for part in node:
            yield from _document_texts(part)
