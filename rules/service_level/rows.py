"""How far has each clock run under each target?

A row is one cycle (`course`) under one reign (`reigns`):

    begin     the cycle's start; under on_change = "from change", the reign's
    end       the stop; the end of the case; the end of the reign; else `as_of`
    elapsed   open time of the target's calendar from begin to end - paused and idle open time
    due       the first moment at which elapsed reaches the limit, given the pauses so far

all int64 µs, exact. A priority that is changed at or after the stop changes nothing. Status, where
late means elapsed > limit (equal is met):

    met          stopped within the limit
    breached     late, stopped or not: it cannot be mended
    running      open within the limit
    lapsed       the case ended, or an OLA's stay, without a stop and within the limit
    superseded   another target took over within the limit, or too late for it to be kept (the limit
                 had passed before it came into force); or a reset ended the cycle in time
    unknown      no times, no stop activity that the source can record, a priority that is not known
                 or that the case contradicts, an event of which it cannot be told whether it moves
                 the clock, or a doubtful stop

A stop is doubtful where the source never records one of the target's stop activities, or the case
has words that its vocabulary does not map: the clock may have been stopped unseen. Then only a
clock that was seen to stop within its limit is known (met); neither a breach nor a wait is.

Cost: O(rows + pauses) a target, in columns.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining.clock import Pauses, business_us, due_us, paused_us
from process_mining.columnar import segments
from process_mining.columnar.segments import NONE
from process_mining.errors import RunError
from rules.service_level.course import course_of, holders
from rules.service_level.reigns import of_type, priorities_of, reigns_of
from rules.service_level.targets import EVERY_TEAM, OLA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from process_mining.clock import Calendar
    from process_mining.eventlog import Ints
    from rules.service_level.course import Course, Spans
    from rules.service_level.reigns import Priorities, Reigns
    from rules.service_level.targets import Target
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

STATUSES: Final = (
    "met",
    "breached",
    "running",
    "lapsed",
    "superseded",
    "no target",
    "unknown",
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Clocks of several targets, one entry a cycle and reign; times in µs UTC.

    `target` indexes `Clocks.targets`. `begin_us` and `end_us` bound the clock, `start_event` and
    `held_event` by position (the latter NONE while it runs); `stop_event` is what stopped it, a
    reset included. `reign_event` and `reign_us` are where and when its target came into force,
    `spent_us` what the clock had run by then (0 for the first and the last target of a cycle).
    `seen_event` is the last event under it. `final`: no other target took over. Where not
    `started` the times mean nothing.
    """

    target: Ints
    case: Ints
    cycle: Ints
    priority: Ints
    begin_us: Ints
    end_us: Ints
    elapsed_us: Ints
    paused_us: Ints
    limit_us: Ints
    due_us: Ints
    reign_us: Ints
    reign_event: Ints
    spent_us: Ints
    start_event: Ints
    stop_event: Ints
    held_event: Ints
    seen_event: Ints
    pauses: Ints
    started: Bools
    final: Bools
    ended: Bools
    by_reset: Bools
    known: Bools

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.case)

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Put the rows of several targets under each other."""
        names = [one.name for one in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: Ints | Bools) -> Rows:
        """Return some of the rows."""
        return Rows(*(getattr(self, one.name)[rows] for one in fields(self)))

    @property
    def stopped(self) -> Bools:
        """Whether the clock was stopped for good."""
        return np.asarray((self.stop_event != NONE) & ~self.by_reset)

    @property
    def replaced(self) -> Bools:
        """Whether another target, or a reset, took its place."""
        return ~self.final | self.by_reset

    @property
    def over_us(self) -> Ints:
        """By how much the clock broke its promise; at most 0 where it did not.

        A target whose limit had passed before it came into force, and which then was replaced,
        could not be kept.
        """
        over = np.where(self.started, self.elapsed_us - self.limit_us, -self.limit_us)
        hopeless = ~self.final & (self.spent_us > self.limit_us)
        return np.where(hopeless, np.minimum(over, 0), over)

    @property
    def status(self) -> Ints:
        """A place in STATUSES for every row."""
        order = (~self.known, self.over_us > 0, self.replaced, self.stopped, self.ended)
        words = ("unknown", "breached", "superseded", "met", "lapsed")
        places = [STATUSES.index(word) for word in words]
        return np.select(order, places, default=STATUSES.index("running"))


@dataclass(frozen=True, eq=False)
class Clocks:
    """All rows of a desk for some targets, and what they were run on.

    `targets` are those that were asked, an OLA for every team once a team; `courses` what starts,
    stops and pauses the clock of each.
    """

    desk: Desk
    targets: tuple[Target, ...]
    courses: tuple[Course, ...]
    priorities: Priorities
    holder: Ints
    rows: Rows


def run_clocks(desk: Desk, targets: Iterable[Target], *, practice: str | None = None) -> Clocks:
    """Run the clocks of some targets for every case of a desk.

    `practice` is the type of the cases that name none; without it they take the only type that
    the targets speak of. Raises RunError SL301 where there are several to choose from, SL302 where
    a target names a customer and the log does not.
    """
    asked = _for_each_team(desk, tuple(targets))
    _require_one_type(desk, asked, practice)
    holder, priorities = holders(desk), priorities_of(desk)
    courses: dict[tuple[object, ...], Course] = {}
    for target in asked:
        if target.course not in courses:
            courses[target.course] = course_of(desk, target, holder)
    families: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, target in enumerate(asked):
        families[(*target.family, target.case_type)].append(index)
    parts = [_no_rows()]
    for indices in families.values():
        mine = [asked[index] for index in indices]
        found = reigns_of(desk, priorities, mine, courses, practice=practice)
        for index, target, reigns in zip(indices, mine, found, strict=True):
            runner = _Runner(desk, target, courses[target.course], priorities)
            parts.append(runner.rows(index, reigns))
    return Clocks(
        desk=desk,
        targets=asked,
        courses=tuple(courses[target.course] for target in asked),
        priorities=priorities,
        holder=holder,
        rows=Rows.joined(parts),
    )


def _for_each_team(desk: Desk, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Give a target for every team to each team of the log that has none of its own."""
    found: list[Target] = []
    for target in targets:
        if target.agreement != OLA or target.team != EVERY_TEAM:
            found.append(target)
            continue
        others = {
            one.team
            for one in targets
            if (one.agreement, one.metric, one.case_type) == (OLA, target.metric, target.case_type)
        }
        teams = [team for team in desk.log.arrays.teams if team not in others]
        found += [replace(target, team=team) for team in teams]
    return tuple(found)


def _require_one_type(desk: Desk, targets: Sequence[Target], practice: str | None) -> None:
    types = {target.case_type for target in targets}
    unnamed = of_type(desk, "", None)
    if practice is None and len(types) > 1 and unnamed.any():
        words = " and ".join(sorted(types))
        msg = f"{int(unnamed.sum())} cases name no practice, and there are targets for {words}"
        why = "A target of the wrong practice would judge them"
        raise RunError("SL301", msg, why=why, fix="Say the practice of the log")


def _no_rows() -> Rows:
    ints, bools = np.empty(0, np.int64), np.empty(0, bool)
    kinds = {"started": bools, "final": bools, "ended": bools, "by_reset": bools, "known": bools}
    return Rows(**{one.name: kinds.get(one.name, ints) for one in fields(Rows)})


class _Runner:
    """The clocks of one target."""

    def __init__(self, desk: Desk, target: Target, course: Course, priorities: Priorities) -> None:
        self.desk, self.target, self.course, self.priorities = desk, target, course, priorities
        self.calendar: Calendar = desk.service_levels.calendar(target.calendar)
        self.at = desk.log.arrays.at

    def rows(self, index: int, reigns: Reigns) -> Rows:
        """Run the clock of each cycle under each reign of the target."""
        cycles, offsets = self.course.cycles, self.desk.log.arrays.offsets
        reign, cycle = pairs(reigns.case, cycles.case)
        start, held = cycles.start[cycle], cycles.held[cycle]
        begin, end = reigns.begin[reign], reigns.end[reign]
        of_case = end == offsets[cycles.case[cycle] + 1]
        border = np.where(held == NONE, len(self.at), held)
        governs = (end > start) & ((begin < border) | (begin <= start))
        kept = np.flatnonzero(np.where(start == NONE, of_case, governs))
        final = ((end >= border) | of_case)[kept]
        cycle, reign = cycle[kept], reign[kept]
        case, start, begin, end = cycles.case[cycle], start[kept], begin[kept], end[kept]
        comes = np.where(start == NONE, NONE, np.maximum(start, begin))
        first = comes if self.target.on_change == "from change" else start
        last = np.where(final, cycles.held[cycle], end)
        over = np.where(
            final, cycles.end_us[cycle], segments.take(self.at, np.where(final, NONE, end), fill=0)
        )
        n = len(case)
        rows = Rows(
            target=np.full(n, index),
            case=case,
            cycle=cycles.number[cycle],
            priority=np.full(n, NONE),
            begin_us=segments.take(self.at, first, fill=0),
            end_us=over,
            elapsed_us=np.zeros(n, np.int64),
            paused_us=np.zeros(n, np.int64),
            limit_us=np.full(n, self.target.limit_us),
            due_us=np.zeros(n, np.int64),
            reign_us=segments.take(self.at, comes, fill=0),
            reign_event=comes,
            spent_us=np.zeros(n, np.int64),
            start_event=first,
            stop_event=np.where(final, cycles.stop[cycle], NONE),
            held_event=last,
            seen_event=np.where(
                last == NONE,
                segments.last_event(self.desk.log.arrays)[case],
                last - (final & cycles.left[cycle]),
            ),
            pauses=np.zeros(n, np.int64),
            started=(start != NONE) & self.desk.log.timed,
            final=final,
            ended=final & cycles.ended[cycle],
            by_reset=final & cycles.by_reset[cycle],
            known=np.full(n, self.course.observable) & ~reigns.guessed[reign],
        )
        return self._judged(self._timed(self._with_priority(rows)))

    def _with_priority(self, rows: Rows) -> Rows:
        """Say the priority under which each clock ended, which the end cannot change itself."""
        place = np.where(rows.held_event == NONE, rows.seen_event, rows.held_event - 1)
        place = np.maximum(place, rows.start_event)
        own = self.priorities.of_case[rows.case]
        there = place != NONE
        return replace(
            rows,
            priority=np.where(there, segments.take(self.priorities.at, place, fill=NONE), own),
        )

    def _timed(self, rows: Rows) -> Rows:
        """Count the open time of each clock."""
        going = np.flatnonzero(rows.started)
        if not len(going):
            return rows
        mine = rows.take(going)
        begin, end = mine.begin_us, mine.end_us
        paused, owner = self._inside(self.course.pauses, mine)
        counted = self.course.pauses.begin[owner[1]]
        stop = mine.held_event[owner[0]]
        inside = (counted >= mine.start_event[owner[0]]) & ((stop == NONE) | (counted < stop))
        held, _ = self._inside(self.course.idle, mine)
        both = Pauses(
            np.concatenate([paused.owner, held.owner]),
            np.concatenate([paused.begin, held.begin]),
            np.concatenate([paused.end, held.end]),
        )
        away = paused_us(begin, end, both, self.calendar)
        idle = paused_us(begin, end, held, self.calendar) if len(held.owner) else 0
        found = {
            "elapsed_us": business_us(begin, end, self.calendar) - away,
            "paused_us": away - idle,
            "due_us": due_us(begin, mine.limit_us, both, self.calendar),
            "spent_us": self._spent(mine, both),
            "pauses": np.bincount(owner[0][inside], minlength=len(mine)),
        }
        columns = {}
        for name, values in found.items():
            columns[name] = getattr(rows, name).copy()
            columns[name][going] = values
        return replace(rows, **columns)

    def _spent(self, rows: Rows, held: Pauses) -> Ints:
        """What a clock had run before its target came into force, where another one followed."""
        late = np.flatnonzero(~rows.final & (rows.reign_us > rows.begin_us))
        place = np.full(len(rows), NONE)
        place[late] = np.arange(len(late))
        mine = place[held.owner] != NONE
        both = Pauses(place[held.owner[mine]], held.begin[mine], held.end[mine])
        begin, end = rows.begin_us[late], rows.reign_us[late]
        spent = np.zeros(len(rows), np.int64)
        spent[late] = business_us(begin, end, self.calendar)
        spent[late] -= paused_us(begin, end, both, self.calendar)
        return spent

    def _inside(self, spans: Spans, rows: Rows) -> tuple[Pauses, tuple[Ints, Ints]]:
        """Cut the spans of each case to its clocks; beside them every pair (row, span)."""
        span, row = pairs(spans.case, rows.case)
        begin, end = spans.begin[span], spans.end[span]
        since = np.maximum(self.at[begin], rows.begin_us[row])
        until = np.where(end == NONE, rows.end_us[row], segments.take(self.at, end, fill=0))
        until = np.minimum(until, rows.end_us[row])
        some = until > since
        return Pauses(row[some], since[some], until[some]), (row, span)

    def _judged(self, rows: Rows) -> Rows:
        """Tell which rows are known."""
        case = rows.case
        doubtful = np.full(len(rows), self.course.doubtful)
        if self.desk.unmapped is not None:
            doubtful |= self.desk.unmapped[case]
        kept = rows.stopped & rows.final & (rows.elapsed_us <= rows.limit_us)
        known = rows.known & (kept | ~doubtful) & ~self.course.unsure[case]
        return replace(
            rows, known=known & ~self.priorities.contradicted[case] & self.desk.log.timed
        )


def pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return the places (i, j) at which left[i] == right[j], by i, then j.

    Both are indices of cases, and `right` ascends.
    """
    here = np.bincount(right, minlength=int(left.max(initial=0)) + 1)
    low, count = (np.cumsum(here) - here)[left], here[left]
    one = np.repeat(np.arange(len(left)), count)
    first = np.cumsum(count) - count
    return one, np.arange(len(one)) - first[one] + low[one]
