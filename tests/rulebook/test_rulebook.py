"""The rulebook that ships: what an auditor expects of every rule, and of all of them together."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from rules.catalogue import load_catalogue
from rules.spec import Verdict
from rules.templates import templates

FITSM = Path(__file__).parents[1] / "data" / "fitsm" / "fitsm-3.0.json"
PRACTICES = {
    "incident",
    "major_incident",
    "problem",
    "change",
    "standard_change",
    "normal_change",
    "emergency_change",
    "release",
    "service_request",
    "service_level",
    "feedback",
    "knowledge",
    "continual_improvement",
}
RULES = load_catalogue().newest


def test_it_is_large_and_covers_every_practice() -> None:
    assert len(RULES) >= 70
    by_practice = Counter(rule.practice for rule in RULES)
    assert set(by_practice) == PRACTICES
    assert min(by_practice.values()) >= 2


def test_cases_of_several_practices_are_held_together() -> None:
    """Majors and problems, incidents and changes, problems and incidents, problems and articles;
    feedback and improvements, both ways.
    """
    linked = {
        (rule.case_type, rule.params.kind, rule.params.direction)
        for rule in RULES
        if rule.template == "linked_record"
    }
    assert linked >= {
        ("major_incident", "problem", "names"),
        ("incident", "caused_by", "names"),
        ("problem", "problem", "named_by"),
        ("problem", "knowledge", "names"),
        ("emergency_change", "incident", "names"),
        ("feedback", "improvement", "names"),
        ("continual_improvement", "improvement", "named_by"),
        ("continual_improvement", "feedback", "names"),
    }


def test_every_kind_of_constraint_but_one_is_in_use() -> None:
    """Cases end with an end of their practice by definition: `ends_with` is for rules of users."""
    assert set(templates()) - {rule.template for rule in RULES} == {"ends_with"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_says_all_that_an_auditor_asks(rule) -> None:  # noqa: ANN001 - a Rule
    known = set(json.loads(FITSM.read_text("utf-8"))["requirements"])
    assert rule.reference.itil
    assert rule.reference.iso20000
    assert rule.reference.fitsm
    assert set(rule.reference.fitsm) <= known
    assert rule.why.strip()
    assert rule.remedy.strip()
    assert rule.known_problems
    assert rule.owner.endswith("manager")
    assert not rule.title.endswith(".")
    shown = {example.verdict for example in rule.examples}
    assert {Verdict.CONFORMS, Verdict.VIOLATES} <= shown


@pytest.mark.parametrize(
    ("code", "ways"),
    [
        ("CHG021", ("the first time", "again")),
        ("CHG022", ("not reviewed afterwards", "reviewed without having been implemented")),
        ("FBK005", ("before the next contact", "or the end")),
        ("INC016", ("before the next escalation", "or the end")),
        ("MAJ008", ("more than once", "or never")),
    ],
)
def test_a_title_says_every_way_to_offend(code: str, ways: tuple[str, ...]) -> None:
    """It stands in every finding, so it has to be true of each."""
    (rule,) = [rule for rule in RULES if rule.code == code]
    assert [way for way in ways if way not in rule.title] == []


def test_a_control_is_a_matter_of_change() -> None:
    of_change = {"change", "standard_change", "normal_change", "emergency_change"}
    assert {rule.practice for rule in RULES if rule.control} <= of_change
    controls = {rule.control for rule in RULES if rule.control}
    assert controls == {"request", "approval", "test", "segregation-of-duties", "review"}
