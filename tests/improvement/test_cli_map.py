"""`trueloop map`: a proposal that marks what it is unsure of, and reads the log once decided."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from improvement.command_line import DATA, INCIDENT_WORDS, UCI, event_line, in_process, write_lines

from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from pathlib import Path

needs_data = pytest.mark.skipif(not UCI.exists(), reason="../shared/data is not there")

OTHERS = (
    "bpic14/BPIC14_sample4000_incident_activity.csv.gz",
    "csat/technical_support_dataset.csv",
)
AMBIGUOUS = """ticket,status,changed,user
1,New,03/04/2024 10:00,ana
1,Closed,05/06/2024 11:00,ben
2,New,04/04/2024 12:00,ana
"""
PROVEN = AMBIGUOUS + "2,Closed,13/04/2024 12:00,ana\n"


def decided(text: str, **keys: str) -> str:
    """Fill in the lines that the proposal left out, as a person would."""
    for key, line in keys.items():
        assert f"# {key} = " in text
        text = "\n".join(line if row.startswith(f"# {key} = ") else row for row in text.split("\n"))
    return text


@needs_data
def test_the_proposal_for_uci_decided_reads_the_log_that_the_shipped_mapping_reads(
    tmp_path: Path,
) -> None:
    out = tmp_path / "uci.toml"
    ran = in_process("map", UCI, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert "5 things are to be decided" in ran.out
    assert "it counts down in 5 of 13,302 cases where" in ran.out
    text = decided(
        out.read_text(),
        timezone='timezone = "UTC"',
        order_by='order_by = "sys_mod_count"',
        practice='practice = { constant = "incident" }',
    )
    out.write_text(text)
    found = open_log([UCI], ReadOptions(mapping=out))
    peer = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow")))
    columns = ["case_id", "seq", "activity", "at", "team"]
    assert found.events.select(columns).equals(peer.events.select(columns))
    assert found.cases.select(["priority", "closed"]).equals(
        peer.cases.select(["priority", "closed"])
    )


def test_a_format_that_is_not_proven_is_left_to_decide(tmp_path: Path) -> None:
    (tmp_path / "desk.csv").write_text(AMBIGUOUS)
    ran = in_process("map", tmp_path / "desk.csv")
    assert ran.code == 0
    assert '# UNSURE: the format of "changed": every value fits "%d/%m/%Y %H:%M" or' in ran.out
    assert "at" not in tomllib.loads(ran.out)["event"]
    mapping = tmp_path / "desk.toml"
    mapping.write_text(ran.out)
    refused = in_process("inspect", tmp_path / "desk.csv", "--mapping", mapping)
    assert refused.code == 2
    assert refused.err.startswith("LG052 desk.toml, event.at: is missing")


def test_one_value_that_only_one_format_reads_proves_it(tmp_path: Path) -> None:
    (tmp_path / "desk.csv").write_text(PROVEN)
    found = tomllib.loads(in_process("map", tmp_path / "desk.csv").out)
    assert found["event"]["at"] == {"column": "changed", "format": "%d/%m/%Y %H:%M"}
    assert (found["event"]["case_id"], found["event"]["activity"]) == ("ticket", "status")
    assert "timezone" not in found.get("time", {})


def mapped(tmp_path: Path, table: str) -> tuple[str, dict[str, Any]]:
    """The proposal for a table, and what a mapping of it would say."""
    (tmp_path / "desk.csv").write_text(table)
    ran = in_process("map", tmp_path / "desk.csv")
    assert ran.code == 0, ran.err
    return ran.out, tomllib.loads(ran.out)["event"]


def numbered(*numbers: int) -> str:
    """A case with one event an hour, and a column of numbers."""
    rows = (f"1,{'ab'[i % 2]},2024-01-01T0{i}:00:00Z,{n}\n" for i, n in enumerate(numbers))
    return "case,activity,time,seq\n" + "".join(rows)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((4, 3, 2, 1), "it counts down in 1 of 1 cases"),
        ((1, 2, 4, 3), "it counts down in 1 of 1 cases"),
        ((1, 2, 2, 3), None),
    ],
)
def test_an_order_that_contradicts_the_times_is_left_to_decide(
    tmp_path: Path, numbers: tuple[int, ...], said: str | None
) -> None:
    text, event = mapped(tmp_path, numbered(*numbers))
    assert event.get("order_by") == (None if said else "seq")
    assert (f'# UNSURE: order_by = "seq"? {said}' in text) == (said is not None)


def test_an_order_among_equal_times_needs_a_proof_from_other_times(tmp_path: Path) -> None:
    head = "case,activity,time,seq\n"
    tie = "1,a,2024-01-01T00:00:00Z,2\n1,b,2024-01-01T00:00:00Z,1\n"
    text, event = mapped(tmp_path, head + tie)
    assert "order_by" not in event
    assert "it nowhere counts up where" in text
    _, event = mapped(tmp_path, head + tie + "1,c,2024-01-01T01:00:00Z,3\n")
    assert event["order_by"] == "seq"


def test_two_columns_of_one_name_are_said_to_be_refused(tmp_path: Path) -> None:
    table = "case,activity,time,activity\n1,a,2024-01-01T00:00:00Z,x\n1,b,2024-01-02T00:00:00Z,y\n"
    text, _ = mapped(tmp_path, table)
    assert '# UNSURE: the file has several columns named "activity"; one that a' in text
    assert "(LG045)" in text


def test_two_columns_of_one_name_in_parquet_are_no_crash(tmp_path: Path) -> None:
    columns = [pa.array(["1", "1"]), pa.array(["a", "b"]), pa.array(["x", "y"])]
    pq.write_table(
        pa.table(columns, names=["case", "activity", "activity"]), tmp_path / "a.parquet"
    )
    ran = in_process("map", tmp_path / "a.parquet")
    assert ran.code == 0, ran.err
    assert "(LG045)" in ran.out


@pytest.mark.parametrize(
    ("one", "two", "pattern"),
    [
        ("2024-01-01", "2024-01-31", "iso_date"),
        ("01/02/2024", "31/01/2024", "%d/%m/%Y"),
        ("02/01/2024", "01/31/2024", "%m/%d/%Y"),
        ("01.01.2024", "31.01.2024", "%d.%m.%Y"),
        ("2024/01/01", "2024/01/31", "%Y/%m/%d"),
    ],
)
def test_dates_without_a_clock_are_known_and_marked(
    tmp_path: Path, one: str, two: str, pattern: str
) -> None:
    text, event = mapped(tmp_path, f"case,activity,date\n1,a,{one}\n1,b,{two}\n")
    assert event["at"] == {"column": "date", "format": pattern}
    assert '# UNSURE: "date" holds dates only: each is read as the start of the day' in text


def test_days_and_months_that_could_be_swapped_are_left_to_decide(tmp_path: Path) -> None:
    text, event = mapped(tmp_path, "case,activity,date\n1,a,01/02/2024\n1,b,02/02/2024\n")
    assert "at" not in event
    assert 'every value fits "%d/%m/%Y" or "%m/%d/%Y"' in text


def test_a_time_with_a_clock_is_preferred_to_a_date(tmp_path: Path) -> None:
    rows = "1,a,2024-01-01,2024-01-01T10:00:00Z\n1,b,2024-01-02,2024-01-02T10:00:00Z\n"
    _, event = mapped(tmp_path, "case,activity,date,at\n" + rows)
    assert event["at"]["column"] == "at"


def test_offsets_in_some_stamps_only_prove_nothing(tmp_path: Path) -> None:
    rows = "1,a,2024-01-01T10:00:00Z\n1,b,2024-01-02T10:00:00\n"
    text, event = mapped(tmp_path, "case,activity,time\n" + rows)
    assert "at" not in event
    assert "proven" not in text
    assert '# UNSURE: some stamps of "time" state an offset and others do not' in text


def test_hostile_headers_make_a_mapping_that_is_toml(tmp_path: Path) -> None:
    head = 'id,"a ""b""\\",\u202eevil,"x\ny",time'
    (tmp_path / "desk.csv").write_text(
        f"{head}\n1,a,b,c,2024-01-01T00:00:00Z\n1,b,b,c,2024-01-02T00:00:00Z\n"
    )
    ran = in_process("map", tmp_path / "desk.csv")
    assert ran.code == 0, ran.err
    assert tomllib.loads(ran.out)["event"]["case_id"] == "id"


def test_what_is_no_table_and_what_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"issues": []}')
    assert in_process("map", tmp_path / "log.json").err.startswith("LG037 log.json is no table")
    (tmp_path / "desk.csv").write_text(PROVEN)
    (tmp_path / "desk.toml").write_text("decided")
    ran = in_process("map", tmp_path / "desk.csv", "--out", tmp_path / "desk.toml")
    assert (ran.code, ran.err[:6]) == (2, "CL019 ")
    assert (tmp_path / "desk.toml").read_text() == "decided"


@needs_data
@pytest.mark.parametrize(
    "name",
    ["bpic14/BPIC14_sample4000_incident_activity.csv.gz", "csat/technical_support_dataset.csv"],
)
def test_proposals_for_other_real_tables_are_toml(name: str) -> None:
    ran = in_process("map", DATA / name)
    assert ran.code == 0
    assert "UNSURE" in ran.out
    tomllib.loads(ran.out)


def test_provenance_does_not_depend_on_the_order_of_the_arguments(tmp_path: Path) -> None:
    files = []
    for case in "abc":
        lines = [
            event_line(case, word, f"2025-02-{day:02d}T00:00:00Z")
            for day, word in enumerate(INCIDENT_WORDS, start=1)
        ]
        files.append(write_lines(tmp_path / f"{case}.ndjson", lines))
    found = []
    for turn in range(3):
        out = tmp_path / str(turn)
        ran = in_process("audit", *files[turn:], *files[:turn], "--out", out)
        assert ran.code in {0, 1}, ran.err
        (provenance,) = out.rglob("provenance.json")
        found.append(provenance.read_bytes())
    assert found[0] == found[1] == found[2]
    hashes = [row["sha256"] for row in json.loads(found[0])["read"] if row["role"] == "log"]
    assert len(hashes) == len(files)
    assert hashes == sorted(hashes)
