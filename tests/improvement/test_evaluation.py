"""How an improvement will be evaluated: chosen and planned from the baseline alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from improvement.evaluated_desks import (
    EVERY,
    FOLLOW_US,
    Law,
    Laws,
    Weeks,
    changed,
    evidence,
    question,
    steady,
    whole,
)
from scipy.stats import t as student

from csi.evaluation import Design, EvaluationPlan, Question, plan
from csi.evidence import Evidence, Scope

BASELINE = Weeks(0, 16)
OURS, OTHERS = Scope(team=("alpha",)), Scope(team=("beta",))
EIGHT = tuple(f"ours {i}" for i in range(8))
OTHER_EIGHT = tuple(f"theirs {i}" for i in range(8))


def planned(asked: Question, laws: Laws, window: Weeks = BASELINE) -> EvaluationPlan:
    return plan(asked, whole(evidence(laws, window.last), window))


def drifting(a_week: float) -> Laws:
    return lambda week: Law(tickets=80, hours=8.0 * math.exp(a_week * week))


# --- the four rules


@pytest.mark.parametrize("kpi", ["KPI10", "KPI19", "KPI20"])
@pytest.mark.parametrize("comparison", [None, OTHERS])
def test_a_total_is_a_series(kpi: str, comparison: Scope | None) -> None:
    """A backlog, its age, arrivals: there are no tickets to draw, with whatever compared."""
    found = planned(question(kpi, comparison=comparison), steady())
    assert (found.design, found.clusters) == (Design.INTERRUPTED, "week")
    assert "no sample" in found.why


@pytest.mark.parametrize("a_week", [0.0, 0.05])
def test_a_named_comparison_group_makes_differences_of_differences(a_week: float) -> None:
    asked = question(scope=OURS, comparison=OTHERS)
    found = planned(asked, drifting(a_week))
    assert (found.design, found.clusters) == (Design.DIFFERENCE, "week")
    assert "does not touch" in found.why


def test_enough_teams_on_both_sides_are_the_clusters() -> None:
    asked = question(scope=Scope(team=EIGHT), comparison=Scope(team=OTHER_EIGHT))
    laws = steady(Law(tickets=64, teams=EIGHT + OTHER_EIGHT))
    assert planned(asked, laws).clusters == "team"
    seven = steady(Law(tickets=64, teams=EIGHT + OTHER_EIGHT[1:]))
    assert planned(asked, seven).clusters == "week"
    # by category: the same teams on both sides
    shared = question(scope=Scope(category=("network",)), comparison=Scope(category=("account",)))
    assert planned(shared, laws).clusters == "week"


def test_a_ticket_without_a_team_makes_weeks_the_clusters() -> None:
    asked = question(scope=Scope(category=("network",)), comparison=Scope(category=("account",)))
    cases = evidence(steady(Law(tickets=64, teams=EIGHT + OTHER_EIGHT)), 16)
    by_kind = cases.cases.assign(
        team=np.where(
            cases.cases["category"] == "network",
            "n" + cases.cases["team"],
            "a" + cases.cases["team"],
        )
    )
    assert plan(asked, whole(replace(cases, cases=by_kind), BASELINE)).clusters == "team"
    holed = by_kind.assign(team=by_kind["team"].where(by_kind.index != 40, None))
    assert plan(asked, whole(replace(cases, cases=holed), BASELINE)).clusters == "week"


def test_a_baseline_with_a_trend_is_a_series() -> None:
    found = planned(question(), drifting(0.05))
    assert found.design is Design.INTERRUPTED
    assert "trend of its own (p = 0.0" in found.why


def test_a_trend_of_under_twelve_weeks_is_not_looked_for() -> None:
    """Eleven whole weeks, and twelve that begin on a Tuesday: eleven too."""
    found = planned(question(), drifting(0.05), Weeks(0, 11))
    assert found.design is Design.BEFORE_AFTER
    assert "11 whole weeks" in found.why
    assert planned(question(), drifting(0.05), Weeks(0, 12)).design is Design.INTERRUPTED
    day = 86_400_000_000
    cases = evidence(drifting(0.05), 12)

    class Shifted:
        start_us = BASELINE.start_us + day
        end_us = Weeks(0, 12).end_us

    known = replace(whole(cases, Weeks(0, 12)), window=Shifted())
    assert "11 whole weeks" in plan(question(), known).why


def test_a_mix_that_drifts_is_no_trend() -> None:
    """Ever more hard tickets, each kind as quick as ever: weeks are weighted to one mix."""

    def laws(week: int) -> Law:
        return Law(tickets=200, hard=0.2 + 0.04 * week)

    cases = evidence(laws, 16, shock=0.05, seed=3)
    raw = cases.cases.assign(
        hours=(cases.cases["resolved_us"] - cases.cases["opened_us"]) / 3.6e9,
        week=np.arange(len(cases.cases)) // 200,
    )
    medians = raw.groupby("week")["hours"].median()
    assert medians.iloc[-4:].mean() > 1.3 * medians.iloc[:4].mean()
    found = plan(question(), whole(cases, BASELINE))
    assert found.design is Design.BEFORE_AFTER
    assert "shows no trend" in found.why


def test_a_steady_baseline_is_before_and_after() -> None:
    found = planned(question(), steady())
    assert (found.design, found.clusters) == (Design.BEFORE_AFTER, "week")
    assert "no trend" in found.why


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_that_never_varies_has_no_trend(value: float) -> None:
    """All met, or none, in each of sixteen weeks: the noise of the machine is no trend."""
    found = planned(question("KPI03", minimum=0.05), steady(Law(met=value)))
    assert found.design is Design.BEFORE_AFTER
    assert "p = 1.00" in found.why
    assert found.needed_weeks is not None
    assert found.detectable is not None
    assert found.detectable > 0.001


# --- nothing of the current window


@given(seed=st.integers(0, 10**6), weeks=st.integers(0, 12), hours=st.floats(0.5, 60))
@settings(max_examples=8, deadline=None)
def test_nothing_of_the_current_window_matters(seed: int, weeks: int, hours: float) -> None:
    """Other tickets later, and other ends of the same tickets after their follow-up."""
    asked = question(guardrails=[("KPI03", 0.1), ("KPI05", 0.1)], also=["KPI06"])
    first = plan(asked, whole(evidence(steady(), 16), BASELINE))
    later = evidence(changed(16, hours=hours, met=0.1, tickets=13, hard=0.9), 16 + weeks)
    rng = np.random.default_rng(seed)
    cases = later.cases.copy()
    late = (cases["resolved_us"] > BASELINE.end_us + FOLLOW_US).to_numpy()
    more = rng.integers(0, 10**12, len(cases)) * late
    for column in ("resolved_us", "closed_us"):
        cases[column] = cases[column] + more
    assert plan(asked, whole(replace(later, cases=cases), BASELINE)).to_dict() == first.to_dict()


def test_the_order_of_tickets_does_not_matter() -> None:
    asked = question(guardrails=[("KPI03", 0.1)])
    cases = evidence(steady(), 16)
    turned = replace(cases, cases=cases.cases.sample(frac=1.0, random_state=4))
    assert plan(asked, whole(turned, BASELINE)) == plan(asked, whole(cases, BASELINE))


# --- as JSON


@pytest.mark.parametrize(
    ("asked", "laws"),
    [
        (question(), steady()),
        (question(guardrails=[("KPI03", 0.1), ("KPI10", 0.2)]), drifting(0.05)),
        (question("KPI10"), steady()),
        (question(scope=OURS, comparison=OTHERS), steady()),
        (question(scope=Scope(team=("nobody",))), steady()),
        (question(minimum=0.001), steady()),
    ],
)
def test_a_plan_comes_back_from_json(asked: Question, laws: Laws) -> None:
    found = planned(asked, laws)
    text = json.dumps(found.to_dict(), allow_nan=False, sort_keys=True)
    back = EvaluationPlan.from_dict(json.loads(text))
    assert back == found
    assert json.dumps(back.to_dict(), sort_keys=True) == text
    assert back.sentence == found.sentence
    assert back.baseline_window == (BASELINE.start_us, BASELINE.end_us)


def test_the_same_baseline_gives_the_same_plan() -> None:
    one, two = (planned(question(guardrails=[("KPI06", 0.2)]), steady()) for _ in range(2))
    assert json.dumps(one.to_dict()) == json.dumps(two.to_dict())


# --- how long


def test_needed_weeks_are_those_of_the_formula() -> None:
    """(t + t) se sqrt(1 + G / w), se from the weekly shares: 40 tickets each of 16 weeks."""
    cases = evidence(steady(), 16, seed=5)
    found = plan(question("KPI03", minimum=0.1, replicates=4000), whole(cases, BASELINE))
    clocks = cases.clocks
    assert clocks is not None
    met = (clocks["status"] == "met")[clocks["status"] != "running"]
    weekly = met.groupby(clocks["case_id"].str[:4]).mean()
    error = float(weekly.std(ddof=1)) / 4

    def least(weeks: int) -> float:
        freedom = min(16, weeks) - 1
        tails = student.isf(0.025, freedom) + student.ppf(0.9, freedom)
        return error * math.sqrt(1 + 16 / weeks) * float(tails)

    expected = next(w for w in range(6, 105) if least(w) <= 0.1)
    assert found.needed_weeks is not None
    assert found.needed_weeks == pytest.approx(expected, rel=0.25)
    assert found.detectable == pytest.approx(least(16), rel=0.1)
    assert found.cases_per_week == pytest.approx(len(met) / 16)
    assert found.needed_n == math.ceil(found.needed_weeks * found.cases_per_week)


def test_more_tickets_a_week_need_fewer_weeks() -> None:
    weeks = []
    for n in (15, 40, 160):
        cases = evidence(steady(Law(tickets=n)), 16, seed=2)
        found = plan(question("KPI03", minimum=0.08), whole(cases, BASELINE))
        assert found.design is Design.BEFORE_AFTER
        weeks.append(found.needed_weeks or 200)
    few, some, many = weeks
    assert few > some > many == 6


def test_a_larger_minimum_needs_fewer_weeks() -> None:
    weeks = [
        planned(question(minimum=minimum), steady()).needed_weeks
        for minimum in (0.02, 0.18, 0.25, 0.6)
    ]
    assert weeks[0] is None
    least = [one for one in weeks[1:] if one is not None]
    assert len(least) == 3
    assert least == sorted(least, reverse=True)
    assert least[0] > least[-1]


@pytest.mark.parametrize("kpi", ["KPI01", "KPI03", "KPI06"])
@pytest.mark.parametrize("laws", [steady(), drifting(0.05)], ids=["steady", "trend"])
def test_what_is_detectable_and_what_is_needed_agree(kpi: str, laws: Laws) -> None:
    """A little more than is detectable needs at most the baseline's weeks, a little less more."""
    found = planned(question(kpi), laws)
    assert found.detectable is not None
    assert found.detectable * (-1 if EVERY[kpi].better == "lower" else 1) > 0
    more, less = (
        planned(question(kpi, minimum=abs(found.detectable) * factor), laws).needed_weeks
        for factor in (1.001, 0.999)
    )
    assert more is not None
    assert more <= 16
    assert less is None or less > 16


def test_a_guardrail_needs_as_long_as_its_harm_asks_for() -> None:
    """A time grown by a fourth is log(1.25) away, as one that is shorter by a fifth.

    With one guardrail each of the two may be missed half as often.
    """
    guarded = planned(question("KPI03", guardrails=[("KPI01", 0.25)]), steady())
    alone = question(minimum=0.2)
    fifth = planned(replace(alone, rule=replace(alone.rule, power=0.95)), steady()).needed_weeks
    assert fifth is not None
    assert guarded.guardrail_weeks == {"KPI01": fifth}
    smaller = planned(question("KPI03", guardrails=[("KPI01", 0.24)]), steady())
    assert (smaller.guardrail_weeks["KPI01"] or 200) > fifth


def test_guardrails_have_to_be_told_too() -> None:
    alone = planned(question(minimum=0.4), steady())
    both = planned(question(minimum=0.4, guardrails=[("KPI05", 0.06)]), steady())
    assert alone.needed_weeks is not None
    assert both.guardrail_weeks["KPI05"] is not None
    assert both.needed_weeks == max(alone.needed_weeks, both.guardrail_weeks["KPI05"])
    assert both.needed_weeks > alone.needed_weeks
    never = planned(question(minimum=0.4, guardrails=[("KPI05", 0.0001)]), steady())
    assert (never.needed_weeks, never.needed_n) == (None, None)
    assert "sure to tell guardrail KPI05" in never.sentence
    metric = planned(question(minimum=0.001, guardrails=[("KPI05", 0.2)]), steady())
    assert "sure to find the minimum effect" in metric.sentence


@pytest.mark.parametrize("laws", [steady(Law(reopened=0.0)), drifting(0.05)])
def test_a_guardrail_that_never_varied_can_be_told(laws: Laws) -> None:
    """No ticket was ever reopened: that shows in weeks, not never, and not at once for nothing."""

    def never(week: int) -> Law:
        return replace(laws(week), reopened=0.0)

    found = planned(question(minimum=0.4, guardrails=[("KPI05", 0.03)]), never)
    weeks = found.guardrail_weeks["KPI05"]
    assert weeks is not None
    tight = planned(question(minimum=0.4, guardrails=[("KPI05", 0.0002)]), never)
    assert tight.guardrail_weeks["KPI05"] is None


def test_a_total_has_no_cases_a_week() -> None:
    found = planned(question("KPI10", minimum=0.5), steady(Law(hours=200.0)))
    assert (found.cases_per_week, found.needed_n) == (0.0, None)
    assert found.needed_weeks is not None
    assert "cases" not in found.sentence


# --- what cannot be planned

NOBODY = Scope(team=("nobody",))


def bare(cases: Evidence) -> Evidence:
    return replace(cases, clocks=None, surveys=None)


@pytest.mark.parametrize(
    ("asked", "laws", "window"),
    [
        (question(scope=NOBODY), steady(), BASELINE),
        (question("KPI10", scope=NOBODY), steady(), BASELINE),
        (question(comparison=NOBODY), steady(), BASELINE),
        (question(scope=NOBODY, comparison=NOBODY), steady(), BASELINE),
        (question(guardrails=[("KPI05", 0.1)]), steady(Law(hours=1e5)), BASELINE),
        (question(), steady(Law(hours=8.0, spread=0.0, hard=0.0)), BASELINE),
        (question(), steady(), Weeks(0, 1)),
        (question("KPI10"), steady(), Weeks(0, 1)),
        (question(), lambda week: Law(tickets=40 if week > 20 else 0), BASELINE),
    ],
    ids=[
        "empty scope",
        "empty scope of a total",
        "nobody to compare",
        "nobody at all",
        "all open",
        "constant",
        "one week",
        "one week of a total",
        "no ticket yet",
    ],
)
def test_where_nothing_can_be_foreseen_no_weeks_are_given(
    asked: Question, laws: Laws, window: Weeks
) -> None:
    cases = evidence(laws, 22, shock=0.0)
    found = plan(asked, whole(cases, window))
    assert (found.needed_weeks, found.needed_n, found.detectable) == (None, None, None)
    assert "No length of the current window" in found.sentence
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_metric_that_the_log_cannot_tell_is_no_total() -> None:
    found = plan(question("KPI03"), whole(bare(evidence(steady(), 16)), BASELINE))
    assert found.design is Design.BEFORE_AFTER
    assert "does not tell the metric" in found.why
    assert found.needed_weeks is None


@pytest.mark.parametrize("code", sorted(EVERY))
def test_every_kpi_can_be_planned_on_whatever_evidence(code: str) -> None:
    cases = evidence(steady(Law(tickets=6)), 13)
    asked = question(code, guardrails=[(one, EVERY[one].margin) for one in EVERY[code].guardrails])
    for known in (cases, bare(cases), replace(cases, cases=cases.cases.iloc[:0])):
        found = plan(asked, whole(known, Weeks(0, 13)))
        json.dumps(found.to_dict(), allow_nan=False)
        assert found.sentence
        assert isinstance(found.baseline, dict)
        assert pd.notna(found.cases_per_week)
