"""Where does a newcomer click? The way into all that the demo left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from csi.report.page import render
from csi.report.words import number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class DemoPage:
    """The words of the page."""

    desk: str
    audit: str
    levels: str
    customers: str
    cycle: str
    verdict: str


def demo_page(
    summary: Mapping[str, Any],
    levels: Mapping[str, Any],
    feedback: Mapping[str, Any],
    results: Mapping[str, Any],
) -> str:
    """Return the page as HTML."""
    log, found = summary["log"], results["evaluate"]
    met, late = (sum(row[name] for row in levels["attainment"]) for name in ("met", "breached"))
    asked = feedback["rates"][0]
    broken = sum(1 for row in summary["rules"] if row["violates"])
    page = DemoPage(
        desk=f"{number(log['cases'])} simulated tickets with {number(log['events'])} events; "
        "deviations are planted in a known subset (desk/truth.parquet).",
        audit=f"{broken} of {len(summary['rules'])} rules are violated, in "
        f"{number(summary['findings'])} findings with evidence.",
        levels=f"{number(met)} of {number(met + late)} promises of time were kept "
        f"({percent(met / (met + late))}); {plural(len(levels['missed']), 'objective')} missed.",
        customers=f"{number(asked['answered'])} of {number(asked['asked'])} asks were answered; "
        "what became of the low scores stands beside what they said.",
        cycle=f"{found['improvement']}. {found['title']}: {found['sentence']}",
        verdict=found["verdict"].capitalize(),
    )
    return render("demo.html.j2", title="trueloop demo", page=page)
