"""What does a version of a rule measure on a desk, and about which cases is it asked at all?

A template measures every case; two things decide whether the rule is asked about a case:

Version. A rule may have versions, each in force from `valid_from` (00:00 UTC) up to, and without,
`valid_until`. Every event is judged by the version in force at that event: the template marks the
events that it judged, all of them inside the period (`Measure.judged`), and a case in which there
are some is asked about. A case in which there is none, or that is judged as a whole, is asked about
where the version is in force at its end: the last step of a complete case, `as_of` for an open one.
In a log without times, and for a case without events, every version is in force.

Scope. All conditions on the columns of the case must hold. Where one fails the rule is not asked;
where none fails but a value is missing (or blank) it may or may not be asked.

A rule that is not asked about a case is VACUOUS for it. One that may or may not be asked is
UNKNOWN, unless it would be VACUOUS anyway. Both are rows of the decision table that the engines
judge, over one more fact, `asked` (0 no, 1 yes, 2 perhaps), which a table has only where not all
cases are asked about.

Rules that read nothing but the steps of a case and their order are measured once a distinct trace.

Not checked: what was in force in whose part of a company; scopes that change during a case (only
the last value of a column is known).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining.columnar import segments
from rules import engine
from rules.durations import midnight_us
from rules.spec import Interval, Row, Verdict
from rules.templates import not_recorded, templates, unobservable
from rules.templates._values import end_of_case
from rules.texts import says_one_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.columnar.distinct import DistinctTraces
    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable, Measure, Rule, Scope
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]
    Verdicts = npt.NDArray[np.int8]

ASKED: Final = "asked"
NO, YES, PERHAPS = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Measured:
    """One version of a rule measured on a desk: what both engines judge, what a finding shows.

    `found` has one entry a case; one a distinct trace where there are `traces`. `in_force` tells
    for each case whether the version is, for what it judges of the case. `silent`: the source
    records nothing of what the rule speaks of, so no defect of the log takes anything.
    """

    rule: Rule
    table: DecisionTable
    found: Measure
    in_force: Bools
    traces: DistinctTraces | None = None
    silent: bool = False

    @cached_property
    def measure(self) -> Measure:
        """What was measured of every case."""
        if self.traces is None:
            return self.found
        return _of_cases(self.traces, self.found)

    def of(self, cases: Ints) -> Measure:
        """Return what was measured of some cases, without what it says of events of the log."""
        if self.traces is not None:
            return _of_cases(self.traces, self.found, cases)
        found = _rows(self.found, cases)
        return replace(found, events=tuple(positions[cases] for positions in found.events))

    @property
    def question(self) -> engine.Question:
        """The same as the rules engine asks it."""
        of_case = None if self.traces is None else self.traces.group_of_case
        return engine.Question(self.rule.code, self.table, self.found.facts, of_case)

    def of_cases(self, verdicts: Verdicts) -> Verdicts:
        """Give every case the verdict on the facts that were found for it."""
        return verdicts if self.traces is None else verdicts[self.traces.group_of_case]


def measure(desk: Desk, rule: Rule, *, by_trace: bool = True) -> Measured:
    """Let the rule's template measure every case of the desk, and say which cases are asked about.

    A rule about an activity that the log's source never records is UNKNOWN for every case. What is
    measured once a trace does not say which events were judged; without `by_trace` nothing is.
    """
    events = _events_in_force(desk, rule)
    always = events is None and _in_force_at_the_end(desk, rule)
    silent = unobservable(desk, rule.params)
    by_trace = by_trace and always and not rule.scope and not silent and rule.params.by_trace()
    if silent:
        table, found = not_recorded(desk, silent)
    else:
        template = templates()[rule.template]
        table = template.decide(rule.params)
        dated = desk if events is None else replace(desk, in_force=events)
        found = template.measure(desk.by_trace if by_trace else dated, rule.params)
    in_force = _cases_in_force(desk, rule, found, always=always)
    traces = desk.traces if by_trace else None
    if not always or rule.scope:
        asked = np.where(in_force, scoped(desk, rule.scope), NO)
        if not np.all(asked == YES):
            table, found = _with_asked(table, found, asked, rule)
    return Measured(rule, table, found, in_force, traces, silent=bool(silent))


def _events_in_force(desk: Desk, rule: Rule) -> Bools | None:
    """Tell for each event whether the version is in force at it; None where it is at all."""
    if not desk.log.timed or _inside(desk.span, rule).all():
        return None
    return in_force_at(desk, rule)


def in_force_at(desk: Desk, rule: Rule) -> Bools:
    """Tell for each event whether the version is in force at it; in a log without times it is."""
    if not desk.log.timed:
        return np.ones(desk.log.n_events, dtype=bool)
    return _inside(desk.log.arrays.at, rule)


def _of_cases(traces: DistinctTraces, found: Measure, cases: Ints | None = None) -> Measure:
    """Give cases (without `cases` all) what was measured of the representative of their trace.

    Which events were judged is left out: only versions that are in force at all times get here.
    """
    events = tuple(traces.expand(positions, cases) for positions in found.events)
    of_case = traces.group_of_case
    return replace(_rows(found, of_case if cases is None else of_case[cases]), events=events)


def _rows(found: Measure, rows: Ints) -> Measure:
    """Take some rows of all that a measure says of cases; events stay as they are."""
    return replace(
        found,
        facts={name: values[rows] for name, values in found.facts.items()},
        measured=None if found.measured is None else found.measured[rows],
        limit=None if found.limit is None else found.limit[rows],
        margin_us=None if found.margin_us is None else found.margin_us[rows],
        starts=None,
        stops=None,
        judged=None,
    )


def _in_force_at_the_end(desk: Desk, rule: Rule) -> bool:
    """Tell whether the version is in force when open cases are judged."""
    return not desk.log.timed or bool(_inside(np.array([desk.as_of_us]), rule)[0])


def _cases_in_force(desk: Desk, rule: Rule, found: Measure, *, always: bool) -> Bools:
    """Tell for each case whether the version judges an event of it, or is in force at its end."""
    arrays = desk.log.arrays
    if always:
        return np.ones(arrays.n_cases, dtype=bool)
    ends = segments.take(arrays.at, end_of_case(desk), fill=0)
    ends = np.where(desk.complete, ends, desk.as_of_us)
    judges = np.zeros(arrays.n_cases, dtype=bool)
    if found.judged is not None:
        judges = segments.count(arrays, found.judged) > 0
    empty = segments.last_event(arrays) == segments.NONE
    return np.asarray(judges | _inside(ends, rule) | empty)


def _inside(at_us: Ints, rule: Rule) -> Bools:
    inside = np.asarray(at_us >= midnight_us(rule.valid_from))
    return inside if rule.valid_until is None else inside & (at_us < midnight_us(rule.valid_until))


def scoped(desk: Desk, scope: tuple[Scope, ...]) -> Ints:
    """Tell for each case whether all conditions hold: NO, YES, or PERHAPS for want of a value."""
    asked = np.full(desk.log.n_cases, YES, dtype=np.int64)
    for condition in scope:
        holds, known = _holds(desk, condition)
        asked = np.where(known & ~holds, NO, np.where(known | (asked == NO), asked, PERHAPS))
    return asked


def _holds(desk: Desk, condition: Scope) -> tuple[Bools, Bools]:
    """Tell for each case whether a condition holds, and whether the value is known."""
    listed = condition.one_of or condition.none_of
    found, known = says_one_of(desk.log.cases, condition.column, listed)
    return (found if condition.one_of else known & ~found), known


def unmet(desk: Desk, scope: tuple[Scope, ...], case: int) -> list[tuple[Scope, str]]:
    """Return the conditions that one case surely does not meet, with what it says instead."""
    found = []
    for condition in scope:
        holds, known = _holds(desk, condition)
        if known[case] and not holds[case]:
            found.append((condition, str(desk.log.cases[condition.column][case].as_py())))
    return found


def _with_asked(
    table: DecisionTable, found: Measure, asked: Ints, rule: Rule
) -> tuple[DecisionTable, Measure]:
    """Put the fact `asked` before a table: not asked is vacuous, perhaps asked is unknown."""
    rows = [Row(Verdict.VACUOUS, {ASKED: Interval(NO, NO)})]
    for row in table:
        if row.verdict in (Verdict.VACUOUS, Verdict.UNKNOWN):
            rows.append(Row(row.verdict, {**row.when, ASKED: Interval(YES, PERHAPS)}))
        else:
            rows.append(Row(row.verdict, {**row.when, ASKED: Interval(YES, YES)}))
            rows.append(Row(Verdict.UNKNOWN, {**row.when, ASKED: Interval(PERHAPS, PERHAPS)}))
    facts = {**found.facts, ASKED: asked}
    if not np.any(asked == PERHAPS):
        return tuple(rows), replace(found, facts=facts)
    names = ", ".join(dict.fromkeys(f"'{one.column}'" for one in rule.scope))
    cause = f"the case does not say its {names}, which tells whether the rule is about it"
    both = "; ".join(text for text in (found.cause, cause) if text)
    return tuple(rows), replace(found, facts=facts, cause=both)
