"""The drawings of a mining: inert, readable without colour, and true to their numbers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from mining.small_trees import tree_of

from csi.report.drawings.curves import draw_backlog, draw_week
from csi.report.drawings.flow_layout import laid_out
from csi.report.drawings.network import MOST_TEAMS, draw_network
from csi.report.drawings.process_map import Place, draw_process_map, drawn_map
from process_mining.discovery import Edge, LeftOut, Node, ProcessMap
from process_mining.model import ReferenceModel
from process_mining.model.bpmn_writer import write_bpmn
from process_mining.model.flow_chart import chart_of
from process_mining.model.tree import net_of
from process_mining.organisation import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTILE = '<script>alert(1)</script>"&\x00\N{RIGHT-TO-LEFT OVERRIDE}'
HOUR = 3_600_000_000


def parsed(drawing: str) -> ET.Element:
    assert "<script" not in drawing
    return ET.fromstring(drawing)  # noqa: S314 - our own drawing


def named(root: ET.Element, tag: str) -> list[ET.Element]:
    return [node for node in root.iter() if node.tag.endswith(f"}}{tag}")]


def words(root: ET.Element) -> str:
    return " | ".join("".join(node.itertext()) for node in named(root, "text"))


def network_of(
    teams: Sequence[tuple[str, int, int, bool]], moves: Sequence[tuple[str, str, int, bool]]
) -> Network:
    """Teams as (name, events, community, pooled), hand-overs as (from, to, n, bridge)."""
    given = {name: sum(n for a, _, n, _ in moves if a == name) for name, *_ in teams}
    taken = {name: sum(n for _, b, n, _ in moves if b == name) for name, *_ in teams}
    columns = ("team", "n", "community", "pooled")
    frame = pd.DataFrame(teams, columns=columns).assign(
        received=[taken[t[0]] for t in teams], given=[given[t[0]] for t in teams]
    )
    edges = pd.DataFrame(moves, columns=["source", "target", "n", "bridge"])
    edges = edges.assign(cases=edges["n"], median_us=pd.array([HOUR] * len(moves), "Int64"))
    return Network(frame, edges, (), 0.5, between_small=3, sampled=False)


def test_a_network_shows_communities_by_shape_and_bridges_by_dashes() -> None:
    teams = [("a", 9, 0, False), ("b", 4, 1, False), (HOSTILE, 1, 2, False), ("few", 1, 0, True)]
    found = network_of(teams, [("a", "b", 10, True), ("b", "a", 4, True), ("b", HOSTILE, 1, False)])
    root = parsed(draw_network(found))
    assert len(named(root, "path")) == 3
    assert sum(path.get("stroke-dasharray") is not None for path in named(root, "path")) == 2
    polygons = [p.get("points", "").count(" ") + 1 for p in named(root, "polygon")]
    assert sorted(polygons) == [3, 3, 3, 3, 4]  # three arrowheads, a square, a triangle
    assert len(named(root, "circle")) == 2  # the first community, and the pooled teams
    wide = [float(path.get("stroke-width", "0")) for path in named(root, "path")]
    assert max(wide) == wide[-1]  # the most frequent hand-over is drawn last, on top
    told = [title.text or "" for title in named(root, "title")]
    assert any("a to b: 10 hand-overs in 10 cases, median 1 h" in text for text in told)
    assert "15 of 18 hand-overs" in words(root)
    assert "3 of them lie between teams of under 5 people" in words(root)


def test_a_network_of_many_teams_says_what_it_hides() -> None:
    n = MOST_TEAMS + 6
    teams = [(f"t{i:02d}", 1, i % 9, False) for i in range(n)]
    moves = [(f"t{i:02d}", f"t{(i + 1) % n:02d}", n - i, False) for i in range(n)]
    root = parsed(draw_network(network_of(teams, moves)))
    assert "6 teams with fewer hand-overs not drawn" in words(root)
    assert draw_network(network_of(teams, [])) == ""


def days_of(opened: Sequence[int], ended: Sequence[int]) -> pd.DataFrame:
    first = np.datetime64("2024-01-01")
    days = [str(first + i) for i in range(len(opened))]
    still = np.cumsum(np.array(opened) - np.array(ended))
    return pd.DataFrame({"day": days, "opened": opened, "ended": ended, "open": still})


@pytest.mark.parametrize(
    ("n", "unit", "points"), [(1, "day", 1), (120, "day", 120), (121, "week", 17)]
)
def test_curves_go_by_day_or_week(n: int, unit: str, points: int) -> None:
    root = parsed(draw_backlog(days_of([2] * n, [1] * n)))
    lines = [line.get("points", "").split() for line in named(root, "polyline")]
    assert [len(line) for line in lines] == [points] * 3
    assert f"cases a {unit}" in words(root)
    assert {"opened", "ended", "open"} <= set(words(root).split(" | "))
    desc = named(root, "desc")[0].text or ""
    assert f"{2 * n} opened, {n} ended" in desc


def test_curves_without_known_ends_show_what_came() -> None:
    root = parsed(draw_backlog(days_of([3, 0, 5], [0, 0, 0]), ends_known=False))
    assert len(named(root, "polyline")) == 1
    assert "ended" not in words(root)
    assert draw_backlog(days_of([], [])) == ""


def test_the_week_shows_every_count_and_names_the_busiest_hour() -> None:
    counts = np.zeros(168, np.int64)
    counts[[9, 30, 167]] = [4, 12_345, 1]
    frame = pd.DataFrame({"opened": counts})
    root = parsed(draw_week(frame, "opened", name="week", title="x"))
    assert {"4", "12k", "1"} <= set(words(root).split(" | "))
    assert "Most in the hour from 06:00 on Tue: 12,345" in (named(root, "desc")[0].text or "")
    assert draw_week(frame * 0, "opened", name="week", title="x") == ""


def map_of(slower_than_us: int | None) -> ProcessMap:
    nodes = tuple(Node(name, 10, 10) for name in ("a", "b", HOSTILE))
    edges = (Edge("a", "b", 9, 9, 5 * HOUR), Edge("b", HOSTILE, 8, 8, HOUR))
    ends = (Edge(None, "a", 10, 10, None),), (Edge(HOSTILE, None, 10, 10, None),)
    return ProcessMap(nodes, edges, *ends, 10, 30, 1.0, LeftOut(), slower_than_us)


def test_slow_lines_are_dashed_and_have_an_hourglass() -> None:
    root = parsed(draw_process_map(map_of(2 * HOUR)))
    dashed = [path for path in named(root, "path") if path.get("stroke-dasharray")]
    assert len(dashed) == 1
    assert "slower than 2 h" in words(root)
    glasses = [p for p in named(root, "polygon") if p.get("points", "").count(" ") == 3]
    assert len(glasses) == 1
    plain = parsed(draw_process_map(map_of(None)))
    assert not [path for path in named(plain, "path") if path.get("stroke-dasharray")]


def test_places_lead_into_the_page_and_are_numbered() -> None:
    places = {("a", "b"): Place(1, "#spot-1"), ("b", "gone"): Place(2, "#spot-2")}
    drawing, width = drawn_map(map_of(None), places=places)
    root = parsed(drawing)
    assert [link.get("href") for link in named(root, "a")] == ["#spot-1"]
    assert root.get("role") == "group"
    assert f"max-width:{width}px" in (root.get("style") or "")


def test_a_layout_by_graphviz_is_orthogonal_and_read_back() -> None:
    tree = tree_of(("sequence", "a", ("choice", "b", ("parallel", "c", "d")), ("loop", "a", "b")))
    diagram = laid_out(chart_of(net_of(tree)))
    for edge in diagram.edges:
        assert len(edge.waypoints) > 1
        for (x, y), (u, v) in itertools.pairwise(edge.waypoints):
            assert abs(x - u) < 1 or abs(y - v) < 1
    assert min(shape.x for shape in diagram.shapes) >= 0
    for one, other in itertools.combinations(diagram.shapes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y
    model = ReferenceModel.from_bpmn(write_bpmn(diagram, name="x"))
    assert model.activities == ("a", "b", "c", "d")
