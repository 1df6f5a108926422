"""What is one turn of the improvement loop? Its file, its windows, its folder, and its outcome.

A cycle compares two windows of one log, [start, end) in UTC on the time that a ticket was opened:
the baseline and the current one. It runs the four notebooks (measure, analyse, improve, evaluate)
through `csi.runner`; each hands its results to the next as Parquet and JSON in the cycle folder,
and `manifest.json` names every input and output with its SHA-256.

    OUT/  manifest.json  results.json  report.html
          1_measure/ 2_analyse/ 3_improve/ 4_evaluate/   what each step hands on
          notebooks/                                     the executed notebooks

Errors: CY201 for a cycle file that cannot be read, CY202 for what it states wrongly (all mistakes
at once), CY203 for a window without tickets.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from process_mining.errors import CodedError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Text = Annotated[str, Field(min_length=1, max_length=2000)]
DAY = dt.timedelta(days=1)
MAX_CYCLE_BYTES = 65_536


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(_Strict):
    """A half-open span of days, [start, end), from midnight to midnight UTC."""

    start: dt.date
    end: dt.date

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            msg = f"the window ends ({self.end}) before it has begun ({self.start})"
            raise ValueError(msg)
        return self

    @property
    def start_us(self) -> int:
        """Its first microsecond since 1970 UTC."""
        return _midnight_us(self.start)

    @property
    def end_us(self) -> int:
        """The first microsecond after it."""
        return _midnight_us(self.end)


class Plan(_Strict):
    """The improvement that this cycle evaluates; its decision rule is fixed by these values."""

    title: Text
    opportunity: Text
    hypothesis: Text
    kpi: Text
    owner: Text
    started: dt.date
    minimum_effect: Annotated[float, Field(gt=0, lt=1)]
    scope: dict[str, list[str]] = {}
    guardrails: list[str] = []


class CycleFile(_Strict):
    """What a CYCLE.toml holds; file names are relative to it."""

    log: list[str] = Field(min_length=1)
    source: str | None = None
    mapping: str | None = None
    timezone: str | None = None
    surveys: str | None = None
    targets: str | None = None
    rules: list[str] = []
    practice: str | None = None
    register_path: str = Field(default="register.sqlite", alias="register")
    report_date: dt.date
    baseline: Window
    current: Window
    improvement: Plan

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.current.start < self.baseline.end:
            msg = "the current window begins before the baseline has ended"
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class Cycle:
    """A cycle file that was read: its settings, its folder and the hash of its text."""

    path: Path
    settings: CycleFile
    sha256: str

    def file(self, name: str) -> Path:
        """Return the path of a file that the cycle names."""
        return self.path.parent / name

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files that the cycle reads, as it names them."""
        settings = self.settings
        optional = (settings.surveys, settings.targets)
        return (*settings.log, *(name for name in optional if name is not None))

    @property
    def default_out(self) -> Path:
        """The folder for the results where none is named: beside the file, by the window's end."""
        return self.path.parent / f"cycle-{self.settings.current.end.isoformat()}"

    @property
    def identity(self) -> str:
        """What makes two runs the same cycle: windows, improvement and log, by their text."""
        return self.sha256[:16]


def load_cycle(path: Path) -> Cycle:
    """Read and check a CYCLE.toml; every mistake is reported at once."""
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"cycle file {path}: {error.strerror}"
        raise CodedError(
            "CY201", msg, fix="Name a CYCLE.toml; trueloop simulate writes one"
        ) from error
    if len(data) > MAX_CYCLE_BYTES:
        raise CodedError(
            "CY201", f"cycle file {path.name} has {len(data)} bytes", fix="Keep it under 64 KiB"
        )
    try:
        settings = CycleFile.model_validate(tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CodedError(
            "CY201", f"cycle file {path.name} is no TOML: {error}", fix="Mend that line"
        ) from error
    except ValidationError as error:
        raise_all([_mistake(path.name, m["type"], m["loc"], m["msg"]) for m in error.errors()])
        raise
    return Cycle(path=path, settings=settings, sha256=hashlib.sha256(data).hexdigest())


def _mistake(file: str, kind: str, place: tuple[int | str, ...], message: str) -> CodedError:
    where = ".".join(map(str, place)) or "the whole"
    fix = did_you_mean(str(place[-1]), _names(place[:-1])) if kind == "extra_forbidden" else ""
    return CodedError("CY202", f"{where} in {file}: {message}", fix=fix or "See docs/cycle.md")


def _names(place: tuple[int | str, ...]) -> list[str]:
    tables: Mapping[str, type[BaseModel]] = {
        "baseline": Window,
        "current": Window,
        "improvement": Plan,
    }
    model = tables.get(str(place[0]), CycleFile) if place else CycleFile
    return [info.alias or name for name, info in model.model_fields.items()]


def _midnight_us(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)) // DAY * 86_400_000_000
