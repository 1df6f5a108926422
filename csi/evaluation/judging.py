"""Did the improvement work? The answer, by the design and the rule that were frozen.

The metric decides (`csi.statistics.decision`). Further metrics are looked at only where it claims
something ("improved" or "worse"), their p-values corrected among themselves by Holm (1979,
Scandinavian Journal of Statistics 6, 65-70): serial gatekeeping (Westfall & Krishen 2001, Journal
of Statistical Planning and Inference 99, 25-40), so the chance of any false claim stays that of the
metric alone. What is too little to matter is the minimum of the rule for the metric, the margin for
a guardrail and for a further metric, each in its own unit. A guardrail is

    breached    its whole interval lies on the worse side, its p-value agrees, and there are as many
                cases and weeks as the rule asks for
    held        harm of its margin is ruled out, and the interval is short enough to tell (half of
                it at most the margin)
    not told    anything else

A guardrail that is breached overrules everything; one that is not told turns "improved" into
"inconclusive", because a gain that may have been paid for elsewhere is not proven.

A before-and-after claim that a trend could make alone, which the baseline does not rule out, is
told to be one. Everything is judged on tickets that were opened in whole windows and followed for
equally long.
Interrupted time series use whole weeks, at least FEWEST_WEEKS before and FEWEST_WEEKS_AFTER after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from csi.evaluation.design import FEWEST_WEEKS, FEWEST_WEEKS_AFTER, WEEK_US, Design
from csi.evaluation.question import measure_of, rounded, side_of, teams_of
from csi.evaluation.series import series_of
from csi.kpi_kinds import Missing
from csi.statistics.contrast import before_after, difference_in_differences
from csi.statistics.decision import (
    CLAIMS,
    Effect,
    Outcome,
    effect_in_words,
    judge,
    not_comparable,
)
from csi.statistics.interrupted import interrupted, trend

if TYPE_CHECKING:
    from csi.evaluation.design import EvaluationPlan
    from csi.evaluation.question import Guardrail, Known, Question
    from csi.evidence import Scope
    from csi.kpi import Kpi
    from csi.statistics import Comparison, DecisionRule
    from csi.statistics.contrast import Clusters
    from csi.statistics.sides import Side

FEWEST_SLOPE: Final = 4
NO_TREND_KNOWN: Final = "The baseline is too short to tell whether a trend would do it alone."
UNASKED: Final = "not asked: the metric itself claims nothing"


class GuardrailStatus(StrEnum):
    """What is known about a guardrail, in the words that results carry."""

    HELD = "held"
    BREACHED = "breached"
    NOT_TOLD = "not told"


@dataclass(frozen=True)
class Guarded:
    """One guardrail: how it went, and what that says about harm."""

    guardrail: Guardrail
    comparison: Comparison
    status: GuardrailStatus
    sentence: str


@dataclass(frozen=True)
class Further:
    """A further metric: its comparison, p corrected by Holm, and what may be claimed."""

    kpi: Kpi
    comparison: Comparison
    adjusted_p: float | None
    verdict: str


@dataclass(frozen=True)
class Judged:
    """The verdict on an improvement, and what it rests on."""

    verdict: Outcome
    primary: Comparison
    guardrails: tuple[Guarded, ...]
    also: tuple[Further, ...]
    design: Design
    sentence: str
    weeks_needed: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "verdict": self.verdict.value,
            "design": self.design.value,
            "sentence": self.sentence,
            "weeks_needed": self.weeks_needed,
            "primary": self.primary.to_dict(),
            "guardrails": {
                one.guardrail.kpi.code: {
                    "status": one.status.value,
                    "margin": one.guardrail.margin,
                    "sentence": one.sentence,
                    **one.comparison.to_dict(),
                }
                for one in self.guardrails
            },
            "also": {
                one.kpi.code: {
                    "claim": one.verdict,
                    "adjusted_p": one.adjusted_p,
                    **one.comparison.to_dict(),
                }
                for one in self.also
            },
        }


def judge_question(
    question: Question, plan: EvaluationPlan, *, baseline: Known, current: Known
) -> Judged:
    """Answer a question by its plan, on two windows that were followed for equally long."""
    ask = _Asked(question.rule, plan, baseline, current)
    primary = ask.compare(question.kpi, question)
    guards = tuple(
        _guarded(one, ask.of(one.margin).compare(one.kpi, question)) for one in question.guardrails
    )
    further = [ask.of(kpi.margin).compare(kpi, question) for kpi in question.also]
    verdict, more = _overall(primary, guards)
    weeks = _weeks_needed(primary, plan, current) if verdict is Outcome.INCONCLUSIVE else None
    return Judged(
        verdict=verdict,
        primary=primary,
        guardrails=guards,
        also=_corrected(question.also, further, primary),
        design=plan.design,
        sentence=" ".join([primary.sentence, *more, *_time(weeks), *ask.caveat(question, primary)]),
        weeks_needed=weeks,
    )


@dataclass(frozen=True, eq=False)
class _Asked:
    """Two windows and how they are compared."""

    rule: DecisionRule
    plan: EvaluationPlan
    baseline: Known
    current: Known

    def of(self, minimum: float) -> _Asked:
        """Return the same with another minimum effect: each KPI has one in a unit of its own."""
        return replace(self, rule=replace(self.rule, minimum_effect=minimum))

    def compare(self, kpi: Kpi, question: Question) -> Comparison:
        """Compare a KPI; a total has no tickets to draw, so it is always a series of weeks."""
        scope, comparison = question.scope, question.comparison
        sides = self._sides(kpi, scope)
        if isinstance(sides, str):
            return self._untold(kpi, scope, sides)
        if sides is None or self.plan.design is Design.INTERRUPTED:
            return self._interrupted(kpi, scope)
        found = self.current.sampled(kpi, scope)
        measure = measure_of(kpi, found)
        if self.plan.design is Design.BEFORE_AFTER or comparison is None:
            return _rounded(before_after(*sides, measure=measure, rule=self.rule))
        others = self._sides(kpi, comparison)
        if others is None or isinstance(others, str):
            return self._untold(kpi, scope, others or "the comparison group has no tickets")
        pairs, clusters = self._clustered(kpi, [(scope, sides), (comparison, others)])
        both = difference_in_differences(*pairs, measure=measure, rule=self.rule, clusters=clusters)
        return _rounded(both)

    def caveat(self, question: Question, primary: Comparison) -> list[str]:
        """Say where a trend that the baseline does not rule out would make the whole effect."""
        if self.plan.design is not Design.BEFORE_AFTER or primary.verdict not in CLAIMS:
            return []
        series = series_of(question.kpi, question.scope, self.baseline)
        if len(series.weeks) < FEWEST_SLOPE or primary.effect is None:
            return [NO_TREND_KNOWN]
        slope = trend(series.f, at=series.weeks)
        measure = measure_of(question.kpi, self.current.sampled(question.kpi, question.scope))
        steepest = slope.low if primary.effect < 0 else slope.high
        drift = measure.effect(steepest * _weeks_apart(self.baseline, self.current))
        if drift * primary.effect <= 0 or abs(drift) < abs(primary.effect):
            return []
        a_week = effect_in_words(measure.effect(steepest), primary.unit)
        doubt = (
            f"The baseline of {len(series.weeks)} weeks does not rule out a trend of {a_week} a "
            "week, which alone would do it; a comparison group or a longer baseline would."
        )
        return [doubt]

    def _sides(self, kpi: Kpi, scope: Scope) -> tuple[Side, Side] | str | None:
        """Return both windows; None for a total, a reason where there is nothing to compare."""
        found = [known.sampled(kpi, scope) for known in (self.baseline, self.current)]
        missing = [one.reason for one in found if isinstance(one, Missing)]
        if missing:
            return missing[0]
        before = side_of(found[0], self.baseline)
        after = side_of(found[1], self.current)
        return None if before is None or after is None else (before, after)

    def _clustered(
        self, kpi: Kpi, groups: list[tuple[Scope, tuple[Side, Side]]]
    ) -> tuple[list[tuple[Side, Side]], Clusters]:
        """Return both groups by team where that was planned, else by week.

        By week too where by now a ticket has no team, or a team has tickets in both groups.
        """
        pairs = [pair for _, pair in groups]
        if self.plan.clusters == "week":
            return pairs, "week"
        teams = [
            teams_of(known.sampled(kpi, scope), known)
            for scope, _ in groups
            for known in (self.baseline, self.current)
        ]
        told = [one for one in teams if one is not None]
        if len(told) < len(teams) or {*told[0], *told[1]} & {*told[2], *told[3]}:
            return pairs, "week"
        # numbered together: the logs of the two windows need not have the same teams
        numbers = {team: i for i, team in enumerate(sorted({t for one in told for t in one}))}
        codes = [np.array([numbers[team] for team in one], dtype=np.int64) for one in told]
        marked = [
            replace(side, clusters=own)
            for side, own in zip([side for pair in pairs for side in pair], codes, strict=True)
        ]
        return [(marked[0], marked[1]), (marked[2], marked[3])], "team"

    def _interrupted(self, kpi: Kpi, scope: Scope) -> Comparison:
        """Judge the change of level of the weekly series at the start of the current window."""
        before = series_of(kpi, scope, self.baseline, like=self.current)
        after = series_of(kpi, scope, self.current)
        estimates = (self.baseline.estimate(kpi, scope), self.current.estimate(kpi, scope))
        measure = measure_of(kpi, self.current.sampled(kpi, scope))
        few = _few_weeks(len(before.weeks), len(after.weeks))
        if few:
            return not_comparable(few, rule=self.rule, better=kpi.better, sides=estimates)
        fit = interrupted(
            np.concatenate([before.f, after.f]),
            at=np.concatenate([before.weeks, after.weeks]),
            start=float(after.weeks[0]),
            confidence=self.rule.confidence,
        )
        level = fit.level
        if level.error <= 0:
            sides = self._sides(kpi, scope)
            if sides is not None and not isinstance(sides, str):
                # no trend to allow for: the same share every week
                return _rounded(before_after(*sides, measure=measure, rule=self.rule))
            why = "the weekly values do not vary"
            return not_comparable(why, rule=self.rule, better=kpi.better, sides=estimates)
        low, value, high = (measure.effect(one) for one in (level.low, level.value, level.high))
        method = (
            f"interrupted time series of {fit.points} weeks ({len(before.weeks)} before), "
            f"Newey-West errors of {fit.lags} lags"
        )
        effect = Effect(value, low, high, measure.effect_unit, method, level.p_value)
        return _rounded(
            judge(
                effect,
                rule=self.rule,
                better=kpi.better,
                sides=estimates,
                total=measure.total,
            )
        )

    def _untold(self, kpi: Kpi, scope: Scope, reason: str) -> Comparison:
        sides = (self.baseline.estimate(kpi, scope), self.current.estimate(kpi, scope))
        return not_comparable(reason, rule=self.rule, better=kpi.better, sides=sides)


def _weeks_apart(baseline: Known, current: Known) -> float:
    """Return how far the middles of two windows lie apart, in weeks."""
    middles = [(one.window.start_us + one.window.end_us) / 2 for one in (baseline, current)]
    return (middles[1] - middles[0]) / WEEK_US


def _few_weeks(before: int, after: int) -> str:
    if before >= FEWEST_WEEKS and after >= FEWEST_WEEKS_AFTER:
        return ""
    return (
        f"{before} whole weeks before and {after} after are too few for an interrupted time "
        f"series ({FEWEST_WEEKS} and {FEWEST_WEEKS_AFTER} are asked for)"
    )


def _guarded(guardrail: Guardrail, found: Comparison) -> Guarded:
    """Say whether a guardrail was breached, held, or cannot be told."""
    status, kpi = _status(guardrail.margin, found), guardrail.kpi
    name = f"{kpi.code} ({kpi.title.lower()})"
    least = effect_in_words(guardrail.margin, found.unit).removeprefix("+")
    if found.effect is None:
        why = found.sentence.removeprefix(f"{found.verdict.value.capitalize()}: ")
    elif _harm(found)[1] < guardrail.margin:
        why = f"its interval is wider than {least} to either side."
    else:
        why = f"harm of {least} is not ruled out."
    said = {
        GuardrailStatus.HELD: f"Guardrail {name} held.",
        GuardrailStatus.BREACHED: f"Guardrail {name} was breached.",
        GuardrailStatus.NOT_TOLD: f"Whether guardrail {name} held cannot be told: {why}",
    }
    return Guarded(guardrail, found, status, said[status])


def _status(margin: float, found: Comparison) -> GuardrailStatus:
    if found.low is None or found.high is None:
        return GuardrailStatus.NOT_TOLD
    harm = _harm(found)
    agrees = found.p_value is None or found.p_value <= 1 - found.rule.confidence
    # an interval that lies wholly on one side is inconclusive only where cases or weeks are too few
    if harm[0] > 0 and agrees and found.verdict is not Outcome.INCONCLUSIVE:
        return GuardrailStatus.BREACHED
    if harm[1] < margin and (harm[1] - harm[0]) / 2 <= margin:
        return GuardrailStatus.HELD
    return GuardrailStatus.NOT_TOLD


def _harm(found: Comparison) -> tuple[float, float]:
    """Return the interval with positive for worse."""
    low = -math.inf if found.low is None else found.low
    high = math.inf if found.high is None else found.high
    return (-high, -low) if found.better == "higher" else (low, high)


def _overall(primary: Comparison, guards: tuple[Guarded, ...]) -> tuple[Outcome, list[str]]:
    """Return the verdict of the whole, and what the guardrails have to do with it."""
    breached = [one.sentence for one in guards if one.status is GuardrailStatus.BREACHED]
    if breached:
        return Outcome.GUARDRAIL, breached
    untold = [one.sentence for one in guards if one.status is GuardrailStatus.NOT_TOLD]
    if primary.verdict is Outcome.IMPROVED and untold:
        return Outcome.INCONCLUSIVE, [*untold, "So the gain is not proven."]
    return primary.verdict, [one.sentence for one in guards]


def _corrected(
    kpis: tuple[Kpi, ...], found: list[Comparison], primary: Comparison
) -> tuple[Further, ...]:
    """Correct the p-values of further metrics by Holm, where the metric itself claims something."""
    if not kpis:
        return ()
    if primary.verdict not in CLAIMS:
        return tuple(Further(kpi, one, None, UNASKED) for kpi, one in zip(kpis, found, strict=True))
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - heavy: rarely needed

    level = 1 - primary.rule.confidence
    p_values = [1.0 if one.p_value is None else one.p_value for one in found]
    adjusted = multipletests(p_values, alpha=level, method="holm")[1]
    return tuple(
        Further(kpi, one, rounded(float(p)), _claim(one, float(p), level))
        for kpi, one, p in zip(kpis, found, adjusted, strict=True)
    )


def _claim(found: Comparison, adjusted: float, level: float) -> str:
    """Return the verdict of a further metric: what its corrected p does not carry is no claim."""
    if found.verdict in CLAIMS and adjusted > level:
        return Outcome.INCONCLUSIVE.value
    return found.verdict.value


def _weeks_needed(primary: Comparison, plan: EvaluationPlan, current: Known) -> float | None:
    """Return about how many weeks the current window needs, from the n that would settle it.

    None where it has as many: then it is the baseline that is too short, or the plan was wrong.
    """
    needed = plan.needed_weeks
    if primary.n_needed is not None and plan.cases_per_week > 0:
        needed = math.ceil(primary.n_needed / plan.cases_per_week)
    has = (current.window.end_us - current.window.start_us) / WEEK_US
    return None if needed is None or needed <= has else float(needed)


def _time(weeks: float | None) -> list[str]:
    return [] if weeks is None else [f"That takes a current window of about {weeks:.0f} weeks."]


def _rounded(found: Comparison) -> Comparison:
    """Round the effect so that any machine gives the same digits."""
    effect, low, high, p_value = (
        None if value is None else rounded(value)
        for value in (found.effect, found.low, found.high, found.p_value)
    )
    return replace(found, effect=effect, low=low, high=high, p_value=p_value)
