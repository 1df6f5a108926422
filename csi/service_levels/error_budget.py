"""How many breaches does the objective allow in a period, and will they last until its end?

Of n clocks decided in a period (the month, quarter or year, UTC, that the target names) the
objective allows (1 - objective) x n breaches: the budget. What is spent are the breaches, and the
burn is spent / budget: above 1 the objective was missed in plain numbers. Whether that may be
chance is what `verdict` says (reached, missed or inconclusive: `rules.service_level.attained`). In
which period a clock counts follows `csi.service_levels.attained`.

For the period that is running, from what it has seen so far, since the target's first clock if that
came later:

    expected_n  decided clocks at its end, if they go on to be decided as often a day
    whole       the budget of the whole period: (1 - objective) x expected_n
    used        spent / whole; above `elapsed`, the share of the period that has passed, it burns
                faster than it lasts
    projected   spent + breaches a day x days left, with 95 % prediction limits: breaches come as a
                Poisson process, whose rate has the exact limits of Garwood (1936, Biometrika 28,
                437-442), so that the breaches to come are negative binomial between both (the exact
                limits of Bain & Patel 1993, IEEE Trans. Reliability 42, 648-650)
    used_up_on  the day (UTC) on which spent reaches whole: the day on which it did, or will at that
                rate; null where it lasts

With fewer than five decided clocks there is no forecast; where more than one clock in twenty is
unknown there is neither burn nor forecast. What it does not know: that some days have more tickets
than others, that breaches come in heaps (then the limits are too narrow), and which of the open
tickets are near their limit.
"""

from __future__ import annotations

import datetime as dt
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import nbinom

from csi.service_levels.attained import SMALLEST_GROUP, counted_us, months_of, targets_of
from process_mining import schema as s
from rules.service_level import attained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.service_level import ServiceLevels

USED_UP: Final = "used up"
WILL_BE: Final = "will be used up"
LASTS: Final = "lasts"
UNTOLD: Final = "cannot be told"
METHOD: Final = (
    "breaches a day so far, Poisson; exact prediction limits, 95 % (negative binomial between the "
    "limits of Garwood 1936)"
)
MONTHS: Final[Mapping[str, int]] = {"month": 1, "quarter": 3, "year": 12}
_TAIL: Final = 0.025
_ROUND: Final = 9  # (1 - 0.95) x 100 is 5
BUDGETS: Final = pa.schema(
    [
        ("target", pa.string()),
        ("agreement", pa.string()),
        ("metric", pa.string()),
        ("period", pa.string()),
        ("begin", s.UTC_US),
        ("end", s.UTC_US),
        ("n", pa.int64()),
        ("met", pa.int64()),
        ("breached", pa.int64()),
        ("unknown", pa.int64()),
        ("rate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("objective", pa.float64()),
        ("verdict", pa.string()),
        ("budget", pa.float64()),
        ("burn", pa.float64()),
        ("running", pa.bool_()),
        ("elapsed", pa.float64()),
        ("expected_n", pa.float64()),
        ("whole", pa.float64()),
        ("used", pa.float64()),
        ("projected", pa.float64()),
        ("projected_low", pa.int64()),
        ("projected_high", pa.int64()),
        ("used_up_on", pa.date32()),
        ("forecast", pa.string()),
        ("method", pa.string()),
    ]
)


def error_budgets(clocks: pa.Table, levels: ServiceLevels, *, as_of_us: int) -> pa.Table:
    """Return the budget of each target and period of a CLOCKS table (see BUDGETS), by time.

    `levels` holds the targets, `as_of_us` is the moment at which open clocks were judged; the
    period that contains it is `running`, and only that one has a forecast. Of the periods that have
    ended those are left out in which no clock was decided or unknown. Raises CodedError SL209 for a
    target that `levels` lacks.
    """
    rows: list[dict[str, Any]] = []
    for key in targets_of(clocks):
        target = levels.target(key["target"])
        mine = clocks.filter(pc.equal(clocks["target"], target.name))
        found = _periods(mine, MONTHS[target.period], target.objective, as_of_us)
        rows.extend(key | {"period": target.period} | row for row in found)
    return pa.Table.from_pylist(rows, schema=BUDGETS)


def _periods(
    clocks: pa.Table, months: int, objective: float, as_of_us: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one target, whose periods have so many months."""
    counted = counted_us(clocks)
    there = counted.is_valid()
    at = counted.filter(there).to_numpy()
    status = np.array(clocks["status"].filter(there).to_pylist(), dtype=object)
    period = months_of(at) // months
    now = int(months_of(np.array([as_of_us]))[0]) // months
    for one in sorted({*period.tolist(), now}):
        inside = period == one
        words, counts = np.unique(status[inside].astype(str), return_counts=True)
        told = attained(
            dict(zip(words.tolist(), counts.tolist(), strict=True)), objective=objective
        )
        budget = round((1 - objective) * told["n"], _ROUND)
        begin, end = (_begin(one * months), _begin((one + 1) * months))
        row = told | {
            "begin": begin,
            "end": end,
            "budget": budget,
            "burn": told["breached"] / budget if told["rate"] is not None else None,
            "running": one == now,
        }
        if one == now:
            breaches = np.sort(at[inside & (status == "breached")])
            since = max(begin, pc.min(clocks["start"]).cast(pa.int64()).as_py() or begin)
            row |= _forecast(row, breaches, since, as_of_us)
        yield row


def _begin(month: int) -> int:
    """Return when a month since January 1970 begins, µs UTC."""
    return int(np.datetime64(month, "M").astype("datetime64[us]").astype(np.int64))


def _forecast(row: Mapping[str, Any], breaches: Ints, since: int, now: int) -> dict[str, Any]:
    """Return how the running period will end; `breaches` are its moments so far, in order."""
    begin, end, n, spent = row["begin"], row["end"], row["n"], len(breaches)
    elapsed = {"elapsed": (now - begin) / (end - begin)}
    seen, left = now - since, end - now
    if n < SMALLEST_GROUP or row["rate"] is None or seen <= 0:
        return elapsed | {"forecast": UNTOLD}
    expected = n * (1 + left / seen)
    whole = round((1 - row["objective"]) * expected, _ROUND)
    share = seen / (seen + left)
    low = int(nbinom.ppf(_TAIL, spent, share)) if spent else 0
    high = int(nbinom.isf(_TAIL, spent + 1, share))
    used_up, forecast = _used_up(breaches, whole, now, seen, end)
    return elapsed | {
        "expected_n": expected,
        "whole": whole,
        "used": spent / whole,
        "projected": spent * (1 + left / seen),
        "projected_low": spent + low,
        "projected_high": spent + high,
        "used_up_on": used_up,
        "forecast": forecast,
        "method": METHOD,
    }


def _used_up(
    breaches: npt.NDArray[np.int64], whole: float, now: int, seen: int, end: int
) -> tuple[dt.date | None, str]:
    """Return the day on which the whole budget is used up, and what to say of it."""
    spent = len(breaches)
    if spent and spent >= whole:
        return _day(int(breaches[max(1, ceil(whole)) - 1])), USED_UP
    at = now + (whole - spent) * seen / spent if spent else end
    return (_day(int(at)), WILL_BE) if at < end else (None, LASTS)


def _day(us: int) -> dt.date:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)).date()
