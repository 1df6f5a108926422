"""What must a rule file look like, and what is wrong with this one?

A rule is one TOML file named CODE-name.toml; another version of it is CODE-name.vN.toml, where N is
its version. It holds

    code, name, title, practice, template, severity, version, valid_from, owner, why, remedy
    case_type (default: practice), valid_until, known_problems, control optional
    [params]        the template's parameters
    [[scope]]       which cases the rule is about: column, and one_of or none_of; all must hold
    [reference]     itil (practice), iso20000 (clause), fitsm (clauses such as "PR9.4")
    [[examples]]    verdict, trace, case (priority, category, service, attr.*), links, as_of

The name states the offence. In a trace a plain string is an activity one hour after the event
before it (the first: at the start); a table may give `at` ("+1d2h": since the start of the
example), actor, team and attributes. `as_of` is the moment of judging, else the moment of the last
event. A practice without a reference model of its own (feedback, service level) is named by the
folder, and `case_type` says whose cases its rules judge.

Nothing in a file is executed. Every mistake names the file, the key and the nearest known word.
Every rule needs an example of each verdict that its decision table can give, UNKNOWN excepted.

Not checked: whether the references say what the rule says; whether the examples come true
(`rules.examples`).
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads the annotation
import json
import math
import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean
from rules.durations import UNIT_US
from rules.spec import (
    Control,
    Example,
    ExampleEvent,
    Reference,
    Rule,
    Scope,
    Severity,
    Verdict,
)
from rules.templates import templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from rules.practice import Practice
    from rules.templates import Template, TemplateParams

MAX_BYTES: Final = 64 * 1024
MAX_NUMBER: Final = 2**53  # in microseconds 285 years
_STEP_US: Final = s.US_PER_HOUR
_FILE_NAME: Final = re.compile(
    r"([A-Z]{3}[0-9]{3})-([a-z0-9]+(?:-[a-z0-9]+)*)(?:\.v([0-9]{1,6}))?\.toml"
)
_OFFSET: Final = re.compile(r"\+((?:[0-9]{1,6}[smhd])+)")
_PART: Final = re.compile(r"([0-9]+)([smhd])")


# --- the file's form


def _check_printable(text: str) -> str:
    if not all(char.isprintable() or char == "\n" for char in text):
        msg = "control characters are not allowed"
        raise ValueError(msg)
    return text


def _check_one_line(text: str) -> str:
    if not text.isprintable():
        msg = "one line of printable characters is needed"
        raise ValueError(msg)
    return text


def _parse_offset(text: object) -> object:
    """Read "+1d2h" as microseconds."""
    found = _OFFSET.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        msg = "write the time since the start of the example, like '+2h' or '+1d30m'"
        raise ValueError(msg)
    return sum(int(number) * UNIT_US[unit] for number, unit in _PART.findall(found[1]))


def _as_event(item: object) -> object:
    return {"activity": item} if isinstance(item, str) else item


Line = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_check_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_check_printable)]
Offset = Annotated[int, BeforeValidator(_parse_offset), Field(le=3650 * s.US_PER_DAY)]
FitsmClause = Annotated[str, Field(pattern=r"^(PR|GR)[0-9]{1,2}(\.[0-9]{1,2})?$")]
IsoClause = Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,2}){0,3}$")]
CaseColumn = Annotated[str, Field(pattern=r"^(priority|category|service|attr\.[A-Za-z0-9_]+)$")]
Column = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ReferenceForm(_Form):
    """`[reference]`."""

    itil: Line
    iso20000: IsoClause | Literal[""] = ""
    fitsm: list[FitsmClause] = []


class EventForm(_Form):
    """One entry of a trace."""

    activity: Line
    at: Offset | None = None
    actor: Line | None = None
    team: Line | None = None
    attributes: dict[Column, Line] = {}


class ExampleForm(_Form):
    """One `[[examples]]`."""

    verdict: Literal["conforms", "violates", "pending", "vacuous", "unknown"]
    trace: list[Annotated[EventForm, BeforeValidator(_as_event)]] = Field(min_length=1)
    case: dict[CaseColumn, Line] = {}
    links: dict[Line, Line] = {}
    as_of: Offset | None = None


class ScopeForm(_Form):
    """One `[[scope]]`."""

    column: CaseColumn
    one_of: list[Line] = []
    none_of: list[Line] = []

    @model_validator(mode="after")
    def _one_kind(self) -> ScopeForm:
        if bool(self.one_of) == bool(self.none_of):
            msg = "give one_of or none_of, not both and not neither"
            raise ValueError(msg)
        return self


class RuleForm(_Form):
    """A rule file."""

    code: Annotated[str, Field(pattern=r"^[A-Z]{3}[0-9]{3}$")]
    name: Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Line
    practice: Line
    case_type: Line | None = None
    template: Line
    severity: Literal["low", "medium", "high", "critical"]
    version: Annotated[int, Field(ge=1, le=100_000)]
    valid_from: dt.date
    valid_until: dt.date | None = None
    owner: Line
    why: Text
    remedy: Text
    known_problems: list[Text] = []
    control: Control | None = None
    scope: list[ScopeForm] = []
    params: dict[str, Any] = {}
    reference: ReferenceForm
    examples: list[ExampleForm] = []


# --- one file


@dataclass(frozen=True)
class RuleFile:
    """A rule file and the name that messages give it."""

    path: Path
    shown: str


def read_rule(
    file: RuleFile, practices: Mapping[str, Practice], errors: list[CodedError]
) -> Rule | None:
    """Read one rule file; its mistakes go to `errors`."""
    try:
        document = _parse(file)
    except CodedError as error:
        errors.append(error)
        return None
    mistakes = list(_huge_numbers(file, document))
    form = None if mistakes else _form(file, document, mistakes)
    rule = _rule(file, form, practices, mistakes) if form else None
    errors += mistakes
    return rule


def _parse(file: RuleFile) -> dict[str, Any]:
    size = file.path.stat().st_size
    if size > MAX_BYTES:
        msg = f"{file.shown} has {size} bytes, more than {MAX_BYTES}"
        raise CodedError("RU112", msg, fix="A rule file holds one rule")
    try:
        return tomllib.loads(file.path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        msg = f"{file.shown} is not UTF-8 at byte {error.start}"
        raise CodedError("RU113", msg, fix="Save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        msg = f"{file.shown} is no valid TOML: {printable(str(error))[:200]}"
        raise CodedError("RU101", msg, fix="Mend the line") from None


def _huge_numbers(file: RuleFile, value: object, path: str = "") -> Iterator[CodedError]:
    """Yield an error for every number that int64 arithmetic could not carry."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _huge_numbers(file, inner, f"{path}.{printable(key)}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _huge_numbers(file, inner, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not (
        math.isfinite(value) and abs(value) <= MAX_NUMBER
    ):
        msg = f"number out of range in {file.shown}, {path}"
        yield CodedError("RU114", msg, fix=f"Stay within {MAX_NUMBER} on both sides of 0")


def _form(file: RuleFile, document: dict[str, Any], errors: list[CodedError]) -> RuleForm | None:
    try:
        return RuleForm.model_validate(document)
    except ValidationError as wrong:
        errors += _errors(file, wrong, RuleForm, "")
        return None


def _errors(
    file: RuleFile, wrong: ValidationError, form: type[BaseModel], inside: str
) -> Iterator[CodedError]:
    """Turn pydantic's errors into ours; a key that is only misspelt is not missing as well."""
    items = wrong.errors()
    misspelt = set()
    for *steps, last in (item["loc"] for item in items if item["type"] == "extra_forbidden"):
        near = get_close_matches(str(last), _fields_at(form, steps), n=1)
        misspelt.add((*steps, *near))
    for item in items:
        if item["type"] != "missing" or item["loc"] not in misspelt:
            yield _error(file, item, form, inside)


def _error(file: RuleFile, item: ErrorDetails, form: type[BaseModel], inside: str) -> CodedError:
    """Turn one of pydantic's errors into ours; `inside` is the key that `form` describes."""
    steps = [step for step in item["loc"] if step != "[key]"]
    path = _key_path([inside, *steps] if inside else steps)
    where = f"{file.shown}, {path}" if path else file.shown
    last = str(steps[-1]) if steps else inside
    if item["type"] == "extra_forbidden":
        code, kind = ("RU107", "parameter") if inside else ("RU102", "key")
        near = did_you_mean(last, _fields_at(form, steps[:-1]))
        return CodedError(code, f"unknown {kind} '{printable(last)}' in {where}", fix=near)
    if item["type"] == "missing":
        return CodedError("RU103", f"'{last}' is missing in {where}", fix="Give it")
    reason = printable(item["msg"].removeprefix("Value error, "))
    msg = f"wrong value {printable(repr(item['input']))[:60]} in {where}"
    return CodedError("RU105", msg, why=reason, fix="Mend the value")


def _fields_at(form: type[BaseModel], steps: Sequence[str | int]) -> list[str]:
    """Return the keys that are known at a place inside a form; none where it is free."""
    for step in steps:
        if isinstance(step, str):
            inner = (
                _form_in(form.model_fields[step].annotation) if step in form.model_fields else None
            )
            if inner is None:
                return []
            form = inner
    return list(form.model_fields)


def _form_in(annotation: object) -> type[BaseModel] | None:
    """Find the form inside list[...], Annotated[...] and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_form_in(part) for part in get_args(annotation))
    return next((form for form in inner if form is not None), None)


def _key_path(steps: Sequence[str | int]) -> str:
    path = "".join(f"[{x}]" if isinstance(x, int) else f".{printable(x)}" for x in steps)
    return path.lstrip(".")


def _rule(
    file: RuleFile, form: RuleForm, practices: Mapping[str, Practice], errors: list[CodedError]
) -> Rule | None:
    """Check what the form alone cannot: names, template, parameters, activities, examples."""
    errors += _file_name_errors(file, form)
    errors += _date_errors(file, form)
    practice = _practice(file, form, practices, errors)
    template = _template(file, form, errors)
    params = _params(file, form, template, errors) if template else None
    if practice:
        errors += _unknown_activities(file, form, params, practice)
    if template and params:
        errors += _missing_examples(file, form, template, params)
    return None if errors else _built(file, form, params)


def _file_name_errors(file: RuleFile, form: RuleForm) -> Iterator[CodedError]:
    found = _FILE_NAME.fullmatch(file.path.name)
    if (
        found is None
        or found.groups()[:2] != (form.code, form.name)
        or found[3] not in (None, str(form.version))
    ):
        msg = f"{file.shown} holds version {form.version} of rule {form.code} '{form.name}'"
        name = f"{form.code}-{form.name}"
        fix = f"Call the file {name}.toml or {name}.v{form.version}.toml"
        yield CodedError("RU110", msg, fix=fix)


def _date_errors(file: RuleFile, form: RuleForm) -> Iterator[CodedError]:
    if form.valid_until is not None and form.valid_until <= form.valid_from:
        msg = f"valid_until is not after valid_from in {file.shown}"
        yield CodedError("RU119", msg, why="The rule would never be in force", fix="Mend the dates")


def _practice(
    file: RuleFile, form: RuleForm, practices: Mapping[str, Practice], errors: list[CodedError]
) -> Practice | None:
    """Return the practice whose cases the rule judges; note what is unknown."""
    named = {"practice": form.practice}
    if form.case_type:
        known_by_folder = form.practice == file.path.parent.name
        named = {} if known_by_folder else named
        named["case_type"] = form.case_type
    for key, name in named.items():
        if name not in practices:
            msg = f"unknown practice '{name}' in {file.shown}, {key}"
            errors.append(CodedError("RU115", msg, fix=did_you_mean(name, practices)))
    return practices.get(form.case_type or form.practice)


def _template(file: RuleFile, form: RuleForm, errors: list[CodedError]) -> Template | None:
    if form.template not in templates():
        msg = f"unknown template '{form.template}' in {file.shown}, template"
        errors.append(CodedError("RU106", msg, fix=did_you_mean(form.template, templates())))
    return templates().get(form.template)


def _params(
    file: RuleFile, form: RuleForm, template: Template, errors: list[CodedError]
) -> TemplateParams | None:
    """Validate the parameters by the template's own form, as data from a file (strict JSON)."""
    try:
        return template.Params.model_validate_json(json.dumps(form.params, default=str))
    except ValidationError as wrong:
        errors += _errors(file, wrong, template.Params, "params")
        return None


def _unknown_activities(
    file: RuleFile, form: RuleForm, params: TemplateParams | None, practice: Practice
) -> Iterator[CodedError]:
    named = [
        (f"params.{key}", word) for key, word in (params.activities() if params else {}).items()
    ]
    for i, example in enumerate(form.examples):
        named += [(f"examples[{i}].trace[{j}]", e.activity) for j, e in enumerate(example.trace)]
    for where, word in named:
        if word not in practice.words:
            msg = f"unknown activity '{word}' in {file.shown}, {where}"
            yield CodedError("RU104", msg, fix=did_you_mean(word, practice.words))


def _missing_examples(
    file: RuleFile, form: RuleForm, template: Template, params: TemplateParams
) -> Iterator[CodedError]:
    """Yield an error for every verdict that the table can give and no example shows."""
    possible = {row.verdict for row in template.decide(params)} - {Verdict.UNKNOWN}
    shown = {example.verdict for example in form.examples}
    for verdict in sorted(possible | {Verdict.CONFORMS, Verdict.VIOLATES}):
        if verdict.word not in shown:
            msg = f"{file.shown} has no example whose verdict is '{verdict.word}'"
            yield CodedError("RU116", msg, fix="Add one under [[examples]]")


def _built(file: RuleFile, form: RuleForm, params: TemplateParams | None) -> Rule:
    reference = form.reference
    return Rule(
        code=form.code,
        name=form.name,
        title=form.title,
        practice=form.practice,
        case_type=form.case_type or form.practice,
        template=form.template,
        params=params,
        severity=Severity[form.severity.upper()],
        version=form.version,
        valid_from=form.valid_from,
        valid_until=form.valid_until,
        reference=Reference(reference.itil, reference.iso20000, tuple(reference.fitsm)),
        owner=form.owner,
        why=form.why,
        remedy=form.remedy,
        known_problems=tuple(form.known_problems),
        examples=tuple(_example(example) for example in form.examples),
        path=file.shown,
        scope=tuple(_scope(one) for one in form.scope),
        control=form.control,
    )


def _scope(form: ScopeForm) -> Scope:
    one_of, none_of = (
        frozenset(plain_text(text) for text in texts) for texts in (form.one_of, form.none_of)
    )
    return Scope(form.column, one_of, none_of)


def plain_text(text: str) -> str:
    """Return a text as conditions compare it: without case and outer white space."""
    return text.strip().lower()


def _example(form: ExampleForm) -> Example:
    events: list[ExampleEvent] = []
    for event in form.trace:
        after = events[-1].at_us + _STEP_US if events else 0
        at_us = after if event.at is None else event.at
        events.append(
            ExampleEvent(event.activity, at_us, event.actor, event.team, event.attributes)
        )
    verdict = Verdict[form.verdict.upper()]
    return Example(verdict, tuple(events), form.case, form.links, form.as_of)


def printable(text: str) -> str:
    """Make a foreign text safe for one line of a message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
