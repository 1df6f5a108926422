"""How many times as fast are our exact alignments as those of pm4py and r4pm?

Every side gets the same distinct variants of the same model, in its own objects: reading,
converting and deduplicating them is not timed. Costs are equal, which is asserted (pm4py's fastest
search may find dearer alignments: how often is told). All sides give costs and moves.

- ours: `align`, cold (a model of which nothing is known: its automaton is explored too) and warm
  (the automaton is known from before; the table of the search is always built anew), each compiled
  by numba and in numpy alone. Compiling itself is not timed.
- pm4py's fastest search: `dijkstra_less_memory`, a call for each variant; its A*: with the state
  equation, which is exact. Of more than 2,000 variants (A*: 300) they are given every k-th, and
  what they took is scaled up; nothing that they do is shared between variants.
- r4pm: Dijkstra in Rust, one call from Python for all variants, which gives back JSON.

On models of more than 1,000 states ours is made to use A* on the net, whose states need not be
listed (by itself it would only past 20,000). Since the others need seconds for single variants
there, they are given 10 variants and a limit of 10 s for each, and what they do not finish is told.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.real_logs import UCI, opened, prepared
from benchmarks.turns import milliseconds, seconds, side_by_side
from mining.block_nets import Blocks
from mining.small_models import model_of, plain_of, variants_of
from oracles.nets import perturbed, random_run

from process_mining.alignment import align
from process_mining.columnar.sql import variants as variants_of_log
from process_mining.errors import CodedError
from process_mining.interop import to_pm4py_net, to_pm4py_trace
from process_mining.model import ReferenceModel
from process_mining.model_discovery import Method, discover_model
from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.conftest import Tell
    from oracles.nets import PlainNet

    from process_mining.variants import Variants

pytestmark = [
    pytest.mark.benchmark,
    # pm4py's own warnings are none of ours
    pytest.mark.filterwarnings("ignore"),
]

ROOT = Path(__file__).parents[2]
REFERENCE = {path.parent.name: path for path in sorted((ROOT / "rules/itil").glob("*/model.bpmn"))}
SIMULATED = 20_000
TURNS = 5
MOST_STATES = 1_000
COMPILED = find_spec("numba") is not None
RUST = find_spec("r4pm") is not None
FASTEST = "pm4py's fastest"
# its name for the search, and the variants it is given at most
PM4PY = {
    FASTEST: ("VERSION_DIJKSTRA_LESS_MEMORY", 2_000),
    "pm4py's A*": ("VERSION_STATE_EQUATION_A_STAR", 300),
}
LARGE_VARIANTS, LARGE_LIMIT_S = 10, 10


@dataclass(frozen=True)
class Contest:
    """One model and the variants that all sides align with it."""

    model: ReferenceModel
    variants: Variants

    @property
    def traces(self) -> list[tuple[str, ...]]:
        return [self.variants.trace(i) for i in range(len(self.variants))]

    def says(self, what: str) -> str:
        return (
            f"{what} ({self.model.automaton.n_states} states; "
            f"n = {len(self.variants):,} variants, {len(self.variants.codes):,} events)"
        )


def fresh(model: ReferenceModel) -> ReferenceModel:
    """Return a model of which nothing has been worked out yet."""
    return replace(model)


def own_ways(contest: Contest) -> dict[str, Callable[[], object]]:
    model, variants = contest.model, contest.variants
    ways: dict[str, Callable[[], object]] = {
        "numpy, cold": lambda: align(variants, fresh(model), accelerate=False),
        "numpy, warm": lambda: align(variants, model, accelerate=False),
    }
    if COMPILED:
        ways["numba, cold"] = lambda: align(variants, fresh(model), accelerate=True)
        ways["numba, warm"] = lambda: align(variants, model, accelerate=True)
    return ways


def by_pm4py(
    kind: str, traces: Sequence[Sequence[str]], model: ReferenceModel, *, limit_s: float = 1e9
) -> Callable[[], list[int | None]]:
    """Return a call that gives the costs, None for a trace that was not done in time."""
    from pm4py.algo.conformance.alignments.petri_net import (  # noqa: PLC0415 - slow import
        algorithm,
    )

    net = to_pm4py_net(model)
    theirs = [to_pm4py_trace(trace) for trace in traces]
    variant = algorithm.Variants[kind]
    limits = {"max_align_time_trace": limit_s, "max_align_time": limit_s}
    return lambda: [
        None if found is None else int(found["cost"]) // 10_000
        for found in (
            algorithm.apply(trace, *net, variant=variant, parameters=dict(limits))
            for trace in theirs
        )
    ]


def compare(tell: Tell, what: str, contest: Contest) -> None:
    """Time all sides turn by turn, ask for equal costs, and tell the ratios."""
    traces, model = contest.traces, contest.model
    costs = align(contest.variants, model, accelerate=False).lower.tolist()
    ways = own_ways(contest)
    theirs: dict[str, Callable[[], object]] = {}
    share, dearer = {}, ""
    for name, (kind, most) in PM4PY.items():
        part = slice(None, None, -(-len(traces) // most))
        share[name] = len(traces[part]) / len(traces)
        theirs[name] = do = by_pm4py(kind, traces[part], model)
        pairs = list(zip(costs[part], do(), strict=True))
        assert all(cost is not None and own <= cost for own, cost in pairs)
        wrong = sum(own != cost for own, cost in pairs)
        assert not wrong or name == FASTEST
        dearer += f"; {name} was not optimal for {wrong:,} of {len(pairs):,}" * (wrong > 0)
    log = None
    if RUST:
        from oracles.rust_alignments import Log, net_json  # noqa: PLC0415 - only where it is there

        log, net = Log(traces), net_json(plain_of(model))
        assert log.costs(log.align(net)) == costs
        theirs["r4pm"] = lambda: log.align(net)
    for do in ways.values():
        do()
    took = {name: median(t) for name, t in side_by_side(ways | theirs, TURNS).items()}
    took = {name: spent / share.get(name, 1.0) for name, spent in took.items()}
    if log is not None:
        log.close()
    lines = [f"{contest.says(what)}, median of {TURNS} turns:"]
    for name in ways:
        ratios = ", ".join(f"{times(took[x] / took[name])} {x}" for x in theirs)
        lines.append(f"ours, {name}: {milliseconds(took[name])}; as fast as {ratios}")
    lines.append(", ".join(f"{name}: {milliseconds(took[name])}" for name in theirs) + dearer)
    tell("\n".join(lines))


def times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def simulated(model: ReferenceModel, n: int, seed: int = 1) -> Variants:
    """Distinct noisy runs of a model: at most n, of at most 10 tries for each."""
    random = Random(seed)  # noqa: S311 - a seeded benchmark
    plain = plain_of(model)
    words = [*model.activities, "Something else"]
    found: dict[tuple[str, ...], None] = {}
    for _ in range(10 * n):
        found[perturbed(random_run(plain, random), random, words)] = None
        if len(found) == n:
            break
    return variants_of(found)


# --- (a) reference models


@pytest.mark.parametrize("name", ["uci", "bpi13", "bpi14"])
def test_reference_models_and_real_logs(name: str, tell: Tell) -> None:
    desk = prepared(name)
    assert desk.model is not None
    assert desk.variants is not None
    compare(
        tell, f"model of {desk.model.name}, variants of {name}", Contest(desk.model, desk.variants)
    )


@pytest.mark.parametrize("practice", REFERENCE)
def test_reference_models_and_noisy_runs(practice: str, tell: Tell) -> None:
    model = ReferenceModel.from_bpmn(REFERENCE[practice])
    n = SIMULATED if practice == largest() else SIMULATED // 10
    compare(tell, f"model of {practice}, noisy runs", Contest(model, simulated(model, n)))


@cache
def largest() -> str:
    """The practice whose model has most states."""
    return max(
        REFERENCE, key=lambda name: ReferenceModel.from_bpmn(REFERENCE[name]).automaton.n_states
    )


# --- (b) mined models


@cache
def raw_variants(name: str) -> Variants:
    return variants_of_log(opened(name))


@pytest.mark.parametrize(
    ("method", "noise"), [("inductive", 0.0), ("inductive", 0.2), ("heuristics", 0.2)]
)
@pytest.mark.parametrize("name", ["uci", "bpi13", "bpi14"])
def test_mined_models_and_real_logs(name: str, method: Method, noise: float, tell: Tell) -> None:
    variants = raw_variants(name)
    what = f"{method} model of {name}, noise {noise}"
    try:
        model = discover_model(variants, method=method, noise=noise).model
        small = model.explorable and model.automaton.n_states <= MOST_STATES
    except CodedError as error:
        tell(f"{what}: refused, {error.code}")
        return
    if small:
        compare(tell, what, Contest(model, variants))
    else:
        states = f"{model.automaton.n_states:,}" if model.explorable else "too many"
        every = range(0, len(variants), len(variants) // (10 * LARGE_VARIANTS))
        traces = [variants.trace(i) for i in every]
        compare_large(tell, f"{what} ({states} states)", model, traces)


# --- (c) against reading


def test_aligning_against_reading_a_million_events(tmp_path: Path, tell: Tell) -> None:
    if not UCI.is_file():
        pytest.skip(f"{UCI.name} is missing: the real logs are not part of this project")
    head, body = gzip.decompress(UCI.read_bytes()).split(b"\n", 1)
    path = tmp_path / "uci.csv"
    copies = -(-1_000_000 // body.count(b"\n"))
    with path.open("wb") as file:
        file.write(head + b"\n")
        for copy in range(copies):
            file.write(body.replace(b"INC", b"I%02d" % copy))
    options = ReadOptions(mapping=find_mapping("uci_servicenow"))
    log = open_log([path], options)
    variants = variants_of_log(log)
    desk = prepared("uci")
    assert desk.variants is not None
    assert desk.model is not None
    mined = discover_model(variants, method="inductive", noise=0.2).model
    contests = {
        "the reference model, in its words": Contest(desk.model, desk.variants),
        "a mined model": Contest(mined, variants),
    }
    ways: dict[str, Callable[[], object]] = {"reading": lambda: open_log([path], options)}
    for what, contest in contests.items():
        ways |= {f"{what}, {name}": do for name, do in own_ways(contest).items()}
    for do in ways.values():
        do()
    took = {name: median(turns) for name, turns in side_by_side(ways, TURNS).items()}
    reading = took.pop("reading")
    n = f"n = {log.n_events:,} events, {log.n_cases:,} cases, {len(variants):,} raw variants"
    lines = [f"reading {milliseconds(reading)} ({n}), median of {TURNS} turns; aligning against:"]
    for name, spent in took.items():
        lines.append(f"{name}: {milliseconds(spent)}, {spent / reading:.1%} of reading")
    tell("\n".join(lines))


# --- (d) models whose states are too many


def large_nets() -> dict[str, PlainNet]:
    """Models of 10 to 16 branches: plain, looping, optional, repeated, with duplicate tasks."""

    def tasks(blocks: Blocks, n: int) -> list[Callable[[int, int], None]]:
        return [blocks.task(f"c{i:02d}") for i in range(n)]

    found: dict[str, PlainNet] = {}
    b = Blocks()
    found["14 branches"] = b.net(b.sequence(b.task("A"), b.parallel(*tasks(b, 14)), b.task("Z")))
    b = Blocks()
    loops = [
        b.loop(b.sequence(b.task(f"c{i}"), b.task(f"d{i}")), b.task(f"r{i}")) for i in range(10)
    ]
    found["10 looping branches"] = b.net(b.sequence(b.task("A"), b.parallel(*loops), b.task("Z")))
    b = Blocks()
    again = b.loop(b.parallel(*tasks(b, 15)), b.task("R"))
    found["15 branches, repeated"] = b.net(b.sequence(b.task("A"), again, b.task("Z")))
    b = Blocks()
    some = b.parallel(*map(b.optional, tasks(b, 16)))
    found["16 optional branches"] = b.net(b.sequence(b.task("A"), some, b.task("Z")))
    b = Blocks()
    free = [b.optional(b.loop(task, b.task(None))) for task in tasks(b, 11)]
    found["11 free activities"] = b.net(b.parallel(*free))
    b = Blocks()
    twice = [b.sequence(b.task(f"c{i // 3}"), b.task("x"), b.task(f"d{i}")) for i in range(9)]
    found["9 branches with duplicates"] = b.net(
        b.sequence(b.task("A"), b.parallel(*twice), b.task("Z"))
    )
    return found


@pytest.mark.parametrize("name", large_nets())
def test_large_models(name: str, tell: Tell) -> None:
    model = model_of(large_nets()[name])
    variants = simulated(model, 10 * LARGE_VARIANTS)
    traces = [variants.trace(i) for i in range(len(variants))]
    compare_large(tell, name, model, traces)


def compare_large(
    tell: Tell, what: str, model: ReferenceModel, traces: Sequence[tuple[str, ...]]
) -> None:
    """Time A* on the net with every tenth trace against pm4py, and tell how many it proves."""
    found = align(variants_of(traces), model, budget=0)
    every = traces[:: len(traces) // LARGE_VARIANTS][:LARGE_VARIANTS]
    some = variants_of(every)
    sample = align(some, model, budget=0)
    ours = median(seconds(lambda: align(some, fresh(model), budget=0)) for _ in range(TURNS))
    first = (
        f"{what}, {int((found.lower == found.upper).sum())} of {len(traces)} variants proven"
        f" optimal; n = {len(some)} of them, {len(some.codes):,} events: ours"
        f" {milliseconds(ours)} (median of {TURNS} turns)"
    )
    lines = [first]
    for name, (kind, _) in PM4PY.items():
        costs: list[int | None] = []
        do = by_pm4py(kind, every, model, limit_s=LARGE_LIMIT_S)
        spent = seconds(lambda do=do, costs=costs: costs.extend(do()))  # type: ignore[misc]
        bounds = zip(costs, sample.lower.tolist(), sample.upper.tolist(), strict=True)
        assert all(
            cost is None or low <= cost <= (cost if name == FASTEST else high)
            for cost, low, high in bounds
        )
        late = f", {costs.count(None)} not done in {LARGE_LIMIT_S} s each" * (None in costs)
        lines.append(
            f"{name}: {milliseconds(spent)} (one turn){late}; ours {times(spent / ours)} as fast"
        )
    tell("\n".join(lines))


def test_of_large_models_that_we_do_not_list_states() -> None:
    """What `budget=0` asks for is the search on the net."""
    model = model_of(large_nets()["14 branches"])
    some = simulated(model, 5)
    assert (np.asarray(align(some, model, budget=0).state_before) == -1).all()
