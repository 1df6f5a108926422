"""A PostgreSQL server that lives for one test run: on the loopback alone, on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "mine"


@contextmanager
def serving(password: str, **settings: str) -> Iterator[str]:
    """Give "host:port" of a server whose user is `USER`; skips where none is installed."""
    initdb = _program("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL server (Debian: apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="trueloop-pg-"))
    user = _unprivileged(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = folder / "password"
    secret.write_text(password, encoding="utf-8")
    secret.chmod(0o644)
    data = ["-D", str(folder / "data")]
    how = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-N", "-E", "UTF8"]
    control = [str(Path(initdb).with_name("pg_ctl")), *data, "-w"]
    fixed = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
    }
    options = " ".join(f"-c {name}={value}" for name, value in (fixed | settings).items())
    try:
        _run([initdb, *data, *how, "--locale=C"], user)
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"], user)
        yield f"127.0.0.1:{port}"
        _run([*control, "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(debian[-1]) if debian else shutil.which(name)
    return str(Path(found).resolve()) if found else None


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Return whom to run the server as: it refuses to run as root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _run(command: list[str], user: dict[str, Any]) -> None:
    done = subprocess.run(
        command, check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, **user,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
