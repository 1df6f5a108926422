"""How is the story of a ticket told that follows a script, such as a change or a release?

A script is what happens when all goes well: steps in order, each taken by a role, after a gap. A
`Perhaps` is a stretch that some tickets have. What goes wrong is an edit of the script (`Edit`): a
step left out, taken by another, later, once more. So a planted ticket is its script, edited, and a
clean one is its script.

Gaps are drawn between two bounds (log-uniform, so that short ones are likelier): in open hours of
the office, in minutes of the clock on the wall, or in days, after which the office is open.

Roles are people of a team: those of one team are different people in every ticket. The team is
named, or it is the one that usually solves the ticket's category (`HOME`) or one of those after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from csi.simulate.desk import (
    ADVISORY,
    CUSTOMER,
    MANAGEMENT,
    SERVICE_DESK,
    SURVEY_ROBOT,
    TEAMS,
    members_of,
)
from csi.simulate.office import DAY, HOUR, MINUTE, OFFICE
from csi.simulate.trail import Step, Trail, described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.simulate.desk import Draws, Ticket

HOME: Final = ("home", "the one after it", "the one after that")
NOBODY: Final = "line manager"  # of the customer's: no member of the desk


class Role(NamedTuple):
    """Someone's part: the team, and which of its members (no team: an outsider of that name)."""

    team: str
    place: int = 0
    name: str = ""


ROLES: Final[dict[str, Role]] = {
    "agent": Role(SERVICE_DESK, 0),
    "requester": Role(SERVICE_DESK, 1),
    "worker": Role(HOME[0], 0),
    "colleague": Role(HOME[0], 1),
    "tester": Role(HOME[0], 2),
    "coordinator": Role(HOME[0], 3),
    "reviewer": Role(HOME[0], 4),
    "next worker": Role(HOME[1], 0),
    "third worker": Role(HOME[2], 0),
    "approver": Role(ADVISORY, 0),
    "second approver": Role(ADVISORY, 1),
    "manager": Role(MANAGEMENT, 0),
    "assessor": Role(MANAGEMENT, 1),
    "owner": Role(MANAGEMENT, 2),
    "customer": Role("", name=CUSTOMER),
    "line manager": Role("", name=NOBODY),
    "robot": Role("", name=SURVEY_ROBOT),
}


class Gap(NamedTuple):
    """How long after the step before it: between two amounts of seconds, on which clock."""

    low: int
    high: int
    clock: str = "office"

    def after(self, at: int, draws: Draws) -> int:
        """Return the moment of the step."""
        amount = draws.between(self.low, self.high)
        if self.clock == "office":
            return OFFICE.add(at, amount)
        return at + amount if self.clock == "wall" else OFFICE.add(at + amount, MINUTE)


def hours(low: float, high: float) -> Gap:
    """So many open hours of the office (ten a day)."""
    return Gap(round(low * HOUR), round(high * HOUR))


def minutes(low: float, high: float) -> Gap:
    """So many minutes, day and night."""
    return Gap(round(low * MINUTE), round(high * MINUTE), "wall")


def days(low: float, high: float) -> Gap:
    """So many days, and until the office is open."""
    return Gap(round(low * DAY), round(high * DAY), "days")


class Do(NamedTuple):
    """One step of a script; score, risk and violations are what its event says besides."""

    activity: str
    role: str
    gap: Gap = Gap(5 * MINUTE, 2 * HOUR)
    score: str = ""
    risk: str = ""
    violations: str = ""


class Perhaps(NamedTuple):
    """Steps that come together or not at all."""

    chance: float
    steps: tuple[Do, ...]


Script = tuple[Do | Perhaps, ...]
Edit = Callable[[list[Do]], list[Do]]


@dataclass(frozen=True)
class Cast:
    """Who plays which role in one ticket."""

    ticket: Ticket
    shift: float

    def member(self, name: str) -> tuple[str, str]:
        """Return a role's person and team."""
        role = ROLES[name]
        if role.name:
            return role.name, role.team
        team = self._at_home(HOME.index(role.team)) if role.team in HOME else role.team
        members = members_of(team)
        return members[(int(self.shift * len(members)) + role.place) % len(members)], team

    def _at_home(self, further: int) -> str:
        """Return the team that solves the category, or one that comes so many after it."""
        teams = [team for team in TEAMS if team != SERVICE_DESK]
        return teams[(teams.index(self.ticket.home_team) + further) % len(teams)]


def tell_script(ticket: Ticket, script: Script, edits: Sequence[Edit], draws: Draws) -> Trail:
    """Tell one ticket by its script, edited; it begins when the ticket does."""
    steps = [step for part in script for step in _of(part, draws)]
    for edit in edits:
        steps = edit(steps)
    cast, trail = Cast(ticket, draws.uniform(0, 1)), Trail(ticket, OFFICE)
    for step in steps:
        at = step.gap.after(trail.now, draws) if trail.steps else ticket.at
        trail.steps.append(_happened(step, at, cast))
    return trail


def _of(part: Do | Perhaps, draws: Draws) -> tuple[Do, ...]:
    if isinstance(part, Do):
        return (part,)
    return part.steps if draws.chance(part.chance) else ()


def _happened(step: Do, at: int, cast: Cast) -> Step:
    actor, team = cast.member(step.role)
    happened = Step(
        activity=step.activity,
        at=at,
        actor=actor,
        team=team,
        score=step.score,
        risk=step.risk,
        violations=step.violations,
    )
    return described(happened, cast.ticket)


# --- edits; an activity stands for all of its steps where it does not say "the first"


def without(activity: str) -> Edit:
    """Leave an activity out."""
    return lambda steps: [step for step in steps if step.activity != activity]


def by(activity: str, role: str) -> Edit:
    """Let somebody else do it."""
    return _each(activity, lambda step: step._replace(role=role))


def taking(activity: str, gap: Gap) -> Edit:
    """Let so much time pass before it."""
    return _each(activity, lambda step: step._replace(gap=gap))


def of_risk(activity: str, risk: str) -> Edit:
    """Let its event tell another risk."""
    return _each(activity, lambda step: step._replace(risk=risk))


def after(activity: str, *more: Do) -> Edit:
    """Put steps after the first step of an activity."""

    def edit(steps: list[Do]) -> list[Do]:
        place = _first(steps, activity) + 1
        return [*steps[:place], *more, *steps[place:]]

    return edit


def swapped(one: str, other: str) -> Edit:
    """Let the first steps of two activities change places, each with its time and people."""

    def edit(steps: list[Do]) -> list[Do]:
        i, j = _first(steps, one), _first(steps, other)
        steps = list(steps)
        steps[i], steps[j] = steps[j], steps[i]
        return steps

    return edit


def first_only(activity: str, change: Edit) -> Edit:
    """Let an edit change the steps up to the first of an activity, and no later ones."""

    def edit(steps: list[Do]) -> list[Do]:
        place = _first(steps, activity) + 1
        return [*change(steps[:place]), *steps[place:]]

    return edit


def _each(activity: str, change: Callable[[Do], Do]) -> Edit:
    return lambda steps: [change(step) if step.activity == activity else step for step in steps]


def _first(steps: Sequence[Do], activity: str) -> int:
    return next(i for i, step in enumerate(steps) if step.activity == activity)
