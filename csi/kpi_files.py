"""Which KPIs are there? One TOML file in `kpis/` is one KPI, read strictly.

A file's name is the KPI's code and its name. A new KPI is a new file, nothing else. A file names a
kind (csi.kpi_kinds) and sets that kind's parameters:

    code = "KPI01"                      never used again for something else
    name = "median-time-to-resolve"
    title, definition, unit, better ("lower" or "higher"), practice, case_type, kind
    only        the kind of case_type that it is about (major_incident of incident), if not all
    level       who steers by it: "strategic" (what customers and the business get, looked at by
                management each quarter), "tactical" (whether a practice does what was agreed, by
                its owner each month), "operational" (how the work goes, by a team each week)
    guardrails  codes of the KPIs to watch when this one is improved, for what it may cost
    margin      the smallest harm to it that matters, in the unit of its effect: relative change
                for times and totals, difference of shares, points
    [params]    what the kind asks for

Not checked: that the rule of a `share_of_rule` exists, for a desk may have rules of its own; one
that was not checked is said to be not measured.

Errors: ST101 unreadable or no TOML, ST102 unknown key, ST103 missing or wrong value, ST104 code
or name twice, ST105 unknown kind, ST106 wrong parameter, ST107 file name and code differ, ST108 a
file that is no KPI, ST109 a unit that the kind cannot give, ST111 a guardrail that is no KPI, or is
the KPI itself, or stands twice, ST112 an unknown case type or kind of it, ST113 a step that the
practice does not know.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from csi.evidence import TIME_COLUMNS
from csi.kpi_kinds import KINDS, Params
from process_mining.errors import CodedError, did_you_mean, raise_all
from rules.practice import load_practices
from rules.toml_file import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csi.statistics import Direction
    from rules.practice import Practice

MAX_KPI_BYTES: Final = 65_536
MOMENTS: Final = frozenset(name.removesuffix("_us") for name in TIME_COLUMNS)
CODE: Final = r"^[A-Z]{2,8}[0-9]{2,4}$"

Level = Literal["strategic", "tactical", "operational"]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


@dataclass(frozen=True)
class Kpi:
    """One KPI as its file states it; `params` is an instance of its kind's parameters.

    `only` names the kind of `case_type` that it is about (a practice that refines it), "" for all.
    """

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
    only: str = ""


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
    only: Text | None = None
    kind: Text
    params: dict[str, Any] = {}


def load_kpis(
    extra: Sequence[Path] = (), *, practices: Mapping[str, Practice] | None = None
) -> dict[str, Kpi]:
    """Load every KPI by code, in the order of codes; `extra` are further folders.

    `practices` are those that KPIs may be about (default: ours). Every mistake of every file is
    reported at once.
    """
    errors: list[CodedError] = []
    known = load_practices() if practices is None else practices
    found: list[tuple[Path, Kpi]] = []
    for path in _paths(extra, errors):
        kpi = _load(path, errors)
        if kpi is not None:
            errors += _foreign(path, kpi, known)
            found.append((path, kpi))
    _refuse_twice(found, errors)
    _refuse_guardrails(found, errors)
    raise_all(errors)
    return {kpi.code: kpi for _, kpi in sorted(found, key=lambda pair: pair[1].code)}


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
        msg = f"unknown kind '{printable(header.kind)}' in {path.name}"
        errors.append(CodedError("ST105", msg, fix=did_you_mean(header.kind, KINDS)))
        return None
    if header.unit not in kind.units:
        msg = f"unit '{printable(header.unit)}' in {path.name}: kind {header.kind} gives another"
        errors.append(CodedError("ST109", msg, fix=f"Write {' or '.join(kind.units)}"))
    try:
        params = kind.params.model_validate(header.params)
    except ValidationError as error:
        errors += [
            _wrong_param(path, kind.params, one["loc"], one["msg"]) for one in error.errors()
        ]
        return None
    given = header.model_dump(exclude={"params"})
    given["only"] = header.only or ""
    given["definition"] = " ".join(header.definition.split())
    given["guardrails"] = tuple(header.guardrails)
    return Kpi(**given, params=params)


def _mistake(path: Path, kind: str, place: tuple[int | str, ...], message: str) -> CodedError:
    where = printable(".".join(map(str, place)))
    if kind == "extra_forbidden":
        fix = did_you_mean(where, _File.model_fields)
        return CodedError("ST102", f"unknown key '{where}' in {path.name}", fix=fix)
    return CodedError(
        "ST103", f"{where} in {path.name}: {message}", fix="See csi/kpi_files.py's head"
    )


def _wrong_param(
    path: Path, model: type[Params], place: tuple[int | str, ...], message: str
) -> CodedError:
    where = printable(".".join(map(str, place)))
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


def _foreign(path: Path, kpi: Kpi, practices: Mapping[str, Practice]) -> Iterator[CodedError]:
    """Tell what a KPI names that the practice of its cases does not know."""
    types = sorted({one.case_type for one in practices.values()})
    if kpi.case_type not in types:
        msg = f"case_type '{printable(kpi.case_type)}' in {path.name} is no practice"
        yield CodedError("ST112", msg, fix=did_you_mean(kpi.case_type, types) or "Name a practice")
        return
    mine = [one for one in practices.values() if one.case_type == kpi.case_type]
    kinds = [one.name for one in mine if one.refines]
    for name in (*([kpi.only] if kpi.only else []), *kpi.params.kinds):
        if name not in kinds:
            msg = f"'{printable(name)}' in {path.name} is no kind of {kpi.case_type}"
            fix = did_you_mean(name, kinds) or f"Kinds: {', '.join(kinds) or 'none'}"
            yield CodedError("ST112", msg, fix=fix)
    words = frozenset().union(*(one.words for one in mine))
    for step in sorted(set(kpi.params.steps) - words - MOMENTS):
        msg = f"'{printable(step)}' in {path.name} is no step of {kpi.case_type}"
        fix = did_you_mean(step, sorted(words)) or "Use the words of the practice"
        yield CodedError("ST113", msg, fix=fix)
