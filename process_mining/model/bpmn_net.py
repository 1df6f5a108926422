"""Which runs does a BPMN process allow, as a Petri net?

After Dijkman, Dumas & Ouyang, Semantics and analysis of business process models in BPMN,
Information and Software Technology 50(12), 2008; clauses are of BPMN 2.0.2 (OMG formal/2013-12-09).

    sequence flow        a place
    start event          the first tokens: one on each flow out of it; of several start events one
                         is chosen (13.2); without any, all nodes without a flow in begin together
    task                 a transition with its name as label, one for each flow into it (several
                         flows in: each token starts the task), producing on every flow out of it
    exclusive gateway    a silent transition for each pair of a flow in and a flow out
    event-based gateway  the same: what happens first decides
    parallel gateway     one silent transition from all flows in to all flows out
    inclusive gateway    splits to any set of its flows but the empty one, or to its default alone;
                         joins as `game.Join` says. An activity with conditional flows out splits
                         like it, besides its flows without condition
    intermediate event   a silent transition: what happens between pools or in time leaves no event
                         in a log; a link event is a flow to its other end
    end event            a silent transition that consumes; terminate takes all tokens of its scope
                         away (13.5.6), an error or cancellation also completes nothing: it goes to
                         the nearest border or event sub-process that catches it; caught nowhere it
                         ends the whole process (10.5.3 leaves that open)
    escalation           caught like an error, but what threw it goes on
    sub-process, expanded call activity
                         its own net, explored to a life (`game.py`), which is put in as a state
                         machine; completed when no token is left (13.3.4)
    boundary event       `lives.with_border`. What it waits for may come at any time while the
                         activity is active. One that does not interrupt happens as often as it
                         likes, but not while its own flow is still under way, where that flow keeps
                         to itself, in sequence, up to end events; otherwise, and for a timer that
                         does not repeat, once in the life of its activity
    event sub-process    the same for its scope (13.5.4): an interrupting one takes the scope's
                         tokens away; another one may begin again when it is over
    loop, instances      `lives.repeated`

A scope with steps that no plain net has (see `game.py`) is explored and put in as a life; with
never more than one token in it, it has none. The final marking is the one without tokens, but
for the permits of events that do not interrupt.

Conditions are not read: where data decides every way may be taken. What is caught or thrown
between pools may happen at any time.

Complexity: linear in the elements but for what lives and inclusive splits count out; STATES,
STEPS and BRANCHES bound those (MO121, MO118, MO122).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError, raise_all
from process_mining.model.bpmn import (
    BOUNDARY,
    CYCLE,
    END,
    ENDING,
    EVENT_BASED,
    EXCLUSIVE,
    INCLUSIVE,
    PARALLEL,
    START,
    THROW,
    THROWN,
    throws_link,
)
from process_mining.model.bpmn_checks import check
from process_mining.model.game import DONE, Budget, Game, Join, Step, machine, one_token
from process_mining.model.lives import catches, once, repeated, with_border

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from process_mining.model.bpmn import Node, Process, Scope
    from process_mining.model.game import Arc, Life
    from process_mining.model.net import Net
    from process_mining.model.reach import Tokens

STATES: Final = 20_000
STEPS: Final = 200_000
BRANCHES: Final = 10
_PAIRS: Final = 64


def to_net(process: Process) -> Net:
    """Check a process and translate it to a Petri net; nodes in the order of the file."""
    raise_all(check(process))
    context = _Context(process.place, Budget(STATES))
    game = one_token(_whole(_Builder(process.scope, context).game()))
    return game.net() if game.is_plain else machine(game.life(context.budget))


def _whole(game: Game) -> Game:
    """Return the game of a process: nothing surrounds it that could catch what it throws."""
    steps = (
        replace(step, leaves=False, cancels=True, produces=_opened(game)) if step.leaves else step
        for step in game.steps
    )
    return replace(game, steps=tuple(steps))


def _opened(game: Game) -> Tokens:
    """Return the idle tokens that a cancelling step has to put back."""
    return tuple(place for place in game.idle if place not in game.stays)


@dataclass(eq=False)
class _Context:
    """What all scopes of one translation share."""

    place: str
    budget: Budget
    n_steps: int = 0

    def count(self, n: int, text: str) -> None:
        """Count steps; MO118 when there are too many."""
        self.n_steps += n
        if self.n_steps > STEPS:
            raise CodedError(
                "MO118",
                f"{self.place}: the model grows to more than {STEPS:,} steps, in {text}",
                why="What is called several times, or repeated, is counted as often",
                fix="Leave out levels or border events, or audit the called processes one by one",
            )

    def require_room(self, node: Node, states: int, once_only: int, events: int) -> None:
        """Refuse an activity with more border events than can be counted out; MO121."""
        if once_only > BRANCHES or (states << once_only) * (events + 1) > STEPS:
            raise CodedError(
                "MO121",
                f"{self.place}, line {node.line}: {node.text} has {events} border events; with "
                "what may go on inside there are too many states",
                fix="Leave out border events that have no part in the order of work",
            )


@dataclass(eq=False)
class _Builder:
    """Builds the game of one scope. Place i is flow i; other places follow as they are needed.

    `entry`: the places in front of nodes that begin the scope without a flow. `inside`: those
    within nodes. `permits`: one for each event that does not interrupt and may happen again;
    `own_ways`: the permit that the last step on an event's own way gives back, by the nodes there.
    `opened`: the place whose token says that no event sub-process has interrupted the scope.
    """

    scope: Scope
    context: _Context
    places: list[str] = field(default_factory=list)
    entry: dict[str, int] = field(default_factory=dict)
    inside: dict[str, list[int]] = field(default_factory=dict)
    permits: dict[str, int] = field(default_factory=dict)
    own_ways: dict[str, int] = field(default_factory=dict)
    handlers: dict[str, Life] = field(default_factory=dict)
    caught: set[str] = field(default_factory=set)
    opened: Tokens = ()

    def game(self) -> Game:
        """Translate the scope."""
        for flow in self.scope.flows:
            source, target = self.scope.nodes[flow.source], self.scope.nodes[flow.target]
            self.place(f"flow '{flow.id}' from {source.text} to {target.text}")
        initial = self.begin()
        self.prepare_handlers()
        self.prepare_permits()
        # inclusive joins ask for places inside activities, event sub-processes for what is thrown
        order = sorted(self.scope.nodes.values(), key=lambda n: 2 * n.by_event + self.joins(n))
        steps = {node.id: self.count(node, self.node(node)) for node in order}
        stays = tuple(sorted(self.permits.values()))
        return Game(
            text=self.scope.text,
            places=tuple(self.places),
            steps=tuple(step for node in self.scope.nodes for step in steps[node]),
            initial=tuple(sorted((*initial, *self.opened, *stays))),
            idle=tuple(sorted((*self.opened, *stays))),
            stays=stays,
        )

    def place(self, text: str) -> int:
        """Make a new place."""
        self.places.append(text)
        return len(self.places) - 1

    def count(self, node: Node, steps: Iterable[Step]) -> list[Step]:
        """Take a node's steps, as many as a model may have; the last ones give permits back."""
        found = []
        for step in steps:
            self.context.count(1, self.scope.text)
            over = not (step.produces or step.cancels or step.leaves)
            back = self.returned(node, step) if over else ()
            found.append(replace(step, produces=back) if back else step)
        return found

    def returned(self, node: Node, step: Step) -> Tokens:
        """Return the permit that a token gives back when it ends, if it is on an own way."""
        into = step.consumes[0] if node.kind == END else len(self.scope.flows)
        here = self.scope.flows[into].source if into < len(self.scope.flows) else node.id
        return (self.own_ways[here],) if here in self.own_ways else ()

    # --- beginning

    def begin(self) -> Tokens:
        """Return the first tokens, and set the choice between several beginnings."""
        starters = self.scope.starters
        if not starters:
            for node in self.scope.loose:
                self.entry[node.id] = self.place(f"the beginning of {node.text}")
            return tuple(self.entry.values())
        first = self.scope.outgoing[starters[0].id]
        if len(starters) == 1 and starters[0].kind == START and first:
            return first
        begun = self.place(f"the beginning of {self.scope.text}")
        self.entry = {node.id: begun for node in starters}
        return (begun,)

    def ins(self, node: Node) -> Tokens:
        """Return the places in front of a node."""
        entry = self.entry.get(node.id)
        return self.scope.incoming[node.id] if entry is None else (entry,)

    def ways(self, node: Node) -> list[Tokens]:
        """Return the sets of flows on which a node may go on, one of them each time."""
        outs = self.scope.outgoing[node.id]
        if throws_link(node):
            return self.ways(self.scope.links[node.triggers[0].ref])
        if not outs or node.kind in {EXCLUSIVE, EVENT_BASED}:
            return [(out,) for out in outs] or [()]
        default = [i for i in outs if self.scope.flows[i].id == node.default]
        if node.kind == INCLUSIVE:
            return self.subsets(node, [i for i in outs if i not in default], default)
        chosen = [i for i in outs if self.scope.flows[i].conditional and i not in default]
        if not node.is_activity or not chosen:
            return [outs]
        always = tuple(i for i in outs if i not in chosen and i not in default)
        none: list[Tokens] = [()] if always and not default else []
        return [(*always, *way) for way in [*none, *self.subsets(node, chosen, default)]]

    def subsets(self, node: Node, flows: list[int], default: list[int]) -> list[Tokens]:
        """Return every set of these flows but the empty one, and the default alone; MO122."""
        if len(flows) > BRANCHES:
            raise CodedError(
                "MO122",
                f"{self.context.place}, line {node.line}: {node.text} may choose any of "
                f"{len(flows)} flows out of it",
                why=f"Of more than {BRANCHES} there are too many combinations",
                fix="Use an exclusive gateway, or two inclusive ones in a row",
            )
        sizes = range(1, len(flows) + 1)
        found = [way for size in sizes for way in combinations(flows, size)]
        return [*found, tuple(default)] if default else found

    # --- events and gateways

    def node(self, node: Node) -> Iterable[Step]:
        """Translate one node by the table at the head of this module."""
        if node.by_event:
            return self.handler(node)
        if node.is_activity:
            return self.activity(node)
        if node.kind == PARALLEL:
            return [_step(node, self.ins(node), way) for way in self.ways(node)]
        return self.join(node) if self.joins(node) else self.passing(node)

    def passing(self, node: Node) -> list[Step]:
        """Translate an event, or a gateway that never waits."""
        if node.kind == BOUNDARY or (node.kind == START and node.id not in self.entry):
            return []
        passes = self.passes(node)
        if node.kind == END and node.has("terminate"):
            return [replace(step, cancels=True, produces=self.opened) for step in passes]
        if node.has(*THROWN) and node.kind in {END, THROW}:
            trigger = node.triggers[0]
            lost = trigger.kind in ENDING
            return [self.thrown(replace(s, leaves=lost, throws=trigger)) for s in passes]
        return passes

    def passes(self, node: Node, label: str | None = None) -> list[Step]:
        """From each place in front of a node to each way behind it."""
        ins, ways = self.ins(node), self.ways(node)
        if min(len(ins), len(ways)) > 1 and len(ins) * len(ways) > _PAIRS:
            middle = self.place(f"the middle of {node.text}")
            self.inside[node.id] = [middle]
            into = [_step(node, (i,), (middle,), label) for i in ins]
            return [*into, *(_step(node, (middle,), way) for way in ways)]
        return [_step(node, (i,), way, label) for i in ins for way in ways]

    def thrown(self, step: Step) -> Step:
        """Let an event sub-process of the scope catch what a step throws; else it goes further."""
        for node in self.scope.event_scopes:
            if catches(_start_of(node), step):
                self.caught.add(node.id)
                first = self.inside[node.id][0]
                if _interrupts(node):
                    return replace(step, cancels=True, leaves=False, throws=None, produces=(first,))
                return replace(step, throws=None, produces=(*step.produces, first))
        return step

    def joins(self, node: Node) -> bool:
        """Whether a node is an inclusive gateway that may have to wait."""
        return node.kind == INCLUSIVE and len(self.ins(node)) > 1

    def join(self, node: Node) -> list[Step]:
        """Translate an inclusive join: from where may a token come to each flow into it?"""
        join = Join({place: frozenset(self.upstream(node, place)) for place in self.ins(node)})
        return [replace(_step(node, (), way), join=join) for way in self.ways(node)]

    def upstream(self, gateway: Node, flow: int) -> Iterator[int]:
        """Yield the places from which a flow can be reached without passing the gateway."""
        yield flow
        todo = [self.scope.flows[flow].source]
        seen = {gateway.id, *todo}
        while todo:
            node = todo.pop()
            if node != gateway.id:
                yield from self.ins(self.scope.nodes[node])
                yield from self.inside.get(node, ())
                todo += [near for near in self.scope.before[node] if near not in seen]
                seen.update(self.scope.before[node])

    # --- activities

    def activity(self, node: Node) -> Iterable[Step]:
        """A task is a transition; what has states of its own is put in as a state machine."""
        events = self.scope.boundary[node.id]
        if node.body is None and node.repeat is None and not events:
            return self.passes(node, node.name)
        life = self.life(node)
        if node.repeat is not None:
            life = repeated(life, node, node.repeat, self.context.budget)
        quiet = [event for event in events if not event.interrupting]
        again = [event for event in quiet if event.id in self.permits]
        once_only = [event for event in quiet if event.id not in self.permits]
        self.context.require_room(node, len(life.states), len(once_only), len(events))
        life = with_border(life, [event for event in events if event not in again], once_only)
        spots = self.spots(node, life)
        return [
            *(_step(node, (i,), (spots[0],)) for i in self.ins(node)),
            *(step for arc in life.arcs for step in self.arc(node, arc)),
            *(self.again(event, spot) for event in again for spot in spots),
        ]

    def life(self, node: Node) -> Life:
        """The life of an activity done once, without its border."""
        if node.body is None:
            return once(node, lasts=bool(self.scope.boundary[node.id]))
        return _Builder(node.body, self.context).game().life(self.context.budget)

    def spots(self, node: Node, life: Life) -> list[int]:
        """Make a place for every state of a life."""
        self.inside[node.id] = [
            self.place(f"{node.text}, state {i}: {text}") for i, text in enumerate(life.states)
        ]
        return self.inside[node.id]

    def arc(self, node: Node, arc: Arc) -> Iterator[Step]:
        """One arc of an activity's life; one that completes it, once for each way behind it."""
        border = {event.id for event in self.scope.boundary[node.id]}
        spawned = [i for event in arc.spawns for i in self.scope.outgoing[event]]
        for way in self.ways(node) if arc.target == DONE else [()]:
            step = self.part(node, arc, (*way, *spawned))
            step = replace(step, name=arc.name) if arc.name in border else step
            yield self.thrown(step)

    def part(self, node: Node, arc: Arc, after: Tokens) -> Step:
        """One arc of a life as a step; `after`: the places it leads to besides the next state."""
        spots = self.inside[node.id]
        return Step(
            name=node.id if node.body is None else f"{node.id}/{arc.name}",
            label=arc.label,
            element=arc.element,
            consumes=(spots[arc.source],),
            produces=(spots[arc.target], *after) if arc.target >= 0 else after,
            leaves=arc.throws is not None and arc.throws.kind in ENDING,
            throws=arc.throws,
        )

    # --- events that do not interrupt

    def prepare_permits(self) -> None:
        """Find the border events that may happen again, and what gives their permits back."""
        for events in self.scope.boundary.values():
            for event in events:
                way = set() if event.interrupting or event.has(*THROWN) else self.own_way(event)
                if way:
                    self.permits[event.id] = self.place(f"{event.text} may happen")
                    self.own_ways |= dict.fromkeys(way, self.permits[event.id])

    def own_way(self, event: Node) -> set[str]:
        """Return the event and what is behind it but ends, when its token keeps to that; or none.

        Ends may be shared: a token that comes to one is over, whoever else comes there.
        """
        if event.triggers and all(t.kind == "timer" and t.ref != CYCLE for t in event.triggers):
            return set()
        found = {event.id}
        todo = [event.id]
        while todo:
            new = [n for n in self.scope.after(self.scope.nodes[todo.pop()]) if n not in found]
            found.update(new)
            todo += new
        nodes = [self.scope.nodes[n] for n in found if self.scope.nodes[n].kind != END]
        behind = [node for node in nodes if node is not event]
        entered = any(not found.issuperset(self.scope.before[node.id]) for node in behind)
        forks = any(len(way) > 1 for node in nodes for way in self.ways(node))
        sends = any(
            node.has("escalation") or (node.kind == BOUNDARY and not node.interrupting)
            for node in behind
        )
        leads = bool(self.scope.outgoing[event.id])
        return {node.id for node in nodes} if leads and not (entered or forks or sends) else set()

    def again(self, event: Node, spot: int) -> Step:
        """A border event that happens with a permit, which its last step gives back."""
        return _step(event, (spot, self.permits[event.id]), (spot, *self.scope.outgoing[event.id]))

    # --- event sub-processes

    def prepare_handlers(self) -> None:
        """Make room for the event sub-processes, so that what is thrown can lead there."""
        for node in self.scope.event_scopes:
            self.handlers[node.id] = self.life(node)
            self.spots(node, self.handlers[node.id])
        if self.handlers:
            self.opened = (self.place(f"{self.scope.text} is not interrupted"),)

    def handler(self, node: Node) -> Iterator[Step]:
        """An event sub-process begins when it is triggered, while its scope is active."""
        first = self.inside[node.id][0]
        back = self.opened if _interrupts(node) else ()
        if node.id not in self.caught and _interrupts(node):
            yield replace(_step(node, self.opened, (first,)), cancels=True)
        elif node.id not in self.caught:
            permit = self.permits[node.id] = self.place(f"{node.text} may begin")
            back = (permit,)
            yield _step(node, (*self.opened, permit), (*self.opened, first))
        for arc in self.handlers[node.id].arcs:
            yield self.part(node, arc, back if arc.target == DONE else ())


def _step(node: Node, consumes: Tokens, produces: Tokens, label: str | None = None) -> Step:
    return Step(node.id, label, node.text, consumes, produces)


def _interrupts(event_scope: Node) -> bool:
    """Whether an event sub-process stops its scope; for an error it always does (10.5.2)."""
    start = _start_of(event_scope)
    return start.interrupting or start.has(*ENDING)


def _start_of(event_scope: Node) -> Node:
    """Return the start event of an event sub-process; `bpmn_checks` saw that there is one."""
    nodes = event_scope.body.nodes.values() if event_scope.body else ()
    return next(node for node in nodes if node.kind == START)
