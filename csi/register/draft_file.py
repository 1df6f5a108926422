"""Which improvement does this file describe? Drafts as people write them, and as audits propose.

A draft is a TOML file with one table:

    [improvement]
    title = "Ask for the error text at once"
    opportunity = "Half of the waiting is for the customer"     what was seen
    hypothesis = "A form field saves one question"              what is to change, and why it helps
    kpi = "KPI01"                          code or name; by which it is judged
    minimum_effect = 0.1                   the smallest effect that matters, in the KPI's unit of
                                           effect (0.1: 10 % of a time, 10 points of a share)
    owner = "Service desk lead"            a role
    # and where it says more:
    also = ["KPI03"]                       further KPIs, judged together with the first
    guardrails = ["KPI06"]                 KPIs that must not get worse
    margins = { KPI06 = 0.05 }             the smallest harm that matters, by guardrail
    scope = { priority = ["P1", "P2"] }    whom it touches
    comparison = { team = ["North"] }      whom it does not touch
    comparison_group = "the north"         the same in words
    source_findings = ["INC003"]           rule codes, fingerprints, feedback:TICKET
    planned_start = 2024-03-04
    planned_evaluation = 2024-06-01
    confidence = 0.95                      of the decision rule; also power, min_n, min_clusters

An audit's `opportunities.json` (and a cycle's `drafts.json`) holds drafts by fingerprint; what only
people can say (`to_be_said`) comes from such a TOML file, whose words go before the proposal's.
Source findings of both are kept. All mistakes of a file are reported together.

Errors: RG120 the file cannot be read, RG121 what it says wrongly, RG122 no such opportunity.
"""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from csi.cycle import Day, Margin, ScopeField, ScopeWords, Text, Word  # noqa: TC001 - for pydantic
from csi.kpi import load_kpis, pick
from csi.register.entries import Improvement
from csi.statistics import DecisionRule
from process_mining.errors import CodedError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_DRAFT_BYTES: Final = 65_536
MAX_PROPOSALS_BYTES: Final = 64 << 20
_RULE: Final = ("minimum_effect", "confidence", "power", "min_n", "min_clusters")
_HELP: Final = "See docs/howto-register.md"


class DraftForm(BaseModel):
    """What [improvement] holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: Text
    opportunity: Text
    hypothesis: Text
    kpi: Word
    owner: Text
    minimum_effect: Margin
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = DecisionRule.confidence
    power: Annotated[float, Field(ge=0.5, lt=1)] = DecisionRule.power
    min_n: Annotated[int, Field(ge=2, le=10**9)] = DecisionRule.min_n
    min_clusters: Annotated[int, Field(ge=2, le=10**6)] = DecisionRule.min_clusters
    also: list[Word] = []
    guardrails: list[Word] = []
    margins: dict[Word, Margin] = {}
    scope: dict[ScopeField, ScopeWords] = {}
    comparison: dict[ScopeField, ScopeWords] = {}
    comparison_group: Text | None = None
    source_findings: list[Word] = []
    planned_start: Day | None = None
    planned_evaluation: Day | None = None


def read_draft(path: Path) -> Improvement:
    """Read a TOML file with a whole draft."""
    return _improvement(_table(path), path.name)


def read_proposal(path: Path, fingerprint: str, said: Path) -> Improvement:
    """Read one opportunity of a JSON file, and what people say about it from a TOML file."""
    proposed = _proposed(path, fingerprint)
    people = _table(said)
    known = {
        name: value
        for name, value in proposed.items()
        if name in DraftForm.model_fields and value is not None
    }
    findings = [*_texts(known, "source_findings"), *_texts(people, "source_findings")]
    both = {**known, **people}
    if findings:
        both["source_findings"] = list(dict.fromkeys(findings))
    return _improvement(both, said.name)


def changed_by(old: Improvement, path: Path) -> Improvement:
    """Return the improvement with what a TOML file says otherwise: for a new version of it."""
    rule = old.decision_rule.to_dict()
    before = {
        "title": old.title,
        "opportunity": old.opportunity,
        "hypothesis": old.hypothesis,
        "kpi": old.kpi,
        "owner": old.owner,
        "also": list(old.also),
        "guardrails": list(old.guardrails),
        "margins": dict(old.guardrail_margins),
        "scope": {name: list(words) for name, words in old.scope.items()},
        "comparison": {name: list(words) for name, words in old.comparison.items()},
        "comparison_group": old.comparison_group or None,
        "source_findings": list(old.source_findings),
    } | {name: rule[name] for name in _RULE}
    dates = {
        name: value
        for name in ("planned_start", "planned_evaluation")
        if (value := _day_of(getattr(old, name))) is not None
    }
    return _improvement({**before, **dates, **_table(path)}, path.name)


def _day_of(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _improvement(table: dict[str, Any], file: str) -> Improvement:
    try:
        form = DraftForm.model_validate(table)
    except ValidationError as error:
        raise_all([_mistake(file, one["type"], one["loc"], one["msg"]) for one in error.errors()])
        raise
    if form.comparison and _overlap(form):
        what = f"improvement.comparison in {file}: its tickets may be in the scope too"
        fix = "Name a field in both tables, with different words: who is touched, and who is not"
        raise CodedError("RG121", what, fix=fix)
    kpi, also, guardrails, margins = _codes(form, file)
    rule = {name: getattr(form, name) for name in _RULE}
    return Improvement(
        title=form.title,
        opportunity=form.opportunity,
        hypothesis=form.hypothesis,
        kpi=kpi,
        owner=form.owner,
        decision_rule=DecisionRule.from_dict(rule),
        scope=form.scope,
        comparison_group=form.comparison_group or "",
        guardrails=guardrails,
        source_findings=tuple(form.source_findings),
        planned_start="" if form.planned_start is None else form.planned_start.isoformat(),
        planned_evaluation=(
            "" if form.planned_evaluation is None else form.planned_evaluation.isoformat()
        ),
        comparison=form.comparison,
        guardrail_margins=margins,
        also=also,
    )


def _overlap(form: DraftForm) -> bool:
    """Tell whether a ticket can match both tables: no field of both has words all different."""
    both = set(form.scope) & set(form.comparison)
    return not any(set(form.scope[name]).isdisjoint(form.comparison[name]) for name in both)


def _codes(
    form: DraftForm, file: str
) -> tuple[str, tuple[str, ...], tuple[str, ...], dict[str, float]]:
    """Return the codes of the KPIs that are named, all unknown ones reported at once."""
    wrong: list[CodedError] = []

    def codes(place: str, words: Iterable[str]) -> list[str]:
        found = []
        for word in words:
            try:
                found.append(pick(kpis, word).code)
            except CodedError as error:
                msg = f"improvement.{place} in {file}: {error.what}"
                wrong.append(CodedError("RG121", msg, fix=error.fix))
        return found

    kpis = load_kpis()
    kpi = codes("kpi", [form.kpi])
    also, guardrails = codes("also", form.also), codes("guardrails", form.guardrails)
    margins = codes("margins", form.margins)
    raise_all(wrong)
    limits = dict(zip(margins, form.margins.values(), strict=True))
    return kpi[0], tuple(also), tuple(guardrails), limits


def _mistake(file: str, kind: str, place: tuple[int | str, ...], message: str) -> CodedError:
    where = ".".join(["improvement", *(str(part) for part in place if part != "[key]")])
    if kind == "extra_forbidden":
        known = did_you_mean(str(place[-1]), DraftForm.model_fields)
        return CodedError("RG121", f"{where} in {file}: unknown key", fix=known)
    said = "it is missing" if kind == "missing" else message.removeprefix("Value error, ")
    return CodedError("RG121", f"{where} in {file}: {said}", fix=_HELP)


def _table(path: Path) -> dict[str, Any]:
    """Return the table [improvement] of a TOML file."""
    data = _data(path, MAX_DRAFT_BYTES)
    try:
        raw = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        msg = f"{path.name} is no TOML: {error}"
        raise CodedError("RG120", msg, fix="Mend that line") from error
    table = raw.get("improvement")
    strange = sorted(set(raw) - {"improvement"})
    if strange or not isinstance(table, dict):
        what = f"has {', '.join(strange)} outside of" if strange else "has no table"
        raise CodedError("RG121", f"{path.name} {what} [improvement]", fix=_HELP)
    return table


def _proposed(path: Path, fingerprint: str) -> dict[str, Any]:
    """Return the draft of one opportunity."""
    try:
        raw = json.loads(_data(path, MAX_PROPOSALS_BYTES))
        drafts = {one["fingerprint"]: dict(one["draft"]) for one in raw["opportunities"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        msg = f"{path.name} holds no opportunities of an audit"
        raise CodedError("RG120", msg, fix="Name the opportunities.json of an audit") from error
    if fingerprint not in drafts:
        fix = did_you_mean(fingerprint, map(str, drafts))
        msg = f"there is no opportunity '{fingerprint}' in {path.name}"
        raise CodedError("RG122", msg, fix=fix or "It holds none")
    return drafts[fingerprint]


def _texts(table: dict[str, Any], name: str) -> list[Any]:
    found = table.get(name, [])
    return found if isinstance(found, list) else [found]


def _data(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        msg = f"file {path}: {error.strerror}"
        raise CodedError("RG120", msg, fix="Name a file that can be read") from error
    if len(data) > limit:
        msg = f"{path.name} has more than {limit} bytes"
        raise CodedError("RG120", msg, fix="Name a file of one improvement")
    return data
