"""How likely is a difference of medians this large, if the labels mean nothing? All relabellings.

The full permutation test (Fisher 1935): every way to choose len(a) of the pooled values. Slow on
purpose: C(n, k) medians. Two-sided, on |log(median b / median a)|, medians as the smallest value
that at least half do not exceed.
"""

from __future__ import annotations

import math
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
