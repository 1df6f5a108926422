"""What does a mapping file say about somebody's table or tool, and is what it says sound?

A mapping is TOML. It names columns and never holds code:

    name, title, notes                what it maps (notes: list of texts kept with the log)
    activity_order                    which of several activities of one time comes first
    same_name                         two XES traces of one name: "refuse", or "separate" cases
    [csv]   delimiter, encoding, missing   (missing: texts that mean "no value", besides "")
    [time]  timezone, format, ambiguous, nonexistent   for every time column; see `_times`
    [event] case_id, activity, at, order_by, actor, team, lifecycle, attributes, people
    [case]  practice, priority, category, service, opened, resolved, closed, attributes, people,
            links = { problem = "problem_id" }   (kind of link = column with the other ticket's id)

A table needs [event]. A table of one row a ticket, with a time column for each thing that happened,
has [milestones] in place of `activity` and `at` (and of `order_by`, `lifecycle`, `attributes` and
`people` of [event]: what the row says of the ticket stands in [case]):

    [milestones]
    Register = "Created time"                     the activity = its time column
    Resolve = { column = "Resolved", format = "iso", actor = "Agent", team = "Group" }

An empty cell means that it did not happen; a row in which nothing happened is a reject. Milestones
of one time happened in the order of the section. `actor` and `team` of [event] hold for the
milestones that name none of their own.

Where several tables are read together, one that has the case id and none of the event's columns is
a table of cases: what [case] names may stand in it.

The last known value of a case is its value. A priority is also kept as it was after each event
(`attr.priority`, translated), if it changes in any case.

A tool's own export (Jira, ServiceNow, …) knows its columns; what only the desk can say of it stands
in further sections, and [event] is left out:

    [words]     the tool's state → the log's activity; a state that is not named stays as it is
    [practices] the tool's type of ticket (table, issue type, object type) → the practice
    [priorities] the tool's priority → P1, P2, …
    [fields]    which of the tool's fields hold case_id, state, actor, team, service, category,
                priority, opened, resolved, closed; `attributes` and `people` list further fields

A column is its name, or a table: `{ column = "prio", values = { "1 - Critical" = "P1" } }`
translates (a text that `values` lacks is a reject), `{ constant = "incident" }` is the same in
every row, `{ column = "opened_at", format = "iso" }` gives a time column its own format.
`activity` may be several columns: their texts are joined by "+", absent ones left out.
`order_by` says in which order events of one time happened: whole numbers, or `type = "text"`.
`attributes` is a list of columns, or "all" (every column that nothing else uses); `people` are
further columns that hold names, kept as attributes with pseudonyms instead of the names.

All mistakes of a file are reported together. A mapping that ships is found by its name.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.schema import ATTRIBUTE_PREFIX
from process_mining.sources._times import EPOCHS, GapPolicy, Policy, compiled, load_zone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ALL: Final = "all"
TOOL_SECTIONS: Final = ("words", "practices", "priorities", "fields")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_table(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _sound_format(value: str) -> str:
    if value not in EPOCHS:
        compiled(value)
    return value


Format = Annotated[str, BeforeValidator(_sound_format)]


class Text(_Strict):
    """A text column, or a constant; `values` translates its texts."""

    column: str | None = None
    constant: str | None = None
    values: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Text:
        if (self.column is None) == (self.constant is None):
            msg = "give either column or constant"
            raise ValueError(msg)
        if self.values is not None and self.column is None:
            msg = "values translate a column, a constant needs none"
            raise ValueError(msg)
        return self


class Time(_Strict):
    """A time column; without a format of its own it has the one of [time]."""

    column: str
    format: Format | None = None


class Order(_Strict):
    """A column that orders the events of one time."""

    column: str
    type: Literal["integer", "text"] = "integer"


TextField = Annotated[Text, BeforeValidator(_as_table)]
TimeField = Annotated[Time, BeforeValidator(_as_table)]


class Milestone(Time):
    """The time column of one activity, and who did it, if it is not who [event] says."""

    actor: TextField | None = None
    team: TextField | None = None


MilestoneField = Annotated[Milestone, BeforeValidator(_as_table)]
OrderField = Annotated[Order, BeforeValidator(_as_table)]
Attributes = tuple[str, ...] | Literal["all"]


def _attributes(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


AttributesField = Annotated[Attributes, BeforeValidator(_attributes)]
NamesField = Annotated[tuple[str, ...], BeforeValidator(_attributes)]


class Csv(_Strict):
    """How the text is laid out."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str | None = None
    missing: list[str] = []

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            "".encode(value or "utf-8")  # refuses codecs that are not for text, such as rot13
        except LookupError as error:
            msg = f"there is no encoding '{value}'"
            raise ValueError(msg) from error
        return value


class Times(_Strict):
    """What holds for all time columns."""

    timezone: str | None = None
    format: Format | None = None
    ambiguous: Policy = "refuse"
    nonexistent: GapPolicy = "refuse"

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                load_zone(value)
            except CodedError as error:
                raise ValueError(f"{error.what}. {error.fix}") from error
        return value


class Events(_Strict):
    """Which columns make the event."""

    case_id: str
    activity: Annotated[list[TextField], BeforeValidator(_as_list)] = Field(min_length=1)
    at: TimeField
    order_by: Annotated[list[OrderField], BeforeValidator(_as_list)] = []
    actor: TextField | None = None
    team: TextField | None = None
    lifecycle: TextField | None = None
    attributes: AttributesField = ()
    people: NamesField = ()


class Cases(_Strict):
    """Which columns describe the case; the last known value of a case is its value."""

    practice: TextField | None = None
    priority: TextField | None = None
    category: TextField | None = None
    service: TextField | None = None
    opened: TimeField | None = None
    resolved: TimeField | None = None
    closed: TimeField | None = None
    attributes: NamesField = ()
    people: NamesField = ()
    links: dict[str, str] = {}


class Fields(_Strict):
    """Which of a tool's fields say what, where the desk has fields of its own."""

    case_id: str | None = None
    state: str | None = None
    actor: str | None = None
    team: str | None = None
    service: str | None = None
    category: str | None = None
    priority: str | None = None
    opened: str | None = None
    resolved: str | None = None
    closed: str | None = None
    attributes: NamesField = ()
    people: NamesField = ()


# what stands in [event] for the keys whose place [milestones] takes
STAND_IN: Final = {"activity": {"constant": ""}, "at": {"column": ""}}
NOTHING: Final = Events.model_validate(STAND_IN | {"case_id": ""})
NOT_BESIDE: Final = (
    *("activity", "at", "order_by", "lifecycle"),
    *("attributes", "people"),
)


class Mapping(_Strict):
    """One mapping file."""

    name: str
    title: str = ""
    notes: list[str] = []
    activity_order: NamesField = ()
    same_name: Literal["refuse", "separate"] = "refuse"
    csv: Csv = Csv()
    time: Times = Times()
    event: Events | None = None
    milestones: dict[str, MilestoneField] = {}
    case: Cases = Cases()
    words: dict[str, str] = {}
    practices: dict[str, str] = {}
    priorities: dict[str, str] = {}
    fields: Fields = Fields()

    @model_validator(mode="before")
    @classmethod
    def _stand_in(cls, data: Any) -> Any:  # noqa: ANN401 - what a TOML file holds
        """With milestones, let [event] be sound without the keys whose place they take."""
        event = data.get("event") if isinstance(data, dict) and "milestones" in data else None
        return data | {"event": STAND_IN | event} if isinstance(event, dict) else data

    @field_validator("milestones")
    @classmethod
    def _one_way_to_tell(
        cls, value: dict[str, Milestone], info: ValidationInfo
    ) -> dict[str, Milestone]:
        if not value or not all(name == name.strip() != "" for name in value):
            msg = 'name each activity and its time column, such as Resolve = "resolved_at"'
            raise ValueError(msg)
        event = info.data.get("event", NOTHING)
        if event is None:
            msg = "[event] is missing: it names the case_id"
            raise ValueError(msg)
        given = [key for key in NOT_BESIDE if getattr(event, key) != getattr(NOTHING, key)]
        if given:
            msg = f"[event] has {', '.join(given)}: a row is a whole ticket here, [case] says more"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _table_or_tool(self) -> Mapping:
        tool = [name for name in TOOL_SECTIONS if name in self.model_fields_set]
        if self.event is not None and tool:
            msg = f"[event] maps a table, {tool[0]} a tool's export: a file is one of them"
            raise ValueError(msg)
        if self.event is None and "case" in self.model_fields_set:
            msg = "[case] is there and [event] is missing"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _every_time_has_a_format(self) -> Mapping:
        bare = [time.column for time in self.times() if self.format_of(time) is None]
        if bare:
            msg = f"no format is declared for {', '.join(bare)}: set format under [time]"
            raise ValueError(msg)
        return self

    def times(self) -> list[Time]:
        """Return the time columns."""
        case, event = self.case, [self.event.at] if self.event else []
        told = self.milestones.values() or event
        return [t for t in (*told, case.opened, case.resolved, case.closed) if t]

    def format_of(self, time: Time) -> str | None:
        """Return the declared format of a time column."""
        return time.format or self.time.format

    def columns(self) -> dict[str, str]:
        """Return every column that is named, with the place in the mapping that names it first."""
        named: dict[str, str] = {}
        for column, place in self._named() if self.event is not None else ():
            named.setdefault(column, place)
        return named

    def _named(self) -> Iterator[tuple[str, str]]:
        if self.event is not None:
            yield self.event.case_id, "event.case_id"
            for name, milestone in self.milestones.items():
                for part in (milestone, milestone.actor, milestone.team):
                    yield from _columns_of(part, f"milestones.{name}")
            took_place = STAND_IN if self.milestones else {}
            yield from _columns_in("event", self.event, took_place)
        yield from _columns_in("case", self.case, {})
        for column in self.case.links.values():
            yield column, "case.links"

    def people(self) -> frozenset[str]:
        """Return the attribute columns of the log that hold names."""
        names = (*(self.event.people if self.event else ()), *self.case.people, *self.fields.people)
        return frozenset(ATTRIBUTE_PREFIX + name for name in names)

    def table(self, path: Path) -> TableMapping:
        """Return the mapping of a table; CodedError LG053 if it says nothing of columns."""
        if self.event is None:
            msg = (
                f"mapping '{self.name}' has no [event], so it does not say how to read {path.name}"
            )
            raise CodedError("LG053", msg, fix="Name the columns of case_id, activity and at in it")
        return TableMapping.model_construct(**dict(self))


class TableMapping(Mapping):
    """A mapping that names a table's columns."""

    event: Events

    def of_cases(self, header: Collection[str]) -> bool:
        """Whether a table with this header holds cases and no events."""
        told = {milestone.column for milestone in self.milestones.values()}
        if not told:
            told = {part.column for part in self.event.activity if part.column is not None}
            told.add(self.event.at.column)
        return not told & set(header) and self.event.case_id in header

    def for_cases(self) -> TableMapping:
        """Return the mapping for a table of cases: the columns of events are not asked for."""
        case_id = self.event.case_id
        event = Events(
            case_id=case_id, activity=[Text(column=case_id)], at=Time(column=case_id, format="iso")
        )
        return self.model_copy(update={"event": event, "milestones": {}})

    def within(self, header: Collection[str], others: Collection[str]) -> TableMapping:
        """Return the mapping for one of several tables: without what [case] finds in the others."""
        away = set(others) - set(header)
        kept: dict[str, object] = {}
        for key, value in self.case:
            if key in {"attributes", "people"}:
                kept[key] = tuple(name for name in value if name not in away)
            elif key == "links":
                kept[key] = {kind: name for kind, name in value.items() if name not in away}
            else:
                kept[key] = None if getattr(value, "column", None) in away else value
        return self.model_copy(update={"case": Cases.model_validate(kept)})


def _columns_in(
    section: str, model: Events | Cases, without: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the columns that a section names, each with its place."""
    for key, value in model:
        if key not in without:
            for part in value if isinstance(value, list) else [value]:
                yield from _columns_of(part, f"{section}.{key}")
    if model.attributes != ALL:
        for column in model.attributes:
            yield column, f"{section}.attributes"
    for column in model.people:
        yield column, f"{section}.people"


def _columns_of(part: object, place: str) -> Iterator[tuple[str, str]]:
    column = getattr(part, "column", None)
    if column is not None:
        yield column, place


def find_mapping(name_or_path: str | Path) -> Path:
    """Return the path of a mapping: a file, or the name of one that ships."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = {entry.stem: entry for entry in sorted(_folder().glob("*.toml"))}
    name = str(name_or_path)
    if name in shipped:
        return shipped[name]
    msg = f"there is no mapping '{name}', neither as a file nor among those that ship"
    raise CodedError("LG050", msg, fix=did_you_mean(name, shipped))


def _folder() -> Path:
    return Path(str(files("process_mining.sources").joinpath("mappings")))


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping; all its mistakes at once."""
    path = find_mapping(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CodedError("LG051", f"{path.name} is no TOML: {error}", fix="Mend it") from error
    try:
        return Mapping.model_validate(data)
    except ValidationError as error:
        raise_all([mistake(path.name, item) for item in error.errors()])
        raise


def mistake(file: str, item: Any) -> CodedError:  # noqa: ANN401 - pydantic's ErrorDetails
    """Return one of pydantic's mistakes as LG052, naming its place and the nearest known key."""
    place = [str(part) for part in item["loc"] if part not in {"literal['all']", "tuple[str, ...]"}]
    where = ".".join(place) or "the file"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message, fix = f"unknown key '{place[-1]}'", did_you_mean(place[-1], _keys(place[:-1]))
    elif item["type"] == "missing":
        message, fix = "is missing", f"Add {place[-1]} to {'.'.join(place[:-1]) or 'the file'}"
    else:
        fix = "See the keys in a mapping that ships, such as uci_servicenow.toml"
    return CodedError("LG052", f"{file}, {where}: {message}", fix=fix)


def _keys(place: list[str]) -> list[str]:
    """Return the keys that a section knows."""
    model: type[BaseModel] = Mapping
    for part in place:
        if part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
        elif not part.isdigit() and model is not Milestone:  # whose names are the file's own
            return []
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel]:
    """Return the model that a field's annotation holds, through lists and `| None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not _Strict:
            return found
    return _Strict
