"""With which strokes is a figure drawn? Closed and open figures of SVG, by numbers alone.

No text passes through here (that is `svg`'s task), so nothing of a ticket can reach an attribute.
Units: those of the drawing, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.drawings import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    Point = tuple[float, float]

WHITE: Final = "#fff"
NONE: Final = "none"


@dataclass(frozen=True)
class Look:
    """How a figure is drawn: fill and stroke colours, width of the stroke, lengths of dashes."""

    fill: str = WHITE
    stroke: str = svg.INK
    width: float = 1.5
    dashes: str = ""

    @property
    def attributes(self) -> str:
        """Return it as SVG's attributes, with a space before each."""
        dashed = f' stroke-dasharray="{self.dashes}"' if self.dashes else ""
        wide = "" if self.stroke == NONE else f' stroke-width="{svg.num(self.width)}"'
        return f' fill="{self.fill}" stroke="{self.stroke}"{wide}{dashed}'


LINE: Final = Look(fill=NONE)
FILLED: Final = Look(fill=svg.INK, width=1)


def circle(x: float, y: float, r: float, look: Look) -> str:
    """Return a circle round (x, y)."""
    return f'<circle cx="{svg.num(x)}" cy="{svg.num(y)}" r="{svg.num(r)}"{look.attributes}/>'


def box(  # noqa: PLR0913 - a box has a place, a size, corners and a look
    x: float, y: float, width: float, height: float, look: Look, *, corner: float = 0
) -> str:
    """Return a box from its upper left corner; `corner` is the radius of its corners."""
    rounded = f' rx="{svg.num(corner)}"' if corner else ""
    return (
        f'<rect x="{svg.num(x)}" y="{svg.num(y)}" width="{svg.num(width)}" '
        f'height="{svg.num(height)}"{rounded}{look.attributes}/>'
    )


def polygon(x: float, y: float, scale: float, corners: Sequence[Point], look: Look) -> str:
    """Return a closed figure: `corners` in units of `scale`, from (x, y)."""
    return f'<polygon points="{svg.points(_placed(x, y, scale, corners))}"{look.attributes}/>'


def strokes(
    x: float, y: float, scale: float, lines: Sequence[Sequence[Point]], look: Look = LINE
) -> str:
    """Return open lines, each through its points, in units of `scale`, from (x, y)."""
    ways = ["L".join(map(_pair, _placed(x, y, scale, line))) for line in lines]
    return f'<path d="{"".join(f"M{way}" for way in ways)}"{look.attributes}/>'


def _placed(x: float, y: float, scale: float, points: Sequence[Point]) -> list[Point]:
    return [(x + scale * dx, y + scale * dy) for dx, dy in points]


def _pair(point: Point) -> str:
    return f"{svg.num(point[0])} {svg.num(point[1])}"
