"""Which rows of which ServiceNow tables does an export hold?

Read are CSV and JSON: answers of the REST API ({"result": […]}), "Export JSON" ({"records": […]}),
lists, one object a line. A cell becomes a *value* (what the database holds) and, where the export
has both, a *label* (what people see):

- `{"display_value": …, "value": …}` and `{"link": …/sys_id, "display_value": …}` in JSON;
- `state` beside `dv_state`, `assignment_group` beside `assignment_group.name` or
  `assignment_group.display_value` in a table;
- Fivetran's pairs `x_link`, `x_value`: the value of `x`.

A single text stands as the value, whatever it is; `values` tells raw from display. "",
UNKNOWN and NULL are no value. Rows with `_fivetran_deleted` true were deleted in the tool: counted,
and no rows of the log. The table is known by the columns that only it has, by `table_name` or
`sys_class_name`, by the prefix of the number; where none of these tells it (a table of the desk's
own), the reading stops with LG084.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from process_mining.errors import CodedError
from process_mining.sources._csv import header_of, records
from process_mining.sources._documents import documents, keys_of
from process_mining.sources._files import encoding_of, first_line, head_of, looks_binary
from process_mining.sources._history import slug
from process_mining.sources._rejects import RejectList, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from process_mining.sources._documents import Document
    from process_mining.sources._mapping import Mapping as ToolMapping

AUDIT: Final = "sys_audit"
METRIC: Final = "metric_instance"
SLA: Final = "task_sla"
APPROVAL: Final = "sysapproval_approver"
SURVEY: Final = "asmt_assessment_instance"
ANSWER: Final = "asmt_metric_result"
CHOICE: Final = "sys_choice"
JOURNAL: Final = "sys_journal_field"
USER: Final = "sys_user"
LOOKUP: Final = "lookup"
TASK: Final = "task"

SYS_ID: Final = "sys_id"
NUMBER: Final = "number"
CLASS: Final = "sys_class_name"
TABLE_NAME: Final = "table_name"
DELETED: Final = "_fivetran_deleted"
MISSING: Final = frozenset({"", "UNKNOWN", "NULL"})
DELIMITERS: Final = ",;\t|"
ENVELOPES: Final = ("result", "records")
LABELS: Final = frozenset({"display_value", "name", "number", "label"})
COLUMNS_SHOWN: Final = 12

CHOICE_COLUMNS: Final = frozenset({"element", "label", "language", "value"})
# The columns by which a table that is no ticket is known; the first that fits.
SIDE_TABLES: Final = (
    (AUDIT, frozenset({"documentkey", "fieldname"})),
    (METRIC, frozenset({"definition", "calculation_complete"})),
    (METRIC, frozenset({"definition", "field_value"})),
    (SLA, frozenset({"task", "sla", "stage"})),
    (SLA, frozenset({"task", "sla", "planned_end_time"})),
    (APPROVAL, frozenset({"approver", "sysapproval"})),
    (APPROVAL, frozenset({"approver", "document_id"})),
    (SURVEY, frozenset({"metric_type", "taken_on"})),
    (SURVEY, frozenset({"metric_type", "trigger_id"})),
    (ANSWER, frozenset({"metric", "actual_value"})),
    (ANSWER, frozenset({"metric", "string_value"})),
    (CHOICE, CHOICE_COLUMNS),
    (JOURNAL, frozenset({"element", "element_id", "value"})),
    (USER, frozenset({"user_name", SYS_ID})),
)
# The same for tables of tickets, where neither sys_class_name nor the number says it.
TICKET_TABLES: Final = (
    ("sc_task", frozenset({"request_item"})),
    ("sc_req_item", frozenset({"cat_item"})),
    ("change_task", frozenset({"change_task_type"})),
    ("problem_task", frozenset({"problem_task_type"})),
    ("problem", frozenset({"problem_state"})),
    ("problem", frozenset({"known_error"})),
    ("incident", frozenset({"incident_state"})),
    ("incident", frozenset({"caller_id"})),
    ("incident", frozenset({"hold_reason"})),
    ("change_request", frozenset({"backout_plan"})),
    ("change_request", frozenset({"cab_required"})),
    ("change_request", frozenset({"conflict_status"})),
    ("sc_request", frozenset({"requested_for"})),
)
PREFIXES: Final = {
    "INC": "incident",
    "PRB": "problem",
    "PTASK": "problem_task",
    "CHG": "change_request",
    "CTASK": "change_task",
    "REQ": "sc_request",
    "RITM": "sc_req_item",
    "SCTASK": "sc_task",
}
# How the classes are labelled where the export shows labels.
CLASS_LABELS: Final = {
    "request": "sc_request",
    "requested_item": "sc_req_item",
    "catalog_task": "sc_task",
}
CLASSES: Final = frozenset({*PREFIXES.values(), TASK})
# Columns of the table `task` by which a ticket table without sys_id is known, three at least.
TASK_COLUMNS: Final = frozenset(
    {"opened_at", "closed_at", "resolved_at", "short_description", "assignment_group"}
    | {"assigned_to", "caller_id", "incident_state", "sys_created_on", "sys_updated_on"}
)
ENOUGH_COLUMNS: Final = 3
SYSTEM_COLUMNS: Final = frozenset(
    {"sys_created_on", "sys_updated_on", "sys_created_by", "_fivetran_synced", NUMBER, CLASS}
)
DISTINCTIVE: Final = frozenset({AUDIT, METRIC, SLA, APPROVAL, SURVEY, ANSWER})
_PREFIX: Final = re.compile(r"([A-Za-z_]+)\d+")
_PLAIN: Final = "value"
_LABEL: Final = "label"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values and labels by column, both without the missing ones, and its place."""

    table: str
    values: Mapping[str, str]
    labels: Mapping[str, str]
    file: str
    number: int
    place: str

    def text(self, column: str) -> str | None:
        """Return the value, or the label where there is no value."""
        return self.values.get(column) or self.labels.get(column)

    def label(self, column: str) -> str | None:
        """Return the label, or the value where there is no label."""
        return self.labels.get(column) or self.values.get(column)


@dataclass(eq=False)
class Export:
    """One file: its rows, all its columns (also the empty ones), how many rows it had."""

    name: str
    rows: list[Row] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    rows_in: int = 0
    deleted: int = 0


def knows(head: bytes) -> bool:
    """Whether the beginning of a file is that of a ServiceNow table."""
    if looks_binary(head):
        return False
    keys = keys_of(head)
    if keys:
        return _recognised(_columns_of_keys(keys))
    text = head.decode(encoding_of(head), errors="replace")
    for mark in DELIMITERS:
        header = next(csv.reader([first_line(head)], delimiter=mark), [])
        if _recognised(set(_named(header))):
            return not _repeats(text, header, mark)
    return False


def read_export(path: Path, mapping: ToolMapping, rejects: RejectList) -> Export:
    """Read the rows of one file; unreadable ones become rejects, deleted ones are counted."""
    missing = MISSING | {*mapping.csv.missing}
    reader = _Reader(Export(path.name), missing, rejects, mapping)
    if keys_of(head_of(path)):
        reader.json(path)
    else:
        reader.csv(path)
    return reader.export


def table_of(columns: Collection[str], number: str | None, prefixes: Mapping[str, str]) -> str:
    """Return the table that has these columns, "" where they do not tell it."""
    have = frozenset(columns)
    for table, needed in SIDE_TABLES:
        if needed <= have:
            return table
    prefix = _PREFIX.fullmatch(number or "")
    if prefix and prefix[1].upper() in prefixes:
        return prefixes[prefix[1].upper()]
    for table, needed in TICKET_TABLES:
        if needed <= have:
            return table
    if have >= {NUMBER, CLASS}:
        return TASK
    is_lookup = SYS_ID in have and not have & {NUMBER, "opened_at"}
    return _task_child(have) or (LOOKUP if is_lookup else "")


def _task_child(have: frozenset[str]) -> str:
    """Fivetran keeps what a class adds to `task` in tables of their own."""
    if {"change_request", "planned_start_date"} <= have:
        return "change_task"
    return "problem_task" if {"problem", "started_at"} <= have else ""


def _recognised(columns: Collection[str]) -> bool:
    have = frozenset(columns)
    if any(needed <= have and table in DISTINCTIVE for table, needed in SIDE_TABLES):
        return True
    is_row = SYS_ID in have or {TABLE_NAME, NUMBER} <= have
    if is_row and have & (SYSTEM_COLUMNS | TASK_COLUMNS | {TABLE_NAME, "name"}):
        return True
    return have >= CHOICE_COLUMNS or (NUMBER in have and len(have & TASK_COLUMNS) >= ENOUGH_COLUMNS)


def _columns_of_keys(keys: Collection[str]) -> set[str]:
    """The columns of records that the first bytes of a JSON file show."""
    found = set()
    for path in keys:
        for envelope in ENVELOPES:
            path = path.removeprefix(f"{envelope}[].").removeprefix(f"{envelope}.")  # noqa: PLW2901
        found.add(path.split(".")[0].removesuffix("[]"))
    return found


def _repeats(text: str, header: list[str], mark: str) -> bool:
    """Whether a number stands in two rows of the beginning: a table of updates, not of tickets."""
    if NUMBER not in header or SYS_ID in header:
        return False
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole, newline=""), delimiter=mark))[1:]
    at = header.index(NUMBER)
    counts = Counter(row[at] for row in rows if len(row) == len(header) and row[at])
    return any(count > 1 for count in counts.values())


def _named(header: Iterable[str]) -> list[str]:
    """The names that the columns stand for."""
    return [name for name, _ in plan_of(tuple(header))]


@lru_cache(maxsize=256)
def plan_of(header: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return for each column the name that it stands for, and "value", "label" or "" (left out)."""
    clean = [name.strip().strip('"').strip() for name in header]
    names = [name.lower() if name.isupper() else name for name in clean]
    have = frozenset(names)
    return tuple(_stands_for(name, have) for name in names)


def _stands_for(name: str, have: frozenset[str]) -> tuple[str, str]:
    stem, _, last = name.rpartition(".")
    if name.endswith("_value") and name.removesuffix("_value") + "_link" in have:
        return name.removesuffix("_value"), _PLAIN
    if name.endswith("_link") and name.removesuffix("_link") + "_value" in have:
        return name.removesuffix("_link"), ""
    if name.startswith("dv_"):
        return name.removeprefix("dv_"), _LABEL
    if stem and last == "link":
        return stem, ""
    if stem and "." not in stem and last in {"value", *LABELS}:
        return stem, _PLAIN if last == "value" else _LABEL
    return name, _PLAIN


@dataclass(eq=False)
class _Reader:
    """Reads one file into an `Export`."""

    export: Export
    missing: frozenset[str]
    rejects: RejectList
    mapping: ToolMapping

    def csv(self, path: Path) -> None:
        """Read a table."""
        mark, header = self._header(path)
        rows = records(path, delimiter=mark, encoding=self.mapping.csv.encoding, width=len(header))
        next(rows)
        plan = plan_of(tuple(header))
        self.export.columns |= {name for name, kind in plan if kind}
        found = []
        for row in rows:
            self.export.rows_in += 1
            if row.problem:
                self._reject(row.line, f"line {row.line}", *row.problem)
                continue
            values, labels = self._cells(plan, row.cells)
            found.append((values, labels, row.line, f"line {row.line}"))
        self._keep(found)

    def json(self, path: Path) -> None:
        """Read JSON documents."""
        found = []
        for document in documents(path):
            for record, problem, place in _records(document):
                self.export.rows_in += 1
                number = self.export.rows_in
                if problem:
                    self._reject(number, place, *problem)
                    continue
                values, labels = self._of_record(record)
                found.append((values, labels, number, place))
        self._keep(found)

    def _header(self, path: Path) -> tuple[str, list[str]]:
        """The delimiter under which the header is one of ServiceNow, and that header."""
        encoding = self.mapping.csv.encoding
        marks = tuple(dict.fromkeys((self.mapping.csv.delimiter, *DELIMITERS)))
        for mark in marks:
            header = header_of(path, delimiter=mark, encoding=encoding)
            if _recognised(set(_named(header))):
                return mark, header
        return marks[0], header_of(path, delimiter=marks[0], encoding=encoding)

    def _cells(
        self, plan: tuple[tuple[str, str], ...], cells: Iterable[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        values: dict[str, str] = {}
        labels: dict[str, str] = {}
        for (name, kind), cell in zip(plan, cells, strict=True):
            text = cell.strip()
            if kind and text not in self.missing:
                (values if kind == _PLAIN else labels)[name] = text
        return values, labels

    def _of_record(self, record: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """The values and labels of a JSON object; a nested object is one cell with both."""
        flat = {name: _text(cell) for name, cell in record.items() if not isinstance(cell, dict)}
        plan = plan_of(tuple(flat))
        values, labels = self._cells(plan, flat.values())
        self.export.columns |= {name for name, kind in plan if kind}
        for name, cell in record.items():
            if isinstance(cell, dict):
                self.export.columns.add(name)
                self._nested(name, cell, values, labels)
        return values, labels

    def _nested(
        self, name: str, cell: dict[str, Any], values: dict[str, str], labels: dict[str, str]
    ) -> None:
        link = _text(cell.get("link")).rstrip("/")
        value = _text(cell.get("value")) or link.rpartition("/")[2]
        label = _text(cell.get("display_value"))
        if value.strip() not in self.missing:
            values[name] = value.strip()
        if label.strip() not in self.missing:
            labels[name] = label.strip()

    def _keep(self, found: list[tuple[dict[str, str], dict[str, str], int, str]]) -> None:
        """Give every row its table; leave out what was deleted in the tool."""
        whole, prefixes = self._table(found), self._prefixes()
        for values, labels, number, place in found:
            if values.pop(DELETED, "").lower() in {"true", "1"}:
                self.export.deleted += 1
                continue
            table = _own_table(values, whole, prefixes)
            if not table:
                raise self._unknown(values.get(NUMBER))
            self.export.rows.append(Row(table, values, labels, self.export.name, number, place))

    def _table(self, found: list[tuple[dict[str, str], dict[str, str], int, str]]) -> str:
        numbers = (values.get(NUMBER) for values, _, _, _ in found)
        number = next((number for number in numbers if number), None)
        return table_of(self.export.columns, number, self._prefixes())

    def _prefixes(self) -> dict[str, str]:
        """The prefixes of numbers, those that [practices] names among them."""
        own = {key: key for key in self.mapping.practices if key.isalpha() and key.isupper()}
        return PREFIXES | own

    def _unknown(self, number: str | None) -> CodedError:
        columns = ", ".join(sorted(self.export.columns)[:COLUMNS_SHOWN])
        prefix = _PREFIX.fullmatch(number or "")
        word = prefix[1] if prefix else "ABC"
        return CodedError(
            "LG084",
            f"{self.export.name} does not tell which table it is of (number {shown(number or '')}, "
            f"columns {columns})",
            why="the practice of a ticket is not guessed",
            fix="Export the column sys_class_name too, or name the prefix of the number in a "
            f'mapping: [practices] {word} = "incident" (say)',
        )

    def _reject(self, number: int, place: str, code: str, reason: str) -> None:
        self.rejects.add(
            file=self.export.name, number=number, place=place, code=code, reason=reason
        )


def _own_table(values: dict[str, str], whole: str, prefixes: Mapping[str, str]) -> str:
    """The table of a row: what it says itself, else what its file is."""
    named = values.get(TABLE_NAME) if whole not in DISTINCTIVE else None
    if named:
        return named if named in CLASSES or NUMBER in values else whole or named
    if whole in DISTINCTIVE or whole in {CHOICE, JOURNAL, USER, LOOKUP}:
        return whole
    cls = slug(values.get(CLASS, ""))
    if cls and cls != TASK:
        return CLASS_LABELS.get(cls, cls)
    prefix = _PREFIX.fullmatch(values.get(NUMBER, ""))
    return (prefixes.get(prefix[1].upper()) if prefix else None) or whole


def _records(
    document: Document,
) -> Iterator[tuple[dict[str, Any], tuple[str, str] | None, str]]:
    """The records of a document: those in an envelope, or the document itself."""
    if document.problem:
        yield {}, document.problem, document.place
        return
    value, place = document.value, document.place
    for envelope in ENVELOPES:
        if isinstance(value, dict) and isinstance(value.get(envelope), list | dict):
            value = value[envelope]
            break
    several = isinstance(value, list)
    for number, item in enumerate(value if several else [value], start=1):
        here = f"{place}, record {number}" if several else place
        if isinstance(item, dict) and "error" not in item:
            yield item, None, here
        else:
            what = "is an error of the API" if isinstance(item, dict) else "is no object"
            yield {}, ("LG159", what), here


def _text(value: object) -> str:
    """A JSON scalar as ServiceNow writes it in a table; lists and objects stay JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)
