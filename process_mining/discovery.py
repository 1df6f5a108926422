"""Which ways do cases take, where do they wait, what is done again?

**Process map.** The directly-follows graph of the steps (van der Aalst, Process Mining, 2016,
ch. 6) with a start and an end. A map of everything is unreadable, so filters are declared, and what
they leave out is counted in the result:

1. `top_activities`: of more activities than this, the rarest (ties: the later names) are left out
   of the traces *before* successions are counted, so an edge then means "next among those shown".
2. `keep_share`: of the edges, starts and ends included, these are kept:
   - for every activity the edges of a widest path from the start to it and from it to the end: the
     path whose rarest edge is the most frequent (as in Split Miner, Augusto et al. 2019), so that
     everything shown lies on a way from start to end;
   - the most frequent edge into and out of every activity;
   - then edges by (-n, source, target) until those kept hold at least `keep_share` of all
     successions;
   - and besides every edge whose median wait is longer than `slower_than_us`, where that is given,
     however rare.

**Window.** `in_window` picks cases by time: those that lie inside (their first and last event are
within the window) or those that begin in it, as `Window` says; a case that only partly lies inside
shows no whole way, one that begins late may not have ended. Cases without events or times lie in no
window. How many are left out is counted by whoever asks.

Medians are observed waits, int64 µs (see `columnar.sql`). Complexity: the columnar steps, then
O(E log E) for E edges.

Not checked: whether a way is right (that is what models and rules are for), and whether a wait
lies in working hours (waits here are elapsed time).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from process_mining import schema as s
from process_mining.columnar import sql
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from process_mining.eventlog import EventLog

WindowRule = Literal["inside", "begins"]
KEEP_SHARE: Final = 0.9


@dataclass(frozen=True)
class Node:
    """An activity: how often it was done, and in how many cases."""

    activity: str
    n: int
    cases: int


@dataclass(frozen=True)
class Edge:
    """A succession; source None is the start, target None the end; no median without times."""

    source: str | None
    target: str | None
    n: int
    cases: int
    median_us: int | None


@dataclass(frozen=True)
class LeftOut:
    """What the filters of a map hide: kinds and how often each was seen."""

    activities: int = 0
    steps: int = 0
    edges: int = 0
    successions: int = 0


@dataclass(frozen=True)
class ProcessMap:
    """A filtered directly-follows graph.

    `nodes` by (-n, activity); `edges`, `starts` (source None) and `ends` (target None) by
    (-n, source, target). `cases` counts all cases of the log, also those without steps.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    starts: tuple[Edge, ...]
    ends: tuple[Edge, ...]
    cases: int
    steps: int
    keep_share: float
    left_out: LeftOut
    slower_than_us: int | None = None

    def is_slow(self, edge: Edge) -> bool:
        """Whether an edge's median wait is longer than the map asks for."""
        limit, median = self.slower_than_us, edge.median_us
        return limit is not None and median is not None and median > limit


@dataclass(frozen=True)
class Window:
    """A span of time in µs UTC, from `begin` until before `end`, None where it is not bounded.

    `rule` says which cases it picks: "inside" or "begins".
    """

    begin_us: int | None = None
    end_us: int | None = None
    rule: WindowRule = "inside"


def in_window(log: EventLog, window: Window) -> npt.NDArray[np.bool_]:
    """Tell for each case whether the window picks it.

    Raises CodedError LG344 for a window that ends before it begins, LG345 for a log without times.
    """
    begin = np.iinfo(np.int64).min if window.begin_us is None else window.begin_us
    end = np.iinfo(np.int64).max if window.end_us is None else window.end_us
    if end <= begin:
        msg = "the window ends before it begins"
        raise CodedError("LG344", msg, fix="Give an end after the beginning")
    if not log.timed:
        raise CodedError("LG345", "the log has no times", fix="Leave the window out")
    arrays = log.arrays
    known = np.diff(arrays.offsets) > 0
    least = np.full(log.n_cases, np.iinfo(np.int64).max)
    most = np.full(log.n_cases, np.iinfo(np.int64).min)
    np.minimum.at(least, arrays.case_of, arrays.at)
    np.maximum.at(most, arrays.case_of, arrays.at)
    begins = known & (least >= begin) & (least < end)
    return begins if window.rule == "begins" else begins & (most < end)


def process_map(
    log: EventLog,
    *,
    leave_out: Collection[str] = (),
    keep_share: float = KEEP_SHARE,
    top_activities: int | None = None,
    slower_than_us: int | None = None,
) -> ProcessMap:
    """Return the process map of a log (the head-note states the filters).

    Raises CodedError LG311 for a share outside 0..1, LG312 for fewer than one activity, LG346 for a
    wait below 0.
    """
    _check_filters(keep_share, top_activities, slower_than_us)
    facts = _nodes(sql.activity_facts(log, leave_out=leave_out))
    kept = facts if top_activities is None else facts[:top_activities]
    hidden = facts[len(kept) :]
    gone = {*leave_out, *(node.activity for node in hidden)}
    everything = _edges(sql.directly_follows(log, leave_out=gone))
    edges = _readable(everything, keep_share, slower_than_us)
    return ProcessMap(
        nodes=kept,
        edges=tuple(e for e in edges if e.source is not None and e.target is not None),
        starts=tuple(e for e in edges if e.source is None),
        ends=tuple(e for e in edges if e.target is None),
        cases=log.n_cases,
        steps=sum(node.n for node in facts),
        keep_share=keep_share,
        left_out=LeftOut(
            activities=len(hidden),
            steps=sum(node.n for node in hidden),
            edges=len(everything) - len(edges),
            successions=sum(e.n for e in everything) - sum(e.n for e in edges),
        ),
        slower_than_us=slower_than_us,
    )


def waiting(log: EventLog, *, leave_out: Collection[str] = ()) -> pd.DataFrame:
    """Return where time goes: source, target, n, cases, median_us, p90_us, total_h, share.

    `share` is the edge's part of all waiting between steps. One row a succession between two
    steps; the longest waiting in all comes first, then by names. Empty without times.
    """
    frame: pd.DataFrame = sql.directly_follows(log, leave_out=leave_out).to_pandas()
    frame = frame[frame["source"].notna() & frame["target"].notna() & frame["total_h"].notna()]
    frame = frame.astype({"median_us": np.int64, "p90_us": np.int64})
    total = float(frame["total_h"].sum())
    frame["share"] = frame["total_h"] / total if total else 0.0
    keys = ["total_h", "source", "target"]
    return frame.sort_values(keys, ascending=[False, True, True], ignore_index=True)


def rework(log: EventLog, *, leave_out: Collection[str] = ()) -> pd.DataFrame:
    """Return what is done again: one row an activity that some case repeats.

    activity, n, cases, repeats (beyond the first of a case), cases_repeating, direct_repeats (at
    once after its like), returns (the other repeats), repeat_share (repeats / n), case_share
    (cases_repeating / cases). Most repeats first, then by name.
    """
    frame: pd.DataFrame = sql.activity_facts(log, leave_out=leave_out).to_pandas()
    frame = frame[frame["repeats"] > 0]
    frame["returns"] = frame["repeats"] - frame["direct_repeats"]
    frame["repeat_share"] = frame["repeats"] / frame["n"]
    frame["case_share"] = frame["cases_repeating"] / frame["cases"]
    return frame.sort_values(["repeats", s.ACTIVITY], ascending=[False, True], ignore_index=True)


def _check_filters(
    keep_share: float, top_activities: int | None, slower_than_us: int | None
) -> None:
    if not 0 <= keep_share <= 1:
        raise CodedError("LG311", f"keep_share is {keep_share}", fix="Give a share from 0 to 1")
    if top_activities is not None and top_activities < 1:
        msg = f"top_activities is {top_activities}"
        raise CodedError("LG312", msg, fix="Give at least 1, or leave it out to show all")
    if slower_than_us is not None and slower_than_us < 0:
        msg = f"slower_than_us is {slower_than_us}"
        raise CodedError("LG346", msg, fix="Give a duration of 0 or more")


def _nodes(facts: pa.Table) -> tuple[Node, ...]:
    rows = zip(*(facts[name].to_pylist() for name in (s.ACTIVITY, "n", "cases")), strict=True)
    return tuple(sorted((Node(*row) for row in rows), key=lambda node: (-node.n, node.activity)))


def _edges(table: pa.Table) -> list[Edge]:
    """Return the edges of a directly-follows table by (-n, source, target)."""
    names = ("source", "target", "n", "cases", "median_us")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return sorted((Edge(*row) for row in rows), key=lambda e: (-e.n, *_names_of(e)))


def _names_of(edge: Edge) -> tuple[str, str]:
    return (edge.source or "", edge.target or "")


def _readable(edges: Sequence[Edge], keep_share: float, slower_than_us: int | None) -> list[Edge]:
    """Return the edges that the head-note's second filter keeps, in the order given."""
    keep = set(_widest(edges, source_of=lambda e: e.source, target_of=lambda e: e.target))
    keep |= set(_widest(edges, source_of=lambda e: e.target, target_of=lambda e: e.source))
    keep |= set(_first_by(edges, lambda e: e.source).values())
    keep |= set(_first_by(edges, lambda e: e.target).values())
    total, held = sum(e.n for e in edges), sum(edges[i].n for i in keep)
    for i, edge in enumerate(edges):
        if held >= keep_share * total:
            break
        held += 0 if i in keep else edge.n
        keep.add(i)
    if slower_than_us is not None:
        keep |= {i for i, e in enumerate(edges) if (e.median_us or 0) > slower_than_us}
    return [edges[i] for i in sorted(keep)]


def _first_by(edges: Sequence[Edge], key: Callable[[Edge], str | None]) -> dict[str | None, int]:
    """Return the first (most frequent) edge of each group; start and end are no activities."""
    found: dict[str | None, int] = {}
    for i, edge in enumerate(edges):
        if key(edge) is not None and edge.source != edge.target:
            found.setdefault(key(edge), i)
    return found


def _widest(
    edges: Sequence[Edge],
    *,
    source_of: Callable[[Edge], str | None],
    target_of: Callable[[Edge], str | None],
) -> Iterable[int]:
    """Yield the edges of a tree of widest paths from None to every node (Prim, Jarník).

    A maximum spanning arborescence grown from the root by its most frequent outgoing edge holds a
    path of greatest bottleneck to each node (Hu 1961); ties go to the earlier edge.
    """
    leaving: dict[str | None, list[int]] = {}
    for i, edge in enumerate(edges):
        leaving.setdefault(source_of(edge), []).append(i)
    reached: set[str] = set()
    queue = list(leaving.get(None, ()))  # edges are by falling frequency: the index is the rank
    heapq.heapify(queue)
    while queue:
        i = heapq.heappop(queue)
        node = target_of(edges[i])
        if node is None or node in reached:
            continue
        reached.add(node)
        yield i
        for further in leaving.get(node, ()):
            heapq.heappush(queue, further)
