"""How does a funnel of teams look? Inline SVG without script, for pages and notebooks.

One point a team at its number of tickets (logarithmic scale) and its share of slow tickets; the
desk's share as a dashed line, inner and outer limits as curves. Teams outside the outer limits are
filled and named; the others are hollow and have no name, since nothing tells them apart. Teams are
in the description by name, whatever they look like.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Final

from csi.opportunities.funnel import INNER, OUTER
from csi.report.drawings import svg
from csi.report.words import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csi.opportunities.funnel import Funnel, Point

WIDTH: Final = 760.0
HEIGHT: Final = 380.0
LEFT, RIGHT, TOP, BASE = 64.0, 24.0, 30.0, 320.0
BLUE: Final = "#1d5fa8"
STEPS: Final = 60
TICKS: Final = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000)
HALVES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
ROUND: Final = 4.5


def draw_funnel(funnel: Funnel, *, name: str = "funnel") -> str:
    """Return the drawing."""
    frame = _Frame(funnel)
    drawn = "".join([*frame.axes(), *frame.curves(), *frame.marks()])
    told = "; ".join(
        f"{one.team}: {percent(one.share)} of {number(one.n)}"
        f"{', outside the outer limits' if funnel.apart(one) else ''}"
        for one in funnel.points
    )
    return svg.document(
        drawn,
        box=(0.0, 0.0, WIDTH, HEIGHT),
        name=name,
        title="Share of tickets that took longer than usual for their kind, by team",
        desc=told,
        role="img",
    )


class _Frame:
    """Where things lie: tickets across on a logarithmic scale, shares upwards."""

    def __init__(self, funnel: Funnel) -> None:
        self.funnel = funnel
        sizes = [one.n for one in funnel.points]
        self.least, self.most = min(sizes) * 0.8, max(sizes) * 1.25

    def x(self, n: float) -> float:
        part = log(n / self.least) / log(self.most / self.least)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(self, share: float) -> float:
        return BASE - min(max(share, 0.0), 1.0) * (BASE - TOP)

    def axes(self) -> Iterator[str]:
        for share in HALVES:
            y = svg.num(self.y(share))
            yield f'<path d="M{svg.num(LEFT)} {y}H{svg.num(WIDTH - RIGHT)}" stroke="#e3e8ee"/>'
            said = f"{share * 100:g} %"
            yield svg.text(LEFT - 8, self.y(share) + 4, said, size=11, anchor="end", fill=svg.SOFT)
        for n in TICKS:
            if self.least <= n <= self.most:
                yield svg.text(self.x(n), BASE + 18, number(n), size=11, fill=svg.SOFT)
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield svg.text(middle, BASE + 38, "tickets of the team", size=12, fill=svg.SOFT)
        legend = "dashed: the desk. Curves: 95 % and, outside, 99.8 % limits. Filled: outside them"
        yield svg.text(middle, HEIGHT - 6, legend, size=11, fill=svg.SOFT)
        title = "share that took longer than usual for its kind"
        yield svg.text(LEFT - 40, 16, title, size=12, anchor="start", fill=svg.SOFT)

    def curves(self) -> Iterator[str]:
        across = f"M{svg.num(LEFT)} {svg.num(self.y(self.funnel.share))}H{svg.num(WIDTH - RIGHT)}"
        yield f'<path d="{across}" stroke="{svg.INK}" stroke-dasharray="5 4" fill="none"/>'
        ratio = self.most / self.least
        sizes = [self.least * ratio ** (i / STEPS) for i in range(STEPS + 1)]
        for level, colour in ((INNER, svg.LINE), (OUTER, svg.SOFT)):
            for side in (0, 1):
                at = [(self.x(n), self.y(self.funnel.limits(n, level)[side])) for n in sizes]
                yield f'<polyline points="{svg.points(at)}" fill="none" stroke="{colour}"/>'

    def marks(self) -> Iterator[str]:
        for one in self.funnel.points:
            yield self._mark(one)

    def _mark(self, one: Point) -> str:
        x, y, apart = self.x(one.n), self.y(one.share), self.funnel.apart(one)
        fill = BLUE if apart else "#fff"
        drawn = (
            f'<circle cx="{svg.num(x)}" cy="{svg.num(y)}" r="{svg.num(ROUND)}" fill="{fill}" '
            f'stroke="{BLUE}" stroke-width="1.4"/>'
        )
        if not apart:
            return drawn
        side = "end" if x > WIDTH * 0.75 else "start"
        shift = -8.0 if side == "end" else 8.0
        return drawn + svg.text(x + shift, y + 4, one.team, size=11, anchor=side, halo=True)
