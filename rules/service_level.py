"""Which promise of time applies to a ticket, and how far has its clock run?

A target promises for the cases of one type and priority (and, where it says so, of one service)
that one metric stays within a limit of a calendar's open time:

    respond   from the start to the first of the `stop` activities
    resolve   from the start to the last of them that no Reopen follows

Each case has at most one target a metric: that of its priority and service in force when its clock
starts; a target that names the service goes before one that names none. `valid_from` and
`valid_until` are days at 00:00 UTC, the second excluded.

The clock. `start` is the first step of the case, or the first occurrence of the declared activity.
Paused is the time from a step named in `pauses` to the next step of the practice (updates and
steps outside the reference model end no pause). After a Reopen the clock runs on:
`reopen = "continues"` counts the time between Resolve and Reopen, `"pauses"` does not.
elapsed = open time from start to stop - paused open time, int64 µs, exact. Where a case

    has stopped                     the clock ends at the stop
    has ended without (cancelled)   it ends at the last step; what was not over by then lapses
    is open                         it runs until `as_of`, or the case's last event if that is later

`due` is the first moment at which elapsed reaches the limit, given the pauses so far; a case is
breached exactly when its clock goes past it (elapsed > limit; equal is met).

Status: met, breached (also while running: it cannot be mended), running, lapsed, no target,
unknown (no priority, no times, no stop activity that the source can record, or a doubtful stop).
A stop is doubtful where the source never records one of the target's stop activities, or the case
has words that its vocabulary does not map: the clock may have been stopped unseen. Then only a
clock that was seen to stop within its limit is known (met); neither a breach nor a wait is.
Attainment = met / (met + breached) with its Wilson interval of 95 %; the objective is reached or
missed when the whole interval lies on one side of it, else inconclusive. Where clocks of a target
are unknown there is no rate (those that met are the ones that can be seen): the interval then runs
from the low end had all unknown ones breached to the high end had all met (Manski 1989).

Sources: ITIL 4 Service Level Management; ISO/IEC 20000-1:2018, 8.3.3; ServiceNow's task_sla for
pauses. Cost: O(events) a distinct course and O(cases + pauses) a target, in columns.

What it does not check: whether a pause was justified; what a tool's own SLA rows say; pauses
that a source never records (they make the clock too long, never too short); an unseen stop of a
resolve clock that comes after the last one seen.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import resources
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from process_mining import schema as s
from process_mining.clock import (
    ALWAYS,
    MINUTES_PER_DAY,
    Calendar,
    Pauses,
    business_us,
    due_us,
    paused_us,
    read_calendar,
    spec_mistakes,
)
from process_mining.columnar import segments
from process_mining.columnar.segments import Marked
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all
from rules.durations import midnight_us, parse_duration
from rules.spec import wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.practice import Practice
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

Metric = Literal["respond", "resolve"]
ReopenPolicy = Literal["continues", "pauses"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)

REOPEN: Final = "Reopen"
STOPS: Final[Mapping[str, tuple[str, ...]]] = {
    "respond": ("Assign", "Diagnose", "Resolve"),
    "resolve": ("Resolve",),
}
NONE: Final = segments.NONE
STATUSES: Final = ("met", "breached", "running", "lapsed", "no target", "unknown")
CLOCKS: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("priority", pa.string()),
        ("start", s.UTC_US),
        ("stop", s.UTC_US),
        ("elapsed_us", pa.int64()),
        ("paused_us", pa.int64()),
        ("limit_us", pa.int64()),
        ("due", s.UTC_US),
        ("objective", pa.float64()),
        ("status", pa.string()),
    ]
)
ATTAINMENT: Final = pa.schema(
    [
        ("target", pa.string()),
        ("metric", pa.string()),
        ("priority", pa.string()),
        ("n", pa.int64()),
        ("met", pa.int64()),
        ("breached", pa.int64()),
        ("running", pa.int64()),
        ("lapsed", pa.int64()),
        ("unknown", pa.int64()),
        ("rate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("objective", pa.float64()),
        ("verdict", pa.string()),
    ]
)


@dataclass(frozen=True)
class Target:
    """One promise; `limit_us` is open time of the calendar, `objective` a share of cases."""

    name: str
    metric: Metric
    case_type: str
    priority: str
    limit_us: int
    calendar: str
    objective: float
    valid_from: dt.date
    valid_until: dt.date | None = None
    service: str | None = None
    start: str | None = None
    stop: tuple[str, ...] = ()
    pauses: tuple[str, ...] = ()
    reopen: ReopenPolicy = "continues"

    @property
    def stops(self) -> tuple[str, ...]:
        """The activities that stop the clock: the declared ones, else those of the metric."""
        return self.stop or STOPS[self.metric]

    @property
    def course(self) -> tuple[object, ...]:
        """All that decides which events start, stop and pause the clock."""
        return self.start, self.stops, self.pauses, self.metric, self.reopen

    @property
    def activities(self) -> tuple[str, ...]:
        """Every activity that the target names."""
        return tuple(name for name in (self.start, *self.stop, *self.pauses) if name is not None)


@dataclass(frozen=True)
class ServiceLevels:
    """Targets and the calendars they are counted in, checked when built; `24x7` is always there."""

    targets: tuple[Target, ...]
    calendars: tuple[Calendar, ...] = ()

    def __post_init__(self) -> None:
        """Raise every mistake at once: SL203 to SL208."""
        names = {calendar.name for calendar in (ALWAYS, *self.calendars)}
        raise_all(_target_mistakes(self.targets, names, "service levels"))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that any target promises, by name."""
        return tuple(sorted({target.metric for target in self.targets}))

    def calendar(self, name: str) -> Calendar:
        """Return a calendar by name; CodedError SL204 where there is none."""
        known = {calendar.name: calendar for calendar in (ALWAYS, *self.calendars)}
        if name not in known:
            raise CodedError("SL204", f"unknown calendar '{name}'", fix=did_you_mean(name, known))
        return known[name]

    def target(self, name: str) -> Target:
        """Return a target by name; CodedError SL209 where there is none."""
        known = {target.name: target for target in self.targets}
        if name not in known:
            raise CodedError("SL209", f"unknown target '{name}'", fix=did_you_mean(name, known))
        return known[name]


@dataclass(frozen=True, eq=False)
class CaseClock:
    """The clock of one metric, one entry a case, in case order.

    `target` indexes ServiceLevels.targets, -1 where none is in force. Times are µs UTC and only
    mean something where `started`; `start_event` and `stop_event` are positions in log.events.
    `promised` marks cases of a type for which the metric is promised at all, `unprioritised` those
    among them that name no priority, `ended` cases that are complete and never stopped their clock.
    `pauses` counts the pauses before the stop, those of no length too.
    `starts` and `stops` have one entry an event: whether it makes a clock run (its start, the end
    of a pause), or holds it (its stop, else the end of its case, a pause).
    """

    target: Ints
    promised: Bools
    unprioritised: Bools
    known: Bools
    has_target: Bools
    started: Bools
    stopped: Bools
    ended: Bools
    elapsed_us: Ints
    paused_us: Ints
    pauses: Ints
    limit_us: Ints
    due_us: Ints
    start_event: Ints
    stop_event: Ints
    starts: Bools
    stops: Bools

    @property
    def over(self) -> Bools:
        """Whether the limit has been passed."""
        return self.has_target & self.started & (self.elapsed_us > self.limit_us)

    @property
    def status(self) -> pa.Array:
        """One of STATUSES for every case."""
        order = (~self.known, ~self.has_target, self.over, self.stopped, self.ended)
        words = ("unknown", "no target", "breached", "met", "lapsed")
        return pa.array(np.select(order, words, default="running"), pa.string())


def case_clock(desk: Desk, metric: str, *, practice: str | None = None) -> CaseClock:
    """Run the clock of one metric for every case of a desk.

    `practice` is the type of the cases that name none; without it they take the only type that
    the targets speak of. Raises RunError SL301 where there are several to choose from.
    """
    clock = _empty_clock(desk)
    candidates = _candidates(desk, metric, practice)
    distinct = {one.target.course: one.target for one in candidates}
    courses = {key: _course(desk, target) for key, target in distinct.items()}
    for one in candidates:
        course = courses[one.target.course]
        clock.target[one.cases & _in_force(desk, one.target, course)] = one.index
        clock.promised[one.of_type] = True
    for one in candidates:
        mine = np.flatnonzero(clock.target == one.index)
        _run(desk, one.target, courses[one.target.course], mine, clock)
    unprioritised = clock.promised & _is_null(desk, s.PRIORITY)
    known = clock.known & ~unprioritised & (desk.log.timed | ~clock.promised)
    has_target = clock.target != NONE
    return replace(clock, known=known, unprioritised=unprioritised, has_target=has_target)


def clocks(desk: Desk, *, practice: str | None = None) -> pa.Table:
    """Return one row a case and metric (see CLOCKS), sorted by case_id, then metric.

    Where no target is in force, all that would follow from one is null.
    """
    levels = desk.service_levels
    parts = [_clock_table(desk, m, case_clock(desk, m, practice=practice)) for m in levels.metrics]
    table = pa.concat_tables([CLOCKS.empty_table(), *parts])
    return table.sort_by([("case_id", "ascending"), ("metric", "ascending")]).combine_chunks()


def attainment(table: pa.Table) -> pa.Table:
    """Sum the rows of `clocks` up to one a target (see ATTAINMENT), by name.

    n = met + breached. Running cases within their limit, lapsed and unknown ones are counted
    beside it.
    """
    rows = table.filter(table["target"].is_valid())
    keys = ["target", "metric", "priority", "objective"]
    counts = rows.group_by([*keys, "status"]).aggregate([([], "count_all")])
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in counts.to_pylist():
        found.setdefault(tuple(row[key] for key in keys), {})[row["status"]] = row["count_all"]
    lines = [
        dict(zip(keys, key, strict=True)) | _attained(key[-1], found[key]) for key in sorted(found)
    ]
    return pa.Table.from_pylist(lines, schema=ATTAINMENT)


def _attained(objective: float, counts: Mapping[str, int]) -> dict[str, object]:
    met, breached = counts.get("met", 0), counts.get("breached", 0)
    n, unknown = met + breached, counts.get("unknown", 0)
    low, high = wilson(met, n + unknown)[0], wilson(met + unknown, n + unknown)[1]
    return {
        "n": n,
        "met": met,
        "breached": breached,
        "running": counts.get("running", 0),
        "lapsed": counts.get("lapsed", 0),
        "unknown": unknown,
        "rate": met / n if n and not unknown else None,
        "low": low if n else None,
        "high": high if n else None,
        "verdict": _verdict(low, high, objective),
    }


def _verdict(low: float, high: float, objective: float) -> str:
    if low >= objective:
        return "reached"
    return "missed" if high < objective else "inconclusive"


# --- the course of a clock: which events start, stop and pause it -------------------------------


@dataclass(frozen=True, eq=False)
class _Course:
    """Positions in the log's events, a case: start, stop; when the clock ends; the paused spans.

    `held` is the stop, in a case that ended without one its last step.
    Span k begins at event pauses[k] and ends at event resumes[k] (NONE: the clock's end).
    `n_pauses` counts each case's pauses before its stop.
    `observable`: the source records the start and some stop; `doubtful`: not every stop.
    """

    start: Ints
    stop: Ints
    held: Ints
    ends: Ints
    pauses: Marked
    resumes: Ints
    n_pauses: Ints
    observable: bool
    doubtful: bool


def _course(desk: Desk, target: Target) -> _Course:
    arrays, steps = desk.log.arrays, desk.steps
    begins = steps if target.start is None else desk.mask(target.start)
    start = segments.first(arrays, begins)
    stops = _started(Marked.of(arrays, _any_of(desk, target.stops)), start)
    paused = _any_of(desk, target.pauses) & steps
    if target.metric == "resolve" and target.reopen == "pauses":
        paused |= _resolved(desk, stops.mask) & steps
    pauses = _started(Marked.of(arrays, paused), start)
    stop = _stop(desk, target, stops)
    stopped = stop[pauses.case]
    return _Course(
        start=start,
        stop=stop,
        held=np.where((stop == NONE) & desk.complete, desk.last_step, stop),
        ends=_ends(desk, stop),
        pauses=pauses,
        resumes=pauses.next_among(Marked.of(arrays, steps)),
        n_pauses=pauses.only((stopped == NONE) | (pauses.place < stopped)).count(),
        observable=not desk.unobserved.issuperset(target.stops)
        and target.start not in desk.unobserved,
        doubtful=not desk.unobserved.isdisjoint(target.stops),
    )


def _started(events: Marked, start: Ints) -> Marked:
    """Return those events that do not come before the start of their case's clock."""
    first = start[events.case]
    return events.only((first != NONE) & (events.place >= first))


def _stop(desk: Desk, target: Target, stops: Marked) -> Ints:
    if target.metric == "respond":
        return stops.first()
    stop = stops.last()
    return np.where(segments.last(desk.log.arrays, desk.mask(REOPEN)) > stop, NONE, stop)


def _ends(desk: Desk, stop: Ints) -> Ints:
    """When each case's clock ends: at its stop, else its last step, else now."""
    arrays = desk.log.arrays
    last_event = segments.take(arrays.at, segments.last_event(arrays), fill=desk.as_of_us)
    last_step = segments.take(arrays.at, desk.last_step, fill=desk.as_of_us)
    open_until = np.maximum(last_event, desk.as_of_us)
    ends = np.where(desk.complete, last_step, open_until)
    return np.where(stop == NONE, ends, segments.take(arrays.at, stop, fill=0))


def _resolved(desk: Desk, stopping: Bools) -> Bools:
    """Per event: whether, after it, the last stop of the case so far has not been reopened."""
    arrays, here = desk.log.arrays, np.arange(len(stopping))
    reopening = desk.mask(REOPEN)
    stopped = np.where(stopping, here, segments.previous_position(arrays, stopping))
    reopened = np.where(reopening, here, segments.previous_position(arrays, reopening))
    return stopped > reopened


def _any_of(desk: Desk, activities: Iterable[str]) -> Bools:
    mask = np.zeros(desk.log.n_events, dtype=bool)
    for activity in activities:
        mask |= desk.mask(activity)
    return mask


# --- which target, and how far ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A target, the cases of its type, and those of its priority and service among them."""

    index: int
    target: Target
    of_type: Bools
    cases: Bools


def _candidates(desk: Desk, metric: str, practice: str | None) -> list[_Candidate]:
    """Find the targets of one metric; those that name a service come last, so that they win."""
    targets = [(i, t) for i, t in enumerate(desk.service_levels.targets) if t.metric == metric]
    targets.sort(key=lambda found: (found[1].service is not None, found[0]))
    unnamed = _is_null(desk, s.PRACTICE)
    _require_one_type({target.case_type for _, target in targets}, unnamed, practice)
    equals = cache(partial(_equals, desk))  # targets share most of what they ask for
    found = []
    for index, target in targets:
        mine = equals(s.PRACTICE, target.case_type)
        if practice in (None, target.case_type):
            mine = mine | unnamed
        cases = mine & equals(s.PRIORITY, target.priority)
        if target.service is not None:
            cases &= equals(s.SERVICE, target.service)
        found.append(_Candidate(index, target, mine, cases))
    return found


def _require_one_type(types: set[str], unnamed: Bools, practice: str | None) -> None:
    if practice is None and len(types) > 1 and unnamed.any():
        words = " and ".join(sorted(types))
        msg = f"{int(unnamed.sum())} cases name no practice, and there are targets for {words}"
        why = "A target of the wrong practice would judge them"
        raise RunError("SL301", msg, why=why, fix="Say the practice of the log")


def _equals(desk: Desk, column: str, value: str) -> Bools:
    same = pc.fill_null(pc.equal(desk.log.cases[column], value), fill_value=False)
    return np.asarray(same.combine_chunks().to_numpy(zero_copy_only=False), bool)


def _is_null(desk: Desk, column: str) -> Bools:
    null = desk.log.cases[column].is_null().combine_chunks()
    return np.asarray(null.to_numpy(zero_copy_only=False), bool)


def _in_force(desk: Desk, target: Target, course: _Course) -> Bools:
    """Whether the target held when the clock started; a clock yet to start is judged as of now."""
    start = segments.take(desk.log.arrays.at, course.start, fill=desk.as_of_us)
    held = start >= midnight_us(target.valid_from)
    if target.valid_until is not None:
        held &= start < midnight_us(target.valid_until)
    return held


def _empty_clock(desk: Desk) -> CaseClock:
    n = desk.log.n_cases
    return CaseClock(
        target=np.full(n, NONE, np.int64),
        promised=np.zeros(n, bool),
        unprioritised=np.zeros(n, bool),
        known=np.ones(n, bool),
        has_target=np.zeros(n, bool),
        started=np.zeros(n, bool),
        stopped=np.zeros(n, bool),
        ended=np.zeros(n, bool),
        elapsed_us=np.zeros(n, np.int64),
        paused_us=np.zeros(n, np.int64),
        pauses=np.zeros(n, np.int64),
        limit_us=np.zeros(n, np.int64),
        due_us=np.zeros(n, np.int64),
        start_event=np.full(n, NONE, np.int64),
        stop_event=np.full(n, NONE, np.int64),
        starts=np.zeros(desk.log.n_events, bool),
        stops=np.zeros(desk.log.n_events, bool),
    )


def _run(desk: Desk, target: Target, course: _Course, cases: Ints, clock: CaseClock) -> None:
    """Write the clocks of one target's cases into `clock`, which case_clock has just made."""
    clock.known[cases] = course.observable
    clock.limit_us[cases] = target.limit_us
    clock.start_event[cases], clock.stop_event[cases] = course.start[cases], course.stop[cases]
    clock.started[cases] = course.start[cases] != NONE
    clock.stopped[cases] = course.stop[cases] != NONE
    clock.ended[cases] = desk.complete[cases] & ~clock.stopped[cases]
    clock.pauses[cases] = course.n_pauses[cases]
    cases = cases[clock.started[cases]]
    if not len(cases) or not desk.log.timed:
        return
    _mark_events(course, cases, clock)
    calendar = desk.service_levels.calendar(target.calendar)
    at = desk.log.arrays.at
    start, end = at[course.start[cases]], course.ends[cases]
    pauses = _pauses(desk, course, cases, start, end)
    paused = paused_us(start, end, pauses, calendar)
    clock.paused_us[cases] = paused
    clock.elapsed_us[cases] = business_us(start, end, calendar) - paused
    limits = np.full(len(cases), target.limit_us, np.int64)
    clock.due_us[cases] = due_us(start, limits, pauses, calendar)
    doubtful = np.full(len(cases), course.doubtful)
    if desk.unmapped is not None:
        doubtful |= desk.unmapped[cases]
    kept = clock.stopped[cases] & (clock.elapsed_us[cases] <= target.limit_us)
    clock.known[cases] &= kept | ~doubtful


def _mark_events(course: _Course, cases: Ints, clock: CaseClock) -> None:
    """Mark the events that make these cases' clocks run, and those that hold them."""
    asked = np.zeros(len(course.start), dtype=bool)
    asked[cases] = True
    mine = asked[course.pauses.case]
    for mask, events in (
        (clock.starts, (course.start[cases], course.resumes[mine])),
        (clock.stops, (course.held[cases], course.pauses.place[mine])),
    ):
        for positions in events:
            mask[positions[positions != NONE]] = True


def _pauses(desk: Desk, course: _Course, cases: Ints, start: Ints, end: Ints) -> Pauses:
    """The pauses inside the clocks; a pause after a clock has stopped moves no deadline."""
    arrays = desk.log.arrays
    row_of = np.full(arrays.n_cases, NONE, np.int64)
    row_of[cases] = np.arange(len(cases))
    row = row_of[course.pauses.case]
    mine = row != NONE
    row, pauses, resumes = row[mine], course.pauses.place[mine], course.resumes[mine]
    begin = np.maximum(arrays.at[pauses], start[row])
    until = np.where(resumes == NONE, end[row], segments.take(arrays.at, resumes, fill=0))
    until = np.minimum(until, end[row])
    some = until > begin
    return Pauses(row[some], begin[some], until[some])


def _clock_table(desk: Desk, metric: str, clock: CaseClock) -> pa.Table:
    """One row a case of one metric."""
    n, targets = desk.log.n_cases, desk.service_levels.targets
    index = pa.array(clock.target, mask=~clock.has_target)
    names = pa.array([target.name for target in targets], pa.string())
    objectives = pa.array([target.objective for target in targets], pa.float64())
    runs = clock.has_target & clock.started & desk.log.timed
    at = desk.log.arrays.at
    columns = {
        "case_id": desk.log.cases[s.CASE_ID],
        "target": names.take(index),
        "metric": pa.repeat(metric, n),
        "priority": desk.log.cases[s.PRIORITY],
        "start": _times(segments.take(at, clock.start_event, fill=0), runs),
        "stop": _times(segments.take(at, clock.stop_event, fill=0), runs & clock.stopped),
        "elapsed_us": pa.array(clock.elapsed_us, mask=~runs),
        "paused_us": pa.array(clock.paused_us, mask=~runs),
        "limit_us": pa.array(clock.limit_us, mask=~clock.has_target),
        "due": _times(clock.due_us, runs),
        "objective": objectives.take(index),
        "status": clock.status,
    }
    return pa.table(columns, schema=CLOCKS)


def _times(values: Ints, valid: Bools) -> pa.Array:
    return pa.array(values, mask=~valid).cast(s.UTC_US)


# --- targets as TOML --------------------------------------------------------------------------


class _TargetSpec(BaseModel):
    """One `[[target]]` of a TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    metric: Metric
    case_type: str = "incident"
    priority: str = Field(min_length=1)
    service: str | None = None
    limit: str
    calendar: str
    start: str | None = None
    stop: list[str] = []
    pauses: list[str] = []
    reopen: ReopenPolicy = "continues"
    objective: float
    valid_from: dt.date
    valid_until: dt.date | None = None

    def target(self, limit_us: int) -> Target:
        """Return the same, frozen."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "limit"}
        fields |= {"stop": tuple(self.stop), "pauses": tuple(self.pauses)}
        return Target(**fields, limit_us=limit_us)


def load_service_levels(
    targets: Path | None = None, *, practices: Mapping[str, Practice] | None = None
) -> ServiceLevels:
    """Read targets (the embedded ones, or a user's file) and calendars (embedded, and the user's).

    All mistakes of the file are raised at once: SL1xx calendars, SL201 the file cannot be read,
    SL202 a field, SL203 two targets for the same cases, SL204 calendar, SL205 activity or case
    type (checked where `practices` are given), SL206 limit, SL207 objective, SL208 names and dates.
    """
    folder = resources.files("rules") / "itil" / "service_level"
    shipped = _read_file(folder / "calendars.toml")
    document = _read_file(targets or folder / "targets.toml")
    calendars, mistakes = _read_calendars(
        [*shipped.tables("calendar"), *document.tables("calendar")]
    )
    mistakes += document.stray(("calendar", "target"))
    found, more = _read_targets(document, calendars)
    known = {ALWAYS.name, *(name for name, _ in calendars)}
    mistakes += [*more, *_target_mistakes(found, known, document.name)]
    raise_all([*mistakes, *_word_mistakes(found, practices, document.name)])
    return ServiceLevels(tuple(found), tuple(c for _, c in calendars if c is not None))


@dataclass(frozen=True)
class _Document:
    name: str
    content: Mapping[str, Any]

    def tables(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the tables of a [[key]] with their place; SL202 where it is something else."""
        found = self.content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            raise CodedError("SL202", f"{self.name}: {key} is no list", fix=f"Write [[{key}]]")
        return [(f"{self.name}, {key} {i}", table) for i, table in enumerate(found, start=1)]

    def stray(self, known: Sequence[str]) -> list[CodedError]:
        """Return an error for each top-level field that nobody reads."""
        return [
            CodedError("SL202", f"{self.name}: unknown field '{key}'", fix=did_you_mean(key, known))
            for key in self.content
            if key not in known
        ]


def _read_file(path: Path | Traversable) -> _Document:
    fix = "Give a TOML file in UTF-8"
    try:
        return _Document(path.name, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CodedError("SL201", f"cannot read {path}: {error.strerror}", fix=fix) from error
    except ValueError as error:
        raise CodedError("SL201", f"{path} is no TOML: {error}", fix=fix) from error


def _read_calendars(
    tables: Sequence[tuple[str, dict[str, Any]]],
) -> tuple[list[tuple[str, Calendar | None]], list[CodedError]]:
    """Read calendars; one with mistakes keeps its name, so that its targets add no errors."""
    found: list[tuple[str, Calendar | None]] = []
    mistakes: list[CodedError] = []
    for place, table in tables:
        calendar, wrong = read_calendar(table, place)
        mistakes += wrong
        name = str(table.get("name", ""))
        if name in {ALWAYS.name, *(known for known, _ in found)}:
            msg = f"{place}: there is a calendar '{name}' already"
            mistakes.append(CodedError("SL106", msg, fix="Give it another name"))
        found.append((name, calendar))
    return found, mistakes


def _read_targets(
    document: _Document, calendars: Sequence[tuple[str, Calendar | None]]
) -> tuple[list[Target], list[CodedError]]:
    found, mistakes = [], []
    known = {ALWAYS.name: ALWAYS} | {name: c for name, c in calendars if c is not None}
    for place, table in document.tables("target"):
        try:
            spec = _TargetSpec.model_validate(table)
            found.append(spec.target(_limit(spec, known.get(spec.calendar), place)))
        except ValidationError as error:
            mistakes += spec_mistakes(error, _TargetSpec, code="SL202", place=place)
        except CodedError as error:
            mistakes.append(error)
    if not document.content.get("target"):
        fix = "Write at least one [[target]]"
        mistakes.append(CodedError("SL202", f"{document.name} holds no target", fix=fix))
    return found, mistakes


def _limit(spec: _TargetSpec, calendar: Calendar | None, place: str) -> int:
    """Read a limit; days only where an open day has 24 hours, for nobody means 24 by '2d' else."""
    try:
        limit = parse_duration(spec.limit)
    except ValueError as error:
        raise CodedError("SL206", f"{place}, limit: {error}", fix="Write hours: '4h'") from error
    if calendar is not None and spec.limit[-1] in "dw" and not _whole_days(calendar):
        msg = f"{place}: limit '{spec.limit}' in calendar '{calendar.name}' is ambiguous"
        why = "A day has 24 hours here, and this calendar's open day is shorter"
        raise CodedError("SL206", msg, why=why, fix="Write it in open hours, such as '20h'")
    return limit


def _whole_days(calendar: Calendar) -> bool:
    lengths = [sum(closes - opens for opens, closes in day) for day in calendar.hours]
    return all(length in (0, MINUTES_PER_DAY) for length in lengths)


def _target_mistakes(
    targets: Sequence[Target], calendars: Iterable[str], place: str
) -> list[CodedError]:
    known, mistakes = sorted(calendars), []
    for target in targets:
        where = f"{place}, target '{target.name}'"
        if target.calendar not in known:
            msg = f"{where}: unknown calendar '{target.calendar}'"
            mistakes.append(CodedError("SL204", msg, fix=did_you_mean(target.calendar, known)))
        if target.limit_us <= 0:
            mistakes.append(CodedError("SL206", f"{where}: the limit is not above 0"))
        if not 0 < target.objective < 1:
            msg = f"{where}: objective {target.objective:g} is no share between 0 and 1"
            mistakes.append(CodedError("SL207", msg, fix="Write 0.95 for 95 %"))
        if target.valid_until is not None and target.valid_until <= target.valid_from:
            msg = f"{where}: valid_until {target.valid_until} is not after valid_from"
            mistakes.append(CodedError("SL208", msg, fix="It is the first day out of force"))
    return mistakes + [
        mistake for a, b in combinations(targets, 2) for mistake in _pair_mistakes(a, b, place)
    ]


def _pair_mistakes(a: Target, b: Target, place: str) -> list[CodedError]:
    mistakes = []
    if a.name == b.name:
        msg = f"{place}: two targets are called '{a.name}'"
        mistakes.append(CodedError("SL208", msg, fix="Give each its own name"))
    if _about(a) == _about(b) and _overlap(a, b):
        msg = f"{place}: targets '{a.name}' and '{b.name}' are about the same cases at one time"
        why = f"Both promise {a.metric} for {a.case_type} {a.priority}"
        fix = "Set valid_until of the older to valid_from of the newer"
        mistakes.append(CodedError("SL203", msg, why=why, fix=fix))
    return mistakes


def _about(target: Target) -> tuple[str, str, str, str | None]:
    return target.metric, target.case_type, target.priority, target.service


def _overlap(a: Target, b: Target) -> bool:
    ends = [t.valid_until or dt.date.max for t in (a, b)]
    return max(a.valid_from, b.valid_from) < min(ends)


def _word_mistakes(
    targets: Sequence[Target], practices: Mapping[str, Practice] | None, place: str
) -> list[CodedError]:
    """Check case types and activities against the practices' own words."""
    if practices is None:
        return []
    mistakes = []
    for target in targets:
        where = f"{place}, target '{target.name}'"
        if target.case_type not in practices:
            msg = f"{where}: unknown case_type '{target.case_type}'"
            mistakes.append(CodedError("SL205", msg, fix=did_you_mean(target.case_type, practices)))
            continue
        words = practices[target.case_type].activities
        mistakes += [
            CodedError("SL205", f"{where}: unknown activity '{a}'", fix=did_you_mean(a, words))
            for a in target.activities
            if a not in words
        ]
    return mistakes
