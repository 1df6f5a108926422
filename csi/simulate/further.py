"""Which tickets of the other practices arrive, when, and what are they about?

How many: `Group.least` and `Group.share`. When: by the same season as incidents, from so many days
before the log begins to its end. Their streams are their own: incidents and problems are the same
with and without them.

Beside the tickets of that season stands a cluster of service requests: `CLUSTER` of one category,
registered within two days in the middle of the log (see `csi.simulate.offences`); a desk whose log
is shorter than eight weeks, or that has fewer than twice as many requests, has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.simulate.desk import CATEGORIES, CHANNEL_SHARES, CHANNELS, Draws, Ticket
from csi.simulate.offences import CLUSTER, OFFENCES
from csi.simulate.office import DAY, HOUR
from csi.simulate.practices import FULL_DESK, GROUPS, REQUEST
from csi.simulate.scripts import tell_script

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from csi.simulate.desk import Plan
    from csi.simulate.practices import Group
    from csi.simulate.trail import Trail

    Moments = Callable[[np.random.Generator, int, int], npt.NDArray[np.int64]]

GROUP_OF: Final = {group.name: group for group in GROUPS}
KIND_OF: Final = {kind.name: kind for kind in OFFENCES}
CLUSTER_CATEGORY: Final = "access"
CLUSTER_LOG_DAYS: Final = 56


def further_tickets(
    tickets: int, *, arrive: Moments, stream: Callable[[int], np.random.Generator]
) -> list[Ticket]:
    """Return the tickets of every group, each in the order of arrival.

    `arrive(rng, n, days_before)` draws n sorted moments; `stream(i)` opens the i-th group's stream.
    """
    found = []
    for index, group in enumerate(GROUPS):
        n = round(group.least * min(1.0, tickets / FULL_DESK) + group.share * tickets)
        rng = stream(index)
        moments = [int(at) for at in arrive(rng, n, group.days_before)]
        found += _tickets(group, moments, rng)
    return found


def clustered_tickets(first: int, *, monday: int, days: int) -> list[Ticket]:
    """Return the cluster of a log that lasts `days` days; ids go on from `first`."""
    if days < CLUSTER_LOG_DAYS or first <= 2 * CLUSTER:
        return []
    group, services = GROUP_OF[REQUEST], CATEGORIES[CLUSTER_CATEGORY][2]
    return [
        Ticket(
            case_id=_name(group, first + i),
            group=group.name,
            practice=group.practice,
            priority=group.priorities[0],
            category=CLUSTER_CATEGORY,
            service=services[0],
            channel=CHANNELS[0],
            at=monday + (9 + 3 * (i % 3)) * HOUR + (i // 3) * DAY + 37 * i,
        )
        for i in range(CLUSTER)
    ]


def _tickets(group: Group, moments: list[int], rng: np.random.Generator) -> list[Ticket]:
    n = len(moments)
    categories = rng.choice(list(CATEGORIES), size=n, p=[c[0] for c in CATEGORIES.values()])
    channels = rng.choice(CHANNELS, size=n, p=CHANNEL_SHARES)
    chosen = rng.random((n, 2))
    return [
        Ticket(
            case_id=_name(group, i),
            group=group.name,
            practice=group.practice,
            priority=_pick(group.priorities, float(chosen[i, 0])),
            category=str(categories[i]),
            service=_pick(CATEGORIES[str(categories[i])][2], float(chosen[i, 1])),
            channel=str(channels[i]),
            at=at,
            impact="1" if group.practice == "incident" else "",
            urgency="1" if group.practice == "incident" else "",
            columns=group.columns,
        )
        for i, at in enumerate(moments)
    ]


def tell_further(ticket: Ticket, plan: Plan, draws: Draws) -> Trail:
    """Tell one ticket by a script of its group, or by that of its offence."""
    group, kind = GROUP_OF[ticket.group], KIND_OF.get(plan.kind)
    weights = [weight for weight, _ in group.scripts.values()]
    name = draws.weighted(list(group.scripts), weights)
    if kind is not None:
        name = kind.script or next(iter(group.scripts))
    return tell_script(ticket, group.scripts[name][1], () if kind is None else kind.edits, draws)


def _name(group: Group, index: int) -> str:
    return f"{group.prefix}{group.first_number + index:07d}"


def _pick(items: tuple[str, ...], share: float) -> str:
    return items[int(share * len(items))]
