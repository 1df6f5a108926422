"""Which open tickets are about to break a promise, how much time is left, and how likely is it?

For each running clock: the open time that is left, when it is due, and the probability that its
whole elapsed time will exceed the limit, given what has elapsed so far, from clocks like it
(Kaplan & Meier 1958; `csi.statistics.survival`). Times count in open time of the target's calendar,
pauses taken off, in units of the limit, so that targets of different limits can be put together.

    like      clocks of the same target of the same party, where at least `ENOUGH` of them stopped
              and the curve reaches the limit; else all of the same metric and agreement (and case
              type, where `case_types` says it); else there is no probability, and `why_not`
    ended     a clock that stopped, met or breached, at its elapsed time
    censored  one that still runs, lapsed, or another target took over: at its elapsed time
    late      a clock whose target took over from another one in mid-run counts from then on: under
              this target, its end could not have been seen before

So it is the probability of a breach should the ticket go on to its stop; one that is cancelled or
gets another target breaks nothing.

A clock that stands still now may well be stopped by the very step that ends its pause, with no more
open time, and open tickets are mostly such that stand still: without regard to that, the risk is
far overstated (UCI incident log, April 2016: skill 0.47 with regard to it, none without; it was
chosen on that log). So the probability that the pause ends otherwise is one more factor: 1 - d/n of
the n pauses of clocks like it that lasted as long as this one has (where these are fewer than
`ENOUGH`, of the `ENOUGH` longest), d of which ended with the stop. Where fewer than `ENOUGH` pauses
have ended there is no probability. Without PAUSES clocks that stand still are taken as those that
run.

All is what CLOCKS and PAUSES know: those known by a moment give the probabilities of that moment
(`csi.service_levels.calibration` measures how good they were).

Not checked: that tickets of one day are independent (intervals are too short where an outage makes
many of them); that the desk works as before; that unknown clocks, which are left out, are like the
others (where a source hides stops, only met ones are known, and the risk is understated). The
elapsed time at which a target took over is counted in the calendar of the one before.

Cost: O(n log n) in clocks, in columns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.service_levels.paused_clocks import CYCLE, bools, ints
from csi.statistics.survival import Survival
from process_mining import schema as s
from rules.service_level import CLOCKS, PAUSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from process_mining.eventlog import Ints

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

ENOUGH: Final = 30
SAME_TARGET: Final = "same target"
SAME_METRIC: Final = "same metric"
LEVELS: Final = (SAME_TARGET, SAME_METRIC)
TOO_FEW: Final = f"fewer than {ENOUGH} clocks like it have stopped"
TOO_FEW_PAUSES: Final = f"fewer than {ENOUGH} pauses of clocks like it have ended"
NONE_AS_LONG: Final = "no clocks like it show what comes after so long a time"
METHOD: Final = (
    "Kaplan-Meier in open time over the limit; interval of 95 %: log-log of Greenwood, "
    "Clopper-Pearson where few are at risk"
)
KEYS: Final = (*CYCLE, "target")
NEVER: Final = -1
_STOPPED: Final = ("met", "breached")
_COUNTED: Final = (*_STOPPED, "running", "lapsed", "superseded")

AT_RISK: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("priority", pa.string()),
        ("team", pa.string()),
        ("elapsed_us", pa.int64()),
        ("limit_us", pa.int64()),
        ("remaining_us", pa.int64()),
        ("due", s.UTC_US),
        ("paused_now", pa.bool_()),
        ("probability", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("n_like", pa.int64()),
        ("n_as_long", pa.int64()),
        ("n_pauses", pa.int64()),
        ("like", pa.string()),
        ("why_not", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class AtRisk:
    """The running clocks at `as_of_us` (see AT_RISK), the likeliest breach first, then by due.

    `n_like` clocks like it stopped; `n_as_long` like it ran longer than this one has; where this
    one stands still, `n_pauses` pauses like its own ended. Those without a probability come last.
    `paused_now` is null where no pauses were given.
    """

    as_of_us: int
    table: pa.Table

    @property
    def expected(self) -> float:
        """How many of the clocks with a probability will break their promise, if it is right."""
        return float(pc.sum(self.table["probability"]).as_py() or 0.0)

    @property
    def without(self) -> dict[str, int]:
        """How many clocks have no probability, by reason."""
        said = pc.value_counts(self.table["why_not"].drop_null()).to_pylist()
        return {one["values"]: one["counts"] for one in sorted(said, key=lambda one: one["values"])}

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a running clock."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


def at_risk(
    clocks: pa.Table,
    as_of_us: int,
    *,
    pauses: pa.Table | None = None,
    case_types: Mapping[str, str] = MappingProxyType({}),
) -> AtRisk:
    """List the running clocks with their probability of breach.

    `clocks` and `pauses` are CLOCKS and PAUSES of `rules.service_level`, judged at `as_of_us`;
    `case_types` says the type of case that each target, by name, speaks of.
    """
    found = predictions(clocks, as_of_us, pauses=pauses, case_types=case_types)
    running = clocks.take(pa.array(found.row))
    told = found.level != NEVER
    few = (found.paused & (found.n_pauses < ENOUGH), found.n_like < ENOUGH)
    why = np.select(few[::-1], (TOO_FEW, TOO_FEW_PAUSES), NONE_AS_LONG)
    said = {name: running[name] for name in AT_RISK.names if name in CLOCKS.names} | {
        "paused_now": pa.array(found.paused, mask=np.full(len(told), pauses is None)),
        "probability": pa.array(found.probability, mask=~told),
        "low": pa.array(found.low, mask=~told),
        "high": pa.array(found.high, mask=~told),
        "n_like": found.n_like,
        "n_as_long": found.n_as_long,
        "n_pauses": pa.array(found.n_pauses, mask=~found.paused),
        "like": pa.array(LEVELS, pa.string()).take(pa.array(found.level, mask=~told)),
        "why_not": pa.array(why.astype(object), pa.string(), mask=told),
    }
    table = pa.table(said, schema=AT_RISK)
    order = [("probability", "descending"), ("due", "ascending")]
    order += [(name, "ascending") for name in KEYS]
    return AtRisk(as_of_us, table.sort_by(order).combine_chunks())


# --- probabilities


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the history says of each running clock, by its place `row` among the CLOCKS.

    `level` indexes LEVELS, NEVER where there is no probability (then it is NaN, and the numbers are
    those of the widest level). `base` is the share of breaches among the decided clocks like it,
    whatever has elapsed. `paused`: it stands still now, which `n_pauses` speak of.
    """

    row: Ints
    paused: Bools
    level: Ints
    probability: Floats
    low: Floats
    high: Floats
    base: Floats
    n_like: Ints
    n_as_long: Ints
    n_pauses: Ints


def predictions(
    clocks: pa.Table,
    as_of_us: int,
    *,
    pauses: pa.Table | None = None,
    case_types: Mapping[str, str] = MappingProxyType({}),
) -> Predictions:
    """Give each running clock the probability that it will be breached, by these tables alone."""
    started = bools(pc.and_(clocks["elapsed_us"].is_valid(), clocks["limit_us"].is_valid()))
    rows = np.flatnonzero(started & _one_of(clocks["status"], _COUNTED))
    counted = clocks.take(pa.array(rows))
    limit = ints(counted["limit_us"]).astype(np.float64)
    elapsed = ints(counted["elapsed_us"]) / limit
    history = _History(
        elapsed=elapsed,
        entered=np.minimum(_taken_over(clocks)[rows] / limit, elapsed),
        stopped=_one_of(counted["status"], _STOPPED) & bools(counted["stop"].is_valid()),
        decided=_one_of(counted["status"], _STOPPED),
        breached=_one_of(counted["status"], ("breached",)),
    )
    held, age = _held(counted, PAUSES.empty_table() if pauses is None else pauses, as_of_us)
    here = np.flatnonzero(_one_of(counted["status"], ("running",)))
    found = _unsaid(rows[here], age[here] != NEVER)
    for level, code in enumerate(_levels(counted, case_types)):
        left = np.flatnonzero(found.level == NEVER)
        of_clocks, of_asking, of_pauses = (
            _Groups.of(x) for x in (code, code[here[left]], code[held.of])
        )
        for one in np.unique(code[here[left]]):
            members, places = of_clocks.members(one), left[of_asking.members(one)]
            asking = _Asking(places, elapsed[here[places]], age[here[places]])
            mine = held.take(of_pauses.members(one))
            history.take(members).tell(found, level, asking, mine)
    return found


@dataclass(frozen=True, eq=False)
class _History:
    """Clocks and how they ended; times in units of the limit.

    `decided`: met or breached, stopped or not.
    """

    elapsed: Floats
    entered: Floats
    stopped: Bools
    decided: Bools
    breached: Bools

    def take(self, members: Ints) -> _History:
        """Return some of the clocks."""
        return _History(*(getattr(self, one.name)[members] for one in fields(self)))

    def tell(self, found: Predictions, level: int, asking: _Asking, held: _Held) -> None:
        """Write what these clocks and their pauses say of others, where they are enough."""
        ended, n_pauses = held.at_once(asking.age)
        found.n_like[asking.places] = int(self.stopped.sum())
        found.n_pauses[asking.places] = n_pauses
        if self.stopped.sum() < ENOUGH:
            return
        curve = Survival.of(self.elapsed, self.stopped, self.entered)
        limit = np.ones(len(asking.elapsed))
        said = curve.beyond(limit, asking.elapsed, (ended, n_pauses))
        told = np.isfinite(said.share) & ((asking.age == NEVER) | (n_pauses >= ENOUGH))
        mine = asking.places[told]
        found.level[mine] = level
        found.probability[mine] = said.share[told]
        found.low[mine], found.high[mine] = said.low[told], said.high[told]
        found.base[mine] = self.breached.sum() / self.decided.sum()
        found.n_as_long[mine] = said.at_risk[told]


@dataclass(frozen=True, eq=False)
class _Asking:
    """Running clocks by their `places` in Predictions.

    `elapsed` is in units of the limit, `age` for how long it has stood still (µs), else NEVER.
    """

    places: Ints
    elapsed: Floats
    age: Ints


@dataclass(frozen=True, eq=False)
class _Held:
    """Pauses that have ended: `of` which clock, how long (µs), and whether the stop ended them."""

    of: Ints
    length: Ints
    by_stop: Bools

    def take(self, members: Ints) -> _Held:
        """Return some of the pauses."""
        return _Held(self.of[members], self.length[members], self.by_stop[members])

    def at_once(self, age: Ints) -> tuple[Ints, Ints]:
        """Of those that lasted as long as each age, how many the stop ended, and how many all.

        Those of age NEVER ask for nothing: 0 of 0.
        """
        order = np.lexsort((self.by_stop, self.length))
        ended = np.concatenate([[0], np.cumsum(self.by_stop[order][::-1])])
        n = len(order) - np.searchsorted(self.length[order], age, side="right")
        n = np.where(age == NEVER, 0, np.maximum(n, min(ENOUGH, len(order))))
        return ended[n].astype(np.int64), n.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Groups:
    """Where each code stands."""

    order: Ints
    ordered: Ints

    @classmethod
    def of(cls, code: Ints) -> _Groups:
        """Sort places by code."""
        order = np.argsort(code, kind="stable")
        return cls(order, code[order])

    def members(self, code: int) -> Ints:
        """Return the places of a code, ascending."""
        low, high = np.searchsorted(self.ordered, (code, code + 1))
        return self.order[low:high]


def _unsaid(row: Ints, paused: Bools) -> Predictions:
    """Nothing said yet of any clock."""
    n = len(row)
    return Predictions(
        row=row,
        paused=paused,
        level=np.full(n, NEVER),
        probability=np.full(n, np.nan),
        low=np.full(n, np.nan),
        high=np.full(n, np.nan),
        base=np.full(n, np.nan),
        n_like=np.zeros(n, np.int64),
        n_as_long=np.zeros(n, np.int64),
        n_pauses=np.zeros(n, np.int64),
    )


def _held(clocks: pa.Table, pauses: pa.Table, as_of_us: int) -> tuple[_Held, Ints]:
    """The pauses of clocks that ended, and for how long each clock stands still now, else NEVER.

    Pauses count that began in time, of clocks that run or have stopped.
    """
    code = codes(pa.concat_tables([clocks.select(KEYS), pauses.select(KEYS)]), KEYS)
    last = np.full(int(code.max(initial=NEVER)) + 1, NEVER)
    last[code[: clocks.num_rows]] = np.arange(clocks.num_rows)  # of several the last one stays
    of = last[code[clocks.num_rows :]]
    begin, end = ints(pauses["begin"]), ints(pauses["end"], fill=NEVER)
    still = bools(pauses["end"].is_null()) & (of != NEVER)
    age = np.full(clocks.num_rows, NEVER)
    age[of[still]] = as_of_us - begin[still]
    late = ints(clocks["breached_at"], fill=np.iinfo(np.int64).max)
    open_or_stopped = _one_of(clocks["status"], (*_STOPPED, "running"))
    over = np.flatnonzero(bools(pauses["end"].is_valid()) & (of != NEVER))
    over = over[open_or_stopped[of[over]] & (begin[over] < late[of[over]])]
    stop, ended_by = ints(clocks["stop_seq"], fill=NEVER), ints(pauses["end_seq"], fill=NEVER)
    by_stop = (ended_by[over] == stop[of[over]]) & (stop[of[over]] != NEVER)
    return _Held(of[over], end[over] - begin[over], by_stop), age


def _taken_over(clocks: pa.Table) -> Floats:
    """The elapsed time at which each clock's target took over; -inf where it was the first."""
    code, elapsed = codes(clocks, CYCLE), ints(clocks["elapsed_us"])
    start = ints(clocks["start"], fill=NEVER)
    late = np.zeros(len(code), dtype=bool)
    # from one change to the next the clock may begin anew; only one that goes on is late
    late[1:] = (code[1:] == code[:-1]) & (start[1:] == start[:-1]) & (start[1:] != NEVER)
    before = np.concatenate([np.zeros(min(1, len(code)), np.int64), elapsed[:-1]])
    return np.where(late, before, -np.inf)


def _levels(clocks: pa.Table, case_types: Mapping[str, str]) -> tuple[Ints, Ints]:
    """A code for each clock and level of likeness: equal codes are like each other."""
    names = clocks["target"].combine_chunks().dictionary_encode()
    types = pa.array([case_types.get(name, "") for name in names.dictionary.to_pylist()])
    wide = clocks.append_column("_type", types.cast(pa.string()).take(names.indices))
    same = codes(wide, ("agreement", "party", "metric", "target"))
    return same, codes(wide, ("agreement", "metric", "_type"))


# --- columns


def codes(table: pa.Table, names: Sequence[str]) -> Ints:
    """Return 0..k-1 for the rows of a table: equal where they are in all of these columns."""
    code = np.zeros(table.num_rows, np.int64)
    for name in names:
        column = table[name].combine_chunks().dictionary_encode()
        here = pc.fill_null(column.indices.cast(pa.int64()), NEVER).to_numpy(zero_copy_only=False)
        _, code = np.unique(code * (len(column.dictionary) + 1) + here + 1, return_inverse=True)
    return code.astype(np.int64)


def _one_of(column: pa.ChunkedArray, words: Sequence[str]) -> Bools:
    return bools(pc.is_in(column, value_set=pa.array(words)))
