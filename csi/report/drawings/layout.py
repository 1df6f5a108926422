"""Where do the boxes of a graph go? Graphviz `dot` answers, in a process of its own.

In a process of its own, because the library writes warnings about fonts to stderr and can crash;
it gets no text: nodes and labels are given as sizes only, so neither a machine's fonts nor the
names in a log can change the layout. Started as a plain file (`python -I layout.py`), it reads a
graph as JSON and writes the layout as JSON; see `arranged`.

Units are points (1/72 inch), x to the right, y down. Method: Gansner, Koutsofios, North & Vo 1993;
`sideways` lays out from left to right with lines along rows and columns only (Dobkin, Gansner,
Koutsofios & North 1997, as Graphviz's `ortho` has it: without labels).
Errors: RunError CY911 where Graphviz fails or takes longer than `PATIENCE_S`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    Outline = Literal["box", "diamond", "circle"]
    Point = tuple[float, float]

PATIENCE_S: Final = 60
_POINTS_PER_INCH: Final = 72


@dataclass(frozen=True)
class Box:
    """A node to place: its size and its outline, where lines end."""

    width: float
    height: float
    outline: Outline = "box"


@dataclass(frozen=True)
class Arc:
    """An edge to route between two nodes (by index), with room for a label and a weight."""

    source: int
    target: int
    label: Box | None = None
    weight: int = 1


@dataclass(frozen=True)
class Layout:
    """The centre of each node; each edge's Bézier points with its tip, and its label's centre."""

    width: float
    height: float
    nodes: tuple[Point, ...]
    edges: tuple[tuple[Point, ...], ...]
    tips: tuple[Point, ...]
    labels: tuple[Point | None, ...]


def arranged(
    nodes: Sequence[Box], edges: Sequence[Arc], *, first: int, last: int, sideways: bool = False
) -> Layout:
    """Lay a graph out from top to bottom, node `first` above all and node `last` below all.

    With `sideways` it goes from left to right, and an edge's points are the corners of its line.
    """
    from process_mining.errors import RunError  # noqa: PLC0415 - the child process needs no package

    graph = {
        "nodes": [(n.width, n.height, n.outline) for n in nodes],
        "edges": [
            (e.source, e.target, (e.label.width, e.label.height) if e.label else None, e.weight)
            for e in edges
        ],
        "first": first,
        "last": last,
        "sideways": sideways,
    }
    command = [sys.executable, "-I", str(Path(__file__).resolve())]
    why = "The graph cannot be drawn"
    try:
        done = subprocess.run(  # noqa: S603 - our own file, no shell, no text of the log
            command, input=json.dumps(graph), capture_output=True, text=True, timeout=PATIENCE_S,
            check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        msg = f"Graphviz took over {PATIENCE_S} s for {len(nodes)} nodes, {len(edges)} edges"
        raise RunError("CY911", msg, why=why, fix="Show fewer activities or edges") from error
    except subprocess.CalledProcessError as error:
        last_line = (error.stderr.strip().splitlines() or ["no message"])[-1][:200]
        msg = f"Graphviz failed: {last_line}"
        raise RunError("CY911", msg, why=why, fix="Run `trueloop doctor`") from error
    return _layout(json.loads(done.stdout), step=3 if sideways else 1)


def _layout(found: dict[str, Any], *, step: int) -> Layout:
    """Turn the child's answer (y upwards) into a layout (y downwards), to a tenth of a point.

    Every third point of a Bézier line lies on it: `step` 3 keeps those, the corners.
    """
    _, _, right, height = found["box"]

    def down(point: list[float]) -> Point:
        return round(point[0], 1), round(height - point[1], 1)

    return Layout(
        width=right,
        height=height,
        nodes=tuple(down(p) for p in found["nodes"]),
        edges=tuple(tuple(down(p) for p in path[::step]) for path in found["edges"]),
        tips=tuple(down(p) for p in found["tips"]),
        labels=tuple(p and down(p) for p in found["labels"]),
    )


def _main() -> None:
    """Be the child process: JSON in, JSON out."""
    import pygraphviz  # noqa: PLC0415 - only here: loading it loads Graphviz

    asked = json.load(sys.stdin)
    graph = pygraphviz.AGraph(directed=True, strict=False)
    way = {"rankdir": "LR", "splines": "ortho"} if asked["sideways"] else {"rankdir": "TB"}
    graph.graph_attr.update({"nodesep": "0.3", "ranksep": "0.4", "splines": "spline"} | way)
    for i, (width, height, outline) in enumerate(asked["nodes"]):
        size = {"width": width / _POINTS_PER_INCH, "height": height / _POINTS_PER_INCH}
        graph.add_node(f"n{i}", label="", shape=outline, fixedsize="true", **size)
    for i, (source, target, label, weight) in enumerate(asked["edges"]):
        room = {"label": _room(*label)} if label else {}
        graph.add_edge(f"n{source}", f"n{target}", key=f"e{i}", weight=weight, **room)
    graph.add_subgraph([f"n{asked['first']}"], name="first", rank="source")
    graph.add_subgraph([f"n{asked['last']}"], name="last", rank="sink")
    graph.layout(prog="dot")
    json.dump(_answer(graph, asked), sys.stdout)


def _room(width: float, height: float) -> str:
    """Return a label of a fixed size without text."""
    return (
        f'<<table fixedsize="true" width="{round(width)}" height="{round(height)}" border="0" '
        'cellborder="0" cellspacing="0" cellpadding="0"><tr><td></td></tr></table>>'
    )


def _answer(graph: Any, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - untyped library
    edges = [
        graph.get_edge(f"n{source}", f"n{target}", key=f"e{i}").attr
        for i, (source, target, _, _) in enumerate(asked["edges"])
    ]
    paths = [_path(edge["pos"]) for edge in edges]
    return {
        "box": _numbers(graph.graph_attr["bb"]),
        "nodes": [
            _numbers(graph.get_node(f"n{i}").attr["pos"]) for i in range(len(asked["nodes"]))
        ],
        "edges": [points for points, _ in paths],
        "tips": [tip for _, tip in paths],
        "labels": [_numbers(edge["lp"]) if edge["lp"] else None for edge in edges],
    }


def _path(pos: str) -> tuple[list[list[float]], list[float]]:
    """Read `e,x,y x,y …`: the Bézier points, and the tip of the arrow."""
    tip, *rest = pos.replace("\\\n", "").split()
    return [_numbers(point) for point in rest], _numbers(tip.removeprefix("e,"))


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    _main()
