"""How satisfied are the customers who answered, and what do we not know about the others?

A survey row is one *ask*: a ticket, when and over which channel its customer was asked, and the
answer if there was one. Definitions, on the scale 1-5:

    response rate   answered / asked
    CSAT mean       mean score of the answers
    satisfied       share of the answers that are 4 or 5

Shares carry Wilson score intervals, the mean a seeded percentile bootstrap over tickets (several
answers to one ticket are drawn together), all at 95 %; where every answer is the same the data do
not show how scores vary and the mean has no limits. An interval speaks about chance alone.
Customers who do not answer may think otherwise, so each figure also comes with the *bounds* that
it would have if all who did not answer had given the lowest, or all the highest, score (Manski
1989, Journal of Human Resources 24, 343-360): no assumption about them is made.

An ask belongs to the window in which it was asked ([start, end), µs UTC), however late the answer.
Segments with fewer than 5 answers show their counts and no scores.

The file, surveys.csv: UTF-8, comma, RFC 4180 quoting; the columns of COLUMNS in any order and no
others; times ISO 8601 with a zone; an empty answered_at means that nobody answered. Every refused
row is kept with its line and reason; rows in = accepted + refused. Two rows for one ticket, time
and channel are one ask: a repeated row is refused, rows that contradict each other are all refused.

What it does not check: who was asked (a desk that asks only happy customers looks good); that an
answer may still come for asks near the end of the window; NPS and CES scales.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.statistics import Estimate, mean, proportion
from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all
from process_mining.eventlog import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from process_mining.eventlog import EventLog, Ints

COLUMNS: Final = ("ticket", "asked_at", "answered_at", "channel", "scale", "score", "comment")
SCALE: Final = "1-5"
LOWEST: Final = 1
HIGHEST: Final = 5
SATISFIED_FROM: Final = 4
SMALLEST_GROUP: Final = 5
SEED: Final = 20_250_101
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
_WHOLE: Final = re.compile(r"[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, eq=False)
class Feedback:
    """Asks and answers (see RESPONSES), by asked_at, ticket, channel; and what was refused."""

    responses: pa.Table
    rejects: pa.Table
    rows_in: int
    file: SourceFile


@dataclass(frozen=True, eq=False)
class JoinedFeedback:
    """Asks whose ticket is in the log, with the columns of its case; and what did not join.

    `unmatched` holds the asks (as in RESPONSES) whose ticket the log does not have; `never_asked`
    counts the cases, of those about which somebody should be asked, that nobody was asked about.
    """

    responses: pa.Table
    unmatched: pa.Table
    never_asked: int


@dataclass(frozen=True)
class Bounds:
    """What a figure would be had all who did not answer given the lowest, or the highest, score."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class Satisfaction:
    """The figures of one window and segment; `suppressed` where too few answered to show scores."""

    segment: str | None
    window: tuple[int, int] | None
    asked: int
    answered: int
    response_rate: Estimate
    csat: Estimate
    csat_bounds: Bounds
    satisfied: Estimate
    satisfied_bounds: Bounds
    suppressed: bool = False


# --- reading


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
    def ask(self) -> tuple[int, str, str]:
        """What makes an ask one ask."""
        return self[:3]


class _Refused(Exception):  # noqa: N818 - a verdict on a row, never seen outside
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_surveys(path: Path) -> Feedback:
    """Read a surveys.csv.

    Raises CodedError ST501 (unreadable), ST502 (header), ST503 (a scale other than 1-5) and
    RunError ST504 (not UTF-8) and ST505 (broken quoting, as in a truncated file).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise CodedError("ST501", msg, fix="Give a surveys.csv") from error
    name, accepted, refused = path.name, [], []
    for line, cells in _lines(name, content):
        try:
            accepted.append((line, _row(name, line, cells)))
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


def _row(name: str, line: int, cells: dict[str, str]) -> _Row:
    """Check one row. Raises _Refused, or CodedError ST503 for a scale that is not supported."""
    if "" in cells:
        raise _Refused("ST510", cells[""])
    if cells["scale"] != SCALE:
        msg = f"{name}, line {line}: scale '{cells['scale']:.40}' is not supported"
        raise CodedError("ST503", msg, why="Scores of two scales have no mean", fix="Give 1-5")
    if not cells["ticket"].strip():
        raise _Refused("ST511", "no ticket is named")
    asked = _moment(cells["asked_at"], "asked_at")
    answered = _moment(cells["answered_at"], "answered_at") if cells["answered_at"] else None
    if answered is not None and answered < asked:
        raise _Refused("ST513", "answered_at lies before asked_at")
    score = _score(cells["score"], answered=answered is not None)
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


def _score(text: str, *, answered: bool) -> int | None:
    if answered != bool(text):
        said = "an answer without a score" if answered else "a score without answered_at"
        raise _Refused("ST514", said)
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or not LOWEST <= int(text) <= HIGHEST:
        raise _Refused("ST515", f"score '{text:.40}' is no whole number from 1 to 5")
    return int(text)


def _distinct(
    accepted: Sequence[tuple[int, _Row]],
) -> tuple[list[_Row], list[tuple[int, str, str]]]:
    """Keep one row an ask, sorted; refuse repetitions, and all rows that contradict each other."""
    by_ask: dict[tuple[int, str, str], list[tuple[int, _Row]]] = defaultdict(list)
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


# --- joining


def join(
    feedback: Feedback, log: EventLog, *, eligible: npt.NDArray[np.bool_] | None = None
) -> JoinedFeedback:
    """Put the columns of each ask's case beside it; count what stays alone on either side.

    `eligible` tells for each case of the log whether somebody should have been asked about it
    (tickets that are open, or of a practice that asks nobody, are not): None means every case.
    """
    responses, cases = feedback.responses, log.cases
    index = pc.index_in(responses["ticket"], value_set=cases[s.CASE_ID].combine_chunks())
    found = index.is_valid()
    matched, rows = responses.filter(found), index.filter(found)
    for name in cases.column_names:
        if name not in (s.CASE_ID, *responses.column_names):
            matched = matched.append_column(name, cases[name].take(rows))
    alone = np.ones(log.n_cases, dtype=bool) if eligible is None else eligible.copy()
    alone[rows.to_numpy()] = False
    return JoinedFeedback(
        responses=matched.combine_chunks(),
        unmatched=responses.filter(pc.invert(found)).combine_chunks(),
        never_asked=int(np.count_nonzero(alone)),
    )


# --- summing up


def summarise(
    responses: pa.Table,
    *,
    window: tuple[int, int] | None = None,
    segment: str | None = None,
    seed: int = SEED,
) -> tuple[Satisfaction, ...]:
    """Sum up asks and answers: one Satisfaction, or one for each value of the column `segment`.

    Segments are sorted by value; asks whose value is missing come last, with segment None. Raises
    CodedError ST520 for an unknown column.
    """
    asks = _within(responses, window)
    if segment is None:
        return (_satisfaction(asks, None, window, seed),)
    if segment not in asks.column_names:
        msg = f"unknown segment '{segment}'"
        raise CodedError("ST520", msg, fix=did_you_mean(segment, asks.column_names))
    column = asks[segment].cast(pa.string())
    values = sorted(Counter(column.drop_null().to_pylist()))
    parts = [(value, asks.filter(pc.equal(column, value))) for value in values]
    if column.null_count:
        parts.append((None, asks.filter(column.is_null())))
    return tuple(_suppressed(_satisfaction(part, value, window, seed)) for value, part in parts)


def _within(responses: pa.Table, window: tuple[int, int] | None) -> pa.Table:
    if window is None:
        return responses
    start, end = (pa.scalar(moment, pa.int64()).cast(s.UTC_US) for moment in window)
    asked = responses["asked_at"]
    return responses.filter(pc.and_(pc.greater_equal(asked, start), pc.less(asked, end)))


def _satisfaction(
    asks: pa.Table, segment: str | None, window: tuple[int, int] | None, seed: int
) -> Satisfaction:
    answers = asks.filter(asks["score"].is_valid())
    asked, answered = asks.num_rows, answers.num_rows
    scores = np.asarray(answers["score"].to_numpy(), np.int64)
    total, happy = int(scores.sum()), int((scores >= SATISFIED_FROM).sum())
    silent = asked - answered
    return Satisfaction(
        segment=segment,
        window=window,
        asked=asked,
        answered=answered,
        response_rate=proportion(answered, asked, unit="share of asks"),
        csat=_csat(answers, scores, seed),
        csat_bounds=_bounds(total + LOWEST * silent, total + HIGHEST * silent, asked),
        satisfied=proportion(happy, answered, unit="share of answers"),
        satisfied_bounds=_bounds(happy, happy + silent, asked),
    )


def _bounds(low: int, high: int, n: int) -> Bounds:
    return Bounds(low / n, high / n) if n else Bounds(None, None)


def _csat(answers: pa.Table, scores: Ints, seed: int) -> Estimate:
    """Mean score; tickets are drawn as a whole where one of them has several answers."""
    tickets = answers["ticket"].combine_chunks().dictionary_encode()
    several = len(tickets.dictionary) < len(scores)
    clusters = np.asarray(answers["ticket"].to_pylist()) if several else None
    found = mean(scores, unit="score 1-5", seed=seed, clusters=clusters)
    if len(scores) and scores.min() == scores.max():
        return replace(found, low=None, high=None, method="mean; no interval: all scores are equal")
    return found


def _suppressed(one: Satisfaction) -> Satisfaction:
    """Blank the scores of a segment in which fewer than SMALLEST_GROUP customers answered."""
    if one.answered >= SMALLEST_GROUP:
        return one
    return replace(
        one,
        csat=_blank(one.csat),
        csat_bounds=Bounds(None, None),
        satisfied=_blank(one.satisfied),
        satisfied_bounds=Bounds(None, None),
        suppressed=True,
    )


def _blank(one: Estimate) -> Estimate:
    method = f"suppressed: fewer than {SMALLEST_GROUP} answers"
    return replace(one, value=None, low=None, high=None, method=method)
