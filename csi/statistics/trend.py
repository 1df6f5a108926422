"""Does a share rise or fall from month to month, or is that chance?

Of each period k of n counted; the model is logistic, log odds = a + b x time, and exp(b) the odds
ratio of one step of time. The test is the score test of b, which at b = 0 is that of Cochran (1954,
Biometrics 10, 417-451) and Armitage (1955, Biometrics 11, 375-386); its limits are the values of b
that it does not reject. They hold where all of one side are nought, as Wald's do not.

Periods differ by more than chance (a holiday, a bad release), which would pass for a trend. So the
score is divided by the square root of the dispersion (Pearson's chi-square of the fit by its
degrees of freedom, never below 1) and read against Student's t with periods - 2 degrees of freedom
(McCullagh & Nelder 1989, Generalized Linear Models, 4.5). Standard errors that are robust by period
need some forty of them; with a dozen they claim too much (Cameron, Gelbach & Miller 2008, Rev.
Econ. Stat. 90, 414-427).

What it does not see: a share that rises and falls again; that neighbouring periods are alike beyond
the trend, for which its p-values are too small. Error: RunError ST526 for impossible counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, exp, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import t as student

from csi.statistics.estimate import CONFIDENCE
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from csi.statistics.bootstrap import Floats

METHOD: Final = (
    "Cochran-Armitage test for trend (score test of a logistic regression on time), scaled by the "
    "dispersion between periods, Student's t; its limits are the slopes that it does not reject"
)
FEWEST: Final = 3  # periods: two have no degree of freedom left
_FARTHEST: Final = 40.0  # log odds over the whole span of time; beyond it all shares are 0 or 1


@dataclass(frozen=True)
class Trend:
    """The odds ratio of one step of time, with limits; None: not bounded by the data.

    `rises` says which way the shares went, be it by chance. `dispersion` is 1 where periods differ
    as chance lets them, and more where by more.
    """

    odds_ratio: float | None
    low: float | None
    high: float | None
    p: float
    rises: bool
    dispersion: float
    periods: int
    n: int
    confidence: float = CONFIDENCE
    method: str = METHOD


def proportion_trend(
    k: npt.ArrayLike, n: npt.ArrayLike, at: npt.ArrayLike, *, confidence: float = CONFIDENCE
) -> Trend:
    """Test whether the share k / n goes with time; `at` are the times of the periods, in steps."""
    fit = _Fit(np.asarray(k, float), np.asarray(n, float), np.asarray(at, float))
    periods, total = len(fit.k), int(fit.n.sum())
    if not 0 < fit.k.sum() < total:  # all alike: nothing that could rise or fall
        return Trend(
            odds_ratio=None,
            low=None,
            high=None,
            p=1.0,
            rises=False,
            dispersion=1.0,
            periods=periods,
            n=total,
            confidence=confidence,
        )
    slope = _root(fit.score)
    dispersion = 1.0 if slope is None else fit.dispersion(slope)
    scale, law = sqrt(dispersion), student(periods - 2)
    width = float(law.isf((1 - confidence) / 2))
    low = _root(lambda b: fit.z(b) / scale - width, slope or 0.0)
    high = _root(lambda b: fit.z(b) / scale + width, slope or 0.0)
    return Trend(
        odds_ratio=fit.odds(slope),
        low=fit.odds(low),
        high=fit.odds(high),
        p=float(min(1.0, 2 * law.sf(abs(fit.z(0.0)) / scale))),
        rises=fit.score(0.0) > 0,
        dispersion=dispersion,
        periods=periods,
        n=total,
        confidence=confidence,
    )


class _Fit:
    """Counts over time, with time on -1/2 to 1/2; slopes here are per span of time."""

    def __init__(self, k: Floats, n: Floats, at: Floats) -> None:
        fits = len(k) == len(n) == len(at) >= FEWEST and len(set(at.tolist())) == len(at)
        if not fits or not ((k >= 0) & (k <= n) & (n > 0)).all():
            msg = f"no trend of {k.tolist()} among {n.tolist()} at {at.tolist()}"
            raise RunError("ST526", msg, fix="Count the part among the whole, once a period")
        self.k, self.n = k, n
        self.span = float(at.max() - at.min())
        self.at = (at - at.min()) / self.span - 0.5

    def shares(self, slope: float) -> Floats:
        """Return the likeliest shares with that slope."""
        far = abs(slope) + _FARTHEST
        k = self.k.sum()

        def over(level: float) -> float:
            return float((self.n * expit(level + slope * self.at)).sum() - k)

        level = brentq(over, -far, far, xtol=1e-13, rtol=1e-13)
        shares: Floats = expit(level + slope * self.at)
        return shares

    def score(self, slope: float) -> float:
        """Return the score of the slope: above 0 where the data want a steeper rise."""
        return float((self.at * (self.k - self.n * self.shares(slope))).sum())

    def z(self, slope: float) -> float:
        """Return the score in its standard errors."""
        shares = self.shares(slope)
        weight = self.n * shares * (1 - shares)
        mean = (weight * self.at).sum() / weight.sum()
        spread = float((weight * (self.at - mean) ** 2).sum())
        score = float((self.at * (self.k - self.n * shares)).sum())
        return score / sqrt(spread) if spread > 0 else copysign(np.inf, score)

    def dispersion(self, slope: float) -> float:
        """Return Pearson's chi-square of the fit by its degrees of freedom, at least 1."""
        shares = self.shares(slope)
        apart = (self.k - self.n * shares) ** 2 / (self.n * shares * (1 - shares))
        return max(1.0, float(apart.sum()) / (len(self.k) - 2))

    def odds(self, slope: float | None) -> float | None:
        """Return the odds ratio of one step of time."""
        return None if slope is None else exp(slope / self.span)


def _root(falling: Callable[[float], float], start: float = 0.0) -> float | None:
    """Return where a function that falls with the slope crosses 0; None where it is too far."""
    step = 0.25 if falling(start) > 0 else -0.25
    near, far = start, start + step
    while abs(far) <= _FARTHEST:
        if falling(far) * step <= 0:
            return float(brentq(falling, near, far, xtol=1e-12, rtol=1e-12))
        near, far, step = far, far + 2 * step, 2 * step
    return None
