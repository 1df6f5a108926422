"""Where did the time of each broken promise go?

The counted open time of a breached clock (its `elapsed_us`: open time of the target's calendar
without pauses, and for an OLA or contract without what others took) is split among PARTS by what
the case was doing. The practice's file says what the time from a step of each activity to the next
step is (`time_in` of `rules.practice`); updates and steps outside the model change nothing.

    customer    it waited for the customer, and the clock ran
    others      it waited for a supplier, an approval, a problem, evidence
    hand_over   from a step that hands it over (Escalate), or from a change of team, until the new
                team takes it up: its next step of work or wait, or in a state of work the next
                update in its name. Work and queues in between are hand-over; waits stay waits
    queue       nobody had begun, or it lies with a team that has put it back
    work        a state of work: an upper limit of work, for a state says that it may be worked on
    done        it counted as done: from a solution to the Reopen that says it was none
    unknown     a step that the practice's file says nothing about, such as an unmapped word

The first change of team, before anybody has begun, is the dispatch and no hand-over: until somebody
begins the case is in a queue. The team of an event without one is the last one named.

The parts of a clock add up to its elapsed time, in whole µs. Its cause is the greatest part; of
equal ones the first of PARTS. `paused_us` stands beside them: time that did not count. A case with
two broken promises, or under two targets in turn, is in two rows, and the same hour in both.

What it does not say: whose fault it was. Work can be slow because its queue is full, and a source
that records no wait shows it as work. Error: SL266 for clocks that are not of this desk.
Cost: O(events of the cases with a breach) a target, in columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.service_levels.paused_clocks import ints
from process_mining import schema as s
from process_mining.clock import business_us
from process_mining.columnar import segments
from process_mining.columnar.segments import NONE
from process_mining.errors import RunError
from rules.service_level.course import course_of, holders
from rules.service_level.targets import OLA
from rules.spec import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from process_mining.eventlog import Ints
    from rules.practice import Practice
    from rules.service_level import Target
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

PARTS: Final = ("customer", "others", "hand_over", "queue", "work", "done", "unknown")
WORDS: Final = {
    "customer": "waiting for the customer",
    "others": "waiting for others",
    "hand_over": "hand-over",
    "queue": "queue",
    "work": "work",
    "done": "taken as done",
    "unknown": "not known",
}
_CUSTOMER, _OTHERS, _HAND_OVER, _QUEUE, _WORK, _DONE, _UNKNOWN = range(len(PARTS))
_TAKES_UP: Final = (_CUSTOMER, _OTHERS, _WORK, _DONE)
_IS_HANDED_OVER: Final = (_HAND_OVER, _QUEUE, _WORK)
METHOD: Final = "share of the breached clocks of a target, Wilson score interval, 95 %"

_CLOCK: Final = (
    *("case_id", "agreement", "party", "target", "metric", "cycle", "priority", "service"),
    *("customer", "team", "start", "due", "breached_at", "stop", "limit_us", "elapsed_us"),
)
BREACHES: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("priority", pa.string()),
        ("service", pa.string()),
        ("customer", pa.string()),
        ("team", pa.string()),
        ("start", s.UTC_US),
        ("due", s.UTC_US),
        ("breached_at", s.UTC_US),
        ("stop", s.UTC_US),
        ("still_open", pa.bool_()),
        ("limit_us", pa.int64()),
        ("elapsed_us", pa.int64()),
        ("over_us", pa.int64()),
        ("cause", pa.string()),
        *((f"{part}_us", pa.int64()) for part in PARTS),
        ("paused_us", pa.int64()),
        ("start_seq", pa.int64()),
        ("stop_seq", pa.int64()),
    ]
)
CAUSES: Final = pa.schema(
    [
        ("target", pa.string()),
        ("agreement", pa.string()),
        ("metric", pa.string()),
        ("cause", pa.string()),
        ("n", pa.int64()),
        ("breaches", pa.int64()),
        ("share", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("us", pa.int64()),
        ("share_of_time", pa.float64()),
    ]
)


@dataclass(frozen=True, eq=False)
class Causes:
    """The breached clocks, one row each (BREACHES), the worst first.

    Worst is the greatest `over_us` as a share of the limit; equal ones are by case, agreement,
    party, target, cycle and start. `still_open` clocks run yet, or are paused; one without a stop
    that is not open ended with its case, or gave way to another target.

    `by_target` (CAUSES) has a row for each target and part: n of its `breaches` have it as their
    cause (METHOD), and `us` is the time that all of them together spent so.
    """

    breaches: pa.Table

    def __post_init__(self) -> None:
        """Put the worst first, of several desks too."""
        object.__setattr__(self, "breaches", _worst_first(self.breaches))

    @property
    def by_target(self) -> pa.Table:
        """Sum up by target; parts in the order of PARTS, those without any time left out."""
        return pa.Table.from_pylist(list(_by_target(self.breaches)), schema=CAUSES)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a breached clock."""
        frame: pd.DataFrame = self.breaches.to_pandas()
        return frame


def breach_causes(desk: Desk, clocks: pa.Table, practice: Practice) -> Causes:
    """Split the time of each breached clock of a desk among PARTS.

    `clocks` are rows of CLOCKS of that desk, `practice` the one in whose words it speaks. Raises
    RunError SL266 where a clock is not of the desk, or the desk was changed since.
    """
    breached = clocks.filter(pc.equal(clocks["status"], "breached")).combine_chunks()
    parts = _Split(desk, practice.time_in).parts(breached)
    elapsed = ints(breached["elapsed_us"])
    if not np.array_equal(parts.sum(axis=1), elapsed):
        n = int((parts.sum(axis=1) != elapsed).sum())
        msg = f"{n} of {len(elapsed)} breached clocks are not those of this desk"
        raise RunError("SL266", msg, fix="Run the clocks again on the same desk and targets")
    said = {name: breached[name] for name in (*_CLOCK, "paused_us", "start_seq", "stop_seq")} | {
        "over_us": elapsed - ints(breached["limit_us"]),
        "still_open": breached["remaining_us"].is_valid(),  # what has ended has no time left
        "cause": pa.array(PARTS, pa.string()).take(pa.array(parts.argmax(axis=1))),
        **{f"{part}_us": parts[:, place] for place, part in enumerate(PARTS)},
    }
    return Causes(pa.table(said, schema=BREACHES))


def _worst_first(breaches: pa.Table) -> pa.Table:
    over = pc.divide(breaches["over_us"].cast(pa.float64()), breaches["limit_us"])
    names = ("case_id", "agreement", "party", "target", "cycle", "start")
    keys = [("over", "descending"), *((name, "ascending") for name in names)]
    order = pc.sort_indices(breaches.append_column("over", over), sort_keys=keys)
    return breaches.take(order).combine_chunks()


def time_in_events(desk: Desk, time_in: Mapping[str, str]) -> Ints:
    """Return for each event a place in PARTS: what the case does from it to its next event."""
    arrays, steps = desk.log.arrays, desk.steps
    of_word = [PARTS.index(time_in.get(word, "unknown")) for word in arrays.activities]
    of_event = np.array([*of_word, _UNKNOWN])[arrays.activity]
    step = _latest(desk, steps)
    state = segments.take(of_event, step, fill=_QUEUE)
    changed, dispatched = _changes_of_team(desk)
    takes_up = steps & np.isin(state, _TAKES_UP)
    takes_up |= ~steps & (arrays.team >= 0) & ~changed & (state == _WORK)
    begun = _latest(desk, takes_up) != NONE
    handed = (changed & (begun | ~dispatched)) | (steps & (state == _HAND_OVER))
    waiting = _latest(desk, handed & ~takes_up) > _latest(desk, takes_up)
    return np.where(waiting & np.isin(state, _IS_HANDED_OVER), _HAND_OVER, state)


def _latest(desk: Desk, mask: Bools) -> Ints:
    """Per event: the position of the last marked one of its case up to it."""
    before = segments.previous_position(desk.log.arrays, mask)
    return np.where(mask, np.arange(len(mask)), before)


def _changes_of_team(desk: Desk) -> tuple[Bools, Bools]:
    """Tell at which events a case goes from one team to another, and which change is its first."""
    arrays, holder = desk.log.arrays, holders(desk)
    changed = np.zeros(len(holder), dtype=bool)
    same_case = arrays.case_of[1:] == arrays.case_of[:-1]
    changed[1:] = same_case & (holder[:-1] >= 0) & (holder[1:] != holder[:-1])
    first = changed & (segments.previous_position(arrays, changed) == NONE)
    return changed, first


class _Split:
    """The time of clocks of one desk, by what its cases did."""

    def __init__(self, desk: Desk, time_in: Mapping[str, str]) -> None:
        self.desk, self.arrays = desk, desk.log.arrays
        self.doing = time_in_events(desk, time_in)
        self.holder = holders(desk)
        self.held: dict[tuple[object, ...], Bools] = {}

    def parts(self, clocks: pa.Table) -> Ints:
        """Return one row a clock, one column for each of PARTS, in µs."""
        found = np.zeros((clocks.num_rows, len(PARTS)), np.int64)
        ids = self.desk.log.cases[s.CASE_ID].combine_chunks()
        case = pc.index_in(clocks["case_id"], value_set=ids).fill_null(NONE).to_numpy()
        start, elapsed = ints(clocks["start"]), ints(clocks["elapsed_us"])
        for target, rows in self._by_target(clocks):
            mine = rows[case[rows] != NONE]
            found[mine] = self._of(target, case[mine], start[mine], elapsed[mine])
        return found

    def _by_target(self, clocks: pa.Table) -> Iterator[tuple[Target, Ints]]:
        """Yield each target, an OLA with the team that it is about, and its rows."""
        keys = clocks.select(["target", "party"]).append_column("row", pa.array(range(len(clocks))))
        for group in keys.group_by(["target", "party"]).aggregate([("row", "list")]).to_pylist():
            target = self.desk.service_levels.target(group["target"])
            if target.agreement == OLA:
                target = replace(target, team=group["party"])
            yield target, np.array(group["row_list"], np.int64)

    def _of(self, target: Target, case: Ints, start: Ints, elapsed: Ints) -> Ints:
        """Split the time of the clocks of one target."""
        arrays, calendar = self.arrays, self.desk.service_levels.calendar(target.calendar)
        low, size = arrays.offsets[case], np.diff(arrays.offsets)[case]
        row = np.repeat(np.arange(len(case)), size)
        first = np.cumsum(size) - size
        event = np.arange(len(row)) - first[row] + low[row]
        at, until = arrays.at, self._until(event)
        since = np.maximum(at[event], start[row])
        until = np.maximum(until, since)
        counted = np.where(self._held(target)[event], 0, business_us(since, until, calendar))
        before = np.cumsum(counted) - counted
        before -= before[first[row]]
        counted = np.clip(elapsed[row] - before, 0, counted)
        found = np.zeros((len(case), len(PARTS)), np.int64)
        np.add.at(found, (row, self.doing[event]), counted)
        return found

    def _until(self, event: Ints) -> Ints:
        """When the next event of the same case happens, at the last one when the clocks end."""
        at, case_of = self.arrays.at, self.arrays.case_of
        following = np.minimum(event + 1, len(at) - 1)
        last = (following == event) | (case_of[following] != case_of[event])
        return np.where(last, np.maximum(at[event], self.desk.as_of_us), at[following])

    def _held(self, target: Target) -> Bools:
        """Tell from which events to the next one the clock of a target stands still."""
        if target.course not in self.held:
            course = course_of(self.desk, target, self.holder)
            edge = np.zeros(len(self.arrays.at) + 1, np.int64)
            for spans in (course.pauses, course.idle):
                end = np.where(spans.end == NONE, self.arrays.offsets[spans.case + 1], spans.end)
                np.add.at(edge, spans.begin, 1)
                np.add.at(edge, end, -1)
            self.held[target.course] = np.cumsum(edge)[:-1] > 0
        return self.held[target.course]


def _by_target(breaches: pa.Table) -> Iterator[dict[str, Any]]:
    keys = ["target", "agreement", "metric"]
    sums = [(f"{part}_us", "sum") for part in PARTS]
    totals = breaches.group_by(keys).aggregate([*sums, ([], "count_all")]).to_pylist()
    counts = breaches.group_by([*keys, "cause"]).aggregate([([], "count_all")]).to_pylist()
    n_of = {(*(one[name] for name in keys), one["cause"]): one["count_all"] for one in counts}
    for row in sorted(totals, key=lambda one: [one[name] for name in keys]):
        key = tuple(row[name] for name in keys)
        whole = sum(row[f"{part}_us_sum"] for part in PARTS)
        for part in PARTS:
            us, n = row[f"{part}_us_sum"], n_of.get((*key, part), 0)
            if not us and not n:
                continue
            low, high = wilson(n, row["count_all"])
            yield dict(zip(keys, key, strict=True)) | {
                "cause": part,
                "n": n,
                "breaches": row["count_all"],
                "share": n / row["count_all"],
                "low": low,
                "high": high,
                "us": us,
                "share_of_time": us / whole if whole else None,
            }
