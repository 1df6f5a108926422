"""Where does the time of cases go: in which states, between which steps, in which loops?

**State-based reading.** A step starts a state that lasts until the next step of its case: what a
tool that records states means. Each step is a *visit*; the last visit of a case has no end. Where
its activity is one of `ends` it is *final* (nothing is waited for); else it is *open*: the time
until `as_of_us`, if given, is known to be at least that long (right-censored), and is reported
apart, never mixed into medians. Medians of ended visits alone are too short where many are open:
read them beside `open_visits`. A repeated word is a new visit; a source whose rows only repeat a
state has to be translated first (`rules.practice` makes such rows updates).

**Elapsed or working hours.** Times are int64 µs, elapsed, or open time of `calendar` where one is
given (`process_mining.clock`); the column or field `clock` names which ("elapsed" or the
calendar's name). The same calendar is applied to every step, whoever did it.

**Statistics.** Percentiles are observed values (type 1 of Hyndman & Fan 1996); a median's interval
is by order statistics (`columnar.groups`), null below the n that allows it (6 for 95 %). It treats
waits as independent, which several waits of one case are not: then it is too narrow. Totals are
hours. All orders are total: by the figure named, then by name.

Complexity: O(n log n) in columns for n steps. Nothing is dropped: every step of the log is a visit;
a log without times gives counts with null times.

Not checked: that the log's clock is right or fine enough (the quality gate, QG120 to QG124, tells);
that a wait was needless; that work was done in a state called work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.clock import business_us
from process_mining.columnar.groups import (
    distinct,
    exact_sum,
    grouped,
    median_ranks,
    numbered,
    sums,
)
from process_mining.columnar.steps import NONE, steps_of
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from process_mining.clock import Calendar
    from process_mining.columnar.groups import Floats, Grouped
    from process_mining.columnar.steps import Steps
    from process_mining.eventlog import EventLog, Ints

    Bools = npt.NDArray[np.bool_]

ELAPSED: Final = "elapsed"
CONFIDENCE: Final = 0.95
LONGEST_PATH: Final = 3
BATCH_WINDOW_US: Final = s.US_PER_MINUTE
LEAST_BATCH: Final = 3

By = Literal["edge", "state"]
Doer = Literal["actor", "team", "anyone"]


@dataclass(frozen=True, eq=False)
class WaitingSplit:
    """How case time divides into waiting, working and what came after the work was done.

    `cases`: case_id, waiting_us, working_us, done_us, open (its last step is no end), by id; times
    are null without times and in cases without steps. `waiting_h`, `working_h`, `done_h`: of all
    cases, None without times. `waiting_share` is waiting over waiting and working, None where both
    are nought.
    """

    cases: pd.DataFrame
    waiting_h: float | None
    working_h: float | None
    done_h: float | None
    waiting_share: float | None
    clock: str


@dataclass(frozen=True, eq=False)
class Loops:
    """What cases come back to.

    `activities`: activity, n (steps), cases, self_loops, cases_self_loop, returns, cases_return,
    median_away_us, p90_away_us, total_away_h; only those with a self-loop or a return; by falling
    returns, then self-loops, then name. `paths`: activity, path (tuple of the activities between,
    None for all longer ones together), n, cases, median_away_us, p90_away_us, total_away_h; by
    (-n, activity, path, the longer ones last). Times away overlap (of A, B, A, B both A and B come
    back), so rows do not add up; `looped_h` counts each moment once. `cases` have steps,
    `cases_looping` of them return somewhere. `total_h` is the time between all steps;
    both are None without times.
    """

    activities: pd.DataFrame
    paths: pd.DataFrame
    cases: int
    cases_looping: int
    looped_h: float | None
    total_h: float | None
    clock: str


@dataclass(frozen=True, eq=False)
class Batches:
    """What is done in batches.

    `activities`: activity, n (steps with a known doer), batches, simultaneous (batches of which all
    steps have one time), batched (steps in a batch), share (batched / n), median_size, p90_size,
    largest (cases), by falling batched, then name. `unknown` steps name no doer. `decidable` is
    false where the log has no times or its clock (`resolution_us`) is too coarse for the window:
    then `activities` is empty, for nothing can be said.
    """

    activities: pd.DataFrame
    unknown: int
    window_us: int
    resolution_us: int
    least_cases: int
    doer: Doer
    decidable: bool


def sojourn(
    log: EventLog,
    *,
    leave_out: Collection[str] = (),
    ends: Collection[str] = (),
    as_of_us: int | None = None,
    calendar: Calendar | None = None,
) -> pd.DataFrame:
    """Return how long cases stay in each state (the head-note defines a visit).

    activity; visits, cases; ended (visits with a next step), final, open_visits (ended + final +
    open_visits = visits); p25_us, median_us, p75_us, p90_us and total_h of the ended; share (of the
    total of all states); open_h (until as_of_us, null without it); clock. Longest total first, then
    by name. Raises CodedError LG313 where as_of_us lies before the last event.
    """
    _require_after(log, as_of_us)
    steps = steps_of(log, leave_out=leave_out)
    n = len(steps.names)
    end = steps.last & steps.among(ends)
    still = steps.last & ~end
    until = as_of_us if log.timed else None
    stays = _stays(steps, calendar)
    times = grouped(steps.code[~steps.last], stays, n=n)
    frame = pd.DataFrame(
        {
            s.ACTIVITY: np.array(steps.names, dtype=object),
            "visits": np.bincount(steps.code, minlength=n),
            "cases": distinct(steps.code, steps.case, n=n),
            "ended": times.counts,
            "final": np.bincount(steps.code[end], minlength=n),
            "open_visits": np.bincount(steps.code[still], minlength=n),
            **_percentiles(times, (25, 50, 75, 90), timed=log.timed),
            **_totals(times, timed=log.timed),
            "open_h": _open_h(steps, still, until, calendar),
            "clock": _clock(calendar),
        }
    )
    return _ranked(frame, ["total_h"], [s.ACTIVITY])


def bottlenecks(
    log: EventLog,
    *,
    by: By = "edge",
    leave_out: Collection[str] = (),
    calendar: Calendar | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return where most time passes: between which steps, or in which states.

    source, target (null where `by` is "state"); n (waits that ended), cases; median_us,
    median_low_us, median_high_us (null where n is too small), p90_us; total_h, share (of all time
    between steps); typical_h (median x n); rank_total, rank_typical (1 is the most; equal ones by
    name); clock. By rank_total. A place with a high rank_total but a low rank_typical owes its time
    to a few very long waits. An edge's wait contains its source's own working time where the log
    knows states only. Empty without times. Raises CodedError LG314 for a confidence that is not
    between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise CodedError("LG314", f"confidence is {confidence}", fix="Give a share, such as 0.95")
    steps = steps_of(log, leave_out=leave_out)
    place = np.flatnonzero(~steps.last) if log.timed else np.empty(0, np.int64)
    source, target = steps.code[place], steps.code[place + 1]
    if by == "state":
        target = np.zeros_like(target)
    group, row = numbered(source, target)
    times = grouped(group, _spent(steps.time[place], steps.time[place + 1], calendar), n=len(row))
    names = np.array(steps.names, dtype=object)
    low, high = median_ranks(times.counts, confidence=confidence)
    frame = pd.DataFrame(
        {
            "source": names[source[row]],
            "target": names[target[row]] if by == "edge" else None,
            "n": times.counts,
            "cases": distinct(group, steps.case[place], n=len(row)),
            "median_us": times.quantile(50),
            "median_low_us": _known(times.nth(low), low > 0),
            "median_high_us": _known(times.nth(high), high > 0),
            "p90_us": times.quantile(90),
            **_totals(times, timed=True),
            "typical_h": times.quantile(50) * (times.counts / s.US_PER_HOUR),
        }
    )
    frame = _ranked(frame, ["typical_h"], ["source", "target"])
    frame["rank_typical"] = np.arange(1, len(frame) + 1)
    frame = _ranked(frame, ["total_h"], ["source", "target"])
    frame.insert(len(frame.columns) - 1, "rank_total", np.arange(1, len(frame) + 1))
    return frame.assign(clock=_clock(calendar))


def waiting_split(  # noqa: PLR0913 - which words mean what, and by which clock
    log: EventLog,
    *,
    waiting: Collection[str],
    done: Collection[str] = (),
    leave_out: Collection[str] = (),
    ends: Collection[str] = (),
    as_of_us: int | None = None,
    calendar: Calendar | None = None,
) -> WaitingSplit:
    """Split case time, from the first step to the last, by what the states are declared to mean.

    Time in a state of `waiting` (Await customer, a queue) is waiting; in one of `done` (Resolve,
    where work has ended and closure is awaited) it is apart; any other is called working, which
    is an upper limit of work: a state says that it may be worked on, not that it is. A case that
    is open (its last step is not one of `ends`) lasts until `as_of_us` where that is given, else
    until its last step. Raises CodedError LG315 for a word that is both, LG313 as `sojourn` does.
    """
    _require_apart(waiting, done, "waiting", "done")
    _require_after(log, as_of_us)
    steps = steps_of(log, leave_out=leave_out)
    still = steps.last & ~steps.among(ends)
    spent = np.zeros(len(steps), np.int64)
    spent[~steps.last] = _stays(steps, calendar)
    if as_of_us is not None and log.timed:
        spent[still] = _spent(steps.time[still], as_of_us, calendar)
    kind = np.where(steps.among(waiting), 0, np.where(steps.among(done), 2, 1))
    parts = [sums(steps.case[kind == k], spent[kind == k], n=log.n_cases) for k in range(3)]
    hours = [_hours(part, timed=log.timed) for part in parts]
    known, is_open = (np.zeros(log.n_cases, dtype=bool) for _ in range(2))
    known[steps.case[steps.last]] = log.timed
    is_open[steps.case[still]] = True
    names = ("waiting_us", "working_us", "done_us")
    columns = {name: _known(part, known) for name, part in zip(names, parts, strict=True)}
    counted = (hours[0] or 0) + (hours[1] or 0)
    ids = log.cases[s.CASE_ID].to_pandas()
    return WaitingSplit(
        cases=pd.DataFrame({s.CASE_ID: ids, **columns, "open": is_open}),
        waiting_h=hours[0],
        working_h=hours[1],
        done_h=hours[2],
        waiting_share=(hours[0] or 0) / counted if counted else None,
        clock=_clock(calendar),
    )


def service_times(
    log: EventLog,
    *,
    starts: Collection[str] = ("start",),
    completes: Collection[str] = ("complete",),
    leave_out: Collection[str] = (),
    calendar: Calendar | None = None,
) -> pd.DataFrame:
    """Return service and waiting times where the log has start and complete events (XES lifecycle).

    Of each activity in a case the first start that has no complete yet belongs to the next complete
    (first in, first out); a complete with no start before it, and a start without one, are counted
    as unmatched. Service: start to complete. Waiting: from the last complete of the case before the
    start (in the log's order) to the start; the first activity has none. Lifecycle words are
    compared without case; suspended time is not taken off.

    Raises CodedError LG315 for a word that is both.

    activity; n (pairs), cases; unmatched_starts, unmatched_completes; median_service_us,
    p90_service_us, total_service_h; n_waits, median_waiting_us, p90_waiting_us, total_waiting_h;
    clock. Most
    service first, then by name; only activities with a start or a complete.
    """
    _require_apart(starts, completes, "start", "complete")
    steps = steps_of(log, leave_out=leave_out)
    begun, ended = (_lifecycle(log, steps, words) for words in (starts, completes))
    start, complete = _pairs(steps, begun, ended)
    n, code = len(steps.names), steps.code
    service = grouped(code[start], _spent(steps.time[start], steps.time[complete], calendar), n=n)
    waited, since = _since_complete(steps, begun, ended)
    wait = grouped(code[waited], _spent(steps.time[since], steps.time[waited], calendar), n=n)
    frame = pd.DataFrame(
        {
            s.ACTIVITY: np.array(steps.names, dtype=object),
            "n": service.counts,
            "cases": distinct(code[start], steps.case[start], n=n),
            "unmatched_starts": np.bincount(code[begun], minlength=n) - service.counts,
            "unmatched_completes": np.bincount(code[ended], minlength=n) - service.counts,
            **_timings(service, "service", timed=log.timed),
            "n_waits": wait.counts,
            **_timings(wait, "waiting", timed=log.timed),
            "clock": _clock(calendar),
        }
    )
    seen = frame[["n", "unmatched_starts", "unmatched_completes"]].sum(axis=1) > 0
    return _ranked(frame[seen], ["total_service_h"], [s.ACTIVITY])


def loops(
    log: EventLog,
    *,
    leave_out: Collection[str] = (),
    longest: int = LONGEST_PATH,
    calendar: Calendar | None = None,
) -> Loops:
    """Return what cases come back to, by which way, and how long they were away.

    A self-loop is a step at once after its like. A return is a step whose activity the case has
    done before, with other steps since; the *path* is the activities since the last time it was
    done, of which up to `longest` are named. The time *away* runs from the first step of the path,
    when the activity was left, to the return. Raises CodedError LG316 for longest below 1.
    """
    if longest < 1:
        raise CodedError("LG316", f"longest is {longest}", fix="Give at least 1")
    steps = steps_of(log, leave_out=leave_out)
    back, before = _repeats(steps)
    direct = back == before + 1
    again, left = back[~direct], before[~direct] + 1
    away = _spent(steps.time[left], steps.time[again], calendar)
    spent = np.zeros(len(steps), np.int64)
    spent[~steps.last] = _stays(steps, calendar)
    inside = _covered(left, again, len(steps))
    return Loops(
        activities=_returning(steps, again, away, back[direct], timed=log.timed),
        paths=_paths(steps, again, left, away, longest=longest, timed=log.timed),
        cases=int(steps.first.sum()),
        cases_looping=len(np.unique(steps.case[again])),
        looped_h=_hours(spent[inside], timed=log.timed),
        total_h=_hours(spent, timed=log.timed),
        clock=_clock(calendar),
    )


def batches(
    log: EventLog,
    *,
    leave_out: Collection[str] = (),
    doer: Doer = "actor",
    window_us: int = BATCH_WINDOW_US,
    least_cases: int = LEAST_BATCH,
) -> Batches:
    """Return which activities are done in batches, and in how large ones.

    A batch: steps of one activity by one doer, of at least `least_cases` cases, each within
    `window_us` of the one before it (simultaneous and sequential batch processing of Martin,
    Swennen, Depaire, Jans, Caris & Vanhoof 2017, Decision Support Systems 100, 119-128; that many
    cases leave a step together is the batch pattern of Klijn & Fahland 2019, ICPM, 129-136). Sizes
    are distinct cases. The doer is the actor or the team of the event; "anyone" is for logs that
    name neither, and for what a system does by night.

    With a clock of resolution r two recorded times g apart are truly less than g + r apart, so they
    count as close only if g + r passes the window by nothing: on a clock of minutes and a window of
    a minute only equal times do; a coarser clock decides nothing. Not checked: that the steps were
    bundled on purpose; a busy doer's steps, or anyone's, lie close by chance as well.

    Raises CodedError LG317 for a window below 0 or fewer than 2 cases.
    """
    if window_us < 0 or least_cases < 2:  # noqa: PLR2004 - one case is no batch
        msg = f"a window of {window_us} µs and batches of {least_cases} cases"
        raise CodedError("LG317", msg, fix="Give a window of at least 0 µs and at least 2 cases")
    steps = steps_of(log, leave_out=leave_out)
    who = _doers(log, steps, doer)
    resolution = log.meta.time_resolution_us
    gap = window_us - (resolution - 1)  # times this close are surely within the window
    decidable = log.timed and gap >= 0
    return Batches(
        activities=_batched(steps, who, gap=gap, least_cases=least_cases, decidable=decidable),
        unknown=int((who < 0).sum()),
        window_us=window_us,
        resolution_us=resolution,
        least_cases=least_cases,
        doer=doer,
        decidable=decidable,
    )


# --- steps and times --------------------------------------------------------------------------


def _require_after(log: EventLog, as_of_us: int | None) -> None:
    last = int(log.arrays.at.max(initial=np.iinfo(np.int64).min))
    if as_of_us is not None and log.timed and as_of_us < last:
        msg = f"as_of_us is {as_of_us}, but the last event lies at {last}"
        raise CodedError("LG313", msg, fix="Cut the log with EventLog.until first")


def _require_apart(
    one: Collection[str], other: Collection[str], name: str, other_name: str
) -> None:
    both = sorted(frozenset(one) & frozenset(other))
    if both:
        msg = f"'{both[0]}' is declared as {name} and as {other_name}"
        raise CodedError("LG315", msg, fix="Keep it in one of the two")


def _clock(calendar: Calendar | None) -> str:
    return ELAPSED if calendar is None else calendar.name


def _spent(start: Ints, end: Ints | int, calendar: Calendar | None) -> Ints:
    """Return the time from each start to each end by the clock asked for."""
    if calendar is not None:
        return business_us(start, np.broadcast_to(end, start.shape), calendar)
    return np.asarray(end - start)


def _stays(steps: Steps, calendar: Calendar | None) -> Ints:
    """Return how long each visit lasted that has a next step, in order."""
    place = np.flatnonzero(~steps.last)
    return _spent(steps.time[place], steps.time[place + 1], calendar)


def _open_h(steps: Steps, still: Bools, until: int | None, calendar: Calendar | None) -> Floats:
    """Return the hours that open visits of each activity have lasted so far."""
    n = len(steps.names)
    if until is None:
        return np.full(n, np.nan)
    spent = _spent(steps.time[still], until, calendar)
    return grouped(steps.code[still], spent, n=n).totals() / s.US_PER_HOUR


def _repeats(steps: Steps) -> tuple[Ints, Ints]:
    """Return each step whose activity its case has done before, and when last (places of steps)."""
    key = steps.case * len(steps.names) + steps.code
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    back, before = order[1:][same], order[:-1][same]
    in_order = np.argsort(back)
    return back[in_order], before[in_order]


def _covered(left: Ints, again: Ints, n: int) -> Bools:
    """Tell which steps lie at or after some `left` and before its `again`."""
    turns = np.bincount(left, minlength=n) - np.bincount(again, minlength=n)
    return np.asarray(np.cumsum(turns) > 0)


# --- lifecycles -------------------------------------------------------------------------------


def _lifecycle(log: EventLog, steps: Steps, words: Collection[str]) -> Bools:
    wanted = pa.array(sorted({word.lower() for word in words}), pa.string())
    found = pc.is_in(pc.utf8_lower(log.events[s.LIFECYCLE]), value_set=wanted)
    marks: Bools = found.to_numpy()[steps.position].astype(bool)
    return marks


def _pairs(steps: Steps, begun: Bools, ended: Bools) -> tuple[Ints, Ints]:
    """Match starts and completes of an activity in a case, first in, first out.

    A complete has no partner where the balance of starts over completes falls to a new low below
    nought; the k-th start then belongs to the k-th of the other completes.
    """
    some = np.flatnonzero(begun | ended)
    key = (steps.case * len(steps.names) + steps.code)[some]
    order = np.argsort(key, kind="stable")
    some, key = some[order], key[order]
    opens = np.append(NONE, key)[: len(key)] != key
    group = np.cumsum(opens) - 1
    balance = np.cumsum(np.where(begun[some], 1, -1))
    balance -= np.append(0, balance)[:-1][opens][group]
    # one running minimum serves all groups: each lies below the one before it
    floor = np.minimum.accumulate(np.minimum(balance, 0) - group * (len(some) + 1))
    low = np.where(opens, 0, np.append(0, floor + group * (len(some) + 1))[:-1])
    start = begun[some]
    complete = ended[some] & (balance >= low)
    kth_start, kth_complete = (
        group[mask] * (len(some) + 1) + _ranks(group[mask]) for mask in (start, complete)
    )
    return some[start][np.searchsorted(kth_start, kth_complete)], some[complete]


def _ranks(group: Ints) -> Ints:
    """Number the members of each group, which ascend, from 0."""
    return np.arange(len(group)) - np.searchsorted(group, group)


def _since_complete(steps: Steps, begun: Bools, ended: Bools) -> tuple[Ints, Ints]:
    """Return the starts that have a complete before them in their case, and the last such one."""
    place = np.where(ended, np.arange(len(steps)), NONE)
    latest = np.append(NONE, np.maximum.accumulate(place))[: len(steps)]
    start = np.flatnonzero(begun & (latest != NONE))
    start = start[steps.case[latest[start]] == steps.case[start]]
    return start, latest[start]


# --- loops ------------------------------------------------------------------------------------


def _returning(steps: Steps, again: Ints, away: Ints, direct: Ints, *, timed: bool) -> pd.DataFrame:
    n, code, case = len(steps.names), steps.code, steps.case
    times = grouped(code[again], away, n=n)
    frame = pd.DataFrame(
        {
            s.ACTIVITY: np.array(steps.names, dtype=object),
            "n": np.bincount(code, minlength=n),
            "cases": distinct(code, case, n=n),
            "self_loops": np.bincount(code[direct], minlength=n),
            "cases_self_loop": distinct(code[direct], case[direct], n=n),
            "returns": times.counts,
            "cases_return": distinct(code[again], case[again], n=n),
            **_timings(times, "away", timed=timed),
        }
    )
    frame = frame[frame["returns"] + frame["self_loops"] > 0]
    return _ranked(frame, ["returns", "self_loops"], [s.ACTIVITY])


def _paths(  # noqa: PLR0913 - what a return is made of
    steps: Steps, again: Ints, left: Ints, away: Ints, *, longest: int, timed: bool
) -> pd.DataFrame:
    length = again - left
    longer = length > longest
    between = [
        np.where(~longer & (length > k), steps.code[np.minimum(left + k, again)], NONE)
        for k in range(longest)
    ]
    group, row = numbered(steps.code[again], longer.astype(np.int64), *between)
    times = grouped(group, away, n=len(row))
    frame = pd.DataFrame(
        {
            s.ACTIVITY: np.array(steps.names, dtype=object)[steps.code[again[row]]],
            "path": _words(steps.names, [codes[row] for codes in between], longer[row]),
            "n": times.counts,
            "cases": distinct(group, steps.case[again], n=len(row)),
            **_timings(times, "away", timed=timed),
        }
    )
    return frame.sort_values("n", ascending=False, kind="stable", ignore_index=True)


def _words(names: tuple[str, ...], between: list[Ints], longer: Bools) -> pd.Series[str]:
    rows = zip(longer.tolist(), *(codes.tolist() for codes in between), strict=True)
    paths = [None if row[0] else tuple(names[c] for c in row[1:] if c != NONE) for row in rows]
    return pd.Series(paths, dtype=object)


# --- batches ----------------------------------------------------------------------------------


def _doers(log: EventLog, steps: Steps, doer: Doer) -> Ints:
    arrays = log.arrays
    if doer == "anyone":
        return np.zeros(len(steps), np.int64)
    found = arrays.actor if doer == "actor" else arrays.team
    return found[steps.position].astype(np.int64)


def _batched(
    steps: Steps, who: Ints, *, gap: int, least_cases: int, decidable: bool
) -> pd.DataFrame:
    n = len(steps.names)
    known = np.flatnonzero((who >= 0) & decidable)
    order = known[np.lexsort((steps.time[known], steps.code[known], who[known]))]
    code, at, doer = steps.code[order], steps.time[order], who[order]
    opens = np.ones(len(order), dtype=bool)
    apart = (code[1:] != code[:-1]) | (doer[1:] != doer[:-1])
    opens[1:] = apart | (np.diff(at) > gap)
    number, first = np.cumsum(opens) - 1, np.flatnonzero(opens)
    size = distinct(number, steps.case[order], n=len(first))
    last = np.append(first, len(order))[1:] - 1
    large = size >= least_cases
    of = code[first]
    sizes = grouped(of[large], size[large], n=n)
    batched = np.bincount(code[large[number]], minlength=n)
    total = np.bincount(code, minlength=n)
    frame = pd.DataFrame(
        {
            s.ACTIVITY: np.array(steps.names, dtype=object),
            "n": total,
            "batches": sizes.counts,
            "simultaneous": np.bincount(of[large & (at[first] == at[last])], minlength=n),
            "batched": batched,
            "share": batched / np.maximum(total, 1),
            "median_size": _known(sizes.quantile(50), sizes.counts > 0),
            "p90_size": _known(sizes.quantile(90), sizes.counts > 0),
            "largest": _known(sizes.quantile(100), sizes.counts > 0),
        }
    )
    return _ranked(frame[total > 0], ["batched"], [s.ACTIVITY])


# --- columns ----------------------------------------------------------------------------------


def _known(values: Ints, known: Bools | bool) -> pd.Series[int]:  # noqa: FBT001 - a mask, or all
    """Return whole numbers that may be unknown."""
    return pd.Series(values, dtype="Int64").where(pd.Series(known, index=range(len(values))))


def _percentiles(
    times: Grouped, percents: tuple[int, ...], *, timed: bool, what: str = ""
) -> dict[str, pd.Series[int]]:
    known = (times.counts > 0) & timed
    names = {50: "median"}
    return {f"{names.get(p, f'p{p}')}{what}_us": _known(times.quantile(p), known) for p in percents}


def _totals(times: Grouped, *, timed: bool) -> dict[str, Floats]:
    """Return total_h and its share of all; not a number without times."""
    hours = times.totals() / s.US_PER_HOUR
    if not timed:
        hours = np.full(len(hours), np.nan)
    total = float(hours.sum())
    return {"total_h": hours, "share": hours / total if total else np.zeros(len(hours))}


def _timings(times: Grouped, what: str, *, timed: bool) -> dict[str, pd.Series[int] | Floats]:
    """Return median, 90th percentile and total of one kind of time, named after it."""
    hours = times.totals() / s.US_PER_HOUR
    return {
        **_percentiles(times, (50, 90), timed=timed, what=f"_{what}"),
        f"total_{what}_h": hours if timed else np.full(len(hours), np.nan),
    }


def _hours(values: Ints, *, timed: bool) -> float | None:
    """Return all times in hours; none without times."""
    if not timed:
        return None
    return exact_sum(values) / s.US_PER_HOUR


def _ranked(frame: pd.DataFrame, figures: list[str], names: list[str]) -> pd.DataFrame:
    """Order rows by falling figures, equal ones by names."""
    falling = [False] * len(figures) + [True] * len(names)
    return frame.sort_values(figures + names, ascending=falling, ignore_index=True)
