"""What can a KPI find in a window, how large is it, and how is it compared?

A kind (csi.kpi_kinds) gives one of these samples; each is estimated in its own way:

    Durations  hours, some of them still running: Kaplan-Meier quantile, log-log limits
    Hits       which cases count: share, Wilson limits
    Scores     scores or counts: mean, bootstrap of whole days of opening
    Ages       hours that what is open has waited so far: quantile, order-statistic limits
    Rate       how many in how many weeks: exact Poisson limits
    Total      everything there is: no limits
    Missing    why the evidence does not hold what the KPI reads

Ages, Rate and Total have no before and after: what is open at both ends of a window stands on both
sides, and arrivals of a day vary more than a Poisson count does. A series over weeks judges them
(interrupted time series).

Cost: O(n log n) in cases; 1,999 draws for Scores. Not checked: that cases are independent, but for
the days of Scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.statistics import (
    Estimate,
    Share,
    censored_quantile,
    mean,
    proportion,
    quantile,
    rate,
)

if TYPE_CHECKING:
    import pandas as pd

    from csi.evidence import Bools, Floats, Ints, View


MET: Final = "met"
BREACHED: Final = "breached"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, eq=False)
class Durations:
    """Hours, one a case; `censored` marks those still running; `days` are days of opening.

    `rows` are the row numbers of `evidence.cases`, here and in the other samples.
    """

    hours: Floats
    censored: Bools
    days: Ints
    rows: Ints
    q: float


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores or counts and the day of opening of their cases."""

    each: Floats
    days: Ints
    rows: Ints


@dataclass(frozen=True, eq=False)
class Hits:
    """Which of the cases (clocks, surveys) count, and the day of opening of each one's case."""

    each: Bools
    days: Ints
    rows: Ints

    @property
    def share(self) -> Share:
        """How many count among all."""
        return Share(int(self.each.sum()), len(self.each))


@dataclass(frozen=True)
class Total:
    """A count of everything there is: no sample, so no interval."""

    value: int


@dataclass(frozen=True, eq=False)
class Ages:
    """Hours since the opening of each case that is open; `q` is the quantile that is asked for."""

    hours: Floats
    rows: Ints
    q: float


@dataclass(frozen=True)
class Rate:
    """How many there were in how many weeks."""

    count: int
    weeks: float


@dataclass(frozen=True)
class Missing:
    """Why the evidence does not hold what the KPI reads."""

    reason: str


Sampled = Durations | Scores | Hits | Ages | Rate | Total | Missing


def estimate(  # noqa: PLR0911 - one for each sample
    found: Sampled, *, unit: str, seed: int
) -> Estimate:
    """Estimate what a kind found."""
    match found:
        case Durations():
            return censored_quantile(found.hours, found.censored, found.q, unit=unit)
        case Scores():
            return mean(found.each, unit=unit, seed=seed, clusters=found.days)
        case Hits(share=share):
            return proportion(share.k, share.n, unit=unit)
        case Ages():
            return quantile(found.hours, found.q, unit=unit)
        case Rate():
            return rate(found.count, found.weeks, unit=unit)
        case Total():
            method = "complete count, no sampling interval"
            return Estimate(float(found.value), None, None, found.value, method, unit)
        case Missing():
            return Estimate(None, None, None, 0, "not measured", unit)


def hits(view: View, counts: Bools, *, among: Bools) -> Hits:
    """Return which of the view's cases count, among some of them."""
    return Hits(counts[among], view.days[among], view.rows[among])


def hits_at(view: View, counts: Bools, ids: pd.Series) -> Hits:
    """Return what counts where a case may stand more than once, by the ids of the cases."""
    place = view.places(ids)
    return Hits(counts, view.days[place], view.rows[place])
