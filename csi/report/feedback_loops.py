"""What lies behind the scores, and what became of the low ones, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.feedback_words import Row, loop_words, range_words, value_words
from csi.report.words import number, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

BROKEN_SHOWN: Final = 50
SEGMENTS_SHOWN: Final = 20
AT_ODDS_SHOWN: Final = 25
AT_ODDS: Final = {
    "green_and_unhappy": "kept, and the customer is unhappy",
    "breached_and_happy": "broken, and the customer is happy",
}


@dataclass(frozen=True)
class LoopsPart:
    """The words of this part; lists hold one dict a row."""

    headline: str
    note: str
    facts: Sequence[tuple[str, str]]
    breaks: Sequence[tuple[str, str]]
    segments: Sequence[Row]
    broken: Sequence[Row]
    broken_note: str
    links: Sequence[tuple[str, str]]
    pairs: Sequence[Row]
    contrast: str
    cells: Sequence[Row]
    at_odds: Sequence[Row]
    drilled: Sequence[Row]


def loops_part(found: Row) -> LoopsPart:
    """Return the part of the page."""
    overall, *parts = found["figures"]
    more = len(found["broken"]) - BROKEN_SHOWN
    low = ", ".join(f"{most} on {scale}" for scale, most in found["low"].items())
    said = f" A score is low up to {low}." if low else ""
    links = found["links"]
    return LoopsPart(
        headline=loop_words(overall),
        note=f"Judged as of {found['as_of']}.{said}",
        facts=_facts(found, overall),
        breaks=[(number(n), what) for what, n in overall["broke"].items()],
        segments=[
            _segment(row)
            for by in dict.fromkeys(row["by"] for row in parts)
            for row in [one for one in parts if one["by"] == by][:SEGMENTS_SHOWN]
        ],
        broken=[
            {**row, "score": str(row["score"]), "breaks": ", ".join(row["breaks"])}
            for row in found["broken"][:BROKEN_SHOWN]
        ],
        broken_note=f"{number(more)} more stand in feedback.json." if more > 0 else "",
        links=[
            ("Pairs of a feedback and an improvement", number(len(links["pairs"]))),
            ("Each names the other", _estimate(links["both_ways"])),
            ("The customer was told of the outcome", _estimate(links["told"])),
        ]
        if links["pairs"]
        else [],
        pairs=[
            {**row, "breaks": ", ".join(row["breaks"])}
            for row in [one for one in links["pairs"] if one["breaks"]][:BROKEN_SHOWN]
        ],
        contrast=_contrast(found["contrast"]),
        cells=_cells(found["contrast"]["counts"]),
        at_odds=[
            {
                "what": what,
                **row,
                "score": str(row["score"]),
                "breached": ", ".join(row["breached"]),
            }
            for name, what in AT_ODDS.items()
            for row in found["contrast"][name][:AT_ODDS_SHOWN]
        ],
        drilled=[_drilled(row) for row in found["drilled"]],
    )


def _contrast(row: Row) -> str:
    """Say how promises and scores go together."""
    if not row["n"]:
        return "No ticket with an answer has a promise that was kept or broken."
    left = ", ".join(f"{number(n)} {why}" for why, n in row["left_out"].items())
    beside = f" Left out: {left}." if left else ""
    said = f"{plural(row['n'], 'ticket')} with a decided promise and a clear answer."
    if row["risk_ratio"] is None:
        return f"{said}{beside}"
    low, high = row["low"], row["high"]
    ends = "" if low is None or high is None else f", 95 %: {number(low, 2)} to {number(high, 2)}"
    p = "" if row["p"] is None else f"; {row['p_method']}: p = {row['p']:.3g}"
    ratio = f"{number(row['risk_ratio'], 2)} times as often (ratio{ends}{p})"
    told = "An association: late tickets may also be the hard ones."
    return f"{said} Customers of broken promises are unhappy {ratio}. {told}{beside}"


def _cells(counts: Row) -> list[Row]:
    return [
        {
            "promise": words,
            "unhappy": number(counts[f"{promise}, unhappy"]),
            "happy": number(counts[f"{promise}, happy"]),
        }
        for promise, words in (("green", "kept"), ("breached", "broken"))
    ]


def _drilled(row: Row) -> Row:
    events = row["events"]
    shown: dict[int, list[str]] = {}
    for rule in row["rules"]:
        for seq in rule["seqs"]:
            shown.setdefault(seq, []).append(rule["rule"])
    about = [row["practice"], row["priority"], row["service"]]
    return {
        "title": f"{row['case']}: {row['score']} on {row['scale']}",
        "about": ", ".join(word for word in about if word),
        "clocks": "; ".join(row["clocks"]) or "none",
        "rules": [
            f"{rule['rule']} ({rule['severity']}): {rule['message']}" for rule in row["rules"]
        ],
        "events": [
            {
                "at": event["at"] or "",
                "activity": event["activity"] or "",
                "rules": ", ".join(shown.get(event["seq"], [])),
            }
            for event in events
        ],
    }


def _facts(found: Row, row: Row) -> list[tuple[str, str]]:
    told = [
        ("Answers in the log", number(found["answers"])),
        ("of them without a score", number(found["without_score"])),
        ("of them not on a known scale", number(found["unreadable"])),
        ("Low scores", number(row["low"])),
        ("Customer informed of what was done", number(row["closed"])),
        ("Settled at the contact", number(row["settled"])),
        ("Broken: a step is missing", number(row["missing"])),
        ("Open within their limits", number(row["open"])),
        ("The source cannot show it", number(row["unknown"])),
    ]
    ends = range_words(row["bounds"]["low"], row["bounds"]["high"], "share")
    return [
        *told,
        ("Closed, of decided loops", _estimate(row["closure"])),
        ("Had none, or all, of the open ones been closed", ends),
        ("Closed without any break", _estimate(row["in_time"])),
        ("Median open time to the contact", _estimate(row["to_contact"])),
    ]


def _estimate(one: Row) -> str:
    if one["value"] is None:
        return f"not known, n = {number(one['n'])}"
    unit = one["unit"]
    ends = range_words(one["low"], one["high"], unit)
    hours = " h" if unit.endswith("hours") else ""
    return f"{value_words(one['value'], unit)}{hours} (95 %: {ends}), n = {number(one['n'])}"


def _segment(row: Row) -> Row:
    left = "left out: too small a group"
    return {
        "by": row["by"],
        "name": "(not said)" if row["segment"] is None else row["segment"],
        "low": number(row["low"]),
        "closure": left if row["suppressed"] else _estimate(row["closure"]),
        "in_time": "" if row["suppressed"] else _estimate(row["in_time"]),
        "to_contact": "" if row["suppressed"] else _estimate(row["to_contact"]),
    }
