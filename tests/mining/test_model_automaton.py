"""Reachability graphs of nets: states, arcs, boundedness and what is cut away."""

from __future__ import annotations

from operator import le
from random import Random
from typing import TYPE_CHECKING

import networkx as nx
import pytest
from mining.small_bpmn import codes_of
from oracles.nets import PlainNet, random_net

from process_mining.errors import CodedError
from process_mining.model import SILENT_LABEL, Net, ReferenceModel, Transition
from process_mining.model.automaton import explore, require_sound

if TYPE_CHECKING:
    from process_mining.model.reach import Reachability


def net_of(plain: PlainNet) -> Net:
    return Net(
        places=tuple(f"p{i}" for i in range(plain.n_places)),
        transitions=tuple(Transition(f"t{i}", *t) for i, t in enumerate(plain.transitions)),
        initial=plain.initial,
        final=plain.final,
    )


@pytest.mark.parametrize("seed", range(12))
def test_states_and_arcs_equal_a_plain_search(seed: int) -> None:
    plain = random_net(Random(seed), size=9, labels="abcde")  # noqa: S311 - a seeded test
    automaton = ReferenceModel.from_net(net_of(plain)).automaton
    seen, todo, arcs = {plain.initial}, [plain.initial], 0
    while todo:
        marking = todo.pop()
        for transition in plain.enabled(marking):
            arcs += 1
            after = plain.fire(marking, transition)
            if after not in seen:
                seen.add(after)
                todo.append(after)
    assert set(automaton.markings) == seen
    assert len(automaton.sources) == arcs
    for source, target, label, transition in zip(
        automaton.sources, automaton.targets, automaton.labels, automaton.transitions, strict=True
    ):
        fired = plain.fire(automaton.markings[source], int(transition))
        assert fired == automaton.markings[target]
        name = plain.transitions[transition][0]
        assert (automaton.activities[label] if label != SILENT_LABEL else None) == name


def test_arcs_are_in_order() -> None:
    plain = random_net(Random(3), size=9, labels="abc")  # noqa: S311 - a seeded test
    automaton = ReferenceModel.from_net(net_of(plain)).automaton
    order = list(zip(automaton.sources, automaton.transitions, strict=True))
    assert order == sorted(order)
    assert automaton.initial == 0


def test_dead_ends_are_cut_from_a_net() -> None:
    transitions = (
        Transition("good", "a", (0,), (1,)),
        Transition("bad", "b", (0,), (2,)),
    )
    net = Net(("p", "end", "trap"), transitions, (1, 0, 0), (0, 1, 0))
    automaton = ReferenceModel.from_net(net).automaton
    assert automaton.markings == ((1, 0, 0), (0, 1, 0))
    assert len(automaton.sources) == 1


@pytest.mark.parametrize("produced", [(0, 1), (0, 1, 1), (0, 0)])
def test_unbounded_nets_are_refused(produced: tuple[int, ...]) -> None:
    transitions = (Transition("t", "a", (0,), produced), Transition("u", "b", (0,), ()))
    net = Net(("p", "q"), transitions, (1, 0), (0, 0))
    with pytest.raises(CodedError, match=r"MO201 .*without end on [pq]"):
        _ = ReferenceModel.from_net(net).automaton


def test_unbounded_only_after_a_detour() -> None:
    transitions = (
        Transition("begin", None, (0,), (1, 2)),
        Transition("turn", "a", (1,), (3,)),
        Transition("back", "b", (3, 2), (1, 2, 2)),
        Transition("end", "c", (1,), ()),
    )
    net = Net(("p", "q", "r", "s"), transitions, (1, 0, 0, 0), (0, 0, 1, 0))
    with pytest.raises(CodedError, match=r"MO201 .*without end on r. Repeating 'a', 'b'"):
        _ = ReferenceModel.from_net(net).automaton


def test_weights_are_counted() -> None:
    transitions = (Transition("t", "a", (0, 0), (1,)),)
    net = Net(("p", "q"), transitions, (2, 0), (0, 1))
    assert ReferenceModel.from_net(net).automaton.n_states == 2
    short = Net(("p", "q"), transitions, (1, 0), (0, 1))
    with pytest.raises(CodedError, match="MO203"):
        _ = ReferenceModel.from_net(short).automaton


@pytest.mark.parametrize(
    ("places", "transitions", "initial"),
    [
        (("p",), (), (1, 0)),
        (("p",), (), (-1,)),
        (("p", "p"), (), (1, 0)),
        (("p",), (Transition("t", None, (3,), ()),), (1,)),
        (("t",), (Transition("t", None, (0,), ()),), (1,)),
    ],
)
def test_nets_that_make_no_sense(
    places: tuple[str, ...], transitions: tuple[Transition, ...], initial: tuple[int, ...]
) -> None:
    with pytest.raises(CodedError, match="MO206"):
        Net(places, transitions, initial, (0,) * len(places))


def random_wild_net(random: Random) -> Net:
    """Any net of a few places; many are unbounded, most cannot end."""
    n = random.randint(2, 5)
    sides = [
        tuple(sorted(random.choices(range(n), k=random.randint(1, 2)))) for _ in range(2 * n + 2)
    ]
    transitions = tuple(
        Transition(f"t{i}", random.choice("ab"), consumes, random.choice([produces, produces, ()]))
        for i, (consumes, produces) in enumerate(zip(sides[::2], sides[1::2], strict=True))
    )
    initial = tuple(random.randint(0, 1) for _ in range(n))
    return Net(tuple(f"p{i}" for i in range(n)), transitions, initial, (0,) * n)


def bounded_graph(net: Net) -> nx.MultiDiGraph | None:
    """The reachability graph by Karp & Miller's first method: every marking against every ancestor
    on its path; None for an unbounded net."""
    graph = nx.MultiDiGraph()
    graph.add_node(net.initial)
    todo = [(net.initial, (net.initial,))]
    while todo:
        marking, path = todo.pop(0)
        for number, step in enumerate(net.transitions):
            after = list(marking)
            for place in step.consumes:
                after[place] -= 1
            if min(after) < 0:
                continue
            for place in step.produces:
                after[place] += 1
            target = tuple(after)
            if any(old != target and all(map(le, old, target)) for old in path):
                return None
            if target not in graph:
                todo.append((target, (*path, target)))
            graph.add_edge(marking, target, number)
    return graph


@pytest.mark.parametrize("seed", range(300))
def test_boundedness_and_soundness_agree_with_networkx(seed: int) -> None:
    net = random_wild_net(Random(seed))  # noqa: S311 - a seeded test
    graph = bounded_graph(net)
    if graph is None:
        with pytest.raises(CodedError, match="MO201"):
            explore(net)
        return
    found = explore(net)
    assert len(found.states) == len(graph)
    assert len(found.arcs) == graph.number_of_edges()
    final = tuple(net.final)
    alive = {final, *nx.ancestors(graph, final)} if final in graph else set()
    fired = {number for _, _, number in graph.edges(keys=True)}
    assert _codes(net, found) == {
        *(["MO203"] if net.initial not in alive else []),
        *(["MO204"] if net.initial in alive and len(alive) < len(graph) else []),
        *(["MO205"] if net.initial in alive and len(fired) < len(net.transitions) else []),
    }
    if net.initial in alive:
        assert set(ReferenceModel.from_net(net).automaton.markings) == alive


def _codes(net: Net, graph: Reachability) -> set[str]:
    try:
        require_sound(net, graph)
    except CodedError as error:
        return set(codes_of(error))
    return set()
