"""How do the effects of an audit's violations read as tables and sentences?

`effects`: one row a violated rule and outcome, by outcome and code:
    outcome, code, title, severity, standing (`csi.effects.violations`), value, low, high, unit
    ("ratio of times", "odds ratio", "points"), n (violating tickets), n_others (those that keep the
    rule, so far where they are open), clusters, of (weeks or days of opening), p, adjusted_p
    (Benjamini & Hochberg, over the rules of the outcome), control_value, control_low, control_high,
    control_n, control_note, matched_value, matched_n, matched_n_others, alike, method, why, notes,
    sentence.
`pareto`: one row a violated rule (`csi.effects.losses.pareto_of`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from csi.audit import Audit
from csi.audit_evidence import evidence_of
from csi.effects.losses import Costing, pareto_of
from csi.effects.violations import BEFORE, Tickets, effects
from csi.effects.words import sentence, story
from csi.evidence import OPENED
from process_mining.errors import RunError
from rules.catalogue import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.effects.violations import Effect
    from csi.evidence import Evidence, Span
    from csi.statistics.bootstrap import Bools
    from rules.catalogue import Catalogue

DIGITS: Final = 6
PLAIN: Final = Costing()


@dataclass(frozen=True, eq=False)
class Effects:
    """What goes with violations: tables (see the module), sentences, and what was costed."""

    effects: pd.DataFrame
    pareto: pd.DataFrame
    sentences: tuple[str, ...]
    costing: Costing
    clusters: str


def effects_of(
    source: Audit | Evidence,
    *,
    window: Span | None = None,
    costing: Costing = PLAIN,
    catalogue: Catalogue | None = None,
) -> Effects:
    """Estimate what goes with the violations of every rule.

    `window`: only tickets opened in it count; by default all. `catalogue` says what the rules mean;
    by default the audit's own, for evidence the rules that ship. RunError ST573 for verdicts of a
    rule that it does not have.
    """
    if isinstance(source, Audit):
        evidence, book = evidence_of(source), catalogue or source.catalogue
    else:
        evidence, book = source, catalogue or load_catalogue(())
    _require_known(evidence, book)
    tickets = Tickets.of(evidence, _opened_in(evidence, window))
    # small matrices: threads of linear algebra only wait for each other (ten times slower when the
    # machine is busy), and one thread adds in one order
    with threadpool_limits(1, user_api="blas"):
        found = effects(tickets, book.newest, book.practices)
    pareto = pareto_of(tickets, found, costing)
    return Effects(
        effects=_rounded(_frame(found, tickets.cluster_words)),
        pareto=_rounded(pareto),
        sentences=story(found, pareto, costing),
        costing=costing,
        clusters=tickets.cluster_words,
    )


def _require_known(evidence: Evidence, book: Catalogue) -> None:
    unknown = sorted(set(evidence.verdicts) - {rule.code for rule in book.rules})
    if unknown:
        msg = f"the evidence has verdicts of {', '.join(unknown)}, which the catalogue has not"
        raise RunError("ST573", msg, fix="Give the catalogue that judged it")


def _opened_in(evidence: Evidence, window: Span | None) -> Bools | None:
    if window is None:
        return None
    opened = evidence.cases[OPENED].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray((opened >= window.start_us) & (opened < window.end_us))


def _frame(found: Sequence[Effect], clusters: str) -> pd.DataFrame:
    return pd.DataFrame([_row(one, clusters) for one in found], columns=list(_COLUMNS))


_COLUMNS: Final = (
    "outcome", "code", "title", "severity", "standing", "value", "low", "high", "unit", "n",
    "n_others", "clusters", "of", "p", "adjusted_p", "control_value", "control_low",
    "control_high", "control_n", "control_note", "matched_value", "matched_n", "matched_n_others",
    "alike", "method", "why", "notes", "sentence",
)  # fmt: skip


def _row(one: Effect, clusters: str) -> dict[str, Any]:
    found, control, matched = one.found, one.control, one.matched
    row: dict[str, Any] = {
        "outcome": one.outcome,
        "code": one.rule.code,
        "title": one.rule.title,
        "severity": one.rule.severity.word,
        "standing": one.standing.value,
        "of": clusters,
        "adjusted_p": one.adjusted_p,
        "why": one.why,
        "sentence": sentence(one),
    }
    if found is not None:
        names = ("value", "low", "high", "unit", "n", "n_others", "clusters", "p", "method")
        row |= {name: getattr(found, name) for name in names}
        row |= {"alike": ", ".join(found.groups), "notes": "; ".join(found.notes)}
    if control is not None:
        row |= {f"control_{name}": getattr(control, name) for name in ("value", "low", "high", "n")}
        row |= {"control_note": control.why_not or f"{BEFORE}, {control.method}"}
    if matched is not None:
        row |= {f"matched_{name}": getattr(matched, name) for name in ("value", "n", "n_others")}
    return row


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers as such (null where there is none), others to DIGITS significant digits."""
    shown = {}
    for name in frame.columns:
        column = frame[name]
        if name in _WHOLE:
            column = column.astype("Int64")
        elif name not in _WORDS:
            numbers = column.astype(np.float64)
            column = numbers.map(lambda one: float(f"{one:.{DIGITS}g}"))
        else:
            column = column.astype(object).where(column.notna(), "")
        shown[name] = column
    return pd.DataFrame(shown)


_WHOLE: Final = frozenset(
    {
        "n", "n_others", "clusters", "control_n", "matched_n", "matched_n_others", "violates",
        "violates_rank", "time_lost_h_rank", "cost_rank",
    }
)  # fmt: skip
_WORDS: Final = frozenset(
    {
        "outcome", "code", "title", "severity", "standing", "unit", "of", "control_note", "alike",
        "method", "why", "notes", "sentence", "note", "reads_as",
    }
)  # fmt: skip
