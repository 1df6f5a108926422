"""Can a token go through every node of a BPMN scope, from where it begins to where it ends?

What BPMN asks of the drawing itself, before any token moves: a place to begin and one to end
(MO110, MO111), flows where they belong (MO112), every node on a way from a beginning to an end
(MO113), links with one far end each (MO119). Whether the tokens then fit together is the business
of soundness (`automaton.py`).

Sources: BPMN 2.0.2, 10.5.2 (start), 10.5.3 (end), 10.5.4 (links, borders), 13.2. Complexity: linear
in nodes and flows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from process_mining.errors import CodedError
from process_mining.model.bpmn import BOUNDARY, END, START, catches_link, throws_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from process_mining.model.bpmn import Node, Process, Scope


def check(process: Process) -> list[CodedError]:
    """Return every mistake, scope by scope; ways are only followed where the ends are right."""
    by_event = {
        id(node.body): node
        for scope in process.scopes
        for node in scope.nodes.values()
        if node.by_event
    }
    errors: list[CodedError] = []
    for scope in process.scopes:
        if scope.nodes or scope is process.scope:
            found = [*_beginning(process, scope, by_event), *_ends(process, scope)]
            errors += found or _ways(process, scope)
    return errors


def _beginning(
    process: Process, scope: Scope, by_event: Mapping[int, Node]
) -> Iterator[CodedError]:
    starts = [node for node in scope.nodes.values() if node.kind == START]
    event = by_event.get(id(scope))
    if event is not None and len(starts) != 1:
        yield CodedError(
            "MO110",
            f"{_at(process, event)}: event sub-process {event.text} has {len(starts)} start events",
            fix="Give it exactly one, with the trigger that sets it off",
        )
    if not scope.starters and not scope.loose:
        yield CodedError(
            "MO110",
            f"{_at(process, scope)}: {scope.text} has no start event and no node to begin with",
            fix="Draw a start event",
        )
    if not any(node.kind == END or _ends_itself(scope, node) for node in scope.nodes.values()):
        yield CodedError(
            "MO111",
            f"{_at(process, scope)}: {scope.text} has no end event and no node to end with",
            fix="End every way in an end event",
        )


def _ends_itself(scope: Scope, node: Node) -> bool:
    """Whether a token ends at a node because no flow leads out of it."""
    return not (scope.outgoing[node.id] or node.by_event or throws_link(node))


def _ends(process: Process, scope: Scope) -> Iterator[CodedError]:
    """Flows into and out of each node: those that must be, and those that must not."""
    marked = any(node.kind == END for node in scope.nodes.values())
    loose = {node.id for node in scope.loose}
    for node in scope.nodes.values():
        into, out = scope.incoming[node.id], scope.outgoing[node.id]
        faults = []
        if into and (node.kind in {START, BOUNDARY} or node.by_event or catches_link(node)):
            faults.append("a flow into")
        if out and (node.kind == END or node.by_event or throws_link(node)):
            faults.append("a flow out of")
        if node.id in loose and scope.starters:
            faults.append("no flow into")
        if node.kind != END and marked and _ends_itself(scope, node):
            faults.append("no flow out of")
        for fault in faults:
            yield CodedError(
                "MO112",
                f"{_at(process, node)}: there is {fault} {node.text}",
                why="Where a start event is drawn every way begins at one, and so for end events",
                fix="A start, border or catching link event only has flows out of it, an end or "
                "throwing link event only into it, every other node has both",
            )
    yield from _links(process, scope)


def _links(process: Process, scope: Scope) -> Iterator[CodedError]:
    far = Counter(node.triggers[0].ref for node in scope.nodes.values() if catches_link(node))
    for node in scope.nodes.values():
        ends = far[node.triggers[0].ref] if node.has("link") else 1
        if ends != 1:
            yield CodedError(
                "MO119",
                f"{_at(process, node)}: link '{node.triggers[0].ref}' of {node.text} leads to "
                f"{ends} catching events",
                fix="Give each link exactly one catching event of the same name on its level",
            )


def _ways(process: Process, scope: Scope) -> list[CodedError]:
    forward = {node.id: list(scope.after(node)) for node in scope.nodes.values()}
    backward: dict[str, list[str]] = defaultdict(list)
    for node, following in forward.items():
        for target in following:
            backward[target].append(node)
    begun = _reach((node.id for node in scope.starters or scope.loose), forward)
    ends = (n for n in scope.nodes.values() if n.kind == END or _ends_itself(scope, n))
    ended = _reach((node.id for node in ends), backward)
    return [
        CodedError(
            "MO113",
            f"{_at(process, node)}: {node.text} does not lie {fault}",
            fix="Connect it by sequence flows, or delete it",
        )
        for node in scope.nodes.values()
        for reached, fault in ((begun, "on a way from the start"), (ended, "on a way to an end"))
        if node.id not in reached and not node.by_event
    ]


def _reach(starts: Iterable[str], arcs: Mapping[str, Sequence[str]]) -> set[str]:
    todo = list(starts)
    seen = set(todo)
    while todo:
        new = [node for node in arcs.get(todo.pop(), ()) if node not in seen]
        seen.update(new)
        todo.extend(new)
    return seen


def _at(process: Process, element: Node | Scope) -> str:
    return f"{process.place}, line {element.line}"
