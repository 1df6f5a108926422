"""How far is each variant from the reference model, and by which moves?

An alignment is a full run of the model laid beside a trace. Its moves are synchronous (the event
is the run's step), log moves (an event that the run has no step for), model moves (a step that
the trace has no event for) and silent moves. Its cost is the sum of its log and model moves by
`Costs` (1 each by default); the alignments given here are optimal: no other has a lower cost.

    fitness = 1 - cost / (cost of all events as log moves + cost of the model's cheapest run)

and exactly 1.0 where the cost is 0. A prefix alignment ends its run anywhere: for an open case it
tells what is already wrong, and a cheapest way from there to the end what is still open.

Method. For a prefix of a trace keep the vector of the cheapest costs of all states of the model's
automaton (`kernel.py`). The minimum is taken off and the vector interned, so that (vector,
activity) -> (vector, rise of the minimum) is a weighted deterministic automaton, built lazily
where traces go; an event that was met before costs one look-up. The minimum is the exact cost of
the prefix against any beginning of a run, the entry of the final state the cost of the whole. One
optimal alignment per variant is read by walking back over the vectors. `plain.py` does so in numpy,
`compiled.py` trace by trace compiled by numba, `search.py` picks; results are the same, move by
move. A model of more than `budget` states is searched per variant on its net by A* (`by_net.py`,
`astar.py`); where that passes its own budget the result is `Bounded`.

Order among equals. Fewest free moves first (silent ones, and moves of cost 0); then, from the end
of the alignment on, synchronous before log before model moves; the cheapest model move, then that
from the lowest state, silent before named ones in the order of their names. Among prefix alignments
of equal cost first that from whose end the model's end is reached at the lowest cost, so that an
event counts as progress where it can; then as above, then that which ends in the lowest state.
All entries of all vectors are exact, so this choice depends on the trace and the model alone: not
on the other traces, their order, the size of the table, or the way of the search.

Exactness. Whole numbers of 64 bits: a cost of 1 weighs 2**32, a free move 1. MO306 where a trace
and a model are so large that sums could leave these limits (2**29 in cost).

Complexity: O(1) a known event, O(states x arcs of the activity) at most a new pair of vector and
activity, O(moves). Memory: O(events + moves), and the table of vectors, which is bounded and
emptied when full.

Sources: Adriansyah, Aligning Observed and Modeled Behavior, PhD thesis, TU Eindhoven, 2014 (cost,
fitness, prefix alignments); Mohri, Weighted Automata Algorithms, 2009 (determinisation); Cox,
Regular Expression Matching in the Wild, 2010 (a lazily built table that is flushed).
Not considered: time, data, who acted. Moves name activities: of two tasks with one name, which
one was skipped is told by `state_before` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from process_mining.alignment.astar import SEARCH_BUDGET
from process_mining.alignment.costs import Costs
from process_mining.alignment.kernel import MOVE, NO_EVENT, MoveKind
from process_mining.alignment.search import TABLE_BYTES
from process_mining.alignment.tables import arrow_table
from process_mining.alignment.task import Task
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt
    import pyarrow as pa

    from process_mining.alignment.kernel import Walked
    from process_mining.eventlog import Codes, EventLog, Ints
    from process_mining.model import ReferenceModel
    from process_mining.variants import Variants

    Bools = npt.NDArray[np.bool_]

__all__ = [
    "Alignments",
    "Bounded",
    "CaseAlignment",
    "Costs",
    "Move",
    "MoveKind",
    "Optimal",
    "PrefixAlignment",
    "align",
    "case_alignment",
]

STATE_BUDGET = 20_000
_LEFT_OUT = -1
_FOREIGN = -2
_NO_STATE = -1


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


@dataclass(frozen=True)
class PrefixAlignment:
    """An open case: the cost of what is already wrong, and its moves up to the last event.

    `completion`: the activities of a cheapest way from there to the end, what is still open.
    """

    cost: int
    moves: tuple[Move, ...]
    completion: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Alignments:
    """One alignment per variant; arrays have one entry a variant unless said otherwise.

    `lower`, `upper`: bounds of the cost of the whole variant, equal where it is optimal.
    `prefix`, `prefix_upper`: the same for the variant as the beginning of a run, for open cases.
    `departure`: the first event (index in the trace) after which the trace as the beginning of a
    run provably costs something, -1 where there is none.
    `shortest_run`: the cost of the model's cheapest run (a lower bound where it is not proven).
    `moves`, `move_offsets`: variant v has the moves moves[move_offsets[v]:move_offsets[v + 1]],
    each 4 x index in `words` + kind (a silent move has the kind alone); a bounded one has none.
    `state_before`: for each move the state of the model's automaton before it, -1 for all where
    the model has too many states.
    """

    variants: Variants
    model: ReferenceModel
    lower: Ints
    upper: Ints
    prefix: Ints
    prefix_upper: Ints
    departure: Ints
    shortest_run: int
    words: tuple[str, ...]
    moves: Ints
    move_offsets: Ints
    state_before: Codes
    task: Task = field(repr=False)

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.lower)

    @property
    def costs(self) -> Costs:
        """The costs by which the alignments are optimal."""
        return self.task.costs

    def alignment(self, index: int) -> Optimal | Bounded:
        """Return the alignment of one variant."""
        lower, upper = int(self.lower[index]), int(self.upper[index])
        if lower != upper:
            return Bounded(lower, upper)
        span = self.moves[self.move_offsets[index] : self.move_offsets[index + 1]]
        return Optimal(lower, tuple(map(self._move, span.tolist())))

    def prefix_alignment(self, index: int) -> PrefixAlignment | Bounded:
        """Return the alignment of one variant as the beginning of a run, and what is still open.

        The first call searches those of all variants; on a model with too many states each call
        searches its own.
        """
        walked = self.task.prefixes
        if walked is None:
            return self._prefix_by_net(index)
        span = walked.moves[walked.offsets[index] : walked.offsets[index + 1]]
        return PrefixAlignment(
            cost=int(self.prefix[index]),
            moves=tuple(map(self._move, span.tolist())),
            completion=self.task.completion(int(walked.end[index])),
        )

    @cached_property
    def most(self) -> Ints:
        """Cost per variant of all its events as log moves beside the model's cheapest run."""
        log = np.array([self.costs.of_log(a) for a in self.variants.activities], dtype=np.int64)
        so_far = np.append(0, np.cumsum(log[self.variants.codes] if len(log) else []))
        return np.diff(so_far[self.variants.offsets]).astype(np.int64) + self.shortest_run

    @cached_property
    def fitness(self) -> npt.NDArray[np.float64]:
        """Fitness per variant, from the upper bound of the cost: 1.0 exactly where cost is 0."""
        fitness: npt.NDArray[np.float64] = 1.0 - self.upper / np.maximum(self.most, 1)
        return np.maximum(fitness, 0.0)

    @cached_property
    def event_of_move(self) -> Ints:
        """For each move the index of its event in the trace, -1 for model and silent moves."""
        events = self.moves & 3 <= MoveKind.LOG
        before = np.append(0, np.cumsum(events))
        within = before[:-1] - np.repeat(before[self.move_offsets[:-1]], np.diff(self.move_offsets))
        return np.where(events, within, NO_EVENT)

    def deviation_counts(self, weights: Ints | None = None) -> pd.DataFrame:
        """Count the model moves (`skipped`) and log moves (`unexpected`) of every activity.

        One row an activity of the model or the log, sorted. A variant counts as often as cases
        take it, or as `weights` (one entry a variant) says: give the number of complete cases to
        leave out what open cases may still do. Bounded variants have no moves and count nowhere.
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
        distinct, which = np.unique(self.moves, return_inverse=True)
        named = [self._move(move) for move in distinct.tolist()]
        moves = [named[i] for i in which.tolist()]
        offsets = self.move_offsets.tolist()
        return pd.DataFrame(
            {
                "trace": [self.variants.trace(i) for i in range(len(self))],
                "n": self.variants.counts,
                "lower": self.lower,
                "upper": self.upper,
                "fitness": self.fitness,
                "status": np.where(self.lower == self.upper, "optimal", "bounded").tolist(),
                "moves": [tuple(moves[low:high]) for low, high in pairwise(offsets)],
            }
        )

    def to_arrow(self) -> pa.Table:
        """One row a variant, as alignments.parquet has it: see `tables.py`."""
        return arrow_table(self)

    def _move(self, move: int) -> Move:
        kind = MoveKind(move & 3)
        return Move(kind, None if kind is MoveKind.SILENT else self.words[move >> 2])

    def _prefix_by_net(self, index: int) -> PrefixAlignment | Bounded:
        trace, search = self.variants.trace(index), self.task.by_net
        found = search.search(trace, prefix=True)
        if found.lower != found.upper:
            return Bounded(found.lower, found.upper)
        labels = [self.model.net.transitions[t].label for t in found.completion]
        return PrefixAlignment(
            cost=found.lower,
            moves=tuple(map(self._move, search.moves(trace, found))),
            completion=tuple(label for label in labels if label is not None),
        )


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


def align(  # noqa: PLR0913 - what is aligned, and how much that may take
    variants: Variants,
    model: ReferenceModel,
    *,
    costs: Costs | None = None,
    budget: int = STATE_BUDGET,
    search_budget: int = SEARCH_BUDGET,
    table_bytes: int = TABLE_BYTES,
    accelerate: bool | None = None,
) -> Alignments:
    """Find an optimal alignment of every variant, by unit costs where none are given.

    A model of more than `budget` states is searched per variant, `search_budget` states at most
    each. `accelerate`: compiled by numba (MO305 where it is missing), not, or where it pays. It
    changes nothing but time, as `table_bytes`, the memory for the table, does.
    """
    task = Task(variants, model, costs or Costs(), budget, search_budget, table_bytes, accelerate)
    walked = task.walk(whole=True)
    return _by_net(task) if walked is None else _by_automaton(task, walked)


def _by_automaton(task: Task, walked: Walked) -> Alignments:
    cost, prefix = walked.cost // MOVE, walked.prefix // MOVE
    return Alignments(
        variants=task.variants,
        model=task.model,
        lower=cost,
        upper=cost,
        prefix=prefix,
        prefix_upper=prefix,
        departure=walked.departure,
        shortest_run=task.shortest_run,
        words=task.words,
        moves=walked.moves,
        move_offsets=walked.offsets,
        state_before=walked.states,
        task=task,
    )


def _by_net(task: Task) -> Alignments:
    found = task.by_net.all(task.variants)
    return Alignments(
        variants=task.variants,
        model=task.model,
        lower=found.lower,
        upper=found.upper,
        prefix=found.prefix,
        prefix_upper=found.prefix_upper,
        departure=found.departure,
        shortest_run=task.shortest_run,
        words=task.words,
        moves=found.moves,
        move_offsets=found.offsets,
        state_before=np.full(len(found.moves), _NO_STATE, dtype=np.int32),
        task=task,
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
    upper = np.where(complete, alignments.upper[of_case], alignments.prefix_upper[of_case])
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
