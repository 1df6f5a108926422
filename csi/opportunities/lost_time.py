"""Where does time lie that could be won back? Proposals from waits and from broken promises.

wait          a state of waiting, queueing or handing over (`time_in` of the practice) in which
at least `SMALLEST_GROUP` tickets of the window were. Hours: visits a month x
median stay x the share that is assumed to be won back (`Definitions.waits`);
the median, since a few very long stays make the mean. Stays that have not ended
are not in it. States of work are none of these: a state does not tell work from
waiting for it.
breach cause  broken clocks of one target in which the greatest part of the time went into one
thing (`csi.service_levels.causes`): at least `SMALLEST_GROUP` clocks and
`LEAST_SHARE` of the target's. Hours: clocks a month x median time over the limit
x the same assumed share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from csi.opportunities.definitions import SMALLEST_GROUP
from csi.opportunities.gain import Range, times
from csi.opportunities.proposals import Proposal
from csi.opportunities.tickets import opened_of
from csi.opportunities.words import assumed, count, hours, span
from csi.report.words import percent, plural
from csi.service_levels.causes import WORDS, breach_causes
from csi.statistics import quantile
from process_mining import schema as s
from process_mining.performance import bottlenecks
from rules.opportunity import digest

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from csi.audit import PracticeAudit
    from csi.evidence import Span
    from csi.opportunities.sources import Desk

LEAST_SHARE: Final = 0.2
WAITS: Final = {
    "queue": "in a queue",
    "hand_over": "for the next team",
    "customer": "for the customer",
    "others": "for others",
}
MEDIANS: Final = {
    "incident": "median-time-to-resolve",
    "service_request": "median-time-to-fulfil",
    "problem": "median-time-to-resolve-a-problem",
}
ATTAINMENTS: Final = {
    ("SLA", "resolve"): "resolution-target-attainment",
    ("SLA", "respond"): "response-target-attainment",
}
OLA: Final = "ola-attainment"


def from_waits(desk: Desk, window: Span) -> Iterator[Proposal]:
    """Yield a proposal for each state in which tickets of the window wait."""
    for part in desk.audit.practices:
        yield from _waits(desk, part, window)


def _waits(desk: Desk, part: PracticeAudit, window: Span) -> Iterator[Proposal]:
    whole, practice = part.translation.log, part.practice
    opened, known = opened_of(whole)
    log = whole.select(known & (opened >= window.start_us) & (opened < window.end_us))
    stays = bottlenecks(log, by="state", leave_out=practice.outside_model)
    ids = log.cases[s.CASE_ID].to_numpy(zero_copy_only=False)
    for row in stays.sort_values("source").to_dict(orient="records"):
        sort = practice.time_in.get(row["source"], "")
        if sort not in WAITS or row["cases"] < SMALLEST_GROUP:
            continue
        arrays = log.arrays
        visits = arrays.case_of[arrays.activity == arrays.code_of(row["source"])]
        yield _of_wait(desk, part, row, WAITS[sort], ids[visits])


def _of_wait(
    desk: Desk,
    part: PracticeAudit,
    row: Mapping[Hashable, object],
    sort: str,
    visited: npt.NDArray[np.object_],
) -> Proposal:
    practice, state = part.practice, str(row["source"])
    mine = desk.marks(set(visited))
    code = "WAIT-" + digest("wait", practice.name, state)
    per_ticket = len(visited) / max(int(mine.sum()), 1)
    visits = times(desk.a_month(mine), per_ticket)
    stay = Range(*(_hours(row[f"median{side}_us"]) for side in ("", "_low", "_high")))
    return Proposal(
        source="wait",
        code=code,
        title=f"Shorten the wait {sort} of {_plain(practice.case_type)} tickets: {state}",
        seen=(
            f"{plural(int(mine.sum()), 'ticket')} ({practice.title}) were in '{state}', waiting "
            f"{sort}: {span(visits, count)} times a month, half of them for at least "
            f"{span(stay, hours)}."
        ),
        hypothesis=(
            f"If tickets wait less long {sort} in '{state}', the time to resolve will be shorter."
        ),
        how=f"visits a month x median stay, {assumed(desk.given.waits, of='of it')} won back",
        owner=practice.owner,
        mine=mine,
        tickets=desk.a_month(mine),
        hours=times(visits, stay, desk.given.waits),
        kpi=desk.kpi_named.get(MEDIANS.get(practice.case_type, "")),
        evidence=(code,),
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _hours(us: object) -> float | None:
    value = float(us) if isinstance(us, int | float | np.integer | np.floating) else np.nan
    return value / s.US_PER_HOUR if np.isfinite(value) else None


def from_breaches(desk: Desk) -> Iterator[Proposal]:
    """Yield a proposal for each target and cause of its broken clocks in the window."""
    for part in desk.audit.practices:
        late = breach_causes(part.prepared.desk, part.clocks, part.practice).to_pandas()
        late = late[late[s.CASE_ID].isin(desk.frame[s.CASE_ID])]
        for (target, agreement, metric), clocks in late.groupby(
            ["target", "agreement", "metric"], sort=True
        ):
            for cause, own in clocks.groupby("cause", sort=True):
                share = len(own) / len(clocks)
                if len(own) >= SMALLEST_GROUP and share >= LEAST_SHARE and cause != "unknown":
                    names = (str(target), str(agreement), str(metric), str(cause))
                    yield _of_breach(desk, part, names, own, share)


def _of_breach(
    desk: Desk,
    part: PracticeAudit,
    names: tuple[str, str, str, str],
    own: pd.DataFrame,
    share: float,
) -> Proposal:
    target, agreement, metric, cause = names
    mine = desk.marks(set(own[s.CASE_ID]))
    code = "LATE-" + digest("breach", *names)
    per_ticket = len(own) / max(int(mine.sum()), 1)
    clocks = times(desk.a_month(mine), per_ticket)
    over = quantile(own["over_us"].to_numpy(dtype=np.float64) / s.US_PER_HOUR)
    name = OLA if agreement == "OLA" else ATTAINMENTS.get((agreement, metric), "")
    told = part.practice.case_type == "incident"
    return Proposal(
        source="breach cause",
        code=code,
        title=f"Keep {target}: less time in {WORDS[cause]}",
        seen=(
            f"{plural(len(own), 'broken clock')} of {target} ({agreement}, {metric}), "
            f"{percent(share)} of the broken ones, spent most of their time on: {WORDS[cause]}. "
            f"Half of them were over the limit by at least {span(over, hours)}."
        ),
        hypothesis=(
            f"If tickets spend less time in {WORDS[cause]}, more clocks of {target} will be kept."
        ),
        how=(
            "clocks a month x median time over the limit, "
            f"{assumed(desk.given.waits, of='of it')} won back"
        ),
        owner=part.practice.owner,
        mine=mine,
        tickets=desk.a_month(mine),
        hours=times(clocks, over, desk.given.waits),
        kpi=desk.kpi_named.get(name) if told else None,
        evidence=(code,),
    )
