"""Which verdicts can not be given, because of what is wrong with the log or missing from it?

What the log cannot show proves nothing. Where the log-quality gate puts a fact of a case in doubt
(`process_mining.quality`), the verdicts that a template's HINGES names for that fact are UNKNOWN,
and the result says which defect took how many verdicts of which rule. The gate's own view of order,
words and clock is completed here, on the practice's own log: events that share a time and have no
declared order (QG124), words that the vocabulary does not map (QG160), and measured times that lie
nearer to their limit than the clock of the log can tell (QG120), or than a clock change that a
policy decided (QG111). A code that is allowed takes nothing: somebody has said that they know
better.

Where a rule's excuse (`unless`, `or_else`) is an activity that the source never records, or may be
one of a case's unmapped words, VIOLATES is UNKNOWN; a case that conforms needs no excuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.quality import (
    CHANGED_CLOCK,
    COARSE_CLOCK,
    COARSE_US,
    ORDER,
    PLACEHOLDER_TIME,
    READ_BY_RULES,
    TIME,
    UNDECLARED_ORDER,
)
from rules.spec import Verdict
from rules.templates import CLAIMS, WORDS, not_recorded_cause, templates

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from process_mining.quality import Defect
    from rules.measuring import Measured
    from rules.spec import Measure, Rule
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]
    Verdicts = npt.NDArray[np.int8]

MICROSECONDS: Final = "us"
UNMAPPED_WORDS: Final = "QG160"
TIED: Final = "events of the case share a time, and the source declares no order among them"
UNMAPPED: Final = "the case has words that the vocabulary does not map, and one could decide it"
DECIDED: Final = (
    "the time measured is nearer to the limit than a clock change that a policy decided"
)
UNPLACED: Final = "the case has a time that tools write when they have none: was the rule in force?"
COARSE: Final = "the time measured is nearer to the limit than the clock of the log can tell"


class Hanging(NamedTuple):
    """A reason for UNKNOWN, the gate's code for it ("" for none), and the cases it takes."""

    code: str
    cause: str
    cases: Bools


@dataclass(frozen=True, eq=False)
class Concern:
    """A defect of the log on this desk: the cases, or the events, that it concerns."""

    defect: Defect
    cases: Bools
    events: Bools | None
    case_of: Ints

    @classmethod
    def of(cls, desk: Desk, defect: Defect) -> Concern:
        """Find the defect's cases among those of the desk."""
        cases = np.ones(desk.log.n_cases, dtype=bool)
        if defect.cases is not None:
            mine = desk.log.cases[s.CASE_ID].combine_chunks()
            cases = pc.is_in(mine, value_set=defect.cases).to_numpy(zero_copy_only=False)
        events = None
        if defect.minutes is not None:
            events = np.isin(desk.log.arrays.at // s.US_PER_MINUTE, defect.minutes)
        return cls(defect, cases, events, desk.log.arrays.case_of)

    def concerns(self, one: Measured, verdicts: Verdicts) -> Bools:
        """Tell for each case whether the rule's verdict on it rests on what is concerned.

        Events in certain minutes were recorded later than they happened, if at all: a violation
        may rest on a stop that is recorded too late, conformity on such a start.
        """
        if self.events is None:
            return self.cases
        late = {}
        for verdict, mask in (
            (Verdict.VIOLATES, one.found.stops),
            (Verdict.CONFORMS, one.found.starts),
        ):
            concerned = self.events if mask is None else self.events & mask
            late[verdict] = np.bincount(self.case_of[concerned], minlength=len(verdicts)) > 0
        said = [(verdicts == verdict) & cases for verdict, cases in late.items()]
        return np.asarray(self.cases & np.logical_or.reduce(said))


def hanging_verdicts(rule: Rule, facts: Collection[str]) -> tuple[Verdict, ...]:
    """Return the verdicts of a rule that cannot be given where one of the facts is in doubt."""
    hinges = _hinges(rule)
    return tuple(sorted({v for fact in facts if fact in hinges for v in hinges[fact] or CLAIMS}))


def doubtful_cases(desk: Desk, doubts: Sequence[Defect], facts: Collection[str]) -> Bools:
    """Tell for each case of the desk whether a defect puts one of the facts in doubt."""
    doubtful = np.zeros(desk.log.n_cases, dtype=bool)
    for defect in doubts:
        if set(facts) & set(defect.makes_unknown):
            doubtful |= Concern.of(desk, defect).cases
    return doubtful


def hanging(
    desk: Desk,
    one: Measured,
    verdicts: Verdicts,
    *,
    concerned: Sequence[Concern],
    allowed: Collection[str],
) -> list[Hanging]:
    """Return every reason for which some of a rule's verdicts are UNKNOWN, in order."""
    return [
        *_own_doubts(desk, one, verdicts, allowed),
        *_gate_doubts(one, verdicts, concerned),
        *_perhaps_in_force(one.in_force, concerned),
    ]


def _gate_doubts(one: Measured, verdicts: Verdicts, concerned: Sequence[Concern]) -> list[Hanging]:
    """Return what each defect of the log takes from this rule."""
    hinges = {} if one.silent else _hinges(one.rule)
    hung = []
    for concern in concerned:
        facts = [fact for fact in concern.defect.makes_unknown if fact in hinges]
        unsure = {verdict for fact in facts for verdict in hinges[fact]}
        # a rule that reads an actor, a team or a priority says itself where one is missing
        own = verdicts == Verdict.UNKNOWN if set(facts) & READ_BY_RULES else None
        hanging = np.isin(verdicts, sorted(unsure)) if own is None else own
        if facts:
            explanation = "" if own is not None else concern.defect.explanation
            taken = concern.concerns(one, verdicts) & hanging
            hung.append(Hanging(concern.defect.code, explanation, taken))
    return hung


def _perhaps_in_force(applies: Bools, concerned: Sequence[Concern]) -> list[Hanging]:
    """A case that seems to lie outside a rule's time may do so by a placeholder only."""
    return [
        Hanging(PLACEHOLDER_TIME, UNPLACED, concern.cases & ~applies)
        for concern in concerned
        if concern.defect.code == PLACEHOLDER_TIME
    ]


def _own_doubts(
    desk: Desk, one: Measured, verdicts: Verdicts, allowed: Collection[str]
) -> list[Hanging]:
    """Return each reason for UNKNOWN that the desk itself shows, in order."""
    hinges = _hinges(one.rule)
    excuses: frozenset[str] = one.rule.params.excuses()
    unseen = sorted(excuses & desk.unobserved)
    ties = ~desk.log.cases[s.ORDER_KNOWN].combine_chunks().to_numpy(zero_copy_only=False)
    # what is unknown in any order is not taken by the ties
    ties &= ~np.isin(verdicts, (Verdict.VACUOUS, Verdict.UNKNOWN)) & (ORDER in hinges)
    unmapped = np.zeros(len(verdicts), dtype=bool) if desk.unmapped is None else desk.unmapped
    violates = verdicts == Verdict.VIOLATES
    hanging = np.isin(verdicts, hinges.get(WORDS, ()))
    if excuses:
        hanging |= violates
    hung = [
        Hanging(UNDECLARED_ORDER, TIED, ties),
        Hanging(UNMAPPED_WORDS, UNMAPPED, unmapped & hanging),
        Hanging(COARSE_CLOCK, COARSE, _too_near(one, verdicts, _clock_unit(desk))),
        Hanging(CHANGED_CLOCK, DECIDED, _too_near(one, verdicts, _decided_by(desk))),
        Hanging("", not_recorded_cause(unseen), violates & bool(unseen)),
    ]
    judged = Hanging("", one.found.cause, verdicts == Verdict.UNKNOWN)
    return [judged, *(h for h in hung if h.code not in allowed)]


def _clock_unit(desk: Desk) -> int:
    """A stamp that is cut to whole units may be up to a unit early, and durations wrong by it."""
    unit_us = desk.log.meta.time_resolution_us
    return unit_us if unit_us >= COARSE_US else 0


def _decided_by(desk: Desk) -> int:
    """A policy that decides which of two local times is meant may be wrong by the clock change."""
    decided = any(seen.code == CHANGED_CLOCK for seen in desk.log.meta.seen)
    return s.US_PER_HOUR if decided else 0


def _too_near(one: Measured, verdicts: Verdicts, unsure_us: int) -> Bools:
    """Tell the verdicts on a time that lies nearer to its limit than times can be trusted."""
    reads_times = bool(unsure_us) and TIME in _hinges(one.rule)
    margin_us = _margin_us(one.measure) if reads_times else None
    if margin_us is None:
        return np.zeros(len(verdicts), dtype=bool)
    return np.asarray((margin_us < unsure_us) & np.isin(verdicts, CLAIMS))


def _margin_us(measure: Measure) -> Ints | None:
    """How far from its limit the time lies that decides each case; None where no time does."""
    measured, limit = measure.measured, measure.limit
    if measure.margin_us is not None or measured is None or limit is None:
        return measure.margin_us
    return np.abs(measured - limit) if measure.unit == MICROSECONDS else None


def _hinges(rule: Rule) -> Mapping[str, tuple[Verdict, ...]]:
    """What a rule's verdicts hang on: its template's HINGES, as far as its parameters go."""
    hinges: dict[str, tuple[Verdict, ...]] = rule.params.hinges(templates()[rule.template].HINGES)
    if any(condition.column == s.PRIORITY for condition in rule.scope):
        hinges.setdefault(s.PRIORITY, ())
    return hinges
