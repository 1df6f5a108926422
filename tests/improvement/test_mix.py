"""Weights by raking: the margins of the other window, and nothing else.

The oracle rakes ticket by ticket (tests/oracles/window_change.py).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.window_change import Ticket, raked

from csi.statistics.mix import FEWEST, LEAST_SHARE, mix_of

if TYPE_CHECKING:
    from csi.statistics.bootstrap import Floats

Words = list[tuple[str, ...]]
NAMES = ("priority", "category", "weekend")


def table(words: Words) -> pd.DataFrame:
    return pd.DataFrame(words, columns=NAMES[: len(words[0])], dtype=object)


def weights(had: Words, wanted: Words) -> Floats:
    """The weight of each ticket of `had`."""
    mix = mix_of(table(had), table(wanted))
    counts = [
        np.bincount(codes, minlength=mix.combinations).astype(float)[None, :]
        for codes in (mix.baseline, mix.current)
    ]
    found: Floats = mix.factors(*counts)[0][mix.baseline]
    return found


def drawn(seed: int, n: int, tilt: float) -> Words:
    """Two margins that hang together, no level rare."""
    rng = np.random.default_rng(seed)
    first = rng.choice(["P1", "P2", "P3"], n, p=[0.3 + tilt, 0.4, 0.3 - tilt])
    hard = rng.random(n) < np.where(first == "P1", 0.7, 0.4) - tilt
    return [(p, "network" if h else "account") for p, h in zip(first, hard, strict=True)]


@given(seed=st.integers(0, 10**6), tilt=st.floats(-0.15, 0.15), n=st.integers(300, 500))
@settings(max_examples=15, deadline=None)
def test_weights_are_those_of_raking_ticket_by_ticket(seed: int, tilt: float, n: int) -> None:
    had, wanted = drawn(seed, n, tilt), drawn(seed + 1, 300, 0.0)
    expected = raked([Ticket(0.0, words=w) for w in had], [Ticket(0.0, words=w) for w in wanted])
    np.testing.assert_allclose(weights(had, wanted), expected, rtol=1e-4)


@given(seed=st.integers(0, 10**6), tilt=st.floats(-0.15, 0.15))
@settings(max_examples=15, deadline=None)
def test_the_margins_are_those_of_the_other_window(seed: int, tilt: float) -> None:
    had, wanted = drawn(seed, 400, tilt), drawn(seed + 1, 250, 0.0)
    weighted = weights(had, wanted)
    for margin in (0, 1):
        aim = Counter(words[margin] for words in wanted)
        for word, n in aim.items():
            mine = [w for w, words in zip(weighted, had, strict=True) if words[margin] == word]
            assert sum(mine) == pytest.approx(n, abs=1e-3)


def test_one_margin_is_direct_standardisation() -> None:
    """With one margin a weight is the ratio of two counts, as in any textbook."""
    had: Words = [("P1",)] * 100 + [("P2",)] * 300
    wanted: Words = [("P1",)] * 120 + [("P2",)] * 80
    found = weights(had, wanted)
    assert found[0] == pytest.approx(1.2)
    assert found[-1] == pytest.approx(80 / 300)


def test_equal_mixes_weigh_nothing() -> None:
    words = drawn(3, 400, 0.0)
    np.testing.assert_allclose(weights(words, words), 1.0, rtol=1e-9)


def test_without_differences_there_is_nothing_to_weigh() -> None:
    words: Words = [("P1", "network")] * 50
    mix = mix_of(table(words), table(words * 2))
    assert mix.levels == ()
    assert mix.combinations == 1


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    had, wanted = drawn(seed, 120, 0.1), drawn(seed + 1, 120, 0.0)
    order = np.random.default_rng(seed).permutation(len(had))
    turned = weights([had[i] for i in order], wanted[::-1])
    np.testing.assert_array_equal(turned, weights(had, wanted)[order])


@given(extra=st.integers(0, 30), lost=st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_what_the_baseline_lacks_is_counted(extra: int, lost: int) -> None:
    """A level of the current window alone is counted; one of the baseline alone is no matter."""
    had: Words = [("P1",), ("P2",)] * 60 + [("rare",)] + [("gone",)] * lost
    wanted: Words = [("P1",), ("P2",)] * 50 + [("rare",)] * 3 + [("new",)] * extra
    assert mix_of(table(had), table(wanted)).unmatched == extra


def test_a_ticket_that_lacks_two_words_is_counted_once() -> None:
    had: Words = [("P1", "a"), ("P2", "b")] * 40
    wanted: Words = [("P1", "a"), ("P2", "b")] * 40 + [("P3", "c")] * 5
    assert mix_of(table(had), table(wanted)).unmatched == 5


def test_a_missing_word_is_a_level_of_its_own() -> None:
    had = pd.DataFrame({"category": ["a"] * 60 + [None] * 40})
    wanted = pd.DataFrame({"category": ["a"] * 50 + [None] * 50})
    mix = mix_of(had, wanted)
    assert (mix.combinations, mix.unmatched) == (2, 0)
    none = mix_of(had.iloc[:60], wanted)
    assert none.unmatched == 50


def pooled(had: list[str], wanted: list[str]) -> set[frozenset[str]]:
    """Which words share a level."""
    mix = mix_of(pd.DataFrame({"word": had}), pd.DataFrame({"word": wanted}))
    by_code: dict[int, set[str]] = {}
    for words, codes in ((had, mix.baseline), (wanted, mix.current)):
        for word, code in zip(words, codes.tolist(), strict=True):
            by_code.setdefault(code, set()).add(word)
    return {frozenset(words) for words in by_code.values()}


def test_rare_levels_are_pooled() -> None:
    had = ["a"] * 300 + ["b"] * 200 + ["c"] * 15 + ["d"] * 18
    wanted = ["a"] * 200 + ["b"] * 200 + ["c"] * 30 + ["d"] * 30
    assert pooled(had, wanted) == {frozenset("a"), frozenset("b"), frozenset("cd")}


def test_a_pool_that_is_rare_too_joins_the_commonest() -> None:
    had = ["a"] * 300 + ["b"] * 200 + ["c"] * 9
    wanted = ["a"] * 200 + ["b"] * 200 + ["c"] * 300
    assert pooled(had, wanted) == {frozenset("ac"), frozenset("b")}


def test_a_pool_that_is_the_commonest_itself_joins_another() -> None:
    """Ten tickets of the baseline must not stand for a thousand."""
    had = ["a"] * 500 + ["b"] * 100 + ["c"] * 5 + ["d"] * 5
    wanted = ["a"] * 100 + ["b"] * 100 + ["c"] * 500 + ["d"] * 500
    assert pooled(had, wanted) == {frozenset("acd"), frozenset("b")}


@given(counts=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=7))
@settings(max_examples=150, deadline=None)
def test_no_level_is_rare_and_no_weight_is_huge(counts: list[tuple[int, int]]) -> None:
    """Whatever the words: each level has enough tickets on both sides, or there is but one."""
    had = [f"w{i}" for i, (n, _) in enumerate(counts) for _ in range(n)]
    wanted = [f"w{i}" for i, (_, n) in enumerate(counts) for _ in range(n)]
    if not had or not wanted:
        return
    mix = mix_of(pd.DataFrame({"word": had}), pd.DataFrame({"word": wanted}))
    assert mix.combinations >= 1
    if mix.combinations == 1:
        return
    for codes, side in ((mix.baseline, had), (mix.current, wanted)):
        least = max(FEWEST, LEAST_SHARE * len(side))
        assert np.bincount(codes, minlength=mix.combinations).min() >= least


def test_a_level_that_a_replicate_lacks_breaks_nothing() -> None:
    words: Words = [("P1", "a"), ("P2", "b"), ("P1", "b")] * 40
    mix = mix_of(table(words), table(words))
    had = np.array([[40.0, 40.0, 40.0], [0.0, 40.0, 40.0], [0.0, 0.0, 40.0]])
    factors = mix.factors(had, np.repeat(had[:1], 3, axis=0))
    assert np.isfinite(factors).all()
    assert (factors >= 0).all()


@pytest.mark.parametrize("empty", ["baseline", "current", "both"])
def test_a_side_without_tickets_is_no_error(empty: str) -> None:
    words = table([("P1", "a"), ("P2", "b")] * 40)
    none = words.iloc[:0]
    had = none if empty != "current" else words
    wanted = none if empty != "baseline" else words
    mix = mix_of(had, wanted)
    assert mix.combinations == 1
    assert mix.unmatched == (len(wanted) if empty != "current" else 0)
