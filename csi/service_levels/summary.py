"""What do the service levels come to, as data? The content of summary.json, and of both pages.

    log, quality, allowed   what the log is, what is wrong with it, what of that was accepted
    targets, as_of          "given" or "shipped"; the moment at which open tickets are judged
    practices, left_out     tickets by practice; those of practices for which nothing is promised
    attainment, missed      one row a target (`rules.service_level.attainment`) with its limit and
                            calendar; the targets whose objective is missed
    by, trends              attainment by each dimension; up or down over the months
    budgets                 breaches spent of those that the objective allows, by target and period
    agreements              OLAs and contracts by who keeps them
    open                    clocks that run, stand still, are likelier than not to break their
                            promise, or have broken it
    breaches                how many, and what the time went on, by target
    calibration             how good the probabilities were at earlier months
    pauses                  the pause audit: checks, and attainment had pauses counted
    reconciliation          by practice; null where nothing was declared of the tool's rows
    undeclared              the tool's own service levels that nobody declared
    what_if                 what would change under the other file; null without one
    unknown                 clocks that the log cannot vouch for, and by which of its defects
    exit_code               1 where an objective is missed and --fail-on missed was said

Durations are whole microseconds of the target's open time, shares lie in 0..1, intervals are 95 %.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from csi.audit_outputs import defect_row, log_row
from csi.report.words import moment
from csi.service_levels.attained import SMALLEST_GROUP
from rules.service_level import ATTAINMENT, attained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from csi.service_levels.calibration import Calibration
    from csi.service_levels.reconciliation import Reconciliation
    from csi.service_levels.run import LevelReport

Row = dict[str, Any]
LIKELY: Final = 0.5
_COUNTS: Final = ("met", "breached", "running", "lapsed", "superseded", "unknown")


def summary_of(report: LevelReport) -> Row:
    """Return what summary.json holds."""
    return {
        "log": log_row(report.log, report.quality),
        "targets": "shipped" if report.request.targets is None else "given",
        "as_of": moment(report.as_of_us) if report.log.timed else None,
        "practices": [
            {"practice": one.practice.name, "cases": one.share.translation.log.n_cases}
            for one in report.practices
        ],
        "left_out": dict(report.left_out),
        "attainment": [_target(row, report) for row in report.attainment.to_pylist()],
        "missed": list(report.missed),
        "by": {" and ".join(by): table.to_pylist() for by, table in report.by.items()},
        "trends": report.trends.to_pylist(),
        "budgets": [_dated(row) for row in report.budgets.to_pylist()],
        "agreements": list(_agreements(report)),
        "open": _open(report),
        "breaches": _breaches(report),
        "calibration": _calibration(report.calibration),
        "pauses": _pauses(report),
        "reconciliation": [
            {"practice": one.practice.name} | _reconciled(one.reconciliation)
            for one in report.practices
            if one.reconciliation is not None
        ]
        or None,
        "undeclared": [asdict(one) | {"could_be": list(one.could_be)} for one in report.undeclared],
        "what_if": None if report.what_if is None else report.what_if.summary,
        "unknown": {
            "clocks": _count(report.clocks, "unknown"),
            "because": dict(sorted(report.doubts.items())),
        },
        "quality": [defect_row(defect) for defect in report.quality.defects],
        "allowed": sorted(report.request.allow),
        "exit_code": report.exit_code,
    }


def _count(clocks: pa.Table, status: str) -> int:
    return int(pc.sum(pc.equal(clocks["status"], status)).as_py() or 0)


def _target(row: Row, report: LevelReport) -> Row:
    target = report.levels.target(row["target"])
    return row | {"limit_us": target.limit_us, "calendar": target.calendar}


def _dated(row: Row) -> Row:
    """Write times and days as JSON holds them."""
    return {
        name: value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
        for name, value in row.items()
    }


# --- agreements with teams and suppliers


def _agreements(report: LevelReport) -> Iterable[Row]:
    """One row for each target of an OLA or contract and who keeps it; small groups without rate.

    `supported_breaches`: tickets that broke the SLA target that it supports; `also_here` those
    of them that had broken this one, too.
    """
    others = report.clocks.filter(pc.not_equal(report.clocks["agreement"], "SLA"))
    others = others.filter(others["target"].is_valid())
    counts: dict[tuple[str, str | None], Counter[str]] = defaultdict(Counter)
    keys = ["target", "party", "status"]
    for row in others.group_by(keys).aggregate([([], "count_all")]).to_pylist():
        counts[row["target"], row["party"]][row["status"]] += row["count_all"]
    late = _late_cases(report.clocks)
    for name, party in sorted(counts, key=lambda key: (key[0], key[1] or "")):
        target = report.levels.target(name)
        found = attained(counts[name, party], objective=target.objective)
        if found["n"] < SMALLEST_GROUP:
            found |= {"rate": None, "low": None, "high": None, "verdict": "fewer than 5"}
        above = late.get((target.supports or "", None), set())
        yield {
            "target": name,
            "agreement": target.agreement,
            "party": party,
            "metric": target.metric,
            "limit_us": target.limit_us,
            "calendar": target.calendar,
            **found,
            "supports": target.supports,
            "supported_breaches": len(above) if target.supports else None,
            "also_here": len(above & late.get((name, party), set())) if target.supports else None,
        }


def _late_cases(clocks: pa.Table) -> dict[tuple[str, str | None], set[str]]:
    """The tickets that broke each target, by who was to keep it."""
    found: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    late = clocks.filter(pc.equal(clocks["status"], "breached"))
    for row in late.select(["target", "party", "case_id"]).to_pylist():
        found[row["target"], row["party"]].add(row["case_id"])
    return found


# --- open tickets and breaches


def _open(report: LevelReport) -> Row:
    table = report.at_risk.table
    late = open_and_late(report.clocks)
    return {
        "running": table.num_rows,
        "paused": int(pc.sum(table["paused_now"]).as_py() or 0),
        "likely": int(pc.sum(pc.greater_equal(table["probability"], LIKELY)).as_py() or 0),
        "expected_breaches": report.at_risk.expected,
        "without_probability": report.at_risk.without,
        "breached": late.num_rows,
        "tickets": len(
            pc.unique(
                pa.concat_tables([table.select(["case_id"]), late.select(["case_id"])])["case_id"]
            )
        ),
    }


def open_and_late(clocks: pa.Table) -> pa.Table:
    """Return the clocks that have broken their promise and were not stopped."""
    going = pc.and_(pc.equal(clocks["status"], "breached"), clocks["remaining_us"].is_valid())
    return clocks.filter(going)


def _breaches(report: LevelReport) -> Row:
    table = report.causes.breaches
    counted = table.group_by(["cause"]).aggregate([([], "count_all")]).to_pylist()
    n = {row["cause"]: row["count_all"] for row in counted}
    return {
        "clocks": table.num_rows,
        "cases": len(pc.unique(table["case_id"])),
        "by_cause": dict(sorted(n.items(), key=lambda item: (-item[1], item[0]))),
        "by_target": report.causes.by_target.to_pylist(),
    }


def _calibration(found: Calibration) -> Row:
    return {
        "moments": [moment(us) for us in found.moments],
        "clocks": found.n,
        "cases": found.cases,
        "left_out": dict(found.left_out),
        "verdict": found.verdict,
        **{
            name: asdict(getattr(found, name))
            for name in ("brier", "reference", "skill", "in_the_large")
        },
        "reliability": found.reliability.to_pylist(),
    }


# --- pauses, the tool's rows


def _pauses(report: LevelReport) -> Row:
    audits = [one.pause_audit for one in report.practices]
    whole = [row for one in audits for row in one.shares.to_pylist() if row["by"] == "all"]
    return {
        "pauses": report.pauses.num_rows,
        "met": sum(row["n"] for row in whole),
        "met_only_by_pausing": sum(row["only_by_pausing"] for row in whole),
        "checks": _checks([row for one in audits for row in one.summary.to_pylist()]),
        "attainment": list(_recounted([r for one in audits for r in one.attainment.to_pylist()])),
        "shares": [
            {"practice": one.practice.name} | row
            for one in report.practices
            for row in one.pause_audit.shares.to_pylist()
        ],
        "groups_left_out": sum(one.suppressed for one in audits),
        "unplaced": sum(one.unplaced for one in audits),
    }


def _checks(rows: Sequence[Row]) -> list[Row]:
    """Add up the checks of all practices; one that can be made for any of them was made."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["check"]].append(row)
    sums = ("findings", "clocks", "cases", "open_us", "met_only_because")
    return [
        {
            "check": check,
            "told": any(row["told"] for row in mine),
            "why_not": None if any(row["told"] for row in mine) else mine[0]["why_not"],
            **{name: sum(row[name] for row in mine) for name in sums},
        }
        for check, mine in found.items()
    ]


def _recounted(rows: Sequence[Row]) -> Iterable[Row]:
    """Add up the attainment of all practices: counts add up, figures are those of the sums."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["target"], row["counted"]].append(row)
    for (_, counted), mine in sorted(found.items()):
        sums = {name: sum(row[name] for row in mine) for name in _COUNTS}
        said = {name: mine[0][name] for name in ATTAINMENT.names}
        yield {"counted": counted} | said | attained(sums, objective=mine[0]["objective"])


def _reconciled(found: Reconciliation | None) -> Row:
    assert found is not None  # noqa: S101 - the caller asks only where there is one
    return {
        "pairs": found.pairs,
        "same": found.same,
        "unexplained": found.unexplained,
        "agreements": [
            asdict(one)
            | {
                "n": one.n,
                "agree": one.agree,
                "share": one.share,
                "interval": list(one.interval),
                "kappa": one.kappa,
            }
            for one in found.agreements
        ],
        "causes": [asdict(one) | {"examples": list(one.examples)} for one in found.causes],
        "confusion": found.confusion.to_pylist(),
    }
