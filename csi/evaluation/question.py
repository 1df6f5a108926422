"""What is asked about an improvement, and which tickets answer it?

A `Question` is fixed when the improvement is started. `side_of` turns a KPI in one window into what
`csi.statistics.contrast` compares: one value a ticket, its week of opening (Monday to Monday UTC)
and the words that make tickets alike: priority, category, opened on a weekend or not. The team is
none of them: who solves a ticket is what many improvements change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from csi import kpi as kpis
from csi.evidence import EVERYTHING
from csi.kpi_kinds import Durations, Hits, Scores, estimate
from csi.statistics.sides import Measure, Side

if TYPE_CHECKING:
    from csi.evidence import Evidence, Scope, Span
    from csi.kpi import Kpi
    from csi.kpi_kinds import Sampled
    from csi.statistics import DecisionRule, Estimate
    from csi.statistics.bootstrap import Ints

ALIKE: Final = ("priority", "category", "weekend")
DAYS: Final = 7
MONDAY: Final = 3  # 1970-01-01 was a Thursday
SATURDAY: Final = 5
DIGITS: Final = 10


@dataclass(frozen=True)
class Guardrail:
    """A KPI that must not suffer, and the smallest harm that matters, in the effect's unit."""

    kpi: Kpi
    margin: float


@dataclass(frozen=True)
class Question:
    """What is judged: one metric decides; `comparison` are tickets that were not touched."""

    kpi: Kpi
    rule: DecisionRule
    scope: Scope = EVERYTHING
    comparison: Scope | None = None
    guardrails: tuple[Guardrail, ...] = ()
    also: tuple[Kpi, ...] = ()


@dataclass(frozen=True, eq=False)
class Known:
    """A window of tickets, as they were known at the end of its follow-up."""

    evidence: Evidence
    window: Span
    as_of_us: int

    def sampled(self, kpi: Kpi, scope: Scope) -> Sampled:
        """Return what the KPI counts in the window."""
        return kpis.sampled(kpi, self.evidence, self.window, scope, as_of_us=self.as_of_us)

    def estimate(self, kpi: Kpi, scope: Scope) -> Estimate:
        """Return how high the KPI is."""
        return estimate(self.sampled(kpi, scope), unit=kpi.unit, seed=kpis.SEED)


def week_of(days: Ints) -> Ints:
    """Return the number of the week of days since 1970-01-01."""
    return np.floor_divide(days + MONDAY, DAYS)


def measure_of(kpi: Kpi, found: Sampled) -> Measure:
    """Return what of the tickets is compared."""
    q = found.q if isinstance(found, Durations) else None
    total = not isinstance(found, Durations | Scores | Hits)
    return Measure(unit=kpi.unit, better=kpi.better, q=q, total=total)


def side_of(found: Sampled, known: Known) -> Side | None:
    """Return the tickets of a sample, None where it is no sample of tickets."""
    if not isinstance(found, Durations | Scores | Hits):
        return None
    words, weeks = _words(known, found.rows, found.days), week_of(found.days)
    if isinstance(found, Durations):
        return Side(found.hours, weeks, words, found.censored)
    return Side(found.each.astype(np.float64), weeks, words)


def teams_of(found: Sampled, known: Known) -> list[str] | None:
    """Return the team of each ticket, None where any ticket has none."""
    if not isinstance(found, Durations | Scores | Hits):
        return None
    teams = known.evidence.cases["team"].iloc[found.rows]
    return None if teams.isna().any() else [str(team) for team in teams]


def rounded(value: float) -> float:
    """Round a result to so many digits that any machine gives the same."""
    return float(f"{value:.{DIGITS}g}")


def _words(known: Known, rows: Ints, days: Ints) -> pd.DataFrame:
    cases = known.evidence.cases
    words = {name: cases[name].to_numpy()[rows] for name in ("priority", "category")}
    weekend = np.mod(days + MONDAY, DAYS) >= SATURDAY
    return pd.DataFrame({**words, "weekend": np.where(weekend, "weekend", "working day")})
