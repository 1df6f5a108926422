"""How do the stories of a desk become tables: events, tickets, surveys and the truth?

Times become timestamps in microseconds UTC; what does not apply is null. The order of every table
is total: events by (at, case_id, seq), tickets and surveys by case_id, truth by (case_id, rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.simulate.desk import LEVELS
from csi.simulate.links import KINDS as LINKS
from csi.simulate.offences import OFFENCES
from csi.simulate.planting import RESOLUTION_LATE, RESPONSE_LATE, SLOWED, STORIES
from csi.simulate.promises import RESOLUTION, RESPONSE, broken_promises
from csi.simulate.served_clocks import served_clocks
from csi.simulate.trail import Step
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csi.simulate.desk import Ticket
    from csi.simulate.links import Links

KINDS: Final = {kind.name: kind for kind in (*STORIES, *OFFENCES)}
ATTRIBUTES: Final = tuple(
    s.ATTRIBUTE_PREFIX + x
    for x in ("score", "category", "risk", "violations", "priority", "written_by", "clock")
)
CODES: Final = ("Solved (permanently)", "Solved (workaround)", "Solved by the customer")
CANCELLED: Final = "Cancelled"
ENDS: Final = ("Close", "Cancel", "Terminate", "Retire", "Expire")
PLANTED: Final = "planted"
IN_CLUSTER: Final = "planted; one of a cluster"

# columns that the tickets of one group only have
OWN_COLUMNS: Final = ("type", "major_incident_state", "kpi")

EVENTS: Final = pa.schema(
    [
        (s.CASE_ID, pa.string()),
        (s.PRACTICE, pa.string()),
        (s.ACTIVITY, pa.string()),
        (s.AT, s.UTC_US),
        (s.SEQ, pa.int64()),
        (s.ACTOR, pa.string()),
        (s.TEAM, pa.string()),
        *((name, pa.string()) for name in ATTRIBUTES),
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
        ("impact", pa.string()),
        ("urgency", pa.string()),
        ("close_code", pa.string()),
        *((name, pa.string()) for name in OWN_COLUMNS),
        *((s.LINK_PREFIX + kind, pa.string()) for kind in LINKS),
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
    clustered: bool = False

    @property
    def priority(self) -> str:
        """The priority that the ticket has at the log's end."""
        said = (step.priority for step in reversed(self.steps) if step.priority)
        return next(said, self.ticket.priority)

    def first(self, activity: str) -> int | None:
        """Return when an activity first happened, or None."""
        return next((step.at for step in self.steps if step.activity == activity), None)

    def last(self, *activities: str) -> int | None:
        """Return when one of some activities last happened, or None."""
        return next((x.at for x in reversed(self.steps) if x.activity in activities), None)


def event_table(stories: Sequence[Story]) -> pa.Table:
    """One row an event; what is empty is null."""
    lengths = [len(story.steps) for story in stories]
    flat = zip(*(step for story in stories for step in story.steps), strict=True)
    steps = dict(zip(Step._fields, flat, strict=True))
    whose = pa.array(np.repeat(np.arange(len(stories)), lengths))
    columns = {
        s.CASE_ID: pa.array([story.ticket.case_id for story in stories]).take(whose),
        s.PRACTICE: pa.array([story.ticket.practice for story in stories]).take(whose),
        s.AT: np.array(steps["at"], dtype=np.int64) * s.US_PER_SECOND,
        s.SEQ: np.concatenate([np.arange(n) for n in lengths]),
    }
    for name in (*ATTRIBUTES, s.ACTIVITY, s.ACTOR, s.TEAM):
        texts = pa.array(steps[name.removeprefix(s.ATTRIBUTE_PREFIX)], pa.string())
        columns[name] = pc.if_else(pc.equal(texts, ""), None, texts)
    table = pa.Table.from_pydict({name: columns[name] for name in EVENTS.names}, schema=EVENTS)
    return table.sort_by([(name, "ascending") for name in (s.AT, s.CASE_ID, s.SEQ)])


def ticket_table(stories: Sequence[Story], links: Links) -> pa.Table:
    """One row a ticket, as the tool's ticket list shows it at the log's end."""
    rows = [_row(story, links.named.get(story.ticket.case_id, {})) for story in stories]
    return _table(TICKETS, sorted(rows, key=itemgetter(0)))


def _row(story: Story, named: Mapping[str, str]) -> tuple[object, ...]:
    ticket, closed = story.ticket, _closed(story)
    lacks = KINDS[story.kind].without_column if story.kind in KINDS else ""
    row = (
        ticket.case_id,
        ticket.practice,
        story.priority or None,
        ticket.category if lacks != s.CATEGORY else None,
        ticket.service,
        ticket.at * s.US_PER_SECOND,
        _resolved(story),
        None if closed is None else closed * s.US_PER_SECOND,
        ticket.channel,
        LEVELS.get(ticket.impact),
        LEVELS.get(ticket.urgency),
        _code(story) if closed is not None and lacks != "close_code" else None,
    )
    own = [ticket.columns.get(name) if lacks != name else None for name in OWN_COLUMNS]
    return (*row, *own, *map(named.get, LINKS))


def _closed(story: Story) -> int | None:
    """When the case ended; a change or a request also by its rejection, if nothing follows."""
    rejected = story.steps[-1].at if story.steps[-1].activity == "Reject" else None
    return story.last(*ENDS) or rejected


def _code(story: Story) -> str | None:
    """How an incident was closed."""
    if story.ticket.practice != "incident":
        return None
    return CODES[story.ticket.at % len(CODES)] if story.last("Close") else CANCELLED


def survey_table(stories: Sequence[Story]) -> pa.Table:
    """One row a request for feedback; the answer's columns are null where none came."""
    return _table(SURVEYS, sorted(row for story in stories for row in _surveys(story)))


def truth_table(stories: Sequence[Story], links: Links, *, as_of: int) -> pa.Table:
    """One row for every rule that a case breaks, and for all that was done to its clock."""
    rows = [row for story in stories for row in _truths(story, links, as_of)]
    return _table(TRUTH, sorted(rows, key=itemgetter(0, 1)))


def _surveys(story: Story) -> Iterator[tuple[object, ...]]:
    asked = next((x for x in story.steps if x.activity == "Ask feedback"), None)
    if asked is None or story.ticket.practice != "incident":
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


def _truths(story: Story, links: Links, as_of: int) -> Iterator[tuple[object, ...]]:
    case_id, steps = story.ticket.case_id, story.steps
    kind = KINDS.get(story.kind)
    breaks = () if kind is None or case_id in links.missing else kind.breaks
    if kind is not None:
        note = IN_CLUSTER if story.clustered else PLANTED
        seqs = [i for i, step in enumerate(steps) if step.activity in kind.shown_by]
        yield from ((case_id, rule, kind.name, seqs, note) for rule in breaks)
    if story.ticket.practice != "incident":
        return
    planted = {RESPONSE: RESPONSE_LATE, RESOLUTION: RESOLUTION_LATE}
    counted = broken_promises(steps, story.priority, as_of=as_of)
    counted |= served_clocks(steps, story.priority, as_of=as_of)
    for rule, at in counted.items():
        if rule not in breaks:
            note = PLANTED if story.kind == planted.get(rule) else "follows from the kind"
            yield (case_id, rule, story.kind or SLOWED, list(at), note)


def _resolved(story: Story) -> int | None:
    """When the ticket was last resolved, unless it has been reopened since."""
    resolved, reopened = story.last("Resolve"), story.last("Reopen")
    if resolved is None or (reopened or 0) > resolved:
        return None
    return resolved * s.US_PER_SECOND


def _table(schema: pa.Schema, rows: Sequence[Sequence[object]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
