"""Does a cycle file ask for what its log can give? All mistakes at once, before anything runs.

Codes: see `csi.cycle`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from csi import kpi as kpis
from csi.cycle_evidence import opened_in, span_of
from csi.evidence import Scope
from csi.improving import improvement_of
from process_mining.errors import CodedError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from csi.cycle import Cycle, Plan
    from csi.kpi import Kpi
    from csi.register import Improvement


def require_tickets(cycle: Cycle, cases: pd.DataFrame) -> None:
    """Raise CY203 for each window without any ticket."""
    raise_all(
        [
            CodedError(
                "CY203",
                f"the {name} window {window.start} to {window.end} holds no ticket",
                fix=span_of(cases["opened_us"]),
            )
            for name, window in cycle.windows.items()
            if not opened_in(cases, window).any()
        ]
    )


@dataclass(frozen=True)
class PlanChecks:
    """The improvement that a cycle file proposes, against the KPIs and the tickets there are."""

    cycle: Cycle
    plan: Plan

    @cached_property
    def improvement(self) -> Improvement:
        """The improvement as the register keeps it; RG111 where it cannot."""
        kpi, guards, also = self.named
        due = self.cycle.windows["current"].end
        return improvement_of(self.plan, kpi, guards, also, due=due)

    def require_sense(self, cases: pd.DataFrame) -> None:
        """Raise what cannot be kept, and what its names and words ask for and the log lacks."""
        kpi, guards, also = self.named
        _ = self.improvement
        raise_all(
            [
                *self._foreign([kpi, *guards, *also], cases),
                *self._unknown_words(kpi, "scope", self.plan.scope, cases),
                *self._unknown_words(kpi, "comparison", self.plan.comparison, cases),
            ]
        )

    def _place(self, key: str) -> str:
        return f"improvement.{key} in {self.cycle.path.name}"

    @cached_property
    def named(self) -> tuple[Kpi, list[Kpi], list[Kpi]]:
        """The metric, its guardrails, further metrics; ST110, CY206: all mistakes at once."""
        plan, every = self.plan, kpis.load_kpis()
        words = [("kpi", plan.kpi)]
        words += [("guardrails", word) for word in plan.guardrails]
        words += [("also", word) for word in plan.also]
        found: dict[str, list[Kpi]] = {"kpi": [], "guardrails": [], "also": []}
        wrong: list[CodedError] = []
        for key, word in words:
            try:
                found[key].append(kpis.pick(every, word))
            except CodedError as error:
                what = f"{self._place(key)}: {error.what}"
                wrong.append(CodedError(error.code, what, fix=error.fix))
        raise_all(wrong)
        kpi = found["kpi"][0]
        if kpi in found["guardrails"]:
            msg = f"{self._place('guardrails')}: {kpi.code} is the metric that decides"
            raise CodedError("CY206", msg, fix="Take it out of the guardrails")
        return kpi, found["guardrails"], found["also"]

    def _foreign(self, named: list[Kpi], cases: pd.DataFrame) -> list[CodedError]:
        """A mistake for each KPI that is about tickets of which the log holds none."""
        types = sorted(set(cases["case_type"]))
        return [
            CodedError(
                "CY207",
                f"{self._place('kpi' if kpi is named[0] else 'guardrails or also')}: {kpi.code} "
                f"measures {kpi.case_type} tickets, and the log holds none",
                fix=f"Take a KPI of: {', '.join(types)}",
            )
            for kpi in named
            if kpi.case_type not in types
        ]

    def _unknown_words(
        self, kpi: Kpi, key: str, scope: Mapping[str, Sequence[str]], cases: pd.DataFrame
    ) -> list[CodedError]:
        """A mistake for each word of a scope that no ticket of the metric's type has."""
        mine = cases[cases["case_type"] == kpi.case_type]
        wrong: list[CodedError] = []
        for name, words in Scope.of(scope).filters().items():
            known = sorted(set(mine[name].dropna()))
            for word in sorted(set(words) - set(known)):
                place = self._place(f"{key}.{name}")
                what = f"{place}: no {kpi.case_type} of the log has '{word}'"
                fix = did_you_mean(word, known) or f"Leave it out: the log tells no {name}"
                wrong.append(CodedError("CY205", what, fix=fix))
        return wrong

    def require_anybody(self, cases: pd.DataFrame) -> None:
        """Refuse a scope each of whose words is known, but which no ticket of a window matches."""
        kpi, scope = self.named[0], Scope.of(self.plan.scope)
        chosen = cases[cases["case_type"] == kpi.case_type]
        for name, words in scope.filters().items():
            chosen = chosen[chosen[name].isin(words)]
        if not any(opened_in(chosen, window).any() for window in self.cycle.windows.values()):
            msg = f"{self._place('scope')}: no {kpi.case_type} of either window is {scope.words}"
            raise CodedError("CY210", msg, fix="Widen the scope, or wait for such tickets")
