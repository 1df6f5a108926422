"""What do the cases of a log hold under a name? Shared by the channels that read the log itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csi.feedback.responses import Refusal
from csi.feedback.scales import SCALES, BadScoreError
from process_mining import schema as s
from process_mining.sources._times import BadTimeError, TimeReader

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from process_mining.eventlog import EventLog

_ISO = TimeReader("iso", None)
TIMES = (s.OPENED, s.RESOLVED, s.CLOSED)


class Cases:
    """The cases of a log, read cell by cell; what cannot be read is refused with its case."""

    def __init__(self, log: EventLog) -> None:
        """Begin at the first case."""
        self._log = log
        self.ids: list[str] = log.cases[s.CASE_ID].to_pylist()
        self.refused: dict[int, Refusal] = {}
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
            self.refuse(case, error.code, error.reason)
            return None

    def score(
        self, text: str | None, scale: str, case: int, missing: Collection[str]
    ) -> int | None:
        """Return a score on its scale, None where there is none or it is refused."""
        if text is None or text == "" or text in missing:
            return None
        try:
            return SCALES[scale].read(text, noughts=True)
        except BadScoreError as error:
            self.refuse(case, "ST515", f"{error} ({scale})")
            return None

    def refuse(self, case: int, code: str, reason: str) -> None:
        """Note why the answer of a case is refused."""
        place = f"case {self.ids[case]}"
        self.refused.setdefault(case, Refusal("log", case, place, code, reason))
