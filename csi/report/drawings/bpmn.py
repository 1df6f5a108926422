"""Where do tickets leave the reference model? The model in BPMN notation, with marks on its tasks.

The drawing takes the model's own layout (BPMN DI: bounds and waypoints), so it looks as in the
editor it was made in: tasks as rounded boxes, a start as a thin and an end as a thick circle,
gateways as diamonds with x (exclusive) or + (parallel). A task that tickets skip or do when the
model does not expect it gets a badge: a triangle with the count of skips at its upper left, a
diamond with the count of surplus occurrences at its lower right; the fill says how many cases are
concerned. Unmarked tasks are plain; a dashed one cannot be recorded by the log's source. Marked
steps that the drawing does not hold stand in rows below it, with their number, the most frequent
first (at most `MOST_BESIDE`).

Not drawn: message flows, data, pools (the models we read have none). A flow with fewer than two
waypoints becomes a straight line between its ends. Units: those of the diagram (pixels in the
common tools). Complexity: linear in the shapes and edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.drawings import svg
from csi.report.words import number, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from process_mining.model import Diagram, Edge, Shape

MARGIN: Final = 30.0
ROW: Final = 26.0
PALE, STRONG = "#fdf3e1", "#f0a27e"
SKIP, SURPLUS = "#b3261e", "#6a3d9a"
CROSS: Final = {"exclusiveGateway": "x", "parallelGateway": "+"}
THICK: Final = {"startEvent": 1.5, "endEvent": 4.0}
LANE: Final = "lane"
TASK_SIZE: Final = (160.0, 60.0)
GAP: Final = 24.0
MOST_BESIDE: Final = 24
LEAST_WIDTH: Final = 420.0


@dataclass(frozen=True)
class Mark:
    """What happened at one activity: times skipped, times unexpected, and the cases in all.

    `severity`, 0 to 1, colours the task; `href` is an anchor of the same page.
    """

    skipped: int
    unexpected: int
    n_cases: int
    href: str | None = None
    severity: float = 0.0


@dataclass(frozen=True)
class _Place:
    """A task to draw: its name and its bounds."""

    name: str
    x: float
    y: float
    width: float
    height: float


def draw_bpmn(
    diagram: Diagram,
    *,
    marks: Mapping[str, Mark],
    unrecorded: Collection[str] = (),
    name: str = "model",
    title: str = "Reference model",
) -> str:
    """Return the model as one inline SVG element; `unrecorded` tasks are drawn dashed."""
    left, top, right, bottom = _extent(diagram)
    wide = max(right - left, LEAST_WIDTH) + 2 * MARGIN
    beside, below = _beside(diagram, marks), bottom + MARGIN + 12
    others = _others(beside, marks, left, below, wide - 2 * MARGIN)
    foot = below + _rows_height(min(len(beside), MOST_BESIDE), wide - 2 * MARGIN)
    legend, height = _legend(left, foot, wide - 2 * MARGIN)
    ordered = sorted(diagram.shapes, key=lambda shape: shape.kind != LANE)  # lanes lie behind all
    shapes = [_shape(s, marks.get(s.name), dashed=s.name in unrecorded) for s in ordered]
    lanes = sum(shape.kind == LANE for shape in ordered)
    places = {shape.id: shape for shape in diagram.shapes}
    edges = [_edge(edge, _waypoints(edge, places)) for edge in diagram.edges]
    return svg.document(
        "".join([*shapes[:lanes], *edges, *shapes[lanes:], others, legend]),
        box=(left - MARGIN, top - MARGIN, wide, foot + height + MARGIN - top),
        name=name,
        title=title,
        desc=_told(marks),
        role="img" if not any(mark.href for mark in marks.values()) else "group",
    )


def _extent(diagram: Diagram) -> tuple[float, float, float, float]:
    xs = [x for s in diagram.shapes for x in (s.x, s.x + s.width)]
    ys = [y for s in diagram.shapes for y in (s.y, s.y + s.height)]
    xs += [x for edge in diagram.edges for x, _ in edge.waypoints]
    ys += [y for edge in diagram.edges for _, y in edge.waypoints]
    if not xs:
        return 0.0, 0.0, 0.0, 0.0
    return min(xs), min(ys), max(xs), max(ys)


def _waypoints(edge: Edge, places: Mapping[str, Shape]) -> list[tuple[float, float]]:
    if len(edge.waypoints) > 1:
        return list(edge.waypoints)
    ends = [places[end] for end in (edge.source, edge.target) if end in places]
    return [(s.x + s.width / 2, s.y + s.height / 2) for s in ends]


def _beside(diagram: Diagram, marks: Mapping[str, Mark]) -> list[str]:
    """Return the marked steps that no task of the drawing stands for, by name."""
    drawn = {s.name for s in diagram.shapes if s.kind not in {*THICK, *CROSS, LANE}}
    return sorted(a for a, mark in marks.items() if a not in drawn and _counted(mark))


def _counted(mark: Mark | None) -> bool:
    return mark is not None and bool(mark.skipped or mark.unexpected)


def _per_row(wide: float) -> int:
    return max(1, int((wide + GAP) // (TASK_SIZE[0] + GAP)))


def _rows_height(n: int, wide: float) -> float:
    rows = -(-n // _per_row(wide))
    return ROW + rows * (TASK_SIZE[1] + GAP) if n else 0.0


def _others(
    beside: list[str], marks: Mapping[str, Mark], left: float, top: float, wide: float
) -> str:
    """Draw rows of tasks that belong to no place in the model."""
    if not beside:
        return ""
    shown = sorted(beside, key=lambda a: (-marks[a].skipped - marks[a].unexpected, a))[:MOST_BESIDE]
    said = (
        f"{plural(len(beside), 'step')} that this drawing does not hold, the most frequent first:"
    )
    drawn = [svg.text(left, top, said, anchor="start", fill=svg.SOFT)]
    for i, activity in enumerate(shown):
        row, column = divmod(i, _per_row(wide))
        x = left + column * (TASK_SIZE[0] + GAP)
        y = top + ROW + row * (TASK_SIZE[1] + GAP)
        shape = _Place(activity, x, y, *TASK_SIZE)
        drawn.append(_task(shape, marks[activity], dashed=False))
    return "".join(drawn)


def _told(marks: Mapping[str, Mark]) -> str:
    said = [
        f"{activity}: skipped {number(mark.skipped)}, unexpected {number(mark.unexpected)}"
        for activity, mark in sorted(marks.items())
        if mark.skipped or mark.unexpected
    ]
    return "; ".join(said) or "No ticket leaves the model."


def _edge(edge: Edge, pairs: list[tuple[float, float]]) -> str:
    """A sequence flow: its line, an arrowhead, and its name beside the first bend."""
    if len(pairs) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    look = f'fill="none" stroke="{svg.LINE}" stroke-width="1.5"'
    line = f'<polyline points="{svg.points(pairs)}" {look}/>'
    (x0, y0), (x1, y1) = pairs[-2], pairs[-1]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    back = (x1 - 9 * ux, y1 - 9 * uy)
    head = [(x1, y1), (back[0] - 4 * uy, back[1] + 4 * ux), (back[0] + 4 * uy, back[1] - 4 * ux)]
    arrow = f'<polygon points="{svg.points(head)}" fill="{svg.LINE}"/>'
    if not edge.name:
        return line + arrow
    (sx, sy), (tx, ty) = pairs[0], pairs[1]
    return line + arrow + svg.text(
        (sx + tx) / 2, (sy + ty) / 2 - 5, edge.name, size=11, fill=svg.SOFT, halo=True
    )  # fmt: skip


def _shape(shape: Shape, mark: Mark | None, *, dashed: bool) -> str:
    if shape.kind in THICK:
        return _event(shape)
    if shape.kind in CROSS:
        return _gateway(shape)
    if shape.kind == LANE:
        return _lane(shape)
    place = _Place(shape.name, shape.x, shape.y, shape.width, shape.height)
    return _task(place, mark, dashed=dashed)


def _lane(shape: Shape) -> str:
    """A lane: its outline, its name along the left edge."""
    x, y = shape.x + 15, shape.y + shape.height / 2
    turned = f'<g transform="rotate(-90 {svg.num(x)} {svg.num(y)})">'
    label = svg.lines(x, y, svg.wrapped(shape.name, shape.height / 13, 1), size=12, fill=svg.SOFT)
    return (
        f'<rect x="{svg.num(shape.x)}" y="{svg.num(shape.y)}" width="{svg.num(shape.width)}" '
        f'height="{svg.num(shape.height)}" fill="none" stroke="{svg.LINE}"/>{turned}{label}</g>'
    )


def _event(shape: Shape) -> str:
    x, y, r = shape.x + shape.width / 2, shape.y + shape.height / 2, shape.width / 2
    ring = (
        f'<circle cx="{svg.num(x)}" cy="{svg.num(y)}" r="{svg.num(r)}" fill="#fff" '
        f'stroke="{svg.INK}" stroke-width="{svg.num(THICK[shape.kind])}"/>'
    )
    label = svg.wrapped(shape.name, 9, 2)
    return ring + svg.lines(x, y + r + 12, label, size=11, fill=svg.SOFT)


def _gateway(shape: Shape) -> str:
    x, y = shape.x + shape.width / 2, shape.y + shape.height / 2
    w, h = shape.width / 2, shape.height / 2
    corners = [(x, y - h), (x + w, y), (x, y + h), (x - w, y)]
    look = f'fill="#fff" stroke="{svg.INK}" stroke-width="1.5"'
    diamond = f'<polygon points="{svg.points(corners)}" {look}/>'
    arm = w * (0.36 if CROSS[shape.kind] == "x" else 0.5)
    ends = [(-arm, -arm), (arm, arm), (-arm, arm), (arm, -arm)]
    if CROSS[shape.kind] == "+":
        ends = [(-arm, 0), (arm, 0), (0, -arm), (0, arm)]
    moves = [f"{svg.num(x + dx)} {svg.num(y + dy)}" for dx, dy in ends]
    path = f"M{moves[0]}L{moves[1]}M{moves[2]}L{moves[3]}"
    sign = f'<path d="{path}" stroke="{svg.INK}" stroke-width="3" fill="none"/>'
    label = svg.wrapped(shape.name, 11, 2)
    return diamond + sign + svg.lines(x, y - h - 10, label, size=11, fill=svg.SOFT)


def _task(shape: _Place, mark: Mark | None, *, dashed: bool) -> str:
    """A task, filled and badged where tickets leave the model at it; then it is a link too."""
    marked = _counted(mark)
    fill = svg.mixed(PALE, STRONG, mark.severity) if mark is not None and marked else "#fff"
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    box = (
        f'<rect x="{svg.num(shape.x)}" y="{svg.num(shape.y)}" width="{svg.num(shape.width)}" '
        f'height="{svg.num(shape.height)}" rx="8" fill="{fill}" stroke="{svg.INK}" '
        f'stroke-width="{2.5 if marked else 1.5}"{dashes}/>'
    )
    x, y = shape.x + shape.width / 2, shape.y + shape.height / 2
    label = svg.lines(x, y, svg.wrapped(shape.name, shape.width / 13, 3), size=13)
    if mark is None or not marked:
        return box + label
    said = (
        f"{shape.name}: skipped {plural(mark.skipped, 'time')}, "
        f"unexpected {plural(mark.unexpected, 'time')}; "
        f"{plural(mark.n_cases, 'ended case')} in all"
    )
    told = f"<title>{svg.escape(said)}</title>"
    badges = _badge(shape.x, shape.y, mark.skipped, SKIP, skipped=True)
    corner = (shape.x + shape.width, shape.y + shape.height)
    badges += _badge(*corner, mark.unexpected, SURPLUS, skipped=False)
    return svg.linked(f"<g>{told}{box}{label}{badges}</g>", mark.href)


def _badge(x: float, y: float, n: int, colour: str, *, skipped: bool) -> str:
    """A pill with a triangle (skipped) or a diamond (unexpected) and the count."""
    if not n:
        return ""
    shown = number(n)
    wide = 12 * svg.width(shown) + 34
    left = x - 12 if skipped else x - wide + 12
    sign = [(left + 8, y + 4), (left + 20, y + 4), (left + 14, y - 6)]
    if not skipped:
        sign = [(left + 14, y - 7), (left + 20, y), (left + 14, y + 7), (left + 8, y)]
    return (
        f'<rect x="{svg.num(left)}" y="{svg.num(y - 11)}" width="{svg.num(wide)}" height="22" '
        f'rx="11" fill="#fff" stroke="{colour}" stroke-width="2"/>'
        f'<polygon points="{svg.points(sign)}" fill="{colour}"/>'
        + svg.text(left + 24, y + 4.5, shown, fill=colour, anchor="start", weight="bold")
    )


def _legend(left: float, top: float, wide: float) -> tuple[str, float]:
    """Return the legend, in as many rows as the drawing's width asks for, and its height."""
    parts = (
        ("skip", "times skipped"),
        ("surplus", "times unexpected"),
        ("", "stronger fill: a larger share of cases"),
        ("", "dashed: this source cannot record the step"),
    )
    drawn, x, y = [], left, top + ROW / 2
    for sign, words in parts:
        room = (62 if sign else 0) + 12 * svg.width(words) + GAP
        if x > left and x + room > left + wide:
            x, y = left, y + ROW
        drawn.append(_example(sign, x, y) + _legend_text(x + (58 if sign else 0), y, words))
        x += room
    return "".join(drawn), y - top + ROW / 2


def _example(sign: str, x: float, y: float) -> str:
    if not sign:
        return ""
    if sign == "skip":
        return _badge(x + 12, y, 12, SKIP, skipped=True)
    return _badge(x + 12 * svg.width("12") + 34 - 12, y, 12, SURPLUS, skipped=False)


def _legend_text(x: float, y: float, words: str) -> str:
    return svg.text(x, y + 4, words, anchor="start", fill=svg.SOFT)
