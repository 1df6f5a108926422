"""How would the tickets of one window have fared with the mix of another? Weights by raking.

Two windows hold different mixes of tickets; a month with more hard ones looks slower though nobody
worked otherwise. So the tickets of the baseline are weighted until their margins (priority,
category, weekday or weekend) are those of the current window: direct standardisation on several
margins at once, by iterative proportional fitting (raking: Deming & Stephan 1940, Annals of
Mathematical Statistics 11, 427-444). Joint frequencies are left as the baseline has them.

A level that is rare on either side is pooled: single tickets would otherwise get huge weights. A
level that the baseline does not have at all cannot be weighted for; `Mix.unmatched` says how many
tickets of the current window that concerns.

A weight depends on the combination of levels alone, so all work is per combination and replicate:
O(replicates * combinations * margins) a round, at most ROUNDS of them.

Not checked: that differences of mix are what they seem. Only what the log records is adjusted for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from csi.statistics.bootstrap import Floats, Ints

FEWEST: Final = 20
LEAST_SHARE: Final = 0.03
ROUNDS: Final = 25
CLOSE: Final = 1e-6
OTHERS: Final = "(others)"
NONE: Final = "(none)"


@dataclass(frozen=True, eq=False)
class Mix:
    """Which combination of levels each ticket has, and which level each combination has.

    `baseline`, `current`: one combination a ticket. `levels`: one array a margin, one level a
    combination. `unmatched`: tickets of the current window with a level that the baseline lacks.
    """

    baseline: Ints
    current: Ints
    levels: tuple[Ints, ...]
    unmatched: int

    @property
    def combinations(self) -> int:
        """How many combinations of levels there are on either side."""
        return 1 + int(max(self.baseline.max(initial=0), self.current.max(initial=0)))

    def factors(self, had: Floats, wanted: Floats) -> Floats:
        """Return by what each ticket of a combination counts, so that margins are as wanted.

        `had`, `wanted`: tickets of each combination in the baseline and the current window, one row
        a replicate. What a replicate lacks keeps the factor that its other margins give.
        """
        factors = np.ones_like(had)
        total = np.maximum(wanted.sum(axis=1, keepdims=True), 1.0)
        factors *= total / np.maximum(had.sum(axis=1, keepdims=True), 1.0)
        aims = [_summed(wanted, level) for level in self.levels]
        for _ in range(ROUNDS):
            farthest = 0.0
            for level, aim in zip(self.levels, aims, strict=True):
                now = _summed(had * factors, level)
                ratio = np.where(now > 0, aim / np.where(now > 0, now, 1.0), 1.0)
                off = np.abs(now - aim) / total
                farthest = max(farthest, float(np.where(now > 0, off, 0.0).max(initial=0.0)))
                factors *= ratio[:, level]
            if farthest < CLOSE:
                break
        return factors


def mix_of(baseline: pd.DataFrame, current: pd.DataFrame) -> Mix:
    """Code two tables of words, one row a ticket, the same columns in both."""
    n = len(baseline)
    coded, unmatched = [], np.zeros(len(current), dtype=bool)
    for name in baseline.columns:
        words = pd.concat([baseline[name], current[name]], ignore_index=True)
        words = words.astype(object).where(words.notna(), NONE).astype(str)
        unmatched |= ~words[n:].isin(set(words[:n])).to_numpy()
        level = _pooled(words, n)
        if len(np.unique(level)) > 1:
            coded.append(level)
    if not coded:
        alike = np.zeros(len(current), np.int64)
        return Mix(np.zeros(n, np.int64), alike, (), int(unmatched.sum()))
    combined, combination = np.unique(np.column_stack(coded), axis=0, return_inverse=True)
    codes = combination.reshape(-1).astype(np.int64)
    levels = tuple(combined[:, place].astype(np.int64) for place in range(combined.shape[1]))
    return Mix(codes[:n], codes[n:], levels, int(unmatched.sum()))


def _pooled(words: pd.Series, n_baseline: int) -> Ints:
    """Code the words in their order; those that are rare on a side become one level.

    Where that one is rare too, it joins the commonest.
    """
    for pool in (OTHERS, None):
        sides = words[:n_baseline].value_counts(), words[n_baseline:].value_counts()
        rare = [word for word in words.unique() if any(_rare(counts, word) for counts in sides)]
        both = words.value_counts()
        commonest = min(both.index, key=lambda word: (-both[word], word))
        words = words.where(~words.isin(rare), commonest if pool is None else pool)
    _, codes = np.unique(words.to_numpy(dtype=str), return_inverse=True)
    return codes.astype(np.int64)


def _rare(counts: pd.Series, word: str) -> bool:
    n = int(counts.get(word, 0))
    return n < FEWEST or n < LEAST_SHARE * int(counts.sum())


def _summed(table: Floats, level: Ints) -> Floats:
    """Sum the columns of each level; not by BLAS: the same sums on any machine."""
    out = np.zeros((len(table), int(level.max()) + 1))
    for column, one in enumerate(level.tolist()):
        out[:, one] += table[:, column]
    return out
