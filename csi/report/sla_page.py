"""What does a service-level manager read? Promises, what was kept, what broke them, what comes.

Everything that the template shows is put into words here and in `sla_sections`, from the report and
its summary: findings first, then each section, a section without data as one sentence. All rows are
in the tables beside the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
from markupsafe import Markup

from csi.report.drawings.attained import Attained, draw_attained, draw_trend
from csi.report.drawings.budget import Burn, draw_budget
from csi.report.drawings.svg import clean
from csi.report.inspect_page import defect_words
from csi.report.level_words import (
    LEAST,
    NOBODY,
    aim_words,
    attained_words,
    counted,
    limit_words,
    period_of,
    when,
)
from csi.report.page import cleaned, render
from csi.report.sla_further import (
    agreements,
    how_counted,
    reconciliation,
    targets_list,
    what_if,
)
from csi.report.sla_sections import breaches, pauses, risk
from csi.report.words import number, percent, plural, range_of_shares
from csi.service_levels.attained import FALLING, RISING
from csi.service_levels.causes import WORDS
from rules.service_level import attained

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from csi.service_levels.run import LevelReport

Row = dict[str, Any]
ROWS_SHOWN: Final = 30
PERIODS_SHOWN: Final = 6
NAME_SHOWN: Final = 120
SMALLEST_P: Final = 0.001
WHOSE: Final = {
    "service": "No ticket names a service.",
    "customer": "No ticket names a customer.",
    "team": "No ticket names a team.",
    "priority": "No ticket names a priority.",
    "month": "No clock was decided in any month.",
}


@dataclass(frozen=True)
class SlaPage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    headline: str
    findings: Sequence[str]
    cards: Sequence[Row]
    parts: Sequence[tuple[str, str]]
    drawing: Markup
    targets: Sequence[Row]
    dimensions: Sequence[Row]
    trends: Sequence[Row]
    trend_note: str
    budget: Row
    breaches: Row
    risk: Row
    pauses: Row
    agreements: Sequence[Row]
    reconciliation: Row
    what_if: Row | None
    how: Sequence[tuple[str, str]]
    promised: Sequence[Row]
    defects: Sequence[dict[str, str]]
    customers: Sequence[Row]
    provenance: Sequence[tuple[str, str]]


def sla_page(
    report: LevelReport,
    summary: Row,
    customers: Mapping[str | None, str],
    report_date: dt.date | None,
) -> str:
    """Return the page as HTML; `customers` says where the report of each service lies."""
    title = "Service levels" + (f", {report_date.isoformat()}" if report_date else "")
    found: dict[str, Any] = cleaned(_page(report, summary, customers))
    return render("sla.html.j2", title=title, page=SlaPage(**found))


def _page(report: LevelReport, summary: Row, customers: Mapping[str | None, str]) -> Row:
    rows = summary["attainment"]
    return {
        "scope": _scope(report, summary),
        "headline": _headline(rows),
        "findings": _findings(summary),
        "cards": _cards(summary),
        "parts": _parts(),
        "drawing": _drawn(draw_attained([_bar(row) for row in rows], name="attained")),
        "targets": [_target(row) for row in rows],
        "dimensions": [_dimension(name, summary["by"][name]) for name in WHOSE],
        "trends": _trends(summary),
        "trend_note": _trend_note(summary["trends"]),
        "budget": _budget(summary["budgets"]),
        "breaches": breaches(report, summary),
        "risk": risk(report, summary),
        "pauses": pauses(report, summary),
        "agreements": agreements(summary),
        "reconciliation": reconciliation(summary),
        "what_if": what_if(report, summary),
        "how": how_counted(report, summary),
        "promised": targets_list(report.levels),
        "defects": [_defect(row, summary) for row in summary["quality"]],
        "customers": [
            {"name": clean(NOBODY if name is None else name, NAME_SHOWN), "href": href}
            for name, href in customers.items()
        ],
        "provenance": [
            ("Log, SHA-256 of its content", summary["log"]["sha256"]),
            ("Read by source", summary["log"]["source"]),
            ("Judged as of", summary["as_of"] or "no times"),
        ],
    }


def _defect(row: Row, summary: Row) -> dict[str, str]:
    """One finding of the gate, with the clocks that it made unknown."""
    n = summary["unknown"]["because"].get(row["code"])
    taken = {} if n is None else {"clocks": n}
    return defect_words(row | {"downgrades": taken, "allowed": row["code"] in summary["allowed"]})


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - our own drawing


def _scope(report: LevelReport, summary: Row) -> str:
    at = report.clocks["start"]
    names = ", ".join(
        f"{one.practice.title} ({number(one.share.translation.log.n_cases)})"
        for one in report.practices
    )
    first, last = (when(value.as_py())[:10] for value in (pc.min(at), pc.max(at)))
    span = f", begun from {first} to {last}" if first else ""
    left = sum(summary["left_out"].values())
    others = (
        f" {plural(left, 'ticket')} of practices without promises are left out." if left else ""
    )
    as_of = summary["as_of"]
    judged = (
        ""
        if as_of is None
        else f" Open tickets are judged as of {as_of[:16].replace('T', ' ')} UTC."
    )
    ours = (
        ""
        if summary["targets"] == "given"
        else " The targets are examples that ship with trueloop."
    )
    return f"Tickets: {names}{span}.{others}{judged}{ours}"


def _headline(rows: Sequence[Row]) -> str:
    """Say how many objectives were reached, and which were missed."""
    if not rows:
        return "No target was in force for any ticket."
    of = {word: [row for row in rows if row["verdict"] == word] for word in ("reached", "missed")}
    unsure = len(rows) - sum(map(len, of.values()))
    said = f"Of {plural(len(rows), 'target')} {number(len(of['reached']))} reached the objective, "
    said += f"{number(len(of['missed']))} missed it, and of {number(unsure)} it cannot be told."
    missed = [
        f"{r['target']} ({attained_words(r)} against {aim_words(r['objective'])})"
        for r in of["missed"]
    ]
    return f"{said} Missed: {', '.join(missed)}." if missed else said


def _findings(summary: Row) -> list[str]:
    """Say in plain words what else calls for attention."""
    found = []
    gone, now = summary["breaches"], summary["open"]
    if gone["clocks"]:
        cause, n = next(iter(gone["by_cause"].items()))
        found.append(
            f"{plural(gone['clocks'], 'promise was', 'promises were')} broken; in {number(n)} of "
            f"them most of the time went on {WORDS[cause]}."
        )
    if now["running"] or now["breached"]:
        found.append(
            f"{plural(now['running'], 'clock runs', 'clocks run')} within the limit, "
            f"{number(now['likely'])} of them likelier than not to exceed it; "
            f"{number(now['breached'])} open {'is' if now['breached'] == 1 else 'are'} beyond it."
        )
    held = summary["pauses"]
    asked = sum(row["findings"] for row in held["checks"])
    if held["met_only_by_pausing"]:
        share = percent(held["met_only_by_pausing"] / held["met"])
        found.append(
            f"{number(held['met_only_by_pausing'])} of {number(held['met'])} promises that were "
            f"kept ({share}) were kept only because the clock stood still"
            + (
                f"; {plural(asked, 'finding')} of the pause audit call for a question."
                if asked
                else "."
            )
        )
    for part in summary["reconciliation"] or ():
        found += [
            f"The tool's own '{row['name']}' says the same as ours in {percent(row['share'])} of "
            f"{plural(row['n'], 'outcome')}."
            for row in part["agreements"]
            if row["n"]
        ]
    if summary["unknown"]["clocks"]:
        n = plural(summary["unknown"]["clocks"], "clock")
        found.append(f"Of {n} the log cannot say whether the promise was kept.")
    return found


def _cards(summary: Row) -> list[Row]:
    found = [_card(*pair) for pair in _by_metric(summary["attainment"])]
    now, held = summary["open"], summary["pauses"]
    late, likely = number(now["breached"]), number(now["likely"])
    inside = f"{number(now['running'])} more run within their limit"
    of_them = (
        f"probability of at least 50 %; of all open {number(now['expected_breaches'])} expected"
    )
    found += [("Open and late", late, inside), ("Likely to be late", likely, of_them)]
    if held["met"]:
        share = percent(held["met_only_by_pausing"] / held["met"])
        of = f"{number(held['met_only_by_pausing'])} of {number(held['met'])} kept promises"
        found.append(("Kept only by pausing", share, of))
    return [dict(zip(("label", "value", "note"), card, strict=True)) for card in found]


def _by_metric(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Yield each metric of the SLA with its clocks of all targets, decided ones at least once."""
    mine = [row for row in rows if row["agreement"] == "SLA"]
    for metric in dict.fromkeys(row["metric"] for row in mine):
        names = ("met", "breached", "unknown")
        sums = {n: sum(row[n] for row in mine if row["metric"] == metric) for n in names}
        figures = attained(sums, objective=0.0)
        if figures["n"]:
            yield metric, figures


def _card(metric: str, row: Row) -> tuple[str, str, str]:
    note = f"{number(row['met'])} of {number(row['n'])} decided clocks"
    if row["rate"] is not None:
        return f"Kept: {metric}", percent(row["rate"]), note
    note += f", {number(row['unknown'])} cannot be told"
    return f"Kept: {metric}", range_of_shares(row["low"], row["high"]), note


def _parts() -> list[tuple[str, str]]:
    return [
        ("targets", "Targets"),
        ("by", "By service, team, month"),
        ("trend", "Trend"),
        ("budget", "Error budget"),
        ("breaches", "Breaches"),
        ("risk", "At risk now"),
        ("pauses", "Pause audit"),
        ("agreements", "Teams and suppliers"),
        ("tool", "The tool's own rows"),
        ("what-if", "What if"),
        ("customers", "Reports for customers"),
        ("how", "How it was counted"),
    ]


# --- attainment


def _bar(row: Row) -> Attained:
    unknown = f", {number(row['unknown'])} unknown" if row["unknown"] else ""
    kind = "" if row["agreement"] == "SLA" else f"{row['agreement']}, "
    return Attained(
        label=row["target"],
        note=f"{kind}n = {number(row['n'])}{unknown}",
        rate=row["rate"],
        low=row["low"],
        high=row["high"],
        objective=row["objective"],
        verdict=row["verdict"],
    )


def _target(row: Row) -> Row:
    counts = ("met", "breached", "running", "lapsed", "superseded", "unknown")
    return {name: number(row[name]) for name in counts} | {
        "target": row["target"],
        "kind": row["agreement"],
        "limit": limit_words(row),
        "attained": attained_words(row),
        "objective": aim_words(row["objective"]),
        "verdict": row["verdict"],
    }


def _dimension(name: str, rows: Sequence[Row]) -> Row:
    """One table: a row for each service, team, month, with a pair of columns for each metric."""
    mine = [row for row in rows if row["agreement"] == "SLA" and (name != "month" or row[name])]
    if not any(row[name] is not None for row in mine):
        return {"name": name, "metrics": [], "rows": [], "note": WHOSE[name]}
    metrics = list(dict.fromkeys(row["metric"] for row in mine))
    by_name: dict[str | None, dict[str, Row]] = {}
    for row in mine:
        by_name.setdefault(row[name], {})[row["metric"]] = row
    order = list(by_name)
    if name != "month":  # the largest first; months stay in their order
        order.sort(key=lambda key: -sum(r["clocks"] or 0 for r in by_name[key].values()))
    large = [
        key for key in order if any((r["clocks"] or 0) >= LEAST for r in by_name[key].values())
    ]
    shown = large[-ROWS_SHOWN:] if name == "month" else large[:ROWS_SHOWN]
    small, more = len(order) - len(large), len(large) - len(shown)
    left = [f"{number(more)} more"] * bool(more)
    left += [f"{number(small)} with fewer than {LEAST} clocks"] * bool(small)
    return {
        "name": name,
        "metrics": metrics,
        "rows": [
            {
                "name": NOBODY if key is None else key,
                "cells": [_cell(by_name[key].get(m)) for m in metrics],
            }
            for key in shown
        ],
        "note": f"Not shown: {' and '.join(left)}; see attainment.parquet." if left else "",
    }


def _cell(row: Row | None) -> Row:
    if row is None or row["clocks"] is None:
        return {"n": "" if row is None else counted(None), "said": "", "unknown": ""}
    unknown = f"{number(row['unknown'])} unknown" if row["unknown"] else ""
    return {
        "n": counted(row["n"]),
        "said": attained_words(row) if row["n"] >= LEAST else "",
        "unknown": unknown,
    }


# --- trend and error budget


def _trends(summary: Row) -> list[Row]:
    """One picture a target: its months with their intervals."""
    told = {row["target"]: row for row in summary["trends"]}
    monthly = [row for row in summary["by"]["target and month"] if row["target"] and row["month"]]
    monthly.sort(key=lambda row: (row["target"], row["month"]))
    found = []
    for place, (target, rows) in enumerate(groupby(monthly, key=lambda row: row["target"])):
        mine = list(rows)
        periods = [period_of(row) for row in mine]
        drawn = draw_trend(
            periods, mine[0]["objective"], name=f"trend-{place}", title=f"{target} by month"
        )
        if drawn:
            found.append({"target": target, "drawing": _drawn(drawn), "said": _trend(told[target])})
    return found


def _trend(row: Row) -> str:
    if row["p"] is None:
        return f"{row['trend']} to test: {number(row['months'])} that can be compared"
    odds = ""
    if row["odds_ratio"] is not None:
        ends = [number(row[e], 2) if row[e] is not None else "open" for e in ("low", "high")]
        ratio = number(row["odds_ratio"], 2)
        odds = f", odds of being kept times {ratio} a month ({' to '.join(ends)})"
    p = row["p_adjusted"]
    p_said = "p under 0.001" if p < SMALLEST_P else f"p = {p:.3f}"
    return f"{row['trend']}{odds}; {p_said} over all targets, n = {number(row['n'])}"


def _trend_note(rows: Sequence[Row]) -> str:
    if not rows:
        return "No target has a month with enough decided clocks."
    moving = [f"{r['target']} is {r['trend']}" for r in rows if r["trend"] in {RISING, FALLING}]
    said = "; ".join(moving) if moving else "No target is shown to rise or fall"
    drawn = f"Points are months with at least {LEAST} decided clocks, bars their 95 % interval"
    left = "The first months, and those after the last ticket was opened, are left out of the test"
    why = "only quick tickets are decided in those, only slow ones in these"
    return f"{said}. {drawn}, the dashed line is the objective. {left}: {why}."


def _budget(rows: Sequence[Row]) -> Row:
    """The running period as a picture, the periods before it as a table."""
    now = [row for row in rows if row["running"] and row["whole"]]
    untold = [row["target"] for row in rows if row["running"] and not row["whole"]]
    names = list(dict.fromkeys(row["target"] for row in rows))
    last = {name: [r for r in rows if r["target"] == name][-PERIODS_SHOWN:] for name in names}
    periods = sorted({_period(row) for mine in last.values() for row in mine})[-PERIODS_SHOWN:]
    return {
        "drawing": _drawn(draw_budget([_burn(row) for row in now], name="budget")),
        "untold": f"Too few decided clocks so far for a forecast: {', '.join(untold)}."
        if untold
        else "",
        "periods": periods,
        "rows": [
            {"target": name, "cells": [_spent(last[name], period) for period in periods]}
            for name in names
        ],
    }


def _period(row: Row) -> str:
    return str(row["begin"][: 4 if row["period"] == "year" else 7])


def _spent(rows: Sequence[Row], period: str) -> str:
    mine = [row for row in rows if _period(row) == period]
    if not mine or not mine[0]["n"]:
        return ""
    row = mine[0]
    burn = "" if row["burn"] is None else f" ({row['burn']:.0%})".replace("%", " %")
    return f"{number(row['breached'])} of {number(row['budget'])}{burn}"


def _burn(row: Row) -> Burn:
    ends = {"used up": "used up on", "will be used up": "used up by"}.get(row["forecast"])
    until = "lasts" if ends is None else f"{ends} {row['used_up_on']}"
    return Burn(
        label=row["target"],
        note=f"{_period(row)}, n = {number(row['n'])} so far",
        used=row["used"],
        elapsed=row["elapsed"],
        said=f"{number(row['breached'])} of {number(row['whole'])} allowed; {until}",
        more=f"breaches at its end: {number(row['projected'], 0)} ({number(row['projected_low'])} "
        f"to {number(row['projected_high'])})",
    )
