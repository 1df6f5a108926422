"""How much time did each violation cost, and which ones weigh most?

Time lost by the violations of a rule: the hours that its violating tickets took beyond the other
tickets that are alike, no ticket counting for more than `horizon_days` (`csi.statistics.time_lost`,
which also gives the interval, by whole weeks drawn). Alike is as much as can be had: the same
priority, category, team and month where at least `ENOUGH` others have it, else without the month,
then without the team, then priority alone, then any.

Adjusted cost: time lost times `cost_per_hour`, which is what an hour of a ticket's delay costs (no
wage: a ticket waits longer than anybody works on it); without a rate, hours times the weight of the
rule's severity (low 1, medium 3, high 9, critical 27, as on the audit's page). Only what can be
read as an association with longer times counts (`csi.effects.violations`): a rule whose interval
holds no difference, or whose negative control differs too, costs nothing here. Of a rule with too
few tickets, or that measures the time itself, the cost is not told (null). `note` says so.

A ticket that breaks two rules stands under both, so the sums of rules are not the sum of tickets.

Cost: O(tickets) a rule and the draws. Not checked: whether the time would come back if nobody broke
the rule. Error: ST572 for a rate or a horizon that makes no sense.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from csi.effects.outcomes import ALIKE, MONTH, TIME
from csi.effects.violations import Standing
from csi.statistics.adjusted import SMALLEST
from csi.statistics.alike import Levels
from csi.statistics.bootstrap import cluster_codes
from csi.statistics.time_lost import Times, time_lost
from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csi.effects.violations import Effect, Tickets
    from csi.statistics.bootstrap import Bools, Floats, Ints
    from csi.statistics.estimate import Estimate
    from rules.spec import Rule

ENOUGH: Final = 5
HOURS_A_DAY: Final = 24
WEIGHT_OF_SEVERITY: Final = 3
SEED: Final = 20_260_101
GROUPS: Final = (*ALIKE, MONTH)
COUNT, TIME_LOST, COST = "violates", "time_lost_h", "cost"
RANKINGS: Final = (COUNT, TIME_LOST, COST)


@dataclass(frozen=True)
class Costing:
    """How time lost is counted: the most a ticket can lose, and what an hour costs (None: weights).

    Error: CodedError ST572.
    """

    horizon_days: float = 30.0
    cost_per_hour: float | None = None
    currency: str = "EUR"

    def __post_init__(self) -> None:
        """Refuse what is no number above 0, all at once."""
        rate = self.cost_per_hour
        wrong = [
            CodedError("ST572", f"{name} of {value}", fix="Give a finite number above 0")
            for name, value in (("a horizon (days)", self.horizon_days), ("a cost per hour", rate))
            if value is not None and not (np.isfinite(value) and value > 0)
        ]
        raise_all(wrong)

    @property
    def unit(self) -> str:
        """The unit of the adjusted cost."""
        return "weighted hours" if self.cost_per_hour is None else self.currency

    def of_hour(self, rule: Rule) -> float:
        """Return what an hour lost by a violation of a rule costs."""
        if self.cost_per_hour is not None:
            return self.cost_per_hour
        return float(WEIGHT_OF_SEVERITY ** (int(rule.severity) - 1))


def pareto_of(tickets: Tickets, found: Sequence[Effect], costing: Costing) -> pd.DataFrame:
    """Rank the violated rules by count, by time lost and by adjusted cost: one row a rule.

    Sorted by count. For each of `RANKINGS`: the value, `_share` of what is above nought, the
    `_running_share` by falling value, and the `_rank` (null where the value is not told); `_low`
    and `_high` (95 %) of time and cost. `reads_as`: the standing of the rule's effect on time;
    `note`: why its cost is nought or not told, else "".
    """
    rows = [
        _row(tickets, one, costing)
        for one in found
        if one.outcome == TIME  # every violated rule stands there once
    ]
    return _ranked(pd.DataFrame(rows, columns=list(_COLUMNS)))


_COLUMNS: Final = (
    "code", "title", "severity", "n", COUNT,
    TIME_LOST, "time_lost_low_h", "time_lost_high_h",
    COST, "cost_low", "cost_high", "unit", "reads_as", "note",
)  # fmt: skip


def _row(tickets: Tickets, one: Effect, costing: Costing) -> dict[str, Any]:
    rule = one.rule
    violates, others = tickets.violates(rule.code), tickets.others(rule.code)
    lost, why = lost_by(tickets, rule.code, costing)
    cost, note = _cost(one, lost, costing.of_hour(rule))
    return {
        "code": rule.code,
        "title": rule.title,
        "severity": rule.severity.word,
        "n": int(violates.sum() + others.sum()),
        COUNT: int(violates.sum()),
        TIME_LOST: None if lost is None else lost.value,
        "time_lost_low_h": None if lost is None else lost.low,
        "time_lost_high_h": None if lost is None else lost.high,
        COST: cost[0],
        "cost_low": cost[1],
        "cost_high": cost[2],
        "unit": costing.unit,
        "reads_as": one.standing.value,
        "note": why or note,
    }


def _cost(one: Effect, lost: Estimate | None, rate: float) -> tuple[tuple[float | None, ...], str]:
    """Return cost and limits, and why it is nought or not told; less time than others is nought."""
    if lost is None or one.standing in {Standing.NOT_ESTIMATED, Standing.BY_DEFINITION}:
        return (None, None, None), f"cost not told: {one.why}"
    if one.standing not in {Standing.ASSOCIATION, Standing.NOT_RULED_OUT}:
        return (0.0, 0.0, 0.0), f"costs nothing here: {one.why}"
    if one.found is None or (one.found.value or 0.0) <= 1:
        return (0.0, 0.0, 0.0), "costs nothing here: violating tickets took less time"
    ends = (lost.value, lost.low, lost.high)
    return tuple(None if end is None else max(0.0, end) * rate for end in ends), ""


def lost_by(tickets: Tickets, code: str, costing: Costing) -> tuple[Estimate | None, str]:
    """Return the hours lost by the violations of a rule, or why they are not told."""
    seen = tickets.outcomes[TIME]
    violates = tickets.violates(code) & seen.known
    others = tickets.others(code) & seen.known
    ended = [int((side & ~seen.censored).sum()) for side in (violates, others)]
    if min(ended) < SMALLEST:
        n, m = (f"{count:,}" for count in ended)
        why = f"{n} against {m} tickets have ended; at least {SMALLEST} of both are needed"
        return None, f"neither time nor cost told: {why}"
    rows = np.flatnonzero(violates | others)
    mark = violates[rows]
    times = Times(
        hours=seen.each[rows],
        censored=seen.censored[rows],
        mark=mark,
        weight=_weights({name: tickets.alike[name][rows] for name in GROUPS}, mark),
        clusters=tickets.clusters[rows],
    )
    return time_lost(times, horizon_h=costing.horizon_days * HOURS_A_DAY, seed=SEED), ""


def _weights(alike: Mapping[str, Any], mark: Bools) -> Floats:
    """Return 1 for the marked, and for the others the share of marked tickets they stand for."""
    weight = mark.astype(np.float64)
    left = mark.copy()
    for cell in _ladder(alike, len(mark)):
        n_cells = int(cell.max()) + 1
        others = np.bincount(cell[~mark], minlength=n_cells)
        now = left & (others >= ENOUGH)[cell]
        ours = np.bincount(cell[now], minlength=n_cells)
        weight += np.where(mark, 0.0, (ours / np.maximum(others, 1))[cell])
        left &= ~now
    return weight


def _ladder(alike: Mapping[str, Any], n: int) -> Iterator[Ints]:
    """Cells of alike tickets, the closest first, at last all tickets."""
    levels = {name: Levels.of(alike[name]) for name in GROUPS}
    for depth in range(len(GROUPS), -1, -1):
        cell = np.zeros(n, dtype=np.int64)
        for one in (levels[name] for name in GROUPS[:depth]):
            cell = cluster_codes(cell * len(one.names) + one.codes)
        yield cell


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    for name in RANKINGS:
        value = frame[name].astype(float).to_numpy()
        above = np.where(np.isnan(value), 0.0, np.maximum(value, 0.0))
        order = np.lexsort((frame["code"].to_numpy(dtype=str), -np.nan_to_num(value, nan=-np.inf)))
        total = above.sum() or 1.0
        running, rank = np.empty(len(value)), np.empty(len(value), dtype=np.int64)
        running[order] = list(accumulate(above[order] / total))
        rank[order] = np.arange(1, len(value) + 1)
        told = ~np.isnan(value)
        frame[f"{name}_share"], frame[f"{name}_running_share"] = above / total, running
        frame[f"{name}_rank"] = pd.Series(rank, dtype="Int64").where(told)
    return frame.sort_values([f"{COUNT}_rank"]).reset_index(drop=True)
