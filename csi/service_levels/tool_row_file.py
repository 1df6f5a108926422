"""Which of the tool's own service levels is which of our targets?

A tool names its service levels as its administrators like; which metric of ours each one counts is
declared, never guessed. One [[tool_row]] each, in a file of its own or in the targets file:

    [[tool_row]]                        # a tool that keeps rows of its own
    name = "Priority 1 resolution"      # their service level; of Zendesk the metric
    metric = "resolve"                  # ours
    target = "incident-p1-resolve"      # ours; left out: whatever target of the metric is in force
    counted = "business"                # or "calendar": which of the tool's two durations

    [[tool_row]]                        # any table: columns of it say due time and outcome
    name = "first response"
    metric = "respond"
    due = "Expected SLA to first response"
    outcome = "SLA For first response"
    met = ["Within SLA"]
    breached = ["SLA Violated"]
    zone = "UTC"                        # of times that state no offset
    format = "iso"                      # or a pattern, as in mappings

Columns may be `start`, `stop`, `due` and `outcome`; `at = "last event"` reads them from the last
event of the case that has a value, for a source that repeats a ticket's fields at each update.
`met` and `breached` are compared to the letter; a value that is in neither is an error, unless
`open` lists it (not decided yet). [[target]], [[calendar]] and the head of a targets file are left
to their own reader.

All mistakes of a file at once: SL240 not readable, SL241 a field, SL242 declared twice, SL243 a
target that is not there or counts something else, SL247 zone or format.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from process_mining.clock import spec_mistakes, zone_names
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources._times import compiled, date_only, states_offset
from rules.service_level import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rules.service_level import ServiceLevels

MAX_BYTES: Final = 1 << 20
COLUMNS: Final = ("start", "stop", "due", "outcome")
_TIMES: Final = ("start", "stop", "due")
_KEY: Final = "tool_row"
_FORMATS: Final = ("iso", "iso_date", "epoch_s", "epoch_ms")

Agreement = Literal["SLA", "OLA", "UC"]
Counted = Literal["business", "calendar"]
Where = Literal["case", "last event"]


@dataclass(frozen=True)
class Declared:
    """One service level of the tool and what it is of ours.

    Without `columns` it is one that the tool keeps rows of, by its name. `columns` are pairs of
    one of COLUMNS and the attribute (without "attr.") that says it.
    """

    name: str
    metric: str
    target: str | None = None
    agreement: str = "SLA"
    counted: Counted | None = None
    columns: tuple[tuple[str, str], ...] = ()
    at: Where = "case"
    met: tuple[str, ...] = ()
    breached: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    zone: str | None = None
    format: str = "iso"


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    metric: str
    target: str | None = Field(default=None, min_length=1)
    agreement: Agreement = "SLA"
    counted: Counted | None = None
    start: str | None = Field(default=None, min_length=1)
    stop: str | None = Field(default=None, min_length=1)
    due: str | None = Field(default=None, min_length=1)
    outcome: str | None = Field(default=None, min_length=1)
    at: Where = "case"
    met: list[str] = []
    breached: list[str] = []
    open: list[str] = []
    zone: str | None = None
    format: str = "iso"

    @model_validator(mode="after")
    def _hangs_together(self) -> _Spec:
        words = [*self.met, *self.breached, *self.open]
        if self.outcome is not None and not (self.met and self.breached):
            msg = "`outcome` needs `met` and `breached`: which of its words says what"
            raise ValueError(msg)
        if self.outcome is None and words:
            msg = "`met`, `breached` and `open` are words of a column: give `outcome`"
            raise ValueError(msg)
        if len(set(words)) < len(words):
            msg = "a word stands twice in `met`, `breached` and `open`"
            raise ValueError(msg)
        if self.columns and self.due is None and self.outcome is None:
            msg = "`due` or `outcome` is needed: a start and a stop alone say nothing of a limit"
            raise ValueError(msg)
        if self.columns and self.counted is not None:
            msg = "`counted` is about the tool's own rows, not about columns"
            raise ValueError(msg)
        return self

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The declared columns, in the order of COLUMNS."""
        named = ((column, getattr(self, column)) for column in COLUMNS)
        return tuple((column, name) for column, name in named if name is not None)

    @property
    def declared(self) -> Declared:
        """The same, frozen."""
        plain = ("name", "metric", "target", "agreement", "counted", "at", "zone", "format")
        fields: dict[str, Any] = {name: getattr(self, name) for name in plain}
        fields |= {name: tuple(getattr(self, name)) for name in ("met", "breached", "open")}
        return Declared(**fields, columns=self.columns)


def load_declared(path: Path, *, levels: ServiceLevels | None = None) -> tuple[Declared, ...]:
    """Read the [[tool_row]]s of a TOML file; `levels` are the targets that they may name."""
    shown = path.name
    rows = _read(path).get(_KEY, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        what = f"{shown}: '{_KEY}' is no list of tables"
        raise CodedError("SL241", what, fix=f"Write [[{_KEY}]] above each")
    found: list[Declared] = []
    mistakes: list[CodedError] = []
    for number, row in enumerate(rows, start=1):
        place = f"{shown}, {_KEY} {number}"
        try:
            found.append(_Spec.model_validate(row).declared)
        except ValidationError as error:
            mistakes += spec_mistakes(error, _Spec, code="SL241", place=place)
    mistakes += declared_mistakes(found, levels, shown)
    raise_all(mistakes)
    return tuple(found)


def declared_mistakes(
    declared: Sequence[Declared], levels: ServiceLevels | None, place: str
) -> list[CodedError]:
    """Return what is wrong with declarations taken together: SL241 to SL243, SL247."""
    mistakes: list[CodedError] = []
    names: set[str] = set()
    for one in declared:
        where = f"{place}, {_KEY} '{one.name}'"
        if one.name in names:
            why = "Which of the two holds would depend on their order"
            mistakes.append(CodedError("SL242", f"{where} stands twice", why=why, fix="Keep one"))
        names.add(one.name)
        if one.metric not in METRICS:
            fix = did_you_mean(one.metric, METRICS)
            mistakes.append(CodedError("SL241", f"{where}: unknown metric '{one.metric}'", fix=fix))
        mistakes += _target_mistakes(one, levels, where)
        mistakes += _time_mistakes(one, where)
    return mistakes


def _target_mistakes(
    one: Declared, levels: ServiceLevels | None, where: str
) -> Iterator[CodedError]:
    if levels is None or one.target is None:
        return
    known = {target.name: target for target in levels.targets}
    target = known.get(one.target)
    if target is None:
        fix = did_you_mean(one.target, known)
        yield CodedError("SL243", f"{where}: unknown target '{one.target}'", fix=fix)
    elif (target.metric, target.agreement) != (one.metric, one.agreement):
        what = f"{where}: target '{one.target}' is {target.agreement} {target.metric}"
        why = f"The row says {one.agreement} {one.metric}"
        yield CodedError("SL243", what, why=why, fix="Name a target of that metric")


def _time_mistakes(one: Declared, where: str) -> Iterator[CodedError]:
    timed = any(column in _TIMES for column, _ in one.columns)
    try:
        compiled(one.format)
        if timed and date_only(one.format):
            why = "A due day is no due time"
            yield CodedError("SL247", f"{where}: '{one.format}' has no clock", why=why)
        if timed and one.zone is None and not states_offset(one.format):
            what = f"{where}: times of the format '{one.format}' state no offset"
            yield CodedError("SL247", what, fix='Give zone = "Area/City", or zone = "UTC"')
    except ValueError as error:
        if one.format not in _FORMATS:
            yield CodedError("SL247", f"{where}: format: {error}", fix=f"Or: {', '.join(_FORMATS)}")
    if one.zone is not None and one.zone not in zone_names():
        fix = did_you_mean(one.zone, zone_names())
        yield CodedError("SL247", f"{where}: unknown zone '{one.zone}'", fix=fix)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            what = f"{path.name} has {len(content):,} bytes, more than {MAX_BYTES:,}"
            raise CodedError("SL240", what, fix="It should hold a few declarations")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        what = f"{path.name} cannot be read: {error.strerror}"
        raise CodedError("SL240", what, fix="Give a file that is there") from None
    except (ValueError, RecursionError) as error:
        what = f"{path.name} is no TOML in UTF-8: {str(error).splitlines()[0]:.120}"
        raise CodedError("SL240", what, fix="Mend the file") from None
