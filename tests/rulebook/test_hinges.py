"""What HINGES says of a template is what damaging its traces shows, both ways.

A story is told in full and once more with one fact spoilt: its first events lost, its last, one in
between, two events of one time in the other order, one event twice, or one recorded at another
time. Where the spoilt trace gets a claim that the full one contradicts, HINGES must name it; and
each claim that HINGES names must be contradicted somewhere, or it takes verdicts for nothing.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from rulebook.test_templates import SCENARIOS, UPDATE, ask, desk_of, stories, verdicts

from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.quality import COUNT, END, MIDDLE, ORDER, RECORDED, START, TIME, WORDS
from rules.practice import load_practices, translate
from rules.spec import Verdict, decide
from rules.templates import Desk, linked_record, templates

if TYPE_CHECKING:
    from collections.abc import Callable

    from oracles.finite_trace import Step, Story

CLAIMS = ("conforms", "violates")
N = 4000


def without_start(story: Story, rng: random.Random) -> Story:
    return replace(story, steps=story.steps[rng.randint(1, len(story.steps)) :])


def without_end(story: Story, rng: random.Random) -> Story:
    return replace(story, steps=story.steps[: rng.randint(0, len(story.steps) - 1)])


def without_middle(story: Story, rng: random.Random) -> Story:
    at = rng.randrange(len(story.steps))
    return replace(story, steps=story.steps[:at] + story.steps[at + 1 :])


def swapped(story: Story, rng: random.Random) -> Story:
    """Two neighbours of one time in the other order; a story without such stays as it is."""
    steps = list(story.steps)
    tied = [i for i in range(len(steps) - 1) if steps[i].at == steps[i + 1].at]
    if tied:
        at = rng.choice(tied)
        steps[at], steps[at + 1] = steps[at + 1], steps[at]
    return replace(story, steps=tuple(steps))


def doubled(story: Story, rng: random.Random) -> Story:
    at = rng.randrange(len(story.steps))
    return replace(story, steps=(*story.steps[: at + 1], *story.steps[at:]))


def moved(story: Story, rng: random.Random) -> Story:
    """One event at another time between its neighbours."""
    at = rng.randrange(len(story.steps))
    return at_another_time(story, rng, at, story.steps[at - 1].at if at else 0)


def at_another_time(story: Story, rng: random.Random, at: int, low: int) -> Story:
    high = story.steps[at + 1].at if at + 1 < len(story.steps) else 320
    step = replace(story.steps[at], at=rng.randint(low, max(low, high)))
    return replace(story, steps=(*story.steps[:at], step, *story.steps[at + 1 :]))


SPOIL: dict[str, Callable[[Story, random.Random], Story]] = {
    START: without_start,
    MIDDLE: without_middle,
    END: without_end,
    ORDER: swapped,
    COUNT: doubled,
    TIME: moved,
}


@cache
def contradicted(fact: str) -> dict[str, Counter[str]]:
    """For each scenario, how often a claim on the spoilt trace is contradicted by the full one."""
    rng = random.Random(fact)  # noqa: S311 - no secret
    full = [story for story in stories(21, N) if story.steps]
    spoilt = [SPOIL[fact](story, rng) for story in full]
    whole, damaged = desk_of(full), desk_of(spoilt)
    found: dict[str, Counter[str]] = {}
    for name, (template, given, _) in SCENARIOS.items():
        truth, told = verdicts(whole, template, given), verdicts(damaged, template, given)
        found[name] = Counter(
            said
            for said, true in zip(told, truth, strict=True)
            if said in CLAIMS and true in CLAIMS and said != true
        )
    return found


@pytest.mark.parametrize("fact", SPOIL)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_claim_is_contradicted_that_is_not_named(fact: str, name: str) -> None:
    module = templates()[SCENARIOS[name][0]]
    hinges = module.Params.model_validate(SCENARIOS[name][1]).hinges(module.HINGES)
    named = {verdict.word for verdict in hinges.get(fact, ())}
    assert set(contradicted(fact)[name]) <= named, contradicted(fact)[name]


def test_every_claim_that_is_named_is_contradicted_somewhere() -> None:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in SPOIL:
        for name, counts in contradicted(fact).items():
            seen[SCENARIOS[name][0], fact] |= set(counts)
    tried = {template for template, _, _ in SCENARIOS.values()}
    idle = [
        (template, fact, verdict.word)
        for template in sorted(tried)
        for fact, named in templates()[template].HINGES.items()
        for verdict in named
        if fact in SPOIL and verdict.word not in seen[template, fact]
    ]
    assert idle == []


def test_a_word_that_is_not_mapped_misleads_only_as_named() -> None:
    """An update, read as a step because its word is not mapped (`translate` keeps such words)."""
    full = [story for story in stories(21, N) if any(x.activity == UPDATE for x in story.steps)]
    unread = [replace(story, steps=tuple(map(_unread, story.steps))) for story in full]
    whole, damaged = desk_of(full), desk_of(unread)
    misled: dict[str, set[str]] = defaultdict(set)
    resolved = {"activity": "b", "within": "2d", "calendar": "24x7"}
    rules = {name: (template, given) for name, (template, given, _) in SCENARIOS.items()}
    rules["resolved"] = "resolves_within", resolved
    rules["resolved, a pauses"] = "resolves_within", resolved | {"pauses": ["a"]}
    rules["resolved since a"] = "resolves_within", resolved | {"since": "a"}
    rules["other team"] = "different_team", {"first": "a", "second": "b"}
    for name, (template, given) in rules.items():
        params = templates()[template].Params.model_validate(given)
        named = {v.word for v in params.hinges(templates()[template].HINGES).get(WORDS, ())}
        truth, told = verdicts(whole, template, given), verdicts(damaged, template, given)
        wrong = {a for a, b in zip(told, truth, strict=True) if {a, b} == set(CLAIMS)}
        assert wrong <= named, (name, wrong)
        misled[template] |= wrong
    for template in ("responds", "precedes", "succeeds", "starts_with", "ends_with"):
        assert misled[template] == {"violates"}, template
    assert misled["four_eyes"] == {"conforms"}
    assert misled["resolves_within"] == {"violates"}
    assert misled["waits_at_most"] == set(CLAIMS)


def test_a_word_that_is_not_mapped_is_read_as_a_step_of_its_own() -> None:
    events = pa.table({"case_id": ["a"] * 3, "activity": ["Register", "Mystery", "Close"]})
    log = EventLog.build(
        events.append_column("at", pa.array([1, 2, 3], pa.int64())), meta=LogMeta("test")
    )
    found = translate(log, load_practices()["incident"], "own")
    assert found.log.events[s.ACTIVITY].to_pylist() == ["Register", "Mystery", "Close"]
    assert found.has_unmapped.tolist() == [True]


def _unread(step: Step) -> Step:
    return replace(step, activity="mystery") if step.activity == UPDATE else step


def test_a_time_recorded_too_late_misleads_only_through_a_start_or_a_stop() -> None:
    """A violation then rests on a stop, conformity on a start: what `check` takes, and no more."""
    rng = random.Random(RECORDED)  # noqa: S311 - no secret
    full = [story for story in stories(21, N) if story.steps]
    which = [rng.randrange(len(story.steps)) for story in full]
    late = [
        at_another_time(story, rng, at, story.steps[at].at)
        for story, at in zip(full, which, strict=True)
    ]
    whole, spoilt = desk_of(full), desk_of(late)
    positions = spoilt.log.arrays.offsets[:-1] + np.array(which)
    for name, (template, given, _) in SCENARIOS.items():
        module = templates()[template]
        if RECORDED not in module.Params.model_validate(given).hinges(module.HINGES):
            continue
        found = ask(spoilt, template, given)[1]
        assert found.starts is not None
        assert found.stops is not None
        through = {"violates": found.stops[positions], "conforms": found.starts[positions]}
        truth, told = verdicts(whole, template, given), verdicts(spoilt, template, given)
        misled = [
            (row, said)
            for row, (said, true) in enumerate(zip(told, truth, strict=True))
            if said in CLAIMS and true in CLAIMS and said != true
        ]
        assert all(through[said][row] for row, said in misled), name
        assert {said for _, said in misled} == set(CLAIMS), name


def test_linked_record_without_a_demand_says_what_a_plain_reading_says() -> None:
    rng = random.Random(5)  # noqa: S311 - no secret
    told = stories(31, 600)
    desk = desk_of(told)
    ids = desk.log.cases[s.CASE_ID].to_pylist()
    kinds = {name: [k for k in ("problem", "parent") if rng.random() < 0.4] for name in ids}
    links = pa.Table.from_pylist(
        [
            {s.CASE_ID: name, s.LINKED_TO: f"{kind}1", s.KIND: kind, s.AT: None}
            for name in ids
            for kind in kinds[name]
        ],
        schema=s.LINK_SCHEMA,
    )
    linked = replace(desk, log=replace(desk.log, links=links))
    params = linked_record.Params(activity="a", kind="problem")

    def judged(one: Desk) -> list[str]:
        facts = linked_record.measure(one, params).facts
        return [Verdict(v).word for v in decide(linked_record.decide(params), facts, "x")]

    def plain(story: Story, own: list[str]) -> str:
        if not any(step.activity == "a" for step in story.steps):
            return "vacuous" if story.complete else "pending"
        if "problem" in own:
            return "conforms"
        return "violates" if story.complete else "pending"

    expected = [plain(story, kinds[name]) for story, name in zip(told, ids, strict=True)]
    assert judged(linked) == expected
    assert set(expected) == {"conforms", "violates", "pending", "vacuous"}
    without = judged(desk)
    assert {"conforms", "violates"} & set(without) == set()
    assert "unknown" in without


def test_links_travel_with_their_cases_and_later_ones_are_not_known_yet() -> None:
    events = pa.table({"case_id": ["a", "b"], "activity": ["x", "x"], "at": [10, 20]})
    rows = [("a", "P1", "problem", 15), ("b", "P1", "problem", None), ("a", "P2", "problem", 50)]
    links = pa.Table.from_pylist(
        [dict(zip(s.LINK_SCHEMA.names, row, strict=True)) for row in rows], schema=s.LINK_SCHEMA
    )
    log = EventLog.build(events, links=links, meta=LogMeta("test"))
    assert log.links.num_rows == 3
    assert log.until(30).links["linked_to"].to_pylist() == ["P1", "P1"]
    assert log.select(np.array([False, True])).links["case_id"].to_pylist() == ["b"]
    other = EventLog.build(events, meta=LogMeta("test"))
    assert other.meta.sha256 != log.meta.sha256
