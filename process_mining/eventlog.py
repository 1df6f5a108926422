"""What is an event log, and in which order did things happen?

An `EventLog` is frozen and checked when it is built: every event belongs to a known case, times
are int64 microseconds UTC, and the order inside a case is total. Events are sorted by
(case_id, at, position), where `position` is the order that the source declares (a sequence
column, or the place in a trace); what still ties is ordered by the events' own content, never by
the order of rows, so that shuffled rows give the same log. `seq` numbers the events of a case from
0 in that order.

A case is a ticket; `cases` has one row a case, sorted by case_id; `links` says which tickets name
which others (an incident its problem, a change the incident that it caused). Names of people are
replaced by keyed pseudonyms, and addresses by which people can be reached are masked, while the log
is built (`privacy`), so no later step can show them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.privacy import mask_contacts, pseudonyms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Codes = npt.NDArray[np.int32]

POSITION = "position"
_TIE = "declared order"


Unit = Literal["events", "cases", "minutes", "rows", "days"]


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: its name without the folder, its SHA-256 and its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Seen:
    """A defect that only the reader of a file can see: a code of the quality gate, and how much.

    `count` of `of` units (None: of all events) are concerned; `subject` says which column or kind.
    `cases` are the distinct ids of the cases concerned, sorted, or None where it is all of them.
    """

    code: str
    count: int
    unit: Unit = "events"
    subject: str = ""
    of: int | None = None
    cases: tuple[str, ...] | None = ()


@dataclass(frozen=True)
class LogMeta:
    """Where a log came from and what was refused on the way (rows_in = accepted + rejected).

    `masked` counts the texts in which an address was masked, by kind: (("email", 3), …).
    """

    source: str
    files: tuple[SourceFile, ...] = ()
    timezone: str = "UTC"
    rows_in: int = 0
    rejects: pa.Table = field(default_factory=s.REJECT_SCHEMA.empty_table)
    sha256: str = ""
    clear_names: bool = False
    time_resolution_us: int = 1
    notes: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    clear_contacts: bool = False
    masked: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class EventArrays:
    """The columns that kernels read, in log order; codes index the sorted name tuples.

    `offsets` has n_cases + 1 entries: case i owns the events offsets[i]:offsets[i + 1].
    `activity` is -1 where the event records an update but no step; `actor` and `team` are -1
    where the source names none.
    """

    offsets: Ints
    at: Ints
    seq: Ints
    activity: Codes
    actor: Codes
    team: Codes
    activities: tuple[str, ...]
    actors: tuple[str, ...]
    teams: tuple[str, ...]

    @property
    def n_cases(self) -> int:
        """Number of cases."""
        return len(self.offsets) - 1

    @cached_property
    def case_of(self) -> Ints:
        """The case index of every event."""
        return np.repeat(np.arange(self.n_cases), np.diff(self.offsets))

    def code_of(self, activity: str) -> int:
        """Return the code of an activity, or -2 (which no event has) where the log lacks it."""
        try:
            return self.activities.index(activity)
        except ValueError:
            return -2


@dataclass(frozen=True, eq=False)
class EventLog:
    """Events in total order, cases sorted by id, and where they came from.

    `events`: case_id, seq, activity, at, lifecycle, actor, team, then `attr.*` by name.
    `cases`: case_id, practice, priority, category, service, opened, resolved, closed, `attr.*`, and
    `order_known`: false where events share a time and the source declares no order among them.
    `links`: case_id, linked_to (which need not be a case of this log), kind, at (µs UTC, null where
    the source does not say when), sorted by these columns, each row once.
    """

    events: pa.Table
    cases: pa.Table
    meta: LogMeta
    links: pa.Table = field(default_factory=s.LINK_SCHEMA.empty_table)

    @classmethod
    def build(  # noqa: PLR0913 - what a source can know of a log
        cls,
        events: pa.Table,
        *,
        meta: LogMeta,
        cases: pa.Table | None = None,
        links: pa.Table | None = None,
        people: frozenset[str] = frozenset(),
        activity_order: Sequence[str] = (),
        pseudonym_key: bytes | None = None,
    ) -> EventLog:
        """Order, check and pseudonymise what a source read.

        `events` holds the columns of `schema.EVENT_TYPES` (missing ones become null), `attr.*`,
        an optional int64 `position`, and optional `case.*` columns whose last known value in a
        case is the case's value. `cases` holds `schema.CASE_TYPES` and `attr.*`; its values win.
        `links` holds `schema.LINK_SCHEMA`. `people` names the `attr.*` columns, of events or cases,
        that hold names; they become pseudonyms as actors do. `activity_order` is the declared order
        of activities that share a time and a position.
        `pseudonym_key` makes pseudonyms comparable between logs; without it the key is derived
        from the log's own content, so they are stable for one log and mean nothing elsewhere.

        Raises RunError LG001 for a null case id or activity, LG002 for a time missing in a log
        that has times, LG003 for two case rows with one id, LG004 for a case of two practices.
        """
        events = _conform(events, s.EVENT_TYPES)
        _require_keys(events)
        events = _sorted(events, activity_order)
        known = _order_known(events, activity_order)
        if POSITION in events.column_names:
            events = events.drop_columns([POSITION])
        content = _digest(events)
        collapsed, events = _split_case_columns(events)
        table = _case_table(collapsed, cases)
        table = _set(table, s.ORDER_KNOWN, pc.is_in(table[s.CASE_ID], value_set=known))
        joined = _link_table(links)
        sha256 = hashlib.sha256(content + _digest(table) + _digest(joined)).hexdigest()
        key = pseudonym_key or hashlib.sha256(b"trueloop pseudonym key" + content).digest()
        if not meta.clear_names:
            events, table = _without_names(events, table, people, key)
        if not meta.clear_contacts:
            events, table, masked = _without_contacts(events, table, key)
            meta = replace(meta, masked=masked)
        offsets = _offsets(events)
        seq = np.arange(len(events)) - np.repeat(offsets[:-1], np.diff(offsets))
        events = events.add_column(1, s.SEQ, pa.array(seq, pa.int64()))
        meta = replace(meta, sha256=sha256)
        return cls(events=events, cases=table, meta=meta, links=joined)

    @cached_property
    def arrays(self) -> EventArrays:
        """The integer columns that kernels read."""
        activity, activities = _codes(self.events[s.ACTIVITY])
        actor, actors = _codes(self.events[s.ACTOR])
        team, teams = _codes(self.events[s.TEAM])
        return EventArrays(
            offsets=_offsets_of(self.events, self.cases),
            at=_int64(self.events[s.AT]),
            seq=_int64(self.events[s.SEQ]),
            activity=activity,
            actor=actor,
            team=team,
            activities=activities,
            actors=actors,
            teams=teams,
        )

    @property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.events.num_rows)

    @property
    def n_cases(self) -> int:
        """Number of cases."""
        return int(self.cases.num_rows)

    @property
    def timed(self) -> bool:
        """Whether the events have times (an XES log of level A has none)."""
        return self.n_events == 0 or self.events[s.AT].null_count == 0

    def select(self, keep: npt.NDArray[np.bool_]) -> EventLog:
        """Return the log of the cases for which `keep` (one bool a case, in case order) is true."""
        mask = np.repeat(keep, np.diff(self.arrays.offsets))
        events, cases = self.events.filter(pa.array(mask)), self.cases.filter(pa.array(keep))
        return replace(self, events=events, cases=cases, links=_links_of(self.links, cases))

    def until(self, moment_us: int) -> EventLog:
        """Return the log as it was known at a moment: later events had not happened yet.

        A case is known if it has an event by then, or was opened by then; a `resolved` or `closed`
        that lies later becomes null, for an export fills such columns in afterwards. Links that are
        known to be later are left out; one without a time stays.
        """
        past = self.arrays.at <= moment_us
        started = np.bincount(self.arrays.case_of[past], minlength=self.n_cases) > 0
        by_then = {
            name: self._by_then(name, moment_us) for name in (s.OPENED, s.RESOLVED, s.CLOSED)
        }
        keep = started | by_then[s.OPENED].is_valid().to_numpy(zero_copy_only=False)
        known = self.with_columns(cases={n: by_then[n] for n in (s.RESOLVED, s.CLOSED)})
        events = known.events.filter(pa.array(past & keep[self.arrays.case_of]))
        cases = known.cases.filter(pa.array(keep))
        links = self.links.filter(
            pc.fill_null(pc.less_equal(self.links[s.AT], moment_us), fill_value=True)
        )
        return replace(self, events=events, cases=cases, links=_links_of(links, cases))

    def _by_then(self, name: str, moment_us: int) -> pa.Array:
        """A time column of the cases, null where it lies after the moment."""
        column = self.cases[name].combine_chunks()
        return pc.if_else(pc.less_equal(column, moment_us), column, pa.scalar(None, pa.int64()))

    def with_columns(
        self,
        *,
        events: Mapping[str, pa.Array | pa.ChunkedArray] | None = None,
        cases: Mapping[str, pa.Array | pa.ChunkedArray] | None = None,
    ) -> EventLog:
        """Return the log with whole columns replaced or added; order and rows stay as they are."""
        new_events, new_cases = self.events, self.cases
        for name, values in (events or {}).items():
            new_events = _set(new_events, name, values)
        for name, values in (cases or {}).items():
            new_cases = _set(new_cases, name, values)
        return replace(self, events=new_events, cases=new_cases)

    def to_pandas(self) -> pd.DataFrame:
        """Return the events as a tidy DataFrame with `at` as UTC timestamps."""
        at = self.events[s.AT].cast(s.UTC_US)
        frame: pd.DataFrame = _set(self.events, s.AT, at).to_pandas()
        return frame


def _conform(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Bring the canonical columns to the front with their types; other columns follow by name."""
    rest = sorted(name for name in table.column_names if name not in types)
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        name: table[name].cast(kind)
        if name in table.column_names
        else pa.nulls(table.num_rows, kind)
        for name, kind in types.items()
    }
    columns |= {name: table[name] for name in rest}
    return pa.table(columns)


def _require_keys(events: pa.Table) -> None:
    for name in (s.CASE_ID, s.ACTIVITY):
        if events[name].null_count:
            msg = f"{events[name].null_count} events have no {name}"
            raise RunError("LG001", msg, fix="A source must reject such rows with their place")
    missing = events[s.AT].null_count
    if missing not in (0, events.num_rows):
        msg = f"{missing} of {events.num_rows} events have no time"
        raise RunError("LG002", msg, fix="A source must reject such rows with their place")


def _sorted(events: pa.Table, activity_order: Sequence[str]) -> pa.Table:
    """Sort by case, time, position, declared activity order, then by every other column by name."""
    first = [s.CASE_ID, s.AT, POSITION] if POSITION in events.column_names else [s.CASE_ID, s.AT]
    rest = [name for name in events.column_names if name not in first]
    ranked = {name: _rank(events[name]) for name in first}
    if activity_order:
        ranked[_TIE] = _tie_rank(events[s.ACTIVITY], activity_order)
    ranked |= {name: _rank(events[name]) for name in rest}
    keys = [(name, "ascending") for name in ranked]
    order = pc.sort_indices(pa.table(ranked), sort_keys=keys)
    return events.take(order).combine_chunks()


def _tie_rank(activities: pa.ChunkedArray, activity_order: Sequence[str]) -> pa.ChunkedArray:
    """The place of each activity in the declared order; one that it does not name comes last."""
    place = pc.index_in(activities, value_set=pa.array(activity_order, pa.string()))
    return place.fill_null(len(activity_order))


def _rank(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Strings as the rank of their code points: integers sort several times faster."""
    if not pa.types.is_string(column.type):
        return column
    codes, _ = _codes(column)
    return pa.array(codes)


def _codes(column: pa.ChunkedArray) -> tuple[Codes, tuple[str, ...]]:
    """Return each value's rank among the sorted distinct values (-1 for null), and those values."""
    coded = column.combine_chunks().dictionary_encode()
    words: list[str] = coded.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words) + 1, dtype=np.int32)
    rank[order] = np.arange(len(words), dtype=np.int32)
    rank[-1] = -1
    index = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return rank[index], tuple(words[i] for i in order)


def _int64(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.fill_null(0).combine_chunks().to_numpy(zero_copy_only=False)
    return values.astype(np.int64, copy=False)


def _offsets(events: pa.Table) -> Ints:
    """Where each case starts in events that are sorted by case, and the end."""
    ids, _ = _codes(events[s.CASE_ID])
    starts = np.flatnonzero(np.diff(ids, prepend=-2)) if len(ids) else np.empty(0, np.int64)
    return np.append(starts, len(ids)).astype(np.int64)


def _order_known(events: pa.Table, activity_order: Sequence[str]) -> pa.Array:
    """Return the ids of the cases whose order is told by times, positions and declared order.

    It is not where two events in a row share a time (or have none), the source gives them no
    different positions, they are different activities, and no order of these two is declared: then
    only their content orders them.
    """
    offsets = _offsets(events)
    at, word = _int64(events[s.AT]), _codes(events[s.ACTIVITY])[0]
    place = np.full(len(at), -1, np.int64)
    if POSITION in events.column_names:
        place = _int64(events[POSITION].fill_null(-1))
    tied = (at[1:] == at[:-1]) & (place[1:] == place[:-1]) & (word[1:] != word[:-1])
    if activity_order:
        tie = _int64(_tie_rank(events[s.ACTIVITY], activity_order))
        tied &= (tie[1:] == len(activity_order)) | (tie[:-1] == len(activity_order))
    tied[offsets[1:-1] - 1] = False
    cases = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    known = np.ones(len(offsets) - 1, bool)
    known[cases[1:][tied]] = False
    return events[s.CASE_ID].take(pa.array(offsets[:-1][known])).combine_chunks()


def _offsets_of(events: pa.Table, cases: pa.Table) -> Ints:
    """Offsets for every case of the case table; a case without events owns an empty span."""
    index = pc.index_in(events[s.CASE_ID], value_set=cases[s.CASE_ID].combine_chunks())
    counts = np.bincount(_int64(index.cast(pa.int64())), minlength=cases.num_rows)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _split_case_columns(events: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split `case.*` columns off, each collapsed to the last known value of the case."""
    _refuse_two_practices(events)
    offsets = _offsets(events)
    starts, ends = offsets[:-1], offsets[1:]
    columns = {s.CASE_ID: events[s.CASE_ID].take(pa.array(starts))}
    taken = [name for name in events.column_names if name.startswith(s.CASE_PREFIX)]
    for name in taken:
        known = events[name].is_valid().combine_chunks().to_numpy(zero_copy_only=False)
        last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
        pick = last[ends - 1] if len(ends) else last
        index = pa.array(pick, mask=pick < starts)
        columns[name.removeprefix(s.CASE_PREFIX)] = events[name].take(index)
    return pa.table(columns), events.drop_columns(taken) if taken else events


def _refuse_two_practices(events: pa.Table) -> None:
    name = s.CASE_PREFIX + s.PRACTICE
    if name not in events.column_names:
        return
    named = events.select([s.CASE_ID, name]).filter(events[name].is_valid())
    pairs = named.group_by([s.CASE_ID, name]).aggregate([])
    counts = pairs.group_by(s.CASE_ID).aggregate([(name, "count")])
    torn = counts.filter(pc.greater(counts[f"{name}_count"], 1))[s.CASE_ID].sort()
    if len(torn):
        msg = f"{len(torn)} cases name two practices, the first is '{torn[0].as_py()}'"
        raise RunError("LG004", msg, fix="Give the tickets of each practice ids of their own")


def _case_table(collapsed: pa.Table, given: pa.Table | None) -> pa.Table:
    """One row a case, sorted by id: the given values first, then what the events say."""
    if given is None:
        return _conform(collapsed, s.CASE_TYPES)
    given = given.take(pc.sort_indices(given[s.CASE_ID]))
    ids = given[s.CASE_ID].to_pylist()
    twice = next((a for a, b in pairwise(ids) if a == b), None)
    if twice is not None:
        msg = f"case '{twice}' stands twice in the case table"
        raise RunError("LG003", msg, why="its attributes would be ambiguous", fix="Keep one row")
    everyone = pa.array(sorted(set(ids) | set(collapsed[s.CASE_ID].to_pylist())), pa.string())
    names = set(collapsed.column_names) | set(given.column_names)
    columns: dict[str, pa.ChunkedArray | pa.Array] = {s.CASE_ID: everyone}
    for name in sorted(names - {s.CASE_ID}):
        found = [_lookup(table, name, everyone) for table in (given, collapsed)]
        present = [column for column in found if column is not None]
        columns[name] = present[0] if len(present) == 1 else pc.coalesce(*present)
    return _conform(pa.table(columns), s.CASE_TYPES)


def _lookup(table: pa.Table, name: str, ids: pa.Array) -> pa.ChunkedArray | None:
    if name not in table.column_names:
        return None
    return table[name].take(pc.index_in(ids, value_set=table[s.CASE_ID].combine_chunks()))


def _link_table(links: pa.Table | None) -> pa.Table:
    """The links in order, each once."""
    if links is None:
        return s.LINK_SCHEMA.empty_table()
    whole = links.select(s.LINK_SCHEMA.names).cast(s.LINK_SCHEMA)
    once = whole.group_by(s.LINK_SCHEMA.names, use_threads=False).aggregate([])
    return once.sort_by([(name, "ascending") for name in s.LINK_SCHEMA.names]).combine_chunks()


def _links_of(links: pa.Table, cases: pa.Table) -> pa.Table:
    """The links that start at one of the cases."""
    mine = cases[s.CASE_ID].combine_chunks()
    return links.filter(pc.is_in(links[s.CASE_ID], value_set=mine))


def _without_names(
    events: pa.Table, cases: pa.Table, people: frozenset[str], key: bytes
) -> tuple[pa.Table, pa.Table]:
    """Replace the names in the actor column and in the columns declared to hold people."""
    for name in sorted({s.ACTOR, *people} & set(events.column_names)):
        events = _set(events, name, pseudonyms(events[name], key))
    for name in sorted(people & set(cases.column_names)):
        cases = _set(cases, name, pseudonyms(cases[name], key))
    return events, cases


def _without_contacts(
    events: pa.Table, cases: pa.Table, key: bytes
) -> tuple[pa.Table, pa.Table, tuple[tuple[str, int], ...]]:
    """Mask addresses in every text but the case id; return how many texts of each kind had one."""
    counts: dict[str, int] = {}
    masked = []
    for table in (events, cases):
        for name in table.column_names:
            if name in {s.CASE_ID, s.ACTOR} or not pa.types.is_string(table[name].type):
                continue
            column, found = mask_contacts(table[name], key)
            if found:
                table = _set(table, name, column)  # noqa: PLW2901 - the table with that column
                counts = {k: counts.get(k, 0) + found.get(k, 0) for k in {*counts, *found}}
        masked.append(table)
    return masked[0], masked[1], tuple(sorted(counts.items()))


def _set(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    index = table.schema.get_field_index(name)
    if index < 0:
        return table.append_column(name, values)
    return table.set_column(index, name, values)


def _digest(table: pa.Table) -> bytes:
    """SHA-256 of the values (not of their encoding): names, types, validity, text or numbers."""
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(f"{name}\0{column.type}\0{len(column)}\0{column.null_count}\0".encode())
        digest.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes())
        for part in _value_bytes(column):
            digest.update(part)
    return digest.digest()


def _value_bytes(column: pa.Array) -> Sequence[bytes]:
    if pa.types.is_string(column.type):
        text = column.fill_null("").cast(pa.large_string())
        lengths = pc.binary_length(text).to_numpy(zero_copy_only=False).astype("<i8")
        _, offsets, data = text.buffers()
        bounds = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
        first, last = (int(bounds[0]), int(bounds[-1])) if len(bounds) else (0, 0)
        return (lengths.tobytes(), data.to_pybytes()[first:last] if data else b"")
    if pa.types.is_boolean(column.type):
        return (np.packbits(column.fill_null(False).to_numpy(zero_copy_only=False)).tobytes(),)  # noqa: FBT003 - the fill value
    kind = "<f8" if pa.types.is_floating(column.type) else "<i8"
    return (column.fill_null(0).to_numpy(zero_copy_only=False).astype(kind).tobytes(),)
