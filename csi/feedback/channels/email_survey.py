"""Who was asked by e-mail, and who answered? A CSV with a row for every mail that was sent.

`asked_at` is needed: it is when the mail was sent. `delivered` says no where it came back; such
a mail asked nobody and is left out, counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.feedback.channels._table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from csi.feedback.declared import SurveyForm
    from csi.feedback.responses import Reading

NAME: Final = "email"
TITLE: Final = "E-mail survey"
NEEDS: Final[tuple[str, ...]] = ("asked_at",)


def read(path: Path, form: SurveyForm) -> Reading:
    """Read the file."""
    return read_table(path, form, NAME)
