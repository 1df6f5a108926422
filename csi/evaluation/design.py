"""How will an improvement be evaluated, and how long must we wait? Said from the baseline alone.

The design is chosen before anything of the current window is known, by these rules in this order,
and frozen with the decision rule (a design that is chosen after looking proves nothing):

    1. the KPI is a total, no sample of tickets -> interrupted time series
    2. tickets that the change does not touch are named -> difference in differences
       (clusters: teams where both groups have at least FEWEST_TEAMS and share none, else weeks)
    3. the baseline has a trend of its own (p below TREND_LEVEL over at least FEWEST_WEEKS whole
       weeks, each weighted to the mix of all; a lenient level, because a trend that is missed
       passes for an effect) -> interrupted time series
    4. else -> before and after, the baseline weighted to the current mix, whole weeks drawn

How long: the standard error of the baseline, whole weeks drawn, tells what one week is worth. The
fewest weeks are looked for in which a true effect of just the minimum is found at the rule's power:
minimum >= (t of the interval + t of the power) * standard error (Bloom 1995, Evaluation Review 19,
547-556). Guardrails have to be told too: harm of their margin must be ruled out, all together at
that power (Bonferroni). Where no number of weeks is enough, the baseline itself is too short: then
none is given.

Not checked: that weeks to come will vary as those of the baseline did.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import t as student

from csi.evaluation.question import measure_of, rounded, side_of, teams_of
from csi.evaluation.series import series_of
from csi.kpi_kinds import Missing
from csi.statistics.contrast import spread_of
from csi.statistics.decision import effect_in_words
from csi.statistics.interrupted import level_error, residual_spread, trend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from csi.evaluation.question import Known, Question
    from csi.evaluation.series import Series
    from csi.kpi import Kpi
    from csi.statistics import DecisionRule
    from csi.statistics.contrast import Clusters, Spread
    from csi.statistics.sides import Measure

FEWEST_TEAMS: Final = 8
FEWEST_WEEKS: Final = 12
FEWEST_WEEKS_AFTER: Final = 6
TREND_LEVEL: Final = 0.2
LONGEST: Final = 104
MOST_EFFECT: Final = 0.99
WEEK_US: Final = 7 * 86_400_000_000


class Design(StrEnum):
    """How an improvement is evaluated, in the words that results carry."""

    BEFORE_AFTER = "before and after"
    DIFFERENCE = "difference in differences"
    INTERRUPTED = "interrupted time series"


@dataclass(frozen=True)
class EvaluationPlan:
    """What is frozen besides the rule. `why` says which of the rules chose the design.

    `needed_weeks`: whole weeks of the current window after which an effect of the minimum would be
    found at the rule's power, guardrails included; None where no number of weeks would do.
    `needed_n`: cases in them, None for a total, of which none are drawn (`cases_per_week` 0).
    `detectable`: the effect that a current window as long as the baseline would find at that power,
    None where it cannot be told. `guardrail_weeks`: the weeks that each guardrail needs by itself.
    `baseline`: the metric then (value, low, high, n, unit); `baseline_window`: its first
    microsecond and the first one after it.
    """

    design: Design
    why: str
    clusters: Clusters = "week"
    needed_weeks: int | None = None
    needed_n: int | None = None
    cases_per_week: float = 0.0
    detectable: float | None = None
    effect_unit: str = ""
    guardrail_weeks: Mapping[str, int | None] = field(default_factory=dict)
    baseline: Mapping[str, Any] = field(default_factory=dict)
    baseline_window: tuple[int, int] = (0, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {**asdict(self), "design": self.design.value, "baseline_window": self._window}

    @property
    def _window(self) -> list[int]:
        return list(self.baseline_window)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> EvaluationPlan:
        """Read what `to_dict` gave."""
        known = dict(given)
        start, end = known["baseline_window"]
        known |= {"design": Design(known["design"]), "baseline_window": (int(start), int(end))}
        return cls(**known)

    @property
    def sentence(self) -> str:
        """Say how it will be judged and how long that takes."""
        said = f"Design: {self.design.value}, because {self.why}."
        never = [code for code, weeks in self.guardrail_weeks.items() if weeks is None]
        if never:
            said += (
                f" No length of the current window would be sure to tell guardrail "
                f"{' and '.join(never)} with this baseline: a longer baseline, a wider scope or a "
                "larger margin is needed."
            )
        elif self.needed_weeks is None:
            said += (
                " No length of the current window would be sure to find the minimum effect with "
                "this baseline: a longer baseline, a wider scope or a larger minimum is needed."
            )
        else:
            cases = f" ({self.needed_n} cases at {self.cases_per_week:.0f} a week)"
            said += f" About {self.needed_weeks} whole weeks are needed"
            said += "." if self.needed_n is None else f"{cases}."
        if self.detectable is None:
            return said
        least = effect_in_words(self.detectable, self.effect_unit)
        return f"{said} A window as long as the baseline would find a change of {least}."


def plan(question: Question, baseline: Known) -> EvaluationPlan:
    """Choose the design and work out how long the current window has to be."""
    design, clusters, why = _chosen(question, baseline)
    estimate = baseline.estimate(question.kpi, question.scope)
    metric = _foreseen(question.kpi, design, question, baseline)
    # each may be missed so rarely that the metric and all guardrails are told at the rule's power
    missed = (1 - question.rule.power) / (1 + len(question.guardrails))
    sure = replace(question.rule, power=1 - missed)
    weeks = _needed(metric, metric.good(question.rule.minimum_effect), sure)
    guards = {}
    for one in question.guardrails:
        guard = _foreseen(one.kpi, design, question, baseline)
        guards[one.kpi.code] = _needed(guard, guard.harm(one.margin), sure)
    every = [weeks, *guards.values()]
    told = [one for one in every if one is not None]
    needed = max(told) if len(told) == len(every) else None
    span = (baseline.window.end_us - baseline.window.start_us) / WEEK_US
    per_week = 0.0 if metric.measure.total else estimate.n / span
    return EvaluationPlan(
        design=design,
        why=why,
        clusters=clusters,
        needed_weeks=needed,
        needed_n=None if needed is None or not per_week else math.ceil(needed * per_week),
        cases_per_week=rounded(per_week),
        detectable=_detectable(metric, span, question.rule),
        effect_unit=metric.measure.effect_unit,
        guardrail_weeks=guards,
        baseline={
            name: rounded(value) if isinstance(value, float) else value
            for name, value in asdict(estimate).items()
        },
        baseline_window=(baseline.window.start_us, baseline.window.end_us),
    )


def _chosen(question: Question, baseline: Known) -> tuple[Design, Clusters, str]:
    found = baseline.sampled(question.kpi, question.scope)
    if side_of(found, baseline) is None and not isinstance(found, Missing):
        why = "the metric is a total, no sample of tickets"
        return Design.INTERRUPTED, "week", why
    if question.comparison is not None:
        why = "tickets that the change does not touch are named"
        return Design.DIFFERENCE, _clusters(question, baseline), why
    if isinstance(found, Missing):
        return Design.BEFORE_AFTER, "week", f"the baseline does not tell the metric: {found.reason}"
    series = series_of(question.kpi, question.scope, baseline)
    weeks = len(series.weeks)
    if weeks >= FEWEST_WEEKS:
        slope = trend(series.f, at=series.weeks)
        if slope.p_value < TREND_LEVEL:
            why = f"the baseline had a trend of its own (p = {slope.p_value:.3f})"
            return Design.INTERRUPTED, "week", why
        why = f"the baseline shows no trend (p = {slope.p_value:.2f} over {weeks} weeks)"
        return Design.BEFORE_AFTER, "week", why
    why = f"the baseline has {weeks} whole weeks, too few to tell a trend"
    return Design.BEFORE_AFTER, "week", why


def _clusters(question: Question, baseline: Known) -> Clusters:
    """Return what is drawn: teams where there are enough of them on both sides, else weeks."""
    teams = [
        teams_of(baseline.sampled(question.kpi, scope), baseline)
        for scope in (question.scope, question.comparison)
        if scope is not None
    ]
    if any(one is None for one in teams):
        return "week"
    ours, others = (set(one) for one in teams if one is not None)
    enough = min(len(ours), len(others)) >= FEWEST_TEAMS
    return "team" if enough and not ours & others else "week"


@dataclass(frozen=True)
class _Foreseen:
    """How sure a comparison would be: standard error and degrees of freedom after some weeks."""

    measure: Measure
    sure: Callable[[int], tuple[float, int]] | None
    fewest: int

    def least(self, weeks: int, rule: DecisionRule) -> float:
        """Return the difference of f that would be found at the rule's power."""
        if self.sure is None:
            return math.inf
        error, freedom = self.sure(weeks)
        tail = student.isf((1 - rule.confidence) / 2, freedom)
        return error * float(tail + student.ppf(rule.power, freedom))

    def good(self, effect: float) -> float:
        """Return the difference of f that an effect of this size for the better stands for."""
        sign = -1.0 if self.measure.better == "lower" else 1.0
        return abs(self.measure.difference(sign * min(effect, MOST_EFFECT)))

    def harm(self, margin: float) -> float:
        """Return the difference of f that a harm of this size stands for.

        Of a time that is log(1 + margin), less than log(1 - margin) of a gain.
        """
        sign = 1.0 if self.measure.better == "lower" else -1.0
        return abs(self.measure.difference(max(sign * margin, -MOST_EFFECT)))


def _needed(metric: _Foreseen, difference: float, rule: DecisionRule) -> int | None:
    """Return the fewest weeks in which a difference of f is found; None where none are enough."""
    weeks = range(metric.fewest, LONGEST + 1)
    return next((n for n in weeks if metric.least(n, rule) <= difference), None)


def _detectable(metric: _Foreseen, weeks: float, rule: DecisionRule) -> float | None:
    least = metric.least(max(metric.fewest, round(weeks)), rule)
    if not math.isfinite(least):
        return None
    sign = -1.0 if metric.measure.better == "lower" else 1.0
    return rounded(metric.measure.effect(sign * least))


def _foreseen(kpi: Kpi, design: Design, question: Question, baseline: Known) -> _Foreseen:
    """Say how sure the comparison of a KPI will be, from its baseline."""
    found = baseline.sampled(kpi, question.scope)
    side, measure = side_of(found, baseline), measure_of(kpi, found)
    if design is Design.INTERRUPTED or side is None:
        series = series_of(kpi, question.scope, baseline)
        enough = len(series.weeks) >= FEWEST_WEEKS
        sigma = residual_spread(series.f, at=series.weeks) if enough else 0.0
        if sigma > 0 or side is None or not enough:
            sure = _sure_of_series(series, sigma) if sigma > 0 else None
            return _Foreseen(measure, sure, FEWEST_WEEKS_AFTER)
    others = None
    if question.comparison is not None:
        others = side_of(baseline.sampled(kpi, question.comparison), baseline)
    fewest = question.rule.min_clusters
    if not len(side.each) or (others is not None and not len(others.each)):
        return _Foreseen(measure, None, fewest)
    spread = spread_of(side, others, measure=measure, rule=question.rule)
    return _Foreseen(measure, None if spread is None else _sure_of_spread(spread), fewest)


def _sure_of_spread(spread: Spread) -> Callable[[int], tuple[float, int]]:
    before = spread.freedom + 1

    def sure(weeks: int) -> tuple[float, int]:
        return spread.error * math.sqrt(1 + before / weeks), min(before, weeks) - 1

    return sure


def _sure_of_series(series: Series, sigma: float) -> Callable[[int], tuple[float, int]]:
    start = float(series.weeks[-1]) + 1

    def sure(weeks: int) -> tuple[float, int]:
        times = np.concatenate([series.weeks, start + np.arange(weeks)]).astype(np.float64)
        return level_error(times, start, sigma), len(times) - 3

    return sure
