"""Which log do the tables of raw text from all XES files make?

Names the cases (two traces of one name are refused, or the later one becomes `<name>#2`, as
declared), converts texts and times, with a mapping or without, and says what was odd. The first
problem of an event counts, in the order: its trace's, its own, its name, its time; under a mapping
the order of `_mapped`.

Complexity: O(events) columnar work, O(distinct stamps + rejects) Python steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.eventlog import POSITION
from process_mining.sources import Parts
from process_mining.sources._fast_times import StampReader
from process_mining.sources._mapped import (
    Converter,
    check_columns,
    one_priority,
    ranked,
    seen_of,
)
from process_mining.sources._mapping import Cases, Events, Text, Time
from process_mining.sources._milestones import ORDER_PREFIX
from process_mining.sources._rejects import RejectList, shown
from process_mining.sources._table import MAX_COLUMNS, too_many
from process_mining.sources._times import BadTimeError, TimeReader, reading
from process_mining.sources.xes.by_tags import CODE, LINE, REASON, TIMESTAMP, TRACE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.sources._mapping import TableMapping
    from process_mining.sources.xes.by_tags import FileFacts

CONCEPT_NAME: Final = "concept:name"
COLUMNS: Final = {
    CONCEPT_NAME: s.ACTIVITY,
    "lifecycle:transition": s.LIFECYCLE,
    "org:resource": s.ACTOR,
    "org:group": s.TEAM,
}
# No key of an XES file has a NUL in it, so this names no column of the log.
_CASE: Final = "\0case"
_FORMS: Final = {
    "int": "64-bit whole numbers",
    "float": "numbers",
    "boolean": "true, false, 1 or 0",
    "date": "ISO dates with time",
    "id": "UUIDs",
}
Problem = tuple[str, str]
SameName = Literal["refuse", "separate"]


class UnsureError(Exception):
    """What was read as plain needs a place that only reading tag by tag can tell."""


@dataclass(frozen=True)
class Plan:
    """How the texts become a log: a mapping or none, the policy for one name, the time reader."""

    mapping: TableMapping | None
    same_name: SameName
    reader: TimeReader
    zone: str | None
    notes: tuple[str, ...] = ()
    activity_order: tuple[str, ...] = ()

    @property
    def case_key(self) -> str:
        """The key of the trace that names the case."""
        return self.mapping.event.case_id if self.mapping else CONCEPT_NAME


def assemble(files: Sequence[FileFacts], paths: Sequence[Path], plan: Plan) -> Parts:
    """Return the log that the files make."""
    return _Assembly(files, paths, plan).parts()


@dataclass(eq=False)
class _Assembly:
    files: Sequence[FileFacts]
    paths: Sequence[Path]
    plan: Plan
    rejects: RejectList = field(default_factory=RejectList)
    rows_in: int = 0
    policies: Counter[str] = field(default_factory=Counter)
    separated: int = 0
    trace_problems: dict[int, Problem] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stamps = StampReader(self.plan.reader)
        self.read_stamp = reading(self.plan.reader)

    def parts(self) -> Parts:
        self._check_keys()
        traces = _in_order(_stacked([t for file in self.files for t in file.traces]))
        names = self._names(traces)
        cases = self._cases(traces, names)
        tables = [self._events(table, file, names) for file in self.files for table in file.events]
        self._count_empty(traces)
        events = self._without_untimed(_stacked(tables))
        return Parts(
            events=_positioned(
                events.select([n for n in events.column_names if n not in _INTERNAL])
            ),
            cases=cases if cases.num_rows else None,
            rows_in=self.rows_in,
            rejects=self.rejects.table(),
            timezone=self.plan.zone or "UTC",
            notes=self._notes(),
            seen=seen_of(self.policies),
            people=self.plan.mapping.people() if self.plan.mapping else frozenset(),
            activity_order=self.plan.activity_order,
        )

    def _check_keys(self) -> None:
        """Raise for too many keys, and for every key that the mapping names and no file has."""
        of_events = {key for file in self.files for table in file.events for key in _keys(table)}
        of_traces = {key for file in self.files for table in file.traces for key in _keys(table)}
        if max(len(of_events), len(of_traces)) > MAX_COLUMNS:
            raise too_many(self.files[0].name)
        if self.plan.mapping is not None and of_events:
            check_columns(self.plan.mapping, sorted(of_events | of_traces), self.paths[0])

    # --- cases

    def _names(self, traces: pa.Table) -> pa.Array:
        """Return the case id of every trace, null where it has none."""
        names = _text(traces, s.ATTRIBUTE_PREFIX + self.plan.case_key)
        missing = self.plan.mapping.csv.missing if self.plan.mapping else []
        names = _without(names, ["", *missing])
        for row in np.flatnonzero(names.is_null().to_numpy(zero_copy_only=False)).tolist():
            self.trace_problems[row] = ("LG140", f"belongs to a trace without {self.plan.case_key}")
        for row, problem in _own_problems(traces).items():
            self.trace_problems[row] = problem
        known = names.drop_null()
        if len(pc.unique(known)) == len(known):
            return names
        return self._told_apart(names, traces)

    def _told_apart(self, names: pa.Array, traces: pa.Table) -> pa.Array:
        """Give every further trace of one name a name of its own, or refuse them."""
        own: list[str | None] = names.to_pylist()
        taken = {name for name in own if name is not None}
        first: dict[str, int] = {}
        for row, name in enumerate(own):
            if name is None or row in self.trace_problems:
                continue
            if first.setdefault(name, row) == row:
                continue
            if self.plan.same_name == "refuse":
                self._refuse_name(name, first[name], row, traces)
            own[row] = next(n for n in (f"{name}#{i}" for i in count(2)) if n not in taken)
            taken.add(str(own[row]))
            self.separated += 1
        return pa.array(own, pa.string())

    def _refuse_name(self, name: str, one: int, other: int, traces: pa.Table) -> None:
        places = [self._trace_place(row, traces) for row in (one, other)]
        raise RunError(
            "LG075",
            f"trace {shown(name)} stands in {places[0]} and in {places[1]}",
            why="whether they are one case is not guessed",
            fix=f"Give every trace a {self.plan.case_key} of its own, or declare "
            'same_name = "separate" in a mapping: every trace is then a case',
        )

    def _trace_place(self, row: int, traces: pa.Table) -> str:
        file = self._file_of(row)
        return f"{file.name} line {_line(traces, row)} (trace {row - file.first + 1})"

    def _file_of(self, trace: int) -> FileFacts:
        return next(file for file in reversed(self.files) if file.first <= trace)

    def _cases(self, traces: pa.Table, names: pa.Array) -> pa.Table:
        """Return the case table; under a mapping, a trace with a bad value is a problem."""
        if self.plan.mapping is None:
            good = self._good_traces(len(names))
            columns = {name: traces[name] for name in traces.column_names if _is_attribute(name)}
            columns.pop(s.ATTRIBUTE_PREFIX + CONCEPT_NAME, None)
            return pa.table({s.CASE_ID: names} | columns).filter(good)
        rows = np.flatnonzero(self._good_traces(len(names)).to_numpy(zero_copy_only=False))
        of_cases = _only_cases(self.plan.mapping)
        columns = _columns(traces.take(pa.array(rows)), _named(of_cases))
        columns[_CASE] = names.take(pa.array(rows))
        converter, table = self._converted(columns, of_cases, cases=True)
        for row, problem in _found(converter).items():
            self.trace_problems[int(rows[row])] = problem
        return table

    def _good_traces(self, n: int) -> pa.Array:
        good = np.ones(n, bool)
        good[list(self.trace_problems)] = False
        return pa.array(good)

    def _count_empty(self, traces: pa.Table) -> None:
        """A refused trace without events is a row of its own: it too is told."""
        for row in sorted(set(self.trace_problems) - self._filled()):
            code, reason = self.trace_problems[row]
            line, file = _line(traces, row), self._file_of(row)
            self.rows_in += 1
            self.rejects.add(
                file=file.name,
                number=line,
                place=f"line {line} (trace {row - file.first + 1}, which has no events)",
                code=code,
                reason=reason,
            )

    def _filled(self) -> frozenset[int]:
        """The traces with a problem that have events."""
        bad = pa.array(self.trace_problems.keys(), pa.int64())
        tables = [table for file in self.files for table in file.events]
        found = [pc.unique(t[TRACE].filter(pc.is_in(t[TRACE], value_set=bad))) for t in tables]
        return frozenset(row for column in found for row in column.to_pylist())

    # --- events

    def _events(self, table: pa.Table, file: FileFacts, names: pa.Array) -> pa.Table:
        """Return the accepted events of one raw table, with `trace` (and `line`) still in it."""
        self.rows_in += table.num_rows
        trace = table[TRACE].to_numpy()
        problems = _own_problems(table)
        for row in np.flatnonzero(np.isin(trace, list(self.trace_problems))).tolist():
            problems[row] = self.trace_problems[int(trace[row])]
        table = self._accepted(table, file, problems)
        own = names.take(_whole(table[TRACE]))
        mapping = self.plan.mapping
        out, problems = self._mapped(table, own, mapping) if mapping else self._plain(table)
        kept = self._accepted(table, file, problems)
        out |= {n: kept[n] for n in (TRACE, LINE, POSITION) if n in kept.column_names}
        out[s.CASE_ID] = names.take(_whole(kept[TRACE]))
        return pa.table(out)

    def _accepted(self, table: pa.Table, file: FileFacts, problems: dict[int, Problem]) -> pa.Table:
        """Turn the rows with a problem into rejects and return the others."""
        if not problems:
            return table
        for row in sorted(problems):
            self._reject(table, row, file, problems[row])
        keep = np.ones(table.num_rows, bool)
        keep[list(problems)] = False
        return table.filter(pa.array(keep))

    def _reject(self, table: pa.Table, row: int, file: FileFacts, problem: Problem) -> None:
        line = _line(table, row)
        trace = table[TRACE][row].as_py() - file.first + 1
        place = f"line {line} (trace {trace}, event {table[POSITION][row].as_py() + 1})"
        code, reason = problem
        self.rejects.add(file=file.name, number=line, place=place, code=code, reason=reason)

    def _plain(self, table: pa.Table) -> tuple[dict[str, pa.Array], dict[int, Problem]]:
        """Convert events by the keys of the standard extensions."""
        problems: dict[int, Problem] = {}
        activity = _without(_text(table, s.ATTRIBUTE_PREFIX + CONCEPT_NAME), [""])
        for row in np.flatnonzero(activity.is_null().to_numpy(zero_copy_only=False)).tolist():
            problems[row] = ("LG141", f"has no {CONCEPT_NAME}")
        at, bad = self._instants(_text(table, s.ATTRIBUTE_PREFIX + TIMESTAMP))
        problems = bad | problems
        out = {s.AT: at}
        for name in table.column_names:
            key = name.removeprefix(s.ATTRIBUTE_PREFIX)
            if _is_attribute(name) and key != TIMESTAMP:
                out[COLUMNS.get(key, name)] = table[name]
        return _filtered(out, problems, table.num_rows), problems

    def _instants(self, column: pa.Array) -> tuple[pa.Array, dict[int, Problem]]:
        """Return the instants, and the problem of each stamp that is none; null stays null."""
        stamps = self.stamps.read(column)
        for policy, where in stamps.policies.items():
            self.policies[policy] += int(np.count_nonzero(where & stamps.done))
        missing = column.is_null().to_numpy(zero_copy_only=False)
        us, problems = stamps.us, {}
        left = np.flatnonzero(~stamps.done & ~missing)
        for row, stamp in zip(left.tolist(), column.take(pa.array(left)).to_pylist(), strict=True):
            try:
                instant = self.read_stamp(stamp)
            except BadTimeError as error:
                problems[row] = (error.code, f"{TIMESTAMP} {error.reason}")
                continue
            us[row] = instant.us
            if instant.policy:
                self.policies[instant.policy] += 1
        return pa.array(us, mask=missing), problems

    def _mapped(
        self, table: pa.Table, names: pa.Array, mapping: TableMapping
    ) -> tuple[dict[str, pa.Array], dict[int, Problem]]:
        """Convert events as the mapping says; what it says of cases is read from events too."""
        of_events, of_cases = _only_events(mapping), _only_cases(mapping)
        named, described = _named(of_events), _named(of_cases)
        further = [key for key in _keys(table) if key not in described]
        columns = {_CASE: names} | _columns(table, [*further, *named])
        converter, events = self._converted(columns, of_events, cases=False)
        problems = _found(converter)
        out = _out(events, s.CASE_ID)
        columns = {_CASE: names} | _columns(table, described)
        converter, cases = self._converted(columns, of_cases, cases=True)
        more = _found(converter)
        both = more | problems
        out = _again(out, problems, both, table.num_rows)
        told = {s.CASE_PREFIX + name: c for name, c in _out(cases, s.CASE_ID).items()}
        out |= _again(told, more, both, table.num_rows)
        then = out.get(s.CASE_PREFIX + s.PRIORITY)
        if then is not None and then.null_count < len(then):  # else it is a key of traces
            out = one_priority(out, mapping, _keys(table))
        return out, both

    def _converted(
        self, columns: dict[str, pa.Array], mapping: TableMapping, *, cases: bool
    ) -> tuple[Converter, pa.Table]:
        """Convert raw columns; the converter's rejects are numbered by row."""
        converter = Converter(mapping, "", "row", self.plan.zone, RejectList(), self.policies)
        rows = np.arange(len(columns[_CASE]))
        convert = converter.convert_cases if cases else converter.convert
        return converter, convert(columns, rows)

    def _without_untimed(self, events: pa.Table) -> pa.Table:
        """Refuse events without time among timed ones; a log without any time is of level A."""
        untimed = events[s.AT].null_count if events.num_rows else 0
        if not untimed or untimed == events.num_rows:
            return events
        for row in np.flatnonzero(events[s.AT].is_null().to_numpy()).tolist():
            file = self._file_of(events[TRACE][row].as_py())
            problem = ("LG103", "has no time, while other events have one")
            self._reject(events, row, file, problem)
        return events.filter(events[s.AT].is_valid())

    # --- what was odd

    def _notes(self) -> tuple[str, ...]:
        notes = list(self.plan.notes)
        odd = sum(file.odd_times for file in self.files)
        if odd:
            notes.append(f"{odd} times stand in another tag than <date>")
        malformed = sum((file.malformed for file in self.files), Counter[str]())
        for tag, n in sorted(malformed.items()):
            notes.append(f"{n} values in <{tag}> are no {_FORMS[tag]}; they are kept as text")
        notes += self._declared() + self._classifiers()
        if self.separated:
            notes.append(
                f"{self.separated} traces have the name of an earlier one; each is a case of its "
                "own, named by a # and a number"
            )
        return tuple(notes)

    def _declared(self) -> list[str]:
        """Say which events and traces lack a key that their log declares for all of them."""
        notes = []
        for scope in ("trace", "event"):
            lacking: Counter[str] = Counter()
            for file in self.files:
                for table in file.traces if scope == "trace" else file.events:
                    for key in file.declared[scope]:
                        lacking[key] += _text(table, s.ATTRIBUTE_PREFIX + key).null_count
            for key in sorted(key for key in lacking if lacking[key]):
                what = f"{lacking[key]:,} {scope}s lack {shown(key)}"
                notes.append(f"{what}, which the log declares for every {scope}")
        return notes

    def _classifiers(self) -> list[str]:
        named = {pair: None for file in self.files for pair in file.classifiers.items()}
        told = [f"{shown(name)} = {shown(keys)}" for name, keys in named]
        if not told:
            return []
        return [f"the log declares classifiers, which are not applied: {', '.join(told)}"]


_INTERNAL: Final = (TRACE, LINE)


def _is_attribute(name: str) -> bool:
    return name.startswith(s.ATTRIBUTE_PREFIX)


def _keys(table: pa.Table) -> list[str]:
    return [n.removeprefix(s.ATTRIBUTE_PREFIX) for n in table.column_names if _is_attribute(n)]


def _stacked(tables: Sequence[pa.Table]) -> pa.Table:
    if not tables:
        return pa.table({TRACE: pa.array([], pa.int64())})
    return pa.concat_tables(tables, promote_options="default")


def _in_order(traces: pa.Table) -> pa.Table:
    """Return the traces in file order, so that row i is trace i."""
    order = np.argsort(traces[TRACE].to_numpy(), kind="stable")
    return traces.take(pa.array(order)).combine_chunks()


def _text(table: pa.Table, name: str) -> pa.Array:
    """Return a text column, all null where the table lacks it."""
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    return _whole(table[name])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _without(column: pa.Array, markers: list[str]) -> pa.Array:
    """Return the column with null for the texts that mean "no value"."""
    missing = pc.is_in(column, value_set=pa.array(markers, pa.string()))
    if not pc.any(missing).as_py():
        return column
    return pc.if_else(missing, pa.scalar(None, pa.string()), column)


def _columns(table: pa.Table, keys: Sequence[str]) -> dict[str, pa.Array]:
    return {key: _text(table, s.ATTRIBUTE_PREFIX + key) for key in keys}


def _line(table: pa.Table, row: int) -> int:
    line = table[LINE][row].as_py() if LINE in table.column_names else None
    if line is None:
        raise UnsureError
    return int(line)


def _own_problems(table: pa.Table) -> dict[int, Problem]:
    if CODE not in table.column_names:
        return {}
    rows = np.flatnonzero(table[CODE].is_valid().to_numpy()).tolist()
    return {row: (table[CODE][row].as_py(), table[REASON][row].as_py()) for row in rows}


def _filtered(
    columns: dict[str, pa.Array], problems: dict[int, Problem], n: int
) -> dict[str, pa.Array]:
    return _again(columns, {}, problems, n)


def _again(
    columns: dict[str, pa.Array],
    before: dict[int, Problem],
    now: dict[int, Problem],
    n: int,
) -> dict[str, pa.Array]:
    """Leave out the rows with a problem `now` from columns that lack those of `before` already."""
    if len(before) == len(now):
        return columns
    left = np.delete(np.arange(n), list(before))
    keep = pa.array(~np.isin(left, list(now)))
    return {name: column.filter(keep) for name, column in columns.items()}


def _out(table: pa.Table, without: str) -> dict[str, pa.Array]:
    return {name: table[name] for name in table.column_names if name != without}


def _found(converter: Converter) -> dict[int, Problem]:
    return {r.number: (r.code, r.reason) for r in converter.rejects.rejects}


def _only_events(mapping: TableMapping) -> TableMapping:
    """Return what a mapping says of events; the case has its id from its trace."""
    event = mapping.event.model_copy(update={"case_id": _CASE})
    return mapping.model_copy(update={"event": event, "case": Cases()})


def _only_cases(mapping: TableMapping) -> TableMapping:
    """Return what a mapping says of cases."""
    event = Events(case_id=_CASE, activity=[Text(constant="-")], at=Time(column=_CASE))
    return mapping.model_copy(update={"event": event})


def _named(mapping: TableMapping) -> list[str]:
    """Return the keys that a mapping names."""
    return [key for key in mapping.columns() if key != _CASE]


def _positioned(events: pa.Table) -> pa.Table:
    """Order by the place in the trace, after the columns of order_by where the mapping has some."""
    orders = sum(name.startswith(ORDER_PREFIX) for name in events.column_names)
    if not orders:
        return events
    names = [f"{ORDER_PREFIX}{orders}" if n == POSITION else n for n in events.column_names]
    return ranked(events.rename_columns(names))
