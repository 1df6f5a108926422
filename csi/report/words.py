"""How are numbers said to a reader? One way each, the same in every report, drawing and notebook.

Durations are int64 microseconds, days have 24 hours. Rounding is to the nearest, ties to even
(integers, so no float can tip it). A share is never rounded to 0 % or 100 % unless it is exactly
that: "100.0 %" would hide the last deviating case.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from process_mining import schema as s

_UNITS: Final = (
    ("d", s.US_PER_DAY),
    ("h", s.US_PER_HOUR),
    ("min", s.US_PER_MINUTE),
    ("s", s.US_PER_SECOND),
)
_DAYS_ALONE: Final = 10


def duration(us: int) -> str:
    """Say a duration in its two largest units: "2 h 5 min", "3 d 4 h", "12 d", "45 s".

    From ten days on, whole days; under a second, "under 1 s"; a negative one has a minus sign.
    """
    if us < 0:
        return f"\N{MINUS SIGN}{duration(-us)}"
    if us < s.US_PER_SECOND:
        return "under 1 s" if us else "0 s"
    for (name, unit), (small_name, small) in zip(_UNITS, (*_UNITS[1:], ("", 0)), strict=True):
        if small and _rounded(us, small) * small >= unit:
            return _in_two(_rounded(us, small), unit // small, name, small_name)
    return f"{_rounded(us, s.US_PER_SECOND)} s"


def moment(us: int) -> str:
    """Write a time, int64 microseconds since 1970 UTC, as ISO 8601: "2025-06-30T16:05:00Z"."""
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)
    return at.isoformat().replace("+00:00", "Z")


def number(value: float, digits: int = 1) -> str:
    """Say a number with thousands separators; one that is no integer with `digits` decimals."""
    shown = f"{value:,d}" if isinstance(value, int) else f"{value:,.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def percent(share: float, interval: tuple[float, float] | None = None) -> str:
    """Say a share: "93.4 %", with its interval "93.4 % (91.0 to 95.2 %)"."""
    said = f"{_percent(share)} %"
    if interval is None:
        return said
    low, high = interval
    return f"{said} ({_percent(low)} to {_percent(high)} %)"


def range_of_shares(low: float, high: float) -> str:
    """Say an interval of shares: "91.0 to 95.2 %"."""
    return f"{_percent(low)} to {_percent(high)} %"


def score(value: float) -> str:
    """Say a figure from 0 to 1: "0.934"; one that is not exactly 1 is not rounded to it."""
    shown = f"{value:.3f}"
    return "over 0.999" if shown == "1.000" and value < 1 else shown


def plural(n: int, one: str, many: str | None = None) -> str:
    """Say a count with its noun: "1 case", "1,234 cases", "2 entries"."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def _rounded(us: int, unit: int) -> int:
    """Return the nearest number of units, ties to even."""
    whole, rest = divmod(us, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def _in_two(count: int, per_unit: int, name: str, small_name: str) -> str:
    whole, rest = divmod(count, per_unit)
    if name == "d" and whole >= _DAYS_ALONE:
        return f"{number(_rounded(count, per_unit))} d"
    return f"{whole} {name} {rest} {small_name}" if rest else f"{whole} {name}"


def _percent(share: float) -> str:
    shown = f"{share * 100:.1f}"
    if shown == "100.0" and share < 1:
        return "over 99.9"
    if shown == "0.0" and share > 0:
        return "under 0.1"
    return shown
