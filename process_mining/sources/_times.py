"""Which instant does a stamp in a file mean?

Four kinds of format are read, and only what is declared:

- `iso`: ISO 8601, `2024-03-31T02:30:00.5+02:00`; date and clock are both required, `T` or one
  space between them, an offset as `Z`, `+02`, `+0200` or `+02:00`.
- `epoch_s`, `epoch_ms`: whole seconds or milliseconds since 1970-01-01 UTC.
- a pattern of strptime directives: %Y %m %d %b %B %H %I %p %M %S %f %z %%. Month names are
  English whatever the machine's locale. %y is refused: a century would be guessed.
- `iso_date` (2024-03-31), or a pattern without any directive of the clock: dates only. Such a stamp
  is read as 00:00 of that day in the declared zone; readers count it as coarse (QG123).

A stamp without an offset needs a declared zone. Local times that a clock change makes ambiguous
(they happened twice) or that never happened are refused unless the mapping declares a policy:
`ambiguous = "earlier" | "later"` picks one of the two instants; `nonexistent = "shift_forward"`
reads the stamp with the offset that was in force before the change, so 02:30 becomes 03:30 (as
java.time does). Method: PEP 495 folds; offset(fold 0) > offset(fold 1) is ambiguous, < is a gap.

The zone's rules come from the tzdata package, not from the machine, so that every machine reads
the same instants. Result: int64 microseconds since 1970-01-01 UTC, within the years 1 to 9999;
digits past the microsecond are cut. Seconds of 60 and hours of 24 are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from process_mining import clock
from process_mining.schema import US_PER_MINUTE, US_PER_SECOND
from process_mining.sources._rejects import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

ISO: Final = "iso"
ISO_DATE: Final = "iso_date"
EPOCHS: Final = {"epoch_s": US_PER_SECOND, "epoch_ms": 1_000}
Policy = Literal["refuse", "earlier", "later"]
GapPolicy = Literal["refuse", "shift_forward"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time, before its zone is applied
FIRST_US: Final = -62_135_596_800 * US_PER_SECOND
END_US: Final = 253_402_300_800 * US_PER_SECOND
_US: Final = timedelta(microseconds=1)
_CLOCK: Final = frozenset("HIpMSfz")
MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
FULL_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_ISO: Final = re.compile(
    r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)[T ](?P<H>\d\d):(?P<M>\d\d)"
    r"(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?(?P<z>Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_ISO_DATE: Final = re.compile(r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)", re.ASCII)
_DIRECTIVES: Final = {
    "Y": r"(?P<Y>\d{4})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]{3})",
    "B": r"(?P<B>[A-Za-z]{3,9})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "p": r"(?P<p>[AaPp][Mm])",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,6})",
    "z": r"(?P<z>Z|[+-]\d\d(?::?\d\d)?)",
    "%": "%",
}


class BadTimeError(Exception):
    """A stamp that cannot be read: the code and the reason of its reject."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep both for the list of rejects."""
        super().__init__(reason)
        self.code, self.reason = code, reason


class Instant(NamedTuple):
    """Microseconds since 1970-01-01 UTC, and the policy that decided them ("" when none had to)."""

    us: int
    policy: str


@dataclass(frozen=True)
class TimeReader:
    """Reads the stamps of one column: a format, a zone for stamps without offset, two policies."""

    pattern: str
    zone: ZoneInfo | None
    ambiguous: Policy = "refuse"
    nonexistent: GapPolicy = "refuse"

    def read(self, text: str) -> Instant:
        """Return the instant; raise BadTimeError with a reject's code and reason."""
        if self.pattern in EPOCHS:
            return Instant(_epoch(text, EPOCHS[self.pattern]), "")
        match = compiled(self.pattern).fullmatch(text)
        if match is None:
            msg = f"{shown(text)} does not follow the declared format '{self.pattern}'"
            raise BadTimeError("LG104", msg)
        parts = match.groupdict()
        wall = _wall(parts, text)
        offset = parts.get("z")
        if offset:
            return Instant(_bounded(wall - _offset_us(offset, text), text), "")
        return self.local(wall, text)

    def local(self, wall: int, text: str) -> Instant:
        """Return the instant of a wall-clock time (µs since 1970 by that clock) in the zone."""
        if self.zone is None:
            msg = f"{shown(text)} has no offset and no zone is declared"
            raise BadTimeError("LG105", msg)
        _bounded(wall, text)
        before, after = self.offsets(wall)
        if before == after:
            return Instant(_bounded(wall - before, text), "")
        return self._at_clock_change(wall, before, after, text)

    def offsets(self, wall: int) -> tuple[int, int]:
        """Return the zone's offsets (µs) at a wall-clock time, read as the first and the second."""
        moment = (_EPOCH + timedelta(microseconds=wall)).replace(tzinfo=self.zone)
        return offset_at(moment), offset_at(moment.replace(fold=1))

    def _at_clock_change(self, wall: int, before: int, after: int, text: str) -> Instant:
        zone = self.zone.key if self.zone else ""
        if before > after:
            if self.ambiguous == "refuse":
                raise BadTimeError("LG106", f"{shown(text)} happened twice in {zone}")
            offset = before if self.ambiguous == "earlier" else after
            return Instant(wall - offset, f"ambiguous = {self.ambiguous}")
        if self.nonexistent == "refuse":
            raise BadTimeError("LG107", f"{shown(text)} never happened in {zone}")
        return Instant(wall - before, "nonexistent = shift_forward")


@lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a declared format; ValueError says what is wrong with it."""
    if pattern in {ISO, ISO_DATE}:
        return _ISO if pattern == ISO else _ISO_DATE
    parts, names = [], []
    for directive, text in re.findall(r"%(.)|([^%]+|%$)", pattern, re.DOTALL):
        if directive and directive not in _DIRECTIVES:
            msg = f"%{directive} is not read; known: {' '.join('%' + d for d in _DIRECTIVES)}"
            raise ValueError(msg)
        parts.append(_DIRECTIVES[directive] if directive else re.escape(text))
        names.append(directive)
    _check_directives([name for name in names if name and name != "%"])
    return re.compile("".join(parts), re.ASCII)


def states_offset(pattern: str) -> bool:
    """Return whether stamps of this format can say their own offset."""
    return pattern == ISO or pattern in EPOCHS or "%z" in pattern


def date_only(pattern: str) -> bool:
    """Return whether stamps of this format say the day and nothing of the clock."""
    if pattern in {ISO, *EPOCHS}:
        return False
    return pattern == ISO_DATE or not _CLOCK & set(re.findall(r"%(.)", pattern))


load_zone = partial(clock.load_zone, code="LG036")
zone_bytes = partial(clock.zone_bytes, code="LG036")


def _check_directives(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"%{twice[0]} stands twice"
        raise ValueError(msg)
    needed: tuple[tuple[str, ...], ...] = (("Y",), ("m", "b", "B"), ("d",))
    if _CLOCK & set(names):  # without any of them the format is of dates only
        needed += (("H", "I"), ("M",))
    for choice in needed:
        if not set(choice) & set(names):
            words = " or ".join(f"%{name}" for name in choice)
            msg = f"{words} is missing: a time needs year, month, day, hour and minute"
            raise ValueError(msg)
    if ("I" in names) != ("p" in names):
        msg = "%I and %p belong together"
        raise ValueError(msg)


def _wall(parts: dict[str, str | None], text: str) -> int:
    """Return the wall-clock time in µs since 1970 by that clock."""
    fraction = (parts.get("f") or "").ljust(6, "0")[:6]
    try:
        moment = datetime(  # noqa: DTZ001 - wall time, before its zone is applied
            int(parts["Y"] or 0),
            _month(parts),
            int(parts["d"] or 0),
            _hour(parts),
            int(parts.get("M") or 0),
            int(parts.get("S") or 0),
            int(fraction),
        )
    except ValueError as error:
        raise BadTimeError("LG104", f"{shown(text)} is no date and time ({error})") from error
    return (moment - _EPOCH) // _US


def _month(parts: dict[str, str | None]) -> int:
    if parts.get("m"):
        return int(parts["m"] or 0)
    names = MONTHS if parts.get("b") else FULL_MONTHS
    word = (parts.get("b") or parts.get("B") or "").lower()
    if word not in names:
        msg = f"'{word}' is no English month"
        raise ValueError(msg)
    return names.index(word) + 1


def _hour(parts: dict[str, str | None]) -> int:
    half = parts.get("p")
    if half is None:
        return int(parts.get("H") or 0)
    hour = int(parts["I"] or 0)
    if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock of twelve hours
        msg = "hour must be in 1..12"
        raise ValueError(msg)
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _offset_us(offset: str, text: str) -> int:
    if offset == "Z":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - the bounds of ISO 8601
        raise BadTimeError("LG104", f"{shown(text)} has no possible offset")
    sign = -1 if offset[0] == "-" else 1
    return sign * (hours * 60 + minutes) * US_PER_MINUTE


def _epoch(text: str, unit: int) -> int:
    if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
        raise BadTimeError("LG104", f"{shown(text)} is no whole number")
    return _bounded(int(text) * unit, text)


def _bounded(us: int, text: str) -> int:
    if not FIRST_US <= us < END_US:
        msg = f"{shown(text)} lies outside the years {MINYEAR} to {MAXYEAR} UTC"
        raise BadTimeError("LG104", msg)
    return us


def offset_at(moment: datetime) -> int:
    """Return the offset (µs) of a moment that has a zone."""
    return (moment.utcoffset() or timedelta()) // _US


def reading(reader: TimeReader) -> Callable[[str], Instant]:
    """Return `reader.read` with a bounded memory: stamps repeat, and parsing one is slow."""
    return lru_cache(maxsize=1 << 17)(reader.read)
