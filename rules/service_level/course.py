"""Which events start, stop, pause and reset a clock, whatever its target?

A *cycle* is one run of a clock from a start to a stop. Most clocks have one cycle a case; a reset,
a Reopen under `restarts`, and each stay with a team for the first answer of an OLA begin another.
Cycles of a case follow each other; within a cycle the stop is the first (acknowledge, respond,
update, `ignored`) or the last that no Reopen follows (resolve, fulfil). A cycle without a stop ends
at the next one's begin (it was reset), at the end of the case, or runs until `as_of`, or the
case's last event if that is later.

Paused is the time from a step that a pause condition names to the next step of the practice
(updates and steps outside the reference model end no pause). Idle is the time in which the clock is
somebody else's: a team of an OLA has not got the case, a supplier of a UC is not waited for.

Positions are indices into the log's events, NONE where there is none. Cost: O(events) a course.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining.columnar import segments
from process_mining.columnar.segments import NONE, Marked
from rules.service_level.targets import LAST_STOP, OLA, REOPEN, UC, any_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import EventArrays, Ints
    from rules.service_level.targets import Target
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

FIRST_ANSWER: Final = frozenset({"acknowledge", "respond"})


@dataclass(frozen=True, eq=False)
class Spans:
    """Stretches of cases, each from a step to another one (NONE: to the clock's end)."""

    case: Ints
    begin: Ints
    end: Ints


@dataclass(frozen=True, eq=False)
class Cycles:
    """One entry a cycle, by case and start; `number` counts those of a case from 1.

    `start` is NONE for a case whose clock has not started (one such entry a case). `stop` is the
    event that stopped it, `by_reset` whether that is the next cycle's start. `held` is the stop, or
    where a case ended without one its last step; `left` says that the case was handed on without a
    stop (an OLA's stay). `end_us` is when the clock ends: at `held`, else now.
    """

    case: Ints
    number: Ints
    start: Ints
    stop: Ints
    by_reset: Bools
    left: Bools
    held: Ints
    ended: Bools
    end_us: Ints


@dataclass(frozen=True, eq=False)
class Course:
    """The cycles of a clock, and what holds it.

    `first_us` is when the clock of each case first started; a clock yet to start counts as of now.
    `observable`: the source records the start and some stop; `doubtful`: not every stop. `unsure`
    marks cases with an event of which it cannot be told whether it moves the clock.
    """

    cycles: Cycles
    first_us: Ints
    pauses: Spans
    idle: Spans
    observable: bool
    doubtful: bool
    unsure: Bools


def holders(desk: Desk) -> Ints:
    """Per event: the code of the team that has the case then, -1 where none was named yet."""
    arrays = desk.log.arrays
    named = arrays.team >= 0
    last = np.where(named, np.arange(len(named)), segments.previous_position(arrays, named))
    return segments.take(arrays.team, last, fill=-1)


def course_of(desk: Desk, target: Target, holder: Ints) -> Course:
    """Lay out the clock of a target for every case of the desk."""
    return _Layout(desk, target, holder).course()


class _Layout:
    """One course on its way."""

    def __init__(self, desk: Desk, target: Target, holder: Ints) -> None:
        self.desk, self.target, self.holder = desk, target, holder
        self.arrays: EventArrays = desk.log.arrays
        self.unsure = np.zeros(self.arrays.n_cases, dtype=bool)
        self.spells = self._spells()
        self.begins = self._begins()
        self.first = self.begins.first()
        stops = self._named(target.stops)
        self.stops = stops.only(self._started(stops))
        reopens = Marked.of(self.arrays, desk.mask(REOPEN))
        self.reopens = reopens.only(self._started(reopens))

    def course(self) -> Course:
        """Lay everything out."""
        desk, target = self.desk, self.target
        cycles = self._cycles(self._starts())
        first = self.first.copy()
        if self.spells is not None:
            place = np.flatnonzero(cycles.number == 1)
            first[cycles.case[place]] = cycles.start[place]
        begun = segments.take(self.arrays.at, first, fill=desk.as_of_us)
        stops = {one.activity for one in target.stops}
        begins = {one.activity for one in target.start}
        return Course(
            cycles=cycles,
            first_us=begun,
            pauses=self._pauses(),
            idle=self._idle(),
            observable=not desk.unobserved.issuperset(stops)
            and (not begins or not desk.unobserved.issuperset(begins)),
            doubtful=not desk.unobserved.isdisjoint(stops),
            unsure=self.unsure,
        )

    def _named(self, conditions: tuple[object, ...]) -> Marked:
        """Return the events that conditions name; those that they may name make a case unsure."""
        found = any_of(self.desk, conditions, self.holder)  # type: ignore[arg-type]
        self.unsure[self.arrays.case_of[np.flatnonzero(found.unsure)]] = True
        return Marked.of(self.arrays, found.sure)

    # --- who has it

    def _spells(self) -> Spans | None:
        """Where the clock is that party's: the stays with a team, the waits for a supplier."""
        arrays, target = self.arrays, self.target
        if target.agreement == OLA:
            mine = self.holder == _code(arrays, target.team)
            before = np.zeros_like(mine)
            before[1:] = mine[:-1] & (arrays.case_of[1:] == arrays.case_of[:-1])
            arrived = Marked.of(arrays, mine & ~before)
            left = Marked.of(arrays, ~mine)
            return Spans(arrived.case, arrived.place, arrived.next_among(left))
        if target.agreement == UC:
            waits = self._named(target.runs_in)
            waits = waits.only(self.desk.steps[waits.place])
            steps = Marked.of(arrays, self.desk.steps)
            ends = waits.next_among(steps)
            # a wait that goes on with the same step is one wait
            goes_on = np.isin(ends, waits.place)
            first = waits.only(~np.isin(waits.place, ends[goes_on]))
            last = ends[~goes_on]
            return Spans(first.case, first.place, last)
        return None

    def _idle(self) -> Spans:
        """The time between the spells."""
        empty = np.empty(0, np.int64)
        if self.spells is None:
            return Spans(empty, empty, empty)
        over = self.spells.end != NONE
        left = Marked(self.arrays, self.spells.end[over])
        arrived = Marked(self.arrays, self.spells.begin)
        # the end of one spell may be the begin of the next only for different parties: not here
        return Spans(left.case, left.place, left.next_among(arrived))

    # --- the cycles

    def _begins(self) -> Marked:
        """The events with which a clock may start."""
        if self.spells is not None:
            if self.target.metric in FIRST_ANSWER:
                return Marked(self.arrays, self.spells.begin)
            # what comes before a party gets the case matters too: whether it is stopped by then
            return Marked.of(self.arrays, np.ones(len(self.arrays.at), dtype=bool))
        if self.target.start:
            return self._named(self.target.start)
        return Marked.of(self.arrays, self.desk.steps)

    def _started(self, events: Marked) -> Bools:
        """Per event: whether it does not come before the start of its case's clock."""
        first = self.first[events.case]
        return np.asarray((first != NONE) & (events.place >= first))

    def _starts(self) -> Marked:
        """Where cycles begin."""
        target = self.target
        if self.spells is not None and target.metric in FIRST_ANSWER:
            return self.begins
        starts = np.zeros(len(self.arrays.at), dtype=bool)
        starts[self.first[self.first != NONE]] = True
        resets = self._named(target.reset)
        resets = resets.only(self._started(resets) & ~self.stops.mask[resets.place])
        restarts = target.reopen == "restarts"
        if target.metric == "update":  # it counts while the clock runs
            restarts = target.reopen != "ignored"
            resets = resets.only(~self._stopped(resets, None))
        starts[resets.place] = True
        if restarts:
            starts[self.reopens.only(self._stopped(self.reopens, resets)).place] = True
        return Marked.of(self.arrays, starts)

    def _stopped(self, events: Marked, resets: Marked | None) -> Bools:
        """Per event: whether the clock has stopped before it, and has not been started anew."""
        stopped = events.previous_among(self.stops)
        again = events.previous_among(self.reopens)
        if resets is not None:
            again = np.maximum(again, events.previous_among(resets))
        return np.asarray(stopped > again)

    def _cycles(self, starts: Marked) -> Cycles:
        """Find each cycle's stop, and when it ends."""
        arrays, desk = self.arrays, self.desk
        following = starts.next_among(starts)
        border = np.where(following == NONE, arrays.offsets[starts.case + 1], following)
        stop = self._stop(starts, border)
        ended, last_step = desk.complete[starts.case], desk.last_step[starts.case]
        left = np.full(len(starts), NONE)
        if self.spells is not None and self.target.metric in FIRST_ANSWER:
            left = self.spells.end  # a stay that ends without an answer owes none any more
            # what ends the wait for a supplier may be the supplier's answer
            late = stop > left if self.target.agreement == UC else stop >= left
            stop = np.where((left != NONE) & late, NONE, stop)
        by_reset = (stop == NONE) & (following != NONE) & (left == NONE)
        stop = np.where(by_reset, following, stop)
        if self.target.metric == "update":  # word to the customer keeps the promise
            by_reset = np.zeros_like(by_reset)
        held = np.where((stop == NONE) & (left != NONE), left, stop)
        held = np.where((held == NONE) & ended, np.maximum(last_step, starts.place), held)
        open_until = np.maximum(self._last_event_us(starts.case), desk.as_of_us)
        started = Cycles(
            case=starts.case,
            number=starts.rank() + 1,
            start=starts.place,
            stop=stop,
            by_reset=by_reset,
            left=(stop == NONE) & (left != NONE),
            held=held,
            ended=(stop == NONE) & (held != NONE),
            end_us=np.where(held == NONE, open_until, segments.take(arrays.at, held, fill=0)),
        )
        if self.spells is None:
            return self._with_unstarted(started)
        return started if self.target.metric in FIRST_ANSWER else _with_party(started, self.spells)

    def _stop(self, starts: Marked, border: Ints) -> Ints:
        """Per cycle: its stop, from its start on and before the next cycle."""
        if self.target.metric in LAST_STOP and self.target.reopen != "ignored":
            stop = _last_before(border, self.stops, starts)
            reopened = _last_before(border, self.reopens, starts)
            return np.where(reopened > stop, NONE, stop)
        # a clock may stop at the event that starts it; to be given a case is no answer
        arrival = self.target.agreement == OLA and self.target.metric in FIRST_ANSWER
        index = np.searchsorted(self.stops.place, starts.place, side="right" if arrival else "left")
        found = np.append(self.stops.place, len(self.arrays.at))[index]
        return np.where(found < border, found, NONE)

    def _last_event_us(self, case: Ints) -> Ints:
        last = segments.last_event(self.arrays)[case]
        return segments.take(self.arrays.at, last, fill=self.desk.as_of_us)

    def _with_unstarted(self, cycles: Cycles) -> Cycles:
        """Add an entry for each case whose clock has not started."""
        none = np.ones(self.arrays.n_cases, dtype=bool)
        none[cycles.case] = False
        case = np.flatnonzero(none)
        nowhere, ended = np.full(len(case), NONE), self.desk.complete[case]
        order = np.argsort(np.concatenate([cycles.case, case]), kind="stable")

        def joined(one: Ints, other: Ints) -> Ints:
            return np.concatenate([one, other])[order]

        return Cycles(
            case=joined(cycles.case, case),
            number=joined(cycles.number, np.ones_like(case)),
            start=joined(cycles.start, nowhere),
            stop=joined(cycles.stop, nowhere),
            by_reset=np.concatenate([cycles.by_reset, np.zeros(len(case), bool)])[order],
            left=np.concatenate([cycles.left, np.zeros(len(case), bool)])[order],
            held=joined(cycles.held, nowhere),
            ended=np.concatenate([cycles.ended, ended])[order],
            end_us=joined(cycles.end_us, np.full(len(case), self.desk.as_of_us)),
        )

    # --- the pauses

    def _pauses(self) -> Spans:
        """From each pausing step to the next step; under `pauses`, from a stop to its Reopen."""
        arrays, desk, target = self.arrays, self.desk, self.target
        pausing = self._named(target.pauses)
        pauses = pausing.only(desk.steps[pausing.place])
        ends = pauses.next_among(Marked.of(arrays, desk.steps))
        if target.metric not in LAST_STOP or target.reopen != "pauses":
            return Spans(pauses.case, pauses.place, ends)
        resolved = self.stops.only(~self._stopped(self.stops, None))
        solved = self._stopped(pauses, None) & ~self.reopens.mask[pauses.place]
        solved |= self.stops.mask[pauses.place]
        place = np.concatenate([pauses.place[~solved], resolved.place])
        end = np.concatenate([ends[~solved], resolved.next_among(self.reopens)])
        order = np.argsort(place)
        return Spans(arrays.case_of[place[order]], place[order], end[order])


def _with_party(cycles: Cycles, spells: Spans) -> Cycles:
    """Begin each cycle where its party gets the case; leave out those in which it never does."""
    index = np.searchsorted(spells.begin, cycles.start, side="right")
    case, begin, end = (np.append(x, NONE) for x in (spells.case, spells.begin, spells.end))
    before = np.maximum(index - 1, 0)
    inside = (index > 0) & (case[before] == cycles.case)
    inside &= (end[before] == NONE) | (end[before] > cycles.start)
    following = np.where(case[index] == cycles.case, begin[index], NONE)
    arrives = np.where(inside, cycles.start, following)
    kept = (arrives != NONE) & ((cycles.held == NONE) | (arrives < cycles.held))
    some = Cycles(*(getattr(cycles, one.name)[kept] for one in fields(Cycles)))
    number = np.arange(len(some.case)) - np.searchsorted(some.case, some.case) + 1
    return replace(some, start=arrives[kept], number=number)


def _last_before(border: Ints, events: Marked, starts: Marked) -> Ints:
    """Per cycle: the last of the events before its border that is not before its start."""
    found = np.append(NONE, events.place)[np.searchsorted(events.place, border)]
    return np.where(found >= starts.place, found, NONE)


def _code(arrays: EventArrays, team: str | None) -> int:
    return arrays.teams.index(team) if team in arrays.teams else -2
