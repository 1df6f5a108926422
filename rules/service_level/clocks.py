"""The clocks of a desk as tables, and one clock a case for the rules.

`clocks` has one row a case, agreement, party, metric, cycle and reign; `pauses` one row for each
stretch that held one of them, with its cause. A case of which no target of a metric was ever in
force has one row for it, without a target. Where a clock has not started its times are null.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from process_mining import schema as s
from process_mining.clock import Pauses, business_us, paused_us
from process_mining.columnar import segments
from process_mining.columnar.segments import NONE
from rules.service_level.reigns import of_type
from rules.service_level.rows import STATUSES, pairs, run_clocks
from rules.service_level.targets import OLA, SLA, any_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.service_level.rows import Clocks, Rows
    from rules.service_level.targets import Target
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

CLOCKS: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("priority", pa.string()),
        ("service", pa.string()),
        ("customer", pa.string()),
        ("team", pa.string()),
        ("start", s.UTC_US),
        ("stop", s.UTC_US),
        ("elapsed_us", pa.int64()),
        ("paused_us", pa.int64()),
        ("limit_us", pa.int64()),
        ("remaining_us", pa.int64()),
        ("due", s.UTC_US),
        ("breached_at", s.UTC_US),
        ("objective", pa.float64()),
        ("status", pa.string()),
        ("start_seq", pa.int64()),
        ("stop_seq", pa.int64()),
    ]
)
PAUSES: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("cause", pa.string()),
        ("begin", s.UTC_US),
        ("end", s.UTC_US),
        ("open_us", pa.int64()),
        ("begin_seq", pa.int64()),
        ("end_seq", pa.int64()),
        ("ended_by", pa.string()),
        ("allowed", pa.bool_()),
    ]
)
_RANK: Final = np.array([{"breached": 2, "unknown": 1}.get(word, 0) for word in STATUSES])


# --- tables


def clocks(desk: Desk, *, practice: str | None = None) -> pa.Table:
    """Return the clocks of all targets (see CLOCKS), by case, agreement, party, metric and cycle.

    `practice` is the type of the cases that name none. Raises as `run_clocks` does.
    """
    levels = desk.service_levels
    found = run_clocks(desk, levels.targets, practice=practice)
    found = replace(found, rows=found.rows.take(np.lexsort(_keys(found))))
    table = _clock_table(found)
    others = [_without_target(found, metric, practice) for metric in levels.metrics]
    if not any(len(case) for _, case in others):
        return table
    keys = [_keys(found)]
    for metric, (_, case) in zip(levels.metrics, others, strict=True):
        family = _families(found.targets).index((SLA, "", metric))
        keys.append(np.stack([0 * case, 0 * case, 0 * case + family, case]))
    order = np.lexsort(np.concatenate(keys, axis=1))
    return pa.concat_tables([table, *(one for one, _ in others)]).take(order).combine_chunks()


def _families(targets: Sequence[Target]) -> list[tuple[str, str, str]]:
    """Agreement, party and metric of the targets, in the order of the tables."""
    return sorted({(one.agreement, one.team or one.party or "", one.metric) for one in targets})


def _keys(found: Clocks) -> npt.NDArray[np.int64]:
    """What the rows are ordered by, the last key first: reign, cycle, family, case."""
    targets, rows = found.targets, found.rows
    families = _families(targets)
    place = [families.index((t.agreement, t.team or t.party or "", t.metric)) for t in targets]
    family = np.array([*place, 0])[rows.target]
    started = rows.reign_event != NONE  # what has yet to start comes last
    reign = np.where(started, rows.reign_event, found.desk.log.n_events)
    return np.stack([reign, rows.cycle, family, rows.case])


def pauses(desk: Desk, *, practice: str | None = None) -> pa.Table:
    """Return what held the clocks of all targets (see PAUSES), sorted as `clocks`, then by begin.

    Idle time of an OLA or UC, in which the clock was somebody else's, is no pause.
    """
    found = run_clocks(desk, desk.service_levels.targets, practice=practice)
    parts = [_pause_table(found, index) for index in range(len(found.targets))]
    table = pa.concat_tables([PAUSES.empty_table(), *parts])
    names = ("case_id", "agreement", "party", "metric", "cycle", "target", "begin", "begin_seq")
    return table.sort_by([(name, "ascending") for name in names]).combine_chunks()


def _clock_table(found: Clocks) -> pa.Table:
    desk, rows = found.desk, found.rows
    arrays, cases = desk.log.arrays, desk.log.cases
    status = rows.status
    breached = status == STATUSES.index("breached")
    stopped = rows.stop_event != NONE
    late = np.maximum(rows.due_us, rows.reign_us)
    going = rows.started & rows.known & (rows.held_event == NONE)
    column = s.ATTRIBUTE_PREFIX + desk.service_levels.customer
    customer = cases[column] if column in cases.column_names else pa.nulls(cases.num_rows)
    case = pa.array(rows.case)
    columns = {
        "case_id": cases[s.CASE_ID].take(case),
        **_target_columns(found.targets, rows.target),
        "cycle": rows.cycle,
        "priority": _worded(found.priorities.words, rows.priority),
        "service": cases[s.SERVICE].take(case),
        "customer": customer.take(case).cast(pa.string()),
        "team": _worded(arrays.teams, segments.take(found.holder, rows.seen_event, fill=NONE)),
        "start": _times(rows.begin_us, rows.started),
        "stop": _times(segments.take(arrays.at, rows.stop_event, fill=0), rows.started & stopped),
        "elapsed_us": pa.array(rows.elapsed_us, mask=~rows.started),
        "paused_us": pa.array(rows.paused_us, mask=~rows.started),
        "limit_us": rows.limit_us,
        "remaining_us": pa.array(rows.limit_us - rows.elapsed_us, mask=~going),
        "due": _times(rows.due_us, rows.started),
        "breached_at": _times(late, breached),
        "objective": np.array([one.objective for one in found.targets])[rows.target],
        "status": _worded(STATUSES, status),
        "start_seq": _seqs(arrays.seq, rows.start_event),
        "stop_seq": _seqs(arrays.seq, rows.stop_event),
    }
    return pa.table(columns, schema=CLOCKS)


def _without_target(found: Clocks, metric: str, practice: str | None) -> tuple[pa.Table, Ints]:
    """One row for each case of which no target of the metric was ever in force, and the cases."""
    desk = found.desk
    asked = [one.agreement == SLA and one.metric == metric for one in found.targets]
    mine = np.array(asked, dtype=bool)[found.rows.target]
    none = np.ones(desk.log.n_cases, dtype=bool)
    none[found.rows.case[mine]] = False
    case = np.flatnonzero(none)
    promised, unprioritised = _promised(found, metric, practice)
    unknown = (unprioritised | (promised & (not desk.log.timed)))[case]
    cases = desk.log.cases.take(pa.array(case))
    columns = {
        "case_id": cases[s.CASE_ID],
        "agreement": pa.repeat(SLA, len(case)),
        "metric": pa.repeat(metric, len(case)),
        "priority": cases[s.PRIORITY],
        "service": cases[s.SERVICE],
        "cycle": np.ones_like(case),
        "status": pa.array(np.where(unknown, "unknown", "no target"), pa.string()),
    }
    nulls = [pa.nulls(len(case), field.type) for field in CLOCKS]
    arrays = [columns.get(field.name, nulls[i]) for i, field in enumerate(CLOCKS)]
    return pa.table(dict(zip(CLOCKS.names, arrays, strict=True)), schema=CLOCKS), case


def _pause_table(found: Clocks, index: int) -> pa.Table:
    """What held the clocks of one target."""
    desk, target = found.desk, found.targets[index]
    arrays, spans = desk.log.arrays, found.courses[index].pauses
    rows = found.rows.take((found.rows.target == index) & found.rows.started)
    span, row = pairs(spans.case, rows.case)
    begin, end = spans.begin[span], spans.end[span]
    since = np.maximum(arrays.at[begin], rows.begin_us[row])
    still = (end == NONE) & (rows.held_event[row] == NONE)
    until = np.where(end == NONE, rows.end_us[row], segments.take(arrays.at, end, fill=0))
    until = np.minimum(until, rows.end_us[row])
    away, gone = _elsewhere(found, index, rows.case[row], since, until)
    wall = until - since - _lengths(away, len(row))
    kept = np.flatnonzero((wall > 0) | (still & ~gone))
    calendar = desk.service_levels.calendar(target.calendar)
    spent = business_us(since, np.maximum(until, since), calendar)
    spent -= paused_us(since, np.maximum(until, since), away, calendar)
    begin, end, still, row = begin[kept], end[kept], still[kept], row[kept]
    allowed = np.ones(len(kept), dtype=bool)
    if target.allowed is not None:
        allowed = any_of(desk, target.allowed, found.holder).sure[begin]
    columns = {
        "case_id": desk.log.cases[s.CASE_ID].take(pa.array(rows.case[row])),
        **_target_columns(found.targets, np.full(len(kept), index)),
        "cycle": rows.cycle[row],
        "cause": _worded(arrays.activities, arrays.activity[begin]),
        "begin": _times(since[kept], np.ones_like(still)),
        "end": _times(until[kept], ~still),
        "open_us": spent[kept],
        "begin_seq": arrays.seq[begin],
        "end_seq": _seqs(arrays.seq, end),
        "ended_by": _worded(arrays.activities, segments.take(arrays.activity, end, fill=NONE)),
        "allowed": allowed,
    }
    return pa.table(columns, schema=PAUSES)


def _elsewhere(
    found: Clocks, index: int, case: Ints, since: Ints, until: Ints
) -> tuple[Pauses, Bools]:
    """The idle parts of stretches of cases, and whether each stretch ends in one that goes on."""
    at, idle = found.desk.log.arrays.at, found.courses[index].idle
    span, owner = pairs(idle.case, case)
    begin, over = idle.begin[span], idle.end[span]
    first = np.maximum(at[begin], since[owner])
    last = np.where(over == NONE, until[owner], segments.take(at, over, fill=0))
    last = np.minimum(last, until[owner])
    some = last > first
    gone = np.zeros(len(case), dtype=bool)
    gone[owner[over == NONE]] = True
    return Pauses(owner[some], first[some], last[some]), gone


def _lengths(spans: Pauses, n: int) -> Ints:
    """Per owner: how long its spans are together; they do not overlap."""
    found = np.zeros(n, dtype=np.int64)
    np.add.at(found, spans.owner, spans.end - spans.begin)
    return found


def _target_columns(targets: Sequence[Target], index: Ints) -> dict[str, pa.Array]:
    """What a target says of itself, by row."""
    place = pa.array(index)
    said = {
        "agreement": [one.agreement for one in targets],
        "party": [one.team if one.agreement == OLA else one.party for one in targets],
        "target": [one.name for one in targets],
        "metric": [one.metric for one in targets],
    }
    return {name: pa.array(words, pa.string()).take(place) for name, words in said.items()}


def _worded(words: Sequence[str], codes: npt.NDArray[np.integer]) -> pa.Array:
    """Return the word of each code, null below 0."""
    return pa.array(words, pa.string()).take(pa.array(codes, mask=codes < 0))


def _times(values: Ints, valid: Bools) -> pa.Array:
    return pa.array(values, mask=~valid).cast(s.UTC_US)


def _seqs(seq: Ints, positions: Ints) -> pa.Array:
    return pa.array(segments.take(seq, positions, fill=0), mask=positions == NONE)


# --- one clock a case


@dataclass(frozen=True, eq=False)
class CaseClock:
    """The clock of one metric of the SLA, one entry a case, in case order.

    Of several rows of a case the one that matters most: the first breach, else what is unknown,
    else the last. `target` indexes the targets of that metric, NONE where none was ever in force.
    `promised` marks cases of a type for which the metric is promised at all, `unprioritised` those
    among them that have no target, and might have one if their priority were known (they name none,
    or contradict themselves); `ended` clocks that will not stop
    any more. Times are µs UTC and only mean something where `started`; `over_us` is by how much the
    promise was broken (at most 0: it was not). `pauses` counts those before the stop, those of no
    length too. `start_event` and `stop_event` are positions in log.events.
    `starts` and `stops` have one entry an event: whether it makes a clock run (its start, the end
    of a pause), or holds it (its stop, else the end of its case, a pause).
    """

    target: Ints
    promised: Bools
    unprioritised: Bools
    known: Bools
    started: Bools
    stopped: Bools
    ended: Bools
    elapsed_us: Ints
    paused_us: Ints
    over_us: Ints
    pauses: Ints
    limit_us: Ints
    due_us: Ints
    start_event: Ints
    stop_event: Ints
    starts: Bools
    stops: Bools
    status: pa.Array

    @property
    def has_target(self) -> Bools:
        """Whether a target was in force for the case."""
        return np.asarray(self.target != NONE)

    @property
    def over(self) -> Bools:
        """Whether the promise was broken."""
        return np.asarray(self.has_target & (self.over_us > 0))


def case_clock(desk: Desk, metric: str, *, practice: str | None = None) -> CaseClock:
    """Run the clock of one metric of the SLA for every case of a desk; raises as `run_clocks`."""
    asked = [t for t in desk.service_levels.targets if (t.agreement, t.metric) == (SLA, metric)]
    found = run_clocks(desk, asked, practice=practice)
    chosen = _chosen(found.rows, desk.log.n_cases)
    rows, there = found.rows, chosen != NONE
    promised, unprioritised = _promised(found, metric, practice)
    unprioritised &= ~there
    starts, stops = _marked_events(found)

    def of(values: Ints, fill: int = 0) -> Ints:
        return segments.take(values, chosen, fill=fill)

    def flag(values: Bools) -> Bools:
        return np.asarray(of(values.astype(np.int64)) > 0)

    untimed = promised & (not desk.log.timed)
    known = ~unprioritised & ~untimed & (~there | flag(rows.known))
    status = of(rows.status, STATUSES.index("no target"))
    status[~known] = STATUSES.index("unknown")
    return CaseClock(
        target=of(rows.target, NONE),
        promised=promised,
        unprioritised=unprioritised,
        known=known,
        started=flag(rows.started),
        stopped=flag(rows.stopped),
        ended=flag(rows.ended | rows.replaced),
        elapsed_us=of(rows.elapsed_us),
        paused_us=of(rows.paused_us),
        over_us=of(rows.over_us),
        pauses=of(rows.pauses),
        limit_us=of(rows.limit_us),
        due_us=of(rows.due_us),
        start_event=of(rows.start_event, NONE),
        stop_event=of(rows.stop_event, NONE),
        starts=starts,
        stops=stops,
        status=_worded(STATUSES, status),
    )


def _chosen(rows: Rows, n_cases: int) -> Ints:
    """Per case: the row that matters most."""
    rank = _RANK[rows.status]
    first_breach = np.where(rank == 2, -rows.end_us, rows.end_us)  # noqa: PLR2004 - as in _RANK
    order = np.lexsort((rows.cycle, first_breach, rank))
    chosen = np.full(n_cases, NONE)
    chosen[rows.case[order]] = order  # of several the one written last stays
    return chosen


def _promised(found: Clocks, metric: str, practice: str | None) -> tuple[Bools, Bools]:
    """Cases for which a metric is promised at all; those whose priority decides and is unknown."""
    desk, priorities = found.desk, found.priorities
    promised = np.zeros(desk.log.n_cases, dtype=bool)
    by_priority = promised.copy()
    family = [t for t in desk.service_levels.targets if (t.agreement, t.metric) == (SLA, metric)]
    for case_type in sorted({one.case_type for one in family}):
        mine = of_type(desk, case_type, practice)
        promised |= mine
        if any(one.priority is not None for one in family if one.case_type == case_type):
            by_priority |= mine
    return promised, by_priority & (priorities.unknown | priorities.contradicted)


def _marked_events(found: Clocks) -> tuple[Bools, Bools]:
    """Mark the events that make these clocks run, and those that hold them."""
    rows, n_events = found.rows, found.desk.log.n_events
    starts, stops = np.zeros(n_events, dtype=bool), np.zeros(n_events, dtype=bool)
    if not found.desk.log.timed:
        return starts, stops
    parts = [(rows.start_event, rows.held_event)]
    for index, course in enumerate(found.courses):
        asked = np.zeros(found.desk.log.n_cases, dtype=bool)
        asked[rows.case[(rows.target == index) & rows.started]] = True
        mine = asked[course.pauses.case]
        parts.append((course.pauses.end[mine], course.pauses.begin[mine]))
    for begin, end in parts:
        starts[begin[begin != NONE]] = True
        stops[end[end != NONE]] = True
    return starts, stops
