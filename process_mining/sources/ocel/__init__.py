"""Which cases does an object-centric event log hold, once an object type is chosen?

OCEL 2.0 knows events that touch several objects of several types, and no cases. It is read from
JSON, XML or SQLite (`from_json`, `from_xml`, `from_sqlite`: what is taken, and what is refused)
and flattened. The objects of the chosen types (`--object-type`, several may be named) are the
cases: case_id = object id, practice = [practices] of the mapping, else the type as a slug. Where
none is named and the objects of exactly one type have events, it is that type; where of several,
the reading stops and lists them (LG095). Chosen objects without any event are cases too.

    event type → activity (through [words]); [fields] state names an attribute to take instead
    event attributes → attr.<name>; actor: `org:resource` or `resource`, team: `org:group` or
        `group`, unless [fields] names others. Where an event lacks such an attribute, but touches
        one object of a type so called, it is that object's id
    other objects of the event → attr.related:<type>, a JSON list of ids; their qualifiers, where
        any has one, in attr.relation:<type>; the qualifier of the case itself in attr.relation
    object attributes → the value with the latest time: [fields] names priority, category, service,
        opened, resolved, closed; the rest become the case's attr.<name>. Two values of one time
        that differ are no value, and are counted
    relationships between objects → links: from a case to an object, kind = the qualifier, or the
        other object's type where it is empty; seen from their target as kind `inverse:…`. Sharing
        an event makes no link: attr.related says that

[fields] attributes, where given, names the attributes to keep, of events and of cases,
`related:<type>` and `relation` among them; the others are left out and counted. An attribute whose
own name could be taken for one of the names above gets `own:` before it. The standard says of no
value that it is a person, so [fields] people names attributes, or object types, that hold people;
actor attributes and types called like a person (`PEOPLE`) always count as such. Their ids become
pseudonyms, and links to them are left out.

*Convergence*: an event that touches several cases becomes one event in each, with its own id in
attr.shared_event (QG151). *Rows*: rows in = events of the file that touch a case or are rejects;
accepted + rejected = rows in, and the log has an event more for each further copy. Events of other
objects only are counted in a note, so all events of the file are accounted for.

Rejected: an event with an id that stands twice (LG150), one whose objects are all unknown (LG151),
one that is not built as the standard says (LG152, LG153), with an attribute twice (LG154), and an
event of a case without a readable time. Two objects of one id stop the reading (LG097), as does an
unreadable time of a case's attribute (LG082). The time 1970-01-01T00:00:00 of an object's attribute
means "from the beginning", with or without an offset; any other time needs an offset or a declared
zone. Types that are not declared, and values that lack their declared type, are read as they stand
and counted in a note. The standard orders events by time only: equal times have no known order,
unless the mapping declares `activity_order`.

Not read: OCEL 1.0, packed SQLite files, attributes of objects that are no cases (a note says so).
Memory: all events and objects as Python objects (about 1 kB an event) until they are flattened.

Source: Berti et al., OCEL (Object-Centric Event Log) 2.0 Specification, 2024, arXiv:2403.01975.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean
from process_mining.eventlog import Seen
from process_mining.sources import Parts
from process_mining.sources._files import head_of
from process_mining.sources._history import slug, tool_mapping
from process_mining.sources._rejects import MENDS, RejectList, shown
from process_mining.sources._table import TableBuilder
from process_mining.sources._times import (
    ISO,
    BadTimeError,
    TimeReader,
    compiled,
    load_zone,
    reading,
)
from process_mining.sources.ocel.from_json import is_ocel_json, read_json
from process_mining.sources.ocel.from_sqlite import is_sqlite, read_sqlite
from process_mining.sources.ocel.from_xml import is_ocel_xml, is_xml, read_xml
from process_mining.sources.ocel.log import Ocel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions
    from process_mining.sources import _mapping as m
    from process_mining.sources._times import Instant
    from process_mining.sources.ocel.log import OcelEvent, OcelObject

    Cells = dict[str, str | int | None]

NAME: Final = "ocel"
ACTORS: Final = ("org:resource", "resource")
TEAMS: Final = ("org:group", "group")
# Object types whose ids are taken for names of people, as slugs.
PEOPLE: Final = frozenset(
    {
        *("agent", "agents", "assignee", "caller", "callers", "customer", "customers", "employee"),
        *("employees", "people", "person", "persons", "requester", "requesters", "resource"),
        *("resources", "technician", "technicians", "user", "users"),
    }
)
TIMES: Final = (s.OPENED, s.RESOLVED, s.CLOSED)
TEXTS: Final = (s.PRIORITY, s.CATEGORY, s.SERVICE)
RELATED: Final = "related:"
RELATION: Final = "relation"
SHARED: Final = "shared_event"
OWN: Final = "own:"
UNKNOWN: Final = "(unknown)"
_RESERVED: Final = re.compile(r"related:|relation\Z|relation:|shared_event\Z|own:")
_BEGINNING: Final = re.compile(
    r"1970-01-01[T ]00:00(?::00(?:[.,]0+)?)?(?:Z|[+-]00(?::?00)?)?", re.ASCII
)
_FORMS: Final = {
    "integer": re.compile(r"[+-]?\d+", re.ASCII),
    "float": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
    "boolean": re.compile(r"true|false|0|1", re.ASCII | re.IGNORECASE),
    "time": compiled(ISO),
    "date": compiled(ISO),
}


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is a SQLite database, or JSON or XML built as OCEL."""
    return is_sqlite(head) or is_ocel_xml(head) or is_ocel_json(head)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log and flatten it to the chosen object types."""
    mapping = tool_mapping(options)
    if mapping.fields.case_id is not None:
        msg = f"fields.case_id of mapping '{mapping.name}' would not be used"
        raise CodedError("LG033", msg, why="an object's id is the case", fix="Remove it")
    log = Ocel()
    for path in paths:
        _read_file(path, log)
    zone = options.timezone or mapping.time.timezone
    flat = _Flat(log, mapping, _time_reader(mapping, zone), _chosen(log, options.object_types))
    return flat.parts(zone or "UTC")


def _read_file(path: Path, log: Ocel) -> None:
    head = head_of(path)
    if is_sqlite(head):
        read_sqlite(path, log)
    elif is_xml(head):
        read_xml(path, log)
    else:
        read_json(path, log)


def _time_reader(mapping: m.Mapping, zone: str | None) -> TimeReader:
    return TimeReader(
        pattern=mapping.time.format or ISO,
        zone=load_zone(zone) if zone else None,
        ambiguous=mapping.time.ambiguous,
        nonexistent=mapping.time.nonexistent,
    )


def _chosen(log: Ocel, wanted: Sequence[str]) -> frozenset[str]:
    """Return the object types whose objects are the cases."""
    known = log.object_types.keys() | {item.type for item in log.objects.values()}
    for name in wanted:
        if name not in known:
            msg = f"the log has no object type {shown(name)}"
            raise CodedError("LG096", msg, fix=did_you_mean(name, known))
    if wanted:
        return frozenset(wanted)
    events = Counter(kind for event in log.events for kind in _types_of(event, log))
    if len(events) > 1:
        objects = Counter(item.type for item in log.objects.values())
        listed = [f"{k} ({objects[k]:,} objects, {events[k]:,} events)" for k in sorted(events)]
        raise CodedError(
            "LG095",
            f"objects of {len(events)} types have events: {', '.join(listed)}",
            why="which of them are the cases is not guessed",
            fix=f'Choose with --object-type "{max(sorted(events), key=events.__getitem__)}", say',
        )
    return frozenset(events)


def _types_of(event: OcelEvent, log: Ocel) -> set[str]:
    return {log.objects[name].type for name, _ in event.related if name in log.objects}


@dataclass(eq=False)
class _Flat:
    """The log while it is flattened: the tables so far, and what was counted on the way."""

    log: Ocel
    mapping: m.Mapping
    times: TimeReader
    chosen: frozenset[str]
    rows_in: int = 0
    rejects: RejectList = field(default_factory=RejectList)
    shared: set[str] = field(default_factory=set)
    n_shared: int = 0
    policies: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    events: TableBuilder = field(
        default_factory=lambda: TableBuilder(types={s.AT: pa.int64()}, place="the log")
    )
    cases: TableBuilder = field(
        default_factory=lambda: TableBuilder(
            types=dict.fromkeys(TIMES, pa.int64()), place="the log"
        )
    )

    def parts(self, timezone: str) -> Parts:
        """Flatten everything."""
        again = {n for n, c in Counter(event.id for event in self.log.events).items() if c > 1}
        for event in self.log.events:
            self._event(event, repeated=bool(event.id) and event.id in again)
        own = [item for _, item in sorted(self.log.objects.items()) if item.type in self.chosen]
        for item in own:
            self._case(item)
        links = self._links()
        return Parts(
            events=self.events.table(),
            cases=self.cases.table() if own else None,
            rows_in=self.rows_in,
            rejects=self.rejects.table(),
            timezone=timezone,
            notes=self._notes(),
            seen=self._seen(),
            links=links,
            people=self._people_columns(),
            activity_order=self.mapping.activity_order,
        )

    # --- events

    def _event(self, event: OcelEvent, *, repeated: bool) -> None:
        cases = sorted({name for name, _ in event.related if self._is_case(name)})
        problem = event.problem
        if repeated:
            problem = ("LG150", "has an id that stands more than once")
        elif not problem and event.related and not _types_of(event, self.log):
            problem = ("LG151", f"names no object of the log ({shown(event.related[0][0])})")
        if not cases and not problem:
            self.counts["outside"] += 1
            return
        self.rows_in += 1
        at = 0
        if not problem:
            at, problem = self._at(event)
        if problem:
            self._reject(event, *problem)
        else:
            self._add(event, cases, at)

    def _is_case(self, name: str) -> bool:
        item = self.log.objects.get(name)
        return item is not None and item.type in self.chosen

    def _at(self, event: OcelEvent) -> tuple[int, tuple[str, str] | None]:
        if not event.time:
            return 0, ("LG103", "has no time")
        try:
            return self._us(event.time), None
        except BadTimeError as error:
            return 0, (error.code, f"time {error.reason}")

    def _us(self, text: str) -> int:
        instant = self._instant(text)
        if instant.policy:
            self.policies[instant.policy] += 1
        return instant.us

    @cached_property
    def _instant(self) -> Callable[[str], Instant]:
        return reading(self.times)

    def _reject(self, event: OcelEvent, code: str, reason: str) -> None:
        self.rejects.add(
            file=event.file, number=event.number, place=event.place, code=code, reason=reason
        )

    def _add(self, event: OcelEvent, cases: list[str], at: int) -> None:
        """Add one event to each of its cases."""
        related = self._related(event)
        cells = self._cells(event, related) | {s.AT: at}
        if len(cases) > 1:
            self.n_shared += 1
            self.shared.update(cases)
            cells[s.ATTRIBUTE_PREFIX + SHARED] = event.id
        for case in cases:
            roles = ",".join(
                sorted({role for name, role in event.related if name == case and role})
            )
            relation = self._wanted({RELATION: roles} if roles else {})
            self.events.add(cells | {s.CASE_ID: case} | _prefixed(relation))

    def _cells(self, event: OcelEvent, related: Mapping[str, list[tuple[str, str]]]) -> Cells:
        """Return what all copies of an event have in common."""
        self._check_types(event.type, event.attributes, self.log.event_types, "event")
        attributes = dict(event.attributes)
        fields = self.mapping.fields
        state = attributes.pop(fields.state, None) if fields.state else None
        cells: Cells = {
            s.ACTIVITY: self.mapping.words.get(state or event.type, state or event.type),
            s.ACTOR: _take(attributes, related, (fields.actor,) if fields.actor else ACTORS),
            s.TEAM: _take(attributes, related, (fields.team,) if fields.team else TEAMS),
        }
        touched: dict[str, str] = {}
        for kind, pairs in related.items():
            touched[RELATED + kind] = _json([name for name, _ in pairs])
            if any(role for _, role in pairs):
                touched[f"{RELATION}:{kind}"] = _json([role for _, role in pairs])
        own = {_column(name): value for name, value in self._wanted(attributes).items()}
        return cells | own | _prefixed(self._wanted(touched))

    def _related(self, event: OcelEvent) -> dict[str, list[tuple[str, str]]]:
        """Return the objects of an event that are of no chosen type, by type: (id, qualifier)."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, role in sorted(set(event.related)):
            item = self.log.objects.get(name)
            if item is None:
                self.counts["dangling"] += 1
            if item is None or item.type not in self.chosen:
                found.setdefault(item.type if item else UNKNOWN, []).append((name, role))
        return found

    def _wanted(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return those that the mapping wants kept: all, unless it names some."""
        fields = self.mapping.fields
        if "attributes" not in fields.model_fields_set:
            return dict(values)
        wanted = {*fields.attributes, *fields.people}
        self.counts["unwanted"] += len(values.keys() - wanted)
        return {name: value for name, value in values.items() if name in wanted}

    # --- cases

    def _case(self, item: OcelObject) -> None:
        attributes = self._latest(item)
        practices, fields = self.mapping.practices, self.mapping.fields
        cells: Cells = {
            s.CASE_ID: item.id,
            s.PRACTICE: practices.get(item.type) or slug(item.type) or item.type,
        }
        for name in (*TEXTS, *TIMES):
            source = getattr(fields, name)
            value = attributes.pop(source, None) if source else None
            if value:
                cells[name] = self._moment(item, source, value) if name in TIMES else value
        priority = cells.get(s.PRIORITY)
        if isinstance(priority, str):
            cells[s.PRIORITY] = self.mapping.priorities.get(priority, priority)
        rest = {_column(name): value for name, value in self._wanted(attributes).items()}
        self.cases.add(cells | rest)

    def _latest(self, item: OcelObject) -> dict[str, str]:
        """Return the last known value of each attribute; none where two of one time differ."""
        pairs = ((name, value) for name, _, value in item.values)
        self._check_types(item.type, pairs, self.log.object_types, "object")
        found: dict[str, list[tuple[int, str]]] = {}
        for name, text, value in item.values:
            at = _BEFORE if _BEGINNING.fullmatch(text) else self._moment(item, name, text)
            found.setdefault(name, []).append((at, value))
        last = {
            name: {v for at, v in known if at == max(known)[0]} for name, known in found.items()
        }
        self.counts["contradictory"] += sum(len(values) > 1 for values in last.values())
        return {name: min(values) for name, values in last.items() if len(values) == 1}

    def _moment(self, item: OcelObject, name: str, text: str) -> int:
        try:
            return self._us(text)
        except BadTimeError as error:
            msg = f"{item.place}, attribute {shown(name)} of {shown(item.id)}: {error.reason}"
            why = "which value is the last would be guessed"
            raise RunError("LG082", msg, why=why, fix=MENDS[error.code]) from error

    def _check_types(
        self,
        kind: str,
        attributes: Iterable[tuple[str, str]],
        declared: Mapping[str, Mapping[str, set[str]]],
        what: str,
    ) -> None:
        """Count what is not declared and what lacks the form of its declared type."""
        if kind not in declared:
            self.odd[f"{what}s are of type {shown(kind)}, which is not declared"] += 1
            return
        for name, value in attributes:
            forms = declared[kind].get(name)
            if forms is None:
                self.odd[f"values of {shown(name)}, which {what} type {shown(kind)} lacks"] += 1
            elif not any(_has_form(form, value) for form in forms):
                self.odd[f"values of {shown(name)} are no {' or '.join(sorted(forms))}"] += 1

    # --- links, notes

    def _links(self) -> pa.Table:
        """Return the links of every case, seen from the case."""
        rows = []
        for item in self.log.objects.values():
            for name, role in item.related:
                other = self.log.objects.get(name)
                rows += self._link(item, other.type if other else "", item.id, name, role)
                if other is not None:
                    inverse = f"inverse:{role}" if role else ""
                    rows += self._link(other, item.type, name, item.id, inverse)
        return pa.Table.from_pylist(rows, schema=s.LINK_SCHEMA)

    def _link(
        self, case: OcelObject, kind: str, start: str, end: str, role: str
    ) -> list[dict[str, str]]:
        if case.type not in self.chosen:
            return []
        if kind in self._people_types:
            self.counts["people"] += 1
            return []
        return [{s.CASE_ID: start, s.LINKED_TO: end, s.KIND: role or kind or UNKNOWN}]

    @cached_property
    def _people_types(self) -> frozenset[str]:
        kinds = {item.type for item in self.log.objects.values()}
        named = set(self.mapping.fields.people)
        people = {kind for kind in kinds if kind in named or slug(kind) in PEOPLE}
        return frozenset(people - self.chosen)

    def _people_columns(self) -> frozenset[str]:
        names = {*ACTORS, *self.mapping.fields.people}
        types = {RELATED + kind for kind in (*self._people_types, UNKNOWN)}
        return frozenset({_column(n) for n in names} | {s.ATTRIBUTE_PREFIX + t for t in types})

    def _seen(self) -> tuple[Seen, ...]:
        found = [Seen("QG111", n, subject=p) for p, n in sorted(self.policies.items())]
        if self.n_shared:
            accepted = self.rows_in - len(self.rejects.rejects)
            cases = tuple(sorted(self.shared))
            found.append(Seen("QG151", self.n_shared, of=accepted, cases=cases))
        return tuple(found)

    def _notes(self) -> tuple[str, ...]:
        chosen = ", ".join(sorted(self.chosen)) or "any type"
        self.counts["attributes"] = sum(
            len(item.values) for item in self.log.objects.values() if item.type not in self.chosen
        )
        texts = {
            "outside": f"events touch no object of type {chosen} and are not in the log",
            "dangling": "relationships of events name objects that the file lacks",
            "unwanted": "values of attributes that the mapping does not name were left out",
            "contradictory": "attributes of cases have two last values of one time, so none",
            "people": "links to people were left out",
            "attributes": f"attribute values of objects that are no {chosen} were left out",
        }
        ours = [f"{self.counts[key]:,} {text}" for key, text in texts.items() if self.counts[key]]
        odd = [f"{n:,} {what}" for what, n in sorted(self.odd.items())]
        rest = [f"{n:,} {what} were left out" for what, n in sorted(self.log.left_out.items())]
        return tuple(f"ocel: {note}" for note in (*ours, *odd, *rest))


_BEFORE: Final = -(1 << 63)


def _take(
    attributes: dict[str, str],
    related: Mapping[str, list[tuple[str, str]]],
    names: Sequence[str],
) -> str | None:
    """Take the first attribute that has a value; else the one object of a type so called."""
    for name in names:
        if attributes.get(name):
            return attributes.pop(name)
    ids = [{other for other, _ in related.get(name, ())} for name in names]
    return next((only for only, *more in map(sorted, filter(None, ids)) if not more), None)


def _column(name: str) -> str:
    """Return the column of a log's own attribute, never one of the names that we give."""
    return s.ATTRIBUTE_PREFIX + (OWN + name if _RESERVED.match(name) else name)


def _prefixed(values: Mapping[str, str]) -> dict[str, str]:
    return {s.ATTRIBUTE_PREFIX + name: value for name, value in values.items()}


def _has_form(kind: str, value: str) -> bool:
    form = _FORMS.get(kind)
    return form is None or form.fullmatch(value) is not None


def _json(values: Sequence[str]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
