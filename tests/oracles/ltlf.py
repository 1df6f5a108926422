"""What does a formula say of one trace, by the slowest plain reading?

Formulas of linear temporal logic on finite traces (De Giacomo & Vardi 2013) with past operators,
metric bounds (MTL; Koymans 1990) and freeze quantifiers for data (Alur & Henzinger 1994), read by
trying every position that an operator speaks of. Positions count from 0; a formula holds of a trace
where it holds at position 0, and an operator that looks beyond an end finds nothing there. Every
formula that is judged begins with G or F (or joins such), so that an empty trace can be asked too.

A trace that may go on is judged by trying continuations (Bauer, Leucker, Schallhart 2011): it
violates when none of them satisfies the formula, and is decided in its favour only when every one
does. Which steps may come, and how many, the caller says.

An atom gives True, False, or None where a value that it reads is missing. Then both answers are
tried, each such comparison on its own, and the verdicts of all these worlds are put together. What
a step that has not come yet says to a missing value is the step's own choice (`agrees`).

Nothing of the product is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

Hours = int | Fraction


@dataclass(frozen=True)
class Step:
    """One event; `at` in hours; no activity: an update, no step.

    `in_force`: the rule that is judged is in force at it. `agrees`: a step to come, and how a
    comparison with a missing value turns out for it.
    """

    activity: str | None
    at: Hours = 0
    actor: str | None = None
    team: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    in_force: bool = True
    agrees: bool | None = None


@dataclass(frozen=True)
class Story:
    """One case: its steps, whether it has ended, when it is judged, what stands on the case."""

    steps: tuple[Step, ...]
    complete: bool
    as_of: Hours
    columns: Mapping[str, str] = field(default_factory=dict)


class Missing(Exception):  # noqa: N818 - no error: a question
    """A comparison whose outcome is not known in this world yet."""

    def __init__(self, key: tuple[object, ...]) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class World:
    """A trace, and how the comparisons with missing values turn out."""

    trace: Sequence[Step]
    guesses: Mapping[tuple[object, ...], bool]

    def settle(self, name: str, said: bool | None, *positions: int) -> bool:  # noqa: FBT001 - an atom's answer
        if said is not None:
            return said
        for position in positions:
            agrees = self.trace[position].agrees
            if agrees is not None:
                return agrees
        key = (name, *positions)
        if key not in self.guesses:
            raise Missing(key)
        return self.guesses[key]


Frozen = Mapping[str, int]
Elapsed = Callable[[Sequence[Step], int, int], Hours]


class Formula:
    """Base of all formulas."""

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        raise NotImplementedError

    def __and__(self, other: Formula) -> Formula:
        return And((self, other))

    def __or__(self, other: Formula) -> Formula:
        return Or((self, other))

    def __invert__(self) -> Formula:
        return Not(self)

    def __rshift__(self, other: Formula) -> Formula:
        return Or((Not(self), other))


@dataclass(frozen=True)
class Atom(Formula):
    """A predicate on the step at hand; the name tells missing values apart."""

    name: str
    says: Callable[[Step], bool | None]

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:  # noqa: ARG002 - one face for all
        return w.settle(self.name, self.says(w.trace[i]), i)


@dataclass(frozen=True)
class Pair(Formula):
    """A predicate on the step frozen under a name and the step at hand."""

    name: str
    variable: str
    says: Callable[[Step, Step], bool | None]

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        j = frozen[self.variable]
        return w.settle(self.name, self.says(w.trace[j], w.trace[i]), j, i)


@dataclass(frozen=True)
class Within(Formula):
    """At most `limit` has elapsed between the step frozen under a name and the step at hand."""

    variable: str
    limit: Hours
    elapsed: Elapsed

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        j = frozen[self.variable]
        return self.elapsed(w.trace, min(i, j), max(i, j)) <= self.limit


@dataclass(frozen=True)
class Said(Formula):
    """What stands on the case itself; None where it is not known."""

    name: str
    value: bool | None

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:  # noqa: ARG002 - one face for all
        return w.settle(self.name, self.value)


@dataclass(frozen=True)
class Truth(Formula):
    def holds(self, w: World, i: int, frozen: Frozen) -> bool:  # noqa: ARG002 - one face for all
        return True


@dataclass(frozen=True)
class Not(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return not self.inner.holds(w, i, frozen)


@dataclass(frozen=True)
class And(Formula):
    parts: tuple[Formula, ...]

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return all(part.holds(w, i, frozen) for part in self.parts)


@dataclass(frozen=True)
class Or(Formula):
    parts: tuple[Formula, ...]

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return any(part.holds(w, i, frozen) for part in self.parts)


@dataclass(frozen=True)
class Freeze(Formula):
    """x. inner: the inner formula may compare with this step under the name x."""

    variable: str
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return self.inner.holds(w, i, {**frozen, self.variable: i})


@dataclass(frozen=True)
class Next(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return i + 1 < len(w.trace) and self.inner.holds(w, i + 1, frozen)


@dataclass(frozen=True)
class WeakNext(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return i + 1 >= len(w.trace) or self.inner.holds(w, i + 1, frozen)


@dataclass(frozen=True)
class Eventually(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return any(self.inner.holds(w, j, frozen) for j in range(i, len(w.trace)))


@dataclass(frozen=True)
class Always(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return all(self.inner.holds(w, j, frozen) for j in range(i, len(w.trace)))


@dataclass(frozen=True)
class Until(Formula):
    left: Formula
    right: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return any(
            self.right.holds(w, j, frozen)
            and all(self.left.holds(w, k, frozen) for k in range(i, j))
            for j in range(i, len(w.trace))
        )


def weak_until(left: Formula, right: Formula) -> Formula:
    return Until(left, right) | Always(left)


@dataclass(frozen=True)
class Yesterday(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return i > 0 and self.inner.holds(w, i - 1, frozen)


@dataclass(frozen=True)
class Once(Formula):
    inner: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return any(self.inner.holds(w, j, frozen) for j in range(i + 1))


@dataclass(frozen=True)
class Since(Formula):
    left: Formula
    right: Formula

    def holds(self, w: World, i: int, frozen: Frozen) -> bool:
        return any(
            self.right.holds(w, j, frozen)
            and all(self.left.holds(w, k, frozen) for k in range(j + 1, i + 1))
            for j in range(i + 1)
        )


def eventually_within(inner: Formula, limit: Hours, elapsed: Elapsed) -> Formula:
    """F[0, limit] inner, from the step at hand on."""
    return Freeze("here", Eventually(inner & Within("here", limit, elapsed)))


def at_least(n: int, inner: Formula) -> Formula:
    """F (inner & X F (inner & ...)), n times."""
    rest = inner if n <= 1 else inner & Next(at_least(n - 1, inner))
    return Eventually(rest)


LAST = Not(Next(Truth()))
FIRST = Not(Yesterday(Truth()))


# --- verdicts


@dataclass(frozen=True)
class Reading:
    """A rule about one story, as a formula, and what else its verdict needs.

    `activation` holds somewhere in a trace of which the rule speaks (None: it speaks of all).
    `keeps` leaves out what the formula does not read. `to_come` are the steps that may follow in an
    open case, `length` how many of them are tried; `also` are longer continuations. `may_rest`: an
    open case could end without a further step. `after_end` are the steps that may still follow in a
    complete case, and `waits`: one of them must. `at_end`: what it reads may change until the case
    ends, so nothing else decides.
    """

    formula: Formula
    activation: Formula | None
    to_come: tuple[Step, ...]
    length: int = 1
    also: tuple[tuple[Step, ...], ...] = ()
    may_rest: bool = True
    after_end: tuple[Step, ...] = ()
    waits: bool = False
    at_end: bool = False
    keeps: Callable[[Step], bool] = lambda _: True


def judge(readings: Sequence[Reading], story: Story) -> str:
    """Put the verdicts of all worlds together; none of them is claimed that another contradicts.

    There is one reading for each value that what is missing could have.
    """
    found = set()
    for reading in readings:
        for said in _worlds(reading, story):
            found.add(said)
            if "violates" in found and len(found) > 1:
                return "unknown"
    for said in ("violates", "pending", "vacuous"):  # unasked in one world: it claims nothing
        if said in found:
            return said
    return "conforms"


def _worlds(reading: Reading, story: Story) -> Iterator[str]:
    """Judge in one world after the other: a comparison that turns up is tried both ways."""
    waiting: list[dict[tuple[object, ...], bool]] = [{}]
    while waiting:
        guesses = waiting.pop()
        try:
            yield _judge(reading, story, guesses)
        except Missing as missing:
            waiting += [{**guesses, missing.key: True}, {**guesses, missing.key: False}]


def _judge(reading: Reading, story: Story, guesses: Mapping[tuple[object, ...], bool]) -> str:
    if reading.at_end and not story.complete:
        return "pending"
    seen = tuple(step for step in story.steps if reading.keeps(step))
    futures = [
        World((*seen, *filter(reading.keeps, more)), guesses)
        for more in _continuations(reading, complete=story.complete)
    ]
    holds = set()
    for world in futures:
        holds.add(reading.formula.holds(world, 0, {}))
        if len(holds) > 1:
            break
    if holds == {False}:
        return "violates"
    if holds == {True} and _asked(reading, World(seen, guesses)):
        return "conforms"
    return "pending" if any(_asked(reading, world) for world in futures) else "vacuous"


def _asked(reading: Reading, world: World) -> bool:
    asks = reading.activation
    return asks is None or any(asks.holds(world, i, {}) for i in range(len(world.trace)))


def _continuations(reading: Reading, *, complete: bool) -> Iterable[tuple[Step, ...]]:
    if complete:
        return _products(reading.after_end, 1)[int(reading.waits) :]
    tried = _products(reading.to_come, reading.length)
    return (*tried[0 if reading.may_rest else 1 :], *reading.also)


def _products(steps: Sequence[Step], length: int) -> list[tuple[Step, ...]]:
    return [more for n in range(length + 1) for more in product(steps, repeat=n)]
