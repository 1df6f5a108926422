"""Which states can a model be in, and can every run come to its end?

`explore` builds the reachability graph of a net breadth first, transitions in the net's order, so
states have one fixed numbering. On the way it makes the Karp-Miller check: a marking that covers
an ancestor on its own path (nowhere fewer tokens, somewhere more) proves that tokens can gather
without end, and the net is refused with that path as witness. The graph of a bounded net is
finite; by Koenig's and Dickson's lemmas the check stops on every unbounded one.

`Automaton` keeps only the states from which the final marking can be reached. `require_sound`
refuses what would have to be cut away: markings from which the end cannot be reached, and
elements that no run passes.

Complexity: O(states x transitions x places), and O(path length) comparisons for a new state.
The number of states can be exponential in the parallelism; `budget` bounds it.

Sources: Karp & Miller, Parallel program schemata, JCSS 3(2), 1969; van der Aalst, Verification
of workflow nets, ICATPN 1997. Departure: runs end in the final marking itself, so tokens that
stay behind at the end show as markings that cannot reach it. Not checked: that places hold at
most one token.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_mining.eventlog import Codes, Ints
    from process_mining.model.net import Marking, Net, Transition

STATE_BUDGET = 100_000
SILENT_LABEL = -1
TOO_MANY_STATES = "MO202"
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Automaton:
    """The states of a model and the arcs between them, sorted by (source, transition).

    `labels` holds the index of the arc's activity in `activities`, or SILENT_LABEL; state i is
    the marking markings[i] and `initial` is 0.
    """

    activities: tuple[str, ...]
    markings: tuple[Marking, ...]
    initial: int
    final: int
    sources: Ints
    targets: Ints
    labels: Codes
    transitions: Codes

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.markings)


@dataclass(eq=False)
class Reachability:
    """The whole reachability graph: how each state was first reached, and every arc."""

    net: Net
    markings: list[Marking]
    index: dict[Marking, int]
    came_from: list[tuple[int, int]] = field(default_factory=lambda: [(-1, -1)])
    arcs: list[tuple[int, int, int]] = field(default_factory=list)

    def path(self, state: int) -> list[int]:
        """Return the transitions of the shortest run to a state."""
        steps: list[int] = []
        while state > 0:
            state, transition = self.came_from[state]
            steps.append(transition)
        return steps[::-1]

    def ancestors(self, state: int) -> Iterator[int]:
        """Yield the states on the path by which a state was first reached, nearest first."""
        while state > 0:
            state = self.came_from[state][0]
            yield state

    def can_finish(self) -> list[bool]:
        """Tell for each state whether the final marking can be reached from it."""
        alive = [False] * len(self.markings)
        final = self.index.get(self.net.final)
        if final is None:
            return alive
        before: list[list[int]] = [[] for _ in self.markings]
        for source, _, target in self.arcs:
            before[target].append(source)
        alive[final] = True
        queue = deque([final])
        while queue:
            for source in before[queue.popleft()]:
                if not alive[source]:
                    alive[source] = True
                    queue.append(source)
        return alive


def explore(net: Net, *, budget: int = STATE_BUDGET) -> Reachability:
    """Build the reachability graph; MO201 when the net is unbounded, MO202 over the budget."""
    graph = Reachability(net=net, markings=[net.initial], index={net.initial: 0})
    steps = [_Step.of(transition) for transition in net.transitions]
    source = 0
    while source < len(graph.markings):
        marking = graph.markings[source]
        for number, step in enumerate(steps):
            if all(marking[place] >= n for place, n in step.needs):
                target = _visit(graph, source, number, step.fire(marking))
                graph.arcs.append((source, number, target))
        if len(graph.markings) > budget:
            raise _over_budget(graph, budget)
        source += 1
    return graph


def automaton_of(graph: Reachability) -> Automaton:
    """Keep the states that can reach the final marking; MO203 when the initial one cannot."""
    alive = graph.can_finish()
    if not alive[0]:
        raise _no_end(graph)
    number = np.cumsum(alive) - 1
    kept = [arc for arc in graph.arcs if alive[arc[0]] and alive[arc[2]]]
    arcs = np.array(kept, dtype=np.int64).reshape(-1, 3)
    activities = graph.net.activities
    code = {name: i for i, name in enumerate(activities)}
    labels = [SILENT_LABEL if t.label is None else code[t.label] for t in graph.net.transitions]
    return Automaton(
        activities=activities,
        markings=tuple(m for m, keep in zip(graph.markings, alive, strict=True) if keep),
        initial=0,
        final=int(number[graph.index[graph.net.final]]),
        sources=number[arcs[:, 0]],
        targets=number[arcs[:, 2]],
        labels=np.array(labels, dtype=np.int32)[arcs[:, 1]],
        transitions=arcs[:, 1].astype(np.int32),
    )


def require_sound(graph: Reachability) -> None:
    """Refuse a net with a run that cannot end (MO203, MO204) or an element never passed (MO205)."""
    alive = graph.can_finish()
    if not alive[0]:
        raise _no_end(graph)
    raise_all([*_stuck(graph, alive), *_never_fired(graph)])


@dataclass(frozen=True)
class _Step:
    """A transition ready to fire: what it needs and what it changes, as (place, tokens)."""

    needs: tuple[tuple[int, int], ...]
    changes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, transition: Transition) -> _Step:
        needs = Counter(transition.consumes)
        change = Counter(transition.produces)
        change.subtract(needs)
        return cls(tuple(sorted(needs.items())), tuple(sorted(change.items())))

    def fire(self, marking: Marking) -> Marking:
        tokens = list(marking)
        for place, change in self.changes:
            tokens[place] += change
        return tuple(tokens)


def _visit(graph: Reachability, source: int, transition: int, marking: Marking) -> int:
    known = graph.index.get(marking)
    if known is not None:
        return known
    state = len(graph.markings)
    graph.index[marking] = state
    graph.markings.append(marking)
    graph.came_from.append((source, transition))
    for ancestor in graph.ancestors(state):
        if all(a <= b for a, b in zip(graph.markings[ancestor], marking, strict=True)):
            raise _unbounded(graph, ancestor, state)
    return state


def _unbounded(graph: Reachability, ancestor: int, state: int) -> CodedError:
    before, after = graph.markings[ancestor], graph.markings[state]
    grown = [i for i in range(len(before)) if after[i] > before[i]]
    loop = graph.path(state)[len(graph.path(ancestor)) :]
    return CodedError(
        "MO201",
        f"Tokens gather without end on {_places(graph, grown)}",
        why=f"Repeating {_steps(graph, loop)} adds a token every time, so the model has no end",
        fix="Join parallel branches with a parallel gateway before the flow goes back",
    )


def _over_budget(graph: Reachability, budget: int) -> CodedError:
    return CodedError(
        TOO_MANY_STATES,
        f"The model has more than {budget:,} states (stopped at {len(graph.markings):,})",
        why="Many parallel branches multiply each other's states",
        fix="Split the model, or put fewer activities on parallel branches",
    )


def _no_end(graph: Reachability) -> CodedError:
    stuck = _stuck(graph, [False] * len(graph.markings))
    reason = stuck[0].what if stuck else ""
    return CodedError("MO203", "No run of the model reaches its end", why=reason, fix=_FIX_STUCK)


_FIX_STUCK = "Join with the same kind of gateway that split, and give every branch a way to an end"


def _stuck(graph: Reachability, alive: list[bool]) -> list[CodedError]:
    """Name one marking from which the end cannot be reached: one where nothing moves if any."""
    dead = [state for state, can in enumerate(alive) if not can]
    if not dead:
        return []
    moving = {source for source, _, _ in graph.arcs}
    state = next((s for s in dead if s not in moving), dead[0])
    tokens = [i for i, n in enumerate(graph.markings[state]) if n]
    what = (
        f"After {_steps(graph, graph.path(state))} the end cannot be reached: "
        f"waiting on {_places(graph, tokens)}"
    )
    why = "Every trace through there would be reported as a deviation"
    return [CodedError("MO204", what, why=why, fix=_FIX_STUCK)]


def _never_fired(graph: Reachability) -> list[CodedError]:
    """Name the elements of which no transition ever fires."""
    fired = {graph.net.transitions[transition].text for _, transition, _ in graph.arcs}
    dead = [t.text for t in graph.net.transitions if t.text not in fired]
    return [
        CodedError(
            "MO205",
            f"No run of the model ever passes {text}",
            why="What it asks for can never happen together",
            fix="Check the gateways in front of it",
        )
        for text in dict.fromkeys(dead)
    ]


def _places(graph: Reachability, indices: list[int]) -> str:
    return " and ".join(graph.net.places[i] for i in indices) or "nothing"


def _steps(graph: Reachability, transitions: list[int]) -> str:
    """Name a run by its activities, or by all its elements when none leaves an event."""
    run = [graph.net.transitions[i] for i in transitions]
    labels = [f"'{t.label}'" for t in run if t.label is not None]
    words = labels or [t.text for t in run] or ["the start"]
    if len(words) > _SHOWN:
        words = ["…", *words[-_SHOWN:]]
    return ", ".join(words)
