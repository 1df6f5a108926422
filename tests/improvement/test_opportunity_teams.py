"""Teams by name: adjusted for mix, small ones kept back, noise not ranked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from improvement.command_line import event_line, write_lines
from improvement.opportunity_desk import START, WINDOW

from csi.audit import AuditRequest, audit
from csi.opportunities.funnel import INNER, OUTER, Funnel, Point, funnel_of
from csi.opportunities.funnel_picture import draw_funnel
from csi.opportunities.standardised import DeskTimes
from csi.opportunities.team_view import team_view
from csi.opportunities.tickets import tickets_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from csi.audit import Audit
    from csi.opportunities.team_view import TeamView

    Words = npt.NDArray[np.object_]

SCRIPT = "<script>alert(1)</script>"


# --- standardisation and funnel, on tables


def table(team: Words, category: Words, hours: npt.NDArray[np.float64], seed: int) -> pd.DataFrame:
    rng, n = np.random.default_rng(seed), len(team)
    return pd.DataFrame(
        {
            "practice": "incident",
            "priority": "P3",
            "category": category,
            "team": team,
            "hours": hours,
            "running": rng.random(n) < 0.1,
            "day": rng.integers(60, size=n),
        }
    )


def mixed(seed: int, *, slower: float = 1.0, n: int = 2000) -> pd.DataFrame:
    """Team A has mostly hard tickets, B mostly easy ones; A is slower by a factor beyond that."""
    rng = np.random.default_rng(seed)
    team = rng.choice(["A", "B"], size=n)
    hard = rng.random(n) < np.where(team == "A", 0.8, 0.2)
    hours = np.exp(rng.normal(np.log(np.where(hard, 40, 4)), 0.8)) * np.where(
        team == "A", slower, 1.0
    )
    return table(team.astype(object), np.where(hard, "hard", "easy").astype(object), hours, seed)


def marks(frame: pd.DataFrame, team: str) -> npt.NDArray[np.bool_]:
    return (frame["team"] == team).to_numpy(dtype=bool)


def test_a_harder_mix_is_adjusted_away() -> None:
    frame = mixed(1)
    desk = DeskTimes.of(frame)
    crude = frame.groupby("team")["hours"].median()
    assert crude["A"] > 3 * crude["B"]
    for team in "AB":
        one = desk.standardised(marks(frame, team))
        assert one.low is not None
        assert one.high is not None
        assert one.desk is not None
        assert one.low <= one.desk <= one.high
        assert one.covered == 1.0


def test_a_slower_team_is_seen_whatever_its_mix() -> None:
    frame = mixed(2, slower=2.5)
    one = DeskTimes.of(frame).standardised(marks(frame, "A"))
    assert one.low is not None
    assert one.desk is not None
    assert one.low > one.desk


def test_the_standardised_median_is_that_of_copied_tickets() -> None:
    """Oracle: weights that are whole numbers are copies, and without running tickets it counts."""
    rng = np.random.default_rng(4)
    easy, hard = rng.exponential(4, 30), rng.exponential(40, 10)
    category = np.array(["easy"] * 30 + ["hard"] * 10 + ["easy"] * 30 + ["hard"] * 90, dtype=object)
    team = np.array(["A"] * 40 + ["B"] * 120, dtype=object)
    hours = np.concatenate([easy, hard, rng.exponential(4, 30), rng.exponential(40, 90)])
    frame = table(team, category, hours, 4).assign(running=False)
    one = DeskTimes.of(frame).standardised(marks(frame, "A"))
    # the desk has 60 easy and 100 hard: each easy one of A counts 2, each hard one 10
    copies = np.sort(np.concatenate([np.repeat(easy, 2), np.repeat(hard, 10)]))
    assert one.value == copies[len(copies) // 2 - 1]


def test_intervals_of_equal_teams_hold_the_desk_about_as_often_as_they_say() -> None:
    holds = []
    for seed in range(60):
        frame = mixed(seed, n=600)
        desk = DeskTimes.of(frame)
        one = desk.standardised(marks(frame, "A"))
        assert one.low is not None
        assert one.high is not None
        assert one.desk is not None
        holds.append(one.low <= one.desk <= one.high)
    assert (
        np.mean(holds) >= 0.9
    )  # the desk's value holds the team itself: at least as often as 95 %


def test_a_team_that_has_all_of_a_kind_is_compared_with_itself() -> None:
    category = np.array(["easy"] * 60 + ["own"] * 60, dtype=object)
    team = np.array(["A"] * 60 + ["B"] * 60, dtype=object)
    frame = table(team, category, np.random.default_rng(1).exponential(5, 120), 1)
    one = DeskTimes.of(frame).standardised(marks(frame, "B"))
    assert one.alone == 1.0
    assert one.covered == 0.5
    assert one.value == one.desk


def test_a_team_without_enough_of_any_kind_is_not_told() -> None:
    category = np.array([f"c{i}" for i in range(4)] + ["x"] * 50, dtype=object)
    team = np.array(["A"] * 4 + ["B"] * 50, dtype=object)
    frame = table(team, category, np.random.default_rng(1).exponential(5, 54), 1)
    one = DeskTimes.of(frame).standardised(marks(frame, "A"))
    assert (one.value, one.n) == (None, 0)


def test_funnel_limits_are_those_of_a_share() -> None:
    funnel = Funnel(0.4, 1.0, ())
    low, high = funnel.limits(100, INNER)
    off = 1.959964 * (0.4 * 0.6 / 100) ** 0.5
    assert low == pytest.approx(0.4 - off)
    assert high == pytest.approx(0.4 + off)
    low, high = funnel.limits(100, OUTER)
    assert high - 0.4 == pytest.approx(3.0902323 * (0.4 * 0.6 / 100) ** 0.5)
    wide = Funnel(0.4, 4.0, ())
    assert wide.limits(100, INNER)[1] - 0.4 == pytest.approx(2 * off)
    assert wide.limits(1, INNER) == (0.0, 1.0)
    assert not wide.apart(Point("few tickets", 8, 1.1, 2.0))  # above the cut limit, not the limit


def teams_of(seed: int, teams: int, *, slow: str = "", spread: float = 0.0) -> Funnel:
    rng = np.random.default_rng(seed)
    n = 150 * teams
    team = np.array([f"T{i:02}" for i in rng.integers(teams, size=n)], dtype=object)
    factor = dict(
        zip([f"T{i:02}" for i in range(teams)], np.exp(rng.normal(0, spread, teams)), strict=True)
    )
    times = np.array([factor[one] * (6.0 if one == slow else 1.0) for one in team])
    hours = np.exp(rng.normal(np.log(20), 1, n)) * times
    frame = table(team, np.array(["c"] * n, dtype=object), hours, seed)
    found = funnel_of(DeskTimes.of(frame), {one: marks(frame, one) for one in factor}, least=5)
    assert found is not None
    return found


def test_teams_that_are_alike_hardly_ever_leave_the_funnel() -> None:
    outside = [
        sum(funnel.apart(one) for one in funnel.points)
        for funnel in (teams_of(seed, 20) for seed in range(40))
    ]
    assert sum(outside) <= 8  # of 800 teams; 0.2 % of them would be 1.6


def test_a_team_that_stands_apart_is_found() -> None:
    funnel = teams_of(1, 20, slow="T07")
    assert [one.team for one in funnel.points if funnel.apart(one)] == ["T07"]


def test_where_all_teams_differ_the_limits_are_widened() -> None:
    funnel = teams_of(3, 20, spread=0.6)
    assert funnel.phi > 2
    assert sum(funnel.apart(one) for one in funnel.points) <= 2
    assert teams_of(3, 20).phi == 1.0


def test_few_teams_have_no_over_dispersion() -> None:
    assert teams_of(3, 4, spread=2.0).phi == 1.0


def test_the_picture_is_inert_names_those_apart_alone_and_describes_all() -> None:
    funnel = Funnel(0.5, 1.0, (Point("calm", 100, 0.52, 0.4), Point(SCRIPT, 400, 0.9, 16.0)))
    drawn = draw_funnel(funnel)
    root = ET.fromstring(drawn)  # noqa: S314 - our own drawing
    assert "<script" not in drawn
    space = "{http://www.w3.org/2000/svg}"
    texts = [one.text or "" for one in root.iter(f"{space}text")]
    assert SCRIPT in texts
    assert "calm" not in texts
    told = root.find(f"{space}desc")
    assert told is not None
    assert "calm: 52.0 % of 100" in (told.text or "")
    assert len(list(root.iter(f"{space}circle"))) == 2
    assert draw_funnel(funnel) == drawn


def test_one_team_can_be_drawn() -> None:
    drawn = draw_funnel(Funnel(0.5, 1.0, (Point("only", 7, 0.0, -2.0),)))
    assert "nan" not in drawn
    assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - our own drawing


# --- the view, from a log


def desk_lines() -> Iterator[str]:
    """First hands half of its tickets to Second; Pair has two people, Few has three tickets."""
    rng = np.random.default_rng(1)
    for i in range(240):
        base = START + pd.Timedelta(hours=int(i * 4))
        pair, few = i % 12 == 5, i in {20, 40, 60}
        last = "Pair" if pair else "Few" if few else "Second" if i % 2 else "First"
        people = 2 if pair else 7
        steps = [("Register", "First"), ("Classify", "First"), ("Diagnose", last)]
        steps += [] if i % 40 == 7 else [("Resolve", last), ("Close", "First")]  # some stay open
        pace = float(rng.uniform(0.5, 1.5))
        for j, (step, team) in enumerate(steps):
            at = base + pd.Timedelta(hours=j * pace)
            who = f"{team} {(i // 20 * 2 + j) % people if team == last else i % 7}"
            yield event_line(f"INC{i:04}", step, at.isoformat(), seq=j, actor=who, team=team)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("teams")
    found: Audit = audit(AuditRequest((write_lines(folder / "events.ndjson", desk_lines()),)))
    return found


@pytest.fixture(scope="module")
def view(done: Audit) -> TeamView:
    return team_view(done, WINDOW, tickets_of(done, WINDOW))


def test_teams_stand_by_name_and_small_ones_are_kept_back(view: TeamView) -> None:
    assert list(view.frame["team"]) == ["First", "Second"]
    assert (view.few_people, view.few_tickets) == (1, 1)
    everything = f"{view.frame.to_csv()} {view.picture} {view.sentences}"
    assert not re.search(r"Pair|Few|p-[0-9a-f]{8}", everything)
    assert "1 team of fewer than 5 known people: not shown." in view.sentences
    assert "1 team of fewer than 5 tickets: not shown." in view.sentences


def test_figures_of_a_team_are_those_counted_by_hand(view: TeamView) -> None:
    row = view.frame.set_index("team")
    numbers = range(240)
    last = {
        i: "Pair" if i % 12 == 5 else "Few" if i in {20, 40, 60} else "Second" if i % 2 else "First"
        for i in numbers
    }
    still = {i for i in numbers if i % 40 == 7}
    mine = [i for i in numbers if last[i] == "Second"]
    assert row.loc["Second", "tickets"] == len(mine)
    assert row.loc["Second", "backlog"] == len([i for i in mine if i in still])
    # every ticket of Second that was closed went back to First; it got all of its tickets from it
    assert row.loc["Second", "handed_on"] == len([i for i in mine if i not in still])
    assert row.loc["First", "handed_on"] == len([i for i in numbers if last[i] != "First"])
    resolved = [i for i in numbers if i not in still]
    first = [i for i in resolved if last[i] == "First"]
    assert row.loc["First", "first_contact"] == pytest.approx(len(first) / len(resolved))
    assert row.loc["First", "first_contact_n"] == len(resolved)
    assert row["first_contact"].isna()["Second"]  # no ticket came to it first
    assert row.loc["Second", "reopened"] == 0


def test_nothing_is_ordered_or_worded_as_a_ranking(view: TeamView) -> None:
    said = " ".join(view.sentences)
    assert "by name; this is no ranking" in said
    assert "do not differ visibly" in said
    assert not re.search(r"\b(best|worst|rank \d|top|bottom)\b", said)
    assert "rank" not in " ".join(view.frame.columns)


def test_a_log_without_teams_has_no_view(tmp_path: Path) -> None:
    lines = [
        event_line(f"INC{i:03}", step, f"2025-01-{6 + i % 20:02}T0{j}:00:00Z", seq=j)
        for i in range(30)
        for j, step in enumerate(("Register", "Classify", "Diagnose", "Resolve", "Close"))
    ]
    done = audit(AuditRequest((write_lines(tmp_path / "events.ndjson", lines),)))
    found = team_view(done, WINDOW, tickets_of(done, WINDOW))
    assert found.frame.empty
    assert found.picture == ""
    assert found.sentences == ("No team can be shown.",)
