"""The pages in docs/rules say what the rule files say."""

from __future__ import annotations

from pathlib import Path

from csi.rule_pages import pages
from rules.catalogue import load_catalogue

DOCS = Path(__file__).parents[2] / "docs" / "rules"


def test_the_committed_pages_are_those_of_the_rules() -> None:
    """Stale? Run `make docs`."""
    wanted = pages(load_catalogue())
    found = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    assert found == dict(wanted)


def test_every_rule_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert all(f"[{rule.code}](" in index for rule in load_catalogue().rules)
