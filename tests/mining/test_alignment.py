"""Exact alignments against plain Dijkstra and pm4py, and what must hold between their costs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from oracles.dijkstra import alignment_cost, replays
from oracles.nets import PlainNet, perturbed, random_net, random_run

from process_mining.alignment import (
    Alignments,
    Bounded,
    MoveKind,
    Optimal,
    align,
    case_alignment,
    plain,
)
from process_mining.errors import CodedError, RunError
from process_mining.eventlog import EventLog, LogMeta
from process_mining.interop import from_pm4py_net, pm4py_alignment_costs, to_pm4py_net
from process_mining.model import Net, ReferenceModel, Transition
from process_mining.variants import Variants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIXTURE = Path(__file__).parents[1] / "data" / "small_incident.bpmn"
LABELS = "abcdef"
WORDS = "abcdefxy"
SEEDS = range(20)
TRACES = 260
ARRAYS = [
    "lower",
    "upper",
    "prefix",
    "prefix_upper",
    "departure",
    "moves",
    "move_offsets",
    "state_before",
    "fitness",
]
NO_MATRIX_WARNING = pytest.mark.filterwarnings(  # pm4py hands numpy matrices to its solver
    "ignore:the matrix subclass:PendingDeprecationWarning"
)


def model_of(plain: PlainNet) -> ReferenceModel:
    net = Net(
        places=tuple(f"p{i}" for i in range(plain.n_places)),
        transitions=tuple(Transition(f"t{i}", *t) for i, t in enumerate(plain.transitions)),
        initial=plain.initial,
        final=plain.final,
    )
    return ReferenceModel.from_net(net)


def plain_of(model: ReferenceModel) -> PlainNet:
    transitions = [(t.label, t.consumes, t.produces) for t in model.net.transitions]
    return PlainNet(len(model.net.places), transitions, model.net.initial, model.net.final)


def variants_of(traces: Iterable[Sequence[str]]) -> Variants:
    """One case a trace; variants in the order in which they first come."""
    rows = [tuple(trace) for trace in traces]
    distinct = list(dict.fromkeys(rows))
    activities = tuple(sorted({word for trace in distinct for word in trace}))
    lengths = [len(trace) for trace in distinct]
    number = {trace: i for i, trace in enumerate(distinct)}
    of_case = np.array([number[row] for row in rows], dtype=np.int64)
    flat = [activities.index(word) for trace in distinct for word in trace]
    return Variants(
        activities=activities,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        codes=np.array(flat, dtype=np.int32),
        counts=np.bincount(of_case, minlength=len(distinct)).astype(np.int64),
        variant_of_case=of_case,
    )


@cache
def case(seed: int) -> tuple[PlainNet, ReferenceModel, Variants, Alignments]:
    """A random net of at most 130 states, and perturbed runs of it aligned with it."""
    random = Random(seed)  # noqa: S311 - a seeded test
    plain = random_net(random, size=random.randint(5, 9), labels=LABELS)
    model = model_of(plain)
    while model.automaton.n_states > 130:
        plain = random_net(random, size=6, labels=LABELS)
        model = model_of(plain)
    runs = [random_run(plain, random, steps=40) for _ in range(TRACES)]
    variants = variants_of([(), *(perturbed(run, random, WORDS) for run in runs)])
    return plain, model, variants, align(variants, model)


def assert_same(one: Alignments, other: Alignments) -> None:
    """The same costs, departures and moves through the same states, byte by byte."""
    for name in ARRAYS:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def optimal(alignments: Alignments, index: int) -> Optimal:
    found = alignments.alignment(index)
    assert isinstance(found, Optimal)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_equal_dijkstra(seed: int) -> None:
    plain, _, variants, alignments = case(seed)
    traces = [variants.trace(i) for i in range(len(variants))]
    assert alignments.lower.tolist() == [alignment_cost(plain, trace) for trace in traces]
    assert (alignments.upper == alignments.lower).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_prefix_costs_equal_dijkstra(seed: int) -> None:
    plain, _, variants, alignments = case(seed)
    for i in range(0, len(variants), 3):
        assert alignments.prefix[i] == alignment_cost(plain, variants.trace(i), prefix=True)


def test_the_nets_cover_what_they_should() -> None:
    nets = [case(seed)[0] for seed in SEEDS]
    labels = [[label for label, _, _ in net.transitions if label] for net in nets]
    assert len(nets) >= 10
    assert sum(len(found) > len(set(found)) for found in labels) >= 5
    assert sum(any(len(c) > 1 for _, c, _ in net.transitions) for net in nets) >= 5
    assert sum(len(case(seed)[2]) for seed in SEEDS) > 3_000
    assert sum(int((case(seed)[3].lower > 0).sum()) for seed in SEEDS) > 2_000


@pytest.mark.parametrize("seed", SEEDS)
def test_moves_make_a_full_run_and_spell_the_trace(seed: int) -> None:
    plain, _, variants, alignments = case(seed)
    for i in range(len(variants)):
        found = optimal(alignments, i)
        moves = [(move.kind.name, move.activity) for move in found.moves]
        assert replays(plain, moves)
        spelled = tuple(word for kind, word in moves if kind in {"SYNC", "LOG"})
        assert spelled == variants.trace(i)
        assert sum(kind in {"LOG", "MODEL"} for kind, _ in moves) == found.cost
        assert all((word is None) == (kind == "SILENT") for kind, word in moves)


@pytest.mark.parametrize("seed", SEEDS)
def test_cost_is_zero_exactly_for_the_runs_of_the_model(seed: int) -> None:
    plain, _, variants, alignments = case(seed)
    for i in range(len(variants)):
        accepted = _accepts(plain, variants.trace(i))
        assert (alignments.lower[i] == 0) == accepted
        assert (alignments.fitness[i] == 1.0) == accepted


def _accepts(plain: PlainNet, trace: Sequence[str]) -> bool:
    markings = _silently(plain, {plain.initial})
    for word in trace:
        markings = _silently(
            plain,
            {
                plain.fire(marking, t)
                for marking in markings
                for t in plain.enabled(marking)
                if plain.transitions[t][0] == word
            },
        )
    return plain.final in markings


def _silently(plain: PlainNet, markings: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
    todo, seen = list(markings), set(markings)
    while todo:
        marking = todo.pop()
        for t in plain.enabled(marking):
            after = plain.fire(marking, t)
            if plain.transitions[t][0] is None and after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_between_the_costs(seed: int) -> None:
    _, _, variants, alignments = case(seed)
    lengths = np.diff(variants.offsets)
    assert (alignments.prefix <= alignments.lower).all()
    assert (alignments.lower <= lengths + alignments.shortest_run).all()
    assert ((alignments.fitness >= 0) & (alignments.fitness <= 1)).all()
    assert ((alignments.departure >= 0) == (alignments.prefix > 0)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_departure_is_the_first_event_that_no_run_begins_with(seed: int) -> None:
    plain, _, variants, alignments = case(seed)
    for i in range(0, len(variants), 8):
        trace, at = variants.trace(i), int(alignments.departure[i])
        before = trace if at < 0 else trace[:at]
        assert alignment_cost(plain, before, prefix=True) == 0
        if at >= 0:
            assert alignment_cost(plain, trace[: at + 1], prefix=True) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_variants_and_size_of_the_table_change_nothing(seed: int) -> None:
    _, model, variants, alignments = case(seed)
    traces = [variants.trace(i) for i in range(len(variants))]
    turned = align(variants_of(traces[::-1]), model)
    for i in range(len(variants)):
        assert turned.alignment(len(variants) - 1 - i) == alignments.alignment(i)
    assert_same(align(variants, model, table_bytes=1), alignments)


@pytest.mark.parametrize("seed", SEEDS)
def test_renaming_activities_keeps_costs(seed: int) -> None:
    plain, _, variants, alignments = case(seed)
    names = {word: f"{25 - i:02d}" for i, word in enumerate(WORDS)}
    transitions = [(label and names[label], c, p) for label, c, p in plain.transitions]
    model = model_of(replace(plain, transitions=transitions))
    traces = [[names[word] for word in variants.trace(i)] for i in range(len(variants))]
    assert (align(variants_of(traces), model).lower == alignments.lower).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_event_more_costs_at_most_one(seed: int) -> None:
    _, model, variants, alignments = case(seed)
    traces = [(*variants.trace(i), "x") for i in range(len(variants))]
    assert (align(variants_of(traces), model).lower == alignments.lower + 1).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_hidden_activities_cost_nothing_when_skipped(seed: int) -> None:
    _, model, variants, _ = case(seed)
    hidden = model.hide(["a"])
    traces = [
        tuple(word for word in variants.trace(i) if word != "a") for i in range(len(variants))
    ]
    with_all = align(variants_of(traces), model)
    assert (align(variants_of(traces), hidden).lower <= with_all.lower).all()
    expected = [alignment_cost(plain_of(hidden), trace) for trace in dict.fromkeys(traces)][:40]
    assert align(variants_of(traces), hidden).lower[:40].tolist() == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_of_ways_and_rounds_over_arcs_agree(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model, variants, alignments = case(seed)
    monkeypatch.setattr(plain, "DENSE_STATES", 0)
    assert_same(align(variants, model, accelerate=False), alignments)


@NO_MATRIX_WARNING
def test_costs_equal_pm4py_a_star() -> None:
    for seed in (1, 4, 7, 11):
        _, model, variants, alignments = case(seed)
        traces = [variants.trace(i) for i in range(15)]
        assert pm4py_alignment_costs(traces, model) == alignments.lower[:15].tolist()


@NO_MATRIX_WARNING
def test_models_travel_to_pm4py_and_back() -> None:
    model = ReferenceModel.from_bpmn(FIXTURE)
    back = from_pm4py_net(*to_pm4py_net(model))
    traces = [("Register", "Diagnose", "Close"), ("Close", "Register"), ()]
    assert back.automaton.n_states == model.automaton.n_states
    there = align(variants_of(traces), model)
    assert (align(variants_of(traces), back).lower == there.lower).all()
    assert pm4py_alignment_costs(traces, model) == there.lower.tolist()


# Chosen examples on the fixture: Register, Diagnose (again)*, {Resolve, Inform customer}, Close

REGISTER, DIAGNOSE, CLOSE = "Register", "Diagnose", "Close"
RESOLVE, INFORM = "Resolve", "Inform customer"
PERFECT = (REGISTER, DIAGNOSE, INFORM, RESOLVE, CLOSE)


@cache
def fixture() -> ReferenceModel:
    return ReferenceModel.from_bpmn(FIXTURE)


def test_perfect_and_empty_traces() -> None:
    alignments = align(variants_of([PERFECT, ()]), fixture())
    assert alignments.lower.tolist() == [0, 5]
    assert alignments.prefix.tolist() == [0, 0]
    assert alignments.fitness.tolist() == [1.0, 0.0]
    assert alignments.shortest_run == 5


def test_empty_trace_on_a_model_that_allows_it_fits() -> None:
    net = Net(("p", "q"), (Transition("t", None, (0,), (1,)),), (1, 0), (0, 1))
    alignments = align(variants_of([()]), ReferenceModel.from_net(net))
    assert alignments.fitness.tolist() == [1.0]
    assert [move.kind for move in optimal(alignments, 0).moves] == [MoveKind.SILENT]


def test_no_variants() -> None:
    alignments = align(variants_of([]), fixture())
    assert len(alignments) == 0
    assert alignments.deviation_counts()["skipped"].sum() == 0


def test_moves_of_one_alignment() -> None:
    found = optimal(
        align(variants_of([(REGISTER, "Chat", DIAGNOSE, RESOLVE, CLOSE)]), fixture()), 0
    )
    visible = [(m.kind.name, m.activity) for m in found.moves if m.kind is not MoveKind.SILENT]
    assert found.cost == 2
    assert sorted(visible) == sorted(
        [
            ("SYNC", REGISTER),
            ("LOG", "Chat"),
            ("SYNC", DIAGNOSE),
            ("SYNC", RESOLVE),
            ("MODEL", INFORM),
            ("SYNC", CLOSE),
        ]
    )


def test_deviation_counts_are_weighted_by_cases() -> None:
    skipped, extra = (REGISTER, DIAGNOSE, RESOLVE, CLOSE), (*PERFECT, CLOSE)
    alignments = align(variants_of([skipped, skipped, extra]), fixture())
    assert counts_of(alignments) == {INFORM: (2, 0), CLOSE: (0, 1)}
    assert alignments.deviation_counts()["activity"].tolist() == sorted(PERFECT)
    assert counts_of(alignments, np.array([0, 7])) == {CLOSE: (0, 7)}


def counts_of(
    alignments: Alignments, weights: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
) -> dict[str, tuple[int, int]]:
    frame = alignments.deviation_counts(weights)
    rows = zip(frame["activity"], frame["skipped"], frame["unexpected"], strict=True)
    return {name: (skipped, extra) for name, skipped, extra in rows if skipped or extra}


def test_table_of_all_alignments() -> None:
    frame = align(variants_of([PERFECT, (CLOSE,)]), fixture()).to_pandas()
    assert frame["status"].tolist() == ["optimal", "optimal"]
    assert frame["lower"].tolist() == [0, 4]
    assert frame["trace"].tolist() == [PERFECT, (CLOSE,)]


def test_many_silent_moves_do_not_add_up_to_a_move() -> None:
    # every round of the loop takes three silent steps: 60,000 in all
    around = [Transition(f"s{i}", None, (i,), (i + 1,)) for i in range(1, 4)]
    back = Transition("back", None, (4,), (0,))
    work, end = Transition("work", "a", (0,), (1,)), Transition("end", "z", (0,), (5,))
    places = tuple(f"p{i}" for i in range(6))
    net = Net(places, (work, *around, back, end), (1, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 1))
    trace = [*("a" * 10_000), "z"]
    alignments = align(
        variants_of([trace, trace[:-1], ["x", *trace]]), ReferenceModel.from_net(net)
    )
    assert alignments.lower.tolist() == [0, 1, 1]
    assert alignments.fitness[0] == 1.0
    assert sum(move.kind is MoveKind.SILENT for move in optimal(alignments, 0).moves) == 40_000


def test_nets_of_any_shape_with_dead_ends() -> None:
    """Not block-structured: what cannot end is cut away, some activities wholly."""
    checked = 0
    for seed in range(180):
        random = Random(seed)  # noqa: S311 - a seeded test
        net = any_net(random)
        model = model_of(net)
        if not _has_an_end(model):
            continue
        checked += 1
        traces = [tuple(random.choices("abcdx", k=random.randint(0, 12))) for _ in range(25)]
        variants = variants_of(traces)
        alignments = align(variants, model)
        for i in range(len(variants)):
            found = optimal(alignments, i)
            assert found.cost == alignment_cost(net, variants.trace(i))
            assert replays(net, [(move.kind.name, move.activity) for move in found.moves])
    assert checked >= 15


def _has_an_end(model: ReferenceModel) -> bool:
    try:
        return model.automaton.n_states > 1
    except CodedError as error:
        assert error.code in {"MO201", "MO203"}  # noqa: PT017 - many nets, one outcome each
        return False


def any_net(random: Random) -> PlainNet:
    n = random.randint(3, 7)
    net = PlainNet(n_places=n)
    for _ in range(random.randint(4, 10)):
        consumed, produced = (random.sample(range(n), random.choice([1, 1, 1, 2])) for _ in "io")
        net.add(random.choice([None, *"abcd"]), consumed, produced)
    net.initial, net.final = (1,) + (0,) * (n - 1), (0,) * (n - 1) + (1,)
    return net


def test_silent_circles_end() -> None:
    transitions = (
        Transition("there", None, (0,), (1,)),
        Transition("back", None, (1,), (0,)),
        Transition("stay", None, (1,), (1,)),
        Transition("work", "a", (1,), (2,)),
    )
    net = Net(("p", "q", "r"), transitions, (1, 0, 0), (0, 0, 1))
    found = optimal(align(variants_of(["ba"]), ReferenceModel.from_net(net)), 0)
    assert [move.kind.name for move in found.moves] == ["SILENT", "LOG", "SYNC"]


def parallel(n: int) -> ReferenceModel:
    """N activities on parallel branches: 2**n + 2 states."""
    begins, ends = range(1, n + 1), range(n + 1, 2 * n + 1)
    transitions = (
        Transition("split", None, (0,), tuple(begins)),
        *(Transition(f"t{i}", f"a{i}", (b,), (b + n,)) for i, b in enumerate(begins)),
        Transition("join", None, tuple(ends), (2 * n + 1,)),
    )
    size = 2 * n + 2
    initial, final = ([0] * size for _ in range(2))
    initial[0] = final[-1] = 1
    places = tuple(f"p{i}" for i in range(size))
    return ReferenceModel.from_net(Net(places, transitions, tuple(initial), tuple(final)))


def test_a_model_too_large_for_tables_of_distances() -> None:
    model = parallel(11)
    assert model.automaton.n_states == 2**11 + 2
    words = [f"a{i}" for i in range(11)]
    traces = [words, words[::-1], words[3:], [*words, "a0"], ["x"], words[:5]]
    alignments = align(variants_of(traces), model)
    assert alignments.lower.tolist() == [0, 0, 3, 1, 12, 6]
    assert alignments.prefix.tolist() == [0, 0, 0, 1, 1, 0]


def test_over_the_budget_of_states_the_net_is_searched() -> None:
    model = parallel(6)
    words = [f"a{i}" for i in range(6)]
    traces = [words, words[3:], ["x", *words[:2]], [*words, "a0", "a0"], []]
    variants = variants_of(traces)
    by_net, by_automaton = align(variants, model, budget=50), align(variants, model)
    for name in ("lower", "upper", "prefix", "prefix_upper", "departure", "fitness"):
        assert (getattr(by_net, name) == getattr(by_automaton, name)).all(), name
    assert by_net.lower.tolist() == [0, 3, 5, 2, 6]
    assert by_net.departure.tolist() == [-1, -1, 0, 6, -1]
    assert (by_net.state_before == -1).all()
    assert len(by_net.state_before) == len(by_net.moves)


def test_bounds_are_told_apart_from_optimal_costs() -> None:
    alignments = align(variants_of([(CLOSE,)]), fixture())
    stopped = replace(alignments, upper=alignments.upper + 2)
    assert stopped.alignment(0) == Bounded(4, 6)


def test_hash_seed_changes_nothing() -> None:
    script = (
        "import sys; sys.path[:0] = ['.', 'tests', 'tests/mining']\n"
        "import hashlib, test_alignment as t\n"
        "found = [t.case(s)[3] for s in (2, 5)]\n"
        "print(hashlib.sha256(b''.join(a.moves.tobytes() for a in found)).hexdigest())"
    )
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            cwd=root,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 65


# Cases: from variants to positions in the log


def log_of(cases: Mapping[str, Sequence[str | None]]) -> EventLog:
    """Events a second apart; None is an update (no step)."""
    rows = [
        (case_id, word, at) for case_id, words in cases.items() for at, word in enumerate(words)
    ]
    events = pa.table(
        {
            "case_id": pa.array([row[0] for row in rows], pa.string()),
            "activity": pa.array([row[1] or "-" for row in rows], pa.string()),
            "at": pa.array([row[2] * 1_000_000 for row in rows], pa.int64()),
        }
    )
    ids = pa.table({"case_id": pa.array(sorted(cases), pa.string())})
    log = EventLog.build(events, cases=ids, meta=LogMeta("test"))
    words = [None if word == "-" else word for word in log.events["activity"].to_pylist()]
    return log.with_columns(events={"activity": pa.array(words, pa.string())})


def steps_of(log: EventLog, leave_out: Sequence[str] = ()) -> Variants:
    frame = log.events.select(["case_id", "activity"]).to_pylist()
    traces: dict[str, list[str]] = {case_id: [] for case_id in log.cases["case_id"].to_pylist()}
    for row in frame:
        if row["activity"] is not None and row["activity"] not in leave_out:
            traces[row["case_id"]].append(row["activity"])
    return variants_of(traces.values())


CASES: dict[str, Sequence[str | None]] = {
    "1-fits": [None, *PERFECT, None],
    "2-extra": [REGISTER, None, "Ask feedback", "Chat", DIAGNOSE, RESOLVE, INFORM, CLOSE],
    "3-skips": [REGISTER, None, RESOLVE, INFORM, CLOSE],
    "4-cut": [None, REGISTER, "Ask feedback", DIAGNOSE, None, None],
    "5-empty": [None],
    "6-nothing": [],
    "7-late": [*PERFECT, None, CLOSE],
}


def test_decisive_events() -> None:
    log = log_of(CASES)
    leave_out = ("Ask feedback",)
    variants = steps_of(log, leave_out)
    alignments = align(variants, fixture())
    starts = log.arrays.offsets[:-1]
    done = case_alignment(log, alignments, np.ones(7, dtype=bool), leave_out=leave_out)
    assert done.lower.tolist() == [0, 1, 1, 3, 5, 5, 1]
    assert (done.upper == done.lower).all()
    # where each case departs: the chat; the resolution that came undiagnosed; the last step of a
    # case that stopped too early; nowhere in a case without steps; the second closure
    within = [-1, 3, 2, 3, -1, -1, 6]
    expected = [-1 if w < 0 else int(s) + w for s, w in zip(starts, within, strict=True)]
    assert done.decisive.tolist() == expected


def test_open_cases_are_not_blamed_for_what_may_still_come() -> None:
    log = log_of(CASES)
    leave_out = ("Ask feedback",)
    alignments = align(steps_of(log, leave_out), fixture())
    running = case_alignment(log, alignments, np.zeros(7, dtype=bool), leave_out=leave_out)
    assert running.lower.tolist() == [0, 1, 1, 0, 0, 0, 1]
    assert (running.decisive >= 0).tolist() == [False, True, True, False, False, False, True]


def test_complete_and_open_cases_of_one_variant_differ() -> None:
    log = log_of({"a": [REGISTER, DIAGNOSE], "b": [REGISTER, DIAGNOSE]})
    found = case_alignment(log, align(steps_of(log), fixture()), np.array([True, False]))
    assert found.lower.tolist() == [3, 0]
    assert found.decisive.tolist() == [1, -1]


@pytest.mark.parametrize("leave_out", [(), ("Ask feedback", REGISTER)])
def test_variants_of_another_log_are_refused(leave_out: tuple[str, ...]) -> None:
    log = log_of(CASES)
    alignments = align(steps_of(log, ["Ask feedback"]), fixture())
    with pytest.raises(RunError, match="MO302"):
        case_alignment(log, alignments, np.ones(7, dtype=bool), leave_out=leave_out)
