"""Does the simulator of cycles follow the laws that it states? Each against its closed form.

Bounds are five standard errors of the closed form, so a wrong law fails and chance does not.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from properties.simulated_cycles import (
    AGREEMENT,
    ANSWERED,
    ASKED,
    CANCELLED,
    CATEGORY_HOURS,
    LONG_SHARE,
    LONG_WAIT,
    MET,
    MONDAY_US,
    NOTHING,
    PRIORITY_SHARE,
    PRIORITY_SPEED,
    REOPENED,
    SCORE,
    US_PER_WEEK,
    WEEKDAY_SPEED,
    WEEKDAY_VOLUME,
    Cycle,
    Planted,
    Tickets,
    World,
    persistent,
)
from scipy.optimize import brentq
from scipy.stats import norm

from csi.kpi import load_kpis, sampled
from csi.kpi_kinds import Durations
from csi.statistics import censored_quantile
from process_mining import schema as s

SEED = (20_261_201,)
STILL = World(
    per_week=4_000,
    teams=(1.0,),
    week_sd=0.0,
    team_week_sd=0.0,
    shock=0.0,
    team_shock=0.0,
    volume_shape=1e9,
)
WEEKS = 20


def tickets(world: World, planted: Planted | None = None, weeks: int = WEEKS) -> Tickets:
    """Tickets of the baseline, or of what follows it where something is planted."""
    cycle = Cycle(world, planted or NOTHING, weeks, SEED)
    return cycle.tickets() if planted is None else cycle.tickets(weeks)


def week_of(found: Tickets) -> np.ndarray:
    return (found.opened_us - MONDAY_US) // US_PER_WEEK


def shares_of_category(world: World, weeks: int = WEEKS) -> np.ndarray:
    return world.mix_in(np.arange(weeks)).mean(axis=0)


def waiting_at_most(hours: float, world: World, categories: np.ndarray) -> float:
    """P(T <= hours) of tickets of a mix, on a desk without shocks."""
    total = 0.0
    for share, own in zip(categories, CATEGORY_HOURS, strict=True):
        for among, speed in zip(PRIORITY_SHARE, PRIORITY_SPEED, strict=True):
            for day, slow in zip(WEEKDAY_VOLUME / WEEKDAY_VOLUME.sum(), WEEKDAY_SPEED, strict=True):
                z = np.log(hours / (own * speed * slow))
                below = norm.cdf(z)
                if world.heavy:
                    long = norm.cdf((z - np.log(LONG_WAIT)) / 1.4)
                    below = (1 - LONG_SHARE) * norm.cdf(z / 0.8) + LONG_SHARE * long
                total += share * among * day * below
    return float(total)


@pytest.mark.parametrize("heavy", [False, True])
def test_times_follow_their_mixture_of_laws(heavy: bool) -> None:  # noqa: FBT001
    world = replace(STILL, heavy=heavy)
    found = tickets(world)
    hours = found.hours[~found.cancelled]
    for at in (0.5, 3.0, 9.0, 30.0, 100.0, 500.0):
        p = waiting_at_most(at, world, shares_of_category(world))
        assert abs(np.mean(hours <= at) - p) < 5 * np.sqrt(p * (1 - p) / len(hours)), at


def test_a_raw_median_moves_with_the_mix_alone() -> None:
    medians = []
    for week in (0, STILL.span):
        mix = STILL.mix_in(np.array([week]))[0]
        medians.append(brentq(lambda h, m=mix: waiting_at_most(h, STILL, m) - 0.5, 0.1, 100))
    assert medians[1] / medians[0] > 1.4
    found = tickets(replace(STILL, span=1), weeks=3)  # the mix of the end from week 1 on
    for part, expected in ((week_of(found) == 0, medians[0]), (week_of(found) > 0, medians[1])):
        seen = float(np.median(found.hours[part & ~found.cancelled]))
        assert seen == pytest.approx(expected, rel=0.1)
    assert np.mean(found.cancelled) == pytest.approx(CANCELLED, abs=0.01)


def test_volumes_have_their_means_weekdays_and_spread() -> None:
    world = World(per_week=50, volume_shape=10, teams=(1.0, 2.0), others=(1.0,))
    weeks = 390
    found = tickets(world, weeks=weeks)
    by_week = np.bincount(week_of(found), minlength=weeks)
    variance = 150 + 150**2 / 10  # Poisson, mixed over a gamma law
    assert abs(by_week.mean() - 150) < 5 * np.sqrt(variance / weeks)
    assert by_week.var() == pytest.approx(variance, rel=0.5)
    days = np.bincount((found.opened_us - MONDAY_US) // s.US_PER_DAY % 7) / len(found.hours)
    assert days == pytest.approx(WEEKDAY_VOLUME / WEEKDAY_VOLUME.sum(), abs=0.01)
    assert np.bincount(found.team) / len(found.team) == pytest.approx([1 / 3] * 3, abs=0.01)


def test_work_moves_from_quick_teams_to_slow_ones() -> None:
    world = replace(World(), team_drift=0.5, per_week=100)
    first, last = world.volumes(np.array([0, world.span]))
    assert first == pytest.approx([150, 100 * (1 + 0.5 / 3), 100 * (1 - 0.5 / 3), 50])
    assert last == pytest.approx(first[::-1])
    assert first.sum() == pytest.approx(last.sum())


def test_shocks_have_their_variance_between_weeks() -> None:
    weeks, world = 390, replace(STILL, per_week=1_000, teams=(1.0, 1.0), shock=0.05, team_shock=0.1)
    world = replace(world, mix=((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    found = tickets(world, weeks=weeks)
    n = np.bincount(week_of(found))
    share = np.bincount(week_of(found), found.met) / n
    chance = MET[0] * (1 - MET[0])
    expected = 0.05**2 / 3 + 0.1**2 / 3 / 2 + chance / n.mean()
    assert share.var() == pytest.approx(expected, rel=0.25)
    world = replace(world, shock=0.0, team_shock=0.0, week_sd=0.2, team_week_sd=0.3)
    found = tickets(world, weeks=weeks)
    cell = week_of(found) * 2 + found.team
    means = np.bincount(cell, np.log(found.hours)) / np.bincount(cell)
    means = means.reshape(weeks, 2)
    assert np.cov(means.T)[0, 1] == pytest.approx(0.2**2, rel=0.35)
    assert means.var() == pytest.approx(0.2**2 + 0.3**2 + np.log(found.hours).var() / 1000, rel=0.2)


def test_neighbouring_shocks_are_correlated_as_stated() -> None:
    shocks = persistent(np.random.default_rng(SEED).standard_normal(200_000), 0.6)
    assert shocks.var() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(shocks[:-2], shocks[2:])[0, 1] == pytest.approx(0.36, abs=0.02)
    assert np.corrcoef(shocks[:-1], shocks[1:])[0, 1] == pytest.approx(0.6, abs=0.02)


def test_scores_follow_the_beta_binomial_law() -> None:
    found = tickets(replace(STILL, mix=((1.0, 0.0, 0.0), (1.0, 0.0, 0.0))))
    mean, alike = SCORE[0], 1 / (AGREEMENT + 1)
    variance = 4 * mean * (1 - mean) * (1 + 3 * alike)
    n = len(found.score)
    assert abs(found.score.mean() - (1 + 4 * mean)) < 5 * np.sqrt(variance / n)
    assert found.score.var() == pytest.approx(variance, rel=0.03)
    assert set(found.score) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_a_planted_change_of_times_multiplies_those_of_touched_teams_alone() -> None:
    world = World(teams=(1.0, 1.5), others=(0.8, 1.2))
    as_it_was, planted = tickets(world, NOTHING), tickets(world, Planted(times=-0.25))
    touched = as_it_was.team < 2
    assert (as_it_was.opened_us == planted.opened_us).all()
    assert planted.hours[touched] == pytest.approx(0.75 * as_it_was.hours[touched])
    assert (planted.hours[~touched] == as_it_was.hours[~touched]).all()
    both = tickets(replace(world, common=Planted(times=0.2)), Planted(times=-0.25))
    assert both.hours[touched] == pytest.approx(0.9 * as_it_was.hours[touched])
    assert both.hours[~touched] == pytest.approx(1.2 * as_it_was.hours[~touched])


def test_planted_differences_of_chances_and_points_are_exact() -> None:
    planted = Planted(met=0.1, reopened=0.06, score=-0.4)
    as_it_was, now = tickets(STILL, NOTHING), tickets(STILL, planted)
    n = len(now.met)
    for name in ("met", "reopened"):
        # the same uniform draws: who changes, changes with the planted chance
        less, more = getattr(as_it_was, name), getattr(now, name)
        assert not np.any(less & ~more), name
        p = getattr(planted, name)
        assert abs(np.mean(more & ~less) - p) < 5 * np.sqrt(p * (1 - p) / n), name
    assert now.score.mean() - as_it_was.score.mean() == pytest.approx(-0.4, abs=5 * 1.6 / n**0.5)
    base = float(REOPENED @ STILL.mix_in(np.array([STILL.span]))[0])
    assert np.mean(as_it_was.reopened) == pytest.approx(base, abs=0.02)


def test_a_trend_runs_through_both_windows() -> None:
    slope, flat = 0.01, tickets(STILL, NOTHING)
    steep = tickets(replace(STILL, trend=slope, trend_of_met=-0.002), NOTHING)
    assert steep.hours == pytest.approx(flat.hours * np.exp(slope * week_of(flat)))
    week = week_of(flat) - WEEKS
    fewer = np.bincount(week, flat.met & ~steep.met) / np.bincount(week)
    assert fewer == pytest.approx(0.002 * np.arange(WEEKS, 2 * WEEKS), abs=0.03)


def test_a_chance_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="chances of met"):
        tickets(STILL, Planted(met=0.5))


def test_the_baseline_does_not_hang_on_what_comes_later() -> None:
    cycle = Cycle(World(), Planted(times=-0.5), 8, SEED)
    alone, later = cycle.baseline().cases, cycle.both(12).cases
    known = later[later["opened_us"] < cycle.end_us()]
    assert len(known) == len(alone) > 300
    for name in ("case_id", "priority", "category", "team", "opened_us"):
        assert (known[name] == alone[name]).all(), name
    assert later["opened_us"].max() < cycle.end_us(12)
    assert alone["case_id"].tolist() == cycle.baseline().cases["case_id"].tolist()
    other = replace(cycle, seed=(*SEED, 1)).baseline().cases
    assert len(other) != len(alone) or (other["opened_us"] != alone["opened_us"]).any()


def test_what_comes_after_the_end_of_the_log_is_not_known() -> None:
    world = replace(STILL, per_week=300, heavy=True)
    cycle = Cycle(world, NOTHING, 10, SEED)
    evidence, drawn = cycle.baseline(), cycle.tickets()
    end = cycle.as_of_us()
    for name in ("resolved_us", "closed_us", "reopened_us"):
        assert evidence.cases[name].max() <= end, name
    late = drawn.resolved_us > end
    assert 0.005 < late.mean() < 0.2
    assert (evidence.cases["closed_us"].isna() == late).all()
    assert evidence.clocks is not None
    assert (evidence.clocks["status"] == "running").sum() == (late | drawn.cancelled).sum()
    assert evidence.surveys is not None
    assert evidence.surveys["answered_at"].max() <= end
    early = drawn.opened_us < cycle.end_us() - 3 * US_PER_WEEK
    asked = evidence.surveys["ticket"].isin(evidence.cases["case_id"][early & ~late])
    share = asked.sum() / (early & ~late & ~drawn.cancelled).sum()
    assert share == pytest.approx(ASKED, abs=0.05)
    answers = evidence.surveys[asked]
    assert answers["score"].notna().mean() == pytest.approx(ANSWERED, abs=0.05)


def test_open_tickets_are_censored_and_closed_ones_alone_mislead() -> None:
    """Kaplan-Meier finds the median of the law though a third is open; the closed ones do not."""
    world = replace(STILL, mix=((0.2, 0.2, 0.6), (0.2, 0.2, 0.6)), follow=0)
    cycle = Cycle(world, NOTHING, 1, SEED)
    evidence, kpi = cycle.baseline(), load_kpis()["KPI01"]
    window = Window(MONDAY_US, cycle.end_us())
    found = sampled(kpi, evidence, window)
    assert isinstance(found, Durations)
    assert 0.1 < found.censored.mean() < 0.4
    law = brentq(lambda h: waiting_at_most(h, world, np.array([0.2, 0.2, 0.6])) - 0.5, 0.1, 100)
    assert censored_quantile(found.hours, found.censored).value == pytest.approx(law, rel=0.1)
    assert np.median(found.hours[~found.censored]) < 0.93 * law


def test_tickets_that_are_put_together_keep_every_column() -> None:
    one = tickets(World(), weeks=2)
    both = Tickets.join([one, one])
    for name in (part.name for part in fields(Tickets)):
        column = getattr(both, name)
        assert len(column) == 2 * len(one.hours)
        assert (column[: len(one.hours)] == getattr(one, name)).all()


class Window:
    """A half-open window."""

    def __init__(self, start_us: int, end_us: int) -> None:
        self.start_us, self.end_us = start_us, end_us
