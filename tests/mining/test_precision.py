"""Do precision and generalisation say what their sources define?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mining.small_models import model_of, variants_of
from oracles.nets import random_net, random_run

from process_mining.alignment import align
from process_mining.alignment.precision import model_quality
from process_mining.interop import to_pm4py_net, to_pm4py_trace
from process_mining.model import Net, ReferenceModel, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oracles.nets import PlainNet


def repeated(traces: Sequence[Sequence[str]], counts: Sequence[int]) -> list[Sequence[str]]:
    return [trace for trace, n in zip(traces, counts, strict=True) for _ in range(n)]


def fitting(
    seed: int, *, distinct: bool = False
) -> tuple[PlainNet, list[tuple[str, ...]], list[int]]:
    """A random net, some of its complete runs, and how many cases took each."""
    random = Random(seed)  # noqa: S311 - a seeded test
    net = random_net(random, size=random.randint(3, 8), labels="abcdefgh")
    if distinct:
        steps = enumerate(net.transitions)
        net.transitions = [(label and f"{label}{i}", c, p) for i, (label, c, p) in steps]
    runs = Counter(tuple(random_run(net, random, steps=60)) for _ in range(40))
    model = model_of(net)
    traces = sorted(run for run in runs if run)
    if not traces:
        return net, [], []
    whole = align(variants_of(traces), model).upper == 0
    kept = [trace for trace, fits in zip(traces, whole, strict=True) if fits]
    return net, kept, [runs[trace] for trace in kept]


def after(net: PlainNet, prefix: Sequence[str]) -> dict[str, set[tuple[int, ...]]]:
    """What may come after a prefix, by playing the token game over all markings at once."""

    def settled(markings: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
        todo, seen = list(markings), set(markings)
        while todo:
            marking = todo.pop()
            for step in net.enabled(marking):
                if (
                    net.transitions[step][0] is None
                    and (new := net.fire(marking, step)) not in seen
                ):
                    seen.add(new)
                    todo.append(new)
        return seen

    def steps(markings: set[tuple[int, ...]]) -> dict[str, set[tuple[int, ...]]]:
        found: dict[str, set[tuple[int, ...]]] = defaultdict(set)
        for marking in settled(markings):
            for step in net.enabled(marking):
                label = net.transitions[step][0]
                if label is not None:
                    found[label].add(net.fire(marking, step))
        return found

    markings = {net.initial}
    for name in prefix:
        markings = steps(markings)[name]
    return dict(steps(markings))


@pytest.mark.parametrize("seed", range(15))
def test_equal_to_the_definition_played_with_tokens(seed: int) -> None:
    net, traces, counts = fitting(seed)
    if not traces:
        pytest.skip("this net has no run that ends within the limit")
    found = model_quality(align(variants_of(repeated(traces, counts)), model_of(net)))
    weight: Counter[tuple[str, ...]] = Counter()
    done: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for trace, n in zip(traces, counts, strict=True):
        for k, name in enumerate(trace):
            weight[trace[:k]] += n
            done[trace[:k]].add(name)
    allowed = {prefix: set(after(net, prefix)) for prefix in weight}
    escaping = sum(n * len(allowed[prefix] - done[prefix]) for prefix, n in weight.items())
    every = sum(n * len(allowed[prefix]) for prefix, n in weight.items())
    assert found.precision == pytest.approx(1 - escaping / every)
    assert (found.cases, found.visits) == (sum(counts), sum(weight.values()))


def test_generalisation_by_hand() -> None:
    # one state in front of a|b, seen 10 times with both: 2 x 3 / (10 x 9); then c, 10 times: 2 / 90
    steps = [("a", (0,), (1,)), ("b", (0,), (1,)), ("c", (1,), (2,))]
    transitions = tuple(Transition(f"t{i}", *step) for i, step in enumerate(steps))
    model = ReferenceModel.from_net(Net(("p", "q", "r"), transitions, (1, 0, 0), (0, 0, 1)))
    found = model_quality(align(variants_of(["ac"] * 7 + ["bc"] * 3), model))
    assert found.precision == 1.0
    assert found.generalisation == pytest.approx(1 - (10 * 6 / 90 + 10 * 2 / 90) / 20)
    once = model_quality(align(variants_of(["ac"]), model))
    assert once.generalisation == 0.0
    assert once.precision == pytest.approx(2 / 3)


def test_what_is_not_defined_is_none() -> None:
    net, _, _ = fitting(1)
    model = model_of(net)
    empty = model_quality(align(variants_of([]), model))
    assert (empty.precision, empty.generalisation, empty.cases) == (None, None, 0)
    some = align(variants_of(["a", "b"]), model)
    none = model_quality(some, np.array([0, 0]))
    assert (none.precision, none.cases) == (None, 0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore")
def test_precision_equals_pm4pys_on_logs_that_fit(seed: int) -> None:
    from pm4py.algo.evaluation.precision import algorithm  # noqa: PLC0415 - slow import
    from pm4py.objects.log.obj import EventLog  # noqa: PLC0415 - slow import

    # pm4py's states differ from ours where two steps have one name
    net, traces, counts = fitting(seed, distinct=True)
    log = EventLog([to_pm4py_trace(trace) for trace in repeated(traces, counts)])
    theirs = algorithm.apply(
        log, *to_pm4py_net(model_of(net)), variant=algorithm.Variants.ALIGN_ETCONFORMANCE
    )
    ours = model_quality(align(variants_of(repeated(traces, counts)), model_of(net))).precision
    assert ours is not None
    assert math.isclose(ours, theirs, abs_tol=1e-9)
