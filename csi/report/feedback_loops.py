"""What became of low scores, in words: how many were answered to, how soon, where loops broke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.report.feedback_words import Row, loop_words, range_words, value_words
from csi.report.words import number

if TYPE_CHECKING:
    from collections.abc import Sequence

BROKEN_SHOWN: Final = 50
SEGMENTS_SHOWN: Final = 20


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


def loops_part(found: Row) -> LoopsPart:
    """Return the part of the page."""
    overall, *parts = found["figures"]
    more = len(found["broken"]) - BROKEN_SHOWN
    low = ", ".join(f"{scale}: up to {most}" for scale, most in found["low"].items())
    return LoopsPart(
        headline=loop_words(overall),
        note=f"Judged as of {found['as_of']}. A score is low from {low} (good/bad: bad is 0).",
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
    )


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
