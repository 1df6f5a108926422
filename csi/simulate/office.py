"""When is work done, and when has so much work been done?

The simulated desk keeps office hours: 08:00-18:00 UTC, Monday to Friday, no holidays. Times are
whole seconds since 1970-01-01 UTC; amounts are seconds of opening time. The arithmetic is the
simulation's own (day by day, integers), so that the truth table does not rest on the clock that
is tested with it. Opening hours are half-open: 18:00:00 is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEKDAY_OF_EPOCH: Final = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True)
class Hours:
    """Daily opening hours (seconds from midnight) on the first `days` days of each week."""

    opens: int
    closes: int
    days: int

    def is_open_day(self, day: int) -> bool:
        """Tell whether the day (counted from 1970-01-01) is a working day."""
        return (day + WEEKDAY_OF_EPOCH) % 7 < self.days

    def add(self, at: int, amount: int) -> int:
        """Return the moment at which `amount` seconds of opening time have passed since `at`."""
        day, second = divmod(at, DAY)
        left, second = amount, max(second, self.opens)
        while not self.is_open_day(day) or left > self.closes - second:
            if self.is_open_day(day):
                left -= max(0, self.closes - second)
            day, second = day + 1, self.opens
        return day * DAY + second + left

    def between(self, start: int, end: int) -> int:
        """Return the opening time, in seconds, in the half-open span from `start` to `end`."""
        total = 0
        for day in range(start // DAY, end // DAY + 1):
            if self.is_open_day(day):
                first = max(start, day * DAY + self.opens)
                total += max(0, min(end, day * DAY + self.closes) - first)
        return total


OFFICE: Final = Hours(opens=8 * HOUR, closes=18 * HOUR, days=5)
ALWAYS: Final = Hours(opens=0, closes=DAY, days=7)
