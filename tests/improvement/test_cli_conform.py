"""Does `trueloop conform` say rightly how far a log follows a model, and always the same?"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from improvement.command_line import BPI13, HOSTILE_TEXTS, UCI, Ran, in_process, write_lines
from improvement.conftest import needed
from improvement.test_pages import CHROMIUM, DESKTOP, PHONE, Seen, offences, widths
from scipy.stats import norm

from csi import conformance
from csi.conformance import ConformRequest
from csi.conformance_outputs import summary_of, write_conformance
from process_mining.alignment.deviations import explain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from improvement.conftest import Once

LASTING = ("summary.json", "alignments.parquet", "cases.parquet", "deviations.csv", "conform.html")
FILES = {*LASTING, "provenance.json"}

# Ask, then Build or Check, then Deliver.
FLOWS = "".join(
    f'<sequenceFlow id="f{i}" sourceRef="{source}" targetRef="{target}"/>'
    for i, (source, target) in enumerate(["sa", "ax", "xb", "xc", "by", "cy", "yd", "de"])
)
MODEL = f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t">
<process id="p" name="Small"><startEvent id="s"/>
<task id="a" name="A"/><exclusiveGateway id="x"/><task id="b" name="B"/><task id="c" name="C"/>
<exclusiveGateway id="y"/><task id="d" name="D"/><endEvent id="e"/>
{FLOWS}</process></definitions>"""
NET = """<?xml version="1.0" encoding="UTF-8"?>
<pnml xmlns="http://www.pnml.org/version-2009/grammar/pnml"><net id="n"
 type="http://www.pnml.org/version-2009/grammar/ptnet"><page id="g">
<place id="p0"><initialMarking><text>1</text></initialMarking></place><place id="p1"/>
<place id="p2"/><place id="p3"/>
<transition id="a"><name><text>A</text></name></transition>
<transition id="b"><name><text>B</text></name></transition>
<transition id="c"><name><text>C</text></name></transition>
<transition id="d"><name><text>D</text></name></transition>
<arc id="1" source="p0" target="a"/><arc id="2" source="a" target="p1"/>
<arc id="3" source="p1" target="b"/><arc id="4" source="b" target="p2"/>
<arc id="5" source="p1" target="c"/><arc id="6" source="c" target="p2"/>
<arc id="7" source="p2" target="d"/><arc id="8" source="d" target="p3"/>
</page><finalmarkings><marking><place idref="p3"><text>1</text></place></marking></finalmarkings>
</net></pnml>"""
CASES = {"1": "ABD", "2": "ABD", "3": "ABD", "4": "BD", "5": "ABBXD", "6": "AB"}


def wilson(k: int, n: int) -> list[float]:
    """The score interval as Wilson (1927) wrote it."""
    z = norm.ppf(0.975)
    centre, spread = (k + z * z / 2), z * (k * (n - k) / n + z * z / 4) ** 0.5
    return [(centre - spread) / (n + z * z), (centre + spread) / (n + z * z)]


def rows(cases: dict[str, Sequence[str]], **further: object) -> list[str]:
    """Lines of events.ndjson: a case's events are an hour apart."""
    return [
        json.dumps(
            {"case_id": case, "activity": step, "at": f"2025-03-03T{i:02d}:00:00Z", "seq": i}
            | further
        )
        for case, steps in cases.items()
        for i, step in enumerate(steps)
    ]


def model_file(folder: Path, text: str = MODEL, name: str = "small.bpmn") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def small(folder: Path, cases: dict[str, Any] = CASES) -> tuple[Path, Path]:
    return write_lines(folder / "log.ndjson", rows(cases)), model_file(folder)


def conform(folder: Path, *words: object, cases: dict[str, Any] = CASES) -> dict[str, Any]:
    log, model = small(folder, cases)
    ran = in_process("conform", log, "--model", model, "--out", folder / "out", "--json", *words)
    assert ran.err == ""
    found: dict[str, Any] = ran.json()
    assert found["exit_code"] == ran.code
    return found


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / "out" / name).to_pylist()
    return found


# --- six cases by hand


def test_six_cases_by_hand(tmp_path: Path) -> None:
    """1 to 3 follow the model, 4 lacks A, 5 repeats B and has X, 6 is open."""
    found = conform(tmp_path, "--ends", "D")
    assert found["cases"] == {
        "compared_with": 6,
        "of_other_practices": 0,
        "judged": 5,
        "open": 1,
        "order_unknown": 0,
        "words_unknown": 0,
        "trace_in_doubt": 0,
    }
    assert (found["fitting_cases"], found["fit"]["fitting"], found["fit"]["n"]) == (3, 3, 5)
    assert found["fit"]["value"] == 0.6
    assert [found["fit"]["low"], found["fit"]["high"]] == pytest.approx(wilson(3, 5))
    assert found["cost"] == {"lower": 3, "upper": 3, "unit": "cost of moves"}
    # highest costs: three of 3 + 3, one of 2 + 3, one of 5 + 3
    assert found["fitness"]["value"] == pytest.approx(1 - 3 / 31)
    assert found["bounded"] == {"variants": 0, "cases": 0}
    assert found["variants"] == 4
    # Every run goes A, B, D; behind A the model allows C too: 5 of 20 weighted choices escape.
    assert found["precision"]["value"] == pytest.approx(0.75)
    # Three sets of states, each visited five times with one continuation: 1 x 2 / (5 x 4).
    assert found["generalisation"]["value"] == pytest.approx(0.9)
    assert found["open"] == {
        "cases": 1,
        "already_off": 0,
        "unsettled": 0,
        "still_to_come": [{"activity": "D", "cases": 1}],
    }


def test_the_deviations_of_six_cases_by_hand(tmp_path: Path) -> None:
    found = conform(tmp_path, "--ends", "D")
    said = [(r["kind"], r["activity"], r["cases"], r["n"]) for r in found["deviations"]]
    assert said == [("skipped", "A", 1, 1), ("unexpected", "X", 1, 1), ("repeated", "B", 1, 1)]
    for row in found["deviations"]:
        assert (row["of"], row["share"], row["instead"]) == (5, 0.2, None)
        assert [row["low"], row["high"]] == pytest.approx(wilson(1, 5))
    assert [row["examples"] for row in found["deviations"]] == [["4"], ["5"], ["5"]]
    assert [row["text"] for row in found["deviations"]] == [
        "A was skipped",
        "X was not expected",
        "B was repeated",
    ]
    passed = {row["activity"]: (row["passed"], row["deviating"]) for row in found["activities"]}
    assert passed == {"A": (4, 1), "B": (5, 1), "C": (0, 0), "D": (5, 0), "X": (0, 1)}


def test_the_tables_of_six_cases_by_hand(tmp_path: Path) -> None:
    conform(tmp_path, "--ends", "D")
    variants = table(tmp_path, "alignments.parquet")
    assert {"".join(row["variant"]): row["n"] for row in variants} == {
        "ABD": 3,
        "AB": 1,
        "ABBXD": 1,
        "BD": 1,
    }
    by_name = {"".join(row["variant"]): row for row in variants}
    assert by_name["BD"]["cost"] == 1
    assert by_name["BD"]["fitness"] == pytest.approx(1 - 1 / 5)
    assert (by_name["BD"]["judged"], by_name["BD"]["open"]) == (1, 0)
    assert [m["activity"] for m in by_name["BD"]["moves"] if m["kind"] == "model"] == ["A"]
    assert by_name["BD"]["deviations"] == [{"kind": "skipped", "activity": "A", "instead": None}]
    assert {d["kind"] for d in by_name["ABBXD"]["deviations"]} == {"repeated", "unexpected"}
    assert {row["status"] for row in variants} == {"optimal"}
    cases = {row["case_id"]: row for row in table(tmp_path, "cases.parquet")}
    assert [cases[c]["cost"] for c in "123456"] == [0, 0, 0, 1, 2, None]
    assert [cases[c]["fitness"] for c in "15"] == [1.0, pytest.approx(1 - 2 / 8)]
    assert cases["6"] | {"variant": 0} == {
        "case_id": "6",
        "variant": 0,
        "complete": False,
        "judged": False,
        "apart": None,
        "cost": None,
        "lower": None,
        "upper": None,
        "fitness": None,
        "prefix_cost": 0,
        "still_open": ["D"],
    }
    for row in cases.values():
        assert variants[row["variant"]]["variant"] == list(CASES[row["case_id"]])


def test_without_a_declared_end_every_case_is_judged_and_the_output_says_so(tmp_path: Path) -> None:
    found = conform(tmp_path)
    assert (found["cases"]["judged"], found["cases"]["open"]) == (6, 0)
    assert found["ended_by"].startswith("every case is taken as ended")
    assert found["fit"]["fitting"] == 3
    assert ("skipped", "D") in {(r["kind"], r["activity"]) for r in found["deviations"]}
    page = Seen((tmp_path / "out" / "conform.html").read_text("utf-8"))
    assert "every case is taken as ended" in page.text


def test_an_open_case_that_is_off_already_is_told(tmp_path: Path) -> None:
    found = conform(tmp_path, "--ends", "D", cases={"1": "ABD", "2": "ABX", "3": "A"})
    assert found["open"]["cases"] == 2
    assert found["open"]["already_off"] == 1
    cases = {row["case_id"]: row for row in table(tmp_path, "cases.parquet")}
    assert [cases[c]["prefix_cost"] for c in "23"] == [1, 0]
    assert cases["2"]["still_open"] == ["D"]
    assert len(cases["3"]["still_open"]) == 2
    page = Seen((tmp_path / "out" / "conform.html").read_text("utf-8"))
    assert "2 cases have not ended. 1 of them have left the model already" in page.text


def test_a_petri_net_gives_the_same_figures(tmp_path: Path) -> None:
    by_bpmn = conform(tmp_path, "--ends", "D")
    net = model_file(tmp_path, NET, "small.pnml")
    words = ("conform", tmp_path / "log.ndjson", "--ends", "D", "--out", tmp_path / "net", "--json")
    ran = in_process(*words, "--model", net)
    by_net = ran.json()
    same = ("cases", "fit", "cost", "fitness", "precision", "generalisation", "deviations", "open")
    assert {k: by_net[k] for k in same} == {k: by_bpmn[k] for k in same}
    page = (tmp_path / "net" / "conform.html").read_text("utf-8")
    assert 'id="model-drawing-title"' in page  # no layout of its own: one of ours


def test_costs_by_activity(tmp_path: Path) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text('[log]\nX = 5\n[model]\n"no such step" = 9\n', encoding="utf-8")
    found = conform(tmp_path, "--ends", "D", "--costs", costs)
    assert found["cost"]["upper"] == 1 + 1 + 5
    assert found["fitness"]["value"] == pytest.approx(1 - 7 / (3 * 6 + 5 + (4 + 5 + 3)))
    assert found["costs"] == {
        "default_log": 1,
        "default_model": 1,
        "log": {"X": 5},
        "model": {"no such step": 9},
    }
    read = json.loads((tmp_path / "out" / "provenance.json").read_text("utf-8"))["read"]
    assert {one["role"] for one in read} == {"log", "model", "costs"}


@pytest.mark.parametrize(("limit", "code"), [(0.9, 0), (0.95, 1), (1.0, 1), (0.0, 0)])
def test_a_gate_on_the_fitness(tmp_path: Path, limit: float, code: int) -> None:
    found = conform(tmp_path, "--ends", "D", "--fail-under", limit)
    assert found["exit_code"] == code


def test_the_one_case_that_deviates_is_not_rounded_away(tmp_path: Path) -> None:
    cases = {f"{i:04d}": "ABD" for i in range(2_500)} | {"x": "ABBD"}
    log, model = small(tmp_path, cases)
    ran = in_process("conform", log, "--model", model, "--out", tmp_path / "out")
    lines = ran.out.splitlines()
    assert lines[0].startswith("2,500 of 2,501 (over 99.9%) judged cases follow the model")
    assert lines[0].endswith("fitness of the log over 0.999.")
    assert "1 of 2,501 (under 0.1%)  B was repeated" in ran.out


# --- what cannot be compared


def test_equal_times_without_an_order_are_set_apart(tmp_path: Path) -> None:
    lines = [line for line in rows(CASES) if json.loads(line)["case_id"] != "4"]
    tied = [{"case_id": "4", "activity": a, "at": "2025-03-03T00:00:00Z"} for a in "DB"]
    plain = [json.loads(line) for line in lines]
    for row in plain:
        del row["seq"]
    log = write_lines(tmp_path / "log.ndjson", [json.dumps(r) for r in [*plain, *tied]])
    words = ("conform", log, "--model", model_file(tmp_path), "--out", tmp_path / "out", "--json")
    found = in_process(*words).json()
    assert found["cases"]["order_unknown"] == 1
    assert found["cases"]["judged"] == 5
    row = next(r for r in table(tmp_path, "cases.parquet") if r["case_id"] == "4")
    assert (row["apart"], row["cost"], row["fitness"]) == ("order unknown", None, None)
    assert "order between them" in Seen((tmp_path / "out" / "conform.html").read_text("utf-8")).text


def test_a_word_outside_the_vocabulary_sets_a_case_apart_unless_it_is_allowed(
    tmp_path: Path,
) -> None:
    steps = ["Register", "Classify", "Assign", "Diagnose", "Resolve", "Close"]
    cases = {"1": steps, "2": [*steps[:3], "Ponder", *steps[3:]]}
    log = write_lines(tmp_path / "log.ndjson", rows(cases, practice="incident"))
    words = ("conform", log, "--out", tmp_path / "out", "--json")
    found = in_process(*words).json()
    assert found["words"]["unmapped"] == {"Ponder": 1}
    assert (found["cases"]["judged"], found["cases"]["words_unknown"]) == (1, 1)
    assert found["fit"]["fitting"] == 1
    allowed = in_process(*words, "--allow", "QG160").json()
    assert (allowed["cases"]["judged"], allowed["cases"]["words_unknown"]) == (2, 0)
    assert [(r["kind"], r["activity"]) for r in allowed["deviations"]] == [("unexpected", "Ponder")]


def test_no_case_to_judge_is_no_pass_of_a_gate(tmp_path: Path) -> None:
    log, model = small(tmp_path, {"1": "AB"})
    words = ("conform", log, "--model", model, "--ends", "D", "--out", tmp_path / "out")
    ran = in_process(*words)
    assert ran.code == 0
    page = Seen((tmp_path / "out" / "conform.html").read_text("utf-8"))
    assert "No case could be compared with the model" in page.text
    assert in_process(*words, "--fail-under", 0.1).code == 3
    assert in_process(*words, "--fail-under", 0.1).err.startswith("CL025 ")


def refused(folder: Path, *words: object, code: str, cases: dict[str, Any] = CASES) -> Ran:
    log, model = small(folder, cases)
    ran = in_process("conform", log, "--model", model, "--out", folder / "out", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"{code} "), ran.err
    assert not (folder / "out").exists()
    return ran


def test_wrong_usage_is_told_with_its_mend(tmp_path: Path) -> None:
    ran = refused(tmp_path, "--ends", "Dd", "--ends", "Zz", code="CL024")
    assert "Did you mean" in ran.err
    assert ran.err.count("CL024") == 2
    refused(tmp_path, "--allow", "QG999", code="CL018")
    refused(tmp_path, "--practice", "nonesuch", code="CL010")
    refused(tmp_path, "--practice", "incident", code="CL016")
    refused(tmp_path, code="CL023", cases={"1": ["P", "Q"]})
    refused(tmp_path, "--fail-under", "1.5", code="CL002")
    refused(tmp_path, "--as-of", "2025-03-03T01:00:00Z", code="CL013")
    refused(tmp_path, "--process", "q", code="MO109")


def test_wrong_costs_are_told_all_at_once(tmp_path: Path) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text("[log]\nX = -1\nB = 0.5\n", encoding="utf-8")
    assert refused(tmp_path, "--costs", costs, code="MO303").err.count("MO303") == 2
    costs.write_text("logs = 1\nlog = 2\n", encoding="utf-8")
    assert refused(tmp_path, "--costs", costs, code="CL026").err.count("CL026") == 2
    costs.write_text("a = = b", encoding="utf-8")
    refused(tmp_path, "--costs", costs, code="CL026")
    refused(tmp_path, "--costs", tmp_path / "none.toml", code="CL026")


def test_cases_of_several_practices_are_not_mixed(tmp_path: Path) -> None:
    lines = rows({"1": "ABD"}, practice="incident") + rows({"2": "ABD"}, practice="problem")
    log = write_lines(tmp_path / "log.ndjson", lines)
    words = ("conform", log, "--out", tmp_path / "out")
    for more in ((), ("--model", model_file(tmp_path))):
        ran = in_process(*words, *more)
        assert ran.code == 2
        assert "CL021" in ran.err or "RU212" in ran.err


def test_a_practice_all_cases_of_which_are_of_its_kinds_is_told(tmp_path: Path) -> None:
    cases = {"1": ["Register", "Implement", "Close"], "2": ["Register", "Implement", "Close"]}
    events = write_lines(tmp_path / "events.ndjson", rows(cases, practice="change"))
    kinds = ["case_id,practice,type", "1,change,normal", "2,change,standard"]
    table = write_lines(tmp_path / "tickets.csv", kinds)
    ran = in_process("conform", events, table, "--practice", "change", "--out", tmp_path / "out")
    assert ran.code == 2
    assert ran.err.startswith("CL021 every case of practice 'change' is of a kind with a model")
    assert "normal_change (1 cases), standard_change (1 cases)" in ran.err


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_gate_is_a_number(tmp_path: Path, number: str) -> None:
    log, model = small(tmp_path)
    words = ("conform", log, "--model", model, "--out", tmp_path / "out", "--fail-under", number)
    assert (in_process(*words).code, in_process(*words).err[:6]) == (2, "CL002 ")


def test_an_input_is_not_written_over(tmp_path: Path) -> None:
    log, _ = small(tmp_path)
    (tmp_path / "out").mkdir()
    model = model_file(tmp_path / "out", MODEL, "summary.json")
    ran = in_process("conform", log, "--model", model, "--out", tmp_path / "out")
    assert ran.code == 2
    assert ran.err.startswith("CL017 ")
    assert model.read_text("utf-8") == MODEL


def test_a_run_that_cannot_write_leaves_the_last_good_files(tmp_path: Path) -> None:
    conform(tmp_path, "--ends", "D")
    out = tmp_path / "out"
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.name != "conform.html"}
    (out / "conform.html").unlink()
    (out / "conform.html").mkdir()
    log, model = small(tmp_path, {"1": "ABD"})
    ran = in_process("conform", log, "--model", model, "--out", out)
    assert ran.code == 3
    assert ran.err.startswith("CY001 ")
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before


def test_bounds_are_labelled_and_decide_nothing(tmp_path: Path) -> None:
    """A search that was stopped: of B, D the cost is 0 to 1, of A, B, B, X, D 1 to 3."""
    log, model = small(tmp_path)
    found = conformance.conform(ConformRequest(logs=(log,), model=model, ends=("D",)))
    traces = ["".join(found.alignments.variants.trace(i)) for i in range(len(found.alignments))]
    bounds = {"BD": (0, 1), "ABBXD": (1, 3)}
    lower, upper = (
        np.array([bounds.get(t, (0, 0))[side] for t in traces], dtype=np.int64) for side in (0, 1)
    )
    lengths = np.diff(found.alignments.move_offsets)
    gone = np.isin(np.repeat(traces, lengths), list(bounds))
    kept = np.where(np.isin(traces, list(bounds)), 0, lengths)
    stopped = replace(
        found.alignments,
        lower=lower,
        upper=upper,
        moves=found.alignments.moves[~gone],
        move_offsets=np.append(0, np.cumsum(kept)),
    )
    bounded = replace(found, alignments=stopped, deviations=explain(stopped))
    summary = summary_of(bounded)
    assert summary["bounded"] == {"variants": 2, "cases": 2}
    assert summary["fit"]["unsettled"] == 1
    assert (summary["fit"]["fitting"], summary["fit"]["n"]) == (3, 4)
    assert summary["cost"] == {"lower": 1, "upper": 4, "unit": "cost of moves"}
    assert summary["fitness"]["value"] is None
    assert summary["fitness"]["low"] == pytest.approx(1 - 4 / 31)
    assert summary["fitness"]["high"] == pytest.approx(1 - 1 / 31)
    assert summary["deviations"] == []
    write_conformance(bounded, summary, tmp_path / "out")
    page = Seen((tmp_path / "out" / "conform.html").read_text("utf-8"))
    assert "0.871 to 0.968" in page.text
    assert "For 1 case it is not settled whether they follow the model" in page.text
    rows_of = {"".join(r["variant"]): r for r in table(tmp_path, "alignments.parquet")}
    assert (rows_of["BD"]["status"], rows_of["BD"]["cost"]) == ("bounded", None)
    cases = {row["case_id"]: row for row in table(tmp_path, "cases.parquet")}
    assert (cases["4"]["cost"], cases["4"]["lower"], cases["4"]["upper"]) == (None, 0, 1)


def test_a_model_of_too_many_states_and_without_a_layout_is_compared(tmp_path: Path) -> None:
    """Fifteen steps in any order: 32,768 markings."""
    names = [f"T{i:02d}" for i in range(15)]
    ends = [("s", "g"), ("j", "e"), *(("g", n) for n in names), *((n, "j") for n in names)]
    flows = "".join(
        f'<sequenceFlow id="f{i}" sourceRef="{a}" targetRef="{b}"/>'
        for i, (a, b) in enumerate(ends)
    )
    tasks = "".join(f'<task id="{n}" name="{n}"/>' for n in names)
    gates = '<parallelGateway id="g"/><parallelGateway id="j"/>'
    inside = f'<startEvent id="s"/><endEvent id="e"/>{gates}{tasks}{flows}'
    head, foot = MODEL.partition("<startEvent")[0], "</process></definitions>"
    model = model_file(tmp_path, head + inside + foot, "wide.bpmn")
    log = write_lines(tmp_path / "log.ndjson", rows({"1": names[::-1], "2": [*names[1:], "T05"]}))
    words = ("conform", log, "--model", model, "--out", tmp_path / "out", "--json")
    found = in_process(*words).json()
    assert (found["fit"]["fitting"], found["cost"]["upper"]) == (1, 2)
    said = {(row["kind"], row["activity"]) for row in found["deviations"]}
    assert said == {("skipped", "T00"), ("repeated", "T05")}
    page = Seen((tmp_path / "out" / "conform.html").read_text("utf-8"))
    assert "Its file has no layout" in page.text
    assert {f"#at-{i}" for i in (1, 2)} <= {v for _, k, v in page.attributes if k == "href"}


# --- the same bytes


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    outputs = []
    model = model_file(tmp_path)
    for seed in (0, 1):
        lines = rows({str(100 + i): CASES[str(i % 6 + 1)] for i in range(60)})
        random.Random(seed).shuffle(lines)  # noqa: S311 - no secret
        log = write_lines(tmp_path / str(seed) / "log.ndjson", lines)
        out = tmp_path / f"out-{seed}"
        in_process("conform", log, "--model", model, "--ends", "D", "--out", out)
        outputs.append({name: (out / name).read_bytes() for name in LASTING})
    assert outputs[0] == outputs[1]


def test_it_leaves_its_files_and_their_hashes(tmp_path: Path) -> None:
    conform(tmp_path, "--ends", "D")
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == FILES
    told = json.loads((out / "provenance.json").read_text("utf-8"))
    assert told["written"] == {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in LASTING
    }
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    model = hashlib.sha256((tmp_path / "small.bpmn").read_bytes()).hexdigest()
    assert summary["model"]["sha256"] == model
    assert summary["model"]["soundness"] == "sound"
    assert summary["model"]["states"] > 0


# --- hostile text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """A log whose activities and case ids are attacks, and a model that has some of them."""
    folder = tmp_path_factory.mktemp("hostile")
    cases = {text: ["A", text, *HOSTILE_TEXTS[:11], "B", "D"] for text in HOSTILE_TEXTS}
    log = write_lines(folder / "log.ndjson", rows(cases))
    named = MODEL.replace('name="C"', 'name="&lt;script&gt;alert(1)&lt;/script&gt;"')
    named = named.replace('name="Small"', 'name="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"')
    model = model_file(folder, named)
    ran = in_process("conform", log, "--model", model, "--out", folder / "out")
    return ran, folder / "out"


def test_hostile_names_are_only_text(hostile: tuple[Ran, Path]) -> None:
    ran, out = hostile
    assert ran.code == 0, ran.err
    html = (out / "conform.html").read_text("utf-8")
    assert offences(Seen(html)) == []
    for raw in ("<script", "<img", "<iframe", "</style></svg>"):
        assert raw not in html
    shown = [text for text in HOSTILE_TEXTS[:11] if text.isprintable()]
    assert [text for text in shown if text not in Seen(html).text] == []


def test_hostile_names_are_whole_in_parquet_and_inert_in_csv(hostile: tuple[Ran, Path]) -> None:
    _, out = hostile
    ids = pq.read_table(out / "cases.parquet")["case_id"].to_pylist()
    assert sorted(ids) == sorted(HOSTILE_TEXTS)
    with (out / "deviations.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert any("cmd|" in cell for cell in cells)
    assert [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}] == []


def test_hostile_names_do_not_drive_a_terminal(hostile: tuple[Ran, Path]) -> None:
    ran, _ = hostile
    assert all(c == "\n" or c.isprintable() for c in ran.out)


# --- real logs, and the desk


@pytest.fixture(scope="session")
def by_name(once: Once) -> dict[str, Path]:
    """The real logs and a simulated desk, each compared with its practice's model."""

    def bpi13(folder: Path) -> list[Ran]:
        return [in_process("conform", needed(BPI13), "--out", folder / "out")]

    def uci(folder: Path) -> list[Ran]:
        words = ("conform", needed(UCI), "--mapping", "uci_servicenow")
        return [in_process(*words, "--out", folder / "out")]

    def desk(folder: Path) -> list[Ran]:
        in_process("simulate", "--out", folder / "desk", "--tickets", 400, "--seed", 3)
        events = folder / "desk" / "events.ndjson"
        words = ("conform", events, "--practice", "incident")
        return [in_process(*words, "--out", folder / "out")]

    found = {}
    for work in (desk, bpi13, uci):
        if work is desk or (BPI13 if work is bpi13 else UCI).is_file():
            folder, (ran,) = once(f"conform-{work.__name__}", work)
            assert (ran.code, ran.err) == (0, "")
            found[work.__name__] = folder / "out"
    return found


@pytest.fixture(params=["desk", "bpi13", "uci"])
def real(request: pytest.FixtureRequest, by_name: dict[str, Path]) -> Path:
    if request.param not in by_name:
        pytest.skip(f"the log {request.param} is not there")
    return by_name[request.param]


def test_figures_agree_with_the_tables(real: Path) -> None:
    summary = json.loads((real / "summary.json").read_text("utf-8"))
    cases = pq.read_table(real / "cases.parquet").to_pandas()
    variants = pq.read_table(real / "alignments.parquet").to_pandas()
    judged = cases[cases["judged"]]
    assert len(judged) == summary["cases"]["judged"] == variants["judged"].sum()
    assert (judged["cost"] == 0).sum() == summary["fit"]["fitting"]
    assert judged["cost"].sum() == summary["cost"]["upper"]
    assert (~cases["judged"]).sum() == cases["cost"].isna().sum()
    assert variants["n"].sum() == len(cases)
    assert ((variants["cost"] == 0) == (variants["fitness"] == 1.0)).all()
    assert ((variants["cost"] == 0) == (variants["deviations"].map(len) == 0)).all()
    # a case that follows the model is also the beginning of a run
    assert (variants["prefix_cost"] <= variants["cost"]).all()
    worst = judged["cost"] / (1 - judged["fitness"].where(judged["cost"] > 0))
    own = variants.loc[judged["variant"], "variant"].map(len).to_numpy()
    shortest = (worst - own).dropna().round(6)
    assert shortest.nunique() <= 1
    for row in summary["deviations"]:
        pair = (row["kind"], row["activity"], row["instead"])
        having = [
            any((d["kind"], d["activity"], d["instead"]) == pair for d in one)
            for one in variants["deviations"]
        ]
        assert variants.loc[having, "judged"].sum() == row["cases"]


def test_it_agrees_with_the_audit(real: Path, uci: Any, bpi13: Any) -> None:  # noqa: ANN401
    by_source = {"bpi13": bpi13, "uci": uci}
    name = next((one for one in by_source if f"conform-{one}" in str(real)), None)
    if name is None:
        pytest.skip("the desk is audited elsewhere")
    summary = json.loads((real / "summary.json").read_text("utf-8"))
    (audited,) = by_source[name].summary["conformance"]
    assert audited["cases"] == summary["cases"]["judged"]
    assert audited["fitting_cases"] == summary["fit"]["fitting"]
    assert audited["cost"] == summary["cost"]["upper"]
    for key in ("order_unknown", "words_unknown", "trace_in_doubt"):
        assert audited[key] == summary["cases"][key]


def test_the_page_is_inert_and_its_links_lead_somewhere(real: Path) -> None:
    seen = Seen((real / "conform.html").read_text("utf-8"))
    assert offences(seen) == []
    assert seen.tags.count("h1") == 1
    anchors = [v for tag, key, v in seen.attributes if tag == "a" and key == "href"]
    assert anchors
    assert [a for a in anchors if not a.startswith("#") or a[1:] not in seen.ids] == []


def test_every_deviating_step_leads_from_the_drawing_to_its_deviations(real: Path) -> None:
    html = (real / "conform.html").read_text("utf-8")
    summary = json.loads((real / "summary.json").read_text("utf-8"))
    drawing = html[html.index("<figure") : html.index("</figure>")]
    drawn = Seen(drawing)
    linked = {v for tag, key, v in drawn.attributes if tag == "a" and key == "href"}
    off = [row["activity"] for row in summary["activities"] if row["deviating"]]
    assert len(linked) == len(off)
    for anchor in linked:
        assert f'<tbody id="{anchor[1:]}">' in html
    assert 'role="group"' in drawing
    assert "<desc" in drawing


TALLEST_ROW = """<script>addEventListener("load", () => parent.postMessage(Math.max(
  ...[...document.querySelectorAll(".deviations tr")].map(e => e.offsetHeight)) + "",
  "*"))</script>"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: heights are not measured")
def test_examples_are_not_squeezed_to_a_letter_a_line(tmp_path: Path) -> None:
    cases = {f"1-37805031{i}": "ABBD" for i in range(4)}
    conform(tmp_path, cases=cases)
    (tallest,) = widths(tmp_path / "out" / "conform.html", PHONE, tmp_path, TALLEST_ROW)
    assert 20 < int(tallest) < 130


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: widths are not measured")
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_is_no_wider_than_the_screen(
    by_name: dict[str, Path], width: int, tmp_path: Path
) -> None:
    view, document, body, *sticking = widths(by_name["desk"] / "conform.html", width, tmp_path)
    assert int(view) == width
    assert max(int(document), int(body)) <= width
    assert sticking == []
