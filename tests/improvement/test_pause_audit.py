"""The pause audit: each check on stories of minutes; all that is planted, and nothing else."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from improvement import test_simulate as recount

from csi.service_levels.pause_audit import (
    AFTER_ANSWER,
    CHECKS,
    EASED,
    JUST_BEFORE,
    NOT_ALLOWED,
    NOTHING_PAUSED,
    ONLY_ALLOWED,
    SAME_AGAIN,
    SHORT,
    PauseAudit,
    PauseChecks,
    audit_pauses,
)
from csi.simulate import Request, Simulation, simulate, write
from process_mining import schema as s
from process_mining.clock import Calendar
from process_mining.errors import ManyCodedErrors
from process_mining.eventlog import POSITION, EventLog, LogMeta
from process_mining.sources import open_log
from rules.practice import load_practices, prepare_desk, translate
from rules.service_level import (
    Condition,
    ServiceLevels,
    Target,
    clocks,
    load_service_levels,
    on,
    pauses,
)
from rules.spec import wilson
from rules.templates import Desk
from rules.where import Where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MINUTE = s.US_PER_MINUTE
MONDAY = dt.datetime(2024, 1, 8, 8, tzinfo=dt.UTC)
UPDATE = "update"
WAIT = "Await customer"
OFFICE = Calendar("office", "UTC", (((480, 1080),),) * 5 + ((),) * 2)
Story = list[tuple[Any, ...]]  # (activity, minute, attributes of the event)


# --- desks by hand


def target(name: str = "t", **more: Any) -> Target:  # noqa: ANN401
    fields: dict[str, Any] = {
        "metric": "resolve",
        "case_type": "incident",
        "limit_us": 240 * MINUTE,
        "calendar": "24x7",
        "objective": 0.9,
        "valid_from": dt.date(2000, 1, 1),
        "pauses": on(WAIT),
    }
    return Target(name=name, **(fields | more))


def levels_of(*targets: Target, **more: Any) -> ServiceLevels:  # noqa: ANN401
    return ServiceLevels(targets or (target(),), (OFFICE,), **more)


BY_CUSTOMER = (Condition(where=Where(attribute="by", one_of=("customer",))),)


def desk_of(
    stories: Sequence[Story],
    levels: ServiceLevels,
    *,
    priority: str = "P1",
    teams: Sequence[str] = (),
    as_of: int = 10_000,
) -> Desk:
    rows = [
        {
            s.CASE_ID: f"c{i:03d}",
            s.ACTIVITY: step[0],
            s.AT: round(MONDAY.timestamp()) * s.US_PER_SECOND + step[1] * MINUTE,
            POSITION: k,
            s.TEAM: teams[i] if teams else "desk",
            **{f"attr.{name}": value for name, value in (step[2] if len(step) > 2 else {}).items()},
        }
        for i, story in enumerate(stories)
        for k, step in enumerate(story)
    ]
    names = {name: None for row in rows for name in row}
    events = pa.table({name: [row.get(name) for row in rows] for name in names})
    n = len(stories)
    cases = pa.table(
        {
            s.CASE_ID: [f"c{i:03d}" for i in range(n)],
            s.PRACTICE: ["incident"] * n,
            s.PRIORITY: [priority] * n,
        }
    )
    log = EventLog.build(events, cases=cases, meta=LogMeta("test"))
    named = log.events[s.ACTIVITY]
    log = log.with_columns(events={s.ACTIVITY: pc.if_else(pc.equal(named, UPDATE), None, named)})
    complete = np.array([story[-1][0] == "Close" for story in stories])
    now = round(MONDAY.timestamp()) * s.US_PER_SECOND + as_of * MINUTE
    return Desk(log, complete, now, levels)


def audited(
    stories: Sequence[Story],
    levels: ServiceLevels,
    checks: PauseChecks | None = None,
    **more: Any,  # noqa: ANN401
) -> PauseAudit:
    desk = desk_of(stories, levels, **more)
    return audit_pauses(desk, clocks(desk), pauses(desk), checks=checks)


def one_finding(found: PauseAudit, check: str) -> dict[str, Any]:
    rows = [row for row in found.findings.to_pylist() if row["check"] == check]
    assert len(rows) == 1
    return dict(rows[0])


def accused(found: PauseAudit, check: str) -> list[str]:
    return [row["case_id"] for row in found.findings.to_pylist() if row["check"] == check]


def waited(begin: int, end: int, resolve: int) -> Story:
    return [("Register", 0), (WAIT, begin), ("Diagnose", end), ("Resolve", resolve)]


# --- met only by pausing


def test_a_share_is_met_only_by_pausing() -> None:
    """Six clocks of 4 h are met; two of them took more than 4 h together with their pauses."""
    stories = [
        waited(60, 120, 240),  # 180 elapsed + 60: exactly the limit
        waited(60, 121, 241),  # 180 + 61
        waited(60, 260, 440),  # 240 + 200
        waited(60, 100, 200),
        [("Register", 0), ("Resolve", 10)],
        [("Register", 0), ("Resolve", 240)],
        waited(60, 260, 441),  # breached all the same
    ]
    found = audited(stories, levels_of())
    assert [row["case_id"] for row in found.met_only.to_pylist()] == ["c001", "c002"]
    only = found.met_only.to_pylist()[1]
    assert (only["elapsed_us"], only["paused_us"], only["limit_us"]) == (
        240 * MINUTE,
        200 * MINUTE,
        240 * MINUTE,
    )
    assert (only["begin_seq"], only["end_seq"]) == (1, 2)
    whole = found.shares.to_pylist()[0]
    assert (whole["by"], whole["n"], whole["only_by_pausing"]) == ("all", 6, 2)
    assert (whole["low"], whole["high"]) == pytest.approx(wilson(2, 6))


def test_attainment_had_nothing_been_paused_or_only_what_is_allowed() -> None:
    supplier = [("Register", 0), ("Await supplier", 60), ("Diagnose", 200), ("Resolve", 300)]
    one = target(pauses=on(WAIT, "Await supplier"), allowed=on(WAIT))
    stories = [waited(60, 200, 300), supplier, [("Register", 0), ("Resolve", 300)]]
    found = audited([*stories, [("Register", 0), (WAIT, 10)]], levels_of(one), as_of=500)
    met = {row["counted"]: (row["met"], row["n"]) for row in found.attainment.to_pylist()}
    # the open case would be breached by now, had its wait counted
    assert met == {"as recorded": (2, 3), NOTHING_PAUSED: (0, 4), ONLY_ALLOWED: (1, 3)}


def test_small_groups_are_left_out_and_counted() -> None:
    stories = [waited(60, 260, 440)] * 6
    found = audited(stories, levels_of(), teams=["a"] * 5 + ["b"])
    named = {(row["by"], row["name"]): row["n"] for row in found.shares.to_pylist()}
    assert named[("team", "a")] == 5
    assert ("team", "b") not in named
    assert found.suppressed == 1


# --- not allowed


def test_a_pause_that_is_not_allowed() -> None:
    held = Where(attribute="clock", one_of=("held",))
    one = target(pauses=(*on(WAIT), Condition("Await supplier", where=held)), allowed=on(WAIT))

    def supplier(clock: str, resolve: int) -> Story:
        wait = ("Await supplier", 60, {"clock": clock})
        return [("Register", 0), wait, ("Diagnose", 160), ("Resolve", resolve)]

    stories = [supplier("held", 200), supplier("held", 300), supplier("runs", 200)]
    found = audited([*stories, waited(60, 100, 200)], levels_of(one))
    assert accused(found, NOT_ALLOWED) == ["c000", "c001"]
    rows = found.findings.to_pylist()
    assert [row["decisive"] for row in rows] == [False, True]
    assert (rows[0]["begin_seq"], rows[0]["end_seq"], rows[0]["open_us"]) == (1, 2, 100 * MINUTE)
    assert "'Await supplier'" in rows[0]["reason"]
    summary = {row["check"]: row for row in found.summary.to_pylist()}
    assert (summary[NOT_ALLOWED]["findings"], summary[NOT_ALLOWED]["met_only_because"]) == (2, 1)
    assert summary[NOT_ALLOWED]["open_us"] == 200 * MINUTE


def test_where_no_target_says_what_is_allowed_nothing_is_told() -> None:
    found = audited([waited(60, 100, 200)], levels_of())
    row = next(row for row in found.summary.to_pylist() if row["check"] == NOT_ALLOWED)
    assert (row["told"], row["findings"]) == (False, 0)
    assert "no target" in row["why_not"]


# --- short pauses before the breach


def spells(*begins: int, length: int = 10) -> Story:
    """Pauses that begin when so many minutes are used up."""
    story: Story = [("Register", 0)]
    for i, used in enumerate(begins):
        story += [(WAIT, used + i * length), ("Diagnose", used + (i + 1) * length)]
    return story


@pytest.mark.parametrize(
    ("story", "found"),
    [
        (spells(181, 190, 200), True),
        (spells(180, 190, 200), False),  # exactly 75 %
        (spells(190, 200), False),  # two
        (spells(181, 190, 200, length=60), False),  # an hour each
        (spells(181, 190, 200, length=59), True),
        (spells(181, 190, 240), False),  # nothing is left at the third
        (spells(181, 190, 239), True),
        ([*spells(181, 190), ("Resolve", 211), (WAIT, 220), ("Diagnose", 225)], False),
    ],
)
def test_short_pauses_before_the_breach(story: Story, found: bool) -> None:  # noqa: FBT001
    audit = audited([story], levels_of(), as_of=story[-1][1])
    assert bool(accused(audit, SHORT)) == found
    if found:
        row = one_finding(audit, SHORT)
        assert (row["pauses"], row["begin_seq"], row["end_seq"]) == (3, 1, 6)


def test_what_is_short_late_and_often_can_be_said() -> None:
    checks = PauseChecks(short_us=5 * MINUTE, short_times=2, late_share=0.5)
    assert accused(audited([spells(121, 130, length=4)], levels_of(), checks), SHORT) == ["c000"]
    assert accused(audited([spells(121, 130, length=5)], levels_of(), checks), SHORT) == []
    with pytest.raises(ManyCodedErrors) as caught:
        PauseChecks(short_us=0, short_times=1, late_share=1.0)
    assert [error.code for error in caught.value.errors] == ["SL250"] * 3


# --- after the answer


def answered(*, at: int, until: int, resolve: int, by: str = "customer") -> Story:
    reply = (UPDATE, at, {"by": by})
    return [("Register", 0), (WAIT, 60), reply, ("Diagnose", until), ("Resolve", resolve)]


def test_a_pause_that_goes_on_after_the_answer() -> None:
    stories = [
        answered(at=70, until=100, resolve=200),
        answered(at=70, until=100, resolve=280),  # 240 elapsed: 30 more would be too many
        answered(at=70, until=100, resolve=200, by="desk"),
        [("Register", 0), (UPDATE, 50, {"by": "customer"}), *waited(60, 100, 200)[1:]],
        [("Register", 0), (WAIT, 60), ("Diagnose", 100, {"by": "customer"}), ("Resolve", 200)],
    ]
    found = audited(stories, levels_of(answered=BY_CUSTOMER))
    assert accused(found, AFTER_ANSWER) == ["c000", "c001"]
    rows = found.findings.to_pylist()
    assert [row["open_us"] for row in rows] == [30 * MINUTE] * 2
    assert [row["decisive"] for row in rows] == [False, True]
    assert (rows[0]["begin_seq"], rows[0]["end_seq"]) == (1, 3)
    assert "2024-01-08T09:10:00Z" in rows[0]["reason"]


def test_how_long_after_the_answer_is_said_by_the_targets_or_the_audit() -> None:
    story = [answered(at=70, until=100, resolve=200)]
    within = levels_of(answered=BY_CUSTOMER, answered_within_us=30 * MINUTE)
    less = PauseChecks(answered_within_us=29 * MINUTE)
    assert accused(audited(story, within), AFTER_ANSWER) == []
    assert accused(audited(story, within, less), AFTER_ANSWER) == ["c000"]


def test_an_answer_after_hours_costs_no_open_time() -> None:
    """From 17:00 to the next 08:00: the answer comes at 18:30, the work goes on at 08:00 sharp."""
    reply = (UPDATE, 630, {"by": "customer"})
    story = [("Register", 0), (WAIT, 540), reply, ("Diagnose", 1440), ("Resolve", 1450)]
    one = levels_of(target(calendar="office", limit_us=700 * MINUTE), answered=BY_CUSTOMER)
    assert accused(audited([story], one), AFTER_ANSWER) == []
    late = [*story[:3], ("Diagnose", 1441), ("Resolve", 1450)]
    assert one_finding(audited([late], one), AFTER_ANSWER)["open_us"] == MINUTE


def test_a_pause_that_still_goes_on_after_the_answer() -> None:
    story = [("Register", 0), (WAIT, 60), (UPDATE, 70, {"by": "customer"})]
    row = one_finding(audited([story], levels_of(answered=BY_CUSTOMER), as_of=100), AFTER_ANSWER)
    assert (row["open_us"], row["end_seq"], row["decisive"]) == (30 * MINUTE, None, False)


def test_an_answer_that_nobody_declared_is_not_told() -> None:
    stories = [answered(at=70, until=100, resolve=200)]
    unknown = (Condition(where=Where(attribute="author", one_of=("customer",))),)
    for levels, why in ((levels_of(), "targets file"), (levels_of(answered=unknown), "'author'")):
        row = audited(stories, levels).summary.to_pylist()[CHECKS.index(AFTER_ANSWER)]
        assert (row["told"], row["findings"]) == (False, 0)
        assert why in row["why_not"]


# --- just before due, and the same again


@pytest.mark.parametrize(("begin", "found"), [(224, False), (225, True), (239, True), (240, False)])
def test_a_pause_just_before_due(begin: int, found: bool) -> None:  # noqa: FBT001
    audit = audited([waited(begin, begin + 100, begin + 100)], levels_of())
    assert bool(accused(audit, JUST_BEFORE)) == found


def test_pauses_before_it_are_no_time_of_the_clock() -> None:
    story = [("Register", 0), (WAIT, 60), ("Diagnose", 160), (WAIT, 330), ("Resolve", 400)]
    row = one_finding(audited([story], levels_of()), JUST_BEFORE)
    assert (row["begin_seq"], row["open_us"], row["decisive"]) == (3, 70 * MINUTE, True)
    assert "10 min" in row["reason"]


def test_the_time_from_a_stop_to_its_reopen_is_nobodys_pause() -> None:
    story = [("Register", 0), ("Resolve", 230), ("Reopen", 500), ("Resolve", 505)]
    one = levels_of(target(reopen="pauses", pauses=on(WAIT), allowed=on(WAIT)))
    found = audited([story], one)
    assert found.findings.num_rows == found.met_only.num_rows == 0
    later = [*story[:3], (WAIT, 508), ("Diagnose", 520), ("Resolve", 521)]
    assert "2 min" in one_finding(audited([later], one), JUST_BEFORE)["reason"]


def test_the_same_state_again() -> None:
    twice = [("Register", 0), (WAIT, 60), (WAIT, 80), ("Diagnose", 100), ("Resolve", 200)]
    found = audited([twice, waited(60, 100, 200)], levels_of())
    row = one_finding(found, SAME_AGAIN)
    assert (row["case_id"], row["begin_seq"], row["end_seq"]) == ("c000", 1, 2)
    assert row["open_us"] == 20 * MINUTE


# --- another target


def lowered(at: int, resolve: int, *, to: str = "P4") -> Story:
    register = ("Register", 0, {"priority": "P1"})
    return [register, (UPDATE, at, {"priority": to}), ("Resolve", resolve)]


PRIORITIES = levels_of(
    target("fast", priority="P1"), target("slow", priority="P4", limit_us=900 * MINUTE)
)


@pytest.mark.parametrize(
    ("at", "found"), [(180, False), (181, True), (240, True), (241, False), (20, False)]
)
def test_eased_shortly_before_the_breach(at: int, found: bool) -> None:  # noqa: FBT001
    audit = audited([lowered(at, 600)], PRIORITIES, priority="P4")
    assert bool(accused(audit, EASED)) == found
    if found:
        row = one_finding(audit, EASED)
        assert (row["target"], row["begin_seq"], row["decisive"]) == ("fast", 1, True)
        assert row["begin"] == MONDAY + dt.timedelta(minutes=at)
    summary = audit.summary.to_pylist()[CHECKS.index(EASED)]
    assert summary["told"]


def test_a_higher_priority_eases_nothing_and_none_at_all_does() -> None:
    faster = levels_of(
        target("fast", priority="P1"), target("faster", priority="P4", limit_us=239 * MINUTE)
    )
    assert accused(audited([lowered(200, 210)], faster, priority="P4"), EASED) == []
    found = audited([lowered(200, 210, to="P5")], PRIORITIES, priority="P5")
    assert "nothing is promised" in one_finding(found, EASED)["reason"]


def test_a_log_without_priorities_does_not_tell() -> None:
    row = audited([waited(60, 100, 200)], levels_of()).summary.to_pylist()[CHECKS.index(EASED)]
    assert (row["told"], row["why_not"]) == (
        False,
        "this log does not tell when a priority changed",
    )


def test_where_a_clock_was_somebody_elses_the_place_of_a_pause_is_not_known() -> None:
    """The team's clock is idle for 20 minutes before its pause, and runs on."""
    one = levels_of(target(agreement="OLA", team="desk", limit_us=60 * MINUTE))
    desk = desk_of([[("Register", 0), ("Diagnose", 10), ("Diagnose", 30), (WAIT, 80)]], one)
    team = pa.array(["desk", "other", "desk", "desk"])
    log = desk.log.with_columns(events={s.TEAM: team})
    desk = replace(desk, log=log)
    found = audit_pauses(desk, clocks(desk), pauses(desk))
    assert (found.unplaced, accused(found, JUST_BEFORE)) == (1, [])


def test_a_desk_without_pauses_has_nothing_to_find() -> None:
    found = audited([[("Register", 0), ("Resolve", 10)]], levels_of())
    assert found.findings.num_rows == found.met_only.num_rows == found.unplaced == 0
    assert found.to_pandas().empty
    assert [row["check"] for row in found.summary.to_pylist()] == [*CHECKS]


# --- what is planted


@dataclass(frozen=True)
class Planted:
    simulation: Simulation
    audit: PauseAudit


@cache
def planted_by(seed: int, share: float) -> Simulation:
    return simulate(Request(seed=seed, tickets=600, deviation_share=share))


def audit_of(simulation: Simulation, folder: Path) -> PauseAudit:
    """Write the desk, read it again, and audit its incidents."""
    write(simulation, folder)
    log = open_log((folder / "events.ndjson", folder / "tickets.csv"))
    incident = load_practices()["incident"]
    log = log.select(log.cases[s.PRACTICE].to_numpy() == incident.name)
    translation = translate(log, incident, "own")
    as_of_us = round(simulation.as_of.timestamp()) * s.US_PER_SECOND
    levels = load_service_levels(folder / "targets.toml")
    translation = replace(translation, practice=replace(incident, model_path=None))
    desk = prepare_desk(translation, service_levels=levels, as_of_us=as_of_us).desk
    return audit_pauses(desk, clocks(desk), pauses(desk))


@pytest.fixture(scope="module", params=[(1, 0.06), (2, 0.06), (3, 0.06), (4, 0.4)])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    simulation = planted_by(*request.param)
    return Planted(simulation, audit_of(simulation, tmp_path_factory.mktemp("desk")))


def told(simulation: Simulation) -> set[tuple[str, str]]:
    prefix = "clock:"
    return {
        (row["case_id"], row["rule"].removeprefix(prefix))
        for row in simulation.truth.to_pylist()
        if row["rule"].startswith(prefix)
    }


def test_all_that_is_planted_is_found_and_nobody_else_is_accused(planted: Planted) -> None:
    truth = {pair for pair in told(planted.simulation) if pair[1] != "met-only-by-pausing"}
    found = {(row["case_id"], row["check"]) for row in planted.audit.findings.to_pylist()}
    assert sorted(found - truth) == []
    assert sorted(truth - found) == []
    assert {check for _, check in truth} == {NOT_ALLOWED, SHORT, AFTER_ANSWER, JUST_BEFORE, EASED}
    assert all(row["told"] for row in planted.audit.summary.to_pylist())
    assert planted.audit.unplaced == 0


def test_findings_show_the_planted_events(planted: Planted) -> None:
    seqs = {
        (row["case_id"], row["rule"].removeprefix("clock:")): row["seqs"]
        for row in planted.simulation.truth.to_pylist()
    }
    for row in planted.audit.findings.to_pylist():
        assert row["begin_seq"] in seqs[(row["case_id"], row["check"])]


def test_what_is_met_only_by_pausing_is_what_a_plain_recount_finds(planted: Planted) -> None:
    found = {row["case_id"] for row in planted.audit.met_only.to_pylist()}
    assert found == set(only_by_pausing(planted.simulation))
    named = {case for case, check in told(planted.simulation) if check == "met-only-by-pausing"}
    assert named
    assert named < found  # many honest waits do the same


def only_by_pausing(simulation: Simulation) -> list[str]:
    """Resolved within the promise, though more than its time went by from start to stop."""
    at_last = {row["case_id"]: row["priority"] for row in simulation.tickets.to_pylist()}
    found = []
    for case, rows in recount.cases(simulation).items():
        own = [e for e in recount.steps(rows) if e["activity"] not in recount.FEEDBACK]
        turns = [e for e in own if e["activity"] in ("Resolve", "Reopen")]
        known = rows[0]["practice"] == "incident" and at_last[case] in recount.PROMISES
        if not known or not turns or turns[-1]["activity"] != "Resolve":
            continue
        office = at_last[case] in ("P3", "P4")
        limit, stop = recount.PROMISES[at_last[case]][1] * recount.HOUR, turns[-1]["at"]
        span = recount.office if office else recount.wall
        if recount.active(own, stop, office_hours=office) <= limit < span(rows[0]["at"], stop):
            found.append(case)
    return found


def test_shares_and_decisive_findings_of_a_planted_desk_add_up(planted: Planted) -> None:
    """Every pause that was not allowed, and every one just before due, was needed to be met."""
    summary = {row["check"]: row for row in planted.audit.summary.to_pylist()}
    for check in (NOT_ALLOWED, JUST_BEFORE, EASED):
        assert summary[check]["met_only_because"] == summary[check]["clocks"] > 0
    shares = planted.audit.shares.to_pylist()
    whole = shares[0]
    assert whole["only_by_pausing"] == planted.audit.met_only.num_rows
    by_metric = [row for row in shares if row["by"] == "metric"]
    assert sum(row["n"] for row in by_metric) == whole["n"]
    rates: Mapping[str, list[int]] = {
        counted: [
            row["met"] for row in planted.audit.attainment.to_pylist() if row["counted"] == counted
        ]
        for counted in ("as recorded", ONLY_ALLOWED, NOTHING_PAUSED)
    }
    assert sum(rates["as recorded"]) - sum(rates[NOTHING_PAUSED]) == whole["only_by_pausing"]
    for more, fewer in pairwise(rates.values()):
        assert all(a >= b for a, b in zip(more, fewer, strict=True))


def test_a_clean_desk_has_no_finding(tmp_path: Path) -> None:
    clean = simulate(Request(tickets=1500, deviation_share=0, late_share=0, late_response_share=0))
    found = audit_of(clean, tmp_path)
    assert found.findings.num_rows == 0
    assert found.met_only.num_rows > 10
    assert {row["case_id"] for row in found.met_only.to_pylist()} == set(only_by_pausing(clean))


def test_the_same_tables_in_another_order_give_the_same_audit() -> None:
    simulation = planted_by(1, 0.06)
    log = EventLog.build(
        simulation.events.drop_columns([s.PRACTICE]).set_column(
            2, s.AT, simulation.events[s.AT].cast(pa.int64())
        ),
        cases=simulation.tickets.select([s.CASE_ID, s.PRACTICE, s.PRIORITY]),
        meta=LogMeta("test"),
    )
    desk = Desk(log, np.ones(log.n_cases, bool), 0, levels_of())
    clock_rows, pause_rows = clocks(desk, practice="incident"), pauses(desk, practice="incident")
    order = np.random.default_rng(1).permutation(pause_rows.num_rows)
    straight = audit_pauses(desk, clock_rows, pause_rows)
    mixed = audit_pauses(desk, clock_rows, pause_rows.take(order))
    assert straight.findings.equals(mixed.findings)
    assert straight.shares.equals(mixed.shares)
