"""Random tickets under random targets, as a desk of the product and as the oracle's tickets.

Tickets have updates and steps outside the model, equal times, hand-overs, priorities that change
back and forth, pauses at either end, reopenings; they are open, ended or cancelled. Targets are
SLAs, OLAs and underpinning contracts on all metrics, by priority, service and customer, in
versions, with all reopen policies, in calendars of five zones over changes of the clocks.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from oracles.minute_service_level import Event, Office, Pause, Row, Ticket
from oracles.wall_hours import DAYS, Counted, Wall

from process_mining import schema as s
from process_mining.eventlog import POSITION, EventLog, LogMeta
from rules.service_level import clocks, load_service_levels, pauses
from rules.templates import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from random import Random

DAY = 1_440
OUTSIDE = frozenset({"Ask feedback", "Contact customer"})
# The clocks of Europe change on 31 March (Easter Sunday) and 27 October 2024, those of America on
# 10 March and 3 November, those of Lord Howe, by half an hour, on 7 April and 6 October.
SPRING, AUTUMN = (
    int(dt.datetime(2024, month, day, tzinfo=dt.UTC).timestamp()) // 60
    for month, day in ((3, 28), (10, 24))
)
A_WALK = 60 * DAY  # how long after its beginning one may lead
BASES = (SPRING, AUTUMN)
KINDS = ("incident", "incident", "service_request")
WORDS = {
    "incident": (
        *("Classify", "Assign", "Assign", "Diagnose", "Await customer", "Await supplier"),
        *("Escalate", "Resolve", "Resolve", "Reopen", "Contact customer", None, None),
    ),
    "service_request": (
        *("Classify", "Queue", "Assign", "Work", "Await customer", "Await supplier"),
        *("Fulfil", "Fulfil", "Reopen", "Contact customer", None, None),
    ),
}
ENDS = {"incident": ("Close", "Close", "Cancel"), "service_request": ("Close", "Cancel", "Reject")}
GAPS = (0, 0, 1, 7, 45, 100, 300, 900, 1440, 3000)
TEAMS, PRIORITIES = ("desk", "network", "field"), ("P1", "P2", "P3")
SERVICES, CUSTOMERS, NOTES = ("mail", "web"), ("acme", "orion"), ("told", "asked", " Told ")
LIMITS = ("30m", "90m", "4h", "10h", "30h")
CALENDARS = ("24x7", "office", "nights", "lord howe", "sao paulo")
FIELDS = (
    *("case_id", "agreement", "party", "metric", "cycle", "status", "target", "priority"),
    *("service", "customer", "team", "start", "stop", "elapsed", "paused", "limit", "remaining"),
    *("due", "breached_at", "objective", "start_event", "stop_event"),
)

# --- calendars, for the file and for the oracle

CALENDAR_TOML = """
[[calendar]]
name = "office"
zone = "Europe/Berlin"
holidays = { country = "DE", subdivision = "BY", categories = ["public"] }
extra_closures = ["2024-04-04 10:00-14:00", "2024-11-05"]
extra_openings = ["2024-03-31 01:30-04:30", "2024-10-27 01:30-04:30"]
[calendar.hours]
monday = ["08:00-12:00", "13:00-18:00"]
tuesday = ["08:00-12:00", "13:00-18:00"]
wednesday = ["08:00-12:00", "13:00-18:00"]
thursday = ["08:00-12:00", "13:00-18:00"]
friday = ["08:00-12:00"]

[[calendar]]
name = "nights"
zone = "America/New_York"
[calendar.hours]
monday = ["00:00-06:00", "22:00-24:00"]
tuesday = ["00:00-06:00", "22:00-24:00"]
wednesday = ["00:00-06:00", "22:00-24:00"]
thursday = ["00:00-06:00", "22:00-24:00"]
friday = ["00:00-06:00", "22:00-24:00"]
saturday = ["00:00-06:00", "22:00-24:00"]
sunday = ["00:00-06:00", "22:00-24:00"]

[[calendar]]
name = "lord howe"
zone = "Australia/Lord_Howe"
[calendar.hours]
monday = ["01:15-17:45"]
sunday = ["01:15-02:15", "09:00-12:00"]
tuesday = ["09:00-12:00"]

[[calendar]]
name = "sao paulo"
zone = "America/Sao_Paulo"
extra_closures = ["11-01 00:00-24:00"]
[calendar.hours]
monday = ["09:00-18:00"]
thursday = ["09:00-18:00"]
friday = ["09:00-18:00"]
saturday = ["00:00-24:00"]
"""
WHOLE = [("00:00", "24:00")]
DESK = [("08:00", "12:00"), ("13:00", "18:00")]
NIGHT = [("00:00", "06:00"), ("22:00", "24:00")]
NINE = [("09:00", "18:00")]
EARLY = [("01:30", "04:30")]
WALLS = {
    "24x7": Wall("UTC", dict.fromkeys(DAYS, WHOLE)),
    "office": Wall(
        "Europe/Berlin",
        {**dict.fromkeys(DAYS[:4], DESK), "friday": DESK[:1]},
        closed=(
            *("2024-03-29", "2024-04-01", "2024-05-01", "2024-05-09", "2024-05-20", "2024-05-30"),
            *("2024-11-01", "2024-12-25", "2024-12-26", "2025-01-01", "2025-01-06"),
        ),
        shut={"2024-04-04": [("10:00", "14:00")], "2024-11-05": WHOLE},
        opened={"2024-03-31": EARLY, "2024-10-27": EARLY},
    ),
    "nights": Wall("America/New_York", dict.fromkeys(DAYS, NIGHT)),
    "lord howe": Wall(
        "Australia/Lord_Howe",
        {
            "monday": [("01:15", "17:45")],
            "sunday": [("01:15", "02:15"), ("09:00", "12:00")],
            "tuesday": [("09:00", "12:00")],
        },
    ),
    "sao paulo": Wall(
        "America/Sao_Paulo",
        {**dict.fromkeys(("monday", "thursday", "friday"), NINE), "saturday": WHOLE},
        shut={"2024-11-01": WHOLE},
    ),
}


@cache
def hours_of(base: int) -> Mapping[str, Counted]:
    first, last = base - 2 * DAY, base + A_WALK
    return {name: Counted(wall, first, last) for name, wall in WALLS.items()}


# --- random targets

Promise = dict[str, Any]


def maybe(random: Random, name: str, value: object, chance: float = 0.3) -> Promise:
    return {name: value} if random.random() < chance else {}


def conditions(random: Random, metric: str) -> Promise:
    """What starts, stops, resets and pauses the clocks of a family, and what follows a Reopen."""
    pausing = random.choice(
        [
            *([], ["Await customer"], ["Await customer", "Await supplier"], ["Reopen"]),
            [{"activity": "Await customer", "team": "network"}, "Await supplier"],
            [{"where": {"attribute": "note", "one_of": ["asked"]}}],
        ]
    )
    found: Promise = {"pauses": pausing} if pausing else {}
    if pausing:
        found |= maybe(random, "allowed", pausing[:1])
    asked = {"where": {"attribute": "note", "one_of": ["asked"]}}
    start: list[Any] = random.choice(
        [["Assign"], ["Classify"], [{"activity": "Assign", "team": "network"}, asked]]
    )
    found |= maybe(random, "start", start, 0.15)
    found |= maybe(
        random, "reopen", random.choice(["continues", "pauses", "restarts", "ignored"]), 0.8
    )
    told = {"where": {"attribute": "note", "one_of": ["told"]}}
    if metric == "update":
        found["reset"] = random.choice([[told], ["Contact customer", told], ["Assign"]])
    elif metric in ("acknowledge", "respond"):
        found |= maybe(random, "stop", random.choice([["Diagnose", "Work"], ["Classify"]]), 0.5)
    else:
        final = "Resolve" if metric == "resolve" else "Fulfil"
        other: list[Any] = random.choice([[final, "Close"], [{"activity": final, "team": "field"}]])
        found |= maybe(random, "stop", other, 0.2)
    if metric != "update":
        found |= maybe(random, "reset", random.choice([["Escalate"], [told]]), 0.1)
    return found


def family(random: Random, kind: str, metric: str, keeps: Promise) -> Iterator[Promise]:
    """The targets of one family: by priority, service and customer, some in two versions.

    What starts, stops and pauses a clock is mostly the same for all of them.
    """
    shared = conditions(random, metric) | keeps
    if keeps["agreement"] != "SLA":
        shared.pop("start", None)
    named: list[Promise] = random.choice(
        [[{"priority": p} for p in PRIORITIES], [{"priority": p} for p in PRIORITIES[:2]], [{}]]
    )
    named += [{}] if named[0] and random.random() < 0.2 else []
    for more in ({"service": "mail"}, {"customer": "acme"}, {"service": "web", "priority": "P1"}):
        named += [more] if random.random() < 0.15 else []
    since, differ = dt.date(2000, 1, 1), random.random() < 0.1
    for about in named:
        if differ and keeps["agreement"] == "SLA":
            shared = conditions(random, metric) | keeps
        ends = [since, None]
        if random.random() < 0.2:
            split = random.choice(BASES) // DAY + random.randrange(4)
            ends.insert(1, dt.date(1970, 1, 1) + dt.timedelta(days=split))
            if random.random() < 0.2:
                ends.pop()  # nothing follows
        for begins, until in pairwise(ends):
            calendar = random.choice(CALENDARS)
            yield {
                "metric": metric,
                "case_type": kind,
                "limit": random.choice(LIMITS),
                "calendar": calendar,
                "objective": random.choice([0.9, 0.95]),
                "valid_from": begins,
                **({"valid_until": until} if until else {}),
                **maybe(random, "on_change", random.choice(["from start", "from change"]), 0.7),
                **shared,
                **about,
            }


def random_targets(random: Random) -> list[Promise]:
    found: list[Promise] = []
    sla, ends = {"agreement": "SLA"}, {"incident": "resolve", "service_request": "fulfil"}
    for kind, final in ends.items():
        for metric in random.sample(["acknowledge", "respond", final, "update"], 2):
            found += family(random, kind, metric, sla)
        team = {"agreement": "OLA", "team": random.choice([*TEAMS, "*", "*"])}
        metric = random.choice(["acknowledge", "respond", final, final])
        found += family(random, kind, metric, team)
        if team["team"] == "*" and random.random() < 0.3:
            found += family(random, kind, metric, {**team, "team": "network"})
        runs_in = ["Await supplier", *random.choice([[], ["Escalate"]])]
        party = {"agreement": "UC", "party": "ACME Lines", "runs_in": runs_in}
        metrics = random.sample([final, "respond"], random.choice([1, 1, 2]))
        found += [x for metric in metrics for x in family(random, kind, metric, party)]
    return [{"name": f"t{i}", **promise} for i, promise in enumerate(found)]


def toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(x)}" for name, x in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def file_of(targets: Sequence[Promise]) -> str:
    tables = (
        "\n".join(["[[target]]", *(f"{name} = {toml(x)}" for name, x in target.items())])
        for target in targets
    )
    return "\n\n".join(['customer = "customer"', CALENDAR_TOML, *tables])


# --- random tickets


def random_ticket(random: Random, number: int, base: int, *, history: bool) -> Ticket:
    kind = random.choice(KINDS)
    minute = base + random.randrange(3 * DAY)
    minute -= minute % DAY if random.random() < 0.1 else 0  # as versions of targets begin
    words = random.choices(WORDS[kind], k=random.choice([0, 1, 2, 3, 4, 5, 6, 8, 10, 14]))
    complete = random.random() < 0.6
    words = [*random.choice([["Register"], ["Register"], [None, "Register"], words[:1]]), *words]
    words += [random.choice(ENDS[kind])] if complete else []
    words += ["Ask feedback"] if random.random() < 0.1 else []
    words += [None] if random.random() < 0.1 else []
    if not any(word and word not in OUTSIDE for word in words):
        words.append("Register")
        complete = False
    urgency, said, events = random.choice([*PRIORITIES, "P4"]), None, []
    for word in words:
        if history and random.random() < 0.25:
            urgency = random.choice([*PRIORITIES, *PRIORITIES, "P4"])
        now = urgency if history and random.random() < 0.6 else None
        said = now or said
        team = random.choice(TEAMS) if random.random() < 0.4 else None
        note = random.choice(NOTES) if random.random() < 0.3 else None
        events.append(Event(minute, word, team, now, note))
        minute += random.choice(GAPS)
    doubt = random.random()
    priority = said or urgency
    if doubt < 0.04:
        priority = None if doubt < 0.02 else random.choice(PRIORITIES)
    return Ticket(
        f"c{number:03d}",
        kind,
        tuple(events),
        complete,
        priority,
        random.choice([None, *SERVICES]),
        random.choice([None, *CUSTOMERS]),
        unmapped=random.random() < 0.03,
    )


@dataclass(frozen=True)
class Trial:
    """Some tickets and the targets that they are judged by."""

    tickets: Sequence[Ticket]
    targets: Sequence[Promise]
    base: int
    as_of: int

    def office(self) -> Office:
        return Office(self.targets, hours_of(self.base), self.as_of, OUTSIDE)


def random_trial(random: Random, n: int) -> Trial:
    base, history = random.choice(BASES), random.random() < 0.8
    tickets = [random_ticket(random, i, base, history=history) for i in range(n)]
    return Trial(tickets, random_targets(random), base, base + random.choice([1, 4, 9]) * DAY)


# --- what the product says, in the oracle's words


def desk_of(trial: Trial, folder: Path, *, shuffle: Random | None = None) -> Desk:
    rows = [(x, i, event) for x in trial.tickets for i, event in enumerate(x.events)]
    cases = list(trial.tickets)
    if shuffle is not None:
        shuffle.shuffle(rows)
        shuffle.shuffle(cases)
    minute = s.US_PER_MINUTE
    columns: dict[str, Any] = {
        s.CASE_ID: pa.array([x.case_id for x, _, _ in rows]),
        s.ACTIVITY: pa.array([event.activity or "an update" for _, _, event in rows]),
        s.AT: pa.array([event.at * minute for _, _, event in rows], pa.int64()),
        POSITION: pa.array([i for _, i, _ in rows], pa.int64()),
        s.TEAM: pa.array([event.team for _, _, event in rows], pa.string()),
        "attr.note": pa.array([event.note for _, _, event in rows], pa.string()),
    }
    if any(event.priority for _, _, event in rows):
        said = [event.priority for _, _, event in rows]
        columns["attr.priority"] = pa.array(said, pa.string())
    tickets = {
        s.CASE_ID: pa.array([x.case_id for x in cases]),
        s.PRACTICE: pa.array([x.kind for x in cases]),
        s.PRIORITY: pa.array([x.priority for x in cases], pa.string()),
        s.SERVICE: pa.array([x.service for x in cases], pa.string()),
        "attr.customer": pa.array([x.customer for x in cases], pa.string()),
    }
    log = EventLog.build(pa.table(columns), cases=pa.table(tickets), meta=LogMeta("test"))
    words = log.events[s.ACTIVITY].to_pylist()
    steps = pa.array([None if word == "an update" else word for word in words], pa.string())
    by_id = {x.case_id: x for x in cases}
    ordered = [by_id[name] for name in log.cases[s.CASE_ID].to_pylist()]
    path = folder / "targets.toml"
    path.write_text(file_of(trial.targets), encoding="utf-8")
    return Desk(
        log=log.with_columns(events={s.ACTIVITY: steps}),
        complete=np.array([x.complete for x in ordered], dtype=bool),
        as_of_us=trial.as_of * minute,
        service_levels=load_service_levels(path),
        unmapped=np.array([x.unmapped for x in ordered], dtype=bool),
        outside=OUTSIDE,
    )


def minutes(value: Any) -> int | None:  # noqa: ANN401 - a time, an amount or nothing
    if value is None:
        return None
    us = int(value.timestamp()) * 10**6 if isinstance(value, dt.datetime) else value
    assert us % s.US_PER_MINUTE == 0
    return int(us // s.US_PER_MINUTE)


def said_of(desk: Desk) -> dict[str, list[Row]]:
    """Every case's rows, in their order, with their pauses."""
    events = desk.log.events.select([s.CASE_ID, s.SEQ]).to_pylist()
    place: dict[tuple[str, int], int] = {}
    counts: Counter[str] = Counter()
    for event in events:
        place[event[s.CASE_ID], event[s.SEQ]] = counts[event[s.CASE_ID]]
        counts[event[s.CASE_ID]] += 1
    found: dict[str, list[Row]] = {x: [] for x in desk.log.cases[s.CASE_ID].to_pylist()}
    for row in clocks(desk).to_pylist():
        case = row["case_id"]
        kept = {name: row[name] for name in FIELDS if name in row}
        kept |= {name: minutes(row[name]) for name in ("start", "stop", "due", "breached_at")}
        for name in ("elapsed", "paused", "limit", "remaining"):
            kept[name] = minutes(row[f"{name}_us"])
        for name in ("start", "stop"):
            kept[f"{name}_event"] = place.get((case, row[f"{name}_seq"]))
        found[case].append(Row(begins=0, **kept))
    return found


def pauses_of(desk: Desk) -> dict[tuple[Any, ...], list[Pause]]:
    found: dict[tuple[Any, ...], list[Pause]] = {}
    for row in pauses(desk).to_pylist():
        key = tuple(row[x] for x in ("case_id", "agreement", "party", "metric", "cycle", "target"))
        times = minutes(row["begin"]), minutes(row["end"])
        words = row["cause"], row["ended_by"]
        pause = Pause(*times, *words, minutes(row["open_us"]) or 0, row["allowed"])
        found.setdefault(key, []).append(pause)
    return {key: sorted(rows, key=str) for key, rows in found.items()}
