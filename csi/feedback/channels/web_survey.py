"""Which answers did a survey on the web collect? A CSV of its tool, columns as declared.

Such tools often list answers alone: whom the link reached is then not known, and neither is a
response rate (`asks = "answers"`, which holds where no column asked_at is named). A table with a
row for every ticket that was asked says `asks = "rows"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.feedback.channels._table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from csi.feedback.declared import SurveyForm
    from csi.feedback.responses import Reading

NAME: Final = "web"
TITLE: Final = "Web survey"
NEEDS: Final[tuple[str, ...]] = ()


def read(path: Path, form: SurveyForm) -> Reading:
    """Read the file."""
    return read_table(path, form, NAME)
