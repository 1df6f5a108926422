"""Who hands over to whom, what bounces between teams, and on whom does the work hang?

Definitions
- Stretch: consecutive events of a case, among those that name a team, with the same team.
- Hand-over: a change of team, from the last event of one stretch to the first of the next; that is
  its wait (the hand-over of work of van der Aalst, Reijers & Song 2005, CSCW 14, 549-593, between
  teams and not persons).
- New step: a step (not left out, not a word of `assigning`) of another activity than the step
  before it in its case.
- Reassignment: a hand-over with no new step after the last event of the one team up to and with
  the first of the other: the case changed hands, its state stayed.
- Passed on: a stretch, neither the first nor the last of its case, that holds no new step: a team
  had the case, did nothing that the log shows, and gave it away.
- Ping-pong: A, B, A in the stretches of a case; the time that B held it runs from the first event
  of B to the first of the return.
- Network: the directed graph of hand-overs. Betweenness: share of shortest ways between two other
  teams that lead through one (Brandes 2001; ways by number of hand-overs, beyond 300 teams from a
  seeded sample of 300: Brandes & Pich 2007). Communities: Louvain on the undirected graph weighted
  by hand-overs (Blondel et al. 2008), seed fixed, modularity given. Bridge: a pair of teams whose
  hand-overs alone connect two parts of the undirected graph; articulation: a team that alone does
  (Tarjan 1974).

Teams in which fewer than `least_people` (but at least one) people were seen are shown as one, since
a team of two is nearly a person; nothing here ranks people. That one node is no team: what leads
through it is marked `pooled`.

Times are µs of elapsed time, medians observed values (see `columnar.sql`). Complexity: O(events) in
columns for the counts; the graph one columnar step, then betweenness O(teams x hand-overs).

Not checked: whether a change of team was right; whether a team's events are its work (a source
that writes the present team on every row gives no history: the quality gate tells). Louvain's
communities may be ambiguous where the modularity is low, and may hang together loosely (Traag et
al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import networkx as nx
import numpy as np
import pandas as pd

from process_mining import schema as s
from process_mining.columnar import segments, sql
from process_mining.columnar.groups import distinct, grouped, numbered
from process_mining.columnar.steps import steps_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from process_mining.eventlog import Codes, EventLog, Ints

    Bools = npt.NDArray[np.bool_]

LEAST_PEOPLE: Final = 5
TOP_HANDOVERS: Final = 10
MOST_PIVOTS: Final = 300
SEED: Final = 0


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

    `top` and `betweenness` are by falling value, then name. `between_small` counts hand-overs
    inside the group of small teams, which the graph does not show.
    """

    teams: int
    handovers: int
    ping_pongs: int
    cases_with_ping_pong: int
    between_small: int
    top: tuple[Handover, ...]
    betweenness: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Network:
    """The hand-over network, named and ordered.

    `teams`: team, n (events), received, given (hand-overs), sources, targets (teams), betweenness,
    community (0 is the largest), articulation, pooled (the group of small teams); by falling
    betweenness, then name. `edges`: source, target, n, cases, median_us, bridge, pooled; by (-n,
    source, target). `communities`: their teams by name, the largest first, equal ones by name.
    `modularity` is null without hand-overs. `sampled`: betweenness rests on a sample.
    """

    teams: pd.DataFrame
    edges: pd.DataFrame
    communities: tuple[tuple[str, ...], ...]
    modularity: float | None
    between_small: int
    sampled: bool


def handovers(log: EventLog, *, least_people: int = LEAST_PEOPLE) -> nx.DiGraph[str]:
    """Return the hand-over graph: nodes are teams (`n` events, `pooled`), edges hand-overs.

    Edges have `n`, `cases` and `median_us` (None without times). Nodes and edges are inserted by
    name. `graph["between_small"]` counts hand-overs inside the group of small teams.
    """
    pool = _pool(log, least_people)
    table = sql.follows_of(log, symbols=pool.codes[log.arrays.team], names=pool.names)
    graph: nx.DiGraph[str] = nx.DiGraph(between_small=_between_small(log, pool.small))
    seen = np.bincount(pool.codes[log.arrays.team] + 1, minlength=len(pool.names) + 1)[1:]
    last = len(pool.names) - 1
    nodes = sorted((pool.names[i], int(seen[i]), bool(i == last)) for i in np.flatnonzero(seen))
    graph.add_nodes_from((name, {"n": n, "pooled": pooled}) for name, n, pooled in nodes)
    columns = (table[name].to_pylist() for name in ("source", "target", "n", "cases", "median_us"))
    inner = (row for row in zip(*columns, strict=True) if row[0] is not None and row[1] is not None)
    for source, target, n, cases, median_us in sorted(inner, key=lambda row: row[:2]):
        if source != target:
            graph.add_edge(source, target, n=n, cases=cases, median_us=median_us)
    return graph


def handover_summary(log: EventLog, *, least_people: int = LEAST_PEOPLE) -> HandoverSummary:
    """Sum up the hand-overs of a log; ping-pongs are counted between the real teams."""
    graph = handovers(log, least_people=least_people)
    found = [Handover(a, b, **facts) for a, b, facts in graph.edges(data=True)]
    found.sort(key=lambda h: (-h.n, h.source, h.target))
    runs = _team_runs(log)
    bounces = np.bincount(runs.case[runs.returned()], minlength=log.n_cases)
    inside = int(graph.graph["between_small"])
    return HandoverSummary(
        teams=len(log.arrays.teams),
        handovers=sum(h.n for h in found) + inside,
        ping_pongs=int(bounces.sum()),
        cases_with_ping_pong=int((bounces > 0).sum()),
        between_small=inside,
        top=tuple(found[:TOP_HANDOVERS]),
        betweenness=tuple(sorted(_betweenness(graph).items(), key=lambda it: (-it[1], it[0]))),
    )


def network(log: EventLog, *, least_people: int = LEAST_PEOPLE) -> Network:
    """Return the hand-over network with what hangs on whom (the head-note defines the columns)."""
    graph = handovers(log, least_people=least_people)
    both, names = _undirected(graph), tuple(graph)
    parts = _communities(both)
    joined = both.number_of_edges() > 0
    return Network(
        teams=_teams_frame(graph, both, parts),
        edges=_edges_frame(graph, both),
        communities=tuple(tuple(names[team] for team in part) for part in parts),
        modularity=nx.community.modularity(both, parts, weight="n") if joined else None,
        between_small=int(graph.graph["between_small"]),
        sampled=_pivots(graph) is not None,
    )


def ping_pongs(log: EventLog, *, least_people: int = LEAST_PEOPLE) -> pd.DataFrame:
    """Return who bounces cases back to whom: team, other, n, cases, median_held_us.

    `n` counts A, B, A with A the `team` and B the `other`, between real teams; small teams then
    bear the name of their group, so a row can name it twice. The most frequent first, then by
    names. `median_held_us` is how long the other had it, null without times.
    """
    runs, pool = _team_runs(log), _pool(log, least_people)
    back = np.flatnonzero(runs.returned())
    team, other = (pool.codes[runs.team[back - k]].astype(np.int64) for k in (0, 1))
    pair, place = numbered(team, other)
    at = log.arrays.at
    held = grouped(pair, at[runs.first[back]] - at[runs.first[back - 1]], n=len(place))
    frame = pd.DataFrame(
        {
            "team": _named(pool.names, team[place]),
            "other": _named(pool.names, other[place]),
            "n": held.counts,
            "cases": distinct(pair, runs.case[back], n=len(place)),
            "median_held_us": _times(held.quantile(50), known=log.timed),
        }
    )
    keys = ["n", "team", "other"]
    return frame.sort_values(keys, ascending=[False, True, True], ignore_index=True)


def team_changes(
    log: EventLog, *, assigning: Collection[str] = (), leave_out: Collection[str] = ()
) -> pd.DataFrame:
    """Return one row a case, by id: teams, handovers, reassignments, passed_on, ping_pongs.

    `teams` counts the distinct teams; where it is 0 the source names none and the other counts
    are null: a case without teams was not handed over nought times, it is unknown.
    """
    runs = _team_runs(log)
    new = _new_steps(log, {*leave_out, *assigning})
    passed = np.zeros(len(runs.case), dtype=bool)
    if len(runs.case) > 2:  # noqa: PLR2004 - a stretch with one before and one after it
        inner = runs.changed[1:-1] & runs.changed[2:]
        passed[1:-1] = inner & (new[runs.first[2:]] == new[runs.first[1:-1]])
    moved = runs.changed.copy()
    moved[1:] &= new[runs.first[1:] + 1] == new[runs.last[:-1] + 1]
    marks = {
        "handovers": runs.changed,
        "reassignments": moved,
        "passed_on": passed,
        "ping_pongs": runs.returned(),
    }
    teams = distinct(runs.case, runs.team.astype(np.int64), n=log.n_cases)
    columns = {
        name: _times(np.bincount(runs.case[mark], minlength=log.n_cases), known=teams > 0)
        for name, mark in marks.items()
    }
    ids = log.cases[s.CASE_ID].to_pandas()
    return pd.DataFrame({s.CASE_ID: ids, "teams": teams, **columns})


def times_a_case(counts: pd.Series[int]) -> pd.DataFrame:
    """Return how many cases have each count (a column of `team_changes`): times, cases, share.

    Unknown (null) counts are left out of the cases and of the share's denominator. By times.
    """
    times, cases = np.unique(counts.dropna().to_numpy(np.int64), return_counts=True)
    share = cases / max(int(cases.sum()), 1)
    return pd.DataFrame({"times": times, "cases": cases.astype(np.int64), "share": share})


# --- stretches --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Runs:
    """Stretches in log order: case, team, positions of the first and last event that names it.

    `changed` tells whether the same case was with another team just before.
    """

    case: Ints
    team: Codes
    first: Ints
    last: Ints
    changed: Bools

    def returned(self) -> Bools:
        """Tell for each stretch whether it comes back to the team before the last one."""
        back = np.zeros(len(self.case), dtype=bool)
        back[2:] = (self.case[2:] == self.case[:-2]) & (self.team[2:] == self.team[:-2])
        return back


def _team_runs(log: EventLog) -> _Runs:
    arrays = log.arrays
    named = np.flatnonzero(arrays.team >= 0)
    case, team = arrays.case_of[named], arrays.team[named]
    starts = np.ones(len(named), dtype=bool)
    starts[1:] = (case[1:] != case[:-1]) | (team[1:] != team[:-1])
    ends = np.append(starts[1:], True)[: len(named)]
    case = case[starts]
    changed = np.append(False, case[1:] == case[:-1])[: len(case)]
    return _Runs(case, team[starts], named[starts], named[ends], changed)


def _new_steps(log: EventLog, leave_out: Collection[str]) -> Ints:
    """Return how many new steps stand before each event of the log, and before its end."""
    steps = steps_of(log, leave_out=leave_out)
    new = steps.first.copy()
    new[1:] |= steps.code[1:] != steps.code[:-1]
    marks = np.zeros(log.n_events, dtype=bool)
    marks[steps.position[new]] = True
    return np.append(0, np.cumsum(marks)).astype(np.int64)


# --- small teams ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pool:
    """Small teams under one further code, the last of `names`; codes[-1] answers for no team."""

    small: Bools
    codes: Codes
    names: tuple[str, ...]


def _pool(log: EventLog, least_people: int) -> _Pool:
    teams, small = log.arrays.teams, _small_teams(log, least_people)
    group = f"teams under {least_people} people"
    while group in teams:
        group += "*"
    codes = np.where(small, len(teams), np.arange(len(teams)))
    return _Pool(small, np.append(codes, segments.NONE).astype(np.int32), (*teams, group))


def _small_teams(log: EventLog, least_people: int) -> Bools:
    """Tell for each team whether some, but fewer than `least_people`, people were seen in it."""
    arrays = log.arrays
    both = (arrays.team >= 0) & (arrays.actor >= 0)
    team, actor = (column[both].astype(np.int64) for column in (arrays.team, arrays.actor))
    people = distinct(team, actor, n=len(arrays.teams))
    small: Bools = (people > 0) & (people < least_people)
    return small


def _between_small(log: EventLog, small: Bools) -> int:
    runs = _team_runs(log)
    inside = small[runs.team[1:]] & small[runs.team[:-1]] & runs.changed[1:]
    return int(inside.sum())


# --- the network ------------------------------------------------------------------------------


def _betweenness(graph: nx.DiGraph[str]) -> dict[str, float]:
    found: dict[str, float] = nx.betweenness_centrality(graph, k=_pivots(graph), seed=SEED)
    return found


def _pivots(graph: nx.DiGraph[str]) -> int | None:
    """All teams are pivots up to MOST_PIVOTS; beyond, a seeded sample (Brandes & Pich 2007)."""
    return None if len(graph) <= MOST_PIVOTS else MOST_PIVOTS


def _undirected(graph: nx.DiGraph[str]) -> nx.Graph[int]:
    """Return the graph of pairs; `n` adds up both directions.

    Teams are numbered by name: sets of integers are walked through in the same order in every
    process, sets of texts are not.
    """
    number = {team: i for i, team in enumerate(graph)}
    both: nx.Graph[int] = nx.Graph()
    both.add_nodes_from(number.values())
    for a, b, n in graph.edges(data="n"):
        before = both.get_edge_data(number[a], number[b], {"n": 0})["n"]
        both.add_edge(number[a], number[b], n=before + n)
    return both


def _communities(both: nx.Graph[int]) -> list[tuple[int, ...]]:
    """Return the communities of team numbers, the largest first, equal ones by first number."""
    if not both.number_of_edges():
        return [(team,) for team in both]
    found = nx.community.louvain_communities(both, weight="n", seed=SEED)
    return sorted((tuple(sorted(part)) for part in found), key=lambda part: (-len(part), part))


def _teams_frame(
    graph: nx.DiGraph[str], both: nx.Graph[int], parts: list[tuple[int, ...]]
) -> pd.DataFrame:
    central, joints = _betweenness(graph), frozenset(nx.articulation_points(both))
    part_of = {team: number for number, part in enumerate(parts) for team in part}
    rows = [
        (
            team,
            facts["n"],
            graph.in_degree(team, weight="n"),
            graph.out_degree(team, weight="n"),
            graph.in_degree(team),
            graph.out_degree(team),
            central[team],
            part_of[number],
            number in joints,
            facts["pooled"],
        )
        for number, (team, facts) in enumerate(graph.nodes(data=True))
    ]
    columns = ["team", "n", "received", "given", "sources", "targets", "betweenness", "community"]
    frame = pd.DataFrame(rows, columns=[*columns, "articulation", "pooled"])
    keys = ["betweenness", "team"]
    return frame.sort_values(keys, ascending=[False, True], ignore_index=True)


def _edges_frame(graph: nx.DiGraph[str], both: nx.Graph[int]) -> pd.DataFrame:
    names = tuple(graph)
    bridges = {frozenset((names[a], names[b])) for a, b in nx.bridges(both)}
    pooled = graph.nodes(data="pooled")
    rows = [
        (a, b, *facts.values(), frozenset((a, b)) in bridges, pooled[a] or pooled[b])
        for a, b, facts in graph.edges(data=True)
    ]
    columns = ["source", "target", "n", "cases", "median_us", "bridge", "pooled"]
    frame = pd.DataFrame(rows, columns=columns).astype({"median_us": "Int64"})
    keys = ["n", "source", "target"]
    return frame.sort_values(keys, ascending=[False, True, True], ignore_index=True)


def _named(names: tuple[str, ...], codes: Ints) -> npt.NDArray[np.object_]:
    return np.array(names, dtype=object)[codes]


def _times(values: Ints, *, known: Bools | bool) -> pd.Series[int]:
    """Return whole numbers that may be unknown."""
    return pd.Series(values, dtype="Int64").where(pd.Series(known, index=range(len(values))))
