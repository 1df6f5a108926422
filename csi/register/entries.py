"""What is an improvement, what was found about it, and how does it stand? Frozen values, no store.

What decides (`TERMS`: KPI, further KPIs, scope, who is compared, guardrails, their margins, when it
is to be evaluated; and the decision rule) may change until the improvement is started; afterwards
only as a new version with a reason. Errors: RG111 for what would make an entry useless, all at
once.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.register.history import Record
    from csi.statistics import DecisionRule, Outcome

State = Literal[
    "proposed", "assessed", "postponed", "started", "implemented", "evaluated", "closed"
]
Decision = Literal["pursue", "postpone"]

# What is frozen with the decision rule.
TERMS: Final = (
    *("kpi", "also", "scope", "comparison", "comparison_group"),
    *("guardrails", "guardrail_margins", "planned_evaluation"),
)


@dataclass(frozen=True)
class Improvement:
    """A proposed improvement. The decision rule may still change until it is started.

    `owner` is a role. `scope` is a `csi.evidence.Scope` as a mapping. `comparison_group` says in
    words what it is compared with, `comparison` (a scope too) names the cases that are not touched.
    `also` are further KPI codes, judged together with `kpi` (Holm). `guardrail_margins`: the
    smallest harm that matters by guardrail, in the unit of its effect, where it is not the KPI's
    own. `source_findings` are fingerprints or rule codes, or `feedback:` and the id of a ticket
    whose customer's answer led to it (`csi.feedback.links`). `planned_start` and
    `planned_evaluation` are dates (ISO 8601) or empty.
    """

    title: str
    opportunity: str
    hypothesis: str
    kpi: str
    owner: str
    decision_rule: DecisionRule
    scope: Mapping[str, Sequence[str]] = field(default_factory=dict)
    comparison_group: str = ""
    guardrails: tuple[str, ...] = ()
    source_findings: tuple[str, ...] = ()
    planned_start: str = ""
    planned_evaluation: str = ""
    comparison: Mapping[str, Sequence[str]] = field(default_factory=dict)
    guardrail_margins: Mapping[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would make the entry useless, all at once."""
        needed = ("title", "opportunity", "hypothesis", "kpi", "owner")
        wrong = [f"{name} is empty" for name in needed if not getattr(self, name).strip()]
        dates = ("planned_start", "planned_evaluation")
        wrong += [f"{name} is no date" for name in dates if not _is_date(getattr(self, name))]
        wrong += self._muddled_codes()
        fix = "Mend it in the improvement that you add"
        raise_all([CodedError("RG111", f"improvement: {one}", fix=fix) for one in wrong])

    def _muddled_codes(self) -> list[str]:
        wrong = []
        if self.kpi in self.guardrails:
            wrong.append(f"{self.kpi} is the KPI and a guardrail too")
        twice = sorted({self.kpi, *self.guardrails} & set(self.also))
        wrong += [f"{code} is a further KPI and the KPI or a guardrail too" for code in twice]
        wrong += [
            f"the margin of {code} is {margin}, not a number above 0"
            for code, margin in self.guardrail_margins.items()
            if not 0 < margin < math.inf
        ]
        strangers = sorted(set(self.guardrail_margins) - set(self.guardrails))
        return wrong + [f"{code} has a margin and is no guardrail" for code in strangers]

    @property
    def minimum_effect(self) -> float:
        """The smallest effect that matters."""
        return self.decision_rule.minimum_effect


@dataclass(frozen=True)
class Baseline:
    """Where it began: a KPI in the window [start, end) (ISO dates), with its interval and n.

    None where it cannot be said. `log_sha256` names the log that it was measured on.
    """

    kpi: str
    window: tuple[str, str]
    value: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    method: str = ""
    log_sha256: str = ""

    def __post_init__(self) -> None:
        """Refuse a baseline without a KPI or without a window."""
        wrong = [] if self.kpi.strip() else ["names no KPI"]
        if not all(self.window) or not all(map(_is_date, self.window)):
            wrong.append("has no window of two dates")
        if self.n < 0:
            wrong.append(f"rests on {self.n} cases")
        fix = "Give the KPI, the window and n"
        raise_all([CodedError("RG111", f"the baseline {one}", fix=fix) for one in wrong])


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, by which design, and by which rule it was judged.

    `n_needed` (cases a side) and `weeks_needed` would settle it where it is inconclusive. `also`
    are the outcomes of the further KPIs by code, `guardrails` those of the guardrails. The register
    fills in `rule_version`: the version under which it was judged.
    """

    verdict: Outcome
    kpi: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    method: str
    decision_rule: DecisionRule
    sentence: str = ""
    guardrails: Mapping[str, str] = field(default_factory=dict)
    baseline: tuple[str, str] = ("", "")
    current: tuple[str, str] = ("", "")
    log_sha256: str = ""
    design: str = ""
    p_value: float | None = None
    n_needed: int | None = None
    weeks_needed: float | None = None
    also: Mapping[str, str] = field(default_factory=dict)
    rule_version: int = 0


@dataclass(frozen=True)
class Version:
    """What decided from `at` on, and why it was changed; `improvement` has its terms and rule."""

    number: int
    at: str
    actor: str
    reason: str
    improvement: Improvement
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """An improvement as it stands: the fold over its records.

    `improvement` and `plan` (design, needed n and weeks, baseline; empty where nothing was planned)
    are those of the newest of `versions`; each evaluation names the version that it was judged
    under. Times are ISO 8601 UTC, empty for what has not happened.
    """

    id: str
    improvement: Improvement
    state: State
    rule_version: int
    verdict: Outcome | None
    evaluations: tuple[Evaluation, ...]
    added_at: str
    started_at: str
    evaluated_at: str
    closed_at: str
    history: tuple[Record, ...]
    plan: Mapping[str, Any] = field(default_factory=dict)
    versions: tuple[Version, ...] = ()
    baseline: Baseline | None = None
    assessed_at: str = ""
    implemented_at: str = ""
    cancelled: bool = False

    @property
    def due(self) -> tuple[str, str] | None:
        """What is planned next and for which date: ("start" or "evaluate", ISO date), or None."""
        plan = self.improvement
        if self.state in ("proposed", "assessed", "postponed") and plan.planned_start:
            return "start", plan.planned_start
        if self.state in ("started", "implemented") and plan.planned_evaluation:
            return "evaluate", plan.planned_evaluation
        return None


def _is_date(text: str) -> bool:
    if not text:
        return True
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
