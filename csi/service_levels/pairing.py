"""Which clock of ours meets which row of the tool's, and how do both look in columns?

A row meets the clock of the same case, agreement and metric, and of the target that its declaration
names; of the same cycle, else the last one where the row is the tool's last. A row whose target the
case was never under meets the clock that governs: the last of its cycle. Clocks of targets that
were in force before meet only rows that name their target. Each row and each clock meets once;
cases without a target have no clock.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from csi.service_levels.difference_causes import Background, OtherTarget
from csi.service_levels.recount import Counted, Known, Pairs, checked, grain_of
from csi.service_levels.tool_rows import CANCELLED, COMPLETED, JIRA
from process_mining import schema as s
from process_mining.clock import ALWAYS, Pauses
from process_mining.columnar import segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from process_mining.eventlog import EventLog, Ints
    from rules.service_level import ServiceLevels, Target
    from rules.templates import Desk

    Row = dict[str, Any]
    Key = tuple[str, str, str]

SUPERSEDED: Final = "superseded"
BREACHED: Final = "breached"
SAID: Final = ("met", BREACHED, "running", "lapsed")
_CLOCK: Final = ("case_id", "agreement", "party", "target", "metric", "cycle")


class Met:
    """Which clock meets which row, by their places; what is left over."""

    def __init__(self, ours: Sequence[Row], rows: Sequence[Row]) -> None:
        """Let everyone meet: first of one cycle, then the last ones, then whatever governs."""
        self.ours, self.rows = ours, rows
        self.clock_of: dict[int, int] = {}
        # Clocks are in the order of their reigns, so the last of a cycle is the one that governs.
        governing = {(_key(clock), clock["cycle"]): place for place, clock in enumerate(ours)}
        self._governs = set(governing.values())
        self._free: dict[Key, list[int]] = defaultdict(list)
        for place, clock in enumerate(ours):
            if clock["target"] is not None:
                self._free[_key(clock)].append(place)
        self._last: dict[tuple[Key, str], int] = {}
        for row in rows:
            key = (_key(row), row["name"])
            self._last[key] = max(self._last.get(key, 0), row["cycle"])
        for step in (self._same_cycle, self._last_cycle, self._whatever_governs):
            for place, row in enumerate(rows):
                if place not in self.clock_of:
                    self._meet(place, step(row, self._free[_key(row)]))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Places of clocks and rows that met, in the order of the rows."""
        return [(clock, row) for row, clock in sorted(self.clock_of.items())]

    def rows_alone(self, log: EventLog) -> Iterator[tuple[Row, str]]:
        """Yield the tool's rows that met no clock, and why."""
        cases = set(log.cases[s.CASE_ID].to_pylist())
        for place, row in enumerate(self.rows):
            if place not in self.clock_of:
                known = row["case_id"] in cases
                reason = "no clock under its target" if known else "the log lacks the case"
                yield row, reason + ("; cancelled" if row["state"] == CANCELLED else "")

    def clocks_alone(self) -> Iterator[tuple[Row, str]]:
        """Yield our clocks that met no row although their target is declared, and whose row."""
        asked: dict[tuple[str, str], set[tuple[str | None, str]]] = defaultdict(set)
        for row in self.rows:
            asked[row["agreement"], row["metric"]].add((row["target"], row["name"]))
        # Of Jira's cycles only the last is kept, so our earlier ones have none to meet.
        last_only = {_key(row) for row in self.rows if row["source"] == JIRA}
        met = set(self.clock_of.values())
        for place, clock in enumerate(self.ours):
            named = asked.get((clock["agreement"], clock["metric"]), set())
            under = {clock["target"], None} if place in self._governs else {clock["target"]}
            mine = sorted({name for target, name in named if target in under})
            wanted = clock["status"] in SAID and clock["target"] is not None
            if mine and wanted and place not in met and _key(clock) not in last_only:
                yield clock, ", ".join(mine)

    def _meet(self, row: int, clock: int | None) -> None:
        if clock is not None:
            self.clock_of[row] = clock
            self._free[_key(self.ours[clock])].remove(clock)

    def _fitting(self, row: Row, free: Sequence[int]) -> list[int]:
        """Those of some clocks that a row may meet: under its target, or, if none, governing."""
        if row["target"] is not None:
            mine = [i for i in free if self.ours[i]["target"] == row["target"]]
            return sorted(mine, key=lambda i: (self.ours[i]["status"] == SUPERSEDED, -i))
        return [i for i in free if i in self._governs]

    def _same_cycle(self, row: Row, free: Sequence[int]) -> int | None:
        fitting = self._fitting(row, free)
        return next((i for i in fitting if self.ours[i]["cycle"] == row["cycle"]), None)

    def _last_cycle(self, row: Row, free: Sequence[int]) -> int | None:
        if row["cycle"] != self._last[_key(row), row["name"]]:
            return None
        fitting = self._fitting(row, free)
        return max(fitting, key=lambda i: self.ours[i]["cycle"], default=None)

    def _whatever_governs(self, row: Row, free: Sequence[int]) -> int | None:
        if row["target"] is None or row["state"] == CANCELLED:
            return None
        return max((i for i in free if i in self._governs), default=None)


def _key(row: Row) -> Key:
    return row["case_id"], row["agreement"], row["metric"]


# --- pairs as columns ---------------------------------------------------------------------------


def paired(
    desk: Desk, met: Sequence[tuple[Row, Row]], ours: Sequence[Row], pauses: pa.Table
) -> tuple[Pairs, Background]:
    """Return clocks and rows that met as columns, and what else is known of them.

    `ours` are all clocks, met or not: they say under which targets a case was before.
    """
    levels, log = desk.service_levels, desk.log
    calendars = (ALWAYS, *levels.calendars)
    code = {calendar.name: place for place, calendar in enumerate(calendars)}
    targets = {target.name: target for target in levels.targets}
    clocks, rows = [clock for clock, _ in met], [row for _, row in met]
    place_of = {case: place for place, case in enumerate(log.cases[s.CASE_ID].to_pylist())}
    case = np.array([place_of[clock["case_id"]] for clock in clocks], np.int64)
    named = [targets.get(clock["target"]) for clock in clocks]
    start, tool_start = _known(clocks, "start"), _known(rows, "start")
    stop, tool_stop = _known(clocks, "stop"), _known(rows, "stop")
    theirs = _said_by_tool(rows)
    end = np.where(stop.known, stop.values, _now(desk, case))
    held, causes = _pauses(clocks, pauses, end)
    times = (tool_start, tool_stop, theirs.due, theirs.elapsed, theirs.paused)
    pairs = Pairs(
        ours=_said_by_ours(clocks),
        tool=theirs,
        start=start.values,
        end=end,
        limit=_known(clocks, "limit_us").values,
        calendar=np.array([code[one.calendar] if one else 0 for one in named], np.int64),
        calendars=calendars,
        pauses=held,
        causes=causes,
        tool_start=tool_start,
        tool_stop=tool_stop,
        tool_goal=_known(rows, "goal_us"),
        grain=_grains(log, rows, times),
        recounts=start.known & np.array([one is not None for one in named], bool),
    )
    others = {one: _others(levels, one, code) for one in set(named) if one is not None}
    background = Background(
        log=log,
        case=case,
        targets=[others.get(one, ()) if one else () for one in named],
        likely=_likely(met, ours),
    )
    return checked(pairs), background


def _others(
    levels: ServiceLevels, target: Target, code: Mapping[str, int]
) -> tuple[OtherTarget, ...]:
    """The other targets for the same metric of the same kind of case, those of one count once."""
    found = {
        (one.limit_us, one.calendar): one.name
        for one in reversed(levels.targets)
        if (one.agreement, one.metric, one.case_type)
        == (target.agreement, target.metric, target.case_type)
    }
    found.pop((target.limit_us, target.calendar))
    return tuple(OtherTarget(name, us, code[calendar]) for (us, calendar), name in found.items())


def _likely(met: Sequence[tuple[Row, Row]], ours: Sequence[Row]) -> list[frozenset[str]]:
    """For each pair the targets that its metric was under before, and that of the row."""
    under: dict[Key, set[str]] = defaultdict(set)
    for clock in ours:
        if clock["target"] is not None:
            under[_key(clock)].add(clock["target"])
    return [
        frozenset(under[_key(clock)] | ({row["target"]} if row["target"] else set()))
        for clock, row in met
    ]


def _said_by_ours(clocks: Sequence[Row]) -> Counted:
    stop = _known(clocks, "stop")
    said = np.array([clock["status"] in SAID for clock in clocks], bool)
    breached = np.array([clock["status"] == BREACHED for clock in clocks], np.int64)
    return Counted(
        due=_known(clocks, "due"),
        elapsed=_known(clocks, "elapsed_us"),
        paused=_known(clocks, "paused_us"),
        breached=Known(breached, said),
        stopped=Known(stop.known.astype(np.int64), said),
    )


def _said_by_tool(rows: Sequence[Row]) -> Counted:
    stop = _known(rows, "stop")
    state = np.array([row["state"] or "" for row in rows], object)
    # A cancelled clock has not stopped by an event of the work, and decides nothing.
    valid = state != CANCELLED
    stopped = stop.known | (state == COMPLETED)
    breached = _known(rows, "breached")
    due = _known(rows, "due")
    return Counted(
        due=Known(due.values, due.known & valid),
        elapsed=_known(rows, "elapsed_us"),
        paused=_known(rows, "paused_us"),
        breached=Known(breached.values, breached.known & valid),
        stopped=Known(stopped.astype(np.int64), (stop.known | (state != "")) & valid),
    )


def _known(rows: Sequence[Row], name: str) -> Known:
    """Return a column as integers: times as µs UTC, truths as 0 and 1."""
    values = [row[name] for row in rows]
    known = np.array([value is not None for value in values], bool)
    return Known(np.array([value or 0 for value in values], np.int64), known)


def _now(desk: Desk, case: Ints) -> Ints:
    """When a clock that has not stopped is read: now, or the last step of a case that has ended."""
    arrays = desk.log.arrays
    last = segments.take(arrays.at, segments.last_event(arrays), fill=desk.as_of_us)
    ended = segments.take(arrays.at, desk.last_step, fill=desk.as_of_us)
    return np.where(desk.complete, ended, np.maximum(last, desk.as_of_us))[case]


def _pauses(
    clocks: Sequence[Row], pauses: pa.Table, end: Ints
) -> tuple[Pauses, npt.NDArray[np.object_]]:
    """Return the pauses of the clocks and their causes; one that goes on ends with its clock."""
    place = {tuple(clock[name] for name in _CLOCK): i for i, clock in enumerate(clocks)}
    found = []
    for row in in_us(pauses).to_pylist():
        owner = place.get(tuple(row[name] for name in _CLOCK))
        if owner is not None:
            until = end[owner] if row["end"] is None else row["end"]
            found.append((owner, row["begin"], max(until, row["begin"]), row["cause"]))
    columns = [np.array([span[part] for span in found], np.int64) for part in range(3)]
    return Pauses(*columns), np.array([span[3] for span in found], object)


def _grains(log: EventLog, rows: Sequence[Row], times: Sequence[Known]) -> Ints:
    """For each pair the coarser resolution of the log's and of all times of its service level."""
    names = np.array([row["name"] for row in rows], object)
    grains = np.full(len(rows), log.meta.time_resolution_us, np.int64)
    for name in set(names.tolist()):
        mine = np.flatnonzero(names == name)
        grain = grain_of([known.take(mine) for known in times])
        grains[mine] = np.maximum(grains[mine], grain)
    return grains


def in_us(table: pa.Table) -> pa.Table:
    """Return a table with its times as int64 µs UTC."""
    for place, field in enumerate(table.schema):
        if field.type == s.UTC_US:
            table = table.set_column(place, field.name, table[field.name].cast("int64"))
    return table
