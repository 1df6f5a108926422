"""Why does the tool's row differ from our clock?

Each difference gets one cause of CAUSES: the first, in this order, that holds. All but the first
three and the last two are ways of counting: our clock, counted with the exchanged part, says what
the tool says in every field that both know (`recount`). Where several ways of one kind would do
(calendars, stop events), the one that gives the most differences of this tool's service level is
named: a setting of the tool is the same for all its tickets.

    tool row missing         we have a clock under the target, the tool has no row for it
    our clock missing        the tool has a row; we have no case, no target in force, or no verdict
    tool contradicts itself  its outcome is not what its own due time and stop (or goal and elapsed
                             time) say; or it stops before it starts
    rounding                 every difference is below the resolution of log and tool
    time zone shift          start, stop and due lie the same whole hours away, at least two of them
    other target or limit    it counted against another limit: its own goal says so; or that of the
                             target of another priority that the case had, or that is declared; or
                             the times are those of another target of the metric
    other calendar           it counted in another calendar of ours, or round the clock
    pause unseen in the log  its pauses are longer than those that the log shows, by what is missing
    pause the tool ignored   it counted the time of pauses that the log shows: all, or those of one
                             cause
    reopened after its stop  its clock stopped before a Reopen, ours ran on
    other start              its clock started at another event, or at no event of the log
    other stop               its clock stopped at another event, or at none, or runs still
    implied limit            its due time implies another limit, a whole number of 5 minutes (of an
                             hour where the times are to the minute), which explains all fields
    several causes           two of: other limit, calendar, pauses, start, stop
    rule other than time     no way of counting gives the outcome: round the clock to the end of the
                             case it would not be breached, or in the narrowest calendar to the
                             first stop it would be; or its due time is ours and only the outcome
                             differs
    unexplained              none of these

`shown_by` says how much stands behind it: "times" where the cause brings about a time of the tool's
that was not ours, "outcome" where all it brings about is one met or breached, as chance might.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from csi.service_levels.events_of import EventsOf
from csi.service_levels.recount import TIMES, Known
from process_mining import schema as s
from process_mining.errors import RunError
from rules.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from csi.service_levels.recount import Pairs
    from process_mining.eventlog import EventLog, Ints

    Bools = npt.NDArray[np.bool_]
    Details = Callable[[int], str]

TOOL_MISSING: Final = "tool row missing"
OURS_MISSING: Final = "our clock missing"
CONTRADICTS: Final = "tool contradicts itself"
ROUNDING: Final = "rounding"
ZONE: Final = "time zone shift"
LIMIT: Final = "other target or limit"
CALENDAR: Final = "other calendar"
UNSEEN_PAUSE: Final = "pause unseen in the log"
IGNORED_PAUSE: Final = "pause the tool ignored"
REOPENED: Final = "reopened after its stop"
START: Final = "other start"
STOP: Final = "other stop"
IMPLIED: Final = "implied limit"
SEVERAL: Final = "several causes"
OTHER_RULE: Final = "rule other than time"
UNEXPLAINED: Final = "unexplained"
CAUSES: Final = (
    *(TOOL_MISSING, OURS_MISSING, CONTRADICTS, ROUNDING, ZONE, LIMIT, CALENDAR, UNSEEN_PAUSE),
    *(IGNORED_PAUSE, REOPENED, START, STOP, IMPLIED, SEVERAL, OTHER_RULE, UNEXPLAINED),
)
BY_TIMES: Final = "times"
BY_OUTCOME: Final = "outcome"
MOST_SHIFT: Final = 26 * s.US_PER_HOUR  # from UTC-12 to UTC+14


@dataclass(frozen=True)
class OtherTarget:
    """Another target of the metric: its name, limit and calendar (an index)."""

    name: str
    limit_us: int
    calendar: int


@dataclass(frozen=True, eq=False)
class Background:
    """What else is known of the pairs.

    `case` is each pair's place in the log's cases. `targets` are the targets that a pair's metric
    has besides its own; `likely[i]` names those of them that the case of pair i was under before,
    or that the declaration of the tool's row names.
    """

    log: EventLog
    case: Ints
    targets: Sequence[Sequence[OtherTarget]]
    likely: Sequence[frozenset[str]]


@dataclass(eq=False)
class Finder:
    """Finds causes for those pairs that differ; each keeps the first."""

    pairs: Pairs
    background: Background
    open: Ints = field(init=False)
    timed: Bools = field(init=False)
    found: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with all pairs that differ to the last microsecond."""
        rows = np.arange(len(self.pairs))
        differing = self.pairs.differing(rows, self.pairs.ours, exact=True)
        self.open = np.flatnonzero(np.any(list(differing.values()), axis=0))
        self.timed = np.any([differing[name] for name in TIMES], axis=0)

    def run(self) -> dict[int, tuple[str, str]]:
        """Return cause and detail of every pair that differs."""
        pairs = self.pairs
        self._settle(CONTRADICTS, self.open, *contradictions(pairs, self.open))
        self._settle(ROUNDING, self.open, pairs.fits(self.open, pairs.ours.take(self.open)))
        self._zone()
        counted = self.open
        self.open = counted[pairs.recounts[counted]]
        aside = counted[~pairs.recounts[counted]]
        for step in (
            *(self._limit, self._calendar, self._unseen, self._ignored, self._reopened),
            *(self._start, self._stop, self._implied, self._several),
        ):
            if len(self.open):
                step()
        self._other_rule()
        for row in self.open:
            self.found[int(row)] = UNEXPLAINED, ""
        for row in aside:
            why = "our clock is not made of one start, one stop and its pauses alone"
            self.found[int(row)] = UNEXPLAINED, why
        return self.found

    def _settle(self, cause: str, rows: Ints, fits: Bools, detail: Details | str = "") -> None:
        """Give the rows that fit their cause; `detail` takes a place in `rows`."""
        for place in np.flatnonzero(fits):
            said = detail if isinstance(detail, str) else detail(int(place))
            self.found[int(rows[place])] = cause, said
        self.open = np.setdiff1d(self.open, rows[fits])

    def _try(self, rows: Ints, **parts: npt.NDArray[Any]) -> Bools:
        """Tell where a way of counting fits; nowhere if its calendar does not know the years."""
        try:
            return self.pairs.fits(rows, self.pairs.count(rows, **parts))
        except RunError:
            return np.zeros(len(rows), bool)

    def _best_first(self, cause: str, ways: Mapping[str, tuple[Ints, Bools]]) -> None:
        """Settle by the ways of one kind, that which explains most first."""
        left = dict(ways)
        while left:
            still = {name: fits & np.isin(rows, self.open) for name, (rows, fits) in left.items()}
            name = min(still, key=lambda one: (-int(still[one].sum()), one))
            rows, _ = left.pop(name)
            self._settle(cause, rows, still[name], name)

    # --- the ways, in order

    def _zone(self) -> None:
        pairs, rows = self.pairs, self.open
        gaps = [
            _gap(pairs.tool_start.take(rows), pairs.start[rows]),
            _gap(pairs.tool_stop.take(rows), pairs.end[rows]),
            _gap(pairs.tool.due.take(rows), pairs.ours.due.values[rows]),
        ]
        gaps[1] = Known(gaps[1].values, gaps[1].known & (pairs.ours.stopped.values[rows] == 1))
        n_known = np.sum([gap.known for gap in gaps], axis=0)
        shift = np.select([gap.known for gap in gaps], [gap.values for gap in gaps], 0)
        fits = (n_known > 1) & (shift != 0) & (shift % s.US_PER_HOUR == 0)
        fits &= np.abs(shift) <= MOST_SHIFT
        for gap in gaps:
            fits &= ~gap.known | (gap.values == shift)
        said = pairs.ours.take(rows)
        other = pairs.differing(rows, said)
        fits &= ~(other["elapsed"] | other["paused"] | other["stopped"] | other["breached"])
        self._settle(ZONE, rows, fits, lambda i: f"{shift[i] // s.US_PER_HOUR:+d} h")

    def _limit(self) -> None:
        rows = self.open
        goal = self.pairs.tool_goal.take(rows)
        here = goal.known & (goal.values != self.pairs.limit[rows]) & (goal.values > 0)
        mine = rows[here]
        limit = goal.values[here]
        fits = self._try(mine, limit=limit)
        self._settle(
            LIMIT, mine, fits, lambda i: f"the tool's goal is {format_duration(int(limit[i]))}"
        )
        self._other_target()

    def _other_target(self) -> None:
        """Try other targets: any of the metric where times tell, else only likely ones."""
        ways: dict[str, tuple[Ints, Bools]] = {}
        names: dict[OtherTarget, list[int]] = {}
        for row in self.open:
            for target in self.background.targets[row]:
                if self.timed[row] or target.name in self.background.likely[row]:
                    names.setdefault(target, []).append(int(row))
        for target, mine in names.items():
            rows = np.array(mine, np.int64)
            limit = np.full(len(rows), target.limit_us, np.int64)
            code = np.full(len(rows), target.calendar, np.int64)
            fits = self._try(rows, limit=limit, calendar=code)
            ways[f"as {target.name}"] = rows, fits
        self._best_first(LIMIT, ways)

    def _calendar(self) -> None:
        rows, ways = self.open, {}
        for code, calendar in enumerate(self.pairs.calendars):
            mine = rows[self.pairs.calendar[rows] != code]
            codes = np.full(len(mine), code, np.int64)
            fits = self._try(mine, calendar=codes)
            ways[f"counted in {calendar.name}"] = mine, fits
        self._best_first(CALENDAR, ways)

    def _unseen(self) -> None:
        pairs, rows = self.pairs, self.open
        tool, ours = pairs.tool.take(rows), pairs.ours.take(rows)
        more = tool.paused.values - ours.paused.values
        shorter = ours.elapsed.values - tool.elapsed.values
        told = tool.paused.known & ours.paused.known
        both = tool.elapsed.known & tool.due.known & ours.elapsed.known
        added = np.where(told, more, np.where(both, shorter, 0))
        here = added > 0
        mine, extra = rows[here], added[here]
        fits = self._try(mine, added=extra)
        detail = lambda i: f"{format_duration(int(extra[i]))} of pauses"  # noqa: E731 - beside its use
        self._settle(UNSEEN_PAUSE, mine, fits, detail)

    def _ignored(self) -> None:
        pairs, ways = self.pairs, {}
        owners = pairs.pauses.owner
        for cause in sorted(set(pairs.causes.tolist())):
            these = pairs.causes == cause
            rows = np.intersect1d(self.open, owners[these])
            fits = self._try(rows, keep=~these)
            ways[f"pauses by {cause}"] = rows, fits
        if len(ways) > 1:
            rows = np.intersect1d(self.open, owners)
            none = np.zeros(len(owners), bool)
            ways["all pauses"] = rows, self._try(rows, keep=none)
        self._best_first(IGNORED_PAUSE, ways)

    def _reopened(self) -> None:
        pairs, rows = self.pairs, self.open
        at = EventsOf(self.background.log, self.background.case)
        stop = pairs.tool_stop.take(rows)
        guessed = np.array([at.before_reopen(int(self.background.case[row])) for row in rows])
        known = np.where(stop.known, stop.values, guessed)
        after = np.array(
            [
                at.reopened_within(int(self.background.case[row]), k, int(pairs.end[row]))
                for row, k in zip(rows, known, strict=True)
            ],
            bool,
        )
        # A time that the tool does not give is tried only where nothing but its outcome is known.
        here = after & (stop.known | ~self.timed[rows]) & (known > pairs.start[rows])
        mine, end = rows[here], known[here]
        done = np.ones(len(mine), bool)
        fits = self._try(mine, end=end, stopped=done)
        self._settle(REOPENED, mine, fits)

    def _start(self) -> None:
        pairs, rows = self.pairs, self.open
        start = pairs.tool_start.take(rows)
        here = start.known & (start.values != pairs.start[rows])
        mine, values = rows[here], start.values[here]
        fits = self._try(mine, start=values)
        at = EventsOf(self.background.log, self.background.case)
        self._settle(START, mine, fits, lambda i: at.word(mine[i], values[i], pairs.grain[mine[i]]))

    def _stop(self) -> None:
        pairs, rows = self.pairs, self.open
        stop = pairs.tool_stop.take(rows)
        here = stop.known & (
            (stop.values != pairs.end[rows]) | (pairs.ours.stopped.values[rows] == 0)
        )
        mine, values = rows[here], stop.values[here]
        done = np.ones(len(mine), bool)
        fits = self._try(mine, end=values, stopped=done)
        at = EventsOf(self.background.log, self.background.case)
        self._settle(STOP, mine, fits, lambda i: at.word(mine[i], values[i], pairs.grain[mine[i]]))
        self._still_running()
        self._stop_by_outcome()

    def _still_running(self) -> None:
        """Try the tool's clock as one that runs although ours has stopped."""
        pairs, rows = self.pairs, self.open
        tool = pairs.tool.stopped.take(rows)
        mine = rows[tool.known & (tool.values == 0) & (pairs.ours.stopped.values[rows] == 1)]
        arrays = self.background.log.arrays
        last = arrays.at[arrays.offsets[self.background.case[mine] + 1] - 1] if len(mine) else mine
        runs = np.zeros(len(mine), bool)
        fits = self._try(mine, end=last, stopped=runs)
        self._settle(STOP, mine, fits, "the tool's clock runs still")

    def _stop_by_outcome(self) -> None:
        """Try other steps as the stop, where nothing but the outcome is known of the tool's."""
        pairs = self.pairs
        plain = self.open[~self.timed[self.open] & ~pairs.tool_stop.known[self.open]]
        ways = {}
        for name, (rows, end) in (
            EventsOf(self.background.log, self.background.case).stops(plain).items()
        ):
            here = (end > pairs.start[rows]) & (end != pairs.end[rows])
            mine, until = rows[here], end[here]
            done = np.ones(len(mine), bool)
            fits = self._try(mine, end=until, stopped=done)
            ways[name] = mine, fits
        self._best_first(STOP, ways)

    def _implied(self) -> None:
        rows, limit = implied_limits(self.pairs, self.open)
        fits = self._try(rows, limit=limit)
        self._settle(IMPLIED, rows, fits, lambda i: format_duration(int(limit[i])))

    def _several(self) -> None:
        """Try two parts at once; only where times of the tool's can bear it out."""
        for first, second in combinations(("limit", "start", "stop", "pauses", "calendar"), 2):
            rows = self.open[self.timed[self.open]]
            ways = {}
            for name, mine, parts in _both(self.pairs, rows, first, second):
                fits = self._try(mine, **parts)
                ways[name] = mine, fits
            self._best_first(SEVERAL, ways)

    def _other_rule(self) -> None:
        pairs, rows = self.pairs, self.open
        now = pairs.differing(rows, pairs.ours.take(rows))
        alone = now["breached"] & ~np.any([now[name] for name in TIMES], axis=0)
        due = pairs.tool.due.known[rows] & pairs.ours.due.known[rows]
        self._settle(OTHER_RULE, rows, alone & due, "its due time is ours")
        rows = np.intersect1d(rows[alone], self.open)
        if len(rows):
            low, high = _extremes(pairs, self.background, rows)
            breached, limit = pairs.tool.breached.values[rows] == 1, pairs.limit[rows]
            never = np.where(breached, high <= limit, low > limit)
            told = np.where(breached, "within the limit however counted", "past it however counted")
            self._settle(OTHER_RULE, rows, never, lambda i: str(told[i]))


def contradictions(pairs: Pairs, rows: Ints) -> tuple[Bools, Details]:
    """Tell which of the tool's rows contradict themselves, and how."""
    tool, slack = pairs.tool.take(rows), pairs.slack[rows]
    stop, start, goal = (
        known.take(rows) for known in (pairs.tool_stop, pairs.tool_start, pairs.tool_goal)
    )
    breached = tool.breached.values == 1
    due = tool.breached.known & tool.due.known
    late = (stop.values >= tool.due.values + slack) & stop.known
    timely = (stop.values <= tool.due.values - np.where(slack > 1, slack, 0)) & stop.known
    runs = (pairs.ours.stopped.values[rows] == 0) & ~stop.known
    past = runs & (pairs.end[rows] >= tool.due.values + slack)
    spent = goal.known & tool.elapsed.known & tool.breached.known & stop.known
    over = tool.elapsed.values >= goal.values + slack
    under = tool.elapsed.values <= goal.values - np.where(slack > 1, slack, 0)
    ways = {
        "stopped by its due time, and breached": due & timely & breached,
        "stopped after its due time, and not breached": due & late & ~breached,
        "past its due time and running, and not breached": due & past & ~breached,
        "within its goal, and breached": spent & under & breached,
        "past its goal, and not breached": spent & over & ~breached,
        "stopped before it started": start.known & stop.known & (stop.values < start.values),
    }
    names = np.array(["", *ways])
    which = np.select(list(ways.values()), np.arange(1, len(ways) + 1), 0)
    return which > 0, lambda place: str(names[which[place]])


def implied_limits(pairs: Pairs, rows: Ints) -> tuple[Ints, Ints]:
    """Return the pairs whose due time implies a round limit other than ours, and it, in µs."""
    rows = rows[pairs.tool.due.known[rows]]
    due = pairs.tool.due.values[rows]
    later = due > pairs.start[rows]
    rows, due = rows[later], due[later]
    if not len(rows):
        return rows, rows
    limit = pairs.count(rows, end=due, stopped=np.ones(len(rows), bool)).elapsed.values
    unit = np.where(pairs.grain[rows] < s.US_PER_MINUTE, 5 * s.US_PER_MINUTE, s.US_PER_HOUR).astype(
        np.int64
    )
    round_one = (limit > 0) & (limit % unit == 0) & (limit != pairs.limit[rows])
    return rows[round_one], limit[round_one]


def _gap(tool: Known, ours: Ints) -> Known:
    return Known(tool.values - ours, tool.known)


def _both(
    pairs: Pairs, rows: Ints, first: str, second: str
) -> Iterator[tuple[str, Ints, dict[str, npt.NDArray[np.generic]]]]:
    """Yield ways to exchange two parts: a name, the pairs, and the parts as `count` takes them."""
    for one, mine, parts in _one(pairs, rows, first):
        for other, both, more in _one(pairs, mine, second):
            kept = np.isin(mine, both)
            same = {key: value if key == "keep" else value[kept] for key, value in parts.items()}
            yield f"{one} and {other}", both, {**same, **more}


def _one(
    pairs: Pairs, rows: Ints, part: str
) -> Iterator[tuple[str, Ints, dict[str, npt.NDArray[np.generic]]]]:
    if part == "calendar":
        for code, calendar in enumerate(pairs.calendars):
            mine = rows[pairs.calendar[rows] != code]
            yield f"calendar {calendar.name}", mine, {"calendar": np.full(len(mine), code)}
    elif part == "pauses":
        mine = np.intersect1d(rows, pairs.pauses.owner)
        yield "no pauses", mine, {"keep": np.zeros(len(pairs.pauses.owner), bool)}
    elif part == "limit":
        goal = pairs.tool_goal
        mine = rows[goal.known[rows] & (goal.values[rows] != pairs.limit[rows])]
        yield "its own goal", mine, {"limit": goal.values[mine]}
    elif part == "start":
        start = pairs.tool_start
        mine = rows[start.known[rows] & (start.values[rows] != pairs.start[rows])]
        yield "other start", mine, {"start": start.values[mine]}
    else:
        stop = pairs.tool_stop
        mine = rows[stop.known[rows] & (stop.values[rows] != pairs.end[rows])]
        parts = {"end": stop.values[mine], "stopped": np.ones(len(mine), bool)}
        yield "other stop", mine, parts


def _extremes(pairs: Pairs, background: Background, rows: Ints) -> tuple[Ints, Ints]:
    """Return the least and the most time that any way of counting could give."""
    arrays = background.log.arrays
    last = arrays.at[arrays.offsets[background.case[rows] + 1] - 1]
    most = np.maximum(last, pairs.end[rows]) - pairs.start[rows]
    events = EventsOf(background.log, background.case)
    first = np.minimum(events.second(background.case[rows], pairs.start[rows]), pairs.end[rows])
    least = np.full(len(rows), np.iinfo(np.int64).max)
    for code in range(len(pairs.calendars)):
        codes = np.full(len(rows), code)
        try:
            done = np.ones(len(rows), bool)
            found = pairs.count(rows, end=first, calendar=codes, stopped=done).elapsed.values
        except RunError:  # this calendar does not know the years: it was not the tool's
            continue
        least = np.minimum(least, found)
    return least, most
