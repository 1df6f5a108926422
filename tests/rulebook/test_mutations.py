"""Every rule notices when the decisive event of a conforming example is tampered with.

Each conforming example of each rule is spoilt in every single way: an event is dropped, doubled,
delayed (with all that follow it), swapped with the next one, or given to somebody else of the
trace, to another team; an attribute, a column of the case or a linked record is changed or taken
away. A rule that no such mutation turns from CONFORMS to VIOLATES would pass whatever happened. And
each kind of constraint must notice the mutations that it is about.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from process_mining import schema as s
from rules.catalogue import Catalogue, load_catalogue, run_examples
from rules.spec import Verdict
from rules.templates import templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.spec import Example, ExampleEvent, ExampleRecord, Rule

DELAY_US = 2_000 * s.US_PER_DAY
STRANGER = "somebody else altogether"

# What a constraint is about: one of these must turn some conforming example of each of its rules.
NOTICES: dict[str, set[str]] = {
    "consistent_value": {"attribute"},
    "different_team": {"team"},
    "ends_with": {"drop"},
    "exactly": {"double", "drop"},
    "exists": {"drop"},
    "follows_model": {"drop"},
    "four_eyes": {"actor"},
    "has_target": {"column"},
    "linked_record": {"record"},
    "matches_matrix": {"column"},
    "meets_target": {"delay"},
    "never_follows": {"drop", "swap"},
    "not_coexists": {"add"},
    "preceded_within": {"delay"},
    "precedes": {"drop", "swap"},
    "resolves_within": {"delay"},
    "responds": {"drop", "swap"},
    "responds_within": {"delay"},
    "starts_with": {"drop"},
    "succeeds": {"drop", "swap"},
    "waits_at_most": {"delay"},
}


def notices(rule: Rule) -> set[str]:
    """Return the mutations of which a rule must notice one at least."""
    if rule.template == "at_most":
        return {"team"} if rule.params.activity is None else {"double", "add"}
    if rule.template == "has_value":
        return {"column"} if rule.params.activity is None else {"attribute"}
    return NOTICES[rule.template]


@dataclass(frozen=True)
class Mutant:
    """A conforming example of a rule, changed in one way."""

    rule: str
    kind: str
    example: Example


def mutants_of(rule: Rule) -> Iterator[Mutant]:
    for example in rule.examples:
        if example.verdict == Verdict.CONFORMS:
            last = max(event.at_us for event in example.events)
            now = max(last, example.as_of_us or 0) + DELAY_US
            for kind, changed in changes_of(rule, example):
                yield Mutant(rule.code, kind, replace(changed, as_of_us=now))


def changes_of(rule: Rule, example: Example) -> Iterator[tuple[str, Example]]:
    for at in range(len(example.events)):
        for kind, events in event_changes(example.events, at):
            if events:
                yield kind, replace(example, events=tuple(events))
    yield from added_events(rule, example)
    for column in example.case:
        for value in (*"12345", STRANGER):
            yield "column", replace(example, case={**example.case, column: value})
        rest = {name: text for name, text in example.case.items() if name != column}
        yield "column", replace(example, case=rest)
    for kind in example.links:
        rest = {name: text for name, text in example.links.items() if name != kind}
        yield "record", replace(example, links=rest)
    for records in record_changes(example.records):
        yield "record", replace(example, records=records)


def record_changes(records: tuple[ExampleRecord, ...]) -> Iterator[tuple[ExampleRecord, ...]]:
    """Yield the records without one of them, its link back, or one of its events."""
    for at, record in enumerate(records):
        others = records[:at] + records[at + 1 :]
        yield others
        if record.back is not None:
            yield (*others, replace(record, back=None))
        for place in range(len(record.events)):
            left = record.events[:place] + record.events[place + 1 :]
            if left:
                yield (*others, replace(record, events=left))


def event_changes(
    events: tuple[ExampleEvent, ...], at: int
) -> Iterator[tuple[str, list[ExampleEvent]]]:
    """Yield every change of the event at one place."""
    before, event, after = list(events[:at]), events[at], list(events[at + 1 :])
    yield "drop", [*before, *after]
    later = replace(event, at_us=event.at_us + 1)
    yield "double", [*before, event, later, *after]
    pushed = [replace(one, at_us=one.at_us + DELAY_US) for one in (event, *after)]
    yield "delay", [*before, *pushed]
    if after:
        first, second = replace(after[0], at_us=event.at_us), replace(event, at_us=after[0].at_us)
        yield "swap", [*before, first, second, *after[1:]]
    for who in sorted({one.actor for one in events if one.actor} | {STRANGER}):
        yield "actor", [*before, replace(event, actor=who), *after]
    for team in sorted({one.team for one in events if one.team} | {STRANGER}):
        yield "team", [*before, replace(event, team=team), *after]
    for name in event.attributes:
        for value in ("9", "0", STRANGER):
            changed = replace(event, attributes={**event.attributes, name: value})
            yield "attribute", [*before, changed, *after]


def added_events(rule: Rule, example: Example) -> Iterator[tuple[str, Example]]:
    """Yield the example with one event more: each activity that the rule names, at each place."""
    events = example.events
    for word in sorted(set(rule.params.activities().values())):
        for at in range(len(events)):
            extra = replace(events[at], activity=word, at_us=events[at].at_us + 1)
            added = (*events[: at + 1], extra, *events[at + 1 :])
            yield "add", replace(example, events=added)


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


@cache
def turned() -> dict[str, set[str]]:
    """For each rule the kinds of mutation that turn a conforming example into a violation."""
    spoilt = [(rule, list(mutants_of(rule))) for rule in catalogue().newest]
    rules = tuple(
        replace(rule, examples=tuple(mutant.example for mutant in mutants))
        for rule, mutants in spoilt
    )
    results = run_examples(replace(catalogue(), rules=rules))
    kinds = {rule.code: [mutant.kind for mutant in mutants] for rule, mutants in spoilt}
    found: dict[str, set[str]] = defaultdict(set)
    for result in results:
        assert result.durable == result.evaluator
        if result.durable == Verdict.VIOLATES:
            found[result.rule].add(kinds[result.rule][result.index])
    return dict(found)


def test_every_kind_of_constraint_says_what_it_notices() -> None:
    assert set(NOTICES) | {"at_most", "has_value"} == set(templates())


@pytest.mark.parametrize("rule", catalogue().newest, ids=lambda rule: rule.code)
def test_a_rule_does_not_survive_every_mutation(rule: Rule) -> None:
    noticed = turned().get(rule.code, set())
    assert noticed, f"{rule.code} conforms whatever is done to its examples"
    about = notices(rule)
    assert about & noticed, (rule.code, rule.template, noticed)


def test_the_tampering_is_thorough() -> None:
    """Thousands of mutants, of every kind."""
    mutants = [mutant for rule in catalogue().newest for mutant in mutants_of(rule)]
    kinds = {"drop", "double", "delay", "swap", "actor", "team", "attribute", "column", "record"}
    assert {mutant.kind for mutant in mutants} >= kinds
    assert len(mutants) > 40 * len(catalogue().newest)
