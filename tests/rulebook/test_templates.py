"""Every template says of every case what a brute-force reading of its formula says.

Random traces over small alphabets, open and complete, with updates, missing actors, teams and
scores, and steps outside the model; `oracles.finite_trace` judges them one by one.
"""

from __future__ import annotations

import random
import tomllib
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from oracles import data_rules, ltlf, rule_formulas
from oracles import finite_trace as oracle
from oracles.finite_trace import Answer, Step, Story
from pydantic import ValidationError

from process_mining import schema as s
from process_mining.alignment import CaseAlignment
from process_mining.eventlog import EventLog, LogMeta
from rules import engine
from rules.catalogue import load_catalogue
from rules.practice import load_practices, prepare_desk, translate
from rules.service_level import load_service_levels
from rules.spec import Interval, Verdict, decide
from rules.templates import Desk, not_recorded, templates, unobservable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rules.catalogue import Catalogue
    from rules.practice import Practice
    from rules.spec import DecisionTable, Example, Measure, Rule

MONDAY_US = 1_704_672_000 * s.US_PER_SECOND  # 2024-01-08 00:00 UTC, hour 0 of every story
AS_OF = 330
UPDATE = "an update"
OUTSIDE = frozenset({"o"})
OFFICE = {"calendar": "business-hours"}
ALWAYS = {"calendar": "24x7"}

SCENARIOS: dict[str, tuple[str, dict[str, Any], Callable[[Story], str]]] = {
    "exists": ("exists", {"activity": "a"}, partial(oracle.exists, activity="a")),
    "never": ("at_most", {"activity": "a", "limit": 0}, lambda x: oracle.at_most(x, "a", 0)),
    "at most 2": ("at_most", {"activity": "a", "limit": 2}, lambda x: oracle.at_most(x, "a", 2)),
    "at most one in two days": (
        "at_most",
        {"activity": "a", "limit": 1, "within": "2d", **ALWAYS},
        lambda x: data_rules.at_most(
            data_rules.Ticket(x.steps, x.complete, x.as_of), "a", 1, within=48
        ),
    ),
    "one team change in office hours": (
        "at_most",
        {"what": "team_changes", "limit": 1, "within": "9h", **OFFICE},
        lambda x: data_rules.team_changes(
            data_rules.Ticket(x.steps, x.complete, x.as_of), 1, 9, oracle.office_hours
        ),
    ),
    "team changes": (
        "at_most",
        {"what": "team_changes", "limit": 1},
        lambda x: oracle.team_changes_at_most(x, 1),
    ),
    "precedes": (
        "precedes",
        {"before": "a", "activity": "b"},
        lambda x: oracle.precedes(x, "a", "b"),
    ),
    "responds": (
        "responds",
        {"activity": "a", "then": "b"},
        lambda x: oracle.responds(x, "a", "b"),
    ),
    "four eyes": (
        "four_eyes",
        {"first": "a", "second": "b"},
        lambda x: oracle.four_eyes(x, "a", "b", update=UPDATE),
    ),
    "within, around the clock": (
        "responds_within",
        {"activity": "a", "then": "b", "within": "3d", **ALWAYS},
        lambda x: oracle.responds_within(x, Answer("a", "b", 72)),
    ),
    "within office hours, or else": (
        "responds_within",
        {"activity": "a", "then": "b", "or_else": "c", "within": "20h", **OFFICE},
        lambda x: oracle.responds_within(
            x, Answer("a", "b", 20, or_else="c", elapsed=oracle.office_hours)
        ),
    ),
    "within, outside the model, of low score": (
        "responds_within",
        {
            "activity": "a",
            "then": "o",
            "within": "20h",
            "where": {"attribute": "score", "at_most": 2},
            **OFFICE,
        },
        lambda x: oracle.responds_within(
            x, Answer("a", "o", 20, where=("score", None, 2), elapsed=oracle.office_hours)
        ),
    ),
    "within, score in between, earlier counts": (
        "responds_within",
        {
            "activity": "a",
            "then": "b",
            "within": "2d",
            "where": {"attribute": "score", "at_least": 2, "at_most": 3},
            "earlier_counts": True,
            **ALWAYS,
        },
        lambda x: oracle.responds_within(
            x, Answer("a", "b", 48, where=("score", 2, 3), earlier_counts=True)
        ),
    ),
    "waits, around the clock": (
        "waits_at_most",
        {"activity": "a", "limit": "2d", **ALWAYS},
        lambda x: oracle.waits_at_most(x, "a", 48),
    ),
    "waits, office hours": (
        "waits_at_most",
        {"activity": "a", "limit": "15h", **OFFICE},
        lambda x: oracle.waits_at_most(x, "a", 15, oracle.office_hours),
    ),
    "waits outside the model": (
        "waits_at_most",
        {"activity": "o", "limit": "1d", **ALWAYS},
        lambda x: oracle.waits_at_most(x, "o", 24),
    ),
}

CHAIN, ALTERNATE = {"form": "chain"}, {"form": "alternate"}
LOW = {"where": {"attribute": "score", "at_most": 2}}
LISTED = {"where": {"attribute": "score", "one_of": ["1", "BAD "]}}
NOT_LISTED = {"where": {"attribute": "score", "none_of": ["2"]}}


def matched(field: str, relation: str) -> dict[str, Any]:
    return {"match": {"field": field, "relation": relation}}


AB, BA = {"activity": "a", "then": "b"}, {"before": "a", "activity": "b"}
BY_FORMULA: dict[str, tuple[str, dict[str, Any]]] = {
    "exists, or else": ("exists", {"activity": "a", "or_else": "o"}),
    "exactly once": ("exactly", {"activity": "a", "times": 1}),
    "exactly twice": ("exactly", {"activity": "b", "times": 2}),
    "starts": ("starts_with", {"activity": "a"}),
    "starts outside the model": ("starts_with", {"activity": "o"}),
    "ends, or else": ("ends_with", {"activity": "a", "or_else": "c"}),
    "ends outside the model": ("ends_with", {"activity": "o"}),
    "responds, or else": ("responds", AB | {"or_else": "c"}),
    "responds, alternate": ("responds", AB | ALTERNATE),
    "responds, chain": ("responds", AB | CHAIN),
    "responds, chain outside the model": ("responds", AB | {"or_else": "o"} | CHAIN),
    "responds, of low score": ("responds", AB | LOW),
    "responds, alternate, of some scores": ("responds", AB | LISTED | ALTERNATE),
    "responds, same actor": ("responds", AB | matched("actor", "same")),
    "responds, alternate, other team": ("responds", AB | matched("team", "other") | ALTERNATE),
    "responds, chain, same score": ("responds", AB | matched("attr.score", "same") | CHAIN),
    "precedes, or else": ("precedes", BA | {"or_else": "o"}),
    "precedes, alternate": ("precedes", BA | ALTERNATE),
    "precedes, chain": ("precedes", BA | CHAIN),
    "precedes, chain outside the model": ("precedes", BA | {"or_else": "o"} | CHAIN),
    "precedes, of low score": ("precedes", BA | LOW),
    "precedes, alternate, not of some scores": ("precedes", BA | NOT_LISTED | ALTERNATE),
    "precedes, other actor": ("precedes", BA | matched("actor", "other")),
    "precedes, same score": ("precedes", BA | matched("attr.score", "same")),
    "precedes, chain, other team": ("precedes", BA | matched("team", "other") | CHAIN),
    "succeeds": ("succeeds", {"first": "a", "second": "b"}),
    "succeeds, alternate": ("succeeds", {"first": "a", "second": "b"} | ALTERNATE),
    "succeeds, chain": ("succeeds", {"first": "a", "second": "b"} | CHAIN),
    "not together": ("not_coexists", {"first": "a", "second": "c"}),
    "never follows": ("never_follows", AB),
    "never follows, unless": ("never_follows", AB | {"unless": "c"}),
}


def by_formula(story: Story, *, template: str, given: dict[str, Any]) -> str:
    """Ask the rule's formula."""
    steps = tuple(ltlf.Step(x.activity, x.at, x.actor, x.team, x.attributes) for x in story.steps)
    told = ltlf.Story(steps, story.complete, story.as_of)
    return rule_formulas.verdict(template, given, told, rule_formulas.Office(OUTSIDE))


SCENARIOS |= {
    name: (template, given, partial(by_formula, template=template, given=given))
    for name, (template, given) in BY_FORMULA.items()
}


def random_story(rng: random.Random) -> Story:
    """Up to six events; short gaps and long ones; few names, some missing."""
    n = rng.choice([0, 1, 2, 2, 3, 3, 4, 5, 6])
    hours = sorted(rng.choice([0, 9, 10, 24, 33, 60, 81, 100, 200, 320]) for _ in range(n))
    steps = [
        Step(
            rng.choice(["a", "a", "b", "b", "c", "o", UPDATE]),
            hour,
            rng.choice([None, "p1", "p2", "p3", "p1"]),
            rng.choice([None, "t1", "t2"]),
            rng.choice([{}, {"score": "1"}, {"score": "2"}, {"score": "4"}, {"score": "bad"}]),
        )
        for hour in hours
    ]
    return Story(tuple(steps), rng.random() < 0.5, AS_OF, OUTSIDE)


@cache
def stories(seed: int, n: int) -> tuple[Story, ...]:
    rng = random.Random(seed)  # noqa: S311 - no secret
    return tuple(random_story(rng) for _ in range(n))


def desk_of(told: Sequence[Story], *, timed: bool = True) -> Desk:
    rows = [
        {
            s.CASE_ID: f"c{i:05d}",
            s.ACTIVITY: step.activity,
            s.AT: MONDAY_US + step.at * s.US_PER_HOUR,
            s.ACTOR: step.actor,
            s.TEAM: step.team,
            "position": position,
            "attr.score": step.attributes.get("score"),
        }
        for i, story in enumerate(told)
        for position, step in enumerate(story.steps)
    ]
    kinds = {s.AT: pa.int64(), "position": pa.int64()}
    names = [*s.EVENT_TYPES, "position", "attr.score"]
    events = {n: pa.array([r.get(n) for r in rows], kinds.get(n, pa.string())) for n in names}
    if not timed:
        events[s.AT] = pa.nulls(len(rows), pa.int64())
    cases = pa.table({s.CASE_ID: [f"c{i:05d}" for i in range(len(told))]})
    log = EventLog.build(pa.table(events), cases=cases, meta=LogMeta("test"))
    words = [None if w == UPDATE else w for w in log.events[s.ACTIVITY].to_pylist()]
    return Desk(
        log=log.with_columns(events={s.ACTIVITY: pa.array(words, pa.string())}),
        complete=np.array([story.complete for story in told], dtype=bool),
        as_of_us=MONDAY_US + AS_OF * s.US_PER_HOUR,
        service_levels=load_service_levels(),
        outside=OUTSIDE,
    )


def ask(desk: Desk, template: str, given: dict[str, Any]) -> tuple[DecisionTable, Measure]:
    module = templates()[template]
    params = module.Params.model_validate(given)
    return module.decide(params), module.measure(desk, params)


def verdicts(desk: Desk, template: str, given: dict[str, Any]) -> list[str]:
    table, found = ask(desk, template, given)
    return [Verdict(v).word for v in decide(table, found.facts, template)]


def as_read(story: Story, name: str) -> Story:
    """Updates are no steps; a change of team may stand in one, and work by another person."""
    if "team change" in name or name == "four eyes":
        return story
    return replace(story, steps=tuple(x for x in story.steps if x.activity != UPDATE))


# A scenario must not be won by one verdict alone.
CAN_GIVE = {
    "exists": {"conforms", "violates", "pending"},
    "at_most": {"conforms", "violates", "pending"},
    "precedes": {"conforms", "violates", "pending", "vacuous"},
    "responds": {"conforms", "violates", "pending", "vacuous"},
    "responds_within": {"conforms", "violates", "pending", "vacuous"},
    "waits_at_most": {"conforms", "violates", "pending", "vacuous"},
    "four_eyes": {"conforms", "violates", "pending", "vacuous", "unknown"},
    "exactly": {"conforms", "violates", "pending"},
    "starts_with": {"conforms", "violates", "pending", "vacuous"},
    "ends_with": {"conforms", "violates", "pending", "vacuous"},
    "succeeds": {"conforms", "violates", "pending", "vacuous"},
    "not_coexists": {"conforms", "violates", "pending", "vacuous"},
    "never_follows": {"conforms", "violates", "pending", "vacuous"},
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_template_agrees_with_the_oracle_on_random_traces(name: str) -> None:
    template, given, judge = SCENARIOS[name]
    told = stories(11, 3000)
    found = verdicts(desk_of(told), template, given)
    expected = [judge(as_read(story, name)) for story in told]
    wrong = [
        (story, got, want)
        for story, got, want in zip(told, found, expected, strict=True)
        if got != want
    ]
    assert wrong == [], f"{len(wrong)} of {len(told)}, first: {wrong[0]}"
    assert set(expected) >= CAN_GIVE[template], Counter(expected)
    if "score" in name or "team" in name or "actor" in name:
        assert "unknown" in expected


def test_durable_rules_says_the_same() -> None:
    desk = desk_of(stories(12, 400))
    questions = []
    for name, (template, given, _) in SCENARIOS.items():
        table, found = ask(desk, template, given)
        questions.append(engine.Question(name, table, found.facts))
    for question, judged in zip(questions, engine.judge(questions), strict=True):
        assert judged.tolist() == decide(question.table, question.facts, question.rule).tolist()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_violation_names_its_events_and_exceeds_its_limit(name: str) -> None:
    template, given, _ = SCENARIOS[name]
    desk = desk_of(stories(13, 800))
    table, found = ask(desk, template, given)
    rows = np.flatnonzero(decide(table, found.facts, name) == Verdict.VIOLATES)
    offsets = desk.log.arrays.offsets
    assert len(rows)
    for named in found.events:
        inside = (named >= offsets[:-1]) & (named < offsets[1:])
        assert (inside | (named == -1))[rows].all()
    if template == "exactly":  # of what never came there is nothing to show
        rows = rows[found.measured[rows] > 0] if found.measured is not None else rows
    if found.events:  # the decisive event, or the one before it where nothing came
        assert (np.max([named[rows] for named in found.events], axis=0) >= 0).all()
    assert found.measured is not None
    assert found.limit is not None
    assert found.unit
    if template == "exists":
        assert (found.measured[rows] < found.limit[rows]).all()
    elif template == "exactly":
        assert (found.measured[rows] != found.limit[rows]).all()
    elif template != "responds_within":  # there a case may end before its limit does
        assert (found.measured[rows] > found.limit[rows]).all()


@pytest.mark.parametrize("template", ["responds_within", "waits_at_most"])
def test_without_times_a_time_limit_is_unknown(template: str) -> None:
    desk = desk_of(stories(14, 50), timed=False)
    given = next(given for kind, given, _ in SCENARIOS.values() if kind == template)
    assert set(verdicts(desk, template, given)) == {"unknown"}


def test_verdicts_of_an_open_case_never_leave_violates() -> None:
    """A violation of an open case is final: whatever comes later, it stays."""
    told = [story for story in stories(15, 1500) if story.steps]
    before = desk_of([replace(x, steps=x.steps[:-1], complete=False) for x in told])
    after = desk_of(told)
    for name, (template, given, _) in SCENARIOS.items():
        if template in ("responds_within", "waits_at_most"):
            continue  # a step that is taken away may have been an answer before `as_of`
        pairs = zip(
            verdicts(before, template, given), verdicts(after, template, given), strict=True
        )
        for story, (first, second) in zip(told, pairs, strict=True):
            assert second == "violates" or first != "violates", (name, story)


def test_updates_in_the_state_of_the_first_activity_are_work_too() -> None:
    """Real case 1-354350908 of BPI 2013: taken up by one, worked on and closed by another."""

    def judged(*rows: tuple[str, str | None]) -> str:
        steps = tuple(Step(word, hour, who) for hour, (word, who) in enumerate(rows))
        return verdicts(desk_of([Story(steps, complete=True, as_of=AS_OF)]), "four_eyes", given)[0]

    given = {"first": "a", "second": "b"}
    assert judged(("a", "tomas"), (UPDATE, "carrie"), ("b", "carrie")) == "violates"
    assert judged(("a", "tomas"), (UPDATE, "tomas"), ("b", "carrie")) == "conforms"
    assert judged(("a", "tomas"), ("c", "x"), (UPDATE, "carrie"), ("b", "carrie")) == "conforms"
    assert judged(("a", "tomas"), ("b", "carrie"), (UPDATE, "tomas")) == "conforms"
    assert judged((UPDATE, "carrie"), ("a", "tomas"), ("b", "carrie")) == "conforms"
    assert judged(("a", "tomas"), (UPDATE, None), ("b", "carrie")) == "unknown"


def test_an_unanswered_clock_stops_where_its_case_ends() -> None:
    steps = (Step("a", 9), Step("c", 12), Step("o", 30))
    told = [Story(steps, complete, AS_OF) for complete in (True, False)]
    for then, hours in (("b", [3, AS_OF - 9]), ("z", [3, AS_OF - 9]), ("o", [21, 21])):
        given = {"activity": "a", "then": then, "within": "2h", **ALWAYS}
        table, found = ask(desk_of(told), "responds_within", given)
        assert decide(table, found.facts, then).tolist() == [Verdict.VIOLATES] * 2
        assert found.measured is not None
        assert (found.measured // s.US_PER_HOUR).tolist() == hours
    given = {"activity": "c", "then": "feedback", "within": "2h", **ALWAYS}
    desk = replace(desk_of(told), outside=frozenset({"o", "feedback"}))
    _, found = ask(desk, "responds_within", given)
    assert found.measured is not None
    assert (found.measured // s.US_PER_HOUR).tolist() == [AS_OF - 12] * 2


# --- the decision tables


TABLES = [(kind, given) for kind, given, _ in SCENARIOS.values()]
TABLES += [("at_most", {"activity": "a", "limit": n}) for n in (1, 3, 7)]
TABLES += [("at_most", {"what": "team_changes", "limit": n}) for n in (0, 3)]
TABLES += [("follows_model", {})]
FLAGS = {"complete", "timed", "known"}


@pytest.mark.parametrize(("kind", "given"), TABLES)
def test_decision_table_is_unique_and_complete(kind: str, given: dict[str, Any]) -> None:
    """Exactly one row holds for every combination of values at and around every bound."""
    module = templates()[kind]
    table = module.decide(module.Params.model_validate(given))
    fields = sorted({name for row in table for name in row.when})
    values = [
        domain(name, [row.when[name] for row in table if name in row.when]) for name in fields
    ]
    grid = np.array(list(product(*values)), dtype=np.int64).T
    decide(table, dict(zip(fields, grid, strict=True)), kind)


def domain(name: str, intervals: Sequence[Interval]) -> list[int]:
    if name in FLAGS:
        return [0, 1]
    bounds = {x for i in intervals for x in (i.lo, i.hi) if x is not None}
    return sorted({x + d for x in bounds for d in (-1, 0, 1, 1000) if x + d >= 0})


# --- the reference model


def test_follows_model_agrees_with_the_token_game() -> None:
    """Random walks through the words, half of them near the model, against a plain token game."""
    for name in ("incident", "problem"):
        practice = load_practices()[name]
        assert practice.model_path is not None
        game = oracle.TokenGame(practice.model_path)
        told = walks(practice.activities, game, random.Random(name))  # noqa: S311 - no secret
        raw = desk_of(told).log
        prepared = prepare_desk(
            translate(raw, practice, "own"), service_levels=load_service_levels(), as_of_us=0
        )
        found = verdicts(prepared.desk, "follows_model", {})
        complete = prepared.desk.complete.tolist()
        expected = [
            game.verdict([x.activity for x in story.steps], complete=ended)
            for story, ended in zip(told, complete, strict=True)
        ]
        assert found == expected
        assert min(Counter(expected)[w] for w in ("conforms", "violates", "pending")) > 30


def walks(words: Sequence[str], game: oracle.TokenGame, rng: random.Random) -> list[Story]:
    told = []
    for _ in range(400):
        trace: list[str] = []
        while len(trace) < 16 and trace[-1:] not in (["Close"], ["Cancel"]):
            allowed = [w for w in words if game.verdict([*trace, w], complete=False) == "pending"]
            wild = rng.random() < 0.03 or not allowed
            trace.append(rng.choice(list(words) if wild else allowed))
        trace = trace[: rng.randint(0, len(trace))] if rng.random() < 0.3 else trace
        told.append(Story(tuple(Step(w, i) for i, w in enumerate(trace)), complete=False, as_of=0))
    return told


def test_follows_model_judges_by_the_bounds_of_the_cost() -> None:
    lower, upper = np.array([0, 0, 0, 2, 2, 0]), np.array([0, 3, 0, 2, 5, 0])
    told = [
        Story((Step("a"),), complete, AS_OF) for complete in (True, True, False, True, False, True)
    ]
    nowhere = np.full(6, -1)
    desk = replace(
        desk_of(told),
        alignment=CaseAlignment(lower, upper, nowhere),
        unmapped=np.array([False] * 5 + [True]),
    )
    assert verdicts(desk, "follows_model", {}) == [
        "conforms",
        "unknown",
        "pending",
        "violates",
        "violates",
        "unknown",
    ]
    assert set(verdicts(replace(desk, alignment=None), "follows_model", {})) == {"unknown"}


# --- the examples of the rules that ship


def test_embedded_examples_agree_with_the_oracle() -> None:
    catalogue = load_catalogue()
    n: Counter[str] = Counter()
    for rule in catalogue.rules:
        if rule.template not in (*rule_formulas.READINGS, "follows_model"):
            continue  # service levels and linked records have oracles of their own
        office = office_of(catalogue, rule.case_type)
        for example in rule.examples:
            story = story_of(example, catalogue.practices[rule.case_type])
            want = by_oracle(rule, story, catalogue.practices[rule.case_type], office)
            assert example.verdict.word == want, (rule.code, story)
            n[rule.template] += 1
    assert n.total() > 80
    assert set(n) >= {"responds", "precedes", "four_eyes", "responds_within", "follows_model"}


def office_of(catalogue: Catalogue, case_type: str) -> rule_formulas.Office:
    """The examples of one case type stand in one log."""
    told = [x for rule in catalogue.rules if rule.case_type == case_type for x in rule.examples]
    on_cases = {name for example in told for name in example.case}
    said = {f"attr.{name}" for example in told for x in example.events for name in x.attributes}
    outside = frozenset(catalogue.practices[case_type].outside_model)
    return rule_formulas.Office(outside, frozenset(on_cases | said))


def story_of(example: Example, practice: Practice) -> ltlf.Story:
    """Examples begin on a Monday at 9:00, hour 9 of the oracle's clock."""

    def at(us: int) -> Fraction:
        return 9 + Fraction(us, s.US_PER_HOUR)

    steps = [
        ltlf.Step(x.activity, at(x.at_us), x.actor, x.team, x.attributes) for x in example.events
    ]
    inside = [x.activity for x in steps if x.activity not in practice.outside_model]
    as_of = steps[-1].at if example.as_of_us is None else at(example.as_of_us)
    ended = bool(inside) and inside[-1] in practice.ends
    return ltlf.Story(tuple(steps), ended, as_of, example.case)


def by_oracle(
    rule: Rule, story: ltlf.Story, practice: Practice, office: rule_formulas.Office
) -> str:
    """Ask the formula of what the rule's file says, within the file's scope."""
    if rule.template == "follows_model":
        assert practice.model_path is not None
        game = oracle.TokenGame(practice.model_path)
        words = [str(x.activity) for x in story.steps if x.activity not in office.outside]
        return game.verdict(words, complete=story.complete)
    file = tomllib.loads((Path(__file__).parents[2] / rule.path).read_text("utf-8"))
    said = rule_formulas.verdict(rule.template, file.get("params", {}), story, office)
    asked = {in_scope(story, condition) for condition in file.get("scope", [])}
    if False in asked:
        return "vacuous"
    return "unknown" if None in asked and said != "vacuous" else said


def in_scope(story: ltlf.Story, condition: dict[str, Any]) -> bool | None:
    said = rule_formulas.plain(story.columns.get(condition["column"]))
    if said is None:
        return None
    listed = [rule_formulas.plain(x) for x in condition.get("one_of", condition.get("none_of"))]
    return (said in listed) == ("one_of" in condition)


# --- parameters


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("at_most", {"limit": 1}, "name an activity"),
        ("at_most", {"activity": "a", "what": "team_changes", "limit": 1}, "not both"),
        ("at_most", {"activity": "a", "limit": -1}, "greater than or equal to 0"),
        ("precedes", {"before": "a", "activity": "a"}, "same activity"),
        ("precedes", {"before": "a", "activity": "b", "or_else": "b"}, "same activity"),
        ("precedes", {"before": "a", "activity": "b", "form": "some"}, "any"),
        ("responds", {"activity": "a", "then": "a"}, "same activity"),
        ("responds", {"activity": "a", "then": "b", "or_else": "a"}, "same activity"),
        ("responds", {**AB, **matched("who", "same")}, "pattern"),
        ("responds", {**AB, **matched("actor", "alike")}, "same"),
        ("responds", {**AB, "where": {"attribute": "x", "one_of": []}}, "at least 1 item"),
        ("responds", {**AB, "where": {"attribute": "x", "one_of": [1]}}, "valid string"),
        (
            "responds",
            {**AB, "where": {"attribute": "x", "one_of": ["y"], "at_most": 1}},
            "one of the three",
        ),
        ("exists", {"activity": "a", "or_else": "a"}, "same activity"),
        ("exactly", {"activity": "a", "times": 0}, "greater than or equal to 1"),
        ("ends_with", {"activity": "a", "or_else": "a"}, "same activity"),
        ("succeeds", {"first": "a", "second": "a"}, "same activity"),
        ("not_coexists", {"first": "a", "second": "a"}, "same activity"),
        ("never_follows", {"activity": "a", "then": "a"}, "same activity"),
        ("never_follows", {**AB, "unless": "b"}, "lift the ban"),
        ("four_eyes", {"first": "a", "second": "a"}, "same activity"),
        ("waits_at_most", {"activity": "a", "limit": "5d", **OFFICE}, "write open hours"),
        ("waits_at_most", {"activity": "a", "limit": "0h", **OFFICE}, "greater than 0"),
        ("waits_at_most", {"activity": "a", "limit": "4 hours", **OFFICE}, "whole number and s, m"),
        ("waits_at_most", {"activity": "a", "limit": 4, **OFFICE}, "whole number and s, m"),
        ("responds_within", {"activity": "a", "then": "b", "within": "1w", **OFFICE}, "open hours"),
        (
            "responds_within",
            {"activity": "a", "then": "b", "or_else": "a", "within": "1h", **OFFICE},
            "its own answer",
        ),
        (
            "responds_within",
            {"activity": "a", "then": "b", "within": "1h", "where": {"attribute": "x"}, **OFFICE},
            "bounds nothing",
        ),
        (
            "responds_within",
            {
                "activity": "a",
                "then": "b",
                "within": "1h",
                "where": {"attribute": "x", "at_least": 3, "at_most": 2},
                **OFFICE,
            },
            "no number",
        ),
        ("follows_model", {"model": "x"}, "not permitted"),
        ("exists", {"activity": "a", "activty": "b"}, "not permitted"),
    ],
)
def test_senseless_parameters_are_refused(kind: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        templates()[kind].Params.model_validate(given)


def test_activities_are_found_in_optional_parameters_too() -> None:
    given = {"activity": "a", "then": "b", "or_else": "c", "within": "4h", **OFFICE}
    params = templates()["responds_within"].Params.model_validate(given)
    assert params.activities() == {"activity": "a", "then": "b", "or_else": "c"}
    counted = templates()["at_most"].Params.model_validate({"activity": "a", "limit": 0})
    assert counted.activities() == {"activity": "a"}


def test_what_the_source_cannot_record_is_unknown() -> None:
    desk = replace(desk_of(stories(16, 20)), unobserved=frozenset({"b", "z"}))
    params = templates()["precedes"].Params.model_validate({"before": "a", "activity": "b"})
    missing = unobservable(desk, params)
    assert missing == ("b",)
    table, found = not_recorded(desk, missing)
    assert set(decide(table, found.facts, "x").tolist()) == {Verdict.UNKNOWN}
    assert "'b'" in found.cause


def test_an_excuse_that_the_source_cannot_record_silences_no_rule() -> None:
    desk = replace(desk_of(stories(16, 20)), unobserved=frozenset({"c"}))
    given = {"activity": "a", "then": "b", "or_else": "c", "within": "4h", **OFFICE}
    params = templates()["responds_within"].Params.model_validate(given)
    assert unobservable(desk, params) == ()
    assert params.excuses() == {"c"}
    unless = templates()["has_target"].Params.model_validate({"unless": "c"})
    assert (unobservable(desk, unless), unless.excuses()) == ((), {"c"})


@pytest.mark.parametrize("kind", [*CAN_GIVE, "follows_model"])
def test_every_template_explains_itself(kind: str) -> None:
    module = templates()[kind]
    given = next((given for k, given, _ in SCENARIOS.values() if k == kind), {})
    sentence = module.describe(module.Params.model_validate(given))
    assert sentence.endswith(".")
    assert module.FORMULA
    assert "Not checked" in (module.__doc__ or "")
