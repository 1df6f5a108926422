"""Which issues does a GitHub export hold, and what did each go through?

Read together: issues and pull requests (lists, single ones, search results, pages as NDJSON), issue
events and timelines, Apache DevLake's raw tables of both, and its table `_tool_github_issues`. An
issue and an event are one row in each. An event says which issue it is of by the issue inside it,
by its issue_url, by the address that the answer came from, or by standing inside the issue, under
"events" or "timeline"; one that says none of it is refused (LG170).

Opening is no event at GitHub: the first event of the log is made from the issue's created_at and
user. An event that is nobody's (actor null: a deleted account) has no actor. An assignment's actor
is the assigner, where GitHub names one. Events of one second by one actor, with nobody else's in
between, are one update; their order is GitHub's own, by id.

State. "open", "closed", and "reopened" (GitHub's own state_reason) after a reopening. With
[fields] state = "status: " labels say more: the state is what stands after that prefix, from the
time the label was set until it is taken away, the issue closed or reopened; while an issue is
closed, labels do not change its state. In the same way team, service, category and priority may be
prefixes of labels; of several labels with one prefix the last in order of the alphabet counts.

    opened    created_at               closed   closed_at
    resolved  the last time at which the state became one that is, or that [words] calls, Resolved
              (Resolve), if the issue is still in it or closed; GitHub itself knows no such time

case_id is owner/repository#number; [fields] case_id = "number" makes it the number alone. The
practice is "issue" or "pull_request", unless [practices] names another.

An issue that stands in several files is taken as its latest `updated_at` shows it, from an answer
of GitHub rather than from DevLake's table.

Not kept: titles, texts, reactions, milestones' names, code reviews' contents.
Sources: GitHub's REST API (Issues, Issue events, Timeline events), Apache DevLake's schema.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from process_mining.sources._documents import Document, documents, keys_of
from process_mining.sources._files import first_line, head_of, looks_binary
from process_mining.sources._history import (
    ASSIGNEE,
    CATEGORY,
    COMMENT,
    PRIORITY,
    SERVICE,
    STATE,
    TEAM,
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
    declared,
    header,
    id_of,
    list_of,
    needed_id,
    no_tickets,
    part,
    place_of,
    plain_header,
    require_fields,
    rows,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions
    from process_mining.sources._mapping import Mapping

NAME: Final = "github"
TABLE: Final = frozenset({"github_id", "number", "state", "github_created_at", "repo_id"})
# An issue or an event by itself, and lists of issues, by keys that stand near the beginning.
ISSUE: Final = frozenset({"repository_url", "labels_url", "number"})
# Keys under which an issue may hold its own events, where somebody put them together.
BESIDE: Final = ("events", "timeline")
EVENTS: Final = (
    frozenset({"event", "commit_id", "created_at"}),
    frozenset({"event", "node_id", "created_at"}),
    frozenset({"event", "issue_url", "created_at"}),
)
ADDRESS: Final = re.compile(r"/(?:repos/)?([^/]+/[^/]+)/(?:issues|pull|pulls)/(\d+)(?![^/?#])")
OPEN: Final = "open"
CLOSED: Final = "closed"
REOPENED: Final = "reopened"
RESOLVED: Final = frozenset({"Resolved", "Resolve"})
MILESTONES: Final = (OPEN, "resolved", CLOSED)
LABELS: Final = {"labeled": True, "unlabeled": False}
# What an event changes, in the log's names; other events count by GitHub's own.
CHANGED: Final = {
    "assigned": ASSIGNEE,
    "unassigned": ASSIGNEE,
    "commented": COMMENT,
    "renamed": "title",
    "milestoned": "milestone",
    "demilestoned": "milestone",
}
LABEL: Final = "label"
# A commit in a timeline has git's time, which its author sets, and none of GitHub's own.
COMMITTED: Final = "committed"


@dataclass(frozen=True)
class _Issue:
    """An issue as one answer shows it; `rank` 0 is GitHub's answer, 1 a row of DevLake's table."""

    rank: int
    updated: int
    number: str
    state: str
    opened: int
    closed: int | None
    by: str | None
    pull_request: bool
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Event:
    """One event; `label` is the name of the label that was set or taken away."""

    at: int
    id: int
    name: str
    actor: str | None
    label: str | None = None


@dataclass
class _Found:
    """What all files of one call say: the issues as seen, and their events, once each."""

    issues: dict[str, dict[_Issue, str]] = field(default_factory=lambda: defaultdict(dict))
    events: dict[str, dict[_Event, None]] = field(default_factory=lambda: defaultdict(dict))
    alone: set[tuple[str, _Issue]] = field(default_factory=set)
    repeated: int = 0
    events_given: bool = False
    labels: set[str] = field(default_factory=set)

    def add_issue(self, case_id: str, issue: _Issue, place: Place, *, alone: bool = True) -> None:
        """Take an issue as an answer shows it; `alone` is false for one that an event shows."""
        self.issues[case_id].setdefault(issue, str(place))
        if alone:
            self.repeated += (case_id, issue) in self.alone
            self.alone.add((case_id, issue))
        self.labels.update(issue.labels)

    def add_event(self, case_id: str, event: _Event) -> None:
        """Take an event; pages overlap, so the very same one counts once."""
        own = self.events[case_id]
        self.repeated += event in own
        own[event] = None
        self.labels.update([event.label] if event.label else [])


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is issues or issue events of GitHub."""
    if looks_binary(head):
        return False
    keys = keys_of(head)
    if not keys:
        return set(plain_header(first_line(head))) >= TABLE
    pages = {f"items[].{key}" for key in ISSUE}
    return keys >= ISSUE or keys >= pages or any(known <= keys for known in EVENTS)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    mapping = tool_mapping(options)
    reader = _Reader(mapping, clock_of(mapping, options.timezone))
    for path in paths:
        reader.read(path)
    return reader.parts()


class _Reader:
    """Reads the files of one call, one after the other."""

    def __init__(self, mapping: Mapping, clock: Clock) -> None:
        self.mapping, self.clock = mapping, clock
        self.taken, self.found = Taken(), _Found()

    def read(self, path: Path) -> None:
        """Read one file: DevLake's table where the header is its, else JSON."""
        head = head_of(path)
        if first_line(head).lstrip()[:1] not in {"{", "["} and set(header(path)) >= TABLE:
            for place, row in rows(path, self.taken):
                self.taken.take(place, row, self._row)
            return
        for document in documents(path):
            self._document(place_of(path, document), document)

    def parts(self) -> Parts:
        """Return what was read as a log's parts."""
        found, rejects = self.found, self.taken.rejects
        if not (found.issues or found.events or rejects.rejects):
            raise no_tickets("GitHub", self.taken, "Add issues or issue events")
        if not rejects.rejects:
            self._check_fields()
        history = History(
            words=self.mapping.words, history_given=found.events_given, repeated=found.repeated
        )
        for case_id in sorted({*found.issues, *found.events}):
            self._fill(history, case_id)
        return history.parts(
            rows_in=self.taken.rows_in,
            rejects=rejects,
            timezone=self.clock.zone,
            notes=[*self.mapping.notes, *self.taken.notes()],
            people=self.mapping.people(),
            activity_order=self.mapping.activity_order,
        )

    def _check_fields(self) -> None:
        """Refuse a field that nothing fits: a prefix that no label has."""
        met = {"number"}
        for _, prefix in declared(self.mapping):
            if any(label.startswith(prefix) for label in self.found.labels):
                met.add(prefix)
        require_fields(self.mapping, met, of="label or issue")

    def _document(self, place: Place, document: Document) -> None:
        """Take an issue, an event, or the page of a list that holds them."""
        value = document.value
        if document.problem:
            self.taken.unreadable(place, document.problem)
        elif isinstance(value, dict) and isinstance(value.get("items"), list):
            self.taken.take_list(place, value["items"], self._record)
        elif isinstance(value, list):
            self.taken.take_list(place, value, self._record)
        else:
            self.taken.take(place, value, self._record)

    def _record(self, place: Place, record: dict[str, Any]) -> None:
        if "event" in record:
            self._event(place, record)
        elif "number" in record:
            case_id, issue = self._issue(place, record)
            self.found.add_issue(case_id, issue, place)
            for name in BESIDE:
                if isinstance(record.get(name), list):
                    self.found.events_given = True
                    self.taken.take_list(place, record[name], partial(self._event_of, case_id))
        else:
            raise BadRecordError("LG166", "is neither an issue nor an event of one")

    def _issue(self, place: Place, record: dict[str, Any]) -> tuple[str, _Issue]:
        """Return the case id of an issue, and the issue."""
        number = needed_id(record, "number")
        case_id = self._case_id(_addresses(record, place), number)
        issue = _Issue(
            rank=0,
            updated=self.clock.us(record, "updated_at") or 0,
            number=number,
            state=_state(record),
            opened=self.clock.needed(record, "created_at"),
            closed=self.clock.us(record, "closed_at"),
            by=text(part(record, "user"), "login"),
            pull_request=record.get("pull_request") is not None,
            labels=tuple(sorted(_labels(record))),
        )
        return case_id, issue

    def _row(self, place: Place, record: dict[str, Any]) -> None:
        """Take a row of DevLake's table; it holds no pull requests."""
        number = needed_id(record, "number")
        case_id = self._case_id([text(record, "url") or ""], number)
        issue = _Issue(
            rank=1,
            updated=self.clock.us(record, "github_updated_at") or 0,
            number=number,
            state=_state(record),
            opened=self.clock.needed(record, "github_created_at"),
            closed=self.clock.us(record, "closed_at"),
            by=text(record, "author_name"),
            pull_request=False,
            labels=tuple(self._from_columns(record)),
        )
        self.found.add_issue(case_id, issue, place)

    def _from_columns(self, record: dict[str, Any]) -> Iterator[str]:
        """Say what the columns of DevLake's table say as labels: the column's name is the prefix.

        [fields] priority = "priority" then finds the column's value.
        """
        for name in ("priority", "severity", "component", "type"):
            value = text(record, name)
            if value:
                yield f"{name}{value}"

    def _event(self, place: Place, record: dict[str, Any]) -> None:
        """Take an event, and its issue with it."""
        self.found.events_given = True
        if record["event"] == COMMITTED:
            self.taken.unused[COMMITTED] += 1
            return
        event, shown = self._read_event(record), part(record, "issue")
        if shown:
            case_id, issue = self._issue(place, shown)
            self.found.add_issue(case_id, issue, place, alone=False)
        else:
            case_id = self._case_id(_addresses(record, place), None)
        self.found.add_event(case_id, event)

    def _event_of(
        self,
        case_id: str,
        place: Place,  # noqa: ARG002 - a handler
        record: dict[str, Any],
    ) -> None:
        """Take an event that stands inside its issue."""
        if record.get("event") == COMMITTED:
            self.taken.unused[COMMITTED] += 1
        else:
            self.found.add_event(case_id, self._read_event(record))

    def _read_event(self, record: dict[str, Any]) -> _Event:
        name, number = text(record, "event") or "", id_of(record, "id") or "0"
        at = self.clock.us(record, "created_at")
        if at is None:
            at = self.clock.needed(record, "submitted_at")  # a review in a timeline
        if not number.isdecimal():
            raise BadRecordError("LG168", "id of the event is no whole number")
        label = text(part(record, "label"), "name") if name in LABELS else None
        return _Event(at, int(number), name, _actor(record), label)

    def _case_id(self, addresses: Sequence[str], number: str | None) -> str:
        """Return the id of an issue's case from the first address that names it."""
        matches = (ADDRESS.search(address) for address in addresses)
        match = next((match for match in matches if match), None)
        if match is None:
            raise BadRecordError("LG170", "does not say of which repository's issue it is")
        found = number or match[2]
        return found if self.mapping.fields.case_id == "number" else f"{match[1]}#{found}"

    def _fill(self, history: History, case_id: str) -> None:
        """Give one issue with its changes to the history."""
        seen = self.found.issues.get(case_id, {})
        best = min((item.rank, -item.updated) for item in seen) if seen else None
        present = [item for item in seen if (item.rank, -item.updated) == best]
        events = sorted(self.found.events.get(case_id, ()), key=lambda e: (e.at, e.id, e.name))
        issue = present[0] if present else None
        changes = [self._said(change) for change in self._changes(case_id, events, issue)]
        for item in present:
            history.add_ticket(self._ticket(case_id, item, changes), seen[item])
        for change in changes:
            history.add_change(change)

    def _priority(self, word: str | None) -> str | None:
        return self.mapping.priorities.get(word or "", word)

    def _said(self, change: Change) -> Change:
        """Return a change in the log's words; a priority is told as the issue's own is."""
        if change.field != PRIORITY:
            return change
        return replace(change, old=self._priority(change.old), new=self._priority(change.new))

    def _ticket(self, case_id: str, issue: _Issue, changes: list[Change]) -> Ticket:
        fields, kind = self.mapping.fields, "pull_request" if issue.pull_request else "issue"
        word = _after(fields.priority, issue.labels)
        return Ticket(
            case_id=case_id,
            practice=self.mapping.practices.get(kind, kind),
            priority=self._priority(word),
            category=_after(fields.category, issue.labels),
            service=_after(fields.service, issue.labels),
            opened=issue.opened,
            resolved=self._resolved(changes),
            closed=issue.closed,
            state=self._present(issue, changes),
            team=_after(fields.team, issue.labels),
            opened_by=issue.by,
            attributes={name: _after(name, issue.labels) for name in fields.attributes},
            milestones=MILESTONES,
        )

    def _present(self, issue: _Issue, changes: list[Change]) -> str:
        """The state as the issue shows it now, in the words of the history."""
        if issue.state == CLOSED:
            return CLOSED
        last = next((change.new for change in reversed(changes) if change.field == STATE), None)
        if last == REOPENED:
            return REOPENED
        return _after(self.mapping.fields.state, issue.labels) or OPEN

    def _resolved(self, changes: list[Change]) -> int | None:
        at = None
        for change in changes:
            if change.field == STATE:
                word = self.mapping.words.get(change.new or "", change.new)
                if word in RESOLVED:
                    at = change.at
                elif change.new != CLOSED:
                    at = None
        return at

    def _changes(
        self, case_id: str, events: list[_Event], issue: _Issue | None
    ) -> Iterator[Change]:
        """Tell the events as changes, after the creation; one update is one run of one actor."""
        if not events:
            return
        fields = self.mapping.fields
        teller = _Teller(case_id, fields.state, _prefixes(self.mapping))
        runs = [list(run) for _, run in groupby(events, key=lambda e: (e.at, e.actor))]
        if issue is not None:
            first = runs[0]
            mine = first[0].at == issue.opened and first[0].actor in {issue.by, None}
            yield from teller.creation(issue, runs.pop(0) if mine else [])
        for run in runs:
            yield from teller.update(run)


@dataclass
class _Teller:
    """Replays the events of one issue; knows its state and what its labels say."""

    case_id: str
    state_prefix: str | None
    prefixes: dict[str, str]
    state: str | None = None
    said: dict[str, str | None] = field(default_factory=dict)

    def creation(self, issue: _Issue, run: list[_Event]) -> Iterator[Change]:
        """Tell how the issue was opened: what its author did in the same second belongs to it."""
        self.state = OPEN
        plain = [event for event in run if event.name not in {CLOSED, REOPENED}]
        changes = list(self.update(plain)) if plain else []
        self.state = self.said.get(STATE) or OPEN
        order, by, at = (-1,), issue.by, issue.opened
        for name, new in ({c.field: c.new for c in changes} | {STATE: self.state}).items():
            yield Change(self.case_id, at, name, None, new, by, order, by or "")
        rest = [event for event in run if event.name in {CLOSED, REOPENED}]
        if rest:
            yield from self.update(rest)

    def update(self, run: list[_Event]) -> Iterator[Change]:
        """Tell one update: what each event changes, the state and the labels' words once."""
        before = self.said | {STATE: self.state}
        names = {name for name in map(self._apply, run) if name}
        after = self.said | {STATE: self.state}
        spoken = {name: after.get(name) for name in (STATE, *self.prefixes) if name in names}
        changed = [n for n in sorted(names) if n not in spoken or before.get(n) != spoken[n]]
        by, order = run[0].actor, (run[0].id,)
        # an update that changes nothing (closed once more) still happened
        for name in changed or [run[0].name]:
            old, new = (before.get(name), spoken[name]) if name in spoken else (None, None)
            yield Change(self.case_id, run[0].at, name, old, new, by, order, by or "")

    def _apply(self, event: _Event) -> str | None:
        """Take one event; return the name of what it changes."""
        if event.name in {CLOSED, REOPENED}:
            self.state = event.name
            return STATE
        if event.label is None or event.name not in LABELS:
            return CHANGED.get(event.name, event.name)
        return self._label(event.label, set_now=LABELS[event.name])

    def _label(self, label: str, *, set_now: bool) -> str:
        for name, prefix in self.prefixes.items():
            if label.startswith(prefix):
                return self._word(name, label.removeprefix(prefix), set_now=set_now)
        return LABEL

    def _word(self, name: str, word: str, *, set_now: bool) -> str:
        """A label of a prefix says the word until it is taken away or another one is set."""
        if set_now:
            self.said[name] = word
        elif self.said.get(name) in {word, None}:
            self.said[name] = None
        if name != STATE:
            return name
        if self.state == CLOSED:
            return LABEL
        self.state = self.said.get(STATE) or OPEN
        return STATE


def _prefixes(mapping: Mapping) -> dict[str, str]:
    """Which of the log's fields are told by labels, and by which prefix."""
    fields = mapping.fields
    given = {
        STATE: fields.state,
        TEAM: fields.team,
        SERVICE: fields.service,
        CATEGORY: fields.category,
        PRIORITY: fields.priority,
    }
    return {name: prefix for name, prefix in given.items() if prefix}


def _after(prefix: str | None, labels: Sequence[str]) -> str | None:
    """What stands after a prefix in the labels, the last in order of the alphabet."""
    found = [label.removeprefix(prefix) for label in labels if prefix and label.startswith(prefix)]
    return max(found, default=None)


def _state(record: dict[str, Any]) -> str:
    word = (text(record, "state") or "").lower()
    if word not in {OPEN, CLOSED}:
        raise BadRecordError("LG168", "has a state that is neither open nor closed")
    return word


def _labels(record: dict[str, Any]) -> Iterator[str]:
    for label in list_of(record.get("labels")):
        name = text(label, "name") if isinstance(label, dict) else label
        if isinstance(name, str):
            yield name


def _actor(record: dict[str, Any]) -> str | None:
    """Who did it: the assigner of an assignment, else the actor or the writer."""
    people = [part(record, name) for name in ("assigner", "actor", "user")]
    return next((text(person, "login") for person in people if person), None)


def _addresses(record: dict[str, Any], place: Place) -> list[str]:
    """The addresses that may name the issue: its own, then the one that the answer came from."""
    names = ("url", "html_url", "issue_url", "pull_request_url", "repository_url")
    own = [text(record, name) or "" for name in names]
    number = text(record, "number")
    if number:
        own.append(f"{own[-1]}/issues/{number}")
    return [*own, place.url]
