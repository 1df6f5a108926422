"""Whole cycles of a service desk as tables of cases, drawn from known laws, seeded, without a log.

What is known of it by construction (each is tested against its closed form):

- Times to resolve are products: hours of the category x speed of the priority, the team and the
  weekday x exp(shock of the week + shock of team and week + trend) x noise. The noise is log-normal
  or a mixture with a tail of long waits. A planted effect multiplies every time of the touched
  teams that were opened after the intervention, so the quantile of any fixed mix moves by just it.
- Clocks met, reopenings and scores have a chance (a mean) that is a sum: base of the category +
  shock of the week + shock of team and week + trend + planted difference. Shocks are uniform within
  bounds and no chance may leave [0, 1], so the planted difference is exact. A score is
  1 + Binomial(4, p) with p from a beta law: people differ.
- The mix of categories drifts over `span` weeks: hard ones, which take longer and go wrong more
  often, become commoner. In one variant the work also moves from quick to slow teams. A raw median
  then moves without any effect.
- Volumes are Poisson with weekday factors, times a gamma factor of the week. Some are cancelled.
- Shocks of the week hit all teams, touched or not; a comparison group (teams that are not touched)
  shares them, and a common shift at the intervention where one is planted.

The log ends `follow` days after the last week: what is not resolved by then is open. `Cycle` draws
the baseline first, then as many weeks of the current window as a plan asks for; the same seed gives
the same baseline whatever comes later. What is met, reopened or scored is drawn apart from the time
to resolve, so that each effect is planted alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from csi.evidence import Evidence
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    from pandas.api.extensions import ExtensionArray as Words

MONDAY_US = 1_736_121_600 * s.US_PER_SECOND  # 2025-01-06 00:00 UTC
US_PER_WEEK = 7 * s.US_PER_DAY
HORIZON = 400  # weeks of shocks, far more than any plan asks for
WEEKDAY_VOLUME = np.array([1.5, 1.2, 1.1, 1.1, 1.0, 0.3, 0.2])
WEEKDAY_SPEED = np.array([1.0, 0.9, 0.9, 1.0, 1.4, 1.8, 1.5])
PRIORITIES, PRIORITY_SHARE = ("P2", "P3", "P4"), np.array([0.2, 0.5, 0.3])
PRIORITY_SPEED = np.array([0.6, 1.0, 1.5])
CATEGORIES = ("account", "device", "network")
CATEGORY_HOURS = np.array([4.0, 9.0, 24.0])
MET, REOPENED, SCORE = (
    np.array(base) for base in ([0.78, 0.72, 0.64], [0.12, 0.15, 0.20], [0.74, 0.68, 0.60])
)
REOPENED_SHOCK = 0.5  # of the half widths: reopenings are rare
MOST_TICKETS = 200_000
CANCELLED, ASKED, ANSWERED = 0.03, 0.6, 0.5
LONG_SHARE, LONG_WAIT = 0.1, 8.0  # of the heavy mixture
AGREEMENT = 4.0  # the beta law of scores: a person's mean is Beta(m * 4, (1 - m) * 4)


@dataclass(frozen=True)
class Planted:
    """What the improvement does to the touched teams: each is a number that an evaluation finds.

    `times`: relative change; `met`, `reopened`: differences of shares; `score`: points of five.
    """

    times: float = 0.0
    met: float = 0.0
    reopened: float = 0.0
    score: float = 0.0


NOTHING = Planted()


@dataclass(frozen=True)
class World:
    """The law of a desk.

    `per_week`: mean tickets a week of one team. `teams`, `others`: speeds of the touched teams and
    of those of the comparison group. `week_sd`, `team_week_sd`: shocks of the log time.
    `shock`, `team_shock`: half widths of the uniform shocks of chances. `persistence`: correlation
    of the shocks of neighbouring weeks. `trend`: change of the log time a week; `trend_of_met`:
    of the chance to be met. `common`: what happens to everybody at the intervention.
    """

    per_week: float = 15.0
    teams: tuple[float, ...] = (0.6, 0.9, 1.1, 1.6)
    others: tuple[float, ...] = ()
    heavy: bool = False
    span: int = 40
    mix: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (0.55, 0.33, 0.12),
        (0.30, 0.38, 0.32),
    )
    team_drift: float = 0.0
    week_sd: float = 0.08
    team_week_sd: float = 0.12
    persistence: float = 0.0
    shock: float = 0.05
    team_shock: float = 0.06
    volume_shape: float = 40.0
    trend: float = 0.0
    trend_of_met: float = 0.0
    common: Planted = NOTHING
    follow: int = 5

    @property
    def speeds(self) -> Floats:
        """Speeds of all teams, touched ones first."""
        return np.array([*self.teams, *self.others])

    @property
    def team_names(self) -> tuple[str, ...]:
        """Names of all teams, touched ones first."""
        return tuple(f"team {i:02d}" for i in range(len(self.speeds)))

    def mix_in(self, week: Ints) -> Floats:
        """Shares of the categories in each week."""
        start, end = (np.array(side) for side in self.mix)
        along = np.clip(week / self.span, 0.0, 1.0)[:, None]
        shares: Floats = (1 - along) * start + along * end
        return shares

    def volumes(self, week: Ints) -> Floats:
        """Mean tickets of each team in each week: work moves from quick teams to slow ones."""
        slow = np.argsort(np.argsort(self.speeds)) / max(1, len(self.speeds) - 1) * 2 - 1
        along = np.clip(week / self.span, 0.0, 1.0)[:, None]
        means: Floats = self.per_week * (1.0 + self.team_drift * (2 * along - 1) * slow)
        return means


@dataclass(frozen=True, eq=False)
class Shocks:
    """Shocks of weeks, and of weeks and teams, one set for each thing that is measured."""

    time: Floats
    met: Floats
    reopened: Floats
    score: Floats
    volume: Floats

    @classmethod
    def draw(cls, world: World, rng: np.random.Generator) -> Shocks:
        """Draw them for all weeks and teams (weeks x teams; volumes: weeks)."""
        teams = len(world.speeds)
        time = persistent(rng.standard_normal(HORIZON), world.persistence) * world.week_sd
        own = rng.standard_normal((HORIZON, teams)) * world.team_week_sd
        met, reopened, score = (
            rng.uniform(-1, 1, (HORIZON, 1)) * world.shock
            + rng.uniform(-1, 1, (HORIZON, teams)) * world.team_shock
            for _ in range(3)
        )
        volume = rng.gamma(world.volume_shape, 1 / world.volume_shape, HORIZON)
        return cls(time[:, None] + own, met, reopened * REOPENED_SHOCK, score, volume)


@dataclass(frozen=True, eq=False)
class Tickets:
    """Tickets as drawn, whatever is known of them when; codes count from 0."""

    opened_us: Ints
    hours: Floats  # until resolved, or until cancelled
    category: Ints
    priority: Ints
    team: Ints
    cancelled: Bools
    met: Bools
    reopened: Bools
    asked: Bools
    answered: Bools
    handovers: Ints
    score: Floats

    @classmethod
    def join(cls, parts: Sequence[Tickets]) -> Tickets:
        """Put parts together, in their order."""
        names = [one.name for one in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def resolved_us(self) -> Ints:
        """When each was resolved or cancelled."""
        return self.opened_us + np.rint(self.hours * s.US_PER_HOUR).astype(np.int64)


@dataclass(frozen=True)
class Cycle:
    """One cycle: a baseline, then the weeks after the intervention, drawn when they are asked for.

    Week numbers count from 0, the first of the baseline.
    """

    world: World
    planted: Planted
    baseline_weeks: int
    seed: tuple[int, ...]

    def baseline(self) -> Evidence:
        """What was known `follow` days after the baseline, of the tickets opened in it."""
        return known(self.world, self.tickets(), self.as_of_us())

    def both(self, weeks: int) -> Evidence:
        """What was known `follow` days after `weeks` weeks more, of all tickets."""
        tickets = Tickets.join([self.tickets(), self.tickets(weeks)])
        return known(self.world, tickets, self.as_of_us(weeks))

    def end_us(self, weeks: int = 0) -> int:
        """The end of the baseline, or of so many weeks after it."""
        return MONDAY_US + (self.baseline_weeks + weeks) * US_PER_WEEK

    def as_of_us(self, weeks: int = 0) -> int:
        """Until when is known what happened to the tickets opened before `end_us`."""
        return self.end_us(weeks) + self.world.follow * s.US_PER_DAY

    def tickets(self, weeks: int = 0) -> Tickets:
        """Tickets of the baseline, or of so many weeks after it."""
        shocks = Shocks.draw(self.world, np.random.default_rng([*self.seed, 0]))
        first = self.baseline_weeks if weeks else 0
        week = np.arange(first, first + (weeks or self.baseline_weeks))
        draw = _Draw(self.world, shocks, np.random.default_rng([*self.seed, 2 if weeks else 1]))
        return draw.tickets(week, self.planted if weeks else None)


@dataclass(frozen=True, eq=False)
class _Draw:
    """Draws the tickets of some weeks from their laws."""

    world: World
    shocks: Shocks
    rng: np.random.Generator

    def tickets(self, weeks: Ints, planted: Planted | None) -> Tickets:
        """Draw all tickets; `planted` is None before the intervention."""
        week, weekday, team = self._places(weeks)
        n = len(week)
        cut = np.cumsum(self.world.mix_in(weeks), axis=1)[week - weeks[0], :-1]
        category = (self.rng.random(n)[:, None] > cut).sum(axis=1)
        priority = np.searchsorted(np.cumsum(PRIORITY_SHARE)[:-1], self.rng.random(n))
        effect = self._effect(planted, team)
        hours = self._noise(n) * CATEGORY_HOURS[category] * PRIORITY_SPEED[priority]
        hours *= self.world.speeds[team] * WEEKDAY_SPEED[weekday] * (1 + effect["times"])
        hours *= np.exp(self.shocks.time[week, team] + self.world.trend * week)
        cancelled = self.rng.random(n) < CANCELLED
        hours = np.where(cancelled, hours * self.rng.random(n), hours)

        def happens(base: Floats, shock: Floats, name: str, more: Floats | float = 0.0) -> Bools:
            chance = base[category] + shock[week, team] + more + effect[name]
            if n and not (chance.min() >= 0 and chance.max() <= 1):
                msg = f"chances of {name} from {chance.min():.2f} to {chance.max():.2f}"
                raise ValueError(msg)
            return np.asarray(self.rng.random(n) < chance)

        def scores() -> Floats:
            mean = SCORE[category] + self.shocks.score[week, team] + effect["score"] / 4
            person = self.rng.beta(mean * AGREEMENT, (1 - mean) * AGREEMENT)
            return np.asarray(1.0 + self.rng.binomial(4, person), dtype=np.float64)

        at = MONDAY_US + (week * 7 + weekday) * s.US_PER_DAY
        return Tickets(
            opened_us=at + self.rng.integers(8 * s.US_PER_HOUR, 18 * s.US_PER_HOUR, n),
            hours=hours,
            category=category,
            priority=priority,
            team=team,
            cancelled=cancelled,
            met=happens(MET, self.shocks.met, "met", np.asarray(self.world.trend_of_met * week)),
            reopened=happens(REOPENED, self.shocks.reopened, "reopened"),
            asked=self.rng.random(n) < ASKED,
            answered=self.rng.random(n) < ANSWERED,
            handovers=self.rng.poisson(0.5, n),
            score=scores(),  # last: how many random numbers it takes hangs on its chances
        )

    def _places(self, weeks: Ints) -> tuple[Ints, Ints, Ints]:
        """Week, weekday and team of each ticket."""
        by_day = WEEKDAY_VOLUME / WEEKDAY_VOLUME.sum()
        by_team = self.world.volumes(weeks) * self.shocks.volume[weeks, None]
        counts = self.rng.poisson(by_team[:, None, :] * by_day[None, :, None])
        place = np.repeat(np.arange(counts.size), counts.ravel())
        week, weekday, team = np.unravel_index(place, counts.shape)
        return week + weeks[0], weekday, team

    def _effect(self, planted: Planted | None, team: Ints) -> dict[str, Floats | float]:
        """What is planted, of each ticket: touched teams get both, others what is common."""
        if planted is None:
            return dict.fromkeys(("times", "met", "reopened", "score"), 0.0)
        touched = team < len(self.world.teams)
        common = self.world.common
        found: dict[str, Floats | float] = {
            name: np.where(touched, getattr(planted, name), 0.0) + getattr(common, name)
            for name in ("met", "reopened", "score")
        }
        mine = np.where(touched, 1 + planted.times, 1.0)
        found["times"] = mine * (1 + common.times) - 1
        return found

    def _noise(self, n: int) -> Floats:
        z = self.rng.standard_normal(n)
        if not self.world.heavy:
            return np.exp(z)
        long = self.rng.random(n) < LONG_SHARE
        return np.where(long, LONG_WAIT * np.exp(1.4 * z), np.exp(0.8 * z))


def persistent(shocks: Floats, correlation: float) -> Floats:
    """Shocks of unit variance of which neighbours are correlated, out of independent ones."""
    scaled = np.concatenate([shocks[:1], shocks[1:] * np.sqrt(1 - correlation**2)])
    return np.asarray(lfilter([1.0], [1.0, -correlation], scaled))


def known(world: World, tickets: Tickets, as_of_us: int) -> Evidence:
    """Return what a log that ends at `as_of_us` says of tickets opened before."""
    ended = tickets.resolved_us
    over = ended <= as_of_us
    resolved = over & ~tickets.cancelled
    # halfway between opening and the last resolution
    again = tickets.opened_us + (ended - tickets.opened_us) // 2
    ids = _ids(len(ended))
    cases = pd.DataFrame(
        {
            "case_id": ids,
            "case_type": _words(("incident",), np.zeros(len(ids), dtype=np.int64)),
            "priority": _words(PRIORITIES, tickets.priority),
            "category": _words(CATEGORIES, tickets.category),
            "service": _words(("mail",), np.zeros(len(ids), dtype=np.int64)),
            "team": _words(world.team_names, tickets.team),
            "opened_us": tickets.opened_us,
            "first_response_us": tickets.opened_us,
            "root_cause_us": _times(ended, np.zeros_like(over)),
            "resolved_us": _times(ended, resolved),
            "closed_us": _times(ended, over),
            "reopened_us": _times(
                again, tickets.reopened & ~tickets.cancelled & (again <= as_of_us)
            ),
            "handovers": tickets.handovers,
        }
    )
    status = np.where(resolved, np.where(tickets.met, 0, 1), 2)
    return Evidence(
        cases=cases,
        as_of_us=as_of_us,
        clocks=pd.DataFrame(
            {
                "case_id": ids,
                "metric": _words(("resolve",), np.zeros_like(status)),
                "status": _words(("met", "breached", "running"), status),
            }
        ),
        surveys=_surveys(tickets, ids, resolved & tickets.asked, as_of_us),
    )


def _surveys(tickets: Tickets, ids: Words, asked: Bools, as_of_us: int) -> pd.DataFrame:
    """Asked when it is resolved, answered a day later or never."""
    at = tickets.resolved_us[asked]
    answered = tickets.answered[asked] & (at + s.US_PER_DAY <= as_of_us)
    return pd.DataFrame(
        {
            "ticket": ids[asked],
            "asked_at": at,
            "answered_at": _times(at + s.US_PER_DAY, answered),
            "score": np.where(answered, tickets.score[asked], np.nan),
        }
    )


def _times(at: Ints, there: Bools) -> pd.arrays.IntegerArray:
    return pd.arrays.IntegerArray(np.where(there, at, 0), ~there)


def _words(words: Sequence[str], codes: Ints) -> Words:
    """Words by their codes: pandas' own strings are taken faster than they are made."""
    return _made(tuple(words)).take(codes)


@cache
def _made(words: tuple[str, ...]) -> Words:
    return pd.array(words, dtype="str")


def _ids(n: int) -> Words:
    return _all_ids()[:n]


@cache
def _all_ids() -> Words:
    return pd.array([f"INC{i:06d}" for i in range(MOST_TICKETS)], dtype="str")
