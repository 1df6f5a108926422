"""Which groups of cases go with an event, and how sure is that? Risk ratios, many at once.

A group has `k` cases with the event among its `n`; the rest of the cases have `k_rest` among
`n_rest`. With p = k / n and q = k_rest / n_rest

- risk ratio p / q: the limits are the asymptotic score limits (Koopman 1984, Biometrics 40,
  513-517), the ratios r0 at which the score statistic

      (p - r0 q)^2 / (p0 (1 - p0) / n + r0^2 q0 (1 - q0) / n_rest)

  reaches the chi-square limit, p0 = r0 q0 being the likeliest shares with that ratio (Miettinen &
  Nurminen 1985). They hold where a count is nought, as the Katz logarithm limits do not, and cover
  well from a few cases on (Fagerland, Lydersen & Laake 2015, Stat. Methods Med. Res. 24, 224-254);
- lift p / (share of all cases with the event): with w the group's share of the cases and r the risk
  ratio it is r / (w r + 1 - w), which rises with r, so the limits of r give those of the lift;
- p-value: Fisher's exact test, two-sided (tables at most as likely as the one seen).

Many groups are asked at once: `adjusted` holds the p-values of Benjamini & Hochberg (1995, JRSS B
57, 289-300): among the groups with an adjusted p of at most 0.05 at most one in twenty is expected
to be there by chance. The guarantee is proven for independent or positively dependent tests; groups
that exclude each other are neither, but exact p-values of counts err on the safe side, and trials
on logs without any association keep the level (tests/improvement/test_root_causes.py).

An interval here is of one group by itself. Nothing here is a cause: a group may stand for another
one that was not recorded. Errors: RunError ST523 for counts that are impossible.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import brentq
from scipy.stats import false_discovery_control, fisher_exact, norm

from csi.statistics.estimate import CONFIDENCE
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

RATIO_METHOD: Final = "risk ratio, score limits (Koopman)"
P_METHOD: Final = "Fisher's exact test, Benjamini-Hochberg adjusted"
_FARTHEST: Final = 1e9


@dataclass(frozen=True)
class Table:
    """k of n in the group, k_rest of n_rest outside it."""

    k: int
    n: int
    k_rest: int
    n_rest: int

    def __post_init__(self) -> None:
        """Refuse counts that no cases can give."""
        if not (0 <= self.k <= self.n and 0 <= self.k_rest <= self.n_rest):
            msg = f"{self.k} of {self.n} against {self.k_rest} of {self.n_rest} is impossible"
            raise RunError("ST523", msg, fix="Count the part among the whole")


@dataclass(frozen=True)
class Ratio:
    """A ratio with its limits; None: not defined, or not bounded by the data."""

    value: float | None
    low: float | None
    high: float | None


def risk_ratio(table: Table, *, confidence: float = CONFIDENCE) -> Ratio:
    """Return the ratio of the group's share to the rest's, with score limits."""
    if not table.n or not table.n_rest or not table.k + table.k_rest:
        return Ratio(None, None, None)
    z = float(norm.isf((1 - confidence) / 2))
    value = (
        inf if not table.k_rest else _share(table.k, table.n) / _share(table.k_rest, table.n_rest)
    )
    low = 0.0 if not table.k else _limit(table, z, value, upward=False)
    high = inf if not table.k_rest else _limit(table, z, value, upward=True)
    return Ratio(_finite(value), low, _finite(high))


def lift(table: Table, ratio: Ratio) -> Ratio:
    """Return the ratio of the group's share to that of all cases, its limits from the ratio's."""
    part = _share(table.n, table.n + table.n_rest)
    if not table.n or not table.k + table.k_rest:
        return Ratio(None, None, None)
    most = 1 / part
    value, low, high = (
        most if one is None else one / (part * one + 1 - part)
        for one in (ratio.value, ratio.low, ratio.high)
    )
    return Ratio(value, low, high)


def p_value(table: Table) -> float:
    """Return Fisher's exact two-sided p-value."""
    inside = (table.k, table.n - table.k)
    outside = (table.k_rest, table.n_rest - table.k_rest)
    return float(fisher_exact(np.array([inside, outside])).pvalue)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return the Benjamini-Hochberg adjusted p-values, in the order given."""
    if not p_values:
        return []
    return [float(p) for p in false_discovery_control(list(p_values), method="bh")]


def _share(part: int, whole: int) -> float:
    return part / whole


def _limit(table: Table, z: float, value: float, *, upward: bool) -> float:
    """Find the ratio at which the score statistic reaches z, on one side of the estimate."""

    def beyond(r0: float) -> float:
        return _score(table, r0) - z

    if upward:
        far = max(value, 1.0)
        while beyond(far) < 0 and far < _FARTHEST:
            far *= 2
        start = max(value, 1e-12)
        return float(brentq(beyond, start, far, xtol=1e-12, rtol=1e-12)) if far > start else far
    near = min(value, 1.0)
    while beyond(near) < 0 and near > 1 / _FARTHEST:
        near /= 2
    end = min(value, _FARTHEST)
    return float(brentq(beyond, near, end, xtol=1e-15, rtol=1e-12)) if near < end else near


def _score(table: Table, r0: float) -> float:
    """Return the absolute score statistic for a supposed ratio r0."""
    n, m = table.n, table.n_rest
    p, q = _share(table.k, n), _share(table.k_rest, m)
    a = (n + m) * r0
    b = n * r0 + table.k + m + table.k_rest * r0
    c = table.k + table.k_rest
    q0 = (b - sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)
    p0 = min(r0 * q0, 1.0)
    spread = p0 * (1 - p0) / n + r0 * r0 * q0 * (1 - q0) / m
    gap = abs(p - r0 * q)
    if spread <= 0:
        return 0.0 if gap <= 0 else inf
    return gap / sqrt(spread)


def _finite(value: float) -> float | None:
    return value if value < inf else None
