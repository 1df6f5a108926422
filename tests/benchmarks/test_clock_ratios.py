"""How many intervals a second does the business clock measure, and against what?

Against `holidays` + `numpy.busday_count`, the usual way by hand: whole days from busday_count, the
parts of the first and the last day cut to the opening hours. It can do no more than one interval a
day of one length in one constant offset, so that is what both do here: an office in UTC with the
holidays of Bavaria. The results are equal. Printed beside it: calendars that only we can do (a
zone, a lunch break), amounts added, and pauses.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import holidays
import numpy as np
import pytest
from benchmarks.turns import seconds

from process_mining import schema as s
from process_mining.clock import (
    Calendar,
    HolidayRule,
    Pauses,
    add_business_us,
    business_us,
    due_us,
    paused_us,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.conftest import Tell

    from process_mining.eventlog import Ints

pytestmark = pytest.mark.benchmark

N = 2_000_000
TURNS = 5
RULE = HolidayRule("DE", "BY", ("public", "catholic"))
OPENS, CLOSES = 8 * 60, 18 * 60
OFFICE = Calendar("office", "UTC", (((OPENS, CLOSES),),) * 5 + ((),) * 2, holidays=RULE)
SPLIT = Calendar("split", "Europe/Berlin", (((480, 720), (780, 1080)),) * 6 + ((),), holidays=RULE)


def moments() -> tuple[Ints, Ints]:
    """Two million tickets of up to 30 days, over four years."""
    rng = np.random.default_rng(3)
    first = np.datetime64("2021-01-01", "us").astype(np.int64)
    start = first + rng.integers(0, 4 * 365 * s.US_PER_DAY, N)
    return start, start + rng.integers(0, 30 * s.US_PER_DAY, N)


def by_hand(start: Ints, end: Ints) -> Ints:
    """Open time by busday_count: days between, and the open part of the first and last day."""
    years = range(2020, 2027)
    days = holidays.country_holidays(
        RULE.country, subdiv=RULE.subdivision, years=years, categories=RULE.categories
    )
    closed = np.array(sorted(days), "datetime64[D]")
    first, last = start // s.US_PER_DAY, end // s.US_PER_DAY
    dates = first.astype("datetime64[D]"), last.astype("datetime64[D]")
    between = np.busday_count(*dates, holidays=closed)
    length = (CLOSES - OPENS) * s.US_PER_MINUTE
    parts = []
    for moment, day, date in zip((start, end), (first, last), dates, strict=True):
        since = moment - day * s.US_PER_DAY - OPENS * s.US_PER_MINUTE
        parts.append(np.clip(since, 0, length) * np.is_busday(date, holidays=closed))
    return np.asarray(between * length + parts[1] - parts[0])


def test_business_time_against_busday_count(tell: Tell) -> None:
    start, end = moments()
    ours, theirs = partial(business_us, start, end, OFFICE), partial(by_hand, start, end)
    assert (ours() == theirs()).all()
    turns = [(seconds(ours), seconds(theirs)) for _ in range(TURNS)]
    own, other = (median(column) for column in zip(*turns, strict=True))
    tell(
        f"business time: {other / own:.1f} times as fast as holidays + numpy.busday_count "
        f"({N / own:,.0f} against {N / other:,.0f} intervals a second; n = {N:,}, "
        f"median of {TURNS} turns)"
    )


def test_what_only_the_clock_can_do(tell: Tell) -> None:
    start, end = moments()
    amount = business_us(start, end, SPLIT)
    rng = np.random.default_rng(4)
    owner = rng.integers(0, N, N)
    begin = start[owner] + rng.integers(0, 10 * s.US_PER_DAY, N)
    pauses = Pauses(owner, begin, begin + rng.integers(0, 3 * s.US_PER_DAY, N))
    work: dict[str, Callable[[], Ints]] = {
        "a zone and two shifts a day": partial(business_us, start, end, SPLIT),
        "adding an amount": partial(add_business_us, start, amount, SPLIT),
        "taking an amount back": partial(add_business_us, end, -amount, SPLIT),
        f"{N:,} pauses": partial(paused_us, start, end, pauses, SPLIT),
        f"due with {N:,} pauses": partial(due_us, start, amount, pauses, SPLIT),
    }
    for name, do in work.items():
        do()
        took = median(seconds(do) for _ in range(TURNS))
        tell(f"{name}: {N / took:,.0f} intervals a second (n = {N:,}, median of {TURNS} turns)")
