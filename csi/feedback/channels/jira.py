"""What rating did a customer of Jira Service Management give? What the log keeps with a request.

`attr.satisfaction` is 1 to 5 by the product's own definition, `attr.satisfaction_date` when it was
given. Whom the product asked is not exported: no response rate can be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.feedback.channels._cases import Cases
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
    taken = []
    for case, case_id in enumerate(cases.ids):
        rating = cases.value(_RATING, case)
        if rating is None:
            continue
        score = cases.score(rating, SCALE, case, ())
        answered = cases.moment("satisfaction_date", case)
        if case not in cases.refused:
            place = f"case {case_id}"
            taken.append(
                Response(
                    ticket=case_id,
                    asked_at=None,
                    answered_at=answered,
                    channel=NAME,
                    scale=SCALE,
                    score=score,
                    ask_known=False,
                    file="log",
                    place=place,
                )
            )
    note = "the export does not say whom it asked, so its response rate is not known"
    return reading(NAME, taken, list(cases.refused.values()), notes=[f"{NAME}: {note}"])
