"""Which cases keep which rules?

Every version of every rule measures the whole desk in columns (`rules.measuring`); durable-rules
judges the distinct signatures in one worker process (`rules.engine`); the independent evaluator
(`rules.spec.decide`) judges the raw facts of every case. Where the two differ the run stops
(EN002): no finding rests on one engine. What the log puts in doubt takes verdicts
(`rules.doubts`); what violates becomes a finding (`rules.findings`).

A case has one verdict of a rule, however many versions judge its events: the first of VIOLATES,
UNKNOWN, PENDING, CONFORMS, VACUOUS that any of them gives. A finding names its version.

Order: rules by code, findings by (rule, version, case_id). Cost: O(cases) a rule in columns.
Waivers are not applied here (`rules.waivers`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from process_mining import schema as s
from process_mining.errors import RunError
from rules import engine
from rules.doubts import Concern, hanging
from rules.findings import FINDINGS_SCHEMA, findings
from rules.measuring import measure
from rules.spec import Tally, Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from process_mining.quality import Defect
    from rules.doubts import Hanging
    from rules.measuring import Measured
    from rules.spec import Rule
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]
    Verdicts = npt.NDArray[np.int8]

NOT_JUDGED: Final = -1  # in a merged result: the rule is about another practice's cases
# of several versions of a rule the first of these verdicts counts for the case
GRAVEST: Final = (
    Verdict.VIOLATES,
    Verdict.UNKNOWN,
    Verdict.PENDING,
    Verdict.CONFORMS,
    Verdict.VACUOUS,
)


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Verdicts of every rule on every case, and the findings.

    `rules` has one version of each rule, the newest. `verdicts[r, c]` is a `Verdict` number for
    rules[r] on case_ids[c] (NOT_JUDGED after `merge` where a rule is about other cases). `causes`
    says for each rule with UNKNOWN verdicts why. `downgraded` says for each code of the quality
    gate how many verdicts of which rules are UNKNOWN because of it: code -> rule -> cases. A case
    may be counted under several codes.
    """

    rules: tuple[Rule, ...]
    case_ids: pa.Array
    verdicts: Verdicts
    findings: pa.Table
    tallies: tuple[Tally, ...]
    causes: Mapping[str, str]
    downgraded: Mapping[str, Mapping[str, int]]
    log_sha256: str

    def to_pandas(self) -> pd.DataFrame:
        """Return the findings as a tidy DataFrame."""
        frame: pd.DataFrame = self.findings.to_pandas()
        return frame


def check(
    desk: Desk,
    rules: Sequence[Rule],
    *,
    log_sha256: str,
    doubts: Sequence[Defect] = (),
    allowed: Collection[str] = (),
) -> CheckResult:
    """Judge every case of one desk by every rule; see `check_desks`."""
    (result,) = check_desks([(desk, rules)], log_sha256=log_sha256, doubts=doubts, allowed=allowed)
    return result


def check_desks(
    asked: Sequence[tuple[Desk, Sequence[Rule]]],
    *,
    log_sha256: str,
    doubts: Sequence[Defect] = (),
    allowed: Collection[str] = (),
) -> list[CheckResult]:
    """Judge every case of every desk by its rules with both engines, and collect the findings.

    Rules may hold several versions of a code. `doubts` are the defects of the log that verdicts may
    hang on; codes in `allowed` take nothing. All desks share one worker process.

    Raises RunError EN002 where the engines disagree, and what `engine.judge` and `decide` raise.
    """
    given = judge_versions(asked, doubts=doubts, allowed=allowed)
    return [_result(desk, mine, log_sha256) for (desk, _), mine in zip(asked, given, strict=True)]


def _result(desk: Desk, given: Sequence[Given], log_sha256: str) -> CheckResult:
    groups = _by_code(given)
    ordered = tuple(group[-1].measured.rule for group in groups)
    verdicts = np.empty((len(ordered), desk.log.n_cases), dtype=np.int8)
    for row, group in enumerate(groups):
        verdicts[row] = gravest([one.verdicts for one in group])
    parts = [
        findings(desk, one.measured, np.flatnonzero(one.verdicts == Verdict.VIOLATES))
        for one in given
    ]
    return CheckResult(
        rules=ordered,
        case_ids=desk.log.cases[s.CASE_ID].combine_chunks(),
        verdicts=verdicts,
        findings=pa.concat_tables([FINDINGS_SCHEMA.empty_table(), *parts]).combine_chunks(),
        tallies=_tallies(ordered, verdicts),
        causes=_causes(groups),
        downgraded=_downgraded(groups),
        log_sha256=log_sha256,
    )


@dataclass(frozen=True, eq=False)
class Given:
    """The verdicts that one version of a rule gives on every case.

    `by_table` is what its decision table says, before doubts take verdicts; `reasons` say for which
    cases, and why, the verdict is UNKNOWN (each concerns some case).
    """

    measured: Measured
    by_table: Verdicts
    verdicts: Verdicts
    reasons: tuple[Hanging, ...]

    @property
    def causes(self) -> tuple[str, ...]:
        """Why verdicts are UNKNOWN, each cause once."""
        return tuple(dict.fromkeys(one.cause for one in self.reasons if one.cause))

    @property
    def taken(self) -> Mapping[str, Bools]:
        """Which cases each code of the quality gate takes."""
        taken: dict[str, Bools] = {}
        for reason in self.reasons:
            if reason.code:
                taken[reason.code] = taken.get(reason.code, np.False_) | reason.cases
        return taken


def judge_versions(
    asked: Sequence[tuple[Desk, Sequence[Rule]]],
    *,
    doubts: Sequence[Defect] = (),
    allowed: Collection[str] = (),
    by_trace: bool = True,
) -> list[list[Given]]:
    """Let both engines judge every case of each desk by every version of its rules.

    What a desk's rules give comes by code, the oldest version first. Without `by_trace` the
    measures say which events were judged. Raises as `check_desks` does.
    """
    measured = [
        [measure(desk, rule, by_trace=by_trace) for rule in sorted(rules, key=_by_age)]
        for desk, rules in asked
    ]
    answers = iter(engine.judge([one.question for mine in measured for one in mine]))
    concerning = [defect for defect in doubts if defect.code not in allowed]
    given = []
    for (desk, _), mine in zip(asked, measured, strict=True):
        concerned = [Concern.of(desk, defect) for defect in concerning]
        given.append([_given(desk, one, next(answers), concerned, allowed) for one in mine])
    return given


def _by_age(rule: Rule) -> tuple[str, object, int]:
    return rule.code, rule.valid_from, rule.version


def _given(
    desk: Desk,
    one: Measured,
    judged: Verdicts,
    concerned: Sequence[Concern],
    allowed: Collection[str],
) -> Given:
    """Give the verdicts on which both engines agree, less those that hang on what is in doubt."""
    _require_agreement(desk, one, judged)
    verdicts = judged.copy()
    hung = hanging(desk, one, judged, concerned=concerned, allowed=allowed)
    reasons = tuple(reason for reason in hung if reason.cases.any())
    for reason in reasons:
        verdicts[reason.cases] = Verdict.UNKNOWN
    return Given(one, judged, verdicts, reasons)


def _by_code(given: Sequence[Given]) -> list[list[Given]]:
    """Group by code what the versions of each rule give, the oldest version first."""
    groups: dict[str, list[Given]] = defaultdict(list)
    for one in given:
        groups[one.measured.rule.code].append(one)
    return [groups[code] for code in sorted(groups)]


def gravest(versions: Sequence[Verdicts]) -> Verdicts:
    """Return for each case the verdict that counts among those of several versions."""
    if len(versions) == 1:
        return versions[0]
    said = np.stack(versions)
    conditions = [(said == verdict).any(axis=0) for verdict in GRAVEST]
    return np.select(conditions, [np.int8(verdict) for verdict in GRAVEST]).astype(np.int8)


def _causes(groups: Sequence[Sequence[Given]]) -> dict[str, str]:
    """Say for each rule why verdicts of it are UNKNOWN, each reason once."""
    said = {
        group[-1].measured.rule.code: dict.fromkeys(text for one in group for text in one.causes)
        for group in groups
    }
    return {code: "; ".join(texts) for code, texts in said.items() if texts}


def _downgraded(groups: Sequence[Sequence[Given]]) -> dict[str, dict[str, int]]:
    """Count for each code of the gate and each rule the cases whose verdict it took."""
    taken: dict[str, dict[str, int]] = defaultdict(dict)
    for group in groups:
        rule = group[-1].measured.rule.code
        for code in sorted({code for one in group for code in one.taken}):
            cases = np.logical_or.reduce([one.taken[code] for one in group if code in one.taken])
            taken[code][rule] = int(np.count_nonzero(cases))
    return dict(taken)


def merge(results: Sequence[CheckResult]) -> CheckResult:
    """Join one or more results of one log; rules by code, cases one after another.

    A rule may stand in several results (it is then tallied over all of their cases); where a rule
    was not asked about a case its verdict is NOT_JUDGED.
    """
    rules = {rule.code: rule for result in results for rule in result.rules}
    ordered = tuple(rules[code] for code in sorted(rules))
    verdicts = np.hstack([_spread(result, ordered) for result in results])
    findings = pa.concat_tables([result.findings for result in results])
    order = [("rule", "ascending"), ("case_id", "ascending"), ("fingerprint", "ascending")]
    causes: dict[str, dict[str, None]] = defaultdict(dict)
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        for rule, cause in result.causes.items():
            causes[rule][cause] = None
        for code, by_rule in result.downgraded.items():
            taken[code].update(by_rule)
    return CheckResult(
        rules=ordered,
        case_ids=pa.concat_arrays([result.case_ids for result in results]),
        verdicts=verdicts,
        findings=findings.sort_by(order).combine_chunks(),
        tallies=_tallies(ordered, verdicts),
        causes={rule: _joined(list(said)) for rule, said in sorted(causes.items())},
        downgraded={code: dict(sorted(n.items())) for code, n in sorted(taken.items())},
        log_sha256=results[0].log_sha256,
    )


def _joined(causes: Sequence[str]) -> str:
    """Join what several practices say; what is part of another one's words is not said again."""
    whole = [one for one in causes if not any(one != other and one in other for other in causes)]
    return "; ".join(whole)


def _spread(result: CheckResult, rules: Sequence[Rule]) -> Verdicts:
    """Lay one result's verdicts out over the rules of all results."""
    verdicts = np.full((len(rules), len(result.case_ids)), NOT_JUDGED, dtype=np.int8)
    row_of = {rule.code: row for row, rule in enumerate(rules)}
    verdicts[[row_of[rule.code] for rule in result.rules]] = result.verdicts
    return verdicts


def _require_agreement(desk: Desk, one: Measured, judged: Verdicts) -> None:
    """Stop the run where durable-rules and the independent evaluator give different verdicts."""
    by_table = one.of_cases(decide(one.table, one.found.facts, one.rule.code))
    differing = np.flatnonzero(by_table != judged)
    if len(differing):
        first = int(differing[0])
        case = desk.log.cases[s.CASE_ID][first].as_py()
        facts = {name: int(values[0]) for name, values in one.of(differing[:1]).facts.items()}
        said, told = Verdict(int(judged[first])).word, Verdict(int(by_table[first])).word
        msg = (
            f"rule {one.rule.code}, case '{case}': durable-rules says {said}, the evaluator {told}"
        )
        why = f"facts {facts}; {len(differing)} cases differ; no finding may rest on one engine"
        raise RunError("EN002", msg, why=why, fix="Report it as a defect with this line")


def _tallies(rules: Sequence[Rule], verdicts: Verdicts) -> tuple[Tally, ...]:
    """Count the verdicts of each rule; NOT_JUDGED counts nowhere."""
    return tuple(
        Tally(rule, **{v.word: int(np.count_nonzero(row == v)) for v in Verdict})
        for rule, row in zip(rules, verdicts, strict=True)
    )
