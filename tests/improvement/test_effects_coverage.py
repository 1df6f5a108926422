"""How often is an interval right, and how often is chance, or a shared cause, taken for an effect?

A slice by default, 400 desks of each kind by `make trial`, which prints what it measured. The
figures of a run stand in docs/decisions/0028-effects-of-violations.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
from improvement.effect_desks import RULE, Desk
from threadpoolctl import threadpool_limits

from csi.effects.outcomes import BREACH, OUTCOMES, REOPENING, SATISFACTION, TIME
from csi.effects.violations import Standing, Tickets, effects
from rules.catalogue import Catalogue, load_catalogue

NO_EFFECT = Desk(seed=1_000)
EFFECT = Desk(seed=2_000, times=1.8, odds=2.0, points=-0.6)
RARE = Desk(seed=3_000, share=0.03, times=1.8, odds=2.0, points=-0.6)
SHARED = Desk(seed=4_000, n=1500, trouble=0.8)
# one ticket's violation makes the next one's likelier, and both take their time from it alone
RUNS = Desk(seed=5_000, times=1.8, odds=2.0, points=-0.6, runs=1.2)
TRUE = {TIME: "times", BREACH: "odds", REOPENING: "odds", SATISFACTION: "points"}
SLICE = 12
TRIAL = 400


@dataclass
class Counted:
    """How many desks gave an estimate, and of how many what held."""

    desks: int = 0
    covers: int = 0
    differs: int = 0
    control_differs: int = 0
    controls: int = 0
    standing: Counter[str] = field(default_factory=Counter)


@cache
def book() -> Catalogue:
    return load_catalogue(())


@cache
def counted(desk: Desk, desks: int) -> dict[str, Counted]:
    """Draw desks and count."""
    told = {outcome: Counted() for outcome in OUTCOMES}
    rules = [book().rule(RULE)]
    with threadpool_limits(1, user_api="blas"):
        for i in range(desks):
            evidence = replace(desk, seed=desk.seed + i).evidence()
            for one in effects(Tickets.of(evidence), rules, book().practices):
                mine, found = told[one.outcome], one.found
                mine.standing[one.standing] += 1
                if found is None or found.low is None or found.high is None:
                    continue
                mine.desks += 1
                mine.covers += found.low <= getattr(desk, TRUE[one.outcome]) <= found.high
                mine.differs += found.differs
                if one.control is not None and one.control.value is not None:
                    mine.controls += 1
                    mine.control_differs += one.control.differs
    return told


def said(desk: Desk, desks: int) -> str:
    lines = [str(desk)]
    for outcome, one in counted(desk, desks).items():
        lines.append(
            f"  {outcome}: {one.desks} desks, covers {one.covers / one.desks:.3f}, differs "
            f"{one.differs / one.desks:.3f}, control differs "
            f"{one.control_differs / max(one.controls, 1):.3f}, {dict(one.standing)}"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_few_intervals_of_a_slice_miss_a_planted_effect(outcome: str) -> None:
    one = counted(EFFECT, SLICE)[outcome]
    assert one.desks == SLICE
    assert one.covers >= SLICE - 3  # 4 or more misses at 95 %: 1 in 450


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_few_desks_of_a_slice_without_effect_show_one(outcome: str) -> None:
    one = counted(NO_EFFECT, SLICE)[outcome]
    assert one.differs <= 3
    assert one.standing[Standing.NOT_SHOWN] >= SLICE - 3


def test_a_shared_cause_is_seldom_read_as_an_effect_in_a_slice() -> None:
    one = counted(SHARED, SLICE)[TIME]
    assert one.differs >= SLICE * 3 // 4
    assert one.standing[Standing.ASSOCIATION] <= 3


@pytest.mark.trial
@pytest.mark.parametrize("desk", [NO_EFFECT, EFFECT, RARE])
def test_intervals_cover_as_they_say(desk: Desk) -> None:
    print(said(desk, TRIAL))  # noqa: T201 - the trial's table
    for one in counted(desk, TRIAL).values():
        assert 0.92 <= one.covers / one.desks <= 0.985


@pytest.mark.trial
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_one_desk_in_twenty_shows_an_effect_that_is_none(outcome: str) -> None:
    one = counted(NO_EFFECT, TRIAL)[outcome]
    assert 0.02 <= one.differs / one.desks <= 0.08
    assert one.control_differs / one.controls <= 0.08


@pytest.mark.trial
@pytest.mark.parametrize("desk", [EFFECT, RUNS])
def test_an_effect_without_a_shared_cause_is_seldom_taken_for_one(desk: Desk) -> None:
    print(said(desk, TRIAL))  # noqa: T201 - the trial's table
    for one in counted(desk, TRIAL).values():
        assert one.control_differs / one.controls <= 0.1


@pytest.mark.trial
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_shared_cause_is_seldom_read_as_an_effect(outcome: str) -> None:
    print(said(SHARED, TRIAL))  # noqa: T201 - the trial's table
    one = counted(SHARED, TRIAL)[outcome]
    read = one.standing[Standing.ASSOCIATION]
    # without the negative control it would be `differs`, more than 9 in 10
    assert one.differs / one.desks >= 0.9
    assert read / one.desks <= 0.1
