"""Which log does an export of Jira hold?

Jira Software and Jira Service Management, Cloud (REST versions 2 and 3) and Server/Data Center:
answers of the REST interface with or apart from their changelogs, as they are or as Apache DevLake
keeps them (`answers`); tables of Fivetran, of DevLake's domain layer, and Jira's own CSV
(`tables`). All files of one call make one log (`story`): issues from one file, pages of
their changelogs from others, lookup tables for the names behind ids.

Service levels and satisfaction of JSM become attributes of the case (`levels`). Comments are
updates without their text. People are account ids or user names, never display names or addresses.

Not checked: whether a workflow allows a change; worklogs and attachments are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError
from process_mining.sources._files import first_line, head_of, looks_binary
from process_mining.sources._history import tool_mapping
from process_mining.sources._times import ISO, TimeReader, load_zone
from process_mining.sources.jira import answers, tables
from process_mining.sources.jira.export import Clock, Export
from process_mining.sources.jira.story import Story

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions

NAME: Final = "jira"


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is an answer of Jira's REST interface or one of the known tables."""
    if looks_binary(head):
        return False
    return _is_table(head) or answers.sniff_keys(head)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    mapping = tool_mapping(options)
    zone = options.timezone or mapping.time.timezone
    reader = TimeReader(
        pattern=ISO,
        zone=load_zone(zone) if zone else None,
        ambiguous=mapping.time.ambiguous,
        nonexistent=mapping.time.nonexistent,
    )
    export = Export(mapping=mapping, clock=Clock(reader))
    for path in paths:
        collect = tables.collect if _is_table(head_of(path)) else answers.collect
        collect(path, export)
    if not export.told:
        raise _nothing_told(paths)
    tables.tell_values(export)
    return Story(export).parts(zone or "UTC")


def _is_table(head: bytes) -> bool:
    return tables.delimiter_of(first_line(head)) is not None


def _nothing_told(paths: Sequence[Path]) -> CodedError:
    names = ", ".join(path.name for path in paths)
    return CodedError(
        "LG086",
        f"{names}: there is neither an issue nor a change in it",
        why="tables of statuses, fields, users or boards only give names to ids",
        fix="Give the issues and their changelogs in the same call",
    )
