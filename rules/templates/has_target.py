"""Is there a service level target in force for every case?

A case is without a promise where some target speaks of its type, but none of a metric that is
promised to others was in force for its priority (and service) when it began. Where no target speaks
of its type at all, service levels were not agreed and the rule is vacuous, as it is for a case that
contains `unless` (a withdrawn case owes nothing). A case without a priority is unknown. `unless`
only excuses: where the source never records it, or a word of the case is unmapped and could be it,
cases that have their targets conform, and those that lack one are unknown.

The verdict does not change over the life of a case unless its priority does.

Not checked: whether the targets are the right ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from process_mining.columnar import segments
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import Desk, OptionalActivity, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "start -> a target of each promised metric is in force; or F unless"
ONE = Interval(1, 1)
HINGES: dict[str, tuple[Verdict, ...]] = {"priority": ()}
EXPLAIN = {
    "exempt": "whether the case is withdrawn, and owes nothing (1 yes, 0 no)",
    "unknown": "whether its priority is missing (1 yes, 0 no)",
    "promised": "metrics that are promised to such cases",
    "missing": "those of them for which no target is in force",
}


class Params(TemplateParams):
    """Every case has a target, except those that contain `unless`."""

    EXCUSES: ClassVar[frozenset[str]] = frozenset({"unless"})

    unless: OptionalActivity = Field(
        default=None, description="the step with which a case owes nothing"
    )


def measure(desk: Desk, params: Params) -> Measure:
    """Count the metrics without a target; the first event of the case is the evidence."""
    arrays = desk.log.arrays
    promised = np.zeros(arrays.n_cases, np.int64)
    missing, unknown = promised.copy(), promised.copy()
    for metric in desk.service_levels.metrics:
        clock = desk.clocks[metric]
        promised += clock.promised
        missing += clock.promised & ~clock.has_target
        unknown |= clock.unprioritised
    exempt = np.zeros(arrays.n_cases, np.int64)
    if params.unless is not None:
        exempt = (segments.count(arrays, desk.mask(params.unless)) > 0).astype(np.int64)
    return Measure(
        facts={"exempt": exempt, "unknown": unknown, "promised": promised, "missing": missing},
        events=(segments.first(arrays, np.ones(len(arrays.at), bool)),),
        measured=missing,
        limit=np.zeros_like(missing),
        unit="metrics without a target",
        cause="the case has no priority",
    )


def decide(_: Params) -> DecisionTable:
    """One metric without a target is enough."""
    counts = {"exempt": ZERO, "unknown": ZERO}
    return (
        Row(Verdict.VACUOUS, {"exempt": ONE}),
        Row(Verdict.UNKNOWN, {"exempt": ZERO, "unknown": ONE}),
        Row(Verdict.VACUOUS, counts | {"promised": ZERO}),
        Row(Verdict.VIOLATES, counts | {"promised": POSITIVE, "missing": POSITIVE}),
        Row(Verdict.CONFORMS, counts | {"promised": POSITIVE, "missing": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    others = f" without '{params.unless}'" if params.unless else ""
    return f"Every case{others} has a target for each metric that is promised to such cases."
