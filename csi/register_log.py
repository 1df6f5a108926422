"""How was the improvement register itself kept? Its history as an event log.

Every improvement is a case and every record of its history an event, so that the desk's own
improvement work is held against the reference model of continual improvement like any other
practice (FitSM PR14.3: "controlled in a consistent manner"). What a record says besides its kind
makes words of their own:

    add · assess · start · implement · evaluate · close     as the record says
    postpone           after `assess`, where it was decided to wait
    restart            a later `start`: another version of what decides
    measure baseline   `baseline`; before the first `evaluate` that names a baseline window where
                       nobody recorded one (a log is measured from the past at any time before it is
                       used; an evaluation without a window was compared with nothing)
    withdraw           `close` of what was never started, or was cancelled; where it had not been
                       assessed, the reason that was given is the assessment, and is told before it

Notes and later baselines are no steps and are left out: on a ticket a row that is no step counts as
work by whoever wrote it, and who writes a note has not carried out the improvement.

A case carries the KPI of its improvement (`attr.kpi`), and names the feedback that led to it (link
`feedback`), an event the number of its record (`attr.record`). The order is the register's own
(`seq`), whatever the times; the actors are roles, no people. Registers of
before assessments and implementations were recorded are judged like any other: what is not in them
is missing. O(records).
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
    from collections.abc import Iterator, Sequence

    from csi.register import Entry, Record, Register

PRACTICE: Final = "continual_improvement"
ASSESS: Final = "assess"
BASELINE: Final = "measure baseline"
POSTPONE: Final = "postpone"
WITHDRAW: Final = "withdraw"
KPI: Final = f"{s.ATTRIBUTE_PREFIX}kpi"
RECORD: Final = f"{s.ATTRIBUTE_PREFIX}record"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Step(NamedTuple):
    case_id: str
    word: str
    at: int
    actor: str
    position: int
    record: str


def register_log(register: Register) -> EventLog:
    """Return the log of a register; RG1xx where its chain is broken, RG130 where it is empty."""
    register.require_intact()
    entries = register.list()
    steps = [step for entry in entries for step in _steps(entry)]
    if not steps:
        raise CodedError("RG130", "the register is empty", fix="Add an improvement first")
    case_ids, words, ats, actors, positions, records = map(list, zip(*steps, strict=True))
    events = pa.table(
        {
            s.CASE_ID: case_ids,
            s.ACTIVITY: words,
            s.AT: pa.array(ats, pa.int64()),
            s.ACTOR: actors,
            POSITION: pa.array(positions, pa.int64()),
            RECORD: records,  # no two records are the same event, even at the same time
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
    told: list[str] = []
    for record in entry.history:
        before, word = _words(record, told)
        if before:
            yield _step(record, before, 2 * record.seq - 1)
        if word:
            yield _step(record, word, 2 * record.seq)
        told += [before, word]


def _words(record: Record, told: Sequence[str]) -> tuple[str, str]:
    """Return what a record says after `told`: a step that it stands for besides, and its own.

    Either is "" where there is none.
    """
    content, never_started = record.content, "start" not in told
    before, word = "", record.kind
    match record.kind:
        case "assess" if content["decision"] == POSTPONE:
            before, word = ASSESS, POSTPONE
        case "note":
            word = ""
        case "baseline":
            word = "" if BASELINE in told else BASELINE
        case "start":
            word = "start" if never_started else "restart"
        case "evaluate" if BASELINE not in told and all(content["baseline"]):
            before = BASELINE
        case "close" if never_started or content.get("cancelled", False):
            decided = _assessed(told) or not (never_started and content["reason"])
            before, word = "" if decided else ASSESS, WITHDRAW
    return before, word


def _assessed(told: Sequence[str]) -> bool:
    """Tell whether the last word on an improvement was to pursue it."""
    decisions = [word for word in told if word in (ASSESS, POSTPONE)]
    return decisions[-1:] == [ASSESS]


def _step(record: Record, word: str, position: int) -> _Step:
    at = (dt.datetime.fromisoformat(record.at) - _EPOCH) // dt.timedelta(microseconds=1)
    return _Step(record.entry_id, word, at, record.actor, position, str(record.seq))
