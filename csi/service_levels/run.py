"""What was promised, and was it kept? From the log's files to everything that a report needs.

files → EventLog → each practice's words → clocks and pauses under the targets → what the quality
gate doubts → attainment, breaches with causes, tickets at risk, the pause audit, the tool's own
rows, and what would change under other targets. Practices for whose cases nothing is promised are
left out and counted. The clocks are those of an audit (`csi.audit`), so the figures are, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from csi.audit import AuditRequest, clocks_of, judged_at, make_ready
from csi.service_levels.what_if import what_if
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.service_level import CLOCKS, PAUSES, attainment, load_service_levels, pauses

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from csi.audit import ReadyLog, Share
    from csi.service_levels.what_if import WhatIf
    from process_mining.eventlog import EventLog
    from process_mining.quality import Defect, Quality
    from rules.catalogue import Catalogue
    from rules.service_level import ServiceLevels


@dataclass(frozen=True)
class LevelRequest:
    """What to measure, and by what; every field is one option of `trueloop sla`."""

    logs: tuple[Path, ...]
    read: ReadOptions = field(default_factory=ReadOptions)
    practice: str | None = None
    targets: Path | None = None
    what_if: Path | None = None
    tool_rows: Path | None = None
    as_of: dt.datetime | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LevelReport:
    """Everything that was found; tables have the rows of all practices.

    `doubts` counts the clocks that each reason makes unknown; `left_out` the cases of practices for
    which nothing is promised.
    """

    request: LevelRequest
    log: EventLog
    as_of_us: int
    quality: Quality
    levels: ServiceLevels
    shares: tuple[Share, ...]
    clocks: pa.Table
    pauses: pa.Table
    attainment: pa.Table
    doubts: Mapping[str, int]
    left_out: Mapping[str, int]
    what_if: WhatIf | None


def measure_service_levels(
    request: LevelRequest, step: Callable[[str], None] = lambda _: None
) -> LevelReport:
    """Run the whole chain, naming each step to `step`; raises CodedError for the user to mend.

    SL230: nothing is promised for any case of the log.
    """
    step("reading")
    log = open_log(request.logs, request.read)
    as_of_us = judged_at(log, request.as_of)
    catalogue = load_catalogue(())
    ready = make_ready(
        log, _audit_request(request), catalogue.practices, as_of_us=as_of_us, step=step
    )
    shares, left_out = _promised(ready)
    step("clocks")
    table, doubts = _clocks(shares, catalogue, ready.doubts, request.allow)
    held = [pauses(one.prepared.desk, practice=one.practice.case_type) for one in shares]
    return LevelReport(
        request=request,
        log=log,
        as_of_us=as_of_us,
        quality=ready.quality,
        levels=ready.service_levels,
        shares=shares,
        clocks=table,
        pauses=pa.concat_tables([PAUSES.empty_table(), *held]).combine_chunks(),
        attainment=attainment(table),
        doubts=doubts,
        left_out=left_out,
        what_if=_what_if(request, shares, catalogue, ready, table),
    )


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
    shares: tuple[Share, ...],
    catalogue: Catalogue,
    doubts: Collection[Defect],
    allowed: tuple[str, ...],
) -> tuple[pa.Table, dict[str, int]]:
    """Run the clocks of every share, and count what the log's doubts take."""
    tables, taken = [CLOCKS.empty_table()], dict[str, int]()
    for share in shares:
        table, reasons = clocks_of(share, catalogue, tuple(doubts), allowed)
        tables.append(table)
        for reason, n in reasons.items():
            taken[reason] = taken.get(reason, 0) + n
    return pa.concat_tables(tables).combine_chunks(), taken


def _what_if(
    request: LevelRequest,
    shares: tuple[Share, ...],
    catalogue: Catalogue,
    ready: ReadyLog,
    before: pa.Table,
) -> WhatIf | None:
    """Run the same log's clocks under the other file."""
    if request.what_if is None:
        return None
    levels = load_service_levels(request.what_if, practices=catalogue.practices)
    others = tuple(one.under(levels) for one in shares)
    after, _ = _clocks(others, catalogue, ready.doubts, request.allow)
    return what_if(request.what_if.name, before, after)
