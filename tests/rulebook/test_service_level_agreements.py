"""Clocks under targets that change, that restart, and that are kept by teams and suppliers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from process_mining import schema as s
from process_mining.errors import CodedError, RunError
from process_mining.eventlog import POSITION, EventLog, LogMeta
from rules.service_level import (
    CLOCKS,
    PAUSES,
    Condition,
    ServiceLevels,
    Target,
    case_clock,
    clocks,
    load_service_levels,
    on,
    pauses,
)
from rules.templates import Desk
from rules.where import Where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MINUTE = s.US_PER_MINUTE
START = 1_704_704_400 * s.US_PER_SECOND  # 2024-01-08 09:00 UTC, a Monday
ENDS = ("Close", "Cancel")


@dataclass(frozen=True)
class Step:
    """A step `at` minutes after the start; an update where it has no activity."""

    at: int
    activity: str | None
    priority: str | None = None
    team: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def desk_of(steps: Sequence[Step], *targets: Target, as_of: int = 0, **case: str | None) -> Desk:
    names = sorted({name for step in steps for name in step.attributes})
    columns: dict[str, Any] = {
        s.CASE_ID: ["c"] * len(steps),
        s.ACTIVITY: [step.activity or "update" for step in steps],
        s.AT: [START + step.at * MINUTE for step in steps],
        POSITION: list(range(len(steps))),
        s.TEAM: pa.array([step.team for step in steps], pa.string()),
        s.PRIORITY_THEN: pa.array([step.priority for step in steps], pa.string()),
    }
    for name in names:
        columns[s.ATTRIBUTE_PREFIX + name] = [step.attributes.get(name) for step in steps]
    row = {s.CASE_ID: "c", s.PRACTICE: "incident", **case}
    cases = pa.table({name: pa.array([value], pa.string()) for name, value in row.items()})
    log = EventLog.build(pa.table(columns), cases=cases, meta=LogMeta("test"))
    said = pa.array([step.activity for step in steps], pa.string())
    log = log.with_columns(events={s.ACTIVITY: said})
    last = [step.activity for step in steps if step.activity][-1]
    levels = ServiceLevels(targets)
    return Desk(log, np.array([last in ENDS]), START + as_of * MINUTE, levels)


def target(name: str, **more: Any) -> Target:  # noqa: ANN401
    fields: dict[str, Any] = {
        "metric": "resolve",
        "case_type": "incident",
        "limit_us": 60 * MINUTE,
        "calendar": "24x7",
        "objective": 0.9,
        "valid_from": dt.date(2000, 1, 1),
    }
    return Target(name=name, **(fields | more))


def rows(desk: Desk) -> list[tuple[str | None, str, int | None]]:
    """Target, status and elapsed minutes of each clock."""
    table = clocks(desk)
    assert table.schema == CLOCKS
    return [
        (row["target"], row["status"], None if us is None else us // MINUTE)
        for row in table.to_pylist()
        for us in [row["elapsed_us"]]
    ]


P1 = target("p1", priority="P1")
P3 = target("p3", priority="P3", limit_us=600 * MINUTE)


# --- priorities that change


def test_a_promise_that_was_broken_while_it_held_stays_broken() -> None:
    """A downgrade after the limit mends nothing."""
    steps = [Step(0, "Register", "P1"), Step(61, "Diagnose", "P3"), Step(90, "Resolve")]
    desk = desk_of(steps, P1, P3, as_of=90)
    assert rows(desk) == [("p1", "breached", 61), ("p3", "met", 90)]
    assert case_clock(desk, "resolve").over.tolist() == [True]
    at = [row["breached_at"] for row in clocks(desk).to_pylist()]
    assert at == [dt.datetime(2024, 1, 8, 10, tzinfo=dt.UTC), None]


def test_a_promise_that_is_replaced_in_time_is_superseded() -> None:
    steps = [Step(0, "Register", "P1"), Step(60, "Diagnose", "P3"), Step(90, "Resolve")]
    desk = desk_of(steps, P1, P3, as_of=90)
    assert rows(desk) == [("p1", "superseded", 60), ("p3", "met", 90)]
    assert case_clock(desk, "resolve").status.to_pylist() == ["met"]


@pytest.mark.parametrize(
    ("on_change", "status", "elapsed", "breached_at"),
    [("from start", "breached", 150, 100), ("from change", "met", 50, None)],
)
def test_an_upgrade_counts_from_the_start_or_from_the_change(
    on_change: str, status: str, elapsed: int, breached_at: int | None
) -> None:
    """From the start, the limit had passed when the priority was raised: breached that moment."""
    steps = [Step(0, "Register", "P3"), Step(100, "Diagnose", "P1"), Step(150, "Resolve")]
    high = target("p1", priority="P1", on_change=on_change)
    desk = desk_of(steps, high, P3, as_of=150)
    # sorted by the reign: the first is that of P3
    assert rows(desk) == [("p3", "superseded", 100), ("p1", status, elapsed)]
    moment = clocks(desk)["breached_at"][1].as_py()
    expected = None if breached_at is None else START + breached_at * MINUTE
    assert (None if moment is None else round(moment.timestamp() * 1e6)) == expected


def test_a_slip_of_the_keyboard_breaks_no_promise() -> None:
    """P1 for a minute, hours after the start: no one could have kept it."""
    steps = [
        Step(0, "Register", "P3"),
        Step(100, None, "P1"),
        Step(101, None, "P3"),
        Step(150, "Resolve"),
    ]
    desk = desk_of(steps, P1, P3, as_of=150)
    assert [row[:2] for row in rows(desk)] == [
        ("p3", "superseded"),
        ("p1", "superseded"),
        ("p3", "met"),
    ]


def test_a_change_at_or_after_the_stop_changes_nothing() -> None:
    steps = [Step(0, "Register", "P1"), Step(61, "Resolve", "P3"), Step(70, "Close", "P4")]
    assert rows(desk_of(steps, P1, P3, as_of=70)) == [("p1", "breached", 61)]


def test_a_history_that_the_case_contradicts_is_unknown() -> None:
    steps = [Step(0, "Register", "P1"), Step(50, "Resolve")]
    for own, status in (("P1", "met"), (None, "met"), ("P2", "unknown")):
        assert [row[1] for row in rows(desk_of(steps, P1, P3, priority=own))] == [status]


def test_an_unknown_priority_is_unknown_only_where_it_decides() -> None:
    steps = [Step(0, "Register"), Step(50, "Resolve")]
    every = target("every")
    assert [row[1] for row in rows(desk_of(steps, every, priority=None))] == ["met"]
    assert [row[1] for row in rows(desk_of(steps, every, P1, priority=None))] == ["unknown"]
    assert [row[1] for row in rows(desk_of(steps, P1, priority=None))] == ["unknown"]


def test_the_most_special_target_is_in_force() -> None:
    targets = [
        target("every"),
        target("p1", priority="P1"),
        target("mail", service="mail"),
        target("acme", customer="Acme"),
        target("acme-p1", customer="Acme", priority="P1"),
    ]
    steps = [Step(0, "Register")]
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"priority": "P2", "attr.customer": None}, "every"),
        ({"priority": "P1", "attr.customer": None}, "p1"),
        ({"priority": "P1", "service": "mail", "attr.customer": None}, "mail"),
        ({"priority": "P2", "service": "mail", "attr.customer": "Acme"}, "acme"),
        ({"priority": "P1", "service": "mail", "attr.customer": "Acme"}, "acme-p1"),
    ]
    for case, name in cases:
        assert [row[0] for row in rows(desk_of(steps, *targets, **case))] == [name]
    with pytest.raises(RunError, match=r"SL302.*'acme'"):
        clocks(desk_of(steps, *targets, priority="P1"))


# --- cycles


REOPENED = [
    Step(0, "Register"),
    Step(50, "Resolve"),
    Step(200, "Reopen"),
    Step(230, "Resolve"),
    Step(300, "Close"),
]


@pytest.mark.parametrize(
    ("reopen", "found"),
    [
        ("continues", [("t", "breached", 230)]),
        ("pauses", [("t", "breached", 80)]),
        ("restarts", [("t", "met", 50), ("t", "met", 30)]),
        ("ignored", [("t", "met", 50)]),
    ],
)
def test_reopening(reopen: str, found: list[tuple[str, str, int]]) -> None:
    desk = desk_of(REOPENED, target("t", reopen=reopen), as_of=300)
    assert rows(desk) == found
    held = pauses(desk)
    assert held.schema == PAUSES
    if reopen == "pauses":
        [row] = held.to_pylist()
        said = (row["cause"], row["ended_by"], row["open_us"])
        assert said == ("Resolve", "Reopen", 150 * MINUTE)
    else:
        assert held.num_rows == 0


def test_word_to_the_customer_begins_the_next_interval() -> None:
    said = Condition(where=Where(attribute="public", one_of=("true",)))
    steps = [
        Step(0, "Register", attributes={"public": "false"}),
        Step(40, None, attributes={"public": "true"}),
        Step(130, "Diagnose", attributes={"public": "true"}),
        Step(150, "Resolve", attributes={"public": "false"}),
        Step(155, None, attributes={"public": "true"}),
        Step(300, "Close", attributes={"public": "false"}),
    ]
    desk = desk_of(steps, target("hourly", metric="update", reset=(said,)), as_of=300)
    assert rows(desk) == [("hourly", "met", 40), ("hourly", "breached", 90), ("hourly", "met", 20)]


def test_a_word_for_what_is_no_step_can_be_named() -> None:
    steps = [Step(0, "Register"), Step(40, None), Step(130, "Diagnose"), Step(150, "Resolve")]
    desk = desk_of(steps, target("t", metric="update", reset=on("Customer reminded")), as_of=150)
    raw = pa.array(["Register", "Customer reminded", "Diagnose", "Resolve"], pa.string())
    desk = replace(desk, log=desk.log.with_columns(events={s.RAW_ACTIVITY: raw}))
    assert rows(desk) == [("t", "met", 40), ("t", "breached", 110)]


def test_an_event_that_may_stop_the_clock_leaves_it_unknown() -> None:
    stop = Condition("Diagnose", where=Where(attribute="by", one_of=("human",)))
    steps = [Step(0, "Register", attributes={"by": "robot"}), Step(10, "Diagnose")]
    desk = desk_of(steps, target("t", metric="respond", stop=(stop,)), as_of=100)
    assert [row[1] for row in rows(desk)] == ["unknown"]


def test_a_reset_begins_anew() -> None:
    steps = [Step(0, "Register"), Step(50, "Escalate"), Step(100, "Resolve")]
    desk = desk_of(steps, target("t", reset=on("Escalate")), as_of=100)
    assert rows(desk) == [("t", "superseded", 50), ("t", "met", 50)]


# --- who keeps it


STAYS = [
    Step(0, "Register", team="Desk"),
    Step(30, "Assign", team="Network"),
    Step(40, "Diagnose", team="Network"),
    Step(70, "Escalate", team="Desk"),
    Step(100, "Assign", team="Network"),
    Step(125, "Resolve", team="Network"),
    Step(200, "Close", team="Desk"),
]


def test_the_clock_of_a_team_runs_while_it_has_the_case() -> None:
    ola = target("ola", agreement="OLA", team="Network", limit_us=64 * MINUTE)
    desk = desk_of(STAYS, ola, as_of=200)
    assert rows(desk) == [("ola", "breached", 65)]
    [row] = clocks(desk).to_pylist()
    assert (row["agreement"], row["party"], row["paused_us"]) == ("OLA", "Network", 0)
    assert row["due"] == dt.datetime(2024, 1, 8, 11, 4, tzinfo=dt.UTC)
    assert desk.service_levels.metrics == ()


def test_each_stay_owes_a_first_answer() -> None:
    first = on("Diagnose", "Resolve")
    ola = target("ola", agreement="OLA", team="*", metric="respond", stop=first)
    found = [
        (row["party"], row["cycle"], row["status"])
        for row in clocks(desk_of(STAYS, ola, as_of=200)).to_pylist()
    ]
    assert found == [
        ("Desk", 1, "lapsed"),
        ("Desk", 2, "lapsed"),
        ("Desk", 3, "lapsed"),
        ("Network", 1, "met"),
        ("Network", 2, "met"),
    ]


def test_a_supplier_is_waited_for() -> None:
    steps = [
        Step(0, "Register"),
        Step(10, "Await supplier"),
        Step(40, "Diagnose"),
        Step(50, "Await supplier"),
        Step(55, "Await supplier"),
        Step(85, "Resolve"),
        Step(90, "Close"),
    ]
    contract = target("uc", agreement="UC", party="Cables Ltd", runs_in=on("Await supplier"))
    assert rows(desk_of(steps, contract, as_of=90)) == [("uc", "breached", 65)]


def test_pauses_say_what_held_the_clock_and_whether_that_was_agreed() -> None:
    steps = [
        Step(0, "Register"),
        Step(10, "Await customer"),
        Step(20, "Diagnose"),
        Step(30, "Await supplier"),
        Step(50, "Resolve"),
        Step(60, "Close"),
    ]
    held = on("Await customer", "Await supplier")
    one = target("t", pauses=held, allowed=on("Await customer"))
    found = [
        (row["cause"], row["open_us"] // MINUTE, row["ended_by"], row["allowed"])
        for row in pauses(desk_of(steps, one, as_of=60)).to_pylist()
    ]
    assert found == [
        ("Await customer", 10, "Diagnose", True),
        ("Await supplier", 20, "Resolve", False),
    ]
    open_pause = pauses(desk_of(steps[:2], one, as_of=45)).to_pylist()
    assert [(row["end"], row["open_us"] // MINUTE) for row in open_pause] == [(None, 35)]


# --- mistakes


GOOD = """
customer = "company"
answered = [{ where = { attribute = "from", one_of = ["customer"] } }]
answered_within = "30m"

[[target]]
name = "sla"
metric = "resolve"
priority = "P1"
limit = "4h"
calendar = "24x7"
pauses = ["Await customer", { activity = "Await evidence", team = "Desk" }]
allowed = ["Await customer"]
objective = 0.9
valid_from = 2024-01-01
valid_until = 2025-01-01

[[target]]
name = "sla-2025"
metric = "resolve"
priority = "P1"
limit = "4h"
calendar = "24x7"
objective = 0.9
valid_from = 2025-01-01

[[target]]
name = "ola"
agreement = "OLA"
team = "Network"
metric = "resolve"
limit = "3h"
calendar = "24x7"
objective = 0.9
supports = "sla"
valid_from = 2024-01-01

[[target]]
name = "uc"
agreement = "UC"
party = "Cables Ltd"
runs_in = ["Await supplier"]
metric = "resolve"
limit = "2h"
calendar = "24x7"
objective = 0.9
valid_from = 2024-01-01

[[target]]
name = "news"
metric = "update"
reset = ["Inform stakeholders"]
limit = "1h"
calendar = "24x7"
objective = 0.9
valid_from = 2024-01-01
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "targets.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_agreements(tmp_path: Path) -> None:
    levels = load_service_levels(write(tmp_path, GOOD))
    assert (levels.customer, levels.answered_within_us) == ("company", 30 * MINUTE)
    assert [str(one) for one in levels.answered] == ["any event with from in 'customer'"]
    assert levels.target("sla").pauses[1] == Condition("Await evidence", team="Desk")
    assert levels.target("news").priority is None


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("valid_from = 2025-01-01", "valid_from = 2025-02-01", "SL210", "nothing is promised"),
        ('team = "Network"\n', "", "SL211", "team is missing"),
        ('party = "Cables Ltd"', 'team = "Cables Ltd"', "SL211", "party is missing"),
        ('runs_in = ["Await supplier"]\n', "", "SL211", "runs_in is missing"),
        ('agreement = "OLA"', 'agreement = "SLA"', "SL211", "no meaning for an SLA"),
        ('team = "Network"', 'team = "Network"\nstart = "Assign"', "SL211", "start has no"),
        ('supports = "sla"', 'supports = "slaa"', "SL212", "Did you mean 'sla'?"),
        ('limit = "3h"', 'limit = "5h"', "SL212", "longer than that of 'sla'"),
        ('reset = ["Inform stakeholders"]\n', "", "SL213", "without a reset"),
        ('allowed = ["Await customer"]', 'allowed = ["Await problem"]', "SL214", "pauses nothing"),
        (
            '{ activity = "Await evidence", team = "Desk" }',
            "{ team = 'Desk' }",
            "SL202",
            "names an",
        ),
        ('"30m"', '"soon"', "SL206", "answered_within"),
        ("customer =", "custumer =", "SL202", "Did you mean 'customer'?"),
        ('metric = "update"', 'metric = "update"\nreopen = "never"', "SL202", "'restarts'"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, code: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(CodedError) as caught:
        load_service_levels(write(tmp_path, GOOD.replace(old, new)))
    errors = getattr(caught.value, "errors", (caught.value,))
    assert code in {error.code for error in errors}
    assert says in str(caught.value)
