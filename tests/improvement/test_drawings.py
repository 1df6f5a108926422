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
from csi.report.words import duration, number, percent, plural
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
    marks = {line: Mark(1, i, 3, "#x", 0.5) for i, line in enumerate(lines)}
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


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.parent.name)
def test_our_models_are_drawn_with_their_marks(path: Path) -> None:
    model = ReferenceModel.from_bpmn(path)
    first, second, *_ = model.activities
    marks = {first: Mark(1200, 0, 1500, "#offences", 0.8), second: Mark(0, 31, 1500, None, 0.1)}
    root = parsed(draw_bpmn(model.diagram, marks=marks, unrecorded=[second], name="m"))
    said = " ".join(words_in(root))
    assert "1,200" in said
    assert "31" in said
    for word in {word for activity in model.activities for word in activity.split()}:
        assert word in said
    links = [node.get("href") for node in root.iter() if node.tag.endswith("}a")]
    assert links == ["#offences"]
    assert root.get("role") == "group"  # what is linked must stay reachable
    kinds = {shape.kind for shape in model.diagram.shapes}
    crosses = [n for n in root.iter() if n.tag.endswith("}path")]
    gates = [s for s in model.diagram.shapes if s.kind.endswith("Gateway")]
    assert len(crosses) == len(gates)
    assert {"startEvent", "endEvent"} <= kinds
    rings = [n.get("stroke-width") for n in root.iter() if n.tag.endswith("}circle")]
    assert sorted(set(rings), key=str) == ["1.5", "4"]


def test_marks_differ_by_shape_not_by_colour_alone() -> None:
    task = Diagram(shapes=(Shape("t", "task", "Assign", 0.0, 0.0, 100.0, 80.0),))

    def signs(mark: Mark) -> list[int]:
        root = parsed(draw_bpmn(task, marks={"Assign": mark}))
        group = next(node for node in root if node.tag.endswith("}g"))
        shapes = [n.attrib["points"].split() for n in group if n.tag.endswith("}polygon")]
        return [len(points) for points in shapes]

    assert signs(Mark(3, 0, 9)) == [3]
    assert signs(Mark(0, 3, 9)) == [4]
    assert signs(Mark(3, 3, 9)) == [3, 4]


def test_marks_that_the_drawing_does_not_hold_stand_below_it() -> None:
    model = ReferenceModel.from_bpmn(ROOT / "rules" / "itil" / "incident" / "model.bpmn")
    names = [f"Other {i:02d}" for i in range(MOST_BESIDE + 5)]
    marks = {name: Mark(0, i + 1, 9) for i, name in enumerate(names)} | {"Quiet": Mark(0, 0, 9)}
    said = words_in(parsed(draw_bpmn(model.diagram, marks=marks)))
    told = f"{len(names)} steps that this drawing does not hold, the most frequent first:"
    assert told in said
    assert [w for w in said if w.startswith("Other")] == names[::-1][:MOST_BESIDE]
    assert "Quiet" not in said


def test_lanes_lie_behind_and_flows_without_waypoints_are_straight() -> None:
    diagram = Diagram(
        shapes=(
            Shape("a", "task", "A", 50.0, 20.0, 100.0, 80.0),
            Shape("l", "lane", "Desk", 0.0, 0.0, 400.0, 200.0),
            Shape("b", "task", "B", 250.0, 20.0, 100.0, 80.0),
        ),
        edges=(Flow("f", "a", "b", ((0.0, 0.0),)), Flow("g", "a", "gone", ())),
    )
    drawing = draw_bpmn(diagram, marks={})
    root = parsed(drawing)
    rects = [n.get("width") for n in root.iter() if n.tag.endswith("}rect")]
    assert rects[1] == "400"  # after the background, before the tasks
    line = next(n for n in root.iter() if n.tag.endswith("}polyline"))
    assert line.get("points") == "100,60 300,60"


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
    assert [plural(1, "case"), plural(0, "case")] == ["1 case", "0 cases"]
    assert plural(1234, "entry", "entries") == "1,234 entries"
