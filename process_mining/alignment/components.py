"""Which places of a net hold one token between them, whatever happens?

`components` finds sets of places that are marked once at the start, and of which every transition
that touches them takes one token and puts back at most one: S-components of the net where there
are such, else parts of one that tokens can leave. Seen on such a set alone, the net is a machine
with a state for each place, and one for "gone" (`machines.py`).

Method: from a place that no set has yet, add for each transition that touches the set one of its
input and one of its output places, going back to the last choice where a transition would take
two. Complexity: at most SEARCH_STEPS steps for each place, each linear in the size of the set.

Source: Desel & Esparza, Free Choice Petri Nets, Cambridge, 1995, ch. 5 (every sound free-choice
net is covered by S-components). Not done: sets of places with more than one token.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from process_mining.model import Net

SEARCH_STEPS = 2_000


def components(net: Net) -> list[tuple[int, ...]]:
    """Return sets of places that never hold two tokens, until no further place can be covered.

    Largest first; places are tried in the net's order, those that no set has yet first.
    """
    covered: set[int] = set()
    found: dict[tuple[int, ...], None] = {}
    touching = _touching(net)
    for place in range(len(net.places)):
        if place not in covered:
            places = _component(net, touching, place, covered)
            if places is not None:
                covered |= places
                found[tuple(sorted(places))] = None
    return sorted(found, key=lambda places: (-len(places), places))


def _touching(net: Net) -> list[list[int]]:
    """Transitions that consume from or produce to each place."""
    touching: list[list[int]] = [[] for _ in net.places]
    for number, transition in enumerate(net.transitions):
        for place in sorted({*transition.consumes, *transition.produces}):
            touching[place].append(number)
    return touching


def _component(
    net: Net, touching: list[list[int]], seed: int, covered: set[int]
) -> set[int] | None:
    """Grow a set from one place, going back to the last choice where it cannot be completed."""
    todo = [_Partial.of(net, touching, [seed])]
    for _ in range(SEARCH_STEPS):
        if not todo:
            return None
        partial = todo.pop()
        if partial is None:
            continue
        choice = partial.open_choice()
        if choice is None:
            marked = sum(net.initial[place] for place in partial.places)
            if marked == 1:
                return partial.places
            continue
        ordered = sorted(choice, key=lambda place: (place in covered, place))
        todo += [partial.with_place(place) for place in reversed(ordered)]
    return None


@dataclass(eq=False)
class _Partial:
    """A set of places on its way to a component: how often each transition takes and gives."""

    net: Net
    touching: list[list[int]]
    places: set[int] = field(default_factory=set)
    takes: Counter[int] = field(default_factory=Counter)
    gives: Counter[int] = field(default_factory=Counter)
    todo: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, net: Net, touching: list[list[int]], places: Iterable[int]) -> _Partial | None:
        partial = cls(net, touching)
        return partial if all(partial._add(place) for place in places) else None

    def with_place(self, place: int) -> _Partial | None:
        """Return a copy with one place more; None where a transition would take or give twice."""
        copy = _Partial(
            self.net,
            self.touching,
            set(self.places),
            Counter(self.takes),
            Counter(self.gives),
            list(self.todo),
        )
        return copy if copy._add(place) else None

    def open_choice(self) -> Sequence[int] | None:
        """Return the places of which one has to join, settling what leaves no choice."""
        while self.todo:
            number = self.todo[-1]
            transition = self.net.transitions[number]
            if not self.takes[number]:
                return sorted(set(transition.consumes))
            if not self.gives[number] and transition.produces:
                return sorted(set(transition.produces))
            self.todo.pop()
        return None

    def _add(self, place: int) -> bool:
        self.places.add(place)
        for number in self.touching[place]:
            transition = self.net.transitions[number]
            self.takes[number] += transition.consumes.count(place)
            self.gives[number] += transition.produces.count(place)
            if self.takes[number] > 1 or self.gives[number] > 1:
                return False
            self.todo.append(number)
        return True
