"""How does a problem go, when all goes well and when one planted thing goes wrong?

A problem without a planted deviation follows the reference model, is investigated within three
and a half working days, is resolved only with a root cause that is recorded as a known error, and
is closed by somebody who has not investigated it. Investigations are long and skewed (log-normal,
median four working days), so many problems are still open when the log ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.simulate.desk import PROBLEM_TEAM
from csi.simulate.office import HOUR, OFFICE
from csi.simulate.trail import Leg, Trail

if TYPE_CHECKING:
    from csi.simulate.desk import Draws, Plan, Ticket

CANCELLED_SHARE: Final = 0.06
QUEUED_SHARE: Final = 0.4
WAITING_SHARE: Final = 0.3
WORKAROUND_FIRST_SHARE: Final = 0.5
REOPENED_SHARE: Final = 0.05
LEFT_OUT: Final = {
    "root cause never identified": "Identify root cause",
    "known error never recorded": "Record known error",
    "problem closed unresolved": "Resolve",
}


class Problem:
    """One problem being told; `tell` gives its whole trail."""

    def __init__(self, ticket: Ticket, plan: Plan, draws: Draws) -> None:
        """Draw who works on it."""
        self.ticket, self.plan, self.draws = ticket, plan, draws
        self.trail = Trail(ticket, OFFICE)
        self.manager = draws.member(PROBLEM_TEAM)
        self.team = ticket.home_team
        self.worker = draws.member(self.team)

    def tell(self) -> Trail:
        """Write the trail down from registration to closure."""
        self.trail.record("Register", self.manager, PROBLEM_TEAM)
        start = self.draws.skewed(12 * HOUR, sigma=0.7, low=HOUR, high=35 * HOUR)
        if self.plan.kind == "investigated late":
            start = round(self.draws.uniform(62, 110) * HOUR)
        self.trail.lay(self._front(), start)
        if self.plan.kind == "" and self.draws.chance(CANCELLED_SHARE):
            self.trail.record("Cancel", self.manager, PROBLEM_TEAM, after=6 * HOUR)
            return self.trail
        work = self.draws.skewed(40 * HOUR, sigma=0.8, low=4 * HOUR, high=400 * HOUR)
        self.trail.lay(self._work(), work)
        self._close()
        return self.trail

    def _front(self) -> list[Leg]:
        legs = [Leg("Classify", self.manager, PROBLEM_TEAM, self.draws.uniform(0.2, 0.5))]
        if self.draws.chance(QUEUED_SHARE):
            legs.append(Leg("Queue", self.manager, PROBLEM_TEAM, 0.2))
        legs.append(Leg("Assign", self.manager, self.team, self.draws.uniform(0.3, 1.0)))
        legs.append(self._own("Investigate"))
        return legs

    def _own(self, activity: str) -> Leg:
        """The investigator takes a step."""
        return Leg(activity, self.worker, self.team, self.draws.uniform(0.3, 1.5))

    def _work(self) -> list[Leg]:
        """From the investigation to the last resolution."""
        steps = ["Wait", "Investigate"] if self.draws.chance(WAITING_SHARE) else []
        steps += self._solution()
        if self.plan.kind == "" and self.draws.chance(REOPENED_SHARE):
            steps += ["Reopen", "Investigate", *self._solution()]
        return [self._own(step) for step in steps]

    def _solution(self) -> list[str]:
        """The cause, then the known error and the workaround in either order, then the cure."""
        steps = ["Record known error", "Find workaround"]
        if self.draws.chance(WORKAROUND_FIRST_SHARE):
            steps.reverse()
        steps = ["Identify root cause", *steps, "Resolve"]
        left_out = LEFT_OUT.get(self.plan.kind)
        return [step for step in steps if step != left_out]

    def _close(self) -> None:
        """Close after a while: by the problem manager, unless that is what goes wrong."""
        gap = self.draws.skewed(20 * HOUR, sigma=0.7, low=2 * HOUR, high=60 * HOUR)
        own = self.plan.kind == "closed by its investigator"
        actor, team = (self.worker, self.team) if own else (self.manager, PROBLEM_TEAM)
        self.trail.record("Close", actor, team, after=gap)


def tell_problem(ticket: Ticket, plan: Plan, draws: Draws) -> Trail:
    """Tell one problem."""
    return Problem(ticket, plan, draws).tell()
