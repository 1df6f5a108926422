"""What does a person at a terminal read about a cycle's state, and about two cycles?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csi.console import table_lines
from csi.report.earlier_section import apart_in_words
from csi.report.words import number
from csi.stories import interval_in_words, value_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.cycle_compare import Compared, Row
    from csi.cycle_history import Turn
    from csi.cycle_status import Status


def status_lines(found: Status) -> list[str]:
    """Say how far a cycle is, and what comes next."""
    lines = [f"{found.out}: {found.state}."]
    lines += [
        f"{name}: {w['start']} to {w['end']} (end excluded)" for name, w in found.windows.items()
    ]
    if found.holder:
        lines.append(f"Run by {found.holder.words}.")
    if found.changed:
        lines.append(f"Changed since its last run: {', '.join(found.changed)}.")
    if found.done and found.next:
        lines.append(f"Done: {', '.join(found.done)}.")
    if found.next:
        lines.append(f"Next: {found.next}.")
    if found.failed:
        lines.append(f"The last run failed: {found.failed}")
    if found.outcome == "no data":
        lines.append("No data: nothing was measured.")
    return [*lines, *found.verdicts]


def compared_lines(found: Compared) -> list[str]:
    """Lay two cycles out side by side: verdicts, KPIs, and the rules that were violated."""
    lines = [*_side_lines("A", found.a), *_side_lines("B", found.b), "", *found.sentences]
    head = ("KPI", "A", "B", "n", "B - A", "", "what it says")
    kpis = [
        _kpi_cells(row) for row in found.kpis if row.a.value is not None or row.b.value is not None
    ]
    if kpis:
        lines += ["", *table_lines(head, kpis)]
    rules = [_rule_cells(row) for row in found.rules if row.violates and any(row.violates)]
    if rules:
        head = (
            "rule",
            "violated in A",
            "in B",
            "",
            "rate of conforming, B - A",
            "",
            "what it says",
        )
        lines += ["", *table_lines(head, rules)]
    return lines


def _side_lines(letter: str, turn: Turn) -> list[str]:
    said = [f"   {row.entry} {row.improvement}: {row.verdict}" for row in turn.verdicts]
    window = turn.current
    first = f"{letter}  {turn.name}, {window.start} to {window.end} (end excluded): {turn.outcome}"
    return [first, *said]


def _kpi_cells(row: Row) -> Sequence[str]:
    then, now = (_measured(side.value, side.low, side.high, row.unit) for side in (row.a, row.b))
    apart = apart_in_words(row.difference._asdict(), row.unit)
    counts = f"{number(row.n[0])} / {number(row.n[1])}"
    return row.code, then, now, counts, apart or row.note, f"{row.better} is better", row.title


def _rule_cells(row: Row) -> Sequence[str]:
    violated = row.violates or (0, 0)
    then, now = (f"{number(k)} of {number(n)}" for k, n in zip(violated, row.n, strict=True))
    apart = apart_in_words(row.difference._asdict(), row.unit)
    return row.code, then, now, "", apart or row.note, "", row.title


def _measured(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    interval = interval_in_words({"value": value, "low": low, "high": high, "unit": unit})
    said = value_in_words(value, unit) or "not measured"
    return f"{said} ({interval})" if interval else said
