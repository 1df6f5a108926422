"""How high is a KPI in each segment of a window, and by how much do two segments differ?

`measure_by` parts the cases of a window by priority, category, service, team or month (UTC, of
opening; the first and last month only as far as they lie in the window). Every segment is measured
as `csi.kpi.measure` measures the whole, with its own n and interval.

`difference` compares any two sides, each a window and a scope: b - a in the KPI's unit, with limits
put together from those of both sides (csi.statistics.mover; of shares: Newcombe's method 10). Where
the windows differ, both are followed for equally long.

Suppressed and told: segments that rest on fewer than 5 cases, clocks or answers; teams of fewer
than 5 known people. There is no field for a person.

Not checked: that two sides are alike in everything else; a difference is no effect. Segments are
many looks at one window: in twenty of them one interval is expected to miss by chance.

Cost: one measurement a segment, O(n) each. Errors: ST114 an unknown field.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from csi.evidence import EVERYTHING, matched_follow_up
from csi.kpi import SEED, measurement, sample_of, seen_by
from csi.kpi_kinds import Hits, Total, estimate
from csi.statistics.mover import difference as mover
from process_mining.errors import CodedError, did_you_mean
from process_mining.privacy import SMALLEST_TEAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csi.evidence import Evidence, Ints, Scope, Span, View
    from csi.kpi import Kpi, Measurement
    from csi.kpi_kinds import Sampled

MONTH: Final = "month"
TEAM: Final = "team"
FIELDS: Final = ("priority", "category", "service", TEAM, MONTH)
SMALLEST_GROUP: Final = 5
NAMELESS: Final = "(none)"
FEWER: Final = f"fewer than {SMALLEST_GROUP}: not shown"
FEW_PEOPLE: Final = f"a team of fewer than {SMALLEST_TEAM} known people: not shown"
NO_VALUE: Final = "a side has no value"
SAME_CASES: Final = "the same tickets stand on both sides: no limits"
COLUMNS: Final = (
    *("kpi", "field", "segment", "value", "low", "high", "n", "unit", "method"),
    *("start", "end", "as_of", "suppressed", "note"),
)


@dataclass(frozen=True)
class Side:
    """The cases of one side of a difference: a window and a scope.

    `known` is the evidence as of the end of the window's follow-up. Without it the whole evidence
    is cut there by its times; its verdicts, clock states and counts are those of its own end.
    """

    window: Span
    scope: Scope = EVERYTHING
    known: Evidence | None = None


@dataclass(frozen=True)
class Difference:
    """b - a of one KPI with 95 % limits; None where it cannot be said, and `note` says why.

    A side that rests on fewer than 5 has neither value nor n.
    """

    kpi: str
    a: Measurement
    b: Measurement
    value: float | None
    low: float | None
    high: float | None
    unit: str
    method: str
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, times as ISO 8601 UTC."""
        return {**asdict(self), "a": self.a.to_dict(), "b": self.b.to_dict()}


@dataclass(frozen=True)
class _Days:
    """A part of a window."""

    start_us: int
    end_us: int


@dataclass(frozen=True, eq=False)
class _Part:
    """One segment or side: its cases, what the KPI counts there, and why it is not shown."""

    seen: View
    found: Sampled
    measured: Measurement
    hidden: str

    @property
    def shown(self) -> Measurement:
        """What may be seen of it."""
        if not self.hidden:
            return self.measured
        return replace(self.measured, value=None, low=None, high=None, n=0, note=self.hidden)

    @property
    def rows(self) -> Ints:
        """The row numbers of the cases that it rests on."""
        found: Ints = getattr(self.found, "rows", self.seen.rows)
        return found

    @property
    def ids(self) -> set[str]:
        """The ids of these cases."""
        return set(self.seen.evidence.cases["case_id"].take(self.rows))


def measure_by(  # noqa: PLR0913 - what, on what, when, by what, on whom, as of when
    kpi: Kpi,
    evidence: Evidence,
    window: Span,
    field: str,
    scope: Scope = EVERYTHING,
    *,
    as_of_us: int | None = None,
) -> pd.DataFrame:
    """Return one row a segment (see COLUMNS), sorted by segment; months in their order.

    value, low and high are in `unit`, n as in `Measurement`; all four are null where `suppressed`.
    Cases without a word are the segment "(none)", the last one. A stock (what is open) by month is
    the one at each month's end. Raises ST114 for a field that is not one of FIELDS.
    """
    if field not in FIELDS:
        msg = f"KPIs cannot be measured by '{field}'"
        fix = did_you_mean(field, FIELDS) or f"Fields: {', '.join(FIELDS)}"
        raise CodedError("ST114", msg, fix=fix)
    seen = seen_by(kpi, evidence, window, scope, as_of_us=as_of_us)
    parts = _months(kpi, seen, scope) if field == MONTH else _words(seen, field)
    rows = [
        _row(field, name, _part(kpi, part, scope.words, team=name if field == TEAM else ""))
        for name, part in parts
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types = {"n": "Int64", **dict.fromkeys(("value", "low", "high"), "float64")}
    return frame.astype(types)


def difference(kpi: Kpi, evidence: Evidence, a: Side, b: Side) -> Difference:
    """Return b - a with its limits; see the module for what is and is not compared."""
    until: tuple[int | None, int | None] = (None, None)
    if (a.window.start_us, a.window.end_us) != (b.window.start_us, b.window.end_us):
        until = matched_follow_up(evidence, a.window, b.window)
    left, right = (
        _side(kpi, evidence, side, moment) for side, moment in zip((a, b), until, strict=True)
    )
    value, low, high, note = _compared(kpi, left, right)
    return Difference(
        kpi=kpi.code,
        a=left.shown,
        b=right.shown,
        value=value,
        low=low,
        high=high,
        unit=kpi.unit,
        method=f"b - a, each side: {left.measured.method}; limits by MOVER",
        note=note,
    )


def _compared(kpi: Kpi, a: _Part, b: _Part) -> tuple[float | None, float | None, float | None, str]:
    notes = [side.shown.note or NO_VALUE for side in (a, b) if side.shown.value is None]
    if notes:
        return None, None, None, notes[0]
    found = mover(*(estimate(side.found, unit=kpi.unit, seed=SEED) for side in (a, b)))
    if not isinstance(a.found, Total) and a.ids & b.ids:
        return found.value, None, None, SAME_CASES
    if isinstance(a.found, Hits) and found.low is not None and found.high is not None:
        return found.value, max(found.low, -1.0), min(found.high, 1.0), ""
    return *found, ""


def _side(kpi: Kpi, evidence: Evidence, side: Side, as_of_us: int | None) -> _Part:
    seen = seen_by(kpi, side.known or evidence, side.window, side.scope, as_of_us=as_of_us)
    team = side.scope.team[0] if len(side.scope.team) == 1 else ""
    return _part(kpi, seen, side.scope.words, team=team)


def _part(kpi: Kpi, seen: View, words: str, *, team: str) -> _Part:
    found = sample_of(kpi, seen)
    measured = measurement(kpi, seen, found, words)
    people = seen.evidence.people.get(team, SMALLEST_TEAM)
    rows = getattr(found, "rows", None)
    cases = measured.n if rows is None else len(np.unique(rows))
    hidden = FEWER if 0 < min(measured.n, cases) < SMALLEST_GROUP else ""
    return _Part(seen, found, measured, FEW_PEOPLE if people < SMALLEST_TEAM else hidden)


def _words(seen: View, field: str) -> Iterator[tuple[str, View]]:
    """Part a view by the words of a field, those without one last."""
    column = seen.evidence.cases[field]
    mine = column.take(np.union1d(seen.rows, seen.stock))
    for word in sorted(mine.dropna().unique()):
        yield str(word), seen.narrowed((column == word).to_numpy(dtype=bool, na_value=False))
    if mine.isna().any():
        yield NAMELESS, seen.narrowed(column.isna().to_numpy(dtype=bool))


def _months(kpi: Kpi, seen: View, scope: Scope) -> Iterator[tuple[str, View]]:
    """Part a view by months; a month is cut where the window or the log ends."""
    end_us = min(seen.end_us, seen.as_of_us + 1)
    first, last = (np.datetime64(us, "us").astype("datetime64[M]") for us in _borders(seen, end_us))
    for month in np.arange(first, last + 1):
        begin, after = (
            int(one.astype("datetime64[us]").astype(np.int64)) for one in (month, month + 1)
        )
        days = _Days(max(begin, seen.start_us), min(after, seen.end_us))
        yield str(month), seen_by(kpi, seen.evidence, days, scope, as_of_us=seen.as_of_us)


def _borders(seen: View, end_us: int) -> tuple[int, int]:
    """The first and last moment at which a case of the window was opened, or the window's end."""
    opened = seen.evidence.cases["opened_us"].to_numpy(dtype=np.float64, na_value=np.nan)[seen.rows]
    if not len(opened):
        return seen.start_us, seen.start_us - 1
    return int(opened.min()), max(int(opened.max()), end_us - 1)


def _row(field: str, segment: str, part: _Part) -> dict[str, Any]:
    plain = part.shown.to_dict()
    times = {name: pd.Timestamp(plain[name]) for name in ("start", "end", "as_of")}
    hidden = bool(part.hidden)
    return {
        **{name: plain[name] for name in ("kpi", "value", "low", "high", "unit", "method", "note")},
        **times,
        "field": field,
        "segment": segment,
        "n": None if hidden else part.measured.n,
        "suppressed": hidden,
    }
