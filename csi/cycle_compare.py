"""How do two cycles differ? Their current windows side by side: every KPI and every rule.

For each KPI and for each rule's rate of conforming: both values with interval and n, and b - a with
limits put together from those of both (csi.statistics.mover: MOVER, of shares Newcombe's method
10). Where the two windows overlap, the same tickets may stand on both sides: the samples are not
independent, and no limits are given. Where a KPI or a rule says something else than it did, the
values are not alike, and no difference is given.

No verdict: no rule was fixed beforehand, and of many intervals at 95 % one in twenty is expected to
miss by chance. Not checked: that both cycles are about the same desk; that the tickets are alike;
outages and rosters that tickets of one week share, which make the limits too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from csi.statistics.mover import difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csi.cycle_history import Turn

OVERLAP: Final = (
    "The two windows overlap: the same tickets may stand on both sides, so the samples are not "
    "independent, and no interval of the difference is given."
)
APART: Final = "The two windows do not overlap; their tickets are taken as independent samples."
MANY: Final = (
    "No verdict rests on this: no rule was fixed beforehand, and of the {n} intervals, each at "
    "95 %, about {by_chance} would leave out no change by chance."
)
CHANGED: Final = "its definition has changed: the values are not alike"
ONE_SIDED: Final = "only one of the two cycles has it"
NO_VALUE: Final = "one of the two has no value"
MISS: Final = 0.05


class _Limits(NamedTuple):
    value: float | None
    low: float | None
    high: float | None


_NONE: Final = _Limits(None, None, None)


@dataclass(frozen=True)
class Row:
    """A KPI or a rule in both cycles; `difference` is b - a in `unit`, None where `note` says why.

    `violates` are the counts of both, of a rule; None of a KPI.
    """

    code: str
    title: str
    unit: str
    better: str
    a: _Limits
    b: _Limits
    n: tuple[int, int]
    difference: _Limits
    note: str = ""
    violates: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        plain: dict[str, Any] = {
            "code": self.code,
            "title": self.title,
            "unit": self.unit,
            "better": self.better,
            "a": {**self.a._asdict(), "n": self.n[0]},
            "b": {**self.b._asdict(), "n": self.n[1]},
            "difference": self.difference._asdict(),
            "note": self.note,
        }
        if self.violates is not None:
            plain["violates"] = list(self.violates)
        return plain


@dataclass(frozen=True)
class Compared:
    """Two cycles side by side; `changed` names what says something else in `b` than in `a`."""

    a: Turn
    b: Turn
    independent: bool
    kpis: tuple[Row, ...]
    rules: tuple[Row, ...]
    changed: Mapping[str, tuple[str, ...]]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What must be known to read the rows."""
        n = sum(row.difference.low is not None for row in (*self.kpis, *self.rules))
        said = [APART if self.independent else OVERLAP]
        if n:
            said.append(MANY.format(n=n, by_chance=round(MISS * n)))
        names = {"kpis": "KPIs", "rules": "rules"}
        said += [
            f"Changed since: {names[kind]} {', '.join(codes)}."
            for kind, codes in self.changed.items()
            if codes
        ]
        if self.a.definitions.trueloop != self.b.definitions.trueloop:
            versions = f"{self.a.definitions.trueloop} and {self.b.definitions.trueloop}"
            said.append(f"The cycles were run by trueloop {versions}.")
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "a": side_of(self.a),
            "b": side_of(self.b),
            "independent": self.independent,
            "sentences": list(self.sentences),
            "kpis": [row.to_dict() for row in self.kpis],
            "rules": [row.to_dict() for row in self.rules],
            "changed": {kind: list(codes) for kind, codes in self.changed.items()},
        }


def side_of(turn: Turn) -> dict[str, Any]:
    """Return what names a cycle: windows, outcome, verdicts, hashes."""
    named = ("window", "report_date", "outcome", "verdicts", "cycle_sha256", "log_sha256")
    return turn.model_dump(mode="json", include={*named, "results_sha256"})


def compare(a: Turn, b: Turn) -> Compared:
    """Put two cycles side by side, KPIs and rules by code."""
    independent = not a.current.overlaps(b.current)
    changed = {
        "kpis": _changed(a.definitions.kpis, b.definitions.kpis),
        "rules": _changed(a.definitions.rules, b.definitions.rules),
    }
    return Compared(
        a=a,
        b=b,
        independent=independent,
        kpis=_rows(_kpis(a), _kpis(b), changed["kpis"], independent=independent),
        rules=_rows(_rules(a), _rules(b), changed["rules"], independent=independent),
        changed=changed,
    )


class _Side(NamedTuple):
    """A KPI or a rule in one cycle."""

    title: str
    unit: str
    better: str
    limits: _Limits
    n: int
    violates: int | None = None


def _kpis(turn: Turn) -> dict[str, _Side]:
    return {
        row.kpi: _Side(
            row.title, row.unit, row.better, _Limits(row.value, row.low, row.high), row.n
        )
        for row in turn.kpis
    }


def _rules(turn: Turn) -> dict[str, _Side]:
    return {
        row.code: _Side(
            row.title,
            "share",
            "higher",
            _Limits(row.rate, row.low, row.high),
            row.conforms + row.violates,
            row.violates,
        )
        for row in turn.rules
    }


def _changed(a: Mapping[str, str], b: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(code for code in set(a) & set(b) if a[code] != b[code]))


def _rows(
    a: Mapping[str, _Side], b: Mapping[str, _Side], changed: tuple[str, ...], *, independent: bool
) -> tuple[Row, ...]:
    rows = []
    for code in sorted({*a, *b}):
        sides = a.get(code), b.get(code)
        said = sides[1] or sides[0] or _Side("", "", "", _NONE, 0)
        before, after = (side or said._replace(limits=_NONE, n=0, violates=0) for side in sides)
        note = _obstacle(*sides, changed=code in changed)
        rows.append(
            Row(
                code=code,
                title=said.title,
                unit=said.unit,
                better=said.better,
                a=before.limits,
                b=after.limits,
                n=(before.n, after.n),
                difference=_NONE if note else _apart(before, after, independent=independent),
                note=note,
                violates=None
                if said.violates is None
                else (before.violates or 0, after.violates or 0),
            )
        )
    return tuple(rows)


def _obstacle(a: _Side | None, b: _Side | None, *, changed: bool) -> str:
    """Say why there is no difference, or nothing."""
    if a is None or b is None:
        return ONE_SIDED
    if changed or a.unit != b.unit:
        return CHANGED
    return NO_VALUE if a.limits.value is None or b.limits.value is None else ""


def _apart(a: _Side, b: _Side, *, independent: bool) -> _Limits:
    value, low, high = difference(a.limits, b.limits)
    return _Limits(value, low, high) if independent else _Limits(value, None, None)
