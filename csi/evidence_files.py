"""How does evidence pass from one step of a cycle to the next, without auditing the log again?

One Parquet file a table and one JSON file for the rest, under a name. What is read back measures
the same: types that hold nulls keep them, times stay int64 µs UTC or UTC timestamps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from csi.evidence import Evidence
from csi.outputs import read_json, write_json, write_parquet

if TYPE_CHECKING:
    from pathlib import Path

TABLES: Final = ("clocks", "surveys", "steps")
NULLABLE: Final = {pa.int64(): pd.Int64Dtype()}


def write_evidence(folder: Path, name: str, evidence: Evidence) -> None:
    """Leave evidence in a folder under a name."""
    _write(folder, f"{name}_cases", evidence.cases)
    verdicts = {code: np.asarray(each) for code, each in sorted(evidence.verdicts.items())}
    write_parquet(folder / f"{name}_verdicts.parquet", pa.table(verdicts))
    tables = {table: getattr(evidence, table) for table in TABLES}
    for table, frame in tables.items():
        if frame is not None:
            _write(folder, f"{name}_{table}", frame)
    rest = {
        "as_of_us": evidence.as_of_us,
        "tables": [table for table, frame in tables.items() if frame is not None],
        "untold": {kind: sorted(words) for kind, words in sorted(evidence.untold.items())},
        "people": dict(sorted(evidence.people.items())),
    }
    write_json(folder / f"{name}.json", rest)


def read_evidence(folder: Path, name: str) -> Evidence:
    """Read what `write_evidence` left."""
    rest = read_json(folder / f"{name}.json")
    verdicts = pq.read_table(folder / f"{name}_verdicts.parquet")
    return Evidence(
        cases=_read(folder, f"{name}_cases"),
        as_of_us=int(rest["as_of_us"]),
        verdicts={code: verdicts[code].to_numpy() for code in verdicts.column_names},
        untold={kind: frozenset(words) for kind, words in rest["untold"].items()},
        people=rest["people"],
        **{table: _read(folder, f"{name}_{table}") for table in rest["tables"]},
    )


def _write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # pandas has two kinds of text; evidence that was read back is to leave the same bytes again
    alike = [
        field.with_type(pa.large_string()) if pa.types.is_string(field.type) else field
        for field in table.schema
    ]
    write_parquet(folder / f"{name}.parquet", table.cast(pa.schema(alike)))


def _read(folder: Path, name: str) -> pd.DataFrame:
    table = pq.read_table(folder / f"{name}.parquet")
    frame: pd.DataFrame = table.to_pandas(types_mapper=NULLABLE.get)
    return frame
