"""Whatever the silent would have said: the figure of all lies within the bounds of those who spoke.

The oracle counts by hand, with the whole truth known; it shares no code with what it checks.
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from csi.feedback.figures import Ask, Population, figures, response_rate
from csi.feedback.scales import SCALES

CUT = {"1-5": 4, "1-7": 6, "1-10": 9, "good/bad": 1, "smiley 1-3": 3, "ces 1-7": 5}


@st.composite
def surveys(draw: st.DrawFn) -> tuple[str, list[int], list[bool], list[bool], list[str]]:
    """A scale; of each ticket the true score, whether it was asked, answered; its segment."""
    scale = draw(st.sampled_from(sorted(SCALES)))
    n = draw(st.integers(5, 40))
    low, high = SCALES[scale].lowest, SCALES[scale].highest
    truth = draw(st.lists(st.integers(low, high), min_size=n, max_size=n))
    asked = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    answers = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    parts = draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    return scale, truth, asked, answers, parts


def true_figure(what: str, scale: str, scores: list[int]) -> Fraction:
    n = len(scores)
    if what == "net promoter score":
        return Fraction(100 * (sum(x >= 9 for x in scores) - sum(x <= 6 for x in scores)), n)
    if what.startswith("mean"):
        return Fraction(sum(scores), n)
    return Fraction(sum(x >= CUT[scale] for x in scores), n)


@settings(deadline=None, max_examples=150)
@given(surveys())
def test_bounds_hold_what_the_figure_would_be_had_all_answered(
    survey: tuple[str, list[int], list[bool], list[bool], list[str]],
) -> None:
    scale, truth, asked, answers, parts = survey
    names = [f"T{i}" for i in range(len(truth))]
    people = Population({name: {"part": part} for name, part in zip(names, parts, strict=True)})
    asks = [
        Ask(name, "mail", scale, score if answered else None, name)
        for name, score, was_asked, answered in zip(names, truth, asked, answers, strict=True)
        if was_asked
    ]
    of_asked = [score for score, was_asked in zip(truth, asked, strict=True) if was_asked]
    for one in figures(asks, people, weigh=["part"]):
        said = sum(ask.score is not None for ask in asks)
        assert one.answered == said
        if one.suppressed:
            assert said < 5
            continue
        for bounds, scores in ((one.asked_bounds, of_asked), (one.all_bounds, truth)):
            assert bounds.low is not None
            assert bounds.high is not None
            full = float(true_figure(one.what, scale, scores))
            assert bounds.low - 1e-9 <= full <= bounds.high + 1e-9
        assert one.score.value is not None
        assert one.asked_bounds.low is not None
        assert one.asked_bounds.high is not None
        assert one.asked_bounds.low - 1e-9 <= one.score.value <= one.asked_bounds.high + 1e-9
        for weight in one.weighted:
            assert one.all_bounds.low is not None
            assert one.all_bounds.high is not None
            low, high = weight.low, weight.high
            assert low is None or high is None or low <= weight.value <= high
    rate = response_rate(asks, people)
    assert rate.asked == len(asks)
    assert rate.never_asked == asked.count(False)


@settings(deadline=None, max_examples=60)
@given(surveys())
def test_where_all_answered_nothing_is_open_and_weights_change_nothing(
    survey: tuple[str, list[int], list[bool], list[bool], list[str]],
) -> None:
    scale, truth, _, _, parts = survey
    people = Population({f"T{i}": {"part": part} for i, part in enumerate(parts)})
    asks = [Ask(f"T{i}", "mail", scale, score, str(i)) for i, score in enumerate(truth)]
    for one in figures(asks, people, weigh=["part"]):
        full = float(true_figure(one.what, scale, truth))
        for value in (one.score.value, one.asked_bounds.low, one.all_bounds.high):
            assert value is not None
            assert abs(value - full) < 1e-9
        for weight in one.weighted:
            assert abs(weight.value - full) < 1e-9
