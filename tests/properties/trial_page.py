"""The page of the trial of the statistics: what was simulated, what came out, what was not."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from properties.cycle_trials import REPLICATES, Rate, Tally

from csi.statistics import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PACKAGES = ("numpy", "pandas", "scipy", "statsmodels")
PAGE = """# Does the evaluation keep its promises?

Written by `make trial-statistics`, from a run: {cycles:,} simulated cycles, seed {seed}; Python
{python}, {packages}. The same seed and the same versions give the same bytes.

Each cycle goes the whole way of an improvement. The plan is made from the baseline alone. It
chooses the design and says how many weeks are needed. The current window is then as long as the
plan says. The verdict comes from the frozen plan and rule, as in `trueloop cycle run`. The only
difference: {replicates} random draws for each interval and each permutation test in place of
1,999, to save time.

Rates are in percent, with their 95 % Monte-Carlo interval in brackets (Clopper-Pearson). It says
how far a rate may be off because only so many cycles were run.

## Nothing happened: how often is a change claimed?

Promise: "improved" and "worse" together in at most 5 % of the cycles, and the 95 % interval holds
the true effect (none) in 93 to 97 %.

{untouched}

## The minimum was planted: how often is it found?

The true effect is just the minimum that was declared. Promise: "improved" in at least 80 % of the
cycles whose window was as long as the plan asked for (the plan aims at 90 %), and coverage as
above; it counts the cycles of both tables. "No plan": the baseline was too short for any length, or
the plan asked for more than {most} weeks. Those cycles are left out of "found", not of coverage.

{planted}

## Something else got worse: is it still called improved?

Times to resolve are 25 % shorter, as declared. Two guardrails are watched: reopenings (margin 6
percentage points) and scores (margin 0.5 points). Promise: harm of twice the margin is never
reported as improved. Harm of just the margin is the border itself. There an interval of 95 % lets
about one in 40 pass, whatever is done; more than 5 % would break the promise of the interval.

{guarded}

## Several metrics: how often is any false claim made?

The decision rests on the times; three further metrics (clocks met, reopenings, scores) are
looked at after it, corrected by Holm. None of the three changes. Promise: a false claim about any
of them in at most 5 % of the cycles.

{family}

## Where it claims too much

Nothing is planted here either, but what the designs take for granted does not hold. There is no
promise about these rows. They show how far to trust a verdict where no comparison group is named.
A comparison group is the remedy, where the same befalls it.

{weaknesses}

{missed}## What was simulated

- Times to resolve are skewed: log-normal, or a mixture in which one ticket in ten waits very long.
  They hang on category, priority, team and weekday.
- Weeks differ: each has a shock that hits every team, and each team has its own in each week.
  Volumes vary more than chance alone would make them. Mondays bring five times as many tickets as
  Saturdays.
- The mix drifts: hard categories rise from 12 to 32 % of the tickets within 40 weeks. Raw medians
  and shares get worse by that alone.
- Some tickets are cancelled (3 %). The log ends five days after each window, so some are open.
- Clocks are met, tickets are reopened and scores are given with chances that vary by week and by
  team and week. Scores are from 1 to 5; of six in ten tickets that are asked about, half answer.
- Comparison groups share the shocks of the weeks. At the intervention all times grow by 20 % and
  clocks met fall by 5 points, for both groups alike.
- Trends: times grow by 2 % a week, or clocks met fall by 0.3 points a week, through both windows.
  There the shocks of neighbouring weeks are correlated (0.2 for times).
- Small desks: 60 tickets a week (100 on a trend; 64 in each of two groups of eight teams). The
  baseline is 26 weeks, 52 on a trend.

## What was not

- A change that comes slowly, or that fades. The planted effect is there from the first day on.
- A trend that bends at the intervention for another reason, a season of the year, a holiday.
- Groups that drift apart by themselves. Nothing can tell that from an effect.
- Shocks that last for months.
- Logs with wrong times. Cases here are known without error.
"""


def page(tallies: Mapping[str, Sequence[Tally]], *, seed: int, most: int, missed: list[str]) -> str:
    """Write the page; `tallies` by section."""
    every = [one for part in tallies.values() for one in part]
    known = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return PAGE.format(
        cycles=sum(len(one.told) for one in every),
        seed=seed,
        python=platform.python_version(),
        packages=known,
        replicates=REPLICATES,
        most=most,
        untouched=_untouched(tallies["untouched"]),
        planted=_planted(tallies["planted"]),
        guarded=_guarded(tallies["guarded"]),
        family=_family(tallies["family"]),
        weaknesses=_weaknesses(tallies["weaknesses"]),
        missed=_missed(missed),
    )


def _untouched(tallies: Sequence[Tally]) -> str:
    head = ("design", "metric", "cycles", "improved", "worse", "together", "coverage", "weeks")
    rows = [
        (
            *_names(one),
            f"{len(one.told):,}",
            _short(one.of(Outcome.IMPROVED)),
            _short(one.of(Outcome.WORSE)),
            str(one.claims),
            str(one.covered),
            _weeks(one),
        )
        for one in tallies
    ]
    return _table(head, rows)


def _planted(tallies: Sequence[Tally]) -> str:
    head = ("design", "metric", "planted", "cycles", "no plan", "found", "coverage", "weeks")
    rows = [
        (
            *_names(one),
            _effect(one),
            f"{len(one.told):,}",
            _short(one.without_plan),
            str(one.planned.of(Outcome.IMPROVED)),
            str(one.covered),
            _weeks(one),
        )
        for one in tallies
    ]
    return _table(head, rows)


def _guarded(tallies: Sequence[Tally]) -> str:
    head = ("harm", "cycles", "improved", "guardrail breached", "inconclusive")
    words = (Outcome.IMPROVED, Outcome.GUARDRAIL, Outcome.INCONCLUSIVE)
    rows = [
        (one.arm.name, f"{len(one.told):,}", *(_counted(one.of(word)) for word in words))
        for one in tallies
    ]
    return _table(head, rows)


def _family(tallies: Sequence[Tally]) -> str:
    head = ("planted", "cycles", "claims about the times", "false claims about the three", "any")
    rows = [
        (
            one.arm.name,
            f"{len(one.told):,}",
            _short(one.primary_claims),
            str(one.further_claims),
            _short(one.any_claim),
        )
        for one in tallies
    ]
    return _table(head, rows)


def _weaknesses(tallies: Sequence[Tally]) -> str:
    head = (
        "what happens",
        "cycles",
        "improved",
        "worse",
        "together",
        "coverage",
        "before and after",
    )
    rows = [
        (
            one.arm.kind.name,
            f"{len(one.told):,}",
            _short(one.of(Outcome.IMPROVED)),
            _short(one.of(Outcome.WORSE)),
            str(one.claims),
            str(one.covered),
            _short(one.by_design),
        )
        for one in tallies
    ]
    return _table(head, rows)


def _missed(missed: list[str]) -> str:
    if not missed:
        return ""
    lines = "\n".join(f"- {one}" for one in missed)
    return f"## Promises that this run does not keep\n\n{lines}\n\n"


def _names(one: Tally) -> tuple[str, str]:
    """Design and metric; how often the rules chose another design, where they did."""
    kind, other = one.arm.kind, 1 - one.by_design.share
    more = f" (another design in {100 * other:.0f} %)" if other >= 0.005 else ""
    return f"{kind.design}{more}", kind.name


def _effect(one: Tally) -> str:
    planted = one.arm.planted
    if planted.times:
        return f"{100 * planted.times:+.0f} %"
    return f"{100 * planted.met:+.0f} points in 100" if planted.met else f"{planted.score:+.1f}"


def _weeks(one: Tally) -> str:
    low, middle, high = one.weeks
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def _short(rate: Rate) -> str:
    return f"{100 * rate.share:.1f} %"


def _counted(rate: Rate) -> str:
    return f"{rate.k:,}: {rate}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
