"""Which asks and answers does a surveys.csv hold, and which of its rows are refused?

The file: UTF-8, comma, RFC 4180 quoting; the columns of COLUMNS in any order and no others; times
ISO 8601 with a zone; an empty answered_at means that nobody answered. Every refused row is kept
with its line and reason; rows in = accepted + refused. Two rows for one ticket, time, channel and
scale are one ask: a repeated row is refused, rows that contradict each other are all refused.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from csi.feedback.scales import SCALES, BadScoreError
from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all
from process_mining.eventlog import SourceFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

COLUMNS: Final = ("ticket", "asked_at", "answered_at", "channel", "scale", "score", "comment")
SCALE: Final = "1-5"
RESPONSES: Final = pa.schema(
    [
        ("ticket", pa.string()),
        ("asked_at", s.UTC_US),
        ("answered_at", s.UTC_US),
        ("channel", pa.string()),
        ("scale", pa.string()),
        ("score", pa.int64()),
        ("comment", pa.string()),
    ]
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, eq=False)
class Feedback:
    """Asks and answers (see RESPONSES), by asked_at, ticket, channel; and what was refused."""

    responses: pa.Table
    rejects: pa.Table
    rows_in: int
    file: SourceFile


class _Row(NamedTuple):
    """An accepted row; times in µs UTC."""

    asked_at: int
    ticket: str
    channel: str
    answered_at: int | None
    scale: str
    score: int | None
    comment: str | None

    @property
    def ask(self) -> tuple[int, str, str, str]:
        """What makes an ask one ask."""
        return (self.asked_at, self.ticket, self.channel, self.scale)


class _Refused(Exception):  # noqa: N818 - a verdict on a row, never seen outside
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_surveys(path: Path, *, scales: Collection[str] = (SCALE,)) -> Feedback:
    """Read a surveys.csv whose scores stand on some of `scales` (names of `scales.SCALES`).

    Raises CodedError ST501 (unreadable), ST502 (header), ST503 (a scale that is not among them)
    and RunError ST504 (not UTF-8) and ST505 (broken quoting, as in a truncated file).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise CodedError("ST501", msg, fix="Give a surveys.csv") from error
    name, accepted, refused = path.name, [], []
    for line, cells in _lines(name, content):
        try:
            accepted.append((line, _row(name, line, cells, scales)))
        except _Refused as refusal:
            refused.append((line, refusal.code, str(refusal)))
    rows, twice = _distinct(accepted)
    rejects = [
        {"file": name, "place": f"line {line}", "code": code, "reason": reason}
        for line, code, reason in sorted(refused + twice)
    ]
    return Feedback(
        responses=_table(rows),
        rejects=pa.Table.from_pylist(rejects, schema=s.REJECT_SCHEMA),
        rows_in=len(rows) + len(rejects),
        file=SourceFile(name, hashlib.sha256(content).hexdigest(), len(content)),
    )


def _lines(name: str, content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's last line number and its cells by column; blank lines are no rows."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{name} is not UTF-8 at byte {error.start}"
        raise RunError("ST504", msg, fix="Export it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _require_header(name, header)
        for cells in reader:
            if cells:
                yield reader.line_num, _named(header, cells)
    except csv.Error as error:
        msg = f"{name}, line {reader.line_num}: {error}"
        why = "What stands after it cannot be told apart; the file may have been cut"
        raise RunError("ST505", msg, why=why, fix="Export it again") from error


def _require_header(name: str, header: Sequence[str]) -> None:
    """Demand every column once and no other; all mistakes at once."""
    missing = [column for column in COLUMNS if column not in header]
    strange = [column for column in header if column not in COLUMNS]
    twice = [column for column in COLUMNS if header.count(column) > 1]
    place = f"{name}, line 1"
    raise_all(
        [CodedError("ST502", f"{place}: column '{c}' is missing", fix="Add it") for c in missing]
        + [
            CodedError("ST502", f"{place}: unknown column '{c}'", fix=did_you_mean(c, COLUMNS))
            for c in strange
        ]
        + [CodedError("ST502", f"{place}: column '{c}' stands twice") for c in twice]
    )


def _named(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Name the cells; a row of the wrong length keeps only its length."""
    if len(cells) != len(header):
        return {"": f"{len(cells)} cells under {len(header)} columns"}
    return dict(zip(header, cells, strict=True))


def _row(name: str, line: int, cells: dict[str, str], scales: Collection[str]) -> _Row:
    """Check one row. Raises _Refused, or CodedError ST503 for a scale that is not supported."""
    if "" in cells:
        raise _Refused("ST510", cells[""])
    scale = cells["scale"]
    if scale not in scales:
        msg = f"{name}, line {line}: scale '{scale:.40}' is not supported"
        why = "Scores of two scales have no mean" if len(scales) == 1 else ""
        fix = f"Give {min(scales)}" if len(scales) == 1 else did_you_mean(scale, scales)
        raise CodedError("ST503", msg, why=why, fix=fix)
    if not cells["ticket"].strip():
        raise _Refused("ST511", "no ticket is named")
    asked = _moment(cells["asked_at"], "asked_at")
    answered = _moment(cells["answered_at"], "answered_at") if cells["answered_at"] else None
    if answered is not None and answered < asked:
        raise _Refused("ST513", "answered_at lies before asked_at")
    score = _score(cells["score"], scale, answered=answered is not None)
    ticket, channel, comment = cells["ticket"], cells["channel"], cells["comment"] or None
    return _Row(asked, ticket, channel, answered, cells["scale"], score, comment)


def _moment(text: str, column: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Refused("ST512", f"{column} '{text:.40}' is no ISO 8601 time with a zone")
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _score(text: str, scale: str, *, answered: bool) -> int | None:
    if answered != bool(text):
        said = "an answer without a score" if answered else "a score without answered_at"
        raise _Refused("ST514", said)
    if not text:
        return None
    try:
        return SCALES[scale].read(text)
    except BadScoreError as error:
        raise _Refused("ST515", str(error)) from error


def _distinct(
    accepted: Sequence[tuple[int, _Row]],
) -> tuple[list[_Row], list[tuple[int, str, str]]]:
    """Keep one row an ask, sorted; refuse repetitions, and all rows that contradict each other."""
    by_ask: dict[tuple[int, str, str, str], list[tuple[int, _Row]]] = defaultdict(list)
    for line, row in accepted:
        by_ask[row.ask].append((line, row))
    rows, refused = [], []
    for ask in sorted(by_ask):
        group = by_ask[ask]
        (first, row), *others = group
        if len({found for _, found in group}) > 1:
            others, reason = group, "other rows say otherwise about the same ask"
            refused += [(line, "ST517", reason) for line, _ in others]
            continue
        rows.append(row)
        refused += [(line, "ST516", f"repeats line {first}") for line, _ in others]
    return rows, refused


def _table(rows: Sequence[_Row]) -> pa.Table:
    columns = dict(zip(_Row._fields, zip(*rows, strict=True), strict=True)) if rows else {}
    arrays = [pa.array(columns.get(field.name, ()), field.type) for field in RESPONSES]
    return pa.table(arrays, schema=RESPONSES)
