"""Is what a cycle file asks for checked before anything runs, and are stale results never trusted?

The desk is that of `improvement.cycle_desk`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from html import escape
from typing import TYPE_CHECKING

import nbformat
import pytest
from improvement.command_line import in_process, write_lines
from improvement.cycle_desk import CYCLE, MAPPING, OWN_RULE, Desk

from csi import runner
from csi.cycle import load_cycle
from csi.manifest import Manifest
from csi.register import Register
from csi.runner import NotebookParameters, checked, run_notebook
from process_mining.errors import CodedError, ManyCodedErrors, RunError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def codes_of(path: Path) -> list[str]:
    with pytest.raises(CodedError) as caught:
        load_cycle(path)
    error = caught.value
    return (
        [one.code for one in error.errors] if isinstance(error, ManyCodedErrors) else [error.code]
    )


# --- the cycle file by itself


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("started = 2025-02-01", "started = 2024-12-31", "improvement.started"),
        ("started = 2025-02-01", "started = 2025-03-02", "improvement.started"),
        ("report_date = 2025-07-07", "report_date = 2025-02-28", "report_date"),
        ("report_date = 2025-07-07", "report_date = 2200-01-01", "report_date"),
        ("start = 2025-01-01", "start = 1969-12-31", "baseline.start"),
        ("end = 2025-03-01", "end = 2025-02-01", "current.end"),
        ("start = 2025-02-01", "start = 2025-01-31", "current.start"),
        ("minimum_effect = 0.5", "minimum_effect = 0.0009", "minimum_effect"),
        ("minimum_effect = 0.5", "minimum_effect = nan", "minimum_effect"),
    ],
)
def test_what_cannot_be_meant_is_refused(desk: Desk, old: str, new: str, said: str) -> None:
    with pytest.raises(CodedError, match=rf"CY202 .*{said}"):
        load_cycle(desk.cycle((old, new)))


@pytest.mark.parametrize(
    "day", ["2025-01-01", "2025-03-01"], ids=["first-of-baseline", "end-of-current"]
)
def test_the_edges_are_allowed(desk: Desk, day: str) -> None:
    changes = (("started = 2025-02-01", f"started = {day}"), ("2025-07-07", "2025-03-01"))
    load_cycle(desk.cycle(*changes, ("minimum_effect = 0.5", "minimum_effect = 0.001")))


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("priority = []", r"scope\.priority"),
        ('priority = [""]', r"scope\.priority"),
        ('prioritee = ["P1"]', r"scope\.prioritee.*Did you mean 'priority'"),
    ],
)
def test_a_scope_that_says_nothing_is_refused(desk: Desk, scope: str, said: str) -> None:
    with pytest.raises(CodedError, match=rf"CY202 improvement\.{said}"):
        load_cycle(desk.cycle(more=f"[improvement.scope]\n{scope}\n"))


def test_mistakes_of_every_kind_are_named_at_once(desk: Desk) -> None:
    changes = (
        ("started = 2025-02-01", "started = 2024-12-31"),
        ("report_date = 2025-07-07", "report_date = 2025-02-28"),
        ("minimum_effect = 0.5", "minimum_effect = 0.0001"),
        ("owner", "ownr"),
    )
    path = desk.cycle(*changes, more="[improvement.scope]\npriority = []\n")
    assert codes_of(path) == ["CY202"] * 6  # `owner` is missing and `ownr` unknown


PLAIN = """comparison = {priority = ["P4"]}
scope = {priority = ["P1"]}
also = ["KPI03", "reopen-rate"]
margins = {KPI05 = 0.02, KPI08 = 1}
guardrails = ["KPI05", "KPI08"]
"""


def test_a_plan_may_name_who_is_not_touched_further_kpis_and_margins(desk: Desk) -> None:
    plan = load_cycle(desk.cycle(more=PLAIN)).settings.improvement
    assert plan is not None
    assert (plan.scope, plan.comparison) == ({"priority": ["P1"]}, {"priority": ["P4"]})
    assert (plan.also, plan.margins) == (["KPI03", "reopen-rate"], {"KPI05": 0.02, "KPI08": 1.0})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("margins = {KPI05 = 0}", r"improvement\.margins\.KPI05"),
        ("margins = {KPI05 = inf}", r"improvement\.margins\.KPI05"),
        ("margins = {KPI05 = true}", r"improvement\.margins\.KPI05"),
        ('also = "KPI05"', r"improvement\.also"),
        ('alsoo = ["KPI05"]', r"improvement\.alsoo.*Did you mean 'also'"),
        ("comparison = {teem = ['A']}", r"improvement\.comparison\.teem.*Did you mean 'team'"),
        ("comparison = {team = ['A']}", r"improvement\.comparison .*may be in the scope too"),
        (
            "comparison = {team = ['A', 'B']}\nscope = {team = ['B']}",
            r"improvement\.comparison .*may be in the scope too",
        ),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(desk: Desk, more: str, said: str) -> None:
    with pytest.raises(CodedError, match=rf"CY202 {said}"):
        load_cycle(desk.cycle(more=f"{more}\n"))


def test_a_cycle_may_go_on_with_an_entry_or_have_no_improvement(desk: Desk) -> None:
    stated = CYCLE[: CYCLE.index("[improvement]")]
    path = desk.folder / "cycle.toml"
    path.write_text(stated, encoding="utf-8")
    settings = load_cycle(path).settings
    assert (settings.improvement, settings.entry) == (None, None)
    path.write_text('entry = "IMP-0003"\n' + stated, encoding="utf-8")
    assert load_cycle(path).settings.entry == "IMP-0003"
    path.write_text('entry = "IMP-0003"\n' + CYCLE, encoding="utf-8")
    assert codes_of(path) == ["CY202"]
    path.write_text('entry = "3"\n' + stated, encoding="utf-8")
    assert codes_of(path) == ["CY202"]


@pytest.mark.parametrize("text", ["a\\u0000b", "a\\u001b[31m", "a\\u007f", "a\\nb", "x" * 2001])
@pytest.mark.parametrize("key", ['"events.ndjson"', '"register.sqlite"', '"my"', '"KPI01"'])
def test_names_with_line_ends_or_control_characters_are_refused(
    desk: Desk, key: str, text: str
) -> None:
    assert codes_of(desk.cycle((key, f'"{text}"'))) == ["CY202"]


# --- against the files that it names

FINISHED = ["manifest.json", "report.html", "results.json"]


def scoped(text: str) -> str:
    return f"[improvement.scope]\n{text}\n"


MISTAKES = {
    "scope-word": ((), scoped('priority = ["P7"]'), "CY205", ("scope.priority", "'P7'", "P1, P4")),
    "scope-near": ((), scoped('service = ["mial"]'), "CY205", ("'mial'", "Did you mean 'mail'")),
    "scope-blank": ((), scoped('category = ["x"]'), "CY205", ("scope.category", "tells no")),
    "kpi": (
        (('"KPI01"', '"median-time-to-resolv"'),),
        "",
        "ST110",
        ("improvement.kpi", "Did you mean 'median-time-to-resolve'"),
    ),
    "guardrail": ((), 'guardrails = ["KPI99"]\n', "ST110", ("improvement.guardrails", "'KPI99'")),
    "same": ((), 'guardrails = ["KPI01"]\n', "CY206", ("improvement.guardrails", "KPI01")),
    "same-by-name": ((), 'guardrails = ["median-time-to-resolve"]\n', "CY206", ("KPI01",)),
    "foreign": ((('"KPI01"', '"KPI11"'),), "", "CY207", ("KPI11", "problem", "incident")),
    "log": ((('"events.ndjson"', '"evnts.ndjson"'),), "", "CY204", ("evnts.ndjson",)),
    "rules": ((('"my"', '"mine"'),), "", "CY204", ("mine",)),
    "mapping": ((("[baseline]", 'mapping = "uci"\n[baseline]'),), "", "LG050", ("'uci'",)),
    "register": ((('"register.sqlite"', '"events.ndjson"'),), "", "RG102", ("events.ndjson",)),
    "register-folder": ((('"register.sqlite"', '"no/r.sqlite"'),), "", "RG101", ("no",)),
    "register-is-a-folder": ((('"register.sqlite"', '"my"'),), "", "RG101", ("my",)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_before_anything_runs(name: str, desk: Desk) -> None:
    changes, more, code, said = MISTAKES[name]
    path = desk.cycle(*changes, more=more)
    before = sorted(desk.folder.rglob("*"))
    ran = in_process("cycle", "run", path, "--out", desk.out)
    assert (ran.code, ran.out, ran.err[:6]) == (2, "", f"{code} ")
    assert [one for one in said if one not in ran.err] == []
    assert sorted(desk.folder.rglob("*")) == before


# --- nothing to measure


NO_DATA = {
    "window": (
        (("end = 2025-02-01", "end = 2024-12-09"), ("start = 2025-01-01", "start = 2024-12-01")),
        "",
        {"CY203": ("baseline", "2025-01-01")},
    ),
    "scope-nobody": (
        (),
        scoped('priority = ["P4"]\nservice = ["mail"]'),
        {"CY210": ("priority P4; service mail",)},
    ),
    "windows": (
        (
            ("2025-07-07", "2031-01-01"),
            ("start = 2025-01-01", "start = 2030-01-01"),
            ("end = 2025-02-01", "end = 2030-02-01"),
            ("start = 2025-02-01", "start = 2030-02-01"),
            ("end = 2025-03-01", "end = 2030-03-01"),
            ("started = 2025-02-01", "started = 2030-02-01"),
        ),
        "",
        {"CY203": ("baseline", "current")},
    ),
}


@pytest.mark.parametrize("name", NO_DATA)
def test_nothing_to_measure_is_an_outcome_of_its_own(name: str, desk: Desk) -> None:
    changes, more, codes = NO_DATA[name]
    path = desk.cycle(*changes, more=more)
    ran = in_process("cycle", "run", path, "--out", desk.out)
    assert (ran.code, ran.err, ran.out[:8]) == (0, "", "No data:")
    results = json.loads((desk.out / "results.json").read_text("utf-8"))
    assert (results["outcome"], results["evaluate"]["verdict"]) == ("no data", None)
    assert {row["code"] for row in results["missing"]} == set(codes)
    said = " ".join(row["what"] + " " + row["to_do"] for row in results["missing"])
    assert [word for words in codes.values() for word in words if word not in said] == []
    page = (desk.out / "report.html").read_text("utf-8")
    assert "No data" in page
    assert [row["what"] for row in results["missing"] if escape(row["what"]) not in page] == []
    assert not desk.register.exists()
    assert sorted(p.name for p in desk.out.iterdir()) == FINISHED
    before = {p: p.read_bytes() for p in desk.out.iterdir()}
    assert in_process("cycle", "run", path, "--out", desk.out).code == 0
    assert {p: p.read_bytes() for p in desk.out.iterdir()} == before


@pytest.mark.parametrize("content", ["", "\n"], ids=["no-bytes", "no-rows"])
def test_an_empty_log_is_no_data(content: str, desk: Desk) -> None:
    (desk.folder / "events.ndjson").write_text(content, encoding="utf-8")
    only = ('["events.ndjson", "tickets.csv"]', '["events.ndjson"]\nsource = "ndjson"')
    path = desk.cycle(only)
    ran = in_process("cycle", "run", path, "--out", desk.out)
    assert (ran.code, ran.err, ran.out[:8]) == (0, "", "No data:")


def test_a_mistake_comes_before_the_want_of_data(desk: Desk) -> None:
    changes, _, _ = NO_DATA["window"]
    path = desk.cycle(*changes, more=scoped('priority = ["P7"]'))
    ran = in_process("cycle", "run", path, "--out", desk.out)
    assert (ran.code, ran.err[:6]) == (2, "CY205 ")
    assert not desk.out.exists()


# --- steps alone


@pytest.mark.parametrize("name", ["scope-word", "guardrail", "same", "foreign"])
def test_a_step_alone_registers_nothing_wrong(name: str, desk: Desk) -> None:
    changes, more, code, _ = MISTAKES[name]
    for loop in (desk.loop(*changes, more=more), desk.loop(*changes, more=more)):
        with pytest.raises(CodedError, match=code):
            _ = loop.measure(), loop.improve()  # the second finds what the first has left
    assert not desk.register.exists()


def test_the_check_writes_nothing_and_passes_what_is_right(desk: Desk) -> None:
    more = 'guardrails = ["reopen-rate"]\n' + scoped('priority = ["P1"]\nservice = ["mail"]')
    loop = desk.loop(more=more)
    before = sorted(desk.folder.rglob("*"))
    loop.check()
    assert sorted(desk.folder.rglob("*")) == before


def test_a_scope_that_one_window_lacks_is_judged_not_refused(desk: Desk) -> None:
    loop = desk.loop(more=scoped('priority = ["P4"]'))
    assert loop.evaluate().verdict == "inconclusive"


# --- a register that is damaged


def test_nothing_is_added_to_a_register_whose_chain_is_broken(desk: Desk) -> None:
    desk.loop().improve()
    count = "SELECT count(*) FROM history"
    with closing(sqlite3.connect(desk.register)) as connection, connection:
        before = connection.execute(count).fetchone()
        connection.execute("DROP TRIGGER history_no_update")
        connection.execute("UPDATE history SET actor = 'Somebody else' WHERE seq = 1")
    with pytest.raises(RunError, match=r"RG116 .*record 1 was changed.*[Rr]estore"):
        Register.open(desk.register).require_intact()
    ran = in_process("cycle", "run", desk.cycle(), "--out", desk.folder / "new")
    assert (ran.code, ran.err[:6]) == (3, "RG116 ")
    assert not (desk.folder / "new").exists()
    for step in (desk.loop().improve, desk.loop().evaluate):
        with pytest.raises(RunError, match="RG116"):
            step()
    with closing(sqlite3.connect(desk.register)) as connection:
        assert connection.execute(count).fetchone() == before


def test_an_intact_register_is_accepted(desk: Desk) -> None:
    desk.loop().improve()
    Register.open(desk.register).require_intact()
    Register.preflight(desk.register)


# --- which results may be trusted


def done(desk: Desk) -> bool:
    return Manifest.open(desk.out, load_cycle(desk.folder / "cycle.toml")).done("1_measure")


def fill(desk: Desk) -> None:
    manifest = Manifest.open(desk.out, load_cycle(desk.folder / "cycle.toml"))
    with manifest.step("1_measure") as folder:
        (folder / "kpis.json").write_text("{}", encoding="utf-8")
    assert done(desk)


def test_a_changed_added_or_lost_rule_file_forgets_the_steps(desk: Desk) -> None:
    desk.cycle()
    fill(desk)
    path = desk.write_rule("low")
    assert not done(desk)
    fill(desk)
    (path.parent / "practice.toml").write_text("", encoding="utf-8")
    assert not done(desk)
    fill(desk)
    (path.parent / "practice.toml").unlink()
    assert not done(desk)
    fill(desk)
    path.rename(path.with_name("INC902-own.toml"))
    assert not done(desk)


def test_rule_files_stand_in_the_manifest_by_their_names(desk: Desk) -> None:
    named = Manifest.open(desk.out, load_cycle(desk.cycle())).inputs
    assert list(named) == ["events.ndjson", "tickets.csv", f"my/{OWN_RULE}"]
    own = (desk.folder / "my" / OWN_RULE).read_bytes()
    assert named[f"my/{OWN_RULE}"] == hashlib.sha256(own).hexdigest()


def test_a_mapping_of_ones_own_is_an_input(desk: Desk) -> None:
    shutil.copyfile(MAPPING, desk.folder / "own.toml")
    desk.cycle(("[baseline]", 'mapping = "own.toml"\n[baseline]'))
    fill(desk)
    with (desk.folder / "own.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert not done(desk)


def test_a_mapping_that_ships_is_an_input_by_its_content(desk: Desk) -> None:
    path = desk.cycle(("[baseline]", 'mapping = "uci_servicenow"\n[baseline]'))
    named = Manifest.open(desk.out, load_cycle(path)).inputs
    assert named["uci_servicenow"] == hashlib.sha256(MAPPING.read_bytes()).hexdigest()


def test_results_of_another_version_are_not_trusted(desk: Desk) -> None:
    desk.cycle()
    fill(desk)
    manifest = desk.out / "manifest.json"
    text = manifest.read_text("utf-8")
    assert text.count('"trueloop": "') == 1
    manifest.write_text(text.replace('"trueloop": "', '"trueloop": "9'), encoding="utf-8")
    assert not done(desk)


def test_a_step_alone_sees_a_rule_that_has_changed(desk: Desk) -> None:
    def severity() -> str:
        rules = desk.loop().analyse().pareto.set_index("code")
        return str(rules.loc["INC901", "severity"])

    lines = (desk.folder / "events.ndjson").read_text("utf-8").splitlines()
    kept = [line for line in lines if '"INC100"' not in line or '"Resolve"' not in line]
    write_lines(desk.folder / "events.ndjson", kept)  # INC100 now is closed, never resolved
    assert severity() == "high"
    desk.write_rule("low")
    assert severity() == "low"


# --- guardrails


@pytest.mark.parametrize("kpi", ["KPI05", "KPI08"])
def test_what_a_guardrail_tells_is_shown_and_kept(kpi: str, desk: Desk) -> None:
    """Of which rule it is judged by: tests of the evaluation."""
    found = desk.loop(more=f'guardrails = ["{kpi}"]\n').evaluate()
    (status,) = found.guardrails["status"]
    assert (found.verdict == "guardrail breached") is (status == "breached")
    (entry,) = Register.open(desk.register).list()
    assert entry.improvement.guardrails == (kpi,)
    assert entry.evaluations[0].guardrails == {kpi: status}


# --- what a notebook says


@pytest.mark.filterwarnings("ignore:The specified file")
def test_a_cell_that_fails_says_our_own_words_once(desk: Desk) -> None:
    path = desk.cycle(('"KPI01"', '"KPI99"'))
    values = checked("3_improve", {"cycle": str(path), "out": str(desk.out)})
    with pytest.raises(RunError) as caught:
        run_notebook("3_improve", values, desk.folder / "done.ipynb")
    said = str(caught.value)
    assert said.startswith("CY102 notebook 3_improve, cell ")
    assert ": ST110 improvement.kpi in cycle.toml: there is no KPI 'KPI99'." in said
    assert (said.count("ST110"), said.count("\n"), "Error" in said) == (1, 0, False)
    assert not (desk.folder / "done.ipynb").exists()


def a_notebook(folder: Path, line: str) -> None:
    """A folder of notebooks with a single one, which does one thing."""
    values = "\n".join(f"{name} = ''" for name in NotebookParameters.model_fields)
    cells = [nbformat.v4.new_code_cell(values, metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell(f"import os\n{line}"))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(book, folder / "x.ipynb")


@pytest.mark.filterwarnings("ignore:The specified file")
def test_what_a_kernel_prints_itself_is_not_on_our_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """libzmq sometimes fails an assertion when a kernel is stopped, its work long done."""
    a_notebook(tmp_path, "_ = os.write(2, b'Assertion failed: pfd.revents & POLLIN\\n')")
    monkeypatch.setattr(runner, "files", lambda _: tmp_path)
    run_notebook("x", checked("x", {}), tmp_path / "done.ipynb")
    assert (tmp_path / "done.ipynb").exists()
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("ignore:The specified file")
def test_a_kernel_that_dies_says_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    a_notebook(tmp_path, "os.write(2, b'first\\nout of\\tmemory\\n\\n'); os._exit(9)")
    monkeypatch.setattr(runner, "files", lambda _: tmp_path)
    with pytest.raises(RunError, match="CY104 the process that ran notebook x ended") as caught:
        run_notebook("x", checked("x", {}), tmp_path / "done.ipynb")
    assert "The last that it said: out ofmemory." in str(caught.value)
    assert not (tmp_path / "done.ipynb").exists()
    assert capfd.readouterr().err == ""
