"""Do effects of violations say what was planted, and no more?"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from improvement.effect_desks import HOUR_US, MONDAY_US, RULE, WEEK_US, Desk
from scipy.stats import false_discovery_control

from csi.effects import (
    BREACH,
    OUTCOMES,
    REOPENING,
    SATISFACTION,
    TIME,
    Costing,
    Effects,
    Standing,
    effects_of,
    pareto_picture,
)
from csi.evidence import Evidence
from process_mining.errors import CodedError, ManyCodedErrors, RunError
from rules.catalogue import Catalogue, load_catalogue
from rules.spec import Verdict

TRUE = Desk(seed=3, n=1500, times=1.8, odds=2.5, points=-0.8)
TROUBLED = Desk(seed=5, n=1500, trouble=0.9)


class Window:
    """A half-open span of weeks."""

    def __init__(self, first: int, end: int) -> None:
        self.start_us, self.end_us = (MONDAY_US + week * WEEK_US for week in (first, end))


@cache
def book() -> Catalogue:
    return load_catalogue(())


@cache
def found(desk: Desk) -> Effects:
    return effects_of(desk.evidence(), catalogue=book())


def row(effects: Effects, outcome: str, code: str = RULE) -> pd.Series:
    frame = effects.effects
    (one,) = frame[(frame["outcome"] == outcome) & (frame["code"] == code)].to_dict("records")
    return pd.Series(one)


# --- planted truth


@pytest.mark.parametrize(
    ("outcome", "true"), [(TIME, 1.8), (BREACH, 2.5), (REOPENING, 2.5), (SATISFACTION, -0.8)]
)
def test_a_planted_effect_lies_in_its_interval(outcome: str, true: float) -> None:
    one = row(found(TRUE), outcome)
    assert one["low"] <= true <= one["high"]
    assert one["standing"] in {Standing.ASSOCIATION, Standing.NOT_RULED_OUT}
    assert one["alike"] == "priority, category, team, month"
    assert one["of"] == "weeks of opening"


def test_what_hides_in_priority_and_category_is_adjusted_away() -> None:
    evidence = Desk(seed=11, n=3000).evidence()
    violates = evidence.verdicts[RULE] == Verdict.VIOLATES
    hours = (evidence.cases["resolved_us"] - evidence.cases["opened_us"]).astype(float) / HOUR_US
    # the crude medians differ, for hard tickets break the rule more often
    assert hours[violates].median() > 1.15 * hours[~violates].median()
    one = row(effects_of(evidence, catalogue=book()), TIME)
    assert one["standing"] == Standing.NOT_SHOWN
    assert one["low"] < 1 < one["high"]


def test_a_cause_that_tickets_share_is_flagged_and_not_read_as_an_effect() -> None:
    for outcome in (TIME, SATISFACTION):
        one = row(found(TROUBLED), outcome)
        assert not one["low"] <= (0 if outcome == SATISFACTION else 1) <= one["high"]
        assert one["standing"] == Standing.SHARED_CAUSE
        assert "something else that these tickets share explains at least a part" in one["sentence"]
        assert "Not to be read as an effect." in one["sentence"]


def test_what_is_shared_costs_nothing() -> None:
    (one,) = found(TROUBLED).pareto.to_dict("records")
    assert one["cost"] == 0
    assert one["note"].startswith("costs nothing here: the ticket opened just before differs")
    (true,) = found(TRUE).pareto.to_dict("records")
    assert true["cost"] == pytest.approx(3 * true["time_lost_h"], rel=1e-4)  # medium


# --- what is left out


def test_pairs_by_definition_have_no_figure_and_say_why() -> None:
    evidence = TRUE.evidence()
    late = evidence.verdicts[RULE]
    told = effects_of(
        replace(evidence, verdicts={"SLM002": late, "INC005": late}), catalogue=book()
    )
    for code, outcome in (("SLM002", TIME), ("SLM002", BREACH), ("INC005", REOPENING)):
        one = row(told, outcome, code)
        assert one["standing"] == Standing.BY_DEFINITION
        assert np.isnan(one["value"])
        assert one["sentence"].endswith(f"left out: {one['why']}.")
    assert row(told, SATISFACTION, "SLM002")["standing"] == Standing.ASSOCIATION
    cost = told.pareto.set_index("code")["cost"]
    assert cost.isna().all()


def test_fewer_than_twenty_are_not_estimated_but_counted() -> None:
    evidence = TRUE.evidence()
    verdicts = evidence.verdicts[RULE].copy()
    verdicts[np.flatnonzero(verdicts == Verdict.VIOLATES)[19:]] = Verdict.CONFORMS
    told = effects_of(replace(evidence, verdicts={RULE: verdicts}), catalogue=book())
    assert set(told.effects["standing"]) == {Standing.NOT_ESTIMATED}
    assert told.effects["value"].isna().all()
    (one,) = told.pareto.to_dict("records")
    assert one["violates"] == 19
    assert pd.isna(one["time_lost_h"])
    assert pd.isna(one["cost_rank"])


def test_a_rule_that_nobody_breaks_is_no_row_and_nothing_is_no_error() -> None:
    evidence = TRUE.evidence()
    kept = np.full(len(evidence.cases), Verdict.CONFORMS, dtype=np.int8)
    for verdicts in ({RULE: kept}, {}):
        told = effects_of(replace(evidence, verdicts=verdicts), catalogue=book())
        assert told.effects.empty
        assert told.pareto.empty
        assert told.sentences == ("No rule was violated.",)
        assert pareto_picture(told.pareto).svg.startswith("<svg")


def test_verdicts_of_a_rule_that_the_catalogue_has_not_are_refused() -> None:
    evidence = TRUE.evidence()
    stranger = {"XYZ999": evidence.verdicts[RULE], **evidence.verdicts}
    with pytest.raises(RunError) as caught:
        effects_of(replace(evidence, verdicts=stranger), catalogue=book())
    assert caught.value.code == "ST573"
    assert "XYZ999" in caught.value.what


def test_a_window_without_tickets_is_no_error() -> None:
    told = effects_of(TRUE.evidence(), window=Window(500, 501), catalogue=book())
    assert told.effects.empty


def test_without_clocks_and_surveys_their_outcomes_are_not_estimated() -> None:
    told = effects_of(replace(TRUE.evidence(), clocks=None, surveys=None), catalogue=book())
    for outcome in (BREACH, SATISFACTION):
        assert row(told, outcome)["why"].startswith("0 against 0 tickets")
    assert row(told, TIME)["value"] == row(found(TRUE), TIME)["value"]


def test_what_the_log_cannot_tell_is_not_estimated() -> None:
    evidence = replace(TRUE.evidence(), untold={"incident": frozenset({"reopened"})})
    told = effects_of(evidence, catalogue=book())
    assert row(told, REOPENING)["standing"] == Standing.NOT_ESTIMATED
    assert row(told, TIME)["value"] == row(found(TRUE), TIME)["value"]


def test_only_promises_to_customers_count_as_broken() -> None:
    evidence = TRUE.evidence()
    assert evidence.clocks is not None
    inner = evidence.clocks.assign(status="breached", agreement="OLA")
    both = pd.concat([evidence.clocks.assign(agreement="SLA"), inner], ignore_index=True)
    told = effects_of(replace(evidence, clocks=both), catalogue=book())
    assert row(told, BREACH)["value"] == row(found(TRUE), BREACH)["value"]


def test_tickets_that_were_opened_nobody_knows_when_count_nowhere() -> None:
    evidence = TRUE.evidence()
    cases = evidence.cases.copy()
    cases.loc[:9, "opened_us"] = pd.NA
    told = effects_of(replace(evidence, cases=cases), catalogue=book())
    one = row(told, TIME)
    assert one["n"] + one["n_others"] == len(cases) - 10
    (one,) = told.pareto.to_dict("records")
    assert one["n"] == len(cases) - 10


# --- tables and sentences


def test_p_values_are_adjusted_over_all_rules_of_an_outcome() -> None:
    evidence = TRUE.evidence()
    rng = np.random.default_rng(1)
    verdicts = {RULE: evidence.verdicts[RULE]}
    for code in ("INC002", "INC003", "INC011", "INC016"):
        mark = rng.random(len(evidence.cases)) < 0.05
        verdicts[code] = np.where(mark, Verdict.VIOLATES, Verdict.CONFORMS).astype(np.int8)
    told = effects_of(replace(evidence, verdicts=verdicts), catalogue=book())
    for outcome in OUTCOMES:
        mine = told.effects[told.effects["outcome"] == outcome]
        assert list(mine["code"]) == sorted(verdicts)
        expected = false_discovery_control(mine["p"].to_numpy(), method="bh")
        assert mine["adjusted_p"].to_numpy() == pytest.approx(expected, rel=1e-4)
    shown = told.effects["standing"].isin([Standing.ASSOCIATION, Standing.NOT_RULED_OUT])
    assert (told.effects.loc[shown, "adjusted_p"] <= 0.05).all()
    # three rankings over five rules
    for name in ("violates", "time_lost_h", "cost"):
        ranked = told.pareto.sort_values(f"{name}_rank")
        assert ranked[name].is_monotonic_decreasing
        assert ranked[f"{name}_running_share"].iloc[-1] == pytest.approx(1)
        assert ranked[f"{name}_running_share"].is_monotonic_increasing


def test_sentences_say_what_they_show_and_what_not() -> None:
    one = row(found(TRUE), TIME)
    said = one["sentence"]
    between = f"{one['low']:.2f} to {one['high']:.2f}; n = {one['n']} against {one['n_others']:,}"
    figures = f"{one['value']:.2f} times as long ({between})"
    start = "Among tickets alike in priority, category, team and month, those with INC004 "
    assert said.startswith(f"{start}(reassigned too often) took {figures}")
    assert "This is an association" in said
    assert "has more time to break this rule" in said
    assert f"({one['control_value']:.2f}; " in said
    assert f"the median time is {one['matched_value']:.2f} times" in said
    assert "points lower" in row(found(TRUE), SATISFACTION)["sentence"]
    assert "times the odds of a breached resolution clock" in row(found(TRUE), BREACH)["sentence"]
    assert said in found(TRUE).sentences


def test_open_tickets_count_on_both_sides() -> None:
    evidence = Desk(seed=7, n=1200, weeks=8, times=2.0).evidence()
    open_ = evidence.cases["resolved_us"].isna().to_numpy()
    assert open_.sum() > 12
    one = row(effects_of(evidence, catalogue=book()), TIME)
    assert one["n"] + one["n_others"] == len(evidence.cases)


def test_a_window_asks_only_its_tickets() -> None:
    evidence = TRUE.evidence()
    window = Window(0, 10)
    told = effects_of(evidence, window=window, catalogue=book())
    opened = evidence.cases["opened_us"].to_numpy(dtype=np.int64)
    inside = (opened >= window.start_us) & (opened < window.end_us)
    one = row(told, TIME)
    assert one["n"] + one["n_others"] == inside.sum()
    assert one["clusters"] == 10


def test_days_are_the_clusters_where_there_are_few_weeks() -> None:
    told = effects_of(TRUE.evidence(), window=Window(0, 7), catalogue=book())
    assert told.clusters == "days of opening"
    assert row(told, TIME)["clusters"] > 30


def test_the_order_of_rows_changes_nothing() -> None:
    evidence = TRUE.evidence()
    order = np.random.default_rng(2).permutation(len(evidence.cases))
    shuffled = Evidence(
        cases=evidence.cases.iloc[order].reset_index(drop=True),
        as_of_us=evidence.as_of_us,
        verdicts={RULE: evidence.verdicts[RULE][order]},
        clocks=evidence.clocks.iloc[order] if evidence.clocks is not None else None,
        surveys=evidence.surveys.iloc[order] if evidence.surveys is not None else None,
    )
    again = effects_of(shuffled, catalogue=book())
    pd.testing.assert_frame_equal(again.effects, found(TRUE).effects, rtol=1e-5)
    pd.testing.assert_frame_equal(again.pareto, found(TRUE).pareto, rtol=1e-5)
    assert again.sentences == found(TRUE).sentences


def test_the_same_evidence_gives_the_same_bytes() -> None:
    again = effects_of(TRUE.evidence(), catalogue=book())
    assert again.effects.to_csv() == found(TRUE).effects.to_csv()
    assert pareto_picture(again.pareto).svg == pareto_picture(found(TRUE).pareto).svg


# --- cost


def test_tickets_that_never_end_lose_no_time_that_could_be_told() -> None:
    evidence = TRUE.evidence()
    violates = evidence.verdicts[RULE] == Verdict.VIOLATES
    cases = evidence.cases.copy()
    cases.loc[violates, "resolved_us"] = pd.NA  # closed without a resolution
    (one,) = effects_of(replace(evidence, cases=cases), catalogue=book()).pareto.to_dict("records")
    assert pd.isna(one["time_lost_h"])
    assert one["note"].startswith("neither time nor cost told: 0 against ")


def test_an_hourly_rate_prices_the_hours() -> None:
    told = effects_of(TRUE.evidence(), costing=Costing(cost_per_hour=2.5), catalogue=book())
    (one,) = told.pareto.to_dict("records")
    assert one["unit"] == "EUR"
    assert one["cost"] == pytest.approx(2.5 * one["time_lost_h"], rel=1e-4)
    assert one["cost_low"] == pytest.approx(2.5 * max(0, one["time_lost_low_h"]), rel=1e-4)
    assert any("EUR" in said for said in told.sentences)


def test_a_longer_horizon_counts_more() -> None:
    hours = [
        effects_of(TRUE.evidence(), costing=Costing(horizon_days=days), catalogue=book()).pareto[
            "time_lost_h"
        ][0]
        for days in (1.0, 3.0, 30.0)
    ]
    assert 0 < hours[0] < hours[1] < hours[2]


def test_time_lost_is_about_what_was_planted() -> None:
    evidence = TRUE.evidence()
    violates = evidence.verdicts[RULE] == Verdict.VIOLATES
    cases = evidence.cases[violates]
    until = cases["resolved_us"].fillna(evidence.as_of_us)
    hours = (until - cases["opened_us"]).astype(float) / HOUR_US
    # each took 1.8 times what it would have taken
    planted = float((hours * (1 - 1 / 1.8)).sum())
    (one,) = found(TRUE).pareto.to_dict("records")
    assert one["time_lost_low_h"] <= planted <= one["time_lost_high_h"]


def test_nonsense_is_refused_all_at_once() -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        Costing(horizon_days=-1, cost_per_hour=float("nan"))
    assert [one.code for one in caught.value.errors] == ["ST572", "ST572"]
    with pytest.raises(CodedError) as one:
        Costing(horizon_days=0)
    assert one.value.code == "ST572"


# --- picture


def test_the_picture_is_inert_and_holds_hostile_titles_as_text() -> None:
    rules = tuple(
        replace(r, title="<script>alert(1)</script> $x^2$ & co") if r.code == RULE else r
        for r in book().rules
    )
    told = effects_of(TRUE.evidence(), catalogue=Catalogue(rules, book().practices))
    svg = pareto_picture(told.pareto).svg
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert not re.search(r"(href|src)=.(https?:|//|data:)", svg)
    for label in ("tickets", "hours beyond alike tickets", "weighted hours"):
        assert label in svg
