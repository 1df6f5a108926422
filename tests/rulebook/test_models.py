"""The reference models are sound, readable as drawings, and fair to real logs; rules cite norms."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from oracles.finite_trace import TokenGame

from process_mining.model import ReferenceModel
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.practice import load_practices, prepare_desk, translate
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from process_mining.model.diagram import Edge, Shape
    from rules.practice import Practice, PreparedDesk

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPIC13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
FITSM = DATA / "models" / "fitsm" / "fitsm3_extract.json"
MAPPING = ROOT / "process_mining" / "sources" / "mappings" / "uci_servicenow.toml"
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
BPMNDI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
DC = "{http://www.omg.org/spec/DD/20100524/DC}"
NAMES = ("incident", "problem")


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box) -> bool:
        apart_x = self.x + self.width <= other.x or other.x + other.width <= self.x
        apart_y = self.y + self.height <= other.y or other.y + other.height <= self.y
        return not (apart_x or apart_y)

    def crossed_by(self, a: tuple[float, float], b: tuple[float, float]) -> bool:
        """Whether a horizontal or vertical line runs through the inside."""
        (x1, x2), (y1, y2) = sorted((a[0], b[0])), sorted((a[1], b[1]))
        in_x = x1 < self.x + self.width and x2 > self.x
        return in_x and y1 < self.y + self.height and y2 > self.y


@cache
def practice(name: str) -> Practice:
    return load_practices()[name]


@cache
def model(name: str) -> ReferenceModel:
    path = practice(name).model_path
    assert path is not None
    return ReferenceModel.from_bpmn(path)  # refuses an unsound model


@cache
def root(name: str) -> ET.Element:
    path = practice(name).model_path
    assert path is not None
    return ET.parse(path).getroot()  # noqa: S314 - our own file


def boxes(name: str) -> dict[str, Box]:
    return {x.id: Box(x.x, x.y, x.width, x.height) for x in model(name).diagram.shapes}


def labels(name: str) -> dict[str, Box]:
    found = {}
    for kind in ("BPMNShape", "BPMNEdge"):
        for item in root(name).iter(f"{BPMNDI}{kind}"):
            bounds = item.find(f"{BPMNDI}BPMNLabel/{DC}Bounds")
            if bounds is not None:
                sizes = (float(bounds.get(k, "nan")) for k in ("x", "y", "width", "height"))
                found[item.get("bpmnElement", "")] = Box(*sizes)
    return found


# --- meaning


@pytest.mark.parametrize("name", NAMES)
def test_the_model_speaks_the_words_of_its_practice_each_once(name: str) -> None:
    tasks = [t.get("name") for t in root(name).iter(f"{BPMN}task")]
    assert sorted(tasks, key=str) == sorted(practice(name).activities)
    assert model(name).activities == tuple(sorted(practice(name).activities))


# Runs that the model must allow (+) and must not (-); a run over two lines goes on indented.
RUNS = {
    "incident": """
+ Register Classify Assign Diagnose Resolve Close
+ Register Classify Cancel
+ Register Classify Assign Diagnose Diagnose Assign Diagnose Escalate Diagnose Escalate Assign
    Diagnose Resolve Close
+ Register Classify Assign Diagnose Await_customer Await_problem Resolve Reopen Assign
    Diagnose Resolve Reopen Diagnose Await_supplier Await_evidence Diagnose Resolve Close
+ Register Classify Assign Diagnose Await_customer Cancel
- Register Classify Assign Resolve Close
- Register Classify Assign Diagnose Close
- Register Assign Classify Diagnose Resolve Close
- Register Classify Assign Await_customer Diagnose Resolve Close
- Register Classify Assign Diagnose Resolve Reopen Resolve Close
- Register Classify Assign Diagnose Resolve Close Close
- Register Classify Assign Diagnose Resolve Cancel
- Register Classify Assign Diagnose Escalate Resolve Close
- Register Classify Assign Diagnose Resolve
""",
    "problem": """
+ Register Classify Investigate Identify_root_cause Record_known_error Resolve Close
+ Register Classify Queue Assign Queue Investigate Wait Wait Investigate Assign Investigate
    Wait Identify_root_cause Find_workaround Record_known_error Resolve Close
+ Register Classify Assign Cancel
+ Register Classify Investigate Wait Cancel
+ Register Classify Investigate Identify_root_cause Record_known_error Find_workaround Resolve
    Reopen Investigate Identify_root_cause Record_known_error Resolve Close
- Register Classify Identify_root_cause Record_known_error Resolve Close
- Register Classify Investigate Identify_root_cause Find_workaround Resolve Close
- Register Classify Investigate Resolve Close
- Register Classify Wait Investigate Cancel
- Register Classify Investigate Queue Identify_root_cause Record_known_error Resolve Close
- Register Classify Investigate Identify_root_cause Record_known_error Cancel
- Register Investigate Cancel
""",
}


def runs(name: str, sign: str) -> list[list[str]]:
    """The runs of one model with one sign, as lists of activities."""
    lines = RUNS[name].replace("\n    ", " ").split("\n")
    found = [line.removeprefix(sign).split() for line in lines if line.startswith(sign)]
    return [[word.replace("_", " ") for word in run] for run in found]


@pytest.mark.parametrize("name", NAMES)
def test_the_model_allows_what_it_should_and_nothing_else(name: str) -> None:
    path = practice(name).model_path
    assert path is not None
    game = TokenGame(path)
    assert len(runs(name, "+")) == 5
    assert len(runs(name, "-")) >= 7
    for run in runs(name, "+"):
        assert game.verdict(run, complete=True) == "conforms", run
    for run in runs(name, "-"):
        assert game.verdict(run, complete=True) == "violates", run


@pytest.mark.skipif(not FITSM.exists(), reason="../shared/data/models/fitsm is missing")
@pytest.mark.parametrize("name", NAMES)
def test_every_task_cites_a_fitsm_activity_word_for_word(name: str) -> None:
    activities = json.loads(FITSM.read_text(encoding="utf-8"))["activities"]
    steps = {(key.split()[0], step) for key, listed in activities.items() for step in listed}
    for task in root(name).iter(f"{BPMN}task"):
        text = task.findtext(f"{BPMN}documentation", "")
        clause = re.search(r"[A-Z]+\.A\d", text)
        quoted = re.findall(r'"([^"]+)"', text)
        assert clause is not None, task.get("name")
        assert any((clause[0], quote) in steps for quote in quoted), text


@pytest.mark.skipif(not FITSM.exists(), reason="../shared/data/models/fitsm is missing")
def test_every_clause_that_a_rule_cites_exists() -> None:
    known = json.loads(FITSM.read_text(encoding="utf-8"))["requirements"]
    for rule in load_catalogue().rules:
        if rule.practice in ("incident", "problem", "feedback"):
            assert rule.reference.fitsm
            assert set(rule.reference.fitsm) <= set(known), rule.code
            assert rule.reference.iso20000


# --- the drawing


@pytest.mark.parametrize("name", NAMES)
def test_every_node_has_a_shape_and_every_flow_an_edge(name: str) -> None:
    process = root(name).find(f"{BPMN}process")
    assert process is not None
    flows = {x.get("id") for x in process.iter(f"{BPMN}sequenceFlow")}
    nodes = {x.get("id") for x in process if x.get("id")} - flows
    diagram = model(name).diagram
    assert [x.id for x in diagram.shapes] == list(dict.fromkeys(x.id for x in diagram.shapes))
    assert {x.id for x in diagram.shapes} == nodes
    assert {x.id for x in diagram.edges} == flows


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_labels_do_not_overlap(name: str) -> None:
    shapes = [(f"shape {i}", box) for i, box in boxes(name).items()]
    texts = [(f"label {i}", box) for i, box in labels(name).items()]
    for (a, box), (b, other) in combinations([*shapes, *texts], 2):
        assert not box.overlaps(other), f"{a} and {b}"


@pytest.mark.parametrize("name", NAMES)
def test_everything_with_a_name_outside_a_task_has_a_label(name: str) -> None:
    diagram = model(name).diagram
    named = {x.id for x in diagram.shapes if x.name and x.kind != "task"}
    named |= {x.id for x in diagram.edges if x.name}
    assert named == set(labels(name))


@pytest.mark.parametrize("name", NAMES)
def test_edges_start_and_end_on_the_border_of_their_shapes(name: str) -> None:
    shapes = {x.id: x for x in model(name).diagram.shapes}
    for edge in model(name).diagram.edges:
        assert touches(shapes[edge.source], edge.waypoints[0]), edge.id
        assert touches(shapes[edge.target], edge.waypoints[-1]), edge.id
        assert steps_are_straight(edge), edge.id


@pytest.mark.parametrize("name", NAMES)
def test_no_edge_runs_through_a_shape_or_a_label(name: str) -> None:
    obstacles = {**boxes(name), **{f"label {k}": v for k, v in labels(name).items()}}
    for edge in model(name).diagram.edges:
        for a, b in pairwise(edge.waypoints):
            hit = [key for key, box in obstacles.items() if box.crossed_by(a, b)]
            assert hit == [], edge.id


@pytest.mark.parametrize("name", NAMES)
def test_the_main_way_reads_from_left_to_right(name: str) -> None:
    x_of = {shape.name: shape.x for shape in model(name).diagram.shapes}
    places = [x_of[word] for word in runs(name, "+")[0]]
    assert places == sorted(places)


def touches(shape: Shape, point: tuple[float, float]) -> bool:
    """A waypoint at the middle of one of the four sides, where all three kinds have a corner."""
    x, y = shape.x + shape.width / 2, shape.y + shape.height / 2
    sides = [(shape.x, y), (shape.x + shape.width, y), (x, shape.y), (x, shape.y + shape.height)]
    return point in sides


def steps_are_straight(edge: Edge) -> bool:
    return all(a != b and (a[0] == b[0] or a[1] == b[1]) for a, b in pairwise(edge.waypoints))


# --- real logs


def prepared(path: Path, name: str, options: ReadOptions) -> PreparedDesk:
    translation = translate(open_log([path], options), practice(name))
    return prepare_desk(translation, service_levels=load_service_levels(), as_of_us=0)


@pytest.mark.skipif(not UCI.exists(), reason="../shared/data/uci_servicenow is missing")
def test_uci_departs_only_where_diagnosis_is_skipped_or_comes_late() -> None:
    found = prepared(UCI, "incident", ReadOptions(mapping=MAPPING))
    assert found.desk.alignment is not None
    assert found.alignments is not None
    assert np.count_nonzero(found.desk.alignment.upper == 0) == 7_770
    counts = found.alignments.deviation_counts().set_index("activity")
    assert counts.loc["Diagnose", "skipped"] == 5_185
    assert counts["skipped"].sum() == 5_185  # no other step is missing anywhere
    assert counts["unexpected"].sum() < 400


@pytest.mark.skipif(not BPIC13.exists(), reason="../shared/data/bpic13 is missing")
def test_most_bpic13_problems_fit() -> None:
    found = prepared(BPIC13, "problem", ReadOptions())
    assert found.desk.alignment is not None
    assert np.count_nonzero(found.desk.alignment.upper == 0) == 1_298  # of 1,487


@pytest.mark.skipif(not BPIC13.exists(), reason="../shared/data/bpic13 is missing")
def test_real_verdicts_agree_with_the_token_game() -> None:
    found = prepared(BPIC13, "problem", ReadOptions())
    path = practice("problem").model_path
    assert path is not None
    assert found.alignments is not None
    assert found.variants is not None
    game = TokenGame(path, hidden=found.desk.unobserved)
    for index in range(len(found.variants)):
        fits = game.verdict(found.variants.trace(index), complete=True) == "conforms"
        assert fits == (found.alignments.upper[index] == 0)
