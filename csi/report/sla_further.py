"""What do teams, suppliers and the tool say, what would change, how was it counted? In words.

Each function returns what its section of the template shows. Where there is nothing to show, `note`
says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.report.level_words import (
    NOBODY,
    aim_words,
    attained_words,
    calendar_words,
    limit_words,
)
from csi.report.words import number, percent, plural
from rules.durations import duration_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.service_levels.run import LevelReport
    from rules.service_level import Condition, ServiceLevels, Target

Row = dict[str, Any]
MOVED_SHOWN: Final = 30
CAUSES_SHOWN: Final = 40
BOUNDS: Final = (
    "The interval runs from the case that all of them were broken to the case that all were kept; "
    "where more than 1 in 20 is unknown there is no rate."
)
HOW: Final = (
    (
        "Clocks",
        (
            "From the start to the stop, in open time of the target's calendar, less pauses; equal "
            "to the limit is kept. Times are UTC, lengths of time open hours of the calendar."
        ),
    ),
    (
        "Which target",
        (
            "The one in force at the start, by the priority that the ticket had at each moment; "
            "one that names the customer goes first, then one that names the service."
        ),
    ),
    (
        "Attainment",
        (
            "Kept / (kept + broken), with the Wilson interval of 95 %. Clocks that run, lapsed "
            "(ended without a stop) or were superseded (another target took over) stand beside it."
        ),
    ),
    (
        "Verdict",
        (
            "Reached or missed where the whole interval lies on one side of the objective, else "
            "inconclusive."
        ),
    ),
    ("Month", "That of the stop; of a broken promise that is open, that of its breach (UTC)."),
    (
        "Probability of breach",
        (
            "By Kaplan and Meier, from clocks like it, given the time that has run; a ticket "
            "that is cancelled or gets another target breaks nothing."
        ),
    ),
    (
        "Small groups",
        "Teams and customers with fewer than 5 clocks have no figures; nobody is counted alone.",
    ),
)
REOPENED: Final = {
    "continues": "goes on as if it had never stopped",
    "pauses": "goes on, the time between not counted",
    "restarts": "begins anew",
    "ignored": "stays stopped",
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
            "objective": aim_words(row["objective"]),
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
    told = f"{number(unknown['clocks'])} cannot be told from this log"
    rows = [*HOW, ("Unknown clocks", f"{told}{f': {because}' if because else ''}. {BOUNDS}")]
    if left:
        said = ", ".join(f"{name.replace('_', ' ')} {number(n)}" for name, n in left.items())
        rows.append(("Left out", f"Tickets of practices for which nothing is promised: {said}."))
    if summary["allowed"]:
        codes = ", ".join(summary["allowed"])
        rows.append(("Accepted", f"Defects of the log, accepted with --allow: {codes}."))
    names = sorted({target.calendar for target in report.levels.targets})
    calendars = [(name, calendar_words(report.levels.calendar(name))) for name in names]
    return rows + [(f"Calendar {name}", said) for name, said in calendars]


def targets_list(levels: ServiceLevels) -> list[Row]:
    """Every target as it was declared."""
    return [
        {
            "name": one.name,
            "kind": f"{one.agreement}, {one.metric}",
            "whose": _whose(one),
            "limit": f"{duration_words(one.limit_us)} ({one.calendar})",
            "objective": f"{aim_words(one.objective)} a {one.period}",
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


def _or(conditions: Sequence[Condition]) -> str:
    return " or ".join(map(str, conditions))
