"""Which tickets do the ticket tables of a ServiceNow export hold?

A ticket may stand in several tables: what all tasks have in `task`, what a class adds in its own.
Rows of one sys_id are one ticket; two that contradict each other are an error (LG080), for which is
right is not guessed. The case id is the number, the sys_id where no table given has the number.

    opened     opened_at, sys_created_on where the table lacks it
    resolved   resolved_at        closed    closed_at
    actor      opened_by as the login that sys_user says; else sys_created_by, which is a login;
               else opened_by as it stands. Resolving: resolved_by, closing: closed_by
    team       assignment_group   service   business_service; cmdb_ci where no table has that
    links      problem_id → problem, rfc → change, caused_by, duplicate_of; parent, parent_incident
               and the ticket that a task is of → parent

What tells a kind of ticket apart (KINDS: a change's type, an incident's major_incident_state) is
kept as an attribute. No other field becomes one unless `[fields] attributes` asks for it; fields of
people that are asked for get pseudonyms.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean
from process_mining.sources._history import Ticket, slug
from process_mining.sources._rejects import shown
from process_mining.sources.servicenow.names import PEOPLE
from process_mining.sources.servicenow.rows import CLASSES, NUMBER, SYS_ID, TASK
from process_mining.sources.servicenow.values import STATES, duration_us, number, priority_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from process_mining.sources._mapping import Mapping as ToolMapping
    from process_mining.sources.servicenow.names import Names
    from process_mining.sources.servicenow.rows import Row
    from process_mining.sources.servicenow.values import Stamps

PRACTICES: Final = {
    "incident": "incident",
    "problem": "problem",
    "change_request": "change",
    "sc_request": "service_request",
    "sc_req_item": "service_request",
}
LINKS: Final = {
    "problem_id": "problem",
    "rfc": "change",
    "caused_by": "caused_by",
    "parent_incident": "parent",
    "parent": "parent",
    "duplicate_of": "duplicate_of",
}
KINDS: Final = {"change_request": "type", "incident": "major_incident_state"}
# The ticket that a task is part of, by the task's table.
WHOLES: Final = {
    "change_task": "change_request",
    "problem_task": "problem",
    "sc_task": "request_item",
    "sc_req_item": "request",
}
DURATIONS: Final = frozenset(
    {"business_duration", "calendar_duration", "time_worked", "business_stc", "calendar_stc"}
)
MILESTONES: Final = ("Opened", "Resolved", "Closed")
CREATED: Final = "sys_created_on"
_OWN_PER_TABLE: Final = ("sys_", "_fivetran")


class BadRowError(Exception):
    """A row that is not taken: the code and the reason of its reject."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep both for the list of rejects."""
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(eq=False)
class Merged:
    """A ticket as all its rows together say it."""

    table: str
    place: str
    values: dict[str, str]
    labels: dict[str, str]
    times: dict[str, int]
    attributes: dict[str, str | None] = field(default_factory=dict)

    def pair(self, column: str) -> tuple[str | None, str | None]:
        """Return value and label."""
        return self.values.get(column), self.labels.get(column)

    def text(self, column: str) -> str | None:
        """Return the value, or the label where there is no value."""
        return self.values.get(column) or self.labels.get(column)

    def label(self, column: str) -> str | None:
        """Return the label, or the value where there is no label."""
        return self.labels.get(column) or self.values.get(column)


@dataclass(eq=False)
class Tickets:
    """The tickets of a call, by sys_id and by case id; `gone` are sys_ids that were deleted."""

    mapping: ToolMapping
    names: Names
    columns: Collection[str] = ()
    repeated: int = 0
    gone: frozenset[str] = frozenset()
    unused: Counter[str] = field(default_factory=Counter)
    _merged: dict[str, Merged] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)
    _tables: dict[str, str] = field(default_factory=dict)
    _cases: dict[str, Merged] = field(default_factory=dict)
    _orphans: dict[str, str] = field(default_factory=dict)

    def times(self) -> tuple[str, ...]:
        """Return the columns of ticket tables that hold times."""
        fields = self.mapping.fields
        return (
            fields.opened or "opened_at",
            fields.resolved or "resolved_at",
            fields.closed or "closed_at",
            CREATED,
        )

    def add(self, row: Row, stamps: Stamps) -> None:
        """Take one row of a ticket table."""
        read = {column: stamps.read(row, column) for column in self.times()}
        times = {column: at for column, at in read.items() if at is not None}
        key = row.values.get(SYS_ID) or row.text(self.mapping.fields.case_id or NUMBER)
        if key is None:
            raise BadRowError("LG156", "has neither sys_id nor number")
        fresh = Merged(
            row.table, f"{row.file} {row.place}", dict(row.values), dict(row.labels), times
        )
        known = self._merged.get(key)
        if known is None:
            self._merged[key] = fresh
        else:
            self._merge(known, fresh, key)

    def index(self) -> None:
        """Give every ticket its case id, after all rows are in."""
        self._check_fields()
        for key, ticket in self._merged.items():
            case_id = self.case_id(key, ticket)
            other = self._cases.setdefault(case_id, ticket)
            if other is not ticket:
                self._refuse_twice(case_id, other, ticket)
            self._keys[key] = case_id
            self._keys.setdefault(case_id, case_id)
            number_ = ticket.text(NUMBER)
            if number_ is not None:
                self._keys.setdefault(number_, case_id)
        self._tables = {case_id: ticket.table for case_id, ticket in self._cases.items()}

    def case_id(self, key: str, ticket: Merged) -> str:
        """Return the number, or the sys_id where the number is not known."""
        return ticket.label(self.mapping.fields.case_id or NUMBER) or key

    @property
    def cases(self) -> dict[str, Merged]:
        """The tickets by case id."""
        return self._cases

    @property
    def unnumbered(self) -> int:
        """How many tickets are named by their sys_id, for want of a number."""
        return sum(key == self._keys[key] for key in self._merged if len(key) == 32)  # noqa: PLR2004 - a sys_id

    def of_history(self, document: str, table: str) -> str | None:
        """Return the case of a history row, None where it is of no ticket; LG155 where unknown."""
        if document in self._keys:
            return self._keys[document]
        if document in self.gone:
            self.unused["rows of the history of tickets that were deleted in ServiceNow"] += 1
            return None
        if table and table not in CLASSES and table not in self.mapping.practices:
            self.unused[f"rows of the history of {table}"] += 1
            return None
        given = set(self._tables.values())
        if (table in given) if table else bool(given):
            raise BadRowError("LG155", f"is of {shown(document)}, which no ticket table here holds")
        self._orphans[document] = table
        return document

    def of_reference(self, value: str | None, label: str | None) -> str:
        """Return the case of a row about a ticket, such as an SLA; LG155 where it is unknown."""
        for text in (value, label):
            if text is not None and text.rpartition(": ")[2] in self._keys:
                return self._keys[text.rpartition(": ")[2]]
        msg = f"is of {shown(value or label or '')}, which no ticket table here holds"
        raise BadRowError("LG155", msg)

    def table_of(self, case_id: str) -> str:
        """Return the table of a ticket, "" where it is not known."""
        return self._tables.get(case_id) or self._orphans.get(case_id, "")

    def opened(self, case_id: str) -> int | None:
        """Return when a ticket was opened, where a ticket table says so."""
        ticket = self._cases.get(case_id)
        return None if ticket is None else self._opened(ticket)

    def built(
        self, told: Collection[str], words: Mapping[str, str]
    ) -> Iterator[tuple[Ticket, str]]:
        """Yield every ticket with its place; `told` are the tables whose states are told."""
        for case_id, ticket in sorted(self._cases.items()):
            yield self._ticket(case_id, ticket, told, words), ticket.place
        for case_id, table in sorted(self._orphans.items()):
            yield Ticket(case_id, practice=self.practice(table) if table else None), "sys_audit"

    def links(self) -> Iterator[tuple[str, str, str]]:
        """Yield (case, linked case, kind)."""
        for case_id, ticket in sorted(self._cases.items()):
            kinds = dict(LINKS)
            if ticket.table in WHOLES:
                kinds[WHOLES[ticket.table]] = "parent"
            for column, kind in kinds.items():
                value, label = ticket.pair(column)
                other = self._keys.get(value or "") or self._keys.get(label or "")
                linked = other or label or value
                if linked is not None:
                    yield case_id, linked, kind

    def practice(self, table: str) -> str:
        """Return the practice of a table: the mapping's, the tool's own, else its name."""
        return self.mapping.practices.get(table) or PRACTICES.get(table) or slug(table)

    def people(self) -> frozenset[str]:
        """Return the attributes that hold names."""
        fields = self.mapping.fields
        asked = {*fields.attributes, *fields.people}
        return frozenset(s.ATTRIBUTE_PREFIX + name for name in asked & (PEOPLE | {*fields.people}))

    def _ticket(
        self, case_id: str, ticket: Merged, told: Collection[str], words: Mapping[str, str]
    ) -> Ticket:
        fields, names = self.mapping.fields, self.names
        category, priority = fields.category or "category", fields.priority or "priority"
        opened, resolved, closed, _ = self.times()
        return Ticket(
            case_id=case_id,
            practice=self.practice(ticket.table),
            priority=priority_of(*ticket.pair(priority), self.mapping.priorities),
            category=names.word(ticket.table, category, *ticket.pair(category)),
            service=names.thing(*ticket.pair(self._service())),
            opened=ticket.times.get(opened, ticket.times.get(CREATED)),
            resolved=ticket.times.get(resolved),
            closed=ticket.times.get(closed),
            state=self._state(ticket, words),
            team=names.thing(*ticket.pair(fields.team or "assignment_group")),
            opened_by=self._opener(ticket),
            resolved_by=self._person(ticket, "resolved_by"),
            closed_by=self._person(ticket, "closed_by"),
            attributes=self._attributes(ticket) | ticket.attributes,
            milestones=(
                words.get(MILESTONES[0], MILESTONES[0]),
                words.get(MILESTONES[1], MILESTONES[1]),
                words.get(MILESTONES[2], MILESTONES[2]),
            ),
            reassigned=fields.team is None
            and ticket.values.get("reassignment_count", "0") not in {"0", ""},
            touched=ticket.values.get("sys_mod_count", "0") != "0",
            states_told=ticket.table in told,
        )

    def _opened(self, ticket: Merged) -> int | None:
        return ticket.times.get(self.times()[0], ticket.times.get(CREATED))

    def _service(self) -> str:
        own = self.mapping.fields.service
        return own or ("business_service" if "business_service" in self.columns else "cmdb_ci")

    def _state(self, ticket: Merged, words: Mapping[str, str]) -> str | None:
        own = self.mapping.fields.state
        for column in (own,) if own else STATES:
            value, label = ticket.pair(column)
            said = self.names.word(ticket.table, column, value, label)
            if said is not None:
                return words.get(said, words.get(value or "", said))
        return None

    def _opener(self, ticket: Merged) -> str | None:
        column = self.mapping.fields.actor or "opened_by"
        login = self.names.login(*ticket.pair(column))
        if login is not None or self.mapping.fields.actor:
            return login or ticket.label(column)
        maker = ticket.text("sys_created_by")
        return self.names.login(maker, None) or maker or ticket.label(column)

    def _person(self, ticket: Merged, column: str) -> str | None:
        return self.names.login(*ticket.pair(column)) or ticket.label(column)

    def _attributes(self, ticket: Merged) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        kind = [KINDS[ticket.table]] if ticket.table in KINDS else []
        kept = [name for name in kind if name in self.columns]
        for name in dict.fromkeys(
            (*self.mapping.fields.attributes, *self.mapping.fields.people, *kept)
        ):
            value, label = ticket.pair(name)
            if name in DURATIONS:
                us = duration_us(value)
                found[f"{name}_us"] = None if us is None else str(us)
            elif name in PEOPLE:
                found[name] = self._person(ticket, name)
            else:
                said = self.names.word(ticket.table, name, value, label)
                found[name] = None if said is None else number(self.names.thing(said, None) or said)
        return found

    def _merge(self, known: Merged, fresh: Merged, key: str) -> None:
        """Add what the fresh row says; refuse what contradicts."""
        before = (dict(known.values), dict(known.labels))
        for into, more in ((known.values, fresh.values), (known.labels, fresh.labels)):
            for column, text in more.items():
                if into.setdefault(column, text) != text and not column.startswith(_OWN_PER_TABLE):
                    self._contradiction(key, column, known.place, fresh.place)
        known.times = fresh.times | known.times
        if known.table == TASK:
            known.table = fresh.table
        self.repeated += before == (known.values, known.labels)

    def _contradiction(self, key: str, column: str, one: str, other: str) -> None:
        raise RunError(
            "LG080",
            f"ticket {shown(key)} stands in {one} and in {other}, and they differ in {column}",
            why="which row is right is not guessed",
            fix="Keep one",
        )

    def _refuse_twice(self, case_id: str, one: Merged, other: Merged) -> None:
        raise RunError(
            "LG080",
            f"{shown(case_id)} in {one.place} and in {other.place} are two tickets by their sys_id",
            why="which row is right is not guessed",
            fix="Keep one, or export the sys_id in both files",
        )

    def _check_fields(self) -> None:
        """Refuse a field of the mapping that no ticket table has."""
        fields = self.mapping.fields
        single = {name: value for name, value in fields if isinstance(value, str)}
        several = [("attributes", name) for name in fields.attributes]
        several += [("people", name) for name in fields.people]
        for place, column in (*single.items(), *several):
            if self._merged and column not in self.columns:
                raise CodedError(
                    "LG041",
                    f"no ticket table has the field '{column}', which mapping "
                    f"'{self.mapping.name}' reads (fields.{place})",
                    fix=did_you_mean(column, self.columns),
                )
