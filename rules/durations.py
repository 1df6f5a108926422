"""How long is "4h"? Durations as rule files, targets and examples write them.

A duration is a whole number and one unit: `s` second, `m` minute, `h` hour, `d` day of 24 hours,
`w` week of 7 such days. Inside it is int64 microseconds. Whether those microseconds are elapsed or
business time is the calendar's matter. Nobody means 24 open hours by a day, so a rule gives days
and weeks only for the calendar that never closes, and open hours for every other one (five days
of ten open hours are "50h").
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from process_mining import schema as s
from process_mining.clock import ALWAYS

UNIT_US: Final = {
    "s": s.US_PER_SECOND,
    "m": s.US_PER_MINUTE,
    "h": s.US_PER_HOUR,
    "d": s.US_PER_DAY,
    "w": 7 * s.US_PER_DAY,
}
_EPOCH: Final = dt.date(1970, 1, 1)
PATTERN: Final = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)


def parse_duration(text: object) -> int:
    """Return the microseconds of a text like "90m"; ValueError says what is accepted."""
    found = PATTERN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        msg = f"{text!r} is no duration: write a whole number and s, m, h, d or w, like '4h'"
        raise ValueError(msg)
    return int(found[1]) * UNIT_US[found[2]]


def format_duration(us: int) -> str:
    """Write microseconds in the largest unit up to days that divides them: '4h', '90m', '5d'."""
    for unit in ("d", "h", "m"):
        if us and us % UNIT_US[unit] == 0:
            return f"{us // UNIT_US[unit]}{unit}"
    return f"{us / UNIT_US['s']:g}s"


def midnight_us(day: dt.date) -> int:
    """Return when a day begins in UTC, in microseconds since 1970-01-01."""
    return (day - _EPOCH).days * s.US_PER_DAY


def refuse_days(params: object, *, limit: str) -> object:
    """Raise ValueError where a rule's raw parameters give days for a calendar that closes."""
    if isinstance(params, dict) and params.get("calendar") != ALWAYS.name:
        text = params.get(limit)
        if isinstance(text, str) and text[-1:] in ("d", "w"):
            msg = f"{limit} '{text}' in a calendar that closes: write open hours, like '50h'"
            raise ValueError(msg)
    return params


def duration_words(us: int) -> str:
    """Write microseconds as hours, minutes and seconds; never days, for a business day has no 24 h.

    >>> duration_words(180_060_000_000)
    '50 h 1 min'
    """
    if us == 0:
        return "0 s"
    seconds, parts = abs(us) // s.US_PER_SECOND, []
    for name, size in (("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    sign = "-" if us < 0 else ""
    return sign + " ".join(parts) if parts else "under 1 s"


_Written = Annotated[str, Field(pattern=r"^[0-9]{1,6}[smhdw]$", examples=["4h"])]
Duration = Annotated[
    int, Field(gt=0), BeforeValidator(parse_duration, json_schema_input_type=_Written)
]
