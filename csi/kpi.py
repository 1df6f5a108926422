"""Which KPIs are there, and how high is each one in a window?

One TOML file in `kpis/` is one KPI; its file name is its code and its name. A new KPI is a new
file, nothing else. A file names a kind (csi.kpi_kinds) and sets that kind's parameters:

    code = "KPI01"                      never used again for something else
    name = "median-time-to-resolve"
    title, definition, unit, better ("lower" or "higher"), practice, case_type, kind
    level       who steers by it: "strategic" (what customers and the business get, looked at by
                management each quarter), "tactical" (whether a practice does what was agreed, by
                its owner each month), "operational" (how the work goes, by a team each week)
    guardrails  codes of the KPIs to watch when this one is improved, for what it may cost
    margin      the smallest harm to it that matters, in the unit of its effect: relative change
                for times and totals, difference of shares, points
    [params]    what the kind asks for

`measure` gives the value in one window with n, interval, unit and method; `compare` the verdict on
two windows by a `DecisionRule`. Windows are half-open [start, end), UTC, on the time of opening;
cases are followed until `as_of_us`, and `compare` follows both windows for equally long.

Errors: ST101 unreadable or no TOML, ST102 unknown key, ST103 missing or wrong value, ST104 code
or name twice, ST105 unknown kind, ST106 wrong parameter, ST107 file name and code differ, ST108 a
file that is no KPI, ST109 a unit that the kind cannot give, ST110 unknown KPI, ST111 a guardrail
that is no KPI, or is the KPI itself, or stands twice.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from csi.evidence import EVERYTHING, matched_follow_up, view
from csi.kpi_kinds import KINDS, Durations, Missing, Params, compare_found, estimate
from process_mining.errors import CodedError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from csi.evidence import Evidence, Scope, Span
    from csi.kpi_kinds import Sampled
    from csi.statistics import Comparison, DecisionRule, Direction

SEED: Final = 20_240_101
MAX_KPI_BYTES: Final = 65_536
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Level = Literal["strategic", "tactical", "operational"]
CODE: Final = r"^[A-Z]{2,8}[0-9]{2,4}$"
Text = Annotated[str, Field(min_length=1, max_length=2000)]


@dataclass(frozen=True)
class Kpi:
    """One KPI as its file states it; `params` is an instance of its kind's parameters."""

    code: str
    name: str
    title: str
    definition: str
    unit: str
    better: Direction
    level: Level
    guardrails: tuple[str, ...]
    margin: float
    practice: str
    case_type: str
    kind: str
    params: Params


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


class _File(BaseModel):
    """The keys of a KPI file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    code: Annotated[str, Field(pattern=CODE)]
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    title: Text
    definition: Text
    unit: Text
    better: Literal["lower", "higher"]
    level: Level
    guardrails: Annotated[list[Annotated[str, Field(pattern=CODE)]], Field(max_length=10)] = []
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    practice: Text
    case_type: Text
    kind: Text
    params: dict[str, Any] = {}


def load_kpis(extra: Sequence[Path] = ()) -> dict[str, Kpi]:
    """Load every KPI by code, in the order of codes; `extra` are further folders.

    Every mistake of every file is reported at once.
    """
    errors: list[CodedError] = []
    found: list[tuple[Path, Kpi]] = []
    for path in _paths(extra, errors):
        kpi = _load(path, errors)
        if kpi is not None:
            found.append((path, kpi))
    _refuse_twice(found, errors)
    _refuse_guardrails(found, errors)
    raise_all(errors)
    return {kpi.code: kpi for _, kpi in sorted(found, key=lambda pair: pair[1].code)}


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
    found = sampled(kpi, evidence, window, scope, as_of_us=as_of_us)
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
        start_us=window.start_us,
        end_us=window.end_us,
        as_of_us=evidence.as_of_us if as_of_us is None else min(as_of_us, evidence.as_of_us),
        scope=scope.words,
        better=kpi.better,
        note=_note(found),
    )


def compare(  # noqa: PLR0913 - what, on what, when, when, by which rule, on whom
    kpi: Kpi,
    evidence: Evidence,
    *,
    baseline: Span,
    current: Span,
    rule: DecisionRule,
    scope: Scope = EVERYTHING,
    known_then: Evidence | None = None,
) -> Comparison:
    """Compare a KPI in two windows of one log, both followed for equally long.

    `known_then` is the evidence as of the end of the baseline's follow-up. Without it `evidence` is
    cut there by its times; its verdicts, clock states and counts are then those of its own end.
    """
    ends = matched_follow_up(evidence, baseline, current)
    before = sampled(kpi, known_then or evidence, baseline, scope, as_of_us=ends[0])
    after = sampled(kpi, evidence, current, scope, as_of_us=ends[1])
    return compare_found(before, after, rule=rule, better=kpi.better, unit=kpi.unit)


def sampled(
    kpi: Kpi,
    evidence: Evidence,
    window: Span,
    scope: Scope = EVERYTHING,
    *,
    as_of_us: int | None = None,
) -> Sampled:
    """Return what a KPI counts in a window: durations, scores, a share, a total, or a reason."""
    seen = view(evidence, case_type=kpi.case_type, window=window, scope=scope, as_of_us=as_of_us)
    return KINDS[kpi.kind].sample(seen, kpi.params)


def to_pandas(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """Return one row a measurement, with windows as UTC timestamps."""
    frame = pd.DataFrame([asdict(one) for one in measurements])
    for name in ("start", "end", "as_of"):
        if len(frame):
            frame[name] = pd.to_datetime(frame.pop(f"{name}_us"), unit="us", utc=True)
    return frame


def _note(found: Sampled) -> str:
    if isinstance(found, Missing):
        return found.reason
    if isinstance(found, Durations) and found.censored.any():
        return f"{int(np.sum(found.censored))} of {len(found.hours)} had not got there: censored"
    return ""


def _iso(at_us: int) -> str:
    return (EPOCH + dt.timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")


def _paths(extra: Sequence[Path], errors: list[CodedError]) -> list[Path]:
    """Every KPI file; a file of another kind in the folder is a mistake, not ignored."""
    paths = []
    for folder in (Path(str(files("csi") / "kpis")), *extra):
        if not folder.is_dir():
            errors.append(CodedError("ST101", f"no folder {folder}", fix="Name a folder of KPIs"))
            continue
        for path in sorted(folder.iterdir()):
            if path.suffix == ".toml":
                paths.append(path)
            elif path.name not in ("__pycache__", "__init__.py"):
                fix = "Keep only KPI files (.toml) there"
                errors.append(CodedError("ST108", f"{path.name} in kpis is no KPI", fix=fix))
    return paths


def _load(path: Path, errors: list[CodedError]) -> Kpi | None:
    try:
        header = _File.model_validate(tomllib.loads(_text(path)))
    except ValidationError as error:
        errors += [_mistake(path, one["type"], one["loc"], one["msg"]) for one in error.errors()]
        return None
    except (OSError, ValueError, RecursionError) as error:  # no TOML is a ValueError too
        msg = f"KPI file {path.name} cannot be read: {error}"
        errors.append(CodedError("ST101", msg, fix="Write it as TOML in UTF-8, under 64 KiB"))
        return None
    return _with_params(path, header, errors)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_KPI_BYTES + 1)
    if len(data) > MAX_KPI_BYTES:
        raise ValueError(f"it has over {MAX_KPI_BYTES} bytes")
    return data.decode()


def _with_params(path: Path, header: _File, errors: list[CodedError]) -> Kpi | None:
    expected = f"{header.code}_{header.name.replace('-', '_')}.toml"
    if path.name != expected:
        msg = f"KPI file {path.name} holds {header.code} {header.name}"
        errors.append(CodedError("ST107", msg, fix=f"Call it {expected}"))
    kind = KINDS.get(header.kind)
    if kind is None:
        msg = f"unknown kind '{header.kind}' in {path.name}"
        errors.append(CodedError("ST105", msg, fix=did_you_mean(header.kind, KINDS)))
        return None
    if header.unit not in kind.units:
        msg = f"unit '{header.unit}' in {path.name}: kind {header.kind} gives another"
        errors.append(CodedError("ST109", msg, fix=f"Write {' or '.join(kind.units)}"))
    try:
        params = kind.params.model_validate(header.params)
    except ValidationError as error:
        errors += [
            _wrong_param(path, kind.params, one["loc"], one["msg"]) for one in error.errors()
        ]
        return None
    given = header.model_dump(exclude={"params"})
    given["definition"] = " ".join(header.definition.split())
    given["guardrails"] = tuple(header.guardrails)
    return Kpi(**given, params=params)


def _mistake(path: Path, kind: str, place: tuple[int | str, ...], message: str) -> CodedError:
    where = ".".join(map(str, place))
    if kind == "extra_forbidden":
        fix = did_you_mean(where, _File.model_fields)
        return CodedError("ST102", f"unknown key '{where}' in {path.name}", fix=fix)
    return CodedError("ST103", f"{where} in {path.name}: {message}", fix="See csi/kpi.py's head")


def _wrong_param(
    path: Path, model: type[Params], place: tuple[int | str, ...], message: str
) -> CodedError:
    where = ".".join(map(str, place))
    known = [info.alias or name for name, info in model.model_fields.items()]
    fix = did_you_mean(where, known) if where not in known else f"Parameters: {', '.join(known)}"
    return CodedError(
        "ST106", f"params.{where} in {path.name}: {message}", fix=fix or "Leave [params] empty"
    )


def _refuse_twice(found: Sequence[tuple[Path, Kpi]], errors: list[CodedError]) -> None:
    seen: dict[str, Path] = {}
    for path, kpi in found:
        for word in (kpi.code, kpi.name):
            if word in seen:
                msg = f"'{word}' stands in {seen[word].name} and in {path.name}"
                errors.append(CodedError("ST104", msg, fix="Give each KPI its own code and name"))
            seen[word] = path


def _refuse_guardrails(found: Sequence[tuple[Path, Kpi]], errors: list[CodedError]) -> None:
    codes = {kpi.code for _, kpi in found}
    for path, kpi in found:
        for code in sorted(set(kpi.guardrails)):
            where, fix = f"guardrail {code} in {path.name}", "Name another KPI, each once"
            if code not in codes:
                fix = did_you_mean(code, codes) or "Name the code of a KPI"
                errors.append(CodedError("ST111", f"{where} is no KPI", fix=fix))
            elif code == kpi.code:
                errors.append(CodedError("ST111", f"{where} is the KPI itself", fix=fix))
            elif kpi.guardrails.count(code) > 1:
                errors.append(CodedError("ST111", f"{where} stands twice", fix=fix))
