"""In which steps and successions do two groups of cases differ? Shares of cases, side by side.

A feature is something that a case has or has not: it did a step, one step directly followed
another in it, it began with a step, it ended with one. Each is compared by the difference of the
shares of cases, B - A, with Newcombe's interval (95 %, each by itself), and by the permutation test
of `csi.statistics.permutation`: first whether the groups differ at all, then where.

Verdicts, for a least share m that matters
- of a feature: *differs* where the groups differ at all (global p at most 0.05), its adjusted p is
  at most 0.05 and the difference is m or more; *differs little* where it is less; *no difference
  shown* where chance could have made it and the whole interval lies within -m..m; *too rare* where
  it cannot be tested; else *inconclusive*;
- of the whole: *differs* (or *differs little*, where no feature differs by m) by the global p; *no
  difference shown* where that is larger and every testable feature shows none; else *inconclusive*.

O(events) for the features, then the test. Features in order: those that differ first, then the
larger differences, then by kind and names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from csi.statistics.compare import Share, newcombe
from csi.statistics.permutation import PermutationTest, Presence, permutation_test
from csi.statistics.variation import Variation, variation
from process_mining.columnar.sql import variants

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog, Ints
    from process_mining.variants import Variants

LEVEL: Final = 0.05
SHARE_METHOD: Final = "difference of shares of cases, Newcombe hybrid score interval"
FLOW_METHOD: Final = (
    "permutation test of the sum of squared standardised differences; "
    "single features by the step-down maximum (Westfall & Young)"
)
NOTHING_TO_TEST: Final = "no step or succession is in enough cases, and missing in enough, to test"

Kind = Literal["step", "succession", "start", "end"]


class Verdict(StrEnum):
    """What can be said of a difference."""

    DIFFERS = "differs"
    LITTLE = "differs little"
    NONE = "no difference shown"
    INCONCLUSIVE = "inconclusive"
    TOO_RARE = "too rare"


@dataclass(frozen=True)
class Feature:
    """A step (`target` is None), a succession, a start (`source` None) or an end (`target` None).

    k_a of n_a cases of A have it, k_b of n_b of B; `value`, `low` and `high` are B - A.
    """

    kind: Kind
    source: str | None
    target: str | None
    k_a: int
    n_a: int
    k_b: int
    n_b: int
    value: float | None
    low: float | None
    high: float | None
    adjusted_p: float | None
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Flow:
    """Whether the ways of two groups differ, and where; `obstacle` says why it cannot be told.

    `variation` compares the whole variants; None where a group has no cases.
    """

    verdict: Verdict
    obstacle: str
    n_a: int
    n_b: int
    least: float
    test: PermutationTest
    features: tuple[Feature, ...]
    variation: Variation | None

    def of(self, verdict: Verdict) -> tuple[Feature, ...]:
        """The features of one verdict."""
        return tuple(one for one in self.features if one.verdict is verdict)


def compare_flow(
    a: EventLog, b: EventLog, *, least: float, permutations: int, obstacle: str = ""
) -> Flow:
    """Compare the ways of the cases of two logs, all of which have ended."""
    ways = _Ways.of(variants(a), variants(b))
    test = permutation_test(ways.presence, permutations=permutations)
    apart = not obstacle and test.p is not None and test.p <= LEVEL
    found = sorted((_feature(ways, test, i, least, apart=apart) for i in ways.numbers), key=_rank)
    reason = obstacle or (NOTHING_TO_TEST if test.p is None else "")
    verdict = Verdict.INCONCLUSIVE if reason else _overall(found, apart=apart)
    a_ways, b_ways = ways.presence.a, ways.presence.b
    return Flow(
        verdict=verdict,
        obstacle=reason,
        n_a=a.n_cases,
        n_b=b.n_cases,
        least=least,
        test=test,
        features=tuple(found),
        variation=variation(a_ways, b_ways),
    )


def _overall(found: list[Feature], *, apart: bool) -> Verdict:
    if apart:
        some = any(one.verdict is Verdict.DIFFERS for one in found)
        return Verdict.DIFFERS if some else Verdict.LITTLE
    judged = [one for one in found if one.verdict is not Verdict.TOO_RARE]
    alike = all(one.verdict is Verdict.NONE for one in judged)
    return Verdict.NONE if alike else Verdict.INCONCLUSIVE


def _feature(
    ways: _Ways, test: PermutationTest, number: int, least: float, *, apart: bool
) -> Feature:
    kind, source, target = ways.name(number)
    n_a, n_b = int(ways.presence.a.sum()), int(ways.presence.b.sum())
    k_a, k_b = int(ways.k_a[number]), int(ways.k_b[number])
    value = low = high = None
    if n_a and n_b:
        value = k_b / n_b - k_a / n_a
        low, high = newcombe(Share(k_a, n_a), Share(k_b, n_b))
    testable = bool(test.testable[number])
    p = float(test.adjusted_p[number]) if testable else None
    return Feature(
        kind=kind,
        source=source,
        target=target,
        k_a=k_a,
        n_a=n_a,
        k_b=k_b,
        n_b=n_b,
        value=value,
        low=low,
        high=high,
        adjusted_p=p,
        verdict=_verdict(p, (low, value, high), least, apart=apart),
    )


def _verdict(
    p: float | None,
    limits: tuple[float | None, float | None, float | None],
    least: float,
    *,
    apart: bool,
) -> Verdict:
    low, value, high = limits
    if low is None or value is None or high is None:
        return Verdict.TOO_RARE
    if apart and p is not None and p <= LEVEL:
        return Verdict.DIFFERS if abs(value) >= least else Verdict.LITTLE
    if -least < low and high < least:
        return Verdict.NONE
    return Verdict.TOO_RARE if p is None else Verdict.INCONCLUSIVE


def _rank(one: Feature) -> tuple[bool, float, str, str, str]:
    size = -abs(one.value or 0.0)
    names = (one.source or "", one.target or "")
    return (one.verdict is not Verdict.DIFFERS, size, one.kind, *names)


@dataclass(frozen=True, eq=False)
class _Ways:
    """The variants of both groups as classes, and which features each has.

    Feature codes: c < K is the step c; K + (i + 1) (K + 1) + (j + 1) is "j directly after i", where
    -1 stands for the start or the end. `codes` are those that occur, ascending.
    """

    names: tuple[str, ...]
    codes: Ints
    presence: Presence
    k_a: Ints
    k_b: Ints

    @property
    def numbers(self) -> range:
        """The numbers of the features."""
        return range(len(self.codes))

    @classmethod
    def of(cls, a: Variants, b: Variants) -> _Ways:
        names = tuple(sorted({*a.activities, *b.activities}))
        traces: dict[bytes, int] = {}
        counts = [_counted(one, names, traces) for one in (a, b)]
        a_cases, b_cases = (np.bincount(i, n, len(traces)).astype(np.int64) for i, n in counts)
        lengths = np.array([len(trace) // _WIDE for trace in traces], dtype=np.int64)
        steps = np.frombuffer(b"".join(traces), dtype=_STEP).astype(np.int64)
        row, code = _pairs(np.repeat(np.arange(len(traces)), lengths), steps, len(names))
        codes, column = np.unique(code, return_inverse=True)
        presence = Presence(a_cases, b_cases, row, column.astype(np.int64), len(codes))
        k_a, k_b = presence.cases_with(a_cases), presence.cases_with(b_cases)
        return cls(names, codes, presence, k_a, k_b)

    def name(self, number: int) -> tuple[Kind, str | None, str | None]:
        """Return the kind of a feature and its names."""
        size, code = len(self.names), int(self.codes[number])
        if code < size:
            return "step", self.names[code], None
        before, after = divmod(code - size, size + 1)
        source = self.names[before - 1] if before else None
        target = self.names[after - 1] if after else None
        if source is None:
            return "start", None, target
        return ("end" if target is None else "succession"), source, target


_STEP: Final = np.dtype("<i4")
_WIDE: Final = _STEP.itemsize


def _counted(
    found: Variants, names: tuple[str, ...], traces: dict[bytes, int]
) -> tuple[Ints, Ints]:
    """Number each variant among the traces of both groups (new ones are added), with its cases."""
    place = {name: i for i, name in enumerate(names)}
    table = np.array([place[name] for name in found.activities], dtype=_STEP)
    codes = table[found.codes] if len(found.codes) else np.empty(0, _STEP)
    spans = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    numbers = [traces.setdefault(codes[i:j].tobytes(), len(traces)) for i, j in spans]
    return np.array(numbers, dtype=np.int64), found.counts


def _pairs(of: Ints, steps: Ints, size: int) -> tuple[Ints, Ints]:
    """Return the distinct pairs of variant and feature code."""
    first = np.append(True, of[1:] != of[:-1]) if len(of) else np.empty(0, bool)
    last = np.append(first[1:], True) if len(of) else first
    before = np.where(first, 0, np.append(0, steps[:-1] + 1)) if len(of) else steps
    into = size + before * (size + 1) + steps + 1
    out = size + (steps[last] + 1) * (size + 1)
    row = np.concatenate([of, of, of[last]])
    code = np.concatenate([steps, into, out])
    width = size + (size + 1) ** 2
    found = np.unique(row * width + code)
    return found // width, found % width
