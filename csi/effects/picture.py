"""Which violations weigh most? The three rankings of `csi.effects.losses` side by side, as SVG.

One row a rule, the most frequent on top; intervals as lines; what is not told says so. The same
table gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from csi.effects.losses import COST, COUNT, TIME_LOST
from csi.pictures import COLOURS, MOST_BARS, STYLE, Picture, svg_of
from csi.stories import CURRENT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TITLE: Final = "Violations by count, time lost and adjusted cost"
MOST_LETTERS: Final = 40
MUTED: Final = "#55606e"
LIMITS: Final = {
    TIME_LOST: ("time_lost_low_h", "time_lost_high_h"),
    COST: ("cost_low", "cost_high"),
}


def pareto_picture(pareto: pd.DataFrame) -> Picture:
    """Draw the rules that lead one of the rankings, at most `MOST_BARS` in all."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy: loaded only where something is drawn
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    shown = _leading(pareto)
    unit = shown["unit"].iloc[0] if len(shown) else ""
    panels = ((COUNT, "tickets"), (TIME_LOST, "hours beyond alike tickets"), (COST, unit))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 1.2 + 0.32 * max(1, len(shown))), layout="constrained")
        for axes, (name, label) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            _bars(axes, shown, name)
            axes.set_xlabel(label)
        figure.axes[0].set_yticks(np.arange(len(shown)), _labels(shown))
        figure.suptitle(TITLE, x=0.01, ha="left")
        return Picture(svg_of(figure, TITLE))


def _leading(pareto: pd.DataFrame) -> pd.DataFrame:
    """The rules of the best ranks of any ranking, the most frequent last: it is drawn on top."""
    names = (COUNT, TIME_LOST, COST)
    best = pareto[[f"{name}_rank" for name in names]].astype(float).min(axis=1)
    keep = best.sort_values(kind="stable").index[:MOST_BARS]
    return pareto.loc[sorted(keep, reverse=True)]


def _bars(axes: Axes, shown: pd.DataFrame, name: str) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter  # noqa: PLC0415 - heavy

    places, value = np.arange(len(shown)), shown[name].to_numpy(float)
    told = ~np.isnan(value)
    axes.barh(places[told], value[told], color=COLOURS[CURRENT], height=0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for place in places[~told]:
        axes.annotate(" not told", (0, place), va="center", color=MUTED)
    if name in LIMITS:
        low, high = (shown[limit].to_numpy(float) for limit in LIMITS[name])
        axes.hlines(places[told], low[told], high[told], color="black", linewidth=1.2)
        return
    for place, n in zip(places, value, strict=True):
        axes.annotate(f" {n:,.0f}", (n, place), va="center")


def _labels(shown: pd.DataFrame) -> list[str]:
    return [
        f"{code} {title if len(title) <= MOST_LETTERS else title[: MOST_LETTERS - 1] + '…'}"
        for code, title in zip(shown["code"], shown["title"], strict=True)
    ]
