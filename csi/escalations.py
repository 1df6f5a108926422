"""Which findings of an audit call for improvement, and how does the register get to know?

Wires the escalations of the rulebook (`rules.escalation`) to an audit, and writes what they propose
as drafts of the improvement register: `opportunities.json`. A draft has every field of
`csi.register.Improvement`; what only people can say is null, and `to_be_said` names it: by which
rule it is decided whether it got better, compared with what, what must not get worse, by when, and
the KPI where none of ours shows the offence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.report.words import moment
from process_mining.privacy import people_of_teams
from rules.durations import format_duration
from rules.escalation import escalate
from rules.escalation_file import load_patterns

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog
    from rules.catalogue import Catalogue
    from rules.check import CheckResult
    from rules.escalation import Escalation, Escalations
    from rules.opportunity import Opportunity

CASES_NAMED: Final = 20
FINDINGS_NAMED: Final = 100
TO_BE_SAID: Final = (
    "decision_rule",
    "comparison_group",
    "guardrails",
    "planned_start",
    "planned_evaluation",
)


def escalations_of(log: EventLog, result: CheckResult, catalogue: Catalogue) -> Escalations:
    """Return what the findings of a log lead to, waivers applied."""
    return escalate(
        result.findings,
        rules=result.rules,
        cases=log.cases,
        people=people_of_teams(log),
        escalating=load_patterns({rule.code for rule in catalogue.rules}),
    )


def escalation_row(one: Escalation) -> dict[str, Any]:
    """Return one escalation as summary.json holds it, at most CASES_NAMED cases by name."""
    pattern = one.pattern
    return {
        "fingerprint": one.fingerprint,
        "code": pattern.code,
        "name": pattern.name,
        "title": pattern.title,
        "severity": pattern.severity.word,
        "subject_kind": pattern.by,
        "subject": one.subject,
        "rules": list(one.rules),
        "first": None if one.first_us is None else moment(one.first_us),
        "last": None if one.last_us is None else moment(one.last_us),
        "window": None if pattern.window_us is None else format_duration(pattern.window_us),
        "threshold": pattern.threshold,
        "n": one.n,
        "unit": one.unit,
        "cases": list(one.cases[:CASES_NAMED]),
        "cases_in_all": len(one.cases),
        "findings": len(one.findings),
        "parts": list(one.parts),
        "part_of": list(one.part_of),
        "opportunity": one.opportunity,
    }


def opportunities_json(found: Escalations, log_sha256: str) -> dict[str, Any]:
    """Return what opportunities.json holds."""
    return {
        "log_sha256": log_sha256,
        "source_findings_named": FINDINGS_NAMED,
        "opportunities": [_proposal(one) for one in found.opportunities],
    }


def _proposal(one: Opportunity) -> dict[str, Any]:
    """One draft, and what it rests on."""
    kpi = ["kpi"] if one.kpi is None else []
    return {
        "fingerprint": one.fingerprint,
        "pattern": one.pattern.code,
        "severity": one.pattern.severity.word,
        "escalations": list(one.escalations),
        "findings": len(one.findings),
        "draft": draft_of(one),
        "to_be_said": sorted([*TO_BE_SAID, *kpi]),
    }


def draft_of(one: Opportunity) -> dict[str, Any]:
    """Return the fields of a draft of the register; null is what only people can say."""
    return {
        "title": one.title,
        "opportunity": one.seen,
        "hypothesis": one.hypothesis,
        "kpi": one.kpi,
        "owner": one.owner,
        "decision_rule": None,
        "scope": {name: list(words) for name, words in one.scope.items()},
        "comparison_group": None,
        "comparison": {},
        "guardrails": None,
        "guardrail_margins": {},
        "also": (),
        "source_findings": list(one.findings[:FINDINGS_NAMED]),
        "planned_start": None,
        "planned_evaluation": None,
    }
