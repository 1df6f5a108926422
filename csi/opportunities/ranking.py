"""Which opportunity is worth doing first? Expected gain x ease, and a draft for the register each.

    gain   the share of a month's tickets that would be relieved (would not come, or be settled at
           first contact) plus the share of a month's hours to resolve that would be saved. Both are
           shares of what the whole window holds, so that tickets and hours can stand in one figure
    ease   1 to 5 (`csi.opportunities.proposals`)
    rank   by falling gain x ease; where no gain can be told, after all others, by falling tickets a
           month x ease; equal ones by code

Only the expected values rank; the limits stand beside them, and `sure` says whether the lower limit
of the gain is above nought. Gains of rows overlap (one ticket can stand behind many) and must not
be added up. A rank is a suggestion of where to look first: what a change costs is in no log.

A row is also a draft for the register, in the shape of `csi.escalations.draft_of`; guardrails are
those of the KPI that it would move. `to_be_said` lists what only people can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from csi.escalations import TO_BE_SAID
from csi.opportunities.gain import Range
from csi.opportunities.proposals import ease_of
from csi.opportunities.words import count, span
from csi.report.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.kpi import Kpi
    from csi.opportunities.proposals import Ease, Proposal
    from csi.opportunities.tickets import Tickets

TOP: Final = 3


@dataclass(frozen=True, eq=False)
class Ranked:
    """The ranked table, and a draft for each row: {rank, code, source, draft, to_be_said}."""

    frame: pd.DataFrame
    drafts: tuple[dict[str, Any], ...]
    sentences: tuple[str, ...]


def ranked(proposals: Sequence[Proposal], tickets: Tickets, kpis: Mapping[str, Kpi]) -> Ranked:
    """Rank proposals; `kpis` are all KPIs by code."""
    scale = _Scale.of(tickets)
    rated = [_Rated(one, ease_of(one, tickets.frame), scale.gain(one)) for one in proposals]
    rated.sort(key=lambda one: one.order)
    rows = [_row(place, one, kpis) for place, one in enumerate(rated, 1)]
    return Ranked(
        frame=pd.DataFrame(rows, columns=list(COLUMNS)),
        drafts=tuple(_draft(place, one.proposal, kpis) for place, one in enumerate(rated, 1)),
        sentences=_sentences(rated),
    )


@dataclass(frozen=True)
class _Scale:
    """A month of the whole window: its tickets, and its hours to resolve."""

    tickets: float
    hours: float

    @classmethod
    def of(cls, tickets: Tickets) -> _Scale:
        months = tickets.months or 1.0
        return cls(len(tickets.frame) / months, float(tickets.frame["hours"].sum()) / months)

    def gain(self, one: Proposal) -> Range:
        """Add up the shares of tickets and hours; what is not told counts nothing."""
        parts = [
            (figure, whole)
            for figure, whole in ((one.relieved, self.tickets), (one.hours, self.hours))
            if figure.value is not None and whole
        ]
        if not parts:
            return Range(None, None, None)
        value = sum((figure.value or 0.0) / whole for figure, whole in parts)
        low = sum((figure.low or 0.0) / whole for figure, whole in parts)
        if any(figure.high is None for figure, _ in parts):
            return Range(value, low, None)
        return Range(value, low, sum((figure.high or 0.0) / whole for figure, whole in parts))


@dataclass(frozen=True, eq=False)
class _Rated:
    proposal: Proposal
    ease: Ease
    gain: Range

    @property
    def score(self) -> float | None:
        return None if not self.gain.value else self.gain.value * self.ease.score

    @property
    def order(self) -> tuple[bool, float, str]:
        told = self.score is not None
        rest = (self.proposal.tickets.value or 0.0) * self.ease.score
        return (not told, -(self.score or 0.0) if told else -rest, self.proposal.code)


COLUMNS: Final = (
    *("rank", "code", "source", "what", "seen", "tickets", "tickets_low", "tickets_high"),
    *("relieved", "relieved_low", "relieved_high", "hours", "hours_low", "hours_high"),
    *("how", "gain", "gain_low", "gain_high", "sure", "ease", "ease_why", "score"),
    *("kpi", "kpi_title", "hypothesis", "guardrails", "scope", "owner", "evidence"),
)


def _row(place: int, one: _Rated, kpis: Mapping[str, Kpi]) -> dict[str, object]:
    what, kpi = one.proposal, kpis.get(one.proposal.kpi or "")
    return {
        "rank": place,
        "code": what.code,
        "source": what.source,
        "what": what.title,
        "seen": what.seen,
        **_three("tickets", what.tickets),
        **_three("relieved", what.relieved),
        **_three("hours", what.hours),
        "how": what.how,
        **_three("gain", one.gain),
        "sure": bool(one.gain.low),
        "ease": one.ease.score,
        "ease_why": one.ease.words,
        "score": one.score,
        "kpi": what.kpi,
        "kpi_title": None if kpi is None else kpi.title,
        "hypothesis": what.hypothesis,
        "guardrails": () if kpi is None else kpi.guardrails,
        "scope": "; ".join(f"{k} {', '.join(v)}" for k, v in sorted(what.scope.items())) or "all",
        "owner": what.owner,
        "evidence": what.evidence,
    }


def _three(name: str, one: Range) -> dict[str, float | None]:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def _draft(place: int, one: Proposal, kpis: Mapping[str, Kpi]) -> dict[str, Any]:
    kpi = kpis.get(one.kpi or "")
    draft = {
        "title": one.title,
        "opportunity": one.seen,
        "hypothesis": one.hypothesis,
        "kpi": one.kpi,
        "owner": one.owner,
        "decision_rule": None,
        "scope": {name: list(words) for name, words in one.scope.items()},
        "comparison_group": None,
        "comparison": {},
        "guardrail_margins": {},
        "also": (),
        "guardrails": None if kpi is None or not kpi.guardrails else list(kpi.guardrails),
        "source_findings": list(one.evidence),
        "planned_start": None,
        "planned_evaluation": None,
    }
    missing = sorted(name for name in (*TO_BE_SAID, "kpi") if draft[name] is None)
    head = {"rank": place, "code": one.code, "source": one.source}
    return {**head, "draft": draft, "to_be_said": missing}


def _sentences(rated: Sequence[_Rated]) -> tuple[str, ...]:
    if not rated:
        return ("No opportunity was found in the window.",)
    told = [one for one in rated if one.score is not None]
    untold = len(rated) - len(told)
    lines = [f"{plural(len(rated), 'opportunity', 'opportunities')}, by expected gain times ease."]
    if untold:
        lines.append(f"Of {untold} the gain cannot be told; they come last.")
    for one in told[:TOP]:
        what = one.proposal
        parts = [
            f"{span(figure, count)} {words}"
            for figure, words in (
                (what.relieved, what.relief),
                (what.hours, "hours less to resolve"),
            )
            if figure.value is not None
        ]
        lines.append(f"{what.title}: {' and '.join(parts)} a month; ease {one.ease.words}.")
    lines.append(
        "Gains overlap and do not add up. They rest on assumptions that each row names; what a "
        "change costs stands in no log."
    )
    return tuple(lines)
