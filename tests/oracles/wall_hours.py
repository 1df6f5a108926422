"""Is it open? Opening hours asked of the wall clock of a zone, minute after minute.

Imports nothing of the project; zones are those of the tzdata package. A moment is a whole minute
since 1970-01-01 UTC. `Walked` asks at every minute, `Counted` keeps what was said once.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    Spans = Sequence[tuple[str, str]]

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Hours(Protocol):
    """Tells how many of the minutes from one to another are open."""

    def count(self, begin: int, end: int) -> int: ...


@dataclass(frozen=True)
class Wall:
    """Opening hours by the wall clock of a zone: (opens, closes) as "HH:MM" a weekday or date."""

    zone: str
    hours: Mapping[str, Spans]
    closed: Collection[str] = ()
    shut: Mapping[str, Spans] = field(default_factory=dict)
    opened: Mapping[str, Spans] = field(default_factory=dict)

    def asks(self) -> ZoneInfo:
        """Return the zone as the tzdata package has it."""
        with files("tzdata").joinpath("zoneinfo", *self.zone.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=self.zone)

    def shows(self, local: dt.datetime) -> bool:
        """Tell whether it is open when the wall clock shows this."""
        date, clock = local.date().isoformat(), f"{local.hour:02d}:{local.minute:02d}"
        if any(opens <= clock < closes for opens, closes in self.shut.get(date, ())):
            return False
        usual = () if date in self.closed else self.hours.get(DAYS[local.weekday()], ())
        return any(
            opens <= clock < closes for opens, closes in (*usual, *self.opened.get(date, ()))
        )


class Walked:
    """Asks the wall clock at every minute, each time anew."""

    def __init__(self, wall: Wall) -> None:
        self.wall, self.zone = wall, wall.asks()

    def count(self, begin: int, end: int) -> int:
        return sum(
            self.wall.shows(dt.datetime.fromtimestamp(minute * 60, self.zone))
            for minute in range(begin, end)
        )


class Counted:
    """Asks the wall clock once at every minute of some weeks, and keeps the count."""

    def __init__(self, wall: Wall, first: int, last: int) -> None:
        zone, said, self.first = wall.asks(), {}, first
        flags = []
        for minute in range(first, last):
            local = dt.datetime.fromtimestamp(minute * 60, zone).replace(tzinfo=None, fold=0)
            if local not in said:
                said[local] = wall.shows(local)
            flags.append(said[local])
        self.until = [0, *accumulate(flags)]

    def count(self, begin: int, end: int) -> int:
        return self.until[end - self.first] - self.until[begin - self.first]
