"""What does a cycle know about its tickets, and as of when?

`CycleEvidence` reads and audits the log once, and cuts it where a window's follow-up ends: both
windows are followed for equally long, and nothing of the baseline knows what came later.

Errors: CY208 where the log ends too early for that.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from csi import kpi as kpis
from csi.audit import Audit, AuditRequest, audit, audit_log
from csi.audit_evidence import evidence_of
from csi.evaluation import Known
from csi.evidence import matched_follow_up
from csi.evidence_files import read_evidence
from csi.outputs import read_json
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions
from rules.service_level import CLOCKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csi.cycle import Cycle, Window
    from csi.evidence import Evidence
    from csi.kpi import Kpi
    from csi.manifest import Manifest

MEASURED: Final = "1_measure"
SNAPSHOT: Final = "snapshot.json"


class CycleEvidence:
    """The tickets of one cycle's log; the first step leaves what the others need to know."""

    def __init__(self, cycle: Cycle, manifest: Manifest) -> None:
        """Read nothing yet; the manifest is told which log was read."""
        self.cycle, self.manifest = cycle, manifest
        self._cuts: dict[int, Evidence] = {}

    @cached_property
    def audit(self) -> Audit:
        """The audit of the whole log; its verdicts are cut into windows afterwards."""
        found = audit(_audit_request(self.cycle))
        self.manifest.pin_log(found.log.meta.sha256)
        return found

    @cached_property
    def evidence(self) -> Evidence:
        """What the KPIs read about each case, at the end of the log.

        The current window is the later one, so this is what is known of it.
        """
        left = self._left("current")
        return evidence_of(self.audit) if left is None else left

    def _left(self, window: str) -> Evidence | None:
        """What the first step left, where the manifest vouches for it."""
        if not self._measured:
            return None
        return read_evidence(self.manifest.out / MEASURED, window)

    @cached_property
    def _measured(self) -> bool:
        return self.manifest.done(MEASURED)

    @cached_property
    def known(self) -> dict[str, Evidence]:
        """What was known of each window's tickets at the end of its follow-up.

        The log is cut there and judged anew, so that no verdict, clock or count of the baseline
        knows what came later.
        """
        return {name: self.known_at(us) for name, us in self.until.items()}

    def known_at(self, moment_us: int) -> Evidence:
        """What was known of all cases at a moment; each is cut and judged once."""
        if moment_us >= self.evidence.as_of_us:
            return self.evidence
        if moment_us not in self._cuts:
            left = self._left("baseline") if moment_us == self.until["baseline"] else None
            self._cuts[moment_us] = self._cut_at(moment_us) if left is None else left
        return self._cuts[moment_us]

    def _cut_at(self, moment_us: int) -> Evidence:
        whole = self.audit
        vocabularies = {p.practice.name: p.translation.vocabulary for p in whole.practices}
        request = whole.request
        if len(whole.practices) == 1:  # a part of the log need not tell its practice by itself
            request = replace(request, practice=whole.practices[0].practice.name)
        cut = audit_log(
            whole.log.until(moment_us),
            request,
            as_of_us=moment_us,
            vocabularies=vocabularies,
        )
        return evidence_of(cut)

    @cached_property
    def catalogue(self) -> Mapping[str, Kpi]:
        """Every KPI whose practice has tickets in the log."""
        types = set(self.evidence.cases["case_type"])
        return {code: one for code, one in kpis.load_kpis().items() if one.case_type in types}

    @cached_property
    def clocks(self) -> pa.Table:
        """The service-level clocks of all practices, as `trueloop sla` has them."""
        parts = [part.clocks for part in self.audit.practices]
        return pa.concat_tables([CLOCKS.empty_table(), *parts]).combine_chunks()

    @property
    def log_sha256(self) -> str:
        """The fingerprint of the log as it was read."""
        if self._measured:
            return str(read_json(self.manifest.out / MEASURED / SNAPSHOT)["sha256"])
        return str(self.audit.log.meta.sha256)

    @property
    def windows(self) -> dict[str, Window]:
        """The two windows by name."""
        return self.cycle.windows

    @cached_property
    def until(self) -> dict[str, int]:
        """Until when each window's tickets are followed: for equally long."""
        ends = matched_follow_up(self.evidence, *self.windows.values())
        for (name, window), end in zip(self.windows.items(), ends, strict=True):
            if end <= window.start_us:
                msg = f"the log ends too early to follow the {name} window for as long as the other"
                raise CodedError("CY208", msg, fix=span_of(self.evidence.cases["opened_us"]))
        return dict(zip(self.windows, ends, strict=True))

    def baseline_to_plan_by(self) -> Known:
        """The baseline as a plan sees it, of an improvement that may not have begun yet.

        Where the log ends before the current window does, all that is known; else as it was known
        at the end of its follow-up, as the evaluation will see it.
        """
        evidence = self.evidence
        if evidence.as_of_us < self.windows["current"].end_us:
            return Known(evidence, self.windows["baseline"], evidence.as_of_us)
        return self.window("baseline")

    def window(self, name: str) -> Known:
        """One of the cycle's windows, as it was known at the end of its follow-up."""
        return Known(self.known[name], self.windows[name], self.until[name])


def _audit_request(cycle: Cycle) -> AuditRequest:
    settings = cycle.settings
    optional = {
        name: cycle.file(value) if value is not None else None
        for name, value in (("surveys", settings.surveys), ("targets", settings.targets))
    }
    return AuditRequest(
        logs=tuple(cycle.file(name) for name in settings.log),
        read=ReadOptions(
            source=settings.source,
            mapping=cycle.mapping,
            timezone=settings.timezone,
            object_types=tuple(settings.object_types),
        ),
        practice=settings.practice,
        allow=tuple(settings.allow),
        rules=tuple(cycle.file(name) for name in settings.rules),
        targets=optional["targets"],
        surveys=optional["surveys"],
    )


def opened_in(cases: pd.DataFrame, window: Window) -> pd.Series:
    """Tell which cases were opened in a window."""
    return cases["opened_us"].between(window.start_us, window.end_us, inclusive="left")


def span_of(opened: pd.Series) -> str:
    """Say between which days tickets were opened."""
    first, last = (pd.Timestamp(int(us), unit="us").date() for us in (opened.min(), opened.max()))
    return f"Tickets were opened from {first} to {last}; move the windows there"
