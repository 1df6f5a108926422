"""How is a BPMN process drawn in its own file?

The first diagram whose plane shows the process (or its collaboration, or any of its nodes) is
read: the nodes of the process and of the sub-processes drawn open in it, its lanes, the pools and
what they are told by messages. Left out: data, notes and groups, and the nodes and lanes of other
processes, so that a name stands for one activity. A shape or edge that names nothing in the file,
or that has no place, is an error (MO115).

Source: BPMN 2.0.2, clause 12.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from process_mining.errors import CodedError, raise_all
from process_mining.model.bpmn import BPMN, BPMNDI, DC, DI, FLOW, SUB_PROCESSES
from process_mining.model.diagram import Diagram, Edge, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_mining.model.bpmn import Flow, Node, Process
    from process_mining.model.xml import Element

LANE, POOL, MESSAGE_FLOW = "lane", "participant", "messageFlow"


def read_diagram(process: Process) -> Diagram:
    """Return the drawing; empty when the file has none of this process."""
    drawing = _Drawing(process)
    plane = next(filter(drawing.shows, drawing.planes()), None)
    if plane is None:
        return Diagram()
    drawing.drawn = {_local(e.get("bpmnElement")) for e in plane.named(BPMNDI, "BPMNShape")}
    shapes = [drawing.shape(element) for element in plane.named(BPMNDI, "BPMNShape")]
    edges = [drawing.edge(element) for element in plane.named(BPMNDI, "BPMNEdge")]
    raise_all(drawing.errors)
    return Diagram(
        shapes=tuple(shape for shape in shapes if shape),
        edges=tuple(edge for edge in edges if edge),
    )


@dataclass(eq=False)
class _Drawing:
    """What may be drawn, by id, what the plane shows of it, and every mistake."""

    process: Process
    elements: dict[str, Element] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    errors: list[CodedError] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Index the whole file: a shape may show anything in it."""
        todo = [self.process.root]
        while todo:
            element = todo.pop()
            todo += element.children
            if element.namespace == BPMN:
                self.elements[element.get("id")] = element
        for scope in self.process.scopes:
            self.nodes |= scope.nodes
            self.flows |= {flow.id: flow for flow in scope.flows}

    def planes(self) -> Iterator[Element]:
        """Yield the planes of the file."""
        for diagram in self.process.root.named(BPMNDI, "BPMNDiagram"):
            yield from diagram.named(BPMNDI, "BPMNPlane")

    def shows(self, plane: Element) -> bool:
        """Whether a plane shows the process as a whole."""
        shown = plane.get("bpmnElement")
        if shown and _local(shown) not in self.elements:
            self.bad(plane, f"nothing has the id '{shown}'")
        top = self.process.scope.nodes
        return _local(shown) == self.process.id or any(
            _local(shape.get("bpmnElement")) in top for shape in plane.named(BPMNDI, "BPMNShape")
        )

    def shape(self, element: Element) -> Shape | None:
        """Return what is drawn; None for what is left out."""
        shown = self.shown(element)
        if shown is None:
            return None
        name = shown.get("id")
        node = self.nodes.get(name)
        if node is None and shown.tag != POOL and name not in self.process.lanes:
            return None
        bounds = next(element.named(DC, "Bounds"), None)
        if bounds is None:
            self.bad(element, "it has no Bounds")
            return None
        x, y, width, height = (self.number(bounds, k) for k in ("x", "y", "width", "height"))
        upright = ("vertical",) if element.get("isHorizontal") == "false" else ()
        markers = upright if node is None else tuple(self.markers(node, element))
        return Shape(name, shown.tag, shown.get("name"), x, y, width, height, markers)

    def edge(self, element: Element) -> Edge | None:
        """Return a sequence or message flow; None for what is left out."""
        shown = self.shown(element)
        if shown is None or shown.tag not in {FLOW, MESSAGE_FLOW}:
            return None
        name, source, target = (shown.get(k) for k in ("id", "sourceRef", "targetRef"))
        source, target = _local(source), _local(target)
        ends = {source, target}
        pools = {end for end in ends if end in self.elements and self.elements[end].tag == POOL}
        if name not in self.flows and (shown.tag == FLOW or not ends & (self.nodes.keys() | pools)):
            return None
        points = tuple(
            (self.number(point, "x"), self.number(point, "y"))
            for point in element.named(DI, "waypoint")
        )
        return Edge(name, source, target, points, shown.get("name"), shown.tag)

    def shown(self, element: Element) -> Element | None:
        """Return what a shape or edge shows; MO115 when there is no such thing."""
        name = _local(element.get("bpmnElement"))
        if name not in self.elements:
            self.bad(element, f"nothing in the file has the id '{name}'")
        return self.elements.get(name)

    def markers(self, node: Node, element: Element) -> Iterator[str]:
        """Yield what the notation draws inside a shape (see `diagram.Shape`)."""
        kinds = list(dict.fromkeys(trigger.kind for trigger in node.triggers))
        yield from kinds if len(kinds) < 2 else ["multiple"]  # noqa: PLR2004 - one sign or several
        if not node.interrupting:
            yield "nonInterrupting"
        if node.repeat is not None:
            yield node.repeat.marker
        if node.by_event:
            yield "event"
        if node.kind in SUB_PROCESSES and self.is_closed(node, element):
            yield "collapsed"

    def is_closed(self, node: Node, element: Element) -> bool:
        """Whether a sub-process hides its inside: as it says, else as its inside is drawn."""
        said = element.get("isExpanded")
        inside = node.body.nodes.keys() if node.body else ()
        return said == "false" or not (said or self.drawn.intersection(inside))

    def number(self, element: Element, key: str) -> float:
        """Return a coordinate; MO115 when it is none."""
        try:
            value = float(element.get(key))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.bad(element, f"{key}='{element.get(key)}' is no number")
        return value

    def bad(self, element: Element, fault: str) -> None:
        """Note a mistake."""
        self.errors.append(
            CodedError(
                "MO115",
                f"{self.process.place}, line {element.line}: the diagram's <{element.tag}> cannot "
                f"be drawn: {fault}",
                fix="Save the file again from a modelling tool, or delete the diagram",
            )
        )


def _local(name: str) -> str:
    return name.rpartition(":")[2]
