"""What is known about each case when a KPI is measured?

`Evidence` is one table of cases with what the KPIs read, plus verdicts, service-level clocks and
surveys. It is plain on purpose: an audit fills it, a notebook can fill it by hand. Times are int64
microseconds UTC; null means "has not happened".

`View` is the part of it that one measurement looks at: the cases of one case type, opened in a
half-open window [start, end), within a scope, as they were known at `as_of_us`. What happened after
that moment is treated as not yet happened, so that two windows can be followed for equally
long (`matched_follow_up`).

Errors: ST201 missing columns, ST202 a case twice, ST203 lengths that differ, ST204 no time zone,
ST205 an unknown field in a scope.

Beside six moments that every practice may have, `steps` tells when each case first did what: an
activity is asked for by its name ("Implement"). What a log cannot tell (`untold`: its tool has no
word for it) is not known, which is not the same as never done.

Not rewound: verdicts, clock states and hand-over counts are those of the evidence's own as-of; a
cycle therefore judges the log anew for each window (`csi.stages`, `Loop.known`). Scopes have no
field for a person, so no KPI is about one (law 6: people are protected).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd

from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all
from rules.check import NOT_JUDGED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

OPENED: Final = "opened_us"
# opened: registered. first_response: somebody took it up. root_cause: of a problem. resolved: the
# last Resolve (a request: Fulfil), null while open again. closed: the end, by whatever step.
# reopened: the first work after a resolution.
TIME_COLUMNS: Final = (
    OPENED,
    "first_response_us",
    "root_cause_us",
    "resolved_us",
    "closed_us",
    "reopened_us",
)
COUNT_COLUMNS: Final = ("handovers",)
WORD_COLUMNS: Final = ("case_id", "case_type", "priority", "category", "service", "team")
CASE_COLUMNS: Final = WORD_COLUMNS + TIME_COLUMNS + COUNT_COLUMNS
CLOCK_COLUMNS: Final = ("case_id", "metric", "status")
STEP_COLUMNS: Final = ("case_id", "activity", "first_us")
# what a hand-made table may lack: the practice that judged a case, whose promise a clock is, and
# whether it was met by pausing alone
PRACTICE: Final = "practice"
AGREEMENT: Final = "agreement"
BY_PAUSING: Final = "by_pausing"
SURVEY_COLUMNS: Final = ("ticket", "asked_at", "answered_at", "score")


class Span(Protocol):
    """A half-open window [start_us, end_us), UTC."""

    @property
    def start_us(self) -> int:
        """First microsecond inside."""

    @property
    def end_us(self) -> int:
        """First microsecond after it."""


@dataclass(frozen=True)
class Scope:
    """Which cases count: in each field that is given, the case's word must be among those named."""

    priority: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    team: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Sequence[str]]) -> Scope:
        """Read a scope from a mapping such as {"priority": ["P1", "P2"]}."""
        known = [one.name for one in fields(cls)]
        for name in sorted(set(given) - set(known)):
            raise CodedError("ST205", f"unknown field '{name}' in a scope", fix=_near(name, known))
        named = {name: tuple(sorted(words)) for name, words in given.items()}
        return cls(
            priority=named.get("priority", ()),
            category=named.get("category", ()),
            service=named.get("service", ()),
            team=named.get("team", ()),
        )

    def filters(self) -> dict[str, tuple[str, ...]]:
        """Return the fields that are given."""
        every = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: words for name, words in every.items() if words}

    @property
    def words(self) -> str:
        """The scope in words: "all" or "priority P1, P2; team Desk"."""
        parts = [f"{name} {', '.join(words)}" for name, words in self.filters().items()]
        return "; ".join(parts) or "all"


EVERYTHING: Final = Scope()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the KPIs read; build it once for each audit.

    `cases`: one row a case with CASE_COLUMNS; times int64 µs UTC or null, `handovers` an integer.
    `practice` besides names a kind of its case type (major_incident), where that is known.
    `verdicts`: for each rule code an int8 array of `rules.spec.Verdict`, one a row of `cases`, or
    NOT_JUDGED where the rule is about another kind of case.
    `clocks`: case_id, metric (`rules.service_level.METRICS`), status ("met", "breached", others);
    `agreement` besides (without it all are promised to customers: "SLA"), and `by_pausing`, whether
    a clock would not have been met had its pauses counted.
    `surveys`: ticket (a case_id), asked_at, answered_at (null: no answer), score (null: no answer);
    times as UTC timestamps or int64 µs. None where the log came without.
    `as_of_us`: the moment up to which the log knows; open cases are censored there.
    `steps`: case_id, activity (in the practice's words), first_us: when the case first did it.
    `untold`: for a case type, the moments and activities that the log cannot tell.
    `people`: how many known people acted for each team; a team without any is left out.
    """

    cases: pd.DataFrame
    as_of_us: int
    verdicts: Mapping[str, npt.NDArray[np.int8]] = field(default_factory=dict)
    clocks: pd.DataFrame | None = None
    surveys: pd.DataFrame | None = None
    steps: pd.DataFrame | None = None
    untold: Mapping[str, frozenset[str]] = field(default_factory=dict)
    people: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be measured, all at once."""
        raise_all(
            [
                *_missing(self.cases, CASE_COLUMNS, "cases"),
                *_missing(self.clocks, CLOCK_COLUMNS, "clocks"),
                *_missing(self.surveys, SURVEY_COLUMNS, "surveys"),
                *_missing(self.steps, STEP_COLUMNS, "steps"),
            ]
        )
        twice = self.cases["case_id"].duplicated()
        if twice.any():
            msg = f"case '{self.cases.loc[twice, 'case_id'].min()}' stands twice in the evidence"
            raise RunError("ST202", msg, fix="Give one row a case")
        for code, array in sorted(self.verdicts.items()):
            if len(array) != len(self.cases):
                msg = f"{len(array)} verdicts of {code} for {len(self.cases)} cases"
                raise RunError("ST203", msg, fix="Give one verdict a row of cases, in their order")

    @cached_property
    def _ids(self) -> pd.Index[Any]:
        ids: pd.Index[Any] = pd.Index(self.cases["case_id"])
        return ids

    def rows_of(self, ids: pd.Series) -> Ints:
        """Return the row number of each case by its id, -1 for one that is not there."""
        return self._ids.get_indexer(pd.Index(ids)).astype(np.int64)

    def first_time(self, activity: str) -> Floats:
        """Return when each case first did something, NaN where never; µs UTC."""
        at = np.full(len(self.cases), np.nan)
        if self.steps is not None:
            mine = self.steps[self.steps["activity"] == activity]
            row = self.rows_of(mine["case_id"])
            times = mine["first_us"].to_numpy(dtype=np.float64, na_value=np.nan)
            np.fmin.at(at, row[row >= 0], times[row >= 0])
        return at

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """Put the evidence of several practices together.

        A rule that a part does not know was not asked about its cases (NOT_JUDGED).
        """
        codes = sorted({code for part in parts for code in part.verdicts})
        return cls(
            cases=pd.concat([part.cases for part in parts], ignore_index=True),
            as_of_us=max(part.as_of_us for part in parts),
            verdicts={
                code: np.concatenate([_verdicts_of(part, code) for part in parts]) for code in codes
            },
            clocks=_stacked([part.clocks for part in parts]),
            surveys=_stacked([part.surveys for part in parts]),
            steps=_stacked([part.steps for part in parts]),
            untold={
                name: frozenset().union(*(part.untold.get(name, frozenset()) for part in parts))
                for name in sorted({name for part in parts for name in part.untold})
            },
            people={team: n for part in parts for team, n in part.people.items()},
        )


@dataclass(frozen=True, eq=False)
class View:
    """The rows of `evidence.cases` that one measurement looks at, as known at `as_of_us`.

    `rows` are the cases opened in the window; `stock` those opened before its end, whenever.
    """

    evidence: Evidence
    case_type: str
    rows: Ints
    stock: Ints
    start_us: int
    end_us: int
    as_of_us: int

    def times(self, name: str, rows: Ints | None = None) -> Floats:
        """Return when a moment came or an activity first happened, NaN where not by `as_of_us`."""
        if f"{name}_us" in TIME_COLUMNS:
            every = _column(self.evidence.cases, f"{name}_us")
        else:
            every = self.evidence.first_time(name)
        at = every[self.rows if rows is None else rows]
        return np.where(at <= self.as_of_us, at, np.nan)

    def narrowed(self, mask: Bools) -> View:
        """Return the same view of the cases that a mask over `evidence.cases` leaves."""
        return replace(self, rows=self.rows[mask[self.rows]], stock=self.stock[mask[self.stock]])

    def untold(self, *names: str) -> str:
        """Return the first of these moments and activities that the log cannot tell, or ""."""
        hidden = self.evidence.untold.get(self.case_type, frozenset())
        bare = self.evidence.steps is None
        for name in names:
            if name in hidden or (bare and f"{name}_us" not in TIME_COLUMNS):
                return name
        return ""

    def places(self, ids: pd.Series) -> Ints:
        """Return each id's place in `rows`, -1 for a case that is not among them."""
        row = self.evidence.rows_of(ids)
        found = np.full(len(self.evidence.cases) + 1, -1, dtype=np.int64)
        found[self.rows] = np.arange(len(self.rows))
        return found[row]  # row -1, an unknown id, is the last one

    @property
    def days(self) -> Ints:
        """The UTC day of opening of each case: the clusters of the bootstrap."""
        opened = _column(self.evidence.cases, OPENED)[self.rows]
        return np.floor_divide(opened, s.US_PER_DAY).astype(np.int64)


def view(  # noqa: PLR0913 - which cases, in five ways
    evidence: Evidence,
    *,
    case_type: str,
    window: Span,
    only: str = "",
    scope: Scope = EVERYTHING,
    as_of_us: int | None = None,
) -> View:
    """Choose the cases of a window and scope; `only` those of one kind (a practice's name)."""
    cases = evidence.cases
    until = evidence.as_of_us if as_of_us is None else min(as_of_us, evidence.as_of_us)
    opened = _column(cases, OPENED)
    chosen = (cases["case_type"] == case_type).to_numpy(dtype=bool, na_value=False)
    if only:
        chosen = chosen & kinds_of(cases).isin([only]).to_numpy(dtype=bool)
    for name, words in scope.filters().items():
        chosen = chosen & cases[name].isin(words).to_numpy(dtype=bool)
    stock = chosen & (opened < window.end_us) & (opened <= until)
    return View(
        evidence=evidence,
        case_type=case_type,
        rows=np.flatnonzero(stock & (opened >= window.start_us)),
        stock=np.flatnonzero(stock),
        start_us=window.start_us,
        end_us=window.end_us,
        as_of_us=until,
    )


def kinds_of(cases: pd.DataFrame) -> pd.Series:
    """Return the practice of each case; its case type where no kind of it is known."""
    if PRACTICE not in cases.columns:
        return cases["case_type"]
    return cases[PRACTICE].where(cases[PRACTICE].notna(), cases["case_type"])


def matched_follow_up(evidence: Evidence, baseline: Span, current: Span) -> tuple[int, int]:
    """Return an `as_of_us` for each window, so that both are followed for equally long.

    Follow-up is counted from the end of a window to the end of the log. The later window has less
    of it; the earlier one is cut to the same, or its tickets would look better resolved, more
    reopened and more often answered by time alone.
    """
    follow = evidence.as_of_us - max(baseline.end_us, current.end_us)
    return baseline.end_us + follow, current.end_us + follow


def to_us(column: pd.Series, name: str) -> Floats:
    """Return times as float64 µs UTC with NaN for null; naive timestamps are refused."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        zone = getattr(column.dt, "tz", None)
        if zone is None:
            msg = f"column {name} of the surveys has no time zone"
            raise RunError("ST204", msg, fix="Give UTC timestamps")
        since = column - pd.Timestamp(0, tz="UTC")
        return np.asarray(since / pd.Timedelta(microseconds=1), dtype=np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _column(cases: pd.DataFrame, name: str) -> Floats:
    """Whole µs below 2**53 are exact in float64 (until the year 2255); null is NaN."""
    return cases[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _missing(table: pd.DataFrame | None, columns: Sequence[str], name: str) -> list[CodedError]:
    absent = [] if table is None else [one for one in columns if one not in table.columns]
    return [
        RunError("ST201", f"the evidence's {name} have no column {one}", fix="Add it; null is fine")
        for one in absent
    ]


def _verdicts_of(part: Evidence, code: str) -> npt.NDArray[np.int8]:
    if code in part.verdicts:
        return part.verdicts[code]
    return np.full(len(part.cases), NOT_JUDGED, dtype=np.int8)


def _stacked(tables: Sequence[pd.DataFrame | None]) -> pd.DataFrame | None:
    present = [table for table in tables if table is not None]
    return pd.concat(present, ignore_index=True) if present else None


def _near(name: str, known: Sequence[str]) -> str:
    return did_you_mean(name, known)
