"""How many cases came, how many ended, how many stayed open? Curves over time; and at what hours?

`draw_backlog`: above, the cases that were opened (solid) and ended (dashed) in each day or week;
below, on the same axis of time, how many were open at its end. One point a day where the log spans
at most `DAYS_SHOWN` days, else one a week (from the first day on; the last week may be shorter and
is left out above unless it is whole).
`draw_week`: for each hour of the week how often something happened, as shades; the number stands in
the cell where it fits.

Inline SVG without script; units: pixels. Not shown: whether a change is more than chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.report.drawings import svg
from csi.report.words import number, plural

if TYPE_CHECKING:
    import pandas as pd

    from process_mining.eventlog import Ints

DAYS_SHOWN: Final = 120
WIDTH: Final = 960.0
LEFT: Final = 64.0
RIGHT: Final = 96.0
PANEL: Final = 130.0
TOP: Final = 22.0
BETWEEN: Final = 40.0
BLUE, BROWN, GREY = "#1d5fa8", "#8a4b00", "#55606e"
_WEEK: Final = 7
_TICKS: Final = 6
_LABEL: Final = 66.0
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CELL: Final = (34.0, 22.0)


@dataclass(frozen=True)
class _Series:
    """Counts by bucket, a name to stand beside the line, and its look."""

    name: str
    counts: Ints
    colour: str
    dashes: str = ""


def draw_backlog(days: pd.DataFrame, *, name: str = "backlog", ends_known: bool = True) -> str:
    """Return the curves of a table with day, opened, ended, open; "" where it is empty.

    Without `ends_known` only what was opened is drawn.
    """
    if not len(days):
        return ""
    width = 1 if len(days) <= DAYS_SHOWN else _WEEK
    whole = len(days) // width * width
    labels = days["day"].tolist()[:whole:width]
    unit = "day" if width == 1 else "week"
    opened, ended = (_summed(days[key].to_numpy()[:whole], width) for key in ("opened", "ended"))
    series = [_Series("opened", opened, BLUE), _Series("ended", ended, BROWN, "6 4")]
    drawn = _panel(series[: 1 + ends_known], labels, TOP, f"cases a {unit}")
    height = TOP + PANEL + 30
    if ends_known:
        still = days["open"].to_numpy()[width - 1 : whole : width]
        below = TOP + PANEL + BETWEEN
        drawn += _panel([_Series("open", still, GREY)], labels, below, "open at its end", area=True)
        height = below + PANEL + 30
    return svg.document(
        drawn,
        box=(0.0, 0.0, WIDTH, height),
        name=name,
        title=f"Cases opened and ended a {unit}, and open at its end",
        desc=_told(days, unit, ends_known=ends_known),
        role="img",
    )


def _summed(values: Ints, width: int) -> Ints:
    return np.asarray(values.reshape(-1, width).sum(axis=1))


def _told(days: pd.DataFrame, unit: str, *, ends_known: bool) -> str:
    span = f"{days['day'].iloc[0]} to {days['day'].iloc[-1]}, by {unit}"
    said = f"{span}: {number(int(days['opened'].sum()))} opened"
    if not ends_known:
        return said
    most = int(days["open"].max())
    last = int(days["open"].iloc[-1])
    return (
        f"{said}, {number(int(days['ended'].sum()))} ended; at most {number(most)} open on one "
        f"day, {number(last)} at the end"
    )


def _panel(
    series: list[_Series], labels: list[str], top: float, unit: str, *, area: bool = False
) -> str:
    n = len(labels)
    highest = max(int(max(one.counts.max(initial=0) for one in series)), 1)
    step = (WIDTH - LEFT - RIGHT) / max(n - 1, 1)
    base = top + PANEL

    def at(place: int, value: int) -> tuple[float, float]:
        return LEFT + place * step, base - value / highest * PANEL

    axis = (
        f'<path d="M{svg.num(LEFT)} {svg.num(top)}V{svg.num(base)}H{svg.num(WIDTH - RIGHT)}" '
        f'stroke="{svg.LINE}" fill="none"/>'
        + svg.text(LEFT - 6, top + 4, number(highest), size=11, anchor="end")
        + svg.text(LEFT - 6, base + 4, "0", size=11, anchor="end")
        + svg.text(LEFT, top - 8, unit, size=11, anchor="start", fill=svg.SOFT)
    )
    every = max(1, -(-n // _TICKS))
    ticks = "".join(
        svg.text(LEFT + i * step, base + 15, labels[i], size=11, fill=svg.SOFT, anchor="start")
        for i in range(0, n, every)
        if LEFT + i * step < WIDTH - RIGHT - _LABEL
    )
    lines = "".join(
        _line([at(i, v) for i, v in enumerate(one.counts.tolist())], one, base, area=area)
        for one in series
    )
    ends = [at(n - 1, int(one.counts[-1]))[1] for one in series]
    return axis + ticks + lines + _names(series, ends)


def _line(points: list[tuple[float, float]], one: _Series, base: float, *, area: bool) -> str:
    under = ""
    if area:
        closed = [(points[0][0], base), *points, (points[-1][0], base)]
        under = f'<polygon points="{svg.points(closed)}" fill="{one.colour}" fill-opacity="0.18"/>'
    dashes = f' stroke-dasharray="{one.dashes}"' if one.dashes else ""
    return (
        f'{under}<polyline points="{svg.points(points)}" fill="none" stroke="{one.colour}" '
        f'stroke-width="1.8" stroke-linejoin="round"{dashes}/>'
    )


def _names(series: list[_Series], heights: list[float]) -> str:
    """Write each line's name beside its end, apart from one another."""
    x, last, said = WIDTH - RIGHT + 8, -1e9, ""
    for one, y in sorted(zip(series, heights, strict=True), key=lambda pair: pair[1]):
        last = max(y + 4, last + 15)
        look = svg.text(
            x, last, f"{one.name}", size=12, fill=one.colour, anchor="start", weight="600"
        )
        said += look
    return said


def draw_week(profile: pd.DataFrame, column: str, *, name: str, title: str) -> str:
    """Return counts by weekday and hour (168 rows, in order) as shades; "" where all are nought."""
    counts = profile[column].to_numpy().reshape(len(DAYS), 24)
    highest = int(counts.max())
    if not highest:
        return ""
    wide, high = _CELL
    cells = [
        _cell(day, hour, int(counts[day, hour]), highest) for day in range(7) for hour in range(24)
    ]
    days = [
        svg.text(40, 24 + high * (i + 0.65), day, size=11, anchor="end")
        for i, day in enumerate(DAYS)
    ]
    hours = [svg.text(46 + wide * (h + 0.5), 16, f"{h:02d}", size=11) for h in range(24)]
    day, hour = divmod(int(counts.argmax()), 24)
    when = f"{hour:02d}:00 on {DAYS[day]}"
    return svg.document(
        "".join([*cells, *days, *hours]),
        box=(0.0, 0.0, 50 + 24 * wide, 30 + 7 * high),
        name=name,
        title=title,
        desc=f"Most in the hour from {when}: {number(highest)}",
        role="img",
    )


def _cell(day: int, hour: int, n: int, highest: int) -> str:
    wide, high = _CELL
    x, y = 46 + hour * wide, 24 + day * high
    share = n / highest
    fill = svg.mixed("#ffffff", "#1d5fa8", share)
    ink = "#fff" if share > 0.55 else svg.INK  # noqa: PLR2004 - where dark ink stops being legible
    shown = number(n) if n < 10_000 else f"{n // 1000}k"  # noqa: PLR2004 - what fits a cell
    words = svg.text(x + wide / 2, y + 15, shown, size=10, fill=ink) if n else ""
    told = f"{DAYS[day]} {hour:02d}:00 to {hour + 1:02d}:00: {plural(n, 'time')}"
    return (
        f"<g><title>{told}</title>"
        f'<rect x="{svg.num(x)}" y="{svg.num(y)}" width="{svg.num(wide - 1)}" '
        f'height="{svg.num(high - 1)}" fill="{fill}" stroke="{svg.WASH}"/>{words}</g>'
    )
