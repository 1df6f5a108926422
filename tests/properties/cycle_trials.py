"""Many simulated cycles, each planned and judged by the product: what share came out how?

A `Kind` is a desk, a question and what is planted when something is. `run_one` carries one cycle
through: the plan from the baseline alone, a current window as long as the plan asks for, the
verdict. An `Arm` repeats that; each cycle has a seed of its own, derived from the seed of
the run, the names of the kind and the arm and its number, so the answers do not hang on the order.
"""

from __future__ import annotations

import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from properties.simulated_cycles import MONDAY_US, NOTHING, Cycle, Planted, World
from scipy.stats import binomtest

from csi.evaluation import Design, EvaluationPlan, Guardrail, Known, Question, judge_question, plan
from csi.evidence import EVERYTHING, Scope
from csi.kpi import load_kpis
from csi.statistics import DecisionRule, Outcome
from csi.statistics.decision import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csi.kpi import Kpi
    from csi.statistics import Comparison

REPLICATES = 399  # of the bootstrap and of the permutation test; the product's default is 1,999
MOST_WEEKS = 60  # a plan that asks for more is counted, and judged after so many
WITHOUT_A_PLAN = 13  # weeks, where the plan says that no number would be enough
CHUNK, TELL_EVERY = 5, 500  # cycles
CLAIMED = {one.value for one in CLAIMS}


@dataclass(frozen=True)
class Kind:
    """A desk and what is asked about it.

    `planted` is the effect at the declared `minimum`. `design`: which one the rules of design shall
    choose, mostly. `guardrails`: (code, margin). `weeks`: a current window of so many weeks and the
    design as named, in place of what the plan says.
    """

    name: str
    kpi: str
    world: World
    planted: Planted
    minimum: float
    design: Design = Design.BEFORE_AFTER
    baseline_weeks: int = 26
    guardrails: tuple[tuple[str, float], ...] = ()
    also: tuple[str, ...] = ()
    replicates: int = REPLICATES
    weeks: int | None = None


def effect_on(code: str, planted: Planted) -> float:
    """Return what is planted on a KPI."""
    found = {
        "KPI01": planted.times,
        "KPI02": planted.times,
        "KPI03": planted.met,
        "KPI05": planted.reopened,
        "KPI06": planted.score,
    }
    return float(found[code])


@dataclass(frozen=True)
class Window:
    """A half-open window."""

    start_us: int
    end_us: int


@dataclass(frozen=True)
class Told:
    """What the product said about one cycle.

    `limits`: low and high of the primary metric, infinite where they are not bounded, None where
    there is no effect. `further`: what is said of further metrics, after Holm. `planned`: weeks
    asked for, None where no number would be enough.
    """

    verdict: str
    primary: str
    design: str
    effect: float | None
    limits: tuple[float, float] | None
    planned: int | None
    weeks: int
    further: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()


def question_of(kind: Kind) -> Question:
    """Return the question as it would be fixed at the start of the improvement."""
    kpis, names = catalogue(), kind.world.team_names
    touched = len(kind.world.teams)
    compared = bool(kind.world.others)
    return Question(
        kpi=kpis[kind.kpi],
        rule=DecisionRule(minimum_effect=kind.minimum, replicates=kind.replicates),
        scope=Scope(team=names[:touched]) if compared else EVERYTHING,
        comparison=Scope(team=names[touched:]) if compared else None,
        guardrails=tuple(Guardrail(kpis[code], margin) for code, margin in kind.guardrails),
        also=tuple(kpis[code] for code in kind.also),
    )


def run_one(kind: Kind, seed: tuple[int, ...], planted: Planted = NOTHING) -> Told:
    """Plan and judge one cycle."""
    cycle = Cycle(kind.world, planted, kind.baseline_weeks, seed)
    before = Known(cycle.baseline(), Window(MONDAY_US, cycle.end_us()), cycle.as_of_us())
    question = question_of(kind)
    frozen = (
        plan(question, before)
        if kind.weeks is None
        else EvaluationPlan(kind.design, "it is set here", needed_weeks=kind.weeks)
    )
    weeks = min(frozen.needed_weeks or WITHOUT_A_PLAN, MOST_WEEKS)
    after = Known(
        cycle.both(weeks), Window(cycle.end_us(), cycle.end_us(weeks)), cycle.as_of_us(weeks)
    )
    judged = judge_question(question, frozen, baseline=before, current=after)
    return Told(
        verdict=str(judged.verdict),
        primary=str(judged.primary.verdict),
        design=str(frozen.design),
        effect=judged.primary.effect,
        limits=limits_of(judged.primary),
        planned=frozen.needed_weeks,
        weeks=weeks,
        further=tuple(one.verdict for one in judged.also),
        guardrails=tuple(str(one.status) for one in judged.guardrails),
    )


def limits_of(found: Comparison) -> tuple[float, float] | None:
    """Return the interval; a limit that is not known bounds nothing."""
    if found.effect is None:
        return None
    low = -np.inf if found.low is None else found.low
    return low, np.inf if found.high is None else found.high


@dataclass(frozen=True)
class Arm:
    """A kind with something planted, or nothing: what is repeated."""

    kind: Kind
    name: str
    planted: Planted = NOTHING

    @property
    def label(self) -> str:
        """Kind and arm in words; the seeds hang on it."""
        return f"{self.kind.name}, {self.name}"

    def one(self, seed: int, i: int) -> Told:
        """Run the i-th cycle of a run with this seed."""
        return run_one(self.kind, (seed, zlib.crc32(self.label.encode()), i), self.planted)

    def run(self, n: int, *, seed: int, pool: ProcessPoolExecutor | None = None) -> Tally:
        """Run n cycles, each with a seed of its own."""
        one = partial(self.one, seed)
        if pool is None:
            return Tally(self, tuple(map(one, range(n))))
        told, began = [], time.monotonic()
        for answer in pool.map(one, range(n), chunksize=CHUNK):
            told.append(answer)
            if len(told) % TELL_EVERY == 0 or len(told) == n:
                took = time.monotonic() - began
                print(f"{self.label}: {len(told)} of {n}, {took:.0f} s", flush=True)  # noqa: T201 - progress of a long run
        return Tally(self, tuple(told))


def processes(n: int) -> ProcessPoolExecutor:
    """Return so many processes; they start afresh, so nothing hangs on what ran before."""
    return ProcessPoolExecutor(n, mp_context=get_context("spawn"))


@dataclass(frozen=True)
class Rate:
    """k of n with its 95 % Monte-Carlo interval (Clopper-Pearson)."""

    k: int
    n: int

    @property
    def share(self) -> float:
        """k / n."""
        return self.k / self.n

    def at_most(self, rate: float) -> bool:
        """Whether a true rate of at most this can have given it: a one-sided test at 0.5 %."""
        return bool(binomtest(self.k, self.n, rate, alternative="greater").pvalue > 0.005)

    def at_least(self, rate: float) -> bool:
        """Whether a true rate of at least this can have given it."""
        return Rate(self.n - self.k, self.n).at_most(1 - rate)

    @property
    def interval(self) -> tuple[float, float]:
        """Between which rates the true one lies."""
        found = binomtest(self.k, self.n).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        """Say it in percent."""
        low, high = self.interval
        return f"{100 * self.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


@dataclass(frozen=True)
class Tally:
    """What was said about the cycles of an arm."""

    arm: Arm
    told: tuple[Told, ...]

    def of(self, *verdicts: Outcome) -> Rate:
        """How often the overall verdict was one of these."""
        return self._rate(one.verdict in verdicts for one in self.told)

    @property
    def claims(self) -> Rate:
        """How often it was "improved" or "worse"."""
        return self.of(*CLAIMS)

    @property
    def further_claims(self) -> Rate:
        """How often any further metric was claimed to have changed, after Holm."""
        return self._rate(not CLAIMED.isdisjoint(one.further) for one in self.told)

    @property
    def primary_claims(self) -> Rate:
        """How often the metric itself was claimed to have changed, whatever guardrails say."""
        return self._rate(one.primary in CLAIMED for one in self.told)

    @property
    def any_claim(self) -> Rate:
        """How often any metric at all was."""
        return self._rate(not CLAIMED.isdisjoint((one.primary, *one.further)) for one in self.told)

    @property
    def covered(self) -> Rate:
        """How often the interval held the truth; without an interval it did not."""
        truth = effect_on(self.arm.kind.kpi, self.arm.planted)
        return self._rate(
            one.limits is not None and one.limits[0] <= truth <= one.limits[1] for one in self.told
        )

    @property
    def by_design(self) -> Rate:
        """How often the expected design was chosen."""
        return self._rate(one.design == self.arm.kind.design for one in self.told)

    @property
    def without_plan(self) -> Rate:
        """How often no number of weeks would do, or more than are simulated."""
        return self._rate(one.planned is None or one.planned > MOST_WEEKS for one in self.told)

    @property
    def planned(self) -> Tally:
        """Those cycles whose current window was as long as planned."""
        kept = [one for one in self.told if one.planned == one.weeks]
        return replace(self, told=tuple(kept))

    @property
    def weeks(self) -> tuple[float, float, float]:
        """10th percentile, median and 90th percentile of the weeks simulated."""
        low, middle, high = np.percentile([one.weeks for one in self.told], [10, 50, 90])
        return float(low), float(middle), float(high)

    @staticmethod
    def _rate(found: Iterable[bool]) -> Rate:
        each = list(found)
        return Rate(sum(each), len(each))


@cache
def catalogue() -> dict[str, Kpi]:
    """Return the KPIs of the product."""
    return load_kpis()


FASTER, MORE_MET, HAPPIER = Planted(times=-0.25), Planted(met=0.08), Planted(score=0.4)
MUCH_FASTER, MANY_MORE_MET = Planted(times=-0.3), Planted(met=0.1)
FOUR = (0.7, 1.0, 1.2, 1.5)
EIGHT = (0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.4, 1.6)

EVERYBODY = Planted(times=0.2, met=-0.05)  # befalls both groups at the intervention
COMPARED = World(others=FOUR, common=EVERYBODY)
MANY_TEAMS = World(per_week=8, teams=EIGHT, others=EIGHT, common=EVERYBODY)
RISING = World(trend=0.02, persistence=0.2, per_week=25)
SINKING = World(trend_of_met=-0.003, per_week=25)

TIMES = Kind("times", "KPI01", World(), FASTER, 0.25)
MAIN = (
    TIMES,
    Kind("clocks met", "KPI03", World(), MORE_MET, 0.08),
    Kind("scores", "KPI06", World(), HAPPIER, 0.4),
    Kind("times, weeks drawn", "KPI01", COMPARED, MUCH_FASTER, 0.3, Design.DIFFERENCE),
    Kind("times on a trend", "KPI01", RISING, MUCH_FASTER, 0.3, Design.INTERRUPTED, 52),
)
OTHERS = (
    replace(TIMES, name="times, many long waits", world=World(heavy=True)),
    Kind("clocks met, teams drawn", "KPI03", MANY_TEAMS, MANY_MORE_MET, 0.1, Design.DIFFERENCE),
    Kind("clocks met on a trend", "KPI03", SINKING, MANY_MORE_MET, 0.1, Design.INTERRUPTED, 52),
)
WEAKNESSES = tuple(
    Arm(replace(TIMES, name=f"times; {name}", world=world), "nothing planted")
    for name, world in (
        ("they grow by 0.25 % a week", World(trend=0.0025)),
        ("they grow by 0.5 % a week", World(trend=0.005)),
        ("they grow by 1 % a week", World(trend=0.01)),
        ("work moves from quick teams to slow ones", World(team_drift=0.3)),
        ("shocks of neighbouring weeks correlate by 0.6", World(persistence=0.6)),
    )
)
UNTOUCHED = tuple(Arm(kind, "nothing planted") for kind in MAIN)
VARIANTS = tuple(Arm(kind, "nothing planted") for kind in OTHERS)
IMPROVED = tuple(Arm(kind, "the minimum planted", kind.planted) for kind in (*MAIN, *OTHERS))

WATCHED = replace(
    TIMES,
    name="times, with reopenings and scores as guardrails",
    guardrails=(("KPI05", 0.06), ("KPI06", 0.5)),
)
HARMLESS = Arm(WATCHED, "no harm", FASTER)
AT_THE_MARGIN = (
    Arm(WATCHED, "reopenings harmed by the margin", replace(FASTER, reopened=0.06)),
    Arm(WATCHED, "scores harmed by the margin", replace(FASTER, score=-0.5)),
)
BREACHED = (
    Arm(WATCHED, "reopenings harmed by twice the margin", replace(FASTER, reopened=0.12)),
    Arm(WATCHED, "scores harmed by twice the margin", replace(FASTER, score=-1.0)),
)
FAMILY = replace(TIMES, name="times, and three metrics more", also=("KPI03", "KPI05", "KPI06"))
FAMILY_FASTER = Arm(FAMILY, "times alone planted", FASTER)
