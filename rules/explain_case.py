"""Why did a rule fire on this case, or why not? The same words for every kind of constraint.

The rule is asked about the whole log, as an audit asks it (`rules.check.judge_versions`), and what
it says of one case is laid open: what is demanded; the facts that its template measured, named in
words (`rules.templates._facts`); every row of the decision table with what holds of it and what
does not (exactly one row holds); each event of the case in order, with the version of the rule that
was in force at it, and marked where the rule judged it, rests on it, or started or stopped a clock
by it. An UNKNOWN has every reason, a VACUOUS says why nothing was asked, and a PENDING what may
still happen, and until when (`rules.continuations`).

Nothing here knows a template. What is said of one comes from its module (`describe`, `EXPLAIN`) and
from what it measured. Names of people are as pseudonymous as in the log.

Not checked: whether the verdict is fair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining import schema as s
from process_mining.quality import KINDS, TIME
from rules.check import gravest, judge_versions
from rules.continuations import Ahead, look_ahead
from rules.findings import findings
from rules.measuring import ASKED, NO, in_force_at, unmet
from rules.spec import NO_EVENT, Verdict
from rules.templates import NOT_MEASURED, templates
from rules.templates._facts import fact_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.quality import Defect
    from rules.check import Given
    from rules.practice import Practice, PreparedDesk
    from rules.spec import Interval, Rule
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

JUDGED: Final = "judged"
EVIDENCE: Final = "evidence"
DECISIVE: Final = "decides"
STARTS: Final = "starts a clock"
STOPS: Final = "stops a clock"


@dataclass(frozen=True)
class Condition:
    """One condition of a row, on this case: what is demanded of a fact, and whether it holds."""

    fact: str
    demanded: str
    value: int
    holds: bool


@dataclass(frozen=True)
class TableRow:
    """One row of the decision table; it holds where all its conditions do."""

    verdict: Verdict
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether the row gives the verdict."""
        return all(one.holds for one in self.conditions)


@dataclass(frozen=True)
class Fact:
    """What a template measured: a name of its decision table, a whole number, and what it means."""

    name: str
    value: int
    meaning: str


@dataclass(frozen=True)
class Reason:
    """Why a verdict is UNKNOWN; `code` is the quality gate's ("" where it is the rule's own)."""

    code: str
    text: str


@dataclass(frozen=True)
class Told:
    """What a finding of the case says (None where there is none)."""

    message: str
    seen: str
    fingerprint: str


@dataclass(frozen=True)
class VersionTold:
    """What one version of the rule says of the case.

    `by_table` is the verdict of its decision table, before anything in doubt takes it; `judged` is
    the number of the case's events that this version was asked about, None where it judges the case
    as a whole. `measured` (None where there was nothing to measure) and `limit` are in `unit` ("us"
    = microseconds). `vacuous` says why nothing was asked.
    """

    rule: Rule
    verdict: Verdict
    by_table: Verdict
    expected: str
    facts: tuple[Fact, ...]
    rows: tuple[TableRow, ...]
    judged: int | None
    measured: int | None
    limit: int | None
    unit: str
    finding: Told | None
    reasons: tuple[Reason, ...]
    vacuous: tuple[str, ...]
    ahead: Ahead | None


@dataclass(frozen=True)
class Step:
    """One event of the case; `version` is the one in force, `marks` what versions make of it.

    `activity` is None where the event is an update and no step; `raw` is the source's word for it.
    A mark is the number of a version and what it makes of the event.
    """

    seq: int
    at_us: int | None
    activity: str | None
    raw: str | None
    team: str | None
    actor: str | None
    version: int | None
    marks: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class CaseExplained:
    """Why a rule gives the verdict that it gives on one case; versions by the time of their force.

    Of several versions the gravest verdict counts. `as_of_us` is when an open case was judged, None
    in a log without times.
    """

    rule: Rule
    case_id: str
    practice: str
    ended: bool
    as_of_us: int | None
    verdict: Verdict
    versions: tuple[VersionTold, ...]
    steps: tuple[Step, ...]


def explain_case(  # noqa: PLR0913 - what an audit knows when it judges
    prepared: PreparedDesk,
    practice: Practice,
    versions: Sequence[Rule],
    case: int,
    *,
    doubts: Sequence[Defect] = (),
    allowed: Collection[str] = (),
) -> CaseExplained:
    """Judge the log by all versions of one rule, and say why they say what they say of one case.

    `case` is its place among the desk's cases. Raises as `rules.check.check` does.
    """
    desk = prepared.desk
    (given,) = judge_versions([(desk, versions)], doubts=doubts, allowed=allowed, by_trace=False)
    told = [_told(prepared, practice, one, case) for one in given]
    return CaseExplained(
        rule=given[-1].measured.rule,
        case_id=desk.log.cases[s.CASE_ID][case].as_py(),
        practice=practice.name,
        ended=bool(desk.complete[case]),
        as_of_us=desk.as_of_us if desk.log.timed else None,
        verdict=Verdict(int(gravest([one.verdicts for one in given])[case])),
        versions=tuple(told),
        steps=tuple(_steps(desk, given, case)),
    )


# --- one version


def _told(prepared: PreparedDesk, practice: Practice, one: Given, case: int) -> VersionTold:
    desk, rule, measure = prepared.desk, one.measured.rule, one.measured.measure
    verdict = Verdict(int(one.verdicts[case]))
    rows = tuple(_rows(one, case))
    words = fact_words(rule.template, rule.params)
    nothing = one.by_table[case] == Verdict.VACUOUS
    return VersionTold(
        rule=rule,
        verdict=verdict,
        by_table=Verdict(int(one.by_table[case])),
        expected=templates()[rule.template].describe(rule.params),
        facts=tuple(
            Fact(name, int(values[case]), words.get(name, ""))
            for name, values in measure.facts.items()
        ),
        rows=rows,
        judged=_count(desk, measure.judged, case),
        measured=None if nothing else _number(measure.measured, case),
        limit=_number(measure.limit, case),
        unit=measure.unit,
        finding=_finding(desk, one, case) if verdict == Verdict.VIOLATES else None,
        reasons=tuple(dict.fromkeys(_reasons(one, case))),
        vacuous=tuple(_why_vacuous(desk, one, case)) if verdict == Verdict.VACUOUS else (),
        ahead=look_ahead(prepared, practice, rule, case) if verdict == Verdict.PENDING else None,
    )


def _rows(one: Given, case: int) -> Iterator[TableRow]:
    facts = one.measured.measure.facts
    for row in one.measured.table:
        yield TableRow(
            row.verdict,
            tuple(
                _condition(fact, interval, int(facts[fact][case]))
                for fact, interval in row.when.items()
            ),
        )


def _condition(fact: str, interval: Interval, value: int) -> Condition:
    holds = bool(interval.holds(np.array([value]))[0])
    return Condition(fact, _in_words(interval), value, holds)


def _in_words(interval: Interval) -> str:
    lo, hi = interval.lo, interval.hi
    if lo is not None and hi is not None:
        return f"is {lo}" if lo == hi else f"is {lo} to {hi}"
    if lo is None and hi is None:
        return "is any number"
    return f"is at most {hi}" if lo is None else f"is at least {lo}"


def _number(values: npt.NDArray[np.int64] | None, case: int) -> int | None:
    return None if values is None or values[case] == NOT_MEASURED else int(values[case])


def _count(desk: Desk, marked: Bools | None, case: int) -> int | None:
    first, end = desk.log.arrays.offsets[case : case + 2]
    return None if marked is None else int(np.count_nonzero(marked[first:end]))


def _finding(desk: Desk, one: Given, case: int) -> Told:
    row = findings(desk, one.measured, np.array([case])).to_pylist()[0]
    return Told(row["message"], row["seen"], row["fingerprint"])


def _reasons(one: Given, case: int) -> Iterator[Reason]:
    """Yield every reason for which the verdict on the case is UNKNOWN."""
    for reason in one.reasons:
        if reason.cases[case]:
            kind = KINDS.get(reason.code)
            text = reason.cause or ("the data is missing" if kind is None else kind.explanation)
            yield Reason(reason.code, text)


def _why_vacuous(desk: Desk, one: Given, case: int) -> Iterator[str]:
    """Say what keeps the rule from asking: its time, its scope, or that nothing happened."""
    measured, rule = one.measured, one.measured.rule
    facts = measured.measure.facts
    if ASKED not in facts or facts[ASKED][case] != NO:
        yield "nothing of what the rule speaks of has happened: see the row that holds"
        return
    if not measured.in_force[case]:
        until = f" until {rule.valid_until} (excluded)" if rule.valid_until else ""
        yield (
            f"version {rule.version} is in force from {rule.valid_from}{until}: at no event that"
            f" it judges, and not {'at the end of the case' if desk.complete[case] else 'now'}"
        )
    for condition, value in unmet(desk, rule.scope, case):
        yield f"out of scope: the rule is for cases whose {condition.words}; here it is '{value}'"


# --- the events


def _steps(desk: Desk, given: Sequence[Given], case: int) -> Iterator[Step]:
    first, end = (int(bound) for bound in desk.log.arrays.offsets[case : case + 2])
    marks = _marks(given, first, end, case)
    in_force = [(in_force_at(desk, one.measured.rule), one.measured.rule.version) for one in given]
    rows = desk.log.events.slice(first, end - first).to_pylist()
    for place, row in enumerate(rows, start=first):
        yield Step(
            seq=row[s.SEQ],
            at_us=row[s.AT],
            activity=row[s.ACTIVITY],
            raw=row.get(s.RAW_ACTIVITY),
            team=row[s.TEAM],
            actor=row[s.ACTOR],
            version=next((version for there, version in in_force if there[place]), None),
            marks=tuple(marks.get(place, ())),
        )


def _reads_times(rule: Rule) -> bool:
    """Whether a rule with these parameters measures time at all."""
    return TIME in rule.params.hinges(templates()[rule.template].HINGES)


def _marks(
    given: Sequence[Given], first: int, end: int, case: int
) -> Mapping[int, list[tuple[int, str]]]:
    """Collect what each version makes of the events first:end, by their positions in the log."""
    marks: dict[int, list[tuple[int, str]]] = {}
    for one in given:
        measure, version = one.measured.measure, one.measured.rule.version
        masks = [(JUDGED, measure.judged)]
        if _reads_times(one.measured.rule):
            masks += [(STARTS, measure.starts), (STOPS, measure.stops)]
        for mark, mask in masks:
            for place in np.flatnonzero(mask[first:end]).tolist() if mask is not None else ():
                marks.setdefault(first + place, []).append((version, mark))
        named = [int(column[case]) for column in measure.events if column[case] != NO_EVENT]
        for place in sorted(set(named)):
            mark = DECISIVE if place == named[-1] else EVIDENCE
            marks.setdefault(place, []).append((version, mark))
    return marks
