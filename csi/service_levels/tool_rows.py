"""What does the ticket tool itself say about its service levels?

`tool_rows` brings what sources keep of it into one table, TOOL_ROWS, one row a service level, case
and cycle:

    servicenow   task_sla:  attr.sla:NAME:… ; NAME#2 is the second cycle
    jira         Jira Service Management:  attr.sla:NAME:… , of which only the last cycle is kept
    zendesk      metric events:  attr.sla:METRIC:INSTANCE:… ; the instance is the cycle
    columns      columns of a table that [[tool_row]] declares (`tool_row_file`)

`metric`, `target` and `agreement` are ours and come from declarations alone; undeclared service
levels are kept with null there, and `Undeclared` says what their names hint at.

Times are µs UTC. `original_due` is the due time before pauses moved it (ServiceNow). `goal_us` is
what the tool gives as the limit (Jira, Zendesk). `elapsed_us` leaves out the pauses, which are
`paused_us`. ServiceNow and Zendesk keep both by the wall clock and by the service level's schedule:
`counted` in the declaration chooses, else ServiceNow's is that of its schedule where there is one,
and Zendesk's is null where the two differ. `breached` is null where the tool does not say; of a
clock that runs it is false until it is breached. `state` is running, paused, completed, cancelled,
or the tool's own word; that a clock of Zendesk is paused is not kept.

Errors, all of a log at once: SL244 a declared name or column that the log does not have,
SL245 a word that the declaration does not know, SL246 a time or number that cannot be read.

Sources: ServiceNow task_sla; Jira Service Management REST, SLA information; Zendesk Ticket Metric
Events. Cost: O(cases) a service level, in columns; each distinct stamp is read once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.clock import load_zone
from process_mining.columnar import segments
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources._rejects import shown
from process_mining.sources._times import BadTimeError, TimeReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from csi.service_levels.tool_row_file import Declared
    from process_mining.eventlog import EventLog

    Words = Mapping[str, str]

TOOL_ROWS: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("source", pa.string()),
        ("name", pa.string()),
        ("cycle", pa.int64()),
        ("agreement", pa.string()),
        ("metric", pa.string()),
        ("target", pa.string()),
        ("start", s.UTC_US),
        ("stop", s.UTC_US),
        ("due", s.UTC_US),
        ("original_due", s.UTC_US),
        ("breached", pa.bool_()),
        ("elapsed_us", pa.int64()),
        ("paused_us", pa.int64()),
        ("goal_us", pa.int64()),
        ("state", pa.string()),
    ]
)
SERVICENOW, JIRA, ZENDESK, COLUMNS = "servicenow", "jira", "zendesk", "columns"
RUNNING, COMPLETED, CANCELLED = "running", "completed", "cancelled"

_PREFIX: Final = s.ATTRIBUTE_PREFIX + "sla:"
# Words that only one tool's rows have; which tool a service level is of is read off them.
_TELLING: Final[Mapping[str, frozenset[str]]] = {
    SERVICENOW: frozenset({"stage", "planned_end", "duration_us", "business_duration_us", "end"}),
    JIRA: frozenset({"state", "ever_breached", "cycles", "goal_ms", "elapsed_ms"}),
    ZENDESK: frozenset({"activate", "fulfill", "policy", "target", "apply_sla", "update_status"}),
}
_STAGES: Final = {
    "in progress": RUNNING,
    "in_progress": RUNNING,
    "completed": COMPLETED,
    "achieved": COMPLETED,
    "breached": COMPLETED,
    "canceled": CANCELLED,
    "cancelled": CANCELLED,
}
_CYCLE: Final = re.compile(r"(.+?)(?:#([0-9]{1,6}))?", re.DOTALL)
_INSTANCE: Final = re.compile(r"(.+):([0-9]{1,9})", re.DOTALL)
_MS: Final = 1_000
# What names hint at; no more than a hint.
_HINTS: Final = {
    "resolve": ("resol", "fix", "solve", "close", "work_time", "made_sla"),
    "respond": ("respon", "reply", "first touch", "assign"),
    "acknowledge": ("acknowl", "triage"),
    "fulfil": ("fulfil", "deliver"),
    "update": ("update", "next_reply", "periodic"),
}
_LOOKS_LIKE_ONE: Final = re.compile(
    r"\bsla\b|_sla|sla_|breach|\bdue\b|due_date|deadline", re.IGNORECASE
)


@dataclass(frozen=True)
class Undeclared:
    """A service level of the tool, or a column that looks like one, that no declaration names."""

    source: str
    name: str
    cases: int
    could_be: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ToolRows:
    """TOOL_ROWS sorted by case, name and cycle; and what was not declared."""

    table: pa.Table
    undeclared: tuple[Undeclared, ...] = ()

    def among(self, log: EventLog) -> ToolRows:
        """Return the rows of a log's cases alone, such as those of one practice."""
        mine = pc.is_in(self.table["case_id"], value_set=log.cases[s.CASE_ID].combine_chunks())
        return ToolRows(self.table.filter(mine), self.undeclared)


def tool_rows(log: EventLog, declared: Sequence[Declared] = ()) -> ToolRows:
    """Return the tool's own SLA rows of a log; SL244 to SL246 where declarations do not fit it."""
    reading = _Reading()
    kept = dict(_kept(log))
    by_name = {one.name: one for one in declared}
    parts = [
        _tables(log, name, stems, by_name.get(name), reading)
        for name, stems in sorted(kept.items())
    ]
    for one in declared:
        if one.columns:
            parts.append(_columns_table(log, one, reading))
        elif one.name not in kept:
            what = f"tool_row '{one.name}': the log holds no such service level"
            why = "" if kept else "It holds none of a tool's own"
            fix = did_you_mean(one.name, kept)
            reading.mistakes.append(CodedError("SL244", what, why=why, fix=fix))
    raise_all(reading.mistakes)
    table = pa.concat_tables([TOOL_ROWS.empty_table(), *parts])
    table = table.sort_by([(name, "ascending") for name in ("case_id", "name", "cycle")])
    return ToolRows(table.combine_chunks(), tuple(_undeclared(log, table, declared)))


@dataclass(eq=False)
class _Reading:
    """Reads columns of text, each distinct text once, and gathers what cannot be read."""

    mistakes: list[CodedError] = field(default_factory=list)

    def times(
        self, column: pa.ChunkedArray | None, n: int, place: str, how: TimeReader
    ) -> pa.Array:
        """Read stamps as µs UTC; null stays null."""
        return self._each(column, n, place, lambda text: how.read(text).us)

    def whole(self, column: pa.ChunkedArray | None, n: int, place: str, unit: int) -> pa.Array:
        """Read whole numbers of a unit, as µs."""
        return self._each(column, n, place, lambda text: int(text) * unit)

    def _each(
        self, column: pa.ChunkedArray | None, n: int, place: str, read: Callable[[str], int]
    ) -> pa.Array:
        if column is None:
            return pa.nulls(n, pa.int64())
        coded = column.combine_chunks().dictionary_encode()
        found: list[int | None] = []
        wrong: list[str] = []
        for text in coded.dictionary.to_pylist():
            try:
                found.append(read(text))
            except (BadTimeError, ValueError):
                found.append(None)
                wrong.append(text)
        if wrong:
            what = (
                f"{place}: {len(wrong)} distinct values cannot be read, such as {shown(wrong[0])}"
            )
            fix = "Declare format and zone of the column, or mend the export"
            self.mistakes.append(CodedError("SL246", what, fix=fix))
        return pa.array(found, pa.int64()).take(coded.indices)

    def words(self, column: pa.Array, one: Declared, attribute: str) -> pa.Array:
        """Read outcomes: true is breached, false met, null open or not said."""
        known: dict[str, bool | None] = dict.fromkeys(one.open)
        known |= dict.fromkeys(one.met, False) | dict.fromkeys(one.breached, True)
        coded = column.dictionary_encode()
        said = coded.dictionary.to_pylist()
        for text in said:
            if text not in known:
                what = f"tool_row '{one.name}': column '{attribute}' says {shown(text)}"
                fix = "List it in met, breached or open"
                self.mistakes.append(CodedError("SL245", what, fix=fix))
        return pa.array([known.get(text) for text in said], pa.bool_()).take(coded.indices)


# --- rows that tools keep -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Stem:
    """One service level and cycle of a tool: its columns by what they say."""

    source: str
    cycle: int
    words: Words


def _kept(log: EventLog) -> Iterator[tuple[str, list[_Stem]]]:
    """Yield the service levels that tools keep in the log, by name."""
    stems: dict[str, dict[str, str]] = {}
    for column in log.cases.column_names:
        if column.startswith(_PREFIX):
            stem, _, word = column.removeprefix(_PREFIX).rpartition(":")
            stems.setdefault(stem, {})[word] = column
    found: dict[str, list[_Stem]] = {}
    for stem, words in sorted(stems.items()):
        source = next((name for name, some in _TELLING.items() if some & words.keys()), None)
        if source is None:
            continue
        form = _INSTANCE if source == ZENDESK else _CYCLE
        match = form.fullmatch(stem)
        name, cycle = (match[1], match[2]) if match else (stem, None)
        if source == JIRA:
            name, cycle = stem, None
        found.setdefault(name, []).append(_Stem(source, int(cycle or 1), words))
    yield from found.items()


def _tables(
    log: EventLog, name: str, stems: Sequence[_Stem], one: Declared | None, reading: _Reading
) -> pa.Table:
    read = {SERVICENOW: _servicenow, JIRA: _jira, ZENDESK: _zendesk}
    parts = []
    for stem in stems:
        texts = {word: log.cases[column] for word, column in stem.words.items()}
        some = np.zeros(log.n_cases, bool)
        for column in texts.values():
            some |= column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
        mask = pa.array(some)
        part = _Part(
            ids=log.cases[s.CASE_ID].filter(mask),
            texts={word: column.filter(mask) for word, column in texts.items()},
            place=f"service level {shown(name)}",
            reading=reading,
            counted=None if one is None else one.counted,
        )
        columns = read[stem.source](part)
        columns.setdefault("cycle", pa.repeat(stem.cycle, part.n).cast(pa.int64()))
        parts.append(_table(part.ids, stem.source, name, one, columns))
    return pa.concat_tables(parts)


@dataclass(frozen=True, eq=False)
class _Part:
    """The cases that have one service level, and what the tool says of it, as texts."""

    ids: pa.ChunkedArray
    texts: Mapping[str, pa.ChunkedArray]
    place: str
    reading: _Reading
    counted: str | None

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.ids)

    def times(self, word: str) -> pa.Array:
        """Read stamps that state their offset."""
        how = TimeReader("iso", None)
        return self.reading.times(self.texts.get(word), self.n, f"{self.place}, {word}", how)

    def whole(self, word: str, unit: int = 1) -> pa.Array:
        """Read whole numbers of a unit, as µs."""
        return self.reading.whole(self.texts.get(word), self.n, f"{self.place}, {word}", unit)

    def text(self, word: str) -> pa.Array:
        """Return what is said, as it stands."""
        column = self.texts.get(word)
        return pa.nulls(self.n, pa.string()) if column is None else column.combine_chunks()

    def truth(self, word: str) -> pa.Array:
        """Read true and false; anything else is not said."""
        told = pc.utf8_lower(self.text(word))
        known = pc.is_in(told, value_set=pa.array(["true", "false"]))
        return pc.if_else(known, pc.equal(told, "true"), pa.scalar(None, pa.bool_()))


def _servicenow(part: _Part) -> dict[str, pa.Array]:
    scheduled = part.whole("business_duration_us"), part.whole("business_pause_us")
    by_wall = part.whole("duration_us"), part.whole("pause_us")
    if part.counted == "calendar":
        elapsed, paused = by_wall
    elif part.counted == "business":
        elapsed, paused = scheduled
    else:
        elapsed = pc.coalesce(scheduled[0], by_wall[0])
        paused = pc.if_else(scheduled[0].is_valid(), scheduled[1], by_wall[1])
    stage = pc.utf8_lower(part.text("stage"))
    distinct = stage.dictionary_encode()
    states = [_STAGES.get(word, word) for word in distinct.dictionary.to_pylist()]
    return {
        "start": part.times("start"),
        "stop": part.times("end"),
        "due": part.times("planned_end"),
        "original_due": part.times("original_breach"),
        "breached": part.truth("breached"),
        "elapsed_us": elapsed,
        "paused_us": paused,
        "state": pa.array(states, pa.string()).take(distinct.indices),
    }


def _jira(part: _Part) -> dict[str, pa.Array]:
    return {
        "cycle": pc.fill_null(part.whole("cycles"), 1),
        "start": part.times("start"),
        "stop": part.times("stop"),
        "due": part.times("due"),
        "breached": part.truth("breached"),
        "elapsed_us": part.whole("elapsed_ms", _MS),
        "goal_us": part.whole("goal_ms", _MS),
        "state": part.text("state"),
    }


def _zendesk(part: _Part) -> dict[str, pa.Array]:
    by_wall = part.whole("calendar", s.US_PER_MINUTE)
    scheduled = part.whole("business", s.US_PER_MINUTE)
    same = pc.fill_null(pc.equal(by_wall, scheduled), fill_value=False)
    elapsed = pc.if_else(same, by_wall, pa.scalar(None, pa.int64()))
    if part.counted is not None:
        elapsed = by_wall if part.counted == "calendar" else scheduled
    breach, done = part.times("breach"), part.times("fulfill")
    goal = part.whole("target", s.US_PER_MINUTE)
    # A metric is also counted where no policy applies; then there is nothing to breach.
    promised = pc.or_(goal.is_valid(), part.text("policy").is_valid())
    return {
        "start": part.times("activate"),
        "stop": done,
        "due": breach,
        "breached": pc.if_else(promised, breach.is_valid(), pa.scalar(None, pa.bool_())),
        "elapsed_us": elapsed,
        "goal_us": goal,
        "state": pc.if_else(done.is_valid(), COMPLETED, RUNNING),
    }


# --- columns of a table -------------------------------------------------------------------------


def _columns_table(log: EventLog, one: Declared, reading: _Reading) -> pa.Table:
    """Read a service level from columns; a case without due time and outcome has no row."""
    found: dict[str, pa.Array] = {}
    n = log.n_cases
    how = TimeReader(one.format, None if one.zone is None else load_zone(one.zone))
    for column, attribute in one.columns:
        texts = _attribute(log, one, attribute, reading)
        place = f"tool_row '{one.name}', column '{attribute}'"
        if texts is None:
            continue
        if column == "outcome":
            found["breached"] = reading.words(texts, one, attribute)
            found["outcome"] = texts.is_valid()
        else:
            found[column] = reading.times(pa.chunked_array([texts]), n, place, how)
    said = [found[key] for key in ("due", "outcome") if key in found]
    if not said:
        return TOOL_ROWS.empty_table()
    found.pop("outcome", None)
    some = np.zeros(n, bool)
    for values in said:
        kept = values if pa.types.is_boolean(values.type) else values.is_valid()
        some |= kept.to_numpy(zero_copy_only=False)
    mask = pa.array(some)
    columns = {name: values.filter(mask) for name, values in found.items()}
    ids = log.cases[s.CASE_ID].filter(mask)
    columns["cycle"] = pa.repeat(1, len(ids)).cast(pa.int64())
    return _table(ids, COLUMNS, one.name, one, columns)


def _attribute(log: EventLog, one: Declared, attribute: str, reading: _Reading) -> pa.Array | None:
    """Return an attribute as text, one value a case; None, and a mistake, where there is none."""
    name = s.ATTRIBUTE_PREFIX + attribute
    table = log.cases if one.at == "case" else log.events
    if name not in table.column_names:
        known = [
            c.removeprefix(s.ATTRIBUTE_PREFIX)
            for c in table.column_names
            if c.startswith(s.ATTRIBUTE_PREFIX)
        ]
        what = f"tool_row '{one.name}': the {one.at} has no attribute '{attribute}'"
        reading.mistakes.append(CodedError("SL244", what, fix=did_you_mean(attribute, known)))
        return None
    column = table[name].cast(pa.string()).combine_chunks()
    if one.at == "case":
        return column
    known_here = column.is_valid().to_numpy(zero_copy_only=False)
    last = segments.last(log.arrays, np.asarray(known_here, bool))
    return column.take(pa.array(last, mask=last == segments.NONE))


def _table(
    ids: pa.ChunkedArray,
    source: str,
    name: str,
    one: Declared | None,
    columns: Mapping[str, pa.Array],
) -> pa.Table:
    n = len(ids)
    fixed = {
        "source": source,
        "name": name,
        "agreement": None if one is None else one.agreement,
        "metric": None if one is None else one.metric,
        "target": None if one is None else one.target,
    }
    every: dict[str, pa.Array] = {"case_id": ids}
    every |= {key: pa.array([value] * n, pa.string()) for key, value in fixed.items()}
    every |= columns
    absent = {item.name: item.type for item in TOOL_ROWS if item.name not in every}
    every |= {key: pa.nulls(n, kind) for key, kind in absent.items()}
    return pa.table({key: every[key] for key in TOOL_ROWS.names}).cast(TOOL_ROWS)


# --- what nobody declared -----------------------------------------------------------------------


def _undeclared(
    log: EventLog, table: pa.Table, declared: Sequence[Declared]
) -> Iterator[Undeclared]:
    """Yield service levels without a declaration, then columns that look like some."""
    rows = table.filter(table["metric"].is_null())
    counted = rows.group_by(["source", "name"]).aggregate([("case_id", "count_distinct")])
    for row in sorted(counted.to_pylist(), key=lambda row: (row["source"], row["name"])):
        name = row["name"]
        yield Undeclared(row["source"], name, row["case_id_count_distinct"], hints(name))
    used = {attribute for one in declared for _, attribute in one.columns}
    for kind, of in (("case", log.cases), ("event", log.events)):
        for column in of.column_names:
            name = column.removeprefix(s.ATTRIBUTE_PREFIX)
            plain = column != name and not column.startswith(_PREFIX) and name not in used
            if plain and _LOOKS_LIKE_ONE.search(name):
                some = of.filter(of[column].is_valid())[s.CASE_ID]
                yield Undeclared(f"{kind} column", name, len(pc.unique(some)), hints(name))


def hints(name: str) -> tuple[str, ...]:
    """Return the metrics of ours that a name hints at."""
    low = name.lower()
    return tuple(metric for metric, parts in _HINTS.items() if any(part in low for part in parts))
