"""Which groups do cases share, and which columns hold those groups fixed in a regression?

A group (priority, team, month) is held fixed by a column for each of its levels but the first.
Levels of fewer than `RARE` cases are pooled; where there would be more columns than asked for, the
rarest level of the group with the most levels joins its pool, again and again. A group with one
level left, and columns that others already say, are left out. What was done is told in `notes`.

Cost: O(n) a group, and O(n k^2) to find which of k columns others already say. Not checked: whether
pooled levels are alike. Error: RunError ST570 for arrays of different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from csi.statistics.bootstrap import Bools, Floats, Ints

    Words = npt.NDArray[np.object_] | npt.NDArray[np.int64]

RARE: Final = 20
POOLED: Final = "(pooled)"
NOT_GIVEN: Final = "(not given)"
INDEPENDENT: Final = 1e-7


@dataclass(frozen=True, eq=False)
class Marked:
    """Cases, one entry each: which are marked, their groups by name, clusters.

    A group holds words (None: not given) or codes.
    """

    mark: Bools
    alike: Mapping[str, Words]
    clusters: Ints

    def __post_init__(self) -> None:
        """Refuse arrays that are not about the same cases."""
        n = len(self.mark)
        if any(len(one) != n for one in (*self.alike.values(), self.clusters)):
            msg = f"{n} marks, but groups or clusters of another number of cases"
            raise RunError("ST570", msg, fix="Give one of each for every case")

    def part(self, keep: Bools) -> Marked:
        """Return some of the cases."""
        groups = {name: words[keep] for name, words in self.alike.items()}
        return Marked(self.mark[keep], groups, self.clusters[keep])


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of one group: their names, how many cases have each, and each case's level."""

    names: tuple[str, ...]
    n: Ints
    codes: Ints

    @classmethod
    def of(cls, words: Words) -> Levels:
        """Read a group; None is a level of its own, and codes stand for themselves."""
        known: npt.NDArray[np.generic] = words
        if words.dtype == object:
            known = np.array([NOT_GIVEN if one is None else str(one) for one in words], dtype=str)
        names, codes, n = np.unique(known, return_inverse=True, return_counts=True)
        return cls(tuple(map(str, names)), n.astype(np.int64), codes.astype(np.int64))

    def pooled(self, least: int) -> Levels:
        """Put levels of fewer cases than that together.

        Where the pool itself is smaller than that it joins the most frequent level.
        """
        rare = self.n < least
        if not rare.any():
            return self
        alone = self.n[rare].sum() >= least or rare.all()
        target = POOLED if alone else self.names[int(np.argmax(self.n))]
        named = [target if few else name for name, few in zip(self.names, rare, strict=True)]
        names, place = np.unique(named, return_inverse=True)
        n = np.bincount(place, self.n, minlength=len(names)).astype(np.int64)
        return Levels(tuple(names.tolist()), n, place[self.codes].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Columns:
    """The groups as they are held fixed, rare levels pooled, and what was pooled."""

    levels: Mapping[str, Levels]
    notes: tuple[str, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have more than one level."""
        return tuple(name for name, one in self.levels.items() if len(one.names) > 1)

    def matrix(self, mark: Bools) -> Floats | None:
        """Return intercept, levels and the mark, the last; None where the others tell it."""
        columns = [one.codes == i for one in self.levels.values() for i in range(1, len(one.names))]
        x = np.column_stack([np.ones(len(mark)), *columns, mark]).astype(np.float64)
        size = np.sqrt((x * x).sum(axis=0))
        own = np.abs(np.diag(np.linalg.qr(x, mode="r"))) > INDEPENDENT * size
        return x[:, own] if own[-1] else None


def columns_of(marked: Marked, most: int) -> Columns:
    """Make a column of each level but the first of its group, at most so many.

    Where there are more, the rarest level of the group with the most joins its pool.
    """
    whole = {name: Levels.of(words) for name, words in marked.alike.items()}
    least = dict.fromkeys(whole, RARE)
    found = {name: one.pooled(RARE) for name, one in whole.items()}
    while sum(len(one.names) - 1 for one in found.values()) > most:
        name = max(found, key=lambda each: len(found[each].names))
        least[name] = int(found[name].n.min()) + 1
        found[name] = whole[name].pooled(least[name])
    notes = []
    for name, one in whole.items():
        few = int((one.n < least[name]).sum())
        if few:
            notes.append(f"{few} of {name} with fewer than {least[name]} tickets are pooled")
        if len(found[name].names) == 1:
            notes.append(f"{name} has one level and is left out")
    return Columns(found, tuple(notes))


def with_variation(event: Bools, marked: Marked) -> tuple[Bools, tuple[str, ...]]:
    """Return the cases on whose levels some had the event and some had not; say what is not."""
    kept = np.ones(len(event), dtype=bool)
    levels = {name: Levels.of(words).pooled(RARE) for name, words in marked.alike.items()}
    notes: dict[str, int] = {}
    changed = True
    while changed and kept.any():
        changed = False
        for name, one in levels.items():
            n = np.bincount(one.codes[kept], minlength=len(one.names))
            k = np.bincount(one.codes[kept], event[kept], minlength=len(one.names))
            same = (n > 0) & ((k <= 0) | (k >= n))
            if same.any() and not same[n > 0].all():
                gone = kept & same[one.codes]
                kept &= ~gone
                notes[name] = notes.get(name, 0) + int(gone.sum())
                changed = True
    said = [
        f"{k:,} tickets of {name} levels without variation are dropped" for name, k in notes.items()
    ]
    return kept, tuple(said)
