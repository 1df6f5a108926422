"""What is an alignment search in integers: the model as arrays, the traces, and what is found?

Units. A move of weight w costs w x MOVE; silent moves and moves of weight 0 cost FREE, so they only
break ties and no way back can go in circles. FREE ones cannot add up to a MOVE while there are
fewer than MOVE of them in an alignment; `check_sums` refuses what could leave these limits.

A cost vector holds, for a prefix of a trace, the cheapest cost of being in each state: exact, and
closed under model moves. `relaxed` closes it. Every state of an automaton is reached from its
initial one by model moves, so all entries are finite.

`Graph`, `Traces` and `Walked` are named tuples of arrays because compiled code takes them as they
are (`compiled.py`); the search without it is in `plain.py`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from process_mining.errors import CodedError

if TYPE_CHECKING:
    from process_mining.eventlog import Codes, Ints
    from process_mining.model import Automaton

MOVE = 1 << 32
HALF = MOVE >> 1
FREE = 1
NO_EVENT = -1
_MOST = 1 << 29


class MoveKind(IntEnum):
    """What a move moves: both, only the log, only the model, or the model without an event."""

    SYNC = 0
    LOG = 1
    MODEL = 2
    SILENT = 3


class Graph(NamedTuple):
    """An automaton's arcs, its states and activities being numbered as they are there.

    `log[a]`: cost of a log move of activity a. Synchronous arcs of activity a into state t are
    sync_start[a * n_states + t] to the next entry, by source. Model moves out of state s are
    out_start[s] to the next, those into t are into_start[t] to the next in the order in which a
    way back prefers them: by (weight, source, move). `start` is the vector of the empty prefix.
    `to_end` is the cost of the cheapest way from each state to the final one; it is empty for runs
    that end there anyway.
    """

    n_states: int
    initial: int
    final: int
    log: Ints
    sync_start: Ints
    sync_source: Ints
    sync_target: Ints
    out_start: Ints
    out_target: Ints
    out_weight: Ints
    into_start: Ints
    into_source: Ints
    into_weight: Ints
    into_move: Ints
    start: Ints
    to_end: Ints

    @property
    def n_activities(self) -> int:
        """Number of activities that the model has."""
        return len(self.log)


class Traces(NamedTuple):
    """Traces as word numbers: trace v is words[offsets[v]:offsets[v + 1]].

    `column[w]`: the word's activity in the model, or the number of activities for a word that the
    model does not have; such words cost `foreign[w]`, all others 0 here.
    """

    offsets: Ints
    words: Codes
    column: Ints
    foreign: Ints


class Walked(NamedTuple):
    """What a walk over the traces finds; costs in the units of this module, one entry a trace.

    `departure`: the first event after which the prefix costs a MOVE, NO_EVENT for none. `end`: the
    state in which the run ends. `moves` (4 x word + kind) and `states` (before each move) of
    trace v are offsets[v]:offsets[v + 1].
    """

    cost: Ints
    prefix: Ints
    departure: Ints
    end: Codes
    offsets: Ints
    moves: Ints
    states: Codes


def graph_of(automaton: Automaton, *, log: Ints, model: Ints, moves: Ints) -> Graph:
    """Sort the arcs. `model` and `moves` have an entry an activity, and one more for silent arcs.

    They hold the costs and the numbers of model moves; SILENT_LABEL, -1, picks their last entry.
    """
    n, m = automaton.n_states, len(automaton.activities)
    source, target, label = automaton.sources, automaton.targets, automaton.labels.astype(np.int64)
    weight, move = model[label], moves[label]
    seen = np.flatnonzero(label >= 0)
    seen = seen[np.lexsort((source[seen], target[seen], label[seen]))]
    into = np.lexsort((move, source, weight, target))
    return Graph(
        n_states=n,
        initial=automaton.initial,
        final=automaton.final,
        log=log,
        sync_start=_starts(label[seen] * n + target[seen], n * m),
        sync_source=source[seen],
        sync_target=target[seen],
        # the automaton's arcs are sorted by source
        out_start=_starts(source, n),
        out_target=target,
        out_weight=weight,
        into_start=_starts(target[into], n),
        into_source=source[into],
        into_weight=weight[into],
        into_move=move[into],
        start=_ways(n, automaton.initial, source, target, weight),
        to_end=np.zeros(0, dtype=np.int64),
    )


def with_ends(graph: Graph) -> Graph:
    """Return the graph with `to_end`."""
    target = np.repeat(np.arange(graph.n_states), np.diff(graph.into_start))
    ways = _ways(graph.n_states, graph.final, target, graph.into_source, graph.into_weight)
    return graph._replace(to_end=ways)


def relaxed(costs: Ints, active: Ints, starts: Ints, targets: Ints, weights: Ints) -> Ints:
    """Lower `costs` along arcs, from the states that changed on, until nothing changes.

    Bellman-Ford rounds over the arcs out of what the last round changed: O(states x arcs) at worst,
    a few rounds as a rule.
    """
    while len(active):
        n = starts[active + 1] - starts[active]
        arcs = spans(starts[active], n)
        before = costs.copy()
        np.minimum.at(costs, targets[arcs], np.repeat(costs[active], n) + weights[arcs])
        active = np.flatnonzero(costs < before)
    return costs


def spans(first: Ints, lengths: Ints) -> Ints:
    """Return the places of several spans, one after the other."""
    shift = first - np.cumsum(lengths) + lengths
    return np.repeat(shift, lengths) + np.arange(int(lengths.sum()))


def check_sums(*, longest: int, n_states: int, log: int, model: int) -> None:
    """Refuse weights, traces and models whose costs might leave 64 bits (MO306).

    `log` and `model` are the highest weights.
    """
    if longest * log + n_states * model < _MOST and (longest + 1) * (n_states + 1) < HALF:
        return
    raise CodedError(
        "MO306",
        f"A trace of {longest:,} events on a model of {n_states:,} states is too long to be summed",
        why="Costs are exact whole numbers of 64 bits",
        fix="Use lower weights, or split the trace",
    )


def _starts(keys: Ints, n: int) -> Ints:
    """Where each key 0..n-1 begins among sorted keys, and the end."""
    return np.searchsorted(keys, np.arange(n + 1)).astype(np.int64)


def _ways(n: int, begin: int, source: Ints, target: Ints, weight: Ints) -> Ints:
    """Cheapest sums from one state to all; arcs are sorted by source."""
    costs = np.full(n, np.iinfo(np.int64).max, dtype=np.int64)
    costs[begin] = 0
    return relaxed(costs, np.array([begin]), _starts(source, n), target, weight)
