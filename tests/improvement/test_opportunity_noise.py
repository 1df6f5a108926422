"""How often does a desk without any difference between its kinds of tickets give a candidate?

Desks are made as tables of tickets, the worst case for the definitions: articles are told and
hardly used, so that a knowledge gap hangs on the comparisons alone. `pytest -m trial` asks more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from csi.opportunities.candidates import candidates_of
from csi.opportunities.definitions import DEFINITIONS
from csi.opportunities.tickets import MONDAY, Tickets

if TYPE_CHECKING:
    import numpy.typing as npt

FIRST = 20_094  # 2025-01-06, a Monday
WEEKS = 12
KINDS = 24
TICKETS = 1200
BURSTS = 40


def desk(seed: int, *, outages: bool = False, weeks_differ: bool = False) -> Tickets:
    """A desk whose kinds of tickets are all alike; with outages, days bring many of one kind."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(KINDS, size=TICKETS)
    day = FIRST + rng.integers(WEEKS * 7, size=TICKETS)
    hours = np.exp(rng.normal(np.log(20), 1.3, TICKETS))
    if weeks_differ:
        hours *= np.exp(rng.normal(0, 0.5, WEEKS))[(day - FIRST) // 7]
    handed = rng.random(TICKETS) < 0.4
    if outages:  # a third of the tickets: bursts of one kind on one day that all go the same way
        burst = rng.integers(BURSTS, size=TICKETS // 3)
        struck = slice(0, TICKETS // 3)
        kind[struck] = rng.integers(KINDS, size=BURSTS)[burst]
        day[struck] = FIRST + rng.integers(WEEKS * 7, size=BURSTS)[burst]
        hours[struck] *= np.exp(rng.normal(0, 1, BURSTS))[burst]
        handed[struck] = (rng.random(BURSTS) < 0.4)[burst]
    running = rng.random(TICKETS) < 0.05
    hour = rng.choice(24, size=TICKETS, p=office_hours())
    subject = np.array([f"category {k // 3}" for k in kind], dtype=object)
    columns = {
        "practice": "incident",
        "case_type": "incident",
        "case_id": [f"INC{i:05}" for i in range(TICKETS)],
        "priority": rng.choice(["P2", "P3", "P4"], size=TICKETS, p=[0.05, 0.5, 0.45]),
        "category": subject,
        "service": None,
        "subject": subject,
        "wider": None,
        "resolution": np.array([f"code {k % 3}" for k in kind], dtype=object),
        "channel": rng.choice(["phone", "mail", "monitoring"], size=TICKETS, p=[0.6, 0.3, 0.1]),
        "article": pd.array(rng.random(TICKETS) < 0.02, dtype="boolean"),
        "opened_us": day * 86_400_000_000 + hour * 3_600_000_000,
        "day": day,
        "week": (day + MONDAY) // 7,
        "hour": hour,
        "hours": hours,
        "net_h": hours * rng.uniform(0.3, 1, TICKETS),
        "working_h": hours * rng.uniform(0, 0.3, TICKETS),
        "running": running,
        "handovers": pd.array(handed.astype(np.int64), dtype="Int64"),
        "first_contact": pd.array(~handed, dtype="boolean"),
        "reopened": rng.random(TICKETS) < 0.05,
        "steps": rng.integers(4, 9, size=TICKETS),
        "variant": rng.integers(6, size=TICKETS),
    }
    return Tickets(pd.DataFrame(columns), float(FIRST), float(WEEKS * 7), ())


def office_hours() -> npt.NDArray[np.float64]:
    weights = np.where((np.arange(24) >= 8) & (np.arange(24) < 18), 1.0, 0.1)
    return np.asarray(weights / weights.sum())


def share_with_candidates(seeds: range, **kind: bool) -> float:
    found = [len(candidates_of(desk(seed, **kind), DEFINITIONS).found) for seed in seeds]
    return sum(n > 0 for n in found) / len(found)


@pytest.mark.parametrize("kind", [{}, {"outages": True}, {"weeks_differ": True}])
def test_a_desk_of_noise_hardly_ever_has_a_candidate(kind: dict[str, bool]) -> None:
    assert share_with_candidates(range(8), **kind) == 0.0


def test_rare_kinds_are_tried_again_by_a_wider_subject() -> None:
    noise = desk(3)
    frame = noise.frame.copy()
    mine = np.arange(60)
    short: dict[str, Any] = {
        "subject": [f"net / vpn / symptom {i % 6}" for i in mine],  # ten tickets each: too rare
        "wider": "net / vpn",
        "resolution": "reset",
        "priority": "P3",
        "hours": 0.1,
        "running": False,
        "reopened": False,
        "handovers": 0,
        "steps": 4,
        "variant": 0,
        "channel": "phone",
    }
    for column, values in short.items():
        frame[column] = frame[column].astype(object) if column == "wider" else frame[column]
        frame.loc[mine, column] = values
    found = candidates_of(Tickets(frame, noise.first_day, noise.days, ()), DEFINITIONS).found
    assert [(one.sort, one.kind.subject, one.kind.n) for one in found] == [
        ("self-service", "net / vpn (others)", 60)
    ]
    assert set(found[0].kind.cases) == {f"INC{i:05}" for i in mine}


@pytest.mark.trial
@pytest.mark.parametrize("kind", [{}, {"outages": True}, {"weeks_differ": True}])
def test_many_desks_of_noise(kind: dict[str, bool]) -> None:
    assert share_with_candidates(range(1000, 1300), **kind) <= 0.05
