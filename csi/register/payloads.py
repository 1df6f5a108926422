"""How does a record say what it holds? Improvements, baselines and evaluations as JSON and back.

Records of earlier versions lack the fields that came later (`LATER_FIELDS`); they read as if these
said nothing, and a record that says nothing in them is written without, so that its hash is the
same as before they were there.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from csi.register.entries import TERMS, Baseline, Evaluation, Improvement
from csi.statistics import DecisionRule, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

LATER_FIELDS: Final = frozenset(
    {"comparison", "guardrail_margins", "also", "plan", "terms", "cancelled"}
    | {"design", "p_value", "n_needed", "weeks_needed"}
)
_TUPLES: Final = ("guardrails", "source_findings", "also")


def told(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out later fields that say nothing."""
    return {
        name: value
        for name, value in content.items()
        if name not in LATER_FIELDS or value not in ("", None, False, {}, (), [])
    }


def draft(improvement: Improvement) -> dict[str, Any]:
    """Return the payload of an `add`."""
    plain = asdict(improvement)
    for name in ("scope", "comparison"):
        plain[name] = {key: sorted(words) for key, words in plain[name].items()}
    return told(plain | {"decision_rule": improvement.decision_rule.to_dict()})


def terms_of(improvement: Improvement) -> dict[str, Any]:
    """Return what is frozen besides the decision rule, as JSON types."""
    plain = draft(improvement)
    return {name: plain[name] for name in TERMS if name in plain}


def improvement_of(plain: Mapping[str, Any]) -> Improvement:
    """Read the payload of an `add`."""
    known = dict(plain)
    known["decision_rule"] = DecisionRule.from_dict(known["decision_rule"])
    for name in _TUPLES:
        known[name] = tuple(known.get(name, ()))
    return Improvement(**known)


def under_terms(improvement: Improvement, terms: Mapping[str, Any]) -> Improvement:
    """Return the improvement as it is judged under these terms."""
    plain = {name: value for name, value in draft(improvement).items() if name not in TERMS}
    return improvement_of({**plain, **terms})


def evaluation(found: Evaluation) -> dict[str, Any]:
    """Return the payload of an `evaluate`, but for the version that the register adds."""
    plain = told(asdict(found) | {"verdict": found.verdict.value})
    del plain["rule_version"]
    return plain


def evaluation_of(plain: Mapping[str, Any]) -> Evaluation:
    """Read the payload of an `evaluate`."""
    known = dict(plain)
    known["decision_rule"] = DecisionRule.from_dict(known["decision_rule"])
    known["verdict"] = Outcome(known["verdict"])
    for name in ("baseline", "current"):
        known[name] = tuple(known[name])
    return Evaluation(**known)


def baseline_of(plain: Mapping[str, Any]) -> Baseline:
    """Read the payload of a `baseline`."""
    return Baseline(**{**plain, "window": tuple(plain["window"])})
