"""What the tools say of their own service levels, brought into one table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from csi.service_levels.tool_row_file import Declared, load_declared
from csi.service_levels.tool_rows import TOOL_ROWS, Undeclared, tool_rows
from process_mining import schema as s
from process_mining.errors import CodedError, ManyCodedErrors
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DATA = Path(__file__).parents[1] / "data"
EXPORT = Path(__file__).parents[2].parent / "shared" / "data" / "exports" / "servicenow_dbt"
MINUTE, HOUR = s.US_PER_MINUTE, s.US_PER_HOUR


def log_of(
    cases: Sequence[Mapping[str, str | None]], events: Sequence[Mapping[str, str | None]] = ()
) -> EventLog:
    """One case each with its attributes; one event each, or those given, a minute apart."""
    names = sorted({name for case in cases for name in case})
    table: dict[str, Any] = {s.CASE_ID: [f"c{i}" for i in range(len(cases))]}
    table |= {f"attr.{n}": pa.array([c.get(n) for c in cases], pa.string()) for n in names}
    told = events or [{"case": f"c{i}"} for i in range(len(cases))]
    kinds = sorted({name for event in told for name in event} - {"case"})
    rows: dict[str, Any] = {
        s.CASE_ID: [event["case"] for event in told],
        s.ACTIVITY: ["Register"] * len(told),
        s.AT: [MINUTE * place for place in range(len(told))],
    }
    rows |= {f"attr.{n}": pa.array([e.get(n) for e in told], pa.string()) for n in kinds}
    return EventLog.build(pa.table(rows), cases=pa.table(table), meta=LogMeta("test"))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def only(log: EventLog, *declared: Declared) -> dict[str, Any]:
    (row,) = tool_rows(log, declared).table.to_pylist()
    return {name: value for name, value in row.items() if value is not None}


def test_servicenow() -> None:
    told = {
        "sla:Priority 1: fix:stage": "In progress",
        "sla:Priority 1: fix:breached": "false",
        "sla:Priority 1: fix:start": "2024-05-06T08:00:00Z",
        "sla:Priority 1: fix:planned_end": "2024-05-07T08:00:00Z",
        "sla:Priority 1: fix:original_breach": "2024-05-06T16:00:00Z",
        "sla:Priority 1: fix:duration_us": "7200000000",
        "sla:Priority 1: fix:business_duration_us": "3600000000",
        "sla:Priority 1: fix:pause_us": "1800000000",
        "sla:Priority 1: fix:business_pause_us": "900000000",
    }
    seen = {
        "case_id": "c0",
        "source": "servicenow",
        "name": "Priority 1: fix",
        "cycle": 1,
        "start": at("2024-05-06 08:00"),
        "due": at("2024-05-07 08:00"),
        "original_due": at("2024-05-06 16:00"),
        "breached": False,
        "elapsed_us": HOUR,
        "paused_us": 15 * MINUTE,
        "state": "running",
    }
    assert only(log_of([told])) == seen
    declared = Declared("Priority 1: fix", "resolve", counted="calendar")
    ours = {"agreement": "SLA", "metric": "resolve"}
    by_wall = {"elapsed_us": 2 * HOUR, "paused_us": 30 * MINUTE}
    assert only(log_of([told]), declared) == seen | ours | by_wall


def test_the_second_row_of_servicenow_is_the_second_cycle() -> None:
    first = {"sla:Fix:stage": "Cancelled", "sla:Fix#2:stage": "Completed"}
    rows = tool_rows(log_of([first, {"sla:Fix:stage": "Paused"}])).table.to_pylist()
    assert [(row["case_id"], row["name"], row["cycle"], row["state"]) for row in rows] == [
        ("c0", "Fix", 1, "cancelled"),
        ("c0", "Fix", 2, "completed"),
        ("c1", "Fix", 1, "paused"),
    ]


def test_jira() -> None:
    log = open_log([DATA / "jira" / "jsm_search.json"], ReadOptions())
    found = tool_rows(log)
    rows = {(row["case_id"], row["name"]): row for row in found.table.to_pylist()}
    row = rows["SD-2", "Time to resolution"]
    assert (row["cycle"], row["state"], row["breached"]) == (2, "running", False)
    assert (row["start"], row["stop"]) == (at("2024-05-08 08:00"), None)
    assert (row["goal_us"], row["elapsed_us"]) == (4 * HOUR, 10 * MINUTE)
    assert found.undeclared == (
        Undeclared("jira", "Time to first response", 3, ("respond",)),
        Undeclared("jira", "Time to resolution", 2, ("resolve",)),
    )


def test_zendesk() -> None:
    log = open_log(sorted((DATA / "zendesk").glob("*.json")), ReadOptions())
    declared = Declared("reply_time", "respond")
    found = tool_rows(log, [declared])
    reply, wait = found.table.to_pylist()
    assert (reply["name"], reply["cycle"], reply["metric"]) == ("reply_time", 1, "respond")
    assert (reply["due"], reply["stop"]) == (at("2024-05-06 09:00"), at("2024-05-06 10:00"))
    assert (reply["goal_us"], reply["elapsed_us"], reply["breached"]) == (HOUR, 2 * HOUR, True)
    # Counted without a policy: nothing was promised, so nothing is kept or broken.
    assert (wait["breached"], wait["state"]) == (None, "running")
    assert [one.name for one in found.undeclared] == ["requester_wait_time"]


def test_zendesk_says_no_elapsed_time_where_its_two_differ() -> None:
    clock = {
        "sla:agent_work_time:2:activate": "2024-05-06T08:00:00Z",
        "sla:agent_work_time:2:policy": "Gold",
        "sla:agent_work_time:2:calendar": "90",
        "sla:agent_work_time:2:business": "30",
    }
    log = log_of([clock])
    assert "elapsed_us" not in only(log)
    assert only(log)["cycle"] == 2
    declared = Declared("agent_work_time", "resolve", counted="business")
    assert only(log, declared)["elapsed_us"] == 30 * MINUTE


@pytest.mark.skipif(not EXPORT.is_dir(), reason="the ServiceNow export is missing")
def test_a_real_export_of_servicenow() -> None:
    log = open_log([EXPORT / "task_data.csv", EXPORT / "task_sla_data.csv"], ReadOptions())
    row = only(log)
    assert (row["case_id"], row["state"], row["breached"]) == ("CHG0000002", "cancelled", False)
    assert row["due"] == row["original_due"] == at("2016-12-15 08:30")


COLUMNS = Declared(
    "resolution",
    "resolve",
    columns=(("due", "due by"), ("outcome", "verdict")),
    met=("in time",),
    breached=("late",),
    open=("pending",),
    zone="Europe/Berlin",
    format="%d.%m.%Y %H:%M",
)


def test_columns() -> None:
    log = log_of(
        [
            {"due by": "06.05.2024 10:00", "verdict": "in time"},
            {"due by": "06.01.2024 10:00", "verdict": "late"},
            {"due by": None, "verdict": "pending"},
            {"due by": None, "verdict": None},
        ]
    )
    rows = tool_rows(log, [COLUMNS]).table.to_pylist()
    assert [(row["case_id"], row["due"], row["breached"]) for row in rows] == [
        ("c0", at("2024-05-06 08:00"), False),
        ("c1", at("2024-01-06 09:00"), True),
        ("c2", None, None),
    ]
    assert tool_rows(log, [COLUMNS]).undeclared == ()


def test_the_last_event_that_says_something_tells_the_outcome() -> None:
    events = [
        {"case": "c0", "made_sla": "true"},
        {"case": "c0", "made_sla": "false"},
        {"case": "c0", "made_sla": None},
    ]
    flag = Declared(
        "flag", "resolve", columns=(("outcome", "made_sla"),), at="last event",
        met=("true",), breached=("false",),
    )  # fmt: skip
    log = log_of([{}], events)
    assert only(log, flag)["breached"] is True
    assert tool_rows(log).undeclared == (Undeclared("event column", "made_sla", 1, ("resolve",)),)


def test_rows_of_some_cases() -> None:
    log = log_of([{"sla:Fix:stage": "Completed"}, {"sla:Fix:stage": "Completed"}])
    some = tool_rows(log).among(log_of([{}]))
    assert some.table["case_id"].to_pylist() == ["c0"]
    assert some.table.schema == TOOL_ROWS


def test_all_mistakes_of_a_log_at_once() -> None:
    log = log_of(
        [
            {"due by": "2024-05-06", "verdict": "perhaps", "sla:Fix:stage": "x"},
            {"sla:Fix:start": "yesterday", "sla:Fix:duration_us": "2 h"},
        ]
    )
    other = Declared("Fixes", "resolve")
    absent = Declared("none", "respond", columns=(("due", "due"),), zone="UTC")
    with pytest.raises(ManyCodedErrors) as caught:
        tool_rows(log, [COLUMNS, other, absent])
    said = [str(error) for error in caught.value.errors]
    assert sorted(error.code for error in caught.value.errors) == [
        "SL244", "SL244", "SL245", "SL246", "SL246", "SL246",
    ]  # fmt: skip
    assert any("Did you mean 'Fix'?" in line for line in said)
    assert any("Did you mean 'due by'?" in line for line in said)


GOOD = """
[[tool_row]]
name = "resolution"
metric = "resolve"
due = "due by"
outcome = "verdict"
met = ["in time"]
breached = ["late"]
zone = "Europe/Berlin"

[[tool_row]]
name = "Priority 1 response"
metric = "respond"
target = "incident-p1-respond"
"""


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tool.toml"
    path.write_text(GOOD)
    columns, row = load_declared(path, levels=load_service_levels())
    assert columns.columns == (("due", "due by"), ("outcome", "verdict"))
    assert row == Declared("Priority 1 response", "respond", target="incident-p1-respond")


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ('metric = "resolve"', 'metric = "resolv"', "SL241", "Did you mean 'resolve'?"),
        ("due =", "du =", "SL241", "Did you mean 'due'?"),
        ('met = ["in time"]', "met = []", "SL241", "`outcome` needs `met` and `breached`"),
        ('breached = ["late"]', 'breached = ["in time"]', "SL241", "stands twice"),
        ('outcome = "verdict"\n', "", "SL241", "give `outcome`"),
        ('"Priority 1 response"', '"resolution"', "SL242", "stands twice"),
        ("incident-p1-respond", "incident-p1-resolve", "SL243", "is SLA resolve"),
        ("incident-p1-respond", "incident-p1-respon", "SL243", "Did you mean"),
        ("Europe/Berlin", "Europe/Berli", "SL247", "Did you mean 'Europe/Berlin'?"),
        ("zone =", 'format = "%d.%m.%Y"\nzone =', "SL247", "has no clock"),
        ('zone = "Europe/Berlin"', 'format = "%d.%m.%Y %H:%M"', "SL247", "state no offset"),
        ("zone =", 'format = "%q"\nzone =', "SL247", "%q is not read"),
        ("[[tool_row]]", "[[tool_row", "SL240", "is no TOML"),
        ("[[tool_row]]", "[tool_row.x]", "SL2", ""),
    ],
)
def test_mistakes_of_a_file(tmp_path: Path, old: str, new: str, code: str, says: str) -> None:
    path = tmp_path / "tool.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(CodedError) as caught:
        load_declared(path, levels=load_service_levels())
    assert caught.value.code.startswith(code)
    assert says in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match="SL240"):
        load_declared(tmp_path / "none.toml")


def test_all_mistakes_of_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tool.toml"
    path.write_text(GOOD.replace("due =", "du =").replace("incident-p1-respond", "p1"))
    with pytest.raises(ManyCodedErrors) as caught:
        load_declared(path, levels=load_service_levels())
    assert {error.code for error in caught.value.errors} == {"SL241", "SL243"}
