"""Do the charts of the KPIs say what stands out, in words and pictures, and how to read it?"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from improvement.weekly_desks import DAY, HOUR, MONDAY, WEEK, evidence, ticket

from csi.chart_pictures import Drawn, draw_chart
from csi.kpi import load_kpis
from csi.kpi_charts import MOST_PICTURES, KpiCharts, chart_of, charts_of
from csi.kpi_series import Days, weekly
from csi.statistics.control_charts import chance_of_signal, individuals

if TYPE_CHECKING:
    from csi.evidence import Evidence

KPIS = load_kpis()
WEEKS, CHANGE = 28, 18
HOSTILE = "<script>alert('$x_1$')</script> & \"quoted\" \N{RIGHT-TO-LEFT OVERRIDE}"


@cache
def desk(hours_after: float = 24.0, *, bad_week: int | None = None, seed: int = 3) -> Evidence:
    """28 weeks of 40 tickets that take 10 h on a median, from week 18 on `hours_after`."""
    rng = np.random.default_rng(seed)
    rows = []
    for w in range(WEEKS):
        middle = 10.0 if w < CHANGE else hours_after
        if w == bad_week:
            middle *= 6
        for i in range(40):
            at = MONDAY + w * WEEK + i * 4 * HOUR
            hours = middle * float(rng.lognormal(0.05 * rng.standard_normal(), 0.5))
            rows.append(ticket(len(rows), at, hours))
    return evidence(rows, MONDAY + (WEEKS + 2) * WEEK)


@cache
def charted(known: Evidence, codes: tuple[str, ...] = ("KPI01", "KPI20", "KPI10")) -> KpiCharts:
    window = Days(MONDAY, MONDAY + WEEKS * WEEK)
    base = Days(MONDAY, MONDAY + CHANGE * WEEK)
    return charts_of([KPIS[code] for code in codes], known, window, baseline=base)


def test_a_change_of_level_is_told_with_its_week_and_both_levels() -> None:
    found = charted(desk())
    (row,) = found.changes.to_dict("records")
    assert row["kpi"] == "KPI01"
    assert row["start"] == pd.Timestamp("2025-05-12", tz="UTC")
    assert row["way"] == "worse"
    assert row["before_low"] < 10 < row["before_high"]
    assert row["after_low"] < 24 < row["after_high"]
    assert (row["before_points"], row["after_points"]) == (CHANGE, WEEKS - CHANGE)
    assert row["sentence"] in found.sentences
    pattern = (
        r"Median time to resolve an incident: from the week of 2025-05-12 on 23 h.* \(.* to .*\) "
        r"instead of 10 h.* \(9 h .* to 10 h .*\) \(worse\)"
    )
    assert re.fullmatch(pattern, row["sentence"])


def test_a_bad_week_is_a_signal_with_value_limit_and_n() -> None:
    found = charted(desk(10.0, bad_week=22))
    row = found.signals[found.signals["rule"] == "beyond"].to_dict("records")[0]
    assert row["first"] == row["last"] == pd.Timestamp("2025-06-09", tz="UTC")
    assert (row["side"], row["way"], row["points"], row["n"]) == ("high", "worse", 1, 40)
    assert row["value"] > row["limit"]
    assert re.fullmatch(
        r"Median time to resolve an incident: the week of 2025-06-09 lies above the upper limit "
        r"\(worse\): 2 d .*, limit 1\d h.*, n = 40",
        row["sentence"],
    )
    assert row["sentence"] in found.sentences


def test_of_many_signals_the_farthest_are_said_and_all_are_in_the_table() -> None:
    found = charted(desk(200.0), ("KPI01",))
    assert len(found.signals) > 4
    spoken = [one for one in found.sentences if one in set(found.signals["sentence"])]
    assert len(spoken) == 3
    farthest = found.signals["sigmas"].abs().nlargest(3)
    assert found.signals.set_index("sentence").loc[spoken, "sigmas"].abs().min() == farthest.min()
    assert f"{KPIS['KPI01'].title}: {len(found.signals) - 3} more signals in the table" in (
        found.sentences
    )


def test_a_lower_level_of_what_should_be_low_is_better() -> None:
    found = charted(desk(4.0))
    assert set(found.changes["way"]) == {"better"}
    assert set(found.signals.loc[found.signals["kpi"] == "KPI01", "way"]) == {"better"}


def test_limits_come_from_the_baseline_alone() -> None:
    calm, changed = charted(desk(10.0)), charted(desk(40.0))
    for name in ("centre", "upper_limit", "lower_limit"):
        rows = [found.series[found.series["kpi"] == "KPI01"] for found in (calm, changed)]
        assert rows[0][name].to_numpy() == pytest.approx(rows[1][name].to_numpy())
    assert changed.series["baseline"].sum() == 2 * CHANGE


def test_a_short_baseline_is_told_and_not_used() -> None:
    window, base = Days(MONDAY, MONDAY + WEEKS * WEEK), Days(MONDAY, MONDAY + 4 * WEEK)
    found = charts_of([KPIS["KPI01"]], desk(10.0), window, baseline=base)
    assert "The baseline holds under 8 whole weeks: limits are from all" in found.sentences
    assert found.charts[0].chart.baseline.all()


def test_what_is_not_charted_is_told_with_its_reason() -> None:
    found = charted(desk(), ("KPI01", "KPI03", "KPI10"))
    assert found.left_out.to_dict("records") == [
        {
            "kpi": "KPI03",
            "title": KPIS["KPI03"].title,
            "reason": "under 12 weeks with a value: no service-level targets were given",
        },
        {
            "kpi": "KPI10",
            "title": KPIS["KPI10"].title,
            "reason": "what is open is carried over, so limits would be too narrow",
        },
    ]
    assert "Not charted, 1 KPI: under 12 weeks with a value" in found.sentences


def test_the_chance_of_a_signal_is_told_as_simulated() -> None:
    found = charted(desk(10.0))
    chance = chance_of_signal(WEEKS, CHANGE)
    assert 0.1 < chance < 0.6
    assert any(f"{100 * chance:.1f} % of such charts show a signal" in s for s in found.sentences)


def test_eleven_weeks_are_too_few() -> None:
    window = Days(MONDAY, MONDAY + 11 * WEEK)
    found = charts_of([KPIS["KPI01"]], desk(), window)
    assert found.charts == found.pictures == ()
    assert found.series.empty
    assert "No KPI has a value in 12 weeks or more" in found.sentences


def test_the_sort_of_a_kpi_decides_its_chart() -> None:
    found = charted(desk(), ("KPI01", "KPI16", "KPI20", "KPI09"))
    methods = {one.series.kpi.code: one.chart.method for one in found.charts}
    assert methods["KPI01"] == "XmR chart of logarithms"
    assert methods["KPI16"] == "Laney p' chart"
    assert methods["KPI20"] == "Laney u' chart"
    assert methods["KPI09"] == "XmR chart"


def test_a_kpi_that_never_varies_has_no_limits_and_says_so() -> None:
    found = charted(desk(), ("KPI09",))  # nobody hands over
    assert f"No limits, the baseline does not vary: {KPIS['KPI09'].title}" in found.sentences
    assert len(found.signals) == len(found.changes) == 0
    assert "no limits: the baseline does not vary" in found.pictures[0].svg


def test_shares_near_all_make_no_change_of_level_out_of_one_miss() -> None:
    """Five tickets a week, all in time but three: binomial spread, whatever moving ranges say."""
    rows = [
        ticket(
            w * 6 + i, MONDAY + w * WEEK + i * DAY, 30.0 if (w in (14, 16, 17) and i == 0) else 2.0
        )
        for w in range(20)
        for i in range(6)
    ]
    series = weekly(
        KPIS["KPI16"], evidence(rows, MONDAY + 22 * WEEK), Days(MONDAY, MONDAY + 20 * WEEK)
    )
    assert series.said == 20
    assert chart_of(series).changes == ()


def test_by_day_the_weekday_raises_no_alarm() -> None:
    """Half the tickets come on Mondays: charted as it is, every Monday would be a signal."""
    rng = np.random.default_rng(11)
    rows = []
    for day in range(10 * 7):
        many = 60 if day % 7 == 0 else 10
        many += int(rng.integers(-2, 3))
        rows += [
            ticket(len(rows) + i, MONDAY + day * DAY + i * 60_000_000, 2.0) for i in range(many)
        ]
    known, window = evidence(rows, MONDAY + 11 * WEEK), Days(MONDAY, MONDAY + 10 * WEEK)
    found = charts_of([KPIS["KPI20"]], known, window, step="day")
    (one,) = found.charts
    assert len(one.chart.values) == 70
    mondays = {i for signal in one.chart.signals for i in signal.points if i % 7 == 0}
    assert len(mondays) <= 1
    raw = individuals(one.series.frame["seen"], scale="sqrt")
    alarms = {i for s in raw.signals if s.rule == "beyond" for i in s.points}
    assert len(alarms & set(range(0, 70, 7))) >= 5


def test_pictures_are_few_and_news_comes_first() -> None:
    codes = ("KPI01", "KPI02", "KPI13", "KPI15", "KPI16", "KPI18", "KPI20", "KPI09", "KPI21")
    found = charted(desk(40.0), codes)
    assert len(found.pictures) == min(MOST_PICTURES, len(found.charts))
    labels = [re.search(r'aria-label="([^"]*)"', p.svg) for p in found.pictures]
    news = {one.series.kpi.title for one in found.charts if one.has_news}
    shown = [label[1] for label in labels if label]
    assert set(shown[: len(news)]) <= news


# --- pictures ------------------------------------------------------------------------------


def drawing(title: str = "A title") -> Drawn:
    values = [10.0, 11, 9, 10, 11, 10, 9, 10, 30, 10, 11, 12, 12, 13, 12, 12, 13, 12, 12, 2]
    chart = individuals(values, scale="log", baseline=np.arange(20) < 8)
    days = tuple(f"2025-{1 + i // 4:02d}-{1 + 7 * (i % 4):02d}" for i in range(20))
    return Drawn(title=title, unit="h", days=days, step="week", chart=chart, changes=(11,))


def test_a_chart_is_one_inert_element_whatever_its_title_says() -> None:
    svg = draw_chart(drawing(HOSTILE)).svg
    root = ET.fromstring(svg)  # noqa: S314 - made by us a line ago
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert root.tag.endswith("svg")
    assert not tags & {"script", "style", "image", "foreignObject", "metadata"}
    assert not re.search(r"""(href|src)="(?!#)""", svg)


def test_the_same_chart_is_the_same_bytes() -> None:
    assert draw_chart(drawing()).svg == draw_chart(drawing()).svg


def test_signals_have_shapes_and_changes_their_week() -> None:
    svg = draw_chart(drawing()).svg
    said = ("above the upper limit", "below the lower limit", "9 or more in a row on one side",
            "change of level", "baseline", "limits (3 sigma)", "centre", "2025-03-22")  # fmt: skip
    for words in said:
        assert words in svg
    plain = draw_chart(replace(drawing(), chart=individuals([1.0, 2.0] * 10), changes=())).svg
    for words in (*said[:4], "baseline"):
        assert words not in plain


def test_times_far_apart_have_a_logarithmic_axis() -> None:
    assert "time (log scale)" in draw_chart(drawing()).svg
    near = replace(drawing(), chart=individuals([10.0, 11.0] * 10, scale="log"), changes=())
    assert "time (log scale)" not in draw_chart(near).svg
    share = replace(drawing(), unit="share")
    assert "time (log scale)" not in draw_chart(share).svg
