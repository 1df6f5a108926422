"""When do findings call for more than mending tickets: what is escalated, what should be improved?

Findings are grouped by what a pattern says they share (`rules.escalation_file`): the offence and
the team, the category or the service, or the control of change that failed. Of each group the
*worst window* is measured: the half-open window [t, t + window) of event time that holds most
distinct tickets, t being the time of one of its findings, of several such windows the earliest. A
pattern that needs no window takes every finding of one ticket together. That is all that columns
measure; from then on rules chain (`rules.chain`), in durable-rules and in the independent fixpoint:

    group with n tickets in its worst window         -> escalation, if n reaches the threshold
    escalations of one subject in one window         -> their number -> a higher escalation
    escalation, or higher escalation                 -> an opportunity (`rules.opportunity`)

An escalation lies in a higher one's window by the time of the last finding of its own worst window.
Of the windows in which a higher escalation is reached, the one with most escalations is reported,
of several the earliest. Where the two evaluators differ the run stops (EN009).

What does not count, and is told in `left_out`: waived findings; for windows, findings without a
time; for groups by team, findings without a team, and teams of fewer than `SMALLEST_TEAM` known
people (law 6: a group that small would point at persons; a team of which nobody is known stays, as
in `csi.comparison_sides`). A category, service or team whose name is a pseudonym is a person's, not
a group's. No name of a person is read here.

Fingerprints are the first 16 hex digits of the SHA-256 of what makes an escalation itself (pattern,
subject, the fingerprints of its findings or of its parts): stable over reruns and row order.

Order: escalations by severity (the gravest first), code, subject, rules; opportunities likewise.
Cost: O(f log f) for f findings and each pattern, and about 50 us for each distinct group size.

Not done: shares of the tickets that a team handles (a finding has a team, a ticket that conforms
has none); whether an escalation has been dealt with since (the register knows).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.privacy import PSEUDONYM, SMALLEST_TEAM
from rules import engine
from rules.chain import ChainProgram, ChainRule, follow
from rules.opportunity import digest, propose
from rules.spec import Interval, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.chain import Chained, Fact
    from rules.escalation_file import Escalating, Pattern
    from rules.opportunity import Opportunity
    from rules.spec import Rule

    Words = npt.NDArray[np.object_]
    Bools = npt.NDArray[np.bool_]

ABOUT: Final = "the chain of escalations"
FIELDS: Final = ("p", "g", "n", "c")
GROUP, ESCALATED, COUNTED, HIGHER, PROPOSED = range(5)  # the levels of the chain

ESCALATIONS_SCHEMA: Final = pa.schema(
    [
        ("fingerprint", pa.string()),
        ("code", pa.string()),
        ("name", pa.string()),
        ("title", pa.string()),
        ("severity", pa.string()),
        ("subject_kind", pa.string()),
        ("subject", pa.string()),
        ("rules", pa.list_(pa.string())),
        ("first", s.UTC_US),
        ("last", s.UTC_US),
        ("window_us", pa.int64()),
        ("threshold", pa.int64()),
        ("n", pa.int64()),
        ("unit", pa.string()),
        ("cases", pa.list_(pa.string())),
        ("findings", pa.list_(pa.string())),
        ("parts", pa.list_(pa.string())),
        ("part_of", pa.list_(pa.string())),
        ("opportunity", pa.string()),
    ]
)


@dataclass(frozen=True)
class Escalation:
    """One pattern reached by one subject: n tickets (or escalations) in one window.

    `first_us` and `last_us` are the times of the first and last finding in it, None where the log
    has no times. `findings` are fingerprints, `parts` those of the escalations that a chained one
    counts, `part_of` those of the chained ones that count it, `opportunity` that of what is
    proposed.
    """

    pattern: Pattern
    subject: str
    rules: tuple[str, ...]
    first_us: int | None
    last_us: int | None
    n: int
    cases: tuple[str, ...]
    findings: tuple[str, ...]
    fingerprint: str
    parts: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    opportunity: str | None = None

    @property
    def unit(self) -> str:
        """What n counts."""
        return "escalations" if self.parts else "tickets"

    @property
    def order(self) -> tuple[object, ...]:
        """The gravest first; total, since a pattern meets a subject and its rules once."""
        return (-self.pattern.severity, self.pattern.code, self.subject, self.rules)

    def row(self) -> dict[str, object]:
        """Return a row of ESCALATIONS_SCHEMA."""
        pattern = self.pattern
        return {
            "fingerprint": self.fingerprint,
            "code": pattern.code,
            "name": pattern.name,
            "title": pattern.title,
            "severity": pattern.severity.word,
            "subject_kind": pattern.by,
            "subject": self.subject,
            "rules": self.rules,
            "first": self.first_us,
            "last": self.last_us,
            "window_us": pattern.window_us,
            "threshold": pattern.threshold,
            "n": self.n,
            "unit": self.unit,
            "cases": self.cases,
            "findings": self.findings,
            "parts": self.parts,
            "part_of": self.part_of,
            "opportunity": self.opportunity,
        }


@dataclass(frozen=True)
class Escalations:
    """All that a log's findings lead to, in order; `left_out` counts findings by the reason."""

    escalations: tuple[Escalation, ...] = ()
    opportunities: tuple[Opportunity, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """Return the escalations as a table of ESCALATIONS_SCHEMA."""
        return pa.Table.from_pylist([one.row() for one in self.escalations], ESCALATIONS_SCHEMA)


@dataclass(frozen=True, eq=False)
class _Found:
    """The findings that are not waived, one entry each; `subjects` has None where there is none.

    `case` and `rule` are ranks among `case_ids` and `codes`, both sorted.
    """

    at: Ints
    timed: Bools
    case: Ints
    case_ids: Sequence[str]
    rule: Ints
    codes: Sequence[str]
    severity: Ints
    fingerprints: Sequence[str]
    subjects: Mapping[str, Words]

    @property
    def code_of(self) -> Words:
        """The code of each finding's rule."""
        return np.array(self.codes, dtype=object)[self.rule]


@dataclass(frozen=True, eq=False)
class _Group:
    """Findings that share what a pattern asks for: those in its worst window, and their tickets."""

    pattern: Pattern
    subject: str
    members: Ints
    n: int
    first_us: int | None
    last_us: int | None


class _Window(NamedTuple):
    """The groups of one subject whose worst windows end within one window of a chained pattern."""

    by: str
    window_us: int
    subject: str
    groups: tuple[int, ...]


class _Higher(NamedTuple):
    """A chained pattern that a subject has reached, by the groups that have escalated."""

    pattern: Pattern
    subject: str
    groups: tuple[int, ...]
    proposes: bool


class _Concluded(NamedTuple):
    """What the chain says: the groups that escalate and those that propose, and what is higher."""

    escalated: tuple[int, ...]
    proposing: frozenset[int]
    higher: tuple[_Higher, ...]


def escalate(
    findings: pa.Table,
    *,
    rules: Sequence[Rule],
    cases: pa.Table,
    people: Mapping[str, int],
    escalating: Escalating,
) -> Escalations:
    """Return what a log's findings (rules.findings.FINDINGS_SCHEMA) lead to.

    `rules` are those that were checked. `cases` has case_id, category and service. `people` says
    how many people are known in each team; of a team that it does not name nobody is known.

    Raises RunError EN009 where the evaluators differ, and what `rules.engine.chain` raises.
    """
    patterns = escalating.patterns
    small = frozenset(team for team, n in people.items() if n < SMALLEST_TEAM)
    kept = findings.filter(pc.is_null(findings["waived_by"]))
    found = _found(kept, rules, cases, small)
    groups = [group for one in patterns for group in _groups(found, one)]
    told = _conclude(groups, list(_windows(groups, patterns)), patterns)
    base = {i: _escalation(found, groups[i]) for i in told.escalated}
    higher = [_chained(one, [base[i] for i in one.groups]) for one in told.higher]
    part_of = defaultdict(list)
    for one in higher:
        for part in one.parts:
            part_of[part].append(one.fingerprint)
    whole = [
        *(replace(one, part_of=tuple(sorted(part_of[one.fingerprint]))) for one in base.values()),
        *higher,
    ]
    proposing = {base[i].fingerprint for i in told.proposing}
    proposing |= {
        one.fingerprint for one, how in zip(higher, told.higher, strict=True) if how.proposes
    }
    escalations = sorted(whole, key=lambda one: one.order)
    opportunities = propose(
        [one for one in escalations if one.fingerprint in proposing],
        rules=rules,
        rule_of_finding=dict(zip(found.fingerprints, found.code_of.tolist(), strict=True)),
        kpi_of_rule=escalating.kpi_of_rule,
    )
    of = {cause: one.fingerprint for one in opportunities for cause in one.escalations}
    return Escalations(
        tuple(replace(one, opportunity=of.get(one.fingerprint)) for one in escalations),
        opportunities,
        _left_out(findings, kept, small),
    )


# --- what columns measure


def _found(
    findings: pa.Table, rules: Sequence[Rule], cases: pa.Table, small: frozenset[str]
) -> _Found:
    """Lay the findings out with what they may share."""
    control = {rule.code: rule.control for rule in rules}
    case_of = pc.index_in(findings["case_id"], value_set=cases[s.CASE_ID].combine_chunks())
    codes, rule = np.unique(_words(findings["rule"]).astype(str), return_inverse=True)
    case_ids, case = np.unique(_words(findings["case_id"]).astype(str), return_inverse=True)
    teams = _words(findings["team"])
    subjects = {
        "case": _words(findings["case_id"]),
        "team": np.array([None if t in small else t for t in teams.tolist()], dtype=object),
        "category": _words(cases[s.CATEGORY].take(case_of)),
        "service": _words(cases[s.SERVICE].take(case_of)),
        "control": np.array([control.get(c) for c in codes.tolist()], dtype=object)[rule],
    }
    for name in ("team", "category", "service"):
        subjects[name] = _named(subjects[name])
    at = findings["at"].cast(pa.int64())
    return _Found(
        at=pc.fill_null(at, 0).to_numpy(),
        timed=pc.is_valid(at).to_numpy(),
        case=case.astype(np.int64),
        case_ids=case_ids.tolist(),
        rule=rule.astype(np.int64),
        codes=codes.tolist(),
        severity=np.array(
            [Severity[word.upper()] for word in findings["severity"].to_pylist()], dtype=np.int64
        ),
        fingerprints=findings["fingerprint"].to_pylist(),
        subjects=subjects,
    )


def _words(column: pa.ChunkedArray) -> Words:
    return np.array(column.to_pylist(), dtype=object)


def _named(words: Words) -> Words:
    """Keep the names of groups: not what is blank, nor the pseudonym of a person."""
    known = {w: bool(w and w.strip()) and re.fullmatch(PSEUDONYM, w) is None for w in set(words)}
    return np.array([w if known[w] else None for w in words.tolist()], dtype=object)


def _groups(found: _Found, pattern: Pattern) -> Iterator[_Group]:
    """Yield the groups of one pattern, by subject and what parts them."""
    if pattern.kind == "chained":
        return
    subject, part = found.subjects[pattern.by], _parted(found, pattern)
    counts = _are_not_none(subject) & _are_not_none(part)
    counts &= found.severity >= pattern.at_least
    if pattern.rules:
        counts &= np.isin(found.rule, [i for i, c in enumerate(found.codes) if c in pattern.rules])
    if pattern.window_us is not None:
        counts &= found.timed
    chosen = np.flatnonzero(counts)
    subjects, subject_of = np.unique(subject[chosen].astype(str), return_inverse=True)
    _, part_of = np.unique(part[chosen].astype(str), return_inverse=True)
    order = np.lexsort(
        (found.rule[chosen], found.case[chosen], found.at[chosen], part_of, subject_of)
    )
    chosen, subject_of, part_of = chosen[order], subject_of[order], part_of[order]
    new = (np.diff(subject_of, prepend=-1) != 0) | (np.diff(part_of, prepend=-1) != 0)
    edges = np.append(np.flatnonzero(new), len(chosen)).tolist()
    for start, end in pairwise(edges):
        members = chosen[start:end]
        yield _measured(found, pattern, str(subjects[subject_of[start]]), members)


def _parted(found: _Found, pattern: Pattern) -> Words:
    """What parts the findings of one subject into groups; None for findings that count nowhere."""
    if pattern.each == "rule":
        return found.code_of
    if pattern.each == "control":
        return found.subjects["control"]
    return np.full(len(found.rule), "", dtype=object)


def _are_not_none(words: Words) -> Bools:
    return np.array([word is not None for word in words.tolist()], dtype=bool)


def _measured(found: _Found, pattern: Pattern, subject: str, members: Ints) -> _Group:
    """Find the worst window of a group whose findings are in order of time."""
    if pattern.window_us is not None:
        times, tickets = found.at[members].tolist(), found.case[members].tolist()
        first, end = worst_window(times, tickets, pattern.window_us)
        members = members[first:end]
    timed = found.at[members][found.timed[members]]
    return _Group(
        pattern=pattern,
        subject=subject,
        members=members,
        n=len(np.unique(found.case[members])),
        first_us=int(timed.min()) if len(timed) else None,
        last_us=int(timed.max()) if len(timed) else None,
    )


def worst_window(times: Sequence[int], tickets: Sequence[int], length: int) -> tuple[int, int]:
    """Return from which to (without) which place the most distinct tickets lie within `length`.

    Times ascend. The window is half-open, [t, t + length); of several the first. O(findings).
    """
    inside: Counter[int] = Counter()
    most, best, end = 0, (0, 0), 0
    for start, time in enumerate(times):
        while end < len(times) and times[end] < time + length:
            inside[tickets[end]] += 1
            end += 1
        if len(inside) > most:
            most, best = len(inside), (start, end)
        inside[tickets[start]] -= 1
        if not inside[tickets[start]]:
            del inside[tickets[start]]
    return best


def _windows(groups: Sequence[_Group], patterns: Sequence[Pattern]) -> Iterator[_Window]:
    """Yield the windows in which groups of one subject may be escalations of a chained pattern.

    A window that holds no group that an earlier one does not hold too is left out: no more could
    escalate in it.
    """
    chained = [one for one in patterns if one.kind == "chained"]
    for by, window_us in sorted({(one.by, one.window_us or 0) for one in chained}):
        counted = {
            code for one in chained if (one.by, one.window_us) == (by, window_us) for code in one.of
        }
        of_subject = defaultdict(list)
        for i, group in enumerate(groups):
            if group.pattern.code in counted and group.last_us is not None:
                of_subject[group.subject].append((group.last_us, i))
        for subject, mine in sorted(of_subject.items()):
            for held in _held(sorted(mine), window_us):
                # in this order, like windows are like sessions to the engine
                like = sorted(held, key=lambda i: (groups[i].pattern.code, groups[i].n, i))
                yield _Window(by, window_us, subject, tuple(like))


def _held(timed: Sequence[tuple[int, int]], length: int) -> Iterator[list[int]]:
    """Yield what each window of a length holds, of things with ascending times."""
    end = 0
    for start, (time, _) in enumerate(timed):
        before = end
        while end < len(timed) and timed[end][0] < time + length:
            end += 1
        if end > before:
            yield [i for _, i in timed[start:end]]


# --- what rules judge


def chain_program(patterns: Sequence[Pattern]) -> ChainProgram:
    """Write the patterns as a chain.

    Fields: p the number of the pattern, g that of the group, n its tickets, c counts escalations.
    """
    number = {one.code: Interval(i, i) for i, one in enumerate(patterns)}
    rules = []
    for i, one in enumerate(patterns):
        enough, mine = Interval(one.threshold, None), {"p": Interval(i, i)}
        if one.kind == "chained":
            for code in one.of:
                when = {"p": number[code]}
                rules.append(ChainRule(ESCALATED, COUNTED, when, {"p": i}, tally="c"))
            rules.append(ChainRule(COUNTED, HIGHER, mine | {"c": enough}, {"p": i}))
        else:
            rules.append(ChainRule(GROUP, ESCALATED, mine | {"n": enough}, {"p": i, "g": "g"}))
        if one.opportunity is not None:
            level = HIGHER if one.kind == "chained" else ESCALATED
            then: dict[str, int | str] = (
                {"p": i} if one.opportunity.per == "pattern" else {"p": i, "g": "g"}
            )
            rules.append(ChainRule(level, PROPOSED, mine, then))
    return ChainProgram(FIELDS, tuple(rules))


def _conclude(
    groups: Sequence[_Group], windows: Sequence[_Window], patterns: Sequence[Pattern]
) -> _Concluded:
    """Let both evaluators draw the conclusions, and read them off."""
    number = {one.code: i for i, one in enumerate(patterns)}
    alone = [[_fact(number, group, 0)] for group in groups]
    together = [
        [_fact(number, groups[i], g) for g, i in enumerate(window.groups)] for window in windows
    ]
    chains = _chains(chain_program(patterns), [*alone, *together])
    levels = [{fact[0] for fact in one.facts} for one in chains[: len(groups)]]
    return _Concluded(
        escalated=tuple(i for i, known in enumerate(levels) if ESCALATED in known),
        proposing=frozenset(i for i, known in enumerate(levels) if PROPOSED in known),
        higher=_reached(windows, chains[len(groups) :], patterns),
    )


def _fact(number: Mapping[str, int], group: _Group, g: int) -> Fact:
    return (GROUP, number[group.pattern.code], g, group.n, 0)


def _chains(program: ChainProgram, sessions: Sequence[Sequence[Fact]]) -> list[Chained]:
    """Follow the chain twice; the run stops where durable-rules and the fixpoint differ."""
    chains = engine.chain(program, sessions, about=ABOUT)
    judged: dict[frozenset[Fact], Chained] = {}
    for session, found in zip(sessions, chains, strict=True):
        known = frozenset(session)
        if known not in judged:
            judged[known] = follow(program, known)
        if judged[known] != found:
            said = {*found.facts, *found.firings}
            differing = said ^ {*judged[known].facts, *judged[known].firings}
            msg = f"{ABOUT}: durable-rules and the fixpoint differ on {sorted(known)[:5]}"
            why = f"{sorted(map(str, differing))[:5]}; no escalation may rest on one engine"
            raise RunError("EN009", msg, why=why, fix="Report it as a defect with this line")
    return chains


def _reached(
    windows: Sequence[_Window], chains: Sequence[Chained], patterns: Sequence[Pattern]
) -> tuple[_Higher, ...]:
    """Return each chained pattern that a subject has reached, in its fullest window."""
    best: dict[tuple[int, str], _Higher] = {}
    for window, found in zip(windows, chains, strict=True):
        for p, pattern in enumerate(patterns):
            if (pattern.by, pattern.window_us) != (window.by, window.window_us):
                continue
            if pattern.kind == "chained" and (HIGHER, p, 0, 0, 0) in found.facts:
                counted = {
                    one.fact[2] for one in found.firings if one.derived == (COUNTED, p, 0, 0, 0)
                }
                parts = tuple(window.groups[g] for g in sorted(counted))
                known = best.get((p, window.subject))
                if known is None or len(parts) > len(known.groups):
                    proposes = (PROPOSED, p, 0, 0, 0) in found.facts
                    best[p, window.subject] = _Higher(pattern, window.subject, parts, proposes)
    return tuple(best[key] for key in sorted(best))


# --- what people read


def _escalation(found: _Found, group: _Group) -> Escalation:
    fingerprints = tuple(sorted({found.fingerprints[i] for i in group.members.tolist()}))
    rules = tuple(sorted({found.codes[i] for i in found.rule[group.members].tolist()}))
    cases = tuple(sorted({found.case_ids[i] for i in found.case[group.members].tolist()}))
    code, by = group.pattern.code, group.pattern.by
    return Escalation(
        pattern=group.pattern,
        subject=group.subject,
        rules=rules,
        first_us=group.first_us,
        last_us=group.last_us,
        n=group.n,
        cases=cases,
        findings=fingerprints,
        fingerprint=digest(code, by, group.subject, rules, fingerprints),
    )


def _chained(higher: _Higher, parts: Sequence[Escalation]) -> Escalation:
    known = [time for part in parts for time in (part.first_us, part.last_us) if time is not None]
    fingerprints = tuple(sorted(part.fingerprint for part in parts))
    code, by = higher.pattern.code, higher.pattern.by
    rules = tuple(sorted({rule for part in parts for rule in part.rules}))
    return Escalation(
        pattern=higher.pattern,
        subject=higher.subject,
        rules=rules,
        first_us=min(known, default=None),
        last_us=max(known, default=None),
        n=len(parts),
        cases=tuple(sorted({case for part in parts for case in part.cases})),
        findings=tuple(sorted({finding for part in parts for finding in part.findings})),
        fingerprint=digest(code, by, higher.subject, rules, fingerprints),
        parts=fingerprints,
    )


def _named_by_people(teams: pa.ChunkedArray) -> int:
    """Count the findings of teams that a pseudonym stands for; `_named` gives them no group."""
    return int(pc.sum(pc.match_substring_regex(teams, f"^{PSEUDONYM}$")).as_py() or 0)


def _left_out(findings: pa.Table, kept: pa.Table, small: frozenset[str]) -> dict[str, int]:
    """Count the findings that could not count, by the reason, where there are any."""
    hidden = pc.is_in(kept["team"], value_set=pa.array(sorted(small), pa.string()))
    counts = {
        "waived": findings.num_rows - kept.num_rows,
        "without a time": kept["at"].null_count,
        "without a team": kept["team"].null_count,
        "of teams that only a person's name or address names": _named_by_people(kept["team"]),
        f"of teams of fewer than {SMALLEST_TEAM} known people": int(pc.sum(hidden).as_py() or 0),
    }
    return {reason: n for reason, n in counts.items() if n}
