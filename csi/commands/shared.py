"""What do all commands share? Their kinds of arguments, and how a result reaches the terminal."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_FILE = click.Path(path_type=Path)
OUT_DIR = click.Path(path_type=Path, file_okay=False)
SEVERITIES = click.Choice(["low", "medium", "high", "critical"])
OLDEST_YEAR, NEWEST_YEAR = 1970, 2199


def printable(text: str) -> str:
    """Replace control characters (but line ends): text from tickets must not drive a terminal."""
    return "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def on_lines(lines: Sequence[str]) -> str:
    """Put lines under each other; a line end inside one of them is text and starts no line."""
    return "\n".join(printable(line.replace("\n", " ")) for line in lines)


def echo_result(value: object, lines: Sequence[str], *, as_json: bool) -> None:
    """Print a result for people, or as JSON."""
    from csi.outputs import to_json

    click.echo(to_json(value) if as_json else on_lines(lines), nl=not as_json)


def moment(_: click.Context, option: click.Parameter, value: str | None) -> dt.datetime | None:
    """Read an ISO date (its midnight, UTC) or an ISO time with a zone."""
    if value is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except (ValueError, OverflowError) as error:
        msg = f"'{value}' is not an ISO date such as 2025-06-30 or 2025-06-30T18:00:00+02:00"
        raise click.BadParameter(msg, param=option) from error
    if moment.tzinfo is None and len(value) > len("2025-06-30"):
        msg = f"'{value}' has no zone; write it as {value}Z or with an offset"
        raise click.BadParameter(msg, param=option)
    if not OLDEST_YEAR <= moment.year <= NEWEST_YEAR:
        msg = f"'{value}' is outside the years {OLDEST_YEAR} to {NEWEST_YEAR}"
        raise click.BadParameter(msg, param=option)
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
