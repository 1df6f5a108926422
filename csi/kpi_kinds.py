"""Which kinds of KPI are there, and what does each count?

A kind turns a `View` (the cases of one window) into a sample that can be estimated and compared
(csi.kpi_samples). A KPI file names its kind and sets its parameters; a parameter that a kind does
not know is refused. Steps are named moments (opened, first_response, root_cause, resolved, closed,
reopened) or activities in the practice's words, of which the first counts.

    duration_percentile  time from one step to another; cases that have not got there are censored
                         at the end of follow-up, or when they ended without (cancelled)
    share_within         cases that got from one step to another within some hours, among those that
                         were followed for as long
    share_with_step      cases with a step, among those that got to another step
    share_of_rule        cases that conform (or violate) among those that a rule decided
    share_of_kind        cases of one kind (emergency changes) among those whose kind is told
    share_first_contact  cases solved by whoever had them first, among those resolved
    share_met            service-level clocks met among those met or breached
    share_met_by_pausing clocks that their pauses alone kept, among those met
    mean_count           a count per case, over cases that got to a step
    arrivals             cases opened a week
    open_at_end          cases open at the end of the window, whenever they were opened
    open_age             how long they have been open by then: a percentile
    mean_score, share_satisfied, response_rate: see csi.kpi_surveys

A cancelled case counts as censored: had it gone on, it is taken to have been like the others. What
the log cannot tell (`Evidence.untold`) is not measured, for never recorded is not never done.

Cost: O(n log n) in cases a KPI. Not checked: that a window lies within the log (a week without data
counts as one without arrivals); that a step's word is used as the practice means it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from csi.evidence import AGREEMENT, BY_PAUSING, kinds_of
from csi.kpi_samples import (
    BREACHED,
    MET,
    UNKNOWN,
    Ages,
    Durations,
    Hits,
    Missing,
    Rate,
    Sampled,
    Scores,
    Total,
    estimate,
    hits,
    hits_at,
)
from csi.kpi_surveys import mean_score, response_rate, share_satisfied
from process_mining import schema as s
from rules.service_level import Metric  # noqa: TC001 - pydantic reads it
from rules.spec import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from csi.evidence import View

__all__ = [
    "BREACHED",
    "KINDS",
    "MET",
    "UNKNOWN",
    "Ages",
    "Durations",
    "Hits",
    "Kind",
    "Missing",
    "Params",
    "Rate",
    "Sampled",
    "Scores",
    "Total",
    "estimate",
]

MOST_UNKNOWN: Final = 0.05
SLA: Final = "SLA"
WEEK_US: Final = 7 * s.US_PER_DAY

# a moment, or an activity in the words of the practice, which begin with a capital letter
Step = Annotated[
    str,
    Field(
        pattern=r"^(opened|first_response|root_cause|resolved|closed|reopened|[A-Z][a-z ]{1,60})$"
    ),
]


class Params(BaseModel):
    """Base of every kind's parameters: frozen, strict, unknown names refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    @property
    def steps(self) -> tuple[str, ...]:
        """The moments and activities that are named."""
        return ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the case type that are named."""
        return ()


class WayParams(Params):
    """From which step to which."""

    start: Step = Field(alias="from")
    stop: Step = Field(alias="to")

    @property
    def steps(self) -> tuple[str, ...]:
        """Both ends of the way."""
        return self.start, self.stop


class DurationParams(WayParams):
    """Which percentile of the time between."""

    percentile: Annotated[float, Field(gt=0, lt=100)]


class WithinParams(WayParams):
    """Within how many hours by the clock on the wall."""

    hours: Annotated[float, Field(gt=0, le=87_600)]


class RuleParams(Params):
    """The code of the rule, and which verdict is counted."""

    rule: Annotated[str, Field(min_length=1)]
    counts: Literal["conforms", "violates"] = "conforms"


class KindParams(Params):
    """The practice that is a kind of the case type."""

    practice: Annotated[str, Field(min_length=1)]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The practice."""
        return (self.practice,)


class ClockParams(Params):
    """Which clock: a metric of the service-level targets, and whose promise it is."""

    metric: Metric | None = None
    agreement: Literal["SLA", "OLA", "UC"] = SLA


class StepParams(Params):
    """The step that is counted, among the cases that got to another."""

    step: Step
    among: Step

    @property
    def steps(self) -> tuple[str, ...]:
        """The part and the whole."""
        return self.step, self.among


class NoParams(Params):
    """Nothing to set."""


class SatisfiedParams(Params):
    """The lowest score that counts as satisfied."""

    at_least: Annotated[float, Field(ge=0)]


class CountParams(Params):
    """The column that is counted, over cases that got to a step."""

    column: Literal["handovers"]
    among: Step

    @property
    def steps(self) -> tuple[str, ...]:
        """The step that they got to."""
        return (self.among,)


class AgeParams(Params):
    """Which percentile of the ages."""

    percentile: Annotated[float, Field(gt=0, lt=100)]


def duration_percentile(view: View, params: DurationParams) -> Sampled:
    """Measure from step to step; what has not ended is censored."""
    if hidden := view.untold(*params.steps):
        return _untold(hidden)
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


def share_within(view: View, params: WithinParams) -> Sampled:
    """Count cases that got there in time among those followed for as long.

    A case that began later is left out, even if it has got there: of those, only the quick ones are
    seen. So is one that ended without (cancelled) before its time was up.
    """
    if hidden := view.untold(*params.steps):
        return _untold(hidden)
    started, ended, over = (view.times(one) for one in (*params.steps, "closed"))
    limit = started + params.hours * s.US_PER_HOUR
    in_time = (ended >= started) & (ended <= limit)
    gave_up = np.isnan(ended) & (over < limit)
    among = (limit <= view.as_of_us) & ~(ended < started) & ~gave_up
    return hits(view, in_time, among=among)


def share_with_step(view: View, params: StepParams) -> Sampled:
    """Count cases with a step among those that got to another (a case with the step has)."""
    if hidden := view.untold(*params.steps):
        return _untold(hidden)
    has = ~np.isnan(view.times(params.step))
    return hits(view, has, among=has | ~np.isnan(view.times(params.among)))


def share_of_rule(view: View, params: RuleParams) -> Sampled:
    """Count cases with the verdict that is asked for among those that the rule decided."""
    verdicts = view.evidence.verdicts.get(params.rule)
    if verdicts is None:
        return Missing(f"rule {params.rule} was not checked")
    seen = verdicts[view.rows]
    conforms, violates = seen == Verdict.CONFORMS, seen == Verdict.VIOLATES
    counted = conforms if params.counts == "conforms" else violates
    return hits(view, counted, among=conforms | violates)


def share_of_kind(view: View, params: KindParams) -> Sampled:
    """Count cases of one kind among those of which the kind is told."""
    kinds = kinds_of(view.evidence.cases).take(view.rows)
    told = (kinds != view.case_type).to_numpy(dtype=bool, na_value=False)
    if len(told) and not told.any():
        return Missing(f"the log does not tell which kind of {view.case_type} a case is")
    return hits(view, (kinds == params.practice).to_numpy(dtype=bool, na_value=False), among=told)


def share_first_contact(view: View, _params: NoParams) -> Sampled:
    """Count resolved cases that were never handed over and never reopened.

    Both are as known at the end of the evidence, so `reopened` is cut at `as_of_us`, and hand-overs
    are not. A case without any team is left out: nobody knows whether it was handed over.
    """
    if hidden := view.untold("resolved"):
        return _untold(hidden)
    cases = view.evidence.cases
    moved = cases["handovers"].to_numpy(dtype=np.float64, na_value=np.nan)[view.rows]
    named = cases["team"].notna().to_numpy()[view.rows]
    again = ~np.isnan(view.times("reopened"))
    resolved = (~np.isnan(view.times("resolved")) | again) & named & ~np.isnan(moved)
    if len(named) and not named.any():
        return Missing("the log names no team")
    return hits(view, (moved == 0) & ~again, among=resolved)


def share_met(view: View, params: ClockParams) -> Sampled:
    """Count clocks that were met among those met or breached.

    Not said where more than 5 % of the clocks are unknown: what they hide may be of one kind.
    """
    mine = _clocks(view, params)
    if isinstance(mine, Missing):
        return mine
    counts = mine["status"].value_counts()
    met, breached, unknown = (int(counts.get(word, 0)) for word in (MET, BREACHED, UNKNOWN))
    decided = mine[mine["status"].isin((MET, BREACHED))]
    if unknown > MOST_UNKNOWN * (met + breached + unknown):
        return Missing(
            f"{unknown} of {met + breached + unknown} clocks cannot be told from this log"
        )
    return hits_at(view, (decided["status"] == MET).to_numpy(dtype=bool), decided["case_id"])


def share_met_by_pausing(view: View, params: ClockParams) -> Sampled:
    """Count the clocks met that were met by pausing alone."""
    mine = _clocks(view, params)
    if isinstance(mine, Missing):
        return mine
    if BY_PAUSING not in mine.columns:
        return Missing("the clocks do not say how long they were paused")
    met = mine[mine["status"] == MET]
    return hits_at(view, met[BY_PAUSING].to_numpy(dtype=bool), met["case_id"])


def mean_count(view: View, params: CountParams) -> Sampled:
    """Collect a count per case."""
    if hidden := view.untold(*params.steps):
        return _untold(hidden)
    there = ~np.isnan(view.times(params.among))
    column = view.evidence.cases[params.column].to_numpy(dtype=np.float64, na_value=np.nan)
    counts = column[view.rows]
    there &= ~np.isnan(counts)
    return Scores(counts[there], view.days[there], view.rows[there])


def arrivals(view: View, _params: NoParams) -> Sampled:
    """Count the cases opened, and the weeks of the window that the log has seen."""
    seen_us = min(view.end_us, view.as_of_us) - view.start_us
    if seen_us <= 0:
        return Missing("the log ends before the window begins")
    return Rate(len(view.rows), seen_us / WEEK_US)


def open_at_end(view: View, _params: NoParams) -> Sampled:
    """Count the cases that were open when the window ended."""
    if hidden := view.untold("closed"):
        return _untold(hidden)
    closed = view.times("closed", view.stock)
    return Total(int(np.sum(~(closed < view.end_us))))


def open_age(view: View, params: AgeParams) -> Sampled:
    """Measure how long the cases have been open that were open when the window ended.

    Where the log ends before the window, at its last event.
    """
    if hidden := view.untold("closed"):
        return _untold(hidden)
    closed, opened = (view.times(name, view.stock) for name in ("closed", "opened"))
    is_open = ~(closed < view.end_us)
    hours = (min(view.end_us, view.as_of_us) - opened[is_open]) / s.US_PER_HOUR
    return Ages(hours, view.stock[is_open], params.percentile / 100)


@dataclass(frozen=True)
class Kind:
    """One kind: its parameters, the units that it can give, and its function."""

    params: type[Params]
    units: tuple[str, ...]
    sample: Callable[..., Sampled]


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "duration_percentile": Kind(DurationParams, ("h",), duration_percentile),
        "share_within": Kind(WithinParams, ("share",), share_within),
        "share_with_step": Kind(StepParams, ("share",), share_with_step),
        "share_of_rule": Kind(RuleParams, ("share",), share_of_rule),
        "share_of_kind": Kind(KindParams, ("share",), share_of_kind),
        "share_first_contact": Kind(NoParams, ("share",), share_first_contact),
        "share_met": Kind(ClockParams, ("share",), share_met),
        "share_met_by_pausing": Kind(ClockParams, ("share",), share_met_by_pausing),
        "mean_score": Kind(NoParams, ("points",), mean_score),
        "share_satisfied": Kind(SatisfiedParams, ("share",), share_satisfied),
        "response_rate": Kind(NoParams, ("share",), response_rate),
        "mean_count": Kind(CountParams, ("hand-overs per ticket",), mean_count),
        "arrivals": Kind(NoParams, ("tickets a week",), arrivals),
        "open_at_end": Kind(NoParams, ("tickets",), open_at_end),
        "open_age": Kind(AgeParams, ("h",), open_age),
    }
)


def _untold(name: str) -> Missing:
    return Missing(f"the log does not tell '{name.replace('_', ' ')}'")


def _clocks(view: View, params: ClockParams) -> pd.DataFrame | Missing:
    """Return the clocks of the view's cases that a KPI reads."""
    clocks = view.evidence.clocks
    if clocks is None:
        return Missing("no service-level targets were given")
    mine = view.places(clocks["case_id"]) >= 0
    if params.metric is not None:
        mine &= (clocks["metric"] == params.metric).to_numpy(dtype=bool)
    if AGREEMENT in clocks.columns:
        mine &= (clocks[AGREEMENT] == params.agreement).to_numpy(dtype=bool)
    elif params.agreement != SLA:
        mine[:] = False
    if params.agreement != SLA and not mine.any():
        return Missing(f"no {params.agreement} has a clock on these cases")
    return clocks[mine]
