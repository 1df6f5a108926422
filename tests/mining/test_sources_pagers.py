"""Do PagerDuty's and Opsgenie's exports tell what each incident went through?"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, open_log, sources
from process_mining.sources._files import head_of

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[1] / "data"
EXPORTS = Path(__file__).parents[2].parent / "shared" / "data" / "exports"
PAGERDUTY = EXPORTS / "devlake_pagerduty" / "_raw_pagerduty_incidents.csv"
OPSGENIE = EXPORTS / "devlake_opsgenie" / "_raw_opsgenie_incidents.csv"
needs_exports = pytest.mark.skipif(not EXPORTS.is_dir(), reason="no ../shared/data/exports")
INCIDENTS = DATA / "pagerduty" / "incidents.json"
ENTRIES = DATA / "pagerduty" / "log_entries.json"
OPS = DATA / "opsgenie" / "incidents.json"


def read(*paths: Path, mapping: Path | None = None, allow: bool = False) -> EventLog:
    options = ReadOptions(mapping=mapping, clear_names=True, allow_rejects=allow)
    return open_log(list(paths), options)


def read_records(folder: Path, *records: object, **more: Any) -> EventLog:  # noqa: ANN401
    path = folder / "records.ndjson"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return read(path, **more)


def case(log: EventLog, case_id: str) -> dict[str, Any]:
    (row,) = (row for row in log.cases.to_pylist() if row["case_id"] == case_id)
    return {key: value for key, value in row.items() if value is not None}


def events(log: EventLog, case_id: str, *columns: str) -> list[tuple[Any, ...]]:
    rows = (row for row in log.events.to_pylist() if row["case_id"] == case_id)
    return [tuple(row.get(column) for column in columns) for row in rows]


def us(stamp: str) -> int:
    moment = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000) * 1000


@needs_exports
def test_states_replayed_from_log_entries_end_where_pagerduty_says() -> None:
    log = read(PAGERDUTY)
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (3, 23, 47)
    assert log.meta.seen == ()  # no QG147: each replay ends in the incident's own status
    ends = {key: events(log, key, "activity")[-1][0] for key in log.cases["case_id"].to_pylist()}
    assert ends == {
        "Q1OHFWFP3GPXOG": "resolved",
        "Q3CZAU7Q4008QD": "acknowledged",
        "Q3YON8WNWTZMRQ": "triggered",
    }
    assert log.meta.notes == ("15 notify entries tell who was called, and change no incident",)
    assert case(log, "Q1OHFWFP3GPXOG")["resolved"] == us("2022-11-03T06:51:44")
    assert case(log, "Q1OHFWFP3GPXOG")["service"] == "DevService"


def test_an_escalation_takes_the_acknowledgement_back() -> None:
    log = read(INCIDENTS, ENTRIES)
    assert events(log, "QA41", "activity", "actor", "team", "attr.changed") == [
        ("triggered", "S1", "Web", None),
        ("acknowledged", "U1", "Web", "state"),
        ("triggered", "U1", "Web", "escalation,state"),
        ("acknowledged", "U2", "Web", "state"),
        ("resolved", "U2", "Web", "state"),
    ]
    assert case(log, "QA41")["priority"] == "P1"
    assert "priority" not in case(log, "QA42")  # an urgency alone says how loudly to call
    assert events(log, "QA42", "activity") == [("triggered",), ("resolved",)]
    assert [(seen.code, seen.cases) for seen in log.meta.seen] == [("QG148", ("QA42",))]


def test_entries_inside_incidents_and_beside_them_are_one_log(tmp_path: Path) -> None:
    incidents = json.loads(INCIDENTS.read_text())["incidents"]
    entries = json.loads(ENTRIES.read_text())["log_entries"]
    inside = [incidents[0] | {"log_entries": entries}, incidents[1]]
    whole = read(INCIDENTS, ENTRIES)
    assert read_records(tmp_path, *inside).meta.sha256 == whole.meta.sha256
    oldest_first = [incidents[0] | {"log_entries": entries[::-1]}, incidents[1]]
    assert read_records(tmp_path, *oldest_first).meta.sha256 == whole.meta.sha256
    assert read_records(tmp_path, *inside, *entries).meta.sha256 == whole.meta.sha256
    assert read_records(tmp_path, *inside[::-1]).meta.rows_in == whole.meta.rows_in


def test_a_mapping_gives_numbers_urgencies_and_names(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'name = "m"\n[priorities]\nlow = "P4"\n[words]\ntriggered = "Register"\n'
        '[fields]\ncase_id = "incident_number"\nactor = "summary"\n'
    )
    log = read(INCIDENTS, ENTRIES, mapping=mapping)
    assert case(log, "42")["priority"] == "P4"
    assert events(log, "41", "activity", "actor")[0] == ("Register", "Name of S1")
    mapping.write_text('name = "m"\n[fields]\ncategory = "kind"\n')
    with pytest.raises(CodedError, match=r"LG089 .*fields\.category"):
        read(INCIDENTS, ENTRIES, mapping=mapping)


def test_records_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    good = json.loads(INCIDENTS.read_text())["incidents"][0]
    entry = json.loads(ENTRIES.read_text())["log_entries"][0]
    bad = {
        "LG167": good | {"id": None},
        "LG103": good | {"created_at": ""},
        "LG168": good | {"log_entries": [entry | {"type": "note"}]},
        "LG166": good | {"log_entries": [entry, 3]},
    }
    for code, record in bad.items():
        with pytest.raises(RunError, match=rf"LG035 1 of .* {code} "):
            read_records(tmp_path, good | {"id": "other"}, record)


def test_log_entries_alone_have_no_opening_of_their_own(tmp_path: Path) -> None:
    entries = json.loads(ENTRIES.read_text())["log_entries"]
    log = read_records(tmp_path, *entries)
    assert [state for (state,) in events(log, "QA41", "activity")][-1] == "resolved"
    assert [seen.code for seen in log.meta.seen] == ["QG145"]
    with pytest.raises(CodedError, match="LG088 these PagerDuty files tell of no ticket"):
        read_records(tmp_path, *[item for item in entries if item["id"] == "E4"])


@needs_exports
def test_opsgenie_tells_milestones_only() -> None:
    log = read(OPSGENIE)
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (2, 3, 2)
    done = case(log, "3f84e009-7548-4e7d-832a-fa82c1ceb6b1")
    assert done["priority"] == "P5"
    assert done["resolved"] == us("2023-09-05T18:21:21.490")
    (seen,) = log.meta.seen
    assert seen.code == "QG148"


def test_a_timeline_stands_between_the_milestones(tmp_path: Path) -> None:
    log = read(OPS)
    assert events(log, "3a74524a-4172", "activity", "actor", "attr.changed") == [
        ("open", None, None),
        ("open", "Bo", "responder_alert_created"),
        ("resolved", None, None),
    ]
    assert case(log, "3a74524a-4172")["service"] == "svc-a,svc-b"
    first = json.loads(OPS.read_text())["data"][1]
    first["timeline"]["data"]["entries"].append({"id": "e2", "type": "Note", "eventTime": "now"})
    with pytest.raises(RunError, match=r"LG035 1 of 3 rows .* line 1, entry 2: LG104"):
        read_records(tmp_path, first)


@pytest.mark.parametrize("path", [INCIDENTS, OPS])
def test_a_text_that_ends_early_is_never_a_shorter_log(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes().rstrip()
    cut = tmp_path / "cut.json"
    for length in random.Random(3).sample(range(1, len(whole)), 40):  # noqa: S311 - a sample
        cut.write_bytes(whole[:length])
        with pytest.raises(CodedError):
            read(cut)


def test_each_takes_its_own_files_only() -> None:
    known = {n: s for n, s in sources().items() if not getattr(s, "FALLBACK", False)}
    takers = {
        path: [n for n, s in known.items() if s.sniff(path, head_of(path))]
        for path in (INCIDENTS, ENTRIES, OPS)
    }
    assert takers == {INCIDENTS: ["pagerduty"], ENTRIES: ["pagerduty"], OPS: ["opsgenie"]}
