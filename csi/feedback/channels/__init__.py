"""Over which channels do answers come? One file of this folder each, found by its place.

A channel of files has NAME, TITLE, NEEDS (columns that its declaration must name) and
`read(path, form)`. A channel of the log has NAME, TITLE and `read_log(log, forms)`, which gives
None where the log holds nothing of it. Names that begin with "_" are shared parts.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from csi.feedback.declared import LogForm, SurveyForm
    from csi.feedback.responses import Reading
    from process_mining.eventlog import EventLog


class FileChannel(Protocol):
    """Reads one survey file."""

    NAME: str
    TITLE: str
    NEEDS: tuple[str, ...]

    def read(self, path: Path, form: SurveyForm) -> Reading:
        """Read the file by its declaration."""


class LogChannel(Protocol):
    """Reads what cases of a log hold."""

    NAME: str
    TITLE: str

    def read_log(self, log: EventLog, forms: Sequence[LogForm]) -> Reading | None:
        """Read the cases; None where they hold nothing of this channel."""


@cache
def file_channels() -> dict[str, FileChannel]:
    """Return the channels of files by name."""
    found = [m for m in _modules() if hasattr(m, "read")]
    return {one.NAME: one for one in cast("list[FileChannel]", found)}


@cache
def log_channels() -> dict[str, LogChannel]:
    """Return the channels of the log by name."""
    found = [m for m in _modules() if hasattr(m, "read_log")]
    return {one.NAME: one for one in cast("list[LogChannel]", found)}


def _modules() -> list[object]:
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return [import_module(f"{__name__}.{name}") for name in names]
