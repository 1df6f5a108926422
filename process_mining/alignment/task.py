"""What is to be aligned, and by which search: the automaton's, or the net's where it is too large?

A `Task` holds what `align` was asked, and does it: words, costs and traces as the searches want
them. An alignment of the whole and one of the beginning of a trace are two walks of one task.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from process_mining.alignment.by_net import NetSearch
from process_mining.alignment.costs import scaled
from process_mining.alignment.kernel import (
    FREE,
    MOVE,
    MoveKind,
    Traces,
    check_sums,
    graph_of,
    with_ends,
)
from process_mining.alignment.search import walk
from process_mining.errors import CodedError
from process_mining.model import SILENT_LABEL
from process_mining.model.automaton import TOO_MANY_STATES

if TYPE_CHECKING:
    from process_mining.alignment.costs import Costs
    from process_mining.alignment.kernel import Graph, Walked
    from process_mining.model import Automaton, ReferenceModel
    from process_mining.variants import Variants


@dataclass(frozen=True, eq=False)
class Task:
    """Variants, model, costs, and how much the search may take; see `align`."""

    variants: Variants
    model: ReferenceModel
    costs: Costs
    budget: int
    search_budget: int
    table_bytes: int
    accelerate: bool | None

    @cached_property
    def automaton(self) -> Automaton | None:
        """The model's automaton, None where it has more states than the budget."""
        try:
            found = self.model.automaton
        except CodedError as error:
            if error.code == TOO_MANY_STATES:
                return None
            raise
        return found if found.n_states <= self.budget else None

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every activity of the model and the log, sorted."""
        return tuple(sorted({*self.model.activities, *self.variants.activities}))

    @cached_property
    def number(self) -> dict[str, int]:
        """The index of each word."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def by_net(self) -> NetSearch:
        """The search on the net itself."""
        return NetSearch(self.model.net, self.number, self.costs, budget=self.search_budget)

    @cached_property
    def graph(self) -> Graph | None:
        """The automaton's arcs with costs and moves; MO306 where sums might not be exact."""
        automaton = self.automaton
        if automaton is None:
            return None
        log = [self.costs.of_log(name) for name in automaton.activities]
        model = [self.costs.of_model(name) for name in automaton.activities]
        check_sums(
            longest=int(np.diff(self.variants.offsets).max(initial=0)),
            n_states=automaton.n_states,
            log=max([1, *map(self.costs.of_log, self.words)]),
            model=max([1, *model]),
        )
        moves = [4 * self.number[name] + MoveKind.MODEL for name in automaton.activities]
        return graph_of(
            automaton,
            log=scaled(log),
            model=np.append(scaled(model), FREE),
            moves=np.array([*moves, int(MoveKind.SILENT)], dtype=np.int64),
        )

    @cached_property
    def graph_with_ends(self) -> Graph | None:
        """The same, and how far each state is from the final one."""
        return None if self.graph is None else with_ends(self.graph)

    @cached_property
    def prefixes(self) -> Walked | None:
        """Every variant as the beginning of a run; None where the model has too many states."""
        return self.walk(whole=False)

    def walk(self, *, whole: bool) -> Walked | None:
        """Find an optimal run for every variant; `whole` runs go on to the final state.

        None where the model has too many states.
        """
        graph = self.graph if whole else self.graph_with_ends
        if self.automaton is None or graph is None:
            return None
        return walk(
            graph,
            self._traces(self.automaton),
            whole=whole,
            table_bytes=self.table_bytes,
            accelerate=self.accelerate,
        )

    @property
    def shortest_run(self) -> int:
        """The cost of the model's cheapest run, a lower bound where the net is searched."""
        if self.graph is None:
            return self.by_net.search(()).lower
        return int(self.graph.start[self.graph.final]) // MOVE

    def completion(self, state: int) -> tuple[str, ...]:
        """Return the activities of a cheapest way to the end.

        Among equals the arc to the lowest state, then silent before named ones, by name.
        """
        automaton, graph = self.automaton, self.graph_with_ends
        found: list[str] = []
        while automaton is not None and graph is not None and state != automaton.final:
            arcs = np.arange(graph.out_start[state], graph.out_start[state + 1])
            left = graph.out_weight[arcs] + graph.to_end[graph.out_target[arcs]]
            arcs = arcs[left == graph.to_end[state]]
            arc = arcs[np.lexsort((automaton.labels[arcs], graph.out_target[arcs]))[0]]
            state, label = int(graph.out_target[arc]), int(automaton.labels[arc])
            if label != SILENT_LABEL:
                found.append(automaton.activities[label])
        return tuple(found)

    def _traces(self, automaton: Automaton) -> Traces:
        """Number the events by words and the words by the model's activities."""
        column = {name: i for i, name in enumerate(automaton.activities)}
        foreign = scaled([self.costs.of_log(word) for word in self.words])
        foreign[[self.number[name] for name in automaton.activities]] = 0
        to_word = np.array([self.number[a] for a in self.variants.activities], dtype=np.int32)
        codes = self.variants.codes
        return Traces(
            offsets=self.variants.offsets,
            words=to_word[codes] if len(codes) else codes,
            column=np.array([column.get(word, len(column)) for word in self.words], dtype=np.int64),
            foreign=foreign,
        )
