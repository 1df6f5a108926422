"""Are cases of one group slower, and in which state? Medians side by side, open cases censored.

Two kinds of times, in elapsed hours, one a case
- case time: from the first event to the last step, those `outside` the practice's model (a survey
  after the end) aside; of an open case up to the end of the log, and known to be at least so long;
- time in a state: from a step to the next one, all visits of the case together; the last step of an
  ended case starts no state, that of an open case is still running (censored).

Each is compared by the difference of the Kaplan-Meier medians, B - A (`csi.statistics.medians`).
The intervals hold together: with k of them, each has confidence 1 - 0.05 / k (Bonferroni 1936).
Verdicts, for a least change m of the median of A that matters: *differs* where the interval leaves
out 0 and the change is m or more (any, where the median of A is 0), *differs little* where it is
less; *no difference shown* where the interval holds 0 and lies within m of A's median; *too rare*
where a group has fewer than `smallest` cases with it; else *inconclusive*.

Order: the case time first, then states by their names. Empty for a log without times.

Not checked: whether the time lies in working hours; the clock of the two logs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.comparison_flow import LEVEL, Verdict
from csi.statistics.compare import Sample
from csi.statistics.medians import MedianDifference, difference_of_medians
from process_mining import schema as s
from process_mining.columnar.steps import steps_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from process_mining.columnar.steps import Steps
    from process_mining.eventlog import EventLog

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Given = tuple[EventLog, Bools, int]

HOURS: Final = "h"


@dataclass(frozen=True, eq=False)
class TimeDifference:
    """One kind of time in both groups; `activity` is None for the case time.

    `n_a`, `n_b` count cases, `open_a`, `open_b` those of them still running. `found` is None where
    the groups are too small.
    """

    activity: str | None
    n_a: int
    n_b: int
    open_a: int
    open_b: int
    found: MedianDifference | None
    verdict: Verdict


def compare_times(  # noqa: PLR0913 - what is compared, and what matters
    a: Given,
    b: Given,
    *,
    least: float,
    smallest: int,
    decidable: bool = True,
    outside: Collection[str] = (),
) -> tuple[TimeDifference, ...]:
    """Compare the times of two groups: each a log, which cases have ended, and its end in µs.

    Where they are not `decidable`, for a reason that lies outside them, no verdict is given.
    """
    if not a[0].timed or not b[0].timed:
        return ()
    left, right = _times(*a, outside), _times(*b, outside)
    names = [None, *sorted({*left, *right} - {None}, key=str)]
    pairs = [(name, left.get(name, _NOTHING), right.get(name, _NOTHING)) for name in names]
    judged = sum(_enough(x, y, smallest) for _, x, y in pairs)
    confidence = 1 - LEVEL / max(judged, 1)
    found = [
        _difference(name, x, y, confidence if _enough(x, y, smallest) else None, least)
        for name, x, y in pairs
    ]
    return tuple(one if decidable else _undecided(one) for one in found)


def _undecided(one: TimeDifference) -> TimeDifference:
    return one if one.found is None else replace(one, verdict=Verdict.INCONCLUSIVE)


def _enough(a: Sample, b: Sample, smallest: int) -> bool:
    return min(_n(a), _n(b)) >= smallest


def _n(side: Sample) -> int:
    return len(np.asarray(side.values))


def _difference(
    name: str | None, a: Sample, b: Sample, confidence: float | None, least: float
) -> TimeDifference:
    found = None if confidence is None else difference_of_medians(a, b, confidence=confidence)
    return TimeDifference(
        activity=name,
        n_a=_n(a),
        n_b=_n(b),
        open_a=int(np.asarray(a.censored).sum()),
        open_b=int(np.asarray(b.censored).sum()),
        found=found,
        verdict=Verdict.TOO_RARE if found is None else _verdict(found, least),
    )


def _verdict(found: MedianDifference, least: float) -> Verdict:
    low = -np.inf if found.low is None else found.low
    high = np.inf if found.high is None else found.high
    if found.value is None or found.a.value is None:
        return Verdict.INCONCLUSIVE
    matters = least * found.a.value
    if low > 0 or high < 0:
        return Verdict.DIFFERS if abs(found.value) >= matters else Verdict.LITTLE
    if -matters < low and high < matters:
        return Verdict.NONE
    return Verdict.INCONCLUSIVE


def _times(
    log: EventLog, complete: Bools, as_of_us: int, outside: Collection[str]
) -> dict[str | None, Sample]:
    steps, inside = steps_of(log), steps_of(log, leave_out=outside)
    found: dict[str | None, Sample] = {None: _case_times(log, inside, complete, as_of_us)}
    running = steps.last & ~complete[steps.case]
    kept = np.flatnonzero(~steps.last | running)
    following = np.append(steps.time[1:], as_of_us)
    until = np.where(running, as_of_us, following)[kept]
    spent = np.maximum(until - steps.time[kept], 0) / s.US_PER_HOUR
    for code, name in enumerate(steps.names):
        mine = steps.code[kept] == code
        if mine.any():
            cases, place = np.unique(steps.case[kept][mine], return_inverse=True)
            total = np.bincount(place, spent[mine], len(cases))
            still = np.bincount(place, running[kept][mine], len(cases)) > 0
            found[name] = Sample(total, HOURS, still)
    return found


def _case_times(log: EventLog, steps: Steps, complete: Bools, as_of_us: int) -> Sample:
    """From the first event to the last step (open: to the end of the log); cases with a step."""
    last = np.flatnonzero(steps.last)
    case = steps.case[last]
    begin = log.arrays.at[log.arrays.offsets[case]]
    end = np.where(complete[case], steps.time[last], as_of_us)
    return Sample((end - begin) / s.US_PER_HOUR, HOURS, ~complete[case])


_NOTHING: Final = Sample((), HOURS, ())
