"""Why did a rule fire on a case of this log, or why not: `trueloop rules explain`.

The log is read and made ready as for an audit, with the same options; the rule is asked about all
of it, and what it says of the one case is told (`rules.explain_case`). The result is plain data:
the same for the screen and for --json.

Errors: CL030 for a case that the log does not have, CL031 for a rule that is about other cases.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc

from csi.audit import judged_at, make_ready
from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean
from process_mining.sources import open_log
from rules.catalogue import load_catalogue
from rules.check import check
from rules.explain_case import explain_case
from rules.waivers import load_waivers, waive

if TYPE_CHECKING:
    from collections.abc import Callable

    from csi.audit import AuditRequest, ReadyLog, Share
    from process_mining.eventlog import EventLog
    from rules.continuations import Ahead
    from rules.explain_case import CaseExplained, Step, Told, VersionTold
    from rules.spec import Rule

IDS_COMPARED: Final = 20_000
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def explain(
    code: str, case_id: str, request: AuditRequest, step: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Read the log, ask the rule, and say why the case has the verdict that it has."""
    step("rulebook")
    catalogue = load_catalogue(request.rules)
    versions = catalogue.versions(catalogue.rule(code).code)
    step("reading")
    log = open_log(request.logs, request.read)
    _require_case(log, case_id)
    as_of_us = judged_at(log, request.as_of)
    ready = make_ready(log, request, catalogue.practices, as_of_us=as_of_us, step=step)
    share, place = _place(ready, case_id)
    if versions[-1] not in catalogue.for_cases(share.practice.name):
        raise _other_cases(versions[-1], case_id, share)
    step(code)
    found = explain_case(
        share.prepared,
        share.practice,
        versions,
        place,
        doubts=ready.doubts,
        allowed=request.allow,
    )
    waived = _waived(request, log, ready, share, found)
    return _as_data(found, as_of_us if log.timed else None) | {"waived_by": waived}


def _require_case(log: EventLog, case_id: str) -> None:
    """Raise where the log has no such case; ids that begin or end alike are compared first."""
    ids = log.cases[s.CASE_ID].combine_chunks()
    if pc.index(ids, case_id).as_py() >= 0:
        return
    half = (len(case_id) + 1) // 2
    alike = pc.or_(pc.starts_with(ids, case_id[:half]), pc.ends_with(ids, case_id[-half:]))
    near = ids.filter(alike).slice(0, IDS_COMPARED).to_pylist() if case_id else []
    fix = did_you_mean(case_id, near or ids.slice(0, IDS_COMPARED).to_pylist())
    raise CodedError("CL030", f"the log has no case '{case_id}'", fix=fix)


def _place(ready: ReadyLog, case_id: str) -> tuple[Share, int]:
    """Find the practice's share in which a case lies, and its place there."""
    for share in ready.shares:
        ids = share.prepared.desk.log.cases[s.CASE_ID].combine_chunks()
        place = pc.index(ids, case_id).as_py()
        if place >= 0:
            return share, place
    msg = f"case '{case_id}' is of another practice than --practice names"
    raise CodedError("CL031", msg, fix="Leave --practice out, or name the case's own")


def _other_cases(rule: Rule, case_id: str, share: Share) -> CodedError:
    what = f"rule {rule.code} is about cases of '{rule.case_type}'"
    msg = f"{what}; case '{case_id}' is one of '{share.practice.name}'"
    return CodedError("CL031", msg, why="It says nothing of it", fix="Name a rule of that practice")


def _waived(
    request: AuditRequest, log: EventLog, ready: ReadyLog, share: Share, found: CaseExplained
) -> list[str]:
    """Name the waivers that cover the findings of the rule on the case."""
    if request.waivers is None:
        return []
    waivers = load_waivers(request.waivers)
    versions = [one.rule for one in found.versions]
    sha256, desk = log.meta.sha256, share.prepared.desk
    result = check(desk, versions, log_sha256=sha256, doubts=ready.doubts, allowed=request.allow)
    as_of_us = desk.as_of_us if log.timed else None
    covered, _ = waive(result, waivers, cases=desk.log.cases, as_of_us=as_of_us)
    mine = covered.findings.filter(pc.equal(covered.findings["case_id"], found.case_id))
    return sorted(set(mine["waived_by"].drop_null().to_pylist()))


# --- as data


def _as_data(found: CaseExplained, as_of_us: int | None) -> dict[str, Any]:
    rule = found.rule
    return {
        "rule": rule.code,
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity.word,
        "practice": found.practice,
        "case": found.case_id,
        "ended": found.ended,
        "as_of": _moment(as_of_us),
        "verdict": found.verdict.word,
        "versions": [_version(one) for one in found.versions],
        "events": [_event(one) for one in found.steps],
    }


def _version(one: VersionTold) -> dict[str, Any]:
    rule = one.rule
    return {
        "version": rule.version,
        "valid_from": rule.valid_from.isoformat(),
        "valid_until": None if rule.valid_until is None else rule.valid_until.isoformat(),
        "template": rule.template,
        "expected": one.expected,
        "only_for": [condition.words for condition in rule.scope],
        "verdict": one.verdict.word,
        "by_table": one.by_table.word,
        "facts": [
            {"name": fact.name, "value": fact.value, "meaning": fact.meaning} for fact in one.facts
        ],
        "table": [
            {
                "verdict": row.verdict.word,
                "holds": row.holds,
                "conditions": [
                    {"fact": c.fact, "demanded": c.demanded, "value": c.value, "holds": c.holds}
                    for c in row.conditions
                ],
            }
            for row in one.rows
        ],
        "judged_events": one.judged,
        "measured": one.measured,
        "limit": one.limit,
        "unit": one.unit,
        "finding": None if one.finding is None else _finding(one.finding),
        "unknown_because": [{"code": why.code, "text": why.text} for why in one.reasons],
        "vacuous_because": list(one.vacuous),
        "pending": None if one.ahead is None else _pending(one.ahead),
    }


def _finding(told: Told) -> dict[str, str]:
    return {"message": told.message, "seen": told.seen, "fingerprint": told.fingerprint}


def _pending(ahead: Ahead) -> dict[str, Any]:
    return {
        "until": _moment(ahead.until_us),
        "then": None if ahead.then is None else ahead.then.word,
        "next": [
            {"activity": step.activity, "by": step.by, "verdict": step.verdict.word}
            for step in ahead.steps
        ],
    }


def _event(step: Step) -> dict[str, Any]:
    return {
        "seq": step.seq,
        "at": _moment(step.at_us),
        "activity": step.activity,
        "raw": step.raw,
        "team": step.team,
        "actor": step.actor,
        "version": step.version,
        "marks": [{"version": version, "mark": mark} for version, mark in step.marks],
    }


def _moment(at_us: int | None) -> str | None:
    """Write a moment as ISO 8601 in UTC, to the microsecond where it has one."""
    return None if at_us is None else (EPOCH + dt.timedelta(microseconds=at_us)).isoformat()
