"""What follows from facts by a chain of rules, and what follows from what has followed?

A program has fields and rules. A fact is a tuple of integers: its level, then one value for each
field. A rule looks at facts of one level, one at a time: where all its intervals hold, it leads to
a fact of a higher level, whose values are constants or copied from the fact that it looked at (a
field that is not named is 0). A rule with a `tally` counts: if n distinct facts have led to the
same fact, by whatever rules with that tally, then it follows n times, with 1, 2 ... n in the tally
field. So "at least three" is a further rule whose interval begins at 3, and nothing depends on the
order in which facts are known.

Every rule leads upwards, so no chain goes round in circles: what follows is finite, and there is
one answer, the least set of facts that is closed under the rules (a stratified Datalog program;
Abiteboul, Hull & Vianu 1995, Foundations of Databases, 15.2).

`follow` finds that set by the naive fixpoint: every rule on every fact, again and again, until
nothing is new. It is the independent evaluator of what durable-rules does in its worker process
(`rules.engine.chain`). Cost: O(levels x rules x facts); sessions are small.

There are no joins of two facts and no arithmetic: what needs two facts is measured before, in
columns, and put into one (design: columns measure, rules judge).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.spec import Interval

    Fact = tuple[int, ...]

MAX_VALUE: Final = 2**31 - 1  # exact in whatever number the library keeps it


@dataclass(frozen=True)
class ChainRule:
    """From a fact of level `on` that lies in `when` follows the fact of level `to` in `then`.

    `then` gives a field a constant, or (a text) the value of that field in the fact looked at.
    `tally` names the field that gets the number of distinct facts that have led there so far.
    """

    on: int
    to: int
    when: Mapping[str, Interval] = field(default_factory=dict)
    then: Mapping[str, int | str] = field(default_factory=dict)
    tally: str | None = None


@dataclass(frozen=True)
class ChainProgram:
    """The fields of a fact, in order after its level, and the rules."""

    fields: tuple[str, ...]
    rules: tuple[ChainRule, ...]

    def __post_init__(self) -> None:
        """Refuse a rule that leads nowhere, downwards or to an unknown field (RunError EN010)."""
        for number, rule in enumerate(self.rules):
            named = {*rule.when, *rule.then, *filter(None, [rule.tally])}
            named |= {value for value in rule.then.values() if isinstance(value, str)}
            constants = [value for value in rule.then.values() if isinstance(value, int)]
            wrong = [f"unknown field '{name}'" for name in sorted(named - set(self.fields))]
            wrong += [f"it leads from level {rule.on} to {rule.to}"] * (not 0 <= rule.on < rule.to)
            wrong += ["it sets the field that it counts in"] * (rule.tally in rule.then)
            wrong += [f"{n} is no small number" for n in constants if not 0 <= n <= MAX_VALUE]
            if wrong:
                msg = f"rule {number} of a chain: {'; '.join(wrong)}"
                raise RunError("EN010", msg, why="The chain may never end", fix="Mend the rule")

    @property
    def width(self) -> int:
        """The integers of a fact."""
        return 1 + len(self.fields)

    def place(self, name: str) -> int:
        """Return where in a fact a field stands."""
        return 1 + self.fields.index(name)

    @property
    def compared_only(self) -> tuple[str, ...]:
        """The fields that no rule copies, sets or counts in: what follows has 0 there."""
        used = {name for rule in self.rules for name in (*rule.then, rule.tally)}
        used |= {v for rule in self.rules for v in rule.then.values() if isinstance(v, str)}
        return tuple(name for name in self.fields if name not in used)


class Firing(NamedTuple):
    """Rule `rule` fired on `fact` and led to `derived` (whose tally field, if any, is 0)."""

    rule: int
    fact: Fact
    derived: Fact


@dataclass(frozen=True)
class Chained:
    """All facts, given and derived, and every firing; sets, for neither has an order."""

    facts: frozenset[Fact]
    firings: frozenset[Firing]


def require_facts(program: ChainProgram, facts: Iterable[Fact]) -> None:
    """Raise RunError EN008 where a fact does not fit the program."""
    for fact in facts:
        if len(fact) != program.width or not all(0 <= value <= MAX_VALUE for value in fact):
            msg = f"the fact {list(fact)[:20]} is no {program.width} small numbers"
            raise RunError("EN008", msg, fix="Mend what measures it")


def follow(program: ChainProgram, facts: Iterable[Fact]) -> Chained:
    """Return all that follows from some facts, in plain Python, without durable-rules."""
    known = frozenset(facts)
    require_facts(program, known)
    readings: defaultdict[int, list[tuple[int, _Reading]]] = defaultdict(list)
    for number, rule in enumerate(program.rules):
        readings[rule.on].append((number, _Reading.of(program, rule)))
    while True:
        firings = frozenset(
            Firing(number, fact, reading.derived(fact))
            for fact in known
            for number, reading in readings.get(fact[0], ())
            if reading.holds(fact)
        )
        more = known | _what_follows(program, firings)
        if more == known:
            return Chained(known, firings)
        known = more


class _Reading(NamedTuple):
    """A rule by places in the fact; `values` are constants, or (in `copied`) places."""

    bounds: tuple[tuple[int, Interval], ...]
    to: int
    values: tuple[int, ...]
    copied: tuple[bool, ...]

    @classmethod
    def of(cls, program: ChainProgram, rule: ChainRule) -> _Reading:
        """Look up the fields of a rule once."""
        then = [rule.then.get(name, 0) for name in program.fields]
        return cls(
            bounds=tuple((program.place(name), bounds) for name, bounds in rule.when.items()),
            to=rule.to,
            values=tuple(program.place(v) if isinstance(v, str) else v for v in then),
            copied=tuple(isinstance(v, str) for v in then),
        )

    def holds(self, fact: Fact) -> bool:
        """Tell whether the rule, which is on facts of this level, fires on one."""
        return all(
            (bounds.lo is None or bounds.lo <= fact[place])
            and (bounds.hi is None or fact[place] <= bounds.hi)
            for place, bounds in self.bounds
        )

    def derived(self, fact: Fact) -> Fact:
        """Return what follows, the tally not counted."""
        pairs = zip(self.values, self.copied, strict=True)
        return (self.to, *(fact[value] if copied else value for value, copied in pairs))


def _what_follows(program: ChainProgram, firings: Iterable[Firing]) -> set[Fact]:
    """Return the facts that the firings lead to, the counted ones once for each number."""
    plain: set[Fact] = set()
    counted: defaultdict[tuple[str, Fact], set[Fact]] = defaultdict(set)
    for firing in firings:
        tally = program.rules[firing.rule].tally
        if tally is None:
            plain.add(firing.derived)
        else:
            counted[tally, firing.derived].add(firing.fact)
    for (tally, derived), led in counted.items():
        at = program.place(tally)
        plain |= {(*derived[:at], n, *derived[at + 1 :]) for n in range(1, len(led) + 1)}
    return plain
