"""`trueloop rules`: list, explain on a case, new, schema, diff, docs, as somebody types them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from improvement.command_line import UCI, event_line, in_process, write_lines
from improvement.conftest import needed

from rules.catalogue import ITIL, load_catalogue
from rules.templates import templates

if TYPE_CHECKING:
    from pathlib import Path

STORIES = {
    "INC-1": ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close"),
    "INC-2": ("Register", "Resolve", "Diagnose", "Close"),
    "INC-3": ("Register", "Cancel"),
    "INC-4": ("Register", "Classify"),
    "INC-5": ("Register", "Resolve", "Close"),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [
        event_line(case, step, f"2024-01-{i + 8:02d}T0{j}:00:00Z", seq=j, actor="ann", team="T1")
        for i, (case, steps) in enumerate(STORIES.items())
        for j, step in enumerate(steps)
    ]
    return write_lines(tmp_path_factory.mktemp("log") / "events.ndjson", lines)


def explained(*words: object) -> Any:  # noqa: ANN401 - JSON is any of its types
    ran = in_process("rules", "explain", *words, "--json")
    assert (ran.code, ran.err) == (0, "")
    return ran.json()


# --- list


def test_list_has_each_rule_once_by_its_newest_version(tmp_path: Path) -> None:
    ran = in_process("rules", "list", "--json")
    rows = ran.json()
    catalogue = load_catalogue()
    assert [row["code"] for row in rows] == sorted({rule.code for rule in catalogue.rules})
    assert {row["control"] for row in rows} >= {None, "approval", "review", "test", "request"}
    own = versions_of(tmp_path)
    rows = in_process("rules", "list", "--rules", own, "--json").json()
    (row,) = [row for row in rows if row["code"] == "ZZZ001"]
    assert (row["version"], row["versions"]) == (2, 2)
    text = in_process("rules", "list").out
    assert text.splitlines()[0].split() == [
        *("code", "version", "severity", "practice", "template", "control", "title"),
    ]


def versions_of(folder: Path) -> Path:
    """A folder with INC002 as ZZZ001 in two versions; the second asks for another step."""
    text = next(ITIL.rglob("INC002*.toml")).read_text("utf-8").replace("INC002", "ZZZ001")
    text = text.replace("resolved-before-diagnosed", "resolved-at-once")
    old = text.replace(
        "valid_from = 2000-01-01", "valid_from = 2000-01-01\nvalid_until = 2024-01-10"
    )
    new = text.replace("version = 1", "version = 2").replace("2000-01-01", "2024-01-10")
    new = new.replace('severity = "medium"', 'severity = "high"')
    own = folder / "own"
    own.mkdir()
    (own / "ZZZ001-resolved-at-once.v1.toml").write_text(old)
    (own / "ZZZ001-resolved-at-once.toml").write_text(new)
    return own


# --- explain


def test_explain_without_a_log_shows_all_versions_newest_first(tmp_path: Path) -> None:
    own = versions_of(tmp_path)
    ran = in_process("rules", "explain", "ZZZ001", "--rules", own)
    assert re.findall(r"version (\d), in force from (\S+)", ran.out) == [
        ("2", "2024-01-10"),
        ("1", "2000-01-01"),
    ]
    found = explained("ZZZ001", "--rules", own)
    assert [(one["version"], one["severity"]) for one in found] == [(2, "high"), (1, "medium")]
    assert all("'Resolve' happens only after 'Diagnose'." in one["demanded"] for one in found)


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        ("INC-1", "conforms"),
        ("INC-2", "violates"),
        ("INC-3", "vacuous"),
        ("INC-4", "pending"),
    ],
)
def test_explain_says_of_a_case_what_the_audit_says(log: Path, case: str, verdict: str) -> None:
    found = explained("INC002", log, "--case", case)
    assert (found["verdict"], found["case"], found["rule"]) == (verdict, case, "INC002")
    (version,) = found["versions"]
    (row,) = [row for row in version["table"] if row["holds"]]
    assert row["verdict"] == version["by_table"] == verdict
    assert all(fact["meaning"] for fact in version["facts"])
    assert [event["activity"] for event in found["events"]] == list(STORIES[case])
    assert (version["finding"] is not None) == (verdict == "violates")
    assert bool(version["vacuous_because"]) == (verdict == "vacuous")
    assert (version["pending"] is not None) == (verdict == "pending")


def test_explain_tells_the_story_event_by_event(log: Path) -> None:
    ran = in_process("rules", "explain", "INC002", log, "--case", "INC-2")
    assert (ran.code, ran.err) == (0, "")
    text = " ".join(ran.out.split())
    for part in (
        "INC002 resolved-before-diagnosed: VIOLATES on case INC-2",
        "Version 1, in force from 2000-01-01: violates",
        "demanded: 'Resolve' happens only after 'Diagnose'.",
        "early 1 times 'Resolve' surely came without its predecessor",
        "-> violates early is at least 1",
        "unknown not: early is 0, here 1",
        "1 2024-01-09T01:00:00+00:00 Resolve T1 p-",
    ):
        assert part in text
    assert "  ann  " not in ran.out
    clear = in_process("rules", "explain", "INC002", log, "--case", "INC-2", "--clear-names")
    assert "  ann  " in clear.out


def test_explain_says_what_may_still_happen(log: Path) -> None:
    ran = in_process("rules", "explain", "INC002", log, "--case", "INC-4")
    assert "pending: it stays so as long as nothing more happens" in ran.out
    assert re.search(r"if the next step is .*Resolve.*: violates", ran.out)
    assert re.search(r"if the next step is .*Diagnose.*: pending", ran.out)
    late = explained("INC021", log, "--case", "INC-4", "--as-of", "2024-01-13T01:00:00Z")
    assert late["verdict"] == "unknown"
    whys = [why["text"] for why in late["versions"][0]["unknown_because"]]
    assert any(why.startswith("the case does not say its 'priority', which") for why in whys)


def test_explain_of_versions_names_the_one_in_force(log: Path, tmp_path: Path) -> None:
    own = versions_of(tmp_path)
    found = explained("ZZZ001", log, "--case", "INC-2", "--rules", own)
    assert [(one["version"], one["verdict"]) for one in found["versions"]] == [
        (1, "violates"),
        (2, "vacuous"),
    ]
    assert {event["version"] for event in found["events"]} == {1}
    later = explained("ZZZ001", log, "--case", "INC-5", "--rules", own)
    assert [one["verdict"] for one in later["versions"]] == ["vacuous", "violates"]
    assert later["severity"] == "high"
    ran = in_process("rules", "explain", "ZZZ001", log, "--case", "INC-5", "--rules", own)
    assert "judged (version 2), decides (version 2)" in ran.out


def test_explain_names_the_waiver(log: Path, tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.toml"
    waivers.write_text(
        '[[waiver]]\nid = "W-1"\nrule = "INC002"\nreason = "r"\napprover = "a"\n'
        "granted = 2024-01-01\nexpires = 2025-01-01\n[waiver.scope]\ncase = ['INC-2']\n"
    )
    words = ("INC002", log, "--waivers", waivers)
    assert explained(*words, "--case", "INC-2")["waived_by"] == ["W-1"]
    assert explained(*words, "--case", "INC-5")["waived_by"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("INC02", "LOG", "--case", "INC-1"), "RU120"),
        (("INC002", "LOG", "--case", "INC-11"), "CL030"),
        (("INC002", "LOG", "--case", ""), "CL030"),
        (("PRB001", "LOG", "--case", "INC-1"), "CL031"),
        (("INC002", "LOG"), "CL032"),
        (("INC002", "--case", "INC-1"), "CL032"),
    ],
)
def test_explain_says_what_is_wrong(log: Path, words: tuple[str, ...], code: str) -> None:
    ran = in_process("rules", "explain", *[log if word == "LOG" else word for word in words])
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"{code} ")
    if code == "CL030" and words[-1]:
        assert "Did you mean 'INC-1'?" in ran.err


def test_explain_on_a_real_log() -> None:
    words = (needed(UCI), "--mapping", "uci_servicenow", "--case")
    unknown = explained("INC008", *words, "INC0000045")
    assert unknown["verdict"] == "unknown"
    (why,) = unknown["versions"][0]["unknown_because"]
    assert why["code"] == "QG142"
    assert [event["activity"] for event in unknown["events"]] == [
        *("Register", "Resolve", None, "Close"),
    ]


# --- new


def test_new_writes_a_rule_that_holds(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    ran = in_process("rules", "new", "ABC001", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert {path.name for path in out.iterdir()} == {
        "ABC001-abc001-to-be-named.toml",
        "rule.schema.json",
    }
    text = (out / "ABC001-abc001-to-be-named.toml").read_text("utf-8")
    assert text.splitlines()[0] == "#:schema ./rule.schema.json"
    flat = " ".join(line.removeprefix("# ") for line in text.splitlines())
    for name, field in templates()["precedes"].Params.model_fields.items():
        assert f" {name}: {field.description} (" in flat
    assert re.findall(r'^verdict = "(\w+)"$', text, re.MULTILINE) == [
        *("conforms", "violates", "pending", "vacuous"),
    ]
    tested = in_process("rules", "test", out)
    assert tested.code == 0
    n = len({rule.code for rule in load_catalogue().rules}) + 1
    assert tested.out.endswith(f"of {n} rules hold\n")


def test_new_writes_over_nothing(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert in_process("rules", "new", "ABC001", "--name", "a-name", "--out", out).code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for words, code in (
        (("ABC001",), "RU125"),
        (("INC001",), "RU125"),
        (("ABC002", "--name", "a-name"), "RU125"),
        (("ABC002", "--name", "resolved-before-diagnosed"), "RU125"),
        (("abc002",), "RU127"),
        (("../ABC002",), "RU127"),
        (("ABC002", "--name", "../x"), "RU127"),
        (("ABC002", "--template", "preceeds"), "RU106"),
        (("ABC002", "--practice", "incidents"), "RU115"),
        (("ABC002", "--practice", "knowledge", "--template", "meets_target"), "RU128"),
    ):
        ran = in_process("rules", "new", *words, "--out", out)
        assert (ran.code, ran.err[:5]) == (2, code)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_file_that_is_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "ABC001-a-name.toml").mkdir()
    ran = in_process("rules", "new", "ABC001", "--name", "a-name", "--out", tmp_path)
    assert (ran.code, ran.err[:5]) == (2, "RU126")


# --- schema and docs


def test_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = in_process("rules", "schema")
    path = tmp_path / "deep" / "rule.schema.json"
    assert in_process("rules", "schema", "--out", path).code == 0
    assert json.loads(path.read_text("utf-8")) == printed.json()
    assert printed.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_docs_has_a_page_for_each_rule_and_for_what_they_share(tmp_path: Path) -> None:
    own = versions_of(tmp_path)
    ran = in_process("rules", "docs", "--rules", own, "--out", tmp_path / "pages")
    assert ran.code == 0
    found = {path.name: path.read_text("utf-8") for path in (tmp_path / "pages").iterdir()}
    codes = {rule.code for rule in load_catalogue().rules}
    assert {name[:6] for name in found if name[:3].isupper() and name[3].isdigit()} == {
        *codes,
        "ZZZ001",
    }
    page = found["ZZZ001-resolved-at-once.md"]
    heads = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert heads == [
        "Version 2, in force from 2024-01-10",
        "Version 1, in force from 2000-01-01 until 2024-01-10 (excluded)",
    ]
    assert "[precedes](templates.md#precedes)" in page
    for name, template in templates().items():
        assert f"\n## {name}\n" in found["templates.md"]
        assert template.FORMULA in found["templates.md"]
    for rule in load_catalogue().newest:
        assert f"[{rule.code}]({rule.code}-{rule.name}.md)" in found["README.md"]
        assert (rule.control is None) or f"[{rule.code}](" in found["controls.md"]


# --- diff


def write_rules(folder: Path, **before: str) -> Path:
    """A rulebook of rules that ask for a step before Resolve, each after the text of INC002."""
    text = next(ITIL.rglob("INC002*.toml")).read_text("utf-8")
    folder.mkdir()
    for code, step in before.items():
        said = text.replace("INC002", code).replace(
            "resolved-before-diagnosed", f"no-{code.lower()}"
        )
        said = said.replace('before = "Diagnose"', f'before = "{step}"')
        (folder / f"{code}-no-{code.lower()}.toml").write_text(said)
    return folder


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An old rulebook and a new one: AAA001 asks less, AAA003 went, AAA004 came."""
    folder = tmp_path_factory.mktemp("books")
    old = write_rules(folder / "old", AAA001="Diagnose", AAA002="Assign", AAA003="Assign")
    new = write_rules(folder / "new", AAA001="Register", AAA002="Assign", AAA004="Classify")
    path = new / "AAA002-no-aaa002.toml"
    path.write_text(path.read_text("utf-8").replace("valid_from", "# other words\nvalid_from"))
    return old, new


def changes(ran: Any) -> list[tuple[str, str, str, str, str]]:  # noqa: ANN401 - what a command said
    rows = ran.json()["changes"]
    return [(r["rule"], r["case_id"], r["from"], r["to"], r["kind"]) for r in rows]


def test_diff_lists_what_changes_and_nothing_else(
    log: Path, books: tuple[Path, Path], tmp_path: Path
) -> None:
    ran = in_process("rules", "diff", *books, log, "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert changes(ran) == [
        ("AAA001", "INC-2", "violates", "conforms", "no longer violates"),
        ("AAA001", "INC-5", "violates", "conforms", "no longer violates"),
    ]
    found = ran.json()
    audited = in_process("audit", log, "--out", tmp_path / "audit", "--json").json()
    assert found["as_of"] == audited["as_of"]  # with its zone: a time without one says nothing
    assert found["rules"]["same"] == 1
    assert found["rules"]["differing"] == ["AAA001"]
    (gone,), (come,) = found["rules"]["only_old"], found["rules"]["only_new"]
    assert (gone["rule"], gone["violates"], gone["conforms"]) == ("AAA003", 2, 1)
    assert (come["rule"], come["violates"], come["conforms"]) == ("AAA004", 2, 1)
    assert found["practices_that_differ"] == []
    assert found["by_rule"] == [
        {
            "rule": "AAA001",
            "name": "no-aaa001",
            "severity": "medium",
            "kind": "no longer violates",
            "from": "violates",
            "to": "conforms",
            "cases": 2,
        }
    ]
    table = pq.read_table(tmp_path / "out" / "diff.parquet")
    assert table.to_pylist() == found["changes"]
    with (tmp_path / "out" / "diff.csv").open(newline="", encoding="utf-8") as file:
        assert [row["case_id"] for row in csv.DictReader(file)] == ["INC-2", "INC-5"]


def test_diff_is_what_two_explanations_say(log: Path, books: tuple[Path, Path]) -> None:
    back = changes(in_process("rules", "diff", *books[::-1], log, "--json"))
    assert [(rule, case) for rule, case, *_ in back] == [("AAA001", "INC-2"), ("AAA001", "INC-5")]
    for _, case, before, after, kind in back[:1]:
        said = [
            explained("AAA001", log, "--case", case, "--rules", book)["verdict"]
            for book in books[::-1]
        ]
        assert said == [before, after]
        assert kind == "newly violates"


@pytest.mark.parametrize(
    ("order", "severity", "code"),
    [(1, None, 0), (1, "low", 1), (1, "medium", 1), (1, "high", 0), (-1, "medium", 1)],
)
def test_diff_fails_where_cases_newly_violate(
    log: Path, books: tuple[Path, Path], order: int, severity: str | None, code: int
) -> None:
    gate = () if severity is None else ("--fail-on", severity)
    ran = in_process("rules", "diff", *books[::order], log, *gate)
    assert ran.code == code


def test_diff_of_a_rulebook_with_itself_is_empty(log: Path, books: tuple[Path, Path]) -> None:
    ran = in_process("rules", "diff", books[0], books[0], log, "--fail-on", "low")
    assert ran.code == 0
    assert "No verdict changes." in ran.out
    text = in_process("rules", "diff", *books, log).out
    assert "2 verdicts change." in text
    assert re.search(r"AAA001  INC-2  violates -> conforms", text)


def test_a_copy_of_our_rulebook_loads_by_itself(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "itil"
    shutil.copytree(ITIL, copy)
    next(copy.rglob("INC005*.toml")).unlink()
    ours, alone = load_catalogue(), load_catalogue([copy], shipped=False)
    assert {rule.code for rule in ours.rules} - {rule.code for rule in alone.rules} == {"INC005"}
    assert alone.practices["incident"].path.is_relative_to(copy)
    assert alone.practices.keys() == ours.practices.keys()
    ran = in_process("rules", "diff", "shipped", copy, log, "--json")
    assert ran.json()["practices_that_differ"] == []
    assert ran.json()["rules"]["same"] == len(ours.newest) - 1
    path = copy / "incident" / "practice.toml"
    path.write_text(
        path.read_text("utf-8").replace('ends = ["Close", "Cancel"]', 'ends = ["Close"]')
    )
    ran = in_process("rules", "diff", "shipped", copy, log, "--json")
    assert ran.json()["practices_that_differ"] == ["incident", "major_incident"]
    assert ("INC002", "INC-3", "vacuous", "pending", "other") in changes(ran)


def test_diff_says_what_is_wrong(log: Path, books: tuple[Path, Path], tmp_path: Path) -> None:
    ran = in_process("rules", "diff", "shiped", books[1], log)
    assert (ran.code, ran.err[:5]) == (2, "RU117")
    ran = in_process("rules", "diff", books[0], "shipped")
    assert (ran.code, ran.err[:5]) == (2, "CL002")
    twice = tmp_path / "twice"
    shutil.copytree(books[0], twice)
    shutil.copyfile(twice / "AAA001-no-aaa001.toml", twice / "AAA001-no-aaa001.v1.toml")
    ran = in_process("rules", "diff", twice, "shipped", log)
    assert (ran.code, ran.err[:5]) == (2, "RU108")


def test_diff_on_a_real_log(tmp_path: Path) -> None:
    copy = tmp_path / "itil"
    shutil.copytree(ITIL, copy)
    path = next(copy.rglob("INC004*.toml"))
    text = path.read_text("utf-8")
    (limit,) = re.findall(r"^limit = (\d+)$", text, re.MULTILINE)
    path.write_text(text.replace(f"limit = {limit}", f"limit = {int(limit) + 1}"))
    words = (needed(UCI), "--mapping", "uci_servicenow", "--json")
    found = in_process("rules", "diff", "shipped", copy, *words).json()
    assert found["rules"]["differing"] == ["INC004"]
    (row,) = found["by_rule"]
    assert (row["kind"], row["cases"]) == ("no longer violates", len(found["changes"]))
    assert row["cases"] > 100
