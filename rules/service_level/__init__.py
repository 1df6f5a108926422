"""Which promise of time applies to a ticket at each moment, and how far has its clock run?

    targets, targets_file   what is promised: SLAs, OLAs, underpinning contracts, as data
    course                  which events start, stop, pause and reset a clock
    reigns                  which target is in force when, as priorities change
    rows, clocks            how far each clock has run, why it was held, and whether it was kept
    attainment              what share of the clocks kept their promise

Sources: ITIL 4 Service level management; ISO/IEC 20000-1:2018, 8.3.3 and 8.3.4; ServiceNow's
task_sla (retroactive start, pause conditions) and the cycles of Jira Service Management for what
tools mean. What none of this checks: whether a pause was justified; what a tool's own rows say;
pauses that a source never records (they make the clock too long, never too short); an unseen stop
of a resolve clock that comes after the last one seen.
"""

from __future__ import annotations

from rules.service_level.attainment import ATTAINMENT, attained, attainment
from rules.service_level.clocks import CLOCKS, PAUSES, CaseClock, case_clock, clocks, pauses
from rules.service_level.rows import STATUSES
from rules.service_level.targets import (
    METRICS,
    REOPEN,
    STOPS,
    Condition,
    Metric,
    ServiceLevels,
    Target,
    on,
)
from rules.service_level.targets_file import load_service_levels

__all__ = [
    "ATTAINMENT",
    "CLOCKS",
    "METRICS",
    "PAUSES",
    "REOPEN",
    "STATUSES",
    "STOPS",
    "CaseClock",
    "Condition",
    "Metric",
    "ServiceLevels",
    "Target",
    "attained",
    "attainment",
    "case_clock",
    "clocks",
    "load_service_levels",
    "on",
    "pauses",
]
