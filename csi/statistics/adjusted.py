"""By how much do marked cases differ from others that are alike in what is known of them?

Three regressions, one for each kind of outcome; each holds the case's groups (such as priority,
category, team, month: `alike`) fixed and gives what is left for the mark:

    time_ratio        ratio of times. log(time) is linear with normal errors; a case that had not
                      ended when it was last seen is censored, not dropped (an accelerated failure
                      time model: Wei 1992, Statistics in Medicine 11, 1871-1879; the censored
                      normal regression of Tobin 1958 on the log scale). Its likelihood is concave
                      in (coefficients, 1) / sigma (Olsen 1978, Econometrica 46, 1211-1215), so
                      there is one maximum. Not a hazard ratio: people ask "how much longer".
    odds_ratio        logistic regression (statsmodels). Levels on which all or none had the event
                      say nothing about the mark; their cases are dropped, and told.
    point_difference  least squares (statsmodels), for scores on a short scale.

Interval and p: the cluster jackknife, t with clusters - 1 degrees of freedom. Cases of one cluster
(a week of opening) share outages and rosters; each cluster is left out in turn and the estimate is
moved by one Newton step, which for least squares is exact (CV3 of MacKinnon, Nielsen & Webb 2023,
Journal of Applied Econometrics 38, 671-694; CV3L of their 2025 paper on logistic regression). It
was chosen over the usual sandwich because marks are rare: with 30 of 900 cases marked, in 26 weeks,
the sandwich covered 94.3 % and this 95.6 %, in 10 weeks 92.3 and 93.0 (scores, 400 desks of
tests/improvement/effect_desks.py).

Rare levels are pooled (`csi.statistics.alike`), and more where there would be more than one
parameter for `CASES_A_PARAMETER` cases (of the rarer outcome for odds: Peduzzi et al. 1996, J.
Clin. Epidemiol. 49, 1373-1379). All of it is told in `notes`.

A check by other means is `csi.statistics.matched`.

No estimate (`why_not` says why): fewer than `SMALLEST` cases on a side; fewer than `SMALLEST` ended
(times); a side on which all or none had the event (perfect separation); a mark that the groups
already tell; fewer than `FEWEST_CLUSTERS` clusters, or a side that stands in one.

Cost: O(n k^2) a regression with k columns, and O(clusters k^3). Not checked: what is not among the
groups; that the ratio is the same for all; the normal form, which matters where many are censored.
Errors: RunError ST570 for arrays of different lengths.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr
from scipy.stats import norm
from scipy.stats import t as student

from csi.statistics import bootstrap
from csi.statistics.alike import columns_of, with_variation
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from csi.statistics.alike import Marked
    from csi.statistics.bootstrap import Bools, Floats, Ints

CONFIDENCE: Final = 0.95
SMALLEST: Final = 20
CASES_A_PARAMETER: Final = 10
FEWEST_CLUSTERS: Final = 6
SHORTEST_H: Final = 1 / 60
DEPENDENT: Final = 1e-9
TIMES: Final = "ratio of times"
ODDS: Final = "odds ratio"
POINTS: Final = "points"
_JACKKNIFE: Final = "cluster jackknife (CV3)"
METHODS: Final = {
    TIMES: f"censored log-normal regression of times, {_JACKKNIFE}",
    ODDS: f"logistic regression, {_JACKKNIFE}",
    POINTS: f"linear regression, {_JACKKNIFE}",
}
NONE: Final = {TIMES: 1.0, ODDS: 1.0, POINTS: 0.0}


@dataclass(frozen=True)
class Adjusted:
    """What is left for the mark; value, limits and p are None where `why_not` says why.

    `unit` is TIMES, ODDS or POINTS; `n` marked cases against `n_others`, in `clusters` clusters;
    `groups` were held fixed (those with one level were not).
    """

    unit: str
    n: int
    n_others: int
    clusters: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    why_not: str = ""
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    confidence: float = CONFIDENCE

    @property
    def method(self) -> str:
        """How it was estimated."""
        return METHODS[self.unit]

    @property
    def none(self) -> float:
        """The value that stands for no difference."""
        return NONE[self.unit]

    @property
    def differs(self) -> bool:
        """Whether the interval excludes no difference."""
        return (
            self.low is not None
            and self.high is not None
            and not (self.low <= self.none <= self.high)
        )


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fitted likelihood: parameters, score of each case, and its information z z' w + extra."""

    parameters: Floats
    scores: Floats
    z: Floats
    weights: Floats
    extra: Floats
    of_interest: Callable[[Floats], float]


def time_ratio(hours: Floats, censored: Bools, marked: Marked) -> Adjusted:
    """Return the ratio of times; hours under a minute count as one minute."""
    _same_length(marked, hours, censored)
    short = _too_few(marked, ~censored, "have ended")
    if short:
        return _without(TIMES, marked, short)
    log_h = np.log(np.maximum(hours, SHORTEST_H))
    return _estimated(TIMES, marked, len(log_h), lambda x: _censored_normal(log_h, censored, x))


def odds_ratio(event: Bools, marked: Marked) -> Adjusted:
    """Return the odds ratio of an event."""
    _same_length(marked, event)
    kept, notes = with_variation(event, marked)
    event, marked = event[kept], marked.part(kept)
    short = _too_few(marked) or _separated(event, marked)
    if short:
        return _without(ODDS, marked, short, notes)
    rarer = min(int(event.sum()), int((~event).sum()))
    return _estimated(ODDS, marked, rarer, lambda x: _logistic(event, x), notes)


def point_difference(scores: Floats, marked: Marked) -> Adjusted:
    """Return the difference of scores in points."""
    _same_length(marked, scores)
    short = _too_few(marked)
    if not short and np.ptp(scores) == 0:
        short = "all scores are the same"
    if short:
        return _without(POINTS, marked, short)
    return _estimated(POINTS, marked, len(scores), lambda x: _linear(scores, x))


# --- the three likelihoods


def _censored_normal(y: Floats, censored: Bools, x: Floats) -> _Fit | None:
    """Fit y = x b + s e, e normal, where y of the censored is a lower limit.

    With d = (b, 1) / s and a = (x, -y) d the log-likelihood of a case is log(1 / s) - a^2 / 2,
    and log Phi(a) where it is censored.
    """
    z = np.column_stack([x, -y])
    start = np.linalg.lstsq(x, y, rcond=None)[0]
    spread = float(np.std(y - x @ start)) or 1.0
    seen = float((~censored).sum())

    def parts(d: Floats) -> tuple[Floats, Floats, Floats]:
        a = z @ d
        log_share = log_ndtr(a)
        hazard = np.exp(norm.logpdf(a) - log_share)
        slope = np.where(censored, hazard, -a)
        return (
            np.where(censored, log_share, -a * a / 2),
            slope,
            np.where(censored, hazard * (hazard + a), 1.0),
        )

    def loss(d: Floats) -> float:
        return np.inf if d[-1] <= 0 else -float(parts(d)[0].sum() + seen * np.log(d[-1]))

    def gradient(d: Floats) -> Floats:
        found = -(z.T @ parts(d)[1])
        found[-1] -= seen / d[-1]
        return found

    def hessian(d: Floats) -> Floats:
        found = z.T @ (z * parts(d)[2][:, None])
        found[-1, -1] += seen / d[-1] ** 2
        return found

    best = minimize(
        loss,
        np.append(start, 1.0) / spread,
        jac=gradient,
        hess=hessian,
        method="trust-exact",
        options={"gtol": 1e-7 * len(y)},
    )
    if not best.success:
        return None
    d = best.x
    _, slope, weights = parts(d)
    scores = z * slope[:, None]
    scores[:, -1] += np.where(censored, 0.0, 1.0 / d[-1])
    return _Fit(
        parameters=d,
        scores=scores,
        z=z,
        weights=weights,
        extra=np.where(censored, 0.0, 1.0 / d[-1] ** 2),
        of_interest=lambda d: float(d[-2] / d[-1]),
    )


def _logistic(event: Bools, x: Floats) -> _Fit | None:
    from statsmodels.discrete.discrete_model import Logit  # noqa: PLC0415 - a second to import

    y = event.astype(np.float64)
    with warnings.catch_warnings():
        # a fit that does not converge is told below
        warnings.simplefilter("ignore")
        try:
            found = Logit(y, x).fit(disp=False, method="newton", maxiter=50, skip_hessian=True)
        except np.linalg.LinAlgError:
            return None
    if not found.mle_retvals["converged"]:
        return None
    expected = np.asarray(found.predict(), dtype=np.float64)
    return _plain(np.asarray(found.params), x, y - expected, expected * (1 - expected))


def _linear(y: Floats, x: Floats) -> _Fit:
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415 - a second to import

    found = OLS(y, x).fit(method="qr")
    return _plain(np.asarray(found.params), x, np.asarray(found.resid), np.ones(len(y)))


def _plain(b: Floats, x: Floats, slope: Floats, weights: Floats) -> _Fit:
    return _Fit(
        parameters=b,
        scores=x * slope[:, None],
        z=x,
        weights=weights,
        extra=np.zeros(len(x)),
        of_interest=lambda b: float(b[-1]),
    )


# --- the estimate and its interval


def _estimated(
    unit: str,
    marked: Marked,
    told_by: int,
    fit: Callable[[Floats], _Fit | None],
    notes: tuple[str, ...] = (),
) -> Adjusted:
    """Fit on the columns of the groups and the mark; `told_by` bounds how many there may be."""
    columns = columns_of(marked, max(2, told_by // CASES_A_PARAMETER))
    x, notes = columns.matrix(marked.mark), (*notes, *columns.notes)
    if x is None:
        return _without(unit, marked, "the groups tell already which cases are marked", notes)
    found = fit(x)
    if found is None:
        return _without(unit, marked, "the regression has no finite maximum", notes)
    value = found.of_interest(found.parameters)
    error, clusters = _jackknife(found, marked.clusters)
    free = clusters - 1
    wide = float(student.ppf((1 + CONFIDENCE) / 2, free)) * error
    ends = [value, value - wide, value + wide]
    if unit != POINTS:
        with np.errstate(over="ignore"):
            ends = [float(np.exp(end)) for end in ends]
    if not (np.isfinite(ends).all() and error > 0):
        return _without(unit, marked, "no finite interval", notes)
    return Adjusted(
        unit=unit,
        n=int(marked.mark.sum()),
        n_others=int((~marked.mark).sum()),
        clusters=clusters,
        value=ends[0],
        low=ends[1],
        high=ends[2],
        p=float(2 * student.sf(abs(value) / error, free)),
        groups=columns.groups,
        notes=notes,
    )


def _jackknife(fit: _Fit, clusters: Ints) -> tuple[float, int]:
    """Return the standard error by leaving out each cluster, and how many clusters there are."""
    codes = bootstrap.cluster_codes(clusters)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))
    whole = fit.of_interest(fit.parameters)
    information = _information(fit, slice(None))
    moved = []
    for rows in np.split(order, ends[:-1]):
        left = information - _information(fit, rows)
        # a level that only this cluster has is gone with it: no step in its direction
        step = np.linalg.pinv(left, rcond=DEPENDENT, hermitian=True) @ fit.scores[rows].sum(axis=0)
        moved.append(fit.of_interest(fit.parameters - step) - whole)
    n = len(moved)
    return float(np.sqrt((n - 1) / n * np.sum(np.square(moved)))), n


def _information(fit: _Fit, rows: Ints | slice) -> Floats:
    z = fit.z[rows]
    found: Floats = z.T @ (z * fit.weights[rows][:, None])
    found[-1, -1] += fit.extra[rows].sum()
    return found


# --- what stands in the way


def _too_few(marked: Marked, counts: Bools | None = None, what: str = "") -> str:
    some = np.ones(len(marked.mark), dtype=bool) if counts is None else counts
    n, m = int((marked.mark & some).sum()), int((~marked.mark & some).sum())
    if min(n, m) < SMALLEST:
        did = f" {what}" if what else ""
        return f"{n:,} against {m:,} tickets{did}; at least {SMALLEST} of both are needed"
    clusters = len(np.unique(marked.clusters))
    if clusters < FEWEST_CLUSTERS:
        return f"tickets of {clusters} clusters; at least {FEWEST_CLUSTERS} are needed"
    sides = [len(np.unique(marked.clusters[side])) for side in (marked.mark, ~marked.mark)]
    return "all of one side fall into one cluster" if min(sides) == 1 else ""


def _separated(event: Bools, marked: Marked) -> str:
    for side, name in ((marked.mark, "violating"), (~marked.mark, "conforming")):
        k = int(event[side].sum())
        if k in (0, int(side.sum())):
            return f"perfect separation: {'all' if k else 'none'} of the {name} tickets"
    return ""


def _without(unit: str, marked: Marked, why: str, notes: tuple[str, ...] = ()) -> Adjusted:
    return Adjusted(
        unit=unit,
        n=int(marked.mark.sum()),
        n_others=int((~marked.mark).sum()),
        clusters=len(np.unique(marked.clusters)),
        why_not=why,
        notes=notes,
    )


def _same_length(marked: Marked, *arrays: npt.NDArray[np.generic]) -> None:
    if any(len(one) != len(marked.mark) for one in arrays):
        msg = f"{len(marked.mark)} marks, but outcomes of another number of cases"
        raise RunError("ST570", msg, fix="Give one of each for every case")
