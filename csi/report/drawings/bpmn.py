"""Where do tickets leave the reference model? The model in BPMN notation, with marks on its tasks.

The drawing takes the model's own layout (BPMN DI: bounds and waypoints), so it looks as in the
editor it was made in: tasks as rounded boxes, a start as a thin and an end as a thick circle,
gateways as diamonds with x (exclusive) or + (parallel). A task that tickets skip or do when the
model does not expect it gets a badge: a triangle with the count of skips at its upper left, a
diamond with the count of surplus occurrences at its upper right; the fill says how many cases are
concerned. Unmarked tasks are plain; a dashed one cannot be recorded by the log's source.
Complexity: linear in the shapes and edges.
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
LEGEND: Final = 46.0
PALE, STRONG = "#fdf3e1", "#f0a27e"
SKIP, SURPLUS = "#b3261e", "#6a3d9a"
CROSS: Final = {"exclusiveGateway": "x", "parallelGateway": "+"}
THICK: Final = {"startEvent": 1.5, "endEvent": 4.0}


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
    box = (left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN)
    body = [_edge(edge) for edge in diagram.edges]
    body += [
        _shape(shape, marks.get(shape.name), dashed=shape.name in unrecorded)
        for shape in diagram.shapes
    ]
    body.append(_legend(box[0] + 10, bottom + MARGIN + 20))
    return svg.document(
        "".join(body),
        box=(*box[:3], box[3] + LEGEND),
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
    return min(xs), min(ys), max(xs), max(ys)


def _told(marks: Mapping[str, Mark]) -> str:
    said = [
        f"{activity}: skipped {number(mark.skipped)}, unexpected {number(mark.unexpected)}"
        for activity, mark in sorted(marks.items())
        if mark.skipped or mark.unexpected
    ]
    return "; ".join(said) or "No ticket leaves the model."


def _edge(edge: Edge) -> str:
    """A sequence flow: its line, an arrowhead, and its name beside the first bend."""
    pairs = list(edge.waypoints)
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
    return _task(shape, mark, dashed=dashed)


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


def _task(shape: Shape, mark: Mark | None, *, dashed: bool) -> str:
    """A task, filled and badged where tickets leave the model at it; then it is a link too."""
    marked = mark is not None and bool(mark.skipped or mark.unexpected)
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
        f"unexpected {plural(mark.unexpected, 'time')}; {plural(mark.n_cases, 'ended case')}"
    )
    told = f"<title>{svg.escape(said)}</title>"
    badges = _badge(shape.x, shape.y, mark.skipped, SKIP, skipped=True)
    badges += _badge(shape.x + shape.width, shape.y, mark.unexpected, SURPLUS, skipped=False)
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


def _legend(x: float, y: float) -> str:
    def said(at: float, words: str) -> str:
        return svg.text(x + at, y + 4, words, anchor="start", fill=svg.SOFT)

    parts = [
        _badge(x + 12, y, 12, SKIP, skipped=True),
        said(62, "times skipped"),
        _badge(x + 205, y, 12, SURPLUS, skipped=False),
        said(225, "times unexpected"),
        said(355, "stronger fill: a larger share of cases"),
        said(615, "dashed: this source cannot record the step"),
    ]
    return "".join(parts)
