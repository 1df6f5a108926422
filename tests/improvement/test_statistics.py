"""Do estimates, intervals and verdicts say what textbooks, oracles and simulations say?"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import survival

from csi.statistics import (
    DecisionRule,
    Outcome,
    Share,
    censored_quantile,
    mean,
    proportion,
    quantile,
)
from csi.statistics.bootstrap import kaplan_meier_quantile
from csi.statistics.compare import newcombe
from csi.statistics.decision import Effect, judge
from csi.statistics.estimate import Estimate, order_ranks
from process_mining.errors import CodedError, ManyCodedErrors

DATA = Path(__file__).parents[2].parent / "shared" / "data"

# Freireich et al. 1963 (Blood 21, 699-716), weeks in remission; the usual worked example of
# Kaplan-Meier (Gehan 1965; Kleinbaum & Klein, Survival Analysis, chapter 2).
SIX_MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
SIX_MP_CENSORED = [0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]

RULE = DecisionRule(minimum_effect=0.1, replicates=999)


def rule(minimum: float = 0.1, **changes: int) -> DecisionRule:
    return DecisionRule.from_dict({"minimum_effect": minimum, "replicates": 999, **changes})


# --- estimates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(k: int, n: int, low: float, high: float) -> None:
    found = proportion(k, n)
    assert found.value == k / n
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("n", "ranks"),
    # Campbell & Gardner 1988, BMJ 296, 1454: ranks of the 95 % interval of a median
    [
        (6, (1, 6)),
        (9, (2, 8)),
        (10, (2, 9)),
        (20, (6, 15)),
        (30, (10, 21)),
        (50, (18, 33)),
        (100, (40, 61)),
    ],
)
def test_ranks_of_the_median_are_the_published_ones(n: int, ranks: tuple[int, int]) -> None:
    assert order_ranks(n, 0.5) == ranks


def test_five_cases_do_not_bound_a_median() -> None:
    found = quantile([1, 2, 3, 4, 5])
    assert (found.value, found.low, found.high, found.n) == (3.0, None, None, 5)


@given(n=st.integers(1, 60), percent=st.integers(1, 99))
@settings(max_examples=150, deadline=None)
def test_ranks_are_the_innermost_that_cover(n: int, percent: int) -> None:
    q, tail = Fraction(percent, 100), Fraction(25, 1000)
    low, high = order_ranks(n, percent / 100)
    below = [survival.binomial_below(r, n, q) for r in range(n + 2)]  # P(B < r)
    if any(abs(float(b) - 0.025) < 1e-9 or abs(float(b) - 0.975) < 1e-9 for b in below):
        return  # a tie that floating point may break either way
    assert low == max(r for r in range(n + 1) if below[r] <= tail)
    assert high == next((s for s in range(1, n + 1) if 1 - below[s] <= tail), 0)


def test_censored_median_is_the_published_one() -> None:
    treated = censored_quantile(SIX_MP, SIX_MP_CENSORED, unit="weeks")
    placebo = censored_quantile(PLACEBO, [False] * 21, unit="weeks")
    assert (treated.value, treated.low, treated.high, treated.n) == (23.0, 13.0, None, 21)
    assert (placebo.value, placebo.low, placebo.high) == (8.0, 4.0, 11.0)


def test_closed_tickets_alone_would_look_faster() -> None:
    complete = [t for t, c in zip(SIX_MP, SIX_MP_CENSORED, strict=True) if not c]
    honest = censored_quantile(SIX_MP, SIX_MP_CENSORED).value
    assert quantile(complete).value == 10.0
    assert honest == 23.0


times_and_marks = st.lists(
    st.tuples(st.integers(1, 12), st.booleans(), st.integers(0, 3)), min_size=1, max_size=25
)


@given(rows=times_and_marks, tenths=st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_weighted_quantile_is_that_of_the_repeated_cases(
    rows: list[tuple[int, bool, int]], tenths: int
) -> None:
    """The bootstrap kernel against exact fractions: weight 3 means three equal cases."""
    drawn = [(float(t), c) for t, c, weight in rows for _ in range(weight)]
    q = Fraction(tenths, 10)
    expected = survival.quantile([t for t, _ in drawn], [c for _, c in drawn], q)
    times = np.array([float(t) for t, _, _ in rows])
    observed = np.array([not c for _, c, _ in rows])
    weights = np.array([[float(w) for _, _, w in rows]])
    order = np.lexsort((~observed, times))
    found = kaplan_meier_quantile(times[order], observed[order], weights[:, order], tenths / 10)
    assert found[0] == expected


@given(rows=times_and_marks, tenths=st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_censored_quantile_equals_the_oracle(
    rows: list[tuple[int, bool, int]], tenths: int
) -> None:
    times, marks = [float(t) for t, _, _ in rows], [c for _, c, _ in rows]
    found = censored_quantile(times, marks, tenths / 10)
    expected = survival.quantile(times, marks, Fraction(tenths, 10))
    assert (math.inf if found.value is None else found.value) == expected
    if found.value is not None:
        assert found.low is None or found.low <= found.value
        assert found.high is None or found.high >= found.value


def test_without_censoring_both_quantiles_agree() -> None:
    values = np.random.default_rng(1).lognormal(3, 1, 101)
    for q in (0.1, 0.5, 0.9):
        assert censored_quantile(values, np.zeros(101, bool), q).value == quantile(values, q).value


def test_intervals_cover_as_often_as_they_say() -> None:
    """400 samples: the true median 1 lies inside in 95 %, less three standard errors at worst."""
    rng = np.random.default_rng(11)
    plain = censored = 0
    for _ in range(400):
        values = rng.lognormal(0.0, 1.0, 60)
        limit = rng.uniform(0.5, 6.0, 60)
        seen = np.minimum(values, limit)
        a, b = quantile(values), censored_quantile(seen, values > limit)
        plain += (a.low or 0.0) <= 1.0 <= (a.high or math.inf)
        censored += (b.low or 0.0) <= 1.0 <= (b.high or math.inf)
    floor = 400 * 0.95 - 3 * math.sqrt(400 * 0.95 * 0.05)
    assert plain >= floor
    assert censored >= floor


def test_mean_of_scores_widens_when_a_day_answers_alike() -> None:
    scores = np.repeat([1.0, 3.0, 5.0, 4.0, 2.0, 5.0, 1.0, 3.0, 5.0, 4.0], 20)
    days = np.repeat(np.arange(10), 20)
    alone = mean(scores, unit="points", seed=1)
    together = mean(scores, unit="points", seed=1, clusters=days)
    assert alone.value == together.value == pytest.approx(3.3)
    widths = [(e.high or 0) - (e.low or 0) for e in (alone, together)]
    # 20 alike in each cluster: wider by the root of 20, and by the small-sample correction
    assert 3.8 < widths[1] / widths[0] < 6.5


def test_nothing_is_estimated_from_nothing() -> None:
    for found in (
        proportion(0, 0),
        quantile([]),
        censored_quantile([], []),
        mean([], unit="points", seed=1),
        censored_quantile([5.0], [True]),
    ):
        assert (found.value, found.low, found.high) == (None, None, None)


def test_equal_scores_do_not_show_how_scores_vary() -> None:
    found = mean([5.0] * 40, unit="points", seed=1)
    assert (found.value, found.low, found.high) == (5.0, None, None)


def test_a_missing_value_is_an_error_not_a_number() -> None:
    with pytest.raises(CodedError, match="ST221"):
        quantile([1.0, math.nan])
    with pytest.raises(CodedError, match="ST220"):
        proportion(3, 2)


# --- intervals of differences --------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10: p(one) - p(two)
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_interval_is_the_published_one(
    one: tuple[int, int], two: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe(Share(*two), Share(*one))
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


# --- the decision rule ---------------------------------------------------------------------

SIDE = Estimate(1.0, None, None, 200, "given", "h")


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict"),
    [
        (0.02, 0.15, 0.30, Outcome.IMPROVED),
        (0.02, 0.09, 0.16, Outcome.IMPROVED),  # surely better, and the minimum is not ruled out
        (0.02, 0.05, 0.08, Outcome.NO_EFFECT),  # surely better, surely too little to matter
        (-0.05, 0.0, 0.05, Outcome.NO_EFFECT),
        (-0.05, 0.15, 0.35, Outcome.INCONCLUSIVE),
        (-0.20, -0.08, -0.01, Outcome.WORSE),  # harm need not reach the minimum effect
        (-0.08, -0.05, -0.01, Outcome.NO_EFFECT),
        (-0.30, -0.10, 0.10, Outcome.INCONCLUSIVE),
    ],
)
def test_the_rule_decides_as_documented(
    low: float, value: float, high: float, verdict: Outcome
) -> None:
    higher = judge(
        Effect(value, low, high, "points", "given"), rule=RULE, better="higher", sides=(SIDE, SIDE)
    )
    lower = judge(
        Effect(-value, -high, -low, "points", "given"),
        rule=RULE,
        better="lower",
        sides=(SIDE, SIDE),
    )
    assert higher.verdict is lower.verdict is verdict
    assert (higher.n_needed is not None) == (verdict is Outcome.INCONCLUSIVE)
    assert higher.n_needed == lower.n_needed
    assert higher.sentence.lower().startswith(verdict.value)


@pytest.mark.parametrize("value", [0.15, -0.15])
def test_a_claim_needs_the_second_key(value: float) -> None:
    span = Effect(value, value - 0.1, value + 0.1, "points", "given", p_value=0.05)
    claimed = judge(span, rule=RULE, better="higher", sides=(SIDE, SIDE))
    assert claimed.verdict is (Outcome.IMPROVED if value > 0 else Outcome.WORSE)
    doubted = judge(replace(span, p_value=0.051), rule=RULE, better="higher", sides=(SIDE, SIDE))
    assert doubted.verdict is Outcome.INCONCLUSIVE
    assert "the permutation test gives p = 0.051" in doubted.sentence


def test_verdict_words_are_the_stable_ones() -> None:
    words = {"improved", "no effect shown", "worse", "inconclusive", "guardrail breached"}
    assert {outcome.value for outcome in Outcome} == words


def test_n_needed_shrinks_the_interval_just_enough() -> None:
    effect = Effect(0.2, -0.2, 0.6, "points", "given")
    found = judge(effect, rule=RULE, better="higher", sides=(SIDE, SIDE))
    # the lower limit is 0.4 away and may be 0.2 away: half the width, four times the cases
    assert found.n_needed == 800
    assert "about 800 cases a side" in found.sentence


def test_too_few_cases_are_inconclusive_however_large_the_effect() -> None:
    effect, few = Effect(0.5, 0.4, 0.6, "points", "given"), replace(SIDE, n=20)
    found = judge(effect, rule=RULE, better="higher", sides=(few, SIDE))
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "baseline has 20 cases, the rule asks for 30" in found.sentence
    lenient = judge(effect, rule=rule(min_n=20), better="higher", sides=(few, SIDE))
    assert lenient.verdict is Outcome.IMPROVED


def test_mistakes_of_a_rule_are_all_named() -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        DecisionRule(minimum_effect=0, confidence=95, min_n=0)
    assert [e.what.split()[2] for e in caught.value.errors] == [
        "minimum_effect",
        "confidence",
        "min_n",
    ]
    with pytest.raises(CodedError, match="ST121"):
        DecisionRule.from_dict({"minimum_effekt": 0.1})
    assert DecisionRule.from_dict(RULE.to_dict()) == RULE


# --- real tickets --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rabobank() -> pd.DataFrame:
    path = DATA / "bpic14" / "BPIC14_sample4000_incident.csv.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not there: real logs lie beside the checkout")
    frame = pd.read_csv(path, usecols=["incident_id", "open_time", "resolved_time"])
    frame["opened"] = pd.to_datetime(frame["open_time"], utc=True)
    resolved = pd.to_datetime(frame["resolved_time"], utc=True)
    frame["hours"] = (resolved - frame["opened"]) / pd.Timedelta(hours=1)
    return frame[frame["hours"] >= 0].sort_values("incident_id")


def test_cutting_a_real_log_early_hides_what_is_still_open(rabobank: pd.DataFrame) -> None:
    """What closed tickets alone would say at the cut against what was learnt later."""
    cut = rabobank["opened"].quantile(0.6)
    known = rabobank[rabobank["opened"] < cut].tail(1500)
    recent = known[known["opened"] >= cut - pd.Timedelta(days=21)]
    left = (cut - recent["opened"]) / pd.Timedelta(hours=1)
    running = recent["hours"] > left
    seen = np.minimum(recent["hours"], left)
    truth = quantile(recent["hours"]).value or 0.0
    naive = quantile(seen[~running]).value or 0.0
    honest = censored_quantile(seen, running).value or 0.0
    assert running.sum() > 10
    assert abs(honest - truth) < abs(naive - truth)
