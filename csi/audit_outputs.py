"""What does an audit leave behind? The files that scripts and people read.

`summary.json`, `findings.parquet`, `findings.csv`, `cases.parquet`, `escalations.parquet`,
`opportunities.json` and `report.html` depend on the content of the log alone: not on the order of
its rows, nor on the day. `provenance.json` beside them names the files that were read and the
SHA-256 of every file that was written.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.conformance import Standing, case_figures
from csi.escalations import escalation_row, opportunities_json
from csi.feedback import join, summarise
from csi.manifest import sha256_of
from csi.outputs import whole_set, write_csv, write_json, write_parquet, write_text
from csi.report.audit_page import audit_page, model_name
from csi.report.words import moment
from process_mining import schema as s
from process_mining.columnar.sql import variants
from rules.service_level import attainment
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from csi.audit import Audit, PracticeAudit
    from process_mining.eventlog import EventLog
    from process_mining.quality import Defect, Quality
    from rules.spec import Tally
    from rules.waivers import WaiverUse

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FILES: Final = (
    "summary.json",
    "findings.parquet",
    "findings.csv",
    "cases.parquet",
    "escalations.parquet",
    "opportunities.json",
    "report.html",
)
PROVENANCE: Final = "provenance.json"
ASK: Final = "Ask feedback"
DURATION: Final = "us"


def summary_of(audit: Audit) -> dict[str, Any]:
    """Return what summary.json holds (design.md section 6), and what the report shows."""
    return {
        "log": log_row(audit.log, audit.quality),
        "targets": "shipped" if audit.request.targets is None else "given",
        "as_of": moment(audit.as_of_us) if audit.log.timed else None,
        "not_audited": audit.log.n_cases - sum(p.translation.log.n_cases for p in audit.practices),
        "practices": [_practice(part) for part in audit.practices],
        "conformance": [_conformance(part) for part in audit.practices if part.prepared.alignments],
        "rules": [_rule(tally, audit) for tally in audit.result.tallies],
        "findings": audit.result.findings.num_rows,
        "quality": [_defect(defect, audit) for defect in audit.quality.defects],
        "allowed": sorted(audit.request.allow),
        "waivers": [_waiver(use) for use in audit.waivers],
        "escalations": [escalation_row(one) for one in audit.escalations.escalations],
        "not_escalated": dict(audit.escalations.left_out),
        "service_levels": [row for part in audit.practices for row in _levels(part, audit)],
        "feedback": _feedback(audit),
        "exit_code": audit.exit_code,
    }


def log_row(log: EventLog, quality: Quality) -> dict[str, Any]:
    """What a log is, and what happened to it on the way in."""
    return {
        "sha256": log.meta.sha256,
        "source": log.meta.source,
        "events": log.n_events,
        "cases": log.n_cases,
        "variants": len(variants(log)),
        "variants_with_lifecycle": _with_lifecycle(log),
        "rejected": log.meta.rejects.num_rows,
        "rows_in": log.meta.rows_in,
        "first": moment(int(log.arrays.at.min())) if log.n_events and log.timed else None,
        "last": moment(int(log.arrays.at.max())) if log.n_events and log.timed else None,
        "clear_names": log.meta.clear_names,
        "clear_contacts": log.meta.clear_contacts,
        "masked": dict(log.meta.masked),
        "links": log.links.num_rows,
        "notes": list(quality.notes),
    }


def _with_lifecycle(log: EventLog) -> int | None:
    """Variants by activity and lifecycle together; None where no event has a lifecycle.

    Some tools keep a sub-status there (BPI Challenge 2013), so that the activity alone says little.
    """
    if log.events[s.LIFECYCLE].null_count == log.n_events:
        return None
    lifecycle = pc.fill_null(log.events[s.LIFECYCLE], "")
    joint = pc.binary_join_element_wise(log.events[s.ACTIVITY], lifecycle, "+")
    return len(variants(log.with_columns(events={s.ACTIVITY: joint})))


def write_audit(
    audit: Audit, summary: dict[str, Any], out: Path, report_date: dt.datetime | None
) -> None:
    """Write every file of an audit: all of them, or, where one cannot be written, none."""
    judged = EPOCH + dt.timedelta(microseconds=audit.as_of_us) if audit.log.timed else None
    moment_shown = report_date or judged
    with whole_set(out, (*FILES, PROVENANCE)) as aside:
        write_json(aside / "summary.json", summary)
        write_parquet(aside / "findings.parquet", audit.result.findings)
        # in the table `seen` says in words what `evidence` holds
        write_csv(aside / "findings.csv", audit.result.findings.drop_columns(["evidence"]))
        write_parquet(aside / "cases.parquet", cases_of(audit))
        write_parquet(aside / "escalations.parquet", audit.escalations.table())
        proposed = opportunities_json(audit.escalations, audit.log.meta.sha256)
        write_json(aside / "opportunities.json", proposed)
        date = None if moment_shown is None else moment_shown.date()
        write_text(aside / "report.html", audit_page(audit, summary, date))
        written = {name: sha256_of(aside / name) for name in FILES}
        write_json(aside / PROVENANCE, {"read": _read_files(audit), "written": written})


def _read_files(audit: Audit) -> list[dict[str, Any]]:
    """Every file that the audit was given: the logs by their hash, and what it judged them by."""
    request = audit.request
    named = [
        ("mapping", request.read.mapping),
        ("model", request.model),
        ("targets", request.targets),
        ("waivers", request.waivers),
        ("surveys", request.surveys),
    ]
    folders = [path for folder in request.rules for path in sorted(folder.rglob("*.toml"))]
    named += [("rules", path) for path in folders]
    files = sorted(audit.log.meta.files, key=lambda file: (file.sha256, file.name))
    logs = [{"role": "log"} | asdict(file) for file in files]
    return logs + [
        {"role": role, "name": path.name, "sha256": sha256_of(path), "size": path.stat().st_size}
        for role, path in named
        if path is not None
    ]


def cases_of(audit: Audit) -> pa.Table:
    """One row a case: its columns, whether it is complete, its cost, and the rules it breaks."""
    parts = [_case_rows(part) for part in audit.practices]
    table = pa.concat_tables(parts, promote_options="default")
    return table.sort_by([(s.CASE_ID, "ascending")])


def _case_rows(part: PracticeAudit) -> pa.Table:
    cases, aligned = part.translation.log.cases, part.prepared.desk.alignment
    for name in (s.OPENED, s.RESOLVED, s.CLOSED):
        index = cases.schema.get_field_index(name)
        cases = cases.set_column(index, name, cases[name].cast(s.UTC_US))
    cases = cases.append_column(s.COMPLETE, pa.array(part.translation.complete))
    cases = cases.append_column("words_known", pa.array(~part.translation.has_unmapped))
    cases = cases.append_column("trace_known", pa.array(~part.in_doubt))
    none = pa.nulls(cases.num_rows, pa.int64())
    cases = cases.append_column("cost", none if aligned is None else pa.array(aligned.upper))
    return cases.append_column("violates", _broken(part))


def _broken(part: PracticeAudit) -> pa.Array:
    """The codes of the rules that each case violates, as a list."""
    broken = part.result.verdicts == Verdict.VIOLATES
    rules, cases = np.nonzero(broken)
    order = np.lexsort((rules, cases))
    codes = pa.array([rule.code for rule in part.result.rules], pa.string())
    offsets = np.concatenate([[0], np.cumsum(broken.sum(axis=0))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), codes.take(pa.array(rules[order])))


def _practice(part: PracticeAudit) -> dict[str, Any]:
    found = part.translation
    return {
        "practice": part.practice.name,
        "cases": found.log.n_cases,
        "complete": int(found.complete.sum()),
        "vocabulary": found.vocabulary.name,
        "steps": found.steps,
        "updates": found.updates,
        "unmapped": dict(found.unmapped),
        "unobserved": list(found.unobserved),
    }


def _conformance(part: PracticeAudit) -> dict[str, Any]:
    """Figures over the ended cases whose order, words and trace are all known."""
    prepared = part.prepared
    alignments = prepared.alignments
    assert alignments is not None  # noqa: S101 - the caller asks only where there is a model
    standing = Standing.of(prepared.desk, part.in_doubt)
    return {
        "practice": part.practice.name,
        "model": model_name(part),
        "soundness": alignments.model.soundness,
        **case_figures(standing, alignments),
    }


def _levels(part: PracticeAudit, audit: Audit) -> list[dict[str, Any]]:
    limits = {target.name: target.limit_us for target in audit.service_levels.targets}
    rows = attainment(part.clocks).to_pylist()
    return [row | {"limit_us": limits[row["target"]]} for row in rows]


def _rule(tally: Tally, audit: Audit) -> dict[str, Any]:
    rule, interval, net = tally.rule, tally.interval, tally.net_interval
    return {
        "code": rule.code,
        "name": rule.name,
        "title": rule.title,
        "practice": rule.practice,
        "severity": rule.severity.word,
        "severity_rank": int(rule.severity),
        "owner": rule.owner,
        "version": rule.version,
        "conforms": tally.conforms,
        "violates": tally.violates,
        "pending": tally.pending,
        "vacuous": tally.vacuous,
        "unknown": tally.unknown,
        "waived": tally.waived,
        "rate": tally.rate,
        "interval": None if interval is None else list(interval),
        "net_rate": tally.net_rate,
        "net_interval": None if net is None else list(net),
        "excess_us": _excess(rule.code, audit.result.findings),
        "unknown_because": audit.result.causes.get(rule.code, ""),
    }


def _waiver(use: WaiverUse) -> dict[str, Any]:
    """One waiver as it was granted, how it stands, and what it covered."""
    waiver = use.waiver
    return {
        "id": waiver.id,
        "rule": waiver.rule,
        "reason": waiver.reason,
        "approver": waiver.approver,
        "granted": waiver.granted.isoformat(),
        "expires": waiver.expires.isoformat(),
        "scope": {name: sorted(texts) for name, texts in sorted(waiver.scope.items())},
        "state": use.state,
        "findings": use.findings,
        "cases": use.cases,
        "orphan": use.orphan or None,
    }


def _excess(code: str, findings: pa.Table) -> int | None:
    """The time by which a rule's findings exceed their limit, in all.

    None for other units, and where limits differ: hours of different calendars cannot be added.
    """
    mine = findings.filter(
        pc.and_(pc.equal(findings["rule"], code), pc.equal(findings["unit"], DURATION))
    )
    if pc.count_distinct(mine["limit"]).as_py() != 1:
        return None
    over = pc.sum(pc.subtract(mine["measured"], mine["limit"])).as_py()
    return max(0, over or 0)


def _defect(defect: Defect, audit: Audit) -> dict[str, Any]:
    """One finding of the gate, with the verdicts that are UNKNOWN because of it: rule -> cases."""
    taken = audit.result.downgraded.get(defect.code, {})
    return defect_row(defect) | {
        "downgrades": dict(taken),
        "allowed": defect.code in audit.request.allow,
    }


def defect_row(defect: Defect) -> dict[str, Any]:
    """One finding of the gate as JSON holds it."""
    names = ("code", "name", "subject", "count", "of", "unit", "share", "examples")
    row = {name: getattr(defect, name) for name in (*names, "explanation", "makes_unknown")}
    return row | {name: list(row[name]) for name in ("examples", "makes_unknown")}


def _asked_about(audit: Audit) -> npt.NDArray[np.bool_]:
    """The ended cases of practices that ask for feedback, in the order of the log's cases."""
    ids = [
        part.translation.log.cases[s.CASE_ID].filter(pa.array(part.translation.complete))
        for part in audit.practices
        if ASK in part.practice.outside_model
    ]
    asked = pa.chunked_array([chunk for one in ids for chunk in one.chunks], pa.string())
    mine = pc.is_in(audit.log.cases[s.CASE_ID].combine_chunks(), value_set=asked.combine_chunks())
    return np.asarray(mine.to_numpy(zero_copy_only=False), dtype=bool)


def _feedback(audit: Audit) -> dict[str, Any] | None:
    if audit.feedback is None:
        return None
    joined = join(audit.feedback, audit.log, eligible=_asked_about(audit))
    (found,) = summarise(joined.responses)
    return {
        "asked": found.asked,
        "answered": found.answered,
        "response_rate": asdict(found.response_rate),
        "csat": asdict(found.csat),
        "csat_bounds": asdict(found.csat_bounds),
        "satisfied": asdict(found.satisfied),
        "unmatched": joined.unmatched.num_rows,
        "refused": audit.feedback.rejects.num_rows,
        "never_asked": joined.never_asked,
    }
