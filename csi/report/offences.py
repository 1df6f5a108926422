"""What does a reader see of each offence: what must hold, who must act, and tickets that show it?

For each rule a few tickets are shown with their events; all findings are in findings.csv beside the
page. What is waived stays, and says by whose leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from csi.report.words import moment, number, percent, plural
from process_mining import schema as s
from rules.catalogue import describe
from rules.waivers import NO_RULE

if TYPE_CHECKING:
    from csi.audit import Audit, PracticeAudit
    from rules.spec import Rule, Tally
    from rules.waivers import WaiverUse

TICKETS_SHOWN: Final = 8
EVENTS_SHOWN: Final = 40
BAR: Final = (
    ("c", "conforms"),
    ("v", "violates"),
    ("p", "pending"),
    ("u", "unknown"),
    ("e", "vacuous"),
)
CONTROLS: Final = {
    "request": "Changes are requested",
    "approval": "Another person approves before deployment",
    "test": "Changes are tested",
    "segregation-of-duties": "Duties are segregated",
    "review": "Changes are reviewed",
}


def offence(audit: Audit, tally: Tally) -> dict[str, Any]:
    """Return what the page shows of one rule."""
    rule = tally.rule
    tickets = _tickets(audit, rule)
    shown = f"{len(tickets)} of {plural(tally.violates, 'ticket')} shown; findings.csv has all."
    return {
        "code": rule.code,
        "title": rule.title,
        "severity": rule.severity.word,
        "verdicts": _verdicts(tally),
        "demand": describe(rule),
        "scope": "; ".join(one.words for one in rule.scope),
        "why": rule.why,
        "remedy": rule.remedy,
        "owner": rule.owner,
        "reference": _reference(rule),
        "known": " ".join(rule.known_problems),
        "cause": audit.result.causes.get(rule.code, ""),
        "tickets": tickets,
        "shown": shown,
    }


def _verdicts(tally: Tally) -> str:
    words = [f"{number(getattr(tally, name))} {name}" for _, name in BAR]
    rate = ""
    if tally.interval is not None:
        rate = f" Rate {percent(tally.rate or 0.0, tally.interval)}, n = {number(tally.n)}."
    if tally.waived:
        rate += f" {number(tally.waived)} of the violating tickets are waived"
        if tally.net_interval is not None:
            net = percent(tally.net_rate or 0.0, tally.net_interval)
            rate += f"; without them the rate is {net}, n = {number(tally.net_n)}"
        rate += "."
    return ", ".join(words) + "." + rate


def _reference(rule: Rule) -> str:
    parts = [f"ITIL 4 {rule.reference.itil}"]
    parts += [f"ISO/IEC 20000-1 {rule.reference.iso20000}"] * bool(rule.reference.iso20000)
    parts += [f"FitSM {clause}" for clause in rule.reference.fitsm]
    return ", ".join(parts)


def _tickets(audit: Audit, rule: Rule) -> list[dict[str, Any]]:
    """The tickets furthest over the limit, else the first by id, each with its events."""
    found = audit.result.findings
    mine = found.filter(pc.equal(found["rule"], rule.code))
    names = ["case_id", "seqs", "message", "seen", "waived_by", "rule_version"]
    frame = mine.select([*names, "measured", "limit"]).to_pandas()
    frame["excess"] = (frame["measured"] - frame["limit"]).abs().fillna(0)
    order = ["excess", "case_id", "rule_version"]
    frame = frame.sort_values(order, ascending=[False, True, True]).head(TICKETS_SHOWN)
    return [_ticket(audit, row) for row in frame.to_dict(orient="records")]


def _ticket(audit: Audit, row: dict[str, Any]) -> dict[str, Any]:
    part, case = _place(audit, row["case_id"])
    log, seqs = part.translation.log, set(row["seqs"])
    first, last = log.arrays.offsets[case : case + 2]
    events = log.events.slice(first, min(last - first, EVENTS_SHOWN)).to_pylist()
    hidden = (last - first) - len(events)
    waived = row["waived_by"]
    return {
        "case_id": row["case_id"],
        "message": row["message"],
        "seen": row["seen"],
        "waived": f"waived by {waived}" if isinstance(waived, str) else "",
        "events": [_event(event, seqs) for event in events],
        "more": f"{hidden} further events are not shown." if hidden else "",
    }


def _place(audit: Audit, case_id: str) -> tuple[PracticeAudit, int]:
    """Return the practice that a ticket belongs to, and its place among that one's cases."""
    wanted = pa.scalar(case_id)
    places = (
        (part, pc.index(part.translation.log.cases[s.CASE_ID], wanted).as_py())
        for part in audit.practices
    )
    return next((part, place) for part, place in places if place >= 0)


def _event(event: dict[str, Any], seqs: set[int]) -> dict[str, Any]:
    step = event[s.ACTIVITY] or f"(update in {event[s.RAW_ACTIVITY]})"
    return {
        "seq": event[s.SEQ],
        "at": "" if event[s.AT] is None else moment(event[s.AT])[:16].replace("T", " "),
        "step": step,
        "team": event[s.TEAM] or "",
        "actor": event[s.ACTOR] or "",
        "hit": event[s.SEQ] in seqs,
    }


def control_rows(audit: Audit) -> list[dict[str, Any]]:
    """Return each control of change enablement with the rules that serve it, in a fixed order."""
    return [
        {"control": words, "rules": [_control_rule(tally) for tally in mine]}
        for name, words in CONTROLS.items()
        if (mine := [one for one in audit.result.tallies if one.rule.control == name])
    ]


def _control_rule(tally: Tally) -> dict[str, str]:
    decided = tally.rate is not None
    return {
        "code": tally.rule.code,
        "title": tally.rule.title,
        "violates": number(tally.violates),
        "n": number(tally.n),
        "rate": percent(tally.rate or 0.0, tally.interval) if decided else "not decided",
        "unknown": number(tally.unknown),
    }


def waiver_row(use: WaiverUse) -> dict[str, Any]:
    """Return what the page shows of one waiver."""
    waiver = use.waiver
    scope = [f"{name} {' or '.join(sorted(texts))}" for name, texts in sorted(waiver.scope.items())]
    covered = f"{plural(use.findings, 'finding')} in {plural(use.cases, 'ticket')}"
    return {
        "id": waiver.id,
        "rule": waiver.rule,
        "judged": use.orphan != NO_RULE,
        "scope": "; ".join(scope) or "every ticket",
        "reason": waiver.reason,
        "approver": waiver.approver,
        "time": f"{waiver.granted} until {waiver.expires} (excluded)",
        "state": use.state,
        "covered": covered if not use.orphan else f"Nothing: {use.orphan}",
    }
