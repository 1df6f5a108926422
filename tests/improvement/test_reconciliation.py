"""Our clocks against the tool's rows: one planted difference for each cause, named right."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from csi.service_levels import difference_causes as causes
from csi.service_levels.reconciliation import reconcile
from csi.service_levels.tool_rows import TOOL_ROWS, ToolRows
from process_mining import schema as s
from process_mining.clock import Calendar
from process_mining.errors import CodedError
from process_mining.eventlog import POSITION, EventLog, LogMeta
from rules.service_level import ServiceLevels, Target, clocks, on, pauses
from rules.templates import Desk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.service_levels.reconciliation import Reconciliation

MINUTE, HOUR = s.US_PER_MINUTE, s.US_PER_HOUR
MONDAY = round(dt.datetime(2024, 1, 8, 9, tzinfo=dt.UTC).timestamp()) * s.US_PER_SECOND
OFFICE = Calendar("office", "UTC", (((480, 1080),),) * 5 + ((),) * 2)
AS_OF = 30 * 24 * 60
# To the second, as tools write; not on whole minutes.
S = s.US_PER_SECOND
START = MONDAY + 7 * S


@dataclass(frozen=True)
class Case:
    """Steps as (activity, seconds after Monday 09:00:07)."""

    steps: Sequence[tuple[str, int]]
    priority: str = "P1"
    priorities: Mapping[int, str] = field(default_factory=dict)


def target(name: str = "p1", **more: Any) -> Target:  # noqa: ANN401
    fields: dict[str, Any] = {
        "metric": "resolve",
        "case_type": "incident",
        "priority": "P1",
        "limit_us": 4 * HOUR,
        "calendar": "24x7",
        "objective": 0.9,
        "valid_from": dt.date(2000, 1, 1),
        "pauses": on("Await customer", "Await supplier"),
    }
    return Target(name=name, **(fields | more))


LEVELS = ServiceLevels((target(), target("p2", priority="P2", limit_us=8 * HOUR)), (OFFICE,))


def desk_of(cases: Sequence[Case], levels: ServiceLevels = LEVELS, resolution_us: int = 1) -> Desk:
    events = pa.table(
        {
            s.CASE_ID: [f"c{i:04d}" for i, case in enumerate(cases) for _ in case.steps],
            s.ACTIVITY: [name for case in cases for name, _ in case.steps],
            s.AT: [START + at * S for case in cases for _, at in case.steps],
            POSITION: [k for case in cases for k, _ in enumerate(case.steps)],
            "attr.priority": pa.array(
                [case.priorities.get(k) for case in cases for k, _ in enumerate(case.steps)],
                pa.string(),
            ),
        }
    )
    tickets = pa.table(
        {
            s.CASE_ID: [f"c{i:04d}" for i in range(len(cases))],
            s.PRACTICE: ["incident"] * len(cases),
            s.PRIORITY: [case.priority for case in cases],
        }
    )
    meta = LogMeta("test", time_resolution_us=resolution_us)
    log = EventLog.build(events, cases=tickets, meta=meta)
    complete = np.array([case.steps[-1][0] == "Close" for case in cases])
    return Desk(log, complete, MONDAY + AS_OF * MINUTE, levels)


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Say our own clocks as a tool's rows would."""
    found = []
    for clock in table.to_pylist():
        row: dict[str, Any] = dict.fromkeys(TOOL_ROWS.names)
        row |= {name: clock[name] for name in row if name in clock}
        row |= {
            "source": "servicenow",
            "name": "Resolution",
            "target": None,
            "goal_us": clock["limit_us"],
            "breached": clock["status"] == "breached",
            "state": "completed" if clock["stop"] else "running",
        }
        found.append(row)
    return found


def governing_rows(desk: Desk) -> list[dict[str, Any]]:
    """Of each case and cycle the row of the target that was in force last."""
    return list({(row["case_id"], row["cycle"]): row for row in rows_of(clocks(desk))}.values())


def tool_of(rows: Sequence[Mapping[str, Any]]) -> ToolRows:
    return ToolRows(pa.Table.from_pylist([dict(row) for row in rows], schema=TOOL_ROWS))


def reconciled(desk: Desk, rows: Sequence[Mapping[str, Any]]) -> Reconciliation:
    return reconcile(desk, clocks(desk), pauses(desk), tool_of(rows))


def only(desk: Desk, *, drop: Sequence[str] = (), **changed: Any) -> tuple[str, str, str]:  # noqa: ANN401
    """Change the row of the only case; return cause, detail and what shows it."""
    (row,) = rows_of(clocks(desk))
    row |= dict.fromkeys(drop) | changed
    found = reconciled(desk, [row])
    (line,) = found.differences.to_pylist()
    assert (found.pairs, found.same) == (1, 0)
    return line["cause"], line["detail"], line["shown_by"]


def at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp((START + seconds * S) / 1e6, tz=dt.UTC)


H = 3600
PLAIN = Case([("Register", 0), ("Assign", H), ("Resolve", 3 * H), ("Close", 30 * H)])
LATE = Case([("Register", 0), ("Assign", H), ("Resolve", 5 * H), ("Close", 30 * H)])
OPEN = Case([("Register", 0), ("Assign", H)])
PAUSED = Case(
    [
        ("Register", 0),
        ("Await customer", H),
        ("Diagnose", 2 * H),
        ("Await supplier", 3 * H),
        ("Diagnose", 3 * H + 600),
        ("Resolve", 5 * H),
        ("Close", 30 * H),
    ]
)
REOPENED = Case(
    [("Register", 0), ("Resolve", 2 * H), ("Reopen", 3 * H), ("Resolve", 9 * H), ("Close", 30 * H)]
)


# --- our own rows


def random_case(rng: random.Random) -> Case:
    now, steps = 0, [("Register", 0)]
    words = ["Assign", "Diagnose", "Await customer", "Await supplier", "Resolve", "Reopen"]
    for _ in range(rng.randrange(9)):
        now += rng.choice([0, 30, 600, H, 5 * H, 40 * H])
        steps.append((rng.choice(words), now))
    if rng.random() < 0.5:
        steps.append(("Close", now + H))
    changes = {k: rng.choice(["P1", "P2"]) for k in range(len(steps)) if rng.random() < 0.2}
    last = changes[max(changes)] if changes else rng.choice(["P1", "P2"])
    return Case(steps, last, changes)


@pytest.mark.parametrize("reopen", ["continues", "pauses", "restarts", "ignored"])
@pytest.mark.parametrize("calendar", ["24x7", "office"])
def test_our_own_rows_agree_in_all(reopen: str, calendar: str) -> None:
    rng = random.Random(f"{reopen} {calendar}")  # noqa: S311 - a seed
    both = {"reopen": reopen, "calendar": calendar}
    levels = ServiceLevels(
        (target(**both), target("p2", priority="P2", limit_us=8 * HOUR, **both)), (OFFICE,)
    )
    desk = desk_of([random_case(rng) for _ in range(200)], levels)
    governing = governing_rows(desk)
    found = reconciled(desk, governing)
    assert found.differences.num_rows == 0
    assert (found.pairs, found.same) == (len(governing), len(governing))
    (agreement,) = found.agreements
    assert agreement.share == 1
    assert agreement.kappa in {1, None}


def test_each_target_meets_the_row_that_is_declared_as_it() -> None:
    """The row of the first priority is cancelled when the second takes over."""
    case = Case([*PLAIN.steps], "P2", {0: "P1", 1: "P2"})
    desk = desk_of([case])
    first, second = rows_of(clocks(desk))
    assert [c["status"] for c in clocks(desk).to_pylist()] == ["superseded", "met"]
    first |= {"name": "P1 resolution", "target": "p1", "state": "cancelled"}
    second |= {"name": "P2 resolution", "target": "p2"}
    found = reconciled(desk, [second, first])
    assert (found.pairs, found.same) == (2, 2)


# --- one difference a cause


def test_a_row_that_the_tool_lacks() -> None:
    desk = desk_of([PLAIN, LATE])
    found = reconciled(desk, rows_of(clocks(desk))[:1])
    assert [(one.cause, one.n, one.examples) for one in found.causes] == [
        (causes.TOOL_MISSING, 1, ("c0001",))
    ]


def test_a_clock_that_we_lack() -> None:
    desk = desk_of([PLAIN, Case(PLAIN.steps, "P9")])
    (row, *_) = rows_of(clocks(desk))
    found = reconciled(desk, [row, row | {"case_id": "c0001"}, row | {"case_id": "elsewhere"}])
    assert [(one.cause, one.detail) for one in found.causes] == [
        (causes.OURS_MISSING, "no clock under its target"),
        (causes.OURS_MISSING, "the log lacks the case"),
    ]


@pytest.mark.parametrize(
    ("case", "changed", "says"),
    [
        (PLAIN, {"breached": True}, "stopped by its due time, and breached"),
        (LATE, {"breached": False}, "stopped after its due time, and not breached"),
        (OPEN, {"breached": False}, "past its due time and running, and not breached"),
        (PLAIN, {"breached": True, "due": None}, "within its goal, and breached"),
        (LATE, {"breached": False, "due": None}, "past its goal, and not breached"),
        (PLAIN, {"start": at(4 * H), "due": at(8 * H)}, "stopped before it started"),
    ],
)
def test_a_row_that_contradicts_itself(case: Case, changed: dict[str, Any], says: str) -> None:
    assert only(desk_of([case]), **changed)[:2] == (causes.CONTRADICTS, says)


def test_times_cut_to_the_minute() -> None:
    cut = at(0).replace(second=0)
    later = {"start": cut, "due": cut + dt.timedelta(hours=4), "stop": cut + dt.timedelta(hours=3)}
    assert only(desk_of([PLAIN]), **later)[0] == causes.ROUNDING


def test_a_minute_is_no_rounding_where_the_tool_writes_seconds() -> None:
    cause = only(desk_of([PLAIN]), elapsed_us=3 * HOUR - 59 * S)[0]
    assert cause == causes.UNEXPLAINED


def test_a_shifted_time_zone() -> None:
    hours = dt.timedelta(hours=-2)
    moved = {"start": at(0) + hours, "stop": at(3 * H) + hours, "due": at(4 * H) + hours}
    assert only(desk_of([PLAIN]), **moved) == (causes.ZONE, "-2 h", "times")


def test_another_limit_that_the_tool_names() -> None:
    found = only(desk_of([PLAIN]), goal_us=2 * HOUR, due=at(2 * H), breached=True)
    assert found == (causes.LIMIT, "the tool's goal is 2h", "times")


def test_the_target_of_another_priority() -> None:
    found = only(desk_of([LATE]), drop=["goal_us"], due=at(8 * H), breached=False)
    assert found == (causes.LIMIT, "as p2", "times")


def test_a_priority_that_the_case_had_before_explains_an_outcome() -> None:
    """P2 at first: kept; P1 in the end: breached. The tool judged by the first."""
    desk = desk_of([Case(LATE.steps, "P1", {0: "P2", 1: "P1"})])
    governs = rows_of(clocks(desk))[-1]
    plain = ["goal_us", "due", "elapsed_us", "paused_us", "start", "stop", "state"]
    found = reconciled(desk, [governs | dict.fromkeys(plain) | {"breached": False}])
    (line,) = found.differences.to_pylist()
    assert (line["cause"], line["detail"], line["shown_by"]) == (causes.LIMIT, "as p2", "outcome")


def test_another_calendar() -> None:
    """From 16:00:07 office hours leave 2 h of the day; 24x7 does not."""
    case = Case([("Register", 7 * H), ("Resolve", 10 * H), ("Close", 80 * H)])
    # Office: 16:00:07 to 18:00 is 1:59:53; the rest of 4 h until 10:00:07 on Tuesday.
    due, elapsed = at(25 * H), 2 * HOUR - 7 * S
    found = only(desk_of([case]), due=due, elapsed_us=elapsed)
    assert found == (causes.CALENDAR, "counted in office", "times")


def test_a_pause_that_the_log_does_not_show() -> None:
    found = only(
        desk_of([LATE]), paused_us=2 * HOUR, elapsed_us=3 * HOUR, due=at(6 * H), breached=False
    )
    assert found == (causes.UNSEEN_PAUSE, "2h of pauses", "times")


def test_a_pause_is_inferred_only_where_due_and_elapsed_time_say_the_same() -> None:
    told = {"drop": ["paused_us"], "elapsed_us": 3 * HOUR, "breached": False}
    desk = desk_of([LATE])
    assert only(desk, due=at(6 * H), **told) == (causes.UNSEEN_PAUSE, "2h of pauses", "times")
    assert only(desk, due=at(7 * H), **told)[0] == causes.UNEXPLAINED


@pytest.mark.parametrize(
    ("paused", "detail"),
    [
        (HOUR, "pauses by Await supplier"),
        (10 * MINUTE, "pauses by Await customer"),
        (0, "all pauses"),
    ],
)
def test_a_pause_that_the_tool_did_not_count(paused: int, detail: str) -> None:
    told = {
        "paused_us": paused,
        "elapsed_us": 5 * HOUR - paused,
        "due": at(4 * H + paused // S),
        "breached": 5 * HOUR - paused > 4 * HOUR,
    }
    assert only(desk_of([PAUSED]), **told) == (causes.IGNORED_PAUSE, detail, "times")


def test_a_case_reopened_after_the_tool_stopped() -> None:
    told = {"stop": at(2 * H), "elapsed_us": 2 * HOUR, "breached": False}
    assert only(desk_of([REOPENED]), **told) == (causes.REOPENED, "", "times")


def test_a_case_reopened_explains_an_outcome() -> None:
    plain = ["goal_us", "due", "elapsed_us", "paused_us", "start", "stop", "state"]
    assert only(desk_of([REOPENED]), drop=plain, breached=False)[::2] == (
        causes.REOPENED,
        "outcome",
    )


@pytest.mark.parametrize(("start", "detail"), [(H, "at Assign"), (H + 60, "at no step of the log")])
def test_another_start(start: int, detail: str) -> None:
    told = {"start": at(start), "due": at(start + 4 * H), "elapsed_us": 3 * HOUR - start * S}
    assert only(desk_of([PLAIN]), **told) == (causes.START, detail, "times")


def test_another_stop() -> None:
    told = {"stop": at(30 * H), "elapsed_us": 30 * HOUR, "breached": True}
    assert only(desk_of([PLAIN]), **told) == (causes.STOP, "at Close", "times")


def test_another_stop_explains_an_outcome() -> None:
    plain = ["goal_us", "due", "elapsed_us", "paused_us", "start", "stop", "state"]
    found = only(desk_of([PLAIN]), drop=plain, breached=True)
    assert found == (causes.STOP, "at the first Close", "outcome")


def test_a_clock_that_runs_on_in_the_tool() -> None:
    told = {"stop": None, "state": "running", "elapsed_us": None, "breached": True}
    found = only(desk_of([PLAIN]), **told)
    assert found == (causes.STOP, "the tool's clock runs still", "times")


def test_a_limit_that_the_due_time_implies() -> None:
    found = only(desk_of([PLAIN]), drop=["goal_us"], due=at(5 * H))
    assert found == (causes.IMPLIED, "5h", "times")


def test_two_causes_at_once() -> None:
    told = {"start": at(H), "goal_us": 2 * HOUR, "due": at(3 * H), "elapsed_us": 2 * HOUR}
    found = only(desk_of([PLAIN]), **told)
    assert found == (causes.SEVERAL, "its own goal and other start", "times")


def test_an_outcome_that_no_time_explains() -> None:
    plain = ["goal_us", "due", "elapsed_us", "paused_us", "start", "stop", "state"]
    case = Case([("Register", 0), ("Resolve", H), ("Close", 2 * H)])
    found = only(desk_of([case]), drop=plain, breached=True)
    assert found == (causes.OTHER_RULE, "within the limit however counted", "outcome")
    slow = Case([("Register", 0), ("Assign", 60 * H), ("Resolve", 61 * H), ("Close", 62 * H)])
    found = only(desk_of([slow]), drop=plain, breached=False)
    assert found == (causes.OTHER_RULE, "past it however counted", "outcome")


def test_an_outcome_against_a_due_time_that_is_ours() -> None:
    plain = ["goal_us", "elapsed_us", "paused_us", "start", "stop", "state"]
    case = Case([("Register", 0), ("Resolve", H), ("Close", 2 * H)])
    found = only(desk_of([case]), drop=plain, breached=True)
    assert found == (causes.OTHER_RULE, "its due time is ours", "outcome")


def test_what_is_left_is_unexplained() -> None:
    assert only(desk_of([PLAIN]), elapsed_us=HOUR + 11 * S)[0] == causes.UNEXPLAINED


def test_every_cause_is_documented_in_order() -> None:
    said = causes.__doc__ or ""
    places = [said.index(f"\n    {cause}") for cause in causes.CAUSES]
    assert places == sorted(places)


# --- counting


def test_what_explains_most_is_named_first() -> None:
    """Ten rows in office hours; in one of them another calendar would do as well."""
    cases = [
        Case([("Register", 7 * H + 60 * k), ("Resolve", 10 * H + 60 * k), ("Close", 80 * H)])
        for k in range(10)
    ]
    desk = desk_of(cases)
    rows = [
        row
        | {
            "due": at(25 * H + 60 * k),
            "elapsed_us": 2 * HOUR - (7 + 60 * k) * S,
        }
        for k, row in enumerate(rows_of(clocks(desk)))
    ]
    found = reconciled(desk, rows)
    assert [(one.cause, one.n, one.share, one.by_times) for one in found.causes] == [
        (causes.CALENDAR, 10, 1.0, 10)
    ]
    assert len(found.causes[0].examples) == 5


def test_agreement_and_kappa_by_hand() -> None:
    """20 both met, 5 both breached, 10 only ours, 15 only theirs: 0.5, kappa -0.0526."""
    quick = Case([("Register", 0), ("Resolve", H), ("Close", 2 * H)])
    desk = desk_of([quick] * 35 + [LATE] * 15)
    rows = rows_of(clocks(desk))
    for place, row in enumerate(rows):
        row["breached"] = 20 <= place < 35 or place >= 45
    (found,) = reconciled(desk, rows).agreements
    counts = found.both_met, found.both_breached, found.only_ours_breached, found.only_tool_breached
    assert counts == (20, 5, 10, 15)
    assert found.share == 0.5
    # chance: 15/50 * 20/50 + 35/50 * 30/50 = 0.12 + 0.42 = 0.54
    assert found.kappa == pytest.approx((0.5 - 0.54) / 0.46)
    assert found.interval == pytest.approx((0.3664, 0.6336), abs=1e-4)


def test_rows_in_any_order_give_the_same() -> None:
    rng = random.Random(4)  # noqa: S311 - a seed
    desk = desk_of([random_case(rng) for _ in range(60)])
    rows = [row | {"breached": rng.random() < 0.5} for row in governing_rows(desk)]
    first = reconciled(desk, rows)
    rng.shuffle(rows)
    table = tool_of(rows).table.sort_by([("case_id", "ascending"), ("cycle", "ascending")])
    again = reconcile(desk, clocks(desk), pauses(desk), ToolRows(table))
    assert again.causes == first.causes
    assert again.confusion.equals(first.confusion)


def test_tables_of_another_log_are_refused() -> None:
    desk = desk_of([PLAIN])
    other = clocks(desk).drop_columns(["due"])
    with pytest.raises(CodedError, match="SL248 the clocks have no column due"):
        reconcile(desk, other, pauses(desk), tool_of([]))
    with pytest.raises(CodedError, match="SL248 1 of the clocks"):
        reconcile(desk, clocks(desk_of([PLAIN, LATE])), pauses(desk), tool_of([]))


PLANTED: list[tuple[Case, dict[str, Any], str]] = [
    (PLAIN, {"breached": True}, causes.CONTRADICTS),
    (
        PLAIN,
        {
            "start": at(-7200),
            "stop": at(H),
            "due": at(2 * H),
        },
        causes.ZONE,
    ),
    (PLAIN, {"goal_us": 2 * HOUR, "due": at(2 * H), "breached": True}, causes.LIMIT),
    (
        Case([("Register", 7 * H), ("Resolve", 10 * H), ("Close", 80 * H)]),
        {"due": at(25 * H), "elapsed_us": 2 * HOUR - 7 * S},
        causes.CALENDAR,
    ),
    (
        LATE,
        {"paused_us": 2 * HOUR, "elapsed_us": 3 * HOUR, "due": at(6 * H), "breached": False},
        causes.UNSEEN_PAUSE,
    ),
    (
        PAUSED,
        {"paused_us": HOUR, "elapsed_us": 4 * HOUR, "due": at(5 * H), "breached": False},
        causes.IGNORED_PAUSE,
    ),
    (REOPENED, {"stop": at(2 * H), "elapsed_us": 2 * HOUR, "breached": False}, causes.REOPENED),
    (PLAIN, {"start": at(H), "due": at(5 * H), "elapsed_us": 2 * HOUR}, causes.START),
    (PLAIN, {"stop": at(30 * H), "elapsed_us": 30 * HOUR, "breached": True}, causes.STOP),
    (PLAIN, {"elapsed_us": HOUR + 11 * S}, causes.UNEXPLAINED),
]


def test_planted_differences_of_every_kind_in_one_log_are_told_apart() -> None:
    rng = random.Random(11)  # noqa: S311 - a seed
    plants = [rng.choice([None, *range(len(PLANTED))]) for _ in range(300)]
    desk = desk_of([PLAIN if k is None else PLANTED[k][0] for k in plants])
    rows = rows_of(clocks(desk))
    wanted = {}
    for row, k in zip(rows, plants, strict=True):
        if k is not None:
            row.update(PLANTED[k][1])
            wanted[row["case_id"]] = PLANTED[k][2]
    found = reconciled(desk, rows)
    named = {row["case_id"]: row["cause"] for row in found.differences.to_pylist()}
    assert named == wanted
    assert found.same == plants.count(None)
    assert sum(one.share for one in found.causes) == pytest.approx(1)
