"""How is a register kept in a PostgreSQL server, so that several desks may share it?

A URL `postgresql://user@host:5432/database` (or postgresql+psycopg://) names the place: the table
`history` in the first schema of the search path, made where there is none. One writer at a time: a
transaction takes an advisory lock first, so ids and the chain have no gaps. Triggers, always
enabled, refuse UPDATE, DELETE and TRUNCATE; a role that may only SELECT and INSERT is the better
guard, and `verify` with a `head` kept outside the best. `verify` also asks that the guards are
there and are ours. The server looks after its own files: there is no seal.

Secrets: the password belongs into PGPASSWORD, PGPASSFILE or ~/.pgpass; in the URL it works, and
messages never show it. They show host, port and database alone, and no text of the driver's, which
may repeat what it was given. Parameters after `?` are those of PARAMETERS. Not checked: who else
may write to the database; whether the server keeps what it committed (fsync).

Errors: RG101 wrong URL, no register, no right; RG102 another table; RG103 busy; RG104 cannot be
read; RG105 no room; RG106 the driver is missing; RG107 the server cannot be asked.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from csi.register.history import Verification, walk
from csi.register.store import BUSY, HISTORY
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVERS: Final = ("postgresql", "postgresql+psycopg")
PARAMETERS: Final = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "options", "target_session_attrs"}
)
# A pair of numbers of our own among advisory locks: "tlrg", and 2 for one transaction.
LOCK: Final = {"a": 0x746C7267, "b": 2}
CONNECT_SECONDS: Final = 10
_HOST: Final = re.compile(r"[A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
_NAME: Final = re.compile(r"[\w.-]+")

FUNCTION: Final = "trueloop_history_append_only"
BODY: Final = " BEGIN RAISE EXCEPTION 'the history is append-only'; END "
# When each guard fires, and how the server writes that down (pg_trigger.tgtype).
GUARDS: Final = {
    "history_no_update": ("BEFORE UPDATE ON history FOR EACH ROW", 19),
    "history_no_delete": ("BEFORE DELETE ON history FOR EACH ROW", 11),
    "history_no_truncate": ("BEFORE TRUNCATE ON history FOR EACH STATEMENT", 34),
}
_LOOK: Final = "What was being written may be there or not: look before you write it again"
_FOUND_GUARDS: Final = """
    SELECT t.tgname, t.tgtype, t.tgenabled = 'A' AND t.tgqual IS NULL AND p.prosrc = :body
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = to_regclass('history') AND NOT t.tgisinternal
"""
_STATES: Final = {  # SQLSTATE: code, what is wrong, what to do
    "55P03": (BUSY, "is busy: another process is writing to it", "Try again"),
    "57014": (BUSY, "took too long to answer", "Try again"),
    "53100": ("RG105", "has no room on its disk; nothing was written", "Make room, do it again"),
    "42501": ("RG101", "refuses: the role has no right to do this", "Ask for the right"),
    "25006": ("RG101", "can only be read", "Name the server that is written to"),
    "3D000": ("RG101", "does not exist", "Make the database first, or name another"),
    "42P01": ("RG101", "holds no register", "Add an improvement to make one"),
    "42703": ("RG102", "has a table history of another kind", "Name another database or schema"),
}
_REASONS: Final = (  # before there is a connection the server's words are all there is
    ("authentication failed", "the role or the password is not accepted"),
    ("no password", "it asks for a password; set PGPASSWORD or PGPASSFILE"),
    ("does not exist", "there is no such role or database"),
    ("refused", "nothing listens there"),
    ("resolve", "there is no such host"),
    ("translate host", "there is no such host"),
    ("ssl", "the encryption that was asked for cannot be had"),
    ("timeout", "it did not answer in time"),
    ("no pg_hba", "it takes no connection from here for that role"),
)


class PostgresqlStore:
    """A register in a PostgreSQL database."""

    def __init__(self, url: str, busy_seconds: float) -> None:
        """Read the URL; nothing is opened yet."""
        parsed = server_url(url)
        self.place, self.notice = shown(parsed), ""
        self._busy_ms = max(1, round(1000 * busy_seconds))
        self._engine = _engine(parsed)

    def prepare(self, *, create: bool) -> None:
        """Make the table where there is none (`create`), or refuse (RG101, RG102)."""
        with self.reading() as connection:
            self._require_utf8(connection)
            made = self._is_made(connection)
        if made:
            return
        if not create:
            fix = "Name a register, or add an improvement to make one"
            raise CodedError("RG101", f"there is no register in {self.place}", fix=fix)
        with self.writing() as connection:
            if not self._is_made(connection):
                _make(connection)

    def preflight(self) -> None:
        """Refuse a place where no register is and none could be made; make nothing."""
        may = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
        with self.reading() as connection:
            self._require_utf8(connection)
            if self._is_made(connection) or connection.exec_driver_sql(may).scalar_one():
                return
        msg = f"no register can be made in {self.place}"
        raise CodedError("RG101", msg, fix="Ask for the right to create in its schema")

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that holds the advisory lock; committed on leaving in peace."""
        with self._coded(_LOOK), self._engine.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {self._busy_ms}")
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:a, :b)"), LOCK)
            yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One moment of the table."""
        with self._coded(), self._engine.connect() as plain:
            yield plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    def examine(self) -> tuple[Verification, list[str]]:
        """Check chain and guards; also the hashes of all records, in order."""
        query = sa.select(HISTORY).order_by(HISTORY.c.seq)
        try:
            with self.reading() as connection:
                rows = [_as_bytes(tuple(row)) for row in connection.execute(query)]
                guards = {
                    name: kind
                    for name, kind, good in connection.execute(
                        sa.text(_FOUND_GUARDS), {"body": BODY}
                    )
                    if good
                }
        except CodedError as error:
            if error.code in (BUSY, "RG107"):
                raise
            return Verification(ok=False, records=0, head="", why=str(error)), []
        found = walk(rows)
        if not found.ok:
            return found, []
        heads = [row[-1].decode() for row in rows]
        lost = [name for name in sorted(GUARDS) if guards.get(name) != GUARDS[name][1]]
        if lost:
            return replace(found, ok=False, why=f"the guards {', '.join(lost)} are missing"), heads
        said = "It is kept by a server, which looks after its own files: there is no seal"
        return replace(found, seal="server", said=said), heads

    def _is_made(self, connection: sa.Connection) -> bool:
        """Tell whether the table is there; RG102 where it is another's."""
        query = (
            "SELECT attname FROM pg_attribute "
            "WHERE attrelid = to_regclass('history') AND attnum > 0 AND NOT attisdropped"
        )
        columns = set(connection.exec_driver_sql(query).scalars())
        if columns and columns != {column.name for column in HISTORY.columns}:
            msg = f"{self.place} has a table history that is no improvement register"
            raise CodedError("RG102", msg, fix="Name another database, or a schema in options")
        return bool(columns)

    def _require_utf8(self, connection: sa.Connection) -> None:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            msg = f"{self.place} keeps texts as {encoding}"
            raise CodedError("RG101", msg, fix="Make a database with the encoding UTF8")

    @contextmanager
    def _coded(self, why: str = "") -> Iterator[None]:
        """Turn what the server says into coded errors, without its words.

        `why` is what a connection that fails now means.
        """
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self._translated(error.orig, why) from None
        except ImportError:
            raise _no_driver() from None

    def _translated(self, cause: BaseException | None, why: str) -> CodedError:
        state = getattr(cause, "sqlstate", None)
        if state in _STATES:
            code, what, fix = _STATES[state]
            kind = CodedError if code in ("RG101", "RG102") else RunError
            return kind(code, f"register {self.place} {what}", fix=fix)
        if state is None or state[:2] in ("08", "28", "53", "57"):
            words = str(cause).lower()
            reasons = [said for word, said in _REASONS if word in words]
            said = reasons[0] if reasons else "the connection failed"
            return RunError(
                "RG107",
                f"register {self.place} cannot be asked: {said}",
                why=why,
                fix="Check the URL, the password and that the server is up",
            )
        msg = f"register {self.place}: the server reports SQLSTATE {state}"
        return RunError("RG104", msg, fix="Run verify, restore a copy")


def server_url(text: str) -> sa.URL:
    """Return the parts of a register's URL, with the driver; RG101 for what it cannot be.

    No part of a URL that is not understood is shown: it may be a password.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise _bad_url("the URL of the register cannot be read", _FORM) from None
    if url.drivername not in DRIVERS:
        known = did_you_mean(url.drivername, ("sqlite", *DRIVERS))
        raise _bad_url("the URL of the register names no kind of database that is known", known)
    wrong = []
    if not _HOST.fullmatch(url.host or "") or not _NAME.fullmatch(url.database or ""):
        wrong.append(_bad_url("the host or database in the URL of the register is no name", _FORM))
    strange = set(url.query) - PARAMETERS
    if any(re.search("pass|secret|token", name, re.IGNORECASE) for name in strange):
        fix = "Set PGPASSWORD or PGPASSFILE"
        wrong.append(_bad_url("the URL of the register has a password as a parameter", fix))
    elif strange:
        fix = f"Known: {', '.join(sorted(PARAMETERS))}"
        wrong.append(_bad_url("the URL of the register has an unknown parameter", fix))
    if any(not isinstance(value, str) for value in url.query.values()):
        wrong.append(_bad_url("the URL of the register has a parameter twice", "Keep one"))
    raise_all(wrong)
    return url.set(drivername="postgresql+psycopg")


_FORM: Final = "Write postgresql://user@host:5432/database; @ : / in a name as %40 %3A %2F"


def shown(url: sa.URL) -> str:
    """Return what a message may show of a URL: host, port and database."""
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database}"


def _bad_url(what: str, fix: str) -> CodedError:
    return CodedError("RG101", what, fix=fix)


def _no_driver() -> CodedError:
    return CodedError(
        "RG106",
        "a register in PostgreSQL needs the driver psycopg 3, which is not installed",
        fix="pip install 'trueloop[postgresql]'",
    )


def _engine(url: sa.URL) -> sa.Engine:
    connect = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "trueloop register",
        "client_encoding": "utf8",
        "prepare_threshold": None,  # so that a pooler between us and the server may be used
    }
    try:
        return sa.create_engine(url, poolclass=NullPool, connect_args=connect)
    except ImportError:
        raise _no_driver() from None


def _make(connection: sa.Connection) -> None:
    """Make the table and its guards."""
    HISTORY.create(connection)
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $${BODY}$$"
    )
    for name, (when, _) in GUARDS.items():
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {FUNCTION}()")
        connection.exec_driver_sql(f"ALTER TABLE history ENABLE ALWAYS TRIGGER {name}")


def _as_bytes(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (row[0], *(None if cell is None else str(cell).encode() for cell in row[1:]))
