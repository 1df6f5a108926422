"""Who works at the simulated desk, on what, and what has been promised?

All names are invented. Every team has at least five members, so that no group is suppressed for
being small. Amounts of time are whole seconds of the stated calendar.

Impact and urgency, 1 the highest, give the priority: its level is impact + urgency - 1, but at most
4. P5 is the level of P4 for what is merely planned; nothing has been promised for it, and no clean
incident has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.simulate.office import ALWAYS, HOUR, MINUTE, OFFICE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.simulate.office import Hours

SERVICE_DESK: Final = "Service Desk"
SURVEY_ROBOT: Final = "survey robot"
CUSTOMER: Final = "customer"

TEAMS: Final[dict[str, tuple[str, ...]]] = {
    SERVICE_DESK: (
        "Amira Nowak",
        "Bruno Falk",
        "Chiara Lindt",
        "Dario Osei",
        "Elin Marsh",
        "Farid Holm",
        "Greta Sand",
    ),
    "Network Operations": (
        "Hanna Reuter",
        "Ivo Castell",
        "Jonas Adeyemi",
        "Katja Bloom",
        "Levin Hart",
    ),
    "Application Support": (
        "Mara Quist",
        "Nils Okafor",
        "Olga Brandt",
        "Pavel Stern",
        "Quinn Ferro",
        "Rosa Albers",
    ),
    "Workplace Services": (
        "Sami Korte",
        "Tilda Vance",
        "Umar Lehn",
        "Vera Solis",
        "Wim Dekker",
    ),
    "Identity and Access": (
        "Xenia Pohl",
        "Yannick Roy",
        "Zora Mills",
        "Anton Greve",
        "Bea Lorenz",
    ),
    "Database Services": (
        "Carl Ibsen",
        "Dana Wirth",
        "Emil Santos",
        "Frida Kuhn",
        "Gero Tamm",
    ),
}
PROBLEM_TEAM: Final = "Problem Management"
PROBLEM_MANAGERS: Final = (
    "Helga Norden",
    "Ilias Braun",
    "Jette Moor",
    "Kilian Sachs",
    "Lotte Varga",
)
MANAGEMENT: Final = "Service Management"
ADVISORY: Final = "Change Advisory"
# teams that manage and decide; they take no incidents
OFFICES: Final[dict[str, tuple[str, ...]]] = {
    PROBLEM_TEAM: PROBLEM_MANAGERS,
    MANAGEMENT: (
        "Malin Thora",
        "Noah Perrin",
        "Orla Vesely",
        "Piet Lund",
        "Rhea Castor",
        "Silas Brix",
    ),
    ADVISORY: (
        "Tamsin Roth",
        "Ulf Marek",
        "Viola Senn",
        "Wanda Hoyer",
        "Yusuf Arendt",
    ),
}

# category: (weight, the team that usually solves it, services)
CATEGORIES: Final[dict[str, tuple[float, str, tuple[str, ...]]]] = {
    "access": (0.24, "Identity and Access", ("Single sign-on", "Directory")),
    "workplace": (0.22, "Workplace Services", ("Laptop", "Printing")),
    "application": (0.26, "Application Support", ("Order desk", "Payroll", "Intranet")),
    "network": (0.16, "Network Operations", ("Office network", "Remote access")),
    "database": (0.12, "Database Services", ("Reporting", "Warehouse")),
}
CHANNELS: Final = ("portal", "phone", "mail", "monitoring")
CHANNEL_SHARES: Final = (0.45, 0.25, 0.22, 0.08)
PRIORITY_SHARES: Final = {"P1": 0.04, "P2": 0.14, "P3": 0.47, "P4": 0.35}
# impact and urgency that give each priority, each pair as likely
URGENCIES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "P1": (("1", "1"),),
    "P2": (("1", "2"), ("2", "1")),
    "P3": (("1", "3"), ("2", "2"), ("3", "1")),
    "P4": (("2", "3"), ("3", "2"), ("3", "3")),
    "P5": (("3", "3"),),
}
LEVELS: Final = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}  # as the tool writes them


@dataclass(frozen=True)
class Promise:
    """What the desk has promised for incidents of one priority, in seconds of `hours`."""

    hours: Hours
    respond: int
    resolve: int


PROMISES: Final = {
    "P1": Promise(hours=ALWAYS, respond=15 * MINUTE, resolve=4 * HOUR),
    "P2": Promise(hours=ALWAYS, respond=30 * MINUTE, resolve=8 * HOUR),
    "P3": Promise(hours=OFFICE, respond=4 * HOUR, resolve=30 * HOUR),
    "P4": Promise(hours=OFFICE, respond=10 * HOUR, resolve=50 * HOUR),
}


@dataclass(frozen=True)
class Ticket:
    """What is known when a ticket is registered; `at` in seconds since 1970-01-01 UTC.

    `group` says whose story it is: a practice, or a kind of it (a major incident is an incident).
    What does not apply is empty. `columns` are further columns of its row.
    """

    case_id: str
    group: str
    practice: str
    priority: str
    category: str
    service: str
    channel: str
    at: int
    impact: str = ""
    urgency: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def promise(self) -> Promise:
        """What has been promised for its priority; the mildest where nothing has."""
        return PROMISES.get(self.priority, PROMISES["P4"])

    @property
    def home_team(self) -> str:
        """The team that usually solves its category."""
        return CATEGORIES[self.category][1]


@dataclass(frozen=True)
class Plan:
    """What goes wrong with a case (nothing: ""), and by how much the intervention stretches it."""

    kind: str = ""
    factor: float = 1.0


class Draws:
    """The random draws of one case: a PCG64 stream that depends on (seed, key) alone."""

    def __init__(self, seed: int, *key: int) -> None:
        """Open the stream of one case."""
        sequence = np.random.SeedSequence(entropy=seed, spawn_key=key)
        self._rng = np.random.Generator(np.random.PCG64(sequence))

    def chance(self, probability: float) -> bool:
        """Return true with the given probability."""
        return self._rng.random() < probability

    def uniform(self, low: float, high: float) -> float:
        """Return a number between low and high."""
        return low + (high - low) * self._rng.random()

    def pick(self, items: Sequence[str]) -> str:
        """Return one of the items, each as likely."""
        return items[int(self._rng.random() * len(items))]

    def weighted(self, items: Sequence[str], weights: Sequence[float]) -> str:
        """Return one of the items, as likely as its weight (the weights add up to 1)."""
        left = self._rng.random()
        for item, weight in zip(items, weights, strict=True):
            left -= weight
            if left < 0:
                return item
        return items[-1]

    def between(self, low: float, high: float) -> int:
        """Return an amount between two positive ones: low ones are likelier (log-uniform)."""
        return round(low * math.exp(math.log(high / low) * self._rng.random()))

    def skewed(self, median: float, *, sigma: float, low: float, high: float) -> int:
        """Return a log-normal amount, drawn again until it lies between low and high."""
        while True:
            amount = median * float(np.exp(sigma * self._rng.standard_normal()))
            if low <= amount <= high:
                return round(amount)

    def member(self, team: str, *, other_than: str | None = None) -> str:
        """Return a member of the team, never the one who is excluded."""
        return self.pick([name for name in members_of(team) if name != other_than])


def members_of(team: str) -> tuple[str, ...]:
    """Return who is in a team."""
    return TEAMS[team] if team in TEAMS else OFFICES[team]
