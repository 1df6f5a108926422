"""What lies behind the scores, and what became of the low ones? Made ready for page and scripts.

The log is audited, so that limits, calendars, clocks and findings are those of the rules:

    loops     what became of every low score that the log records (`loop`)
    links     which feedback led to which improvement, and whether the customer was told (`links`)
    contrast  tickets whose promises were kept and whose customers are unhappy, and the reverse
    drilled   the tickets behind the lowest scores, event by event, with the rules they broke

No row names a person. A log without times, or in words that no practice knows, tells none of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from csi.feedback.drill import answers_that_count, contrast, counts_row, drill, lowest
from csi.feedback.links import feedback_links
from csi.feedback.loop import Loop, Loops, loop_terms, loops_of
from csi.feedback.loop_figures import SEGMENTS, LoopFigures, loop_figures
from csi.report.words import moment
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.audit import Audit
    from csi.feedback.drill import Contrast, Drilled, Judged
    from csi.feedback.links import FeedbackLinks, Pair
    from csi.feedback.screening import Screening
    from csi.register import Entry

DRILLED: Final = 10  # the lowest answers whose tickets are told
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
    """What an audit tells of the answers; `figures` of the loops: of all, then by each segment."""

    loops: Loops
    figures: tuple[LoopFigures, ...]
    links: FeedbackLinks
    contrast: Contrast
    drilled: tuple[Drilled, ...]


def closing_of(audit: Audit, screening: Screening, entries: Sequence[Entry] = ()) -> Closing:
    """Look behind the answers that count; `entries` are those of the improvement register."""
    parts = audit.practices
    loops = loops_of(parts, loop_terms(audit.catalogue), as_of_us=audit.as_of_us)
    figures = [loop_figures(loops), *(loop_figures(loops, by=by) for by in SEGMENTS)]
    known = {case for part in parts for case in part.translation.log.cases[s.CASE_ID].to_pylist()}
    answers = [one for one in answers_that_count(screening) if one.ticket in known]
    low = [one for one in answers if one.score <= loops.terms.low.get(one.scale, -1)]
    return Closing(
        loops=loops,
        figures=tuple(one for some in figures for one in some),
        links=feedback_links(audit.log, parts, entries),
        contrast=contrast(
            pa.concat_tables(part.clocks for part in parts), answers, low=loops.terms.low
        ),
        drilled=tuple(drill(audit, one) for one in lowest(low, DRILLED)),
    )


def closing_row(found: Closing) -> dict[str, Any]:
    """Return what feedback.json holds of it."""
    loops = found.loops
    met = {one.scale for one in loops.loops}
    broken = sorted((one for one in loops.loops if one.breaks), key=_gravest)
    return {
        "as_of": moment(loops.as_of_us),
        "low": {scale: most for scale, most in loops.terms.low.items() if scale in met},
        "answers": loops.answers,
        "without_score": loops.without_score,
        "unreadable": loops.unreadable,
        "figures": [asdict(one) for one in found.figures],
        "broken": [_broken(one) for one in broken],
        "links": {
            "both_ways": asdict(found.links.both_ways),
            "told": asdict(found.links.told),
            "pairs": [_pair(one) for one in found.links.pairs],
        },
        "contrast": counts_row(found.contrast)
        | {
            "green_and_unhappy": [_judged(one) for one in found.contrast.green_and_unhappy],
            "breached_and_happy": [_judged(one) for one in found.contrast.breached_and_happy],
        },
        "drilled": [_drilled(one) for one in found.drilled],
    }


def _broken(one: Loop) -> dict[str, Any]:
    return {
        "case": one.case_id,
        "practice": one.practice,
        "scale": one.scale,
        "score": one.score,
        "received": moment(one.received_us),
        "standing": one.standing,
        "breaks": list(one.breaks),
    }


def _pair(one: Pair) -> dict[str, Any]:
    told, outcome = (None if us is None else moment(us) for us in (one.told_us, one.outcome_us))
    return {
        "feedback": one.feedback,
        "improvement": one.improvement,
        "named_by_feedback": one.named_by_feedback,
        "named_by_improvement": one.named_by_improvement,
        "told": told,
        "outcome": outcome,
        "standing": one.standing,
        "breaks": list(one.breaks),
    }


def _judged(one: Judged) -> dict[str, Any]:
    return {
        "case": one.ticket,
        "scale": one.answer.scale,
        "score": one.answer.score,
        "breached": list(one.breached),
    }


def _drilled(one: Drilled) -> dict[str, Any]:
    """One ticket, without its actors."""
    clocks = one.clocks.select(["metric", "status"]).to_pylist()
    return {
        "case": one.answer.ticket,
        "scale": one.answer.scale,
        "score": one.answer.score,
        "practice": one.practice,
        "priority": one.priority,
        "service": one.service,
        "events": [
            {
                "seq": event.seq,
                "at": None if event.at_us is None else moment(event.at_us),
                "activity": event.activity or event.raw,
                "step": event.activity is not None,
            }
            for event in one.events
        ],
        "rules": [
            {"rule": b.rule, "severity": b.severity, "message": b.message, "seqs": list(b.seqs)}
            for b in one.broken
        ],
        "clocks": [f"{row['metric']}: {row['status']}" for row in clocks],
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
