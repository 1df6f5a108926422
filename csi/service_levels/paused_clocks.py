"""Where on its clock does each pause lie?

`PausedClocks` joins the tables CLOCKS and PAUSES of `rules.service_level`: of the reigns of a cycle
the last one counts, with the pauses that its clock counts. A pause that the target itself
makes (`reopen = "pauses"`: from a stop to its Reopen) is no pause of anybody's: it is left out, but
for the place of those that follow it.

    used_us     open time used up when the pause begins; -1 where it is not known, because an OLA or
                UC may have been idle before (the clock was somebody else's)
    answer_us   when the customer first answered inside the pause, µs UTC; -1: not at all
    ran_on_us   open time for which the pause went on after that

Cost: O(n log n) in clocks and pauses, in columns; the calendar is asked once a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.clock import business_us
from rules.service_level.course import holders
from rules.service_level.targets import SLA, any_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.service_level import Target
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

CYCLE: Final = ("case_id", "agreement", "party", "metric", "cycle")
NEVER: Final = -1
_ROW: Final = "row"
_PLACE: Final = "place"


@dataclass(frozen=True, eq=False)
class PausedClocks:
    """Clocks that count in the end, and their pauses in order; `of` is each pause's clock.

    `rows` are the places of the clocks in the table that they were taken from.

    `clocks` and `pauses` are rows of CLOCKS and PAUSES; the arrays have one entry a pause. Clocks
    that are unknown are left out: nobody is accused by what may not be so.
    """

    desk: Desk
    rows: Ints
    clocks: pa.Table
    pauses: pa.Table
    of: Ints
    used_us: Ints
    answer_us: Ints
    ran_on_us: Ints

    @classmethod
    def joined(cls, desk: Desk, clocks: pa.Table, pauses: pa.Table) -> PausedClocks:
        """Join the two tables of a desk."""
        rows = _last_reigns(clocks)
        counting = clocks.take(rows)
        pauses, of = _of_clock(counting, pauses)
        used = _used(desk, counting, pauses, of)
        answer, ran_on = _answers(desk, counting, pauses, of)
        own = ~_by_policy(desk, counting, pauses, of)
        return cls(
            desk=desk,
            rows=rows,
            clocks=counting,
            pauses=pauses.filter(pa.array(own)),
            of=of[own],
            used_us=used[own],
            answer_us=answer[own],
            ran_on_us=ran_on[own],
        )

    @cached_property
    def open_us(self) -> Ints:
        """The open time that each pause took off its clock."""
        return ints(self.pauses["open_us"])

    @cached_property
    def limit_us(self) -> Ints:
        """The limit of each clock, 0 where there is none."""
        return ints(self.clocks["limit_us"])

    @cached_property
    def elapsed_us(self) -> Ints:
        """The elapsed time of each clock, 0 where it has not started."""
        return ints(self.clocks["elapsed_us"])

    @cached_property
    def met(self) -> Bools:
        """Which clocks were met."""
        return bools(pc.equal(self.clocks["status"], "met"))

    def paused(self, us: Ints) -> Ints:
        """Add up an amount of each pause by clock, never more than its clock was paused."""
        total = np.zeros(self.clocks.num_rows, np.int64)
        np.add.at(total, self.of, us)
        return np.minimum(total, ints(self.clocks["paused_us"]))

    def met_only_by(self, us: Ints) -> Bools:
        """Tell which clocks were met, and would not have been had these amounts counted."""
        return self.met & (self.elapsed_us + self.paused(us) > self.limit_us)


def ints(column: pa.ChunkedArray, *, fill: int = 0) -> Ints:
    """Return a column of numbers or times (µs) as int64."""
    whole = pc.fill_null(column.cast(pa.int64()), fill).combine_chunks()
    return np.asarray(whole.to_numpy(zero_copy_only=False), np.int64)


def bools(column: pa.ChunkedArray) -> Bools:
    """Return a column of yes and no; null is no."""
    whole = pc.fill_null(column, fill_value=False).combine_chunks()
    return np.asarray(whole.to_numpy(zero_copy_only=False), bool)


def _keyed(table: pa.Table, names: Sequence[str], place: str) -> pa.Table:
    """Return the key columns, null as an empty text, and the place of each row."""
    texts = {name: table[name] for name in names}
    filled = {
        name: pc.fill_null(column, "") if pa.types.is_string(column.type) else column
        for name, column in texts.items()
    }
    return pa.table(filled | {place: np.arange(table.num_rows)})


def _last_reigns(clocks: pa.Table) -> Ints:
    """The place of the last row of each cycle, in which the one that reigned last stands last."""
    last = _keyed(clocks, CYCLE, _ROW).group_by(CYCLE).aggregate([(_ROW, "max")])
    rows = np.sort(ints(last[f"{_ROW}_max"]))
    kept = pc.and_(clocks["target"].is_valid(), pc.not_equal(clocks["status"], "unknown"))
    return rows[bools(kept)[rows]]


def _of_clock(clocks: pa.Table, pauses: pa.Table) -> tuple[pa.Table, Ints]:
    """Find the clock of each pause; those of other reigns go, and what two reigns tell twice."""
    names = [*CYCLE, "target"]
    left, right = _keyed(pauses, names, _PLACE), _keyed(clocks, names, _ROW)
    found = left.join(right, names, join_type="inner", use_threads=False)
    place, of = ints(found[_PLACE]), ints(found[_ROW])
    begin, took = ints(pauses["begin_seq"])[place], ints(pauses["open_us"])[place]
    order = np.lexsort((-took, begin, of))
    place, of, begin = place[order], of[order], begin[order]
    first = np.ones(len(of), dtype=bool)
    first[1:] = (of[1:] != of[:-1]) | (begin[1:] != begin[:-1])
    return pauses.take(place[first]), of[first]


def _targets(desk: Desk, clocks: pa.Table) -> tuple[tuple[Target, ...], Ints]:
    """Return the targets of some clocks, and which one each has."""
    coded = clocks["target"].combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    return tuple(desk.service_levels.target(name) for name in names), ints(
        pa.chunked_array([coded.indices])
    )


def _open(desk: Desk, clocks: pa.Table, of: Ints, begin: Ints, end: Ints) -> Ints:
    """Return the open time between moments, in the calendar of the clock that each is about."""
    targets, index = _targets(desk, clocks)
    found = np.zeros(len(of), np.int64)
    for place, target in enumerate(targets):
        mine = index[of] == place
        calendar = desk.service_levels.calendar(target.calendar)
        found[mine] = business_us(begin[mine], end[mine], calendar)
    return found


def _used(desk: Desk, clocks: pa.Table, pauses: pa.Table, of: Ints) -> Ints:
    """Open time from the clock's start to the pause, without the pauses before it."""
    took, begin = ints(pauses["open_us"]), ints(pauses["begin"])
    before = np.cumsum(took) - took
    first = np.searchsorted(of, of)
    own = before - before[first] if len(of) else before
    used = _open(desk, clocks, of, ints(clocks["start"])[of], begin) - own
    return np.where(_never_idle(desk, clocks)[of], used, NEVER)


def _never_idle(desk: Desk, clocks: pa.Table) -> Bools:
    """Tell which clocks ran from start to stop but for their pauses, as far as can be told."""
    stopped = np.flatnonzero(bools(clocks["stop"].is_valid()) & bools(clocks["start"].is_valid()))
    start, stop = ints(clocks["start"]), ints(clocks["stop"])
    whole = _open(desk, clocks, stopped, start[stopped], stop[stopped])
    ran = ints(clocks["elapsed_us"]) + ints(clocks["paused_us"])
    known = bools(pc.equal(clocks["agreement"], SLA))
    known[stopped] |= whole == ran[stopped]
    return known


def _by_policy(desk: Desk, clocks: pa.Table, pauses: pa.Table, of: Ints) -> Bools:
    """Tell which pauses are from a stop to its Reopen, as the target says."""
    targets, index = _targets(desk, clocks)
    found = np.zeros(len(of), dtype=bool)
    for place, target in enumerate(targets):
        if target.reopen == "pauses":
            stops = pa.array([one.activity for one in target.stops], pa.string())
            found |= (index[of] == place) & bools(pc.is_in(pauses["cause"], value_set=stops))
    return found


def _answers(desk: Desk, clocks: pa.Table, pauses: pa.Table, of: Ints) -> tuple[Ints, Ints]:
    """When the customer first answered inside each pause, and how long it went on then."""
    none = np.full(len(of), NEVER, np.int64), np.zeros(len(of), np.int64)
    arrays = desk.log.arrays
    if not desk.service_levels.answered or not len(of):
        return none
    answers = np.flatnonzero(any_of(desk, desk.service_levels.answered, holders(desk)).sure)
    case = ints(pa.chunked_array([pc.index_in(pauses["case_id"], desk.log.cases[s.CASE_ID])]))
    # the events of a log are ordered by case and seq, so one number places each of them
    width = int(arrays.seq.max(initial=0)) + 2
    events = arrays.case_of * width + arrays.seq
    begin = np.searchsorted(events, case * width + ints(pauses["begin_seq"]), side="right")
    end = np.searchsorted(events, case * width + ints(pauses["end_seq"], fill=width - 1))
    place = np.append(answers, len(events))[np.searchsorted(answers, begin)]
    at = np.append(arrays.at, 0)[place]
    until = ints(pauses["end"], fill=np.iinfo(np.int64).max)
    inside = np.flatnonzero((place < end) & (at < until))
    answer, ran_on = none
    answer[inside] = at[inside]
    waited = _open(desk, clocks, of[inside], ints(pauses["begin"])[inside], at[inside])
    ran_on[inside] = ints(pauses["open_us"])[inside] - waited
    return answer, ran_on
