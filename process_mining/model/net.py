"""What is a Petri net here, and when may a transition fire?

A marking is a tuple with the number of tokens of each place. A transition consumes from and
produces to places given by index; an index that stands twice is an arc of weight 2. A transition
without a label is silent: it leaves no event in a log.

Source: Murata, Petri Nets: Properties, Analysis and Applications, Proc. IEEE 77(4), 1989.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Collection

Marking = tuple[int, ...]


@dataclass(frozen=True)
class Transition:
    """One transition; `element` is how a message names what it stands for."""

    name: str
    label: str | None
    consumes: tuple[int, ...]
    produces: tuple[int, ...]
    element: str = ""

    @property
    def text(self) -> str:
        """Name the transition for a person."""
        return self.element or f"transition '{self.name}'"


@dataclass(frozen=True)
class Net:
    """Places by name, transitions in a fixed order, one initial and one final marking."""

    places: tuple[str, ...]
    transitions: tuple[Transition, ...]
    initial: Marking
    final: Marking

    def __post_init__(self) -> None:
        """Refuse a net whose indices or markings do not fit its places (MO206)."""
        raise_all([*self._marking_errors(), *self._arc_errors(), *self._name_errors()])

    @property
    def activities(self) -> tuple[str, ...]:
        """The labels, each once, sorted."""
        return tuple(sorted({t.label for t in self.transitions if t.label is not None}))

    def hide(self, activities: Collection[str]) -> Net:
        """Return the net in which the transitions with these labels are silent."""
        hidden = frozenset(activities)
        transitions = tuple(
            replace(t, label=None) if t.label in hidden else t for t in self.transitions
        )
        return replace(self, transitions=transitions)

    def _marking_errors(self) -> list[CodedError]:
        return [
            _bad_net(f"the {which} marking {marking} does not fit {len(self.places)} places")
            for which, marking in (("initial", self.initial), ("final", self.final))
            if len(marking) != len(self.places) or min(marking, default=0) < 0
        ]

    def _arc_errors(self) -> list[CodedError]:
        places = range(len(self.places))
        return [
            _bad_net(f"{t.text} has an arc to place {index}, which does not exist")
            for t in self.transitions
            for index in (*t.consumes, *t.produces)
            if index not in places
        ]

    def _name_errors(self) -> list[CodedError]:
        names = Counter([*self.places, *(t.name for t in self.transitions)])
        return [
            _bad_net(f"the name '{name}' stands for {n} places or transitions")
            for name, n in names.items()
            if n > 1
        ]


def _bad_net(what: str) -> CodedError:
    return CodedError("MO206", what, fix="Correct the net")
