"""Do two groups of cases differ at all, and in which features? A permutation test with exact law.

Each case has some of a number of features (it did an activity, one step followed another), or not.
If the labels A and B mean nothing, every relabelling of the cases that keeps the sizes of the
groups was as likely as the one that was seen (Fisher 1935; Pitman 1937). With k cases of A among
the m that have a feature, N cases in all and n of them in A,

    z = (k - n m / N) / sd,    sd^2 = n (N - n) m (N - m) / (N^2 (N - 1))

is the standardised difference of the shares: sd is exact under relabelling. Then

- whether: T = sum of z^2 over the testable features. T is the squared distance of the two groups'
  mean feature vectors after scaling, a kernel two-sample statistic (maximum mean discrepancy with a
  linear kernel: Gretton et al. 2012, JMLR 13, 723-773). It needs no variant to occur in both
  groups, as a distance between whole variants does (total variation, or the earth mover's distance
  of Leemans, McGree, Polyvyanyy & ter Hofstede 2023, IEEE TKDE 35), costs one product a
  permutation, and its terms are the differences that are looked at next (per succession, as in
  Bolt, de Leoni & van der Aalst 2018, Information Systems 74, 53-66).
- where: p-values of all testable features by the step-down maximum of |z| over the same
  permutations (Westfall & Young 1993, algorithm 4.1; Ge, Dudoit & Speed 2003, box 4). The chance
  that any of them is called different without cause is at most the level, whatever their
  dependence (successions of one process depend on each other strongly).

p = (1 + permutations at least as far) / (1 + permutations): valid at any number of them (Phipson &
Smyth 2010). `low` and `high` bound the p that all permutations would give (Clopper & Pearson 1934,
95 %): the error of having drawn only some.

A feature is testable where the smaller group expects at least `least_expected` cases with it and as
many without it. That depends on the margins alone, which no relabelling changes, so it is fixed
before any test. Others are too rare (or too common) to tell a difference; they are marked, not
tested.

Cost. A statistic hangs on the labels only through how many cases of each class of equal features
are in A. Under relabelling these counts are multivariate hypergeometric, by definition of that law,
so they are drawn directly: the same law as shuffling the labels of single cases. O(classes x
features) a permutation instead of O(cases); counts are integers below 2^53, hence exact in float64
and equal on every machine.

Not checked: that cases are independent. Tickets of one requester, one outage or one day are alike;
then p is too small. Errors: CodedError ST521 for numbers that make no test, RunError ST522 for
counts that do not fit together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import binomtest

from process_mining.errors import CodedError, RunError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from csi.statistics.bootstrap import Bools, Floats, Ints

PERMUTATIONS: Final = 1999
MOST_PERMUTATIONS: Final = 1_000_000
FEWEST_PERMUTATIONS: Final = 99
SEED: Final = 20_240_101
LEAST_EXPECTED: Final = 5.0
BLOCK: Final = 2_000_000
# equal statistics may differ in their last bits; a true step is far above this
TOLERANCE: Final = 1e-9
# measured: one shuffle costs about as many ns a case as a twentieth of a hypergeometric draw
CASES_PER_DRAW: Final = 20


@dataclass(frozen=True, eq=False)
class Presence:
    """Which features the cases of each class have, sparse, and how many cases are in A and B.

    `a`, `b`: cases of each class. Class `row[i]` has feature `column[i]`; each pair stands once.
    """

    a: Ints
    b: Ints
    row: Ints
    column: Ints
    n_features: int

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together."""
        sizes = len(self.a) == len(self.b) and len(self.row) == len(self.column)
        inside = not len(self.row) or (
            int(self.row.max()) < len(self.a) and int(self.column.max()) < self.n_features
        )
        if not sizes or not inside:
            raise RunError("ST522", "classes and features do not fit", fix="Give one row a class")

    def cases_with(self, cases: Ints) -> Ints:
        """Count the cases that have each feature, `cases` being those of each class."""
        found = np.bincount(self.column, cases[self.row], self.n_features)
        return found.astype(np.int64)


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """What the permutations say; arrays have one entry a feature.

    `p` with its Monte-Carlo interval is None where no feature is testable. `z` is NaN and
    `adjusted_p` NaN for features that are not testable. z is above 0 where A has more.
    """

    p: float | None
    low: float | None
    high: float | None
    statistic: float | None
    permutations: int
    seed: int
    testable: Bools
    z: Floats
    adjusted_p: Floats


def permutation_test(
    found: Presence,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
    least_expected: float = LEAST_EXPECTED,
) -> PermutationTest:
    """Test whether A and B differ, and in which features."""
    raise_all(_mistakes(permutations, seed))
    testable = _testable(found, least_expected)
    z, adjusted = np.full(found.n_features, np.nan), np.full(found.n_features, np.nan)
    if not testable.any():
        return PermutationTest(None, None, None, None, permutations, seed, testable, z, adjusted)
    margins = _Margins.of(found, testable)
    seen = margins.standardised(margins.a[None, :])[0]
    counts = _Counts.nought(seen)
    for drawn in margins.relabelled(permutations, np.random.default_rng(seed)):
        counts.add(margins.standardised(drawn))
    z[testable], adjusted[testable] = seen, counts.adjusted(permutations)
    low, high = binomtest(counts.as_far, permutations).proportion_ci(0.95, method="exact")
    return PermutationTest(
        p=(1 + counts.as_far) / (1 + permutations),
        low=float(low),
        high=float(high),
        statistic=counts.statistic,
        permutations=permutations,
        seed=seed,
        testable=testable,
        z=z,
        adjusted_p=adjusted,
    )


def _mistakes(permutations: int, seed: int) -> list[CodedError]:
    checks = (
        (
            FEWEST_PERMUTATIONS <= permutations <= MOST_PERMUTATIONS,
            f"{permutations:,} permutations",
            f"Give {FEWEST_PERMUTATIONS} to {MOST_PERMUTATIONS:,}",
        ),
        (seed >= 0, f"seed {seed}", "Give a whole number from 0 on"),
    )
    return [
        CodedError("ST521", f"no permutation test is made with {what}", fix=fix)
        for good, what, fix in checks
        if not good
    ]


def _testable(found: Presence, least: float) -> Bools:
    a, b = int(found.a.sum()), int(found.b.sum())
    total = a + b
    if not a or not b:
        return np.zeros(found.n_features, dtype=bool)
    having = found.cases_with(found.a + found.b)
    enough = np.minimum(having, total - having) * min(a, b) >= least * total
    return np.asarray(enough & (having > 0) & (having < total))


@dataclass(frozen=True, eq=False)
class _Margins:
    """What no relabelling changes: classes of equal testable features, their sizes, the scales."""

    has: Floats
    sizes: Ints
    a: Ints
    expected: Floats
    sd: Floats

    @classmethod
    def of(cls, found: Presence, testable: Bools) -> _Margins:
        place = np.cumsum(testable) - 1
        kept = testable[found.column]
        dense = np.zeros((len(found.a), int(testable.sum())), dtype=bool)
        dense[found.row[kept], place[found.column[kept]]] = True
        first, number = _distinct_rows(dense)
        sizes = np.bincount(number, found.a + found.b, len(first)).astype(np.int64)
        in_a = np.bincount(number, found.a, len(first)).astype(np.int64)
        has = dense[first].astype(np.float64)
        n, total, having = int(in_a.sum()), int(sizes.sum()), sizes @ has
        spread = having * (total - having) * (n / total) * ((total - n) / total) / (total - 1)
        return cls(has, sizes, in_a, having * (n / total), np.sqrt(spread))

    def standardised(self, in_a: npt.NDArray[np.int64]) -> Floats:
        """Return z (permutations x features) of the numbers of cases in A (permutations x classes).

        Whole numbers in float64: the product is exact in any order of adding.
        """
        z: Floats = (in_a.astype(np.float64) @ self.has - self.expected) / self.sd
        return z

    def relabelled(
        self, permutations: int, rng: np.random.Generator
    ) -> Iterator[npt.NDArray[np.int64]]:
        """Yield blocks of relabellings: how many cases of each class fall into A."""
        shuffle = int(self.sizes.sum()) < CASES_PER_DRAW * len(self.sizes)
        step = max(1, BLOCK // len(self.sizes))
        for start in range(0, permutations, step):
            yield rng.multivariate_hypergeometric(
                self.sizes,
                int(self.a.sum()),
                size=min(step, permutations - start),
                method="count" if shuffle else "marginals",
            )


def _distinct_rows(dense: Bools) -> tuple[Ints, Ints]:
    """Return one row of each distinct kind, in the order of the rows' bits, and each row's kind."""
    packed = np.ascontiguousarray(np.packbits(dense, axis=1))
    keys = packed.view([("", np.void, packed.shape[1])]).ravel()
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return first.astype(np.int64), number.astype(np.int64)


@dataclass(eq=False)
class _Counts:
    """How many permutations went at least as far as what was seen, in all and feature by feature.

    `order` sorts the features by falling |z|, ties by their place; step-down compares the i-th of
    them with the largest |z| of the i-th and all later ones.
    """

    order: Ints
    size: Floats
    statistic: float
    as_far: int
    exceeding: Ints

    @classmethod
    def nought(cls, seen: Floats) -> _Counts:
        order = np.argsort(-np.abs(seen), kind="stable")
        return cls(
            order=order,
            size=np.abs(seen)[order],
            statistic=float(_total(seen[None, :])[0]),
            as_far=0,
            exceeding=np.zeros(len(seen), dtype=np.int64),
        )

    def add(self, drawn: Floats) -> None:
        """Count a block of permutations."""
        limit = self.statistic * (1 - TOLERANCE) - TOLERANCE
        self.as_far += int((_total(drawn) >= limit).sum())
        sorted_down = np.abs(drawn)[:, self.order]
        largest = np.maximum.accumulate(sorted_down[:, ::-1], axis=1)[:, ::-1]
        self.exceeding += (largest >= self.size - TOLERANCE).sum(axis=0)

    def adjusted(self, permutations: int) -> Floats:
        """Return the step-down p-values, in the order of the features."""
        down = np.maximum.accumulate((1 + self.exceeding) / (1 + permutations))
        p = np.empty(len(down))
        p[self.order] = down
        return p


def _total(z: Floats) -> Floats:
    total: Floats = (z * z).sum(axis=1)
    return total
