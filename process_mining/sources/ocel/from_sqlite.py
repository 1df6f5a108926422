"""What does an OCEL 2.0 SQLite file state?

    event (ocel_id, ocel_type)                 object (ocel_id, ocel_type)
    event_map_type, object_map_type (ocel_type, ocel_type_map)
    event_<map>  (ocel_id, ocel_time, one column an attribute)
    object_<map> (ocel_id, ocel_time, ocel_changed_field, one column an attribute)
    event_object (ocel_event_id, ocel_object_id, ocel_qualifier)
    object_object (ocel_source_id, ocel_target_id, ocel_qualifier)

A row of object_<map> without `ocel_changed_field` gives values that hold from `ocel_time` on (from
the beginning where it is null); with it, the value of that one column. A null is no value. Where
no object of a type ever changed, some writers leave out `ocel_time` and `ocel_changed_field`, and
pandas writers add `ocel:activity`, which repeats the type. Ids may be stored as whole numbers.

A database file is opened for reading only and never written to. Only ordinary tables are
read: a view, a virtual table or a computed column in the place of one is refused
(LG081), for it would run what the file's author wrote. Nothing of the file enters a statement but
names of its tables and columns, quoted by one function. Before anything is read, the size is
compared with the file's own header and SQLite's `quick_check` walks all pages, so a cut or damaged
file is an error (LG099), as is one beside which changes wait in a journal. Packed files are
refused (LG081): unpack them first. Tables that the standard lacks are counted and left out.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from process_mining.columnar.sql import quoted
from process_mining.errors import CodedError, RunError
from process_mining.sources._files import GZIP_MAGIC
from process_mining.sources._rejects import shown
from process_mining.sources.ocel.log import (
    STATIC,
    OcelEvent,
    OcelObject,
    OddError,
    declare,
    needed,
    not_ocel,
    scalar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from process_mining.sources.ocel.log import Ocel, Pairs, Types

    Row = dict[str, str]

MAGIC: Final = b"SQLite format 3\0"
HEADER: Final = 100
MAX_VALUE: Final = 64 << 20
ID, TYPE, TIME, CHANGED = "ocel_id", "ocel_type", "ocel_time", "ocel_changed_field"
PANDAS_TYPE: Final = "ocel:activity"
TABLES: Final = {
    "event": (ID, TYPE),
    "object": (ID, TYPE),
    "event_map_type": (TYPE, "ocel_type_map"),
    "object_map_type": (TYPE, "ocel_type_map"),
    "event_object": ("ocel_event_id", "ocel_object_id", "ocel_qualifier"),
    "object_object": ("ocel_source_id", "ocel_target_id", "ocel_qualifier"),
}
# How the declared type of a column is called in OCEL, by the parts of words that SQLite looks for.
KINDS: Final = (
    ("BOOL", "boolean"),
    ("TIME", "time"),
    ("DATE", "time"),
    ("INT", "integer"),
    ("REAL", "float"),
    ("FLOA", "float"),
    ("DOUB", "float"),
)
SETTINGS: Final = ("PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON")


def is_sqlite(head: bytes) -> bool:
    """Whether the first bytes are those of a SQLite database."""
    return head.startswith(MAGIC)


def read_sqlite(path: Path, log: Ocel) -> None:
    """Read one file into the log."""
    _check_file(path)
    address = path.resolve().as_uri() + "?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
            for setting in SETTINGS:
                connection.execute(setting)
            database = _Database(path.name, connection, log)
            database.find_tables()
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",):
                raise _damaged(path, str(found[0]) if found else "no answer")
            database.read()
    except sqlite3.Error as error:
        raise _damaged(path, str(error)) from error


def _check_file(path: Path) -> None:
    """Refuse a packed file, one that is shorter than it says, and one with a journal beside it."""
    with path.open("rb") as file:
        head = file.read(HEADER)
    if head.startswith(GZIP_MAGIC):
        msg = f"{path.name} is a packed SQLite file"
        raise CodedError("LG081", msg, why="a database is read in place", fix="Unpack it first")
    for ending in ("-wal", "-journal"):
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise RunError(
                "LG099",
                f"changes of {path.name} wait in {beside.name}",
                why="the log would be cut",
                fix="Close the program that writes the database, or export it again",
            )
    size, stated = path.stat().st_size, _stated_size(head)
    if size < max(stated, HEADER):
        raise _damaged(path, f"it has {size:,} of {stated:,} bytes")


def _stated_size(head: bytes) -> int:
    """Return the size that the header states; 0 where it was not kept up to date.

    Source: the SQLite database file format, section 1.3 (page size at 16, pages at 28, valid if
    the change counter at 24 equals the number at 92).
    """
    if len(head) < HEADER or head[24:28] != head[92:96]:
        return 0
    page = int.from_bytes(head[16:18], "big")
    return (1 << 16 if page == 1 else page) * int.from_bytes(head[28:32], "big")


def _damaged(path: Path, reason: str) -> RunError:
    msg = f"{path.name} is damaged ({reason})"
    return RunError("LG099", msg, why="the log would be cut", fix="Copy or export it again")


@dataclass(eq=False)
class _Database:
    """An open database; `tables` are its ordinary tables: lower-case name → name as it stands."""

    file: str
    connection: sqlite3.Connection
    log: Ocel
    tables: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def read(self) -> None:
        """Read all tables of the standard."""
        for table, columns in TABLES.items():
            self._require(table, columns)
        try:
            self._objects()
            self._events()
        except OddError as error:
            raise not_ocel(self.file, error.reason) from error
        for name in sorted(self.tables.keys() - self.used):
            self.log.left_out[f"tables {shown(name)}"] += 1

    def find_tables(self) -> None:
        """Note what is an ordinary table by its own definition; refuse what poses as one.

        Nothing is computed here, so it comes before quick_check, which would work out computed
        columns.
        """
        query = "SELECT type, name, rootpage, sql FROM sqlite_master"
        for kind, name, page, sql in self.connection.execute(query):
            plain = kind == "table" and bool(page) and str(sql or "").startswith("CREATE TABLE ")
            if plain and not name.startswith("sqlite_"):
                self.tables[name.lower()] = name
            elif kind in {"view", "table"} and name.lower() in TABLES:
                raise self._refused(f"{shown(name)} is a view or a virtual table")
        for table in self.tables:
            self._columns(table)

    def _refused(self, what: str) -> RunError:
        why = "only ordinary tables are read"
        return RunError("LG081", f"{self.file}: {what}", why=why, fix="Export it as OCEL 2.0")

    def _require(self, table: str, columns: tuple[str, ...]) -> None:
        if table not in self.tables:
            raise self._refused(f"there is no table {shown(table)}")
        missing = [column for column in columns if column not in self._columns(table)]
        if missing:
            raise self._refused(f"table {table} has no column {shown(missing[0])}")

    def _columns(self, table: str) -> dict[str, str]:
        """Return the columns with their declared types."""
        rows = self.connection.execute(f"PRAGMA table_xinfo({quoted(self.tables[table])})")
        columns = {}
        for _, name, kind, _, _, _, hidden in rows:
            if hidden:
                raise self._refused(f"column {shown(name)} of {table} is computed")
            columns[name] = str(kind or "").upper()
        return columns

    def _rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table as text; nulls are left out."""
        self.used.add(table)
        columns = list(self._columns(table))
        names = ", ".join(quoted(column) for column in columns)
        query = f"SELECT {names} FROM {quoted(self.tables[table])}"  # noqa: S608 - quoted names of the file's own tables
        for cells in self.connection.execute(query):
            values = zip(columns, map(scalar, cells), strict=True)
            yield {name: value for name, value in values if value is not None}

    def _maps(self, what: str, types: Types) -> dict[str, str]:
        """Return the table of each type, and declare the type with its columns."""
        found: dict[str, str] = {}
        for row in self._rows(f"{what}_map_type"):
            kind, short = needed(row.get(TYPE), TYPE), needed(row.get("ocel_type_map"), "map")
            table = f"{what}_{short}".lower()
            if found.setdefault(kind, table) != table:
                raise self._refused(f"type {shown(kind)} has two tables")
            self._require(table, (ID, TIME) if what == "event" else (ID,))
            own = {name: k for name, k in self._columns(table).items() if name not in _FIXED}
            declare(types, kind, [(name, _kind(k)) for name, k in own.items()])
        return found

    def _relations(self, table: str) -> dict[str, list[tuple[str, str]]]:
        source, target, qualifier = TABLES[table]
        found: dict[str, list[tuple[str, str]]] = {}
        for row in self._rows(table):
            pair = (needed(row.get(target), target), row.get(qualifier, ""))
            found.setdefault(needed(row.get(source), source), []).append(pair)
        return {key: sorted(pairs) for key, pairs in found.items()}

    def _typed(self, what: str, tables: dict[str, str]) -> dict[tuple[str, str], list[Row]]:
        """Return the rows of event_<map> or object_<map> by table and id."""
        found: dict[tuple[str, str], list[Row]] = {}
        for table in sorted(set(tables.values())):
            for row in self._rows(table):
                found.setdefault((table, needed(row.get(ID), f"{ID} in {what}")), []).append(row)
        return found

    def _objects(self) -> None:
        tables = self._maps("object", self.log.object_types)
        rows, related = self._typed("object", tables), self._relations("object_object")
        for row in self._rows("object"):
            name, kind = needed(row.get(ID), ID), needed(row.get(TYPE), TYPE)
            own = rows.pop((tables.get(kind, ""), name), [])
            values = tuple(value for one in own for value in self._values(one))
            pairs = tuple(related.pop(name, ()))
            place = f"{self.file} object {shown(name)}"
            self.log.add_object(OcelObject(name, kind, values, pairs, place))
        self._count("rows of objects that table object lacks", rows)
        self._count("relationships of objects that table object lacks", related)

    def _values(self, row: Row) -> Iterator[tuple[str, str, str]]:
        changed = row.get(CHANGED)
        for name, value in row.items():
            if name not in _FIXED and changed in {None, name}:
                yield name, row.get(TIME, STATIC), value

    def _events(self) -> None:
        tables = self._maps("event", self.log.event_types)
        rows, related = self._typed("event", tables), self._relations("event_object")
        listed = sorted((row.get(ID, ""), row.get(TYPE, "")) for row in self._rows("event"))
        for number, (name, kind) in enumerate(listed, start=1):
            own = rows.get((tables.get(kind, ""), name), [])
            self.log.events.append(
                self._event(name, kind, own, tuple(related.get(name, ())), number)
            )
        known = {(tables.get(kind, ""), name) for name, kind in listed}
        lost = {key: own for key, own in rows.items() if key not in known}
        for number, (table, name) in enumerate(sorted(lost), start=len(listed) + 1):
            problem = ("LG153", f"stands in {self.tables[table]} and not in event")
            self.log.events.append(self._problem(name, number, problem))
        ids = {name for name, _ in listed}
        self._count(
            "relationships of events that table event lacks",
            {name: pairs for name, pairs in related.items() if name not in ids},
        )

    def _event(
        self, name: str, kind: str, rows: list[Row], related: Pairs, number: int
    ) -> OcelEvent:
        if not name or not kind:
            return self._problem(name, number, ("LG152", f"has no {TYPE if name else ID}"))
        if len(rows) != 1:
            reason = f"has {len(rows)} rows in the table of its type, not one"
            return self._problem(name, number, ("LG153", reason))
        row = rows[0]
        attributes = tuple(
            (key, value)
            for key, value in row.items()
            if key not in _FIXED and (key, value) != (PANDAS_TYPE, kind)
        )
        place = f"event {shown(name)}"
        return OcelEvent(name, kind, row.get(TIME), attributes, related, self.file, number, place)

    def _problem(self, name: str, number: int, problem: tuple[str, str]) -> OcelEvent:
        place = f"event {shown(name)}"
        return OcelEvent("", "", None, (), (), self.file, number, place, problem)

    def _count(
        self, what: str, rest: dict[tuple[str, str], list[Row]] | dict[str, list[tuple[str, str]]]
    ) -> None:
        n = sum(len(rows) for rows in rest.values())
        if n:
            self.log.left_out[what] += n


_FIXED: Final = frozenset({ID, TIME, CHANGED})


def _kind(declared: str) -> str:
    """Return the OCEL type of a column's declared type."""
    return next((kind for word, kind in KINDS if word in declared), "string")
