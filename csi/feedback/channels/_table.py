"""Which responses does a survey file hold, read by what the desk declares of it?

Strict: RFC 4180, the declared encoding, delimiter, scale, zone and time format. Every row becomes a
response or a reject with its line and reason: no ticket (ST511), a time that cannot be read (LG104
to LG107), an answer before its ask (ST513), a score that is not on its scale (ST515), a score with
no time of answer although the file has such a column (ST514), a word that the declaration does not
translate (ST541). A time of answer without a score is an answer that left this question out: it
stays, and counts as no score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from csi.feedback.responses import Reading, Refusal, Response, reading
from csi.feedback.scales import SCALES, BadScoreError
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources._csv import header_of, records
from process_mining.sources._files import check_file, fingerprint
from process_mining.sources._rejects import shown
from process_mining.sources._times import BadTimeError, TimeReader, date_only, load_zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from csi.feedback.declared import SurveyForm
    from process_mining.sources._mapping import Text, Time

YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class _Refused(Exception):  # noqa: N818 - a verdict on a row, never seen outside
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_table(path: Path, form: SurveyForm, channel: str, *, at_once: bool = False) -> Reading:
    """Read a file as one channel; `at_once`: an answer is given when it is asked for.

    Raises CodedError ST537 for columns that the file lacks or has twice, LG0xx where it cannot be
    read at all.
    """
    check_file(path)
    delimiter, encoding = form.csv.delimiter, form.csv.encoding
    header = header_of(path, delimiter=delimiter, encoding=encoding)
    require_columns(path.name, header, form)
    rows = _Rows(form, path.name, channel, at_once=at_once)
    taken, refused = [], []
    lines = records(path, delimiter=delimiter, encoding=encoding, width=len(header))
    next(lines)
    for record in lines:
        place = f"line {record.line}"
        if record.problem is not None:
            refused.append(Refusal(path.name, record.line, place, *record.problem))
            continue
        try:
            taken.append(rows.read(dict(zip(header, record.cells, strict=True)), place))
        except _Refused as refusal:
            refused.append(Refusal(path.name, record.line, place, refusal.code, str(refusal)))
    return reading(channel, taken, refused, files=(fingerprint(path),), notes=rows.notes(taken))


def require_columns(name: str, header: Sequence[str], form: SurveyForm) -> None:
    """Demand every column that the declaration names, once; all mistakes at once."""
    errors = []
    for column in sorted(form.named()):
        if header.count(column) > 1:
            errors.append(CodedError("ST537", f"{name}: column '{column}' stands twice"))
        elif column not in header:
            msg = f"{name} has no column '{column}'"
            errors.append(CodedError("ST537", msg, fix=did_you_mean(column, header)))
    raise_all(errors)


@dataclass
class _Rows:
    """Turns the cells of a row into a response."""

    form: SurveyForm
    file: str
    channel: str
    at_once: bool

    def __post_init__(self) -> None:
        columns, missing = self.form.columns, {"", *self.form.csv.missing}
        self._missing = missing
        self._asked = self._reader(columns.asked_at)
        self._answered = self._reader(columns.answered_at)

    def _reader(self, time: Time | None) -> TimeReader | None:
        if time is None:
            return None
        declared = self.form.time
        zone = None if declared.timezone is None else load_zone(declared.timezone)
        pattern = self.form.format_of(time)
        return TimeReader(pattern or "", zone, declared.ambiguous, declared.nonexistent)

    def read(self, cells: dict[str, str], place: str) -> Response:
        """Return the response of a row; raises _Refused."""
        columns = self.form.columns
        ticket = self._cell(cells, columns.ticket)
        if ticket is None:
            raise _Refused("ST511", "no ticket is named")
        asked = self._moment(cells, columns.asked_at, self._asked)
        answered = self._moment(cells, columns.answered_at, self._answered)
        scale = self._text(cells, self.form.scale)
        if scale not in SCALES:
            raise _Refused("ST541", f"scale {shown(scale or '')} is not known")
        score = self._score(cells, scale)
        if score is not None and answered is None:
            if self.at_once:
                answered = asked
            elif columns.answered_at is not None:
                raise _Refused("ST514", "a score without a time of answer")
        if asked is not None and answered is not None and answered < asked:
            raise _Refused("ST513", "it was answered before it was asked")
        return Response(
            ticket=ticket,
            asked_at=asked,
            answered_at=answered,
            channel=self.channel,
            scale=scale,
            score=score,
            comment=self._cell(cells, columns.comment),
            respondent=self._cell(cells, columns.respondent),
            self_rated=self._yes(cells, columns.self_rated),
            delivered=self._yes(cells, columns.delivered) is not False,
            ask_known=self.form.asks_known,
            file=self.file,
            place=place,
        )

    def notes(self, taken: Sequence[Response]) -> list[str]:
        """Say what a reader of the figures should know of the file."""
        found = []
        times = (self.form.columns.asked_at, self.form.columns.answered_at)
        if any(date_only(self.form.format_of(t) or "") for t in times if t is not None):
            found.append(f"{self.file}: its times are dates, read as midnight")
        blank = sum(row.score is None and row.answered_at is not None for row in taken)
        if blank:
            found.append(f"{self.file}: {blank} answers left the score out; they count as no score")
        if not self.form.asks_known:
            found.append(f"{self.file}: lists answers only, so its response rate is not known")
        return found

    def _cell(self, cells: dict[str, str], column: str | None) -> str | None:
        text = "" if column is None else cells[column].strip()
        return None if text in self._missing else text

    def _text(self, cells: dict[str, str], field: Text) -> str | None:
        if field.constant is not None:
            return field.constant
        text = self._cell(cells, field.column)
        if text is None or field.values is None:
            return text
        if text not in field.values:
            msg = f"{shown(text)} in column '{field.column}' is not among its declared values"
            raise _Refused("ST541", msg)
        return field.values[text]

    def _moment(
        self, cells: dict[str, str], time: Time | None, reader: TimeReader | None
    ) -> int | None:
        text = None if time is None else self._cell(cells, time.column)
        if text is None or reader is None:
            return None
        try:
            return reader.read(text).us
        except BadTimeError as error:
            raise _Refused(error.code, error.reason) from error

    def _score(self, cells: dict[str, str], scale: str) -> int | None:
        text = self._text(cells, self.form.columns.score)
        try:
            return None if text is None else SCALES[scale].read(text, noughts=True)
        except BadScoreError as error:
            raise _Refused("ST515", f"{error} ({scale})") from error

    def _yes(self, cells: dict[str, str], field: Text | None) -> bool | None:
        text = None if field is None else self._text(cells, field)
        if text is None:
            return None
        if text.lower() not in YES_NO:
            raise _Refused("ST541", f"{shown(text)} is neither yes nor no")
        return YES_NO[text.lower()]
