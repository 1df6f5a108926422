"""How does a KPI over time look, with what stands out?

A control chart as SVG: points with a line through neighbours, the centre, limits as steps, the
baseline shaded, and each change of level as a dotted line with its week. Signals are marked by
shape as well as by colour, so that a black-and-white print says the same. Times that lie far apart
have a logarithmic axis.

    triangle, tip up or down   beyond a limit
    square                     9 or more in a row on one side of the centre
    diamond                    two of three far from the centre

Rules: csi.statistics.control_charts. The same input gives the same bytes, and nothing in it can
run (csi.pictures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.pictures import STYLE, TICKS, Picture, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from csi.statistics.control_charts import ControlChart, Rule, Side

LINE: Final = "#1d5fa8"
CENTRE: Final = "#2b2f36"
LIMIT: Final = "#55606e"
ALARM: Final = "#b3261e"
CHANGE: Final = "#6a3d9a"
SHADE: Final = "#e9edf2"
MARKERS: Final[dict[tuple[Rule, Side], tuple[str, str]]] = {
    ("beyond", "high"): ("^", "above the upper limit"),
    ("beyond", "low"): ("v", "below the lower limit"),
    ("one side", "high"): ("s", "9 or more in a row on one side"),
    ("one side", "low"): ("s", "9 or more in a row on one side"),
    ("two of three", "high"): ("D", "two of three far from the centre"),
    ("two of three", "low"): ("D", "two of three far from the centre"),
}
MOST_TICKS: Final = 9
HEADROOM: Final = 0.08  # for the weeks of the changes
WIDE: Final = 10.0


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is drawn: `days` are the first day of each point, `changes` points of new levels."""

    title: str
    unit: str
    days: tuple[str, ...]
    step: str
    chart: ControlChart
    changes: tuple[int, ...]


def draw_chart(drawn: Drawn) -> Picture:
    """Draw a control chart."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy: loaded only where something is drawn
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 3.4), layout="constrained")
        axes = figure.subplots()
        by = 100.0 if drawn.unit == "share" else 1.0
        _baseline(axes, drawn.chart)
        _limits(axes, drawn.chart, by)
        _points(axes, drawn.chart, by)
        _signals(axes, drawn.chart, by)
        _changes(axes, drawn)
        _axes(axes, drawn)
        axes.set_title(drawn.title, loc="left")
        figure.draw_without_rendering()  # the layout settles in a second pass, with the final ticks
        return Picture(svg_of(figure, drawn.title))


def _baseline(axes: Axes, chart: ControlChart) -> None:
    """Shade the baseline, where it is not everything."""
    marked = np.flatnonzero(chart.baseline)
    values = np.flatnonzero(~np.isnan(chart.values))
    if len(marked) == len(values):
        return
    axes.axvspan(marked[0] - 0.5, marked[-1] + 0.5, color=SHADE, linewidth=0, label="baseline")


def _limits(axes: Axes, chart: ControlChart, by: float) -> None:
    """Draw centre and limits; a chart without limits says so."""
    at = np.arange(len(chart.values))
    axes.step(at, by * chart.centre, where="mid", color=CENTRE, linewidth=0.9, label="centre")
    if chart.no_limits:
        axes.plot([], [], " ", label=f"no limits: {chart.no_limits}")
        return
    for limit, label in ((chart.high, "limits (3 sigma)"), (chart.low, None)):
        axes.step(
            at, by * limit, where="mid", color=LIMIT, linewidth=0.9, linestyle=(0, (5, 3)),
            label=label,
        )  # fmt: skip


def _points(axes: Axes, chart: ControlChart, by: float) -> None:
    at = np.arange(len(chart.values))
    axes.plot(at, by * chart.values, "o-", color=LINE, markersize=3.2, linewidth=1.0)


def _signals(axes: Axes, chart: ControlChart, by: float) -> None:
    """Mark the points of each signal; the weightier rule lies on top."""
    named: set[str] = set()
    for signal in sorted(chart.signals, key=lambda one: one.rule == "beyond"):
        marker, label = MARKERS[signal.rule, signal.side]
        at = np.array(signal.points)
        filled = signal.rule == "beyond"
        axes.plot(
            at, by * chart.values[at], marker, color=ALARM, markersize=9 if filled else 8,
            markerfacecolor=ALARM if filled else "none", zorder=4 if filled else 3,
            label=None if label in named else label,
        )  # fmt: skip
        named.add(label)


def _changes(axes: Axes, drawn: Drawn) -> None:
    for i, point in enumerate(drawn.changes):
        axes.axvline(
            point - 0.5, color=CHANGE, linestyle=(0, (1, 1.5)), linewidth=1.6,
            label="change of level" if i == 0 else None,
        )  # fmt: skip
        axes.annotate(
            drawn.days[point], (point - 0.5, 1.0), xycoords=("data", "axes fraction"),
            xytext=(3, -1), textcoords="offset points", va="top", color=CHANGE, fontsize=8,
        )  # fmt: skip


def _axes(axes: Axes, drawn: Drawn) -> None:
    many = len(drawn.days)
    every = -(-many // MOST_TICKS)
    axes.set_xticks(range(0, many, every), drawn.days[::every])
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(-0.7, many - 0.3)
    day = drawn.step == "day"
    axes.set_xlabel("day of opening, weekday taken out" if day else "week of opening (from Monday)")
    if drawn.unit == "h" and _spans_orders(drawn.chart):
        _log_hours(axes)
    else:
        axes.set_ylabel("%" if drawn.unit == "share" else drawn.unit)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + HEADROOM * (high - low))
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.22), ncols=4, frameon=False, fontsize=8,
        borderaxespad=0,
    )  # fmt: skip


def _spans_orders(chart: ControlChart) -> bool:
    """Whether times and limits are so far apart that a straight axis would hide the low ones."""
    shown = np.concatenate([chart.values, chart.low, chart.high])
    shown = shown[shown > 0]
    return bool(len(shown)) and float(shown.max() / shown.min()) > WIDE


def _log_hours(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    high *= (high / low) ** HEADROOM
    axes.set_yticks([hours for hours, _ in TICKS], [name for _, name in TICKS])
    axes.minorticks_off()
    axes.set_ylim(low, high)
    axes.set_ylabel("time (log scale)")
