"""Which kinds of constraint are there? One module each; a module is found by lying in this folder.

A template module is named after its kind and holds

    Params     the parameters: a frozen pydantic model, unknown names refused
    FORMULA    the constraint as a finite-trace LTL formula (De Giacomo & Vardi 2013)
    measure    (Desk, Params) -> Measure: whole columns, no Python loop over cases
    decide     (Params) -> DecisionTable over the facts of `measure`
    describe   (Params) -> one plain sentence: what must hold
    EXPLAIN    what each fact of its decision table says, in words (`rules.templates._facts`)
    HINGES     which verdicts may be wrong where a fact is in doubt: fact -> verdicts. The facts are
               those of `process_mining.quality`, and WORDS (the case has words that its source's
               vocabulary does not map; one could be the step that seems to be missing). `actor`,
               `team` and `priority` stand there, with no verdict, where a rule reads them: it says
               UNKNOWN itself. What is not named cannot be wrong for that reason; a verdict that
               claims nothing (VACUOUS, PENDING) is not in doubt, but for PENDING under an
               undeclared order: in another one the case may be an offence already.

and a head-note that says what it does not check. A module may also hold

    UNSHOWN    verdicts that stand in its table to make it complete, and that no trace can show: a
               rule needs no example of them

`Desk` is everything that a template may read.
Modules whose name begins with an underscore are shared parts, no templates.

A rule may be one of several versions of a code, each in force for a time. A template judges only
events at which its version is in force (`Desk.judged`), whatever it reads of the others: an answer,
a predecessor, a context may lie outside. It hands the events that it judged to `Measure.judged`; a
template that judges the case as a whole hands None, for a case is judged when it ends.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Protocol, Self, cast

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from process_mining.columnar import segments
from process_mining.columnar.distinct import distinct_traces
from process_mining.quality import WORDS as WORDS  # templates name it in HINGES
from rules.service_level import METRICS, case_clock
from rules.spec import ZERO, Measure, Row, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from process_mining.alignment import CaseAlignment
    from process_mining.columnar.distinct import DistinctTraces
    from process_mining.eventlog import EventLog, Ints
    from rules.records import Records
    from rules.service_level import CaseClock, ServiceLevels
    from rules.spec import DecisionTable


CLAIMS: Final = (Verdict.CONFORMS, Verdict.VIOLATES)
VIOLATION: Final = (Verdict.VIOLATES,)
CONFORMITY: Final = (Verdict.CONFORMS,)
NOT_MEASURED: Final = -(2**63)  # in Measure.measured: of this case there is nothing to show


class _ActivityMark:
    """Marks a parameter as an activity of the practice's vocabulary, so the catalogue checks it."""


Activity = Annotated[str, Field(min_length=1), _ActivityMark()]
# Not `Activity | None`: pydantic keeps a mark inside a union out of the field's metadata.
OptionalActivity = Annotated[str | None, Field(min_length=1), _ActivityMark()]
Activities = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False), _ActivityMark()
]


class TemplateParams(BaseModel):
    """Base of every template's parameters: frozen, strict, unknown names refused.

    EXCUSES names the parameters whose activity can only excuse a case, never accuse it. BY_TRACE
    says that no rule of the template reads more than the steps of a case (see `by_trace`),
    READS_MODEL that it reads how far a case is from the reference model.
    """

    EXCUSES: ClassVar[frozenset[str]] = frozenset()
    BY_TRACE: ClassVar[bool] = False
    READS_MODEL: ClassVar[bool] = False

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def activity_fields(cls) -> tuple[str, ...]:
        """Return the parameters that hold activities."""
        return tuple(
            name
            for name, info in cls.model_fields.items()
            if any(isinstance(mark, _ActivityMark) for mark in info.metadata)
        )

    def activities(self) -> dict[str, str]:
        """Return the activity named by each parameter that holds one; of a list each by its place.

        The second of the list `pauses` stands under "pauses[1]".
        """
        found: dict[str, str] = {}
        for name in self.activity_fields():
            held = getattr(self, name)
            if isinstance(held, str):
                found[name] = held
            for place, activity in enumerate(held if isinstance(held, tuple) else ()):
                found[f"{name}[{place}]"] = activity
        return found

    def not_read(self) -> frozenset[str]:
        """Return the facts of HINGES that a rule with these parameters does not read."""
        return frozenset()

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Return what verdicts of a rule with these parameters hang on, of all in HINGES."""
        not_read = self.not_read()
        return {fact: verdicts for fact, verdicts in named.items() if fact not in not_read}

    def spoken_elsewhere(self) -> dict[str, tuple[str, str | None]]:
        """Return what parameters name of other cases than the rule's: a practice, and a word of it.

        The catalogue checks both; None is no word.
        """
        return {}

    def by_trace(self) -> bool:
        """Tell whether the rule reads of a case nothing but its steps, their order, and its end.

        Whether the case has words that the vocabulary does not map is known to it too.

        Such a rule is measured once for all cases that took the same steps.
        """
        return self.BY_TRACE

    def excuses(self) -> frozenset[str]:
        """Return the activities that can excuse a case."""
        return frozenset(a for name, a in self.activities().items() if self._may_excuse(name))

    def accused(self) -> frozenset[str]:
        """Return the activities that a rule demands or forbids."""
        return frozenset(a for name, a in self.activities().items() if not self._may_excuse(name))

    def _may_excuse(self, name: str) -> bool:
        return name.partition("[")[0] in self.EXCUSES


class TwoActivities(TemplateParams):
    """Base of parameters that name two activities, `first` and `second`, not twice the same."""

    first: Activity
    second: Activity

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.first == self.second:
            msg = "first and second are the same activity"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, eq=False)
class Desk:
    """What a template reads: one practice's cases, in that practice's words.

    `log.events.activity` is null where an event is an update and no step. `complete` says for
    each case whether it has ended; `as_of_us` is the moment at which open cases are judged.
    `alignment` holds each case's exact cost against the practice's reference model, `deviations`
    says in words what that cost is made of (null where it is 0).
    `unmapped` says for each case whether it has words that its source's vocabulary does not map
    (None: no case has). `outside` are the steps that may follow a case's end, such as asking for
    feedback. `unobserved` are the activities that the source never records. `in_force` tells for
    each event whether the rule that is being measured is in force at it (None: it always is).
    `records` are the cases of the whole log, of all practices, and the links between them.
    """

    log: EventLog
    complete: npt.NDArray[np.bool_]
    as_of_us: int
    service_levels: ServiceLevels
    alignment: CaseAlignment | None = None
    deviations: pa.Array | None = None
    unmapped: npt.NDArray[np.bool_] | None = None
    outside: frozenset[str] = frozenset()
    unobserved: frozenset[str] = frozenset()
    in_force: npt.NDArray[np.bool_] | None = None
    records: Records | None = None

    def judged(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return those of the marked events at which the rule is in force."""
        return mask if self.in_force is None else mask & self.in_force

    def mask(self, activity: str) -> npt.NDArray[np.bool_]:
        """Tell for each event whether it is a step of that activity."""
        arrays = self.log.arrays
        return np.asarray(arrays.activity == arrays.code_of(activity))

    @cached_property
    def clocks(self) -> Mapping[str, CaseClock]:
        """The service-level clock of every case, by metric; they run once for all rules."""
        return {metric: case_clock(self, metric) for metric in METRICS}

    @cached_property
    def span(self) -> Ints:
        """The first and the last moment of the log, nothing where it has no event."""
        at = self.log.arrays.at
        return np.array([at.min(), at.max()] if len(at) else [], dtype=np.int64)

    @cached_property
    def traces(self) -> DistinctTraces:
        """The distinct traces of the log, apart by what else a rule by trace may read of a case."""
        unmapped = np.zeros(self.log.n_cases, bool) if self.unmapped is None else self.unmapped
        besides = self.complete.astype(np.int64) + 2 * unmapped
        return distinct_traces(self.log.arrays, besides)

    @cached_property
    def by_trace(self) -> Desk:
        """A desk of one case for each distinct trace, for rules that read no more."""
        found = self.traces
        log = replace(
            self.log,
            events=self.log.events.take(pa.array(found.rows)),
            cases=self.log.cases.take(pa.array(found.representative)),
            links=self.log.links.slice(0, 0),
        )
        kept = found.representative
        unmapped = None if self.unmapped is None else self.unmapped[kept]
        return replace(self, log=log, complete=self.complete[kept], unmapped=unmapped)

    @cached_property
    def steps(self) -> npt.NDArray[np.bool_]:
        """Tell for each event whether it is a step of the practice itself, not one outside."""
        arrays = self.log.arrays
        steps = np.asarray(arrays.activity >= 0)
        for activity in sorted(self.outside):
            steps &= ~self.mask(activity)
        steps.flags.writeable = False  # it is shared by all rules
        return steps

    @cached_property
    def last_step(self) -> Ints:
        """The position of the last step of each case, NONE where it has none."""
        last = segments.last(self.log.arrays, self.steps)
        last.flags.writeable = False
        return last


def unobservable(desk: Desk, params: TemplateParams) -> tuple[str, ...]:
    """Return the activities that a rule demands or forbids and this log's source never records.

    Where there are any, every verdict of the rule is UNKNOWN: what a source cannot record, its
    log cannot show to be missing. Excuses do not count: a case that needs none conforms without.
    """
    return tuple(sorted(params.accused() & desk.unobserved))


def not_recorded(desk: Desk, activities: tuple[str, ...]) -> tuple[DecisionTable, Measure]:
    """Return the table and the measure that make every case UNKNOWN, and say why."""
    facts = {"recorded": np.zeros(desk.log.n_cases, dtype=np.int64)}
    table = (Row(Verdict.UNKNOWN, {"recorded": ZERO}),)
    return table, Measure(facts=facts, cause=not_recorded_cause(activities))


def not_recorded_cause(activities: Sequence[str]) -> str:
    """Say which activities the source does not record."""
    named = ", ".join(f"'{activity}'" for activity in activities)
    return f"the log's source does not record {named}"


class Template(Protocol):
    """The face of a template module."""

    Params: type[TemplateParams]
    FORMULA: str
    HINGES: Mapping[str, tuple[Verdict, ...]]
    EXPLAIN: Mapping[str, str]

    def measure(self, desk: Desk, params: Any) -> Measure:  # noqa: ANN401 - each kind has its own Params
        """Read the facts off every case."""

    def decide(self, params: Any) -> DecisionTable:  # noqa: ANN401 - the same
        """State the decision table."""

    def describe(self, params: Any) -> str:  # noqa: ANN401 - the same
        """Say what must hold."""


@cache
def templates() -> dict[str, Template]:
    """Every template by name, found by its place in this folder."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    names = [name for name in found if not name.startswith("_")]
    return {n: cast("Template", importlib.import_module(f"{__name__}.{n}")) for n in names}
