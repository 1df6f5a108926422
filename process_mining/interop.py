"""How do models and traces travel to pm4py and back?

The only importer of pm4py, and only inside functions: importing it takes seconds. It is used as an
independent witness, as a way in and out for other tools, and to discover models; how well a
discovered model fits is measured by us.

**Discovery** hands over variants or the directly-follows graph, never rows: pm4py's own ways from
rows to traces differ from each other in the order of equal times.

- `inductive_tree`: Inductive Miner, infrequent (Leemans, Fahland & van der Aalst, Discovering
  Block-Structured Process Models from Event Logs Containing Infrequent Behaviour, BPM workshops
  2013), on variants with their counts. In each step, successions rarer than `noise` times the most
  frequent one out of the same activity are left out where no cut is found without that.
- `heuristics_net`: Heuristics Miner (Weijters, van der Aalst & Alves de Medeiros, Process Mining
  with the HeuristicsMiner Algorithm, 2006), on the directly-follows graph and the counts of a, b,
  a; pm4py's thresholds (dependency 0.5, AND 0.65). Successions rarer than `noise` times the most
  frequent one of both their activities are left out first. The net may be unsound.

pm4py works with sets, whose order changes with the hash seed for texts and with addresses for the
parts of a net. So activities are handed over as numbers (by name, from 1), and of a net only its
structure is taken back: silent transitions are put in the order of the places around them, of two
equal ones one is kept, and all are named anew.

Traces are handed over one by one where costs are asked for, so pm4py shows no progress bar. Its
reported costs are 10,000 a log or model move and 1 a silent one; silent moves of 10,000 and more in
one alignment would be counted as a move.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from process_mining.errors import CodedError, RunError
from process_mining.model import Net, ReferenceModel, Transition
from process_mining.model.tree import Operator, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pm4py.objects.log.obj import EventLog as Pm4pyLog
    from pm4py.objects.log.obj import Trace as Pm4pyTrace
    from pm4py.objects.petri_net.obj import Marking as Pm4pyMarking
    from pm4py.objects.petri_net.obj import PetriNet
    from pm4py.objects.process_tree.obj import ProcessTree

    from process_mining.eventlog import Ints
    from process_mining.variants import Variants

T = TypeVar("T")

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


def inductive_tree(variants: Variants, *, noise: float, weights: Ints | None = None) -> Tree:
    """Return the process tree that the Inductive Miner finds for variants with at least a case.

    `weights` (one entry a variant, by default its cases) says how often each counts.
    """
    from pm4py.algo.discovery.inductive.dtypes.im_ds import IMDataStructureUVCL  # noqa: PLC0415 - lazy
    from pm4py.algo.discovery.inductive.variants.imf import IMFUVCL  # noqa: PLC0415 - lazy

    traces = Counter(dict(_numbered(variants, weights)))
    settings = {"noise_threshold": noise, "multiprocessing": False}
    found = IMFUVCL(settings).apply(IMDataStructureUVCL(traces), settings)
    return _tree(found, variants.activities)


_OPERATORS = {
    "SEQUENCE": Operator.SEQUENCE,
    "XOR": Operator.CHOICE,
    "PARALLEL": Operator.PARALLEL,
    "LOOP": Operator.LOOP,
}
_LOOP_PARTS = 2


def _tree(theirs: ProcessTree, names: tuple[str, ...]) -> Tree:
    """Take a tree over, with names for numbers; LG340 for what we know no meaning of."""
    if theirs.operator is None:
        return Tree() if theirs.label is None else Tree(label=names[theirs.label - 1])
    operator = _OPERATORS.get(theirs.operator.name)
    odd_loop = operator is Operator.LOOP and len(theirs.children) != _LOOP_PARTS
    if operator is None or odd_loop:
        msg = f"a discovered tree has {theirs.operator.name} over {len(theirs.children)} parts"
        raise RunError("LG340", msg, why="What that means is not fixed", fix="Report it")
    children = tuple(_tree(child, names) for child in theirs.children)
    return Tree(operator=operator, children=children)


def heuristics_net(variants: Variants, *, noise: float, weights: Ints | None = None) -> Net:
    """Return the net that the Heuristics Miner finds for variants.

    `weights` as in `inductive_tree`. Activities without a dependency are not in the net. LG341
    where no case has a step.
    """
    from pm4py.algo.discovery.heuristics.variants.classic import (  # noqa: PLC0415 - lazy
        Parameters,
        apply_heu_dfg,
    )
    from pm4py.objects.conversion.heuristics_net import converter  # noqa: PLC0415 - lazy

    traces = [(tuple(map(str, trace)), n) for trace, n in _numbered(variants, weights) if trace]
    heuristics = apply_heu_dfg(
        _counted((pairwise(trace), n) for trace, n in traces),
        activities=sorted({step for trace, _ in traces for step in trace}, key=int),
        activities_occurrences=_counted(traces),
        start_activities=_counted((trace[:1], n) for trace, n in traces),
        end_activities=_counted((trace[-1:], n) for trace, n in traces),
        freq_triples=_counted((zip(t, t[1:], t[2:], strict=False), n) for t, n in traces),
        parameters={Parameters.DFG_PRE_CLEANING_NOISE_THRESH: noise},
    )
    if not heuristics.nodes:
        msg = "no case has a step, so the Heuristics Miner finds nothing"
        raise CodedError("LG341", msg, fix="Widen the filters, or use --discover inductive")
    net, initial, final = converter.apply(heuristics)
    return _bare(net, initial, final, variants.activities)


def _counted(parts: Iterable[tuple[Iterable[T], int]]) -> dict[T, int]:
    """Add up how often each item occurs; items in the order in which they first come."""
    found: Counter[T] = Counter()
    for items, n in parts:
        for item in items:
            found[item] += n
    return dict(found)


def _bare(net: PetriNet, initial: Pm4pyMarking, final: Pm4pyMarking, names: tuple[str, ...]) -> Net:
    """Keep the structure of a net alone, in an order and with names that hang on nothing else."""
    theirs = from_pm4py_net(net, initial, final).net
    parts = sorted(
        {(int(t.label or 0), t.consumes, t.produces) for t in theirs.transitions},
        key=lambda part: (part[0] == 0, part),
    )
    return Net(
        places=tuple(f"p{i}" for i in range(len(theirs.places))),
        transitions=tuple(_step(i, *part, names) for i, part in enumerate(parts)),
        initial=theirs.initial,
        final=theirs.final,
    )


def _step(
    number: int,
    code: int,
    consumes: tuple[int, ...],
    produces: tuple[int, ...],
    names: tuple[str, ...],
) -> Transition:
    label = names[code - 1] if code else None
    element = f"task '{label}'" if code else ""
    return Transition(f"t{number}", label, consumes, produces, element)


def _numbered(variants: Variants, weights: Ints | None) -> list[tuple[tuple[int, ...], int]]:
    """Return the variants that count, as numbers from 1 (0 would be taken for no activity)."""
    counts = variants.counts if weights is None else weights
    bounds = variants.offsets.tolist()
    codes = (variants.codes + 1).tolist()
    return [
        (tuple(codes[bounds[i] : bounds[i + 1]]), n) for i, n in enumerate(counts.tolist()) if n
    ]


def _weighted(arcs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(sorted(place for place, weight in arcs for _ in range(weight)))
