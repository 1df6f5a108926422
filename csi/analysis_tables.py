"""How does the analysis read as tables? Values with their limits in words, few columns each.

The full figures stand in the frames of `csi.effects` and `csi.opportunities`; here is what a person
reads first, in a notebook and on the page of a cycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from csi.effects.outcomes import BREACH, REOPENING, SATISFACTION, TIME
from csi.report.words import number, percent
from csi.stories import value_in_words

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

MOST_ROWS: Final = 15

OUTCOME_WORDS: Final = {
    TIME: "time to resolve",
    BREACH: "odds of a broken promise",
    REOPENING: "odds of a reopening",
    SATISFACTION: "satisfaction",
}


def pareto_table(pareto: pd.DataFrame) -> pd.DataFrame:
    """The violated rules by count, with the time lost and the adjusted cost."""
    rows = [
        {
            "rule": row["code"],
            "what must not happen": row["title"],
            "severity": row["severity"],
            "tickets": f"{_count(row['violates'])} of {_count(row['n'])}",
            "share of all": percent(row["violates_share"]),
            "time lost": _hours(row, "time_lost"),
            "adjusted cost": _limits(row, "cost", f" {row['unit']}"),
            "note": row["note"],
        }
        for row in _rows(pareto)
    ]
    return pd.DataFrame(rows)


def effects_table(effects: pd.DataFrame) -> pd.DataFrame:
    """What goes with violations, where it could be estimated."""
    told = effects[effects["value"].notna()]
    rows = [
        {
            "rule": row["code"],
            "outcome": OUTCOME_WORDS.get(row["outcome"], row["outcome"]),
            "adjusted effect": _effect(row),
            "n": f"{_count(row['n'])} against {_count(row['n_others'])}",
            "p (adjusted)": f"{row['adjusted_p']:.3f}" if pd.notna(row["adjusted_p"]) else "",
            "reads as": row["standing"],
        }
        for row in _rows(told)
    ]
    return pd.DataFrame(rows)


def opportunities_table(ranked: pd.DataFrame, most: int = MOST_ROWS) -> pd.DataFrame:
    """The opportunities by rank: expected gain a month, ease and why, the KPI to show it."""
    rows = [
        {
            "rank": row["rank"],
            "code": row["code"],
            "what": row["what"],
            "hours a month": _limits(row, "hours") or "not told",
            "tickets a month": _limits(row, "relieved") or "none counted",
            "ease": row["ease_why"],
            "KPI": row["kpi"] or "none shows it",
            "owner": row["owner"],
        }
        for row in _rows(ranked.head(most))
    ]
    return pd.DataFrame(rows)


def candidates_table(candidates: pd.DataFrame) -> pd.DataFrame:
    """Candidates for an article, self-service or automation, each in a sentence."""
    rows = [
        {
            "candidate for": row["sort"],
            "tickets": row["subject"],
            "n": _count(row["n"]),
            "what is seen": row["sentence"],
        }
        for row in _rows(candidates)
    ]
    return pd.DataFrame(rows)


def teams_table(teams: pd.DataFrame) -> pd.DataFrame:
    """Teams by name: no ranking, and no figure of a person."""
    rows = [
        {
            "team": row["team"],
            "tickets": _count(row["tickets"]),
            "median time to resolve": _hours(row, "median"),
            "desk, same mix": value_in_words(_known(row["desk_h"]), "h"),
            "compared": row["compared"],
            "reopened": _shares(row, "reopened"),
            "conforms": _shares(row, "conformance"),
            "handed on": _count(row["handed_on"]),
            "open": _count(row["backlog"]),
        }
        for row in _rows(teams)
    ]
    return pd.DataFrame(rows)


def _rows(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame.to_dict(orient="records")


def _count(value: Any) -> str:  # noqa: ANN401 - a cell of a table
    return "" if pd.isna(value) else number(int(value))


def _known(value: Any) -> float | None:  # noqa: ANN401 - a cell of a table
    return None if value is None or pd.isna(value) else float(value)


def _hours(row: Mapping[Hashable, Any], name: str) -> str:
    """Say a time with its limits: columns NAME_h, NAME_low_h, NAME_high_h."""
    value, low, high = (_known(row[f"{name}{part}_h"]) for part in ("", "_low", "_high"))
    if value is None:
        return ""
    said = value_in_words(value, "h") if value >= 0 else f"{number(value)} h"
    if low is None or high is None:
        return said
    return f"{number(value, 1)} h ({number(low, 1)} to {number(high, 1)})"


def _limits(row: Mapping[Hashable, Any], name: str, unit: str = "") -> str:
    value, low, high = (_known(row[f"{name}{part}"]) for part in ("", "_low", "_high"))
    if value is None:
        return ""
    ends = "" if low is None or high is None else f" ({number(low, 1)} to {number(high, 1)})"
    return f"{number(value, 1)}{unit}{ends}"


def _shares(row: Mapping[Hashable, Any], name: str) -> str:
    value, low, high = (_known(row[f"{name}{part}"]) for part in ("", "_low", "_high"))
    if value is None:
        return "not told"
    return (
        percent(value)
        if low is None or high is None
        else (f"{percent(value)} ({percent(low)} to {percent(high)})")
    )


def _effect(row: Mapping[Hashable, Any]) -> str:
    times = "" if row["unit"] == "points" else " times"
    unit = " points" if row["unit"] == "points" else times
    return f"{row['value']:.2f}{unit} ({row['low']:.2f} to {row['high']:.2f})"
