"""Before and after, difference in differences: values, errors and p-values against plain loops.

The oracle (tests/oracles/window_change.py) rakes, estimates, draws and relabels ticket by ticket.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import window_change as plain
from oracles.window_change import Ticket
from scipy.stats import norm
from scipy.stats import t as student

from csi.statistics import Comparison, DecisionRule, Outcome
from csi.statistics.compare import Share, newcombe
from csi.statistics.contrast import before_after, difference_in_differences, spread_of
from csi.statistics.sides import Measure, Side, weekly

RULE = DecisionRule(minimum_effect=0.1, replicates=499)
QUICK = replace(RULE, replicates=199)
HOURS = Measure("h", "lower", q=0.5)
NINTH = Measure("h", "lower", q=0.9)
SCORES = Measure("points", "higher")
SHARES = Measure("share", "higher")
Tickets = list[Ticket]
Pair = tuple[Tickets, Tickets]


def side(tickets: Tickets, measure: Measure = HOURS) -> Side:
    words = pd.DataFrame([one.words for one in tickets], dtype=object)
    return Side(
        each=np.array([one.value for one in tickets], dtype=np.float64),
        clusters=np.array([one.cluster for one in tickets], dtype=np.int64),
        words=words,
        censored=None if measure.q is None else np.array([t.running for t in tickets], dtype=bool),
    )


def compared(pair: Pair, measure: Measure, rule: DecisionRule = RULE) -> Comparison:
    return before_after(side(pair[0], measure), side(pair[1], measure), measure=measure, rule=rule)


def differed(
    touched: Pair, others: Pair, measure: Measure, rule: DecisionRule = RULE, by: str = "week"
) -> Comparison:
    sides = [(side(a, measure), side(b, measure)) for a, b in (touched, others)]
    return difference_in_differences(
        *sides, measure=measure, rule=rule, clusters="team" if by == "team" else "week"
    )


def drawn(  # noqa: PLR0913 - a law of tickets
    seed: int,
    *,
    first: int,
    weeks: int,
    a_week: int = 12,
    factor: float = 1.0,
    measure: Measure = HOURS,
    tilt: float = 0.0,
    shock: float = 0.3,
    mixed: bool = True,
) -> Tickets:
    """Tickets of some weeks, each week with a shock of its own; hard ones take longer."""
    rng = np.random.default_rng(seed)
    found = []
    for week in range(first, first + weeks):
        weekly_shock = shock * rng.standard_normal()
        for _ in range(a_week):
            hard = rng.random() < 0.4 + tilt
            urgent = rng.random() < 0.5
            level = math.exp(weekly_shock) * (3.0 if hard else 1.0) * factor
            if measure.q is not None:
                value = float(rng.lognormal(1.0, 0.8)) * level
                running = bool(rng.random() < 0.04)
            else:
                value = float(rng.random() < min(0.9, 0.3 * level))
                running = False
            if measure.unit == "points":
                value = 1.0 + 4.0 * value * float(rng.random())
            words = ("hard" if hard else "easy", "P1" if urgent else "P2") if mixed else ()
            found.append(Ticket(value, week, words, running))
    return found


def pair_of(seed: int, measure: Measure, **law: float | bool) -> Pair:
    tilt, factor = float(law.pop("tilt", 0.0)), float(law.pop("factor", 1.0))
    a_week = int(law.pop("a_week", 12))
    mixed = bool(law.pop("mixed", True))
    assert not law
    common = {"measure": measure, "a_week": a_week, "mixed": mixed}
    return (
        drawn(seed, first=0, weeks=7, **common),  # type: ignore[arg-type]
        drawn(seed + 10**7, first=10, weeks=6, tilt=tilt, factor=factor, **common),  # type: ignore[arg-type]
    )


def effect_of(difference: float, measure: Measure) -> float:
    return math.expm1(difference) if measure.q is not None else difference


def error_of(found: Comparison, freedom: int) -> float:
    """The standard error on the scale of f, from the width of the interval."""
    assert found.low is not None
    assert found.high is not None
    low, high = (
        (math.log1p(found.low), math.log1p(found.high))
        if found.unit == "relative change"
        else (found.low, found.high)
    )
    return (high - low) / 2 / float(student.isf(0.025, freedom))


MEASURES = pytest.mark.parametrize(
    "measure", [HOURS, NINTH, SCORES, SHARES], ids=["median", "90th", "mean", "share"]
)

# --- the value


@MEASURES
@given(seed=st.integers(0, 10**6), tilt=st.floats(-0.2, 0.3))
@settings(max_examples=4, deadline=None)
def test_before_and_after_is_that_of_plain_loops(seed: int, tilt: float, measure: Measure) -> None:
    pair = pair_of(seed, measure, tilt=tilt, a_week=25)
    found = compared(pair, measure, QUICK)
    expected = effect_of(plain.change(pair, measure.q), measure)
    assert found.effect == pytest.approx(expected, rel=1e-3, abs=1e-4)


@MEASURES
@given(seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_difference_in_differences_is_that_of_plain_loops(seed: int, measure: Measure) -> None:
    touched = pair_of(seed, measure, factor=0.8, tilt=0.2, a_week=25)
    others = pair_of(seed + 1, measure, tilt=-0.1, a_week=25)
    found = differed(touched, others, measure, QUICK)
    expected = effect_of(plain.difference([touched, others], measure.q), measure)
    assert found.effect == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_harder_mix_alone_is_no_effect() -> None:
    """Same work, more hard tickets: raw medians rise, the weighted comparison does not."""
    pair = pair_of(3, HOURS, tilt=0.35, a_week=60)
    found = compared(pair, HOURS)
    assert found.baseline.value is not None
    assert found.current.value is not None
    assert found.effect is not None
    raw = found.current.value / found.baseline.value - 1
    assert raw > 0.3
    assert abs(found.effect) < 0.5 * raw
    assert "weighted to the current mix" in found.method


def test_the_baseline_is_weighted_and_not_the_current_window() -> None:
    """Easy tickets got slower, hard ones did not: which mix is taken decides what is found."""

    def tickets(first: int, easy: float, n_easy: int) -> Tickets:
        return [
            Ticket(easy if i < n_easy else 5.0, week, ("easy" if i < n_easy else "hard",))
            for week in range(first, first + 8)
            for i in range(20)
        ]

    pair = (tickets(0, 1.0, 16), tickets(20, 2.0, 8))
    found = compared(pair, SCORES)
    # of ten now: 4 easy at 2, 6 hard at 5, so 3.8; the baseline with that mix: 4 at 1, 6 at 5, 3.4
    assert "same whichever weeks" in found.sentence
    moved = [replace(one, value=one.value + 0.01 * (one.cluster % 3)) for one in pair[0]]
    again = compared((moved, pair[1]), SCORES)
    assert again.effect == pytest.approx(0.4, abs=0.01)


def test_tickets_that_the_baseline_lacks_are_not_lost_in_silence() -> None:
    before, after = pair_of(1, HOURS)
    new = [Ticket(5.0, 10 + i % 6, ("unheard of", "P1")) for i in range(7)]
    assert "lacks" not in compared((before, after), HOURS, QUICK).method
    found = compared((before, [*after, *new]), HOURS, QUICK)
    assert "(7 tickets of a kind that the baseline lacks)" in found.method
    both = differed((before, [*after, *new]), (before, [*after, *new]), HOURS, QUICK)
    assert "(14 tickets" in both.method or both.effect is None


# --- how sure


@pytest.mark.parametrize("measure", [HOURS, SCORES], ids=["median", "mean"])
def test_the_error_is_that_of_drawing_weeks(measure: Measure) -> None:
    pair = pair_of(11, measure, factor=0.9, mixed=False)
    found = compared(pair, measure, replace(RULE, replicates=2999))
    expected = expected_error([pair], measure, by="week", widened=(7, 6), times=1500)
    assert error_of(found, 5) == pytest.approx(expected, rel=0.12)


def test_the_error_with_weights_is_that_of_drawing_weeks_and_raking_anew() -> None:
    pair = pair_of(12, SCORES, tilt=0.2)
    found = compared(pair, SCORES, replace(RULE, replicates=2999))
    expected = expected_error([pair], SCORES, by="week", widened=(7, 6), times=300)
    assert error_of(found, 5) == pytest.approx(expected, rel=0.2)


def test_the_error_of_two_groups_is_that_of_drawing_weeks_for_both() -> None:
    touched, others = (pair_of(seed, SCORES, mixed=False) for seed in (21, 22))
    found = differed(touched, others, SCORES, replace(RULE, replicates=2999))
    expected = expected_error([touched, others], SCORES, by="week", widened=(7, 6), times=1200)
    assert error_of(found, 5) == pytest.approx(expected, rel=0.13)


def shared(seed: int, levels: list[float], first: int) -> Tickets:
    """Scores of some weeks whose levels are given: what hits one group hits the other."""
    rng = np.random.default_rng(seed)
    return [
        Ticket(level + float(rng.standard_normal()), first + week)
        for week, level in enumerate(levels)
        for _ in range(12)
    ]


def test_what_hits_both_groups_in_a_week_cancels_in_the_error() -> None:
    """Sixteen weeks and five, each with a shock that both groups share."""
    levels = np.random.default_rng(2).normal(0, 3, 21).tolist()
    pairs = [(shared(seed, levels[:16], 0), shared(seed + 9, levels[16:], 20)) for seed in (1, 2)]
    rule = replace(RULE, min_clusters=5, replicates=2999)
    found = differed(pairs[0], pairs[1], SCORES, rule)
    expected = expected_error(pairs, SCORES, by="week", widened=(16, 5), times=1200)
    assert error_of(found, 4) == pytest.approx(expected, rel=0.1)
    alone = compared(pairs[0], SCORES, rule)
    assert error_of(alone, 4) > 3 * error_of(found, 4)


def by_teams(seed: int, teams: range, factor: float = 1.0) -> Pair:
    """Both windows of some teams, each with a level of its own."""
    rng = np.random.default_rng(seed)
    levels = {team: rng.lognormal(0.0, 0.4) for team in teams}
    before, after = (
        [
            Ticket(float(rng.lognormal(1.0, 0.5)) * level * change * rng.lognormal(0, 0.2), team)
            for team, level in levels.items()
            for _ in range(10)
        ]
        for change in (1.0, factor)
    )
    return before, after


def test_the_error_of_teams_is_that_of_drawing_teams_within_their_group() -> None:
    touched, others = by_teams(5, range(9)), by_teams(6, range(9, 20))
    found = differed(touched, others, HOURS, replace(RULE, replicates=2999), by="team")
    # the part of the untouched is widened by their 11 teams, that of the touched by their 9
    expected = expected_error([touched, others], HOURS, by="team", widened=(11, 9), times=1200)
    assert error_of(found, 8) == pytest.approx(expected, rel=0.13)
    assert "whole teams drawn" in found.method


def expected_error(
    pairs: list[Pair], measure: Measure, *, by: str, widened: tuple[int, int], times: int
) -> float:
    """Both independent parts, each widened by G / (G - 1) for its own number of clusters."""
    draws = list(plain.drawn(pairs, measure.q, by=by, times=times, seed=99))
    whole, part = (spread([draw[i] for draw in draws]) ** 2 for i in (0, 1))
    rest = max(whole - part, 0.0)
    return math.sqrt(rest * widened[0] / (widened[0] - 1) + part * widened[1] / (widened[1] - 1))


def spread(values: list[float]) -> float:
    """The standard error, read off the 5th and 95th percentile."""
    ordered = sorted(values)
    low, high = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.05, 0.95))
    return (high - low) / (2 * float(norm.isf(0.05)))


def test_few_weeks_make_the_interval_longer_than_that_of_the_draws() -> None:
    """Two sets of four weeks: the plain bootstrap would be too short by sqrt(3/4), and by t."""
    pair = (drawn(1, first=0, weeks=4, mixed=False), drawn(2, first=9, weeks=4, mixed=False))
    rule = replace(RULE, min_clusters=4, replicates=2999)
    found = compared(pair, HOURS, rule)
    draws = [one for one, _ in plain.drawn([pair], 0.5, by="week", times=1500, seed=4)]
    assert found.low is not None
    assert found.high is not None
    half = (math.log1p(found.high) - math.log1p(found.low)) / 2
    plain_half = spread(draws) * float(norm.isf(0.025))
    longer = math.sqrt(4 / 3) * float(student.isf(0.025, 3) / norm.isf(0.025))
    assert half / plain_half == pytest.approx(longer, rel=0.12)


def test_the_fewer_weeks_decide_how_wide_students_t_is() -> None:
    """Sixteen weeks before and four after: three degrees of freedom, as if both had four."""
    pair = (drawn(1, first=0, weeks=16, mixed=False), drawn(2, first=20, weeks=4, mixed=False))
    found = compared(pair, HOURS, replace(RULE, min_clusters=4, replicates=2999))
    expected = expected_error([pair], HOURS, by="week", widened=(16, 4), times=1200)
    assert error_of(found, 3) == pytest.approx(expected, rel=0.13)


def test_a_plan_rests_on_the_spread_of_one_window() -> None:
    tickets = drawn(31, first=0, weeks=12, mixed=False, measure=SCORES)
    found = spread_of(side(tickets, SCORES), None, measure=SCORES, rule=RULE)
    assert found is not None
    assert found.freedom == 11
    # the mean of equal weeks has a textbook error: that of the means of the weeks
    means = [np.mean([one.value for one in tickets if one.cluster == week]) for week in range(12)]
    assert found.error == pytest.approx(np.std(means, ddof=1) / math.sqrt(12), rel=0.12)
    assert spread_of(side(tickets[:12], SCORES), None, measure=SCORES, rule=RULE) is None


# --- the second key


def tiny(seed: int, first: int, factor: float) -> Tickets:
    return drawn(seed, first=first, weeks=4, a_week=4, factor=factor, mixed=False, shock=0.6)


@pytest.mark.parametrize(("seed", "factor"), [(1, 1.0), (2, 0.5), (3, 0.05), (4, 3.0), (5, 1.3)])
def test_the_p_value_is_that_of_all_relabellings_of_weeks(seed: int, factor: float) -> None:
    """Four weeks and four: 70 relabellings. The p that is said is the larger of the two."""
    pair = (tiny(seed, 0, 1.0), tiny(seed + 50, 9, factor))
    found = compared(pair, HOURS, replace(RULE, replicates=20_000, min_clusters=4, min_n=2))
    check_p(found, plain.p_over_all([pair], 0.5), freedom=3)


def test_the_p_value_with_weights_relabels_and_rakes_anew() -> None:
    pair = (
        drawn(8, first=0, weeks=4, a_week=20, measure=SCORES),
        drawn(9, first=9, weeks=4, a_week=20, measure=SCORES, tilt=0.3),
    )
    found = compared(pair, SCORES, replace(RULE, replicates=6000, min_clusters=4))
    check_p(found, plain.p_over_all([pair], None), freedom=3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_p_value_of_two_groups_relabels_weeks_of_both_at_once(seed: int) -> None:
    touched = (tiny(seed, 0, 1.0), tiny(seed + 50, 9, 0.4))
    others = (tiny(seed + 100, 0, 1.0), tiny(seed + 150, 9, 1.0))
    rule = replace(RULE, replicates=20_000, min_clusters=4, min_n=2)
    found = differed(touched, others, HOURS, rule)
    check_p(found, plain.p_over_all([touched, others], 0.5), freedom=3)


@pytest.mark.parametrize(("seed", "factor"), [(1, 1.0), (2, 0.5), (3, 0.1)])
def test_the_p_value_of_teams_is_that_of_all_relabellings_of_teams(
    seed: int, factor: float
) -> None:
    touched, others = by_teams(seed, range(4), factor), by_teams(seed + 9, range(4, 8))
    rule = replace(RULE, replicates=20_000, min_clusters=4)
    found = differed(touched, others, HOURS, rule, by="team")
    check_p(found, plain.p_over_all_teams([touched, others], 0.5), freedom=3)


def check_p(found: Comparison, by_relabelling: float, freedom: int) -> None:
    assert found.effect is not None
    assert found.p_value is not None
    value = math.log1p(found.effect) if found.unit == "relative change" else found.effect
    by_t = 2 * float(student.sf(abs(value) / error_of(found, freedom), freedom))
    assert found.p_value == pytest.approx(max(by_t, by_relabelling), abs=0.02)


def test_a_claim_needs_both_keys() -> None:
    """Three weeks and three: 20 relabellings, so p is at least 0.1 and nothing is claimed."""
    pair = tuple(
        drawn(seed, first=first, weeks=3, factor=factor, mixed=False, shock=0.01, a_week=50)
        for seed, first, factor in ((1, 0, 1.0), (2, 9, 0.01))
    )
    found = compared((pair[0], pair[1]), HOURS, replace(RULE, min_clusters=3))
    assert found.high is not None
    assert found.high < -0.5
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "permutation test gives p = 0.1" in found.sentence


# --- properties


@MEASURES
@given(seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_the_order_of_rows_does_not_matter(seed: int, measure: Measure) -> None:
    pair = pair_of(seed, measure, tilt=0.2)
    rng = np.random.default_rng(seed)
    turned = tuple([tickets[i] for i in rng.permutation(len(tickets))] for tickets in pair)
    assert compared((turned[0], turned[1]), measure, QUICK) == compared(pair, measure, QUICK)


@MEASURES
@given(seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_identical_windows_have_no_effect_and_are_never_claimed(
    seed: int, measure: Measure
) -> None:
    ours, others = (
        (before, [replace(one, cluster=one.cluster + 30) for one in before])
        for before in (drawn(seed + i, first=0, weeks=8, measure=measure) for i in (0, 1))
    )
    for found in (compared(ours, measure, QUICK), differed(ours, others, measure, QUICK)):
        assert found.effect == pytest.approx(0.0, abs=1e-9)
        assert found.p_value == 1.0
        assert found.verdict in (Outcome.NO_EFFECT, Outcome.INCONCLUSIVE)


def test_equal_changes_cancel() -> None:
    """What hits both groups alike is no effect of the improvement."""
    before = drawn(1, first=0, weeks=8, a_week=30)
    after = [replace(one, cluster=one.cluster + 30, value=one.value * 0.4) for one in before]
    assert compared((before, after), HOURS).verdict is Outcome.IMPROVED
    assert differed((before, after), (before, after), HOURS).verdict is not Outcome.IMPROVED


@given(seed=st.integers(0, 10**6), c=st.sampled_from([0.01, 0.5, 3.0, 1000.0]))
@settings(max_examples=4, deadline=None)
def test_the_unit_of_time_does_not_matter(seed: int, c: float) -> None:
    pair = pair_of(seed, HOURS, factor=0.7)
    other = tuple([replace(one, value=one.value * c) for one in tickets] for tickets in pair)
    one, two = compared(pair, HOURS, QUICK), compared((other[0], other[1]), HOURS, QUICK)
    assert two.verdict is one.verdict
    assert (two.effect, two.low, two.high) == pytest.approx((one.effect, one.low, one.high))
    assert two.p_value == pytest.approx(one.p_value)


@MEASURES
@given(seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_turning_the_windows_turns_the_sign(seed: int, measure: Measure) -> None:
    """Equal mixes: then nothing is weighted either way."""
    before, after = pair_of(seed, measure, factor=0.7, mixed=False)
    one, back = (compared(one, measure, QUICK) for one in ((before, after), (after, before)))
    assert one.effect is not None
    assert back.effect is not None
    if measure.q is None:
        assert back.effect == pytest.approx(-one.effect)
    else:
        assert math.log1p(back.effect) == pytest.approx(-math.log1p(one.effect))


def test_turning_what_is_better_turns_the_verdict() -> None:
    pair = pair_of(1, HOURS, factor=0.3, a_week=40)
    assert compared(pair, HOURS).verdict is Outcome.IMPROVED
    assert compared(pair, replace(HOURS, better="higher")).verdict is Outcome.WORSE
    back = (pair[1], [replace(one, cluster=one.cluster + 40) for one in pair[0]])
    assert compared(back, HOURS).verdict is Outcome.WORSE


def test_the_same_again_is_the_same() -> None:
    pair = pair_of(1, HOURS, tilt=0.2)
    one, two = (json.dumps(compared(pair, HOURS).to_dict()) for _ in range(2))
    assert one == two


def test_a_week_that_both_windows_share_is_two_clusters() -> None:
    """The intervention fell on a Thursday: its week is drawn by parts."""
    pair = (drawn(1, first=0, weeks=7, mixed=False), drawn(2, first=6, weeks=6, mixed=False))
    found = compared(pair, HOURS)
    apart = [replace(one, cluster=one.cluster + 20) for one in pair[1]]
    assert found.method == compared((pair[0], apart), HOURS).method
    assert "whole weeks drawn (7 and 6)" in found.method
    assert found.effect == compared((pair[0], apart), HOURS).effect


def test_the_parts_of_a_shared_week_are_relabelled_apart() -> None:
    """Seven labels, not six and a week that both windows have: 35 relabellings."""
    before = drawn(11, first=0, weeks=4, a_week=4, mixed=False, shock=0.6)
    after = drawn(110, first=3, weeks=3, a_week=4, factor=3.0, mixed=False, shock=0.6)
    rule = replace(RULE, replicates=20_000, min_clusters=3, min_n=2)
    apart = [replace(one, cluster=one.cluster + 20) for one in after]
    check_p(compared((before, after), HOURS, rule), plain.p_over_all([(before, apart)], 0.5), 2)


# --- little, or nothing that varies


def shares(hits: int, n: int, first: int, weeks: int = 8) -> Tickets:
    return [Ticket(float(i < hits), first + i % weeks) for i in range(n)]


@pytest.mark.parametrize(("k", "j"), [(0, 0), (400, 400), (0, 3), (2, 0), (398, 400)])
def test_with_hardly_a_hit_the_interval_is_at_least_newcombes(k: int, j: int) -> None:
    """400 tickets a side in whole weeks: with no hit at all no week differs from another."""
    found = compared((shares(k, 400, 0), shares(j, 400, 20)), SHARES)
    low, high = newcombe(Share(k, 400), Share(j, 400))
    assert found.effect == pytest.approx((j - k) / 400)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= low + 1e-12
    assert found.high >= high - 1e-12
    if (k, j) in ((0, 0), (400, 400)):
        assert (found.low, found.high) == pytest.approx((low, high))
        assert found.p_value == 1.0
        assert found.verdict is Outcome.NO_EFFECT


def test_with_hardly_a_hit_two_groups_have_at_least_what_mover_gives() -> None:
    none = shares(0, 400, 0), shares(0, 400, 20)
    found = differed(none, none, SHARES)
    low, high = newcombe(Share(0, 400), Share(0, 400))
    assert found.low == pytest.approx(-math.hypot(low, high))
    assert found.high == pytest.approx(math.hypot(low, high))
    assert found.verdict is Outcome.NO_EFFECT
    few = shares(2, 400, 0), shares(9, 400, 20)
    found = differed(few, none, SHARES)
    first = newcombe(Share(2, 400), Share(9, 400))
    assert found.low is not None
    assert found.low <= 7 / 400 - math.hypot(7 / 400 - first[0], high) + 1e-12


def test_the_limits_of_two_changes_are_those_of_mover_on_each_side() -> None:
    """One hit a week in the others now, none else: no draw of weeks shows any spread."""
    none = shares(0, 400, 0), shares(0, 400, 20)
    found = differed(none, (none[0], shares(8, 400, 20)), SHARES)
    ours, theirs = newcombe(Share(0, 400), Share(0, 400)), newcombe(Share(0, 400), Share(8, 400))
    value = 8 / 400
    assert found.effect == pytest.approx(-value)
    # what lies above their change lies below the difference
    assert found.low == pytest.approx(-value - math.hypot(ours[0], theirs[1] - value))
    assert found.high == pytest.approx(-value + math.hypot(ours[1], value - theirs[0]))


def test_all_against_none_is_a_claim() -> None:
    found = compared((shares(0, 400, 0), shares(400, 400, 20)), SHARES)
    assert (found.effect, found.verdict) == (1.0, Outcome.IMPROVED)


def constant(value: float, first: int, *, running: bool = False) -> Tickets:
    return [Ticket(value, first + i % 8, running=running) for i in range(160)]


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ((constant(5.0, 0), constant(5.0, 20)), "same whichever weeks are drawn"),
        ((constant(5.0, 0), constant(4.0, 20)), "same whichever weeks are drawn"),
        ((constant(0.0, 0), constant(5.0, 20)), "of a side is 0"),
        ((constant(5.0, 0), constant(0.0, 20)), "of a side is 0"),
        ((constant(5.0, 0, running=True), constant(5.0, 20)), "too few cases have ended"),
        ((constant(5.0, 0, running=True), constant(5.0, 20, running=True)), "too few cases have"),
        (([], constant(5.0, 20)), "0 weeks"),
        ((constant(5.0, 0), []), "0 weeks"),
        (([], []), "0 weeks"),
        ((constant(5.0, 0), [Ticket(4.0 + i / 50, 20) for i in range(50)]), "1 weeks"),
        ((drawn(1, first=0, weeks=8), drawn(2, first=20, weeks=3)), "3 weeks"),
        ((drawn(1, first=0, weeks=8), drawn(2, first=20, weeks=6, a_week=2)), "current has 12"),
    ],
)
def test_what_cannot_be_told_is_inconclusive_and_says_why(pair: Pair, why: str) -> None:
    found = compared(pair, HOURS)
    assert found.verdict is Outcome.INCONCLUSIVE
    assert why in found.sentence
    json.dumps(found.to_dict(), allow_nan=False)
    two = differed(pair, pair, HOURS)
    assert two.verdict is Outcome.INCONCLUSIVE
    json.dumps(two.to_dict(), allow_nan=False)


def test_a_group_without_tickets_is_inconclusive() -> None:
    pair = pair_of(1, HOURS)
    found = differed(pair, ([], pair[1]), HOURS)
    assert (found.verdict, found.effect) == (Outcome.INCONCLUSIVE, None)
    assert "0 weeks" in found.sentence


def test_a_few_teams_are_not_enough() -> None:
    found = differed(by_teams(1, range(5)), by_teams(2, range(5, 20)), HOURS, by="team")
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "5 teams" in found.sentence


# --- by week


@MEASURES
def test_each_week_is_weighted_to_the_same_mix(measure: Measure) -> None:
    tickets = drawn(4, first=3, weeks=5, a_week=60, measure=measure)
    like = drawn(5, first=30, weeks=5, a_week=60, measure=measure, tilt=0.3)
    found = weekly(side(tickets, measure), side(like, measure), measure)
    assert found.weeks.tolist() == [3, 4, 5, 6, 7]
    assert found.n.tolist() == [60] * 5
    for week, value in zip(found.weeks.tolist(), found.f.tolist(), strict=True):
        mine = [one for one in tickets if one.cluster == week]
        assert value == pytest.approx(
            plain.f(mine, plain.raked(mine, like), measure.q), rel=1e-4, abs=1e-6
        )


def test_a_week_whose_median_was_not_reached_has_no_value() -> None:
    tickets = [*constant(5.0, 0), *(Ticket(5.0, 9, running=True) for _ in range(20))]
    found = weekly(side(tickets), side(tickets), HOURS)
    assert np.isnan(found.f[-1])
    assert np.isfinite(found.f[:-1]).all()
