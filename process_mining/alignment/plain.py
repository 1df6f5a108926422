"""Which vectors does every trace pass, and which moves lead back over them? In numpy.

`Table` is the weighted automaton as far as traces have needed it: vectors by number, and steps
between them. All traces of a batch go through it together, one event a round; the pairs of vector
and activity that were not met before are worked out together too. `Back` reads one optimal run
back over the vectors, again all traces together; the moves that belong to one event (a segment)
depend on the vector before it, its word, and the state after it, and are worked out once.

When the table is full it is emptied and the batch halved. `compiled.py` is the twin of this module:
the same results, move by move.

Complexity: O(1) a known event; O(states x arcs of the activity) a new pair of vector and activity
up to DENSE_STATES states, beyond that Bellman-Ford rounds over what the event made cheaper.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from process_mining.alignment.kernel import HALF, MOVE, NO_EVENT, MoveKind, Walked, relaxed, spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_mining.alignment.kernel import Graph, Traces
    from process_mining.eventlog import Codes, Ints

DENSE_STATES = 1_024
BATCH_EVENTS = 200_000
_BLOCK = 1 << 15
_SYNC, _LOG = int(MoveKind.SYNC), int(MoveKind.LOG)


class _TableFullError(Exception):
    """The table may not grow further before the batch is done."""


@dataclass(frozen=True, eq=False)
class Part:
    """What was found for the traces up to `high`, and how much work the search had so far.

    `work` is an estimate in microseconds, the same on every machine.
    """

    walked: Walked
    high: int
    work: int


def walk(graph: Graph, traces: Traces, *, whole: bool, table_bytes: int) -> Iterator[Part]:
    """Find an optimal run for every trace, batch by batch; `whole` runs go on to the final state.

    A batch that does not fit the table is halved.
    """
    back = Back(graph, traces, _table(graph, traces, table_bytes), whole=whole)
    todo = _batches(traces.offsets)[::-1]
    work = 0
    while todo:
        low, high = todo.pop()
        try:
            walked = _batch(back, low, high)
        except _TableFullError:
            work += back.work
            back = Back(graph, traces, _table(graph, traces, table_bytes), whole=whole)
            middle = (low + high) // 2
            todo += [(middle, high), (low, middle)] if high - low > 1 else [(low, high)]
            continue
        yield Part(walked, high, work + back.work)


def _table(graph: Graph, traces: Traces, limit_bytes: int) -> Table:
    lengths = np.diff(traces.offsets)
    longest, n_events = int(lengths.max(initial=0)), int(lengths.sum())
    return Table(graph, limit_bytes, longest=longest, n_events=n_events)


def _batch(back: Back, low: int, high: int) -> Walked:
    rounds = Rounds.of(back.traces.offsets[low : high + 1])
    ids, costs = _forward(back.table, back.traces, rounds)
    last = rounds.places + rounds.lengths
    end, trail = back.trail(rounds, ids)
    clean = np.add.reduceat(costs < MOVE, rounds.places)
    lengths, moves, states = back.spelled(trail)
    return Walked(
        cost=costs[last] + back.table.vectors[ids[last], end],
        prefix=costs[last],
        departure=np.where(clean <= rounds.lengths, clean - 1, NO_EVENT),
        end=end.astype(np.int32),
        offsets=np.append(0, np.cumsum(lengths))[np.append(rounds.places, len(trail))],
        moves=moves,
        states=states,
    )


@dataclass(frozen=True, eq=False)
class Rounds:
    """Traces of a batch, one event a round.

    Trace v has its events from firsts[v] on, and in arrays with an entry more than it has events
    (what holds before the first, and after each) its place is places[v]. The first alive[k] traces
    of `order` have more than k events.
    """

    firsts: Ints
    lengths: Ints
    places: Ints
    order: Ints
    alive: list[int]

    @classmethod
    def of(cls, offsets: Ints) -> Rounds:
        """Sort the traces by length, the longest first."""
        lengths = np.diff(offsets)
        order = np.argsort(-lengths, kind="stable")
        steps = np.arange(int(lengths.max(initial=0)))
        return cls(
            firsts=offsets[:-1],
            lengths=lengths,
            places=offsets[:-1] - offsets[0] + np.arange(len(lengths)),
            order=order,
            alive=np.searchsorted(-lengths[order], -steps, "left").tolist(),
        )


def _forward(table: Table, traces: Traces, rounds: Rounds) -> tuple[Ints, Ints]:
    """Return the vector before the first event and after each, and the cost of that prefix."""
    ids = np.zeros(int(rounds.lengths.sum()) + len(rounds.lengths), dtype=np.int64)
    costs = np.zeros_like(ids)
    for k, n_alive in enumerate(rounds.alive):
        active = rounds.order[:n_alive]
        here = rounds.places[active] + k
        words = traces.words[rounds.firsts[active] + k]
        after, rise = table.step(ids[here], traces.column[words])
        ids[here + 1] = after
        costs[here + 1] = costs[here] + rise + traces.foreign[words]
    return ids, costs


class Table:
    """The weighted automaton as far as it was needed: vectors by number, and steps between them.

    A row of `next` and `rise` belongs to a vector, a column to an activity (the last one to every
    activity that the model does not have); `next` is 1 + the vector after, 0 what is not known yet.
    Vector 0 is that of the empty prefix. The arrays have room for all vectors from the start: the
    system gives memory when it is first written.
    """

    def __init__(self, graph: Graph, limit_bytes: int, *, longest: int, n_events: int) -> None:
        """Begin with the empty prefix; hold as many vectors as fit, but those of any one trace."""
        self.graph = graph
        self.columns = graph.n_activities + 1
        # a vector is stored, and it is its key
        row = 16 * graph.n_states + 16 * self.columns + 128
        room = 1 + min(n_events, max(longest, limit_bytes // row))
        self.steps = Steps(graph)
        self.index: dict[bytes, int] = {}
        self.vectors = np.empty((room, graph.n_states), dtype=np.int64)
        self.flat = self.vectors.reshape(-1).data
        self.next = np.zeros((room, self.columns), dtype=np.int64)
        self.rise = np.zeros((room, self.columns), dtype=np.int64)
        self.filled = 0
        self._intern(graph.start)

    def step(self, ids: Ints, activity: Ints) -> tuple[Ints, Ints]:
        """Return the next vectors and the rises for pairs of vector and activity."""
        after = self.next[ids, activity]
        missing = np.flatnonzero(after == 0)
        if len(missing):
            pairs = np.unique(ids[missing] * self.columns + activity[missing])
            self._fill(*np.divmod(pairs, self.columns))
            after = self.next[ids, activity]
        return after - 1, self.rise[ids, activity]

    def _fill(self, ids: Ints, activity: Ints) -> None:
        costs = self.steps.after(self.vectors[ids], activity)
        rise = costs.min(axis=1)
        costs -= rise[:, None]
        self.next[ids, activity] = [1 + self._intern(row) for row in costs]
        self.rise[ids, activity] = rise
        self.filled += len(ids)

    def _intern(self, vector: Ints) -> int:
        number = len(self.index)
        known = self.index.setdefault(vector.tobytes(), number)
        if known < number:
            return known
        if number == len(self.vectors):
            raise _TableFullError
        self.vectors[number] = vector
        self.next[number, -1] = 1 + number
        return number


class Steps:
    """How does an event change vectors? All entries are exact before and after.

    Synchronous arcs of one activity into one state are a group; groups are sorted by activity, then
    by state (`ends`). `ways[s, t]`: cheapest way by model moves, where the model is small.
    """

    def __init__(self, graph: Graph) -> None:
        """Group the arcs; ways are worked out when an event first makes a state cheaper."""
        self.graph = graph
        lengths = np.diff(graph.sync_start)
        groups = np.flatnonzero(lengths)
        activity, self.ends = np.divmod(groups, graph.n_states)
        self.firsts, self.lengths = graph.sync_start[groups], lengths[groups]
        self.starts = np.searchsorted(activity, np.arange(graph.n_activities + 1))
        self.ways: Ints | None = None

    def after(self, vectors: Ints, activity: Ints) -> Ints:
        """Take a log move everywhere, or a synchronous arc and model moves behind it.

        One row and one activity each.
        """
        costs = vectors + self.graph.log[activity][:, None]
        rows, ends, come = self._gains(vectors, costs, activity)
        if self.graph.n_states > DENSE_STATES:
            self._relax(costs, rows, ends, come)
        elif len(rows):
            self._spread(costs, rows, ends, come)
        return costs

    def _gains(self, vectors: Ints, costs: Ints, activity: Ints) -> tuple[Ints, Ints, Ints]:
        """Return where a synchronous arc is cheaper: rows (sorted), states, and what they cost."""
        n = self.starts[activity + 1] - self.starts[activity]
        groups = spans(self.starts[activity], n)
        rows, ends, lengths = (
            np.repeat(np.arange(len(n)), n),
            self.ends[groups],
            self.lengths[groups],
        )
        if not len(rows):
            return rows, ends, lengths
        arcs = spans(self.firsts[groups], lengths)
        costs_before = vectors[np.repeat(rows, lengths), self.graph.sync_source[arcs]]
        come = np.minimum.reduceat(costs_before, np.cumsum(lengths) - lengths)
        found = come < costs[rows, ends]
        return rows[found], ends[found], come[found]

    def _spread(self, costs: Ints, rows: Ints, ends: Ints, come: Ints) -> None:
        """Go on from the states that became cheaper by the ways, a block of them at a time."""
        if self.ways is None:
            self.ways = _ways(self.graph)
        step = max(1, _BLOCK // self.graph.n_states)
        for low in range(0, len(rows), step):
            part = slice(low, low + step)
            reached = come[part, None] + self.ways[ends[part]]
            firsts = np.flatnonzero(np.diff(rows[part], prepend=-1))
            changed = rows[part][firsts]
            costs[changed] = np.minimum(costs[changed], np.minimum.reduceat(reached, firsts))

    def _relax(self, costs: Ints, rows: Ints, ends: Ints, come: Ints) -> None:
        """Go on from the states that became cheaper arc by arc, row by row."""
        graph = self.graph
        costs[rows, ends] = come
        cuts = np.flatnonzero(np.diff(rows, prepend=-1, append=len(costs)))
        for low, high in pairwise(cuts.tolist()):
            row, changed = costs[rows[low]], ends[low:high]
            relaxed(row, changed, graph.out_start, graph.out_target, graph.out_weight)


def _ways(graph: Graph) -> Ints:
    """Cheapest ways by model moves between all states, exact: they stay below 2**53."""
    n = graph.n_states
    source = np.repeat(np.arange(n), np.diff(graph.out_start))
    order = np.lexsort((graph.out_weight, graph.out_target, source))
    first = order[np.flatnonzero(np.diff((source * n + graph.out_target)[order], prepend=-1))]
    arcs = graph.out_weight[first].astype(np.float64), (source[first], graph.out_target[first])
    lengths = dijkstra(csr_array(arcs, shape=(n, n)))
    lengths[np.isinf(lengths)] = float(1 << 62)
    return np.asarray(lengths).astype(np.int64)


@dataclass(eq=False)
class Back:
    """Reads one optimal run of each trace back from its vectors, every segment worked out once.

    Segment i belongs to one event or to the beginning of a run: it comes from state before[i] and
    has the moves spans[i] of the pools, first to last.
    """

    graph: Graph
    traces: Traces
    table: Table
    whole: bool
    known: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    before: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    moves: array[int] = field(default_factory=lambda: array("q"))
    states: array[int] = field(default_factory=lambda: array("i"))

    def __post_init__(self) -> None:
        """Take the arcs as lists: one number of a list is read faster than one of an array."""
        graph = self.graph
        self.sync_start, self.sync_source = graph.sync_start.tolist(), graph.sync_source.tolist()
        self.into_start = graph.into_start.tolist()
        arcs = (graph.into_source, graph.into_weight, graph.into_move)
        self.into = list(zip(*(column.tolist() for column in arcs), strict=True))
        self.column, self.log = self.traces.column.tolist(), graph.log.tolist()

    @property
    def work(self) -> int:
        """Estimate in microseconds what the vectors and segments so far have cost."""
        return self.table.filled * (8 + self.graph.n_states // 16) + 4 * len(self.spans)

    def trail(self, rounds: Rounds, ids: Ints) -> tuple[Ints, Ints]:
        """Return the state in which each run ends, and its segments: beginning, then by event."""
        n_states, n_words = self.graph.n_states, len(self.traces.column)
        end = self._ends(ids[rounds.places + rounds.lengths])
        state, trail = end.copy(), np.empty_like(ids)
        for k, n_alive in enumerate(rounds.alive):
            active = rounds.order[:n_alive]
            event = rounds.lengths[active] - k
            here = rounds.places[active] + event
            words = self.traces.words[rounds.firsts[active] + event - 1]
            keys = (ids[here - 1] * n_words + words) * n_states + state[active]
            trail[here], state[active] = self._segments(keys)
        trail[rounds.places], _ = self._segments(-1 - state)
        return end, trail

    def spelled(self, trail: Ints) -> tuple[Ints, Ints, Codes]:
        """Return the length of every segment of a trail, and all their moves and states."""
        first, lengths = np.array(self.spans, dtype=np.int64).reshape(-1, 2)[trail].T
        index = spans(first, lengths)
        moves = np.frombuffer(self.moves, dtype=np.int64)[index]
        return lengths, moves, np.frombuffer(self.states, dtype=np.int32)[index]

    def _ends(self, ids: Ints) -> Ints:
        """The states in which runs end, by the last vector."""
        if self.whole:
            return np.full(len(ids), self.graph.final)
        distinct, which = np.unique(ids, return_inverse=True)
        return np.array([self._end(vector) for vector in distinct.tolist()])[which]

    def _end(self, vector: int) -> int:
        """Of the cheapest states, free moves aside, that with the cheapest way to the end.

        Then that with fewest free moves, so far and from there, then the lowest.
        """
        if vector not in self.ends:
            costs, to_end = self.table.vectors[vector], self.graph.to_end
            cheapest = np.flatnonzero(costs < HALF)
            keys = to_end[cheapest], costs[cheapest], to_end[cheapest] // MOVE
            self.ends[vector] = int(cheapest[np.lexsort(keys)[0]])
        return self.ends[vector]

    def _segments(self, keys: Ints) -> tuple[Ints, Ints]:
        """Return the number of each segment and the state that it comes from."""
        distinct, which = np.unique(keys, return_inverse=True)
        numbers = [self._segment(key) for key in distinct.tolist()]
        before = np.array([self.before[number] for number in numbers])
        return np.array(numbers)[which], before[which]

    def _segment(self, key: int) -> int:
        """Look a segment up: (vector x words + word) x states + state, or -1 - state to begin."""
        known = self.known.get(key)
        if known is not None:
            return known
        if key < 0:
            moves, states = self._beginning(-1 - key)
            before = states[-1] if states else -1 - key
        else:
            pair, state = divmod(key, self.graph.n_states)
            moves, states = self._over(*divmod(pair, len(self.traces.column)), state)
            before = states[-1]
        number = self.known[key] = len(self.spans)
        self.spans.append((len(self.moves), len(moves)))
        self.before.append(before)
        self.moves.extend(moves[::-1])
        self.states.extend(states[::-1])
        return number

    def _over(self, vector: int, word: int, state: int) -> tuple[list[int], list[int]]:
        """Go back over one event: moves and the states before them, last to first.

        Among equals the last move is synchronous before log before model, then from the lowest
        state; model moves by weight, state and number.
        """
        column, n = self.column[word], self.graph.n_states
        if column == len(self.log):
            return [4 * word + _LOG], [state]
        costs, log = self.table.flat, self.log[column]
        before, after = vector * n, (self.table.next.item(vector, column) - 1) * n
        rise = self.table.rise.item(vector, column)
        moves: list[int] = []
        states: list[int] = []
        while True:
            cost = costs[after + state] + rise
            arcs = column * n + state
            for source in self.sync_source[self.sync_start[arcs] : self.sync_start[arcs + 1]]:
                if costs[before + source] == cost:
                    return [*moves, 4 * word + _SYNC], [*states, source]
            if costs[before + state] + log == cost:
                return [*moves, 4 * word + _LOG], [*states, state]
            move, state = self._model_move(costs, after, state)
            moves.append(move)
            states.append(state)

    def _beginning(self, state: int) -> tuple[list[int], list[int]]:
        """The model moves from the initial state and the states before them, last to first."""
        moves: list[int] = []
        states: list[int] = []
        while state != self.graph.initial:
            move, state = self._model_move(self.table.flat, 0, state)
            moves.append(move)
            states.append(state)
        return moves, states

    def _model_move(self, costs: memoryview[int], at: int, state: int) -> tuple[int, int]:
        """Return the first move into a state that its cost can have come over, and its source.

        The costs of the states begin at `at`.
        """
        cost = costs[at + state]
        for source, weight, move in self.into[self.into_start[state] : self.into_start[state + 1]]:
            if costs[at + source] + weight == cost:
                return move, source
        message = f"state {state} has a cost and no way to it"
        raise AssertionError(message)


def _batches(offsets: Ints) -> list[tuple[int, int]]:
    """Cut the traces into runs of about BATCH_EVENTS events."""
    n = len(offsets) - 1
    marks = np.arange(BATCH_EVENTS, int(offsets[-1]), BATCH_EVENTS)
    cuts = np.unique([0, *np.searchsorted(offsets, marks).tolist(), n]).tolist()
    return [(int(low), int(high)) for low, high in pairwise(cuts)]
