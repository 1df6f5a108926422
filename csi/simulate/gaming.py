"""How is the clock of a promise served, instead of the customer?

Stories of incidents that keep their promise on paper. Each lays its work out by the share of the
promise that is used up when a step is taken, so that what is planted holds whatever the
intervention does to others:

    paused just before it was due   a question to the customer in the last minutes covers the rest
    clock stopped for the supplier  somebody holds it where the agreement does not allow a pause
    paused in short spells          questions to the customer, answered at once, near the end
    waited on after the answer      the customer has written, and the clock still stands for hours
    downgraded before the breach    another priority, with more time, when little is left
    downgraded after the breach     the same, too late: the promise of the first one was broken
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.simulate.desk import CUSTOMER, PROMISES
from csi.simulate.office import HOUR, MINUTE
from csi.simulate.trail import (
    HELD,
    HELD_BY_HAND,
    REPLIED,
    REPRIORITISED,
    Leg,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from csi.simulate.desk import Draws, Promise
    from csi.simulate.trail import Trail

JUST_BEFORE: Final = "paused just before it was due"
NOT_ALLOWED: Final = "clock stopped for the supplier"
SHORT_SPELLS: Final = "paused in short spells before it was due"
AFTER_ANSWER: Final = "waited on after the customer had answered"
EASED: Final = "downgraded shortly before the breach"
EASED_LATE: Final = "downgraded after the breach"
DOWNGRADED: Final = (EASED, EASED_LATE)
FROM: Final = "P3"  # of an incident that is downgraded


@dataclass
class Game:
    """An incident that is being told after its response; `used` is the time on its clock, in s."""

    trail: Trail
    worker: str
    team: str
    draws: Draws
    promise: Promise
    used: int

    def work(self, activity: str, used: float) -> None:
        """Take a step when so much of the clock is used up."""
        amount = round(used) - self.used
        self.trail.lay([Leg(activity, self.worker, self.team)], amount)
        self.used += amount

    def wait(self, activity: str, hours: float) -> None:
        """Take a step after office hours in which the clock stood still."""
        self.trail.lay([Leg(activity, self.worker, self.team, wait=round(hours * HOUR))], 0)

    def share(self, low: float, high: float) -> float:
        """Draw an amount between two shares of the promise."""
        return self.draws.uniform(low, high) * self.promise.resolve


def play(kind: str, game: Game) -> None:
    """Tell the work of an incident from its response to its resolution."""
    _GAMES[kind](game)


def promise_of(kind: str, promise: Promise) -> Promise:
    """Return the promise that the story is about: that of the priority which it had at first."""
    return PROMISES[FROM] if kind in DOWNGRADED else promise


def _just_before(game: Game) -> None:
    limit, left = game.promise.resolve, game.draws.uniform(4, 12) * MINUTE
    game.work("Diagnose", game.share(0.3, 0.6))
    game.work("Await customer", limit - left)
    game.wait("Diagnose", game.draws.uniform(4, 20))
    game.work("Resolve", limit - 0.4 * left)


def _not_allowed(game: Game) -> None:
    game.work("Diagnose", game.share(0.2, 0.4))
    game.work(HELD_BY_HAND, game.share(0.45, 0.6))
    steps = game.trail.steps
    steps[-1] = steps[-1]._replace(clock=HELD)
    game.wait("Diagnose", game.share(0.3, 0.5) / HOUR)
    game.work("Resolve", game.share(0.78, 0.88))


def _short_spells(game: Game) -> None:
    game.work("Diagnose", game.share(0.4, 0.6))
    until = game.share(0.78, 0.84)
    for _ in range(3 + game.draws.chance(0.5)):
        game.work("Await customer", until)
        game.wait("Diagnose", game.draws.uniform(0.2, 0.7))
        until += game.draws.uniform(8, 20) * MINUTE
    game.work("Resolve", until)


def _after_answer(game: Game) -> None:
    game.work("Diagnose", game.share(0.2, 0.35))
    game.work("Await customer", game.share(0.4, 0.6))
    game.trail.record(
        REPLIED, CUSTOMER, "", after=round(game.draws.uniform(0.5, 5) * HOUR), written_by="customer"
    )
    game.wait("Diagnose", game.draws.uniform(4, 20))
    game.work("Resolve", game.share(0.7, 0.88))


def _eased(game: Game) -> None:
    _downgrade(game, game.share(0.82, 0.97))


def _eased_late(game: Game) -> None:
    _downgrade(game, game.share(1.03, 1.2))


def _downgrade(game: Game, when: float) -> None:
    """The first step says the priority that it had; an update, the one that it has now."""
    steps = game.trail.steps
    steps[0] = steps[0]._replace(priority=FROM)
    game.work("Diagnose", game.share(0.4, 0.7))
    game.work(REPRIORITISED, when)
    steps[-1] = steps[-1]._replace(priority=game.trail.ticket.priority)
    game.work("Resolve", game.share(1.25, 1.45))


_GAMES: Final[dict[str, Callable[[Game], None]]] = {
    JUST_BEFORE: _just_before,
    NOT_ALLOWED: _not_allowed,
    SHORT_SPELLS: _short_spells,
    AFTER_ANSWER: _after_answer,
    EASED: _eased,
    EASED_LATE: _eased_late,
}
GAMES: Final = tuple(_GAMES)
