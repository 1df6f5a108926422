"""Which process does a BPMN 2.0 file describe?

Read, as `Scope`s of nodes and sequence flows, each checked: start, end, intermediate and boundary
events with any trigger but compensation, tasks of every type, sub-processes (embedded, event
sub-processes, transactions), call activities, exclusive, parallel, inclusive and event-based
gateways, default and conditional flows, loops, multiple instances. What they mean for the order
of work stands in `bpmn_net.py`. `PASSED_OVER` lists the elements that have no such meaning here,
each with the reason. Every other element is refused by name and place (MO105): complex gateways,
ad-hoc sub-processes, compensation, choreographies, elements of other namespaces. Leaving those
out would change which runs the model allows.

Which process. A file may hold several. Those without a node (black-box pools) do not count, nor
those that another one calls. Of what is left, one is taken if it is alone, or alone in being
marked executable; otherwise `process` has to name one (by its id, its name or its pool's name),
and MO109 lists them.

Names. An activity is what a log can show: a task, a call activity whose process is not in the
file, a sub-process without content. White space in names is collapsed; one without a name is
refused (MO114). Events and gateways are not activities, named or not.

Where a scope begins (BPMN 2.0.2, 13.2 and 13.3.4): at one of its start events (or instantiating
receive tasks and event-based gateways); when it has none, at all nodes without a flow into them
together. It ends at its end events; when it has none, at every node without a flow out of it. A
scope that mixes the two is refused (MO112), as 10.5.2 and 10.5.3 forbid it.

Clause numbers are of OMG formal/2013-12-09. Not read: conditions (data is not modelled, so every
way may be taken), `loopMaximum`, `loopCondition`, the `behavior` of multiple instances, times of
timers, correlation. An id that a call names by prefix is looked up in this file by its local part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.model.bpmn import (
    ACTIVITIES,
    BOUNDARY,
    BPMN,
    BPMNDI,
    CALL,
    CYCLE,
    EVENTS,
    EXCLUSIVE,
    FLOW,
    INCLUSIVE,
    NODES,
    SUB_PROCESSES,
    THROWN,
    Flow,
    Node,
    Process,
    Repeat,
    Scope,
    Trigger,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from process_mining.model.xml import Element

LOOP, MULTIPLE = "standardLoopCharacteristics", "multiInstanceLoopCharacteristics"
MAX_DEPTH: Final = 40
MAX_COUNT: Final = 20
_LOOPS: Final = frozenset({LOOP, MULTIPLE})

PASSED_OVER: Final[Mapping[str, tuple[str, ...]]] = {
    "notes for people": (
        "documentation",
        "extensionElements",
        "extension",
        "textAnnotation",
        "association",
        "group",
        "category",
        "import",
        "relationship",
    ),
    "said again by the flows' own ends": ("incoming", "outgoing"),
    "who acts is not part of the order of work": (
        "resource",
        "resourceRole",
        "performer",
        "humanPerformer",
        "potentialOwner",
        "partnerEntity",
        "partnerRole",
    ),
    "data is not modelled: wherever it would decide, every way may be taken": (
        "dataObject",
        "dataObjectReference",
        "dataStore",
        "dataStoreReference",
        "dataInput",
        "dataOutput",
        "inputSet",
        "outputSet",
        "dataInputAssociation",
        "dataOutputAssociation",
        "ioSpecification",
        "ioBinding",
        "property",
        "itemDefinition",
        "script",
    ),
    "what pools tell each other carries no token; an event may happen whenever it is waited for": (
        "collaboration",
        "message",
        "signal",
        "error",
        "escalation",
        "interface",
        "supportedInterfaceRef",
        "endPoint",
        "correlationProperty",
        "correlationSubscription",
    ),
    "how a tool runs or watches it": ("auditing", "monitoring", "rendering"),
    "tasks to be called; a call of one is a task": (
        "globalTask",
        "globalUserTask",
        "globalManualTask",
        "globalScriptTask",
        "globalBusinessRuleTask",
    ),
}
_INERT: Final = frozenset(tag for tags in PASSED_OVER.values() for tag in tags)
_TRIGGERS: Final = (
    "timer",
    "message",
    "signal",
    "error",
    "escalation",
    "conditional",
    "link",
    "terminate",
    "cancel",
)
_EVENT_DEFINITIONS: Final = {f"{trigger}EventDefinition": trigger for trigger in _TRIGGERS}
_IN_EVENTS: Final = frozenset({*_EVENT_DEFINITIONS, "eventDefinitionRef"})
_SUPPORTED = (
    "Supported: events (not compensation), tasks, sub-processes, call activities, exclusive, "
    "parallel, inclusive and event-based gateways, sequence flows; data, lanes, messages and "
    "notes are passed over"
)
# Attributes that change the meaning of a node, with the one value that does not.
_PLAIN = {
    "isForCompensation": "false",
    "startQuantity": "1",
    "completionQuantity": "1",
    "eventGatewayType": "Exclusive",
}
_WHY = "Leaving it out would change which runs the model allows"


def read_process(root: Element, *, place: str, process: str | None = None) -> Process:
    """Read one process of a parsed file; `place` names the file in errors, `process` the one meant.

    Raises MO104-MO109, MO114, MO117, MO118 and MO120, all mistakes at once; `bpmn_checks.check`
    tells the others.
    """
    if (root.namespace, root.tag) != (BPMN, "definitions"):
        raise CodedError(
            "MO104",
            f"{place} is not BPMN 2.0: it begins with <{root.tag}> in '{root.namespace}'",
            fix=f"Export it as BPMN 2.0 XML, which begins with <definitions> in '{BPMN}'",
        )
    reader = _Reader(root, place)
    element = _chosen(reader, process)
    for child in root.children:
        drawn = (child.namespace, child.tag) == (BPMNDI, "BPMNDiagram")
        if not (drawn or child in reader.processes or child.tag in _EVENT_DEFINITIONS):
            reader.pass_or_refuse(child, root)
    scope = reader.called(element)
    raise_all(reader.errors)
    return Process(
        id=element.get("id"),
        name=element.get("name") or root.get("name") or element.get("id"),
        version=_version(element),
        scope=scope,
        scopes=tuple(reader.read),
        lanes=reader.lanes,
        place=place,
        root=root,
    )


def _version(process: Element) -> str:
    """Return the `versionTag` that modelling tools put on a process, in whichever namespace."""
    tags = (
        v for k, v in sorted(process.attributes.items()) if k.rpartition("}")[2] == "versionTag"
    )
    return next(tags, "")


def _chosen(reader: _Reader, wanted: str | None) -> Element:
    """Return the process that is meant (see the head of this module); else MO109."""
    every = reader.processes
    names = [reader.names_of(element) for element in every]
    if wanted is not None:
        found = [e for e, known in zip(every, names, strict=True) if wanted in known]
    else:
        full = list(reader.contents.values())
        calls = {p.get("id"): set(_calls(p)) for p in full}
        called = {name for caller, names in calls.items() for name in names - {caller}}
        found = [e for e in full if e.get("id") not in called] or full
        executable = [e for e in found if e.get("isExecutable") in {"true", "1"}]
        found = executable if len(found) > 1 and len(executable) == 1 else found
    if len(found) == 1:
        return found[0]
    words = [" or ".join(f"'{name}'" for name in reader.names_of(e)) for e in found]
    held = f"{reader.place} holds {len(every)} process{'' if len(every) == 1 else 'es'}"
    if wanted is not None:
        fault = f"; {len(found) or 'none'} of them named '{wanted}'"
        near = did_you_mean(wanted, {name for known in names for name in known})
        raise CodedError("MO109", f"{held}{fault}", fix=near)
    raise CodedError(
        "MO109",
        f"{held}; to choose from: {'; '.join(words)}" if found else f"{held}, none with a node",
        why="A reference model is one process",
        fix="Say which one by its name or id: process, on the command line --process",
    )


def _is_node(element: Element) -> bool:
    return element.namespace == BPMN and element.tag in NODES


def _calls(process: Element) -> Iterator[str]:
    """Yield the local ids of what a process calls, at any depth."""
    todo = [process]
    while todo:
        element = todo.pop()
        if element.tag == CALL:
            yield _local(element.get("calledElement"))
        todo += element.children


def _local(name: str) -> str:
    return name.rpartition(":")[2]


@dataclass(eq=False)
class _Reader:
    """Reads scopes; collects ids, lanes and every mistake of the file."""

    root: Element
    place: str
    lines: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, str] = field(default_factory=dict)
    read: list[Scope] = field(default_factory=list)
    known: dict[str, Scope] = field(default_factory=dict)
    calling: list[str] = field(default_factory=list)
    depth: int = 0
    errors: list[CodedError] = field(default_factory=list)

    @cached_property
    def processes(self) -> list[Element]:
        """The processes of the file."""
        return list(self.root.named(BPMN, "process"))

    @cached_property
    def contents(self) -> Mapping[str, Element]:
        """The processes that hold a node, by id."""
        return {e.get("id"): e for e in self.processes if any(map(_is_node, e.children))}

    @cached_property
    def by_id(self) -> Mapping[str, Element]:
        """The elements at the top of the file, by id: errors, escalations, event definitions."""
        return {e.get("id"): e for e in self.root.children}

    @cached_property
    def pools(self) -> Mapping[str, str]:
        """The names of the pools, by the process that they show."""
        pools = (
            pool
            for collaboration in self.root.named(BPMN, "collaboration")
            for pool in collaboration.named(BPMN, "participant")
        )
        return {_local(pool.get("processRef")): pool.get("name") for pool in pools}

    def names_of(self, process: Element) -> tuple[str, ...]:
        """By what a process may be asked for."""
        names = (self.pools.get(process.get("id"), ""), process.get("name"), process.get("id"))
        return tuple(dict.fromkeys(name for name in names if name))

    def at(self, element: Element | Node | Flow | Scope) -> str:
        return f"{self.place}, line {element.line}"

    def error(self, code: str, what: str, *, why: str = "", fix: str = "") -> None:
        self.errors.append(CodedError(code, what, why=why, fix=fix))

    def refuse(self, element: Element, detail: str = "") -> None:
        what = f"{self.at(element)}: {_tag(element)} {detail}is not supported"
        self.error("MO105", what, why=_WHY, fix=_SUPPORTED)

    def pass_or_refuse(self, element: Element, parent: Element) -> None:
        if element.namespace != BPMN or element.tag not in _INERT:
            self.refuse(element, "" if element.get("id") else f"in {_tag(parent)} ")

    def details(self, element: Element, known: Collection[str]) -> None:
        """Pass over, or refuse, what a node or flow holds besides what is read elsewhere."""
        for child in element.children:
            if child.namespace != BPMN or child.tag not in known:
                self.pass_or_refuse(child, element)

    def register(self, element: Element) -> bool:
        """Note an element's id; false (and an error) when it has none or one that is taken."""
        name = element.get("id")
        taken = self.lines.get(name)
        if name and taken is None:
            self.lines[name] = element.line
            return True
        fault = f"has the id of line {taken}" if name else "has no id"
        self.error(
            "MO107",
            f"{self.at(element)}: {_tag(element)} {fault}",
            why="Flows name their ends by id",
            fix="Give it an id of its own",
        )
        return False

    def called(self, process: Element) -> Scope:
        """Read a process once, however often it is called."""
        name = process.get("id")
        if name not in self.known:
            self.register(process)
            self.calling.append(name)
            self.known[name] = self.scope(process)
            self.calling.pop()
        return self.known[name]

    def scope(self, element: Element) -> Scope:
        """Read what a process or sub-process consists of."""
        nodes: dict[str, Node] = {}
        flows: list[Flow] = []
        refused = set()
        for child in element.children:
            mine = child.namespace == BPMN
            if _is_node(child):
                node = self.node(child)
                if self.register(child):
                    nodes[node.id] = node
            elif mine and child.tag == FLOW:
                flows += self.flow(child)
            elif mine and child.tag == "laneSet":
                self.lane_set(child)
            elif not mine or child.tag not in _LOOPS:
                refused.add(child.get("id"))
                self.pass_or_refuse(child, element)
        there = nodes.keys() | refused
        scope = Scope(
            id=element.get("id"),
            text=f"{element.tag} '{element.get('name') or element.get('id')}'",
            line=element.line,
            nodes=nodes,
            flows=tuple(flow for flow in flows if self.joins(flow, there, nodes)),
        )
        self.references(scope)
        self.read.append(scope)
        return scope

    def joins(self, flow: Flow, there: Collection[str], nodes: Collection[str]) -> bool:
        """Whether both ends of a flow are nodes; MO108 when one is not in the file at all."""
        for end, node in (("sourceRef", flow.source), ("targetRef", flow.target)):
            if node not in there:
                self.error(
                    "MO108",
                    f"{self.at(flow)}: flow '{flow.id}' has {end}='{node}', no such node here",
                    fix="Connect it to an event, activity or gateway on its level, or delete it",
                )
        return flow.source in nodes and flow.target in nodes

    def flow(self, element: Element) -> list[Flow]:
        """Read a sequence flow; none when it has no id of its own."""
        self.details(element, {"conditionExpression"})
        if not self.register(element):
            return []
        return [
            Flow(
                id=element.get("id"),
                source=element.get("sourceRef"),
                target=element.get("targetRef"),
                name=element.get("name"),
                line=element.line,
                conditional=any(element.named(BPMN, "conditionExpression")),
            )
        ]

    def lane_set(self, element: Element) -> None:
        """Keep the lanes' names for drawing; lanes may hold lane sets themselves."""
        todo = [element]
        while todo:
            lane = todo.pop()
            todo.extend(reversed(lane.children))
            if (lane.namespace, lane.tag) == (BPMN, "lane") and self.register(lane):
                self.lanes[lane.get("id")] = lane.get("name")

    def node(self, element: Element) -> Node:
        """Read a node, and the inside of a sub-process or of what is called."""
        for name, plain in _PLAIN.items():
            if element.get(name) not in ("", plain):
                self.refuse(element, f"with {name}='{element.get(name)}' ")
        body = self.body(element)
        node = Node(
            id=element.get("id"),
            kind=element.tag,
            name=element.get("name"),
            line=element.line,
            triggers=self.triggers(element) if element.tag in EVENTS else (),
            host=_local(element.get("attachedToRef")),
            interrupting=_says(element, "cancelActivity", "isInterrupting", default=True),
            default=element.get("default"),
            repeat=_repeat(element),
            body=body,
            by_event=_says(element, "triggeredByEvent", default=False),
            instantiates=_says(element, "instantiate", default=False),
        )
        if node.is_activity and body is None and not node.name:
            self.error(
                "MO114",
                f"{self.at(node)}: {node.text} has no name",
                why="The name is the activity that the log is compared with",
                fix="Name it as the log (or the practice's vocabulary) spells the activity",
            )
        return node

    def body(self, element: Element) -> Scope | None:
        """Return what an activity consists of; None for one that is a task for us."""
        if element.tag in SUB_PROCESSES:
            return self.nested(element, element)
        known = _IN_EVENTS if element.tag in EVENTS else _LOOPS if element.tag in ACTIVITIES else ()
        self.details(element, known)
        inside = self.contents.get(_local(element.get("calledElement")))
        if element.tag != CALL or inside is None:
            return None
        if inside.get("id") not in self.calling:
            return self.nested(element, inside)
        chain = " calls ".join(f"'{name}'" for name in (*self.calling, inside.get("id")))
        self.error(
            "MO117",
            f"{self.at(element)}: {_tag(element)} closes a circle: {chain}",
            why="Put in each other's place, the processes would never end",
            fix="Draw the repetition as a flow back, or as a loop",
        )
        return None

    def nested(self, element: Element, inside: Element) -> Scope | None:
        """Read an inside one level deeper; None when it holds no node."""
        if self.depth == MAX_DEPTH:
            self.error(
                "MO118",
                f"{self.at(element)}: {_tag(element)} lies more than {MAX_DEPTH} levels deep",
                fix="Leave out the sub-processes and calls that hold nothing else",
            )
            return None
        self.depth += 1
        scope = self.scope(inside) if element is inside else self.called(inside)
        self.depth -= 1
        return scope if scope.nodes else None

    def triggers(self, element: Element) -> tuple[Trigger, ...]:
        """Read what sets an event off, or what it sets off."""
        found = []
        for child in element.children:
            definition = child
            if child.tag == "eventDefinitionRef":
                definition = self.by_id.get(_local(child.text), child)
                if definition.tag not in _EVENT_DEFINITIONS:
                    self.refuse(child, f"to '{child.text}' ")
            kind = _EVENT_DEFINITIONS.get(definition.tag)
            if kind is not None:
                found.append(Trigger(kind, self.code(element, definition, kind)))
        if len(found) > 1 and any(t.kind in {*THROWN, "terminate", "link"} for t in found):
            kinds = ", ".join(trigger.kind for trigger in found)
            self.refuse(element, f"with several triggers ({kinds}) ")
        return tuple(found)

    def code(self, event: Element, definition: Element, kind: str) -> str:
        """Return by what a throwing event finds the catching one."""
        if kind == "timer":
            return CYCLE if any(definition.named(BPMN, "timeCycle")) else ""
        if kind == "link":
            return definition.get("name") or event.get("name")
        if kind not in {"error", "escalation"}:
            return ""
        name = _local(definition.get(f"{kind}Ref"))
        declared = self.by_id.get(name)
        return name if declared is None else declared.get(f"{kind}Code") or name

    def references(self, scope: Scope) -> None:
        """Borders and default flows must name what is there; conditions stand where they count."""
        sources = {flow.id: flow.source for flow in scope.flows}
        for node in scope.nodes.values():
            host = scope.nodes.get(node.host)
            if node.kind == BOUNDARY and (host is None or not host.is_activity or host.by_event):
                self.error(
                    "MO120",
                    f"{self.at(node)}: {node.text} stands on '{node.host}', no activity here",
                    fix="Attach it to a task, a sub-process or a call activity on its level",
                )
            if node.default and sources.get(node.default) != node.id:
                self.error(
                    "MO108",
                    f"{self.at(node)}: {node.text} has default='{node.default}', no flow out of it",
                    fix="Name a flow out of it, or delete the attribute",
                )
        for flow in scope.flows:
            source = scope.nodes[flow.source]
            decides = source.is_activity or source.kind in {EXCLUSIVE, INCLUSIVE}
            if flow.conditional and not decides:
                self.error(
                    "MO106",
                    f"{self.at(flow)}: conditional flow '{flow.id}' out of {source.text}",
                    why="Only gateways that decide, and activities, choose by conditions",
                    fix="Put an exclusive gateway there, and the condition on a flow out of it",
                )


def _repeat(element: Element) -> Repeat | None:
    for child in element.named(BPMN, LOOP):
        return Repeat(0 if _says(child, "testBefore", default=False) else 1, None)
    for child in element.named(BPMN, MULTIPLE):
        return _instances(child)
    return None


def _instances(element: Element) -> Repeat:
    """Read a multi-instance activity; a number that is written out is kept, up to MAX_COUNT."""
    sequential = _says(element, "isSequential", default=False)
    text = next((e.text for e in element.named(BPMN, "loopCardinality")), "")
    count = next((n for n in range(1, MAX_COUNT + 1) if text == str(n)), None)
    early = any(element.named(BPMN, "completionCondition"))
    return Repeat(
        at_least=1 if early or count is None else count,
        at_most=count,
        parallel=not sequential,
        early=early,
        marker="sequential" if sequential else "parallel",
    )


def _says(element: Element, *attributes: str, default: bool) -> bool:
    """Return the first of these attributes that is there."""
    said = next((element.get(name) for name in attributes if element.get(name)), "")
    return said in {"true", "1"} if said else default


def _tag(element: Element) -> str:
    shown = [f"{key}='{element.get(key)}'" for key in ("id", "name") if element.get(key)]
    return f"<{' '.join([element.tag, *shown])}>"
