"""Which cases keep which rules, and on what evidence does each finding rest?

Every rule measures the whole desk in columns; durable-rules judges the distinct signatures in one
worker process (`rules.engine`); the independent evaluator (`rules.spec.decide`) judges the raw
facts of every case. Where the two differ the run stops (EN002): no finding rests on one engine.

A rule is in force for a case whose first event lies on or after `valid_from` and before
`valid_until` (both at 00:00 UTC, the second excluded); for every other case it is VACUOUS. In a
log without times every rule is in force.

What the log cannot show proves nothing. Where the log-quality gate puts a fact of a case in doubt
(`process_mining.quality`), the verdicts that a template's HINGES names for that fact are UNKNOWN,
and the result says which defect took how many verdicts of which rule. The gate's own view of order,
words and clock is completed here, on the practice's own log: events that share a time and have no
declared order (QG124), words that the vocabulary does not map (QG160), and measured times that lie
nearer to their limit than the clock of the log can tell (QG120), or than a clock change that a
policy decided (QG111). A code that is allowed takes
nothing: somebody has said that they know better.

Where a rule's excuse (`unless`, `or_else`) is an activity that the source never records, or may be
one of a case's unmapped words, VIOLATES is UNKNOWN; a case that conforms needs no excuse.

A finding is one violating (rule, case). Its `seqs` are the distinct events that the template names,
ascending, and empty where the offence is that something never happened; `at`, `actor` and `team`
are those of the decisive event (the template's last named one), else of the case's last event.
`measured` and `limit` are in `unit` ("us" = microseconds). The fingerprint is the first 16 hex
digits of the SHA-256 of [rule, rule version, case, verdict, [[seq, activity, at in us] ...]] as
JSON: it is stable over reruns and row order, and changes with the rule's version.

Order: rules by code, findings by (rule, case_id). Cost: O(cases) a rule in columns; Python runs
once a finding, for its message and fingerprint. Waivers are not applied here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.errors import RunError
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
from rules import engine
from rules.spec import NO_EVENT, DecisionTable, Measure, Tally, Verdict, decide
from rules.templates import CLAIMS, WORDS, not_recorded, not_recorded_cause, templates, unobservable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from process_mining.eventlog import Ints
    from process_mining.quality import Defect
    from rules.spec import Rule
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]
    Verdicts = npt.NDArray[np.int8]

FINDINGS_SCHEMA: Final = pa.schema(
    [
        ("rule", pa.string()),
        ("rule_version", pa.int64()),
        ("case_id", pa.string()),
        ("verdict", pa.string()),
        ("severity", pa.string()),
        ("seqs", pa.list_(pa.int64())),
        ("at", s.UTC_US),
        ("actor", pa.string()),
        ("team", pa.string()),
        ("measured", pa.int64()),
        ("limit", pa.int64()),
        ("unit", pa.string()),
        ("message", pa.string()),
        ("fingerprint", pa.string()),
        ("waived_by", pa.string()),
    ]
)
FINGERPRINT_DIGITS: Final = 16
NOT_JUDGED: Final = -1  # in a merged result: the rule is about another practice's cases
MICROSECONDS: Final = "us"
UNMAPPED_WORDS: Final = "QG160"
TIED: Final = "events of the case share a time, and the source declares no order among them"
UNMAPPED: Final = "the case has words that the vocabulary does not map, and one could decide it"
DECIDED: Final = (
    "the time measured is nearer to the limit than a clock change that a policy decided"
)
UNPLACED: Final = "the case has a time that tools write when they have none: was the rule in force?"
COARSE: Final = "the time measured is nearer to the limit than the clock of the log can tell"
UNTIL_THE_END: Final = "the case ended unanswered after "
_EPOCH: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Verdicts of every rule on every case, and the findings.

    `verdicts[r, c]` is a `Verdict` number for rules[r] on case_ids[c] (NOT_JUDGED after `merge`
    where a rule is about other cases). `causes` says for each rule with UNKNOWN verdicts why.
    `downgraded` says for each code of the quality gate how many verdicts of which rules are
    UNKNOWN because of it: code -> rule -> cases. A case may be counted under several codes.
    """

    rules: tuple[Rule, ...]
    case_ids: pa.Array
    verdicts: Verdicts
    findings: pa.Table
    tallies: tuple[Tally, ...]
    causes: Mapping[str, str]
    downgraded: Mapping[str, Mapping[str, int]]
    log_sha256: str

    def to_pandas(self) -> pd.DataFrame:
        """Return the findings as a tidy DataFrame."""
        frame: pd.DataFrame = self.findings.to_pandas()
        return frame


@dataclass(frozen=True, eq=False)
class Measured:
    """One rule measured on a desk: what both engines judge, and what a finding shows."""

    rule: Rule
    table: DecisionTable
    measure: Measure
    silent: bool = False  # the source records nothing of it, so no defect takes anything

    @property
    def question(self) -> engine.Question:
        """The same as the rules engine asks it."""
        return engine.Question(self.rule.code, self.table, self.measure.facts)


def measure(desk: Desk, rule: Rule) -> Measured:
    """Let the rule's template measure every case of the desk.

    A rule about an activity that the log's source never records is UNKNOWN for every case.
    """
    silent = unobservable(desk, rule.params)
    if silent:
        return Measured(rule, *not_recorded(desk, silent), silent=True)
    template = templates()[rule.template]
    return Measured(rule, template.decide(rule.params), template.measure(desk, rule.params))


def check(
    desk: Desk,
    rules: Sequence[Rule],
    *,
    log_sha256: str,
    doubts: Sequence[Defect] = (),
    allowed: Collection[str] = (),
) -> CheckResult:
    """Judge every case by every rule with both engines, and collect the findings.

    `doubts` are the defects of the log that verdicts may hang on; codes in `allowed` take nothing.

    Raises RunError EN002 where the engines disagree, and what `engine.judge` and `decide` raise.
    """
    ordered = tuple(sorted(rules, key=lambda rule: rule.code))
    measured = [measure(desk, rule) for rule in ordered]
    by_engine = engine.judge([one.question for one in measured])
    verdicts = np.empty((len(ordered), desk.log.n_cases), dtype=np.int8)
    causes: dict[str, str] = {}
    downgraded: dict[str, dict[str, int]] = {}
    concerned = [_Concern.of(desk, defect) for defect in doubts if defect.code not in allowed]
    for row, (one, judged) in enumerate(zip(measured, by_engine, strict=True)):
        _require_agreement(desk, one, judged)
        applies = _in_force(desk, one.rule)
        in_force = np.where(applies, judged, np.int8(Verdict.VACUOUS))
        hung = [
            *_own_doubts(desk, one, in_force, allowed),
            *_gate_doubts(one, in_force, concerned),
            *_perhaps_in_force(applies, concerned),
        ]
        verdicts[row] = in_force
        for hanging in hung:
            verdicts[row][hanging.cases] = Verdict.UNKNOWN
            if hanging.code and hanging.cases.any():
                taken = downgraded.setdefault(hanging.code, {})
                taken[one.rule.code] = taken.get(one.rule.code, 0) + int(hanging.cases.sum())
        if said := [h.cause for h in hung if h.cause and h.cases.any()]:
            causes[one.rule.code] = "; ".join(dict.fromkeys(said))
    tallies = _tallies(ordered, verdicts)
    parts = [
        _findings(desk, one, np.flatnonzero(verdicts[row] == Verdict.VIOLATES))
        for row, one in enumerate(measured)
    ]
    return CheckResult(
        rules=ordered,
        case_ids=desk.log.cases[s.CASE_ID].combine_chunks(),
        verdicts=verdicts,
        findings=pa.concat_tables([FINDINGS_SCHEMA.empty_table(), *parts]).combine_chunks(),
        tallies=tallies,
        causes=causes,
        downgraded=downgraded,
        log_sha256=log_sha256,
    )


def merge(results: Sequence[CheckResult]) -> CheckResult:
    """Join one or more results of one log; rules by code, cases one after another.

    A rule may stand in several results (it is then tallied over all of their cases); where a rule
    was not asked about a case its verdict is NOT_JUDGED.
    """
    rules = {rule.code: rule for result in results for rule in result.rules}
    ordered = tuple(rules[code] for code in sorted(rules))
    verdicts = np.hstack([_spread(result, ordered) for result in results])
    findings = pa.concat_tables([result.findings for result in results])
    order = [("rule", "ascending"), ("case_id", "ascending"), ("fingerprint", "ascending")]
    causes: dict[str, str] = {}
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        causes |= result.causes
        for code, by_rule in result.downgraded.items():
            taken[code].update(by_rule)
    return CheckResult(
        rules=ordered,
        case_ids=pa.concat_arrays([result.case_ids for result in results]),
        verdicts=verdicts,
        findings=findings.sort_by(order).combine_chunks(),
        tallies=_tallies(ordered, verdicts),
        causes=dict(sorted(causes.items())),
        downgraded={code: dict(sorted(n.items())) for code, n in sorted(taken.items())},
        log_sha256=results[0].log_sha256,
    )


def _spread(result: CheckResult, rules: Sequence[Rule]) -> Verdicts:
    """Lay one result's verdicts out over the rules of all results."""
    verdicts = np.full((len(rules), len(result.case_ids)), NOT_JUDGED, dtype=np.int8)
    row_of = {rule.code: row for row, rule in enumerate(rules)}
    verdicts[[row_of[rule.code] for rule in result.rules]] = result.verdicts
    return verdicts


def _require_agreement(desk: Desk, one: Measured, judged: Verdicts) -> None:
    """Stop the run where durable-rules and the independent evaluator give different verdicts."""
    by_table = decide(one.table, one.measure.facts, one.rule.code)
    differing = np.flatnonzero(by_table != judged)
    if len(differing):
        first = int(differing[0])
        case = desk.log.cases[s.CASE_ID][first].as_py()
        facts = {name: int(values[first]) for name, values in one.measure.facts.items()}
        said, told = Verdict(int(judged[first])).word, Verdict(int(by_table[first])).word
        msg = (
            f"rule {one.rule.code}, case '{case}': durable-rules says {said}, the evaluator {told}"
        )
        why = f"facts {facts}; {len(differing)} cases differ; no finding may rest on one engine"
        raise RunError("EN002", msg, why=why, fix="Report it as a defect with this line")


def _in_force(desk: Desk, rule: Rule) -> Bools:
    """Tell for each case whether the rule was in force when the case began."""
    offsets, times = desk.log.arrays.offsets, desk.log.arrays.at
    has_events = np.diff(offsets) > 0
    if not desk.log.timed:
        return np.ones(len(has_events), dtype=bool)
    first = np.zeros(len(has_events), dtype=np.int64)
    first[has_events] = times[offsets[:-1][has_events]]
    in_force = first >= _midnight_us(rule.valid_from)
    if rule.valid_until is not None:
        in_force &= first < _midnight_us(rule.valid_until)
    return in_force | ~has_events


class _Hanging(NamedTuple):
    """A reason for UNKNOWN, the gate's code for it ("" for none), and the cases it takes."""

    code: str
    cause: str
    cases: Bools


@dataclass(frozen=True, eq=False)
class _Concern:
    """A defect of the log on this desk: the cases, or the events, that it concerns."""

    defect: Defect
    cases: Bools
    events: Bools | None
    case_of: Ints

    @classmethod
    def of(cls, desk: Desk, defect: Defect) -> _Concern:
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
            (Verdict.VIOLATES, one.measure.stops),
            (Verdict.CONFORMS, one.measure.starts),
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
            doubtful |= _Concern.of(desk, defect).cases
    return doubtful


def _gate_doubts(
    one: Measured, verdicts: Verdicts, concerned: Sequence[_Concern]
) -> list[_Hanging]:
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
            hung.append(_Hanging(concern.defect.code, explanation, taken))
    return hung


def _perhaps_in_force(applies: Bools, concerned: Sequence[_Concern]) -> list[_Hanging]:
    """A case that seems to begin before a rule's time may do so by a placeholder only."""
    return [
        _Hanging(PLACEHOLDER_TIME, UNPLACED, concern.cases & ~applies)
        for concern in concerned
        if concern.defect.code == PLACEHOLDER_TIME
    ]


def _own_doubts(
    desk: Desk, one: Measured, verdicts: Verdicts, allowed: Collection[str]
) -> list[_Hanging]:
    """Return each reason for UNKNOWN that the desk itself shows, in order."""
    hinges = _hinges(one.rule)
    excuses: frozenset[str] = one.rule.params.excuses()
    unseen = sorted(excuses & desk.unobserved)
    ties = ~desk.log.cases[s.ORDER_KNOWN].combine_chunks().to_numpy(zero_copy_only=False)
    ties &= (verdicts != Verdict.VACUOUS) & (ORDER in hinges)
    unmapped = np.zeros(len(verdicts), dtype=bool) if desk.unmapped is None else desk.unmapped
    violates = verdicts == Verdict.VIOLATES
    hanging = np.isin(verdicts, hinges.get(WORDS, ()))
    if excuses:
        hanging |= violates
    hung = [
        _Hanging(UNDECLARED_ORDER, TIED, ties),
        _Hanging(UNMAPPED_WORDS, UNMAPPED, unmapped & hanging),
        _Hanging(COARSE_CLOCK, COARSE, _too_near(one, verdicts, _clock_unit(desk))),
        _Hanging(CHANGED_CLOCK, DECIDED, _too_near(one, verdicts, _decided_by(desk))),
        _Hanging("", not_recorded_cause(unseen), violates & bool(unseen)),
    ]
    judged = _Hanging("", one.measure.cause, verdicts == Verdict.UNKNOWN)
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
    measure = one.measure
    measured, limit = measure.measured, measure.limit
    if TIME not in _hinges(one.rule) or measure.unit != MICROSECONDS or not unsure_us:
        return np.zeros(len(verdicts), dtype=bool)
    if measured is None or limit is None:
        return np.zeros(len(verdicts), dtype=bool)
    near = np.abs(measured - limit) < unsure_us
    return np.asarray(near & np.isin(verdicts, CLAIMS))


def _hinges(rule: Rule) -> Mapping[str, tuple[Verdict, ...]]:
    """What a rule's verdicts hang on: its template's HINGES, less what the rule does not read."""
    read = rule.params.not_read()
    hinges = templates()[rule.template].HINGES
    return {fact: verdicts for fact, verdicts in hinges.items() if fact not in read}


def _midnight_us(day: dt.date) -> int:
    return (day - _EPOCH).days * s.US_PER_DAY


def _tallies(rules: Sequence[Rule], verdicts: Verdicts) -> tuple[Tally, ...]:
    """Count the verdicts of each rule; NOT_JUDGED counts nowhere."""
    return tuple(
        Tally(rule, **{v.word: int(np.count_nonzero(row == v)) for v in Verdict})
        for rule, row in zip(rules, verdicts, strict=True)
    )


# --- findings


@dataclass(frozen=True, eq=False)
class _Evidence:
    """The events behind each finding: finding i names positions[offsets[i]:offsets[i + 1]]."""

    positions: Ints
    offsets: Ints
    decisive: Ints


def _findings(desk: Desk, one: Measured, cases: Ints) -> pa.Table:
    """Build the findings of one rule for the violating cases, in case order."""
    rule, n = one.rule, len(cases)
    evidence = _evidence(desk, one.measure.events, cases)
    case_ids = desk.log.cases[s.CASE_ID].take(pa.array(cases)).combine_chunks()
    measured, limit = (
        pa.nulls(n, pa.int64()) if values is None else pa.array(values[cases])
        for values in (one.measure.measured, one.measure.limit)
    )
    decisive = pa.array(evidence.decisive, mask=evidence.decisive == NO_EVENT)
    events = desk.log.events
    seqs = events[s.SEQ].take(pa.array(evidence.positions)).combine_chunks()
    columns = {
        "rule": _repeat(rule.code, n),
        "rule_version": pa.array(np.full(n, rule.version, dtype=np.int64)),
        "case_id": case_ids,
        "verdict": _repeat(Verdict.VIOLATES.word, n),
        "severity": _repeat(rule.severity.word, n),
        "seqs": pa.ListArray.from_arrays(pa.array(evidence.offsets, pa.int32()), seqs),
        "at": events[s.AT].take(decisive).cast(s.UTC_US),
        "actor": events[s.ACTOR].take(decisive),
        "team": events[s.TEAM].take(decisive),
        "measured": measured,
        "limit": limit,
        "unit": _repeat(one.measure.unit, n),
        "message": _told(
            _messages(rule.title, measured, limit, one.measure.unit), one.measure.told, cases
        ),
        "fingerprint": _fingerprints(rule, case_ids.to_pylist(), events, evidence),
        "waived_by": pa.nulls(n, pa.string()),
    }
    return pa.table(columns, schema=FINDINGS_SCHEMA)


def _repeat(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), n)


def _evidence(desk: Desk, events: Sequence[Ints], cases: Ints) -> _Evidence:
    """Collect each case's distinct named events in log order, and the decisive one."""
    bounds = desk.log.arrays.offsets
    decisive = np.where(bounds[cases + 1] > bounds[cases], bounds[cases + 1] - 1, NO_EVENT)
    if not events:
        return _Evidence(np.empty(0, np.int64), np.zeros(len(cases) + 1, np.int64), decisive)
    named = np.stack([column[cases] for column in events], axis=1)
    for column in named.T:  # the last event that a template names for a case is the decisive one
        decisive = np.where(column == NO_EVENT, decisive, column)
    named = np.sort(named, axis=1)
    keep = named != NO_EVENT
    keep[:, 1:] &= named[:, 1:] != named[:, :-1]
    return _Evidence(named[keep], np.append(0, np.cumsum(keep.sum(axis=1))), decisive)


def _fingerprints(
    rule: Rule, case_ids: Sequence[str], events: pa.Table, evidence: _Evidence
) -> pa.Array:
    """Hash what makes a finding itself: the rule's version, the case, the events concerned."""
    taken = events.select([s.SEQ, s.ACTIVITY, s.AT]).take(pa.array(evidence.positions))
    named = list(zip(*(column.to_pylist() for column in taken.columns), strict=True))
    head = [rule.code, rule.version]
    texts = (
        json.dumps([*head, case_id, Verdict.VIOLATES.word, named[start:end]])
        for case_id, (start, end) in zip(case_ids, pairwise(evidence.offsets.tolist()), strict=True)
    )
    digests = [hashlib.sha256(t.encode()).hexdigest()[:FINGERPRINT_DIGITS] for t in texts]
    return pa.array(digests, pa.string())


# --- messages


def _messages(title: str, measured: pa.Array, limit: pa.Array, unit: str) -> pa.Array:
    """Say in one line what was found: the title, then what was measured and what is allowed.

    A time can be within its limit and yet violate: the case ended, so that no answer can come.
    """
    name = "" if unit in ("", MICROSECONDS) else f"{unit}: "
    start, value = pa.scalar(f"{title} ({name}"), _in_words(measured, unit)
    if unit == MICROSECONDS:
        within = pc.fill_null(pc.less_equal(measured, limit), fill_value=False)
        value = pc.if_else(within, pc.binary_join_element_wise(UNTIL_THE_END, value, ""), value)
    with_value = pc.binary_join_element_wise(start, value, ")", "")
    with_limit = pc.binary_join_element_wise(
        start, value, "; limit ", _in_words(limit, unit), ")", ""
    )
    return pc.coalesce(with_limit, with_value, pa.scalar(title))


def _told(messages: pa.Array, told: pa.Array | None, cases: Ints) -> pa.Array:
    """Add what a template tells of each case besides."""
    if told is None:
        return messages
    longer = pc.binary_join_element_wise(messages, told.take(pa.array(cases)), ": ")
    return pc.coalesce(longer, messages)


def _in_words(values: pa.Array, unit: str) -> pa.Array:
    """Write numbers, times as times; each distinct number is written once."""
    coded = values.dictionary_encode()
    write = duration_words if unit == MICROSECONDS else str
    words = [write(value) for value in coded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(coded.indices)


def duration_words(us: int) -> str:
    """Write microseconds as hours, minutes and seconds; never days, for a business day has no 24 h.

    >>> duration_words(180_060_000_000)
    '50 h 1 min'
    """
    if us == 0:
        return "0 s"
    seconds, parts = abs(us) // s.US_PER_SECOND, []
    for name, size in (("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    sign = "-" if us < 0 else ""
    return sign + " ".join(parts) if parts else "under 1 s"
