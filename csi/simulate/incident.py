"""How does an incident go, when all goes well and when one planted thing goes wrong?

An incident that carries no planted deviation conforms by construction: it follows the reference
model, changes teams at most three times and no three times within ten open hours, is reopened at
most once, keeps its targets and limits with room to spare (a P1 is taken up within 50 minutes), and
is asked for feedback once after its closure. `Plan.kind` names the one thing that goes wrong;
`csi.simulate.planting` says which rules it breaks; how a clock is served is told by
`csi.simulate.gaming`.

Time from registration to the last resolution, waits for the customer left out, is log-normal
(median half the promise): skewed, so that means mislead as in real logs, and long enough that
nights and weekends leave no hole around the median on the wall clock. `Plan.factor` stretches
every part of that way, customer waits included, but never what a deviation is made of.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from csi.simulate.desk import CATEGORIES, CUSTOMER, SERVICE_DESK, SURVEY_ROBOT, TEAMS
from csi.simulate.gaming import GAMES, Game, play, promise_of
from csi.simulate.office import HOUR, MINUTE, OFFICE
from csi.simulate.trail import Leg, Trail

if TYPE_CHECKING:
    from collections.abc import Sequence

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
WITHOUT_CODE: Final = "closed without closure code"
# what is planted in these would be mended by looking at the case again
NOT_REOPENED: Final = ("escalated into nowhere", "category changed after resolution")
PAUSES: Final = 3  # of a case that is paused again and again
TAKEN_UP_S: Final = 50 * MINUTE  # a P1 is diagnosed by then
APART_S: Final = 11 * HOUR  # open time within which a team changes at most twice
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
        early = self.plan.kind == "registered after work began"
        self.trail.record("Classify" if early else "Register", self.agent, SERVICE_DESK)
        if self.plan.kind == "" and self.draws.chance(CANCELLED_SHARE):
            self._cancel()
            return self.trail
        self.trail.lay(self._front(), self.response)
        if self.plan.kind in GAMES:
            self._play()
        else:
            self._lay_work(self._work(), self.handling - self.response)
        self._end()
        return self.trail

    def _durations(self) -> tuple[float, float]:
        """Draw the time to respond and the time to resolve, in seconds."""
        promise, draws, factor = self.ticket.promise, self.draws, self.plan.factor
        respond, resolve = float(promise.respond), float(promise.resolve)
        if self.plan.kind in GAMES:
            return draws.uniform(0.05, 0.35) * respond, 0.9 * resolve
        response = draws.skewed(0.25 * respond, sigma=0.6, low=0.02 * respond, high=0.68 * respond)
        handling = draws.skewed(0.5 * resolve, sigma=0.8, low=0.04 * resolve, high=0.88 * resolve)
        late = draws.uniform(1.15, 2.2)
        if self.plan.kind == "response late":
            slow = respond * draws.uniform(1.3, 2.8)
            return slow, max(float(handling), 1.2 * slow)
        if self.plan.kind == "resolution late":
            return response * factor, resolve * late
        if self.plan.kind == "passed around within a day":
            handling = min(handling, round(response) + 4 * HOUR)
        if self.plan.kind == "critical and taken up late":
            handling = max(handling, 130 * MINUTE)
        handling = max(handling, round(1.3 * response))
        return response * factor, handling * factor

    def _play(self) -> None:
        """Tell how the clock is served."""
        play(
            self.plan.kind,
            Game(
                trail=self.trail,
                worker=self.worker,
                team=self.team,
                draws=self.draws,
                promise=promise_of(self.plan.kind, self.ticket.promise),
                used=self.trail.hours.between(self.ticket.at, self.trail.now),
            ),
        )

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
        if self.plan.kind in ("worked before classified", "never classified"):
            return [assign]
        if self.plan.kind == "registered after work began":
            return [classify._replace(activity="Register"), assign]
        return [classify, assign]

    def _lay_work(self, legs: Sequence[Leg], amount: float) -> None:
        """Lay out the work; the first look at a P1 comes soon, whatever follows."""
        first, whole = legs[0], sum(leg.share for leg in legs if not leg.wait)
        taken_up = amount * first.share / whole
        if self.ticket.priority == "P1" and first.activity == "Diagnose":
            soon = float(self.ticket.at + TAKEN_UP_S - self.trail.now)
            if self.plan.kind == "critical and taken up late":
                soon = taken_up = soon + self.draws.uniform(20, 50) * MINUTE
            if taken_up >= soon:
                self.trail.lay(legs[:1], soon)
                legs, amount = legs[1:], amount - soon
        self.trail.lay(legs, amount)

    def _work(self) -> list[Leg]:
        """From the response to the last resolution."""
        kind = self.plan.kind
        if kind == "resolved before diagnosed":
            return [self._resolve()]
        legs = [self._diagnose()]
        if kind == "worked before classified":
            legs.append(Leg("Classify", self.worker, self.team, 0.2))
        legs += self._waits()
        legs += self._hand_overs()
        if kind == "closed without resolution":
            return legs
        legs.append(self._resolve())
        if kind == "reopened again and again":
            legs += [*self._reopen(), *self._reopen()]
        elif kind == "reopened and left undiagnosed":
            legs += [leg for leg in self._reopen() if leg.activity != "Diagnose"]
        elif self.draws.chance(REOPENED_SHARE) and kind not in NOT_REOPENED:
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

    def _hand_overs(self) -> list[Leg]:
        """Give it to other teams: some of the time, or as often as is planted."""
        kind = self.plan.kind
        if kind == "passed around":
            slow = [self._hand_over(wait=6 * HOUR) for _ in range(4)]
            return [leg for legs in slow for leg in legs]
        if kind == "passed around within a day":
            return self._hand_over()
        if kind == "escalated into nowhere":
            return self._hand_over()[:1]
        return self._hand_over() if self.draws.chance(HANDOVER_SHARE) else []

    def _hand_over(self, *, wait: int = 0) -> list[Leg]:
        """Escalate to another team, which looks at it."""
        others = [team for team in TEAMS if team not in (self.team, SERVICE_DESK)]
        escalate = Leg("Escalate", self.worker, self.team, self.draws.uniform(0.3, 1.0), wait)
        self.team = self.draws.pick(others)
        assign = Leg("Assign", self.worker, self.team, self.draws.uniform(0.1, 0.4))
        self.worker = self.draws.member(self.team)
        return [escalate, assign, self._diagnose()]

    def _waits(self) -> list[Leg]:
        """Wait for others, some of the time; a planted wait is too long."""
        legs: list[Leg] = []
        if self.plan.kind == "passed around within a day":
            return legs
        if self.plan.kind == "paused again and again":
            return [leg for _ in range(PAUSES) for leg in self._short_pause()]
        for activity, share in WAITS:
            planted = self.plan.kind == _TOO_LONG.get(activity, "none")
            needed = planted or (self.plan.kind, activity) == (UNNAMED_PROBLEM, "Await problem")
            if not self.draws.chance(share) and not needed:
                continue
            asked = Leg(activity, self.worker, self.team, self.draws.uniform(0.2, 0.6))
            wait = self._wait(activity, planted=planted)
            legs += [asked, self._diagnose()._replace(wait=wait)]
        return legs

    def _short_pause(self) -> list[Leg]:
        """Ask the customer, and hear within the hour."""
        waits = [round(self.draws.uniform(10, 40) * MINUTE) for _ in range(2)]
        asked = Leg("Await customer", self.worker, self.team, wait=waits[0])
        return [asked, self._diagnose()._replace(wait=waits[1])]

    def _wait(self, activity: str, *, planted: bool) -> int:
        """Seconds of office time of a wait of its own; 0 where it is a share of the handling."""
        if planted:
            return round(self.draws.uniform(62, 95) * HOUR)
        if activity != "Await customer":
            return 0
        wait = self.draws.skewed(5 * HOUR, sigma=0.8, low=10 * MINUTE, high=30 * HOUR)
        return round(wait * self.plan.factor)

    def _end(self) -> None:
        """Close after a while, by the service desk, and ask how it was."""
        gap = self._gap()
        closer = self.draws.member(SERVICE_DESK)
        if self.plan.kind == "cancelled after resolution":
            self.trail.record("Cancel", closer, SERVICE_DESK, after=gap)
            return
        if self.plan.kind == "feedback asked too early":
            self.trail.record("Ask feedback", SURVEY_ROBOT, "", after=gap // 3)
            gap -= gap // 3
        self.trail.record("Close", closer, SERVICE_DESK, after=gap)
        if self.plan.kind == "worked after closure":
            self.trail.record("Diagnose", self.agent, SERVICE_DESK, after=HOUR)
        if self.plan.kind in ("closed twice", "worked after closure"):
            self.trail.record("Close", closer, SERVICE_DESK, after=5 * MINUTE)
        self._feedback()

    def _gap(self) -> int:
        """Draw how long it stays open after its resolution, in seconds of office time."""
        gap = self.draws.skewed(14 * HOUR, sigma=0.8, low=HOUR, high=60 * HOUR)
        if self.plan.kind == "left open after resolution":
            return round(self.draws.uniform(115, 160) * HOUR)
        if self.plan.kind == "passed around within a day":
            return round(self.draws.uniform(20, 90) * MINUTE)
        moves = [b.at for a, b in pairwise(self.trail.steps) if a.team != b.team]
        if len(moves) == 1:
            return gap
        return max(gap, APART_S - OFFICE.between(moves[-2], self.trail.now))

    def _feedback(self) -> None:
        """Ask, perhaps hear, and get in touch where the score is low."""
        kind, draws, trail = self.plan.kind, self.draws, self.trail
        if kind == "feedback never asked":
            return
        if kind != "feedback asked too early":
            trail.record("Ask feedback", SURVEY_ROBOT, "", after=round(draws.uniform(60, 7200)))
        if kind == "customer asked again and again":
            trail.record("Ask feedback", SURVEY_ROBOT, "", after=round(draws.uniform(2, 20) * HOUR))
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
    trail = Incident(_registered(ticket, plan.kind), plan, draws).tell()
    if plan.kind == "category changed after resolution":
        other = next(name for name in CATEGORIES if name != ticket.category)
        closed = max(i for i, step in enumerate(trail.steps) if step.activity == "Close")
        trail.steps[closed] = trail.steps[closed]._replace(category=other)
    return trail


def _registered(ticket: Ticket, kind: str) -> Ticket:
    """Return the ticket as it is registered, with a wrong priority or an unpromised one."""
    if kind == "priority unlike impact and urgency":
        level = "3" if ticket.priority in ("P1", "P2") else "1"
        return replace(ticket, impact=level, urgency=level)
    if kind == "nothing promised for its priority":
        return replace(ticket, priority="P5", impact="3", urgency="3")
    return ticket
