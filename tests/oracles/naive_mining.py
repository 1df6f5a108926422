"""Mining by counting: one case after another, in dictionaries and lists.

Imports nothing of the project. A log is a list of cases, each (case id, events in order); an event
is (activity or None, at, actor or None, team or None), `at` None throughout a log without times.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Event = tuple[str | None, int | None, str | None, str | None]
Case = tuple[str, list[Event]]
Pair = tuple[str | None, str | None]


@dataclass
class Succession:
    n: int
    cases: int
    waits: list[int]


def trace(case: Case, leave_out: Collection[str] = ()) -> tuple[str, ...]:
    return tuple(name for name, *_ in case[1] if name is not None and name not in leave_out)


def variants(
    cases: Sequence[Case], leave_out: Collection[str] = ()
) -> list[tuple[tuple[str, ...], int]]:
    """The most frequent first; equal ones as tuples of names sort."""
    counts = Counter(trace(case, leave_out) for case in cases)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def successions(paths: Sequence[list[tuple[str, int | None]]]) -> dict[Pair, Succession]:
    """What follows what in paths of (name, at); None stands before the first, after the last."""
    waits: dict[Pair, list[int]] = defaultdict(list)
    seen: dict[Pair, list[int]] = defaultdict(list)
    for i, path in enumerate(paths):
        if not path:
            continue
        ends = [(None, None), *path, (None, None)]
        for (a, then), (b, now) in itertools.pairwise(ends):
            seen[a, b].append(i)
            if then is not None and now is not None:
                waits[a, b].append(now - then)
    return {p: Succession(len(c), len(set(c)), sorted(waits[p])) for p, c in seen.items()}


def quantile(waits: list[int], percent: int) -> int | None:
    """The smallest wait that at least `percent` in a hundred of the waits do not exceed."""
    for wait in waits:
        if sum(other <= wait for other in waits) * 100 >= percent * len(waits):
            return wait
    return None


def steps(case: Case, leave_out: Collection[str] = ()) -> list[tuple[str, int | None]]:
    return [(name, at) for name, at, *_ in case[1] if name is not None and name not in leave_out]


def changes(values: Sequence[str | None]) -> int:
    named = [value for value in values if value is not None]
    return sum(a != b for a, b in itertools.pairwise(named))


def case_facts(case: Case) -> dict[str, object]:
    name, events = case
    path = trace(case)
    times = [at for _, at, *_ in events if at is not None]
    actors, teams = [e[2] for e in events], [e[3] for e in events]
    return {
        "case_id": name,
        "n_events": len(events),
        "n_steps": len(path),
        "first_at": min(times, default=None),
        "last_at": max(times, default=None),
        "duration_us": max(times) - min(times) if times else None,
        "n_actors": len(set(actors) - {None}),
        "n_teams": len(set(teams) - {None}),
        "team_changes": changes(teams),
        "actor_changes": changes(actors),
        "repeats": len(path) - len(set(path)),
        "direct_repeats": sum(a == b for a, b in itertools.pairwise(path)),
    }


def activity_facts(
    cases: Sequence[Case], leave_out: Collection[str] = ()
) -> list[dict[str, object]]:
    paths = [trace(case, leave_out) for case in cases]
    rows = []
    for name in sorted({name for path in paths for name in path}):
        counts = [path.count(name) for path in paths if name in path]
        direct = sum(a == b == name for p in paths for a, b in itertools.pairwise(p))
        rows.append(
            {
                "activity": name,
                "n": sum(counts),
                "cases": len(counts),
                "repeats": sum(counts) - len(counts),
                "cases_repeating": sum(count > 1 for count in counts),
                "direct_repeats": direct,
            }
        )
    return rows


def team_path(case: Case, group: dict[str, str] | None = None) -> list[tuple[str, int | None]]:
    """The events that name a team, as (team, at); `group` renames teams."""
    named = [(team, at) for _, at, _, team in case[1] if team is not None]
    return [((group or {}).get(team, team), at) for team, at in named]


def ping_pongs(case: Case) -> int:
    stretches: list[str] = []
    for team, _ in team_path(case):
        if not stretches or stretches[-1] != team:
            stretches.append(team)
    return sum(a == c for a, c in zip(stretches, stretches[2:], strict=False))


def people(cases: Sequence[Case]) -> dict[str, set[str]]:
    """Who was seen in each team."""
    found: dict[str, set[str]] = defaultdict(set)
    for _, events in cases:
        for _, _, actor, team in events:
            if team is not None and actor is not None:
                found[team].add(actor)
    return found


def widest(edges: dict[Pair, int], root_to: str) -> int:
    """The widest path from None to a node: the greatest rarest edge over all simple paths."""
    best = 0

    def walk(node: str | None, narrow: int, seen: frozenset[str]) -> None:
        nonlocal best
        if node == root_to:
            best = max(best, narrow)
            return
        for (a, b), n in edges.items():
            if a == node and b is not None and b not in seen:
                walk(b, min(narrow, n), seen | {b})

    walk(None, max(edges.values()), frozenset())
    return best


# --- where time goes --------------------------------------------------------------------------

Moment = int | None


def visits(case: Case, leave_out: Collection[str] = ()) -> list[tuple[str, Moment, Moment, bool]]:
    """Each step as a state: (activity, entered, left or None, whether another step follows)."""
    path = steps(case, leave_out)
    return [
        (name, at, path[i + 1][1] if i + 1 < len(path) else None, i + 1 < len(path))
        for i, (name, at) in enumerate(path)
    ]


def sojourn(
    cases: Sequence[Case],
    leave_out: Collection[str] = (),
    ends: Collection[str] = (),
    as_of: int | None = None,
) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    everything = [(i, visit) for i, c in enumerate(cases) for visit in visits(c, leave_out)]
    for name in {visit[0] for _, visit in everything}:
        mine = [(i, visit) for i, visit in everything if visit[0] == name]
        timed = all(visit[1] is not None for _, visit in mine)
        over = [visit for _, visit in mine if visit[3]]
        last = [visit for _, visit in mine if not visit[3]]
        stays = sorted(left - came for _, came, left, _ in over if timed) if timed else []
        still = [came for _, came, _, _ in last if name not in ends]
        found[name] = {
            "visits": len(mine),
            "cases": len({i for i, _ in mine}),
            "ended": len(over),
            "final": len(last) if name in ends else 0,
            "open_visits": len(still),
            "p25_us": quantile(stays, 25),
            "median_us": quantile(stays, 50),
            "p75_us": quantile(stays, 75),
            "p90_us": quantile(stays, 90),
            "total_us": sum(stays) if timed else None,
            "open_us": sum(as_of - came for came in still) if timed and as_of is not None else None,
        }
    return found


def split(
    case: Case,
    waiting: Collection[str],
    done: Collection[str],
    ends: Collection[str] = (),
    as_of: int | None = None,
) -> tuple[int, int, int, bool]:
    """Waiting, working, done, and whether the case is open."""
    sums, is_open = [0, 0, 0], False
    for name, came, left, followed in visits(case):
        until = left
        if not followed and name not in ends:
            is_open, until = True, as_of
        kind = 0 if name in waiting else 2 if name in done else 1
        if came is not None and until is not None:
            sums[kind] += until - came
    return sums[0], sums[1], sums[2], is_open


def pairs(
    events: Sequence[tuple[str, int, str]],
) -> tuple[list[tuple[str, int, int]], dict[str, list[int]], list[tuple[str, int]]]:
    """Starts and completes of one case's (activity, at, lifecycle), matched first in, first out.

    Returns the pairs (activity, start, complete); for each activity the numbers of starts and of
    completes left over; and for each start that has a complete before it the time between.
    """
    queues: dict[str, list[int]] = defaultdict(list)
    found, lost, waits, latest = [], defaultdict(lambda: [0, 0]), [], None
    for name, at, word in events:
        if word == "start":
            queues[name].append(at)
            if latest is not None:
                waits.append((name, at - latest))
        elif word == "complete":
            if queues[name]:
                found.append((name, queues[name].pop(0), at))
            else:
                lost[name][1] += 1
            latest = at
    for name, queue in queues.items():
        lost[name][0] = len(queue)
    return found, dict(lost), waits


def loops(
    case: Case, leave_out: Collection[str] = ()
) -> tuple[list[str], list[tuple[str, tuple[str, ...], Moment]], int]:
    """Self-loops; returns (activity, path, time away); time inside any return, each moment once."""
    path = steps(case, leave_out)
    selves, returns, inside = [], [], set()
    for i, (name, at) in enumerate(path):
        before = [k for k in range(i) if path[k][0] == name]
        if not before:
            continue
        k = before[-1]
        if k == i - 1:
            selves.append(name)
            continue
        left = path[k + 1][1]
        away = at - left if at is not None and left is not None else None
        returns.append((name, tuple(p for p, _ in path[k + 1 : i]), away))
        inside |= set(range(k + 1, i))
    moments = [at or 0 for _, at in path]
    return selves, returns, sum(moments[k + 1] - moments[k] for k in inside)


def batches(
    cases: Sequence[Case], doer: int | None, gap: int
) -> dict[str, list[tuple[int, int, bool]]]:
    """Bundles by activity: (steps, distinct cases, all at one time); `doer` is a place in an event.

    A bundle is grown from the earliest step on while the next step lies at most `gap` later.
    """
    rows: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for case, events in cases:
        for event in events:
            who = "anyone" if doer is None else event[doer]
            if event[0] is not None and event[1] is not None and who is not None:
                rows[who, event[0]].append((event[1], case))
    found: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    for (_, name), listed in sorted(rows.items()):
        bundle: list[tuple[int, str]] = []
        for at, case in [*sorted(listed), (None, "")]:
            if bundle and (at is None or at - bundle[-1][0] > gap):
                who_in = {member for _, member in bundle}
                found[name].append((len(bundle), len(who_in), len({t for t, _ in bundle}) == 1))
                bundle = []
            if at is not None:
                bundle.append((at, case))
    return found


# --- teams ------------------------------------------------------------------------------------


def stretches(case: Case) -> list[tuple[str, int, int]]:
    """The stretches of a case: (team, index of its first and of its last naming event)."""
    found: list[tuple[str, int, int]] = []
    for i, (_, _, _, team) in enumerate(case[1]):
        if team is None:
            continue
        if found and found[-1][0] == team:
            found[-1] = (team, found[-1][1], i)
        else:
            found.append((team, i, i))
    return found


def team_changes(case: Case, idle: Collection[str] = ()) -> dict[str, int | None]:
    held = stretches(case)
    new, before = set(), None
    for i, (name, *_) in enumerate(case[1]):
        if name is not None and name not in idle:
            if name != before:
                new.add(i)
            before = name
    facts: dict[str, int | None] = {"teams": len({team for team, _, _ in held})}
    if not held:
        return facts | dict.fromkeys(("handovers", "reassignments", "passed_on", "ping_pongs"))
    moves = list(itertools.pairwise(held))
    return facts | {
        "handovers": len(moves),
        "reassignments": sum(
            not any(last < i <= first for i in new) for (_, _, last), (_, first, _) in moves
        ),
        "passed_on": sum(
            not any(held[k][1] <= i < held[k + 1][1] for i in new) for k in range(1, len(held) - 1)
        ),
        "ping_pongs": sum(a[0] == c[0] for a, c in zip(held, held[2:], strict=False)),
    }


def bounces(cases: Sequence[Case]) -> dict[tuple[str, str], list[tuple[str, Moment]]]:
    """For each A, B, A: the case, and how long B held it."""
    found: dict[tuple[str, str], list[tuple[str, Moment]]] = defaultdict(list)
    for case in cases:
        held = stretches(case)
        for a, b, again in zip(held, held[1:], held[2:], strict=False):
            if a[0] == again[0]:
                since, until = case[1][b[1]][1], case[1][again[1]][1]
                away = None if since is None or until is None else until - since
                found[a[0], b[0]].append((case[0], away))
    return found


def parts(nodes: Collection[str], edges: Collection[tuple[str, str]]) -> int:
    """How many connected parts an undirected graph has, by painting it over and over."""
    colour = {node: i for i, node in enumerate(sorted(nodes))}
    for _ in nodes:
        for a, b in edges:
            if a in colour and b in colour:
                colour[a] = colour[b] = min(colour[a], colour[b])
    return len(set(colour.values()))


# --- resolved and reopened --------------------------------------------------------------------


def reopened(
    case: Case, resolve: Collection[str], closing: Collection[str]
) -> tuple[bool, list[Moment]]:
    """Whether the case was ever resolved, and the time to each reopening."""
    since, times, resolved, waiting = None, [], False, False
    for name, at in steps(case):
        if name in resolve:
            since, resolved, waiting = at, True, True
        elif name not in closing and waiting:
            times.append(None if at is None or since is None else at - since)
            waiting = False
    return resolved, times


def first_contact(
    case: Case,
    resolve: Collection[str],
    closing: Collection[str],
    waiting: Collection[str],
    criteria: Collection[str],
) -> bool | None:
    """Whether a resolved case was resolved at first contact; None where no team is named."""
    events = case[1]
    until = next(i for i, event in enumerate(events) if event[0] in resolve)
    early = events[: until + 1]
    teams = [event[3] for event in early if event[3] is not None]
    if "not reopened" in criteria and reopened(case, resolve, closing)[1]:
        return False
    if "no wait" in criteria and any(event[0] in waiting for event in early):
        return False
    if "first team" in criteria:
        return None if not teams else len(set(teams)) == 1
    return True


# --- backlog ----------------------------------------------------------------------------------


def open_at(spans: Sequence[tuple[int, int | None]], moment: int) -> list[int]:
    """The ages at a moment of what was opened before it and has not ended before it."""
    return sorted(
        moment - opened
        for opened, ended in spans
        if opened < moment and (ended is None or ended >= moment)
    )
