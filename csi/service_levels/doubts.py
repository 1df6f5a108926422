"""Which clocks can the log not vouch for?

What the quality gate doubts of a case takes the verdict of a rule (`rules.doubts`); it takes the
status of a clock in the same way, so that an audit's verdict and a service-level report never
disagree: a clock that met, breached or still runs is unknown where the rule on its metric would be.
A clock of an OLA or a contract is unknown where the log's defects concern the steps of its case.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining.quality import END, MIDDLE, ORDER, RECORDED, START, TIME
from rules.doubts import Concern, doubtful_cases, hanging
from rules.measuring import measure
from rules.service_level import METRICS
from rules.spec import Verdict, decide
from rules.templates import meets_target

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.quality import Defect
    from rules.catalogue import Catalogue
    from rules.spec import Rule
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

TEMPLATE: Final = "meets_target"
FACTS: Final = (ORDER, TIME, MIDDLE, START, END, RECORDED)
UNKNOWN: Final = "unknown"


def with_doubts(
    table: pa.Table,
    desk: Desk,
    catalogue: Catalogue,
    doubts: Sequence[Defect],
    allowed: Collection[str],
) -> tuple[pa.Table, Mapping[str, int]]:
    """Return CLOCKS with what is in doubt unknown; and how many clocks each reason takes."""
    base = [rule for rule in catalogue.rules if rule.template == TEMPLATE]
    place = pc.index_in(table["case_id"], value_set=desk.log.cases["case_id"].combine_chunks())
    case = place.to_numpy()
    status = np.array(table["status"].to_pylist(), dtype=object)
    metric, agreement = (np.array(table[n].to_pylist()) for n in ("metric", "agreement"))
    taken, reasons = np.zeros(len(status), dtype=bool), dict[str, int]()
    for one in METRICS if base else ():
        mine = (agreement == "SLA") & (metric == one) & ~np.isin(status, ("no target", UNKNOWN))
        if mine.any():
            for cause, cases in _hanging(desk, _rule_of(base[0], one), doubts, allowed):
                hit = mine & cases[case]
                reasons[cause] = reasons.get(cause, 0) + int(hit.sum())
                taken |= hit
    further = [defect for defect in doubts if defect.code not in allowed]
    taken |= (agreement != "SLA") & doubtful_cases(desk, further, FACTS)[case]
    status[taken & (status != "no target")] = UNKNOWN
    column = pa.array(status.tolist(), pa.string())
    breached = table["breached_at"]
    breached = pc.if_else(pa.array(taken), pa.scalar(None, breached.type), breached)
    for name, values in (("status", column), ("breached_at", breached)):
        table = table.set_column(table.column_names.index(name), name, values)
    return table, {cause: n for cause, n in reasons.items() if n}


def _rule_of(base: Rule, metric: str) -> Rule:
    """The rule that the clocks of a metric keep their target, in force at all times."""
    params = meets_target.Params(metric=metric)  # type: ignore[arg-type]
    return replace(
        base, params=params, scope=(), valid_from=dt.date.min, valid_until=None, control=None
    )


def _hanging(
    desk: Desk, rule: Rule, doubts: Sequence[Defect], allowed: Collection[str]
) -> list[tuple[str, Bools]]:
    """Return each reason for which verdicts of the rule cannot be given, and the cases it takes."""
    one = measure(desk, rule)
    verdicts = decide(one.table, one.found.facts, rule.code)
    concerned = [Concern.of(desk, defect) for defect in doubts if defect.code not in allowed]
    known = verdicts != Verdict.UNKNOWN
    found = hanging(desk, one, verdicts, concerned=concerned, allowed=allowed)
    return [(hung.code or hung.cause, hung.cases & known) for hung in found]
