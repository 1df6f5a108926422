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
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining._ahead import ahead
from process_mining._coded import Coded, decoded, is_coded, is_text, plain, ranked
from process_mining._order import order_of
from process_mining.errors import RunError
from process_mining.privacy import (
    mask_contacts,
    masked_words,
    may_hold,
    pseudonyms,
    pseudonyms_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from process_mining._order import Order

    Ints = npt.NDArray[np.int64]
    Codes = npt.NDArray[np.int32]

POSITION = "position"
_AT_ONCE = 1 << 15
_NO_CONTACTS = frozenset({s.CASE_ID, s.ACTOR})

Unit = Literal["events", "cases", "minutes", "rows", "days", "clock changes"]


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
    `recordable` are the only activities that the source can record, in its words; empty: not known.
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
    recordable: tuple[str, ...] = ()


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
        case is the case's value; `case.priority` also stays with the events, as `attr.priority`,
        if any case has two. `cases` holds `schema.CASE_TYPES` and `attr.*`; its values win.
        `links` holds `schema.LINK_SCHEMA`. `people` names the `attr.*` columns, of events or cases,
        that hold names; they become pseudonyms as actors do. `activity_order` is the declared order
        of activities that share a time and a position. Texts may be coded (`_coded`).
        `pseudonym_key` makes pseudonyms comparable between logs; without it the key is derived
        from the log's own content, so they are stable for one log and mean nothing elsewhere.

        Raises RunError LG001 for a null case id or activity, LG002 for a time missing in a log
        that has times, LG003 for two case rows with one id, LG004 for a case of two practices.
        """
        events = _conform(events, s.EVENT_TYPES)
        _require_keys(events)
        order = order_of(events, position=POSITION, activity_order=activity_order)
        draft = _Draft.of(events, order, meta, people)
        table = _case_table(draft.collapsed(), plain(cases) if cases is not None else None)
        unsure = pc.is_in(table[s.CASE_ID], value_set=draft.unordered())
        table = _set(table, s.ORDER_KNOWN, pc.invert(unsure))
        joined = _link_table(links)
        content = draft.digest
        sha256 = hashlib.sha256(content + _digest(table) + _digest(joined)).hexdigest()
        key = pseudonym_key or hashlib.sha256(b"trueloop pseudonym key" + content).digest()
        if not meta.clear_names:
            table = _without_names(table, people, key)
        events, masked = draft.finished(key)
        if not meta.clear_contacts:
            table, also = _without_contacts(table, key)
            joined, beside = _without_contacts(joined, key)
            joined = _link_table(joined)
            meta = replace(meta, masked=tuple(sorted((masked + also + beside).items())))
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
        that lies later becomes null, for an export fills such columns in afterwards; where the
        events tell the priority, it is the last one told by then. Links that are known to be later
        are left out; one without a time stays.
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
        if s.PRIORITY_THEN in events.column_names:
            cases = _set(cases, s.PRIORITY, _last_told(events, cases, s.PRIORITY_THEN, s.PRIORITY))
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
        name: _cast(table[name], kind)
        if name in table.column_names
        else pa.nulls(table.num_rows, kind)
        for name, kind in types.items()
    }
    columns |= {name: table[name] for name in rest}
    return pa.table(columns)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Coded text stays coded."""
    return column if is_coded(column.type) and pa.types.is_string(kind) else column.cast(kind)


def _require_keys(events: pa.Table) -> None:
    for name in (s.CASE_ID, s.ACTIVITY):
        if events[name].null_count:
            msg = f"{events[name].null_count} events have no {name}"
            raise RunError("LG001", msg, fix="A source must reject such rows with their place")
    missing = events[s.AT].null_count
    if missing not in (0, events.num_rows):
        msg = f"{missing} of {events.num_rows} events have no time"
        raise RunError("LG002", msg, fix="A source must reject such rows with their place")


def _codes(column: pa.ChunkedArray) -> tuple[Codes, tuple[str, ...]]:
    """Return each value's rank among the sorted distinct values (-1 for null), and those values."""
    coded = ranked(column)
    used = np.unique(coded.codes[coded.codes >= 0])
    place = np.full(len(coded.words) + 1, -1, np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    return place[coded.codes], tuple(coded.words.take(pa.array(used)).to_pylist())


def _int64(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.fill_null(0).combine_chunks().to_numpy(zero_copy_only=False)
    return values.astype(np.int64, copy=False)


def _offsets_of(events: pa.Table, cases: pa.Table) -> Ints:
    """Offsets for every case of the case table; a case without events owns an empty span."""
    # the events of a case stand together: one look-up a case, not one an event
    runs = pc.run_end_encode(events[s.CASE_ID].combine_chunks(), run_end_type=pa.int64())
    index = pc.index_in(runs.values, value_set=cases[s.CASE_ID].combine_chunks())
    counts = np.zeros(cases.num_rows, np.int64)
    counts[index.to_numpy()] = np.diff(runs.run_ends.to_numpy(), prepend=0)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _last_told(events: pa.Table, cases: pa.Table, told: str, own: str) -> pa.Array:
    """What the last event that tells it says of each case; its own where no event does."""
    known = events.filter(events[told].is_valid())
    last = known.group_by(s.CASE_ID, use_threads=False).aggregate([(told, "last")])
    index = pc.index_in(cases[s.CASE_ID], value_set=last[s.CASE_ID].combine_chunks())
    return pc.coalesce(last[f"{told}_last"].take(index), cases[own]).combine_chunks()


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


def _without_names(cases: pa.Table, people: frozenset[str], key: bytes) -> pa.Table:
    """Replace the names in the columns of the cases that are declared to hold people."""
    for name in sorted(people & set(cases.column_names)):
        cases = _set(cases, name, pseudonyms(cases[name], key))
    return cases


def _without_contacts(table: pa.Table, key: bytes) -> tuple[pa.Table, Counter[str]]:
    """Mask addresses in every text but the case id; count the texts that had one, by kind.

    `table` holds cases or links. Masked links may become equal and change their order.
    """
    counts = Counter[str]()
    for name in table.column_names:
        if name in {s.CASE_ID, s.ACTOR} or not pa.types.is_string(table[name].type):
            continue
        column, found = mask_contacts(table[name], key)
        if found:
            table = _set(table, name, column)
            counts.update(found)
    return table, counts


@dataclass(eq=False)
class _Draft:
    """The events in order, some columns still as words: names and addresses are in them.

    Columns are taken from the source one at a time, each digested and brought to its last form as
    far as the key of the pseudonyms is not needed for it, so that little is held twice.
    """

    order: Order
    columns: dict[str, pa.Array] = field(default_factory=dict)
    names: dict[str, Coded] = field(default_factory=dict)
    contacts: dict[str, Coded] = field(default_factory=dict)
    of_cases: dict[str, pa.Array] = field(default_factory=dict)
    digest: bytes = b""

    @classmethod
    def of(cls, events: pa.Table, order: Order, meta: LogMeta, people: frozenset[str]) -> _Draft:
        draft = cls(order)
        digest = hashlib.sha256()
        names = [name for name in events.column_names if name != POSITION]
        done = ahead(partial(draft._ordered, events, meta, people), names)
        for name, (column, last) in zip(names, done, strict=True):
            if not name.startswith(s.CASE_PREFIX):
                _update_any(digest, name, last)
                draft._keep(name, last, secret=_names_people(name, meta, people))
                continue
            draft._collapse(name, column)  # part of the cases' digest, wherever it was told
            if name == s.CASE_PREFIX + s.PRIORITY and len(draft._torn(column)):
                mask = _to_mask(s.PRIORITY_THEN, column, meta)
                then = column if mask else decoded(column, name)
                _update_any(digest, s.PRIORITY_THEN, then)
                draft._keep(s.PRIORITY_THEN, then, secret=False)
        draft.digest = digest.digest()
        return draft

    def _keep(self, name: str, column: pa.Array | Coded, *, secret: bool) -> None:
        """Keep a column in place of what was kept under its name."""
        for kept in (self.columns, self.names, self.contacts):
            kept.pop(name, None)
        if not isinstance(column, Coded):
            self.columns[name] = column
        elif secret:
            self.names[name] = column
        else:
            self.contacts[name] = column

    def _ordered(
        self, events: pa.Table, meta: LogMeta, people: frozenset[str], name: str
    ) -> tuple[pa.Array | Coded, pa.Array | Coded]:
        """Return a column in order, and as it is kept: as words if they are to be replaced."""
        source = events[name]
        if name == s.CASE_ID:
            return self.order.case, decoded(self.order.case, name)
        if not is_text(source.type):
            numbers = _taken(source, self.order.rows)
            return numbers, numbers
        column = ranked(source).take(self.order.rows)
        if name.startswith(s.CASE_PREFIX) or _names_people(name, meta, people):
            return column, column
        return column, column if _to_mask(name, column, meta) else decoded(column, name)

    def _collapse(self, name: str, column: pa.Array | Coded) -> None:
        """Keep the last known value of each case."""
        if name == s.CASE_PREFIX + s.PRACTICE and isinstance(column, Coded):
            self._refuse_two_practices(column)
        short = name.removeprefix(s.CASE_PREFIX)
        if isinstance(column, Coded):
            last = self._last(column.codes >= 0)
            codes = np.where(last < 0, np.int32(-1), column.codes[last])
            self.of_cases[short] = decoded(Coded(codes, column.words), name)
        else:
            last = self._last(column.is_valid().to_numpy(zero_copy_only=False))
            self.of_cases[short] = column.take(pa.array(last, mask=last < 0))

    def _last(self, known: npt.NDArray[np.bool_]) -> Ints:
        """Return the last row of each case of which something is known, -1 where none is."""
        starts, ends = self.order.offsets[:-1], self.order.offsets[1:]
        if known.all() or not len(starts):
            return ends - 1
        place = np.where(known, np.arange(len(known)), -1)
        last: Ints = np.maximum.reduceat(place, starts)
        return last

    def _torn(self, column: pa.Array | Coded) -> Ints:
        """Return the numbers of the cases that have two different known words; numbers: none."""
        if not isinstance(column, Coded):
            return np.zeros(0, np.int64)
        rows = np.flatnonzero(column.codes >= 0)
        word = column.codes[rows]
        other = np.flatnonzero(word[1:] != word[:-1])
        before, after = (
            np.searchsorted(self.order.offsets, rows[place], side="right") - 1
            for place in (other, other + 1)
        )
        torn: Ints = np.unique(after[before == after])
        return torn

    def _refuse_two_practices(self, column: Coded) -> None:
        torn = self._torn(column)
        if len(torn):
            first = self._ids(torn[:1])[0].as_py()
            msg = f"{len(torn)} cases name two practices, the first is '{first}'"
            raise RunError("LG004", msg, fix="Give the tickets of each practice ids of their own")

    def _ids(self, cases: Ints) -> pa.Array:
        """Return the ids of cases by their numbers."""
        return self.order.case.words.take(
            pa.array(self.order.case.codes[self.order.offsets[cases]])
        )

    def unordered(self) -> pa.Array:
        """Return the ids of the cases whose order is not known."""
        return self._ids(self.order.unordered)

    def collapsed(self) -> pa.Table:
        """Return what the events say of each case."""
        ids = self._ids(np.arange(len(self.order.offsets) - 1))
        return pa.table({s.CASE_ID: ids} | self.of_cases)

    def finished(self, key: bytes) -> tuple[pa.Table, Counter[str]]:
        """Return the events without names and addresses, and how many texts had an address."""
        masked = Counter[str]()
        for name, column in self.names.items():
            words = pseudonyms_of(column.words, key)
            self.columns[name] = decoded(Coded(column.codes, words), name)
        for name, column in self.contacts.items():
            words, kinds = masked_words(column.words, key)
            times = np.bincount(column.codes[column.codes >= 0], minlength=len(words))
            for count, found in zip(times.tolist(), kinds, strict=True):
                masked.update(dict.fromkeys(found, count) if count else {})
            self.columns[name] = decoded(Coded(column.codes, words), name)
        offsets = self.order.offsets
        seq = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
        self.columns[s.SEQ] = pa.array(seq, pa.int64())
        first = [s.CASE_ID, s.SEQ, *(n for n in s.EVENT_TYPES if n != s.CASE_ID)]
        rest = sorted(set(self.columns) - set(first))
        return pa.table({name: self.columns[name] for name in (*first, *rest)}), masked


def _names_people(name: str, meta: LogMeta, people: frozenset[str]) -> bool:
    """Whether the words of a column of events are to become pseudonyms."""
    return not meta.clear_names and name in {s.ACTOR, *people}


def _to_mask(name: str, column: Coded, meta: LogMeta) -> bool:
    """Whether the words of a column of events may hold addresses that are to be masked."""
    return not meta.clear_contacts and name not in _NO_CONTACTS and may_hold(column.words)


def _taken(column: pa.ChunkedArray, rows: Ints) -> pa.Array:
    """Return numbers in another order."""
    if not pa.types.is_int64(column.type):
        return column.combine_chunks().take(pa.array(rows))
    if not column.null_count:
        return pa.array(column.to_numpy()[rows])
    missing = column.is_null().to_numpy()
    return pa.array(column.fill_null(0).to_numpy()[rows], mask=missing[rows])


def _set(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    index = table.schema.get_field_index(name)
    if index < 0:
        return table.append_column(name, values)
    return table.set_column(index, name, values)


def _digest(table: pa.Table) -> bytes:
    """SHA-256 of the values (not of their encoding): names, types, validity, text or numbers."""
    digest = hashlib.sha256()
    for name in table.column_names:
        _update(digest, name, table[name].combine_chunks())
    return digest.digest()


def _update(digest: hashlib._Hash, name: str, column: pa.Array) -> None:
    digest.update(f"{name}\0{column.type}\0{len(column)}\0{column.null_count}\0".encode())
    digest.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).data)
    for part in _value_bytes(column):
        digest.update(part.data)


def _update_any(digest: hashlib._Hash, name: str, column: pa.Array | Coded) -> None:
    if isinstance(column, Coded):
        _update_coded(digest, name, column)
    else:
        _update(digest, name, column)


def _update_coded(digest: hashlib._Hash, name: str, column: Coded) -> None:
    """Do as `_update` does with the same column in plain text, a part at a time."""
    codes, sizes = column.codes, column.sizes()
    parts = [codes[low : low + _AT_ONCE] for low in range(0, len(codes), _AT_ONCE)]
    nulls = int(np.count_nonzero(codes < 0))
    digest.update(f"{name}\0{column.words.type}\0{len(codes)}\0{nulls}\0".encode())
    digest.update(np.packbits(codes >= 0).data)
    for part in parts:
        digest.update(sizes[part].astype("<i8", copy=False).data)
    for part in parts:
        for text in list(_text_bytes(decoded(Coded(part, column.words), name)))[1:]:
            digest.update(text.data)


def _value_bytes(column: pa.Array) -> Iterator[npt.NDArray[np.generic]]:
    if pa.types.is_string(column.type):
        yield from _text_bytes(column)
    elif pa.types.is_boolean(column.type):
        yield np.packbits(column.fill_null(False).to_numpy(zero_copy_only=False))  # noqa: FBT003 - the fill value
    else:
        kind = "<f8" if pa.types.is_floating(column.type) else "<i8"
        filled = column.fill_null(0) if column.null_count else column
        yield filled.to_numpy(zero_copy_only=False).astype(kind, copy=False)


def _text_bytes(column: pa.Array) -> Iterator[npt.NDArray[np.generic]]:
    """The lengths of all texts, then the texts."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets or b"", np.int32)
    bounds = bounds[column.offset : column.offset + len(column) + 1]
    if column.null_count and (np.diff(bounds)[np.asarray(column.is_null())]).any():
        yield from _text_bytes(column.fill_null(""))  # bytes that lie behind a null are no text
        return
    for low in range(0, len(column), _AT_ONCE):
        yield np.diff(bounds[low : low + _AT_ONCE + 1]).astype("<i8")
    if len(column) and data:
        yield np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
