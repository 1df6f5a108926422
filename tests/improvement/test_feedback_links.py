"""Feedback and the improvements that it led to: linked both ways, and the customer told or not."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from csi.audit import AuditRequest, make_ready
from csi.feedback.links import FeedbackLinks, Pair, feedback_links, feedback_of
from csi.register import Improvement, Register
from csi.register_log import register_log
from csi.simulate import Request, simulate, write
from csi.statistics import DecisionRule
from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from csi.register import Entry

CATALOGUE = load_catalogue()
START = dt.datetime(2024, 3, 4, 9, tzinfo=dt.UTC)
WORDS = {
    "feedback": {"1": "Receive feedback", "I": "Inform customer", "X": "Close", "C": "Contact"},
    "continual_improvement": {"R": "Register", "V": "Evaluate", "X": "Close"},
    "incident": {"R": "Register", "X": "Close", "C": "Contact customer"},
}


def us(day: int) -> int:
    moment = START + dt.timedelta(days=day)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def log_of(tickets: dict[str, str], links: Sequence[tuple[str, str, str]]) -> EventLog:
    """Tickets as words with their days, such as "1@0 I@5 X@6"; links as (from, to, kind)."""
    practices = {
        name: {"F": "feedback", "C": "continual_improvement", "I": "incident"}[name[0]]
        for name in tickets
    }
    events = [
        {
            s.CASE_ID: name,
            s.ACTIVITY: WORDS[practices[name]][word[0]],
            s.AT: us(int(word[2:])),
            "position": place,
        }
        for name, text in tickets.items()
        for place, word in enumerate(text.split())
    ]
    cases = pa.table({s.CASE_ID: list(practices), s.PRACTICE: list(practices.values())})
    rows = [dict(zip(s.LINK_SCHEMA.names, (*link, None), strict=True)) for link in links]
    return EventLog.build(
        pa.Table.from_pylist(events),
        cases=cases,
        links=pa.Table.from_pylist(rows, schema=s.LINK_SCHEMA),
        meta=LogMeta("test"),
    )


def linked(log: EventLog, entries: Sequence[Entry] = (), *, as_of: int = 400) -> FeedbackLinks:
    ready = make_ready(log, AuditRequest(logs=()), CATALOGUE.practices, as_of_us=us(as_of))
    return feedback_links(log, ready.shares, entries)


def both(feedback: str, improvement: str) -> list[tuple[str, str, str]]:
    return [(feedback, improvement, "improvement"), (improvement, feedback, "feedback")]


@pytest.mark.parametrize(
    ("feedback", "improvement", "standing", "breaks"),
    [
        ("1@0 I@50 X@51", "R@1 V@40 X@41", "told", ""),
        ("1@0 I@41 X@51", "R@1 V@40 X@41", "told", ""),  # at that very moment
        ("1@0 I@5 I@50 X@51", "R@1 V@40 X@41", "told", ""),
        ("1@0 I@5 X@6", "R@1 V@40 X@41", "broken", "told early"),
        ("1@0 I@5 X@6", "R@1 V@40", "broken", "told early"),
        ("1@0 X@6", "R@1 V@40 X@41", "broken", "not told"),
        ("1@0 X@6", "R@1", "broken", "not told"),
        ("1@0 I@5", "R@1", "waiting", ""),
        ("1@0 I@5", "R@1 V@40 X@41", "to be told", ""),
        ("1@0", "R@1 V@40 X@41", "to be told", ""),
        ("1@0 I@50", "R@1 V@40 X@41", "told", ""),
    ],
)
def test_whether_the_customer_knows_the_outcome(
    feedback: str, improvement: str, standing: str, breaks: str
) -> None:
    # another feedback shows that the source records this step
    tickets = {"F1": feedback, "C1": improvement, "F2": "1@0 I@1 X@2"}
    (pair,) = linked(log_of(tickets, both("F1", "C1"))).pairs
    assert (pair.standing, ", ".join(pair.breaks)) == (standing, breaks)
    assert pair.named_by_feedback
    assert pair.named_by_improvement


def test_names_that_lead_one_way_or_nowhere() -> None:
    done = "1@0 I@50 X@51"
    tickets = {
        **{f"F{i}": done for i in range(1, 5)},
        "F5": "1@0 I@1",
        **{f"C{i}": "R@1 V@40 X@41" for i in range(1, 4)},
        "C4": "R@1 V@40",
    }
    links = [
        *both("F1", "C1"),
        ("F2", "C2", "improvement"),
        ("C3", "F3", "feedback"),
        ("F4", "IMP-0099", "improvement"),
        ("C3", "F99", "feedback"),
        ("F5", "C4", "improvement"),  # the improvement is open and may still name it
        ("F1", "P1", "problem"),
    ]
    found = linked(log_of(tickets, links))
    assert {(x.feedback, x.improvement): x.breaks for x in found.pairs} == {
        ("F1", "C1"): (),
        ("F2", "C2"): ("forgotten by the improvement",),
        ("F3", "C3"): ("forgotten by the feedback",),
        ("F4", "IMP-0099"): ("improvement unknown",),
        ("F5", "C4"): (),
        ("F99", "C3"): ("feedback unknown",),
    }
    assert (found.both_ways.value, found.both_ways.n) == (1 / 4, 4)
    assert (found.told.value, found.told.n) == (1, 3)
    assert [x.feedback for x in found.broken("feedback unknown")] == ["F99"]
    table = found.to_pandas()
    assert len(table) == 6
    assert table["standing"].tolist() == ["told", "told", "told", "unknown", "waiting", "unknown"]


def test_an_incident_is_told_by_a_contact() -> None:
    tickets = {"I1": "R@0 X@1 C@50", "I2": "R@0 X@1 C@5", "C1": "R@1 V@40 X@41", "C2": "R@1 X@41"}
    found = linked(log_of(tickets, [*both("I1", "C1"), *both("I2", "C2")]))
    assert [(x.standing, x.breaks) for x in found.pairs] == [
        ("told", ()),
        ("broken", ("told early",)),
    ]


def test_a_log_without_links_has_no_pairs() -> None:
    found = linked(log_of({"F1": "1@0 X@1"}, []))
    assert (found.pairs, found.both_ways.value, found.told.n) == ((), None, 0)
    assert list(found.to_pandas().columns)[:2] == ["feedback", "improvement"]


# --- the register


def draft(*sources: str) -> Improvement:
    return Improvement(
        title="Ask for the error text at once",
        opportunity="Half of the waiting is for the customer",
        hypothesis="A form field for the error text saves one question",
        kpi="KPI01",
        owner="Service desk lead",
        decision_rule=DecisionRule(minimum_effect=0.1),
        source_findings=sources,
    )


def test_entries_of_the_register_name_their_feedback(tmp_path: Path) -> None:
    register = Register.open(tmp_path / "register.sqlite")
    at = START + dt.timedelta(days=1)
    first = register.add(draft("INC003", "feedback:F1", "feedback: F2 "), at=at, actor="lead")
    second = register.add(draft(), at=at, actor="lead")
    third = register.add(draft("feedback:F9", "feedback:"), at=at, actor="lead")
    later = START + dt.timedelta(days=40)
    register.note(second, "feedback:F3", at=later, actor="lead")
    register.note(second, "feedback:F4\nand more", at=later, actor="lead")
    register.note(second, "as feedback:F5 says", at=later, actor="lead")
    register.close(first, "done", at=later, actor="lead")
    entries = register.list()
    assert [feedback_of(one) for one in entries] == [("F1", "F2"), ("F3",), ("F9",)]

    links = [("F1", first, "improvement"), ("F3", second, "improvement")]
    tickets = {"F1": "1@0 I@50 X@51", "F2": "1@0 I@50 X@51", "F3": "1@0 I@5"}
    found = linked(log_of(tickets, links), entries)
    assert found.pairs == (
        Pair("F1", first, True, True, us(50), us(40), "told", ()),  # noqa: FBT003 - both name
        Pair("F2", first, False, True, us(50), us(40), "told", ("forgotten by the feedback",)),  # noqa: FBT003
        Pair("F3", second, True, True, us(5), None, "waiting", ()),  # noqa: FBT003
        Pair("F9", third, False, True, None, None, "unknown", ("feedback unknown",)),  # noqa: FBT003
    )


def test_the_registers_own_log_has_the_links(tmp_path: Path) -> None:
    register = Register.open(tmp_path / "register.sqlite")
    name = register.add(draft("feedback:F1", "INC003"), at=START, actor="lead")
    register.add(draft(), at=START, actor="lead")
    links = register_log(register).links.to_pylist()
    assert links == [{"case_id": name, "linked_to": "F1", "kind": "feedback", "at": None}]


# --- planted truth

RULES = {
    "forgotten by the improvement": "FBK011",
    "forgotten by the feedback": "FBK012",
    "told early": "FBK013",
    "not told": "FBK014",
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_planted_break_between_the_two_is_found(seed: int, tmp_path: Path) -> None:
    simulation = simulate(Request(seed=seed, tickets=600))
    write(simulation, tmp_path)
    log = open_log([tmp_path / "events.ndjson", tmp_path / "tickets.csv"], ReadOptions())
    as_of_us = int(simulation.as_of.timestamp()) * s.US_PER_SECOND
    ready = make_ready(log, AuditRequest(logs=()), CATALOGUE.practices, as_of_us=as_of_us)
    found = feedback_links(log, ready.shares)
    planted: dict[str, set[str]] = defaultdict(set)
    for row in simulation.truth.to_pylist():
        planted[row["rule"]].add(row["case_id"])
    for how, rule in RULES.items():
        of_entry = rule in ("FBK012", "FBK014")
        shown = {x.improvement if of_entry else x.feedback for x in found.broken(how)}
        assert shown == planted[rule] != set(), how
    assert found.broken("feedback unknown") == found.broken("improvement unknown") == ()


def test_a_clean_desk_has_none(tmp_path: Path) -> None:
    clean = Request(seed=6, tickets=600, deviation_share=0, late_share=0, late_response_share=0)
    write(simulate(clean), tmp_path)
    log = open_log([tmp_path / "events.ndjson", tmp_path / "tickets.csv"], ReadOptions())
    found = feedback_links(
        log, make_ready(log, AuditRequest(logs=()), CATALOGUE.practices, as_of_us=us(1000)).shares
    )
    assert found.pairs
    assert [x for x in found.pairs if x.breaks] == []
