"""Which traces does a net or a tree allow, up to a length? By walking through all of them.

Imports nothing of the product. A tree is plain data: a text (an activity), None (a silent step), or
a tuple of an operator ("sequence", "choice", "parallel", "loop") and its children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oracles.nets import PlainNet

    Tree = str | None | tuple[object, ...]

Traces = frozenset[tuple[str, ...]]


def traces_of_net(net: PlainNet, longest: int) -> Traces:
    """The visible runs from the initial to the final marking that have at most `longest` steps."""
    start = (net.initial, ())
    todo: list[tuple[tuple[int, ...], tuple[str, ...]]] = [start]
    seen = {start}
    while todo:
        marking, trace = todo.pop()
        for transition in net.enabled(marking):
            label = net.transitions[transition][0]
            after = (net.fire(marking, transition), trace if label is None else (*trace, label))
            if len(after[1]) <= longest and after not in seen:
                seen.add(after)
                todo.append(after)
    return frozenset(trace for marking, trace in seen if marking == net.final)


def traces_of_tree(tree: Tree, longest: int) -> Traces:
    """The traces of a tree that have at most `longest` steps."""
    if tree is None:
        return frozenset({()})
    if isinstance(tree, str):
        return frozenset({(tree,)} if longest else ())
    operator, *parts = tree
    found = [traces_of_tree(part, longest) for part in parts]  # type: ignore[arg-type]
    if operator == "choice":
        return frozenset().union(*found)
    if operator == "loop":
        return _looped(found[0], found[1], longest)
    whole: Traces = frozenset({()})
    for one in found:
        joined = _joined if operator == "sequence" else _shuffled
        whole = frozenset(t for a in whole for b in one for t in joined(a, b) if len(t) <= longest)
    return whole


def _looped(body: Traces, back: Traces, longest: int) -> Traces:
    whole = body
    while True:
        again = {a + b + c for a in whole for b in back for c in body}
        wider = whole | {trace for trace in again if len(trace) <= longest}
        if wider == whole:
            return whole
        whole = wider


def _joined(a: tuple[str, ...], b: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {a + b}


def _shuffled(a: tuple[str, ...], b: tuple[str, ...]) -> set[tuple[str, ...]]:
    if not a or not b:
        return {a + b}
    first = {a[:1] + rest for rest in _shuffled(a[1:], b)}
    return first | {b[:1] + rest for rest in _shuffled(a, b[1:])}
