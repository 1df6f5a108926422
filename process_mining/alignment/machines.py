"""What is surely still to pay for the rest of a trace, seen from a few places of a net at a time?

A `Machine` is a net seen on a set of places that hold one token between them (`components.py`):
a state for each place, one for "gone". Leaving the other places out only allows more, so what a
machine needs for the rest of a trace, the net needs as well.

`Distances` are a machine's exact costs from each of its states to its end, backward over the
events of a trace:

    row(no event)[s]  = cheapest way from s to the end by model moves (or 0, if any end will do)
    row(a, rest)[s]   = min over s' of (cheapest way from s to s' by model moves) + the least of
                            row(rest)[s'] + weight of a log move of a,
                            row(rest)[s''] + weight of the synchronous move, for an arc s' -a-> s'',
                            row(rest)[s'] + weight of a synchronous move elsewhere in the net

Rows are interned, so the rest of a trace that was met before costs one look-up an event.

Shares. Every machine counts only its `Share` of each move's weight; the shares of all machines add
up to the weight or less, so their distances may be added up. The sum is a lower bound of the net's
own cost, consistent, and in whole numbers (a weight of 1 is UNIT), so nothing is ever rounded the
wrong way. `first_shares` gives each weight to the first machine that sees the move.
`agreed_shares` improves them for one trace, in two ways:

- An activity that stands at several transitions: one event may not be used by several machines.
  Each machine pays (or gets) its part of a toll on every synchronous move of the activity, its own
  or not, and the machine whose transition makes it gets the whole toll back (or pays it). So events
  that are too many, or with a toll below 0 too few, are counted. The best of three tolls is taken.
- Subgradient steps: where the machines' cheapest ways do not agree how often a move is made, those
  that make it more often get a larger share of its weight.

Complexity: O(states^3) for new shares, O(states^2) for a new row.
Sources: Katz & Domshlak, Optimal additive composition of abstraction-based admissible heuristics,
ICAPS 2008, and Pommerening, Helmert, Roeger & Seipp, From non-negative to general operator cost
partitioning, AAAI 2015 (shares; why they are as good as the state equation at their best);
Held, Wolfe & Crowder, Validation of subgradient optimization, Math. Programming 6, 1974.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_mining.eventlog import Ints
    from process_mining.model import Net

UNIT = 1 << 20
UNREACHABLE = 1 << 60
NO_BOUND = -UNREACHABLE
ROUNDS = 24
PATIENCE = 9
HALVE_AFTER = 3
FIRST_GAIN = 2 * UNIT
NO_MOVE = -1

# What a machine pays for: a model move or a synchronous move of a transition, a log move
MODEL, SYNC, LOG = "model", "sync", "log"
Operation = tuple[str, int | str]
Share = dict[Operation, int]


@dataclass(frozen=True, eq=False)
class Machine:
    """A net on one set of places; `arcs[transition]` are the states before and after.

    `sync[label]`: all transitions of the net with a label of which the machine sees one.
    `operations`: what it may be given a share of the weight of.
    """

    n_states: int
    initial: int
    final: int
    arcs: Mapping[int, tuple[int, int]]
    sync: Mapping[str, tuple[int, ...]]
    operations: tuple[Operation, ...]

    @classmethod
    def of(cls, net: Net, places: Sequence[int]) -> Machine:
        """See a net on these places only."""
        state_of = {place: state for state, place in enumerate(places)}
        gone = len(places)
        arcs = {
            number: arc
            for number, transition in enumerate(net.transitions)
            if (arc := _arc(state_of, gone, transition.consumes, transition.produces))
        }
        labels = sorted({label for t in arcs if (label := net.transitions[t].label) is not None})
        sync = {
            label: tuple(i for i, t in enumerate(net.transitions) if t.label == label)
            for label in labels
        }
        return cls(
            n_states=gone + 1,
            initial=_state(state_of, gone, net.initial),
            final=_state(state_of, gone, net.final),
            arcs=arcs,
            sync=sync,
            operations=(
                *((MODEL, t) for t in arcs if net.transitions[t].label is not None),
                *((LOG, label) for label in labels),
            ),
        )


class Distances:
    """One machine's rows under its share of the weights, numbered in the order they are met."""

    def __init__(self, machine: Machine, share: Share) -> None:
        """Work out the cheapest ways by model moves."""
        self.machine, self.share = machine, share
        self.ways, self.first = self._cheapest_ways()
        self.rows: list[Ints] = []
        self.values: list[list[int]] = []
        self._index: dict[bytes, int] = {}
        self._known: dict[tuple[int, str], int] = {}
        to_end = self.ways[:, machine.final]
        self.whole = self._intern(to_end)
        self.prefix = self._intern(np.where(to_end < UNREACHABLE, 0, UNREACHABLE))

    def before(self, row: int, label: str) -> int:
        """Return the row of an event `label` and then the events of another row."""
        found = self._known.get((row, label))
        if found is None:
            closed = (self.ways + self._events(row, label)).min(axis=1)
            found = self._known[row, label] = self._intern(closed)
        return found

    def made(self, rows: Sequence[int], trace: Sequence[str]) -> Counter[Operation]:
        """Count the moves of one cheapest way; rows[k] is the row after k events of the trace.

        `trace` holds only events that the machine sees.
        """
        made: Counter[Operation] = Counter()
        state = self.machine.initial
        for k, label in enumerate(trace):
            costs = self._events(rows[k + 1], label)
            there = int((self.ways[state] + costs).argmin())
            self._count_way(state, there, made)
            state, operation = self._event(rows[k + 1], label, there, int(costs[there]))
            made[operation] += 1
        if rows[len(trace)] == self.whole:
            self._count_way(state, self.machine.final, made)
        return made

    def _events(self, row: int, label: str) -> Ints:
        """From each state, the cheapest move that uses the event at once, and what follows."""
        rest, share = self.rows[row], self.share
        costs = rest + share.get((LOG, label), 0)
        for t in self.machine.sync[label]:
            weight = share.get((SYNC, t), 0)
            if t in self.machine.arcs:
                state, target = self.machine.arcs[t]
                costs[state] = min(costs[state], rest[target] + weight)
            else:
                costs = np.minimum(costs, rest + weight)
        return costs

    def _event(self, row: int, label: str, state: int, cost: int) -> tuple[int, Operation]:
        """Return the state after the move that has this cost, and the move."""
        rest = self.values[row]
        for t in self.machine.sync[label]:
            begin, target = self.machine.arcs.get(t, (state, state))
            if begin == state and rest[target] + self.share.get((SYNC, t), 0) == cost:
                return target, (SYNC, t)
        return state, (LOG, label)

    def _count_way(self, state: int, there: int, made: Counter[Operation]) -> None:
        while state != there:
            t = int(self.first[state, there])
            made[MODEL, t] += 1
            state = self.machine.arcs[t][1]

    def _cheapest_ways(self) -> tuple[Ints, Ints]:
        """Cheapest sums of model moves between all states, and the first move of each way."""
        n = self.machine.n_states
        ways = np.full((n, n), UNREACHABLE, dtype=np.int64)
        first = np.full((n, n), NO_MOVE, dtype=np.int64)
        for t, (state, target) in self.machine.arcs.items():
            weight = self.share.get((MODEL, t), 0)
            if weight < ways[state, target]:
                ways[state, target], first[state, target] = weight, t
        np.fill_diagonal(ways, 0)
        for middle in range(n):
            through = ways[:, middle, None] + ways[None, middle, :]
            better = through < ways
            ways = np.where(better, through, ways)
            first = np.where(better, first[:, middle, None], first)
        return ways, first

    def _intern(self, row: Ints) -> int:
        row = np.where(row < UNREACHABLE // 2, row, UNREACHABLE)
        key = row.tobytes()
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self.rows)
            self.rows.append(row)
            self.values.append(row.tolist())
        return found


def first_shares(machines: Sequence[Machine], weights: Mapping[Operation, int]) -> list[Share]:
    """Give every weight whole to one machine: the first that sees the move.

    For a log move the first that sees all the transitions that the event might have been.
    """
    shares: list[Share] = [{} for _ in machines]
    for operation, mine in _owners(machines).items():
        whole = [i for i in mine if _sees_all(machines[i], operation)]
        shares[(whole or mine)[0]][operation] = weights.get(operation, 0) * UNIT
    return shares


def agreed_shares(
    machines: Sequence[Machine],
    weights: Mapping[Operation, int],
    trace: Sequence[str],
    *,
    prefix: bool,
) -> list[Distances]:
    """Return the machines' distances under shares made for one trace: the best of ROUNDS rounds."""
    owners = _owners(machines)
    shares = first_shares(machines, weights)
    for label in sorted({label for label in trace if _is_shared(machines, label)}):
        shares = _with_best_toll(machines, shares, weights, trace, label, prefix=prefix)
    distances = [Distances(*pair) for pair in zip(machines, shares, strict=True)]
    best, bound, gain, idle = distances, NO_BOUND, FIRST_GAIN, 0
    for _ in range(ROUNDS):
        found = [_solve(one, trace, prefix=prefix) for one in distances]
        total = sum(cost for cost, _ in found)
        best, bound, idle = (distances, total, 0) if total > bound else (best, bound, idle + 1)
        changed = _disagreements(owners, [made for _, made in found])
        if not changed or idle == PATIENCE:
            break
        gain = gain // 2 if idle and idle % HALVE_AFTER == 0 else gain
        step = (bound + gain - total) // sum(_spread(counts) for counts in changed.values())
        for operation, counts in changed.items():
            _charge(shares, owners[operation], operation, counts, weights, step)
        touched = {i for operation in changed for i in owners[operation]}
        distances = [
            Distances(machine, dict(shares[i])) if i in touched else distances[i]
            for i, machine in enumerate(machines)
        ]
    return best


def _is_shared(machines: Sequence[Machine], label: str) -> bool:
    mine = [machine for machine in machines if label in machine.sync]
    return len(mine) > 1 and len(mine[0].sync[label]) > 1


def _with_best_toll(  # noqa: PLR0913 - one step of the method, in its own words
    machines: Sequence[Machine],
    shares: list[Share],
    weights: Mapping[Operation, int],
    trace: Sequence[str],
    label: str,
    *,
    prefix: bool,
) -> list[Share]:
    """Try no toll on an activity, one of a log move, and one of minus a model move."""
    mine = [i for i, machine in enumerate(machines) if label in machine.sync]
    numbers = machines[mine[0]].sync[label]
    tolls = [0, -min(weights.get((MODEL, t), 0) for t in numbers) * UNIT]
    if all(any(t in machines[i].arcs for i in mine) for t in numbers):
        tolls.append(weights.get((LOG, label), 0) * UNIT)
    tried = [_with_toll(machines, shares, mine, label, toll) for toll in tolls]
    return max(
        tried,
        key=lambda some: sum(
            _solve(Distances(machines[i], some[i]), trace, prefix=prefix)[0] for i in mine
        ),
    )


def _with_toll(
    machines: Sequence[Machine], shares: list[Share], mine: list[int], label: str, toll: int
) -> list[Share]:
    """Return shares with a toll; one above 0 needs log moves to cost something everywhere."""
    new = [dict(share) for share in shares]
    payers: set[int] = set()
    log = sum(shares[i].get((LOG, label), 0) for i in mine)
    for i in mine:
        for t in machines[i].sync[label]:
            pays = t in machines[i].arcs and t not in payers
            new[i][SYNC, t] = toll // len(mine) - (toll if pays else 0)
            payers |= {t} if pays else set()
        if toll > 0:
            new[i][LOG, label] = log // len(mine)
    return new


def _solve(
    distances: Distances, trace: Sequence[str], *, prefix: bool
) -> tuple[int, Counter[Operation]]:
    """Return a machine's cost of a trace, and the moves of one cheapest way."""
    seen = [label for label in trace if label in distances.machine.sync]
    row = distances.prefix if prefix else distances.whole
    rows = [row]
    for label in reversed(seen):
        row = distances.before(row, label)
        rows.append(row)
    cost = distances.values[row][distances.machine.initial]
    return cost, distances.made(rows[::-1], seen)


def _owners(machines: Sequence[Machine]) -> dict[Operation, list[int]]:
    """Return the machines among which each weight can be shared."""
    owners: dict[Operation, list[int]] = {}
    for i, machine in enumerate(machines):
        for operation in machine.operations:
            owners.setdefault(operation, []).append(i)
    return owners


def _disagreements(
    owners: Mapping[Operation, Sequence[int]], made: Sequence[Counter[Operation]]
) -> dict[Operation, list[int]]:
    """Return how often each machine makes a move, for the moves of which they do not agree."""
    counts = {operation: [made[i][operation] for i in mine] for operation, mine in owners.items()}
    return {operation: found for operation, found in counts.items() if len(set(found)) > 1}


def _spread(counts: Sequence[int]) -> int:
    """Sum of squared differences from the mean, rounded up."""
    n = len(counts)
    return -((sum(counts) ** 2 - n * sum(count * count for count in counts)) // n)


def _charge(  # noqa: PLR0913, PLR0917 - one step of the method, in its own words
    shares: list[Share],
    mine: Sequence[int],
    operation: Operation,
    counts: Sequence[int],
    weights: Mapping[Operation, int],
    step: int,
) -> None:
    """Move weight to the machines that make a move more often than the others.

    Shares of model moves stay at 0 or more (machines may go round in circles of them); the sum
    never passes the weight.
    """
    total = sum(counts)
    new = [
        shares[i].get(operation, 0) + step * (len(mine) * n - total) // len(mine)
        for i, n in zip(mine, counts, strict=True)
    ]
    weight = weights.get(operation, 0) * UNIT
    if operation[0] == MODEL:
        positive = [max(0, share) for share in new]
        most = max(sum(positive), 1)
        new = [share * weight // most for share in positive]
    for i, share in zip(mine, new, strict=True):
        shares[i][operation] = share


def _sees_all(machine: Machine, operation: Operation) -> bool:
    kind, what = operation
    return kind != LOG or all(t in machine.arcs for t in machine.sync[str(what)])


def _arc(
    state_of: Mapping[int, int], gone: int, consumes: Sequence[int], produces: Sequence[int]
) -> tuple[int, int] | None:
    """Return the states before and after a transition, None where it is not seen."""
    begin = [state_of[place] for place in consumes if place in state_of]
    end = [state_of[place] for place in produces if place in state_of]
    return (begin[0], end[0] if end else gone) if begin else None


def _state(state_of: Mapping[int, int], gone: int, marking: Sequence[int]) -> int:
    marked = [state for place, state in state_of.items() if marking[place]]
    return marked[0] if marked else gone
