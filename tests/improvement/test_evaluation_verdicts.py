"""What came of an improvement: by the frozen plan, on desks of which the truth is planted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from improvement.evaluated_desks import (
    EVERY,
    Law,
    Laws,
    Weeks,
    changed,
    evidence,
    known_until,
    question,
    steady,
    whole,
)

from csi.evaluation import (
    Design,
    EvaluationPlan,
    GuardrailStatus,
    Judged,
    Question,
    judge_question,
    plan,
)
from csi.evaluation.judging import UNASKED
from csi.evidence import Evidence, Scope
from csi.statistics import Outcome

BEFORE, AFTER = Weeks(0, 16), Weeks(16, 28)
OURS, OTHERS = Scope(team=("alpha",)), Scope(team=("beta",))
NOBODY = Scope(team=("nobody",))
LAW = Law(tickets=60)


def judged(
    asked: Question,
    cases: Evidence,
    before: Weeks = BEFORE,
    after: Weeks = AFTER,
    by: EvaluationPlan | None = None,
) -> Judged:
    first, second = whole(cases, before), whole(cases, after)
    return judge_question(asked, by or plan(asked, first), baseline=first, current=second)


@cache
def desk(seed: int = 1, shock: float = 0.05, **after: float) -> Evidence:
    return evidence(changed(16, LAW, **after), 28, seed=seed, shock=shock)


# --- guardrails and the whole

PRIMARY = {
    Outcome.IMPROVED: (0.4, 0.1),
    Outcome.WORSE: (2.5, 0.1),
    Outcome.NO_EFFECT: (1.0, 0.6),
    Outcome.INCONCLUSIVE: (1.0, 0.005),
}
GUARD = {
    GuardrailStatus.HELD: (0.1, 0.12),
    GuardrailStatus.BREACHED: (0.5, 0.12),
    GuardrailStatus.NOT_TOLD: (0.1, 0.0005),
}


@pytest.mark.parametrize(("primary", "guard"), list(product(PRIMARY, GUARD)))
def test_every_combination_of_metric_and_guardrail(
    primary: Outcome, guard: GuardrailStatus
) -> None:
    factor, minimum = PRIMARY[primary]
    reopened, margin = GUARD[guard]
    asked = question(minimum=minimum, guardrails=[("KPI05", margin)])
    before_after = replace(
        plan(asked, whole(desk(), BEFORE)), design=Design.BEFORE_AFTER, why="given"
    )
    found = judged(asked, desk(hours=LAW.hours * factor, reopened=reopened), by=before_after)
    assert found.primary.verdict is primary
    assert found.guardrails[0].status is guard
    if guard is GuardrailStatus.BREACHED:
        assert found.verdict is Outcome.GUARDRAIL
        assert "was breached" in found.sentence
    elif guard is GuardrailStatus.NOT_TOLD and primary is Outcome.IMPROVED:
        assert found.verdict is Outcome.INCONCLUSIVE
        assert "KPI05" in found.sentence
        assert "harm of 0.1 percentage points is not ruled out" in found.sentence
        assert "not proven" in found.sentence
    else:
        assert found.verdict is primary
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_breach_among_guardrails_that_held_is_a_breach() -> None:
    asked = question(guardrails=[("KPI05", 0.12), ("KPI03", 0.15), ("KPI09", 2.0)])
    found = judged(asked, desk(hours=3.0, met=0.3))
    assert [one.status.value for one in found.guardrails] == ["held", "breached", "held"]
    assert found.verdict is Outcome.GUARDRAIL


def test_which_way_is_harm() -> None:
    """More met than before is no breach, fewer reopened neither; times may shrink."""
    asked = question("KPI06", minimum=0.5, guardrails=[("KPI03", 0.1), ("KPI05", 0.1)])
    found = judged(asked, desk(met=1.0, reopened=0.0))
    assert [one.status.value for one in found.guardrails] == ["held", "held"]
    assert [math.copysign(1, one.comparison.effect or 0) for one in found.guardrails] == [1, -1]
    quicker = judged(question("KPI06", guardrails=[("KPI01", 0.2)]), desk(hours=3.0))
    assert quicker.guardrails[0].status is GuardrailStatus.HELD
    slower = judged(question("KPI06", guardrails=[("KPI01", 0.2)]), desk(hours=16.0))
    assert slower.guardrails[0].status is GuardrailStatus.BREACHED


def test_a_guardrail_that_never_varied_held() -> None:
    """No ticket was reopened before or after: Newcombe's limits rule three points out."""
    asked = question(guardrails=[("KPI05", 0.03)])
    cases = evidence(changed(16, replace(LAW, reopened=0.0), hours=3.0), 28, shock=0.05)
    for design in (Design.BEFORE_AFTER, Design.INTERRUPTED):
        given = replace(plan(asked, whole(cases, BEFORE)), design=design)
        found = judged(asked, cases, by=given)
        assert found.guardrails[0].status is GuardrailStatus.HELD
        assert found.guardrails[0].comparison.effect == 0.0
        assert found.verdict is Outcome.IMPROVED


def test_a_few_weeks_breach_nothing() -> None:
    """Four weeks after, each much worse: the rule asks for six."""
    asked = question(guardrails=[("KPI05", 0.1)])
    found = judged(asked, desk(hours=3.0, reopened=0.6), after=Weeks(16, 20))
    guard = found.guardrails[0]
    assert guard.comparison.low is not None
    assert guard.comparison.low > 0
    assert guard.status is GuardrailStatus.NOT_TOLD
    assert found.verdict is Outcome.INCONCLUSIVE


def test_a_guardrail_that_is_better_but_vague_is_not_told() -> None:
    """Times fell by half or so; harm of two percent is ruled out, but the interval is wide."""
    found = judged(question("KPI06", guardrails=[("KPI01", 0.02)]), desk(hours=4.0, shock=0.3))
    guard = found.guardrails[0]
    assert guard.comparison.high is not None
    assert guard.comparison.high < 0.0
    assert guard.status is GuardrailStatus.NOT_TOLD
    assert "its interval is wider than 2.0 % to either side" in guard.sentence


def test_a_guardrail_without_data_says_why() -> None:
    cases = replace(desk(hours=3.0), surveys=None)
    found = judged(question(guardrails=[("KPI06", 0.2)]), cases)
    assert found.primary.verdict is Outcome.IMPROVED
    assert found.guardrails[0].status is GuardrailStatus.NOT_TOLD
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "cannot be told: no surveys were given." in found.sentence


# --- further metrics


def holm(p_values: list[float]) -> list[float]:
    """Holm's corrected p-values by his own words: the smallest times m, the next times m - 1."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def test_further_metrics_are_corrected_among_themselves() -> None:
    asked = question(minimum=0.02, also=["KPI03", "KPI05", "KPI06", "KPI02", "KPI11"])
    found = judged(asked, desk(hours=3.0, met=0.95))
    assert found.primary.verdict is Outcome.IMPROVED
    p_values = [1.0 if (p := one.comparison.p_value) is None else p for one in found.also]
    assert [one.adjusted_p for one in found.also] == pytest.approx(holm(p_values))
    by_code = {one.kpi.code: one for one in found.also}
    assert by_code["KPI03"].verdict == by_code["KPI02"].verdict == "improved"
    # the log holds no problem: nothing is claimed of it, and it counts in the correction
    assert by_code["KPI11"].adjusted_p == 1.0
    assert by_code["KPI11"].verdict == "inconclusive"


def test_what_the_correction_does_not_carry_is_no_claim() -> None:
    """One metric of p between 0.01 and 0.05: claimed alone, not beside four others."""
    for seed in range(1, 20):
        cases = desk(seed, hours=3.0, met=0.87)
        alone = judged(question(minimum=0.02, also=["KPI03"]), cases)
        p = alone.also[0].comparison.p_value
        if p is not None and 0.0125 < p < 0.05:
            break
    assert alone.also[0].verdict == "improved"
    five = judged(question(minimum=0.02, also=["KPI03", "KPI05", "KPI06", "KPI11"]), cases)
    assert five.also[0].comparison == alone.also[0].comparison
    assert five.also[0].verdict == "inconclusive"
    assert five.also[0].adjusted_p is not None
    assert five.also[0].adjusted_p > 0.05


@pytest.mark.parametrize("minimum", [0.6, 0.005])
def test_where_the_metric_claims_nothing_the_others_are_not_asked(minimum: float) -> None:
    """Far more are met, but the median stayed: nothing is claimed of the share."""
    asked = question(minimum=minimum, also=["KPI03", "KPI05"])
    given = replace(plan(asked, whole(desk(), BEFORE)), design=Design.BEFORE_AFTER)
    found = judged(asked, desk(met=0.99), by=given)
    assert found.primary.verdict not in (Outcome.IMPROVED, Outcome.WORSE)
    assert [(one.verdict, one.adjusted_p) for one in found.also] == [(UNASKED, None)] * 2
    # neither is it "no effect": the minimum of times is not that of shares
    assert found.also[0].comparison.verdict is Outcome.IMPROVED
    assert found.to_dict()["also"]["KPI03"]["claim"] == UNASKED


def test_a_worse_metric_lets_the_others_be_asked() -> None:
    found = judged(question(also=["KPI03"]), desk(hours=30.0, met=0.3))
    assert found.primary.verdict is Outcome.WORSE
    assert found.also[0].verdict == "worse"


# --- by the design


def test_the_baseline_is_weighted_to_the_current_mix() -> None:
    """Far more hard tickets now, each kind as quick as ever: raw medians rise, nothing is worse."""
    cases = evidence(changed(16, Law(200, hard=0.2), hard=0.75), 28, shock=0.02)
    asked = question(minimum=0.15)
    given = replace(plan(asked, whole(cases, BEFORE)), design=Design.BEFORE_AFTER)
    found = judged(asked, cases, by=given)
    raw = (found.primary.current.value or 0) / (found.primary.baseline.value or 1) - 1
    assert raw > 0.3
    assert found.verdict is Outcome.NO_EFFECT


def test_a_series_is_weighted_to_the_current_mix_too() -> None:
    """The same, by a series: weeks before are weighted as those after, so there is no step."""
    cases = evidence(changed(16, Law(200, hard=0.2), hard=0.75), 28, shock=0.02)
    asked = question(minimum=0.15)
    given = replace(plan(asked, whole(cases, BEFORE)), design=Design.INTERRUPTED)
    found = judged(asked, cases, by=given)
    assert "interrupted time series" in found.primary.method
    assert found.primary.high is not None
    assert found.primary.high < 0.2
    assert found.verdict in (Outcome.NO_EFFECT, Outcome.INCONCLUSIVE)


def trending(a_week: float, step: float = 1.0) -> Laws:
    return lambda w: Law(60, hours=8 * math.exp(a_week * w) * (step if w >= 16 else 1.0))


def test_a_trend_that_goes_on_is_not_claimed() -> None:
    """Five percent slower each week, before and after; by a series nothing happened."""
    cases = evidence(trending(0.05), 28, shock=0.05)
    found = judged(question(minimum=0.3), cases)
    assert found.design is Design.INTERRUPTED
    assert found.verdict is Outcome.NO_EFFECT
    assert "interrupted time series of 28 weeks (16 before)" in found.primary.method
    naive = replace(plan(question(), whole(cases, BEFORE)), design=Design.BEFORE_AFTER)
    assert judged(question(minimum=0.3), cases, by=naive).verdict is Outcome.WORSE


def test_a_step_within_a_trend_is_found() -> None:
    found = judged(question(minimum=0.3), evidence(trending(0.05, 0.4), 28, shock=0.05))
    assert found.verdict is Outcome.IMPROVED
    assert found.primary.low is not None
    assert found.primary.high is not None
    assert found.primary.low < -0.6 < found.primary.high


def test_what_hits_both_groups_is_no_effect() -> None:
    asked = question(minimum=0.3, scope=OURS, comparison=OTHERS)
    cases = desk(hours=3.0)
    found = judged(asked, cases)
    assert found.design is Design.DIFFERENCE
    assert found.verdict is Outcome.NO_EFFECT
    assert "difference in differences" in found.primary.method
    assert judged(question(minimum=0.3, scope=OURS), cases).verdict is Outcome.IMPROVED


EIGHT = tuple(f"ours {i}" for i in range(8))
OTHER_EIGHT = tuple(f"theirs {i}" for i in range(8))
BY_TEAM = question(minimum=0.2, scope=Scope(team=EIGHT), comparison=Scope(team=OTHER_EIGHT))


def team_desk(more: str = "") -> pd.DataFrame:
    """Eight teams that were touched and eight that were not; `more` comes in week 18."""
    teams = EIGHT + OTHER_EIGHT

    def laws(week: int) -> Law:
        return Law(64, teams=(more, *teams) if more and week >= 18 else teams)

    found = evidence(laws, 28, shock=0.05)
    cases = found.cases.assign(met=True, score=3)
    late = cases["opened_us"] >= AFTER.start_us
    hours = cases["resolved_us"] - cases["opened_us"]
    touched = cases["team"].isin(EIGHT) & late
    for column in ("resolved_us", "closed_us"):
        cases[column] = cases[column] - (hours * 0.5 * touched).astype("int64")
    return cases


def test_teams_are_drawn_where_the_plan_says_so() -> None:
    cases = team_desk()
    found = judged(BY_TEAM, known_until(cases, AFTER.end_us + 10**12))
    assert "whole teams drawn (8 and 8)" in found.primary.method
    assert found.verdict is Outcome.IMPROVED


def test_teams_are_the_same_teams_in_both_windows() -> None:
    """A team that is new in the current window's log shifts no other one's number."""
    cases = team_desk("a new one")
    log = known_until(cases, AFTER.end_us + 10**12)
    cut = known_until(cases, BEFORE.end_us + 5 * 86_400_000_000)
    assert "a new one" not in set(cut.cases["team"])
    first, second = whole(log, BEFORE), whole(log, AFTER)
    by = plan(BY_TEAM, first)
    assert by.clusters == "team"
    one = judge_question(BY_TEAM, by, baseline=first, current=second)
    two = judge_question(BY_TEAM, by, baseline=whole(cut, BEFORE), current=second)
    assert "whole teams drawn (8 and 8)" in one.primary.method
    assert two.primary == one.primary


@pytest.mark.parametrize("moved", [None, "theirs"])
def test_where_teams_cannot_be_told_apart_any_more_weeks_are_drawn(moved: str | None) -> None:
    """By now a ticket has no team, or its category makes a team stand on both sides."""
    cases = team_desk()
    names = np.where(cases["team"].isin(EIGHT), "network", "account")
    cases = cases.assign(category=names)
    late = cases.index[cases["opened_us"] >= AFTER.start_us]
    first_ours = next(i for i in late if cases["category"][i] == "network")
    cases.loc[first_ours, "team"] = None if moved is None else OTHER_EIGHT[0]
    asked = question(
        minimum=0.2, scope=Scope(category=("network",)), comparison=Scope(category=("account",))
    )
    log = known_until(cases, AFTER.end_us + 10**12)
    by = plan(asked, whole(log, BEFORE))
    assert by.clusters == "team"
    found = judged(asked, log, by=by)
    assert "whole weeks drawn" in found.primary.method
    assert found.verdict is Outcome.IMPROVED


def backlog(hours: float, later: float, tickets: int = 20) -> Evidence:
    law = Law(tickets, hours=hours, spread=0.3, hard=0.0)
    return evidence(changed(24, law, hours=later), 44, shock=0.02)


@pytest.mark.parametrize("tickets", [3, 20])
def test_a_total_is_judged_by_its_weekly_series(tickets: int) -> None:
    """Three tickets a week leave a dozen open: no sample, so no thirty of them are asked for."""
    week = 168.0
    asked = question("KPI10", minimum=0.2, comparison=OTHERS)
    windows = Weeks(5, 24), Weeks(26, 44)
    found = judged(asked, backlog(4 * week, 0.8 * week, tickets), *windows)
    assert found.design is Design.INTERRUPTED
    assert found.primary.unit == "relative change"
    assert "interrupted time series" in found.primary.method
    assert found.verdict is Outcome.IMPROVED
    same = judged(asked, backlog(4 * week, 4 * week, tickets), *windows)
    assert same.verdict in (Outcome.NO_EFFECT, Outcome.INCONCLUSIVE)
    assert same.primary.n_needed is None
    assert "cases" not in same.sentence


def test_a_total_may_be_a_guardrail_of_any_design() -> None:
    cases = backlog(16.0, 8.0)
    asked = question(minimum=0.2, guardrails=[("KPI20", 0.5)], scope=OURS, comparison=OTHERS)
    found = judged(asked, cases, Weeks(5, 24), Weeks(24, 44))
    assert found.design is Design.DIFFERENCE
    assert "interrupted" in found.guardrails[0].comparison.method or (
        "do not vary" in found.guardrails[0].comparison.sentence
    )


# --- what cannot be told

OF_TICKETS = ("KPI01", "KPI02", "KPI03", "KPI05", "KPI06", "KPI09")
CONSTANT = Law(40, hours=8.0, spread=0.0, hard=0.0, met=1.0, reopened=0.0)


AT_ONCE = replace(CONSTANT, hours=0.0001, closing=0.0)


def bare(cases: Evidence) -> Evidence:
    return replace(cases, clocks=None, surveys=None)


@pytest.mark.parametrize(
    ("asked", "cases", "why"),
    [
        (question(scope=NOBODY), desk(), "0 weeks"),
        (question(scope=NOBODY, comparison=OTHERS), desk(), "0 weeks"),
        (question(scope=OURS, comparison=NOBODY), desk(), "0 weeks"),
        (question(), evidence(steady(Law(40, hours=1e6)), 28), "too few cases have ended"),
        (question(), evidence(steady(CONSTANT), 28, shock=0.0), "same whichever weeks"),
        (question("KPI03"), bare(desk()), "no service-level targets were given"),
        (question("KPI06"), bare(desk()), "no surveys were given"),
        (question("KPI11"), desk(), "0 weeks"),
        (question("KPI10"), evidence(steady(AT_ONCE), 28), "do not vary"),
        (question("KPI10", scope=NOBODY), desk(), "do not vary"),
        (question("KPI20"), evidence(steady(CONSTANT), 28), "do not vary"),
        (question("KPI27"), desk(), "0 weeks"),
    ],
)
def test_what_cannot_be_told_is_inconclusive_and_says_why(
    asked: Question, cases: Evidence, why: str
) -> None:
    found = judged(asked, cases)
    assert found.verdict is Outcome.INCONCLUSIVE
    assert why in found.sentence
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("after", [Weeks(16, 17), Weeks(16, 18), Weeks(16, 19)])
@pytest.mark.parametrize("comparison", [None, OTHERS])
def test_a_week_or_two_are_inconclusive(after: Weeks, comparison: Scope | None) -> None:
    asked = question(
        scope=OURS, comparison=comparison, guardrails=[("KPI03", 0.1), ("KPI10", 0.1)],
        also=["KPI06"],
    )  # fmt: skip
    found = judged(asked, desk(hours=2.0, met=0.1), after=after)
    weeks = after.last - after.first
    assert found.verdict is Outcome.INCONCLUSIVE
    assert f"{weeks} weeks, and the rule asks for 6" in found.sentence
    assert [one.status.value for one in found.guardrails] == ["not told"] * 2
    assert found.also[0].verdict == UNASKED
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_series_of_a_few_weeks_is_inconclusive() -> None:
    found = judged(question("KPI10"), backlog(200.0, 100.0), Weeks(5, 24), Weeks(24, 28))
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "4 after are too few" in found.sentence


@pytest.mark.parametrize("code", sorted(EVERY))
def test_every_kpi_is_judged_on_whatever_evidence(code: str) -> None:
    """Metric, guardrails and a further metric; full, bare or empty: a verdict and a reason."""
    cases = evidence(changed(13, Law(tickets=4), hours=2.0), 20)
    asked = question(
        code,
        guardrails=[(one, EVERY[one].margin) for one in EVERY[code].guardrails],
        also=["KPI16"] if code != "KPI16" and "KPI16" not in EVERY[code].guardrails else [],
    )
    empty = replace(cases, cases=cases.cases.iloc[:0])
    for known in (cases, bare(cases), empty)[:: 1 if code < "KPI21" else 2]:
        found = judged(asked, known, Weeks(0, 13), Weeks(13, 20))
        json.dumps(found.to_dict(), allow_nan=False)
        if found.primary.effect is None:
            assert found.verdict is Outcome.INCONCLUSIVE
            assert len(found.sentence) > len("Inconclusive: .")


# --- properties


@pytest.mark.parametrize("code", OF_TICKETS)
def test_identical_windows_have_no_effect(code: str) -> None:
    """Each week of the current window is one of the baseline again."""
    cases = evidence(lambda _: LAW, 16, shock=0.1).cases.assign(met=True, score=3)
    again = cases.copy()
    again["case_id"] = "B" + again["case_id"]
    for column in ("opened_us", "first_response_us", "resolved_us", "closed_us", "reopened_us"):
        again[column] = again[column] + BEFORE.end_us - BEFORE.start_us
    log = known_until(pd.concat([cases, again], ignore_index=True), Weeks(0, 34).end_us)
    asked = question(code, guardrails=[("KPI05" if code != "KPI05" else "KPI03", 0.05)])
    given = replace(plan(asked, whole(log, BEFORE)), design=Design.BEFORE_AFTER)
    found = judged(asked, log, after=Weeks(16, 32), by=given)
    assert found.verdict in (Outcome.NO_EFFECT, Outcome.INCONCLUSIVE)
    assert found.primary.effect == pytest.approx(0.0, abs=1e-9) or (
        "same whichever" in found.sentence
    )


def test_the_unit_of_time_does_not_matter() -> None:
    """All times from opening ten times as short, well within the follow-up."""
    cases = desk(hours=4.0)
    tenth = cases.cases.copy()
    for column in ("resolved_us", "closed_us"):
        tenth[column] = tenth["opened_us"] + (tenth[column] - tenth["opened_us"]) // 10
    one = judged(question(), cases)
    two = judged(question(), replace(cases, cases=tenth))
    assert two.verdict is one.verdict
    assert (two.primary.effect, two.primary.low, two.primary.high) == pytest.approx(
        (one.primary.effect, one.primary.low, one.primary.high), rel=1e-3
    )


def test_the_order_of_tickets_does_not_matter() -> None:
    asked = question(guardrails=[("KPI03", 0.1), ("KPI10", 0.2)], also=["KPI06"])
    cases = desk(hours=4.0)
    turned = replace(cases, cases=cases.cases.sample(frac=1.0, random_state=4))
    assert judged(asked, turned).to_dict() == judged(asked, cases).to_dict()


def test_the_same_again_is_the_same() -> None:
    asked = question(guardrails=[("KPI03", 0.1)], also=["KPI06"])
    one, two = (json.dumps(judged(asked, desk(hours=4.0)).to_dict()) for _ in range(2))
    assert one == two


def test_what_happened_after_the_follow_up_does_not_matter() -> None:
    asked = question(guardrails=[("KPI05", 0.1)])
    cases = desk(hours=40.0)
    until = AFTER.end_us + 5 * 86_400_000_000
    late = (cases.cases["resolved_us"] > until).to_numpy()
    assert late.any()
    moved = cases.cases.copy()
    for column in ("resolved_us", "closed_us"):
        moved[column] = moved[column] + 10**12 * late
    assert judged(asked, replace(cases, cases=moved)).to_dict() == judged(asked, cases).to_dict()


# --- what would settle it


def test_weeks_are_said_only_where_the_window_is_shorter() -> None:
    asked = question(minimum=0.02)
    given = replace(plan(asked, whole(desk(), BEFORE)), design=Design.BEFORE_AFTER)
    found = judged(asked, desk(), by=given)
    assert found.verdict is Outcome.INCONCLUSIVE
    assert found.primary.n_needed is not None
    assert found.weeks_needed is not None
    assert found.weeks_needed == math.ceil(found.primary.n_needed / given.cases_per_week) > 12
    assert f"about {found.weeks_needed:.0f} weeks" in found.sentence
    enough = replace(given, needed_weeks=10, cases_per_week=0.0)
    assert judged(asked, desk(), by=enough).weeks_needed is None


def test_a_claim_needs_no_more_weeks() -> None:
    found = judged(question(), desk(hours=2.0))
    assert (found.verdict, found.weeks_needed) == (Outcome.IMPROVED, None)
