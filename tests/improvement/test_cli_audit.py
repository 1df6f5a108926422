"""Does `trueloop audit` carry a real log from files to verdicts, whole, and always the same?"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from improvement.command_line import BPI13, UCI, event_line, in_process, outside, write_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from improvement.conftest import Audited

LASTING = (
    *("summary.json", "findings.parquet", "findings.csv", "cases.parquet"),
    *("escalations.parquet", "opportunities.json", "report.html"),
)
FILES = {*LASTING, "provenance.json"}
VERDICTS = ("conforms", "violates", "pending", "vacuous", "unknown")
RANKS = {"low": 1, "medium": 2, "high": 3, "critical": 4}
EVIDENCE = pa.struct(
    [
        ("seq", pa.int64()),
        ("activity", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("actor", pa.string()),
        ("team", pa.string()),
    ]
)
FINDING_COLUMNS = {
    "rule": pa.string(),
    "rule_version": pa.int64(),
    "case_id": pa.string(),
    "verdict": pa.string(),
    "severity": pa.string(),
    "seqs": pa.list_(pa.int64()),
    "at": pa.timestamp("us", tz="UTC"),
    "actor": pa.string(),
    "team": pa.string(),
    "measured": pa.int64(),
    "limit": pa.int64(),
    "unit": pa.string(),
    "message": pa.string(),
    "fingerprint": pa.string(),
    "waived_by": pa.string(),
    "expected": pa.string(),
    "seen": pa.string(),
    "evidence": pa.list_(EVIDENCE),
}
# design.md section 6: what summary.json holds at least
PROMISED: dict[str, Any] = {
    "log": {"sha256": str, "events": int, "cases": int, "variants": int, "rejected": int},
    "conformance": [
        {
            "practice": str,
            "model": str,
            "fitting_cases": int,
            "cases": int,
            "cost": int,
            "fitness_mean": (float, type(None)),
        }
    ],
    "rules": [
        {
            "code": str,
            "name": str,
            "severity": str,
            **dict.fromkeys((*VERDICTS, "waived"), int),
            "rate": (float, type(None)),
            "interval": (list, type(None)),
        }
    ],
    "findings": int,
    "exit_code": int,
}


def misfits(value: Any, promised: Any, place: str = "summary") -> list[str]:  # noqa: ANN401 - JSON
    """Where a JSON value is not of the promised shape."""
    if isinstance(promised, dict):
        if not isinstance(value, dict):
            return [f"{place} is no object"]
        found = [f"{place}.{key} is missing" for key in promised.keys() - value.keys()]
        both = promised.keys() & value.keys()
        return found + [m for k in both for m in misfits(value[k], promised[k], f"{place}.{k}")]
    if isinstance(promised, list):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [m for i, v in enumerate(value) for m in misfits(v, promised[0], f"{place}[{i}]")]
    right = isinstance(value, promised) and not isinstance(value, bool)
    return [] if right else [f"{place} is {value!r}"]


def test_the_shape_check_can_fail() -> None:
    assert misfits({"a": [{"b": True}]}, {"a": [{"b": int, "c": str}]}) == [
        "summary.a[0].c is missing",
        "summary.a[0].b is True",
    ]


# --- counts, files, exit codes


def test_uci_is_read_whole(uci: Audited) -> None:
    with gzip.open(UCI, "rt", encoding="utf-8", newline="") as file:
        numbers = [row["number"] for row in csv.DictReader(file)]
    log = uci.summary["log"]
    assert (log["events"], log["cases"], log["rejected"]) == (81_519, 13_302, 0)
    assert (len(numbers), len(set(numbers))) == (81_519, 13_302)
    assert uci.cases["case_id"].to_pylist() == sorted(set(numbers))


def test_bpi13_is_read_whole(bpi13: Audited) -> None:
    text = gzip.decompress(BPI13.read_bytes()).decode()
    log = bpi13.summary["log"]
    assert (log["events"], log["cases"], log["rejected"]) == (6_660, 1_487, 0)
    assert (text.count("<event>"), text.count("<trace>")) == (6_660, 1_487)
    traces = [
        tuple(re.findall(r'"concept:name" value="([^"]*)"', re.sub(r"(?s)^.*?<event>", "", trace)))
        for trace in text.split("<trace>")[1:]
    ]
    assert log["variants"] == 183 == len(set(traces))


def test_exit_code_is_0_without_a_gate(uci: Audited) -> None:
    assert (uci.ran.code, uci.summary["exit_code"]) == (0, 0)
    assert uci.ran.err == ""


def test_exit_code_is_1_at_the_gate(bpi13: Audited) -> None:
    assert (bpi13.ran.code, bpi13.summary["exit_code"]) == (1, 1)
    offences = {r["severity"] for r in bpi13.summary["rules"] if r["violates"]}
    assert offences & {"medium", "high", "critical"}


def test_a_gate_above_the_worst_offence_lets_pass(bpi13: Audited, tmp_path: Path) -> None:
    worst = max(RANKS[r["severity"]] for r in bpi13.summary["rules"] if r["violates"])
    above = next((word for word, rank in RANKS.items() if rank == worst + 1), None)
    assert above is not None
    ran = in_process("audit", BPI13, "--fail-on", above, "--out", tmp_path / "out")
    assert ran.code == 0


def test_it_leaves_its_files_and_nothing_else(real: Audited) -> None:
    assert {path.name for path in real.out.iterdir()} == FILES
    assert all(path.stat().st_size for path in real.out.iterdir())


def test_what_is_printed_says_the_figures_and_where_to_look(real: Audited) -> None:
    log = real.summary["log"]
    assert f"{log['cases']:,} cases, {log['events']:,} events" in real.ran.out
    most = max(real.summary["rules"], key=lambda rule: rule["violates"])
    assert most["code"] in real.ran.out
    unknown = {rule["code"] for rule in real.summary["rules"] if rule["unknown"]}
    assert {code for code in unknown if code not in real.ran.out} == set()
    assert str(real.out / "report.html") in real.ran.out


# --- the content hangs together


def test_summary_has_the_promised_shape(real: Audited) -> None:
    assert misfits(real.summary, PROMISED) == []
    assert re.fullmatch(r"[0-9a-f]{64}", real.summary["log"]["sha256"])


def test_the_tallies_of_a_rule_add_up_to_the_cases(real: Audited) -> None:
    sums = {sum(rule[verdict] for verdict in VERDICTS) for rule in real.summary["rules"]}
    assert sums == {real.summary["log"]["cases"]}


def test_a_rate_is_conforming_of_decided_and_lies_in_its_interval(real: Audited) -> None:
    for rule in real.summary["rules"]:
        decided = rule["conforms"] + rule["violates"]
        if not decided:
            assert rule["rate"] is rule["interval"] is None
            continue
        assert rule["rate"] == pytest.approx(rule["conforms"] / decided, abs=1e-6)
        low, high = rule["interval"]
        assert 0 <= low <= rule["rate"] <= high <= 1


def test_findings_have_the_promised_columns(real: Audited) -> None:
    schema = real.findings.schema
    assert dict(zip(schema.names, schema.types, strict=True)) == FINDING_COLUMNS


def test_evidence_is_what_the_log_says_of_the_events_named(real: Audited) -> None:
    for row in real.findings.slice(0, 500).to_pylist():
        assert [event["seq"] for event in row["evidence"]] == row["seqs"]
        assert all(f"(seq {seq}, " in row["seen"] for seq in row["seqs"])
        assert row["expected"].endswith(".")


def test_one_finding_for_each_violating_case_and_rule(real: Audited) -> None:
    rows = real.findings.select(["rule", "case_id", "verdict"]).to_pylist()
    said = {r["code"]: r["violates"] for r in real.summary["rules"] if r["violates"]}
    assert Counter(row["rule"] for row in rows) == said
    assert len({(row["rule"], row["case_id"]) for row in rows}) == len(rows)
    assert {row["verdict"] for row in rows} == {"violates"}
    assert real.summary["findings"] == len(rows)


def test_findings_and_cases_say_the_same(real: Audited) -> None:
    broken = Counter(
        (rule, row["case_id"])
        for row in real.cases.select(["case_id", "violates"]).to_pylist()
        for rule in row["violates"]
    )
    found = real.findings.select(["rule", "case_id"]).to_pylist()
    assert broken == Counter((row["rule"], row["case_id"]) for row in found)


def test_the_figures_of_the_model_are_those_of_the_cases(real: Audited) -> None:
    (said,) = real.summary["conformance"]
    marks = ["complete", "order_known", "words_known", "trace_known"]
    rows = real.cases.select([*marks, "cost"]).to_pylist()
    costs = [row["cost"] for row in rows if all(row[mark] for mark in marks)]
    assert said["cases"] == len(costs)
    assert said["cost"] == sum(costs)
    assert said["fitting_cases"] == costs.count(0)


def test_fingerprints_tell_findings_apart(real: Audited) -> None:
    marks = real.findings["fingerprint"].to_pylist()
    assert len(set(marks)) == len(marks)


def test_findings_csv_holds_the_same_rows(real: Audited) -> None:
    table, rows = real.findings, real.spreadsheet
    assert list(rows[0]) == [name for name in FINDING_COLUMNS if name != "evidence"]
    for name in ("rule", "case_id", "fingerprint", "message"):
        assert [row[name] for row in rows] == table[name].to_pylist()
    seqs = [" ".join(map(str, value)) for value in table["seqs"].to_pylist()]
    assert [row["seqs"] for row in rows] == seqs


def test_findings_csv_holds_no_live_formula(hostile: Audited) -> None:
    cells = [cell for row in hostile.spreadsheet for cell in row.values()]
    assert any("cmd|" in cell for cell in cells)
    assert [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell) and not is_number(cell)] == []


def is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", cell) is not None


def test_provenance_names_the_bytes_read_and_written(real: Audited) -> None:
    said = json.loads((real.out / "provenance.json").read_text("utf-8"))
    log = UCI if said["read"][0]["name"] == UCI.name else BPI13
    data = log.read_bytes()
    read = {"name": log.name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert said["read"][0] == read | {"role": "log"}
    assert [one["role"] for one in said["read"][1:]] == ["mapping"] * (log == UCI)
    written = {name: hashlib.sha256((real.out / name).read_bytes()).hexdigest() for name in LASTING}
    assert said["written"] == written


def test_names_are_pseudonyms(uci: Audited) -> None:
    actors = {actor for actor in uci.findings["actor"].to_pylist() if actor is not None}
    assert actors
    assert all(re.fullmatch(r"p-[0-9a-f]{12}", actor) for actor in actors)
    assert b"Updated by" not in (uci.out / "report.html").read_bytes()


# --- the same input gives the same bytes


def audit_uci(rows: Sequence[Sequence[str]], folder: Path, seed: str) -> Path:
    path = folder / "incidents.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return audit_outside(path, seed, "--mapping", "uci_servicenow")


def audit_outside(path: Path, seed: str, *words: str, code: int = 0) -> Path:
    out = path.parent / "out"
    env = {"PYTHONHASHSEED": seed, "TZ": "Asia/Kathmandu" if seed == "2" else "UTC"}
    ran = outside("audit", path, *words, "--out", out, env=env)
    assert (ran.code, ran.err) == (code, "")
    return out


def assert_same_bytes(one: Path, other: Path) -> None:
    same = {name: (one / name).read_bytes() == (other / name).read_bytes() for name in LASTING}
    assert same == dict.fromkeys(LASTING, True)


def test_the_order_of_csv_rows_and_the_hash_seed_change_no_byte(
    uci_rows: tuple[list[str], list[list[str]]], tmp_path: Path
) -> None:
    header, rows = uci_rows
    shuffled = [rows[i] for i in np.random.default_rng(4).permutation(len(rows))]
    assert shuffled != rows
    one = audit_uci([header, *rows], tmp_path / "one", "1")
    assert_same_bytes(one, audit_uci([header, *shuffled], tmp_path / "two", "2"))


def test_the_order_of_xes_traces_and_the_hash_seed_change_no_byte(
    bpi13: Audited, tmp_path: Path
) -> None:
    text = gzip.decompress(BPI13.read_bytes()).decode()
    traces = re.findall(r"(?s)<trace>.*?</trace>", text)
    head, tail = text.split("<trace>", 1)[0], text.rsplit("</trace>", 1)[1]
    shuffled = [traces[i] for i in np.random.default_rng(5).permutation(len(traces))]
    assert shuffled != traces
    path = tmp_path / "log.xes"
    path.write_text(head + "\n".join(shuffled) + tail, encoding="utf-8")
    assert_same_bytes(bpi13.out, audit_outside(path, "2", "--fail-on", "medium", code=1))


def test_json_on_standard_output_is_summary_json(tmp_path: Path) -> None:
    steps = ("Register", "Classify", "Assign", "Resolve", "Close")
    lines = [event_line("I1", step, f"2025-03-01T0{i}:00:00Z") for i, step in enumerate(steps)]
    log = write_lines(tmp_path / "log.ndjson", lines)
    ran = in_process("audit", log, "--json", "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json() == json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
