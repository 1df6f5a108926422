"""What could be done about it, and what is worth doing first? Candidates, teams, a ranked table."""

from __future__ import annotations

from csi.opportunities.candidates import Candidate, Candidates
from csi.opportunities.definitions import DEFINITIONS, Could, Definitions
from csi.opportunities.ranking import Ranked
from csi.opportunities.result import Opportunities, opportunities_of
from csi.opportunities.team_view import TeamView

__all__ = [
    "DEFINITIONS",
    "Candidate",
    "Candidates",
    "Could",
    "Definitions",
    "Opportunities",
    "Ranked",
    "TeamView",
    "opportunities_of",
]
