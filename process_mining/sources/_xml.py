"""What is wrong with an XML text, and on which line? For every reader that feeds expat.

A DOCTYPE is refused wherever it stands: it could declare entities that read files or fill the
memory, and no log format has one. What expat complains of at the end of the input is a text that
was cut.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from process_mining.errors import RunError

_JUNK: Final = frozenset({9, 17})  # expat: content after the root, a second XML declaration


def doctype(name: str, line: int) -> RunError:
    """LG070, for a file that holds a DOCTYPE."""
    return RunError(
        "LG070",
        f"{name} line {line} holds a DOCTYPE",
        why="it could declare entities that read files or fill the memory; a log has none",
        fix="Remove the DOCTYPE",
    )


def malformed(
    error: expat.ExpatError, name: str, *, last: bool, closed: bool, skipped: int = 0
) -> RunError:
    """LG071 (cut), LG074 (something after the log) or LG072, with the place in the file.

    `last` says that the input had ended, `closed` that the root had; `skipped` counts the lines
    before this place that expat has not seen.
    """
    line = error.lineno + skipped
    where = f"{name} line {line}, column {error.offset + 1}"
    if last:
        msg = f"{name} ends in the middle of the log (line {line})"
        fix = "Copy or export it again"
        return RunError("LG071", msg, why="the log would be cut", fix=fix)
    if closed and error.code in _JUNK:
        msg = f"{where}: something follows after the end of the log"
        return RunError("LG074", msg, fix="Keep one log in a file")
    reason = expat.errors.messages.get(error.code, "") and expat.ErrorString(error.code)
    fix = "Mend the XML; if letters are at fault, declare the encoding in its first line"
    return RunError("LG072", f"{where}: no well-formed XML ({reason})", fix=fix)
