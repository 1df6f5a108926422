"""What share of the clocks of each target kept its promise?

Attainment = met / (met + breached) with its Wilson interval of 95 %; the objective is reached or
missed when the whole interval lies on one side of it, else inconclusive. Where clocks of a target
are unknown the interval runs from the low end had all of these breached to the high end had all met
(Manski 1989); where more than one in twenty is, there is no rate, for those that are known need not
be like the others (often only a met clock can be seen).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from rules.spec import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTAINMENT: Final = pa.schema(
    [
        ("target", pa.string()),
        ("agreement", pa.string()),
        ("metric", pa.string()),
        ("priority", pa.string()),
        ("n", pa.int64()),
        ("met", pa.int64()),
        ("breached", pa.int64()),
        ("running", pa.int64()),
        ("lapsed", pa.int64()),
        ("superseded", pa.int64()),
        ("unknown", pa.int64()),
        ("rate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("objective", pa.float64()),
        ("verdict", pa.string()),
    ]
)
UNKNOWN_SHARE: Final = 0.05
_BESIDE: Final = ("running", "lapsed", "superseded", "unknown")


def attainment(table: pa.Table) -> pa.Table:
    """Sum the rows of `clocks` up to one a target (see ATTAINMENT), by name.

    n = met + breached. Running clocks within their limit, lapsed, superseded and unknown ones are
    counted beside it. `priority` is null where clocks of several count.
    """
    rows = table.filter(table["target"].is_valid())
    keys = ["target", "agreement", "metric", "objective"]
    counts = rows.group_by([*keys, "priority", "status"]).aggregate([([], "count_all")])
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    said: dict[tuple[Any, ...], set[str | None]] = defaultdict(set)
    for row in counts.to_pylist():
        key = tuple(row[name] for name in keys)
        found[key][row["status"]] += row["count_all"]
        said[key].add(row["priority"])
    lines = [
        dict(zip(keys, key, strict=True))
        | {"priority": said[key].copy().pop() if len(said[key]) == 1 else None}
        | attained(found[key], objective=key[-1])
        for key in sorted(found)
    ]
    return pa.Table.from_pylist(lines, schema=ATTAINMENT)


def attained(counts: Mapping[str, int], *, objective: float) -> dict[str, Any]:
    """Return the figures of some clocks, counted by status, as ATTAINMENT names them."""
    met, breached, unknown = (counts.get(word, 0) for word in ("met", "breached", "unknown"))
    n = met + breached
    low, high = wilson(met, n + unknown)[0], wilson(met + unknown, n + unknown)[1]
    return {
        "n": n,
        "met": met,
        "breached": breached,
        **{word: counts.get(word, 0) for word in _BESIDE},
        "rate": met / n if n and unknown <= UNKNOWN_SHARE * (n + unknown) else None,
        "low": low if n else None,
        "high": high if n else None,
        "objective": objective,
        "verdict": _verdict(low, high, objective),
    }


def _verdict(low: float, high: float, objective: float) -> str:
    if low >= objective:
        return "reached"
    return "missed" if high < objective else "inconclusive"
