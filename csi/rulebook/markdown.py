"""How does text that others wrote stand in a Markdown page, and stay text?

Whatever a rule file says, it starts no markup: inside a line every character that Markdown or HTML
reads as markup is escaped, and a block of text is fenced by more backticks than it holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MARKUP = re.compile(r"([\\`*_{}\[\]|~#!])")
_BACKTICKS = re.compile(r"`+")
SHORTEST_FENCE = 3


def inline(text: object) -> str:
    """Return a text that stands inside a line or the cell of a table."""
    return escaped(" ".join(str(text).split()))


def escaped(text: str) -> str:
    """Return a line of text in which nothing is markup."""
    marked = _MARKUP.sub(r"\\\1", text.replace("&", "&amp;"))
    return marked.replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Return a text as code inside a line; a pipe would part the cells of a table."""
    plain = " ".join(text.split())
    runs = [len(run) for run in _BACKTICKS.findall(plain)]
    tick = "`" * (max([0, *runs]) + 1)
    return f"{tick}{plain}{tick}" if not runs else f"{tick} {plain} {tick}"


def fenced(text: str) -> str:
    """Return a block of text that is shown as it is."""
    runs = [len(run) for run in _BACKTICKS.findall(text)]
    fence = "`" * max([SHORTEST_FENCE, *(run + 1 for run in runs)])
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells are Markdown already."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]
