"""Does docs/kpis.md say what the KPI files say, and does what they say stay text?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from csi.kpi import load_kpis
from csi.kpi_files import MOMENTS as KNOWN
from csi.kpi_kinds import KINDS
from csi.kpi_page import COMPUTED, MOMENTS, REACHED, SURE, kpi_page, main
from rules.catalogue import load_catalogue

DOCS = Path(__file__).parents[2] / "docs"
CATALOGUE = load_catalogue()
KPIS = load_kpis()
PAGE = kpi_page(KPIS, CATALOGUE)


def test_the_committed_page_is_not_stale(tmp_path: Path) -> None:
    """Mend: make docs."""
    main(tmp_path / "kpis.md")
    assert (tmp_path / "kpis.md").read_text(encoding="utf-8") == PAGE
    assert (DOCS / "kpis.md").read_text(encoding="utf-8") == PAGE


def test_every_kind_and_moment_has_its_words() -> None:
    assert set(COMPUTED) == set(KINDS)
    assert set(SURE) <= set(KINDS)
    assert set(MOMENTS) == set(REACHED) == KNOWN
    assert not re.search(r"[{}]|None", PAGE)


@pytest.mark.parametrize("code", sorted(KPIS))
def test_a_section_tells_the_whole_file(code: str) -> None:
    kpi = KPIS[code]
    (section,) = re.findall(rf"^## {code}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    for word in (kpi.name, kpi.level, kpi.practice, kpi.case_type, kpi.only, kpi.better, kpi.unit):
        assert word in section
    assert " ".join(kpi.title.split()) in section
    for guard in kpi.guardrails:
        assert f"[{guard}](#{guard.lower()})" in section
    rule = kpi.params.model_dump().get("rule")
    assert (rule or "") in section


def test_every_link_leads_somewhere() -> None:
    links = set(re.findall(r"\]\(([^)]+)\)", PAGE))
    anchors = {f"#{code.lower()}" for code in KPIS}
    for link in links:
        assert link in anchors or (DOCS / link).is_file(), link


def test_what_a_file_says_stays_text() -> None:
    evil = replace(
        KPIS["KPI01"],
        title="<b>x</b> | [y](z)",
        definition="`a`\n# b",
        unit="*h*",
        guardrails=(),
    )
    page = kpi_page({"KPI01": evil}, CATALOGUE)
    assert "&lt;b&gt;x&lt;/b&gt; \\| \\[y\\](z)" in page
    assert "\\`a\\` \\# b" in page
    assert "| unit | \\*h\\* |" in page
    assert "| guardrails | none |" in page


def test_a_rule_of_ones_own_is_named_without_a_link() -> None:
    params = KPIS["KPI08"].params.model_copy(update={"rule": "OWN001"})
    page = kpi_page({"KPI01": replace(KPIS["KPI08"], params=params, guardrails=())}, CATALOGUE)
    assert "conform to rule OWN001, of those" in page


def test_margins_are_in_the_unit_of_the_effect() -> None:
    def margin(code: str) -> str:
        section = PAGE.split(f"## {code}\n")[1]
        return re.search(r"\| margin \| (.*?) \|", section).group(1)  # type: ignore[union-attr]

    assert margin("KPI01") == "10 % of the value before"
    assert margin("KPI03") == "5 percentage points"
    assert margin("KPI06") == "0.2 points"
    assert margin("KPI09") == "0.2 hand-overs per ticket"
