"""What may a rule file hold, said so that an editor can check and complete it?

A JSON Schema (draft 2020-12) of what a rule file's TOML says, put together from the same forms
that read it: `rules.rule_file.RuleForm`, and for each template its `Params`, which hold where
`template` names it. TOML has dates, which such tools see as texts, and no null: what may be left
out is simply not required.

Not in the schema, for it would have to know the words of each practice or more than one key at a
time: whether activities are words of the practice, codes and names are free, dates are in order,
durations fit their calendar, and the examples show every verdict and come true. `trueloop rules
test` checks these.
"""

from __future__ import annotations

from typing import Any, Final

from rules.rule_file import RuleForm
from rules.templates import templates

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS: Final = "$defs"


def rule_schema() -> dict[str, Any]:
    """Return the schema of a rule file."""
    schema = RuleForm.model_json_schema()
    known = templates()
    schema["properties"]["template"] |= {"enum": sorted(known)}
    definitions = schema[DEFINITIONS]
    choices = []
    for name in sorted(known):
        params = params_schema(name)
        definitions |= params.pop(DEFINITIONS, {})
        definitions[name] = params | {"title": f"Parameters of {name}"}
        choices.append(_choice(name, required=bool(params.get("required"))))
    found: dict[str, Any] = _tidied(schema | {"allOf": choices})
    return {"$schema": DRAFT, "title": "trueloop rule", **_without(found, "title")}


def params_schema(template: str) -> dict[str, Any]:
    """Return the schema of a template's parameters."""
    found: dict[str, Any] = _tidied(templates()[template].Params.model_json_schema())
    return found


def _choice(name: str, *, required: bool) -> dict[str, Any]:
    """Say that where a file names a template, [params] are the parameters of it."""
    then: dict[str, Any] = {"properties": {"params": {"$ref": f"#/{DEFINITIONS}/{name}"}}}
    if required:
        then["required"] = ["params"]
    return {
        "if": {"properties": {"template": {"const": name}}, "required": ["template"]},
        "then": then,
    }


def _tidied(part: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Leave out null, which TOML lacks, and close what is named by patterns."""
    if isinstance(part, list):
        return [_tidied(item) for item in part]
    if not isinstance(part, dict):
        return part
    choices = [one for one in part.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) < len(part.get("anyOf", ())):
        part = _without(part, "default") if part.get("default", 0) is None else part
        part = _without(part, "anyOf") | (choices[0] if len(choices) == 1 else {"anyOf": choices})
    if "patternProperties" in part:
        part = part | {"additionalProperties": False}
    return {key: _tidied(value) for key, value in part.items()}


def _without(part: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != key}
