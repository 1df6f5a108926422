"""What would our clock say if it were counted in another way?

`Pairs` holds clocks of ours beside the tool's rows for the same, in columns; `count` counts ours
again with one or more parts exchanged: start, end, limit, calendar, the pauses that hold it, or a
pause that is added. `Pairs.fits` tells where what was counted is what the tool says, in every field
that both know. So a cause of a difference is not guessed from its size: it is a way of counting
that gives the tool's own figures.

Fields: `due`, `elapsed`, `paused`, `breached`, and `stopped` (one clock has, the other runs).
Elapsed and paused time are compared where both clocks have stopped, for a running clock is read at
another moment. Two times are the same where they differ by less than the coarser of two
resolutions, the log's and the tool's (which divides all its times: a minute, a second, a
millisecond, else a microsecond); a sum over k pauses may differ by k more. An outcome that hangs on
less than that is not known.

Cost: O(n log m) a way of counting, for n pairs and m opening intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining import schema as s
from process_mining.clock import Pauses, add_business_us, business_us, due_us, paused_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.clock import Calendar
    from process_mining.eventlog import Ints

    Bools = npt.NDArray[np.bool_]

FIELDS: Final = ("breached", "due", "elapsed", "paused", "stopped")
TIMES: Final = ("due", "elapsed", "paused", "stopped")
GRAINS: Final = (s.US_PER_MINUTE, s.US_PER_SECOND, 1_000)


@dataclass(frozen=True, eq=False)
class Known:
    """Whole numbers, some of which are not known."""

    values: Ints
    known: Bools

    def take(self, rows: Ints) -> Known:
        """Return some of them."""
        return Known(self.values[rows], self.known[rows])


@dataclass(frozen=True, eq=False)
class Counted:
    """What a way of counting says, or what one of the two sides says; `breached` is 0 or 1."""

    due: Known
    elapsed: Known
    paused: Known
    breached: Known
    stopped: Known

    def take(self, rows: Ints) -> Counted:
        """Return that of some pairs."""
        return Counted(**{name: getattr(self, name).take(rows) for name in FIELDS})


@dataclass(frozen=True, eq=False)
class Pairs:
    """Clocks of ours and the tool's rows for the same; one entry a pair, times µs UTC.

    `ours` and `tool` are what both say; `start` to `calendar` is how ours came about (`calendar`
    indexes `calendars`), with the pauses in `pauses` (owner: the pair) and their causes. `running`
    marks clocks of ours that have not stopped: their `end` is now, or the end of the case.
    `recounts`: whether counting ours again gives what ours says; else no other way can be tried.
    """

    ours: Counted
    tool: Counted
    start: Ints
    end: Ints
    limit: Ints
    calendar: Ints
    calendars: tuple[Calendar, ...]
    pauses: Pauses
    causes: npt.NDArray[np.object_]
    tool_start: Known
    tool_stop: Known
    tool_goal: Known
    grain: Ints
    recounts: Bools

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.start)

    @property
    def slack(self) -> Ints:
        """How far two equal sums of times may lie apart, exclusive; 1 is not at all."""
        n_pauses = np.bincount(self.pauses.owner, minlength=len(self))
        return np.where(self.grain > 1, self.grain * (1 + n_pauses), 1)

    def differing(self, rows: Ints, said: Counted, *, exact: bool = False) -> dict[str, Bools]:
        """Tell, by field, of which of these pairs the tool says something else."""
        tool, slack = self.tool.take(rows), self.slack[rows]
        near = np.ones_like(slack) if exact else slack
        found = {}
        both_stopped = said.stopped.values & tool.stopped.values & tool.stopped.known
        for name in FIELDS:
            mine, theirs = getattr(said, name), getattr(tool, name)
            known = mine.known & theirs.known
            if name in {"elapsed", "paused"}:
                known &= both_stopped == 1
            width = near if name in {"due", "elapsed", "paused"} else 1
            found[name] = known & (np.abs(mine.values - theirs.values) >= width)
        if not exact:
            hair = np.abs(said.elapsed.values - self.limit[rows]) < slack
            found["breached"] &= ~(hair & (slack > 1))
        return found

    def fits(self, rows: Ints, said: Counted) -> Bools:
        """Tell for which of these pairs the tool says what was counted, in all fields."""
        differs: Bools = np.any(list(self.differing(rows, said).values()), axis=0)
        return ~differs

    def count(  # noqa: PLR0913 - each is one part of a clock
        self,
        rows: Ints,
        *,
        start: Ints | None = None,
        end: Ints | None = None,
        limit: Ints | None = None,
        calendar: Ints | None = None,
        keep: Bools | None = None,
        added: Ints | None = None,
        stopped: Bools | None = None,
    ) -> Counted:
        """Count the clocks of some pairs again; what is not given stays as it is.

        `keep` marks the pauses that count, one entry a pause; `added` is paused open time more.
        """
        start = self.start[rows] if start is None else start
        end = np.maximum(self.end[rows] if end is None else end, start)
        limit = self.limit[rows] if limit is None else limit
        calendar = self.calendar[rows] if calendar is None else calendar
        stop = self.ours.stopped.values[rows].astype(bool) if stopped is None else stopped
        pauses = self._pauses_of(rows, keep, end, stop)
        elapsed, paused, due = (np.zeros(len(rows), np.int64) for _ in range(3))
        for code in np.unique(calendar):
            here = np.flatnonzero(calendar == code)
            used, mine = self.calendars[code], _owned(pauses, here, len(rows))
            paused[here] = paused_us(start[here], end[here], mine, used)
            elapsed[here] = business_us(start[here], end[here], used) - paused[here]
            due[here] = due_us(start[here], limit[here], mine, used)
            if added is not None:
                due[here] = add_business_us(due[here], added[here], used)
        if added is not None:
            elapsed, paused = elapsed - added, paused + added
        every = np.ones(len(rows), bool)
        return Counted(
            due=Known(due, every),
            elapsed=Known(elapsed, every),
            paused=Known(paused, every),
            breached=Known((elapsed > limit).astype(np.int64), every),
            stopped=Known(stop.astype(np.int64), every),
        )

    def _pauses_of(self, rows: Ints, keep: Bools | None, end: Ints, stopped: Bools) -> Pauses:
        """The pauses of some pairs that begin before the end; those of a stopped clock are cut."""
        place = np.full(len(self), -1, np.int64)
        place[rows] = np.arange(len(rows))
        owner = place[self.pauses.owner]
        mine = owner >= 0
        if keep is not None:
            mine &= keep
        owner, begin, until = owner[mine], self.pauses.begin[mine], self.pauses.end[mine]
        until = np.where(stopped[owner], np.minimum(until, end[owner]), until)
        some = until > begin
        return Pauses(owner[some], begin[some], until[some])


def checked(pairs: Pairs) -> Pairs:
    """Return the pairs with `recounts` set: where counting again gives what our clock says."""
    rows = np.arange(len(pairs))
    if not len(rows):
        return pairs
    again = pairs.count(rows)
    same = np.ones(len(rows), bool)
    for name in ("due", "elapsed", "paused"):
        said, found = getattr(pairs.ours, name), getattr(again, name)
        same &= ~said.known | (said.values == found.values)
    return replace(pairs, recounts=pairs.recounts & same)


def grain_of(columns: Sequence[Known]) -> int:
    """Return the coarsest resolution that all of these times keep to, in µs; 1 if there is none."""
    values = np.concatenate([column.values[column.known] for column in columns])
    if not len(values):
        return 1
    return next((grain for grain in GRAINS if not (values % grain).any()), 1)


def _owned(pauses: Pauses, here: Ints, n: int) -> Pauses:
    """The pauses of some owners, renumbered."""
    place = np.full(n, -1, np.int64)
    place[here] = np.arange(len(here))
    owner = place[pauses.owner]
    mine = owner >= 0
    return Pauses(owner[mine], pauses.begin[mine], pauses.end[mine])
