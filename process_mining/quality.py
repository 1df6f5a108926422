"""How far can this log be trusted: what is wrong with it, how much of it, and what follows?

`inspect(log)` looks for known defects of ticket exports and counts each: how many of how many
events or cases, the first examples, and which facts it makes unknown. Nothing is dropped or
mended; whoever judges decides what an unknown fact means for a verdict. No policy: activities are
compared with each other, never with words of a practice.

A defect is reported when its count is above zero (QG106, QG121, QG122, QG140 and QG141 have
thresholds, stated beside them). Order: by code, then subject. Examples are the first in log order.

What a defect can make unknown is a fact of a case. Verdicts rest on these:

    order      which of two events came first
    time       when something happened, and so how long anything took
    recorded   as `time`, but only ever later than it happened
    start, middle, end    whether something more happened before, between or after what is seen
    count      how often something happened
    words      which step a word stands for that the vocabulary does not map
    actor, team, priority    judged by the rules themselves, from what is there

and these are facts that no verdict reads, but figures and people may: `opened`, `resolved`,
`closed`, and `known_then` (what was known at the time of an event). `Quality.doubts` says for which
cases each fact is in doubt; `rules.check` turns verdicts that hang on one into UNKNOWN.

What only the reader of a file can see (QG109 to QG111, QG123, QG145 to QG152) it hands over in
`LogMeta.seen`.

Complexity: O(n log n) on whole columns. Not checked: the meaning of texts, gaps in the middle of
a log, times in the future (a log has no today).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.clock import wall_us
from process_mining.extraction import (
    clock_changes_against_profile,
    collapses,
    outlying,
    shifted_cases,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints, Unit

    Bools = npt.NDArray[np.bool_]

EXAMPLES: Final = 3
LONGEST_US: Final = 60 * 366 * s.US_PER_DAY
COARSE_US: Final = s.US_PER_MINUTE
TIED_SHARE: Final = 0.01
BULK_CASES: Final = 30
BULK_FACTOR: Final = 20
FIRST_SHARE: Final = 0.5
FOLLOW_UP_SHARE: Final = 0.5
ROUND_COUNTS: Final = frozenset(
    {1_000, 5_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 65_535, 1_048_575}
)
# Instants that tools write when they have none: year 1, SQL Server's and Excel's first days, 1970.
PLACEHOLDERS_US: Final = (
    -62_135_596_800_000_000,
    -6_847_804_800_000_000,
    -2_208_988_800_000_000,
    0,
)
LAST_YEAR_US: Final = 253_370_764_800_000_000


ORDER: Final = "order"
TIME: Final = "time"
RECORDED: Final = "recorded"
START: Final = "start"
MIDDLE: Final = "middle"
END: Final = "end"
COUNT: Final = "count"
WORDS: Final = "words"
# Facts that verdicts rest on, and that a defect puts in doubt for the cases that it concerns.
DOUBTFUL: Final = frozenset({ORDER, TIME, RECORDED, START, MIDDLE, END, COUNT, WORDS})
# Facts that rules read themselves: where one is missing they say UNKNOWN without being told.
READ_BY_RULES: Final = frozenset({"actor", "team", "priority"})
UNDECLARED_ORDER: Final = "QG124"
COARSE_CLOCK: Final = "QG120"
CHANGED_CLOCK: Final = "QG111"
PLACEHOLDER_TIME: Final = "QG113"


class _Kind(NamedTuple):
    name: str
    unknown: tuple[str, ...]
    explanation: str


KINDS: Final = {
    "QG101": _Kind(
        "duplicate-events", (COUNT,), "events equal to another of their case in every column"
    ),
    "QG102": _Kind(
        "closed-before-opened",
        ("opened", "closed", TIME, ORDER),
        "cases closed before they were opened",
    ),
    "QG103": _Kind(
        "resolved-before-opened",
        ("opened", "resolved", TIME, ORDER),
        "cases resolved before they were opened",
    ),
    "QG104": _Kind(
        "closed-before-resolved",
        ("resolved", "closed", TIME, ORDER),
        "cases closed before they were resolved",
    ),
    "QG105": _Kind(
        "event-before-opened", ("opened", TIME), "cases with an event before they were opened"
    ),
    "QG106": _Kind(
        "event-after-closed",
        ("closed",),
        "cases in which, after they were closed, something happens that mostly comes before",
    ),
    "QG107": _Kind(
        "resolved-without-event",
        ("resolved",),
        "cases resolved at a time at which no event of theirs stands",
    ),
    "QG108": _Kind(
        "closed-without-event",
        ("closed",),
        "cases closed at a time at which no event of theirs stands",
    ),
    "QG109": _Kind(
        "back-filled-time", ("known_then",), "events with a case time that lies after them"
    ),
    "QG110": _Kind(
        "order-against-time",
        (ORDER, TIME),
        "the declared order and the times disagree; the log follows the times",
    ),
    "QG111": _Kind(
        "clock-change-decided",
        (TIME,),
        "local times that a clock change left open were read by policy",
    ),
    "QG112": _Kind("no-times", (TIME,), "events without a time: the log knows their order only"),
    "QG113": _Kind(
        "placeholder-time",
        (TIME, ORDER),
        "events with a time that tools write when they have none",
    ),
    "QG120": _Kind(
        "coarse-clock",
        (TIME,),
        "all times are whole multiples of a coarse unit, so shorter times cannot be told",
    ),
    "QG121": _Kind(
        "equal-times", (), "events that share case and time with another: the declared order counts"
    ),
    "QG122": _Kind(
        "bulk-edits",
        (RECORDED,),
        "minutes in which far more cases changed than usual: a batch job or a mass edit",
    ),
    "QG123": _Kind(
        "date-only", (), "times that are dates without a clock, read as the start of the day"
    ),
    "QG124": _Kind(
        "undeclared-order",
        (ORDER,),
        "cases in which events share a time and the source declares no order among them",
    ),
    "QG130": _Kind("missing-actor", ("actor",), "events that name no actor"),
    "QG131": _Kind("missing-team", ("team",), "events that name no team"),
    "QG132": _Kind("missing-priority", ("priority",), "cases without a priority"),
    "QG140": _Kind(
        "round-row-count",
        (START, MIDDLE, END),
        "exactly a round number of rows: exports are cut at such limits",
    ),
    "QG141": _Kind(
        "unusual-start",
        (),
        "cases that start otherwise than most: their first events may be missing",
    ),
    "QG142": _Kind(
        "opened-before-log",
        (START,),
        "cases opened before the first event of the log: their first events are missing",
    ),
    "QG143": _Kind("single-event-case", (), "cases with one event only"),
    "QG144": _Kind(
        "case-without-events",
        (START, MIDDLE, END),
        "cases of the case table without any event",
    ),
    "QG145": _Kind(
        "history-cut-start",
        (START,),
        "cases with changes, but no record of how they were opened and in which state",
    ),
    "QG146": _Kind(
        "history-gap",
        (MIDDLE,),
        "cases with a change that starts from another state than the one before it ended in",
    ),
    "QG147": _Kind(
        "history-cut-end",
        (MIDDLE, END),
        "cases whose last known change does not lead to the state that they are in",
    ),
    "QG148": _Kind(
        "no-history",
        (MIDDLE, COUNT),
        "cases of which only opening, resolving and closing are known, not what was between",
    ),
    "QG149": _Kind(
        "changelog-cut",
        (START, MIDDLE, END),
        "cases of which the tool gave fewer changes than it counts itself",
    ),
    "QG150": _Kind(
        "zone-shift",
        (TIME,),
        "times that look as if they were read in another zone than they were written in",
    ),
    "QG151": _Kind(
        "convergence", (COUNT,), "events that belong to several cases and count in each"
    ),
    "QG152": _Kind(
        "truncated-last-case",
        (END,),
        "the last case of a file in which every case stands together does not end as others do",
    ),
    "QG153": _Kind(
        "extraction-collapse",
        (START, MIDDLE, END),
        "days on which the log falls nearly silent, and no step of the process explains it",
    ),
    "QG154": _Kind(
        "refused-rows",
        (START, MIDDLE, END),
        "rows that were refused and left out by leave: what they would have told is missing",
    ),
    "QG155": _Kind(
        "outlying-time",
        (TIME, ORDER),
        "events that lie more than a year from all others: their times are hardly meant",
    ),
    "QG160": _Kind(
        "unmapped-words",
        (WORDS,),
        "events with a word that the practice's vocabulary does not map",
    ),
}


@dataclass(frozen=True)
class Defect:
    """One defect: `count` of `of` units are concerned; `subject` says which column, where any.

    `cases` are the ids of the cases concerned, None where it is every case of the log; `minutes`
    (since 1970 UTC) narrow it to events in these minutes.
    """

    code: str
    name: str
    count: int
    of: int
    unit: Unit
    examples: tuple[str, ...]
    explanation: str
    makes_unknown: tuple[str, ...]
    subject: str = ""
    cases: pa.Array | None = field(default=None, compare=False, repr=False)
    minutes: Ints | None = field(default=None, compare=False, repr=False)

    @property
    def share(self) -> float:
        """The part of the log that is concerned, 0 to 1."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class Quality:
    """What the gate found; times in µs UTC, None where the log has none."""

    rows_in: int
    rejected: int
    events: int
    cases: int
    first_us: int | None
    last_us: int | None
    time_resolution_us: int
    defects: tuple[Defect, ...]
    notes: tuple[str, ...]

    def find(self, code: str) -> tuple[Defect, ...]:
        """Return the defects with this code."""
        return tuple(defect for defect in self.defects if defect.code == code)

    def doubts(self, allowed: Collection[str] = ()) -> tuple[Defect, ...]:
        """Return the defects that put a fact in doubt on which verdicts rest, but the allowed.

        QG111, QG120 and QG124 are left to `rules.check`, which sees them on the log that it judges.
        """
        own = {*allowed, COARSE_CLOCK, CHANGED_CLOCK, UNDECLARED_ORDER}
        return tuple(
            defect
            for defect in self.defects
            if defect.code not in own and (DOUBTFUL | READ_BY_RULES) & set(defect.makes_unknown)
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The facts that at least one defect makes unknown somewhere, sorted."""
        return tuple(sorted({fact for defect in self.defects for fact in defect.makes_unknown}))

    def to_pandas(self) -> pd.DataFrame:
        """One row a defect."""
        columns = ["code", "name", "subject", "count", "of", "unit", "share", "examples"]
        columns += ["explanation", "makes_unknown"]
        rows = [[getattr(defect, name) for name in columns] for defect in self.defects]
        return pd.DataFrame(rows, columns=columns)


def inspect(log: EventLog) -> Quality:
    """Return the counted, located and explained defects of a log."""
    gate = _Gate(log)
    found = [
        *gate.duplicates(),
        *gate.case_times(),
        *gate.event_times(),
        *gate.clock(),
        *gate.missing(),
        *gate.borders(),
        *gate.extraction(),
        *_seen(log),
    ]
    at = gate.at
    return Quality(
        rows_in=log.meta.rows_in or log.n_events,
        rejected=log.meta.rejects.num_rows,
        events=log.n_events,
        cases=log.n_cases,
        first_us=int(at.min()) if len(at) else None,
        last_us=int(at.max()) if len(at) else None,
        time_resolution_us=log.meta.time_resolution_us,
        defects=tuple(sorted(found, key=lambda defect: (defect.code, defect.subject))),
        notes=log.meta.notes,
    )


class _Hits(NamedTuple):
    """How many of how many units a defect concerns."""

    concerned: int
    of: int
    unit: Unit


def _defect(  # noqa: PLR0913 - what a defect says
    code: str,
    hits: _Hits,
    *,
    examples: tuple[str, ...] = (),
    subject: str = "",
    cases: pa.Array | None = None,
    minutes: Ints | None = None,
) -> Iterator[Defect]:
    """Yield the defect if anything is concerned; without `cases` every case is."""
    if hits.concerned:
        kind = KINDS[code]
        yield Defect(
            code=code,
            name=kind.name,
            count=hits.concerned,
            of=hits.of,
            unit=hits.unit,
            examples=examples,
            explanation=kind.explanation,
            makes_unknown=kind.unknown,
            subject=subject,
            cases=cases,
            minutes=minutes,
        )


def _seen(log: EventLog) -> Iterator[Defect]:
    """Yield what the reader of the files saw."""
    for seen in log.meta.seen:
        hits = _Hits(seen.count, log.n_events if seen.of is None else seen.of, seen.unit)
        examples = (seen.cases or ())[:EXAMPLES]
        cases = None if seen.cases is None else pa.array(seen.cases, pa.string())
        yield from _defect(seen.code, hits, examples=examples, subject=seen.subject, cases=cases)


class _Gate:
    """The columns that several checks share."""

    def __init__(self, log: EventLog) -> None:
        self.log, self.arrays = log, log.arrays
        self.lengths = np.diff(self.arrays.offsets)
        # Empty where the log has no times.
        self.at: Ints = self.arrays.at if log.timed else np.empty(0, np.int64)

    def duplicates(self) -> Iterator[Defect]:
        """QG101: of k equal events k - 1 are counted."""
        alike = self._tied(self.arrays.activity) if self.log.timed else np.zeros(0, bool)
        rows = self.log.events.filter(pa.array(alike)) if alike.any() else None
        if rows is None:
            return
        columns = [name for name in rows.column_names if name != s.SEQ]
        groups = rows.group_by(columns, use_threads=False).aggregate([([], "count_all")])
        again = groups.filter(pc.greater(groups["count_all"], 1))
        count = int(pc.sum(again["count_all"]).as_py() or 0) - again.num_rows
        cases = pa.array(sorted(set(again[s.CASE_ID].to_pylist())), pa.string())
        names = tuple(cases.slice(0, EXAMPLES).to_pylist())
        hits = _Hits(count, self.log.n_events, "events")
        yield from _defect("QG101", hits, examples=names, cases=cases)

    def case_times(self) -> Iterator[Defect]:
        """QG102 to QG104: case times against each other."""
        opened, resolved, closed = (self._case_time(n) for n in (s.OPENED, s.RESOLVED, s.CLOSED))
        yield from self._cases("QG102", _before(closed, opened))
        yield from self._cases("QG103", _before(resolved, opened))
        yield from self._cases("QG104", _before(closed, resolved))

    def event_times(self) -> Iterator[Defect]:
        """QG105 to QG108, QG112, QG113, QG155: case times, and times that are none."""
        if not self.log.timed:
            n = self.log.n_events
            yield from _defect("QG112", _Hits(n, n, "events"))
            return
        first = self._first_times()
        yield from self._cases("QG105", _before(first, self._case_time(s.OPENED)))
        yield from self._cases("QG106", self._goes_on(self._case_time(s.CLOSED)))
        yield from self._cases("QG107", self._without_event(self._case_time(s.RESOLVED)))
        yield from self._cases("QG108", self._without_event(self._case_time(s.CLOSED)))
        wall = wall_us(self.at, self.log.meta.timezone)
        empty = np.isin(self.at, PLACEHOLDERS_US) | np.isin(wall, PLACEHOLDERS_US)
        empty |= np.maximum(self.at, wall) >= LAST_YEAR_US
        yield from self._events("QG113", empty)
        yield from self._events("QG155", outlying(self.at) & ~empty)

    def clock(self) -> Iterator[Defect]:
        """QG120 to QG122, QG124: resolution, ties, and minutes that stand out."""
        n, unit_us = self.log.n_events, self.log.meta.time_resolution_us
        if self.log.timed and unit_us >= COARSE_US:
            subject = f"{unit_us // s.US_PER_MINUTE} min"
            yield from _defect("QG120", _Hits(n, n, "events"), subject=subject)
        if not len(self.at):
            return
        tied = self._tied(np.zeros_like(self.arrays.activity))
        if tied.mean() >= TIED_SHARE:
            yield from self._events("QG121", tied)
        known = self.log.cases[s.ORDER_KNOWN].to_numpy().astype(bool)
        yield from self._cases("QG124", ~known)
        yield from self._bulk()

    def missing(self) -> Iterator[Defect]:
        """QG130 to QG132: who, which team, how urgent."""
        yield from self._events("QG130", self.arrays.actor < 0)
        yield from self._events("QG131", self.arrays.team < 0)
        unset = self.log.cases[s.PRIORITY].is_null().to_numpy().astype(bool)
        yield from self._cases("QG132", unset)

    def borders(self) -> Iterator[Defect]:
        """QG140 to QG144: what the export may have cut off."""
        rows = self.log.meta.rows_in or self.log.n_events
        if rows in ROUND_COUNTS:
            yield from _defect("QG140", _Hits(rows, rows, "rows"))
        yield from self._cases("QG141", self._unusual_start())
        if len(self.at):
            opened, first = self._case_time(s.OPENED), self.at.min()
            yield from self._cases("QG142", _before(opened, np.full(len(opened), float(first))))
        yield from self._cases("QG143", self.lengths == 1)
        yield from self._cases("QG144", self.lengths == 0)

    def extraction(self) -> Iterator[Defect]:
        """QG150, QG153: hours that were shifted and days that were lost on the way out."""
        if not len(self.at):
            return
        unit_us, zone = self.log.meta.time_resolution_us, self.log.meta.timezone
        opened = self._case_time(s.OPENED)
        shifted = shifted_cases(self._first_times(), opened, unit_us)
        yield from self._cases("QG150", shifted, subject="opened, against the first event")
        if int(self.at.max()) - int(self.at.min()) > LONGEST_US:
            return  # a placeholder is among the times (QG113): days in between mean nothing
        jumps = clock_changes_against_profile(self.at, zone)
        names = tuple(f"{np.datetime64(jump, 'us').astype('datetime64[h]')}Z" for jump in jumps)
        hits = _Hits(len(jumps), len(jumps), "clock changes")
        subject = f"the day's profile jumps where clocks change in {zone}"
        yield from _defect("QG150", hits, examples=names, subject=subject)
        days = int(self.at.max() // s.US_PER_DAY - self.at.min() // s.US_PER_DAY) + 1
        for lost in collapses(self.at, self.arrays.offsets, self.arrays.activity):
            cases = self.log.cases[s.CASE_ID].filter(pa.array(lost.cases)).combine_chunks()
            first, last = (np.datetime64(day, "D") for day in (lost.first, lost.end - 1))
            hits = _Hits(lost.end - lost.first, days, "days")
            names = tuple(cases.slice(0, EXAMPLES).to_pylist())
            yield from _defect(
                "QG153", hits, examples=names, subject=f"{first} to {last}", cases=cases
            )

    def _cases(self, code: str, mask: Bools, *, subject: str = "") -> Iterator[Defect]:
        cases = self.log.cases[s.CASE_ID].filter(pa.array(mask)).combine_chunks()
        names = tuple(cases.slice(0, EXAMPLES).to_pylist())
        hits = _Hits(len(cases), self.log.n_cases, "cases")
        yield from _defect(code, hits, examples=names, subject=subject, cases=cases)

    def _events(self, code: str, mask: Bools) -> Iterator[Defect]:
        rows = pa.array(np.unique(self.arrays.case_of[mask]))
        cases = self.log.cases[s.CASE_ID].take(rows).combine_chunks()
        names = tuple(cases.slice(0, EXAMPLES).to_pylist())
        hits = _Hits(int(mask.sum()), self.log.n_events, "events")
        yield from _defect(code, hits, examples=names, cases=cases)

    def _case_time(self, name: str) -> npt.NDArray[np.float64]:
        """Return a case time in µs, NaN where unknown; exact for the years 1684 to 2255."""
        values: npt.NDArray[np.float64] = (
            self.log.cases[name].cast(pa.float64(), safe=False).to_numpy()
        )
        return values

    def _first_times(self) -> npt.NDArray[np.float64]:
        """Return each case's first time, NaN for a case without events."""
        first = np.full(len(self.lengths), np.nan)
        some = self.lengths > 0
        first[some] = self.at[self.arrays.offsets[:-1][some]]
        return first

    def _goes_on(self, closed: npt.NDArray[np.float64]) -> Bools:
        """QG106: tell the cases that go on after closing.

        An activity of which more than FOLLOW_UP_SHARE of the events, in cases with a closing time,
        come after it is follow-up, such as a survey: it belongs there and does not count.
        """
        ends = closed[self.arrays.case_of]
        code, n_codes = self.arrays.activity, len(self.arrays.activities)
        after = _before(ends, self.at.astype(np.float64)) & (code >= 0)
        judged = ~np.isnan(ends) & (code >= 0)
        in_all = np.bincount(code[judged], minlength=n_codes)
        late = np.bincount(code[after], minlength=n_codes)
        follow_up = np.append(late > FOLLOW_UP_SHARE * in_all, False)
        counted = after & ~follow_up[code]
        goes_on: Bools = np.bincount(self.arrays.case_of[counted], minlength=len(closed)) > 0
        return goes_on

    def _without_event(self, time: npt.NDArray[np.float64]) -> Bools:
        """Tell the cases whose time is known but stands on none of their events."""
        hit = self.at == time[self.arrays.case_of]
        counts = np.bincount(self.arrays.case_of[hit], minlength=len(time))
        without: Bools = (counts == 0) & ~np.isnan(time) & (self.lengths > 0)
        return without

    def _tied(self, key: npt.NDArray[np.int32]) -> Bools:
        """Tell the events that share case, time and key with another."""
        order = np.lexsort((key, self.at, self.arrays.case_of))
        columns = (self.arrays.case_of[order], self.at[order], key[order])
        same = np.all([np.diff(column) == 0 for column in columns], axis=0)
        tied = np.zeros(len(order), bool)
        tied[order] = np.append(same, False) | np.insert(same, 0, False)
        return tied

    def _bulk(self) -> Iterator[Defect]:
        """QG122: minutes with at least BULK_CASES cases and BULK_FACTOR times the median minute."""
        minutes = self.at // s.US_PER_MINUTE
        order = np.lexsort((self.arrays.case_of, minutes))
        minute, case = minutes[order], self.arrays.case_of[order]
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(minute) != 0) | (np.diff(case) != 0)
        which, cases = np.unique(minute[new], return_counts=True)
        bulk = cases >= max(BULK_CASES, BULK_FACTOR * float(np.median(cases)))
        worst = sorted(zip(-cases[bulk], which[bulk], strict=True))[:EXAMPLES]
        names = tuple(f"{np.datetime64(int(m), 'm')}Z: {-n} cases" for n, m in worst)
        hits = _Hits(int(bulk.sum()), len(which), "minutes")
        yield from _defect("QG122", hits, examples=names, minutes=which[bulk])

    def _unusual_start(self) -> Bools:
        """QG141: only judged where at least FIRST_SHARE of the cases start alike."""
        first = np.full(len(self.lengths), -3)
        some = self.lengths > 0
        first[some] = self.arrays.activity[self.arrays.offsets[:-1][some]]
        codes, counts = np.unique(first[some], return_counts=True)
        if not len(codes) or counts.max() < FIRST_SHARE * some.sum():
            return np.zeros(len(first), bool)
        unusual: Bools = some & (first != codes[counts.argmax()])
        return unusual


def _before(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Bools:
    """Tell where both are known and `a` is earlier."""
    earlier: Bools = np.less(a, b)
    return earlier
