"""On which scale was a customer asked, and which measure do answers on it give?

A scale is declared, never inferred from the scores seen. Its name says what was asked:

    1-5, 1-7, 1-10    "How satisfied are you?", higher is better          CSAT
    good/bad          "Was it good or bad?"                               CSAT
    smiley 1-3        sad, neutral, happy as 1, 2, 3                      CSAT
    0-10              "How likely would you recommend us?"                NPS
    ces 1-7           "They made it easy for me", 1 disagree - 7 agree    CES

CSAT is the share of satisfied answers: the two highest scores of 1-5, 1-7 and 1-10 (ISO 10004
leaves the scale to the organisation; the top two boxes are the customary cut), "good" of good/bad,
3 of the smileys. NPS is the share of promoters (9, 10) minus that of detractors (0 to 6), in points
from -100 to 100, and exists on 0-10 alone (Reichheld 2003, Harvard Business Review 81 no. 12,
46-54). CES is the mean agreement and the share of 5 to 7; effort as a measure is from Dixon,
Freeman & Toman 2010, Harvard Business Review 88 no. 7/8, 116-122, whose question had five steps of
effort; the form with seven steps of agreement is the later one and the one that is read here.

No scale is turned into another measure: satisfaction on 1-10 is no NPS, and 1-7 is no CES unless
it is declared as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from process_mining.sources._rejects import shown

Measure = Literal["CSAT", "NPS", "CES"]
GOOD, BAD = "good", "bad"
PROMOTER_FROM: Final = 9
DETRACTOR_TO: Final = 6
_WHOLE: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_WITH_NOUGHTS: Final = re.compile(r"([0-9]{1,3})\.0{1,6}", re.ASCII)


class BadScoreError(Exception):
    """A score that does not stand on its scale: the reason for its reject."""


@dataclass(frozen=True)
class Scale:
    """Its lowest and highest score, and from which on an answer counts as satisfied (as easy)."""

    name: str
    measure: Measure
    lowest: int
    highest: int
    satisfied_from: int

    def read(self, text: str, *, noughts: bool = False) -> int:
        """Return a score; "good" is 1 and "bad" 0. Raises BadScoreError where it is not on it.

        `noughts` lets "3.0" pass for 3: the same number, as tables with gaps are often exported.
        """
        if self.name == GOOD_BAD:
            if text not in (GOOD, BAD):
                msg = f"score {shown(text)} is neither good nor bad"
                raise BadScoreError(msg)
            return int(text == GOOD)
        match = _WITH_NOUGHTS.fullmatch(text) if noughts else None
        plain = match[1] if match else text
        if not _WHOLE.fullmatch(plain) or not self.lowest <= int(plain) <= self.highest:
            span = f"from {self.lowest} to {self.highest}"
            msg = f"score {shown(text)} is no whole number {span}"
            raise BadScoreError(msg)
        return int(plain)


GOOD_BAD: Final = "good/bad"
SCALES: Final = {
    scale.name: scale
    for scale in (
        Scale("1-5", "CSAT", 1, 5, 4),
        Scale("1-7", "CSAT", 1, 7, 6),
        Scale("1-10", "CSAT", 1, 10, 9),
        Scale(GOOD_BAD, "CSAT", 0, 1, 1),
        Scale("smiley 1-3", "CSAT", 1, 3, 3),
        Scale("0-10", "NPS", 0, 10, PROMOTER_FROM),
        Scale("ces 1-7", "CES", 1, 7, 5),
    )
}
