"""Which verdicts change when one rulebook takes the place of another: `trueloop rules diff`.

A rulebook is a folder of rules by itself, or the rules that ship; our practices (words, models) are
known to both, and a practice that a folder has itself takes the place of ours of that name. The log
is judged at the same moment, by the same service levels, and with the same findings of the quality
gate.

What is compared are codes. A code whose versions demand the same in both rulebooks (template,
parameters, scope, time in force) gives the same verdicts and is judged in neither, unless the
practices differ: then the log is read in other words, and everything is judged twice. Codes that
only one rulebook has are judged once and counted apart.

A change is a (rule, case) with another verdict; a case that one rulebook's rule is not about is
"not judged". A case newly violates a rule where it does under the new rulebook and did not under
the old, also where the old one had no such rule: `fail_on` looks at these.

Order: changes by (rule, case_id).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.audit import check_shares, judged_at, make_ready
from csi.outputs import whole_set, write_csv, write_parquet
from csi.report.words import moment
from process_mining.sources import open_log
from rules.catalogue import load_catalogue
from rules.check import NOT_JUDGED, merge
from rules.spec import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from csi.audit import AuditRequest, ReadyLog
    from process_mining.eventlog import EventLog
    from rules.catalogue import Catalogue
    from rules.check import CheckResult
    from rules.practice import Practice
    from rules.spec import Rule

    Bools = npt.NDArray[np.bool_]

SHIPPED: Final = "shipped"
FILES: Final = ("diff.parquet", "diff.csv")
NO_VERDICT: Final = "not judged"
NEWLY: Final = "newly violates"
NO_LONGER: Final = "no longer violates"
UNSURE: Final = "no longer known"
SURE: Final = "now known"
OTHER: Final = "other"
CHANGES: Final = pa.schema(
    [
        ("rule", pa.string()),
        ("severity", pa.string()),
        ("case_id", pa.string()),
        ("from", pa.string()),
        ("to", pa.string()),
        ("kind", pa.string()),
        ("message", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class Rulebook:
    """One of the two: its name as given, its rules, and what those that matter say of the log."""

    name: str
    catalogue: Catalogue
    result: CheckResult

    @property
    def verdict_rows(self) -> dict[str, int]:
        """The row of each judged rule in the verdicts."""
        return {rule.code: row for row, rule in enumerate(self.result.rules)}


@dataclass(frozen=True, eq=False)
class Difference:
    """What changes; `same` are codes that demand the same, `words_differ` that practices do not.

    `changes` has one row a changed (rule, case), of rules that both rulebooks have.
    """

    request: AuditRequest
    log: EventLog
    as_of: str | None
    old: Rulebook
    new: Rulebook
    same: tuple[str, ...]
    words_differ: tuple[str, ...]
    changes: pa.Table

    @property
    def only_old(self) -> tuple[Rule, ...]:
        """The newest versions of the rules that the new rulebook does not have."""
        return _only(self.old.catalogue, self.new.catalogue)

    @property
    def only_new(self) -> tuple[Rule, ...]:
        """The newest versions of the rules that the old rulebook does not have."""
        return _only(self.new.catalogue, self.old.catalogue)

    @property
    def newly(self) -> list[tuple[str, Severity, int]]:
        """Per rule that cases newly violate: code, severity in the new rulebook, cases."""
        severity = {rule.code: rule.severity for rule in self.new.catalogue.newest}
        newly = self.changes.filter(pc.equal(self.changes["kind"], NEWLY))["rule"].value_counts()
        counts = {row["values"]: row["counts"] for row in newly.to_pylist()}
        counts |= {rule.code: _tally(self.new, rule)["violates"] for rule in self.only_new}
        return [(code, severity[code], n) for code, n in sorted(counts.items()) if n]

    @property
    def exit_code(self) -> int:
        """1 where a case newly violates a rule at or above `fail_on`, else 0."""
        limit = self.request.fail_on
        return int(limit is not None and any(one[1] >= limit for one in self.newly))


def difference(
    old: str, new: str, request: AuditRequest, step: Callable[[str], None] = lambda _: None
) -> Difference:
    """Judge a log by what differs between two rulebooks; CodedError for the user to mend."""
    step("rulebooks")
    catalogues = (_load(old), _load(new))
    step("reading")
    log = open_log(request.logs, request.read)
    words = tuple(_differing_words(*catalogues))
    same = tuple(_same_codes(*catalogues))
    skip = frozenset(() if words else same)
    ready = [_ready(log, request, catalogue, step) for catalogue in catalogues[: 1 + bool(words)]]
    step("rules")
    results = [
        merge(check_shares(shares, catalogue, request.allow, skip=skip))
        for shares, catalogue in zip([ready[0], ready[-1]], catalogues, strict=True)
    ]
    books = [
        Rulebook(name, catalogue, result)
        for name, catalogue, result in zip((old, new), catalogues, results, strict=True)
    ]
    as_of_us = judged_at(log, request.as_of)
    return Difference(
        request=request,
        log=log,
        as_of=moment(as_of_us) if log.timed else None,
        old=books[0],
        new=books[1],
        same=same,
        words_differ=words,
        changes=_changes(*books),
    )


def _load(name: str) -> Catalogue:
    return load_catalogue() if name == SHIPPED else load_catalogue([Path(name)], shipped=False)


# --- what differs


def _same_codes(old: Catalogue, new: Catalogue) -> Iterator[str]:
    """Yield the codes whose versions demand the same in both rulebooks."""
    for code in sorted({rule.code for rule in old.rules} & {rule.code for rule in new.rules}):
        if _demands(old, code) == _demands(new, code):
            yield code


def _demands(catalogue: Catalogue, code: str) -> list[tuple[object, ...]]:
    """Return all of a rule that decides verdicts, version by version."""
    return [
        (
            rule.case_type,
            rule.template,
            rule.params,
            rule.scope,
            rule.valid_from,
            rule.valid_until,
        )
        for rule in catalogue.versions(code)
    ]


def _only(one: Catalogue, other: Catalogue) -> tuple[Rule, ...]:
    known = {rule.code for rule in other.rules}
    return tuple(rule for rule in one.newest if rule.code not in known)


def _differing_words(old: Catalogue, new: Catalogue) -> Iterator[str]:
    """Yield the practices whose words or models differ."""
    for name in sorted(old.practices.keys() | new.practices.keys()):
        one, other = old.practices.get(name), new.practices.get(name)
        if one is None or other is None or _content(one) != _content(other):
            yield name


def _content(practice: Practice) -> tuple[Practice, bytes]:
    """Return a practice without the place where it lies, and its model."""
    path = practice.model_path
    model = b"" if path is None else path.read_bytes()
    return replace(practice, path=Path(), model_path=None), model


# --- judging


def _ready(
    log: EventLog, request: AuditRequest, catalogue: Catalogue, step: Callable[[str], None]
) -> ReadyLog:
    as_of_us = judged_at(log, request.as_of)
    return make_ready(log, request, catalogue.practices, as_of_us=as_of_us, step=step)


def _changes(old: Rulebook, new: Rulebook) -> pa.Table:
    """Lay out every (rule, case) whose verdict differs, of rules that both have."""
    place = pc.index_in(new.result.case_ids, value_set=old.result.case_ids)
    before_rows, after_rows = old.verdict_rows, new.verdict_rows
    parts = [CHANGES.empty_table()]
    for code in sorted(before_rows.keys() & after_rows.keys()):
        after = new.result.verdicts[after_rows[code]]
        before = _aligned(old.result.verdicts[before_rows[code]], place)
        changed = np.flatnonzero(before != after)
        parts.append(_rows(new, code, changed, before[changed], after[changed]))
    return pa.concat_tables(parts).sort_by([("rule", "ascending"), ("case_id", "ascending")])


def _aligned(verdicts: npt.NDArray[np.int8], place: pa.Array) -> npt.NDArray[np.int8]:
    """Bring the old rulebook's verdicts into the order of the new one's cases."""
    known = np.append(verdicts, np.int8(NOT_JUDGED))
    index = pc.fill_null(place, len(verdicts)).to_numpy(zero_copy_only=False)
    return np.asarray(known[index], dtype=np.int8)


def _rows(
    new: Rulebook,
    code: str,
    cases: npt.NDArray[np.int64],
    before: npt.NDArray[np.int8],
    after: npt.NDArray[np.int8],
) -> pa.Table:
    rule = new.result.rules[new.verdict_rows[code]]
    ids = new.result.case_ids.take(pa.array(cases))
    mine = new.result.findings.filter(pc.equal(new.result.findings["rule"], code))
    found = pc.index_in(ids, value_set=mine["case_id"].combine_chunks())
    pairs = list(zip(before.tolist(), after.tolist(), strict=True))
    columns = {
        "rule": pa.repeat(pa.scalar(code), len(cases)),
        "severity": pa.repeat(pa.scalar(rule.severity.word), len(cases)),
        "case_id": ids,
        "from": pa.array([_word(one) for one, _ in pairs], pa.string()),
        "to": pa.array([_word(other) for _, other in pairs], pa.string()),
        "kind": pa.array([_kind(*pair) for pair in pairs], pa.string()),
        "message": mine["message"].combine_chunks().take(found),
    }
    return pa.table(columns, schema=CHANGES)


def _word(verdict: int) -> str:
    return NO_VERDICT if verdict == NOT_JUDGED else Verdict(verdict).word


def _kind(before: int, after: int) -> str:
    if after == Verdict.VIOLATES:
        return NEWLY
    if before == Verdict.VIOLATES:
        return NO_LONGER
    if after == Verdict.UNKNOWN:
        return UNSURE
    return SURE if before == Verdict.UNKNOWN else OTHER


# --- what is shown


def summary_of(found: Difference) -> dict[str, Any]:
    """Return what --json prints, and what the screen shows."""
    differing = [
        code
        for code in sorted(found.old.verdict_rows.keys() & found.new.verdict_rows.keys())
        if code not in found.same
    ]
    return {
        "old": _book_row(found.old),
        "new": _book_row(found.new),
        "log": {
            "sha256": found.log.meta.sha256,
            "events": found.log.n_events,
            "cases": found.log.n_cases,
        },
        "as_of": found.as_of,
        "practices_that_differ": list(found.words_differ),
        "rules": {
            "same": len(found.same),
            "differing": differing,
            "only_old": [_rule_row(found.old, rule) for rule in found.only_old],
            "only_new": [_rule_row(found.new, rule) for rule in found.only_new],
        },
        "by_rule": _by_rule(found),
        "changes": found.changes.to_pylist(),
        "newly_violated": [
            {"rule": code, "severity": severity.word, "cases": n}
            for code, severity, n in found.newly
        ],
        "exit_code": found.exit_code,
    }


def _book_row(book: Rulebook) -> dict[str, Any]:
    rules = book.catalogue.rules
    return {
        "rulebook": book.name,
        "rules": len({rule.code for rule in rules}),
        "versions": len(rules),
    }


def _rule_row(book: Rulebook, rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.code,
        "name": rule.name,
        "severity": rule.severity.word,
        **_tally(book, rule),
    }


def _tally(book: Rulebook, rule: Rule) -> dict[str, int]:
    """Count the verdicts of a rule; a rule about cases that the log does not have gives none."""
    row = book.verdict_rows.get(rule.code)
    said = np.empty(0, np.int8) if row is None else book.result.verdicts[row]
    return {verdict.word: int(np.count_nonzero(said == verdict)) for verdict in Verdict}


def _by_rule(found: Difference) -> list[dict[str, Any]]:
    """Count the changes by rule and by what they change from and to."""
    names = {rule.code: rule.name for rule in found.new.catalogue.newest}
    keys = ["rule", "severity", "kind", "from", "to"]
    grouped = found.changes.group_by(keys, use_threads=False).aggregate([("case_id", "count")])
    rows = grouped.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return [
        {key: row[key] for key in keys}
        | {"name": names[row["rule"]], "cases": row["case_id_count"]}
        for row in rows
    ]


def write_difference(found: Difference, out: Path) -> None:
    """Write diff.parquet and diff.csv: both, or, where one cannot be written, none."""
    with whole_set(out, FILES) as aside:
        write_parquet(aside / FILES[0], found.changes)
        write_csv(aside / FILES[1], found.changes)
