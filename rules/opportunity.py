"""What should be improved, since findings have escalated? Proposals for the improvement register.

A proposal says what was seen (n, window, threshold), what to improve, what to expect of it, the KPI
to watch where one of ours shows it, the role that would own it, and the findings that it rests on.
The texts are those of the pattern (`rules.escalation_file`) with the subject and the rules put in.

Not said, because only people can: by how much it should get better and by when, what it is compared
with, what must not get worse. The register asks for them when the proposal is taken up.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining import schema as s
from rules.durations import format_duration
from rules.escalation_file import IN_BRACES
from rules.findings import FINGERPRINT_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rules.escalation import Escalation
    from rules.escalation_file import Pattern
    from rules.spec import Rule

SEEN_SHOWN: Final = 5
SCOPES: Final = frozenset({"team", "category", "service"})  # of these, KPIs can be asked alone
CONTROL_WORDS: Final = {
    "request": "the request for a change",
    "approval": "the approval by another person",
    "test": "the test before deployment",
    "segregation-of-duties": "the segregation of duties",
    "review": "the review of changes",
}


@dataclass(frozen=True)
class Opportunity:
    """What is proposed for the improvement register because of one or more escalations.

    `kpi` is None where no KPI of ours shows it. `scope` is a scope as KPIs take it, empty for all.
    """

    pattern: Pattern
    title: str
    seen: str
    hypothesis: str
    kpi: str | None
    owner: str
    scope: Mapping[str, tuple[str, ...]]
    escalations: tuple[str, ...]
    findings: tuple[str, ...]
    fingerprint: str


def propose(
    escalations: Sequence[Escalation],
    *,
    rules: Sequence[Rule],
    rule_of_finding: Mapping[str, str],
    kpi_of_rule: Mapping[str, str],
) -> tuple[Opportunity, ...]:
    """Return the opportunities of the escalations that propose one, in their order."""
    newest = {rule.code: rule for rule in sorted(rules, key=lambda rule: rule.valid_from)}
    return tuple(
        _opportunity(causes, newest, kpi_of_rule, rule_of_finding)
        for causes in _causes(escalations)
    )


def digest(*what: object) -> str:
    """Return the fingerprint of some JSON values."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:FINGERPRINT_DIGITS]


def _causes(escalations: Sequence[Escalation]) -> list[list[Escalation]]:
    """Gather the escalations that are one opportunity, in their order."""
    causes: dict[object, list[Escalation]] = {}
    for one in escalations:
        told = one.pattern.opportunity
        per = "escalation" if told is None else told.per
        key = {"pattern": (), "rule": one.rules, "escalation": one.fingerprint}[per]
        causes.setdefault((one.pattern.code, key), []).append(one)
    return list(causes.values())


def _opportunity(
    causes: Sequence[Escalation],
    rules: Mapping[str, Rule],
    kpi_of_rule: Mapping[str, str],
    rule_of_finding: Mapping[str, str],
) -> Opportunity:
    pattern, told = causes[0].pattern, causes[0].pattern.opportunity
    assert told is not None  # noqa: S101 - only patterns with one propose
    codes = sorted({code for one in causes for code in one.rules})
    findings = sorted({finding for one in causes for finding in one.findings})
    words = {
        "subject": _several([subject_words(pattern.by, one.subject) for one in causes]),
        "offence": "; ".join(rules[code].title for code in codes),
        "rules": ", ".join(codes),
        "n": str(pattern.threshold),
        "window": "" if pattern.window_us is None else window_words(pattern.window_us),
    }
    kpis = {kpi_of_rule.get(code) for code in codes}
    scoped = len(causes) == 1 and pattern.by in SCOPES
    fingerprints = tuple(one.fingerprint for one in causes)
    return Opportunity(
        pattern=pattern,
        title=_filled(told.improve, words),
        seen=" ".join(seen_words(one) for one in causes[:SEEN_SHOWN]) + _more(causes),
        hypothesis=" ".join(_filled(told.hypothesis, words).split()),
        kpi=(kpis.pop() if len(kpis) == 1 else None) or told.kpi,
        owner=pattern.owner or rules[_most(rule_of_finding[one] for one in findings)].owner,
        scope={pattern.by: (causes[0].subject,)} if scoped else {},
        escalations=fingerprints,
        findings=tuple(findings),
        fingerprint=digest("opportunity", pattern.code, *sorted(fingerprints)),
    )


def _most(codes: Iterable[str]) -> str:
    """Return the most frequent code, of several the first."""
    counts = Counter(codes)
    return min(counts, key=lambda code: (-counts[code], code))


def _filled(text: str, words: Mapping[str, str]) -> str:
    """Put words into the braces of a pattern's text, once: what is put in is not read again."""
    return IN_BRACES.sub(lambda match: words[match[1]], text)


def _several(words: Sequence[str]) -> str:
    more = f" and {len(words) - SEEN_SHOWN} more" if len(words) > SEEN_SHOWN else ""
    return ", ".join(words[:SEEN_SHOWN]) + more


def _more(causes: Sequence[Escalation]) -> str:
    left = len(causes) - SEEN_SHOWN
    return f" And {left} more." if left > 0 else ""


def seen_words(one: Escalation) -> str:
    """Say in one sentence what was seen."""
    who, rules = subject_words(one.pattern.by, one.subject), ", ".join(one.rules)
    who, window_us = who[:1].upper() + who[1:], one.pattern.window_us
    if window_us is None:
        return f"{who} violates {rules}."
    chained = one.pattern.kind == "chained"
    what = f"offences escalate ({rules})" if chained else f"tickets violate {rules}"
    window = f"in {window_words(window_us)}{_dates(one)}"
    return f"{who}: {one.n} {what} {window}; {one.pattern.threshold} are enough."


def _dates(one: Escalation) -> str:
    if one.first_us is None or one.last_us is None:
        return ""
    first, last = (
        str(np.datetime64(us, "us").astype("M8[D]")) for us in (one.first_us, one.last_us)
    )
    return f" ({first})" if first == last else f" ({first} to {last})"


def subject_words(by: str, subject: str) -> str:
    """Name a subject in a sentence.

    >>> subject_words("team", "Network A")
    'team Network A'
    """
    if by == "control":
        return CONTROL_WORDS[subject]
    return f"ticket {subject}" if by == "case" else f"{by} {subject}"


def window_words(us: int) -> str:
    """Say how long a window is: "28 days"; other lengths as files write them."""
    days, rest = divmod(us, s.US_PER_DAY)
    return format_duration(us) if rest else f"{days} day{'s' if days != 1 else ''}"
