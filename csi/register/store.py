"""Where are the records kept? One append-only table, `history`, in SQLite or in PostgreSQL.

A `Store` gives transactions on it: `writing` holds the one write lock from its start, so that what
is read in it is current, and commits on leaving in peace; `reading` sees one moment. The table is
the same in both; each store has its own guards that refuse to change or delete a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import sqlalchemy as sa

from csi.register.history import GENESIS, Record, Verification
from process_mining.errors import RunError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

BUSY_SECONDS: Final = 10.0
BUSY: Final = "RG103"
METADATA: Final = sa.MetaData()
HISTORY: Final = sa.Table(
    "history",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("entry_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=True, unique=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("prev_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)


class Store(Protocol):
    """Where a register is kept. `place` is what messages show of it: no user and no password.

    `notice` says what the last write could not do although its record is safe; empty otherwise.
    """

    place: str
    notice: str

    def prepare(self, *, create: bool) -> None:
        """Make the table where there is none (`create`), or refuse (RG101, RG102)."""

    def preflight(self) -> None:
        """Refuse a place where no register is and none could be made; make nothing."""

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction that holds the write lock; committed on leaving in peace."""

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One moment of the table."""

    def examine(self) -> tuple[Verification, list[str]]:
        """Check chain, guards and seal; also the hashes of all records, in order."""


def records_of(connection: sa.Connection, entry_id: str | None = None) -> list[Record]:
    """Return the records, oldest first, of one entry or of all; RG104 for what is no record."""
    query = sa.select(HISTORY).order_by(HISTORY.c.seq)
    if entry_id is not None:
        if not entry_id.isprintable():
            return []  # no id is, and no database takes every character
        query = query.where(HISTORY.c.entry_id == entry_id)
    return [_record(row) for row in connection.execute(query).mappings()]


def ids_of(connection: sa.Connection) -> list[str]:
    """Return the ids of all entries."""
    query = sa.select(HISTORY.c.entry_id).where(HISTORY.c.kind == "add")
    return list(connection.execute(query).scalars())


def head_of(connection: sa.Connection) -> tuple[int, str]:
    """Return number and hash of the newest record."""
    query = sa.select(HISTORY.c.seq, HISTORY.c.hash).order_by(HISTORY.c.seq.desc()).limit(1)
    newest = connection.execute(query).one_or_none()
    return (newest.seq, newest.hash) if newest is not None else (0, GENESIS)


def by_key(connection: sa.Connection, key: str | None) -> Record | None:
    """Return the record with this key."""
    if key is None or not key.isprintable():
        return None
    row = connection.execute(sa.select(HISTORY).where(HISTORY.c.key == key)).mappings().first()
    return None if row is None else _record(row)


def append(connection: sa.Connection, record: dict[str, Any]) -> None:
    """Insert one record with its hash."""
    connection.execute(HISTORY.insert(), record)


def _record(row: sa.RowMapping) -> Record:
    """Read one row; a damaged file may hold anything in a column."""
    texts = {name: value for name, value in row.items() if name != "seq"}
    texts["key"] = texts["key"] or ""
    if type(row["seq"]) is not int or not all(isinstance(text, str) for text in texts.values()):
        msg = f"record {row['seq']} of the register cannot be read"
        raise RunError("RG104", msg, fix="Run verify, restore a copy")
    return Record(**row)
