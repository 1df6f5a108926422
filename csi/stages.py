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

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from csi import kpi as kpis
from csi import stories
from csi.audit import Audit, AuditRequest, audit, audit_log
from csi.audit_evidence import evidence_of
from csi.audit_outputs import summary_of
from csi.cycle import Cycle, Window, load_cycle
from csi.evidence import EVERYTHING, Scope, matched_follow_up, view
from csi.manifest import Manifest
from csi.outputs import read_json, write_json, write_parquet, write_text
from csi.pictures import Picture, before_after, offences, process_picture, rates
from csi.register import Evaluation, Improvement, Register
from csi.service_levels.attained import attained_by
from csi.service_levels.causes import BREACHES, Causes, breach_causes
from csi.service_levels.pause_audit import audit_pauses
from csi.statistics import DecisionRule, Outcome, overall
from csi.stories import Story
from process_mining.discovery import process_map, waiting
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources import ReadOptions
from rules.service_level import CLOCKS, pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from csi.evidence import Evidence
    from csi.kpi import Kpi, Measurement
    from csi.statistics import Comparison
    from rules.spec import Rule

DEMO_TICKETS: Final = 1500
DEMO_SEED: Final = 7
PICTURE: Final = "picture.svg"
CASES: Final = "cases.parquet"
EVALUATOR: Final = "trueloop cycle"
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


@dataclass(frozen=True, eq=False)
class Analysed:
    """What weighs most."""

    story: Story
    pareto: pd.DataFrame
    waits: pd.DataFrame
    opportunities: pd.DataFrame
    breach_causes: pd.DataFrame
    pauses: pd.DataFrame
    process_map: Picture
    picture: Picture


@dataclass(frozen=True, eq=False)
class Improved:
    """What is to change, and how it will be judged."""

    story: Story
    entry_id: str
    plan: pd.DataFrame
    register: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Whether it got better."""

    story: Story
    verdict: Outcome
    comparison: Comparison
    result: pd.DataFrame
    others: pd.DataFrame
    picture: Picture


class Loop:
    """One turn of the loop over one cycle file, with its results in one folder."""

    def __init__(self, cycle: Cycle, out: Path) -> None:
        """Use `Loop.open`."""
        self.cycle, self.out = cycle, out
        self.manifest = Manifest.open(out, cycle)

    @classmethod
    def open(cls, cycle: str | Path = "", out: str | Path = "") -> Loop:
        """Open a cycle file; without one, the demo desk is simulated into ./trueloop-demo."""
        path = Path(cycle) if cycle else demo_desk(Path("trueloop-demo"))
        loaded = load_cycle(path)
        return cls(loaded, Path(out) if out else loaded.default_out)

    # --- what every step reads

    @cached_property
    def audit(self) -> Audit:
        """The audit of the whole log; its verdicts are cut into windows afterwards."""
        return audit(_audit_request(self.cycle))

    @cached_property
    def evidence(self) -> Evidence:
        """What the KPIs read about each case."""
        return evidence_of(self.audit)

    @cached_property
    def known(self) -> dict[str, Evidence]:
        """What was known of each window's tickets at the end of its follow-up.

        The log is cut there and judged anew, so that no verdict, clock or count of the baseline
        knows what came later.
        """
        return {name: self._known_at(us) for name, us in self._until().items()}

    def _known_at(self, moment_us: int) -> Evidence:
        whole = self.audit
        if moment_us >= whole.as_of_us:
            return self.evidence
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
    def windows(self) -> dict[str, Window]:
        """The two windows by name."""
        return {"baseline": self.cycle.settings.baseline, "current": self.cycle.settings.current}

    # --- before the steps

    def check(self) -> None:
        """Refuse what the cycle file asks for and cannot have; nothing is written."""
        kpi, guards = self._named_kpis()
        self._improvement(kpi, guards)
        Register.preflight(self.cycle.register)
        cases = self._cases()
        self._require_tickets(cases)
        raise_all([*self._foreign([kpi, *guards], cases), *self._unknown_words(kpi, cases)])
        self._require_anybody(kpi, cases)

    # --- the steps

    def measure(self) -> Measured:
        """Measure every KPI and count every rule's verdicts, in both windows."""
        self._require_tickets(self.evidence.cases)
        found, rows = self._measurements(), self._rule_rows()
        frame = pd.DataFrame(rows)
        picture = rates(frame)
        with self.manifest.step("1_measure") as folder:
            write_json(folder / "snapshot.json", self._snapshot())
            plain = {name: [one.to_dict() for one in side] for name, side in found.items()}
            write_json(folder / "kpis.json", plain)
            write_json(folder / "rules.json", rows)
            write_parquet(folder / CASES, pa.Table.from_pandas(self.evidence.cases))
            write_parquet(folder / "findings.parquet", self.audit.result.findings)
            write_text(folder / PICTURE, picture.svg)
        return Measured(
            story=Story(stories.measure_story(found, frame)),
            kpis=stories.kpi_frame(found),
            rules=frame,
            service_levels=attained_by(self.clocks, "target").to_pandas(),
            service_levels_by_month=attained_by(self.clocks, "target", "month").to_pandas(),
            picture=picture,
        )

    def analyse(self) -> Analysed:
        """Rank the offences of the current window, the waits, and what could be done about them."""
        self._after("1_measure", self.measure)
        rules = pd.DataFrame(read_json(self.out / "1_measure" / "rules.json"))
        pareto = stories.pareto(rules)
        main = self.audit.practices[0]
        log, leave_out = main.translation.log, main.practice.outside_model
        waits = stories.in_hours(waiting(log, leave_out=leave_out).head(WAITS_SHOWN))
        opportunities = self._opportunities(pareto)
        picture = offences(pareto)
        with self.manifest.step("2_analyse") as folder:
            write_parquet(folder / "pareto.parquet", pa.Table.from_pandas(pareto))
            write_parquet(folder / "waits.parquet", pa.Table.from_pandas(waits))
            write_json(folder / "opportunities.json", opportunities.to_dict(orient="records"))
            write_text(folder / PICTURE, picture.svg)
        return Analysed(
            story=Story(stories.analyse_story(pareto, waits)),
            pareto=pareto,
            waits=waits,
            opportunities=opportunities,
            breach_causes=stories.in_hours(self._breach_causes()),
            pauses=self._pauses(),
            process_map=process_picture(process_map(log, leave_out=leave_out)),
            picture=picture,
        )

    def improve(self) -> Improved:
        """Register the improvement and freeze its rule; the same run gives the same entry."""
        self.check()
        self._after("2_analyse", self.analyse)
        plan, register = self.cycle.plan, self.register
        kpi, guards = self._named_kpis()
        key, at = self.cycle.identity, _moment(plan.started)
        entry = self._improvement(kpi, guards)
        entry_id = register.add(entry, at=at, actor=plan.owner, key=f"{key}/add")
        register.start(entry_id, at=at, actor=plan.owner, key=f"{key}/start")
        rule = register.show(entry_id).improvement.decision_rule
        with self.manifest.step("3_improve") as folder:
            frozen = {"entry": entry_id, "kpi": kpi.code, "decision_rule": rule.to_dict()}
            write_json(folder / "plan.json", frozen)
        return Improved(
            story=Story(stories.improve_story(entry_id, plan.title, kpi, rule)),
            entry_id=entry_id,
            plan=stories.plan_frame(entry_id, kpi, self.cycle, rule),
            register=register.to_pandas(),
        )

    def evaluate(self) -> Evaluated:
        """Judge the improvement by its frozen rule, and record the verdict."""
        self._after("3_improve", self.improve)
        plan = read_json(self.out / "3_improve" / "plan.json")
        kpi = kpis.load_kpis()[plan["kpi"]]
        rule = DecisionRule.from_dict(plan["decision_rule"])
        scope = Scope.of(self.cycle.plan.scope)
        comparison, guards = self._compare(kpi, rule, scope), self._guardrails(rule)
        verdict = overall(comparison, list(guards.values()))
        self._record(plan["entry"], kpi, comparison, verdict, guards)
        others, picture = self._others(kpi, rule), self._before_after(kpi, scope)
        entry = self.register.show(plan["entry"])
        found = stories.evaluation_of(entry, kpi, comparison, verdict, guards)
        with self.manifest.step("4_evaluate") as folder:
            write_json(folder / "evaluation.json", found)
            write_json(folder / "others.json", others)
            write_json(folder / "register.json", self._register_rows())
            write_text(folder / PICTURE, picture.svg)
        row = stories.comparison_row(kpi, comparison) | {"verdict": verdict.value}
        return Evaluated(
            story=Story(stories.evaluate_story(entry, kpi, comparison, verdict)),
            verdict=verdict,
            comparison=comparison,
            result=pd.DataFrame([row]),
            others=pd.DataFrame(others),
            picture=picture,
        )

    # --- parts of the steps

    def _breach_causes(self) -> pd.DataFrame:
        """Where the time of the promises went that were broken, by target."""
        late = [
            breach_causes(part.prepared.desk, part.clocks, part.practice).breaches
            for part in self.audit.practices
        ]
        found = Causes(pa.concat_tables([BREACHES.empty_table(), *late]).combine_chunks())
        frame: pd.DataFrame = found.by_target.to_pandas()
        return frame

    def _pauses(self) -> pd.DataFrame:
        """What the pause audit found, by practice; what a log does not tell is no zero."""
        frames = []
        for part in self.audit.practices:
            desk = part.prepared.desk
            held = pauses(desk, practice=part.practice.case_type)
            if held.num_rows:
                found = audit_pauses(desk, part.clocks, held).summary.to_pandas()
                found.insert(0, "practice", part.practice.name)
                frames.append(found)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    @property
    def register(self) -> Register:
        """The improvement register that the cycle names; RG116 where its chain is broken."""
        found = Register.open(self.cycle.register)
        found.require_intact()
        return found

    def _after(self, step: str, do: Callable[[], object]) -> None:
        """Do the step before, unless the manifest vouches for what it left."""
        if not self.manifest.done(step):
            do()

    def _place(self, key: str) -> str:
        return f"improvement.{key} in {self.cycle.path.name}"

    def _named_kpis(self) -> tuple[Kpi, list[Kpi]]:
        """The metric and its guardrails; ST110, CY206: all mistakes in their names at once."""
        plan, every = self.cycle.plan, kpis.load_kpis()
        words = [("kpi", plan.kpi), *(("guardrails", word) for word in plan.guardrails)]
        found: list[Kpi] = []
        wrong: list[CodedError] = []
        for key, word in words:
            try:
                found.append(kpis.pick(every, word))
            except CodedError as error:
                what = f"{self._place(key)}: {error.what}"
                wrong.append(CodedError(error.code, what, fix=error.fix))
        raise_all(wrong)
        kpi, *guards = found
        if kpi in guards:
            msg = f"{self._place('guardrails')}: {kpi.code} is the metric that decides"
            raise CodedError("CY206", msg, fix="Take it out of the guardrails")
        return kpi, guards

    def _cases(self) -> pd.DataFrame:
        """The cases as the first step left them, else from the log."""
        if not self.manifest.done("1_measure"):
            return self.evidence.cases
        cases: pd.DataFrame = pq.read_table(self.out / "1_measure" / CASES).to_pandas()
        return cases

    def _foreign(self, named: list[Kpi], cases: pd.DataFrame) -> list[CodedError]:
        """A mistake for each KPI that is about tickets of which the log holds none."""
        types = sorted(set(cases["case_type"]))
        return [
            CodedError(
                "CY207",
                f"{self._place('kpi' if kpi is named[0] else 'guardrails')}: {kpi.code} measures "
                f"{kpi.case_type} tickets, and the log holds none",
                fix=f"Take a KPI of: {', '.join(types)}",
            )
            for kpi in named
            if kpi.case_type not in types
        ]

    def _unknown_words(self, kpi: Kpi, cases: pd.DataFrame) -> list[CodedError]:
        """A mistake for each word of the scope that no ticket of the metric's type has."""
        mine = cases[cases["case_type"] == kpi.case_type]
        wrong: list[CodedError] = []
        for name, words in Scope.of(self.cycle.plan.scope).filters().items():
            known = sorted(set(mine[name].dropna()))
            for word in sorted(set(words) - set(known)):
                what = f"{self._place(f'scope.{name}')}: no {kpi.case_type} of the log has '{word}'"
                fix = did_you_mean(word, known) or f"Leave it out: the log tells no {name}"
                wrong.append(CodedError("CY205", what, fix=fix))
        return wrong

    def _require_anybody(self, kpi: Kpi, cases: pd.DataFrame) -> None:
        """Refuse a scope each of whose words is known, but which no ticket of a window matches."""
        scope = Scope.of(self.cycle.plan.scope)
        chosen = cases[cases["case_type"] == kpi.case_type]
        for name, words in scope.filters().items():
            chosen = chosen[chosen[name].isin(words)]
        if not any(_opened_in(chosen, window).any() for window in self.windows.values()):
            msg = f"{self._place('scope')}: no {kpi.case_type} of either window is {scope.words}"
            raise CodedError("CY205", msg, fix="Widen the scope")

    def _require_tickets(self, cases: pd.DataFrame) -> None:
        for name, window in self.windows.items():
            if not _opened_in(cases, window).any():
                msg = f"the {name} window {window.start} to {window.end} holds no ticket"
                raise CodedError("CY203", msg, fix=_span_of(cases["opened_us"]))

    def _until(self) -> dict[str, int]:
        """Until when each window's tickets are followed: for equally long."""
        ends = matched_follow_up(self.evidence, *self.windows.values())
        for (name, window), end in zip(self.windows.items(), ends, strict=True):
            if end <= window.start_us:
                msg = f"the log ends too early to follow the {name} window for as long as the other"
                raise CodedError("CY208", msg, fix=_span_of(self.evidence.cases["opened_us"]))
        return dict(zip(self.windows, ends, strict=True))

    def _measurements(self) -> dict[str, list[Measurement]]:
        return {
            name: [kpis.measure(one, self.known[name], window) for one in self.catalogue.values()]
            for name, window in self.windows.items()
        }

    def _rule_rows(self) -> list[dict[str, Any]]:
        """One row a rule and window, passes included."""
        return [
            {"window": name} | stories.tally_row(rule, self._verdicts(rule, name))
            for name in self.windows
            for rule in sorted(self._rules(), key=lambda rule: rule.code)
        ]

    def _rules(self) -> list[Rule]:
        return list(self.audit.result.rules)

    def _verdicts(self, rule: Rule, window: str) -> npt.NDArray[np.int8]:
        known = self.known[window]
        if rule.code not in known.verdicts:  # the rule's practice had no ticket by then
            return np.empty(0, dtype=np.int8)
        practice = self.audit.catalogue.practices.get(rule.case_type)
        # evidence knows a kind of case by the one that it refines
        case_type = rule.case_type if practice is None else practice.case_type
        seen = view(known, case_type=case_type, window=self.windows[window])
        return known.verdicts[rule.code][seen.rows]

    def _snapshot(self) -> dict[str, Any]:
        log = self.audit.log
        return {
            "sha256": log.meta.sha256,
            "cases": log.n_cases,
            "events": log.n_events,
            "windows": {n: w.model_dump(mode="json") for n, w in self.windows.items()},
            "quality": summary_of(self.audit)["quality"],
        }

    def _opportunities(self, pareto: pd.DataFrame) -> pd.DataFrame:
        """The remedy of each offence of the current window, the weightiest first."""
        remedies = {rule.code: (rule.remedy, rule.owner) for rule in self._rules()}
        frame = pareto[["code", "title", "severity", "violates"]].copy()
        frame["remedy"] = [remedies[code][0] for code in frame["code"]]
        frame["owner"] = [remedies[code][1] for code in frame["code"]]
        return frame

    def _improvement(self, kpi: Kpi, guards: list[Kpi]) -> Improvement:
        plan = self.cycle.plan
        return Improvement(
            title=plan.title,
            opportunity=plan.opportunity,
            hypothesis=plan.hypothesis,
            kpi=kpi.code,
            owner=plan.owner,
            decision_rule=DecisionRule(minimum_effect=plan.minimum_effect),
            scope=dict(plan.scope),
            comparison_group="the same scope in the baseline window",
            guardrails=tuple(guard.code for guard in guards),
            planned_start=plan.started.isoformat(),
            planned_evaluation=self.cycle.settings.current.end.isoformat(),
        )

    def _compare(self, kpi: Kpi, rule: DecisionRule, scope: Scope) -> Comparison:
        settings = self.cycle.settings
        return kpis.compare(
            kpi,
            self.evidence,
            baseline=settings.baseline,
            current=settings.current,
            rule=rule,
            scope=scope,
            known_then=self.known["baseline"],
        )

    def _guardrails(self, rule: DecisionRule) -> dict[str, Comparison]:
        scope = Scope.of(self.cycle.plan.scope)
        _, named = self._named_kpis()
        return {kpi.code: _guarded(self._compare(kpi, rule, scope)) for kpi in named}

    def _record(
        self,
        entry_id: str,
        kpi: Kpi,
        comparison: Comparison,
        verdict: Outcome,
        guards: Mapping[str, Comparison],
    ) -> None:
        settings = self.cycle.settings
        said = {code: one.verdict.value for code, one in guards.items()}
        evaluation = replace(
            Evaluation.of(comparison, kpi=kpi.code, verdict=verdict, guardrails=said),
            baseline=(settings.baseline.start.isoformat(), settings.baseline.end.isoformat()),
            current=(settings.current.start.isoformat(), settings.current.end.isoformat()),
            log_sha256=self.audit.log.meta.sha256,
        )
        self.register.record_evaluation(
            entry_id,
            evaluation,
            at=_moment(settings.report_date),
            actor=EVALUATOR,
            key=f"{self.cycle.identity}/evaluate/{self.audit.log.meta.sha256[:16]}",
        )

    def _others(self, primary: Kpi, rule: DecisionRule) -> list[dict[str, Any]]:
        """Every other KPI compared without scope: for orientation, no verdict rests on it."""
        return [
            stories.comparison_row(kpi, self._compare(kpi, rule, EVERYTHING))
            for kpi in self.catalogue.values()
            if kpi.code != primary.code
        ]

    def _register_rows(self) -> list[dict[str, Any]]:
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

    def _before_after(self, kpi: Kpi, scope: Scope) -> Picture:
        sides = {
            name: kpis.sampled(kpi, self.known[name], window, scope)
            for name, window in self.windows.items()
        }
        return before_after(sides, title=kpi.title, unit=kpi.unit)


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


def _moment(day: dt.date) -> dt.datetime:
    """Midnight UTC of a day."""
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def _opened_in(cases: pd.DataFrame, window: Window) -> pd.Series:
    return cases["opened_us"].between(window.start_us, window.end_us, inclusive="left")


def _guarded(one: Comparison) -> Comparison:
    """Judge a guardrail: it is worse where its whole interval is, however small the harm.

    The minimum effect is the metric's, in the metric's unit; as a margin for a KPI of another unit
    (0.1 is 10 % of a time, but 10 points of a share) it would mean nothing.
    """
    limit = one.high if one.better == "higher" else one.low
    if one.verdict is not Outcome.NO_EFFECT or limit is None:
        return one
    worse = limit < 0 if one.better == "higher" else limit > 0
    said = "Worse: the whole interval is on the worse side."
    return replace(one, verdict=Outcome.WORSE, sentence=said) if worse else one


def _span_of(opened: pd.Series) -> str:
    """Say between which days tickets were opened."""
    first, last = (pd.Timestamp(int(us), unit="us").date() for us in (opened.min(), opened.max()))
    return f"Tickets were opened from {first} to {last}; move the windows there"


def demo_desk(folder: Path) -> Path:
    """Simulate the demo desk into a folder, unless it is there, and return its cycle file."""
    from csi.simulate import Request, simulate, write  # noqa: PLC0415 - only the demo simulates

    path = folder / "cycle.toml"
    if not path.is_file():
        write(simulate(Request(seed=DEMO_SEED, tickets=DEMO_TICKETS)), folder)
    return path
