"""What share is still waiting at each time? Kaplan-Meier by its definition, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction


def survivors(times: list[float], censored: list[bool]) -> list[tuple[float, Fraction]]:
    """For each time at which something ended: the share still waiting after it."""
    share, curve = Fraction(1), []
    for at in sorted({t for t, c in zip(times, censored, strict=True) if not c}):
        at_risk = sum(t >= at for t in times)
        ended = sum(t == at and not c for t, c in zip(times, censored, strict=True))
        share *= 1 - Fraction(ended, at_risk)
        curve.append((at, share))
    return curve


def quantile(times: list[float], censored: list[bool], q: Fraction) -> float:
    """The first time at which at most 1 - q are still waiting; infinite if there is none."""
    return next((at for at, share in survivors(times, censored) if share <= 1 - q), math.inf)


def binomial_below(r: int, n: int, q: Fraction) -> Fraction:
    """P(B < r) for B ~ Binomial(n, q)."""
    terms = (math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(r))
    return sum(terms, Fraction(0))
