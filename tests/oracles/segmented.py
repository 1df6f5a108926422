"""A series with a break, by formulas in loops: least squares, and the errors of Newey & West.

The normal equations are solved by Gauss in exact fractions; the covariance is summed lag by lag
(Newey & West 1987, equation 5) and multiplied by n / (n - k).
"""

from __future__ import annotations

from fractions import Fraction

Row = list[Fraction]


def rows(times: list[float], start: float) -> list[Row]:
    """Return constant, time since the start, and whether it is not before it, of each time."""
    return [[Fraction(1), Fraction(t) - Fraction(start), Fraction(int(t >= start))] for t in times]


def solved(matrix: list[Row], right: list[Row]) -> list[Row]:
    """Solve matrix X = right by Gauss and Jordan."""
    n = len(matrix)
    table = [[*matrix[i], *right[i]] for i in range(n)]
    for i in range(n):
        pivot = next(r for r in range(i, n) if table[r][i] != 0)
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [value / table[i][i] for value in table[i]]
        for r in range(n):
            if r != i:
                factor = table[r][i]
                table[r] = [a - factor * b for a, b in zip(table[r], table[i], strict=True)]
    return [row[n:] for row in table]


def least_squares(x: list[Row], y: list[Fraction], weights: list[Fraction]) -> list[Fraction]:
    """Return the coefficients that make the weighted squares least."""
    k = len(x[0])
    every = list(zip(x, y, weights, strict=True))
    crossed = [
        [sum((w * r[i] * r[j] for r, _, w in every), Fraction(0)) for j in range(k)]
        for i in range(k)
    ]
    right = [[sum((w * r[i] * value for r, value, w in every), Fraction(0))] for i in range(k)]
    return [row[0] for row in solved(crossed, right)]


def newey_west(x: list[Row], y: list[Fraction], lags: int) -> list[float]:
    """Return the standard error of each coefficient."""
    n, k = len(x), len(x[0])
    beta = least_squares(x, y, [Fraction(1)] * n)
    residual = [
        value - sum(b * c for b, c in zip(beta, row, strict=True))
        for row, value in zip(x, y, strict=True)
    ]
    score = [[e * c for c in row] for row, e in zip(x, residual, strict=True)]
    middle = [[Fraction(0)] * k for _ in range(k)]
    for i in range(k):
        for j in range(k):
            middle[i][j] = sum((s[i] * s[j] for s in score), Fraction(0))
            for lag in range(1, lags + 1):
                weight = 1 - Fraction(lag, lags + 1)
                for t in range(lag, n):
                    both = score[t][i] * score[t - lag][j] + score[t - lag][i] * score[t][j]
                    middle[i][j] += weight * both
    crossed = [[sum((r[i] * r[j] for r in x), Fraction(0)) for j in range(k)] for i in range(k)]
    unit = [[Fraction(int(i == j)) for j in range(k)] for i in range(k)]
    inverse = solved(crossed, unit)
    half = [
        [sum(inverse[i][m] * middle[m][j] for m in range(k)) for j in range(k)] for i in range(k)
    ]
    variance = [sum(half[i][m] * inverse[m][i] for m in range(k)) for i in range(k)]
    return [float(v * n / (n - k)) ** 0.5 for v in variance]
