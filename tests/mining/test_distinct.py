"""Distinct traces: two cases are of one group exactly when a plain comparison says so."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_mining import schema as s
from process_mining.columnar.distinct import compact, distinct_traces, first_of
from process_mining.eventlog import EventLog, LogMeta

Trace = tuple[str | None, ...]


def log_of(traces: list[Trace]) -> EventLog:
    rows = [
        (f"c{i:04d}", word, at) for i, trace in enumerate(traces) for at, word in enumerate(trace)
    ]
    events = pa.table(
        {
            s.CASE_ID: pa.array([row[0] for row in rows], pa.string()),
            s.ACTIVITY: pa.array([row[1] or "update" for row in rows], pa.string()),
            s.AT: pa.array([row[2] for row in rows], pa.int64()),
        }
    )
    cases = pa.table({s.CASE_ID: [f"c{i:04d}" for i in range(len(traces))]})
    log = EventLog.build(events, cases=cases, meta=LogMeta("test"))
    words = [None if word == "update" else word for word in log.events[s.ACTIVITY].to_pylist()]
    return log.with_columns(events={s.ACTIVITY: pa.array(words, pa.string())})


words = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=7)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(words, st.booleans()), max_size=40))
def test_groups_are_those_of_a_plain_comparison(cases: list[tuple[list[str | None], bool]]) -> None:
    traces = [tuple(trace) for trace, _ in cases]
    arrays = log_of(traces).arrays
    found = distinct_traces(arrays, np.array([ended for _, ended in cases], dtype=np.int64))
    keys = [(tuple(w for w in trace if w), ended) for trace, ended in cases]
    first = sorted({key: i for i, key in reversed(list(enumerate(keys)))}.values())
    assert found.representative.tolist() == first
    assert [keys[found.representative[g]] for g in found.group_of_case] == keys


@settings(max_examples=200, deadline=None)
@given(st.lists(words, min_size=1, max_size=30), st.data())
def test_a_step_of_a_representative_is_the_same_step_of_each_case(
    traces: list[list[str | None]], data: st.DataObject
) -> None:
    arrays = log_of([tuple(trace) for trace in traces]).arrays
    found = distinct_traces(arrays, np.zeros(len(traces), dtype=np.int64))
    lengths = [sum(w is not None for w in traces[i]) for i in found.representative]
    starts = np.cumsum([0, *lengths])[:-1]
    which = [data.draw(st.integers(-1, n - 1)) for n in lengths]
    positions = np.array(
        [start + w if w >= 0 else -1 for start, w in zip(starts, which, strict=True)]
    )
    assert arrays.activity[found.rows].tolist() == [
        arrays.code_of(w) for i in found.representative for w in traces[i] if w is not None
    ]
    expanded = found.expand(positions)
    some = np.arange(len(expanded))[::-2]
    assert found.expand(positions, some).tolist() == expanded[some].tolist()
    for case, place in enumerate(expanded):
        wanted = which[found.group_of_case[case]]
        steps = [at for at, word in enumerate(traces[case]) if word is not None]
        assert place == (-1 if wanted < 0 else arrays.offsets[case] + steps[wanted])


def test_a_log_without_cases_has_no_groups() -> None:
    found = distinct_traces(log_of([]).arrays, np.zeros(0, dtype=np.int64))
    assert (len(found.representative), len(found.rows), len(found.expand(found.rows))) == (0, 0, 0)


@pytest.mark.parametrize("n_codes", [10, 10_000_000])
def test_numbers_are_closed_up_in_their_order(n_codes: int) -> None:
    codes = np.array([7, 3, 3, 9, 7])
    numbered, n = compact(codes, n_codes)
    assert (numbered.tolist(), n) == ([1, 0, 0, 2, 1], 3)
    assert first_of(numbered, n).tolist() == [1, 0, 3]
