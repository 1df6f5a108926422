"""Does every template say what its formula says: on random rules, random cases, by three judges?

A random rule is a template with random parameters; a random case has up to seven events, with equal
times, updates, steps outside the model, missing actors, teams and attributes, and events at which
the rule is not in force; it is open or has ended. For every pair of a rule and a case must agree

- the columns that the template measures, judged by the independent evaluator (`rules.spec.decide`),
- the same facts, judged by durable-rules (`rules.engine`),
- what is measured once a distinct trace, where the rule reads no more than that,
- the template's formula, read by brute force (`oracles/rule_formulas.py`, `oracles/ltlf.py`).

All of it, 100,000 pairs: `make trial-rules`. Without the mark a slice runs with the other tests.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from oracles.ltlf import Step, Story
from oracles.rule_formulas import READINGS, Office, verdict

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.eventlog import EventLog, LogMeta
from rules import engine
from rules.service_level import load_service_levels
from rules.spec import Verdict, decide
from rules.templates import Desk, templates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from process_mining.columnar.distinct import DistinctTraces
    from rules.spec import DecisionTable, Measure

MONDAY_US = 1_704_672_000 * s.US_PER_SECOND  # 2024-01-08 00:00 UTC, hour 0 of every story
OUTSIDE = frozenset({"o", "q"})
WORDS = ("a", "b", "c", "d", "o", "q", "Reopen", None)
OFTEN = 3  # how many times as often the activities of the rule come
HOURS = (0, 0, 9, 10, 11, 17, 24, 33, 60, 81, 100, 106, 200, 320)
LATEST = (24, 100, 330, 400)
SCORES = (None, "1", "2", "2", "4", "bad")
NOTES = (None, " ", "x", "X ", "y")
LEVELS = (None, "low", " HIGH", "1 - any", "3", "", "2")
NOT_ONE_TRACE = {"follows_model", "has_target", "meets_target", "linked_record"}
TRACES = 100  # of one desk; every rule is asked about all of them
RULES, SLICE_RULES, SLICE_TRACES = 1_000, 330, 15
MANY_PARAMETERS = ["precedes", "precedes", "responds", "responds", "responds_within"]
FOUR = {"conforms", "violates", "pending", "vacuous"}
Params = dict[str, Any]


# --- random rules


def pick(random: Random, words: str = "abco", n: int = 2) -> list[str]:
    return random.sample(words, n)


def maybe(random: Random, name: str, value: object, chance: float = 0.3) -> Params:
    return {name: value} if random.random() < chance else {}


def where(random: Random) -> Params:
    text = {
        "attribute": "note",
        random.choice(["one_of", "none_of"]): random.choice([["x"], ["Y ", "z"]]),
    }
    low, high = random.choice([(None, 2), (2, None), (1, 2), (2, 4)])
    number = {"at_least": low, "at_most": high}
    bounds = {"attribute": "score"} | {k: v for k, v in number.items() if v is not None}
    return random.choice([text, bounds])


def match(random: Random) -> Params:
    field = random.choice(["actor", "actor", "team", "attr.note", "attr.score"])
    return {"field": field, "relation": random.choice(["same", "other"])}


def form(random: Random) -> Params:
    return {"form": random.choice(["any", "alternate", "chain"])}


def within(random: Random, name: str = "within") -> Params:
    calendar, limits = random.choice(
        [("24x7", ["0h", "1h", "9h", "1d", "3d"]), ("business-hours", ["1h", "8h", "10h", "20h"])]
    )
    limit = random.choice(limits[1:])
    return {name: limit, "calendar": calendar}


def correlated(random: Random) -> Params:
    """Not on one attribute both: templates then wait longer than they need (`all_to_come`)."""
    narrowed, tied = where(random), match(random)
    while tied["field"] == f"attr.{narrowed['attribute']}":
        tied = match(random)
    return maybe(random, "where", narrowed, 0.4) | maybe(random, "match", tied, 0.5)


def exists(random: Random) -> Params:
    one, two = pick(random)
    return {"activity": one} | maybe(random, "or_else", two)


def exactly(random: Random) -> Params:
    return {"activity": pick(random)[0], "times": random.choice([1, 2, 3])}


def at_most(random: Random) -> Params:
    one = {"activity": pick(random)[0]} | maybe(random, "where", where(random), 0.4)
    what = random.choice([one, one, {"what": "team_changes"}])
    limit = random.choice([0, 1, 1, 2, 2])
    window = within(random) if limit and random.random() < 0.5 else {}
    return what | {"limit": limit} | window


def starts_with(random: Random) -> Params:
    return {"activity": pick(random)[0]}


def responds(random: Random) -> Params:
    one, two, three = pick(random, n=3)
    rest = maybe(random, "or_else", three) | correlated(random) | form(random)
    return {"activity": one, "then": two} | rest


def precedes(random: Random) -> Params:
    one, two, three = pick(random, n=3)
    rest = maybe(random, "or_else", three) | correlated(random) | form(random)
    return {"before": one, "activity": two} | rest


def two_steps(random: Random) -> Params:
    one, two = pick(random)
    return {"first": one, "second": two}


def succeeds(random: Random) -> Params:
    return two_steps(random) | form(random)


def never_follows(random: Random) -> Params:
    one, two, three = pick(random, n=3)
    return {"activity": one, "then": two} | maybe(random, "unless", three, 0.6)


def responds_within(random: Random) -> Params:
    one, two, three = pick(random, n=3)
    asked = {"activity": one, "then": two} | maybe(random, "or_else", three) | within(random)
    asked |= maybe(random, "until", random.choice([two, three]))
    return (
        asked | maybe(random, "where", where(random)) | maybe(random, "earlier_counts", value=True)
    )


def preceded_within(random: Random) -> Params:
    one, two = pick(random)
    rest = within(random) | maybe(random, "where", where(random))
    return {"before": one, "activity": two} | rest


def waits_at_most(random: Random) -> Params:
    return {"activity": pick(random)[0]} | within(random, "limit")


def resolves_within(random: Random) -> Params:
    one, two = pick(random, "abco")
    pauses = random.sample([w for w in ("b", "c", "d", "o") if w != two], random.choice([1, 2]))
    rest = maybe(random, "since", two, 0.5) | maybe(random, "pauses", pauses, 0.7)
    return {"activity": one} | rest | within(random)


def has_value(random: Random) -> Params:
    column = random.choice(["attr.note", "attr.score", "attr.note", "attr.nobody keeps"])
    case = {"column": random.choice(["priority", "attr.impact", "attr.impact", "category"])}
    where_it_is = random.choice([{"column": column, "activity": pick(random)[0]}, case])
    listed = maybe(random, "one_of", random.choice([["x", "1"], ["X ", "y", "2", "low"]]))
    return where_it_is | listed | maybe(random, "none_of", random.choice([["Y"], ["4", "2"]]))


def consistent_value(random: Random) -> Params:
    one, two = pick(random)
    column = random.choice(["actor", "team", "attr.note", "attr.score"])
    part = maybe(random, "after", one, 0.7) | maybe(random, "until", two, 0.5)
    return {"column": column} | part


def matches_matrix(random: Random) -> Params:
    given = {"rows": "attr.impact", "columns": "attr.urgency", "levels": {"low": 2, "High": 1}}
    cells = [[random.choice([1, 1, 2, 3]) for _ in range(2)] for _ in range(2)]
    named = maybe(random, "result_levels", {"low": 3, "high": 1, "2": 2})
    return given | {"matrix": cells} | named | maybe(random, "columns", "category", 0.1)


@dataclass(frozen=True)
class Kind:
    """How random parameters of a template are drawn, and which verdicts it can give."""

    params: Callable[[Random], Params]
    gives: set[str]


KINDS: dict[str, Kind] = {
    "exists": Kind(exists, {"conforms", "violates", "pending"}),
    "exactly": Kind(exactly, {"conforms", "violates", "pending"}),
    "at_most": Kind(at_most, {"conforms", "violates", "pending", "unknown"}),
    "starts_with": Kind(starts_with, FOUR),
    "ends_with": Kind(exists, FOUR),
    "responds": Kind(responds, {*FOUR, "unknown"}),
    "precedes": Kind(precedes, {*FOUR, "unknown"}),
    "succeeds": Kind(succeeds, FOUR),
    "not_coexists": Kind(two_steps, FOUR),
    "never_follows": Kind(never_follows, FOUR),
    "four_eyes": Kind(two_steps, {*FOUR, "unknown"}),
    "different_team": Kind(two_steps, {*FOUR, "unknown"}),
    "resolves_within": Kind(resolves_within, FOUR),
    "has_value": Kind(has_value, {*FOUR, "unknown"}),
    "consistent_value": Kind(consistent_value, {*FOUR, "unknown"}),
    "matches_matrix": Kind(matches_matrix, {"conforms", "violates", "pending", "unknown"}),
    "responds_within": Kind(responds_within, {*FOUR, "unknown"}),
    "preceded_within": Kind(preceded_within, {*FOUR, "unknown"}),
    "waits_at_most": Kind(waits_at_most, FOUR),
}


@dataclass(frozen=True)
class RandomRule:
    """A template and its parameters."""

    template: str
    params: Params

    def words(self) -> list[str | None]:
        """From which words its cases are drawn."""
        named = {word for word in WORDS if word in (*self.params.values(), *self.pauses())}
        return [*WORDS, *sorted(word for word in named if word) * OFTEN]

    def pauses(self) -> list[str]:
        """The activities that are named in a list."""
        return list(self.params.get("pauses", []))


def random_rules(random: Random, n: int) -> list[RandomRule]:
    """As many of each template as of any other, and more of those that have many parameters."""
    names = sorted([*KINDS, *MANY_PARAMETERS])
    return [
        RandomRule(names[i % len(names)], KINDS[names[i % len(names)]].params(random))
        for i in range(n)
    ]


# --- random cases


def random_stories(random: Random, n: int, words: Sequence[str | None]) -> tuple[Story, ...]:
    """Cases of one desk; they are judged at one time, and at most one rule lies out of force."""
    as_of = random.choice(LATEST)
    always = random.random() < 0.5
    return tuple(random_story(random, as_of, words, always=always) for _ in range(n))


def random_story(random: Random, as_of: int, words: Sequence[str | None], *, always: bool) -> Story:
    n = random.choice([0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7])
    hours = sorted(random.choice([hour for hour in HOURS if hour <= as_of]) for _ in range(n))
    steps = tuple(random_step(random, hour, words, always=always) for hour in hours)
    said = {name: random.choice(LEVELS) for name in ("priority", "attr.impact", "attr.urgency")}
    columns = {name: text for name, text in said.items() if text is not None}
    return Story(steps, random.random() < 0.5, as_of, columns)


def office_of(stories: Sequence[Story]) -> Office:
    """What the log keeps: the columns that say something anywhere."""
    on_cases = {name for x in stories for name, text in x.columns.items() if text.strip()}
    steps = [step for story in stories for step in story.steps]
    said = {f"attr.{name}" for x in steps for name, text in x.attributes.items() if text.strip()}
    return Office(OUTSIDE, frozenset(on_cases | said))


def random_step(random: Random, hour: int, words: Sequence[str | None], *, always: bool) -> Step:
    said = {"score": random.choice(SCORES), "note": random.choice(NOTES)}
    return Step(
        random.choice(words),
        hour,
        actor=random.choice([None, "p1", "p2", "p3", "p1"]),
        team=random.choice([None, "t1", "t2", "t2"]),
        attributes={name: text for name, text in said.items() if text is not None},
        in_force=always or random.random() < 0.8,
    )


def desk_of(stories: Sequence[Story]) -> Desk:
    steps = [(i, p, x) for i, story in enumerate(stories) for p, x in enumerate(story.steps)]
    texts = {
        s.CASE_ID: [f"c{i:05d}" for i, _, _ in steps],
        s.ACTIVITY: [x.activity for _, _, x in steps],
        s.ACTOR: [x.actor for _, _, x in steps],
        s.TEAM: [x.team for _, _, x in steps],
        "attr.score": [x.attributes.get("score") for _, _, x in steps],
        "attr.note": [x.attributes.get("note") for _, _, x in steps],
    }
    numbers = {
        s.AT: [MONDAY_US + x.at * s.US_PER_HOUR for _, _, x in steps],
        "position": [p for _, p, _ in steps],
    }
    columns = {name: pa.array(rows, pa.string()) for name, rows in texts.items()}
    columns |= {name: pa.array(rows, pa.int64()) for name, rows in numbers.items()}
    columns[s.ACTIVITY] = columns[s.ACTIVITY].fill_null("an update")
    cases = {s.CASE_ID: pa.array([f"c{i:05d}" for i in range(len(stories))])}
    for name in ("priority", "attr.impact", "attr.urgency"):
        cases[name] = pa.array([story.columns.get(name) for story in stories], pa.string())
    log = EventLog.build(pa.table(columns), cases=pa.table(cases), meta=LogMeta("test"))
    assert log.events[s.ACTIVITY].to_pylist() == columns[s.ACTIVITY].to_pylist()
    in_force = np.array([x.in_force for _, _, x in steps], dtype=bool)
    return Desk(
        log=log.with_columns(events={s.ACTIVITY: pa.array(texts[s.ACTIVITY], pa.string())}),
        complete=np.array([story.complete for story in stories], dtype=bool),
        as_of_us=MONDAY_US + stories[0].as_of * s.US_PER_HOUR,
        service_levels=load_service_levels(),
        outside=OUTSIDE,
        in_force=None if in_force.all() else in_force,
    )


# --- the trial


@dataclass(frozen=True)
class Asked:
    """A rule about the cases of a desk: what was measured, and what the oracle says of each."""

    rule: RandomRule
    stories: Sequence[Story]
    desk: Desk
    table: DecisionTable
    measure: Measure
    by_oracle: list[str]

    def by_table(self) -> list[str]:
        codes = decide(self.table, self.measure.facts, self.rule.template)
        return [Verdict(code).word for code in codes]


def ask(rule: RandomRule, stories: Sequence[Story], desk: Desk) -> Asked:
    module = templates()[rule.template]
    params = module.Params.model_validate(rule.params)
    found, office = module.measure(desk, params), office_of(stories)
    if params.by_trace() and desk.in_force is None:
        assert_alike(found, module.measure(desk.by_trace, params), desk.traces, rule)
    said = [verdict(rule.template, rule.params, story, office) for story in stories]
    return Asked(rule, stories, desk, module.decide(params), found, said)


def assert_alike(found: Measure, once: Measure, traces: DistinctTraces, rule: RandomRule) -> None:
    """What is measured once a distinct trace is what is measured of every case."""
    facts = {name: values[traces.group_of_case].tolist() for name, values in once.facts.items()}
    assert facts == {name: values.tolist() for name, values in found.facts.items()}, rule
    events = [traces.expand(positions).tolist() for positions in once.events]
    assert events == [positions.tolist() for positions in found.events], rule


def trial(seed: int, n_rules: int, n_traces: int) -> dict[str, Counter[str]]:
    """Ask every rule about the cases of its desk; count the verdicts of each template."""
    random = Random(seed)  # noqa: S311 - a seeded test
    asked = []
    for rule in random_rules(random, n_rules):
        stories = random_stories(random, n_traces, rule.words())
        asked.append(ask(rule, stories, desk_of(stories)))
    questions = [engine.Question(one.rule.template, one.table, one.measure.facts) for one in asked]
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for one, by_durable in zip(asked, engine.judge(questions), strict=True):
        by_table = one.by_table()
        assert [Verdict(code).word for code in by_durable] == by_table, one.rule
        wrong = [i for i, said in enumerate(one.by_oracle) if by_table[i] != said]
        assert wrong == [], told(one, by_table, wrong)
        assert_judged(one, by_table)
        given[one.rule.template].update(by_table)
    return given


def told(one: Asked, found: Sequence[str], wrong: Sequence[int]) -> str:
    """The shortest case on which the two differ."""
    i = min(wrong, key=lambda i: len(one.stories[i].steps))
    steps = "\n  ".join(map(str, one.stories[i].steps))
    return (
        f"{one.rule}: {len(wrong)} of {len(found)} differ; {found[i]} instead of"
        f" {one.by_oracle[i]} for complete={one.stories[i].complete},"
        f" as_of={one.stories[i].as_of}\n  {steps}"
    )


def assert_judged(one: Asked, found: Sequence[str]) -> None:
    """What a version judges lies where it is in force, and without it nothing is claimed."""
    judged, desk = one.measure.judged, one.desk
    if judged is None or desk.in_force is None or "vacuous" not in KINDS[one.rule.template].gives:
        return
    assert not (judged & ~desk.in_force).any(), one.rule
    n_judged = segments.count(desk.log.arrays, judged)
    idle = [i for i, n in enumerate(n_judged) if n == 0 and found[i] in ("conforms", "violates")]
    assert idle == [], told(one, found, idle)


def report(given: dict[str, Counter[str]]) -> str:
    n = sum(counts.total() for counts in given.values())
    lines = [f"{name:16} {dict(sorted(counts.items()))}" for name, counts in sorted(given.items())]
    return "\n".join([f"{n} pairs of a rule and a case, {len(given)} templates", *lines])


@pytest.fixture(scope="module", name="given")
def the_slice() -> dict[str, Counter[str]]:
    return trial(1, SLICE_RULES, SLICE_TRACES)


def test_every_template_is_tried() -> None:
    assert set(KINDS) == set(READINGS) == set(templates()) - NOT_ONE_TRACE


def test_three_judges_agree_on_a_slice(given: dict[str, Counter[str]]) -> None:
    assert {name for name, counts in given.items() if counts} == set(KINDS)
    assert sum(counts.total() for counts in given.values()) == SLICE_RULES * SLICE_TRACES


@pytest.mark.parametrize("name", KINDS)
def test_each_template_gives_each_verdict_that_it_can(
    given: dict[str, Counter[str]], name: str
) -> None:
    assert set(given[name]) == KINDS[name].gives


@pytest.mark.trial
def test_three_judges_agree() -> None:
    given = trial(2, RULES, TRACES)
    print(f"\n{report(given)}")  # noqa: T201 - what the trial is for
    assert sum(counts.total() for counts in given.values()) == RULES * TRACES
    for name, kind in KINDS.items():
        assert set(given[name]) == kind.gives, (name, given[name])
