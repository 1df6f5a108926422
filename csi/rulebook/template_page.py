"""Which kinds of constraint can a rule be, and with which parameters? One page, for rule writers.

Each template says it itself: the question that its module answers, its formula over finite traces,
its parameters, what it measures, what it does not check; and the rules that are of this kind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from csi.outputs import to_json
from csi.rulebook.markdown import code, escaped, fenced, inline, table
from rules.parameters import parameters
from rules.template_notes import note
from rules.templates import templates
from rules.templates._facts import COMMON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.catalogue import Catalogue
    from rules.parameters import Parameter

HEAD: Final = """# Kinds of constraint

A rule names a template and gives its parameters. A template measures whole numbers of each case
(its facts) and judges them by a decision table of which exactly one row holds; two engines read the
same table. Formulas are in linear temporal logic over finite traces (De Giacomo & Vardi 2013): G
always, F some time, X the next step, W unless, O once before, Y the step before, S since; `F[0, t]`
within the time t. Names such as Declare's `response` say where a kind comes from.

`trueloop rules new CODE --template NAME` begins a rule of a kind, with true examples.
"""
_PARAMETER: Final = re.compile(r"'?\{(\w+)\}'?")


def templates_page(catalogue: Catalogue) -> str:
    """Return the page on all templates, by name."""
    lines = [HEAD, *_contents()]
    for name in sorted(templates()):
        lines += ["", *_section(name, catalogue)]
    return "\n".join([*lines, ""])


def _contents() -> list[str]:
    rows = [(f"[{name}](#{name})", inline(note(name).question)) for name in sorted(templates())]
    return table(("template", "question"), rows)


def _section(name: str, catalogue: Catalogue) -> Iterator[str]:
    """Write one template."""
    told, template = note(name), templates()[name]
    yield from (f"## {name}", "", inline(told.question), "", fenced(template.FORMULA))
    for paragraph in told.body:
        yield from (_with_code(paragraph), "")
    known = parameters(name)
    if known:
        rows = [_parameter(one) for one in known]
        yield from table(("parameter", "holds", "if left out", "what it is"), rows)
    else:
        yield "It takes no parameters."
    yield from ("", *_facts(name), "")
    yield f"Not checked: {_with_code(told.not_checked)}"
    mine = [rule for rule in catalogue.newest if rule.template == name]
    links = ", ".join(f"[{rule.code}]({rule.code}-{rule.name}.md)" for rule in mine)
    yield from ("", f"Rules of this kind: {links or 'none ships'}.")


def _parameter(one: Parameter) -> tuple[str, str, str, str]:
    if one.required:
        left_out = "must be given"
    elif one.default in (None, [], {}):
        left_out = "nothing"
    else:
        left_out = code(to_json(one.default).strip())
    return code(one.name), inline(one.kind), left_out, _with_code(one.meaning)


def _facts(name: str) -> list[str]:
    """List what the template measures; what every template may measure is left out."""
    words = getattr(templates()[name], "EXPLAIN", {})
    said = {fact: _PARAMETER.sub(r"`\1`", text) for fact, text in words.items()}
    rows = [(code(fact), _with_code(text)) for fact, text in said.items() if fact not in COMMON]
    return table(("fact", "what it says"), rows) if rows else []


def _with_code(text: str) -> str:
    """Keep what a module's own text has in backticks as code; all else is text."""
    parts = " ".join(text.split()).split("`")
    return "".join(code(part) if i % 2 else escaped(part) for i, part in enumerate(parts))
