"""What must hold of every KPI of the catalogue, on whatever evidence?

Rows may stand in any order; a ticket outside the window changes nothing; a shorter follow-up can
only leave more open; the parts of a window add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csi.evidence import CASE_COLUMNS, Evidence
from csi.kpi import Kpi, load_kpis, measure, sampled
from csi.kpi_kinds import Ages, Durations, Hits, Missing, Rate, Scores, Total

HOUR, DAY = 3_600_000_000, 86_400_000_000
KPIS = load_kpis()
CASES = 24
TYPES = sorted({kpi.case_type for kpi in KPIS.values()})
WORDS = sorted({step for kpi in KPIS.values() for step in kpi.params.steps if step[0].isupper()})
RULES = sorted({kpi.params.model_dump().get("rule", "") for kpi in KPIS.values()} - {""})
PRACTICES = sorted({kpi.only for kpi in KPIS.values()} | {"emergency_change", "incident"})
STOCKS = ("open_at_end", "open_age")


@dataclass(frozen=True)
class Window:
    """Days since 1970."""

    start: int
    end: int

    @property
    def start_us(self) -> int:
        return self.start * DAY

    @property
    def end_us(self) -> int:
        return self.end * DAY


WEEKS = Window(100, 114)


def _evidence(seed: int, n: int = CASES) -> Evidence:
    """A desk out of a hat; every moment after the opening, some after the end of the log."""
    rng = np.random.default_rng(seed)
    opened = rng.integers(95 * DAY, 120 * DAY, n)

    def later(share: float) -> pd.Series:
        at = opened + (rng.lognormal(3.5, 1.5, n) * HOUR).astype(np.int64)
        return pd.Series(at, dtype="Int64").mask(rng.random(n) > share)

    ids = [f"T{i}" for i in range(n)]
    frame = pd.DataFrame({"case_id": ids, "case_type": rng.choice(TYPES, n)})
    for name in CASE_COLUMNS[2:]:
        frame[name] = later(0.7) if name.endswith("_us") else rng.choice(["a", "b"], n)
    frame["opened_us"] = pd.Series(opened, dtype="Int64")
    frame["handovers"] = rng.poisson(1.0, n)
    frame["practice"] = rng.choice(PRACTICES, n)
    some = rng.choice(ids, 3 * n)
    steps = pd.DataFrame(
        {
            "case_id": some,
            "activity": rng.choice(WORDS, 3 * n),
            "first_us": rng.integers(95 * DAY, 130 * DAY, 3 * n),
        }
    )
    clocks = pd.DataFrame(
        {
            "case_id": some,
            "metric": rng.choice(["respond", "resolve"], 3 * n),
            "status": rng.choice(["met", "breached", "running"], 3 * n),
            "agreement": rng.choice(["SLA", "OLA"], 3 * n),
            "by_pausing": rng.random(3 * n) < 0.3,
        }
    )
    asked = rng.integers(95 * DAY, 125 * DAY, 3 * n)
    answered = pd.Series(asked + DAY, dtype="Int64").mask(rng.random(3 * n) < 0.5)
    score = pd.Series(rng.integers(1, 6, 3 * n), dtype="Int64").mask(answered.isna())
    surveys = pd.DataFrame(
        {"ticket": some, "asked_at": asked, "answered_at": answered, "score": score}
    )
    return Evidence(
        cases=frame,
        as_of_us=125 * DAY,
        verdicts={code: rng.integers(0, 5, n).astype(np.int8) for code in RULES},
        clocks=clocks,
        surveys=surveys,
        steps=steps,
    )


def _subset(evidence: Evidence, order: np.ndarray) -> Evidence:
    """The same evidence with its rows in this order, perhaps not all."""
    return replace(
        evidence,
        cases=evidence.cases.take(order).reset_index(drop=True),
        verdicts={code: array[order] for code, array in evidence.verdicts.items()},
        **{
            name: table.sample(frac=1.0, random_state=5).reset_index(drop=True)
            for name in ("clocks", "surveys", "steps")
            if (table := getattr(evidence, name)) is not None
        },
    )


SEEDS = st.integers(0, 2**31)
MANY = settings(max_examples=40, deadline=None)


@MANY
@given(seed=SEEDS)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    evidence = _evidence(seed)
    mixed = _subset(evidence, np.random.default_rng(seed).permutation(CASES))
    for kpi in KPIS.values():
        assert measure(kpi, evidence, WEEKS) == measure(kpi, mixed, WEEKS)


@MANY
@given(seed=SEEDS)
def test_a_ticket_outside_the_window_changes_nothing(seed: int) -> None:
    """Of a stock the window is the time at which a ticket was open."""
    evidence = _evidence(seed)
    opened = evidence.cases["opened_us"].to_numpy(dtype=np.int64)
    closed = evidence.cases["closed_us"].to_numpy(dtype=np.float64, na_value=np.inf)
    before, after = opened < WEEKS.start_us, opened >= WEEKS.end_us
    inside = _subset(evidence, np.flatnonzero(~before & ~after))
    held = _subset(evidence, np.flatnonzero(~after & (closed >= WEEKS.end_us)))
    for kpi in KPIS.values():
        if _hides_kinds(kpi, evidence) or _hides_kinds(kpi, inside):
            continue
        fewer = held if kpi.kind in STOCKS else inside
        assert measure(kpi, evidence, WEEKS) == measure(kpi, fewer, WEEKS)


def _hides_kinds(kpi: Kpi, evidence: Evidence) -> bool:
    """Whether no case of the log is of the kind that a KPI is about, so that it says just that."""
    return bool(kpi.only) and kpi.only not in set(evidence.cases["practice"])


@MANY
@given(seed=SEEDS, days=st.integers(0, 11))
def test_a_shorter_follow_up_leaves_more_open_and_invents_nothing(seed: int, days: int) -> None:
    evidence = _evidence(seed)
    early = WEEKS.end_us + days * DAY
    for kpi in KPIS.values():
        whole = sampled(kpi, evidence, WEEKS)
        cut = sampled(kpi, evidence, WEEKS, as_of_us=early)
        match whole, cut:
            case Durations(), Durations():
                if kpi.params.steps[0] == "opened":
                    assert set(whole.rows) <= set(cut.rows)
                ended = dict(zip(whole.rows, whole.hours, strict=True))
                running = dict(zip(whole.rows, whole.censored, strict=True))
                for row, hours, open_ in zip(cut.rows, cut.hours, cut.censored, strict=True):
                    if row in ended:
                        assert hours <= ended[row]
                        assert open_ or (not running[row] and hours == ended[row])
            case Hits(), Hits() if kpi.kind == "share_within":
                late = dict(zip(whole.rows, whole.each, strict=True))
                assert set(cut.rows) - set(late) <= _gave_up_later(evidence, early)
                same = [row for row in cut.rows if row in late]
                now = dict(zip(cut.rows, cut.each, strict=True))
                assert [late[row] for row in same] == [now[row] for row in same]
            case Total() | Rate(), _:
                assert whole == cut
            case Ages(), Ages():
                assert sorted(whole.hours) == sorted(cut.hours)
            case _:
                assert type(whole) is type(cut)


def _gave_up_later(evidence: Evidence, moment: int) -> set[int]:
    """Cases whose end was recorded after a moment: what it hides is not known before."""
    closed = evidence.cases["closed_us"].to_numpy(dtype=np.float64, na_value=np.nan)
    return set(np.flatnonzero(closed > moment))


@MANY
@given(seed=SEEDS, day=st.integers(101, 113))
def test_the_parts_of_a_window_add_up(seed: int, day: int) -> None:
    evidence = _evidence(seed)
    for kpi in KPIS.values():
        whole, *parts = (
            sampled(kpi, evidence, one) for one in (WEEKS, Window(100, day), Window(day, 114))
        )
        if any(isinstance(one, Missing) for one in (whole, *parts)) or kpi.kind in STOCKS:
            continue
        if isinstance(whole, Rate):
            assert whole.count == sum(one.count for one in parts)  # type: ignore[union-attr]
            assert whole.weeks == pytest.approx(sum(one.weeks for one in parts))  # type: ignore[union-attr]
        else:
            assert isinstance(whole, Durations | Hits | Scores)
            rows = [row for one in parts for row in one.rows]  # type: ignore[union-attr]
            assert sorted(whole.rows) == sorted(rows)
