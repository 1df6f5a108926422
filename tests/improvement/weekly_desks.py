"""Small desks by the week, for tests of what happens over time."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from csi.evidence import CASE_COLUMNS, Evidence

HOUR, DAY, WEEK = 3_600_000_000, 86_400_000_000, 604_800_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MONDAY = (dt.datetime(2025, 1, 6, tzinfo=dt.UTC) - EPOCH) // dt.timedelta(microseconds=1)


def evidence(rows: list[dict[str, object]], as_of_us: int, **more: object) -> Evidence:
    frame = pd.DataFrame(rows)
    for name in CASE_COLUMNS:
        if name not in frame:
            frame[name] = None
    whole = [name for name in CASE_COLUMNS if name.endswith("_us") or name == "handovers"]
    return Evidence(frame.astype(dict.fromkeys(whole, "Int64")), as_of_us, **more)


def ticket(number: int, opened: int, hours: float | None, **more: object) -> dict[str, object]:
    done = None if hours is None else opened + round(hours * HOUR)
    row = {"case_id": f"T{number}", "case_type": "incident", "priority": "P1", "handovers": 0}
    return row | {"opened_us": opened, "resolved_us": done, "closed_us": done} | more


def every(hours: list[float | None], start: int, each: int) -> list[dict[str, object]]:
    """Tickets one after the other."""
    return [ticket(i, start + i * each, h) for i, h in enumerate(hours)]
