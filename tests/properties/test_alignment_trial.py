"""Are alignments exact: on 20,000 random variants of 200 random nets, by both of our searches?

Nets have loops, parallelism, silent steps and duplicate labels (`oracles/nets.py`); what share has
which is printed. A variant is a random run with events inserted, deleted, swapped and replaced.
Equal integer costs are asked for between

- Dijkstra on the synchronous product (`oracles/dijkstra.py`), whole variants and prefixes,
- the search through the model's automaton (`align`), in numpy, and compiled where numba is there,
- A* on the net (`AStar`),
- r4pm's Dijkstra in Rust, and pm4py's A* with the state equation on a sample;

and laws between costs of related variants and models. All of it: `make trial`. Without the mark a
small slice of it runs with the other tests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mining.small_models import model_of, variants_of
from oracles.dijkstra import alignment_cost, replays
from oracles.nets import PlainNet, perturbed, random_net, random_run

from process_mining.alignment import Alignments, MoveKind, Optimal, align
from process_mining.alignment.astar import AStar
from process_mining.interop import pm4py_alignment_costs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LABELS, WORDS = "abcdef", "abcdefxy"
STATES = 400
SLICE_NETS, SLICE_VARIANTS = 8, 25
NETS, VARIANTS = 200, 100
EACH_PM4PY = 20  # every so many-th variant is given to pm4py
Trace = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A random net and random variants of it."""

    plain: PlainNet
    traces: tuple[Trace, ...]


def case(seed: int, n_variants: int) -> Case:
    random = Random(1_000 + seed)  # noqa: S311 - a seeded test
    size = random.randint(4, 11)
    plain = random_net(random, size=size, labels=LABELS)
    while model_of(plain).automaton.n_states > STATES:
        plain = random_net(random, size=size, labels=LABELS)
    traces: dict[Trace, None] = {}
    while len(traces) < n_variants:
        traces[perturbed(random_run(plain, random, steps=40), random, WORDS)] = None
    return Case(plain, tuple(traces))


def a_star(plain: PlainNet) -> AStar:
    net = model_of(plain).net
    weights = [int(t.label is not None) for t in net.transitions]
    return AStar(net, log_weights=dict.fromkeys(WORDS, 1), model_weights=weights)


def check_costs(one: Case) -> tuple[Alignments, Counter[str]]:
    """Ask all ways for the costs; count what was compared."""
    costs = [alignment_cost(one.plain, trace) for trace in one.traces]
    prefixes = [alignment_cost(one.plain, trace, prefix=True) for trace in one.traces]
    variants, model = variants_of(one.traces), model_of(one.plain)
    alignments = align(variants, model, accelerate=False)
    ways = [alignments]
    if find_spec("numba"):
        ways.append(align(variants, model, accelerate=True))
    for found in ways:
        assert found.lower.tolist() == found.upper.tolist() == costs
        assert found.prefix.tolist() == prefixes
    search = a_star(one.plain)
    for trace, cost, prefix in zip(one.traces, costs, prefixes, strict=True):
        whole, begun = search.search(trace), search.search(trace, prefix=True)
        assert (whole.lower, whole.upper) == (cost, cost)
        assert (begun.lower, begun.upper) == (prefix, prefix)
    counts = Counter(nets=1, variants=len(costs), deviating=sum(cost > 0 for cost in costs))
    counts["compiled"] = len(costs) * (len(ways) - 1)
    counts["r4pm"] = check_rust(one, costs)
    return alignments, counts


def check_rust(one: Case, costs: Sequence[int]) -> int:
    if not find_spec("r4pm"):
        return 0
    from oracles.rust_alignments import Log, net_json  # noqa: PLC0415 - only where it is there

    log = Log(one.traces)
    assert log.costs(log.align(net_json(one.plain))) == list(costs)
    log.close()
    return len(costs)


def check_moves(one: Case, alignments: Alignments) -> None:
    """The moves of both searches are full runs of the net that spell the variant at its cost."""
    net, search = model_of(one.plain).net, a_star(one.plain)
    for i, trace in enumerate(one.traces):
        found = alignments.alignment(i)
        assert isinstance(found, Optimal)
        other = [
            (MoveKind(kind).name, trace[at] if at >= 0 else net.transitions[t].label)
            for kind, t, at in search.search(trace).moves
        ]
        for moves in ([(move.kind.name, move.activity) for move in found.moves], other):
            assert replays(one.plain, moves)
            assert tuple(word for kind, word in moves if kind in {"SYNC", "LOG"}) == trace
            assert sum(kind in {"LOG", "MODEL"} for kind, _ in moves) == found.cost


def both(plain: PlainNet, traces: Sequence[Trace]) -> Iterator[list[int]]:
    """Costs by the automaton and by A*."""
    yield align(variants_of(traces), model_of(plain), accelerate=False).lower.tolist()
    search = a_star(plain)
    yield [search.search(trace).lower for trace in traces]


def check_laws(one: Case, costs: Sequence[int]) -> None:
    """Renaming, an unknown event more, a doubled net, a hidden activity, a removed event."""
    traces, plain = list(one.traces), one.plain
    turned = str.maketrans(WORDS, WORDS[5::-1] + WORDS[6:])
    renamed = [(label and label.translate(turned), c, p) for label, c, p in plain.transitions]
    other = replace(plain, transitions=renamed)
    for found in both(other, [tuple(w.translate(turned) for w in t) for t in traces]):
        assert found == list(costs)
    for found in both(plain, [("x", *trace) for trace in traces]):
        assert found == [cost + 1 for cost in costs]
    # a second copy of every transition allows nothing new
    for found in both(replace(plain, transitions=plain.transitions * 2), traces):
        assert found == list(costs)
    hidden = [(None if label == "a" else label, c, p) for label, c, p in plain.transitions]
    without = dict.fromkeys(tuple(w for w in trace if w != "a") for trace in traces)
    least = dict(zip(without, next(both(plain, list(without))), strict=True))
    for found in both(replace(plain, transitions=hidden), list(without)):
        assert all(cost <= most for cost, most in zip(found, least.values(), strict=True))
    shorter = dict.fromkeys(trace[:-1] for trace in traces if trace)
    removed = dict(zip(shorter, next(both(plain, list(shorter))), strict=True))
    for trace, cost in zip(traces, costs, strict=True):
        assert not trace or abs(removed[trace[:-1]] - cost) <= 1


def shapes(nets: Sequence[PlainNet]) -> Counter[str]:
    """Count the nets that have what makes alignments hard."""
    found: Counter[str] = Counter()
    for net in nets:
        labels = [label for label, _, _ in net.transitions if label]
        found["duplicate labels"] += len(labels) > len(set(labels))
        found["parallel"] += any(len(consumed) > 1 for _, consumed, _ in net.transitions)
        found["silent"] += any(label is None for label, _, _ in net.transitions)
        found["loops"] += has_loop(net)
    return found


def has_loop(net: PlainNet) -> bool:
    reach = np.eye(net.n_places, dtype=bool)
    for _, consumed, produced in net.transitions:
        reach[np.ix_(consumed, produced)] = True
    for _ in range(net.n_places):
        reach = (reach.astype(np.int64) @ reach) > 0
    return bool((reach & reach.T & ~np.eye(net.n_places, dtype=bool)).any())


@pytest.mark.parametrize("seed", range(SLICE_NETS))
def test_a_slice_of_the_trial(seed: int) -> None:
    one = case(seed, SLICE_VARIANTS)
    alignments, _ = check_costs(one)
    check_moves(one, alignments)
    check_laws(one, alignments.lower.tolist())


@pytest.mark.trial
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_twenty_thousand_variants_of_two_hundred_nets() -> None:
    total: Counter[str] = Counter()
    nets = []
    for seed in range(NETS):
        one = case(seed, VARIANTS)
        nets.append(one.plain)
        alignments, counts = check_costs(one)
        check_moves(one, alignments)
        check_laws(one, alignments.lower.tolist())
        sample = one.traces[seed % EACH_PM4PY :: EACH_PM4PY]
        theirs = pm4py_alignment_costs(sample, model_of(one.plain))
        assert theirs == alignments.lower[seed % EACH_PM4PY :: EACH_PM4PY].tolist()
        total += counts
        total["pm4py"] += len(sample)
    assert (total["nets"], total["variants"]) == (NETS, NETS * VARIANTS)
    found = shapes(nets)
    assert min(found.values()) > NETS // 10
    told = ", ".join(f"{name} {n:,}" for name, n in [*total.items(), *sorted(found.items())])
    print(f"\nexact alignments, no difference: {told}")  # noqa: T201 - a trial is there to tell
