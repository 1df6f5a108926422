"""Which process does a BPMN 2.0 file describe?

Read: one process with one none start event, none end events, tasks of every type, exclusive and
parallel gateways, sequence flows. Without meaning for the order of work, and so passed over:
documentation, extensionElements, lanes, incoming and outgoing (the flows' own ends count),
conditions on the flows out of an exclusive gateway (data is not modelled: every way may be taken).
The first diagram is read for drawing. Every other element is refused by name and place: leaving
it out would change which runs the model allows.

Translation to a Petri net (`to_net`), after Dijkman, Dumas & Ouyang, Semantics and analysis of
business process models in BPMN, Information and Software Technology 50(12), 2008:

    sequence flow        a place
    start event          the initial tokens: one on each flow out of it
    task                 a transition with its name as label, one for each flow into it (several
                         flows in: each token starts the task), producing on every flow out of it
    exclusive gateway    a silent transition for each pair of a flow in and a flow out
    parallel gateway     one silent transition from all flows in to all flows out
    end event            a silent transition that consumes, one for each flow into it

The final marking is the empty one: a run is over when no token is left (BPMN 2.0.2, 13.5.6).
Departures from the paper: it has places for start and end; here neither needs one.
Clause numbers are of OMG formal/2013-12-09.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from process_mining.errors import CodedError, raise_all
from process_mining.model.diagram import Diagram, Edge, Shape
from process_mining.model.net import Net, Transition
from process_mining.model.xml import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from process_mining.model.xml import Element

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
BPMNDI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DI = "http://www.omg.org/spec/DD/20100524/DI"

START, END, EXCLUSIVE, PARALLEL = "startEvent", "endEvent", "exclusiveGateway", "parallelGateway"
TASKS = (
    "task",
    "userTask",
    "serviceTask",
    "manualTask",
    "sendTask",
    "receiveTask",
    "businessRuleTask",
    "scriptTask",
)
NODES = (START, END, *TASKS, EXCLUSIVE, PARALLEL)
FLOW = "sequenceFlow"
_INERT = ("documentation", "extensionElements", "incoming", "outgoing")
_SUPPORTED = (
    "Supported: one start event and end events without trigger, tasks of every type, exclusive and "
    "parallel gateways, sequence flows; lanes and documentation are passed over"
)
# Attributes that change the meaning of a node, with the one value that does not.
_PLAIN = {
    "isForCompensation": "false",
    "startQuantity": "1",
    "completionQuantity": "1",
    "instantiate": "false",
}
_WHY = "Leaving it out would change which runs the model allows"


@dataclass(frozen=True)
class Node:
    """An event, task or gateway."""

    id: str
    kind: str
    name: str
    line: int

    @property
    def text(self) -> str:
        """Name the node for a person."""
        return f"{self.kind} '{self.name}' ({self.id})" if self.name else f"{self.kind} '{self.id}'"


@dataclass(frozen=True)
class Flow:
    """A sequence flow between two nodes; `conditional` when it carries a condition."""

    id: str
    source: str
    target: str
    name: str
    line: int
    conditional: bool


@dataclass(frozen=True)
class Process:
    """What the file describes, checked: ids are unique and every flow joins two nodes."""

    id: str
    name: str
    version: str
    nodes: Mapping[str, Node]
    flows: tuple[Flow, ...]
    diagram: Diagram

    def incoming(self, node: str) -> list[int]:
        """Return the indices of the flows into a node."""
        return [i for i, flow in enumerate(self.flows) if flow.target == node]

    def outgoing(self, node: str) -> list[int]:
        """Return the indices of the flows out of a node."""
        return [i for i, flow in enumerate(self.flows) if flow.source == node]


@dataclass(eq=False)
class _Draft:
    """What was collected so far: elements by kind, and every mistake."""

    place: str
    nodes: dict[str, Node] = field(default_factory=dict)
    lanes: dict[str, str] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    errors: list[CodedError] = field(default_factory=list)

    def at(self, line: int) -> str:
        return f"{self.place}, line {line}"

    def error(self, code: str, what: str, *, why: str = "", fix: str = "") -> None:
        self.errors.append(CodedError(code, what, why=why, fix=fix))


def read_process(data: bytes, *, place: str) -> Process:
    """Read and check one process; `place` names the file in errors."""
    root = parse(data, place=place)
    element = _only_process(root, place)
    draft = _Draft(place)
    _collect(draft, root, element)
    _check_references(draft)
    raise_all(draft.errors)
    diagram = _diagram(draft, root, element.get("id"))
    process = Process(
        id=element.get("id"),
        name=element.get("name") or root.get("name") or element.get("id"),
        version=_version(element),
        nodes=draft.nodes,
        flows=tuple(draft.flows),
        diagram=diagram,
    )
    _check_structure(draft, process)
    raise_all(draft.errors)
    return process


def to_net(process: Process) -> Net:
    """Translate a process to a Petri net; nodes in the order of the file."""
    transitions = [t for node in process.nodes.values() for t in _transitions(process, node)]
    start = next(node for node in process.nodes.values() if node.kind == START)
    first = process.outgoing(start.id)
    n_flows = len(process.flows)
    return Net(
        places=tuple(_flow_text(process, flow) for flow in process.flows),
        transitions=tuple(transitions),
        initial=tuple(int(i in first) for i in range(n_flows)),
        final=(0,) * n_flows,
    )


def _transitions(process: Process, node: Node) -> list[Transition]:
    """Translate one node by the table at the head of this module."""
    ins, outs = tuple(process.incoming(node.id)), tuple(process.outgoing(node.id))
    if node.kind == START:
        return []
    if node.kind == PARALLEL:
        return [Transition(node.id, None, ins, outs, node.text)]
    ways = [(o,) for o in outs] if node.kind == EXCLUSIVE else [outs]
    arcs = [((i,), way) for i in ins for way in ways]
    label = node.name if node.kind in TASKS else None
    single = len(arcs) == 1
    return [
        Transition(node.id if single else f"{node.id}#{n}", label, *arc, node.text)
        for n, arc in enumerate(arcs)
    ]


def _flow_text(process: Process, flow: Flow) -> str:
    source, target = process.nodes[flow.source].text, process.nodes[flow.target].text
    return f"flow '{flow.id}' from {source} to {target}"


def _only_process(root: Element, place: str) -> Element:
    if (root.namespace, root.tag) != (BPMN, "definitions"):
        raise CodedError(
            "MO104",
            f"{place} is not BPMN 2.0: it begins with <{root.tag}> in '{root.namespace}'",
            fix=f"Export it as BPMN 2.0 XML, which begins with <definitions> in '{BPMN}'",
        )
    found = list(root.named(BPMN, "process"))
    if len(found) != 1:
        raise CodedError(
            "MO109",
            f"{place} holds {len(found)} processes; a reference model is one",
            fix="Save each process in a file of its own",
        )
    return found[0]


def _version(process: Element) -> str:
    """Return the `versionTag` that modelling tools put on a process, in whichever namespace."""
    tags = (
        v for k, v in sorted(process.attributes.items()) if k.rpartition("}")[2] == "versionTag"
    )
    return next(tags, "")


def _collect(draft: _Draft, root: Element, process: Element) -> None:
    _register(draft, process)
    for child in root.children:
        layout = (child.namespace, child.tag) == (BPMNDI, "BPMNDiagram")
        if child is process:
            _collect_process(draft, process)
        elif not layout:
            _inert_or_refuse(draft, child)


def _collect_process(draft: _Draft, process: Element) -> None:
    for child in process.children:
        if child.namespace == BPMN and child.tag in NODES:
            _collect_node(draft, child)
        elif child.namespace == BPMN and child.tag == FLOW:
            _collect_flow(draft, child)
        elif child.namespace == BPMN and child.tag == "laneSet":
            _collect_lanes(draft, child)
        else:
            _inert_or_refuse(draft, child)


def _collect_node(draft: _Draft, element: Element) -> None:
    node = Node(element.get("id"), element.tag, element.get("name"), element.line)
    if _register(draft, element):
        draft.nodes[node.id] = node
    if node.kind in TASKS and not node.name:
        draft.error(
            "MO114",
            f"{draft.at(node.line)}: {node.text} has no name",
            why="The name is the activity that the log is compared with",
            fix="Name it as the log (or the practice's vocabulary) spells the activity",
        )
    for name, plain in _PLAIN.items():
        if element.get(name) not in ("", plain):
            _refuse(draft, element, f"with {name}='{element.get(name)}' ")
    for child in element.children:
        _inert_or_refuse(draft, child)


def _collect_flow(draft: _Draft, element: Element) -> None:
    conditional = any(element.named(BPMN, "conditionExpression"))
    if _register(draft, element):
        draft.flows.append(
            Flow(
                id=element.get("id"),
                source=element.get("sourceRef"),
                target=element.get("targetRef"),
                name=element.get("name"),
                line=element.line,
                conditional=conditional,
            )
        )
    for child in element.children:
        if (child.namespace, child.tag) != (BPMN, "conditionExpression"):
            _inert_or_refuse(draft, child)


def _collect_lanes(draft: _Draft, lane_set: Element) -> None:
    """Keep the lanes' names for drawing; lanes may hold lane sets themselves."""
    todo = [lane_set]
    while todo:
        element = todo.pop()
        todo.extend(reversed(element.children))
        if (element.namespace, element.tag) == (BPMN, "lane") and _register(draft, element):
            draft.lanes[element.get("id")] = element.get("name")


def _register(draft: _Draft, element: Element) -> bool:
    """Note an element's id; false (and an error) when it has none or one that is taken."""
    name = element.get("id")
    taken = draft.lines.get(name)
    if name and taken is None:
        draft.lines[name] = element.line
        return True
    fault = f"has the id of line {taken}" if name else "has no id"
    draft.error(
        "MO107",
        f"{draft.at(element.line)}: {_tag(element)} {fault}",
        why="Flows name their ends by id",
        fix="Give it an id of its own",
    )
    return False


def _inert_or_refuse(draft: _Draft, element: Element) -> None:
    if element.namespace != BPMN or element.tag not in _INERT:
        _refuse(draft, element)


def _refuse(draft: _Draft, element: Element, detail: str = "") -> None:
    draft.refused.add(element.get("id"))
    what = f"{draft.at(element.line)}: {_tag(element)} {detail}is not supported"
    draft.error("MO105", what, why=_WHY, fix=_SUPPORTED)


def _tag(element: Element) -> str:
    shown = [f"{key}='{element.get(key)}'" for key in ("id", "name") if element.get(key)]
    return f"<{' '.join([element.tag, *shown])}>"


def _check_references(draft: _Draft) -> None:
    """Every flow must join two nodes; a condition is only plain behind an exclusive gateway."""
    known = draft.nodes.keys() | draft.refused
    for flow in draft.flows:
        for end, node in (("sourceRef", flow.source), ("targetRef", flow.target)):
            if node not in known:
                draft.error(
                    "MO108",
                    f"{draft.at(flow.line)}: flow '{flow.id}' has {end}='{node}', no such node",
                    fix="Connect the flow to an event, task or gateway, or delete it",
                )
        source = draft.nodes.get(flow.source)
        if flow.conditional and source is not None and source.kind != EXCLUSIVE:
            draft.error(
                "MO106",
                f"{draft.at(flow.line)}: conditional flow '{flow.id}' out of {source.text}",
                why="It would make an inclusive split, which is not supported",
                fix="Put an exclusive gateway there, and the condition on a flow out of it",
            )


def _check_structure(draft: _Draft, process: Process) -> None:
    """One start, an end, and every node on a way from the start to an end."""
    kinds = Counter(node.kind for node in process.nodes.values())
    if kinds[START] != 1:
        draft.error(
            "MO110",
            f"{draft.place} has {kinds[START]} start events",
            fix="Draw exactly one, with an exclusive gateway behind it where ways begin apart",
        )
    if not kinds[END]:
        draft.error("MO111", f"{draft.place} has no end event", fix="End every way in an end event")
    _check_ends(draft, process)
    if not draft.errors:
        _check_ways(draft, process)


def _check_ends(draft: _Draft, process: Process) -> None:
    into = Counter(flow.target for flow in process.flows)
    out = Counter(flow.source for flow in process.flows)
    for node in process.nodes.values():
        for counts, which, forbidden in ((into, "into", START), (out, "out of", END)):
            if bool(counts[node.id]) == (node.kind == forbidden):
                fault = f"a flow {which}" if node.kind == forbidden else f"no flow {which}"
                draft.error(
                    "MO112",
                    f"{draft.at(node.line)}: there is {fault} {node.text}",
                    fix="A start event only has flows out of it, an end event only into it, "
                    "every other node has both",
                )


def _check_ways(draft: _Draft, process: Process) -> None:
    forward, backward = defaultdict(list), defaultdict(list)
    for flow in process.flows:
        forward[flow.source].append(flow.target)
        backward[flow.target].append(flow.source)
    nodes = process.nodes.values()
    begun = _reach((n.id for n in nodes if n.kind == START), forward)
    ended = _reach((n.id for n in nodes if n.kind == END), backward)
    for node in nodes:
        for reached, fault in ((begun, "from the start event"), (ended, "on the way to an end")):
            if node.id not in reached:
                draft.error(
                    "MO113",
                    f"{draft.at(node.line)}: {node.text} does not lie {fault}",
                    fix="Connect it by sequence flows, or delete it",
                )


def _reach(starts: Iterable[str], arcs: Mapping[str, Sequence[str]]) -> set[str]:
    todo = list(starts)
    seen = set(todo)
    while todo:
        new = [node for node in arcs.get(todo.pop(), ()) if node not in seen]
        seen.update(new)
        todo.extend(new)
    return seen


def _diagram(draft: _Draft, root: Element, process: str) -> Diagram:
    plane = next(
        (p for d in root.named(BPMNDI, "BPMNDiagram") for p in d.named(BPMNDI, "BPMNPlane")), None
    )
    if plane is None:
        return Diagram()
    flows = {flow.id: flow for flow in draft.flows}
    shapes = [_shape(draft, element) for element in plane.named(BPMNDI, "BPMNShape")]
    edges = [_edge(draft, element, flows) for element in plane.named(BPMNDI, "BPMNEdge")]
    if plane.get("bpmnElement") not in ("", process):
        _bad_layout(draft, plane, f"no process has the id '{plane.get('bpmnElement')}'")
    return Diagram(
        shapes=tuple(shape for shape in shapes if shape),
        edges=tuple(edge for edge in edges if edge),
    )


def _shape(draft: _Draft, element: Element) -> Shape | None:
    shown = element.get("bpmnElement")
    node = draft.nodes.get(shown)
    if node is None and shown not in draft.lanes:
        _bad_layout(draft, element, f"no node or lane has the id '{shown}'")
        return None
    bounds = next(element.named(DC, "Bounds"), None)
    if bounds is None:
        _bad_layout(draft, element, "it has no Bounds")
        return None
    x, y, width, height = (_number(draft, bounds, k) for k in ("x", "y", "width", "height"))
    kind, name = (node.kind, node.name) if node else ("lane", draft.lanes[shown])
    return Shape(shown, kind, name, x, y, width, height)


def _edge(draft: _Draft, element: Element, flows: Mapping[str, Flow]) -> Edge | None:
    flow = flows.get(element.get("bpmnElement"))
    if flow is None:
        _bad_layout(draft, element, f"no flow has the id '{element.get('bpmnElement')}'")
        return None
    points = tuple(
        (_number(draft, point, "x"), _number(draft, point, "y"))
        for point in element.named(DI, "waypoint")
    )
    return Edge(flow.id, flow.source, flow.target, points, flow.name)


def _number(draft: _Draft, element: Element, key: str) -> float:
    try:
        value = float(element.get(key))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        _bad_layout(draft, element, f"{key}='{element.get(key)}' is no number")
    return value


def _bad_layout(draft: _Draft, element: Element, fault: str) -> None:
    draft.error(
        "MO115",
        f"{draft.at(element.line)}: the diagram's <{element.tag}> cannot be drawn: {fault}",
        fix="Save the file again from a modelling tool, or delete the diagram",
    )
