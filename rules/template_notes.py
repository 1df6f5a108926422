"""What does a template's module say of itself?

A module opens with a head-note: its first line is the question that it answers, the paragraph that
begins with "Not checked:" says what it leaves open, and what stands between explains.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Final

from rules.templates import templates

NOT_CHECKED: Final = "Not checked: "


@dataclass(frozen=True)
class TemplateNote:
    """The parts of a head-note; `body` has one entry a paragraph, each on one line."""

    question: str
    body: tuple[str, ...]
    not_checked: str


def note(template: str) -> TemplateNote:
    """Return the head-note of a template's module."""
    text = inspect.cleandoc(templates()[template].__doc__ or "")
    question, *paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    left_open = [part for part in paragraphs if part.startswith(NOT_CHECKED)]
    body = tuple(part for part in paragraphs if not part.startswith(NOT_CHECKED))
    return TemplateNote(question, body, " ".join(left_open).removeprefix(NOT_CHECKED))
