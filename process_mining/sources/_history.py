"""What did each ticket go through, told by a tool's tickets and the history of their fields?

Ticket tools keep two things: the ticket as it is now, and a history of changes (which field, from
what, to what, when, by whom). One event of the log is one *update*: what one person saved at one
time. Its activity is the ticket's state after it, its team the team after it; `attr.changed` names
the fields that changed, sorted, joined by commas; `attr.priority`, in a log where the priority of
any ticket changes, is the priority after it, in the words of the ticket's. The first event is the
creation of the ticket, in its first state; it has no `changed`. An update that changes no state
keeps the state's word, as in a table of updates, so a practice's vocabulary with
`repeats = "updates"` takes it as no step.

The first state is the one that the first change of state came from, for most tools record no
creation. Updates are in order of (time, the tool's own order); two that are equal in both have no
known order, and the log says so. A ticket of which no change is known shows its milestones instead:
the times at which it was opened, resolved and closed, as far as the tool keeps them.

Seen on the way, and handed to the quality gate:

    QG145  history-cut-start  changes of a ticket of which no record says when it was opened
    QG146  history-gap        a change that starts from another state than the one before ended in
    QG147  history-cut-end    a ticket whose last known change does not lead to its present state,
                              team or priority
    QG148  no-history         tickets of which only milestones are known
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.eventlog import POSITION, Seen
from process_mining.sources import Parts, _mapping, refuse_mapping
from process_mining.sources._rejects import shown
from process_mining.sources._table import TableBuilder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from process_mining.sources import ReadOptions
    from process_mining.sources._rejects import RejectList

STATE: Final = "state"
TEAM: Final = "team"
ASSIGNEE: Final = "assignee"
PRIORITY: Final = "priority"
# the tool's own field of that name, where the desk has another one for its priority
STANDARD_PRIORITY: Final = "standard priority"
CATEGORY: Final = "category"
SERVICE: Final = "service"
COMMENT: Final = "comment"
CHANGED: Final = s.ATTRIBUTE_PREFIX + "changed"
TIMES: Final = (s.OPENED, s.RESOLVED, s.CLOSED)
TEXTS: Final = (s.PRACTICE, s.PRIORITY, s.CATEGORY, s.SERVICE)


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one ticket, changed by one save.

    `at` in µs UTC; `order` is the tool's own order among changes of one time; changes of a ticket
    with the same (at, order, save) are one update. `field` is one of the names above, or the
    tool's own name of the field; `old` and `new` are the tool's words, None where there was none.
    `extra` are further facts of the save, (name, value), kept as attributes of its event.
    """

    case_id: str
    at: int
    field: str
    old: str | None
    new: str | None
    actor: str | None = None
    order: tuple[int, ...] = ()
    save: str = ""
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Ticket:
    """A ticket as the tool shows it now; times in µs UTC, None where not known.

    `state` and `team` are the present ones, `opened_by`, `resolved_by` and `closed_by` who did it;
    `reassigned` says that the tool counts changes of its team or agent. `words` of `milestones` are
    what the log calls opening, resolving and closing where no history is known. `touched` says that
    something was changed since it was opened, `states_told` that the history holds states at all.
    """

    case_id: str
    practice: str | None = None
    priority: str | None = None
    category: str | None = None
    service: str | None = None
    opened: int | None = None
    resolved: int | None = None
    closed: int | None = None
    state: str | None = None
    team: str | None = None
    reassigned: bool = False
    opened_by: str | None = None
    resolved_by: str | None = None
    closed_by: str | None = None
    attributes: Mapping[str, str | None] = field(default_factory=dict)
    milestones: tuple[str, str, str] = ("Opened", "Resolved", "Closed")
    touched: bool = False
    states_told: bool = True


@dataclass(eq=False)
class _Update:
    """Changes of one save, or the creation (`changes` empty)."""

    at: int
    order: tuple[int, ...]
    actor: str | None
    state: str
    team: str | None
    changed: str | None
    extra: tuple[tuple[str, str], ...] = ()
    priority: str | None = None


@dataclass(eq=False)
class History:
    """Collects tickets, changes and links of all files of one call; `parts` makes them a log.

    `words` says what the log calls the tool's states; a state that it lacks stays as it is.
    `history_given` tells whether any file of the call holds changes: then a ticket without any is
    taken as untouched since its creation, unless it is resolved, closed or `touched`.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    history_given: bool = False
    tickets: dict[str, Ticket] = field(default_factory=dict)
    changes: dict[str, dict[Change, None]] = field(default_factory=dict)
    links: list[tuple[str, str, str, int | None]] = field(default_factory=list)
    repeated: int = 0
    _places: dict[str, str] = field(default_factory=dict)
    _found: dict[str, set[str]] = field(default_factory=dict)

    def add_ticket(self, ticket: Ticket, place: str) -> None:
        """Take one ticket; one that stands twice with different facts is an error (LG080)."""
        known = self.tickets.get(ticket.case_id)
        if known is None:
            self.tickets[ticket.case_id] = ticket
            self._places[ticket.case_id] = place
        elif known == ticket:
            self.repeated += 1
        else:
            raise RunError(
                "LG080",
                f"case {shown(ticket.case_id)} stands in {self._places[ticket.case_id]} and in "
                f"{place}, and they differ in {', '.join(_differing(known, ticket))}",
                why="which row is right is not guessed",
                fix="Keep one",
            )

    def add_change(self, change: Change) -> None:
        """Take one change; an export's pages may overlap, so the very same one counts once."""
        self.history_given = True
        own = self.changes.setdefault(change.case_id, {})
        if change in own:
            self.repeated += 1
        own[change] = None

    def add_link(self, case_id: str, linked_to: str, kind: str, at: int | None = None) -> None:
        """Take one link from a ticket to another."""
        self.links.append((case_id, linked_to, kind, at))

    def parts(  # noqa: PLR0913 - what a source can know of a log
        self,
        *,
        rows_in: int,
        rejects: RejectList,
        timezone: str,
        notes: Sequence[str] = (),
        seen: Sequence[Seen] = (),
        people: frozenset[str] = frozenset(),
        activity_order: tuple[str, ...] = (),
    ) -> Parts:
        """Return everything as a log's parts."""
        events = TableBuilder(types={s.AT: pa.int64(), POSITION: pa.int64()}, place="the export")
        cases = TableBuilder(types=dict.fromkeys(TIMES, pa.int64()), place="the export")
        for case_id in sorted({*self.tickets, *self.changes}):
            for position, update in self._updates(case_id):
                events.add(self._cells(case_id, position, update))
            cases.add(_case_cells(self._ticket(case_id)))
        if self.repeated:
            notes = (*notes, f"{self.repeated} records stand in the export more than once")
        return Parts(
            events=events.table(),
            cases=cases.table(),
            rows_in=rows_in,
            rejects=rejects.table(),
            timezone=timezone,
            notes=tuple(notes),
            seen=(*seen, *self._seen()),
            links=_link_table(self.links),
            people=people,
            activity_order=activity_order,
        )

    def _ticket(self, case_id: str) -> Ticket:
        return self.tickets.get(case_id) or Ticket(case_id)

    def _updates(self, case_id: str) -> Iterable[tuple[int, _Update]]:
        """Yield the updates in order, each with its position (equal where no order is known)."""
        ticket = self._ticket(case_id)
        ordered = sorted(self.changes.get(case_id, ()), key=_order)
        if not ticket.states_told:
            updates = self._beside_milestones(ticket, ordered)
        elif ordered:
            updates = self._of_changes(ticket, ordered)
        else:
            updates = self._without_changes(ticket)
        position, before = -1, None
        for update in updates:
            here = (update.at, update.order)
            position += here != before
            before = here
            yield position, update

    def _of_changes(self, ticket: Ticket, ordered: list[Change]) -> Iterable[_Update]:
        """Replay the changes from the first known state, team and priority to the last."""
        saves = [list(changes) for _, changes in groupby(ordered, key=_order)]
        state = _first(ordered, STATE, ticket.state)
        team = _first(ordered, TEAM, ticket.team)
        priority = _first(ordered, PRIORITY, ticket.priority)
        if ticket.reassigned and not {change.field for change in ordered} & {TEAM, ASSIGNEE}:
            self._find("QG146", ticket.case_id)  # whose it was before is not in the history
            team = None
        created = ticket.opened is not None and _is_creation(saves[0], ticket.opened)
        if created:
            first = saves.pop(0)
            state, team = _last(first, STATE, state), _last(first, TEAM, team)
            priority = _last(first, PRIORITY, priority)
        if ticket.opened is None or state is None:
            self._find("QG145", ticket.case_id)
        else:
            by = ticket.opened_by or (first[0].actor if created else None)
            yield _Update(ticket.opened, (-1,), by, state, team, None, priority=priority)
        for save in saves:
            self._check_continuity(save, state)
            state, team = _last(save, STATE, state), _last(save, TEAM, team)
            priority = _last(save, PRIORITY, priority)
            changed = ",".join(sorted({change.field for change in save}))
            word = state if state is not None else (ticket.state or "")
            extra = _extra(save)
            by = save[0].actor
            yield _Update(save[0].at, save[0].order, by, word, team, changed, extra, priority)
        told = {change.field for change in ordered}
        ends = (
            (ticket.state, state),
            (ticket.team if TEAM in told else None, team),
            (ticket.priority if PRIORITY in told else None, priority),
        )
        if any(now is not None and end is not None and now != end for now, end in ends):
            self._find("QG147", ticket.case_id)

    def _without_changes(self, ticket: Ticket) -> Iterable[_Update]:
        """An untouched ticket is in its first state; of any other only the milestones are known."""
        over = ticket.touched or ticket.resolved is not None or ticket.closed is not None
        if self.history_given and not over and ticket.opened is not None and ticket.state:
            first = _Update(ticket.opened, (), ticket.opened_by, ticket.state, ticket.team, None)
            yield replace(first, priority=ticket.priority)
            return
        yield from self._milestones(ticket)

    def _milestones(self, ticket: Ticket) -> Iterable[_Update]:
        self._find("QG148", ticket.case_id)
        times = (ticket.opened, ticket.resolved, ticket.closed)
        people = (ticket.opened_by, ticket.resolved_by, ticket.closed_by)
        for order, (word, at) in enumerate(zip(ticket.milestones, times, strict=True)):
            if at is not None:
                team = ticket.team if order else None
                here = _Update(at, (order,), people[order], word, team, None)
                yield replace(here, priority=ticket.priority)

    def _beside_milestones(self, ticket: Ticket, ordered: list[Change]) -> Iterable[_Update]:
        """Milestones with the changes that tell no state between them, in the state before."""
        reached = [(update.at, 0, update.order, update) for update in self._milestones(ticket)]
        beside, priority = [], _first(ordered, PRIORITY, ticket.priority)
        for _, changes in groupby(ordered, key=_order):
            save = list(changes)
            changed = ",".join(sorted({change.field for change in save}))
            priority = _last(save, PRIORITY, priority)
            update = _Update(
                save[0].at, save[0].order, save[0].actor, "", None, changed, _extra(save), priority
            )
            beside.append((update.at, 1, update.order, update))
        word, team = ticket.milestones[0], None
        priority = _first(ordered, PRIORITY, ticket.priority)
        for _, later, order, update in sorted([*reached, *beside], key=lambda item: item[:3]):
            word = word if later else update.state
            team = team if later else update.team
            priority = update.priority if later else priority
            yield replace(update, order=(later, *order), state=word, team=team, priority=priority)

    def _check_continuity(self, save: list[Change], state: str | None) -> None:
        for change in save:
            if change.field == STATE:
                if change.old is not None and state is not None and change.old != state:
                    self._find("QG146", change.case_id)
                state = change.new

    def _find(self, code: str, case_id: str) -> None:
        self._found.setdefault(code, set()).add(case_id)

    def _seen(self) -> list[Seen]:
        of = len({*self.tickets, *self.changes})
        return [
            Seen(code, len(cases), unit="cases", of=of, cases=tuple(sorted(cases)))
            for code, cases in sorted(self._found.items())
        ]

    def _cells(self, case_id: str, position: int, update: _Update) -> dict[str, str | int | None]:
        return {
            s.CASE_ID: case_id,
            s.ACTIVITY: self.words.get(update.state, update.state) or "(no state)",
            s.AT: update.at,
            POSITION: position,
            s.ACTOR: update.actor,
            s.TEAM: update.team,
            CHANGED: update.changed,
            s.CASE_PREFIX + s.PRIORITY: update.priority,
            **{s.ATTRIBUTE_PREFIX + name: value for name, value in update.extra},
        }


def tool_mapping(options: ReadOptions) -> _mapping.Mapping:
    """Return the mapping for a tool's export (an empty one if none is given).

    CodedError LG033 for a mapping of a table's columns: the tool names its own.
    """
    if options.mapping is None:
        return _mapping.Mapping(name="none")
    mapping = _mapping.load_mapping(options.mapping)
    if mapping.event is not None:
        refuse_mapping(options, "a ticket tool's export")
    return mapping


def slug(word: str) -> str:
    """Return a tool's word for a type of ticket as the name of a practice would be written."""
    letters = "".join(letter if letter.isalnum() else " " for letter in word.lower())
    return "_".join(letters.split())


def _order(change: Change) -> tuple[int, tuple[int, ...], str]:
    return (change.at, change.order, change.save)


def _first(ordered: list[Change], name: str, otherwise: str | None) -> str | None:
    """The value that the first change of a field came from; the present one if it never changed."""
    return next((change.old for change in ordered if change.field == name), otherwise)


def _last(save: list[Change], name: str, otherwise: str | None) -> str | None:
    """The value of a field after a save."""
    return next((change.new for change in reversed(save) if change.field == name), otherwise)


def _extra(save: list[Change]) -> tuple[tuple[str, str], ...]:
    """The further facts of a save; several values of one name are joined, sorted, by commas."""
    found: dict[str, set[str]] = {}
    for name, value in (fact for change in save for fact in change.extra):
        found.setdefault(name, set()).add(value)
    return tuple((name, ",".join(sorted(values))) for name, values in sorted(found.items()))


def _is_creation(save: list[Change], opened: int) -> bool:
    """Whether the first save is the ticket's creation: at that time, and from nothing."""
    return save[0].at == opened and all(change.old is None for change in save)


def _differing(one: Ticket, other: Ticket) -> list[str]:
    names = [item.name for item in fields(Ticket)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def _case_cells(ticket: Ticket) -> dict[str, str | int | None]:
    attributes = {s.ATTRIBUTE_PREFIX + name: value for name, value in ticket.attributes.items()}
    plain = {name: getattr(ticket, name) for name in (s.CASE_ID, *TEXTS, *TIMES)}
    return attributes | plain


def _link_table(links: list[tuple[str, str, str, int | None]]) -> pa.Table:
    names = s.LINK_SCHEMA.names
    return pa.Table.from_pylist(
        [dict(zip(names, link, strict=True)) for link in links], schema=s.LINK_SCHEMA
    )
