"""What do the facts of a decision table mean, in words?

A template may hold EXPLAIN: fact -> what the number says, as a noun ("times '{activity}' came too
early") that stands before or after the number. `{activity}` and the like are replaced by what the
rule's parameter of that name holds. Facts that mean the same in every template are named here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.templates import templates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.templates import TemplateParams

COMMON: Final[Mapping[str, str]] = {
    "asked": "whether the rule is asked about the case: 1 yes, 0 no, 2 perhaps",
    "complete": "whether the case has ended: 1 yes, 0 no",
    "recorded": "whether the log's source records what the rule speaks of: 1 yes, 0 no",
    "timed": "whether the log has times: 1 yes, 0 no",
}


def fact_words(template: str, params: TemplateParams) -> dict[str, str]:
    """Return what each fact of a rule says, by the fact's name."""
    own: Mapping[str, str] = getattr(templates()[template], "EXPLAIN", {})
    held = {name: getattr(params, name) for name in type(params).model_fields}
    return {fact: _filled(text, held) for fact, text in {**COMMON, **own}.items()}


def _filled(text: str, held: Mapping[str, object]) -> str:
    for name, value in held.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
