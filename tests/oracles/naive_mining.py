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
