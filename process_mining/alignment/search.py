"""Which vectors does every trace pass, and which moves lead back over them?

`Table` is the weighted automaton as far as traces have needed it, `Walk` reads one optimal
alignment back from its vectors, `Search` takes all variants through both, batch by batch. When
the table is full, it is emptied and the batch halved; results do not depend on when.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from process_mining.alignment.kernel import MOVE, SILENT, Graph
from process_mining.model import SILENT_LABEL

if TYPE_CHECKING:
    from process_mining.eventlog import Ints
    from process_mining.model import Automaton
    from process_mining.variants import Variants

TABLE_BYTES = 512 * 1024 * 1024
BATCH_EVENTS = 1_000_000
NO_EVENT = -1
_MISSING = -1


class MoveKind(IntEnum):
    """What a move moves: both, only the log, only the model, or the model without an event."""

    SYNC = 0
    LOG = 1
    MODEL = 2
    SILENT = 3


class _TableFullError(Exception):
    """The table may not grow further before the batch is done."""


@dataclass(eq=False)
class Search:
    """All variants against one automaton: batches forward over the table, then back for moves."""

    automaton: Automaton
    words: tuple[str, ...]
    variants: Variants
    table_bytes: int

    def __post_init__(self) -> None:
        """Code the traces by words, and make room for the results."""
        n = len(self.variants)
        self.graph = Graph.of(self.automaton)
        word = {name: i for i, name in enumerate(self.words)}
        to_word = np.array([word[a] for a in self.variants.activities], dtype=np.int32)
        self.word_codes = to_word[self.variants.codes] if n else self.variants.codes
        column = {name: i for i, name in enumerate(self.automaton.activities)}
        unknown = len(column)
        self.column = np.array([column.get(w, unknown) for w in self.words], dtype=np.int64)
        self.word_of_label = [word[a] for a in self.automaton.activities]
        self.cost, self.prefix = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.departure = np.full(n, NO_EVENT, np.int64)
        self.moves: list[list[int]] = [[] for _ in range(n)]

    def run(self) -> None:
        """Work through the variants in batches; a batch that does not fit the table is halved."""
        longest = int(np.diff(self.variants.offsets).max(initial=0))
        table = Table(self.graph, self.table_bytes, at_least=longest + 2)
        walk = Walk(self, table)
        todo = _batches(self.variants.offsets)[::-1]
        while todo:
            low, high = todo.pop()
            try:
                forward = self._forward(table, low, high)
            except _TableFullError:
                table = Table(self.graph, self.table_bytes, at_least=longest + 2)
                walk = Walk(self, table)
                middle = (low + high) // 2
                todo += [(middle, high), (low, middle)] if high - low > 1 else [(low, high)]
                continue
            self._finish(forward, walk, low, high)

    def _forward(self, table: Table, low: int, high: int) -> tuple[Ints, Ints, Ints]:
        """Step all variants low:high through the table at once, one event a round.

        Returns for each variant, from places[v] on and one entry more than it has events, the
        vector after every event and the cost of the prefix.
        """
        offsets = self.variants.offsets[low : high + 1]
        lengths = np.diff(offsets)
        places = offsets[:-1] - offsets[0] + np.arange(high - low)
        columns = self.column[self.word_codes[offsets[0] : offsets[-1]]]
        ids = np.zeros(int(lengths.sum()) + high - low, dtype=np.int64)
        costs = np.zeros_like(ids)
        order = np.argsort(-lengths, kind="stable")
        alive = np.searchsorted(-lengths[order], -np.arange(int(lengths.max(initial=0))), "left")
        for k, n_alive in enumerate(alive.tolist()):
            active = order[:n_alive]
            here = places[active] + k
            activity = columns[offsets[active] - offsets[0] + k]
            after, rise = table.step(ids[here], activity)
            ids[here + 1] = after
            costs[here + 1] = costs[here] + rise
        return places, ids, costs

    def _finish(self, forward: tuple[Ints, Ints, Ints], walk: Walk, low: int, high: int) -> None:
        """Read costs and the first departure off the vectors, and walk back for the moves."""
        places, ids, costs = forward
        lengths = np.diff(self.variants.offsets[low : high + 1])
        ends = places + lengths
        self.prefix[low:high] = costs[ends]
        self.cost[low:high] = costs[ends] + walk.table.entries(ids[ends], self.automaton.final)
        clean = np.add.reduceat(costs < MOVE, places) if high > low else lengths
        self.departure[low:high] = np.where(clean <= lengths, clean - 1, NO_EVENT)
        offsets = self.variants.offsets
        ids_list = ids.tolist()
        for v in range(low, high):
            place = int(places[v - low])
            words = self.word_codes[offsets[v] : offsets[v + 1]].tolist()
            self.moves[v] = walk.back(ids_list[place : place + len(words) + 1], words)


class Table:
    """The weighted automaton as far as it was needed: vectors by number, and steps between them.

    A row of `next` and `rise` belongs to a vector, a column to an activity (the last one to every
    activity that the model does not have). Vector 0 is that of the empty prefix.
    """

    def __init__(self, graph: Graph, limit_bytes: int, *, at_least: int) -> None:
        """Begin with the empty prefix; hold as many vectors as fit, but `at_least` so many."""
        self.graph = graph
        self.columns = len(graph.sync) + 1
        row = 8 * graph.n_states + 16 * self.columns
        self.limit = max(at_least, limit_bytes // row)
        self.vectors: list[Ints] = []
        self.index: dict[bytes, int] = {}
        self.next = np.full((64, self.columns), _MISSING, dtype=np.int64)
        self.rise = np.zeros((64, self.columns), dtype=np.int64)
        self._intern(graph.start)

    def step(self, ids: Ints, activity: Ints) -> tuple[Ints, Ints]:
        """Return the next vectors and the rises for pairs of vector and activity."""
        after = self.next[ids, activity]
        missing = after == _MISSING
        if missing.any():
            pairs = np.unique(ids[missing] * self.columns + activity[missing])
            for pair in pairs.tolist():
                self._fill(*divmod(pair, self.columns))
            after = self.next[ids, activity]
        return after, self.rise[ids, activity]

    def entries(self, ids: Ints, state: int) -> Ints:
        """Return one state's entry of each of these vectors."""
        distinct, inverse = np.unique(ids, return_inverse=True)
        values = [int(self.vectors[i][state]) for i in distinct.tolist()]
        return np.array(values, dtype=np.int64)[inverse]

    def _fill(self, vector: int, activity: int) -> None:
        costs, rise = self.graph.after(self.vectors[vector], activity)
        self.next[vector, activity] = self._intern(costs)
        self.rise[vector, activity] = rise

    def _intern(self, vector: Ints) -> int:
        key = vector.tobytes()
        known = self.index.get(key)
        if known is not None:
            return known
        number = len(self.vectors)
        if number >= self.limit:
            raise _TableFullError
        if number == len(self.next):
            self.next = np.concatenate([self.next, np.full_like(self.next, _MISSING)])
            self.rise = np.concatenate([self.rise, np.zeros_like(self.rise)])
        self.index[key] = number
        self.vectors.append(vector)
        return number


class Walk:
    """Reads one optimal alignment back from the vectors, each step worked out once per table."""

    def __init__(self, search: Search, table: Table) -> None:
        """Index the arcs by where they lead."""
        self.table = table
        self.final, self.initial = search.automaton.final, search.automaton.initial
        self.column = search.column.tolist()
        self.sync: dict[tuple[int, int], list[int]] = {}
        self.into: list[list[tuple[int, int, int]]] = [[] for _ in range(search.automaton.n_states)]
        self._index_arcs(search)
        self.known: dict[tuple[int, int, int], tuple[tuple[int, ...], int]] = {}
        self.begun: dict[int, tuple[int, ...]] = {}

    def back(self, ids: list[int], words: list[int]) -> list[int]:
        """Return the moves of one variant, first to last."""
        state = self.final
        moves: list[int] = []
        for k in range(len(words) - 1, -1, -1):
            key = (ids[k], words[k], state)
            found = self.known.get(key)
            if found is None:
                found = self.known[key] = self._segment(*key)
            segment, state = found
            moves += segment
        if state not in self.begun:
            self.begun[state] = self._beginning(state)
        moves += self.begun[state]
        moves.reverse()
        return moves

    def _index_arcs(self, search: Search) -> None:
        """Arcs into every state: synchronous ones by source, model moves silent ones first."""
        automaton = search.automaton
        arcs = np.stack([automaton.sources, automaton.targets, automaton.labels], axis=1)
        for source, target, label in arcs[np.lexsort(arcs.T[::-1])].tolist():
            silent = label == SILENT_LABEL
            word = 0 if silent else search.word_of_label[label]
            if not silent:
                self.sync.setdefault((target, word), []).append(source)
            move = MoveKind.SILENT if silent else 4 * word + MoveKind.MODEL
            self.into[target].append((source, SILENT if silent else MOVE, int(move)))
        for entries in self.into:
            entries.sort(key=lambda arc: (arc[1], arc[0], arc[2]))

    def _segment(self, vector: int, word: int, state: int) -> tuple[tuple[int, ...], int]:
        """Go back over one event: its moves, last to first, and the state before it."""
        column = self.column[word]
        before = self.table.vectors[vector]
        after = self.table.vectors[int(self.table.next[vector, column])]
        rise = int(self.table.rise[vector, column])
        moves: list[int] = []
        while True:
            cost = int(after[state]) + rise
            for source in self.sync.get((state, word), ()):
                if before[source] == cost:
                    return (*moves, 4 * word + MoveKind.SYNC), source
            if before[state] + MOVE == cost:
                return (*moves, 4 * word + MoveKind.LOG), state
            move, state = self._model_move(after, state)
            moves.append(move)

    def _beginning(self, state: int) -> tuple[int, ...]:
        """The model moves from the initial state, last to first."""
        moves: list[int] = []
        while state != self.initial:
            move, state = self._model_move(self.table.vectors[0], state)
            moves.append(move)
        return tuple(moves)

    def _model_move(self, vector: Ints, state: int) -> tuple[int, int]:
        cost = vector[state]
        return next(
            (move, source)
            for source, weight, move in self.into[state]
            if vector[source] + weight == cost
        )


def _batches(offsets: Ints) -> list[tuple[int, int]]:
    """Cut the variants into runs of about BATCH_EVENTS events."""
    n = len(offsets) - 1
    marks = np.arange(BATCH_EVENTS, int(offsets[-1]), BATCH_EVENTS)
    cuts = np.unique([0, *np.searchsorted(offsets, marks).tolist(), n]).tolist()
    return [(int(low), int(high)) for low, high in pairwise(cuts)]
