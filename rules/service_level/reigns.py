"""Which target is in force for a case at each moment?

The priority of a case is a step function over its events: the event column `attr.priority` says
what it is after an event, and where it says nothing the last one stays. The first known one also
holds before it; a log without that column has the case's own priority throughout. A *reign* is a
stretch of a case in which one target of a family governs: of those that fit its type, customer,
service and priority, and were in force when the clock of the case first started, the most specific.

Positions are indices into the log's events; a stretch owns begin:end. Cost: O(events) once and
O(stretches) a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.columnar.segments import NONE, Marked
from process_mining.errors import RunError
from rules.durations import midnight_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.service_level.course import Course
    from rules.service_level.targets import Target
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

UNKNOWN: Final = -1


@dataclass(frozen=True, eq=False)
class Priorities:
    """Stretches of cases with one priority, by case and begin; codes index `words`.

    `at` has the priority after each event, `of_case` that of each case. `contradicted` marks cases
    whose last known priority in the history is not the case's own.
    """

    case: Ints
    begin: Ints
    end: Ints
    code: Ints
    at: Ints
    of_case: Ints
    contradicted: Bools
    words: tuple[str, ...]

    @property
    def unknown(self) -> Bools:
        """Whether nothing is known of a case's priority."""
        none = np.ones(len(self.of_case), dtype=bool)
        none[self.case[self.code != UNKNOWN]] = False
        return none

    def code_of(self, word: str) -> int:
        """Return a priority's code, -2 (which no stretch has) where the log lacks it."""
        return self.words.index(word) if word in self.words else -2


@dataclass(frozen=True, eq=False)
class Reigns:
    """The reigns of one target, by case and begin.

    `guessed` marks those in which the priority is not known though it would decide.
    """

    case: Ints
    begin: Ints
    end: Ints
    guessed: Bools


def priorities_of(desk: Desk) -> Priorities:
    """Follow the priority of every case."""
    arrays, events = desk.log.arrays, desk.log.events
    own, own_words = _coded(desk.log.cases[s.PRIORITY])
    said, said_words = (
        _coded(events[s.PRIORITY_THEN])
        if s.PRIORITY_THEN in events.column_names
        else (np.full(len(arrays.at), UNKNOWN), ())
    )
    words = tuple(sorted({*own_words, *said_words}))
    of_case, then = _recoded(own, own_words, words), _recoded(said, said_words, words)
    known = Marked.of(arrays, then >= 0)
    last, first = known.last(), known.first()
    ends_with = segments.take(then, last, fill=UNKNOWN)
    begins_with = np.where(first == NONE, of_case, segments.take(then, first, fill=UNKNOWN))
    here = np.where(then >= 0, np.arange(len(then)), segments.previous_position(arrays, then >= 0))
    at = np.where(here == NONE, begins_with[arrays.case_of], segments.take(then, here, fill=0))
    changed = np.flatnonzero((at[1:] != at[:-1]) & (np.diff(arrays.case_of) == 0)) + 1
    cases = np.arange(arrays.n_cases)
    case = np.concatenate([cases, arrays.case_of[changed]])
    begin = np.concatenate([arrays.offsets[:-1], changed])
    code = np.concatenate([begins_with, at[changed]])
    order = np.lexsort((begin, case))
    case, begin, code = case[order], begin[order], code[order]
    end = arrays.offsets[case + 1]
    follows = np.flatnonzero(case[1:] == case[:-1])
    end[follows] = begin[follows + 1]
    contradicted = (ends_with >= 0) & (of_case >= 0) & (ends_with != of_case)
    return Priorities(case, begin, end, code, at, of_case, contradicted, words)


def reigns_of(
    desk: Desk,
    priorities: Priorities,
    targets: Sequence[Target],
    courses: Mapping[tuple[object, ...], Course],
    *,
    practice: str | None,
) -> list[Reigns]:
    """Return the reigns of each target of one family, in the order of the targets."""
    fitting = _Fitting(desk, practice)
    winner = np.full(len(priorities.case), NONE)
    by_priority = np.zeros(desk.log.n_cases, dtype=bool)  # whether the priority decides
    for index in sorted(range(len(targets)), key=lambda i: (targets[i].specificity, i)):
        target = targets[index]
        mine = fitting.cases(target) & _in_force(target, courses[target.course])
        fits = mine[priorities.case]
        if target.priority is not None:
            by_priority |= mine
            fits = fits & (priorities.code == priorities.code_of(target.priority))
        winner[fits] = index
    guessed = (priorities.code == UNKNOWN) & by_priority[priorities.case]
    first = np.ones(len(winner), dtype=bool)
    first[1:] = (winner[1:] != winner[:-1]) | (priorities.case[1:] != priorities.case[:-1])
    begins = np.flatnonzero(first)
    ends = np.append(begins[1:], len(winner)) - 1
    found = []
    for index in range(len(targets)):
        mine = winner[begins] == index
        low, high = begins[mine], ends[mine]
        doubt = np.add.reduceat(guessed, begins)[mine] > 0 if len(begins) else guessed[:0]
        found.append(
            Reigns(priorities.case[low], priorities.begin[low], priorities.end[high], doubt)
        )
    return found


class _Fitting:
    """Which cases are of a target's type, customer and service; targets share most of it."""

    def __init__(self, desk: Desk, practice: str | None) -> None:
        self.desk, self.practice = desk, practice
        self.of_type: dict[str, Bools] = {}

    def cases(self, target: Target) -> Bools:
        """One bool a case."""
        if target.case_type not in self.of_type:
            found = of_type(self.desk, target.case_type, self.practice)
            self.of_type[target.case_type] = found
        mine = self.of_type[target.case_type]
        if target.service is not None:
            mine = mine & _equals(self.desk, s.SERVICE, target.service)
        if target.customer is not None:
            column = s.ATTRIBUTE_PREFIX + self.desk.service_levels.customer
            if column not in self.desk.log.cases.column_names:
                msg = f"target '{target.name}' names a customer, and no case of the log has one"
                fix = f"Keep the attribute '{column.removeprefix(s.ATTRIBUTE_PREFIX)}' of cases, or"
                raise RunError("SL302", msg, fix=f'{fix} name another: customer = "company"')
            mine = mine & _equals(self.desk, column, target.customer)
        return mine


def of_type(desk: Desk, case_type: str, practice: str | None) -> Bools:
    """Tell which cases are of a type; those that name none are of `practice`, or of any."""
    mine = _equals(desk, s.PRACTICE, case_type)
    return mine | is_null(desk, s.PRACTICE) if practice in (None, case_type) else mine


def is_null(desk: Desk, column: str) -> Bools:
    """Tell which cases say nothing in a column."""
    null = desk.log.cases[column].is_null().combine_chunks()
    return np.asarray(null.to_numpy(zero_copy_only=False), bool)


def _equals(desk: Desk, column: str, value: str) -> Bools:
    same = pc.fill_null(pc.equal(desk.log.cases[column], value), fill_value=False)
    return np.asarray(same.combine_chunks().to_numpy(zero_copy_only=False), bool)


def _in_force(target: Target, course: Course) -> Bools:
    """Whether the target held when the clock of each case first started."""
    held = course.first_us >= midnight_us(target.valid_from)
    if target.valid_until is not None:
        held &= course.first_us < midnight_us(target.valid_until)
    return held


def _coded(column: pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    """Code a column of texts, UNKNOWN for null."""
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    codes = pc.fill_null(coded.indices.cast(pa.int64()), UNKNOWN)
    return np.asarray(codes.to_numpy(zero_copy_only=False)), tuple(coded.dictionary.to_pylist())


def _recoded(codes: Ints, old: Sequence[str], new: Sequence[str]) -> Ints:
    place = {word: i for i, word in enumerate(new)}
    return np.array([*(place[word] for word in old), UNKNOWN], dtype=np.int64)[codes]
