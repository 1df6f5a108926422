"""How is a new rule written down? As TOML that a person goes on with.

Every parameter of the template stands there, under a comment that says what it holds and means;
those that may be left out are commented out. Texts are written as JSON writes them, which is one of
TOML's ways, so nothing in them can end a line or a text early.
"""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from process_mining import schema as s
from rules.parameters import ACTIVITIES, ACTIVITY, parameters
from rules.scaffold import STEP_US
from rules.template_notes import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.parameters import Parameter
    from rules.scaffold import Draft
    from rules.spec import Example, ExampleEvent

WIDTH: Final = 96
CONTROLS: Final = "request, approval, test, segregation-of-duties, review"
HEAD: Final = """\
#:schema ./{schema}
# A new rule. As it stands it loads and its examples are true; make it yours:
#   - name the offence (name, title), and say why it matters and what to do (why, remedy);
#   - choose parameters, and the cases that it is about ([[scope]]);
#   - let the examples be cases of yours, then run: trueloop rules test FOLDER
"""


def file_text(found: Draft, schema: str) -> str:
    """Write a draft as a rule file; `schema` is the name of the schema file beside it."""
    rule, reference = found.rule, found.rule.reference
    lines = [
        HEAD.format(schema=schema),
        f"code = {_toml(rule.code)}",
        f"name = {_toml(rule.name)}",
        f"title = {_toml(rule.title)}",
        f"practice = {_toml(rule.practice)}",
        f"template = {_toml(rule.template)}",
        f"severity = {_toml(rule.severity.word)}  # low, medium, high or critical",
        f"version = {rule.version}",
        f"valid_from = {rule.valid_from}",
        "# valid_until = 2030-01-01  # from this day on it is no longer in force",
        f"owner = {_toml(rule.owner)}",
        f"why = {_toml(rule.why)}",
        f"remedy = {_toml(rule.remedy)}",
        '# known_problems = ["where the rule is wrong, or asks too much"]',
        f'# control = "approval"  # of a change: {CONTROLS}',
        "",
        "# [[scope]]  # the cases that the rule is about; without it all of the practice",
        '# column = "priority"',
        '# one_of = ["1", "2"]',
        "",
        *_comment(note(rule.template).question),
        "[params]",
        *(line for one in parameters(rule.template) for line in _parameter(one, found)),
        "",
        "[reference]",
        f"itil = {_toml(reference.itil)}",
        f"{'' if reference.iso20000 else '# '}iso20000 = {_toml(reference.iso20000 or '8.6.1')}",
        f"{'' if reference.fitsm else '# '}fitsm = {_toml(list(reference.fitsm) or ['PR9.1'])}",
    ]
    for example in rule.examples:
        lines += ["", "[[examples]]", *_example(example)]
    return "\n".join([*lines, ""])


def _parameter(one: Parameter, found: Draft) -> Iterator[str]:
    """Write one parameter: what it is in a comment, then its value; what may be left out is."""
    usual = f", then {_toml(one.default)}" if one.default not in (None, {}, []) else ""
    need = "" if one.required else f"; may be left out{usual}"
    yield from _comment(f"{one.name}: {one.meaning} ({one.kind}{need})")
    if one.name in found.raw:
        yield f"{one.name} = {_toml(found.raw[one.name])}"
        return
    stand_in = {ACTIVITY: found.words[0], ACTIVITIES: list(found.words[:1])}
    yield f"# {one.name} = {_toml(stand_in.get(one.kind, one.sample))}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH, break_long_words=False)]


def _example(example: Example) -> Iterator[str]:
    yield f"verdict = {_toml(example.verdict.word)}"
    plain = all(_is_plain(event, place) for place, event in enumerate(example.events))
    if plain:
        yield f"trace = {_toml([event.activity for event in example.events])}"
    else:
        yield "trace = ["
        yield from (f"  {_toml(_event(event))}," for event in example.events)
        yield "]"
    if example.case:
        yield f"case = {_toml(example.case)}"
    if example.links:
        yield f"links = {_toml(example.links)}"
    if example.as_of_us is not None:
        yield f"as_of = {_toml(_offset(example.as_of_us))}"


def _is_plain(event: ExampleEvent, place: int) -> bool:
    """Tell whether an event's activity says all: it comes an hour after the one before."""
    named = event.actor or event.team or event.attributes
    return event.at_us == place * STEP_US and not named


def _event(event: ExampleEvent) -> dict[str, object]:
    said: dict[str, object] = {"activity": event.activity, "at": _offset(event.at_us)}
    said |= {name: who for name in (s.ACTOR, s.TEAM) if (who := getattr(event, name)) is not None}
    return said | ({"attributes": event.attributes} if event.attributes else {})


def _offset(at_us: int) -> str:
    """Write a time since the start of an example, in whole hours or else in seconds."""
    hours, rest = divmod(at_us, s.US_PER_HOUR)
    return f"+{at_us // s.US_PER_SECOND}s" if rest else f"+{hours}h"


def _toml(value: object) -> str:
    """Write a value as TOML; JSON's way to write a text is one of TOML's."""
    if isinstance(value, dict):
        said = ", ".join(f"{_key(name)} = {_toml(inner)}" for name, inner in value.items())
        return f"{{ {said} }}" if said else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name)
