"""Small logs to count by hand: how they are drawn, and the way from cases to a log and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import settings
from hypothesis import strategies as st

from process_mining.eventlog import EventLog, LogMeta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oracles import naive_mining as naive

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
UCI = SHARED / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPI13 = SHARED / "bpic13" / "BPIC13_closed_problems.xes.gz"

# Names that sort differently by code point and by dictionary, quotes, nothing at all, text as SQL.
NAMES = ("b", "A", "a", "ä", "", "it's", '"; drop table events; --', "日本", "zz")
names = st.sampled_from(NAMES)
maybe = st.one_of(st.none(), names)
events_of = st.tuples(maybe, st.integers(0, 6), maybe, maybe)
case_lists = st.lists(st.lists(events_of, max_size=7), max_size=9)
hidden = st.sets(names, max_size=3)
quick = settings(max_examples=40, deadline=None)


def ordered(cases: Sequence[list[naive.Event]], *, timed: bool = True) -> list[naive.Case]:
    """Give the cases ids, order each by time, or take the times away."""
    found = []
    for i, events in enumerate(cases):
        in_order = sorted(events, key=lambda e: e[1] or 0) if timed else events
        rows = [(a, at if timed else None, actor, team) for a, at, actor, team in in_order]
        found.append((f"c{i:02d}", rows))
    return found


def log_of(cases: Sequence[naive.Case]) -> EventLog:
    """Build the log from rows in reverse, so that nothing rests on their order."""
    rows = [(c, i, *e) for c, events in cases for i, e in enumerate(events)][::-1]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    kinds = [pa.string(), pa.int64(), pa.string(), pa.int64(), pa.string(), pa.string()]
    case, place, activity, at, actor, team = (
        pa.array(c, k) for c, k in zip(columns, kinds, strict=True)
    )
    table = pa.table(
        {
            "case_id": case, "activity": activity.fill_null("update"), "at": at,
            "actor": actor, "team": team, "position": place,
        }
    )  # fmt: skip
    ids = pa.table({"case_id": pa.array([c for c, _ in cases], pa.string())})
    log = EventLog.build(table, meta=LogMeta("test", clear_names=True), cases=ids)
    steps = pc.if_else(pc.equal(log.events["activity"], "update"), None, log.events["activity"])
    return log.with_columns(events={"activity": steps})


def cases_of(log: EventLog) -> list[naive.Case]:
    """Return the cases of a log with their events, in its order."""
    found: dict[str, list[naive.Event]] = {case: [] for case in log.cases["case_id"].to_pylist()}
    columns = (log.events[n].to_pylist() for n in ("case_id", "activity", "at", "actor", "team"))
    for case, *event in zip(*columns, strict=True):
        found[case].append(tuple(event))
    return list(found.items())


HOUR = 3_600_000_000


def a_desk() -> list[naive.Case]:
    """Three incidents told in hours.

    a: registered at 0 by the desk, waits for the customer from 1 to 5, is diagnosed again until 6,
    resolved, closed at 10. b: goes from the desk to network and back within its diagnosis, is
    resolved at 4, reopened at 9 by a diagnosis, resolved at 10, closed at 12. c: open since 3.
    """

    def told(*rows: tuple[str | None, float, str]) -> list[naive.Event]:
        return [(name, int(at * HOUR), None, team) for name, at, team in rows]

    return [
        ("a", told(("Register", 0, "desk"), ("Await customer", 1, "desk"), ("Diagnose", 5, "desk"),
                   ("Resolve", 6, "desk"), ("Close", 10, "desk"))),
        ("b", told(("Register", 0, "desk"), ("Diagnose", 1, "desk"), (None, 2, "network"),
                   (None, 3, "desk"), ("Resolve", 4, "desk"), ("Diagnose", 9, "network"),
                   ("Resolve", 10, "network"), ("Close", 12, "desk"))),
        ("c", told(("Register", 2, "desk"), ("Await customer", 3, "desk"))),
    ]  # fmt: skip
