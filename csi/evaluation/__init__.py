"""Was it worth it? From a question that was fixed beforehand to a verdict on an improvement.

question.py   what is asked: metric, scope, who is compared, guardrails, further metrics
design.py     how it will be answered, chosen from the baseline alone, and how long that takes
judging.py    the answer, by the frozen design and rule
"""

from __future__ import annotations

from csi.evaluation.design import Design, EvaluationPlan, plan
from csi.evaluation.judging import Guarded, GuardrailStatus, Judged, judge_question
from csi.evaluation.question import Guardrail, Known, Question

__all__ = [
    "Design",
    "EvaluationPlan",
    "Guarded",
    "Guardrail",
    "GuardrailStatus",
    "Judged",
    "Known",
    "Question",
    "judge_question",
    "plan",
]
