"""How did a KPI go from week to week?

Whole weeks of opening, Monday to Monday UTC, that lie in the window from end to end. Shares and
scores keep their scale, times and totals become logarithms. Of a sample of tickets each week is
weighted to the same mix, so that a month with harder tickets is no trend. A total (a backlog) is
taken as it stood when the week ended. Weeks without a value are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csi import kpi as kpis
from csi.evaluation.question import DAYS, MONDAY, measure_of, side_of, week_of
from csi.kpi_kinds import estimate
from csi.statistics.sides import weekly
from process_mining import schema as s

if TYPE_CHECKING:
    from csi.evaluation.question import Known
    from csi.evidence import Scope, Span
    from csi.kpi import Kpi
    from csi.statistics.bootstrap import Floats, Ints

HALF: Final = 0.5  # where a total is 0: its logarithm must be finite


@dataclass(frozen=True, eq=False)
class Series:
    """The numbers of the weeks in order, and f in each."""

    weeks: Ints
    f: Floats


@dataclass(frozen=True)
class Week:
    """A whole week from Monday to Monday UTC; weeks are counted from the one of 1970-01-01."""

    number: int

    @property
    def start_us(self) -> int:
        """Its first microsecond."""
        return (DAYS * self.number - MONDAY) * s.US_PER_DAY

    @property
    def end_us(self) -> int:
        """The first microsecond after it."""
        return Week(self.number + 1).start_us


def series_of(kpi: Kpi, scope: Scope, known: Known, like: Known | None = None) -> Series:
    """Return the series of a KPI, each week weighted to the mix of `like` (else of the window)."""
    found = known.sampled(kpi, scope)
    side = side_of(found, known)
    if side is None:
        weeks, totals = _totals(kpi, known, scope)
        return Series(weeks, np.log(np.maximum(totals, HALF)))
    other = side if like is None else side_of(like.sampled(kpi, scope), like)
    if other is None or not len(side.each):
        return Series(np.array([], dtype=np.int64), np.array([]))
    by_week = weekly(side, other, measure_of(kpi, found))
    whole = np.array([week.number for week in whole_weeks(known.window)], dtype=np.int64)
    kept = np.isin(by_week.weeks, whole) & np.isfinite(by_week.f)
    return Series(by_week.weeks[kept], by_week.f[kept])


def whole_weeks(window: Span) -> list[Week]:
    """Return the weeks that lie in a window from end to end."""
    first, last = (
        int(week_of(np.array([us // s.US_PER_DAY]))[0]) for us in (window.start_us, window.end_us)
    )
    weeks = (Week(number) for number in range(first, last + 1))
    return [w for w in weeks if window.start_us <= w.start_us and w.end_us <= window.end_us]


def _totals(kpi: Kpi, known: Known, scope: Scope) -> tuple[Ints, Floats]:
    weeks, values = [], []
    for week in whole_weeks(known.window):
        until = min(week.end_us, known.as_of_us)
        found = kpis.sampled(kpi, known.evidence, week, scope, as_of_us=until)
        value = estimate(found, unit=kpi.unit, seed=kpis.SEED).value
        if value is not None:
            weeks.append(week.number)
            values.append(float(value))
    return np.array(weeks, dtype=np.int64), np.array(values, dtype=np.float64)
