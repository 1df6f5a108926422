"""How do the stories of a desk become tables: events, tickets, surveys and the truth?

Times become timestamps in microseconds UTC; what does not apply is null. The order of every table
is total: events by (at, case_id, seq), tickets and surveys by case_id, truth by (case_id, rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from csi.simulate.incident import UNNAMED_PROBLEM
from csi.simulate.planting import KINDS, RESOLUTION_LATE, RESPONSE_LATE, SLOWED
from csi.simulate.promises import RESOLUTION, RESPONSE, broken_promises
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csi.simulate.desk import Ticket
    from csi.simulate.trail import Step

LINK_TO_PROBLEM: Final = s.LINK_PREFIX + "problem"
EARLIER_PROBLEM: Final = "PRB0000000"  # one that was closed before the log begins

EVENTS: Final = pa.schema(
    [
        (s.CASE_ID, pa.string()),
        (s.PRACTICE, pa.string()),
        (s.ACTIVITY, pa.string()),
        (s.AT, s.UTC_US),
        (s.SEQ, pa.int64()),
        (s.ACTOR, pa.string()),
        (s.TEAM, pa.string()),
        ("attr.score", pa.string()),
    ]
)
TICKETS: Final = pa.schema(
    [
        (s.CASE_ID, pa.string()),
        (s.PRACTICE, pa.string()),
        (s.PRIORITY, pa.string()),
        (s.CATEGORY, pa.string()),
        (s.SERVICE, pa.string()),
        (s.OPENED, s.UTC_US),
        (s.RESOLVED, s.UTC_US),
        (s.CLOSED, s.UTC_US),
        ("channel", pa.string()),
        (LINK_TO_PROBLEM, pa.string()),
    ]
)
SURVEYS: Final = pa.schema(
    [
        ("ticket", pa.string()),
        ("asked_at", s.UTC_US),
        ("answered_at", s.UTC_US),
        ("channel", pa.string()),
        ("scale", pa.string()),
        ("score", pa.string()),
        ("comment", pa.string()),
    ]
)
TRUTH: Final = pa.schema(
    [
        (s.CASE_ID, pa.string()),
        ("rule", pa.string()),
        ("kind", pa.string()),
        ("seqs", pa.list_(pa.int64())),
        ("note", pa.string()),
    ]
)
SCALE: Final = "1-5"
COMMENTS: Final = {
    "1": ("Nobody told me anything for days.", "Still not working, sorry.", ""),
    "2": ("Too slow, and I had to explain it twice.", "Took far too long", ""),
    "3": ("It works again, but it took a while.", "", ""),
    "4": ("Solved, thank you.", "Friendly, a bit slow.", ""),
    "5": ("Quick and kind, thanks!", "Great help", ""),
}


@dataclass(frozen=True)
class Story:
    """One ticket as the log tells it: what was planted, and the steps before the log's end."""

    ticket: Ticket
    kind: str
    steps: tuple[Step, ...]


def event_table(stories: Sequence[Story]) -> pa.Table:
    """One row an event."""
    rows = [
        (
            story.ticket.case_id,
            story.ticket.practice,
            step.activity,
            step.at * s.US_PER_SECOND,
            seq,
            step.actor,
            step.team or None,
            step.score or None,
        )
        for story in stories
        for seq, step in enumerate(story.steps)
    ]
    rows.sort(key=itemgetter(3, 0, 4))
    return _table(EVENTS, rows)


def ticket_table(stories: Sequence[Story]) -> pa.Table:
    """One row a ticket, as the tool's ticket list shows it at the log's end."""
    problems = sorted(x.ticket.case_id for x in stories if x.ticket.practice == "problem")
    rows = [
        (
            story.ticket.case_id,
            story.ticket.practice,
            story.ticket.priority,
            story.ticket.category,
            story.ticket.service,
            story.ticket.at * s.US_PER_SECOND,
            _resolved(story.steps),
            _last(story.steps, ("Close", "Cancel")),
            story.ticket.channel,
            _problem(story, problems[index % len(problems)] if problems else EARLIER_PROBLEM),
        )
        for index, story in enumerate(stories)
    ]
    return _table(TICKETS, sorted(rows, key=itemgetter(0)))


def _problem(story: Story, problem: str) -> str | None:
    """The problem that an incident waited for, unless nobody named it."""
    waited = any(step.activity == "Await problem" for step in story.steps)
    return problem if waited and story.kind != UNNAMED_PROBLEM else None


def survey_table(stories: Sequence[Story]) -> pa.Table:
    """One row a request for feedback; the answer's columns are null where none came."""
    return _table(SURVEYS, sorted(row for story in stories for row in _surveys(story)))


def truth_table(stories: Sequence[Story], *, as_of: int) -> pa.Table:
    """One row for every rule that a case breaks."""
    rows = [row for story in stories for row in _truths(story, as_of)]
    return _table(TRUTH, sorted(rows, key=itemgetter(0, 1)))


def _surveys(story: Story) -> Iterator[tuple[object, ...]]:
    asked = next((x for x in story.steps if x.activity == "Ask feedback"), None)
    if asked is None:
        return
    got = next((x for x in story.steps if x.activity == "Receive feedback"), None)
    comments = COMMENTS[got.score] if got is not None else ("",)
    yield (
        story.ticket.case_id,
        asked.at * s.US_PER_SECOND,
        None if got is None else got.at * s.US_PER_SECOND,
        "mail",
        SCALE,
        None if got is None else got.score,
        comments[asked.at % len(comments)] or None,
    )


def _truths(story: Story, as_of: int) -> Iterator[tuple[object, ...]]:
    case_id, steps = story.ticket.case_id, story.steps
    for kind in KINDS:
        if kind.name == story.kind:
            seqs = [i for i, step in enumerate(steps) if step.activity in kind.shown_by]
            yield from ((case_id, rule, kind.name, seqs, "planted") for rule in kind.breaks)
    if story.ticket.practice != "incident":
        return
    planted = {RESPONSE: RESPONSE_LATE, RESOLUTION: RESOLUTION_LATE}
    for rule, at in broken_promises(steps, story.ticket.promise, as_of=as_of).items():
        note = "planted" if story.kind == planted[rule] else "follows from the kind"
        yield (case_id, rule, story.kind or SLOWED, list(at), note)


def _resolved(steps: Sequence[Step]) -> int | None:
    """When the ticket was last resolved, unless it has been reopened since."""
    resolved, reopened = _last(steps, ("Resolve",)), _last(steps, ("Reopen",))
    return None if resolved is None or (reopened or 0) > resolved else resolved


def _last(steps: Sequence[Step], activities: tuple[str, ...]) -> int | None:
    at = next((x.at for x in reversed(steps) if x.activity in activities), None)
    return None if at is None else at * s.US_PER_SECOND


def _table(schema: pa.Schema, rows: Sequence[Sequence[object]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
