"""How is a register kept in one SQLite file so that nothing is lost and every bit is vouched for?

Written with WAL and synchronous=FULL in BEGIN IMMEDIATE transactions: after `kill -9` every record
that was reported as written is there. A write holds a lock (flock on the folder, which leaves no
file behind and ends with the process): commit, all of the write-ahead log into the file
(wal_checkpoint TRUNCATE), SHA-256 of the file, seal (`csi.register.seal`). Before that, each write
looks whether the file is the sealed one: a register that is ahead of its seal or has none is walked
and sealed, a damaged one is refused (RG116) and never sealed anew. A full disk after the commit
keeps the record and says that the seal is behind (`notice`).

Reading touches nothing: the file is read into memory under a shared lock and looked at there; only
where a crash left a write-ahead log is the file itself opened. So a register can be read on a full
or a read-only disk. Triggers refuse UPDATE, DELETE and REPLACE. O(size of the file) a read and a
write. WAL does not work on network file systems. Not locked out: other programs that write.

Errors: RG101 cannot be opened, RG102 not a register, RG103 busy, RG104 cannot be read, RG105 no
room, RG116 damaged.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import replace
from glob import escape
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from csi.register.history import Verification, walk
from csi.register.seal import SUFFIX, UNSEALED, read_seal, seal_path, sha256_of, write_seal
from csi.register.store import BUSY, HISTORY, head_of
from process_mining.errors import CodedError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RETRY_SECONDS: Final = 0.001
# Nobody queues for a lock: who writes without end lets the others look in between.
PAUSE_SECONDS: Final = 0.002
SHM_BYTES: Final = 65_536
APPLICATION_ID: Final = 0x746C7267  # "tlrg", so that another SQLite file is not taken for ours
# Bytes 18 and 19 of an SQLite file: 2 is WAL, which a database in memory cannot have; 1 is without.
WAL_MARK: Final = slice(18, 20)
# REPLACE deletes without firing delete triggers, so inserting over a record is refused as well.
GUARDS: Final = {
    "history_no_update": "BEFORE UPDATE ON history",
    "history_no_delete": "BEFORE DELETE ON history",
    "history_no_replace": (
        "BEFORE INSERT ON history WHEN EXISTS "
        "(SELECT 1 FROM history WHERE seq >= NEW.seq OR key = NEW.key)"
    ),
}
# As bytes: a flipped bit may leave no valid text. The columns are FIELDS and the hash.
_RAW: Final = (
    "SELECT seq, CAST(at AS BLOB), CAST(actor AS BLOB), CAST(entry_id AS BLOB), "
    "CAST(kind AS BLOB), CAST(key AS BLOB), CAST(payload AS BLOB), CAST(prev_hash AS BLOB), "
    "CAST(hash AS BLOB) FROM history ORDER BY seq"
)
_TRIGGERS: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
_OTHER: Final = "Name another file"
_BEHIND: Final = "The record is written and safe; its seal is behind, the next write seals it"


class SqliteStore:
    """A register in one SQLite file."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        """Name the file; nothing is opened yet."""
        self.path, self.place, self.notice = path.resolve(), str(path), ""
        self._busy_seconds = busy_seconds

    def prepare(self, *, create: bool) -> None:
        """Make the table where there is none (`create`), or refuse (RG101, RG102)."""
        if not self.path.parent.is_dir():
            raise CodedError("RG101", f"there is no folder {self.path.parent}", fix="Make it first")
        if self.path.is_dir() or not (create or self.path.is_file()):
            fix = "Name a register, or add an improvement to make one"
            raise CodedError("RG101", f"there is no register at {self.place}", fix=fix)
        with self._locked(fcntl.LOCK_SH):
            made = self._is_made()
        if made:
            return
        if not create:
            raise CodedError("RG102", f"{self.place} is no improvement register", fix=_OTHER)
        with self.writing() as connection:
            _make(connection)

    def preflight(self) -> None:
        """Refuse a place where no register is and none could be made; make nothing."""
        if self.path.exists():
            self.prepare(create=False)
        elif not os.access(self.path.parent, os.W_OK):
            msg = f"no register can be made in {self.path.parent}"
            raise CodedError("RG101", msg, fix="Check the path and its rights")

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that holds the write lock; committed and sealed on leaving in peace."""
        self.notice = ""
        with self._coded(), self._locked(fcntl.LOCK_EX):
            self._clear_litter()
            sealed = self._sealed_head()
            with self._begun("BEGIN IMMEDIATE") as connection:
                yield connection
                head = head_of(connection)
                connection.commit()
                whole = sealed == head or self._emptied(connection)
            if sealed != head:
                self._seal(head, whole=whole)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One moment of the table."""
        with self._coded(), self._locked(fcntl.LOCK_SH), self._image().connect() as connection:
            yield connection

    def examine(self) -> tuple[Verification, list[str]]:
        """Check chain, guards and seal; also the hashes of all records, in order."""
        with self._locked(fcntl.LOCK_SH):
            return self._examined()

    # --- what stands in the file

    def _is_made(self) -> bool:
        """Tell whether it is a register; RG102 where it is something else.

        A file beside which a seal lies is taken for one: whether it still is, its seal decides.
        """
        if not self.path.is_file():
            return False
        if seal_path(self.path).exists():
            return True
        if not self.path.stat().st_size and not self._pending():
            return False
        with self._coded(), self._image().connect() as connection:
            mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
            tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if tables and mark != APPLICATION_ID:
            msg = f"{self.place} is an SQLite file, but no improvement register"
            raise CodedError("RG102", msg, fix=_OTHER)
        return bool(tables)

    def _pending(self) -> bool:
        """Tell whether a crash left a write-ahead log."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size > 0
        except FileNotFoundError:
            return False

    def _image(self) -> sa.Engine:
        """Return the file as it is now: in memory; where a log is pending, the file itself."""
        if self._pending():
            return self._engine()
        data = bytearray(self.path.read_bytes())
        if data[WAL_MARK] == b"\x02\x02":
            data[WAL_MARK] = b"\x01\x01"
        return _engine_of(lambda: _in_memory(bytes(data)))

    def _engine(self) -> sa.Engine:
        return _engine_of(lambda: _connect(self.path, self._busy_seconds))

    def _examined(self) -> tuple[Verification, list[str]]:
        try:
            sha256, seal = sha256_of(self.path), read_seal(self.path)
            with self._coded(), self._image().connect() as connection:
                rows = [tuple(row) for row in connection.exec_driver_sql(_RAW)]
                guards = dict(map(tuple, connection.exec_driver_sql(_TRIGGERS)))
        except OSError as error:
            return _damaged(f"it cannot be read: {error.strerror}"), []
        except (ValueError, CodedError) as error:
            if isinstance(error, CodedError) and error.code == BUSY:
                raise
            said = error.what if isinstance(error, CodedError) else str(error)
            return _damaged(said.removeprefix(f"register {self.place}: ")), []
        found = walk(rows)
        if not found.ok:
            return found, []
        heads = [row[-1].decode() for row in rows]
        lost = [name for name in sorted(GUARDS) if guards.get(name) != _guard(name)]
        if lost:
            found = replace(found, ok=False, why=f"the guards {', '.join(lost)} are missing")
        elif seal is None:
            found = replace(found, said=UNSEALED)
        else:
            found = seal.judge(found, heads, sha256)
        return found, heads

    # --- writing

    def _sealed_head(self) -> tuple[int, str] | None:
        """Return records and head of a seal that fits, None where it has to be sealed anew.

        Where the seal does not fit the chain is walked: RG116 for damage.
        """
        try:
            seal = read_seal(self.path)
        except ValueError as error:
            raise damage(self.place, str(error)) from error
        if not self.path.exists():
            if seal is None:
                return None
            raise damage(self.place, f"it is gone, its seal vouches for {seal.records} records")
        if seal is not None and not self._pending() and sha256_of(self.path) == seal.sha256:
            return seal.records, seal.head
        if seal is None and not self._is_made():
            return None
        found, _ = self._examined()
        if not found.ok:
            raise damage(self.place, found.why)
        return None

    def _emptied(self, connection: sa.Connection) -> bool:
        """Move all of the write-ahead log into the file; False where something is in the way."""
        try:
            return not connection.exec_driver_sql(_CHECKPOINT).one()[0]
        except (sqlite3.Error, sa.exc.DBAPIError):
            return False  # a full disk, or another program reads: said by the notice

    def _seal(self, head: tuple[int, str], *, whole: bool) -> None:
        if not whole or self._pending():
            self.notice = _BEHIND
            return
        try:
            write_seal(self.path, *head)
        except (RunError, OSError):
            self.notice = _BEHIND

    def _clear_litter(self) -> None:
        """Remove seals whose writing was cut short."""
        stem = escape(seal_path(self.path).stem[:40])
        for path in self.path.parent.glob(f".{stem}.*.tmp{SUFFIX}"):
            path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold a lock on the folder; RG103 where another has it for longer than the patience."""
        try:
            handle = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._refused(error.strerror or "") from error
        try:
            until = time.monotonic() + self._busy_seconds
            while not _taken(handle, how):
                if time.monotonic() >= until:
                    raise self._busy()
                time.sleep(RETRY_SECONDS)
            yield
        finally:
            os.close(handle)
            if how == fcntl.LOCK_EX:
                time.sleep(PAUSE_SECONDS)

    def _begun(self, statement: str) -> sa.Connection:
        """Connect and begin, again and again until the patience ends.

        SQLite's own waiting does not cover the moments at which another process turns WAL on or,
        closing the last connection, clears the WAL away.
        """
        until = time.monotonic() + self._busy_seconds
        while True:
            try:
                return _begin(self._engine(), statement)
            except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
                if "locked" not in str(error) or time.monotonic() >= until:
                    raise
                time.sleep(RETRY_SECONDS)

    # --- what SQLite says, as coded errors

    @contextmanager
    def _coded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, sa.exc.DBAPIError) as error:
            cause = getattr(error, "orig", error)
            raise self._translated(str(cause)) from error
        except UnicodeDecodeError as error:  # the driver, where a damaged file names its parts
            raise self._translated("it holds bytes that are no text") from error

    def _translated(self, said: str) -> CodedError:
        if "locked" in said or "busy" in said:
            return self._busy()
        if "not a database" in said:
            return CodedError("RG102", f"{self.place} is no improvement register", fix=_OTHER)
        if "unable to open" in said or "readonly" in said:
            return self._refused(said)
        if "full" in said or ("I/O" in said and self._is_full()):
            return RunError(
                "RG105",
                f"register {self.place}: no room on the disk",
                why="Nothing was written; what was in it stands",
                fix="Make room, then do it again",
            )
        msg = f"register {self.place}: {said}"
        return RunError("RG104", msg, fix="Run verify, restore a copy")

    def _is_full(self) -> bool:
        """Tell whether the disk has less room than SQLite's index of its log takes."""
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize < SHM_BYTES

    def _busy(self) -> RunError:
        why = "Another process is writing to it"
        return RunError(BUSY, f"register {self.place} is busy", why=why, fix="Try again")

    def _refused(self, said: str) -> CodedError:
        return CodedError(
            "RG101", f"register {self.place}: {said}", fix="Check the path and its rights"
        )


def damage(place: str, why: str) -> RunError:
    """Return RG116."""
    return RunError(
        "RG116",
        f"register {place} is damaged: {why}",
        why="What stands in it can no longer be trusted",
        fix="Restore a copy that trueloop register verify finds whole, with its seal",
    )


def _damaged(why: str) -> Verification:
    return Verification(ok=False, records=0, head="", why=why)


def _guard(name: str) -> str:
    action = "BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END"
    return f"CREATE TRIGGER {name} {GUARDS[name]} {action}"


def _make(connection: sa.Connection) -> None:
    """Make the table and its guards in an empty file."""
    if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
        return  # another process was first
    HISTORY.create(connection)
    for name in GUARDS:
        connection.exec_driver_sql(_guard(name))
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _engine_of(creator: Callable[[], Any]) -> sa.Engine:
    return sa.create_engine("sqlite://", creator=creator, poolclass=NullPool)


def _in_memory(data: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.deserialize(data)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # isolation_level=None: the driver starts no transactions of its own, we do
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _begin(engine: sa.Engine, statement: str) -> sa.Connection:
    connection = engine.connect()
    try:
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    except BaseException:
        connection.close()
        raise
    return connection


def _taken(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
