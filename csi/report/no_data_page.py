"""What does an improvement team read where there was nothing to measure? What is missing, and why.

A page that says nothing would look like a good month; this one says that nobody has measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from csi.report.page import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class NoDataPage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    verdict: str
    meaning: str
    missing: Sequence[dict[str, str]]
    provenance: Sequence[tuple[str, str]]


def no_data_page(results: Mapping[str, Any]) -> str:
    """Return the page as HTML."""
    windows = {name: f"{w['start']} to {w['end']}" for name, w in results["window"].items()}
    page = NoDataPage(
        scope=f"Baseline {windows['baseline']}, current {windows['current']} (end excluded, UTC).",
        verdict="No data",
        meaning="Nothing was measured, nothing was judged, and nothing was entered in the "
        "register. This says neither that it got better nor that it did not.",
        missing=[
            {"what": row["what"], "to_do": row["to_do"], "code": row["code"]}
            for row in results["missing"]
        ],
        provenance=[("Cycle file, SHA-256", results["cycle_sha256"])],
    )
    title = f"Improvement cycle, {results['report_date']}"
    return render("no_data.html.j2", title=title, page=page)
