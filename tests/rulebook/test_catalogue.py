"""Rule files: every mistake is found at once, named with its place, and nothing is executed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from process_mining.errors import CodedError, ManyCodedErrors
from rules.catalogue import Catalogue, explain, load_catalogue, run_examples
from rules.spec import Severity, Verdict

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ZZZ001-resolved-though-undiagnosed.toml"
GOOD = """
code = "ZZZ001"
name = "resolved-though-undiagnosed"
title = "Resolved before it was diagnosed"
practice = "incident"
template = "precedes"
severity = "high"
version = 2
valid_from = 2024-01-01
valid_until = 2030-01-01
owner = "Incident manager"
why = \"\"\"Nobody knows what was mended.
It comes back.\"\"\"
remedy = "Diagnose first."
known_problems = ["Known errors need no diagnosis."]

[params]
before = "Diagnose"
activity = "Resolve"

[reference]
itil = "Incident management"
iso20000 = "8.6.1"
fitsm = ["PR9.3"]

[[examples]]
verdict = "conforms"
trace = ["Register", { activity = "Diagnose", at = "+1d2h30m", actor = "ann" }, "Resolve", "Close"]
case = { priority = "P1", "attr.site" = "Bonn" }

[[examples]]
verdict = "violates"
trace = ["Register", { activity = "Resolve", team = "x", attributes = { score = "2" } }, "Close"]

[[examples]]
verdict = "vacuous"
trace = ["Register", "Cancel"]

[[examples]]
verdict = "pending"
trace = ["Register"]
as_of = "+3d"
"""


def load(folder: Path, text: str | bytes = GOOD, name: str = NAME) -> Catalogue:
    data = text if isinstance(text, bytes) else text.encode()
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return load_catalogue([folder])


def mistakes(folder: Path, text: str | bytes = GOOD, name: str = NAME) -> list[str]:
    with pytest.raises(CodedError) as caught:
        load(folder, text, name)
    assert caught.value.exit_code == 2
    lines = str(caught.value).splitlines()
    assert all(line[:2] == "RU" for line in lines), lines
    return lines


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1
    return GOOD.replace(old, new, 1)


def test_a_good_file(tmp_path: Path) -> None:
    catalogue = load(tmp_path)
    rule = catalogue.rule("ZZZ001")
    assert (rule.severity, rule.case_type, rule.version) == (Severity.HIGH, "incident", 2)
    assert rule.params.model_dump(exclude_defaults=True) == {
        "before": "Diagnose",
        "activity": "Resolve",
    }
    assert rule.path.endswith(f"/{NAME}")
    hours = [event.at_us // 3_600_000_000 for event in rule.examples[0].events]
    assert hours == [0, 26, 27, 28]
    assert rule.examples[3].as_of_us == 3 * 86_400_000_000
    assert [r.code for r in catalogue.rules] == sorted(r.code for r in catalogue.rules)
    assert rule in catalogue.for_cases("incident")


def test_its_examples_come_true(tmp_path: Path) -> None:
    results = run_examples(load(tmp_path), ["ZZZ001"])
    assert [r.expected for r in results] == [
        Verdict.CONFORMS,
        Verdict.VIOLATES,
        Verdict.VACUOUS,
        Verdict.PENDING,
    ]
    assert all(result.ok for result in results)


def test_an_example_that_does_not_come_true_is_told(tmp_path: Path) -> None:
    text = changed('"Diagnose", at = "+1d2h30m"', '"Classify", at = "+1d2h30m"')
    first, *rest = run_examples(load(tmp_path, text), ["ZZZ001"])
    assert not first.ok
    assert (first.index, first.expected) == (0, Verdict.CONFORMS)
    assert first.durable == first.evaluator == Verdict.VIOLATES
    assert all(result.ok for result in rest)


def test_explaining_says_it_all(tmp_path: Path) -> None:
    text = explain(load(tmp_path).rule("ZZZ001"))
    flat = " ".join(text.split())
    for part in (
        "ZZZ001 resolved-though-undiagnosed",
        "Nobody knows what was mended. It comes back.",
        "Diagnose first.",
        "ISO/IEC 20000-1:2018 clause 8.6.1",
        "PR9.3",
        "Known errors need no diagnosis.",
        "'Resolve' happens only after 'Diagnose'.",
        "until 2030-01-01",
        "+26 h 30 min Diagnose (ann)",
        "Resolve (x, score=2)",
        "judged at +72 h",
    ):
        assert part in flat
    assert max(map(len, text.splitlines())) <= 96


# --- our own rules


def test_our_own_rules_are_sound_and_their_examples_come_true() -> None:
    catalogue = load_catalogue()
    results = run_examples(catalogue)
    assert {result.rule for result in results} == {rule.code for rule in catalogue.rules}
    wrong = [(r.rule, r.index, r.expected, r.durable) for r in results if not r.ok]
    assert wrong == []
    assert all(explain(rule) for rule in catalogue.rules)
    assert [row["code"] for row in catalogue.rows()] == sorted({r.code for r in catalogue.rules})


def test_an_unknown_code_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"RU120 .*'ZZZ01'. Did you mean 'ZZZ001'\?"):
        load(tmp_path).rule("ZZZ01")


# --- mistakes, each with its place and mend


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'before = "Diagnose"',
            'before = "Diagnos"',
            "RU104 unknown activity 'Diagnos' in FILE, params.before. Did you mean 'Diagnose'?",
        ),
        (
            '["Register", "Cancel"]',
            '["Register", "Cancle"]',
            "RU104 unknown activity 'Cancle' in FILE, examples[2].trace[1]. Did you mean 'Cancel'?",
        ),
        (
            'severity = "high"',
            'severty = "high"',
            "RU102 unknown key 'severty' in FILE, severty. Did you mean 'severity'?",
        ),
        (
            'fitsm = ["PR9.3"]',
            'fitms = ["PR9.3"]',
            "RU102 unknown key 'fitms' in FILE, reference.fitms. Did you mean 'fitsm'?",
        ),
        (
            'actor = "ann"',
            'aktor = "ann"',
            "RU102 unknown key 'aktor' in FILE, examples[0].trace[1].aktor. Did you mean 'actor'?",
        ),
        (
            'as_of = "+3d"',
            'asof = "+3d"',
            "RU102 unknown key 'asof' in FILE, examples[3].asof. Did you mean 'as_of'?",
        ),
        ('owner = "Incident manager"', "", "RU103 'owner' is missing in FILE, owner."),
        ('before = "Diagnose"', "", "RU103 'before' is missing in FILE, params.before."),
        (
            'template = "precedes"',
            'template = "preceeds"',
            "RU106 unknown template 'preceeds' in FILE, template. Did you mean 'precedes'?",
        ),
        (
            'before = "Diagnose"',
            'befor = "Diagnose"',
            "RU107 unknown parameter 'befor' in FILE, params.befor. Did you mean 'before'?",
        ),
        ('code = "ZZZ001"', 'code = "ZZZ002"', "RU110 FILE holds version 2 of rule ZZZ002"),
        (
            'practice = "incident"',
            'practice = "incidnet"',
            "RU115 unknown practice 'incidnet' in FILE, practice. Did you mean 'incident'?",
        ),
        (
            'verdict = "vacuous"',
            'verdict = "conforms"',
            "RU116 FILE has no example whose verdict is 'vacuous'.",
        ),
        (
            'verdict = "pending"',
            'verdict = "conforms"',
            "RU116 FILE has no example whose verdict is 'pending'.",
        ),
        ("valid_until = 2030-01-01", "valid_until = 2024-01-01", "RU119 valid_until is not after"),
        (
            "version = 2",
            "version = 9007199254740993",
            "RU114 number out of range in FILE, version.",
        ),
        ("version = 2", f"version = {'9' * 5000}", "RU101 FILE is no valid TOML"),
        ("version = 2", "version = inf", "RU114 number out of range in FILE, version."),
        ("version = 2", "version = 0", "RU105 wrong value 0 in FILE, version."),
        ("version = 2", "version = true", "RU105 wrong value True in FILE, version."),
        ("version = 2", 'version = "2"', "RU105 wrong value '2' in FILE, version."),
        ("version = 2", "version = [", "RU101 FILE is no valid TOML"),
        ("[params]", f"x = {'[' * 20000}\n[params]", "RU101 FILE is no valid TOML"),
        ('"PR9.3"', '"PR-9"', "RU105 wrong value 'PR-9' in FILE, reference.fitsm[0]."),
        ('"+1d2h30m"', '"1d"', "RU105 wrong value '1d' in FILE, examples[0].trace[1].at."),
        ('"+1d2h30m"', '"+999999d"', "RU105 wrong value"),
        (
            'severity = "high"',
            'severity = "severe"',
            "RU105 wrong value 'severe' in FILE, severity.",
        ),
        (
            'name = "resolved-though-undiagnosed"',
            'name = "Resolved_Before"',
            "RU105 wrong value 'Resolved_Before'",
        ),
        ('name = "resolved-though-undiagnosed"', 'name = "a\\nb"', r"RU105 wrong value 'a\nb'"),
        ('title = "Resolved', 'title = "\\u001b[31mResolved', "RU105 wrong value '\\x1b"),
        ('code = "ZZZ001"', 'code = "ZZ1"', "RU105 wrong value 'ZZ1' in FILE, code."),
        ("valid_from = 2024-01-01", 'valid_from = "2024-01-01"', "RU105 wrong value '2024-01-01'"),
        ('{ priority = "P1",', '{ prioriti = "P1",', "RU105 wrong value 'prioriti'"),
    ],
)
def test_a_mistake_names_its_place_and_mend(tmp_path: Path, old: str, new: str, said: str) -> None:
    lines = mistakes(tmp_path, changed(old, new))
    assert len(lines) == 1, lines
    assert lines[0].startswith(said.replace("FILE", f"{tmp_path.name}/{NAME}")), lines[0]
    assert lines[0].isprintable()


def test_all_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "AAA001-other.toml").write_text("= 1")
    (tmp_path / "notes.txt").write_text("x")
    text = changed('before = "Diagnose"', 'before = "Diagnos"').replace('"Cancel"', '"Cancle"')
    with pytest.raises(ManyCodedErrors) as caught:
        load(tmp_path, text)
    codes = [error.code for error in caught.value.errors]
    assert sorted(codes) == ["RU101", "RU104", "RU104", "RU111"]
    assert len(str(caught.value).splitlines()) == 4


def test_codes_and_names_stand_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / NAME).write_text(GOOD)
    codes = [line[:5] for line in mistakes(tmp_path)]
    assert codes == ["RU108"]
    other = GOOD.replace("ZZZ001", "ZZZ002")
    (tmp_path / "b" / NAME).unlink()
    (tmp_path / "b" / NAME.replace("ZZZ001", "ZZZ002")).write_text(other)
    (line,) = mistakes(tmp_path)
    assert line.startswith("RU109 name 'resolved-though-undiagnosed' stands in")


OLDER = GOOD.replace("version = 2", "version = 1").replace(
    "valid_from = 2024-01-01\nvalid_until = 2030-01-01",
    "valid_from = 2020-01-01\nvalid_until = 2024-01-01",
)
OLD_NAME = NAME.replace(".toml", ".v1.toml")


def test_versions_of_a_rule_follow_one_another(tmp_path: Path) -> None:
    tmp_path.joinpath(OLD_NAME).write_text(OLDER)
    catalogue = load(tmp_path)
    assert [rule.version for rule in catalogue.versions("ZZZ001")] == [1, 2]
    assert catalogue.rule("ZZZ001").version == 2
    assert [rule.version for rule in catalogue.newest if rule.code == "ZZZ001"] == [2]
    assert len([rule for rule in catalogue.for_cases("incident") if rule.code == "ZZZ001"]) == 2
    results = run_examples(catalogue, ["ZZZ001"])
    assert [result.version for result in results] == [1] * 4 + [2] * 4
    assert all(result.ok for result in results)


def test_each_version_has_to_keep_what_its_own_examples_say(tmp_path: Path) -> None:
    other = OLDER.replace('"Diagnose", at = "+1d2h30m"', '"Classify", at = "+1d2h30m"')
    tmp_path.joinpath(OLD_NAME).write_text(other)
    wrong = [one for one in run_examples(load(tmp_path)) if not one.ok]
    assert [(one.rule, one.version, one.index) for one in wrong] == [("ZZZ001", 1, 0)]


@pytest.mark.parametrize(
    ("old", "new", "name", "code"),
    [
        ("valid_until = 2024-01-01", "valid_until = 2024-01-02", OLD_NAME, "RU122"),
        ("valid_until = 2024-01-01", "", OLD_NAME, "RU122"),
        (
            'practice = "incident"',
            'practice = "incident"\ncase_type = "major_incident"',
            OLD_NAME,
            "RU123",
        ),
        ("version = 1", "version = 3", OLD_NAME, "RU110"),
        ("version = 1", "version = 2", OLD_NAME.replace("v1", "v2"), "RU108"),
    ],
)
def test_versions_that_contradict_one_another(
    tmp_path: Path, old: str, new: str, name: str, code: str
) -> None:
    assert OLDER.count(old) == 1
    tmp_path.joinpath(name).write_text(OLDER.replace(old, new))
    assert [line[:5] for line in mistakes(tmp_path)] == [code]


def test_scope_and_control(tmp_path: Path) -> None:
    more = (
        'control = "approval"\n[[scope]]\ncolumn = "priority"\none_of = [" P1", "1 - Critical"]\n'
    )
    rule = load(tmp_path, changed("[params]", f"{more}[params]")).rule("ZZZ001")
    assert rule.control == "approval"
    assert [one.one_of for one in rule.scope] == [{"p1", "1 - critical"}]
    assert "Only for: priority is one of '1 - critical', 'p1'" in explain(rule)
    for wrong in ("", 'one_of = ["a"]\nnone_of = ["b"]\n'):
        scope = f'[[scope]]\ncolumn = "priority"\n{wrong}'
        (line,) = mistakes(tmp_path, changed("[params]", f"{scope}[params]"))
        assert line.startswith("RU105")
        assert "not both and not neither" in line


def test_a_file_that_is_too_large_or_not_utf8(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, GOOD + "#" * 65_536)
    assert line.startswith("RU112")
    (line,) = mistakes(tmp_path, GOOD.encode() + b"# \xff\n")
    assert line.startswith("RU113")


@pytest.mark.parametrize(
    "name", ["rule.TXT", "x.toml~", "calendars.toml", "a\x1b[31m.toml", "a.bin"]
)
def test_an_unexpected_file(tmp_path: Path, name: str) -> None:
    load(tmp_path)
    (tmp_path / name).write_text("")
    with pytest.raises(CodedError) as caught:
        load_catalogue([tmp_path])
    assert str(caught.value)[:5] in ("RU111", "RU103")
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_a_file_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ZZZ009-pipe.toml")
    assert mistakes(tmp_path)[0].startswith("RU111")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match="RU117 the rules folder"):
        load_catalogue([tmp_path / "nothing"])


def test_python_beside_rules_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "precedes.py").write_text("raise SystemExit('executed')")
    hostile = changed('template = "precedes"', 'template = "os.system"')
    (line,) = mistakes(tmp_path, hostile)
    assert line.startswith("RU106 unknown template 'os.system'")
    (line,) = mistakes(tmp_path, changed('template = "precedes"', 'template = "__init__"'))
    assert line.startswith("RU106")
