"""What does a reader see of escalations: what has piled up, where, and what is proposed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.report.words import number, plural
from rules.opportunity import seen_words, subject_words

if TYPE_CHECKING:
    from rules.escalation import Escalation, Escalations
    from rules.opportunity import Opportunity

ESCALATIONS_SHOWN: Final = 20
CASES_SHOWN: Final = 8


def escalated(found: Escalations) -> list[dict[str, Any]]:
    """Return the gravest escalations, in their order."""
    proposed = {one.fingerprint: one for one in found.opportunities}
    named = {one.fingerprint: one for one in found.escalations}
    return [
        {
            "id": f"escalation-{one.fingerprint}",
            "code": one.pattern.code,
            "title": one.pattern.title,
            "severity": one.pattern.severity.word,
            "subject": _where(one),
            "seen": seen_words(one),
            "rules": one.rules,
            "why": one.pattern.why,
            "known": " ".join(one.pattern.known_problems),
            "tickets": _tickets(one),
            "parts": [_part(named[part]) for part in one.parts],
            "proposal": None if one.opportunity is None else _proposal(proposed[one.opportunity]),
        }
        for one in found.escalations[:ESCALATIONS_SHOWN]
    ]


def _where(one: Escalation) -> str:
    """Name the subject, and the offence where it is a single one."""
    where = subject_words(one.pattern.by, one.subject)
    return f"{where}, {one.rules[0]}" if len(one.rules) == 1 else where


def _tickets(one: Escalation) -> str:
    more = len(one.cases) - CASES_SHOWN
    said = ", ".join(one.cases[:CASES_SHOWN])
    return f"{said} and {number(more)} more" if more > 0 else said


def _part(one: Escalation) -> str:
    return f"{one.pattern.code} ({', '.join(one.rules)})"


def _proposal(one: Opportunity) -> dict[str, str]:
    return {
        "title": one.title,
        "hypothesis": one.hypothesis,
        "kpi": one.kpi or "none of ours shows it; name one",
        "owner": one.owner,
    }


def escalated_note(found: Escalations) -> str:
    """Say how many there are, what they are counted in, and what could not count."""
    hidden = len(found.escalations) - ESCALATIONS_SHOWN
    said = (
        f"{plural(len(found.escalations), 'escalation')}; "
        f"{plural(len(found.opportunities), 'opportunity', 'opportunities')} proposed for the "
        "improvement register (opportunities.json)."
    )
    if hidden > 0:
        said += f" The first {ESCALATIONS_SHOWN} are shown; escalations.parquet has all."
    said += " A window is the fullest of its length; tickets in it are counted once."
    if found.left_out:
        parts = [f"{number(n)} {reason}" for reason, n in found.left_out.items()]
        said += f" Findings that could not count everywhere: {', '.join(parts)}."
    return said
