"""`trueloop inspect` and `--allow`: what is wrong with a log, which verdicts hang on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from improvement.command_line import UCI, in_process

if TYPE_CHECKING:
    from pathlib import Path

needs_data = pytest.mark.skipif(not UCI.exists(), reason="../shared/data is not there")

STEPS = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")


def desk(path: Path, cases: int, *, steps: tuple[str, ...] = STEPS) -> Path:
    """Write `cases` incidents, one step an hour, one incident a day."""
    days = [f"2024-{1 + case // 28:02d}-{1 + case % 28:02d}" for case in range(cases)]
    rows = [
        {
            "case_id": f"T{case:04d}",
            "practice": "incident",
            "activity": activity,
            "at": f"{day}T{8 + hour:02d}:{case % 60:02d}:07Z",
            "seq": hour,
            "actor": f"a{hour % 3}",
            "team": "desk",
        }
        for case, day in enumerate(days)
        for hour, activity in enumerate(steps)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def audited(log: Path, out: Path, *words: str) -> dict[str, Any]:
    ran = in_process("audit", log, "--out", out, "--json", *words)
    assert ran.code == 0, ran.err
    summary: dict[str, Any] = ran.json()
    return summary


def test_a_clean_log_passes_and_the_page_says_so(tmp_path: Path) -> None:
    log = desk(tmp_path / "log.ndjson", 20)
    ran = in_process("inspect", log, "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert {row["code"] for row in found["quality"]} <= {"QG132"}
    assert (found["log"]["rows_in"], found["rejects"], found["exit_code"]) == (120, [], 0)
    page = (tmp_path / "out" / "inspect.html").read_text()
    assert "120 rows were read, 0 of them refused" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_refused_rows_are_shown_and_exit_1_unless_allowed(tmp_path: Path) -> None:
    log = desk(tmp_path / "log.ndjson", 3)
    with log.open("a") as file:
        file.write('{"case_id": "<b>x</b>", "activity": "Close", "at": "yesterday"}\n')
    ran = in_process("inspect", log, "--json", "--out", tmp_path / "out")
    assert ran.code == 1
    found = ran.json()
    assert found["log"]["rows_in"] == 19
    assert found["log"]["events"] + len(found["rejects"]) == 19
    assert (found["rejects"][0]["place"], found["rejects"][0]["code"]) == ("line 19", "LG104")
    assert in_process("inspect", log, "--allow-rejects").code == 0
    assert "<b>" not in (tmp_path / "out" / "inspect.html").read_text()


def test_a_cut_export_takes_the_verdicts_that_rest_on_what_is_missing(tmp_path: Path) -> None:
    """1,000 rows exactly: an absence may be the export's, a step that is there is there."""
    steps = ("Register", "Classify", "Assign", "Resolve", "Close")  # nobody diagnosed
    log = desk(tmp_path / "log.ndjson", 200, steps=steps)
    taken = audited(log, tmp_path / "a")
    accepted = audited(log, tmp_path / "b", "--allow", "QG140")
    (row,) = [row for row in taken["quality"] if row["code"] == "QG140"]
    assert row["downgrades"]
    assert not row["allowed"]
    by_code = {row["code"]: row for row in accepted["rules"]}
    for code, n in row["downgrades"].items():
        rule = next(rule for rule in taken["rules"] if rule["code"] == code)
        assert rule["unknown"] == by_code[code]["unknown"] + n
        assert "round number of rows" in rule["unknown_because"]
    assert sum(rule["violates"] for rule in accepted["rules"]) > 0
    assert accepted["allowed"] == ["QG140"]
    page = (tmp_path / "b" / "report.html").read_text()
    assert "Accepted knowingly (--allow): QG140." in page
    for rule in [one for one in taken["rules"] if one["code"] not in row["downgrades"]]:
        same = ("conforms", "violates", "pending", "vacuous", "unknown")
        assert [rule[name] for name in same] == [by_code[rule["code"]][name] for name in same]


def test_a_time_nearer_to_its_limit_than_the_clock_tells_is_unknown(tmp_path: Path) -> None:
    """Day-only times: whether four hours were kept cannot be told; whether a week was, can."""
    rows = [
        {"case_id": f"T{n}", "practice": "incident", "activity": word, "seq": seq, "actor": "a",
         "at": f"2024-{1 + n // 28:02d}-{1 + n % 28:02d}T00:00:00Z", "team": "t"}
        for n in range(40) for seq, word in enumerate(STEPS)
    ]  # fmt: skip
    log = tmp_path / "log.ndjson"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tickets = tmp_path / "tickets.csv"
    lines = [f"T{n},incident,P1" for n in range(40)]
    tickets.write_text("\n".join(["case_id,practice,priority", *lines, ""]))
    ran = in_process("audit", log, tickets, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    summary = ran.json()
    (row,) = [row for row in summary["quality"] if row["code"] == "QG120"]
    assert row["downgrades"].get("SLM002") == 40, row
    by_code = {row["code"]: row for row in summary["rules"]}
    assert by_code["SLM002"]["conforms"] == 0


def test_an_unknown_code_is_a_slip_not_an_acceptance(tmp_path: Path) -> None:
    log = desk(tmp_path / "log.ndjson", 3)
    for command in ("audit", "inspect"):
        ran = in_process(command, log, "--allow", "QG14O", "--out", tmp_path / "out")
        assert (ran.code, ran.err[:6]) == (2, "CL018 ")
        assert "Did you mean 'QG140'?" in ran.err or "QG14" in ran.err


@needs_data
def test_the_real_log_names_the_rules_that_hang_on_each_finding() -> None:
    ran = in_process("inspect", UCI, "--mapping", "uci_servicenow", "--json")
    assert ran.code == 0
    rows = {(row["code"], row["subject"]): row for row in ran.json()["quality"]}
    assert rows["QG110", ""]["count"] == 5
    assert set(rows["QG110", ""]["hangs_on_it"]["INC002"]) == {"conforms", "violates"}
    assert rows["QG109", "closed"]["hangs_on_it"] == {}
    assert "INC004" in rows["QG131", ""]["hangs_on_it"]
    assert "INC005" not in rows["QG131", ""]["hangs_on_it"]  # it counts no teams


def test_words_name_the_rules_that_hang_on_them_and_silence_is_told(tmp_path: Path) -> None:
    log = desk(
        tmp_path / "log.ndjson", 5, steps=("Register", "Assign", "Fiddle", "Resolve", "Close")
    )
    found = in_process("inspect", log, "--json").json()
    (row,) = [row for row in found["quality"] if row["code"] == "QG160"]
    assert row["makes_unknown"] == ["words"]
    assert row["hangs_on_it"]["INC002"] == ["violates"]
    assert set(row["hangs_on_it"]["INC006"]) == {"conforms", "violates"}
    assert not any(code.startswith("PRB") for code in row["hangs_on_it"])
    other = tmp_path / "other.csv"
    other.write_text(
        "case_id,activity,at\n1,Foo,2024-01-01T00:00:00Z\n1,Bar,2024-01-02T00:00:00Z\n"
    )
    notes = in_process("inspect", other, "--json").json()["log"]["notes"]
    assert any("was not judged: CL011" in note for note in notes)
