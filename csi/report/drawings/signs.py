"""By which sign is each kind of deviation known? One shape and one colour each, everywhere.

The same signs stand on the tasks of a model, in the table of deviations and in the strips of moves,
always beside the word or the count, so that neither colour nor shape alone has to be understood.
The colours keep a contrast of at least 4.5 to 1 on white (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.drawings import pen, svg
from csi.report.words import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.report.drawings.pen import Point

HIGH: Final = 22.0
_SIZE: Final = 6.0
_TEXT: Final = 12.0
_RING: Final = 3.0

_UP: Final = ((-1.0, 0.75), (1.0, 0.75), (0.0, -0.95))
_DIAMOND: Final = ((0.0, -1.1), (1.0, 0.0), (0.0, 1.1), (-1.0, 0.0))
_LEFT: Final = ((0.25, -1.0), (1.0, -1.0), (0.0, 0.0), (1.0, 1.0), (0.25, 1.0), (-0.8, 0.0))
_RIGHT: Final = tuple((-x, y) for x, y in _LEFT)
_SQUARE: Final = ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8))


@dataclass(frozen=True)
class Sign:
    """A kind's colour, and the corners of its shape (none: a ring)."""

    colour: str
    corners: Sequence[Point]


SIGNS: Final = {
    "skipped": Sign("#b3261e", _UP),
    "unexpected": Sign("#6a3d9a", _DIAMOND),
    "too early": Sign("#1d5fa8", _LEFT),
    "too late": Sign("#8a5a00", _RIGHT),
    "repeated": Sign("#00695c", ()),
    "wrong branch": Sign("#9c1458", _SQUARE),
}


def shape(kind: str, x: float, y: float) -> str:
    """Return the sign of a kind of deviation, its middle at (x, y)."""
    sign = SIGNS[kind]
    if not sign.corners:
        ring = pen.Look(fill=pen.NONE, stroke=sign.colour, width=_RING)
        return pen.circle(x, y, _SIZE - _RING / 2, ring)
    return pen.polygon(x, y, _SIZE, sign.corners, pen.Look(sign.colour, pen.NONE))


def small(kind: str) -> str:
    """Return the sign as a drawing of its own, to stand in a line of text beside its word."""
    wide = 2 * _SIZE + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sign" viewBox="0 0 {svg.num(wide)} '
        f'{svg.num(wide)}" width="{svg.num(wide)}" height="{svg.num(wide)}" aria-hidden="true">'
        f"{shape(kind, wide / 2, wide / 2)}</svg>"
    )


def badge_width(n: int) -> float:
    """Return the width of a badge with this count."""
    return _TEXT * svg.width(number(n)) + 32


def badge(kind: str, n: int, left: float, y: float) -> str:
    """Return a pill with the sign and the count of a kind; its left end and its middle's height."""
    colour = SIGNS[kind].colour
    pill = pen.box(
        left, y - HIGH / 2, badge_width(n), HIGH, pen.Look(stroke=colour, width=2), corner=HIGH / 2
    )
    said = svg.text(
        left + 23, y + 4.5, number(n), size=_TEXT, fill=colour, anchor="start", weight="bold"
    )
    return pill + shape(kind, left + 14, y) + said
