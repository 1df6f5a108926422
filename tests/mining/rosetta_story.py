"""The one small story that every source's format tells: which log must come out of each?

An incident with a reassignment, a hold over the change to summer time in Europe/Berlin (31 March
2024), and a reopen after it was resolved. Every fixture under tests/data/rosetta must give a log
with this fingerprint.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from process_mining.eventlog import POSITION, EventLog, LogMeta

STORY = (
    ("2024-03-29T15:00:00Z", "ana", "New", "Service desk", None),
    ("2024-03-29T15:10:00Z", "ben", "In Progress", "Service desk", "state"),
    ("2024-03-30T08:00:00Z", "ben", "In Progress", "Network", "team"),
    ("2024-03-30T22:30:00Z", "cora", "On Hold", "Network", "state"),
    ("2024-03-31T06:15:00Z", "cora", "In Progress", "Network", "state"),
    ("2024-03-31T09:00:00Z", "cora", "Resolved", "Network", "state"),
    ("2024-04-02T07:00:00Z", "ana", "In Progress", "Network", "state"),
    ("2024-04-02T11:45:00Z", "cora", "Resolved", "Network", "state"),
    ("2024-04-05T12:00:00Z", "dana", "Closed", "Network", "state"),
)


def microseconds(stamp: str) -> int:
    """Return a stamp of the story as microseconds since 1970-01-01 UTC."""
    return int(datetime.fromisoformat(stamp).timestamp()) * 1_000_000


def reference() -> EventLog:
    """Return the log that the story is."""
    at, actor, activity, team, changed = zip(*STORY, strict=True)
    times = [microseconds(stamp) for stamp in at]
    events = {
        "case_id": ["1"] * len(STORY),
        "activity": list(activity),
        "at": pa.array(times, pa.int64()),
        "actor": list(actor),
        "team": list(team),
        "attr.changed": list(changed),
        POSITION: pa.array(range(len(STORY)), pa.int64()),
    }
    cases = {
        "case_id": ["1"],
        "practice": ["incident"],
        "priority": ["P2"],
        "category": ["Network access"],
        "service": ["VPN"],
        "opened": pa.array([times[0]], pa.int64()),
        "resolved": pa.array([times[7]], pa.int64()),
        "closed": pa.array([times[8]], pa.int64()),
    }
    return EventLog.build(pa.table(events), cases=pa.table(cases), meta=LogMeta(source="x"))
