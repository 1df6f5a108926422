"""Does every rule do what its own examples say?

Each example of a rule file is made into a case of a small log that starts on Monday 2024-01-08 at
09:00 UTC (a working day), read in its practice's own words, measured by the rule's template, and
judged by durable-rules and by the independent evaluator. The tickets that an example is linked with
are cases of logs of their practices. Every version of a rule has examples of its own, which are
judged as if it were in force at all times.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from process_mining import schema as s
from process_mining.eventlog import POSITION, EventLog, LogMeta
from rules import engine
from rules.measuring import measure
from rules.practice import OWN, prepare_desk, translate
from rules.records import Records
from rules.service_level import load_service_levels
from rules.spec import Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.catalogue import Catalogue
    from rules.measuring import Measured
    from rules.practice import Practice, Translation
    from rules.service_level import ServiceLevels
    from rules.spec import Example, ExampleEvent, Rule
    from rules.templates import Desk

START: Final = dt.datetime(2024, 1, 8, 9, tzinfo=dt.UTC)
START_US: Final = int(START.timestamp()) * s.US_PER_SECOND


@dataclass(frozen=True)
class ExampleResult:
    """What durable-rules and the evaluator said of example `index` (from 0) of a rule's version."""

    rule: str
    version: int
    index: int
    expected: Verdict
    durable: Verdict
    evaluator: Verdict

    @property
    def ok(self) -> bool:
        """Whether both engines gave the verdict that the example states."""
        return self.expected == self.durable == self.evaluator


@dataclass(frozen=True)
class _Case:
    """An example as one case of an example log."""

    rule: Rule
    index: int
    example: Example

    @property
    def case_id(self) -> str:
        """A unique id that sorts as the examples do."""
        return f"{self.rule.code}-v{self.rule.version:06d}-{self.index:04d}"

    @property
    def as_of_us(self) -> int:
        """The moment of judging, counted from the start of the example."""
        last = max(event.at_us for event in self.example.events)
        return last if self.example.as_of_us is None else self.example.as_of_us


@dataclass(frozen=True)
class _Ticket:
    """One case of an example log: an example's own, or one that it is linked with."""

    case_id: str
    events: Sequence[ExampleEvent]
    columns: Mapping[str, str]


def run_examples(
    catalogue: Catalogue,
    codes: Sequence[str] | None = None,
    *,
    service_levels: ServiceLevels | None = None,
) -> list[ExampleResult]:
    """Judge every example of the rules (all of them, or those named) with both engines.

    The examples of one case type share a log; each is measured as at its own moment, and all
    questions go to the worker in one call. Results are ordered by rule code, version and example.
    """
    wanted = None if codes is None else {catalogue.rule(code).code for code in codes}
    rules = [_timeless(rule) for rule in catalogue.rules if wanted is None or rule.code in wanted]
    levels = service_levels or load_service_levels()
    by_type: dict[str, list[_Case]] = defaultdict(list)
    for rule in rules:
        by_type[rule.case_type] += [_Case(rule, i, one) for i, one in enumerate(rule.examples)]
    asked: list[tuple[list[_Case], Measured, engine.Question]] = []
    for case_type, cases in sorted(by_type.items()):
        desk = _example_desk(cases, case_type, catalogue.practices, levels)
        asked += _questions(desk, cases)
    judged = engine.judge([question for _, _, question in asked])
    results = [
        result
        for (cases, measured, question), verdicts in zip(asked, judged, strict=True)
        for result in _results(cases, measured, question, verdicts.tolist())
    ]
    return sorted(results, key=lambda result: (result.rule, result.version, result.index))


def _timeless(rule: Rule) -> Rule:
    """Return a version as if it were in force at all times."""
    return replace(rule, valid_from=dt.date(1970, 1, 1), valid_until=None)


def _questions(
    desk: Desk, cases: Sequence[_Case]
) -> Iterator[tuple[list[_Case], Measured, engine.Question]]:
    """Measure each rule at each moment that its examples name; ask about those examples only."""
    row_of = {case_id: row for row, case_id in enumerate(desk.log.cases[s.CASE_ID].to_pylist())}
    groups: dict[tuple[str, int, int], list[_Case]] = defaultdict(list)
    for case in cases:
        groups[case.rule.code, case.rule.version, case.as_of_us].append(case)
    for (code, _, as_of_us), own in sorted(groups.items()):
        measured = measure(replace(desk, as_of_us=START_US + as_of_us), own[0].rule)
        rows = np.array([row_of[case.case_id] for case in own])
        facts = {name: values[rows] for name, values in measured.measure.facts.items()}
        yield own, measured, engine.Question(code, measured.table, facts)


def _results(
    cases: Sequence[_Case], measured: Measured, question: engine.Question, verdicts: Sequence[int]
) -> Iterator[ExampleResult]:
    by_table = decide(measured.table, question.facts, question.rule).tolist()
    for case, one, other in zip(cases, verdicts, by_table, strict=True):
        yield ExampleResult(
            rule=case.rule.code,
            version=case.rule.version,
            index=case.index,
            expected=case.example.verdict,
            durable=Verdict(one),
            evaluator=Verdict(other),
        )


def _example_desk(
    cases: Sequence[_Case],
    case_type: str,
    practices: Mapping[str, Practice],
    levels: ServiceLevels,
) -> Desk:
    """Make examples into a desk; the moment of judging is set for each question."""
    own = [_Ticket(case.case_id, case.example.events, case.example.case) for case in cases]
    links = [
        (case.case_id, linked_to, kind)
        for case in cases
        for kind, linked_to in case.example.links.items()
    ]
    others: dict[str, list[_Ticket]] = defaultdict(list)
    for case in cases:
        for number, record in enumerate(case.example.records):
            ticket = _Ticket(f"{case.case_id}-{number:04d}", record.events, {})
            others[record.practice].append(ticket)
            there = (case.case_id, ticket.case_id)
            there, back = (there, there[::-1])[:: 1 if record.direction == "names" else -1]
            links.append((*there, record.kind))
            links += [] if record.back is None else [(*back, record.back)]
    rows = [dict(zip(s.LINK_SCHEMA.names, (*link, None), strict=True)) for link in links]
    table = pa.Table.from_pylist(rows, schema=s.LINK_SCHEMA)
    mine = _translated(own, practices[case_type], table)
    more = [_translated(some, practices[name], None) for name, some in sorted(others.items())]
    records = Records((mine, *more), table)
    return prepare_desk(mine, service_levels=levels, as_of_us=START_US, records=records).desk


def _translated(
    tickets: Sequence[_Ticket], practice: Practice, links: pa.Table | None
) -> Translation:
    """Read tickets as a log in the practice's own words."""
    own_words = next(one for one in practice.candidates if one.name == OWN)
    return translate(_example_log(tickets, practice.name, links), practice, own_words)


def _example_log(tickets: Sequence[_Ticket], practice: str, links: pa.Table | None) -> EventLog:
    events = [
        {
            s.CASE_ID: ticket.case_id,
            s.ACTIVITY: event.activity,
            s.AT: START_US + event.at_us,
            s.ACTOR: event.actor,
            s.TEAM: event.team,
            POSITION: position,
            **{f"{s.ATTRIBUTE_PREFIX}{name}": value for name, value in event.attributes.items()},
        }
        for ticket in tickets
        for position, event in enumerate(ticket.events)
    ]
    cases = [{s.CASE_ID: one.case_id, s.PRACTICE: practice, **one.columns} for one in tickets]
    meta = LogMeta(source="examples", clear_names=True, rows_in=len(events))
    return EventLog.build(_table(events), cases=_table(cases), links=links, meta=meta)


def _table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Build a table from rows that may lack columns; text unless the values are integers."""
    names = sorted({name for row in rows for name in row})
    integers = {s.AT, POSITION}
    return pa.table(
        {
            name: pa.array(
                [row.get(name) for row in rows], pa.int64() if name in integers else pa.string()
            )
            for name in names
        }
    )
