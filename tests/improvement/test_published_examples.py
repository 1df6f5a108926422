"""Do our statistics print what textbooks and handbooks print?

Each example names where it stands. Numbers are compared to the last digit that is printed there.
Wilson's interval and Newcombe's for a difference have more rows in test_statistics.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import CensoredData, logrank
from statsmodels.datasets import nile

from csi.statistics import Share, censored_quantile, proportion
from csi.statistics.change_points import change_points
from csi.statistics.compare import newcombe
from csi.statistics.control_charts import ControlChart, individuals, laney_p, laney_u
from csi.statistics.interrupted import interrupted
from csi.statistics.survival import Survival


def printed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


# --- control charts ------------------------------------------------------------------------


def test_individuals_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2: flow rates of 10 batches.

    https://www.itl.nist.gov/div898/handbook/pmc/section3/pmc322.htm: mean 50.81, mean moving range
    1.8778, limits 45.8159 and 55.8041; the upper limit of the ranges is 3.267 of their mean.
    """
    flow = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
    chart = individuals(flow)
    assert chart.ranges is not None
    assert chart.range_limit is not None
    assert printed(chart.centre[0], 2) == "50.81"
    assert printed(float(np.nanmean(chart.ranges)), 4) == "1.8778"
    assert printed(chart.high[0], 4) == "55.8041"
    assert printed(chart.low[0], 4) == "45.8159"
    assert printed(chart.range_limit, 4) == printed(3.267 * 16.9 / 9, 4)
    assert chart.signals == ()


def narrowed(chart: ControlChart) -> tuple[float, float]:
    """The limits without overdispersion at the first point: Laney's by its sigma_z."""
    assert chart.sigma_z is not None
    half = float(chart.high[0] - chart.centre[0]) / max(1.0, chart.sigma_z)
    return float(chart.centre[0]) - half, float(chart.centre[0]) + half


def test_counts_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook, 6.3.3.1: defects of 25 wafers: 16, limits 4 and 28.

    https://www.itl.nist.gov/div898/handbook/pmc/section3/pmc331.htm
    """
    defects = [16, 14, 28, 16, 12, 20, 10, 12, 10, 17, 19, 17, 14, 16, 15, 13, 14, 16, 11, 20, 11,
               19, 16, 31, 13]  # fmt: skip
    chart = laney_u(defects, [1] * 25)
    assert chart.centre[0] == 16
    assert narrowed(chart) == pytest.approx((4, 28))


ORANGE_JUICE = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24,
                15, 9, 12, 7, 13, 9, 6]  # fmt: skip


def test_proportions_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook, 6.3.3.2: 30 samples of 50, mean 0.2313; limits as in Montgomery.

    https://www.itl.nist.gov/div898/handbook/pmc/section3/pmc332.htm has the same shares as
    Montgomery, Introduction to Statistical Quality Control, table 7.1 (6th ed.): limits 0.0524 and
    0.4102, and only samples 15 and 23 above.
    """
    chart = laney_p(ORANGE_JUICE, [50] * 30)
    low, high = narrowed(chart)
    assert printed(chart.centre[0], 4) == "0.2313"
    assert (printed(low, 4), printed(high, 4)) == ("0.0524", "0.4102")
    assert [i + 1 for i, v in enumerate(chart.values) if not low <= v <= high] == [15, 23]


def test_p_prime_of_emergency_departments() -> None:
    """Seen within 4 hours in NHS emergency departments, 20 weeks of over 260,000.

    Mohammed, Panesar, Laney & Wilson 2013, BMJ Quality & Safety 22, 362-368; data and the P' chart
    in Anhøj, Mastering Statistical Process Control Charts in Healthcare, table and figure 14:
    95.3 %, limits of the last week 94.0 and 96.6 %, no signal. A p chart is far too narrow.
    https://anhoej.github.io/spc4hc/prime-charts-for-count-data-with-very-large-subgroups.html
    """
    seen = [266501, 264225, 276532, 281461, 269071, 261215, 270409, 279778, 270483, 270320, 267923,
            271478, 255353, 256820, 261835, 259144, 255910, 260863, 264465, 260989]  # fmt: skip
    came = [280443, 276823, 291681, 296155, 282343, 275888, 283867, 295251, 284468, 282529, 279618,
            283932, 266629, 268091, 276803, 271578, 266005, 273520, 278574, 273772]  # fmt: skip
    chart = laney_p(seen, came)
    shown = [printed(100 * float(x[-1]), 1) for x in (chart.low, chart.centre, chart.high)]
    assert shown == ["94.0", "95.3", "96.6"]
    assert chart.signals == ()
    low, high = narrowed(chart)
    assert sum(not low <= v <= high for v in chart.values) > 10


# --- change points -------------------------------------------------------------------------


def test_the_nile_fell_in_1899() -> None:
    """Annual flow of the Nile 1871-1970: 1097.75 until 1898, 849.97 after.

    Cobb 1978, Biometrika 65, 243-251; the means as printed by strucchange (Zeileis, Leisch, Hornik
    & Kleiber 2002, Journal of Statistical Software 7(2)), help page `Nile`.
    """
    flow = nile.load_pandas().data
    (found,) = change_points(flow["volume"])
    assert flow["year"].iloc[found.point] == 1899
    assert printed(found.before.value, 3) == "1097.750"
    assert printed(found.after.value, 4) == "849.9722"


# --- shares --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(81, 263, "0.2553", "0.3662"), (15, 148, "0.0624", "0.1605")]
)
def test_wilson_interval_of_newcombe(k: int, n: int, low: str, high: str) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    found = proportion(k, n)
    assert found.low is not None
    assert found.high is not None
    assert (printed(found.low, 4), printed(found.high, 4)) == (low, high)


def test_difference_of_newcombe() -> None:
    """Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10: 56/70 - 48/80."""
    low, high = newcombe(Share(48, 80), Share(56, 70))
    assert (printed(low, 4), printed(high, 4)) == ("0.0524", "0.3339")


# --- survival ------------------------------------------------------------------------------

# Freireich et al. 1963, Blood 21, 699-716: weeks in remission; Kleinbaum & Klein, Survival
# Analysis (3rd ed. 2012), tables 1.1 and 2.1-2.3
SIX_MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
LOST = [0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_kaplan_meier_of_the_leukaemia_patients() -> None:
    """Kleinbaum & Klein, section 2.II: the product-limit table of the 6-MP group.

    Standard errors by Greenwood as Collett prints them (Modelling Survival Data, the same data).
    """
    curve = Survival.of(np.array(SIX_MP, float), np.array(LOST) == 0)
    assert curve.at.tolist() == [6, 7, 10, 13, 16, 22, 23]
    told = curve.beyond(curve.at, np.zeros(len(curve.at)))
    shares = [printed(share, 4) for share in told.share]
    assert shares == ["0.8571", "0.8067", "0.7529", "0.6902", "0.6275", "0.5378", "0.4482"]
    errors = told.share * np.sqrt(curve.variance[1:])
    shown = [printed(error, 4) for error in errors]
    assert shown == ["0.0764", "0.0869", "0.0963", "0.1068", "0.1141", "0.1282", "0.1346"]


def test_median_remission_of_the_leukaemia_patients() -> None:
    """Kleinbaum & Klein, section 2.II: 23 weeks with 6-MP, 8 with placebo."""
    assert censored_quantile(SIX_MP, LOST).value == 23
    assert censored_quantile(PLACEBO, [False] * 21).value == 8


def test_log_rank_of_the_leukaemia_patients() -> None:
    """Kleinbaum & Klein, section 2.IV: chi-square 16.79 with 1 degree of freedom.

    scipy's test, on the survival data that our own curves are made of; we have no log-rank test of
    our own.
    """
    ended = np.array(LOST) == 0
    treated = CensoredData.right_censored(np.array(SIX_MP, float), ~ended)
    found = logrank(treated, CensoredData(uncensored=np.array(PLACEBO, float)))
    assert printed(float(found.statistic) ** 2, 2) == "16.79"


# --- interrupted time series ---------------------------------------------------------------

# Packs of cigarettes sold a head in California, 1970-2000 (Abadie, Diamond & Hainmueller 2010,
# JASA 105, 493-505): Proposition 99 took effect in 1989
PACKS = [123.0, 121.0, 123.5, 124.4, 126.7, 127.1, 128.0, 126.4, 126.1, 121.9, 120.2, 118.6, 115.4,
         110.8, 104.8, 102.8, 99.7, 97.5, 90.1, 82.4, 77.8, 68.7, 67.5, 63.4, 58.6, 56.4, 54.5,
         53.8, 52.3, 47.2, 41.6]  # fmt: skip


def test_interrupted_time_series_of_proposition_99() -> None:
    """Linden 2015, Stata Journal 15, 480-500: `itsa cigsale, single treat(3) trperiod(1989) lag(1)`

    Trend -1.779474, change of level -20.0581 with a Newey-West error (lag 1) of 4.7244, change of
    trend -1.494652. Our interval is wider than theirs, on purpose: see csi.statistics.interrupted.
    """
    found = interrupted(PACKS, at=range(1970, 2001), start=1989, slope_change=True, lags=1)
    assert found.slope_change is not None
    assert printed(found.trend.value, 6) == "-1.779474"
    assert printed(found.level.value, 4) == "-20.0581"
    assert printed(found.slope_change.value, 6) == "-1.494652"
    assert printed(found.hac, 4) == "4.7244"
    assert found.level.error > found.hac
    assert math.isclose(found.level.low + found.level.high, 2 * found.level.value)
