"""Which KPIs are there, and how high is each one in a window?

The files of `kpis/` say what they are (csi.kpi_files), their kinds how each is counted
(csi.kpi_kinds).

`measure` gives the value in one window with n, interval, unit and method. Windows are half-open
[start, end), UTC, on the time of opening; cases are followed until `as_of_us`.

Errors: ST110 unknown KPI; those of the files.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from csi.evidence import EVERYTHING, kinds_of, view
from csi.kpi_files import Kpi, load_kpis
from csi.kpi_kinds import KINDS, Durations, Missing, Rate, Total, estimate
from process_mining.errors import CodedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from csi.evidence import Evidence, Scope, Span, View
    from csi.kpi_kinds import Sampled
    from csi.statistics import Direction

__all__ = [
    "SEED",
    "Kpi",
    "Measurement",
    "load_kpis",
    "measure",
    "measurement",
    "pick",
    "sample_of",
    "sampled",
    "seen_by",
    "to_pandas",
]

SEED: Final = 20_240_101
NOTHING: Final = "nothing in the window that it counts"
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Measurement:
    """A KPI in one window: value, 95 % interval, n, unit, method; None where it cannot be said."""

    kpi: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    method: str
    start_us: int
    end_us: int
    as_of_us: int
    scope: str
    better: Direction
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, times as ISO 8601 UTC."""
        plain = asdict(self)
        for name in ("start", "end", "as_of"):
            plain[name] = _iso(plain.pop(f"{name}_us"))
        return plain


def pick(kpis: Mapping[str, Kpi], word: str) -> Kpi:
    """Return the KPI with this code or name."""
    by_name = {kpi.name: kpi for kpi in kpis.values()}
    if word in kpis or word in by_name:
        return kpis[word] if word in kpis else by_name[word]
    fix = did_you_mean(word, [*kpis, *by_name])
    raise CodedError("ST110", f"there is no KPI '{word}'", fix=fix)


def measure(
    kpi: Kpi,
    evidence: Evidence,
    window: Span,
    scope: Scope = EVERYTHING,
    *,
    as_of_us: int | None = None,
) -> Measurement:
    """Measure a KPI on the cases opened in a window, as known at `as_of_us` or the log's end."""
    seen = seen_by(kpi, evidence, window, scope, as_of_us=as_of_us)
    return measurement(kpi, seen, sample_of(kpi, seen), scope.words)


def measurement(kpi: Kpi, seen: View, found: Sampled, words: str) -> Measurement:
    """Estimate what a KPI has found among the cases of a view; `words` say which they are."""
    result = estimate(found, unit=kpi.unit, seed=SEED)
    return Measurement(
        kpi=kpi.code,
        title=kpi.title,
        value=result.value,
        low=result.low,
        high=result.high,
        n=result.n,
        unit=result.unit,
        method=result.method,
        start_us=seen.start_us,
        end_us=seen.end_us,
        as_of_us=seen.as_of_us,
        scope=words,
        better=kpi.better,
        note=_note(found, result.n),
    )


def sampled(
    kpi: Kpi,
    evidence: Evidence,
    window: Span,
    scope: Scope = EVERYTHING,
    *,
    as_of_us: int | None = None,
) -> Sampled:
    """Return what a KPI counts in a window: durations, scores, a share, a total, or a reason."""
    return sample_of(kpi, seen_by(kpi, evidence, window, scope, as_of_us=as_of_us))


def seen_by(
    kpi: Kpi,
    evidence: Evidence,
    window: Span,
    scope: Scope = EVERYTHING,
    *,
    as_of_us: int | None = None,
) -> View:
    """Return the cases that a KPI is about, in a window and scope."""
    return view(
        evidence,
        case_type=kpi.case_type,
        only=kpi.only,
        window=window,
        scope=scope,
        as_of_us=as_of_us,
    )


def sample_of(kpi: Kpi, seen: View) -> Sampled:
    """Return what a KPI counts among the cases of a view."""
    if kpi.only and kpi.only not in set(kinds_of(seen.evidence.cases)):
        return Missing(f"no case is known to be a {kpi.only}")
    return KINDS[kpi.kind].sample(seen, kpi.params)


def to_pandas(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """Return one row a measurement, with windows as UTC timestamps."""
    frame = pd.DataFrame([asdict(one) for one in measurements])
    for name in ("start", "end", "as_of"):
        if len(frame):
            frame[name] = pd.to_datetime(frame.pop(f"{name}_us"), unit="us", utc=True)
    return frame


def _note(found: Sampled, n: int) -> str:
    if isinstance(found, Missing):
        return found.reason
    if isinstance(found, Durations) and found.censored.any():
        return f"{int(np.sum(found.censored))} of {len(found.hours)} had not got there: censored"
    return NOTHING if n == 0 and not isinstance(found, Rate | Total) else ""


def _iso(at_us: int) -> str:
    return (EPOCH + dt.timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
