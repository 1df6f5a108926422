"""The desks that rules are timed on: simulated, made large by tiling, and in DuckDB tables.

Tiling repeats all tickets of a desk with new ids ("0007-INC0000042") and keeps the rest, so that
size grows and distinct traces do not. Links lead to tickets of the same tile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csi.audit import split_by_practice
from csi.simulate import Request, simulate, write
from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import open_log
from rules.catalogue import load_catalogue
from rules.practice import prepare_desk, translate
from rules.records import Records
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    import numpy.typing as npt

    from process_mining.eventlog import Codes
    from rules.practice import Translation
    from rules.spec import Rule
    from rules.templates import Desk

PRACTICE = "incident"
OPEN_HOURS = (8, 18)  # of business-hours, on five days a week, UTC
MAPPING = """
name = "tiled_desk"
[time]
format = "iso"
[event]
case_id = "case_id"
activity = "activity"
at = "at"
order_by = "seq"
actor = "actor"
team = "team"
attributes = ["score", "category", "risk", "violations"]
[case]
practice = "practice"
priority = "priority"
category = "case_category"
service = "service"
opened = "opened"
resolved = "resolved"
closed = "closed"
attributes = ["channel", "impact", "urgency", "close_code", "type", "major_incident_state", "kpi"]
[case.links]
problem = "link.problem"
caused_by = "link.caused_by"
knowledge = "link.knowledge"
incident = "link.incident"
"""


@dataclass(frozen=True, eq=False)
class Incidents:
    """A desk with the incidents of a log, the rules that are asked of them, and the changes."""

    desk: Desk
    rules: tuple[Rule, ...]
    changes: tuple[Translation, ...]

    @property
    def size(self) -> str:
        log = self.desk.log
        return f"{log.n_cases:,} cases, {log.n_events:,} events"

    def afresh(self) -> Desk:
        """The same desk before any rule was asked of it: nothing worked out is left."""
        return replace(self.desk)


def simulated(folder: Path, tickets: int, seed: int) -> EventLog:
    """A desk of all practices, written as files and read as anybody's are."""
    write(simulate(Request(tickets=tickets, seed=seed)), folder)
    return open_log([folder / "events.ndjson", folder / "tickets.csv"])


def fresh(tickets: int, seed: int) -> EventLog:
    """The incidents of a desk that has them and problems alone, without the way through files."""
    told = simulate(Request(tickets=tickets, seed=seed, other_practices=False))
    facts = {name: name for name in s.CASE_TYPES if name in told.tickets.column_names}
    tickets_table = told.tickets.select(list(facts))
    attributes = ("impact", "urgency", "close_code")
    for name in attributes:
        tickets_table = tickets_table.append_column(f"attr.{name}", told.tickets[name])
    for name in (s.OPENED, s.RESOLVED, s.CLOSED):
        tickets_table = _replaced(tickets_table, name, told.tickets[name].cast(pa.int64()))
    events = told.events.rename_columns(
        ["position" if name == s.SEQ else name for name in told.events.column_names]
    )
    events = _replaced(events, s.AT, events[s.AT].cast(pa.int64()))
    return of_practice(EventLog.build(events, meta=LogMeta("simulated"), cases=tickets_table))


def of_practice(log: EventLog) -> EventLog:
    """The incidents of a log, kinds of them too."""
    return log.select(_is(log.cases[s.PRACTICE], PRACTICE))


def tiled(log: EventLog, copies: int, *, first: int = 0) -> EventLog:
    """The log so many times over."""
    return joined([_renamed(log, tile) for tile in range(first, first + copies)])


def joined(logs: Sequence[EventLog]) -> EventLog:
    """Logs whose tickets follow one another by id, as one."""
    return replace(
        logs[0],
        events=pa.concat_tables([one.events for one in logs]).combine_chunks(),
        cases=pa.concat_tables([one.cases for one in logs]).combine_chunks(),
        links=pa.concat_tables([one.links for one in logs]).combine_chunks(),
    )


def _renamed(log: EventLog, tile: int) -> EventLog:
    def named(table: pa.Table, *columns: str) -> pa.Table:
        for name in columns:
            ids = pc.binary_join_element_wise(f"{tile:04d}-", table[name], "")
            table = _replaced(table, name, ids)
        return table

    return replace(
        log,
        events=named(log.events, s.CASE_ID),
        cases=named(log.cases, s.CASE_ID),
        links=named(log.links, s.CASE_ID, s.LINKED_TO),
    )


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _is(column: pa.ChunkedArray, word: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(column, word).combine_chunks().to_numpy(zero_copy_only=False))


def incidents(log: EventLog, copies: int = 1, targets: Path | None = None) -> Incidents:
    """Put the incidents of a log, so many times over, on a desk; the changes are its records."""
    catalogue = load_catalogue()
    shares = split_by_practice(log, catalogue.practices, None)
    read = [
        translate(tiled(part, copies), practice)
        for practice, part in shares
        if practice.name == PRACTICE or practice.case_type == "change"
    ]
    mine = next(one for one in read if one.practice.name == PRACTICE)
    records = Records(tuple(read), pa.concat_tables([one.log.links for one in read]))
    now = int(log.arrays.at.max())
    levels = load_service_levels(targets)
    desk = prepare_desk(mine, service_levels=levels, as_of_us=now, records=records).desk
    assert desk.unmapped is None or not desk.unmapped.any()
    assert pc.all(desk.log.cases[s.ORDER_KNOWN]).as_py()
    changes = tuple(one for one in read if one is not mine)
    return Incidents(desk, tuple(catalogue.for_cases(PRACTICE)), changes)


def write_parquet(folder: Path, tickets: int, seed: int, copies: int) -> tuple[Path, Path, Path]:
    """Write a tiled desk of all practices as one table; return it, its mapping and targets."""
    told = simulate(Request(tickets=tickets, seed=seed))
    write(told, folder)
    events, cases = told.events, told.tickets
    owner = pc.index_in(events[s.CASE_ID], value_set=cases[s.CASE_ID].combine_chunks())
    of_case = cases.drop_columns([s.CASE_ID, s.PRACTICE]).take(owner)
    names = {"category": "case_category"}
    columns = {name.removeprefix(s.ATTRIBUTE_PREFIX): events[name] for name in events.column_names}
    columns |= {names.get(name, name): of_case[name] for name in of_case.column_names}
    table = pa.table(columns)
    ids = [name for name in columns if name == s.CASE_ID or name.startswith(s.LINK_PREFIX)]
    path, mapping = folder / "million.parquet", folder / "tiled_desk.toml"
    with pq.ParquetWriter(path, table.schema) as writer:
        for tile in range(copies):
            new = table
            for name in ids:
                renamed = pc.binary_join_element_wise(f"{tile:04d}-", table[name], "")
                new = _replaced(new, name, renamed)
            writer.write_table(new)
    mapping.write_text(MAPPING, encoding="utf-8")
    return path, mapping, folder / "targets.toml"


def load(connection: duckdb.DuckDBPyConnection, given: Incidents) -> None:
    """Load what the rules read into DuckDB tables: see incident_verdicts.sql."""
    desk, arrays = given.desk, given.desk.log.arrays
    events, cases = desk.log.events, desk.log.cases
    tables = {
        "events": {
            "case_no": arrays.case_of.astype(np.int32),
            "pos": arrays.seq.astype(np.int32),
            "activity": _words(arrays.activity, arrays.activities),
            "ts": arrays.at,
            "team": _words(arrays.team, arrays.teams),
            "score": events["attr.score"],
            "category": events["attr.category"],
        },
        "cases": {
            "case_no": np.arange(arrays.n_cases, dtype=np.int32),
            "case_id": cases[s.CASE_ID],
            "priority": cases[s.PRIORITY],
            "impact": cases["attr.impact"],
            "urgency": cases["attr.urgency"],
            "close_code": cases["attr.close_code"],
            "complete": desk.complete,
            "lower_cost": desk.alignment.lower if desk.alignment else None,
            "upper_cost": desk.alignment.upper if desk.alignment else None,
        },
        "links": {name: desk.log.links[name] for name in (s.CASE_ID, s.LINKED_TO, s.KIND)},
        "changes": {
            s.CASE_ID: _stacked([one.log.cases[s.CASE_ID] for one in given.changes]),
            "complete": np.concatenate([one.complete for one in given.changes]),
        },
        "change_events": {
            name: _stacked([one.log.events[name] for one in given.changes])
            for name in (s.CASE_ID, s.ACTIVITY)
        },
        "calendar": _calendar(int(arrays.at.min()), desk.as_of_us),
        "moment": {"as_of": np.array([desk.as_of_us])},
    }
    for name, columns in tables.items():
        connection.register("given", pa.table(columns))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")  # noqa: S608 - our names
        connection.unregister("given")
    for word in ("activity", "team"):  # few words: an ENUM is what an expert would make of them
        of_events = f"FROM events WHERE {word} IS NOT NULL"
        connection.execute(f"CREATE TYPE {word}s AS ENUM (SELECT DISTINCT {word} {of_events})")
        connection.execute(f"ALTER TABLE events ALTER {word} TYPE {word}s")


def _words(codes: Codes, words: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(words))


def _stacked(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())


def _calendar(first_us: int, last_us: int) -> dict[str, npt.NDArray[np.int64]]:
    day = np.arange(first_us // s.US_PER_DAY, last_us // s.US_PER_DAY + 2)
    opens, closes = (hour * s.US_PER_HOUR for hour in OPEN_HOURS)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    open_us = np.where(weekday < 5, closes - opens, 0)
    return {
        "day": day,
        "opens": day * s.US_PER_DAY + opens,
        "open_us": open_us,
        "before_us": np.cumsum(open_us) - open_us,
    }
