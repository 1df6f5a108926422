"""How does somebody's table become events, under a mapping?

Works column by column on batches of raw columns (text, coded text; Parquet also hands over numbers
and timestamps). Texts are coded by distinct words and translated once a word; stamps are read in
bulk, and one by one where they are odd. The first problem of a row, in the order case id, activity,
time, order, case times, translated values, makes it a reject; whole columns stay columns.

Complexity: O(rows) columnar work, and O(distinct odd stamps + rejects) Python steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining._coded import encoded, from_indices, indices_of, is_coded, is_text, plain
from process_mining._coded import ranked as code_ranks
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.eventlog import POSITION, Seen
from process_mining.sources._fast_csv import Doubt
from process_mining.sources._fast_times import StampReader
from process_mining.sources._mapping import ALL, Mapping, TableMapping, Text, Time
from process_mining.sources._milestones import MILESTONE, ORDER_PREFIX, unfolded
from process_mining.sources._rejects import RejectList, shown
from process_mining.sources._times import (
    BadTimeError,
    Instant,
    TimeReader,
    date_only,
    load_zone,
    states_offset,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from process_mining._coded import Codes, Ints
    from process_mining.sources._csv import Record
    from process_mining.sources._fast_times import Stamps

    Bools = npt.NDArray[np.bool_]

Value = TypeVar("Value", str, int)
SAMPLE: Final = 1 << 12
DATE_ONLY: Final = "date only: "
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


def zone_of_columns(mapping: Mapping, schema: pa.Schema, option: str | None) -> str | None:
    """Return the declared zone; it may be left out if every time column is a zoned timestamp."""
    kinds = [schema.field(time.column).type for time in mapping.times()]
    if all(pa.types.is_timestamp(kind) and kind.tz for kind in kinds):
        return option or mapping.time.timezone
    return zone_of(mapping, option)


class Prepared(NamedTuple):
    """A converted batch: event columns, problems by row, and how often a policy decided."""

    columns: dict[str, pa.Array]
    problems: dict[int, tuple[str, str]]
    policies: Counter[str]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[s.CASE_ID])


@dataclass(eq=False)
class Converter:
    """Turns batches of one file's raw columns into event columns; collects rejects and notes."""

    mapping: TableMapping
    file: str
    unit: str
    zone: str | None
    rejects: RejectList
    policies: Counter[str] = field(default_factory=Counter)
    _readers: dict[tuple[str, str], StampReader] = field(default_factory=dict)

    def convert(self, columns: dict[str, pa.Array], places: Ints) -> pa.Table:
        """Return the accepted rows of a batch; `places` are their line or row numbers."""
        return plain(self.convert_coded(columns, places))

    def convert_coded(self, columns: dict[str, pa.Array], places: Ints) -> pa.Table:
        """Return the accepted rows with their texts coded, as `EventLog.build` also takes them."""
        return self.accepted(self.prepared(columns), places)

    def convert_cases(self, columns: dict[str, pa.Array], places: Ints) -> pa.Table:
        """Return the accepted rows of a case table: case_id and what the mapping's cases hold."""
        rows = _Rows(self, columns)
        out = rows.case_id() | {
            name.removeprefix(s.CASE_PREFIX): column for name, column in rows.case_columns().items()
        }
        return plain(self.accepted(Prepared(out, rows.problems, rows.policies), places))

    def prepared(self, columns: dict[str, pa.Array]) -> Prepared:
        """Convert a batch; nothing is noted yet, so that batches can be prepared side by side."""
        rows = _Rows(self, columns)
        events = rows.milestones() if self.mapping.milestones else rows.events()
        out = one_priority(events | rows.case_columns(), self.mapping, columns)
        return Prepared(out, rows.problems, rows.policies)

    def accepted(self, batch: Prepared, places: Ints | None) -> pa.Table:
        """Return the rows without a problem, and note the others and what policies decided.

        Where `places` are not known, a row with a problem raises Doubt.
        """
        self.policies.update(batch.policies)
        milestones = self.mapping.milestones
        table = self._without_rejects(batch, places) if batch.problems else pa.table(batch.columns)
        return unfolded(table, list(milestones)) if milestones else table

    def _without_rejects(self, batch: Prepared, places: Ints | None) -> pa.Table:
        if places is None:
            raise Doubt
        for row in sorted(batch.problems):
            code, reason = batch.problems[row]
            place = int(places[row])
            self.rejects.add(
                file=self.file,
                number=place,
                place=f"{self.unit} {place}",
                code=code,
                reason=reason,
                case_id=batch.columns[s.CASE_ID][row].as_py(),
            )
        keep = np.ones(len(places), bool)
        keep[list(batch.problems)] = False
        return pa.table(batch.columns).filter(pa.array(keep))

    def reader(self, time: Time) -> StampReader:
        """Return the reader of a time column, with its memory."""
        pattern = self.mapping.format_of(time) or ""
        if (time.column, pattern) not in self._readers:
            plan = self.mapping.time
            reader = TimeReader(
                pattern=pattern,
                zone=load_zone(self.zone) if self.zone else None,
                ambiguous=plan.ambiguous,
                nonexistent=plan.nonexistent,
            )
            self._readers[time.column, pattern] = StampReader(reader)
        return self._readers[time.column, pattern]

    @cached_property
    def markers(self) -> pa.Array:
        """The texts that mean "no value"."""
        return pa.array(["", *self.mapping.csv.missing], pa.string())


@dataclass(eq=False)
class _Rows:
    """One batch on its way: raw columns in, event columns out, problems by row."""

    converter: Converter
    columns: dict[str, pa.Array]
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)
    policies: Counter[str] = field(default_factory=Counter)
    _texts: dict[str, pa.Array] = field(default_factory=dict)

    def case_id(self) -> dict[str, pa.Array]:
        """Return the column that names the case."""
        column = self._coded(self.converter.mapping.event.case_id)
        return {s.CASE_ID: self._needed(column, "LG101", "case id")}

    def events(self) -> dict[str, pa.Array]:
        """Return the event columns."""
        event = self.converter.mapping.event
        out = self.case_id()
        out[s.ACTIVITY] = self._needed(self._activity(event.activity), "LG102", "activity")
        out[s.AT] = self._needed(self._time(event.at), "LG103", "time")
        for index, order in enumerate(event.order_by):
            column = self._coded(order.column)
            if order.type == "integer":
                column = self._integers(column, order.column)
            out[f"{ORDER_PREFIX}{index}"] = column
        for name in (s.ACTOR, s.TEAM, s.LIFECYCLE):
            part: Text | None = getattr(event, name)
            if part is not None:
                out[name] = self._text(part)
        return out | self._attributes(self._event_attributes(), s.ATTRIBUTE_PREFIX)

    def milestones(self) -> dict[str, pa.Array]:
        """Return the columns of tickets whose milestones `unfolded` makes events of."""
        event, out = self.converter.mapping.event, self.case_id()
        reached = np.zeros(self._length(), bool)
        for number, milestone in enumerate(self.converter.mapping.milestones.values()):
            at = out[f"{MILESTONE}{number}.{s.AT}"] = self._time(milestone)
            reached |= at.is_valid().to_numpy(zero_copy_only=False)
            for name, part in (
                (s.ACTOR, milestone.actor or event.actor),
                (s.TEAM, milestone.team or event.team),
            ):
                if part is not None:
                    out[f"{MILESTONE}{number}.{name}"] = self._text(part)
        for row in np.flatnonzero(~reached).tolist():
            self._problem(row, "LG103", "has no time for any milestone")
        return out

    def case_columns(self) -> dict[str, pa.Array]:
        """Return the columns that describe the case (`case.*`), and its links (`link.*`)."""
        case, out = self.converter.mapping.case, {}
        for name in _CANONICAL_TIMES:
            time: Time | None = getattr(case, name)
            if time is not None:
                out[s.CASE_PREFIX + name] = self._time(time)
        for name in _CANONICAL_CASE:
            part: Text | None = getattr(case, name)
            if part is not None:
                out[s.CASE_PREFIX + name] = self._text(part)
        out |= {s.LINK_PREFIX + kind: self._coded(name) for kind, name in case.links.items()}
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
        return {prefix + short: self._coded(name) for name, short in bare.items()}

    def _coded(self, name: str) -> pa.Array:
        """Return a raw column as coded text, null where it says so."""
        if name not in self._texts:
            column = self.columns[name]
            coded = encoded(column)
            text = is_text(column.type)
            self._texts[name] = _mark_missing(coded, self.converter.markers) if text else coded
        return self._texts[name]

    def _needed(self, column: pa.Array, code: str, what: str) -> pa.Array:
        if column.null_count or (is_coded(column.type) and column.dictionary.null_count):
            for row in np.flatnonzero(_absent(column)).tolist():
                self._problem(row, code, f"has no {what}")
        return column

    def _activity(self, parts: Sequence[Text]) -> pa.Array:
        texts = [self._text(part) for part in parts]
        return texts[0] if len(texts) == 1 else _joined(texts)

    def _text(self, part: Text) -> pa.Array:
        if part.column is None:
            word = pa.array([part.constant], pa.string())
            return from_indices(np.zeros(self._length(), np.int32), word)
        column = self._coded(part.column)
        if part.values is None:
            return column
        known = pa.array(list(part.values), pa.string())
        index = pc.index_in(column.dictionary, value_set=known)
        words = pa.array(part.values.values(), pa.string()).take(index)
        codes = indices_of(column)
        unknown = pc.and_(words.is_null(), column.dictionary.is_valid())
        for row in np.flatnonzero(_gathered(unknown, codes)).tolist():
            value = shown(column[row].as_py())
            self._problem(row, "LG108", f"{value} in {part.column} is not among its values")
        return pa.DictionaryArray.from_arrays(column.indices, words)

    # --- times

    def _time(self, time: Time) -> pa.Array:
        column = self.columns[time.column]
        reader = self.converter.reader(time)
        if pa.types.is_timestamp(column.type):
            wall = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
            return wall if column.type.tz is not None else self._local(wall, time, reader)
        if not is_coded(column.type) and not _repeats(column):
            texts = column.cast(pa.string())
            return self._instants(self._stamps(texts, time), time, None)
        coded = self._coded(time.column)
        return self._instants(self._stamps(coded.dictionary, time), time, indices_of(coded))

    def _local(self, wall: pa.Array, time: Time, reader: StampReader) -> pa.Array:
        """Read wall-clock times that are numbers already."""

        def read(us: int) -> Instant:
            return reader.reader.local(us, str(np.datetime64(us, "us")))

        found = reader.read_wall(wall.fill_null(0).to_numpy(zero_copy_only=False))
        return self._instants(_finished(found, wall, read, time), time, None)

    def _stamps(self, texts: pa.Array, time: Time) -> _Instants:
        """Read texts: quickly those that can be, the others one distinct value at a time."""
        reader, markers = self.converter.reader(time), self.converter.markers
        if reader.reads_some(markers):  # a text that means "no value" looks like a time
            return _finished(reader.read(texts), _null_where(texts, markers), reader.one, time)
        found = reader.read(texts)
        left = pa.array(found.done) if found.done.any() else None
        rest = texts if left is None else pc.if_else(left, pa.scalar(None, pa.string()), texts)
        if found.done.all():
            return _Instants(found.us, found.done, found.policies, {})
        return _finished(found, _null_where(rest, markers), reader.one, time, others=found.done)

    def _instants(self, found: _Instants, time: Time, codes: Codes | None) -> pa.Array:
        """Note what was odd and return the instants, of the rows or by the rows' codes."""
        known = _gathered(found.known, codes)
        for policy, where in found.policies.items():
            self.policies[policy] += int(_gathered(where, codes).sum())
        if date_only(self.converter.reader(time).reader.pattern) and known.any():
            self.policies[DATE_ONLY + time.column] += int(known.sum())
        if found.bad:
            odd = np.zeros(len(found.known), bool)
            odd[list(found.bad)] = True
            for row in np.flatnonzero(_gathered(odd, codes)).tolist():
                self._problem(row, *found.bad[row if codes is None else int(codes[row])])
        us = found.us if codes is None else np.append(found.us, 0)[codes]
        return pa.array(us, pa.int64(), mask=None if known.all() else ~known)

    def _integers(self, column: pa.Array, name: str) -> pa.Array:
        words, codes = column.dictionary, indices_of(column)
        whole = pc.match_substring_regex(words, pattern=r"^[+-]?[0-9]{1,18}$")
        whole = whole.fill_null(False)  # noqa: FBT003 - the fill value
        good = _gathered(whole, codes)
        for row in np.flatnonzero(~good).tolist():
            value = column[row].as_py()
            reason = "is empty" if value is None else f"{shown(value)} is no whole number"
            self._problem(row, "LG109", f"{name} {reason}")
        digits = pc.if_else(whole, pc.utf8_ltrim(words, "+"), pa.scalar("0"))
        values = np.append(digits.cast(pa.int64()).to_numpy(), 0)
        return pa.array(values[codes], pa.int64(), mask=None if good.all() else ~good)

    def _problem(self, row: int, code: str, reason: str) -> None:
        self.problems.setdefault(row, (code, reason))

    def _length(self) -> int:
        return len(next(iter(self.columns.values())))


class _Instants(NamedTuple):
    """Stamps that were read: instants where `known`, where a policy decided, what is bad by row."""

    us: Ints
    known: Bools
    policies: dict[str, Bools]
    bad: dict[int, tuple[str, str]]


def _finished(
    found: Stamps,
    rest: pa.Array,
    read: Callable[[Value], Instant],
    time: Time,
    *,
    others: Bools | None = None,
) -> _Instants:
    """Read the distinct values of `rest` that were left undone, one by one.

    Null in `rest` means no value, except where `others` says that the row is done.
    """
    valid = rest.is_valid().to_numpy(zero_copy_only=False)
    known = found.done & (valid if others is None else valid | others)
    policies = {name: where & known for name, where in found.policies.items()}
    us, bad = found.us.copy(), dict[int, tuple[str, str]]()
    left = np.flatnonzero(valid & ~known)
    coded = rest.take(pa.array(left)).dictionary_encode()
    rows_of = np.argsort(indices := coded.indices.to_numpy(), kind="stable")
    ends = np.cumsum(np.bincount(indices, minlength=len(coded.dictionary)))
    for code, value in enumerate(coded.dictionary.to_pylist()):
        rows = left[rows_of[ends[code - 1] if code else 0 : ends[code]]]
        try:
            instant = read(value)
        except BadTimeError as error:
            bad |= dict.fromkeys(rows.tolist(), (error.code, f"{time.column} {error.reason}"))
            continue
        us[rows], known[rows] = instant.us, True
        if instant.policy:
            policies.setdefault(instant.policy, np.zeros(len(us), bool))[rows] = True
    return _Instants(us, known, policies, bad)


def _repeats(column: pa.Array) -> bool:
    """Whether most values stand more than once, as far as a sample tells."""
    return len(pc.unique(column[:SAMPLE])) * 3 < min(SAMPLE, len(column))


def _gathered(values: pa.Array | Bools, codes: Codes | None) -> Bools:
    """Return which rows have a word for which it holds; null rows do not."""
    holds: Bools = np.asarray(values)
    return holds if codes is None else np.append(holds, [False])[codes]


def _mark_missing(column: pa.Array, markers: pa.Array) -> pa.Array:
    """Return a coded column in which the words that are markers are null."""
    words = _null_where(column.dictionary, markers)
    return pa.DictionaryArray.from_arrays(column.indices, words)


def _absent(column: pa.Array) -> Bools:
    """Return which rows are null, be it by their word."""
    if not is_coded(column.type):
        return np.asarray(column.is_null())
    return ~_gathered(column.dictionary.is_valid(), indices_of(column))


def _null_where(texts: pa.Array, markers: pa.Array) -> pa.Array:
    missing = pc.is_in(texts, value_set=markers)
    if not pc.any(missing).as_py():
        return texts
    return pc.if_else(missing, pa.scalar(None, pa.string()), texts)


def _joined(columns: Sequence[pa.Array]) -> pa.Array:
    """Join coded columns by "+", each distinct combination once; null is left out, "" is null."""
    combined = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        own = np.where(_absent(column), -1, indices_of(column)).astype(np.int64) + 1
        _, combined = np.unique(combined * (len(column.dictionary) + 1) + own, return_inverse=True)
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    parts = [column.take(pa.array(first)).cast(pa.string()) for column in columns]
    nothing = pc.coalesce(*parts).is_null()
    parts[0] = pc.if_else(nothing, "", parts[0])  # pyarrow drops a row whose parts are all null
    words = pc.binary_join_element_wise(*parts, "+", null_handling="skip")
    joined = from_indices(codes.astype(np.int32), words)
    return _mark_missing(joined, pa.array([""], pa.string()))


def one_priority(
    out: dict[str, pa.Array], mapping: TableMapping, given: Iterable[str]
) -> dict[str, pa.Array]:
    """Let `attr.priority` of events mean one thing: the case's priority after the event.

    A raw column that would be called so gives way to the translated words of the case's priority,
    where rows tell it; one of the `given` that is called so in full is ours already.
    """
    told = out.get(s.CASE_PREFIX + s.PRIORITY)
    raw = s.PRIORITY_THEN in out and s.PRIORITY_THEN not in {*given, *mapping.people()}
    return out | {s.PRIORITY_THEN: told} if raw and told is not None else out


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
    """Return how many local times each policy decided, and how many stamps say the day only."""
    return tuple(
        Seen("QG123", count, subject=policy.removeprefix(DATE_ONLY))
        if policy.startswith(DATE_ONLY)
        else Seen("QG111", count, subject=policy)
        for policy, count in sorted(policies.items())
    )


def _dense(column: pa.Array | pa.ChunkedArray) -> Ints:
    if is_text(column.type):
        coded = code_ranks(column)
        return np.where(coded.codes < 0, len(coded.words), coded.codes).astype(np.int64)
    rank: Ints = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy()
    return rank.astype(np.int64)
