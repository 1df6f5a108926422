"""How is one element of a BPMN diagram drawn? By its kind, in the notation of BPMN 2.0.

Events are circles (start thin, intermediate and boundary doubled, end thick; dashed where a
boundary or start event does not interrupt), activities rounded boxes (call activities thick,
transactions doubled), gateways diamonds with their sign, pools and lanes frames with their name
turned. An expanded sub-process is a frame round what it holds. A kind that is unknown here is drawn
as a pale box with its name: nothing is left out in silence.

Names of events and gateways stand below and above them, of activities inside; where the editor
had put them is not known. Not told apart: the types of task (user, service, script ...).
Source: BPMN 2.0.2 (OMG formal/2013-12-09), clauses 7 and 10. Units: those of the diagram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.report.drawings import bpmn_signs, pen, svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.model import Shape

START, END = "startEvent", "endEvent"
BOUNDARY: Final = "boundaryEvent"
POOL, LANE = "participant", "lane"
_THROWING: Final = frozenset({END, "intermediateThrowEvent"})
_FRAMES: Final = frozenset({"subProcess", "adHocSubProcess", "transaction"})
_ACTIVITIES: Final = _FRAMES | {
    *("task", "userTask", "serviceTask", "manualTask", "sendTask", "receiveTask"),
    *("businessRuleTask", "scriptTask", "callActivity"),
}
_BAND: Final = 30.0
_NAME: Final = 13.0
_SMALL: Final = 11.0
_PALE: Final = pen.Look(stroke=svg.LINE)
_ROW: Final = 14.0
_EDGES: Final = 10.0


def is_activity(shape: Shape) -> bool:
    """Tell whether the shape is a step of the process, drawn as a box."""
    return shape.kind in _ACTIVITIES


def is_event(shape: Shape) -> bool:
    """Tell whether the shape is drawn as a circle."""
    return shape.kind.endswith("Event")


def is_gateway(shape: Shape) -> bool:
    """Tell whether the shape is drawn as a diamond."""
    return shape.kind.endswith("Gateway")


def is_frame(shape: Shape) -> bool:
    """Tell whether the shape lies behind what it holds: pools, lanes, sub-processes."""
    expanded = shape.kind in _FRAMES and "collapsed" not in shape.markers
    return expanded or shape.kind in {POOL, LANE}


def layer(shape: Shape) -> tuple[int, float]:
    """Return the order of drawing: frames first, the larger ones before those inside them."""
    if is_frame(shape):
        return 0, -shape.width * shape.height
    return (2 if shape.kind == BOUNDARY else 1), 0.0


def drawn(shape: Shape, *, empty: bool) -> str:
    """Return an element that is no activity; `empty` tells of a pool that it holds nothing."""
    if shape.kind in {POOL, LANE}:
        return _pool(shape, empty=empty)
    if is_event(shape):
        return _event(shape)
    if is_gateway(shape):
        return _gateway(shape)
    return _unknown(shape)


def label_box(shape: Shape) -> tuple[float, float, float, float] | None:
    """Return left, top, right and bottom of a name that stands outside its shape."""
    lines = _outside(shape) if is_event(shape) or is_gateway(shape) else ()
    if not lines:
        return None
    half = max(map(svg.width, lines)) * _SMALL / 2
    x, high = shape.x + shape.width / 2, len(lines) * _SMALL * 1.2 + 4
    if is_gateway(shape):
        return x - half, shape.y - high, x + half, shape.y
    bottom = shape.y + shape.height
    return x - half, bottom, x + half, bottom + high


def activity(  # noqa: PLR0913 - an activity has a look, and what is known of it
    shape: Shape, *, fill: str, stroke: str, width: float, dashed: bool, figure: str
) -> str:
    """Return an activity: its box, its name, its markers, and a row of text with a figure."""
    heavy = shape.kind == "callActivity"
    dashes = "5 4" if dashed else "2 3" if "event" in shape.markers else ""
    look = pen.Look(fill, stroke, max(width, 4.0) if heavy else width, dashes)
    outline = _box(shape, look, 0.0)
    if shape.kind == "transaction":
        outline += _box(shape, pen.Look(pen.NONE, svg.INK, 1.0), 3.0)
    named = _frame_name(shape) if is_frame(shape) else _inner_name(shape, figure)
    x, bottom = shape.x + shape.width / 2, shape.y + shape.height
    return outline + named + bpmn_signs.markers(shape.markers, x, bottom)


def _box(shape: Shape, look: pen.Look, inset: float) -> str:
    wide, high = shape.width - 2 * inset, shape.height - 2 * inset
    corner = min(8.0, wide / 2, high / 2)
    return pen.box(shape.x + inset, shape.y + inset, wide, high, look, corner=corner)


def _frame_name(shape: Shape) -> str:
    label = svg.wrapped(shape.name, shape.width / _NAME, 1)
    return svg.lines(shape.x + shape.width / 2, shape.y + _NAME, label, size=_NAME, halo=True)


def _inner_name(shape: Shape, figure: str) -> str:
    """Put the name, and the figure below it, in the middle of what badges and markers leave free.

    Text that needs more room is set smaller; where not even that fits, the figure is left out.
    """
    marked = _ROW if set(shape.markers) & set(bpmn_signs.ORDER) else 0.0
    room = shape.height - marked - _EDGES
    size, label = _NAME, svg.wrapped(shape.name, (shape.width - 8) / _NAME, 9)
    if _high(label, size, figure) > room:
        size = _SMALL
        label = svg.wrapped(shape.name, (shape.width - 8) / size, max(1, int(room / size / 1.2)))
        figure = figure if _high(label, size, figure) <= room else ""
    x, foot = shape.x + shape.width / 2, _ROW if figure else 0.0
    middle = shape.y + _EDGES / 2 + room / 2 - foot / 2
    said = svg.lines(x, middle, label, size=size)
    if not figure:
        return said
    return said + svg.text(x, middle + size * 0.6 * len(label) + _SMALL, figure, size=_SMALL)


def _high(label: Sequence[str], size: float, figure: str) -> float:
    return size * 1.2 * len(label) + (_ROW if figure else 0.0)


def _event(shape: Shape) -> str:
    x, y, r = shape.x + shape.width / 2, shape.y + shape.height / 2, shape.width / 2
    dashes = "4 3" if "nonInterrupting" in shape.markers else ""
    ring = pen.Look(width=4.0 if shape.kind == END else 1.5, dashes=dashes)
    circles = pen.circle(x, y, r, ring)
    if shape.kind not in {START, END}:
        circles += pen.circle(x, y, r - 3, ring)
    filled = shape.kind in _THROWING
    inside = "".join(bpmn_signs.trigger(m, x, y, r, filled=filled) for m in shape.markers)
    return circles + inside + _name_outside(shape)


def _gateway(shape: Shape) -> str:
    x, y = shape.x + shape.width / 2, shape.y + shape.height / 2
    w, h = shape.width / 2, shape.height / 2
    corners = [(0.0, -h), (w, 0.0), (0.0, h), (-w, 0.0)]
    diamond = pen.polygon(x, y, 1, corners, pen.Look())
    return diamond + bpmn_signs.gateway(shape.kind, x, y, w) + _name_outside(shape)


def _outside(shape: Shape) -> tuple[str, ...]:
    return svg.wrapped(shape.name, 11 if is_gateway(shape) else 9, 3)


def _name_outside(shape: Shape) -> str:
    place = label_box(shape)
    if place is None:
        return ""
    left, top, right, bottom = place
    middle = ((left + right) / 2, (top + bottom) / 2)
    return svg.lines(*middle, _outside(shape), size=_SMALL, fill=svg.SOFT, halo=True)


def _pool(shape: Shape, *, empty: bool) -> str:
    """A pool or lane: its outline, its name turned along the left edge, or inside if empty."""
    fill = svg.WASH if shape.kind == POOL and empty else pen.NONE
    stroke = svg.SOFT if shape.kind == POOL else svg.LINE
    outline = pen.box(shape.x, shape.y, shape.width, shape.height, pen.Look(fill, stroke))
    if shape.kind == POOL and empty and shape.width >= shape.height:
        middle = (shape.x + shape.width / 2, shape.y + shape.height / 2)
        label = svg.wrapped(shape.name, shape.width / _NAME, 2)
        return outline + svg.lines(*middle, label, size=_NAME, fill=svg.SOFT)
    if _upright(shape):
        middle = (shape.x + shape.width / 2, shape.y + _BAND / 2)
        label = svg.wrapped(shape.name, shape.width / _NAME, 2)
        return outline + svg.lines(*middle, label, size=12, fill=svg.SOFT)
    return outline + _turned(shape)


def _upright(shape: Shape) -> bool:
    """Pools that stand upright have their names at the top."""
    return "vertical" in shape.markers


def _turned(shape: Shape) -> str:
    x, y = shape.x + _BAND / 2, shape.y + shape.height / 2
    label = svg.wrapped(shape.name, shape.height / _NAME, 2)
    lines = svg.lines(x, y, label, size=12, fill=svg.SOFT)
    edge = ""
    if shape.kind == POOL:
        way = [((_BAND, 0.0), (_BAND, shape.height))]
        edge = pen.strokes(shape.x, shape.y, 1, way, pen.Look(pen.NONE, svg.LINE))
    return f'{edge}<g transform="rotate(-90 {svg.num(x)} {svg.num(y)})">{lines}</g>'


def _pale_name(name: str, x: float, y: float, width: float) -> str:
    label = svg.wrapped(name, width / _SMALL, 3)
    return svg.lines(x, y, label, size=_SMALL, fill=svg.SOFT, halo=True)


def _unknown(shape: Shape) -> str:
    outline = pen.box(shape.x, shape.y, shape.width, shape.height, _PALE)
    middle = (shape.x + shape.width / 2, shape.y + shape.height / 2)
    return outline + _pale_name(shape.name, *middle, shape.width)


def holds(pool: Shape, shapes: Sequence[Shape]) -> bool:
    """Tell whether any other shape lies inside this one."""
    return any(
        other is not pool
        and pool.x <= other.x + other.width / 2 <= pool.x + pool.width
        and pool.y <= other.y + other.height / 2 <= pool.y + pool.height
        and other.width * other.height < pool.width * pool.height
        for other in shapes
    )
