"""What share is still waiting at each time? Kaplan-Meier by its definition, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction


def survivors(
    times: list[float], censored: list[bool], entered: list[float] | None = None
) -> list[tuple[float, Fraction]]:
    """For each time at which something ended: the share still waiting after it.

    What was seen only from `entered` on is at risk after that time.
    """
    begin = entered or [-math.inf] * len(times)
    seen = [one for one in zip(times, censored, begin, strict=True) if one[2] < one[0]]
    share, curve = Fraction(1), []
    for at in sorted({t for t, c, _ in seen if not c}):
        at_risk = sum(b < at <= t for t, _, b in seen)
        ended = sum(t == at and not c for t, c, _ in seen)
        share *= 1 - Fraction(ended, at_risk)
        curve.append((at, share))
    return curve


def beyond(
    limit: float,
    so_far: float,
    times: list[float],
    censored: list[bool],
    entered: list[float] | None = None,
) -> Fraction:
    """P(T > limit | T > so far): only what had lasted, or come, by then tells of the time since."""
    begin = entered or [-math.inf] * len(times)
    since = [max(b, so_far) for b in begin]
    kept = [i for i, t in enumerate(times) if t > so_far]
    of = ([times[i] for i in kept], [censored[i] for i in kept], [since[i] for i in kept])
    return next((s for at, s in reversed(survivors(*of)) if at <= limit), Fraction(1))


def quantile(times: list[float], censored: list[bool], q: Fraction) -> float:
    """The first time at which at most 1 - q are still waiting; infinite if there is none."""
    return next((at for at, share in survivors(times, censored) if share <= 1 - q), math.inf)


def binomial_below(r: int, n: int, q: Fraction) -> Fraction:
    """P(B < r) for B ~ Binomial(n, q)."""
    terms = (math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(r))
    return sum(terms, Fraction(0))
