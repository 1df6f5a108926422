"""How was the improvement register itself kept? Its history as an event log.

Every improvement is a case and every record of its history an event, so that the desk's own
improvement work is held against the reference model of continual improvement like any other
practice (FitSM PR14.3: "controlled in a consistent manner"). What a record says besides its kind
makes words of their own:

    add · start · evaluate · close · note    as the record says
    restart            a later `start`: another version of the decision rule
    withdraw           `close` of an improvement that was never started
    measure baseline   before the first `evaluate` that names a baseline window (no own record)

A baseline may be measured from the past at any time before it is used, so when it was measured is
not asked; an evaluation without a window was compared with nothing. A case carries the KPI of its
improvement (`attr.kpi`), and names the feedback that led to it (link `feedback`). The order is the
register's own (`seq`); the actors are roles, no people. The register records no assessment, and not
when an improvement was carried out. O(records).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from csi.feedback.links import CAME_FROM, feedback_of
from process_mining import schema as s
from process_mining.errors import CodedError
from process_mining.eventlog import POSITION, EventLog, LogMeta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csi.register import Entry, Record, Register

PRACTICE: Final = "continual_improvement"
BASELINE: Final = "measure baseline"
KPI: Final = f"{s.ATTRIBUTE_PREFIX}kpi"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Step(NamedTuple):
    case_id: str
    word: str
    at: int
    actor: str
    position: int


def register_log(register: Register) -> EventLog:
    """Return the log of a register; RG1xx where its chain is broken, RG130 where it is empty."""
    register.require_intact()
    entries = register.list()
    steps = [step for entry in entries for step in _steps(entry)]
    if not steps:
        raise CodedError("RG130", "the register is empty", fix="Add an improvement first")
    case_ids, words, ats, actors, positions = map(list, zip(*steps, strict=True))
    events = pa.table(
        {
            s.CASE_ID: case_ids,
            s.ACTIVITY: words,
            s.AT: pa.array(ats, pa.int64()),
            s.ACTOR: actors,
            POSITION: pa.array(positions, pa.int64()),
        }
    )
    cases = pa.table(
        {
            s.CASE_ID: [entry.id for entry in entries],
            s.PRACTICE: [PRACTICE] * len(entries),
            KPI: [entry.improvement.kpi for entry in entries],
        }
    )
    links = [
        {s.CASE_ID: entry.id, s.LINKED_TO: ticket, s.KIND: CAME_FROM, s.AT: None}
        for entry in entries
        for ticket in feedback_of(entry)
    ]
    table = pa.Table.from_pylist(links, schema=s.LINK_SCHEMA)
    meta = LogMeta("register", rows_in=len(steps), clear_names=True)
    return EventLog.build(events, cases=cases, links=table, meta=meta)


def _steps(entry: Entry) -> Iterator[_Step]:
    """Yield the steps of one improvement in order; two may stand for one record."""
    started = measured = False
    for record in entry.history:
        word = record.kind
        if word == "start":
            word, started = ("restart" if started else "start"), True
        elif word == "close" and not started:
            word = "withdraw"
        elif word == "evaluate" and not measured and all(record.content["baseline"]):
            measured = True
            yield _step(record, BASELINE, 2 * record.seq - 1)
        yield _step(record, word, 2 * record.seq)


def _step(record: Record, word: str, position: int) -> _Step:
    at = (dt.datetime.fromisoformat(record.at) - _EPOCH) // dt.timedelta(microseconds=1)
    return _Step(record.entry_id, word, at, record.actor, position)
