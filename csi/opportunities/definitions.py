"""Which tickets are candidates for an article, for self-service, for automation? The thresholds.

Every number by which `csi.opportunities.candidates` decides or estimates is a field here, so that a
desk can set its own. `Could` is an assumption and no measurement: what share of the tickets a
change would reach, with the least and the most that are taken to be possible. A desk that has such
changes behind it should put its own experience in.

Errors: ST580 for a number that cannot be meant, all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from process_mining.errors import CodedError, raise_all
from process_mining.privacy import SMALLEST_TEAM

SMALLEST_GROUP: Final = SMALLEST_TEAM


@dataclass(frozen=True)
class Could:
    """What share of something a change could reach: as assumed, at least, at most."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Definitions:
    """What counts as repeated, short, long, simple, regular, and what a change could reach.

    `least` tickets, `a_month` or more, on at least `days` days of opening of which none holds more
    than `one_day` of them, are *repeated*. `short_h`, `touch_h`: hours that the upper limit of a
    median may have. `longer`: the kind's median over the desk's. `apart`: difference of shares
    that matters. `article_share`: with more tickets that used an article there is no gap.
    `simple_share`, `same_way`, `regular`, `machine`: shares; of the first two it is the lower limit
    that has to reach them. `steps`: the most that a simple way has. `high_share`: the most tickets
    of the two highest priorities. `level`: adjusted p-values up to it are taken for no chance.
    """

    least: int = 20
    a_month: float = 4.0
    days: int = 8
    one_day: float = 0.25
    short_h: float = 4.0
    touch_h: float = 1.0
    longer: float = 1.5
    apart: float = 0.15
    article_share: float = 0.1
    simple_share: float = 0.7
    steps: int = 6
    high_share: float = 0.1
    same_way: float = 0.6
    regular: float = 0.5
    machine: float = 0.8
    level: float = 0.05
    knowledge: Could = Could(0.5, 0.25, 0.75)
    self_service: Could = Could(0.4, 0.2, 0.6)
    automation: Could = Could(0.6, 0.3, 0.9)
    offences: Could = Could(0.5, 0.25, 0.75)
    waits: Could = Could(0.25, 0.1, 0.5)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be meant, all at once."""
        wrong = [*self._wrong_numbers(), *self._wrong_assumptions()]
        fix = "Give a number that can be meant; csi.opportunities.definitions says what each is"
        raise_all([CodedError("ST580", f"definitions: {one}", fix=fix) for one in wrong])

    def _wrong_numbers(self) -> list[str]:
        shares = ("one_day", "apart", "article_share", "simple_share", "high_share", "same_way")
        found = [
            f"{name} is {getattr(self, name)}, no share from 0 to 1"
            for name in (*shares, "regular", "machine", "level")
            if not 0 <= getattr(self, name) <= 1
        ]
        if self.least < SMALLEST_GROUP:
            found.append(f"least is {self.least}; groups under {SMALLEST_GROUP} are never shown")
        positive = ("days", "a_month", "short_h", "touch_h", "longer", "steps")
        found += [f"{n} is not above 0" for n in positive if not getattr(self, n) > 0]
        return found

    def _wrong_assumptions(self) -> list[str]:
        given = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return [
            f"{name} is not ordered 0 <= low <= expected <= high <= 1"
            for name, one in given
            if isinstance(one, Could) and not 0 <= one.low <= one.expected <= one.high <= 1
        ]


DEFINITIONS: Final = Definitions()
