"""What did each Zendesk ticket go through, put together from tickets, audits and their tables?

One *save* is one audit, or all rows of a field history with one ticket, time and user. Audits win:
of a ticket that has audits the rows of a field history and of a comment table are not counted a
second time. Field histories keep no previous values; the previous one is the value before it.

A ticket may stand in an export in several states (incremental exports repeat it): the one with the
latest `updated_at` is the present one. Two that say different things of one moment are an error.

    resolved  the last change to "solved", if the ticket is still solved or closed
    closed    the change to "closed", if the ticket is closed
    opened    the ticket's created_at; without the ticket, the audit that has Create events

A state that [words] calls Resolved (Resolve) or Closed (Close) counts as solved or closed. Of a
ticket of which no change of status is known the milestones stand instead of the states: opened,
solved, closed; only one that is new always was, for no ticket returns to it.

Order: audits by (created_at, id); rows of a field history by time, and two users' saves of one
second have no known order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from process_mining import schema as s
from process_mining.sources._history import (
    ASSIGNEE,
    CATEGORY,
    COMMENT,
    PRIORITY,
    SERVICE,
    STANDARD_PRIORITY,
    STATE,
    TEAM,
    Change,
    History,
    Ticket,
    slug,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from process_mining.sources._mapping import Mapping as Declared

STATUS: Final = "status"
GROUP: Final = "group_id"
FIRST: Final = "new"
SOLVED: Final = "solved"
CLOSED: Final = "closed"
DELETED: Final = "deleted"
END_WORDS: Final = {"Resolved": SOLVED, "Resolve": SOLVED, "Closed": CLOSED, "Close": CLOSED}
MILESTONES: Final = ("opened", SOLVED, CLOSED)
PRIORITIES: Final = {"urgent": "P1", "high": "P2", "normal": "P3", "low": "P4"}
PRACTICES: Final = {"incident": "incident", "problem": "problem"}
SATISFACTION: Final = "satisfaction"
NOT_ASKED: Final = "unoffered"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FieldChange(NamedTuple):
    """One field of one save, by the tool's own name; values as text."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Save:
    """One audit (`order` is its id), or one row of a table; `extra` goes to its event.

    `key` tells comments of one second apart.
    """

    ticket: str
    at: int
    actor: str | None
    fields: tuple[FieldChange, ...]
    order: tuple[int, ...] = ()
    created: bool = False
    extra: tuple[tuple[str, str], ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A ticket as an answer shows it: the facts that are used, by the tool's names of the fields.

    `rank` 0 is an answer of the API, 1 a row of a table; the lowest rank counts.
    """

    rank: int
    updated: int
    place: str
    facts: Mapping[str, str | None]
    times: Mapping[str, int | None]
    links: tuple[tuple[str, str, str], ...] = ()


class MetricEvent(NamedTuple):
    """One event of a clock that Zendesk itself keeps; `words` are (name, value) to be kept."""

    at: int
    id: str
    clock: str
    kind: str
    words: tuple[tuple[str, str], ...]


@dataclass
class Desk:
    """Collects what all files of one call say; `fill` gives it to a History."""

    mapping: Declared
    snapshots: dict[str, list[Snapshot]] = field(default_factory=lambda: defaultdict(list))
    audits: dict[str, dict[Save, None]] = field(default_factory=lambda: defaultdict(dict))
    rows: dict[str, dict[Save, None]] = field(default_factory=lambda: defaultdict(dict))
    groups: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    ratings: dict[str, list[tuple[int, str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    metrics: dict[str, list[MetricEvent]] = field(default_factory=lambda: defaultdict(list))
    solved_at: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    deleted: int = 0

    def add_audit(self, save: Save) -> None:
        """Take one audit; pages overlap, so the very same one counts once."""
        self._add(self.audits[save.ticket], save)

    def add_row(self, save: Save) -> None:
        """Take one row of a field history or a comment table; the very same one counts once."""
        self._add(self.rows[save.ticket], save)

    def _add(self, own: dict[Save, None], save: Save) -> None:
        self.repeated += save in own
        own[save] = None

    @property
    def empty(self) -> bool:
        """Whether there is no ticket and no history."""
        return not (self.snapshots or self.audits or self.rows)

    def fill(self, history: History) -> None:
        """Give tickets, changes and links to a History, in order of the tickets' ids."""
        history.repeated += self.repeated
        for ticket in sorted({*self.snapshots, *self.audits, *self.rows}):
            self._fill_one(history, ticket)

    def notes(self) -> Iterator[str]:
        """Yield what a reader of the log should know."""
        if self.unknown:
            yield f"event types that are kept as changes by their name: {_counted(self.unknown)}"
        if self.silent:
            yield f"mails and calls, which change nothing of a ticket: {_counted(self.silent)}"
        if self.deleted:
            yield f"{self.deleted} metric events are marked as deleted, so they never happened"
        told = {*self.audits}
        twice = sum(len(rows) for ticket, rows in self.rows.items() if ticket in told)
        if twice:
            yield f"{twice} rows of tables tell what audits tell already"
        known = {*self.snapshots, *self.audits, *self.rows}
        lost = sum(len(found) for key, found in self.metrics.items() if key not in known)
        lost += sum(len(found) for key, found in self.ratings.items() if key not in known)
        if lost:
            yield f"{lost} metric events and ratings are of tickets that the export lacks"

    def _fill_one(self, history: History, ticket: str) -> None:
        changes = list(self._changes(ticket))
        for snapshot in self._present(ticket):
            history.add_ticket(self._ticket(ticket, snapshot, changes), snapshot.place)
            for start, end, kind in snapshot.links:
                history.add_link(self.case_id(start), self.case_id(end), kind)
        if ticket not in self.snapshots:
            told = _from_changes(self._saves(ticket))
            history.add_ticket(self._ticket(ticket, told, changes), told.place)
        for change in changes:
            history.add_change(change)

    def _present(self, ticket: str) -> list[Snapshot]:
        """The snapshots of the latest moment, of the best kind of source."""
        found = self.snapshots.get(ticket, [])
        best = min((item.rank, -item.updated) for item in found) if found else None
        return [item for item in found if (item.rank, -item.updated) == best]

    def case_id(self, ticket: str) -> str:
        """Return the id of a ticket's case: the ticket's own, or the one that [fields] names."""
        name = self.mapping.fields.case_id
        found = self._present(ticket)
        return (found[0].facts.get(name) if name and found else None) or ticket

    def _saves(self, ticket: str) -> list[Save]:
        if ticket in self.audits:
            return sorted(self.audits[ticket], key=_moment)
        return sorted(_with_previous(self.rows.get(ticket, ())), key=_moment)

    def _changes(self, ticket: str) -> Iterator[Change]:
        """The changes of a ticket in order, in the log's names of fields and teams."""
        case_id, roles = self.case_id(ticket), _roles(self.mapping)
        for save in self._saves(ticket):
            actor = self._person(save.actor)
            for item in save.fields:
                name = roles.get(item.name, item.name)
                old, new = item.old, item.new
                if item.name == GROUP:
                    old, new = self._group(old), self._group(new)
                elif name == PRIORITY:
                    old, new = self._priority(old or ""), self._priority(new or "")
                key = "" if save.order else actor or ""
                yield Change(case_id, save.at, name, old, new, actor, save.order, key, save.extra)

    def _group(self, group: str | None) -> str | None:
        return None if group is None else self.groups.get(group, group)

    def _priority(self, word: str) -> str | None:
        return self.mapping.priorities.get(word) or PRIORITIES.get(word) or word or None

    def _person(self, user: str | None) -> str | None:
        return None if user is None else self.users.get(user, user)

    def _ticket(self, ticket: str, snapshot: Snapshot, changes: list[Change]) -> Ticket:
        """The ticket as it is now."""
        facts, mapped = snapshot.facts, self.mapping.fields
        state = facts.get(mapped.state or STATUS)
        team = facts.get(mapped.team or GROUP)
        solved, closed = self._ends(state, changes)
        word = facts.get(mapped.priority or "priority") or ""
        kind = facts.get("type") or ""
        practice = self.mapping.practices.get(kind) or PRACTICES.get(kind) or slug(kind)
        return Ticket(
            case_id=self.case_id(ticket),
            practice=practice or None,
            priority=self._priority(word),
            category=facts.get(mapped.category) if mapped.category else None,
            service=facts.get(mapped.service) if mapped.service else None,
            opened=snapshot.times.get(s.OPENED),
            resolved=snapshot.times.get(s.RESOLVED) or solved or self.solved_at.get(ticket),
            closed=snapshot.times.get(s.CLOSED) or closed,
            state=state,
            team=team if mapped.team else self._group(team),
            opened_by=self._person(facts.get("submitter_id")),
            attributes=self._attributes(ticket, facts),
            milestones=MILESTONES,
            touched=state != FIRST,
            states_told=_states_told(snapshot, state, changes),
        )

    def _ends(self, state: str | None, changes: list[Change]) -> tuple[int | None, int | None]:
        """When the ticket came to be solved and closed, if it still is."""
        solved = closed = None
        for change in changes:
            if change.field == STATE:
                end = self._end(change.new)
                if end == SOLVED:
                    solved, closed = change.at, None
                elif end == CLOSED:
                    closed = change.at
                else:
                    solved = closed = None
        now = self._end(state)
        if now == CLOSED:
            return solved, closed
        return (solved if now == SOLVED or state is None else None), None

    def _end(self, state: str | None) -> str | None:
        """SOLVED or CLOSED where a state means it."""
        word = self.mapping.words.get(state or "", "")
        return END_WORDS.get(word) or (state if state in {SOLVED, CLOSED} else None)

    def _attributes(self, ticket: str, facts: Mapping[str, str | None]) -> dict[str, str | None]:
        fields = self.mapping.fields
        own = {name: facts.get(name) for name in (*fields.attributes, *fields.people)}
        if facts.get(STATUS) == DELETED:
            own[DELETED] = "true"
        told = max(self.ratings.get(ticket, []), default=None)
        score = told[2] if told else facts.get(SATISFACTION)
        if score and score != NOT_ASKED:
            own[SATISFACTION] = score
        return own | _clocks(sorted(self.metrics.get(ticket, [])))


def _roles(mapping: Declared) -> dict[str, str]:
    """Which of the tool's fields are which of the log's."""
    given = mapping.fields
    roles = {
        PRIORITY: STANDARD_PRIORITY,
        given.state or STATUS: STATE,
        given.team or GROUP: TEAM,
        given.priority or PRIORITY: PRIORITY,
        "assignee_id": ASSIGNEE,
        COMMENT: COMMENT,
    }
    if given.category:
        roles[given.category] = CATEGORY
    if given.service:
        roles[given.service] = SERVICE
    return roles


def _moment(save: Save) -> tuple[int, tuple[int, ...], str]:
    return (save.at, save.order, save.actor or "")


def _with_previous(rows: Iterable[Save]) -> Iterator[Save]:
    """Give the rows of a field history the values before them."""
    values: dict[str, str | None] = {}
    for row in sorted(rows, key=_row_order):
        fields = tuple(item._replace(old=values.get(item.name)) for item in row.fields)
        yield replace(row, fields=fields)
        values |= {item.name: item.new for item in row.fields}


def _row_order(row: Save) -> tuple[int, list[tuple[str, str]], str, str]:
    """Order of rows; at one time the values themselves, for the table has no other order."""
    return (row.at, [(item.name, item.new or "") for item in row.fields], row.actor or "", row.key)


def _from_changes(saves: list[Save]) -> Snapshot:
    """What the history alone says of a ticket: its last values, and when it was created."""
    facts: dict[str, str | None] = {}
    for save in saves:
        facts |= {item.name: item.new for item in save.fields}
    opened = next((save.at for save in saves if save.created), None)
    return Snapshot(0, 0, "its history", facts, {s.OPENED: opened})


def _states_told(snapshot: Snapshot, state: str | None, changes: list[Change]) -> bool:
    """Whether the history tells the ticket's states: it does not where no change of one is known.

    No ticket returns to "new", so one that is new always was.
    """
    silent = not any(change.field == STATE for change in changes)
    return state == FIRST or snapshot.times.get(s.OPENED) is None or not silent


def _clocks(events: list[MetricEvent]) -> dict[str, str | None]:
    """Return the facts of Zendesk's own clocks: first activation and breach, last of the others."""
    found: dict[str, str | None] = {}
    for event in events:
        name = f"sla:{event.clock}"
        if event.kind in {"activate", "breach"}:
            found.setdefault(f"{name}:{event.kind}", _stamp(event.at))
        else:
            found[f"{name}:{event.kind}"] = _stamp(event.at)
        found |= {f"{name}:{word}": value for word, value in event.words}
    return found


def _stamp(at: int) -> str:
    """ISO 8601 in UTC."""
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.isoformat().replace("+00:00", "Z")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({n:,})" for name, n in sorted(counts.items()))
