"""Findings: right evidence, stable fingerprints, two engines that must agree."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_mining import schema as s
from process_mining.errors import RunError
from process_mining.eventlog import POSITION, EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log
from rules import check as check_module
from rules.catalogue import load_catalogue
from rules.check import NOT_JUDGED, CheckResult, check, merge
from rules.doubts import UNMAPPED
from rules.durations import duration_words
from rules.findings import FINDINGS_SCHEMA
from rules.measuring import measure
from rules.practice import prepare_desk, translate
from rules.service_level import load_service_levels
from rules.spec import Reference, Rule, Scope, Severity, Verdict, decide
from rules.templates import Desk, templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.catalogue import Catalogue
    from rules.spec import DecisionTable

BPI13 = Path(__file__).parents[2].parent / "shared/data/bpic13/BPIC13_closed_problems.xes.gz"
START = dt.datetime(2024, 5, 6, 8, tzinfo=dt.UTC)
START_US = int(START.timestamp()) * s.US_PER_SECOND
Row = tuple[str, str, int, str | None]  # case, activity, hours after START, actor

ROWS: tuple[Row, ...] = (
    ("A", "Register", 0, "ann"),
    ("A", "Diagnose", 1, "ben"),
    ("A", "Resolve", 2, "ben"),
    ("A", "Close", 3, "ann"),
    ("B", "Register", 0, "ann"),
    ("B", "Resolve", 1, "ben"),
    ("B", "Diagnose", 2, "cem"),
    ("B", "Resolve", 3, "ben"),
    ("B", "Close", 5, "ben"),
    ("C", "Register", 4, None),
    ("D", "Register", 5, "ann"),
    ("D", "Cancel", 6, "ann"),
)


def desk_of(rows: Sequence[Row], *, ended: str = "ABD") -> Desk:
    events = pa.table(
        {
            s.CASE_ID: [case for case, _, _, _ in rows],
            s.ACTIVITY: [activity for _, activity, _, _ in rows],
            s.AT: pa.array([START_US + h * s.US_PER_HOUR for _, _, h, _ in rows], pa.int64()),
            s.ACTOR: pa.array([actor for _, _, _, actor in rows], pa.string()),
            s.TEAM: pa.array(["desk" for _ in rows], pa.string()),
        }
    )
    log = EventLog.build(events, meta=LogMeta("test", clear_names=True))
    ids = log.cases[s.CASE_ID].to_pylist()
    complete = np.array([case in ended for case in ids], dtype=bool)
    no_levels: Any = None
    return Desk(log, complete, START_US + 100 * s.US_PER_HOUR, no_levels)


def rule_of(code: str, template: str, **params: object) -> Rule:
    return Rule(
        code=code,
        name=f"{template.replace('_', '-')}-{code.lower()}",
        title=f"Offence of {code}",
        practice="incident",
        case_type="incident",
        template=template,
        params=templates()[template].Params.model_validate(params),
        severity=Severity.HIGH,
        version=3,
        valid_from=dt.date(2024, 1, 1),
        valid_until=None,
        reference=Reference("Incident management"),
        owner="Process owner",
        why="why",
        remedy="remedy",
        known_problems=(),
        examples=(),
        path="INC.toml",
    )


PRECEDES = rule_of("INC002", "precedes", before="Diagnose", activity="Resolve")
EXISTS = rule_of("INC001", "exists", activity="Resolve")
FOUR_EYES = rule_of("INC003", "four_eyes", first="Resolve", second="Close")
RULES = (PRECEDES, EXISTS, FOUR_EYES)


def run(desk: Desk, rules: Sequence[Rule] = RULES) -> CheckResult:
    return check(desk, rules, log_sha256="0" * 64)


def test_verdicts_tallies_and_order() -> None:
    result = run(desk_of(ROWS))
    words = [[Verdict(v).word for v in row] for row in result.verdicts]
    assert [rule.code for rule in result.rules] == ["INC001", "INC002", "INC003"]
    assert result.case_ids.to_pylist() == ["A", "B", "C", "D"]
    assert words == [
        ["conforms", "conforms", "pending", "violates"],
        ["conforms", "violates", "pending", "vacuous"],
        ["conforms", "violates", "pending", "vacuous"],
    ]
    tally = result.tallies[1]
    assert (tally.conforms, tally.violates, tally.pending, tally.vacuous) == (1, 1, 1, 1)


def test_a_finding_shows_its_evidence() -> None:
    result = run(desk_of(ROWS))
    assert result.findings.schema.equals(FINDINGS_SCHEMA)
    by_rule = {row["rule"]: row for row in result.findings.to_pylist()}
    early = by_rule["INC002"]
    assert early["case_id"] == "B"
    assert early["seqs"] == [1, 2]  # the early Resolve, and the Diagnose that came too late
    assert early["at"] == START + dt.timedelta(hours=1)
    assert (early["actor"], early["team"]) == ("ben", "desk")
    assert (early["verdict"], early["severity"], early["rule_version"]) == ("violates", "high", 3)
    assert early["message"] == "Offence of INC002 (times too early: 1; limit 0)"
    assert early["waived_by"] is None
    assert by_rule["INC003"]["seqs"] == [1, 4]  # B: resolved and closed by ben
    assert by_rule["INC003"]["at"] == START + dt.timedelta(hours=5)


def test_what_never_happened_is_dated_by_the_last_event() -> None:
    (finding,) = run(desk_of(ROWS), [EXISTS]).findings.to_pylist()
    assert (finding["case_id"], finding["seqs"]) == ("D", [])
    assert finding["at"] == START + dt.timedelta(hours=6)
    assert finding["actor"] == "ann"


def test_findings_do_not_depend_on_the_order_of_rows_or_rules() -> None:
    first = run(desk_of(ROWS))
    for rows in itertools.islice(itertools.permutations(ROWS), 1, 5):
        again = run(desk_of(rows[::-1]), RULES[::-1])
        assert again.findings.equals(first.findings)
        assert np.array_equal(again.verdicts, first.verdicts)


def test_fingerprints_are_those_of_the_finding_and_nothing_else() -> None:
    first = run(desk_of(ROWS)).findings
    assert len(set(first["fingerprint"].to_pylist())) == first.num_rows
    hour = s.US_PER_HOUR
    named = [[1, "Resolve", START_US + hour], [2, "Diagnose", START_US + 2 * hour]]
    text = json.dumps(["INC002", 3, "B", "violates", named])
    assert first["fingerprint"][1].as_py() == hashlib.sha256(text.encode()).hexdigest()[:16]
    other_cases = [row for row in ROWS if row[0] != "A"]
    kept = run(desk_of(other_cases)).findings
    assert kept["fingerprint"].to_pylist() == first["fingerprint"].to_pylist()
    newer = run(desk_of(ROWS), [replace(rule, version=4) for rule in RULES]).findings
    assert set(newer["fingerprint"].to_pylist()).isdisjoint(first["fingerprint"].to_pylist())


def test_fingerprints_of_any_text_are_those_of_its_json() -> None:
    rule = rule_of("INC004", "never_follows", activity='So "é"', then="\u2028\\")
    odd: tuple[Row, ...] = (
        ('Ä "1"', 'So "é"', 0, None),
        ('Ä "1"', "\u2028\\", 1, None),
        ("none", "Close", 1, None),
    )
    when = rule_of("INC005", "exists", activity="Register")
    desk = desk_of(odd, ended='Ä "1"none')
    untimed = desk.log.with_columns(events={s.AT: pa.nulls(3, pa.int64())})
    for at in (True, False):
        found = run(desk if at else replace(desk, log=untimed), [rule, when]).findings.to_pylist()
        assert [row["rule"] for row in found] == ["INC004", "INC005", "INC005"]
        for row in found:
            named = [
                [
                    e["seq"],
                    e["activity"],
                    int(e["at"].timestamp()) * s.US_PER_SECOND if at else None,
                ]
                for e in row["evidence"]
            ]
            text = json.dumps([row["rule"], 3, row["case_id"], "violates", named])
            assert row["fingerprint"] == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_disagreement_of_the_engines_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(table: DecisionTable, facts: dict[str, Any], rule: str) -> Any:  # noqa: ANN401 - an array
        verdicts = decide(table, facts, rule)
        verdicts[1] = Verdict.CONFORMS
        return verdicts

    monkeypatch.setattr(check_module, "decide", wrong)
    message = r"EN002 rule INC002, case 'B': durable-rules says violates, the evaluator conforms"
    with pytest.raises(RunError, match=message):
        run(desk_of(ROWS), [PRECEDES])


def test_an_activity_that_the_source_never_records_makes_a_rule_unknown() -> None:
    desk = replace(desk_of(ROWS), unobserved=frozenset({"Diagnose"}))
    result = run(desk)
    assert [tally.unknown for tally in result.tallies] == [0, 4, 0]
    assert result.causes == {"INC002": "the log's source does not record 'Diagnose'"}
    assert "INC002" not in result.findings["rule"].to_pylist()


UNMAPPED_RULES = (
    (EXISTS, "violates", "unknown"),
    (PRECEDES, "violates", "unknown"),
    (FOUR_EYES, "violates", "violates"),
    (rule_of("INC004", "at_most", activity="Resolve", limit=1), "violates", "violates"),
    (rule_of("INC005", "responds", activity="Close", then="Reopen"), "violates", "unknown"),
    (
        rule_of(
            "INC006",
            "responds_within",
            activity="Close",
            then="Reopen",
            within="4h",
            calendar="24x7",
        ),
        "violates",
        "unknown",
    ),
    (
        rule_of("INC007", "waits_at_most", activity="Diagnose", limit="30m", calendar="24x7"),
        "violates",
        "unknown",
    ),
    (
        rule_of("INC008", "waits_at_most", activity="Diagnose", limit="9h", calendar="24x7"),
        "conforms",
        "unknown",
    ),
    (rule_of("INC009", "exists", activity="Close"), "conforms", "conforms"),
)


@pytest.mark.parametrize(("rule", "plain", "with_unmapped"), UNMAPPED_RULES)
def test_a_word_that_is_not_mapped_may_be_what_is_missing(
    rule: Rule, plain: str, with_unmapped: str
) -> None:
    desk = replace(desk_of(ROWS), service_levels=load_service_levels())
    row = 3 if rule is EXISTS else 1  # D was cancelled; B was resolved too early, and twice

    def verdict(unmapped: list[bool]) -> tuple[str, CheckResult]:
        result = run(replace(desk, unmapped=np.array(unmapped)), [rule])
        return Verdict(int(result.verdicts[0, row])).word, result

    assert verdict([False] * 4)[0] == plain
    word, result = verdict([case == row for case in range(4)])
    assert word == with_unmapped
    assert (result.causes == {rule.code: UNMAPPED}) == (word == "unknown")
    assert result.findings.num_rows == result.tallies[0].violates


@pytest.mark.parametrize(("reason", "cause"), [("unobserved", "'Cancel'"), ("unmapped", "words")])
def test_an_excuse_that_cannot_be_seen_leaves_violations_unknown(reason: str, cause: str) -> None:
    desk = replace(desk_of(ROWS), service_levels=load_service_levels())
    cases = desk.log.cases.set_column(
        desk.log.cases.column_names.index(s.PRIORITY),
        s.PRIORITY,
        pa.array(["P1", "P9", "P1", "P9"], pa.string()),
    )
    log = desk.log.with_columns(cases={s.PRIORITY: cases[s.PRIORITY].combine_chunks()})
    desk = replace(desk, log=log)
    rule = rule_of("SLM003", "has_target", unless="Cancel")
    seen = run(desk, [rule])
    assert words_of(seen) == ["conforms", "violates", "conforms", "vacuous"]
    unseen: Any = {
        "unobserved": frozenset({"Cancel"}),
        "unmapped": np.ones(4, dtype=bool),
    }[reason]
    result = run(replace(desk, **{reason: unseen}), [rule])
    assert words_of(result) == ["conforms", "unknown", "conforms", "vacuous"]
    assert cause in result.causes["SLM003"]
    always = run(replace(desk, **{reason: unseen}), [rule_of("SLM003", "has_target")])
    assert words_of(always) == ["conforms", "violates", "conforms", "violates"]


def words_of(result: CheckResult) -> list[str]:
    return [Verdict(int(v)).word for v in result.verdicts[0]]


def test_a_case_that_ended_unanswered_in_time_says_so() -> None:
    rule = rule_of(
        "INC006", "responds_within", activity="Diagnose", then="Escalate", within="4h",
        calendar="24x7",
    )  # fmt: skip
    desk = replace(desk_of(ROWS), service_levels=load_service_levels())
    found = run(desk, [rule]).findings.to_pylist()
    assert [(row["case_id"], row["message"]) for row in found] == [
        ("A", "Offence of INC006 (the case ended unanswered after 2 h; limit 4 h)"),
        ("B", "Offence of INC006 (the case ended unanswered after 3 h; limit 4 h)"),
    ]


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "in_force"),
    [
        (dt.date(2024, 5, 6), None, True),
        (dt.date(2024, 5, 7), None, False),
        (dt.date(2024, 1, 1), dt.date(2024, 5, 6), False),
        (dt.date(2024, 1, 1), dt.date(2024, 5, 7), True),
    ],
)
def test_a_rule_on_whole_cases_is_in_force_for_those_that_ended_in_its_dates(
    valid_from: dt.date, valid_until: dt.date | None, *, in_force: bool
) -> None:
    rule = replace(EXISTS, valid_from=valid_from, valid_until=valid_until)
    (tally,) = run(desk_of(ROWS, ended="ABCD"), [rule]).tallies
    assert (tally.vacuous, tally.violates) == ((0, 2) if in_force else (4, 0))


def test_open_cases_are_judged_by_the_version_in_force_when_they_are_judged() -> None:
    """C is open; it is judged 100 hours after START, on the 10th."""

    def verdict(valid_until: dt.date) -> str:
        rule = replace(EXISTS, valid_until=valid_until)
        return Verdict(int(run(desk_of(ROWS), [rule]).verdicts[0, 2])).word

    assert verdict(dt.date(2024, 5, 10)) == "vacuous"
    assert verdict(dt.date(2024, 5, 11)) == "pending"


NIGHT = dt.date(2024, 5, 7)  # 16 hours after START
OLDER = replace(
    rule_of("INC007", "precedes", before="Diagnose", activity="Resolve"),
    version=1,
    valid_until=NIGHT,
)
NEWER = replace(
    rule_of("INC007", "precedes", before="Classify", activity="Resolve"),
    version=2,
    valid_from=NIGHT,
)


@pytest.mark.parametrize(
    ("events", "verdict", "versions"),
    [
        ([("Diagnose", 0), ("Resolve", 1)], "conforms", []),
        ([("Resolve", 1), ("Diagnose", 2)], "violates", [1]),
        ([("Classify", 1), ("Resolve", 2)], "violates", [1]),
        ([("Classify", 0), ("Diagnose", 1), ("Resolve", 20)], "conforms", []),
        ([("Diagnose", 1), ("Resolve", 20)], "violates", [2]),
        ([("Classify", 1), ("Resolve", 20)], "conforms", []),
        ([("Resolve", 1), ("Resolve", 20)], "violates", [1, 2]),
        ([("Register", 1), ("Cancel", 2)], "vacuous", []),
        ([("Register", 1), ("Cancel", 20)], "vacuous", []),
    ],
)
def test_every_event_is_judged_by_the_version_in_force_at_it(
    events: list[tuple[str, int]], verdict: str, versions: list[int]
) -> None:
    rows = [("A", word, hour, None) for word, hour in events]
    result = run(desk_of(rows), [NEWER, OLDER])
    assert words_of(result) == [verdict]
    assert [rule.version for rule in result.rules] == [2]
    assert result.findings["rule_version"].to_pylist() == versions
    assert len(set(result.findings["fingerprint"].to_pylist())) == len(versions)
    assert result.tallies[0].violates == int(verdict == "violates")


def test_a_scope_leaves_cases_out_and_a_missing_value_leaves_it_open() -> None:
    desk = desk_of(ROWS)
    priority = pa.array([" p1", "P1", None, None], pa.string())
    desk = replace(desk, log=desk.log.with_columns(cases={s.PRIORITY: priority}))

    def words(rule: Rule, scope: Scope) -> list[str]:
        return words_of(run(desk, [replace(rule, scope=(scope,))]))

    top = frozenset({"p1"})

    assert words_of(run(desk, [PRECEDES])) == ["conforms", "violates", "pending", "vacuous"]
    assert words(PRECEDES, Scope(s.PRIORITY, one_of=top)) == [
        "conforms",
        "violates",
        "unknown",
        "vacuous",
    ]
    assert words(PRECEDES, Scope(s.PRIORITY, none_of=top)) == [
        "vacuous",
        "vacuous",
        "unknown",
        "vacuous",
    ]
    nowhere = replace(PRECEDES, scope=(Scope("attr.site", one_of=frozenset({"bonn"})),))
    result = run(desk, [nowhere])
    assert words_of(result) == ["unknown", "unknown", "unknown", "vacuous"]
    assert "'attr.site'" in result.causes["INC002"]


def test_evidence_says_what_was_expected_and_what_was_seen() -> None:
    (row,) = run(desk_of(ROWS), [PRECEDES]).findings.to_pylist()
    assert row["expected"] == "'Resolve' happens only after 'Diagnose'."
    assert row["seen"] == (
        "1 time too early: Resolve (seq 1, 2024-05-06 09:00:00 UTC); "
        "Diagnose (seq 2, 2024-05-06 10:00:00 UTC)"
    )
    assert [(e["seq"], e["activity"], e["actor"], e["team"]) for e in row["evidence"]] == [
        (1, "Resolve", "ben", "desk"),
        (2, "Diagnose", "cem", "desk"),
    ]
    (never,) = run(desk_of(ROWS), [EXISTS]).findings.to_pylist()
    assert (never["seen"], never["evidence"]) == ("0 times: no such event", [])


def test_no_rules_no_cases_no_findings() -> None:
    assert run(desk_of(ROWS), []).findings.num_rows == 0
    empty = run(desk_of(()))
    assert empty.findings.schema.equals(FINDINGS_SCHEMA)
    assert empty.verdicts.shape == (3, 0)


def test_merge_joins_two_practices() -> None:
    other = [(f"P{case}", activity, h, who) for case, activity, h, who in ROWS]
    one, two = run(desk_of(ROWS), [EXISTS, PRECEDES]), run(desk_of(other), [FOUR_EYES])
    both = merge([two, one])
    assert [rule.code for rule in both.rules] == ["INC001", "INC002", "INC003"]
    assert both.verdicts.shape == (3, 8)
    assert np.count_nonzero(both.verdicts == NOT_JUDGED) == 12
    assert {t.rule.code: t.violates for t in both.tallies} == {
        "INC001": 1,
        "INC002": 1,
        "INC003": 1,
    }
    assert both.findings["rule"].to_pylist() == sorted(both.findings["rule"].to_pylist())
    assert both.findings.num_rows == one.findings.num_rows + two.findings.num_rows


words = st.sampled_from(["Register", "Diagnose", "Resolve", "Close", "Reopen"])
events = st.tuples(words, st.integers(0, 4), st.sampled_from(["ann", "ben", None]))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=12))
def test_random_desks_each_finding_is_a_violation_and_each_violation_a_finding(
    cases: list[list[tuple[str, int, str | None]]],
) -> None:
    rows = [(f"c{i:02d}", w, h, who) for i, case in enumerate(cases) for w, h, who in case]
    result = run(desk_of(rows, ended="c00c01c02c03c04c05"))
    ids = result.case_ids.to_pylist()
    violating = [
        (rule.code, ids[case])
        for rule, row in zip(result.rules, result.verdicts, strict=True)
        for case in np.flatnonzero(row == Verdict.VIOLATES)
    ]
    found = result.findings.to_pylist()
    assert [(row["rule"], row["case_id"]) for row in found] == violating
    lengths = dict(zip(ids, map(len, cases), strict=True))
    for row in found:
        assert row["seqs"] == sorted(set(row["seqs"]))
        assert all(0 <= seq < lengths[row["case_id"]] for seq in row["seqs"])


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (180_060_000_000, "50 h 1 min"),
        (0, "0 s"),
        (999_999, "under 1 s"),
        (-61_000_000, "-1 min 1 s"),
    ],
)
def test_times_are_said_in_hours(us: int, said: str) -> None:
    assert duration_words(us) == said


def test_real_problems_shuffled_give_the_same_findings() -> None:
    """BPI Challenge 2013, closed problems: 1,487 cases under all of our problem rules."""
    if not BPI13.exists():
        pytest.skip(f"{BPI13.name} is not there")
    log = open_log([BPI13], ReadOptions(clear_names=True))
    catalogue = load_catalogue()
    first = problems(log, catalogue)
    order = np.random.default_rng(7).permutation(log.n_events)
    position = log.events.rename_columns(
        [POSITION if name == s.SEQ else name for name in log.events.column_names]
    )
    shuffled = EventLog.build(position.take(pa.array(order)), meta=log.meta, cases=log.cases)
    again = problems(shuffled, catalogue)
    assert again.findings.equals(first.findings)
    assert np.array_equal(again.verdicts, first.verdicts)
    assert first.verdicts.shape[1] == 1_487
    assert first.findings.num_rows == sum(tally.violates for tally in first.tallies) > 0
    assert first.findings["at"].null_count == 0


def problems(log: EventLog, catalogue: Catalogue) -> CheckResult:
    translation = translate(log, catalogue.practices["problem"])
    as_of_us = int(log.arrays.at.max())
    prepared = prepare_desk(translation, service_levels=load_service_levels(), as_of_us=as_of_us)
    return check(prepared.desk, catalogue.for_cases("problem"), log_sha256=log.meta.sha256)


@pytest.mark.benchmark
def test_speed_of_20_rules_on_100_000_cases(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"{case}{i:06d}", a, h, who) for i in range(25_000) for case, a, h, who in ROWS]
    desk = desk_of(rows)
    rules = [replace(rule, code=f"INC{i:03d}") for i, rule in enumerate(RULES * 7)][:20]
    begun = time.perf_counter()
    result = run(desk, rules)
    seconds = time.perf_counter() - begun
    said = f"20 rules x {desk.log.n_cases:,} cases: {seconds:.1f} s"
    with capsys.disabled():
        print(f"\n{said}, {result.findings.num_rows:,} findings")  # noqa: T201 - a benchmark prints
    assert seconds < 60


def test_what_is_measured_by_trace_is_what_is_measured_case_by_case() -> None:
    """On real problems, with updates between the steps; both ways through `measure`."""
    if not BPI13.exists():
        pytest.skip(f"{BPI13} is not here")
    practice = load_catalogue().practices["problem"]
    translation = translate(open_log([BPI13], ReadOptions()), practice)
    desk = prepare_desk(translation, service_levels=load_service_levels(), as_of_us=0).desk
    desk = replace(desk, as_of_us=int(desk.log.arrays.at.max()))
    rules = [rule for rule in load_catalogue().rules if rule.params.by_trace()]
    rules += [
        rule_of("ZZZ001", "precedes", before="Wait", activity="Close"),
        rule_of("ZZZ002", "responds", activity="Wait", then="Investigate", form="chain"),
        rule_of("ZZZ003", "at_most", activity="Investigate", limit=2),
    ]
    for rule in rules:
        kinds = templates()[rule.template]
        direct = kinds.measure(desk, rule.params)
        found = measure(desk, replace(rule, valid_from=dt.date(1990, 1, 1))).measure
        if "recorded" in found.facts:
            continue  # the source does not record what the rule speaks of
        for name, values in direct.facts.items():
            assert np.array_equal(found.facts[name], values), (rule.code, name)
        for mine, plain in zip(found.events, direct.events, strict=True):
            assert np.array_equal(mine, plain), rule.code
        assert np.array_equal(found.measured, direct.measured), rule.code
    assert len(desk.traces.representative) < desk.log.n_cases / 4


def test_one_of_a_unit_is_called_by_its_singular() -> None:
    rule = rule_of("INC004", "at_most", activity="Resolve", limit=1)
    (row,) = run(desk_of(ROWS), [rule]).findings.to_pylist()
    assert row["seen"].startswith("2 times: ")
    (early,) = run(desk_of(ROWS), [PRECEDES]).findings.to_pylist()
    assert early["seen"].startswith("1 time too early: ")
