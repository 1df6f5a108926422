"""Which markings can a token game reach, and by which run?

Breadth first from the first marking, moves in the order in which they are given, so states have
one fixed numbering. A marking is kept as its tokens: the places that hold one, sorted, a place
twice for two tokens.

On the way markings are compared as Karp & Miller do: one that covers an ancestor on its own path
(nowhere fewer tokens, somewhere more) proves, in a plain net, that tokens can gather without end.
Only markings with more tokens than every ancestor are compared, and only with one another: an
infinite path of different markings has infinitely many such, and by Dickson's lemma two of them
cover each other, so the search of an unbounded net still stops.

Complexity: O(arcs x tokens), plus O(tokens) for each earlier record on the path of a new one.

Sources: Karp & Miller, Parallel program schemata, JCSS 3(2), 1969; Dickson, Finiteness of the odd
perfect and primitive abundant numbers, Amer. J. Math. 35(4), 1913.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Moves = Callable[["Tokens"], Iterable[tuple[int, "Tokens"]]]

Tokens = tuple[int, ...]
MAX_TOKENS: Final = 20_000_000


@dataclass(eq=False)
class Reachability:
    """The states found, how each was first reached, and the arcs (source, move, target).

    The moves of the first `n_expanded` states are all in `arcs`; `complete` when those are all.
    `cover` is the first pair of states of which the latter covers the former, on one path.
    """

    states: list[Tokens]
    index: dict[Tokens, int]
    came_from: list[tuple[int, int]] = field(default_factory=lambda: [(-1, -1)])
    arcs: list[tuple[int, int, int]] = field(default_factory=list)
    n_expanded: int = 0
    cover: tuple[int, int] | None = None

    @property
    def complete(self) -> bool:
        """Whether the graph is whole."""
        return self.n_expanded == len(self.states)

    @property
    def limit(self) -> int:
        """There are more states than this, where the graph is not complete."""
        return len(self.states) - 1

    def path(self, state: int) -> list[int]:
        """Return the moves of the shortest run to a state."""
        steps: list[int] = []
        while state > 0:
            state, move = self.came_from[state]
            steps.append(move)
        return steps[::-1]

    def loop(self) -> tuple[list[int], list[int]]:
        """Return the moves that repeat, and the places on which they leave tokens."""
        if self.cover is None:
            return [], []
        before, after = self.cover
        grown = Counter(self.states[after]) - Counter(self.states[before])
        return self.path(after)[len(self.path(before)) :], sorted(grown)


def search(initial: Tokens, moves: Moves, *, budget: int, stop_at_cover: bool) -> Reachability:
    """Explore until all is known, more than `budget` states are met, or (if asked) a cover is.

    States with many tokens are counted by them, too: MAX_TOKENS in all of them are kept.
    """
    graph = Reachability(states=[initial], index={initial: 0})
    records = [-1]
    n_tokens = len(initial)
    while not graph.complete:
        source = graph.n_expanded
        for move, tokens in moves(graph.states[source]):
            target = graph.index.get(tokens)
            if target is None:
                n_tokens += len(tokens)
                target = _add(graph, records, source, move, tokens)
            graph.arcs.append((source, move, target))
            stopped = stop_at_cover and graph.cover is not None
            if stopped or len(graph.states) > budget or n_tokens > MAX_TOKENS:
                return graph
        graph.n_expanded += 1
    return graph


def _add(graph: Reachability, records: list[int], source: int, move: int, tokens: Tokens) -> int:
    """Number a new state; `records[s]` is the nearest state before s with a record of tokens."""
    state = len(graph.states)
    graph.index[tokens] = state
    graph.states.append(tokens)
    graph.came_from.append((source, move))
    record = next(_records(graph, records, source), 0)
    records.append(record)
    if graph.cover is None and len(tokens) > len(graph.states[record]):
        held = Counter(tokens)
        for ancestor in _records(graph, records, record):
            if Counter(graph.states[ancestor]) <= held:
                graph.cover = (ancestor, state)
                break
    return state


def _records(graph: Reachability, records: list[int], state: int) -> Iterator[int]:
    """Yield the states up to and with this one that had more tokens than all before them."""
    before = records[state]
    if before < 0 or len(graph.states[state]) > len(graph.states[before]):
        yield state
    while before >= 0:
        yield before
        before = records[before]
