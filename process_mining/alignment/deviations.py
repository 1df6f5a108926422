"""In words: what did a case do otherwise than the model asks?

An alignment says it by moves; people ask which step was skipped, repeated, or done too early. Each
log move and each model move of an optimal alignment is read as (part of) one deviation. The run is
the model's side of the alignment: its synchronous and model moves.

TOO_EARLY, TOO_LATE   one activity has a log move and a model move: it was done, but before or after
                      the place in the run where it was due. The k-th log move of an activity is
                      paired with its k-th model move; one deviation of two moves.
REPEATED              a further log move of an activity that the run has as a synchronous move: done
                      once more than the model allows here.
WRONG_BRANCH,         of the remaining log moves of activities that the model knows: the nearest
TOO_EARLY, TOO_LATE   place of the run where the activity was allowed decides (ties: the earlier
                      one). If it comes later in the run, the activity came too early. If it is
                      here or earlier, the run went on there with another activity, `instead`: where
                      that was still allowed after the activity, the activity was optional and came
                      too late; where it was not, the two are alternatives: the case did a step of a
                      branch that it otherwise did not take. A model move of `instead` belongs to
                      that deviation then.
UNEXPECTED            any other log move: the model has no such activity, or not on this way.
SKIPPED               any other model move.

An alignment is one of several optimal ones (the deterministic one of this package), so the words
describe the cheapest explanation, not the only one. Bounded variants have no proven optimum and so
no words. For a model whose states are too many to be explored the fourth line is not decided: such
moves are UNEXPECTED.

Complexity: O(moves x log moves) on arrays, and a walk over the runs of those variants that have a
log move which the fourth line must decide.

Source of the moves: Adriansyah, Aligning Observed and Modeled Behavior, PhD thesis, TU Eindhoven,
2014. The reading in words is our own; compare swapped, skipped and replaced activities in the
event structures of Garcia-Banuelos et al., Complete and interpretable conformance checking of
business processes, IEEE Transactions on Software Engineering 44(3), 2018.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from process_mining.alignment.search import MoveKind
from process_mining.model.language import START, Language

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.alignment import Alignments
    from process_mining.eventlog import Ints

    Bools = npt.NDArray[np.bool_]

NOTHING = -1
SENTENCES = 6


class DeviationKind(IntEnum):
    """How a case departed from the model."""

    SKIPPED = 0
    UNEXPECTED = 1
    TOO_EARLY = 2
    TOO_LATE = 3
    REPEATED = 4
    WRONG_BRANCH = 5

    @property
    def word(self) -> str:
        """The kind as people and files say it: `too early`."""
        return self.name.lower().replace("_", " ")


_SENTENCES = {
    DeviationKind.SKIPPED: "{activity} was skipped",
    DeviationKind.UNEXPECTED: "{activity} was not expected",
    DeviationKind.TOO_EARLY: "{activity} came too early",
    DeviationKind.TOO_LATE: "{activity} came too late",
    DeviationKind.REPEATED: "{activity} was repeated",
    DeviationKind.WRONG_BRANCH: "{activity} was done, which is of another branch than {instead}",
}


@dataclass(frozen=True)
class Deviation:
    """One deviation of a variant.

    `at` is the index of the event concerned; for a skipped activity that of the event which came
    instead, or the length of the trace where it is missing at the end. `moves` is the number of
    moves that it explains, 1 or 2.
    """

    kind: DeviationKind
    activity: str
    at: int
    instead: str | None
    moves: int

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        return _SENTENCES[self.kind].format(activity=self.activity, instead=self.instead)


@dataclass(frozen=True, eq=False)
class Deviations:
    """All deviations of all variants, by (variant, place in the alignment).

    Arrays have one entry a deviation: `variant`, `kind`, `word` and `instead` (indices in
    `alignments.words`, NOTHING for none), `at` and `moves` (see `Deviation`). Those of variant v
    are offsets[v]:offsets[v + 1].
    """

    alignments: Alignments
    variant: Ints
    kind: Ints
    word: Ints
    instead: Ints
    at: Ints
    moves: Ints
    offsets: Ints

    def of(self, variant: int) -> tuple[Deviation, ...]:
        """Return the deviations of one variant, in the order of its alignment."""
        words = self.alignments.words
        return tuple(
            Deviation(
                kind=DeviationKind(int(self.kind[i])),
                activity=words[self.word[i]],
                at=int(self.at[i]),
                instead=None if self.instead[i] == NOTHING else words[self.instead[i]],
                moves=int(self.moves[i]),
            )
            for i in range(int(self.offsets[variant]), int(self.offsets[variant + 1]))
        )

    def counts(self, weights: Ints | None = None) -> pd.DataFrame:
        """Count them: kind, activity, instead (None), n (times) and cases.

        One row a kind, activity and `instead` that occurs; most cases first, then by kind (in the
        order of DeviationKind) and names. A variant counts as often as cases take it, or as
        `weights` says.
        """
        cases = self.alignments.variants.counts if weights is None else weights
        columns = ["kind", "word", "instead"]
        rows = pd.DataFrame({name: getattr(self, name) for name in ["variant", *columns]})
        rows["n"] = cases[self.variant]
        each = rows.groupby(["variant", *columns], as_index=False)["n"].agg(["sum", "first"])
        found = each.groupby(columns, as_index=False)[["sum", "first"]].sum()
        found = found[found["first"] > 0]
        order = ["first", "kind", "word", "instead"]
        found = found.sort_values(order, ascending=[False, True, True, True], ignore_index=True)
        instead = [None if i == NOTHING else self.alignments.words[i] for i in found["instead"]]
        return pd.DataFrame(
            {
                "kind": [DeviationKind(kind).word for kind in found["kind"]],
                "activity": [self.alignments.words[word] for word in found["word"]],
                "instead": pd.Series(instead, dtype="object"),
                "n": found["sum"],
                "cases": found["first"],
            }
        )

    def texts(self) -> list[str | None]:
        """Say all deviations of each variant in one line; None where there is none."""
        return [_line(self.of(v)) for v in range(len(self.offsets) - 1)]

    def to_pandas(self) -> pd.DataFrame:
        """One row a deviation: variant, kind, activity, instead (None), at, moves, text."""
        found = [one for v in range(len(self.offsets) - 1) for one in self.of(v)]
        return pd.DataFrame(
            {
                "variant": self.variant,
                "kind": [one.kind.word for one in found],
                "activity": [one.activity for one in found],
                "instead": pd.Series([one.instead for one in found], dtype="object"),
                "at": self.at,
                "moves": self.moves,
                "text": [one.text for one in found],
            }
        )


def _line(found: Sequence[Deviation]) -> str | None:
    """Join sentences, each once with how often it holds; at most SENTENCES of them."""
    if not found:
        return None
    times = Counter(one.text for one in found)
    said = [text if n == 1 else f"{text} ({n} times)" for text, n in times.items()]
    more = len(said) - SENTENCES
    return "; ".join([*said[:SENTENCES], *([f"and {more} more"] if more > 0 else [])])


def explain(alignments: Alignments) -> Deviations:
    """Read the moves of every optimal alignment as deviations."""
    moves = _Moves.of(alignments)
    reading = _Reading.of(moves)
    _pair(moves, reading)
    _repeat(moves, reading)
    if alignments.model.explorable:
        _place(moves, reading, alignments)
    return _collect(moves, reading, alignments)


@dataclass(frozen=True, eq=False)
class _Moves:
    """The moves of all variants, flat: whose, which kind, which word, and where in its trace.

    `place` is the number of events of the trace before the move.
    """

    variant: Ints
    kind: Ints
    word: Ints
    place: Ints
    starts: Ints

    @classmethod
    def of(cls, alignments: Alignments) -> _Moves:
        offsets = alignments.move_offsets
        kind = alignments.moves & 3
        events = np.isin(kind, (MoveKind.SYNC, MoveKind.LOG)).astype(np.int64)
        before = np.cumsum(events) - events
        lengths = np.diff(offsets)
        first = np.append(before, 0)[np.minimum(offsets[:-1], len(before))]
        return cls(
            variant=np.repeat(np.arange(len(lengths)), lengths),
            kind=kind,
            word=alignments.moves >> 2,
            place=before - np.repeat(first, lengths),
            starts=offsets,
        )


@dataclass(frozen=True, eq=False)
class _Reading:
    """What each move is read as; a move that belongs to another's deviation has kind NOTHING.

    `open` tells which moves are still to be read; `other` is the move that goes with it.
    """

    kind: Ints
    other: Ints
    instead: Ints
    open: Bools

    @classmethod
    def of(cls, moves: _Moves) -> _Reading:
        kind = np.full(len(moves.kind), NOTHING, dtype=np.int64)
        kind[moves.kind == MoveKind.LOG] = DeviationKind.UNEXPECTED
        kind[moves.kind == MoveKind.MODEL] = DeviationKind.SKIPPED
        nothing = np.full(len(kind), NOTHING, dtype=np.int64)
        return cls(kind, nothing, nothing.copy(), kind != NOTHING)

    def join(self, log: Ints, model: Ints, kind: Ints) -> None:
        """Read log moves and the model moves that go with them as one deviation each."""
        self.kind[log], self.kind[model] = kind, NOTHING
        self.other[log] = model
        self.open[log] = self.open[model] = False


def _pair(moves: _Moves, reading: _Reading) -> None:
    """Pair the k-th log move of an activity with its k-th model move, in each variant."""
    found = np.flatnonzero(reading.open)
    keys = (moves.variant[found], moves.word[found], moves.kind[found])
    found = found[np.lexsort((found, *keys[::-1]))]
    rank = _rank(moves.variant[found], moves.word[found], moves.kind[found])
    order = np.lexsort((moves.kind[found], rank, moves.word[found], moves.variant[found]))
    one, two = found[order][:-1], found[order][1:]
    same = (
        (moves.variant[one] == moves.variant[two])
        & (moves.word[one] == moves.word[two])
        & (rank[order][:-1] == rank[order][1:])
    )
    log, model = one[same], two[same]  # MoveKind.LOG sorts before MODEL
    early = np.where(log < model, DeviationKind.TOO_EARLY, DeviationKind.TOO_LATE)
    reading.join(log, model, early)


def _rank(*keys: Ints) -> Ints:
    """Number equal rows of sorted keys from 0 on."""
    index = np.arange(len(keys[0]))
    new = np.ones(len(index), dtype=bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    rank: Ints = index - np.maximum.accumulate(np.where(new, index, 0))
    return rank


def _repeat(moves: _Moves, reading: _Reading) -> None:
    """A log move of an activity that its run has as a synchronous move is a repetition."""
    n_words = int(moves.word.max(initial=0)) + 1
    pair = moves.variant * n_words + moves.word
    log = np.flatnonzero(reading.open & (moves.kind == MoveKind.LOG))
    again = log[np.isin(pair[log], np.unique(pair[moves.kind == MoveKind.SYNC]))]
    reading.kind[again] = DeviationKind.REPEATED
    reading.open[again] = False


def _place(moves: _Moves, reading: _Reading, alignments: Alignments) -> None:
    """Read the remaining log moves of known activities by where the run allowed them."""
    known = np.isin(np.array(alignments.words, dtype=object), alignments.model.activities)
    left = np.flatnonzero(reading.open & (moves.kind == MoveKind.LOG) & known[moves.word])
    language = Language(alignments.model.automaton)
    for variant in np.unique(moves.variant[left]).tolist():
        low, high = moves.starts[variant : variant + 2].tolist()
        run = _Run.of(moves, low, high, alignments.words, language)
        for move in left[(left >= low) & (left < high)].tolist():
            _place_one(moves, reading, run, move, alignments.words[moves.word[move]])


@dataclass(frozen=True, eq=False)
class _Run:
    """A run step by step: the k-th is move steps[k], taken in the set of states subsets[k]."""

    language: Language
    words: tuple[str, ...]
    steps: Ints
    subsets: tuple[int, ...]

    @classmethod
    def of(
        cls, moves: _Moves, low: int, high: int, words: tuple[str, ...], language: Language
    ) -> _Run:
        span = np.arange(low, high)
        steps = span[np.isin(moves.kind[low:high], (MoveKind.SYNC, MoveKind.MODEL))]
        done = tuple(words[i] for i in moves.word[steps].tolist())
        subsets = [START]
        for word in done:
            subsets.append(language.after(subsets[-1], word))
        return cls(language, done, steps, tuple(subsets))

    def nearest(self, here: int, activity: str) -> int | None:
        """Return the step nearest to `here` in whose place the activity was allowed."""
        allowed = (
            k for k in range(len(self.words)) if activity in self.language.allowed(self.subsets[k])
        )
        return min(allowed, key=lambda k: (abs(k - here), k), default=None)

    def excludes(self, step: int, activity: str) -> bool:
        """Tell whether the activity, done in place of the step, would have ruled it out."""
        after = self.language.after(self.subsets[step], activity)
        return self.words[step] not in self.language.allowed(after)


def _place_one(moves: _Moves, reading: _Reading, run: _Run, move: int, activity: str) -> None:
    here = int(np.searchsorted(run.steps, move))
    step = run.nearest(here, activity)
    if step is None:
        return
    taken = int(run.steps[step])
    if step > here:
        reading.kind[move] = DeviationKind.TOO_EARLY
        return
    if not run.excludes(step, activity):
        if step < here:
            reading.kind[move] = DeviationKind.TOO_LATE
        return
    reading.kind[move] = DeviationKind.WRONG_BRANCH
    reading.instead[move] = moves.word[taken]
    if reading.open[taken]:
        both = np.array([move]), np.array([taken])
        reading.join(*both, np.array([int(DeviationKind.WRONG_BRANCH)]))


def _collect(moves: _Moves, reading: _Reading, alignments: Alignments) -> Deviations:
    found = np.flatnonzero(reading.kind != NOTHING)
    n = np.bincount(moves.variant[found], minlength=len(moves.starts) - 1)
    return Deviations(
        alignments=alignments,
        variant=moves.variant[found],
        kind=reading.kind[found],
        word=moves.word[found],
        instead=reading.instead[found],
        at=moves.place[found],
        moves=np.where(reading.other[found] == NOTHING, 1, 2),
        offsets=np.concatenate([[0], np.cumsum(n)]).astype(np.int64),
    )
