"""Which tickets call for an article, self-service or automation: what was planted is found."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from improvement.opportunity_desk import NEAR_MISSES, PLANTED, REST, WINDOW, Kind, audited

from csi.cycle import Window
from csi.opportunities import DEFINITIONS, Could, Definitions
from csi.opportunities.candidates import candidates_of
from csi.opportunities.gain import Range, dispersion, monthly, times, whole_weeks
from csi.opportunities.kinds import is_high
from csi.opportunities.tickets import tickets_of
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from pathlib import Path

    from csi.audit import Audit
    from csi.opportunities.candidates import Candidates


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audited(tmp_path_factory.mktemp("desk"), [*PLANTED, *NEAR_MISSES, *REST])


@pytest.fixture(scope="module")
def found(desk: Audit) -> Candidates:
    return candidates_of(tickets_of(desk, WINDOW), DEFINITIONS)


def by_category(found: Candidates) -> dict[str, str]:
    return {one.kind.subject.split(" / ")[0]: one.sort for one in found.found}


def row(found: Candidates, category: str) -> pd.Series:
    frame = found.frame
    return frame[frame["category"] == category].iloc[0]


def test_what_was_planted_is_found_and_nothing_else(found: Candidates) -> None:
    assert by_category(found) == {
        "password": "self-service",
        "disk": "automation",
        "backup": "automation",
        "vpn": "knowledge gap",
    }


def test_a_candidate_carries_its_figures(found: Candidates) -> None:
    password = row(found, "password")
    assert password["n"] == 80
    assert password["a_month"] == pytest.approx(80 / 56 * 30.4375)
    assert password["a_month_low"] < password["a_month"] < password["a_month_high"]
    assert password["median_low_h"] <= password["median_h"] <= password["median_high_h"]
    assert password["median_h"] == pytest.approx(0.2, rel=0.3)
    total = sum(kind.n for kind in (*PLANTED, *NEAR_MISSES, *REST))
    assert password["share_of_all"] == pytest.approx(80 / total)
    assert (password["reopened"], password["commonest_way"], password["simple"]) == (0, 1, 1)
    assert password["tickets_saved"] == pytest.approx(0.4 * password["a_month"])
    assert password["tickets_saved_low"] == pytest.approx(0.2 * password["a_month_low"])
    assert password["tickets_saved_high"] == pytest.approx(0.6 * password["a_month_high"])
    assert password["hours_saved"] == pytest.approx(
        password["tickets_saved"] * password["median_h"]
    )


def test_a_candidate_is_said_in_a_sentence_with_its_assumption(found: Candidates) -> None:
    sentence = row(found, "password")["sentence"]
    assert sentence.startswith("For self-service: 80 tickets of password, ended with reset")
    assert "If 40 % of them (assumed; 20 to 60 %) were settled by customers" in sentence
    gap = row(found, "vpn")["sentence"]
    assert "100.0 % were handed over, 0.0 % resolved at first contact" in gap
    assert "hardly any of them used an article" in gap
    assert "more first contacts" in gap
    assert "hours less to resolve" in gap


def test_a_machine_is_told_by_its_channel_or_its_hour(found: Candidates) -> None:
    assert row(found, "disk")["why"] == "it comes by a channel of machines"
    assert row(found, "backup")["why"] == "it comes between 03 and 04 o'clock UTC"


def test_waits_for_the_customer_are_no_lack_of_knowledge(desk: Audit, found: Candidates) -> None:
    frame = tickets_of(desk, WINDOW).frame
    payroll = frame[frame["category"] == "payroll"]
    assert payroll["hours"].median() > 60
    assert payroll["net_h"].median() < 6
    assert "payroll" not in by_category(found)


def test_an_article_that_is_used_closes_the_gap(desk: Audit, found: Candidates) -> None:
    frame = tickets_of(desk, WINDOW).frame
    documented = frame[frame["category"] == "documented"]
    assert documented["hours"].median() > 60
    assert documented["article"].all()
    assert "documented" not in by_category(found)


def test_one_bad_day_makes_no_kind(tmp_path: Path) -> None:
    outage = next(kind for kind in NEAR_MISSES if kind.category == "outage")
    spread = replace(outage, day=None)
    made = audited(tmp_path, [spread, *REST])
    assert by_category(candidates_of(tickets_of(made, WINDOW), DEFINITIONS)) == {
        "outage": "self-service"
    }


def test_few_tickets_are_never_shown() -> None:
    with pytest.raises(CodedError, match="ST580") as caught:
        Definitions(least=4, one_day=1.5, waits=Could(0.5, 0.6, 0.9))
    said = str(caught.value)
    assert "groups under 5 are never shown" in said
    assert "one_day is 1.5" in said
    assert "waits is not ordered" in said


def test_a_log_without_the_columns_says_so(tmp_path: Path) -> None:
    bare = audited(tmp_path, [*PLANTED, *REST], columns=False)
    found = candidates_of(tickets_of(bare, WINDOW), DEFINITIONS)
    said = " ".join(found.sentences)
    assert "does not tell how tickets ended" in said
    assert "does not tell how tickets came in" in said
    assert "does not tell whether an article was used" in said
    # alike by what they are about alone; the disk comes at any hour, so nothing calls it a machine
    assert by_category(found) == {
        "password": "self-service",
        "disk": "self-service",
        "backup": "automation",
        "vpn": "knowledge gap",
    }


def test_the_same_log_gives_the_same_candidates(tmp_path: Path, found: Candidates) -> None:
    again = audited(tmp_path, [*PLANTED, *NEAR_MISSES, *REST])
    other = candidates_of(tickets_of(again, WINDOW), DEFINITIONS)
    assert other.frame.equals(found.frame)
    assert other.sentences == found.sentences


def test_thresholds_decide(desk: Audit) -> None:
    tickets = tickets_of(desk, WINDOW)
    strict = candidates_of(tickets, Definitions(short_h=0.01, touch_h=0.01, longer=1e6, apart=1.0))
    assert by_category(strict) == {}


def test_no_incidents_no_candidates(tmp_path: Path) -> None:
    made = audited(tmp_path, [Kind("late", "x", 30, 1.0)])
    later = Window(start=WINDOW.end, end=WINDOW.end.replace(month=12))
    found = candidates_of(tickets_of(made, later), DEFINITIONS)
    assert found.frame.empty
    assert "No candidates were sought" in found.sentences[0]


@pytest.mark.parametrize(
    ("word", "high"),
    [("P1", True), ("1 - Critical", True), ("2", True), ("P3", False), ("urgent", True),
     ("low", False), ("Priority 10", False), ("", False), ("9" * 40, False)],
)  # fmt: skip
def test_high_priorities(word: str, *, high: bool) -> None:
    assert is_high(pd.Series([word, None])).tolist() == [high, False]


# --- figures


def test_rates_a_month_are_those_of_a_quasi_poisson_regression() -> None:
    rng = np.random.default_rng(5)
    counts = rng.negative_binomial(3, 0.2, size=20)
    week = np.repeat(np.arange(2000, 2020), counts)
    fit = sm.GLM(counts, np.ones(20), family=sm.families.Poisson()).fit(scale="X2", use_t=True)
    low, high = np.exp(fit.conf_int()[0]) * 30.4375 / 7
    found = monthly(week, 140.0, whole=(2000, 2020))
    assert found.value == pytest.approx(counts.mean() * 30.4375 / 7)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert dispersion(week, (2000, 2020)) == pytest.approx(fit.scale)


def test_even_weeks_or_few_of_them_have_no_extra_spread() -> None:
    even = np.repeat(np.arange(10), 5)
    assert dispersion(even, (0, 10)) == 1.0
    assert dispersion(np.repeat(np.arange(3), [50, 1, 1]), (0, 3)) == 1.0
    found = monthly(even, 70.0, whole=(0, 10))
    assert found.high == pytest.approx((found.value or 0) * math.exp(1.96 / 50**0.5), rel=1e-3)


@pytest.mark.trial
@pytest.mark.parametrize(
    ("weeks", "mean", "shape"), [(6, 8, 3), (8, 20, 2), (12, 8, 3), (12, 8, 0)]
)
def test_rates_a_month_cover(weeks: int, mean: float, shape: float) -> None:
    rng = np.random.default_rng(7)
    holds = []
    for _ in range(2000):
        each = rng.gamma(shape, mean / shape, weeks) if shape else np.full(weeks, mean)
        week = np.repeat(np.arange(weeks), rng.poisson(each))
        found = monthly(week, weeks * 7.0, whole=(0, weeks))
        assert found.low is not None
        assert found.high is not None
        holds.append(found.low <= mean * 30.4375 / 7 <= found.high)
    assert 0.92 <= np.mean(holds) <= 0.985


def test_whole_weeks_begin_on_mondays() -> None:
    monday = 20_094  # 2025-01-06
    assert whole_weeks(monday, monday + 14) == ((monday + 3) // 7, (monday + 3) // 7 + 2)
    assert whole_weeks(monday + 1, monday + 14) == ((monday + 3) // 7 + 1, (monday + 3) // 7 + 2)
    first, end = whole_weeks(monday + 1, monday + 3)
    assert first == end


def test_products_of_limits() -> None:
    assert times(Range(2, 1, 4), Could(0.5, 0.25, 1.0), 3.0) == Range(3.0, 0.75, 12.0)
    assert times(Range(2, None, 4), 2.0) == Range(4.0, None, 8.0)
