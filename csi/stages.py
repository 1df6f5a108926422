"""What does each step of the loop find out, and what does it hand on to the next?

`Loop` is what the four notebooks call: one method a step, each giving a small result that a
notebook shows (a story in plain words, tidy DataFrames, pictures) and leaving its files in the
cycle folder. A step that is asked for alone first does what it builds on, so every notebook runs by
itself. What an earlier step left is used only where the manifest vouches for it: same cycle file,
same inputs, same bytes.

`check` finds what the cycle file asks for and cannot have; it comes before any notebook of a whole
run, and before anything is registered where a notebook runs alone (codes: `csi.cycle`).

    1_measure   the snapshot (hash), every KPI in both windows, every rule's verdicts by window
    2_analyse   which offences weigh most, where tickets wait, opportunities
    3_improve   the plan in the register, its decision rule fixed before anything is evaluated
    4_evaluate  the metric before and after, judged by that rule; the verdict in the register
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from csi import analysis_tables, improvement_words, stories
from csi import kpi as kpis
from csi.audit_outputs import summary_of
from csi.cycle import Cycle, load_cycle
from csi.cycle_checks import PlanChecks, require_tickets
from csi.cycle_evidence import SNAPSHOT, CycleEvidence
from csi.effects import causes_of, effects_of, pareto_picture
from csi.evidence import view
from csi.evidence_files import write_evidence
from csi.improving import Days
from csi.kpi_charts import charts_of
from csi.kpi_segments import FIELDS, measure_by
from csi.manifest import Manifest
from csi.opportunities import opportunities_of
from csi.outputs import read_json, write_json, write_parquet, write_text
from csi.pictures import Picture, before_after, process_picture, rates
from csi.register import Register
from csi.service_levels.attained import attained_by
from csi.service_levels.causes import BREACHES, Causes, breach_causes
from csi.service_levels.pause_audit import audit_pauses
from csi.stories import Story
from csi.under_way import UnderWay
from process_mining.discovery import process_map, waiting
from process_mining.errors import CodedError
from rules.service_level import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from csi.improving import Answer
    from csi.kpi import Measurement
    from csi.kpi_charts import KpiCharts
    from csi.register import Entry
    from rules.spec import Rule

DEMO_TICKETS: Final = 1500
DEMO_SEED: Final = 7
PICTURE: Final = "picture.svg"
TEAMS_PICTURE: Final = "teams.svg"
WAITS_SHOWN: Final = 15


@dataclass(frozen=True, eq=False)
class Measured:
    """Where we stand."""

    story: Story
    kpis: pd.DataFrame
    rules: pd.DataFrame
    service_levels: pd.DataFrame
    service_levels_by_month: pd.DataFrame
    picture: Picture
    segments: pd.DataFrame
    signals: pd.DataFrame
    changes: pd.DataFrame
    charts: tuple[Picture, ...]


@dataclass(frozen=True, eq=False)
class Analysed:
    """What weighs most, what goes with it, and what could be done.

    `tables` are for reading, by name; the frames of the same names hold every figure.
    """

    story: Story
    pareto: pd.DataFrame
    effects: pd.DataFrame
    causes: pd.DataFrame
    waits: pd.DataFrame
    opportunities: pd.DataFrame
    candidates: pd.DataFrame
    teams: pd.DataFrame
    breach_causes: pd.DataFrame
    pauses: pd.DataFrame
    process_map: Picture
    picture: Picture
    teams_picture: Picture
    tables: Mapping[str, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Improved:
    """What is to change, and how it will be judged."""

    story: Story
    entry_id: str
    plan: pd.DataFrame
    register: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Whether it got better; `verdict` is that of the whole, None where nothing was judged."""

    story: Story
    answers: tuple[Answer, ...]
    verdict: str | None
    result: pd.DataFrame
    guardrails: pd.DataFrame | Story
    others: pd.DataFrame
    picture: Picture


@dataclass(frozen=True)
class Started:
    """An entry whose rule and plan are frozen."""

    entry: Entry

    @property
    def story(self) -> Story:
        """Say how it will be judged."""
        return Story(improvement_words.improve_story(self.entry))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        rule = self.entry.improvement.decision_rule
        return {
            "entry": self.entry.id,
            "started_at": self.entry.started_at,
            "rule_version": self.entry.rule_version,
            "decision_rule": rule.to_dict(),
            "plan": dict(self.entry.plan),
        }


class Loop:
    """One turn of the loop over one cycle file, with its results in one folder."""

    def __init__(self, cycle: Cycle, out: Path, snapshot: str = "") -> None:
        """Use `Loop.open`."""
        self.cycle, self.out = cycle, out
        self.manifest = Manifest.open(out, cycle, snapshot)
        self.tickets = CycleEvidence(cycle, self.manifest)
        self.improvements = UnderWay(cycle, self.tickets)

    @classmethod
    def open(
        cls,
        cycle: str | Path = "",
        out: str | Path = "",
        report_date: str = "",
        register_place: str = "",
        snapshot: str = "",
    ) -> Loop:
        """Open a cycle file; without one, the demo desk is simulated into ./trueloop-demo.

        `report_date` and `register_place` stand in for those of the file. With the `snapshot` that
        a run has pinned, inputs that have changed since are refused (CY301).
        """
        path = Path(cycle) if cycle else demo_desk(Path("trueloop-demo"))
        loaded = load_cycle(path, report_date, register_place)
        return cls(loaded, Path(out) if out else loaded.default_out, snapshot)

    # --- before the steps

    def check(self) -> None:
        """Refuse what the cycle file asks for and cannot have; nothing is written."""
        Register.preflight(self.cycle.register)
        cases, plan = self.tickets.evidence.cases, self._plan
        if plan is not None:
            plan.require_sense(cases)
        require_tickets(self.cycle, cases)
        if plan is not None:
            plan.require_anybody(cases)
        _ = self.tickets.until

    @cached_property
    def _plan(self) -> PlanChecks | None:
        """The improvement that the cycle file proposes, if it does."""
        plan = self.cycle.settings.improvement
        return None if plan is None else PlanChecks(self.cycle, plan)

    # --- the steps

    def measure(self) -> Measured:
        """Measure every KPI and count every rule's verdicts, in both windows."""
        require_tickets(self.cycle, self.tickets.evidence.cases)
        found, rows = self._measured, self._rule_rows()
        frame = pd.DataFrame(rows)
        picture, charts, segments = rates(frame), self._charts(), self._segments()
        with self.manifest.step("1_measure") as folder:
            write_json(folder / SNAPSHOT, self._snapshot())
            plain = {name: [one.to_dict() for one in side] for name, side in found.items()}
            write_json(folder / "kpis.json", plain)
            write_json(folder / "rules.json", rows)
            for name, evidence in self.tickets.known.items():
                write_evidence(folder, name, evidence)
            write_parquet(folder / "findings.parquet", self.tickets.audit.result.findings)
            for name, table in (
                ("segments", segments),
                ("series", charts.series),
                ("signals", charts.signals),
                ("changes", charts.changes),
            ):
                write_parquet(folder / f"{name}.parquet", pa.Table.from_pandas(table))
            write_json(folder / "sentences.json", {"charts": list(charts.sentences)})
            write_text(folder / PICTURE, picture.svg)
            for place, chart in enumerate(charts.pictures, 1):
                write_text(folder / f"chart_{place}.svg", chart.svg)
        return Measured(
            story=Story(stories.measure_story(found, frame, charts)),
            kpis=stories.kpi_frame(found),
            rules=frame,
            service_levels=attained_by(self.tickets.clocks, "target").to_pandas(),
            service_levels_by_month=attained_by(self.tickets.clocks, "target", "month").to_pandas(),
            picture=picture,
            segments=stories.segment_frame(segments),
            signals=charts.signals,
            changes=charts.changes,
            charts=charts.pictures,
        )

    def analyse(self) -> Analysed:
        """Say what weighs most in the current window, what goes with it, and what could be done."""
        self._after("1_measure", self.measure)
        tickets, window = self.tickets, self.cycle.windows["current"]
        main = tickets.audit.practices[0]
        log, leave_out = main.translation.log, main.practice.outside_model
        waits = stories.in_hours(waiting(log, leave_out=leave_out).head(WAITS_SHOWN))
        found = effects_of(
            tickets.known["current"], window=window, catalogue=tickets.audit.catalogue
        )
        causes = causes_of(tickets.audit, found.pareto)
        could = opportunities_of(tickets.audit, window, losses=stories.losses(found.pareto))
        picture = pareto_picture(found.pareto)
        with self.manifest.step("2_analyse") as folder:
            for name, frame in (
                ("pareto", found.pareto),
                ("effects", found.effects),
                ("waits", waits),
                ("candidates", could.candidates.frame),
                ("teams", could.teams.frame),
            ):
                write_parquet(folder / f"{name}.parquet", pa.Table.from_pandas(frame))
            rows = could.ranked.frame.to_json(orient="records", double_precision=6)
            write_json(folder / "opportunities.json", json.loads(rows))
            write_json(folder / "drafts.json", stories.drafts_json(could, tickets.log_sha256))
            write_json(folder / "sentences.json", stories.analysis_sentences(found, causes, could))
            write_text(folder / PICTURE, picture.svg)
            write_text(folder / TEAMS_PICTURE, could.teams.picture)
        return Analysed(
            story=Story(stories.analyse_story(found, causes, could)),
            pareto=found.pareto,
            effects=found.effects,
            causes=stories.causes_frame(causes),
            waits=waits,
            opportunities=could.ranked.frame,
            candidates=could.candidates.frame,
            teams=could.teams.frame,
            breach_causes=stories.in_hours(self._breach_causes()),
            pauses=self._pauses(),
            process_map=process_picture(process_map(log, leave_out=leave_out)),
            picture=picture,
            teams_picture=Picture(could.teams.picture),
            tables={
                "pareto": analysis_tables.pareto_table(found.pareto),
                "effects": analysis_tables.effects_table(found.effects),
                "opportunities": analysis_tables.opportunities_table(could.ranked.frame),
                "candidates": analysis_tables.candidates_table(could.candidates.frame),
                "teams": analysis_tables.teams_table(could.teams.frame),
            },
        )

    def improve(self) -> Improved:
        """Register the improvement and freeze what decides; the same run gives the same entry."""
        self.check()
        self._after("2_analyse", self.analyse)
        proposed = None if self._plan is None else self._plan.improvement
        entry_id = self.improvements.own_entry(proposed)
        entry = None
        if entry_id:
            entry = self.improvements.begun(entry_id, in_effect=proposed is not None)
        frozen = {
            "entry": entry_id,
            "plan": dict(entry.plan) if entry else {},
            "decision_rule": entry.improvement.decision_rule.to_dict() if entry else {},
        }
        with self.manifest.step("3_improve") as folder:
            write_json(folder / "plan.json", frozen)
        return Improved(
            story=Story(improvement_words.improve_story(entry)),
            entry_id=entry_id,
            plan=improvement_words.plan_frame(entry),
            register=self.improvements.register.to_pandas(),
        )

    def evaluate(self) -> Evaluated:
        """Judge the improvement, and what else the register has under way; record the verdicts."""
        self._after("3_improve", self.improve)
        own = read_json(self.out / "3_improve" / "plan.json")["entry"]
        answers = self.improvements.answers(own)
        for answer in answers:
            self.improvements.record(answer)
        found = improvement_words.evaluation_of(answers, own)
        others, picture = self._others(), self._picture_of(answers)
        with self.manifest.step("4_evaluate") as folder:
            write_json(folder / "evaluation.json", found)
            write_json(folder / "others.json", others)
            write_json(folder / "register.json", self.improvements.register_rows())
            write_text(folder / PICTURE, picture.svg)
        return Evaluated(
            story=Story(improvement_words.evaluate_story(answers, own)),
            answers=tuple(answers),
            verdict=found["verdict"],
            result=improvement_words.answers_frame(answers),
            guardrails=improvement_words.guardrail_frame(answers),
            others=improvement_words.others_table(others),
            picture=picture,
        )

    # --- what the commands of the register do

    def start_entry(self, entry_id: str) -> Started:
        """Freeze an entry's rule and plan, from the baseline window of this cycle."""
        return Started(self.improvements.begun(entry_id))

    def evaluate_entry(self, entry_id: str) -> Answer:
        """Judge one entry as this cycle would, and record the verdict."""
        answer = self.improvements.answer(self.improvements.register.show(entry_id))
        if answer is None:
            end = self.cycle.windows["current"].end
            msg = f"{entry_id} cannot be evaluated on this log up to {end}"
            fix = "Start it, with a baseline window that the log holds, before the current one ends"
            raise CodedError("CY209", msg, fix=fix)
        self.improvements.record(answer)
        return answer

    # --- parts of the steps

    def _charts(self) -> KpiCharts:
        """Every KPI by week over both windows, against what was usual in the baseline."""
        windows = self.cycle.windows
        span = Days(windows["baseline"].start_us, windows["current"].end_us)
        every, known = self.tickets.catalogue.values(), self.tickets.evidence
        return charts_of(every, known, span, baseline=windows["baseline"])

    def _segments(self) -> pd.DataFrame:
        """The metric of this cycle in the current window, by every field that parts tickets.

        Where the log cannot tell it, the first KPI of the log stands in; `check` says so later.
        """
        plan = self.cycle.settings.improvement
        every = self.tickets.catalogue.values()
        named = [kpi for kpi in every if plan is not None and plan.kpi in (kpi.code, kpi.name)]
        known, window = self.tickets.known["current"], self.cycle.windows["current"]
        frames = [
            measure_by(kpi, known, window, field)
            for kpi in [*named, *every][:1]
            for field in FIELDS
        ]
        filled = [frame for frame in frames if len(frame)]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()

    def _breach_causes(self) -> pd.DataFrame:
        """Where the time of the promises went that were broken, by target."""
        late = [
            breach_causes(part.prepared.desk, part.clocks, part.practice).breaches
            for part in self.tickets.audit.practices
        ]
        found = Causes(pa.concat_tables([BREACHES.empty_table(), *late]).combine_chunks())
        frame: pd.DataFrame = found.by_target.to_pandas()
        return frame

    def _pauses(self) -> pd.DataFrame:
        """What the pause audit found, by practice; what a log does not tell is no zero."""
        frames = []
        for part in self.tickets.audit.practices:
            desk = part.prepared.desk
            held = pauses(desk, practice=part.practice.case_type)
            if held.num_rows:
                found = audit_pauses(desk, part.clocks, held).summary.to_pandas()
                found.insert(0, "practice", part.practice.name)
                frames.append(found)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _after(self, step: str, do: Callable[[], object]) -> None:
        """Do the step before, unless the manifest vouches for what it left."""
        if not self.manifest.done(step):
            do()

    @cached_property
    def _measured(self) -> dict[str, list[Measurement]]:
        """Every KPI in both windows, each as it was known at the end of its follow-up."""
        return {
            name: [
                kpis.measure(one, self.tickets.known[name], window)
                for one in self.tickets.catalogue.values()
            ]
            for name, window in self.cycle.windows.items()
        }

    def _rule_rows(self) -> list[dict[str, Any]]:
        """One row a rule and window, passes included."""
        return [
            {"window": name} | stories.tally_row(rule, self._verdicts(rule, name))
            for name in self.cycle.windows
            for rule in sorted(self._rules(), key=lambda rule: rule.code)
        ]

    def _rules(self) -> list[Rule]:
        return list(self.tickets.audit.result.rules)

    def _verdicts(self, rule: Rule, window: str) -> npt.NDArray[np.int8]:
        known = self.tickets.known[window]
        if rule.code not in known.verdicts:  # the rule's practice had no ticket by then
            return np.empty(0, dtype=np.int8)
        practice = self.tickets.audit.catalogue.practices.get(rule.case_type)
        # evidence knows a kind of case by the one that it refines
        case_type = rule.case_type if practice is None else practice.case_type
        seen = view(known, case_type=case_type, window=self.cycle.windows[window])
        return known.verdicts[rule.code][seen.rows]

    def _snapshot(self) -> dict[str, Any]:
        log = self.tickets.audit.log
        return {
            "sha256": log.meta.sha256,
            "cases": log.n_cases,
            "events": log.n_events,
            "windows": {n: w.model_dump(mode="json") for n, w in self.cycle.windows.items()},
            "quality": summary_of(self.tickets.audit)["quality"],
        }

    def _others(self) -> list[dict[str, Any]]:
        """Every KPI in both windows and by how much it differs: no verdict rests on it."""
        found = self._measured
        return [
            improvement_words.difference_row(self.tickets.catalogue[before.kpi], before, after)
            for before, after in zip(found["baseline"], found["current"], strict=True)
        ]

    def _picture_of(self, answers: list[Answer]) -> Picture:
        """The first improvement's metric in both windows; with none, nothing is drawn."""
        if not answers:
            return Picture("")
        first = answers[0]
        kpi, scope = first.question.kpi, first.question.scope
        sides = {
            name: known.sampled(kpi, scope)
            for name, known in (("baseline", first.baseline), ("current", first.current))
        }
        return before_after(sides, title=kpi.title, unit=kpi.unit)


def demo_desk(folder: Path) -> Path:
    """Simulate the demo desk into a folder, unless it is there, and return its cycle file."""
    from csi.simulate import Request, simulate, write  # noqa: PLC0415 - only the demo simulates

    path = folder / "cycle.toml"
    if not path.is_file():
        write(simulate(Request(seed=DEMO_SEED, tickets=DEMO_TICKETS)), folder)
    return path
