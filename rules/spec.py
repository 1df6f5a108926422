"""What is a rule, what does it measure, and which verdicts can it give?

A rule names a template. The template *measures* every case in whole columns (integers, no policy)
and states a *decision table* over those measures: rows of closed integer intervals, each with a
verdict. The table is a DMN decision table with hit policy UNIQUE (OMG DMN 1.5, 8.2.10): for every
measured case exactly one row holds, and the engine checks that it is so.

Verdicts are five, never a bool. Let P be the cases that conform and V those that violate: the
rate is P / (P + V), with a Wilson score interval (Wilson 1927) of 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from process_mining.errors import RunError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from process_mining.eventlog import Ints

NO_EVENT = -1


class Verdict(IntEnum):
    """The outcome of one rule on one case; the numbers are stored, the names are shown."""

    CONFORMS = 0
    VIOLATES = 1
    PENDING = 2
    VACUOUS = 3
    UNKNOWN = 4

    @property
    def word(self) -> str:
        """The name as outputs spell it."""
        return self.name.lower()


class Severity(IntEnum):
    """How much a violation matters; ordered, so that `--fail-on` can compare."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The name as outputs spell it."""
        return self.name.lower()


@dataclass(frozen=True)
class Interval:
    """The integers lo..hi, both included; None leaves that side open."""

    lo: int | None = None
    hi: int | None = None

    def holds(self, values: Ints) -> npt.NDArray[np.bool_]:
        """Tell for each value whether it lies inside."""
        if self.lo is not None and self.lo == self.hi:
            return np.asarray(values == self.lo)
        inside = np.ones(len(values), dtype=bool)
        if self.lo is not None:
            inside &= values >= self.lo
        if self.hi is not None:
            inside &= values <= self.hi
        return inside


ZERO = Interval(0, 0)
POSITIVE = Interval(1, None)
NEGATIVE = Interval(None, -1)


@dataclass(frozen=True)
class Row:
    """One row of a decision table: when every named field lies in its interval, `verdict` holds."""

    verdict: Verdict
    when: Mapping[str, Interval] = field(default_factory=dict)


DecisionTable = tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Measure:
    """What a template read off every case, in case order; all arrays have one entry a case.

    `facts`: the int64 columns that the decision table reads. `events`: positions in the log's
    event columns of the events concerned, NO_EVENT where there is none: the decisive one last.
    `measured` and `limit` (in `unit`) are what a finding shows; where `known` is false they are
    left empty. `cause` says why a verdict of this rule can be UNKNOWN.
    `starts` and `stops` tell, where time is measured, for each event of the log whether it starts
    or stops a clock: recorded later than it happened, a start makes the time too short, a stop too
    long.
    `margin_us` is, where a time decides that is not `measured`, how far it lies from its limit.
    `told` gives what findings of some cases, which ascend, say besides, as texts (null: nothing).
    `judged` marks the events that the rule was asked about, one bool an event; None where it is
    the case as a whole that is judged, at its end.
    """

    facts: Mapping[str, Ints]
    events: tuple[Ints, ...] = ()
    measured: Ints | None = None
    limit: Ints | None = None
    unit: str = ""
    cause: str = ""
    starts: npt.NDArray[np.bool_] | None = None
    stops: npt.NDArray[np.bool_] | None = None
    told: Callable[[Ints], pa.Array] | None = None
    judged: npt.NDArray[np.bool_] | None = None
    margin_us: Ints | None = None


@dataclass(frozen=True)
class Reference:
    """The norms a rule rests on: the ITIL 4 practice by name, clauses by number."""

    itil: str
    iso20000: str = ""
    fitsm: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExampleEvent:
    """One event of an example trace; `at_us` counts from the start of the example."""

    activity: str
    at_us: int
    actor: str | None = None
    team: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExampleRecord:
    """Another ticket of an example, of a practice and in its words, and how they are linked.

    The example's case `names` it by a link of the kind, or is `named_by` it; `back` is the kind of
    a second link, by which the ticket that is named names the other.
    """

    kind: str
    direction: Literal["names", "named_by"]
    practice: str
    events: tuple[ExampleEvent, ...]
    back: str | None = None


@dataclass(frozen=True)
class Example:
    """A trace and the verdict that the rule must give on it.

    `case` sets columns of the case, `links` names other tickets, which are not in the log, by the
    kind of link; `records` are linked tickets that are in it.
    """

    verdict: Verdict
    events: tuple[ExampleEvent, ...]
    case: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    as_of_us: int | None = None
    records: tuple[ExampleRecord, ...] = ()


@dataclass(frozen=True)
class Scope:
    """Which cases a rule is about: `column` of the cases holds one of, or none of, these texts.

    Texts are compared without case and outer white space. Exactly one of the two sets is filled.
    """

    column: str
    one_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()

    @property
    def words(self) -> str:
        """The condition as people read it."""
        said = ", ".join(f"'{text}'" for text in sorted(self.one_of or self.none_of))
        return f"{self.column} is {'one' if self.one_of else 'none'} of {said}"


Control = Literal["request", "approval", "test", "segregation-of-duties", "review"]


@dataclass(frozen=True)
class Rule:
    """One version of a rule as its TOML file states it.

    `params` is an instance of the template's `Params`. Versions of one code share its name and
    practice; each is in force from `valid_from` (00:00 UTC) up to, and without, `valid_until`.
    `scope`: all conditions must hold for a case, else the rule is vacuous for it. `control` names
    the change control that the rule serves.
    """

    code: str
    name: str
    title: str
    practice: str
    case_type: str
    template: str
    params: Any
    severity: Severity
    version: int
    valid_from: dt.date
    valid_until: dt.date | None
    reference: Reference
    owner: str
    why: str
    remedy: str
    known_problems: tuple[str, ...]
    examples: tuple[Example, ...]
    path: str
    scope: tuple[Scope, ...] = ()
    control: Control | None = None


@dataclass(frozen=True)
class Tally:
    """How often a rule gave each verdict; `waived` of the violating cases have leave to violate.

    Raw figures take every case as it is; net ones leave the waived cases out of both sides.
    """

    rule: Rule
    conforms: int
    violates: int
    pending: int
    vacuous: int
    unknown: int
    waived: int = 0

    @property
    def n(self) -> int:
        """Cases on which the rule was decided."""
        return self.conforms + self.violates

    @property
    def net_n(self) -> int:
        """Cases on which the rule was decided, the waived ones left out."""
        return self.n - self.waived

    @property
    def rate(self) -> float | None:
        """Share of decided cases that conform; None where none was decided."""
        return self.conforms / self.n if self.n else None

    @property
    def net_rate(self) -> float | None:
        """The same without waived cases."""
        return self.conforms / self.net_n if self.net_n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson score interval of the rate, 95 %."""
        return wilson(self.conforms, self.n) if self.n else None

    @property
    def net_interval(self) -> tuple[float, float] | None:
        """Wilson score interval of the net rate, 95 %."""
        return wilson(self.conforms, self.net_n) if self.net_n else None


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval (95 %) of a share; (0, 1) where n is 0."""
    from scipy.stats import binomtest  # noqa: PLC0415 - a second to import; few commands need it

    if n == 0:
        return 0.0, 1.0
    found = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def decide(table: DecisionTable, facts: Mapping[str, Ints], rule: str) -> npt.NDArray[np.int8]:
    """Judge every case by the table: the independent evaluator, in numpy, without durable-rules.

    Raises RunError EN001 where not exactly one row holds (a defect of the template).
    """
    size = len(next(iter(facts.values())))
    verdicts = np.full(size, -1, dtype=np.int8)
    hits = np.zeros(size, dtype=np.int32)
    asked = {condition for row in table for condition in row.when.items()}
    inside = {(name, interval): interval.holds(facts[name]) for name, interval in asked}
    for row in table:
        holds = np.ones(size, dtype=bool)
        for condition in row.when.items():
            holds &= inside[condition]
        verdicts[holds] = row.verdict
        hits += holds
    wrong = np.flatnonzero(hits != 1)
    if len(wrong):
        at = {name: int(values[wrong[0]]) for name, values in facts.items()}
        msg = f"rule {rule}: {hits[wrong[0]]} rows of its decision table hold for {at}"
        raise RunError("EN001", msg, why="The hit policy is UNIQUE", fix="Mend the template")
    return verdicts
