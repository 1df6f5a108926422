"""What broke promises, what is at risk, what pauses and the tool say: parts of the page, in words.

Each function returns what its section of the template shows: texts, rows, drawings. Where there is
nothing to show, `note` says so.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.report.drawings.parts import Whole, draw_parts
from csi.report.level_words import (
    CHECKS,
    COUNTED,
    NOBODY,
    attained_words,
    calendar_words,
    limit_words,
    when,
)
from csi.report.words import duration, number, percent, plural
from csi.service_levels.causes import PARTS, WORDS
from csi.service_levels.summary import open_and_late
from rules.durations import duration_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from csi.service_levels.run import LevelReport
    from rules.service_level import Condition, ServiceLevels, Target

Row = dict[str, Any]
TICKETS_SHOWN: Final = 50
MOVED_SHOWN: Final = 30
CAUSES_SHOWN: Final = 40
TRUE_SHARE: Final = 0.005  # a part of a clock's time below this is not named
TRUSTED: Final = "better than the plain share"
WORSE: Final = "worse than the plain share"


# --- breaches


def breaches(report: LevelReport, summary: Row) -> Row:
    """Where the time of broken promises went, by target and ticket by ticket."""
    found = summary["breaches"]
    table = report.causes.breaches
    if not found["clocks"]:
        return {
            "note": "No promise was broken.",
            "drawing": "",
            "rows": [],
            "more": "",
            "causes": [],
        }
    more = table.num_rows - TICKETS_SHOWN
    told = f"{plural(found['clocks'], 'promise')} to {plural(found['cases'], 'ticket')} broken"
    rest = f"{number(more)} more stand in breaches.csv."
    return {
        "note": f"{told}. The time that counted is split by what the ticket was doing; "
        "pauses are not in it.",
        "drawing": parts_drawing(found["by_target"], name="causes"),
        "causes": [_cause(row) for row in found["by_target"] if row["n"]],
        "rows": [_late(row) for row in table.slice(0, TICKETS_SHOWN).to_pylist()],
        "more": f"The {TICKETS_SHOWN} latest for their limit; {rest}" if more > 0 else "",
    }


def parts_drawing(rows: Sequence[Row], *, name: str) -> Markup:
    """Draw where the time of each target's broken promises went, by CAUSES rows."""
    wholes = []
    for target, mine in groupby(rows, key=lambda row: row["target"]):
        of = {row["cause"]: row for row in mine}
        any_row = next(iter(of.values()))
        shares = tuple((of[part]["share_of_time"] or 0.0) if part in of else 0.0 for part in PARTS)
        total = duration(sum(row["us"] for row in of.values()))
        note = f"{plural(any_row['breaches'], 'breach', 'breaches')}, {total}"
        wholes.append(Whole(target, note, shares))
    kinds = [WORDS[part] for part in PARTS]
    drawn = draw_parts(wholes, kinds, name=name, title="Where the time of broken promises went")
    return Markup(drawn)  # noqa: S704 - our own drawing


def _cause(row: Row) -> Row:
    return {
        "target": row["target"],
        "cause": WORDS[row["cause"]],
        "n": f"{number(row['n'])} of {number(row['breaches'])}",
        "share": percent(row["share"], (row["low"], row["high"])),
        "time": "" if row["share_of_time"] is None else percent(row["share_of_time"]),
    }


def _late(row: Row) -> Row:
    whole = row["elapsed_us"] or 1
    parts = sorted(((row[f"{part}_us"], WORDS[part]) for part in PARTS), key=lambda one: -one[0])
    split = [
        f"{word} {us / whole:.0%}".replace("%", " %")
        for us, word in parts
        if us / whole > TRUE_SHARE
    ]
    return {
        "case": row["case_id"],
        "target": row["target"],
        "service": row["service"] or "",
        "team": row["team"] or "",
        "due": when(row["due"]),
        "stop": when(row["stop"]) or ("open" if row["still_open"] else "ended without a stop"),
        "over": duration(row["over_us"]),
        "cause": WORDS[row["cause"]],
        "split": ", ".join(split),
    }


# --- open tickets


def risk(report: LevelReport, summary: Row) -> Row:
    """The clocks that run, the likeliest breach first; those that are late; how good this is."""
    table, now = report.at_risk.table, summary["open"]
    late = open_and_late(report.clocks)
    late = late.sort_by(
        [("remaining_us", "ascending"), ("case_id", "ascending"), ("target", "ascending")]
    )
    more = table.num_rows - TICKETS_SHOWN
    expected = number(now["expected_breaches"])
    note = (
        f"{plural(now['running'], 'clock runs', 'clocks run')} within the limit; from "
        "clocks like them, "
        f"{expected} will exceed it."
        if table.num_rows
        else "No clock runs within its limit."
    )
    beyond = plural(late.num_rows, "open clock is", "open clocks are")
    return {
        "note": note,
        "rows": [_running(row) for row in table.slice(0, TICKETS_SHOWN).to_pylist()],
        "more": f"{number(more)} more stand in at_risk.parquet." if more > 0 else "",
        "late": [_overdue(row) for row in late.slice(0, TICKETS_SHOWN).to_pylist()],
        "late_note": f"{beyond} beyond the limit."
        if late.num_rows
        else "No open clock is beyond its limit.",
        "late_more": f"The {TICKETS_SHOWN} that are latest; the others stand in breaches.csv."
        if late.num_rows > TICKETS_SHOWN
        else "",
        **_calibration(summary["calibration"]),
    }


def _running(row: Row) -> Row:
    if row["probability"] is None:
        said, like = "not known", row["why_not"]
    else:
        said = percent(row["probability"], (row["low"], row["high"]))
        like = f"{number(row['n_like'])} clocks of the {row['like']}"
    return {
        "case": row["case_id"],
        "target": row["target"],
        "team": row["team"] or "",
        "left": duration(row["remaining_us"]) + (", paused" if row["paused_now"] else ""),
        "due": when(row["due"]),
        "probability": said,
        "like": like,
    }


def _overdue(row: Row) -> Row:
    return {
        "case": row["case_id"],
        "target": row["target"],
        "team": row["team"] or "",
        "due": when(row["due"]),
        "over": duration(-row["remaining_us"]),
    }


def _calibration(found: Row) -> Row:
    """Say how good such probabilities were, and whether to go by them."""
    if found["brier"]["value"] is None:
        said = (
            "How good these probabilities are cannot be told: only "
            f"{plural(found['clocks'], 'clock')} "
            "of earlier months could be checked against what became of them."
        )
        return {"verdict": "", "calibration": said, "bins": []}
    brier, plain, large = found["brier"], found["reference"], found["in_the_large"]
    months = ", ".join(at[:10] for at in found["moments"])
    too = "low" if large["value"] > 0 else "high"
    said = (
        f"Checked on {months}: the log was cut there, "
        f"{plural(found['clocks'], 'open clock')} got a "
        f"probability from what was known then, and it was compared with what became of them. "
        f"Brier score {brier['value']:.3f} ({brier['low']:.3f} to {brier['high']:.3f}; 0 is "
        "perfect), "
        f"against {plain['value']:.3f} for the plain share of breaches. On average they were "
        f"{abs(100 * large['value']):.1f} points too {too}."
    )
    advice = {
        TRUSTED: "They told more than the plain share of breaches.",
        WORSE: "They were worse than the plain share of breaches: do not go by them on this desk.",
    }.get(found["verdict"], "They are not shown to tell more than the plain share of breaches.")
    bins = [
        {
            "range": f"{row['from']:.0%} to {row['to']:.0%}".replace("%", " %"),
            "n": number(row["n"]),
            "predicted": percent(row["predicted"]),
            "observed": percent(row["observed"], (row["low"], row["high"])),
        }
        for row in found["reliability"]
    ]
    return {"verdict": advice, "calibration": said, "bins": bins}


# --- pauses


def pauses(report: LevelReport, summary: Row) -> Row:
    """What pauses did for the figures, and which of them call for a question."""
    found = summary["pauses"]
    if not found["pauses"]:
        return {
            "note": "No clock was paused.",
            "checks": [],
            "counted": [],
            "ways": [],
            "findings": [],
            "more": "",
            "groups": [],
        }
    findings = [row for one in report.practices for row in one.pause_audit.findings.to_pylist()]
    share = percent(found["met_only_by_pausing"] / found["met"]) if found["met"] else "none"
    kept = f"{number(found['met_only_by_pausing'])} of {number(found['met'])} kept promises"
    note = (
        f"{plural(found['pauses'], 'pause')}. {kept} ({share}) were kept only because the clock "
        "stood still; waiting for a customer honestly does that. The findings below are places "
        "to look, no verdicts."
    )
    more = len(findings) - TICKETS_SHOWN
    return {
        "note": note,
        "checks": [_check(row) for row in found["checks"]],
        "ways": list(COUNTED.values()),
        "counted": list(_counted(found["attainment"])),
        "findings": [_finding(row) for row in findings[:TICKETS_SHOWN]],
        "more": f"{number(more)} more are not shown." if more > 0 else "",
        "groups": [_group(row) for row in found["shares"] if row["by"] in ("priority", "team")],
    }


def _check(row: Row) -> Row:
    return {
        "what": CHECKS[row["check"]],
        "n": number(row["findings"]) if row["told"] else "not told",
        "cases": number(row["cases"]) if row["told"] else "",
        "time": duration(row["open_us"]) if row["findings"] else "",
        "only": number(row["met_only_because"]) if row["told"] else "",
        "why_not": row["why_not"] or "",
    }


def _counted(rows: Sequence[Row]) -> Iterable[Row]:
    """One row a target: its attainment in each way of counting pauses; those that differ."""
    for target, mine in groupby(rows, key=lambda row: row["target"]):
        of = {row["counted"]: row for row in mine}
        if len({row["breached"] for row in of.values()}) > 1:
            cells = [attained_words(of[way]) if way in of else "" for way in COUNTED]
            yield {"target": target, "cells": cells}


def _finding(row: Row) -> Row:
    return {
        "check": CHECKS[row["check"]],
        "case": row["case_id"],
        "target": row["target"],
        "team": row["team"] or "",
        "begin": when(row["begin"]),
        "reason": row["reason"],
        "decisive": "yes" if row["decisive"] else "",
    }


def _group(row: Row) -> Row:
    return {
        "by": row["by"],
        "name": row["name"] or NOBODY,
        "n": number(row["n"]),
        "k": number(row["only_by_pausing"]),
        "share": percent(row["share"], (row["low"], row["high"])),
    }


# --- teams and suppliers, the tool's rows


def agreements(summary: Row) -> list[Row]:
    """OLAs and contracts: one row a target and who keeps it."""
    return [
        {
            "kind": row["agreement"],
            "party": row["party"] or NOBODY,
            "target": row["target"],
            "limit": limit_words(row),
            "n": number(row["n"]),
            "attained": attained_words(row),
            "objective": percent(row["objective"]),
            "verdict": row["verdict"],
            "above": _above(row),
        }
        for row in summary["agreements"]
    ]


def _above(row: Row) -> str:
    """Say in how many of the broken promises above it this one was broken, too."""
    if not row["supports"]:
        return ""
    if not row["supported_breaches"]:
        return f"{row['supports']}: none broken"
    also = f"{number(row['also_here'])} of {number(row['supported_breaches'])}"
    return f"{row['supports']}: broken here too in {also} of its broken tickets"


def reconciliation(summary: Row) -> Row:
    """How far the tool's own rows say the same, and why not."""
    parts = summary["reconciliation"] or []
    undeclared = [
        {
            "source": row["source"],
            "name": row["name"],
            "cases": number(row["cases"]),
            "could_be": ", ".join(row["could_be"]),
        }
        for row in summary["undeclared"]
    ]
    if not parts:
        note = "Nothing is declared of the tool's own service-level rows, so nothing was compared."
        return {"note": note, "agreements": [], "causes": [], "more": "", "undeclared": undeclared}
    causes = [row for part in parts for row in part["causes"]]
    pairs, same, open_ = (sum(part[n] for part in parts) for n in ("pairs", "same", "unexplained"))
    more = len(causes) - CAUSES_SHOWN
    alike = f"{number(same)} of {plural(pairs, 'pair')} of clocks are the same in all that both say"
    return {
        "note": f"{alike}. Each difference has one cause; of {number(open_)} none was found.",
        "agreements": [_agreement(row) for part in parts for row in part["agreements"]],
        "causes": [_difference(row) for row in causes[:CAUSES_SHOWN]],
        "more": f"{number(more)} more causes stand in summary.json." if more > 0 else "",
        "undeclared": undeclared,
    }


def _agreement(row: Row) -> Row:
    said = (
        "none compared" if row["share"] is None else percent(row["share"], tuple(row["interval"]))
    )
    return {
        "name": row["name"],
        "metric": row["metric"],
        "n": number(row["n"]),
        "both_met": number(row["both_met"]),
        "both_breached": number(row["both_breached"]),
        "ours": number(row["only_ours_breached"]),
        "tool": number(row["only_tool_breached"]),
        "share": said,
        "kappa": "" if row["kappa"] is None else f"{row['kappa']:.2f}",
    }


def _difference(row: Row) -> Row:
    return {
        "name": row["name"],
        "cause": row["cause"],
        "detail": row["detail"],
        "n": number(row["n"]),
        "share": percent(row["share"]),
        "times": number(row["by_times"]),
        "examples": ", ".join(row["examples"]),
    }


# --- what if


def what_if(report: LevelReport, summary: Row) -> Row | None:
    """What would have become of the same tickets under the other file."""
    found, other = summary["what_if"], report.what_if
    if found is None or other is None:
        return None
    moves = [row for row in found["changes"] if row["before"] != row["after"]]
    total = sum(row["cases"] for row in found["changes"])
    before = {row["target"]: row for row in found["before"]}
    after = {row["target"]: row for row in found["after"]}
    cases = other.cases
    more = cases.num_rows - MOVED_SHOWN
    return {
        "name": found["name"],
        "note": f"Under {found['name']} the standing of {number(sum(r['cases'] for r in moves))} "
        f"of {plural(total, 'promise')} would be another. The tickets are the same; how people "
        "would have worked under other promises nobody can say.",
        "moves": [
            {name: row[name] or "" for name in ("agreement", "party", "metric", "before", "after")}
            | {"cases": number(row["cases"])}
            for row in moves
        ],
        "targets": [
            {
                "target": name,
                "before": attained_words(before[name]) if name in before else "no such target",
                "after": attained_words(after[name]) if name in after else "no such target",
                "verdict": after[name]["verdict"] if name in after else "",
            }
            for name in dict.fromkeys([*before, *after])
        ],
        "cases": cases.slice(0, MOVED_SHOWN).to_pylist(),
        "more": f"{number(more)} more stand in what_if.parquet." if more > 0 else "",
    }


# --- how it was counted


def how_counted(report: LevelReport, summary: Row) -> list[tuple[str, str]]:
    """What a reader must know to count it again."""
    unknown, left = summary["unknown"], summary["left_out"]
    because = "; ".join(f"{code} takes {number(n)}" for code, n in unknown["because"].items())
    rows = [
        (
            "Clocks",
            (
                "From the start to the stop, in open time of the target's calendar, less "
                "pauses; equal to the limit is kept. Times are UTC."
            ),
        ),
        (
            "Which target",
            (
                "The one in force at the start, by the priority that the ticket had at each "
                "moment; customer before service before priority."
            ),
        ),
        (
            "Attainment",
            (
                "Kept / (kept + broken), with the Wilson interval of 95 %. Clocks that run, "
                "lapsed (the ticket ended without a stop) or were superseded (another target "
                "took over) count beside it."
            ),
        ),
        (
            "Verdict",
            (
                "Reached or missed where the whole interval lies on one side of the objective, "
                "else inconclusive."
            ),
        ),
        (
            "Unknown clocks",
            (
                f"{number(unknown['clocks'])} cannot be told from this "
                f"log{f': {because}' if because else ''}. The interval runs from the case that "
                "all of them were broken to the case that all were kept; where more than 1 in "
                "20 is unknown there is no rate."
            ),
        ),
        ("Month", "That of the stop; of a broken promise that is open, that of its breach (UTC)."),
        (
            "Small groups",
            (
                "Teams and customers with fewer than 5 clocks have no figures. Nobody is "
                "counted by person."
            ),
        ),
    ]
    if left:
        said = ", ".join(f"{name.replace('_', ' ')} {number(n)}" for name, n in left.items())
        rows.append(("Left out", f"Tickets of practices for which nothing is promised: {said}."))
    if summary["allowed"]:
        rows.append(
            (
                "Accepted",
                f"Defects of the log accepted with --allow: {', '.join(summary['allowed'])}.",
            )
        )
    calendars = sorted({target.calendar for target in report.levels.targets})
    rows += [
        (f"Calendar {name}", calendar_words(report.levels.calendar(name))) for name in calendars
    ]
    return rows


def targets_list(levels: ServiceLevels) -> list[Row]:
    """Every target as it was declared."""
    return [
        {
            "name": one.name,
            "kind": f"{one.agreement}, {one.metric}",
            "whose": _whose(one),
            "limit": f"{duration_words(one.limit_us)} ({one.calendar})",
            "objective": f"{percent(one.objective)} a {one.period}",
            "clock": _clock(one),
            "valid": f"from {one.valid_from}"
            + (f" until {one.valid_until}" if one.valid_until else ""),
        }
        for one in levels.targets
    ]


def _whose(one: Target) -> str:
    named = [
        f"{word} {value}"
        for word, value in (
            ("priority", one.priority),
            ("service", one.service),
            ("customer", one.customer),
            ("team", one.team),
            ("supplier", one.party),
        )
        if value is not None
    ]
    return f"{one.case_type}: {', '.join(named)}" if named else f"every {one.case_type}"


def _clock(one: Target) -> str:
    said = [f"stops at {_or(one.stops)}"]
    said += [f"starts at {_or(one.start)}"] * bool(one.start)
    said += [f"begins anew at {_or(one.reset)}"] * bool(one.reset)
    said += [f"runs in {_or(one.runs_in)}"] * bool(one.runs_in)
    said += [f"paused by {_or(one.pauses)}"] * bool(one.pauses)
    if one.allowed is not None:
        said.append(f"of these allowed: {_or(one.allowed) or 'none'}")
    said += [f"reopened, it {REOPENED[one.reopen]}", f"a new priority counts {one.on_change}"]
    return "; ".join(said)


REOPENED: Final = {
    "continues": "goes on as if it had never stopped",
    "pauses": "goes on, the time between not counted",
    "restarts": "begins anew",
    "ignored": "stays stopped",
}


def _or(conditions: Sequence[Condition]) -> str:
    return " or ".join(map(str, conditions))
