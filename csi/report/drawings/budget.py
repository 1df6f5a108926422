"""How much of the breaches that an objective allows is spent, how much of the period has passed?

Inline SVG without script, one row a target: the bar is what is spent, as a share of the budget of
the whole period (the solid line, 100 %); the dashed line is the share of the period that has
passed. A bar beyond the dashed line burns faster than it lasts. What exceeds the scale ends in an
arrow; the words beside each row say the numbers.
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
RIGHT: Final = 280.0
TOP: Final = 26.0
ROW: Final = 36.0
MOST: Final = 1.5
WITHIN, BEYOND = "#8fc1e8", "#b3261e"
_EMS: Final = 17.5


@dataclass(frozen=True)
class Burn:
    """One row: `used` and `elapsed` are shares of the budget and of the period."""

    label: str
    note: str
    used: float
    elapsed: float
    said: str
    more: str


def draw_budget(rows: Sequence[Burn], *, name: str) -> str:
    """Return the drawing; "" where there are no rows."""
    if not rows:
        return ""
    base = TOP + ROW * len(rows)
    full = svg.num(_x(1.0))
    drawn = "".join(
        svg.text(_x(share), TOP - 10, f"{share:.0%}".replace("%", " %"), size=11, fill=svg.SOFT)
        for share in (0.0, 0.5, 1.0, MOST)
    )
    drawn += "".join(_row(row, TOP + place * ROW) for place, row in enumerate(rows))
    drawn += f'<path d="M{full} {svg.num(TOP)}V{svg.num(base)}" stroke="{svg.INK}"/>'
    told = "; ".join(
        f"{row.label}: {percent(row.used)} of the budget spent when {percent(row.elapsed)} of the "
        f"period had passed, {row.said}, {row.more}"
        for row in rows
    )
    return svg.document(
        drawn,
        box=(0.0, 0.0, WIDTH, base + 8),
        name=name,
        title="Error budget: breaches spent of those that the objective allows",
        desc=told,
        role="img",
    )


def _x(share: float) -> float:
    return LEFT + min(share, MOST) / MOST * (WIDTH - LEFT - RIGHT)


def _row(row: Burn, top: float) -> str:
    middle = top + ROW / 2
    label = svg.wrapped(row.label, _EMS, 1)
    low, high = _x(0.0), _x(row.used)
    fill = BEYOND if row.used > max(row.elapsed, 1.0) else WITHIN
    passed = svg.num(_x(row.elapsed))
    arrow = ""
    if row.used > MOST:
        tip = [(high, middle - 9), (high + 9, middle), (high, middle + 9)]
        arrow = f'<polygon points="{svg.points(tip)}" fill="{fill}"/>'
    return (
        "<g>"
        + svg.text(LEFT - 12, middle - 1, label[0] if label else "", size=13, anchor="end")
        + svg.text(LEFT - 12, middle + 13, row.note, size=11, anchor="end", fill=svg.SOFT)
        + f'<rect x="{svg.num(low)}" y="{svg.num(middle - 6)}" '
        f'width="{svg.num(max(high - low, 1.5))}" height="12" fill="{fill}"/>{arrow}'
        f'<path d="M{passed} {svg.num(middle - 14)}V{svg.num(middle + 14)}" stroke="{svg.INK}" '
        f'stroke-width="1.5" stroke-dasharray="3 3"/>'
        + svg.text(WIDTH - RIGHT + 14, middle - 1, row.said, size=12, anchor="start")
        + svg.text(
            WIDTH - RIGHT + 14, middle + 13, row.more, size=11, anchor="start", fill=svg.SOFT
        )
        + "</g>"
    )
