"""Process maps keep what they promise; rework and waits equal counting by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import naive_mining as naive

from process_mining import discovery
from process_mining.discovery import LeftOut, ProcessMap, Window, in_window, process_map
from process_mining.errors import CodedError
from process_mining.eventlog import EventLog, LogMeta

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3_600_000_000
quick = settings(max_examples=30, deadline=None)
words = st.sampled_from("abcdef")
traces = st.lists(st.lists(words, min_size=1, max_size=8), min_size=1, max_size=12)


def log_of(cases: Sequence[naive.Case]) -> EventLog:
    rows = [(c, i, *e) for c, events in cases for i, e in enumerate(events)]
    names = ("case_id", "position", "activity", "at", "actor", "team")
    kinds = (pa.string(), pa.int64(), pa.string(), pa.int64(), pa.string(), pa.string())
    columns = zip(*rows, strict=True) if rows else [()] * 6
    table = {n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)}
    return EventLog.build(pa.table(table), meta=LogMeta("test", clear_names=True))


def of_traces(found: Sequence[Sequence[str]], *, n: int = 1) -> list[naive.Case]:
    """One case a trace, `n` times over, an hour between steps."""
    return [
        (f"{i:03d}-{k}", [(a, j * 3_600_000_000, None, None) for j, a in enumerate(trace)])
        for i, trace in enumerate(found)
        for k in range(n)
    ]


def everything(found: ProcessMap) -> list[discovery.Edge]:
    return [*found.starts, *found.edges, *found.ends]


@quick
@given(traces, st.floats(0, 1))
def test_every_activity_lies_on_a_way_from_start_to_end(
    given_traces: list[list[str]], share: float
) -> None:
    found = process_map(log_of(of_traces(given_traces)), keep_share=share)
    graph = nx.DiGraph([(e.source or "start", e.target or "end") for e in everything(found)])
    shown = {node.activity for node in found.nodes}
    assert shown == {a for trace in given_traces for a in trace}
    assert shown <= nx.descendants(graph, "start") & nx.ancestors(graph, "end")


@quick
@given(traces, st.floats(0, 1))
def test_a_map_keeps_the_share_it_declares_and_counts_the_rest(
    given_traces: list[list[str]], share: float
) -> None:
    cases = of_traces(given_traces)
    known = naive.successions([naive.steps(case) for case in cases])
    found = process_map(log_of(cases), keep_share=share)
    kept = everything(found)
    total = sum(edge.n for edge in known.values())
    assert sum(edge.n for edge in kept) >= share * total
    assert found.left_out == LeftOut(
        edges=len(known) - len(kept), successions=total - sum(edge.n for edge in kept)
    )
    for edge in kept:
        want = known[edge.source, edge.target]
        said = (edge.n, edge.cases, edge.median_us)
        assert said == (want.n, want.cases, naive.quantile(want.waits, 50))
    assert process_map(log_of(cases), keep_share=1).left_out == LeftOut()


@quick
@given(traces)
def test_the_smallest_map_holds_a_widest_path_and_the_strongest_lines(
    given_traces: list[list[str]],
) -> None:
    cases = of_traces(given_traces)
    known = naive.successions([naive.steps(case) for case in cases])
    counts = {pair: edge.n for pair, edge in known.items()}
    kept = {(e.source, e.target): e.n for e in everything(process_map(log_of(cases), keep_share=0))}
    for node in {b for _, b in counts if b is not None}:
        assert naive.widest(kept, node) == naive.widest(counts, node)
        into = [n for (a, b), n in counts.items() if b == node != a]
        assert max(into) in [n for (a, b), n in kept.items() if b == node != a]
        out = [n for (a, b), n in counts.items() if a == node != b]
        assert max(out) in [n for (a, b), n in kept.items() if a == node != b]


def test_a_loop_stronger_than_its_entry_does_not_cut_the_map_off() -> None:
    """b and c are each other's strongest neighbours; the way in and out must stay."""
    cases = of_traces([["a", *"bcbcbcbc", "d"], ["a", "d"], ["a", "d"], ["a", "d"]])
    pairs = {(e.source, e.target) for e in process_map(log_of(cases), keep_share=0).edges}
    assert {("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")} <= pairs


def test_rare_activities_are_left_out_before_successions_are_counted() -> None:
    cases = of_traces([["a", "x", "b"]] + [["a", "b"]] * 4)
    found = process_map(log_of(cases), top_activities=2)
    assert [(e.source, e.target, e.n) for e in found.edges] == [("a", "b", 5)]
    assert found.left_out == LeftOut(activities=1, steps=1)
    assert found.steps == 11
    hidden = process_map(log_of(cases), leave_out=["x"])
    assert hidden.edges == found.edges
    assert hidden.left_out == LeftOut()


def test_maps_are_ordered_and_do_not_depend_on_the_order_of_rows() -> None:
    cases = of_traces([list("abcd"), list("acbd"), list("abd"), list("ad")])
    found = process_map(log_of(cases))
    assert found == process_map(log_of(cases[::-1]))
    assert list(found.nodes) == sorted(found.nodes, key=lambda n: (-n.n, n.activity))
    keyed = [(-e.n, e.source, e.target) for e in found.edges]
    assert keyed == sorted(keyed)


def test_logs_without_steps_times_or_teams_have_maps() -> None:
    nothing = process_map(log_of([]))
    assert (nothing.nodes, nothing.edges, nothing.cases) == ((), (), 0)
    untimed = log_of([("a", [("x", None, None, None), ("y", None, None, None)])])
    assert process_map(untimed).edges[0].median_us is None
    assert discovery.waiting(untimed).empty
    assert discovery.rework(untimed).empty


@pytest.mark.parametrize(
    ("share", "top", "code"), [(-0.1, None, "LG311"), (1.5, None, "LG311"), (0.5, 0, "LG312")]
)
def test_filters_out_of_range_are_coded_errors(share: float, top: int | None, code: str) -> None:
    with pytest.raises(CodedError) as caught:
        process_map(log_of([]), keep_share=share, top_activities=top)
    assert caught.value.code == code


@quick
@given(traces)
def test_rework_and_waiting_add_up(given_traces: list[list[str]]) -> None:
    cases = of_traces(given_traces)
    log = log_of(cases)
    again = discovery.rework(log)
    known = [row for row in naive.activity_facts(cases) if row["repeats"]]
    assert dict(zip(again["activity"], again["repeats"], strict=True)) == {
        row["activity"]: row["repeats"] for row in known
    }
    assert (again["returns"] + again["direct_repeats"] == again["repeats"]).all()
    assert again["repeats"].is_monotonic_decreasing
    waits = discovery.waiting(log)
    assert waits["n"].sum() == sum(len(trace) - 1 for trace in given_traces)
    assert waits["share"].sum() == pytest.approx(1 if len(waits) else 0)
    assert waits["median_us"].dtype == np.int64


@settings(max_examples=12, deadline=None)
@given(traces, st.integers(0, 8), st.floats(0, 1))
def test_slow_lines_are_kept_however_rare_and_told(
    given_traces: list[list[str]], hours: int, share: float
) -> None:
    """Waits of i hours after the i-th step, so that medians differ."""
    cases = [
        (f"{i:03d}", [(a, j * (j + 1) // 2 * HOUR, None, None) for j, a in enumerate(trace)])
        for i, trace in enumerate(given_traces)
    ]
    limit = hours * HOUR
    known = naive.successions([naive.steps(case) for case in cases])
    slow = {pair for pair, e in known.items() if (naive.quantile(e.waits, 50) or 0) > limit}
    found = process_map(log_of(cases), keep_share=share, slower_than_us=limit)
    assert {(e.source, e.target) for e in found.edges if found.is_slow(e)} == slow
    plain = process_map(log_of(cases), keep_share=share)
    assert {*everything(plain)} <= {*everything(found)}
    assert not any(map(plain.is_slow, everything(plain)))
    hidden = {pair: e.n for pair, e in known.items()}
    for edge in everything(found):
        hidden.pop((edge.source, edge.target))
    assert found.left_out == LeftOut(edges=len(hidden), successions=sum(hidden.values()))


@quick
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=8),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 9),
)
def test_a_window_picks_the_cases_that_it_says(
    times: list[list[int]], begin: int | None, end: int | None
) -> None:
    cases = [
        (f"{i:03d}", [("a", at, None, None) for at in sorted(at)]) for i, at in enumerate(times)
    ]
    log = log_of(cases)
    if begin is not None and end is not None and end <= begin:
        with pytest.raises(CodedError, match=r"^LG344 "):
            in_window(log, Window(begin, end))
        return
    low, high = begin if begin is not None else -1, end if end is not None else 99
    inside = [all(low <= one < high for one in at) for at in times]
    begins = [low <= min(at) < high for at in times]
    assert in_window(log, Window(begin, end)).tolist() == inside
    assert in_window(log, Window(begin, end, "begins")).tolist() == begins


def test_no_window_without_times_and_none_holds_a_case_without_events() -> None:
    untimed = log_of([("a", [("x", None, None, None)])])
    with pytest.raises(CodedError, match=r"^LG345 "):
        in_window(untimed, Window(0, 1))
    assert in_window(log_of([]), Window(0, 1)).tolist() == []


def test_a_wait_below_nought_is_refused() -> None:
    with pytest.raises(CodedError, match=r"^LG346 "):
        process_map(log_of([]), slower_than_us=-1)
