"""How much happened when? Events by day or week as bars: gaps, collapses and bulk edits show.

Inline SVG without script. One bar a day where the log spans at most `DAYS_SHOWN` days, else one a
week (Monday to Sunday, UTC).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.report.drawings.svg import FONT, INK, LINE, SOFT, escape

if TYPE_CHECKING:
    from process_mining.eventlog import Ints

US_PER_DAY: Final = 86_400_000_000
DAYS_SHOWN: Final = 120
WIDTH: Final = 900.0
HEIGHT: Final = 150.0
LEFT: Final = 64.0
BASE: Final = 122.0
TOP: Final = 12.0
BLUE: Final = "#2f6fb0"
LABEL_WIDTH: Final = 66.0
MONDAY: Final = 4  # 1970-01-01 was a Thursday: day number 4 was the first Monday


def draw_volume(at: Ints) -> str:
    """Return the drawing for event times in µs UTC; "" where there are none."""
    if not len(at):
        return ""
    days = at // US_PER_DAY
    width = 1 if int(days.max() - days.min()) < DAYS_SHOWN else 7
    bins = days if width == 1 else (days - MONDAY) // width
    counts = np.bincount((bins - bins.min()).astype(np.int64))
    highest = int(counts.max())
    step = (WIDTH - LEFT) / len(counts)
    bars = [
        f'<rect x="{LEFT + place * step:.2f}" y="{BASE - n / highest * (BASE - TOP):.2f}" '
        f'width="{max(step * 0.86, 0.4):.2f}" height="{n / highest * (BASE - TOP):.2f}"/>'
        for place, n in enumerate(counts.tolist())
        if n
    ]
    first = int(bins.min()) * width + (0 if width == 1 else MONDAY)
    labels = [
        _label(LEFT + place * step, _day(first + place * width))
        for place in range(0, len(counts), max(1, len(counts) // 6))
        if LEFT + place * step < WIDTH - LABEL_WIDTH
    ]
    unit = "day" if width == 1 else "week"
    told = f"Events a {unit}: {len(counts)} {unit}s, at most {highest:,}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" '
        f'role="img" aria-label="{escape(told)}" font-family="{escape(FONT)}" font-size="11">'
        f'<g fill="{BLUE}">{"".join(bars)}</g>'
        f'<path d="M{LEFT:.0f} {BASE:.0f}H{WIDTH:.0f}" stroke="{LINE}"/>'
        f'<text x="{LEFT - 6:.0f}" y="{TOP + 8:.0f}" text-anchor="end" fill="{INK}">'
        f"{highest:,}</text>"
        f'<text x="{LEFT - 6:.0f}" y="{BASE:.0f}" text-anchor="end" fill="{INK}">0</text>'
        f"{''.join(labels)}</svg>"
    )


def _label(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{BASE + 16:.0f}" fill="{SOFT}">{escape(text)}</text>'


def _day(number: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=number)).isoformat()
