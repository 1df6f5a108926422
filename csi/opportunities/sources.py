"""Where do proposals come from? Offences with a remedy, candidates, and what has escalated.

    rule        an offence (not waived) of a ticket of the window: the rule's remedy. Hours: the
                adjusted time lost of `csi.effects` (`losses`), a month, x the share of it that an
                improvement is assumed to win back (`Definitions.offences`); not told without
    candidate   `csi.opportunities.candidates`, with its own estimate
    escalation  an opportunity of `rules.opportunity` of which a finding lies in the window. Hours:
                of each of its rules the part of the time lost that its tickets of the window are
                of all that break the rule

The same ticket can stand behind several proposals; their gains overlap and do not add up.
`losses` has one row a rule: rule, hours_lost (in the whole window), low, high, n, and may have a
`note`: why the time is no gain (a rule that measures the time itself, a negative control that
differs too); such time does not count, and the note is shown. Error: ST581 for a column that it
lacks, ST582 for a rule twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from csi.opportunities.gain import NOTHING, Range, monthly, no_loss, times, whole_weeks
from csi.opportunities.proposals import Proposal
from csi.opportunities.words import assumed, count, kind_words, span
from csi.report.words import percent, plural
from process_mining import schema as s
from process_mining.errors import RunError, raise_all
from rules.spec import Severity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from csi.audit import Audit
    from csi.opportunities.candidates import Candidate, Candidates
    from csi.opportunities.definitions import Definitions
    from csi.opportunities.tickets import Tickets
    from rules.opportunity import Opportunity
    from rules.spec import Rule

    Bools = npt.NDArray[np.bool_]

LOSSES: Final = ("rule", "hours_lost", "low", "high", "n")
CHANGES: Final = frozenset({"change", "release"})
FINDINGS_NAMED: Final = 100


@dataclass(frozen=True)
class Loss:
    """The hours that a rule's offences cost in the window, or why they do not count."""

    hours: Range
    note: str = ""


@dataclass(frozen=True, eq=False)
class Desk:
    """What all sources read: the audit, its tickets of the window, what is assumed and known."""

    audit: Audit
    tickets: Tickets
    given: Definitions
    kpi_of_rule: Mapping[str, str]
    kpi_named: Mapping[str, str]
    losses: Mapping[str, Loss]

    def lost(self, rule: str) -> Range:
        """Return the time lost by a rule's offences in the window that counts as a gain."""
        return self.losses[rule].hours if rule in self.losses else NOTHING

    def no_gain(self, rule: str) -> str:
        """Return why no gain is told, "" where it is."""
        if self.lost(rule).value is not None:
            return ""
        note = self.losses[rule].note if rule in self.losses else ""
        return note or "the time lost by this offence is not told"

    @property
    def frame(self) -> pd.DataFrame:
        """The tickets of the window."""
        return self.tickets.frame

    def a_month(self, mine: Bools) -> Range:
        """Return how many of the marked tickets there are a month."""
        first = self.tickets.first_day
        whole = whole_weeks(first, first + self.tickets.days)
        weeks = self.frame["week"].to_numpy(dtype=np.int64)[mine]
        return monthly(weeks, self.tickets.days, whole=whole)

    def marks(self, ids: set[str]) -> Bools:
        """Mark the tickets with these ids."""
        found = np.zeros(len(self.frame), dtype=bool)
        found[[self._places[one] for one in ids if one in self._places]] = True
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {case: place for place, case in enumerate(self.frame[s.CASE_ID])}

    @cached_property
    def findings(self) -> pd.DataFrame:
        """The findings on tickets of the window that are not waived."""
        columns = ["rule", s.CASE_ID, "fingerprint", "waived_by"]
        found: pd.DataFrame = self.audit.result.findings.select(columns).to_pandas()
        inside = found[s.CASE_ID].isin(self.frame[s.CASE_ID])
        return found[inside & found["waived_by"].isna()]

    def per_month(self, one: Range) -> Range:
        """Turn a figure of the whole window into one a month."""
        return times(one, 1.0 / self.tickets.months) if self.tickets.months else NOTHING

    def owner(self, practice: str) -> str:
        """The role that owns a practice."""
        return self.audit.catalogue.practices[practice].owner


def losses_of(frame: pd.DataFrame | None) -> dict[str, Loss]:
    """Read the adjusted time lost of each rule; what is null, or has a note, does not count."""
    if frame is None:
        return {}
    absent = [name for name in LOSSES if name not in frame.columns]
    fix = f"Give one row a rule: {', '.join(LOSSES)}"
    raise_all([RunError("ST581", f"losses have no column '{name}'", fix=fix) for name in absent])
    twice = sorted(set(frame.loc[frame["rule"].duplicated(), "rule"]))
    raise_all([RunError("ST582", f"losses name rule {code} twice", fix=fix) for code in twice])
    return {row["rule"]: _loss(row) for row in frame.to_dict(orient="records")}


def _loss(row: Mapping[Hashable, Any]) -> Loss:
    note = row.get("note")
    if isinstance(note, str) and note:
        return Loss(NOTHING, note)
    return Loss(Range(*(_number(row[name]) for name in LOSSES[1:4])))


def _number(value: Any) -> float | None:  # noqa: ANN401 - a cell of a table
    return None if value is None or not np.isfinite(value) else float(value)


# --- offences


def from_rules(desk: Desk) -> Iterator[Proposal]:
    """Yield a proposal for each rule that tickets of the window violate, by code."""
    rules = {rule.code: rule for rule in desk.audit.result.rules}
    for code, part in desk.findings.groupby("rule", sort=True):
        yield _of_rule(desk, rules[str(code)], part)


def _of_rule(desk: Desk, rule: Rule, findings: pd.DataFrame) -> Proposal:
    mine = desk.marks(set(findings[s.CASE_ID]))
    a_month = desk.a_month(mine)
    lost = desk.lost(rule.code)
    remedy = " ".join(rule.remedy.split())
    return Proposal(
        source="rule",
        code=rule.code,
        title=f"Mend what leads to: {rule.title}",
        seen=(
            f"{plural(int(mine.sum()), 'ticket')} of the window ({span(a_month, count)} a month) "
            f"violate {rule.code}: {rule.title}."
        ),
        hypothesis=f"If this is done, fewer tickets will violate {rule.code}: {remedy}",
        how=desk.no_gain(rule.code) or _how_lost(desk),
        owner=rule.owner,
        mine=mine,
        tickets=a_month,
        hours=_won_back(lost, desk),
        kpi=desk.kpi_of_rule.get(rule.code),
        evidence=tuple(sorted(findings["fingerprint"])[:FINDINGS_NAMED]),
        approval=_approval(rule),
        critical=rule.severity is Severity.CRITICAL,
    )


def _approval(rule: Rule) -> str:
    if rule.control is not None:
        return "a control of changes"
    return "a change of how changes are made" if rule.case_type in CHANGES else ""


def _won_back(lost: Range, desk: Desk) -> Range:
    return times(desk.per_month(no_loss(lost)), desk.given.offences)


def _how_lost(desk: Desk) -> str:
    return (
        "time beyond that of tickets alike without the offence (adjusted; no proof that the "
        f"offence makes it); {assumed(desk.given.offences, of='of it')} won back"
    )


# --- candidates


def from_candidates(desk: Desk, found: Candidates) -> Iterator[Proposal]:
    """Yield a proposal for each candidate."""
    for one in found.found:
        yield _of_candidate(desk, one)


def _of_candidate(desk: Desk, one: Candidate) -> Proposal:
    kind = one.kind
    title, hypothesis, approval = _texts(one)
    words = {"category": kind.category, "service": kind.service}
    return Proposal(
        source="candidate",
        code=one.code,
        title=title,
        seen=one.sentence,
        hypothesis=hypothesis,
        how=_how_saved(one, desk.given),
        owner=desk.owner(kind.practice),
        mine=desk.marks(set(kind.cases)),
        tickets=kind.a_month,
        hours=one.hours,
        relieved=one.tickets,
        kpi=desk.kpi_named.get(_kpi_name(one)),
        scope={name: (word,) for name, word in words.items() if word is not None},
        evidence=(one.code,),
        approval=approval,
        relief="more first contacts" if one.sort == "knowledge gap" else "fewer tickets",
    )


def _texts(one: Candidate) -> tuple[str, str, str]:
    """Return title, hypothesis and what needs an approval."""
    kind, contact = one.kind, one.kind.contrasts["first_contact"].share
    name = kind_words(kind)
    if one.sort == "automation":
        does = f"If the tool settles {name} by itself, fewer such tickets will need a person."
        return f"Automate {name}", does, "an automatic step in a tool"
    if one.sort == "self-service":
        does = f"If customers can settle {name} themselves, fewer such tickets will come."
        return f"Let customers settle themselves: {name}", does, "a change of the portal"
    rise = "" if contact.value is None else f", of which {percent(contact.value)} are now"
    does = f"If first line has an article for {name}, more will be settled at first contact{rise}."
    return f"Write an article on {name}", does, ""


def _kpi_name(one: Candidate) -> str:
    if one.kind.case_type != "incident":
        return "median-time-to-fulfil"
    if one.sort != "knowledge gap":
        return "incidents-a-week"
    behind = one.tickets.value is not None
    return "first-contact-resolution" if behind else "median-time-to-resolve"


def _how_saved(one: Candidate, given: Definitions) -> str:
    if one.sort == "knowledge gap":
        return (
            "as many at first contact, and as fast, as elsewhere on the desk for "
            f"{assumed(given.knowledge)}"
        )
    reached = given.automation if one.sort == "automation" else given.self_service
    return f"tickets a month that no longer come, {assumed(reached)}, x median time to resolve"


# --- escalations


def from_escalations(desk: Desk) -> Iterator[Proposal]:
    """Yield a proposal for each escalated opportunity of which a finding lies in the window."""
    findings = desk.findings
    broken = {str(code): set(part[s.CASE_ID]) for code, part in findings.groupby("rule")}
    for one in desk.audit.escalations.opportunities:
        mine = findings[findings["fingerprint"].isin(one.findings)]
        if len(mine):
            yield _of_escalation(desk, one, mine, broken)


def _of_escalation(
    desk: Desk, one: Opportunity, mine: pd.DataFrame, broken: Mapping[str, set[str]]
) -> Proposal:
    marks = desk.marks(set(mine[s.CASE_ID]))
    rules = {rule.code: rule for rule in desk.audit.result.rules}
    codes = sorted(set(mine["rule"]))
    parts = [
        times(
            no_loss(desk.lost(code)),
            mine.loc[mine["rule"] == code, s.CASE_ID].nunique() / len(broken[code]),
        )
        for code in codes
    ]
    lost = _sum(parts)
    return Proposal(
        source="escalation",
        code=f"{one.pattern.code}-{one.fingerprint}",
        title=one.title,
        seen=one.seen,
        hypothesis=one.hypothesis,
        how=_how_together(codes, desk),
        owner=one.owner,
        mine=marks,
        tickets=desk.a_month(marks),
        hours=_won_back(lost, desk),
        kpi=one.kpi,
        scope=one.scope,
        evidence=one.findings[:FINDINGS_NAMED],
        approval=next((word for code in codes if (word := _approval(rules[code]))), ""),
        critical=any(rules[code].severity is Severity.CRITICAL for code in codes),
    )


def _how_together(codes: list[str], desk: Desk) -> str:
    untold = [f"{code}: {why}" for code in codes if (why := desk.no_gain(code))]
    if len(untold) == len(codes):
        return "; ".join(untold)
    rest = f". Not counted: {'; '.join(untold)}" if untold else ""
    return f"{_how_lost(desk)}{rest}"


def _sum(parts: list[Range]) -> Range:
    """Add up what is known; NOTHING where nothing is."""
    known = [one for one in parts if one.value is not None]
    if not known:
        return NOTHING
    return Range(
        sum(one.value or 0.0 for one in known),
        _all([one.low for one in known]),
        _all([one.high for one in known]),
    )


def _all(values: list[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) if len(known) == len(values) else None
