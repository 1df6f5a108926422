"""What does a process owner read? The audit as one page: how conformant, where not, who must act.

Everything that the template shows is put into words here, from the audit and its summary. For each
rule a few tickets are shown with their events; all findings are in findings.csv beside the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from markupsafe import Markup

from csi.conformance import Standing, activity_rows, deviation_rows, weights
from csi.ranking import worst_rules
from csi.report.deviation_words import anchors, groups, marks_of, meanings, rest
from csi.report.drawings.bpmn import draw_bpmn, width_of
from csi.report.drawings.process_map import draw_process_map
from csi.report.escalated import escalated, escalated_note
from csi.report.inspect_page import defect_words, privacy_words
from csi.report.offences import BAR, control_rows, offence, waiver_row
from csi.report.page import render
from csi.report.words import duration, number, percent, plural, range_of_shares, score
from process_mining import schema as s
from process_mining.discovery import process_map, rework
from process_mining.model import SOUND
from process_mining.organisation import handover_summary
from rules.durations import duration_words

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from csi.audit import Audit, PracticeAudit
    from process_mining.discovery import ProcessMap
    from process_mining.eventlog import EventLog
    from process_mining.organisation import Handover, HandoverSummary

TICKETS_SHOWN = 8
EVENTS_SHOWN = 40
VARIANTS_SHOWN = 10
REWORK_SHOWN = 5
WORST_SHOWN = 3
MAP_ACTIVITIES = 25
MODELS_APART = 4


@dataclass(frozen=True)
class AuditPage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    headline: str
    figures: Sequence[dict[str, str]]
    models: Sequence[dict[str, str]]
    worst: Sequence[dict[str, str]]
    parts: Sequence[dict[str, str]]
    escalations: Sequence[dict[str, Any]]
    escalations_note: str
    rules: Sequence[dict[str, Any]]
    silent: Sequence[dict[str, str]]
    practices: Sequence[dict[str, Any]]
    levels: Sequence[dict[str, str]]
    levels_note: str
    feedback: Sequence[tuple[str, str]]
    offences: Sequence[dict[str, Any]]
    controls: Sequence[dict[str, Any]]
    waivers: Sequence[dict[str, Any]]
    quality_note: str
    defects: Sequence[dict[str, str]]
    provenance: Sequence[tuple[str, str]]


def audit_page(audit: Audit, summary: dict[str, Any], report_date: dt.date | None) -> str:
    """Return the page as HTML."""
    title = "Conformance audit" + (f", {report_date.isoformat()}" if report_date else "")
    return render("audit.html.j2", title=title, page=_page(audit, summary))


def _page(audit: Audit, summary: dict[str, Any]) -> AuditPage:
    worst = worst_rules(summary)
    return AuditPage(
        scope=_scope(audit, summary),
        headline=_headline(audit, summary, worst),
        figures=_figures(audit, summary),
        models=_models(audit, summary),
        worst=[_offence_card(row) for row in worst[:WORST_SHOWN]],
        parts=_parts(audit, summary),
        escalations=escalated(audit.escalations),
        escalations_note=escalated_note(audit.escalations),
        rules=[_rule_row(row) for row in summary["rules"] if not _is_silent(row)],
        silent=[_silent_row(row) for row in summary["rules"] if _is_silent(row)],
        practices=[_practice(part) for part in audit.practices],
        levels=[_level(row) for row in summary["service_levels"]],
        levels_note=_levels_note(summary),
        feedback=_feedback(summary["feedback"]),
        offences=[offence(audit, tally) for tally in audit.result.tallies],
        controls=control_rows(audit),
        waivers=[waiver_row(use) for use in audit.waivers],
        quality_note=_quality_note(summary),
        defects=[defect_words(row) for row in summary["quality"]],
        provenance=_provenance(summary),
    )


def _scope(audit: Audit, summary: dict[str, Any]) -> str:
    log = summary["log"]
    span = f"{log['first'][:10]} to {log['last'][:10]}" if log["first"] else "without times"
    names = ", ".join(part.practice.title for part in audit.practices)
    refused = log["rejected"]
    left = summary["not_audited"]
    other = f", {plural(left, 'ticket')} of other practices not audited" if left else ""
    as_of = summary["as_of"]
    judged = "as they stand" if as_of is None else f"as of {as_of[:16].replace('T', ' ')} UTC"
    return (
        f"{names}: {number(log['cases'])} tickets with {number(log['events'])} events, {span}; "
        f"{number(refused)} rows refused{other}. Open tickets are judged {judged}."
    )


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "none"


def _headline(audit: Audit, summary: dict[str, Any], worst: Sequence[dict[str, Any]]) -> str:
    compared = _compared(audit, summary)
    said = "No ended ticket could be compared with a reference model"
    if len(compared) > MODELS_APART:
        said = f"{_all_share(compared)} of {plural(_all_cases(compared), 'ended ticket')} in "
        said += f"{len(compared)} practices follow their reference models"
    elif compared:
        said = "; ".join(
            f"{_share(row['fitting_cases'], row['cases'])} of the ended tickets of "
            f"{title.lower()} follow the reference model"
            for title, row in compared
        )
    of = f"{len(worst)} of {plural(len(summary['rules']), 'rule')}"
    return f"{said}. {of} violated{'; the worst:' if worst else '.'}"


def _compared(audit: Audit, summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The practices of which ended tickets could be compared with a model, by title."""
    titles = {part.practice.name: part.practice.title for part in audit.practices}
    return [(titles[row["practice"]], row) for row in summary["conformance"] if row["cases"]]


def _all_cases(compared: Sequence[tuple[str, dict[str, Any]]]) -> int:
    return sum(int(row["cases"]) for _, row in compared)


def _all_share(compared: Sequence[tuple[str, dict[str, Any]]]) -> str:
    return _share(sum(row["fitting_cases"] for _, row in compared), _all_cases(compared))


def _of(row: dict[str, Any]) -> str:
    decided = row["conforms"] + row["violates"]
    share = _share(row["violates"], decided)
    return f"{number(row['violates'])} of {number(decided)} decided tickets, {share}"


def _figures(audit: Audit, summary: dict[str, Any]) -> list[dict[str, str]]:
    cards = _model_cards(_compared(audit, summary))
    cards += [_attainment_card(summary, metric) for metric in METRICS]
    if summary["feedback"]:
        cards.append(_feedback_card(summary["feedback"]))
    return [card for card in cards if card]


def _model_cards(compared: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, str]]:
    """One card a practice; of many practices one for all, and the table of models has each."""
    if len(compared) > MODELS_APART:
        title, least = min(compared, key=lambda one: one[1]["fitting_cases"] / one[1]["cases"])
        low = _share(least["fitting_cases"], least["cases"])
        note = f"{plural(_all_cases(compared), 'ended ticket')} in {len(compared)} practices; "
        note += f"fewest in {title.lower()}, {low}"
        return [{"label": "Follow their models", "value": _all_share(compared), "note": note}]
    return [
        {
            "label": f"Follow the model: {title.lower()}",
            "value": _share(row["fitting_cases"], row["cases"]),
            "note": f"{number(row['fitting_cases'])} of {number(row['cases'])} ended tickets; "
            f"mean fitness {score(row['fitness_mean'])}{_unproven(row)}",
        }
        for title, row in compared
    ]


def _models(audit: Audit, summary: dict[str, Any]) -> list[dict[str, str]]:
    """The table of models, where there are too many for a card each."""
    compared = _compared(audit, summary)
    return [
        {
            "id": _anchor(row["practice"]),
            "title": title,
            "fitting": number(row["fitting_cases"]),
            "cases": number(row["cases"]),
            "share": _share(row["fitting_cases"], row["cases"]),
            "fitness": f"{score(row['fitness_mean'])}{_unproven(row)}",
        }
        for title, row in (compared if len(compared) > MODELS_APART else [])
    ]


def _unproven(row: dict[str, Any]) -> str:
    sound = row["soundness"] == SOUND
    return "" if sound else f"; the model's soundness is {row['soundness']}"


GIVEN = "given"
OURS = "measured against the targets that ship with trueloop; give your own"
METRICS = {"respond": "Response in time", "resolve": "Resolved in time"}


def _attainment_card(summary: dict[str, Any], metric: str) -> dict[str, str]:
    about = ("SLA", metric)
    rows = [r for r in summary["service_levels"] if (r["agreement"], r["metric"]) == about]
    met, breached, unknown = (sum(r[key] for r in rows) for key in ("met", "breached", "unknown"))
    whole = met + breached + unknown
    if not whole:
        return {}
    whose = "" if summary["targets"] == GIVEN else f"; {OURS}"
    note = f"{number(met)} of {number(met + breached)} clocks met or breached, all targets{whose}"
    if unknown:
        value = range_of_shares(met / whole, (met + unknown) / whole)
        note = f"{number(unknown)} of {number(whole)} clocks cannot be told from this log{whose}"
        return {"label": METRICS[metric], "value": value, "note": note}
    return {"label": METRICS[metric], "value": _share(met, met + breached), "note": note}


def _offence_card(row: dict[str, Any]) -> dict[str, str]:
    return {
        "code": row["code"],
        "title": row["title"],
        "severity": row["severity"],
        "count": _of(row),
        "cost": _cost(row),
        "owner": row["owner"],
    }


def _cost(row: dict[str, Any]) -> str:
    """Say what the offence costs in time where the rule has a limit in time."""
    if row["excess_us"]:
        hours = row["excess_us"] / s.US_PER_HOUR
        return f"In all {number(hours, 0)} h over the limit, in the hours of its calendar."
    return ""


def _parts(audit: Audit, summary: dict[str, Any]) -> list[dict[str, str]]:
    parts = [("escalations", "Escalations")] * bool(summary["escalations"])
    parts += [("rules", "Rules")]
    parts += [("controls", "Change controls")] * bool(control_rows(audit))
    parts += [("waivers", "Waivers")] * bool(audit.waivers)
    parts += [("models", "Reference models")] * bool(_models(audit, summary))
    parts += [(_anchor(part.practice.name), part.practice.title) for part in audit.practices]
    parts += [("levels", "Service levels")] * bool(summary["service_levels"])
    parts += [("feedback", "Feedback")] * bool(summary["feedback"])
    parts += [("offences", "Offences and tickets"), ("quality", "Quality of the log")]
    return [{"id": key, "name": name} for key, name in parts]


def _anchor(practice: str) -> str:
    """Where a practice's section begins; a practice may be called like another part of the page."""
    return f"practice-{practice}"


def _is_silent(row: dict[str, Any]) -> bool:
    """Tell whether the log cannot answer the rule for a single ticket."""
    return bool(row["unknown"]) and not any(row[name] for _, name in BAR if name != "unknown")


def _silent_row(row: dict[str, Any]) -> dict[str, str]:
    return {"code": row["code"], "title": row["title"], "because": row["unknown_because"]}


def _rule_row(row: dict[str, Any]) -> dict[str, Any]:
    total = sum(row[name] for _, name in BAR)
    shown = {name: number(row[name]) for _, name in BAR}
    decided = row["rate"] is not None
    return shown | {
        "code": row["code"],
        "title": row["title"],
        "severity": row["severity"],
        "rate": percent(row["rate"]) if decided else "",
        "interval": range_of_shares(*row["interval"]) if decided else "",
        "net": _net(row),
        "bar": [(cls, round(100 * row[name] / total, 2)) for cls, name in BAR] if total else [],
        "spoken": ", ".join(f"{shown[name]} {name}" for _, name in BAR),
    }


def _net(row: dict[str, Any]) -> str:
    """Say the rate without waived tickets, where there are any."""
    if not row["waived"]:
        return ""
    rate = "none decided" if row["net_rate"] is None else percent(row["net_rate"])
    return f"net {rate}, {number(row['waived'])} waived"


def _practice(part: PracticeAudit) -> dict[str, Any]:
    practice, log = part.practice, part.translation.log
    leave_out = practice.outside_model
    flow = process_map(log, leave_out=leave_out, top_activities=MAP_ACTIVITIES)
    hands = handover_summary(log)
    return {
        "id": _anchor(practice.name),
        "title": practice.title,
        "words": _words(part),
        "model_name": model_name(part),
        **_model(part),
        "map": Markup(draw_process_map(flow, name=f"map-{practice.name}")),  # noqa: S704 - our own drawing
        "map_note": _map_note(flow),
        "variants": _variants(part),
        "rework": _rework(log, leave_out),
        "handovers": [_handover(row) for row in hands.top],
        "handover_note": _handover_note(hands),
    }


def model_name(part: PracticeAudit) -> str:
    """The reference model by name and version, as far as it has one."""
    model = part.prepared.model
    return "" if model is None else f"{model.name} {model.version}".strip()


def _words(part: PracticeAudit) -> str:
    found = part.translation
    said = (
        f"{number(part.translation.log.n_cases)} tickets, read in the words of vocabulary "
        f"'{found.vocabulary.name}': {number(found.steps)} steps, and {number(found.updates)} "
        f"updates that are no step."
    )
    tied = found.log.n_cases - int(pc.sum(found.log.cases[s.ORDER_KNOWN]).as_py() or 0)
    if tied:
        said += (
            f" In {plural(tied, 'ticket')} events share a time and the source declares no order: "
            "what hangs on the order is unknown for them."
        )
    if found.unobserved:
        said += f" This source cannot record: {', '.join(found.unobserved)}."
    if found.unmapped:
        words = ", ".join(f"{word} ({number(n)})" for word, n in sorted(found.unmapped.items()))
        said += f" Words outside the vocabulary: {words}."
    return said


def _model(part: PracticeAudit) -> dict[str, Any]:
    """The drawing of the reference model, and the deviations of the judged tickets from it."""
    found, alignments, prepared = part.translation, part.prepared.alignments, part.prepared
    if alignments is None or prepared.deviations is None or prepared.model is None:
        return {"model": "", "model_width": 0, "model_note": "", "deviations": None}
    standing = Standing.of(prepared.desk, part.in_doubt)
    judged = weights(alignments, standing.judged)
    activities = activity_rows(alignments, prepared.deviations, judged)
    case_ids = found.log.cases[s.CASE_ID]
    rows = deviation_rows(alignments, prepared.deviations, standing, case_ids)
    prefix = f"{part.practice.name}-at"
    places = anchors(activities, prefix)
    drawn = draw_bpmn(
        prepared.model.diagram,
        marks=marks_of(activities, places),
        unrecorded=found.unobserved,
        name=f"model-{part.practice.name}",
        title=f"Reference model of {part.practice.title.lower()}",
    )
    return {
        "model": Markup(drawn),  # noqa: S704 - our own drawing
        "model_width": width_of(prepared.model.diagram),
        "model_note": _model_note(rows),
        "deviations": {
            "kinds": meanings(),
            "groups": groups(activities, rows, places),
            "rest": rest(activities, "trueloop conform has them all"),
            "rest_id": f"{prefix}-more",
        },
    }


def _model_note(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "No ended ticket leaves it."
    said = [f"{row['text']} ({plural(row['cases'], 'ticket')})" for row in rows[:WORST_SHOWN]]
    return f"Most often: {'; '.join(said)}, of {number(rows[0]['of'])} ended tickets."


def _map_note(flow: ProcessMap) -> str:
    hidden = flow.left_out
    said = "Numbers: how often, and the median time from one step to the next."
    if hidden.edges or hidden.activities:
        said += (
            f" Left out for reading: {number(hidden.edges)} rarer successions "
            f"({number(hidden.successions)} times) and {number(hidden.activities)} rarer steps."
        )
    return said


def _variants(part: PracticeAudit) -> list[dict[str, str]]:
    variants, alignments = part.prepared.variants, part.prepared.alignments
    if variants is None:
        return []
    total = int(variants.counts.sum())
    return [
        {
            "n": number(int(variants.counts[i])),
            "share": _share(int(variants.counts[i]), total),
            "fitness": "" if alignments is None else f"{alignments.fitness[i]:.3f}",
            "trace": " → ".join(variants.trace(i)) or "(no step)",
        }
        for i in range(min(VARIANTS_SHOWN, len(variants)))
    ]


def _rework(log: EventLog, leave_out: Sequence[str]) -> list[dict[str, str]]:
    """The steps that tickets most often repeat."""
    found = rework(log, leave_out=leave_out).head(REWORK_SHOWN)
    columns = (found[name] for name in (s.ACTIVITY, "repeats", "cases_repeating", "case_share"))
    return [
        {"activity": word, "repeats": number(int(n)), "cases": number(int(k)), "share": percent(p)}
        for word, n, k, p in zip(*columns, strict=True)
    ]


def _handover(row: Handover) -> dict[str, str]:
    median = "" if row.median_us is None else duration(row.median_us)
    return {"source": row.source, "target": row.target, "n": number(row.n), "median": median}


def _handover_note(hands: HandoverSummary) -> str:
    return (
        f"{number(hands.handovers)} hand-overs among {number(hands.teams)} teams; "
        f"{number(hands.ping_pongs)} times a ticket went straight back (ping-pong), in "
        f"{number(hands.cases_with_ping_pong)} tickets."
    )


def _level(row: dict[str, Any]) -> dict[str, str]:
    decided = row["rate"] is not None
    return {
        "target": row["target"],
        "limit": duration_words(row["limit_us"]),
        "met": number(row["met"]),
        "breached": number(row["breached"]),
        "running": number(row["running"]),
        "unknown": number(row["unknown"]),
        "rate": percent(row["rate"]) if decided else "",
        "interval": "" if row["low"] is None else range_of_shares(row["low"], row["high"]),
        "objective": percent(row["objective"]),
        "verdict": row["verdict"],
    }


def _levels_note(summary: dict[str, Any]) -> str:
    missed = [row["target"] for row in summary["service_levels"] if row["verdict"] == "missed"]
    said = "" if summary["targets"] == GIVEN else f"Note: {OURS}, with --targets. "
    said += "Clocks run in the calendar of their target, pauses taken out. "
    said += "A target is missed where the whole 95 % interval lies under its objective."
    return f"{said} Missed: {', '.join(missed)}." if missed else f"{said} None is missed."


def _feedback_card(found: dict[str, Any]) -> dict[str, str]:
    csat = found["csat"]
    if csat["value"] is None:
        return {"label": "Satisfaction", "value": "unknown", "note": csat["method"]}
    return {
        "label": "Satisfaction (1 to 5)",
        "value": number(csat["value"], 2),
        "note": f"{number(found['answered'])} of {number(found['asked'])} asked have answered; "
        f"95 % interval {_ends(csat, 2)}",
    }


def _ends(estimate: dict[str, Any], digits: int) -> str:
    if estimate["low"] is None:
        return "not computed"
    return f"{number(estimate['low'], digits)} to {number(estimate['high'], digits)}"


def _feedback(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    rate, csat, bounds, happy = (
        found[name] for name in ("response_rate", "csat", "csat_bounds", "satisfied")
    )
    rows = [
        ("Asked", number(found["asked"])),
        ("Answered", f"{number(found['answered'])}, {_estimate(rate)}"),
    ]
    if csat["value"] is not None:
        rows += [
            (
                "Mean score, 1 to 5",
                f"{number(csat['value'], 2)} ({_ends(csat, 2)}); {csat['method']}",
            ),
            ("If the silent gave 1, or 5", _ends(bounds, 2)),
            ("Satisfied (4 or 5)", _estimate(happy)),
        ]
    rows.append(("Asks whose ticket is not in the log", number(found["unmatched"])))
    rows.append(("Survey rows refused", number(found["refused"])))
    rows.append(("Tickets that nobody was asked about", number(found["never_asked"])))
    return rows


def _estimate(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "not known"
    return f"{percent(found['value'], (found['low'], found['high']))}, n = {number(found['n'])}"


def _quality_note(summary: dict[str, Any]) -> str:
    log = summary["log"]
    said = (
        f"{number(log['rows_in'])} rows were read, {number(log['rejected'])} refused. Nothing was "
        "dropped in silence."
    )
    notes = " ".join(f"{note.rstrip('.')}." for note in log["notes"])
    allowed = ", ".join(summary["allowed"])
    accepted = f"Accepted knowingly (--allow): {allowed}." if allowed else ""
    return " ".join(part for part in (said, accepted, privacy_words(log), notes) if part)


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("Log, SHA-256 of its content", summary["log"]["sha256"])]
    rows.append(("Read by source", summary["log"]["source"]))
    rows.append(("Judged as of", summary["as_of"] or "no times"))
    rows += [
        (f"Vocabulary of {row['practice']}", row["vocabulary"]) for row in summary["practices"]
    ]
    return rows
