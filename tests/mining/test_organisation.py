"""Hand-overs, reassignments, ping-pong and the network equal counting by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining.small_logs import (
    HOUR,
    UCI,
    a_desk,
    case_lists,
    cases_of,
    hidden,
    log_of,
    ordered,
    quick,
)
from oracles import naive_mining as naive

from csi.simulate import Request, simulate
from process_mining import organisation
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]


def along(paths: Sequence[str]) -> EventLog:
    """One case a path of one-letter teams, an hour between events."""
    return log_of(
        [
            (f"c{i}", [("a", j * HOUR, None, team) for j, team in enumerate(path)])
            for i, path in enumerate(paths)
        ]
    )


# --- the graph --------------------------------------------------------------------------------


@quick
@given(cases=case_lists, least=st.integers(1, 4), timed=st.booleans())
def test_handovers_are_those_of_counting(
    cases: list[list[naive.Event]], least: int, *, timed: bool
) -> None:
    desk = ordered(cases, timed=timed)
    log = log_of(desk)
    small = {t for t, seen in naive.people(desk).items() if 0 < len(seen) < least}
    grouped = dict.fromkeys(small, f"teams under {least} people")
    known = naive.successions([naive.team_path(case, grouped) for case in desk])
    graph = organisation.handovers(log, least_people=least)
    want = {
        (a, b): {"n": e.n, "cases": e.cases, "median_us": naive.quantile(e.waits, 50)}
        for (a, b), e in known.items()
        if a is not None and b is not None and a != b
    }
    assert {(a, b): facts for a, b, facts in graph.edges(data=True)} == want
    assert not small & set(graph)
    summary = organisation.handover_summary(log, least_people=least)
    assert summary.ping_pongs == sum(map(naive.ping_pongs, desk))
    assert summary.cases_with_ping_pong == sum(naive.ping_pongs(case) > 0 for case in desk)
    every = sum(naive.changes([team for team, _ in naive.team_path(case)]) for case in desk)
    assert summary.handovers == every
    assert summary.between_small == every - sum(facts["n"] for facts in want.values())


def test_a_small_team_is_not_named_even_beside_a_team_called_like_the_group() -> None:
    cases = [("c", [("a", 1, "ann", "A"), ("a", 2, None, "teams under 5 people")])]
    graph = organisation.handovers(log_of(cases))
    assert sorted(graph) == ["teams under 5 people", "teams under 5 people*"]
    assert graph.number_of_edges() == 1
    frame = organisation.network(log_of(cases)).teams
    assert frame[frame["pooled"]]["team"].tolist() == ["teams under 5 people*"]


def test_summary_ranks_teams_by_betweenness_then_name() -> None:
    summary = organisation.handover_summary(along(["ABC", "CBA", "DBC"]))
    # of the six ordered pairs of the others, four are joined, all through B; none leads to D
    first, between = summary.betweenness[0]
    assert first == "B"
    assert between == pytest.approx(2 / 3)
    assert [team for team, _ in summary.betweenness[1:]] == ["A", "C", "D"]
    assert [(h.source, h.target, h.n) for h in summary.top][:2] == [("B", "C", 2), ("A", "B", 1)]


@quick
@given(st.lists(st.text("ABCDEF", min_size=1, max_size=4), max_size=8))
def test_bridges_and_articulations_are_what_falls_apart(paths: list[str]) -> None:
    found = organisation.network(along(paths))
    teams = set(found.teams["team"])
    assert teams == set("".join(paths))
    edges = set(zip(found.edges["source"], found.edges["target"], strict=True))
    whole = naive.parts(teams, edges)
    for row in found.edges.to_dict("records"):
        a, b = row["source"], row["target"]
        rest = [edge for edge in edges if set(edge) != {a, b}]
        assert row["bridge"] == (naive.parts(teams, rest) > whole)
    for row in found.teams.to_dict("records"):
        team = row["team"]
        rest = [edge for edge in edges if team not in edge]
        alone = team not in {end for edge in edges for end in edge}
        assert row["articulation"] == (naive.parts(teams - {team}, rest) > whole - alone)
        assert row["received"] == sum(path_steps(paths)[a, b] for a, b in edges if b == team)
        assert row["targets"] == sum(a == team for a, _ in edges)
    assert sorted(t for part in found.communities for t in part) == sorted(teams)
    assert (found.modularity is None) == (not edges)


def path_steps(paths: list[str]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for path in paths:
        for a, b in pairwise(path):
            found[a, b] = found.get((a, b), 0) + 1
    return found


def test_two_groups_joined_by_one_pair_are_two_communities() -> None:
    found = organisation.network(along(["ABCA"] * 9 + ["XYZX"] * 9 + ["CX"]))
    assert found.communities == (("A", "B", "C"), ("X", "Y", "Z"))
    assert found.edges[found.edges["bridge"]][["source", "target"]].to_numpy().tolist() == [
        ["C", "X"]
    ]
    assert found.teams[found.teams["articulation"]]["team"].tolist() == ["C", "X"]
    # modularity by hand: 54 of 55 hand-overs inside, each group has degree 55 of 110
    assert found.modularity == pytest.approx(54 / 55 - 2 * 0.5**2)
    assert found.teams.set_index("team").loc["C", ["community", "given", "received"]].tolist() == [
        0, 10, 9,
    ]  # fmt: skip


SHOW = """
import sys, random
from mining.test_organisation import along
from process_mining import organisation
rng = random.Random(1)
found = organisation.network(along(["".join(rng.choices("ABCDEFGHIJKLMNOP", k=4)) for _ in range(60)]))
print(found.communities, found.modularity, found.teams.to_csv(), found.edges.to_csv())
"""  # noqa: E501 - a program in one text


def test_the_network_does_not_depend_on_the_hash_seed() -> None:
    said = set()
    for seed in ("0", "1", "77"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
        command = [sys.executable, "-c", SHOW]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT
        )
        said.add(done.stdout)
    assert len(said) == 1


# --- changes of team --------------------------------------------------------------------------


@quick
@given(cases=case_lists, gone=hidden, timed=st.booleans())
def test_team_changes_are_those_of_counting(
    cases: list[list[naive.Event]], gone: set[str], *, timed: bool
) -> None:
    desk = ordered(cases, timed=timed)
    for frame in (
        organisation.team_changes(log_of(desk), assigning=gone),
        organisation.team_changes(log_of(desk), leave_out=gone),
    ):
        rows = frame.drop(columns="case_id").to_dict("records")
        found = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in rows]
        assert found == [naive.team_changes(case, gone) for case in desk]
        assert frame["case_id"].tolist() == [name for name, _ in desk]


def test_a_desk_reassigns_once_there_and_back_and_hands_work_over_once() -> None:
    frame = organisation.team_changes(log_of(a_desk())).set_index("case_id")
    # b: desk → network → desk within one diagnosis; then network diagnoses, the desk closes
    assert frame.loc["b"].tolist() == [2, 4, 2, 1, 3]
    assert frame.loc["a"].tolist() == [1, 0, 0, 0, 0]
    shares = organisation.times_a_case(frame["handovers"])
    assert shares.to_numpy().tolist() == [[0, 2, 2 / 3], [4, 1, 1 / 3]]


def test_a_case_without_teams_is_unknown_not_nought() -> None:
    log = log_of([("a", [("x", 0, None, None)]), ("b", [("x", 0, None, "T")])])
    frame = organisation.team_changes(log)
    assert frame["handovers"].isna().tolist() == [True, False]
    assert organisation.times_a_case(frame["handovers"])["cases"].tolist() == [1]


@quick
@given(cases=case_lists, timed=st.booleans())
def test_ping_pongs_are_those_of_counting(cases: list[list[naive.Event]], *, timed: bool) -> None:
    desk = ordered(cases, timed=timed)
    frame = organisation.ping_pongs(log_of(desk), least_people=1)
    known = naive.bounces(desk)
    rows = frame.to_dict("records")
    assert {(row["team"], row["other"]) for row in rows} == set(known)
    for row in rows:
        listed = known[row["team"], row["other"]]
        assert (row["n"], row["cases"]) == (len(listed), len({case for case, _ in listed}))
        held = sorted(time for _, time in listed if time is not None)
        median = None if pd.isna(row["median_held_us"]) else row["median_held_us"]
        assert median == naive.quantile(held, 50)
    keys = [(-row["n"], row["team"], row["other"]) for row in rows]
    assert keys == sorted(keys)


def test_small_teams_bounce_under_one_name() -> None:
    events: list[naive.Event] = [
        ("a", i * HOUR, who, team) for i, (who, team) in enumerate([("x", "A"), ("y", "B")] * 2)
    ]
    frame = organisation.ping_pongs(log_of([("c", events)]))
    assert frame[["team", "other", "n"]].to_numpy(object).tolist() == [
        ["teams under 5 people", "teams under 5 people", 2]
    ]


# --- whole logs -------------------------------------------------------------------------------


def test_empty_and_untimed_logs_have_answers() -> None:
    untimed = log_of([("a", [("x", None, None, "A"), ("x", None, None, "B")] * 2)])
    for log in (log_of([]), log_of([("a", [])]), untimed):
        found = organisation.network(log)
        assert len(found.edges) == (2 if log is untimed else 0)
        assert len(organisation.team_changes(log)) == log.n_cases
        assert len(organisation.ping_pongs(log)) == (2 if log is untimed else 0)
    assert organisation.ping_pongs(untimed)["median_held_us"].isna().all()
    assert organisation.network(untimed).edges["median_us"].isna().all()


def test_the_planted_passing_around_is_found_and_nothing_else() -> None:
    """INC004 is broken by more than three changes of team; the simulation knows whose."""
    desk = simulate(Request(seed=11, tickets=600))
    log = EventLog.build(desk.events.drop_columns(["practice"]), meta=LogMeta("simulated"))
    frame = organisation.team_changes(log)
    truth = desk.truth.to_pandas()
    planted = set(truth[truth["rule"] == "INC004"]["case_id"])
    incidents = frame[frame["case_id"].str.startswith("INC")]
    assert planted == set(incidents[incidents["handovers"] > 3]["case_id"])
    assert planted


@pytest.mark.skipif(not UCI.exists(), reason=f"{UCI.name} is not there")
def test_uci_incidents_as_counted() -> None:
    log = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow"), timezone="UTC"))
    cases = cases_of(log)
    frame = organisation.team_changes(log)
    want = pd.DataFrame([naive.team_changes(case) for case in cases])
    for name in want.columns:
        np.testing.assert_array_equal(
            frame[name].to_numpy(np.float64, na_value=np.nan), want[name].to_numpy(np.float64)
        )
    bounces = naive.bounces(cases)
    found = organisation.ping_pongs(log, least_people=0)
    assert found["n"].sum() == sum(map(len, bounces.values())) == frame["ping_pongs"].sum()
