"""Which vectors does every trace pass, and which moves lead back over them? Compiled by numba.

The twin of `plain.py`, trace by trace instead of round by round: the same vectors, segments and
order among equals, so the same results move by move. The module imports numba: only who wants it
compiled imports the module.

Vectors are interned in a hash table with open addressing; a hash that is met again is always
followed by a comparison of the whole vector. Where an event makes states cheaper, model moves go on
from there: up to DENSE_STATES states by a table of the ways between states, filled as far as it is
needed; beyond, only as far as something gets cheaper (label-correcting, first in first out). Where
room runs out, `_run` stops before that trace; `walk` empties the table and goes on there. The
arrays are as large as the events or the limit allow from the start: the system gives memory when it
is first written.

Compiling takes seconds once per machine: numba keeps the result beside this file or in the user's
cache folder, and where neither can be written it is compiled in every process.

Complexity: O(1) a known event and O(moves); a new pair of vector and activity O(states) for each
arc that makes something cheaper, or beyond DENSE_STATES O(states + arcs of what changes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar, cast

import numba
import numpy as np

from process_mining.alignment.kernel import HALF, MOVE, NO_EVENT, MoveKind, Walked

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from process_mining.alignment.kernel import Graph, Traces
    from process_mining.eventlog import Codes, Ints

    Bools = npt.NDArray[np.bool_]

P = ParamSpec("P")
R = TypeVar("R")

DENSE_STATES = 2_500

# what _run found full
NOTHING, TABLE, POOL, MOVES = range(4)

_SYNC, _LOG = int(MoveKind.SYNC), int(MoveKind.LOG)
_MISSING = -1
_FAR = 1 << 62
_ROOM = 1_024
_MOVES_PER_SEGMENT = 4
# a step, a segment and its moves
_STEP_BYTES = 20 + 20 + 12 * _MOVES_PER_SEGMENT


class Table(NamedTuple):
    """The weighted automaton as far as traces have needed it; 0 is nothing in all indices.

    `vectors` by number, `hashes` of them, and `slots`: 1 + the number of a vector at its hash, or
    at the next free place. `known` has for each vector x columns + activity 1 + the number of the
    step, a row of `steps`: the vector before, the vector after, and 1 + the newest segment over it;
    `rises` is what it takes off the minimum. A row of `segments` is the state after the event, 1 +
    the next older segment over the same step, the state before, and where its moves begin and end
    in the pools `moves` and `states`. `begin[s]` is 1 + the segment from the initial state to s
    without an event. `used` holds how many vectors, steps, segments and moves there are.
    """

    used: Ints
    vectors: Ints
    hashes: Ints
    slots: Codes
    known: Codes
    steps: Codes
    rises: Ints
    segments: Codes
    begin: Codes
    moves: Ints
    states: Codes


class Scratch(NamedTuple):
    """Room for one trace and one step.

    `taken`, `trail` and `passed` have the step of each event (_MISSING for an activity that the
    model does not have), its segment, and the state after it, with an entry more in front. `queue`
    and `waiting` are the states to go on from, `random` has an odd number a state for hashes.
    `ways[s, t]` is the cheapest way by model moves from a state s that has_way[s]; both are empty
    for a large model.
    """

    taken: Codes
    trail: Codes
    passed: Codes
    queue: Codes
    waiting: Bools
    random: Ints
    ways: Ints
    has_way: Bools


class _Into(NamedTuple):
    """Model moves into every state, in the order in which a way back prefers them."""

    starts: Ints
    sources: Ints
    weights: Ints
    moves: Ints


def _inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as a part of what calls it."""
    return cast("Callable[P, R]", numba.njit(inline="always")(function))


def _kept(function: Callable[P, R]) -> Callable[P, R]:
    """Compile when first called, and keep the result where that is possible."""
    try:
        return cast("Callable[P, R]", numba.njit(cache=True)(function))
    except RuntimeError:  # no folder can be written
        return cast("Callable[P, R]", numba.njit()(function))


@_inlined
def _mixed(value: int) -> int:
    """Spread the bits of a number over all of its bits."""
    value ^= value >> 32
    value *= 0x4F2C6A5D9B1E3807
    return value ^ (value >> 29)


@_inlined
def _interned(vectors: Ints, hashes: Ints, slots: Codes, random: Ints, n: int) -> int:
    """Return the number of vector n; n itself where it is new."""
    n_states = vectors.shape[1]
    hashed = 0
    for s in range(n_states):
        hashed += vectors[n, s] * random[s]
    hashed = _mixed(hashed)
    mask = len(slots) - 1
    slot = hashed & mask
    while slots[slot] != 0:
        number = slots[slot] - 1
        if hashes[number] == hashed:
            s = 0
            while s < n_states and vectors[number, s] == vectors[n, s]:
                s += 1
            if s == n_states:
                return int(number)
        slot = (slot + 1) & mask
    hashes[n] = hashed
    slots[slot] = n + 1
    return n


@_inlined
def _relax(  # noqa: PLR0913, PLR0917 - compiled: arrays in, arrays filled
    costs: Ints,
    starts: Ints,
    targets: Ints,
    weights: Ints,
    queue: Codes,
    waiting: Bools,
    size: int,
) -> None:
    """Follow model moves from the `size` states that wait in the queue."""
    head, n = 0, len(costs)
    while size:
        here = queue[head]
        head = head + 1 if head + 1 < n else 0
        size -= 1
        waiting[here] = False
        for arc in range(starts[here], starts[here + 1]):
            cost, state = costs[here] + weights[arc], targets[arc]
            if cost < costs[state]:
                costs[state] = cost
                if not waiting[state]:
                    waiting[state] = True
                    tail = head + size
                    queue[tail if tail < n else tail - n] = state
                    size += 1


@_inlined
def _by_rounds(  # noqa: PLR0913, PLR0917 - compiled: arrays in, arrays filled
    old: Ints,
    new: Ints,
    sources: Ints,
    targets: Ints,
    low: int,
    high: int,
    starts: Ints,
    ends: Ints,
    weights: Ints,
    queue: Codes,
    waiting: Bools,
) -> None:
    """Take synchronous arcs low:high where they are cheaper, and follow model moves from there."""
    size = 0
    for arc in range(low, high):
        cost, state = old[sources[arc]], targets[arc]
        if cost < new[state]:
            new[state] = cost
            if not waiting[state]:
                waiting[state] = True
                queue[size] = state
                size += 1
    _relax(new, starts, ends, weights, queue, waiting, size)


@_inlined
def _by_ways(  # noqa: PLR0913, PLR0917 - compiled: arrays in, arrays filled
    old: Ints,
    new: Ints,
    sources: Ints,
    targets: Ints,
    low: int,
    high: int,
    starts: Ints,
    ends: Ints,
    weights: Ints,
    queue: Codes,
    waiting: Bools,
    ways: Ints,
    has_way: Bools,
) -> None:
    """Take synchronous arcs low:high where they are cheaper, and the ways from there to all states.

    Cheapest arcs first: they mostly leave nothing to the others. The ways from a state are worked
    out when they are first asked for.
    """
    n, best = len(old), _FAR
    for arc in range(low, high):
        best = min(best, old[sources[arc]])
    for turn in range(2):
        for arc in range(low, high):
            cost, state = old[sources[arc]], targets[arc]
            if cost < new[state] and (turn == 1 or cost == best):
                if not has_way[state]:
                    has_way[state] = True
                    for s in range(n):
                        ways[state, s] = _FAR
                    ways[state, state] = 0
                    queue[0] = state
                    _relax(ways[state], starts, ends, weights, queue, waiting, 1)
                for s in range(n):
                    new[s] = min(new[s], cost + ways[state, s])


@_inlined
def _end(costs: Ints, to_end: Ints) -> int:
    """Of the cheapest states, free moves aside, that with the cheapest way to the end.

    Then that with fewest free moves, so far and from there, then the lowest.
    """
    best, way, cost, left = _MISSING, 0, 0, 0
    for s in range(len(costs)):
        if costs[s] < HALF:
            w = to_end[s] // MOVE
            nearer = w < way or (w == way and costs[s] < cost)
            if best == _MISSING or nearer or (w == way and costs[s] == cost and to_end[s] < left):
                best, way, cost, left = s, w, costs[s], to_end[s]
    return best


@_inlined
def _model_move(  # noqa: PLR0913, PLR0917 - compiled: arrays in, arrays filled
    costs: Ints, state: int, into: _Into, moves: Ints, states: Codes, at: int
) -> int:
    """Write the first move into a state that its cost can have come over; return the next place."""
    arc = into.starts[state]
    while costs[into.sources[arc]] + into.weights[arc] != costs[state]:
        arc += 1
    moves[at], states[at] = into.moves[arc], into.sources[arc]
    return at + 1


@_inlined
def _over(  # noqa: PLR0913, PLR0917 - compiled: arrays in, arrays filled
    before: Ints,
    after: Ints,
    rise: int,
    log: int,
    starts: Ints,
    sources: Ints,
    arcs: int,
    into: _Into,
    word: int,
    state: int,
    moves: Ints,
    states: Codes,
    at: int,
) -> int:
    """Write the moves of going back over one event, last to first; return the place after them.

    Among equals synchronous, log, model, then the lowest state. `arcs` is where the activity's
    arcs into state 0 begin in `starts`.
    """
    while True:
        cost = after[state] + rise
        for arc in range(starts[arcs + state], starts[arcs + state + 1]):
            if before[sources[arc]] == cost:
                moves[at], states[at] = 4 * word + _SYNC, sources[arc]
                return at + 1
        if before[state] + log == cost:
            moves[at], states[at] = 4 * word + _LOG, state
            return at + 1
        at = _model_move(after, state, into, moves, states, at)
        state = states[at - 1]


@_inlined
def _turn(moves: Ints, states: Codes, low: int, high: int) -> None:
    """Put what was written last to first in order."""
    for i in range((high - low) // 2):
        a, b = low + i, high - 1 - i
        moves[a], moves[b] = moves[b], moves[a]
        states[a], states[b] = states[b], states[a]


@_kept
def _run(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the kernel, see below
    graph: Graph,
    traces: Traces,
    table: Table,
    scratch: Scratch,
    out: Walked,
    low: int,
    whole: bool,  # noqa: FBT001 - compiled code takes arguments by place
) -> tuple[int, int]:
    """Take the traces from low on forward over steps, back over segments, and spell their moves.

    Return the first trace for which there was no room and what was full, or the number of traces.
    One function: what is known takes a few nanoseconds an event, less than a call with arrays.
    """
    offsets, words, column, foreign = traces.offsets, traces.words, traces.column, traces.foreign
    used, vectors, hashes, slots = table.used, table.vectors, table.hashes, table.slots
    known, steps, rises, segments = table.known, table.steps, table.rises, table.segments
    begin, pool_moves, pool_states = table.begin, table.moves, table.states
    taken, trail, passed = scratch.taken, scratch.trail, scratch.passed
    queue, waiting, random = scratch.queue, scratch.waiting, scratch.random
    ways, has_way = scratch.ways, scratch.has_way
    costs, prefixes, departures, ends = out.cost, out.prefix, out.departure, out.end
    bounds, moves, states = out.offsets, out.moves, out.states
    n_states, logs, to_end, start = graph.n_states, graph.log, graph.to_end, graph.start
    sync_start, sync_source, sync_target = graph.sync_start, graph.sync_source, graph.sync_target
    out_start, out_target, out_weight = graph.out_start, graph.out_target, graph.out_weight
    into = _Into(graph.into_start, graph.into_source, graph.into_weight, graph.into_move)
    columns = len(logs)
    if used[0] == 0:
        vectors[0] = start
        used[0] = 1
        _interned(vectors, hashes, slots, random, 0)
    for v in range(low, len(offsets) - 1):
        first, length = offsets[v], offsets[v + 1] - offsets[v]
        vector, cost, departure = 0, 0, NO_EVENT
        for k in range(length):
            word = words[first + k]
            activity = column[word]
            if activity == columns:
                cost += foreign[word]
                taken[k + 1] = _MISSING
            else:
                step = known[vector * columns + activity] - 1
                if step < 0:
                    n, step = used[0], used[1]
                    if n == len(vectors) or step == len(steps):
                        return v, TABLE
                    old, new, arcs = vectors[vector], vectors[n], activity * n_states
                    for s in range(n_states):
                        new[s] = old[s] + logs[activity]
                    if len(ways):
                        _by_ways(
                            old,
                            new,
                            sync_source,
                            sync_target,
                            sync_start[arcs],
                            sync_start[arcs + n_states],
                            out_start,
                            out_target,
                            out_weight,
                            queue,
                            waiting,
                            ways,
                            has_way,
                        )
                    else:
                        _by_rounds(
                            old,
                            new,
                            sync_source,
                            sync_target,
                            sync_start[arcs],
                            sync_start[arcs + n_states],
                            out_start,
                            out_target,
                            out_weight,
                            queue,
                            waiting,
                        )
                    rise = new[0]
                    for s in range(n_states):
                        rise = min(rise, new[s])
                    for s in range(n_states):
                        new[s] -= rise
                    rises[step] = rise
                    number = _interned(vectors, hashes, slots, random, n)
                    steps[step, 0], steps[step, 1], steps[step, 2] = vector, number, 0
                    used[0], used[1] = max(n, number + 1), step + 1
                    known[vector * columns + activity] = step + 1
                cost += rises[step]
                vector = steps[step, 1]
                taken[k + 1] = step
            if departure == NO_EVENT and cost >= MOVE:
                departure = k
        state = graph.final if whole else _end(vectors[vector], to_end)
        costs[v], prefixes[v] = cost + vectors[vector, state], cost
        departures[v], ends[v] = departure, state
        size = 0
        for k in range(length, -1, -1):
            passed[k] = state
            if k > 0:
                step = taken[k]
                if step == _MISSING:
                    trail[k] = _MISSING
                    size += 1
                    continue
                segment = steps[step, 2]
                while segment > 0 and segments[segment - 1, 0] != state:
                    segment = segments[segment - 1, 1]
            else:
                step = _MISSING
                segment = begin[state]
            if segment == 0:
                number, pool = used[2], used[3]
                if number == len(segments):
                    return v, TABLE
                if pool + n_states >= len(pool_moves):
                    return v, POOL
                at = pool
                if step == _MISSING:
                    here = state
                    while here != graph.initial:
                        at = _model_move(start, here, into, pool_moves, pool_states, at)
                        here = pool_states[at - 1]
                    begin[state] = number + 1
                else:
                    word = words[first + k - 1]
                    at = _over(
                        vectors[steps[step, 0]],
                        vectors[steps[step, 1]],
                        rises[step],
                        logs[column[word]],
                        sync_start,
                        sync_source,
                        column[word] * n_states,
                        into,
                        word,
                        state,
                        pool_moves,
                        pool_states,
                        pool,
                    )
                    segments[number, 1] = steps[step, 2]
                    steps[step, 2] = number + 1
                segments[number, 0] = state
                segments[number, 2] = pool_states[at - 1] if at > pool else state
                segments[number, 3], segments[number, 4] = pool, at
                _turn(pool_moves, pool_states, pool, at)
                used[2], used[3] = number + 1, at
                segment = number + 1
            trail[k] = segment - 1
            size += segments[segment - 1, 4] - segments[segment - 1, 3]
            state = segments[segment - 1, 2]
        at = bounds[v]
        if at + size > len(moves):
            return v, MOVES
        for k in range(length + 1):
            segment = trail[k]
            if segment == _MISSING:
                moves[at], states[at] = 4 * words[first + k - 1] + _LOG, passed[k]
                at += 1
            else:
                for i in range(segments[segment, 3], segments[segment, 4]):
                    moves[at], states[at] = pool_moves[i], pool_states[i]
                    at += 1
        bounds[v + 1] = at
    return len(offsets) - 1, NOTHING


def walk(graph: Graph, traces: Traces, *, whole: bool, table_bytes: int) -> Walked:
    """Find an optimal run for every trace; `whole` runs go on to the final state."""
    room = _Room(graph, traces, table_bytes)
    low, full = room.run(0, whole=whole)
    while full != NOTHING:
        room.make(low, full)
        low, full = room.run(low, whole=whole)
    return room.result()


class _Room:
    """The arrays of a walk, and what to do when they are full."""

    def __init__(self, graph: Graph, traces: Traces, limit_bytes: int) -> None:
        """Make room for all that the events can need, or what the limit allows.

        A trace of any length has room for its vectors and segments.
        """
        self.graph, self.traces, self.limit_bytes = graph, traces, limit_bytes
        lengths = np.diff(traces.offsets)
        longest, n_events = int(lengths.max(initial=0)), int(lengths.sum())
        self.table = _table(graph, n_events, longest, limit_bytes)
        self.scratch = _scratch(longest + 1, graph.n_states)
        self.out = _outcome(len(lengths), n_events)
        self.since = 0

    def run(self, low: int, *, whole: bool) -> tuple[int, int]:
        """Go on as far as there is room."""
        work = (self.graph, self.traces, self.table, self.scratch, self.out, low, whole)
        try:
            return _run(*work)
        except OSError:  # it was compiled, only it could not be kept: the disk is full
            return _run(*work)

    def make(self, low: int, full: int) -> None:
        """Make more room; only a trace by itself may have more than the limit for its segments."""
        if full == MOVES:
            _widen(self.out.moves, self.out.states)
        elif full == POOL and low == self.since:
            _widen(self.table.moves, self.table.states)
        else:
            self.since = low
            for one in (self.table.used, self.table.slots, self.table.known, self.table.begin):
                one[:] = 0

    def result(self) -> Walked:
        """Return what was found, without the room that was not needed."""
        for one in (self.out.moves, self.out.states):
            one.resize(int(self.out.offsets[-1]), refcheck=False)
        return self.out


def _table(graph: Graph, n_events: int, longest: int, limit_bytes: int) -> Table:
    """Half of the limit is for vectors, half for steps and segments."""
    n, columns, half = graph.n_states, graph.n_activities, limit_bytes // 2
    vectors = min(n_events, max(longest, half // (8 * n + 4 * columns + 16))) + 1
    steps = min(n_events, max(longest, half // _STEP_BYTES))
    segments = min(n_events + n, steps + n)
    moves = _MOVES_PER_SEGMENT * segments + 2 * n
    return Table(
        used=np.zeros(4, dtype=np.int64),
        vectors=np.empty((vectors, n), dtype=np.int64),
        hashes=np.empty(vectors, dtype=np.int64),
        slots=np.zeros(1 << (2 * vectors - 1).bit_length(), dtype=np.int32),
        known=np.zeros(vectors * columns, dtype=np.int32),
        steps=np.empty((steps, 3), dtype=np.int32),
        rises=np.empty(steps, dtype=np.int64),
        segments=np.empty((segments, 5), dtype=np.int32),
        begin=np.zeros(n, dtype=np.int32),
        moves=np.empty(moves, dtype=np.int64),
        states=np.empty(moves, dtype=np.int32),
    )


def _scratch(longest: int, n_states: int) -> Scratch:
    dense = n_states if n_states <= DENSE_STATES else 0
    return Scratch(
        taken=np.empty(longest, dtype=np.int32),
        trail=np.empty(longest, dtype=np.int32),
        passed=np.empty(longest, dtype=np.int32),
        queue=np.empty(n_states, dtype=np.int32),
        waiting=np.zeros(n_states, dtype=np.bool_),
        random=_random(n_states),
        ways=np.empty((dense, dense), dtype=np.int64),
        has_way=np.zeros(dense, dtype=np.bool_),
    )


def _outcome(n_traces: int, n_events: int) -> Walked:
    """Room for what is found: about twice as many moves as there are events."""
    room = 2 * n_events + _ROOM
    return Walked(
        cost=np.zeros(n_traces, dtype=np.int64),
        prefix=np.zeros(n_traces, dtype=np.int64),
        departure=np.full(n_traces, NO_EVENT, dtype=np.int64),
        end=np.zeros(n_traces, dtype=np.int32),
        offsets=np.zeros(n_traces + 1, dtype=np.int64),
        moves=np.empty(room, dtype=np.int64),
        states=np.empty(room, dtype=np.int32),
    )


def _widen(*arrays: npt.NDArray[np.generic]) -> None:
    """Double arrays in place; no view of them is alive."""
    for one in arrays:
        one.resize((2 * one.shape[0], *one.shape[1:]), refcheck=False)


def _random(n: int) -> Ints:
    """Return odd numbers, the same ones always (Steele, Lea & Flood, SplitMix, 2014)."""
    state = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state | np.uint64(1)).view(np.int64)
