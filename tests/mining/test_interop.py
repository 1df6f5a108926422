"""Models that pm4py discovers from variants: they fit, and hang on the variants alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mining.small_models import model_of, plain_of, variants_of
from oracles.dijkstra import alignment_cost
from oracles.naive_runs import traces_of_net
from oracles.nets import random_net

from process_mining.errors import CodedError
from process_mining.interop import from_pm4py_net, heuristics_net, inductive_tree, to_pm4py_net
from process_mining.model_discovery import METHODS, discover_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.model import ReferenceModel
    from process_mining.model_discovery import Method

ROOT = Path(__file__).parents[2]
traces = st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=1, max_size=12)
quick = settings(max_examples=40, deadline=None)
DESK = [list("abd")] * 6 + [list("acd")] * 5 + [list("abxbd")] * 2 + [["a"]]

# Two hash seeds, and two orders of the traces: the same models, on a clean standard output.
PROGRAM = """
import json, random, sys
sys.path[:0] = json.loads(sys.argv[1])
from mining.small_models import variants_of
from process_mining.model_discovery import METHODS, discover_model
draw = random.Random(5)
words = ["Act_1", "Act 1", "b_c", "b", "c_d", "Zoë", "1", "2"]
logs = [[tuple(draw.choices(words, k=draw.randint(0, 7))) for _ in range(25)] for _ in range(6)]
found = []
for log in logs:
    for noise in (0.0, 0.3):
        for method in METHODS:
            one = discover_model(variants_of(log), method=method, noise=noise)
            said = (one.model.net, one.model.diagram, one.absent, one.unsound, one.not_bpmn)
            found.append(repr(said))
print(json.dumps(found))
"""


def plain(model: ReferenceModel, longest: int = 5) -> frozenset[tuple[str, ...]]:
    return traces_of_net(plain_of(model), longest)


@quick
@given(traces)
def test_without_noise_every_variant_is_a_run_of_the_inductive_model(
    log: list[list[str]],
) -> None:
    """What the Inductive Miner promises, whatever it is given."""
    found = discover_model(variants_of(log), noise=0.0)
    net = plain_of(found.model)
    assert {alignment_cost(net, trace) for trace in log} == {0}
    assert (found.absent, found.unsound, found.not_bpmn) == ((), "", "")
    assert found.cases == len(log)


@quick
@given(traces, st.sampled_from(METHODS), st.floats(0, 1))
def test_the_order_of_cases_changes_nothing(
    log: list[list[str]], method: Method, noise: float
) -> None:
    known = Counter(map(tuple, log))
    forward, back = (
        variants_of([t for t in order for _ in range(known[t])])
        for order in (sorted(known), sorted(known, reverse=True))
    )
    assert repr(outcome(forward, method, noise)) == repr(outcome(back, method, noise))


def outcome(variants: object, method: Method, noise: float) -> object:
    try:
        found = discover_model(variants, method=method, noise=noise)  # type: ignore[arg-type]
    except CodedError as error:
        return error.code
    return found.model.net, found.model.diagram, found.absent, found.unsound, found.not_bpmn


def test_the_hash_seed_changes_nothing_and_nothing_is_printed() -> None:
    paths = json.dumps([str(ROOT), str(ROOT / "tests")])
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, paths],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "20")
    ]
    assert said[0] == said[1]
    assert len(json.loads(said[0])) == 6 * 2 * len(METHODS)  # nothing but our own line


def test_a_small_desk_is_found_by_both_miners() -> None:
    wanted = {("a", "b", "d"), ("a", "c", "d"), ("a", "b", "x", "b", "d")}
    for method in METHODS:
        found = discover_model(variants_of(DESK), method=method, noise=0.0)
        assert not found.unsound
        assert wanted <= plain(found.model)
        assert ("b", "d") not in plain(found.model)


def test_noise_leaves_rare_ways_out() -> None:
    log = [list("ab")] * 50 + [["a"]]
    assert plain(discover_model(variants_of(log), noise=0.0).model) == {("a", "b"), ("a",)}
    assert plain(discover_model(variants_of(log), noise=0.3).model) == {("a", "b")}


def test_weights_say_which_cases_count() -> None:
    variants = variants_of([list("ab"), list("ac")])
    only = discover_model(variants, weights=variants.counts * [1, 0])
    assert plain(only.model) == {("a", "b")}
    assert (only.cases, only.absent) == (1, ())
    with pytest.raises(CodedError, match=r"^LG342 "):
        discover_model(variants, weights=variants.counts * 0)


def test_an_unsound_net_is_told_with_its_run_and_not_drawn() -> None:
    log = [list("abcdef"), list("bacedf"), list("cabfed"), list("afcbde"), list("fdabce")]
    found = discover_model(variants_of(log), method="heuristics", noise=0.0)
    assert "Tokens gather without end" in found.unsound or "cannot be reached" in found.unsound
    assert not found.model.diagram.shapes


def test_activities_that_a_model_lacks_are_named() -> None:
    log = [list("abc")] * 50 + [["x"]]
    found = discover_model(variants_of(log), method="heuristics", noise=0.5)
    assert found.absent == ("x",)
    assert "x" not in found.model.activities


@pytest.mark.parametrize("noise", [-0.1, 1.1])
def test_a_noise_that_is_no_share_is_refused(noise: float) -> None:
    with pytest.raises(CodedError, match=r"^LG343 "):
        discover_model(variants_of([["a"]]), noise=noise)


@pytest.mark.parametrize("log", [[[]], [[], []], [["a"]], [["a"], []]])
def test_the_smallest_logs_have_models(log: Sequence[Sequence[str]]) -> None:
    found = discover_model(variants_of(log), noise=0.0)
    assert plain(found.model) >= set(map(tuple, log))
    if not any(log):
        with pytest.raises(CodedError, match=r"^LG341 "):
            heuristics_net(variants_of(log), noise=0.0)


def test_a_label_of_digits_is_no_number_of_an_activity() -> None:
    log = [["0", "1"], ["1", "0"]]
    assert inductive_tree(variants_of(log), noise=0.0).labels == {"0", "1"}


@quick
@given(st.integers(0, 10**6))
def test_a_net_travels_to_pm4py_and_back(seed: int) -> None:
    draw = Random(seed)  # noqa: S311 - a test, not a secret
    model = model_of(random_net(draw, size=6, labels="abcd"))
    back = from_pm4py_net(*to_pm4py_net(model))
    assert plain(back, 4) == plain(model, 4)
