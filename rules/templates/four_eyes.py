"""Is the second activity done by someone who has not done the first in this case?

The four-eyes principle, a history-based separation of duty per case (Botha & Eloff 2001): nobody
who did `first` earlier in the case may do `second` later. Where several people did `first`, each
of them is barred; who only does `first` after somebody's `second` (a case that was reopened) is
barred from then on.

State-based tools write a row for each change of a field. An update (a row that is no step) while
the case is in the state `first` (its last step before the update is `first`) is work of that kind:
whoever writes it has done `first` too. Updates in the state `second` are no further `second`.

A `second` by a barred actor is final. Where an actor is missing and no barred one is found, the
case is unknown: it cannot be told that four eyes looked. Vacuous where no `second` follows a
`first`.

Not checked: that two names are two people, delegation, whether the second really reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from process_mining.quality import END, MIDDLE, ORDER, START
from rules.templates import CLAIMS, CONFORMITY, WORDS, Activity, Desk, TwoActivities
from rules.templates._people import barred, by_the_same

if TYPE_CHECKING:
    from rules.spec import DecisionTable, Measure

FORMULA = "for every actor p: G ((first | (update & state = first)) by p -> !F (second by p))"
HINGES = {
    ORDER: CLAIMS,
    START: CONFORMITY,
    MIDDLE: CONFORMITY,
    END: CONFORMITY,
    WORDS: CONFORMITY,  # such a word reads as a step; it may be an update in the state `first`
    "actor": (),
}
EXPLAIN = {
    "same": "times '{second}' was done by somebody who had done '{first}'",
    "unsure": "times it cannot be told whether '{second}' was, for want of a name",
    "count": "times '{second}' came after '{first}'",
}


class Params(TwoActivities):
    """Nobody does `second` who did `first` before."""

    first: Activity = Field(description="the activity that bars whoever does it")
    second: Activity = Field(description="the later activity from which they are barred")


def measure(desk: Desk, params: Params) -> Measure:
    """Look for the same actor earlier; the first `second` by a barred actor decides."""
    actors = desk.log.arrays.actor
    return by_the_same(desk, params.first, params.second, actors, noun="person")


def decide(_: Params) -> DecisionTable:
    """A barred actor violates for good; then what is unsure, then what may still come."""
    return barred()


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"'{params.second}' is done by someone who has not done '{params.first}' before."
