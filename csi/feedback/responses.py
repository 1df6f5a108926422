"""What is a response, whatever channel it came over?

One row is one ask about one ticket on one scale, with the answer if there was one. Times are µs
UTC; they are null where the channel does not tell them, and are never filled in. An ask is answered
where it has a score.

    ticket       as the channel writes it
    asked_at, answered_at
    channel      web, email, telephone, ... or the word that a surveys.csv has
    scale        a name of `scales.SCALES`;  score: a whole number on it, null where nobody answered
    comment      the customer's words, addresses masked (`privacy.without_contacts`)
    respondent   who answered, as the channel names him: a name or a pseudonym
    self_rated   the channel says that somebody of the desk answered; null where it does not say
    delivered    false where the ask did not reach anybody (a bounced mail, a cancelled survey)
    ask_known    whether the channel lists asks without an answer too; where it does not, no
                 response rate can be known
    file, place  where it stands, for the reader who looks it up
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from csi.feedback.surveys import RESPONSES
from process_mining import schema as s
from process_mining.privacy import without_contacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.eventlog import SourceFile

CANONICAL: Final = pa.schema(
    [
        *RESPONSES,
        ("respondent", pa.string()),
        ("self_rated", pa.bool_()),
        ("delivered", pa.bool_()),
        ("ask_known", pa.bool_()),
        ("file", pa.string()),
        ("place", pa.string()),
    ]
)


class Response(NamedTuple):
    """One row of CANONICAL; times in µs UTC."""

    ticket: str
    asked_at: int | None
    answered_at: int | None
    channel: str
    scale: str
    score: int | None
    comment: str | None = None
    respondent: str | None = None
    self_rated: bool | None = None
    delivered: bool = True
    ask_known: bool = True
    file: str = ""
    place: str = ""


class Refusal(NamedTuple):
    """One refused row, as `schema.REJECT_SCHEMA` keeps it; `number` sorts those of a file."""

    file: str
    number: int
    place: str
    code: str
    reason: str


@dataclass(frozen=True, eq=False)
class Reading:
    """What one channel gave: rows_in = rows of `responses` + rows of `rejects`.

    `notes` say in words what the reader saw and what it could not know.
    """

    channel: str
    responses: pa.Table
    rejects: pa.Table
    rows_in: int
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()


def reading(
    channel: str,
    responses: Sequence[Response],
    refused: Sequence[Refusal] = (),
    *,
    files: tuple[SourceFile, ...] = (),
    notes: Sequence[str] = (),
) -> Reading:
    """Put a channel's rows together; reasons of rejects have their addresses masked."""
    rows = [
        {"file": r.file, "place": r.place, "code": r.code, "reason": without_contacts(r.reason)}
        for r in sorted(refused, key=lambda r: (r.file, r.number, r.code))
    ]
    return Reading(
        channel=channel,
        responses=table_of(responses),
        rejects=pa.Table.from_pylist(rows, schema=s.REJECT_SCHEMA),
        rows_in=len(responses) + len(refused),
        files=files,
        notes=tuple(notes),
    )


def table_of(responses: Sequence[Response]) -> pa.Table:
    """Return responses as a table of CANONICAL, comments without addresses."""
    columns = list(zip(*responses, strict=True)) or [()] * len(CANONICAL)
    columns[Response._fields.index("comment")] = tuple(
        None if text is None else without_contacts(text)
        for text in columns[Response._fields.index("comment")]
    )
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, CANONICAL, strict=True)]
    return pa.table(arrays, schema=CANONICAL)
