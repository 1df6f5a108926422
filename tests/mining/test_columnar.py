"""The columnar steps say what counting case by case says, on random logs and on real ones."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining.small_logs import BPI13, UCI, case_lists, hidden, log_of, ordered, quick
from oracles import naive_mining as naive

from process_mining import sources
from process_mining.columnar import sql
from process_mining.errors import RunError
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log

MAPPING = Path(sources.__file__).parent / "mappings" / "uci_servicenow.toml"


@quick
@given(case_lists, hidden)
def test_variants_are_those_of_counting(cases: list[list[naive.Event]], gone: set[str]) -> None:
    known = ordered(cases)
    found = sql.variants(log_of(known), leave_out=gone)
    said = [(found.trace(i), int(n)) for i, n in enumerate(found.counts)]
    assert said == naive.variants(known, gone)
    assert found.activities == tuple(sorted(found.activities))
    assert not gone & set(found.activities)
    traces = [found.trace(v) for v in found.variant_of_case.tolist()]
    assert traces == [naive.trace(case, gone) for case in known]
    kinds = [found.offsets.dtype, found.codes.dtype, found.counts.dtype]
    assert kinds == [np.int64, np.int32, np.int64]


@quick
@given(cases=case_lists, gone=hidden, timed=st.booleans())
def test_successions_are_those_of_counting(
    cases: list[list[naive.Event]], gone: set[str], *, timed: bool
) -> None:
    known = ordered(cases, timed=timed)
    expected = naive.successions([naive.steps(case, gone) for case in known])
    table = sql.directly_follows(log_of(known), leave_out=gone)
    rows = table.to_pylist()
    pairs = [(row["source"], row["target"]) for row in rows]
    # starts first, ends last
    assert pairs == sorted(
        expected, key=lambda p: (p[0] is not None, p[0] or "", p[1] is None, p[1] or "")
    )
    for row, pair in zip(rows, pairs, strict=True):
        want = expected[pair]
        assert (row["n"], row["cases"]) == (want.n, want.cases)
        assert row["median_us"] == naive.quantile(want.waits, 50)
        assert row["p90_us"] == naive.quantile(want.waits, 90)
        assert row["total_h"] == (pytest.approx(sum(want.waits) / 3.6e9) if want.waits else None)
    assert table.schema.field("median_us").type == pa.int64()


@quick
@given(cases=case_lists, timed=st.booleans())
def test_case_facts_are_those_of_counting(cases: list[list[naive.Event]], *, timed: bool) -> None:
    known = ordered(cases, timed=timed)
    table = sql.case_facts(log_of(known))
    assert table.to_pylist() == [naive.case_facts(case) for case in known]
    assert {str(field.type) for field in table.schema} == {"string", "int64"}


@quick
@given(case_lists, hidden)
def test_activity_facts_are_those_of_counting(
    cases: list[list[naive.Event]], gone: set[str]
) -> None:
    known = ordered(cases)
    found = sql.activity_facts(log_of(known), leave_out=gone).to_pylist()
    assert found == naive.activity_facts(known, gone)


def test_an_empty_log_has_empty_answers() -> None:
    log = log_of([])
    assert len(sql.variants(log)) == 0
    assert sql.variants(log).offsets.tolist() == [0]
    for table in (sql.directly_follows(log), sql.case_facts(log), sql.activity_facts(log)):
        assert table.num_rows == 0


def test_a_case_without_events_has_the_empty_variant() -> None:
    found = sql.variants(log_of([("a", []), ("b", [("x", 1, None, None)]), ("c", [])]))
    assert [found.trace(i) for i in range(2)] == [(), ("x",)]
    assert found.variant_of_case.tolist() == [0, 1, 0]


def test_waits_longer_in_sum_than_64_bits_do_not_overflow() -> None:
    century = 100 * 365 * 86_400_000_000
    cases = [(f"c{i:05d}", [("a", 0, None, None), ("b", century, None, None)]) for i in range(3000)]
    edge = sql.directly_follows(log_of(cases)).filter(pc.field("source") == "a").to_pylist()[0]
    assert edge["median_us"] == century
    assert edge["total_h"] == pytest.approx(3000 * 100 * 365 * 24)


def test_the_answer_does_not_depend_on_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(7)
    n = 60_000
    table = pa.table(
        {
            "case_id": pa.array([f"c{i}" for i in rng.integers(0, 5000, n)]),
            "activity": pa.array(np.array(list("ABCDE"))[rng.integers(0, 5, n)]),
            "at": pa.array(rng.integers(0, 10**13, n)),
            "team": pa.array(np.array(list("xyz"))[rng.integers(0, 3, n)]),
        }
    )
    log = EventLog.build(table, meta=LogMeta("test"))
    first = (sql.directly_follows(log), sql.case_facts(log), sql.variants(log).codes.tolist())
    connect = duckdb.connect

    def single(database: str, config: dict[str, str]) -> duckdb.DuckDBPyConnection:
        return connect(database, config={**config, "threads": "1"})

    monkeypatch.setattr(duckdb, "connect", single)
    second = (sql.directly_follows(log), sql.case_facts(log), sql.variants(log).codes.tolist())
    assert first == second


def test_the_engine_is_locked() -> None:
    log = log_of([("a", [("x", 1, None, None)])])
    with sql._engine(log, log.arrays.activity) as engine:
        for refused in (
            "select * from read_csv('/etc/hostname')",
            "copy events to 'out.csv'",
            "attach 'other.db'",
            "install httpfs",
            "set enable_external_access = true",
            "set threads = 1",
            "select * from log",
        ):
            with pytest.raises(duckdb.Error):
                engine.connection.execute(refused)
        assert engine.rows("select symbol from events").to_pylist() == [{"symbol": 0}]


def wide_log() -> EventLog:
    rng = np.random.default_rng(3)
    n = 400_000
    table = pa.table(
        {
            "case_id": pc.cast(pa.array(np.sort(rng.integers(0, 40_000, n))), pa.string()),
            "activity": pc.cast(pa.array(rng.integers(0, 6, n)), pa.string()),
            "at": pa.array(rng.integers(0, 10**13, n)),
        }
    )
    return EventLog.build(table, meta=LogMeta("test"))


def test_it_spills_although_it_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    log = wide_log()
    roomy = sql.directly_follows(log)
    connect = duckdb.connect
    little = {"memory_limit": "40MB", "threads": "1"}

    def tight(database: str, config: dict[str, str]) -> duckdb.DuckDBPyConnection:
        return connect(database, config={**config, **little})

    def nowhere(database: str, config: dict[str, str]) -> duckdb.DuckDBPyConnection:
        return connect(database, config={**config, **little, "temp_directory": ""})

    monkeypatch.setattr(duckdb, "connect", tight)
    assert sql.directly_follows(log).equals(roomy)
    monkeypatch.setattr(duckdb, "connect", nowhere)
    with pytest.raises(RunError, match=r"^LG302 the columnar step failed \(directly_follows\)"):
        sql.directly_follows(log)


@pytest.mark.parametrize("path", sorted(Path(sql.__file__).parent.glob("*.sql")), ids=str)
def test_statements_are_whole_and_keep_to_the_common_subset(path: Path) -> None:
    said = sql.statement(path.stem)
    assert "@" not in said
    words = set(re.findall(r"[a-z_]+", re.sub(r"--.*", "", said.lower())))
    # each of these is missing from PostgreSQL or Spark, or means something else there
    assert not words & {"qualify", "list", "median", "ignore", "struct", "exclude", "any_value"}


def test_a_dialect_without_a_word_is_a_coded_error() -> None:
    class Silent:
        create_table = "create table"

    with pytest.raises(RunError, match=r"LG301 traces\.sql: the dialect has no 'ordered_list'"):
        sql.statement("traces", Silent())  # type: ignore[arg-type]


@given(st.text())
def test_quoted_identifiers_stay_one_identifier(name: str) -> None:
    said = sql.quoted(name)
    assert said[0] == said[-1] == '"'
    assert re.fullmatch(r'(?:[^"]|"")*', said[1:-1])
    assert said[1:-1].replace('""', '"') == name


@pytest.mark.skipif(not UCI.exists(), reason=f"{UCI.name} is not there")
def test_uci_incidents() -> None:
    log = open_log([UCI], ReadOptions(mapping=MAPPING, timezone="UTC"))
    assert (log.n_cases, log.n_events) == (13_302, 81_519)
    with gzip.open(UCI, "rt", encoding="utf-8") as file:
        assert sum(1 for _ in file) - 1 == log.n_events
    found = sql.variants(log)
    lengths = np.diff(found.offsets)
    assert found.counts.sum() == len(found.variant_of_case) == 13_302
    assert (found.counts * lengths).sum() == pc.count(log.events["activity"]).as_py()
    edges = sql.directly_follows(log)
    starts = pc.sum(edges.filter(pc.field("source").is_null())["n"]).as_py()
    ends = pc.sum(edges.filter(pc.field("target").is_null())["n"]).as_py()
    assert starts == ends == 13_302
    assert pc.sum(edges["n"]).as_py() == (found.counts * (lengths + 1)).sum()
    facts = sql.case_facts(log)
    assert pc.sum(facts["n_events"]).as_py() == 81_519
    assert pc.min(facts["duration_us"]).as_py() >= 0


@pytest.mark.skipif(not BPI13.exists(), reason=f"{BPI13.name} is not there")
def test_bpi_2013_has_the_variants_that_its_readers_count() -> None:
    log = open_log([BPI13], ReadOptions())
    assert (log.n_cases, log.n_events) == (1_487, 6_660)
    assert len(sql.variants(log)) == 183
    both = pc.binary_join_element_wise(log.events["activity"], log.events["lifecycle"], "+")
    assert len(sql.variants(log.with_columns(events={"activity": both}))) == 327
