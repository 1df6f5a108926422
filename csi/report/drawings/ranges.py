"""Between which ends does each score lie, by chance and by those who are silent?

Inline SVG without script. One row a score, each on its own scale from the lowest to the highest
possible value: the pale bar reaches from the worst case to the best (all silent customers gave the
lowest, or the highest, answer), the dark bar is the interval for chance alone, the mark the score.
The thin line reaches over all tickets, where those are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.drawings import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 900.0
LEFT: Final = 290.0
RIGHT: Final = 130.0
TOP: Final = 12.0
ROW: Final = 46.0
BAR: Final = 16.0
PALE: Final = "#c3d7ee"
DARK: Final = "#1d5fa8"

Span = tuple[float, float]


@dataclass(frozen=True)
class Range:
    """One row: values on [lowest, highest]; `ends` and `said` are the words for the reader."""

    label: str
    note: str
    lowest: float
    highest: float
    value: float
    interval: Span | None
    asked: Span | None
    everybody: Span | None
    ends: tuple[str, str]
    said: str


def draw_ranges(rows: Sequence[Range], *, name: str = "scores") -> str:
    """Return the drawing; "" where there are no rows."""
    if not rows:
        return ""
    drawn = "".join(_row(row, TOP + place * ROW) for place, row in enumerate(rows))
    return svg.document(
        drawn,
        box=(0.0, 0.0, WIDTH, TOP + ROW * len(rows)),
        name=name,
        title="Scores, and between which ends they lie",
        desc="; ".join(f"{row.label} {row.note}: {row.said}" for row in rows),
        role="img",
    )


def _row(row: Range, top: float) -> str:
    middle, span = top + ROW / 2 - 6, (row.highest - row.lowest) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - row.lowest) / span * (WIDTH - LEFT - RIGHT)

    def bar(ends: Span | None, height: float, fill: str) -> str:
        if ends is None:
            return ""
        low, high = x(ends[0]), x(ends[1])
        return (
            f'<rect x="{svg.num(low)}" y="{svg.num(middle - height / 2)}" '
            f'width="{svg.num(max(high - low, 1.5))}" height="{svg.num(height)}" fill="{fill}"/>'
        )

    axis = (
        f'<path d="M{svg.num(x(row.lowest))} {svg.num(middle)}H{svg.num(x(row.highest))}" '
        f'stroke="{svg.LINE}" stroke-dasharray="1 4"/>'
    )
    mark = (
        f'<path d="M{svg.num(x(row.value))} {svg.num(middle - BAR)}V{svg.num(middle + BAR)}" '
        f'stroke="{svg.INK}" stroke-width="3"/>'
    )
    words = (
        svg.text(LEFT - 14, middle, row.label, size=13, anchor="end", weight="600")
        + svg.text(LEFT - 14, middle + 15, row.note, size=11, anchor="end", fill=svg.SOFT)
        + svg.text(x(row.lowest), middle + 25, row.ends[0], size=11, fill=svg.SOFT, anchor="start")
        + svg.text(x(row.highest), middle + 25, row.ends[1], size=11, fill=svg.SOFT, anchor="end")
        + svg.text(WIDTH - RIGHT + 14, middle + 5, row.said, size=14, anchor="start", weight="600")
    )
    bars = bar(row.asked, BAR, PALE) + bar(row.everybody, 2.0, svg.SOFT)
    return f"<g>{axis}{bars}{bar(row.interval, BAR * 0.6, DARK)}{mark}{words}</g>"
