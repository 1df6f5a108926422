"""When may we say that it got better? A rule that is fixed before anyone looks.

Let e be the effect (current against baseline), [l, h] its interval, m the minimum effect that
would matter, signs turned so that positive is better. A `DecisionRule` decides in this order:

    inconclusive      fewer than min_n cases (or min_clusters clusters) on one side, or no effect
                      can be computed
    no effect shown   -m < l and h < m: whatever it is, it is too small to matter
    improved          l > 0: surely better, and a gain of m is not ruled out
    worse             h < 0
    inconclusive      anything else; the sentence says what n would settle it

(Interval rules of this kind: Altman & Bland 1995, BMJ 311, 485; the first part is the interval
inclusion principle of Westlake 1972 and Schuirmann 1987.) That the estimate itself reaches m is not
asked: a gain of just m would then be found half of the time, however large n is. Where a test that
does not rest on the interval was made too (`Effect.p_value`, the permutation test), "improved" and
"worse" need its p to be at most 1 - confidence: two keys. Without any effect the chance of both
together is at most about 1 - confidence.

What n would settle it: the distance of a limit from e shrinks as 1 / sqrt(n); if e stays as it is,
n * (distance now / distance allowed)^2 cases a side are enough for the nearest of the three
verdicts. It is a plan for the next window, not a promise.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csi.statistics.estimate import Estimate

Direction = Literal["lower", "higher"]


class Outcome(StrEnum):
    """The verdict on an improvement, in the words that results carry."""

    IMPROVED = "improved"
    NO_EFFECT = "no effect shown"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    GUARDRAIL = "guardrail breached"


CLAIMS: Final = (Outcome.IMPROVED, Outcome.WORSE)


@dataclass(frozen=True)
class DecisionRule:
    """What decides, fixed before the evaluation; the seed belongs to it, so none can be picked.

    `minimum_effect`: relative change for times (0.1 is 10 %), difference of shares for shares
    (0.1 is 10 percentage points), points for scores. `power`: the chance at which a true effect of
    that size shall be found; it decides how long is waited. `min_n`: cases a side. `min_clusters`:
    days or weeks a side, where clusters are given.
    """

    minimum_effect: float
    confidence: float = 0.95
    power: float = 0.9
    min_n: int = 30
    min_clusters: int = 6
    replicates: int = 1999
    seed: int = 20_240_101

    def __post_init__(self) -> None:
        """Refuse numbers that cannot decide anything, all at once."""
        checks = (
            ("minimum_effect", self.minimum_effect > 0, "a number above 0"),
            ("confidence", 0.5 < self.confidence < 1, "between 0.5 and 1, such as 0.95"),  # noqa: PLR2004
            ("power", 0.5 <= self.power < 1, "from 0.5 to below 1, such as 0.9"),  # noqa: PLR2004
            ("min_n", self.min_n >= 2, "at least 2"),  # noqa: PLR2004 - one case has no spread
            ("min_clusters", self.min_clusters >= 2, "at least 2"),  # noqa: PLR2004 - the same
            ("replicates", self.replicates >= 199, "at least 199"),  # noqa: PLR2004 - 5 in a tail
            ("seed", self.seed >= 0, "0 or more"),
        )
        raise_all(
            [
                CodedError("ST120", f"decision rule: {name} is {getattr(self, name)}", fix=f"{fix}")
                for name, good, fix in checks
                if not good
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> DecisionRule:
        """Read what `to_dict` gave; unknown names are refused."""
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown or "minimum_effect" not in given:
            msg = (
                f"decision rule: unknown {unknown}" if unknown else "decision rule: no effect size"
            )
            known = ", ".join(cls.__dataclass_fields__)
            raise CodedError("ST121", msg, fix=f"Known: {known}; minimum_effect is needed")
        return cls(
            minimum_effect=float(given["minimum_effect"]),
            confidence=float(given.get("confidence", cls.confidence)),
            power=float(given.get("power", cls.power)),
            min_n=int(given.get("min_n", cls.min_n)),
            min_clusters=int(given.get("min_clusters", cls.min_clusters)),
            replicates=int(given.get("replicates", cls.replicates)),
            seed=int(given.get("seed", cls.seed)),
        )


@dataclass(frozen=True)
class Comparison:
    """Current against baseline: the effect with its interval, and the verdict of the rule.

    `effect`, `low`, `high` keep their own sign (a time that halves is -0.5) in `unit`:
    "relative change", "difference of shares" or "points". `n_needed` is cases a side.
    """

    verdict: Outcome
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    better: Direction
    baseline: Estimate
    current: Estimate
    method: str
    rule: DecisionRule
    sentence: str
    n_needed: int | None = None
    p_value: float | None = None

    @property
    def n(self) -> int:
        """Cases on both sides together."""
        return self.baseline.n + self.current.n

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {**asdict(self), "verdict": self.verdict.value, "n": self.n}


@dataclass(frozen=True)
class Effect:
    """An effect and its interval before it is judged; infinite limits are limits unknown."""

    value: float
    low: float
    high: float
    unit: str
    method: str
    p_value: float | None = None


def judge(  # noqa: PLR0913 - what was found, and what it is judged by
    effect: Effect | None,
    *,
    rule: DecisionRule,
    better: Direction,
    sides: tuple[Estimate, Estimate],
    obstacle: str = "",
    total: bool = False,
) -> Comparison:
    """Apply the rule to `sides`, baseline and current.

    `obstacle` is a reason other than n why nothing can be decided, whatever the numbers. The n of a
    `total` are no cases drawn: none are asked for, and more of them would settle nothing.
    """
    if effect is None or not math.isfinite(effect.value):
        reason = obstacle or "the effect cannot be computed: too few cases have ended"
        return not_comparable(reason, rule=rule, better=better, sides=sides)
    baseline, current = sides
    reason = obstacle or ("" if total else _too_few(rule, baseline, current))
    good = _turned(effect, better)
    verdict = Outcome.INCONCLUSIVE if reason else _decide(good, rule.minimum_effect)
    if verdict in CLAIMS and not _agrees(effect, rule):
        verdict, reason = (
            Outcome.INCONCLUSIVE,
            f"the permutation test gives p = {effect.p_value:.3f}",
        )
    needed = None
    if verdict is Outcome.INCONCLUSIVE and not obstacle and not total:
        needed = _needed(good, rule, min(baseline.n, current.n))
    return Comparison(
        verdict=verdict,
        effect=effect.value,
        low=_limit(effect.low),
        high=_limit(effect.high),
        unit=effect.unit,
        better=better,
        baseline=baseline,
        current=current,
        method=effect.method,
        rule=rule,
        sentence=_sentence(verdict, effect, rule, reason, needed),
        n_needed=needed,
        p_value=effect.p_value,
    )


def not_comparable(
    reason: str,
    *,
    rule: DecisionRule,
    better: Direction,
    sides: tuple[Estimate, Estimate],
) -> Comparison:
    """Return "inconclusive" for two estimates between which no effect can be computed."""
    return Comparison(
        verdict=Outcome.INCONCLUSIVE,
        effect=None,
        low=None,
        high=None,
        unit="",
        better=better,
        baseline=sides[0],
        current=sides[1],
        method="none",
        rule=rule,
        sentence=f"Inconclusive: {reason}.",
    )


def _turned(effect: Effect, better: Direction) -> tuple[float, float, float]:
    """Return low, value, high with positive for better."""
    if better == "higher":
        return effect.low, effect.value, effect.high
    return -effect.high, -effect.value, -effect.low


def _decide(good: tuple[float, float, float], minimum: float) -> Outcome:
    low, _, high = good
    if -minimum < low and high < minimum:
        return Outcome.NO_EFFECT
    if low > 0:
        return Outcome.IMPROVED
    return Outcome.WORSE if high < 0 else Outcome.INCONCLUSIVE


def _agrees(effect: Effect, rule: DecisionRule) -> bool:
    return effect.p_value is None or effect.p_value <= 1 - rule.confidence


def _too_few(rule: DecisionRule, baseline: Estimate, current: Estimate) -> str:
    sides = (("baseline", baseline.n), ("current", current.n))
    few = [f"{side} has {n}" for side, n in sides if n < rule.min_n]
    return f"{' and '.join(few)} cases, the rule asks for {rule.min_n}" if few else ""


def _needed(good: tuple[float, float, float], rule: DecisionRule, n: int) -> int | None:
    """Cases a side that would give the nearest clear verdict if the effect stays; None: unknown."""
    low, value, high = good
    minimum = rule.minimum_effect
    down, up = value - low, high - value
    # by what factor the interval may stay wide under each verdict that this estimate can reach
    factors = [_ratio(min(minimum + value, minimum - value), max(down, up))]
    if value > 0:
        factors.append(_ratio(value, down))
    if value < 0:
        factors.append(_ratio(-value, up))
    best = max(factors)
    if not math.isfinite(best) or best <= 0:
        return None
    return max(rule.min_n, _two_digits(n / min(best, 1.0) ** 2))


def _ratio(allowed: float, now: float) -> float:
    if not math.isfinite(now) or allowed <= 0:
        return 0.0
    return allowed / now if now > 0 else 1.0


def _two_digits(n: float) -> int:
    """Round up to two leading digits: more would feign precision."""
    step = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return int(math.ceil(n / step) * step)


def _limit(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sentence(
    verdict: Outcome, effect: Effect, rule: DecisionRule, reason: str, needed: int | None
) -> str:
    size = f"{_shown(effect, effect.value)} ({_span(effect)})"
    least = _shown(effect, rule.minimum_effect).lstrip("+")
    if verdict is Outcome.IMPROVED:
        return f"Improved: {size}; the whole interval is better, and {least} is not ruled out."
    if verdict is Outcome.WORSE:
        return f"Worse: {size}; the whole interval is on the worse side."
    if verdict is Outcome.NO_EFFECT:
        return f"No effect shown: {size}; the whole interval is smaller than {least}."
    because = f" because {reason}" if reason else ""
    more = f"; if the effect stays, about {needed} cases a side would settle it" if needed else ""
    return f"Inconclusive{because}: {size}{more}."


def _span(effect: Effect) -> str:
    low = _shown(effect, effect.low) if math.isfinite(effect.low) else "unbounded"
    high = _shown(effect, effect.high) if math.isfinite(effect.high) else "unbounded"
    return f"{low} to {high}"


def _shown(effect: Effect, value: float) -> str:
    return effect_in_words(value, effect.unit)


def effect_in_words(value: float, unit: str) -> str:
    """Say an effect with its sign and unit: "-12.0 %", "+3.1 percentage points"."""
    if unit == "relative change":
        return f"{100 * value:+.1f} %"
    if unit == "difference of shares":
        return f"{100 * value:+.1f} percentage points"
    return f"{value:+.2f} {unit}"
