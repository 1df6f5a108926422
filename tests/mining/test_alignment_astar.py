"""A* on the net: exact where it ends, honest where it stops, and its bounds never too high."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from mining.block_nets import Blocks
from mining.small_models import model_of, variants_of
from oracles.dijkstra import alignment_cost, replays
from oracles.nets import PlainNet, perturbed, random_net, random_run

from process_mining.alignment import MoveKind, align
from process_mining.alignment.astar import AStar, Found
from process_mining.alignment.components import components
from process_mining.alignment.machines import (
    LOG,
    MODEL,
    SYNC,
    UNIT,
    Distances,
    Machine,
    Operation,
    agreed_shares,
    first_shares,
)
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.model import Net

LABELS = "abcdef"
WORDS = "abcdefxy"
SEEDS = range(24)
TRACES = 16


def unit_search(net: Net, words: Sequence[str], budget: int = 200_000) -> AStar:
    weights = [int(t.label is not None) for t in net.transitions]
    return AStar(net, log_weights=dict.fromkeys(words, 1), model_weights=weights, budget=budget)


@cache
def case(seed: int) -> tuple[PlainNet, Net, tuple[tuple[str, ...], ...]]:
    random = Random(seed)  # noqa: S311 - a seeded test
    plain = random_net(random, size=random.randint(3, 10), labels=LABELS)
    runs = [random_run(plain, random, steps=40) for _ in range(TRACES)]
    traces = dict.fromkeys([(), *(perturbed(run, random, WORDS) for run in runs)])
    return plain, model_of(plain).net, tuple(traces)


def named(net: Net, trace: Sequence[str], found: Found) -> list[tuple[str, str | None]]:
    """The moves as (kind, activity), each checked against what it says it moves."""
    moves = []
    for kind, transition, event in found.moves:
        assert (event >= 0) == (kind in {MoveKind.SYNC, MoveKind.LOG})
        assert (transition >= 0) == (kind != MoveKind.LOG)
        label = trace[event] if event >= 0 else net.transitions[transition].label
        if kind == MoveKind.SYNC:
            assert net.transitions[transition].label == label
        moves.append((MoveKind(kind).name, label))
    assert [event for _, _, event in found.moves if event >= 0] == list(range(len(trace)))
    return moves


def charged(moves: Sequence[tuple[str, str | None]]) -> int:
    return sum(kind in {"LOG", "MODEL"} for kind, _ in moves)


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_equal_dijkstra_and_moves_have_them(seed: int) -> None:
    plain, net, traces = case(seed)
    search = unit_search(net, WORDS)
    for trace in traces:
        found = search.search(trace)
        assert found.lower == found.upper == alignment_cost(plain, trace)
        moves = named(net, trace, found)
        assert replays(plain, moves)
        assert charged(moves) == found.upper
        assert found.completion == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_prefixes_and_what_completes_them(seed: int) -> None:
    plain, net, traces = case(seed)
    search = unit_search(net, WORDS)
    for trace in traces:
        found = search.search(trace, prefix=True)
        assert found.lower == found.upper == alignment_cost(plain, trace, prefix=True)
        moves = named(net, trace, found)
        assert charged(moves) == found.upper
        labels = [net.transitions[t].label for t in found.completion]
        rest = [("SILENT" if label is None else "MODEL", label) for label in labels]
        assert replays(plain, [*moves, *rest])


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_of_activities(seed: int) -> None:
    plain, net, traces = case(seed)
    random = Random(seed)  # noqa: S311 - a seeded test
    log = {word: random.choice([0, 1, 2, 7]) for word in WORDS}
    model = {word: random.choice([0, 1, 3, 10]) for word in WORDS}
    weights = [0 if t.label is None else model[t.label] for t in net.transitions]
    search = AStar(net, log_weights=log, model_weights=weights)
    for trace in traces:
        assert search.search(trace).upper == alignment_cost(plain, trace, log=log, model=model)
        begun = alignment_cost(plain, trace, prefix=True, log=log, model=model)
        assert search.search(trace, prefix=True).lower == begun


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_results_do_not_hang_on_what_was_searched_before(seed: int) -> None:
    _, net, traces = case(seed)
    search = unit_search(net, WORDS)
    first = [search.search(trace) for trace in traces]
    assert [search.search(trace) for trace in traces[::-1]] == first[::-1]
    assert [unit_search(net, WORDS).search(trace) for trace in traces[:5]] == first[:5]


# --- the bounds


@pytest.mark.parametrize("seed", SEEDS)
def test_components_hold_one_token_at_most(seed: int) -> None:
    plain, net, _ = case(seed)
    sets = components(net)
    # block-structured nets are free-choice and sound: every place is covered
    assert {place for places in sets for place in places} == set(range(plain.n_places))
    random = Random(seed)  # noqa: S311 - a seeded test
    marking = plain.initial
    for _ in range(200):
        assert all(sum(marking[place] for place in places) <= 1 for places in sets)
        enabled = plain.enabled(marking)
        marking = plain.fire(marking, random.choice(enabled)) if enabled else plain.initial


def bound(distances: Sequence[Distances], trace: Sequence[str]) -> int:
    total = 0
    for one in distances:
        row = one.whole
        for label in reversed(trace):
            row = one.before(row, label) if label in one.machine.sync else row
        total += one.values[row][one.machine.initial]
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_are_never_too_high_and_shares_never_too_large(seed: int) -> None:
    plain, net, traces = case(seed)
    machines = [Machine.of(net, places) for places in components(net)]
    weights: dict[Operation, int] = {(LOG, word): 1 for word in LABELS}
    weights |= {(MODEL, t): int(x.label is not None) for t, x in enumerate(net.transitions)}
    first = [
        Distances(*pair) for pair in zip(machines, first_shares(machines, weights), strict=True)
    ]
    for trace in traces:
        known = [word for word in trace if word in LABELS and word in net.activities]
        cost = alignment_cost(plain, known)
        agreed = agreed_shares(machines, weights, known, prefix=False)
        assert bound(first, known) <= bound(agreed, known) <= cost * UNIT
        for operation, weight in weights.items():
            shares = [one.share.get(operation, 0) for one in agreed]
            assert sum(shares) <= weight * UNIT
            assert operation[0] != MODEL or min(shares, default=0) >= 0
        for t in range(len(net.transitions)):
            assert sum(one.share.get((SYNC, t), 0) for one in agreed) <= 0


def test_bounds_see_the_order_in_a_branch_and_count_events_used_twice() -> None:
    blocks = Blocks()
    branches = [blocks.sequence(blocks.task("x"), blocks.task(f"d{i}")) for i in range(4)]
    plain = blocks.net(blocks.parallel(*branches))
    net = model_of(plain).net
    machines = [Machine.of(net, places) for places in components(net)]
    weights: dict[Operation, int] = {(LOG, word): 1 for word in net.activities}
    weights |= {(MODEL, t): int(x.label is not None) for t, x in enumerate(net.transitions)}
    for trace, cost in (("x x d0 d1 d2 d3", 2), ("x x x x x d0 d1 d2 d3", 1)):
        words = trace.split()
        assert alignment_cost(plain, words) == cost
        agreed = agreed_shares(machines, weights, words, prefix=False)
        assert bound(agreed, words) > (cost - 1) * UNIT


# --- large models


def wide(n: int) -> PlainNet:
    """N tasks on parallel branches between A and Z, all of it again after R: 2**n states."""
    blocks = Blocks()
    part = blocks.parallel(*(blocks.task(f"c{i:02d}") for i in range(n)))
    body = blocks.sequence(blocks.task("A"), blocks.loop(part, blocks.task("R")), blocks.task("Z"))
    return blocks.net(body)


def test_a_model_with_a_billion_states() -> None:
    net = model_of(wide(30)).net
    tasks = [f"c{i:02d}" for i in range(30)]
    search = unit_search(net, [*tasks, "A", "R", "Z", "x"])
    cases = {
        ("A", *tasks, "Z"): 0,
        ("A", *tasks[::-1], "R", *tasks, "Z"): 0,
        ("A", *tasks[3:], "x", "Z"): 4,
        (*tasks, "A", "Z"): 2,
        ("A", *tasks, *tasks[:2], "Z"): 2,
        (): 32,
    }
    for trace, cost in cases.items():
        found = search.search(trace)
        assert (found.lower, found.upper) == (cost, cost)
        assert charged(named(net, trace, found)) == cost


def test_align_takes_the_net_where_the_automaton_is_too_large() -> None:
    model = model_of(wide(18))
    tasks = [f"c{i:02d}" for i in range(18)]
    traces = [("A", *tasks, "Z"), ("A", *tasks[1:], "Z"), ("A", tasks[4])]
    alignments = align(variants_of(traces), model)
    assert alignments.lower.tolist() == alignments.upper.tolist() == [0, 1, 18]
    assert alignments.prefix.tolist() == [0, 1, 0]


# --- budgets and nets that are not sound


@pytest.mark.parametrize("seed", SEEDS[::4])
@pytest.mark.parametrize("budget", [1, 5, 20])
@pytest.mark.parametrize("prefix", [False, True])
def test_a_spent_budget_gives_bounds_and_a_real_alignment(
    seed: int, *, budget: int, prefix: bool
) -> None:
    plain, net, traces = case(seed)
    search = unit_search(net, WORDS, budget)
    for trace in traces:
        found = search.search(trace, prefix=prefix)
        assert found.lower <= alignment_cost(plain, trace, prefix=prefix) <= found.upper
        moves = named(net, trace, found)
        assert charged(moves) == found.upper
        labels = [net.transitions[t].label for t in found.completion]
        rest = [("SILENT" if label is None else "MODEL", label) for label in labels]
        assert replays(plain, [*moves, *rest])


def test_budgets_do_stop_searches() -> None:
    bounded = 0
    for seed in SEEDS:
        _, net, traces = case(seed)
        search = unit_search(net, WORDS, 5)
        bounded += sum(found.lower < found.upper for found in map(search.search, traces))
    assert bounded > 20


def net_of(plain: PlainNet, initial: dict[int, int], final: dict[int, int]) -> Net:
    plain.initial, plain.final = (
        tuple(marking.get(place, 0) for place in range(plain.n_places))
        for marking in (initial, final)
    )
    return model_of(plain).net


def test_no_run_to_the_end() -> None:
    plain = PlainNet(n_places=3)
    plain.add("a", [0], [1])
    net = net_of(plain, {0: 1}, {2: 1})
    for prefix in (False, True):
        with pytest.raises(RunError, match="MO320 No run of the model was found"):
            unit_search(net, "a").search("a", prefix=prefix)


def test_a_net_whose_tokens_gather_without_end() -> None:
    plain = PlainNet(n_places=3)
    plain.add(None, [0], [0, 1])
    plain.add("a", [0], [2])
    plain.add("b", [1, 2], [2])
    net = net_of(plain, {0: 1}, {2: 1})
    search = unit_search(net, "abx", budget=2_000)
    assert search.search("abb").upper == 0
    found = search.search("xab")
    assert (found.lower, found.upper) == (1, 1)
    # 130 tokens do not fit the field of a place: the search goes on with what does
    many = ["a", *"b" * 130]
    found = search.search(many)
    assert found.lower <= 0 <= found.upper
    assert found.upper <= 132


def test_dead_ends_are_no_ends_of_prefixes() -> None:
    plain = PlainNet(n_places=4)
    plain.add("a", [0], [1])
    plain.add("b", [0], [2])
    plain.add("c", [2], [3])
    net = net_of(plain, {0: 1}, {3: 1})
    found = unit_search(net, "abc").search("a", prefix=True)
    assert (found.lower, found.upper) == (1, 1)
    assert [net.transitions[t].label for t in found.completion] == ["b", "c"]


def test_silent_circles_end() -> None:
    plain = PlainNet(n_places=3)
    plain.add(None, [0], [1])
    plain.add(None, [1], [0])
    plain.add(None, [1], [1])
    plain.add("a", [1], [2])
    net = net_of(plain, {0: 1}, {2: 1})
    found = unit_search(net, "ab").search("ba")
    kinds = [MoveKind(kind).name for kind, _, _ in found.moves]
    assert sorted(kinds) == ["LOG", "SILENT", "SYNC"]


def test_arcs_of_weight_two_and_several_tokens() -> None:
    plain = PlainNet(n_places=2)
    plain.add("a", [0], [1, 1])
    plain.add("b", [1, 1, 1], [0])
    net = net_of(plain, {0: 3}, {0: 1, 1: 1})
    search = unit_search(net, "ab")
    for trace in ("", "a", "aab", "aaabb", "ba", "aabaab"):
        assert search.search(trace).upper == alignment_cost(plain, trace)


def test_an_empty_trace_and_moves_before_it() -> None:
    blocks = Blocks()
    plain = blocks.net(blocks.sequence(blocks.task(None), blocks.task("a"), blocks.task(None)))
    found = unit_search(model_of(plain).net, "a").search((), prefix=True)
    assert (found.lower, found.upper) == (0, 0)
    assert all(kind == MoveKind.SILENT for kind, _, _ in found.moves)
    numbers = [t for _, t, _ in found.moves] + list(found.completion)
    assert all(a < b for a, b in pairwise(numbers))
