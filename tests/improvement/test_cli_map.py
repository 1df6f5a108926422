"""`trueloop map`: a proposal that marks what it is unsure of, and reads the log once decided."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from improvement.command_line import DATA, UCI, in_process

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
    assert "4 things are to be decided" in ran.out
    text = decided(
        out.read_text(),
        timezone='timezone = "UTC"',
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
