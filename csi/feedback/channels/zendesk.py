"""What rating did a Zendesk ticket get? What the log keeps with a ticket: good, bad, or offered.

The last rating counts, as the tool itself shows it. A ticket that was offered a rating and got none
was asked. The time of the ticket's last change of its rating is when it was answered, or, where it
is only offered, when it was asked; who made that change is the respondent. An earlier offer of an
answered ticket has no time of its own in the log: asked_at is then null.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from csi.feedback.channels._cases import Cases, Collected, score_of
from csi.feedback.responses import Reading, Response, reading
from csi.feedback.scales import GOOD_BAD
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.feedback.declared import LogForm
    from process_mining.eventlog import EventLog

NAME: Final = "zendesk"
TITLE: Final = "Zendesk rating"
OFFERED: Final = "offered"
COMMENTED: Final = "_with_comment"  # the tool's word for the same rating with a text
_RATING: Final = f"{s.ATTRIBUTE_PREFIX}satisfaction"
_CHANGED: Final = f"{s.ATTRIBUTE_PREFIX}changed"


def read_log(log: EventLog, forms: Sequence[LogForm]) -> Reading | None:  # noqa: ARG001 - as of all
    """Read the ratings; None where the log is none of Zendesk's or no ticket has one."""
    cases = Cases(log)
    if log.meta.source != NAME or not cases.has(_RATING):
        return None
    changes, collected = _last_changes(log), Collected()
    for case, case_id in enumerate(cases.ids):
        at, actor = changes.get(case_id, (None, None))
        make = partial(_response, case_id, cases.value(_RATING, case), at, actor)
        collected.add(case, f"case {case_id}", make)
    return reading(NAME, collected.taken, collected.refused)


def _response(
    ticket: str, rating: str | None, at: int | None, actor: str | None
) -> Response | None:
    if rating is None:
        return None
    offered = rating == OFFERED
    return Response(
        ticket=ticket,
        asked_at=at if offered else None,
        answered_at=None if offered else at,
        channel=NAME,
        scale=GOOD_BAD,
        score=None if offered else score_of(rating.removesuffix(COMMENTED), GOOD_BAD),
        respondent=None if offered else actor,
    )


def _last_changes(log: EventLog) -> dict[str, tuple[int, str | None]]:
    """When each ticket's rating changed last, and by whom."""
    if _CHANGED not in log.events.column_names:
        return {}
    names = pc.match_substring_regex(log.events[_CHANGED], r"(^|,)satisfaction(,|$)")
    rows = log.events.filter(pc.fill_null(names, fill_value=False))
    ids, times, actors = (rows[name] for name in (s.CASE_ID, s.AT, s.ACTOR))
    stamps = times.cast("int64").to_pylist()
    told = zip(stamps, actors.to_pylist(), strict=True)
    return dict(zip(ids.to_pylist(), told, strict=True))
