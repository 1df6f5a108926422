"""How are promises of time said to a reader? The same words on every page and in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.report.drawings.attained import Period
from csi.report.words import duration, number, percent, range_of_shares
from process_mining import schema as s
from process_mining.clock import WEEKDAYS
from rules.durations import duration_words

if TYPE_CHECKING:
    import datetime as dt

    from process_mining.clock import Calendar

Row = dict[str, Any]
LEAST: Final = 5
LONG_H: Final = 100
FEWER: Final = "fewer than 5"
NOBODY: Final = "(not said)"
CHECKS: Final = {
    "not-allowed": "A pause that the agreement does not allow",
    "short-before-breach": "Several short pauses with little of the limit left",
    "after-answer": "A pause that went on after the customer had answered",
    "just-before-due": "A pause that began just before the limit",
    "same-state-again": "A pause followed by the same pause again",
    "eased-before-breach": "A priority changed to one with more time, late",
}
COUNTED: Final = {
    "as recorded": "as recorded",
    "only allowed pauses": "had pauses that are not allowed counted",
    "nothing paused": "had every pause counted",
}


def attained_words(row: Row) -> str:
    """Say an attainment with its interval, or between which ends it lies."""
    if row["verdict"] == FEWER:
        return FEWER
    if row["low"] is None or row["high"] is None:
        return "none decided"
    if row["rate"] is None:
        return f"within {range_of_shares(row['low'], row['high'])}"
    return percent(row["rate"], (row["low"], row["high"]))


def period_of(row: Row) -> Period:
    """A month as a point; one with few decided clocks has none."""
    enough = row["n"] is not None and row["n"] >= LEAST and row["rate"] is not None
    ends = (row["rate"], row["low"], row["high"]) if enough else (None, None, None)
    return Period(row["month"], row["n"] or 0, *ends)


def aim_words(objective: float) -> str:
    """Say an objective as it was agreed: "95 %", "99.9 %"."""
    return f"{100 * objective:.6g} %"


def open_time(us: int) -> str:
    """Say open time of a calendar, in hours: nobody means 24 open hours by a day."""
    if us < 0:
        return f"\N{MINUS SIGN}{open_time(-us)}"
    if us < s.US_PER_HOUR:
        return duration(us)
    hours, rest = divmod(round(us / s.US_PER_MINUTE), 60)
    return f"{number(hours)} h" + (f" {rest} min" if rest and hours < LONG_H else "")


def when(at: dt.datetime | None) -> str:
    """Say a moment to the minute; "" where there is none."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def limit_words(row: Row) -> str:
    """Say a limit and the calendar that it counts in."""
    return f"{duration_words(row['limit_us'])} ({row['calendar']})"


def counted(n: int | None) -> str:
    """Say a count; one of a group that is too small is not said."""
    return FEWER if n is None else number(n)


def calendar_words(calendar: Calendar) -> str:
    """Say when a calendar is open."""
    days = [_hours(day) for day in calendar.hours]
    if set(days) == {"00:00-24:00"} and calendar.holidays is None:
        return "Always open."
    spans: list[tuple[str, str, str]] = []
    for name, said in zip(WEEKDAYS, days, strict=True):
        day = name[:3].capitalize()
        if spans and spans[-1][2] == said:
            spans[-1] = (spans[-1][0], day, said)
        else:
            spans.append((day, day, said))
    said = ", ".join(
        f"{first}{f' to {last}' if last != first else ''} {hours}"
        for first, last, hours in spans
        if hours
    )
    rule = calendar.holidays
    holidays = "" if rule is None else f", closed on holidays of {rule.country} {rule.subdivision}"
    extra = len(calendar.extra_closures) + len(calendar.extra_openings)
    more = f", {extra} more closures or openings" if extra else ""
    return f"{said} ({calendar.zone}){holidays.rstrip()}{more}."


def _hours(day: tuple[tuple[int, int], ...]) -> str:
    return " and ".join(f"{_clock(opens)}-{_clock(closes)}" for opens, closes in day)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
