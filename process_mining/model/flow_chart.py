"""Which BPMN elements have the same runs as a net?

A net is written as BPMN where every choice is free: a place with several transitions behind it is
the only place in front of each of them (free-choice nets: Desel & Esparza 1995). Then

    a transition   is its task, with a parallel gateway before it where it joins several places, and
                   one behind it where it splits to several; a silent one has no task
    a place        is an exclusive gateway where several transitions lead to it, and another where
                   several lead away from it; else it is a bare flow

one token on the place that nothing leads to starts the process, the place that nothing leads away
from ends it. In other nets a transition's choice can depend on tokens elsewhere, which BPMN's
gateways cannot say: `obstacle` names the place. The result has sizes but no places on paper yet.

Source: the reverse of Dijkman, Dumas & Ouyang 2008 (see `bpmn.py`); Favre, Fahland & Voelzer, The
relationship between workflow graphs and free-choice workflow nets, Information Systems 47, 2015.
Not checked: soundness. Linear in the arcs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from process_mining.model.block_layout import SIZES
from process_mining.model.diagram import Diagram, Edge, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.model.net import Net, Transition

_WIRE = ""


def obstacle(net: Net) -> str:
    """Say why the net cannot be written as BPMN; "" where it can."""
    sides = [side for t in net.transitions for side in (t.consumes, t.produces)]
    if any(len(set(side)) < len(side) for side in sides):
        return "a transition takes or gives several tokens of one place"
    for place, name in enumerate(net.places):
        leaving = [t for t in net.transitions if place in t.consumes]
        torn = next((t for t in leaving if len(t.consumes) > 1), None)
        if len(leaving) > 1 and torn is not None:
            return f"whether {torn.text} is chosen behind {name} depends on tokens elsewhere"
    into = {place for t in net.transitions for place in t.produces}
    out = {place for t in net.transitions for place in t.consumes}
    ends = [[i for i, n in enumerate(marking) if n] for marking in (net.initial, net.final)]
    if any(len(end) != 1 for end in ends) or sum(net.initial) + sum(net.final) > len(ends):
        return "it does not start and end with one token"
    if ends[0][0] in into or ends[1][0] in out:
        return "something leads to its start or away from its end"
    return ""


def chart_of(net: Net) -> Diagram:
    """Return the elements and flows of a net without `obstacle`; all at the origin, unrouted."""
    draft = _Draft()
    start, end = net.initial.index(1), net.final.index(1)
    gates = [draft.place(net, place, start, end) for place in range(len(net.places))]
    for transition in net.transitions:
        draft.transition(transition, gates)
    return draft.contracted()


@dataclass(eq=False)
class _Draft:
    """Nodes as (kind, name), flows as pairs of nodes; a wire has one flow in and one out."""

    nodes: list[tuple[str, str]] = field(default_factory=list)
    flows: list[tuple[int, int]] = field(default_factory=list)

    def node(self, kind: str, name: str = "") -> int:
        self.nodes.append((kind, name))
        return len(self.nodes) - 1

    def place(self, net: Net, place: int, start: int, end: int) -> tuple[int, int]:
        """Add a place; its first and its last node."""
        n_in = sum(place in t.produces for t in net.transitions)
        n_out = sum(place in t.consumes for t in net.transitions)
        first = self.node("exclusiveGateway" if n_in > 1 else _WIRE)
        last = first
        if n_out > 1:
            last = self.node("exclusiveGateway")
            self.flows.append((first, last))
        if place == start:
            self.flows.append((self.node("startEvent"), first))
        if place == end:
            self.flows.append((last, self.node("endEvent")))
        return first, last

    def transition(self, transition: Transition, gates: Sequence[tuple[int, int]]) -> None:
        """Add a transition between its places, given by their first and last nodes."""
        label, ins, outs = transition.label, transition.consumes, transition.produces
        chain = [self.node("parallelGateway" if len(ins) > 1 else _WIRE)]
        chain += [self.node("task", label)] if label is not None else []
        chain += [self.node("parallelGateway")] if len(outs) > 1 else []
        self.flows += [(gates[place][1], chain[0]) for place in ins]
        self.flows += list(pairwise(chain))
        self.flows += [(chain[-1], gates[place][0]) for place in outs]

    def contracted(self) -> Diagram:
        """Let flows run through wires."""
        behind = dict(self.flows)
        kept = [i for i, (kind, _) in enumerate(self.nodes) if kind != _WIRE]
        ids = {node: f"e{number}" for number, node in enumerate(kept)}
        edges = []
        for source, target in self.flows:
            if source in ids:
                while target not in ids:
                    target = behind[target]  # noqa: PLW2901 - the end of the wire
                edges.append((ids[source], ids[target]))
        return Diagram(
            shapes=tuple(
                Shape(ids[i], kind, name, 0.0, 0.0, *SIZES[kind])
                for i, (kind, name) in enumerate(self.nodes)
                if i in ids
            ),
            edges=tuple(Edge(f"f{n}", a, b, ()) for n, (a, b) in enumerate(edges)),
        )
