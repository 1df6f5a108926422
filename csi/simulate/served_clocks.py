"""Which clocks were served instead of the customer, as the story tells it?

Counted for every incident on the clock to its resolution, in whole seconds of open time:

    not allowed         a pause that is no wait for the customer
    short spells        three or more pauses of less than an hour each, that begin with more than
                        75 % of the promise used up and some of it left
    after the answer    a pause that goes on after the customer has written
    just before due     a pause that begins with at most 15 minutes left
    eased               the priority is changed to one with more time, with more than 75 % used up

Like the broken promises (`csi.simulate.promises`) this is a count of its own, which shares no code
with the audit of pauses that is tested with it. That a promise was kept only by pausing is no
offence: it stands in the truth where it was planted.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from csi.simulate.desk import PROMISES
from csi.simulate.office import HOUR, MINUTE
from csi.simulate.promises import PAUSE, clock_of, reigns, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csi.simulate.desk import Promise
    from csi.simulate.promises import Clock
    from csi.simulate.trail import Step

ONLY_BY_PAUSING: Final = "clock:met-only-by-pausing"
NOT_ALLOWED: Final = "clock:not-allowed"
SHORT_SPELLS: Final = "clock:short-before-breach"
AFTER_ANSWER: Final = "clock:after-answer"
JUST_BEFORE: Final = "clock:just-before-due"
EASED: Final = "clock:eased-before-breach"
SHORT_S: Final = HOUR
OFTEN: Final = 3
LATE: Final = 0.75
LAST_S: Final = 15 * MINUTE


def served_clocks(
    steps: Sequence[Step], priority: str, *, as_of: int
) -> dict[str, tuple[int, ...]]:
    """Return what was done to the clock, each with the positions of the events that show it."""
    stop = resolved(steps)
    clock, _ = clock_of(steps, stop, as_of)
    found = dict(_paused(steps, priority, clock))
    eased = tuple(_eased(steps, priority, stop, clock))
    return found | ({EASED: eased} if eased else {})


def _paused(
    steps: Sequence[Step], priority: str, clock: Clock
) -> Iterator[tuple[str, tuple[int, ...]]]:
    promise = PROMISES.get(priority)
    if promise is None:
        return
    hours, limit = promise.hours, promise.resolve
    took = {x.position: hours.between(x.begin, x.end) for x in clock.pauses}
    used = {x.position: clock.used(x.begin, hours) for x in clock.pauses}
    pauses = [x for x in clock.pauses if took[x.position]]
    near = [x.position for x in pauses if LATE * limit < used[x.position] < limit]
    short = [position for position in near if took[position] < SHORT_S]
    shown = {
        NOT_ALLOWED: [x.position for x in pauses if steps[x.position].activity != PAUSE],
        SHORT_SPELLS: short if len(short) >= OFTEN else [],
        AFTER_ANSWER: [
            x.position
            for x in pauses
            if any(
                hours.between(step.at, x.end)
                for step in steps
                if step.written_by == "customer" and x.begin < step.at < x.end
            )
        ],
        JUST_BEFORE: [position for position in near if limit - used[position] <= LAST_S],
    }
    yield from ((name, tuple(positions)) for name, positions in shown.items() if positions)


def _eased(steps: Sequence[Step], priority: str, stop: int | None, clock: Clock) -> Iterator[int]:
    """Yield the changes of priority that came near the end of a promise and gave more time."""
    found = reigns(steps, priority, stop)
    for before, after in pairwise(found):
        old, new = PROMISES.get(before.priority), PROMISES.get(after.priority)
        if old is None or before.end is None:
            continue
        used = clock.used(steps[before.end].at, old.hours)
        longer = new is None or _due(steps, new) > _due(steps, old)
        if LATE * old.resolve < used <= old.resolve and longer:
            yield before.end


def _due(steps: Sequence[Step], promise: Promise) -> int:
    """When the time runs out if nothing pauses it."""
    return promise.hours.add(steps[0].at, promise.resolve)
