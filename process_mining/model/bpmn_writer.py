"""How does a drawn process become a BPMN 2.0 file that any editor opens?

`write_bpmn` writes one process from a `Diagram`: every shape becomes an element of its kind (one
start event and end events without trigger, tasks, exclusive and parallel gateways), every edge a
sequence flow, and the layout is written with it (BPMN DI). Our own reader reads it back with the
same runs. The bytes depend on the diagram and the name alone.

Names come from logs and are data. XML cannot hold some characters, and readers collapse white
space: `spelled` says how each activity is written, so that different activities stay different. A
character that XML forbids becomes U+FFFD, white space one space; an empty name becomes "(blank)";
a name that is taken by then gets a number.

Clause numbers are of OMG formal/2013-12-09: 15.3.2 (file), 12 (Diagram Interchange). Not written:
lanes, pools, conditions, labels' own positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import quoteattr

from process_mining.model.bpmn import BPMN, BPMNDI, DC, DI

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from process_mining.model.diagram import Diagram, Edge, Shape

TARGET: Final = "urn:trueloop:discovered"
PROCESS: Final = "process"
EXCLUSIVE: Final = "exclusiveGateway"
BLANK: Final = "(blank)"
_CONTROLS: Final = 0x20
_SURROGATES: Final = range(0xD800, 0xE000)
_NONCHARACTERS: Final = (0xFFFE, 0xFFFF)


def write_bpmn(diagram: Diagram, *, name: str) -> bytes:
    """Return the file; `name` is the process's."""
    spelling = spelled(shape.name for shape in diagram.shapes if shape.name or _is_task(shape))
    nodes = [_node(shape, spelling) for shape in diagram.shapes]
    flows = [_flow(edge) for edge in diagram.edges]
    spaces = f'xmlns="{BPMN}" xmlns:bpmndi="{BPMNDI}" xmlns:dc="{DC}" xmlns:di="{DI}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<definitions {spaces} id="definitions" targetNamespace="{TARGET}">',
        f'  <process id="{PROCESS}" name={_quoted(name)} isExecutable="false">',
        *nodes,
        *flows,
        "  </process>",
        '  <bpmndi:BPMNDiagram id="diagram">',
        f'    <bpmndi:BPMNPlane id="plane" bpmnElement="{PROCESS}">',
        *map(_placed, diagram.shapes),
        *map(_routed, diagram.edges),
        "    </bpmndi:BPMNPlane>",
        "  </bpmndi:BPMNDiagram>",
        "</definitions>",
    ]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def spelled(activities: Iterable[str]) -> dict[str, str]:
    """Return how each activity is written: names of one line, each its own."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    names = sorted(set(activities))
    # names that can stay as they are keep themselves; only the others give way
    for activity in sorted(names, key=lambda one: (_one_line(one) != one, one)):
        plain = _one_line(activity) or BLANK
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain} ({number})", number + 1
        found[activity] = name
        taken.add(name)
    return found


def _one_line(text: str) -> str:
    return " ".join("".join(map(_allowed, text)).split())


def _allowed(char: str) -> str:
    code = ord(char)
    if char.isspace():
        return " "
    forbidden = code < _CONTROLS or code in _SURROGATES or code in _NONCHARACTERS
    return "\N{REPLACEMENT CHARACTER}" if forbidden else char


def _is_task(shape: Shape) -> bool:
    return shape.kind.lower().endswith("task")


def _quoted(text: str) -> str:
    return quoteattr(_one_line(text))


def _node(shape: Shape, spelling: Mapping[str, str]) -> str:
    name = spelling.get(shape.name, "") if _is_task(shape) else _one_line(shape.name)
    named = f" name={quoteattr(name)}" if name else ""
    return f"    <{shape.kind} id={_quoted(shape.id)}{named}/>"


def _flow(edge: Edge) -> str:
    named = f" name={_quoted(edge.name)}" if edge.name else ""
    ends = f"sourceRef={_quoted(edge.source)} targetRef={_quoted(edge.target)}"
    return f"    <sequenceFlow id={_quoted(edge.id)}{named} {ends}/>"


def _placed(shape: Shape) -> str:
    marker = ' isMarkerVisible="true"' if shape.kind == EXCLUSIVE else ""
    place = f'x="{_number(shape.x)}" y="{_number(shape.y)}"'
    size = f'width="{_number(shape.width)}" height="{_number(shape.height)}"'
    return (
        f"      <bpmndi:BPMNShape id={_quoted(f'{shape.id}_di')} "
        f"bpmnElement={_quoted(shape.id)}{marker}><dc:Bounds {place} {size}/></bpmndi:BPMNShape>"
    )


def _routed(edge: Edge) -> str:
    points = "".join(f'<di:waypoint x="{_number(x)}" y="{_number(y)}"/>' for x, y in edge.waypoints)
    ids = f"id={_quoted(f'{edge.id}_di')} bpmnElement={_quoted(edge.id)}"
    return f"      <bpmndi:BPMNEdge {ids}>{points}</bpmndi:BPMNEdge>"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
