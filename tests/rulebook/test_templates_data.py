"""The templates on time, data, people and linked records say what a plain reading says.

Random cases with case columns, event attributes, updates, missing values, versions that are in
force at some events only; `oracles.data_rules` judges them one by one.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from oracles import data_rules as oracle
from oracles.data_rules import Ticket
from oracles.finite_trace import Step, office_hours
from pydantic import ValidationError
from rulebook.test_hinges import SPOIL, at_another_time
from rulebook.test_templates import domain

from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.quality import RECORDED
from rules import engine
from rules.catalogue import load_catalogue
from rules.findings import findings
from rules.measuring import measure
from rules.service_level import load_service_levels
from rules.spec import Verdict, decide
from rules.templates import NOT_MEASURED, Desk, templates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rules.spec import DecisionTable, Measure

MONDAY_US = 1_704_672_000 * s.US_PER_SECOND  # 2024-01-08 00:00 UTC, hour 0 of every story
AS_OF = 330
UPDATE = "an update"
OUTSIDE = frozenset({"o"})
OFFICE = {"calendar": "business-hours"}
ALWAYS = {"calendar": "24x7"}
CLAIMS = ("conforms", "violates")
COUNTS = frozenset({"conforms", "violates", "pending"})
CLAIM_AND_MORE = {"conforms", "violates", "pending", "vacuous"}
LEVELS = {"1": 1, "LOW ": 3, "3": 3}
HOURS = [0, 9, 10, 24, 33, 60, 81, 100, 200, 320]


@dataclass(frozen=True)
class Scenario:
    """A template with parameters, its oracle, and which verdicts random cases must show."""

    template: str
    given: dict[str, Any]
    judge: Callable[[Ticket], str]
    gives: frozenset[str] = frozenset(CLAIM_AND_MORE)
    updates: bool = False  # whether rows that are no steps matter


SCENARIOS: dict[str, Scenario] = {
    "a value at each a": Scenario(
        "has_value",
        {"column": "attr.risk", "activity": "a"},
        lambda x: oracle.has_value(x, "attr.risk", activity="a", kept=True),
    ),
    "an allowed value at each a": Scenario(
        "has_value",
        {"column": "attr.risk", "activity": "a", "one_of": ["LOW", "high "], "none_of": ["High"]},
        lambda x: oracle.has_value(
            x, "attr.risk", activity="a", one_of=["low", "high"], none_of=["high"], kept=True
        ),
    ),
    "a value of the case": Scenario(
        "has_value",
        {"column": "attr.impact", "none_of": ["3"]},
        lambda x: oracle.has_value(x, "attr.impact", none_of=["3"], kept=True),
        frozenset({"conforms", "violates", "pending"}),
    ),
    "a value that nobody keeps": Scenario(
        "has_value",
        {"column": "category"},
        lambda x: oracle.has_value(x, "category", kept=False),
        frozenset({"unknown"}),
    ),
    "an attribute that nobody keeps": Scenario(
        "has_value",
        {"column": "attr.none", "activity": "a"},
        lambda x: oracle.has_value(x, "attr.none", activity="a", kept=False),
        frozenset({"unknown", "pending", "vacuous"}),
    ),
    "the matrix": Scenario(
        "matches_matrix",
        {
            "rows": "attr.impact",
            "columns": "attr.urgency",
            "levels": LEVELS,
            "matrix": [[1, 2, 3], [2, 3, 4], [3, 3, 3]],
        },
        lambda x: oracle.matches_matrix(
            x,
            oracle.Matrix(
                "attr.impact", "attr.urgency", "priority", LEVELS, ((1, 2, 3), (2, 3, 4), (3, 3, 3))
            ),
        ),
        frozenset({"conforms", "violates", "pending", "unknown"}),
    ),
    "a small matrix with levels of its own": Scenario(
        "matches_matrix",
        {
            "rows": "priority",
            "columns": "attr.urgency",
            "result": "attr.impact",
            "levels": LEVELS,
            "result_levels": {"low": 1, "what": 7},
            "matrix": [[7, 2], [1, 2]],
        },
        lambda x: oracle.matches_matrix(
            x,
            oracle.Matrix(
                "priority",
                "attr.urgency",
                "attr.impact",
                LEVELS,
                ((7, 2), (1, 2)),
                {"low": 1, "what": 7},
            ),
        ),
        frozenset({"conforms", "violates", "pending", "unknown"}),
    ),
    "a matrix of a column that nobody keeps": Scenario(
        "matches_matrix",
        {"rows": "category", "columns": "attr.urgency", "levels": LEVELS, "matrix": [[1, 2, 3]]},
        lambda x: oracle.matches_matrix(
            x, oracle.Matrix("category", "attr.urgency", "priority", LEVELS, ()), kept=False
        ),
        frozenset({"unknown"}),
    ),
    "resolved, around the clock": Scenario(
        "resolves_within",
        {"activity": "b", "within": "3d", "pauses": ["c"], **ALWAYS},
        lambda x: oracle.resolves_within(x, oracle.Resolve("b", 72, pauses=("c",))),
    ),
    "resolved in office hours since a": Scenario(
        "resolves_within",
        {"activity": "b", "since": "a", "within": "15h", "pauses": ["b", "c", "o"], **OFFICE},
        lambda x: oracle.resolves_within(
            x, oracle.Resolve("b", 15, "a", ("b", "c"), elapsed=office_hours)
        ),
    ),
    "resolved outside the model": Scenario(
        "resolves_within",
        {"activity": "o", "since": "a", "within": "2d", **ALWAYS},
        lambda x: oracle.resolves_within(x, oracle.Resolve("o", 48, "a")),
    ),
    "preceded within two days": Scenario(
        "preceded_within",
        {"before": "a", "activity": "b", "within": "2d", **ALWAYS},
        lambda x: oracle.preceded_within(x, "a", "b", 48),
    ),
    "preceded within office hours, of some score": Scenario(
        "preceded_within",
        {
            "before": "a",
            "activity": "b",
            "within": "10h",
            "where": {"attribute": "score", "at_least": 3},
            **OFFICE,
        },
        lambda x: oracle.preceded_within(
            x, "a", "b", 10, where=("score", 3, None), elapsed=office_hours
        ),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
    ),
    "different teams": Scenario(
        "different_team",
        {"first": "a", "second": "b"},
        lambda x: oracle.different_team(x, "a", "b", UPDATE),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
        updates=True,
    ),
    "the same risk after a until b": Scenario(
        "consistent_value",
        {"column": "attr.risk", "after": "a", "until": "b"},
        lambda x: oracle.consistent_value(x, "attr.risk", after="a", until="b"),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
        updates=True,
    ),
    "the same team until b": Scenario(
        "consistent_value",
        {"column": "team", "until": "b"},
        lambda x: oracle.consistent_value(x, "team", until="b"),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
        updates=True,
    ),
    "the same actor after c": Scenario(
        "consistent_value",
        {"column": "actor", "after": "c"},
        lambda x: oracle.consistent_value(x, "actor", after="c"),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
        updates=True,
    ),
    "an attribute that nobody keeps stays": Scenario(
        "consistent_value",
        {"column": "attr.none"},
        lambda x: oracle.consistent_value(x, "attr.none"),
        frozenset({"unknown", "vacuous"}),
        updates=True,
    ),
    "answered by another person": Scenario(
        "responds_within",
        {
            "activity": "a",
            "then": "b",
            "within": "3d",
            "match": {"field": "actor", "relation": "other"},
            **ALWAYS,
        },
        lambda x: oracle.responds_within(x, oracle.Respond("a", "b", 72, match=("actor", "other"))),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
    ),
    "answered with the same risk, or else, earlier too": Scenario(
        "responds_within",
        {
            "activity": "a",
            "then": "o",
            "or_else": "b",
            "within": "15h",
            "where": {"attribute": "score", "at_least": 2},
            "match": {"field": "attr.risk", "relation": "same"},
            "earlier_counts": True,
            **OFFICE,
        },
        lambda x: oracle.responds_within(
            x,
            oracle.Respond(
                "a",
                "o",
                15,
                or_else="b",
                where=("score", 2, None),
                match=("attr.risk", "same"),
                earlier_counts=True,
                elapsed=office_hours,
            ),
        ),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
    ),
    "again in time until b": Scenario(
        "responds_within",
        {"activity": "a", "then": "a", "or_else": "b", "within": "2d", **ALWAYS},
        lambda x: oracle.responds_within(x, oracle.Respond("a", "a", 48, or_else="b")),
    ),
    "again in time, and no more after b": Scenario(
        "responds_within",
        {"activity": "a", "then": "a", "or_else": "b", "until": "b", "within": "2d", **ALWAYS},
        lambda x: oracle.responds_within(x, oracle.Respond("a", "a", 48, or_else="b", until="b")),
    ),
    "answered in office hours, asked before c, of low score": Scenario(
        "responds_within",
        {
            "activity": "a",
            "then": "b",
            "until": "c",
            "within": "10h",
            "where": {"attribute": "score", "at_most": 2},
            **OFFICE,
        },
        lambda x: oracle.responds_within(
            x,
            oracle.Respond("a", "b", 10, where=("score", None, 2), until="c", elapsed=office_hours),
        ),
        frozenset({*CLAIM_AND_MORE, "unknown"}),
    ),
    "at most once in two days": Scenario(
        "at_most",
        {"activity": "a", "limit": 1, "within": "2d", **ALWAYS},
        lambda x: oracle.at_most(x, "a", 1, within=48),
        COUNTS,
    ),
    "at most twice in ten office hours, of low score": Scenario(
        "at_most",
        {
            "activity": "a",
            "limit": 1,
            "within": "10h",
            "where": {"attribute": "score", "at_most": 2},
            **OFFICE,
        },
        lambda x: oracle.at_most(
            x, "a", 1, within=10, where=("score", None, 2), elapsed=office_hours
        ),
        COUNTS | {"unknown"},
    ),
    "at most one of low score": Scenario(
        "at_most",
        {"activity": "a", "limit": 1, "where": {"attribute": "score", "at_most": 2}},
        lambda x: oracle.at_most(x, "a", 1, where=("score", None, 2)),
        COUNTS | {"unknown"},
    ),
    "never": Scenario(
        "at_most",
        {"activity": "a", "limit": 0},
        lambda x: oracle.at_most(x, "a", 0),
        COUNTS,
    ),
    "one change of team in office hours": Scenario(
        "at_most",
        {"what": "team_changes", "limit": 1, "within": "9h", **OFFICE},
        lambda x: oracle.team_changes(x, 1, 9, office_hours),
        COUNTS | {"unknown"},
        updates=True,
    ),
}


def random_ticket(rng: random.Random) -> Ticket:
    """Up to seven events; short gaps and long ones; few names and values, some missing."""
    n = rng.choice([0, 1, 2, 2, 3, 3, 4, 5, 6, 7])
    hours = sorted(rng.choice(HOURS) for _ in range(n))
    steps = tuple(
        Step(
            rng.choice(["a", "a", "b", "b", "c", "o", UPDATE, "Reopen"]),
            hour,
            rng.choice([None, "p1", "p2", "p1"]),
            rng.choice([None, "t1", "t2", "t1"]),
            random_values(rng, {"risk": ["low", "Low ", "high", " "], "score": ["1", "4", "bad"]}),
        )
        for hour in hours
    )
    levels = ["1", "2 - Mid", "low", "3", "9", "what"]
    case = random_values(rng, {"attr.impact": levels, "attr.urgency": levels, "priority": levels})
    return Ticket(steps, rng.random() < 0.5, AS_OF, OUTSIDE, case=case)


def random_values(rng: random.Random, values: dict[str, list[str]]) -> dict[str, str]:
    return {name: rng.choice(some) for name, some in values.items() if rng.random() < 0.7}


@cache
def tickets(seed: int, n: int) -> tuple[Ticket, ...]:
    rng = random.Random(seed)  # noqa: S311 - no secret
    return tuple(random_ticket(rng) for _ in range(n))


def desk_of(told: Sequence[Ticket], *, timed: bool = True) -> Desk:
    kinds = {s.AT: pa.int64(), "position": pa.int64()}
    rows = [
        {
            s.CASE_ID: f"c{i:05d}",
            s.ACTIVITY: step.activity,
            s.AT: MONDAY_US + step.at * s.US_PER_HOUR,
            s.ACTOR: step.actor,
            s.TEAM: step.team,
            "position": position,
            **{f"attr.{name}": text for name, text in step.attributes.items()},
        }
        for i, ticket in enumerate(told)
        for position, step in enumerate(ticket.steps)
    ]
    names = [*s.EVENT_TYPES, "position", "attr.risk", "attr.score"]
    events = {n: pa.array([r.get(n) for r in rows], kinds.get(n, pa.string())) for n in names}
    if not timed:
        events[s.AT] = pa.nulls(len(rows), pa.int64())
    cases = [{s.CASE_ID: f"c{i:05d}", **ticket.case} for i, ticket in enumerate(told)]
    columns = [s.CASE_ID, "priority", "attr.impact", "attr.urgency"]
    table = pa.table({n: pa.array([c.get(n) for c in cases], pa.string()) for n in columns})
    log = EventLog.build(pa.table(events), cases=table, meta=LogMeta("test"))
    words = [None if w == UPDATE else w for w in log.events[s.ACTIVITY].to_pylist()]
    out = [i in ticket.out for ticket in told for i in range(len(ticket.steps))]
    return Desk(
        log=log.with_columns(events={s.ACTIVITY: pa.array(words, pa.string())}),
        complete=np.array([ticket.complete for ticket in told], dtype=bool),
        as_of_us=MONDAY_US + AS_OF * s.US_PER_HOUR,
        service_levels=load_service_levels(),
        outside=OUTSIDE,
        in_force=~np.array(out, dtype=bool) if any(out) else None,
    )


def ask(desk: Desk, one: Scenario) -> tuple[DecisionTable, Measure]:
    module = templates()[one.template]
    params = module.Params.model_validate_json(json.dumps(one.given))
    return module.decide(params), module.measure(desk, params)


def verdicts(desk: Desk, one: Scenario) -> list[str]:
    table, found = ask(desk, one)
    return [Verdict(v).word for v in decide(table, found.facts, one.template)]


def as_read(ticket: Ticket, one: Scenario) -> Ticket:
    """Updates are no steps, but what an event carries may stand in one."""
    if one.updates:
        return ticket
    kept = [i for i, x in enumerate(ticket.steps) if x.activity != UPDATE]
    out = frozenset(new for new, old in enumerate(kept) if old in ticket.out)
    return replace(ticket, steps=tuple(ticket.steps[i] for i in kept), out=out)


def out_of_force(ticket: Ticket, rng: random.Random) -> Ticket:
    """A version that is in force from some event on, or up to one, or between two."""
    bounds = sorted(rng.randint(0, len(ticket.steps)) for _ in range(2))
    inside = range(*bounds)
    return replace(ticket, out=frozenset(range(len(ticket.steps))) - frozenset(inside))


@pytest.mark.parametrize("name", SCENARIOS)
def test_template_agrees_with_the_oracle_on_random_cases(name: str) -> None:
    one = SCENARIOS[name]
    told = tickets(11, 2000)
    assert_agree(one, told, verdicts(desk_of(told), one))
    expected = {one.judge(as_read(x, one)) for x in told}
    assert expected >= one.gives


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_version_judges_only_the_events_at_which_it_is_in_force(name: str) -> None:
    one = SCENARIOS[name]
    rng = random.Random(name)  # noqa: S311 - no secret
    told = [out_of_force(ticket, rng) for ticket in tickets(12, 1000)]
    desk = desk_of(told)
    judged = ask(desk, one)[1].judged
    if judged is None:
        told = [replace(ticket, out=frozenset()) for ticket in told]  # the case is judged
    else:
        assert desk.in_force is not None
        assert not (judged & ~desk.in_force).any()
        assert judged.any()
    assert_agree(one, told, verdicts(desk, one))


def assert_agree(one: Scenario, told: Sequence[Ticket], found: Sequence[str]) -> None:
    expected = [one.judge(as_read(ticket, one)) for ticket in told]
    wrong = [x for x in zip(told, found, expected, strict=True) if x[1] != x[2]]
    assert wrong == [], f"{len(wrong)} of {len(told)}, first: {wrong[0]}"


def test_durable_rules_says_the_same() -> None:
    desk = desk_of(tickets(13, 400))
    questions = []
    for name, one in SCENARIOS.items():
        table, found = ask(desk, one)
        questions.append(engine.Question(name, table, found.facts))
    for question, judged in zip(questions, engine.judge(questions), strict=True):
        assert judged.tolist() == decide(question.table, question.facts, question.rule).tolist()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_violation_names_its_events_and_exceeds_its_limit(name: str) -> None:
    desk = desk_of(tickets(14, 800))
    table, found = ask(desk, SCENARIOS[name])
    rows = np.flatnonzero(decide(table, found.facts, name) == Verdict.VIOLATES)
    offsets = desk.log.arrays.offsets
    for named in found.events:
        inside = (named >= offsets[:-1]) & (named < offsets[1:])
        assert (inside | (named == -1))[rows].all()
    if found.events and len(rows):
        some = np.max([named[rows] for named in found.events], axis=0) >= 0
        assert (some | (np.diff(offsets)[rows] == 0)).all()
    assert found.measured is not None
    assert found.limit is not None
    assert found.unit
    if SCENARIOS[name].template != "responds_within":  # there a case may end before its limit does
        shown = rows[found.measured[rows] != NOT_MEASURED]
        assert (found.measured[shown] > found.limit[shown]).all()


@pytest.mark.parametrize("name", SCENARIOS)
def test_decision_table_is_unique_and_complete(name: str) -> None:
    """Exactly one row holds for every combination of values at and around every bound."""
    one = SCENARIOS[name]
    module = templates()[one.template]
    table = module.decide(module.Params.model_validate_json(json.dumps(one.given)))
    fields = sorted({name for row in table for name in row.when})
    values = [domain(name, [r.when[name] for r in table if name in r.when]) for name in fields]
    grid = np.array(list(product(*values)), dtype=np.int64).T
    decide(table, dict(zip(fields, grid, strict=True)), name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_template_explains_itself(name: str) -> None:
    module = templates()[SCENARIOS[name].template]
    sentence = module.describe(module.Params.model_validate_json(json.dumps(SCENARIOS[name].given)))
    assert sentence.endswith(".")
    assert module.FORMULA
    assert "Not checked" in (module.__doc__ or "")
    for parameter, info in module.Params.model_fields.items():
        assert info.description, parameter


@pytest.mark.parametrize("name", [n for n, one in SCENARIOS.items() if "calendar" in one.given])
def test_without_times_a_time_limit_is_unknown(name: str) -> None:
    desk = desk_of(tickets(15, 50), timed=False)
    assert set(verdicts(desk, SCENARIOS[name])) == {"unknown"}


def test_a_finding_without_a_measured_time_shows_none() -> None:
    steps = ((Step("b", 9),), (Step("a", 0), Step("b", 100)))
    desk = desk_of([Ticket(some, complete=True, as_of=AS_OF) for some in steps])
    params = templates()["preceded_within"].Params.model_validate(
        {"before": "a", "activity": "b", "within": "1d", **ALWAYS}
    )
    rule = replace(load_catalogue().rules[0], template="preceded_within", params=params, scope=())
    found = findings(desk, measure(desk, rule), np.array([0, 1])).to_pylist()
    assert [x["measured"] for x in found] == [None, 100 * s.US_PER_HOUR]
    assert found[0]["message"] == rule.title
    assert "limit 24 h" in found[1]["message"]
    assert [x["seqs"] for x in found] == [[0], [0, 1]]


# --- hinges


@cache
def contradicted(fact: str) -> dict[str, Counter[str]]:
    """For each scenario, how often a claim on the spoilt case is contradicted by the full one."""
    rng = random.Random(fact)  # noqa: S311 - no secret
    full = [ticket for ticket in tickets(21, 5000) if ticket.steps]
    spoilt = [SPOIL[fact](ticket, rng) for ticket in full]
    whole, damaged = desk_of(full), desk_of(spoilt)
    return {
        name: Counter(said for said, _ in lies(verdicts(damaged, one), verdicts(whole, one)))
        for name, one in SCENARIOS.items()
    }


def lies(told: Sequence[str], truth: Sequence[str]) -> list[tuple[str, int]]:
    """The claims that the truth contradicts, and of which case."""
    return [
        (said, row)
        for row, (said, true) in enumerate(zip(told, truth, strict=True))
        if said in CLAIMS and true in CLAIMS and said != true
    ]


def hinges(one: Scenario) -> dict[str, set[str]]:
    """HINGES, as far as a rule with these parameters hangs on them."""
    module = templates()[one.template]
    params = module.Params.model_validate_json(json.dumps(one.given))
    found = params.hinges(module.HINGES)
    return {fact: {verdict.word for verdict in named} for fact, named in found.items()}


@pytest.mark.parametrize("fact", SPOIL)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_claim_is_contradicted_that_is_not_named(fact: str, name: str) -> None:
    named = hinges(SCENARIOS[name]).get(fact, set())
    assert set(contradicted(fact)[name]) <= named, contradicted(fact)[name]


def test_every_claim_that_is_named_is_contradicted_somewhere() -> None:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in SPOIL:
        for name, counts in contradicted(fact).items():
            seen[SCENARIOS[name].template, fact] |= set(counts)
    idle = [
        (template, fact, verdict.word)
        for template in sorted({one.template for one in SCENARIOS.values()})
        for fact, named in templates()[template].HINGES.items()
        for verdict in named
        if fact in SPOIL and verdict.word not in seen[template, fact]
    ]
    assert idle == []


def test_a_time_recorded_too_late_misleads_only_through_a_start_or_a_stop() -> None:
    """A violation then rests on a stop, conformity on a start: what `check` takes, and no more."""
    rng = random.Random(RECORDED)  # noqa: S311 - no secret
    full = [ticket for ticket in tickets(21, 5000) if ticket.steps]
    which = [rng.randrange(len(ticket.steps)) for ticket in full]
    late = [
        at_another_time(ticket, rng, at, ticket.steps[at].at)
        for ticket, at in zip(full, which, strict=True)
    ]
    whole, spoilt = desk_of(full), desk_of(late)
    positions = spoilt.log.arrays.offsets[:-1] + np.array(which)
    seen: dict[str, set[str]] = defaultdict(set)
    for name, one in SCENARIOS.items():
        if RECORDED not in hinges(one):
            continue
        found = ask(spoilt, one)[1]
        assert found.starts is not None
        assert found.stops is not None
        through = {"violates": found.stops[positions], "conforms": found.starts[positions]}
        misled = lies(verdicts(spoilt, one), verdicts(whole, one))
        assert all(through[said][row] for said, row in misled), name
        seen[one.template] |= {said for said, _ in misled}
    assert seen
    assert all(said == set(CLAIMS) for said in seen.values()), seen


def test_a_coarse_clock_misleads_only_near_the_limit() -> None:
    """Times cut to six hours: what a verdict's margin tells of."""
    unit, seen = 6, set()
    full = tickets(22, 4000)
    cut = [
        replace(x, steps=tuple(replace(y, at=y.at // unit * unit) for y in x.steps)) for x in full
    ]
    whole, damaged = desk_of(full), desk_of(cut)
    for name, one in SCENARIOS.items():
        if "calendar" not in one.given:
            continue
        found = ask(damaged, one)[1]
        margin = found.margin_us
        if margin is None:
            assert found.measured is not None
            assert found.limit is not None
            margin = np.abs(found.measured - found.limit)
        misled = [row for _, row in lies(verdicts(damaged, one), verdicts(whole, one))]
        assert (margin[misled] < unit * s.US_PER_HOUR).all(), name
        assert (margin >= unit * s.US_PER_HOUR).any(), name
        seen |= {one.template} if misled else set()
    assert seen >= {"at_most", "preceded_within", "resolves_within", "responds_within"}


# --- parameters

SOON = {"activity": "b", "within": "5h", **OFFICE}
GRID = {"rows": "attr.i", "columns": "attr.u", "matrix": [[1]]}


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("has_value", {"column": "priority", "activity": "a"}, "events carry attributes"),
        ("has_value", {"column": "colour"}, "should match pattern"),
        ("has_value", {"column": "category", "one_of": []}, "at least 1 item"),
        ("has_value", {"column": "category", "one_of": ["A"], "none_of": ["a "]}, "every value"),
        ("resolves_within", {**SOON, "since": "b"}, "same activity"),
        ("resolves_within", {**SOON, "since": "a", "pauses": ["a"]}, "starts the clock"),
        ("resolves_within", {**SOON, "pauses": ["a", "a"]}, "twice"),
        ("resolves_within", {**SOON, "within": "5d"}, "write open hours"),
        ("preceded_within", {**SOON, "before": "b"}, "same activity"),
        ("preceded_within", {**SOON, "before": "a", "within": "1w"}, "write open hours"),
        ("preceded_within", {**SOON, "before": "a", "where": {"attribute": "x"}}, "bounds nothing"),
        ("different_team", {"first": "a", "second": "a"}, "same activity"),
        ("consistent_value", {"column": "team", "after": "a", "until": "a"}, "same activity"),
        ("consistent_value", {"column": "priority"}, "should match pattern"),
        ("at_most", {"activity": "a", "limit": 1, "within": "5h"}, "needs both"),
        ("at_most", {"activity": "a", "limit": 0, "within": "5h", **OFFICE}, "forbids it"),
        ("at_most", {"activity": "a", "limit": 1, "within": "5d", **OFFICE}, "open hours"),
        (
            "at_most",
            {"what": "team_changes", "limit": 1, "where": {"attribute": "x", "at_most": 1}},
            "where narrows an activity",
        ),
        ("responds_within", {**SOON, "then": "a", "or_else": "b"}, "its own answer"),
        ("responds_within", {**SOON, "then": "b", "earlier_counts": True}, "leave earlier_counts"),
        ("responds_within", {**SOON, "then": "a", "until": "b"}, "none would ask but the first"),
        ("matches_matrix", {**GRID, "matrix": [[1, 2], [3]]}, "not equally long"),
        ("matches_matrix", {**GRID, "matrix": []}, "at least 1 item"),
        ("matches_matrix", {**GRID, "matrix": [[0]]}, "greater than or equal to 1"),
        ("matches_matrix", {**GRID, "rows": "priority"}, "three different columns"),
        ("matches_matrix", {**GRID, "levels": {"A": 1, "a ": 2}}, "two texts of the levels"),
    ],
)
def test_senseless_parameters_are_refused(kind: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        templates()[kind].Params.model_validate_json(json.dumps(given))


def test_the_window_that_is_shown_is_the_one_that_is_counted() -> None:
    """Two in the first window are too many already; the fullest of four is what a reader sees."""
    hours = (0, 4, 100, 101, 102, 103, 300)
    steps = tuple(Step("a", hour) for hour in hours)
    told = [Ticket(steps, complete=True, as_of=400)]
    given = {"activity": "a", "limit": 1, "within": "5h", "calendar": "24x7"}
    module = templates()["at_most"]
    found = module.measure(desk_of(told), module.Params.model_validate(given))
    assert found.measured is not None
    first, last = (int(column[0]) for column in found.events)
    assert (hours[first], hours[last], int(found.measured[0])) == (100, 103, 4)
