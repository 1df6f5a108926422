"""Which variants, successions and per-case facts does a log hold?

The heavy steps are SQL text files beside this module, in the subset that DuckDB, PostgreSQL and
Spark share; what differs between engines is one `Dialect` row. DuckDB runs them inside this
process. The engine sees integers only: cases, activities, teams and actors as codes (ranks of the
sorted names), times as int64 microseconds UTC; names are joined on afterwards, so no collation,
time zone or text of a ticket can change a result, and no value is ever formatted into SQL.
Errors: RunError LG302 where memory or disk run out.

Definitions. A step is an event with an activity that is not left out. b directly follows a where
both are steps of one case with no step between. A wait is the time between the two. A quantile of
waits is the smallest one that at least that share do not exceed (Hyndman & Fan 1996, type 1): an
observed value, exact, from counts by value and a running sum; such counts merge and spill to disk,
which a holistic median does not.

Complexity: one sort of the events per question, O(n log n) time, O(n) memory, spilling to a
temporary folder. Order of results: stated by each function, always total.

Not checked: that steps are in the right order (the log's order is taken as it is); a log without
times (XES level A) gives null times and waits.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa

from process_mining import schema as s
from process_mining.columnar.steps import step_codes
from process_mining.errors import RunError
from process_mining.variants import Variants

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from process_mining.eventlog import Codes, EventLog, Ints


@dataclass(frozen=True)
class Dialect:
    """What one engine spells its own way; each field stands in the SQL files as @field@."""

    ordered_list: str
    exact_sum_waited: str
    create_table: str


DUCKDB: Final = Dialect(
    ordered_list="array_agg(symbol order by seq)",
    exact_sum_waited="sum(waited)",  # DuckDB adds int64 in 128 bits
    create_table="create temporary table",
)


def variants(log: EventLog, *, leave_out: Collection[str] = ()) -> Variants:
    """Return the distinct traces, steps only: the most frequent first, equal ones by their codes.

    `activities` are the sorted names of the log without those left out. Every case has a variant,
    one without steps the empty one.
    """
    symbols, names = step_codes(log, leave_out)
    with _engine(log, symbols) as engine:
        engine.keep("traces")
        engine.keep("variants")
        found = engine.rows("select trace, n from variants order by variant")
        of_case = engine.answer("variant_of_case")
    traces = found["trace"].combine_chunks()
    lengths = traces.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    return Variants(
        activities=names,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        codes=traces.flatten().to_numpy().astype(np.int32),
        counts=_ints(found["n"]),
        variant_of_case=_ints(of_case["variant"]),
    )


def directly_follows(log: EventLog, *, leave_out: Collection[str] = ()) -> pa.Table:
    """Return every succession: source, target, n, cases, median_us, p90_us, total_h.

    source is null for starts, target is null for ends; both have null waits. `n` counts
    successions, `cases` the cases they occur in, `total_h` is all waiting in hours (its sum in µs
    could pass 64 bits). Ordered by source (starts first), then target (ends last).
    """
    symbols, names = step_codes(log, leave_out)
    return follows_of(log, symbols=symbols, names=names)


def follows_of(log: EventLog, *, symbols: Codes, names: tuple[str, ...]) -> pa.Table:
    """Return `directly_follows` for any column of codes: one code an event, -1 for no step."""
    with _engine(log, symbols) as engine:
        engine.keep("follows")
        found = engine.answer("directly_follows")
    ends = {name: _names(found[name], names) for name in ("source", "target")}
    rest = {n: found[n].cast(pa.int64()) for n in ("n", "cases", "median_us", "p90_us")}
    return pa.table({**ends, **rest, "total_h": found["total_h"]})


def case_facts(log: EventLog) -> pa.Table:
    """Return one row a case, by case_id; counts are never null.

    n_events; n_steps; first_at, last_at, duration_us (last - first; null without times or events);
    n_actors, n_teams (distinct, named); team_changes, actor_changes (events whose team or actor
    differs from the last one named in the case); repeats (steps whose activity came before in the
    case); direct_repeats (steps that follow their like at once).
    """
    with _engine(log, log.arrays.activity) as engine:
        found = engine.answer("case_facts")
    columns = {n: found[n].cast(pa.int64()) for n in found.column_names if n != "case_no"}
    return pa.table({s.CASE_ID: log.cases[s.CASE_ID], **columns})


def activity_facts(log: EventLog, *, leave_out: Collection[str] = ()) -> pa.Table:
    """Return one row an activity, by name: n, cases, repeats, cases_repeating, direct_repeats."""
    symbols, names = step_codes(log, leave_out)
    with _engine(log, symbols) as engine:
        engine.keep("follows")
        found = engine.answer("activity_facts")
    rest = {n: found[n].cast(pa.int64()) for n in found.column_names if n != "symbol"}
    return pa.table({s.ACTIVITY: _names(found["symbol"], names), **rest})


def quoted(identifier: str) -> str:
    """Return an identifier as SQL spells it; the only way a name enters a statement."""
    return '"' + identifier.replace('"', '""') + '"'


def statement(name: str, dialect: Dialect = DUCKDB) -> str:
    """Return the text of `<name>.sql` in one dialect.

    Raises RunError LG301 where the file uses a word that the dialect does not have.
    """
    text = files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")

    def spell(found: re.Match[str]) -> str:
        word = getattr(dialect, found[1], None)
        if word is None:
            raise RunError("LG301", f"{name}.sql: the dialect has no '{found[1]}'")
        return str(word)

    return re.sub(r"@(\w+)@", spell, text)


@dataclass(frozen=True)
class _Engine:
    """A locked DuckDB in memory that sees the registered integer tables and nothing else."""

    connection: duckdb.DuckDBPyConnection
    dialect: Dialect = DUCKDB

    def keep(self, name: str) -> None:
        """Run `<name>.sql` and keep its rows as a table of that name."""
        head = f"{self.dialect.create_table} {quoted(name)} as "
        with _coded(name):
            self.connection.execute(head + statement(name, self.dialect))

    def answer(self, name: str) -> pa.Table:
        """Run `<name>.sql` and return its rows."""
        with _coded(name):
            return self.rows(statement(name, self.dialect))

    def rows(self, sql: str) -> pa.Table:
        """Run one statement of ours and return its rows."""
        return self.connection.sql(sql).to_arrow_table()


@contextmanager
def _coded(step: str) -> Iterator[None]:
    """Turn a full memory or disk into an error that says so."""
    try:
        yield
    except duckdb.OperationalError as error:
        raise RunError(
            "LG302",
            f"the columnar step failed ({step}): {str(error).splitlines()[0]}",
            why="It sorts all events, on disk where the memory does not hold them",
            fix="Give it more memory, or a temporary folder (TMPDIR) with more room",
        ) from error


@contextmanager
def _engine(log: EventLog, symbols: Codes) -> Iterator[_Engine]:
    """Open DuckDB over the log's codes: no files, no network, no settings can be changed."""
    with (
        tempfile.TemporaryDirectory(prefix="trueloop-") as spill,
        duckdb.connect(":memory:", config={"temp_directory": spill}) as connection,
    ):
        connection.register("events", _events(log, symbols))
        connection.register("cases", pa.table({"case_no": np.arange(log.n_cases)}))
        for setting in ("enable_external_access", "python_enable_replacements"):
            connection.execute(f"set {setting} = false")
        connection.execute("set lock_configuration = true")
        yield _Engine(connection)


def _events(log: EventLog, symbols: Codes) -> pa.Table:
    arrays = log.arrays
    coded: Mapping[str, Codes] = {"symbol": symbols, "actor": arrays.actor, "team": arrays.team}
    at = pa.array(arrays.at) if log.timed else pa.nulls(log.n_events, pa.int64())
    columns = {"case_no": pa.array(arrays.case_of), "seq": pa.array(arrays.seq), "at_us": at}
    return pa.table(columns | {n: pa.array(c, mask=c < 0) for n, c in coded.items()})


def _names(codes: pa.ChunkedArray, names: tuple[str, ...]) -> pa.ChunkedArray:
    words = pa.array(names, pa.string()).take(codes.combine_chunks())
    return pa.chunked_array([words])


def _ints(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.combine_chunks().to_numpy(zero_copy_only=False)
    return values.astype(np.int64, copy=False)
