"""Alignment costs by plain Dijkstra on the synchronous product: slow, short, independent.

Works on plain nets (`oracles.nets.PlainNet`) and imports nothing of the product.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oracles.nets import PlainNet

    Marking = tuple[int, ...]


def alignment_cost(
    net: PlainNet,
    trace: Sequence[str],
    *,
    prefix: bool = False,
    log: Mapping[str, int] | None = None,
    model: Mapping[str, int] | None = None,
) -> int:
    """Return the lowest cost of log and model moves, silent moves being free.

    A move costs 1 where `log` and `model` say nothing of its activity. With `prefix` the run may
    stop anywhere (in a sound net every marking can still reach the end).
    """
    log, model = log or {}, model or {}
    best: dict[tuple[Marking, int], int] = {}
    queue: list[tuple[int, int, Marking]] = [(0, 0, net.initial)]
    while queue:
        cost, at, marking = heapq.heappop(queue)
        if best.get((marking, at), cost + 1) <= cost:
            continue
        best[marking, at] = cost
        if at == len(trace) and (prefix or marking == net.final):
            return cost
        if at < len(trace):
            heapq.heappush(queue, (cost + log.get(trace[at], 1), at + 1, marking))
        for transition in net.enabled(marking):
            label = net.transitions[transition][0]
            after = net.fire(marking, transition)
            weight = 0 if label is None else model.get(label, 1)
            heapq.heappush(queue, (cost + weight, at, after))
            if at < len(trace) and label == trace[at]:
                heapq.heappush(queue, (cost, at + 1, after))
    message = "the net has no run"
    raise ValueError(message)


def replays(net: PlainNet, moves: Sequence[tuple[str, str | None]]) -> bool:
    """Tell whether moves (kind, activity) make a full run: kinds SYNC, LOG, MODEL, SILENT."""
    markings = {net.initial}
    for kind, activity in moves:
        if kind != "LOG":
            label = None if kind == "SILENT" else activity
            markings = {
                net.fire(marking, t)
                for marking in markings
                for t in net.enabled(marking)
                if net.transitions[t][0] == label
            }
    return net.final in markings
