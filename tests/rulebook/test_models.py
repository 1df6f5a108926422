"""The reference models are sound, readable as drawings, and fair to real logs; rules cite norms."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from functools import cache
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pytest
from oracles.finite_trace import TokenGame

from process_mining.alignment import align
from process_mining.columnar.sql import variants
from process_mining.eventlog import EventLog, LogMeta
from process_mining.interop import from_pm4py_net
from process_mining.model import ReferenceModel
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.practice import load_practices, prepare_desk, translate
from rules.service_level import load_service_levels
from rules.spec import Control, Verdict

if TYPE_CHECKING:
    from process_mining.model.diagram import Edge, Shape
    from process_mining.variants import Variants
    from rules.practice import Practice, PreparedDesk

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPIC13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
FITSM = ROOT / "tests" / "data" / "fitsm" / "fitsm-3.0.json"
MAPPING = ROOT / "process_mining" / "sources" / "mappings" / "uci_servicenow.toml"
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
BPMNDI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
DC = "{http://www.omg.org/spec/DD/20100524/DC}"
NAMES = (
    "incident",
    "major_incident",
    "problem",
    "service_request",
    "standard_change",
    "normal_change",
    "emergency_change",
    "release",
    "service_level",
    "feedback",
    "knowledge",
    "continual_improvement",
)


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


def test_every_practice_but_change_enablement_has_a_model() -> None:
    """The kind of a change decides the model; one whose kind is not known is compared with none."""
    with_model = {one.name for one in load_practices().values() if one.model_path is not None}
    assert with_model == set(NAMES)
    assert set(load_practices()) - with_model == {"change"}


@pytest.mark.parametrize("name", NAMES)
def test_the_model_speaks_the_words_of_its_practice_each_once(name: str) -> None:
    tasks = [str(t.get("name")) for t in root(name).iter(f"{BPMN}task")]
    said = set(practice(name).activities)
    assert len(tasks) == len(set(tasks))
    assert set(tasks) <= said if practice(name).refines else set(tasks) == said
    assert model(name).activities == tuple(sorted(tasks))


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
    "major_incident": """
+ Register Classify Declare_major_incident Assign Assign_coordinator Diagnose Inform_stakeholders
    Resolve Review Close
+ Register Classify Assign Diagnose Escalate Assign Diagnose Declare_major_incident
    Assign_coordinator Inform_stakeholders Resolve Review Close
+ Register Classify Assign Diagnose Await_supplier Resolve Reopen Declare_major_incident Diagnose
    Assign_coordinator Inform_stakeholders Inform_stakeholders Resolve Review Close
+ Register Classify Declare_major_incident Assign Diagnose Resolve Assign_coordinator
    Inform_stakeholders Review Close
+ Register Classify Assign Declare_major_incident Diagnose Await_customer Await_problem
    Await_evidence Assign_coordinator Diagnose Inform_stakeholders Resolve Review Close
- Register Classify Assign Diagnose Resolve Review Close
- Register Classify Assign Diagnose Resolve Close
- Register Classify Declare_major_incident Assign Diagnose Inform_stakeholders Resolve Review Close
- Register Classify Declare_major_incident Assign_coordinator Assign Diagnose Resolve Review Close
- Declare_major_incident Register Classify Assign_coordinator Assign Inform_stakeholders Diagnose
    Resolve Review Close
- Register Classify Declare_major_incident Assign_coordinator Inform_stakeholders Assign Diagnose
    Resolve Close Review
- Register Classify Declare_major_incident Assign_coordinator Inform_stakeholders Assign Diagnose
    Resolve Review Reopen
- Register Classify Cancel
""",
    "service_request": """
+ Register Classify Assign Work Fulfil Close
+ Register Classify Request_approval Approve Queue Assign Work Await_customer Await_supplier Wait
    Work Escalate Queue Work Fulfil Reopen Assign Work Fulfil Close
+ Register Classify Request_approval Reject Request_approval Approve Work Fulfil Close
+ Register Classify Fulfil Close
+ Register Classify Work Await_customer Cancel
- Register Classify Work Close
- Register Classify Await_customer Work Fulfil Close
- Register Classify Request_approval Work Fulfil Close
- Register Classify Request_approval Reject Fulfil Close
- Register Classify Work Approve Fulfil Close
- Register Work Fulfil Close
- Register Classify Work Fulfil Cancel
- Register Classify Work Fulfil
""",
    "standard_change": """
+ Register Classify Schedule Implement Review Close
+ Register Classify Implement Close
+ Register Classify Schedule Implement Back_out Review Close
+ Register Classify Cancel
+ Register Classify Schedule Cancel
- Register Classify Request_approval Approve Implement Close
- Register Classify Implement Schedule Close
- Register Classify Implement Back_out Close
- Register Classify Implement Cancel
- Register Classify Schedule Close
- Register Schedule Implement Close
- Register Classify Implement Review Implement Close
""",
    "normal_change": """
+ Register Classify Assess Plan Request_approval Approve Schedule Implement Review Close
+ Register Classify Assess Request_approval Approve Plan Request_approval Approve Schedule
    Implement Back_out Review Close
+ Register Classify Assess Request_approval Reject Assess Plan Plan Request_approval Reject
+ Register Classify Assess Register Classify Assess Request_approval Approve Schedule Register
    Classify Assess Request_approval Approve Schedule Cancel
+ Register Classify Assess Request_approval Cancel
+ Register Classify Cancel
- Register Classify Assess Plan Schedule Implement Review Close
- Register Classify Assess Request_approval Schedule Implement Review Close
- Register Classify Assess Request_approval Reject Schedule Implement Review Close
- Register Classify Request_approval Approve Schedule Implement Review Close
- Register Classify Assess Request_approval Approve Implement Review Close
- Register Classify Assess Request_approval Approve Schedule Implement Close
- Register Classify Assess Request_approval Approve Schedule Implement Cancel
- Register Classify Assess Schedule Implement Request_approval Approve Review Close
""",
    "emergency_change": """
+ Register Classify Request_approval Approve Implement Review Close
+ Register Classify Assess Request_approval Approve Request_approval Approve Schedule Implement
    Back_out Review Close
+ Register Classify Request_approval Reject Request_approval Approve Implement Review Close
+ Register Classify Request_approval Reject
+ Register Classify Request_approval Approve Schedule Cancel
+ Register Classify Cancel
- Register Classify Implement Request_approval Approve Review Close
- Register Classify Implement Review Close
- Register Classify Request_approval Implement Review Close
- Register Classify Request_approval Approve Implement Close
- Register Classify Request_approval Approve Implement Back_out Close
- Register Classify Request_approval Reject Implement Review Close
- Register Classify Request_approval Approve Assess Implement Review Close
""",
    "release": """
+ Plan Build Test Accept Inform_and_train Prepare_deployment Deploy Review Inform_stakeholders Close
+ Plan Build Test Build Test Accept Prepare_deployment Inform_and_train Deploy Deploy Deploy
    Review Inform_stakeholders Close
+ Plan Build Test Accept Prepare_deployment Deploy Back_out Deploy Back_out Build Test Accept
    Prepare_deployment Deploy Review Inform_stakeholders Close
+ Plan Build Test Accept Prepare_deployment Deploy Back_out Review Inform_stakeholders Close
+ Plan Build Test Cancel
- Plan Build Accept Prepare_deployment Deploy Review Inform_stakeholders Close
- Plan Build Test Prepare_deployment Deploy Review Inform_stakeholders Close
- Plan Build Test Accept Deploy Prepare_deployment Review Inform_stakeholders Close
- Plan Build Test Accept Inform_and_train Deploy Review Inform_stakeholders Close
- Plan Build Test Accept Prepare_deployment Deploy Inform_stakeholders Close
- Plan Build Test Accept Prepare_deployment Deploy Review Close
- Plan Build Test Accept Prepare_deployment Deploy Cancel
""",
    "service_level": """
+ Register_requirement Define Negotiate Agree Evaluate Review Terminate
+ Register_requirement Define Negotiate Agree_underpinning Agree Evaluate Evaluate
    Notify_violation Evaluate Review Evaluate Review Terminate
+ Register_requirement Define Negotiate Define Negotiate Agree Evaluate Review Update Define
    Negotiate Agree Evaluate Review Terminate
+ Register_requirement Define Negotiate Cancel
+ Register_requirement Define Negotiate Agree Evaluate Notify_violation Review Update Define
    Negotiate Cancel
- Register_requirement Define Agree Evaluate Review Terminate
- Register_requirement Define Negotiate Agree Review Terminate
- Register_requirement Define Negotiate Agree Evaluate Terminate
- Register_requirement Define Negotiate Agree Evaluate Review Update Evaluate Review Terminate
- Register_requirement Define Negotiate Agree Notify_violation Evaluate Review Terminate
- Register_requirement Define Agree_underpinning Negotiate Agree Evaluate Review Terminate
- Register_requirement Define Negotiate Agree Cancel
""",
    "feedback": """
+ Ask_feedback Receive_feedback Classify Close
+ Receive_feedback Classify Contact_customer Close
+ Ask_feedback Ask_feedback Receive_feedback Classify Contact_customer Agree_action
    Complete_action Inform_customer Contact_customer Agree_action Complete_action
    Inform_customer Close
+ Receive_feedback Classify Contact_customer Agree_action Complete_action Inform_customer
    Inform_customer Close
+ Receive_feedback Classify Inform_customer Close
+ Receive_feedback Classify Contact_customer Agree_action Complete_action Inform_customer
    Contact_customer Close
+ Ask_feedback Expire
+ Receive_feedback Classify Close
- Ask_feedback Close
- Receive_feedback Close
- Receive_feedback Classify Contact_customer Agree_action Close
- Receive_feedback Classify Contact_customer Agree_action Complete_action Close
- Receive_feedback Classify Contact_customer Agree_action Complete_action Contact_customer Close
- Receive_feedback Classify Contact_customer Agree_action Inform_customer Complete_action Close
- Receive_feedback Classify Contact_customer Inform_customer Close
- Ask_feedback Receive_feedback Expire
- Receive_feedback Ask_feedback Classify Close
- Receive_feedback Classify Agree_action Complete_action Inform_customer Close
""",
    "knowledge": """
+ Draft Request_review Review Publish Retire
+ Draft Request_review Review Draft Request_review Review Publish Review Publish Review Retire
+ Draft Request_review Review Publish Flag Flag Update Request_review Review Publish Update
    Request_review Review Publish Flag Retire
+ Draft Request_review Review Publish Retire Draft Request_review Review Publish Retire
+ Draft Request_review Review Publish Retire Draft Cancel
+ Draft Request_review Review Draft Cancel
+ Draft Cancel
- Draft Publish Retire
- Draft Review Publish Retire
- Draft Request_review Publish Retire
- Draft Request_review Review Publish Update Publish Retire
- Draft Request_review Review Publish Flag Review Publish Retire
- Draft Request_review Review Publish Cancel
- Draft Request_review Review Publish Draft Request_review Review Publish Retire
- Draft Request_review Review Publish Retire Publish Retire
- Draft Request_review Review Publish Retire Update Request_review Review Publish Retire
- Draft Request_review Review Publish
""",
    "continual_improvement": """
+ Register Assess Start Measure_baseline Implement Evaluate Close
+ Register Assess Measure_baseline Start Implement Evaluate Evaluate Restart Implement Evaluate
    Close
+ Register Assess Postpone Assess Postpone Assess Cancel
+ Register Assess Start Measure_baseline Implement Cancel
+ Register Assess Start Measure_baseline Cancel
+ Register Assess Start Measure_baseline Implement Evaluate Restart Implement Cancel
- Register Assess Start Implement Evaluate Close
- Register Assess Start Measure_baseline Implement Close
- Register Assess Measure_baseline Implement Evaluate Close
- Register Start Measure_baseline Implement Evaluate Close
- Register Assess Start Measure_baseline Evaluate Close
- Register Assess Start Measure_baseline Implement Evaluate Implement Evaluate Close
- Register Assess Start Measure_baseline Implement Evaluate Cancel
- Register Assess Close
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
    assert len(runs(name, "+")) >= 5
    assert len(runs(name, "-")) >= 7
    for run in runs(name, "+"):
        assert game.verdict(run, complete=True) == "conforms", run
    for run in runs(name, "-"):
        assert game.verdict(run, complete=True) == "violates", run


def fitsm() -> dict[str, list[str]]:
    """The steps of each activity of FitSM-2, by its identifier."""
    listed = json.loads(FITSM.read_text(encoding="utf-8"))["activities"]
    return {key.split()[0]: steps for key, steps in listed.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_task_cites_a_fitsm_step_word_for_word(name: str) -> None:
    for task in root(name).iter(f"{BPMN}task"):
        activity, _, step = practice(name).fitsm[str(task.get("name"))].partition(" step ")
        text = task.findtext(f"{BPMN}documentation", "")
        assert text.startswith(f"FitSM-2 3.0, {activity}"), text
        assert f'"{fitsm()[activity][int(step) - 1]}"' in text


@pytest.mark.parametrize("name", NAMES)
def test_the_process_says_its_version_its_date_and_what_it_rests_on(name: str) -> None:
    process, known = root(name).find(f"{BPMN}process"), practice(name)
    assert process is not None
    text = process.findtext(f"{BPMN}documentation", "")
    iso = [one for one in known.references if one.norm == "ISO/IEC 20000-1"]
    assert ReferenceModel.from_bpmn(known.model_path or Path()).version == str(known.version)
    assert f"Version {known.version}, in force from {known.valid_from}." in text
    assert f"ITIL 4 practice: {known.itil}." in text
    assert all(f"{one.clause} {one.text}" in text for one in iso)
    assert "FitSM-2 3.0 (ITEMO e.V., CC BY 4.0)" in text


def test_every_clause_that_is_cited_exists() -> None:
    known = json.loads(FITSM.read_text(encoding="utf-8"))["requirements"]
    for rule in load_catalogue().rules:
        assert rule.reference.fitsm, rule.code
        assert set(rule.reference.fitsm) <= set(known), rule.code
        assert rule.reference.iso20000, rule.code
    for one in load_practices().values():
        assert one.references, one.name
        for cited in one.references:
            assert cited.norm != "FitSM" or cited.text == known[cited.clause], cited
            assert len(cited.text) < 60 or cited.norm == "FitSM", cited


@cache
def allows(name: str, run: tuple[str, ...]) -> bool:
    """Whether a case that follows the model can show these steps, and others in between."""
    path, known = practice(name).model_path, practice(name)
    assert path is not None
    steps = [activity for activity in run if activity not in known.outside_model]
    game = TokenGame(path, hidden=set(known.activities) - set(steps))
    over = bool(steps) and steps[-1] in known.ends
    return game.verdict(steps, complete=over) != "violates"


def test_a_case_that_follows_the_model_can_keep_every_rule() -> None:
    """One of the ways that a rule shows as right is a way through a model of its cases."""
    for rule in load_catalogue().rules:
        kinds = [name for name in NAMES if rule.case_type in {name, practice(name).refines}]
        right = [one for one in rule.examples if one.verdict is Verdict.CONFORMS]
        runs = [tuple(event.activity for event in example.events) for example in right]
        assert any(allows(name, run) for run in runs for name in kinds), rule.code


def controls_written() -> dict[tuple[str, str], set[str]]:
    """The table at the head of change/practice.toml: the rules of each control and kind."""
    found: dict[tuple[str, str], set[str]] = {}
    control = ""
    for line in practice("change").path.read_text(encoding="utf-8").splitlines():
        columns = line[:4], line[4:27].strip(), line[28:39].strip(), line[40:]
        if columns[0] == "#   " and f"{columns[2]}_change" in NAMES:
            control = columns[1] if columns[1] in get_args(Control) else control
            found[control, f"{columns[2]}_change"] = set(re.findall("CHG[0-9]{3}", columns[3]))
    return found


def test_the_controls_over_changes_are_those_that_are_written_or_a_reason_is() -> None:
    kinds = [name for name in NAMES if practice(name).refines == "change"]
    written = controls_written()
    assert set(written) == set(product(get_args(Control), kinds))
    for (control, kind), codes in written.items():
        rules = load_catalogue().for_cases(kind)
        assert codes == {rule.code for rule in rules if rule.control == control}, (control, kind)
    without = {key for key, codes in written.items() if not codes}
    assert without == {
        ("request", "standard_change"),
        ("test", "standard_change"),
        ("test", "emergency_change"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_file_holds_together_as_editors_demand(name: str) -> None:
    """Ids once each; flows said alike on both ends; parts in the order of the BPMN schema."""
    ids = [x.get("id") for x in root(name).iter() if x.get("id")]
    assert len(ids) == len(set(ids))
    process = root(name).find(f"{BPMN}process")
    plane = next(root(name).iter(f"{BPMNDI}BPMNPlane"))
    assert process is not None
    assert plane.get("bpmnElement") == process.get("id")
    assert {x.get("bpmnElement") for x in plane} <= set(ids)
    flows = {x.get("id"): x for x in process.iter(f"{BPMN}sequenceFlow")}
    for node in set(process) - set(flows.values()):
        tags = [x.tag.removeprefix(BPMN) for x in node]
        order = ["documentation", "incoming", "outgoing"]
        assert tags == sorted(tags, key=order.index)
        for tag, end in (("incoming", "targetRef"), ("outgoing", "sourceRef")):
            said = {x.text for x in node.findall(f"{BPMN}{tag}")}
            assert said == {k for k, x in flows.items() if x.get(end) == node.get("id")}


def test_pm4py_reads_the_same_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second witness, with a reader and a translation into nets of its own."""
    pm4py = pytest.importorskip("pm4py")
    monkeypatch.setenv("PM4PY_SHOW_PROGRESS_BAR", "False")
    for name in NAMES:
        theirs = pm4py.read_bpmn(str(practice(name).model_path))
        game = from_pm4py_net(*pm4py.convert_to_petri_net(theirs))
        said = runs(name, "+") + runs(name, "-") + [sampled(name, seed) for seed in range(40)]
        ours = align(traces_of(said), model(name))
        other = align(traces_of(said), game)
        assert ours.upper.tolist() == other.upper.tolist(), name


def traces_of(said: list[list[str]]) -> Variants:
    """One case a run, so the variants are the distinct runs."""
    rows = [(f"c{i:03}", word, k) for i, run in enumerate(said) for k, word in enumerate(run)]
    columns = {"case_id": 0, "activity": 1, "at": 2}
    table = pa.table({key: [row[i] for row in rows] for key, i in columns.items()})
    return variants(EventLog.build(table, meta=LogMeta("test")))


def sampled(name: str, seed: int) -> list[str]:
    """Some words of the practice in some order: mostly a run with one word changed."""
    random = np.random.default_rng(seed)
    run = list(runs(name, "+")[seed % 5])
    words = practice(name).activities
    run[int(random.integers(len(run)))] = words[int(random.integers(len(words)))]
    return run


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
