"""What is a BPMN 2.0 process here: which nodes, joined by which flows?

A `Process` is a `Scope` of nodes and sequence flows; sub-processes and expanded calls are scopes
within nodes. Constants are the names of BPMN 2.0.2 (OMG formal/2013-12-09). `bpmn_reader.py` reads
them from a file, `bpmn_checks.py` looks at their shape, `bpmn_net.py` says what they mean for the
order of work, `bpmn_diagram.py` how they are drawn.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from process_mining.model.xml import Element

BPMN: Final = "http://www.omg.org/spec/BPMN/20100524/MODEL"
BPMNDI: Final = "http://www.omg.org/spec/BPMN/20100524/DI"
DC: Final = "http://www.omg.org/spec/DD/20100524/DC"
DI: Final = "http://www.omg.org/spec/DD/20100524/DI"

START, END, BOUNDARY = "startEvent", "endEvent", "boundaryEvent"
CATCH, THROW = "intermediateCatchEvent", "intermediateThrowEvent"
EVENTS: Final = (START, END, CATCH, THROW, BOUNDARY)
EXCLUSIVE, PARALLEL, INCLUSIVE = "exclusiveGateway", "parallelGateway", "inclusiveGateway"
EVENT_BASED = "eventBasedGateway"
GATEWAYS: Final = (EXCLUSIVE, PARALLEL, INCLUSIVE, EVENT_BASED)
CALL = "callActivity"
TASKS: Final = (
    "task",
    "userTask",
    "serviceTask",
    "manualTask",
    "sendTask",
    "receiveTask",
    "businessRuleTask",
    "scriptTask",
)
SUB_PROCESSES: Final = ("subProcess", "transaction")
ACTIVITIES: Final = (*TASKS, CALL, *SUB_PROCESSES)
NODES: Final = (*EVENTS, *GATEWAYS, *ACTIVITIES)
FLOW: Final = "sequenceFlow"
ENDING: Final = ("error", "cancel")
THROWN: Final = (*ENDING, "escalation")
CYCLE: Final = "cycle"


@dataclass(frozen=True)
class Trigger:
    """What sets an event off.

    `ref` is the code of an error or escalation, the name of a link, CYCLE for a repeating timer.
    """

    kind: str
    ref: str = ""

    def catches(self, thrown: Trigger) -> bool:
        """Whether an event with this trigger catches what was thrown; without a code, any."""
        return self.kind == thrown.kind and self.ref in {"", thrown.ref}


@dataclass(frozen=True)
class Repeat:
    """How often an activity is done; `at_most` None: no limit, `parallel`: instances overlap.

    `early`: the instances may be called off once one is complete.
    """

    at_least: int
    at_most: int | None
    parallel: bool = False
    early: bool = False
    marker: str = "loop"


@dataclass(frozen=True)
class Node:
    """An event, activity or gateway.

    `host` is the activity that a boundary event stands on; `interrupting` is said of boundary
    events and of start events of event sub-processes. `body` is what an activity consists of, None
    for one that leaves an event. `instantiates`: a process may begin with it.
    """

    id: str
    kind: str
    name: str
    line: int
    triggers: tuple[Trigger, ...] = ()
    host: str = ""
    interrupting: bool = True
    default: str = ""
    repeat: Repeat | None = None
    body: Scope | None = None
    by_event: bool = False
    instantiates: bool = False

    @property
    def text(self) -> str:
        """Name the node for a person."""
        return f"{self.kind} '{self.name}' ({self.id})" if self.name else f"{self.kind} '{self.id}'"

    @property
    def is_activity(self) -> bool:
        """Whether it is a task, sub-process or call activity."""
        return self.kind in ACTIVITIES

    def has(self, *kinds: str) -> bool:
        """Whether one of its triggers is of these kinds."""
        return any(trigger.kind in kinds for trigger in self.triggers)


@dataclass(frozen=True)
class Flow:
    """A sequence flow between two nodes; `conditional` when it carries a condition."""

    id: str
    source: str
    target: str
    name: str
    line: int
    conditional: bool


@dataclass(frozen=True, eq=False)
class Scope:
    """A process or the inside of a sub-process: every flow joins two of its nodes."""

    id: str
    text: str
    line: int
    nodes: Mapping[str, Node]
    flows: tuple[Flow, ...]

    @cached_property
    def incoming(self) -> Mapping[str, tuple[int, ...]]:
        """The indices of the flows into each node."""
        return self._ends(flow.target for flow in self.flows)

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[int, ...]]:
        """The indices of the flows out of each node."""
        return self._ends(flow.source for flow in self.flows)

    @cached_property
    def starters(self) -> tuple[Node, ...]:
        """The nodes of which one begins the scope; none where it begins at all loose ends."""
        return tuple(
            node
            for node in self.nodes.values()
            if node.kind == START or (node.instantiates and not self.incoming[node.id])
        )

    @cached_property
    def loose(self) -> tuple[Node, ...]:
        """The nodes that wait for a flow into them and have none."""
        starters = {node.id for node in self.starters}
        return tuple(
            node
            for node in self.nodes.values()
            if not self.incoming[node.id]
            and node.id not in starters
            and not (node.kind == BOUNDARY or node.by_event or catches_link(node))
        )

    @cached_property
    def event_scopes(self) -> tuple[Node, ...]:
        """The event sub-processes."""
        return tuple(node for node in self.nodes.values() if node.by_event)

    @cached_property
    def boundary(self) -> Mapping[str, tuple[Node, ...]]:
        """The boundary events of each activity."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes.values():
            if node.kind == BOUNDARY:
                found[node.host].append(node)
        return {node: tuple(found[node]) for node in self.nodes}

    @cached_property
    def links(self) -> Mapping[str, Node]:
        """The catching link events, by the name of the link."""
        return {n.triggers[0].ref: n for n in self.nodes.values() if catches_link(n)}

    @cached_property
    def before(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes from which a token may come to each node."""
        found: dict[str, list[str]] = {node: [] for node in self.nodes}
        for node in self.nodes.values():
            for target in self.after(node):
                found[target].append(node.id)
        return {node: tuple(sources) for node, sources in found.items()}

    def after(self, node: Node) -> Iterator[str]:
        """Yield the nodes that a token may be on next: along flows, links, and from a border."""
        yield from (self.flows[i].target for i in self.outgoing[node.id])
        yield from (event.id for event in self.boundary[node.id])
        if throws_link(node) and node.triggers[0].ref in self.links:
            yield self.links[node.triggers[0].ref].id

    def _ends(self, ends: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {node: [] for node in self.nodes}
        for i, node in enumerate(ends):
            found[node].append(i)
        return {node: tuple(flows) for node, flows in found.items()}


@dataclass(frozen=True)
class Process:
    """The process that was chosen: its scope, and all `scopes` that it contains or calls.

    `lanes` by id, the file's `root` and `place` are there for the drawing and for messages.
    """

    id: str
    name: str
    version: str
    scope: Scope
    scopes: tuple[Scope, ...]
    lanes: Mapping[str, str]
    place: str
    root: Element


def catches_link(node: Node) -> bool:
    """Whether a node is the far end of a link."""
    return node.kind == CATCH and node.has("link")


def throws_link(node: Node) -> bool:
    """Whether a node is the near end of a link."""
    return node.kind == THROW and node.has("link")
