"""Which rows were refused, where, why, and how is it mended?

A reject has the file, the place (line, row, or line with trace and event), a code and a reason.
rows in = accepted + rejected. Without leave the reading stops: the error counts them and shows
the first three. Order: by file as given, then by place in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN: Final = 3
VALUE_LENGTH: Final = 40

MENDS: Final = {
    "LG101": "Give every row a case id",
    "LG102": "Give every row an activity, or declare the column that holds it",
    "LG103": "Give every event a time",
    "LG104": "Declare the format that the column really has, or correct the value",
    "LG105": 'Declare the time zone: timezone = "Europe/Berlin" in the mapping, or --timezone',
    "LG106": 'Declare ambiguous = "earlier" or "later" under [time] in the mapping',
    "LG107": 'Declare nonexistent = "shift_forward" under [time], or check the declared zone',
    "LG108": "Add the value to the column's values in the mapping",
    "LG109": 'Correct the value, or declare type = "text" for the column in order_by',
    "LG110": "Quote cells that hold the delimiter or a line break; give every row all its cells",
    "LG111": "Double every quote inside a quoted cell",
    "LG120": "Write one JSON object a line",
    "LG121": "Rename or remove the key; further facts go into attributes",
    "LG122": "Keep one of the two",
    "LG123": "Every event needs case_id, activity and at",
    "LG124": "Write the value in the type of the schema",
    "LG125": "Write the file as UTF-8",
    "LG140": "Give the trace a concept:name",
    "LG141": "Give the event a concept:name",
    "LG142": "Keep one of the two attributes",
    "LG143": "Give every attribute a key and a value",
}


@dataclass(frozen=True)
class Reject:
    """One refused row; `number` sorts the rejects of a file."""

    file: str
    number: int
    place: str
    code: str
    reason: str


@dataclass(frozen=True)
class RejectList:
    """The rejects of one reading, in the order in which the readers found them."""

    rejects: list[Reject] = field(default_factory=list)

    def add(self, *, file: str, number: int, place: str, code: str, reason: str) -> None:
        """Note one refused row."""
        self.rejects.append(Reject(file, number, place, code, reason))

    def table(self) -> pa.Table:
        """Return the rejects as a table of `schema.REJECT_SCHEMA`, in order of file and place."""
        files = list(dict.fromkeys(reject.file for reject in self.rejects))
        ranked = sorted(self.rejects, key=lambda r: (files.index(r.file), r.number, r.code))
        rows = [
            {"file": r.file, "place": r.place, "code": r.code, "reason": r.reason} for r in ranked
        ]
        return pa.Table.from_pylist(rows, schema=s.REJECT_SCHEMA)


def shown(value: str) -> str:
    """Return a value of the user's data quoted, shortened, with control characters escaped."""
    cut = value if len(value) <= VALUE_LENGTH else value[:VALUE_LENGTH] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut) + "'"


def refuse(rejects: pa.Table, rows_in: int) -> None:
    """Raise RunError LG035, which counts the rejects and shows the first three with their mend."""
    first: Sequence[dict[str, str]] = rejects.slice(0, SHOWN).to_pylist()
    places = "; ".join(f"{r['file']} {r['place']}: {r['code']} {r['reason']}" for r in first)
    more = f"; and {rejects.num_rows - SHOWN:,} more" if rejects.num_rows > SHOWN else ""
    mends = ". ".join(dict.fromkeys(MENDS[r["code"]] for r in first))
    raise RunError(
        "LG035",
        f"{rejects.num_rows:,} of {rows_in:,} rows cannot be read: {places}{more}",
        why="an audit of the rest would not be an audit of the log",
        fix=f"{mends}. Or leave the rows out knowingly with --allow-rejects",
    )
