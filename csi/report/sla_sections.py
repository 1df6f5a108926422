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
    open_time,
    when,
)
from csi.report.words import number, percent, plural
from csi.service_levels.causes import PARTS, WORDS
from csi.service_levels.summary import open_and_late

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from csi.service_levels.run import LevelReport

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
        total = open_time(sum(row["us"] for row in of.values()))
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
        "over": open_time(row["over_us"]),
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
        "left": open_time(row["remaining_us"]) + (", paused" if row["paused_now"] else ""),
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
        "over": open_time(-row["remaining_us"]),
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
        "time": open_time(row["open_us"]) if row["findings"] else "",
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
