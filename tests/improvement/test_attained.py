"""Attainment by dimension, its trend, and error budgets: figures by hand, planted and no trend."""

from __future__ import annotations

import datetime as dt
from itertools import combinations
from math import comb, exp, log, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import poisson

from csi.service_levels.attained import (
    DIMENSIONS,
    FALLING,
    FEWER,
    NO_TREND,
    RISING,
    SEVERAL,
    TOO_FEW,
    TOO_UNKNOWN,
    TRENDS,
    attained_by,
    attained_schema,
    trends,
)
from csi.service_levels.error_budget import (
    BUDGETS,
    LASTS,
    UNTOLD,
    USED_UP,
    WILL_BE,
    error_budgets,
)
from csi.statistics.trend import proportion_trend
from process_mining.errors import CodedError, RunError
from rules.service_level import CLOCKS, STATUSES, ServiceLevels, Target, attainment

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
YEAR = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)


def clock(status: str, at: dt.datetime | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """One row of CLOCKS; `at` is its stop, or its breach where it is breached."""
    row: dict[str, Any] = {
        "case_id": "c",
        "agreement": "SLA",
        "metric": "resolve",
        "target": None if status == "no target" else "t",
        "objective": None if status == "no target" else 0.9,
        "cycle": 1,
        "status": status,
        "paused_us": 0,
    }
    if at is not None:
        row |= {"start": at - HOUR, "due": at, "stop": at}
        if status == "breached":
            row |= {"breached_at": at}
    return row | more


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CLOCKS)


def on_day(day: int) -> dt.datetime:
    return YEAR + (day - 1) * DAY + HOUR


def target(name: str = "t", **more: Any) -> Target:  # noqa: ANN401
    fields: dict[str, Any] = {
        "metric": "resolve",
        "case_type": "incident",
        "limit_us": 3_600_000_000,
        "calendar": "24x7",
        "objective": 0.9,
        "valid_from": dt.date(2000, 1, 1),
    }
    return Target(name=name, **(fields | more))


def us(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


# --- by dimension


def test_figures_by_hand() -> None:
    rows = [
        *[clock("met", on_day(3), service="mail")] * 7,
        *[clock("breached", on_day(4), service="mail")] * 1,
        clock("running", service="mail"),
        clock("lapsed", service="mail"),
        clock("superseded", service="mail"),
        clock("no target", service="mail"),
        *[clock("met", on_day(3), service="web")] * 2,
    ]
    found = attained_by(table(*rows), "service")
    mail, web = found.to_pylist()
    assert found.schema == attained_schema("service")
    # Wilson 7 of 8: (p + z²/2n ± z sqrt(p q/n + z²/4n²)) / (1 + z²/n)
    z, p, n = 1.959963984540054, 7 / 8, 8
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert mail.pop("low") == pytest.approx((middle - half) / (1 + z * z / n))
    assert mail.pop("high") == pytest.approx((middle + half) / (1 + z * z / n))
    assert mail == {
        "agreement": "SLA",
        "metric": "resolve",
        "service": "mail",
        "clocks": 12,
        "n": 8,
        "met": 7,
        "breached": 1,
        "running": 1,
        "lapsed": 1,
        "superseded": 1,
        "unknown": 0,
        "no_target": 1,
        "rate": 7 / 8,
        "objective": 0.9,
        "verdict": "inconclusive",
    }
    assert (web["service"], web["n"], web["rate"]) == ("web", 2, 1.0)


def test_unknown_clocks_leave_bounds_but_no_rate() -> None:
    rows = [clock("met", on_day(3))] * 18 + [clock("unknown", on_day(3))] * 2
    (row,) = attained_by(table(*rows), "month").to_pylist()
    assert (row["month"], row["n"], row["unknown"], row["rate"]) == ("2024-01", 18, 2, None)
    assert row["low"] == pytest.approx(0.699, abs=5e-4)  # 18 of 20
    assert row["high"] == pytest.approx(1)  # 20 of 20
    (row,) = attained_by(table(*rows[:19]), "month").to_pylist()
    assert row["rate"] is None  # 1 of 19 is more than one in twenty
    (row,) = attained_by(table(*rows[:18], *rows[:1], rows[-1]), "month").to_pylist()
    assert row["rate"] == 1.0


@pytest.mark.parametrize(
    ("row", "month"),
    [
        (clock("met", on_day(31)), "2024-01"),
        (clock("met", YEAR + 31 * DAY), "2024-02"),
        (clock("met", YEAR - dt.timedelta(microseconds=1)), "2023-12"),
        (clock("met", dt.datetime(1969, 12, 31, tzinfo=dt.UTC)), "1969-12"),
        (clock("breached", on_day(31), stop=on_day(70)), "2024-03"),
        (clock("breached", on_day(31), stop=None), "2024-01"),
        (clock("unknown", on_day(31), stop=None), "2024-01"),
        (clock("unknown"), None),
        (clock("superseded", on_day(31)), None),
        (clock("running", on_day(31), stop=None), None),
        (clock("no target"), None),
    ],
)
def test_month_of_a_clock(row: dict[str, Any], month: str | None) -> None:
    assert attained_by(table(row), "month")["month"].to_pylist() == [month]


def test_several_objectives_have_no_verdict() -> None:
    rows = [*[clock("met", on_day(3))] * 40, clock("met", on_day(3), target="u", objective=0.5)]
    (row,) = attained_by(table(*rows), "priority").to_pylist()
    assert (row["n"], row["rate"], row["objective"], row["verdict"]) == (41, 1.0, None, SEVERAL)
    (row,) = attained_by(table(clock("no target")), "priority").to_pylist()
    assert (row["clocks"], row["no_target"], row["rate"], row["verdict"]) == (1, 1, None, None)


def test_agreements_and_metrics_are_not_mixed() -> None:
    rows = [clock("met", on_day(3)), clock("met", on_day(3), metric="respond")]
    rows.append(clock("met", on_day(3), agreement="OLA", party="desk"))
    found = attained_by(table(*rows))
    assert [(row["agreement"], row["metric"]) for row in found.to_pylist()] == [
        ("OLA", "resolve"),
        ("SLA", "resolve"),
        ("SLA", "respond"),
    ]


@pytest.mark.parametrize("by", ["team", "customer"])
def test_small_groups_are_named_without_counts(by: str) -> None:
    rows = [
        *[clock("met", on_day(3)) | {by: "small"}] * 4,
        *[clock("met", on_day(3)) | {by: "large"}] * 5,
        *[clock("met", on_day(3)) | {by: "open"}] * 4,
        clock("running") | {by: "open"},
    ]
    large, still_open, small = attained_by(table(*rows), by).to_pylist()
    assert (large["n"], large["rate"]) == (5, 1.0)
    assert (still_open["clocks"], still_open["n"], still_open["rate"]) == (5, 4, None)
    assert (still_open["low"], still_open["verdict"]) == (None, FEWER)
    told = {name for name, value in small.items() if value is not None}
    assert told == {"agreement", "metric", by, "verdict"}
    assert small["verdict"] == FEWER
    by_month = attained_by(table(*rows), "month", by).to_pylist()
    assert [row["clocks"] for row in by_month if row[by] != "large"] == [None, None, None]


@pytest.mark.parametrize("by", [("actor",), ("month", "month"), ("month", "team", "service")])
def test_dimensions_that_cannot_be(by: tuple[str, ...]) -> None:
    with pytest.raises(CodedError, match="SL265"):
        attained_by(table(), *by)


def random_clocks(seed: int, n: int = 400) -> pa.Table:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        status = str(rng.choice(STATUSES))
        at = on_day(int(rng.integers(1, 200)))
        places = rng.integers(3, size=3).tolist()
        more: dict[str, Any] = {"team": str(rng.choice(["x", "y"])), "case_id": str(i)}
        for name, place in zip(("service", "priority", "customer"), places, strict=True):
            more[name] = ("a", "b", None)[place]
        if status != "no target":
            more |= {"target": str(rng.choice(["t", "u"]))}
        rows.append(clock(status, at, **more))
    return table(*rows)


WAYS = [(), *((one,) for one in DIMENSIONS), *combinations(DIMENSIONS, 2)]


@pytest.mark.parametrize("by", WAYS)
def test_groups_sum_to_the_whole(by: tuple[str, ...]) -> None:
    clocks = random_clocks(1)
    status = clocks["status"].to_pylist()
    found = attained_by(clocks, *by)
    small = sum(row["clocks"] is None for row in found.to_pylist())
    for word in STATUSES:
        column = word.replace(" ", "_")
        missing = status.count(word) - (pc.sum(found[column]).as_py() or 0)
        assert 0 <= missing <= 4 * small
    if not {"team", "customer"} & set(by):
        assert small == 0
    shuffled = clocks.take(np.random.default_rng(2).permutation(clocks.num_rows))
    assert attained_by(shuffled, *by).equals(found)


def test_by_target_agrees_with_attainment() -> None:
    clocks = random_clocks(3)
    mine = attained_by(clocks.filter(clocks["target"].is_valid()), "target").to_pylist()
    for row, whole in zip(mine, attainment(clocks).to_pylist(), strict=True):
        same = set(row) & set(whole)
        assert {name: row[name] for name in same} == {name: whole[name] for name in same}


# --- trend


LATER = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
AROUND = (clock("met", LONG_AGO), clock("running", start=LATER, due=LATER + HOUR))


def history(shares: list[float], n: int, rng: np.random.Generator) -> pa.Table:
    """One month after the other, each with n decided clocks, and starts long before and after."""
    rows = [*AROUND]
    for month, share in enumerate(shares):
        met = int(rng.binomial(n, share))
        at = dt.datetime(2024 + month // 12, month % 12 + 1, 15, tzinfo=dt.UTC)
        rows += [clock("met", at)] * met + [clock("breached", at)] * (n - met)
    return table(*rows)


def exactly(met: list[int], n: int) -> pa.Table:
    rows = [*AROUND]
    for month, k in enumerate(met):
        at = dt.datetime(2024, month + 1, 15, tzinfo=dt.UTC)
        rows += [clock("met", at)] * k + [clock("breached", at)] * (n - k)
    return table(*rows)


def test_trend_is_cochran_armitage() -> None:
    met, n = [50, 55, 61, 63, 70, 72, 75], 100
    (row,) = trends(exactly(met, n)).to_pylist()
    x, p = np.arange(7) - 3, sum(met) / 700
    z = float((x * np.array(met)).sum()) / sqrt(p * (1 - p) * n * float((x * x).sum()))
    # Student's t of 5 degrees of freedom, by its closed form
    a = np.arctan(z / sqrt(5))
    t5 = 1 - 2 / np.pi * (a + np.sin(a) * np.cos(a) * (1 + 2 / 3 * np.cos(a) ** 2))
    assert row["dispersion"] == 1.0
    assert row["p"] == pytest.approx(t5)
    assert (row["trend"], row["months"], row["n"], row["met"]) == (RISING, 7, 700, sum(met))
    assert (row["first"], row["last"]) == ("2024-01", "2024-07")

    def loss(at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        eta = at[0] + at[1] * np.arange(7)
        return float((n * np.log1p(np.exp(eta)) - np.array(met) * eta).sum())

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", tol=1e-10)
    assert row["odds_ratio"] == pytest.approx(exp(best.x[1]), rel=1e-5)
    assert 1 < row["low"] < row["odds_ratio"] < row["high"]


def test_planted_trends_are_found() -> None:
    rng = np.random.default_rng(4)
    up = [1 / (1 + exp(-(1.0 + 0.15 * month))) for month in range(12)]
    found = [trends(history(up, 100, rng)).to_pylist()[0] for _ in range(20)]
    assert [row["trend"] for row in found] == [RISING] * 20
    inside = sum(log(row["low"]) <= 0.15 <= log(row["high"]) for row in found)
    assert inside >= 17
    (row,) = trends(history(up[::-1], 100, rng)).to_pylist()
    assert row["trend"] == FALLING
    assert row["high"] < 1


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_no_trend_is_claimed_where_there_is_none(spread: float) -> None:
    """In 200 histories without a trend; with `spread`, months differ by more than chance."""
    rng = np.random.default_rng(5)
    claimed = 0
    for _ in range(200):
        share = 1 / (1 + np.exp(-(2.0 + spread * rng.normal(size=9))))
        claimed += proportion_trend(rng.binomial(80, share), [80] * 9, range(9)).p <= 0.05
    assert claimed <= 16


def test_trend_without_enough_to_say() -> None:
    rng = np.random.default_rng(6)
    (row,) = trends(history([0.9] * 5, 50, rng)).to_pylist()
    assert (row["trend"], row["months"], row["p"], row["odds_ratio"]) == (TOO_FEW, 5, None, None)
    (row,) = trends(history([0.9] * 12, 4, rng)).to_pylist()
    assert (row["trend"], row["months"], row["n"]) == (TOO_FEW, 0, 0)
    steady = exactly([20] * 8, 20)
    (row,) = trends(steady).to_pylist()
    assert (row["trend"], row["p"], row["odds_ratio"]) == (NO_TREND, 1.0, None)
    doubtful = pa.concat_tables([steady, table(*[clock("unknown", on_day(3))] * 9)])
    assert trends(doubtful)["trend"].to_pylist() == [TOO_UNKNOWN]
    assert trends(table()).schema == TRENDS


def test_trend_where_one_side_is_all_met() -> None:
    (row,) = trends(exactly([0, 0, 0, 10, 10, 10], 10)).to_pylist()
    assert (row["trend"], row["odds_ratio"], row["high"]) == (RISING, None, None)
    assert row["low"] > 1


def test_trend_counts_a_breach_when_it_happened() -> None:
    """Breached tickets that are still open do not make the last month look worse."""
    rows = [*AROUND]
    for month in range(1, 9):
        at = dt.datetime(2024, month, 20, tzinfo=dt.UTC)
        rows += [clock("met", at)] * 80
        rows += [clock("breached", at, stop=at + 25 * DAY if month < 8 else None)] * 20
    found = table(*rows)
    (row,) = trends(found).to_pylist()
    assert (row["trend"], row["n"], row["odds_ratio"]) == (NO_TREND, 800, pytest.approx(1))
    by_month = {row["month"]: row for row in attained_by(found, "month").to_pylist()}
    assert by_month["2024-08"]["breached"] == 40  # counted by their stops


def test_trend_leaves_out_the_days_of_which_a_log_cannot_hold_everything() -> None:
    """Tickets opened from 1 January on for 240 days, with ten days of time until a breach."""
    rows = []
    for day in range(1, 241):
        opened = on_day(day)
        more = {"start": opened, "due": opened + 10 * DAY}
        rows += [clock("met", opened + DAY, **more)] * 4
        rows.append(clock("breached", opened + 10 * DAY, **more))
    (row,) = trends(table(*rows)).to_pylist()
    assert row["n"] == 230 * 5  # from the 11th to the 240th day
    assert row["odds_ratio"] == pytest.approx(1)
    assert trends(table(*rows, clock("met", on_day(3), start=None)))["n"].to_pylist() == [230 * 5]


def test_trends_of_many_targets_are_adjusted() -> None:
    rng = np.random.default_rng(7)
    parts = [history([0.9] * 8, 60, rng) for _ in range(10)]
    place = CLOCKS.get_field_index("target")
    named = [
        part.set_column(place, "target", pa.repeat(f"t{i}", part.num_rows))
        for i, part in enumerate(parts)
    ]
    rows = trends(pa.concat_tables(named)).to_pylist()
    order = sorted(rows, key=lambda row: row["p"])
    for i, row in enumerate(order):
        by_hand = min(1.0, *(10 * later["p"] / (i + j + 1) for j, later in enumerate(order[i:])))
        assert row["p_adjusted"] == pytest.approx(by_hand)
    assert {row["trend"] for row in rows} == {NO_TREND}
    shuffled = pa.concat_tables(named[::-1])
    shuffled = shuffled.take(rng.permutation(shuffled.num_rows))
    assert trends(shuffled).to_pylist() == rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(sum), min_size=3, max_size=9)
)
def test_trend_the_other_way_round_is_its_inverse(months: list[tuple[int, int]]) -> None:
    k, n = [one for one, _ in months], [sum(pair) for pair in months]
    found = proportion_trend(k, n, range(len(k)))
    back = proportion_trend(k[::-1], n[::-1], range(len(k)))
    assert back.p == pytest.approx(found.p, rel=1e-6)
    for one, other in ((found.low, back.high), (found.odds_ratio, back.odds_ratio)):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one * other == pytest.approx(1, rel=1e-5)
    outside = any(
        (found.low is not None and found.low > 1 + 1e-9, found.high is not None and found.high < 1)
    )
    assert outside == (found.p < 0.05) or found.p == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("k", [[1, 2], [1, 2, 9], [1, 2, -1]])
def test_trend_of_impossible_counts(k: list[int]) -> None:
    with pytest.raises(RunError, match="ST526"):
        proportion_trend(k, [5] * len(k), range(len(k)))


# --- error budget

AS_OF = us(dt.datetime(2024, 2, 11, tzinfo=dt.UTC))  # 10 of 29 days of February are over


def february(met: int, breached: list[int]) -> list[dict[str, Any]]:
    return [
        *[clock("met", on_day(33))] * met,
        *[clock("breached", on_day(31 + day)) for day in breached],
    ]


def budgets(*rows: dict[str, Any], as_of_us: int = AS_OF, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    early = clock("met", LONG_AGO)
    levels = ServiceLevels((target(**more),))
    found = error_budgets(table(early, *rows), levels, as_of_us=as_of_us)
    assert found.schema == BUDGETS
    rows_found: list[dict[str, Any]] = found.to_pylist()
    return rows_found[1:]  # without that of the early one


def test_budget_of_a_period_that_is_over() -> None:
    january = [clock("met", on_day(3))] * 180 + [clock("breached", on_day(4))] * 20
    over, running = budgets(*january)
    assert (over["begin"], over["end"]) == (YEAR, YEAR + 31 * DAY)
    assert (over["n"], over["budget"], over["burn"]) == (200, 20, 1.0)
    assert (over["verdict"], over["running"], over["forecast"]) == ("inconclusive", False, None)
    assert (running["n"], running["running"], running["forecast"]) == (0, True, UNTOLD)
    assert running["elapsed"] == pytest.approx(10 / 29)


def test_budget_of_the_running_period() -> None:
    """40 decided and 2 breached in 10 of 29 days: 116 and 5.8 at the end, of 11.6 allowed."""
    (row,) = budgets(*february(38, [2, 5]))
    assert (row["n"], row["breached"], row["budget"]) == (40, 2, 4)
    assert (row["burn"], row["used"]) == (0.5, pytest.approx(2 / 11.6))
    assert (row["expected_n"], row["whole"]) == (pytest.approx(116), pytest.approx(11.6))
    assert row["projected"] == pytest.approx(5.8)
    assert (row["forecast"], row["used_up_on"]) == (LASTS, None)
    # of y to come, the chance of at most 2 so far, given 2 + y: binomial with 10 / 29
    share = 10 / 29

    def at_most_two(y: int) -> float:
        n = 2 + y
        return sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(3))

    assert row["projected_high"] == 2 + max(y for y in range(100) if at_most_two(y) > 0.025)
    assert row["projected_low"] == 2


def test_budget_that_will_be_used_up() -> None:
    """8 of 40 in 10 days: 11.6 are reached after 14.5 days."""
    (row,) = budgets(*february(32, [2, 3, 4, 5, 6, 7, 8, 9]))
    assert (row["forecast"], row["used_up_on"]) == (WILL_BE, dt.date(2024, 2, 15))
    assert (row["burn"], row["projected"]) == (2.0, pytest.approx(23.2))


def test_budget_that_is_used_up() -> None:
    """Of 10 x 2.9 clocks 2.9 may be breached: the third was on the 4th."""
    (row,) = budgets(*february(5, [2, 3, 4, 5, 6]))
    assert (row["forecast"], row["used_up_on"]) == (USED_UP, dt.date(2024, 2, 4))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (february(3, [2]), "four decided clocks"),
        (february(20, [2]) + [clock("unknown", on_day(35))] * 2, "two of 23 unknown"),
    ],
)
def test_budget_that_cannot_be_told(rows: list[dict[str, Any]], why: str) -> None:
    (row,) = budgets(*rows)
    assert row["forecast"] == UNTOLD, why
    assert (row["projected"], row["used_up_on"]) == (None, None)


def test_no_breach_so_far_still_has_an_upper_limit() -> None:
    (row,) = budgets(*february(30, []))
    assert (row["burn"], row["projected"], row["forecast"]) == (0.0, 0.0, LASTS)
    assert (row["projected_low"], row["projected_high"]) == (0, 8)  # (19 / 29)^9 < 0.025 <= ^8


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        ("month", (2024, 2), (2024, 3)),
        ("quarter", (2024, 1), (2024, 4)),
        ("year", (2024, 1), (2025, 1)),
    ],
)
def test_periods(period: str, begin: tuple[int, int], end: tuple[int, int]) -> None:
    row = budgets(*february(5, []), period=period)[-1]
    assert row["begin"] == dt.datetime(*begin, 1, tzinfo=dt.UTC)
    assert row["end"] == dt.datetime(*end, 1, tzinfo=dt.UTC)
    assert (row["period"], row["running"], row["n"]) == (period, True, 5)


def test_rate_counts_from_the_first_clock() -> None:
    """A target whose first clock starts on the sixth has been seen for five days."""
    first = dt.datetime(2024, 2, 6, tzinfo=dt.UTC)
    rows = [clock("met", first + DAY, start=first)] * 9 + [clock("breached", first + 2 * DAY)]
    levels = ServiceLevels((target(),))
    (row,) = error_budgets(table(*rows), levels, as_of_us=AS_OF).to_pylist()
    assert row["projected"] == pytest.approx(1 + 19 / 5)


def test_prediction_limits_hold_what_comes() -> None:
    """Of 4,000 Poisson months at most one in twenty ends outside its limits."""
    rng = np.random.default_rng(8)
    inside, draws, limits = 0, 4000, {}
    for _ in range(draws):
        seen, later = int(poisson.rvs(4.0, random_state=rng)), int(rng.poisson(4.0 * 1.9))
        if seen not in limits:
            (row,) = budgets(*february(40, [day % 9 + 1 for day in range(seen)]))
            limits[seen] = row["projected_low"], row["projected_high"]
        low, high = limits[seen]
        inside += low <= seen + later <= high
    assert 0.95 <= inside / draws <= 0.995


def test_budgets_do_not_depend_on_the_order_of_rows() -> None:
    clocks = random_clocks(9)
    levels = ServiceLevels((target(), target("u", priority="P9", period="quarter")))
    found = error_budgets(clocks, levels, as_of_us=us(on_day(200)))
    shuffled = clocks.take(np.random.default_rng(1).permutation(clocks.num_rows))
    assert error_budgets(shuffled, levels, as_of_us=us(on_day(200))).equals(found)
    frame = found.to_pandas()
    status, name = clocks["status"].to_pylist(), clocks["target"].to_pylist()
    for one in ("t", "u"):
        mine = [word for word, of in zip(status, name, strict=True) if of == one]
        decided = mine.count("met") + mine.count("breached")
        assert frame.loc[frame.target == one, "n"].sum() == decided
