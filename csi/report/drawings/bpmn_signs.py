"""What do the small signs of BPMN look like? Triggers in events, markers in activities, gateways.

Drawn after BPMN 2.0.2 (OMG formal/2013-12-09): triggers after table 10.93, filled where the event
throws; markers of activities after 10.3; gateways after 10.6. Lengths are in units of the
figure's radius. A trigger or marker that is not known here is left out: its text still says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.report.drawings import pen, svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.report.drawings.pen import Point

_THIN: Final = 1.2
_BOLD: Final = 2.5
MARKER: Final = 14.0

_BOLT: Final = (
    (-0.55, 0.5),
    (-0.2, -0.55),
    (0.12, 0.05),
    (0.55, -0.5),
    (0.2, 0.55),
    (-0.12, -0.05),
)
_SIGNAL: Final = ((0.0, -0.6), (0.55, 0.42), (-0.55, 0.42))
_ESCALATION: Final = ((0.0, -0.6), (0.42, 0.5), (0.0, 0.1), (-0.42, 0.5))
_LINK: Final = (
    *((-0.6, -0.22), (0.1, -0.22), (0.1, -0.5), (0.65, 0.0)),
    *((0.1, 0.5), (0.1, 0.22), (-0.6, 0.22)),
)
_PENTAGON: Final = ((0.0, -0.6), (0.57, -0.19), (0.35, 0.49), (-0.35, 0.49), (-0.57, -0.19))
_CROSS: Final = (((-0.42, -0.42), (0.42, 0.42)), ((-0.42, 0.42), (0.42, -0.42)))
_PLUS: Final = (((-0.5, 0.0), (0.5, 0.0)), ((0.0, -0.5), (0.0, 0.5)))

_SHAPES: Final[dict[str, Sequence[Point]]] = {
    "error": _BOLT,
    "signal": _SIGNAL,
    "escalation": _ESCALATION,
    "link": _LINK,
    "multiple": _PENTAGON,
}
_SIGNS: Final = {"cancel": _CROSS}


def trigger(name: str, x: float, y: float, r: float, *, filled: bool) -> str:
    """Return an event's trigger inside its circle of radius r; nothing for an unknown one."""
    look = pen.FILLED if filled else pen.Look(width=_THIN)
    if name in _SHAPES:
        return pen.polygon(x, y, r, _SHAPES[name], look)
    if name in _SIGNS:
        return pen.strokes(x, y, r, _SIGNS[name], pen.Look(fill=pen.NONE, width=_BOLD))
    figures = {"message": _envelope, "timer": _clock, "conditional": _sheet, "terminate": _dot}
    return figures[name](x, y, r, look) if name in figures else ""


def gateway(kind: str, x: float, y: float, r: float) -> str:
    """Return the sign inside a gateway's diamond of half width r."""
    thick = pen.Look(fill=pen.NONE, width=3)
    if kind == "exclusiveGateway":
        return pen.strokes(x, y, 0.86 * r, _CROSS, thick)
    if kind == "parallelGateway":
        return pen.strokes(x, y, r, _PLUS, thick)
    if kind == "inclusiveGateway":
        return pen.circle(x, y, 0.45 * r, pen.Look(fill=pen.NONE, width=2.5))
    rings = "".join(pen.circle(x, y, share * r, pen.Look(width=_THIN)) for share in (0.56, 0.46))
    return rings + pen.polygon(x, y, 0.55 * r, _PENTAGON, pen.Look(width=_THIN))


def markers(names: Sequence[str], x: float, bottom: float) -> str:
    """Return the markers of an activity side by side, centred on x, standing on `bottom`."""
    shown = [name for name in ORDER if name in names]
    left = x - MARKER * (len(shown) - 1) / 2
    y = bottom - MARKER / 2 - 1
    return "".join(_marker(name, left + MARKER * i, y) for i, name in enumerate(shown))


ORDER: Final = ("loop", "parallel", "sequential", "collapsed")


def _marker(name: str, x: float, y: float) -> str:
    """One marker in a square of 10 by 10 round (x, y)."""
    if name == "loop":
        r = 4.0
        arc = (
            f'<path d="M{svg.num(x - 2)} {svg.num(y + 3.5)}A{svg.num(r)} {svg.num(r)} 0 1 1 '
            f'{svg.num(x + 2)} {svg.num(y + 3.5)}"{pen.LINE.attributes}/>'
        )
        return arc + pen.strokes(x - 2, y + 3.5, 1, [((-3, 0.6), (0, 0), (-0.3, -3))])
    if name in {"parallel", "sequential"}:
        bars = [((i, -4.5), (i, 4.5)) for i in (-3.5, 0.0, 3.5)]
        if name == "sequential":
            bars = [((v, u), (b, a)) for (u, v), (a, b) in bars]
        return pen.strokes(x, y, 1, bars, pen.Look(fill=pen.NONE, width=2))
    frame = pen.box(x - 6, y - 6, 12, 12, pen.Look(width=_THIN))
    return frame + pen.strokes(x, y, 8, _PLUS)


def _dot(x: float, y: float, r: float, _: pen.Look) -> str:
    return pen.circle(x, y, 0.6 * r, pen.FILLED)


def _envelope(x: float, y: float, r: float, look: pen.Look) -> str:
    flap = pen.Look(pen.NONE, pen.WHITE if look.fill == svg.INK else svg.INK, _THIN)
    edges = [((-0.6, -0.4), (0.0, 0.08), (0.6, -0.4))]
    paper = pen.box(x - 0.6 * r, y - 0.4 * r, 1.2 * r, 0.8 * r, look)
    return paper + pen.strokes(x, y, r, edges, flap)


def _clock(x: float, y: float, r: float, _: pen.Look) -> str:
    hands = [((0.12, -0.42), (0.0, 0.0), (0.32, 0.08))]
    ticks = [((a, b), (0.8 * a, 0.8 * b)) for a, b in ((0, -0.6), (0.6, 0), (0, 0.6), (-0.6, 0))]
    face = pen.circle(x, y, 0.62 * r, pen.Look(width=_THIN))
    return face + pen.strokes(x, y, r, [*hands, *ticks], pen.Look(fill=pen.NONE, width=_THIN))


def _sheet(x: float, y: float, r: float, _: pen.Look) -> str:
    rows = [((-0.28, h), (0.28, h)) for h in (-0.3, -0.1, 0.1, 0.3)]
    page = pen.box(x - 0.42 * r, y - 0.52 * r, 0.84 * r, 1.04 * r, pen.Look(width=_THIN))
    return page + pen.strokes(x, y, r, rows, pen.Look(fill=pen.NONE, width=_THIN))
