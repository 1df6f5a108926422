"""How likely is a difference of medians this large, if the labels mean nothing? All relabellings.

The full permutation test (Fisher 1935): every way to choose len(a) of the pooled values. Slow on
purpose: C(n, k) medians. Two-sided, on |log(median b / median a)|, medians as the smallest value
that at least half do not exceed. `flow_p_values` does the same for cases that have features.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations


def median(values: list[float]) -> float:
    return sorted(values)[math.ceil(len(values) / 2) - 1]


def p_value(a: list[float], b: list[float]) -> float:
    pooled = a + b
    observed = abs(math.log(median(b) / median(a)))
    hits = total = 0
    for chosen in combinations(range(len(pooled)), len(a)):
        inside = set(chosen)
        left = [pooled[i] for i in chosen]
        right = [pooled[i] for i in range(len(pooled)) if i not in inside]
        hits += abs(math.log(median(right) / median(left))) >= observed - 1e-12
        total += 1
    return hits / total


Cases = list[frozenset[str]]


def flow_p_values(a: Cases, b: Cases, features: list[str]) -> tuple[Fraction, dict[str, Fraction]]:
    """Over all relabellings of cases that have features: the p of all, and of each step-down.

    The statistic of a feature is the squared standardised difference of its counts, in exact
    fractions: with k of its m cases in A, N cases and n in A, (k N - n m)^2 (N - 1) over
    n (N - n) m (N - m). All features: their sum. Step-down: a feature is compared with the largest
    of those that are at most as large as it was seen (Westfall & Young), and no p is below that of
    a larger one.
    """
    pooled, n = a + b, len(a)
    seen = _squares(pooled, frozenset(range(n)), features)
    order = sorted(features, key=lambda one: -seen[one])
    far, exceeding, total = 0, dict.fromkeys(features, 0), 0
    for chosen in combinations(range(len(pooled)), n):
        drawn = _squares(pooled, frozenset(chosen), features)
        far += sum(drawn.values()) >= sum(seen.values())
        for i, one in enumerate(order):
            exceeding[one] += max(drawn[other] for other in order[i:]) >= seen[one]
        total += 1
    down, adjusted = Fraction(0), {}
    for one in order:
        down = max(down, Fraction(exceeding[one], total))
        adjusted[one] = down
    return Fraction(far, total), adjusted


def _squares(pooled: Cases, chosen: frozenset[int], features: list[str]) -> dict[str, Fraction]:
    size, n, found = len(pooled), len(chosen), {}
    for one in features:
        m = sum(one in case for case in pooled)
        k = sum(one in pooled[i] for i in chosen)
        top = (k * size - n * m) ** 2 * (size - 1)
        found[one] = Fraction(top, n * (size - n) * m * (size - m))
    return found
