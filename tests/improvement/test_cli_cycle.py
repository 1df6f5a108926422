"""Does one turn of the loop run through, hand on its findings, and add nothing when repeated?"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from improvement.command_line import in_process, outside

from csi.kpi import load_kpis
from csi.runner import NOTEBOOKS, checked, run_notebook
from rules.catalogue import load_catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from improvement.conftest import Again, Demo

VERDICTS = ("conforms", "violates", "pending", "vacuous", "unknown")
OUTCOMES = {"improved", "no effect shown", "worse", "inconclusive", "guardrail breached"}
WINDOWS = ("baseline", "current")


def read(path: Path) -> Any:  # noqa: ANN401 - JSON is any of its types
    return json.loads(path.read_text("utf-8"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def records(register: Path) -> list[tuple[Any, ...]]:
    """Every record of a register, as it is stored."""
    with closing(sqlite3.connect(register)) as connection:
        return connection.execute("SELECT * FROM history ORDER BY seq").fetchall()


# --- what it leaves


def test_it_runs_through(demo: Demo) -> None:
    assert demo.ran.code == 0
    assert "Start here: " in demo.ran.out
    assert (demo.folder / "report.html").is_file()


def test_it_keeps_standard_error_for_its_own_words(demo: Demo, again: Again) -> None:
    assert (demo.ran.err, again.ran.err) == ("", "")


def test_the_executed_notebooks_are_kept(demo: Demo) -> None:
    for name in NOTEBOOKS:
        book = read(demo.cycle / "notebooks" / f"{name}.ipynb")
        code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
        assert all(cell["execution_count"] for cell in code)
        assert any(cell["outputs"] for cell in code)
        assert " at 0x" not in json.dumps(book)  # an address in memory differs from run to run
        kinds = {out["output_type"] for cell in code for out in cell["outputs"]}
        assert "error" not in kinds
    folder = demo.cycle / "notebooks"
    assert sorted(p.name for p in folder.iterdir()) == [f"{name}.ipynb" for name in NOTEBOOKS]


def test_results_name_windows_and_snapshot(demo: Demo) -> None:
    results = demo.results
    assert set(results["window"]) == set(WINDOWS)
    assert all(set(window) == {"start", "end"} for window in results["window"].values())
    assert re.fullmatch(r"[0-9a-f]{64}", results["snapshot"]["sha256"])
    events = (demo.desk / "events.ndjson").read_text("utf-8").splitlines()
    assert results["snapshot"]["events"] == len(events)
    assert results["snapshot"]["cases"] == len({json.loads(line)["case_id"] for line in events})
    assert results["cycle_sha256"] == sha256(demo.desk / "cycle.toml")


def test_results_hold_every_kpi_in_both_windows_with_n_and_method(demo: Demo) -> None:
    kpis = load_kpis()
    codes = {name: {m["kpi"] for m in demo.results["kpis"][name]} for name in WINDOWS}
    incident = {code for code, kpi in kpis.items() if kpi.case_type == "incident"}
    assert incident <= codes["baseline"] == codes["current"] <= set(kpis)
    for one in (m for side in demo.results["kpis"].values() for m in side):
        assert {"value", "n", "low", "high", "method", "unit"} <= one.keys()
        if one["value"] is not None:
            assert one["n"] > 0


def test_results_hold_every_rule_in_both_windows(demo: Demo) -> None:
    summary = read(demo.folder / "audit" / "summary.json")
    kinds = ("incident", "major_incident")
    codes = {rule.code for kind in kinds for rule in load_catalogue().for_cases(kind)}
    known = {rule["code"]: rule for rule in summary["rules"] if rule["code"] in codes}
    assert set(known) == codes
    for name in WINDOWS:
        rows = [row for row in demo.results["rules"] if row["window"] == name]
        assert {row["code"] for row in rows} == set(known)
    for code, whole in known.items():
        mine = [row for row in demo.results["rules"] if row["code"] == code]
        # Windows do not overlap; the whole log may hold tickets outside of both. A verdict itself
        # may differ: the baseline is judged by what was known at the end of its follow-up.
        judged = [sum(row[verdict] for verdict in VERDICTS) for row in (*mine, whole)]
        assert sum(judged[:-1]) <= judged[-1]
        assert min(judged[:-1]) > 0


def test_results_hold_the_evaluation(demo: Demo) -> None:
    found = demo.results["evaluate"]
    assert found["verdict"] in OUTCOMES
    assert {"verdict", "metric", "effect", "interval", "n", "method"} <= found.keys()
    low, high = found["interval"]
    assert low <= found["effect"] <= high
    assert found["n"] == found["n_baseline"] + found["n_current"]


def test_the_verdict_follows_from_the_rule_that_was_registered(demo: Demo) -> None:
    found, plan = demo.results["evaluate"], read(demo.cycle / "3_improve" / "plan.json")
    rule = plan["decision_rule"]
    assert found["decision_rule"] == rule
    better = -1 if found["better"] == "lower" else 1
    low, high = sorted(better * bound for bound in found["interval"])
    minimum = rule["minimum_effect"]
    expected = "inconclusive"
    if low > 0 and better * found["effect"] >= minimum:
        expected = "improved"
    elif high < 0:
        expected = "worse"
    elif -minimum <= low and high <= minimum:
        expected = "no effect shown"
    assert found["verdict"] == expected


def test_the_page_says_the_verdict(demo: Demo) -> None:
    page = (demo.cycle / "report.html").read_text("utf-8")
    assert demo.results["evaluate"]["sentence"].split(";")[0] in page
    assert demo.results["evaluate"]["verdict"] in demo.ran.out.lower()


def test_the_manifest_names_inputs_and_outputs_by_their_bytes(demo: Demo) -> None:
    manifest = read(demo.cycle / "manifest.json")
    assert manifest["cycle"] == sha256(demo.desk / "cycle.toml")
    names = ("events.ndjson", "tickets.csv", "surveys.csv", "targets.toml")
    assert manifest["inputs"] == {name: sha256(demo.desk / name) for name in names}
    assert list(manifest["steps"]) == list(NOTEBOOKS)
    for step in NOTEBOOKS:
        there = {path.name: sha256(path) for path in (demo.cycle / step).iterdir()}
        assert manifest["steps"][step] == there


# --- again


def test_a_second_run_gives_the_same_bytes(demo: Demo, again: Again) -> None:
    names = ["results.json", "report.html", "manifest.json"]
    names += [str(p.relative_to(demo.cycle)) for n in NOTEBOOKS for p in (demo.cycle / n).iterdir()]
    same = {n: (demo.cycle / n).read_bytes() == (again.cycle / n).read_bytes() for n in names}
    assert same == dict.fromkeys(names, True)


def test_a_second_run_adds_nothing_to_the_register(demo: Demo, again: Again) -> None:
    assert again.ran.code == 0
    before = records(demo.register_before)
    kinds = [record[4] for record in before]
    assert kinds[:3] == ["add", "assess", "baseline"]
    assert [kinds.count(kind) for kind in ("add", "start", "evaluate")] == [1, 1, 1]
    assert records(demo.desk / "register.sqlite") == before


def test_the_register_shows_the_entry(demo: Demo) -> None:
    register = demo.desk / "register.sqlite"
    (entry,) = in_process("register", "list", register, "--json").json()
    assert (entry["id"], entry["state"]) == (demo.results["evaluate"]["entry"], "evaluated")
    assert entry["verdict"] == demo.results["evaluate"]["verdict"]
    shown = in_process("register", "show", register, entry["id"])
    assert [word for word in ("add", "start", "evaluate") if word not in shown.out] == []
    assert in_process("register", "verify", register).code == 0


def a_new_desk(golden: Path, folder: Path) -> Path:
    """Copy a desk as it was before its cycle was run."""
    desk = shutil.copytree(golden / "desk", folder)
    shutil.rmtree(desk / "out")
    for path in desk.glob("register.sqlite*"):
        path.unlink()
    return desk


# --- two runs, two folders


def without_volatile(book: dict[str, Any]) -> dict[str, Any]:
    """Return an executed notebook without what the manifest declares to differ between runs."""
    del book["metadata"]["papermill"]
    for cell in book["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
        if "injected-parameters" in cell["metadata"].get("tags", []):
            del cell["id"], cell["source"]
    return book


@pytest.mark.trial
def test_two_runs_differ_in_the_declared_fields_only(golden: Path, tmp_path: Path) -> None:
    found: list[dict[str, object]] = []
    for seed, zone in (("1", "UTC"), ("2", "Asia/Kathmandu")):
        desk = a_new_desk(golden, tmp_path / seed)
        env = {"PYTHONHASHSEED": seed, "TZ": zone}
        words = ("cycle", "run", desk / "cycle.toml", "--report-date", "2025-08-01")
        assert outside(*words, "--out", desk / "out", env=env).code == 0
        files = {str(p.relative_to(desk)): p for p in desk.rglob("*") if p.is_file()}
        del files["register.sqlite"], files["register.sqlite.seal"]
        told: dict[str, object] = {
            name: without_volatile(read(path)) if path.suffix == ".ipynb" else sha256(path)
            for name, path in files.items()
        }
        found.append(told | {"records": records(desk / "register.sqlite")})
    one, other = found
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []
    assert sorted(read(tmp_path / "1" / "out" / "manifest.json")["volatile"]) == [
        "notebooks/*.ipynb"
    ]


# --- each notebook alone


@pytest.mark.filterwarnings("ignore:The specified file")
@pytest.mark.parametrize("notebook", NOTEBOOKS[:3])
def test_a_notebook_runs_alone_in_an_empty_folder(
    notebook: str, golden: Path, tmp_path: Path
) -> None:
    desk = a_new_desk(golden, tmp_path / "desk")
    values = {"cycle": str(desk / "cycle.toml"), "out": str(tmp_path / "out")}
    run_notebook(notebook, checked(notebook, values), tmp_path / f"{notebook}.ipynb")
    left = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert left == set(NOTEBOOKS[: NOTEBOOKS.index(notebook) + 1])
    for path in (tmp_path / "out" / notebook).iterdir():
        assert sha256(path) == sha256(golden / "desk" / "out" / notebook / path.name)


@pytest.mark.filterwarnings("ignore:The specified file")
def test_the_last_notebook_runs_alone_without_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    in_process("simulate", "--tickets", 120, "--out", "trueloop-demo")
    run_notebook("4_evaluate", checked("4_evaluate", {}), tmp_path / "done.ipynb")
    (out,) = (tmp_path / "trueloop-demo").glob("cycle-*")
    assert {path.name for path in out.iterdir() if path.is_dir()} == set(NOTEBOOKS)
    assert read(out / "4_evaluate" / "evaluation.json")["verdict"] in OUTCOMES
