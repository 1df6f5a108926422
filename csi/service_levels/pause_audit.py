"""Was the clock stopped to serve the customer, or to serve the figure?

Met only by pausing: a clock that was met and would not have been had its pauses counted (elapsed +
paused > limit). Many honest waits for a customer do that, so it is a share with its interval, and
no offence; `attainment` says what would have been attained had no pause been counted out, or only
those that the agreement allows. What calls for a question are the findings:

    not-allowed          a pause that the target's `allowed` conditions do not cover
    short-before-breach  at least `short_times` pauses of less than `short_us` each, that begin with
                         more than `late_share` of the limit used up, and some of it left
    after-answer         a pause that goes on for more than `answered_within` after the customer has
                         answered (an event that the targets file declares as `answered`)
    just-before-due      a pause that begins with no more than `before_due_us` left
    same-state-again     a pause whose next step is the same one again
    eased-before-breach  another target took over with more than `late_share` of the limit used up,
                         and gave more time: a priority that was lowered

All times are open time of the target's calendar. A clock counts under the last target of its cycle;
clocks that are unknown are left out. A check that the log or the targets file does not tell
anything about says so in `summary` and finds nothing, which is not zero. A finding whose clock was
met only because of what it found is `decisive`. Figures are of clocks, by target, priority and
team, never by person; groups of fewer than five are left out and counted.

Where an OLA or a contract was idle before a pause (the clock was somebody else's), how much was
used up is not known: `unplaced` counts these pauses, which the checks near the limit leave out.

What it does not check: whether a wait was needed, or a question to the customer honest. Every
finding is a place to look, no verdict on anybody. Error: SL250 for parameters that make no sense.

Sources: ISO/IEC 20000-1:2018, 8.3.3; Bevan & Hood (2006), What's measured is what matters, Public
Administration 84(3), on figures that are served. Cost: O(n log n) in clocks, pauses and events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.report.words import moment
from csi.service_levels.paused_clocks import CYCLE, NEVER, PausedClocks, bools, ints
from process_mining import schema as s
from process_mining.clock import business_us
from process_mining.errors import CodedError, raise_all
from rules.durations import duration_words
from rules.service_level import ATTAINMENT, attainment
from rules.spec import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from process_mining.eventlog import Ints
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

NOT_ALLOWED: Final = "not-allowed"
SHORT: Final = "short-before-breach"
AFTER_ANSWER: Final = "after-answer"
JUST_BEFORE: Final = "just-before-due"
SAME_AGAIN: Final = "same-state-again"
EASED: Final = "eased-before-breach"
CHECKS: Final = (NOT_ALLOWED, SHORT, AFTER_ANSWER, JUST_BEFORE, SAME_AGAIN, EASED)
AS_RECORDED: Final = "as recorded"
NOTHING_PAUSED: Final = "nothing paused"
ONLY_ALLOWED: Final = "only allowed pauses"
MENDABLE: Final = ("met", "running", "lapsed")  # what a clock is while it is not breached
SMALLEST_GROUP: Final = 5
METHOD: Final = "share of clocks that were met, Wilson score interval, 95 %"

FINDINGS: Final = pa.schema(
    [
        ("check", pa.string()),
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("priority", pa.string()),
        ("team", pa.string()),
        ("cause", pa.string()),
        ("begin", s.UTC_US),
        ("begin_seq", pa.int64()),
        ("end_seq", pa.int64()),
        ("pauses", pa.int64()),
        ("open_us", pa.int64()),
        ("decisive", pa.bool_()),
        ("reason", pa.string()),
    ]
)
MET_ONLY: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("target", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("priority", pa.string()),
        ("team", pa.string()),
        ("elapsed_us", pa.int64()),
        ("paused_us", pa.int64()),
        ("limit_us", pa.int64()),
        ("begin_seq", pa.int64()),
        ("end_seq", pa.int64()),
    ]
)
SHARES: Final = pa.schema(
    [
        ("agreement", pa.string()),
        ("by", pa.string()),
        ("name", pa.string()),
        ("n", pa.int64()),
        ("only_by_pausing", pa.int64()),
        ("share", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)
SUMMARY: Final = pa.schema(
    [
        ("check", pa.string()),
        ("told", pa.bool_()),
        ("why_not", pa.string()),
        ("findings", pa.int64()),
        ("clocks", pa.int64()),
        ("cases", pa.int64()),
        ("open_us", pa.int64()),
        ("met_only_because", pa.int64()),
    ]
)
ATTAINED: Final = pa.schema([("counted", pa.string()), *ATTAINMENT])


@dataclass(frozen=True)
class PauseChecks:
    """From when on a pause calls for a question; times in µs of open time.

    `answered_within_us` None: what the targets file says.
    """

    short_us: int = s.US_PER_HOUR
    short_times: int = 3
    late_share: float = 0.75
    before_due_us: int = 15 * s.US_PER_MINUTE
    answered_within_us: int | None = None

    def __post_init__(self) -> None:
        """Raise every mistake at once: SL250."""
        within = self.answered_within_us
        checks = (
            (self.short_us > 0, "short pauses of no time", "Give a time above 0"),
            (self.short_times > 1, f"{self.short_times} short pauses", "Give 2 or more"),
            (0 < self.late_share < 1, f"a share of {self.late_share:g}", "Give 0.75 for 75 %"),
            (self.before_due_us >= 0, "a time before due below 0", "Give 0 or more"),
            (within is None or within >= 0, "a time after the answer below 0", "Give 0 or more"),
        )
        raise_all(
            [
                CodedError("SL250", f"pauses cannot be audited with {what}", fix=fix)
                for right, what, fix in checks
                if not right
            ]
        )


@dataclass(frozen=True, eq=False)
class PauseAudit:
    """What the pauses did: see FINDINGS, MET_ONLY, SHARES, SUMMARY and ATTAINED for the tables.

    `shares` are of the clocks that were met (`METHOD`), `suppressed` counts the groups left out of
    them, `unplaced` the pauses of which it is not known how much of the limit was used up.
    """

    checks: PauseChecks
    findings: pa.Table
    met_only: pa.Table
    shares: pa.Table
    attainment: pa.Table
    summary: pa.Table
    suppressed: int
    unplaced: int

    def to_pandas(self) -> pd.DataFrame:
        """Return the findings, one row each."""
        found: pd.DataFrame = self.findings.to_pandas()
        return found


def audit_pauses(
    desk: Desk, clocks: pa.Table, pauses: pa.Table, *, checks: PauseChecks | None = None
) -> PauseAudit:
    """Audit the pauses of a desk's clocks.

    `clocks` and `pauses` are what `rules.service_level.clocks` and `.pauses` say of the desk.
    """
    checks = checks or PauseChecks()
    audit = _Audit(PausedClocks.joined(desk, clocks, pauses), checks)
    findings = _sorted([*audit.of_pauses(), *_eased(desk, clocks, checks)])
    only = audit.paused.met_only_by(audit.paused.open_us)
    shares, suppressed = _shares(audit.paused, only)
    return PauseAudit(
        checks=checks,
        findings=findings,
        met_only=_met_only(audit.paused, only),
        shares=shares,
        attainment=_attainment(audit.paused, clocks),
        summary=_summary(findings, _not_told(desk)),
        suppressed=suppressed,
        unplaced=int((audit.paused.used_us == NEVER).sum()),
    )


# --- the checks


class _Audit:
    """The checks on single pauses and on those of one clock."""

    def __init__(self, paused: PausedClocks, checks: PauseChecks) -> None:
        self.paused, self.checks = paused, checks
        self.took = paused.open_us
        self.limit = paused.limit_us[paused.of]
        self.left = self.limit - paused.used_us
        placed = (paused.used_us != NEVER) & (self.took > 0)
        late = paused.used_us > checks.late_share * self.limit
        self.running_out = placed & (self.left > 0)
        self.late = self.running_out & late

    def of_pauses(self) -> Iterator[dict[str, Any]]:
        """Yield the findings."""
        paused, took = self.paused, self.took
        allowed = bools(paused.pauses["allowed"])
        yield from self._found(NOT_ALLOWED, ~allowed & (took > 0), took)
        yield from self._short()
        within = self.checks.answered_within_us
        within = paused.desk.service_levels.answered_within_us if within is None else within
        yield from self._found(AFTER_ANSWER, paused.ran_on_us > within, paused.ran_on_us)
        near = self.running_out & (self.left <= self.checks.before_due_us)
        yield from self._found(JUST_BEFORE, near, took)
        again = bools(pc.equal(paused.pauses["cause"], paused.pauses["ended_by"]))
        yield from self._found(SAME_AGAIN, again, took)

    def _found(self, check: str, which: Bools, amount: Ints) -> Iterator[dict[str, Any]]:
        """Yield one finding a pause; `amount` is the open time that it is about."""
        decisive = self.paused.met_only_by(np.where(which, amount, 0))
        for place in map(int, np.flatnonzero(which)):
            row = self._finding(check, place, place, int(amount[place]), n=1)
            yield row | {
                "decisive": bool(decisive[self.paused.of[place]]),
                "reason": self._reason(check, place),
            }

    def _short(self) -> Iterator[dict[str, Any]]:
        """Yield one finding a clock: its short pauses together."""
        of, checks = self.paused.of, self.checks
        short = self.late & (self.took < checks.short_us)
        many = np.bincount(of[short], minlength=self.paused.clocks.num_rows) >= checks.short_times
        short &= many[of]
        decisive = self.paused.met_only_by(np.where(short, self.took, 0))
        places = np.flatnonzero(short)
        borders = np.flatnonzero(np.diff(of[places])) + 1
        for mine in np.split(places, borders) if len(places) else ():
            us = int(self.took[mine].sum())
            row = self._finding(SHORT, int(mine[0]), int(mine[-1]), us, n=len(mine))
            reason = (
                f"{len(mine)} pauses of less than {duration_words(checks.short_us)} each "
                f"began with more than {checks.late_share:.0%} of the limit used up"
            )
            yield row | {"decisive": bool(decisive[of[mine[0]]]), "reason": reason}

    def _finding(self, check: str, first: int, last: int, us: int, *, n: int) -> dict[str, Any]:
        """Return what every finding says."""
        pauses, clocks = self.paused.pauses, self.paused.clocks
        clock = int(self.paused.of[first])
        return {
            "check": check,
            **{name: pauses[name][first].as_py() for name in (*CYCLE, "target", "cause")},
            **{name: clocks[name][clock].as_py() for name in ("priority", "team")},
            "begin": pauses["begin"][first].as_py(),
            "begin_seq": pauses["begin_seq"][first].as_py(),
            "end_seq": pauses["end_seq"][last].as_py(),
            "pauses": n,
            "open_us": us,
        }

    def _reason(self, check: str, place: int) -> str:
        """Say in words what is wrong with a pause."""
        cause = self.paused.pauses["cause"][place].as_py()
        took = duration_words(int(self.took[place]))
        if check == NOT_ALLOWED:
            return f"'{cause}' held the clock for {took}, and the agreement allows no such pause"
        if check == AFTER_ANSWER:
            ran_on = duration_words(int(self.paused.ran_on_us[place]))
            answered = moment(int(self.paused.answer_us[place]))
            return f"the customer answered at {answered}, and the clock stood still {ran_on} longer"
        if check == JUST_BEFORE:
            left = duration_words(int(self.left[place]))
            return f"the pause of {took} began with {left} of the limit left"
        return (
            f"'{cause}' was followed by '{cause}': the clock stood still for {took} and went on so"
        )


def _eased(desk: Desk, clocks: pa.Table, checks: PauseChecks) -> Iterator[dict[str, Any]]:
    """Find the targets that gave way, late and to one with more time.

    A row that was superseded without a stop gave way to the next one of its cycle, or to none.
    """
    limit, elapsed = ints(clocks["limit_us"]), ints(clocks["elapsed_us"])
    gave_way = bools(pc.equal(clocks["status"], "superseded")) & bools(clocks["stop_seq"].is_null())
    gave_way &= (elapsed > checks.late_share * limit) & (elapsed <= limit)
    for place in np.flatnonzero(gave_way):
        row = clocks.slice(place, 1).to_pylist()[0]
        after = clocks.slice(place + 1, 1).to_pylist()
        follows = after and all(after[0][name] == row[name] for name in CYCLE)
        if follows and after[0]["due"] is not None and after[0]["due"] <= row["due"]:
            continue
        seq = _change(desk, row)
        used = duration_words(row["elapsed_us"])
        gave = (
            f"'{after[0]['target']}' gave more time" if follows else "nothing is promised any more"
        )
        yield {name: row[name] for name in (*CYCLE, "target", "priority", "team")} | {
            "check": EASED,
            "cause": None,
            "begin": None if seq is None else seq[1],
            "begin_seq": None if seq is None else seq[0],
            "end_seq": None if seq is None else seq[0],
            "pauses": 0,
            "open_us": row["elapsed_us"],
            "decisive": bool(
                follows and after[0]["status"] == "met" and after[0]["elapsed_us"] > row["limit_us"]
            ),
            "reason": f"{used} of {duration_words(row['limit_us'])} were used up when {gave}",
        }


def _change(desk: Desk, row: Mapping[str, Any]) -> tuple[int, Any] | None:
    """Return the event at which a target gave way (its seq, its time), read off the clock."""
    name, arrays, at = s.PRIORITY_THEN, desk.log.arrays, desk.log.arrays.at
    if name not in desk.log.events.column_names:
        return None
    case = pc.index(desk.log.cases[s.CASE_ID], row["case_id"]).as_py()
    low, high = arrays.offsets[case], arrays.offsets[case + 1]
    said = desk.log.events[name].slice(low, high - low).is_valid()
    places = low + np.flatnonzero(bools(said))
    start = int(pa.scalar(row["start"], s.UTC_US).value)
    calendar = desk.service_levels.calendar(desk.service_levels.target(row["target"]).calendar)
    ran = business_us(np.full(len(places), start), at[places], calendar)
    there = places[ran == row["elapsed_us"] + row["paused_us"]]
    if not len(there):
        return None
    return int(arrays.seq[there[-1]]), pa.scalar(int(at[there[-1]]), s.UTC_US).as_py()


def _not_told(desk: Desk) -> dict[str, str]:
    """Say of each check that cannot be made why it cannot."""
    levels, found = desk.service_levels, {}
    columns = desk.log.events.column_names
    if all(target.allowed is None for target in levels.targets):
        found[NOT_ALLOWED] = "no target says which pauses are allowed"
    asked = {one.where.attribute for one in levels.answered if one.where is not None}
    missing = sorted(name for name in asked if s.ATTRIBUTE_PREFIX + name not in columns)
    if not levels.answered:
        found[AFTER_ANSWER] = "the targets file does not say by which event a customer answers"
    elif missing:
        found[AFTER_ANSWER] = f"the events of this log have no attribute '{missing[0]}'"
    if s.PRIORITY_THEN not in columns:
        found[EASED] = "this log does not tell when a priority changed"
    return found


# --- the tables


def _sorted(rows: list[dict[str, Any]]) -> pa.Table:
    order = {check: place for place, check in enumerate(CHECKS)}
    rows.sort(key=lambda row: (order[row["check"]], *_order(row)))
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    values = [row[name] for name in (*CYCLE, "target", "begin_seq")]
    return tuple(x for value in values for x in ((True, value) if value is not None else (False,)))


def _summary(findings: pa.Table, not_told: Mapping[str, str]) -> pa.Table:
    rows = []
    for check in CHECKS:
        mine = findings.filter(pc.equal(findings["check"], check)).to_pylist()
        clocks = {tuple(row[name] for name in CYCLE): row["decisive"] for row in mine}
        rows.append(
            {
                "check": check,
                "told": check not in not_told,
                "why_not": not_told.get(check),
                "findings": len(mine),
                "clocks": len(clocks),
                "cases": len({row["case_id"] for row in mine}),
                "open_us": sum(row["open_us"] for row in mine),
                "met_only_because": sum(clocks.values()),
            }
        )
    return pa.Table.from_pylist(rows, schema=SUMMARY)


def _met_only(paused: PausedClocks, only: Bools) -> pa.Table:
    """One row for each clock that was met only by pausing, with its first and its last pause."""
    begin, end = ints(paused.pauses["begin_seq"]), ints(paused.pauses["end_seq"])
    rows = paused.clocks.append_column("row", pa.array(np.arange(paused.clocks.num_rows)))
    table = rows.filter(pa.array(only))
    place = ints(table["row"])
    first = np.searchsorted(paused.of, place)
    last = np.searchsorted(paused.of, place, side="right") - 1
    columns = {name: table[name] for name in MET_ONLY.names[:-2]}
    return pa.table(columns | {"begin_seq": begin[first], "end_seq": end[last]}, schema=MET_ONLY)


def _shares(paused: PausedClocks, only: Bools) -> tuple[pa.Table, int]:
    """Share of the met clocks, in all and by group; small groups are counted and left out."""
    met = paused.clocks.append_column("only", pa.array(only)).filter(pa.array(paused.met))
    rows, suppressed = [], 0
    for by in ("all", "metric", "target", "priority", "team"):
        keys = ["agreement"] if by == "all" else ["agreement", by]
        groups = met.group_by(keys).aggregate([("only", "count"), ("only", "sum")]).to_pylist()
        for group in groups:
            if group["only_count"] < SMALLEST_GROUP and by != "all":
                suppressed += 1
                continue
            n, k = group["only_count"], group["only_sum"]
            low, high = wilson(k, n)
            name = "" if by == "all" else group[by]
            rows.append(
                {
                    "agreement": group["agreement"],
                    "by": by,
                    "name": name,
                    "n": n,
                    "only_by_pausing": k,
                    "share": k / n,
                    "low": low,
                    "high": high,
                }
            )
    rows.sort(key=lambda row: (row["agreement"], row["by"], row["name"] is None, row["name"] or ""))
    return pa.Table.from_pylist(rows, schema=SHARES), suppressed


def _attainment(paused: PausedClocks, clocks: pa.Table) -> pa.Table:
    """Attainment of each target as recorded, and had all or some pauses counted."""
    allowed = bools(paused.pauses["allowed"])
    ways = {
        AS_RECORDED: np.zeros_like(paused.open_us),
        NOTHING_PAUSED: paused.open_us,
        ONLY_ALLOWED: np.where(allowed, 0, paused.open_us),
    }
    place = clocks.schema.get_field_index("status")
    parts = [ATTAINED.empty_table()]
    for counted, us in ways.items():
        status = np.array(clocks["status"].to_pylist(), dtype=object)
        over = paused.elapsed_us + paused.paused(us) > paused.limit_us
        mine = status[paused.rows]
        status[paused.rows] = np.where(over & np.isin(mine, MENDABLE), "breached", mine)
        table = attainment(clocks.set_column(place, "status", pa.array(status, pa.string())))
        parts.append(table.add_column(0, "counted", pa.repeat(counted, table.num_rows)))
    return pa.concat_tables(parts)
