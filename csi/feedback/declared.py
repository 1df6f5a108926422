"""What does a desk say of its survey files, and of the answers that its ticket tool keeps?

One TOML file, by `--survey-mapping`; it names columns and never holds code.

    [[survey]]                     one for each kind of file
    channel   a file of `channels`: web, email, telephone
    scale     a scale, or { column = "Scale", values = { "five stars" = "1-5" } }
    asks      "rows": every row is an ask, answered or not (so it is where asked_at is named);
              "answers": the file lists answers only, so who was asked is not known
    csv       delimiter, encoding, missing (texts that mean "no value", besides "")
    time      timezone, format, ambiguous, nonexistent: as in the mapping of a log
    columns   ticket, asked_at, answered_at, score, comment, respondent, self_rated, delivered;
              ticket and score are needed, and what the channel needs

    [[log]]                        one for each question that cases of the log hold answers to
    channel   servicenow, or attribute
    scale, asks, missing           as above
    survey, question               servicenow: as the log names them
    attribute, asked_at, answered_at    attribute: columns of the case; the times may be opened,
              resolved, closed, or an attribute that holds ISO 8601 with an offset

`score`, `self_rated` and `delivered` may translate: { column = "Mood", values = { Happy = "5" } };
the last two then say yes or no. A time column is a name or { column, format }, as in a log's
mapping. All mistakes of a file are reported together (ST535).
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from csi.feedback.scales import SCALES
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources._mapping import Csv, Text, TextField, Time, TimeField, Times

if TYPE_CHECKING:
    from pathlib import Path

Asks = Literal["rows", "answers"]
OF_LOG: Final = {"servicenow": ("survey", "question"), "attribute": ("attribute",)}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _scale(value: object) -> object:
    return {"constant": value} if isinstance(value, str) else value


def _known_scales(value: Text) -> Text:
    named = [value.constant] if value.constant is not None else list((value.values or {}).values())
    for name in named:
        if name not in SCALES:
            msg = f"there is no scale '{name}'. {did_you_mean(name, SCALES)}"
            raise ValueError(msg)
    return value


class Columns(_Form):
    """Which column holds what."""

    ticket: str
    score: TextField
    asked_at: TimeField | None = None
    answered_at: TimeField | None = None
    comment: str | None = None
    respondent: str | None = None
    self_rated: TextField | None = None
    delivered: TextField | None = None

    @field_validator("score")
    @classmethod
    def _is_read(cls, value: Text) -> Text:
        if value.column is None:
            msg = "a score is read from a column, never a constant"
            raise ValueError(msg)
        return value

    def names(self) -> dict[str, str]:
        """Return every column that is named, by what it holds."""
        found = {}
        for key, value in self:
            column = value if isinstance(value, str) else getattr(value, "column", None)
            if column is not None:
                found[key] = column
        return found


class SurveyForm(_Form):
    """One `[[survey]]`."""

    channel: str
    scale: Annotated[Text, BeforeValidator(_scale)]
    columns: Columns
    asks: Asks | None = None
    csv: Csv = Csv()
    time: Times = Times()

    @field_validator("scale")
    @classmethod
    def _scales(cls, value: Text) -> Text:
        return _known_scales(value)

    @model_validator(mode="after")
    def _every_time_has_a_format(self) -> SurveyForm:
        times = (self.columns.asked_at, self.columns.answered_at)
        bare = [t.column for t in times if t is not None and self.format_of(t) is None]
        if bare:
            msg = f"no format is declared for {', '.join(bare)}: set format under time"
            raise ValueError(msg)
        return self

    @property
    def asks_known(self) -> bool:
        """Whether the file lists asks without an answer too."""
        told = "rows" if self.columns.asked_at is not None else "answers"
        return (self.asks or told) == "rows"

    def format_of(self, time: Time) -> str | None:
        """Return the declared format of a time column."""
        return time.format or self.time.format

    def named(self) -> set[str]:
        """Return the columns that a file must have to be read by this."""
        return {*self.columns.names().values(), *filter(None, [self.scale.column])}


class LogForm(_Form):
    """One `[[log]]`."""

    channel: Literal["servicenow", "attribute"]
    scale: str
    asks: Asks = "answers"
    missing: list[str] = []
    survey: str | None = None
    question: str | None = None
    attribute: str | None = None
    asked_at: str | None = None
    answered_at: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> LogForm:
        if self.scale not in SCALES:
            msg = f"there is no scale '{self.scale}'. {did_you_mean(self.scale, SCALES)}"
            raise ValueError(msg)
        for name in OF_LOG[self.channel]:
            if getattr(self, name) is None:
                msg = f"channel {self.channel} needs {' and '.join(OF_LOG[self.channel])}"
                raise ValueError(msg)
        return self


class Declared(_Form):
    """One such file."""

    survey: list[SurveyForm] = Field(default=[])
    log: list[LogForm] = Field(default=[])


def load_declared(path: Path) -> Declared:
    """Read and check such a file: CodedError ST534 where it is no TOML, ST535 for mistakes."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise CodedError("ST534", msg, fix="Name a TOML file that can be read") from error
    except (ValueError, RecursionError) as error:
        raise CodedError("ST534", f"{path.name} is no TOML: {error}", fix="Mend it") from error
    try:
        return Declared.model_validate(data)
    except ValidationError as error:
        raise_all([_mistake(path.name, item) for item in error.errors()])
        raise


def _mistake(file: str, item: Any) -> CodedError:  # noqa: ANN401 - pydantic's ErrorDetails
    place = [str(part + 1) if isinstance(part, int) else str(part) for part in item["loc"]]
    message = str(item["msg"]).removeprefix("Value error, ")
    fix = "docs/howto-feedback.md shows a whole file"
    if item["type"] == "extra_forbidden":
        message = f"unknown key '{place[-1]}'"
        known = {*SurveyForm.model_fields, *LogForm.model_fields, *Columns.model_fields}
        fix = did_you_mean(place[-1], known)
    elif item["type"] == "missing":
        message, fix = "is missing", f"Add {place[-1]}"
    return CodedError("ST535", f"{file}, {'.'.join(place) or 'the file'}: {message}", fix=fix)
