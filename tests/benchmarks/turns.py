"""How are two or more ways of the same work timed side by side?

Turn by turn, one after the other in one process, so that a busy machine slows them all; what counts
is the median of a way's turns. The first turn of each warms up and is not timed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Result = TypeVar("Result")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Timed:
    """Seconds of each turn."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    def line(self, what: str, against: str, n: str) -> str:
        ours, theirs = median(self.ours), median(self.theirs)
        return (
            f"{what}: {theirs / ours:,.1f} times as fast as {against} "
            f"(ours {milliseconds(ours)}, theirs {milliseconds(theirs)}; n = {n}, "
            f"median of {len(self.ours)} turns)"
        )


def interleaved(
    ours: Callable[[], Result], theirs: Callable[[], Other], turns: int
) -> tuple[Result, Other, Timed]:
    """Time both, after one run of each to warm up."""
    mine, other = ours(), theirs()
    spent = side_by_side({"ours": ours, "theirs": theirs}, turns)
    return mine, other, Timed(spent["ours"], spent["theirs"])


def side_by_side(
    ways: Mapping[str, Callable[[], object]], turns: int
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of every way's turns; nothing is run to warm up."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, do in ways.items():
            spent[name].append(seconds(do))
    return {name: tuple(times) for name, times in spent.items()}


def seconds(do: Callable[[], object]) -> float:
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def milliseconds(value: float) -> str:
    return f"{value * 1e3:,.0f} ms" if value >= 0.1 else f"{value * 1e3:,.2f} ms"
