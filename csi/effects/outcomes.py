"""How did each ticket come out: how long, in time or not, reopened or not, how satisfied?

Four outcomes, read from `csi.evidence`, one entry a row of its cases:

    time to resolve   hours from opening to the last resolution. Tickets that are not resolved are
                      censored where they ended (cancelled) or at the end of the log. Kinds of
                      tickets that are never resolved (changes) are done when they are closed.
    breached clock    whether a promise to customers on resolution or fulfilment was broken, among
                      tickets with one met or broken
    reopening         whether work went on after a resolution, among tickets that were resolved, of
                      kinds of which the log can tell
    satisfaction      the score of the ticket's survey (the mean of several), among those answered

`groups_of`: what alike tickets share. The team is the last one that the ticket names. `weeks_of`:
Monday 00:00 UTC to Monday, the clusters. `just_before`: the ticket of the same kind, priority,
category and team that was opened last before, at most `NEAR_DAYS` earlier.

Cost: O(n log n). Not checked: whether a survey's scale is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from csi.evidence import AGREEMENT, OPENED, to_us
from csi.kpi_kinds import BREACHED, MET
from csi.statistics.adjusted import ODDS, POINTS, TIMES
from csi.statistics.alike import NOT_GIVEN
from csi.statistics.bootstrap import cluster_codes
from process_mining import schema as s

if TYPE_CHECKING:
    from csi.evidence import Evidence
    from csi.statistics.bootstrap import Bools, Floats, Ints

TIME: Final = "time to resolve"
BREACH: Final = "breached clock"
REOPENING: Final = "reopening"
SATISFACTION: Final = "satisfaction"
OUTCOMES: Final = (TIME, BREACH, REOPENING, SATISFACTION)
UNITS: Final = {TIME: TIMES, BREACH: ODDS, REOPENING: ODDS, SATISFACTION: POINTS}
ALIKE: Final = ("priority", "category", "team")
MONTH: Final = "month"
THURSDAY: Final = 3  # 1970-01-01
WEEK: Final = 7
NEAR_DAYS: Final = 7
CLOCKS: Final = ("resolve", "fulfil")
TO_CUSTOMERS: Final = "SLA"


@dataclass(frozen=True, eq=False)
class Observed:
    """One outcome: of which rows of the cases it is known, each value, which are censored."""

    known: Bools
    each: Floats
    censored: Bools

    def of(self, rows: Ints) -> Observed:
        """Return the outcome of other rows, in their order."""
        return Observed(self.known[rows], self.each[rows], self.censored[rows])


def observed(evidence: Evidence) -> dict[str, Observed]:
    """Return every outcome by its name."""
    return {
        TIME: _times(evidence),
        BREACH: _breaches(evidence),
        REOPENING: _reopenings(evidence),
        SATISFACTION: _scores(evidence),
    }


def _times(evidence: Evidence) -> Observed:
    opened, resolved, closed = (
        _column(evidence, name) for name in (OPENED, "resolved_us", "closed_us")
    )
    kinds = evidence.cases["case_type"].astype(str).to_numpy()
    ever = set(kinds[~np.isnan(resolved)])
    done = np.where(np.isin(kinds, sorted(ever)), resolved, closed)
    last_seen = np.where(np.isnan(closed), float(evidence.as_of_us), closed)
    until = np.where(np.isnan(done), last_seen, done)
    hours = (until - opened) / s.US_PER_HOUR
    known = np.isfinite(hours) & (hours >= 0)
    return Observed(known, np.where(known, hours, 0.0), np.isnan(done))


def _breaches(evidence: Evidence) -> Observed:
    found = np.full(len(evidence.cases), np.nan)
    if evidence.clocks is not None:
        mine = evidence.clocks[evidence.clocks["metric"].isin(CLOCKS)]
        if AGREEMENT in mine.columns:
            mine = mine[mine[AGREEMENT] == TO_CUSTOMERS]
        place = _places(evidence, mine["case_id"])
        for status, value in ((MET, 0.0), (BREACHED, 1.0)):  # one broken clock of several counts
            found[place[(mine["status"] == status).to_numpy() & (place >= 0)]] = value
    return _plain(found)


def _reopenings(evidence: Evidence) -> Observed:
    again = ~np.isnan(_column(evidence, "reopened_us"))
    asked = again | ~np.isnan(_column(evidence, "resolved_us"))
    kinds = evidence.cases["case_type"].astype(str).to_numpy()
    hidden = sorted(kind for kind, names in evidence.untold.items() if "reopened" in names)
    return _plain(np.where(asked & ~np.isin(kinds, hidden), again, np.nan))


def _scores(evidence: Evidence) -> Observed:
    n = len(evidence.cases)
    if evidence.surveys is None:
        return _plain(np.full(n, np.nan))
    surveys = evidence.surveys
    score = surveys["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    place = _places(evidence, surveys["ticket"])
    answered = to_us(surveys["answered_at"], "answered_at") <= evidence.as_of_us
    given = ~np.isnan(score) & (place >= 0) & answered
    total = np.bincount(place[given], score[given], minlength=n)
    count = np.bincount(place[given], minlength=n)
    return _plain(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _plain(values: Floats) -> Observed:
    known = ~np.isnan(values)
    return Observed(known, np.where(known, values, 0.0), np.zeros(len(values), dtype=bool))


def groups_of(evidence: Evidence) -> dict[str, Ints]:
    """Return what alike tickets share: priority, category, team, month of opening, as codes."""
    found = {name: _coded(evidence.cases[name]) for name in ALIKE}
    opened = pd.to_datetime(evidence.cases[OPENED].astype("Int64"), unit="us")
    return {**found, MONTH: _coded(opened.dt.strftime("%Y-%m"))}


def weeks_of(evidence: Evidence) -> Ints:
    """Return the week of opening, Monday 00:00 UTC to Monday, as a running number."""
    return np.asarray((days_of(evidence) + THURSDAY) // WEEK)


def days_of(evidence: Evidence) -> Ints:
    """Return the UTC day of opening, as a running number."""
    return np.asarray(_opened(evidence) // s.US_PER_DAY)


def just_before(evidence: Evidence) -> tuple[Ints, Ints]:
    """Return pairs of rows: a ticket, and the alike one opened last before it."""
    cases, opened = evidence.cases, _opened(evidence)
    cell = np.zeros(len(cases), dtype=np.int64)
    for name in ("case_type", *ALIKE):
        code = _coded(cases[name])
        cell = cluster_codes(cell * (int(code.max(initial=0)) + 1) + code)
    order = np.lexsort((cases["case_id"].astype(str).to_numpy(), opened, cell))
    earlier, later = order[:-1], order[1:]
    gap = opened[later] - opened[earlier]
    near = (cell[later] == cell[earlier]) & (gap <= NEAR_DAYS * s.US_PER_DAY)
    return later[near], earlier[near]


def _opened(evidence: Evidence) -> Ints:
    """When each was opened; 0 where it is not known, and such tickets are not asked."""
    return np.asarray(evidence.cases[OPENED].fillna(0).to_numpy(dtype=np.int64))


def _column(evidence: Evidence, name: str) -> Floats:
    """Whole µs below 2**53 are exact in float64; null, and what came after the log, is NaN."""
    at = evidence.cases[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(at <= evidence.as_of_us, at, np.nan)


def _places(evidence: Evidence, ids: pd.Series) -> Ints:
    return np.asarray(pd.Index(evidence.cases["case_id"]).get_indexer(ids), dtype=np.int64)


def _coded(column: pd.Series) -> Ints:
    """Codes in the order of the words; what is not given is a word."""
    words = column.astype(object).where(column.notna(), NOT_GIVEN).astype(str)
    return cluster_codes(words.to_numpy(dtype=str))
