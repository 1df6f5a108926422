"""What does the file of a new rule look like, so that it loads and its examples are true?

A template's required parameters get values that can stand there: activities from the practice's
own words, in their order; the rest from `rules.parameters`. The examples are found, not written:
small traces over the words that the parameters name, with the practice's first word and one that
ends a case, are judged by both engines (`rules.examples`), and the first that shows a verdict is
taken: short ones before long ones, those that begin as the practice does before others, plain ones
before those that are dressed (`_dresses`): with slow steps, a late moment of judging, one person or
several, values of the columns that the parameters name, priorities, links. Last come the traces
that other rules on such cases show. If some verdict is shown by none, other words are tried.

Cost: some hundred to some thousand traces at a time, 1 s to 4 s for most templates.

Not checked: whether the rule says anything worth knowing; that is what its author has to write.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, product
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean
from rules.catalogue import Catalogue, run_examples
from rules.durations import PATTERN, parse_duration
from rules.parameters import ACTIVITIES, ACTIVITY, parameters
from rules.rule_file import verdicts_to_show
from rules.service_level import load_service_levels
from rules.spec import Example, ExampleEvent, Reference, Rule, Severity, Verdict
from rules.templates import templates
from rules.toml_file import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.parameters import Parameter
    from rules.practice import Practice
    from rules.service_level import ServiceLevels
    from rules.templates import TemplateParams

TRIES: Final = 12
WORDS_TRIED: Final = 6
LONGEST: Final = 4
SHORTER: Final = 3
KNOWN_TRACES: Final = 60
STEP_US: Final = s.US_PER_HOUR
VALUES: Final = ("1", "2")
CASE_COLUMNS: Final = (s.PRIORITY, s.CATEGORY, s.SERVICE)
FIRST_DAY: Final = dt.date(2000, 1, 1)


@dataclass(frozen=True)
class Draft:
    """A new rule with true examples, and its parameters as a file writes them.

    `words` are those of the practice, the ones that the rule does not speak of first.
    """

    rule: Rule
    raw: Mapping[str, object]
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Dress:
    """What a trace needs besides its activities to show a verdict.

    `people` says who does the steps: nobody named, one person, or another one each time. Each step
    comes `step_us` after the one before; the case is judged `later_us` after the last. `case` are
    its columns; `said` are event attributes, which `changing` makes another at each event.
    """

    people: int = 0
    step_us: int = STEP_US
    later_us: int = 0
    case: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    changing: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    def example(self, trace: Sequence[str]) -> Example:
        """Dress a trace; the verdict is not known yet."""
        events = tuple(self._event(place, activity) for place, activity in enumerate(trace))
        as_of_us = events[-1].at_us + self.later_us if self.later_us else None
        return Example(Verdict.UNKNOWN, events, self.case, self.links, as_of_us)

    def _event(self, place: int, activity: str) -> ExampleEvent:
        who = place if self.people > 1 else 0
        return ExampleEvent(
            activity,
            place * self.step_us,
            f"person {who + 1}" if self.people else None,
            f"team {who + 1}" if self.people else None,
            {name: str(place + 1) if self.changing else "1" for name in self.said},
        )


def draft(
    code: str, template: str, practice: str, catalogue: Catalogue, *, name: str | None = None
) -> Draft:
    """Find a rule of a template for a practice whose examples show every verdict.

    Raises CodedError RU106 or RU115 for an unknown template or practice, RU125 for a code or a
    name that is taken, RU128 where no small trace shows some verdict.
    """
    _require_known(template, practice, catalogue)
    name = name or f"{code.lower()}-to-be-named"
    _require_free(code, name, catalogue)
    found, levels = catalogue.practices[practice], load_service_levels()
    best: set[Verdict] = set()
    wanted: set[Verdict] = set()
    for raw, params in islice(_parameters(template, found), TRIES):
        rule = _rule(code, name, template, params, found)
        wanted = set(verdicts_to_show(templates()[template], params))
        shown = _shown(rule, raw, wanted, catalogue, levels)
        if wanted <= shown.keys():
            examples = tuple(shown[verdict] for verdict in sorted(wanted))
            return Draft(replace(rule, examples=examples), raw, _others_first(found, params))
        best = max(best, set(shown), key=len)
    raise _no_examples(template, practice, wanted - best, catalogue)


def _others_first(practice: Practice, params: TemplateParams) -> tuple[str, ...]:
    named = set(params.activities().values())
    return tuple(sorted(practice.activities[1:], key=lambda word: word in named))


def _require_known(template: str, practice: str, catalogue: Catalogue) -> None:
    if template not in templates():
        msg = f"unknown template '{printable(template)}'"
        raise CodedError("RU106", msg, fix=did_you_mean(template, templates()))
    if practice not in catalogue.practices:
        msg = f"unknown practice '{printable(practice)}'"
        raise CodedError("RU115", msg, fix=did_you_mean(practice, catalogue.practices))


def _require_free(code: str, name: str, catalogue: Catalogue) -> None:
    for rule in catalogue.rules:
        if rule.code == code:
            msg = f"code '{code}' is that of rule '{rule.name}' in {rule.path}"
            fix = f"Take another code, or write a new version: {code}-{rule.name}.v2.toml"
            raise CodedError("RU125", msg, why="A code is never used again", fix=fix)
        if rule.name == name:
            msg = f"name '{name}' is that of rule {rule.code} in {rule.path}"
            raise CodedError("RU125", msg, fix="Give another --name")


def _no_examples(
    template: str, practice: str, missing: set[Verdict], catalogue: Catalogue
) -> CodedError:
    words = ", ".join(verdict.word for verdict in sorted(missing)) or "any"
    msg = f"no small trace of practice '{practice}' shows the verdict {words} of '{template}'"
    like = [rule.path for rule in catalogue.newest if rule.template == template]
    fix = f"Copy a rule that uses it: {', '.join(like[:3])}" if like else "Write it by hand"
    return CodedError("RU128", msg, why="A rule file needs an example of each", fix=fix)


def _rule(code: str, name: str, template: str, params: TemplateParams, practice: Practice) -> Rule:
    return Rule(
        code=code,
        name=name,
        title="To be written: what must not happen, in one sentence",
        practice=practice.name,
        case_type=practice.name,
        template=template,
        params=params,
        severity=Severity.MEDIUM,
        version=1,
        valid_from=FIRST_DAY,
        valid_until=None,
        reference=_reference(practice),
        owner=practice.owner,
        why="To be written: why it matters when this happens.",
        remedy="To be written: what to do so that it does not happen again.",
        known_problems=(),
        examples=(),
        path="",
    )


def _reference(practice: Practice) -> Reference:
    clauses = [one.clause for one in practice.references if one.norm != "FitSM"]
    fitsm = tuple(one.clause for one in practice.references if one.norm == "FitSM")
    return Reference(practice.itil, clauses[0] if clauses else "", fitsm[:1])


# --- parameters


def _parameters(
    template: str, practice: Practice
) -> Iterator[tuple[dict[str, object], TemplateParams]]:
    """Yield parameters that the template accepts, each time with other words of the practice.

    Where the required ones alone say too little, one more that has something to suggest is named.
    """
    known = parameters(template)
    required = [one for one in known if one.required]
    others = [one for one in known if not one.required and one.suggested]
    for further in ([], *([one] for one in others)):
        wanted = [*required, *further]
        for raw in _filled(wanted, practice):
            params = _accepted(template, raw)
            if params is None:
                break
            yield raw, params


def _filled(wanted: Sequence[Parameter], practice: Practice) -> Iterator[dict[str, object]]:
    """Yield values for some parameters; activities get words in the practice's order."""
    slots = [one.name for one in wanted if one.kind in (ACTIVITY, ACTIVITIES)]
    middle = [word for word in practice.activities[1:] if word not in practice.ends]
    pool = [*middle[:WORDS_TRIED], *practice.activities[:1], *practice.ends[:1]]
    for words in combinations(pool, len(slots)):
        chosen = dict(zip(slots, words, strict=True))
        yield {
            one.name: [chosen[one.name]]
            if one.kind == ACTIVITIES
            else chosen.get(one.name, one.sample)
            for one in wanted
        }


def _accepted(template: str, raw: Mapping[str, object]) -> TemplateParams | None:
    try:
        return templates()[template].Params.model_validate_json(json.dumps(raw))
    except ValidationError:
        return None


# --- examples


def _shown(
    rule: Rule,
    raw: Mapping[str, object],
    wanted: set[Verdict],
    catalogue: Catalogue,
    levels: ServiceLevels,
) -> dict[Verdict, Example]:
    """Return the first example found for each verdict, as both engines judge it.

    Small plain traces first; where they do not do, shorter ones in every dress; then those that
    other rules on such cases show. Each time all are in one log: what the log never says is unknown
    of every case.
    """
    practice = catalogue.practices[rule.practice]
    plain, *dresses = _dresses(rule, raw, levels)
    shorter = _traces(rule, practice, SHORTER)
    batches: list[tuple[list[_Dress], list[tuple[str, ...]]]] = [
        ([plain], _traces(rule, practice, LONGEST)),
        (dresses, shorter),
        ([plain, *dresses], [*_known_traces(rule, catalogue), *shorter]),
    ]
    shown: dict[Verdict, Example] = {}
    for dressed, traces in batches:
        examples = tuple(dress.example(trace) for dress in dressed for trace in traces)
        for verdict, example in _judged(replace(rule, examples=examples), practice, levels):
            if verdict in wanted:
                shown.setdefault(verdict, replace(example, verdict=verdict))
        if wanted <= shown.keys():
            break
    return shown


def _judged(
    rule: Rule, practice: Practice, levels: ServiceLevels
) -> Iterator[tuple[Verdict, Example]]:
    """Yield each example of a rule with the verdict on which both engines agree."""
    alone = Catalogue((rule,), {practice.name: practice})
    for result in run_examples(alone, service_levels=levels):
        if result.durable == result.evaluator:
            yield result.durable, rule.examples[result.index]


def _traces(rule: Rule, practice: Practice, longest: int) -> list[tuple[str, ...]]:
    """Return small traces, those that begin as the practice does first, then by length."""
    first, end, outside = practice.activities[0], practice.ends[0], practice.outside_model[:1]
    words = list(dict.fromkeys([first, *rule.params.activities().values(), end, *outside]))
    traces = [trace for n in range(1, longest + 1) for trace in product(words, repeat=n)]
    return sorted(traces, key=lambda trace: (trace[0] != first, len(trace)))


def _known_traces(rule: Rule, catalogue: Catalogue) -> list[tuple[str, ...]]:
    """Return the traces that rules on the same cases show, the shortest first."""
    found = {
        tuple(event.activity for event in example.events)
        for other in catalogue.rules
        if other.case_type == rule.case_type
        for example in other.examples
    }
    return sorted(found, key=lambda trace: (len(trace), trace))[:KNOWN_TRACES]


def _dresses(rule: Rule, raw: Mapping[str, object], levels: ServiceLevels) -> Iterator[_Dress]:
    """Yield what traces may need to show a verdict, the plainest first."""
    texts = list(dict.fromkeys(_texts([raw, rule.params.model_dump(mode="json")])))
    spans = [parse_duration(text) for text in texts if PATTERN.fullmatch(text)]
    slow_us = 2 * max([*spans, 12 * STEP_US])
    yield _Dress()
    yield _Dress(step_us=slow_us)
    yield _Dress(later_us=slow_us)
    yield _Dress(people=1)
    yield _Dress(people=2)
    columns = [text for text in texts if text.startswith(s.ATTRIBUTE_PREFIX)]
    said = tuple(column.removeprefix(s.ATTRIBUTE_PREFIX) for column in columns)
    columns += [text for text in texts if text in CASE_COLUMNS]
    for values in product(VALUES, repeat=len(columns)) if columns else ():
        case = dict(zip(columns, values, strict=True))
        yield _Dress(case=case)
        yield _Dress(case=case, said=said)
        yield _Dress(case=case, said=said, changing=True)
    for priority in _priorities(rule, levels):
        for step_us in (STEP_US, 400 * STEP_US):
            yield _Dress(case={s.PRIORITY: priority}, step_us=step_us)
    if isinstance(raw.get(s.KIND), str):
        yield _Dress(links={str(raw[s.KIND]): "TICKET-1"})


def _texts(value: object) -> Iterator[str]:
    """Yield every text inside a value of a file."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _priorities(rule: Rule, levels: ServiceLevels) -> list[str]:
    """Return the priorities for which something is promised to cases of the rule, and another."""
    if s.PRIORITY not in templates()[rule.template].HINGES:
        return []
    mine = [one for one in levels.targets if one.case_type == rule.case_type]
    known = {one.priority for one in mine if one.priority is not None}
    return [*sorted(known)[:2], "none of these"] if known else []
