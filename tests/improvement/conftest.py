"""The dear runs of the command line, once a worker: real logs, a hostile log, a demo."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from improvement.command_line import BPI13, UCI, Ran, hostile_log, in_process, outside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa


@dataclass(frozen=True)
class Demo:
    """`trueloop demo`, and the same cycle run a second time into a folder of its own."""

    ran: Ran
    again: Ran
    folder: Path
    second: Path
    records_before: list[tuple[Any, ...]]

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


def register_dump(path: Path) -> list[tuple[Any, ...]]:
    """Every record of a register."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM history ORDER BY seq").fetchall()


def needed(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path} is missing: the real logs are not part of this project")
    return path


@pytest.fixture(scope="session")
def uci(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    out = tmp_path_factory.mktemp("uci") / "out"
    log = needed(UCI)
    return Audited(in_process("audit", log, "--mapping", "uci_servicenow", "--out", out), out)


@pytest.fixture(scope="session")
def bpi13(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    out = tmp_path_factory.mktemp("bpi13") / "out"
    return Audited(in_process("audit", needed(BPI13), "--fail-on", "medium", "--out", out), out)


@pytest.fixture(scope="session", params=["uci", "bpi13"])
def real(request: pytest.FixtureRequest) -> Audited:
    found: Audited = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("hostile")
    files = hostile_log(folder)
    return Audited(in_process("audit", *files, "--clear-names", "--out", folder / "out"), folder / "out")


@pytest.fixture(scope="session")
def uci_rows() -> tuple[list[str], list[list[str]]]:
    """Header and rows of the first 1,500 incidents of the UCI log."""
    with gzip.open(needed(UCI), "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    kept = set(list(dict.fromkeys(row[0] for row in rows))[:1500])
    return header, [row for row in rows if row[0] in kept]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    ran = outside("demo", "--tickets", 300, "--out", folder, env={"PYTHONHASHSEED": "1"})
    before = register_dump(folder / "desk" / "register.sqlite")
    second = folder.parent / "second"
    words = ("cycle", "run", folder / "desk" / "cycle.toml", "--out", second)
    again = outside(*words, env={"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu"})
    return Demo(ran, again, folder, second, before)
