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
gets another target breaks nothing. A paused clock is taken as is. All is what the CLOCKS know:
clocks known by a moment give the probabilities of that moment (`csi.service_levels.calibration`
measures how good they were).

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
from rules.service_level import CLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        ("like", pa.string()),
        ("why_not", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class AtRisk:
    """The running clocks at `as_of_us` (see AT_RISK), the likeliest breach first, then by due.

    `n_like` clocks like it stopped; `n_as_long` like it ran longer than this one has. Those without
    a probability come last. `paused_now` is null where no pauses were given.
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
    found = predictions(clocks, case_types=case_types)
    running = clocks.take(pa.array(found.row))
    told = found.level != NEVER
    said = {name: running[name] for name in AT_RISK.names if name in CLOCKS.names} | {
        "paused_now": _paused_now(running, pauses),
        "probability": pa.array(found.probability, mask=~told),
        "low": pa.array(found.low, mask=~told),
        "high": pa.array(found.high, mask=~told),
        "n_like": found.n_like,
        "n_as_long": found.n_as_long,
        "like": pa.array(LEVELS, pa.string()).take(pa.array(found.level, mask=~told)),
        "why_not": pa.array(np.where(found.n_like < ENOUGH, TOO_FEW, NONE_AS_LONG), mask=told),
    }
    table = pa.table(said, schema=AT_RISK)
    order = [("probability", "descending"), ("due", "ascending")]
    order += [(name, "ascending") for name in KEYS]
    return AtRisk(as_of_us, table.sort_by(order).combine_chunks())


# --- probabilities


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the history says of each running clock, by its place `row` among the CLOCKS.

    `level` indexes LEVELS, NEVER where there is no probability (then it is NaN, and `n_like` that
    of the widest level). `base` is the share of breaches among the decided clocks like it, whatever
    has elapsed.
    """

    row: Ints
    level: Ints
    probability: Floats
    low: Floats
    high: Floats
    base: Floats
    n_like: Ints
    n_as_long: Ints


def predictions(
    clocks: pa.Table, *, case_types: Mapping[str, str] = MappingProxyType({})
) -> Predictions:
    """Give each running clock the probability that it will be breached, by these clocks alone."""
    status = clocks["status"]
    started = bools(pc.and_(clocks["elapsed_us"].is_valid(), clocks["limit_us"].is_valid()))
    counted = np.flatnonzero(started & _one_of(status, _COUNTED))
    limit = ints(clocks["limit_us"])[counted].astype(np.float64)
    elapsed = ints(clocks["elapsed_us"])[counted] / limit
    status = status.take(pa.array(counted))
    history = _History(
        elapsed=elapsed,
        entered=np.minimum(_taken_over(clocks)[counted] / limit, elapsed),
        stopped=_one_of(status, _STOPPED) & bools(clocks["stop"].is_valid())[counted],
        decided=_one_of(status, _STOPPED),
        breached=_one_of(status, ("breached",)),
    )
    here = np.flatnonzero(_one_of(status, ("running",)))
    found = _unsaid(counted[here])
    for level, code in enumerate(_levels(clocks.take(pa.array(counted)), case_types)):
        open_ = found.level == NEVER
        for members, places in _groups(code, here[open_], np.flatnonzero(open_)):
            history.take(members).tell(found, level, places, elapsed[here[places]])
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

    def tell(self, found: Predictions, level: int, places: Ints, elapsed: Floats) -> None:
        """Write what these clocks say of others, where they are enough."""
        n = int(self.stopped.sum())
        found.n_like[places] = n
        if n < ENOUGH:
            return
        curve = Survival.of(self.elapsed, self.stopped, self.entered)
        said = curve.beyond(np.ones(len(elapsed)), elapsed)
        told = np.isfinite(said.share)
        mine = places[told]
        found.level[mine] = level
        found.probability[mine] = said.share[told]
        found.low[mine], found.high[mine] = said.low[told], said.high[told]
        found.base[mine] = self.breached.sum() / self.decided.sum()
        found.n_as_long[mine] = said.at_risk[told]


def _unsaid(row: Ints) -> Predictions:
    """Nothing said yet of any clock."""
    n = len(row)
    return Predictions(
        row=row,
        level=np.full(n, NEVER),
        probability=np.full(n, np.nan),
        low=np.full(n, np.nan),
        high=np.full(n, np.nan),
        base=np.full(n, np.nan),
        n_like=np.zeros(n, np.int64),
        n_as_long=np.zeros(n, np.int64),
    )


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


def _groups(code: Ints, asking: Ints, places: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield, for each code that somebody asks for, its members and the places of the asking."""
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    wanted = code[asking]
    by_code = np.argsort(wanted, kind="stable")
    for one in np.unique(wanted):
        low, high = np.searchsorted(ordered, (one, one + 1))
        first, last = np.searchsorted(wanted[by_code], (one, one + 1))
        yield order[low:high], places[by_code[first:last]]


def _paused_now(running: pa.Table, pauses: pa.Table | None) -> pa.Array:
    """Whether each running clock stands still now."""
    if pauses is None:
        return pa.nulls(running.num_rows, pa.bool_())
    still = pauses.filter(pc.is_null(pauses["end"])).select(KEYS)
    code = codes(pa.concat_tables([running.select(KEYS), still]), KEYS)
    return pa.array(np.isin(code[: running.num_rows], code[running.num_rows :]))


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
