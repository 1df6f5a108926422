"""What is written as BPMN is read back with the same runs, opens cleanly, and is only text."""

from __future__ import annotations

import itertools
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from improvement.command_line import HOSTILE_TEXTS
from mining.small_models import model_of, plain_of
from mining.small_trees import PLAIN_TREES, RANK, tree_of
from oracles.dijkstra import alignment_cost
from oracles.naive_runs import traces_of_net, traces_of_tree
from oracles.nets import random_net, random_run

from process_mining.model import Diagram, Net, ReferenceModel, Shape, Transition
from process_mining.model.block_layout import drawn
from process_mining.model.bpmn import BPMN
from process_mining.model.bpmn_writer import BLANK, spelled, write_bpmn
from process_mining.model.flow_chart import chart_of, obstacle
from process_mining.model.tree import Operator, Tree, tidy

if TYPE_CHECKING:
    from oracles.naive_runs import Tree as Plain

LONGEST = 4
quick = settings(max_examples=60, deadline=None)
WIDE = tree_of(
    (
        *(
            "sequence",
            "a",
            ("choice", "b", ("sequence", "c", ("loop", "d", ("parallel", "a", "b")))),
        ),
        *(("parallel", "b", ("loop", ("choice", "c", "d"), None), "a"), ("loop", None, "c")),
    )
)


def read_back(diagram: Diagram, name: str = "Round trip") -> ReferenceModel:
    return ReferenceModel.from_bpmn(write_bpmn(diagram, name=name))


@quick
@given(PLAIN_TREES)
def test_a_tree_is_read_back_with_its_runs_and_sound(plain: Plain) -> None:
    model = read_back(drawn(tidy(tree_of(plain), RANK)))  # from_bpmn refuses what is not sound
    assert traces_of_net(plain_of(model), LONGEST) == traces_of_tree(plain, LONGEST)


@quick
@given(st.integers(0, 10**6))
def test_a_net_is_read_back_with_its_runs(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a test, not a secret
    plain = random_net(random, size=random.randint(1, 9), labels="abcdefgh")
    net = model_of(plain).net
    assert obstacle(net) == ""
    model = read_back(chart_of(net))
    back = plain_of(model)
    for _ in range(5):
        for one, other in ((plain, back), (back, plain)):
            run = random_run(one, random, steps=60)
            whole = alignment_cost(one, run) == 0
            assert not whole or alignment_cost(other, run) == 0


def test_writing_what_was_read_changes_nothing() -> None:
    diagram = drawn(WIDE)
    first = read_back(diagram)
    assert first.diagram == diagram
    assert write_bpmn(first.diagram, name=first.name) == write_bpmn(diagram, name="Round trip")


@quick
@given(PLAIN_TREES)
def test_flows_run_along_rows_and_columns_and_shapes_keep_apart(plain: Plain) -> None:
    diagram = drawn(tidy(tree_of(plain), RANK))
    places = {shape.id: shape for shape in diagram.shapes}
    for edge in diagram.edges:
        for (x, y), (u, v) in itertools.pairwise(edge.waypoints):
            assert x == u or y == v
        assert on_border(places[edge.source], *edge.waypoints[0])
        assert on_border(places[edge.target], *edge.waypoints[-1])
    for one, other in itertools.combinations(diagram.shapes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def on_border(shape: Shape, x: float, y: float) -> bool:
    middle = (shape.x + shape.width / 2, shape.y + shape.height / 2)
    across = y == middle[1] and x in (shape.x, shape.x + shape.width)
    return across or (x == middle[0] and y in (shape.y, shape.y + shape.height))


def test_flows_meet_no_shape_on_their_way() -> None:
    diagram = drawn(WIDE)
    for edge in diagram.edges:
        for (x, y), (u, v) in itertools.pairwise(edge.waypoints):
            for shape in diagram.shapes:
                if shape.id in (edge.source, edge.target):
                    continue
                across = min(x, u) < shape.x + shape.width and max(x, u) > shape.x
                down = min(y, v) < shape.y + shape.height and max(y, v) > shape.y
                assert not (across and down), (edge, shape)


def test_the_file_is_what_editors_expect() -> None:
    data = write_bpmn(drawn(WIDE), name="A & B")
    root = ET.fromstring(data)  # noqa: S314 - our own bytes
    process = root.find(f"{{{BPMN}}}process")
    assert process is not None
    assert (process.get("name"), process.get("isExecutable")) == ("A & B", "false")
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    shown = [node.get("bpmnElement") for node in root.iter() if node.get("bpmnElement")]
    assert set(shown) <= set(ids)
    assert len(shown) == 1 + len(list(process))  # the plane, and every element once
    for word in ("startEvent", "endEvent"):
        assert len(process.findall(f"{{{BPMN}}}{word}")) == 1


def test_hostile_names_are_text_and_stay_apart() -> None:
    names = [*HOSTILE_TEXTS, "", " ", "a\x00b", "a\x01b", "a  b", "a b", "\ud800", "\uffff"]
    parts = tuple(Tree(label=name) for name in names)
    diagram = drawn(Tree(operator=Operator.SEQUENCE, children=parts))
    model = read_back(diagram, name='<"&\x00>\n')
    how = spelled(names)
    assert len(set(how.values())) == len(set(names))
    assert set(model.activities) == set(how.values())
    assert how["a b"] == "a b"  # what can be written as it is keeps its name
    assert how[""] == BLANK
    (run,) = traces_of_net(plain_of(model), len(names))
    assert run == tuple(how[name] for name in names)


@quick
@given(st.sets(st.text(st.characters(codec=None), max_size=6), max_size=12))
def test_spelling_is_one_to_one_on_one_line_and_again_itself(names: set[str]) -> None:
    how = spelled(names)
    assert how.keys() == names
    assert len(set(how.values())) == len(names)
    for name in how.values():
        assert name == " ".join(name.split())
        assert name
    assert spelled(how.values()) == {name: name for name in how.values()}


def net(*steps: tuple[str | None, tuple[int, ...], tuple[int, ...]], places: int) -> Net:
    transitions = tuple(Transition(f"t{i}", *step) for i, step in enumerate(steps))
    ends = [tuple(int(i == end) for i in range(places)) for end in (0, places - 1)]
    return Net(tuple(f"p{i}" for i in range(places)), transitions, *ends)


@pytest.mark.parametrize(
    ("given_net", "why"),
    [
        (net(("a", (0,), (1, 2)), ("b", (1,), (3,)), ("c", (1, 2), (3,)), places=4), "chosen"),
        (net(("a", (0,), (1, 1)), ("b", (1, 1), (2,)), places=3), "several tokens of one place"),
        (net(("a", (0,), (1,)), ("b", (1,), (0,)), ("c", (1,), (2,)), places=3), "leads to its"),
        (Net(("p", "q"), (), (1, 1), (0, 1)), "does not start and end with one token"),
    ],
)
def test_nets_that_gateways_cannot_say_are_told(given_net: Net, why: str) -> None:
    assert why in obstacle(given_net)
