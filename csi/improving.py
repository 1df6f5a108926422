"""How does an entry of the register become a question, a plan, and a verdict that is kept?

The improve and evaluate notebooks and `trueloop register start` and `evaluate` do the same things:
they call these functions. Nothing here chooses: what decides stands in the entry
(`csi.register.Improvement`), and how it is judged in its frozen plan (`csi.evaluation`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from csi import kpi as kpis
from csi.evaluation import EvaluationPlan, Guardrail, Known, Question, judge_question, plan
from csi.evidence import Scope
from csi.improvement_words import answer_in_words
from csi.register import Baseline, Evaluation, Improvement
from csi.statistics import DecisionRule
from csi.stories import Story

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.cycle import Plan, Window
    from csi.evaluation import Judged
    from csi.evidence import Span
    from csi.kpi import Kpi
    from csi.register import Entry

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def improvement_of(
    given: Plan, kpi: Kpi, guards: Sequence[Kpi], also: Sequence[Kpi], due: dt.date
) -> Improvement:
    """Return the improvement that a cycle file proposes; `due` is when it is to be evaluated."""
    words = Scope.of(given.comparison).words if given.comparison else ""
    return Improvement(
        title=given.title,
        opportunity=given.opportunity,
        hypothesis=given.hypothesis,
        kpi=kpi.code,
        owner=given.owner,
        decision_rule=DecisionRule(minimum_effect=given.minimum_effect),
        scope=dict(given.scope),
        comparison_group=words or "the same scope in the baseline window",
        comparison=dict(given.comparison),
        guardrails=tuple(guard.code for guard in guards),
        guardrail_margins=_by_code(given.margins, guards),
        also=tuple(one.code for one in also),
        planned_start=given.started.isoformat(),
        planned_evaluation=due.isoformat(),
    )


def _by_code(margins: Mapping[str, float], guards: Sequence[Kpi]) -> dict[str, float]:
    """Name margins by the codes of their KPIs; a name that is no guardrail's stays: RG111."""
    codes = {kpi.name: kpi.code for kpi in guards}
    return {codes.get(word, word): margin for word, margin in margins.items()}


def question_of(improvement: Improvement) -> Question:
    """Return what an entry asks; ST110 where it names a KPI that there no longer is."""
    every = kpis.load_kpis()
    guards = tuple(kpis.pick(every, code) for code in improvement.guardrails)
    margins = improvement.guardrail_margins
    return Question(
        kpi=kpis.pick(every, improvement.kpi),
        rule=improvement.decision_rule,
        scope=Scope.of(improvement.scope),
        comparison=Scope.of(improvement.comparison) if improvement.comparison else None,
        guardrails=tuple(
            Guardrail(kpi, float(margins.get(kpi.code, kpi.margin))) for kpi in guards
        ),
        also=tuple(kpis.pick(every, code) for code in improvement.also),
    )


def planned(improvement: Improvement, baseline: Known) -> EvaluationPlan:
    """Choose the design from the baseline alone, and work out how long it takes."""
    return plan(question_of(improvement), baseline)


def baseline_of(improvement: Improvement, given: EvaluationPlan, log_sha256: str) -> Baseline:
    """Return what the register keeps of where an improvement began."""
    found = given.baseline
    return Baseline(
        kpi=improvement.kpi,
        window=Days(*given.baseline_window).iso,
        value=found["value"],
        low=found["low"],
        high=found["high"],
        unit=found["unit"],
        n=found["n"],
        method=found["method"],
        log_sha256=log_sha256,
    )


@dataclass(frozen=True)
class Days:
    """A window by its first microsecond and the first one after it."""

    start_us: int
    end_us: int

    @property
    def iso(self) -> tuple[str, str]:
        """Return both days as ISO 8601, as a register keeps them."""
        return _day(self.start_us), _day(self.end_us)


@dataclass(frozen=True, eq=False)
class Answer:
    """The verdict on an entry, by which plan, and on which windows of which log."""

    entry: Entry
    question: Question
    plan: EvaluationPlan
    judged: Judged
    baseline: Known
    current: Known
    log_sha256: str

    @property
    def story(self) -> Story:
        """Say what came of it."""
        return Story(answer_in_words(self.entry, self.question.kpi, self.judged))

    def evaluation(self) -> Evaluation:
        """Return what the register keeps."""
        primary, judged = self.judged.primary, self.judged
        return Evaluation(
            verdict=judged.verdict,
            kpi=self.question.kpi.code,
            effect=primary.effect,
            low=primary.low,
            high=primary.high,
            unit=primary.unit,
            n=primary.n,
            method=primary.method,
            decision_rule=primary.rule,
            sentence=judged.sentence,
            guardrails={one.guardrail.kpi.code: one.status.value for one in judged.guardrails},
            baseline=days(self.baseline.window).iso,
            current=days(self.current.window).iso,
            log_sha256=self.log_sha256,
            design=self.plan.design.value,
            p_value=primary.p_value,
            n_needed=primary.n_needed,
            weeks_needed=judged.weeks_needed,
            also={one.kpi.code: one.verdict for one in judged.also},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as results.json holds it."""
        primary, kpi = self.judged.primary, self.question.kpi
        improvement = self.entry.improvement
        return {
            "entry": self.entry.id,
            "verdict": self.judged.verdict.value,
            "metric": kpi.code,
            "title": kpi.title,
            "improvement": improvement.title,
            "hypothesis": improvement.hypothesis,
            "owner": improvement.owner,
            "scope": self.question.scope.words,
            "comparison": self.question.comparison.words if self.question.comparison else "",
            "design": self.plan.design.value,
            "design_why": self.plan.why,
            "effect": primary.effect,
            "interval": [primary.low, primary.high],
            "p_value": primary.p_value,
            "unit": primary.unit,
            "n": primary.n,
            "n_baseline": primary.baseline.n,
            "n_current": primary.current.n,
            "n_needed": primary.n_needed,
            "weeks_needed": self.judged.weeks_needed,
            "baseline": primary.baseline.value,
            "current": primary.current.value,
            "windows": {
                "baseline": list(days(self.baseline.window).iso),
                "current": list(days(self.current.window).iso),
            },
            "better": primary.better,
            "kpi_unit": kpi.unit,
            "method": primary.method,
            "decision_rule": primary.rule.to_dict(),
            "sentence": self.judged.sentence,
            "guardrails": {
                one.guardrail.kpi.code: one.status.value for one in self.judged.guardrails
            },
            "guardrail_details": [
                {
                    "kpi": one.guardrail.kpi.code,
                    "title": one.guardrail.kpi.title,
                    "status": one.status.value,
                    "margin": one.guardrail.margin,
                    "effect": one.comparison.effect,
                    "interval": [one.comparison.low, one.comparison.high],
                    "unit": one.comparison.unit,
                    "n": one.comparison.n,
                    "sentence": one.sentence,
                }
                for one in self.judged.guardrails
            ],
            "also": [
                {
                    "kpi": one.kpi.code,
                    "title": one.kpi.title,
                    "claim": one.verdict,
                    "adjusted_p": one.adjusted_p,
                    "effect": one.comparison.effect,
                    "interval": [one.comparison.low, one.comparison.high],
                    "unit": one.comparison.unit,
                    "n": one.comparison.n,
                }
                for one in self.judged.also
            ],
        }


def answered(entry: Entry, baseline: Known, current: Known, log_sha256: str) -> Answer:
    """Judge an entry by its frozen rule and plan."""
    question = question_of(entry.improvement)
    frozen = EvaluationPlan.from_dict(entry.plan) if entry.plan else plan(question, baseline)
    judged = judge_question(question, frozen, baseline=baseline, current=current)
    return Answer(entry, question, frozen, judged, baseline, current, log_sha256)


def windows_of(entry: Entry, until: Window) -> tuple[Days, Days] | None:
    """Return the baseline and the current window of an entry, whose last day is that of a cycle's.

    None where the entry has no plan, or has not started by then.
    """
    if not entry.plan or not entry.started_at:
        return None
    start_us, end_us = EvaluationPlan.from_dict(entry.plan).baseline_window
    started = dt.datetime.fromisoformat(entry.started_at)
    first_us = max(end_us, (started - EPOCH) // dt.timedelta(microseconds=1))
    if first_us >= until.end_us:
        return None
    return Days(start_us, end_us), Days(first_us, until.end_us)


def days(window: Span) -> Days:
    """Return a window as a register keeps it."""
    return Days(window.start_us, window.end_us)


def _day(us: int) -> str:
    return (EPOCH + dt.timedelta(microseconds=us)).date().isoformat()
