"""Into which groups do cases fall by what was known when they were opened?

Attributes:
    practice, priority, category, service, and the source's own columns of cases (`attr.`), as text.
    A log keeps a case's last value, so what was changed while the case ran is seen as changed.
    First team: the team of the first event that names one. Weekday and hour (in blocks of four) of
    the first event, in UTC. Numbers (columns of numbers, or text of more than `MOST_GROUPS` values
    that are all numbers) are cut at the quartiles of the cases, equal numbers staying together:
    "up to 3", "over 3 to 8", ... A missing value is a value.

Each value that at least `SMALLEST` cases have, and as many have not, is a group.

Left out, and named in the result:
    columns whose name says that they are known only afterwards (`AFTERWARDS`: back-filled closing
    times and codes, counts of what happened, surveys; a whole word of the name must match); times;
    columns of people (pseudonyms); columns with one value, or with more than `MOST_GROUPS` groups;
    values of fewer cases; and teams of fewer than `SMALLEST_TEAM` known people: people are
    protected.

O(cases) a column. Order: the canonical columns, then the source's own by name, then team, weekday,
hour; values by their text (weekdays, hours and numbers in their own order).

Not checked: whether a column that sounds harmless was filled in afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.comparison_sides import names_people, team_of
from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.privacy import SMALLEST_TEAM, people_of_teams

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.eventlog import EventLog

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

SMALLEST: Final = 20
MOST_GROUPS: Final = 50
NOT_GIVEN: Final = "(not given)"
FIRST_TEAM: Final = "first team"
WEEKDAY: Final = "weekday of opening (UTC)"
HOUR: Final = "hour of opening (UTC)"
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS_A_BLOCK: Final = 4
THURSDAY: Final = 3  # 1970-01-01
CASE_WORDS: Final = (s.PRACTICE, s.PRIORITY, s.CATEGORY, s.SERVICE)
NO_GROUP: Final = -1
# Whole words of a column's name that say it is known, or final, only after the opening.
_AFTERWARDS: Final = (
    "active actual after answered breach breached close closed closing closure comments "
    "count csat duration elapsed end ended feedback finish finished handle knowledge last "
    "made met outcome rating reassigned reassignment reassignments rejected reopen "
    "reopened reopens resolution resolve resolved response satisfaction score sla "
    "solution solved stage state status survey time total update updated work"
)
AFTERWARDS: Final = frozenset(_AFTERWARDS.split())


@dataclass(frozen=True, eq=False)
class Attribute:
    """The groups of one attribute: for each case a code into `values`, NO_GROUP for none."""

    name: str
    codes: Ints
    values: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """An attribute, or some of its values, that make no group, and why."""

    attribute: str
    why: str


@dataclass(frozen=True, eq=False)
class Attributes:
    """What was read; `left_out` by (attribute, why)."""

    read: tuple[Attribute, ...]
    left_out: tuple[LeftOut, ...]


def attributes_of(log: EventLog) -> Attributes:
    """Read every attribute that was known when the cases of a log were opened."""
    parts = [*_columns(log), _first_team(log), *_opening(log)]
    return Attributes(
        read=tuple(one for part in parts for one in part.read),
        left_out=tuple(
            sorted(
                (one for part in parts for one in part.left_out),
                key=lambda one: (one.attribute, one.why),
            )
        ),
    )


def words_of(name: str) -> set[str]:
    """Return the words of a column's name: `closeCode` and `Close_Code` have the same two."""
    return set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _without(name: str, why: str) -> Attributes:
    return Attributes((), (LeftOut(name, why),))


def _columns(log: EventLog) -> list[Attributes]:
    own = [name for name in log.cases.column_names if name.startswith(s.ATTRIBUTE_PREFIX)]
    return [
        _column(log.cases[name], name.removeprefix(s.ATTRIBUTE_PREFIX))
        for name in (*CASE_WORDS, *sorted(own))
    ]


def _column(column: pa.ChunkedArray, name: str) -> Attributes:
    late = sorted(AFTERWARDS & words_of(name))
    if late:
        return _without(name, f"known only after the opening ('{late[0]}')")
    kind = column.type
    if pa.types.is_temporal(kind):
        return _without(name, "it is a time")
    if names_people(column):
        return _without(name, "it names people")
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return _numbers(column.cast(pa.float64()), name)
    words = column.cast(pa.string())
    distinct = words.unique().drop_null()
    if len(distinct) > MOST_GROUPS and pc.all(pc.match_substring_regex(distinct, NUMBER)).as_py():
        return _numbers(words.cast(pa.float64()), name)
    return _grouped(words.combine_chunks(), name)


NUMBER: Final = r"^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?$"


def _grouped(words: pa.Array, name: str, order: Sequence[str] = ()) -> Attributes:
    """Make a group of each value that enough cases have; `order` tells how values are ordered."""
    coded = pc.fill_null(words, NOT_GIVEN).dictionary_encode()
    said: list[str] = coded.dictionary.to_pylist()
    if len(said) < 2:  # noqa: PLR2004 - a group needs another to be compared with
        return _without(name, "all cases have the same value")
    index = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    n = np.bincount(index, minlength=len(said))
    large = np.flatnonzero(np.minimum(n, len(index) - n) >= SMALLEST)
    place = {value: i for i, value in enumerate(order)}
    kept = sorted(large.tolist(), key=lambda i: (place.get(said[i], len(place)), said[i]))
    few = len(said) - len(kept)
    why = f"{few:,} of {len(said):,} values have fewer than {SMALLEST} cases on a side"
    small = (LeftOut(name, why),) if few else ()
    if len(kept) > MOST_GROUPS:
        return _without(name, f"{len(kept):,} groups, more than {MOST_GROUPS}")
    if not kept:
        return Attributes((), small)
    table = np.full(len(said), NO_GROUP, dtype=np.int64)
    table[kept] = np.arange(len(kept))
    return Attributes((Attribute(name, table[index], tuple(said[i] for i in kept)),), small)


def _numbers(column: pa.ChunkedArray, name: str) -> Attributes:
    """Cut numbers at their quartiles; equal numbers stay together."""
    numbers = column.to_numpy().astype(np.float64)
    finite = np.isfinite(numbers)
    known = np.sort(numbers[finite])
    quartiles = {float(known[-(-len(known) * q // 4) - 1]) for q in (1, 2, 3)} if len(known) else {}
    cuts = [cut for cut in sorted(quartiles) if cut < known[-1]]
    labels = _labels(cuts)
    words = np.full(len(numbers), None, dtype=object)
    words[finite] = np.array(labels, dtype=object)[np.searchsorted(cuts, numbers[finite])]
    return _grouped(pa.array(words, pa.string()), name, labels)


def _labels(cuts: list[float]) -> list[str]:
    said = [f"{cut:g}" for cut in cuts]
    if not said:
        return ["any number"]
    between = [f"over {a} to {b}" for a, b in pairwise(said)]
    return [f"up to {said[0]}", *between, f"over {said[-1]}"]


def _first_team(log: EventLog) -> Attributes:
    """The first team of each case; teams of few people make no group."""
    teams = pa.array(team_of(log), pa.string())
    if teams.null_count == len(teams):
        return _without(FIRST_TEAM, "the log names no team")
    found = _grouped(teams, FIRST_TEAM)
    few = {team for team, n in people_of_teams(log).items() if n < SMALLEST_TEAM}
    hidden = [value for one in found.read for value in one.values if value in few]
    if not hidden:
        return found
    why = f"{len(hidden)} teams have fewer than {SMALLEST_TEAM} known people"
    kept = tuple(_rest(one, hidden) for one in found.read)
    read = tuple(one for one in kept if one.values)
    return Attributes(read, (*found.left_out, LeftOut(FIRST_TEAM, why)))


def _rest(one: Attribute, hidden: Sequence[str]) -> Attribute:
    """Return an attribute without some of its groups."""
    kept = [i for i, value in enumerate(one.values) if value not in hidden]
    table = np.full(len(one.values) + 1, NO_GROUP, dtype=np.int64)  # the last answers for NO_GROUP
    table[kept] = np.arange(len(kept))
    return Attribute(one.name, table[one.codes], tuple(one.values[i] for i in kept))


def _opening(log: EventLog) -> list[Attributes]:
    """Weekday and hour of each case's first event."""
    if not log.timed or not log.n_events:
        return [_without(name, "the log has no times") for name in (WEEKDAY, HOUR)]
    arrays = log.arrays
    first = segments.first(arrays, np.ones(log.n_events, dtype=bool))
    at = segments.take(arrays.at, first, fill=0)
    hours = [f"{h:02d} to {h + HOURS_A_BLOCK:02d}" for h in range(0, 24, HOURS_A_BLOCK)]
    day = (at // s.US_PER_DAY + THURSDAY) % len(WEEKDAYS)
    block = at % s.US_PER_DAY // (HOURS_A_BLOCK * s.US_PER_HOUR)
    none = pa.array(first == segments.NONE)
    return [
        _grouped(pc.if_else(none, None, pa.array(values).take(pa.array(code))), name, values)
        for name, code, values in ((WEEKDAY, day, WEEKDAYS), (HOUR, block, hours))
    ]
