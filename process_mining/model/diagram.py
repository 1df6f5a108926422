"""Where does each element of a model stand on paper?

The layout of a BPMN file's own diagram (BPMN 2.0, clause 12, Diagram Interchange): coordinates in
its units (pixels in the common tools), x to the right, y down. Drawings only; no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A node, lane or pool: the id, element name (such as `userTask`) and text of what it shows.

    `markers` are what the notation draws inside: an event's trigger (`timer`, `error`, `message`,
    ..., or `multiple`) and `nonInterrupting` on its border, an activity's `loop`, `parallel` or
    `sequential` instances, a sub-process that is `collapsed` or set off by an `event`, a pool or
    lane that stands `vertical`.
    """

    id: str
    kind: str
    name: str
    x: float
    y: float
    width: float
    height: float
    markers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """A flow from node to node, drawn through its waypoints (x, y).

    `kind` is `sequenceFlow` or `messageFlow`; only the former has meaning for the order of work.
    """

    id: str
    source: str
    target: str
    waypoints: tuple[tuple[float, float], ...]
    name: str = ""
    kind: str = "sequenceFlow"


@dataclass(frozen=True)
class Diagram:
    """Shapes and edges in the order of the file; empty when the file has no diagram."""

    shapes: tuple[Shape, ...] = ()
    edges: tuple[Edge, ...] = ()
