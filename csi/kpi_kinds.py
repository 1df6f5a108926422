"""Which kinds of KPI are there, and what does each count?

A kind turns a `View` (the cases of one window) into what can be estimated and compared: durations,
a share, scores, or a plain total. A KPI file names its kind and sets its parameters; a parameter
that a kind does not know is refused.

    duration_percentile  time from one step to another; cases that have not got there are censored
                         at the end of follow-up, or when they ended without (cancelled)
    share_of_rule        cases that conform among those that a rule decided
    share_met            service-level clocks met among those met or breached
    share_with_step      cases with a step, among those that got to another step
    mean_score           survey scores (mean: scores are short scales, not skewed times)
    share_satisfied      answers at or above a score among all answers
    response_rate        surveys answered among surveys asked
    mean_count           a count per case, over cases that got to a step
    open_at_end          cases open at the end of the window, whenever they were opened

The bootstrap draws whole UTC days of opening, because one outage opens many tickets on one day.
A cancelled case counts as censored: had it gone on, it is taken to have been like the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from csi.evidence import to_us
from csi.statistics import (
    Estimate,
    Sample,
    Share,
    censored_quantile,
    compare_means,
    compare_proportions,
    compare_times,
    mean,
    not_comparable,
    proportion,
)
from process_mining import schema as s
from rules.service_level import Metric  # noqa: TC001 - pydantic reads it
from rules.spec import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from csi.evidence import Bools, Floats, Ints, View
    from csi.statistics import Comparison, DecisionRule, Direction

MET: Final = "met"
BREACHED: Final = "breached"
UNKNOWN: Final = "unknown"
MOST_UNKNOWN: Final = 0.05

Step = Literal["opened", "first_response", "root_cause", "resolved", "closed", "reopened"]


class Params(BaseModel):
    """Base of every kind's parameters: frozen, strict, unknown names refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class DurationParams(Params):
    """From which step to which, and which percentile of the time between."""

    start: Step = Field(alias="from")
    stop: Step = Field(alias="to")
    percentile: Annotated[float, Field(gt=0, lt=100)]


class RuleParams(Params):
    """The code of the rule."""

    rule: Annotated[str, Field(min_length=1)]


class ClockParams(Params):
    """Which clock: a metric of the service-level targets."""

    metric: Metric


class StepParams(Params):
    """The step that is counted, among the cases that got to another."""

    step: Step
    among: Step


class NoParams(Params):
    """Nothing to set."""


class SatisfiedParams(Params):
    """The lowest score that counts as satisfied."""

    at_least: Annotated[float, Field(ge=0)]


class CountParams(Params):
    """The column that is counted, over cases that got to a step."""

    column: Literal["handovers"]
    among: Step


@dataclass(frozen=True, eq=False)
class Durations:
    """Hours, one a case; `censored` marks those still running; `days` are days of opening.

    `rows` are the row numbers of `evidence.cases`, here and in the other samples.
    """

    hours: Floats
    censored: Bools
    days: Ints
    rows: Ints
    q: float


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores or counts and the day of opening of their cases."""

    each: Floats
    days: Ints
    rows: Ints


@dataclass(frozen=True, eq=False)
class Hits:
    """Which of the cases (clocks, surveys) count, and the day of opening of each one's case."""

    each: Bools
    days: Ints
    rows: Ints

    @property
    def share(self) -> Share:
        """How many count among all."""
        return Share(int(self.each.sum()), len(self.each))


@dataclass(frozen=True)
class Total:
    """A count of everything there is: no sample, so no interval."""

    value: int


@dataclass(frozen=True)
class Missing:
    """Why the evidence does not hold what the KPI reads."""

    reason: str


Sampled = Durations | Scores | Hits | Total | Missing


def estimate(found: Sampled, *, unit: str, seed: int) -> Estimate:
    """Estimate what a kind found."""
    match found:
        case Durations():
            return censored_quantile(found.hours, found.censored, found.q, unit=unit)
        case Scores():
            return mean(found.each, unit=unit, seed=seed, clusters=found.days)
        case Hits(share=share):
            return proportion(share.k, share.n, unit=unit)
        case Total():
            method = "complete count, no sampling interval"
            return Estimate(float(found.value), None, None, found.value, method, unit)
        case Missing():
            return Estimate(None, None, None, 0, "not measured", unit)


def compare_found(
    baseline: Sampled, current: Sampled, *, rule: DecisionRule, better: Direction, unit: str
) -> Comparison:
    """Compare what a kind found in two windows by a rule that was fixed beforehand."""
    if isinstance(baseline, Durations) and isinstance(current, Durations):
        sides = [Sample(d.hours, unit, d.censored, d.days) for d in (baseline, current)]
        return compare_times(*sides, rule=rule, better=better, q=baseline.q)
    if isinstance(baseline, Scores) and isinstance(current, Scores):
        groups = [Sample(d.each, unit, clusters=d.days) for d in (baseline, current)]
        return compare_means(*groups, rule=rule, better=better)
    if isinstance(baseline, Hits) and isinstance(current, Hits):
        return compare_proportions(baseline.share, current.share, rule=rule, better=better)
    reasons = [side.reason for side in (baseline, current) if isinstance(side, Missing)]
    return not_comparable(
        reasons[0] if reasons else "a count of everything is no sample, so no test applies",
        rule=rule,
        better=better,
        sides=(
            estimate(baseline, unit=unit, seed=rule.seed),
            estimate(current, unit=unit, seed=rule.seed),
        ),
    )


def duration_percentile(view: View, params: DurationParams) -> Sampled:
    """Measure from step to step; what has not ended is censored."""
    started, ended = view.times(params.start), view.times(params.stop)
    over = view.times("closed")
    until = np.where(np.isnan(ended), np.where(np.isnan(over), view.as_of_us, over), ended)
    known = ~np.isnan(started)
    # a step recorded before its start (a clock set back) is no time to the step: left out
    known &= until >= started
    hours = (until - started)[known] / s.US_PER_HOUR
    return Durations(
        hours, np.isnan(ended)[known], view.days[known], view.rows[known], params.percentile / 100
    )


def share_of_rule(view: View, params: RuleParams) -> Sampled:
    """Count cases that conform among those that the rule decided."""
    verdicts = view.evidence.verdicts.get(params.rule)
    if verdicts is None:
        return Missing(f"rule {params.rule} was not checked")
    seen = verdicts[view.rows]
    conforms = seen == Verdict.CONFORMS
    return _hits(view, conforms, among=conforms | (seen == Verdict.VIOLATES))


def share_met(view: View, params: ClockParams) -> Sampled:
    """Count clocks that were met among those met or breached.

    Not said where more than 5 % of the clocks are unknown: what they hide may be of one kind.
    """
    clocks = view.evidence.clocks
    if clocks is None:
        return Missing("no service-level targets were given")
    mine = clocks[_in_view(view, clocks["case_id"]) & (clocks["metric"] == params.metric)]
    counts = mine["status"].value_counts()
    met, breached, unknown = (int(counts.get(word, 0)) for word in (MET, BREACHED, UNKNOWN))
    decided = mine[mine["status"].isin((MET, BREACHED))]
    if unknown > MOST_UNKNOWN * (met + breached + unknown):
        return Missing(
            f"{unknown} of {met + breached + unknown} clocks cannot be told from this log"
        )
    return _hits_at(view, (decided["status"] == MET).to_numpy(dtype=bool), decided["case_id"])


def share_with_step(view: View, params: StepParams) -> Sampled:
    """Count cases with a step among those that got to another (a case with the step has)."""
    has = ~np.isnan(view.times(params.step))
    return _hits(view, has, among=has | ~np.isnan(view.times(params.among)))


def mean_score(view: View, _params: NoParams) -> Sampled:
    """Collect the scores that were given."""
    return _answers(view)


def share_satisfied(view: View, params: SatisfiedParams) -> Sampled:
    """Count answers at or above a score."""
    found = _answers(view)
    if not isinstance(found, Scores):
        return found
    return Hits(found.each >= params.at_least, found.days, found.rows)


def response_rate(view: View, _params: NoParams) -> Sampled:
    """Count surveys that were answered among those asked."""
    surveys = view.evidence.surveys
    if surveys is None:
        return Missing("no surveys were given")
    asked = _asked(view, surveys)
    return _hits_at(view, _answered(view, surveys)[asked], surveys.loc[asked, "ticket"])


def mean_count(view: View, params: CountParams) -> Sampled:
    """Collect a count per case."""
    there = ~np.isnan(view.times(params.among))
    column = view.evidence.cases[params.column].to_numpy(dtype=np.float64, na_value=np.nan)
    counts = column[view.rows]
    there &= ~np.isnan(counts)
    return Scores(counts[there], view.days[there], view.rows[there])


def open_at_end(view: View, _params: NoParams) -> Sampled:
    """Count the cases that were open when the window ended."""
    closed = view.times("closed", view.stock)
    return Total(int(np.sum(~(closed < view.end_us))))


@dataclass(frozen=True)
class Kind:
    """One kind: its parameters, the units that it can give, and its function."""

    params: type[Params]
    units: tuple[str, ...]
    sample: Callable[..., Sampled]


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "duration_percentile": Kind(DurationParams, ("h",), duration_percentile),
        "share_of_rule": Kind(RuleParams, ("share",), share_of_rule),
        "share_met": Kind(ClockParams, ("share",), share_met),
        "share_with_step": Kind(StepParams, ("share",), share_with_step),
        "mean_score": Kind(NoParams, ("points",), mean_score),
        "share_satisfied": Kind(SatisfiedParams, ("share",), share_satisfied),
        "response_rate": Kind(NoParams, ("share",), response_rate),
        "mean_count": Kind(CountParams, ("hand-overs per ticket",), mean_count),
        "open_at_end": Kind(NoParams, ("tickets",), open_at_end),
    }
)


def _hits(view: View, counts: Bools, *, among: Bools) -> Hits:
    return Hits(counts[among], view.days[among], view.rows[among])


def _hits_at(view: View, counts: Bools, ids: pd.Series) -> Hits:
    """Return what counts where a case may stand more than once, by the ids of the cases."""
    place = _places(view, ids)
    return Hits(counts, view.days[place], view.rows[place])


def _answers(view: View) -> Sampled:
    surveys = view.evidence.surveys
    if surveys is None:
        return Missing("no surveys were given")
    chosen = surveys[_asked(view, surveys) & _answered(view, surveys)]
    place = _places(view, chosen["ticket"])
    score = chosen["score"].to_numpy(dtype=np.float64)
    return Scores(score, view.days[place], view.rows[place])


def _asked(view: View, surveys: pd.DataFrame) -> Bools:
    asked = to_us(surveys["asked_at"], "asked_at")
    return _in_view(view, surveys["ticket"]) & (asked <= view.as_of_us)


def _answered(view: View, surveys: pd.DataFrame) -> Bools:
    answered = to_us(surveys["answered_at"], "answered_at")
    score = surveys["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    given: Bools = (answered <= view.as_of_us) & ~np.isnan(score)
    return given


def _in_view(view: View, ids: pd.Series) -> Bools:
    return _places(view, ids) >= 0


def _places(view: View, ids: pd.Series) -> Ints:
    """Return each id's place among the view's cases, -1 for a case that is not in it."""
    mine = view.evidence.cases["case_id"].take(view.rows)
    found: Ints = pd.Index(mine).get_indexer(ids).astype(np.int64)
    return found
