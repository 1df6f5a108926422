"""What may follow what, and how does an improvement stand after its records?

    record      may follow in the states                          and leads to
    add         (the first record)                                proposed
    assess      proposed, postponed                               assessed, or postponed
    baseline    any but postponed and closed                      (no change)
    start       proposed, assessed; later with a reason           started
    implement   started                                           implemented
    evaluate    started, implemented, evaluated                   evaluated
    close       any but closed                                    closed
    note        any                                               (no change)

The table is data (`MOVES`). It refuses what has no meaning, such as an evaluation before anything
was agreed. It does not refuse what a desk should not do, such as starting what nobody assessed or
evaluating without a baseline: the register holds what happened, and `trueloop register audit`
judges it by the reference model of continual improvement (rules CSI001 to CSI007).

Errors: RG104 records that cannot be read, RG110 unknown entry, RG112 not in a state for that, RG113
what decides is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from csi.register.entries import TERMS, Entry, Evaluation, Improvement, Version
from csi.register.payloads import (
    baseline_of,
    draft,
    evaluation_of,
    improvement_of,
    terms_of,
    under_terms,
)
from csi.statistics import DecisionRule
from process_mining.errors import CodedError, RunError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from csi.register.entries import State
    from csi.register.history import Kind, Record


@dataclass(frozen=True)
class Move:
    """In which states a record may be written, what it does in words, and what to do instead."""

    after: tuple[State, ...]
    done: str
    otherwise: str


_OPEN: Final[tuple[State, ...]] = (
    *("proposed", "assessed", "started", "implemented", "evaluated"),
)
MOVES: Final[Mapping[Kind, Move]] = {
    "assess": Move(("proposed", "postponed"), "assessed", "Start it, or close it with a reason"),
    "baseline": Move(_OPEN, "measured", "Assess it again first"),
    "start": Move(_OPEN, "started", "Assess it again, or add a new one"),
    "implement": Move(("started",), "carried out", "Start it (again) first"),
    "evaluate": Move(("started", "implemented", "evaluated"), "evaluated", "Start it first"),
    "close": Move((*_OPEN, "postponed"), "closed", "It is over"),
}
DECISIONS: Final[Mapping[str, State]] = {"pursue": "assessed", "postpone": "postponed"}


def require_move(entry: Entry, kind: Kind) -> None:
    """Raise RG112 where a record of this kind may not follow."""
    move = MOVES[kind]
    if entry.state not in move.after:
        msg = f"{entry.id} is {entry.state} and cannot be {move.done}"
        raise CodedError("RG112", msg, fix=move.otherwise)


def require_new_version(
    entry: Entry, changed: Improvement, plan: Mapping[str, Any], reason: str
) -> None:
    """Raise where what decides may not become this: nothing new, or no reason for it."""
    require_move(entry, "start")
    _require_same_story(entry, changed)
    if not entry.rule_version:
        return
    same_rule = changed.decision_rule == entry.improvement.decision_rule
    same_terms = terms_of(changed) == terms_of(entry.improvement)
    if same_rule and same_terms and plan in ({}, entry.plan):
        msg = f"{entry.id} was started on {entry.started_at} under this rule"
        raise CodedError("RG112", msg, fix="Evaluate it, or give a new rule with a reason")
    if not reason.strip():
        raise CodedError(
            "RG113",
            f"what decides on {entry.id} was frozen on {entry.started_at}",
            why="A rule that is changed after looking proves nothing",
            fix="Give a reason: it is kept beside the new version",
        )


def _require_same_story(entry: Entry, changed: Improvement) -> None:
    """Refuse a change of what does not decide: it would be lost."""
    old, new = draft(entry.improvement), draft(changed)
    free = {one.name for one in fields(Improvement)} - {*TERMS, "decision_rule"}
    other = sorted(name for name in free if old[name] != new[name])
    if other:
        msg = f"{', '.join(other)} of {entry.id} cannot be changed by starting it"
        fix = "Change only what decides; note the rest, or add a new improvement"
        raise CodedError("RG113", msg, fix=fix)


def require_frozen(entry: Entry, found: Evaluation) -> None:
    """Raise RG113 where an evaluation did not keep to what was frozen at the start."""
    require_move(entry, "evaluate")
    agreed = entry.improvement
    planned = entry.plan.get("design", "")
    other = [
        word
        for word, differs in (
            ("decision rule", found.decision_rule != agreed.decision_rule),
            ("KPI", found.kpi != agreed.kpi),
            ("set of guardrails", set(found.guardrails) != set(agreed.guardrails)),
            ("set of further KPIs", set(found.also) != set(agreed.also)),
            ("design", bool(planned and found.design and found.design != planned)),
        )
        if differs
    ]
    if other:
        raise CodedError(
            "RG113",
            f"{entry.id} was evaluated by another {' and '.join(other)} than the frozen one",
            why="What is chosen after looking proves nothing",
            fix="Evaluate as it was agreed, or start a new version of it with a reason",
        )


def fold(records: Sequence[Record], entry_id: str, known: Sequence[str] = ()) -> Entry:
    """Replay the records of one entry, oldest first; RG104 where one cannot be read."""
    if not records:
        fix = did_you_mean(entry_id, known) or "List the register"
        raise CodedError("RG110", f"there is no improvement '{entry_id}'", fix=fix)
    try:
        entry = _first(records)
        for record in records[1:]:
            entry = _step(entry, record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"the records of {entry_id} cannot be read ({error!r})"
        raise RunError("RG104", msg, fix="Run verify, restore a copy") from error
    return entry


def _first(records: Sequence[Record]) -> Entry:
    first = records[0]
    return Entry(
        id=first.entry_id,
        improvement=improvement_of(first.content),
        state="proposed",
        rule_version=0,
        verdict=None,
        evaluations=(),
        added_at=first.at,
        started_at="",
        evaluated_at="",
        closed_at="",
        history=tuple(records),
    )


def _step(entry: Entry, record: Record) -> Entry:
    step = _STEPS.get(record.kind)
    return entry if step is None else step(entry, record, record.content)


def _assessed(entry: Entry, record: Record, content: Mapping[str, Any]) -> Entry:
    return replace(entry, state=DECISIONS[content["decision"]], assessed_at=record.at)


def _measured(entry: Entry, _: Record, content: Mapping[str, Any]) -> Entry:
    return replace(entry, baseline=baseline_of(content))


def _started(entry: Entry, record: Record, content: Mapping[str, Any]) -> Entry:
    terms = content.get("terms")
    judged = entry.improvement if terms is None else under_terms(entry.improvement, terms)
    judged = replace(judged, decision_rule=DecisionRule.from_dict(content["decision_rule"]))
    version = Version(
        number=content["version"],
        at=record.at,
        actor=record.actor,
        reason=content["reason"],
        improvement=judged,
        plan=content.get("plan", {}),
    )
    return replace(
        entry,
        improvement=judged,
        state="started",
        rule_version=version.number,
        verdict=None,
        started_at=record.at,
        plan=version.plan,
        versions=(*entry.versions, version),
    )


def _implemented(entry: Entry, record: Record, _: Mapping[str, Any]) -> Entry:
    return replace(entry, state="implemented", implemented_at=record.at)


def _evaluated(entry: Entry, record: Record, content: Mapping[str, Any]) -> Entry:
    found = evaluation_of(content)
    return replace(
        entry,
        state="evaluated",
        verdict=found.verdict,
        evaluations=(*entry.evaluations, found),
        evaluated_at=record.at,
    )


def _closed(entry: Entry, record: Record, content: Mapping[str, Any]) -> Entry:
    cancelled = not entry.rule_version or content.get("cancelled", False)
    return replace(entry, state="closed", closed_at=record.at, cancelled=cancelled)


_STEPS: Final[Mapping[str, Callable[[Entry, Record, Mapping[str, Any]], Entry]]] = {
    "assess": _assessed,
    "baseline": _measured,
    "start": _started,
    "implement": _implemented,
    "evaluate": _evaluated,
    "close": _closed,
}
