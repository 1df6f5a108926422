"""What is written into an incident besides its steps?

Customers reply and are reminded, priorities are corrected: updates, which are no steps of the
practice. In an incident without a deviation none of them is out of order:

- a reply that ends a wait takes the work up again itself (its step says that the customer wrote);
- a reminder inside a wait is the desk's own, and thanks come when the clock has stopped;
- a priority that was too low at registration is raised when the incident is classified.

They are drawn from a stream of their own and change the time of no step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.simulate.desk import CUSTOMER
from csi.simulate.office import HOUR, OFFICE
from csi.simulate.trail import REMINDED, REPLIED, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csi.simulate.desk import Draws
    from csi.simulate.trail import Trail

REPLY_SHARE: Final = 0.6
REMINDER_SHARE: Final = 0.4
THANKS_SHARE: Final = 0.1
RAISED_SHARE: Final = 0.08
LONG_S: Final = 2 * HOUR  # of a wait or a gap in which something is written
LOWER: Final = {"P1": "P2", "P2": "P3", "P3": "P4"}


def write_updates(trail: Trail, draws: Draws) -> None:
    """Write updates into the trail of an incident in which nothing goes wrong on purpose."""
    trail.steps = list(_with_updates(trail.steps, draws))
    if trail.ticket.priority in LOWER and draws.chance(RAISED_SHARE):
        _raise_priority(trail)


def _with_updates(steps: list[Step], draws: Draws) -> Iterator[Step]:
    """Yield the steps, with what is written between them."""
    replied = False
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        yield step._replace(written_by="customer") if replied else step
        if following is None:
            return
        gap = OFFICE.between(step.at, following.at)
        middle = OFFICE.add(step.at, gap // 2)
        replied = step.activity == "Await customer" and draws.chance(REPLY_SHARE)
        if gap <= LONG_S:
            continue
        if step.activity == "Await customer" and draws.chance(REMINDER_SHARE):
            yield Step(REMINDED, middle, step.actor, step.team, written_by="desk")
        done = (step.activity, following.activity) == ("Resolve", "Close")
        if done and draws.chance(THANKS_SHARE):
            yield Step(REPLIED, middle, CUSTOMER, "", written_by="customer")


def _raise_priority(trail: Trail) -> None:
    """Say the lower priority at registration, and the right one when it is classified."""
    steps = trail.steps
    if [step.activity for step in steps[:2]] == ["Register", "Classify"]:
        priority = trail.ticket.priority
        steps[0] = steps[0]._replace(priority=LOWER[priority])
        steps[1] = steps[1]._replace(priority=priority)
