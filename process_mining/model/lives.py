"""What can happen during an activity: done once, repeated, or called off from its border?

Each function takes the `Life` of an instance and returns the life of what is made of it.

    once             a task: its event, then (where something can interrupt it) still active
    one_after_another   a loop or sequential instances: lives in a row, at least and at most so many
    side_by_side     parallel instances, OVERLAP at a time
    with_border      what boundary events do to it

The event of an interrupted task. Logs differ: some write a task's event when it begins (a ticket
gets a status), some when it is over. So an interrupted task may have left its event or not; both
are runs of the model, and neither a ticket that shows it nor one that does not is at fault.

Multiple instances without a written number. Their number is data, so it is not known: it is taken
as one or more. None at all would make every such activity optional, and hide that it was skipped.
Sequential instances are a loop. Parallel instances of a task show the same runs as sequential
ones, for all their events have one name. Parallel instances of a sub-process interleave; so that
the net stays bounded at most OVERLAP of them overlap at any time, however many there are in all.
What interleaves three or more of them, in a way that two at a time cannot, costs deviations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from process_mining.model.game import DONE, LEFT, Arc, Game, Life, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_mining.model.bpmn import Node, Repeat
    from process_mining.model.game import Budget

OVERLAP: Final = 2


def once(node: Node, *, lasts: bool) -> Life:
    """The life of a task; when it lasts, it is active before and after its event."""
    if not lasts:
        return Life(("active",), (Arc(0, DONE, node.id, node.name, node.text),))
    return Life(
        ("before its event", "after its event"),
        (
            Arc(0, 1, node.id, node.name, node.text),
            Arc(1, DONE, node.id, None, node.text),
        ),
    )


def repeated(life: Life, node: Node, repeat: Repeat, budget: Budget) -> Life:
    """An activity with a loop or multiple instances."""
    if repeat.parallel and node.body is not None:
        return side_by_side(life, node, repeat, budget)
    return one_after_another(life, node, repeat)


def one_after_another(life: Life, node: Node, repeat: Repeat) -> Life:
    """At least and at most so many lives in a row; without a limit the last one may begin again."""
    n = len(life.states)
    rounds = repeat.at_most or max(repeat.at_least, 1)
    states = [f"{text} (round {k + 1})" for k in range(rounds) for text in life.states]
    arcs = []
    for k in range(rounds):
        again = k + 1 if k + 1 < rounds else k if repeat.at_most is None else None
        for arc in life.arcs:
            targets = [arc.target + k * n if arc.target >= 0 else arc.target]
            if arc.target == DONE:
                targets = [DONE] if k + 1 >= repeat.at_least else []
                targets += [] if again is None else [again * n]
            arcs += [replace(arc, source=arc.source + k * n, target=t) for t in targets]
    if repeat.at_least:
        return Life(tuple(states), tuple(arcs))
    return _may_be_left_out(Life(tuple(states), tuple(arcs)), node)


def _may_be_left_out(life: Life, node: Node) -> Life:
    """Put a state in front, in which it is decided whether there is a first round."""
    last = len(life.states)
    moved = {0: last}
    arcs = [
        replace(a, source=moved.get(a.source, a.source), target=moved.get(a.target, a.target))
        for a in life.arcs
    ]
    decide = [Arc(0, target, node.id, None, node.text) for target in (last, DONE)]
    states = ("before the first round", *life.states[1:], *life.states[:1])
    return Life(states, (*decide, *arcs))


def side_by_side(life: Life, node: Node, repeat: Repeat, budget: Budget) -> Life:
    """Instances that overlap: tokens in the states of one life, some free to begin another."""
    n = len(life.states)
    overlap = min(OVERLAP, repeat.at_most or OVERLAP)
    free, waiting = n, n + 1
    limited = () if repeat.at_most is None else (waiting,)
    begin = Step(node.id, None, node.text, (free, *limited), (0,))
    steps = [begin] if overlap > 1 or limited else []
    for arc in life.arcs:
        after = (arc.target,) if arc.target >= 0 else (free,)
        step = Step(arc.name, arc.label, arc.element, (arc.source,), after, throws=arc.throws)
        steps.append(replace(step, leaves=arc.target == LEFT))
        if arc.target == DONE and repeat.early:
            steps.append(replace(step, produces=(free,) * overlap, cancels=True))
    game = Game(
        text=f"What {node.text} does side by side",
        places=(*life.states, f"free for another {node.text}", f"to begin {node.text}"),
        steps=tuple(steps),
        initial=(0, *(free,) * (overlap - 1), *limited * ((repeat.at_most or 1) - 1)),
        idle=(free,) * overlap,
    )
    return game.life(budget)


def with_border(life: Life, events: Iterable[Node], once_only: Iterable[Node]) -> Life:
    """What boundary events do: those thrown from inside, those that may happen at any time.

    `once_only` are the non-interrupting ones that may happen once while the activity is active.
    An event for an error, escalation or cancellation that the activity itself throws happens with
    that throw and not else. The first event in the file that catches a throw has it.
    """
    events = tuple(events)
    thrown = {event.id for event in events if throwers(life, event)}
    life = replace(life, arcs=tuple(_caught(arc, events) for arc in life.arcs))
    for event in once_only:
        if event.id not in thrown:
            life = _may_happen_once(life, event)
    off = [
        Arc(state, LEFT, event.id, None, event.text, spawns=(event.id,))
        for event in events
        if event.interrupting and event.id not in thrown
        for state in range(len(life.states))
    ]
    return replace(life, arcs=(*life.arcs, *off))


def throwers(life: Life, event: Node) -> list[Arc]:
    """The arcs of a life with a throw that the event catches."""
    return [arc for arc in life.arcs if arc.throws is not None and catches(event, arc)]


def catches(event: Node, thrown: Arc | Step) -> bool:
    """Whether an event catches what is thrown there."""
    return thrown.throws is not None and any(t.catches(thrown.throws) for t in event.triggers)


def _caught(arc: Arc, events: Iterable[Node]) -> Arc:
    event = next((event for event in events if catches(event, arc)), None)
    if event is None:
        return arc
    target = LEFT if event.interrupting else arc.target
    return replace(arc, target=target, throws=None, spawns=(*arc.spawns, event.id))


def _may_happen_once(life: Life, event: Node) -> Life:
    """Two copies of every state: before and after the event."""
    n = len(life.states)
    shifted = [
        replace(a, source=a.source + n, target=a.target + n if a.target >= 0 else a.target)
        for a in life.arcs
    ]
    happens = [Arc(s, s + n, event.id, None, event.text, spawns=(event.id,)) for s in range(n)]
    after = tuple(f"{text}, after {event.text}" for text in life.states)
    return Life((*life.states, *after), (*life.arcs, *happens, *shifted))
