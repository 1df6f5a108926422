"""What do the constraints on data, people, time windows and linked records say, read plainly?

One case is a `Ticket`: a story (`finite_trace.Story`) with what its case columns say and, where a
rule is one of several versions, the positions at which it is in force. Formulas are quantifiers
over positions; open cases are judged by trying continuations, missing values by trying every value
that they could have. Nothing of the product is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

from oracles.finite_trace import Elapsed, Step, Story, wall_clock

Trace = Sequence[Step]
Holds = Callable[[Trace], bool]


@dataclass(frozen=True)
class Ticket(Story):
    """A story with the columns of its case; `out` are positions where the rule is not in force."""

    case: dict[str, str] = field(default_factory=dict)
    out: frozenset[int] = frozenset()

    def asking(self, trace: Trace, activity: str) -> list[int]:
        """Where a trace that begins with this story does the activity under this rule."""
        return [i for i, x in enumerate(trace) if x.activity == activity and i not in self.out]


def plain(text: str | None) -> str | None:
    return None if text is None or not text.strip() else text.strip().lower()


def allowed(text: str | None, one_of: Iterable[str] = (), none_of: Iterable[str] = ()) -> bool:
    known, yes, no = plain(text), [plain(x) for x in one_of], [plain(x) for x in none_of]
    return known is not None and (not yes or known in yes) and known not in no


def judge(ticket: Ticket, holds: Holds, activated: Holds, futures: Iterable[Sequence[Step]]) -> str:
    """A complete story is what it is; an open one violates when no continuation saves it."""
    if ticket.complete:
        if not holds(ticket.steps):
            return "violates"
        return "conforms" if activated(ticket.steps) else "vacuous"
    told = [holds((*ticket.steps, *more)) for more in ((), *futures)]
    if not any(told):
        return "violates"
    return "conforms" if all(told) and activated(ticket.steps) else "pending"


# --- has_value


def has_value(  # noqa: PLR0913 - the parameters of the template
    ticket: Ticket,
    column: str,
    *,
    kept: bool,
    activity: str | None = None,
    one_of: Sequence[str] = (),
    none_of: Sequence[str] = (),
) -> str:
    if activity is None:
        if not kept:
            return "unknown"
        if not ticket.complete:
            return "pending"
        return "conforms" if allowed(ticket.case.get(column), one_of, none_of) else "violates"
    asked = activity
    name = column.removeprefix("attr.")

    def holds(trace: Trace) -> bool:
        return all(
            allowed(trace[i].attributes.get(name), one_of, none_of)
            for i in ticket.asking(trace, asked)
        )

    if not kept and ticket.asking(ticket.steps, asked):
        return "unknown"
    return judge(ticket, holds, lambda trace: bool(ticket.asking(trace, asked)), [[Step(asked)]])


# --- matches_matrix


@dataclass(frozen=True)
class Matrix:
    """Rows and columns are counted from 1; texts become levels by `levels`, results by `named`."""

    rows: str
    columns: str
    result: str
    levels: dict[str, int]
    cells: tuple[tuple[int, ...], ...]
    named: dict[str, int] | None = None


def matches_matrix(ticket: Ticket, matrix: Matrix, *, kept: bool = True) -> str:
    """Try every row and column that a missing one could be."""
    if not kept:
        return "unknown"
    if not ticket.complete:
        return "pending"
    result = level(ticket.case.get(matrix.result), matrix.named or matrix.levels)
    if result is None:
        return "unknown"
    worlds = {
        cell == result
        for r, line in enumerate(matrix.cells, start=1)
        for c, cell in enumerate(line, start=1)
        if level(ticket.case.get(matrix.rows), matrix.levels, len(matrix.cells)) in (r, None)
        and level(ticket.case.get(matrix.columns), matrix.levels, len(line)) in (c, None)
    }
    if worlds == {True, False}:
        return "unknown"
    return "conforms" if True in worlds else "violates"


def level(text: str | None, levels: dict[str, int], most: int = 10**9) -> int | None:
    known = plain(text)
    if known is None:
        return None
    for name, number in levels.items():
        if plain(name) == known:
            return number if number <= most else None
    digits, dash, _ = known.partition(" - ")
    number = int(digits) if dash and digits.isdecimal() else 0
    return number if 1 <= number <= most else None


# --- resolves_within


@dataclass(frozen=True)
class Resolve:
    """What `resolves_within` demands, in hours."""

    activity: str
    within: int
    since: str | None = None
    pauses: tuple[str, ...] = ()
    elapsed: Elapsed = wall_clock


def resolves_within(ticket: Ticket, rule: Resolve) -> str:
    """Walk through the hours from the start to the stop and count those that are open."""
    inside = [i for i, x in enumerate(ticket.steps) if x.activity not in ticket.outside]
    begins = inside
    if rule.since is not None:
        begins = [i for i, x in enumerate(ticket.steps) if x.activity == rule.since]
    if not begins:
        return "vacuous" if ticket.complete else "pending"
    start = begins[0]
    if start in ticket.out:
        return "vacuous"
    over = ticket.complete and rule.activity not in ticket.outside
    stop = _stop(ticket, rule, start)
    if stop is not None:
        end = ticket.steps[stop].at
    else:
        end = ticket.steps[inside[-1]].at if over and inside else ticket.as_of
    if _running_hours(ticket, rule, start, end) > rule.within:
        return "violates"
    if not ticket.complete:
        return "pending"
    if stop is not None:
        return "conforms"
    return "vacuous" if over else "pending"


def _stop(ticket: Ticket, rule: Resolve, start: int) -> int | None:
    """The last `activity` that neither Reopen nor `since` follows."""
    stops = [i for i, x in enumerate(ticket.steps) if i >= start and x.activity == rule.activity]
    if not stops:
        return None
    after = [x.activity for x in ticket.steps[stops[-1] + 1 :]]
    return None if "Reopen" in after or rule.since in after else stops[-1]


def _running_hours(ticket: Ticket, rule: Resolve, start: int, end: int) -> int:
    begin = ticket.steps[start].at
    return sum(
        rule.elapsed(hour, hour + 1)
        for hour in range(begin, end)
        if _state_at(ticket, start, hour) not in rule.pauses
    )


def _state_at(ticket: Ticket, start: int, hour: int) -> str | None:
    """The last step of the practice by that hour, from the clock's start on."""
    seen = [x.activity for x in ticket.steps[start:] if x.at <= hour]
    return next((a for a in reversed(seen) if a not in ticket.outside), None)


# --- preceded_within, and what missing attributes leave open


Where = tuple[str, int | None, int | None]


def meant(step: Step, where: Where | None) -> bool | None:
    """Whether an attribute is a whole number within bounds; None where it cannot be told."""
    if where is None:
        return True
    name, least, most = where
    text = step.attributes.get(name)
    if text is None or not text.removeprefix("-").isdecimal():
        return None
    return (least is None or int(text) >= least) and (most is None or int(text) <= most)


def worlds(ticket: Ticket, activity: str, where: Where | None) -> Iterator[list[int]]:
    """Every way in which the events of an activity can be meant, in force ones only."""
    asking = [(i, meant(ticket.steps[i], where)) for i in ticket.asking(ticket.steps, activity)]
    gaps = [i for i, told in asking if told is None]
    for guess in product([False, True], repeat=len(gaps)):
        guessed = dict(zip(gaps, guess, strict=True))
        yield [i for i, told in asking if guessed.get(i, told)]


def over_worlds(found: Sequence[str]) -> str:
    """Violates in every world, or in none; the first world has the fewest events."""
    if "violates" in found:
        return "violates" if set(found) == {"violates"} else "unknown"
    return "pending" if "pending" in found else found[0]


def preceded_within(  # noqa: PLR0913 - the parameters of the template
    ticket: Ticket,
    before: str,
    activity: str,
    within: int,
    *,
    where: Where | None = None,
    elapsed: Elapsed = wall_clock,
) -> str:
    def in_time(i: int) -> bool:
        now = ticket.steps[i].at
        return any(x.activity == before and elapsed(x.at, now) <= within for x in ticket.steps[:i])

    def verdict(asking: Sequence[int]) -> str:
        if not all(in_time(i) for i in asking):
            return "violates"
        if not ticket.complete:
            return "pending"
        return "conforms" if asking else "vacuous"

    return over_worlds([verdict(asking) for asking in worlds(ticket, activity, where)])


# --- different_team


def different_team(ticket: Ticket, first: str, second: str, update: str) -> str:
    """Try every team that a missing one could be: each known one, or a new one."""

    def state(trace: Trace) -> str | None:
        return next((x.activity for x in reversed(trace) if x.activity != update), None)

    def holds(trace: Trace) -> bool:
        return not any(
            i < j and trace[i].team == trace[j].team
            for j in ticket.asking(trace, second)
            for i in range(j)
            if state(trace[: i + 1]) == first
        )

    def activated(trace: Trace) -> bool:
        seen = [x.activity for x in trace]
        return any(first in seen[:j] for j in ticket.asking(trace, second))

    relevant = [
        state(ticket.steps[: i + 1]) == first or x.activity == second
        for i, x in enumerate(ticket.steps)
    ]
    told = list(_teams(ticket, relevant))
    broken = {not holds(steps) for steps in told}
    if broken == {True, False}:
        return "unknown"
    futures = [[Step(first, team="t9")], [Step(first, team="t9"), Step(second, team="t9")]]
    return judge(replace(ticket, steps=told[0]), holds, activated, futures)


def _teams(ticket: Ticket, relevant: Sequence[bool]) -> Iterator[tuple[Step, ...]]:
    known = sorted({x.team for x in ticket.steps if x.team is not None})
    gaps = [i for i, x in enumerate(ticket.steps) if x.team is None and relevant[i]]
    for names in product(*[[f"new{i}", *known, "some team"] for i in gaps]):
        steps = list(ticket.steps)
        for i, name in zip(gaps, names, strict=True):
            steps[i] = replace(steps[i], team=name)
        yield tuple(steps)


# --- consistent_value


def consistent_value(
    ticket: Ticket, column: str, *, after: str | None = None, until: str | None = None
) -> str:
    """Read the case from left to right, remembering the last value named."""
    state, last, named, changes, asked = "before", None, False, False, False
    if after is None and ticket.steps:
        state = "inside"
    for i, x in enumerate(ticket.steps):
        if state == "inside" and x.activity == until:
            state = "over" if i > 0 or after is not None else "never"
            break
        said = plain(x.attributes.get(column.removeprefix("attr.")))
        said = {"team": x.team, "actor": x.actor}.get(column, said)
        if said is not None:
            differs = last is not None and said != last
            changes |= state == "inside" and differs and i not in ticket.out
            last, named = said, True
        if state == "before" and x.activity == after:
            state = "inside"
        asked |= state == "inside" and i not in ticket.out
    if changes:
        return "violates"
    if state in ("before", "never") or not asked:
        return "vacuous" if ticket.complete or state in ("never", "over") else "pending"
    if not named:
        return "unknown"
    return "conforms" if ticket.complete or state == "over" else "pending"


# --- at_most, in a case or in a window


def at_most(  # noqa: PLR0913 - the parameters of the template
    ticket: Ticket,
    activity: str,
    limit: int,
    *,
    within: int | None = None,
    where: Where | None = None,
    elapsed: Elapsed = wall_clock,
) -> str:
    """Each event in force closes no group of more than `limit` that share a window."""
    free = replace(ticket, out=frozenset())
    found = []
    for counted in worlds(free, activity, where):
        ats = {i: ticket.steps[i].at for i in counted}
        groups = [
            [j for j in counted if j <= i and (within is None or elapsed(ats[j], ats[i]) <= within)]
            for i in counted
            if i not in ticket.out
        ]
        over = any(len(group) > limit for group in groups)
        found.append("violates" if over else "conforms" if ticket.complete else "pending")
    return over_worlds(found)


def team_changes(ticket: Ticket, limit: int, within: int, elapsed: Elapsed = wall_clock) -> str:
    """Say each change of team as an event of its own, then count those."""
    known = [(i, x) for i, x in enumerate(ticket.steps) if x.team is not None]
    if not known:
        return "unknown"
    changes = [(i, x) for (_, old), (i, x) in pairwise(known) if old.team != x.team]
    steps = tuple(replace(x, activity="change") for _, x in changes)
    out = frozenset(new for new, (old, _) in enumerate(changes) if old in ticket.out)
    told = replace(ticket, steps=steps, out=out)
    return at_most(told, "change", limit, within=within, elapsed=elapsed)


# --- responds_within, with correlated answers


@dataclass(frozen=True)
class Respond:
    """What `responds_within` demands, in hours; `match` is (field, relation)."""

    activity: str
    then: str
    within: int
    or_else: str | None = None
    where: Where | None = None
    match: tuple[str, str] | None = None
    earlier_counts: bool = False
    until: str | None = None
    elapsed: Elapsed = wall_clock


def responds_within(ticket: Ticket, rule: Respond) -> str:
    """Try every way in which events are meant, with doubtful answers taken as good, and as bad."""
    return over_worlds(
        [
            _answered(ticket, rule, asking, doubtful=doubtful)
            for asking in worlds(ticket, rule.activity, rule.where)
            for doubtful in (False, True)
        ]
    )


def _answered(ticket: Ticket, rule: Respond, asking: Sequence[int], *, doubtful: bool) -> str:
    done = [
        i for i, x in enumerate(ticket.steps) if x.activity is not None and x.activity == rule.until
    ]
    asking = [i for i in asking if not done or i < done[0]]
    states = [_answer_to(ticket, rule, i, doubtful=doubtful) for i in asking]
    if "late" in states:
        return "violates"
    if "waiting" in states:
        return "pending"
    if ticket.complete or done:
        return "conforms" if asking else "vacuous"
    return "conforms" if asking and _answers_all(ticket, rule) else "pending"


def _answers_all(ticket: Ticket, rule: Respond) -> bool:
    """Whether anybody who may ask later has had an answer: of two values, one is another one."""
    answers = [x for x in ticket.steps if x.activity in (rule.then, rule.or_else)]
    if not rule.earlier_counts or rule.match is None:
        return rule.earlier_counts and bool(answers)
    name, relation = rule.match
    values = {_value(x, name) for x in answers} - {None}
    return relation == "other" and len(values) > 1


def _value(step: Step, name: str) -> str | None:
    own = {"actor": step.actor, "team": step.team}
    return own[name] if name in own else plain(step.attributes.get(name.removeprefix("attr.")))


def _answer_to(ticket: Ticket, rule: Respond, i: int, *, doubtful: bool) -> str:
    """One asking event: kept, late for good, or waiting."""
    now = ticket.steps[i].at
    answers = [
        j
        for j, x in enumerate(ticket.steps)
        if x.activity in (rule.then, rule.or_else)
        and {None: doubtful}.get(alike := _match(ticket, rule, i, j), alike)
    ]
    later = [rule.elapsed(now, ticket.steps[j].at) for j in answers if j > i]
    if rule.earlier_counts and any(j < i for j in answers):
        return "kept"
    if any(hours <= rule.within for hours in later):
        return "kept"
    over = ticket.complete and rule.then not in ticket.outside
    too_late = rule.elapsed(now, max(now, ticket.as_of)) > rule.within
    return "late" if later or over or too_late else "waiting"


def _match(ticket: Ticket, rule: Respond, i: int, j: int) -> bool | None:
    """Whether two events match; None where a value is missing."""
    if rule.match is None:
        return True
    name, relation = rule.match
    mine, theirs = (_value(x, name) for x in (ticket.steps[i], ticket.steps[j]))
    if mine is None or theirs is None:
        return None
    return (mine == theirs) == (relation == "same")
