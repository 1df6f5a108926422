"""Drawings are inert, whole, the same every time, and say what they were given."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given, settings
from hypothesis import strategies as st

from csi.report.drawings import layout, svg
from csi.report.drawings.bpmn import MOST_BESIDE, Mark, draw_bpmn
from csi.report.drawings.process_map import draw_process_map
from csi.report.drawings.signs import SIGNS
from csi.report.words import duration, number, percent, plural, score
from process_mining import schema as s
from process_mining.discovery import Edge, LeftOut, Node, ProcessMap
from process_mining.errors import CodedError, RunError
from process_mining.model import Diagram, ReferenceModel, Shape
from process_mining.model import Edge as Flow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "rules" / "itil").glob("*/model.bpmn"))
NAUGHTY = ROOT.parent / "shared" / "data" / "hostile" / "blns" / "blns.json"

MIWG = ROOT.parent / "shared" / "data" / "models" / "miwg_reference"

HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onload='alert(1)",
    "a & b &amp; ]]> <!-- c -->",
    "line one\nline two\r\nline three\ttab",
    "x" * 10_000,
    "zero\x00 bell\x07 escape\x1b surrogate\ud800 end\uffff",
    "\u202eevil\u202c\u2066\u200f\ufeff",
    "Z\u0300\u0301\u0302" * 900,
    "日本語のとても長い活動名" * 5,
    "\\N \\G <b>%s</b> {{7*7}} ${x}",
    "",
    " ",
)
ELEMENTS = {
    "svg",
    "title",
    "desc",
    "g",
    "a",
    "rect",
    "circle",
    "polygon",
    "polyline",
    "path",
    "text",
}


def parsed(drawing: str) -> Element:
    """Parse a drawing strictly, and check that nothing in it acts or loads."""
    root: Element = fromstring(drawing.encode(), forbid_dtd=True)
    for node in root.iter():
        assert node.tag.removeprefix("{http://www.w3.org/2000/svg}") in ELEMENTS
        for name, value in node.attrib.items():
            assert not name.lower().startswith("on")
            assert "url(" not in value
            assert "://" not in value
            if name.endswith("href"):
                assert value.startswith("#")
    unsafe = r"[^\n -~\xa0-\ud7ff\uf900-\ufffd\U00010000-\U0010fffd]|[\u202a-\u202e\u2066-\u2069]"
    assert re.search(unsafe, drawing) is None
    return root


def words_in(root: Element) -> list[str]:
    return [node.text or "" for node in root.iter() if node.tag.endswith("}text")]


def titles_in(root: Element) -> list[str]:
    return [node.text or "" for node in root.iter() if node.tag.endswith("}title")]


def map_of(names: Sequence[str]) -> ProcessMap:
    """A map of one way through all the names, with a wait of 2 h 5 min between any two."""
    wait = 2 * s.US_PER_HOUR + 5 * s.US_PER_MINUTE
    pairs = list(itertools.pairwise(names))
    return ProcessMap(
        nodes=tuple(Node(name, 1234, 600) for name in names),
        edges=tuple(Edge(a, b, 1234, 600 if i else 1, wait) for i, (a, b) in enumerate(pairs)),
        starts=(Edge(None, names[0], 1000, 1000, None),),
        ends=(Edge(names[-1], None, 1000, 1000, None),),
        cases=1000,
        steps=1234 * len(names),
        keep_share=0.9,
        left_out=LeftOut(activities=1, steps=5, edges=2, successions=7),
    )


def test_a_process_map_says_how_often_how_long_and_what_is_left_out() -> None:
    root = parsed(draw_process_map(map_of(["Register", "Assign", "Close"])))
    said = words_in(root)
    assert {"Register", "Assign", "Close", "1,000"} <= set(said)
    assert said.count("1,234 · 2 h 5 min") == 2
    assert said.count("1,234 · 60.0 % of cases") == 3
    hidden = "Left out: 1 rare activity (5 steps) and 2 rare lines (7 successions)."
    assert hidden in said
    assert "Assign → Close: 1,234 times in 600 cases (60.0 %), median 2 h 5 min" in titles_in(root)


def test_a_process_map_has_a_name_and_a_description_and_fits_its_place() -> None:
    root = parsed(draw_process_map(map_of(["a", "b"]), name="map-1", title="What happens"))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "map-1-title map-1-desc"
    ids = {node.get("id"): node.text for node in root.iter() if node.get("id")}
    assert ids["map-1-title"] == "What happens"
    assert "a → b 1,234 times, median 2 h 5 min" in (ids["map-1-desc"] or "")
    assert root.get("width") == "100%"
    assert root.get("height") is None
    _, _, wide, high = map(float, str(root.get("viewBox")).split())
    assert wide > 0
    assert high > 0


def test_lines_are_wider_the_more_often_and_darker_the_more_cases() -> None:
    found = map_of(["a", "b", "c"])
    rare = replace(found.edges[0], n=10, cases=10)
    root = parsed(draw_process_map(replace(found, edges=(found.edges[1], rare))))
    looks = {}
    for group in root:
        path = next((n for n in group if n.tag.endswith("}path")), None)
        if path is not None:
            looks[str(group[0].text)[:5]] = (
                float(path.attrib["stroke-width"]),
                path.attrib["stroke"],
            )
    assert looks["b → c"][0] > looks["a → b"][0]
    assert sum(bytes.fromhex(looks["b → c"][1][1:])) < sum(bytes.fromhex(looks["a → b"][1][1:]))


def test_hostile_names_are_only_text() -> None:
    drawing = draw_process_map(map_of(HOSTILE))
    root = parsed(drawing)
    assert "<script" not in drawing
    assert len(drawing) < 60_000
    assert words_in(root).count("(blank)") == 2
    assert any("<script>alert(1)</script>" in words for words in titles_in(root))
    assert all(len(words) <= 1000 for words in titles_in(root))


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the naughty strings are not there")
def test_naughty_strings_are_only_text() -> None:
    lines = sorted(set(json.loads(NAUGHTY.read_text(encoding="utf-8"))))
    assert len(lines) > 400
    marks = {line: mark(skipped=1, unexpected=i, href="#x") for i, line in enumerate(lines)}
    shapes = tuple(
        Shape(f"s{i}", "task", n, i * 150.0, 0.0, 100.0, 80.0) for i, n in enumerate(lines)
    )
    parsed(draw_bpmn(Diagram(shapes=shapes), marks=marks))
    parsed(draw_bpmn(Diagram(), marks=marks))


def test_the_same_map_gives_the_same_bytes_in_another_process() -> None:
    found = map_of(["Register", "Assign", "Diagnose", "Close"])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2])\n"
        "from process_mining.discovery import *\n"
        "from csi.report.drawings.process_map import draw_process_map\n"
        f"sys.stdout.buffer.write(draw_process_map({found!r}).encode())"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(ROOT)]
    outputs = [
        subprocess.run(
            command, env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs == [draw_process_map(found).encode()] * 2


def test_maps_without_steps_or_times_can_be_drawn() -> None:
    empty = ProcessMap((), (), (), (), 0, 0, 0.9, LeftOut())
    assert "Nothing is left out." in words_in(parsed(draw_process_map(empty)))
    found = map_of(["a", "b"])
    untimed = replace(found, edges=(replace(found.edges[0], median_us=None),))
    assert "1,234" in words_in(parsed(draw_process_map(untimed)))


@pytest.mark.parametrize("name", ["", "a b", 'x"', "é", "<"])
def test_a_drawing_name_that_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(CodedError, match=r"^CY901 "):
        draw_process_map(map_of(["a"]), name=name)


@pytest.mark.parametrize("href", ["https://x", "javascript:alert(1)", "#", "#a b", '#"', "x", ""])
def test_links_lead_nowhere_but_into_the_page(href: str) -> None:
    with pytest.raises(CodedError, match=r"^CY902 "):
        svg.linked("x", href)
    assert svg.linked("x", "#ticket-1") == '<a href="#ticket-1">x</a>'
    assert svg.linked("x", None) == "x"


def test_a_layout_that_fails_or_takes_too_long_is_a_coded_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = layout.Box(50, 30)
    with monkeypatch.context() as broken:
        broken.setattr(layout, "__file__", str(ROOT / "no-such-file.py"))
        with pytest.raises(RunError, match=r"^CY911 Graphviz failed"):
            layout.arranged([box, box], [layout.Arc(0, 1)], first=0, last=1)
    monkeypatch.setattr(layout, "PATIENCE_S", 0.001)
    with pytest.raises(RunError, match=r"^CY911 Graphviz took over"):
        layout.arranged([box, box], [layout.Arc(0, 1)], first=0, last=1)


def test_boxes_of_a_layout_do_not_overlap_and_lines_end_at_them() -> None:
    boxes = [layout.Box(26, 26), *[layout.Box(150, 50)] * 4, layout.Box(26, 26)]
    pairs = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 1), (2, 2), (4, 5)]
    arcs = [layout.Arc(a, b, label=layout.Box(90, 18)) for a, b in pairs]
    found = layout.arranged(boxes, arcs, first=0, last=5)
    assert all(label is not None for label in found.labels)
    for i, (x, y) in enumerate(found.nodes):
        for j, (u, v) in enumerate(found.nodes[:i]):
            apart_x = abs(x - u) >= (boxes[i].width + boxes[j].width) / 2
            assert apart_x or abs(y - v) >= (boxes[i].height + boxes[j].height) / 2
    for (_, b), (x, y) in zip(pairs, found.tips, strict=True):
        u, v = found.nodes[b]
        assert abs(x - u) <= boxes[b].width / 2 + 1
        assert abs(y - v) <= boxes[b].height / 2 + 1
    assert found.nodes[0][1] == min(y for _, y in found.nodes)
    assert found.nodes[5][1] == max(y for _, y in found.nodes)


# --- models in BPMN notation


def mark(  # noqa: PLR0913 - one for each kind
    *,
    skipped: int = 0,
    unexpected: int = 0,
    early: int = 0,
    late: int = 0,
    repeated: int = 0,
    branch: int = 0,
    passed: int = 0,
    n_cases: int = 2000,
    href: str | None = None,
) -> Mark:
    """A mark whose cases each deviate in one way only."""
    counts = (skipped, unexpected, early, late, repeated, branch)
    kinds = tuple(zip(SIGNS, counts, strict=True))
    return Mark(kinds, deviating=sum(counts), passed=passed, n_cases=n_cases, href=href)


def shape(
    kind: str, name: str = "", *markers: str, place: float = 0.0, size: float = 36.0
) -> Shape:
    return Shape(f"{kind}-{place}", kind, name, place, 0.0, size, size, markers)


def task(name: str, x: float = 0.0, y: float = 0.0) -> Shape:
    return Shape(f"task-{name}", "task", name, x, y, 100.0, 80.0)


def figures(root: Element, tag: str) -> list[Element]:
    return [node for node in root.iter() if node.tag.endswith("}" + tag)]


def corners(root: Element) -> list[int]:
    return [len(node.attrib["points"].split()) for node in figures(root, "polygon")]


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.parent.name)
def test_our_models_are_drawn_with_their_marks(path: Path) -> None:
    model = ReferenceModel.from_bpmn(path)
    first, second, *_ = model.activities
    marks = {first: mark(skipped=1200, href="#offences"), second: mark(unexpected=31)}
    root = parsed(draw_bpmn(model.diagram, marks=marks, unrecorded=[second], name="m"))
    said = " ".join(words_in(root))
    assert {"1,200", "31"} <= set(words_in(root))
    for word in {word for activity in model.activities for word in activity.split()}:
        assert word in said
    links = [node.get("href") for node in figures(root, "a")]
    assert set(links) == {"#offences"}
    assert root.get("role") == "group"  # what is linked must stay reachable
    plain = parsed(draw_bpmn(model.diagram, marks={}))
    gates = [s for s in model.diagram.shapes if s.kind.endswith("Gateway")]
    assert sum(n in {4, 5} for n in corners(plain)) >= len(gates)
    rings = [n.get("stroke-width") for n in figures(plain, "circle")]
    assert {"1.5", "4"} <= set(rings)


def test_a_mark_says_in_words_how_many_cases_did_what() -> None:
    found = mark(skipped=3, repeated=1, passed=1204, n_cases=1500, href="#at-1")
    root = parsed(draw_bpmn(Diagram(shapes=(task("Assign"),)), marks={"Assign": found}))
    told = (
        "Assign: skipped in 3 cases, repeated in 1 case, "
        "done where the model expects it in 1,204 cases, of 1,500"
    )
    assert f"{told}." in titles_in(root)
    assert told in [node.text for node in figures(root, "desc")]
    assert {"3", "1", "1,204"} <= set(words_in(root))


def test_each_kind_of_deviation_has_a_shape_and_a_colour_of_its_own() -> None:
    names = ("skipped", "unexpected", "early", "late", "repeated", "branch")
    assert len({sign.colour for sign in SIGNS.values()}) == len(SIGNS) == len(names)
    seen = {}
    for word, kind in zip(names, SIGNS, strict=True):
        drawn = draw_bpmn(Diagram(shapes=(task("A"),)), marks={"A": mark(**{word: 7})})
        group = next(n for n in parsed(drawn) if n.tag.endswith("}g"))
        colour = SIGNS[kind].colour
        (pill,) = (n for n in group if n.get("rx") == "11")
        after = list(group)[list(group).index(pill) + 1]
        assert pill.get("stroke") == colour
        assert colour in {after.get("fill"), after.get("stroke")}
        outline = after.get("points") or "ring"
        first = outline.split()[0].split(",")
        seen[kind] = tuple(
            (float(x) - float(first[0]), float(y) - float(first[1]))
            for x, y in (pair.split(",") for pair in outline.split() if "," in pair)
        )
    assert len(set(seen.values())) == len(SIGNS)


@pytest.mark.parametrize("colour", [sign.colour for sign in SIGNS.values()])
def test_colours_of_signs_can_be_read_on_white(colour: str) -> None:
    """Contrast by WCAG 2.2, definition of relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 4.5


def badges(root: Element) -> list[tuple[float, float]]:
    """The left ends and heights of the pills."""
    pills = [n for n in figures(root, "rect") if n.get("rx") == "11"]
    return [(float(n.attrib["x"]), float(n.attrib["y"])) for n in pills]


def test_the_four_most_frequent_kinds_get_the_corners() -> None:
    many = mark(skipped=1, unexpected=2, early=3, late=4, repeated=5, branch=6)
    root = parsed(draw_bpmn(Diagram(shapes=(task("A"),)), marks={"A": many}))
    assert len(badges(root)) == 4
    assert words_in(root)[1:6] == ["0", "6", "5", "4", "3"]
    assert "skipped in 1 case, unexpected in 2 cases" in titles_in(root)[1]


def test_a_badge_keeps_off_an_event_on_the_border() -> None:
    event = Shape("b", "boundaryEvent", "", 82.0, -18.0, 36.0, 36.0, ("timer",))
    kinds = mark(skipped=3, repeated=2)
    free = badges(parsed(draw_bpmn(Diagram((task("A"),)), marks={"A": kinds})))
    kept = badges(parsed(draw_bpmn(Diagram((task("A"), event)), marks={"A": kinds})))
    assert [y < 0 for _, y in free] == [True, True]
    assert [y < 0 for _, y in kept] == [True, False]


def test_names_that_stand_twice_say_so() -> None:
    both = Diagram(shapes=(task("A"), replace(task("A", 200.0), id="other")))
    root = parsed(draw_bpmn(both, marks={"A": mark(skipped=2)}))
    told = [words for words in titles_in(root) if "stands on 2 steps" in words]
    assert len(told) == 2


def test_marks_that_the_drawing_does_not_hold_stand_below_it() -> None:
    model = ReferenceModel.from_bpmn(ROOT / "rules" / "itil" / "incident" / "model.bpmn")
    names = [f"Other {i:02d}" for i in range(MOST_BESIDE + 5)]
    marks = {name: mark(unexpected=i + 1) for i, name in enumerate(names)} | {"Quiet": mark()}
    said = words_in(parsed(draw_bpmn(model.diagram, marks=marks)))
    told = f"{len(names)} steps that this drawing does not hold, the most frequent first:"
    assert told in said
    assert [w for w in said if w.startswith("Other")] == names[::-1][:MOST_BESIDE]
    assert "Quiet" not in said


def test_frames_lie_behind_and_flows_without_waypoints_are_straight() -> None:
    diagram = Diagram(
        shapes=(
            task("A", 50.0, 20.0),
            Shape("l", "lane", "Desk", 30.0, 0.0, 370.0, 200.0),
            Shape("p", "participant", "Pool", 0.0, 0.0, 400.0, 200.0),
            task("B", 250.0, 20.0),
        ),
        edges=(
            Flow("f", "task-A", "task-B", ((0.0, 0.0),)),
            Flow("g", "task-A", "gone", ()),
        ),
    )
    root = parsed(draw_bpmn(diagram, marks={}))
    widths = [n.get("width") for n in figures(root, "rect")]
    assert widths[1:3] == ["400", "370"]  # after the background, before the tasks
    (line,) = figures(root, "polyline")
    assert line.get("points") == "100,60 300,60"
    turned = [n.get("transform", "") for n in figures(root, "g")]
    assert sum(turn.startswith("rotate(-90") for turn in turned) == 2


def test_a_pool_that_holds_nothing_has_its_name_inside() -> None:
    empty = Shape("p", "participant", "Customer", 0.0, 0.0, 400.0, 60.0)
    root = parsed(draw_bpmn(Diagram((empty,)), marks={}))
    assert not [n for n in figures(root, "g") if n.get("transform", "").startswith("rotate")]
    assert "Customer" in words_in(root)


def test_events_are_told_apart_by_their_rings() -> None:
    def rings(kind: str, *markers: str) -> list[tuple[str | None, str | None]]:
        root = parsed(draw_bpmn(Diagram((shape(kind, "", *markers),)), marks={}))
        return [(n.get("stroke-width"), n.get("stroke-dasharray")) for n in figures(root, "circle")]

    assert rings("startEvent") == [("1.5", None)]
    assert rings("endEvent") == [("4", None)]
    assert rings("intermediateCatchEvent") == [("1.5", None)] * 2
    assert rings("boundaryEvent") == [("1.5", None)] * 2
    assert rings("boundaryEvent", "nonInterrupting") == [("1.5", "4 3")] * 2


TRIGGERS = (
    *("timer", "message", "signal", "error", "escalation", "conditional"),
    *("link", "terminate", "cancel", "multiple"),
)


def test_each_trigger_looks_its_own_and_throwing_ones_are_filled() -> None:
    def inside(kind: str, *markers: str) -> str:
        return draw_bpmn(Diagram((shape(kind, "", *markers),)), marks={})

    catching = [inside("intermediateCatchEvent", trigger) for trigger in TRIGGERS]
    assert len({*catching, inside("intermediateCatchEvent")}) == len(TRIGGERS) + 1
    assert inside("intermediateCatchEvent", "unheard of") == inside("intermediateCatchEvent")
    for trigger in ("message", "signal", "escalation", "link"):
        thrown, caught = inside("intermediateThrowEvent", trigger), inside("boundaryEvent", trigger)
        assert thrown.count(f'fill="{svg.INK}"') > caught.count(f'fill="{svg.INK}"')


def test_gateways_are_told_apart_by_their_signs() -> None:
    kinds = ("exclusive", "parallel", "inclusive", "eventBased")
    drawn = {
        kind: draw_bpmn(Diagram((shape(f"{kind}Gateway"),)), marks={}).split("<polygon", 1)[1]
        for kind in kinds
    }
    assert len(set(drawn.values())) == len(kinds)
    choice = parsed(draw_bpmn(Diagram((shape("eventBasedGateway"),)), marks={}))
    assert corners(choice) == [4, 5]


def test_activities_show_their_markers() -> None:
    def drawn(kind: str, *markers: str) -> str:
        return draw_bpmn(Diagram((shape(kind, "A", *markers, size=90.0),)), marks={})

    plain = drawn("task")
    marked = [drawn("task", marker) for marker in ("loop", "parallel", "sequential", "collapsed")]
    assert len({plain, *marked}) == 5
    assert 'stroke-width="4"' in drawn("callActivity")
    assert 'stroke-width="4"' not in plain
    assert drawn("transaction").count("<rect") == plain.count("<rect") + 1
    frame, closed = drawn("subProcess"), drawn("subProcess", "collapsed")
    assert frame != closed
    assert 'stroke-dasharray="2 3"' in drawn("subProcess", "event")


def test_messages_are_dashed_from_a_ring_to_an_open_head() -> None:
    ends = ((0.0, 0.0), (0.0, 90.0))
    root = parsed(
        draw_bpmn(Diagram(edges=(Flow("m", "a", "b", ends, kind="messageFlow"),)), marks={})
    )
    assert figures(root, "polyline")[0].get("stroke-dasharray") == "7 4"
    assert len(figures(root, "circle")) == 1
    assert figures(root, "polygon")[0].get("fill") == "#fff"


def test_a_kind_that_is_not_known_is_drawn_with_its_name() -> None:
    root = parsed(draw_bpmn(Diagram((shape("choreographyTask", "Odd", size=90.0),)), marks={}))
    assert "Odd" in words_in(root)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "task",
                    "subProcess",
                    "startEvent",
                    "boundaryEvent",
                    "parallelGateway",
                    "participant",
                ]
            ),
            st.text(max_size=40),
            st.tuples(*[st.floats(-500, 5000)] * 2, *[st.floats(0, 800)] * 2),
            st.lists(
                st.sampled_from([*TRIGGERS, "loop", "collapsed", "nonInterrupting"]), max_size=3
            ),
        ),
        max_size=6,
    )
)
def test_whatever_stands_on_paper_lies_inside_the_drawing(
    found: list[tuple[str, str, tuple[float, float, float, float], list[str]]],
) -> None:
    shapes = tuple(
        Shape(str(i), kind, name, *bounds, tuple(markers))
        for i, (kind, name, bounds, markers) in enumerate(found)
    )
    marks = {one.name: mark(skipped=3, late=2, passed=4) for one in shapes}
    root = parsed(draw_bpmn(Diagram(shapes), marks=marks))
    left, top, wide, high = map(float, str(root.get("viewBox")).split())
    for one in shapes:
        assert left <= one.x <= one.x + one.width <= left + wide + 1
        assert top <= one.y <= one.y + one.height <= top + high + 1


def processes(path: Path) -> list[str]:
    return re.findall(r"<(?:\w+:)?process\b[^>]*?\bid=\"([^\"]+)\"", path.read_text("utf-8"))


@pytest.mark.skipif(not MIWG.exists(), reason="the MIWG reference models are not there")
def test_the_reference_models_of_miwg_are_drawn() -> None:
    """Every process of the 21 diagrams that can be read: all its steps, nothing twice."""
    drawn = 0
    for path in sorted(MIWG.glob("*.bpmn")):
        for process in processes(path):
            try:
                model = ReferenceModel.from_bpmn(path, process=process)
            except CodedError:
                continue  # what cannot be read is another test's matter
            marks = {name: mark(skipped=12, repeated=3, passed=99) for name in model.activities}
            root = parsed(draw_bpmn(model.diagram, marks=marks))
            held = {one.name for one in model.diagram.shapes} & set(model.activities)
            titles = " ".join(titles_in(root))
            assert all(svg.clean(name) in titles for name in held), path.name
            drawn += 1
    assert drawn >= 20


@settings(max_examples=200, deadline=None)
@given(st.text(), st.floats(1, 20), st.integers(1, 4))
def test_wrapped_text_fits_and_is_cut_with_an_ellipsis(text: str, ems: float, lines: int) -> None:
    found = svg.wrapped(text, ems, lines)
    assert len(found) <= lines
    assert all(svg.width(line) <= ems + 2.1 for line in found)  # a wide sign and the ellipsis
    kept = "".join(found).replace(" ", "")
    whole = "".join(svg.clean(text).split())
    assert kept == whole or kept.endswith(svg.ELLIPSIS)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None), max_size=80))
def test_cleaned_text_is_whole_and_safe(text: str) -> None:
    safe = svg.clean(text)
    assert len(safe) == len(text)
    parsed(
        svg.document(
            svg.text(0, 0, text), box=(0, 0, 9, 9), name="n", title=text, desc=text, role="img"
        )
    )


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (0, "0 s"),
        (1, "under 1 s"),
        (999_999, "under 1 s"),
        (1_000_000, "1 s"),
        (45_400_000, "45 s"),
        (59_600_000, "1 min"),
        (303 * s.US_PER_SECOND, "5 min 3 s"),
        (s.US_PER_HOUR - 1, "1 h"),
        (2 * s.US_PER_HOUR + 5 * s.US_PER_MINUTE, "2 h 5 min"),
        (s.US_PER_DAY - 1, "1 d"),
        (3 * s.US_PER_DAY + 4 * s.US_PER_HOUR, "3 d 4 h"),
        (12 * s.US_PER_DAY + 5 * s.US_PER_HOUR, "12 d"),
        (1_234 * s.US_PER_DAY, "1,234 d"),
        (-90 * s.US_PER_SECOND, "\N{MINUS SIGN}1 min 30 s"),
    ],
)
def test_durations_in_words(us: int, said: str) -> None:
    assert duration(us) == said


@given(st.integers(s.US_PER_SECOND, 10**15))
def test_durations_in_words_are_right_to_their_smaller_unit(us: int) -> None:
    units = {"d": s.US_PER_DAY, "h": s.US_PER_HOUR, "min": s.US_PER_MINUTE, "s": s.US_PER_SECOND}
    parts = re.findall(r"([\d,]+) (d|h|min|s)", duration(us))
    value = sum(int(n.replace(",", "")) * units[unit] for n, unit in parts)
    smaller = dict(
        zip(units, [s.US_PER_HOUR, s.US_PER_MINUTE, s.US_PER_SECOND, s.US_PER_SECOND], strict=True)
    )
    exact = units["d"] if value >= 10 * units["d"] else smaller[parts[0][1]]
    assert abs(value - us) <= exact
    assert len(parts) <= 2


def test_numbers_shares_and_counts_in_words() -> None:
    assert [number(1_234_567), number(-5), number(2.345, 2)] == [
        "1,234,567",
        "\N{MINUS SIGN}5",
        "2.35",
    ]
    assert percent(0.934) == "93.4 %"
    assert percent(0.934, (0.91, 0.9521)) == "93.4 % (91.0 to 95.2 %)"
    assert [percent(1), percent(0)] == ["100.0 %", "0.0 %"]
    assert [percent(0.99999), percent(0.00001)] == ["over 99.9 %", "under 0.1 %"]
    assert [score(1), score(0.9999), score(0.9994)] == ["1.000", "over 0.999", "0.999"]
    assert [plural(1, "case"), plural(0, "case")] == ["1 case", "0 cases"]
    assert plural(1234, "entry", "entries") == "1,234 entries"
