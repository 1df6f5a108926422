"""Which incidents does a PagerDuty export hold, and what did each go through?

Read together: incidents, with or without their log entries inside, and log entries of their own;
one answer of the API, a list, NDJSON, or Apache DevLake's raw table. An incident and a log entry
are one row in each (a log entry inside an incident too).

State. A trigger opens an incident as "triggered"; acknowledge makes it "acknowledged", resolve
"resolved"; unacknowledge, reopen, escalate, delegate and a new assignment make an acknowledged one
"triggered" again: it waits for somebody else. Entries of one second by one agent, with nobody
else's in between, are one update, in the order of PagerDuty's list, which is newest first. Notify
entries tell that somebody was called: they change nothing, make no event and are counted in a note;
every other entry counts by its name (annotate, snooze, priority_change …).

opened is created_at; resolved the last resolve entry, or resolved_at, while the incident is
resolved; PagerDuty does not close incidents. The case is the incident's id, or with [fields]
case_id = "incident_number" its number. Service and team are their summaries. Priority is
PagerDuty's own (P1 …) where the account uses it, else what [priorities] makes of the urgency (high,
low): by itself an urgency says how loudly to call, not how much is at stake. An agent is a person's
id, or with [fields] actor = "summary" the name; services and integrations are agents too.

Not kept: titles, notes' texts, who was called.
Sources: PagerDuty's REST API v2 (Incidents, Log Entries), its knowledge base on incident states.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from process_mining.sources._documents import Document, documents, keys_of
from process_mining.sources._history import (
    ASSIGNEE,
    STATE,
    Change,
    History,
    Ticket,
    tool_mapping,
)
from process_mining.sources._records import (
    BadRecordError,
    Clock,
    Place,
    Taken,
    clock_of,
    list_of,
    needed_id,
    no_tickets,
    object_of,
    part,
    place_of,
    require_fields,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions
    from process_mining.sources._mapping import Mapping

NAME: Final = "pagerduty"
INCIDENT: Final = frozenset({"incident_number", "urgency", "created_at"})
ENTRY: Final = frozenset({"channel", "incident", "created_at", "type"})
LISTS: Final = {"incidents": INCIDENT, "incident": INCIDENT, "log_entries": ENTRY}
SUFFIX: Final = "_log_entry"
TRIGGERED: Final = "triggered"
ACKNOWLEDGED: Final = "acknowledged"
RESOLVED: Final = "resolved"
STATES: Final = {
    "trigger": TRIGGERED,
    "acknowledge": ACKNOWLEDGED,
    "resolve": RESOLVED,
    "unacknowledge": TRIGGERED,
    "reopen": TRIGGERED,
}
# Entries that hand an incident to somebody else, who has not acknowledged it yet.
HANDED_ON: Final = {"escalate": "escalation", "delegate": "escalation", "assign": ASSIGNEE}
CALL: Final = "notify"
MILESTONES: Final = (TRIGGERED, RESOLVED, "closed")


@dataclass(frozen=True, order=True)
class _Entry:
    """One log entry; `order` is its place in its list, counted from the oldest."""

    at: int
    order: int
    name: str
    actor: str | None
    id: str = ""


@dataclass
class _Found:
    """What all files of one call say; entries by incident, each once by its own id."""

    tickets: list[tuple[str, str, Ticket]] = field(default_factory=list)
    entries: dict[str, dict[str, _Entry]] = field(default_factory=dict)
    repeated: int = 0
    given: bool = False
    calls: Counter[str] = field(default_factory=Counter)

    def add(self, incident: str, entry: _Entry) -> None:
        """Take one entry; of two copies the one with the later place is kept."""
        own = self.entries.setdefault(incident, {})
        known = own.get(entry.id)
        self.repeated += known is not None
        own[entry.id] = entry if known is None or entry.order > known.order else known


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is incidents or log entries of PagerDuty."""
    keys = keys_of(head)
    pages = [
        {f"{name}{dot}.{key}" for key in known}
        for name, known in LISTS.items()
        for dot in ("", "[]")
    ]
    return keys >= INCIDENT or keys >= ENTRY or any(page <= keys for page in pages)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    mapping = tool_mapping(options)
    reader = _Reader(mapping, clock_of(mapping, options.timezone))
    for path in paths:
        for document in documents(path):
            reader.take(place_of(path, document), document)
    return reader.parts()


class _Reader:
    """Reads the documents of one call, one after the other."""

    def __init__(self, mapping: Mapping, clock: Clock) -> None:
        self.mapping, self.clock = mapping, clock
        self.taken, self.found = Taken(), _Found()

    def take(self, place: Place, document: Document) -> None:
        """Take an answer of the API, or one incident or log entry."""
        value = document.value
        if document.problem:
            self.taken.unreadable(place, document.problem)
        elif isinstance(value, dict) and value.keys() >= ENTRY:
            self._entries(place, [value])
        elif isinstance(value, dict) and not value.keys() >= INCIDENT and value.keys() & {*LISTS}:
            for name in ("incidents", "incident"):
                self.taken.take_list(place, value.get(name), self._incident)
            self._entries(place, list_of(value.get("log_entries")))
        else:
            self.taken.take(place, value, self._incident)

    def parts(self) -> Parts:
        """Return what was read as a log's parts."""
        found, rejects = self.found, self.taken.rejects
        if not (found.tickets or found.entries or rejects.rejects):
            raise no_tickets("PagerDuty", self.taken, "Add incidents or log entries")
        if not rejects.rejects:
            require_fields(self.mapping, self.taken.met, of="PagerDuty incident or agent")
        history = History(self.mapping.words, history_given=found.given, repeated=found.repeated)
        for place, incident, ticket in found.tickets:
            history.add_ticket(self._resolved(incident, ticket), place)
        known = {incident: ticket for _, incident, ticket in found.tickets}
        for incident in sorted(found.entries):
            for change in self._changes(incident, known.get(incident)):
                history.add_change(change)
        return history.parts(
            rows_in=self.taken.rows_in,
            rejects=rejects,
            timezone=self.clock.zone,
            notes=[*self.mapping.notes, *self._notes()],
            people=self.mapping.people(),
            activity_order=self.mapping.activity_order,
        )

    def _notes(self) -> Iterator[str]:
        calls = self.found.calls.total()
        if calls:
            yield f"{calls} notify entries tell who was called, and change no incident"

    def _incident(self, place: Place, record: dict[str, Any]) -> None:
        """Take an incident, and the log entries inside it."""
        incident, fields = needed_id(record, "id"), self.mapping.fields
        word, urgency = text(part(record, "priority"), "summary"), text(record, "urgency")
        teams = [text(object_of(team, "team"), "summary") for team in list_of(record.get("teams"))]
        ticket = Ticket(
            case_id=needed_id(record, fields.case_id) if fields.case_id else incident,
            practice=self.mapping.practices.get("incident", "incident"),
            priority=self._priority(text(record, fields.priority) if fields.priority else word)
            or self.mapping.priorities.get(urgency or ""),
            category=text(record, fields.category) if fields.category else None,
            service=text(part(record, "service"), "summary"),
            opened=self.clock.needed(record, "created_at"),
            resolved=self.clock.us(record, "resolved_at"),
            state=text(record, "status"),
            team=",".join(sorted(team for team in teams if team)) or None,
            attributes={name: text(record, name) for name in (*fields.attributes, *fields.people)},
            milestones=MILESTONES,
        )
        self.taken.met.update(record)
        self.found.tickets.append((str(place), incident, ticket))
        self._entries(place, list_of(record.get("log_entries")), incident)

    def _priority(self, word: str | None) -> str | None:
        return self.mapping.priorities.get(word or "", word)

    def _entries(self, place: Place, found: list[Any], incident: str | None = None) -> None:
        """Take the log entries of one list, which tells the newest first unless its times rise."""
        self.found.given |= bool(found)
        stamps = [item.get("created_at") for item in found if isinstance(item, dict)]
        rising = bool(stamps) and str(stamps[0]) < str(stamps[-1])
        for number, item in enumerate(found, start=1):
            order = number if rising else len(found) - number
            where = place._replace(place=f"{place.place}, log entry {number}")
            self.taken.take(where, item, partial(self._entry, order, incident))

    def _entry(
        self,
        order: int,
        incident: str | None,
        place: Place,  # noqa: ARG002 - a handler
        record: dict[str, Any],
    ) -> None:
        """Take one log entry."""
        kind, at = text(record, "type") or "", self.clock.needed(record, "created_at")
        incident = incident or needed_id(part(record, "incident"), "id")
        if not kind.endswith((SUFFIX, f"{SUFFIX}_reference")):
            raise BadRecordError("LG168", f"has no type of a log entry, but '{kind}'")
        name = kind.removesuffix("_reference").removesuffix(SUFFIX)
        agent = part(record, "agent")
        self.taken.met.update(agent)
        if name == CALL:
            self.found.calls[name] += 1
            return
        actor = text(agent, self.mapping.fields.actor or "id")
        number = text(record, "id") or f"{at} {name} {actor}"
        self.found.add(incident, _Entry(at, order, name, actor, number))

    def _resolved(self, incident: str, ticket: Ticket) -> Ticket:
        """The ticket with the time of its last resolve entry, while it is resolved."""
        own = self.found.entries.get(incident, {}).values()
        last = max((entry.at for entry in own if entry.name == "resolve"), default=ticket.resolved)
        return replace(ticket, resolved=last if ticket.state == RESOLVED else None)

    def _changes(self, incident: str, ticket: Ticket | None) -> Iterator[Change]:
        """Tell the entries as changes; an incident is opened as triggered."""
        case_id = ticket.case_id if ticket else incident
        entries = sorted(self.found.entries[incident].values())
        state: str | None = None
        if ticket and ticket.opened is not None and "trigger" not in {e.name for e in entries}:
            state = TRIGGERED
            yield Change(case_id, ticket.opened, STATE, None, state, order=(-1,))
        runs = (list(run) for _, run in groupby(entries, key=lambda e: (e.at, e.actor)))
        for number, run in enumerate(runs):
            for name, new in _told(run, state).items():
                old = state if name == STATE else None
                yield Change(case_id, run[0].at, name, old, new, run[0].actor, (number,))
                state = new if name == STATE else state


def _told(run: list[_Entry], state: str | None) -> dict[str, str | None]:
    """What one update changes, the state last, where it changes at all."""
    now, names = state, dict[str, str | None]()
    for entry in run:
        if entry.name in STATES:
            now = STATES[entry.name]
        else:
            names[HANDED_ON.get(entry.name, entry.name)] = None
            if entry.name in HANDED_ON and now == ACKNOWLEDGED:
                now = TRIGGERED
    if now != state:
        names[STATE] = now
    return names or {run[0].name: None}
