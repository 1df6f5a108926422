"""Of what does each whole consist? Stacked bars of the same width, one row each, with a key.

Inline SVG without script. A part says its share where it is wide enough; parts differ in how dark
they are as well as in colour, stand in the order of the key, and are described in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.drawings import svg
from csi.report.words import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 900.0
LEFT: Final = 250.0
RIGHT: Final = 20.0
ROW: Final = 38.0
BAR: Final = 20.0
KEY_LINE: Final = 22.0
LEGIBLE: Final = 40.0
FILLS: Final = (
    ("#1d5fa8", "#fff"),
    ("#c9a227", svg.INK),
    ("#7b3f98", "#fff"),
    ("#8fc1e8", svg.INK),
    ("#55606e", "#fff"),
    ("#d5dbe3", svg.INK),
    ("#b3261e", "#fff"),
)
_EMS: Final = 17.5


@dataclass(frozen=True)
class Whole:
    """One row: a label, a note, and a share of each kind, in the order of the kinds."""

    label: str
    note: str
    shares: tuple[float, ...]


def draw_parts(rows: Sequence[Whole], kinds: Sequence[str], *, name: str, title: str) -> str:
    """Return the drawing; "" where there are no rows. At most as many kinds as FILLS."""
    if not rows:
        return ""
    key, top = _key(kinds)
    drawn = key + "".join(_row(row, top + ROW * place) for place, row in enumerate(rows))
    told = "; ".join(
        f"{row.label}, {row.note}: "
        + ", ".join(
            f"{kind} {percent(share)}"
            for kind, share in zip(kinds, row.shares, strict=True)
            if share
        )
        for row in rows
    )
    return svg.document(
        drawn,
        box=(0.0, 0.0, WIDTH, top + ROW * len(rows)),
        name=name,
        title=title,
        desc=told,
        role="img",
    )


def _key(kinds: Sequence[str]) -> tuple[str, float]:
    """Draw the key above the rows; return it and where the rows begin."""
    x, y, drawn = LEFT, 14.0, ""
    for place, kind in enumerate(kinds):
        wide = 26 + svg.width(kind) * 12
        if x + wide > WIDTH and x > LEFT:
            x, y = LEFT, y + KEY_LINE
        drawn += (
            f'<rect x="{svg.num(x)}" y="{svg.num(y - 10)}" width="12" height="12" '
            f'fill="{FILLS[place][0]}"/>'
        )
        drawn += svg.text(x + 18, y, kind, size=12, anchor="start")
        x += wide + 6
    return drawn, y + 8


def _row(row: Whole, top: float) -> str:
    middle = top + ROW / 2
    label = svg.wrapped(row.label, _EMS, 1)
    drawn = svg.text(LEFT - 12, middle - 1, label[0] if label else "", size=13, anchor="end")
    drawn += svg.text(LEFT - 12, middle + 13, row.note, size=11, anchor="end", fill=svg.SOFT)
    x = LEFT
    for place, share in enumerate(row.shares):
        wide = share * (WIDTH - LEFT - RIGHT)
        if not share:
            continue
        fill, ink = FILLS[place]
        drawn += (
            f'<rect x="{svg.num(x)}" y="{svg.num(middle - BAR / 2)}" width="{svg.num(wide)}" '
            f'height="{svg.num(BAR)}" fill="{fill}"/>'
        )
        if wide >= LEGIBLE:
            said = f"{share * 100:.0f} %"
            drawn += svg.text(x + wide / 2, middle + 4, said, size=11, fill=ink)
        x += wide
    return f"<g>{drawn}</g>"
