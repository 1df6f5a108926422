"""What is one turn of the improvement loop? Its file, its windows, its folder, and its outcome.

A cycle compares two windows of one log, [start, end) in UTC on the time that a ticket was opened:
the baseline and the current one. It runs the four notebooks (measure, analyse, improve, evaluate)
through `csi.runner`; each hands its results to the next as Parquet and JSON in the cycle folder,
and `manifest.json` names every input and output with its SHA-256.

It may evaluate an improvement that the file states (`[improvement]`), one that the register holds
already (`entry`), or none.

    OUT/  manifest.json  results.json  report.html
          1_measure/ 2_analyse/ 3_improve/ 4_evaluate/   what each step hands on
          notebooks/                                     the executed notebooks

Errors: CY201 for a cycle file that cannot be read, CY202 for what it states wrongly (all mistakes
at once). What shows only against the files that it names is found by `csi.stages.Loop.check`,
before anything runs or is registered: CY203 a window without tickets, CY204 an input that cannot
be read, CY205 a scope that matches no ticket, CY206 the metric as its own guardrail, CY207 a KPI of
which the log holds no ticket, CY208 a log that ends too early, CY209 an entry that cannot be
evaluated on this log, CY210 a scope of which neither window holds a ticket, CY211 a report date
that cannot be, CY212 a register's URL with a password where it would be kept.

That there is nothing to measure (yet) is no mistake: `NO_DATA` names the codes that
`csi.cycle_run` turns into an outcome of its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from csi.evidence import Scope
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources import find_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DAY: Final = dt.timedelta(days=1)
NEWEST_DAY: Final = dt.date(2199, 12, 31)
MAX_CYCLE_BYTES: Final = 65_536
# Windows without tickets, a log that ends too early, nobody in the scope, an empty log.
NO_DATA: Final = frozenset({"CY203", "CY208", "CY210", "LG014", "LG034"})
SCOPE_FIELDS: Final = tuple(sorted(field.name for field in fields(Scope)))


def _scope_field(name: str) -> str:
    if name not in SCOPE_FIELDS:
        msg = f"there is no such field in a scope. {did_you_mean(name, SCOPE_FIELDS)}"
        raise ValueError(msg)
    return name


def _no_control(text: str) -> str:
    """Refuse what no person types: NUL breaks paths and PostgreSQL, the rest breaks terminals."""
    if any(
        (character < " " and character not in "\n\t") or character == "\x7f" for character in text
    ):
        msg = "it holds a control character"
        raise ValueError(msg)
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        msg = "it holds a line end or a tab"
        raise ValueError(msg)
    return _no_control(text)


Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_no_control)]
Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
# A path or, for the register, a URL.
Name = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]
EntryId = Annotated[str, Field(pattern=r"^IMP-[0-9]{4,9}$")]
Margin = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Day = Annotated[dt.date, Field(ge=dt.date(1970, 1, 1), le=NEWEST_DAY)]
ScopeField = Annotated[str, AfterValidator(_scope_field)]
ScopeWords = Annotated[list[Text], Field(min_length=1)]


class _Order(NamedTuple):
    """Two days of a cycle file, by their places; `apart` where they may not be the same day."""

    earlier: str
    later: str
    apart: bool = False


# Checked on the raw file, so that these mistakes are named together with all others.
ORDERS: Final = (
    _Order("baseline.start", "baseline.end", apart=True),
    _Order("baseline.end", "current.start"),
    _Order("current.start", "current.end", apart=True),
    _Order("current.end", "report_date"),
    _Order("baseline.start", "improvement.started"),
    _Order("improvement.started", "current.end"),
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(_Strict):
    """A half-open span of days, [start, end), from midnight to midnight UTC."""

    start: Day
    end: Day

    @property
    def start_us(self) -> int:
        """Its first microsecond since 1970 UTC."""
        return _midnight_us(self.start)

    @property
    def end_us(self) -> int:
        """The first microsecond after it."""
        return _midnight_us(self.end)


class Plan(_Strict):
    """The improvement that this cycle evaluates; its decision rule is fixed by these values.

    `comparison` says which tickets the change does not touch. `also` names further KPIs that are
    judged together with `kpi`. `margins` gives, for a guardrail, the smallest harm that matters.
    """

    title: Text
    opportunity: Text
    hypothesis: Text
    kpi: Word
    owner: Text
    started: Day
    minimum_effect: Annotated[float, Field(ge=0.001, lt=1)]
    scope: dict[ScopeField, ScopeWords] = {}
    comparison: dict[ScopeField, ScopeWords] = {}
    guardrails: list[Word] = []
    also: list[Word] = []
    margins: dict[Word, Margin] = {}


class CycleFile(_Strict):
    """What a CYCLE.toml holds; file names are relative to it."""

    log: list[Name] = Field(min_length=1)
    source: Word | None = None
    mapping: Name | None = None
    timezone: Word | None = None
    surveys: Name | None = None
    targets: Name | None = None
    rules: list[Name] = []
    practice: Word | None = None
    object_types: list[Word] = []
    allow: list[Word] = []
    register_path: Name = Field(default="register.sqlite", alias="register")
    report_date: Day
    baseline: Window
    current: Window
    improvement: Plan | None = None
    entry: EntryId | None = None


@dataclass(frozen=True)
class Cycle:
    """A cycle file that was read: its settings, its folder and the hash of its text.

    `register_given` is the register that stands in for the one of the file, if one does.
    """

    path: Path
    settings: CycleFile
    sha256: str
    register_given: str = ""

    def file(self, name: str) -> Path:
        """Return the path of a file that the cycle names."""
        return self.path.parent / name

    @property
    def inputs(self) -> dict[str, Path]:
        """Every file that the cycle reads, by its name there; rules by folder and name below it."""
        settings = self.settings
        single = (*settings.log, settings.surveys, settings.targets)
        named = {name: self.file(name) for name in single if name is not None}
        for folder in settings.rules:
            named |= _below(folder, self.file(folder))
        if settings.mapping is not None and self.mapping is not None:
            named[settings.mapping] = self.mapping
        return named

    @property
    def mapping(self) -> Path | None:
        """The mapping file: one beside the cycle file, or one that ships; LG050 for neither."""
        name = self.settings.mapping
        if name is None:
            return None
        beside = self.file(name)
        return find_mapping(beside if beside.is_file() or beside.suffix == ".toml" else name)

    @property
    def register(self) -> str | Path:
        """Where the improvement register is: a path, or a URL as the file states it."""
        name = self.settings.register_path
        return name if "://" in name else self.file(name)

    @property
    def windows(self) -> dict[str, Window]:
        """The two windows by name."""
        return {"baseline": self.settings.baseline, "current": self.settings.current}

    @property
    def window_days(self) -> dict[str, dict[str, str]]:
        """The two windows as JSON has them."""
        return {name: window.model_dump(mode="json") for name, window in self.windows.items()}

    @property
    def default_out(self) -> Path:
        """The folder for the results where none is named: beside the file, by the window's end."""
        return self.path.parent / f"cycle-{self.settings.current.end.isoformat()}"

    @property
    def identity(self) -> str:
        """What makes two runs the same cycle: windows, improvement and log, by their text."""
        return self.sha256[:16]


def load_cycle(path: Path, report_date: str = "", register_place: str = "") -> Cycle:
    """Read and check a CYCLE.toml; every mistake is reported at once.

    A `report_date` (ISO 8601) and a `register_place` (an absolute path or a URL) stand in for those
    of the file; CY211 and CY212 where they cannot.
    """
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
        raw = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise CodedError(
            "CY201", f"cycle file {path.name} is no TOML: {error}", fix="Mend that line"
        ) from error
    settings = _checked(raw, path.name)
    instead: dict[str, Any] = {}
    if report_date:
        instead["report_date"] = _report_day(report_date, settings.current.end)
    if register_place:
        instead["register_path"] = _without_password(register_place)
    settings = settings.model_copy(update=instead)
    sha256 = hashlib.sha256(data).hexdigest()
    return Cycle(path=path, settings=settings, sha256=sha256, register_given=register_place)


def _report_day(text: str, end: dt.date) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        msg = f"report date {text!r} is no date"
        raise CodedError("CY211", msg, fix="Write it as 2025-07-07") from error
    if not end <= day <= NEWEST_DAY:
        msg = f"report date {day} is not from {end}, where the current window ends, to {NEWEST_DAY}"
        raise CodedError("CY211", msg, fix="Give a later day, or leave it to the CYCLE.toml")
    return day


def _without_password(place: str) -> str:
    if "://" in place and ":" in place.split("://", 1)[1].rpartition("@")[0]:
        raise CodedError(
            "CY212",
            "the register's URL holds a password",
            why="It would be kept in the executed notebooks",
            fix="Leave it out and set PGPASSWORD or use a ~/.pgpass file",
        )
    return place


def _checked(raw: dict[str, Any], file: str) -> CycleFile:
    disorder = [*_disorder(raw, file), *_contradictions(raw, file)]
    try:
        settings = CycleFile.model_validate(raw)
    except ValidationError as error:
        wrong = [_mistake(file, m["type"], m["loc"], m["msg"]) for m in error.errors()]
        raise_all([*wrong, *disorder])
        raise
    raise_all(disorder)
    return settings


def _mistake(file: str, kind: str, place: tuple[int | str, ...], message: str) -> CodedError:
    where = ".".join(str(part) for part in place if part != "[key]") or "the whole"
    said = message.removeprefix("Value error, ")
    fix = did_you_mean(str(place[-1]), _names(place[:-1])) if kind == "extra_forbidden" else ""
    return CodedError("CY202", f"{where} in {file}: {said}", fix=fix or "See docs/cycle.md")


def _disorder(raw: dict[str, Any], file: str) -> list[CodedError]:
    """Return a mistake for each two days in the wrong order; what is no day is passed by."""
    wrong = []
    for order in ORDERS:
        earlier, later = _day(raw, order.earlier), _day(raw, order.later)
        if earlier is None or later is None or earlier < later:
            continue
        if order.apart or later < earlier:
            must = "lie after" if order.apart else "not lie before"
            what = f"{order.later} in {file}: {later} must {must} {order.earlier} ({earlier})"
            wrong.append(CodedError("CY202", what, fix="Move one of the two"))
    return wrong


def _contradictions(raw: dict[str, Any], file: str) -> list[CodedError]:
    """Return a mistake for each two statements that cannot both hold."""
    if "improvement" not in raw:
        return []
    wrong = []
    if "entry" in raw:
        what = f"{file} has both entry and [improvement]"
        fix = "Keep entry to go on with that improvement, or the table to state a new one"
        wrong.append(CodedError("CY202", what, fix=fix))
    plan = raw["improvement"]
    if isinstance(plan, dict) and plan.get("comparison") and _overlap(plan):
        what = f"improvement.comparison in {file}: its tickets may be in the scope too"
        fix = "Name a field in both tables, with different words: who is touched, and who is not"
        wrong.append(CodedError("CY202", what, fix=fix))
    return wrong


def _overlap(plan: Mapping[str, Any]) -> bool:
    """Tell whether a ticket can match both tables: no field of both has words all different."""
    scope, comparison = plan.get("scope", {}), plan["comparison"]
    if not isinstance(scope, dict) or not isinstance(comparison, dict):
        return False  # of a wrong type, which is a mistake of its own
    both = set(scope) & set(comparison)
    return not any(_apart(scope[name], comparison[name]) for name in both)


def _apart(some: object, others: object) -> bool:
    if not isinstance(some, list) or not isinstance(others, list):
        return False
    return not {str(word) for word in some} & {str(word) for word in others}


def _day(raw: dict[str, Any], place: str) -> dt.date | None:
    found: Any = raw
    for key in place.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found if type(found) is dt.date else None  # a datetime is a date too


def _below(name: str, folder: Path) -> dict[str, Path]:
    """Every file below a folder by its name there; what is no folder stands for itself."""
    if not folder.is_dir():
        return {name: folder}
    paths = sorted((path for path in folder.rglob("*") if path.is_file()), key=attrgetter("parts"))
    return {f"{name}/{_plain(path.relative_to(folder).as_posix())}": path for path in paths}


def _plain(name: str) -> str:
    """Return a file name as text that UTF-8 can hold; names on disk are bytes."""
    return name.encode(errors="backslashreplace").decode()


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
