"""Which activities does a model allow next, after those that were seen?

What was seen leaves a model in a set of states, for silent moves show nothing and two steps may
have one name. `Language` is the deterministic automaton over those sets, built as far as it is
asked (Rabin & Scott, Finite automata and their decision problems, IBM Journal 3(2), 1959). Sets
are numbered in the order in which they were met; set START is that before the first activity.

Complexity: O(states + arcs) for a set that was not met before, O(1) for a known one. There may be
exponentially many sets; only those on the way of what is asked are built.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from process_mining.model.automaton import SILENT_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from process_mining.model.automaton import Automaton

START: Final = 0


class Language:
    """The visible runs of an automaton, one set of states a prefix."""

    def __init__(self, automaton: Automaton) -> None:
        """Index the arcs; nothing is walked yet but to the first set."""
        self._silent: dict[int, list[int]] = defaultdict(list)
        self._visible: dict[int, list[tuple[str, int]]] = defaultdict(list)
        arcs = zip(
            automaton.sources.tolist(),
            automaton.labels.tolist(),
            automaton.targets.tolist(),
            strict=True,
        )
        for source, label, target in arcs:
            if label == SILENT_LABEL:
                self._silent[source].append(target)
            else:
                self._visible[source].append((automaton.activities[label], target))
        self._index: dict[frozenset[int], int] = {}
        self._moves: list[Mapping[str, AbstractSet[int]]] = []
        self._known: dict[tuple[int, str], int] = {}
        self._number({automaton.initial})

    def allowed(self, subset: int) -> AbstractSet[str]:
        """Return the activities that may come next."""
        return self._moves[subset].keys()

    def after(self, subset: int, activity: str) -> int:
        """Return the set that an allowed activity leads to; KeyError for one that is not."""
        found = self._known.get((subset, activity))
        if found is None:
            found = self._number(self._moves[subset][activity])
            self._known[subset, activity] = found
        return found

    def _number(self, states: Iterable[int]) -> int:
        closed = self._closed(states)
        number = self._index.setdefault(closed, len(self._moves))
        if number == len(self._moves):
            moves: dict[str, set[int]] = defaultdict(set)
            for state in closed:
                for activity, target in self._visible[state]:
                    moves[activity].add(target)
            self._moves.append(dict(moves))
        return number

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        """Add what silent moves reach."""
        todo = list(states)
        seen = set(todo)
        while todo:
            new = [state for state in self._silent[todo.pop()] if state not in seen]
            seen.update(new)
            todo += new
        return frozenset(seen)
