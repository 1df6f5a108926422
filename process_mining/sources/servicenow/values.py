"""What does a cell of a ServiceNow export mean: which instant, duration, number, priority?

ServiceNow keeps times in UTC and writes them `YYYY-MM-DD HH:MM:SS`, without a mark: *raw* values.
*Display* values are in the zone and the format of the user who exported, and that format may look
like the raw one. So, for each file:

- a cell that has both: its value, if raw, is UTC;
- a stamp with an offset (ISO 8601) means what it says;
- a file that shows raw values elsewhere (sys_ids for groups, numbers for states) is raw: UTC,
  whatever zone is declared;
- a file that shows labels ("4 - Low", "In Progress") is a display export: its zone must be
  declared, and its format where it is another than the raw one;
- a file that shows neither (sys_audit) is what the others of the call are; where they show neither
  too, it is in the declared zone, in UTC where none is declared.

What is missing stops the reading with LG083 and says what to declare; day and month are never told
apart by their values. A single stamp that differs from the others of its column is a reject.

Durations are dates counted from 1970 (`1970-01-02 09:46:18` is 1 d 9:46:18) or whole seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from process_mining.errors import CodedError
from process_mining.schema import US_PER_SECOND
from process_mining.sources._rejects import shown
from process_mining.sources._times import (
    ISO,
    BadTimeError,
    TimeReader,
    load_zone,
    reading,
    states_offset,
)
from process_mining.sources.servicenow.rows import AUDIT, CLASSES, METRIC, TASK

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from process_mining.sources._mapping import Mapping as ToolMapping
    from process_mining.sources._times import Instant
    from process_mining.sources.servicenow.rows import Row

Voice = Literal["raw", "display", "open"]

HEX_ID: Final = re.compile(r"[0-9a-f]{32}")
RAW: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?", re.ASCII)
_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)", re.ASCII)
_GRADED: Final = re.compile(r"(\d) - .*", re.ASCII | re.DOTALL)
_GROUPED: Final = re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d+", re.ASCII)
GRADES: Final = ("priority", "urgency", "impact", "severity")
STATES: Final = ("state", "incident_state", "problem_state")
REFERENCES: Final = (
    *("assignment_group", "assigned_to", "opened_by", "closed_by", "resolved_by", "caller_id"),
    *("cmdb_ci", "business_service", "task", "sla", "sysapproval", "approver"),
)
VOICELESS: Final = frozenset({AUDIT, METRIC})
VOICES: Final[tuple[Voice, ...]] = ("display", "raw")
EXAMPLE: Final = 'format = "%d.%m.%Y %H:%M:%S" and timezone = "Europe/Berlin" (say)'
RAW_HINT: Final = "or export raw values (sysparm_display_value=false)"


@dataclass(eq=False)
class Clock:
    """How the stamps of all files of a call are read; `policies` counts what clock changes left."""

    mapping: ToolMapping
    timezone: str | None
    policies: Counter[str]
    others: Voice = "open"
    local: bool = False
    notes: dict[str, None] = field(default_factory=dict)

    def listen(self, groups: Iterable[Sequence[Row]]) -> None:
        """Learn from all files of the call whether it is one of raw or of display values."""
        voices = {_voice(rows)[0] for rows in groups}
        self.others = next((voice for voice in VOICES if voice in voices), "open")

    @property
    def zone(self) -> str | None:
        """The declared zone; --timezone wins over the mapping."""
        return self.timezone or self.mapping.time.timezone

    def stamps(self, rows: Sequence[Row], columns: Sequence[str]) -> Stamps:
        """Return the reader of these columns of one table in one file; LG083 where it lacks one."""
        voice, sign = _voice(rows)
        voice = self.others if voice == "open" else voice
        stamps = Stamps(self, plain=self._plain(voice))
        pattern = self.mapping.time.format
        if pattern is not None:
            stamps.declared = self._reading(pattern)
        for column in columns:
            self._check(rows, column, voice, sign)
        self._note(rows, columns, voice)
        return stamps

    def _note(self, rows: Sequence[Row], columns: Sequence[str], voice: Voice) -> None:
        """Remember whether the declared zone is used, and say so where it is not."""
        if self.zone is None or not rows:
            return
        stamps = [row.values.get(column, "") for row in rows for column in columns]
        if voice != "raw" or not any(RAW.fullmatch(stamp) for stamp in stamps):
            self.local = True
        elif self.zone != "UTC":
            self.notes[f"{rows[0].file}: raw values, read in UTC and not in {self.zone}"] = None

    def _plain(self, voice: Voice) -> Callable[[str], Instant]:
        """Read raw-looking stamps that stand alone."""
        pattern, zone = self.mapping.time.format, self.zone or "UTC"
        other = pattern is not None and not RAW.fullmatch(_sample(pattern))
        if voice == "display" and other and pattern is not None:
            return self._reading(pattern)
        if voice == "raw" or other:
            zone = "UTC"
        return self._reader(ISO, zone)

    def _reading(self, pattern: str) -> Callable[[str], Instant]:
        return self._reader(pattern, self.zone)

    def _reader(self, pattern: str, zone: str | None) -> Callable[[str], Instant]:
        plan = self.mapping.time
        reader = TimeReader(
            pattern=pattern,
            zone=load_zone(zone) if zone else None,
            ambiguous=plan.ambiguous,
            nonexistent=plan.nonexistent,
        )
        return reading(reader)

    def _check(self, rows: Sequence[Row], column: str, voice: Voice, sign: str) -> None:
        """Refuse a column whose stamps cannot be read without a declaration."""
        pattern = self.mapping.time.format
        alone = [row for row in rows if column in row.values and not _sure(row, column)]
        if not alone:
            return
        first = alone[0]
        where = f"{first.file}, {column}"
        raw = [row for row in alone if RAW.fullmatch(row.values[column])]
        if pattern is None and len(raw) < len(alone) and not _some_known(rows, column):
            odd = next(row for row in alone if not RAW.fullmatch(row.values[column]))
            text = shown(odd.values[column])
            msg = f"{where}: {text} ({odd.place}) is no raw value of ServiceNow"
            why = (
                "display values are in the exporting user's zone and format, which are not guessed"
            )
            fix = f"Declare under [time] in a mapping {EXAMPLE}, {RAW_HINT}"
            raise CodedError("LG083", msg, why=why, fix=fix)
        needs_zone = pattern is not None and not states_offset(pattern) and len(raw) < len(alone)
        if self.zone is None and (needs_zone or (voice == "display" and raw)):
            msg = f"{where}: no zone is declared for {shown(first.values[column])}"
            why = f"{sign}, so its times are in the exporting user's zone" if sign else ""
            fix = (
                f'Declare timezone = "Europe/Berlin" (say) under [time], or --timezone, {RAW_HINT}'
            )
            raise CodedError("LG083", msg, why=why, fix=fix)


@dataclass(eq=False)
class Stamps:
    """Reads the stamps of one table in one file."""

    clock: Clock
    plain: Callable[[str], Instant]
    declared: Callable[[str], Instant] | None = None
    utc: Callable[[str], Instant] = field(
        default_factory=lambda: reading(TimeReader(pattern=ISO, zone=load_zone("UTC")))
    )

    def read(self, row: Row, column: str) -> int | None:
        """Return the instant (µs UTC), None where there is none; BadTimeError says why not."""
        text = row.text(column)
        if text is None:
            return None
        try:
            instant = self._reader(row, column, text)(text)
        except BadTimeError as error:
            raise BadTimeError(error.code, f"{column} {error.reason}") from error
        if instant.policy:
            self.clock.policies[instant.policy] += 1
        return instant.us

    def _reader(self, row: Row, column: str, text: str) -> Callable[[str], Instant]:
        if _sure(row, column):
            return self.utc
        if RAW.fullmatch(text):
            return self.plain
        if self.declared is not None:
            return self.declared
        raise BadTimeError("LG104", f"{shown(text)} is no raw value, as the others are")


def duration_us(text: str | None) -> int | None:
    """Return a duration in µs: a date counted from 1970, or whole seconds; else None."""
    if text is None:
        return None
    if RAW.fullmatch(text):
        try:
            return TimeReader(pattern=ISO, zone=load_zone("UTC")).read(text).us
        except BadTimeError:
            return None
    seconds = number(text)
    return int(seconds) * US_PER_SECOND if _WHOLE.fullmatch(seconds) else None


def number(text: str) -> str:
    """Return a number without the marks between its thousands: "2,000" is 2000."""
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text


def priority_of(value: str | None, label: str | None, own: dict[str, str]) -> str | None:
    """Return P1 to P5 by the digit that leads ("4 - Low", 4); the desk's own words come first."""
    for text in (value, label):
        if text is not None and text in own:
            return own[text]
    word = value or label
    if word is None:
        return None
    graded = _GRADED.fullmatch(word)
    digit = graded[1] if graded else word
    return f"P{digit}" if digit in {"1", "2", "3", "4", "5"} else word


def _voice(rows: Sequence[Row]) -> tuple[Voice, str]:
    """Whether single texts are raw or display values, by what else the rows show; and the sign."""
    raw = False
    if rows and rows[0].table in VOICELESS:
        return "open", ""
    for row in rows:
        for column, text in _alone(row, GRADES):
            if _GRADED.fullmatch(text):
                return "display", f"{row.file} shows labels ({shown(text)} in {column})"
            raw = raw or _WHOLE.fullmatch(text) is not None
        raw = raw or any(HEX_ID.fullmatch(row.values.get(name, "")) for name in REFERENCES)
    if raw:
        return "raw", ""
    for row in rows:
        if row.table in CLASSES | {TASK}:
            for column, text in _alone(row, STATES):
                if not _WHOLE.fullmatch(text):
                    return "display", f"{row.file} shows labels ({shown(text)} in {column})"
                return "raw", ""
    return "open", ""


def _alone(row: Row, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The cells of these columns that hold one text only."""
    for column in columns:
        text = row.values.get(column)
        if text is not None and column not in row.labels:
            yield column, text


def _sure(row: Row, column: str) -> bool:
    """Whether the stamp says its zone: a raw value beside a label, or an offset."""
    text = row.values.get(column, "")
    both = column in row.labels and RAW.fullmatch(text) is not None
    return both or _OFFSET.fullmatch(text) is not None


def _some_known(rows: Sequence[Row], column: str) -> bool:
    """Whether any stamp of the column is read without a format."""
    stamps = (row for row in rows if column in row.values)
    return any(_sure(row, column) or RAW.fullmatch(row.values[column]) for row in stamps)


def _sample(pattern: str) -> str:
    """A stamp as the format writes it, to compare it with the raw form."""
    if pattern == ISO:
        return "2000-01-01 00:00:00"
    digits = {"Y": "2000", "m": "01", "d": "01", "H": "00", "M": "00", "S": "00"}
    return re.sub(r"%(.)", lambda match: digits.get(match[1], "x"), pattern)
