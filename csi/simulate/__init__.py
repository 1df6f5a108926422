"""What would a service desk's log look like, if we knew everything that is wrong in it?

`simulate` tells the story of a desk over whole weeks: incidents and problems with priorities,
teams, calendars, waits, hand-overs, reopenings and surveys, and an intervention at a known date.
Beside them stand the other practices: major incidents, changes of three kinds, releases, service
requests, agreements, feedback, articles and improvements, and the links between them.
Every case conforms to the rulebook that ships, by construction; then deviations are planted in a
known random subset, and `truth` lists every rule that each of them breaks. So the demo has
something to show, and the tests have a ground truth: nothing else may be found.

Arrivals follow a weekly season (most on working mornings). Priorities P1 and P2 are handled around
the clock, P3 and P4 in office hours. Times are log-normal, hence skewed. The log ends `months`
after its start, wherever the cases then stand; a closure and the request for feedback that follows
it are never torn apart, nor are a low score and the answer to it.

The intervention changes the time to resolve of P3 and P4 incidents registered on or after its date
by a known factor (`FACTORS`), and nothing else; the same seed gives otherwise the same desk.

Agreements, articles, feedback and improvements began up to 600 days before the log does; their
histories are whole. A cluster of one offence, by one team in one week, is always among the service
requests (`csi.simulate.offences`), unless nothing is planted at all.

Determinism: one seed, numpy's PCG64; every case has a stream of its own, spawned from (seed, case
number), so that no case depends on another. The same request gives the same bytes with the same
release of numpy; the time of day, the machine's locale and hash seed have no part in it.

Cost: O(n log n) in all tickets; about 0.2 ms a ticket, files included. What it does not model:
queues (nobody is ever too busy), holidays, part-time work; tickets name each other, but their times
do not depend on each other. Errors: CY801 for a request that makes no sense (all mistakes at once).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args

import numpy as np

from csi.simulate.desk import (
    CATEGORIES,
    CHANNEL_SHARES,
    CHANNELS,
    PRIORITY_SHARES,
    URGENCIES,
    Draws,
    Plan,
    Ticket,
)
from csi.simulate.files import write
from csi.simulate.further import clustered_tickets, further_tickets, tell_further
from csi.simulate.incident import tell_incident
from csi.simulate.links import link
from csi.simulate.offences import CLUSTERED
from csi.simulate.office import DAY, HOUR
from csi.simulate.planting import RESOLUTION_LATE, RESPONSE_LATE, plant
from csi.simulate.practices import GROUPS, REQUEST
from csi.simulate.problem import tell_problem
from csi.simulate.tables import (
    KINDS,
    Story,
    event_table,
    survey_table,
    ticket_table,
    truth_table,
)
from csi.simulate.trail import cut
from csi.simulate.updates import write_updates
from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from csi.simulate.planting import Kind
    from csi.simulate.trail import Trail

__all__ = ["Request", "Simulation", "simulate", "write"]

Item = TypeVar("Item")
Effect = Literal["none", "improved", "worse"]
FACTORS: Final[dict[str, float]] = {"none": 1.0, "improved": 0.7, "worse": 1.35}
SLOWED_PRIORITIES: Final = ("P3", "P4")
PROBLEM_SHARE: Final = 0.15
WEEKS_PER_YEAR: Final = 52
MAX_TICKETS: Final = 5_000_000
MAX_MONTHS: Final = 120
MAX_SHARE: Final = 0.5
# how much arrives: Monday to Sunday, and in each hour of the day
BY_WEEKDAY: Final = (1.25, 1.1, 1.0, 1.0, 0.9, 0.08, 0.06)
BY_HOUR: Final = (0.05,) * 8 + (1.4,) * 4 + (1.0,) * 6 + (0.12,) * 6
# a planted case ends this long before the log does, so that every deadline it misses has passed
MARGIN_S: Final = 8 * DAY
_FIRST_DAY: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Request:
    """What to simulate. Shares are of all cases of a practice; late ones are of incidents.

    `tickets` counts incidents and problems; those of the other practices come on top, where
    `other_practices` is true: about 300 for 600 tickets, 420 for 1,500, 14 % of many. Without them
    rules on links to them are unknown. Where the share of deviations is above 0 and too small for
    one of each kind, it is raised until there is one of each, but to no more than half of a
    practice's cases.

    The log spans `months` twelfths of 52 weeks, in whole weeks, from 00:00 UTC of `start`;
    `intervention` is by default the day in its middle.
    """

    seed: int = 7
    tickets: int = 1500
    months: int = 6
    start: dt.date = dt.date(2025, 1, 6)
    effect: Effect = "none"
    intervention: dt.date | None = None
    deviation_share: float = 0.06
    late_share: float = 0.08
    late_response_share: float = 0.03
    other_practices: bool = True

    @property
    def end(self) -> dt.date:
        """The day after the last one of the log."""
        return self.start + dt.timedelta(weeks=max(1, round(self.months * WEEKS_PER_YEAR / 12)))

    @property
    def changed_on(self) -> dt.date:
        """The day of the intervention."""
        return self.intervention or self.start + (self.end - self.start) // 2


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated desk: its files as tables, and what is true of it.

    `events`: case_id, practice, activity, at, seq, actor, team, and the attributes score, category,
    risk, violations, priority, written_by and clock; ordered by (at, case_id, seq). `tickets` and
    `surveys`: one row a ticket, a request for feedback.
    `truth`: case_id, rule, kind, seqs, note; ordered by (case_id, rule). A rule `clock:...` is none
    of the rulebook's: it says how a clock was served (`csi.simulate.served_clocks`). `factor`: what
    the intervention does to the time to resolve. `as_of`: the last event.
    """

    request: Request
    events: pa.Table
    tickets: pa.Table
    surveys: pa.Table
    truth: pa.Table
    intervention: dt.date
    factor: float
    as_of: dt.datetime


def simulate(request: Request) -> Simulation:
    """Simulate a desk; raises CodedError CY801 for a request that makes no sense."""
    raise_all(_mistakes(request))
    desk = _Desk.of(request)
    plans = desk.plans()
    stories = [desk.story(index, plans.get(index, "")) for index in range(len(desk.tickets))]
    stories = [story for story in stories if story.steps]
    as_of = max(story.steps[-1].at for story in stories)
    links = link(stories, {kind.name: kind.without_link for kind in KINDS.values()})
    return Simulation(
        request=request,
        events=event_table(stories),
        tickets=ticket_table(stories, links),
        surveys=survey_table(stories),
        truth=truth_table(stories, links, as_of=as_of),
        intervention=request.changed_on,
        factor=FACTORS[request.effect],
        as_of=dt.datetime.fromtimestamp(as_of, dt.UTC),
    )


@dataclass(frozen=True, eq=False)
class _Desk:
    """The tickets that arrive, and how each is told; from `clustered_from` on, the cluster."""

    request: Request
    tickets: list[Ticket]
    clustered_from: int

    @classmethod
    def of(cls, request: Request) -> _Desk:
        """Let the tickets of a request arrive."""
        tickets = _arrivals(request)
        if request.other_practices:
            tickets += further_tickets(
                request.tickets,
                arrive=lambda rng, n, days: _moments(request, rng, n, days_before=days),
                stream=lambda index: _stream(request.seed, 4, index),
            )
        middle = request.start + (request.end - request.start) // 14 * 7
        cluster = clustered_tickets(
            sum(ticket.group == REQUEST for ticket in tickets),
            monday=_midnight(middle - dt.timedelta(days=middle.weekday())),
            days=(request.end - request.start).days,
        )
        return cls(request, tickets + cluster, len(tickets))

    def tell(self, index: int, plan: Plan) -> Trail:
        """Tell one ticket's whole story, however long it takes."""
        ticket = self.tickets[index]
        draws = Draws(self.request.seed, 1, index)
        tell = TELLERS.get(ticket.group, tell_further)
        trail = tell(ticket, plan, draws)
        if ticket.group == "incident" and plan.kind in UNPLANTED:
            write_updates(trail, Draws(self.request.seed, 5, index))
        return trail

    def story(self, index: int, kind: str) -> Story:
        """Tell one ticket's story up to the end of the log."""
        trail = self.tell(index, Plan(kind, self._factor(self.tickets[index])))
        clustered = index >= self.clustered_from
        return Story(trail.ticket, kind, tuple(cut(trail.steps, self._end)), clustered)

    def plans(self) -> dict[int, str]:
        """Choose what goes wrong with which ticket."""
        rng, further = _stream(self.request.seed, 2), _stream(self.request.seed, 3)
        planted = self._planted("incident", rng)
        planted |= self._planted("problem", rng)
        for group in GROUPS:
            planted |= self._planted(group.name, further)
        if self.request.deviation_share:
            planted |= dict.fromkeys(range(self.clustered_from, len(self.tickets)), CLUSTERED)
        return planted

    def _planted(self, group: str, rng: np.random.Generator) -> dict[int, str]:
        """Choose what goes wrong in one group of tickets, the cluster left out."""
        cases = [i for i, t in enumerate(self.tickets[: self.clustered_from]) if t.group == group]
        order = [cases[i] for i in rng.permutation(len(cases))]
        kinds = [kind for kind in KINDS.values() if kind.group == group]
        n = round(self.request.deviation_share * len(order))
        if self.request.deviation_share:
            n = max(n, min(len(kinds), len(order) // 2))
        planted = plant(order, kinds=kinds, n=n, fits=self._fits)
        if group == "incident":
            planted |= self._late([case for case in order if case not in planted], len(order))
        return planted

    def _late(self, order: Sequence[int], n_cases: int) -> dict[int, str]:
        """Let the share of incidents that every desk has be late."""
        n_late = round(self.request.late_share * n_cases)
        n_slow = round(self.request.late_response_share * n_cases)
        late = dict.fromkeys(order[:n_late], RESOLUTION_LATE)
        return late | dict.fromkeys(order[n_late : n_late + n_slow], RESPONSE_LATE)

    def _fits(self, index: int, kind: Kind) -> bool:
        """Tell whether a case ends in the log under any effect, so that all plant the same."""
        if kind.priorities and self.tickets[index].priority not in kind.priorities:
            return False
        slowest = self.tell(index, Plan(kind.name, max(FACTORS.values())))
        return slowest.now + MARGIN_S < self._end

    def _factor(self, ticket: Ticket) -> float:
        changed = ticket.group == "incident" and ticket.priority in SLOWED_PRIORITIES
        after = ticket.at >= _midnight(self.request.changed_on)
        return FACTORS[self.request.effect] if changed and after else 1.0

    @property
    def _end(self) -> int:
        return _midnight(self.request.end)


TELLERS: Final = {"incident": tell_incident, "problem": tell_problem}
UNPLANTED: Final = ("", RESOLUTION_LATE, RESPONSE_LATE)


def _arrivals(request: Request) -> list[Ticket]:
    """Draw when tickets arrive, and what they are about."""
    rng = _stream(request.seed, 0)
    n = request.tickets
    at = _moments(request, rng, n)
    is_problem = rng.random(n) < PROBLEM_SHARE
    priorities = rng.choice(list(PRIORITY_SHARES), size=n, p=list(PRIORITY_SHARES.values()))
    categories = rng.choice(list(CATEGORIES), size=n, p=[c[0] for c in CATEGORIES.values()])
    channels = rng.choice(CHANNELS, size=n, p=CHANNEL_SHARES)
    service, urgency = rng.random(n), rng.random(n)
    number = np.where(is_problem, np.cumsum(is_problem), np.cumsum(~is_problem))
    practice = np.where(is_problem, "problem", "incident").tolist()
    pairs = [
        _pick(URGENCIES[str(p)], float(share)) for p, share in zip(priorities, urgency, strict=True)
    ]
    return [
        Ticket(
            case_id=f"{'PRB' if is_problem[i] else 'INC'}{number[i]:07d}",
            group=practice[i],
            practice=practice[i],
            priority=str(priorities[i]),
            category=str(categories[i]),
            service=_pick(CATEGORIES[str(categories[i])][2], float(service[i])),
            channel=str(channels[i]),
            at=int(at[i]),
            impact=pairs[i][0],
            urgency=pairs[i][1],
        )
        for i in range(n)
    ]


def _moments(
    request: Request, rng: np.random.Generator, n: int, *, days_before: int = 0
) -> npt.NDArray[np.int64]:
    """Draw when n tickets arrive, sorted: working mornings most, nights least."""
    first = request.start - dt.timedelta(days=days_before)
    days = np.arange((request.end - first).days) + first.weekday()
    week: npt.NDArray[np.float64] = np.outer(BY_WEEKDAY, BY_HOUR)
    weights = week[days % 7].ravel()
    hours = rng.choice(len(weights), size=n, p=weights / weights.sum())
    return np.sort(_midnight(first) + hours * HOUR + rng.integers(0, HOUR, size=n))


def _pick(items: Sequence[Item], share: float) -> Item:
    return items[int(share * len(items))]


def _stream(seed: int, *key: int) -> np.random.Generator:
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=key)
    return np.random.Generator(np.random.PCG64(sequence))


def _midnight(day: dt.date) -> int:
    return (day - _FIRST_DAY).days * DAY


def _mistakes(request: Request) -> list[CodedError]:
    """Everything about a request that makes no sense."""
    shares = (request.deviation_share, request.late_share, request.late_response_share)
    checks = (
        (request.seed >= 0, f"seed {request.seed}", "Give a whole number from 0 on"),
        (1 <= request.tickets <= MAX_TICKETS, f"{request.tickets} tickets", "Give 1 to 5,000,000"),
        (1 <= request.months <= MAX_MONTHS, f"{request.months} months", "Give 1 to 120"),
        (
            request.effect in get_args(Effect),
            f"effect '{request.effect}'",
            "Give none, improved or worse",
        ),
        (all(0 <= share <= MAX_SHARE for share in shares), f"shares {shares}", "Give 0 to 0.5"),
        (
            request.start < request.changed_on < request.end,
            f"an intervention on {request.changed_on}",
            f"Give a day after {request.start} and before {request.end}",
        ),
    )
    return [
        CodedError("CY801", f"a desk cannot be simulated with {what}", fix=fix)
        for right, what, fix in checks
        if not right
    ]
