"""Do our clocks and the tool's own SLA rows say the same, and if not, why not?

Each row of the tool (`tool_rows`) meets one clock of ours (`pairing`).

A pair agrees where it is the same to the microsecond in all that both say: due time, elapsed and
paused time, whether the clock has stopped, whether it is breached. Every other pair, every row and
every clock alone is one difference with one cause (`difference_causes`), found by counting again.
A clock whose status is unknown says no outcome.

Agreement is about outcomes, met or breached, over the pairs in which both say one; a clock that
runs within its limit counts as not breached. The share carries its Wilson interval of 95 %; kappa
is that of Cohen (1960): (observed - chance) / (1 - chance), None where chance is 1. Tickets of one
desk are no independent draws: where one setting of the tool decides many, the interval is too
narrow.

Errors: SL248 tables that do not fit the log. What it does not check: whether ours or the tool's
clock is what was agreed. Cost: O(rows) to match, then that of each way of counting.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.service_levels import difference_causes as why
from csi.service_levels.difference_causes import CAUSES, Finder
from csi.service_levels.pairing import BREACHED, SAID, Met, in_us, paired
from csi.service_levels.recount import TIMES
from csi.service_levels.tool_rows import TOOL_ROWS
from process_mining import schema as s
from process_mining.errors import RunError, raise_all
from rules.service_level import CLOCKS, PAUSES
from rules.spec import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csi.service_levels.tool_rows import ToolRows, Undeclared
    from rules.templates import Desk

    Row = dict[str, Any]

EXAMPLES: Final = 5
_COMPARED: Final = ("due", "elapsed_us", "paused_us")
CONFUSION: Final = pa.schema(
    [
        ("name", pa.string()),
        ("metric", pa.string()),
        ("ours", pa.string()),
        ("tool", pa.string()),
        ("n", pa.int64()),
    ]
)
DIFFERENCES: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("name", pa.string()),
        ("source", pa.string()),
        ("agreement", pa.string()),
        ("metric", pa.string()),
        ("target", pa.string()),
        ("cycle", pa.int64()),
        ("fields", pa.string()),
        ("cause", pa.string()),
        ("detail", pa.string()),
        ("shown_by", pa.string()),
        ("our_status", pa.string()),
        ("tool_breached", pa.bool_()),
        ("our_due", s.UTC_US),
        ("tool_due", s.UTC_US),
        ("our_elapsed_us", pa.int64()),
        ("tool_elapsed_us", pa.int64()),
        ("our_paused_us", pa.int64()),
        ("tool_paused_us", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Agreement:
    """How often the outcomes of one service level are the same; `n` pairs say one on both sides."""

    name: str
    metric: str
    both_met: int
    both_breached: int
    only_ours_breached: int
    only_tool_breached: int

    @property
    def n(self) -> int:
        """Number of pairs in which both sides say an outcome."""
        return self.agree + self.only_ours_breached + self.only_tool_breached

    @property
    def agree(self) -> int:
        """Number of pairs with the same outcome."""
        return self.both_met + self.both_breached

    @property
    def share(self) -> float | None:
        """Share of pairs with the same outcome; None where there are none."""
        return self.agree / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval (95 %) of the share."""
        return wilson(self.agree, self.n)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where chance alone would agree always."""
        if not self.n:
            return None
        ours = self.both_breached + self.only_ours_breached
        tool = self.both_breached + self.only_tool_breached
        chance = (ours * tool + (self.n - ours) * (self.n - tool)) / self.n**2
        return None if chance == 1 else (self.agree / self.n - chance) / (1 - chance)


@dataclass(frozen=True)
class CauseCount:
    """How many differences one cause has, with up to 5 cases; `by_times` of them shown by times."""

    name: str
    cause: str
    detail: str
    n: int
    share: float
    by_times: int
    examples: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Reconciliation:
    """What came of it: `pairs` met, `same` of them agree in all; `differences` has the rest.

    `confusion` counts pairs by service level of the tool, status of ours and what the tool says
    ("met", "breached", "not said"). `agreements` has one entry a service level of the tool.
    `causes` counts differences by service level, cause and detail, in the order of CAUSES.
    """

    pairs: int
    same: int
    agreements: tuple[Agreement, ...]
    confusion: pa.Table
    causes: tuple[CauseCount, ...]
    differences: pa.Table
    undeclared: tuple[Undeclared, ...]

    @property
    def unexplained(self) -> int:
        """Number of differences for which no cause was found."""
        return sum(one.n for one in self.causes if one.cause == why.UNEXPLAINED)


def reconcile(desk: Desk, clocks: pa.Table, pauses: pa.Table, tool: ToolRows) -> Reconciliation:
    """Hold our clocks against the tool's rows.

    `desk` is what the clocks were run on; `clocks` and `pauses` are those of
    `rules.service_level`. Rows of the tool without a declared metric are left out: `undeclared`.
    """
    _require(desk, clocks, pauses, tool)
    ours = in_us(clocks).to_pylist()
    rows = in_us(tool.table.filter(tool.table["metric"].is_valid())).to_pylist()
    met = Met(ours, rows)
    both = [(ours[i], rows[j]) for i, j in met.pairs]
    pairs, background = paired(desk, both, ours, pauses)
    found = Finder(pairs, background).run()
    fields = pairs.differing(np.arange(len(pairs)), pairs.ours, exact=True)
    lines = []
    for place, (cause, detail) in found.items():
        wrong = [name for name, differs in fields.items() if differs[place]]
        shown_by = why.BY_TIMES if set(wrong) & set(TIMES) else why.BY_OUTCOME
        said = {"cause": cause, "detail": detail, "shown_by": shown_by}
        lines.append(_line(*both[place]) | said | {"fields": ", ".join(wrong)})
    for row, reason in met.rows_alone(desk.log):
        lines.append(_line({}, row) | {"cause": why.OURS_MISSING, "detail": reason})
    for clock, name in met.clocks_alone():
        said = {"cause": why.TOOL_MISSING, "detail": f"ours is {clock['status']}"}
        lines.append(_line(clock, {"name": name}) | said)
    lines.sort(key=_order)
    confusion = _confusion(both)
    return Reconciliation(
        pairs=len(pairs),
        same=len(pairs) - len(found),
        agreements=tuple(_agreements(confusion)),
        confusion=confusion,
        causes=tuple(_counted(lines)),
        differences=_table(lines),
        undeclared=tool.undeclared,
    )


def _require(desk: Desk, clocks: pa.Table, pauses: pa.Table, tool: ToolRows) -> None:
    """Refuse tables that are not of this log: SL248."""
    mistakes = []
    for name, table, schema in (
        ("clocks", clocks, CLOCKS),
        ("pauses", pauses, PAUSES),
        ("tool rows", tool.table, TOOL_ROWS),
    ):
        absent = sorted(set(schema.names) - set(table.column_names))
        if absent:
            what = f"the {name} have no column {', '.join(absent)}"
            mistakes.append(RunError("SL248", what, fix="Give the table as it was made"))
            continue
        known = pc.is_in(table["case_id"], value_set=desk.log.cases[s.CASE_ID].combine_chunks())
        strange = table.num_rows - int(pc.sum(known).as_py() or 0)
        if strange and name != "tool rows":
            what = f"{strange:,} of the {name} are of cases that the log does not have"
            mistakes.append(RunError("SL248", what, fix="Give the clocks of this log"))
    raise_all(mistakes)


def _line(clock: Row, row: Row) -> Row:
    """One line of DIFFERENCES: what both say, either of which may be missing."""
    own = clock or row
    return {
        **{name: own.get(name) for name in ("case_id", "agreement", "metric", "cycle")},
        "target": clock.get("target") or row.get("target"),
        **{name: row.get(name) for name in ("name", "source")},
        "fields": None,
        "shown_by": None,
        "our_status": clock.get("status"),
        "tool_breached": row.get("breached"),
        **{f"our_{name}": clock.get(name) for name in _COMPARED},
        **{f"tool_{name}": row.get(name) for name in _COMPARED},
    }


def _order(line: Row) -> tuple[str, int, str, str, int]:
    cause = CAUSES.index(line["cause"])
    return line["name"], cause, line["detail"], line["case_id"], line["cycle"]


def _table(lines: Sequence[Row]) -> pa.Table:
    columns = {item.name: [line[item.name] for line in lines] for item in DIFFERENCES}
    arrays = [
        pa.array(columns[item.name], pa.int64()).cast(item.type)
        if item.type == s.UTC_US
        else pa.array(columns[item.name], item.type)
        for item in DIFFERENCES
    ]
    return pa.table(arrays, schema=DIFFERENCES)


def _confusion(both: Sequence[tuple[Row, Row]]) -> pa.Table:
    said = {None: "not said", True: BREACHED, False: "met"}
    counts = Counter(
        (row["name"], row["metric"], clock["status"], said[row["breached"]]) for clock, row in both
    )
    lines = [
        dict(zip(CONFUSION.names, (*key, n), strict=True)) for key, n in sorted(counts.items())
    ]
    return pa.Table.from_pylist(lines, schema=CONFUSION)


def _agreements(confusion: pa.Table) -> Iterator[Agreement]:
    found: dict[tuple[str, str], Counter[tuple[bool, bool]]] = {}
    for row in confusion.to_pylist():
        counts = found.setdefault((row["name"], row["metric"]), Counter())
        if row["ours"] in SAID and row["tool"] != "not said":
            counts[row["ours"] == BREACHED, row["tool"] == BREACHED] += row["n"]
    for (name, metric), counts in found.items():
        yield Agreement(
            name,
            metric,
            both_met=counts[False, False],
            both_breached=counts[True, True],
            only_ours_breached=counts[True, False],
            only_tool_breached=counts[False, True],
        )


def _counted(lines: Sequence[Row]) -> Iterator[CauseCount]:
    """Count causes; the lines are in the order of `_order`."""
    total = Counter(line["name"] for line in lines)
    groups = groupby(lines, key=lambda line: (line["name"], line["cause"], line["detail"]))
    for (name, cause, detail), some in groups:
        mine = list(some)
        yield CauseCount(
            name=name,
            cause=cause,
            detail=detail,
            n=len(mine),
            share=len(mine) / total[name],
            by_times=sum(line["shown_by"] == why.BY_TIMES for line in mine),
            examples=tuple(dict.fromkeys(line["case_id"] for line in mine))[:EXAMPLES],
        )
