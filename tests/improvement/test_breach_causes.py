"""Where the time of broken promises went: stories of minutes, and a replay minute by minute."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from improvement.reconciled_logs import UCI, uci_desk
from properties.service_level_desks import OUTSIDE, desk_of, hours_of, minutes, random_trial

from csi.service_levels.causes import PARTS, WORDS, Causes, breach_causes, time_in_events
from csi.simulate import Request, simulate, write
from process_mining import schema as s
from process_mining.clock import Calendar
from process_mining.errors import RunError
from process_mining.eventlog import POSITION, EventLog, LogMeta
from process_mining.sources import open_log
from rules.practice import load_practices, prepare_desk, translate
from rules.service_level import ServiceLevels, Target, clocks, load_service_levels, on, pauses
from rules.spec import wilson
from rules.templates import Desk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MINUTE, HOUR = s.US_PER_MINUTE, s.US_PER_HOUR
MONDAY = 19_730 * s.US_PER_DAY  # 2024-01-08 00:00 UTC
OFFICE = Calendar("office", "UTC", (((480, 1080),),) * 5 + ((),) * 2)
INCIDENT = load_practices()["incident"]
Story = list[tuple[str | None, int, str | None]]  # activity (None: an update), minute, team


def target(name: str = "resolve", **changes: Any) -> Target:  # noqa: ANN401 - any field
    said: dict[str, Any] = {
        "name": name,
        "metric": "resolve",
        "case_type": "incident",
        "limit_us": HOUR,
        "calendar": "24x7",
        "objective": 0.9,
        "valid_from": dt.date(2000, 1, 1),
        "pauses": on("Await customer"),
    }
    return Target(**(said | changes))


def desk(stories: Mapping[str, Story], *targets: Target, as_of: int = 10_000) -> Desk:
    told = [(name, i, *event) for name, story in stories.items() for i, event in enumerate(story)]
    events = pa.table(
        {
            s.CASE_ID: [row[0] for row in told],
            s.ACTIVITY: [row[2] or "update" for row in told],
            s.AT: pa.array([MONDAY + row[3] * MINUTE for row in told], pa.int64()),
            s.TEAM: pa.array([row[4] for row in told], pa.string()),
            POSITION: pa.array([row[1] for row in told], pa.int64()),
        }
    )
    names = sorted(stories)
    cases = pa.table({s.CASE_ID: names, s.PRACTICE: ["incident"] * len(names)})
    log = EventLog.build(events, cases=cases, meta=LogMeta("stories"))
    words = [None if word == "update" else word for word in log.events[s.ACTIVITY].to_pylist()]
    complete = np.array([stories[name][-1][0] in INCIDENT.ends for name in names])
    return Desk(
        log=log.with_columns(events={s.ACTIVITY: pa.array(words, pa.string())}),
        complete=complete,
        as_of_us=MONDAY + as_of * MINUTE,
        service_levels=ServiceLevels(targets or (target(),), (OFFICE,)),
        outside=frozenset(INCIDENT.outside_model),
    )


def causes(one: Desk) -> Causes:
    return breach_causes(one, clocks(one), INCIDENT)


def spent(story: Story, *targets: Target, as_of: int = 10_000) -> dict[str, int]:
    """The parts of the only broken promise of a story, in minutes; the cause comes first."""
    (row,) = causes(desk({"c": story}, *targets, as_of=as_of)).breaches.to_pylist()
    parts = {part: row[f"{part}_us"] // MINUTE for part in PARTS if row[f"{part}_us"]}
    assert sum(row[f"{part}_us"] for part in PARTS) == row["elapsed_us"]
    assert row["over_us"] == row["elapsed_us"] - row["limit_us"] > 0
    return {row["cause"]: parts.pop(row["cause"])} | parts


# --- stories


STORIES: list[tuple[str, Story, list[tuple[str, int]]]] = [
    (
        "nobody begins",
        [
            *(("Register", 0, "desk"), ("Classify", 10, "desk"), ("Assign", 20, "net")),
            *(("Diagnose", 90, "net"), ("Resolve", 100, "net")),
        ],
        [("queue", 90), ("work", 10)],
    ),
    (
        "waits that the clock does not stop for",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Await supplier", 15, "desk")),
            *(("Diagnose", 95, "desk"), ("Resolve", 100, "desk")),
        ],
        [("others", 80), ("queue", 5), ("work", 15)],
    ),
    (
        "a pause is no part",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Await customer", 15, "desk")),
            *(("Diagnose", 500, "desk"), ("Resolve", 570, "desk")),
        ],
        [("work", 80), ("queue", 5)],
    ),
    (
        "escalated, given to a team, put into its queue, and begun at last",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Escalate", 20, "desk")),
            *(("Assign", 40, "net"), ("Diagnose", 80, "net"), ("Resolve", 90, "net")),
        ],
        [("hand_over", 60), ("queue", 5), ("work", 25)],
    ),
    (
        "the team changes within a state of work, and an update shows that it was taken up",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), (None, 20, "net")),
            *((None, 70, "net"), ("Resolve", 90, "net")),
        ],
        [("hand_over", 50), ("queue", 5), ("work", 35)],
    ),
    (
        "an update that names no team does not show it",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), (None, 20, "net")),
            *((None, 70, None), ("Resolve", 90, "net")),
        ],
        [("hand_over", 70), ("queue", 5), ("work", 15)],
    ),
    (
        "the first dispatch is a queue, the second a hand-over",
        [
            *(("Register", 0, "desk"), ("Assign", 10, "net"), ("Assign", 30, "field")),
            *(("Diagnose", 80, "field"), ("Resolve", 90, "field")),
        ],
        [("hand_over", 50), ("queue", 30), ("work", 10)],
    ),
    (
        "the new team asks a supplier first: that is a wait, and it has taken the case up",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Escalate", 10, "net")),
            *(("Await supplier", 20, "net"), ("Assign", 60, "net"), ("Resolve", 90, "net")),
        ],
        [("others", 40), ("queue", 35), ("work", 5), ("hand_over", 10)],
    ),
    (
        "a team that changes during a wait has the case handed over after it",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Await supplier", 10, "desk")),
            *((None, 20, "net"), ("Assign", 40, "net"), ("Diagnose", 75, "net")),
            ("Resolve", 90, "net"),
        ],
        [("hand_over", 35), ("others", 30), ("queue", 5), ("work", 20)],
    ),
    (
        "taken as done, and reopened",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Resolve", 10, "desk")),
            *(("Reopen", 70, "desk"), ("Diagnose", 75, "desk"), ("Resolve", 80, "desk")),
        ],
        [("done", 60), ("queue", 10), ("work", 10)],
    ),
    (
        "a word that nobody knows",
        [
            *(("Register", 0, "desk"), ("Wibble", 5, "desk"), ("Diagnose", 65, "desk")),
            ("Resolve", 70, "desk"),
        ],
        [("unknown", 60), ("queue", 5), ("work", 5)],
    ),
    (
        "steps outside the model change nothing",
        [
            *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Contact customer", 20, None)),
            ("Resolve", 90, "desk"),
        ],
        [("work", 85), ("queue", 5)],
    ),
    (
        "of equal parts the first of PARTS is the cause",
        [("Register", 0, None), ("Diagnose", 40, None), ("Resolve", 80, None)],
        [("queue", 40), ("work", 40)],
    ),
]


@pytest.mark.parametrize(
    ("story", "parts"), [one[1:] for one in STORIES], ids=[x[0] for x in STORIES]
)
def test_a_story(story: Story, parts: list[tuple[str, int]]) -> None:
    found = spent(story)
    assert found == dict(parts)
    assert next(iter(found)) == parts[0][0]


def test_an_open_clock_counts_until_now_and_one_that_ends_unsolved_until_its_end() -> None:
    begun: Story = [("Register", 0, "desk"), ("Diagnose", 10, "desk")]
    assert spent(begun, as_of=100) == {"work": 90, "queue": 10}
    assert spent([*begun, ("Cancel", 80, "desk")]) == {"work": 70, "queue": 10}
    waits: Story = [*begun, ("Diagnose", 75, "desk"), ("Await customer", 85, "desk")]
    assert spent(waits, as_of=9_000) == {"work": 75, "queue": 10}


def test_open_hours_alone_count() -> None:
    late = 18 * 60
    story: Story = [("Register", late - 30, "a"), ("Diagnose", late + 60, "a")]
    story.append(("Resolve", late + 15 * 60, "a"))  # the next morning at nine
    assert spent(story, target(calendar="office")) == {"work": 60, "queue": 30}


def test_an_ola_counts_the_time_of_its_team_alone() -> None:
    ola = target("net", agreement="OLA", team="*", metric="resolve")
    story: Story = [
        *(("Register", 0, "desk"), ("Diagnose", 5, "desk"), ("Assign", 50, "net")),
        *(("Diagnose", 80, "net"), ("Assign", 90, "desk"), ("Assign", 200, "net")),
        *(("Diagnose", 220, "net"), ("Resolve", 230, "net")),
    ]
    found = causes(desk({"c": story}, ola)).breaches.to_pylist()
    by_team = {row["party"]: row for row in found}
    assert {part: by_team["net"][f"{part}_us"] // MINUTE for part in ("hand_over", "work")} == {
        "hand_over": 50,
        "work": 20,
    }
    assert by_team["net"]["cause"] == "hand_over"
    assert by_team["desk"]["hand_over_us"] // MINUTE == 110
    assert by_team["desk"]["work_us"] // MINUTE == 45


def test_two_promises_of_one_case_are_two_rows() -> None:
    story: Story = [("Register", 0, "a"), ("Diagnose", 70, "a"), ("Resolve", 200, "a")]
    both = target(), target("respond", metric="respond")
    found = causes(desk({"c": story, "d": story[:2]}, *both)).breaches.to_pylist()
    told = [(row["case_id"], row["target"], row["cause"]) for row in found]
    assert told == [  # the worst first: a week, two hours, ten minutes
        *(("d", "resolve", "work"), ("c", "resolve", "work")),
        *(("c", "respond", "queue"), ("d", "respond", "queue")),
    ]


def test_the_worst_is_the_latest_for_its_limit_and_desks_are_ranked_together() -> None:
    begun: Story = [("Register", 0, "a"), ("Diagnose", 1, "a")]
    strict, lax = target("strict", limit_us=10 * MINUTE), target("lax", limit_us=10 * HOUR)
    one = causes(desk({"c": [*begun, ("Resolve", 30, "a")]}, strict))  # 20 minutes over 10
    other = causes(desk({"b": [*begun, ("Resolve", 700, "a")]}, lax))  # 100 minutes over 600
    found = Causes(pa.concat_tables([other.breaches, one.breaches])).breaches
    assert found["case_id"].to_pylist() == ["c", "b"]
    assert found["over_us"].to_pylist() == [20 * MINUTE, 100 * MINUTE]


def test_what_ended_without_a_stop_is_not_open() -> None:
    begun: Story = [("Register", 0, "a"), ("Diagnose", 10, "a")]
    stories: dict[str, Story] = {
        "cancelled": [*begun, ("Cancel", 90, "a")],
        "open": begun,
        "paused": [*begun, ("Diagnose", 80, "a"), ("Await customer", 90, "a")],
        "solved": [*begun, ("Resolve", 90, "a")],
    }
    found = causes(desk(stories)).breaches.to_pylist()
    told = {row["case_id"]: (row["still_open"], row["stop"] is not None) for row in found}
    assert told == {
        "cancelled": (False, False),
        "open": (True, False),
        "paused": (True, False),
        "solved": (False, True),
    }


def test_summed_up_by_target() -> None:
    slow: Story = [("Register", 0, "a"), ("Diagnose", 10, "a"), ("Resolve", 100, "a")]
    queued: Story = [("Register", 0, "a"), ("Diagnose", 90, "a"), ("Resolve", 100, "a")]
    kept: Story = [("Register", 0, "a"), ("Resolve", 10, "a")]
    found = causes(desk({"a": slow, "b": slow, "c": queued, "d": kept}))
    assert found.to_pandas()["case_id"].tolist() == ["a", "b", "c"]
    queue, work = found.by_target.to_pylist()
    assert (queue["cause"], queue["n"], queue["us"]) == ("queue", 1, 110 * MINUTE)
    assert (work["cause"], work["n"], work["us"]) == ("work", 2, 190 * MINUTE)
    assert queue["breaches"] == work["breaches"] == 3
    assert (work["share"], work["low"], work["high"]) == (2 / 3, *wilson(2, 3))
    assert work["share_of_time"] == pytest.approx(190 / 300)
    assert causes(desk({"d": kept})).by_target.num_rows == 0
    assert set(WORDS) == set(PARTS)


def test_clocks_of_another_desk_are_refused() -> None:
    story: Story = [("Register", 0, "a"), ("Diagnose", 10, "a"), ("Resolve", 100, "a")]
    one, other = desk({"c": story}), desk({"x": story})
    with pytest.raises(RunError, match="SL266"):
        breach_causes(other, clocks(one), INCIDENT)
    shorter = desk({"c": [*story[:2], ("Resolve", 80, "a")]}, as_of=90)
    with pytest.raises(RunError, match="SL266"):
        breach_causes(shorter, clocks(one), INCIDENT)


# --- properties


def test_parts_are_those_of_a_replay_minute_by_minute(tmp_path: Path) -> None:
    """Random desks of all agreements and calendars over changes of the clocks."""
    random = Random(7)  # noqa: S311 - a seeded test
    breached, replayed_rows = 0, Counter[str]()
    parts_seen = dict.fromkeys(PARTS, 0)
    for _ in range(14):
        trial = random_trial(random, 25)
        one = desk_of(trial, tmp_path)
        found = breach_causes(one, clocks(one), INCIDENT).breaches.to_pylist()
        held = pauses_by_clock(one)
        events = events_by_case(one)
        hours = hours_of(trial.base)
        for row in found:
            breached += 1
            assert sum(row[f"{part}_us"] for part in PARTS) == row["elapsed_us"]
            promise, story = one.service_levels.target(row["target"]), events[row["case_id"]]
            by_note = any(condition.where for condition in promise.runs_in)
            if ambiguous(row, found) or by_note:
                continue
            mine = [
                *held.get(tuple(row[name] for name in KEY), []),
                *elsewhere(promise, row, story),
            ]
            expected = replay(row, story, mine, hours[promise.calendar])
            assert {part: row[f"{part}_us"] // MINUTE for part in PARTS} == expected, row
            replayed_rows[row["agreement"]] += 1
            for part, spent_us in expected.items():
                parts_seen[part] += spent_us > 0
    assert breached > 150
    assert replayed_rows["SLA"] > 80
    assert replayed_rows["OLA"] > 30
    assert replayed_rows["UC"] > 5
    assert all(parts_seen[part] for part in PARTS), parts_seen


KEY = ("case_id", "agreement", "party", "metric", "cycle", "target")


def ambiguous(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
    """A target that reigned twice in one cycle has the pauses of both under one key."""
    return sum(all(row[name] == other[name] for name in KEY) for other in rows) > 1


def elsewhere(
    promise: Target, row: Mapping[str, Any], events: Sequence[tuple[int, str | None, str | None]]
) -> list[tuple[int, int]]:
    """When another team has the case, or no supplier is waited for: told event by event."""
    if promise.agreement == "SLA":
        return []
    waited_for = {condition.activity for condition in promise.runs_in}
    spans, since, holder, step = [], 0, None, None
    for at, word, team in [*events, (10**9, None, None)]:
        mine = holder == row["party"] if promise.agreement == "OLA" else step in waited_for
        spans += [] if mine else [(since, at)]
        holder = team or holder
        step = step if word is None or word in OUTSIDE else word
        since = at
    return spans


def pauses_by_clock(one: Desk) -> dict[tuple[Any, ...], list[tuple[int, int]]]:
    found: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for row in pauses(one).to_pylist():
        begin, end = minutes(row["begin"]), minutes(row["end"])
        spans = found.setdefault(tuple(row[name] for name in KEY), [])
        spans.append((begin or 0, 10**9 if end is None else end))
    return found


def events_by_case(one: Desk) -> dict[str, list[tuple[int, str | None, str | None]]]:
    found: dict[str, list[tuple[int, str | None, str | None]]] = {}
    names = (s.CASE_ID, s.AT, s.ACTIVITY, s.TEAM)
    for case, at, word, team in zip(*(one.log.events[n].to_pylist() for n in names), strict=True):
        found.setdefault(case, []).append((minute_of(at), word, team))
    return found


def minute_of(at: dt.datetime | int) -> int:
    return minutes(at) or 0


def replay(
    row: Mapping[str, Any],
    events: Sequence[tuple[int, str | None, str | None]],
    held: Sequence[tuple[int, int]],
    hours: Any,  # noqa: ANN401 - the oracle's table of minutes
) -> dict[str, int]:
    """Walk from the start, minute by minute, until the elapsed time is used up."""
    spans = states(events)
    found = dict.fromkeys(PARTS, 0)
    minute, left = minutes(row["start"]) or 0, row["elapsed_us"] // MINUTE
    while left:
        is_open = hours.count(minute, minute + 1)
        if is_open and not any(begin <= minute < end for begin, end in held):
            state = [state for since, state in spans if since <= minute][-1]
            found[state] += 1
            left -= 1
        minute += 1
    return found


def states(events: Sequence[tuple[int, str | None, str | None]]) -> list[tuple[int, str]]:
    """From when on a case is in which state, told event by event."""
    state, holder, waiting, begun, changes = "queue", None, False, False, 0
    found = []
    for at, word, team in events:
        change = team is not None and holder is not None and team != holder
        changes += change
        holder = team or holder
        step = word is not None and word not in OUTSIDE
        if step:
            state = INCIDENT.time_in.get(str(word), "unknown")
        if change and (begun or changes > 1):
            waiting = True
        if step and state == "hand_over":
            waiting = True
        shown = not step and team is not None and not change and state == "work"
        if (step and state in ("customer", "others", "work", "done")) or shown:
            waiting, begun = False, True
        handed = waiting and state in ("hand_over", "queue", "work")
        found.append((at, "hand_over" if handed else state))
    return found


def test_state_of_each_event_is_that_of_the_replay(tmp_path: Path) -> None:
    random = Random(11)  # noqa: S311 - a seeded test
    for _ in range(20):
        one = desk_of(random_trial(random, 25), tmp_path)
        found = [PARTS[code] for code in time_in_events(one, INCIDENT.time_in)]
        expected = [state for events in events_by_case(one).values() for _, state in states(events)]
        assert found == expected


def test_the_simulated_desk_adds_up(tmp_path: Path) -> None:
    write(simulate(Request(seed=3, tickets=600)), tmp_path)
    log = open_log((tmp_path / "events.ndjson", tmp_path / "tickets.csv"))
    log = log.select(log.cases[s.PRACTICE].to_numpy() == INCIDENT.name)
    translation = translate(log, replace(INCIDENT, model_path=None), "own")
    levels = load_service_levels(tmp_path / "targets.toml")
    as_of_us = int(log.arrays.at.max())
    one = prepare_desk(translation, service_levels=levels, as_of_us=as_of_us).desk
    found = breach_causes(one, clocks(one), INCIDENT).breaches
    assert found.num_rows > 10
    totals = {part: pc.sum(found[f"{part}_us"]).as_py() for part in PARTS}
    assert totals["unknown"] == 0
    assert totals["hand_over"] > 0
    assert sum(totals.values()) == pc.sum(found["elapsed_us"]).as_py()


def test_a_real_desk_adds_up() -> None:
    if not UCI.is_file():
        pytest.skip(f"not here: {UCI.name}")
    one = uci_desk()
    found = causes(one)
    table, n = found.breaches, Counter(found.breaches["cause"].to_pylist())
    assert table.num_rows > 1000
    parts = np.array([table[f"{part}_us"].to_numpy() for part in PARTS])
    assert (parts >= 0).all()
    assert (parts.sum(axis=0) == table["elapsed_us"].to_numpy()).all()
    assert (parts.max(axis=0) == [row[f"{row['cause']}_us"] for row in table.to_pylist()]).all()
    assert not parts[PARTS.index("unknown")].any()
    assert {"work", "queue", "hand_over", "others"} <= set(n)
    # its targets pause where the caller is waited for
    assert not parts[PARTS.index("customer")].any()
