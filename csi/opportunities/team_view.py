"""How do teams stand, told so that nobody is ranked? One row a team, by name, adjusted for mix.

Of the tickets that were opened in the window (incidents and service requests; where there are none,
all); a team's tickets are those that it had when they were resolved, or has yet. Columns of the
table, shares with Wilson limits (95 %) and their n:

    tickets
    median_h           time to resolve with the desk's mix (`csi.opportunities.standardised`), its
                       limits, and `desk_h`, the desk's on the same kinds of tickets;
                       `mix_covered`, the share of the desk's tickets of those kinds
    compared           "not visibly apart" where the limits hold the desk's value, else "longer" or
                       "shorter"; "alone" where the team has over `ALONE` of such tickets itself;
                       "not told" where it has too few
    first_contact      of the tickets that came to it first
    handed_on          hand-overs from it to other teams, on tickets of the window
    reopened           of its tickets that were resolved
    waiting_share      time in queues, hand-overs and waits over that and time in states of work,
                       all its tickets together; limits by bootstrap of whole days of opening
    conformance        tickets that violate none of the rules that were decided for them
    backlog            tickets of any age that were with it, open, at the end of the window
    slow_share, apart  see `csi.opportunities.funnel`

People are protected: a team of fewer than 5 known people is left out, and so is one of fewer than 5
tickets; a share of fewer than 5 is not shown. No figure here is about a person, and the order is
that of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from csi.opportunities.candidates import CASE_TYPES
from csi.opportunities.definitions import SMALLEST_GROUP
from csi.opportunities.funnel import funnel_of
from csi.opportunities.funnel_picture import draw_funnel
from csi.opportunities.gain import share_of
from csi.opportunities.standardised import CONFIDENCE, REPLICATES, SEED, DeskTimes
from csi.opportunities.team_words import team_sentences
from csi.opportunities.tickets import opened_of
from csi.statistics import bootstrap
from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.organisation import handovers
from process_mining.privacy import SMALLEST_TEAM, people_of_teams
from rules.spec import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from csi.audit import Audit, PracticeAudit
    from csi.evidence import Span
    from csi.opportunities.funnel import Funnel
    from csi.opportunities.standardised import Standardised
    from csi.opportunities.tickets import Tickets
    from csi.statistics import Estimate

    Bools = npt.NDArray[np.bool_]

ALONE: Final = 0.8
APART: Final = ("longer", "shorter")


@dataclass(frozen=True, eq=False)
class TeamView:
    """The table, the funnel and its picture ("" where there is none), and what was left out."""

    frame: pd.DataFrame
    funnel: Funnel | None
    picture: str
    few_people: int
    few_tickets: int
    sentences: tuple[str, ...]


def team_view(audit: Audit, window: Span, tickets: Tickets) -> TeamView:
    """Return the teams of a window by name."""
    case_types = CASE_TYPES & {*tickets.frame["case_type"]} or {*tickets.frame["case_type"]}
    frame = tickets.frame[tickets.frame["case_type"].isin(case_types)].reset_index(drop=True)
    parts = [part for part in audit.practices if part.practice.case_type in case_types]
    marks = {str(team): (frame["team"] == team).to_numpy(dtype=bool) for team in _names(frame)}
    people = people_of_teams(audit.log)
    few_people = {team for team in marks if people.get(team, SMALLEST_TEAM) < SMALLEST_TEAM}
    few = {team for team in marks if marks[team].sum() < SMALLEST_GROUP} - few_people
    shown = {team: marks[team] for team in sorted(marks.keys() - few_people - few)}
    table, funnel = pd.DataFrame(columns=list(COLUMNS)), None
    if shown:
        table, funnel = _table(frame, shown, parts, window)
    return TeamView(
        frame=table,
        funnel=funnel,
        picture="" if funnel is None else draw_funnel(funnel),
        few_people=len(few_people),
        few_tickets=len(few),
        sentences=team_sentences(table, funnel, len(few_people), len(few)),
    )


def _names(frame: pd.DataFrame) -> list[str]:
    return sorted(frame["team"].dropna().unique())


def _table(
    frame: pd.DataFrame, shown: Mapping[str, Bools], parts: list[PracticeAudit], window: Span
) -> tuple[pd.DataFrame, Funnel | None]:
    desk = DeskTimes.of(frame)
    funnel = funnel_of(desk, shown, least=SMALLEST_GROUP)
    points = {} if funnel is None else {one.team: one for one in funnel.points}
    keeps, given, open_now = (
        _keeps(frame, parts),
        _handed_on(parts, window),
        _backlog(parts, window),
    )
    rows = []
    for team, mine in shown.items():
        point = points.get(team)
        rows.append(
            {
                "team": team,
                "tickets": int(mine.sum()),
                **_times(desk.standardised(mine)),
                **_shares(frame, team, mine, keeps),
                **_waits(frame[mine]),
                "handed_on": given.get(team, 0),
                "backlog": open_now.get(team, 0),
                "slow_share": None if point is None else point.share,
                "apart": bool(point is not None and funnel is not None and funnel.apart(point)),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS)), funnel


def _times(one: Standardised) -> dict[str, Any]:
    return {
        "median_h": one.value,
        "median_low_h": one.low,
        "median_high_h": one.high,
        "desk_h": one.desk,
        "mix_covered": one.covered,
        "compared": _compared(one),
    }


def _compared(one: Standardised) -> str:
    if one.low is None or one.desk is None:
        return "not told"
    if one.alone > ALONE:
        return "alone"
    if one.low > one.desk:
        return APART[0]
    return APART[1] if one.high is not None and one.high < one.desk else "not visibly apart"


def _shares(
    frame: pd.DataFrame, team: str, mine: Bools, keeps: pd.Series[Any]
) -> dict[str, float | None]:
    resolved = mine & (~frame["running"] | frame["reopened"]).to_numpy(dtype=bool)
    first = (frame["first_team"] == team).to_numpy(dtype=bool)
    asked = {
        "first_contact": frame["first_contact"][first],
        "reopened": frame["reopened"][resolved],
        "conformance": keeps[mine],
    }
    found: dict[str, float | None] = {}
    for name, column in asked.items():
        known = column.dropna().to_numpy(dtype=bool)
        one = share_of(int(known.sum()), len(known))
        found |= _three(name, one if len(known) >= SMALLEST_GROUP else None)
    return found


def _three(name: str, one: Estimate | None) -> dict[str, float | None]:
    if one is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None, f"{name}_n": None}
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high, f"{name}_n": one.n}


def _waits(mine: pd.DataFrame) -> dict[str, float | None]:
    """The share of waiting of all tickets of a team together, with limits from whole days."""
    nothing = dict.fromkeys(("waiting_share", "waiting_share_low", "waiting_share_high"))
    told = mine.dropna(subset=["working_h"])
    waits = (told["waiting_h"] + told["queue_h"]).to_numpy(dtype=np.float64)
    spent = waits + told["working_h"].to_numpy(dtype=np.float64)
    if len(told) < SMALLEST_GROUP or not spent.sum():
        return nothing
    days = bootstrap.cluster_codes(told["day"].to_numpy())
    parts, whole = np.bincount(days, waits), np.bincount(days, spent)
    found = nothing | {"waiting_share": float(parts.sum() / whole.sum())}
    if len(parts) < SMALLEST_GROUP:
        return found

    def share(drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # not by BLAS: the same sums on any machine; days without any time tell nothing
        with np.errstate(invalid="ignore"):
            return np.asarray((drawn * parts).sum(axis=1) / (drawn * whole).sum(axis=1))

    rng = np.random.default_rng(SEED)
    drawn = bootstrap.replicate(share, n=len(parts), clusters=None, replicates=REPLICATES, rng=rng)
    low, high = bootstrap.percentile_interval(drawn, confidence=CONFIDENCE, units=len(parts))
    limits = (max(low, 0.0), min(high, 1.0))
    return found | dict(zip(("waiting_share_low", "waiting_share_high"), limits, strict=True))


# --- what the audit tells besides


def _keeps(frame: pd.DataFrame, parts: list[PracticeAudit]) -> pd.Series[Any]:
    """Whether each ticket violates no rule; null where no rule was decided for it."""
    found: dict[str, bool] = {}
    for part in parts:
        verdicts = part.result.verdicts
        violates = (verdicts == Verdict.VIOLATES).any(axis=0)
        decided = violates | (verdicts == Verdict.CONFORMS).any(axis=0)
        ids = part.result.case_ids.to_pylist()
        found |= {ids[i]: not violates[i] for i in np.flatnonzero(decided)}
    return frame[s.CASE_ID].map(found).astype("boolean")


def _handed_on(parts: list[PracticeAudit], window: Span) -> dict[str, int]:
    """Count hand-overs away from each team on the tickets of the window."""
    found: dict[str, int] = {}
    for part in parts:
        log = part.translation.log
        opened, known = opened_of(log)
        inside = known & (opened >= window.start_us) & (opened < window.end_us)
        for team, _, n in handovers(log.select(inside), least_people=1).edges(data="n"):
            found[team] = found.get(team, 0) + int(n)
    return found


def _backlog(parts: list[PracticeAudit], window: Span) -> dict[str, int]:
    """Count the tickets of any age that were open with each team when the window ended."""
    found: dict[str, int] = {}
    for part in parts:
        log, arrays = part.translation.log, part.translation.log.arrays
        opened, known = opened_of(log)
        steps = ~np.isin(arrays.activity, [arrays.code_of(w) for w in part.practice.outside_model])
        final = segments.last(arrays, steps & (arrays.activity >= 0))
        over = part.translation.complete & (segments.take(arrays.at, final, fill=0) < window.end_us)
        still = known & (opened < window.end_us) & ~over
        last = segments.last(arrays, (arrays.team >= 0) & (arrays.at < window.end_us))
        codes = segments.take(arrays.team, last, fill=segments.NONE)[still]
        held = np.bincount(codes[codes >= 0], minlength=len(arrays.teams))
        for team, n in zip(arrays.teams, held.tolist(), strict=True):
            found[team] = found.get(team, 0) + n
    return found


def _limits(name: str) -> tuple[str, str, str, str]:
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


COLUMNS: Final = (
    *("team", "tickets", "median_h", "median_low_h", "median_high_h", "desk_h", "mix_covered"),
    *("compared", *_limits("first_contact"), "handed_on", *_limits("reopened")),
    *("waiting_share", "waiting_share_low", "waiting_share_high"),
    *(*_limits("conformance"), "backlog", "slow_share", "apart"),
)
