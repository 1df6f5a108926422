"""Which promises did a simulated incident break, as its own story tells it?

Response: from registration to the first assignment, diagnosis or resolution. Resolution: from
registration to the last resolution, if it has not been reopened since. Neither counts the time
between a wait for the customer and the next step; both are counted in the hours of the priority's
promise. A clock that has not stopped is read at the end of a case that is closed, and at `as_of`
for one that is open. A promise is broken when more than its time is used up.

This is the simulation's own count (day by day, whole seconds), made from the same sentences as
the clocks in `rules.service_level` but sharing no code with them: the truth must not rest on what
it tests.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.simulate.desk import Promise
    from csi.simulate.trail import Step

RESPONSE: Final = "SLM001"
RESOLUTION: Final = "SLM002"
RESPONDED: Final = ("Assign", "Diagnose", "Resolve")
FEEDBACK: Final = ("Ask feedback", "Receive feedback", "Contact customer")
ENDS: Final = ("Close", "Cancel")
PAUSE: Final = "Await customer"


def broken_promises(
    steps: Sequence[Step], promise: Promise, *, as_of: int
) -> dict[str, tuple[int, ...]]:
    """Return the rules that are broken, each with the positions of the steps that show it."""
    clocks = (
        (RESPONSE, promise.respond, _responded(steps)),
        (RESOLUTION, promise.resolve, _resolved(steps)),
    )
    return {
        rule: (0,) if stop is None else (0, stop)
        for rule, limit, stop in clocks
        if _used(steps, stop, promise, as_of) > limit
    }


def _responded(steps: Sequence[Step]) -> int | None:
    return next((i for i, step in enumerate(steps) if step.activity in RESPONDED), None)


def _resolved(steps: Sequence[Step]) -> int | None:
    """The position of the last resolution, unless the case has been reopened since."""
    turns = [i for i, step in enumerate(steps) if step.activity in ("Resolve", "Reopen")]
    return turns[-1] if turns and steps[turns[-1]].activity == "Resolve" else None


def _used(steps: Sequence[Step], stop: int | None, promise: Promise, as_of: int) -> int:
    """Seconds used up before the stop, waits for the customer left out."""
    own = [step for step in steps[: None if stop is None else stop + 1] if not _is_feedback(step)]
    spans = [(step, following.at) for step, following in pairwise(own)]
    if stop is None and own[-1].activity not in ENDS:
        spans.append((own[-1], as_of))
    return sum(
        promise.hours.between(step.at, until) for step, until in spans if step.activity != PAUSE
    )


def _is_feedback(step: Step) -> bool:
    return step.activity in FEEDBACK
