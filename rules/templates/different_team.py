"""Is the second activity done by a team that has not done the first in this case?

Segregation of duties between teams, per case (Botha & Eloff 2001), as `four_eyes` has it between
people: a team that was at work on `first` earlier in the case may not do `second` later. Where
several teams did `first`, each of them is barred; a team that only does `first` after a `second` (a
case that was reopened) is barred from then on.

An update (a row that is no step) while the case is in the state `first` (its last step before the
update is `first`) is work of that kind: the team that it names has done `first` too. Updates in
the state `second` are no further `second`.

A `second` by a barred team is final. Where a team is missing and no barred one is found, the case
is unknown. Vacuous where no `second` follows a `first`.

Not checked: that two names are two teams; to which team the person belonged, where the log names
the team that the case was assigned to; whether one person acted for both teams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from process_mining.quality import END, MIDDLE, ORDER, START
from rules.templates import CLAIMS, CONFORMITY, WORDS, Activity, Desk, TwoActivities
from rules.templates._people import barred, by_the_same

if TYPE_CHECKING:
    from rules.spec import DecisionTable, Measure

FORMULA = "for every team t: G ((first | (update & state = first)) by t -> !F (second by t))"
HINGES = {
    ORDER: CLAIMS,
    START: CONFORMITY,
    MIDDLE: CONFORMITY,
    END: CONFORMITY,
    WORDS: CONFORMITY,  # such a word reads as a step; it may be an update in the state `first`
    "team": (),
}
EXPLAIN = {
    "same": "times '{second}' was done by a team that had done '{first}'",
    "unsure": "times it cannot be told whether '{second}' was, for want of a team",
    "count": "times '{second}' came after '{first}'",
}


class Params(TwoActivities):
    """No team does `second` that did `first` before."""

    first: Activity = Field(description="the activity that bars the team that does it")
    second: Activity = Field(description="the later activity from which it is barred")


def measure(desk: Desk, params: Params) -> Measure:
    """Look for the same team earlier; the first `second` by a barred team decides."""
    teams = desk.log.arrays.team
    return by_the_same(desk, params.first, params.second, teams, noun="team")


def decide(_: Params) -> DecisionTable:
    """A barred team violates for good; then what is unsure, then what may still come."""
    return barred()


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"'{params.second}' is done by a team that has not done '{params.first}' before."
