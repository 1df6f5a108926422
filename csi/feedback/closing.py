"""Were the loops closed? What the log says of every low score, made ready for page and scripts.

A log tells it where it has times and its words record answers (`Receive feedback`). Its practices
are read as an audit reads them, so that limits and calendars are those of the rules.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from csi.audit import AuditRequest, judged_at, make_ready
from csi.feedback.loop import RECEIVE, Loop, Loops, loop_terms, loops_of
from csi.feedback.loop_figures import SEGMENTS, LoopFigures, loop_figures
from csi.report.words import moment
from process_mining import schema as s
from rules.catalogue import load_catalogue

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from process_mining.eventlog import EventLog
    from process_mining.sources import ReadOptions
    from rules.practice import Translation

_SCHEMA: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("seq", pa.int64()),
        ("practice", pa.string()),
        ("scale", pa.string()),
        ("score", pa.int64()),
        ("received", s.UTC_US),
        ("standing", pa.string()),
        ("closed", pa.bool_()),
        ("decided", pa.bool_()),
        ("ended", pa.bool_()),
        ("breaks", pa.list_(pa.string())),
        ("contact_open_us", pa.int64()),
        ("contact_limit_us", pa.int64()),
        ("contacted", pa.bool_()),
        ("service", pa.string()),
        ("channel", pa.string()),
        ("priority", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class Closing:
    """All loops, and their figures: of all first, then by each segment."""

    loops: Loops
    figures: tuple[LoopFigures, ...]


def closing_of(
    log: EventLog,
    translations: Sequence[Translation],
    *,
    read: ReadOptions,
    practice: str | None,
    as_of: dt.datetime | None,
) -> Closing | None:
    """Follow the loops of a log; None where it does not tell them."""
    told = any(RECEIVE in one.log.arrays.activities for one in translations)
    if not log.timed or not told:
        return None
    catalogue = load_catalogue()
    at = judged_at(log, as_of)
    request = AuditRequest(logs=(), read=read, practice=practice)
    ready = make_ready(log, request, catalogue.practices, as_of_us=at)
    loops = loops_of(ready.shares, loop_terms(catalogue), as_of_us=at)
    parts = [loop_figures(loops), *(loop_figures(loops, by=by) for by in SEGMENTS)]
    return Closing(loops, tuple(one for part in parts for one in part))


def closing_row(found: Closing) -> dict[str, Any]:
    """Return what feedback.json holds of it: figures, terms, and the loops that broke."""
    loops = found.loops
    broken = sorted((one for one in loops.loops if one.breaks), key=_gravest)
    return {
        "as_of": moment(loops.as_of_us),
        "low": dict(loops.terms.low),
        "answers": loops.answers,
        "without_score": loops.without_score,
        "unreadable": loops.unreadable,
        "figures": [asdict(one) for one in found.figures],
        "broken": [
            {
                "case": one.case_id,
                "practice": one.practice,
                "scale": one.scale,
                "score": one.score,
                "received": moment(one.received_us),
                "standing": one.standing,
                "breaks": list(one.breaks),
            }
            for one in broken
        ],
    }


def _gravest(one: Loop) -> tuple[object, ...]:
    """Order loops: those that nobody has closed first, the lowest scores, the oldest."""
    return (one.closed, one.score, one.received_us, one.case_id, one.seq)


def closing_table(found: Closing | None) -> pa.Table:
    """Return one row a loop; no row names a person or a team."""
    rows = [] if found is None else [_cells(one) for one in found.loops.loops]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _cells(one: Loop) -> dict[str, object]:
    contact = one.contact
    named = ("case_id", "seq", "practice", "scale", "score", "standing", "closed", "decided")
    cells = {name: getattr(one, name) for name in (*named, "ended", "service", "channel")}
    return cells | {
        "received": pa.scalar(one.received_us, pa.int64()).cast(s.UTC_US).as_py(),
        "breaks": list(one.breaks),
        "priority": one.priority,
        "contact_open_us": None if contact is None else contact.open_us,
        "contact_limit_us": None if contact is None else contact.limit_us,
        "contacted": None if contact is None else contact.end_us is not None,
    }
