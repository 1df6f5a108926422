"""Which events does a file of our own schema hold?

One JSON object a line (UTF-8, RFC 8259), the keys in any order:

    case_id, activity, at        required; `at` is ISO 8601 with an offset
    seq                          whole number, the order among events of one time
    practice, actor, team        text or null; an empty text names nobody
    attributes                   object of texts, numbers, true, false or null, kept as text;
                                 `priority` among them is the case's priority after the event

Strict, because a misspelt key loses data in silence: unknown keys, keys that stand twice, times
without offset, lone surrogates and NUL characters make the line a reject. A last line that is cut
stops the reading. Blank lines are no rows. Numbers in attributes keep their own digits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError, did_you_mean
from process_mining.eventlog import POSITION
from process_mining.sources import Parts, refuse_mapping
from process_mining.sources._files import first_line, looks_binary, open_bytes
from process_mining.sources._json import BadJsonError, Number, outline, parse_json
from process_mining.sources._rejects import RejectList, shown
from process_mining.sources._table import TableBuilder
from process_mining.sources._times import ISO, BadTimeError, TimeReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from process_mining.sources import ReadOptions

NAME: Final = "ndjson"
MAX_LINE: Final = 16 << 20
TYPES: Final = {s.AT: pa.int64(), POSITION: pa.int64()}
ATTRIBUTES: Final = "attributes"
REQUIRED: Final = (s.CASE_ID, s.ACTIVITY, s.AT)
OPTIONAL: Final = {
    s.ACTOR: s.ACTOR,
    s.TEAM: s.TEAM,
    s.PRACTICE: s.CASE_PREFIX + s.PRACTICE,
}
KEYS: Final = frozenset({*REQUIRED, *OPTIONAL, s.SEQ, ATTRIBUTES})
_MARK: Final = b"\xef\xbb\xbf"


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether the first line is an object with keys of our schema."""
    if looks_binary(head):
        return False
    return bool(outline(first_line(head)) & frozenset(REQUIRED))


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    refuse_mapping(options, NAME)
    rejects, rows_in = RejectList(), 0
    tables = []
    instant = lru_cache(maxsize=1 << 16)(TimeReader(pattern=ISO, zone=None).read)
    for path in paths:
        table = TableBuilder(types=TYPES, place=path.name)
        for number, line, whole in _lines(path):
            rows_in += 1
            try:
                table.add(_cells(line, lambda text: instant(text).us))
            except (BadJsonError, BadTimeError) as error:
                _check_cut(error.code, whole, path, number)
                place = f"line {number}"
                rejects.add(
                    file=path.name, number=number, place=place, code=error.code, reason=error.reason
                )
        tables.append(table.table())
    return Parts(
        events=pa.concat_tables(tables, promote_options="default"),
        cases=None,
        rows_in=rows_in,
        rejects=rejects.table(),
        timezone="UTC",
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Yield number, bytes and whether a line break ends it, for each line that is not blank."""
    number = 0
    with open_bytes(path) as stream:
        while line := stream.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                msg = f"{path.name} line {number} is longer than {MAX_LINE >> 20} MiB"
                raise RunError("LG061", msg, fix="Write one event a line")
            text = line.removeprefix(_MARK) if number == 1 else line
            if text.strip():
                yield number, text, line.endswith(b"\n")


def _check_cut(code: str, whole: bool, path: Path, number: int) -> None:  # noqa: FBT001 - a fact of the line
    if code in {"LG120", "LG125"} and not whole:
        msg = f"{path.name} ends in the middle of line {number}"
        raise RunError("LG060", msg, why="the log would be cut", fix="Copy or export it again")


def _cells(line: bytes, instant: Callable[[str], int]) -> dict[str, str | int | None]:
    """Return the row's cells; raise BadJsonError or BadTimeError."""
    event = _parsed(line)
    _check_keys(event)
    cells: dict[str, str | int | None] = {
        s.CASE_ID: _needed(event, s.CASE_ID),
        s.ACTIVITY: _needed(event, s.ACTIVITY),
        s.AT: instant(_needed(event, s.AT)),
    }
    for key, column in OPTIONAL.items():
        cells[column] = _text(event, key) or None
    cells[POSITION] = _whole(event.get(s.SEQ))
    attributes = event.get(ATTRIBUTES) or {}
    if not isinstance(attributes, dict):
        raise BadJsonError("LG124", "attributes is no object")
    for key, value in attributes.items():
        cells[s.ATTRIBUTE_PREFIX + key] = _attribute(key, value)
    return cells


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        event = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        msg = f"byte {error.start + 1} of the line is no UTF-8"
        raise BadJsonError("LG125", msg) from error
    if not isinstance(event, dict):
        raise BadJsonError("LG120", "is no JSON object")
    return event


def _check_keys(event: dict[str, Any]) -> None:
    unknown = sorted(event.keys() - KEYS)
    if unknown:
        mean = did_you_mean(unknown[0], KEYS - event.keys() or KEYS)
        raise BadJsonError("LG121", f"unknown key {shown(unknown[0])}. {mean}".rstrip("."))


def _needed(event: dict[str, Any], key: str) -> str:
    value = _text(event, key)
    if not value:
        raise BadJsonError("LG123", f"has no {key}")
    return value


def _text(event: dict[str, Any], key: str) -> str | None:
    value = event.get(key)
    if value is None or (isinstance(value, str) and not isinstance(value, Number)):
        return value
    raise BadJsonError("LG124", f"{key} is no text")


def _whole(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 63:
        raise BadJsonError("LG124", "seq is no whole number of 64 bits")
    return value


def _attribute(key: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value)
    raise BadJsonError("LG124", f"attribute {shown(key)} holds a list or an object")
