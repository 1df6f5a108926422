"""How often was each promise kept: by service, priority, customer, team, month and target?

`attained_by` counts clocks by one or two of DIMENSIONS, and never mixes agreements or metrics. The
figures of a group are those of `rules.service_level.attained`: met / (met + breached) with its
Wilson interval of 95 %, and bounds but no rate where more than one clock in twenty is unknown.
Running, lapsed, superseded and unknown clocks, and those without a target, are counted beside it. A
group whose clocks have several objectives has no verdict of its own.

The month of a clock is the month (UTC) of its stop; of a breached one that has none, of its breach.
So the breach of a ticket that is still open moves to a later month when the ticket is solved. An
unknown clock counts in the month of its stop, else of its breach, else of its start. What is not
decided has no month.

Teams and customers with fewer than five clocks in a group are named without counts or rate, with
fewer than five decided ones without rate. Nothing is ever counted by person.

`trends` asks whether the share of met clocks of a target rises or falls over the months
(`csi.statistics.trend`): of the months with at least five decided clocks, where there are six, else
it says that there are too few. Here a breached clock counts in the month of its *breach*: counted
by its stop, the last month would hold its own breaches and those of tickets still open, and look
worse than any other. Of a log of tickets opened between two days, what was decided before the first
start + the longest time from a start to its due moment (of clocks that never paused) is left out,
for the breaches of older tickets are not in it; and what was decided after the last start, when
only the slow ones are left. Over all targets the p-values are adjusted (Benjamini & Hochberg 1995);
rising or falling is said at 0.05. Tickets are taken as independent of each other within a month.

What it does not say: why. Sources: ITIL 4 Service level management; ISO/IEC 20000-1:2018, 8.3.3.
Errors: SL265 for a dimension that does not exist. Cost: O(n) in clocks, and each group by itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.statistics.association import adjusted
from csi.statistics.trend import METHOD, proportion_trend
from process_mining.errors import CodedError, did_you_mean
from rules.service_level import attained
from rules.service_level.attainment import UNKNOWN_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints

MONTH: Final = "month"
DIMENSIONS: Final = ("service", "priority", "customer", "team", MONTH, "target")
GUARDED: Final = frozenset({"customer", "team"})
SMALLEST_GROUP: Final = 5
FEWER: Final = "fewer than 5"
SEVERAL: Final = "several objectives"
FEWEST_MONTHS: Final = 6
RISING: Final = "rising"
FALLING: Final = "falling"
NO_TREND: Final = "no trend shown"
TOO_FEW: Final = "too few months"
TOO_UNKNOWN: Final = "too many unknown"
_CLAIMED: Final = 0.05
_MOST_DIMENSIONS: Final = 2
_KEYS: Final = ("agreement", "metric")
_FIGURES: Final = (
    ("clocks", pa.int64()),
    ("n", pa.int64()),
    ("met", pa.int64()),
    ("breached", pa.int64()),
    ("running", pa.int64()),
    ("lapsed", pa.int64()),
    ("superseded", pa.int64()),
    ("unknown", pa.int64()),
    ("no_target", pa.int64()),
    ("rate", pa.float64()),
    ("low", pa.float64()),
    ("high", pa.float64()),
    ("objective", pa.float64()),
    ("verdict", pa.string()),
)
TRENDS: Final = pa.schema(
    [
        ("target", pa.string()),
        ("agreement", pa.string()),
        ("metric", pa.string()),
        ("months", pa.int64()),
        ("first", pa.string()),
        ("last", pa.string()),
        ("n", pa.int64()),
        ("met", pa.int64()),
        ("odds_ratio", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("p", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("dispersion", pa.float64()),
        ("trend", pa.string()),
        ("method", pa.string()),
    ]
)


# --- by dimension


def attained_by(clocks: pa.Table, *by: str) -> pa.Table:
    """Count a CLOCKS table by one or two of DIMENSIONS; without any, by agreement and metric.

    Returns the columns of `attained_schema(*by)`, one row a group, in the order of its names (null,
    where a clock has none, is last). Raises CodedError SL265 for another dimension.
    """
    schema = attained_schema(*by)
    if MONTH in by:
        clocks = clocks.append_column(MONTH, month_words(counted_us(clocks)))
    names = [*_KEYS, *by]
    keys = list(dict.fromkeys([*names, "target", "objective", "status"]))
    found: dict[tuple[str | None, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    objectives: dict[tuple[str | None, ...], set[float]] = defaultdict(set)
    for row in clocks.group_by(keys).aggregate([([], "count_all")]).to_pylist():
        key = tuple(row[name] for name in names)
        found[key][row["status"]] += row["count_all"]
        if row["target"] is not None:
            objectives[key].add(row["objective"])
    guarded = bool(GUARDED.intersection(by))
    rows = [
        dict(zip(names, key, strict=True)) | _figures(found[key], objectives[key], guarded=guarded)
        for key in sorted(found, key=lambda key: [(word is None, word or "") for word in key])
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def attained_schema(*by: str) -> pa.Schema:
    """Return the columns of `attained_by`: agreement, metric, the dimensions, counts and figures.

    `clocks` counts all of the group, n = met + breached. Raises CodedError SL265.
    """
    for name in by:
        if name not in DIMENSIONS:
            msg = f"attainment cannot be told by '{name}'"
            raise CodedError("SL265", msg, fix=did_you_mean(name, DIMENSIONS))
    if len(set(by)) != len(by) or len(by) > _MOST_DIMENSIONS:
        msg = f"attainment cannot be told by {', '.join(by)} together"
        raise CodedError("SL265", msg, fix="Name one or two different dimensions")
    return pa.schema([*((name, pa.string()) for name in (*_KEYS, *by)), *_FIGURES])


def _figures(counts: dict[str, int], objectives: set[float], *, guarded: bool) -> dict[str, Any]:
    """Return the figures of a group; with `guarded` those of a small one stay untold."""
    clocks = sum(counts.values())
    if guarded and clocks < SMALLEST_GROUP:
        return {"verdict": FEWER}
    one = next(iter(objectives)) if len(objectives) == 1 else None
    row = attained(counts, objective=0.0 if one is None else one)
    row |= {"clocks": clocks, "no_target": counts.get("no target", 0), "objective": one}
    if one is None:
        row["verdict"] = SEVERAL if objectives else None
    if guarded and row["n"] < SMALLEST_GROUP:
        row |= {"rate": None, "low": None, "high": None, "verdict": FEWER}
    return row


# --- time


def counted_us(clocks: pa.Table) -> pa.Array:
    """Return the moment that decides in which month each clock counts, µs UTC; null: in none."""
    status = clocks["status"]
    stop, breach, start = (clocks[name] for name in ("stop", "breached_at", "start"))
    of_kind = [pc.equal(status, word) for word in ("met", "breached", "unknown")]
    moments = [stop, pc.coalesce(stop, breach), pc.coalesce(stop, breach, start)]
    return _first(of_kind, moments)


def decided_us(clocks: pa.Table) -> pa.Array:
    """Return the moment at which each clock was met or breached, µs UTC; null: at none."""
    of_kind = [pc.equal(clocks["status"], word) for word in ("met", "breached")]
    return _first(of_kind, [clocks["stop"], clocks["breached_at"]])


def _first(masks: Sequence[pa.ChunkedArray], moments: Sequence[pa.ChunkedArray]) -> pa.Array:
    """Return of each row the moment of its mask, as whole microseconds."""
    chosen = pa.scalar(None, moments[0].type)
    for mask, moment in zip(masks, moments, strict=True):
        chosen = pc.if_else(mask, moment, chosen)
    whole = chosen.cast(pa.int64())
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def months_of(us: Ints) -> Ints:
    """Return the months since January 1970 (UTC) of moments."""
    months: Ints = us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months


def month_words(us: pa.Array) -> pa.Array:
    """Return the months (UTC) of moments as 2024-01, null as null."""
    valid = us.is_valid().to_numpy(zero_copy_only=False)
    months, place = np.unique(months_of(us.fill_null(0).to_numpy()), return_inverse=True)
    words = pa.array([month_word(month) for month in months], pa.string())
    return words.take(pa.array(place, mask=~valid))


def month_word(month: int) -> str:
    """Return a month since January 1970 as 2024-01."""
    return str(np.datetime64(int(month), "M"))


# --- trend


def trends(clocks: pa.Table) -> pa.Table:
    """Return for each target of a CLOCKS table whether its attainment goes up or down: TRENDS.

    `odds_ratio` is that of being met, a month; n and met are of the `months` that count. Its limits
    (95 %) are of one target by itself; the words follow `p_adjusted`.
    """
    rows = [_trend(clocks, key) for key in targets_of(clocks)]
    tested = [row for row in rows if "p" in row]
    for row, p in zip(tested, adjusted([row["p"] for row in tested]), strict=True):
        row["p_adjusted"] = p
        if p > _CLAIMED:
            row["trend"] = NO_TREND
    return pa.Table.from_pylist(rows, schema=TRENDS)


def targets_of(clocks: pa.Table) -> list[dict[str, str]]:
    """Return name, agreement and metric of each target that has clocks, by name."""
    named = clocks.filter(clocks["target"].is_valid())
    keys = ["target", *_KEYS]
    found: list[dict[str, str]] = named.group_by(keys).aggregate([]).to_pylist()
    return sorted(found, key=lambda row: [row[name] for name in keys])


def _trend(clocks: pa.Table, key: dict[str, str]) -> dict[str, Any]:
    """Return the row of one target; where it was tested, `trend` is the way that it went."""
    mine = clocks.filter(pc.equal(clocks["target"], key["target"]))
    at = decided_us(mine)
    decided = mine.append_column("_at", at).filter(at.is_valid())
    unknown = pc.sum(pc.equal(mine["status"], "unknown")).as_py() or 0
    first, last = _complete(mine)
    within = pc.and_(pc.greater_equal(at, first), pc.less_equal(at, last))
    whole = decided.filter(within.drop_null())
    months = months_of(whole["_at"].to_numpy())
    met = pc.equal(whole["status"], "met").to_numpy().astype(np.int64)
    each, place = np.unique(months, return_inverse=True)
    n, k = np.bincount(place), np.bincount(place, met).astype(np.int64)
    enough = n >= SMALLEST_GROUP
    each, n, k = each[enough], n[enough], k[enough]
    row: dict[str, Any] = key | {"months": len(each), "n": int(n.sum()), "met": int(k.sum())}
    if len(each):
        row |= {"first": month_word(each[0]), "last": month_word(each[-1])}
    if len(each) < FEWEST_MONTHS:
        return row | {"trend": TOO_FEW}
    if unknown > UNKNOWN_SHARE * (decided.num_rows + unknown):
        return row | {"trend": TOO_UNKNOWN}
    return row | _tested(k, n, each)


def _tested(k: Ints, n: Ints, months: Ints) -> dict[str, Any]:
    found = proportion_trend(k, n, months)
    return {
        "odds_ratio": found.odds_ratio,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "dispersion": found.dispersion,
        "trend": RISING if found.rises else FALLING,
        "method": METHOD,
    }


def _complete(clocks: pa.Table) -> tuple[int, int]:
    """Return between which moments, µs UTC, all that was decided is among the clocks."""
    started = clocks.filter(pc.and_(clocks["start"].is_valid(), clocks["due"].is_valid()))
    start, due = (started[name].cast(pa.int64()).to_numpy() for name in ("start", "due"))
    if not len(start):
        return 0, 0
    pure = started["paused_us"].to_numpy() == 0
    spans: npt.NDArray[np.int64] = (due - start)[pure] if pure.any() else due - start
    return int(start.min() + spans.max()), int(start.max())
