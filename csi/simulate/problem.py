"""How does a problem go, when all goes well and when one planted thing goes wrong?

A problem without a planted deviation follows the reference model, is investigated within three
and a half working days, waits at most eight of them at a time, is resolved within 28 (waits left
out) with a root cause that is recorded as a known error, is reopened at most once and then
investigated again, and is closed by somebody who has not investigated it. Which articles and
incidents it is linked to, `csi.simulate.links` says. Investigations are long and skewed
(log-normal, median four working days), so many problems are still open when the log ends.
"""

from __future__ import annotations

from itertools import pairwise
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
UNWRITTEN: Final = "known error without an article"
UNFINISHED: Final = "closed with open incidents"
REOPENED: Final = "problem reopened more than once"
UNRESOLVED: Final = ("problem closed unresolved", "known error left without workaround")
LONGEST_WORK: Final = 240 * HOUR
LONGEST_PLANTED: Final = 150 * HOUR
LONGEST_LEG: Final = 80 * HOUR
LIMITED: Final = ("Wait", "Record known error")


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
        work = self._duration()
        self.trail.lay(*self._not_too_long(self._work(), work))
        self._end()
        return self.trail

    def _duration(self) -> int:
        """Draw the time from the investigation to the last resolution, in seconds."""
        work = self.draws.skewed(40 * HOUR, sigma=0.8, low=4 * HOUR, high=LONGEST_WORK)
        return min(work, LONGEST_PLANTED) if self.plan.kind else work

    def _not_too_long(self, legs: list[Leg], work: float) -> tuple[list[Leg], float]:
        """Shorten a wait, or the way from a known error, that takes too much; plant long ones."""
        each, kind = work / sum(leg.share for leg in legs), self.plan.kind
        for i, (before, leg) in enumerate(pairwise(legs), start=1):
            if before.activity == "Wait" and kind == "problem waited too long":
                legs[i] = leg._replace(wait=round(self.draws.uniform(115, 150) * HOUR))
            elif before.activity in LIMITED and each * leg.share > LONGEST_LEG:
                legs[i] = leg._replace(wait=LONGEST_LEG)
                work -= each * leg.share
        if kind == "problem resolved too late":
            legs[0] = legs[0]._replace(wait=round(self.draws.uniform(310, 360) * HOUR))
        return legs, work

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
        kind = self.plan.kind
        waits = self.draws.chance(WAITING_SHARE) and kind != "problem resolved too late"
        steps = ["Wait", "Investigate"] if waits or kind == "problem waited too long" else []
        steps += self._solution()
        again = kind == "" and self.draws.chance(REOPENED_SHARE)
        for _ in range(2 if kind == REOPENED else again):
            steps += ["Reopen", "Investigate", *self._solution()]
        steps += AFTERWARDS.get(kind, ())
        return [self._own(step) for step in steps]

    def _solution(self) -> list[str]:
        """The cause, then the known error and the workaround in either order, then the cure."""
        steps = ["Record known error", "Find workaround"]
        if self.draws.chance(WORKAROUND_FIRST_SHARE) and self.plan.kind not in UNRESOLVED:
            steps.reverse()
        if self.plan.kind == "known error left without workaround":
            return ["Identify root cause", "Record known error"]
        steps = ["Identify root cause", *steps, "Resolve"]
        left_out = LEFT_OUT.get(self.plan.kind)
        return [step for step in steps if step != left_out]

    def _end(self) -> None:
        """Close after a while: by the problem manager, unless that is what goes wrong."""
        gap = self.draws.skewed(20 * HOUR, sigma=0.7, low=2 * HOUR, high=60 * HOUR)
        own = self.plan.kind == "closed by its investigator"
        actor, team = (self.worker, self.team) if own else (self.manager, PROBLEM_TEAM)
        taken_back = self.plan.kind == "cancelled after its cause was known"
        self.trail.record("Cancel" if taken_back else "Close", actor, team, after=gap)
        if self.plan.kind == "problem closed twice":
            self.trail.record("Close", actor, team, after=HOUR)


# what a planted deviation adds after the resolution
AFTERWARDS: Final[dict[str, tuple[str, ...]]] = {
    "cancelled after its cause was known": ("Reopen", "Investigate"),
    "resolved again without investigation": ("Reopen", "Resolve"),
}


def tell_problem(ticket: Ticket, plan: Plan, draws: Draws) -> Trail:
    """Tell one problem."""
    return Problem(ticket, plan, draws).tell()
