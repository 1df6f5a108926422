"""Where does each low score's loop stand, and where did it break? Hand-made logs, planted truth."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csi.audit import AuditRequest, make_ready
from csi.feedback.loop import Limit, LoopTerms, loop_terms, loops_of
from csi.feedback.loop_figures import figures_to_pandas, loop_figures
from csi.feedback.loop_steps import BREAKS
from csi.simulate import Request, simulate
from process_mining import schema as s
from process_mining.errors import CodedError
from process_mining.eventlog import EventLog, LogMeta
from rules.catalogue import load_catalogue

if TYPE_CHECKING:
    from csi.feedback.loop import Loop, Loops
    from rules.catalogue import Catalogue

MONDAY = dt.datetime(2024, 3, 4, 8, tzinfo=dt.UTC)  # the office opens
HOUR = s.US_PER_HOUR
NAMES = {
    "A": "Ask feedback",
    "K": "Classify",
    "C": "Contact customer",
    "G": "Agree action",
    "D": "Complete action",
    "I": "Inform customer",
    "X": "Close",
    "E": "Expire",
    "R": "Register",
    "S": "Resolve",
}
Step = tuple[str, float]


def us(hours: float) -> int:
    """Wall-clock hours since the office opened on Monday."""
    moment = MONDAY + dt.timedelta(hours=hours)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def told(text: str) -> list[Step]:
    """Read "1@0 K C@3 X": scores are digits; a step without a time comes an hour later."""
    steps: list[Step] = []
    for word in text.split():
        name, _, at = word.partition("@")
        steps.append((name, float(at) if at else steps[-1][1] + 1))
    return steps


def log_of(cases: dict[str, str], practice: str = "feedback", **columns: list[str]) -> EventLog:
    events = [
        {
            s.CASE_ID: case,
            s.ACTIVITY: NAMES.get(name, "Receive feedback"),
            s.AT: us(at),
            "position": place,
            s.TEAM: "Service Desk" if name in "CGIX" else None,
            s.ACTOR: f"agent {len(case) % 3}",
            "attr.score": None if name in NAMES or name == "?" else name,
        }
        for case, text in cases.items()
        for place, (name, at) in enumerate(told(text))
    ]
    rows = pa.table({s.CASE_ID: list(cases), s.PRACTICE: [practice] * len(cases), **columns})
    table = pa.Table.from_pylist(events)
    return EventLog.build(table, cases=rows, meta=LogMeta("test"))


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


@cache
def terms() -> LoopTerms:
    return loop_terms(catalogue())


def loops(log: EventLog, *, as_of: float = 2000.0, given: LoopTerms | None = None) -> Loops:
    ready = make_ready(log, AuditRequest(logs=()), catalogue().practices, as_of_us=us(as_of))
    return loops_of(ready.shares, given or terms(), as_of_us=us(as_of))


def only(text: str, practice: str = "feedback", *, as_of: float = 2000.0) -> Loop:
    (one,) = loops(log_of({"T1": text}, practice), as_of=as_of).loops
    return one


def test_the_terms_are_those_of_the_rules() -> None:
    found = terms()
    assert found.contact == found.contact_elsewhere == Limit(20 * HOUR, "business-hours")
    assert found.action == Limit(200 * HOUR, "business-hours")
    assert found.inform == Limit(20 * HOUR, "business-hours")
    assert (found.low["1-5"], found.low["0-10"], found.scale) == (2, 6, "1-5")
    assert loop_terms(catalogue(), low={"1-5": 3}).low["1-5"] == 3


# 24 hours of the clock are ten open ones; the limit of a contact is two days, 20 open hours
@pytest.mark.parametrize(
    ("text", "standing", "breaks"),
    [
        ("1@0 K C G D I X", "closed", ""),
        ("2@0 K C X", "settled", ""),
        ("A@0 1 K C G D I X", "closed", ""),
        ("1@0 K C@48 G D I X", "closed", ""),  # exactly 20 open hours
        ("1@0 K C@49 G D I X", "closed", "contacted late"),
        ("1@0 K X", "to be contacted", "not contacted"),
        ("1@0 K C E@100", "to be agreed", "no action"),
        ("1@0 K C C G D I X", "closed", "no action"),
        ("1@0 K C G X", "to be done", "closed early, action not done"),
        ("1@0 K C G X D I X", "closed", "closed early"),
        ("1@0 K C G D@700 I X", "closed", "action late"),
        ("1@0 K C G D X", "to be informed", "customer not informed"),
        ("1@0 K C G D@5 I@80 X", "closed", "informed late"),
        ("1@0 K C G I D X", "to be informed", "customer not informed"),  # told before it was done
        ("1@0 K C G D I G D I X", "closed", ""),
        ("1@0 K C G D I C X", "settled", ""),
        ("1@0 K C G D I G X", "to be done", "closed early, action not done"),
        ("1@0 K C@49 G D X", "to be informed", "contacted late, customer not informed"),
        ("1@0 K C G D I I@900 X", "closed", ""),
    ],
)
def test_where_a_loop_of_an_ended_feedback_stands(text: str, standing: str, breaks: str) -> None:
    one = only(text)
    assert (one.standing, ", ".join(one.breaks)) == (standing, breaks)
    assert one.broke == (breaks.partition(", ")[0] or None)
    assert one.ended
    assert one.decided


@pytest.mark.parametrize(
    ("text", "as_of", "standing", "breaks", "decided"),
    [
        ("1@0 K", 48.0, "to be contacted", "", False),
        ("1@0 K", 49.0, "to be contacted", "not contacted", True),
        ("1@0 K C", 1999.0, "to be agreed", "", False),  # nothing says how soon
        ("1@0 K C G", 200.0, "to be done", "", False),
        ("1@0 K C G", 700.0, "to be done", "action not done", True),
        ("1@0 K C G D", 20.0, "to be informed", "", False),
        ("1@0 K C G D", 80.0, "to be informed", "customer not informed", True),
        ("1@0 K C G D I", 9.0, "closed", "", True),
    ],
)
def test_where_an_open_loop_stands(
    text: str, as_of: float, standing: str, breaks: str, *, decided: bool
) -> None:
    one = only(text, as_of=as_of)
    assert (one.standing, ", ".join(one.breaks), one.decided) == (standing, breaks, decided)
    assert not one.ended


@pytest.mark.parametrize(
    ("text", "as_of", "standing", "breaks"),
    [
        ("R@0 K S X A 1@10 C@20", 100.0, "settled", ""),
        ("R@0 K S X A 1@10 C@200", 300.0, "settled", "contacted late"),
        ("R@0 K S X A 1@10", 12.0, "to be contacted", ""),
        ("R@0 K S X A 1@10", 300.0, "to be contacted", "not contacted"),
    ],
)
def test_in_an_incident_the_contact_is_the_loop(
    text: str, as_of: float, standing: str, breaks: str
) -> None:
    one = only(text, "incident", as_of=as_of)
    assert (one.standing, ", ".join(one.breaks)) == (standing, breaks)
    assert not one.ended


def test_one_contact_serves_all_scores_before_it_and_a_later_score_begins_anew() -> None:
    found = loops(log_of({"T1": "1@0 2@1 K C@3 G D I 1@20 K C@90 X"})).loops
    assert [(one.seq, one.standing, one.breaks) for one in found] == [
        (0, "closed", ()),
        (1, "closed", ()),
        (7, "settled", ("contacted late",)),
    ]
    waits = [one.contact.open_us / HOUR for one in found if one.contact]
    assert waits[:2] == [3, 2]


def test_a_step_that_is_lacking_is_taken_although_another_score_came_between() -> None:
    first, second = loops(log_of({"T1": "1@0 K C G 1@9 D I X"})).loops
    assert (first.standing, first.breaks) == ("closed", ())
    assert (second.standing, second.breaks) == ("to be contacted", ("not contacted",))


def test_what_is_no_low_score_begins_no_loop_and_is_counted() -> None:
    cases = {"T1": "3@0 K X", "T2": "5@0 K X", "T3": "?@0 K X", "T4": "9@0 K X", "T5": "2.0@0 K X"}
    found = loops(log_of(cases))
    assert [one.case_id for one in found.loops] == ["T5"]
    assert (found.answers, found.without_score, found.unreadable) == (5, 1, 1)


def test_a_scale_is_declared_or_named_by_the_event() -> None:
    log = log_of({"T1": "6@0 K X", "T2": "7@0 K X"})
    nps = replace(terms(), scale="0-10")
    assert [one.case_id for one in loops(log, given=nps).loops] == ["T1"]
    scale = pa.array([None if x is None else "1-7" for x in log.events["attr.score"].to_pylist()])
    named = log.with_columns(events={"attr.scale": scale})
    low = replace(nps, low={**nps.low, "1-7": 7})
    assert [one.scale for one in loops(named, given=low).loops] == ["1-7", "1-7"]
    unknown = replace(terms(), low={"0-10": 6})
    assert loops(log, given=unknown).unreadable == 2


def test_what_a_source_never_shows_is_not_missing() -> None:
    """Zendesk's ratings tell the answer by its word, and nothing of a contact."""
    words = {"T1": ("offered", "bad_with_comment"), "T2": ("offered", "good"), "T3": ("offered",)}
    rows = [
        {s.CASE_ID: case, s.ACTIVITY: word, s.AT: us(place), "position": place}
        for case, some in words.items()
        for place, word in enumerate(some)
    ]
    cases = pa.table({s.CASE_ID: list(words), s.PRACTICE: ["feedback"] * len(words)})
    log = EventLog.build(pa.Table.from_pylist(rows), cases=cases, meta=LogMeta("test"))
    found = loops(log)
    (one,) = found.loops
    assert (one.case_id, one.scale, one.score, one.standing) == ("T1", "good/bad", 0, "unknown")
    assert (one.breaks, one.decided, found.without_score) == ((), False, 0)
    (figures,) = loop_figures(found)
    assert (figures.low, figures.unknown, figures.closure.n, figures.to_contact.n) == (1, 1, 0, 0)
    assert (figures.bounds.low, figures.bounds.high) == (None, None)


def test_a_log_without_times_is_refused() -> None:
    log = log_of({"T1": "1@0 K X"})
    timeless = log.with_columns(events={s.AT: pa.nulls(log.n_events, s.UTC_US)})
    with pytest.raises(CodedError, match="ST550"):
        loops(timeless)


# --- figures


def test_figures_count_every_loop_once() -> None:
    cases = {
        "T1": "1@0 K C G D I X",
        "T2": "1@0 K C X",
        "T3": "1@0 K X",
        "T4": "1@0 K C@49 G D I X",
        "T5": "1@100 K C G",
        "T6": "1@139",
        "T7": "4@0 K X",
    }
    (one,) = loop_figures(loops(log_of(cases), as_of=140.0))
    assert (one.low, one.closed, one.settled, one.missing, one.open, one.unknown) == (
        *(6, 2, 1, 1, 2),
        0,
    )
    assert dict(one.broke) == {"not contacted": 1, "contacted late": 1}
    assert (one.closure.value, one.closure.n) == (3 / 4, 4)
    # Wilson's formula for 3 of 4 at 95 %
    z = 1.959964
    centre, spread = (0.75 + z * z / 8) / (1 + z * z / 4), z * z / 4
    half = z * ((0.75 * 0.25 / 4 + z * z / 64) ** 0.5) / (1 + spread)
    assert one.closure.low == pytest.approx(centre - half, abs=1e-6)
    assert one.closure.high == pytest.approx(centre + half, abs=1e-6)
    assert (one.bounds.low, one.bounds.high) == (3 / 6, 5 / 6)
    assert (one.in_time.value, one.in_time.n) == (2 / 4, 4)
    # contacts after 2, 2, 2 and 20 open hours; T3 ended after 2 and T6 waits since 1
    assert (one.to_contact.value, one.to_contact.n) == (2, 6)
    assert not one.suppressed


def test_small_segments_show_counts_alone() -> None:
    cases = {f"T{i}": "1@0 K C X" for i in range(7)}
    services = ["Laptop"] * 5 + ["Printing"] * 2
    found = loops(log_of(cases, service=services))
    by = {one.segment: one for one in loop_figures(found, by="service")}
    assert {name: (one.low, one.suppressed) for name, one in by.items()} == {
        "Laptop": (5, False),
        "Printing": (2, True),
    }
    assert by["Printing"].closure.value is None
    assert by["Printing"].to_contact.value is None
    assert by["Laptop"].closure.value == 1
    (team,) = loop_figures(found, by="team")
    assert (team.segment, team.low, team.suppressed) == (
        "Service Desk",
        7,
        True,
    )  # one known person
    (month,) = loop_figures(found, by="month")
    assert month.segment == "2024-03"
    assert len(figures_to_pandas(loop_figures(found, by="service"))) == 2
    with pytest.raises(CodedError, match=r"ST551.*service"):
        loop_figures(found, by="servise")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("1KCGDIXE", min_size=1, max_size=9), min_size=1, max_size=6))
def test_every_loop_has_one_place_and_breaks_that_fit_it(texts: list[str]) -> None:
    cases = {f"T{i}": " ".join(["1@0", *text]) for i, text in enumerate(texts)}
    found = loops(log_of(cases))
    scores = sum(1 + text.count("1") for text in texts)
    assert len(found.loops) == scores == len(found.to_pandas())
    for one in found.loops:
        assert list(one.breaks) == [name for name in BREAKS if name in one.breaks]
        assert ("not contacted" in one.breaks) <= (one.standing == "to be contacted")
        assert ("action not done" in one.breaks) <= one.agreed
        assert one.contact is not None
        assert one.contact.open_us >= 0
    (all_of,) = loop_figures(found)
    parts = (all_of.closed, all_of.settled, all_of.missing, all_of.open, all_of.unknown)
    assert sum(parts) == all_of.low == scores


# --- planted truth

RULES = {
    "not contacted": {"FBK002", "FBK010"},
    "contacted late": {"FBK002", "FBK010"},
    "no action": {"FBK005"},
    "closed early": {"FBK008"},
    "action not done": {"FBK006"},
    "action late": {"FBK006"},
    "customer not informed": {"FBK009"},
    "informed late": {"FBK009"},
}
KINDS = {
    "complaint never answered": ("not contacted",),
    "complaint answered late": ("contacted late",),
    "contact that led to nothing": ("no action",),
    "contact without agreed action": ("no action",),
    "closed before the action was done": ("closed early", "action not done"),
    "agreed action left undone": ("action late",),
    "customer not informed": ("customer not informed",),
    "customer informed late": ("informed late",),
}


def desk_log(request: Request) -> tuple[EventLog, Any]:
    simulation = simulate(request)
    events, cases = simulation.events, simulation.tickets
    at = events[s.AT].cast(pa.int64())
    events = events.set_column(events.column_names.index(s.AT), s.AT, at)
    events = events.rename_columns(
        ["position" if name == s.SEQ else name for name in events.column_names]
    ).drop_columns([s.PRACTICE])
    cases = cases.select([s.CASE_ID, s.PRACTICE, s.SERVICE, s.PRIORITY, "channel"])
    cases = cases.rename_columns([*cases.column_names[:-1], "attr.channel"])
    return EventLog.build(events, cases=cases, meta=LogMeta("test")), simulation


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_planted_break_is_found_and_nothing_else(seed: int) -> None:
    log, simulation = desk_log(Request(seed=seed, tickets=600))
    as_of = (simulation.as_of - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds()
    ready = make_ready(
        log, AuditRequest(logs=()), catalogue().practices, as_of_us=round(as_of * 1e6)
    )
    found = loops_of(ready.shares, terms(), as_of_us=round(as_of * 1e6))
    planted: dict[str, set[str]] = defaultdict(set)
    kinds = {}
    for row in simulation.truth.to_pylist():
        planted[row["rule"]].add(row["case_id"])
        kinds[row["case_id"]] = row["kind"]
    broken: dict[str, set[str]] = defaultdict(set)
    for one in found.loops:
        for name in one.breaks:
            broken[name].add(one.case_id)
            assert planted_by(one.case_id, RULES[name], planted), (one, kinds.get(one.case_id))
    for rule in ("FBK002", "FBK005", "FBK006", "FBK008", "FBK009", "FBK010"):
        names = [name for name, rules in RULES.items() if rule in rules]
        assert planted[rule] <= set().union(*(broken[name] for name in names)), rule
    by_case = {one.case_id: one for one in found.loops}
    for case, kind in kinds.items():
        if kind in KINDS:
            assert by_case[case].breaks == KINDS[kind], kind
    assert set(KINDS) <= set(kinds.values())
    assert found.answers == log_answers(log)
    assert found.without_score == found.unreadable == 0


def planted_by(case: str, rules: set[str], planted: dict[str, set[str]]) -> bool:
    return any(case in planted[rule] for rule in rules)


def log_answers(log: EventLog) -> int:
    return log.events[s.ACTIVITY].to_pylist().count("Receive feedback")


def test_a_clean_desk_has_no_broken_loop() -> None:
    clean = Request(seed=4, tickets=600, deviation_share=0, late_share=0, late_response_share=0)
    log, simulation = desk_log(clean)
    as_of_us = int(simulation.as_of.timestamp()) * s.US_PER_SECOND
    ready = make_ready(log, AuditRequest(logs=()), catalogue().practices, as_of_us=as_of_us)
    found = loops_of(ready.shares, terms(), as_of_us=as_of_us)
    assert len(found.loops) > 20
    assert [one for one in found.loops if one.breaks] == []
    assert {one.practice for one in found.loops} == {"feedback", "incident"}
    (figures,) = loop_figures(found)
    assert figures.closure.value == figures.in_time.value == 1
