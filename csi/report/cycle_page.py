"""What does an improvement team read? One turn of the loop as one page: the verdict first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.evaluation.design import Design
from csi.improvement_words import rule_in_words
from csi.report.cycle_sections import (
    AnalysisSection,
    WeeksSection,
    analysis_section,
    weeks_section,
)
from csi.report.earlier_section import EarlierSection, earlier_section
from csi.report.page import render
from csi.report.words import number, percent, range_of_shares
from csi.statistics import DecisionRule
from csi.statistics.decision import effect_in_words
from csi.stories import CURRENT, interval_in_words, value_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FIGURES: Final = ("KPI01", "KPI03", "KPI08", "KPI12")
VERDICT_CLASS: Final = {
    "improved": "improved",
    "worse": "worse",
    "guardrail breached": "breached",
    "inconclusive": "inconclusive",
    "no effect shown": "none",
}
STEPS: Final = {
    "1_measure": "every KPI and rule in both windows, and from week to week",
    "2_analyse": "what weighs most, what goes with it, what could be done",
    "3_improve": "the plan, its design and its decision rule",
    "4_evaluate": "every improvement under way, and its verdict",
}


CAUTION: Final = (
    " A comparison of before and after cannot tell an improvement from a season or from something "
    "else that changed at the same time."
)
NOT_JUDGED: Final = {
    "improvement": "no improvement",
    "verdict": "Nothing was judged",
    "class": "none",
    "sentence": "The cycle file states no improvement, and the register has none under way whose "
    "windows this log holds. What was measured stands below.",
    "method": "",
}


@dataclass(frozen=True)
class CyclePage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    verdicts: Sequence[dict[str, str]]
    figures: Sequence[dict[str, str]]
    rules_of: Sequence[dict[str, Any]]
    evaluate_pictures: Sequence[dict[str, str]]
    windows: str
    kpis: Sequence[dict[str, str]]
    weeks: WeeksSection
    analysis: AnalysisSection
    rules_note: str
    rules: Sequence[dict[str, str]]
    register_note: str
    register: Sequence[dict[str, Any]]
    earlier: EarlierSection
    quality: Sequence[dict[str, str]]
    files: Sequence[dict[str, str]]
    provenance: Sequence[tuple[str, str]]


def cycle_page(results: Mapping[str, Any], folder: Path) -> str:
    """Return the page as HTML; pictures are those that the steps left in the cycle folder."""
    title = f"Improvement cycle, {results['report_date']}"
    return render("cycle.html.j2", title=title, page=_page(results, folder))


def _page(results: Mapping[str, Any], folder: Path) -> CyclePage:
    judged = results["evaluate"]["improvements"]
    windows = {name: f"{w['start']} to {w['end']}" for name, w in results["window"].items()}
    return CyclePage(
        scope=f"Baseline {windows['baseline']}, current {windows['current']} (end excluded, UTC).",
        verdicts=[_verdict(one) for one in judged] or [NOT_JUDGED],
        figures=_figures(results),
        rules_of=[{"title": f"{one['entry']}", "rows": _rule(one)} for one in judged],
        evaluate_pictures=[
            _picture(folder, "4_evaluate", "The metric in both windows, open tickets as censored.")
        ]
        * bool(judged),
        windows="Tickets count in the window in which they were opened, and both windows are "
        "followed for equally long. Intervals are 95 %.",
        kpis=[_kpi(*pair) for pair in zip(*results["kpis"].values(), strict=True)],
        weeks=weeks_section(folder),
        analysis=analysis_section(results, folder),
        rules_note="Counts of tickets opened in each window. A count says where to look, not what "
        "caused it.",
        rules=_rules(results["rules"]),
        register_note="Every entry of the register that this cycle names, as it stands now.",
        register=[row | {"verdict": row["verdict"] or "none yet"} for row in results["register"]],
        earlier=earlier_section(results),
        quality=[_defect(row) for row in results["snapshot"]["quality"]],
        files=_files(),
        provenance=[
            ("Log, SHA-256 of its content", results["snapshot"]["sha256"]),
            ("Cycle file, SHA-256", results["cycle_sha256"]),
            ("Tickets and events", _size(results["snapshot"])),
        ],
    )


def _size(snapshot: Mapping[str, Any]) -> str:
    return f"{number(snapshot['cases'])} tickets, {number(snapshot['events'])} events"


def _figures(results: Mapping[str, Any]) -> list[dict[str, str]]:
    before, now = ({one["kpi"]: one for one in side} for side in results["kpis"].values())
    return [
        {
            "label": now[code]["title"],
            "value": value_in_words(now[code]["value"], now[code]["unit"]),
            "note": f"before: {value_in_words(before[code]['value'], before[code]['unit'])}; "
            f"{now[code]['better']} is better; n = {number(now[code]['n'])}",
        }
        for code in FIGURES
        if code in now and now[code]["value"] is not None and before[code]["value"] is not None
    ]


def _verdict(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "improvement": f"{one['entry']}: {one['improvement']}",
        "verdict": one["verdict"].capitalize(),
        "class": VERDICT_CLASS[one["verdict"]],
        "sentence": f"{one['title']}: {one['sentence']}",
        "method": f"Design: {one['design']}, because {one['design_why']}. Method: {one['method']}; "
        f"n = {number(one['n_baseline'])} before, {number(one['n_current'])} now."
        + CAUTION
        * (one["design"] == Design.BEFORE_AFTER.value),
    }


def _rule(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    guards = ", ".join(f"{code}: {verdict}" for code, verdict in found["guardrails"].items())
    guards = guards or "none were named"
    also = ", ".join(f"{one['kpi']}: {one['claim']}" for one in found["also"])
    return [
        ("Metric", f"{found['metric']} {found['title']}; {found['better']} is better"),
        ("Tickets", found["scope"]),
        ("Compared with", found["comparison"] or "the same tickets in the baseline window"),
        ("Effect, current against baseline", _effect(found)),
        ("Design, chosen from the baseline", f"{found['design']}: {found['design_why']}"),
        (
            "Decision rule, fixed beforehand",
            rule_in_words(DecisionRule.from_dict(found["decision_rule"])),
        ),
        ("Guardrails", guards),
        ("Further metrics (Holm)", also or "none were named"),
    ]


def _effect(found: Mapping[str, Any]) -> str:
    if found["effect"] is None:
        return "not computed"
    effect, low, high = (
        "unbounded" if end is None else effect_in_words(end, found["unit"])
        for end in (found["effect"], *found["interval"])
    )
    p_value = "" if found["p_value"] is None else f", p = {found['p_value']:.3f}"
    return f"{effect} ({low} to {high}){p_value}"


def _picture(folder: Path, step: str, caption: str) -> dict[str, str]:
    svg = (folder / step / "picture.svg").read_text(encoding="utf-8")
    return {"svg": Markup(svg), "caption": caption}  # noqa: S704 - drawn by us, hash in the manifest


def _kpi(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    return {
        "code": now["kpi"],
        "title": now["title"],
        "baseline": value_in_words(before["value"], before["unit"]) or "not measured",
        "baseline_interval": interval_in_words(before),
        "current": value_in_words(now["value"], now["unit"]) or "not measured",
        "current_interval": interval_in_words(now),
        "n": f"{number(before['n'])} / {number(now['n'])}",
        "better": now["better"],
        "method": "; ".join(part for part in (now["method"], now["note"]) if part),
    }


def _rules(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    before = {row["code"]: row for row in rows if row["window"] != CURRENT}
    return [
        {
            "code": row["code"],
            "title": row["title"],
            "severity": row["severity"],
            "baseline": number(before[row["code"]]["violates"]),
            "current": number(row["violates"]),
            "rate": "" if row["rate"] is None else percent(row["rate"]),
            "interval": "" if row["rate"] is None else range_of_shares(row["low"], row["high"]),
        }
        for row in rows
        if row["window"] == CURRENT
    ]


def _defect(row: Mapping[str, Any]) -> dict[str, str]:
    often = f"{number(row['count'])} of {number(row['of'])} {row['unit']}"
    return {"code": row["code"], "what": row["explanation"], "n": often}


def _files() -> list[dict[str, str]]:
    notebooks = [
        {"href": f"notebooks/{step}.ipynb", "name": f"{step}.ipynb", "note": note}
        for step, note in STEPS.items()
    ]
    return [
        *notebooks,
        {"href": "results.json", "name": "results.json", "note": "everything on this page"},
        {"href": "manifest.json", "name": "manifest.json", "note": "inputs and outputs by SHA-256"},
    ]
