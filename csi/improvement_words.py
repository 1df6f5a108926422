"""How does an improvement read: its plan, its rule, its verdict?

Only words and tables: every number comes from `csi.evaluation`, `csi.statistics` or the register.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from csi.evaluation import EvaluationPlan
from csi.evidence import Scope
from csi.report.words import plural
from csi.statistics import Outcome
from csi.statistics.mover import difference
from csi.stories import BASELINE, CURRENT, Story, value_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.evaluation import Judged
    from csi.improving import Answer
    from csi.kpi import Kpi, Measurement
    from csi.register import Entry
    from csi.statistics import Comparison, DecisionRule

NO_GUARDRAILS: Final = "No guardrails were named."
NOTHING: Final = "No improvement was judged: none is under way whose tickets this log holds."
# Of several improvements, the verdict of the whole is the first of these that any of them has.
WEIGHTIEST_FIRST: Final = (
    Outcome.GUARDRAIL,
    Outcome.WORSE,
    Outcome.INCONCLUSIVE,
    Outcome.NO_EFFECT,
    Outcome.IMPROVED,
)


def rule_in_words(rule: DecisionRule) -> str:
    """Say a decision rule in one sentence."""
    least, level = f"{rule.minimum_effect:g}", f"{100 * rule.confidence:g} %"
    return (
        f"no effect shown if the {level} interval lies within plus or minus {least}; improved if "
        "it lies wholly on the better side, worse if wholly on the worse side, and the permutation "
        f"test agrees; else, or with fewer than {rule.min_n} cases or {rule.min_clusters} weeks of "
        "opening a window, inconclusive."
    )


def improve_story(entry: Entry | None) -> str:
    """Say what is to change and how it will be judged."""
    if entry is None:
        return (
            "This cycle proposes no improvement of its own. It evaluates what the register has "
            "under way."
        )
    improvement = entry.improvement
    said = (
        f"{entry.id}: {improvement.title}. Judged by {improvement.kpi}: "
        f"{rule_in_words(improvement.decision_rule)}"
    )
    return said if not entry.plan else f"{said}\n{EvaluationPlan.from_dict(entry.plan).sentence}"


def plan_frame(entry: Entry | None) -> pd.DataFrame:
    """The plan as two columns."""
    if entry is None:
        return pd.DataFrame({"what": [], "value": []})
    one, plan = entry.improvement, entry.plan
    rows = {
        "entry": entry.id,
        "title": one.title,
        "opportunity": one.opportunity,
        "hypothesis": one.hypothesis,
        "metric": one.kpi,
        "further metrics": ", ".join(one.also) or "none",
        "guardrails": ", ".join(one.guardrails) or "none",
        "scope": Scope.of(one.scope).words,
        "compared with": one.comparison_group,
        "owner": one.owner,
        "started": entry.started_at[:10],
        "decision rule": rule_in_words(one.decision_rule),
    }
    if plan:
        frozen = EvaluationPlan.from_dict(plan)
        weeks = frozen.needed_weeks
        rows["design"] = f"{frozen.design.value}: {frozen.why}"
        rows["needed"] = "not to be had" if weeks is None else f"{plural(weeks, 'whole week')}"
    return pd.DataFrame({"what": list(rows), "value": list(rows.values())})


def answer_in_words(entry: Entry, kpi: Kpi, judged: Judged) -> str:
    """Say what came of one improvement."""
    return (
        f"{entry.id}, {entry.improvement.title}: {judged.verdict.value}.\n"
        f"{kpi.title}. {judged.sentence}"
    )


def evaluate_story(answers: Sequence[Answer], own: str) -> str:
    """Say whether it got better, the cycle's own improvement first."""
    if not answers:
        return NOTHING
    said = [str(answer.story) for answer in answers]
    if own and answers[0].entry.id != own:
        said.insert(0, f"{own} could not be judged on this log.")
    return "\n".join(said)


def evaluation_of(answers: Sequence[Answer], own: str) -> dict[str, Any]:
    """Every evaluation as results.json holds it: the cycle's own one, then all.

    `verdict` is that of the cycle's own improvement; without one it is the weightiest of all, null
    where nothing was judged.
    """
    rows = [answer.to_dict() for answer in answers]
    mine = [row for row in rows if row["entry"] == own]
    if mine:
        return {**mine[0], "improvements": rows}
    verdicts = {answer.judged.verdict for answer in answers}
    whole = next((one.value for one in WEIGHTIEST_FIRST if one in verdicts), None)
    return {"verdict": whole, "entry": own or None, "improvements": rows}


def answers_frame(answers: Sequence[Answer]) -> pd.DataFrame:
    """One row an improvement: its verdict in numbers."""
    rows = [
        {
            "entry": answer.entry.id,
            "improvement": answer.entry.improvement.title,
            "verdict": answer.judged.verdict.value,
            "design": answer.plan.design.value,
            **comparison_row(answer.question.kpi, answer.judged.primary),
        }
        for answer in answers
    ]
    return pd.DataFrame(rows)


def guardrail_frame(answers: Sequence[Answer]) -> pd.DataFrame | Story:
    """One row a guardrail: whether it held; a sentence where there is none."""
    rows = [
        {
            "entry": answer.entry.id,
            "status": one.status.value,
            "margin": one.guardrail.margin,
            **comparison_row(one.guardrail.kpi, one.comparison),
        }
        for answer in answers
        for one in answer.judged.guardrails
    ]
    return pd.DataFrame(rows) if rows else Story(NO_GUARDRAILS)


def comparison_row(kpi: Kpi, found: Comparison) -> dict[str, Any]:
    """One comparison as a table row, without a verdict."""
    return {
        "kpi": kpi.code,
        "title": kpi.title,
        BASELINE: value_in_words(found.baseline.value, kpi.unit),
        CURRENT: value_in_words(found.current.value, kpi.unit),
        "n_baseline": found.baseline.n,
        "n_current": found.current.n,
        "effect": found.effect,
        "low": found.low,
        "high": found.high,
        "unit": found.unit,
    }


def difference_row(kpi: Kpi, before: Measurement, after: Measurement) -> dict[str, Any]:
    """By how much a KPI differs between the windows, in its own unit, as a table row."""
    apart = difference(before, after)
    return {
        "kpi": kpi.code,
        "title": kpi.title,
        "level": kpi.level,
        "practice": kpi.practice,
        "better": kpi.better,
        BASELINE: value_in_words(before.value, kpi.unit),
        CURRENT: value_in_words(after.value, kpi.unit),
        "n_baseline": before.n,
        "n_current": after.n,
        "difference": apart.value,
        "low": apart.low,
        "high": apart.high,
        "unit": kpi.unit,
        "note": after.note or before.note,
    }


def others_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `difference_row` for reading: what was, what is, and by how much it differs."""
    read = [
        {
            "kpi": row["kpi"],
            "title": row["title"],
            "level": row["level"],
            "better": row["better"],
            BASELINE: row[BASELINE],
            CURRENT: row[CURRENT],
            "n": f"{row['n_baseline']:,} / {row['n_current']:,}",
            "differs by": _difference_in_words(row),
            "note": row["note"],
        }
        for row in rows
    ]
    return pd.DataFrame(read)


def _difference_in_words(row: Mapping[str, Any]) -> str:
    values = [row[name] for name in ("difference", "low", "high")]
    if values[0] is None:
        return ""
    unit = "percentage points" if row["unit"] == "share" else row["unit"]
    value, low, high = ("" if one is None else _signed(one, row["unit"]) for one in values)
    limits = f" ({low} to {high})" if low and high else ""
    return f"{value}{limits}" if unit == "h" else f"{value}{limits} {unit}"


def _signed(value: float, unit: str) -> str:
    if unit == "h":
        words = value_in_words(value, unit)
        return words if value < 0 else f"+{words}"
    shown = f"{100 * value:+.1f}" if unit == "share" else f"{value:+.2f}"
    return shown.replace("-", "\N{MINUS SIGN}")
