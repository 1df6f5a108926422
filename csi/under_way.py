"""Which improvements are under way, how are they started, and how are they judged?

A cycle proposes one improvement of its own, goes on with an entry of the register, or does neither;
besides, it judges every entry that is under way and whose windows its log holds. All of it can be
done again without writing anything twice: records carry the cycle's identity.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from csi import kpi as kpis
from csi.evaluation import Known
from csi.evidence import matched_follow_up
from csi.improving import EPOCH, answered, baseline_of, planned, windows_of
from csi.register import Register

if TYPE_CHECKING:
    from csi.cycle import Cycle
    from csi.cycle_evidence import CycleEvidence
    from csi.improving import Answer
    from csi.register import Entry, Improvement

EVALUATOR: Final = "trueloop cycle"
AFTERWARDS: Final = (
    "Started when the log already told what came after: the rule was fixed before the evaluation, "
    "but not before the data were there. A plan that is registered first proves more."
)


class UnderWay:
    """The register of a cycle, and the tickets that its improvements are judged on."""

    def __init__(self, cycle: Cycle, tickets: CycleEvidence) -> None:
        """Open nothing yet."""
        self.cycle, self.tickets = cycle, tickets

    @property
    def register(self) -> Register:
        """The improvement register that the cycle names; RG116 where its chain is broken."""
        found = Register.open(self.cycle.register)
        found.require_intact()
        return found

    def own_entry(self, proposed: Improvement | None) -> str:
        """The entry that this cycle is about: proposed by its file, or named; "" for none."""
        if proposed is None:
            return self.cycle.settings.entry or ""
        return self.register.add(
            proposed,
            at=_midnight(proposed.planned_start),
            actor=proposed.owner,
            key=f"{self.cycle.identity}/add",
        )

    def begun(self, entry_id: str, *, in_effect: bool = False) -> Entry:
        """The entry, started: what decides and its plan, from the baseline alone, are frozen.

        What the register has not been told yet is told: that it is pursued, its baseline, and
        that it is carried out where it is `in_effect`.
        """
        register, baseline = self.register, self.tickets.baseline_to_plan_by()
        entry = register.show(entry_id)
        if entry.started_at:
            return entry
        plan = planned(entry.improvement, baseline)
        started = entry.improvement.planned_start or self.cycle.windows["current"].start.isoformat()
        owner, at = entry.improvement.owner, _midnight(started)
        key = f"{self.cycle.identity}/{{}}/{entry_id}"
        if not entry.assessed_at:
            why = f"Pursued by the cycle that ends on {self.cycle.windows['current'].end}"
            register.assess(entry_id, "pursue", why, at=at, actor=owner, key=key.format("assess"))
        measured = baseline_of(entry.improvement, plan, self.tickets.log_sha256)
        register.record_baseline(
            entry_id, measured, at=at, actor=EVALUATOR, key=key.format("baseline")
        )
        known_until = EPOCH + dt.timedelta(microseconds=self.tickets.evidence.as_of_us)
        register.start(
            entry_id,
            at=at,
            actor=owner,
            key=key.format("start"),
            plan=plan.to_dict(),
            reason=AFTERWARDS if known_until > at else "",
        )
        if in_effect:
            done = f"In effect from {started}, as the cycle file says"
            register.implement(entry_id, done, at=at, actor=owner, key=key.format("implement"))
        return register.show(entry_id)

    def answers(self, own: str) -> list[Answer]:
        """The verdict on every entry that is under way, the cycle's own one first."""
        under_way = [one for one in self.register.list() if one.started_at and not one.closed_at]
        under_way.sort(key=lambda entry: (entry.id != own, entry.id))
        return [answer for entry in under_way if (answer := self.answer(entry)) is not None]

    def answer(self, entry: Entry) -> Answer | None:
        """Judge an entry; None where this log does not hold what its plan asks for."""
        spans = windows_of(entry, self.cycle.windows["current"])
        kpi = kpis.load_kpis().get(entry.improvement.kpi)
        if spans is None or kpi is None or kpi.code not in self.tickets.catalogue:
            return None
        baseline, current = spans
        opened = self.tickets.evidence.cases["opened_us"]
        if not all(opened.between(w.start_us, w.end_us - 1).any() for w in spans):
            return None
        until = matched_follow_up(self.tickets.evidence, baseline, current)
        return answered(
            entry,
            Known(self.tickets.known_at(until[0]), baseline, until[0]),
            Known(self.tickets.known_at(until[1]), current, until[1]),
            self.tickets.log_sha256,
        )

    def record(self, answer: Answer) -> None:
        """Keep a verdict in the register, once for the inputs that it rests on."""
        inputs = json.dumps(self.tickets.manifest.inputs, sort_keys=True).encode()
        rests_on = hashlib.sha256(inputs).hexdigest()[:16]
        report_date = self.cycle.settings.report_date.isoformat()
        self.register.record_evaluation(
            answer.entry.id,
            answer.evaluation(),
            at=_midnight(report_date),
            actor=EVALUATOR,
            key=f"{self.cycle.identity}/evaluate/{answer.entry.id}/{rests_on}",
        )

    def register_rows(self) -> list[dict[str, Any]]:
        """Every entry of the register as it stands now."""
        return [
            {
                "id": entry.id,
                "title": entry.improvement.title,
                "hypothesis": entry.improvement.hypothesis,
                "kpi": entry.improvement.kpi,
                "state": entry.state,
                "owner": entry.improvement.owner,
                "verdict": entry.verdict.value if entry.verdict else None,
            }
            for entry in self.register.list()
        ]


def _midnight(day: str) -> dt.datetime:
    """Return midnight UTC of a day (ISO 8601)."""
    return dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), tzinfo=dt.UTC)
