"""Is each segment measured as if it were alone, and are differences and small groups right?"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from csi.evidence import CASE_COLUMNS, EVERYTHING, Evidence, Scope
from csi.kpi import load_kpis, measure
from csi.kpi_segments import (
    COLUMNS,
    FEW_PEOPLE,
    FEWER,
    FIELDS,
    NAMELESS,
    SAME_CASES,
    Side,
    difference,
    measure_by,
)
from csi.statistics import Estimate, Sample, proportion
from csi.statistics.medians import difference_of_medians
from csi.statistics.mover import difference as mover
from process_mining.errors import CodedError
from rules.spec import Verdict

HOUR, DAY = 3_600_000_000, 86_400_000_000
KPIS = load_kpis()
CODES = ("KPI01", "KPI05", "KPI06", "KPI07", "KPI09", "KPI10", "KPI16", "KPI19", "KPI20", "KPI40")


@dataclass(frozen=True)
class Window:
    """Microseconds UTC."""

    start_us: int
    end_us: int


def _day(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000


SPRING = Window(_day("2025-01-20"), _day("2025-05-10"))


def _desk(seed: int = 3, n: int = 600) -> Evidence:
    rng = np.random.default_rng(seed)
    opened = np.sort(rng.integers(_day("2024-12-01"), _day("2025-06-01"), n))
    ids = [f"T{i:04d}" for i in range(n)]
    frame = pd.DataFrame(
        {"case_id": ids, "case_type": rng.choice(["incident", "service_request"], n)}
    )
    for name in CASE_COLUMNS[2:]:
        frame[name] = None
    frame["opened_us"] = opened
    frame["resolved_us"] = opened + (rng.lognormal(3.0, 1.2, n) * HOUR).astype(np.int64)
    frame["closed_us"] = frame["resolved_us"] + 5 * DAY
    frame["reopened_us"] = np.where(rng.random(n) < 0.2, opened + HOUR, None)
    frame["handovers"] = rng.poisson(1.5, n)
    frame["priority"] = rng.choice(["P1", "P2", "P3", None], n, p=[0.01, 0.29, 0.5, 0.2])
    frame["category"] = rng.choice(["mail", "net"], n)
    frame["team"] = rng.choice(["Desk", "Network", "Two people"], n)
    frame["service"] = "Payroll"
    as_of = _day("2025-06-01")
    for name in ("resolved_us", "closed_us", "reopened_us"):
        late = frame[name].to_numpy(dtype=np.float64, na_value=np.nan) >= as_of
        frame[name] = frame[name].astype("Int64").mask(late)
    frame["opened_us"] = frame["opened_us"].astype("Int64")
    asked = rng.random(n) < 0.6
    surveys = pd.DataFrame(
        {
            "ticket": np.array(ids)[asked],
            "asked_at": opened[asked] + HOUR,
            "answered_at": np.where(rng.random(asked.sum()) < 0.5, opened[asked] + 2 * HOUR, None),
            "score": rng.integers(1, 6, asked.sum()),
        }
    ).astype({"answered_at": "Int64", "score": "Int64"})
    surveys["score"] = surveys["score"].mask(surveys["answered_at"].isna())
    return Evidence(
        cases=frame, as_of_us=as_of, surveys=surveys, people={"Desk": 7, "Two people": 2}
    )


DESK = _desk()


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("field", ["priority", "category", "service", "team"])
def test_a_segment_is_measured_as_its_scope_alone(code: str, field: str) -> None:
    frame = measure_by(KPIS[code], DESK, SPRING, field)
    assert tuple(frame.columns) == COLUMNS
    words = sorted(set(DESK.cases[field].dropna()))
    assert [one for one in frame["segment"] if one != NAMELESS] == words
    for row in frame[frame["segment"] != NAMELESS].itertuples():
        alone = measure(KPIS[code], DESK, SPRING, Scope.of({field: [row.segment]}))
        if row.segment == "Two people":
            assert (row.suppressed, row.note) == (True, FEW_PEOPLE)
        elif 0 < alone.n < 5:
            assert (row.suppressed, row.note) == (True, FEWER)
        else:
            assert not row.suppressed
            shown = tuple(None if pd.isna(x) else x for x in (row.value, row.low, row.high))
            assert shown == (alone.value, alone.low, alone.high)
            assert (row.n, row.unit, row.method) == (alone.n, alone.unit, alone.method)


def test_small_groups_keep_neither_value_nor_n() -> None:
    frame = measure_by(KPIS["KPI01"], DESK, SPRING, "priority")
    hidden = frame[frame["suppressed"]]
    assert list(hidden["segment"]) == ["P1"]
    assert hidden[["value", "low", "high", "n"]].isna().all(axis=None)


def test_cases_without_a_word_are_the_last_segment() -> None:
    frame = measure_by(KPIS["KPI20"], DESK, SPRING, "priority")
    assert list(frame["segment"])[-1] == NAMELESS
    assert not frame[~frame["suppressed"]]["n"].isna().any()
    hidden = frame["suppressed"].sum()
    whole = measure(KPIS["KPI20"], DESK, SPRING).n
    assert whole - 4 * hidden <= frame["n"].sum() < whole


@pytest.mark.parametrize("code", CODES)
def test_months_are_cut_at_the_window_and_measured_alone(code: str) -> None:
    frame = measure_by(KPIS[code], DESK, SPRING, "month")
    assert list(frame["segment"]) == ["2025-01", "2025-02", "2025-03", "2025-04", "2025-05"]
    borders = ["2025-01-20", "2025-02-01", "2025-03-01", "2025-04-01", "2025-05-01", "2025-05-10"]
    assert list(frame["start"]) == [pd.Timestamp(one, tz="UTC") for one in borders[:-1]]
    assert list(frame["end"]) == [pd.Timestamp(one, tz="UTC") for one in borders[1:]]
    for row, start, end in zip(frame.itertuples(), borders, borders[1:], strict=False):
        alone = measure(KPIS[code], DESK, Window(_day(start), _day(end)))
        if row.suppressed:
            assert 0 < alone.n < 5
        else:
            assert (row.value, row.n) == (alone.value, alone.n)


def test_a_scope_and_a_moment_narrow_every_segment() -> None:
    scope, moment = Scope.of({"category": ["net"]}), _day("2025-05-10")
    frame = measure_by(KPIS["KPI05"], DESK, SPRING, "team", scope, as_of_us=moment)
    desk = frame[frame["segment"] == "Desk"].iloc[0]
    both = Scope.of({"category": ["net"], "team": ["Desk"]})
    alone = measure(KPIS["KPI05"], DESK, SPRING, both, as_of_us=moment)
    assert (desk["value"], desk["n"]) == (alone.value, alone.n)
    assert set(frame["as_of"]) == {pd.Timestamp("2025-05-10", tz="UTC")}


def test_months_are_measured_as_of_the_same_moment() -> None:
    moment = _day("2025-02-03")
    frame = measure_by(KPIS["KPI01"], DESK, SPRING, "month", as_of_us=moment)
    assert list(frame["segment"]) == ["2025-01", "2025-02"]
    january = Window(SPRING.start_us, _day("2025-02-01"))
    then, later = (measure(KPIS["KPI01"], DESK, january, as_of_us=x) for x in (moment, None))
    assert frame["value"].iloc[0] == then.value
    assert frame["note"].iloc[0] == then.note != later.note


def test_many_answers_about_few_tickets_are_a_small_group() -> None:
    cases = DESK.cases.copy()
    inside = cases["opened_us"].between(SPRING.start_us, SPRING.end_us - 1)
    few = cases.index[inside & (cases["case_type"] == "incident")][:4]
    cases.loc[few, "service"] = "Rare"
    surveys = pd.DataFrame(
        {
            "ticket": np.repeat(cases.loc[few, "case_id"].to_numpy(), 3),
            "asked_at": SPRING.start_us,
            "answered_at": SPRING.end_us,
            "score": [1, 3, 5] * 4,
        }
    )
    frame = measure_by(
        KPIS["KPI06"], replace(DESK, cases=cases, surveys=surveys), SPRING, "service"
    )
    rare = frame.set_index("segment").loc["Rare"]
    assert (rare["suppressed"], rare["note"]) == (True, FEWER)


def test_there_is_no_field_for_a_person() -> None:
    assert FIELDS == ("priority", "category", "service", "team", "month")
    for field in ("actor", "assignee", "case_id", "mont"):
        with pytest.raises(CodedError, match="ST114"):
            measure_by(KPIS["KPI01"], DESK, SPRING, field)


def test_an_empty_window_has_no_segments() -> None:
    nothing = Window(_day("2023-01-01"), _day("2023-02-01"))
    for field in FIELDS:
        frame = measure_by(KPIS["KPI01"], DESK, nothing, field)
        assert tuple(frame.columns) == COLUMNS
        assert frame.empty


def test_what_cannot_be_measured_says_so_in_every_segment() -> None:
    bare = replace(DESK, surveys=None)
    frame = measure_by(KPIS["KPI06"], bare, SPRING, "category")
    assert set(frame["note"]) == {"no surveys were given"}
    assert list(frame["n"]) == [0, 0]


# --- differences

NET, MAIL = (Side(SPRING, Scope.of({"category": [word]})) for word in ("net", "mail"))


def test_a_difference_of_shares_has_newcombe_limits() -> None:
    found = difference(KPIS["KPI05"], DESK, NET, MAIL)
    assert found.value == found.b.value - found.a.value  # type: ignore[operator]
    expected = mover(
        *(proportion(round((side.value or 0) * side.n), side.n) for side in (found.a, found.b))
    )
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10
    ("a", "b", "low", "high"),
    [
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((2, 7), (6, 7), 0.0582, 0.8062),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.2775, 0.1611),
        ((0, 20), (10, 10), 0.6791, 1.0000),
        ((0, 10), (10, 10), 0.6075, 1.0000),
    ],
)
def test_the_limits_of_two_shares_are_those_that_were_printed(
    a: tuple[int, int], b: tuple[int, int], low: float, high: float
) -> None:
    found = mover(proportion(*a), proportion(*b))
    assert found.low == pytest.approx(low, abs=6e-5)
    assert found.high == pytest.approx(high, abs=6e-5)


def test_a_difference_of_medians_is_that_of_the_statistics() -> None:
    found = difference(KPIS["KPI01"], DESK, NET, MAIL)
    samples = []
    for word in ("net", "mail"):
        cases = DESK.cases[
            (DESK.cases["category"] == word) & (DESK.cases["case_type"] == "incident")
        ]
        mine = cases[cases["opened_us"].between(SPRING.start_us, SPRING.end_us - 1)]
        ended = mine["resolved_us"].fillna(DESK.as_of_us)
        hours = ((ended - mine["opened_us"]) / HOUR).to_numpy(dtype=np.float64)
        samples.append(Sample(hours, "h", mine["resolved_us"].isna().to_numpy()))
    expected = difference_of_medians(*samples)
    assert found.value == pytest.approx(expected.value)
    # complete times have other limits there (order statistics), but near ones
    assert found.low == pytest.approx(expected.low, abs=6)
    assert found.high == pytest.approx(expected.high, abs=6)


def test_a_difference_turned_round_is_its_negative() -> None:
    for code in CODES:
        there, back = (difference(KPIS[code], DESK, *pair) for pair in ((NET, MAIL), (MAIL, NET)))
        assert there.value == pytest.approx(-(back.value or 0))
        if there.low is not None and there.high is not None:
            assert (-there.high, -there.low) == (pytest.approx(back.low), pytest.approx(back.high))


def test_two_windows_are_followed_for_equally_long() -> None:
    old, new = Window(_day("2025-01-01"), _day("2025-02-01")), Window(SPRING.end_us, DESK.as_of_us)
    found = difference(KPIS["KPI16"], DESK, Side(old), Side(new))
    assert found.a.as_of_us == old.end_us
    assert found.b.as_of_us == DESK.as_of_us
    assert found.a == measure(KPIS["KPI16"], DESK, old, as_of_us=old.end_us)


def test_a_side_may_bring_what_was_known_then() -> None:
    """Verdicts are not cut by times, and rows of another evidence are numbered anew."""
    old, new = Window(_day("2025-01-01"), _day("2025-02-01")), Window(SPRING.end_us, DESK.as_of_us)
    rules = {"INC006": np.full(len(DESK.cases), Verdict.CONFORMS, dtype=np.int8)}
    late = np.flatnonzero((DESK.cases["opened_us"] >= old.start_us).to_numpy())
    then = Evidence(
        cases=DESK.cases.take(late).reset_index(drop=True),
        as_of_us=old.end_us,
        verdicts={"INC006": np.full(len(late), Verdict.VIOLATES, dtype=np.int8)},
    )
    desk = replace(DESK, verdicts=rules)
    found = difference(KPIS["KPI08"], desk, Side(old, known=then), Side(new))
    assert (found.a.value, found.b.value, found.value) == (0.0, 1.0, 1.0)
    assert found.note == ""
    same = difference(KPIS["KPI08"], desk, Side(old, known=then), Side(old))
    assert same.note == SAME_CASES


def test_the_same_tickets_on_both_sides_have_no_limits() -> None:
    other = Side(SPRING, Scope.of({"team": ["Desk", "Network"]}))
    for code in ("KPI01", "KPI05", "KPI20"):
        found = difference(KPIS[code], DESK, other, Side(SPRING))
        assert found.value is not None
        assert (found.low, found.high, found.note) == (None, None, SAME_CASES)


def test_a_backlog_has_a_difference_and_no_limits() -> None:
    found = difference(KPIS["KPI10"], DESK, NET, MAIL)
    assert found.value == (found.b.value or 0) - (found.a.value or 0)
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize(
    ("scope", "note"),
    [
        (Scope.of({"priority": ["P1"]}), FEWER),
        (Scope.of({"team": ["Two people"]}), FEW_PEOPLE),
        (Scope.of({"team": ["Nobody"]}), "nothing in the window that it counts"),
    ],
)
def test_a_side_that_may_not_be_shown_ends_the_difference(scope: Scope, note: str) -> None:
    for sides in ((Side(SPRING, scope), MAIL), (MAIL, Side(SPRING, scope))):
        found = difference(KPIS["KPI01"], DESK, *sides)
        assert (found.value, found.low, found.high, found.note) == (None, None, None, note)
        hidden = found.a if sides[0].scope == scope else found.b
        assert (hidden.value, hidden.n) == (None, 0)


def test_limits_that_the_data_do_not_bound_are_none() -> None:
    known = Estimate(1.0, 0.5, None, 9, "m", "h")
    other = Estimate(3.0, None, 4.0, 9, "m", "h")
    assert mover(known, other) == (2.0, None, pytest.approx(2.0 + np.hypot(1.0, 0.5)))
    assert mover(other, known) == (-2.0, pytest.approx(-2.0 - np.hypot(0.5, 1.0)), None)
    gone = Estimate(None, None, None, 0, "m", "h")
    assert mover(known, gone) == mover(gone, known) == (None, None, None)


def test_everything_is_the_default_scope() -> None:
    assert Side(SPRING).scope == EVERYTHING
