"""Which states can a model be in, and can every run come to its end?

`explore` builds the reachability graph of a net (`reach.py`) breadth first, transitions in the
net's order, so states have one fixed numbering. An unbounded net is refused with the path that
gathers tokens as witness; the graph of a bounded net is finite.

`Automaton` keeps only the states from which the final marking can be reached. `require_sound`
refuses what would have to be cut away: markings from which the end cannot be reached, and
elements that no run passes. On a graph that passed its budget it can only show that a net is not
sound (a marking in which nothing moves), never that it is.

Complexity: O(arcs x tokens) to explore, linear in the arcs to check. The number of states can be
exponential in the parallelism; `budget` bounds it.

Sources: van der Aalst, Verification of workflow nets, ICATPN 1997. Departure: runs end in the
final marking itself, so tokens that stay behind at the end show as markings that cannot reach it.
Not checked: that places hold at most one token (a task with two flows into it may run twice).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from process_mining.errors import CodedError, raise_all
from process_mining.model.reach import Reachability, Tokens, search

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Codes, Ints
    from process_mining.model.net import Marking, Net, Transition

    Bools = npt.NDArray[np.bool_]

STATE_BUDGET = 100_000
SILENT_LABEL = -1
TOO_MANY_STATES = "MO202"
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Automaton:
    """The states of a model and the arcs between them, sorted by (source, transition).

    `labels` holds the index of the arc's activity in `activities`, or SILENT_LABEL; `tokens` the
    places that hold a token in each state; `initial` is 0.
    """

    activities: tuple[str, ...]
    n_places: int
    tokens: tuple[Tokens, ...]
    initial: int
    final: int
    sources: Ints
    targets: Ints
    labels: Codes
    transitions: Codes

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.tokens)

    @cached_property
    def markings(self) -> tuple[Marking, ...]:
        """The number of tokens on every place, for every state."""
        return tuple(_marking(tokens, self.n_places) for tokens in self.tokens)


def reachable(net: Net, *, budget: int = STATE_BUDGET) -> Reachability:
    """Explore a net as far as the budget goes; MO201 when it is unbounded."""
    graph = search(_tokens(net.initial), _Game(net).moves, budget=budget, stop_at_cover=True)
    if graph.cover is not None:
        loop, grown = graph.loop()
        raise unbounded(_steps(net, loop), _places(net, grown))
    return graph


def explore(net: Net, *, budget: int = STATE_BUDGET) -> Reachability:
    """Build the reachability graph; MO201 when the net is unbounded, MO202 over the budget."""
    graph = reachable(net, budget=budget)
    if not graph.complete:
        raise too_many_states(f"the {graph.limit:,} explored")
    return graph


def automaton_of(net: Net, graph: Reachability) -> Automaton:
    """Keep the states that can reach the final marking; MO203 when the initial one cannot."""
    alive = _can_finish(net, graph)
    if not alive[0]:
        raise _no_end(net, graph)
    number = np.cumsum(alive) - 1
    arcs = np.array(graph.arcs, dtype=np.int64).reshape(-1, 3)
    arcs = arcs[alive[arcs[:, 0]] & alive[arcs[:, 2]]]
    activities = net.activities
    code = {name: i for i, name in enumerate(activities)}
    labels = [SILENT_LABEL if t.label is None else code[t.label] for t in net.transitions]
    return Automaton(
        activities=activities,
        n_places=len(net.places),
        tokens=tuple(graph.states[i] for i in np.flatnonzero(alive)),
        initial=0,
        final=int(number[graph.index[_tokens(net.final)]]),
        sources=number[arcs[:, 0]],
        targets=number[arcs[:, 2]],
        labels=np.array(labels, dtype=np.int32)[arcs[:, 1]],
        transitions=arcs[:, 1].astype(np.int32),
    )


def require_sound(net: Net, graph: Reachability) -> None:
    """Refuse a net with a run that cannot end (MO203, MO204) or an element never passed (MO205).

    A graph that is not complete is only searched for a marking in which nothing moves (MO204).
    """
    if not graph.complete:
        raise_all(_stuck(net, graph, _standing(net, graph)))
        return
    alive = _can_finish(net, graph)
    if not alive[0]:
        raise _no_end(net, graph)
    fired = {move for _, move, _ in graph.arcs}
    raise_all(
        [
            *_stuck(net, graph, np.flatnonzero(~alive).tolist()),
            *never_passed((t.text for t in net.transitions), fired),
        ]
    )


def too_many_states(limit: str) -> CodedError:
    """Return the refusal of a model with more states than the limit says; MO202."""
    return CodedError(
        TOO_MANY_STATES,
        f"The model has more states than {limit}",
        why="Many parallel branches multiply each other's states",
        fix="Split the model, or put fewer activities on parallel branches",
    )


def unbounded(loop: str, places: str) -> CodedError:
    """Return the refusal of a model in which these steps can be repeated for ever more tokens."""
    return CodedError(
        "MO201",
        f"Tokens gather without end on {places}",
        why=f"Repeating {loop} adds a token every time, so the model has no end",
        fix="Join parallel branches with a parallel gateway before the flow goes back",
    )


def never_passed(texts: Iterable[str], fired: Iterable[int]) -> list[CodedError]:
    """Name the elements of which no move (each with its element's text) was ever made."""
    elements = list(texts)
    passed = {elements[move] for move in fired}
    return [
        CodedError(
            "MO205",
            f"No run of the model ever passes {text}",
            why="What it asks for can never happen together",
            fix="Check the gateways in front of it",
        )
        for text in dict.fromkeys(elements)
        if text not in passed
    ]


def run_words(labels: Iterable[tuple[str | None, str]]) -> str:
    """Name a run, given as (label, element), by its activities, or by its elements if silent."""
    run = list(labels)
    words = [f"'{label}'" for label, _ in run if label is not None] or [e for _, e in run]
    if len(words) > _SHOWN:
        words = ["…", *words[-_SHOWN:]]
    return ", ".join(words) or "the start"


@dataclass(frozen=True)
class _Step:
    """A transition ready to fire: what it needs as (place, tokens), and its two sides."""

    needs: tuple[tuple[int, int], ...]
    consumes: tuple[int, ...]
    produces: tuple[int, ...]

    @classmethod
    def of(cls, transition: Transition) -> _Step:
        needs = Counter(transition.consumes)
        return cls(tuple(needs.items()), transition.consumes, transition.produces)

    def fire(self, tokens: Tokens) -> Tokens:
        left = list(tokens)
        for place in self.consumes:
            left.remove(place)
        left += self.produces
        left.sort()
        return tuple(left)


class _Game:
    """The moves of a net; a transition is only looked at when its first place holds a token."""

    def __init__(self, net: Net) -> None:
        self.steps = [_Step.of(transition) for transition in net.transitions]
        self.by_place: dict[int, list[int]] = defaultdict(list)
        self.unconditional: list[int] = []
        for number, step in enumerate(self.steps):
            into = self.by_place[step.needs[0][0]] if step.needs else self.unconditional
            into.append(number)

    def moves(self, tokens: Tokens) -> Iterator[tuple[int, Tokens]]:
        near = (self.by_place.get(place, ()) for place in set(tokens))
        for number in sorted(chain(self.unconditional, *near)):
            step = self.steps[number]
            if all(tokens.count(place) >= n for place, n in step.needs):
                yield number, step.fire(tokens)


def _tokens(marking: Marking) -> Tokens:
    return tuple(place for place, n in enumerate(marking) for _ in range(n))


def _marking(tokens: Tokens, n_places: int) -> Marking:
    marking = [0] * n_places
    for place in tokens:
        marking[place] += 1
    return tuple(marking)


def _can_finish(net: Net, graph: Reachability) -> Bools:
    """Tell for each state whether the final marking can be reached from it.

    By hand: networkx.ancestors takes five times as long, most of it to build its graph.
    """
    alive = np.zeros(len(graph.states), dtype=np.bool_)
    before: list[list[int]] = [[] for _ in graph.states]
    for source, _, target in graph.arcs:
        before[target].append(source)
    final = graph.index.get(_tokens(net.final))
    todo = [] if final is None else [final]
    alive[todo] = True
    while todo:
        new = [state for state in set(before[todo.pop()]) if not alive[state]]
        alive[new] = True
        todo += new
    return alive


def _standing(net: Net, graph: Reachability) -> list[int]:
    """Return the explored states without a move that are not the end."""
    moving = {source for source, _, _ in graph.arcs}
    moving.add(graph.index.get(_tokens(net.final), -1))
    return [state for state in range(graph.n_expanded) if state not in moving]


def _no_end(net: Net, graph: Reachability) -> CodedError:
    stuck = _stuck(net, graph, list(range(len(graph.states))))
    return CodedError(
        "MO203", "No run of the model reaches its end", why=stuck[0].what, fix=_FIX_STUCK
    )


_FIX_STUCK = "Join with the same kind of gateway that split, and give every branch a way to an end"


def _stuck(net: Net, graph: Reachability, dead: Sequence[int]) -> list[CodedError]:
    """Name one of these markings without a way to the end: one where nothing moves if any."""
    if not dead:
        return []
    moving = {source for source, _, _ in graph.arcs}
    state = next((s for s in dead if s not in moving), dead[0])
    what = (
        f"After {_steps(net, graph.path(state))} the end cannot be reached: "
        f"waiting on {_places(net, sorted(set(graph.states[state])))}"
    )
    why = "Every trace through there would be reported as a deviation"
    return [CodedError("MO204", what, why=why, fix=_FIX_STUCK)]


def _places(net: Net, indices: Iterable[int]) -> str:
    return " and ".join(net.places[i] for i in indices) or "nothing"


def _steps(net: Net, transitions: Iterable[int]) -> str:
    steps = (net.transitions[i] for i in transitions)
    return run_words((t.label, t.text) for t in steps)
