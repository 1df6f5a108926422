"""How long would a team have taken with the desk's mix of tickets? Direct standardisation.

Tickets fall into cells: practice, priority and category, as far as the log tells them; categories
of fewer than `RARE` of the desk's tickets are one. A team is compared on the cells of which it has
at least `SMALLEST_GROUP` tickets. There its tickets are weighted so that each cell weighs as much
as in the whole desk (direct standardisation: Fleiss, Levin & Paik 2003, Statistical Methods for
Rates and Proportions, 3rd ed., 19.3), and the median is read off the weighted Kaplan-Meier curve;
the desk's value beside it is the median of all tickets of the same cells. `covered` says what share
of the desk's tickets those cells hold, `alone` what share of the tickets of those cells the team
had: near 1 it is compared with itself, and the comparison says nothing.

Interval: expanded percentile bootstrap; whole days of opening are drawn, since one outage opens
many tickets on one day. The desk's mix is held fixed. Cost: O(replicates * tickets).

Not adjusted for: anything that priority and category do not tell, such as how hard a ticket is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from csi.opportunities.definitions import SMALLEST_GROUP
from csi.statistics import bootstrap, censored_quantile
from process_mining import schema as s

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

RARE: Final = 0.01
OTHERS: Final = "(others)"
REPLICATES: Final = 499
SEED: Final = 20_240_101
CONFIDENCE: Final = 0.95
FEWEST_DAYS: Final = 8
METHOD: Final = (
    "median by Kaplan-Meier, standardised directly to the desk's mix of practice, priority and "
    "category; bootstrap of whole days, 95 %"
)


@dataclass(frozen=True)
class Standardised:
    """A team's median with the desk's mix, the desk's on the same cells, and how far it reaches."""

    value: float | None
    low: float | None
    high: float | None
    desk: float | None
    n: int
    covered: float
    alone: float


NOT_TOLD: Final = Standardised(None, None, None, None, 0, 0.0, 0.0)


def cells_of(frame: pd.DataFrame) -> Ints:
    """Return the cell of each ticket, numbered."""
    category = frame[s.CATEGORY].fillna(OTHERS)
    often = category.map(category.value_counts()) >= RARE * len(frame)
    words = [frame["practice"], frame[s.PRIORITY].fillna(OTHERS), category.where(often, OTHERS)]
    groups = pd.DataFrame(dict(enumerate(words))).groupby([0, 1, 2])
    return np.asarray(groups.ngroup(), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class DeskTimes:
    """All tickets with a known time, ordered by it; of equal times ended ones first."""

    hours: Floats
    running: Bools
    cell: Ints
    day: Ints
    rows: Ints

    @classmethod
    def of(cls, frame: pd.DataFrame) -> DeskTimes:
        """Take the tickets of a table whose time is known."""
        hours = frame["hours"].to_numpy(dtype=np.float64)
        running = frame["running"].to_numpy(dtype=bool)
        known = np.flatnonzero(~np.isnan(hours))
        order = known[np.lexsort((running[known], hours[known]))]
        cell, day = cells_of(frame), frame["day"].to_numpy(dtype=np.int64)
        return cls(hours[order], running[order], cell[order], day[order], order)

    @property
    def sizes(self) -> Ints:
        """How many tickets each cell has."""
        return np.bincount(self.cell).astype(np.int64)

    def standardised(self, mine: Bools) -> Standardised:
        """Compare some tickets (one mark a row of the table) with all, on the cells they share."""
        inside = mine[self.rows]
        had = np.bincount(self.cell[inside], minlength=len(self.sizes))
        usable = had >= SMALLEST_GROUP
        if not usable.any():
            return NOT_TOLD
        shared = usable[self.cell]
        own = inside & shared
        desk = censored_quantile(self.hours[shared], self.running[shared]).value
        value, low, high = self._median(own, usable)
        return Standardised(
            value=value,
            low=low,
            high=high,
            desk=desk,
            n=int(own.sum()),
            covered=float(shared.sum() / len(self.cell)),
            alone=float(own.sum() / shared.sum()),
        )

    def _median(self, own: Bools, usable: Bools) -> tuple[float | None, float | None, float | None]:
        """The weighted median of a team, and its limits."""
        cell = np.cumsum(usable)[self.cell[own]] - 1
        wanted = self.sizes[usable].astype(np.float64)
        by_cell = np.argsort(cell, kind="stable")
        starts = np.searchsorted(cell[by_cell], np.arange(len(wanted)))
        hours, ended = self.hours[own], ~self.running[own]

        def median(drawn: Floats) -> Floats:
            # not by BLAS, whose threads wait for each other on a busy machine; no cell is empty
            had = np.add.reduceat(drawn[:, by_cell], starts, axis=1)
            each = wanted / np.where(had > 0, had, 1.0)
            return bootstrap.kaplan_meier_quantile(hours, ended, drawn * each[:, cell], 0.5)

        value = float(median(np.ones((1, len(hours))))[0])
        days = bootstrap.cluster_codes(self.day[own])
        units = int(days.max()) + 1
        if units < FEWEST_DAYS:
            return _finite(value), None, None
        drawn = bootstrap.replicate(
            median,
            n=len(hours),
            clusters=days,
            replicates=REPLICATES,
            rng=np.random.default_rng(SEED),
        )
        low, high = bootstrap.percentile_interval(drawn, confidence=CONFIDENCE, units=units)
        return _finite(value), _finite(low), _finite(high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
