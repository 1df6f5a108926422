"""What does a move cost?

A log move costs `log[activity]`, a model move `model[activity]`, whole numbers from 0 to MOST;
activities that are not named cost the defaults, 1 each. Synchronous and silent moves cost nothing.
Names that neither the log nor the model has are ignored, so that one table of costs may serve many.

Among alignments of equal cost those are chosen first that have fewest moves for which nothing is
charged (silent ones, and log and model moves of cost 0); see `kernel.py`.

Source: Adriansyah, Aligning Observed and Modeled Behavior, PhD thesis, TU Eindhoven, 2014,
section 4.3 (cost functions).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining.alignment.kernel import FREE, MOVE
from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from process_mining.eventlog import Ints

MOST: Final = 1_000


@dataclass(frozen=True)
class Costs:
    """Costs of log and model moves by activity; unit costs where nothing is said."""

    log: Mapping[str, int] = field(default_factory=dict)
    model: Mapping[str, int] = field(default_factory=dict)
    default_log: int = 1
    default_model: int = 1

    def __post_init__(self) -> None:
        """Keep copies; MO303 for what is no whole number of at least 0, MO304 over MOST."""
        for name in ("log", "model"):
            copy = MappingProxyType(dict(sorted(getattr(self, name).items())))
            object.__setattr__(self, name, copy)
        raise_all([*self._errors()])

    def of_log(self, activity: str) -> int:
        """Return the cost of a log move."""
        return self.log.get(activity, self.default_log)

    def of_model(self, activity: str) -> int:
        """Return the cost of a model move."""
        return self.model.get(activity, self.default_model)

    def _errors(self) -> Iterator[CodedError]:
        named = [
            *((f"a log move of '{name}'", cost) for name, cost in self.log.items()),
            *((f"a model move of '{name}'", cost) for name, cost in self.model.items()),
            ("a log move", self.default_log),
            ("a model move", self.default_model),
        ]
        for what, cost in named:
            if type(cost) is not int or cost < 0:
                yield CodedError("MO303", f"The cost of {what} is {cost!r}", fix=_FIX)
            elif cost > MOST:
                yield CodedError("MO304", f"The cost of {what} is {cost:,}", why=_WHY, fix=_FIX)


_FIX: Final = f"Give a whole number from 0 to {MOST:,}"
_WHY: Final = "Higher ones would leave the numbers that can be summed exactly"


def scaled(costs: Sequence[int]) -> Ints:
    """Return costs in the units of the kernel."""
    found = np.array(costs, dtype=np.int64) * MOVE
    found[found == 0] = FREE
    return found
