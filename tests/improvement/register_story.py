"""One improvement from its first draft to its end, for the tests of the register."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from csi.register import Baseline, Evaluation, Improvement, Register
from csi.statistics import DecisionRule, Outcome

if TYPE_CHECKING:
    from pathlib import Path

AT = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
WHO = "improvement manager"
RULE = DecisionRule(minimum_effect=0.1)
DRAFT = Improvement(
    title="Ask for the error text at once",
    opportunity="Half of the waiting is for the customer",
    hypothesis="A form field for the error text saves one question",
    kpi="KPI01",
    owner="Service desk lead",
    decision_rule=RULE,
    scope={"priority": ("P2", "P1")},
    guardrails=("KPI06",),
    source_findings=("INC003",),
    planned_start="2024-03-04",
    planned_evaluation="2024-06-01",
)
BASELINE = Baseline(
    kpi="KPI01",
    window=("2024-01-01", "2024-02-01"),
    value=30.0,
    low=27.5,
    high=33.0,
    unit="h",
    n=412,
    method="median, bootstrap",
    log_sha256="5" * 64,
)


def evaluation(rule: DecisionRule = RULE) -> Evaluation:
    return Evaluation(
        verdict=Outcome.IMPROVED,
        kpi="KPI01",
        effect=-0.3,
        low=-0.4,
        high=-0.2,
        unit="relative change",
        n=400,
        method="bootstrap",
        decision_rule=rule,
        sentence="Improved: -30.0 % (-40.0 % to -20.0 %).",
        guardrails={"KPI06": "held"},
        baseline=("2024-01-01", "2024-02-01"),
        current=("2024-03-01", "2024-04-01"),
        p_value=0.001,
    )


def filled(place: str | Path) -> Register:
    """Return a register with one improvement, from its first draft to its end."""
    register = Register.open(place)
    entry_id = register.add(DRAFT, at=AT, actor=WHO, key="cycle-1")
    register.assess(entry_id, "pursue", "half of the waiting", at=AT, actor=WHO)
    register.record_baseline(entry_id, BASELINE, at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO)
    register.implement(entry_id, "The form asks", at=AT, actor="Service desk lead")
    register.record_evaluation(entry_id, evaluation(), at=AT, actor=WHO)
    register.note(entry_id, "Señor Müller agreed", at=AT, actor=WHO)
    register.close(entry_id, "kept", at=AT, actor=WHO)
    return register
