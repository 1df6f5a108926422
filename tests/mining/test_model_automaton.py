"""Reachability graphs of nets: states, arcs, boundedness and what is cut away."""

from __future__ import annotations

from random import Random

import pytest
from oracles.nets import PlainNet, random_net

from process_mining.errors import CodedError
from process_mining.model import SILENT_LABEL, Net, ReferenceModel, Transition


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
