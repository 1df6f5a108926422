"""How does an incident go, when all goes well and when one planted thing goes wrong?

An incident that carries no planted deviation conforms by construction: it follows the reference
model, changes teams at most three times, is reopened at most once, keeps its targets and limits
with room to spare, and is asked for feedback after its closure. `Plan.kind` names the one thing
that goes wrong; `csi.simulate.planting` says which rules it breaks.

Time from registration to the last resolution, waits for the customer left out, is log-normal
(median half the promise): skewed, so that means mislead as in real logs, and long enough that
nights and weekends leave no hole around the median on the wall clock. `Plan.factor` stretches
every part of that way, customer waits included, but never what a deviation is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.simulate.desk import CUSTOMER, SERVICE_DESK, SURVEY_ROBOT, TEAMS
from csi.simulate.office import HOUR, MINUTE
from csi.simulate.trail import Leg, Trail

if TYPE_CHECKING:
    from csi.simulate.desk import Draws, Plan, Ticket

CANCELLED_SHARE: Final = 0.03
HANDOVER_SHARE: Final = 0.25
REOPENED_SHARE: Final = 0.05
RESPONSE_RATE: Final = 0.45
WAITS: Final = (
    ("Await customer", 0.18),
    ("Await supplier", 0.08),
    ("Await problem", 0.03),
    ("Await evidence", 0.04),
)
# scores 1..5 of those who answer
SCORES: Final = ("1", "2", "3", "4", "5")
SCORES_IN_TIME: Final = (0.03, 0.06, 0.14, 0.37, 0.40)
SCORES_SLOW: Final = (0.08, 0.13, 0.24, 0.34, 0.21)
SCORES_LATE: Final = (0.25, 0.28, 0.24, 0.16, 0.07)
LOW_SCORES: Final = ("1", "2")
UNNAMED_PROBLEM: Final = "waited for an unnamed problem"
SLOW: Final = 0.7  # of the promise
LATE: Final = 1.0


class Incident:
    """One incident being told; `tell` gives its whole trail."""

    def __init__(self, ticket: Ticket, plan: Plan, draws: Draws) -> None:
        """Draw who works on it and how long it takes."""
        self.ticket, self.plan, self.draws = ticket, plan, draws
        self.trail = Trail(ticket, ticket.promise.hours)
        self.agent = draws.member(SERVICE_DESK)
        self.team = ticket.home_team
        self.worker = draws.member(self.team)
        self.response, self.handling = self._durations()

    def tell(self) -> Trail:
        """Write the trail down from registration to feedback."""
        self.trail.record("Register", self.agent, SERVICE_DESK)
        if self.plan.kind == "" and self.draws.chance(CANCELLED_SHARE):
            self._cancel()
            return self.trail
        self.trail.lay(self._front(), self.response)
        self.trail.lay(self._work(), self.handling - self.response)
        self._close()
        return self.trail

    def _durations(self) -> tuple[float, float]:
        """Draw the time to respond and the time to resolve, in seconds."""
        promise, draws, factor = self.ticket.promise, self.draws, self.plan.factor
        respond, resolve = float(promise.respond), float(promise.resolve)
        response = draws.skewed(0.25 * respond, sigma=0.6, low=0.02 * respond, high=0.68 * respond)
        handling = draws.skewed(0.5 * resolve, sigma=0.8, low=0.04 * resolve, high=0.88 * resolve)
        late = draws.uniform(1.15, 2.2)
        if self.plan.kind == "response late":
            slow = respond * draws.uniform(1.3, 2.8)
            return slow, max(float(handling), 1.2 * slow)
        if self.plan.kind == "resolution late":
            return response * factor, resolve * late
        handling = max(handling, round(1.3 * response))
        return response * factor, handling * factor

    def _cancel(self) -> None:
        """The customer takes it back before anybody has worked on it."""
        legs = [
            Leg("Classify", self.agent, SERVICE_DESK),
            Leg("Cancel", self.agent, SERVICE_DESK),
        ]
        self.trail.lay(legs, self.response)

    def _front(self) -> list[Leg]:
        """From registration to the response: a team takes it."""
        classify = Leg("Classify", self.agent, SERVICE_DESK, self.draws.uniform(0.2, 1.5))
        assign = Leg("Assign", self.agent, self.team)
        return [assign] if self.plan.kind == "worked before classified" else [classify, assign]

    def _work(self) -> list[Leg]:
        """From the response to the last resolution."""
        kind = self.plan.kind
        if kind == "resolved before diagnosed":
            return [self._resolve()]
        legs = [self._diagnose()]
        if kind == "worked before classified":
            legs.append(Leg("Classify", self.worker, self.team, 0.2))
        legs += self._waits()
        if kind == "passed around":
            legs += [leg for _ in range(4) for leg in self._hand_over()]
        elif self.draws.chance(HANDOVER_SHARE):
            legs += self._hand_over()
        if kind == "closed without resolution":
            return legs
        legs.append(self._resolve())
        if kind == "reopened again and again":
            legs += [*self._reopen(), *self._reopen()]
        elif self.draws.chance(REOPENED_SHARE):
            legs += self._reopen()
        return legs

    def _resolve(self) -> Leg:
        return Leg("Resolve", self.worker, self.team, self.draws.uniform(0.5, 2.0))

    def _diagnose(self) -> Leg:
        return Leg("Diagnose", self.worker, self.team, self.draws.uniform(0.3, 1.0))

    def _reopen(self) -> list[Leg]:
        """The customer says it is not solved: the same person looks again."""
        reopen = Leg("Reopen", self.worker, self.team, self.draws.uniform(0.2, 0.6))
        return [reopen, self._diagnose(), self._resolve()]

    def _hand_over(self) -> list[Leg]:
        """Escalate to another team, which looks at it."""
        others = [team for team in TEAMS if team not in (self.team, SERVICE_DESK)]
        escalate = Leg("Escalate", self.worker, self.team, self.draws.uniform(0.3, 1.0))
        self.team = self.draws.pick(others)
        assign = Leg("Assign", self.worker, self.team, self.draws.uniform(0.1, 0.4))
        self.worker = self.draws.member(self.team)
        return [escalate, assign, self._diagnose()]

    def _waits(self) -> list[Leg]:
        """Wait for others, some of the time; a planted wait is too long."""
        legs: list[Leg] = []
        for activity, share in WAITS:
            planted = self.plan.kind == _TOO_LONG.get(activity, "none")
            needed = planted or (self.plan.kind, activity) == (UNNAMED_PROBLEM, "Await problem")
            if not self.draws.chance(share) and not needed:
                continue
            asked = Leg(activity, self.worker, self.team, self.draws.uniform(0.2, 0.6))
            wait = self._wait(activity, planted=planted)
            legs += [asked, self._diagnose()._replace(wait=wait)]
        return legs

    def _wait(self, activity: str, *, planted: bool) -> int:
        """Seconds of office time of a wait of its own; 0 where it is a share of the handling."""
        if planted:
            return round(self.draws.uniform(62, 95) * HOUR)
        if activity != "Await customer":
            return 0
        wait = self.draws.skewed(5 * HOUR, sigma=0.8, low=10 * MINUTE, high=30 * HOUR)
        return round(wait * self.plan.factor)

    def _close(self) -> None:
        """Close after a while, by the service desk, and ask how it was."""
        draws = self.draws
        gap = draws.skewed(14 * HOUR, sigma=0.8, low=HOUR, high=60 * HOUR)
        if self.plan.kind == "left open after resolution":
            gap = round(draws.uniform(115, 160) * HOUR)
        closer = draws.member(SERVICE_DESK)
        if self.plan.kind == "feedback asked too early":
            self.trail.record("Ask feedback", SURVEY_ROBOT, "", after=gap // 3)
            gap -= gap // 3
        self.trail.record("Close", closer, SERVICE_DESK, after=gap)
        if self.plan.kind == "closed twice":
            self.trail.record("Close", closer, SERVICE_DESK, after=5 * MINUTE)
        self._feedback()

    def _feedback(self) -> None:
        """Ask, perhaps hear, and get in touch where the score is low."""
        kind, draws, trail = self.plan.kind, self.draws, self.trail
        if kind == "feedback never asked":
            return
        if kind != "feedback asked too early":
            trail.record("Ask feedback", SURVEY_ROBOT, "", after=round(draws.uniform(60, 7200)))
        planted = kind == "low score left unanswered"
        if not draws.chance(RESPONSE_RATE) and not planted:
            return
        score = draws.pick(LOW_SCORES) if planted else self._score()
        wait = draws.skewed(9 * HOUR, sigma=0.9, low=5 * MINUTE, high=45 * HOUR)
        trail.record("Receive feedback", CUSTOMER, "", after=wait, score=score)
        if planted and draws.chance(0.5):
            return
        hours = draws.uniform(24, 50) if planted else draws.uniform(0.3, 14)
        if score in LOW_SCORES:
            trail.record("Contact customer", self.agent, SERVICE_DESK, after=round(hours * HOUR))

    def _score(self) -> str:
        """Customers of slow and late incidents are less content."""
        used = self.handling / self.ticket.promise.resolve
        shares = SCORES_IN_TIME if used <= SLOW else SCORES_SLOW if used <= LATE else SCORES_LATE
        return self.draws.weighted(SCORES, shares)


_TOO_LONG: Final = {
    "Await customer": "waited too long for the customer",
    "Await supplier": "waited too long for the supplier",
}


def tell_incident(ticket: Ticket, plan: Plan, draws: Draws) -> Trail:
    """Tell one incident."""
    return Incident(ticket, plan, draws).tell()
