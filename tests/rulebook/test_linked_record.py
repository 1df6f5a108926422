"""What a rule says of linked tickets is what a plain look at each of them says.

Random logs of three practices with random links between all of them, some to tickets that the log
lacks; open, ended and reopened records, equal times, words that nobody knows, steps that the source
hides, histories and times that the gate doubts.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from oracles.linked_records import Demand, Link, Record, linked_record
from pydantic import ValidationError
from rulebook.test_templates import domain

from csi.audit import AuditRequest, make_ready
from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.quality import MIDDLE, TIME, Defect
from rules import engine
from rules.catalogue import load_catalogue
from rules.practice import Translation, load_practices, translate
from rules.records import Records
from rules.service_level import load_service_levels
from rules.spec import Verdict, decide
from rules.templates import Desk, templates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.spec import DecisionTable, Measure

MODULE = templates()["linked_record"]
PRACTICES = {
    "incident": ("incident",),
    "major_incident": ("major_incident", "incident"),
    "problem": ("problem",),
}
WORDS = {
    "incident": ("Register", "Diagnose", "Resolve", "Close", "Reopen", "Ask feedback", None),
    "major_incident": ("Register", "Resolve", "Review", "Close"),
    "problem": ("Register", "Investigate", "Record known error", "Close", "Reopen", None),
}
HIDDEN = {"problem": frozenset({"Record known error"})}
DEMANDS: dict[str, dict[str, Any]] = {
    "any link": {"kind": "problem", "activity": "Resolve"},
    "any link, every case": {"kind": "problem"},
    "a problem": {"kind": "problem", "practice": "problem", "activity": "Diagnose"},
    "a problem that is investigated": {
        "kind": "problem",
        "practice": "problem",
        "contains": "Investigate",
    },
    "a problem with a hidden step": {
        "kind": "problem",
        "practice": "problem",
        "contains": "Record known error",
        "activity": "Resolve",
    },
    "named by an ended ticket": {"kind": "parent", "direction": "named_by", "ended": True},
    "an incident, a major one too, reviewed before": {
        "kind": "parent",
        "practice": "incident",
        "contains": "Resolve",
        "activity": "Resolve",
        "by": "before",
    },
    "only problems that had ended": {
        "kind": "problem",
        "practice": "problem",
        "ended": True,
        "quantifier": "every",
        "by": "before",
        "activity": "Resolve",
    },
    "only ended incidents that were resolved": {
        "kind": "parent",
        "practice": "incident",
        "contains": "Resolve",
        "ended": True,
        "quantifier": "every",
        "activity": "Diagnose",
    },
    "named by none that was open before": {
        "kind": "parent",
        "direction": "named_by",
        "ended": True,
        "quantifier": "every",
        "by": "before",
        "activity": "Resolve",
    },
    "a problem that names it back": {"kind": "problem", "practice": "problem", "back": "parent"},
    "only tickets that name it back": {
        "kind": "problem",
        "back": "parent",
        "quantifier": "every",
        "activity": "Resolve",
    },
    "only investigated problems that name it back": {
        "kind": "problem",
        "practice": "problem",
        "contains": "Investigate",
        "back": "problem",
        "quantifier": "every",
    },
    "back by a kind that the log lacks": {
        "kind": "problem",
        "back": "cousin",
        "activity": "Resolve",
    },
    "a kind that the log lacks": {"kind": "cousin", "activity": "Resolve"},
}


@dataclass(frozen=True)
class Told:
    """A log as records by id, their links, and the ids that the gate doubts."""

    records: dict[str, Record]
    links: tuple[Link, ...]


@cache
def told(seed: int, n: int = 240) -> Told:
    rng = random.Random(seed)  # noqa: S311 - no secret
    records = {f"T{i:04d}": random_record(rng, rng.choice(sorted(PRACTICES))) for i in range(n)}
    names = [*records, *["elsewhere 1", "elsewhere 2"] * (n // 8)]
    links = {
        (rng.choice(sorted(records)), rng.choice(names), rng.choice(["problem", "parent"]))
        for _ in range(n)
    }
    there = sorted(link for link in links if link[1] in records)
    links |= {(to, mine, rng.choice(["problem", "parent"])) for mine, to, _ in there[::2]}
    return Told(records, tuple(sorted(links)))


def random_record(rng: random.Random, practice: str) -> Record:
    """A few steps at few times; most end as such tickets do."""
    words = [rng.choice(WORDS[practice]) for _ in range(rng.randint(1, 5))]
    words += ["Close"] * (rng.random() < 0.4)
    words += ["Ask feedback"] * (practice == "incident" and rng.random() < 0.2)
    ats = sorted(rng.randint(0, 9) for _ in words)
    return Record(
        PRACTICES[practice],
        tuple(zip(words, ats, strict=True)),
        outside=frozenset({"Ask feedback"}) if practice != "problem" else frozenset(),
        hidden=HIDDEN.get(practice, frozenset()),
        whole=rng.random() < 0.85,
        timed=rng.random() < 0.85,
    )


def records_of(log: Told) -> Records:
    rows = [{**dict(zip(("case_id", "linked_to", "kind"), x, strict=True))} for x in log.links]
    doubts = [
        defect("whole", MIDDLE, [x for x, one in log.records.items() if not one.whole]),
        defect("times", TIME, [x for x, one in log.records.items() if not one.timed]),
    ]
    return Records(
        tuple(translated(log.records, practice) for practice in sorted(PRACTICES)),
        pa.Table.from_pylist([{**row, "at": None} for row in rows], schema=s.LINK_SCHEMA),
        tuple(doubts),
    )


def defect(name: str, fact: str, ids: list[str]) -> Defect:
    return Defect("QG000", name, 1, 1, "cases", (), "", (fact,), cases=pa.array(ids, pa.string()))


def translated(records: Mapping[str, Record], practice: str, *, timed: bool = True) -> Translation:
    rows = [
        {"case_id": name, "activity": word or "mystery", "at": at, "position": place}
        for name, one in records.items()
        if one.practices[0] == practice
        for place, (word, at) in enumerate(one.steps)
    ]
    events = pa.Table.from_pylist(rows)
    if not timed:
        events = events.set_column(2, "at", pa.nulls(len(rows), pa.int64()))
    found = translate(
        EventLog.build(events, meta=LogMeta("test")), load_practices()[practice], "own"
    )
    return replace(found, unobserved=tuple(HIDDEN.get(practice, ())))


def desk_of(records: Records, practice: str) -> Desk:
    own = next(one for one in records.translations if one.practice.name == practice)
    return Desk(
        log=own.log,
        complete=own.complete,
        as_of_us=10,
        service_levels=load_service_levels(),
        outside=frozenset(own.practice.outside_model),
        records=records,
    )


def ask(desk: Desk, given: Mapping[str, Any]) -> tuple[DecisionTable, Measure]:
    params = MODULE.Params.model_validate_json(json.dumps(given))
    return MODULE.decide(params), MODULE.measure(desk, params)


def verdicts(desk: Desk, given: Mapping[str, Any]) -> list[str]:
    table, found = ask(desk, given)
    return [Verdict(v).word for v in decide(table, found.facts, "x")]


@pytest.mark.parametrize("name", DEMANDS)
def test_verdicts_are_those_of_a_plain_reading(name: str) -> None:
    given, seen = DEMANDS[name], set()
    for seed in range(8):
        log = told(seed)
        records = records_of(log)
        for practice in ("incident", "major_incident"):
            desk = desk_of(records, practice)
            ids = desk.log.cases[s.CASE_ID].to_pylist()
            expected = [linked_record(one, log.records, log.links, Demand(**given)) for one in ids]
            assert verdicts(desk, given) == expected
            seen |= set(expected)
    if "cousin" in (given["kind"], given.get("back")):
        assert seen == {"unknown", "pending", "vacuous"}
    else:
        demanding = {"practice", "ended", "back"} & set(given)
        assert seen >= {"conforms", "violates", "pending", *["unknown"] * bool(demanding)}


def test_durable_rules_says_the_same() -> None:
    desk = desk_of(records_of(told(0)), "incident")
    asked = [ask(desk, given) for given in DEMANDS.values()]
    questions = [engine.Question("x", table, found.facts) for table, found in asked]
    for question, judged in zip(questions, engine.judge(questions), strict=True):
        assert judged.tolist() == decide(question.table, question.facts, "x").tolist()


@pytest.mark.parametrize("name", DEMANDS)
def test_decision_table_is_unique_and_complete(name: str) -> None:
    table = MODULE.decide(MODULE.Params.model_validate(DEMANDS[name]))
    fields = sorted({name for row in table for name in row.when})
    values = [domain(f, [row.when[f] for row in table if f in row.when]) for f in fields]
    values = [[x for x in some if x < 1000] for some in values]
    grid = np.array(list(product(*values)), dtype=np.int64).T
    decide(table, dict(zip(fields, grid, strict=True)), name)


def test_a_finding_names_the_tickets_that_are_not_as_demanded() -> None:
    def record(practice: str, *words: str) -> Record:
        return Record((practice,), tuple((word, at) for at, word in enumerate(words)))

    log = Told(
        {
            "I1": record("incident", "Register", "Resolve", "Close"),
            "I2": record("incident", "Register", "Resolve", "Close"),
            "M1": record("major_incident", "Register", "Close"),
            "P1": record("problem", "Register", "Close"),
            "P2": record("problem", "Register", "Investigate"),
            "P3": record("problem", "Register", "Cancel"),
        },
        (("I1", "P1", "problem"), ("I1", "P2", "problem"), ("I1", "P3", "problem")),
    )
    given = {"kind": "problem", "practice": "problem", "contains": "Investigate"}
    desk = desk_of(records_of(log), "incident")
    every = {**given, "quantifier": "every", "activity": "Resolve"}
    for params, measured, tickets in (
        (given, [1, 0], ["linked with P1, P3", None]),
        (every, [2, 0], ["linked with P1, P3", None]),
    ):
        _, found = ask(desk, params)
        assert found.told is not None
        assert found.measured is not None
        assert found.told(np.arange(2)).to_pylist() == tickets
        assert found.measured.tolist() == measured
    assert verdicts(desk, given) == ["conforms", "violates"]
    assert verdicts(desk, every) == ["violates", "vacuous"]


def test_where_every_record_of_a_practice_is_asked_others_are_not() -> None:
    """A change that names a problem is no incident that was left open."""

    def record(practice: str, *words: str) -> Record:
        return Record((practice,), tuple((word, at) for at, word in enumerate(words)))

    log = Told(
        {
            "I1": record("incident", "Register", "Resolve", "Close"),
            "M1": record("major_incident", "Register"),
            "P1": record("problem", "Register"),
        },
        (("P1", "I1", "problem"), ("M1", "I1", "problem")),
    )
    desk = desk_of(records_of(log), "incident")
    every = {
        "kind": "problem",
        "direction": "named_by",
        "ended": True,
        "by": "before",
        "activity": "Close",
        "quantifier": "every",
    }
    assert verdicts(desk, every)[0] == "violates"
    assert verdicts(desk, {**every, "practice": "problem"})[0] == "violates"
    assert verdicts(desk, {**every, "practice": "knowledge"})[0] == "vacuous"


def test_a_version_asks_at_its_own_activities_only() -> None:
    records = {
        "I1": Record(
            ("incident",), (("Register", 0), ("Resolve", 2), ("Resolve", 8), ("Close", 9))
        ),
        "I2": Record(("incident",), (("Register", 0), ("Close", 1))),
        "P1": Record(("problem",), (("Register", 0), ("Close", 5))),
        "M1": Record(("major_incident", "incident"), (("Register", 0),)),
    }
    desk = desk_of(records_of(Told(records, (("I1", "P1", "problem"),))), "incident")
    given = {"kind": "problem", "ended": True, "activity": "Resolve", "by": "before"}
    assert verdicts(desk, given) == ["conforms", "vacuous"]
    early = replace(desk, in_force=desk.log.arrays.at < 5)
    assert verdicts(early, given) == ["violates", "vacuous"]
    judged = ask(early, given)[1].judged
    assert judged is not None
    assert np.flatnonzero(judged).tolist() == [1]
    never = replace(desk, in_force=desk.log.arrays.at < 1)
    assert verdicts(never, given) == ["vacuous", "vacuous"]


def test_without_times_nothing_came_before() -> None:
    log = told(3)
    records = records_of(log)
    untimed = [translated(log.records, one, timed=False) for one in sorted(PRACTICES)]
    desk = desk_of(replace(records, translations=tuple(untimed)), "incident")
    given = DEMANDS["an incident, a major one too, reviewed before"]
    blind = {name: replace(one, timed=False) for name, one in log.records.items()}
    ids = desk.log.cases[s.CASE_ID].to_pylist()
    expected = [linked_record(one, blind, log.links, Demand(**given)) for one in ids]
    assert verdicts(desk, given) == expected
    assert "conforms" not in expected


# --- hinges: of the case itself only the time of the last activity is read, and that by `before`


def test_only_before_hangs_on_facts_of_the_case() -> None:
    for given in DEMANDS.values():
        params = MODULE.Params.model_validate(given)
        assert bool(params.hinges(MODULE.HINGES)) == (given.get("by") == "before")


@pytest.mark.parametrize("name", DEMANDS)
def test_hinges_are_what_spoiling_the_case_shows(name: str) -> None:
    """The end of the case lost, a step in between, one at another time, or recorded late."""
    given = DEMANDS[name]
    params = MODULE.Params.model_validate(given)
    named = {fact: {v.word for v in some} for fact, some in params.hinges(MODULE.HINGES).items()}
    seen: dict[str, set[str]] = {fact: set() for fact in ("middle", "end", "time", "recorded")}
    rng = random.Random(name)  # noqa: S311 - no secret
    every = given.get("quantifier") == "every"
    practices = [given["practice"]] if every and "practice" in given else ["incident", "problem"]
    for _ in range(12_000):
        pair = [told_by(rng, "incident"), told_by(rng, rng.choice(practices))]
        log = dict(zip(("case", "other"), pair, strict=True))
        links = [("case", "other", given["kind"]), ("other", "case", given["kind"])]
        fact = rng.choice(sorted(seen))
        true = linked_record("case", log, links, Demand(**given))
        log["case"] = spoil(log["case"], fact, rng)
        said = linked_record("case", log, links, Demand(**given))
        if {said, true} == {"conforms", "violates"}:
            seen[fact].add(said)
    if every and given.get("by") == "before":
        assert seen == named  # a demand that can come true and untrue again shows them all
    assert all(seen[fact] <= named.get(fact, set()) for fact in seen), seen


def told_by(rng: random.Random, practice: str) -> Record:
    """A case that ends, as the log shows the whole of it."""
    words = ["Register", *rng.choices(["Diagnose", "Resolve", "Close", "Reopen"], k=4), "Close"]
    ats = sorted(rng.randint(0, 9) for _ in words)
    return Record((practice,), tuple(zip(words, ats, strict=True)))


def spoil(case: Record, fact: str, rng: random.Random) -> Record:
    steps = list(case.steps)
    place = rng.randrange(len(steps))
    word, at = steps[place]
    low = steps[place - 1][1] if place else 0
    high = steps[place + 1][1] if place + 1 < len(steps) else 12
    if fact == "end":
        ends = steps[-1:] if steps[-1][0] in case.ends else []
        steps = steps[: rng.randint(0, len(steps))] + ends
    elif fact == "middle":
        steps = steps[:place] + steps[place + 1 :]
    else:
        steps[place] = (word, rng.randint(at if fact == "recorded" else low, max(at, high)))
    return replace(case, steps=tuple(steps) or case.steps)


# --- in an audit, in rule files


def test_an_audit_of_one_practice_knows_the_records_of_the_others() -> None:
    rows = [
        ("I1", "incident", "Register", 1),
        ("I1", "incident", "Close", 5),
        ("P1", "problem", "Register", 2),
        ("X1", "gardening", "Dig", 3),
    ]
    events = pa.table(
        {
            "case_id": [x[0] for x in rows],
            "activity": [x[2] for x in rows],
            "at": [1_700_000_000_000_000 + x[3] for x in rows],
        }
    )
    cases = pa.table(
        {"case_id": ["I1", "P1", "X1"], "practice": ["incident", "problem", "gardening"]}
    )
    links = pa.Table.from_pylist(
        [
            dict(zip(s.LINK_SCHEMA.names, ("I1", to, "problem", None), strict=True))
            for to in ("P1", "X1")
        ],
        schema=s.LINK_SCHEMA,
    )
    log = EventLog.build(events, cases=cases, links=links, meta=LogMeta("test"))
    request = AuditRequest(logs=(), practice="incident")
    ready = make_ready(log, request, load_practices(), as_of_us=int(log.arrays.at.max()))
    records = ready.shares[0].prepared.desk.records
    assert records is not None
    assert records.ids.to_pylist() == ["I1", "P1"]
    linked = records.linked(pa.array(["I1"]), "problem", "names")
    assert linked.named.to_pylist() == ["P1", "X1"]
    assert linked.record.tolist() == [1, -1]
    assert records.linked(pa.array(["P1", "Q"]), "problem", "named_by").named.to_pylist() == ["I1"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "problem", "contains": "Close"}, "name the practice"),
        ({"kind": "problem", "quantifier": "every"}, "no demand"),
        ({"kind": "problem", "quantifier": "every", "practice": "problem"}, "no demand"),
        ({"kind": "problem", "ended": True, "by": "before"}, "before what"),
        (
            {"kind": "problem", "practice": "problem", "activity": "Close", "by": "before"},
            "at a time",
        ),
        ({"kind": "problem", "quantifier": "every", "ended": True}, "nothing offends"),
        (
            {
                "kind": "problem",
                "activity": "Close",
                "ended": True,
                "by": "before",
                "back": "parent",
            },
            "no time",
        ),
        ({"kind": "problem", "direction": "named_by", "back": "parent"}, "names the case already"),
        ({"kind": ""}, "at least 1 character"),
        ({"kind": "problem", "direction": "both"}, "named_by"),
    ],
)
def test_senseless_parameters_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MODULE.Params.model_validate(given)


@pytest.mark.parametrize("name", DEMANDS)
def test_it_explains_itself(name: str) -> None:
    sentence = MODULE.describe(MODULE.Params.model_validate(DEMANDS[name]))
    assert sentence.endswith(".")
    assert "Not checked" in (MODULE.__doc__ or "")
    assert all(info.description for info in MODULE.Params.model_fields.values())


def test_the_rules_that_ship_name_words_of_the_other_practice() -> None:
    catalogue = load_catalogue()
    for rule in catalogue.rules:
        for practice, word in rule.params.spoken_elsewhere().values():
            assert word is None or word in catalogue.practices[practice].words
