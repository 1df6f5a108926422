"""What happened to one ticket: its steps, in order, each with a moment, a person and a team.

A stretch of work is laid out as legs: a leg ends in one step and takes its share of the time that
the stretch has, or, where `wait` is set, that many seconds of office time on top of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from csi.simulate.office import OFFICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.simulate.desk import Ticket
    from csi.simulate.office import Hours

LEAST_S: Final = 20  # no two steps of a ticket share a moment
CATEGORISED: Final = frozenset({"Classify", "Resolve", "Close"})  # the category is chosen again
HELD_BY_HAND: Final = "Await supplier"  # its step says whether somebody stopped the clock
RUNNING: Final = "running"
HELD: Final = "held"
REPLIED: Final = "Customer replied"
REMINDED: Final = "Customer reminded"
REPRIORITISED: Final = "Priority changed"
UPDATES: Final = frozenset({REPLIED, REMINDED, REPRIORITISED})  # no steps of the practice


class Step(NamedTuple):
    """One event: `at` in seconds since 1970-01-01 UTC; what it does not have is empty.

    `score` is a customer's, `category` that of an incident as somebody chose it then, `risk` that
    of a change, `violations` the number of targets that an evaluation found broken. `priority` is
    the incident's after the event, where it says one; `written_by` says whose words an event holds;
    `clock` says of a wait for a supplier whether somebody stopped the clock for it.
    """

    activity: str
    at: int
    actor: str
    team: str
    score: str = ""
    category: str = ""
    risk: str = ""
    violations: str = ""
    priority: str = ""
    written_by: str = ""
    clock: str = ""


class Leg(NamedTuple):
    """The way to one step: a share of the stretch's time, or a wait of its own."""

    activity: str
    actor: str
    team: str
    share: float = 1.0
    wait: int = 0


@dataclass
class Trail:
    """The steps of one ticket as they are written down."""

    ticket: Ticket
    hours: Hours
    steps: list[Step] = field(default_factory=list)

    @property
    def now(self) -> int:
        """The moment of the last step."""
        return self.steps[-1].at if self.steps else self.ticket.at

    def record(  # noqa: PLR0913 - what an event can say
        self,
        activity: str,
        actor: str,
        team: str,
        *,
        after: int = 0,
        score: str = "",
        written_by: str = "",
    ) -> None:
        """Write down an event that comes `after` seconds of office time after the last one."""
        at = OFFICE.add(self.now, after) if after else self.now
        self._write(Step(activity, at, actor, team, score, written_by=written_by))

    def lay(self, legs: Sequence[Leg], amount: float) -> None:
        """Write down the steps of a stretch that takes `amount` seconds besides its waits."""
        whole = sum(leg.share for leg in legs if not leg.wait) or 1.0
        for leg in legs:
            if leg.wait:
                at = OFFICE.add(self.now, leg.wait)
            else:
                at = self.hours.add(self.now, max(LEAST_S, round(amount * leg.share / whole)))
            self._write(Step(leg.activity, at, leg.actor, leg.team))

    def _write(self, step: Step) -> None:
        self.steps.append(described(step, self.ticket))


def described(step: Step, ticket: Ticket) -> Step:
    """Return an incident's step with what its event says: the category, whether the clock runs."""
    if ticket.practice != "incident":
        return step
    category = ticket.category if step.activity in CATEGORISED else ""
    return step._replace(category=category, clock=RUNNING if step.activity == HELD_BY_HAND else "")


def cut(steps: Sequence[Step], end: int) -> list[Step]:
    """Return the steps before `end`, without a request for feedback or a low score torn off.

    A log that ended between a closure and the request for feedback, or between a low score and
    the answer to it, would leave open whether a deviation was planted.
    """
    kept = [step for step in steps if step.at < end]
    while kept and len(kept) < len(steps) and _belongs(kept[-1], steps[len(kept)]):
        kept.pop()
    return kept


def _belongs(step: Step, following: Step) -> bool:
    """Tell whether two neighbouring steps must not be torn apart."""
    return (step.activity, following.activity) in (
        ("Close", "Ask feedback"),
        ("Receive feedback", "Contact customer"),
    )
