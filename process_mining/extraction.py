"""Did the way a log was extracted lose days of it, or shift its hours? Suspicions, by rule.

Nothing here knows what an activity means. Each function states the rule by which it suspects, and
its thresholds stand beside it; what it returns is for the quality gate to report.

Not found by these rules: a loss that is spread evenly, a shift that concerns every time of a log in
the same way, gaps of a desk with few tickets.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining import schema as s
from process_mining.clock import load_zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import numpy.typing as npt

    from process_mining.eventlog import Codes, Ints

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

WEEK: Final = 7
REFERENCE_WEEKS: Final = 8
FEWEST_WEEKS: Final = 4
FEWEST_A_DAY: Final = 10
SILENT: Final = 0.05
RECOVERED: Final = 0.5
STRETCH: Final = 3
ARRIVING: Final = 0.5
LOOK_BACK_DAYS: Final = 28

HALF_HOUR_US: Final = 30 * s.US_PER_MINUTE
FARTHEST_US: Final = 14 * s.US_PER_HOUR
FEWEST_SHIFTED: Final = 3
OVER_CHANCE: Final = 5
PROFILE_DAYS: Final = 28
PROFILE_EVENTS: Final = 500
CLEARLY: Final = 0.5
BINS: Final = 48

OUTLYING_FROM: Final = 100
OUTLYING_GAP_US: Final = 366 * s.US_PER_DAY

CASES_FEWEST: Final = 30
USUAL_END: Final = 0.01


@dataclass(frozen=True, eq=False)
class Collapse:
    """Days on which a log fell nearly silent: the first, the day after the last, and its cases.

    Days count from 1970-01-01 UTC. `cases` has one entry a case of the log.
    """

    first: int
    end: int
    cases: Bools


def collapses(at: Ints, offsets: Ints, activity: Codes) -> list[Collapse]:
    """Return the stretches in which the volume falls for no reason that the log shows.

    A day is silent where it has at most `SILENT` of its reference, the median of the same weekday
    in the `REFERENCE_WEEKS` weeks before, and that reference is at least `FEWEST_A_DAY`. A stretch
    is at least `STRETCH` such days in a row (days without a reference between them do not part
    them) and lasts until a day reaches `RECOVERED` of the last reference. Where the log never
    recovers it is a suspicion only if tickets still arrived in the week before (at least
    `ARRIVING` of their own reference): where arrivals had stopped earlier, the tickets of a
    selection simply come to their end.

    Concerned are the cases that span the stretch, those that were active in the `LOOK_BACK_DAYS`
    days before and never again, and those that first appear in as many days after; but not a case
    that ends with an activity which mostly ends cases, nor one that begins with such that mostly
    begins them.
    """
    if not len(at):
        return []
    days = at // s.US_PER_DAY
    first = int(days.min())
    counts = np.bincount(days - first)
    filled = np.diff(offsets) > 0
    first_of, last_of = offsets[:-1][filled], offsets[1:][filled] - 1
    begins, ends = days[first_of], days[last_of]
    begun, ended = _mostly(activity, first_of), _mostly(activity, last_of)
    arrivals = np.bincount(begins - first, minlength=len(counts))
    found = []
    for start, stop in _stretches(counts):
        trailing = stop == len(counts)
        if trailing and not _still_arriving(arrivals, start):
            continue
        before, after = begins < first + start, ends >= first + stop
        broken_off = before & ~after & ~ended & (ends >= first + start - LOOK_BACK_DAYS)
        begun_after = ~begun & (begins >= first + stop) & (begins < first + stop + LOOK_BACK_DAYS)
        cases = np.zeros(len(filled), dtype=bool)
        cases[filled] = (before & after) | broken_off | begun_after
        found.append(Collapse(first + start, first + stop, cases))
    return found


def _mostly(activity: Codes, places: Ints) -> Bools:
    """Tell for each place whether its activity stands at such places more often than elsewhere."""
    codes = np.maximum(activity, 0)
    in_all, here = np.bincount(codes), np.bincount(codes[places], minlength=int(codes.max()) + 1)
    usual: Bools = 2 * here[codes[places]] > in_all[codes[places]]
    return usual


def _stretches(counts: Ints) -> list[tuple[int, int]]:
    """Return (first day, day after the last) of every silent stretch, in order."""
    found, day = [], FEWEST_WEEKS * WEEK
    while day < len(counts):
        reference = _references(counts, day)
        silent = _silent_run(counts, reference, day)
        if silent < STRETCH:
            day += 1
            continue
        stop = day
        while stop < len(counts) and not _has_recovered(counts, reference, day, stop):
            stop += 1
        found.append((day, stop))
        day = stop + 1
    return found


def _references(counts: Ints, day: int) -> Floats:
    """The median of each weekday (by distance from `day`, modulo 7) in the weeks before `day`."""
    back = counts[max(0, day - REFERENCE_WEEKS * WEEK) : day]
    back = back[len(back) % WEEK :].reshape(-1, WEEK)
    medians: Floats = np.median(back, axis=0)
    return medians


def _silent_run(counts: Ints, reference: Floats, day: int) -> int:
    """How many days with a reference are silent in a row from `day` on, which must be one."""
    if reference[0] < FEWEST_A_DAY:
        return 0
    run = 0
    for later in range(day, len(counts)):
        usual = reference[(later - day) % WEEK]
        if usual < FEWEST_A_DAY:
            continue
        if counts[later] > SILENT * usual:
            return run
        run += 1
        if run >= STRETCH:
            return run
    return run


def _has_recovered(counts: Ints, reference: Floats, day: int, later: int) -> bool:
    usual = reference[(later - day) % WEEK]
    return bool(usual >= FEWEST_A_DAY and counts[later] >= RECOVERED * usual)


def _still_arriving(arrivals: Ints, start: int) -> bool:
    """Whether tickets arrived in the week before a day as they had in the weeks before that."""
    week = arrivals[start - WEEK : start].sum()
    back = arrivals[max(0, start - (REFERENCE_WEEKS + 1) * WEEK) : start - WEEK]
    weeks = back[len(back) % WEEK :].reshape(-1, WEEK).sum(axis=1)
    return bool(len(weeks) and week >= ARRIVING * np.median(weeks) > 0)


def shifted_cases(first: Floats, stated: Floats, unit_us: int) -> Bools:
    """Tell the cases whose stated time differs from their first event by whole half hours.

    Two columns of one tool agree or differ by what people did in between; a difference of exactly
    k half hours (up to 14 hours) is a zone. Chance alone makes unit / 30 minutes of all differences
    such; it is a suspicion where there are at least `FEWEST_SHIFTED`, and `OVER_CHANCE` times
    more than chance makes. NaN where a case lacks one of the times.
    """
    difference = np.where(np.isnan(first) | np.isnan(stated), 0, first - stated)
    near = (difference != 0) & (np.abs(difference) <= FARTHEST_US)
    shifted: Bools = near & (difference % HALF_HOUR_US == 0)
    expected = near.sum() * min(1.0, max(unit_us, 1) / HALF_HOUR_US)
    if shifted.sum() < FEWEST_SHIFTED or shifted.sum() <= OVER_CHANCE * expected:
        return np.zeros(len(first), dtype=bool)
    return shifted


def clock_changes_against_profile(at: Ints, zone: str) -> list[int]:
    """Return the clock changes (µs UTC) across which the day's profile jumps in the declared zone.

    People come to work by the local clock, so the profile of local times stays where it is when
    clocks change. Where it moves back by as much as the clocks gained, the times were written in
    another zone. Compared: the shares of half hours in the `PROFILE_DAYS` days before and after, at
    least `PROFILE_EVENTS` events each; a jump is one that a shift back explains `CLEARLY` better
    than no shift (total variation distance).
    """
    if not len(at):
        return []
    local = load_zone(zone)
    span = PROFILE_DAYS * s.US_PER_DAY
    jumps = []
    for change, gained in _changes(local, int(at.min()), int(at.max())):
        before = at[(at >= change - span) & (at < change)] + _offset_us(local, change - 1_000_000)
        after = at[(at >= change) & (at < change + span)] + _offset_us(local, change)
        if min(len(before), len(after)) < PROFILE_EVENTS:
            continue
        bins = round(gained / HALF_HOUR_US)
        still = _distance(before, after, 0)
        if still > 0 and _distance(before, after, bins) < CLEARLY * still:
            jumps.append(change)
    return jumps


def _distance(before: Ints, after: Ints, shift: int) -> float:
    one, other = (
        np.bincount(times % s.US_PER_DAY // HALF_HOUR_US, minlength=BINS) / len(times)
        for times in (before, after)
    )
    return float(np.abs(one - np.roll(other, shift)).sum() / 2)


def _changes(zone: ZoneInfo, first_us: int, last_us: int) -> list[tuple[int, int]]:
    """The clock changes between two times, to the hour, with what the local clock gained (µs)."""
    found = []
    hours = range(first_us // s.US_PER_HOUR, last_us // s.US_PER_HOUR + 1, 24)
    for hour in hours:
        start, end = hour * s.US_PER_HOUR, (hour + 24) * s.US_PER_HOUR
        gained = _offset_us(zone, end) - _offset_us(zone, start)
        if gained:
            moment = next(
                at
                for at in range(start, end + 1, s.US_PER_HOUR)
                if _offset_us(zone, at) != _offset_us(zone, start)
            )
            found.append((moment, gained))
    return found


def _offset_us(zone: ZoneInfo, at: int) -> int:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=at)
    offset = moment.astimezone(zone).utcoffset() or dt.timedelta()
    return offset // dt.timedelta(microseconds=1)


def outlying(at: Ints) -> Bools:
    """Tell the events that lie more than a year before or after all others.

    Only where there are at least `OUTLYING_FROM` events, and at most one in a thousand lies there.
    """
    if len(at) < OUTLYING_FROM:
        return np.zeros(len(at), dtype=bool)
    ordered = np.sort(at)
    torn = np.flatnonzero(np.diff(ordered) > OUTLYING_GAP_US)
    few = max(1, len(at) // 1_000)
    early = [int(ordered[place]) for place in torn if place + 1 <= few]
    late = [int(ordered[place + 1]) for place in torn if len(at) - place - 1 <= few]
    out = np.zeros(len(at), dtype=bool)
    if early:
        out |= at <= max(early)
    if late:
        out |= at >= min(late)
    return out


def truncated_last_case(case: Codes, activity: Codes, at: Ints) -> int:
    """Return the row of a table's last case if it seems to be cut, else -1; codes in row order.

    Only tables tell in which every case stands together, of at least `CASES_FEWEST` cases: an
    export that stops at a limit stops inside its last case. It seems cut where it ends with an
    activity that less than `USUAL_END` of the other cases end with.
    """
    starts = np.flatnonzero(np.diff(case, prepend=-1))
    if len(starts) < CASES_FEWEST or len(starts) != np.count_nonzero(np.bincount(case)):
        return -1
    latest = np.repeat(np.maximum.reduceat(at, starts), np.diff(np.append(starts, len(at))))
    last = np.maximum.reduceat(np.where(at == latest, np.arange(len(at)), -1), starts)
    ends = activity[last]
    usual = float(np.mean(ends[:-1] == ends[-1]))
    return int(last[-1]) if usual < USUAL_END else -1
