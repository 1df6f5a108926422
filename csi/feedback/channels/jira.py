"""What rating did a customer of Jira Service Management give? What the log keeps with a request.

`attr.satisfaction` is 1 to 5 by the product's own definition, `attr.satisfaction_date` when it was
given. Whom the product asked is not exported: no response rate can be known.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from csi.feedback.channels._cases import Cases, Collected, score_of
from csi.feedback.responses import Reading, Response, reading
from process_mining.schema import ATTRIBUTE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.feedback.declared import LogForm
    from process_mining.eventlog import EventLog

NAME: Final = "jira"
TITLE: Final = "Jira Service Management"
SCALE: Final = "1-5"
_RATING: Final = f"{ATTRIBUTE_PREFIX}satisfaction"


def read_log(log: EventLog, forms: Sequence[LogForm]) -> Reading | None:  # noqa: ARG001 - as of all
    """Read the ratings; None where the log is none of Jira's or no case has one."""
    cases = Cases(log)
    if log.meta.source != NAME or not cases.has(_RATING):
        return None
    collected = Collected()
    for case, case_id in enumerate(cases.ids):
        collected.add(case, f"case {case_id}", partial(_response, cases, case))
    note = "the export does not say whom it asked, so its response rate is not known"
    return reading(NAME, collected.taken, collected.refused, notes=[f"{NAME}: {note}"])


def _response(cases: Cases, case: int) -> Response | None:
    rating = cases.value(_RATING, case)
    if rating is None:
        return None
    return Response(
        ticket=cases.ids[case],
        asked_at=None,
        answered_at=cases.moment("satisfaction_date", case),
        channel=NAME,
        scale=SCALE,
        score=score_of(rating, SCALE),
        ask_known=False,
    )
