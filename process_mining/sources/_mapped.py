"""How does somebody's table become events, under a mapping?

Works column by column on batches of raw columns (text; Parquet also hands over numbers and
timestamps). Distinct stamps are parsed once and gathered back. The first problem of a row, in the
order case id, activity, time, order, case times, translated values, makes it a reject; whole
columns stay columns.

Complexity: O(rows) columnar work, and O(distinct stamps + rejects) Python steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.eventlog import POSITION, Seen
from process_mining.sources._mapping import ALL, Mapping, TableMapping, Text, Time
from process_mining.sources._rejects import RejectList, shown
from process_mining.sources._times import (
    BadTimeError,
    Instant,
    TimeReader,
    load_zone,
    reading,
    states_offset,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from process_mining.eventlog import Ints
    from process_mining.sources._csv import Record

Value = TypeVar("Value", str, int)
ORDER_PREFIX: Final = "order."
_CANONICAL_TEXT: Final = (s.ACTOR, s.TEAM, s.LIFECYCLE)
_CANONICAL_CASE: Final = (s.PRACTICE, s.PRIORITY, s.CATEGORY, s.SERVICE)
_CANONICAL_TIMES: Final = (s.OPENED, s.RESOLVED, s.CLOSED)


def canonical(header: Sequence[str]) -> TableMapping | None:
    """Return the mapping of a table that has our own column names, or None for another table."""
    if not {s.CASE_ID, s.ACTIVITY, s.AT} <= set(header):
        return None
    event: dict[str, object] = {name: name for name in _CANONICAL_TEXT if name in header}
    event |= {s.CASE_ID: s.CASE_ID, s.ACTIVITY: s.ACTIVITY, s.AT: s.AT, "attributes": ALL}
    event["order_by"] = [name for name in (s.SEQ, POSITION) if name in header][:1]
    case = {name: name for name in (*_CANONICAL_CASE, *_CANONICAL_TIMES) if name in header}
    data = {"name": "canonical", "time": {"format": "iso"}, "event": event, "case": case}
    return TableMapping.model_validate(data)


def check_columns(mapping: Mapping, header: Sequence[str], path: Path) -> None:
    """Raise one coded error for every column that the mapping names and the table lacks."""
    named = mapping.columns()
    raise_all(
        [
            _missing(mapping, column, named[column], header, path)
            for column in named
            if column not in header
        ]
    )
    twice = sorted(column for column in named if header.count(column) > 1)
    if twice:
        msg = f"{path.name} has {header.count(twice[0])} columns named '{twice[0]}'"
        raise CodedError("LG045", msg, fix="Rename all but one of them in the export")


def _missing(
    mapping: Mapping, column: str, place: str, header: Sequence[str], path: Path
) -> CodedError:
    return CodedError(
        "LG041",
        f"{path.name} has no column '{column}', which mapping '{mapping.name}' reads ({place})",
        fix=did_you_mean(column, set(header)),
    )


def zone_of(mapping: Mapping, option: str | None) -> str | None:
    """Return the zone of stamps without offset; --timezone wins over the mapping."""
    zone = option or mapping.time.timezone
    if zone is None:
        bare = [t.column for t in mapping.times() if not states_offset(mapping.format_of(t) or "")]
        if bare:
            msg = f"the stamps in {', '.join(bare)} state no offset and no zone is declared"
            fix = 'Set timezone = "Europe/Berlin" (say) under [time] in the mapping, or --timezone'
            raise CodedError("LG054", msg, why="time is never guessed", fix=fix)
    return zone


@dataclass(eq=False)
class Converter:
    """Turns batches of one file's raw columns into event columns; collects rejects and notes."""

    mapping: TableMapping
    file: str
    unit: str
    zone: str | None
    rejects: RejectList
    policies: Counter[str] = field(default_factory=Counter)
    _readers: dict[str, tuple[TimeReader, Callable[[str], Instant]]] = field(default_factory=dict)

    def convert(self, columns: dict[str, pa.Array], places: Ints) -> pa.Table:
        """Return the accepted rows of a batch; `places` are their line or row numbers."""
        rows = _Rows(self, self._without_markers(columns))
        return self._accepted(rows, rows.events() | rows.case_columns(), places)

    def convert_cases(self, columns: dict[str, pa.Array], places: Ints) -> pa.Table:
        """Return the accepted rows of a case table: case_id and what the mapping's cases hold."""
        rows = _Rows(self, self._without_markers(columns))
        out = rows.case_id() | {
            name.removeprefix(s.CASE_PREFIX): column for name, column in rows.case_columns().items()
        }
        return self._accepted(rows, out, places)

    def _accepted(self, rows: _Rows, out: dict[str, pa.Array], places: Ints) -> pa.Table:
        for row in sorted(rows.problems):
            code, reason = rows.problems[row]
            place = int(places[row])
            self.rejects.add(
                file=self.file, number=place, place=f"{self.unit} {place}", code=code, reason=reason
            )
        keep = np.ones(len(places), bool)
        keep[list(rows.problems)] = False
        return pa.table(out).filter(pa.array(keep))

    def reader(self, time: Time) -> tuple[TimeReader, Callable[[str], Instant]]:
        """Return the reader of a time column, with its memory."""
        if time.column not in self._readers:
            plan = self.mapping.time
            reader = TimeReader(
                pattern=self.mapping.format_of(time) or "",
                zone=load_zone(self.zone) if self.zone else None,
                ambiguous=plan.ambiguous,
                nonexistent=plan.nonexistent,
            )
            self._readers[time.column] = (reader, reading(reader))
        return self._readers[time.column]

    def _without_markers(self, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
        markers = pa.array(["", *self.mapping.csv.missing], pa.string())
        return {name: _mark_missing(column, markers) for name, column in columns.items()}


def _mark_missing(column: pa.Array, markers: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    missing = pc.is_in(column, value_set=markers)
    return (
        pc.if_else(missing, pa.scalar(None, pa.string()), column)
        if pc.any(missing).as_py()
        else column
    )


@dataclass(eq=False)
class _Rows:
    """One batch on its way: raw columns in, event columns out, problems by row."""

    converter: Converter
    columns: dict[str, pa.Array]
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)

    def case_id(self) -> dict[str, pa.Array]:
        """Return the column that names the case."""
        column = _as_text(self.columns[self.converter.mapping.event.case_id])
        return {s.CASE_ID: self._needed(column, "LG101", "case id")}

    def events(self) -> dict[str, pa.Array]:
        """Return the event columns."""
        event = self.converter.mapping.event
        out = self.case_id()
        out[s.ACTIVITY] = self._needed(self._activity(event.activity), "LG102", "activity")
        out[s.AT] = self._needed(self._time(event.at), "LG103", "time")
        for index, order in enumerate(event.order_by):
            column = _as_text(self.columns[order.column])
            if order.type == "integer":
                column = self._integers(column, order.column)
            out[f"{ORDER_PREFIX}{index}"] = column
        for name in (s.ACTOR, s.TEAM, s.LIFECYCLE):
            part: Text | None = getattr(event, name)
            if part is not None:
                out[name] = self._text(part)
        return out | self._attributes(self._event_attributes(), s.ATTRIBUTE_PREFIX)

    def case_columns(self) -> dict[str, pa.Array]:
        """Return the columns that describe the case, under `case.`."""
        case, out = self.converter.mapping.case, {}
        for name in _CANONICAL_TIMES:
            time: Time | None = getattr(case, name)
            if time is not None:
                out[s.CASE_PREFIX + name] = self._time(time)
        for name in _CANONICAL_CASE:
            part: Text | None = getattr(case, name)
            if part is not None:
                out[s.CASE_PREFIX + name] = self._text(part)
        return out | self._attributes(
            (*case.attributes, *case.people), s.CASE_PREFIX + s.ATTRIBUTE_PREFIX
        )

    def _event_attributes(self) -> Iterable[str]:
        mapping = self.converter.mapping
        if mapping.event.attributes == ALL:
            return [*sorted(set(self.columns) - set(mapping.columns())), *mapping.event.people]
        return (*mapping.event.attributes, *mapping.event.people)

    def _attributes(self, names: Iterable[str], prefix: str) -> dict[str, pa.Array]:
        bare = {name: name.removeprefix(s.ATTRIBUTE_PREFIX) for name in names}
        return {prefix + short: _as_text(self.columns[name]) for name, short in bare.items()}

    def _needed(self, column: pa.Array, code: str, what: str) -> pa.Array:
        for row in _where(column.is_null()):
            self._problem(row, code, f"has no {what}")
        return column

    def _activity(self, parts: Sequence[Text]) -> pa.Array:
        texts = [self._text(part) for part in parts]
        if len(texts) == 1:
            return texts[0]
        joined = pc.binary_join_element_wise(*texts, "+", null_handling="skip")
        return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)

    def _text(self, part: Text) -> pa.Array:
        if part.column is None:
            return pa.repeat(pa.scalar(part.constant, pa.string()), self._length())
        column = _as_text(self.columns[part.column])
        if part.values is None:
            return column
        known = list(part.values)
        index = pc.index_in(column, value_set=pa.array(known, pa.string()))
        for row in _where(pc.and_(column.is_valid(), index.is_null())):
            value = shown(column[row].as_py())
            self._problem(row, "LG108", f"{value} in {part.column} is not among its values")
        return pa.array(part.values.values(), pa.string()).take(index)

    def _time(self, time: Time) -> pa.Array:
        column = self.columns[time.column]
        reader, read = self.converter.reader(time)

        def from_wall(us: int) -> Instant:
            return reader.local(us, str(np.datetime64(us, "us")))

        if pa.types.is_timestamp(column.type):
            wall = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
            if column.type.tz is not None:
                return wall
            return self._gather(wall, time, from_wall)
        return self._gather(_as_text(column), time, read)

    def _gather(self, column: pa.Array, time: Time, read: Callable[[Value], Instant]) -> pa.Array:
        """Read each distinct value once and gather the instants back to the rows."""
        coded = column.dictionary_encode()
        found: list[int | None] = []
        policies: dict[int, str] = {}
        bad: dict[int, tuple[str, str]] = {}
        for code, value in enumerate(coded.dictionary.to_pylist()):
            try:
                instant = read(value)
            except BadTimeError as error:
                bad[code] = (error.code, f"{time.column} {error.reason}")
                found.append(None)
                continue
            found.append(instant.us)
            if instant.policy:
                policies[code] = instant.policy
        self._count(coded.indices, policies)
        for row in _where_in(coded.indices, bad):
            self._problem(row, *bad[coded.indices[row].as_py()])
        return pa.array(found, pa.int64()).take(coded.indices)

    def _count(self, codes: pa.Array, policies: dict[int, str]) -> None:
        for row in _where_in(codes, policies):
            self.converter.policies[policies[codes[row].as_py()]] += 1

    def _integers(self, column: pa.Array, name: str) -> pa.Array:
        whole = pc.match_substring_regex(column, pattern=r"^[+-]?[0-9]{1,18}$").fill_null(False)  # noqa: FBT003 - the fill value
        for row in _where(pc.invert(whole)):
            value = column[row].as_py()
            reason = "is empty" if value is None else f"{shown(value)} is no whole number"
            self._problem(row, "LG109", f"{name} {reason}")
        return pc.if_else(whole, column, pa.scalar(None, pa.string())).cast(pa.int64())

    def _problem(self, row: int, code: str, reason: str) -> None:
        self.problems.setdefault(row, (code, reason))

    def _length(self) -> int:
        return len(next(iter(self.columns.values())))


def ranked(events: pa.Table) -> pa.Table:
    """Replace the ordering columns by one int64 `position`: the values, or their dense rank."""
    names = sorted(
        (name for name in events.column_names if name.startswith(ORDER_PREFIX)),
        key=lambda name: int(name.removeprefix(ORDER_PREFIX)),
    )
    if not names:
        return events
    if len(names) == 1 and pa.types.is_integer(events[names[0]].type):
        position = events[names[0]]
    else:
        rank = np.zeros(events.num_rows, np.int64)
        for name in names:
            own = _dense(events[name])
            rank = _dense(pa.array(rank * (int(own.max(initial=0)) + 1) + own))
        position = pa.array(rank)
    return events.drop_columns(names).append_column(POSITION, position)


def readable(rows: list[Record], converter: Converter) -> list[Record]:
    """Return the records without a problem; the others become rejects."""
    for record in rows:
        if record.problem:
            code, reason = record.problem
            place = f"{converter.unit} {record.line}"
            converter.rejects.add(
                file=converter.file, number=record.line, place=place, code=code, reason=reason
            )
    return [record for record in rows if not record.problem]


def seen_of(policies: Counter[str]) -> tuple[Seen, ...]:
    """Return how many local times each policy decided."""
    return tuple(Seen("QG111", count, subject=policy) for policy, count in sorted(policies.items()))


def _dense(column: pa.Array | pa.ChunkedArray) -> Ints:
    rank: Ints = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy()
    return rank.astype(np.int64)


def _as_text(column: pa.Array) -> pa.Array:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _where(mask: pa.Array) -> list[int]:
    rows: list[int] = np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()
    return rows


def _where_in(codes: pa.Array, chosen: Collection[int]) -> list[int]:
    if not chosen:
        return []
    return _where(pc.is_in(codes, value_set=pa.array(list(chosen), codes.type)))
