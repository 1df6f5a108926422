"""What does an audit tell the KPIs about each case? From verdicts and times to `csi.evidence`.

Moments of a case (null where they have not come): opened (the case table's, else the first event),
first response (the first step that stops a response clock), root cause (Identify root cause),
resolved (the last Resolve or Fulfil, unless work went on after it), closed (the last step of an
ended case), reopened (the first step of work after a resolution, whether or not the tool records a
Reopen; a review and news of it are no work). The team of a case is the one that had it when it was
resolved; of others the one that had it last. Who only closes tickets did not solve them.

A moment is untold where the vocabulary has no word for any of the steps that make it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from csi.evidence import AGREEMENT, BY_PAUSING, CLOCK_COLUMNS, PRACTICE, Evidence
from csi.kpi_samples import MET
from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.privacy import people_of_teams
from rules.service_level import STOPS

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from csi.audit import Audit, PracticeAudit
    from process_mining.eventlog import EventArrays, EventLog, Ints

RESOLVE: Final = (*STOPS["resolve"], *STOPS["fulfil"])
ROOT_CAUSE: Final = "Identify root cause"
AFTERCARE: Final = ("Review", "Inform stakeholders")


def evidence_of(audit: Audit) -> Evidence:
    """Return what the KPIs read, for all practices of the audit."""
    surveys = None if audit.feedback is None else audit.feedback.responses.to_pandas()
    parts = [_part(part, audit.as_of_us) for part in audit.practices]
    joined = Evidence.join(parts)
    return Evidence(
        cases=joined.cases,
        as_of_us=joined.as_of_us,
        verdicts=joined.verdicts,
        clocks=joined.clocks,
        surveys=surveys,
        steps=joined.steps,
        untold=joined.untold,
        people=people_of_teams(audit.log),
    )


def _part(part: PracticeAudit, as_of_us: int) -> Evidence:
    log, result, practice = part.translation.log, part.result, part.practice
    words = log.cases.select([s.CASE_ID, s.PRIORITY, s.CATEGORY, s.SERVICE]).to_pandas()
    kind = {"case_type": practice.case_type, PRACTICE: practice.name}
    return Evidence(
        cases=words.assign(**kind, **_columns(part)),
        as_of_us=as_of_us,
        verdicts={r.code: result.verdicts[i] for i, r in enumerate(result.rules)},
        clocks=_clocks(part),
        steps=_steps(part),
        untold={practice.case_type: _untold(part)},
    )


def _clocks(part: PracticeAudit) -> pd.DataFrame:
    """Met by pausing alone: elapsed and paused time together are over the limit."""
    clocks = part.clocks
    ran = pc.add(clocks["elapsed_us"], clocks["paused_us"])
    over = pc.fill_null(pc.greater(ran, clocks["limit_us"]), fill_value=False)
    by_pausing = pc.and_(over, pc.equal(clocks["status"], MET))
    columns = [*CLOCK_COLUMNS, AGREEMENT]
    table: pd.DataFrame = clocks.select(columns).append_column(BY_PAUSING, by_pausing).to_pandas()
    return table


def _steps(part: PracticeAudit) -> pd.DataFrame:
    """When each case first did each thing; steps beside the model are steps too."""
    log = part.translation.log
    arrays = log.arrays
    named = np.flatnonzero(arrays.activity >= 0)
    words = len(arrays.activities)
    key = arrays.case_of[named].astype(np.int64) * words + arrays.activity[named]
    seen, place = np.unique(key, return_index=True)  # events stand in order, so this is the first
    ids, names = log.cases[s.CASE_ID].to_pandas(), pd.Index(arrays.activities, dtype=object)
    return pd.DataFrame(
        {
            "case_id": ids.take(seen // words).to_numpy(),
            "activity": names.take(seen % words),
            "first_us": segments.take(arrays.at, named[place], fill=0),
        }
    )


def _untold(part: PracticeAudit) -> frozenset[str]:
    practice = part.practice
    hidden = set(part.translation.unobserved)
    told = practice.words - hidden
    makes = {
        "first_response": STOPS["respond"],
        "root_cause": (ROOT_CAUSE,),
        "resolved": RESOLVE,
        "reopened": RESOLVE,
        "closed": practice.ends,
    }
    return frozenset(hidden | {name for name, words in makes.items() if not told & set(words)})


def holding_team(log: EventLog, resolved: Ints) -> Ints:
    """Return where the team is named that had each case when it was resolved, or has it last.

    `resolved`: the position of each case's resolution, NONE where there is none.
    """
    arrays = log.arrays
    named = arrays.team >= 0
    before = segments.previous_position(arrays, named)
    then = np.where(named, np.arange(log.n_events), before)
    held: Ints = np.where(
        resolved == segments.NONE,
        segments.last(arrays, named),
        segments.take(then, resolved, fill=segments.NONE),
    )
    return held


def _columns(part: PracticeAudit) -> dict[str, pd.Series | npt.NDArray[np.generic]]:
    log, practice = part.translation.log, part.practice
    arrays = log.arrays
    everything = np.ones(len(arrays.at), dtype=bool)
    inside = (arrays.activity >= 0) & ~_is(arrays, practice.outside_model)
    resolving = inside & _is(arrays, RESOLVE)
    ending = inside & _is(arrays, practice.ends)
    work = inside & ~resolving & ~ending & ~_is(arrays, AFTERCARE)
    after = work & (segments.count_before(arrays, resolving) > 0)
    resolved = segments.last(arrays, resolving)
    open_again = segments.last(arrays, work) > resolved
    closed = np.where(part.translation.complete, segments.last(arrays, inside), segments.NONE)
    responding = inside & _is(arrays, STOPS["respond"])
    team = segments.take(arrays.team, holding_team(log, resolved), fill=segments.NONE)
    opened = log.cases[s.OPENED].to_pandas().astype("Int64")
    return {
        "opened_us": opened.fillna(_times(arrays, segments.first(arrays, everything))),
        "first_response_us": _times(arrays, segments.first(arrays, responding)),
        "root_cause_us": _times(arrays, segments.first(arrays, _is(arrays, (ROOT_CAUSE,)))),
        "resolved_us": _times(arrays, np.where(open_again, segments.NONE, resolved)),
        "closed_us": _times(arrays, closed),
        "reopened_us": _times(arrays, segments.first(arrays, after)),
        "handovers": segments.count(arrays, segments.changes(arrays, arrays.team)),
        "team": pd.Series(np.array([*arrays.teams, None], dtype=object)[team]),
    }


def _is(arrays: EventArrays, words: Collection[str]) -> npt.NDArray[np.bool_]:
    codes = np.array([arrays.code_of(word) for word in sorted(words)], dtype=np.int64)
    return np.isin(arrays.activity, codes)


def _times(arrays: EventArrays, positions: Ints) -> pd.Series:
    at = segments.take(arrays.at, positions, fill=0)
    return pd.Series(at, dtype="Int64").mask(positions == segments.NONE)
