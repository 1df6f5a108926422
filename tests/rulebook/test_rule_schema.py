"""The JSON Schema for editors says of a rule file what the reader says of it, as far as it can."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rules.catalogue import ITIL
from rules.rule_schema import DEFINITIONS, rule_schema
from rules.templates import templates

FILES = sorted(path for path in ITIL.rglob("*.toml") if path.name[:3].isupper())


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = rule_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def as_editors_see_it(value: Any) -> Any:  # noqa: ANN401 - TOML is any of its types
    """TOML as JSON: dates are texts."""
    if isinstance(value, dict):
        return {key: as_editors_see_it(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_editors_see_it(inner) for inner in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def complaints(validator: Draft202012Validator, document: dict[str, Any]) -> list[str]:
    found = validator.iter_errors(as_editors_see_it(document))
    return [f"{error.json_path}: {error.message}" for error in found]


def test_every_rule_that_ships_is_valid(validator: Draft202012Validator) -> None:
    assert len(FILES) > 50
    wrong = {}
    for path in FILES:
        found = complaints(validator, tomllib.loads(path.read_text(encoding="utf-8")))
        if found:
            wrong[path.name] = found
    assert wrong == {}


def test_every_template_that_ships_is_in_the_schema() -> None:
    schema = rule_schema()
    assert schema["properties"]["template"]["enum"] == sorted(templates())
    chosen = {one["if"]["properties"]["template"]["const"] for one in schema["allOf"]}
    assert chosen == set(templates())
    for name, template in templates().items():
        assert set(schema[DEFINITIONS][name]["properties"]) == set(template.Params.model_fields)


def test_forms_that_templates_share_are_the_same_everywhere() -> None:
    seen: dict[str, Any] = {}
    for template in templates().values():
        for name, form in template.Params.model_json_schema().get(DEFINITIONS, {}).items():
            assert seen.setdefault(name, form) == form
            assert name not in templates()


def test_every_key_says_what_it_is() -> None:
    schema = rule_schema()
    own = ("EventForm", "ExampleForm", "ReferenceForm", "ScopeForm")
    for form in (schema, *(schema[DEFINITIONS][name] for name in own)):
        silent = [key for key, part in form["properties"].items() if not part.get("description")]
        assert silent == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('severity = "medium"', 'severity = "severe"', "$.severity"),
        ('severity = "medium"', 'severty = "medium"', "$"),
        ('before = "Diagnose"', 'befor = "Diagnose"', "$.params"),
        ('before = "Diagnose"', "before = 1", "$.params.before"),
        ('before = "Diagnose"\n', "", "$.params"),
        ('template = "precedes"', 'template = "preceeds"', "$.template"),
        ("version = 1", "version = 0", "$.version"),
        ("version = 1", 'version = "1"', "$.version"),
        ("valid_from = 2000-01-01", "valid_from = 2000", "$.valid_from"),
        ('verdict = "vacuous"', 'verdict = "empty"', "$.examples[3].verdict"),
        ('trace = ["Register", "Resolve"]', "trace = []", "$.examples[2].trace"),
        ('trace = ["Register", "Resolve"]', "trace = [7]", "$.examples[2].trace[0]"),
        (
            'trace = ["Register", "Resolve"]',
            'trace = [{ activity = "Register", at = "2h" }]',
            "$.examples[2].trace[0]",
        ),
        (
            'trace = ["Register", "Resolve"]',
            'trace = ["Register"]\ncase = { prioriti = "1" }',
            "$.examples[2].case",
        ),
        ('fitsm = ["PR9.2"]', 'fitsm = ["9.2"]', "$.reference.fitsm[0]"),
        ("[params]", '[[scope]]\ncolumn = "team"\n[params]', "$.scope[0].column"),
    ],
)
def test_a_broken_file_is_not(
    validator: Draft202012Validator, old: str, new: str, where: str
) -> None:
    good = next(path for path in FILES if path.name.startswith("INC002")).read_text("utf-8")
    assert complaints(validator, tomllib.loads(good)) == []
    assert good.count(old) == 1
    found = complaints(validator, tomllib.loads(good.replace(old, new)))
    assert {one.split(":")[0] for one in found} == {where}


def test_durations_are_written_as_texts(validator: Draft202012Validator) -> None:
    path = next(path for path in FILES if 'template = "waits_at_most"' in path.read_text("utf-8"))
    document = tomllib.loads(path.read_text("utf-8"))
    assert complaints(validator, document) == []
    for limit in (4, "4 h", "four"):
        document["params"]["limit"] = limit
        assert [one.split(":")[0] for one in complaints(validator, document)] == ["$.params.limit"]


def test_the_committed_schema_is_that_of_the_forms() -> None:
    """Stale? Run `make docs`."""
    docs = Path(__file__).parents[2] / "docs" / "rules" / "rule.schema.json"
    assert json.loads(docs.read_text("utf-8")) == rule_schema()
