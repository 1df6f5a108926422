"""What did ServiceNow's surveys say? What its reader keeps of asmt_assessment_instance with a case.

A case has `survey:NAME:state, asked, answered` and `survey:NAME:score:QUESTION`; its second survey
of one name is NAME#2, and so on. The scale of a question stands in tables that are not kept, so a
question is read only where `[[log]]` declares it; the others are named in a note. An instance is an
ask; one whose state is a form of "cancelled" reached nobody.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from csi.feedback.channels._cases import Cases
from csi.feedback.responses import Reading, Refusal, Response, reading
from process_mining.schema import ATTRIBUTE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    taken: list[Response] = []
    refused: list[Refusal] = []
    used: set[str] = set()
    for form in forms:
        if form.channel == NAME:
            cases = Cases(log)
            rows = list(_responses(cases, form, used))
            taken += [row for case, row in rows if case not in cases.refused]
            refused += cases.refused.values()
    return reading(NAME, taken, refused, notes=_notes(held, used))


def _responses(cases: Cases, form: LogForm, used: set[str]) -> Iterator[tuple[int, Response]]:
    for number in count(1):
        stem = f"{_START}{form.survey}" + ("" if number == 1 else f"#{number}")
        parts = {part: f"{stem}:{part}" for part in ("state", "asked", "answered")}
        score_column = f"{stem}{_SCORE}{form.question}"
        if not any(cases.has(name) for name in (score_column, *parts.values())):
            return
        used.add(score_column)
        for case, case_id in enumerate(cases.ids):
            state, score = (cases.value(name, case) for name in (parts["state"], score_column))
            asked, answered = (
                cases.moment(parts[part].removeprefix(ATTRIBUTE_PREFIX), case)
                for part in ("asked", "answered")
            )
            if state is None and asked is None and answered is None and score is None:
                continue
            yield (
                case,
                Response(
                    ticket=case_id,
                    asked_at=asked,
                    answered_at=answered,
                    channel=NAME,
                    scale=form.scale,
                    score=cases.score(score, form.scale, case, form.missing),
                    delivered=not (state or "").lower().startswith("cancel"),
                    file="log",
                    place=f"case {case_id}, survey {form.survey}#{number}",
                ),
            )


def _notes(held: Sequence[str], used: set[str]) -> list[str]:
    left = sorted(name.removeprefix(_START) for name in set(held) - used if _SCORE in name)
    if not left:
        return []
    named = "; ".join(name.replace(_SCORE, ", question ") for name in left)
    return [f"not read, for no scale is declared under [[log]]: survey {named}"]
