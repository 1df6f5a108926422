"""How often was a promise kept, how sure is that, and how does it change from month to month?

Inline SVG without script; shares are drawn from `lowest` (a round share below everything shown) to
100 %, and the ends of each scale are written beside it, for a scale that does not begin at 0 makes
differences look larger.

`draw_attained`: one row a target: the bar is the interval, the mark the share, the dashed line the
objective. `draw_trend`: one point a period with its interval, the objective as a dashed line.
Neither says anything by colour alone: words stand beside each row, and every picture is described.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.drawings import svg
from csi.report.words import number, percent, range_of_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 900.0
LEFT: Final = 250.0
RIGHT: Final = 235.0
TOP: Final = 26.0
ROW: Final = 36.0
TREND: Final = (460.0, 190.0)
TREND_LEFT: Final = 52.0
TREND_RIGHT: Final = 14.0
TREND_TOP: Final = 16.0
TREND_BASE: Final = 142.0
LABEL: Final = 52.0
APART: Final = 12.0
BLUE, GOOD, BAD, UNSURE = "#1d5fa8", "#1b7a4b", "#b3261e", "#8a5a00"
COLOURS: Final = {"reached": GOOD, "missed": BAD}
_STEPS: Final = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.25, 0.0)
_EMS: Final = 17.5


@dataclass(frozen=True)
class Attained:
    """One row: a share with its interval and objective; `rate` None where it cannot be told."""

    label: str
    note: str
    rate: float | None
    low: float | None
    high: float | None
    objective: float
    verdict: str


@dataclass(frozen=True)
class Period:
    """One point: a period, n, the share with its interval; None where there are too few."""

    label: str
    n: int
    rate: float | None
    low: float | None
    high: float | None


def draw_attained(rows: Sequence[Attained], *, name: str) -> str:
    """Return the drawing; "" where there are no rows."""
    if not rows:
        return ""
    lowest = _lowest([v for row in rows for v in (row.low, row.objective) if v is not None])
    base = TOP + ROW * len(rows)
    drawn = _scale(lowest, base) + "".join(
        _row(row, TOP + place * ROW, lowest) for place, row in enumerate(rows)
    )
    told = "; ".join(
        f"{row.label}: {_told(row.rate, row.low, row.high)}, objective {percent(row.objective)}, "
        f"{row.verdict}"
        for row in rows
    )
    return svg.document(
        drawn,
        box=(0.0, 0.0, WIDTH, base + 8),
        name=name,
        title="Share of clocks within their limit, against the objective",
        desc=told,
        role="img",
    )


def _lowest(values: Sequence[float]) -> float:
    """Return the round share at which a scale begins, a little below all that is shown."""
    least = min(values, default=0.0)
    return next(step for step in _STEPS if step < least or not step)


def _told(rate: float | None, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "none decided"
    if rate is None:
        return f"within {range_of_shares(low, high)}"
    return percent(rate, (low, high))


def _x(value: float, lowest: float) -> float:
    return LEFT + (value - lowest) / (1 - lowest) * (WIDTH - LEFT - RIGHT)


def _scale(lowest: float, base: float) -> str:
    """Draw the ends of the scale and its middle."""
    drawn = []
    for value, anchor in ((lowest, "start"), ((1 + lowest) / 2, "middle"), (1.0, "end")):
        x = svg.num(_x(value, lowest))
        drawn.append(f'<path d="M{x} {svg.num(TOP)}V{svg.num(base)}" stroke="#d5dbe3"/>')
        said = f"{value * 100:g} %"
        drawn.append(svg.text(float(x), TOP - 10, said, size=11, anchor=anchor, fill=svg.SOFT))
    return "".join(drawn)


def _row(row: Attained, top: float, lowest: float) -> str:
    middle = top + ROW / 2
    colour = COLOURS.get(row.verdict, UNSURE)
    label = svg.wrapped(row.label, _EMS, 1)
    words = (
        svg.text(LEFT - 12, middle - 2, label[0] if label else "", size=13, anchor="end")
        + svg.text(LEFT - 12, middle + 12, row.note, size=11, anchor="end", fill=svg.SOFT)
        + svg.text(
            WIDTH - RIGHT + 12,
            middle - 2,
            _told(row.rate, row.low, row.high),
            size=12,
            anchor="start",
        )
        + svg.text(
            WIDTH - RIGHT + 12,
            middle + 12,
            f"objective {row.objective * 100:.6g} %: {row.verdict}",
            size=11,
            anchor="start",
            fill=colour,
            weight="600",
        )
    )
    return f"<g>{_bar(row, middle, lowest, colour)}{words}</g>"


def _bar(row: Attained, middle: float, lowest: float, colour: str) -> str:
    aim = svg.num(_x(row.objective, lowest))
    drawn = (
        f'<path d="M{aim} {svg.num(middle - 14)}V{svg.num(middle + 14)}" stroke="{svg.INK}" '
        f'stroke-width="1.5" stroke-dasharray="3 3"/>'
    )
    if row.low is None or row.high is None:
        return drawn
    low, high = _x(max(row.low, lowest), lowest), _x(row.high, lowest)
    drawn += (
        f'<rect x="{svg.num(low)}" y="{svg.num(middle - 5)}" width="{svg.num(max(high - low, 2))}" '
        f'height="10" fill="{colour}" fill-opacity="0.35"/>'
    )
    if row.rate is not None:
        x = svg.num(_x(row.rate, lowest))
        drawn += (
            f'<path d="M{x} {svg.num(middle - 9)}V{svg.num(middle + 9)}" stroke="{colour}" '
            f'stroke-width="3.5"/>'
        )
    return drawn


def draw_trend(periods: Sequence[Period], objective: float | None, *, name: str, title: str) -> str:
    """Return one point a period; "" where no period has a share.

    `objective` is None where the clocks have several.
    """
    if not any(one.rate is not None for one in periods):
        return ""
    lows = [one.low for one in periods if one.low is not None]
    aims = [] if objective is None else [objective]
    frame = _Frame(len(periods), _lowest([*lows, *aims]))
    known = [(i, one.rate) for i, one in enumerate(periods) if one.rate is not None]
    line = svg.points([frame.at(i, rate) for i, rate in known])
    drawn = frame.axes(objective)
    drawn += f'<polyline points="{line}" fill="none" stroke="{BLUE}" stroke-width="1.8"/>'
    for i, one in enumerate(periods):
        drawn += _point(one, frame, i)
        if i % frame.every == 0:
            x = frame.at(i, 1.0)[0]
            drawn += svg.text(x, TREND_BASE + 15, one.label, size=11, fill=svg.SOFT)
            drawn += svg.text(x, TREND_BASE + 30, f"n {number(one.n)}", size=11, fill=svg.SOFT)
    told = "; ".join(
        f"{one.label}: {_told(one.rate, one.low, one.high)}, n = {number(one.n)}" for one in periods
    )
    return svg.document(
        drawn,
        box=(0.0, 0.0, *TREND),
        name=name,
        title=title,
        desc=told + "".join(f"; objective {percent(aim)}" for aim in aims),
        role="img",
    )


@dataclass(frozen=True)
class _Frame:
    """Where the points of a trend lie: `n` periods, shares from `lowest` to 1."""

    n: int
    lowest: float

    @property
    def every(self) -> int:
        """Of how many periods one is named, so that names do not overlap."""
        return max(1, -int(-self.n * LABEL // (TREND[0] - TREND_LEFT - TREND_RIGHT)))

    def at(self, place: int, share: float) -> tuple[float, float]:
        """Return where a share of a period lies."""
        step = (TREND[0] - TREND_LEFT - TREND_RIGHT) / self.n
        part = (max(share, self.lowest) - self.lowest) / (1 - self.lowest)
        return TREND_LEFT + (place + 0.5) * step, TREND_BASE - part * (TREND_BASE - TREND_TOP)

    def axes(self, objective: float | None) -> str:
        """Draw the axes, and the objective."""
        right = svg.num(TREND[0] - TREND_RIGHT)
        drawn = (
            f'<path d="M{svg.num(TREND_LEFT)} {svg.num(TREND_TOP)}V{svg.num(TREND_BASE)}'
            f'H{right}" stroke="{svg.LINE}" fill="none"/>'
        )
        ends = [(TREND_TOP, "100 %"), (TREND_BASE, f"{self.lowest * 100:g} %")]
        if objective is not None:
            aim = self.at(0, objective)[1]
            drawn += (
                f'<path d="M{svg.num(TREND_LEFT)} {svg.num(aim)}H{right}" stroke="{svg.INK}" '
                f'stroke-dasharray="4 4"/>'
            )
            if min(abs(aim - y) for y, _ in ends) > APART:
                ends.append((aim, f"{objective * 100:.6g} %"))
        return drawn + "".join(
            svg.text(TREND_LEFT - 5, y + 4, said, size=11, anchor="end") for y, said in ends
        )


def _point(one: Period, frame: _Frame, place: int) -> str:
    """Draw a period's interval and share; nothing where there is none."""
    if one.rate is None or one.low is None or one.high is None:
        return ""
    x, y = (svg.num(value) for value in frame.at(place, one.rate))
    low, high = (svg.num(frame.at(place, value)[1]) for value in (one.low, one.high))
    told = f"{one.label}: {_told(one.rate, one.low, one.high)}, n = {number(one.n)}"
    return (
        f"<g><title>{svg.escape(told)}</title>"
        f'<path d="M{x} {low}V{high}" stroke="{BLUE}" stroke-width="5" stroke-opacity="0.3"/>'
        f'<circle cx="{x}" cy="{y}" r="4" fill="{BLUE}"/></g>'
    )
