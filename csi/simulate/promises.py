"""Which promises did a simulated incident break, as its own story tells it?

Response: from registration to the first assignment, diagnosis or resolution. Resolution: from
registration to the last resolution, if it has not been reopened since. Neither counts the time
between a wait for the customer, or a step that holds the clock, and the next step; both are counted
in the hours of the priority's promise. A clock that has not stopped is read at the end of a case
that is closed, and at `as_of` for one that is open. A promise is broken when more than its time is
used up.

A priority reigns from the event that says it to the next one that says another; before the first
such event the first one said holds, and without any the ticket's. Every promise counts from
registration. That of a reign which ends before the clock stops is broken if its time ran out during
the reign; that of the last one, if its time had run out when the clock stopped.

This is the simulation's own count (day by day, whole seconds), made from the same sentences as
the clocks in `rules.service_level` but sharing no code with them: the truth must not rest on what
it tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from csi.simulate.desk import PROMISES
from csi.simulate.trail import HELD, UPDATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.simulate.office import Hours
    from csi.simulate.trail import Step

RESPONSE: Final = "SLM001"
RESOLUTION: Final = "SLM002"
RESPONDED: Final = ("Assign", "Diagnose", "Resolve")
FEEDBACK: Final = ("Ask feedback", "Receive feedback", "Contact customer")
ENDS: Final = ("Close", "Cancel")
PAUSE: Final = "Await customer"


class Reign(NamedTuple):
    """A priority, the position of the event that said it (0: the first), and of the next one."""

    priority: str
    begin: int
    end: int | None


class Span(NamedTuple):
    """The time from one step (at a position) to the next one of the practice."""

    position: int
    begin: int
    end: int


@dataclass(frozen=True)
class Clock:
    """The time of a story up to a moment, step by step; pauses are the spans that do not count."""

    work: tuple[Span, ...]
    pauses: tuple[Span, ...]

    def used(self, until: int, hours: Hours) -> int:
        """Return the seconds used up before a moment."""
        return sum(hours.between(x.begin, min(x.end, until)) for x in self.work if x.begin < until)


def broken_promises(
    steps: Sequence[Step], priority: str, *, as_of: int
) -> dict[str, tuple[int, ...]]:
    """Return the rules that are broken, each with the positions of the events that show it.

    `priority` is the one that the incident has at last.
    """
    found: dict[str, tuple[int, ...]] = {}
    for rule, stop in ((RESPONSE, responded(steps)), (RESOLUTION, resolved(steps))):
        clock, end = clock_of(steps, stop, as_of)
        for reign in reigns(steps, priority, stop):
            if _broken(rule, reign, steps, clock, end):
                last = stop if reign.end is None else reign.end
                found[rule] = (0,) if last is None else (0, last)
                break
    return found


def _broken(rule: str, reign: Reign, steps: Sequence[Step], clock: Clock, end: int) -> bool:
    promise = PROMISES.get(reign.priority)
    if promise is None:
        return False
    limit = promise.respond if rule == RESPONSE else promise.resolve
    if reign.end is None:
        return clock.used(end, promise.hours) > limit
    before, after = (clock.used(steps[i].at, promise.hours) for i in (reign.begin, reign.end))
    return before <= limit < after


def reigns(steps: Sequence[Step], priority: str, stop: int | None) -> list[Reign]:
    """Return which priority reigned when, up to the stop; the last reign has no end."""
    said = [(i, step.priority) for i, step in enumerate(steps) if step.priority]
    if not said:
        return [Reign(priority, 0, None)]
    changes = [
        (i, to) for (_, of), (i, to) in pairwise(said) if of != to and (stop is None or i < stop)
    ]
    found = [(0, said[0][1]), *changes]
    ends = [*(begin for begin, _ in changes), None]
    return [Reign(name, begin, end) for (begin, name), end in zip(found, ends, strict=True)]


def responded(steps: Sequence[Step]) -> int | None:
    """The position of the first sign that somebody works on it."""
    return next((i for i, step in enumerate(steps) if step.activity in RESPONDED), None)


def resolved(steps: Sequence[Step]) -> int | None:
    """The position of the last resolution, unless the case has been reopened since."""
    turns = [i for i, step in enumerate(steps) if step.activity in ("Resolve", "Reopen")]
    return turns[-1] if turns and steps[turns[-1]].activity == "Resolve" else None


def clock_of(steps: Sequence[Step], stop: int | None, as_of: int) -> tuple[Clock, int]:
    """Return the clock up to the stop, or to where it stands without one, and that moment."""
    own = [
        (i, step)
        for i, step in enumerate(steps[: None if stop is None else stop + 1])
        if step.activity not in FEEDBACK and step.activity not in UPDATES
    ]
    end = own[-1][1].at
    spans = [(step, Span(i, step.at, following.at)) for (i, step), (_, following) in pairwise(own)]
    if stop is None and own[-1][1].activity not in ENDS:
        end = as_of
        spans.append((own[-1][1], Span(own[-1][0], own[-1][1].at, end)))
    paused = [step.activity == PAUSE or step.clock == HELD for step, _ in spans]
    return (
        Clock(
            work=tuple(span for (_, span), stands in zip(spans, paused, strict=True) if not stands),
            pauses=tuple(span for (_, span), stands in zip(spans, paused, strict=True) if stands),
        ),
        end,
    )
