"""Do teams differ by more than chance? Funnel limits around the desk's share of slow tickets.

A ticket is *slow* where it took longer than the desk's median of its own cell (practice, priority,
category: `csi.opportunities.standardised`); an open one that has not yet taken so long is left out.
For a team O of its n tickets are slow; E are expected, from the share of slow ones in each of its
cells over the whole desk (indirect standardisation). Drawn is p0 * O / E against n, where p0 is the
desk's share, with limits p0 +- z * sqrt(phi * p0 * (1 - p0) / n) at 95 and 99.8 % (Spiegelhalter
2005, Statistics in Medicine 24, 1185-1202: funnel plots for comparing institutional performance).

phi is the over-dispersion, the mean of the squared z-scores after the highest and lowest tenth have
been drawn in to the tenth (winsorised), where that is above 1 + 2 * sqrt(2 / teams); else 1. Teams
differ in more than chance for many reasons that no log tells; limits that know this single out only
teams that stand apart even so (multiplicative model, same paper, 3.3). With fewer than
`FEWEST_TEAMS` teams phi is 1.

Between the limits no order of teams means anything: that is what the picture is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import norm
from scipy.stats.mstats import winsorize

from csi.statistics.bootstrap import kaplan_meier_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from csi.opportunities.standardised import DeskTimes

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

INNER: Final = 0.95
OUTER: Final = 0.998
FEWEST_TEAMS: Final = 5
DRAWN_IN: Final = 0.1


@dataclass(frozen=True)
class Point:
    """One team in the funnel: n tickets, its share of slow ones, z by chance alone.

    The share is adjusted (p0 * O / E), so it can be a little above 1.
    """

    team: str
    n: int
    share: float
    z: float


@dataclass(frozen=True)
class Funnel:
    """All teams by name around the desk's `share`, with over-dispersion `phi`."""

    share: float
    phi: float
    points: tuple[Point, ...]

    def limits(self, n: float, level: float) -> tuple[float, float]:
        """Return the limits for n tickets, cut to 0 and 1."""
        off = self._off(n, level)
        return max(0.0, self.share - off), min(1.0, self.share + off)

    def apart(self, one: Point) -> bool:
        """Whether a team lies outside the outer limits, which are not cut for this."""
        return abs(one.share - self.share) > self._off(one.n, OUTER)

    def _off(self, n: float, level: float) -> float:
        return float(norm.isf((1 - level) / 2)) * sqrt(self.phi * self.share * (1 - self.share) / n)


def funnel_of(desk: DeskTimes, teams: Mapping[str, Bools], *, least: int) -> Funnel | None:
    """Return the funnel of some teams (marks, one a row of the table); None where none has n."""
    slow, known, expected = _slow(desk)
    p0 = float(slow[known].mean()) if known.any() else 0.0
    points = []
    for team in sorted(teams):
        mine = teams[team][desk.rows] & known
        n, hoped = int(mine.sum()), float(expected[mine].sum())
        spread = float((expected[mine] * (1 - expected[mine])).sum())
        if n < least or not hoped or not spread:
            continue
        seen = int(slow[mine].sum())
        points.append(Point(team, n, p0 * seen / hoped, (seen - hoped) / spread**0.5))
    if not points:
        return None
    return Funnel(p0, _overdispersion(np.array([one.z for one in points])), tuple(points))


def _slow(desk: DeskTimes) -> tuple[Bools, Bools, Floats]:
    """Return which tickets are slow, of which that is known, and the share of slow ones a cell."""
    size = len(desk.sizes)
    median = np.full(size, np.inf)
    for cell in range(size):
        mine = np.flatnonzero(desk.cell == cell)
        median[cell] = _median(desk.hours[mine], ~desk.running[mine])
    slow = desk.hours > median[desk.cell]
    known = np.isfinite(median[desk.cell]) & (slow | ~desk.running)
    hits = np.bincount(desk.cell, slow & known, minlength=size)
    of = np.bincount(desk.cell, known, minlength=size)
    return slow, known, (hits / np.maximum(of, 1))[desk.cell]


def _median(hours: Floats, ended: Bools) -> float:
    return float(kaplan_meier_quantile(hours, ended, np.ones((1, len(hours))), 0.5)[0])


def _overdispersion(z: Floats) -> float:
    teams = len(z)
    if teams < FEWEST_TEAMS:
        return 1.0
    phi = float(np.mean(np.asarray(winsorize(z, limits=(DRAWN_IN, DRAWN_IN))) ** 2))
    return phi if phi > 1 + 2 * (2 / teams) ** 0.5 else 1.0
