"""The pages in docs say what the rule files and the practice files say."""

from __future__ import annotations

from pathlib import Path

from csi.rulebook.pages import models_page, pages
from rules.catalogue import load_catalogue
from rules.practice import load_practices

DOCS = Path(__file__).parents[2] / "docs" / "rules"


def test_the_committed_pages_are_those_of_the_rules() -> None:
    """Stale? Run `make docs`."""
    wanted = pages(load_catalogue())
    found = {path.name: path.read_text(encoding="utf-8") for path in DOCS.iterdir()}
    assert found == dict(wanted)


def test_every_rule_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert all(f"[{rule.code}](" in index for rule in load_catalogue().rules)


def test_the_committed_page_on_the_models_is_that_of_the_practices() -> None:
    """Stale? Run `make docs`."""
    found = (DOCS.parent / "reference-models.md").read_text(encoding="utf-8")
    assert found == models_page(load_practices())
    for one in load_practices().values():
        assert f"`{one.name}`. Owner: {one.owner}." in found
        assert all(f"Vocabulary `{each.name}`" in found for each in one.vocabularies)
