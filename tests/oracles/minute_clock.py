"""Business time by counting: one minute after another, each asked what the wall clock shows.

Imports nothing of the project; zones come from the standard library's zoneinfo.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MINUTE = dt.timedelta(minutes=1)


def is_open(
    minute: dt.datetime, hours: Mapping[int, Sequence[tuple[str, str]]], closed: Collection[dt.date]
) -> bool:
    """`hours`: ISO weekday (Monday 1) → ("08:00", "18:00") pairs; `minute` in local time."""
    if minute.date() in closed:
        return False
    shown = f"{minute.hour:02d}:{minute.minute:02d}"
    return any(opens <= shown < closes for opens, closes in hours.get(minute.isoweekday(), ()))


def count_minutes(
    start: dt.datetime,
    end: dt.datetime,
    *,
    zone: str,
    hours: Mapping[int, Sequence[tuple[str, str]]],
    closed: Collection[dt.date] = (),
) -> int:
    """Count the open minutes in [start, end); both are whole UTC minutes."""
    local, minute, found = ZoneInfo(zone), start, 0
    while minute < end:
        found += is_open(minute.astimezone(local), hours, closed)
        minute += MINUTE
    return found
