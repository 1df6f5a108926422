"""How is a surveys.csv of our own format one channel among others? Its rows, as responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from csi.feedback.responses import Reading, Response, reading
from csi.feedback.scales import SCALES
from csi.feedback.surveys import COLUMNS, read_surveys
from process_mining.schema import UTC_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME: Final = "surveys"


def is_own(header: Sequence[str]) -> bool:
    """Whether a file with this header is of our own format, or means to be."""
    return {"ticket", "asked_at", "scale", "score"} <= set(header)


def read_own(path: Path) -> Reading:
    """Read the file; its channel column names the channels. Errors: those of `read_surveys`."""
    found = read_surveys(path, scales=SCALES)
    columns = []
    for name in COLUMNS:
        column = found.responses[name]
        columns.append((column.cast(pa.int64()) if column.type == UTC_US else column).to_pylist())
    name = found.file.name
    rows = [
        Response(*cells)._replace(file=name, place=f"ask {number}")
        for number, cells in enumerate(zip(*columns, strict=True), start=1)
    ]
    whole = reading(NAME, rows, files=(found.file,))
    return Reading(
        channel=NAME,
        responses=whole.responses,
        rejects=found.rejects,
        rows_in=found.rows_in,
        files=whole.files,
    )
