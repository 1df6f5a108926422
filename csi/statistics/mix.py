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
    from csi.statistics.bootstrap import Bools, Floats, Ints

FEWEST: Final = 20
LEAST_SHARE: Final = 0.03
ROUNDS: Final = 25
CLOSE: Final = 1e-6


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
    n, n_current = len(baseline), len(current)
    coded: list[Ints] = []
    unmatched = np.zeros(n_current, dtype=bool)
    for name in baseline.columns:
        words = _ranked(pd.concat([baseline[name], current[name]], ignore_index=True))
        had = np.bincount(words[:n], minlength=int(words.max(initial=0)) + 1)
        unmatched |= had[words[n:]] == 0
        level = _pooled(words, n)
        if level.max(initial=0) > 0:
            coded.append(level)
    together = np.zeros(n + n_current, dtype=np.int64)
    for level in coded:
        together = together * (int(level.max()) + 1) + level
    _, first, codes = np.unique(together, return_index=True, return_inverse=True)
    levels = tuple(level[first] for level in coded)
    return Mix(codes[:n], codes[n:], levels, int(unmatched.sum()))


def _ranked(words: pd.Series) -> Ints:
    """Code words by their order as text; a missing one comes last."""
    codes, known = pd.factorize(words)
    rank = np.empty(len(known) + 1, dtype=np.int64)
    rank[np.argsort([str(word) for word in known], kind="stable")] = np.arange(len(known))
    rank[-1] = len(known)
    return rank[codes]


def _pooled(words: Ints, n_baseline: int) -> Ints:
    """Code levels 0, 1, ...: those that are rare on a side become one.

    Where that one is rare too, it joins the commonest of the rest.
    """
    others = int(words.max(initial=0)) + 1
    for last in (False, True):
        counts = np.bincount(words, minlength=others + 1)
        pool = int(np.argmax(counts[:others])) if last else others
        words = np.where(_rare(words, n_baseline)[words], pool, words)
    _, codes = np.unique(words, return_inverse=True)
    return codes.astype(np.int64)


def _rare(words: Ints, n_baseline: int) -> Bools:
    """Tell which levels too few tickets of a side have."""
    levels = int(words.max(initial=0)) + 1
    sides = [
        np.bincount(part, minlength=levels) for part in (words[:n_baseline], words[n_baseline:])
    ]
    rare: Bools = np.zeros(levels, dtype=bool)
    for counts in sides:
        rare |= counts < max(FEWEST, LEAST_SHARE * int(counts.sum()))
    return rare


def _summed(table: Floats, level: Ints) -> Floats:
    """Sum the columns of each level; not by BLAS: the same sums on any machine."""
    out = np.zeros((len(table), int(level.max()) + 1))
    for column, one in enumerate(level.tolist()):
        out[:, one] += table[:, column]
    return out
