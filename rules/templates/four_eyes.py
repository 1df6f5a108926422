"""Is the second activity done by someone who has not done the first in this case?

The four-eyes principle, a history-based separation of duty per case (Botha & Eloff 2001): nobody
who did `first` earlier in the case may do `second` later. Where several people did `first`, each
of them is barred; who only does `first` after somebody's `second` (a case that was reopened) is
barred from then on.

State-based tools write a row for each change of a field. An update (a row that is no step) while
the case is in the state `first` (its last step before the update is `first`) is work of that kind:
whoever writes it has done `first` too. Updates in the state `second` are no further `second`.

A `second` by a barred actor is final. Where an actor is missing and no barred one is found, the
case is unknown: it cannot be told that four eyes looked. Vacuous where no `second` follows a
`first`.

Not checked: that two names are two people, delegation, whether the second really reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, CONFORMITY, Activity, Desk, TemplateParams

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import EventArrays, Ints
    from rules.spec import DecisionTable

    Mask = npt.NDArray[np.bool_]

FORMULA = "for every actor p: G ((first | (update & state = first)) by p -> !F (second by p))"
ONE = Interval(1, 1)
HINGES = {ORDER: CLAIMS, START: CONFORMITY, MIDDLE: CONFORMITY, END: CONFORMITY, "actor": ()}


class Params(TemplateParams):
    """Nobody does `second` who did `first` before."""

    first: Activity
    second: Activity

    @model_validator(mode="after")
    def _two_activities(self) -> Params:
        if self.first == self.second:
            msg = "first and second are the same activity"
            raise ValueError(msg)
        return self


def measure(desk: Desk, params: Params) -> Measure:
    """Look for the same actor earlier; the first `second` by a barred actor decides."""
    arrays = desk.log.arrays
    first, second = _doing(desk, params.first), desk.mask(params.second)
    after = second & (segments.count_before(arrays, first) > 0)
    own = _earlier_by_same_actor(arrays, first, second)
    same = after & (own != segments.NONE)
    nameless = segments.count_before(arrays, first & (arrays.actor < 0)) > 0
    unsure = after & ~same & (nameless | (arrays.actor < 0))
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
        unit="times by the same person",
        cause=f"no actor is named for '{params.first}' or '{params.second}'",
    )


def _doing(desk: Desk, activity: str) -> Mask:
    """Tell for each event whether it is a step of the activity, or an update in its state."""
    arrays = desk.log.arrays
    step = arrays.activity >= 0
    state = segments.take(
        arrays.activity, segments.previous_position(arrays, step), fill=segments.NONE
    )
    updates = ~step & (state >= 0) & (state == arrays.code_of(activity))
    return np.asarray(desk.mask(activity) | updates)


def _earlier_by_same_actor(arrays: EventArrays, first: Mask, second: Mask) -> Ints:
    """Per event marked `second`: the first event marked `first` by its actor earlier in its case.

    O(n log n) in the marked events: (case, actor) pairs are sorted to be looked up.
    """
    pair = arrays.case_of * (len(arrays.actors) + 1) + arrays.actor
    did = np.flatnonzero(first & (arrays.actor >= 0))
    asks = np.flatnonzero(second & (arrays.actor >= 0))
    found = np.full(len(first), segments.NONE, dtype=np.int64)
    if not len(did):
        return found
    pairs, index = np.unique(pair[did], return_index=True)
    slot = np.minimum(np.searchsorted(pairs, pair[asks]), len(pairs) - 1)
    earliest = did[index[slot]]
    matches = (pairs[slot] == pair[asks]) & (earliest < asks)
    found[asks[matches]] = earliest[matches]
    return found


def decide(_: Params) -> DecisionTable:
    """A barred actor violates for good; then what is unsure, then what may still come."""
    clear = {"same": ZERO, "unsure": ZERO}
    return (
        Row(Verdict.VIOLATES, {"same": POSITIVE}),
        Row(Verdict.UNKNOWN, {"same": ZERO, "unsure": POSITIVE}),
        Row(Verdict.PENDING, clear | {"complete": ZERO}),
        Row(Verdict.CONFORMS, clear | {"complete": ONE, "count": POSITIVE}),
        Row(Verdict.VACUOUS, clear | {"complete": ONE, "count": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"'{params.second}' is done by someone who has not done '{params.first}' before."
