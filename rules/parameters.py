"""Which parameters does a template take, said in words?

Read off the JSON Schema of the template's `Params`, so that pages, scaffolds and editors say the
same: each parameter by its name, what it means, what it holds ("text", "a duration such as 4h", "a
table of attribute, at_least ..."), whether it may be left out and what holds then, and a value that
can stand there: the first of its `examples`, else one of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rules.rule_schema import DEFINITIONS, params_schema
from rules.templates import templates

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTIVITY: Final = "an activity of the practice"
ACTIVITIES: Final = "a list of activities of the practice"
_DURATION: Final = "smhdw]$"  # the end of the pattern of `rules.durations.Duration`
_REFERENCE: Final = f"#/{DEFINITIONS}/"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a template; `default` is None where there is none to name."""

    name: str
    kind: str
    meaning: str
    required: bool
    default: object
    sample: object
    has_example: bool = False

    @property
    def suggested(self) -> bool:
        """Whether something better than a value of its kind can be suggested."""
        return self.kind in (ACTIVITY, ACTIVITIES) or self.has_example


def parameters(template: str) -> tuple[Parameter, ...]:
    """Return the parameters of a template, in the order of its module."""
    schema, form = params_schema(template), templates()[template].Params
    words = form.activity_fields()
    found = []
    for name, part in schema["properties"].items():
        whole, default = _resolved(part, schema), part.get("default")
        kind = _kind(whole, schema)
        if name in words:
            kind = ACTIVITIES if whole.get("type") == "array" else ACTIVITY
        found.append(
            Parameter(
                name=name,
                kind=kind,
                meaning=part.get("description", ""),
                required=name in schema.get("required", ()),
                default=default,
                sample=_sample(whole, schema, default),
                has_example=bool(whole.get("examples")),
            )
        )
    return tuple(found)


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference to a shared form stands for."""
    name = part.get("$ref", "").removeprefix(_REFERENCE)
    return {**schema[DEFINITIONS][name], **part} if name else part


def _kind(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say in words what a value of this form is."""
    if "enum" in part:
        return " or ".join(f'"{word}"' for word in part["enum"])
    if part.get("pattern", "").endswith(_DURATION):
        return "a duration such as 4h"
    if part.get("type") == "array":
        return f"a list of: {_kind(_resolved(part['items'], schema), schema)}"
    if part.get("type") == "object":
        named = ", ".join(part.get("properties", ()))
        return f"a table of {named}" if named else _free_table(part, schema)
    plain = {"integer": f"a whole number{_bounds(part)}", "boolean": "true or false"}
    return plain.get(part.get("type", ""), "text")


def _free_table(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return f"a table, each text = {_kind(part['additionalProperties'], schema)}"


def _bounds(part: Mapping[str, Any]) -> str:
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return "" if low is None else f" of at least {low}"


def _sample(part: Mapping[str, Any], schema: Mapping[str, Any], default: object = None) -> object:
    """Return a value that can stand there; for an activity it is only a stand-in."""
    if part.get("examples"):
        return _in_order(part["examples"][0], part)
    if default is not None:
        return default
    if "enum" in part:
        return part["enum"][0]
    kind = part.get("type", "")
    if kind == "array":
        return [_sample(_resolved(part["items"], schema), schema)]
    if kind == "object":
        return {}
    return {"integer": part.get("minimum", 1), "boolean": True}.get(kind, "text")


def _in_order(example: object, part: Mapping[str, Any]) -> object:
    """Return a table with its keys in the order of its form."""
    if not isinstance(example, dict):
        return example
    known = [*part.get("properties", ())]
    order = sorted(example, key=lambda key: known.index(key) if key in known else len(known))
    return {key: example[key] for key in order}
