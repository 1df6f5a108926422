"""Do the clocks of service levels say what replaying each ticket minute by minute says?

Random tickets (updates and steps outside the model, equal times, hand-overs, priorities that change
back and forth, pauses at either end, reopenings, open, ended and cancelled) under random targets
files (SLAs, OLAs, underpinning contracts; all metrics, versions, reopen policies; calendars of four
zones with holidays, closures and openings, over two changes of the clocks). Every row of `clocks`
and every pause must equal what the oracle (`oracles/minute_service_level.py`) says.

All of it, 10,000 tickets: `make trial`. Without the mark a slice runs with the other tests.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from oracles.minute_service_level import Event, Pause, Row, Ticket
from oracles.minute_service_level import clocks as replayed
from oracles.wall_hours import Walked
from properties.service_level_desks import (
    BASES,
    DAY,
    FIELDS,
    OUTSIDE,
    WALLS,
    Trial,
    desk_of,
    file_of,
    hours_of,
    pauses_of,
    random_trial,
    said_of,
)

from rules.service_level import clocks, pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

TOOK, SLICE, ALL, A_DESK = 12, 400, 10_000, 25


# --- the trial


def trial(seed: int, n: int, folder: Path) -> Counter[str]:
    """Judge n tickets, some at a desk, by both; count what was said of rows."""
    random, given = Random(seed), Counter[str]()  # noqa: S311 - a seeded test
    for _ in range(n // A_DESK):
        given += compare(random_trial(random, A_DESK), folder)
    return given


def compare(one: Trial, folder: Path) -> Counter[str]:
    desk, office = desk_of(one, folder), one.office()
    said, spent = said_of(desk), pauses_of(desk)
    given: Counter[str] = Counter(tickets=len(one.tickets))
    for ticket in one.tickets:
        rows = replayed(ticket, office)
        expected = [_shown(row) for row in rows]
        found = [_shown(row) for row in said[ticket.case_id]]
        assert found == expected, told(one, ticket, expected, found)
        held = expected_pauses(rows)
        mine = {key: x for key, x in spent.items() if key[0] == ticket.case_id}
        known = {key for key in held if key in mine} if _doubtful(rows) else {*held, *mine}
        for key in known:
            assert mine.get(key) == held.get(key), told(one, ticket, held.get(key), mine.get(key))
        given.update(row.status for row in rows)
        given.update(f"{row.agreement} {row.metric}" for row in rows)
        given["pauses"] += sum(len(row.pauses) for row in rows)
    return given


def _doubtful(rows: Sequence[Row]) -> bool:
    return any(row.status == "unknown" for row in rows)


def _shown(row: Row) -> dict[str, Any]:
    """What is compared: of a clock that is not known only which one it is."""
    fields = FIELDS[:6] if row.status in ("unknown", "no target") else FIELDS
    return {name: getattr(row, name) for name in fields}


def told(one: Trial, ticket: Ticket, expected: object, found: object) -> str:
    events = "\n  ".join(map(str, ticket.events))
    return (
        f"{ticket.case_id} {ticket.kind} complete={ticket.complete} {ticket.priority}"
        f" {ticket.service} {ticket.customer} as_of={one.as_of}\n  {events}\n"
        f"{file_of(one.targets)}\nexpected {expected}\nfound    {found}"
    )


def test_clocks_equal_the_replay_of_a_slice(tmp_path: Path) -> None:
    given = trial(1, SLICE, tmp_path)
    statuses = {"met", "breached", "running", "lapsed", "superseded", "no target", "unknown"}
    assert {name for name in statuses if given[name] < TOOK} == set()
    kinds = [f"SLA {x}" for x in ("acknowledge", "respond", "resolve", "fulfil", "update")]
    kinds += ["OLA respond", "OLA resolve", "UC resolve", "UC fulfil"]
    assert {name for name in kinds if given[name] < TOOK} == set()
    assert given["tickets"] == SLICE


@pytest.mark.trial
def test_clocks_equal_the_replay(tmp_path: Path) -> None:
    given = trial(2, ALL, tmp_path)
    print(f"\n{dict(sorted(given.items()))}")  # noqa: T201 - what the trial is for
    assert given["tickets"] == ALL


@pytest.mark.parametrize("base", BASES)
def test_counting_is_walking(base: int) -> None:
    """The oracle's short cut: over the changes of the clocks, and in whole replays."""
    for name, wall in WALLS.items():
        walked, counted = Walked(wall), hours_of(base)[name]
        for begin in range(base - DAY, base + 12 * DAY, 5 * DAY + 17):
            for length in (0, 1, 59, 300, 2000):
                told_by = [x.count(begin, begin + length) for x in (walked, counted)]
                assert told_by[0] == told_by[1], (name, begin, length)


def test_replays_by_walking_are_the_same() -> None:
    one = random_trial(Random(3), 4)  # noqa: S311 - a seeded test
    walking = replace(one.office(), hours={name: Walked(wall) for name, wall in WALLS.items()})
    for ticket in one.tickets:
        assert replayed(ticket, walking) == replayed(ticket, one.office())


def expected_pauses(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Pause]]:
    found: dict[tuple[Any, ...], list[Pause]] = {}
    for row in rows:
        key = row.case_id, row.agreement, row.party, row.metric, row.cycle, row.target
        if row.pauses:
            found.setdefault(key, []).extend(row.pauses)
    return {key: sorted(held, key=str) for key, held in found.items()}


# --- what must hold between two runs


METAMORPHIC = range(4)


def plainer(seed: int, **shared: object) -> Trial:
    """A trial without versions, all of whose targets share some parameters."""
    one = random_trial(Random(seed), 40)  # noqa: S311 - a seeded test
    always = dt.date(2000, 1, 1)
    targets = [
        {name: x for name, x in {**target, **shared}.items() if name != "valid_until"}
        for target in one.targets
        if target["valid_from"] == always
    ]
    return replace(one, targets=targets)


def with_events(one: Trial, change: Callable[[Ticket], Iterable[Event]]) -> Trial:
    return replace(one, tickets=[replace(x, events=tuple(change(x))) for x in one.tickets])


def listed(one: Trial, folder: Path) -> list[Row]:
    return [row for rows in said_of(desk_of(one, folder)).values() for row in rows]


def without_places(rows: Sequence[Row]) -> list[Row]:
    return [replace(row, start_event=None, stop_event=None) for row in rows]


@pytest.mark.parametrize("seed", METAMORPHIC)
def test_whole_weeks_later_nothing_else_has_changed(seed: int, tmp_path: Path) -> None:
    one, later = plainer(seed, calendar="24x7"), 7 * DAY * (seed + 1)
    moved = with_events(one, lambda x: [e._replace(at=e.at + later) for e in x.events])
    found = listed(replace(moved, as_of=one.as_of + later), tmp_path)
    times = ("start", "stop", "due", "breached_at")
    back = [
        replace(row, **{n: getattr(row, n) - later for n in times if getattr(row, n) is not None})
        for row in found
    ]
    assert back == listed(one, tmp_path)


@pytest.mark.parametrize("seed", METAMORPHIC)
def test_two_adjacent_pauses_are_one(seed: int, tmp_path: Path) -> None:
    def split(ticket: Ticket) -> Iterator[Event]:
        following = [*ticket.events[1:], None]
        for event, after in zip(ticket.events, following, strict=True):
            yield event
            waits = event.activity in ("Await customer", "Await supplier")
            if waits and after and event.note in (None, "asked"):
                middle = (event.at + after.at) // 2
                yield event._replace(at=middle, team=None, priority=None)

    one = plainer(seed)
    two = with_events(one, split)
    assert sum(len(x.events) for x in two.tickets) > sum(len(x.events) for x in one.tickets)
    assert without_places(listed(two, tmp_path)) == without_places(listed(one, tmp_path))


@pytest.mark.parametrize("seed", METAMORPHIC)
def test_one_more_pause_makes_no_clock_longer(seed: int, tmp_path: Path) -> None:
    def paused(ticket: Ticket) -> Iterator[Event]:
        begun = False
        for event, after in zip(ticket.events, [*ticket.events[1:], None], strict=True):
            yield event
            begun |= event.activity is not None and event.activity not in OUTSIDE
            ended = event.activity in ("Close", "Cancel", "Reject")
            if begun and after and not ended and after.activity and event.at % 2:
                yield Event((event.at + after.at) // 2, "Await customer")

    one = plainer(seed, pauses=["Await customer", "Await supplier"])
    one = replace(one, targets=[x for x in one.targets if x["agreement"] != "UC"])
    for target in one.targets:
        target.pop("allowed", None)
    rows, fewer = listed(one, tmp_path), listed(with_events(one, paused), tmp_path)
    elapsed = [(x.elapsed, y.elapsed) for x, y in zip(rows, fewer, strict=True)]
    assert all(y <= x for x, y in elapsed if x is not None and y is not None)
    assert any(y < x for x, y in elapsed if x is not None and y is not None)


@pytest.mark.parametrize("seed", METAMORPHIC)
def test_rows_in_any_order_give_the_same_clocks(seed: int, tmp_path: Path) -> None:
    one = random_trial(Random(seed), 40)  # noqa: S311 - a seeded test
    mixed = desk_of(one, tmp_path, shuffle=Random(seed))  # noqa: S311 - a seeded test
    assert clocks(mixed).equals(clocks(desk_of(one, tmp_path)))
    assert pauses(mixed).equals(pauses(desk_of(one, tmp_path)))


@pytest.mark.parametrize("seed", METAMORPHIC)
def test_a_wider_limit_breaks_no_promise(seed: int, tmp_path: Path) -> None:
    one = plainer(seed)
    wider = replace(one, targets=[{**x, "limit": f"2{x['limit']}"} for x in one.targets])
    pairs = list(zip(listed(one, tmp_path), listed(wider, tmp_path), strict=True))
    assert all(more.elapsed == few.elapsed for few, more in pairs)
    changes = {(few.status, more.status) for few, more in pairs if few.status != more.status}
    assert ("breached", "met") in changes
    # a limit that had passed before its reign may now pass during it
    assert {few for few, _ in changes} <= {"breached", "superseded", "unknown"}


@pytest.mark.parametrize("seed", METAMORPHIC)
def test_where_a_reopening_is_ignored_nothing_after_the_stop_matters(
    seed: int, tmp_path: Path
) -> None:
    def longer(ticket: Ticket) -> Iterator[Event]:
        yield from ticket.events
        last = ticket.events[-1].at
        for i, word in enumerate(("Reopen", "Diagnose", "Resolve", "Fulfil", "Close")):
            if ticket.complete:
                yield Event(last + 10 * i, word)

    one = plainer(seed, reopen="ignored")
    rows = [row for row in listed(one, tmp_path) if row.stop is not None]
    after = {_key(row): row for row in listed(with_events(one, longer), tmp_path)}
    assert rows
    assert [after[_key(row)] for row in rows] == rows


def _key(row: Row) -> tuple[object, ...]:
    return row.case_id, row.agreement, row.party, row.metric, row.cycle, row.target, row.stop
