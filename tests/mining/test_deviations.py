"""Are the moves of alignments read as the words that a person would use?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from mining.small_models import model_of, variants_of
from oracles.nets import PlainNet, random_net, random_run

from process_mining.alignment import MoveKind, align
from process_mining.alignment.deviations import DeviationKind, Deviations, explain
from process_mining.model import Net, ReferenceModel, Transition

# a, then b or c (d behind c), then perhaps e, then f: silent steps skip e
#      p0 -a-> p1 -b-> p3 -e-> p4 -f-> end
#              p1 -c-> p2 -d-> p3    p3 -silent-> p4
Step = tuple[str | None, Sequence[int], Sequence[int]]
STEPS: list[Step] = [
    ("a", [0], [1]),
    ("b", [1], [3]),
    ("c", [1], [2]),
    ("d", [2], [3]),
    ("e", [3], [4]),
    (None, [3], [4]),
    ("f", [4], [5]),
]


def model_from(steps: Sequence[Step], n_places: int, end: int) -> ReferenceModel:
    """The model of some steps that begins with a token on place 0."""
    one = [tuple(int(place == marked) for place in range(n_places)) for marked in (0, end)]
    return model_of(PlainNet(n_places, list(steps), one[0], one[1]))


MODEL = model_from(STEPS, 6, 5)


def explained(*traces: str) -> Deviations:
    return explain(align(variants_of(traces), MODEL))


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ("abf", []),
        ("acdef", []),
        ("ab", [("f was skipped", 2)]),
        ("bf", [("a was skipped", 0)]),
        ("abxf", [("x was not expected", 2)]),
        ("abbf", [("b was repeated", 2)]),
        ("abfa", [("a was repeated", 3)]),
        # f stands before b and is due after it; two moves, one deviation
        ("afb", [("b came too late", 2)]),
        # e is optional: the run passed its place in silence
        ("abfe", [("e came too late", 3)]),
        ("aebf", [("e came too early", 1)]),
        # c and d are one way, b the other
        ("acdbf", [("b was done, which is of another branch than c", 3)]),
        ("abdf", [("d was not expected", 2)]),
    ],
)
def test_words(trace: str, said: list[tuple[str, int]]) -> None:
    assert [(one.text, one.at) for one in explained(trace).of(0)] == said


def test_a_step_of_another_branch_instead_of_the_one_that_was_skipped() -> None:
    # d cannot come without c: b is done in the place of c
    (one,) = explained("abdef").of(0)
    assert (one.kind, one.activity) == (DeviationKind.UNEXPECTED, "d")
    steps = [("a", [0], [1]), ("b", [1], [2]), ("c", [1], [3]), ("d", [3], [4]), ("e", [4], [5])]
    steps += [("f", [5], [6]), ("g", [2], [7]), ("h", [7], [8]), ("i", [8], [6])]
    model = model_from(steps, 9, 6)
    found = explain(align(variants_of([list("abdef")]), model))
    (one,) = found.of(0)
    assert one.text == "b was done, which is of another branch than c"
    assert (one.at, one.moves, one.instead) == (1, 2, "c")


def test_counts_weigh_variants_by_their_cases() -> None:
    found = explained(*["abxxf"] * 3, *["abf"] * 5, *["ab"] * 4)
    rows = found.counts().to_dict("records")
    assert rows == [
        {"kind": "skipped", "activity": "f", "instead": None, "n": 4, "cases": 4},
        {"kind": "unexpected", "activity": "x", "instead": None, "n": 6, "cases": 3},
    ]
    assert found.counts(np.array([0, 0, 1]))["activity"].tolist() == ["f"]
    assert found.to_pandas()["text"].tolist() == [
        "x was not expected",
        "x was not expected",
        "f was skipped",
    ]


def test_no_cases() -> None:
    found = explain(align(variants_of([]), MODEL))
    assert found.counts().empty
    assert found.to_pandas().empty


def random_traces(random: Random) -> tuple[ReferenceModel, list[list[str]]]:
    net = random_net(random, size=random.randint(2, 9), labels="abcdefg")
    traces = []
    for _ in range(30):
        trace = random_run(net, random, steps=40)[:25]
        for _ in range(random.randint(0, 4)):
            at = random.randint(0, len(trace))
            trace[at : at + random.randint(0, 2)] = random.choices(
                "abcdefgx", k=random.randint(0, 2)
            )
        traces.append(trace)
    return model_of(net), [list(t) for t in sorted({tuple(t) for t in traces})]


@pytest.mark.parametrize("seed", range(25))
def test_every_move_is_told_exactly_once(seed: int) -> None:
    model, traces = random_traces(Random(seed))  # noqa: S311 - a seeded test
    alignments = align(variants_of(traces), model)
    found = explain(alignments)
    for variant, trace in enumerate(traces):
        told = found.of(variant)
        assert sum(one.moves for one in told) == alignments.upper[variant]
        events = [one for one in told if one.kind is not DeviationKind.SKIPPED]
        # an event is told by its own name; a skipped activity by the place where it is missing
        assert all(trace[one.at] == one.activity for one in events)
        assert len({one.at for one in events}) == len(events)
        assert all(0 <= one.at <= len(trace) for one in told)
        optimal = alignments.alignment(variant)
        assert not isinstance(optimal, tuple)
        moves = Counter(move.kind for move in optimal.moves)  # type: ignore[union-attr]
        assert len(events) == moves[MoveKind.LOG]


@pytest.mark.parametrize("seed", range(10))
def test_names_and_order_of_variants_do_not_matter(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a seeded test
    model, traces = random_traces(random)
    # order-preserving new names: the deterministic choice among equals goes by state and name
    new = {name: f"{name} (renamed)" for name in "abcdefgx"}
    renamed = ReferenceModel.from_net(
        Net(
            model.net.places,
            tuple(
                Transition(t.name, new.get(t.label or ""), t.consumes, t.produces)
                for t in model.net.transitions
            ),
            model.net.initial,
            model.net.final,
        )
    )
    order = random.sample(range(len(traces)), len(traces))
    here = explain(align(variants_of(traces), model))
    there = explain(align(variants_of([[new[x] for x in traces[i]] for i in order]), renamed))
    for position, i in enumerate(order):
        ours = [(one.kind, new[one.activity], one.at, one.moves) for one in here.of(i)]
        assert ours == [(o.kind, o.activity, o.at, o.moves) for o in there.of(position)]
