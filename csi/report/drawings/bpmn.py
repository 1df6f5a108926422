"""Where do tickets leave the reference model? The model in BPMN notation, with marks on its tasks.

The drawing takes the model's own layout (BPMN DI: bounds and waypoints), so it looks as in the
editor it was made in (`bpmn_shapes` says how each element is drawn). On each task:

- the fill says in how many cases the step was done where the model expects it, from white (none)
  to blue (all); the figure below its name says the number;
- badges say in how many cases the step is part of a deviation, one a kind, with the kind's sign
  (`signs`) and the number of cases: the most frequent kinds at the corners that no event on the
  task's border takes, clockwise from the upper left; what there is no room for is in the tooltip
  and in the list that the task links to;
- a red outline, the thicker the more cases deviate, marks a task with badges;
- a dashed outline is a step that the log's source cannot record.

Names that stand on several tasks carry the same numbers on each: a log does not tell them apart.
Marked steps that the drawing does not hold stand in rows below it, the most frequent first (at
most `MOST_BESIDE`).

Not known from a diagram: where its editor had put the names of events, gateways and flows. A flow
with fewer than two waypoints becomes a straight line between its ends. Units: those of the diagram
(pixels in the common tools). Complexity: linear in the shapes and edges, quadratic in pools.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from csi.report.drawings import bpmn_shapes, pen, signs, svg
from csi.report.words import number, plural
from process_mining.model import Shape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from process_mining.model import Diagram, Edge

MARGIN: Final = 30.0
ROW: Final = 26.0
OUT: Final = 5.0
HEAT_LOW, HEAT_HIGH = "#ffffff", "#b9d4f0"
DEVIATING: Final = "#b3261e"
TASK_SIZE: Final = (160.0, 72.0)
GAP: Final = 36.0
MOST_BESIDE: Final = 24
LEAST_WIDTH: Final = 420.0
USUAL_WIDTH: Final = 1400.0
_NEAR: Final = 40.0


@dataclass(frozen=True)
class Mark:
    """What happened at one activity, counted in cases, of `n_cases` in all.

    `kinds` are pairs of a kind of deviation (a key of `signs.SIGNS`) and the cases that have it;
    `deviating` the cases that have any of them; `passed` those that did the activity where the
    model expects it. `href` is an anchor of the same page.
    """

    kinds: tuple[tuple[str, int], ...]
    deviating: int
    passed: int
    n_cases: int
    href: str | None = None

    @property
    def share(self) -> float:
        """The share of cases that deviate here."""
        return self.deviating / max(1, self.n_cases)

    @property
    def told(self) -> str:
        """Say it in words."""
        said = [f"{kind} in {plural(n, 'case')}" for kind, n in self.kinds if n]
        passed = f"done where the model expects it in {plural(self.passed, 'case')}"
        return ", ".join([*said, passed]) + f", of {number(self.n_cases)}"


def draw_bpmn(
    diagram: Diagram,
    *,
    marks: Mapping[str, Mark],
    unrecorded: Collection[str] = (),
    name: str = "model",
    title: str = "Reference model",
) -> str:
    """Return the model as one inline SVG element; `unrecorded` tasks are drawn dashed."""
    left, top, _, bottom = _extent(diagram)
    wide = width_of(diagram)
    beside, below = _beside(diagram, marks), bottom + MARGIN + 12
    others = _others(beside, marks, left, below, wide - 2 * MARGIN)
    foot = below + _rows_height(min(len(beside), MOST_BESIDE), wide - 2 * MARGIN)
    legend, height = _legend(marks, unrecorded, left, foot, wide - 2 * MARGIN)
    body = _body(diagram, marks, unrecorded)
    return svg.document(
        "".join([*body, others, legend]),
        box=(left - MARGIN, top - MARGIN, wide, foot + height + MARGIN - top),
        name=name,
        title=title,
        desc=_told(marks),
        role="img" if not any(mark.href for mark in marks.values()) else "group",
    )


def width_of(diagram: Diagram) -> int:
    """Return the width of the drawing of a diagram in its own units."""
    left, _, right, _ = _extent(diagram)
    return ceil(max(right - left, LEAST_WIDTH) + 2 * MARGIN)


def _body(diagram: Diagram, marks: Mapping[str, Mark], unrecorded: Collection[str]) -> list[str]:
    """Draw frames, then flows, then all else."""
    ordered = sorted(diagram.shapes, key=bpmn_shapes.layer)
    names = Counter(shape.name for shape in ordered if bpmn_shapes.is_activity(shape))
    taken = [shape for shape in ordered if shape.kind == bpmn_shapes.BOUNDARY]
    places = {shape.id: shape for shape in diagram.shapes}
    behind: list[str] = []
    front: list[str] = []
    for shape in ordered:
        mark = marks.get(shape.name) if bpmn_shapes.is_activity(shape) else None
        one = _shape(
            shape,
            mark,
            dashed=shape.name in unrecorded,
            alike=names[shape.name],
            taken=taken,
            empty=shape.kind == bpmn_shapes.POOL and not bpmn_shapes.holds(shape, diagram.shapes),
        )
        (behind if bpmn_shapes.is_frame(shape) else front).append(one)
    edges = [_edge(edge, _waypoints(edge, places)) for edge in diagram.edges]
    return [*behind, *edges, *front]


def _extent(diagram: Diagram) -> tuple[float, float, float, float]:
    boxes = [(s.x, s.y, s.x + s.width, s.y + s.height) for s in diagram.shapes]
    boxes += filter(None, map(bpmn_shapes.label_box, diagram.shapes))
    boxes += [(x, y, x, y) for edge in diagram.edges for x, y in edge.waypoints]
    if not boxes:
        return 0.0, 0.0, 0.0, 0.0
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


# --- steps that have no place in the drawing


def _beside(diagram: Diagram, marks: Mapping[str, Mark]) -> list[str]:
    """Return the marked steps that no task of the drawing stands for, the most frequent first."""
    drawn = {shape.name for shape in diagram.shapes if bpmn_shapes.is_activity(shape)}
    found = [a for a, mark in marks.items() if a not in drawn and mark.deviating]
    return sorted(found, key=lambda a: (-marks[a].deviating, a))


def _per_row(wide: float) -> int:
    return max(1, int((wide + GAP) // (TASK_SIZE[0] + GAP)))


def _rows_height(n: int, wide: float) -> float:
    rows = -(-n // _per_row(wide))
    return ROW + rows * (TASK_SIZE[1] + GAP) if n else 0.0


def _others(
    beside: Sequence[str], marks: Mapping[str, Mark], left: float, top: float, wide: float
) -> str:
    """Draw rows of tasks that belong to no place in the model."""
    if not beside:
        return ""
    said = (
        f"{plural(len(beside), 'step')} that this drawing does not hold, the most frequent first:"
    )
    drawn = [svg.text(left, top, said, anchor="start", fill=svg.SOFT)]
    for i, activity in enumerate(beside[:MOST_BESIDE]):
        row, column = divmod(i, _per_row(wide))
        x = left + column * (TASK_SIZE[0] + GAP)
        y = top + ROW + row * (TASK_SIZE[1] + GAP)
        shape = Shape(f"beside-{i}", "task", activity, x, y, *TASK_SIZE)
        drawn.append(_activity(shape, marks[activity], dashed=False, alike=1, taken=()))
    return "".join(drawn)


def _told(marks: Mapping[str, Mark]) -> str:
    found = sorted(marks.items(), key=lambda pair: (-pair[1].deviating, pair[0]))
    said = [f"{activity}: {mark.told}" for activity, mark in found if mark.deviating]
    return "; ".join(said) or "No case leaves the model."


# --- shapes


def _shape(  # noqa: PLR0913 - what is known of a shape
    shape: Shape,
    mark: Mark | None,
    *,
    dashed: bool,
    alike: int,
    taken: Sequence[Shape],
    empty: bool,
) -> str:
    if bpmn_shapes.is_activity(shape):
        return _activity(shape, mark, dashed=dashed, alike=alike, taken=taken)
    return bpmn_shapes.drawn(shape, empty=empty)


def _activity(
    shape: Shape, mark: Mark | None, *, dashed: bool, alike: int, taken: Sequence[Shape]
) -> str:
    """An activity, filled and badged by what happened there; a link where there is a list."""
    fill, stroke, width, figure = pen.WHITE, svg.INK, 1.5, ""
    if mark is not None and not dashed:
        fill = svg.mixed(HEAT_LOW, HEAT_HIGH, mark.passed / max(1, mark.n_cases))
        figure = number(mark.passed)
    if bpmn_shapes.is_frame(shape):
        fill, figure = pen.WHITE, ""
    if mark is not None and mark.deviating:
        stroke, width = DEVIATING, 2.0 + 2.5 * mark.share
    drawn = bpmn_shapes.activity(
        shape, fill=fill, stroke=stroke, width=width, dashed=dashed, figure=figure
    )
    if mark is None:
        return drawn
    again = f" The name stands on {alike} steps; the numbers are for all of them." * (alike > 1)
    told = f"<title>{svg.escape(f'{shape.name}: {mark.told}.{again}')}</title>"
    return svg.linked(f"<g>{told}{drawn}{_badges(shape, mark, taken)}</g>", mark.href)


def _badges(shape: Shape, mark: Mark, taken: Sequence[Shape]) -> str:
    """Put the most frequent kinds at the free corners, clockwise from the upper left."""
    order = list(signs.SIGNS)
    kinds = sorted(mark.kinds, key=lambda pair: (-pair[1], order.index(pair[0])))
    waiting = [pair for pair in kinds if pair[1]]
    found = []
    for right, low in ((False, False), (True, False), (True, True), (False, True)):
        wide = signs.badge_width(waiting[0][1]) if waiting else 0.0
        x = shape.x + shape.width - wide + 14 if right else shape.x - 14
        y = shape.y + shape.height + OUT if low else shape.y - OUT
        if waiting and not any(_covers(x, y, wide, event) for event in taken):
            found.append(signs.badge(*waiting.pop(0), x, y))
    return "".join(found)


def _covers(x: float, y: float, wide: float, event: Shape) -> bool:
    """Tell whether a badge would cover an event on the border."""
    half = signs.HIGH / 2
    return (
        x < event.x + event.width
        and x + wide > event.x
        and y - half < event.y + event.height
        and y + half > event.y
    )


# --- flows


def _waypoints(edge: Edge, places: Mapping[str, Shape]) -> list[tuple[float, float]]:
    if len(edge.waypoints) > 1:
        return list(edge.waypoints)
    ends = [places[end] for end in (edge.source, edge.target) if end in places]
    return [(s.x + s.width / 2, s.y + s.height / 2) for s in ends]


def _edge(edge: Edge, pairs: list[tuple[float, float]]) -> str:
    """A flow: its line, its head, and its name; messages are dashed from a ring to an open head."""
    if len(pairs) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    message = edge.kind == "messageFlow"
    look = pen.Look(pen.NONE, svg.LINE, 1.5, "7 4" if message else "")
    drawn = f'<polyline points="{svg.points(pairs)}"{look.attributes}/>'
    if message:
        drawn += pen.circle(*pairs[0], 4, pen.Look(stroke=svg.LINE))
    drawn += _head(pairs, filled=not message)
    return drawn + _edge_name(edge.name, pairs)


def _head(pairs: Sequence[tuple[float, float]], *, filled: bool) -> str:
    (x1, y1) = pairs[-1]
    (x0, y0) = next((p for p in reversed(pairs[:-1]) if p != pairs[-1]), (x1 - 1, y1))
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    back = (-9 * ux, -9 * uy)
    corners = [
        (0.0, 0.0),
        (back[0] - 4 * uy, back[1] + 4 * ux),
        (back[0] + 4 * uy, back[1] - 4 * ux),
    ]
    return pen.polygon(x1, y1, 1, corners, pen.Look(svg.LINE if filled else pen.WHITE, svg.LINE))


def _edge_name(name: str, pairs: Sequence[tuple[float, float]]) -> str:
    """Put a flow's name on its first stretch that has room, above a level one, beside a steep."""
    if not name:
        return ""
    stretches = list(itertools.pairwise(pairs))
    long = max(stretches, key=_length)
    (x0, y0), (x1, y1) = next((one for one in stretches if _length(one) >= _NEAR), long)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    if abs(x1 - x0) >= abs(y1 - y0):
        label = svg.wrapped(name, max(10.0, abs(x1 - x0) / 11), 2)
        return svg.lines(x, y - 8 * len(label), label, size=11, fill=svg.SOFT, halo=True)
    label = svg.wrapped(name, 10, 3)
    half = max(map(svg.width, label), default=0.0) * 11 / 2
    return svg.lines(x + half + 5, y, label, size=11, fill=svg.SOFT, halo=True)


def _length(stretch: tuple[tuple[float, float], tuple[float, float]]) -> float:
    (x0, y0), (x1, y1) = stretch
    return float(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5)


# --- the legend


@dataclass(frozen=True)
class _Entry:
    """One entry of the legend: a badge, or a small task, and what it means."""

    words: str
    kind: str = ""
    look: pen.Look = pen.Look()  # noqa: RUF009 - frozen

    @property
    def width(self) -> float:
        return (20.0 if self.kind else 34.0) + 12 * svg.width(self.words) + GAP / 2

    def drawn(self, x: float, y: float) -> str:
        example = (
            signs.shape(self.kind, x + 8, y)
            if self.kind
            else pen.box(x + 1, y - 8, 24, 16, self.look, corner=4)
        )
        words_at = x + (20.0 if self.kind else 32.0)
        return example + svg.text(words_at, y + 4, self.words, anchor="start", fill=svg.SOFT)


def _legend(
    marks: Mapping[str, Mark],
    unrecorded: Collection[str],
    left: float,
    top: float,
    wide: float,
) -> tuple[str, float]:
    """Return the legend of what occurs, in as many rows as it needs, and its height.

    Wide drawings are shrunk to their place, so their legend is larger.
    """
    scale = max(1.0, wide / USUAL_WIDTH)
    seen = {kind for mark in marks.values() for kind, n in mark.kinds if n}
    entries = [_Entry(f"{kind}, cases", kind) for kind in signs.SIGNS if kind in seen]
    if marks:
        full = pen.Look(fill=HEAT_HIGH)
        entries.append(_Entry("deeper blue, figure: cases that did it as expected", look=full))
    if seen:
        red = pen.Look(stroke=DEVIATING, width=3)
        entries.append(_Entry("thicker red: a larger share deviates", look=red))
    if unrecorded:
        entries.append(_Entry("this source cannot record the step", look=pen.Look(dashes="5 4")))
    drawn, x, y = [], 0.0, ROW / 2
    for entry in entries:
        if x and x + entry.width > wide / scale:
            x, y = 0.0, y + ROW
        drawn.append(entry.drawn(x, y))
        x += entry.width
    place = f"translate({svg.num(left)} {svg.num(top)}) scale({scale:.2f})"
    return f'<g transform="{place}">{"".join(drawn)}</g>', scale * (y + ROW / 2)
