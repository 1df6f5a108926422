"""Who was called, and what did they say? A CSV with a row for every call.

`asked_at` is needed: it is when the call was made. An answer is given in the call, so where no
column answered_at is named, its time is that of the call. `delivered` says no where nobody was
reached: that call asked nobody and is left out, counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.feedback.channels._table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from csi.feedback.declared import SurveyForm
    from csi.feedback.responses import Reading

NAME: Final = "telephone"
TITLE: Final = "Telephone survey"
NEEDS: Final[tuple[str, ...]] = ("asked_at",)


def read(path: Path, form: SurveyForm) -> Reading:
    """Read the file."""
    return read_table(path, form, NAME, at_once=form.columns.answered_at is None)
