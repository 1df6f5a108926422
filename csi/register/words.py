"""How does the register read to a person? Its entries as lines for a terminal, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.register.payloads import draft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csi.register.entries import Baseline, Entry, Evaluation, Version
    from csi.register.history import Record

WIDTH: Final = 100
GAP: Final = 2
HEAD: Final = ("id", "title", "metric", "state", "verdict", "owner", "due")
# What is cut where a line would be too long: column, and the least it keeps.
CUT: Final = ((1, 16), (5, 8), (1, 8))


def list_lines(entries: Sequence[Entry]) -> list[str]:
    """Lay entries out as a table of at most WIDTH columns; titles and owners are cut to fit."""
    if not entries:
        return ["The register is empty."]
    rows = [HEAD, *map(_cells, entries)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    for place, least in CUT:
        over = sum(widths) + GAP * (len(widths) - 1) - WIDTH
        widths[place] -= max(0, min(over, widths[place] - least))
    return [
        (" " * GAP).join(_cut(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def _cells(entry: Entry) -> tuple[str, ...]:
    plan = entry.improvement
    state = "cancelled" if entry.cancelled else entry.state
    due = f"{entry.due[1]}" if entry.due else ""
    verdict = entry.verdict.value if entry.verdict else ""
    cells = (entry.id, plan.title, plan.kpi, state, verdict, plan.owner, due)
    return tuple(" ".join(cell.split()) for cell in cells)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def entry_lines(entry: Entry) -> list[str]:
    """Lay out one improvement: what is to change, what decides, what was found, its history."""
    plan = entry.improvement
    due = f"; to {entry.due[0]} on {entry.due[1]}" if entry.due else ""
    verdict = entry.verdict.value if entry.verdict else "none yet"
    state = "closed (cancelled)" if entry.cancelled else entry.state
    lines = [
        f"{entry.id} {plan.title}",
        f"state {state}, verdict {verdict}, owner {plan.owner}{due}",
        f"opportunity: {plan.opportunity}",
        f"hypothesis: {plan.hypothesis}",
        *([f"source findings: {', '.join(plan.source_findings)}"] * bool(plan.source_findings)),
        "",
        *_terms_lines(entry),
        *_baseline_lines(entry.baseline),
    ]
    lines += [f"Version {v.number} since {v.at[:10]}: {v.reason}" for v in entry.versions[1:]]
    if entry.evaluations:
        lines += ["", *map(_evaluation_line, entry.evaluations)]
    return [*lines, "", *map(_record_line, entry.history)]


def _terms_lines(entry: Entry) -> list[str]:
    plan, rule = entry.improvement, entry.improvement.decision_rule
    frozen = f"frozen as version {entry.rule_version}" if entry.rule_version else "not frozen yet"
    sure = f"confidence {rule.confidence:g}, power {rule.power:g}"
    lines = [
        f"What decides ({frozen}):",
        f"  metric {plan.kpi}, smallest effect that matters {plan.minimum_effect:g}, {sure}",
    ]
    told = {
        "further metrics": ", ".join(plan.also),
        "scope": _scope(plan.scope),
        "compared with": _scope(plan.comparison) or plan.comparison_group,
        "guardrails": ", ".join(
            f"{code} (margin {plan.guardrail_margins[code]:g})"
            if code in plan.guardrail_margins
            else code
            for code in plan.guardrails
        ),
        "design": str(entry.plan.get("design", "")),
        "needed": _needed(entry.plan),
    }
    return lines + [f"  {name} {value}" for name, value in told.items() if value]


def _needed(plan: Mapping[str, Any]) -> str:
    n, weeks = plan.get("needed_n"), plan.get("needed_weeks")
    parts = [f"{n} cases a side"] if n is not None else []
    return ", ".join(parts + ([f"{weeks:g} weeks"] if weeks is not None else []))


def _scope(scope: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name} {', '.join(words)}" for name, words in sorted(scope.items()))


def _baseline_lines(found: Baseline | None) -> list[str]:
    if found is None:
        return ["Baseline: none measured"]
    value = "cannot be said" if found.value is None else f"{found.value:.4g} {found.unit}"
    span = (
        "" if found.low is None or found.high is None else f" ({found.low:.4g} to {found.high:.4g})"
    )
    window = f"{found.window[0]} to {found.window[1]}"
    return [f"Baseline {found.kpi}: {value}{span}, n = {found.n:,}, {window}"]


def _evaluation_line(found: Evaluation) -> str:
    window = f"{found.current[0]} to {found.current[1]}" if all(found.current) else "no window"
    return f"Evaluated under version {found.rule_version}, {window}: {found.sentence}"


def _record_line(record: Record) -> str:
    return f"{record.seq:>4}  {record.at}  {record.kind:<9} {record.actor}  {record.hash[:12]}"


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return everything about an entry as JSON types."""
    return {
        "id": entry.id,
        "state": entry.state,
        "cancelled": entry.cancelled,
        "verdict": entry.verdict.value if entry.verdict else None,
        "due": list(entry.due) if entry.due else None,
        "improvement": draft(entry.improvement),
        "plan": dict(entry.plan),
        "rule_version": entry.rule_version,
        "versions": [_version_json(version) for version in entry.versions],
        "history": [
            {
                "seq": record.seq,
                "at": record.at,
                "actor": record.actor,
                "kind": record.kind,
                "content": record.content,
                "hash": record.hash,
            }
            for record in entry.history
        ],
    }


def _version_json(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "at": version.at,
        "actor": version.actor,
        "reason": version.reason,
        "improvement": draft(version.improvement),
        "plan": dict(version.plan),
    }
