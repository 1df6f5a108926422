"""An explanation says of a case what the check says of it, in words that every template has."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.quality import inspect
from rules import engine
from rules.catalogue import load_catalogue
from rules.check import NOT_JUDGED, check
from rules.explain_case import explain_case
from rules.practice import prepare_desk, translate
from rules.service_level import load_service_levels
from rules.spec import Scope, Severity, Verdict, decide
from rules.templates import templates
from rules.templates._facts import COMMON, fact_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rules.explain_case import CaseExplained, VersionTold
    from rules.practice import Practice, PreparedDesk
    from rules.spec import Rule

HOUR = s.US_PER_HOUR
START = int(dt.datetime(2024, 1, 8, 9, tzinfo=dt.UTC).timestamp()) * s.US_PER_SECOND
RULES = load_catalogue()
INCIDENT = RULES.practices["incident"]
Event = tuple[str, int, str | None]  # activity, hours after START, actor


@pytest.fixture(autouse=True)
def one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about words: the evaluator answers for durable-rules too."""

    def judge(questions: Sequence[engine.Question]) -> list[Any]:
        return [decide(one.table, one.facts, one.rule) for one in questions]

    monkeypatch.setattr(engine, "judge", judge)


def prepared(
    cases: dict[str, Sequence[Event]],
    *,
    columns: dict[str, dict[str, str]] | None = None,
    as_of_h: int = 500,
    practice: Practice = INCIDENT,
) -> PreparedDesk:
    rows = [
        {
            s.CASE_ID: case,
            s.ACTIVITY: activity,
            s.AT: START + h * HOUR,
            s.ACTOR: actor,
            s.TEAM: "desk",
        }
        for case, events in cases.items()
        for activity, h, actor in events
    ]
    tickets = [{s.CASE_ID: case, **(columns or {}).get(case, {})} for case in cases]
    log = EventLog.build(
        pa.Table.from_pylist(rows),
        cases=pa.Table.from_pylist(tickets),
        meta=LogMeta("test", clear_names=True),
    )
    translation = translate(log, practice, "own")
    return prepare_desk(
        translation, service_levels=load_service_levels(), as_of_us=START + as_of_h * HOUR
    )


def told(desk: PreparedDesk, rules: Sequence[Rule], case: str, **more: Any) -> CaseExplained:  # noqa: ANN401
    place = desk.desk.log.cases[s.CASE_ID].to_pylist().index(case)
    return explain_case(desk, INCIDENT, rules, place, **more)


def only(found: CaseExplained) -> VersionTold:
    (one,) = found.versions
    return one


FIXED: dict[str, Sequence[Event]] = {
    "good": [("Register", 0, "a"), ("Diagnose", 1, "b"), ("Resolve", 2, "b"), ("Close", 3, "a")],
    "early": [("Register", 0, "a"), ("Resolve", 1, "b"), ("Diagnose", 2, "b"), ("Close", 3, "a")],
    "none": [("Register", 0, "a"), ("Cancel", 1, "a")],
    "open": [("Register", 0, "a"), ("Classify", 1, "a")],
}


# --- words


def params_of_every_template() -> Iterator[tuple[str, Any]]:
    """Parameters of every template: those of the rules that ship, else the plainest."""
    plain = {"ends_with": {"activity": "Close"}}
    for rule in RULES.rules:
        yield rule.template, rule.params
    for name, raw in plain.items():
        yield name, templates()[name].Params.model_validate(raw)


def test_every_template_says_what_its_facts_mean() -> None:
    seen: dict[str, set[str]] = {}
    for name, params in params_of_every_template():
        words = fact_words(name, params)
        facts = {fact for row in templates()[name].decide(params) for fact in row.when}
        assert [fact for fact in sorted(facts) if not words.get(fact)] == [], name
        assert [text for text in words.values() if "{" in text or "None" in text] == [], name
        seen.setdefault(name, set()).update(facts)
    assert set(seen) == set(templates())
    for name in seen:
        own = getattr(templates()[name], "EXPLAIN", {})
        assert own, name
        assert all(len(text) <= 100 and text[0].islower() for text in own.values())
    assert all(COMMON.values())


# --- the same as the check


def all_verdicts(desk: PreparedDesk, rule: Rule, **more: Any) -> list[int]:  # noqa: ANN401
    result = check(desk.desk, [rule], log_sha256="0", **more)
    found: list[int] = result.verdicts[0].tolist()
    return found


@pytest.mark.parametrize("rule", RULES.for_cases("incident"), ids=lambda rule: rule.code)
def test_it_is_what_the_check_says_of_every_case(rule: Rule) -> None:
    desk = prepared(FIXED)
    doubts = inspect(desk.desk.log).defects
    for verdict, case in zip(all_verdicts(desk, rule, doubts=doubts), sorted(FIXED), strict=True):
        found = told(desk, [rule], case, doubts=doubts)
        one = only(found)
        assert verdict != NOT_JUDGED
        assert found.verdict == one.verdict == verdict
        (row,) = [row for row in one.rows if row.holds]
        assert row.verdict == one.by_table
        assert all(fact.meaning for fact in one.facts)
        assert {fact.name for fact in one.facts} >= set(templates()[rule.template].EXPLAIN)
        assert (one.finding is not None) == (verdict == Verdict.VIOLATES)
        assert bool(one.reasons) == (verdict == Verdict.UNKNOWN)
        assert bool(one.vacuous) == (verdict == Verdict.VACUOUS)
        assert (one.ahead is not None) == (verdict == Verdict.PENDING)
        assert [step.seq for step in found.steps] == list(range(len(FIXED[case])))
        assert [step.activity for step in found.steps] == [name for name, _, _ in FIXED[case]]


def test_a_finding_and_its_explanation_have_one_fingerprint() -> None:
    desk, rule = prepared(FIXED), RULES.rule("INC002")
    (row,) = check(desk.desk, [rule], log_sha256="0").findings.to_pylist()
    one = only(told(desk, [rule], "early"))
    assert row["case_id"] == "early"
    assert one.finding is not None
    assert one.finding.fingerprint == row["fingerprint"]
    assert (one.finding.message, one.finding.seen) == (row["message"], row["seen"])
    assert (one.measured, one.limit, one.unit) == (row["measured"], row["limit"], row["unit"])
    assert one.expected == row["expected"]


def test_marks_name_the_events_that_count() -> None:
    desk = prepared(FIXED)
    steps = told(desk, [RULES.rule("INC002")], "early").steps
    marks = {step.activity: {mark for _, mark in step.marks} for step in steps}
    assert marks == {
        "Register": set(),
        "Resolve": {"judged", "decides"},
        "Diagnose": {"evidence"},
        "Close": set(),
    }


# --- why not


def test_only_rules_that_read_times_speak_of_clocks() -> None:
    desk = prepared({"a": [("Register", 0, "a"), ("Await problem", 1, "b"), ("Reopen", 2, "a")]})
    for code in ("INC005", "INC010"):
        steps = told(desk, [RULES.rule(code)], "a").steps
        marks = {mark for step in steps for _, mark in step.marks}
        assert "judged" in marks
        assert marks <= {"judged", "decides"}
    steps = told(desk, [RULES.rule("SLM001")], "a").steps
    assert "starts a clock" not in {mark for step in steps for _, mark in step.marks}  # no priority
    desk = prepared({"a": FIXED["good"]})
    steps = told(desk, [RULES.rule("INC008")], "a").steps
    assert "starts a clock" in {mark for step in steps for _, mark in step.marks}


@pytest.mark.parametrize("code", ["INC007", "FBK002", "INC012", "SLM002"])
def test_what_was_not_measured_is_not_shown_as_nought(code: str) -> None:
    columns = {
        case: {"priority": priority, "attr.impact": "1", "attr.urgency": "1"}
        for case, priority in (("a", "odd"), ("b", "P1"))
    }
    desk = prepared({"a": FIXED["good"], "b": FIXED["good"]}, columns=columns)
    assert only(told(desk, [RULES.rule(code)], "a")).measured is None


def test_a_count_is_not_told_as_a_yes() -> None:
    """The part after an approval may hold many events; `unsure` counts what is sure, too."""
    assert "1 yes, 0 no" not in templates()["consistent_value"].EXPLAIN["begun"]
    for name in ("precedes", "responds", "responds_within"):
        assert "surely or possibly" in templates()[name].EXPLAIN["unsure"]


def test_out_of_scope_says_which_condition_fails() -> None:
    rule = replace(RULES.rule("INC002"), scope=(Scope("priority", frozenset({"1"})),))
    desk = prepared(FIXED, columns={"early": {"priority": "3"}, "good": {"priority": "1"}})
    one = only(told(desk, [rule], "early"))
    assert one.verdict == Verdict.VACUOUS
    assert one.vacuous == (
        "out of scope: the rule is for cases whose priority is one of '1'; here it is '3'",
    )
    assert only(told(desk, [rule], "good")).verdict == Verdict.CONFORMS
    lacking = only(told(desk, [rule], "open"))
    assert lacking.verdict == Verdict.UNKNOWN
    assert "does not say its 'priority'" in lacking.reasons[0].text


def test_not_in_force_says_so_and_versions_say_which_judged() -> None:
    newest = RULES.rule("INC002")
    day = dt.date(2024, 1, 9)
    old = replace(newest, version=1, valid_from=dt.date(2000, 1, 1), valid_until=day)
    new = replace(newest, version=2, valid_from=day, severity=Severity.HIGH)
    cases: dict[str, Sequence[Event]] = {
        "both": [("Resolve", 0, "a"), ("Resolve", 30, "a"), ("Close", 31, "a")]
    }
    found = told(prepared(cases), [new, old], "both")
    assert [one.rule.version for one in found.versions] == [1, 2]
    assert [one.verdict for one in found.versions] == [Verdict.VIOLATES] * 2
    assert [one.judged for one in found.versions] == [1, 1]
    assert [step.version for step in found.steps] == [1, 2, 2]
    judged = [{version for version, mark in step.marks if mark == "judged"} for step in found.steps]
    assert judged == [{1}, {2}, set()]
    late = replace(newest, valid_from=dt.date(2030, 1, 1))
    one = only(told(prepared(cases), [late], "both"))
    assert one.verdict == Verdict.VACUOUS
    assert one.vacuous[0].startswith("version 1 is in force from 2030-01-01: at no event")


def test_what_never_happened_leaves_it_vacuous() -> None:
    one = only(told(prepared(FIXED), [RULES.rule("INC002")], "none"))
    assert one.vacuous == (
        "nothing of what the rule speaks of has happened: see the row that holds",
    )
    (row,) = [row for row in one.rows if row.holds]
    assert ("count", "is 0", True) in [(c.fact, c.demanded, c.holds) for c in row.conditions]


# --- what may still happen


def test_a_pending_case_says_what_each_next_step_leads_to() -> None:
    one = only(told(prepared(FIXED), [RULES.rule("INC002")], "open"))
    assert one.ahead is not None
    assert (one.ahead.until_us, one.ahead.then) == (None, None)
    after = {step.activity: (step.by, step.verdict) for step in one.ahead.steps}
    assert after["Diagnose"] == (None, Verdict.PENDING)
    assert after["Resolve"] == (None, Verdict.VIOLATES)
    assert after["Close"] == (None, Verdict.VACUOUS)
    assert list(after) == [*INCIDENT.activities, *INCIDENT.outside_model]


def test_who_does_the_next_step_is_told_where_it_matters() -> None:
    problem = RULES.practices["problem"]
    rule = RULES.rule("PRB003")
    cases: dict[str, Sequence[Event]] = {
        "P": [("Register", 0, "ann"), ("Investigate", 1, "ben"), ("Resolve", 2, "ben")]
    }
    desk = prepared(cases, practice=problem)
    one = only(explain_case(desk, problem, [rule], 0))
    assert one.ahead is not None
    closing = {step.by: step.verdict for step in one.ahead.steps if step.activity == "Close"}
    assert closing == {
        "somebody new": Verdict.CONFORMS,
        "ben": Verdict.VIOLATES,
        "ann": Verdict.CONFORMS,
    }


def test_a_deadline_is_the_last_moment_at_which_nothing_is_lost() -> None:
    rule = next(r for r in RULES.rules if r.code == "INC021")
    rule = replace(rule, scope=())
    cases: dict[str, Sequence[Event]] = {"open": [("Register", 0, "a")]}
    one = only(told(prepared(cases, as_of_h=0), [rule], "open"))
    assert one.ahead is not None
    assert one.ahead.until_us == START + HOUR
    assert one.ahead.then == Verdict.VIOLATES
    desk = prepared(cases, as_of_h=0)
    for moment, verdict in ((START + HOUR, Verdict.PENDING), (START + HOUR + 1, Verdict.VIOLATES)):
        later = replace(desk, desk=replace(desk.desk, as_of_us=moment))
        assert all_verdicts(later, rule) == [verdict]


def test_the_small_log_keeps_what_the_source_keeps() -> None:
    """That no case has a value, or a link, says something else of a log than of a case."""
    rule = next(r for r in RULES.rules if r.template == "has_value" and r.case_type == "incident")
    params = rule.params.model_copy(update={"column": "category", "activity": None})
    rule = replace(rule, params=params)
    desk = prepared(FIXED, columns={"good": {"category": "network"}})
    one = only(told(desk, [rule], "open"))
    assert one.verdict == Verdict.PENDING
    assert one.ahead is not None
    after = {step.activity: step.verdict for step in one.ahead.steps}
    assert after["Close"] == Verdict.VIOLATES
    assert np.array_equal(all_verdicts(desk, rule)[1], Verdict.CONFORMS)
