"""How far is a trace from a model whose states are too many to be listed?

`AStar` searches the synchronous product of the net and the trace itself, state (marking, events
done), and never needs the model's automaton: a marking is explored where a search first comes to
it, and kept for the traces after it. The cost is that of `process_mining.alignment`: log moves and
model moves by their weights, synchronous and silent moves free. With `prefix` the run may stop
anywhere from where the end can be reached; `completion` is a cheapest way there.

The bound on what is still to pay is the sum of what small parts of the net, each with its share of
the weights, would have to pay by themselves (`machines.py`): whole numbers from beginning to end,
rounded up to the next possible cost, so that no floating point can make the bound too high, as it
could with a state equation solved by an LP. It is consistent: no state is expanded twice. Where a
search is not over in about the time that it takes, the shares are worked out anew for the trace.

Eager silent moves. A silent transition that alone consumes from its input places, one of which is
empty in the final marking, fires in every run from where it is enabled to the end, and firing it
at once takes no token from any other. So it is fired at once, unless such transitions feed each
other in a circle.

Order: lowest bound first, among equals the newest (depth first); of one state's moves first the
synchronous, then silent and model moves, then the log move, later transitions of the net before
earlier ones. The same trace on the same net gives the same result, whatever was searched before.

Over `budget` states met the search stops: `lower` is then the lowest bound in the queue, `upper`
the cost of a real alignment: the cheapest found by searches that expand at most LAYER_WIDTH states
for each number of events done, or all events as log moves beside a run of the model. MO320 when no
run is found at all.

Complexity: exponential in the worst case; O(length x enabled transitions) states where the bound
is exact, as it is for parallel branches that do not depend on each other.

Sources: Hart, Nilsson & Raphael, A formal basis for the heuristic determination of minimum cost
paths, IEEE TSSC 4(2), 1968; Adriansyah, Aligning Observed and Modeled Behavior, PhD thesis, TU
Eindhoven, 2014. Departure: van Dongen, Efficiently computing alignments, BPM 2018, bounds by the
marking equation, which does not see the order of events in a branch.
Not checked: that the net is bounded. The budget ends the search of one that is not, and a marking
with more tokens on a place than its field holds is left out, which lowers `lower` where it counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import getitem
from typing import TYPE_CHECKING

from process_mining.alignment.components import components
from process_mining.alignment.kernel import MoveKind
from process_mining.alignment.machines import (
    LOG,
    MODEL,
    UNIT,
    UNREACHABLE,
    Distances,
    Machine,
    Operation,
    agreed_shares,
    first_shares,
)
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from process_mining.model import Marking, Net

SEARCH_BUDGET = 400_000
QUICK_BUDGET = 50_000
QUICK_WEIGHTS = (1, 3)
LAYER_WIDTH = 100
AGREE_AFTER = 3_000
AGREE_AFTER_EACH = 100
MARKINGS_KEPT = 200_000
FIELD_BITS = 8
NOTHING = -1
NO_COST = 1 << 62

# kind (MoveKind), index of the transition or NOTHING, index of the event or NOTHING
Step = tuple[int, int, int]


@dataclass(frozen=True)
class Found:
    """The cost lies between the bounds, both included; `moves` cost `upper`.

    `completion`: for a prefix, the transitions of a cheapest way from there to the end.
    """

    lower: int
    upper: int
    moves: tuple[Step, ...]
    completion: tuple[int, ...] = ()


class AStar:
    """Searches alignments of one net, one trace at a time, and keeps what it has explored."""

    def __init__(
        self,
        net: Net,
        *,
        log_weights: Mapping[str, int],
        model_weights: Sequence[int],
        budget: int = SEARCH_BUDGET,
    ) -> None:
        """Prepare a net; weights are whole numbers of at least 0.

        `log_weights` names every activity that a trace may hold, `model_weights` has one weight a
        transition, 0 for silent ones.
        """
        self.net, self.budget = net, budget
        self.log_weights = dict(log_weights)
        self.model_weights = tuple(model_weights)
        self.weights: dict[Operation, int] = {
            (LOG, label): weight for label, weight in self.log_weights.items()
        }
        self.weights |= {(MODEL, t): weight for t, weight in enumerate(self.model_weights)}
        self.machines = [Machine.of(net, places) for places in components(net)]
        shares = first_shares(self.machines, self.weights)
        self.distances = [
            Distances(machine, share) for machine, share in zip(self.machines, shares, strict=True)
        ]
        self.labels = frozenset(net.activities)
        self.space = _Space(net, self.machines)

    def search(self, trace: Sequence[str], *, prefix: bool = False) -> Found:
        """Return an optimal alignment of a trace, or bounds where the budget is spent."""
        if len(self.space.markings) > MARKINGS_KEPT:
            self.space = _Space(self.net, self.machines)
        task = self._task(self.distances, trace, prefix=prefix)
        seen = sum(len(self._seeing(label)) for label in trace)
        outcome = self._explore(task, min(self.budget, max(AGREE_AFTER, AGREE_AFTER_EACH * seen)))
        if outcome.goal is None and not outcome.over:
            task = self._agreed(task)
            outcome = self._explore(task, self.budget)
        if outcome.goal is not None:
            return self._found(task, outcome, outcome.bound)
        if outcome.over:
            raise _no_run(f"all {len(outcome.came):,} states were searched")
        return min(self._alignments(task, outcome.bound), key=lambda found: found.upper)

    def _agreed(self, task: _Task) -> _Task:
        """Share the weights anew for this trace; keep the old shares where that is no gain."""
        trace = [label for label in task.trace if label in self.labels]
        distances = agreed_shares(self.machines, self.weights, trace, prefix=task.prefix)
        agreed = self._task(distances, task.trace, prefix=task.prefix)
        start = self.space.start
        return max(task, agreed, key=lambda one: one.remaining(0, self.space.states[start]))

    def _task(self, distances: Sequence[Distances], trace: Sequence[str], *, prefix: bool) -> _Task:
        """Work out every machine's row before each event, from the last to the first."""
        rows = [one.prefix if prefix else one.whole for one in distances]
        values = [one.values[row] for one, row in zip(distances, rows, strict=True)]
        foreign = 0
        bounds = [(list(values), foreign)]
        for label in reversed(trace):
            if label not in self.labels:
                foreign += self.log_weights[label] * UNIT
            for i in self._seeing(label):
                rows[i] = distances[i].before(rows[i], label)
                values[i] = distances[i].values[rows[i]]
            bounds.append((list(values), foreign))
        log = [self.log_weights[label] for label in trace]
        return _Task(tuple(trace), log, self.model_weights, prefix, bounds[::-1])

    def _seeing(self, label: str) -> list[int]:
        return [i for i, machine in enumerate(self.machines) if label in machine.sync]

    def _explore(
        self, task: _Task, budget: int, *, weight: int = 1, width: int = NO_COST
    ) -> _Outcome:
        ends = self._ends if task.prefix else self.space.is_final
        return _explore(self.space, task, self.space.start, ends, budget, weight, width)

    def _ends(self, number: int) -> bool:
        return self._completion(number) is not None

    def _completion(self, number: int) -> tuple[int, ...] | None:
        """Return the transitions of a cheapest way from a marking to the end, None without one.

        Over the budget any way will do; where none was found either, the marking counts as cut.
        """
        space = self.space
        if number not in space.completions:
            task = self._task(self.distances, (), prefix=False)
            for weight in (1, *QUICK_WEIGHTS):
                run = _explore(space, task, number, space.is_final, QUICK_BUDGET, weight, NO_COST)
                if run.goal is not None or run.over:
                    break
            else:
                space.cut.add(number)
            steps = None if run.goal is None else _read_back(space, 1, run)
            space.completions[number] = None if steps is None else tuple(t for _, t, _ in steps)
        return space.completions[number]

    def _alignments(self, task: _Task, bound: int) -> list[Found]:
        """Real alignments found quickly, and one with every event apart."""
        quick = [
            self._explore(task, self.budget, weight=weight, width=LAYER_WIDTH)
            for weight in QUICK_WEIGHTS
        ]
        found = [self._found(task, run, bound) for run in quick if run.goal is not None]
        run = self._completion(self.space.start)
        if run is not None:
            found.append(self._apart(task, run, bound))
        if not found:
            raise _no_run(f"a budget of {self.budget:,} states was spent")
        return found

    def _apart(self, task: _Task, run: tuple[int, ...], bound: int) -> Found:
        """All events as log moves, then a run of the model."""
        log = [(int(MoveKind.LOG), NOTHING, k) for k in range(len(task.trace))]
        begun = [_silent(t) for t in self.space.begun]
        if task.prefix:
            return Found(bound, sum(task.log), (*begun, *log), run)
        steps = [
            _silent(t)
            if self.net.transitions[t].label is None
            else (int(MoveKind.MODEL), t, NOTHING)
            for t in run
        ]
        upper = sum(task.log) + sum(self.model_weights[t] for t in run)
        return Found(bound, upper, (*begun, *log, *steps))

    def _found(self, task: _Task, outcome: _Outcome, bound: int) -> Found:
        assert outcome.goal is not None  # noqa: S101 - for the type checker
        width = len(task.trace) + 1
        steps = [_silent(t) for t in self.space.begun]
        steps += _read_back(self.space, width, outcome)
        completion = self._completion(outcome.goal // width) if task.prefix else ()
        return Found(bound, outcome.cost, tuple(steps), completion or ())


@dataclass(frozen=True)
class _Task:
    """One trace to align: weights of its moves, and what the machines say after k events.

    bounds[k] = (each machine's distances from its states, log weights of events the net lacks).
    """

    trace: tuple[str, ...]
    log: list[int]
    model: Sequence[int]
    prefix: bool
    bounds: list[tuple[list[list[int]], int]]

    def remaining(self, k: int, states: tuple[int, ...]) -> int:
        """Return the bound on the cost of what is left after k events."""
        values, foreign = self.bounds[k]
        return -((-foreign - sum(map(getitem, values, states))) // UNIT)


@dataclass(frozen=True)
class _Outcome:
    """How a search ended: at a goal, with nothing left (`over`), or over its budget.

    States are numbered marking x (length + 1) + events done; `came` holds for each the state
    before, the kind of the move, and its transition. No way costs less than `bound`.
    """

    goal: int | None
    cost: int
    bound: int
    over: bool
    came: dict[int, tuple[int, int, int]]


class _Space:
    """The markings that searches have come to, and what fires there, explored when asked.

    A marking is one integer with a field of bits for each place; the highest bit of a field is
    kept free, so that one subtraction tells for all places whether there are enough tokens.
    """

    def __init__(self, net: Net, machines: Sequence[Machine]) -> None:
        """Begin with the initial marking."""
        most = max(*net.initial, *net.final, 0)
        self.bits = max(FIELD_BITS, most.bit_length() + 2)
        self.net = net
        self.guard = sum(1 << (self.bits * (place + 1) - 1) for place in range(len(net.places)))
        self.needs = [self._pack_places(t.consumes) for t in net.transitions]
        self.change = [
            self._pack_places(t.produces) - need
            for t, need in zip(net.transitions, self.needs, strict=True)
        ]
        self.seen_by = [
            [(i, machine.arcs[t][1]) for i, machine in enumerate(machines) if t in machine.arcs]
            for t in range(len(net.transitions))
        ]
        self.eager_after = _eager_after(net)
        self.chains: dict[tuple[int, int], list[int]] = {}
        self.markings: list[int] = []
        self.states: list[tuple[int, ...]] = []
        self.index: dict[int, int] = {}
        self.moves: list[tuple[tuple[int, int, str | None], ...] | None] = []
        self.cut: set[int] = set()
        self.completions: dict[int, tuple[int, ...] | None] = {}
        self.final = self._pack(net.final)
        initial = self._pack(net.initial)
        marking, states, self.begun = self._settle(
            initial, tuple(machine.initial for machine in machines), _eager(net)
        )
        self.start = self._number(marking, states)

    def after(self, number: int) -> tuple[tuple[int, int, str | None], ...]:
        """Return (transition, marking after it, label) for all that is enabled."""
        found = self.moves[number]
        if found is None:
            found = self.moves[number] = tuple(self._fired(number))
        return found

    def is_final(self, number: int) -> bool:
        """Tell whether a marking is the end."""
        return self.markings[number] == self.final

    def chain(self, number: int, transition: int) -> list[int]:
        """Return the eager silent moves that followed a transition."""
        return self.chains.get((number, transition), [])

    def _fired(self, number: int) -> Iterator[tuple[int, int, str | None]]:
        high, guard = self.markings[number] | self.guard, self.guard
        for t, need in enumerate(self.needs):
            if (high - need) & guard == guard:
                states = self._moved(self.states[number], t)
                marking, states, chain = self._settle(
                    self.markings[number] + self.change[t], states, self.eager_after[t]
                )
                if chain:
                    self.chains[number, t] = chain
                if marking & guard:
                    self.cut.add(number)
                else:
                    yield t, self._number(marking, states), self.net.transitions[t].label

    def _settle(
        self, marking: int, states: tuple[int, ...], touched: Sequence[int]
    ) -> tuple[int, tuple[int, ...], list[int]]:
        """Fire eager silent transitions until none is enabled; only `touched` ones may be.

        They take no tokens from each other, so the marking does not depend on their order.
        """
        chain: list[int] = []
        guard, todo = self.guard, list(touched)
        while todo and not marking & guard:
            t = todo[-1]
            if ((marking | guard) - self.needs[t]) & guard != guard:
                todo.pop()
                continue
            marking += self.change[t]
            states = self._moved(states, t)
            chain.append(t)
            todo += self.eager_after[t]
        return marking, states, chain

    def _moved(self, states: tuple[int, ...], t: int) -> tuple[int, ...]:
        if not self.seen_by[t]:
            return states
        after = list(states)
        for machine, target in self.seen_by[t]:
            after[machine] = target
        return tuple(after)

    def _number(self, marking: int, states: tuple[int, ...]) -> int:
        number = self.index.get(marking)
        if number is None:
            number = self.index[marking] = len(self.markings)
            self.markings.append(marking)
            self.states.append(states)
            self.moves.append(None)
        return number

    def _pack(self, marking: Marking) -> int:
        return sum(tokens << (self.bits * place) for place, tokens in enumerate(marking))

    def _pack_places(self, places: Sequence[int]) -> int:
        return sum(1 << (self.bits * place) for place in places)


def _explore(  # noqa: C901, PLR0913, PLR0917 - the kernel: one loop, without calls where it can
    space: _Space,
    task: _Task,
    begin: int,
    ends: Callable[[int], bool],
    budget: int,
    weight: int,
    width: int,
) -> _Outcome:
    """Search from a marking, lowest cost so far + `weight` times the bound on the rest first.

    With the same number of events done, before the last, at most `width` states are expanded.
    Bounds are whole numbers, so the queue is a stack for each of them.
    """
    length = len(task.trace)
    stride = length + 1
    cost: dict[int, int] = {}
    came: dict[int, tuple[int, int, int]] = {}
    closed: set[int] = set()
    stacks: dict[int, list[int]] = {}
    heap: list[int] = []
    cut = NO_COST
    expanded = [0] * length + [-NO_COST]

    def push(key: int, g: int, way: tuple[int, int, int]) -> None:
        if key in closed or cost.get(key, NO_COST) <= g:
            return
        number, k = divmod(key, stride)
        values, rest = task.bounds[k]
        rest += sum(map(getitem, values, space.states[number]))
        if rest >= UNREACHABLE // 2:
            return
        cost[key], came[key] = g, way
        f = g - (-rest // UNIT) * weight
        if f not in stacks:
            stacks[f] = []
            heappush(heap, f)
        stacks[f].append(key)

    push(begin * stride, 0, (NOTHING, NOTHING, NOTHING))
    while heap:
        f = heap[0]
        if not stacks[f]:
            del stacks[heappop(heap)]
            continue
        key = stacks[f].pop()
        if key in closed:
            continue
        number, k = divmod(key, stride)
        if expanded[k] >= width:
            continue
        expanded[k] += 1
        closed.add(key)
        g = cost[key]
        if k == length and ends(number):
            return _Outcome(key, g, min(g, cut), over=False, came=came)
        if len(came) > budget:
            return _Outcome(None, NO_COST, min(f, cut), over=False, came=came)
        moves = space.after(number)
        if number in space.cut:
            cut = min(cut, f)
        if k < length:
            push(key + 1, g + task.log[k], (key, MoveKind.LOG, NOTHING))
        for t, after, label in moves:
            kind = MoveKind.SILENT if label is None else MoveKind.MODEL
            push(after * stride + k, g + task.model[t], (key, kind, t))
        if k < length:
            word = task.trace[k]
            for t, after, label in moves:
                if label == word:
                    push(after * stride + k + 1, g, (key, MoveKind.SYNC, t))
    return _Outcome(None, NO_COST, cut, over=cut == NO_COST, came=came)


def _read_back(space: _Space, width: int, outcome: _Outcome) -> list[Step]:
    """Return the moves of the way to the goal."""
    ways, key = [], outcome.goal
    while key is not None and outcome.came[key][0] != NOTHING:
        ways.append(outcome.came[key])
        key = outcome.came[key][0]
    steps: list[Step] = []
    for before, kind, t in reversed(ways):
        number, k = divmod(before, width)
        steps.append((int(kind), t, k if kind in {MoveKind.SYNC, MoveKind.LOG} else NOTHING))
        if t != NOTHING:
            steps += [_silent(c) for c in space.chain(number, t)]
    return steps


def _silent(transition: int) -> Step:
    return (int(MoveKind.SILENT), transition, NOTHING)


def _eager_after(net: Net) -> list[list[int]]:
    """For each transition the eager ones that consume what it produces."""
    taker = {p: number for number in _eager(net) for p in net.transitions[number].consumes}
    return [sorted({taker[p] for p in t.produces if p in taker}) for t in net.transitions]


def _eager(net: Net) -> list[int]:
    """Silent transitions that may fire as soon as they are enabled; none that feed each other."""
    consumers = Counter(p for t in net.transitions for p in set(t.consumes))
    chosen = [
        number
        for number, t in enumerate(net.transitions)
        if t.label is None
        and all(consumers[p] == 1 for p in t.consumes)
        and any(net.final[p] == 0 for p in t.consumes)
    ]
    taker = {p: number for number in chosen for p in net.transitions[number].consumes}
    ending: list[int] = []
    while True:  # keep those that feed none but kept ones: no circle is among them
        more = [
            number
            for number in chosen
            if number not in ending
            and all(taker[p] in ending for p in net.transitions[number].produces if p in taker)
        ]
        if not more:
            return sorted(ending)
        ending += more


def _no_run(why: str) -> RunError:
    return RunError(
        "MO320",
        "No run of the model was found, so a trace cannot be laid beside one",
        why=why[0].upper() + why[1:],
        fix="Give the model a way to its end, or split it",
    )
