"""What does an audit leave behind? The files that scripts and people read.

`summary.json`, `findings.parquet`, `findings.csv`, `cases.parquet` and `report.html` depend on the
content of the log alone: not on the order of its rows, nor on the day. `provenance.json` beside
them names the files that were read and the SHA-256 of every file that was written.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from csi.outputs import write_csv, write_json, write_parquet, write_text
from process_mining import schema as s
from rules.service_level import attainment
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from csi.audit import Audit, PracticeAudit
    from rules.spec import Tally

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FLOAT_DIGITS = 6


def moment(us: int) -> str:
    """Return the ISO 8601 text of a time in microseconds since 1970 UTC."""
    return (EPOCH + dt.timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def summary_of(audit: Audit) -> dict[str, Any]:
    """Return what summary.json holds (design.md section 6), and what the report shows."""
    log = audit.log
    return {
        "log": {
            "sha256": log.meta.sha256,
            "source": log.meta.source,
            "events": log.n_events,
            "cases": log.n_cases,
            "variants": sum(len(part.variants) for part in audit.practices),
            "rejected": log.meta.rejects.num_rows,
            "rows_in": log.meta.rows_in,
            "first": moment(int(log.arrays.at.min())) if log.n_events and log.timed else None,
            "last": moment(int(log.arrays.at.max())) if log.n_events and log.timed else None,
            "clear_names": log.meta.clear_names,
            "notes": list(log.meta.notes),
        },
        "as_of": moment(audit.as_of_us),
        "practices": [_practice(part) for part in audit.practices],
        "conformance": [_conformance(part) for part in audit.practices if part.prepared.alignments],
        "rules": [_rule(tally) for tally in audit.tallies],
        "findings": audit.findings.num_rows,
        "quality": [_defect(defect) for defect in audit.quality.defects],
        "service_levels": [row for part in audit.practices for row in attainment(part.clocks)],
        "feedback": _feedback(audit),
        "exit_code": audit.exit_code,
    }
