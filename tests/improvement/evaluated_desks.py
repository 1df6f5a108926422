"""Small desks of which every number is planted, week by week, for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from csi import kpi as kpis
from csi.evaluation import Guardrail, Known, Question
from csi.evidence import EVERYTHING, Evidence, Scope
from csi.statistics import DecisionRule
from process_mining import schema as s

MONDAY_US = 1_736_121_600 * s.US_PER_SECOND  # 2025-01-06 00:00 UTC
WEEK_US = 7 * s.US_PER_DAY
FOLLOW_US = 5 * s.US_PER_DAY
EVERY = kpis.load_kpis()
TEAMS = ("alpha", "beta")


@dataclass(frozen=True)
class Law:
    """What holds in one week: tickets, median hours, shares that are met, reopened, hard."""

    tickets: int = 40
    hours: float = 8.0
    met: float = 0.8
    reopened: float = 0.1
    hard: float = 0.4
    teams: tuple[str, ...] = TEAMS
    spread: float = 0.7
    closing: float = 1.0  # hours from resolution to closure


Laws = Callable[[int], Law]


@dataclass(frozen=True)
class Weeks:
    """A window of whole weeks, from one up to (without) another."""

    first: int
    last: int

    @property
    def start_us(self) -> int:
        return MONDAY_US + self.first * WEEK_US

    @property
    def end_us(self) -> int:
        return MONDAY_US + self.last * WEEK_US


def evidence(laws: Laws, weeks: int, *, seed: int = 1, shock: float = 0.1) -> Evidence:
    """Tickets of so many weeks, known until five days later. Hard ones take twice as long.

    A week is drawn by itself: what another one is like changes nothing in it.
    """
    parts = [_week(week, laws(week), seed, shock) for week in range(weeks)]
    cases = pd.concat(parts, ignore_index=True)
    until = MONDAY_US + weeks * WEEK_US + FOLLOW_US
    return known_until(cases, until)


def known_until(cases: pd.DataFrame, until: int) -> Evidence:
    """What is known of these tickets by then."""
    known = cases[cases["opened_us"] < until].reset_index(drop=True)
    status = np.where(known["met"], "met", "breached").astype(object)
    status[(known["resolved_us"] > until).to_numpy()] = "running"
    clocks = pd.DataFrame({"case_id": known["case_id"], "metric": "resolve", "status": status})
    surveys = pd.DataFrame(
        {
            "ticket": known["case_id"],
            "asked_at": known["closed_us"],
            "answered_at": known["closed_us"],
            "score": known["score"].astype(float),
        }
    )
    return Evidence(
        cases=known.drop(columns=["met", "score"]),
        as_of_us=until,
        clocks=clocks,
        surveys=surveys[surveys["asked_at"] <= until].reset_index(drop=True),
    )


def _week(week: int, law: Law, seed: int, shock: float) -> pd.DataFrame:
    rng = np.random.default_rng([seed, week])
    n = law.tickets
    level = np.exp(shock * rng.standard_normal())
    noise, hard = rng.standard_normal(n), rng.random(n) < law.hard
    opened = MONDAY_US + week * WEEK_US + np.sort(rng.integers(0, WEEK_US, n))
    hours = law.hours * level * np.exp(law.spread * noise) * np.where(hard, 2.0, 1.0)
    resolved = opened + (hours * s.US_PER_HOUR).astype(np.int64)
    turned = rng.random((3, n))
    again = turned[0] < law.reopened
    return pd.DataFrame(
        {
            "case_id": [f"W{week:03d}-{i:04d}" for i in range(n)],
            "case_type": "incident",
            "priority": np.where(turned[2] < 0.5, "P2", "P3"),
            "category": np.where(hard, "network", "account"),
            "service": "mail",
            "team": np.array(law.teams, dtype=object)[np.arange(n) % len(law.teams)],
            "opened_us": opened,
            "first_response_us": opened,
            "root_cause_us": pd.array([pd.NA] * n, dtype="Int64"),
            "resolved_us": resolved,
            "closed_us": resolved + int(law.closing * s.US_PER_HOUR),
            "reopened_us": pd.arrays.IntegerArray(np.where(again, resolved, 0), ~again),
            "handovers": rng.integers(0, 3, n),
            "met": turned[1] < law.met,
            "score": rng.integers(1, 6, n),
        }
    )


def whole(cases: Evidence, window: Weeks, follow_us: int = FOLLOW_US) -> Known:
    """A window of a desk, followed for some days."""
    return Known(cases, window, window.end_us + follow_us)


def question(  # noqa: PLR0913 - everything that can be asked
    kpi: str = "KPI01",
    *,
    minimum: float = 0.1,
    scope: Scope = EVERYTHING,
    comparison: Scope | None = None,
    guardrails: Sequence[tuple[str, float]] = (),
    also: Sequence[str] = (),
    **rule: float,
) -> Question:
    given = {"replicates": 199} | rule
    return Question(
        kpi=EVERY[kpi],
        rule=DecisionRule(minimum_effect=minimum, **given),  # type: ignore[arg-type]
        scope=scope,
        comparison=comparison,
        guardrails=tuple(Guardrail(EVERY[code], margin) for code, margin in guardrails),
        also=tuple(EVERY[code] for code in also),
    )


def steady(law: Law = Law()) -> Laws:
    return lambda _: law


def changed(at: int, before: Law = Law(), **after: object) -> Laws:
    """One law up to a week, and from then on another in some numbers."""
    later = replace(before, **after)  # type: ignore[arg-type]
    return lambda week: later if week >= at else before
