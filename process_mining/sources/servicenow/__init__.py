"""What do ServiceNow's tables say that happened to each ticket?

Several files make one log in one call, CSV or JSON, packed with gzip or not:

- tickets: incident, problem, change_request, sc_request, sc_req_item and their tasks, or `task`
  (`tickets`);
- their history: sys_audit, else metric_instance; sysapproval_approver (`history`);
- kept as attributes of the case: task_sla, asmt_assessment_instance and asmt_metric_result
  (`kept`);
- what turns ids and numbers into names: sys_choice, sys_user_group, sys_user, cmdb_ci, …
  (`names`).

Without history a ticket shows its milestones only: Opened, Resolved, Closed. Times are read as
`values` says: raw values are UTC, display values need a declared zone and format.
`[words]`, `[practices]`, `[priorities]` and `[fields]` of a mapping adapt it to a desk.

Rejects: LG155 a row of a ticket that no table here holds · LG156 a ticket without sys_id and number
· LG158 a history row that does not say what, of which ticket or when · LG159 a JSON element that is
no record.

Not checked: whether an audit is complete (fields can be exempt from auditing, old audits are
archived); sys_journal_field (comments: sys_audit has them too).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from process_mining.errors import CodedError
from process_mining.eventlog import Seen
from process_mining.sources._history import (
    PRIORITY,
    STANDARD_PRIORITY,
    STATE,
    TEAM,
    History,
    tool_mapping,
)
from process_mining.sources._mapped import seen_of
from process_mining.sources._rejects import RejectList
from process_mining.sources._times import BadTimeError
from process_mining.sources.servicenow.history import CANONICAL, Teller
from process_mining.sources.servicenow.kept import KEPT_TIMES, Keeper
from process_mining.sources.servicenow.names import Names
from process_mining.sources.servicenow.rows import (
    ANSWER,
    APPROVAL,
    AUDIT,
    CHOICE,
    JOURNAL,
    LOOKUP,
    METRIC,
    SLA,
    SURVEY,
    USER,
    knows,
    read_export,
)
from process_mining.sources.servicenow.tickets import BadRowError, Tickets
from process_mining.sources.servicenow.values import STATES, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions
    from process_mining.sources._mapping import Mapping as ToolMapping
    from process_mining.sources.servicenow.rows import Export, Row
    from process_mining.sources.servicenow.values import Stamps

Taken = TypeVar("Taken")

NAME: Final = "servicenow"
DELETED: Final = "DELETED"
LIMITS: Final = frozenset({1_000, 10_000})
NAMING: Final = frozenset({CHOICE, USER, LOOKUP, JOURNAL})
HISTORY_TIMES: Final = {
    AUDIT: ("sys_created_on",),
    METRIC: ("start",),
    APPROVAL: ("sys_created_on", "sys_updated_on"),
}
NO_TICKETS: Final = frozenset({*NAMING, *HISTORY_TIMES, *KEPT_TIMES})


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether the columns are those of a ServiceNow table."""
    return knows(head)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    mapping, rejects = tool_mapping(options), RejectList()
    exports = [read_export(path, mapping, rejects) for path in paths]
    clock = Clock(mapping, options.timezone, Counter())
    return _Reading(mapping, clock, exports, rejects).parts()


@dataclass(eq=False)
class _Reading:
    """One call on its way: exports in, a log's parts out."""

    mapping: ToolMapping
    clock: Clock
    exports: Sequence[Export]
    rejects: RejectList
    names: Names = field(default_factory=Names)
    history: History = field(default_factory=History)
    notes: list[str] = field(default_factory=list)

    def parts(self) -> Parts:
        """Read everything in the order in which one thing needs another."""
        self._refuse_no_tickets()
        self.clock.listen(self._by_table())
        self.names.learn(row for export in self.exports for row in export.rows)
        tickets = self._tickets()
        teller = Teller(
            tickets, self.names, self.mapping.words, self._columns(), self.mapping.priorities
        )
        told = self._tell(teller)
        self._keep(tickets)
        for ticket, place in tickets.built(told, self.mapping.words):
            self.history.add_ticket(ticket, place)
        for link in tickets.links():
            self.history.add_link(*link)
        self.history.repeated += tickets.repeated
        self._note(tickets, teller)
        rows_in = sum(export.rows_in for export in self.exports)
        return self.history.parts(
            rows_in=rows_in,
            rejects=self.rejects,
            timezone=(self.clock.zone if self.clock.local else None) or "UTC",
            notes=(*self.mapping.notes, *self.clock.notes, *self.notes),
            seen=(*self._limits(rows_in), *seen_of(self.clock.policies)),
            people=tickets.people(),
            activity_order=self.mapping.activity_order,
        )

    def _tickets(self) -> Tickets:
        """Take the rows of all ticket tables."""
        columns = {
            column
            for export in self.exports
            if any(row.table not in NO_TICKETS for row in export.rows)
            for column in export.columns
        }
        tickets = Tickets(self.mapping, self.names, columns)
        for table in sorted(self._tables() - NO_TICKETS):
            list(self._each(table, tickets.times(), tickets.add))
        tickets.index()
        return tickets

    def _tell(self, teller: Teller) -> set[str]:
        """Take the history; return the tables whose states it tells."""
        tables = self._tables()
        told = self._audits(teller)
        if METRIC in tables and AUDIT in tables:
            self.notes.append("metric_instance: not used, sys_audit tells more")
        elif METRIC in tables:
            told = self._metrics(teller)
        for changes in self._each(APPROVAL, HISTORY_TIMES[APPROVAL], teller.approval_changes):
            for change in changes:
                self.history.add_change(change)
        self.history.history_given = bool(told)
        return told

    def _audits(self, teller: Teller) -> set[str]:
        teller.tickets.gone = frozenset(
            row.values.get("documentkey", "")
            for export in self.exports
            for row in export.rows
            if row.table == AUDIT and row.values.get("fieldname") == DELETED
        )
        found = self._each(AUDIT, HISTORY_TIMES[AUDIT], teller.audit_line)
        lines = [line for line in found if line is not None]
        for change in teller.audit_changes(lines):
            self.history.add_change(change)
        return {teller.tickets.table_of(line.case_id) for line in lines}

    def _metrics(self, teller: Teller) -> set[str]:
        values: dict[tuple[str, str], list[tuple[int, str | None]]] = defaultdict(list)
        for found in self._each(METRIC, HISTORY_TIMES[METRIC], teller.metric_value):
            if found is not None:
                key, start, value = found
                values[key].append((start, value))
        for change in teller.metric_changes(values):
            self.history.add_change(change)
        return {teller.tickets.table_of(case_id) for case_id, name in values if name == STATE}

    def _keep(self, tickets: Tickets) -> None:
        """Take what stays with the case."""
        keeper = Keeper(tickets, self.names)
        for table, take in ((SLA, keeper.sla), (SURVEY, keeper.survey), (ANSWER, keeper.answer)):
            list(self._each(table, KEPT_TIMES[table], take))
        keeper.finish()

    def _columns(self) -> dict[str, str]:
        """What the log calls the fields that change; the desk's own fields take over."""
        columns, fields = dict(CANONICAL), self.mapping.fields
        if fields.state:
            columns = {name: said for name, said in columns.items() if name not in STATES}
        if fields.team:
            del columns["assignment_group"]
        if fields.priority:
            columns[PRIORITY] = STANDARD_PRIORITY
        own = {
            fields.state: STATE,
            fields.team: TEAM,
            fields.priority: PRIORITY,
            fields.category: "category",
            fields.service: "service",
        }
        return columns | {name: said for name, said in own.items() if name is not None}

    def _by_table(self) -> Iterator[list[Row]]:
        for export in self.exports:
            tables: dict[str, list[Row]] = defaultdict(list)
            for row in export.rows:
                tables[row.table].append(row)
            yield from tables.values()

    def _tables(self) -> set[str]:
        return {row.table for export in self.exports for row in export.rows}

    def _each(
        self, table: str, columns: Sequence[str], take: Callable[[Row, Stamps], Taken]
    ) -> Iterator[Taken]:
        """Hand over the rows of a table, file by file; those that cannot be taken are rejects."""
        for export in self.exports:
            rows = [row for row in export.rows if row.table == table]
            stamps = self.clock.stamps(rows, columns)
            for row in rows:
                try:
                    taken = take(row, stamps)
                except (BadRowError, BadTimeError) as error:
                    self.rejects.add(
                        file=row.file,
                        number=row.number,
                        place=row.place,
                        code=error.code,
                        reason=error.reason,
                    )
                else:
                    yield taken

    def _refuse_no_tickets(self) -> None:
        """Refuse files that only tell more of tickets that are not given."""
        tables = self._tables()
        if tables and not tables - {*NAMING, *KEPT_TIMES}:
            msg = f"{', '.join(export.name for export in self.exports)}: there is no ticket in it"
            why = "these tables only say more about tickets"
            fix = "Give the ticket table too (incident, task, …), and sys_audit for its history"
            raise CodedError("LG085", msg, why=why, fix=fix)

    def _limits(self, rows_in: int) -> list[Seen]:
        """A file with exactly as many rows as an export is cut at; the gate sees the sum itself.

        Which tickets lack rows is not known where it is a history that was cut; where it is a table
        of tickets, those that are here are whole.
        """
        return [
            Seen(
                "QG140",
                export.rows_in,
                unit="rows",
                subject=export.name,
                of=export.rows_in,
                cases=None if any(row.table in HISTORY_TIMES for row in export.rows) else (),
            )
            for export in self.exports
            if export.rows_in in LIMITS and export.rows_in != rows_in
        ]

    def _note(self, tickets: Tickets, teller: Teller) -> None:
        """Say what was left out, and what would have helped."""
        for export in self.exports:
            if export.deleted:
                self._say(
                    export.name, f"{export.deleted} rows were deleted in ServiceNow: left out"
                )
            if {row.table for row in export.rows} <= NAMING and export.name not in self.names.used:
                self._say(export.name, "a lookup table, nothing of it is used")
        for what, count in sorted((teller.unused + tickets.unused).items()):
            self.notes.append(f"{count} {what}: not used")
        if tickets.unnumbered:
            self.notes.append(f"{tickets.unnumbered} tickets have no number: named by their sys_id")
        if self.names.nameless:
            count = len(self.names.nameless)
            self.notes.append(
                f"{count} ids of groups, services or SLAs have no name: give sys_user_group, "
                "cmdb_ci or contract_sla too"
            )

    def _say(self, file: str, what: str) -> None:
        self.notes.append(f"{file}: {what}")
