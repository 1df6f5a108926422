"""Which promises does a targets file hold, and is what it says sound?

TOML: `customer` and `answered` at the top, any number of [[calendar]] (`process_mining.clock`), and
one [[target]] for each promise (`rules.service_level.targets`); [[tool_row]] may stand beside them.
A condition is the name of a step, or a table { activity, team, where }, of which `where` is that of
rule files. All mistakes of a file are reported together; the calendars that ship are always there.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from process_mining.clock import ALWAYS, MINUTES_PER_DAY, Calendar, read_calendar, spec_mistakes
from process_mining.errors import CodedError, did_you_mean, raise_all
from rules.durations import parse_duration
from rules.service_level.targets import (
    Agreement,
    ChangePolicy,
    Condition,
    Metric,
    Period,
    ReopenPolicy,
    ServiceLevels,
    Target,
    target_mistakes,
)
from rules.toml_file import Line  # noqa: TC001 - pydantic reads it
from rules.where import Where  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from rules.practice import Practice


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _ConditionSpec(_Strict):
    activity: str | None = Field(default=None, min_length=1)
    team: str | None = Field(default=None, min_length=1)
    where: Where | None = None

    @model_validator(mode="after")
    def _says_something(self) -> _ConditionSpec:
        if self.activity is None and self.where is None:
            msg = "a condition names an activity, or an attribute with `where`"
            raise ValueError(msg)
        return self

    @property
    def condition(self) -> Condition:
        """The same, frozen."""
        return Condition(self.activity, self.team, self.where)


def _as_condition(value: object) -> object:
    if not isinstance(value, str | dict):
        msg = "write the name of a step, or a table { activity, team, where }"
        raise ValueError(msg)  # noqa: TRY004 - pydantic asks for it
    return {"activity": value} if isinstance(value, str) else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


_OneSpec = Annotated[_ConditionSpec, BeforeValidator(_as_condition)]
_ConditionSpecs = Annotated[list[_OneSpec], BeforeValidator(_as_list)]
TOOL_ROW: Final = "tool_row"  # what the ticket tool calls the same promise: not read here
_WEEKS_PER_YEAR: Final = 52
_MOST_WEEKS: Final = 100 * _WEEKS_PER_YEAR  # a deadline beyond would leave the calendars' years
_CONDITIONS: Final = ("start", "stop", "reset", "pauses", "allowed", "runs_in")


class _TargetSpec(_Strict):
    """One `[[target]]` of a TOML file."""

    name: Line
    agreement: Agreement = "SLA"
    metric: Metric
    case_type: str = "incident"
    priority: str | None = Field(default=None, min_length=1)
    service: str | None = Field(default=None, min_length=1)
    customer: str | None = Field(default=None, min_length=1)
    team: str | None = Field(default=None, min_length=1)
    party: str | None = Field(default=None, min_length=1)
    limit: str
    calendar: str
    start: _ConditionSpecs = []
    stop: _ConditionSpecs = []
    reset: _ConditionSpecs = []
    pauses: _ConditionSpecs = []
    allowed: _ConditionSpecs | None = None
    runs_in: _ConditionSpecs = []
    reopen: ReopenPolicy = "continues"
    on_change: ChangePolicy = "from start"
    objective: float
    period: Period = "month"
    supports: str | None = None
    valid_from: dt.date
    valid_until: dt.date | None = None

    def target(self, limit_us: int) -> Target:
        """Return the same, frozen."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "limit"}
        for name in _CONDITIONS:
            said = fields[name]
            fields[name] = None if said is None else tuple(one.condition for one in said)
        return Target(**fields, limit_us=limit_us)


class _HeadSpec(_Strict):
    """What stands at the top of the file."""

    customer: str = Field(default="customer", min_length=1)
    answered: _ConditionSpecs = []
    answered_within: str = "0s"


def load_service_levels(
    targets: Path | None = None, *, practices: Mapping[str, Practice] | None = None
) -> ServiceLevels:
    """Read targets (the embedded ones, or a user's file) and calendars (embedded, and the user's).

    All mistakes of the file are raised at once: SL1xx calendars, SL201 the file cannot be read,
    SL202 a field, SL203 two targets for the same cases, SL204 calendar, SL205 activity or case
    type (checked where `practices` are given), SL206 limit, SL207 objective, SL208 names and dates,
    SL210 a gap between versions, SL211 who keeps it, SL212 what it supports, SL213 an update
    without resets, SL214 an allowed pause that pauses nothing.
    """
    folder = resources.files("rules") / "itil" / "service_level"
    shipped = _read_file(folder / "calendars.toml")
    document = _read_file(targets or folder / "targets.toml")
    calendars, mistakes = _read_calendars(
        [*shipped.tables("calendar"), *document.tables("calendar")]
    )
    head, wrong = _read_head(document)
    found, more = _read_targets(document, calendars)
    known = {ALWAYS.name, *(name for name, _ in calendars)}
    mistakes += [*wrong, *more, *target_mistakes(found, known, document.name)]
    raise_all([*mistakes, *_word_mistakes(found, practices, document.name)])
    return ServiceLevels(
        tuple(found),
        tuple(c for _, c in calendars if c is not None),
        customer=head.customer,
        answered=tuple(one.condition for one in head.answered),
        answered_within_us=parse_duration(head.answered_within),
    )


@dataclass(frozen=True)
class _Document:
    name: str
    content: Mapping[str, Any]

    def tables(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the tables of a [[key]] with their place; SL202 where it is something else."""
        found = self.content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            raise CodedError("SL202", f"{self.name}: {key} is no list", fix=f"Write [[{key}]]")
        return [(f"{self.name}, {key} {i}", table) for i, table in enumerate(found, start=1)]


def _read_file(path: Path | Traversable) -> _Document:
    fix = "Give a TOML file in UTF-8"
    try:
        return _Document(path.name, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CodedError("SL201", f"cannot read {path}: {error.strerror}", fix=fix) from error
    except (ValueError, RecursionError) as error:  # nested deeper than anybody writes
        raise CodedError("SL201", f"{path} is no TOML: {error}", fix=fix) from error


def _read_head(document: _Document) -> tuple[_HeadSpec, list[CodedError]]:
    """Read what stands at the top; an unknown field there is one that nobody reads."""
    known = ("calendar", "target", TOOL_ROW, *_HeadSpec.model_fields)
    said = {key: value for key, value in document.content.items() if key in _HeadSpec.model_fields}
    mistakes = [
        CodedError("SL202", f"{document.name}: unknown field '{key}'", fix=did_you_mean(key, known))
        for key in document.content
        if key not in known
    ]
    try:
        head = _HeadSpec.model_validate(said)
        parse_duration(head.answered_within)
    except ValidationError as error:
        wrong = spec_mistakes(error, _HeadSpec, code="SL202", place=document.name)
        return _HeadSpec(), [*mistakes, *wrong]
    except ValueError as error:
        msg = f"{document.name}, answered_within: {error}"
        return _HeadSpec(), [*mistakes, CodedError("SL206", msg, fix="Write hours: '4h'")]
    return head, mistakes


def _read_calendars(
    tables: Sequence[tuple[str, dict[str, Any]]],
) -> tuple[list[tuple[str, Calendar | None]], list[CodedError]]:
    """Read calendars; one with mistakes keeps its name, so that its targets add no errors."""
    found: list[tuple[str, Calendar | None]] = []
    mistakes: list[CodedError] = []
    for place, table in tables:
        calendar, wrong = read_calendar(table, place)
        mistakes += wrong
        name = str(table.get("name", ""))
        if name in {ALWAYS.name, *(known for known, _ in found)}:
            msg = f"{place}: there is a calendar '{name}' already"
            mistakes.append(CodedError("SL106", msg, fix="Give it another name"))
        found.append((name, calendar))
    return found, mistakes


def _read_targets(
    document: _Document, calendars: Sequence[tuple[str, Calendar | None]]
) -> tuple[list[Target], list[CodedError]]:
    found, mistakes = [], []
    known = {ALWAYS.name: ALWAYS} | {name: c for name, c in calendars if c is not None}
    for place, table in document.tables("target"):
        try:
            spec = _TargetSpec.model_validate(table)
            found.append(spec.target(_limit(spec, known.get(spec.calendar), place)))
        except ValidationError as error:
            mistakes += spec_mistakes(error, _TargetSpec, code="SL202", place=place)
        except CodedError as error:
            mistakes.append(error)
    if not document.content.get("target"):
        fix = "Write at least one [[target]]"
        mistakes.append(CodedError("SL202", f"{document.name} holds no target", fix=fix))
    return found, mistakes


def _limit(spec: _TargetSpec, calendar: Calendar | None, place: str) -> int:
    """Read a limit; days only where an open day has 24 hours, for nobody means 24 by '2d' else."""
    try:
        limit = parse_duration(spec.limit)
    except ValueError as error:
        raise CodedError("SL206", f"{place}, limit: {error}", fix="Write hours: '4h'") from error
    if calendar is not None and spec.limit[-1] in "dw" and not _whole_days(calendar):
        msg = f"{place}: limit '{spec.limit}' in calendar '{calendar.name}' is ambiguous"
        why = "A day has 24 hours here, and this calendar's open day is shorter"
        raise CodedError("SL206", msg, why=why, fix="Write it in open hours, such as '20h'")
    if calendar is not None and limit > calendar.weekly_us * _MOST_WEEKS:
        msg = f"{place}: limit '{spec.limit}' in calendar '{calendar.name}' is out of reach"
        why = f"It takes more than {_MOST_WEEKS // _WEEKS_PER_YEAR} years"
        raise CodedError("SL206", msg, why=why, fix="Shorten it")
    return limit


def _whole_days(calendar: Calendar) -> bool:
    lengths = [sum(closes - opens for opens, closes in day) for day in calendar.hours]
    return all(length in (0, MINUTES_PER_DAY) for length in lengths)


def _word_mistakes(
    targets: Iterable[Target], practices: Mapping[str, Practice] | None, place: str
) -> list[CodedError]:
    """Check case types and activities against the practices' own words."""
    if practices is None:
        return []
    mistakes = []
    for target in targets:
        where = f"{place}, target '{target.name}'"
        # a kind of such cases (a major incident) has words of its own
        kinds = [one for one in practices.values() if one.case_type == target.case_type]
        if not kinds:
            types = {one.case_type for one in practices.values()}
            msg = f"{where}: unknown case_type '{target.case_type}'"
            mistakes.append(CodedError("SL205", msg, fix=did_you_mean(target.case_type, types)))
            continue
        words = frozenset().union(*(one.words | frozenset(one.updates) for one in kinds))
        named = {one.activity for one in target.conditions if one.activity is not None}
        mistakes += [
            CodedError("SL205", f"{where}: unknown activity '{a}'", fix=did_you_mean(a, words))
            for a in sorted(named - words)
        ]
    return mistakes
