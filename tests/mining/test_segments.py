"""The vector kernels say what a plain loop over each case says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_mining.columnar import segments
from process_mining.eventlog import EventArrays

if TYPE_CHECKING:
    import numpy.typing as npt

Case = list[tuple[bool, int, int]]  # marked, code (-1 unknown), value
cases_of = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(-1, 2), st.integers(-3, 3)), max_size=6),
    max_size=6,
)
quick = settings(max_examples=300, deadline=None)


def arrays_of(cases: list[Case]) -> EventArrays:
    lengths = [len(case) for case in cases]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(offsets[-1])
    nothing = np.zeros(n, dtype=np.int64)
    codes = nothing.astype(np.int32)
    return EventArrays(offsets, nothing, nothing, codes, codes, codes, (), (), ())


def columns(cases: list[Case]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32], list[int]]:
    flat = [event for case in cases for event in case]
    mask = np.array([marked for marked, _, _ in flat], dtype=bool)
    return mask, np.array([code for _, code, _ in flat], dtype=np.int32), [v for _, _, v in flat]


def starts(cases: list[Case]) -> list[int]:
    return [sum(map(len, cases[:i])) for i in range(len(cases))]


def marked_positions(cases: list[Case]) -> list[list[int]]:
    return [
        [start + i for i, event in enumerate(case) if event[0]]
        for start, case in zip(starts(cases), cases, strict=True)
    ]


@quick
@given(cases_of)
def test_per_case_kernels(cases: list[Case]) -> None:
    arrays, (mask, _, _) = arrays_of(cases), columns(cases)
    marked = marked_positions(cases)
    assert segments.count(arrays, mask).tolist() == [len(found) for found in marked]
    assert segments.first(arrays, mask).tolist() == [(found or [-1])[0] for found in marked]
    assert segments.last(arrays, mask).tolist() == [(found or [-1])[-1] for found in marked]
    for n in (1, 2, 3):
        expected = [found[n - 1] if len(found) >= n else -1 for found in marked]
        assert segments.nth(arrays, mask, n).tolist() == expected
    ends = [start + len(case) - 1 for start, case in zip(starts(cases), cases, strict=True)]
    expected = [end if case else -1 for end, case in zip(ends, cases, strict=True)]
    assert segments.last_event(arrays).tolist() == expected


@quick
@given(cases_of)
def test_per_event_kernels(cases: list[Case]) -> None:
    arrays, (mask, _, _) = arrays_of(cases), columns(cases)
    before, following, previous = [], [], []
    for start, case, marked in zip(starts(cases), cases, marked_positions(cases), strict=True):
        for here in range(start, start + len(case)):
            before.append(sum(p < here for p in marked))
            following.append(min((p for p in marked if p > here), default=-1))
            previous.append(max((p for p in marked if p < here), default=-1))
    assert segments.count_before(arrays, mask).tolist() == before
    assert segments.next_position(arrays, mask).tolist() == following
    assert segments.previous_position(arrays, mask).tolist() == previous


@quick
@given(cases_of, st.integers(0, 2))
def test_neighbours_with_the_same_and_with_another_code(cases: list[Case], asking: int) -> None:
    """The value says which events are asked about; an unknown code equals and differs from none."""
    arrays, (mask, codes, values) = arrays_of(cases), columns(cases)
    of = np.array(values, dtype=np.int64) <= asking
    found = [
        kernel(arrays, mask, codes, of=of).tolist()
        for kernel in (
            segments.next_equal,
            segments.next_different,
            segments.previous_equal,
            segments.previous_different,
        )
    ]
    expected: list[list[int]] = [[], [], [], []]
    for start, case in zip(starts(cases), cases, strict=True):
        for here, (_, code, value) in enumerate(case):
            asked = value <= asking and code >= 0
            known = [(i, c) for i, (marked, c, _) in enumerate(case) if marked and c >= 0 and asked]
            equal = [start + i for i, c in known if c == code]
            other = [start + i for i, c in known if c != code]
            expected[0].append(next((p for p in equal if p > start + here), -1))
            expected[1].append(next((p for p in other if p > start + here), -1))
            expected[2].append(next((p for p in equal[::-1] if p < start + here), -1))
            expected[3].append(next((p for p in other[::-1] if p < start + here), -1))
    assert found == expected


@quick
@given(cases_of, st.data())
def test_between(cases: list[Case], data: st.DataObject) -> None:
    arrays = arrays_of(cases)
    place = st.integers(-2, len(arrays.at) + 2)
    begin, end = ([data.draw(place) for _ in cases] for _ in range(2))
    found = segments.between(arrays, np.array(begin, np.int64), np.array(end, np.int64))
    expected = [begin[c] <= here < end[c] for here, c in enumerate(arrays.case_of)]
    assert found.tolist() == expected


@quick
@given(cases_of, st.booleans())
def test_changes(cases: list[Case], among: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    arrays, (mask, codes, _) = arrays_of(cases), columns(cases)
    expected = []
    for case in cases:
        known = -1
        for marked, code, _ in case:
            counts = code >= 0 and (marked or not among)
            expected.append(counts and known >= 0 and code != known)
            known = code if counts else known
    found = segments.changes(arrays, codes, among=mask if among else None)
    assert found.tolist() == expected


@quick
@given(cases_of)
def test_argmax_is_the_first_of_the_greatest(cases: list[Case]) -> None:
    arrays, (mask, _, values) = arrays_of(cases), columns(cases)
    expected = [
        max(found, key=lambda p: (values[p], -p)) if found else -1
        for found in marked_positions(cases)
    ]
    assert segments.argmax(arrays, mask, np.array(values, dtype=np.int64)).tolist() == expected


@quick
@given(cases_of)
def test_marked_events_alone(cases: list[Case]) -> None:
    """The same asked of the marked events alone; the others are those with a known code."""
    arrays, (mask, codes, values) = arrays_of(cases), columns(cases)
    value, others = np.array(values, dtype=np.int64), segments.Marked.of(arrays, codes >= 0)
    marked = segments.Marked.of(arrays, mask)
    by_case = marked_positions(cases)
    assert marked.place.tolist() == [p for found in by_case for p in found]
    assert marked.case.tolist() == [case for case, found in enumerate(by_case) for _ in found]
    assert marked.rank().tolist() == [i for found in by_case for i in range(len(found))]
    assert marked.mask.tolist() == mask.tolist()
    here = value[marked.place]
    assert marked.only(here > 0).place.tolist() == [p for p in marked.place if values[p] > 0]
    greatest = [max((values[p] for p in found), default=9) for found in by_case]
    assert marked.greatest(here, fill=9).tolist() == greatest
    decisive = segments.argmax(arrays, mask, value)
    shown = [values[p] if p >= 0 else 9 for p in decisive]
    assert marked.at(here, decisive, fill=9).tolist() == shown
    assert marked.most(here).tolist() == segments.argmax(arrays, mask, value).tolist()
    following, before = [], []
    for start, case, found in zip(starts(cases), cases, by_case, strict=True):
        known = [start + i for i, (_, code, _) in enumerate(case) if code >= 0]
        following += [min((q for q in known if q > p), default=-1) for p in found]
        before += [max((q for q in known if q < p), default=-1) for p in found]
    assert marked.next_among(others).tolist() == following
    assert marked.previous_among(others).tolist() == before


@pytest.mark.parametrize("values", [[], [7, 8, 9]])
def test_take_fills_where_there_is_no_event(values: list[int]) -> None:
    positions = np.array([-1, 2] if values else [-1, -1])
    found = segments.take(np.array(values, dtype=np.int64), positions, fill=5)
    assert found.tolist() == ([5, 9] if values else [5, 5])
    assert found.dtype == np.int64
