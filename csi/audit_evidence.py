"""What does an audit tell the KPIs about each case? From verdicts and times to `csi.evidence`.

Moments of a case (null where they have not come): opened (the case table's, else the first event),
first response (the first step that stops a response clock), root cause (Identify root cause),
resolved (the last Resolve, unless work went on after it), closed (the last step of an ended case),
reopened (the first step of work after a Resolve, whether or not the tool records a Reopen).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from csi.evidence import Evidence
from process_mining import schema as s
from process_mining.columnar import segments
from rules.service_level import STOPS

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from csi.audit import Audit, PracticeAudit
    from process_mining.eventlog import EventArrays, Ints

RESOLVE = "Resolve"
ROOT_CAUSE = "Identify root cause"


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
    )


def _part(part: PracticeAudit, as_of_us: int) -> Evidence:
    log, result = part.translation.log, part.result
    promised = part.clocks.filter(pc.equal(part.clocks["agreement"], "SLA"))
    words = log.cases.select([s.CASE_ID, s.PRIORITY, s.CATEGORY, s.SERVICE]).to_pandas()
    return Evidence(
        cases=words.assign(case_type=part.practice.case_type, **_columns(part)),
        as_of_us=as_of_us,
        verdicts={r.code: result.verdicts[i] for i, r in enumerate(result.rules)},
        clocks=promised.select(["case_id", "metric", "status"]).to_pandas(),
    )


def _columns(part: PracticeAudit) -> dict[str, pd.Series | npt.NDArray[np.generic]]:
    log, practice = part.translation.log, part.practice
    arrays = log.arrays
    everything = np.ones(len(arrays.at), dtype=bool)
    inside = (arrays.activity >= 0) & ~_is(arrays, practice.outside_model)
    resolving = inside & _is(arrays, (RESOLVE,))
    ending = inside & _is(arrays, practice.ends)
    work = inside & ~resolving & ~ending
    after = work & (segments.count_before(arrays, resolving) > 0)
    resolved = segments.last(arrays, resolving)
    open_again = segments.last(arrays, work) > resolved
    closed = np.where(part.translation.complete, segments.last(arrays, inside), segments.NONE)
    responding = inside & _is(arrays, STOPS["respond"])
    team = segments.take(arrays.team, segments.last(arrays, arrays.team >= 0), fill=segments.NONE)
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
