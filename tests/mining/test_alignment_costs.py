"""Costs by activity, prefixes of open cases, states of moves, and two searches with one result."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mining.small_models import model_of, variants_of
from mining.test_alignment import (
    CLOSE,
    DIAGNOSE,
    INFORM,
    PERFECT,
    REGISTER,
    SEEDS,
    WORDS,
    _accepts,
    any_net,
    assert_same,
    case,
    fixture,
    optimal,
    parallel,
)
from oracles.dijkstra import alignment_cost, replays

from process_mining.alignment import (
    Alignments,
    Bounded,
    Costs,
    MoveKind,
    PrefixAlignment,
    align,
    plain,
    search,
)
from process_mining.errors import CodedError, ManyCodedErrors
from process_mining.model import SILENT_LABEL, Net, ReferenceModel, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence


compiled = pytest.importorskip("process_mining.alignment.compiled", reason="numba is not installed")


def some_costs(random: Random) -> Costs:
    """Costs from 0 to 5, some activities unnamed."""
    named = random.sample(WORDS, 5)
    return Costs(
        log={word: random.choice([0, 1, 2, 5]) for word in named},
        model={word: random.choice([0, 1, 3]) for word in named[2:]},
        default_log=random.choice([1, 2]),
        default_model=random.choice([1, 4]),
    )


def every(costs: Costs) -> tuple[dict[str, int], dict[str, int]]:
    return {w: costs.of_log(w) for w in WORDS}, {w: costs.of_model(w) for w in WORDS}


def price(alignments: Alignments, index: int) -> int:
    charge = {MoveKind.LOG: alignments.costs.of_log, MoveKind.MODEL: alignments.costs.of_model}
    moves = optimal(alignments, index).moves
    return sum(charge[m.kind](m.activity) for m in moves if m.kind in charge and m.activity)


def opened(alignments: Alignments, index: int) -> PrefixAlignment:
    found = alignments.prefix_alignment(index)
    assert isinstance(found, PrefixAlignment)
    return found


# Two searches, one result


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_and_plain_agree_move_by_move(seed: int) -> None:
    _, model, variants, by_numpy = case(seed)
    for table_bytes in (search.TABLE_BYTES, 1):
        by_numba = align(variants, model, accelerate=True, table_bytes=table_bytes)
        assert_same(by_numba, by_numpy)
        assert_same_prefixes(by_numba, by_numpy)


def assert_same_prefixes(one: Alignments, other: Alignments) -> None:
    for mine, theirs in zip(one.task.prefixes or (), other.task.prefixes or (), strict=True):
        assert mine.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_by_activity_equal_dijkstra(seed: int) -> None:
    net, model, variants, _ = case(seed)
    costs = some_costs(Random(seed))  # noqa: S311 - a seeded test
    log, weights = every(costs)
    alignments = align(variants, model, costs=costs, accelerate=False)
    shortest = alignment_cost(net, (), log=log, model=weights)
    assert alignments.shortest_run == shortest
    for i in range(0, len(variants), 3):
        trace = variants.trace(i)
        cost = alignment_cost(net, trace, log=log, model=weights)
        assert alignments.upper[i] == alignments.lower[i] == price(alignments, i) == cost
        assert alignments.prefix[i] == alignment_cost(
            net, trace, prefix=True, log=log, model=weights
        )
        most = sum(log[word] for word in trace) + shortest
        assert alignments.fitness[i] == (1.0 if cost == 0 else 1 - cost / most)
        assert replays(net, [(m.kind.name, m.activity) for m in optimal(alignments, i).moves])
    by_numba = align(variants, model, costs=costs, accelerate=True)
    assert_same(by_numba, alignments)
    assert_same_prefixes(by_numba, alignments)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.text("abcdx", max_size=9), max_size=12))
def test_nets_of_any_shape(random: Random, traces: list[str]) -> None:
    net = any_net(random)
    model = model_of(net)
    if not ends(model):
        return
    costs = some_costs(random)
    log, weights = every(costs)
    variants = variants_of(traces)
    by_numpy = align(variants, model, costs=costs, accelerate=False)
    assert_same(align(variants, model, costs=costs, accelerate=True, table_bytes=1), by_numpy)
    for i in range(len(variants)):
        assert by_numpy.lower[i] == alignment_cost(net, variants.trace(i), log=log, model=weights)
    assert_states(model, by_numpy)


def ends(model: ReferenceModel) -> bool:
    try:
        return model.automaton.n_states > 0
    except CodedError as error:
        assert error.code in {"MO201", "MO203"}  # noqa: PT017 - many nets, one outcome each
        return False


def test_a_search_may_be_handed_over_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WORTH_US", 1)
    monkeypatch.setattr(plain, "BATCH_EVENTS", 500)
    asked = []
    monkeypatch.setattr(compiled, "walk", spied(compiled.walk, asked))
    for seed in (3, 8):
        _, model, variants, alignments = case(seed)
        assert_same(align(variants, model), alignments)
    assert len(asked) == 2
    assert 0 < asked[0] < len(case(3)[2])


def spied(walk: object, asked: list[int]) -> object:
    """Note how many traces are left."""

    def noted(graph: object, traces: search.Traces, *, whole: bool, table_bytes: int) -> object:
        asked.append(len(traces.offsets) - 1)
        return walk(graph, traces, whole=whole, table_bytes=table_bytes)  # type: ignore[operator]

    return noted


def test_small_logs_do_not_wait_for_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "walk", None)
    _, model, variants, alignments = case(2)
    assert_same(align(variants, model), alignments)


def test_without_numba_it_must_not_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda _: None)
    monkeypatch.setattr(search, "WORTH_US", 0)
    monkeypatch.setattr(plain, "BATCH_EVENTS", 500)
    _, model, variants, alignments = case(2)
    assert_same(align(variants, model), alignments)
    with pytest.raises(CodedError, match="MO305"):
        align(variants, model, accelerate=True)


def test_a_cache_that_cannot_be_written_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run, failures = compiled._run, [OSError("no space left")]

    def full_disk(*work: object) -> object:
        if failures:
            raise failures.pop()
        return run(*work)

    monkeypatch.setattr(compiled, "_run", full_disk)
    _, model, variants, alignments = case(2)
    assert_same(align(variants, model, accelerate=True), alignments)

    class NoFolder:
        @staticmethod
        def njit(*, cache: bool = False) -> object:
            if cache:
                raise RuntimeError
            return lambda function: function

    monkeypatch.setattr(compiled, "numba", NoFolder)
    assert compiled._kept(run) is run


# Metamorphic laws


@pytest.mark.parametrize("seed", SEEDS)
def test_prefix_costs_rise_with_every_event_and_stay_below_the_whole(seed: int) -> None:
    _, model, variants, _ = case(seed)
    costs = some_costs(Random(seed))  # noqa: S311 - a seeded test
    for i in range(0, len(variants), 40):
        trace = variants.trace(i)
        begun = [trace[:k] for k in range(len(trace) + 1)]
        found = align(variants_of(begun), model, costs=costs)
        rises = np.diff(found.prefix)
        assert (rises >= 0).all()
        assert all(rise <= costs.of_log(word) for rise, word in zip(rises, trace, strict=True))
        assert (found.prefix <= found.lower).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_and_repetitions_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, model, variants, alignments = case(seed)
    monkeypatch.setattr(plain, "BATCH_EVENTS", 37)
    assert_same(align(variants, model, accelerate=False), alignments)
    half = variants_of([variants.trace(i) for i in range(0, len(variants), 2)])
    found = align(half, model)
    for i in range(len(half)):
        assert found.alignment(i) == alignments.alignment(2 * i)
        assert found.prefix_alignment(i) == alignments.prefix_alignment(2 * i)


def test_costs_that_are_doubled_double_all_costs() -> None:
    _, model, variants, alignments = case(5)
    doubled = align(variants, model, costs=Costs(default_log=2, default_model=2))
    assert (doubled.lower == 2 * alignments.lower).all()
    assert doubled.moves.tobytes() == alignments.moves.tobytes()
    assert doubled.fitness.tobytes() == alignments.fitness.tobytes()


# States and events of moves


@pytest.mark.parametrize("seed", SEEDS)
def test_states_of_moves_make_a_run_of_the_automaton(seed: int) -> None:
    _, model, variants, alignments = case(seed)
    assert_states(model, alignments)
    events = alignments.event_of_move
    for v, (low, high) in enumerate(pairwise(alignments.move_offsets.tolist())):
        own = events[low:high]
        assert own[own >= 0].tolist() == list(range(len(variants.trace(v))))
        kinds = alignments.moves[low:high] & 3
        assert ((own >= 0) == (kinds <= MoveKind.LOG)).all()


def assert_states(model: ReferenceModel, alignments: Alignments) -> None:
    automaton = model.automaton
    arcs = set(
        zip(
            automaton.sources.tolist(),
            automaton.targets.tolist(),
            automaton.labels.tolist(),
            strict=True,
        )
    )
    column = {name: i for i, name in enumerate(automaton.activities)}
    for low, high in pairwise(alignments.move_offsets.tolist()):
        states = [*alignments.state_before[low:high].tolist(), automaton.final]
        assert states[0] == automaton.initial
        for move, (before, after) in zip(
            alignments.moves[low:high].tolist(), pairwise(states), strict=True
        ):
            kind = MoveKind(move & 3)
            if kind is MoveKind.LOG:
                assert before == after
                continue
            silent = kind is MoveKind.SILENT
            label = SILENT_LABEL if silent else column[alignments.words[move >> 2]]
            assert (before, after, label) in arcs


# Open cases


@pytest.mark.parametrize("seed", SEEDS)
def test_prefix_alignments_say_what_is_wrong_and_what_is_open(seed: int) -> None:
    net, _, variants, alignments = case(seed)
    for i in range(0, len(variants), 5):
        found = opened(alignments, i)
        trace = variants.trace(i)
        kinds = [move.kind for move in found.moves]
        assert found.cost == alignment_cost(net, trace, prefix=True)
        assert sum(kind in {MoveKind.LOG, MoveKind.MODEL} for kind in kinds) == found.cost
        spelled = [m.activity for m in found.moves if m.kind in {MoveKind.SYNC, MoveKind.LOG}]
        assert tuple(spelled) == trace
        run = [m.activity for m in found.moves if m.kind in {MoveKind.SYNC, MoveKind.MODEL}]
        assert _accepts(net, [*(word for word in run if word), *found.completion])
        assert alignments.lower[i] <= found.cost + len(found.completion)


def test_open_cases_of_the_incident_fixture() -> None:
    alignments = align(variants_of([(REGISTER, INFORM), (), PERFECT, (CLOSE, CLOSE)]), fixture())
    skipped = opened(alignments, 0)
    assert [m.activity for m in skipped.moves if m.kind is MoveKind.MODEL] == [DIAGNOSE]
    assert skipped.cost == 1
    assert skipped.completion == ("Resolve", CLOSE)
    nothing = opened(alignments, 1)
    assert nothing.cost == 0
    assert len(nothing.completion) == 5
    assert opened(alignments, 2).completion == ()
    assert opened(alignments, 3).cost == 2


def test_open_cases_on_the_net() -> None:
    model = parallel(4)
    traces: list[Sequence[str]] = [["a0", "a2"], ["x", "a1", "a1"], [], ["a3", "a2", "a1", "a0"]]
    variants = variants_of(traces)
    by_net, by_automaton = align(variants, model, budget=3), align(variants, model)
    for i in range(len(variants)):
        one, other = opened(by_net, i), opened(by_automaton, i)
        assert one.cost == other.cost
        assert sorted(one.completion) == sorted(other.completion)
        spelled = [m.activity for m in one.moves if m.kind in {MoveKind.SYNC, MoveKind.LOG}]
        assert tuple(spelled) == variants.trace(i)


def test_departures_on_the_net_equal_those_on_the_automaton() -> None:
    for seed in (1, 6, 12):
        _, model, variants, _ = case(seed)
        few = variants_of([variants.trace(i) for i in range(0, len(variants), 6)])
        costs = some_costs(Random(seed))  # noqa: S311 - a seeded test
        for chosen in (Costs(), costs):
            by_net, by_automaton = (
                align(few, model, costs=chosen, budget=budget) for budget in (1, 1_000)
            )
            for name in ("lower", "upper", "prefix", "prefix_upper", "departure", "fitness"):
                assert (getattr(by_net, name) == getattr(by_automaton, name)).all(), name
            for i in range(len(few)):
                assert price(by_net, i) == by_net.lower[i]


def test_a_spent_budget_leaves_bounds() -> None:
    bounded = 0
    for seed in (1, 6, 12):
        _, model, variants, _ = case(seed)
        few = variants_of([variants.trace(i) for i in range(0, len(variants), 6)])
        found, exact = align(few, model, budget=1, search_budget=5), align(few, model)
        assert ((found.lower <= exact.lower) & (exact.lower <= found.upper)).all()
        assert ((found.prefix <= exact.prefix) & (exact.prefix <= found.prefix_upper)).all()
        assert (found.fitness <= exact.fitness).all()
        table = found.to_arrow().to_pylist()
        for i in np.flatnonzero(found.lower < found.upper).tolist():
            bounded += 1
            assert found.alignment(i) == Bounded(int(found.lower[i]), int(found.upper[i]))
            assert table[i]["status"] == "bounded"
            assert (table[i]["cost"], table[i]["moves"]) == (None, [])
    assert bounded > 5


# Costs


def test_moves_without_cost_end() -> None:
    """Free model moves round a circle, free events: the way back comes to the beginning."""
    circle = (
        Transition("t", "a", (0,), (1,)),
        Transition("u", "b", (1,), (0,)),
        Transition("v", "c", (0,), (2,)),
    )
    model = ReferenceModel.from_net(Net(("p", "q", "r"), circle, (1, 0, 0), (0, 0, 1)))
    free = Costs(default_log=0, default_model=0)
    for accelerate in (False, True):
        found = align(variants_of(["babca", "", "c"]), model, costs=free, accelerate=accelerate)
        assert found.upper.tolist() == [0, 0, 0]
        assert found.fitness.tolist() == [1.0, 1.0, 1.0]
        assert found.shortest_run == 0
        # the fewest free moves: a step before, and the last event is left over
        kinds = [move.kind.name for move in optimal(found, 0).moves]
        assert kinds == ["MODEL", "SYNC", "SYNC", "SYNC", "SYNC", "LOG"]
        assert found.departure.tolist() == [-1, -1, -1]


def test_dear_activities_are_kept() -> None:
    """Which of two events is left over follows their costs."""
    circle = (Transition("t", "a", (0,), (1,)), Transition("u", "b", (0,), (1,)))
    model = ReferenceModel.from_net(Net(("p", "q"), circle, (1, 0), (0, 1)))
    for costs, kept in ((Costs(log={"a": 3}), "a"), (Costs(log={"b": 7, "a": 2}), "b")):
        found = align(variants_of(["ab"]), model, costs=costs)
        synced = [m.activity for m in optimal(found, 0).moves if m.kind is MoveKind.SYNC]
        assert synced == [kept]


def test_wrong_costs_are_told_all_at_once() -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        Costs(log={"a": -1, "b": 1_001}, model={"c": True}, default_log=2.5)  # type: ignore[arg-type]
    assert [error.code for error in caught.value.errors] == ["MO303", "MO304", "MO303", "MO303"]
    with pytest.raises(CodedError, match=r"MO304 The cost of a model move is 5,000\."):
        Costs(default_model=5_000)


def test_names_that_nobody_has_are_ignored() -> None:
    _, model, variants, alignments = case(4)
    assert_same(align(variants, model, costs=Costs(log={"nobody": 9})), alignments)


def test_sums_that_would_not_be_exact_are_refused() -> None:
    long = variants_of([["a"] * 600_000])
    net = Net(("p", "q"), (Transition("t", "a", (0,), (1,)),), (1, 0), (0, 1))
    with pytest.raises(CodedError, match="MO306"):
        align(long, ReferenceModel.from_net(net), costs=Costs(default_log=1_000))


# Tables


def test_tables_say_the_same() -> None:
    _, _, variants, alignments = case(9)
    frame, table = alignments.to_pandas(), alignments.to_arrow().to_pylist()
    for i, (row, one) in enumerate(zip(frame.to_dict("records"), table, strict=True)):
        assert tuple(one["variant"]) == row["trace"] == variants.trace(i)
        assert one["n"] == row["n"]
        assert one["cost"] == one["lower"] == one["upper"] == row["lower"]
        assert one["fitness"] == row["fitness"]
        assert one["status"] == row["status"] == "optimal"
        moves = [(move["kind"], move["activity"]) for move in one["moves"]]
        assert moves == [(move.kind.name.lower(), move.activity) for move in row["moves"]]


def test_tables_without_rows() -> None:
    none = align(variants_of([]), fixture())
    assert none.to_arrow().num_rows == 0
    assert len(none.to_pandas()) == 0
    assert len(none.event_of_move) == 0
    assert len(align(variants_of([]), fixture(), accelerate=True)) == 0
    assert len(align(variants_of([]), fixture(), budget=1)) == 0
