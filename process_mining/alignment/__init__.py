"""How far is each variant from the reference model, and by which moves?

An alignment is a full run of the model laid beside a trace. Its moves are synchronous (the event
is the run's step), log moves (an event that the run has no step for), model moves (a step that
the trace has no event for) and silent moves. Its cost is the number of log and model moves; the
alignments given here are optimal: no other has a lower cost.

    fitness = 1 - cost / (trace length + cost of the shortest run)        (1 for an empty trace
              on a model that allows it)

Method. For a prefix of a trace keep the vector of the cheapest costs of all states of the model's
automaton (`kernel.py`). The minimum is taken off and the vector interned, so that (vector,
activity) -> (vector, rise of the minimum) is a weighted deterministic automaton, built lazily
where traces go; an event that was met before costs one look-up (`search.py`). The minimum is the
exact cost of the prefix against any beginning of a run, the entry of the final state the cost of
the whole. One optimal alignment per variant is read by walking back over the vectors; among equals
the last move is synchronous before log before silent before model, then from the lowest state.

Every log or model move weighs MOVE, every silent one 1, so silent moves only break ties (and a
walk back cannot go round in circles of silent moves). They cannot add up to a MOVE: MOVE is 2**32,
and an optimal alignment has fewer than (length + 1) x states silent moves. Sums stay exact while
length + states < 2**26.

Complexity: O(1) a known event, one call of the kernel a new one. Memory: the table of vectors is
bounded and flushed between batches of variants. Over `budget` states the search is refused
(MO301); a heuristic search for such models is not built yet, so `Bounded` results do not occur.

Sources: Adriansyah, Aligning Observed and Modeled Behavior, PhD thesis, TU Eindhoven, 2014 (cost,
fitness, prefix alignments); Mohri, Weighted Automata Algorithms, 2009 (determinisation); Cox,
Regular Expression Matching in the Wild, 2010 (a lazily built table that is flushed).
Not considered: time, data, who acted. Moves name activities: of two tasks with one name, which
one was skipped is not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from process_mining.alignment.kernel import MOVE
from process_mining.alignment.search import NO_EVENT, TABLE_BYTES, MoveKind, Search
from process_mining.errors import CodedError, RunError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints
    from process_mining.model import ReferenceModel
    from process_mining.variants import Variants

    Bools = npt.NDArray[np.bool_]

__all__ = [
    "Alignments",
    "Bounded",
    "CaseAlignment",
    "Move",
    "MoveKind",
    "Optimal",
    "align",
    "case_alignment",
]

STATE_BUDGET = 20_000
_LEFT_OUT = -1
_FOREIGN = -2


@dataclass(frozen=True)
class Move:
    """One move; `activity` is None for a silent one."""

    kind: MoveKind
    activity: str | None


@dataclass(frozen=True)
class Optimal:
    """The lowest possible cost, and one alignment that has it."""

    cost: int
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Bounded:
    """The search was stopped: the lowest possible cost lies between these, both included."""

    lower: int
    upper: int


@dataclass(frozen=True, eq=False)
class Alignments:
    """One alignment per variant; arrays have one entry a variant unless said otherwise.

    `lower`, `upper`: bounds of the cost of the whole variant, equal where it is optimal.
    `prefix`: the exact cost of the variant as the beginning of a run, for open cases.
    `departure`: the first event (index in the trace) with which the trace is no longer the
    beginning of any run, -1 where there is none.
    `moves`, `move_offsets`: variant v has the moves moves[move_offsets[v]:move_offsets[v + 1]],
    each 4 x index in `words` + kind (a silent move has the kind alone).
    """

    variants: Variants
    model: ReferenceModel
    lower: Ints
    upper: Ints
    prefix: Ints
    departure: Ints
    shortest_run: int
    words: tuple[str, ...]
    moves: Ints
    move_offsets: Ints

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.lower)

    def alignment(self, index: int) -> Optimal | Bounded:
        """Return the alignment of one variant."""
        lower, upper = int(self.lower[index]), int(self.upper[index])
        if lower != upper:
            return Bounded(lower, upper)
        span = self.moves[self.move_offsets[index] : self.move_offsets[index + 1]]
        return Optimal(lower, tuple(map(self._move, span.tolist())))

    @cached_property
    def fitness(self) -> npt.NDArray[np.float64]:
        """Fitness per variant, from the upper bound of the cost: 1.0 exactly where cost is 0."""
        most = np.diff(self.variants.offsets) + self.shortest_run
        fitness: npt.NDArray[np.float64] = 1.0 - self.upper / np.maximum(most, 1)
        return fitness

    def deviation_counts(self, weights: Ints | None = None) -> pd.DataFrame:
        """Count the model moves (`skipped`) and log moves (`unexpected`) of every activity.

        One row an activity of the model or the log, sorted. A variant counts as often as cases
        take it, or as `weights` (one entry a variant) says: give the number of complete cases to
        leave out what open cases may still do.
        """
        cases = self.variants.counts if weights is None else weights
        per_move = np.repeat(cases, np.diff(self.move_offsets))
        kind, word = self.moves & 3, self.moves >> 2
        found = {
            name: np.bincount(word[kind == k], per_move[kind == k], len(self.words)).astype(
                np.int64
            )
            for name, k in (("skipped", MoveKind.MODEL), ("unexpected", MoveKind.LOG))
        }
        return pd.DataFrame({"activity": pd.Series(self.words, dtype="str"), **found})

    def to_pandas(self) -> pd.DataFrame:
        """One row a variant: trace, n, cost bounds, fitness, status, moves (kind, activity)."""
        found = [self.alignment(i) for i in range(len(self))]
        return pd.DataFrame(
            {
                "trace": [self.variants.trace(i) for i in range(len(self))],
                "n": self.variants.counts,
                "lower": self.lower,
                "upper": self.upper,
                "fitness": self.fitness,
                "status": ["optimal" if isinstance(a, Optimal) else "bounded" for a in found],
                "moves": [a.moves if isinstance(a, Optimal) else () for a in found],
            }
        )

    def _move(self, move: int) -> Move:
        kind = MoveKind(move & 3)
        return Move(kind, None if kind is MoveKind.SILENT else self.words[move >> 2])


@dataclass(frozen=True, eq=False)
class CaseAlignment:
    """How far each case is from the model; arrays have one entry a case, in case order.

    `lower`, `upper`: for a complete case the cost of its alignment, for an open one the cost of
    its prefix alignment (what is still missing may still come). `decisive`: the position in
    log.events of the first event with which the case is no longer the beginning of any run of the
    model (where steps were skipped, that is the event that came instead); where there is none but
    the cost is not 0, steps are missing at the end and it is the last step of the case. -1 where
    the cost is 0, and where a case has no step at all.
    """

    lower: Ints
    upper: Ints
    decisive: Ints


def align(
    variants: Variants,
    model: ReferenceModel,
    *,
    budget: int = STATE_BUDGET,
    table_bytes: int = TABLE_BYTES,
) -> Alignments:
    """Find an optimal alignment of every variant; MO301 when the model has too many states."""
    automaton = model.automaton
    if automaton.n_states > budget:
        raise CodedError(
            "MO301",
            f"Model '{model.name}' has {automaton.n_states:,} states; the budget is {budget:,}",
            why="Exact alignments keep one cost for each state",
            fix="Put fewer activities on parallel branches, or split the model",
        )
    words = tuple(sorted({*model.activities, *variants.activities}))
    search = Search(automaton, words, variants, table_bytes)
    search.run()
    lengths = np.array([len(moves) for moves in search.moves], dtype=np.int64)
    flat = [move for moves in search.moves for move in moves]
    return Alignments(
        variants=variants,
        model=model,
        lower=search.cost // MOVE,
        upper=search.cost // MOVE,
        prefix=search.prefix // MOVE,
        departure=search.departure,
        shortest_run=int(search.graph.start[automaton.final]) // MOVE,
        words=words,
        moves=np.array(flat, dtype=np.int64),
        move_offsets=_offsets(lengths),
    )


def case_alignment(
    log: EventLog,
    alignments: Alignments,
    complete: Bools,
    *,
    leave_out: Collection[str] = (),
) -> CaseAlignment:
    """Spread the variants' alignments over the cases of the log that they were made from.

    `complete` tells for each case whether it is over; `leave_out` names the activities that were
    left out of the variants. MO302 when the variants are not those of the log.
    """
    variants = alignments.variants
    of_case = variants.variant_of_case
    positions, starts = _steps(log, variants, leave_out)
    lower = np.where(complete, alignments.lower[of_case], alignments.prefix[of_case])
    upper = np.where(complete, alignments.upper[of_case], alignments.prefix[of_case])
    step = alignments.departure[of_case]
    last = np.diff(variants.offsets)[of_case] - 1
    step = np.where((step < 0) & (upper > 0), last, step)
    decisive = np.full(len(of_case), NO_EVENT, dtype=np.int64)
    found = (upper > 0) & (step >= 0)
    decisive[found] = positions[(starts + step)[found]]
    return CaseAlignment(lower=lower, upper=upper, decisive=decisive)


def _steps(log: EventLog, variants: Variants, leave_out: Collection[str]) -> tuple[Ints, Ints]:
    """Positions in log.events of the events that the variants hold, and where each case starts."""
    arrays = log.arrays
    code = {name: i for i, name in enumerate(variants.activities)}
    lookup = np.array(
        [_LEFT_OUT if a in leave_out else code.get(a, _FOREIGN) for a in arrays.activities]
        + [_LEFT_OUT],
        dtype=np.int64,
    )
    codes = lookup[arrays.activity]
    positions = np.flatnonzero(codes != _LEFT_OUT)
    counts = np.bincount(arrays.case_of[positions], minlength=arrays.n_cases)
    starts = _offsets(counts)[:-1]
    of_case = variants.variant_of_case
    same = len(of_case) == arrays.n_cases and bool(
        (np.diff(variants.offsets)[of_case] == counts).all()
    )
    if same:
        within = np.arange(len(positions)) - np.repeat(starts, counts)
        expected = variants.codes[np.repeat(variants.offsets[of_case], counts) + within]
        same = bool((expected == codes[positions]).all())
    if not same:
        raise RunError(
            "MO302",
            "The variants were not made from this log",
            why="Events could not be found again",
            fix="Make them anew, and leave out the same activities",
        )
    return positions, starts


def _offsets(lengths: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
