"""What is read from BPMN 2.0, what is refused, and how errors name the place and the mend."""

from __future__ import annotations

from itertools import starmap
from pathlib import Path

import pytest
from mining.small_bpmn import LINE, NAMESPACE, bpmn, codes_of, error_of

from process_mining.errors import CodedError
from process_mining.model import Diagram, Edge, ReferenceModel, Shape
from process_mining.model.automaton import explore

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FIXTURE = Path(__file__).parents[1] / "data" / "small_incident.bpmn"


def test_fixture_is_read_with_version_activities_and_layout() -> None:
    model = ReferenceModel.from_bpmn(FIXTURE)
    assert (model.name, model.version) == ("Small incident", "2.1")
    assert model.activities == ("Close", "Diagnose", "Inform customer", "Register", "Resolve")
    assert model.diagram.shapes[0] == Shape("desk", "lane", "Service desk", 50, 40, 1180, 300)
    assert model.diagram.shapes[2] == Shape("register", "userTask", "Register", 180, 128, 100, 80)
    points = ((590.0, 143.0), (590.0, 100.0), (350.0, 100.0), (350.0, 143.0))
    assert Edge("f5", "solved", "again", points, "no") in model.diagram.edges
    assert (len(model.diagram.shapes), len(model.diagram.edges)) == (12, 12)


def test_translation_of_each_element() -> None:
    net = ReferenceModel.from_bpmn(FIXTURE).net
    assert len(net.places) == 12  # one a flow
    assert net.initial[0] == sum(net.initial) == 1
    assert sum(net.final) == 0
    silent = [t.name for t in net.transitions if t.label is None]
    assert silent == ["again#0", "again#1", "solved#0", "solved#1", "split", "join", "end"]
    split = next(t for t in net.transitions if t.name == "split")
    assert (len(split.consumes), len(split.produces)) == (1, 2)


def test_states_of_the_fixture() -> None:
    automaton = ReferenceModel.from_bpmn(FIXTURE).automaton
    # one a flow before the split (6), four pairs of flows between, one on each flow after, empty
    assert automaton.n_states == 6 + 4 + 2 + 1
    assert automaton.markings[automaton.final] == (0,) * 12


def test_task_with_two_flows_out_runs_them_in_parallel_and_two_in_run_it_twice() -> None:
    nodes = "s:startEvent:, a:task:A, b:task:B, c:task:C, d:task:D, e:endEvent:"
    model = ReferenceModel.from_bpmn(bpmn(nodes, "s>a a>b a>c b>d c>d d>e"))
    automaton = model.automaton
    d = automaton.activities.index("D")
    doubled = max(sum(marking) for marking in automaton.markings)
    assert doubled == 2
    assert (automaton.labels == d).sum() > 2


def test_two_flows_out_of_the_start_begin_in_parallel() -> None:
    nodes = "s:startEvent:, a:task:A, b:task:B, j:parallelGateway:, e:endEvent:"
    model = ReferenceModel.from_bpmn(bpmn(nodes, "s>a s>b a>j b>j j>e"))
    assert model.net.initial == (1, 1, 0, 0, 0)
    assert model.automaton.n_states == 4 + 2


def test_two_end_events_wait_for_all_tokens() -> None:
    nodes = "s:startEvent:, a:task:A, g:parallelGateway:, b:task:B, e:endEvent:, f:endEvent:"
    model = ReferenceModel.from_bpmn(bpmn(nodes, "s>a a>g g>b g>f b>e"))
    assert model.automaton.final == model.automaton.markings.index((0,) * 5)


def test_model_without_layout_has_an_empty_diagram() -> None:
    assert ReferenceModel.from_bpmn(bpmn(LINE, "s>t t>e")).diagram == Diagram()


def test_hide_makes_activities_silent() -> None:
    model = ReferenceModel.from_bpmn(FIXTURE)
    hidden = model.hide(["Inform customer", "No such"])
    assert "Inform customer" not in hidden.activities
    assert hidden.automaton.n_states == model.automaton.n_states
    assert model.hide(["No such"]) is model


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ('<adHocSubProcess id="sub" name="Deep">', "<adHocSubProcess id='sub' name='Deep'>"),
        ('<complexGateway id="or">', "<complexGateway id='or'>"),
        ('<choreographyTask id="i" name="wait">', "<choreographyTask id='i'"),
        ('<dataWarehouse id="note">', "<dataWarehouse id='note'>"),
        ('<eventBasedGateway id="b" eventGatewayType="Parallel">', "id='b'> with"),
        ('<foreign xmlns="http://example.org" id="x">', "<foreign id='x'>"),
        ('<callActivity id="c" name="C" startQuantity="2">', "<callActivity id='c' name='C'>"),
        ('<subProcess id="o"><complexGateway id="i"/>', "<complexGateway id='i'>"),
        ('<boundaryEvent id="b"><compensateEventDefinition/>', "in <boundaryEvent id='b'>"),
        ('<endEvent id="b"><eventDefinitionRef>q:no</eventDefinitionRef>', "to 'q:no'"),
    ],
)
def test_unsupported_element_is_named_with_its_line(more: str, named: str) -> None:
    tag = more[1:].split(maxsplit=1)[0]
    error = error_of(bpmn(LINE, "s>t t>e", more=f"{more}</{tag}>"))
    assert "MO105" in codes_of(error)
    told = next(line for line in str(error).splitlines() if "MO105" in line)
    assert named in told
    assert "line 7" in told
    assert "Supported:" in told


def test_unsupported_parts_of_supported_elements() -> None:
    nodes = "s:startEvent:, e:endEvent:"
    more = (
        '<task id="t" name="T" isForCompensation="true">\n<complexBehavior/></task>\n'
        '<task id="u" name="U" startQuantity="2"/>'
        '<endEvent id="x"><terminateEventDefinition/><errorEventDefinition/></endEvent>'
    )
    error = error_of(bpmn(nodes, "s>t t>u u>e t>x", more=more))
    assert codes_of(error) == ["MO105"] * 4
    assert "several triggers (terminate, error)" in str(error)


def test_condition_belongs_behind_what_decides() -> None:
    flow = '<sequenceFlow id="c" sourceRef="{}" targetRef="e"><conditionExpression/></sequenceFlow>'
    nodes = f"{LINE}, x:exclusiveGateway:, y:parallelGateway:"
    error = error_of(bpmn(nodes, "s>t t>x x>y y>e", more=flow.format("y")))
    assert error.code == "MO106"
    assert ReferenceModel.from_bpmn(bpmn(nodes, "s>t t>x x>y y>e", more=flow.format("x")))


def test_all_mistakes_are_told_at_once() -> None:
    nodes = "s:startEvent:, t:task:, t:task:T, e:endEvent:"
    error = error_of(bpmn(nodes, "s>t t>nowhere", more='<complexGateway id="b"/><task name="N"/>'))
    assert codes_of(error) == ["MO114", "MO107", "MO105", "MO107", "MO108"]
    assert "line 4: <task id='t' name='T'> has the id of line 3" in str(error)
    assert "targetRef='nowhere'" in str(error)


@pytest.mark.parametrize(
    ("nodes", "flows", "codes"),
    [
        ("a:task:A, b:task:B", "a>b b>a", ["MO110", "MO111"]),
        ("a:task:A, e:endEvent:", "e>a a>e", ["MO110", "MO112"]),
        (f"{LINE}, u:task:U", "s>t t>e", ["MO112"] * 2),
        (LINE, "s>t t>e e>t", ["MO112"]),
        (LINE, "s>t t>e t>s", ["MO112"]),
        (f"{LINE}, a:task:A, b:task:B", "s>t t>e a>b b>a", ["MO113"] * 4),
        (f"{LINE}, a:task:A, b:task:B", "s>t t>e t>a a>b b>a", ["MO113"] * 2),
    ],
)
def test_structure(nodes: str, flows: str, codes: list[str]) -> None:
    assert codes_of(error_of(bpmn(nodes, flows))) == codes


def test_unbounded_model_is_refused_with_a_witness() -> None:
    nodes = f"{LINE}, x:exclusiveGateway:, g:parallelGateway:Fork, u:task:U"
    error = error_of(bpmn(nodes, "s>x x>t t>g g>x g>u u>e"))
    assert error.code == "MO201"
    assert "Repeating" in error.why
    assert "'T'" in error.why


def test_deadlock_is_refused_with_a_run() -> None:
    nodes = f"{LINE}, x:exclusiveGateway:, a:task:A, b:task:B, j:parallelGateway:Join"
    error = error_of(bpmn(nodes, "s>t t>x x>a x>b a>j b>j j>e"))
    assert error.code == "MO203"
    assert "After 'T', 'A' the end cannot be reached" in error.why
    assert "parallelGateway 'Join'" in error.why


def test_dead_branch_and_stuck_branch_are_refused() -> None:
    nodes = (
        f"{LINE}, x:exclusiveGateway:, y:exclusiveGateway:, a:task:A, b:task:B,"
        "j:parallelGateway:Join, c:task:C"
    )
    error = error_of(bpmn(nodes, "s>t t>x x>e x>y y>a y>b a>j b>j j>c c>e"))
    assert codes_of(error) == ["MO204", "MO205", "MO205"]
    assert "parallelGateway 'Join'" in str(error)
    assert "task 'C'" in str(error)


def test_state_explosion_is_refused() -> None:
    tasks = [f"t{i}" for i in range(8)]
    nodes = f"{LINE}, g:parallelGateway:, h:parallelGateway:," + ",".join(
        f"{t}:task:{t}" for t in tasks
    )
    flows = "s>t t>g h>e " + " ".join(f"g>{t} {t}>h" for t in tasks)
    net = ReferenceModel.from_bpmn(bpmn(nodes, flows)).net
    assert len(explore(net).states) == 2**8 + 4
    with pytest.raises(CodedError, match="MO202 The model has more states than the 200 explored"):
        explore(net, budget=200)


DI = (
    '<d:BPMNDiagram xmlns:d="http://www.omg.org/spec/BPMN/20100524/DI" '
    'xmlns:c="http://www.omg.org/spec/DD/20100524/DC" '
    'xmlns:i="http://www.omg.org/spec/DD/20100524/DI"><d:BPMNPlane bpmnElement="p">{}'
    "</d:BPMNPlane></d:BPMNDiagram>"
)
SHAPE = '<d:BPMNShape bpmnElement="t"><c:Bounds {}/></d:BPMNShape>'


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ('<d:BPMNShape bpmnElement="gone"/>', "'gone'"),
        ('<d:BPMNShape bpmnElement="t"/>', "no Bounds"),
        (SHAPE.format('x="a" y="1" width="1" height="1"'), "x='a'"),
        (SHAPE.format('x="1" y="1" width="nan" height="1"'), "width='nan'"),
        ('<d:BPMNEdge bpmnElement="gone"/>', "nothing in the file has the id 'gone'"),
        ('<d:BPMNEdge bpmnElement="s-t"><i:waypoint x="?" y="0"/></d:BPMNEdge>', "x='?'"),
    ],
)
def test_broken_layout(shape: str, fault: str) -> None:
    error = error_of(bpmn(LINE, "s>t t>e", layout=DI.format(shape)))
    assert error.code == "MO115"
    assert fault in error.what


def test_pools_lanes_borders_and_messages_are_drawn_and_data_is_not() -> None:
    box = (
        '<d:BPMNShape bpmnElement="{}"{}><c:Bounds x="1" y="2" width="3" height="4"/></d:BPMNShape>'
    )
    line = '<d:BPMNEdge bpmnElement="{}"><i:waypoint x="1" y="2"/></d:BPMNEdge>'
    shapes = [
        box.format("mine", ' isHorizontal="false"'),
        *(
            box.format(key, "")
            for key in ("other", "u", "b", "sub", "inner", "data", "lane", "far")
        ),
        box.format("shut", ' isExpanded="false"'),
    ]
    edges = [line.format(key) for key in ("s-u", "tell", "about", "far-far2")]
    more = (
        '<userTask id="u" name="U"><standardLoopCharacteristics/></userTask>'
        '<boundaryEvent id="b" attachedToRef="u" cancelActivity="false"><timerEventDefinition/>'
        '</boundaryEvent><subProcess id="sub"><task id="inner" name="I"/></subProcess>'
        '<subProcess id="shut" name="Shut"/><dataObject id="data"/>'
        '<association id="about" sourceRef="data" targetRef="u"/>'
        '<laneSet id="ls"><lane id="lane" name="L"/></laneSet>'
    )
    pools = (
        '<collaboration id="col"><participant id="mine" name="Mine" processRef="p"/>'
        '<participant id="other" name="Other" processRef="o"/>'
        '<messageFlow id="tell" name="M" sourceRef="u" targetRef="other"/></collaboration>'
        '<process id="o"><task id="far" name="U"/><task id="far2" name="V"/>'
        '<sequenceFlow id="far-far2" sourceRef="far" targetRef="far2"/></process>'
    )
    plane = DI.format("".join(shapes + edges)).replace('bpmnElement="p"', 'bpmnElement="col"')
    flows = "s>u u>sub sub>shut shut>e b>e"
    source = bpmn("s:startEvent:, e:endEvent:", flows, more=more, layout=pools + plane)
    drawn = ReferenceModel.from_bpmn(source, process="Mine").diagram
    assert [(s.id, s.kind, s.name, s.markers) for s in drawn.shapes] == [
        ("mine", "participant", "Mine", ("vertical",)),
        ("other", "participant", "Other", ()),
        ("u", "userTask", "U", ("loop",)),
        ("b", "boundaryEvent", "", ("timer", "nonInterrupting")),
        ("sub", "subProcess", "", ()),
        ("inner", "task", "I", ()),
        ("lane", "lane", "L", ()),
        ("shut", "subProcess", "Shut", ("collapsed",)),
    ]
    assert [(e.id, e.source, e.target, e.kind) for e in drawn.edges] == [
        ("s-u", "s", "u", "sequenceFlow"),
        ("tell", "u", "other", "messageFlow"),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "MO101"),
        (b"not xml", "MO101"),
        (FIXTURE.read_bytes()[:2000], "MO101"),
        (b'<?xml version="1.0" encoding="no-such"?><definitions/>', "MO101"),
        (b"\x00\xff\xfe<definitions/>", "MO101"),
        (b'<!DOCTYPE d [<!ENTITY a "b">]><definitions/>', "MO102"),
        (b"<!DOCTYPE d><definitions/>", "MO102"),
        (b" " * (16 * 1024 * 1024 + 1), "MO103"),
        (b"<pnml/>", "MO104"),
        (b"<definitions/>", "MO104"),
        (f'<definitions xmlns="{NAMESPACE}"/>'.encode(), "MO109"),
    ],
)
def test_what_is_not_a_bpmn_process(data: bytes, code: str) -> None:
    assert error_of(data).code == code


def test_deeply_nested_file_does_not_break_the_reader() -> None:
    depth = 50_000
    lanes = "<laneSet>" + "<lane>" * depth + "</lane>" * depth + "</laneSet>"
    error = error_of(bpmn(LINE, "s>t t>e", more=lanes))
    assert codes_of(error)[0] == "MO107"


def test_missing_file() -> None:
    error = error_of(FIXTURE.with_name("none.bpmn"))
    assert error.code == "MO100"
    assert "none.bpmn" in error.what


@pytest.mark.parametrize("name", ["xxe.bpmn", "bomb.pnml"])
def test_hostile_files(name: str) -> None:
    path = SHARED / "hostile" / "xml" / name
    if not path.exists():
        pytest.skip(f"{path} is missing")
    assert error_of(path).code == "MO102"


def test_same_bytes_same_model() -> None:
    first, second = starmap(ReferenceModel.from_bpmn, [(FIXTURE,), (FIXTURE.read_bytes(),)])
    assert first == second
    assert first.automaton.markings == second.automaton.markings
