"""What else does ServiceNow keep about a ticket, and under which names does the log keep it?

SLA rows and surveys are no events; they stay with the case as attributes, so that a later step can
hold its own clocks and scores against the tool's:

    sla:NAME:stage, breached, start, end, planned_end, original_breach, percentage,
             duration_us, business_duration_us, pause_us, business_pause_us
    survey:NAME:state, asked, answered          survey:NAME:score:QUESTION

NAME is the SLA's or the survey's (contract_sla, asmt_metric_type and asmt_metric turn their sys_ids
into names); the second one of a ticket is `NAME#2`, in order of its start. Times are ISO 8601 in
UTC, durations whole µs. Comments of customers, as all long texts, are left out.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from process_mining.sources.servicenow.rows import ANSWER, SLA, SURVEY, SYS_ID
from process_mining.sources.servicenow.tickets import BadRowError
from process_mining.sources.servicenow.values import duration_us, number

if TYPE_CHECKING:
    from process_mining.sources.servicenow.names import Names
    from process_mining.sources.servicenow.rows import Row
    from process_mining.sources.servicenow.tickets import Tickets
    from process_mining.sources.servicenow.values import Stamps

    Facts = dict[str, str]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SLA_TIMES: Final = {
    "start_time": "start",
    "end_time": "end",
    "planned_end_time": "planned_end",
    "original_breach_time": "original_breach",
}
_SLA_DURATIONS: Final = {
    "duration": "duration_us",
    "business_duration": "business_duration_us",
    "pause_duration": "pause_us",
    "business_pause_duration": "business_pause_us",
}
_SURVEY_TIMES: Final = {"sys_created_on": "asked", "taken_on": "answered"}
KEPT_TIMES: Final[dict[str, tuple[str, ...]]] = {
    SLA: tuple(_SLA_TIMES),
    SURVEY: tuple(_SURVEY_TIMES),
    ANSWER: (),
}


@dataclass(eq=False)
class Keeper:
    """Collects the facts of SLA rows and surveys by case and name."""

    tickets: Tickets
    names: Names
    _found: dict[tuple[str, str, str], list[Facts]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _surveys: dict[str, tuple[str, Facts]] = field(default_factory=dict)

    def sla(self, row: Row, stamps: Stamps) -> None:
        """Take one row of task_sla."""
        case_id = self.tickets.of_reference(row.values.get("task"), row.labels.get("task"))
        facts = _times(row, stamps, _SLA_TIMES)
        for column, name in _SLA_DURATIONS.items():
            us = duration_us(row.values.get(column))
            if us is not None:
                facts[name] = str(us)
        _put(facts, "stage", row.label("stage"))
        _put(facts, "breached", (row.text("has_breached") or "").lower())
        _put(facts, "percentage", number(row.text("business_percentage") or ""))
        self._found[case_id, "sla", self._name(row, "sla")].append(facts)

    def survey(self, row: Row, stamps: Stamps) -> None:
        """Take one row of asmt_assessment_instance."""
        about = next((name for name in ("trigger_id", "task_id", "task") if row.text(name)), "")
        case_id = self.tickets.of_reference(row.values.get(about), row.labels.get(about))
        facts = _times(row, stamps, _SURVEY_TIMES)
        _put(facts, "state", row.label("state"))
        self._found[case_id, "survey", self._name(row, "metric_type")].append(facts)
        for key in (row.values.get(SYS_ID), row.text("number")):
            if key:
                self._surveys[key] = (case_id, facts)

    def answer(self, row: Row, stamps: Stamps) -> None:  # noqa: ARG002 - as the others are called
        """Take one row of asmt_metric_result: the answer to one question."""
        facts = self._survey_of(row)
        _put(facts, f"score:{self._name(row, 'metric')}", number(row.text("actual_value") or ""))

    def finish(self) -> None:
        """Give the cases their attributes."""
        for (case_id, kind, name), several in sorted(self._found.items()):
            ordered = sorted(several, key=_in_time)
            for index, facts in enumerate(ordered, start=1):
                stem = f"{kind}:{name}" if index == 1 else f"{kind}:{name}#{index}"
                kept = {f"{stem}:{what}": value for what, value in facts.items()}
                self.tickets.cases[case_id].attributes |= kept

    def _survey_of(self, row: Row) -> Facts:
        for text in (row.values.get("instance"), row.labels.get("instance")):
            if text in self._surveys:
                return self._surveys[text][1]
        raise BadRowError("LG155", "answers a survey that no table here holds")

    def _name(self, row: Row, column: str) -> str:
        return self.names.thing(row.values.get(column), row.labels.get(column)) or "unnamed"


def _times(row: Row, stamps: Stamps, columns: dict[str, str]) -> Facts:
    found = {name: stamps.read(row, column) for column, name in columns.items()}
    return {name: _iso(at) for name, at in found.items() if at is not None}


def _iso(at: int) -> str:
    return (_EPOCH + dt.timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def _put(facts: Facts, name: str, value: str | None) -> None:
    if value:
        facts[name] = value


def _in_time(facts: Facts) -> tuple[str, list[tuple[str, str]]]:
    return (facts.get("start") or facts.get("asked") or "", sorted(facts.items()))
