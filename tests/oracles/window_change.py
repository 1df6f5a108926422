"""By how much did the tickets of a window fare otherwise than those before? Loops over tickets.

Weights by raking ticket by ticket until every margin agrees (Deming & Stephan 1940); a weighted
Kaplan-Meier quantile by its definition; the change, and the difference of two changes; its standard
error by drawing whole clusters with another generator; its p-value over all relabellings of the
clusters. Slow on purpose, no arrays.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass(frozen=True)
class Ticket:
    """One ticket: its value (hours, score, 0 or 1), its week or team, what makes it alike."""

    value: float
    cluster: int = 0
    words: tuple[str, ...] = ()
    running: bool = False


Tickets = list[Ticket]
Pair = tuple[Tickets, Tickets]


def raked(had: Tickets, wanted: Tickets) -> list[float]:
    """Weigh each ticket of `had` so that every margin is as large as among `wanted`."""
    weights = [len(wanted) / len(had) for _ in had]
    for _ in range(5000):
        off = 0.0
        for margin in range(len(had[0].words)):
            now: dict[str, float] = defaultdict(float)
            for ticket, weight in zip(had, weights, strict=True):
                now[ticket.words[margin]] += weight
            aim = Counter(ticket.words[margin] for ticket in wanted)
            off = max([off, *(abs(now[word] - aim[word]) for word in now)])
            weights = [
                weight * aim[ticket.words[margin]] / now[ticket.words[margin]] if weight else 0.0
                for ticket, weight in zip(had, weights, strict=True)
            ]
        if off < 1e-10:
            break
    return weights


def quantile(tickets: Tickets, weights: Sequence[float], q: float) -> float:
    """The first time at which a weighted share of at most 1 - q is still waiting."""
    waiting = 1.0
    every = list(zip(tickets, weights, strict=True))
    for at in sorted({one.value for one in tickets if not one.running}):
        at_risk = sum(w for one, w in every if one.value >= at)
        ended = sum(w for one, w in every if one.value == at and not one.running)
        if at_risk > 0:
            waiting *= 1 - ended / at_risk
        if ended > 0 and waiting <= 1 - q + 1e-9:
            return at
    return math.inf


def f(tickets: Tickets, weights: Sequence[float], q: float | None) -> float:
    """The logarithm of a quantile, or the mean where `q` is None."""
    if q is not None:
        return math.log(quantile(tickets, weights, q))
    total = sum(w * one.value for one, w in zip(tickets, weights, strict=True))
    return total / sum(weights)


def change(pair: Pair, q: float | None) -> float:
    """f of the current window less f of the baseline, weighted to the mix of the current one."""
    before, after = pair
    return f(after, [1.0] * len(after), q) - f(before, raked(before, after), q)


def difference(pairs: Sequence[Pair], q: float | None) -> float:
    """The change of those touched, less that of those who were not, where there are some."""
    first, *rest = (change(pair, q) for pair in pairs)
    return first - sum(rest)


def drawn(
    pairs: Sequence[Pair], q: float | None, *, by: str, times: int, seed: int
) -> Iterator[tuple[float, float]]:
    """Draw whole clusters: the contrast, and the part of it that is widened by its own number.

    `by` week: weeks of each window for all groups at once; the part is that of the current window.
    `by` team: teams of each group, both windows along; the part is the change of those touched.
    """
    generator = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(times):
        if by == "week":
            picks = [
                _picked(_clusters([pair[side] for pair in pairs]), generator) for side in (0, 1)
            ]
            again = [tuple(_taken(pair[side], picks[side]) for side in (0, 1)) for pair in pairs]
        else:
            again = []
            for pair in pairs:
                picks = [_picked(_clusters(pair), generator)]
                again.append(tuple(_taken(side, picks[0]) for side in pair))
        whole = difference(again, q)  # type: ignore[arg-type]
        if by == "team":
            yield whole, change(again[0], q)  # type: ignore[arg-type]
            continue
        now = [f(after, [1.0] * len(after), q) for _, after in again]
        yield whole, now[0] - sum(now[1:])


def p_over_all(
    pairs: Sequence[Pair], q: float | None, *, statistic: Callable[..., float] = difference
) -> float:
    """The share of all relabellings of the weeks at which the contrast is at least as far from 0.

    Weeks of both windows have labels of their own.
    """
    before = _clusters([pair[0] for pair in pairs])
    after = _clusters([pair[1] for pair in pairs])
    weeks = [*before, *after]
    seen, far, total = abs(statistic(pairs, q)), 0, 0
    for chosen in combinations(weeks, len(after)):
        relabelled = [
            (
                [one for one in [*pair[0], *pair[1]] if one.cluster not in chosen],
                [one for one in [*pair[0], *pair[1]] if one.cluster in chosen],
            )
            for pair in pairs
        ]
        far += abs(statistic(relabelled, q)) >= seen - 1e-9
        total += 1
    return far / total


def p_over_all_teams(pairs: Sequence[Pair], q: float | None) -> float:
    """The same over all relabellings of the teams: touched or not."""
    groups = [_clusters(pair) for pair in pairs]
    teams = [*groups[0], *groups[1]]
    seen, far, total = abs(difference(pairs, q)), 0, 0
    for chosen in combinations(teams, len(groups[0])):
        windows = [[*pairs[0][side], *pairs[1][side]] for side in (0, 1)]
        touched = tuple([one for one in side if one.cluster in chosen] for side in windows)
        others = tuple([one for one in side if one.cluster not in chosen] for side in windows)
        far += abs(difference([touched, others], q)) >= seen - 1e-9  # type: ignore[list-item]
        total += 1
    return far / total


def _clusters(sides: Sequence[Tickets]) -> list[int]:
    return sorted({one.cluster for side in sides for one in side})


def _picked(clusters: list[int], generator: random.Random) -> list[int]:
    return [generator.choice(clusters) for _ in clusters]


def _taken(side: Tickets, picked: list[int]) -> Tickets:
    mine: dict[int, Tickets] = defaultdict(list)
    for one in side:
        mine[one.cluster].append(one)
    return [one for cluster in picked for one in mine[cluster]]
