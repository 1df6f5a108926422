"""By how much do two independent estimates differ? Limits put together from the limits of each.

The method of variance estimates recovery (MOVER) squares and adds the distances of the limits from
their values (Zou & Donner 2008, Statistics in Medicine 27, 1693-1702):

    low  = b - a - sqrt((b - b_low)^2 + (a_high - a)^2)
    high = b - a + sqrt((b_high - b)^2 + (a - a_low)^2)

Of two shares with Wilson limits it is Newcombe's hybrid score interval (1998, Statistics in
Medicine 17, 873-890, method 10); it serves as well for quantiles with order-statistic or
Kaplan-Meier limits, for means, and for rates with exact Poisson limits (Li, Tang & Wong 2014,
Statistics in Medicine 33, 2577). Nothing is drawn, no shape is assumed. A limit is None where the
data do not bound that side, everything where a value is None.

Not checked: that the two sides are independent of each other.
"""

from __future__ import annotations

from math import hypot
from typing import NamedTuple, Protocol


class Limited(Protocol):
    """A value with its limits, such as an estimate or a measurement."""

    @property
    def value(self) -> float | None:
        """The value."""

    @property
    def low(self) -> float | None:
        """Its lower limit."""

    @property
    def high(self) -> float | None:
        """Its upper limit."""


class Difference(NamedTuple):
    """b - a in the unit of both, and its limits at their confidence."""

    value: float | None
    low: float | None
    high: float | None


def difference(a: Limited, b: Limited) -> Difference:
    """Return b - a with MOVER limits."""
    if a.value is None or b.value is None:
        return Difference(None, None, None)
    value = b.value - a.value
    down = _joined(b.value, b.low, a.value, a.high)
    up = _joined(b.value, b.high, a.value, a.low)
    return Difference(
        value, None if down is None else value - down, None if up is None else value + up
    )


def _joined(b: float, b_limit: float | None, a: float, a_limit: float | None) -> float | None:
    """Return how far the limit lies from the difference."""
    return None if b_limit is None or a_limit is None else hypot(b - b_limit, a - a_limit)
