"""What does the cycle's page say about earlier cycles? What they found, and what has moved since.

Differences are those of `csi.cycle_compare`: with limits where the windows do not overlap, and
without a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from csi.report.words import number, percent, plural
from csi.stories import value_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CYCLES_SHOWN: Final = 12
NONE_YET: Final = "No earlier cycle of this register has been finished: this is the first."
NO_VERDICT: Final = "no improvement was judged"


@dataclass(frozen=True)
class EarlierSection:
    """The words of the section, in reading order; lists hold one dict a row."""

    note: str
    cycles: Sequence[dict[str, str]]
    against: str
    sentences: Sequence[str]
    kpis: Sequence[dict[str, str]]
    rules: Sequence[dict[str, str]]
    open_note: str
    open: Sequence[dict[str, str]]


def earlier_section(results: Mapping[str, Any]) -> EarlierSection:
    """Put the section together from what results.json holds."""
    found = results["earlier"]
    cycles, against = found["cycles"], found["against"]
    hidden = len(cycles) - CYCLES_SHOWN
    note = f"{plural(len(cycles), 'earlier cycle')} of this register, the newest first."
    more = f" The {CYCLES_SHOWN} newest are shown." if hidden > 0 else ""
    under_way = [row for row in results["register"] if row["state"] != "closed"]
    own = results["evaluate"].get("entry")
    others = [row for row in under_way if row["id"] != own]
    return EarlierSection(
        note=note + more if cycles else NONE_YET,
        cycles=[_cycle(one) for one in cycles[:CYCLES_SHOWN]],
        against=_against(against),
        sentences=against["sentences"] if against else [],
        kpis=[_kpi(row) for row in against["kpis"]] if against else [],
        rules=[_rule(row) for row in against["rules"] if _moved(row)] if against else [],
        open_note=f"{plural(len(others), 'other improvement')} open in the register."
        if others
        else "No other improvement is open in the register.",
        open=[
            {
                "id": row["id"],
                "title": row["title"],
                "state": row["state"],
                "verdict": row["verdict"] or "none yet",
            }
            for row in others
        ],
    )


def apart_in_words(apart: Mapping[str, float | None], unit: str) -> str:
    """Say a difference with its limits: "+1.2 points (-0.4 to +2.8)", "" for none."""
    value, low, high = apart["value"], apart["low"], apart["high"]
    if value is None:
        return ""
    named = {"share": " points", "h": ""}.get(unit, f" {unit}")
    said = f"{_signed(value, unit)}{named}"
    if low is None and high is None:
        return said
    ends = ["unbounded" if end is None else _signed(end, unit) for end in (low, high)]
    return f"{said} ({ends[0]} to {ends[1]})"


def _signed(value: float, unit: str) -> str:
    """Say a difference without its unit, but for a time."""
    sign = "-" if value < 0 else "+"
    if unit == "h":
        return f"{sign}{value_in_words(abs(value), unit)}"
    return f"{sign}{number(abs(value) * (100 if unit == 'share' else 1))}"


def _against(against: Mapping[str, Any] | None) -> str:
    if against is None:
        return ""
    window = against["a"]["window"]["current"]
    return f"{window['start']} to {window['end']} (then) and the current window (now), end excluded"


def _cycle(one: Mapping[str, Any]) -> dict[str, str]:
    window = one["window"]["current"]
    said = [f"{row['entry']} {row['improvement']}: {row['verdict']}" for row in one["verdicts"]]
    nothing = "no data" if one["outcome"] == "no data" else NO_VERDICT
    return {
        "window": f"{window['start']} to {window['end']}",
        "reported": one["report_date"],
        "verdicts": "; ".join(said) or nothing,
    }


def _kpi(row: Mapping[str, Any]) -> dict[str, str]:
    unit = row["unit"]
    then, now = (value_in_words(row[side]["value"], unit) or "not measured" for side in "ab")
    return {
        "code": row["code"],
        "title": row["title"],
        "then": then,
        "now": now,
        "n": f"{number(row['a']['n'])} / {number(row['b']['n'])}",
        "difference": apart_in_words(row["difference"], unit),
        "better": row["better"],
        "note": row["note"],
    }


def _rule(row: Mapping[str, Any]) -> dict[str, str]:
    then, now = (row[side]["value"] for side in "ab")
    return {
        "code": row["code"],
        "title": row["title"],
        "then": f"{number(row['violates'][0])} of {number(row['a']['n'])}",
        "now": f"{number(row['violates'][1])} of {number(row['b']['n'])}",
        "rates": f"{_percent(then)} / {_percent(now)}",
        "difference": apart_in_words(row["difference"], "share"),
        "note": row["note"],
    }


def _moved(row: Mapping[str, Any]) -> bool:
    """Tell whether a rule is worth a line: violated in one of the two, or not comparable."""
    return any(row["violates"]) or row["note"] not in {"", "one of the two has no value"}


def _percent(rate: float | None) -> str:
    return "none" if rate is None else percent(rate)
