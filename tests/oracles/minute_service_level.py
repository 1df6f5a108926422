"""The clocks of one ticket by replaying it: event after event, and minute after minute in between.

Imports nothing of the project. A ticket's times are whole minutes since 1970-01-01 UTC. What is
promised is read from the plain content of a targets file; what is open is asked of the wall clock
of the calendar's zone. Every state of the ticket (who holds it, its priority, what pauses it) holds
from one event to the next, so that a clock is a sum over the gaps between events.

The minutes of a gap are asked one by one, or counted in a list of them that was made by asking each
once (`oracles/wall_hours.py`); both must say the same, which is tested.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from oracles.wall_hours import Hours

    Promise = Mapping[str, Any]

DAY = 1_440
STOPS = {
    "acknowledge": ["Classify", "Assign", "Diagnose", "Investigate", "Work", "Resolve", "Fulfil"],
    "respond": ["Assign", "Diagnose", "Investigate", "Work", "Resolve", "Fulfil"],
    "resolve": ["Resolve"],
    "fulfil": ["Fulfil"],
    "update": ["Resolve", "Fulfil"],
}
AT_FIRST = ("acknowledge", "respond")  # these end at the first stop, whatever is reopened
UNITS = {"m": 1, "h": 60, "d": DAY}


# --- tickets


class Event(NamedTuple):
    """A minute, and what is said there; None where nothing is. No activity: an update."""

    at: int
    activity: str | None
    team: str | None = None
    priority: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Ticket:
    """One case; `priority` is what the case itself says, that of an event what held from then."""

    case_id: str
    kind: str
    events: tuple[Event, ...]
    complete: bool
    priority: str | None = None
    service: str | None = None
    customer: str | None = None
    unmapped: bool = False


@dataclass(frozen=True)
class Row:
    """A row of clocks; moments are minutes, `begins` is where the reign does."""

    case_id: str
    agreement: str
    party: str | None
    metric: str
    cycle: int
    begins: int
    status: str
    target: str | None = None
    priority: str | None = None
    service: str | None = None
    customer: str | None = None
    team: str | None = None
    start: int | None = None
    stop: int | None = None
    elapsed: int | None = None
    paused: int | None = None
    limit: int | None = None
    remaining: int | None = None
    due: int | None = None
    breached_at: int | None = None
    objective: float | None = None
    start_event: int | None = None
    stop_event: int | None = None
    pauses: tuple[Pause, ...] = ()


class Pause(NamedTuple):
    """From one minute to another (None: still paused), and the open minutes that it took off."""

    begin: int
    end: int | None
    cause: str | None
    ended_by: str | None
    minutes: int
    allowed: bool


# --- the replay: what holds after each event


@dataclass(frozen=True)
class Office:
    """What a ticket is judged by: the file's targets, hours by calendar, and when it is now.

    `outside` are activities that are no steps of the practice.
    """

    targets: Sequence[Promise]
    hours: Mapping[str, Hours]
    as_of: int
    outside: Collection[str] = ()


@dataclass(frozen=True)
class Replay:
    """What holds after each event of a ticket."""

    ticket: Ticket
    office: Office
    holder: list[str | None]
    step: list[bool]
    priority: list[str | None]

    @classmethod
    def of(cls, ticket: Ticket, office: Office) -> Replay:
        holder, team = [], None
        for event in ticket.events:
            team = event.team or team
            holder.append(team)
        step = [
            event.activity is not None and event.activity not in office.outside
            for event in ticket.events
        ]
        return cls(ticket, office, holder, step, priorities(ticket))

    @property
    def last_step(self) -> int | None:
        return max((i for i, is_step in enumerate(self.step) if is_step), default=None)

    def meets(self, i: int, condition: str | Promise) -> bool:
        event = self.ticket.events[i]
        if isinstance(condition, str):
            return event.activity == condition
        if "activity" in condition and event.activity != condition["activity"]:
            return False
        if "team" in condition and self.holder[i] != condition["team"]:
            return False
        where = condition.get("where")
        return where is None or self._where(event, where)

    def _where(self, event: Event, where: Promise) -> bool:
        if event.note is None:
            return False
        among = {text.strip().casefold() for text in where.get("one_of", where.get("none_of", ()))}
        return (event.note.strip().casefold() in among) == ("one_of" in where)

    def any_of(self, i: int, conditions: Sequence[str | Promise]) -> bool:
        return any(self.meets(i, condition) for condition in conditions)

    def state(self, conditions: Sequence[str | Promise]) -> list[int | None]:
        """After each event: the step that began the state that holds, None where none does."""
        found: list[int | None] = []
        now = None
        for i, is_step in enumerate(self.step):
            if is_step:
                now = i if self.any_of(i, conditions) else None
            found.append(now)
        return found


def priorities(ticket: Ticket) -> list[str | None]:
    """After each event: what was said last; what is said first holds before, too."""
    said = [event.priority for event in ticket.events if event.priority is not None]
    now, found = said[0] if said else ticket.priority, []
    for event in ticket.events:
        now = event.priority or now
        found.append(now)
    return found


def contradicts(ticket: Ticket) -> bool:
    said = [event.priority for event in ticket.events if event.priority is not None]
    return bool(said) and ticket.priority is not None and said[-1] != ticket.priority


# --- the cycles of a promise


class Cycle(NamedTuple):
    """From one event to another.

    `how` it is over: "stopped"; "reset", by an event that begins the next; "left", the case was
    handed on without a stop; "ended", at the case's last step; or it is "open" past the last event.
    """

    start: int
    end: int
    how: str


@dataclass(frozen=True)
class Course:
    """How a promise runs through a ticket: its cycles, and what holds in each gap."""

    replay: Replay
    promise: Promise
    party: str | None
    cycles: list[Cycle]
    paused: list[int | None]
    mine: list[bool]
    started: int | None

    @classmethod
    def of(cls, replay: Replay, promise: Promise, party: str | None) -> Course:
        n, events = len(replay.step), replay.ticket.events
        mine = None
        if promise["agreement"] == "OLA":
            mine = [team == party for team in replay.holder]
        elif promise["agreement"] == "UC":
            mine = [i is not None for i in replay.state(promise["runs_in"])]
        given = promise.get("start", [])
        starts = [replay.any_of(i, given) for i in range(n)] if given else replay.step
        start = next((i for i in range(n) if starts[i] or mine is not None), None)
        stops = promise.get("stop") or STOPS[promise["metric"]]
        stop_at = [start is not None and i >= start and replay.any_of(i, stops) for i in range(n)]
        reopened = [event.activity == "Reopen" for event in events]
        paused = replay.state(promise.get("pauses", []))
        if promise.get("reopen") == "pauses" and promise["metric"] not in AT_FIRST:
            waits = None
            for i in range(n):
                if reopened[i]:
                    waits = None
                elif stop_at[i] and waits is None:
                    waits = i
                paused[i] = paused[i] if waits is None else waits
        course = cls(replay, promise, party, [], paused, mine or [True] * n, start)
        if start is not None:
            course.cycles.extend(course._cycles(start, stop_at, reopened))
        return course

    def _cycles(self, start: int, stop_at: list[bool], reopened: list[bool]) -> Iterator[Cycle]:
        agreement, n = self.promise["agreement"], len(stop_at)
        if agreement != "SLA" and self.promise["metric"] in AT_FIRST:
            yield from self._stays(stop_at)
            return
        begins = self._begins(start, stop_at, reopened)
        for begin, following in zip(begins, [*begins[1:], n], strict=True):
            cycle = self._cycle(begin, following, stop_at, reopened)
            if agreement == "SLA":
                yield cycle
                continue
            arrives = next((i for i in range(begin, cycle.end) if self.mine[i]), None)
            if arrives is not None:
                yield cycle._replace(start=arrives)

    def _stays(self, stop_at: list[bool]) -> Iterator[Cycle]:
        """Each stay with a team, each wait for a supplier."""
        n, i = len(self.mine), 0
        while i < n:
            if not self.mine[i]:
                i += 1
                continue
            left = next((j for j in range(i, n) if not self.mine[j]), n)
            # being given the case is no answer of a team; what ends the wait for a supplier is one
            by_team = self.promise["agreement"] == "OLA"
            may_stop = range(i + 1, left) if by_team else range(i, min(left + 1, n))
            stop = next((j for j in may_stop if stop_at[j]), None)
            if stop is not None:
                yield Cycle(i, stop, "stopped")
            elif left < n:
                yield Cycle(i, left, "left")
            else:
                yield self._unstopped(i)
            i = left

    def _begins(self, start: int, stop_at: list[bool], reopened: list[bool]) -> list[int]:
        update = self.promise["metric"] == "update"
        policy = self.promise.get("reopen", "continues")
        anew = policy != "ignored" if update else policy == "restarts"
        begins, stopped = [start], stop_at[start]
        for i in range(start + 1, len(stop_at)):
            reset = self.replay.any_of(i, self.promise.get("reset", []))
            reset = reset and not stop_at[i] and not (update and stopped)
            if reset or (reopened[i] and stopped and anew):
                begins.append(i)
            if reset or reopened[i]:
                stopped = False
            stopped |= stop_at[i]
        return begins

    def _cycle(
        self, begin: int, following: int, stop_at: list[bool], reopened: list[bool]
    ) -> Cycle:
        stops = [i for i in range(begin, following) if stop_at[i]]
        if stops and (
            self.promise["metric"] in ("acknowledge", "respond", "update")
            or self.promise.get("reopen") == "ignored"
        ):
            return Cycle(begin, stops[0], "stopped")
        if stops and not any(reopened[stops[-1] + 1 : following]):
            return Cycle(begin, stops[-1], "stopped")
        if following < len(stop_at):
            how = "stopped" if self.promise["metric"] == "update" else "reset"
            return Cycle(begin, following, how)
        return self._unstopped(begin)

    def _unstopped(self, begin: int) -> Cycle:
        if self.replay.ticket.complete:
            return Cycle(begin, max(begin, self.replay.last_step or 0), "ended")
        return Cycle(begin, len(self.mine), "open")

    # --- time

    @property
    def hours(self) -> Hours:
        return self.replay.office.hours[self.promise["calendar"]]

    def at(self, i: int) -> int:
        """When an event was; past the last one it is now, or then if that is later."""
        events = self.replay.ticket.events
        if i < len(events):
            return events[i].at
        return max(self.replay.office.as_of, events[-1].at)

    def counts(self, i: int) -> bool:
        """Whether the clock runs from this event to the next."""
        return self.mine[i] and self.paused[i] is None

    def elapsed(self, begin: int, end: int) -> int:
        gaps = (i for i in range(begin, end) if self.counts(i))
        return sum(self.hours.count(self.at(i), self.at(i + 1)) for i in gaps)

    def pauses(self, begin: int, end: int) -> Iterator[Pause]:
        """What held the clock for more than no time, cut to it; or holds it now."""
        n, gaps = len(self.mine), range(begin, end)
        for by in sorted({i for i in self.paused if i is not None}):
            held = [i for i in gaps if self.paused[i] == by and self.mine[i]]
            still = end == n and self.paused[n - 1] == by
            if not (still and self.mine[n - 1]) and not any(
                self.at(i) < self.at(i + 1) for i in held
            ):
                continue
            over = next((i for i in range(by + 1, n) if self.paused[i] != by), None)
            events, limits = self.replay.ticket.events, (self.at(begin), self.at(end))
            allowed = "allowed" not in self.promise
            yield Pause(
                max(events[by].at, limits[0]),
                None if still else min(limits[1], self.at(n if over is None else over)),
                events[by].activity,
                None if over is None else events[over].activity,
                sum(self.hours.count(self.at(i), self.at(i + 1)) for i in held),
                allowed or self.replay.any_of(by, self.promise["allowed"]),
            )

    def due(self, begin: int, end: int, limit: int) -> int:
        """Walk on until the limit is used up; after the end of the clock it is supposed to run."""
        left = limit
        for i in range(begin, end):
            if self.counts(i):
                spent = self.hours.count(self.at(i), self.at(i + 1))
                if spent >= left:
                    return self._walk(self.at(i), left)
                left -= spent
        return self._walk(self.at(max(begin, end)), left)

    def _walk(self, minute: int, left: int) -> int:
        while (spent := self.hours.count(minute, minute + DAY)) < left:
            left, minute = left - spent, minute + DAY
        while left:
            left -= self.hours.count(minute, minute + 1)
            minute += 1
        return minute


# --- rows


def clocks(ticket: Ticket, office: Office) -> list[Row]:
    """All rows of a ticket, in their order."""
    replay = Replay.of(ticket, office)
    families = {
        (p["agreement"], party, p["metric"]) for p in office.targets for party in parties(p, replay)
    }
    rows = [row for family in families for row in _family(replay, *family)]
    return sorted(rows, key=lambda r: (r.agreement, r.party or "", r.metric, r.cycle, r.begins))


def parties(promise: Promise, replay: Replay) -> Collection[str | None]:
    """Who keeps it: nobody by name, a supplier, a team, or each team that has none of its own."""
    if promise["agreement"] == "SLA":
        return {None}
    if promise["agreement"] == "UC":
        return {promise["party"]}
    if promise["team"] != "*":
        return {promise["team"]}
    own = {
        other.get("team")
        for other in replay.office.targets
        if all(other[x] == promise[x] for x in ("agreement", "metric", "case_type"))
    }
    return {team for team in replay.holder if team} - own


def _family(replay: Replay, agreement: str, party: str | None, metric: str) -> Iterator[Row]:
    ticket = replay.ticket
    about = [
        promise
        for promise in replay.office.targets
        if (promise["agreement"], promise["metric"]) == (agreement, metric)
        and party in parties(promise, replay)
        and promise["case_type"] == ticket.kind
    ]
    plain = Row(
        ticket.case_id,
        agreement,
        party,
        metric,
        1,
        0,
        "no target",
        service=ticket.service,
        customer=ticket.customer,
    )
    if not about or not any(replay.step):
        if agreement == "SLA":
            yield _with(plain, priority=ticket.priority, team=replay.holder[-1])
        return
    courses = {promise["name"]: Course.of(replay, promise, party) for promise in about}
    fitting = [p for p in about if _fits(p, ticket) and _in_force(courses[p["name"]])]
    governs = [_most_special(fitting, now) for now in replay.priority]
    guessed = replay.priority[0] is None
    rows = list(_reigns(plain, courses, governs))
    if not rows and agreement == "SLA":
        unsure = contradicts(ticket) or guessed
        unknown = unsure and any("priority" in promise for promise in about)
        yield _with(plain, status="unknown" if unknown else "no target")
    guessed &= any("priority" in promise for promise in fitting)
    unknown = guessed or contradicts(ticket)
    for row in rows:
        seen = row.status == "met" or not ticket.unmapped
        yield row if seen and not unknown else _with(row, status="unknown")


def _fits(promise: Promise, ticket: Ticket) -> bool:
    said = {"service": ticket.service, "customer": ticket.customer}
    return all(name not in promise or promise[name] == value for name, value in said.items())


def _in_force(course: Course) -> bool:
    replay, promise = course.replay, course.promise
    begun = course.cycles[0].start if course.cycles else course.started
    minute = replay.office.as_of if begun is None else replay.ticket.events[begun].at
    moment = dt.datetime.fromtimestamp(minute * 60, dt.UTC)
    until = promise.get("valid_until")
    return promise["valid_from"] <= moment.date() and (until is None or moment.date() < until)


def _most_special(promises: Sequence[Promise], priority: str | None) -> Promise | None:
    held = [p for p in promises if p.get("priority", priority) == priority]
    named = ("customer", "service", "priority")
    return max(held, key=lambda p: [name in p for name in named], default=None)


def _reigns(
    plain: Row,
    courses: Mapping[str, Course],
    governs: Sequence[Promise | None],
) -> Iterator[Row]:
    n, begin = len(governs), 0
    while begin < n:
        end, promise = begin, governs[begin]
        while end < n and governs[end] is promise:
            end += 1
        course = None if promise is None else courses[promise["name"]]
        if course is not None and course.started is None and end == n:
            yield _unstarted(plain, course)
        for number, cycle in enumerate([] if course is None else course.cycles, 1):
            if begin <= cycle.start < end or cycle.start < begin < cycle.end:
                first = max(begin, cycle.start)
                yield _with(_row(plain, course, cycle, first, end), cycle=number)
        begin = end


def _unstarted(plain: Row, course: Course) -> Row:
    replay, promise = course.replay, course.promise
    return _with(
        plain,
        begins=len(replay.step),
        priority=replay.priority[-1],
        team=replay.holder[-1],
        status="lapsed" if replay.ticket.complete else "running",
        target=promise["name"],
        limit=minutes_of(promise["limit"]),
        objective=promise["objective"],
    )


def _row(plain: Row, course: Course, cycle: Cycle, first: int, until: int) -> Row:
    """The reign from event `first` to before event `until`, within a cycle."""
    replay, promise = course.replay, course.promise
    how, end = ("changed", until) if until < cycle.end else (cycle.how, cycle.end)
    anew = promise.get("on_change", "from start") == "from change"
    begin = first if anew else cycle.start
    limit, elapsed = minutes_of(promise["limit"]), course.elapsed(begin, end)
    pauses = tuple(course.pauses(begin, end))
    due = course.due(begin, end, limit)
    late = elapsed > limit and not (how == "changed" and course.elapsed(begin, first) > limit)
    words = {"changed": "superseded", "reset": "superseded", "stopped": "met", "open": "running"}
    status = "breached" if late else words.get(how, "lapsed")
    stop = end if how in ("stopped", "reset") else None
    last = end if how in ("changed", "stopped", "reset", "ended") else end - 1
    is_open = how == "open"
    return _with(
        plain,
        begins=first,
        status=status,
        target=promise["name"],
        priority=replay.priority[max(end - 1, first)],
        team=replay.holder[last],
        start=course.at(begin),
        stop=None if stop is None else course.at(stop),
        elapsed=elapsed,
        paused=sum(pause.minutes for pause in pauses),
        limit=limit,
        remaining=limit - elapsed if is_open else None,
        due=due,
        breached_at=max(due, course.at(first)) if late else None,
        objective=promise["objective"],
        start_event=begin,
        stop_event=stop,
        pauses=pauses,
    )


def _with(row: Row, **more: Any) -> Row:  # noqa: ANN401 - any of the fields
    return Row(**(vars(row) | more))


def minutes_of(limit: str) -> int:
    return int(limit[:-1]) * UNITS[limit[-1]]
