"""Which points of a series lie outside what the series does by itself?

Three charts, chosen by what is counted, never by looking at the data:

    individuals  XmR chart of one value a point, on a scale that is fixed beforehand: "log" for
                 times, "sqrt" for counts, "none" for scores. Spread: mean moving range of
                 neighbours / 1.128; limits of the ranges: 3.267 of their mean (Shewhart 1931;
                 Wheeler & Chambers 1992, Understanding Statistical Process Control; NIST/SEMATECH
                 e-Handbook 6.3.2.2). The centre on a log scale is a geometric mean.
    laney_p      k of n: p' chart (Laney 2002, Quality Engineering 14, 531-537). The binomial spread
                 of each point times sigma_z, the spread of the standardised points by their moving
                 ranges, so that weeks may differ by more than chance within a week.
    laney_u      events in an exposure: u' chart, the same over the Poisson spread.

sigma_z is used as max(1, sigma_z), so p' and u' are p and u charts where points do not differ by
more than chance: tickets that are counted singly vary no less, and a sigma_z below 1 of a short
baseline is chance. (Laney also narrows the limits below 1.) Limits differ from point to point with
n. They are cut at what is possible: 0, and 1 for shares.

Phase I and II (Woodall 2000, Journal of Quality Technology 32, 341-350): centre and spread come
from the points of the baseline alone, all points without one; every point is judged by them. Points
without a value are passed over: the points beside a gap are neighbours.

There are no limits, and no signals, where the baseline does not vary at all, nor in a p' or u'
chart where a mean point of it holds fewer than `FEWEST_EXPECTED` of what counts, or of what does
not: such counts are so skewed that the normal law finds signals in up to 90 % of charts.

Signals, by rules 1, 2 and 5 of Nelson (1984, Journal of Quality Technology 16, 237-239):

    beyond       a point beyond 3 sigma
    one side     9 points or more in a row on one side of the centre
    two of three two of three points in a row beyond 2 sigma on one side

The rule of 6 points that rise or fall is left out: it adds false alarms and finds a drift hardly
sooner (Davis & Woodall 1988, Journal of Quality Technology 20, 260-262).

False alarms, measured on 2,000 series of independent normal values each: share of series with any
signal, and of these with one of "beyond".

    26 points, limits from all     10 %,  6 %     52 points, limits from all         25 %, 14 %
    24 points, limits from 12      26 %, 17 %     52 points, limits from the first 26  36 %, 22 %

A p' chart without overdispersion has 20 %, with 3 expected of one kind a point up to 30 %, and a u'
chart of 3 a point 35 % (52 points, limits from the first 26).
So a signal says where to look; it proves nothing. With an autocorrelation of 0.3 they are two to
four times as many (39 % of 26 points).

Errors: RunError ST560 for series that do not fit together, ST561 for impossible values, ST562 for
a baseline of under 2 values. O(n). Not checked: that points are independent (where neighbours are
alike, moving ranges are too short and alarms too many), nor season, nor, in an XmR chart, that
points rest on equally many cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from csi.statistics.bootstrap import Bools, Floats

Scale = Literal["none", "log", "sqrt"]
Rule = Literal["beyond", "one side", "two of three"]
Side = Literal["high", "low"]

NO_SPREAD: Final = "the baseline does not vary"
TOO_RARE: Final = "too few a point: the counts are too skewed for limits"
D2: Final = 1.128  # mean range of two values of a normal law in its sigmas, as tables print it
D4: Final = 3.267  # upper limit of a moving range of two, in mean ranges
SIGMAS: Final = 3.0
WARNING: Final = 2.0
RUN: Final = 9
RULES: Final[tuple[Rule, ...]] = ("beyond", "one side", "two of three")
FEWEST: Final = 2
FEWEST_EXPECTED: Final = 3.0
TRIALS: Final = 500
SEED: Final = 20_240_106


@dataclass(frozen=True)
class Signal:
    """A rule that fired: at which points (from 0), on which side, and in plain words."""

    rule: Rule
    points: tuple[int, ...]
    side: Side
    sentence: str


@dataclass(frozen=True, eq=False)
class ControlChart:
    """A series with its centre and limits, one entry a point, in the unit of the series.

    `z` is the distance from the centre in sigmas, on the scale of the chart. NaN: no value, or no
    limits; `no_limits` says why, "" where there are. `ranges` and `range_limit` are the moving
    ranges of an XmR chart on its scale, `sigma_z` what a Laney chart found (it uses at least 1);
    else None.
    """

    values: Floats
    centre: Floats
    low: Floats
    high: Floats
    z: Floats
    baseline: Bools
    signals: tuple[Signal, ...]
    method: str
    no_limits: str = ""
    ranges: Floats | None = None
    range_limit: float | None = None
    sigma_z: float | None = None


def individuals(
    values: npt.ArrayLike,
    *,
    scale: Scale = "none",
    baseline: npt.ArrayLike | None = None,
    labels: Sequence[str] | None = None,
) -> ControlChart:
    """Chart one value a point (XmR); NaN for a point without one."""
    given = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(given)
    base = _baseline(baseline, given, there)
    x = to_scale(given, scale)
    centre, mean_range = float(x[base].mean()), _mean_range(x[base])
    sigma = mean_range / D2
    ranges = np.full(len(given), np.nan)
    ranges[np.flatnonzero(there)[1:]] = np.abs(np.diff(x[there]))
    limits = [centre + side * SIGMAS * sigma if sigma > 0 else np.nan for side in (-1, 1)]
    flat = np.full(len(given), centre)
    z = (x - centre) / sigma if sigma > 0 else np.full(len(given), np.nan)
    return ControlChart(
        values=given,
        centre=from_scale(flat, scale),
        low=from_scale(np.full(len(given), limits[0]), scale),
        high=from_scale(np.full(len(given), limits[1]), scale),
        z=z,
        baseline=base,
        signals=signals_of(z, labels=labels),
        method=f"XmR chart{_SCALE_WORDS[scale]}",
        no_limits="" if sigma > 0 else NO_SPREAD,
        ranges=ranges,
        range_limit=D4 * mean_range,
    )


def laney_p(
    k: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    baseline: npt.ArrayLike | None = None,
    labels: Sequence[str] | None = None,
) -> ControlChart:
    """Chart shares k of n by Laney's p' chart; n = 0 is a point without a value."""
    part, whole = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    _require_possible(part, whole, most=whole)
    there = whole > 0
    base = _baseline(baseline, part, there)
    centre = float(part[base].sum() / whole[base].sum())
    spread = np.sqrt(centre * (1 - centre) / np.where(there, whole, np.nan))
    return _laney(part, whole, base, (centre, spread, 1.0), labels=labels, name="p")


def laney_u(
    count: npt.ArrayLike,
    exposure: npt.ArrayLike,
    *,
    baseline: npt.ArrayLike | None = None,
    labels: Sequence[str] | None = None,
) -> ControlChart:
    """Chart events per unit of exposure by Laney's u' chart; no exposure is no value."""
    events, seen = np.asarray(count, dtype=np.float64), np.asarray(exposure, dtype=np.float64)
    _require_possible(events, seen, most=np.where(seen > 0, np.inf, 0.0))
    there = seen > 0
    base = _baseline(baseline, events, there)
    centre = float(events[base].sum() / seen[base].sum())
    spread = np.sqrt(centre / np.where(there, seen, np.nan))
    return _laney(events, seen, base, (centre, spread, np.inf), labels=labels, name="u")


def signals_of(z: Floats, *, labels: Sequence[str] | None = None) -> tuple[Signal, ...]:
    """Apply the rules to distances from the centre in sigmas, in the order of their last points.

    Points without a value (NaN) are passed over. Hits of one rule that share points are one signal.
    """
    places = np.flatnonzero(~np.isnan(z))
    seen = z[places]
    found: list[tuple[Rule, Side, list[int]]] = []
    sides: tuple[tuple[Side, Floats], ...] = (("high", seen), ("low", -seen))
    for side, up in sides:
        found += [("beyond", side, [int(i)]) for i in np.flatnonzero(up > SIGMAS)]
        found += [("one side", side, run) for run in _runs(up > 0) if len(run) >= RUN]
        found += [("two of three", side, group) for group in _pairs(up > WARNING)]
    names = labels or [f"point {i + 1}" for i in range(len(z))]
    made = [
        Signal(
            rule, tuple(int(places[i]) for i in at), side, _sentence(rule, side, at, names, places)
        )
        for rule, side, at in found
    ]
    return tuple(sorted(made, key=lambda s: (s.points[-1], RULES.index(s.rule), s.side)))


@lru_cache
def chance_of_signal(points: int, baseline: int) -> float:
    """Return the share of charts with a signal where nothing changed, the limits from the first.

    Simulated on `TRIALS` series of independent normal values with a fixed seed.
    """
    rng = np.random.default_rng(SEED)
    first = np.arange(points) < baseline
    fired = [
        bool(individuals(rng.standard_normal(points), baseline=first).signals)
        for _ in range(TRIALS)
    ]
    return sum(fired) / TRIALS


def to_scale(values: Floats, scale: Scale) -> Floats:
    """Return values on the scale of a chart."""
    lowest = np.nanmin(values, initial=np.inf)
    if (
        np.isinf(values).any()
        or (scale == "log" and lowest <= 0)
        or (scale == "sqrt" and lowest < 0)
    ):
        msg = f"a value of {lowest:g} has no place on a scale '{scale}'"
        raise RunError("ST561", msg, fix="Give finite values: above 0 for log, from 0 on for sqrt")
    return _FORTH[scale](values)


def from_scale(x: Floats, scale: Scale) -> Floats:
    """Return values of a chart's scale in the unit of the series."""
    return _BACK[scale](x)


def mean_moving_range(x: Floats) -> float:
    """Return the mean distance of neighbours among the values that are there."""
    return _mean_range(x[~np.isnan(x)])


_FORTH: Final[dict[Scale, Callable[[Floats], Floats]]] = {
    "none": lambda v: v,
    "log": np.log,
    "sqrt": np.sqrt,
}
_BACK: Final[dict[Scale, Callable[[Floats], Floats]]] = {
    "none": lambda x: x,
    "log": np.exp,
    "sqrt": lambda x: np.square(np.maximum(x, 0.0)),
}
_SCALE_WORDS: Final[dict[Scale, str]] = {
    "none": "",
    "log": " of logarithms",
    "sqrt": " of square roots",
}


def _laney(  # noqa: PLR0913 - what, of how much, by which points, around what, named how
    part: Floats,
    whole: Floats,
    base: Bools,
    law: tuple[float, Floats, float],
    *,
    labels: Sequence[str] | None,
    name: str,
) -> ControlChart:
    """Chart part / whole around a centre with the spread that chance within points gives."""
    centre, spread, most = law
    values = part / np.where(whole > 0, whole, np.nan)
    expected = float(whole[base].mean()) * min(centre, most - centre)
    why = NO_SPREAD if not expected > 0 else TOO_RARE if expected < FEWEST_EXPECTED else ""
    unit = np.full(len(values), np.nan) if why else spread
    sigma_z = None if why else _mean_range((values[base] - centre) / spread[base]) / D2
    sigma = unit * max(1.0, sigma_z or 0.0)
    z = (values - centre) / sigma
    return ControlChart(
        values=values,
        centre=np.full(len(values), centre),
        low=np.maximum(centre - SIGMAS * sigma, 0.0),
        high=np.minimum(centre + SIGMAS * sigma, most),
        z=z,
        baseline=base,
        signals=signals_of(z, labels=labels),
        method=f"Laney {name}' chart",
        no_limits=why,
        sigma_z=sigma_z,
    )


def _mean_range(x: Floats) -> float:
    return float(np.abs(np.diff(x)).mean())


def _baseline(given: npt.ArrayLike | None, values: Floats, there: Bools) -> Bools:
    """The points that centre and spread come from."""
    chosen = np.ones(len(values), bool) if given is None else np.asarray(given, dtype=bool)
    if chosen.shape != values.shape or values.ndim != 1:
        msg = f"{chosen.shape} marks of a baseline for {values.shape} points"
        raise RunError("ST560", msg, fix="Give one mark a point")
    base: Bools = chosen & there
    if int(base.sum()) < FEWEST:
        msg = f"{int(base.sum())} values in the baseline show no spread"
        raise RunError("ST562", msg, fix="Give a baseline of at least 2 values, better 20")
    return base


def _require_possible(part: Floats, whole: Floats, *, most: Floats) -> None:
    if part.shape != whole.shape or part.ndim != 1:
        msg = f"{part.shape} counts of {whole.shape} points"
        raise RunError("ST560", msg, fix="Give one count a point")
    if not (np.isfinite(whole).all() and ((part >= 0) & (part <= most) & (whole >= 0)).all()):
        raise RunError("ST561", "impossible counts", fix="Count the part among the whole")


def _runs(marked: Bools) -> list[list[int]]:
    """The longest runs of marked points."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [list(range(first, last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _pairs(marked: Bools) -> list[list[int]]:
    """Groups of marked points, each at most two after the one before, of two or more."""
    groups: list[list[int]] = []
    for i in np.flatnonzero(marked).tolist():
        if groups and i - groups[-1][-1] <= 2:  # noqa: PLR2004 - two of three
            groups[-1].append(i)
        else:
            groups.append([i])
    return [group for group in groups if len(group) > 1]


def _sentence(
    rule: Rule, side: Side, at: Sequence[int], names: Sequence[str], places: npt.NDArray[np.intp]
) -> str:
    first, last = (names[int(places[i])] for i in (at[0], at[-1]))
    above = "above" if side == "high" else "below"
    if rule == "beyond":
        return f"{first} lies {above} the {'upper' if side == 'high' else 'lower'} limit"
    if rule == "one side":
        return f"{len(at)} in a row, from {first} to {last}, lie {above} the centre"
    return f"{len(at)} close together, from {first} to {last}, lie far {above} the centre"
