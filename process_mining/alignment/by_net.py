"""What is found where a model's states are too many to be listed?

Every variant is searched by itself on the net (`astar.py`): the whole, and where that costs
something also the prefix, and the event with which the trace departs from the model. Where a search
spends its budget only bounds are known; moves are given where the cost is proven.

The departure is looked for between the first event at which the prefix alignment has a cost (up to
there the trace is the beginning of a run) and the end, in steps that double and then by halving:
prefix costs never fall. It is the first event after which the prefix provably costs something.

Complexity: one search a variant, and about 2 log2(length) more for one that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from process_mining.alignment.astar import AStar, Found
from process_mining.alignment.kernel import NO_EVENT, MoveKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_mining.alignment.costs import Costs
    from process_mining.eventlog import Ints
    from process_mining.model import Net
    from process_mining.variants import Variants


@dataclass(frozen=True, eq=False)
class Searched:
    """Bounds of costs, departures and moves (4 x word + kind), one entry a variant."""

    lower: Ints
    upper: Ints
    prefix: Ints
    prefix_upper: Ints
    departure: Ints
    offsets: Ints
    moves: Ints


class NetSearch:
    """Searches traces on one net."""

    def __init__(self, net: Net, words: Mapping[str, int], costs: Costs, *, budget: int) -> None:
        """Prepare the net; `words` numbers every activity of the net and the log."""
        self.net, self.words = net, words
        model = [0 if t.label is None else costs.of_model(t.label) for t in net.transitions]
        self.search = AStar(
            net,
            log_weights={word: costs.of_log(word) for word in words},
            model_weights=model,
            budget=budget,
        ).search

    def all(self, variants: Variants) -> Searched:
        """Search every variant."""
        found = [self._one(variants.trace(v)) for v in range(len(variants))]
        rows = np.array([row for row, _ in found], dtype=np.int64).reshape(-1, 5)
        lower, upper, prefix, prefix_upper, departure = rows.T
        return Searched(
            lower=lower,
            upper=upper,
            prefix=prefix,
            prefix_upper=prefix_upper,
            departure=departure,
            offsets=np.cumsum([0, *(len(moves) for _, moves in found)], dtype=np.int64),
            moves=np.array([move for _, moves in found for move in moves], dtype=np.int64),
        )

    def moves(self, trace: Sequence[str], found: Found) -> list[int]:
        """Number the moves that were found."""
        return [self._move(trace, *step) for step in found.moves]

    def _one(self, trace: tuple[str, ...]) -> tuple[tuple[int, int, int, int, int], list[int]]:
        whole = self.search(trace)
        moves = self.moves(trace, whole) if whole.lower == whole.upper else []
        if whole.upper == 0:
            return (0, 0, 0, 0, NO_EVENT), moves
        prefix = self.search(trace, prefix=True)
        departure = self._departure(trace, prefix) if prefix.lower else NO_EVENT
        return (whole.lower, whole.upper, prefix.lower, prefix.upper, departure), moves

    def _departure(self, trace: tuple[str, ...], prefix: Found) -> int:
        """Return the index of the first event after which the prefix costs something."""
        fits, departs, step = self._fitting(prefix), len(trace), 1
        while fits + step < departs:
            if self._costs(trace[: fits + step]):
                departs = fits + step
            else:
                fits, step = fits + step, 2 * step
        while departs - fits > 1:
            middle = (fits + departs) // 2
            if self._costs(trace[:middle]):
                departs = middle
            else:
                fits = middle
        return departs - 1

    def _fitting(self, prefix: Found) -> int:
        """How many events does the prefix alignment pass before its first move that may cost?"""
        events = 0
        for kind, _, _ in prefix.moves:
            if kind in {MoveKind.LOG, MoveKind.MODEL}:
                break
            events += kind == MoveKind.SYNC
        return events

    def _costs(self, trace: tuple[str, ...]) -> bool:
        return self.search(trace, prefix=True).lower > 0

    def _move(self, trace: Sequence[str], kind: int, transition: int, event: int) -> int:
        if kind == MoveKind.SILENT:
            return int(MoveKind.SILENT)
        label = trace[event] if kind != MoveKind.MODEL else self.net.transitions[transition].label
        return 4 * self.words[label or ""] + kind
