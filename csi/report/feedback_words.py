"""How is a score of customers said, with its n, its interval and what it leaves open?"""

from __future__ import annotations

from typing import Any

from csi.report.words import number, percent, plural, range_of_shares

Row = dict[str, Any]


def value_words(value: float | None, unit: str) -> str:
    """Say one value in its unit: a share in percent, points with a sign, a score."""
    if value is None:
        return "\N{EN DASH}"
    if unit.startswith("share"):
        return percent(value)
    if unit == "points":
        sign = "+" if value > 0 else ""
        return f"{sign}{number(value)}"
    return number(value, 2)


def range_words(low: float | None, high: float | None, unit: str) -> str:
    """Say a range in its unit; "not known" where a side is missing."""
    if low is None or high is None:
        return "not known"
    if unit.startswith("share"):
        return range_of_shares(low, high)
    return f"{value_words(low, unit)} to {value_words(high, unit)}"


def score_words(figure: Row) -> str:
    """Say a figure on one line: "67.9 % (62.4 to 72.8 %), n = 308; all asked: 31.0 to 85.3 %"."""
    score, unit = figure["score"], figure["score"]["unit"]
    if figure["suppressed"]:
        return f"left out, {plural(figure['answered'], 'answer')}"
    said = value_words(score["value"], unit)
    if score["low"] is not None:
        said += f" ({range_words(score['low'], score['high'], unit)})"
    bounds = figure["asked_bounds"]
    told = range_words(bounds["low"], bounds["high"], unit)
    return f"{said}, n = {number(score['n'])}; had all who were asked answered: {told}"


def loop_words(row: Row) -> str:
    """Say how many low scores were answered to: "12 low scores; of 9 decided loops 77.8 % ..."."""
    if not row["low"]:
        return "No step of the log holds a low score, so there is no loop to follow."
    said = plural(row["low"], "low score")
    if row["closure"]["value"] is None:
        return f"{said}; of none is it decided whether its loop was closed."
    share = percent(row["closure"]["value"], (row["closure"]["low"], row["closure"]["high"]))
    return f"{said}; of {plural(row['closure']['n'], 'decided loop')} {share} are closed."
