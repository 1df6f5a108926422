"""What does mining leave behind? The files that scripts and people read.

`summary.json`, `mine.html` and the tables depend on the content of the log and the options alone:
not on the order of its rows, nor on the day. `model.bpmn` is there where the discovered model can
be written as BPMN. `provenance.json` beside them names the files that were read and the SHA-256 of
every file that was written; what an earlier run wrote and this one does not is deleted.

Rates are counts with a 95 % Wilson interval. How long cases take is the median from the first event
to the last; where it is known which cases have ended, open ones count as censored at the last time
of the log (Kaplan & Meier). The median of a way is of its cases as they stand.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from csi.audit_outputs import defect_row, log_row
from csi.conformance import activity_rows
from csi.manifest import sha256_of
from csi.outputs import whole_set, write_bytes, write_json, write_parquet, write_text
from csi.report.mine_page import mine_page
from csi.report.words import moment
from csi.statistics.estimate import censored_quantile, proportion, quantile
from process_mining import schema as s
from process_mining.alignment.deviations import explain
from process_mining.columnar import sql
from process_mining.columnar.groups import grouped
from process_mining.model.bpmn_writer import spelled, write_bpmn
from process_mining.organisation import times_a_case

if TYPE_CHECKING:
    from pathlib import Path

    from csi.mining import Mining

SUMMARY, PAGE, MODEL, PROVENANCE = "summary.json", "mine.html", "model.bpmn", "provenance.json"
TABLES: Final = (
    *("variants.parquet", "directly_follows.parquet", "states.parquet"),
    *("teams.parquet", "handovers.parquet", "days.parquet"),
)
FILES: Final = (SUMMARY, PAGE, *TABLES, MODEL, PROVENANCE)
WAYS_SHOWN: Final = 20
ROWS_SHOWN: Final = 20


def summary_of(mining: Mining) -> dict[str, Any]:
    """Return what summary.json holds, and what the page shows."""
    return {
        "log": log_row(mining.whole, mining.quality),
        "mined": _mined(mining),
        "filters": _filters(mining),
        "duration": _duration(mining),
        "map": _map(mining),
        "ways": _ways(mining),
        "times": _times(mining),
        "rework": _rework(mining),
        "teams": _teams(mining),
        "batches": _batches(mining),
        "flow": _flow(mining),
        "resolution": _resolution(mining),
        "model": _model(mining),
        "quality": [defect_row(defect) for defect in mining.quality.defects],
    }


def write_mining(mining: Mining, summary: dict[str, Any], out: Path) -> None:
    """Write every file: all of them, or, where one cannot be written, none."""
    tables = tables_of(mining)
    model = [MODEL] if mining.diagram.shapes else []
    names = [SUMMARY, PAGE, *tables, *model]
    with whole_set(out, [*names, PROVENANCE]) as aside:
        write_json(aside / SUMMARY, summary)
        write_text(aside / PAGE, mine_page(mining, summary))
        for name, table in tables.items():
            write_parquet(aside / name, table)
        if model:
            write_bytes(aside / MODEL, write_bpmn(mining.diagram, name=mining.mined.model.name))
        written = {name: sha256_of(aside / name) for name in names}
        write_json(aside / PROVENANCE, {"read": _read_files(mining), "written": written})
    for name in FILES:
        if name not in {*names, PROVENANCE}:
            (out / name).unlink(missing_ok=True)


def tables_of(mining: Mining) -> dict[str, pa.Table]:
    """Return the tables by file name; those that the log cannot fill are left out."""
    frames = {
        "variants.parquet": _variant_table(mining),
        "directly_follows.parquet": sql.directly_follows(mining.log, leave_out=mining.leave_out),
        "states.parquet": pa.Table.from_pandas(mining.times.sojourn, preserve_index=False),
    }
    if mining.teams is not None:
        network = mining.teams.network
        frames["teams.parquet"] = pa.Table.from_pandas(network.teams, preserve_index=False)
        frames["handovers.parquet"] = pa.Table.from_pandas(network.edges, preserve_index=False)
    if mining.flow.backlog is not None:
        days = mining.flow.backlog.days
        frames["days.parquet"] = pa.Table.from_pandas(days, preserve_index=False)
    return frames


def _read_files(mining: Mining) -> list[dict[str, Any]]:
    files = sorted(mining.whole.meta.files, key=lambda file: (file.sha256, file.name))
    logs: list[dict[str, Any]] = [{"role": "log"} | asdict(file) for file in files]
    path = mining.request.read.mapping
    if path is None:
        return logs
    size = path.stat().st_size
    return [*logs, {"role": "mapping", "name": path.name, "sha256": sha256_of(path), "size": size}]


# --- what was mined, and what was hidden


def _mined(mining: Mining) -> dict[str, Any]:
    log, complete, found = mining.log, mining.complete, mining.translation
    at = log.arrays.at
    timed = log.timed and log.n_events > 0
    return {
        "cases": log.n_cases,
        "events": log.n_events,
        "steps": mining.map.steps,
        "variants": len(mining.variants),
        "ended": None if complete is None else int(complete.sum()),
        "first": moment(int(at.min())) if timed else None,
        "last": moment(int(at.max())) if timed else None,
        "practice": None if mining.practice is None else mining.practice.name,
        "vocabulary": None if found is None else found.vocabulary.name,
        "unmapped": {} if found is None else dict(found.unmapped),
        "meanings": {key: sorted(words) for key, words in asdict(mining.meanings).items()},
        "practices_named": sorted({*mining.whole.cases[s.PRACTICE].unique().to_pylist()} - {None}),
        "order_unknown": log.n_cases - int(np.sum(log.cases[s.ORDER_KNOWN].to_numpy())),
    }


def _filters(mining: Mining) -> dict[str, Any]:
    window, found = mining.request.window, mining.map
    bounds = None
    if window is not None:
        begin, end = (None if us is None else moment(us) for us in (window.begin_us, window.end_us))
        bounds = {"from": begin, "to": end, "rule": window.rule}
    return {
        "window": bounds,
        "hidden": asdict(mining.hidden),
        "left_out": list(mining.leave_out),
        "top_activities": mining.request.top_activities,
        "rare_activities": list(mining.hidden_steps),
        "rare_steps": found.left_out.steps,
        "keep_share": found.keep_share,
        "hidden_lines": found.left_out.edges,
        "hidden_successions": found.left_out.successions,
        "slower_than_us": found.slower_than_us,
        "slow_lines": sum(map(found.is_slow, found.edges)),
    }


def _duration(mining: Mining) -> dict[str, Any]:
    """How long cases take: median and 90th percentile with intervals, in hours."""
    facts = mining.facts.to_pandas()
    known = facts["duration_us"].notna().to_numpy()
    hours = facts["duration_us"][known].to_numpy(np.float64) / s.US_PER_HOUR
    plain = {f"p{100 * q:.0f}": asdict(quantile(hours, q)) for q in (0.5, 0.9)}
    if mining.complete is None or mining.last_us is None:
        return plain | {"censored": None}
    running = ~mining.complete[known]
    if not running.any():
        return plain | {"censored": 0}
    begun = facts["first_at"][known].to_numpy(np.float64)
    hours = np.where(running, (mining.last_us - begun) / s.US_PER_HOUR, hours)
    found = {f"p{100 * q:.0f}": asdict(censored_quantile(hours, running, q)) for q in (0.5, 0.9)}
    return found | {"censored": int(running.sum())}


# --- the sections


def _map(mining: Mining) -> dict[str, Any]:
    found = mining.map
    edges = (*found.starts, *found.edges, *found.ends)
    return {
        "activities": [asdict(node) for node in found.nodes],
        "lines": [asdict(edge) for edge in edges],
    }


def _medians(mining: Mining) -> pd.Series[int]:
    """Return the median duration of each variant's cases."""
    known = mining.facts["duration_us"].is_valid().to_numpy()
    spent = mining.facts["duration_us"].to_pandas()[known].to_numpy(np.int64)
    found = grouped(mining.variants.variant_of_case[known], spent, n=len(mining.variants))
    return pd.Series(found.quantile(50), dtype="Int64").where(pd.Series(found.counts > 0))


def _variant_table(mining: Mining) -> pa.Table:
    ways = mining.variants
    traces = pa.array([list(ways.trace(i)) for i in range(len(ways))], pa.list_(pa.string()))
    medians = pa.array(_medians(mining), pa.int64(), from_pandas=True)
    aligned = mining.fit.alignments
    cost = pa.nulls(len(ways), pa.int64()) if aligned is None else pa.array(aligned.upper)
    return pa.table(
        {"trace": traces, "n": ways.counts, "median_duration_us": medians, "model_cost": cost}
    )


def _ways(mining: Mining) -> list[dict[str, Any]]:
    """The most frequent ways with what they add up to."""
    ways, medians = mining.variants, _medians(mining)
    share = ways.counts / max(mining.log.n_cases, 1)
    running = np.cumsum(ways.counts) / max(mining.log.n_cases, 1)
    return [
        {
            "trace": list(ways.trace(i)),
            "n": int(ways.counts[i]),
            "share": float(share[i]),
            "cumulative": float(running[i]),
            "median_us": None if pd.isna(medians[i]) else int(medians[i]),
        }
        for i in range(min(len(ways), WAYS_SHOWN))
    ]


def _times(mining: Mining) -> dict[str, Any]:
    times, split = mining.times, mining.times.split
    return {
        "states": _rows(times.sojourn),
        "bottlenecks": _rows(times.bottlenecks.head(ROWS_SHOWN)),
        "successions": len(times.bottlenecks),
        "service": _rows(times.service),
        "split": None
        if split is None
        else {
            "waiting_h": split.waiting_h,
            "working_h": split.working_h,
            "done_h": split.done_h,
            "waiting_share": split.waiting_share,
            "cases": mining.log.n_cases,
            "clock": split.clock,
        },
    }


def _rework(mining: Mining) -> dict[str, Any]:
    loops = mining.loops
    return {
        "activities": _rows(mining.rework),
        "returns": _rows(loops.activities),
        "paths": _rows(loops.paths.head(ROWS_SHOWN)),
        "cases": loops.cases,
        "looping": asdict(proportion(loops.cases_looping, loops.cases)),
        "cases_looping": loops.cases_looping,
        "looped_h": loops.looped_h,
        "total_h": loops.total_h,
    }


def _teams(mining: Mining) -> dict[str, Any] | None:
    if mining.teams is None:
        return None
    teams, found = mining.teams, mining.teams.network
    changes = teams.changes
    known = int(changes["handovers"].notna().sum())
    return {
        "teams": _rows(found.teams),
        "handovers": _rows(found.edges.head(ROWS_SHOWN)),
        "n_handovers": teams.summary.handovers,
        "between_small": found.between_small,
        "communities": [list(part) for part in found.communities],
        "modularity": found.modularity,
        "sampled": found.sampled,
        "ping_pongs": _rows(teams.ping_pongs.head(ROWS_SHOWN)),
        "n_ping_pongs": teams.summary.ping_pongs,
        "bouncing": asdict(proportion(teams.summary.cases_with_ping_pong, known)),
        "cases_bouncing": teams.summary.cases_with_ping_pong,
        "cases_known": known,
        "handed_over": asdict(proportion(_some(changes["handovers"]), known)),
        "reassigned": asdict(proportion(_some(changes["reassignments"]), known)),
        "passed_on": asdict(proportion(_some(changes["passed_on"]), known)),
        "handovers_a_case": _rows(times_a_case(changes["handovers"])),
    }


def _some(counts: pd.Series[int]) -> int:
    return int((counts.fillna(0) > 0).sum())


def _batches(mining: Mining) -> dict[str, Any]:
    found = mining.batches
    facts = ("unknown", "window_us", "resolution_us", "least_cases", "doer", "decidable")
    rows = found.activities[found.activities["batches"] > 0] if len(found.activities) else None
    told = [] if rows is None else _rows(rows)
    return {name: getattr(found, name) for name in facts} | {"activities": told}


def _flow(mining: Mining) -> dict[str, Any]:
    flow, found = mining.flow, mining.flow.backlog
    if found is None:
        return {"failed": flow.failed}
    return {
        "failed": "",
        "zone": found.zone,
        "ends_known": flow.ends_known,
        "cases": found.cases,
        "open": found.open if flow.ends_known else None,
        "most_open": int(found.days["open"].max()) if flow.ends_known and len(found.days) else None,
        "without_start": found.without_start,
        "reversed": found.reversed,
        "days": len(found.days),
        "little": asdict(found.little) if found.little and flow.ends_known else None,
    }


def _resolution(mining: Mining) -> dict[str, Any]:
    back, first = mining.reopened, mining.first_contact
    return {
        "reopened": None
        if back is None
        else {
            "resolved": back.resolved,
            "reopened": back.reopened,
            "reopenings": back.reopenings,
            "median_us": back.median_us,
            "p90_us": back.p90_us,
            "rate": asdict(proportion(back.reopened, back.resolved)),
        },
        "first_contact": None
        if first is None
        else {
            "n": first.n,
            "first_contact": first.first_contact,
            "undecided": first.undecided,
            "criteria": list(first.criteria),
            "rate": asdict(proportion(first.first_contact, first.n)),
        },
    }


def _model(mining: Mining) -> dict[str, Any]:
    mined = mining.mined
    names = {a: name for a, name in spelled(mined.model.activities).items() if a != name}
    return {
        "method": mined.method,
        "noise": mined.noise,
        "cases": mined.cases,
        "ended_only": mining.complete is not None and bool(mining.complete.any()),
        "activities": list(mined.model.activities),
        "absent": list(mined.absent),
        "unsound": mined.unsound,
        "not_bpmn": mined.not_bpmn,
        "spelled": names,
        "fit": _fit(mining),
    }


def _fit(mining: Mining) -> dict[str, Any]:
    """How many of the cases the model was discovered from follow it, and at what cost.

    Bounds differ where the search was stopped; cases of which it is not settled whether they follow
    the model are left out of the share.
    """
    fit, aligned = mining.fit, mining.fit.alignments
    if aligned is None:
        return {"failed": fit.failed}
    weights, told = fit.weights, fit.quality
    fitting = int(weights[aligned.upper == 0].sum())
    missing = int(weights[aligned.lower > 0].sum())
    worst = max(int((aligned.most * weights).sum()), 1)
    lower, upper = (int((cost * weights).sum()) for cost in (aligned.lower, aligned.upper))
    return {
        "failed": "",
        "cases": int(weights.sum()),
        "fitting_cases": fitting,
        "unsettled_cases": int(weights.sum()) - fitting - missing,
        "fitting": asdict(proportion(fitting, fitting + missing)),
        "cost": {"lower": lower, "upper": upper, "unit": "steps off the model"},
        "fitness": {"low": 1 - upper / worst, "high": 1 - lower / worst},
        "precision": None if told is None else told.precision,
        "generalisation": None if told is None else told.generalisation,
        "steps": activity_rows(aligned, explain(aligned), weights),
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON holds them: plain numbers, None for what is unknown."""
    plain = frame.astype(object)
    records = plain.where(frame.notna(), None).to_dict(orient="records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in records]


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple) else value
