"""What happened to ServiceNow's tickets, as its audits, metrics and approvals tell it?

- sys_audit: a row is one field changed. Rows of one ticket, person and `record_checkpoint` (the
  record's count of updates) within `SAVE_US` are one save, at the earliest of their times; saves of
  one time are in the order of `internal_checkpoint` (hexadecimal), then of `record_checkpoint`.
  An incident has its state in two fields; where a save changes both, one of them counts.
- metric_instance: a row is a value of a field, from `start` to `end`. The first value that begins
  with the ticket (within `BORN_US`) is its first state or team; each later one is a change. Used
  where the call has no sys_audit; metrics name no actor.
- sysapproval_approver: the request (at `sys_created_on`) is an update of who asked, the decision
  (at `sys_updated_on`) one of the approver; both change `approval`, whose value stays with the
  event (`attr.approval`).

Values of states, teams and priorities are kept as the tickets have them; of other fields only that
there was one. Rows of a ticket that no given table holds
are rejects (LG155); where no ticket of that table is given at all, the sys_id is the case id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from process_mining.schema import US_PER_MINUTE
from process_mining.sources._history import (
    ASSIGNEE,
    CATEGORY,
    COMMENT,
    PRIORITY,
    SERVICE,
    STATE,
    TEAM,
    Change,
)
from process_mining.sources.servicenow.tickets import BadRowError
from process_mining.sources.servicenow.values import STATES, priority_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from process_mining.sources.servicenow.names import Names
    from process_mining.sources.servicenow.rows import Row
    from process_mining.sources.servicenow.tickets import Tickets
    from process_mining.sources.servicenow.values import Stamps

SAVE_US: Final = US_PER_MINUTE
BORN_US: Final = US_PER_MINUTE
CANONICAL: Final = {
    **dict.fromkeys(STATES, STATE),
    "assignment_group": TEAM,
    "assigned_to": ASSIGNEE,
    "priority": PRIORITY,
    "category": CATEGORY,
    "business_service": SERVICE,
    "comments": COMMENT,
    "work_notes": COMMENT,
    "comments_and_work_notes": COMMENT,
}
KEPT: Final = "kept"
ASKED: Final = "requested"
NOT_ASKED: Final = "not requested"
DECIDED: Final = frozenset({"approved", "rejected"})


@dataclass(frozen=True, slots=True)
class _Line:
    """One audit row that was read."""

    case_id: str
    at: int
    checkpoint: str
    order: int
    actor: str | None
    column: str
    old: str | None
    new: str | None


@dataclass(eq=False)
class Teller:
    """Turns the rows of history tables into changes of tickets."""

    tickets: Tickets
    names: Names
    words: Mapping[str, str]
    columns: Mapping[str, str]
    priorities: dict[str, str] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)

    def word(self, table: str, column: str, value: str | None, label: str | None) -> str | None:
        """Return the log's word for a state."""
        said = self.names.word(table, column, value, label)
        return None if said is None else self.words.get(said, self.words.get(value or "", said))

    def priority(self, table: str, column: str, value: str | None) -> str | None:
        """Return the log's word for a priority, as the ticket's own is told."""
        label = self.names.word(table, column, value, None)
        return priority_of(value, label if label != value else None, self.priorities)

    # --- sys_audit

    def audit_line(self, row: Row, stamps: Stamps) -> _Line | None:
        """Read one audit row; None for one of a table that is no ticket."""
        document, column = row.values.get("documentkey"), row.values.get("fieldname")
        at = stamps.read(row, "sys_created_on")
        if document is None or column is None or at is None:
            lacking = [
                name
                for name in ("documentkey", "fieldname", "sys_created_on")
                if row.values.get(name) is None
            ]
            raise BadRowError("LG158", f"has no {', '.join(lacking)}")
        table = row.values.get("tablename") or ""
        case_id = self.tickets.of_history(document, table)
        if case_id is None:
            return None
        table = self.tickets.table_of(case_id) or table
        old, new = self._values(table, column, row)
        checkpoint = row.values.get("record_checkpoint", "")
        return _Line(
            case_id=case_id,
            at=at,
            checkpoint="" if checkpoint.startswith("-") else checkpoint,
            order=_hexadecimal(row.values.get("internal_checkpoint")),
            actor=self.names.login(row.text("user"), None) or row.text("user"),
            column=column,
            old=old,
            new=new,
        )

    def _values(self, table: str, column: str, row: Row) -> tuple[str | None, str | None]:
        """What the field was and is, as far as the log needs it."""
        pair = (row.text("oldvalue"), row.text("newvalue"))
        name = self.columns.get(column)
        if name == STATE:
            return tuple(self.word(table, column, text, None) for text in pair)  # type: ignore[return-value]
        if name == TEAM:
            return tuple(self.names.thing(text, None) for text in pair)  # type: ignore[return-value]
        if name == PRIORITY:
            return tuple(self.priority(table, column, text) for text in pair)  # type: ignore[return-value]
        return tuple(None if text is None else KEPT for text in pair)  # type: ignore[return-value]

    def audit_changes(self, lines: Sequence[_Line]) -> Iterator[Change]:
        """Yield the changes of all saves."""
        saves: dict[tuple[str, str, str], list[_Line]] = defaultdict(list)
        for line in lines:
            key = line.checkpoint or f"at {line.at} {line.order}"
            saves[line.case_id, key, line.actor or ""].append(line)
        for (_, key, _), several in sorted(saves.items()):
            for save in _within(sorted(several, key=_line_order)):
                yield from self._changes_of(save, key)

    def _changes_of(self, save: list[_Line], key: str) -> Iterator[Change]:
        at = min(line.at for line in save)
        record = int(key) if key.isascii() and key.isdigit() else 0
        order = (min(line.order for line in save), record)
        states = [line for line in save if self.columns.get(line.column) == STATE]
        chosen = min(states, key=_state_rank, default=None)
        for line in save:
            name = self.columns.get(line.column, line.column)
            new = line.column if name == COMMENT else line.new
            if name == STATE and chosen is not None and line.column != chosen.column:
                if line.new == chosen.new:
                    continue
                name = line.column
            yield Change(
                case_id=line.case_id,
                at=at,
                field=name,
                old=line.old,
                new=new,
                actor=line.actor,
                order=order,
                save=f"{key} {line.actor or ''}",
            )

    # --- metric_instance

    def metric_value(
        self, row: Row, stamps: Stamps
    ) -> tuple[tuple[str, str], int, str | None] | None:
        """Read one metric row: (case, state or team), start and value; None where of no use."""
        column = row.text("field") or ""
        name = self.columns.get(column)
        document, start = row.text("id"), stamps.read(row, "start")
        if name not in {STATE, TEAM} or not (row.values.get("field_value") or row.text("value")):
            self.unused["metrics of other fields"] += 1
            return None
        if document is None or start is None:
            raise BadRowError("LG158", "has no id or no start")
        table = row.values.get("table") or ""
        case_id = self.tickets.of_history(document.rpartition(": ")[2], table)
        if case_id is None:
            return None
        value, label = row.text("field_value"), row.text("value")
        if name == STATE:
            table = self.tickets.table_of(case_id) or table
            return (case_id, name), start, self.word(table, column, value, label)
        return (case_id, name), start, self.names.thing(value, label)

    def metric_changes(
        self, values: Mapping[tuple[str, str], list[tuple[int, str | None]]]
    ) -> Iterator[Change]:
        """Yield a change for each value that follows another, or begins after the ticket did."""
        for (case_id, name), found in sorted(values.items()):
            spans = sorted(set(found), key=lambda span: (span[0], span[1] or ""))
            opened = self.tickets.opened(case_id)
            first = spans[0]
            if opened is None or first[0] - opened > BORN_US:
                spans = [(first[0], None), *spans]
            for (_, old), (at, new) in pairwise(spans):
                if old != new:
                    yield Change(case_id=case_id, at=at, field=name, old=old, new=new)

    # --- sysapproval_approver

    def approval_changes(self, row: Row, stamps: Stamps) -> list[Change]:
        """Return the request for an approval, and what became of it."""
        document = row.text("sysapproval") or row.text("document_id")
        asked, last = stamps.read(row, "sys_created_on"), stamps.read(row, "sys_updated_on")
        if document is None or (asked is None and last is None):
            raise BadRowError("LG158", "has no sysapproval or no time")
        case_id = self.tickets.of_history(
            document.rpartition(": ")[2], row.values.get("source_table") or ""
        )
        if case_id is None:
            return []
        found = []
        state = (row.text("state") or NOT_ASKED).lower()
        key = row.values.get("sys_id") or f"{row.file} {row.number}"
        if asked is not None and state != NOT_ASKED:
            by = row.text("sys_created_by")
            found.append(
                _approval(
                    case_id, at=asked, order=(0,), actor=by, old=NOT_ASKED, new=ASKED, key=key
                )
            )
        if last is not None and state not in {ASKED, NOT_ASKED}:
            who = self._approver(row) if state in DECIDED else row.text("sys_updated_by")
            found.append(
                _approval(case_id, at=last, order=(1,), actor=who, old=ASKED, new=state, key=key)
            )
        return found

    def _approver(self, row: Row) -> str | None:
        value, label = row.values.get("approver"), row.labels.get("approver")
        return self.names.login(value, label) or row.label("approver")


def _state_rank(line: _Line) -> int:
    """Which of two state fields counts: the declared one, then `state`."""
    return STATES.index(line.column) if line.column in STATES else -1


def _approval(  # noqa: PLR0913 - the facts of one change
    case_id: str,
    *,
    at: int,
    order: tuple[int, ...],
    actor: str | None,
    old: str,
    new: str,
    key: str,
) -> Change:
    return Change(
        case_id=case_id,
        at=at,
        field="approval",
        old=old,
        new=new,
        actor=actor,
        order=order,
        save=key,
        extra=(("approval", new),),
    )


def _line_order(line: _Line) -> tuple[int, int, str, str, str]:
    return (line.at, line.order, line.column, line.old or "", line.new or "")


def _within(lines: list[_Line]) -> Iterator[list[_Line]]:
    """Split rows of one checkpoint where they are too far apart to be one save."""
    save: list[_Line] = []
    for line in lines:
        if save and line.at - save[0].at > SAVE_US:
            yield save
            save = []
        save.append(line)
    if save:
        yield save


def _hexadecimal(text: str | None) -> int:
    """An internal checkpoint as a number, 0 where there is none."""
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0
