"""Which violations are by their definition a part of an outcome, or come after it?

A rule that asks whether a ticket was resolved in time breaks where the time is long: that its
violations "took longer" says nothing. Such a pair of rule and outcome is no effect and is never
reported as one. Whether it is such a pair follows from the rule's template and parameters alone,
never from the data:

    time to resolve, breached clock
        a rule that measures a time of the ticket that does not begin when it is done (`TIMED`, by
        the step at which the time begins): a wait of 50 hours lies within the time to resolve;
        a rule that counts reopenings or resolutions, or forbids steps of work after the ticket is
        done: the resolution is taken back, and its time runs on;
        a rule that asks whether the ticket was resolved at all;
        a rule about what comes after the ticket is done (`AFTER_AT`): too late to change its time
    reopening
        a rule that names Reopen in any parameter, or counts resolutions; one that forbids work
        after the ticket is done; one that measures how long it stays resolved; one on the reference
        model where the model has no Reopen; one that asks whether the ticket was resolved at all;
        one that measures the time to resolve itself: a reopening makes its clock run on
    satisfaction
        a rule of the feedback practice, or one that names a step of feedback or the score

A ticket is done at a step of `DONE`; steps of `FEEDBACK` come afterwards.

Not told: what is a part of the outcome by habit and not by definition. A ticket that stays open for
long has more time to be passed around; the sentences of such rules say so (`needs_time`). A rule
that measures the first response is a part of the time to resolve, even where that is long after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.audit_evidence import RESOLVE
from csi.effects.outcomes import BREACH, CLOCKS, REOPENING, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.practice import Practice
    from rules.spec import Rule

RESOLVES: Final = frozenset(RESOLVE)  # Resolve, Fulfil
REOPEN: Final = "Reopen"
DONE: Final = RESOLVES | {"Close", "Cancel"}
FEEDBACK: Final = frozenset({"Ask feedback", "Receive feedback", "Contact customer"})
# where in its parameters a template that measures time says at which step it begins; "" is opening
TIMED: Final = {
    "meets_target": "",
    "resolves_within": "",
    "responds_within": "activity",
    "preceded_within": "before",
    "waits_at_most": "activity",
}
# where a template that demands a step names it
DEMANDED: Final = {"precedes": "before", "exists": "activity", "exactly": "activity"}
# where a template names the step from which on, or at which, it judges
AFTER_AT: Final = {
    "responds_within": "activity",
    "waits_at_most": "activity",
    "responds": "activity",
    "never_follows": "activity",
    "consistent_value": "after",
}
# where a template names the step that it judges: of feedback, for others may come at any time
FEEDBACK_AT: Final = {"precedes": "activity", "at_most": "activity", "exactly": "activity"}
COUNTING: Final = frozenset({"at_most", "exactly"})
STEP_FIELDS: Final = (
    "activity", "then", "before", "or_else", "until", "unless", "first", "second", "since", "after",
)  # fmt: skip
SCORE: Final = "score"


def part_of(rule: Rule, outcome: str, practices: Mapping[str, Practice]) -> str:
    """Say why a rule's violation is by definition a part of an outcome; "" where it is not."""
    practice = practices.get(rule.case_type)
    # in a case of feedback its steps are the work itself
    own = frozenset(() if practice is None else practice.activities)
    afterwards = DONE | FEEDBACK - own
    if outcome in {TIME, BREACH}:
        return _of_time(rule, afterwards)
    if outcome == REOPENING:
        return _of_reopening(rule, afterwards, practice)
    return _of_satisfaction(rule)


def needs_time(rule: Rule) -> bool:
    """Whether a ticket that stays open for longer has more time to break the rule."""
    return rule.template in COUNTING or rule.template in TIMED


def _of_time(rule: Rule, afterwards: frozenset[str]) -> str:
    begin = TIMED.get(rule.template)
    if begin is not None:
        step = _value(rule, begin) if begin else ""
        if step not in afterwards:
            return "the rule measures a time that is part of the time to resolve"
    if rule.template in COUNTING and _value(rule, "activity") in RESOLVES | {REOPEN}:
        return "the rule counts reopenings, and a reopening makes the time to resolve longer"
    if _work_after_done(rule, afterwards):
        return "the rule is about work after the ticket was done, which takes the resolution back"
    if _after_the_end(rule, afterwards):
        return "the rule is about what comes after the ticket is done, too late to change its time"
    return _resolved_at_all(rule)


def _of_reopening(rule: Rule, afterwards: frozenset[str], practice: Practice | None) -> str:
    activity = _value(rule, "activity")
    asked = (
        (REOPEN in _steps(rule), "the rule names Reopen"),
        (
            rule.template in COUNTING and activity in RESOLVES,
            "the rule counts resolutions, and all but the first follow a reopening",
        ),
        (
            _work_after_done(rule, afterwards),
            "the rule is about work after the ticket was done, which is a reopening",
        ),
        (
            rule.template == "resolves_within" or _value(rule, "metric") in CLOCKS,
            "the rule measures the time to resolve, which runs on after a reopening",
        ),
        (
            rule.template == "waits_at_most" and activity in RESOLVES,
            "the rule measures how long the ticket stays resolved, which a reopening ends",
        ),
        (
            rule.template == "follows_model"
            and practice is not None
            and REOPEN not in practice.words,
            "the reference model has no Reopen, so every reopening departs from it",
        ),
    )
    return next((why for holds, why in asked if holds), "") or _resolved_at_all(rule)


def _of_satisfaction(rule: Rule) -> str:
    if rule.practice == "feedback":
        return "the rule is about the feedback itself"
    where = _value(rule, "where")
    if _steps(rule) & FEEDBACK or (where is not None and where.attribute == SCORE):
        return "the rule names a step of feedback, or the score"
    return ""


def _work_after_done(rule: Rule, afterwards: frozenset[str]) -> bool:
    """Whether the rule forbids a step of work once the ticket is done."""
    if rule.template != "never_follows" or _value(rule, "activity") not in DONE:
        return False
    return _value(rule, "then") not in afterwards


def _after_the_end(rule: Rule, afterwards: frozenset[str]) -> bool:
    begin, judged = AFTER_AT.get(rule.template), FEEDBACK_AT.get(rule.template)
    if begin is not None and _value(rule, begin) in afterwards:
        return True
    return judged is not None and _value(rule, judged) in afterwards - DONE


def _resolved_at_all(rule: Rule) -> str:
    demanded = DEMANDED.get(rule.template)
    if demanded is not None and _value(rule, demanded) in RESOLVES:
        return "the rule asks whether the ticket was resolved at all"
    return ""


def _steps(rule: Rule) -> frozenset[str]:
    """The steps of the ticket itself that the rule names."""
    return frozenset(
        value for name in STEP_FIELDS if isinstance(value := _value(rule, name), str) and value
    )


def _value(rule: Rule, name: str) -> Any:  # noqa: ANN401 - a parameter of any template
    return getattr(rule.params, name, None)
