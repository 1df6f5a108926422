"""How high was a KPI in each week, or on each day with the weekday taken out?

A week is Monday 00:00 UTC to Monday. Only whole weeks count: inside the window, not before the
first day on which the log opened a ticket, and ended both before the end of the log and no more
than `QUIET_DAYS` after the last opening (a desk may rest at the weekend; but a log that was cut by
the time of opening goes on for months without arrivals). What is left over at both ends is told.

Tickets of all weeks are followed for equally long: F, the time from the end of the last week to the
end of the log, and each week is measured as known F after its own end. A later week would otherwise
look quicker, or better, by having been watched for less. Verdicts, clock states and hand-overs are
those of the end of the log (csi.evidence), which is told.

A week says nothing (NaN) where fewer than `FEWEST` cases are counted, where a quantile is not
reached within F, or where the log does not tell; the reason stands beside it. Counts and stocks
need no such number.

By day, the weekday is taken out: on the scale of the sort (logarithm of times, root of counts, as
it is for scores and shares), the two-way model value = week + weekday is fitted by least squares,
and each day loses its weekday's effect; the seven effects sum to 0. A weekday with fewer than
`WEEKS` values has none, and its days say nothing. Limits are shifted alike. A season of the year
is not taken out.

Cost: O(n log n) once for all KPIs, then each KPI on the cases of each week. Errors: RunError ST563
where the window holds no whole week that the log has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from csi import kpi as kpis
from csi.evidence import EVERYTHING, OPENED
from csi.kpi_kinds import estimate
from csi.kpi_samples import Ages, Durations, Hits, Missing, Rate, Scores, Total
from csi.report.words import plural
from csi.statistics.control_charts import Scale, from_scale, to_scale
from process_mining import schema as s
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from csi.evidence import Evidence, Floats, Ints, Scope, Span
    from csi.kpi import Kpi
    from csi.kpi_kinds import Sampled

Step = Literal["week", "day"]
Sort = Literal["times", "shares", "counts", "scores", "stocks", "missing"]

WEEK_DAYS: Final = 7
WEEK_US: Final = WEEK_DAYS * s.US_PER_DAY
MONDAY_US: Final = 4 * s.US_PER_DAY  # 1970-01-05 was a Monday
FEWEST: Final = 5
WEEKS: Final = 3
QUIET_DAYS: Final = 3
SHORTEST_HOURS: Final = 1 / 60  # a time of nought has no logarithm; logs tell minutes
SCALES: Final[dict[Sort, Scale]] = {
    "times": "log",
    "shares": "none",
    "counts": "sqrt",
    "scores": "none",
    "stocks": "sqrt",
    "missing": "none",
}
# what these read is not rewound to the end of a week's follow-up (csi.evidence)
JUDGED_AT_THE_END: Final = frozenset(
    ("share_of_rule", "share_met", "share_met_by_pausing", "share_first_contact", "mean_count")
)
_SORTS: Final[dict[type, Sort]] = {
    Durations: "times",
    Hits: "shares",
    Rate: "counts",
    Scores: "scores",
    Ages: "stocks",
    Total: "stocks",
    Missing: "missing",
}


@dataclass(frozen=True)
class Days:
    """A half-open span [start_us, end_us)."""

    start_us: int
    end_us: int


@dataclass(frozen=True, eq=False)
class KpiSeries:
    """A KPI by week or by day.

    `frame`: start (UTC), value, low, high (95 %), n (what it rests on), k (of these: counted, ended
    or arrived; <NA> where that means nothing), note (why it says nothing). By day also `seen`, the
    value before the weekday was taken out. `told`: what was left out and how to read it.
    """

    kpi: Kpi
    step: Step
    sort: Sort
    scope: str
    follow_up_days: float
    frame: pd.DataFrame
    told: tuple[str, ...]

    @property
    def scale(self) -> Scale:
        """The scale of its control chart, chosen by the sort of KPI."""
        return SCALES[self.sort]

    @property
    def labels(self) -> tuple[str, ...]:
        """Each point in words: "the week of 2025-03-03", or the day."""
        days = self.frame["start"].dt.strftime("%Y-%m-%d")
        return tuple(f"the week of {day}" if self.step == "week" else day for day in days)

    @property
    def said(self) -> int:
        """How many points have a value."""
        return int(self.frame["value"].notna().sum())


@dataclass(frozen=True, eq=False)
class Slices:
    """An evidence cut into whole weeks or days, ready for any KPI; build it once for many."""

    whole: Evidence
    step: Step
    spans: tuple[Days, ...]
    parts: tuple[Evidence, ...]
    told: tuple[str, ...]

    @property
    def follow_up_us(self) -> int:
        """For how long after the end of its span each ticket is followed."""
        return self.whole.as_of_us - self.spans[-1].end_us

    @property
    def window(self) -> Days:
        """From the first span to the last."""
        return Days(self.spans[0].start_us, self.spans[-1].end_us)


def slices(evidence: Evidence, window: Span, step: Step = "week") -> Slices:
    """Cut an evidence into the whole weeks of a window, or their days."""
    weeks, told = _whole_weeks(evidence, window)
    spans = weeks if step == "week" else [day for week in weeks for day in _days_of(week)]
    return Slices(evidence, step, tuple(spans), _parts(evidence, spans), tuple(told))


def weekly(kpi: Kpi, evidence: Evidence, window: Span, scope: Scope = EVERYTHING) -> KpiSeries:
    """Measure a KPI in each whole week of a window."""
    return series_of(kpi, slices(evidence, window), scope)


def daily(kpi: Kpi, evidence: Evidence, window: Span, scope: Scope = EVERYTHING) -> KpiSeries:
    """Measure a KPI on each day of the whole weeks of a window, the weekday taken out."""
    return series_of(kpi, slices(evidence, window, "day"), scope)


def series_of(kpi: Kpi, cut: Slices, scope: Scope = EVERYTHING) -> KpiSeries:
    """Measure a KPI in each span; days lose the effect of their weekday."""
    sort = _SORTS[type(kpis.sampled(kpi, cut.whole, cut.window, scope))]
    rows = [
        _row(kpi, cut.whole if sort == "stocks" else part, span, scope, cut.follow_up_us)
        for part, span in zip(cut.parts, cut.spans, strict=True)
    ]
    made = KpiSeries(
        kpi=kpi,
        step=cut.step,
        sort=sort,
        scope=scope.words,
        follow_up_days=cut.follow_up_us / s.US_PER_DAY,
        frame=_frame(rows),
        told=cut.told,
    )
    made = _without_weekdays(made) if cut.step == "day" else made
    return replace(made, told=(*made.told, *_how_to_read(made)))


def _whole_weeks(evidence: Evidence, window: Span) -> tuple[list[Days], list[str]]:
    """The weeks that lie in the window and that the log has seen, and what is left over."""
    opened = evidence.cases[OPENED].to_numpy(dtype=np.float64, na_value=np.nan)
    last_us = int(np.nanmax(opened, initial=0.0)) // s.US_PER_DAY * s.US_PER_DAY
    end = min(window.end_us, evidence.as_of_us, last_us + QUIET_DAYS * s.US_PER_DAY)
    first_us = int(np.nanmin(opened, initial=float(window.end_us)))
    begin = max(window.start_us, first_us // s.US_PER_DAY * s.US_PER_DAY)
    first, last = -((MONDAY_US - begin) // WEEK_US), (end - MONDAY_US) // WEEK_US
    if last <= first:
        msg = f"no whole week from {_day(window.start_us)} to {_day(window.end_us)} is in the log"
        raise RunError("ST563", msg, fix="Take a window of whole weeks (Monday to Monday, UTC)")
    starts = [MONDAY_US + week * WEEK_US for week in range(first, last)]
    ends = [(window.start_us, starts[0]), (starts[-1] + WEEK_US, window.end_us)]
    told = [
        f"Left out: {_day(a)} up to, not including, {_day(b)}, no whole week of the log"
        for a, b in ends
        if b > a
    ]
    return [Days(start, start + WEEK_US) for start in starts], told


def _days_of(week: Days) -> list[Days]:
    return [Days(at, at + s.US_PER_DAY) for at in range(week.start_us, week.end_us, s.US_PER_DAY)]


def _day(at_us: int) -> str:
    return str(pd.Timestamp(at_us, unit="us").date())


def _parts(evidence: Evidence, spans: Sequence[Days]) -> tuple[Evidence, ...]:
    """The evidence of the cases opened in each span; the spans follow each other."""
    opened = evidence.cases[OPENED].to_numpy(dtype=np.float64, na_value=-np.inf)
    edges = np.array([spans[0].start_us, *(span.end_us for span in spans)], dtype=np.float64)
    place = np.searchsorted(edges, opened, side="right") - 1  # -1 before, len(spans) after
    rows = _rows_by_place(place, len(spans))
    tables = {
        name: _tables(evidence, table, key, place, len(spans))
        for name, table, key in (
            ("clocks", evidence.clocks, "case_id"),
            ("surveys", evidence.surveys, "ticket"),
            ("steps", evidence.steps, "case_id"),
        )
    }
    return tuple(
        replace(
            evidence,
            cases=evidence.cases.take(mine).reset_index(drop=True),
            verdicts={code: verdicts[mine] for code, verdicts in evidence.verdicts.items()},
            clocks=tables["clocks"][i],
            surveys=tables["surveys"][i],
            steps=tables["steps"][i],
        )
        for i, mine in enumerate(rows)
    )


def _rows_by_place(place: Ints, many: int) -> list[Ints]:
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(many + 1))
    return [order[a:b] for a, b in pairwise(edges)]


def _tables(
    evidence: Evidence, table: pd.DataFrame | None, key: str, place: Ints, many: int
) -> list[pd.DataFrame | None]:
    """The rows of a table about the cases of each span."""
    if table is None:
        return [None] * many
    row = evidence.rows_of(pd.Index(table[key]))
    where = np.where(row >= 0, place[row], -1)
    return [table.take(mine).reset_index(drop=True) for mine in _rows_by_place(where, many)]


def _row(kpi: Kpi, known: Evidence, span: Days, scope: Scope, follow_us: int) -> dict[str, Any]:
    """One point: its value with interval, n, k, and why it says nothing."""
    found = kpis.sampled(kpi, known, span, scope, as_of_us=span.end_us + follow_us)
    n, k = _counts(found)
    row = {"start": span.start_us, "value": None, "low": None, "high": None, "n": n, "k": None}
    if isinstance(found, Missing):
        return row | {"note": found.reason}
    if isinstance(found, Durations | Hits | Scores | Ages) and n < FEWEST:
        return row | {"note": f"fewer than {FEWEST} cases"}
    made = estimate(found, unit=kpi.unit, seed=kpis.SEED)
    if made.value is None:
        return row | {"k": k, "note": "too few got there within the follow-up"}
    return row | {"value": made.value, "low": made.low, "high": made.high, "k": k, "note": ""}


def _counts(found: Sampled) -> tuple[int, int | None]:
    """How many cases a sample rests on, and how many of them count."""
    match found:
        case Durations():
            return len(found.hours), int(np.sum(~found.censored))
        case Hits(share=share):
            return share.n, share.k
        case Scores():
            return len(found.each), None
        case Rate(count=count):
            return count, count
        case Ages():
            return len(found.hours), None
    return (found.value, None) if isinstance(found, Total) else (0, None)


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["start"] = pd.to_datetime(frame["start"], unit="us", utc=True)
    kinds = dict.fromkeys(("value", "low", "high"), "float64") | {"n": "int64", "k": "Int64"}
    return frame.astype(kinds)


def _without_weekdays(series: KpiSeries) -> KpiSeries:
    """Take the effect of the weekday out of a daily series."""
    frame = series.frame.copy()
    x = {name: to_scale(_lifted(frame[name], series.scale), series.scale) for name in _VALUES}
    weekday = np.arange(len(frame)) % WEEK_DAYS  # the spans are the days of whole weeks
    effect = _weekday_effects(x["value"], weekday)[weekday]
    frame["seen"] = frame["value"]
    for name in _VALUES:
        frame[name] = from_scale(x[name] - effect, series.scale)
    if series.sort == "shares":
        frame[list(_VALUES)] = frame[list(_VALUES)].clip(0.0, 1.0)
    lost = frame["seen"].notna() & frame["value"].isna()
    frame.loc[lost, "note"] = f"its weekday has fewer than {WEEKS} values"
    return replace(series, frame=frame)


_VALUES: Final = ("value", "low", "high")


def _lifted(column: pd.Series, scale: Scale) -> Floats:
    values: Floats = column.to_numpy(dtype=np.float64)
    return np.maximum(values, SHORTEST_HOURS) if scale == "log" else values


def _weekday_effects(x: Floats, weekday: npt.NDArray[np.int64]) -> Floats:
    """Fit week + weekday by least squares; NaN for a weekday with too few values."""
    there = ~np.isnan(x)
    many = np.bincount(weekday[there], minlength=WEEK_DAYS)
    enough = many >= WEEKS
    effect = np.full(WEEK_DAYS, np.nan)
    if not enough.any():
        return effect
    used = there & enough[weekday]
    week = np.arange(len(x)) // WEEK_DAYS
    columns = [(week[used] == w).astype(float) for w in np.unique(week[used])]
    columns += [(weekday[used] == d).astype(float) for d in np.flatnonzero(enough)]
    # one column too many, on purpose: the solution of least norm, centred below
    fit = np.linalg.lstsq(np.column_stack(columns), x[used], rcond=None)[0]
    found = fit[-int(enough.sum()) :]
    effect[enough] = found - found.mean()
    return effect


def _how_to_read(series: KpiSeries) -> list[str]:
    told = []
    silent = series.frame[series.frame["value"].isna()]
    for note, many in silent["note"].value_counts(sort=False).sort_index().items():
        told.append(f"{plural(int(many), series.step)} without a value: {note}")
    if series.sort in ("times", "shares", "scores"):
        days = f"{series.follow_up_days:.1f}"
        told.append(f"Tickets are followed for {days} days after the end of their {series.step}")
    if series.kpi.kind in JUDGED_AT_THE_END:
        told.append("Verdicts, clocks and hand-overs are those known at the end of the log")
    return told
