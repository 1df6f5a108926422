"""The real logs that benchmarks run on, where they are: they are not part of this project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from process_mining.sources import ReadOptions, find_mapping, open_log
from rules.catalogue import load_catalogue
from rules.practice import PreparedDesk, prepare_desk, translate
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[2].parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPI14 = DATA / "bpic14" / "BPIC14_sample4000_incident_activity.csv.gz"
LOGS = {
    "uci": ([UCI], "uci_servicenow"),
    "bpi13": ([DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"], None),
    "bpi14": ([BPI14, BPI14.with_name("BPIC14_sample4000_incident.csv.gz")], "bpic14_rabobank"),
}
PRACTICES = {"uci": "incident", "bpi13": "problem", "bpi14": "incident"}


def opened(name: str) -> EventLog:
    paths, mapping = LOGS[name]
    if not paths[0].is_file():
        pytest.skip(f"{paths[0].name} is missing: the real logs are not part of this project")
    return open_log(paths, ReadOptions(mapping=find_mapping(mapping) if mapping else None))


def prepared(name: str) -> PreparedDesk:
    """Put a log before the practice that it belongs to."""
    log = opened(name)
    practice = load_catalogue().practices[PRACTICES[name]]
    now = int(log.arrays.at.max())
    return prepare_desk(
        translate(log, practice), service_levels=load_service_levels(), as_of_us=now
    )
