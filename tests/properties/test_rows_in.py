"""Is every row of every format either in the log or refused by its place: nothing lost in silence?

A *desk* is generated: tickets, each with the minutes at which it changed. It is written in each
format, once as it is and once with rows among it that cannot be read. Then

    rows in of the good file   = the rows that were written, counted here
    rows in of the spoilt file = those, and one more for each spoilt row
    rejects                    = the spoilt rows, no more and no fewer
    the log                    = the same by its fingerprint: a reject takes nothing with it

What a row is, and which events a good row makes, stands at each format below; it is what the
reader's docstring says. Every spoilt row is refused by its place, and without leave the reading
stops and counts them.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeVar
from xml.sax.saxutils import quoteattr

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_mining.errors import RunError
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START: Final = datetime(2024, 3, 4, 9, tzinfo=UTC)
STATES: Final = ("New", "In Progress", "On Hold", "Resolved")

Row = TypeVar("Row")
Json = Any
Desk = dict[int, list[int]]  # ticket → minutes, the first is its opening


@dataclass(frozen=True)
class Spoilt:
    """A row that cannot be read: which kind of the format's, and where among the good ones."""

    kind: int
    where: float


@dataclass(frozen=True)
class Written:
    """What was written: the files, how to read them, the good rows, the events they make."""

    paths: list[Path]
    rows: int
    events: int
    options: ReadOptions = field(default_factory=ReadOptions)


@st.composite
def desks(draw: st.DrawFn) -> Desk:
    numbers = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True))
    minutes = st.lists(st.integers(0, 3_000), min_size=1, max_size=5, unique=True).map(sorted)
    return {number: draw(minutes) for number in numbers}


def spoilt() -> st.SearchStrategy[list[Spoilt]]:
    one = st.builds(Spoilt, kind=st.integers(0, 20), where=st.floats(0, 1))
    return st.lists(one, max_size=4)


def stamp(minute: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return (START + timedelta(minutes=minute)).strftime(form)


def state(step: int) -> str:
    return STATES[step % len(STATES)]


def among(good: Sequence[Row], bad: Sequence[tuple[Row, float]], *, first: int = 1) -> list[Row]:
    """Return the good rows with the bad ones among them, none before row `first`."""
    places = sorted(
        (first + where * max(len(good) - first, 0), n) for n, (_, where) in enumerate(bad)
    )
    out = list(good)
    for place, n in reversed(places):
        out.insert(min(round(place), len(good)), bad[n][0])
    return out


def pick(kinds: Sequence[Row], bad: Sequence[Spoilt]) -> list[tuple[Row, float]]:
    return [(kinds[spoil.kind % len(kinds)], spoil.where) for spoil in bad]


def table_rows(desk: Desk) -> list[dict[str, str | None]]:
    return [
        {"case_id": str(n), "activity": state(step), "at": stamp(minute), "actor": f"a{minute % 3}"}
        for n, minutes in desk.items()
        for step, minute in enumerate(minutes)
    ]


# --- tables: a row is a record below the header, and makes one event


def csv_table(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    good = [",".join(str(value) for value in row.values()) for row in table_rows(desk)]
    kinds = (
        ",New,2024-03-04T09:00:00Z,a1",  # no case
        "7,,2024-03-04T09:00:00Z,a1",  # no activity
        "7,New,,a1",  # no time
        "7,New,2024-13-04T09:00:00Z,a1",  # no such month
        "7,New,2024-03-04T09:00:00,a1",  # no zone
        "7,New,2024-03-04T09:00:00Z",  # too few cells
        "7,New,2024-03-04T09:00:00Z,a1,a2",  # too many
        '7,"New"er,2024-03-04T09:00:00Z,a1',  # a stray quote
    )
    lines = among(good, pick(kinds, bad), first=0)
    path = folder / "log.csv"
    text = "\n".join(["case_id,activity,at,actor", *lines]) + "\n"
    path.write_text(text, encoding="utf-8")
    return Written([path], len(good), len(good))


def spoilt_cells(bad: Sequence[Spoilt]) -> list[tuple[dict[str, str | None], float]]:
    row: dict[str, str | None]
    row = {"case_id": "7", "activity": "New", "at": "2024-03-04T09:00:00Z", "actor": None}
    kinds: list[dict[str, str | None]] = [
        row | {"case_id": None},
        row | {"activity": ""},
        row | {"at": None},
        row | {"at": "yesterday"},
        row | {"at": "2024-03-04 09:00"},
    ]
    return pick(kinds, bad)


def parquet_table(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    good = table_rows(desk)
    path = folder / "log.parquet"
    schema = pa.schema([(name, pa.string()) for name in good[0]])
    rows = among(good, spoilt_cells(bad), first=0)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=3)
    return Written([path], len(good), len(good))


def warehouse_duckdb(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """A row is a row of the query's answer."""
    good = table_rows(desk)
    rows = among(good, spoilt_cells(bad), first=0)
    with duckdb.connect(str(folder / "desk.duckdb")) as database:
        database.execute('CREATE TABLE t (case_id TEXT, activity TEXT, "at" TEXT, actor TEXT)')
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [list(r.values()) for r in rows])
    path = folder / "desk.toml"
    text = (
        'name = "desk"\n[warehouse]\nurl = "duckdb:///FOLDER/desk.duckdb"\n'
        'query = "SELECT * FROM t"\n[time]\nformat = "iso"\n[event]\ncase_id = "case_id"\n'
        'activity = "activity"\nat = "at"\nactor = "actor"\n'
    )
    path.write_text(text.replace("FOLDER", str(folder)), encoding="utf-8")
    return Written([path], len(good), len(good))


def own_cases(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """Two files: a row is an event of events.csv, or a ticket of tickets.csv (which makes none)."""
    written = csv_table(folder, desk, ())
    good = [f"{n},incident,{stamp(minutes[0])}" for n, minutes in desk.items()]
    kinds = (",incident,", "{},incident,yesterday", "{},incident", "{},incident,2024-03-04T09:00")
    # a ticket that stands twice would stop the reading, even where both rows are refused
    found = [(kind.format(900 + n), where) for n, (kind, where) in enumerate(pick(kinds, bad))]
    lines = among(good, found, first=0)
    path = folder / "tickets.csv"
    path.write_text("\n".join(["case_id,practice,opened", *lines]) + "\n", encoding="utf-8")
    return Written([*written.paths, path], written.rows + len(good), written.events)


# --- our own schema: a row is a line that is not blank


def ndjson(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    good = [json.dumps(row) for row in table_rows(desk)]
    row = {"case_id": "7", "activity": "New", "at": "2024-03-04T09:00:00Z"}
    kinds = (
        json.dumps(row | {"case_id": ""}),
        json.dumps(row | {"at": "2024-03-04T09:00:00"}),
        json.dumps(row | {"who": "ana"}),
        json.dumps(row | {"seq": "1"}),
        json.dumps(row | {"attributes": {"a": [1]}}),
        json.dumps(row)[:-1],
        '{"case_id": "7", "case_id": "8"}',
        "[1, 2]",
    )
    path = folder / "log.ndjson"
    lines = among(good, pick(kinds, bad))
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return Written([path], len(good), len(good))


# --- XES: a row is an event, or a refused trace without any


def xes(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    def event(step: int, minute: int) -> str:
        return (
            f'<event><string key="concept:name" value={quoteattr(state(step))}/>'
            f'<date key="time:timestamp" value="{stamp(minute)}"/></event>'
        )

    inside = (
        '<event><date key="time:timestamp" value="2024-03-04T09:00:00Z"/></event>',
        event(0, 0).replace("2024-03", "2024-33"),
        event(0, 0).replace("Z", ""),
        '<event><string key="concept:name" value="New"/></event>',
        event(0, 0).replace("</event>", '<string key="concept:name" value="Old"/></event>'),
    )
    beside = (f"<trace>{event(0, 0)}</trace>", "<trace></trace>")
    own = [spoil for spoil in bad if spoil.kind % 3]
    events: dict[int, list[str]] = {
        n: [event(step, minute) for step, minute in enumerate(minutes)]
        for n, minutes in desk.items()
    }
    first = next(iter(events))
    events[first] = among(events[first], pick(inside, own))
    traces = [
        f'<trace><string key="concept:name" value="{n}"/>{"".join(found)}</trace>'
        for n, found in events.items()
    ]
    traces = among(traces, pick(beside, [spoil for spoil in bad if not spoil.kind % 3]))
    path = folder / "log.xes"
    path.write_text(f"<?xml version='1.0'?><log>{''.join(traces)}</log>", encoding="utf-8")
    rows = sum(map(len, desk.values()))
    return Written([path], rows, rows)


# --- OCEL: a row is an event that touches a case or is refused; it makes an event in each case


def ocel(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    def event(number: object, of: list[str], at: str) -> Json:
        related = [{"objectId": ident, "qualifier": ""} for ident in of]
        return {
            "id": f"e{number}",
            "type": "Update",
            "time": at,
            "attributes": [],
            "relationships": related,
        }

    numbers = [str(n) for n in desk]
    good = [
        event(f"{n}_{step}", [str(n)], stamp(minute))
        for n, minutes in desk.items()
        for step, minute in enumerate(minutes)
    ]
    copies = len(numbers) - 1
    good.append(event("all", numbers, stamp(9_000)))
    unrelated = event("none", ["router"], stamp(5))  # of no case: no row, counted in a note
    kinds: list[Callable[[int], Json]] = [
        lambda n: event(f"bad{n}", [numbers[0]], "yesterday"),
        lambda n: event(f"bad{n}", [numbers[0]], "2024-03-04T09:00:00"),
        lambda n: event(f"bad{n}", ["nobody"], stamp(1)),
        lambda n: event(f"bad{n}", [numbers[0]], stamp(1)) | {"relationships": 3},
        lambda n: event(f"bad{n}", [numbers[0]], stamp(1)) | {"attributes": [{"value": "1"}]},
    ]
    found = [(kind(n), where) for n, (kind, where) in enumerate(pick(kinds, bad))]
    log = {
        "objectTypes": [{"name": kind, "attributes": []} for kind in ("Incident", "CI")],
        "eventTypes": [{"name": "Update", "attributes": []}],
        "objects": [
            {"id": n, "type": "Incident", "attributes": [], "relationships": []} for n in numbers
        ]
        + [{"id": "router", "type": "CI", "attributes": [], "relationships": []}],
        "events": among([*good, unrelated], found),
    }
    path = folder / "log.json"
    path.write_text(json.dumps(log), encoding="utf-8")
    options = ReadOptions(object_types=("Incident",))
    return Written([path], len(good), len(good) + copies, options)


# --- tools: a row is a ticket or a record of its history; a ticket makes its opening an event,
# a change made by one person at one time another


def servicenow(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """incident.csv and sys_audit.csv; the changes of one save, here two rows, are one event."""
    form = "%Y-%m-%d %H:%M:%S"
    tickets = [
        {
            "number": f"INC{n:07}",
            "sys_id": f"{n:032x}",
            "opened_at": stamp(minutes[0], form),
            "state": str(len(minutes)),
            "sys_created_by": "ana",
            "sys_mod_count": str(len(minutes) - 1),
        }
        for n, minutes in desk.items()
    ]

    def audit(of: str, field: str, old: str, new: str, at: str) -> dict[str, str]:
        names = ("tablename", "documentkey", "fieldname", "oldvalue", "newvalue", "user")
        values = ("incident", of, field, old, new, "ben")
        return dict(zip(names, values, strict=True)) | {"sys_created_on": at}

    history = [
        row
        for n, minutes in desk.items()
        for step, minute in list(enumerate(minutes))[1:]
        for row in (
            audit(f"{n:032x}", "state", str(step), str(step + 1), stamp(minute, form)),
            audit(f"{n:032x}", "urgency", str(step - 1), str(step), stamp(minute, form)),
        )
    ]
    key = tickets[0]["sys_id"]
    kinds = (
        audit("f" * 32, "state", "1", "7", stamp(1, form)),  # of no ticket here
        audit(key, "state", "1", "7", ""),
        # alone in its file it would leave open in which format the file is: LG083, no reject
        audit(key, "state", "1", "7", "4. März" if history else ""),
        audit(key, "", "1", "7", stamp(1, form)),
        audit("", "state", "1", "7", stamp(1, form)),
    )
    paths = [folder / "incident.csv", folder / "sys_audit.csv"]
    names = list(audit("", "", "", "", ""))
    for path, columns, rows in (
        (paths[0], list(tickets[0]), tickets),
        (paths[1], names, among(history, pick(kinds, bad), first=0)),
    ):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    events = sum(map(len, desk.values()))
    return Written(paths, len(tickets) + len(history), events)


def zendesk(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """Tickets and audits, a record a line; the first audit is the creation."""

    def audit(ident: object, of: object, at: str, step: int) -> Json:
        found: Json = {"type": "Create", "field_name": "status", "value": state(0)}
        if step:
            found = {"type": "Change", "field_name": "status", "value": state(step)}
            found["previous_value"] = state(step - 1)
        base = {"id": ident, "ticket_id": of, "created_at": at, "author_id": 7}
        return base | {"events": [{"id": 1} | found]}

    records: list[Json] = []
    for n, minutes in desk.items():
        base = {"id": n, "status": state(len(minutes) - 1), "requester_id": 5, "submitter_id": 5}
        more = {"type": None, "priority": None, "group_id": None}
        at = {"created_at": stamp(minutes[0]), "updated_at": stamp(minutes[-1])}
        records.append(base | more | at)
        records += [audit(n * 100 + k, n, stamp(m), k) for k, m in enumerate(minutes)]
    n = next(iter(desk))
    kinds = (
        audit(9_999, None, stamp(1), 1),
        audit(9_999, n, "yesterday", 1),
        audit(9_999, n, "", 1),
        audit("x", n, stamp(1), 1),
        audit(9_999, n, stamp(1), 1) | {"events": 3},
        3,
    )
    path = folder / "zendesk.ndjson"
    lines = [json.dumps(record) for record in among(records, pick(kinds, bad))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    events = sum(map(len, desk.values()))
    return Written([path], len(records), events)


def jira(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """A search with changelogs: an issue and an entry are a row each; entries make events."""

    def entry(ident: object, at: str, step: int) -> Json:
        item = {"field": "status", "fieldId": "status", "from": str((step - 1) % 4)}
        item |= {"fromString": state(step - 1), "to": str(step % 4), "toString": state(step)}
        return {"id": ident, "created": at, "author": {"accountId": "ben"}, "items": [item]}

    form = "%Y-%m-%dT%H:%M:%S.000+0000"
    issues: list[Json] = []
    spoils = (
        entry("9001", "yesterday", 1),
        entry("9002", "", 1),
        entry(None, stamp(1, form), 1),
        entry("9003", stamp(1, form), 1) | {"items": 3},
        3,
    )
    for n, minutes in desk.items():
        entries = [entry(f"{n * 100 + k}", stamp(m, form), k) for k, m in enumerate(minutes) if k]
        found = among(entries, pick(spoils, bad), first=0) if not issues else entries
        last = len(minutes) - 1
        fields = {
            "created": stamp(minutes[0], form),
            "updated": stamp(minutes[-1], form),
            "status": {"id": str(last % 4), "name": state(last)},
            "creator": {"accountId": "ana"},
            "issuetype": {"name": "Incident"},
        }
        changelog = {"startAt": 0, "maxResults": 100, "total": len(found), "histories": found[::-1]}
        base = {"id": str(n), "key": f"A-{n}", "self": f"https://a.example/rest/api/3/issue/{n}"}
        issues.append(base | {"fields": fields, "changelog": changelog})
    path = folder / "search.json"
    search = {"startAt": 0, "maxResults": 50, "total": len(issues), "issues": issues}
    path.write_text(json.dumps(search), encoding="utf-8")
    events = sum(map(len, desk.values()))
    return Written([path], events, events)


API: Final = "https://api.github.com/repos/acme/helpdesk"


def github(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """Issues and events; an issue's creation is an event that is made, all others are rows."""

    def event(ident: object, name: str, at: str, address: str | None) -> Json:
        base = {"id": ident, "node_id": "E", "commit_id": None, "event": name}
        return base | {"actor": {"login": "bo"}, "created_at": at, "issue_url": address}

    records: list[Json] = []
    for n, minutes in desk.items():
        last = len(minutes) - 1
        at = {"created_at": stamp(minutes[0]), "updated_at": stamp(minutes[-1])}
        closed = stamp(minutes[-1]) if last % 2 else None
        where = {"url": f"{API}/issues/{n}", "repository_url": API, "labels_url": "x", "number": n}
        what = {"state": "closed" if closed else "open", "closed_at": closed}
        records.append(where | what | at | {"user": {"login": "eve"}, "labels": []})
        names = ("reopened", "closed")
        records += [
            event(n * 100 + k, names[k % 2], stamp(m), f"{API}/issues/{n}")
            for k, m in enumerate(minutes)
            if k
        ]
    address = f"{API}/issues/{next(iter(desk))}"
    kinds = (
        event(9_001, "closed", stamp(1), None),
        event(9_001, "closed", "yesterday", address),
        event("x", "closed", stamp(1), address),
        {"neither": "nor"},
        3,
    )
    path = folder / "github.ndjson"
    lines = [json.dumps(record) for record in among(records, pick(kinds, bad))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Written([path], len(records), len(records))


def pagerduty(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """Incidents and log entries; a notification is a row that makes no event."""

    def entry(ident: str, kind: str, at: str, of: str | None) -> Json:
        agent = {"id": "U1", "type": "user_reference", "summary": "U1"}
        base = {"id": ident, "type": f"{kind}_log_entry", "created_at": at, "agent": agent}
        more = {"channel": {"type": "api"}, "summary": "", "teams": []}
        return base | more | {"incident": {"id": of, "type": "incident_reference"}}

    kinds_of = ("trigger", "acknowledge", "resolve", "annotate", "notify")
    records: list[Json] = []
    events = 0
    for n, minutes in desk.items():
        status = ("triggered", "acknowledged", "resolved")[min(len(minutes) - 1, 2)]
        base = {"id": f"Q{n}", "incident_number": n, "type": "incident", "title": "t"}
        now = {"created_at": stamp(minutes[0]), "status": status, "urgency": "high"}
        more = {"service": {"id": "S", "summary": "Shop"}, "teams": [], "assignments": []}
        records.append(base | now | more)
        for k, minute in enumerate(minutes):
            records.append(entry(f"E{n}_{k}", kinds_of[k], stamp(minute), f"Q{n}"))
            events += kinds_of[k] != "notify"
    spoils = (
        entry("x1", "resolve", "yesterday", records[0]["id"]),
        entry("x2", "resolve", stamp(1), None),
        entry("x3", "resolve", stamp(1), records[0]["id"]) | {"type": "note"},
        records[0] | {"id": None},
        records[0] | {"id": "Q99", "created_at": ""},
    )
    path = folder / "pagerduty.ndjson"
    lines = [json.dumps(record) for record in among(records, pick(spoils, bad))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Written([path], len(records), events)


def opsgenie(folder: Path, desk: Desk, bad: Sequence[Spoilt]) -> Written:
    """Incidents with timelines: an incident and an entry are a row each; an end makes an event."""

    def entry(ident: str, at: str) -> Json:
        return {"id": ident, "type": "Note", "eventTime": at, "actor": {"name": "Bo"}}

    records: list[Json] = []
    rows = events = 0
    for n, minutes in desk.items():
        entries = [entry(f"e{n}_{m}", stamp(m)) for m in minutes[1:]]
        at = {
            "createdAt": stamp(minutes[0]),
            "updatedAt": stamp(9_000),
            "impactEndDate": stamp(9_000),
        }
        what = {"id": f"i{n}", "tinyId": str(n), "message": "m", "status": "resolved"}
        more = {"priority": "P2", "ownerTeam": "Web", "impactedServices": [], "tags": []}
        records.append(what | at | more | {"timeline": {"data": {"entries": entries}}})
        rows += 1 + len(entries)
        events += 2 + len(entries)
    good = records[0]
    entries = good["timeline"]["data"]["entries"]
    inside = (entry("bad", "now"), {"id": "bad", "eventTime": stamp(5)}, entry("bad", ""), 3)
    entries[:] = among(entries, pick(inside, [spoil for spoil in bad if spoil.kind % 2]), first=0)
    empty: Json = {"timeline": {"data": {"entries": []}}}
    beside = (good | empty | {"id": None}, good | empty | {"id": "i99", "createdAt": "now"})
    records = among(records, pick(beside, [spoil for spoil in bad if not spoil.kind % 2]))
    path = folder / "opsgenie.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return Written([path], rows, events)


FORMATS = (
    csv_table, parquet_table, warehouse_duckdb, own_cases, ndjson, xes, ocel, servicenow, zendesk,
    jira, github, pagerduty, opsgenie,
)  # fmt: skip


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
@settings(max_examples=20, deadline=None)
@given(desk=desks(), bad=spoilt())
def test_rows_in_are_accepted_or_rejected(
    write: Callable[[Path, Desk, Sequence[Spoilt]], Written], desk: Desk, bad: list[Spoilt]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        written = write(folder, desk, ())
        good = open_log(written.paths, written.options)
        assert (good.meta.rows_in, good.n_events) == (written.rows, written.events)
        assert good.n_cases == len(desk)
        for path in folder.iterdir():
            path.unlink()
        written = write(folder, desk, bad)
        if bad:
            counted = rf"LG035 {len(bad)} of {written.rows + len(bad)} rows"
            with pytest.raises(RunError, match=counted):
                open_log(written.paths, written.options)
        leave = ReadOptions(allow_rejects=True, object_types=written.options.object_types)
        found = open_log(written.paths, leave)
    assert found.meta.rows_in == written.rows + len(bad)
    assert found.meta.rejects.num_rows == len(bad)
    places = {(row["file"], row["place"]) for row in found.meta.rejects.to_pylist()}
    assert len(places) == len(bad)
    assert found.meta.sha256 == good.meta.sha256
