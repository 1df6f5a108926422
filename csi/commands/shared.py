"""What do all commands share? Their kinds of arguments, and how a result reaches the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_FILE = click.Path(path_type=Path)
OUT_DIR = click.Path(path_type=Path, file_okay=False)


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
