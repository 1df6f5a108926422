"""Where do the elements of a BPMN model without a drawing of its own go?

From left to right, flows along rows and columns (see `layout`). For models that are block
structured `process_mining.model.block_layout` draws better, and needs no search.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from csi.report.drawings import layout
from process_mining.model import Diagram

if TYPE_CHECKING:
    from csi.report.drawings.layout import Outline
    from process_mining.model import Edge, Shape

    Point = tuple[float, float]

MARGIN: Final = 60.0


def laid_out(diagram: Diagram) -> Diagram:
    """Return the diagram with coordinates; it has one start event.

    Raises RunError CY911 where Graphviz fails.
    """
    place = {shape.id: i for i, shape in enumerate(diagram.shapes)}
    first = next(i for i, s in enumerate(diagram.shapes) if s.kind == "startEvent")
    last = next(i for i, s in enumerate(diagram.shapes) if s.kind == "endEvent")
    boxes = [layout.Box(s.width, s.height, _outline(s)) for s in diagram.shapes]
    arcs = [layout.Arc(place[edge.source], place[edge.target]) for edge in diagram.edges]
    found = layout.arranged(boxes, arcs, first=first, last=last, sideways=True)
    return Diagram(
        shapes=tuple(map(_at, diagram.shapes, found.nodes)),
        edges=tuple(map(_through, diagram.edges, found.edges, found.tips)),
    )


def _outline(shape: Shape) -> Outline:
    if shape.kind.endswith("Gateway"):
        return "diamond"
    return "circle" if shape.kind.endswith("Event") else "box"


def _at(shape: Shape, centre: Point) -> Shape:
    x, y = centre
    return replace(shape, x=x - shape.width / 2 + MARGIN, y=y - shape.height / 2 + MARGIN)


def _through(edge: Edge, corners: tuple[Point, ...], tip: Point) -> Edge:
    """Route an edge; a corner that stands twice is one."""
    points = [(x + MARGIN, y + MARGIN) for x, y in dict.fromkeys((*corners, tip))]
    return replace(edge, waypoints=tuple(points))
