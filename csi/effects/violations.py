"""How did tickets that break a rule come out, against tickets alike that keep it?

For each rule and each outcome (`csi.effects.outcomes`): the violating tickets against the others on
which the rule was asked, those that conform and those that keep it so far (pending: conforming is
often told only when a ticket ends, so that without them the open tickets would be missing on one
side alone). Alike in priority, category, team and month of opening, by regression
(`csi.statistics.adjusted`), with exact matching as the check (`csi.statistics.matched`): regression
because with rare violations few have an exact match, and matching as the check because it assumes
no form. Clusters are the weeks of opening; the days where the tickets fall into fewer than
`FEWEST_WEEKS` weeks.

The negative control (Lipsitch, Tchetgen Tchetgen & Cohen 2010, Epidemiology 21, 383-388): the same
outcome of the ticket opened just before in the same priority, category and team. The violation came
too late to have caused it, yet both share what goes on at that desk in those days. Where the
control "differs" too, something else that these tickets share explains at least a part, and the row
is not to be read as an effect. Whether the ticket before broke the rule itself is held fixed, or
its own violation would show through. It cannot see what a ticket does not share with its neighbour
(how hard it was).

Standing:
    BY_DEFINITION   the violation is a part of the outcome (`csi.effects.definitions`)
    NOT_ESTIMATED   too few tickets, perfect separation, ... (`why`)
    NOT_SHOWN       the p-value adjusted for all rules of the outcome (Benjamini & Hochberg 1995) is
                    above `LEVEL`, the interval holds no difference, or the matched tickets lie on
                    the other side
    SHARED_CAUSE    the negative control differs too
    NOT_RULED_OUT   an association, but a shared cause is not ruled out: there is no negative
                    control, its interval holds the difference itself (as much could be shared), or
                    the rule's control differs for another outcome (p times the number of the
                    rule's controls at most `LEVEL`)
    ASSOCIATION     what is left

Not checked: causes that are not recorded and not shared with the ticket before; that the violation
came before the outcome. Cost: two regressions a pair. Deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.effects.definitions import part_of
from csi.effects.outcomes import (
    OUTCOMES,
    UNITS,
    days_of,
    groups_of,
    just_before,
    observed,
    weeks_of,
)
from csi.evidence import OPENED
from csi.statistics.adjusted import (
    ODDS,
    SMALLEST,
    TIMES,
    odds_ratio,
    point_difference,
    time_ratio,
)
from csi.statistics.alike import Marked
from csi.statistics.association import adjusted as benjamini_hochberg
from csi.statistics.matched import (
    matched_odds_ratio,
    matched_point_difference,
    matched_time_ratio,
)
from rules.spec import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.effects.outcomes import Observed
    from csi.evidence import Evidence
    from csi.statistics.adjusted import Adjusted
    from csi.statistics.bootstrap import Bools, Ints
    from csi.statistics.matched import Matched
    from rules.practice import Practice
    from rules.spec import Rule

LEVEL: Final = 0.05
FEWEST_WEEKS: Final = 8
WEEKS: Final = "weeks of opening"
DAYS: Final = "days of opening"
BEFORE: Final = "the ticket before"


class Standing(StrEnum):
    """How a row is to be read."""

    ASSOCIATION = "association"
    NOT_RULED_OUT = "association, shared cause not ruled out"
    SHARED_CAUSE = "shared cause, not an effect"
    NOT_SHOWN = "not shown"
    NOT_ESTIMATED = "not estimated"
    BY_DEFINITION = "by definition"


@dataclass(frozen=True)
class Effect:
    """One rule and one outcome; `why` says why nothing is claimed, "" for an association.

    `found` is None where the violation is a part of the outcome; `control` and `matched` are None
    where nothing was estimated.
    """

    rule: Rule
    outcome: str
    standing: Standing
    found: Adjusted | None = None
    control: Adjusted | None = None
    matched: Matched | None = None
    adjusted_p: float | None = None
    why: str = ""


@dataclass(frozen=True, eq=False)
class Tickets:
    """What is known of every row of the cases, and which rows are asked."""

    verdicts: Mapping[str, np.ndarray[tuple[int], np.dtype[np.int8]]]
    outcomes: Mapping[str, Observed]
    alike: Mapping[str, Ints]
    clusters: Ints
    cluster_words: str
    before: tuple[Ints, Ints]
    asked: Bools

    @classmethod
    def of(cls, evidence: Evidence, asked: Bools | None = None) -> Tickets:
        """Read the evidence; `asked` marks the rows that count, by default all.

        Tickets of which it is not known when they were opened count nowhere.
        """
        rows = evidence.cases[OPENED].notna().to_numpy(dtype=bool)
        rows = rows if asked is None else rows & asked
        weeks = weeks_of(evidence)
        enough = len(np.unique(weeks[rows])) >= FEWEST_WEEKS
        return cls(
            verdicts=evidence.verdicts,
            outcomes=observed(evidence),
            alike=groups_of(evidence),
            clusters=weeks if enough else days_of(evidence),
            cluster_words=WEEKS if enough else DAYS,
            before=just_before(evidence),
            asked=rows,
        )

    def violates(self, code: str) -> Bools:
        """Return which of the asked rows break a rule."""
        return np.asarray((self.verdicts[code] == Verdict.VIOLATES) & self.asked)

    def others(self, code: str) -> Bools:
        """Return which of the asked rows keep it, so far."""
        kept = np.isin(self.verdicts[code], (Verdict.CONFORMS, Verdict.PENDING))
        return np.asarray(kept & self.asked)

    def marked(self, code: str, rows: Ints) -> Marked:
        """Return some rows, marked where they break the rule."""
        groups = {name: words[rows] for name, words in self.alike.items()}
        return Marked(self.violates(code)[rows], groups, self.clusters[rows])


def effects(
    tickets: Tickets, rules: Sequence[Rule], practices: Mapping[str, Practice]
) -> tuple[Effect, ...]:
    """Estimate every pair of a rule that is violated and an outcome, by outcome and code."""
    broken = [
        rule
        for rule in sorted(rules, key=lambda one: one.code)
        if rule.code in tickets.verdicts and tickets.violates(rule.code).any()
    ]
    found: list[Effect] = []
    for outcome in OUTCOMES:
        found += _corrected([_effect(tickets, rule, outcome, practices) for rule in broken])
    shared = {rule.code: _shared_in([one for one in found if one.rule is rule]) for rule in broken}
    return tuple(_doubted(one, shared[one.rule.code]) for one in found)


def _shared_in(mine: Sequence[Effect]) -> str:
    """Name the outcome in which the control of a rule surely differs, "" for none."""
    told = [
        (one.control.p, one.outcome)
        for one in mine
        if one.control is not None and one.control.p is not None
    ]
    p, outcome = min(told, default=(1.0, ""))
    return outcome if p * len(told) <= LEVEL else ""


def _doubted(one: Effect, shared_in: str) -> Effect:
    """What shows itself in one outcome of these tickets may be at work in the others."""
    if one.standing is not Standing.ASSOCIATION or not shared_in:
        return one
    why = f"that ticket differs in {shared_in}, so a shared cause is not ruled out"
    return replace(one, standing=Standing.NOT_RULED_OUT, why=why)


def _effect(
    tickets: Tickets, rule: Rule, outcome: str, practices: Mapping[str, Practice]
) -> Effect:
    why = part_of(rule, outcome, practices)
    if why:
        return Effect(rule, outcome, Standing.BY_DEFINITION, why=why)
    seen = tickets.outcomes[outcome]
    decided = tickets.violates(rule.code) | tickets.others(rule.code)
    rows = np.flatnonzero(decided & seen.known)
    marked = tickets.marked(rule.code, rows)
    found = _adjusted(outcome, seen.of(rows), marked)
    if found.why_not:
        return Effect(rule, outcome, Standing.NOT_ESTIMATED, found, why=found.why_not)
    return Effect(
        rule,
        outcome,
        Standing.NOT_SHOWN,
        found,
        control=_control(tickets, rule.code, outcome, decided),
        matched=_matched(outcome, seen.of(rows), marked),
    )


def _control(tickets: Tickets, code: str, outcome: str, decided: Bools) -> Adjusted:
    """Return the same difference in the outcome of the ticket before."""
    seen, (rows, earlier) = tickets.outcomes[outcome], tickets.before
    told = decided[rows] & seen.known[earlier]
    rows, earlier = rows[told], earlier[told]
    marked = tickets.marked(code, rows)
    # of the earlier ticket: keeps the rule, was not asked, breaks it
    own = 1 - tickets.others(code)[earlier].astype(np.int64) + tickets.violates(code)[earlier]
    groups = {**marked.alike, BEFORE: own}
    return _adjusted(outcome, seen.of(earlier), replace(marked, alike=groups))


def _adjusted(outcome: str, seen: Observed, marked: Marked) -> Adjusted:
    if UNITS[outcome] == TIMES:
        return time_ratio(seen.each, seen.censored, marked)
    if UNITS[outcome] == ODDS:
        return odds_ratio(seen.each > 0, marked)
    return point_difference(seen.each, marked)


def _matched(outcome: str, seen: Observed, marked: Marked) -> Matched:
    if UNITS[outcome] == TIMES:
        return matched_time_ratio(seen.each, seen.censored, marked)
    if UNITS[outcome] == ODDS:
        return matched_odds_ratio(seen.each > 0, marked)
    return matched_point_difference(seen.each, marked)


def _corrected(found: Sequence[Effect]) -> list[Effect]:
    """Adjust the p-values of one outcome, and say how each row is to be read."""
    asked = [one for one in found if one.standing is Standing.NOT_SHOWN]
    raw = [one.found.p for one in asked if one.found is not None and one.found.p is not None]
    level = dict(zip([one.rule.code for one in asked], benjamini_hochberg(raw), strict=True))
    return [_read(one, level.get(one.rule.code)) for one in found]


def _read(one: Effect, adjusted_p: float | None) -> Effect:
    found = one.found
    if adjusted_p is None or found is None:
        return one
    # the first that holds says how the row is to be read
    asked = (
        (not found.differs, Standing.NOT_SHOWN, "the interval holds no difference"),
        (
            adjusted_p > LEVEL,
            Standing.NOT_SHOWN,
            "not shown once all rules of the outcome are allowed for",
        ),
        (
            _turns(found, one.matched),
            Standing.NOT_SHOWN,
            "tickets matched exactly lie on the other side",
        ),
        (
            one.control is not None and one.control.differs,
            Standing.SHARED_CAUSE,
            "the ticket opened just before differs as well",
        ),
        (
            _could_explain(found, one.control),
            Standing.NOT_RULED_OUT,
            "that is too uncertain to rule out a shared cause",
        ),
    )
    plain = (Standing.ASSOCIATION, "")
    standing, why = next(((said, why) for holds, said, why in asked if holds), plain)
    return replace(one, adjusted_p=adjusted_p, standing=standing, why=why)


def _could_explain(found: Adjusted, control: Adjusted | None) -> bool:
    """Whether the control leaves open that as much is shared as was found."""
    if control is None or control.low is None or control.high is None or found.value is None:
        return True
    return control.low <= found.value <= control.high


def _turns(found: Adjusted, matched: Matched | None) -> bool:
    """Whether enough matched tickets lie on the other side of no difference."""
    if matched is None or matched.value is None or found.value is None:
        return False
    if min(matched.n, matched.n_others) < SMALLEST:
        return False
    return (found.value > found.none) != (matched.value > found.none)
