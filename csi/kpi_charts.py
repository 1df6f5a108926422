"""Which KPIs left what they do by themselves, when, and from what level to what level?

Each KPI with a value in `FEWEST` weeks or more is charted by its sort (csi.kpi_series), which its
kind fixes, not its data:

    times   XmR chart of logarithms        shares  Laney p' chart of k of n
    scores  XmR chart                      counts  Laney u' chart of arrivals a week

By day all are XmR charts on the scale of their sort, the weekday taken out. Centre and limits come
from the weeks of the baseline, where it has `FEWEST_BASE` values or more, and from all weeks else,
which is told. What is open (stocks) is carried over from week to week, so that limits from moving
ranges would be far too narrow: it is not charted, which is told too.

The result tells how many charts would show a signal by chance (`chance_of_signal`): with many KPIs
some will. A signal or a change says where to look. It does not say why, and no verdict rests on it.

Cost: that of the series; PELT and the rules are small beside it. Error: ST563 (csi.kpi_series).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from csi.chart_pictures import Drawn, draw_chart
from csi.evidence import EVERYTHING
from csi.kpi_series import SHORTEST_HOURS, series_of, slices
from csi.report.words import number, percent, plural
from csi.statistics.change_points import change_points
from csi.statistics.control_charts import chance_of_signal, individuals, laney_p, laney_u
from csi.stories import value_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from csi.evidence import Bools, Evidence, Floats, Scope, Span
    from csi.kpi import Kpi
    from csi.kpi_series import KpiSeries, Slices, Step
    from csi.pictures import Picture
    from csi.statistics.change_points import ChangePoint, Level
    from csi.statistics.control_charts import ControlChart, Signal

FEWEST: Final = 12
FEWEST_BASE: Final = 8
MOST_PICTURES: Final = 6
MOST_SPOKEN: Final = 3
ROOT_OF_POISSON: Final = 0.5  # the spread of the root of a Poisson count, whatever its mean
TO_TWO_PLACES: Final = ("points", "hand-overs per ticket")
LEVELS: Final = ("strategic", "tactical", "operational")
SIGNAL_COLUMNS: Final = (
    "kpi", "title", "rule", "side", "way", "first", "last", "points", "value", "limit", "sigmas",
    "unit", "n", "sentence",
)  # fmt: skip
CHANGE_COLUMNS: Final = (
    "kpi", "title", "start", "way", "before", "before_low", "before_high", "before_points",
    "after", "after_low", "after_high", "after_points", "unit", "sentence",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class KpiChart:
    """A KPI over time with its control chart and the changes of its level."""

    series: KpiSeries
    chart: ControlChart
    changes: tuple[ChangePoint, ...]

    @property
    def has_news(self) -> bool:
        """Whether anything stands out."""
        return bool(self.chart.signals or self.changes)

    def picture(self) -> Picture:
        """Draw it."""
        frame, kpi = self.series.frame, self.series.kpi
        return draw_chart(
            Drawn(
                title=kpi.title,
                unit=kpi.unit,
                days=tuple(frame["start"].dt.strftime("%Y-%m-%d")),
                step=self.series.step,
                chart=self.chart,
                changes=tuple(one.point for one in self.changes),
            )
        )


@dataclass(frozen=True, eq=False)
class KpiCharts:
    """What the KPIs did over time.

    `charts` are in the order of codes, `pictures` those of the few that matter: the ones with
    signals or changes first, strategic before tactical before operational. `series` has one row a
    KPI and point, `signals` and `changes` one a finding, `left_out` one a KPI that is not charted.
    `sentences` say the farthest signals of each KPI.
    """

    charts: tuple[KpiChart, ...]
    pictures: tuple[Picture, ...]
    series: pd.DataFrame
    signals: pd.DataFrame
    changes: pd.DataFrame
    left_out: pd.DataFrame
    sentences: tuple[str, ...]


def charts_of(  # noqa: PLR0913 - which KPIs, on what, when, against when, of whom, how fine
    kpis: Iterable[Kpi],
    evidence: Evidence,
    window: Span,
    *,
    baseline: Span | None = None,
    scope: Scope = EVERYTHING,
    step: Step = "week",
) -> KpiCharts:
    """Chart every KPI that has enough weeks (or days) in a window."""
    cut = slices(evidence, window, step)
    base = _base_marks(cut, baseline)
    found = [series_of(kpi, cut, scope) for kpi in kpis]
    charts = tuple(chart_of(one, base) for one in found if not _why_not(one))
    reasons = [(one.kpi.code, one.kpi.title, _why_not(one)) for one in found if _why_not(one)]
    signals = [_signal_row(one, signal) for one in charts for signal in one.chart.signals]
    changes = [_change_row(one, change) for one in charts for change in one.changes]
    return KpiCharts(
        charts=charts,
        pictures=tuple(one.picture() for one in sorted(charts, key=_rank)[:MOST_PICTURES]),
        series=_points(charts),
        signals=pd.DataFrame(signals, columns=list(SIGNAL_COLUMNS)),
        changes=pd.DataFrame(changes, columns=list(CHANGE_COLUMNS)),
        left_out=pd.DataFrame(reasons, columns=["kpi", "title", "reason"]),
        sentences=(
            *_summary(charts, cut, base, baseline),
            *_spoken(signals),
            *(row["sentence"] for row in changes),
            *_left_out_words([reason for *_, reason in reasons]),
        ),
    )


def chart_of(series: KpiSeries, baseline: Bools | None = None) -> KpiChart:
    """Chart one series; `baseline` marks the points that centre and limits come from."""
    values = series.frame["value"].to_numpy(dtype=np.float64)
    there = ~np.isnan(values)
    base = baseline if baseline is not None and _enough(baseline & there) else None
    return KpiChart(
        series=series,
        chart=_control_chart(series, values, base),
        changes=tuple(
            replace(one, before=_bounded(one.before, series), after=_bounded(one.after, series))
            for one in change_points(
                _lifted(series, values), scale=series.scale, least_sigma=_by_chance(series, there)
            )
        ),
    )


def _control_chart(series: KpiSeries, values: Floats, base: Bools | None) -> ControlChart:
    labels, there = series.labels, ~np.isnan(values)
    if series.step == "week" and series.sort == "shares":
        k = series.frame["k"].to_numpy(dtype=np.float64, na_value=0.0)
        n = series.frame["n"].to_numpy(dtype=np.float64)
        return laney_p(np.where(there, k, 0), np.where(there, n, 0), baseline=base, labels=labels)
    if series.step == "week" and series.sort == "counts":
        k = series.frame["k"].to_numpy(dtype=np.float64, na_value=0.0)
        return laney_u(np.where(there, k, 0), there, baseline=base, labels=labels)
    x = _lifted(series, values)
    return individuals(x, scale=series.scale, baseline=base, labels=labels)


def _lifted(series: KpiSeries, values: Floats) -> Floats:
    """Times of nought have no logarithm: they count as the shortest that a log tells."""
    return np.maximum(values, SHORTEST_HOURS) if series.sort == "times" else values


def _by_chance(series: KpiSeries, there: Bools) -> float:
    """The spread of a point that chance alone gives: binomial for shares, Poisson for counts."""
    if series.sort == "counts":
        return ROOT_OF_POISSON
    if series.sort != "shares":
        return 0.0
    frame = series.frame[there]
    n, k = frame["n"].to_numpy(dtype=np.float64), frame["k"].to_numpy(dtype=np.float64)
    # one more of each kind: where all count, a share of 1 would vary by nothing
    share = (k.sum() + 1) / (n.sum() + 2)
    return float(np.sqrt(share * (1 - share) * (1 / n).mean()))


def _bounded(level: Level, series: KpiSeries) -> Level:
    """Cut the limits of a mean of shares at 0 and 1."""
    if series.sort != "shares":
        return level
    return replace(level, low=max(level.low, 0.0), high=min(level.high, 1.0))


def _base_marks(cut: Slices, baseline: Span | None) -> Bools | None:
    """Which weeks (or days) lie in the baseline."""
    if baseline is None:
        return None
    inside = [
        baseline.start_us <= span.start_us and span.end_us <= baseline.end_us for span in cut.spans
    ]
    return np.array(inside, dtype=bool)


def _enough(base: Bools) -> bool:
    return int(base.sum()) >= FEWEST_BASE


def _why_not(series: KpiSeries) -> str:
    """Why a series is not charted, or ""."""
    if series.sort == "stocks":
        return "what is open is carried over, so limits would be too narrow"
    if series.said >= FEWEST:
        return ""
    silent = series.frame.loc[series.frame["value"].isna(), "note"]
    reason = f": {silent.mode().iloc[0]}" if len(silent) else ""
    return f"under {FEWEST} {series.step}s with a value{reason}"


def _rank(one: KpiChart) -> tuple[bool, int, str]:
    return not one.has_news, LEVELS.index(one.series.kpi.level), one.series.kpi.code


def _way(kpi: Kpi, *, up: bool) -> str:
    return "better" if up == (kpi.better == "higher") else "worse"


def _signal_row(one: KpiChart, signal: Signal) -> dict[str, Any]:
    kpi, frame, chart = one.series.kpi, one.series.frame, one.chart
    at = list(signal.points)
    far = max(at, key=lambda i: (abs(chart.z[i]), -i))
    limits = chart.high if signal.side == "high" else chart.low
    row = {
        "kpi": kpi.code,
        "title": kpi.title,
        "rule": signal.rule,
        "side": signal.side,
        "way": _way(kpi, up=signal.side == "high"),
        "first": frame["start"].iloc[at[0]],
        "last": frame["start"].iloc[at[-1]],
        "points": len(at),
        "value": float(chart.values[far]),  # noqa: PD011 - an array of ours
        "limit": float((limits if signal.rule == "beyond" else chart.centre)[far]),
        "sigmas": float(chart.z[far]),
        "unit": kpi.unit,
        "n": int(frame["n"].iloc[at].sum()),
    }
    return row | {"sentence": _signal_words(row, signal.sentence)}


def _signal_words(row: dict[str, Any], said: str) -> str:
    value, limit = (_figure(row[name], row["unit"]) for name in ("value", "limit"))
    if row["rule"] == "beyond":
        figures = f"{value}, limit {limit}"
    else:
        figures = f"the farthest {value}, centre {limit}"
    return f"{row['title']}: {said} ({row['way']}): {figures}, n = {row['n']:,}"


def _spoken(signals: Sequence[dict[str, Any]]) -> list[str]:
    """Say the signals of each KPI: the farthest `MOST_SPOKEN` in their order, and how many more."""
    said: list[str] = []
    for title, rows in groupby(signals, key=lambda row: row["title"]):
        mine = list(rows)
        far = sorted(range(len(mine)), key=lambda i: (-abs(mine[i]["sigmas"]), i))[:MOST_SPOKEN]
        said += [mine[i]["sentence"] for i in sorted(far)]
        if len(mine) > MOST_SPOKEN:
            said.append(f"{title}: {plural(len(mine) - MOST_SPOKEN, 'more signal')} in the table")
    return said


def _change_row(one: KpiChart, change: ChangePoint) -> dict[str, Any]:
    kpi, before, after = one.series.kpi, change.before, change.after
    row = {
        "kpi": kpi.code,
        "title": kpi.title,
        "start": one.series.frame["start"].iloc[change.point],
        "way": _way(kpi, up=after.value > before.value),
        **_level_row("before", before),
        **_level_row("after", after),
        "unit": kpi.unit,
    }
    label = one.series.labels[change.point]
    said = (
        f"{kpi.title}: from {label} on {_level_words(after, kpi.unit)} instead of "
        f"{_level_words(before, kpi.unit)} ({row['way']})"
    )
    return row | {"sentence": said}


def _level_row(name: str, level: Level) -> dict[str, Any]:
    return {
        name: level.value,
        f"{name}_low": level.low,
        f"{name}_high": level.high,
        f"{name}_points": level.points,
    }


def _level_words(level: Level, unit: str) -> str:
    if unit == "share":
        return percent(level.value, (level.low, level.high))
    if unit == "h":
        value, low, high = (_figure(x, unit) for x in (level.value, level.low, level.high))
        return f"{value} ({low} to {high})"
    digits = 2 if unit in TO_TWO_PLACES else 1
    value, low, high = (number(x, digits) for x in (level.value, level.low, level.high))
    return f"{value} ({low} to {high}) {unit}"


def _figure(value: float, unit: str) -> str:
    """Say a value with its unit; scores and counts per ticket to two places."""
    return f"{number(value, 2)} {unit}" if unit in TO_TWO_PLACES else value_in_words(value, unit)


def _points(charts: Sequence[KpiChart]) -> pd.DataFrame:
    """One row a KPI and point, with the chart's figures beside the measured ones."""
    frames = []
    for one in charts:
        kpi, chart = one.series.kpi, one.chart
        frame = one.series.frame.assign(
            centre=chart.centre, lower_limit=chart.low, upper_limit=chart.high,
            baseline=chart.baseline, signal=_fired(chart),
        )  # fmt: skip
        head = pd.DataFrame({"kpi": kpi.code, "title": kpi.title, "unit": kpi.unit}, frame.index)
        frames.append(pd.concat([head, frame], axis=1))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _fired(chart: ControlChart) -> list[str]:
    """The rules that fired at each point."""
    rules: list[list[str]] = [[] for _ in chart.z]
    for signal in chart.signals:
        for i in signal.points:
            rules[i].append(signal.rule)
    return [", ".join(dict.fromkeys(names)) for names in rules]


def _summary(
    charts: Sequence[KpiChart], cut: Slices, base: Bools | None, baseline: Span | None
) -> list[str]:
    points = len(cut.spans)
    said = list(cut.told)
    if not charts:
        return [*said, f"No KPI has a value in {FEWEST} {cut.step}s or more"]
    first = int(base.sum()) if base is not None and _enough(base) else points
    if baseline is not None and first == points:
        said.append(
            f"The baseline holds under {FEWEST_BASE} whole {cut.step}s: limits are from all"
        )
    bare: dict[str, list[str]] = {}
    for one in charts:
        if one.chart.no_limits:
            bare.setdefault(one.chart.no_limits, []).append(one.series.kpi.title)
    signals = [len(one.chart.signals) for one in charts if one.chart.signals]
    changes = [len(one.changes) for one in charts if one.changes]
    said.append(
        f"{plural(len(charts), 'KPI')} over {plural(points, cut.step)}: "
        f"{plural(sum(signals), 'signal')} in {len(signals)} of them, "
        f"{plural(sum(changes), 'change')} of level in {len(changes)}"
    )
    chance = percent(chance_of_signal(points, first))
    said.append(
        f"Where nothing changed, about {chance} of such charts show a signal by chance, more where "
        f"neighbouring {cut.step}s are alike: a signal says where to look and proves nothing"
    )
    return [
        *said,
        *(f"No limits, {why}: {'; '.join(titles)}" for why, titles in sorted(bare.items())),
    ]


def _left_out_words(reasons: Sequence[str]) -> list[str]:
    """Count the KPIs that are not charted, by the head of the reason."""
    heads = Counter(reason.partition(":")[0] for reason in reasons)
    return [f"Not charted, {plural(many, 'KPI')}: {head}" for head, many in sorted(heads.items())]
