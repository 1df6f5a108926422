"""Which offences has somebody allowed, by whose leave, and for how long?

A waiver file is TOML with one table a waiver:

    [[waiver]]
    id = "W-2025-03"              # stands in `waived_by` of the findings
    rule = "INC004"
    reason = "The two network teams are being merged"
    approver = "Service manager"
    granted = 2025-03-01          # in force from 00:00 UTC of this day ...
    expires = 2025-09-01          # ... up to, and without, 00:00 UTC of this one
    [waiver.scope]                # all that is named must hold; `all = true` says: every case
    team = ["Network A", "Network B"]

A scope names lists of `case`, `team`, `priority`, `category`, `service` or `practice`; texts are
compared without case and outer white space, case ids to the letter. `team` is the finding's; the
practice of a kind (a major incident) is the one that it refines (incident).

A waiver covers the findings of its rule inside its scope whose offence happened while it was in
force: `at` of the finding, in a log without times the moment of judging. So it looks neither
forward nor back: what was done before anybody had leave to do it stays an offence, and a waiver
that has expired still covers what it covered, whenever the audit is run. Of several that cover a
finding the one that was granted first counts, among equals the first by id.

A finding that is waived stays a finding: `waived_by` names the waiver, rates are given raw and net
(waived cases left out of both sides), and only what is not waived fails a gate. Every waiver is
reported with what it covered; one that covered nothing is an orphan, with the reason.

Not checked: whether the approver may give leave, and whether the reason is one.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads the annotation
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError, model_validator

from process_mining import schema as s
from process_mining.errors import CodedError, many, raise_all
from rules.durations import midnight_us
from rules.texts import plain, says_one_of
from rules.toml_file import (
    Form,
    Line,
    TomlFile,
    form_errors,
    huge_numbers,
    parse,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from rules.check import CheckResult
    from rules.spec import Tally

    Bools = npt.NDArray[np.bool_]

SCOPES: Final[Mapping[str, str]] = {
    "case": s.CASE_ID,
    "priority": s.PRIORITY,
    "category": s.CATEGORY,
    "service": s.SERVICE,
    "practice": s.PRACTICE,
}
FACTS: Final = tuple(SCOPES.values())  # what waivers read of cases
TEAM: Final = "team"
CASE: Final = "case"
NO_RULE: Final = "the rulebook has no such rule"
NOT_JUDGED: Final = "no case of this log was judged by the rule"
NO_FINDING: Final = "nothing inside its scope violates the rule"
NO_TIME: Final = "what violates the rule inside its scope happened outside its time"
NOT_NEEDED: Final = "all that it could cover is covered by one that was granted before"
State = Literal["active", "expired", "not yet in force"]


# --- the file


class ScopeForm(Form):
    """`[waiver.scope]`."""

    all: Literal[True] | None = None
    case: list[Line] = Field(default_factory=list)
    team: list[Line] = Field(default_factory=list)
    priority: list[Line] = Field(default_factory=list)
    category: list[Line] = Field(default_factory=list)
    service: list[Line] = Field(default_factory=list)
    practice: list[Line] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> ScopeForm:
        named = any(getattr(self, name) for name in (*SCOPES, TEAM))
        if named == bool(self.all):
            msg = "name at least one list, or say all = true, not both and not neither"
            raise ValueError(msg)
        return self


class WaiverForm(Form):
    """One `[[waiver]]`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    rule: Annotated[str, Field(pattern=r"^[A-Z]{3}[0-9]{3}$")]
    reason: Line
    approver: Line
    granted: dt.date
    expires: dt.date
    scope: ScopeForm

    @model_validator(mode="after")
    def _lasts(self) -> WaiverForm:
        if self.expires <= self.granted:
            msg = f"it expires on {self.expires}, not after the day on which it is granted"
            raise ValueError(msg)
        return self


class WaiversForm(Form):
    """A waiver file."""

    waiver: list[WaiverForm] = Field(min_length=1)


# --- what it says


@dataclass(frozen=True)
class Waiver:
    """One leave: the findings of `rule` inside `scope` from `granted` up to, without, `expires`.

    `scope` maps names (`case`, `team`, `priority`, ...) to their texts; it is empty for every case.
    """

    id: str
    rule: str
    reason: str
    approver: str
    granted: dt.date
    expires: dt.date
    scope: Mapping[str, frozenset[str]]

    def state(self, as_of_us: int | None) -> State:
        """Say how the waiver stands at a moment; without one (a log without times) it is active."""
        if as_of_us is not None and as_of_us < midnight_us(self.granted):
            return "not yet in force"
        if as_of_us is not None and as_of_us >= midnight_us(self.expires):
            return "expired"
        return "active"


@dataclass(frozen=True)
class WaiverUse:
    """What became of a waiver in an audit: its state, what it covered, or why it is an orphan."""

    waiver: Waiver
    state: State
    findings: int
    cases: int
    orphan: str = ""


def load_waivers(path: Path) -> tuple[Waiver, ...]:
    """Read a waiver file, in order of (granted, id).

    Raises CodedError RU101 to RU114 for the file and its keys, RU131 for an id that stands twice;
    all mistakes at once.
    """
    file = TomlFile(path, printable(path.name))
    document = parse(file)
    raise_all(list(huge_numbers(file, document)))
    form = _form(file, document)
    raise_all(list(_twice(file, form)))
    waivers = (_waiver(one) for one in form.waiver)
    return tuple(sorted(waivers, key=lambda one: (one.granted, one.id)))


def _form(file: TomlFile, document: Mapping[str, object]) -> WaiversForm:
    try:
        return WaiversForm.model_validate(document)
    except ValidationError as wrong:
        raise many(list(form_errors(file, wrong, WaiversForm, ""))) from None


def _twice(file: TomlFile, form: WaiversForm) -> Iterator[CodedError]:
    counts = Counter(one.id for one in form.waiver)
    for name in sorted(name for name, n in counts.items() if n > 1):
        msg = f"waiver '{name}' stands {counts[name]} times in {file.shown}"
        why = "Findings name the waiver that covers them"
        yield CodedError("RU131", msg, why=why, fix="Give each an id of its own")


def _waiver(form: WaiverForm) -> Waiver:
    scope = {
        name: frozenset(texts if name == CASE else map(plain, texts))
        for name in (*SCOPES, TEAM)
        if (texts := getattr(form.scope, name))
    }
    return Waiver(
        id=form.id,
        rule=form.rule,
        reason=form.reason,
        approver=form.approver,
        granted=form.granted,
        expires=form.expires,
        scope=scope,
    )


# --- applying it


def waive(
    result: CheckResult, waivers: Sequence[Waiver], *, cases: pa.Table, as_of_us: int | None
) -> tuple[CheckResult, tuple[WaiverUse, ...]]:
    """Write into findings and tallies what is waived, and say what became of every waiver.

    `cases` are those that were judged, each with its practice; `as_of_us` is None in a log without
    times. Findings without a time are taken to have happened at `as_of_us`. A case counts as waived
    for a rule where all findings of the rule on it are.
    """
    if not waivers:
        return result, ()
    found = result.findings
    place = pc.index_in(
        found[s.CASE_ID].combine_chunks(), value_set=cases[s.CASE_ID].combine_chunks()
    )
    about = cases.take(place)
    waived_by = np.full(found.num_rows, -1, dtype=np.int64)
    uses = []
    for number, waiver in enumerate(waivers):
        mine = _inside(found, about, waiver)
        covered = mine & _in_time(found, waiver, as_of_us)
        waived_by[covered & (waived_by < 0)] = number
        orphan = "" if covered.any() else _orphan(result, waiver, inside=bool(mine.any()))
        uses.append((waiver, orphan))
    names = pa.array([one.id for one in waivers], pa.string())
    column = names.take(pa.array(waived_by, mask=waived_by < 0))
    findings = found.set_column(found.column_names.index("waived_by"), "waived_by", column)
    tallies = _tallies(result, findings)
    counted = tuple(
        _use(waiver, orphan, findings.filter(pa.array(waived_by == number)), as_of_us)
        for number, (waiver, orphan) in enumerate(uses)
    )
    return replace(result, findings=findings, tallies=tallies), counted


def _inside(found: pa.Table, about: pa.Table, waiver: Waiver) -> Bools:
    """Tell for each finding whether it is of the waiver's rule and inside its scope."""
    inside = _mask(pc.equal(found["rule"], waiver.rule))
    for name, texts in waiver.scope.items():
        if name == CASE:
            listed = pa.array(sorted(texts), pa.string())
            inside &= _mask(pc.is_in(about[s.CASE_ID], value_set=listed))
        else:
            table, column = (found, TEAM) if name == TEAM else (about, SCOPES[name])
            inside &= says_one_of(table, column, texts)[0]
    return inside


def _in_time(found: pa.Table, waiver: Waiver, as_of_us: int | None) -> Bools:
    """Tell for each finding whether its offence happened while the waiver was in force."""
    if as_of_us is None:
        return np.ones(found.num_rows, dtype=bool)
    at = pc.fill_null(found["at"].cast(pa.int64()), as_of_us).to_numpy()
    granted, expires = midnight_us(waiver.granted), midnight_us(waiver.expires)
    return np.asarray((at >= granted) & (at < expires))


def _orphan(result: CheckResult, waiver: Waiver, *, inside: bool) -> str:
    """Say why a waiver covers nothing."""
    tally = next((one for one in result.tallies if one.rule.code == waiver.rule), None)
    if tally is None:
        return NO_RULE
    if not tally.n:
        return NOT_JUDGED
    return NO_TIME if inside else NO_FINDING


def _tallies(result: CheckResult, findings: pa.Table) -> tuple[Tally, ...]:
    """Count for each rule the violating cases of which every finding is waived."""
    keys = ["rule", s.CASE_ID]
    table = findings.select(keys).append_column("open", pc.is_null(findings["waived_by"]))
    by_case = table.group_by(keys).aggregate([("open", "any")])
    waived = by_case.filter(pc.invert(by_case["open_any"]))
    n = Counter(waived["rule"].to_pylist())
    return tuple(replace(tally, waived=n[tally.rule.code]) for tally in result.tallies)


def _use(waiver: Waiver, orphan: str, covered: pa.Table, as_of_us: int | None) -> WaiverUse:
    cases = pc.count_distinct(covered[s.CASE_ID]).as_py()
    if not covered.num_rows:
        orphan = orphan or NOT_NEEDED
    return WaiverUse(waiver, waiver.state(as_of_us), covered.num_rows, cases, orphan)


def _mask(column: pa.ChunkedArray) -> Bools:
    flags = pc.fill_null(column, fill_value=False).combine_chunks()
    return np.array(flags.to_numpy(zero_copy_only=False), dtype=bool)
