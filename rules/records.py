"""Which other tickets does a log hold, of all practices, and what has become of them?

A rule on one practice's cases may speak of the tickets that they are linked with: the problem that
an incident names, the incidents that name a problem. `Records` holds every case of the log that
could be read in the words of its practice, whichever cases are judged, and every link between
tickets. A ticket that a link names and that is not among them (another system's, of a practice that
nobody knows, or in words that no vocabulary knows) is not in the log.

What a record is asked is answered with yes, no or perhaps:

- contains: an activity has happened in it, by some moment or at all. Perhaps, where it is not seen
  and its source never records that activity, it has words that the vocabulary does not map, or the
  log-quality gate doubts that its events are all there.
- ended: its last step, those outside the model left out, is one that ends it; by a moment: so was
  its last step by then. What happened at the moment itself counts. Perhaps, where it seems open and
  its words, its end or its order are in doubt (by a moment: any event of it).
- by a moment, where the gate doubts its times or the log has none: perhaps, always.

Positions of records are rows, counted over all translations in order. Cost: O(events) an activity
that is asked for, O(n log n) for ends by a moment; nothing is worked out before it is asked for.

Not checked: when a link was made or taken back; what is recorded too late by a mass edit (the
gate's minutes) in the record itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from process_mining.quality import Defect
    from rules.practice import Translation

    Bools = npt.NDArray[np.bool_]

Direction = Literal["names", "named_by"]
NOT_IN_LOG: Final = -1
HOLES: Final = frozenset({START, MIDDLE, END, WORDS})  # where one is in doubt a step may be missing
TAIL: Final = frozenset({END, ORDER, WORDS})  # and where one of these is, the last step
TIMES: Final = frozenset({TIME, RECORDED})


@dataclass(frozen=True, eq=False)
class Answer:
    """What is said of some records: surely so, or perhaps (never both)."""

    yes: Bools
    perhaps: Bools


@dataclass(frozen=True, eq=False)
class Links:
    """Pairs of a case of a desk and a ticket that it is linked with, ordered by case.

    `case` counts the desk's cases, `record` is a row of `Records` or NOT_IN_LOG, `named` the id of
    the ticket. Each pair stands once.
    """

    case: Ints
    record: Ints
    named: pa.Array


@dataclass(frozen=True, eq=False)
class Records:
    """Every case of a log, of all practices, and every link; see the head of this module.

    `doubts` are the findings of the log-quality gate that verdicts may hang on.
    """

    translations: tuple[Translation, ...]
    links: pa.Table
    doubts: tuple[Defect, ...] = ()

    @cached_property
    def ids(self) -> pa.Array:
        """The case id of every record."""
        parts = [one.log.cases[s.CASE_ID].combine_chunks() for one in self.translations]
        return pa.concat_arrays([pa.array([], pa.string()), *(p.cast(pa.string()) for p in parts)])

    @cached_property
    def is_open(self) -> Bools:
        """Whether each record has not ended."""
        return ~self._of_each(lambda one: one.complete)

    @cached_property
    def partial(self) -> Bools:
        """Whether a step of the record may be missing, or hidden in a word that is not mapped."""
        return self._of_each(lambda one: one.has_unmapped) | self._in_doubt(HOLES)

    @cached_property
    def loose(self) -> Bools:
        """Whether another step than the last one seen may be the record's last."""
        return self._of_each(lambda one: one.has_unmapped) | self._in_doubt(TAIL)

    @cached_property
    def untimed(self) -> Bools:
        """Whether the record's times are in doubt, or there are none."""
        without = self._of_each(lambda one: np.full(one.log.n_cases, not one.log.timed))
        return without | self._in_doubt(TIMES)

    def without_unmapped(self) -> Records:
        """Return the same where somebody has said that unmapped words hide nothing."""
        mapped = [
            replace(one, has_unmapped=np.zeros_like(one.has_unmapped)) for one in self.translations
        ]
        return replace(self, translations=tuple(mapped))

    def linked(self, ids: pa.Array, kind: str, direction: Direction) -> Links:
        """Return the links of a kind that cases have: to tickets they name, or from such."""
        mine, other = (s.CASE_ID, s.LINKED_TO)
        if direction == "named_by":
            mine, other = other, mine
        links = self.links.filter(pc.equal(self.links[s.KIND], kind))
        place = _places(links[mine].combine_chunks(), ids)
        pairs = pa.table({"case": place, "named": links[other]}).filter(pa.array(place >= 0))
        pairs = pairs.group_by(["case", "named"], use_threads=False).aggregate([])
        pairs = pairs.sort_by([("case", "ascending"), ("named", "ascending")]).combine_chunks()
        named = pa.concat_arrays([pa.array([], pa.string()), *pairs["named"].chunks])
        return Links(_whole(pairs["case"]), _places(named, self.ids), named)

    def of_practice(self, rows: Ints, practice: str) -> Bools:
        """Tell for each record whether it is one of a practice, or of a kind of it."""
        own = self._of_each(
            lambda one: np.full(
                one.log.n_cases, practice in (one.practice.name, one.practice.case_type)
            )
        )
        return own[rows]

    def contains(self, rows: Ints, activity: str, by: Ints | None = None) -> Answer:
        """Tell for each record whether an activity has happened in it, by a moment or ever."""
        first = np.concatenate(
            [np.empty(0, np.int64), *map(_first_of(activity), self.translations)]
        )
        unseen = self._of_each(lambda one: np.full(one.log.n_cases, _hidden(one, activity)))
        seen, unsure = first[rows] != _NEVER, (unseen | self.partial)[rows]
        if by is None:
            return Answer(seen, ~seen & unsure)
        early = seen & (first[rows] <= by)
        untimed = self.untimed[rows] & (seen | unsure)
        return Answer(early & ~untimed, untimed | (~early & unsure))

    def ended(self, rows: Ints, by: Ints | None = None) -> Answer:
        """Tell for each record whether it has ended, or had by a moment."""
        if by is None:
            over = ~self.is_open[rows]
            return Answer(over, ~over & self.loose[rows])
        over, untimed = self._ended_by(rows, by), self.untimed[rows]
        unsure = (self.loose | self.partial)[rows]
        return Answer(over & ~untimed, untimed | (~over & unsure))

    def _ended_by(self, rows: Ints, by: Ints) -> Bools:
        """Look up the last step of each record by its moment.

        Steps and questions are put in one order by (record, time, questions last).
        """
        steps = [_steps(one) for one in self.translations]
        shift = np.cumsum([0, *(one.log.n_cases for one in self.translations)])
        owner = np.concatenate(
            [rows[:0], *(o + n for (o, _, _), n in zip(steps, shift[:-1], strict=True))]
        )
        at = np.concatenate([by[:0], *(moments for _, moments, _ in steps)])
        ends = np.concatenate([np.zeros(0, bool), *(flags for _, _, flags in steps)])
        rank = np.unique(np.concatenate([at, by]), return_inverse=True)[1]
        size = len(rank) + 1
        known = owner * size + rank[: len(at)]
        place = np.searchsorted(known, rows * size + rank[len(at) :], side="right") - 1
        if not len(owner):
            return np.zeros(len(rows), dtype=bool)
        found = (place >= 0) & (owner[place] == rows)
        return np.asarray(found & ends[place])

    def _of_each(self, flags: Callable[[Translation], Bools]) -> Bools:
        parts = [np.asarray(flags(one), dtype=bool) for one in self.translations]
        return np.concatenate([np.zeros(0, dtype=bool), *parts])

    def _in_doubt(self, facts: frozenset[str]) -> Bools:
        """Tell for each record whether the gate puts one of the facts in doubt."""
        doubtful = np.zeros(len(self.ids), dtype=bool)
        for defect in self.doubts:
            if defect.minutes is None and facts & set(defect.makes_unknown):
                if defect.cases is None:
                    return np.ones_like(doubtful)
                doubtful |= _bools(pc.is_in(self.ids, value_set=defect.cases))
        return doubtful


_NEVER: Final = np.iinfo(np.int64).max


def _first_of(activity: str) -> Callable[[Translation], Ints]:
    """Return what says for each case when an activity first happened (_NEVER: it did not)."""

    def first(one: Translation) -> Ints:
        arrays = one.log.arrays
        found = segments.first(arrays, arrays.activity == arrays.code_of(activity))
        return segments.take(arrays.at, found, fill=_NEVER)

    return first


def _hidden(one: Translation, activity: str) -> bool:
    """Tell whether the source of a practice's cases may never show an activity."""
    return activity in one.unobserved or activity in one.vocabulary.implied


def _steps(one: Translation) -> tuple[Ints, Ints, Bools]:
    """Return the practice's own steps: case, time, and whether each ends its case."""
    arrays, practice = one.log.arrays, one.practice
    outside, ends = (
        np.array([arrays.code_of(word) for word in words], dtype=np.int64)
        for words in (practice.outside_model, practice.ends)
    )
    place = np.flatnonzero((arrays.activity >= 0) & ~np.isin(arrays.activity, outside))
    return arrays.case_of[place], arrays.at[place], np.isin(arrays.activity[place], ends)


def _places(words: pa.Array, ids: pa.Array) -> Ints:
    """Look up each text among ids, each of which stands there once: its place, or NOT_IN_LOG.

    There are more ids than distinct texts as a rule, so it is they that are looked up.
    """
    coded = words.dictionary_encode()
    word = pc.index_in(ids, value_set=coded.dictionary)
    place = np.full(len(coded.dictionary), NOT_IN_LOG, dtype=np.int64)
    place[word.drop_null().to_numpy()] = np.flatnonzero(_bools(word.is_valid()))
    return np.asarray(place[coded.indices.to_numpy()])


def _whole(column: pa.ChunkedArray | pa.Array) -> Ints:
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)


def _bools(column: pa.Array) -> Bools:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)


def records_of(translations: Sequence[Translation], links: pa.Table | None = None) -> Records:
    """Return the records of some practices; the links, where none are given, are their own."""
    if links is None:
        parts = [s.LINK_SCHEMA.empty_table(), *(one.log.links for one in translations)]
        links = pa.concat_tables(parts)
    return Records(tuple(translations), links)
