"""Escalations: by hand, against every window looked at, and in whatever order findings come."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pytest
from oracles import escalations as oracle

from process_mining import schema as s
from process_mining.errors import CodedError, RunError
from process_mining.privacy import SMALLEST_TEAM
from rules import engine
from rules.catalogue import load_catalogue
from rules.chain import follow
from rules.escalation import ESCALATIONS_SCHEMA, escalate, worst_window
from rules.escalation_file import Escalating, Pattern, Proposal, load_patterns
from rules.findings import FINDINGS_SCHEMA
from rules.opportunity import CONTROL_WORDS, SEEN_SHOWN
from rules.spec import Control, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rules.chain import Chained, ChainProgram, Fact
    from rules.escalation import Escalation, Escalations
    from rules.spec import Rule

    Told = dict[str, Any]

DAY = s.US_PER_DAY
CONTROLS = {"CHG001": "approval", "CHG002": "approval", "CHG003": "test"}
CODES = ("CHG001", "CHG002", "CHG003", "INC001", "INC002", "INC004", "MAJ004")


@cache
def rules() -> tuple[Rule, ...]:
    model = load_catalogue().rule("INC001")
    return tuple(
        replace(
            model,
            code=code,
            title=f"Offence {code}",
            owner=f"Owner of {code[:3]}",
            control=CONTROLS.get(code),
        )
        for code in CODES
    )


def pattern(code: str, by: str, **more: Any) -> Pattern:  # noqa: ANN401 - fields of a pattern
    known = {
        "name": code.lower(),
        "title": f"Pattern {code}",
        "kind": "repeated",
        "each": "all" if by == "control" else "rule",
        "threshold": 2,
        "window_us": 10 * DAY,
        "rules": frozenset[str](),
        "at_least": Severity.LOW,
        "of": (),
        "severity": Severity.MEDIUM,
        "why": "",
        "known_problems": (),
        "owner": None,
        "opportunity": Proposal(
            "Mend {subject}: {offence}", "If {rules} then {n}", None, "escalation"
        ),
        "path": "",
    }
    return Pattern(code=code, by=by, **(known | more))  # type: ignore[arg-type]


TEAM = pattern("ESC001", "team", threshold=3)
CATEGORY = pattern("ESC002", "category", threshold=3)
AT_ONCE = pattern(
    "ESC004",
    "case",
    kind="at_once",
    each="all",
    threshold=1,
    window_us=None,
    rules=frozenset({"MAJ004"}),
    severity=Severity.HIGH,
    opportunity=Proposal("Learn from it", "If {subject}", "KPI08", "pattern"),
)
CONTROL = pattern("ESC005", "control")
CHAINED = pattern(
    "ESC006", "team", kind="chained", each="all", of=("ESC001",), window_us=20 * DAY, owner="Boss"
)
ALL = (TEAM, CATEGORY, AT_ONCE, CONTROL, CHAINED)
PEOPLE = {"Desk": 9, "Net": 7, "Few": SMALLEST_TEAM - 1}


def finding(number: int, rule: str, case: str, day: float | None, **more: object) -> Told:
    base = {"team": "Desk", "category": "mail", "service": "Mail", "waived": False, "severity": 2}
    at = None if day is None else round(day * DAY)
    told = {"rule": rule, "case": case, "at": at, "fingerprint": f"f{number:03}"}
    return base | told | {"control": CONTROLS.get(rule)} | more


def table(findings: Sequence[Told]) -> pa.Table:
    rows = [
        {
            "rule": one["rule"],
            "rule_version": 1,
            "case_id": one["case"],
            "verdict": "violates",
            "severity": Severity(one["severity"]).word,
            "seqs": [],
            "at": one["at"],
            "actor": "p-0123456789ab",
            "team": one["team"],
            "fingerprint": one["fingerprint"],
            "waived_by": "W-1" if one["waived"] else None,
        }
        for one in findings
    ]
    return pa.Table.from_pylist(rows, FINDINGS_SCHEMA)


def judge(
    findings: Sequence[Told],
    patterns: Sequence[Pattern] = ALL,
    people: dict[str, int] = PEOPLE,
    kpis: dict[str, str] | None = None,
) -> Escalations:
    known = {one["case"]: one for one in findings}
    cases = pa.table(
        {
            s.CASE_ID: pa.array(list(known), pa.string()),
            s.CATEGORY: pa.array([one["category"] for one in known.values()], pa.string()),
            s.SERVICE: pa.array([one["service"] for one in known.values()], pa.string()),
        }
    )
    return escalate(
        table(findings),
        rules=rules(),
        cases=cases,
        people=people,
        escalating=Escalating(tuple(patterns), kpis or {}),
    )


@pytest.fixture
def _fixpoint_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the worker, for tests of what is measured."""

    def chain(
        program: ChainProgram, sessions: Sequence[Sequence[Fact]], *, about: str
    ) -> list[Chained]:
        assert about
        return [follow(program, session) for session in sessions]

    monkeypatch.setattr(engine, "chain", chain)


def told(found: Escalations) -> list[tuple[object, ...]]:
    return [(one.pattern.code, one.subject, one.rules, one.n) for one in found.escalations]


# --- by hand


def test_groups_escalate_and_propose_and_escalations_escalate_higher() -> None:
    findings = [
        *(finding(i, "INC001", f"I{i}", i) for i in range(4)),
        *(finding(10 + i, "INC002", f"J{i}", 9 + i) for i in range(3)),
        *(finding(20 + i, "INC004", f"K{i}", i, team="Net", category=f"c{i}") for i in range(2)),
    ]
    found = judge(findings)
    assert told(found) == [
        ("ESC001", "Desk", ("INC001",), 4),
        ("ESC001", "Desk", ("INC002",), 3),
        ("ESC002", "mail", ("INC001",), 4),
        ("ESC002", "mail", ("INC002",), 3),
        ("ESC006", "Desk", ("INC001", "INC002"), 2),
    ]
    first, second, *_, higher = found.escalations
    assert (first.first_us, first.last_us) == (0, 3 * DAY)
    assert first.cases == ("I0", "I1", "I2", "I3")
    assert first.findings == ("f000", "f001", "f002", "f003")
    assert higher.parts == tuple(sorted([first.fingerprint, second.fingerprint]))
    assert first.part_of == second.part_of == (higher.fingerprint,)
    assert (higher.first_us, higher.last_us, higher.unit) == (0, 11 * DAY, "escalations")
    assert [one.escalations for one in found.opportunities] == [
        (one.fingerprint,) for one in found.escalations
    ]
    assert found.table().schema == ESCALATIONS_SCHEMA
    assert found.table()["n"].to_pylist() == [4, 3, 4, 3, 2]


def test_what_an_opportunity_says() -> None:
    findings = [finding(i, "INC001", f"I{i}", 100 + i) for i in range(3)]
    findings += [finding(9, "INC002", "X", 0)]
    (only,) = judge(findings, [TEAM], kpis={"INC001": "KPI05"}).opportunities
    assert only.title == "Mend team Desk: Offence INC001"
    assert only.hypothesis == "If INC001 then 3"
    assert only.seen == (
        "Team Desk: 3 tickets violate INC001 in 10 days (1970-04-11 to 1970-04-13); 3 are enough."
    )
    assert (only.kpi, only.owner, only.scope) == ("KPI05", "Owner of INC", {"team": ("Desk",)})
    assert only.findings == ("f000", "f001", "f002")


def test_what_is_put_into_a_text_is_not_read_again() -> None:
    findings = [finding(i, "INC001", f"I{i}", i, team="{n} {x}") for i in range(3)]
    (only,) = judge(findings, [TEAM], {}).opportunities
    assert only.title == "Mend team {n} {x}: Offence INC001"


def test_one_offence_of_many_teams_is_one_opportunity_where_the_pattern_says_so() -> None:
    """On the UCI log 304 escalations were 304 proposals, which nobody reads."""
    findings = [
        finding(9 * t + i, rule, f"I{t}{i}", i, team=team)
        for t, (team, rule) in enumerate(product(("Desk", "Network"), ("INC001", "INC002")))
        for i in range(3)
    ]
    told = TEAM.opportunity
    assert told is not None
    found = judge(findings, [replace(TEAM, opportunity=replace(told, per="rule"))])
    assert len(found.escalations) == 4
    assert [len(one.escalations) for one in found.opportunities] == [2, 2]
    first = found.opportunities[0]
    assert first.title.startswith("Mend team Desk, team Network: ")
    assert (first.scope, len(first.findings)) == ({}, 6)
    linked = {one.opportunity for one in found.escalations}
    assert linked == {one.fingerprint for one in found.opportunities}
    assert len(judge(findings, [TEAM]).opportunities) == 4


def test_at_once_all_tickets_of_a_pattern_are_one_opportunity() -> None:
    findings = [finding(i, "MAJ004", f"M{i}", None) for i in range(SEEN_SHOWN + 2)]
    found = judge(findings)
    assert {one[0] for one in told(found)} == {"ESC004"}
    assert [one.subject for one in found.escalations] == [f"M{i}" for i in range(SEEN_SHOWN + 2)]
    assert all(one.first_us is None for one in found.escalations)
    (only,) = found.opportunities
    assert only.escalations == tuple(one.fingerprint for one in found.escalations)
    assert only.seen.startswith("Ticket M0 violates MAJ004. Ticket M1")
    assert only.seen.endswith("And 2 more.")
    assert only.kpi == "KPI08"
    assert only.scope == {}
    assert found.left_out == {"without a time": SEEN_SHOWN + 2}


def test_a_control_that_fails_again_whoever_did_it_and_in_whatever_way() -> None:
    findings = [
        finding(1, "CHG001", "C1", 0, team=None),
        finding(2, "CHG002", "C2", 1, team="Net"),
        finding(3, "CHG003", "C3", 1),
        finding(4, "INC001", "C4", 1),
    ]
    assert told(judge(findings, [CONTROL])) == [("ESC005", "approval", ("CHG001", "CHG002"), 2)]


def test_every_control_has_words() -> None:
    assert set(CONTROL_WORDS) == set(get_args(Control))


def test_a_ticket_counts_once_in_a_window() -> None:
    findings = [finding(i, f"CHG00{1 + i % 2}", "C1", i) for i in range(6)]
    assert told(judge(findings, [CONTROL])) == []
    findings.append(finding(9, "CHG001", "C2", 0.5))
    assert told(judge(findings, [CONTROL])) == [("ESC005", "approval", ("CHG001", "CHG002"), 2)]


def test_the_window_is_half_open_and_slides() -> None:
    findings = [finding(i, "INC001", f"I{i}", 5 * i) for i in range(3)]
    assert told(judge(findings, [TEAM])) == []  # 0, 5, 10: the third lies at the end of the window
    findings.append(finding(9, "INC001", "I9", 9.999))
    (one,) = judge(findings, [TEAM]).escalations
    assert (one.n, one.cases, one.first_us) == (3, ("I0", "I1", "I9"), 0)  # the earliest of two


def test_what_does_not_count_is_told() -> None:
    findings = [
        *(finding(i, "INC001", f"I{i}", i) for i in range(2)),
        finding(2, "INC001", "I2", 2, waived=True),
        finding(3, "INC001", "I3", 3, team=None),
        finding(4, "INC001", "I4", None),
        *(finding(5 + i, "INC001", f"J{i}", i, team="Few") for i in range(3)),
    ]
    found = judge(findings, [TEAM])
    assert found.escalations == ()
    assert found.left_out == {
        "waived": 1,
        "without a time": 1,
        "without a team": 1,
        "of teams of fewer than 5 known people": 3,
    }
    # the same findings do count where nobody is pointed at
    assert told(judge(findings, [CATEGORY])) == [("ESC002", "mail", ("INC001",), 6)]


def test_small_teams_and_pseudonyms_are_no_groups() -> None:
    def reached(team: str, people: dict[str, int]) -> bool:
        findings = [finding(i, "INC001", f"I{i}", i, team=team) for i in range(3)]
        return bool(judge(findings, [TEAM], people).escalations)

    assert reached("Desk", {"Desk": SMALLEST_TEAM})
    assert reached("Desk", {})  # nobody is known: no person can be meant
    assert not reached("Desk", {"Desk": SMALLEST_TEAM - 1})
    assert not reached("p-0123456789ab", {"p-0123456789ab": 9})
    assert not reached("  ", {})
    people = [finding(i, "INC001", f"I{i}", i, team="p-0123456789ab") for i in range(3)]
    assert judge(people, [TEAM], {"p-0123456789ab": 9}).left_out == {
        "of teams that only a person's name or address names": 3
    }


def test_no_person_is_named_anywhere() -> None:
    findings = [finding(i, "INC001", f"I{i}", i) for i in range(4)]
    assert "p-0123456789ab" not in repr(judge(findings))


def test_only_severe_enough_findings_of_named_rules_count() -> None:
    findings = [finding(i, "INC001", f"I{i}", i, severity=1 + i % 3) for i in range(9)]
    severe = replace(TEAM, at_least=Severity.MEDIUM)
    assert [one[3] for one in told(judge(findings, [severe]))] == [6]
    assert told(judge(findings, [replace(TEAM, rules=frozenset({"INC002"}))])) == []


def test_no_findings_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WORKER", ("false",))
    found = judge([])
    assert (found.escalations, found.opportunities, found.left_out) == ((), (), {})
    assert found.table().num_rows == 0


def test_where_the_evaluators_differ_the_run_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(
        program: ChainProgram, sessions: Sequence[Sequence[Fact]], *, about: str
    ) -> list[Chained]:
        assert about
        chains = [follow(program, session) for session in sessions]
        lost = max(chains[0].facts)
        return [replace(chains[0], facts=chains[0].facts - {lost}), *chains[1:]]

    monkeypatch.setattr(engine, "chain", spoilt)
    findings = [finding(i, "INC001", f"I{i}", i) for i in range(4)]
    with pytest.raises(RunError, match=r"EN009 the chain of escalations.*\(0, 0, 0, 4, 0\)"):
        judge(findings, [TEAM])


# --- against every window looked at


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secrets


def random_log(chance: random.Random) -> list[Told]:
    """Findings of twelve tickets, dense enough that several groups of one subject escalate."""
    of_case = {
        f"T{i}": (chance.choice(["mail", "net", None, " "]), chance.choice(["Mail", None]))
        for i in range(12)
    }
    codes, last = chance.sample(CODES, chance.randint(2, 5)), chance.randint(1, 40)
    found = []
    for i in range(chance.randint(0, 80)):
        case, whole_days = f"T{chance.randrange(12)}", chance.random() < 0.5
        day = chance.uniform(0, last)
        found.append(
            finding(
                i,
                chance.choice(codes),
                case,
                None if chance.random() < 0.1 else round(day) if whole_days else day,
                team=chance.choice(["Desk", "Desk", "Net", "Few", None]),
                category=of_case[case][0],
                service=of_case[case][1],
                waived=chance.random() < 0.1,
                severity=chance.randint(1, 4),
            )
        )
    return found


def random_patterns(chance: random.Random) -> list[Pattern]:
    made = []
    for i in range(chance.randint(2, 4)):
        by = chance.choice(["team", "team", "category", "service", "control"])
        each = "all" if by == "control" else chance.choice(["rule", "control", "all"])
        made.append(
            pattern(
                f"ESC{i:03}",
                by,
                each=each,
                threshold=chance.randint(2, 5),
                window_us=chance.randint(1, 20) * DAY,
                at_least=Severity(chance.choice([1, 1, 2, 3])),
                rules=frozenset(chance.sample(CODES, chance.choice([0, 0, 3]))),
            )
        )
    for i in range(chance.randint(1, 2)):
        by = chance.choice([one.by for one in made if one.kind == "repeated"])
        of = [one.code for one in made if one.by == by and one.kind == "repeated"]
        chosen = tuple(sorted(chance.sample(of, chance.randint(1, len(of)))))
        window_us = chance.randint(1, 30) * DAY
        made.append(replace(CHAINED, code=f"ESC10{i}", by=by, of=chosen, window_us=window_us))
    return [*made, AT_ONCE]


def by_every_window(findings: list[Told], patterns: list[Pattern]) -> list[Told]:
    hidden = {"Few", " "}
    seen = [
        one | {name: None for name in ("team", "category") if one[name] in hidden}
        for one in findings
    ]
    plain = [
        {
            "code": one.code,
            "kind": one.kind,
            "by": one.by,
            "each": one.each,
            "threshold": one.threshold,
            "window": one.window_us,
            "rules": one.rules,
            "at_least": int(one.at_least),
            "of": one.of,
        }
        for one in patterns
    ]
    return oracle.escalations(seen, plain)


def as_told(one: Escalation, of: dict[str, Escalation]) -> Told:
    return {
        "code": one.pattern.code,
        "subject": one.subject,
        "rules": set(one.rules),
        "n": one.n,
        "first": one.first_us,
        "last": one.last_us,
        "cases": set(one.cases),
        "findings": set(one.findings),
        "parts": sorted((of[p].pattern.code, sorted(of[p].findings)) for p in one.parts),
    }


def assert_as_by_every_window(findings: list[Told], patterns: list[Pattern]) -> int:
    found = judge(findings, patterns)
    of = {one.fingerprint: one for one in found.escalations}
    expected = by_every_window(findings, patterns)
    for one in expected:
        one["parts"].sort()
    mine = [as_told(one, of) for one in found.escalations]
    assert sorted(mine, key=repr_of) == sorted(expected, key=repr_of)
    return len(mine)


def repr_of(one: Told) -> str:
    return repr((one["code"], one["subject"], sorted(one["rules"]), one["n"]))


@pytest.mark.usefixtures("_fixpoint_alone")
def test_as_by_every_window() -> None:
    chance = seeded(5)
    counts = [
        assert_as_by_every_window(random_log(chance), random_patterns(chance)) for _ in range(250)
    ]
    assert sum(counts) > 500


def test_as_by_every_window_with_both_engines() -> None:
    chance = seeded(6)
    for _ in range(5):
        assert_as_by_every_window(random_log(chance), random_patterns(chance))


@pytest.mark.trial
def test_many_logs_with_both_engines() -> None:
    chance = seeded(7)
    counts = [
        assert_as_by_every_window(random_log(chance), random_patterns(chance)) for _ in range(1000)
    ]
    print(f"{len(counts)} logs, {sum(counts)} escalations as by every window")  # noqa: T201


@pytest.mark.usefixtures("_fixpoint_alone")
def test_the_order_of_findings_does_not_matter() -> None:
    chance = seeded(8)
    for _ in range(50):
        findings, patterns = random_log(chance), random_patterns(chance)
        expected = judge(findings, patterns)
        chance.shuffle(findings)
        assert judge(findings, patterns) == expected


def test_worst_window_by_hand() -> None:
    assert worst_window([], [], 5) == (0, 0)
    assert worst_window([1, 2, 3, 9], [1, 1, 2, 3], 7) == (0, 3)
    assert worst_window([1, 6, 7, 8], [1, 2, 2, 3], 5) == (1, 4)


# --- the files

GOOD = """
code = "ESC001"
name = "again"
title = "Again"
kind = "repeated"
by = "team"
threshold = 3
window = "7d"
severity = "low"
why = "Because"
[opportunity]
improve = "Mend {subject}"
hypothesis = "If {rules}"
"""
WATCH = '[watch]\nKPI01 = ["INC001"]\n'


def read(folder: Path, **files: str) -> Escalating:
    for name, text in {"watch_toml": WATCH, **files}.items():
        (folder / f"{name[::-1].replace('_', '.', 1)[::-1]}").write_text(text, "utf-8")
    return load_patterns(CODES, folder=folder)


def test_a_good_file(tmp_path: Path) -> None:
    found = read(tmp_path, **{"ESC001-again_toml": GOOD})
    (one,) = found.patterns
    assert (one.threshold, one.window_us, one.each, one.owner) == (3, 7 * DAY, "rule", None)
    assert found.kpi_of_rule == {"INC001": "KPI01"}


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("threshold = 3", "threshold = 1", "RU105 .*threshold"),
        ("threshold = 3", "", "RU105 .*'threshold' is needed"),
        ('window = "7d"', 'window = "a week"', "RU105 .*no duration"),
        ('window = "7d"', "", "RU105 .*'window' is needed"),
        ('by = "team"', 'by = "actor"', "RU105 .*by"),
        ('by = "team"', 'by = "case"', "RU105 .*for it alone"),
        ('by = "team"', 'by = "control"\neach = "rule"', "RU105 .*'each' means nothing"),
        ('"repeated"', '"at_once"', "RU105 .*'threshold' means nothing"),
        ('"repeated"', '"chained"', "RU105 .*'of' is needed; 'owner' is needed"),
        ("threshold", "treshold", "RU102 .*Did you mean 'threshold'"),
        ("{subject}", "{actor}", "RU306 .*actor"),
        ("{subject}", "{0.__class__}", "RU306"),
        ('by = "team"', 'by = "team"\nrules = ["INC999"]', "RU304 .*INC999"),
        ('"again"', '"often"', "RU301 .*ESC001-often.toml"),
        ("severity", "]", "RU101"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, old: str, new: str, error: str) -> None:
    assert old in GOOD
    with pytest.raises(CodedError, match=error):
        read(tmp_path, **{"ESC001-again_toml": GOOD.replace(old, new)})


def test_mistakes_between_files(tmp_path: Path) -> None:
    chained = GOOD.replace('"repeated"', '"chained"\nowner = "Boss"\nof = ["ESC001", "ESC009"]')
    chained = chained.replace("ESC001", "ESC002", 1).replace("again", "higher")
    with pytest.raises(CodedError) as error:
        read(
            tmp_path,
            **{
                "ESC001-again_toml": GOOD,
                "ESC001-more_toml": GOOD.replace("again", "more"),
                "ESC002-higher_toml": chained,
                "note_txt": "",
                "watch_toml": '[watch]\nKPI01 = ["INC001"]\nKPI02 = ["INC001", "INC00X"]\n',
            },
        )
    said = str(error.value)
    for words in ("RU302 code 'ESC001'", "RU303", "'ESC009'", "RU305", "note.txt"):
        assert words in said
    assert "RU105" in said  # INC00X is no code
    (tmp_path / "watch.toml").write_text('[watch]\nKPI01 = ["INC001"]\nKPI02 = ["INC001"]\n')
    with pytest.raises(CodedError, match=r"RU307 .*KPI01 and KPI02"):
        load_patterns(CODES, folder=tmp_path)


def test_our_own_patterns_name_rules_and_kpis_that_there_are() -> None:
    from csi.kpi import load_kpis  # noqa: PLC0415 - only here

    catalogue = load_catalogue()
    found = load_patterns({rule.code for rule in catalogue.rules})
    assert set(found.kpi_of_rule.values()) <= set(load_kpis())
    assert {one.kind for one in found.patterns} == {"repeated", "at_once", "chained"}
    assert {one.by for one in found.patterns} == {"team", "category", "service", "control", "case"}
    assert all(one.opportunity is not None and one.why for one in found.patterns)
    assert dt.timedelta(microseconds=max(one.window_us or 0 for one in found.patterns)).days <= 90
