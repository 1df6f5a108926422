"""Does nothing torn stay behind a run that is killed at a random moment, or whose disk is full?

A run is killed again and again, each time after a random while, until one comes to its end; then
everything must be as in a run that nobody disturbed. A helper process loads trueloop once and forks
each run, so that the moments fall into the work and not into the imports.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from improvement.command_line import in_process
from improvement.cycle_desk import Desk
from improvement.cycle_here import here

from csi.cycle_run import run
from csi.manifest import RESULTS
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SEED = 20261201
# A run is killed after at most so long, and longer after each kill until a cycle has ended.
FIRST_S, LONGER = 3.0, 1.15


class Runner:
    """A process that runs cycles in children of its own, which can be killed."""

    def __init__(self) -> None:
        script = str(ROOT / "tests" / "improvement" / "cycle_here.py")
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self.process = subprocess.Popen(
            [sys.executable, script, "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )

    def run(self, cycle: Path, out: Path, kill_after: float | None = None) -> int:
        """Return the exit code of a run, negative where it was killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{cycle}\t{out}\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        timer = threading.Timer(kill_after or 0, os.kill, (child, signal.SIGKILL))
        if kill_after is not None:
            timer.start()
        code = int(self.process.stdout.readline())
        timer.cancel()
        return code


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    found = Runner()
    yield found
    found.process.communicate()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.cycle()
    return made


def bytes_of(out: Path) -> dict[str, str]:
    """Every file of a cycle folder by its hash, but for the executed notebooks."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    named = {str(path.relative_to(out)): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in named.items()
        if not name.startswith("notebooks/")
    }


def read_all(out: Path) -> None:
    """Read every file under its final name; what is torn cannot be read."""
    for path in out.rglob("[!.]*"):
        if path.suffix in {".json", ".ipynb"}:
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix in {".html", ".svg"}:
            text = path.read_text("utf-8").rstrip()
            assert text.endswith(">") or (path.suffix, text) == (".svg", "")  # nothing to draw


def start_over(desk: Desk) -> None:
    shutil.rmtree(desk.out, ignore_errors=True)
    for path in desk.folder.glob("register.sqlite*"):
        path.unlink()


def killed(runner: Runner, desk: Desk, golden: Path, kills: int) -> tuple[int, int]:
    """Kill runs until enough kills have struck; return these and the cycles that ended."""
    cycle, draw = desk.folder / "cycle.toml", random.Random(SEED)  # noqa: S311 - no secret
    undisturbed = bytes_of(golden / "desk" / "out")
    struck = ended = 0
    longest = FIRST_S
    while struck < kills or not ended:
        after = draw.uniform(0, longest) if struck < kills else None
        code = runner.run(cycle, desk.out, after)
        read_all(desk.out)
        if code == -signal.SIGKILL:
            struck += 1
            longest *= LONGER
            continue
        assert code == 0
        assert bytes_of(desk.out) == undisturbed
        assert in_process("register", "verify", desk.register).code == 0
        ended, longest = ended + 1, FIRST_S
        start_over(desk)
    return struck, ended


def test_a_few_kills_leave_nothing_torn(runner: Runner, desk: Desk, golden: Path) -> None:
    struck, ended = killed(runner, desk, golden, 3)
    assert (struck, ended >= 1) == (3, True)


@pytest.mark.trial
def test_two_hundred_kills_leave_nothing_torn(runner: Runner, desk: Desk, golden: Path) -> None:
    struck, ended = killed(runner, desk, golden, 200)
    sys.stdout.write(f"{struck} kills, {ended} cycles came to their end\n")
    assert struck == 200
    assert ended > 1


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small disk can be mounted by root alone")
    words = [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a disk")
    yield place
    subprocess.run(["/bin/umount", str(place)], check=True)


@pytest.mark.parametrize("room", [0, 40_000, 120_000])
def test_a_full_disk_keeps_the_last_good_output(
    room: int, golden: Path, tmp_path: Path, small_disk: Path
) -> None:
    shutil.copytree(golden / "desk", tmp_path / "desk")
    out, cycle = small_disk / "out", tmp_path / "desk" / "cycle.toml"
    (tmp_path / "desk" / "out").rename(tmp_path / "out")
    shutil.copytree(tmp_path / "out", out)
    with (tmp_path / "desk" / "tickets.csv").open("a", encoding="utf-8") as file:
        file.write("\n")  # another input, so that all is to be done anew
    good = {name: (out / name).read_bytes() for name in RESULTS}
    fill(small_disk, room)
    with pytest.raises(RunError, match="CY001 cannot write") as caught:
        run(cycle, out, execute=here)
    assert caught.value.exit_code == 3
    assert {name: (out / name).read_bytes() for name in RESULTS} == good
    read_all(out)


def fill(disk: Path, room: int) -> None:
    """Leave just so much room, in bytes."""
    free = shutil.disk_usage(disk).free
    (disk / "filler").write_bytes(b"0" * max(0, free - room))
