"""Which ways do cases take, where do they wait, who hands over to whom, what is done again?

**Process map.** The directly-follows graph of the steps (van der Aalst, Process Mining, 2016,
ch. 6) with a start and an end. A map of everything is unreadable, so two filters are declared, and
what they leave out is counted in the result:

1. `top_activities`: of more activities than this, the rarest (ties: the later names) are left out
   of the traces *before* successions are counted, so an edge then means "next among those shown".
2. `keep_share`: of the edges, starts and ends included, these are kept:
   - for every activity the edges of a widest path from the start to it and from it to the end: the
     path whose rarest edge is the most frequent (as in Split Miner, Augusto et al. 2019), so that
     everything shown lies on a way from start to end;
   - the most frequent edge into and out of every activity;
   - then edges by (-n, source, target) until those kept hold at least `keep_share` of all
     successions.

**Hand-overs.** Consecutive events of a case, among those that name a team, with different teams;
its wait runs from the last event of the one to the first of the other. A ping-pong is A, B, A in
the sequence of a case's teams. Teams in which fewer than `least_people` (but at least one) people
were seen are shown as one, since a team of two is nearly a person; nothing here ranks people.

Medians are observed waits, int64 µs (see `columnar.sql`). Complexity: the columnar steps, then
O(E log E) for E edges; betweenness O(teams x hand-overs) (Brandes 2001).

Not checked: whether a way is right (that is what models and rules are for), and whether a wait
lies in working hours (waits here are elapsed time).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import networkx as nx
import numpy as np

from process_mining import schema as s
from process_mining.columnar import sql
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from process_mining.eventlog import Codes, EventLog, Ints

    Bools = npt.NDArray[np.bool_]

KEEP_SHARE: Final = 0.9
LEAST_PEOPLE: Final = 5
TOP_HANDOVERS: Final = 10
MOST_PIVOTS: Final = 300


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


@dataclass(frozen=True)
class Handover:
    """How often one team handed over to another, and the median wait."""

    source: str
    target: str
    n: int
    cases: int
    median_us: int | None


@dataclass(frozen=True)
class HandoverSummary:
    """The hand-overs of a log in a few numbers.

    `top` and `betweenness` (share of shortest ways between two other teams that lead through a
    team) are by falling value, then name. `between_small` counts hand-overs inside the group of
    small teams, which the graph does not show.
    """

    teams: int
    handovers: int
    ping_pongs: int
    cases_with_ping_pong: int
    between_small: int
    top: tuple[Handover, ...]
    betweenness: tuple[tuple[str, float], ...]


def process_map(
    log: EventLog,
    *,
    leave_out: Collection[str] = (),
    keep_share: float = KEEP_SHARE,
    top_activities: int | None = None,
) -> ProcessMap:
    """Return the process map of a log (the head-note states the filters).

    Raises CodedError LG311 for a share outside 0..1, LG312 for fewer than one activity.
    """
    _check_filters(keep_share, top_activities)
    facts = _nodes(sql.activity_facts(log, leave_out=leave_out))
    kept = facts if top_activities is None else facts[:top_activities]
    hidden = facts[len(kept) :]
    gone = {*leave_out, *(node.activity for node in hidden)}
    everything = _edges(sql.directly_follows(log, leave_out=gone))
    edges = _readable(everything, keep_share)
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


def handovers(log: EventLog, *, least_people: int = LEAST_PEOPLE) -> nx.DiGraph[str]:
    """Return the hand-over graph: nodes are teams (`n` events), edges hand-overs.

    Edges have `n`, `cases` and `median_us` (None without times). Nodes and edges are inserted by
    name. `graph["between_small"]` counts hand-overs inside the group of small teams.
    """
    small = _small_teams(log, least_people)
    codes, names = _grouped(log, small, least_people)
    table = sql.follows_of(log, symbols=codes, names=names)
    edges = [e for e in _edges(table) if e.source is not None and e.target is not None]
    graph: nx.DiGraph[str] = nx.DiGraph(between_small=_between_small(log, small))
    seen = np.bincount(codes[codes >= 0], minlength=len(names))
    graph.add_nodes_from((names[i], {"n": int(seen[i])}) for i in np.flatnonzero(seen))
    for edge in sorted(edges, key=_names_of):
        if edge.source != edge.target:
            facts = {"n": edge.n, "cases": edge.cases, "median_us": edge.median_us}
            graph.add_edge(edge.source, edge.target, **facts)
    return graph


def handover_summary(log: EventLog, *, least_people: int = LEAST_PEOPLE) -> HandoverSummary:
    """Sum up the hand-overs of a log; ping-pongs are counted between the real teams."""
    graph = handovers(log, least_people=least_people)
    found = [Handover(a, b, **facts) for a, b, facts in graph.edges(data=True)]
    found.sort(key=lambda h: (-h.n, h.source, h.target))
    central = sorted(
        nx.betweenness_centrality(graph, k=_pivots(graph), seed=0).items(),
        key=lambda item: (-item[1], item[0]),
    )
    bounces = _ping_pongs(log)
    inside = int(graph.graph["between_small"])
    return HandoverSummary(
        teams=len(log.arrays.teams),
        handovers=sum(h.n for h in found) + inside,
        ping_pongs=int(bounces.sum()),
        cases_with_ping_pong=int((bounces > 0).sum()),
        between_small=inside,
        top=tuple(found[:TOP_HANDOVERS]),
        betweenness=tuple(central),
    )


def _pivots(graph: nx.DiGraph[str]) -> int | None:
    """All teams are pivots up to MOST_PIVOTS; beyond, a seeded sample (Brandes & Pich 2007)."""
    return None if len(graph) <= MOST_PIVOTS else MOST_PIVOTS


def _check_filters(keep_share: float, top_activities: int | None) -> None:
    if not 0 <= keep_share <= 1:
        raise CodedError("LG311", f"keep_share is {keep_share}", fix="Give a share from 0 to 1")
    if top_activities is not None and top_activities < 1:
        msg = f"top_activities is {top_activities}"
        raise CodedError("LG312", msg, fix="Give at least 1, or leave it out to show all")


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


def _readable(edges: Sequence[Edge], keep_share: float) -> list[Edge]:
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


@dataclass(frozen=True, eq=False)
class _Runs:
    """The stretches that a case spends with one team, in log order: its case and its team."""

    case: Ints
    team: Codes

    def handed_over(self) -> Bools:
        """Tell for each stretch but the first whether the same case was elsewhere before."""
        same: Bools = self.case[1:] == self.case[:-1]
        return same


def _team_runs(log: EventLog) -> _Runs:
    arrays = log.arrays
    named = np.flatnonzero(arrays.team >= 0)
    case, team = arrays.case_of[named], arrays.team[named]
    first = np.ones(len(named), dtype=bool)
    first[1:] = (case[1:] != case[:-1]) | (team[1:] != team[:-1])
    return _Runs(case=case[first], team=team[first])


def _ping_pongs(log: EventLog) -> Ints:
    """Count A, B, A in the teams of each case."""
    runs = _team_runs(log)
    back = (runs.case[2:] == runs.case[:-2]) & (runs.team[2:] == runs.team[:-2])
    return np.bincount(runs.case[2:][back], minlength=log.n_cases).astype(np.int64)


def _small_teams(log: EventLog, least_people: int) -> Bools:
    """Tell for each team whether some, but fewer than `least_people`, people were seen in it."""
    arrays = log.arrays
    both = (arrays.team >= 0) & (arrays.actor >= 0)
    pairs = np.unique(np.stack([arrays.team[both], arrays.actor[both]]), axis=1)
    people = np.bincount(pairs[0], minlength=len(arrays.teams))
    small: Bools = (people > 0) & (people < least_people)
    return small


def _grouped(log: EventLog, small: Bools, least_people: int) -> tuple[Codes, tuple[str, ...]]:
    """Return every event's team code, small teams under one further code, and the names."""
    teams = log.arrays.teams
    group = f"teams under {least_people} people"
    while group in teams:
        group += "*"
    codes = np.where(small, len(teams), np.arange(len(teams)))
    table = np.append(codes, sql.NONE).astype(np.int32)  # the last entry answers for -1
    return table[log.arrays.team], (*teams, group)


def _between_small(log: EventLog, small: Bools) -> int:
    runs = _team_runs(log)
    both = small[runs.team[1:]] & small[runs.team[:-1]]
    return int((both & runs.handed_over()).sum())
