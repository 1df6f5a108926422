"""How does a simulated desk lie on the disk, ready for `audit` and `cycle run`?

    events.ndjson   one event a line, in our own event schema, ordered by (at, case_id, seq)
    tickets.csv     one row a ticket          surveys.csv    one row a request for feedback
    truth.parquet   every rule that a case breaks; request, factor and dates in its metadata
    targets.toml    what the desk has promised
    cycle.toml      the turn of the loop that evaluates the intervention

Times are ISO 8601 with `Z`. Every file is written whole or not at all (`csi.outputs`).
"""

from __future__ import annotations

import csv
import json
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csi.outputs import write_bytes, write_text
from csi.simulate.desk import PROMISES
from csi.simulate.office import HOUR, MINUTE, OFFICE
from csi.simulate.tables import ATTRIBUTES
from csi.simulate.trail import HELD, HELD_BY_HAND
from process_mining import schema as s

if TYPE_CHECKING:
    from pathlib import Path

    from csi.simulate import Simulation
    from csi.simulate.desk import Promise

ISO_Z: Final = "%Y-%m-%dT%H:%M:%SZ"
OBJECTIVES: Final = {"P1": "0.95", "P2": "0.95", "P3": "0.90", "P4": "0.90"}
TARGETS_HEAD: Final = """\
# What the simulated desk has promised. Open time of the calendar; see trueloop sla.
# The tool lets anybody hold the clock while a supplier is waited for; the agreement does not.

# The events by which a customer answers.
answered = [{ where = { attribute = "written_by", one_of = ["customer"] } }]
"""
ALLOWED: Final = '["Await customer"]'
PAUSES: Final = f"""[
  "Await customer",
  {{ activity = "{HELD_BY_HAND}", where = {{ attribute = "clock", one_of = ["{HELD}"] }} }},
]"""
STOPS: Final = {
    "respond": '["Assign", "Diagnose", "Resolve"]',
    "resolve": '["Resolve"]',
}


def write(simulation: Simulation, out_dir: Path) -> tuple[Path, ...]:
    """Write the six files; returns their paths in the order above."""
    texts = {
        "events.ndjson": events_ndjson(simulation.events),
        "tickets.csv": as_csv(simulation.tickets),
        "surveys.csv": as_csv(simulation.surveys),
        "targets.toml": targets_toml(),
        "cycle.toml": cycle_toml(simulation),
    }
    for name, text in texts.items():
        write_text(out_dir / name, text)
    write_bytes(out_dir / "truth.parquet", truth_parquet(simulation))
    names = ("events.ndjson", "tickets.csv", "surveys.csv", "truth.parquet")
    return tuple(out_dir / name for name in (*names, "targets.toml", "cycle.toml"))


def events_ndjson(events: pa.Table) -> str:
    """Return the events as one JSON object a line."""
    lines = []
    names = [(name, name.removeprefix(s.ATTRIBUTE_PREFIX)) for name in ATTRIBUTES]
    for row in _written(events).to_pylist():
        said = [(name, row.pop(column)) for column, name in names]
        row["attributes"] = {name: value for name, value in said if value is not None}
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join([*lines, ""])


def as_csv(table: pa.Table) -> str:
    """Return a table as CSV (RFC 4180 quoting, line feeds); null is an empty cell."""
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*_written(table).to_pydict().values(), strict=True))
    return buffer.getvalue()


def truth_parquet(simulation: Simulation) -> bytes:
    """Return the truth as Parquet, with what is true of the whole desk in its metadata."""
    request = simulation.request
    facts = {
        "seed": str(request.seed),
        "tickets": str(request.tickets),
        "months": str(request.months),
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "effect": request.effect,
        "factor": str(simulation.factor),
        "intervention": simulation.intervention.isoformat(),
        "as_of": simulation.as_of.strftime(ISO_Z),
    }
    buffer = BytesIO()
    pq.write_table(
        simulation.truth.replace_schema_metadata(facts), buffer, compression="zstd", version="2.6"
    )
    return buffer.getvalue()


def targets_toml() -> str:
    """Return the promises in the form that service levels are read in."""
    return TARGETS_HEAD + "".join(
        _target(priority, metric, promise)
        for priority, promise in PROMISES.items()
        for metric in STOPS
    )


def _target(priority: str, metric: str, promise: Promise) -> str:
    limit = promise.respond if metric == "respond" else promise.resolve
    calendar = "business-hours" if promise.hours == OFFICE else "24x7"
    return f"""
[[target]]
name = "incident-{priority.lower()}-{metric}"
metric = "{metric}"
case_type = "incident"
priority = "{priority}"
limit = "{_duration(limit)}"
calendar = "{calendar}"
stop = {STOPS[metric]}
pauses = {PAUSES}
allowed = {ALLOWED}
objective = {OBJECTIVES[priority]}
valid_from = 2000-01-01
"""


def _duration(seconds: int) -> str:
    return f"{seconds // MINUTE}m" if seconds % HOUR else f"{seconds // HOUR}h"


def cycle_toml(simulation: Simulation) -> str:
    """Return the cycle that compares the weeks before the intervention with those after it."""
    request, changed = simulation.request, simulation.intervention
    return f"""# One turn of the loop on the simulated desk: trueloop cycle run cycle.toml
log = ["events.ndjson", "tickets.csv"]
surveys = "surveys.csv"
targets = "targets.toml"
practice = "incident"
register = "register.sqlite"
report_date = {request.end.isoformat()}

# Half-open windows in UTC on the time of opening, cut at the intervention.
[baseline]
start = {request.start.isoformat()}
end = {changed.isoformat()}

[current]
start = {changed.isoformat()}
end = {request.end.isoformat()}

[improvement]
title = "Route P3 and P4 incidents to the solving team at once"
opportunity = "P3 and P4 incidents wait for their first look longer than they are worked on"
hypothesis = "Routing by service shortens the median time to resolve by at least 10 %"
kpi = "KPI01"
minimum_effect = 0.10
owner = "Service desk manager"
started = {changed.isoformat()}

[improvement.scope]
priority = ["P3", "P4"]
"""


def _written(table: pa.Table) -> pa.Table:
    """Return the table with times as ISO 8601 text."""
    for index, field in enumerate(table.schema):
        if field.type == s.UTC_US:
            text = pc.strftime(table[field.name].cast(pa.timestamp("s")), format=ISO_Z)
            table = table.set_column(index, field.name, text)
    return table
