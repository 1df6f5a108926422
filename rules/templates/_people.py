"""Who did an activity again, in one case, though they had done another before?

Shared by `four_eyes` (people) and `different_team` (teams). Whoever is at work on `first` in a case
is barred from doing `second` later in it. At work on `first` is who does a step of it, and who
writes an update while the case is in the state `first` (its last step before the update is
`first`): tools that record states write a row for each change of a field. Updates in the state
`second` are no further `second`.

Cost: O(n log n) in the marked events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from process_mining.columnar import segments
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Codes, EventArrays
    from process_mining.eventlog import Ints as Positions
    from rules.spec import DecisionTable
    from rules.templates import Desk

    Mask = npt.NDArray[np.bool_]


def by_the_same(desk: Desk, first: str, second: str, who: Codes, *, noun: str) -> Measure:
    """Look for the same doer earlier; the first `second` by a barred one decides.

    `who` holds a code an event, below 0 where none is named; `noun` is what it names.
    """
    arrays = desk.log.arrays
    at_work, does = _at_work(desk, first), desk.judged(desk.mask(second))
    after = does & (segments.count_before(arrays, at_work) > 0)
    own = _earlier_by_same(arrays, at_work, does, who)
    same = after & (own != segments.NONE)
    nameless = segments.count_before(arrays, at_work & (who < 0)) > 0
    unsure = after & ~same & (nameless | (who < 0))
    decisive = segments.first(arrays, same)
    n_same = segments.count(arrays, same)
    return Measure(
        facts={
            "same": n_same,
            "unsure": segments.count(arrays, unsure),
            "count": segments.count(arrays, after),
            "complete": desk.complete.astype(np.int64),
        },
        events=(segments.take(own, decisive, fill=segments.NONE), decisive),
        measured=n_same,
        limit=np.zeros_like(n_same),
        unit=f"times by the same {noun}",
        cause=f"no {noun} is named for '{first}' or '{second}'",
        judged=does,
    )


def _at_work(desk: Desk, activity: str) -> Mask:
    """Tell for each event whether it is a step of the activity, or an update in its state."""
    arrays = desk.log.arrays
    step = arrays.activity >= 0
    state = segments.take(
        arrays.activity, segments.previous_position(arrays, step), fill=segments.NONE
    )
    updates = ~step & (state >= 0) & (state == arrays.code_of(activity))
    return np.asarray(desk.mask(activity) | updates)


def _earlier_by_same(arrays: EventArrays, first: Mask, second: Mask, who: Codes) -> Positions:
    """Per event marked `second`: the first event marked `first` by its doer earlier in its case.

    (case, doer) pairs are sorted to be looked up.
    """
    pair = arrays.case_of * (int(who.max(initial=0)) + 1) + who
    did = np.flatnonzero(first & (who >= 0))
    asks = np.flatnonzero(second & (who >= 0))
    found = np.full(len(first), segments.NONE, dtype=np.int64)
    if not len(did):
        return found
    pairs, index = np.unique(pair[did], return_index=True)
    slot = np.minimum(np.searchsorted(pairs, pair[asks]), len(pairs) - 1)
    earliest = did[index[slot]]
    matches = (pairs[slot] == pair[asks]) & (earliest < asks)
    found[asks[matches]] = earliest[matches]
    return found


def barred() -> DecisionTable:
    """A barred doer violates for good; then what is unsure, then what may still come."""
    clear = {"same": ZERO, "unsure": ZERO}
    return (
        Row(Verdict.VIOLATES, {"same": POSITIVE}),
        Row(Verdict.UNKNOWN, {"same": ZERO, "unsure": POSITIVE}),
        Row(Verdict.PENDING, clear | {"complete": ZERO}),
        Row(Verdict.CONFORMS, clear | {"complete": POSITIVE, "count": POSITIVE}),
        Row(Verdict.VACUOUS, clear | {"complete": POSITIVE, "count": ZERO}),
    )
