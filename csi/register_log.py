"""How was the improvement register itself kept? Its history as an event log.

Every improvement is a case and every record of its history an event: `add`, `start`, `evaluate`,
`close`, `note`. So the desk's own improvement work is held against the reference model of continual
improvement like any other practice (FitSM PR14.3: "controlled in a consistent manner"). The order
is the register's own (`seq`); the actors are roles, no people.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import CodedError
from process_mining.eventlog import EventLog, LogMeta

if TYPE_CHECKING:
    from csi.register import Register

PRACTICE: Final = "continual_improvement"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def register_log(register: Register) -> EventLog:
    """Return the log of a register; RG1xx where its chain is broken, RG130 where it is empty."""
    register.require_intact()
    records = [record for entry in register.list() for record in entry.history]
    if not records:
        raise CodedError("RG130", "the register is empty", fix="Add an improvement first")
    events = pa.table(
        {
            s.CASE_ID: [record.entry_id for record in records],
            s.ACTIVITY: [record.kind for record in records],
            s.AT: pa.array([_us(record.at) for record in records], pa.int64()),
            s.ACTOR: [record.actor for record in records],
            "position": pa.array([record.seq for record in records], pa.int64()),
        }
    )
    ids = sorted({record.entry_id for record in records})
    cases = pa.table({s.CASE_ID: ids, s.PRACTICE: [PRACTICE] * len(ids)})
    meta = LogMeta("register", rows_in=len(records), clear_names=True)
    return EventLog.build(events, cases=cases, meta=meta)


def _us(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - _EPOCH) // dt.timedelta(microseconds=1)
