"""Which rows were refused, where, why, and how is it mended?

A reject has the file, the place (line, row, or line with trace and event), a code and a reason.
rows in = accepted + rejected. Without leave the reading stops: the error counts them and shows
the first three. Order: by file as given, then by place in the file. A file with more than
`MAX_REJECTS` of them is not read to its end, with leave or without: each would be kept. E-mail
addresses, telephone numbers and IP addresses in the values that a reason quotes are masked, always:
reasons are printed and written before anybody could say that the contacts may be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.privacy import without_contacts

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN: Final = 3
WHY_REFUSED: Final = "an audit of the rest would not be an audit of the log"
LEAVE: Final = "--allow-rejects"
MAX_REJECTS: Final = 500_000
VALUE_LENGTH: Final = 40
LOOKED_AT: Final = 4_000

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
    "LG148": "Select nullif(column, 'infinity'), or the time that is meant",
    "LG149": "Store the text as UTF-8, or convert it in the query",
    "LG150": "Give every event an id of its own",
    "LG151": "Export the objects too, or correct the ids in the event",
    "LG152": "Build the event as OCEL 2.0 says",
    "LG153": "Give every event of table event one row in the table of its type",
    "LG154": "Keep one of the two attributes",
    "LG155": "Export the ticket table whole and with its sys_id, or the rows of its tickets only",
    "LG156": "Export the columns sys_id and number too",
    "LG158": "Export all columns of the table",
    "LG159": "Fetch the page again and keep the answers with a result",
    "LG160": "Export the issue with its id and its key",
    "LG161": "Give answers of Jira's REST interface only, the issues with their fields",
    "LG162": "Keep the address of the page (self) with it, or give the issue with its changelog",
    "LG163": "Export the changelog again; each entry has an id and a list of items with a field",
    "LG164": "Export the answer as the tool gives it",
    "LG166": "Give every record as the object that the tool's API answers",
    "LG167": "Export the records with the id of their ticket",
    "LG168": "Export the records again, as the tool writes them",
    "LG169": "Export the ids as text: a spreadsheet rounds long numbers",
    "LG170": "Give events with their issue, or with the address that they came from",
}


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row; `number` sorts the rejects of a file."""

    file: str
    number: int
    place: str
    code: str
    reason: str
    case_id: str | None = None


@dataclass(frozen=True)
class RejectList:
    """The rejects of one reading, in the order in which the readers found them."""

    rejects: list[Reject] = field(default_factory=list)

    def add(  # noqa: PLR0913 - what a reject says
        self,
        *,
        file: str,
        number: int,
        place: str,
        code: str,
        reason: str,
        case_id: str | None = None,
    ) -> None:
        """Note one refused row, of a case if that is known.

        RunError LG067 where they are so many that it is no log.
        """
        self.rejects.append(Reject(file, number, place, code, reason, case_id))
        if len(self.rejects) > MAX_REJECTS:
            msg = f"{file} has more than {MAX_REJECTS:,} rows that cannot be read, the last {place}"
            raise RunError("LG067", f"{msg}: {code} {without_contacts(reason)}", fix=MENDS[code])

    def cases(self) -> tuple[str, ...] | None:
        """Return the ids of the cases that lost rows, None where one may be of any case."""
        ids = {reject.case_id for reject in self.rejects}
        return None if None in ids else tuple(sorted(one for one in ids if one is not None))

    def table(self) -> pa.Table:
        """Return the rejects as a table of `schema.REJECT_SCHEMA`, in order of file and place."""
        files = list(dict.fromkeys(reject.file for reject in self.rejects))
        ranked = sorted(self.rejects, key=lambda r: (files.index(r.file), r.number, r.code))
        reasons = {reason: without_contacts(reason) for reason in {r.reason for r in ranked}}
        rows = [
            {"file": r.file, "place": r.place, "code": r.code, "reason": reasons[r.reason]}
            for r in ranked
        ]
        return pa.Table.from_pylist(rows, schema=s.REJECT_SCHEMA)


def shown(value: str) -> str:
    """Return a value of the user's data quoted, shortened, with control characters escaped.

    Addresses are masked before it is cut, for half an address could not be recognised.
    """
    value = without_contacts(value[:LOOKED_AT])
    cut = value if len(value) <= VALUE_LENGTH else value[:VALUE_LENGTH] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut) + "'"


def refuse(rejects: pa.Table, rows_in: int, *, nothing_left: bool = False) -> None:
    """Raise RunError LG035, which counts the rejects and shows the first three with their mend."""
    first: Sequence[dict[str, str]] = rejects.slice(0, SHOWN).to_pylist()
    places = "; ".join(f"{r['file']} {r['place']}: {r['code']} {r['reason']}" for r in first)
    more = f"; and {rejects.num_rows - SHOWN:,} more" if rejects.num_rows > SHOWN else ""
    mends = ". ".join(dict.fromkeys(MENDS[r["code"]] for r in first))
    raise RunError(
        "LG035",
        f"{rejects.num_rows:,} of {rows_in:,} rows cannot be read: {places}{more}",
        why="no event is left" if nothing_left else WHY_REFUSED,
        fix=mends if nothing_left else f"{mends}. Or leave the rows out knowingly with {LEAVE}",
    )
