"""Tables read together: cases beside events, and columns that name other tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from improvement.command_line import DATA, UCI

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from pathlib import Path

BPI14 = DATA / "bpic14"
needs_data = pytest.mark.skipif(not UCI.exists(), reason="../shared/data is not there")

MAPPING = """
name = "desk"
[time]
format = "iso"
[event]
case_id = "id"
activity = "step"
at = "when"
[case]
practice = { constant = "incident" }
priority = { column = "prio", values = { "1" = "P1", "2" = "P2" } }
opened = "opened"
attributes = ["site"]
links = { problem = "problem" }
"""
EVENTS = """id,step,when,problem
a,New,2024-01-01T08:00:00Z,
a,Work,2024-01-01T09:00:00Z,PRB1
a,Closed,2024-01-01T10:00:00Z,PRB1
b,New,2024-01-01T08:30:00Z,PRB2
"""
CASES = """id,prio,opened,site
a,1,2024-01-01T08:00:00Z,Bonn
b,2,2024-01-01T08:30:00Z,
"""


def desk(folder: Path, events: str = EVENTS, cases: str = CASES) -> tuple[list[Path], ReadOptions]:
    for name, text in (("events.csv", events), ("cases.csv", cases), ("m.toml", MAPPING)):
        (folder / name).write_text(text)
    options = ReadOptions(mapping=folder / "m.toml")
    return [folder / "events.csv", folder / "cases.csv"], options


def test_a_table_without_event_columns_is_a_table_of_cases(tmp_path: Path) -> None:
    paths, options = desk(tmp_path)
    log = open_log(paths, options)
    assert (log.n_events, log.n_cases, log.meta.rows_in) == (4, 2, 6)
    assert log.cases.select(["case_id", "priority", "attr.site"]).to_pylist() == [
        {"case_id": "a", "priority": "P1", "attr.site": "Bonn"},
        {"case_id": "b", "priority": "P2", "attr.site": None},
    ]
    assert open_log(paths[::-1], options).meta.sha256 == log.meta.sha256


def test_a_column_that_names_other_tickets_makes_links_known_from_its_first_row(
    tmp_path: Path,
) -> None:
    log = open_log(*desk(tmp_path))
    assert [(r["case_id"], r["linked_to"], r["kind"]) for r in log.links.to_pylist()] == [
        ("a", "PRB1", "problem"),
        ("b", "PRB2", "problem"),
    ]
    nine = log.events["at"][1].as_py()
    assert log.links["at"][0].as_py() == nine
    assert log.until(nine - 1).links["case_id"].to_pylist() == ["b"]


def test_the_table_of_cases_alone_and_a_missing_column_are_told(tmp_path: Path) -> None:
    paths, options = desk(tmp_path)
    with pytest.raises(CodedError, match=r"LG041 cases\.csv has no column 'step'"):
        open_log(paths[1:], options)
    with pytest.raises(CodedError, match=r"LG041 events\.csv has no column 'prio'"):
        open_log(paths[:1], options)


def test_a_row_of_the_table_of_cases_can_be_refused_or_stand_twice(tmp_path: Path) -> None:
    paths, options = desk(tmp_path, cases=CASES + "c,9,2024-01-01T08:30:00Z,\n")
    with pytest.raises(RunError, match=r"LG035 1 of 7 rows .*cases\.csv line 4: LG108 '9' in prio"):
        open_log(paths, options)
    paths, options = desk(tmp_path, cases=CASES + "b,1,2024-01-01T08:30:00Z,\n")
    with pytest.raises(RunError, match="LG003 case 'b' stands twice"):
        open_log(paths, options)


@needs_data
def test_uci_names_its_problems_and_changes() -> None:
    log = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow")))
    counts = log.links.group_by("kind").aggregate([([], "count_all")]).to_pylist()
    assert {row["kind"]: row["count_all"] for row in counts} == {
        "problem": 214,
        "change": 133,
        "caused_by": 2,
    }


@needs_data
def test_bpi_2014_is_read_with_its_incidents_beside_its_activities() -> None:
    mapping = find_mapping("bpic14_rabobank")
    log = open_log(sorted(BPI14.glob("*.csv.gz")), ReadOptions(mapping=mapping))
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (4_000, 39_911, 43_911)
    assert log.cases["priority"].null_count == 0
    assert log.meta.rejects.num_rows == 0
