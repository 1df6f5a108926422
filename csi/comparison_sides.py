"""Which cases are A, and which are B? Two logs, two periods, or two groups by a column.

One log is split by a date (cases belong to the period in which their first event lies; those that
go on across the date are counted), or by a column: one of the case table (a source's own columns
may be named without `attr.`), `first_team`, `last_team` (the first and last team named in the case)
or `variant` (its number, 1 is the most frequent). Without a value for B, B is every other case with
a known value. Cases in neither group are counted by the reason, never dropped in silence.

People are protected: a team of fewer than `SMALLEST_TEAM` known people is never a group of its own,
nor is a person (a column of pseudonyms). O(events). Errors: CodedError CL051 to CL055.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.audit import EPOCH, judged_at
from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.columnar.sql import variants
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.privacy import PSEUDONYM, SMALLEST_TEAM, people_of_teams

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints
    from rules.practice import Translation

    Bools = npt.NDArray[np.bool_]
    Words = npt.NDArray[np.object_]
    Split = tuple[Bools, Bools, tuple[str, str], "Apart"]

VARIANT: Final = "variant"
TEAM_COLUMNS: Final = ("first_team", "last_team")
TIME_COLUMNS: Final = (s.OPENED, s.RESOLVED, s.CLOSED)
NO_GROUPS: Final = frozenset({s.CASE_ID, s.ORDER_KNOWN, *TIME_COLUMNS})


@dataclass(frozen=True, eq=False)
class Side:
    """One group of cases; `complete` has one entry a case. `words` is None where none translate."""

    label: str
    log: EventLog
    complete: Bools
    as_of_us: int
    words: Translation | None = None

    @property
    def open_share(self) -> float:
        """The share of cases that have not ended."""
        return float((~self.complete).mean()) if len(self.complete) else 0.0

    @property
    def ended_log(self) -> EventLog:
        """The cases that have ended."""
        return self.log.select(self.complete)


@dataclass(frozen=True)
class Apart:
    """Cases that are in neither group, by reason, and cases that deserve a remark."""

    other_practice: int = 0
    other_value: int = 0
    no_value: int = 0
    across_the_split: int = 0
    in_both: int = 0


@dataclass(frozen=True, eq=False)
class Told:
    """A log in the words in which it is compared; `complete` has one entry a case."""

    log: EventLog
    complete: Bools
    words: Translation | None
    other_practice: int = 0


def two_logs(names: Sequence[str], told: Sequence[Told]) -> tuple[Side, Side, Apart]:
    """Take one log as A, the other as B."""
    sides = [
        Side(name, one.log, one.complete, judged_at(one.log, None), one.words)
        for name, one in zip(names, told, strict=True)
    ]
    ids = [set(one.log.cases[s.CASE_ID].to_pylist()) for one in told]
    left = sum(one.other_practice for one in told)
    return sides[0], sides[1], Apart(other_practice=left, in_both=len(ids[0] & ids[1]))


def by_date(told: Told, moment: dt.datetime) -> tuple[Side, Side, Apart]:
    """Split a log by the time of the first event of each case."""
    return _parted(told, _periods(told, moment))


def by_column(told: Told, column: str, a: str, b: str | None) -> tuple[Side, Side, Apart]:
    """Split a log by the values of a column; without b, B is every other value."""
    return _parted(told, _groups(told, column, a, b))


def _parted(told: Told, split: Split) -> tuple[Side, Side, Apart]:
    in_a, in_b, labels, apart = split
    as_of = judged_at(told.log, None)
    left, right = (
        Side(label, told.log.select(mask), told.complete[mask], as_of, told.words)
        for label, mask in zip(labels, (in_a, in_b), strict=True)
    )
    return left, right, apart


def _periods(told: Told, moment: dt.datetime) -> Split:
    log, arrays = told.log, told.log.arrays
    if not log.timed:
        msg = "--split-at: the log has no times"
        raise CodedError("CL054", msg, fix="Split it by a --column")
    at = round((moment - EPOCH).total_seconds() * s.US_PER_SECOND)
    has = np.diff(arrays.offsets) > 0
    first, last = np.zeros(log.n_cases, np.int64), np.zeros(log.n_cases, np.int64)
    first[has], last[has] = spans(log)
    before, after = has & (first < at), has & (first >= at)
    if not before.any() or not after.any():
        span = " to ".join(
            str(np.datetime64(int(edge), "us").astype("datetime64[D]"))
            for edge in (first[has].min(), first[has].max())
        )
        msg = f"--split-at {moment.isoformat()} leaves one side without cases"
        raise CodedError("CL053", msg, why=f"Cases were opened {span}", fix="Give a day between")
    day = moment.date().isoformat() if moment.time() == moment.min.time() else moment.isoformat()
    apart = Apart(
        told.other_practice,
        no_value=int((~has).sum()),
        across_the_split=int((before & (last >= at)).sum()),
    )
    return before, after, (f"opened before {day}", f"opened from {day} on"), apart


def _groups(told: Told, column: str, a: str, b: str | None) -> Split:
    log = told.log
    name = _column_name(log, column)
    if name in log.cases.column_names and names_people(log.cases[name]):
        msg = f"--column {column} names people"
        why = "Single people are not compared"
        raise CodedError("CL055", msg, why=why, fix="Split by a team or another column")
    words = _words_of(log, name)
    known = np.array([word is not None for word in words], dtype=bool)
    _require_values(a, b, {word for word in words if word is not None})
    in_a = np.asarray(words == a)
    in_b = known & ~in_a if b is None else np.asarray(words == b)
    if not in_b.any():
        msg = f"--column {column}: every case with a value has '{a}'"
        raise CodedError("CL053", msg, fix="There is nothing to compare it with")
    if name in TEAM_COLUMNS:
        _require_people(log, [word for word in (a, b) if word is not None])
    said = column.replace("_", " ")
    labels = (f"{said} {a}", f"any other {said}" if b is None else f"{said} {b}")
    apart = Apart(
        told.other_practice,
        other_value=int((known & ~in_a & ~in_b).sum()),
        no_value=int((~known).sum()),
    )
    return in_a, in_b, labels, apart


def _column_name(log: EventLog, asked: str) -> str:
    """Return the column that is meant; a source's own columns may be named without `attr.`."""
    columns = [name for name in log.cases.column_names if name not in NO_GROUPS]
    short = {name.removeprefix(s.ATTRIBUTE_PREFIX): name for name in reversed(columns)}
    known = short | {name: name for name in (*columns, *TEAM_COLUMNS, VARIANT)}
    if asked not in known:
        fix = did_you_mean(asked, known)
        raise CodedError("CL051", f"--column {asked}: no case has such a column", fix=fix)
    return str(known[asked])


def _words_of(log: EventLog, name: str) -> Words:
    """Return each case's value in a column as text, None where it has none."""
    if name == VARIANT:
        return np.array([str(i + 1) for i in variants(log).variant_of_case], dtype=object)
    if name in TEAM_COLUMNS:
        return team_of(log, last=name == TEAM_COLUMNS[1])
    return np.array(log.cases[name].cast(pa.string()).to_pylist(), dtype=object)


def team_of(log: EventLog, *, last: bool = False) -> Words:
    """Return the first (or last) team that each case names, None where it names none."""
    arrays = log.arrays
    pick = segments.last if last else segments.first
    codes = segments.take(arrays.team, pick(arrays, arrays.team >= 0), fill=segments.NONE)
    found: Words = np.array([*arrays.teams, None], dtype=object)[codes]
    return found


def names_people(column: pa.ChunkedArray) -> bool:
    """Whether all values of a column are pseudonyms of people."""
    if not pa.types.is_string(column.type) or column.null_count == len(column):
        return False
    return bool(
        pc.all(pc.match_substring_regex(column.unique().drop_null(), f"^{PSEUDONYM}$")).as_py()
    )


def _require_values(a: str, b: str | None, known: set[str]) -> None:
    raise_all(
        [
            CodedError("CL052", f"{name} '{word}': no case has it", fix=did_you_mean(word, known))
            for name, word in (("--a", a), ("--b", b))
            if word is not None and word not in known
        ]
    )


def _require_people(log: EventLog, teams: Sequence[str]) -> None:
    people = people_of_teams(log)
    raise_all(
        [
            CodedError(
                "CL055",
                f"team '{team}' has {people[team]} known people",
                why=f"A comparison of fewer than {SMALLEST_TEAM} people would point at persons",
                fix="Compare larger groups, or split by another column",
            )
            for team in teams
            if people.get(team, SMALLEST_TEAM) < SMALLEST_TEAM
        ]
    )


def spans(log: EventLog) -> tuple[Ints, Ints]:
    """Return the times of the first and of the last event of each case that has any."""
    offsets = log.arrays.offsets
    has = np.diff(offsets) > 0
    at = log.arrays.at
    return at[offsets[:-1][has]], at[offsets[1:][has] - 1]
