from __future__ import annotations

import math
import random
from statistics import mean, variance
from typing import TYPE_CHECKING

import pytest
from scipy.stats import binomtest

from csi.feedback.comments import Comment, group_comments
from csi.feedback.figures import Ask, Figure, Population, figures, response_rate
from csi.feedback.responses import Response, table_of
from csi.feedback.scales import SCALES, BadScoreError
from csi.feedback.screening import REASONS, screen, screened_table
from csi.feedback.tickets import Ticket, Tickets
from process_mining.privacy import pseudonym

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = b"a key of sixteen bytes or more"
HOUR = 3_600_000_000


def asks(scale: str, scores: Sequence[int | None], *, known: bool = True) -> list[Ask]:
    return [
        Ask(f"T{i:04d}", "mail", scale, score, f"ask {i}", known) for i, score in enumerate(scores)
    ]


def of_all(scale: str, scores: Sequence[int | None]) -> dict[str, Figure]:
    return {one.what: one for one in figures(asks(scale, scores), None)}


# --- the measures


def test_nps_by_its_definition() -> None:
    """Reichheld 2003: promoters are 9 and 10, detractors 0 to 6; passives count in n alone."""
    [nps] = of_all("0-10", [10, 9, 9, 10, 9, 8, 7, 6, 0, 3, None]).values()
    assert (nps.score.value, nps.score.n, nps.score.unit) == (20, 10, "points")
    assert nps.asked_bounds.low == pytest.approx(100 * (5 - 3 - 1) / 11)
    assert nps.asked_bounds.high == pytest.approx(100 * (5 - 3 + 1) / 11)
    # Rocks 2016: three pseudo-answers more, 3/4 promoters, 3/4 detractors, the rest passive
    weights = {1: 5.75, 0: 3.5, -1: 3.75}
    n = sum(weights.values())
    centre = sum(v * w for v, w in weights.items()) / n
    spread = sum(w * (v - centre) ** 2 for v, w in weights.items()) / n
    half = 1.959964 * math.sqrt(spread / n)
    assert nps.score.low == pytest.approx(100 * (centre - half), abs=1e-4)
    assert nps.score.high == pytest.approx(100 * (centre + half), abs=1e-4)


@pytest.mark.parametrize(("scores", "value"), [([10] * 6, 100), ([0] * 6, -100), ([7] * 6, 0)])
def test_nps_at_its_ends_stays_on_its_scale(scores: list[int], value: int) -> None:
    [nps] = of_all("0-10", scores).values()
    assert nps.score.value == value
    assert nps.score.low is not None
    assert nps.score.high is not None
    assert -100 <= nps.score.low < nps.score.high <= 100


@pytest.mark.parametrize(
    ("scale", "scores", "satisfied"),
    [
        ("1-5", [5, 4, 3, 2, 1], 2),
        ("1-7", [7, 6, 5, 4, 1], 2),
        ("1-10", [10, 9, 8, 7, 1], 2),
        ("good/bad", [1, 1, 0, 0, 0], 2),
        ("smiley 1-3", [3, 2, 1, 3, 1], 2),
    ],
)
def test_csat_is_the_share_of_the_top_boxes(scale: str, scores: list[int], satisfied: int) -> None:
    found = of_all(scale, scores)
    share = found["satisfied share"].score
    assert share.value == satisfied / 5
    interval = binomtest(satisfied, 5).proportion_ci(0.95, method="wilson")
    assert (share.low, share.high) == pytest.approx((interval.low, interval.high))
    assert ("mean score" in found) == scale.startswith("1-")


def test_ces_is_mean_agreement_and_the_share_that_agrees() -> None:
    found = of_all("ces 1-7", [7, 6, 5, 4, 3, 2, None])
    assert found["mean agreement"].score.value == 27 / 6
    assert found["share that agrees"].score.value == 3 / 6
    bounds = found["mean agreement"].asked_bounds
    assert (bounds.low, bounds.high) == (28 / 7, 34 / 7)


def test_no_scale_gives_another_measure() -> None:
    given = {name: [scale.highest] * 5 for name, scale in SCALES.items()}
    for name, scores in given.items():
        measures = {one.measure for one in of_all(name, scores).values()}
        assert measures == {SCALES[name].measure}
    assert {name for name, scale in SCALES.items() if scale.measure == "NPS"} == {"0-10"}


def test_scales_are_pooled_as_satisfied_or_not_and_nothing_else() -> None:
    mixed = asks("1-5", [5, 5, 2, None]) + asks("good/bad", [1, 0, 0]) + asks("0-10", [10] * 5)
    pooled = [f for f in figures(mixed, None) if f.what == "satisfied share, scales pooled"]
    assert [f.scale for f in pooled] == ["1-5 + good/bad"]
    assert (pooled[0].score.value, pooled[0].answered, pooled[0].asked) == (3 / 6, 6, 7)
    assert pooled[0].asked_bounds.low == 3 / 7


@pytest.mark.parametrize(
    "text", ["6", "0", "-1", "4.5", "4,0", "1e0", " 4", "٤", "", "good", "4.0"]
)
def test_a_score_that_is_not_on_its_scale(text: str) -> None:
    with pytest.raises(BadScoreError):
        SCALES["1-5"].read(text)
    if text != "4.0":
        with pytest.raises(BadScoreError):
            SCALES["1-5"].read(text, noughts=True)


def test_fewer_than_five_answers_show_no_score() -> None:
    for one in of_all("1-5", [5, 1, 1, 1, None]).values():
        assert one.suppressed
        assert (one.answered, one.score.value, one.asked_bounds.low) == (4, None, None)


def test_answers_to_one_ticket_are_drawn_together() -> None:
    scores = [5, 5, 1, 1, 4, 4, 2, 2] * 4
    apart = asks("1-5", scores)
    together = [Ask(f"T{i // 2}", "mail", "1-5", a.score, a.who) for i, a in enumerate(apart)]
    wide, narrow = (figures(some, None)[0].score for some in (together, apart))
    assert wide.value == narrow.value
    assert "clusters" in wide.method
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


# --- weights and rates


def population(*sizes: tuple[str, int]) -> Population:
    names = [name for name, n in sizes for _ in range(n)]
    return Population({f"T{i:04d}": {"priority": name} for i, name in enumerate(names)})


def test_weights_are_the_sizes_of_the_segments() -> None:
    """P1: 10 tickets, 5 answered with 1 4 4 4 4; P2: 30 tickets, 5 answered with 5 5 5 2 2."""
    first, second = [1, 4, 4, 4, 4], [5, 5, 5, 2, 2]
    scores = [*first, *[None] * 5, *second, *[None] * 25]
    people = population(("P1", 10), ("P2", 30))
    found = figures(asks("1-5", scores), people, weigh=["priority"])
    average = next(one for one in found if one.what == "mean score")
    assert average.score.value == 36 / 10
    [one] = average.weighted
    assert one.value == pytest.approx(0.25 * mean(first) + 0.75 * mean(second))
    spread = 0.25**2 * variance(first) / 5 + 0.75**2 * variance(second) / 5
    half = 1.959964 * math.sqrt(spread)
    assert (one.low, one.high) == pytest.approx((one.value - half, one.value + half), abs=1e-5)
    assert (one.tickets, one.population, one.segments, one.pooled) == (10, 40, 2, ())
    assert average.all_bounds == average.asked_bounds  # all tickets were asked about


def test_segments_with_too_few_answers_are_pooled_and_named() -> None:
    scores = [*[5] * 6, *[1, 1, 1], *[3, 2], *[None]]
    people = population(("P1", 6), ("P2", 3), ("P3", 2), ("P4", 1))
    found = figures(asks("1-5", scores), people, weigh=["priority"])
    [one] = found[0].weighted
    assert one.pooled == ("P2", "P3", "P4")
    assert one.value == pytest.approx(0.5 * 1 + 0.5 * 0)
    # were the pool too small as well, the smallest of the others joins it; one pool weighs nothing
    scores = [*[5] * 6, *[1] * 3]
    found = figures(asks("1-5", scores), population(("P1", 6), ("P2", 3)), weigh=["priority"])
    assert found[0].weighted == ()


def test_tickets_that_nobody_was_asked_about_widen_the_bounds() -> None:
    people = population(("P1", 20))
    found = figures(asks("1-5", [5, 5, 5, 1, 1, None]), people)
    share = found[0]
    assert (share.asked_bounds.low, share.asked_bounds.high) == (3 / 6, 4 / 6)
    assert (share.all_bounds.low, share.all_bounds.high) == (3 / 20, 18 / 20)
    assert response_rate(asks("1-5", [5, None]), people).never_asked == 18


def test_a_channel_that_lists_answers_only_has_no_response_rate() -> None:
    some = asks("1-5", [5] * 6, known=False) + asks("good/bad", [1, None])
    rate = response_rate(some, None)
    assert (rate.asked, rate.answered, rate.rate.value) == (None, 6, None)
    share = figures(some, None)[0]
    assert (share.asked, share.asked_bounds.low, share.score.value) == (None, None, 1)


# --- what does not count


def response(ticket: str, **further: object) -> Response:
    facts: dict[str, object] = {
        "ticket": ticket,
        "asked_at": 0,
        "answered_at": HOUR,
        "channel": "mail",
        "scale": "1-5",
        "score": 4,
    }
    return Response(**(facts | further))  # type: ignore[arg-type]


def desk(*ids: str, agents: Sequence[str] = ()) -> Tickets:
    segments = dict.fromkeys(("practice", "priority", "service", "category", "team", "month"))
    one = Ticket(dict(segments), ended=True, ended_at=0, agents=frozenset(agents[:1]))
    return Tickets(dict.fromkeys(ids, one), desk=frozenset(agents), notes=())


def became(
    rows: Sequence[Response], tickets: Tickets | None = None, **further: object
) -> list[tuple[str, str, bool]]:
    found = screen(table_of(rows), tickets, **further)  # type: ignore[arg-type]
    assert sum(found.counts.values()) == sum(bool(one.excluded) for one in found.rows)
    assert len(found.rows) == len(rows)
    return [(one.response.place, one.excluded, one.asked) for one in found.rows]


def test_the_last_answer_of_a_person_counts() -> None:
    rows = [
        response("T1", respondent="Eva", answered_at=2 * HOUR, score=5, place="last"),
        response("T1", respondent="Eva", answered_at=1 * HOUR, score=1, place="first"),
        response("T1", respondent="Eva", answered_at=None, score=None, place="reminder"),
        response("T1", respondent="Bo", answered_at=1 * HOUR, score=2, place="another person"),
        response("T2", respondent="Eva", score=2, place="another ticket"),
        response("T1", respondent="Eva", scale="0-10", score=2, place="another question"),
    ]
    for _ in range(3):
        random.Random(_).shuffle(rows)  # noqa: S311 - a seeded test
        told = {place: (reason, asked) for place, reason, asked in became(rows)}
        assert told == {
            "last": ("", True),
            "first": ("superseded", False),
            "reminder": ("superseded", False),
            "another person": ("", True),
            "another ticket": ("", True),
            "another question": ("", True),
        }


def test_copies_and_contradictions() -> None:
    rows = [
        response("T1", place="a"),
        response("T1", place="b"),
        response("T2", place="c"),
        response("T2", score=1, place="d"),
        response("T3", asked_at=None, answered_at=None, place="e"),
        response("T3", asked_at=None, answered_at=None, place="f"),
        response("T3", asked_at=None, answered_at=None, score=2, place="g"),
    ]
    told = became(rows)
    assert sorted(reason for place, reason, _ in told if place in "ab") == ["", "duplicate"]
    assert [reason for place, reason, _ in told if place in "cd"] == ["contradictory"] * 2
    assert sum(asked for place, _, asked in told if place in "cd") == 1
    assert sorted(reason for place, reason, _ in told if place in "efg") == ["", "", "duplicate"]


def test_late_answers_leave_their_ask() -> None:
    rows = [
        response("T1", answered_at=24 * HOUR, place="in time"),
        response("T2", answered_at=24 * HOUR + 1, place="late"),
        response("T3", asked_at=None, answered_at=99 * HOUR, place="unknown"),
    ]
    assert became(rows, within_us=24 * HOUR) == [
        ("in time", "", True),
        ("late", "late", True),
        ("unknown", "", True),
    ]
    found = screen(table_of(rows), None, within_us=24 * HOUR)
    assert list(found.unsure.values()) == [1]


def test_nothing_is_joined_by_guess_but_near_misses_are_counted() -> None:
    rows = [
        response(ticket)
        for ticket in ("INC001", " INC001", "inc001", "1", "INC0001", "CHG7", "T9", "7x")
    ]
    found = screen(table_of(rows), desk("INC001", "CHG8"))
    assert found.counts["unmatched"] == 7
    assert found.hints == {
        "blanks around the id": 1,
        "case of its letters": 1,
        "a missing prefix": 1,
        "leading noughts": 1,
    }
    assert found.unmatched_by == {"(no letters)": 3, "CHG": 1, "INC": 1, "T": 1, "inc": 1}


def test_the_desk_does_not_rate_itself() -> None:
    agents = [pseudonym("Ada Agent", KEY), pseudonym("Bob Agent", KEY)]
    tickets = desk("T1", agents=agents)
    rows = [
        response("T1", asked_at=i, respondent=name, self_rated=told, place=str(i))
        for i, (name, told) in enumerate(
            [
                ("Ada Agent", None),
                ("Bob Agent", None),
                ("Eva Customer", None),
                (agents[0], None),
                (None, True),
                ("Ada Agent", False),
                (None, None),
            ]
        )
    ]
    told = {place: reason for place, reason, _ in became(rows, tickets, key=KEY)}
    assert [told[str(i)] for i in range(7)] == [
        *("self-rating", "self-rating", "", "self-rating", "self-rating", "", ""),
    ]
    # without the key a name cannot be held against pseudonyms: said, not guessed
    found = screen(table_of(rows), tickets)
    assert found.counts["self-rating"] == 2
    assert found.unsure == {"answers whose respondent is a name, the log's are pseudonyms": 3}
    clear = desk("T1", agents=["Ada Agent"])
    found = screen(table_of([response("T1", respondent="ada  agent")]), clear, clear_names=True)
    assert found.counts["self-rating"] == 0
    assert list(found.unsure.values()) == [1]


def test_the_written_table_names_nobody() -> None:
    rows = [response("T1", respondent="Eva", comment="call 030 1234567")]
    found = screen(table_of(rows), None)
    plain = screened_table(found, texts=False)
    assert {"respondent", "comment"} & set(plain.column_names) == set()
    assert plain["commented"].to_pylist() == [True]
    assert screened_table(found, texts=True)["comment"].to_pylist() == ["call [phone]"]
    assert set(found.counts) == set(REASONS)


# --- comments


def comments(*texts: str) -> list[Comment]:
    return [Comment(f"T{i}", text, "1-5", 1 + i % 5) for i, text in enumerate(texts)]


def test_comments_are_grouped_by_their_terms() -> None:
    slow = ["far too slow answer", "slow answer again", "the slow answer"] * 10
    printer = ["printer jam", "the printer jam again", "my printer jam"] * 10
    given = comments(*slow, *printer)
    found = group_comments(given)
    assert found.n == sum(g.n for g in found.groups) + found.without_terms + found.in_small_groups
    for group in found.groups:
        assert not ({"slow", "printer"} <= set(group.terms))
        assert group.texts == ()
        assert all(score.n <= group.n for _, score in group.scores)
    assert {term for g in found.groups for term in g.terms} >= {"slow", "printer"}
    random.Random(1).shuffle(given)  # noqa: S311 - a seeded test
    assert group_comments(given) == found


def test_no_term_points_at_a_person() -> None:
    """A rare name, a contact, and the desk's own people are no terms."""
    noise = ["slow answer here"] * 8 + ["quick answer here"] * 16
    rare = ["slow Zacharias", "slow Zacharias"]
    repeated = [Comment("T900", f"slow Wilhelmina number {i}", "1-5", 1) for i in range(9)]
    contact = ["slow eva@example.org"] * 5 + ["quick +49 30 1234567"] * 5
    agent = ["quick Rupert"] * 6
    given = comments(*noise, *rare, *contact, *agent) + repeated
    found = group_comments(given, names=["Rupert Roe"], texts=True)
    terms = {word for group in found.groups for term in group.terms for word in term.split()}
    assert terms
    assert not terms & {
        *("zacharias", "wilhelmina", "eva", "example", "org", "email", "phone", "rupert"),
    }
    texts = [text for group in found.groups for text in group.texts]
    assert any("[email]" in text for text in texts)
    assert not any("example.org" in text or "1234567" in text for text in texts)


def test_small_groups_are_counted_and_not_shown() -> None:
    found = group_comments(comments(*["slow answer"] * 3, *["printer jam"] * 12))
    assert all(group.n >= 5 for group in found.groups)
    assert found.n == 15
    nothing = group_comments([])
    assert (nothing.n, nothing.groups, nothing.without_terms) == (0, (), 0)
    only_one_each = group_comments(comments("alpha", "beta", "gamma", "delta", "epsilon"))
    assert (only_one_each.groups, only_one_each.without_terms) == ((), 5)
