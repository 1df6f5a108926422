"""Do marked cases differ from those with which they can be matched exactly?

The check of `csi.statistics.adjusted` by other means. Cases fall into cells of equal groups (rare
levels pooled); a cell counts where it holds marked and other cases. In it the others stand for what
the marked would have been without the mark: each weighs (marked of the cell) / (others of the cell)
(coarsened exact matching, the effect on the marked: Iacus, King & Porro 2012, Political Analysis
20, 1-24). No form is assumed, and marked cases that have no match are left out.

    times   ratio of the Kaplan-Meier medians, the others weighted; None where a curve never falls
            to a half
    odds    Mantel & Haenszel (1959, J. Natl. Cancer Inst. 22, 719-748) over the cells (statsmodels)
    scores  difference of means, the others weighted

No interval: it says on which side of no difference the matched cases lie, and how many there are.
Not checked: what is not among the groups. Cost: O(n log n).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csi.statistics import bootstrap
from csi.statistics.alike import RARE, Levels

if TYPE_CHECKING:
    from csi.statistics.alike import Marked
    from csi.statistics.bootstrap import Bools, Floats, Ints


@dataclass(frozen=True)
class Matched:
    """The matched difference (None: it cannot be told) and how many cases stand on each side."""

    value: float | None
    n: int
    n_others: int


@dataclass(frozen=True, eq=False)
class _Cells:
    """The cases of cells with both sides: their places, cells, and the weights of the others."""

    rows: Ints
    cell: Ints
    mark: Bools
    weight: Floats


def matched_time_ratio(hours: Floats, censored: Bools, marked: Marked) -> Matched:
    """Return the ratio of the medians of marked and matched times."""
    cells = _cells(marked)
    sides = []
    for side in (cells.mark, ~cells.mark):
        rows = cells.rows[side]
        order = np.lexsort((censored[rows], hours[rows]))
        times, weight = hours[rows][order], cells.weight[side][order]
        if not len(rows):
            return _matched(None, cells)
        ended = ~censored[rows][order]
        sides.append(bootstrap.kaplan_meier_quantile(times, ended, weight[None, :], 0.5)[0])
    told = np.isfinite(sides).all() and sides[1] > 0
    return _matched(float(sides[0] / sides[1]) if told else None, cells)


def matched_odds_ratio(event: Bools, marked: Marked) -> Matched:
    """Return the odds ratio over the cells."""
    from statsmodels.stats.contingency_tables import StratifiedTable  # noqa: PLC0415 - slow import

    cells = _cells(marked)
    n = int(cells.cell.max()) + 1 if len(cells.cell) else 0
    counts = np.zeros((2, 2, n))
    np.add.at(counts, ((~cells.mark).astype(int), (~event[cells.rows]).astype(int), cells.cell), 1)
    against = counts[0, 1] * counts[1, 0] / np.maximum(counts.sum(axis=(0, 1)), 1)
    if not n or not against.sum():
        return _matched(None, cells)
    return _matched(float(StratifiedTable(counts).oddsratio_pooled), cells)


def matched_point_difference(scores: Floats, marked: Marked) -> Matched:
    """Return the difference of the means of marked and matched scores."""
    cells = _cells(marked)
    if not len(cells.rows):
        return _matched(None, cells)
    sides = [
        np.average(scores[cells.rows[side]], weights=cells.weight[side])
        for side in (cells.mark, ~cells.mark)
    ]
    return _matched(float(sides[0] - sides[1]), cells)


def _cells(marked: Marked) -> _Cells:
    cell = np.zeros(len(marked.mark), dtype=np.int64)
    for words in marked.alike.values():
        one = Levels.of(words).pooled(RARE)
        cell = bootstrap.cluster_codes(cell * len(one.names) + one.codes)
    n = int(cell.max(initial=-1)) + 1
    ours = np.bincount(cell[marked.mark], minlength=n)
    others = np.bincount(cell[~marked.mark], minlength=n)
    rows = np.flatnonzero(((ours > 0) & (others > 0))[cell])
    weight = np.where(marked.mark, 1.0, (ours / np.maximum(others, 1))[cell])
    return _Cells(rows, bootstrap.cluster_codes(cell[rows]), marked.mark[rows], weight[rows])


def _matched(value: float | None, cells: _Cells) -> Matched:
    return Matched(value, int(cells.mark.sum()), int((~cells.mark).sum()))
