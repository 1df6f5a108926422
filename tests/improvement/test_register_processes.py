"""Does the register lose nothing when processes are killed, write at once, or the disk is full?"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from improvement.register_story import AT, DRAFT, WHO, filled
from improvement.register_writer import write

from csi.register import Register
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["csi.register"])  # imported once, not for each process


def writer(path: Path, mode: str, count: int, said: Path, begin: object) -> ForkServerProcess:
    process = FORKS.Process(target=write, args=(path, mode, count, said, begin))
    process.start()
    return process


def wait_for(files: list[Path]) -> None:
    """Wait until every writer has written something."""
    until = time.monotonic() + 60
    while not all(said.exists() and said.stat().st_size for said in files):
        assert time.monotonic() < until
        time.sleep(0.005)


# --- kill -9 --------------------------------------------------------------------------------


def killed(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill writers, two at a time, in the middle of their work; return how the seals stood."""
    path, rng = folder / "r.sqlite", np.random.default_rng(seed)
    register, begin = Register.open(path), FORKS.Event()
    register.add(DRAFT, at=AT, actor=WHO)
    begin.set()
    acknowledged: set[str] = set()
    stood: Counter[str] = Counter()
    for pair in range(kills // 2):
        files = [folder / f"said-{pair}-{side}" for side in "ab"]
        writers = [writer(path, "note", 100_000, said, begin) for said in files]
        wait_for(files)
        for process in writers:
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
            process.join()
        acknowledged |= {line for said in files for line in said.read_text().split()}
        found = register.verify()
        assert found.ok, found.why
        stood[found.seal] += 1
        text = f"alive-{pair}"
        register.note("IMP-0001", text, at=AT, actor=WHO)  # the next write works
        acknowledged.add(text)
        assert register.verify().seal == "sealed"
    notes = [record.content["text"] for record in register.show("IMP-0001").history[1:]]
    written = [note.strip() for note in notes]
    assert len(written) == len(set(written))
    assert acknowledged <= set(written)
    # each kill may leave one record that was committed and not yet reported
    assert len(written) <= len(acknowledged) + kills
    stood["acknowledged"] = len(acknowledged)
    stood["not reported"] = len(written) - len(acknowledged)
    return stood


def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    killed(tmp_path, kills=8, seed=3)


@pytest.mark.trial
def test_two_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    stood = killed(tmp_path, kills=200, seed=20_261_201)
    print(f"\n200 kill -9: {dict(stood)}; none lost, chain whole after each")  # noqa: T201


# --- at once --------------------------------------------------------------------------------


def test_three_processes_share_one_register(tmp_path: Path) -> None:
    path, begin = tmp_path / "r.sqlite", FORKS.Event()
    modes, files = ("left", "right", "left"), [tmp_path / f"said-{number}" for number in range(3)]
    writers = [writer(path, mode, 15, said, begin) for mode, said in zip(modes, files, strict=True)]
    begin.set()
    for process in writers:
        process.join(timeout=60)
    assert [process.exitcode for process in writers] == [0, 0, 0]
    said = [file.read_text().split() for file in files]
    register = Register.open(path)
    # the two "left" processes mean the same 15 improvements
    assert said[0] == said[2]
    assert sorted(said[0] + said[1]) == [entry.id for entry in register.list()]
    assert len(register.list()) == 30
    assert register.verify().seal == "sealed"


# --- a full disk ----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 192 KiB in memory."""
    mount = shutil.which("mount")
    if os.getuid() != 0 or mount is None:
        pytest.skip("only root may mount a small file system")
    umount = shutil.which("umount") or "umount"
    folder = tmp_path / "disk"
    folder.mkdir()
    small = [mount, "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(folder)]
    done = subprocess.run(small, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run([umount, str(folder)], check=True)


def test_a_full_disk_keeps_the_last_good_register(small_disk: Path) -> None:
    path = small_disk / "r.sqlite"
    register, written = filled(path), 8
    with pytest.raises(RunError) as caught:  # noqa: PT012 - until the disk is full
        while written < 1000:
            register.note("IMP-0001", "x" * 3000, at=AT, actor=WHO)
            written += 1
    assert caught.value.code == "RG105"
    assert written > 8
    again = Register.open(path, create=False)
    found = again.verify()
    assert (found.ok, found.records) == (True, written)
    assert len(again.show("IMP-0001").history) == written
    filler = small_disk / "filler"
    for size in (4096, 512, 1):  # not a byte is left
        with pytest.raises(OSError, match="space"):
            _fill(filler, size)
    assert again.list() == Register.open(path, create=False).list()
    filler.unlink()
    (small_disk / "more").write_bytes(b"")
    assert again.verify().records == written


def _fill(path: Path, size: int) -> None:
    with path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * size)


def test_on_a_disk_that_fills_up_a_write_is_refused_or_kept(small_disk: Path) -> None:
    """However much room there is: what was acknowledged is there, nothing else is, it reads."""
    ends: Counter[str] = Counter()
    for room in range(0, 80_000, 4_000):
        path = small_disk / "r.sqlite"
        register, written = filled(path), 8
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        (small_disk / "filler").write_bytes(b"x" * max(0, free - room))
        for _ in range(3):
            end = _noted(register)
            ends[end] += 1
            written += end != "refused"
            found = Register.open(path, create=False).verify()
            assert (found.ok, found.records) == (True, written)
            assert len(register.show("IMP-0001").history) == written
        (small_disk / "filler").unlink()
        register.note("IMP-0001", "room again", at=AT, actor=WHO)
        assert (register.verify().records, register.verify().seal) == (written + 1, "sealed")
        for one in small_disk.iterdir():
            one.unlink()
    assert set(ends) == {"refused", "kept, its seal behind", "kept and sealed"}


def _noted(register: Register) -> str:
    """Write a note and say how that ended."""
    try:
        register.note("IMP-0001", "x" * 3000, at=AT, actor=WHO)
    except RunError as error:
        if error.code != "RG105":
            raise
        return "refused"
    return "kept, its seal behind" if register.notice else "kept and sealed"
