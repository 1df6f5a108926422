"""What must a rule file look like, and what is wrong with this one?

A rule is one TOML file named CODE-name.toml; another version of it is CODE-name.vN.toml, where N is
its version. It holds

    code, name, title, practice, template, severity, version, valid_from, owner, why, remedy
    case_type (default: practice), valid_until, known_problems, control optional
    [params]        the template's parameters
    [[scope]]       which cases the rule is about: column, and one_of or none_of; all must hold
    [reference]     itil (practice), iso20000 (clause), fitsm (clauses such as "PR9.4")
    [[examples]]    verdict, trace, case (priority, category, service, attr.*), links, as_of
    [[examples.records]]   kind, direction, practice, trace: another ticket that is linked with it

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
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean
from rules.durations import UNIT_US
from rules.spec import (
    Control,
    Example,
    ExampleEvent,
    ExampleRecord,
    Reference,
    Rule,
    Scope,
    Severity,
    Verdict,
)
from rules.templates import templates
from rules.texts import plain
from rules.toml_file import Form, Line, Text, form_errors, huge_numbers, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.practice import Practice
    from rules.templates import Template, TemplateParams
    from rules.toml_file import TomlFile

_STEP_US: Final = s.US_PER_HOUR
_FILE_NAME: Final = re.compile(
    r"([A-Z]{3}[0-9]{3})-([a-z0-9]+(?:-[a-z0-9]+)*)(?:\.v([0-9]{1,6}))?\.toml"
)
_OFFSET: Final = re.compile(r"\+((?:[0-9]{1,6}[smhd])+)")
_PART: Final = re.compile(r"([0-9]+)([smhd])")


# --- the file's form


def _parse_offset(text: object) -> object:
    """Read "+1d2h" as microseconds."""
    found = _OFFSET.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        msg = "write the time since the start of the example, like '+2h' or '+1d30m'"
        raise ValueError(msg)
    return sum(int(number) * UNIT_US[unit] for number, unit in _PART.findall(found[1]))


def _as_event(item: object) -> object:
    return {"activity": item} if isinstance(item, str) else item


_WrittenOffset = Annotated[str, Field(pattern=r"^\+([0-9]{1,6}[smhd])+$", examples=["+1d2h"])]
Offset = Annotated[
    int,
    Field(le=3650 * s.US_PER_DAY),
    BeforeValidator(_parse_offset, json_schema_input_type=_WrittenOffset),
]
FitsmClause = Annotated[str, Field(pattern=r"^(PR|GR)[0-9]{1,2}(\.[0-9]{1,2})?$")]
IsoClause = Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,2}){0,3}$")]
CaseColumn = Annotated[str, Field(pattern=r"^(priority|category|service|attr\.[A-Za-z0-9_]+)$")]
Column = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class ReferenceForm(Form):
    """`[reference]`."""

    itil: Line = Field(description="the ITIL 4 practice, by name")
    iso20000: IsoClause | Literal[""] = Field(
        default="", description="the clause of ISO/IEC 20000-1:2018, such as 8.6.1"
    )
    fitsm: list[FitsmClause] = Field(
        default_factory=list, description="requirements of FitSM-1, such as PR9.3"
    )


class EventForm(Form):
    """One entry of a trace."""

    activity: Line = Field(description="a word of the practice")
    at: Offset | None = Field(
        default=None, description="time since the start of the example; default: 1 h after the last"
    )
    actor: Line | None = Field(default=None, description="who did it")
    team: Line | None = Field(default=None, description="the team in charge")
    attributes: dict[Column, Line] = Field(
        default_factory=dict, description="what else the event says, by name without 'attr.'"
    )


TraceEvent = Annotated[
    EventForm, BeforeValidator(_as_event, json_schema_input_type=Line | EventForm)
]


class RecordForm(Form):
    """One `[[examples.records]]`."""

    kind: Line = Field(description="the kind of link")
    direction: Literal["names", "named_by"] = Field(
        default="names", description="names: the case names this ticket; named_by: the reverse"
    )
    practice: Line = Field(description="the practice that the ticket is of")
    trace: list[TraceEvent] = Field(
        min_length=1, description="its events in order, in words of its practice"
    )
    back: Line | None = Field(
        default=None, description="the kind of a second link, which leads the other way"
    )


class ExampleForm(Form):
    """One `[[examples]]`."""

    verdict: Literal["conforms", "violates", "pending", "vacuous", "unknown"] = Field(
        description="what the rule must say of it"
    )
    trace: list[TraceEvent] = Field(min_length=1, description="the events in order")
    case: dict[CaseColumn, Line] = Field(
        default_factory=dict, description="columns of the case: priority, category, attr.NAME, ..."
    )
    links: dict[Line, Line] = Field(
        default_factory=dict,
        description="another ticket that the case names and the log lacks, by the kind of link",
    )
    records: list[RecordForm] = Field(
        default_factory=list, description="other tickets of the log that it is linked with"
    )
    as_of: Offset | None = Field(
        default=None, description="the moment of judging; default: that of the last event"
    )


class ScopeForm(Form):
    """One `[[scope]]`."""

    column: CaseColumn = Field(description="a column of the case")
    one_of: list[Line] = Field(default_factory=list, description="texts of which it holds one")
    none_of: list[Line] = Field(default_factory=list, description="texts of which it holds none")

    @model_validator(mode="after")
    def _one_kind(self) -> ScopeForm:
        if bool(self.one_of) == bool(self.none_of):
            msg = "give one_of or none_of, not both and not neither"
            raise ValueError(msg)
        return self


class RuleForm(Form):
    """A rule file."""

    code: Annotated[str, Field(pattern=r"^[A-Z]{3}[0-9]{3}$")] = Field(
        description="three capitals and three digits; never used again for another rule"
    )
    name: Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")] = Field(
        description="states the offence, such as resolved-before-diagnosed"
    )
    title: Line = Field(description="the offence in one sentence, as findings show it")
    practice: Line = Field(description="the practice that the rule belongs to")
    case_type: Line | None = Field(
        default=None, description="the practice whose cases it judges; default: practice"
    )
    template: Line = Field(description="the kind of constraint; [params] are its parameters")
    severity: Literal["low", "medium", "high", "critical"] = Field(
        description="how much a violation matters"
    )
    version: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="the number of this version of the rule"
    )
    valid_from: dt.date = Field(description="the first day on which this version is in force (UTC)")
    valid_until: dt.date | None = Field(
        default=None, description="the day from which on it is no longer in force"
    )
    owner: Line = Field(description="the role that has to act")
    why: Text = Field(description="why a violation matters")
    remedy: Text = Field(description="what to do about it")
    known_problems: list[Text] = Field(
        default_factory=list, description="where the rule is wrong, or asks too much"
    )
    control: Control | None = Field(
        default=None, description="the change control that the rule serves"
    )
    scope: list[ScopeForm] = Field(
        default_factory=list, description="the cases that the rule is about; all must hold"
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="the parameters of the template"
    )
    reference: ReferenceForm = Field(description="the norms that the rule rests on")
    examples: list[ExampleForm] = Field(
        default_factory=list, description="traces, and what the rule must say of them"
    )


# --- one file


def read_rule(
    file: TomlFile, practices: Mapping[str, Practice], errors: list[CodedError]
) -> Rule | None:
    """Read one rule file; its mistakes go to `errors`."""
    try:
        document = parse(file)
    except CodedError as error:
        errors.append(error)
        return None
    mistakes = list(huge_numbers(file, document))
    form = None if mistakes else _form(file, document, mistakes)
    rule = _rule(file, form, practices, mistakes) if form else None
    errors += mistakes
    return rule


def _form(file: TomlFile, document: dict[str, Any], errors: list[CodedError]) -> RuleForm | None:
    try:
        return RuleForm.model_validate(document)
    except ValidationError as wrong:
        errors += form_errors(file, wrong, RuleForm, "")
        return None


def _rule(
    file: TomlFile, form: RuleForm, practices: Mapping[str, Practice], errors: list[CodedError]
) -> Rule | None:
    """Check what the form alone cannot: names, template, parameters, activities, examples."""
    errors += _file_name_errors(file, form)
    errors += _date_errors(file, form)
    practice = _practice(file, form, practices, errors)
    template = _template(file, form, errors)
    params = _params(file, form, template, errors) if template else None
    if practice:
        errors += _unknown_activities(file, form, params, practice)
    errors += _unknown_elsewhere(file, form, params, practices)
    if template and params:
        errors += _missing_examples(file, form, template, params)
    return None if errors else _built(file, form, params)


def _file_name_errors(file: TomlFile, form: RuleForm) -> Iterator[CodedError]:
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


def _date_errors(file: TomlFile, form: RuleForm) -> Iterator[CodedError]:
    if form.valid_until is not None and form.valid_until <= form.valid_from:
        msg = f"valid_until is not after valid_from in {file.shown}"
        yield CodedError("RU119", msg, why="The rule would never be in force", fix="Mend the dates")


def _practice(
    file: TomlFile, form: RuleForm, practices: Mapping[str, Practice], errors: list[CodedError]
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


def _template(file: TomlFile, form: RuleForm, errors: list[CodedError]) -> Template | None:
    if form.template not in templates():
        msg = f"unknown template '{form.template}' in {file.shown}, template"
        errors.append(CodedError("RU106", msg, fix=did_you_mean(form.template, templates())))
    return templates().get(form.template)


def _params(
    file: TomlFile, form: RuleForm, template: Template, errors: list[CodedError]
) -> TemplateParams | None:
    """Validate the parameters by the template's own form, as data from a file (strict JSON)."""
    try:
        return template.Params.model_validate_json(json.dumps(form.params, default=str))
    except ValidationError as wrong:
        errors += form_errors(file, wrong, template.Params, "params")
        return None


def _unknown_activities(
    file: TomlFile, form: RuleForm, params: TemplateParams | None, practice: Practice
) -> Iterator[CodedError]:
    named = [
        (f"params.{key}", word) for key, word in (params.activities() if params else {}).items()
    ]
    for i, example in enumerate(form.examples):
        named += [(f"examples[{i}].trace[{j}]", e.activity) for j, e in enumerate(example.trace)]
    for where, word in named:
        yield from _unknown_word(file, where, word, practice)


def _unknown_word(
    file: TomlFile, where: str, word: str, practice: Practice
) -> Iterator[CodedError]:
    if word not in practice.words:
        msg = f"unknown activity '{word}' in {file.shown}, {where}"
        yield CodedError("RU104", msg, fix=did_you_mean(word, practice.words))


def _unknown_elsewhere(
    file: TomlFile,
    form: RuleForm,
    params: TemplateParams | None,
    practices: Mapping[str, Practice],
) -> Iterator[CodedError]:
    """Check what is said of other cases than the rule's own: practices, and words of each."""
    spoken = params.spoken_elsewhere() if params else {}
    named = [(f"params.{key}", practice, word) for key, (practice, word) in spoken.items()]
    for i, example in enumerate(form.examples):
        for j, record in enumerate(example.records):
            where = f"examples[{i}].records[{j}]"
            named.append((f"{where}.practice", record.practice, None))
            named += [
                (f"{where}.trace[{k}]", record.practice, event.activity)
                for k, event in enumerate(record.trace)
            ]
    for where, name, word in named:
        if word is None and name not in practices:
            msg = f"unknown practice '{name}' in {file.shown}, {where}"
            yield CodedError("RU115", msg, fix=did_you_mean(name, practices))
        elif word is not None and name in practices:
            yield from _unknown_word(file, where, word, practices[name])


def _missing_examples(
    file: TomlFile, form: RuleForm, template: Template, params: TemplateParams
) -> Iterator[CodedError]:
    """Yield an error for every verdict that the table can give and no example shows."""
    shown = {example.verdict for example in form.examples}
    for verdict in verdicts_to_show(template, params):
        if verdict.word not in shown:
            msg = f"{file.shown} has no example whose verdict is '{verdict.word}'"
            yield CodedError("RU116", msg, fix="Add one under [[examples]]")


def verdicts_to_show(template: Template, params: TemplateParams) -> list[Verdict]:
    """Return the verdicts of which a rule needs an example: all that some trace can show."""
    unshown: frozenset[Verdict] = getattr(template, "UNSHOWN", frozenset())
    possible = {row.verdict for row in template.decide(params)} - {Verdict.UNKNOWN} - unshown
    return sorted(possible | {Verdict.CONFORMS, Verdict.VIOLATES})


def _built(file: TomlFile, form: RuleForm, params: TemplateParams | None) -> Rule:
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
    one_of, none_of = (frozenset(map(plain, texts)) for texts in (form.one_of, form.none_of))
    return Scope(form.column, one_of, none_of)


def _example(form: ExampleForm) -> Example:
    records = tuple(
        ExampleRecord(one.kind, one.direction, one.practice, _events(one.trace), one.back)
        for one in form.records
    )
    verdict = Verdict[form.verdict.upper()]
    return Example(verdict, _events(form.trace), form.case, form.links, form.as_of, records)


def _events(trace: Sequence[EventForm]) -> tuple[ExampleEvent, ...]:
    events: list[ExampleEvent] = []
    for event in trace:
        after = events[-1].at_us + _STEP_US if events else 0
        at_us = after if event.at is None else event.at
        events.append(
            ExampleEvent(event.activity, at_us, event.actor, event.team, event.attributes)
        )
    return tuple(events)
