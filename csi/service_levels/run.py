"""What was promised, and was it kept? From the log's files to everything that a report needs.

files → EventLog → each practice's words → clocks and pauses under the targets → what the quality
gate doubts → attainment, breaches with causes, tickets at risk, the pause audit, the tool's own
rows, and what would change under other targets. Practices for whose cases nothing is promised are
left out and counted. The clocks are those of an audit (`csi.audit`), so the figures are, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from csi.audit import AuditRequest, clocks_of, judged_at, make_ready
from csi.service_levels.at_risk import at_risk
from csi.service_levels.attained import DIMENSIONS, MONTH, attained_by, trends
from csi.service_levels.calibration import calibrate, known_at, month_starts
from csi.service_levels.causes import BREACHES, Causes, breach_causes
from csi.service_levels.error_budget import error_budgets
from csi.service_levels.pause_audit import audit_pauses
from csi.service_levels.reconciliation import reconcile
from csi.service_levels.tool_row_file import load_declared
from csi.service_levels.tool_rows import tool_rows
from csi.service_levels.what_if import what_if
from process_mining.errors import CodedError, ManyCodedErrors, raise_all
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.service_level import CLOCKS, PAUSES, attainment, load_service_levels, pauses

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from csi.audit import ReadyLog, Share
    from csi.service_levels.at_risk import AtRisk
    from csi.service_levels.calibration import Calibration
    from csi.service_levels.pause_audit import PauseAudit
    from csi.service_levels.reconciliation import Reconciliation
    from csi.service_levels.tool_row_file import Declared
    from csi.service_levels.tool_rows import ToolRows, Undeclared
    from csi.service_levels.what_if import WhatIf
    from process_mining.eventlog import EventLog
    from process_mining.quality import Defect, Quality
    from rules.catalogue import Catalogue
    from rules.practice import Practice
    from rules.service_level import ServiceLevels

CUTS: Final = (*((name,) for name in DIMENSIONS), ("target", MONTH))


@dataclass(frozen=True)
class LevelRequest:
    """What to measure, and by what; every field is one option of `trueloop sla`.

    `tool_rows` declares what the ticket tool calls the same promises; where it is None, the
    [[tool_row]]s of the targets file do.
    """

    logs: tuple[Path, ...]
    read: ReadOptions = field(default_factory=ReadOptions)
    practice: str | None = None
    targets: Path | None = None
    what_if: Path | None = None
    tool_rows: Path | None = None
    as_of: dt.datetime | None = None
    allow: tuple[str, ...] = ()
    fail_on_missed: bool = False


@dataclass(frozen=True, eq=False)
class PracticeLevels:
    """What one practice's clocks say beside the tables that hold those of all.

    `reconciliation` is None where nothing is declared of the tool's own rows.
    """

    share: Share
    clocks: pa.Table
    pauses: pa.Table
    pause_audit: PauseAudit
    reconciliation: Reconciliation | None

    @property
    def practice(self) -> Practice:
        """Whose clocks they are."""
        return self.share.practice


@dataclass(frozen=True, eq=False)
class LevelReport:
    """Everything that was found; tables have the rows of all practices.

    `doubts` counts the clocks that each reason makes unknown; `left_out` the cases of practices for
    which nothing is promised. `by` holds attainment by each dimension, and by target and month.
    `undeclared` are the tool's own service levels that nobody declared.
    """

    request: LevelRequest
    log: EventLog
    as_of_us: int
    quality: Quality
    levels: ServiceLevels
    practices: tuple[PracticeLevels, ...]
    clocks: pa.Table
    pauses: pa.Table
    attainment: pa.Table
    by: Mapping[tuple[str, ...], pa.Table]
    trends: pa.Table
    budgets: pa.Table
    causes: Causes
    at_risk: AtRisk
    calibration: Calibration
    doubts: Mapping[str, int]
    left_out: Mapping[str, int]
    undeclared: tuple[Undeclared, ...]
    what_if: WhatIf | None

    @property
    def missed(self) -> tuple[str, ...]:
        """The targets whose objective is missed: the whole interval lies under it."""
        rows = self.attainment.select(["target", "verdict"]).to_pylist()
        return tuple(row["target"] for row in rows if row["verdict"] == "missed")

    @property
    def exit_code(self) -> int:
        """1 where an objective is missed and that is a failure, else 0."""
        return int(self.request.fail_on_missed and bool(self.missed))


def measure_service_levels(
    request: LevelRequest, step: Callable[[str], None] = lambda _: None
) -> LevelReport:
    """Run the whole chain, naming each step to `step`; raises CodedError for the user to mend.

    Mistakes of all files of targets are raised together, before the log is read. SL230: nothing is
    promised for any case of the log.
    """
    catalogue = load_catalogue(())
    levels, other, declared = _promises(request, catalogue.practices)
    step("reading")
    log = open_log(request.logs, request.read)
    as_of_us = judged_at(log, request.as_of)
    asked = _audit_request(request)
    ready = make_ready(
        log, asked, catalogue.practices, as_of_us=as_of_us, with_model=False, step=step
    )
    shares, left_out = _promised(ready)
    rows = tool_rows(log, declared)
    step("clocks")
    tables, doubts = _clocks(shares, catalogue, ready.doubts, request.allow)
    table, under = _joined(tables), None
    if request.what_if is not None and other is not None:
        others = [one.under(other) for one in shares]
        after, _ = _clocks(others, catalogue, ready.doubts, request.allow)
        under = what_if(request.what_if.name, table, _joined(after))
    step("tickets at risk, as known at earlier months")
    known = known_at(log, asked, shares, catalogue, month_starts(table))
    types = {target.name: target.case_type for target in levels.targets}
    step("pauses and the tool's own rows")
    parts = [
        _part(share, mine, rows if declared else None)
        for share, mine in zip(shares, tables, strict=True)
    ]
    late = [
        breach_causes(one.share.prepared.desk, one.clocks, one.practice).breaches for one in parts
    ]
    held = pa.concat_tables([PAUSES.empty_table(), *(one.pauses for one in parts)])
    return LevelReport(
        request=request,
        log=log,
        as_of_us=as_of_us,
        quality=ready.quality,
        levels=levels,
        practices=tuple(parts),
        clocks=table,
        pauses=held.combine_chunks(),
        attainment=attainment(table),
        by={by: attained_by(table, *by) for by in CUTS},
        trends=trends(table),
        budgets=error_budgets(table, levels, as_of_us=as_of_us),
        causes=Causes(pa.concat_tables([BREACHES.empty_table(), *late]).combine_chunks()),
        at_risk=at_risk(table, as_of_us, pauses=held, case_types=types),
        calibration=calibrate(known, table, as_of_us, case_types=types),
        doubts=doubts,
        left_out=left_out,
        undeclared=rows.undeclared,
        what_if=under,
    )


def _promises(
    request: LevelRequest, practices: Mapping[str, Practice]
) -> tuple[ServiceLevels, ServiceLevels | None, tuple[Declared, ...]]:
    """Read every file that says what was promised; all their mistakes are raised at once."""
    found: list[Any] = []
    mistakes: list[CodedError] = []

    def read(work: Callable[[], Any]) -> None:
        try:
            found.append(work())
        except CodedError as error:
            found.append(None)
            mistakes.extend(error.errors if isinstance(error, ManyCodedErrors) else (error,))

    read(lambda: load_service_levels(request.targets, practices=practices))
    other, rows = request.what_if, request.tool_rows or request.targets
    read(lambda: other and load_service_levels(other, practices=practices))
    read(lambda: load_declared(rows, levels=found[0]) if rows else ())
    raise_all(mistakes)
    levels, under, declared = found
    return levels, under, declared


def _audit_request(request: LevelRequest) -> AuditRequest:
    return AuditRequest(
        logs=request.logs,
        read=request.read,
        practice=request.practice,
        targets=request.targets,
        as_of=request.as_of,
        allow=request.allow,
    )


def _promised(ready: ReadyLog) -> tuple[tuple[Share, ...], dict[str, int]]:
    """Part the practices for whose cases something is promised from the others."""
    types = {target.case_type for target in ready.service_levels.targets}
    shares = tuple(one for one in ready.shares if one.practice.case_type in types)
    left_out = {
        one.practice.name: one.translation.log.n_cases
        for one in ready.shares
        if one.practice.case_type not in types
    }
    if not shares:
        msg = f"nothing is promised for cases of practice {', '.join(sorted(left_out))}"
        fix = f"The targets speak of {', '.join(sorted(types))}; write targets for its case_type"
        raise CodedError("SL230", msg, fix=fix)
    return shares, left_out


def _clocks(
    shares: Sequence[Share],
    catalogue: Catalogue,
    doubts: Collection[Defect],
    allowed: tuple[str, ...],
) -> tuple[list[pa.Table], dict[str, int]]:
    """Run the clocks of every share, and count what the log's doubts take."""
    tables, taken = [], dict[str, int]()
    for share in shares:
        table, reasons = clocks_of(share, catalogue, tuple(doubts), allowed)
        tables.append(table)
        for reason, n in reasons.items():
            taken[reason] = taken.get(reason, 0) + n
    return tables, taken


def _part(share: Share, clocks: pa.Table, rows: ToolRows | None) -> PracticeLevels:
    """Audit a share's pauses, and hold its clocks against the tool's."""
    desk = share.prepared.desk
    held = pauses(desk, practice=share.practice.case_type)
    mine = None if rows is None else rows.among(desk.log)
    return PracticeLevels(
        share=share,
        clocks=clocks,
        pauses=held,
        pause_audit=audit_pauses(desk, clocks, held),
        reconciliation=None if mine is None else reconcile(desk, clocks, held, mine),
    )


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([CLOCKS.empty_table(), *tables]).combine_chunks()
