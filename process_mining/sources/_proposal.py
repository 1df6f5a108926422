"""Which mapping might a table need? A proposal, with everything that is unsure marked in it.

The whole table is looked at, as text. A column is proposed for a part of an event by its name and
by what its values do: a case id repeats, an activity has few distinct texts, an event's time
varies within a case, an order never counts down while time goes on in a case. A date format is
proposed only where it is *proven*: it reads every value of the column, and no other format that is
known does, and all of its stamps or none state an offset. Whatever is not proven stands as a
comment that begins with `UNSURE`, and where a choice is needed the key is left out, so that the
mapping cannot be used before somebody has decided.

Proposed names are looked up in words of ticket tools in English; in other languages less is
recognised, and more is left to decide. Nothing here reads a log: `csv_mapped` does, by the mapping.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from process_mining.errors import CodedError
from process_mining.sources._csv import columns_of, header_of, records
from process_mining.sources._files import (
    check_file,
    encoding_of,
    first_line,
    head_of,
    looks_binary,
)
from process_mining.sources._times import (
    BadTimeError,
    TimeReader,
    date_only,
    load_zone,
    states_offset,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

DELIMITERS: Final = ",;\t|"
SAMPLE: Final = 200
FEW: Final = 200
MARKERS: Final = ("?", "NULL", "null", "N/A", "n/a", "NA", "-", "None", "UNKNOWN", "\\N")
FORMATS: Final = (
    "iso",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%m-%d-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%d %b %Y %H:%M",
    "%d %b %Y %H:%M:%S",
    "iso_date",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
)
# Parts of a column's name, best first; the first list that fits decides the rank.
NAMES: Final = {
    "case_id": ("case", "ticket", "incident_id", "incident id", "number", "issue_key", "key", "id"),
    "activity": ("activity", "incidentactivity_type", "event", "action", "state", "status", "step"),
    "at": ("timestamp", "datestamp", "event_time", "time", "updated", "changed", "date", "at"),
    "order_by": ("seq", "sequence", "mod_count", "order", "position", "index", "activity_number"),
    "actor": ("actor", "resource", "user", "updated_by", "agent", "assignee", "author", "by"),
    "team": ("assignment_group", "assignment group", "group", "team", "department", "queue"),
    "priority": ("priority", "prio"),
    "category": ("category", "type"),
    "service": ("service", "ci name", "cmdb_ci", "product", "component"),
    "opened": ("opened", "open time", "created", "reported"),
    "resolved": ("resolved", "resolution_date", "solved"),
    "closed": ("closed", "close time"),
}
LEVELS: Final = {"critical": 1, "urgent": 1, "high": 2, "moderate": 3, "medium": 3, "low": 4}
_WORDS: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Column:
    """What is known of one column: its values as text (null where empty), and its formats."""

    name: str
    values: pa.Array
    formats: tuple[str, ...]
    distinct: int

    @property
    def is_time(self) -> bool:
        """Whether some known format reads every value."""
        return bool(self.formats)

    @property
    def is_date(self) -> bool:
        """Whether it is read by formats that say nothing of the clock."""
        return self.is_time and all(map(date_only, self.formats))


@dataclass(frozen=True)
class Proposal:
    """The text of a mapping file, and what is unsure in it, in words."""

    text: str
    unsure: tuple[str, ...]


def propose_mapping(path: Path) -> Proposal:
    """Propose a mapping for a CSV or Parquet file; LG047 where it is no table."""
    check_file(path)
    head = head_of(path)
    if head.startswith(b"PAR1"):
        with pq.ParquetFile(path) as file:
            table = file.read()
        names = table.column_names
        columns = {
            name: table.column(index).combine_chunks().cast(pa.string())
            for index, name in enumerate(names)
        }
        return propose(_slug(path), columns, twice=_twice(names))
    if looks_binary(head) or first_line(head).lstrip()[:1] in {"{", "[", "<"}:
        msg = f"{path.name} is no table"
        fix = "Tools' own exports, XES and OCEL need no mapping of columns: try it without one"
        raise CodedError("LG037", msg, fix=fix)
    encoding = None if _decodes(head) else "cp1252"
    delimiter = _delimiter(first_line(head))
    header = header_of(path, delimiter=delimiter, encoding=encoding)
    rows = records(path, delimiter=delimiter, encoding=encoding, width=len(header))
    next(rows)
    columns, _ = columns_of([row for row in rows if not row.problem], header, keep=header)
    return propose(
        _slug(path), columns, delimiter=delimiter, encoding=encoding, twice=_twice(header)
    )


def _twice(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, count in Counter(names).items() if count > 1))


def _delimiter(line: str) -> str:
    """The delimiter of which the header holds most; among equals the first of the known ones."""
    return max(DELIMITERS, key=lambda mark: (line.count(mark), -DELIMITERS.index(mark)))


def _decodes(head: bytes) -> bool:
    try:
        head[: head.rfind(b"\n") + 1].decode(encoding_of(head))
    except UnicodeDecodeError:
        return False
    return True


def _slug(path: Path) -> str:
    return "_".join(word for word in _WORDS.split(path.name.split(".")[0].lower()) if word) or "log"


def propose(
    name: str,
    table: Mapping[str, pa.Array],
    *,
    delimiter: str = ",",
    encoding: str | None = None,
    twice: Sequence[str] = (),
) -> Proposal:
    """Propose a mapping for the columns of a table (texts; null or "" where there is none).

    `twice` names the columns that the file has more than once.
    """
    missing = _markers(table)
    columns = [_column(key, values, missing) for key, values in table.items()]
    doubts = [
        f"the file has several columns named {_quoted(one)}; one that a mapping names is refused "
        "(LG045): rename all but one in the export"
        for one in twice
    ]
    return _Writer(
        name, columns, missing, delimiter=delimiter, encoding=encoding, doubts=doubts
    ).proposal()


def _markers(table: Mapping[str, pa.Array]) -> tuple[str, ...]:
    """The texts that seem to mean "no value": known ones that stand in a column beside others."""
    found = set()
    for values in table.values():
        counts = {row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()}
        found |= {mark for mark in MARKERS if mark in counts and len(counts) > 1}
    return tuple(sorted(found))


def _column(name: str, values: pa.Array, missing: Sequence[str]) -> Column:
    empty = pc.is_in(values, value_set=pa.array(["", *missing], pa.string()))
    values = pc.if_else(empty, pa.scalar(None, pa.string()), values)
    distinct = pc.unique(values.drop_null())
    return Column(name, values, tuple(_formats(distinct)), len(distinct))


def _formats(distinct: pa.Array) -> Iterator[str]:
    """Yield the known formats that read every distinct value; a quick look rules out most."""
    texts = distinct.to_pylist()
    if not texts or not any(letter.isdigit() for letter in texts[0]):
        return
    for pattern in FORMATS:
        reader = _reader(pattern)
        if all(_reads(reader, text) for text in texts[:SAMPLE]) and all(
            _reads(reader, text) for text in texts
        ):
            yield pattern


def _reader(pattern: str) -> TimeReader:
    return TimeReader(
        pattern=pattern, zone=load_zone("UTC"), ambiguous="earlier", nonexistent="shift_forward"
    )


def _reads(reader: TimeReader, text: str) -> bool:
    try:
        reader.read(text)
    except BadTimeError:
        return False
    return True


def _fit(column: str, part: str) -> float:
    """How well a column's name speaks for a part: 0 not at all, 1 exactly."""
    words = [word for word in _WORDS.split(column.lower()) if word]
    for rank, name in enumerate(NAMES[part]):
        wanted = [word for word in _WORDS.split(name) if word]
        weight = 1 - rank / (2 * len(NAMES[part]))
        if words == wanted:
            return weight
        if any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
            return weight * 0.8
    return 0.0


class _Writer:
    """Chooses the columns, and writes the mapping with its marks."""

    def __init__(  # noqa: PLR0913 - what is known of the file
        self,
        name: str,
        columns: Sequence[Column],
        missing: tuple[str, ...],
        *,
        delimiter: str,
        encoding: str | None,
        doubts: Sequence[str],
    ) -> None:
        self._name, self._columns, self._missing = name, columns, missing
        self._delimiter, self._encoding = delimiter, encoding
        self._unsure = list(doubts)
        self._used: set[str] = set()
        self._rows = len(columns[0].values) if columns else 0

    def proposal(self) -> Proposal:
        """Return the mapping's text."""
        case = self._case_id()
        at = self._at(case)
        activity = self._activity()
        event = [
            *self._line("case_id", case),
            *self._line("activity", activity),
            *self._line("at", at),
            *self._order(case, at),
            *self._optional("actor", times=False),
            *self._optional("team", times=False),
        ]
        about = [
            line
            for part in ("priority", "category", "service")
            for line in self._optional(part, times=False)
        ]
        about += [
            line for part in ("opened", "resolved", "closed") for line in self._case_time(part)
        ]
        head = [f'name = "{self._name}"', *self._table_lines(), *self._time_lines()]
        rest = [c.name for c in self._columns if c.name not in self._used]
        left = [f"# not used: {', '.join(map(_quoted, rest))}"] if rest else []
        tail = [
            "# attributes = [...]   columns to keep beside these; people = [...] those with names",
            *left,
        ]
        lines = [*head, "", "[event]", *event, *tail, "", "[case]", *self._practice(), *about]
        marks = [f"# UNSURE: {mark}" for mark in self._unsure]
        count = (
            f"# A proposal; {len(marks)} things are to be decided:" if marks else "# A proposal."
        )
        return Proposal("\n".join([count, *marks, "", *lines, ""]), tuple(self._unsure))

    def _doubt(self, text: str) -> None:
        self._unsure.append(text)

    def _best(self, part: str, fits: Mapping[str, float]) -> str | None:
        """Take the column that fits best; say so where another fits nearly as well."""
        ranked = sorted(fits, key=lambda name: (-fits[name], name))
        ranked = [name for name in ranked if fits[name] > 0 and name not in self._used]
        if not ranked:
            return None
        best = ranked[0]
        near = [name for name in ranked[1:] if fits[name] > 0.8 * fits[best]]
        if near:
            self._doubt(f"{part} = {_quoted(best)}, or {' or '.join(map(_quoted, near[:4]))}?")
        self._used.add(best)
        return best

    def _case_id(self) -> str | None:
        """A case id is never missing, has several rows a case, and is no time."""
        fits = {
            c.name: _fit(c.name, "case_id") + 0.1 * (c.distinct < self._rows)
            for c in self._columns
            if not c.is_time and c.values.null_count == 0 and _fit(c.name, "case_id")
        }
        best = self._best("case_id", fits)
        if best is None:
            self._doubt("no column looks like the id of a case")
        elif self._of(best).distinct == self._rows:
            self._doubt(
                f"every row has its own {_quoted(best)}: is this a table of cases, not of events? "
                "If a row is a whole ticket and its times say what was reached when, [milestones] "
                '(Register = "created", …) takes the place of activity and at'
            )
        return best

    def _activity(self) -> str | None:
        fits = {
            c.name: _fit(c.name, "activity")
            for c in self._columns
            if not c.is_time and c.values.null_count == 0 and 1 < c.distinct <= FEW
        }
        best = self._best("activity", fits)
        if best is None:
            self._doubt("no column looks like what happened (the activity)")
        return best

    def _at(self, case: str | None) -> str | None:
        """The time of an event is never missing, varies within cases, and has a clock if any."""
        fits = {
            c.name: (_fit(c.name, "at") + 0.05 + 0.5 * self._varies(case, c.name))
            * (0.5 if c.is_date else 1)
            for c in self._columns
            if c.is_time and c.values.null_count == 0
        }
        best = self._best("at", fits)
        if best is None:
            self._doubt("no column looks like the time of an event in a format that is known")
        return best

    def _varies(self, case: str | None, name: str) -> bool:
        """Whether a column has several values within one case."""
        if case is None:
            return False
        pairs = pa.table({"case": self._of(case).values, "value": self._of(name).values})
        distinct: int = pairs.group_by(["case", "value"]).aggregate([]).num_rows
        return distinct > self._of(case).distinct

    def _order(self, case: str | None, at: str | None) -> list[str]:
        """An order is a whole number in every row that varies within cases."""
        fits = {
            c.name: _fit(c.name, "order_by")
            for c in self._columns
            if _whole(c.values) and self._varies(case, c.name)
        }
        best = self._best("order_by", fits)
        if best is None:
            self._doubt(
                "no column orders the events of one time: cases in which different events share a "
                "time will have an unknown order"
            )
            return []
        flaw = self._flaw(case, at, best)
        if flaw:
            self._doubt(f"order_by = {_quoted(best)}? {flaw}")
            return [f"# order_by = {_quoted(best)}"]
        return [f"order_by = {_quoted(best)}"]

    def _flaw(self, case: str | None, at: str | None, order: str) -> str:
        """What speaks against an order; it is to hold however the time may be read."""
        if case is None or at is None:
            return "there is no time that could confirm it"
        column = self._of(at)
        found = [
            _steps(self._of(case).values, _instants(column.values, one), self._of(order).values)
            for one in column.formats
        ]
        down = max(steps[1] for steps in found)
        if down:
            total = self._of(case).distinct
            return f"it counts down in {down:,} of {total:,} cases where {_quoted(at)} goes on"
        if not all(up for up, _ in found):
            return f"it nowhere counts up where {_quoted(at)} goes on"
        return ""

    def _optional(self, part: str, *, times: bool) -> list[str]:
        fits = {c.name: _fit(c.name, part) for c in self._columns if c.is_time == times}
        best = self._best(part, fits)
        if best is None:
            return []
        if part == "priority":
            return [self._priority(best)]
        return [f"{part} = {_quoted(best)}"]

    def _priority(self, name: str) -> str:
        words = sorted(pc.unique(self._of(name).values.drop_null()).to_pylist())[:12]
        pairs = ", ".join(f"{_quoted(word)} = {_quoted(_level(word))}" for word in words)
        self._doubt(
            f"priority: do its words mean what stands in [case] priority ({_quoted(name)})?"
        )
        return f"priority = {{ column = {_quoted(name)}, values = {{ {pairs} }} }}"

    def _case_time(self, part: str) -> list[str]:
        fits = {c.name: _fit(c.name, part) for c in self._columns if c.is_time}
        best = self._best(part, fits)
        return [] if best is None else self._line(part, best)

    def _line(self, key: str, name: str | None) -> list[str]:
        """One column; a time with its format, which is left out where it is not proven."""
        if name is None:
            return [f"# {key} = "]
        column = self._of(name)
        if key not in {"at", "opened", "resolved", "closed"}:
            return [f"{key} = {_quoted(name)}"]
        if column.is_date:
            self._doubt(f"{_quoted(name)} holds dates only: each is read as the start of the day")
        if _mixes_offsets(column):
            self._doubt(f"some stamps of {_quoted(name)} state an offset and others do not")
            pattern = _quoted(column.formats[0])
            return [f"# {key} = {{ column = {_quoted(name)}, format = {pattern} }}"]
        if len(column.formats) == 1:
            pattern = column.formats[0]
            proof = f"# proven: no other known format reads all {column.distinct} distinct values"
            return [f"{key} = {{ column = {_quoted(name)}, format = {_quoted(pattern)} }}  {proof}"]
        choice = " or ".join(map(_quoted, column.formats))
        self._doubt(f"the format of {_quoted(name)}: every value fits {choice}")
        return [f"# {key} = {{ column = {_quoted(name)}, format = ... }}  # {choice}"]

    def _table_lines(self) -> list[str]:
        lines = []
        if self._delimiter != ",":
            lines.append(f"delimiter = {_quoted(self._delimiter)}")
        if self._encoding is not None:
            lines.append(f"encoding = {_quoted(self._encoding)}")
            self._doubt(f"the text is no UTF-8; is it {self._encoding}?")
        if self._missing:
            marks = ", ".join(map(_quoted, self._missing))
            lines.append(f"missing = [{marks}]")
            self._doubt(f"do {marks} mean that there is no value?")
        return ["", "[csv]", *lines] if lines else []

    def _time_lines(self) -> list[str]:
        bare = [
            c.name
            for c in self._columns
            if c.is_time
            and c.name in self._used
            and (not states_offset(c.formats[0]) or not _all_state_offset(c.values))
        ]
        if not bare:
            return []
        named = ", ".join(map(_quoted, bare))
        self._doubt(f"the time zone of {named}: the stamps do not say it")
        return ["", "[time]", '# timezone = "Europe/Berlin"']

    def _practice(self) -> list[str]:
        self._doubt("the practice: incident, problem, change, service_request …?")
        return ['# practice = { constant = "incident" }']

    def _of(self, name: str) -> Column:
        return next(column for column in self._columns if column.name == name)


def _whole(values: pa.Array) -> bool:
    if values.null_count:
        return False
    whole = pc.match_substring_regex(values, r"^[0-9]{1,18}$")
    return len(values) > 0 and _all(whole)


def _all_state_offset(values: pa.Array) -> bool:
    return _all(_stating_offset(values))


def _mixes_offsets(column: Column) -> bool:
    """Whether some stamps state an offset and others, of the same column, do not."""
    if not column.is_time or not states_offset(column.formats[0]):
        return False
    stated = _stating_offset(column.values)
    return bool(pc.any(stated).as_py()) and not _all(stated)


def _stating_offset(values: pa.Array) -> pa.Array:
    return pc.match_substring_regex(values.drop_null(), r"(Z|[+-]\d\d(:?\d\d)?)$")


def _instants(values: pa.Array, pattern: str) -> pa.Array:
    """The instants (µs) of stamps that a format reads."""
    coded, reader = values.dictionary_encode(), _reader(pattern)
    read = [reader.read(text).us for text in coded.dictionary.to_pylist()]
    return pa.array(read, pa.int64()).take(coded.indices)


def _steps(cases: pa.Array, at: pa.Array, order: pa.Array) -> tuple[int, int]:
    """In how many cases a number counts up, and down, from one time to the next later one.

    Events of one time may have any numbers among themselves: in that order they are then put.
    """
    number = order.cast(pa.int64())
    rows = pa.table({"case": cases.dictionary_encode().indices, "at": at, "order": number})
    times = rows.group_by(["case", "at"]).aggregate([("order", "min"), ("order", "max")])
    times = times.sort_by([("case", "ascending"), ("at", "ascending")])
    case, low, high = (times[name].to_numpy() for name in ("case", "order_min", "order_max"))
    later = case[1:] == case[:-1]
    up, down = later & (low[1:] > high[:-1]), later & (low[1:] < high[:-1])
    return len(np.unique(case[1:][up])), len(np.unique(case[1:][down]))


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask).as_py())


def _level(word: str) -> str:
    """The level that a priority's word seems to mean, the word itself where it says none."""
    digit = re.match(r"[Pp]?([1-5])\b", word)
    level = digit[1] if digit else LEVELS.get(word.lower())
    return f"P{level}" if level else word


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    safe = "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped)
    return f'"{safe}"'
