"""Does a model allow much more than what was done, and would it hold for the cases to come?

Both figures look at the runs of the model that the alignments laid beside the cases: their visible
moves (synchronous and model moves), which the model can replay by construction. A prefix of a run
leaves the model in a set of states, silent moves included; `allowed` are the activities that some
state of the set can go on with.

**Precision** (escaping edges). Over all prefixes that some run goes on from, each weighted by the
cases that have it:

    precision = 1 - sum(weight x (allowed - done)) / sum(weight x allowed)

where `done` are the activities with which the cases went on. 1 means that the model allows nothing
that was not seen; a model that allows anything anywhere comes close to 0.

**Generalisation**. Of n visits of a set of states that went on with w different activities, the
next visit shows a new one with probability w (w + 1) / (n (n - 1)), or 1 where n < w + 2;

    generalisation = 1 - mean of that probability over all visits

so a model whose states were each visited often, always with the same continuations, generalises.

Cases whose alignment is only bounded have no run and are left out (`cases` counts those used).
Both figures are undefined (None) where no run has a step, and for a model whose states are too many
to be explored. They describe the log; no interval is given, for they are no rate of independent
cases. Complexity: O(moves x log variants), and one step of `Language` for each edge of the runs'
prefix tree.

Sources: Adriansyah, Munoz-Gama, Carmona, van Dongen & van der Aalst, Measuring precision of modeled
behavior, Information Systems and e-Business Management 13(1), 2015 (one-alignment precision; as
usual the end of a run is no continuation); van der Aalst, Adriansyah & van Dongen, Replaying
history on process models for conformance checking and performance analysis, WIREs Data Mining and
Knowledge Discovery 2(2), 2012, section 5.3. Departure: a state is what the visible past leaves
possible, so that two nets with the same runs get the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from process_mining.alignment.search import MoveKind
from process_mining.model.language import START, Language

if TYPE_CHECKING:
    from process_mining.alignment import Alignments
    from process_mining.eventlog import Ints


@dataclass(frozen=True)
class ModelQuality:
    """Precision and generalisation of a model for a log, from the runs of `cases` cases.

    `visits` counts the steps of those runs; None where the figure is not defined.
    """

    precision: float | None
    generalisation: float | None
    cases: int
    visits: int


def model_quality(alignments: Alignments, weights: Ints | None = None) -> ModelQuality:
    """Return precision and generalisation; a variant counts as often as `weights` says.

    `weights` (one entry a variant, by default its cases): give the number of complete cases to
    leave out what open cases may still do.
    """
    weights = alignments.variants.counts if weights is None else weights
    used = np.flatnonzero((alignments.lower == alignments.upper) & (weights > 0))
    cases = int(weights[used].sum())
    steps = _steps(alignments, used, weights)
    visits = int(steps.weight.sum())
    if not visits or not alignments.model.explorable:
        return ModelQuality(None, None, cases, visits)
    states = _states(steps, alignments.words, Language(alignments.model.automaton))
    return ModelQuality(
        precision=_precision(steps, states),
        generalisation=_generalisation(steps, states),
        cases=cases,
        visits=visits,
    )


@dataclass(frozen=True, eq=False)
class _Steps:
    """The tree of all runs' prefixes, one row an edge: from node `source` by `word` to `target`.

    Node 0 is the empty prefix; parents stand before children. `weight` counts the cases.
    """

    source: Ints
    word: Ints
    target: Ints
    weight: Ints


@dataclass(frozen=True, eq=False)
class _States:
    """For every node the set of states it leaves the model in, and how much each set allows."""

    of_node: Ints
    allowed: Ints


def _steps(alignments: Alignments, used: Ints, weights: Ints) -> _Steps:
    """Grow the tree level by level: the k-th steps of all runs at once."""
    visible = np.isin(alignments.moves & 3, (MoveKind.SYNC, MoveKind.MODEL))
    words = alignments.moves[visible] >> 2
    before = np.concatenate([[0], np.cumsum(visible)])
    starts = before[alignments.move_offsets[:-1]][used]
    lengths = before[alignments.move_offsets[1:]][used] - starts
    node, nodes = np.zeros(len(used), dtype=np.int64), 1
    levels: list[tuple[Ints, Ints, Ints, Ints]] = []
    for k in range(int(lengths.max(initial=0))):
        alive = np.flatnonzero(lengths > k)
        pair = node[alive] * len(alignments.words) + words[starts[alive] + k]
        distinct, which = np.unique(pair, return_inverse=True)
        source, word = np.divmod(distinct, len(alignments.words))
        weight = np.bincount(which, weights[used][alive], len(distinct)).astype(np.int64)
        levels.append((source, word, nodes + np.arange(len(distinct)), weight))
        node[alive] = nodes + which
        nodes += len(distinct)
    if not levels:
        empty = np.zeros(0, dtype=np.int64)
        return _Steps(empty, empty, empty, empty)
    return _Steps(*map(np.concatenate, zip(*levels, strict=True)))


def _states(steps: _Steps, words: tuple[str, ...], language: Language) -> _States:
    """Walk the tree through the sets of states, parents first."""
    of_node = [START] * (len(steps.target) + 1)
    rows = zip(steps.source.tolist(), steps.word.tolist(), steps.target.tolist(), strict=True)
    for source, word, target in rows:
        of_node[target] = language.after(of_node[source], words[word])
    allowed = [len(language.allowed(subset)) for subset in range(max(of_node) + 1)]
    return _States(np.array(of_node, dtype=np.int64), np.array(allowed, dtype=np.int64))


def _precision(steps: _Steps, states: _States) -> float:
    """Every edge out of a node is one activity that was done there."""
    passed = np.bincount(steps.source, steps.weight, len(states.of_node))
    done = np.bincount(steps.source, minlength=len(states.of_node))
    allowed = states.allowed[states.of_node]
    return 1.0 - float((passed * (allowed - done)).sum() / (passed * allowed).sum())


def _generalisation(steps: _Steps, states: _States) -> float:
    """Visits of a set of states are those of all nodes that leave the model in it."""
    n_sets, n_words = len(states.allowed), int(steps.word.max()) + 1
    here = states.of_node[steps.source]
    n = np.bincount(here, steps.weight, n_sets)
    seen = np.unique(here * n_words + steps.word) // n_words
    w = np.bincount(seen, minlength=n_sets).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        new = np.where(n >= w + 2, w * (w + 1) / (n * (n - 1)), 1.0)
    return 1.0 - float((n * new)[n > 0].sum() / n.sum())
