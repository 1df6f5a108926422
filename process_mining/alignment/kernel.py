"""How does one event change the cheapest costs of a model's states?

A cost vector holds, for a prefix of a trace, the cheapest cost of reaching each state: log and
model moves weigh MOVE, silent ones SILENT. `Graph.after` maps it to the vector after one more
event, minus its minimum. This is the kernel: integer arrays in and out, no Python loop over
states or arcs; an accelerated one can take its place.

Canonical vectors. As it stands, a state far behind (the start, say) grows dearer with every event,
so hardly two prefixes would share a vector. On models up to CANONICAL_STATES states, states that
cannot matter any more are therefore dropped. Let U[s, m] bound how much dearer it can be to go on
from m than from s, whatever follows. It is the least solution of

    U[s, m] <= way from m to s by model moves                            (go to s, go on from there)
    U[s, m] >= way from m to the end, where s is the end
    U[s, m] >= U[s', m] - w                    for a model move s -> s' of weight w
    U[s, m] >= min(MOVE + U[s', m], min over arcs x -a-> y of (way from m to x) + U[s', y])
                                               for an arc s -a-> s' of activity a

(a weighted simulation game: m answers every step of s, by a log move, or by going to an arc of the
same activity); the first line wins over the others. State s is dropped where some other state m has
cost[s] >= cost[m] + U[s, m] (if all is equal the lower state stays), and the vector is closed again
under model moves. Optimal costs of prefixes and of whole traces stay exact, and the least entry
stays what it was. U is found by value iteration; what still grows after SIMULATION_ROUNDS counts
as unbounded, which is always safe.

Complexity: O(states x (arcs of the activity + states)) an event on canonical models, U costs
O(rounds x arcs^2 x states / activities) once; O(states x arcs of the activity) up to DENSE_STATES
states; beyond that Bellman-Ford rounds over the arcs.

Sources: Adriansyah, Aligning Observed and Modeled Behavior, PhD thesis, TU Eindhoven, 2014;
Cerny, Henzinger & Radhakrishna, Simulation distances, CONCUR 2010 (the game).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from process_mining.model import SILENT_LABEL

if TYPE_CHECKING:
    from process_mining.eventlog import Ints
    from process_mining.model import Automaton

MOVE = 1 << 32
SILENT = 1
UNREACHABLE = 1 << 60
CANONICAL_STATES = 256
DENSE_STATES = 1_024
SIMULATION_ROUNDS = 64

Arcs = tuple["Ints", "Ints"]


@dataclass(frozen=True, eq=False)
class Graph:
    """The automaton's arcs as the kernel wants them.

    `sync[a]` is (sources, targets) of the arcs with activity a. Model moves are (sources, targets,
    weights), parallel ones once; `distance[s, t]` holds all their shortest sums where the model is
    small, `slack[s, m]` how far cost[s] must lie above cost[m] for s to be dropped.
    `start` is the vector of the empty prefix.
    """

    n_states: int
    sync: tuple[Arcs, ...]
    sources: Ints
    targets: Ints
    weights: Ints
    distance: Ints | None
    slack: Ints | None
    start: Ints

    @classmethod
    def of(cls, automaton: Automaton) -> Graph:
        """Sort the arcs, and work out the tables that the model's size allows."""
        n = automaton.n_states
        label, source, target = automaton.labels, automaton.sources, automaton.targets
        picks = [np.flatnonzero(label == a) for a in range(len(automaton.activities))]
        sync = tuple((source[pick], target[pick]) for pick in picks)
        arcs = _model_moves(automaton)
        dense = n <= DENSE_STATES
        states = np.arange(n) if dense else np.array([automaton.initial])
        distance = _shortest(n, *arcs, states)
        slack = (
            _slack(simulation_bounds(distance, arcs, sync, automaton.final))
            if n <= CANONICAL_STATES
            else None
        )
        start = distance[automaton.initial if dense else 0]
        return cls(n, sync, *arcs, distance if dense else None, slack, start)

    def after(self, vector: Ints, activity: int) -> tuple[Ints, int]:
        """Return the vector after one event and what was taken off it.

        `activity` is an index in `sync`, or len(sync) for one that the model does not have.
        """
        if activity == len(self.sync):
            return vector, MOVE
        costs: Ints = self._canonical(self._moved(vector, *self.sync[activity]))
        low = int(costs.min())
        costs = costs - low
        costs[costs >= UNREACHABLE // 2] = UNREACHABLE
        return costs, low

    def _moved(self, vector: Ints, source: Ints, target: Ints) -> Ints:
        """Take a log move everywhere, or a synchronous arc and model moves behind it."""
        costs = vector + MOVE
        come = vector[source]
        better = come < costs[target]
        come, target = come[better], target[better]
        if not len(come):
            return costs
        if self.distance is not None:
            reached: Ints = (come[:, None] + self.distance[target]).min(axis=0)
            return np.minimum(costs, reached)
        np.minimum.at(costs, target, come)
        return self._relaxed(costs, target)

    def _relaxed(self, costs: Ints, changed: Ints) -> Ints:
        """Bellman-Ford over the arcs out of the states that changed, until nothing does."""
        active = np.zeros(self.n_states, dtype=bool)
        active[changed] = True
        while active.any():
            arcs = np.flatnonzero(active[self.sources])
            before = costs.copy()
            np.minimum.at(costs, self.targets[arcs], costs[self.sources[arcs]] + self.weights[arcs])
            active = costs < before
        return costs

    def _canonical(self, costs: Ints) -> Ints:
        """Drop the states that cannot matter any more and close under model moves again."""
        if self.slack is None or self.distance is None:
            return costs
        kept = ~(costs[:, None] - costs >= self.slack).any(axis=1)
        closed: Ints = (costs[kept, None] + self.distance[kept]).min(axis=0)
        return closed


def simulation_bounds(
    distance: Ints, moves: tuple[Ints, Ints, Ints], sync: tuple[Arcs, ...], final: int
) -> Ints:
    """Return U[s, m] of the module's head, UNREACHABLE where no bound was found."""
    bounds = np.zeros_like(distance)
    bounds[final] = distance[:, final]
    ceiling = distance.T
    rounds = 0
    while True:
        grown = np.minimum(_one_round(bounds, distance, moves, sync), ceiling)
        if (grown == bounds).all():
            return bounds
        rounds += 1
        if rounds > SIMULATION_ROUNDS:
            grown[grown > bounds] = UNREACHABLE
        bounds = grown


def _one_round(
    bounds: Ints, distance: Ints, moves: tuple[Ints, Ints, Ints], sync: tuple[Arcs, ...]
) -> Ints:
    source, target, weight = moves
    grown = bounds.copy()
    np.maximum.at(grown, source, bounds[target] - weight[:, None])
    for begin, end in (arcs for arcs in sync if len(arcs[0])):
        ends, which = np.unique(end, return_inverse=True)
        # way[m, e]: the cheapest way from m over one of the activity's arcs into the end e
        way = np.full((len(distance), len(ends)), 2 * UNREACHABLE)
        np.minimum.at(way.T, which, distance[:, begin].T)
        answer = (way[None, :, :] + bounds[np.ix_(ends, ends)][:, None, :]).min(axis=2)
        answer = np.minimum(answer, bounds[ends] + MOVE)
        np.maximum.at(grown, begin, answer[which])
    grown[grown >= UNREACHABLE // 2] = UNREACHABLE
    return grown


def _slack(bounds: Ints) -> Ints:
    """Make the comparison strict where neither state would otherwise give way."""
    state = np.arange(len(bounds))
    strict = (bounds == 0) & (state >= state[:, None])
    slack: Ints = bounds + strict
    slack[bounds >= UNREACHABLE // 2] = 4 * UNREACHABLE
    slack[state, state] = 4 * UNREACHABLE
    return slack


def _model_moves(automaton: Automaton) -> tuple[Ints, Ints, Ints]:
    """Every pair of states with a model move between them, once, with the lowest weight."""
    weight = np.where(automaton.labels == SILENT_LABEL, SILENT, MOVE)
    order = np.lexsort((weight, automaton.targets, automaton.sources))
    pair = automaton.sources[order] * automaton.n_states + automaton.targets[order]
    first = order[np.flatnonzero(np.diff(pair, prepend=-1))]
    return automaton.sources[first], automaton.targets[first], weight[first]


def _shortest(n: int, source: Ints, target: Ints, weight: Ints, starts: Ints) -> Ints:
    """Shortest sums of model moves from some states; exact, for they stay below 2**53."""
    graph = csr_array((weight.astype(np.float64), (source, target)), shape=(n, n))
    lengths = dijkstra(graph, indices=starts)
    lengths[np.isinf(lengths)] = float(UNREACHABLE)
    return np.asarray(lengths).astype(np.int64)
