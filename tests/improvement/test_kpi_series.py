"""Does each week and day say what its own tickets say, followed as long as all others?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from improvement.weekly_desks import DAY, HOUR, MONDAY, WEEK, every, evidence, ticket

from csi.evidence import Evidence, Scope
from csi.kpi import SEED, load_kpis, sampled
from csi.kpi_kinds import estimate
from csi.kpi_series import FEWEST, Days, KpiSeries, daily, slices, weekly
from process_mining.errors import RunError

KPIS = load_kpis()
ONE_OF_EACH_KIND = {one.kind: code for code, one in reversed(KPIS.items())}


def busy(weeks: int = 6, seed: int = 5) -> Evidence:
    """A desk of some weeks with everything that a KPI can read."""
    rng = np.random.default_rng(seed)
    n = 40 * weeks
    opened = MONDAY + np.sort(rng.integers(0, weeks * WEEK, n))
    opened[0] = MONDAY
    rows = []
    for i, at in enumerate(opened.tolist()):
        hours = None if rng.random() < 0.1 else float(rng.lognormal(2.5, 1.2))
        row = ticket(i, at, hours, priority=str(rng.choice(["P1", "P2"])))
        row["first_response_us"] = at + int(rng.integers(1, 8)) * HOUR
        row["reopened_us"] = row["closed_us"] if rng.random() < 0.1 else None
        row |= {"handovers": int(rng.integers(0, 5)), "team": "Desk"}
        rows.append(row)
    ids = [row["case_id"] for row in rows]
    asked = pd.Series(opened + 30 * HOUR)
    return evidence(
        rows,
        MONDAY + weeks * WEEK + 3 * DAY,
        verdicts={"INC006": rng.integers(0, 3, n).astype(np.int8)},
        clocks=pd.DataFrame(
            {
                "case_id": ids,
                "metric": rng.choice(["resolve", "respond"], n),
                "status": rng.choice(["met", "breached"], n),
            }
        ),
        surveys=pd.DataFrame(
            {
                "ticket": ids,
                "asked_at": asked,
                "answered_at": (asked + 10 * HOUR).where(rng.random(n) < 0.5),
                "score": rng.integers(1, 6, n).astype(float),
            }
        ),
        steps=pd.DataFrame({"case_id": ids, "activity": "Escalate", "first_us": opened + HOUR}),
    )


def values(series: KpiSeries) -> list[float]:
    return [float(v) for v in series.frame["value"]]


# --- weeks ---------------------------------------------------------------------------------


def test_weeks_begin_on_monday_utc_and_partial_ones_are_left_out_and_told() -> None:
    known = evidence(every([2.0] * 60, MONDAY - 3 * DAY, 12 * HOUR), MONDAY + 27 * DAY)
    found = weekly(KPIS["KPI20"], known, Days(MONDAY - 3 * DAY, MONDAY + 24 * DAY))
    starts = found.frame["start"].dt.strftime("%Y-%m-%d %H:%M").tolist()
    assert starts == ["2025-01-06 00:00", "2025-01-13 00:00", "2025-01-20 00:00"]
    assert found.labels[0] == "the week of 2025-01-06"
    assert found.told[:2] == (
        "Left out: 2025-01-03 up to, not including, 2025-01-06, no whole week of the log",
        "Left out: 2025-01-27 up to, not including, 2025-01-30, no whole week of the log",
    )
    assert values(found) == [14, 14, 14]
    assert found.frame["k"].tolist() == [14, 14, 14]


def test_a_week_that_the_log_has_not_seen_from_its_first_day_is_no_whole_week() -> None:
    known = evidence(every([2.0] * 60, MONDAY + DAY, 12 * HOUR), MONDAY + 21 * DAY + HOUR)
    found = weekly(KPIS["KPI20"], known, Days(MONDAY, MONDAY + 28 * DAY))
    assert len(found.frame) == 2
    assert found.frame["start"].iloc[0] == pd.Timestamp("2025-01-13", tz="UTC")


def test_tickets_are_followed_equally_long_in_each_week() -> None:
    """All tickets take 60 hours. The log ends one day after the last week.

    Followed to the end of the log, the first week would say 60 h and its last tickets too; followed
    alike, those of Saturday and Sunday are censored in every week.
    """
    known = evidence(every([60.0] * 56, MONDAY, 12 * HOUR), MONDAY + 4 * WEEK + DAY)
    found = weekly(KPIS["KPI01"], known, Days(MONDAY, MONDAY + 4 * WEEK))
    assert found.follow_up_days == 1
    assert values(found) == [60.0] * 4
    # opened by Saturday 12:00 (60 h before Tuesday 00:00): 12 of the 14 of a week
    assert found.frame["k"].tolist() == [12] * 4
    assert found.frame["n"].tolist() == [14] * 4


def test_a_log_that_was_cut_by_the_time_of_opening_has_no_weeks_after_that() -> None:
    """Opened until a Thursday, closed for months: no arrivals there means no log."""
    rows = every([5.0] * 36, MONDAY, 12 * HOUR)  # the last on Thursday of the third week
    late = [ticket(99, MONDAY, 2000.0)]
    window = Days(MONDAY, MONDAY + 9 * WEEK)
    assert len(weekly(KPIS["KPI20"], evidence(rows + late, MONDAY + 12 * WEEK), window).frame) == 2


def test_a_desk_that_rests_at_the_weekend_has_whole_weeks() -> None:
    rows = [
        ticket(w * 5 + d, MONDAY + w * WEEK + d * DAY + 9 * HOUR, 5.0)
        for w in range(4)
        for d in range(5)
    ]
    window = Days(MONDAY, MONDAY + 4 * WEEK)
    assert len(weekly(KPIS["KPI20"], evidence(rows, MONDAY + 5 * WEEK), window).frame) == 4


@pytest.mark.parametrize("code", sorted(ONE_OF_EACH_KIND.values()))
@pytest.mark.parametrize("scope", [Scope(), Scope(priority=("P1",))], ids=["all", "P1"])
def test_a_week_says_what_its_window_says_alone(code: str, scope: Scope) -> None:
    """The oracle measures each week on the whole evidence, one window at a time."""
    known, kpi = busy(), KPIS[code]
    found = weekly(kpi, known, Days(MONDAY, MONDAY + 6 * WEEK), scope)
    for i, row in enumerate(found.frame.itertuples()):
        week = Days(MONDAY + i * WEEK, MONDAY + (i + 1) * WEEK)
        alone = sampled(kpi, known, week, scope, as_of_us=week.end_us + 3 * DAY)
        made = estimate(alone, unit=kpi.unit, seed=SEED)
        if row.note and made.value is not None:
            assert made.n < FEWEST
            continue
        if made.value is None:
            assert np.isnan([row.value, row.low, row.high]).all()
            assert row.note
            continue
        want = [math.nan if v is None else v for v in (made.value, made.low, made.high)]
        assert [row.value, row.low, row.high] == pytest.approx(want, nan_ok=True)
        assert row.n == made.n


def test_every_sort_of_kpi_was_among_them() -> None:
    known = busy()
    window = Days(MONDAY, MONDAY + 6 * WEEK)
    sorts = {weekly(KPIS[code], known, window).sort for code in ONE_OF_EACH_KIND.values()}
    assert sorts == {"times", "shares", "counts", "scores", "stocks", "missing"}


def test_a_week_of_fewer_than_five_says_nothing_and_why() -> None:
    hours = [3.0] * 14 + [3.0] * 4
    rows = [
        ticket(i, MONDAY + (i * 12 * HOUR if i < 14 else WEEK + (i - 14) * 36 * HOUR), h)
        for i, h in enumerate(hours)
    ]
    found = weekly(
        KPIS["KPI01"], evidence(rows, MONDAY + 3 * WEEK), Days(MONDAY, MONDAY + 2 * WEEK)
    )
    assert values(found) == pytest.approx([3.0, math.nan], nan_ok=True)
    assert found.frame["note"].tolist() == ["", "fewer than 5 cases"]
    assert "1 week without a value: fewer than 5 cases" in found.told
    assert found.frame["k"].isna().tolist() == [False, True]


def test_a_median_that_is_not_reached_is_no_value() -> None:
    known = evidence(every([None] * 14 + [5.0] * 14, MONDAY, 12 * HOUR), MONDAY + 3 * WEEK)
    found = weekly(KPIS["KPI01"], known, Days(MONDAY, MONDAY + 2 * WEEK))
    assert values(found) == pytest.approx([math.nan, 5.0], nan_ok=True)
    assert found.frame["note"].iloc[0] == "too few got there within the follow-up"


def test_what_is_judged_at_the_end_of_the_log_is_told() -> None:
    known = busy()
    window = Days(MONDAY, MONDAY + 6 * WEEK)
    said = "Verdicts, clocks and hand-overs are those known at the end of the log"
    assert said in weekly(KPIS["KPI03"], known, window).told
    assert said not in weekly(KPIS["KPI01"], known, window).told


@pytest.mark.parametrize(
    "window",
    [
        Days(MONDAY + DAY, MONDAY + 8 * DAY),
        Days(MONDAY + 40 * WEEK, MONDAY + 44 * WEEK),
        Days(MONDAY - 9 * WEEK, MONDAY - WEEK),
        Days(MONDAY + 5 * WEEK + DAY, MONDAY + 60 * WEEK),
    ],
)
def test_a_window_without_a_whole_week_is_refused(window: Days) -> None:
    with pytest.raises(RunError) as caught:
        weekly(KPIS["KPI01"], busy(), window)
    assert caught.value.code == "ST563"


def test_no_tickets_at_all_are_refused_too() -> None:
    none = evidence(every([1.0], MONDAY, HOUR), MONDAY + 9 * WEEK)
    empty = Evidence(none.cases.head(0), none.as_of_us)
    with pytest.raises(RunError) as caught:
        slices(empty, Days(MONDAY, MONDAY + 4 * WEEK))
    assert caught.value.code == "ST563"


# --- days ----------------------------------------------------------------------------------


def planted(weeks: list[float], weekdays: list[float], *, each: int = 6) -> Evidence:
    """Tickets of a day all take week x weekday hours."""
    rows = []
    for w, of_week in enumerate(weeks):
        for d, of_day in enumerate(weekdays):
            at = MONDAY + w * WEEK + d * DAY
            rows += [ticket(len(rows) + i, at + i * HOUR, of_week * of_day) for i in range(each)]
    return evidence(rows, MONDAY + (len(weeks) + 1) * WEEK)


def test_the_weekday_is_taken_out_of_times_as_a_factor() -> None:
    weeks, days = [10.0, 12.0, 9.0, 11.0], [0.5, 1.0, 1.0, 1.0, 2.0, 3.0, 1.5]
    found = daily(KPIS["KPI01"], planted(weeks, days), Days(MONDAY, MONDAY + 4 * WEEK))
    middle = math.exp(sum(map(math.log, days)) / 7)
    want = [week * middle for week in weeks for _ in days]
    assert values(found) == pytest.approx(want, rel=1e-6)
    assert found.frame["seen"].iloc[5] == pytest.approx(30.0)
    assert found.labels[0] == "2025-01-06"
    assert found.step == "day"


def test_a_weekday_on_which_nobody_opens_tickets_is_left_out() -> None:
    known = planted([10.0, 12.0, 9.0], [1.0, 1.0, 2.0, 1.0, 1.0])
    found = daily(KPIS["KPI01"], known, Days(MONDAY, MONDAY + 3 * WEEK))
    empty = np.array(values(found)).reshape(3, 7)
    assert np.isnan(empty[:, 5:]).all()
    assert not np.isnan(empty[:, :5]).any()
    assert empty[:, 0] == pytest.approx(empty[:, 2])


def test_a_weekday_with_two_values_is_no_weekday() -> None:
    known = planted([10.0, 12.0], [1.0] * 7)
    found = daily(KPIS["KPI01"], known, Days(MONDAY, MONDAY + 2 * WEEK))
    assert np.isnan(values(found)).all()
    assert set(found.frame["note"]) == {"its weekday has fewer than 3 values"}
    assert found.frame["seen"].notna().all()


def test_a_step_between_weeks_survives_the_weekday() -> None:
    known = planted([10.0, 10.0, 20.0, 20.0], [1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0])
    found = np.array(values(daily(KPIS["KPI01"], known, Days(MONDAY, MONDAY + 4 * WEEK))))
    assert found[14:] == pytest.approx(2 * found[:14], rel=1e-6)


def test_shares_stay_shares_and_counts_are_not_negative() -> None:
    known, window = busy(), Days(MONDAY, MONDAY + 6 * WEEK)
    for code in ("KPI16", "KPI20"):
        frame = daily(KPIS[code], known, window).frame
        shown = frame[["value", "low", "high"]].to_numpy()
        assert np.nanmin(shown) >= 0
        assert code == "KPI20" or np.nanmax(shown) <= 1
