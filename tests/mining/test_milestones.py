"""Does a table of one row a ticket, with a time for each milestone, become the right log?"""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, open_log
from process_mining.sources._proposal import propose_mapping
from rules.practice import load_practices, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.eventlog import EventLog

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
CSAT = SHARED / "csat" / "technical_support_dataset.csv"
HEAD = """
name = "desk"
[time]
timezone = "UTC"
format = "iso"
"""
MAPPING = (
    HEAD
    + """
[event]
case_id = "id"
actor = "agent"
team = { column = "group", values = { "1" = "First", "2" = "Second" } }
[milestones]
Register = { column = "born", actor = "caller" }
Diagnose = "answered"
Resolve = { column = "solved", format = "%d.%m.%Y %H:%M", team = { constant = "Desk" } }
Close = "shut"
[case]
priority = "prio"
closed = "shut"
links = { problem = "problem" }
attributes = ["note"]
"""
)
WAREHOUSE = '[warehouse]\nurl = "duckdb:///t.duckdb"\nquery = "select * from t"\n'
HEADER = ("id", "born", "answered", "solved", "shut", "caller", "agent", "group", "prio", "note",
          "problem")  # fmt: skip
ROW = ("A", "2024-05-06T09:00:00", "2024-05-06T09:10:00", "06.05.2024 10:00", "2024-05-07T09:00:00",
       "Cy", "Ann", "1", "P2", "hi", "PRB1")  # fmt: skip


def us(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()) * 1_000_000


def row(**cells: str) -> tuple[str, ...]:
    return tuple((dict(zip(HEADER, ROW, strict=True)) | cells).values())


def table(path: Path, rows: Sequence[tuple[str, ...]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def plan(folder: Path, text: str = MAPPING) -> Path:
    path = folder / "m.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(
    folder: Path, *rows: tuple[str, ...], text: str = MAPPING, allow: bool = False
) -> EventLog:
    options = ReadOptions(mapping=plan(folder, text), clear_names=True, allow_rejects=allow)
    return open_log([table(folder / "t.csv", rows)], options)


def told(log: EventLog, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(event[name] for name in names) for event in log.events.to_pylist()]


def test_every_time_becomes_an_event_with_its_own_actor_and_team(tmp_path: Path) -> None:
    log = read(tmp_path, row(), row(id="B", answered="", solved="", shut="", group="2", prio=""))
    assert told(log, "case_id", "seq", "activity", "at", "actor", "team") == [
        ("A", 0, "Register", us("2024-05-06T09:00:00"), "Cy", "First"),
        ("A", 1, "Diagnose", us("2024-05-06T09:10:00"), "Ann", "First"),
        ("A", 2, "Resolve", us("2024-05-06T10:00:00"), "Ann", "Desk"),
        ("A", 3, "Close", us("2024-05-07T09:00:00"), "Ann", "First"),
        ("B", 0, "Register", us("2024-05-06T09:00:00"), "Cy", "Second"),
    ]
    assert log.meta.rows_in == 2
    first, second = log.cases.to_pylist()
    assert (first["priority"], first["closed"], first["attr.note"]) == (
        "P2",
        told(log, "at")[3][0],
        "hi",
    )
    assert (second["priority"], second["closed"]) == (None, None)
    assert log.links.select(["case_id", "linked_to", "kind"]).to_pylist()[0] == {
        "case_id": "A", "linked_to": "PRB1", "kind": "problem",
    }  # fmt: skip
    assert log.cases["order_known"].to_pylist() == [True, True]
    assert {seen.code for seen in log.meta.seen} == {"QG109"}  # the closure stands on every event


def test_equal_times_keep_the_order_of_the_mapping_which_is_a_known_one(tmp_path: Path) -> None:
    same = "2024-05-06T09:00:00"
    log = read(tmp_path, row(answered=same, solved="06.05.2024 09:00", shut=same))
    assert told(log, "activity") == [("Register",), ("Diagnose",), ("Resolve",), ("Close",)]
    assert log.cases["order_known"].to_pylist() == [True]
    turned = MAPPING.replace('Close = "shut"\n', "").replace(
        "[milestones]\n", '[milestones]\nClose = "shut"\n'
    )
    log = read(tmp_path, row(answered=same, solved="06.05.2024 09:00", shut=same), text=turned)
    assert told(log, "activity")[0] == ("Close",)


def test_a_milestone_before_an_earlier_one_is_reported_and_no_error(tmp_path: Path) -> None:
    log = read(tmp_path, row(answered="2024-05-06T08:00:00"), row(id="B"))
    assert told(log, "activity")[:2] == [("Diagnose",), ("Register",)]
    (found,) = (seen for seen in log.meta.seen if seen.code == "QG110")
    assert (found.count, found.cases) == (1, ("A",))


@pytest.mark.parametrize(
    ("cells", "code", "reason"),
    [
        ({"id": ""}, "LG101", "has no case id"),
        ({"born": "", "answered": "", "solved": "", "shut": ""}, "LG103", "no time for any"),
        ({"solved": "2024-05-06T10:00:00"}, "LG104", "solved '2024-05-06T10:00:00'"),
        ({"born": "31.12.2024 10:00"}, "LG104", "born '31.12.2024 10:00'"),
        ({"born": "=cmd|' /C calc'!A0", "shut": "x" * 5_000}, "LG104", "born '=cmd|"),
        ({"group": "3"}, "LG108", "'3' in group is not among its values"),
        ({"shut": "2024-02-30T00:00:00"}, "LG104", "is no date and time"),
    ],
)
def test_a_row_that_cannot_be_read_is_one_reject(
    tmp_path: Path, cells: dict[str, str], code: str, reason: str
) -> None:
    log = read(tmp_path, row(), row(**{"id": "B"} | cells), row(id="C"), allow=True)
    (reject,) = log.meta.rejects.to_pylist()
    assert (reject["place"], reject["code"]) == ("line 3", code)
    assert reason in reject["reason"]
    assert (log.meta.rows_in, log.n_cases, log.n_events) == (3, 2, 8)


def test_hostile_texts_are_words_and_nothing_else(tmp_path: Path) -> None:
    odd = "<script>\n\"',;=1+1\u202e"
    log = read(tmp_path, row(id=odd, agent=odd, note=odd))
    assert log.cases.to_pylist()[0]["attr.note"] == odd
    assert set(log.events["case_id"].to_pylist()) == {odd}


def test_what_the_row_says_of_people_becomes_pseudonyms(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [row()])
    log = open_log([path], ReadOptions(mapping=plan(tmp_path)))
    assert not {"Ann", "Cy"} & set(log.events["actor"].to_pylist())
    assert log.events["actor"][1].as_py() == log.events["actor"][2].as_py()


def test_a_cut_table_of_tickets_cuts_no_ticket(tmp_path: Path) -> None:
    rows = [row(id=f"{n:04}") for n in range(200)]
    last = row(id="9999", answered="", solved="", shut="")
    assert "QG152" not in {seen.code for seen in read(tmp_path, *rows, last).meta.seen}


# --- the mapping


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises((CodedError, ExceptionGroup)) as caught:
        read(folder, row(), text=text)
    error = caught.value
    return "\n".join(map(str, getattr(error, "exceptions", [error])))


EVENT = f"{HEAD}[event]\ncase_id = 'id'\n"
BORN = "[milestones]\nRegister = 'born'\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + BORN, "LG052 m.toml, milestones: [event] is missing"),
        (EVENT + "[milestones]\n", "LG052 m.toml, milestones: name each activity"),
        (EVENT + "[milestones]\n' ' = 'born'\n", "milestones: name each activity"),
        (EVENT + "at = 'born'\norder_by = 'note'\n" + BORN, "[event] has at, order_by: a row"),
        (EVENT + "activity = 'note'\npeople = ['x']\n" + BORN, "has activity, people: a row"),
        (EVENT + "attributes = 'all'\nlifecycle = 'x'\n" + BORN, "has lifecycle, attributes: a"),
        (
            EVENT + "[milestones]\nRegister = { colum = 'born' }\n",
            "milestones.Register.colum: unknown key 'colum'. Did you mean 'column'",
        ),
        (
            EVENT + "[milestones]\nRegister = { column = 'born', format = '%q' }\n",
            "milestones.Register.format",
        ),
        (EVENT + "[milestones]\nRegister = 7\n", "m.toml, milestones.Register"),
        (EVENT + BORN.replace("born", "birth"), "no column 'birth', which mapping 'desk' reads"),
        (EVENT.replace("format", "# ") + BORN, "no format is declared for born"),
        (
            EVENT.replace("iso", "%Y-%m-%d %H:%M").replace("timezone", "# ") + BORN,
            "LG054 the stamps in born state no offset",
        ),
        (EVENT, "LG052 m.toml, event.activity: is missing"),
        (EVENT + BORN + "[words]\na = 'b'\n", "[event] maps a table, words a tool's export"),
    ],
)
def test_a_mapping_that_is_not_sound_says_where(tmp_path: Path, text: str, words: str) -> None:
    assert words in mistakes(tmp_path, text)


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        EVENT + "at = 'born'\n" + BORN + "[case]\nprio = 'prio'\n",
    )
    assert "[event] has at" in found
    assert "unknown key 'prio'" in found
    found = mistakes(tmp_path, MAPPING.replace('"born"', '"b"').replace('"shut"', '"s"'))
    assert (found.count("LG041"), "milestones.Close" in found) == (2, True)


def test_other_kinds_of_log_refuse_milestones(tmp_path: Path) -> None:
    path = tmp_path / "t.xes"
    path.write_text('<log xes.version="1849-2016"><trace/></log>', encoding="utf-8")
    with pytest.raises(CodedError, match=r"LG053 mapping 'desk' has \[milestones\], and t.xes"):
        open_log([path], ReadOptions(mapping=plan(tmp_path)))


def test_a_proposal_for_one_row_a_ticket_speaks_of_milestones(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [row(id=f"{n}") for n in range(9)])
    assert any("[milestones]" in doubt for doubt in propose_mapping(path).unsure)


# --- other tables


def test_parquet_and_a_query_tell_the_same(tmp_path: Path) -> None:
    rows = [row(id=f"{n:02}", answered="" if n % 3 else ROW[2]) for n in range(20)]
    log = read(tmp_path, *rows)
    columns = {name: [r[i] for r in rows] for i, name in enumerate(HEADER)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    options = ReadOptions(mapping=tmp_path / "m.toml", clear_names=True)
    assert open_log([tmp_path / "t.parquet"], options).meta.sha256 == log.meta.sha256
    with duckdb.connect(str(tmp_path / "t.duckdb")) as base:
        base.execute(f"create table t as from '{tmp_path / 't.parquet'}'")
    query = tmp_path / "query.toml"
    query.write_text(MAPPING + WAREHOUSE, encoding="utf-8")
    answer = open_log([query], ReadOptions(clear_names=True))
    assert answer.meta.sha256 == log.meta.sha256
    assert not any("order_by" in note for note in answer.meta.notes)


def test_parquet_stamps_are_taken_as_they_are(tmp_path: Path) -> None:
    start = datetime(2024, 5, 6, 9, tzinfo=UTC)
    times = pa.array([start, None, start + timedelta(hours=1)], pa.timestamp("us", "UTC"))
    columns = {"id": ["A", "B", "C"], "born": pa.array([start] * 3), "shut": times}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    text = "name = 'd'\n[time]\nformat = 'iso'\n[event]\ncase_id = 'id'\n[milestones]\n"
    text += "Register = 'born'\nClose = 'shut'\n"
    log = open_log([tmp_path / "t.parquet"], ReadOptions(mapping=plan(tmp_path, text)))
    assert told(log, "case_id", "activity") == [
        ("A", "Register"), ("A", "Close"), ("B", "Register"), ("C", "Register"), ("C", "Close"),
    ]  # fmt: skip


def test_a_table_of_cases_may_stand_beside_it(tmp_path: Path) -> None:
    tickets = table(tmp_path / "t.csv", [("A", "2024-05-06T09:00:00")], ("id", "born"))
    more = table(tmp_path / "more.csv", [("A", "P1")], ("id", "prio"))
    text = f"{HEAD}[event]\ncase_id = 'id'\n[milestones]\nRegister = 'born'\n[case]\n"
    log = open_log(
        [tickets, more], ReadOptions(mapping=plan(tmp_path, text + "priority = 'prio'\n"))
    )
    assert (log.n_events, log.cases["priority"].to_pylist()) == (1, ["P1"])


# --- any table


MOMENTS = st.one_of(st.none(), st.integers(0, 5).map(lambda n: f"2024-05-06T09:0{n}:00"))
TICKETS = st.lists(st.tuples(MOMENTS, MOMENTS, MOMENTS, st.sampled_from(["x", "y", ""])))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TICKETS)
def test_the_log_holds_what_pandas_unfolds(
    tmp_path: Path, tickets: list[tuple[str | None, str | None, str | None, str]]
) -> None:
    rows = [(f"{n:03}", *(cell or "" for cell in ticket)) for n, ticket in enumerate(tickets)]
    path = table(tmp_path / "t.csv", rows, ("id", "a", "b", "c", "who"))
    text = f"{HEAD}[event]\ncase_id = 'id'\n[milestones]\nB = 'b'\n"
    text += "A = { column = 'a', actor = 'who' }\nC = 'c'\n"
    options = ReadOptions(mapping=plan(tmp_path, text), clear_names=True, allow_rejects=True)
    frame = pd.DataFrame(rows, columns=["id", "A", "B", "C", "who"]).melt(
        ["id", "who"], ["B", "A", "C"], "activity", "at"
    )
    frame = frame[frame["at"] != ""].sort_values(["id", "at"], kind="stable")
    if frame.empty:
        return
    log = open_log([path], options)
    who = [
        w or None if a == "A" else None
        for a, w in zip(frame["activity"], frame["who"], strict=True)
    ]
    expected = zip(frame["id"], frame["activity"], map(us, frame["at"]), who, strict=True)
    assert told(log, "case_id", "activity", "at", "actor") == list(expected)
    assert log.meta.rows_in == len(rows) == frame["id"].nunique() + log.meta.rejects.num_rows


# --- a real table


@pytest.mark.skipif(not CSAT.is_file(), reason=f"{CSAT} is missing")
def test_the_table_of_technical_support_is_read_whole() -> None:
    log = open_log([CSAT], ReadOptions(mapping=Path("technical_support")))
    raw = pd.read_csv(CSAT, dtype=str)
    times = {"Register": "Created time", "Diagnose": "First response time",
             "Resolve": "Resolution time", "Close": "Close time"}  # fmt: skip
    assert Counter(log.events["activity"].to_pylist()) == {
        activity: int(raw[name].notna().sum()) for activity, name in times.items()
    }
    assert (log.meta.rows_in, log.n_cases, log.n_events, log.meta.rejects.num_rows) == (
        2_330, 2_330, 7_727, 0,
    )  # fmt: skip
    levels = raw["Priority"].map({"High": "P2", "Medium": "P3", "Low": "P4"})
    assert dict(zip(raw["Ticket ID"], levels, strict=True)) == dict(
        zip(log.cases["case_id"].to_pylist(), log.cases["priority"].to_pylist(), strict=True)
    )
    ordered = [pd.to_datetime(raw[name], format="ISO8601") for name in times.values()]
    before = sum(int((b < a).sum()) for a, b in pairwise(ordered))
    (found,) = (seen for seen in log.meta.seen if seen.code == "QG110")
    assert found.count == before == 62
    assert not set(raw["Agent Name"]) & set(log.events["actor"].to_pylist())
    said = translate(log, load_practices()["incident"])
    assert (said.unmapped, said.updates) == ({}, 0)


def test_a_step_that_the_table_has_no_time_for_is_not_missing(tmp_path: Path) -> None:
    """Nobody is accused of never having classified a ticket whose table has no such column."""
    tickets = table(tmp_path / "t.csv", [row()])
    log = open_log([tickets], ReadOptions(mapping=plan(tmp_path)))
    assert log.meta.recordable == ("Close", "Diagnose", "Register", "Resolve")
    practices = load_practices()
    unseen = translate(log, practices["incident"]).unobserved
    assert {"Classify", "Reopen", "Await customer"} <= set(unseen)
    assert not {"Register", "Resolve"} & set(unseen)
