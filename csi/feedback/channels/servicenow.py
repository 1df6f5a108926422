"""What did ServiceNow's surveys say? What its reader keeps of asmt_assessment_instance with a case.

A case has `survey:NAME:state, asked, answered` and `survey:NAME:score:QUESTION`; its second survey
of one name is NAME#2, and so on. The scale of a question stands in tables that are not kept, so a
question is read only where `[[log]]` declares it; the others are named in a note. An instance is an
ask; one whose state is a form of "cancelled" reached nobody.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from csi.feedback.channels._cases import Cases, Collected, score_of
from csi.feedback.responses import Reading, Response, reading
from process_mining.schema import ATTRIBUTE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.feedback.declared import LogForm
    from process_mining.eventlog import EventLog

NAME: Final = "servicenow"
TITLE: Final = "ServiceNow survey"
_START: Final = f"{ATTRIBUTE_PREFIX}survey:"
_SCORE: Final = ":score:"


def read_log(log: EventLog, forms: Sequence[LogForm]) -> Reading | None:
    """Read the declared questions; None where no case has a survey."""
    held = [name for name in log.cases.column_names if name.startswith(_START)]
    if not held:
        return None
    collected, cases = Collected(), Cases(log)
    used: set[str] = set()
    for form in forms:
        if form.channel == NAME:
            _collect(collected, cases, form, used)
    return reading(NAME, collected.taken, collected.refused, notes=_notes(held, used))


def _collect(collected: Collected, cases: Cases, form: LogForm, used: set[str]) -> None:
    """Take the answers to one question, of every instance of its survey."""
    for number in count(1):
        stem = f"survey:{form.survey}" + ("" if number == 1 else f"#{number}")
        columns = [f"{stem}:{part}" for part in ("state", "asked", "answered")]
        columns.append(f"{stem}{_SCORE}{form.question}")
        if not any(cases.has(ATTRIBUTE_PREFIX + name) for name in columns):
            return
        used.add(ATTRIBUTE_PREFIX + columns[-1])
        for case, case_id in enumerate(cases.ids):
            place = f"case {case_id}, survey {form.survey}#{number}"
            collected.add(case, place, partial(_response, cases, form, columns, case))


def _response(cases: Cases, form: LogForm, columns: Sequence[str], case: int) -> Response | None:
    state, asked, answered, score = columns
    if all(cases.value(ATTRIBUTE_PREFIX + name, case) is None for name in columns):
        return None
    word = cases.value(ATTRIBUTE_PREFIX + state, case) or ""
    return Response(
        ticket=cases.ids[case],
        asked_at=cases.moment(asked, case),
        answered_at=cases.moment(answered, case),
        channel=NAME,
        scale=form.scale,
        score=score_of(cases.value(ATTRIBUTE_PREFIX + score, case), form.scale, form.missing),
        delivered=not word.lower().startswith("cancel"),
    )


def _notes(held: Sequence[str], used: set[str]) -> list[str]:
    left = sorted(name.removeprefix(_START) for name in set(held) - used if _SCORE in name)
    if not left:
        return []
    named = "; ".join(name.replace(_SCORE, ", question ") for name in left)
    return [f"not read, for no scale is declared under [[log]]: survey {named}"]
