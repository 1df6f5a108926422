"""Do ServiceNow's tables come out as the log of what happened, and nothing as a guess?"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, open_log, sources
from process_mining.sources._files import head_of
from rules.practice import load_practices, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from process_mining.eventlog import EventLog

HERE = Path(__file__).parent
ROSETTA = sorted((HERE.parent / "data" / "rosetta").glob("servicenow*"))
SHARED = HERE.parents[1].parent / "shared" / "data"
EXPORTS = SHARED / "exports"
IBM = EXPORTS / "servicenow_ibm_incidents_REST.csv"
FIVETRAN = EXPORTS / "servicenow_dbt"
SEEDS = EXPORTS / "fivetran_dbt_servicenow" / "integration_tests" / "seeds"
ELASTIC = EXPORTS / "servicenow_samples" / "elastic_excerpt.ndjson"
needs_data = pytest.mark.skipif(not EXPORTS.exists(), reason="shared/data is missing")

DESK, NETWORK = "d" * 32, "e" * 32
OPENED = datetime(2024, 3, 4, 9, tzinfo=UTC)


def sys_id(number: int) -> str:
    return f"{number:032x}"


def raw(minutes: float) -> str:
    return (OPENED + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")


def us(minutes: float) -> int:
    return int((OPENED + timedelta(minutes=minutes)).timestamp()) * 1_000_000


def incident(index: int = 1, /, **cells: str) -> dict[str, str]:
    row = {
        "number": f"INC{index:07}",
        "sys_id": sys_id(index),
        "opened_at": raw(0),
        "state": "2",
        "priority": "3",
        "assignment_group": NETWORK,
        "sys_created_by": "ana",
        "sys_mod_count": "0",
    }
    return row | cells


def audit(  # noqa: PLR0913 - the columns of an audit row
    minutes: float,
    field: str,
    old: str,
    new: str,
    *,
    ticket: int = 1,
    save: int | str = "",
    order: str = "",
    user: str = "ben",
    table: str = "incident",
) -> dict[str, str]:
    return {
        "tablename": table,
        "documentkey": sys_id(ticket),
        "fieldname": field,
        "oldvalue": old,
        "newvalue": new,
        "user": user,
        "sys_created_on": raw(minutes),
        "record_checkpoint": str(save),
        "internal_checkpoint": order,
    }


def table(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def opened(folder: Path, mapping: str = "", **options: Any) -> EventLog:  # noqa: ANN401 - ReadOptions
    """Read every file of a folder, the tables in it."""
    files = sorted(path for path in folder.iterdir() if path.suffix != ".toml")
    if mapping:
        options["mapping"] = text(folder / "m.toml", f'name = "desk"\n{mapping}')
    return open_log(files, ReadOptions(clear_names=True, **options))


def story(log: EventLog, case: str = "INC0000001") -> list[tuple[str, Any, Any, Any]]:
    events = log.events.filter(pc.equal(log.events["case_id"], case)).to_pylist()
    return [(e["activity"], e["actor"], e["team"], e.get("attr.changed")) for e in events]


def case_of(log: EventLog, case: str = "INC0000001") -> dict[str, Any]:
    row: dict[str, Any] = log.cases.filter(pc.equal(log.cases["case_id"], case)).to_pylist()[0]
    return row


def seen(log: EventLog) -> dict[str, int]:
    return {item.code: item.count for item in log.meta.seen}


# --- the story that every tool tells


def reference() -> EventLog:
    spec = importlib.util.spec_from_file_location("rosetta_story", HERE / "rosetta_story.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    log: EventLog = module.reference()
    return log


def rosetta(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".toml")


@pytest.mark.parametrize("folder", ROSETTA, ids=lambda folder: folder.name)
def test_raw_tables_rest_answers_and_lists_tell_one_story(folder: Path) -> None:
    log = open_log(rosetta(folder), ReadOptions(mapping=folder / "mapping.toml"))
    assert log.meta.sha256 == reference().meta.sha256
    assert log.meta.source == "servicenow"
    assert log.meta.seen == ()


def test_there_are_three_ways_to_export_the_story() -> None:
    assert [folder.name for folder in ROSETTA] == [
        "servicenow_csv",
        "servicenow_display",
        "servicenow_json",
    ]


@pytest.mark.parametrize("folder", ROSETTA, ids=lambda folder: folder.name)
def test_only_this_source_knows_its_files(folder: Path) -> None:
    for path in rosetta(folder):
        fits = {name for name, source in sources().items() if source.sniff(path, head_of(path))}
        assert fits - {"csv_mapped"} == {"servicenow"}, path.name


@needs_data
def test_it_takes_no_file_of_another_tool() -> None:
    source = sources()["servicenow"]
    taken = set()
    for path in sorted(path for path in SHARED.rglob("*") if path.is_file()):
        try:
            head = head_of(path)
        except CodedError:
            continue
        if source.sniff(path, head):
            taken.add(path)
    ours = {path for path in EXPORTS.rglob("*") if "servicenow" in str(path.relative_to(SHARED))}
    files = {path for path in ours if path.suffix in {".csv", ".ndjson"}}
    assert taken == files


# --- the audit on the command line


@pytest.mark.parametrize("folder", ROSETTA[:1], ids=lambda folder: folder.name)
def test_an_audit_runs_end_to_end(folder: Path, tmp_path: Path) -> None:
    args = [*map(str, rosetta(folder)), "--mapping", str(folder / "mapping.toml")]
    out = tmp_path / "out"
    command = [str(Path(sys.executable).with_name("trueloop")), "audit", *args, "--out", str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    conformance = summary["conformance"][0]
    assert (conformance["practice"], conformance["cases"]) == ("incident", 1)
    assert conformance["fitting_cases"] == 1


@pytest.mark.parametrize(
    ("practice", "words"),
    [
        ("incident", ["New", "In Progress", "On Hold", "Resolved", "Closed", "Canceled"]),
        ("incident", ["1", "2", "3", "6", "7", "8"]),
        ("problem", ["New", "Assess", "Root Cause Analysis", "Fix in Progress", "Closed"]),
        ("problem", ["101", "102", "103", "104", "106", "107"]),
        ("incident", ["Opened", "Resolved", "Closed"]),
    ],
)
def test_the_states_as_delivered_are_known_words(practice: str, words: list[str]) -> None:
    known = {v.name: v for v in load_practices()[practice].vocabularies}["servicenow"]
    assert set(words) <= set(known.words)


def test_numbers_and_labels_of_states_mean_the_same(tmp_path: Path) -> None:
    practice = load_practices()["incident"]
    table(tmp_path / "incident.csv", [incident(state="7")])
    rows = [audit(5, "state", "1", "2"), audit(9, "state", "2", "6"), audit(30, "state", "6", "7")]
    table(tmp_path / "sys_audit.csv", rows)
    done = translate(opened(tmp_path), practice)
    assert done.vocabulary.name == "servicenow"
    said = done.log.events["activity"].to_pylist()
    assert said == ["Register", "Diagnose", "Resolve", "Close"]
    assert done.unmapped == {}


# --- real exports


@needs_data
def test_the_incidents_of_the_rest_interface_are_read_whole() -> None:
    log = open_log([IBM])
    assert (log.n_cases, log.meta.rows_in, log.meta.rejects.num_rows) == (67, 67, 0)
    with IBM.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    stamps = [row[name] for row in rows for name in ("opened_at", "resolved_at", "closed_at")]
    assert log.n_events == sum(bool(stamp) for stamp in stamps)
    first = case_of(log, "INC0000060")
    assert (
        first["opened"] == int(datetime(2016, 12, 12, 15, 19, 57, tzinfo=UTC).timestamp()) * 10**6
    )
    assert (first["practice"], first["priority"], first["category"]) == (
        "incident",
        "P3",
        "inquiry",
    )
    assert seen(log) == {"QG148": 67}
    parents = {row["number"]: row["parent_incident"] for row in rows if row["parent_incident"]}
    assert log.links.num_rows == len(parents) == 1
    assert log.links["linked_to"][0].as_py() == "INC0007001"


@needs_data
@pytest.mark.parametrize(("folder", "rows"), [(FIVETRAN, 52), (SEEDS, 53)])
def test_all_tables_of_fivetran_are_read_together(folder: Path, rows: int) -> None:
    files = sorted(folder.glob("*.csv"))
    log = open_log(files)
    assert log.meta.rows_in == rows
    assert log.meta.rejects.num_rows == 0
    practices = sorted(log.cases["practice"].to_pylist())
    assert practices == [
        "change",
        "change",
        "change_task",
        "incident",
        "problem",
        "problem_task",
    ]
    links = {tuple(row.values())[1:3] for row in log.links.to_pylist()}
    assert ("a9e4890bc6112276003d7a5a5c774a74", "problem") in links
    change = case_of(log, "CHG0000002")
    assert (change["priority"], change["practice"]) == ("P4", "change")
    sla = "attr.sla:d1524982d732220035ae23c7ce61035d:"
    assert change[f"{sla}duration_us"] == str((2 * 3600 + 37 * 60 + 3) * 10**6)
    assert change[f"{sla}breached"] == "false"
    assert change[f"{sla}planned_end"] == "2016-12-15T08:30:00Z"
    notes = "\n".join(log.meta.notes)
    assert "sys_choice_data.csv: 3 rows were deleted in ServiceNow" in notes
    for lookup in ("sys_user_role_data.csv", "cmdb_ci_data.csv", "sys_user_grmember_data.csv"):
        assert f"{lookup}: a lookup table, nothing of it is used" in notes


@needs_data
def test_every_table_of_fivetran_alone_is_a_log_or_one_error() -> None:
    said: dict[str, int | str] = {}
    for path in sorted(FIVETRAN.glob("*.csv")):
        try:
            said[path.stem.removesuffix("_data")] = open_log([path]).n_cases
        except CodedError as error:
            said[path.stem.removesuffix("_data")] = error.code
    assert {name for name, what in said.items() if what == 1} == {
        *("change_request", "change_task", "incident", "problem", "problem_task", "task")
    }
    assert {what for what in said.values() if what != 1} == {"LG085"}
    assert len(said) == 16


@needs_data
def test_mixed_stamps_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG083 elastic_excerpt\.ndjson, opened_at") as caught:
        open_log([ELASTIC])
    assert caught.value.exit_code == 2
    mapping = text(
        tmp_path / "m.toml",
        'name = "us"\n[time]\nformat = "%m/%d/%Y %H:%M:%S"\ntimezone = "America/Los_Angeles"\n',
    )
    with pytest.raises(RunError, match=r"LG035 1 of 3 rows .* line 2: LG104 .*24\.10\.2023"):
        open_log([ELASTIC], ReadOptions(mapping=mapping))
    log = open_log([ELASTIC], ReadOptions(mapping=mapping, allow_rejects=True))
    assert log.cases["case_id"].to_pylist() == ["CHG0000024", "INC0000060"]
    incident_opened = datetime(2016, 12, 12, 15, 19, 57, tzinfo=UTC)
    assert case_of(log, "INC0000060")["opened"] == int(incident_opened.timestamp()) * 10**6


# --- history


def test_saves_become_updates_in_the_tools_order(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(state="6")])
    rows = [
        audit(10, "state", "1", "2", save=1, order="0a"),
        audit(10, "incident_state", "1", "2", save=1, order="0a"),
        audit(10, "assigned_to", "", sys_id(77), save=1, order="0a"),
        audit(20, "assignment_group", DESK, NETWORK, save=3, order="10", user="eve"),
        audit(20, "work_notes", "", "looking", save=2, order="0f"),
        audit(20, "comments", "", "hello", save=2, order="0f"),
        audit(30, "state", "2", "6", save=4, order="11"),
        audit(30.5, "close_code", "", "Solved", save=4, order="12"),
    ]
    groups = [{"sys_id": DESK, "name": "Desk", "manager": "", "sys_created_on": raw(0)}]
    table(tmp_path / "group.csv", groups)
    Random(7).shuffle(rows)  # noqa: S311 - any order will do
    table(tmp_path / "sys_audit.csv", rows)
    log = opened(tmp_path)
    assert story(log) == [
        ("1", "ana", "Desk", None),
        ("2", "ben", "Desk", "assignee,state"),
        ("2", "ben", "Desk", "comment"),
        ("2", "eve", NETWORK, "team"),
        ("6", "ben", NETWORK, "close_code,state"),
    ]
    assert [e["at"] for e in log.events.to_pylist()][-1] == us(30)
    assert seen(log) == {}
    whole = "\n".join((log.to_pandas().to_csv(), log.cases.to_pandas().to_csv()))
    assert "looking" not in whole
    assert sys_id(77) not in whole


def test_one_checkpoint_hours_apart_is_two_saves(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(state="6")])
    rows = [audit(10, "state", "1", "2", save=1), audit(90, "state", "2", "6", save=1)]
    table(tmp_path / "sys_audit.csv", rows)
    assert [word for word, *_ in story(opened(tmp_path))] == ["1", "2", "6"]


def test_a_choice_table_gives_the_words_in_english(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(category="vpn_x")])
    table(tmp_path / "sys_audit.csv", [audit(10, "state", "1", "2")])
    words = [("1", "New", "en"), ("2", "In Progress", "en"), ("1", "Neu", "de")]
    choice = {"name": "incident", "element": "state", "inactive": "false"}
    rows = [choice | {"value": v, "label": w, "language": k} for v, w, k in words]
    other = {"element": "category", "value": "vpn_x", "label": "VPN", "language": "fr"}
    table(tmp_path / "sys_choice.csv", [*rows[::-1], choice | other])
    log = opened(tmp_path)
    assert [word for word, *_ in story(log)] == ["New", "In Progress"]
    assert case_of(log)["category"] == "VPN"


def test_rows_of_tickets_that_are_not_there_are_refused(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    rows = [audit(10, "state", "1", "2"), audit(10, "state", "1", "2", ticket=9)]
    rows += [audit(1, "u_x", "", "1", ticket=8, table="cmdb_ci_server"), audit(2, "state", "", "")]
    table(tmp_path / "sys_audit.csv", [*rows, audit(3, "", "", "1")])
    with pytest.raises(RunError, match=r"LG035 2 of 6 rows .* line 3: LG155.*line 6: LG158"):
        opened(tmp_path)
    log = opened(tmp_path, allow_rejects=True)
    assert log.meta.rejects["code"].to_pylist() == ["LG155", "LG158"]
    assert log.n_cases == 1
    assert "1 rows of the history of cmdb_ci_server: not used" in log.meta.notes


def test_the_history_of_deleted_tickets_is_left_out(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    gone = audit(30, "DELETED", "DELETED", "DELETED", ticket=9, save=-1)
    rows = [audit(10, "state", "1", "2"), audit(10, "state", "1", "2", ticket=9), gone]
    table(tmp_path / "sys_audit.csv", rows)
    log = opened(tmp_path)
    assert log.n_cases == 1
    said = "2 rows of the history of tickets that were deleted in ServiceNow: not used"
    assert said in log.meta.notes


def test_an_audit_without_tickets_names_cases_by_their_sys_id(tmp_path: Path) -> None:
    rows = [audit(10, "state", "1", "2"), audit(12, "state", "2", "6")]
    table(tmp_path / "sys_audit.csv", rows)
    log = opened(tmp_path)
    assert story(log, sys_id(1)) == [("2", "ben", None, "state"), ("6", "ben", None, "state")]
    assert case_of(log, sys_id(1))["practice"] == "incident"
    assert seen(log) == {"QG145": 1}


def test_gaps_and_cuts_of_the_audit_are_seen(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(1, state="7"), incident(2, state="2")])
    rows = [audit(10, "state", "1", "2"), audit(20, "state", "3", "6")]
    table(tmp_path / "sys_audit.csv", [*rows, audit(9, "state", "1", "2", ticket=2)])
    log = opened(tmp_path)
    assert seen(log) == {"QG146": 1, "QG147": 1}
    assert {item.cases for item in log.meta.seen} == {("INC0000001",)}


def metric(minutes: float, field: str, value: str, label: str, ticket: int = 1) -> dict[str, str]:
    return {
        "definition": "Incident State Duration",
        "id": sys_id(ticket),
        "table": "incident",
        "field": field,
        "field_value": value,
        "value": label,
        "start": raw(minutes),
        "end": "",
        "calculation_complete": "true",
        "business_duration": "1970-01-01 00:10:00",
    }


def test_metrics_tell_states_and_teams_where_no_audit_does(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(state="6"), incident(2, state="2")])
    rows = [
        metric(30, "incident_state", "6", "Resolved"),
        metric(0.2, "incident_state", "1", "New"),
        metric(10, "incident_state", "2", "In Progress"),
        metric(10, "assignment_group", NETWORK, "Network"),
        metric(9, "assigned_to", sys_id(77), "Ana Meyer"),
        metric(0, "incident_state", "2", "In Progress", ticket=2),
    ]
    table(tmp_path / "metric_instance.csv", rows)
    log = opened(tmp_path)
    assert story(log) == [
        ("New", "ana", None, None),
        ("In Progress", None, "Network", "state,team"),
        ("Resolved", None, "Network", "state"),
    ]
    assert story(log, "INC0000002") == [("In Progress", "ana", "Network", None)]
    assert "1 metrics of other fields: not used" in log.meta.notes
    assert seen(log) == {}


def test_metrics_that_begin_late_leave_the_first_state_open(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    table(tmp_path / "metric_instance.csv", [metric(60, "state", "2", "In Progress")])
    log = opened(tmp_path)
    assert [word for word, *_ in story(log)] == ["In Progress"]
    assert seen(log) == {"QG145": 1}


def test_an_approval_is_an_update_by_the_approver(tmp_path: Path) -> None:
    change = incident(5, number="CHG0000005", opened_at=raw(0), closed_at=raw(90), state="3")
    table(tmp_path / "change_request.csv", [change | {"sys_class_name": "change_request"}])
    approval = {
        "sys_id": sys_id(50),
        "sysapproval": sys_id(5),
        "approver": sys_id(51),
        "state": "approved",
        "sys_created_on": raw(10),
        "sys_created_by": "flow",
        "sys_updated_on": raw(40),
        "sys_updated_by": "carl",
    }
    cancelled = approval | {"sys_id": sys_id(52), "state": "not_required", "sys_updated_by": "flow"}
    table(tmp_path / "sysapproval_approver.csv", [approval, cancelled])
    users = [{"sys_id": sys_id(51), "user_name": "carl", "name": "C", "email": ""}]
    table(tmp_path / "sys_user.csv", users)
    log = opened(tmp_path)
    assert story(log, "CHG0000005") == [
        ("Opened", "ana", None, None),
        ("Opened", "flow", None, "approval"),
        ("Opened", "flow", None, "approval"),
        ("Opened", "carl", None, "approval"),
        ("Opened", "flow", None, "approval"),
        ("Closed", None, NETWORK, None),
    ]
    kept = [e["attr.approval"] for e in log.events.to_pylist()]
    assert kept == [None, "requested", "requested", "approved", "not_required", None]
    assert case_of(log, "CHG0000005")["practice"] == "change"
    assert seen(log) == {"QG148": 1}


def test_slas_and_surveys_stay_with_the_case(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    sla = {
        "task": sys_id(1),
        "sla": sys_id(60),
        "stage": "completed",
        "has_breached": "TRUE",
        "start_time": raw(0),
        "planned_end_time": raw(60),
        "business_duration": "1970-01-02 09:46:18",
        "business_percentage": "1,020.5",
    }
    table(tmp_path / "task_sla.csv", [sla | {"start_time": raw(5), "stage": "cancelled"}, sla])
    definition = {"sys_id": sys_id(60), "name": "P3 resolve", "sys_created_on": raw(0)}
    table(tmp_path / "contract_sla.csv", [definition])
    survey = {
        "number": "AINST0001",
        "sys_id": sys_id(70),
        "metric_type": sys_id(71),
        "trigger_id": sys_id(1),
        "state": "complete",
        "taken_on": raw(200),
        "sys_created_on": raw(100),
    }
    table(tmp_path / "asmt_assessment_instance.csv", [survey])
    answer = {"instance": sys_id(70), "metric": sys_id(72), "actual_value": "4"}
    lost = answer | {"instance": sys_id(99)}
    table(tmp_path / "asmt_metric_result.csv", [answer | {"string_value": "thanks"}, lost])
    names = {sys_id(71): "Satisfaction", sys_id(72): "Overall"}
    rows = [{"sys_id": key, "name": name, "sys_created_on": raw(0)} for key, name in names.items()]
    table(tmp_path / "asmt_metric.csv", rows)
    log = opened(tmp_path, allow_rejects=True)
    case = {name.removeprefix("attr."): value for name, value in case_of(log).items()}
    assert case["sla:P3 resolve:stage"] == "completed"
    assert case["sla:P3 resolve#2:stage"] == "cancelled"
    assert case["sla:P3 resolve:breached"] == "true"
    assert case["sla:P3 resolve:business_duration_us"] == str((33 * 3600 + 46 * 60 + 18) * 10**6)
    assert case["sla:P3 resolve:planned_end"] == "2024-03-04T10:00:00Z"
    assert case["survey:Satisfaction:answered"] == "2024-03-04T12:20:00Z"
    assert case["survey:Satisfaction:score:Overall"] == "4"
    assert log.meta.rejects["code"].to_pylist() == ["LG155"]
    assert log.meta.rows_in == 9


# --- values


@pytest.mark.parametrize(
    ("cell", "priority"),
    [
        ("4", "P4"),
        ("4 - Low", "P4"),
        ("1 - Critical", "P1"),
        ("UNKNOWN", None),
        ("Urgent", "Urgent"),
    ],
)
def test_the_leading_digit_is_the_priority(tmp_path: Path, cell: str, priority: str | None) -> None:
    table(tmp_path / "incident.csv", [incident(priority=cell)])
    assert case_of(opened(tmp_path, timezone="UTC"))["priority"] == priority


def test_a_mapping_says_what_only_the_desk_can_say(tmp_path: Path) -> None:
    own = {
        "u_stage": "fix",
        "u_squad": "red",
        "reassignment_count": "2,000",
        "caller_id": "Eve Abel",
    }
    row = incident(**own, business_duration="1970-01-02 00:00:01", impact="NULL")
    table(tmp_path / "incident.csv", [row])
    table(tmp_path / "sys_audit.csv", [audit(5, "u_stage", "new", "fix")])
    log = opened(
        tmp_path,
        "notes = ['from the desk']\n[words]\nfix = 'Mend'\n[priorities]\n3 = 'P1'\n"
        "[practices]\nincident = 'outage'\n[fields]\nstate = 'u_stage'\nteam = 'u_squad'\n"
        "attributes = ['reassignment_count', 'impact', 'business_duration']\n"
        "people = ['caller_id']\n",
    )
    assert story(log) == [("new", "ana", "red", None), ("Mend", "ben", "red", "state")]
    case = case_of(log)
    assert (case["practice"], case["priority"]) == ("outage", "P1")
    assert (case["attr.reassignment_count"], case.get("attr.impact")) == ("2000", None)
    assert case["attr.business_duration_us"] == str(86_401 * 10**6)
    assert log.meta.notes[0] == "from the desk"


def test_people_stay_pseudonyms_even_if_asked_for(tmp_path: Path) -> None:
    row = incident(caller_id="Eve Abel", assigned_to="Zoe Zander", opened_by="Ana Meyer")
    table(tmp_path / "incident.csv", [row])
    mapping = text(tmp_path / "m.toml", 'name = "d"\n[fields]\nattributes = ["caller_id"]\n')
    log = open_log([tmp_path / "incident.csv"], ReadOptions(mapping=mapping))
    whole = log.to_pandas().to_csv() + log.cases.to_pandas().to_csv()
    assert not any(name in whole for name in ("Eve", "Zoe", "Meyer", "ana,"))
    assert case_of(log)["attr.caller_id"].startswith("p-")


def test_a_field_that_no_table_has_is_an_error(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    with pytest.raises(CodedError, match=r"LG041 .*'asignment_group'.*Did you mean 'assignment_gr"):
        opened(tmp_path, "[fields]\nteam = 'asignment_group'\n")


def test_links_name_tickets_by_number(tmp_path: Path) -> None:
    problem = incident(2, number="PRB0000002", state="103")
    row = incident(problem_id=sys_id(2), rfc=sys_id(3), parent_incident="INC0000009")
    table(tmp_path / "incident.csv", [row])
    table(tmp_path / "problem.csv", [problem | {"known_error": "false", "rfc": sys_id(3)}])
    task = incident(4, number="PTASK0000004", problem=sys_id(2), problem_task_type="rca")
    table(tmp_path / "problem_task.csv", [task])
    links = {tuple(link.values())[:3] for link in opened(tmp_path).links.to_pylist()}
    assert links == {
        ("INC0000001", "PRB0000002", "problem"),
        ("INC0000001", sys_id(3), "change"),
        ("INC0000001", "INC0000009", "parent"),
        ("PRB0000002", sys_id(3), "change"),
        ("PTASK0000004", "PRB0000002", "parent"),
    }


# --- times


def test_a_display_export_needs_its_zone(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(priority="3 - Moderate", assignment_group="Net")])
    with pytest.raises(CodedError, match=r"LG083 incident\.csv, opened_at: no zone .*3 - Moderate"):
        opened(tmp_path)
    berlin = opened(tmp_path, timezone="Europe/Berlin")
    assert case_of(berlin)["opened"] == us(-60)


def test_raw_values_are_utc_whatever_zone_is_declared(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    assert case_of(opened(tmp_path, timezone="Europe/Berlin"))["opened"] == us(0)


def test_an_audit_has_the_zone_of_the_tickets_beside_it(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident()])
    table(tmp_path / "sys_audit.csv", [audit(10, "state", "1", "2")])
    log = opened(tmp_path, timezone="Europe/Berlin")
    assert log.events["at"].to_pylist() == [us(0), us(10)]
    assert log.meta.timezone == "UTC"
    assert "sys_audit.csv: raw values, read in UTC and not in Europe/Berlin" in log.meta.notes
    table(tmp_path / "incident.csv", [incident(priority="3 - Moderate", assignment_group="Net")])
    local = opened(tmp_path, timezone="Europe/Berlin")
    assert local.events["at"].to_pylist() == [us(-60), us(-50)]
    assert local.meta.timezone == "Europe/Berlin"


def test_a_declared_format_needs_a_zone(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(opened_at="04.03.2024 09:00:00")])
    declared = '[time]\nformat = "%d.%m.%Y %H:%M:%S"\n'
    with pytest.raises(CodedError, match=r"LG083 incident\.csv, opened_at: no zone is declared"):
        opened(tmp_path, declared)
    log = opened(tmp_path, f'{declared}timezone = "America/New_York"\n')
    assert case_of(log)["opened"] == us(5 * 60)


def test_a_stamp_unlike_the_others_is_a_reject(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(), incident(2, opened_at="04/03/2024 09:00:00")])
    with pytest.raises(RunError, match=r"LG035 1 of 2 rows.* line 3: LG104 opened_at '04/03/2024"):
        opened(tmp_path)


def test_a_clock_change_is_decided_by_policy_and_counted(tmp_path: Path) -> None:
    table(tmp_path / "incident.csv", [incident(opened_at="27.10.2024 02:30:00", state="Closed")])
    declared = '[time]\nformat = "%d.%m.%Y %H:%M:%S"\ntimezone = "Europe/Berlin"\n'
    with pytest.raises(RunError, match="LG106"):
        opened(tmp_path, declared)
    log = opened(tmp_path, f'{declared}ambiguous = "later"\n')
    assert seen(log)["QG111"] == 1


# --- tables and files


def test_tables_of_one_ticket_are_joined_by_sys_id(tmp_path: Path) -> None:
    shared = {"sys_id": sys_id(1), "sys_updated_on": raw(5), "_fivetran_deleted": "FALSE"}
    gone = shared | {"sys_id": sys_id(2), "_fivetran_deleted": "TRUE"}
    own = {"incident_state": "2", "category": "vpn", "problem_id_link": "x", "problem_id_value": ""}
    table(tmp_path / "incident_data.csv", [shared | own, gone | own])
    task = {"number": "INC0000001", "opened_at": raw(0), "priority": "2", "state": "2"}
    table(tmp_path / "task_data.csv", [shared | task | {"sys_class_name": "incident"}])
    log = opened(tmp_path)
    case = case_of(log)
    assert (case["category"], case["priority"], case["practice"]) == ("vpn", "P2", "incident")
    assert (log.n_cases, log.meta.rows_in) == (1, 3)
    assert "incident_data.csv: 1 rows were deleted in ServiceNow: left out" in log.meta.notes
    row = task | {"number": "INC0000001", "priority": "4", "sys_class_name": "incident"}
    table(tmp_path / "task_data.csv", [shared | task | row, shared | task])
    with pytest.raises(RunError, match=r"LG080 ticket .* differ in priority"):
        opened(tmp_path)


def test_pages_that_overlap_count_once(tmp_path: Path) -> None:
    rows = [incident(number) for number in range(1, 4)]
    page = text(tmp_path / "1.json", json.dumps({"result": rows[:2]}))
    text(tmp_path / "2.json", json.dumps({"result": rows[1:]}, indent=1))
    log = opened(tmp_path)
    assert (log.n_cases, log.meta.rows_in) == (3, 4)
    assert "1 records stand in the export more than once" in log.meta.notes
    assert page.exists()


@pytest.mark.parametrize("count", [1_000, 10_000, 999])
def test_a_round_number_of_rows_is_reported_for_each_file(tmp_path: Path, count: int) -> None:
    rows = [audit(n, "work_notes", "", "x", save=n, order=f"{n:x}") for n in range(count)]
    table(tmp_path / "incident.csv", [incident()])
    table(tmp_path / "sys_audit.csv", rows)
    found = [item for item in opened(tmp_path).meta.seen if item.code == "QG140"]
    expected = [] if count == 999 else [(count, "sys_audit.csv", None)]
    assert [(item.count, item.subject, item.cases) for item in found] == expected


@pytest.mark.parametrize(
    ("number", "cls", "practice"),
    [
        ("PRB0000001", "", "problem"),
        ("RITM0000001", "", "service_request"),
        ("SCTASK0000001", "", "sc_task"),
        ("X1", "Requested Item", "service_request"),
        ("X1", "u_facility_case", "u_facility_case"),
        ("X1", "Change Request", "change"),
    ],
)
def test_number_or_class_tell_the_practice(
    tmp_path: Path, number: str, cls: str, practice: str
) -> None:
    table(tmp_path / "t.csv", [incident(number=number, sys_class_name=cls)])
    assert case_of(opened(tmp_path), number)["practice"] == practice


def test_a_table_that_cannot_be_known_is_an_error(tmp_path: Path) -> None:
    table(tmp_path / "t.csv", [incident(number="HRC0000001")])
    with pytest.raises(CodedError, match=r"LG084 t\.csv .*\[practices\] HRC"):
        opened(tmp_path)
    log = opened(tmp_path, '[practices]\nHRC = "hr_case"\n')
    assert case_of(log, "HRC0000001")["practice"] == "hr_case"


def test_a_list_of_the_user_interface_needs_no_sys_id(tmp_path: Path) -> None:
    row = {
        "number": "INC0000001",
        "opened_at": "2024-03-04 10:00:00",
        "short_description": "x; y",
        "caller_id": "Eve Abel",
        "priority": "2 - High",
        "state": "In Progress",
        "assignment_group": "Network",
    }
    packed = gzip.compress(table(tmp_path / "t.csv", [row]).read_bytes())
    (tmp_path / "t.csv").write_bytes(packed)
    log = opened(tmp_path, timezone="Europe/Berlin")
    assert (case_of(log)["opened"], case_of(log)["priority"]) == (us(0), "P2")


def test_a_table_of_updates_is_left_to_a_mapping(tmp_path: Path) -> None:
    row = incident(caller_id="x", short_description="y", sys_updated_on=raw(1))
    del row["sys_id"]
    path = table(tmp_path / "t.csv", [row, row | {"state": "6"}])
    with pytest.raises(CodedError, match="LG042"):
        open_log([path])


def test_lookup_tables_alone_are_an_error(tmp_path: Path) -> None:
    table(tmp_path / "g.csv", [{"sys_id": DESK, "name": "Desk", "sys_created_on": raw(0)}])
    with pytest.raises(CodedError, match=r"LG085 g\.csv: there is no ticket in it"):
        opened(tmp_path)


def test_an_error_of_the_interface_is_no_log(tmp_path: Path) -> None:
    error = {"error": {"message": "Transaction cancelled"}, "status": "failure"}
    text(tmp_path / "p.ndjson", f"{json.dumps({'result': [incident()]})}\n{json.dumps(error)}\n")
    with pytest.raises(
        RunError, match=r"LG035 1 of 2 rows .* line 2: LG159 is an error of the API"
    ):
        opened(tmp_path)


# --- laws


def test_the_order_of_rows_and_files_changes_nothing(tmp_path: Path) -> None:
    rows = [
        audit(10 * save, "state", str(save), str(save + 1), ticket=ticket, save=save)
        for ticket in (1, 2, 3)
        for save in (1, 2, 3)
    ]
    tickets = [incident(number, state="4") for number in (1, 2, 3)]
    logs = set()
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        order = Random(seed)  # noqa: S311 - any order will do
        order.shuffle(rows)
        order.shuffle(tickets)
        names = ("a.csv", "b.csv") if seed % 2 else ("b.csv", "a.csv")
        table(folder / names[0], tickets)
        table(folder / names[1], rows)
        logs.add(opened(folder).meta.sha256)
    assert len(logs) == 1


def test_csv_and_json_of_one_table_are_one_log(tmp_path: Path) -> None:
    rows = [incident(1, cmdb_ci=sys_id(8)), incident(2, state="6", resolved_at=raw(44))]
    for name in ("csv", "json", "lines"):
        (tmp_path / name).mkdir()
    table(tmp_path / "csv" / "t.csv", rows)
    text(tmp_path / "json" / "t.json", json.dumps({"records": rows}))
    nested = [{k: {"display_value": "", "value": v} for k, v in row.items()} for row in rows]
    text(tmp_path / "lines" / "t.ndjson", "".join(f"{json.dumps(row)}\n" for row in nested))
    hashes = {opened(tmp_path / name).meta.sha256 for name in ("csv", "json", "lines")}
    assert len(hashes) == 1


@pytest.mark.parametrize("kind", ["json", "csv.gz"])
def test_a_cut_file_is_an_error_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    rows = [incident(number, category=f"c{number * 7919 % 101}") for number in range(1, 30)]
    path = tmp_path / "t"
    if kind == "json":
        whole = json.dumps({"result": rows}).encode()
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        whole = gzip.compress(buffer.getvalue().encode(), mtime=0)
    path.write_bytes(whole)
    options = ReadOptions(source="servicenow")
    assert open_log([path], options).n_cases == 29
    for end in range(1, len(whole) - 1, max(1, len(whole) // 150)):
        path.write_bytes(whole[:end])
        with pytest.raises(CodedError):
            open_log([path], options)


stamps = st.one_of(
    st.integers(0, 500_000).map(raw),
    st.sampled_from(["", "UNKNOWN", "04/03/2024 09:00:00", "soon", "2024-02-30 00:00:00"]),
)
audits = st.builds(
    lambda at, field, ticket, save, table_name: (
        audit(0, field, "1", "2", ticket=ticket, save=save, table=table_name)
        | {"sys_created_on": at}
    ),
    stamps,
    st.sampled_from(["state", "incident_state", "assignment_group", "work_notes", "u_x", ""]),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from(["incident", "incident", "incident", "problem", "cmdb_ci", ""]),
)
tickets_ = st.builds(
    lambda number, at, closed: incident(number, opened_at=at, closed_at=closed),
    st.integers(1, 3),
    stamps,
    stamps,
)


def keep_distinct(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return list({row["sys_id"]: row for row in rows}.values())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(tickets_, min_size=1, max_size=3).map(keep_distinct), st.lists(audits, max_size=12))
def test_rows_in_are_accepted_or_rejected(
    tmp_path_factory: pytest.TempPathFactory,
    tickets: list[dict[str, str]],
    rows: list[dict[str, str]],
) -> None:
    folder = tmp_path_factory.mktemp("law")
    first = incident(7, closed_at=raw(9))
    table(folder / "incident.csv", [first, *tickets])
    table(folder / "sys_audit.csv", [audit(1, "state", "1", "2", ticket=7), *rows])
    log = opened(folder, allow_rejects=True)
    assert log.meta.rows_in == 2 + len(tickets) + len(rows)
    refused = {(r["file"], r["place"]) for r in log.meta.rejects.to_pylist()}
    assert len(refused) == log.meta.rejects.num_rows
    bad = {"04/03/2024 09:00:00", "soon", "2024-02-30 00:00:00"}
    for line, row in enumerate(tickets, start=3):
        wrong = bool(bad & {row["opened_at"], row["closed_at"]})
        assert (("incident.csv", f"line {line}") in refused) == wrong
    kept = {row["sys_id"] for row in tickets if not bad & {row["opened_at"], row["closed_at"]}}
    for line, row in enumerate(rows, start=3):
        known = row["documentkey"] in kept
        other = row["tablename"] in {"cmdb_ci", "problem"} and not known
        wrong = row["sys_created_on"] in bad | {"", "UNKNOWN"} or not row["fieldname"]
        assert (("sys_audit.csv", f"line {line}") in refused) == (wrong or not (known or other))
    assert log.n_cases == log.cases.num_rows


def test_a_history_without_teams_does_not_take_the_present_team_back(tmp_path: Path) -> None:
    """The tool counts a reassignment that the audit does not hold: whose it was is not known."""
    story = Path(__file__).parents[1] / "data" / "rosetta" / "servicenow_csv"
    for path in story.iterdir():
        lines = path.read_text("utf-8").splitlines(keepends=True)
        if path.name == "sys_audit.csv":
            lines = [line for line in lines if "assignment_group" not in line]
        (tmp_path / path.name).write_text("".join(lines), "utf-8")
    files = sorted(tmp_path.glob("*.csv"))
    log = open_log(files, ReadOptions(mapping=tmp_path / "mapping.toml"))
    assert log.events["team"].null_count == log.n_events == 8
    assert [(seen.code, seen.cases) for seen in log.meta.seen] == [("QG146", ("1",))]
