"""What could be done about it, and what is worth doing first? All of it for one window.

`opportunities_of` seeks candidates (`candidates`), looks at the teams by name (`team_view`), and
ranks offences, candidates, escalations, waits and causes of broken promises (`ranking`). It reads
an audit that is done and asks nothing of the log's files again; same input, same result. Cost:
O(events) and the bootstrap of the team view, 499 draws of all tickets of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from csi.kpi import load_kpis
from csi.opportunities.candidates import candidates_of
from csi.opportunities.definitions import DEFINITIONS
from csi.opportunities.lost_time import from_breaches, from_waits
from csi.opportunities.ranking import ranked
from csi.opportunities.sources import (
    Desk,
    from_candidates,
    from_escalations,
    from_rules,
    losses_of,
)
from csi.opportunities.team_view import team_view
from csi.opportunities.tickets import tickets_of
from rules.escalation_file import load_patterns

if TYPE_CHECKING:
    import pandas as pd

    from csi.audit import Audit
    from csi.evidence import Span
    from csi.opportunities.candidates import Candidates
    from csi.opportunities.definitions import Definitions
    from csi.opportunities.ranking import Ranked
    from csi.opportunities.team_view import TeamView


@dataclass(frozen=True, eq=False)
class Opportunities:
    """Candidates, teams and the ranked table, each with its frame and its sentences."""

    candidates: Candidates
    teams: TeamView
    ranked: Ranked

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything that is said, the ranked table first."""
        return (*self.ranked.sentences, *self.candidates.sentences, *self.teams.sentences)


def opportunities_of(
    audit: Audit,
    window: Span,
    *,
    losses: pd.DataFrame | None = None,
    definitions: Definitions = DEFINITIONS,
) -> Opportunities:
    """Return what could be improved, by the tickets opened in a window.

    `losses`: the adjusted time lost of each rule: rule, hours_lost (in the window), low, high, n,
    and a note where it does not count (`csi.opportunities.sources`). Without it the gain of
    offences and escalations is not told. Errors: CodedError ST581, ST582.
    """
    known = losses_of(losses)
    tickets, kpis = tickets_of(audit, window), load_kpis()
    codes = {rule.code for rule in audit.catalogue.rules}
    desk = Desk(
        audit=audit,
        tickets=tickets,
        given=definitions,
        kpi_of_rule=load_patterns(codes).kpi_of_rule,
        kpi_named={kpi.name: kpi.code for kpi in kpis.values()},
        losses=known,
    )
    candidates = candidates_of(tickets, definitions)
    proposals = [
        *from_rules(desk),
        *from_candidates(desk, candidates),
        *from_escalations(desk),
        *from_waits(desk, window),
        *from_breaches(desk),
    ]
    return Opportunities(
        candidates=candidates,
        teams=team_view(audit, window, tickets),
        ranked=ranked(proposals, tickets, kpis),
    )
