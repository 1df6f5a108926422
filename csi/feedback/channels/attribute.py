"""What score does a case itself carry? For tables that keep a survey's result beside the ticket.

`[[log]]` names the attribute and its scale, and times where the case has them. `asks = "rows"` says
that every case was asked; by default who was asked is not known.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from csi.feedback.channels._cases import TIMES, Cases, Collected, score_of
from csi.feedback.responses import Reading, Response, reading
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.schema import ATTRIBUTE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csi.feedback.declared import LogForm
    from process_mining.eventlog import EventLog

NAME: Final = "attribute"
TITLE: Final = "Kept with the ticket"


def read_log(log: EventLog, forms: Sequence[LogForm]) -> Reading | None:
    """Read the declared attributes; CodedError ST539 for one that the log lacks."""
    mine = [form for form in forms if form.channel == NAME]
    if not mine:
        return None
    raise_all([error for form in mine for error in _missing(log, form)])
    collected, cases, notes = Collected(), Cases(log), []
    for form in mine:
        for case, case_id in enumerate(cases.ids):
            collected.add(case, f"case {case_id}", partial(_response, cases, form, case))
        if form.asks == "answers":
            what = f"attribute '{form.attribute}'"
            notes.append(f"{what}: who was asked is not said, so its response rate is not known")
    return reading(NAME, collected.taken, collected.refused, notes=notes)


def _missing(log: EventLog, form: LogForm) -> Iterator[CodedError]:
    names = log.cases.column_names
    known = [n.removeprefix(ATTRIBUTE_PREFIX) for n in names if n.startswith(ATTRIBUTE_PREFIX)]
    for name in (form.attribute, form.asked_at, form.answered_at):
        if name is not None and name not in known and name not in TIMES:
            msg = f"no case of the log has an attribute '{name}', which [[log]] declares"
            yield CodedError("ST539", msg, fix=did_you_mean(name, known))


def _response(cases: Cases, form: LogForm, case: int) -> Response | None:
    text = cases.value(f"{ATTRIBUTE_PREFIX}{form.attribute}", case)
    score = score_of(text, form.scale, form.missing)
    if score is None and form.asks == "answers":
        return None
    return Response(
        ticket=cases.ids[case],
        asked_at=cases.moment(form.asked_at, case),
        answered_at=None if score is None else cases.moment(form.answered_at, case),
        channel=NAME,
        scale=form.scale,
        score=score,
        ask_known=form.asks == "rows",
    )
