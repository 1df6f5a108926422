"""Which cases were resolved at first contact, and which came back?

Definitions. A *resolving* step is one of the words of `resolve`; a *closing* one one of `closing`;
any other step (not left out) is work. A *reopening* is a step of work whose last step before it,
closing ones aside, resolves: work went on after the case was said to be resolved, whether or not
the tool records a word such as Reopen. Its time runs from that resolving step to it. A case may be
reopened several times, each after a resolving step of its own.

A case is *resolved at first contact* where its first resolving step meets the criteria asked for,
by default the first two:
- "first team": no other team had the case up to that step than the first that is named in it;
- "not reopened": it has no reopening;
- "no wait": no step of `waiting` stands before that step.
No standard fixes the definition (HDI and ITIL 4's service desk practice leave it to the desk), so
the criteria are part of the result.

Counts only: an interval belongs to whoever states a rate (`csi.statistics`). Kernels of
`columnar.segments`, O(events).

Not checked: whether the resolving team was the customer's first contact outside the log; reopenings
that come after the log ends: cases that were resolved lately have had less time to come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import pandas as pd

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.columnar.groups import grouped
from process_mining.columnar.steps import steps_of
from process_mining.errors import CodedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints

    Bools = npt.NDArray[np.bool_]

Criterion = Literal["first team", "not reopened", "no wait"]
CRITERIA: Final[tuple[Criterion, ...]] = ("first team", "not reopened")


@dataclass(frozen=True, eq=False)
class Reopenings:
    """Which resolved cases came back.

    `cases`: case_id, resolved_at, reopenings, reopened_at (of the first reopening), open_again (the
    last step that resolves or works is work), one row a case with a resolving step, by id; times
    are µs UTC, null without times. `resolved` = rows, `reopened` those with a reopening,
    `reopenings` all of them, `median_us` and `p90_us` from the resolving step to the reopening
    (null without any or without times).
    """

    cases: pd.DataFrame
    resolved: int
    reopened: int
    reopenings: int
    median_us: int | None
    p90_us: int | None

    @property
    def rate(self) -> float | None:
        """Share of resolved cases that were reopened."""
        return self.reopened / self.resolved if self.resolved else None


@dataclass(frozen=True, eq=False)
class FirstContact:
    """How many cases were resolved at first contact.

    `cases`: case_id, first_contact (null where undecided), one row a case with a resolving step, by
    id. `n` of them are decided, `first_contact` met every criterion; `undecided` name no team up to
    the resolving step and fail no other criterion.
    """

    cases: pd.DataFrame
    n: int
    first_contact: int
    undecided: int
    criteria: tuple[Criterion, ...]

    @property
    def rate(self) -> float | None:
        """Share of the decided cases."""
        return self.first_contact / self.n if self.n else None


def reopenings(
    log: EventLog,
    *,
    resolve: Collection[str],
    closing: Collection[str] = (),
    leave_out: Collection[str] = (),
) -> Reopenings:
    """Return how often resolved cases came back, and after how long.

    A word that both resolves and closes counts as resolving: give Close in `resolve` to count cases
    that were worked on after they were closed without a resolution.
    """
    marks = _marks(log, resolve=resolve, closing=closing, leave_out=leave_out)
    arrays, which = log.arrays, np.flatnonzero(marks.resolved)
    back = np.flatnonzero(marks.reopening)
    at = arrays.at
    waits = at[back] - at[marks.before[back]]
    times = grouped(np.zeros(len(back), np.int64), waits, n=1)
    counts = segments.count(arrays, marks.reopening)
    last = segments.last(arrays, marks.resolving | marks.work)
    first_of = {
        "resolved_at": segments.first(arrays, marks.resolving),
        "reopened_at": segments.first(arrays, marks.reopening),
    }
    resolved_at, reopened_at = (
        _whole(segments.take(at, places, fill=0), (places >= 0) & log.timed)
        for places in first_of.values()
    )
    frame = pd.DataFrame(
        {
            s.CASE_ID: log.cases[s.CASE_ID].to_pandas(),
            "resolved_at": resolved_at,
            "reopenings": counts,
            "reopened_at": reopened_at,
            "open_again": segments.take(marks.work.astype(np.int64), last, fill=0) > 0,
        }
    ).iloc[which]
    some = len(back) > 0 and log.timed
    return Reopenings(
        cases=frame.reset_index(drop=True),
        resolved=len(which),
        reopened=int((counts > 0).sum()),
        reopenings=len(back),
        median_us=int(times.quantile(50)[0]) if some else None,
        p90_us=int(times.quantile(90)[0]) if some else None,
    )


def first_contact(  # noqa: PLR0913 - which words mean what, and what counts
    log: EventLog,
    *,
    resolve: Collection[str],
    closing: Collection[str] = (),
    waiting: Collection[str] = (),
    leave_out: Collection[str] = (),
    criteria: Collection[Criterion] = CRITERIA,
) -> FirstContact:
    """Return how many cases were resolved at first contact by the criteria asked for.

    Raises CodedError LG321 for an unknown criterion, and for "no wait" without waiting words.
    """
    asked = _checked(criteria, waiting)
    marks = _marks(log, resolve=resolve, closing=closing, leave_out=leave_out)
    arrays, steps = log.arrays, steps_of(log, leave_out=leave_out)
    # everything up to and with the first resolving step of its case
    early = segments.count_before(arrays, marks.resolving) == 0
    waits = np.zeros(log.n_events, dtype=bool)
    waits[steps.position[steps.among(waiting)]] = True
    against: dict[Criterion, Bools] = {
        "first team": early & segments.changes(arrays, arrays.team),
        "not reopened": marks.reopening,
        "no wait": early & waits,
    }
    failed = np.zeros(log.n_cases, dtype=bool)
    for one in asked:
        failed |= segments.count(arrays, against[one]) > 0
    nameless = segments.count(arrays, early & (arrays.team >= 0)) == 0
    unknown = ~failed & nameless & ("first team" in asked)
    which = np.flatnonzero(marks.resolved)
    outcome = pd.Series(~failed, dtype="boolean").mask(unknown)
    frame = pd.DataFrame(
        {s.CASE_ID: log.cases[s.CASE_ID].to_pandas(), "first_contact": outcome}
    ).iloc[which]
    undecided = int(unknown[which].sum())
    return FirstContact(
        cases=frame.reset_index(drop=True),
        n=len(which) - undecided,
        first_contact=int((~failed & ~unknown)[which].sum()),
        undecided=undecided,
        criteria=asked,
    )


@dataclass(frozen=True, eq=False)
class _Marks:
    """One entry an event: what it is; `before` is the last step before it, closing ones aside."""

    resolving: Bools
    work: Bools
    reopening: Bools
    before: Ints
    resolved: Bools  # one entry a case


def _marks(
    log: EventLog,
    *,
    resolve: Collection[str],
    closing: Collection[str],
    leave_out: Collection[str],
) -> _Marks:
    steps, arrays = steps_of(log, leave_out=leave_out), log.arrays
    resolving, work = (np.zeros(log.n_events, dtype=bool) for _ in range(2))
    resolving[steps.position] = steps.among(resolve)
    work[steps.position] = ~steps.among({*resolve, *closing})
    before = segments.previous_position(arrays, resolving | work)
    reopening = work & (segments.take(resolving.astype(np.int64), before, fill=0) > 0)
    return _Marks(resolving, work, reopening, before, segments.count(arrays, resolving) > 0)


def _checked(criteria: Collection[Criterion], waiting: Collection[str]) -> tuple[Criterion, ...]:
    known = get_args(Criterion)
    for one in criteria:
        if one not in known:
            msg = f"unknown criterion '{one}' of first-contact resolution"
            raise CodedError("LG321", msg, fix=did_you_mean(one, known))
    if "no wait" in criteria and not waiting:
        msg = "the criterion 'no wait' needs to know which states are waiting"
        raise CodedError("LG321", msg, fix="Give the waiting words")
    return tuple(one for one in known if one in criteria)


def _whole(values: Ints, known: Bools) -> pd.Series[int]:
    """Return whole numbers that may be unknown."""
    return pd.Series(values, dtype="Int64").where(pd.Series(known))
