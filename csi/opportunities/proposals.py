"""What is proposed, on what evidence, and how easily could it be done?

A `Proposal` is one row of the ranked table before it is ranked. Its *ease* is a score from 1 (hard)
to 5 (easy): five points, less

    1    for a second or third team that had at least 5 of the tickets concerned; 2 for more teams
    1    for tickets of more than one practice
    1    where at least half of the tickets were handed over
    1    where what changes needs an approval: a control of the change practice, a change or a
         release, a tool that has to learn something (automation, self-service)
    1    where a mistake would be dear: a critical rule, or at least a quarter of the tickets of the
         two highest priorities

and at least 1. Each point that is lost is said in words. The score knows nothing about money or
people's will: it puts what the log tells into one number, so that everybody can see how.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from csi.opportunities.definitions import SMALLEST_GROUP
from csi.opportunities.gain import NOTHING, Range
from csi.opportunities.kinds import is_high
from csi.report.words import percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Bools = npt.NDArray[np.bool_]

EASIEST: Final = 5
FEW_TEAMS: Final = 3
HANDED_OVER: Final = 0.5
DEAR: Final = 0.25


@dataclass(frozen=True, eq=False)
class Proposal:
    """What could be done, why, and what it might bring.

    `tickets`: tickets a month that it is about; `hours`: hours to resolve a month that could be
    saved; `relieved`: tickets a month that would not come, or would be settled at first contact
    (`relief` says which). `mine`: one mark a row of the tickets' table. `kpi` is a KPI's code,
    None where none shows it.
    """

    source: str
    code: str
    title: str
    seen: str
    hypothesis: str
    how: str
    owner: str
    mine: Bools
    tickets: Range
    hours: Range = NOTHING
    relieved: Range = NOTHING
    kpi: str | None = None
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    approval: str = ""
    relief: str = ""
    critical: bool = False


@dataclass(frozen=True)
class Ease:
    """The score, and a sentence for each point that it lost."""

    score: int
    why: tuple[str, ...]

    @property
    def words(self) -> str:
        """The score with its reasons: "4 of 5; less 1: 3 teams have a part in it"."""
        lost = "; ".join(self.why) or "nothing in the log speaks against it"
        return f"{self.score} of {EASIEST}: {lost}"


_READ: Final = ("team", "case_type", "handovers", "priority")


def ease_of(one: Proposal, frame: pd.DataFrame) -> Ease:
    """Score a proposal by the tickets that it is about."""
    lost = list(_lost(one, frame.loc[one.mine, list(_READ)]))
    return Ease(max(1, EASIEST - sum(n for n, _ in lost)), tuple(f"less {n}, {w}" for n, w in lost))


def _lost(one: Proposal, mine: pd.DataFrame) -> Iterator[tuple[int, str]]:
    teams = int((mine["team"].value_counts() >= SMALLEST_GROUP).sum())
    if teams > 1:
        points = 1 if teams <= FEW_TEAMS else 2
        yield points, f"{teams} teams have a part in it"
    practices = mine["case_type"].nunique()
    if practices > 1:
        yield 1, f"{practices} practices have a part in it"
    handed = mine["handovers"].dropna()
    share = float((handed > 0).mean()) if len(handed) else 0.0
    if share >= HANDED_OVER:
        yield 1, f"{percent(share)} of the tickets are handed over"
    if one.approval:
        yield 1, f"{one.approval} needs an approval"
    high = float(is_high(mine["priority"]).mean()) if len(mine) else 0.0
    if one.critical:
        yield 1, "the rule is critical"
    elif high >= DEAR:
        yield 1, f"{percent(high)} of the tickets are of high priority"
