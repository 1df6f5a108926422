"""How do models and traces travel to pm4py and back?

The only importer of pm4py, and only inside functions: importing it takes seconds. It is used as an
independent witness and as a way in and out for other tools; no result of ours rests on it.

Traces are handed over one by one, so pm4py shows no progress bar. Its reported costs are 10,000 a
log or model move and 1 a silent one; silent moves of 10,000 and more in one alignment would be
counted as a move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from process_mining.model import Net, ReferenceModel, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pm4py.objects.log.obj import EventLog as Pm4pyLog
    from pm4py.objects.log.obj import Trace as Pm4pyTrace
    from pm4py.objects.petri_net.obj import Marking as Pm4pyMarking
    from pm4py.objects.petri_net.obj import PetriNet

    from process_mining.variants import Variants

_MOVE_COST = 10_000
_NAME_KEY = "concept:name"


def to_pm4py_net(model: ReferenceModel) -> tuple[PetriNet, Pm4pyMarking, Pm4pyMarking]:
    """Return the model's net with its initial and final marking; names stay."""
    from pm4py.objects.petri_net.obj import Marking, PetriNet  # noqa: PLC0415 - lazy: slow import
    from pm4py.objects.petri_net.utils.petri_utils import add_arc_from_to  # noqa: PLC0415 - lazy

    net = PetriNet(model.name)
    places = [PetriNet.Place(name) for name in model.net.places]
    net.places.update(places)
    for transition in model.net.transitions:
        theirs = PetriNet.Transition(transition.name, transition.label)
        net.transitions.add(theirs)
        for place in sorted(set(transition.consumes)):
            add_arc_from_to(places[place], theirs, net, transition.consumes.count(place))
        for place in sorted(set(transition.produces)):
            add_arc_from_to(theirs, places[place], net, transition.produces.count(place))
    initial, final = (
        Marking({place: n for place, n in zip(places, marking, strict=True) if n})
        for marking in (model.net.initial, model.net.final)
    )
    return net, initial, final


def from_pm4py_net(
    net: PetriNet, initial: Pm4pyMarking, final: Pm4pyMarking, *, name: str = "model"
) -> ReferenceModel:
    """Take a net over; places and transitions are put in the order of their names."""
    places = sorted(net.places, key=lambda place: str(place.name))
    index = {place: i for i, place in enumerate(places)}
    transitions = tuple(
        Transition(
            name=str(theirs.name),
            label=theirs.label,
            consumes=_weighted((index[arc.source], arc.weight) for arc in theirs.in_arcs),
            produces=_weighted((index[arc.target], arc.weight) for arc in theirs.out_arcs),
        )
        for theirs in sorted(net.transitions, key=lambda theirs: str(theirs.name))
    )
    ours = Net(
        places=tuple(str(place.name) for place in places),
        transitions=transitions,
        initial=tuple(int(initial.get(place, 0)) for place in places),
        final=tuple(int(final.get(place, 0)) for place in places),
    )
    return ReferenceModel.from_net(ours, name=name)


def to_pm4py_trace(activities: Sequence[str]) -> Pm4pyTrace:
    """Return a trace whose events have a name and nothing else."""
    from pm4py.objects.log.obj import Event, Trace  # noqa: PLC0415 - lazy: pm4py imports slowly

    return Trace([Event({_NAME_KEY: activity}) for activity in activities])


def to_pm4py_log(variants: Variants) -> Pm4pyLog:
    """Return a log with one trace a variant, in our order; counts are not carried over."""
    from pm4py.objects.log.obj import EventLog  # noqa: PLC0415 - lazy: pm4py imports slowly

    return EventLog([to_pm4py_trace(variants.trace(i)) for i in range(len(variants))])


def pm4py_alignment_costs(traces: Iterable[Sequence[str]], model: ReferenceModel) -> list[int]:
    """Return the cost of each trace by pm4py's A* with the state equation, in whole moves."""
    from pm4py.algo.conformance.alignments.petri_net import (  # noqa: PLC0415 - lazy
        algorithm,
    )

    net, initial, final = to_pm4py_net(model)
    variant = algorithm.Variants.VERSION_STATE_EQUATION_A_STAR
    found: list[dict[str, Any]] = [
        algorithm.apply(to_pm4py_trace(trace), net, initial, final, variant=variant)
        for trace in traces
    ]
    return [int(alignment["cost"]) // _MOVE_COST for alignment in found]


def _weighted(arcs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(sorted(place for place, weight in arcs for _ in range(weight)))
