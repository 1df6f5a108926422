"""Which attributes go with the weightiest offences?

The rules that lead a ranking of `csi.effects.losses` are handed to `csi.root_causes`, which says
which groups of tickets (by what was known when they were opened) break them more often than the
others. Nothing is computed here. A rule is asked about the practice whose tickets break it most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from csi.effects.losses import COST, COUNT, RANKINGS, TIME_LOST
from csi.root_causes import Standing, breaks_rule, root_causes

if TYPE_CHECKING:
    from csi.audit import Audit, PracticeAudit
    from csi.root_causes import Group, RootCauses

WEIGHTIEST: Final = 3
GROUPS_SAID: Final = 2
SAID: Final = {COUNT: "count", TIME_LOST: "time lost", COST: "adjusted cost"}


@dataclass(frozen=True, eq=False)
class Cause:
    """What goes with the violations of one rule; `leads` says in which rankings it leads."""

    code: str
    leads: tuple[str, ...]
    found: RootCauses
    sentence: str

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a group: attribute, value, k of n, share, ratio with limits, standing."""
        rows = [
            {
                "code": self.code,
                "attribute": one.attribute,
                "value": one.value,
                "violates": one.table.k,
                "n": one.table.n,
                "share": one.share.value,
                "share_elsewhere": one.share_elsewhere.value,
                "ratio": one.ratio.value,
                "low": one.ratio.low,
                "high": one.ratio.high,
                "adjusted_p": one.adjusted_p,
                "standing": one.standing.value,
            }
            for one in self.found.groups
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS: Final = (
    "code", "attribute", "value", "violates", "n", "share", "share_elsewhere", "ratio", "low",
    "high", "adjusted_p", "standing",
)  # fmt: skip


def causes_of(audit: Audit, pareto: pd.DataFrame, *, most: int = WEIGHTIEST) -> tuple[Cause, ...]:
    """Say what goes with the rules that are among the first `most` of a ranking, by code."""
    found = []
    for _, row in pareto.sort_values("code").iterrows():
        leads = tuple(
            SAID[name] for name in RANKINGS if row[name] > 0 and row[f"{name}_rank"] <= most
        )
        if leads:
            part = _most_broken(audit, row["code"])
            violates, judged = breaks_rule(part.result, row["code"])
            causes = root_causes(
                part.translation.log, violates, subject=row["title"], judged=judged
            )
            found.append(Cause(row["code"], leads, causes, _sentence(row["code"], causes)))
    return tuple(found)


def _most_broken(audit: Audit, code: str) -> PracticeAudit:
    """The practice most of whose tickets break the rule; the first of equal ones."""
    asked = [one for one in audit.practices if code in {rule.code for rule in one.result.rules}]
    broken = [int(breaks_rule(one.result, code)[0].sum()) for one in asked]
    return asked[int(np.argmax(broken))]


def _sentence(code: str, causes: RootCauses) -> str:
    if causes.inconclusive:
        return f"{code}: what goes with it cannot be told: {causes.inconclusive}."
    more = [one for one in causes.found if one.standing is Standing.MORE][:GROUPS_SAID]
    if not more:
        return f"{code}: no attribute is shown to go with it."
    return f"{code} goes with {'; '.join(_group(one) for one in more)}. None of this is a cause."


def _group(one: Group) -> str:
    table = one.table
    ratio = "" if one.ratio.value is None else f", {one.ratio.value:.1f} times the others' share"
    return f"{one.attribute} {one.value} ({table.k:,} of {table.n:,}{ratio})"
