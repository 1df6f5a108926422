"""Is one run at a time let onto a register in PostgreSQL, on a real server of our own?"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from improvement.test_register_postgresql import SECRETS, server, url

from csi.locks import Holder, register_lock
from process_mining.errors import RunError

ROOT = Path(__file__).parents[2]
__all__ = ["server", "url"]  # fixtures
HOLD = """
import sys
from pathlib import Path
from csi.locks import Holder, register_lock
with register_lock(sys.argv[1], Holder.me(Path("/desk/theirs.toml"))):
    print(flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_is_gone(url: str) -> None:
    me = Holder.me(Path("/desk/mine.toml"))
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", HOLD, url]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        with pytest.raises(RunError, match="CY302") as caught, register_lock(url, me):
            pass
        assert f"process {other.pid} on {me.host}, 2" in str(caught.value)
        assert [word for word in SECRETS if word in str(caught.value)] == []
        other.send_signal(signal.SIGKILL)
    for _ in range(100):  # the server sees the broken connection in its own time
        try:
            with register_lock(url, me):
                break
        except RunError:
            continue
    with register_lock(url, me), pytest.raises(RunError, match="CY302"), register_lock(url, me):
        pass


def test_another_database_is_another_register(server: str, url: str) -> None:
    me = Holder.me(Path("/desk/mine.toml"))
    with register_lock(url, me), register_lock(f"{server}/postgres", me):
        pass


def test_a_server_that_is_not_there_is_named_without_its_secret(url: str) -> None:
    nowhere = f"{url}_none"
    me = Holder.me(Path("/desk/mine.toml"))
    with pytest.raises(RunError, match="CY304") as caught, register_lock(nowhere, me):
        pass
    assert [word for word in SECRETS if word in str(caught.value)] == []
