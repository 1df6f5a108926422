"""Does a query give the same log as the file of the same rows, and is the database only read?

DuckDB always; PostgreSQL on a server that the tests start (loopback, a free port, a password);
Spark Connect on Sail, a server without Java, where it is installed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgresql_server import USER, serving

from process_mining.errors import CodedError, ManyCodedErrors, RunError
from process_mining.sources import ReadOptions, open_log
from process_mining.sources.warehouse import sniff
from process_mining.sources.warehouse.arrow import faults
from process_mining.sources.warehouse.file import one_select, parse_url

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[1] / "data" / "warehouse"
SECTIONS = (DATA / "story.toml").read_text(encoding="utf-8")
TYPES = {"changed_at": "timestamptz", "opened_at": "timestamptz", "cost": "numeric(10,2)"}
COLUMNS = (
    *("number", "state", "changed_at", "step", "assigned_to", "desk", "prio"),
    *("opened_at", "cost", "vip"),
)
KINDS = {"vip": "boolean", "step": "integer", "prio": "integer"}
TEN_US = 1_719_828_000_000_000
PASSWORD = "correct horse/@#"  # noqa: S105 - of a server that lives for one test run
ONE = "select 'A' as case_id, 'x' as activity, timestamptz '2024-07-01 10:00+00' as at"


def warehouse(folder: Path, url: str, query: str, sections: str = "", more: str = "") -> Path:
    path = folder / "log.toml"
    path.write_text(
        f"[warehouse]\nurl = '{url}'\nquery = '''{query}'''\n{more}\n{sections}", encoding="utf-8"
    )
    return path


def read(folder: Path, url: str, query: str, sections: str = "", more: str = "") -> EventLog:
    return open_log([warehouse(folder, url, query, sections, more)])


def one_of(database: str) -> str:
    return ONE.replace("timestamptz", "timestamp") if database == "spark" else ONE


def story() -> str:
    """Return the rows of the story as SQL that DuckDB, PostgreSQL and Spark understand."""
    table = pc_csv.read_csv(
        DATA / "story.csv",
        convert_options=pc_csv.ConvertOptions(
            column_types=dict.fromkeys(
                COLUMNS,
                pa.string(),
            )
        ),
    )
    rows = [
        "(" + ", ".join(f"'{v}'" if v else "null" for v in row.values()) + ")"
        for row in table.to_pylist()
    ]
    return f"(values {', '.join(rows)}) as v({', '.join(table.column_names)})"


def typed(names: dict[str, str]) -> str:
    return ", ".join(f"cast({c} as {names[c]}) as {c}" if c in names else c for c in COLUMNS)


@pytest.fixture(scope="module")
def csv_log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    plan = tmp_path_factory.mktemp("plan") / "story.toml"
    plan.write_text('name = "story"\n' + SECTIONS, encoding="utf-8")
    return open_log([DATA / "story.csv"], ReadOptions(mapping=plan))


@pytest.fixture
def duck(tmp_path: Path) -> str:
    with closing(duckdb.connect(str(tmp_path / "log.duckdb"))) as connection:
        connection.execute("set TimeZone = 'Asia/Tokyo'")
        names = TYPES | KINDS
        connection.execute(f"create table story as select {typed(names)} from {story()}")  # noqa: S608
    return "duckdb:///log.duckdb"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Return the url (without its password) of a server of our own, with the story in it."""
    pytest.importorskip("adbc_driver_postgresql", reason="adbc-driver-postgresql is not installed")
    how = {"timezone": "Asia/Tokyo", "bytea_output": "escape"}
    with serving(PASSWORD, **how) as place:
        _fill(f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{place}/postgres")
        yield f"postgresql://{USER}@{place}/postgres"


def _fill(url: str) -> None:
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    names = TYPES | KINDS
    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in (
            f"create table story as select {typed(names)} from {story()}",  # noqa: S608
            "create type state as enum ('new', 'done')",
            "create sequence numbers",
            "create database raw encoding 'SQL_ASCII' template template0",
        ):
            cursor.execute(statement)


@pytest.fixture
def pg(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgresql


@pytest.fixture(scope="module")
def spark() -> Iterator[str]:
    server = pytest.importorskip(
        "pysail.spark", reason="no Spark Connect server (pip install pysail pyspark-client)"
    ).SparkConnectServer(ip="127.0.0.1", port=0)
    pytest.importorskip("pyspark", reason="pyspark-client is not installed")
    server.start(background=True)
    host, port = server.listening_address
    yield f"sc://{host}:{port}"
    server.stop()


# --- the same rows, the same log ---


def test_duckdb_gives_the_log_of_the_csv(duck: str, csv_log: EventLog, tmp_path: Path) -> None:
    log = read(tmp_path, duck, "select * from story", SECTIONS)
    assert log.meta.source == "warehouse"
    assert log.meta.sha256 == csv_log.meta.sha256
    assert log.meta.rows_in == 8
    assert log.cases["attr.cost"].to_pylist() == ["12.50", "0.00"]


def test_parquet_gives_the_log_of_the_csv(duck: str, csv_log: EventLog, tmp_path: Path) -> None:
    assert duck
    with closing(duckdb.connect(str(tmp_path / "log.duckdb"))) as connection:
        table = connection.sql("select * from story").to_arrow_table()
    pq.write_table(table, tmp_path / "log.parquet")
    plan = tmp_path / "plan.toml"
    plan.write_text('name = "story"\n' + SECTIONS, encoding="utf-8")
    log = open_log([tmp_path / "log.parquet"], ReadOptions(mapping=plan))
    assert log.meta.sha256 == csv_log.meta.sha256


def test_postgresql_gives_the_log_of_the_csv(pg: str, csv_log: EventLog, tmp_path: Path) -> None:
    log = read(tmp_path, pg, "select * from story order by random(); -- any order", SECTIONS)
    assert log.meta.sha256 == csv_log.meta.sha256


def test_spark_gives_the_log_of_the_csv(spark: str, csv_log: EventLog, tmp_path: Path) -> None:
    kinds = {"changed_at": "timestamp", "opened_at": "timestamp", "cost": "decimal(10,2)"}
    query = f"select {typed(kinds | KINDS)} from {story()} -- all"  # noqa: S608
    log = read(tmp_path, spark, query, SECTIONS)
    assert log.meta.sha256 == csv_log.meta.sha256


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", None]),
            st.sampled_from(["x", "", "ÿ"]),
            st.sampled_from(
                ["2024-07-01 10:00+00", "2024-03-31 02:30+01", "infinity", "-infinity", None]
            ),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_rows_in_are_accepted_or_rejected_and_their_order_is_no_matter(
    tmp_path: Path, rows: list[tuple[str | None, ...]], shuffle: random.Random
) -> None:
    rows = [("A", "x", "2024-07-01 10:00+00"), *rows]
    logs = []
    for _ in range(2):
        values = ", ".join(
            "(" + ", ".join(f"'{v}'" if v is not None else "null" for v in row) + ")"
            for row in rows
        )
        if not (tmp_path / "any.duckdb").exists():
            duckdb.connect(str(tmp_path / "any.duckdb")).close()
        query = (
            "select case_id, activity, cast(t as timestamptz) as at "  # noqa: S608
            f"from (values {values}) v(case_id, activity, t)"
        )
        path = warehouse(tmp_path, "duckdb:///any.duckdb", query)
        logs.append(open_log([path], ReadOptions(allow_rejects=True)))
        shuffle.shuffle(rows)
    good = [row for row in rows if all(row) and "infinity" not in (row[2] or "")]
    for log in logs:
        assert log.meta.rows_in == len(rows) == log.n_events + log.meta.rejects.num_rows
        assert log.n_events == len(good)
    assert logs[0].meta.sha256 == logs[1].meta.sha256


def test_the_log_remembers_url_query_and_rows(duck: str, tmp_path: Path) -> None:
    log = read(tmp_path, duck, ONE, "", "[time]\n")
    first, second = log.meta.notes
    assert first.startswith("duckdb:///log.duckdb: query with SHA-256 ")
    assert first.endswith(", 1 rows")
    assert second == "log.toml declares no order_by: events of one time have no order"
    assert log.meta.files[0].name == "log.toml"


def test_several_files_make_one_log(duck: str, tmp_path: Path) -> None:
    one = warehouse(tmp_path, duck, ONE)
    two = one.rename(tmp_path / "two.toml")
    other = warehouse(tmp_path, duck, ONE.replace("'A'", "'B'"))
    log = open_log([two, other])
    assert log.cases["case_id"].to_pylist() == ["A", "B"]
    assert log.meta.rows_in == 2


# --- time ---


@pytest.mark.parametrize("database", ["duck", "pg", "spark"])
def test_zoned_timestamps_are_instants_and_others_are_wall_clock_of_the_declared_zone(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    kind = "timestamp_ntz" if database == "spark" else "timestamp"
    zoned = "timestamp" if database == "spark" else "timestamptz"
    at = "2024-07-01 10:00:00"
    names = "select 'A' as case_id, 'x' as activity,"
    assert read(tmp_path, url, f"{names} {zoned} '{at}+00' as at").events["at"][0].as_py() == TEN_US
    query = f"{names} {kind} '{at}' as at"
    with pytest.raises(RunError, match=r"LG035 .*log\.toml query row 1: LG105 .*no zone"):
        read(tmp_path, url, query)
    log = read(tmp_path, url, query, '[time]\ntimezone = "Europe/Berlin"')
    assert log.events["at"][0].as_py() == TEN_US - 2 * 3_600_000_000
    # the session's zone is UTC, whatever zone the server has
    cast = f"{names} cast(timestamp '{at}' as {zoned}) as at"
    assert read(tmp_path, url, cast).events["at"][0].as_py() == TEN_US


@pytest.mark.parametrize("database", ["duck", "pg"])
@pytest.mark.parametrize("bad", ["infinity", "-infinity", "0044-03-15 10:00 BC", "12024-01-01"])
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_times_without_end_and_years_out_of_range_are_rejects(
    database: str, bad: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    if database == "duck" and "BC" in bad:
        bad = "-infinity"
    column = "at" if kind != "date" else "due"
    rest = "" if column == "at" else ", timestamptz '2024-07-01 10:00+00' as at"
    one = f"select 'A' as case_id, 'x' as activity, cast('{bad}' as {kind}) as {column}{rest}"
    good = one.replace(bad, "2024-07-01")
    path = warehouse(tmp_path, url, f"{one} union all {good}", '[time]\ntimezone = "UTC"')
    log = open_log([path], ReadOptions(allow_rejects=True))
    assert log.meta.rejects.to_pylist() == [
        {
            "file": "log.toml",
            "place": "query row 1",
            "code": "LG148",
            "reason": f"{column} is infinite, or lies outside the years 1 to 9999",
        }
    ]
    assert (log.n_events, log.meta.rows_in) == (1, 2)


def test_rows_are_numbered_through_all_batches(pg: str, tmp_path: Path) -> None:
    query = (
        "select g::text as case_id, repeat('x', 100) as activity, case when g = 190001 "
        "then timestamptz 'infinity' else to_timestamp(g) end as at "
        "from generate_series(1, 200000) g order by g"
    )
    path = warehouse(tmp_path, pg, query)
    log = open_log([path], ReadOptions(allow_rejects=True))
    assert log.meta.rejects["place"].to_pylist() == ["query row 190001"]
    assert (log.meta.rows_in, log.n_events) == (200_000, 199_999)


# --- values ---

UUID = "0a65ce17-cc5e-4d13-a496-3b49a0d14a2b"
VALUES = {
    "'done'::state": "done", f"'{UUID}'::uuid": UUID, "12345678901234567890.120": None,
    "'NaN'::numeric": "nan", "true": "true", "'{\"b\": 1, \"a\": null}'::jsonb": None,
    "'ab'::char(5)": "ab", "'x'::name": "x", "null": None, "(-3)::int8": "-3", "2.5::float4": "2.5",
    "date '2024-02-29'": "2024-02-29", "'Zoë ''q'' \\ \n'::text": "Zoë 'q' \\ \n",
    "'[1, 2]'::json": "[1, 2]",
}  # fmt: skip
VALUES["12345678901234567890.120"] = "12345678901234567890.120"
VALUES['\'{"b": 1, "a": null}\'::jsonb'] = '{"a": null, "b": 1}'


def test_values_of_postgresql_arrive_exactly(pg: str, tmp_path: Path) -> None:
    columns = ", ".join(f"{sql} as c{index}" for index, sql in enumerate(VALUES))
    # a second row of nulls, and one before, so that offsets and missing values are tried
    query = f"select s.case_id, s.activity, s.at, t.* from ({ONE}) s, (select {columns}) t"  # noqa: S608
    names = [f"c{index}" for index in range(len(VALUES))]
    nulls = query.replace("s.case_id", "'B' as case_id").replace("t.*", "u.*")
    empty = f"left join (select {columns}) u on false"
    nulls = nulls.replace(f", (select {columns}) t", f" {empty}")
    log = read(tmp_path, pg, f"{nulls} union all {query}")
    row, null = log.events.to_pylist()
    assert [row.get(f"attr.{name}") for name in names] == list(VALUES.values())
    assert all(null.get(f"attr.{name}") is None for name in names)


REFUSED = ("3::money", "array[1]", "'a'::bytea", "interval '1 day'", "'<a/>'::xml", "3::oid",
           "int4range(1, 2)", "row(1)", "time '10:00'", "array['new'::state]")  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_values_that_have_no_one_text_are_refused_by_name(
    pg: str, sql: str, tmp_path: Path
) -> None:
    with pytest.raises(CodedError, match=r"LG059 column 'odd' .*Cast it"):
        read(tmp_path, pg, f"{ONE}, {sql} as odd")
    # where a mapping leaves it out, it does not matter
    used = '[event]\ncase_id = "case_id"\nactivity = "activity"\nat = "at"\n'
    if "row" not in sql:
        assert read(tmp_path, pg, f"{ONE}, {sql} as odd", used).n_events == 1


@pytest.mark.parametrize("sql", ["[1, 2]", "{'a': 1}", "'x'::blob", "interval 1 day"])
def test_duckdb_values_that_have_no_one_text_are_refused_by_name(
    duck: str, sql: str, tmp_path: Path
) -> None:
    with pytest.raises(CodedError, match=r"LG059 column 'odd'"):
        read(tmp_path, duck, f"{ONE}, {sql} as odd")


@pytest.mark.parametrize("database", ["duck", "pg", "spark"])
def test_names_stand_once(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with pytest.raises(CodedError, match=r"LG059 the query of log.toml gives 2 columns 'odd'"):
        read(tmp_path, request.getfixturevalue(database), f"{one_of(database)}, 1 as odd, 2 as odd")


def test_bytes_that_are_no_text_are_never_taken(pg: str, tmp_path: Path) -> None:
    # a database in SQL_ASCII stores any bytes; the server itself refuses to call them UTF-8
    bad = ONE.replace("'x'", "convert_from('\\xff'::bytea, 'SQL_ASCII')")
    with pytest.raises(RunError, match=r"LG093 .*invalid byte sequence"):
        read(tmp_path, pg.replace("/postgres", "/raw"), f"{ONE} union all {bad}")
    # a database that does not check its texts: such rows are rejects
    texts = pa.StringArray.from_buffers(
        3, pa.array([0, 1, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"a\xffb\xc3")
    )
    assert faults({"state": texts}) == {
        1: ("LG149", "state holds bytes that are no UTF-8"),
        2: ("LG149", "state holds bytes that are no UTF-8"),
    }


# --- only read ---


@pytest.mark.parametrize(
    "query",
    ["select 1; select 2", "drop table story", "insert into story select * from story", "", "-- x",
     "/* select */ delete from story", "explain select 1", "copy story to '/tmp/x'", ";",
     "table story", "select 1; -- x\n drop table story"],
)  # fmt: skip
def test_what_is_not_one_select_is_refused(query: str) -> None:
    with pytest.raises(CodedError, match=r"LG057 log\.toml, warehouse\.query"):
        one_select(query, "log.toml")


@pytest.mark.parametrize(
    ("query", "kept"),
    [("select ';' as a", 15), ("select 1 ;", 9), ("-- a; b\nselect 1", 16), ("select 1; -- x", 8),
     ("/* ; */ with a as (select 1) select 1", 37), ("(select 1) union (select 2)", 27),
     ('select 1 as "a;b"', 17), ("select $$ ; $$", 14), ("SELECT 1 -- ;", 13),
     ("select $a$ ; $$ $a$ ;\n;", 20), ("select 'it''s; ' ;", 17)],
)  # fmt: skip
def test_a_semicolon_in_a_text_or_comment_ends_nothing(query: str, kept: int) -> None:
    assert one_select(query, "log.toml") == query[:kept]


def test_duckdb_reads_nothing_but_its_file_and_writes_nothing(duck: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("case_id,activity,at\nA,x,2024-07-01T10:00:00Z\n")
    before = (tmp_path / "log.duckdb").read_bytes()
    frame = pa.table({"case_id": ["A"]})  # a Python variable that a query could find by its name
    assert frame.num_rows == 1
    for query in (
        f"select * from read_csv('{secret}')",  # noqa: S608
        f"select * from '{secret}'",  # noqa: S608
        f"select * from read_text('{secret}')",  # noqa: S608
        "select * from glob('/*')",
        "select * from frame",
        "with a as (select 1) insert into story select * from story",
        "with a as (select 1) delete from story",
        "select nextval('numbers')",
    ):
        with pytest.raises(CodedError, match=r"LG057|LG092"):
            read(tmp_path, duck, query)
    assert (tmp_path / "log.duckdb").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.duckdb", "log.toml", "secret.csv"]


def test_postgresql_writes_nothing(pg: str, tmp_path: Path) -> None:
    for query in (
        f"with gone as (delete from story returning *) {ONE} from gone",  # noqa: S608
        f"{ONE}, nextval('numbers') as n",
        f"{ONE.replace(' as at', ' as at into other')}",
        f"{ONE}, set_config('transaction_read_only', 'off', false) as a, nextval('numbers') as n",
        "select 1) to program 'touch /tmp/never'; --",
        f"{ONE} from story for update",
    ):
        with pytest.raises(CodedError, match=r"LG057|LG092|LG093"):
            read(tmp_path, pg, query)
    count = "select count(*)::text as case_id, nextval('numbers') is null as activity, now() as at"
    with pytest.raises(CodedError, match=r"LG09[23] .*read-only transaction"):
        read(tmp_path, pg, count)
    # some functions write even so (PostgreSQL 16 stops this one): nothing is ever committed
    with suppress(CodedError):
        read(tmp_path, pg, f"{ONE}, lo_create(4711)::int8 as n")
    count = "select count(*)::text as case_id, 'x' as activity, now() as at from "
    left = read(tmp_path, pg, f"{count} pg_largeobject_metadata")
    assert left.cases["case_id"].to_pylist() == ["0"]
    count += "story"
    assert read(tmp_path, pg, count).cases["case_id"].to_pylist() == ["8"]


def test_spark_runs_nothing_but_a_query(spark: str, tmp_path: Path) -> None:
    for query in (
        "with a as (select 1 as b) insert into story select * from a",
        "select 1) as q; drop table story",
    ):
        with pytest.raises(CodedError, match=r"LG057|LG092"):
            read(tmp_path, spark, query)


# --- the file ---


def test_all_mistakes_of_a_file_come_together(tmp_path: Path) -> None:
    path = tmp_path / "log.toml"
    path.write_text(
        "[warehouse]\nurl = 'mysql://host/db'\nquery = 'drop table story'\ntimeout = 3\n"
        "[time]\ntimezone = 'Europe/Berlim'\n[event]\ncase_id = 'n'\nat = 'a'\n"
    )
    with pytest.raises(ManyCodedErrors) as caught:
        open_log([path])
    found = "\n".join(str(error) for error in caught.value.errors)
    assert "LG052 log.toml, warehouse.timeout: unknown key 'timeout'" in found
    assert "Did you mean 'timeout_s'?" in found
    assert "Europe/Berlin" in found
    assert "Add activity to event" in found
    assert "LG056 log.toml, warehouse.url is not understood: 'mysql'" in found
    assert "LG057 log.toml, warehouse.query starts with 'drop'" in found


@pytest.mark.parametrize("section", ["[words]\nNew = 'Logged'", "[fields]\nteam = 'x'"])
def test_sections_for_a_tool_are_refused(duck: str, section: str, tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG052 .*adapts a tool's export"):
        read(tmp_path, duck, ONE, section)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:{}@host/db", "postgresql://host/db?user=u&password={}", "sc://h:1/;token={}",
     "postgresql://host/db?sslpassword={}", "sc://h:1/;use_ssl=true;token={}"],
)  # fmt: skip
@given(st.text("abcXYZ0123456789_", min_size=8).map(lambda text: "pw" + text))
def test_a_password_in_the_url_is_refused_and_never_shown(url: str, password: str) -> None:
    with pytest.raises(CodedError, match=r"LG055") as caught:
        parse_url(url.format(password), "log.toml")
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:se/cret@host/db", "postgresql://u:se#cret@host/db", "postgresql://u:secret",
     "postgresql://u:se?cret@host/db", "postgresql://[::1/secret", "sc:///", "sc://h:1/secret",
     "duckdb://host/secret", "duckdb:///", "duckdb:///a?secret=1", "secret", "sc://h:99999/"],
)  # fmt: skip
def test_a_url_that_is_not_understood_is_not_shown(url: str) -> None:
    with pytest.raises(CodedError, match=r"LG05[56]") as caught:
        parse_url(url, "log.toml")
    assert "cret" not in str(caught.value).replace("password, secret or token", "").replace(
        "'secret'", ""
    )


def test_the_content_tells_a_warehouse_file() -> None:
    yes = ["[warehouse]\n", "# a\n\n[time]\n[ warehouse ] # b\n", "warehouse.url = 'x'\n",
           'name = "n"\n[warehouse]\n', "\ufeff[warehouse]\n", "warehouse = {}\n"]  # fmt: skip
    no = [
        "[event]\n",
        "a,b\n[warehouse]\n",
        '[\n"[warehouse]"]',
        '{"a": 1}',
        "<log>\n[warehouse]\n",
    ]
    assert [text for text in yes if not sniff(Path("x"), text.encode())] == []
    assert [text for text in no if sniff(Path("x"), text.encode())] == []


def test_columns_of_its_own_and_missing_columns_are_named(duck: str, tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG042 the query of .* gives columns of its own: a"):
        read(tmp_path, duck, "select 1 as a")
    with pytest.raises(CodedError, match=r"LG041 log.toml has no column 'changed_at'"):
        read(tmp_path, duck, "select number, state from story", SECTIONS.split("[case]")[0])


def test_a_mapping_beside_it_is_refused(duck: str, tmp_path: Path) -> None:
    path = warehouse(tmp_path, duck, ONE)
    plan = tmp_path / "words.toml"
    plan.write_text('name = "w"\n[words]\nNew = "Logged"\n')
    with pytest.raises(CodedError, match=r"LG033"):
        open_log([path], ReadOptions(mapping=plan))


# --- what goes wrong ---

SLOW = {
    "duck": "select count(*) from range(100000000) a, range(100000) b "
    "where (a.range + b.range) % 7 = 9",
    "pg": "select pg_sleep(30) is null",
    "spark": "select count(*) from range(100000000000) where id % 7 = sqrt(id)",
}


def test_duckdb_files_that_cannot_be_opened(duck: str, tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG090 duckdb:///none.duckdb: there is no database file"):
        read(tmp_path, "duckdb:///none.duckdb", ONE)
    (tmp_path / "text.duckdb").write_text("no database" * 1_000)
    with pytest.raises(RunError, match=r"LG090 duckdb:///text.duckdb cannot be opened"):
        read(tmp_path, "duckdb:///text.duckdb", ONE)
    holder = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "log.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunError, match=r"LG090 duckdb:///log.duckdb cannot be opened.*lock"):
            read(tmp_path, duck, ONE)
        other.communicate(b"\n")


def test_a_database_that_changes_while_it_is_read_is_an_error(
    duck: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from process_mining.sources.warehouse import on_duckdb  # noqa: PLC0415

    path = warehouse(tmp_path, duck, ONE)
    whole = on_duckdb._batches

    def grow(*args: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401
        yield from whole(*args)
        with (tmp_path / "log.duckdb").open("ab") as file:
            file.write(bytes(4_096))

    monkeypatch.setattr(on_duckdb, "_batches", grow)
    with pytest.raises(RunError, match=r"LG016 log.duckdb changed while it was read"):
        open_log([path])


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("select nope from story", r"LG092 DuckDB does not take.*\"nope\" not found"),
        ("select * frm story", r"LG092 .*syntax error.*frm"),
        (f"{ONE} where cast(range::varchar || 'x' as int) = 1", "LG092|LG093"),
    ],
)
def test_duckdb_errors_are_told_in_its_own_words(
    duck: str, query: str, error: str, tmp_path: Path
) -> None:
    with pytest.raises(CodedError, match=error):
        read(tmp_path, duck, query)


def test_an_error_in_the_middle_of_the_rows_is_an_error(duck: str, pg: str, tmp_path: Path) -> None:
    for url, rows in ((duck, "range(300000) r(g)"), (pg, "generate_series(1, 300000) g")):
        bad = "case when g = 290000 then 'x' else '1' end"
        query = (
            f"select g::text as case_id, cast(cast({bad} as int) as text) as activity, "  # noqa: S608
            f"timestamptz '2024-07-01 10:00+00' as at from {rows}"
        )
        with pytest.raises(RunError, match=r"LG093 .* gave up on the query of log.toml: "):
            read(tmp_path, url, query)


@pytest.mark.parametrize("database", ["duck", "pg", "spark"])
def test_a_query_that_takes_too_long_is_given_up(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    slow = SLOW[database]
    start = time.monotonic()
    with pytest.raises(RunError, match=r"LG094 the query of log.toml took over 1 s"):
        read(tmp_path, url, f"{one_of(database)}, ({slow}) as n", more="timeout_s = 1")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("database", ["duck", "pg", "spark"])
def test_ctrl_c_ends_the_query_soon(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    slow = SLOW[database]
    path = warehouse(tmp_path, url, f"{one_of(database)}, ({slow}) as n")
    code = (
        "import sys, pathlib\nfrom process_mining.sources import open_log\n"
        "from process_mining.errors import CodedError\nprint('on', flush=True)\n"
        "try:\n    open_log([pathlib.Path(sys.argv[1])])\n"
        "except (KeyboardInterrupt, CodedError) as error:\n    print(type(error).__name__, error)\n"
    )
    script = tmp_path / "read.py"  # pyspark takes `python -c` for its own doctests
    script.write_text(code)
    with subprocess.Popen(
        [sys.executable, str(script), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(4 if database == "spark" else 1.5)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        end = threading.Timer(20, process.kill)  # what does not end is ended
        end.start()
        out = process.communicate()[0]
        end.cancel()
    assert time.monotonic() - start < 10
    assert "KeyboardInterrupt" in out or "LG093" in out


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("select 1,\n  nope from story", r'LG092 .*"nope".*\(SQLSTATE 42703\) at line 2, column 3'),
        ("selec from story", "LG057"),
        ("select * frm story", r"LG092 .*syntax error at or near .* at line 1, column 10"),
        (f"{ONE}\nlimit $1", r"LG092 .*no parameter \$1 \(SQLSTATE 42P02\) at line 2, column 7"),
        (f"{ONE}, pg_read_file('/none') as n", r"LG093 .*could not open file"),
    ],
)  # fmt: skip
def test_postgresql_errors_are_told_in_its_own_words_with_their_place(
    pg: str, query: str, error: str, tmp_path: Path
) -> None:
    with pytest.raises(CodedError, match=error):
        read(tmp_path, pg, query)


def test_postgresql_that_cannot_be_reached_or_refuses(
    pg: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = re.sub(r":\d+/", ":1/", pg)
    with pytest.raises(RunError, match=r"LG090 postgresql://127.0.0.1:1/postgres .*refused"):
        read(tmp_path, nobody, ONE)
    with pytest.raises(CodedError, match=r'LG091 .*database "none" does not exist'):
        read(tmp_path, pg.replace("/postgres", "/none"), ONE)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(CodedError, match=r"LG091 .*password authentication failed") as caught:
        read(tmp_path, pg, ONE)
    assert "wrong" not in str(caught.value)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    with pytest.raises(CodedError, match=r"LG091 .*no password supplied"):
        read(tmp_path, pg, ONE)
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:*:*:mine:{PASSWORD}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    assert read(tmp_path, pg, ONE).n_events == 1


def test_spark_that_cannot_be_reached_and_errors_of_its_query(spark: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"LG090 sc://127.0.0.1:1 cannot be reached"):
        read(tmp_path, "sc://127.0.0.1:1", ONE)
    with pytest.raises(CodedError, match=r"LG092 Spark does not take the query .*nope"):
        read(tmp_path, spark, "select * from nope")
    with pytest.raises(RunError, match=r"LG093 Spark gave up"):
        read(tmp_path, spark, "select raise_error('x') as case_id, 'x' as activity, now() as at")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql://h/d", "adbc_driver_postgresql.dbapi", "postgresql"),
     ("sc://h", "pyspark.sql", "spark")],
)  # fmt: skip
def test_a_missing_driver_is_named_with_its_extra(
    url: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CodedError, match=rf'LG058 .*pip install "trueloop\[{extra}\]"'):
        read(tmp_path, url, ONE)
