"""Which pictures do people look at first? The charts of a cycle, as SVG.

JupyterLab hides SVG output in notebooks that papermill has executed, but shows an image whose
source is the SVG; that is what a `Picture` gives it. Pages take the SVG itself. Charts are
matplotlib figures without global state; the same input gives the same bytes (fixed hash salt, no
date), and nothing is said by colour alone.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import CensoredData, ecdf

from csi import kpi as kpis
from csi.kpi_kinds import Durations, estimate
from csi.report.drawings.process_map import draw_process_map
from csi.stories import BASELINE, CURRENT, pareto

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from csi.kpi_kinds import Sampled
    from process_mining.discovery import ProcessMap

COLOURS: Final = {BASELINE: "#8a5a00", CURRENT: "#1d5fa8"}
LINES: Final = {BASELINE: (0, (4, 2)), CURRENT: "solid"}
JOINS: Final = 'stroke-linejoin="round" stroke-linecap="butt"'
MOST_BARS: Final = 12
TICKS: Final = (
    (1 / 60, "1 min"), (1 / 4, "15 min"), (1, "1 h"), (4, "4 h"), (12, "12 h"), (24, "1 d"),
    (72, "3 d"), (168, "7 d"), (720, "30 d"), (2160, "90 d"), (8760, "1 y"),
)  # fmt: skip
STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "trueloop",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a rule's title is no formula
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True, repr=False)
class Picture:
    """One picture as SVG text; Jupyter shows it as an image, in which nothing can run."""

    svg: str

    def __repr__(self) -> str:
        """Say what it is, without an address in memory: an executed notebook keeps this text."""
        return f"a picture of {len(self.svg):,} bytes (SVG)"

    def _repr_html_(self) -> str:
        data = b64encode(self.svg.encode()).decode()
        return f'<img alt="" src="data:image/svg+xml;base64,{data}">'


def process_picture(found: ProcessMap) -> Picture:
    """Draw a process map."""
    return Picture(draw_process_map(found))


def before_after(sides: Mapping[str, Sampled], *, title: str, unit: str) -> Picture:
    """Draw a KPI in both windows: the share that had got there by time, or the value."""
    if all(isinstance(side, Durations) and len(side.hours) for side in sides.values()):
        return _drawn(lambda axes: _curves(axes, sides), title=title, height=3.4)
    return _drawn(lambda axes: _values(axes, sides, unit), title=title, height=1.8)


def rates(rules: pd.DataFrame) -> Picture:
    """Draw the conformance rate of every rule that is violated, with its interval."""
    worst = pareto(rules)["code"].head(MOST_BARS)
    now = rules[(rules["window"] == CURRENT) & rules["code"].isin(worst)]
    shown = now.sort_values(["rate", "code"], ascending=[False, True])

    def dots(axes: Axes) -> None:
        places = np.arange(len(shown))
        value, low, high = (100 * shown[name].to_numpy(float) for name in ("rate", "low", "high"))
        spread = np.vstack([value - low, high - value])
        axes.errorbar(value, places, xerr=spread, fmt="o", color=COLOURS[CURRENT], capsize=3)
        axes.set_yticks(places, _labels(shown))
        axes.set_xlabel("conforming tickets in %, 95 % interval (Wilson)")

    return _drawn(dots, title="Violated rules, current window", height=0.9 + 0.32 * len(shown))


def _labels(shown: pd.DataFrame) -> list[str]:
    pairs = zip(shown["code"], shown["title"], strict=True)
    return [f"{code} {_short(title)}" for code, title in pairs]


def _short(title: str, most: int = 46) -> str:
    return title if len(title) <= most else f"{title[: most - 1].rstrip()}…"


def _curves(axes: Axes, sides: Mapping[str, Sampled]) -> None:
    """Kaplan-Meier: the share of tickets that had got there, by hours, log axis."""
    for name, side in sides.items():
        assert isinstance(side, Durations)  # noqa: S101 - the caller has looked
        hours = np.maximum(side.hours, 1 / 60)
        data = CensoredData.right_censored(hours, side.censored)
        curve = ecdf(data).cdf
        label = f"{name} (n = {len(hours):,}, {int(side.censored.sum()):,} censored)"
        axes.step(
            curve.quantiles, 100 * curve.probabilities, where="post",
            label=label, color=COLOURS[name], linestyle=LINES[name],
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.axhline(50, color="#55606e", linewidth=0.6)
    axes.set_xticks([hours for hours, _ in TICKS], [name for _, name in TICKS])
    axes.minorticks_off()
    everyone = np.concatenate([s.hours for s in sides.values() if isinstance(s, Durations)])
    axes.set_xlim(max(1 / 60, everyone.min()), everyone.max())
    axes.set_xlabel("elapsed time (log scale)")
    axes.set_ylabel("% of tickets")
    axes.legend(loc="upper left", frameon=False)


def _values(axes: Axes, sides: Mapping[str, Sampled], unit: str) -> None:
    """The value with its interval, one row a window."""
    for place, (name, side) in enumerate(sides.items()):
        found = estimate(side, unit=unit, seed=kpis.SEED)
        if found.value is None:
            continue
        low = found.value if found.low is None else found.low
        high = found.value if found.high is None else found.high
        spread = [[found.value - low], [high - found.value]]
        axes.errorbar([found.value], [place], xerr=spread, fmt="o", color=COLOURS[name], capsize=4)
    axes.set_yticks(range(len(sides)), list(sides))
    axes.set_ylim(-0.6, len(sides) - 0.4)
    axes.set_xlabel(f"{unit}, 95 % interval")


def _drawn(draw: Callable[[Axes], None], *, title: str, height: float) -> Picture:
    import matplotlib as mpl  # noqa: PLC0415 - heavy: loaded only where something is drawn
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_title(title, loc="left")
        return Picture(svg_of(figure, title))


def svg_of(figure: Figure, title: str) -> str:
    """Return a figure as an inline SVG element that scales with its place and says what it is."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    # Several charts stand in one page: no style may reach out, and no plain id may stand twice.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[a-z0-9.]+_\d+"', "", text)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" {JOINS} ', 1)
