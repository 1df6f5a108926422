"""What do the cases of a log hold under a name? Shared by the channels that read the log itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from csi.feedback.responses import Refusal, Response
from csi.feedback.scales import SCALES, BadScoreError
from process_mining import schema as s
from process_mining.sources._times import BadTimeError, TimeReader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    from process_mining.eventlog import EventLog

_ISO = TimeReader("iso", None)
TIMES = (s.OPENED, s.RESOLVED, s.CLOSED)


class BadCellError(Exception):
    """A cell that cannot be read: the code and the reason of its reject."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep both for the list of rejects."""
        super().__init__(reason)
        self.code, self.reason = code, reason


class Cases:
    """The cases of a log, read cell by cell."""

    def __init__(self, log: EventLog) -> None:
        """Begin at the first case."""
        self._log = log
        self.ids: list[str] = log.cases[s.CASE_ID].to_pylist()
        self._columns: dict[str, list[Any]] = {}

    def has(self, name: str) -> bool:
        """Whether the log has a column of cases of this name."""
        return name in self._log.cases.column_names

    def value(self, name: str, case: int) -> Any:  # noqa: ANN401 - of the column's own type
        """Return a cell, None where the log lacks the column."""
        if name not in self._columns:
            known = self.has(name)
            self._columns[name] = self._log.cases[name].to_pylist() if known else []
        cells = self._columns[name]
        return cells[case] if cells else None

    def moment(self, name: str | None, case: int) -> int | None:
        """Return a time in µs UTC: a time of the case, or an attribute in ISO 8601 with offset."""
        if name is None:
            return None
        value = self.value(name if name in TIMES else s.ATTRIBUTE_PREFIX + name, case)
        if value is None or isinstance(value, int):
            return value
        try:
            return _ISO.read(value).us
        except BadTimeError as error:
            raise BadCellError(error.code, error.reason) from error


def score_of(text: str | None, scale: str, missing: Collection[str] = ()) -> int | None:
    """Return a score on its scale, None where there is none; raises BadCellError."""
    if text is None or text == "" or text in missing:
        return None
    try:
        return SCALES[scale].read(text, noughts=True)
    except BadScoreError as error:
        raise BadCellError("ST515", f"{error} ({scale})") from error


@dataclass
class Collected:
    """The responses of a channel, and what was refused on the way, each at its case."""

    taken: list[Response] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def add(self, case: int, place: str, make: Callable[[], Response | None]) -> None:
        """Take what `make` returns, if anything; where a cell cannot be read, refuse it."""
        try:
            row = make()
        except BadCellError as error:
            self.refused.append(Refusal("log", case, place, error.code, error.reason))
        else:
            self.taken += [] if row is None else [row._replace(file="log", place=place)]
