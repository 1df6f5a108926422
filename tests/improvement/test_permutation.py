"""Two groups of cases, relabelled: the law is exact, the size kept, a planted difference found.

Beside it the estimates that a comparison says in numbers: medians, variation, risk ratios.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.permutation import flow_p_values
from scipy.stats import binom, binomtest

from csi.statistics import Sample
from csi.statistics.association import Table, adjusted, lift, p_value, risk_ratio
from csi.statistics.medians import difference_of_medians
from csi.statistics.permutation import PermutationTest, Presence, permutation_test
from csi.statistics.variation import variation
from process_mining.errors import CodedError, RunError

Cases = list[frozenset[str]]


def presence(a: Cases, b: Cases) -> tuple[Presence, list[str]]:
    """One class a case: nothing is merged beforehand."""
    names = sorted({name for case in (*a, *b) for name in case})
    pairs = [(i, names.index(name)) for i, case in enumerate((*a, *b)) for name in sorted(case)]
    in_a = np.arange(len(a) + len(b)) < len(a)
    row, column = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    return Presence(in_a.astype(np.int64), (~in_a).astype(np.int64), row, column, len(names)), names


def relabelled(a: Cases, b: Cases, **options: float) -> PermutationTest:
    return permutation_test(presence(a, b)[0], **options)  # type: ignore[arg-type]


def desk(rng: np.random.Generator, n: int, *, skip: float, wait: float) -> Cases:
    """Cases with successions that hang together, as those of one process do."""
    found = []
    for _ in range(n):
        trace = ["start", "Assign"] + ["Diagnose"] * (rng.random() > skip)
        trace += ["Wait"] * (rng.random() < wait) + ["Resolve"]
        trace += ["Reopen", "Resolve"] * (rng.random() < 0.1) + ["end"]
        found.append(frozenset([*trace, *map(str, itertools.pairwise(trace))]))
    return found


# --- the exact law

small_cases = st.lists(
    st.frozensets(st.sampled_from("abcd"), max_size=4), min_size=8, max_size=10
).filter(lambda cases: len(set(cases)) > 1)


@given(cases=small_cases, n=st.integers(3, 5))
@settings(max_examples=12, deadline=None)
def test_many_permutations_agree_with_all_of_them(cases: Cases, n: int) -> None:
    """Every p lies within the Monte-Carlo error of the p over all relabellings."""
    a, b = cases[:n], cases[n:]
    some = [x for x in "abcd" if 0 < sum(x in case for case in cases) < len(cases)]
    if not some:
        return
    drawn = 4000
    found, names = presence(a, b)
    test = permutation_test(found, permutations=drawn, least_expected=0.01)
    p, adjusted_p = flow_p_values(a, b, some)
    assert test.p is not None
    exact = {"all": float(p)} | {name: float(value) for name, value in adjusted_p.items()}
    got = {"all": test.p} | {name: test.adjusted_p[names.index(name)] for name in some}
    for name, value in got.items():
        low, high = binom.interval(1 - 1e-6, drawn, exact[name])
        assert low - 1 <= value * (drawn + 1) - 1 <= high + 1, (name, value, exact[name])


def test_the_interval_of_p_is_that_of_having_drawn_only_some() -> None:
    rng = np.random.default_rng(5)
    test = relabelled(desk(rng, 60, skip=0.1, wait=0.3), desk(rng, 60, skip=0.25, wait=0.3))
    assert test.p is not None
    k = round(test.p * (test.permutations + 1)) - 1
    expected = binomtest(k, test.permutations).proportion_ci(0.95, method="exact")
    assert (test.low, test.high) == (expected.low, expected.high)


def test_cases_of_one_kind_are_counted_not_listed() -> None:
    """A class of many cases, and as many classes of one, are the same question."""
    rng = np.random.default_rng(8)
    a, b = desk(rng, 80, skip=0.1, wait=0.2), desk(rng, 70, skip=0.2, wait=0.2)
    single, names = presence(a, b)
    kinds = sorted({*a, *b}, key=sorted)
    pairs = [(i, names.index(x)) for i, kind in enumerate(kinds) for x in sorted(kind)]
    row, column = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    counts = [np.array([side.count(kind) for kind in kinds]) for side in (a, b)]
    many = Presence(counts[0], counts[1], row, column, len(names))
    one, other = permutation_test(single), permutation_test(many)
    assert (one.p, one.statistic) == (other.p, other.statistic)
    np.testing.assert_array_equal(one.adjusted_p, other.adjusted_p)


def test_the_order_of_cases_and_the_labels_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    a, b = desk(rng, 50, skip=0.1, wait=0.2), desk(rng, 50, skip=0.3, wait=0.2)
    one, again, turned = relabelled(a, b), relabelled(a[::-1], b[::-1]), relabelled(b, a)
    assert (one.p, one.statistic) == (again.p, again.statistic)
    np.testing.assert_array_equal(one.adjusted_p, again.adjusted_p)
    np.testing.assert_allclose(one.z, -turned.z, atol=1e-12)
    assert one.statistic == pytest.approx(turned.statistic)


def test_rare_and_general_features_are_not_tested() -> None:
    a = [frozenset({"always", "often", *(["rare"] if i < 4 else [])}) for i in range(50)]
    b = [frozenset({"always", *(["often"] if i < 25 else [])}) for i in range(50)]
    found, names = presence(a, b)
    test = permutation_test(found)
    assert [names[i] for i in np.flatnonzero(test.testable)] == ["often"]
    assert np.isnan(test.adjusted_p[names.index("rare")])
    nothing = relabelled(a[:3], b[:3])
    assert (nothing.p, nothing.low, nothing.statistic) == (None, None, None)


def test_equal_groups_have_the_largest_p() -> None:
    rng = np.random.default_rng(3)
    a = desk(rng, 60, skip=0.2, wait=0.3)
    assert relabelled(a, a).p == 1.0


def test_numbers_that_make_no_test_are_refused_all_at_once() -> None:
    found, _ = presence([frozenset("a")], [frozenset("b")])
    with pytest.raises(CodedError) as error:
        permutation_test(found, permutations=10, seed=-1)
    assert [line[:5] for line in str(error.value).splitlines()] == ["ST521", "ST521"]
    ones = np.ones(2, dtype=np.int64)
    with pytest.raises(RunError, match=r"^ST522"):
        Presence(ones, ones, np.array([2]), np.array([0]), 1)


# --- size and power


def rates(runs: int, *, skip: float, seed: int, n: int = 80) -> tuple[int, int]:
    """In how many of the runs all features together, and at least one alone, seem to differ."""
    rng = np.random.default_rng(seed)
    whole = alone = 0
    for _ in range(runs):
        test = relabelled(
            desk(rng, n, skip=0.1, wait=0.3), desk(rng, n, skip=skip, wait=0.3), permutations=199
        )
        assert test.p is not None
        whole += test.p <= 0.05
        alone += bool(np.nanmin(test.adjusted_p) <= 0.05)
    return whole, alone


def test_without_a_difference_one_in_twenty_is_found() -> None:
    """Size: at most what a true 5 % gives in 150 runs; a true 15 % would show."""
    whole, alone = rates(150, skip=0.1, seed=11)
    most = binom.ppf(0.999, 150, 0.05)
    assert whole <= most
    assert alone <= most


def test_a_planted_difference_is_found() -> None:
    whole, alone = rates(30, skip=0.45, seed=12)
    assert min(whole, alone) >= 27


@pytest.mark.trial
def test_size_and_power_over_many_runs() -> None:
    whole, alone = rates(1000, skip=0.1, seed=13)
    low, high = binom.interval(0.999, 1000, 0.05)
    print(f"size over 1,000 null pairs of 80 cases: all {whole / 1000:.3f}, any {alone / 1000:.3f}")  # noqa: T201 - a trial shows its figures
    assert whole <= high
    assert alone <= high
    assert whole >= low / 2  # not so careful that it finds nothing
    found = [rates(200, skip=skip, seed=14)[0] / 200 for skip in (0.15, 0.25, 0.35)]
    print(f"power at skips of 10 % against 15, 25, 35 %: {found}")  # noqa: T201 - a trial shows its figures
    assert found == sorted(found)
    assert found[-1] > 0.8


# --- variation


@given(
    a=st.lists(st.integers(0, 8), min_size=1, max_size=6),
    b=st.lists(st.integers(0, 8), min_size=6, max_size=6),
)
@settings(max_examples=30, deadline=None)
def test_what_chance_gives_is_the_mean_over_relabellings(a: list[int], b: list[int]) -> None:
    in_a, in_b = np.array([*a, *[0] * (6 - len(a))]), np.array(b)
    found = variation(in_a, in_b)
    if not in_a.sum() or not in_b.sum():
        assert found is None
        return
    assert found is not None
    drawn = np.random.default_rng(1).multivariate_hypergeometric(
        in_a + in_b, int(in_a.sum()), size=4000
    )
    apart = np.abs(drawn / in_a.sum() - (in_a + in_b - drawn) / in_b.sum()).sum(axis=1) / 2
    assert found.by_chance == pytest.approx(apart.mean(), abs=5 * apart.std() / 60 + 1e-9)
    assert 0 <= found.distance <= 1


def test_variation_from_alike_to_nothing_in_common() -> None:
    alike = variation(np.array([5, 10]), np.array([10, 20]))
    apart = variation(np.array([5, 0]), np.array([0, 3]))
    assert alike is not None
    assert apart is not None
    assert (alike.distance, apart.distance) == (0.0, 1.0)
    big = variation(np.array([900_000, 100_000]), np.array([450_000, 50_000]))
    assert big is not None
    assert big.distance == 0.0
    assert 0 < big.by_chance < 0.001


# --- medians


def test_the_difference_of_medians_without_censoring() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.lognormal(1, 1, 400), rng.lognormal(1.5, 1, 400)
    found = difference_of_medians(Sample(a, "h"), Sample(b, "h"))
    assert found.value == pytest.approx(np.median(b) - np.median(a), rel=0.05)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high  # type: ignore[operator]
    back = difference_of_medians(Sample(b, "h"), Sample(a, "h"))
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    moved = difference_of_medians(Sample(a + 3, "h"), Sample(b + 3, "h"))
    assert moved.low == pytest.approx(found.low)


def test_a_median_that_was_not_seen_is_not_made_up() -> None:
    times = np.arange(1.0, 31.0)
    late = Sample(times, "h", censored=times > 10)
    found = difference_of_medians(late, Sample(times, "h"))
    assert (found.value, found.low, found.high, found.relative) == (None, None, None, None)


@pytest.mark.trial
def test_limits_of_the_difference_cover() -> None:
    """1,000 pairs of 60 and 90 log-normal times, a fifth censored: 95 % limits cover 93 to 98 %."""
    rng, inside = np.random.default_rng(6), 0
    truth = math.exp(1.4) - math.exp(1.0)
    for _ in range(1000):
        sides = []
        for mu, n in ((1.0, 60), (1.4, 90)):
            times, until = rng.lognormal(mu, 0.9, n), rng.exponential(14, n)
            sides.append(Sample(np.minimum(times, until), "h", censored=times > until))
        found = difference_of_medians(*sides)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    print(f"MOVER limits of the difference of medians covered {inside} of 1,000")  # noqa: T201 - a trial shows its figures
    assert 930 <= inside <= 980


# --- risk ratios


def test_score_limits_of_a_published_table() -> None:
    """Koopman (1984), 36 of 40 against 16 of 80: 2.94 to 7.15."""
    found = risk_ratio(Table(36, 40, 16, 80))
    assert (found.value, found.low, found.high) == pytest.approx((4.5, 2.94, 7.15), abs=0.005)


@given(n=st.integers(1, 60), m=st.integers(1, 60), k=st.integers(0, 60), j=st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_ratios_hold_their_limits_and_turn_round(n: int, m: int, k: int, j: int) -> None:
    table = Table(min(k, n), n, min(j, m), m)
    found = risk_ratio(table)
    turned = risk_ratio(Table(table.k_rest, m, table.k, n))
    if found.low is None:
        assert table.k + table.k_rest == 0
        return
    value = math.inf if found.value is None else found.value
    high = math.inf if found.high is None else found.high
    assert 0 <= found.low <= value <= high
    if turned.value and found.value and turned.low and found.high:
        assert found.high == pytest.approx(1 / turned.low, rel=1e-4)
    risen = lift(table, found)
    assert risen.value is not None
    assert risen.low is not None
    assert risen.high is not None
    share = (table.k + table.k_rest) / (n + m)
    assert risen.value == pytest.approx(table.k / n / share)
    assert risen.low - 1e-9 <= risen.value <= risen.high + 1e-9
    assert risen.high <= (n + m) / n + 1e-9


def test_p_values_and_their_adjustment_by_hand() -> None:
    assert p_value(Table(3, 4, 1, 4)) == pytest.approx(34 / 70)  # the lady tasting tea
    given_p = [0.01, 0.04, 0.03, 0.5]
    assert adjusted(given_p) == pytest.approx([0.04, 4 / 75, 4 / 75, 0.5])
    assert adjusted([]) == []


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(RunError, match=r"^ST523"):
        Table(5, 4, 0, 4)
    assert risk_ratio(Table(0, 4, 0, 4)).value is None


@pytest.mark.trial
def test_limits_of_the_ratio_cover() -> None:
    rng, inside = np.random.default_rng(9), 0
    for _ in range(2000):
        table = Table(int(rng.binomial(40, 0.3)), 40, int(rng.binomial(400, 0.1)), 400)
        found = risk_ratio(table)
        assert found.low is not None
        inside += found.low <= 3.0 <= (found.high or math.inf)
    print(f"score limits of the risk ratio covered {inside} of 2,000")  # noqa: T201 - a trial shows its figures
    assert 0.935 <= inside / 2000 <= 0.97
