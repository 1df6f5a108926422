"""The dear runs of the command line, once a worker: real logs, a hostile log, a demo."""

from __future__ import annotations

import csv
import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from improvement.command_line import BPI13, UCI, Ran, hostile_log, in_process, outside
from improvement.cycle_desk import Desk
from improvement.cycle_here import here

from csi.cycle_run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    Once = Callable[[str, Callable[[Path], Sequence[Ran]]], tuple[Path, list[Ran]]]


ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Demo:
    """What `trueloop demo` left, and its register as it was when it had ended."""

    ran: Ran
    folder: Path
    register_before: Path

    @property
    def desk(self) -> Path:
        return self.folder / "desk"

    @property
    def cycle(self) -> Path:
        return self.folder / "cycle"

    @property
    def results(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.cycle / "results.json").read_text("utf-8"))
        return found


@dataclass(frozen=True)
class Again:
    """The demo's cycle, run a second time into a folder of its own."""

    ran: Ran
    cycle: Path


@dataclass(frozen=True)
class Audited:
    """An audit that was run, and what it left."""

    ran: Ran
    out: Path

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "summary.json").read_text("utf-8"))
        return found

    @property
    def findings(self) -> pa.Table:
        return pq.read_table(self.out / "findings.parquet")

    @property
    def cases(self) -> pa.Table:
        return pq.read_table(self.out / "cases.parquet")

    @property
    def spreadsheet(self) -> list[dict[str, str]]:
        with (self.out / "findings.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def needed(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path} is missing: the real logs are not part of this project")
    return path


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Do something dear once for all workers of a test run: the first does it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def do(name: str, work: Callable[[Path], Sequence[Ran]]) -> tuple[Path, list[Ran]]:
        folder = shared / f"once-{name}"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "ran.json").is_file():
                folder.mkdir()
                ran = json.dumps([asdict(one) for one in work(folder)])
                (folder / "ran.json").write_text(ran, encoding="utf-8")
        return folder, [Ran(**one) for one in json.loads((folder / "ran.json").read_text("utf-8"))]

    return do


@pytest.fixture(scope="session")
def uci(once: Once) -> Audited:
    words = ("audit", needed(UCI), "--mapping", "uci_servicenow", "--out")
    folder, (ran,) = once("uci", lambda folder: [in_process(*words, folder / "out")])
    return Audited(ran, folder / "out")


@pytest.fixture(scope="session")
def bpi13(once: Once) -> Audited:
    words = ("audit", needed(BPI13), "--fail-on", "medium", "--out")
    env = {"PYTHONHASHSEED": "1", "TZ": "UTC"}
    folder, (ran,) = once("bpi13", lambda folder: [outside(*words, folder / "out", env=env)])
    return Audited(ran, folder / "out")


@pytest.fixture(scope="session", params=["uci", "bpi13"])
def real(request: pytest.FixtureRequest) -> Audited:
    found: Audited = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def hostile(once: Once) -> Audited:
    """A log each of whose texts is an attack, with the names of people shown."""

    def work(folder: Path) -> list[Ran]:
        words = ("audit", *hostile_log(folder), "--clear-names")
        return [in_process(*words, "--out", folder / "out")]

    folder, (ran,) = once("hostile", work)
    return Audited(ran, folder / "out")


@pytest.fixture(scope="session")
def uci_rows() -> tuple[list[str], list[list[str]]]:
    """Header and rows of the first 1,500 incidents of the UCI log."""
    with gzip.open(needed(UCI), "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    kept = set(list(dict.fromkeys(row[0] for row in rows))[:1500])
    return header, [row for row in rows if row[0] in kept]


@pytest.fixture(scope="session")
def demo(once: Once) -> Demo:
    """The demo as a newcomer runs it, smaller."""

    def work(folder: Path) -> list[Ran]:
        words = ("demo", "--tickets", 240, "--out", folder / "demo")
        ran = outside(*words, env={"PYTHONHASHSEED": "1"})
        shutil.copyfile(folder / "demo" / "desk" / "register.sqlite", folder / "before.sqlite")
        return [ran]

    folder, (ran,) = once("demo", work)
    return Demo(ran, folder / "demo", folder / "before.sqlite")


@pytest.fixture(scope="session")
def again(once: Once, demo: Demo) -> Again:
    """The demo's cycle once more, with another hash seed and in another time zone.

    The notebooks' cells run in one process, which is cheaper than four kernels.
    """

    def work(folder: Path) -> list[Ran]:
        script = Path(__file__).with_name("cycle_here.py")
        path = os.pathsep.join(str(place) for place in (ROOT, ROOT / "tests"))
        done = subprocess.run(
            [sys.executable, str(script), str(demo.desk / "cycle.toml"), str(folder / "cycle")],
            check=False,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu"},
            timeout=300,
        )
        return [Ran(done.returncode, done.stdout, done.stderr)]

    folder, (ran,) = once("again", work)
    return Again(ran, folder / "cycle")


@pytest.fixture(scope="session")
def golden(once: Once) -> Path:
    """A desk whose cycle was run, every cell of every notebook, in this process."""

    def work(folder: Path) -> list[Ran]:
        (folder / "desk").mkdir()
        desk = Desk(folder / "desk")
        run(desk.cycle(), desk.out, execute=here)
        return [Ran(0, "", "")]

    folder, _ = once("golden-cycle", work)
    return folder
