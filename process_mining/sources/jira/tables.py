"""Which records does a table of a Jira export hold?

Three kinds of tables, told by their columns:

- Fivetran's: `issue`, `issue_field_history`, `issue_multiselect_history`, `comment`, `issue_link`,
  and lookups. Fivetran writes UTC without saying so (documented for its destinations). A history
  row is the value that a field took; what it had before is the row before it.
- DevLake's domain layer: `issues` and `issue_changelogs`; the tool's own words stand in the
  `original_…` columns. Stamps carry an offset.
- Jira's own CSV of issues ("Issue key", "Status", "Created", …): the state as it is now and no
  history. Its stamps are in the user's format and zone, so both must be declared. Columns may
  repeat, one for each value. Its comments are not read: their stamps are inside their text.

Some of Fivetran's lookups have the same columns (priority, resolution, project category; field
option, status category); they are told apart by whether their ids are those that issues name.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from process_mining.errors import CodedError
from process_mining.sources._csv import header_of, records
from process_mining.sources._files import first_line, head_of
from process_mining.sources._json import BadJsonError
from process_mining.sources._times import TimeReader, load_zone, reading, states_offset
from process_mining.sources.jira.export import (
    DROPPED,
    Entry,
    Issue,
    Item,
    Place,
    Remark,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from process_mining.sources.jira.export import Export

ISSUE: Final = "issue"
HISTORY: Final = "issue_field_history"
SEVERAL: Final = "issue_multiselect_history"
COMMENTS: Final = "comment"
LINKS: Final = "issue_link"
DEVLAKE_ISSUES: Final = "issues"
DEVLAKE_CHANGES: Final = "issue_changelogs"
OWN_CSV: Final = "Jira's CSV"
NAMED: Final = "names"
SYNCED: Final = "_fivetran_synced"
DELIMITERS: Final = ",;"

# The columns that tell a table; those of one kind are no subset of those of a kind after it.
_TABLES: Final[tuple[tuple[str, frozenset[str]], ...]] = tuple(
    (kind, frozenset(columns.split()))
    for kind, columns in (
        (ISSUE, "id key created status issue_type _fivetran_synced"),
        (HISTORY, "field_id issue_id time value is_active _fivetran_synced"),
        (COMMENTS, "id issue_id author_id body created is_public _fivetran_synced"),
        (LINKS, "issue_id related_issue_id relationship _fivetran_synced"),
        ("field", "id name is_array is_custom _fivetran_synced"),
        ("status", "id name status_category_id _fivetran_synced"),
        ("issuetype", "id name description subtask _fivetran_synced"),
        ("team", "id name title is_shared is_visible _fivetran_synced"),
        ("project", "id key lead_id project_type_key _fivetran_synced"),
        ("user", "id locale time_zone username _fivetran_synced"),
        ("sprint", "id board_id complete_date name _fivetran_synced"),
        ("version", "id archived released project_id _fivetran_synced"),
        ("epic", "id key done summary _fivetran_synced"),
        ("user group", "group_name user_id _fivetran_synced"),
        ("project board", "board_id project_id _fivetran_synced"),
        (
            DEVLAKE_CHANGES,
            "id issue_id field_name original_from_value original_to_value created_date",
        ),
        (DEVLAKE_ISSUES, "id issue_key original_status original_type created_date"),
    )
)
# Short tables are told by all of their columns.
_WHOLE: Final = {
    frozenset({"id", "name", "description", "project_id", SYNCED}): "component",
    frozenset({"id", "name", "description", SYNCED}): NAMED,
    frozenset({"id", "name", SYNCED}): "option",
    frozenset({"board_id", "issue_id"}): "board",
}
_OWN_KEY: Final = "Issue key"
_OWN_OTHERS: Final = frozenset({"Status", "Created", "Issue Type", "Issue id", "Summary"})
_OWN_LINK: Final = re.compile(r"(Inward|Outward) issue link \((.+)\)")
_OWN_CUSTOM: Final = re.compile(r"Custom field \((.+)\)")
_OWN_FREE: Final = frozenset(
    ("Summary", "Description", "Environment", "Comment", "Attachment", "Log Work", "Watchers")
)
_OWN_NAMES: Final = {
    "Status": "status",
    "Issue Type": "issuetype",
    "Priority": "priority",
    "Resolution": "resolution",
}
_OWN_TIMES: Final = {"Created": "created", "Updated": "updated", "Resolved": "resolutiondate"}
_NO_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def kind_of(header: Sequence[str]) -> str | None:
    """Return which table has these columns, None for a table of somebody else."""
    columns = frozenset(header)
    for kind, needed in _TABLES:
        if needed <= columns:
            return SEVERAL if kind == HISTORY and "_fivetran_id" in columns else kind
    if _OWN_KEY in columns and columns & _OWN_OTHERS:
        return OWN_CSV
    return _WHOLE.get(columns - {"_fivetran_deleted"})


def delimiter_of(line: str) -> str | None:
    """Return the delimiter with which a first line is the header of a known table."""
    found = (mark for mark in DELIMITERS if kind_of(next(csv.reader([line], delimiter=mark), [])))
    return next(found, None)


def collect(path: Path, export: Export) -> None:
    """Take every record of a table."""
    delimiter = delimiter_of(first_line(head_of(path))) or ","
    encoding = export.mapping.csv.encoding
    header = header_of(path, delimiter=delimiter, encoding=encoding)
    kind = kind_of(header)
    take = _takers().get(kind or "")
    reader = _OwnCsv(header, export, path.name) if kind == OWN_CSV else None
    rows = records(path, delimiter=delimiter, encoding=encoding, width=len(header))
    next(rows)
    for row in rows:
        place, cells, problem = (
            Place(path.name, row.line, f"line {row.line}"),
            row.cells,
            row.problem,
        )
        if problem:
            export.rows += 1
            export.told += 1
            export.reject(place, *problem)
        elif reader is not None:
            reader.take(cells, place)
        elif take is not None:
            take(dict(zip(header, cells, strict=True)), place, export)
        else:
            named = dict(zip(header, cells, strict=True))
            word = named.get("name") or named.get("key")
            export.add_lookup(kind or "", named.get("id"), word, path.name)


Row = dict[str, str]


def _takers() -> dict[str, Callable[[Row, Place, Export], None]]:
    return {
        ISSUE: _fivetran_issue,
        HISTORY: _fivetran_value,
        SEVERAL: _fivetran_values,
        COMMENTS: _fivetran_comment,
        LINKS: _fivetran_link,
        DEVLAKE_ISSUES: _devlake_issue,
        DEVLAKE_CHANGES: _devlake_change,
    }


# --- Fivetran

_FIVETRAN_NAMES: Final = {
    "issue_type": "issuetype",
    "status": "status",
    "priority": "priority",
    "project": "project",
    "resolution": "resolution",
    "parent_id": "parent",
}
_FIVETRAN_PEOPLE: Final = ("creator", "reporter", "assignee")


def _fivetran_issue(row: Row, place: Place, export: Export) -> None:
    with export.row(place):
        if row.get("_fivetran_deleted", "").lower() == "true":
            export.deleted += 1
            return
        if not row["id"] or not row["key"]:
            raise BadJsonError("LG160", "has neither id nor key")
        fields: dict[str, Any] = {}
        for name, value in row.items():
            if not value or name in {"id", "key"} or name.startswith("_fivetran"):
                continue
            if name in _FIVETRAN_NAMES:
                fields[_FIVETRAN_NAMES[name]] = {"id": value}
            elif name in _FIVETRAN_PEOPLE:
                fields[name] = {"accountId": value}
            else:
                fields["resolutiondate" if name == "resolved" else name] = _utc(value)
        export.known_fields.update(_FIVETRAN_NAMES.values(), row)
        issue = Issue(row["id"], row["key"], export.kept(fields), place, whole=False)
        export.issues.append(issue)


def _utc(text: str) -> str:
    """Return a stamp with the zone that Fivetran leaves out; any other text as it is."""
    return text + "Z" if _NO_OFFSET.fullmatch(text) else text


def _fivetran_value(row: Row, place: Place, export: Export, *, several: bool = False) -> None:
    with export.row(place):
        if not row["issue_id"]:
            raise BadJsonError("LG162", "does not say of which issue it is")
        if not row["field_id"]:
            raise BadJsonError("LG163", "names no field")
        at = _needed_time(row["time"], export)
        value = row["value"] or None
        active = row["is_active"].lower() == "true"
        actor = row.get("author_id") or None
        export.known_fields.add(row["field_id"])
        export.values.append(
            Value(row["issue_id"], row["field_id"], at, actor, active, value, several)
        )


def _fivetran_values(row: Row, place: Place, export: Export) -> None:
    _fivetran_value(row, place, export, several=True)


def _needed_time(text: str, export: Export) -> int:
    if not text:
        raise BadJsonError("LG103", "has no time")
    return export.clock.us(_utc(text))


def _fivetran_comment(row: Row, place: Place, export: Export) -> None:
    with export.row(place):
        if not row["issue_id"]:
            raise BadJsonError("LG162", "does not say of which issue it is")
        at = _needed_time(row["created"], export)
        public = row["is_public"].lower()
        remark = Remark(
            row["id"], at, row["author_id"] or None, public if public in {"true", "false"} else None
        )
        export.remarks.append((row["issue_id"], remark))


def _fivetran_link(row: Row, place: Place, export: Export) -> None:
    with export.row(place):
        if not row["issue_id"] or not row["related_issue_id"]:
            raise BadJsonError("LG162", "does not say of which issues it is")
        export.links.append((row["issue_id"], row["related_issue_id"], row["relationship"]))


def tell_values(export: Export) -> None:
    """Turn the values that fields took (Fivetran's history) into saves and present values."""
    values = sorted(set(export.values), key=_value_order)
    present: dict[str, dict[str, Any]] = {}
    for issue, own in groupby(values, key=lambda value: value.issue):
        history = list(own)
        present[issue] = _present(history, export)
        export.entries += [(issue, entry) for entry in _saves(history, export)]
    if present:
        export.issues = [
            replace(issue, fields={**present.get(issue.id or "", {}), **issue.fields})
            for issue in export.issues
        ]


def _value_order(value: Value) -> tuple[str, int, str, str, bool, str]:
    return (
        value.issue,
        value.at,
        value.actor or "",
        value.field_id,
        value.active,
        value.value or "",
    )


def _saves(history: list[Value], export: Export) -> Iterator[Entry]:
    """Yield what one person saved at one time; what a field had before is its value before."""
    before: dict[str, Value] = {}
    for (at, actor), group in groupby(history, key=lambda value: (value.at, value.actor or "")):
        items = []
        for value in group:
            old = None if value.several else before.get(value.field_id)
            items.append(
                Item(
                    export.name_of(value.field_id),
                    value.field_id,
                    old.value if old else None,
                    _word_of(value.field_id, old.value if old else None, export),
                    value.value,
                    _word_of(value.field_id, value.value, export),
                )
            )
            before[value.field_id] = value
        yield Entry(save=actor, order=(), at=at, actor=actor or None, items=tuple(items))


def _present(history: list[Value], export: Export) -> dict[str, Any]:
    """Return the present value of each field: the active rows of its last time."""
    found: dict[str, list[Value]] = {}
    for value in history:
        known = found.setdefault(value.field_id, [])
        if known and known[0].at < value.at:
            known.clear()
        if value.value is not None:
            known.append(value)
    return {
        field_id: [
            {"id": value.value, "name": _utc(_word_of(field_id, value.value, export) or "")}
            for value in values
            if value.active
        ]
        for field_id, values in found.items()
    }


def _word_of(field_id: str, ident: str | None, export: Export) -> str | None:
    """Return the word behind an id, by the lookup of the field's kind; else the id."""
    kinds = {"components": ("component",), "status": ("status",), "issuetype": ("issuetype",)}
    found = (export.word(kind, ident) for kind in kinds.get(field_id, ("team", "option")))
    return next((word for word in found if word is not None), ident)


# --- DevLake's domain layer


def _devlake_issue(row: Row, place: Place, export: Export) -> None:
    with export.row(place):
        if not row["id"] or not row["issue_key"]:
            raise BadJsonError("LG160", "has neither id nor key")
        fields: dict[str, Any] = {
            name: value
            for name, value in row.items()
            if value and name not in _DEVLAKE_OTHERWISE and not name.endswith("_name")
        }
        fields |= {
            "status": {"name": row["original_status"] or None},
            "issuetype": {"name": row["original_type"], "untranslatedName": row.get("type")},
            "priority": {"name": row.get("priority")} if row.get("priority") else None,
            "creator": {"accountId": row.get("creator_id") or ""},
            "created": row["created_date"],
            "updated": row.get("updated_date") or None,
            "resolutiondate": row.get("resolution_date") or None,
            "components": [{"name": name} for name in row.get("component", "").split(",") if name],
        }
        parent, epic = row.get("parent_issue_id", ""), row.get("epic_key", "")
        # ":0" is DevLake's id of an issue that is not there.
        if parent and not parent.endswith(":0"):
            fields["parent"] = {"id": parent}
        if epic:
            fields["epic"] = {"key": epic}
        export.known_fields.update(row)
        issue = Issue(row["id"], row["issue_key"], export.kept(fields), place, whole=False)
        export.issues.append(issue)


_DEVLAKE_OTHERWISE: Final = frozenset(
    (
        *("id", "issue_key", "status", "original_status", "type", "original_type", "priority"),
        *("title", "description", "url", "icon_url", "creator_id", "assignee_id", "created_date"),
        *("updated_date", "resolution_date", "component", "parent_issue_id", "epic_key"),
    )
)


def _devlake_change(row: Row, place: Place, export: Export) -> None:
    with export.row(place):
        if not row["issue_id"]:
            raise BadJsonError("LG162", "does not say of which issue it is")
        name = row["field_name"]
        if not name or not row["id"]:
            raise BadJsonError("LG163", "has no id, or names no field")
        if not row["created_date"]:
            raise BadJsonError("LG103", "has no time")
        save = row["id"].removesuffix(f":{name}").rsplit(":", 1)[-1]
        old, new = row["original_from_value"] or None, row["original_to_value"] or None
        item = Item(name, row.get("field_id") or None, None, old, None, new)
        entry = Entry(
            save=save,
            order=(int(save),) if save.isdecimal() else (),
            at=export.clock.us(row["created_date"]),
            actor=row.get("author_id") or None,
            items=(item,),
        )
        export.entries.append((row["issue_id"], entry))


# --- Jira's own CSV


@dataclass(eq=False)
class _OwnCsv:
    """Reads the rows of one file of Jira's own CSV; its header may name a column repeatedly."""

    header: Sequence[str]
    export: Export
    file: str

    def __post_init__(self) -> None:
        """Demand the declarations that its times need, and learn the names of its fields."""
        plan, own = self.export.mapping.time, self.export.mapping.fields
        zone = self.export.clock.reader.zone
        asked = {own.opened, own.resolved, own.closed} - {None}
        self.times = {*_OWN_TIMES} | {name for name in self.header if self._name(name) in asked}
        pattern = plan.format
        if pattern is None or (zone is None and not states_offset(pattern)):
            raise CodedError(
                "LG054",
                f"{self.file} has times in a format and zone that are the user's own",
                why="time is never guessed",
                fix='Declare both under [time] in a mapping: format = "%d/%b/%Y %H:%M" and '
                'timezone = "Europe/Berlin", say; or export by the REST interface',
            )
        self.read = reading(
            TimeReader(
                pattern=pattern,
                zone=zone or load_zone("UTC"),
                ambiguous=plan.ambiguous,
                nonexistent=plan.nonexistent,
            )
        )
        for name in self.header:
            custom = _OWN_CUSTOM.fullmatch(name)
            if custom:
                self.export.names.setdefault(name, custom[1])

    def _name(self, column: str) -> str:
        custom = _OWN_CUSTOM.fullmatch(column)
        return custom[1] if custom else column

    def take(self, cells: Sequence[str], place: Place) -> None:
        """Take one row, an issue."""
        with self.export.row(place):
            row: dict[str, list[str]] = {}
            for name, cell in zip(self.header, cells, strict=True):
                if cell:
                    row.setdefault(name, []).append(cell)
            key = self._one(row, _OWN_KEY)
            if key is None:
                raise BadJsonError("LG160", "has no issue key")
            self.export.known_fields.update(self.header, DROPPED)
            fields = self._fields(row)
            self.export.issues.append(
                Issue(self._one(row, "Issue id"), key, self.export.kept(fields), place, whole=False)
            )

    def _one(self, row: dict[str, list[str]], name: str) -> str | None:
        return next(iter(row.get(name, ())), None)

    def _fields(self, row: dict[str, list[str]]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, values in row.items():
            if name in self.times:
                fields[_OWN_TIMES.get(name, name)] = self._stamp(values[0])
            elif name in _OWN_NAMES:
                fields[_OWN_NAMES[name]] = {"name": values[0]}
            elif name not in _OWN_FREE or name in self._asked():
                fields[name] = values if len(values) > 1 else values[0]
        components = [*row.get("Component/s", ()), *row.get("Components", ())]
        creator = self._one(row, "Creator Id") or self._one(row, "Creator")
        parent = self._one(row, "Parent key") or self._one(row, "Parent id")
        fields |= {
            "components": [{"name": name} for name in components],
            "creator": {"accountId": creator or ""},
            "issuelinks": list(self._links(row)),
        }
        if parent:
            fields["parent"] = {"key" if "-" in parent else "id": parent}
        return fields

    def _asked(self) -> frozenset[str]:
        own = self.export.mapping.fields
        return frozenset((*own.attributes, *own.people))

    def _stamp(self, text: str) -> str:
        instant = self.read(text)
        if instant.policy:
            self.export.clock.policies[instant.policy] += 1
        return iso(instant.us)

    def _links(self, row: dict[str, list[str]]) -> Iterable[dict[str, Any]]:
        for name, values in row.items():
            link = _OWN_LINK.fullmatch(name)
            if link:
                side = f"{link[1].lower()}Issue"
                yield from ({"type": {"name": link[2]}, side: {"key": key}} for key in values)


def iso(us: int) -> str:
    """Return an instant as a stamp with its offset."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
