"""What is a process tree, and which net has the same runs?

A process tree (van der Aalst, Process Mining, 2016, 3.2.8; Leemans, Fahland & van der Aalst,
Discovering block-structured process models from event logs, 2013) is an activity, a silent step,
or an operator over trees:

    SEQUENCE   the children one after the other
    CHOICE     exactly one child
    PARALLEL   all children, their steps in any interleaving
    LOOP       the first child, then as often as wanted the second child and the first again

`tidy` makes a tree smaller without changing its runs, and puts the children of choices and
parallels in an order of their own: by the rank of their first-ranked activity, silent ones last.
`net_of` gives a workflow net: one source, one sink, sound and free-choice by construction.

Complexity: linear in the tree, sorting aside. Recursive: as deep as the tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from process_mining.model.net import Net, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Operator(StrEnum):
    """How the children of a tree are put together."""

    SEQUENCE = "sequence"
    CHOICE = "choice"
    PARALLEL = "parallel"
    LOOP = "loop"


@dataclass(frozen=True)
class Tree:
    """An activity (`label`), a silent step (no label, no operator), or an operator over children.

    A LOOP has exactly two children, the body and the way back.
    """

    label: str | None = None
    operator: Operator | None = None
    children: tuple[Tree, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether it is a silent step."""
        return self.label is None and self.operator is None

    @property
    def labels(self) -> frozenset[str]:
        """The activities in it."""
        below = frozenset(label for child in self.children for label in child.labels)
        return below if self.label is None else below | {self.label}

    @property
    def may_be_skipped(self) -> bool:
        """Whether it has a run without a step."""
        match self.operator:
            case None:
                return self.silent
            case Operator.CHOICE:
                return any(child.may_be_skipped for child in self.children)
            case Operator.LOOP:
                return self.children[0].may_be_skipped
            case _:
                return all(child.may_be_skipped for child in self.children)


SILENT = Tree()


def tidy(tree: Tree, rank: Mapping[str, int]) -> Tree:
    """Return an equal tree without needless nodes, its children in order of `rank`."""
    children = [tidy(child, rank) for child in tree.children]
    match tree.operator:
        case None:
            return tree
        case Operator.LOOP:
            return _loop(children[0], children[1])
        case Operator.CHOICE:
            return _choice(_ranked(dict.fromkeys(_flat(Operator.CHOICE, children)), rank))
        case Operator.PARALLEL:
            steps = [c for c in _flat(Operator.PARALLEL, children) if not c.silent]
            return _joined(Operator.PARALLEL, _ranked(steps, rank))
        case Operator.SEQUENCE:
            steps = [c for c in _flat(Operator.SEQUENCE, children) if not c.silent]
            return _joined(Operator.SEQUENCE, steps)


def _choice(children: list[Tree]) -> Tree:
    """Join the branches; a silent one says nothing beside one that may be skipped itself."""
    steps = [child for child in children if not child.silent]
    if len(steps) == len(children) or any(child.may_be_skipped for child in steps):
        return _joined(Operator.CHOICE, steps)
    if len(steps) == 1 and _repeats_freely(steps[0]):
        return Tree(operator=Operator.LOOP, children=(SILENT, steps[0].children[0]))
    return _joined(Operator.CHOICE, [*steps, SILENT])


def _loop(body: Tree, back: Tree) -> Tree:
    """Make a loop; one whose body may be skipped at will does its steps on the way back."""
    if back.silent and (body.silent or _repeats_freely(body)):
        return body
    if back.silent and body.operator is Operator.CHOICE and SILENT in body.children:
        steps = [child for child in body.children if not child.silent]
        return Tree(operator=Operator.LOOP, children=(SILENT, _joined(Operator.CHOICE, steps)))
    return Tree(operator=Operator.LOOP, children=(body, back))


def _repeats_freely(tree: Tree) -> bool:
    """Whether doing it again at once is nothing that it does not allow itself."""
    return tree.operator is Operator.LOOP and any(child.silent for child in tree.children)


def _flat(operator: Operator, children: Iterable[Tree]) -> list[Tree]:
    return [
        part
        for child in children
        for part in (child.children if child.operator is operator else (child,))
    ]


def _joined(operator: Operator, children: Sequence[Tree]) -> Tree:
    if not children:
        return SILENT
    return children[0] if len(children) == 1 else Tree(operator=operator, children=tuple(children))


def _ranked(children: Iterable[Tree], rank: Mapping[str, int]) -> list[Tree]:
    return sorted(children, key=lambda c: sorted(rank[label] for label in c.labels) or [len(rank)])


def net_of(tree: Tree) -> Net:
    """Return a workflow net with the runs of the tree; places and transitions in reading order."""
    draft = _Draft()
    source, sink = draft.place(), draft.place()
    draft.add(tree, source, sink)
    n = draft.places
    return Net(
        places=tuple(f"p{i}" for i in range(n)),
        transitions=tuple(draft.transitions),
        initial=tuple(int(i == source) for i in range(n)),
        final=tuple(int(i == sink) for i in range(n)),
    )


@dataclass(eq=False)
class _Draft:
    places: int = 0
    transitions: list[Transition] = field(default_factory=list)

    def place(self) -> int:
        self.places += 1
        return self.places - 1

    def step(self, label: str | None, consumes: Sequence[int], produces: Sequence[int]) -> None:
        name = f"t{len(self.transitions)}"
        element = "" if label is None else f"task '{label}'"
        step = Transition(name, label, tuple(consumes), tuple(produces), element)
        self.transitions.append(step)

    def add(self, tree: Tree, source: int, sink: int) -> None:
        """Put the net of a tree between two places."""
        match tree.operator:
            case None:
                self.step(tree.label, [source], [sink])
            case Operator.SEQUENCE:
                stops = [source, *(self.place() for _ in tree.children[1:]), sink]
                for child, begin, end in zip(tree.children, stops, stops[1:], strict=False):
                    self.add(child, begin, end)
            case Operator.CHOICE:
                for child in tree.children:
                    self.add(child, source, sink)
            case Operator.PARALLEL:
                ends = [(self.place(), self.place()) for _ in tree.children]
                self.step(None, [source], [begin for begin, _ in ends])
                for child, (begin, end) in zip(tree.children, ends, strict=True):
                    self.add(child, begin, end)
                self.step(None, [end for _, end in ends], [sink])
            case Operator.LOOP:
                # its own places, or a choice beside the loop could be taken on the way back
                begin, end = self.place(), self.place()
                self.step(None, [source], [begin])
                self.add(tree.children[0], begin, end)
                self.add(tree.children[1], end, begin)
                self.step(None, [end], [sink])
