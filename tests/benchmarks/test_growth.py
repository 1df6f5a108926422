"""How does the time of alignments grow with variants, their length, and the model's states?

Three series, each on one log-log picture with the slope of the fitted straight line (1 is linear):

- variants: 500 to 64,000 distinct noisy runs of the incident model (against their events);
- length: 1,000 variants of 10 to 1,280 events of a loop of five tasks, noisy;
- states: 2,000 noisy runs of models of 2 to 10 parallel branches, again and again (10 to 1,030
  states); runs grow longer with the branches, so time is given for each event.

Each point is the median of five turns of `align`, cold: the model's automaton and the table of the
search are built anew. Up to 200,000 events r4pm (Rust, called from Python) is drawn beside ours.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.turns import side_by_side
from matplotlib.figure import Figure
from mining.block_nets import Blocks
from mining.small_models import model_of, plain_of, variants_of
from oracles.nets import perturbed, random_run

from process_mining.alignment import align
from process_mining.model import ReferenceModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.conftest import Tell

    from process_mining.variants import Variants

pytestmark = pytest.mark.benchmark

INCIDENT = Path(__file__).parents[2] / "rules" / "itil" / "incident" / "model.bpmn"
TURNS = 5
RUST_MOST_EVENTS = 200_000
COLOURS = {"numpy": "#b35900", "numba": "#00579e", "r4pm": "#666666"}
MARKS = {"numpy": "s", "numba": "o", "r4pm": "^"}
Series = dict[str, list[tuple[float, float]]]


def noisy(model: ReferenceModel, n: int) -> list[tuple[str, ...]]:
    random = Random(5)  # noqa: S311 - a seeded benchmark
    plain, words = plain_of(model), [*model.activities, "Something else"]
    found: dict[tuple[str, ...], None] = {}
    while len(found) < n:
        found[perturbed(random_run(plain, random), random, words)] = None
    return list(found)


def timed(model: ReferenceModel, variants: Variants) -> dict[str, float]:
    """Seconds of each way, and equal costs of all."""
    ways: dict[str, Callable[[], object]] = {
        "numpy": lambda: align(variants, replace(model), accelerate=False)
    }
    if find_spec("numba"):
        ways["numba"] = lambda: align(variants, replace(model), accelerate=True)
    costs = [align(variants, model, accelerate=name == "numba").lower.tolist() for name in ways]
    log = None
    if find_spec("r4pm") and len(variants.codes) <= RUST_MOST_EVENTS:
        from oracles.rust_alignments import Log, net_json  # noqa: PLC0415 - only where it is there

        log = Log([variants.trace(i) for i in range(len(variants))])
        net = net_json(plain_of(model))
        costs.append(log.costs(log.align(net)))
        ways["r4pm"] = lambda: log.align(net)
    assert all(one == costs[0] for one in costs)
    took = {name: median(turns) for name, turns in side_by_side(ways, TURNS).items()}
    if log is not None:
        log.close()
    return took


def slope(points: Sequence[tuple[float, float]]) -> float:
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def draw(series: Series, x: str, y: str, title: str) -> Figure:
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    for name, points in series.items():
        label = f"{name}, slope {slope(points):.2f}"
        axes.loglog(
            *zip(*points, strict=True), marker=MARKS[name], color=COLOURS[name], label=label
        )
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left")
    axes.grid(visible=True, which="major", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def told(tell: Tell, series: Series, what: str, name: str, axes: tuple[str, str]) -> None:
    slopes = ", ".join(
        f"{way} {slope(points):.2f} (from {points[0][0]:,.0f} to {points[-1][0]:,.0f})"
        for way, points in series.items()
    )
    tell(f"slope against {what}: {slopes}; median of {TURNS} turns a point")
    tell.picture(draw(series, *axes, f"Alignment time against {what}"), name, f"Against {what}")


def add(series: Series, x: float, took: dict[str, float], per: int = 1) -> None:
    for name, spent in took.items():
        series.setdefault(name, []).append((x, spent / per))


def test_growth_with_variants(tell: Tell) -> None:
    model = ReferenceModel.from_bpmn(INCIDENT)
    traces, series = noisy(model, 64_000), {}
    for n in (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000):
        variants = variants_of(traces[:n])
        add(series, len(variants.codes), timed(model, variants))
    axes = ("events of the distinct variants", "seconds")
    told(tell, series, "the events of the variants", "variants", axes)


def test_growth_with_length(tell: Tell) -> None:
    blocks = Blocks()
    steps = blocks.sequence(*(blocks.task(word) for word in "abcde"))
    model = model_of(blocks.net(blocks.loop(steps, blocks.task(None))))
    random, series = Random(6), {}  # noqa: S311 - a seeded benchmark
    for rounds in (2, 4, 8, 16, 32, 64, 128, 256):
        found: dict[tuple[str, ...], None] = {}
        while len(found) < 1_000:
            trace = list("abcde" * rounds)
            for _ in range(max(3, rounds // 2)):
                at = random.randrange(len(trace))
                trace[at] = random.choice("abcdex")
            found[tuple(trace)] = None
        add(series, 5 * rounds, timed(model, variants_of(found)))
    axes = ("events a variant", "seconds for 1,000 variants")
    told(tell, series, "the length of variants", "length", axes)


def test_growth_with_states(tell: Tell) -> None:
    series: Series = {}
    for branches in range(2, 11):
        blocks = Blocks()
        tasks = [blocks.task(f"c{i}") for i in range(branches)]
        part = blocks.loop(blocks.parallel(*tasks), blocks.task("again"))
        model = model_of(blocks.net(blocks.sequence(blocks.task("A"), part, blocks.task("Z"))))
        variants = variants_of(noisy(model, 2_000))
        took = timed(model, variants)
        add(series, model.automaton.n_states, took, per=len(variants.codes))
    told(tell, series, "the states of the model", "states", ("states", "seconds an event"))
