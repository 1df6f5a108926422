"""What can go on inside one instance of a process or activity?

A `Game` moves tokens as a Petri net does, with three more kinds of step, which a plain net does
not have because they look at more than the places beside them:

    cancels    all other tokens are taken away (terminate, an interrupting event sub-process)
    leaves     the same, and the instance is over without having been completed (an error)
    join       an inclusive gateway waits for every token that may still come to it

An instance is completed when only its `idle` tokens are left. `life` explores a game into a
`Life`: the instance's states and the arcs between them. Put into a net, a life is a state machine
with one place a state, so cancelling an instance is one plain transition from each of its states,
two instances never mix, and no net that leaves this package needs more than plain arcs.

The inclusive join is that of BPMN 2.0.2, 13.4.3: it happens when a flow into it has a token, and
no token lies anywhere from where it could come to an empty flow into it, without passing the
gateway, unless it could just as well come to one that has a token. Read here of a token inside an
activity as of one on the flows out of it.

Complexity: that of `reach.search`. A game without the three is a net: gathering tokens are proven
(MO201). With them it is undecidable whether the states come to an end (Dufourd, Finkel &
Schnoebelen, Reset nets between decidability and undecidability, ICALP 1998), so there only the
budget of states stops the search (MO121).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError, raise_all
from process_mining.model.automaton import never_passed, run_words, unbounded
from process_mining.model.net import Net, Transition
from process_mining.model.reach import search

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from process_mining.model.bpmn import Trigger
    from process_mining.model.reach import Reachability, Tokens

DONE: Final = -1
LEFT: Final = -2
_OVER: Final = (-1,)
_MAX_TEXT: Final = 400


@dataclass(frozen=True)
class Join:
    """The flows into an inclusive gateway, each with the places from which a token may come."""

    upstream: Mapping[int, frozenset[int]]

    def takes(self, tokens: Tokens) -> Tokens:
        """Return the places to take a token from; none while the gateway waits."""
        held = set(tokens)
        marked = [place for place in self.upstream if place in held]
        empty = [place for place in self.upstream if place not in held]
        coming = {token for token in held if any(token in self.upstream[p] for p in empty)}
        waits = any(not any(token in self.upstream[place] for place in marked) for token in coming)
        return () if waits else tuple(marked)


@dataclass(frozen=True)
class Step:
    """One step of a game, from places to places; `name` says which node's step it is.

    `throws` is told to what surrounds the instance.
    """

    name: str
    label: str | None
    element: str
    consumes: Tokens
    produces: Tokens
    cancels: bool = False
    leaves: bool = False
    throws: Trigger | None = None
    join: Join | None = None


@dataclass(frozen=True)
class Arc:
    """One arc of a life, to a state, DONE or LEFT; `spawns`: border events whose flows begin."""

    source: int
    target: int
    name: str
    label: str | None
    element: str
    throws: Trigger | None = None
    spawns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Life:
    """The states of an instance (each in words) and the arcs between them; it begins in state 0."""

    states: tuple[str, ...]
    arcs: tuple[Arc, ...]


@dataclass(eq=False)
class Budget:
    """How many states all lives of a model may still have."""

    states: int


@dataclass(frozen=True, eq=False)
class Game:
    """Places in words, steps in a fixed order, the tokens at first and those of no importance.

    `stays` are the idle tokens that a cancelling step leaves where they were.
    """

    text: str
    places: tuple[str, ...]
    steps: tuple[Step, ...]
    initial: Tokens
    idle: Tokens = ()
    stays: Tokens = ()

    @property
    def is_plain(self) -> bool:
        """Whether it is a Petri net: every step looks only at the places beside it."""
        return not any(step.cancels or step.leaves or step.join for step in self.steps)

    def net(self) -> Net:
        """Return a plain game as a net."""
        return Net(
            places=self.places,
            transitions=_transitions(self.steps),
            initial=_marking(self.initial, len(self.places)),
            final=_marking(self.idle, len(self.places)),
        )

    def life(self, budget: Budget) -> Life:
        """Explore all states; MO121 over the budget, MO201 unbounded, MO205 a dead step."""
        plain = self.is_plain
        graph = search(self.initial, self.moves, budget=budget.states, stop_at_cover=plain)
        if plain and graph.cover is not None:
            raise unbounded(*self._growth(graph))
        if not graph.complete:
            raise self._too_large(graph)
        fired = {move for _, move, _ in graph.arcs}
        raise_all(never_passed((step.element for step in self.steps), fired))
        budget.states -= len(graph.states)
        return self._life(graph)

    def moves(self, tokens: Tokens) -> Iterator[tuple[int, Tokens]]:
        """Yield every step that can be made, and what it leads to; none once it is over."""
        if tokens in {self.idle, _OVER}:
            return
        held = Counter(tokens)
        for number in sorted({n for place in held for n in self._near.get(place, ())}):
            step = self.steps[number]
            takes = step.join.takes(tokens) if step.join else step.consumes
            if takes and all(held[place] >= n for place, n in Counter(takes).items()):
                yield number, self._after(tokens, takes, step)

    @cached_property
    def _near(self) -> Mapping[int, Sequence[int]]:
        """The steps to look at when a place holds a token."""
        near: dict[int, list[int]] = defaultdict(list)
        for number, step in enumerate(self.steps):
            for place in step.join.upstream if step.join else step.consumes[:1]:
                near[place].append(number)
        return near

    def _after(self, tokens: Tokens, takes: Tokens, step: Step) -> Tokens:
        if step.leaves:
            return _OVER
        left = list(self.stays if step.cancels else tokens)
        if not step.cancels:
            for place in takes:
                left.remove(place)
        return tuple(sorted((*left, *step.produces)))

    def _life(self, graph: Reachability) -> Life:
        """Number the states that are not an end, in the order in which they were met."""
        ends = {self.idle: DONE, _OVER: LEFT}
        lasting = [state for state in graph.states if state not in ends]
        number = {state: i for i, state in enumerate(lasting)} | ends
        arcs = []
        for source, move, target in graph.arcs:
            step = self.steps[move]
            ids = (number[graph.states[source]], number[graph.states[target]])
            arcs.append(Arc(*ids, step.name, step.label, step.element, step.throws))
        return Life(tuple(map(self._words, lasting)), tuple(arcs))

    def _words(self, tokens: Iterable[int]) -> str:
        text = " and ".join(self.places[i] for i in tokens)
        return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"

    def _growth(self, graph: Reachability) -> tuple[str, str]:
        loop, grown = graph.loop()
        steps = (self.steps[i] for i in loop)
        return run_words((s.label, s.element) for s in steps), self._words(grown)

    def _too_large(self, graph: Reachability) -> CodedError:
        why = "What stops it, or joins it, depends on all its tokens, so its states are counted out"
        if graph.cover is not None:
            loop, places = self._growth(graph)
            why = f"Repeating {loop} adds a token on {places} every time"
        return CodedError(
            "MO121",
            f"{self.text} has more than {graph.limit:,} states",
            why=why,
            fix="Put less on parallel branches in it, or do without inclusive joins, terminate "
            "events, event sub-processes and border events there",
        )


def machine(life: Life) -> Net:
    """Return a life as a net of its own: one token, which is gone at the end."""
    steps = [
        Step(
            arc.name,
            arc.label,
            arc.element,
            (arc.source,),
            () if arc.target < 0 else (arc.target,),
        )
        for arc in life.arcs
    ]
    game = Game(
        text="",
        places=tuple(f"state {i}: {text}" for i, text in enumerate(life.states)),
        steps=tuple(steps),
        initial=(0,),
    )
    return game.net()


def one_token(game: Game) -> Game:
    """Return the plain game that this one is if it never holds two tokens; else itself.

    With a single token nothing is left to cancel, and an inclusive gateway never waits.
    """
    if len(game.initial) > 1 or game.idle or any(len(s.produces) > 1 for s in game.steps):
        return game
    steps = [
        replace(step, consumes=takes, join=None, cancels=False)
        for step in game.steps
        for takes in ([(place,) for place in step.join.upstream] if step.join else [step.consumes])
    ]
    return replace(game, steps=tuple(steps))


def _transitions(steps: Sequence[Step]) -> tuple[Transition, ...]:
    """Name each step by its node, with a number where the node has several."""
    count = Counter(step.name for step in steps)
    seen: Counter[str] = Counter()
    found = []
    for step in steps:
        name = step.name if count[step.name] == 1 else f"{step.name}#{seen[step.name]}"
        seen[step.name] += 1
        found.append(Transition(name, step.label, step.consumes, step.produces, step.element))
    return tuple(found)


def _marking(tokens: Tokens, n_places: int) -> tuple[int, ...]:
    held = Counter(tokens)
    return tuple(held[place] for place in range(n_places))
