"""How long does it take to read a table, against DuckDB's own scan and sort of the same file?

Ours reads, checks, converts, orders, fingerprints and pseudonymises (`open_log`); DuckDB scans all
columns that the mapping reads and sorts by case and time, into an Arrow table. Turn by turn,
medians of one run; wall and CPU seconds. The events are the UCI log twenty times over, each time
with cases of its own, and a synthetic log of a million events. The last trial reads ten million
events in a process of its own and asks for its peak of resident memory.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from process_mining.sources import ReadOptions, find_mapping, open_log
from process_mining.sources._mapping import load_mapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.conftest import Tell

pytestmark = [pytest.mark.benchmark, pytest.mark.filterwarnings("ignore")]

DATA = Path(__file__).parents[2].parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
TURNS = 5
GOAL = 2.0
MEMORY_GOAL = 2_000_000_000
EVENTS_A_CASE = 13.966

MEMORY = """
import json, resource, sys, time
from pathlib import Path
from process_mining.sources import open_log
start = time.perf_counter()
log = open_log([Path(sys.argv[1])])
# not ru_maxrss: a child starts with the peak of the process that started it
status = Path("/proc/self/status")
peak = (
    int(status.read_text().split("VmHWM:")[1].split()[0])
    if status.exists()
    else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
)
print(json.dumps({"peak": peak << 10, "events": log.n_events, "cases": log.n_cases,
                  "bytes": log.events.nbytes, "seconds": time.perf_counter() - start}))
"""


@dataclass(frozen=True)
class Case:
    """A file, its mapping, and the query that scans and sorts it."""

    path: Path
    options: ReadOptions
    query: str


def synthetic(path: Path, n: int, parquet: Path | None = None) -> None:
    """Write n events in order of time, of cases that overlap; a million at a time."""
    rng = np.random.default_rng(1)
    cases = int(n / EVENTS_A_CASE)
    words = {
        "activity": pa.array(["Open", "Assign", "Hold", "Diagnose", "Resolve", "Close"]),
        "actor": pa.array([f"agent.{i:04d}" for i in range(400)]),
        "team": pa.array([f"Team {i:02d}" for i in range(60)]),
        "attr.ci": pa.array([f"CI-{i:05d}" for i in range(5_000)]),
    }
    writers: list[arrow_csv.CSVWriter | pq.ParquetWriter] = []
    for low in range(0, n, 1_000_000):
        m = min(1_000_000, n - low)
        row = np.arange(low, low + m)
        case = ((row / n * cases).astype(np.int64) + rng.integers(0, cases // 50, m)) % cases
        at = 1_704_067_200 + row * (3 * 365 * 86_400 // n or 1) + rng.integers(0, 3600, m)
        local = np.datetime_as_string((at + 3600).astype("datetime64[s]"))
        table = pa.table(
            {
                "case_id": pa.array(np.char.add("INC", np.char.zfill(case.astype("U7"), 7))),
                "at": pa.array(np.char.add(local, "+01:00")),
                **{
                    name: known.take(pa.array(rng.integers(0, len(known), m)))
                    for name, known in words.items()
                },
            }
        )
        if not writers:
            bare = arrow_csv.WriteOptions(quoting_style="none", quoting_header="none")
            writers.append(arrow_csv.CSVWriter(str(path), table.schema, write_options=bare))
            if parquet is not None:
                writers.append(pq.ParquetWriter(parquet, table.schema))
        for writer in writers:
            writer.write(table)
    for writer in writers:
        writer.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def million(folder: Path) -> tuple[Path, Path]:
    found = folder / "million.csv", folder / "million.parquet"
    synthetic(found[0], 1_000_000, found[1])
    return found


@pytest.fixture(scope="module")
def uci(folder: Path) -> tuple[Path, Path]:
    if not UCI.exists():
        pytest.skip(f"{UCI} is missing: the real logs are not part of this project")
    head, body = gzip.decompress(UCI.read_bytes()).split(b"\n", 1)
    found = folder / "uci.csv", folder / "uci.parquet"
    with found[0].open("wb") as file:
        file.write(head + b"\n")
        for copy in range(20):
            file.write(body.replace(b"INC", b"I%02d" % copy))
    types = dict.fromkeys(head.decode().strip().split(","), pa.string())
    text = arrow_csv.ConvertOptions(column_types=types)
    pq.write_table(arrow_csv.read_csv(found[0], convert_options=text), found[1])
    return found


def uci_case(path: Path) -> Case:
    mapping = find_mapping("uci_servicenow")
    columns = ", ".join(f'"{name}"' for name in load_mapping(mapping).columns())
    of_csv = path.suffix == ".csv"  # DuckDB finds the format of the times in it by itself
    source = f"read_csv('{path}')" if of_csv else f"'{path}'"
    at = "sys_updated_at" if of_csv else "strptime(sys_updated_at, '%d/%m/%Y %H:%M')"
    query = f"SELECT {columns} FROM {source} ORDER BY number, {at}"  # noqa: S608 - our own names
    return Case(path, ReadOptions(mapping=mapping), query)


def million_case(path: Path) -> Case:
    source = f"read_csv('{path}')" if path.suffix == ".csv" else f"'{path}'"
    return Case(path, ReadOptions(), f'SELECT * FROM {source} ORDER BY case_id, "at"')  # noqa: S608


def spent(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["million", "uci"])
def test_reading_tables(name: str, kind: str, request: pytest.FixtureRequest, tell: Tell) -> None:
    paths: tuple[Path, Path] = request.getfixturevalue(name)
    path = paths[kind == "parquet"]
    case = uci_case(path) if name == "uci" else million_case(path)
    with duckdb.connect() as connection:
        ours, theirs = [], []
        log = open_log([path], case.options)
        assert connection.sql(case.query).to_arrow_table().num_rows == log.n_events
        for _ in range(TURNS):
            ours.append(spent(lambda: open_log([path], case.options)))
            theirs.append(spent(lambda: connection.sql(case.query).to_arrow_table()))
    mine, other = ([median(turn[i] for turn in one) for i in (0, 1)] for one in (ours, theirs))
    size = (log.events.nbytes + log.cases.nbytes) / log.n_events
    tell(
        f"{name}.{kind}: wall {mine[0] / other[0]:.2f}, CPU {mine[1] / other[1]:.2f} times "
        f"DuckDB's scan and sort (ours {mine[0]:.2f} s and {mine[1]:.2f} CPU s, "
        f"theirs {other[0]:.2f} s and {other[1]:.2f} CPU s; "
        f"n = {log.n_events:,} events, {log.n_cases:,} cases, "
        f"{log.n_events / mine[0]:,.0f} events/s, {size:.0f} bytes an event in the log; "
        f"median of {TURNS} turns)"
    )
    assert mine[1] < GOAL * other[1], "CPU, which other work on the machine disturbs least"


def test_memory_of_ten_million_events(folder: Path, tell: Tell) -> None:
    path = folder / "ten_million.csv"
    synthetic(path, 10_000_000)
    try:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path)], check=True, capture_output=True, text=True
        )
    finally:
        path.unlink()
    found = json.loads(done.stdout)
    tell(
        f"CSV of {found['events']:,} events, {found['cases']:,} cases: peak of "
        f"{found['peak'] / 1e6:,.0f} MB resident ({found['peak'] / found['events']:.0f} bytes an "
        f"event, {found['bytes'] / found['events']:.0f} in the log), {found['seconds']:.1f} s"
    )
    assert found["events"] == 10_000_000
    assert found["peak"] < MEMORY_GOAL
