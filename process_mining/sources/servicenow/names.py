"""What are the ids and numbers in a ServiceNow export called?

Names come from what the call holds: the lookup tables (sys_choice for the words of choices,
sys_user for logins, any other table with sys_id and name for groups, services, SLAs, …) and cells
that have both a value and a label. Of several words for one choice the English one is taken, then
the first by language. An id without a name stays an id.

People are never named here but by their login, for the actor column, which is pseudonymised.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from process_mining.sources.servicenow.rows import (
    CHOICE,
    LOOKUP,
    METRIC,
    SYS_ID,
    TASK,
    USER,
)
from process_mining.sources.servicenow.values import HEX_ID, STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_mining.sources.servicenow.rows import Row

ENGLISH: Final = "en"
PEOPLE: Final = frozenset(
    {"assigned_to", "opened_by", "closed_by", "resolved_by", "reopened_by", "caller_id", "user"}
    | {"requested_by", "requested_for", "sys_created_by", "sys_updated_by", "approver", "source"}
    | {"confirmed_by", "fix_by", "fix_communicated_by", "workaround_communicated_by", "started_by"}
    | {"additional_assignee_list", "watch_list", "work_notes_list", "cab_delegate", "opened_for"}
    | {"affected_user", "contact", "manager", "reviewed_by", "approval_history", "closed_for"}
)


@dataclass(eq=False)
class Names:
    """What ids and numbers are called; `used` are the files from which a name was taken."""

    choices: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    labels: dict[tuple[str, str, str], str] = field(default_factory=dict)
    things: dict[str, tuple[str, str]] = field(default_factory=dict)
    logins: dict[str, tuple[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    nameless: set[str] = field(default_factory=set)

    def learn(self, rows: Iterable[Row]) -> None:
        """Take the names that the rows hold."""
        everything = list(rows)
        for row in sorted((row for row in everything if row.table == CHOICE), key=_language_first):
            self._choice(row)
        for row in everything:
            if row.table == LOOKUP:
                self._thing(row)
            elif row.table == USER:
                self._user(row)
            elif row.table != CHOICE:
                self._labels(row)

    def word(self, table: str, column: str, value: str | None, label: str | None) -> str | None:
        """Return what people see for a choice; the value itself where nothing says it."""
        if label is not None or value is None:
            return label
        columns = dict.fromkeys((column, *STATES)) if column in STATES else (column,)
        for key in [(name, other, value) for other in columns for name in (table, TASK)]:
            if key in self.choices:
                return self._from(self.choices[key])
            if key in self.labels:
                return self.labels[key]
        return value

    def thing(self, value: str | None, label: str | None) -> str | None:
        """Return the name of a group, service, …; its id where nothing names it."""
        if label is not None or value is None:
            return label
        if value in self.things:
            return self._from(self.things[value])
        if HEX_ID.fullmatch(value):
            self.nameless.add(value)
        return value

    def login(self, value: str | None, label: str | None) -> str | None:
        """Return the login of a person where a user table knows it."""
        for text in (value, label):
            if text is not None and text in self.logins:
                return self._from(self.logins[text])
        return None

    def _from(self, found: tuple[str, str]) -> str:
        name, file = found
        self.used.add(file)
        return name

    def _choice(self, row: Row) -> None:
        table, element, value = (row.values.get(name) for name in ("name", "element", "value"))
        label = row.label("label")
        if table and element and value and label:
            self.choices.setdefault((table, element, value), (label, row.file))

    def _thing(self, row: Row) -> None:
        key, name = row.values.get(SYS_ID), row.label("name")
        if key and name:
            self.things.setdefault(key, (name, row.file))

    def _user(self, row: Row) -> None:
        login = row.text("user_name")
        if login:
            for key in (row.values.get(SYS_ID), login, row.label("name")):
                if key:
                    self.logins.setdefault(key, (login, row.file))

    def _labels(self, row: Row) -> None:
        """Cells that have both: choices by table and column, things by their sys_id."""
        for column, label in row.labels.items():
            value = row.values.get(column)
            if value is None or column in PEOPLE:
                continue
            if HEX_ID.fullmatch(value):
                self.things.setdefault(value, (label, row.file))
            else:
                self.labels.setdefault((row.table, column, value), label)
        if row.table == METRIC:
            self._metric(row)

    def _metric(self, row: Row) -> None:
        """A metric keeps a field's value and what people see for it."""
        column, value, label = (row.text(name) for name in ("field", "field_value", "value"))
        if column and value and label and column not in PEOPLE:
            if HEX_ID.fullmatch(value):
                self.things.setdefault(value, (label, row.file))
            else:
                self.labels.setdefault((row.text("table") or TASK, column, value), label)


def _language_first(row: Row) -> tuple[bool, str, str, str]:
    language = row.text("language") or ""
    inactive = (row.text("inactive") or "").lower()
    return (language != ENGLISH, language, inactive, row.label("label") or "")
