"""Who may work on this register or in this folder now? One run at a time, told by name.

A file is locked with flock(2): the kernel lets go of it when the process ends, however it ends, so
no lock is ever stale. The lock file holds who has it (pid, host, since when, cycle file) as JSON
for the one who is refused, and is removed on leaving. Between opening and locking it another run
may have removed it; then the lock is on a file that nobody finds, so it is taken anew. A register
in PostgreSQL is locked with an advisory lock, which the server lets go of when the connection
ends; who has it is the session's application_name.

Not covered: notebooks that run alone take no lock (the register's own transactions keep it whole);
two hosts that share a folder by NFS version 3 or older, which knows no flock.

Errors: RunError CY302 another run works on the register, CY303 another run writes into the folder,
CY304 no lock can be made there.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from csi.register.postgresql import CONNECT_SECONDS, server_url, shown
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER_LOCK: Final = ".cycle.lock"
# `trueloop cycle status` looks by locking for a moment; a run that starts just then tries again.
TRIES: Final = 5
RETRY_SECONDS: Final = 0.05
# A pair of numbers of our own among advisory locks: "tlrg", and 1 for one run; one register a
# database. (The register itself takes 2 for one transaction.)
LOCK: Final = {"a": 0x746C7267, "b": 1}
NAME_BYTES: Final = 63  # more of an application_name PostgreSQL does not keep


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: process, host, since when (UTC), and for which cycle file."""

    pid: int
    host: str
    since: str
    cycle: str

    @classmethod
    def me(cls, cycle: Path) -> Holder:
        """Name this process."""
        since = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return cls(os.getpid(), socket.gethostname(), since, str(cycle))

    @property
    def words(self) -> str:
        """Say who it is."""
        return f"process {self.pid} on {self.host}, since {self.since}, with {self.cycle}"


@contextmanager
def register_lock(register: str | Path, holder: Holder) -> Iterator[None]:
    """Hold the lock on a register (a path or a URL); CY302 where another run holds it."""
    place = _sqlite_path(register)
    what = "another run works on this register"
    if place is None:
        with _advisory(server_url(str(register)), holder, what):
            yield
        return
    lock = place.with_name(f"{place.name}.lock")
    with _locked(lock, holder, "CY302", what):
        yield


@contextmanager
def folder_lock(folder: Path, holder: Holder) -> Iterator[None]:
    """Hold the lock on a cycle folder, made where there is none; CY303 where another run does."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_lock(folder, error) from error
    try:
        with _locked(folder / FOLDER_LOCK, holder, "CY303", "another run writes into this folder"):
            yield
    finally:
        for path in new:
            with suppress(OSError):  # it is not empty: the run has written into it
                path.rmdir()


def folder_holder(folder: Path) -> Holder | None:
    """Return which run writes into a folder now, or None."""
    try:
        handle = os.open(folder / FOLDER_LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(handle)
    finally:
        os.close(handle)
    return None


@contextmanager
def _locked(path: Path, holder: Holder, code: str, what: str) -> Iterator[None]:
    handle = _taken(path, code, what)
    try:
        with suppress(OSError):  # on a full disk the lock holds all the same, unnamed
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(asdict(holder)).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # before letting go: nobody then finds an unlocked file
        os.close(handle)


def _taken(path: Path, code: str, what: str) -> int:
    """Return a locked handle of the file that is at the path."""
    for last in (*[False] * (TRIES - 1), True):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise _no_lock(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _holder(handle)
            os.close(handle)
            if last:
                raise _refused(code, what, other.words if other else "not named") from None
            time.sleep(RETRY_SECONDS)
            continue
        if _is_at(path, handle):
            return handle
        os.close(handle)
    raise _refused(code, what, "several are starting at once")


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _holder(handle: int) -> Holder | None:
    """Read who holds a lock file; None where it says nothing that can be read."""
    try:
        found: dict[str, Any] = json.loads(os.pread(handle, 1 << 16, 0))
        return Holder(**found)
    except (ValueError, TypeError):
        return None


def _sqlite_path(register: str | Path) -> Path | None:
    """Return the file of a register, links followed; None for a register in a server."""
    if isinstance(register, Path) or "://" not in register:
        return Path(register).resolve()
    url = sa.make_url(register)
    return Path(url.database or "").resolve() if url.get_backend_name() == "sqlite" else None


@contextmanager
def _advisory(url: sa.URL, holder: Holder, what: str) -> Iterator[None]:
    """Hold a session's lock; what the driver says may hold a password and is not shown."""
    name = f"process {holder.pid} on {holder.host}, {holder.since}, {Path(holder.cycle).name}"
    engine = sa.create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "application_name": name.encode("ascii", "replace")[:NAME_BYTES].decode(),
            "connect_timeout": CONNECT_SECONDS,
        },
    )
    try:
        connection = engine.connect()
        got = connection.execute(sa.text("SELECT pg_try_advisory_lock(:a, :b)"), LOCK).scalar()
        other = None if got else connection.execute(sa.text(_WHO), LOCK).scalar()
    except sa.exc.SQLAlchemyError:
        msg = f"the register's server {shown(url)} gives no lock"
        fix = "Check the URL and that the server is up"
        raise RunError("CY304", msg, fix=fix) from None
    with connection:
        if not got:
            raise _refused("CY302", what, str(other or "not named"))
        yield


_WHO: Final = (
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND classid = :a AND objid = :b "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _refused(code: str, what: str, who: str) -> RunError:
    fix = "Wait until it has ended, then run the cycle again"
    return RunError(code, f"{what}: {who}", fix=fix)


def _no_lock(path: Path, error: OSError) -> RunError:
    msg = f"no lock can be made at {path}: {error.strerror}"
    return RunError("CY304", msg, fix="Give a folder that can be written to and has room")
