"""No verdict is given that the log cannot carry, and no output that does not belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from improvement.command_line import in_process

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "rules" / "itil" / "incident" / "model.bpmn"
STEPS = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")


def event(case: str, step: str, hour: int, practice: str = "incident", **more: int) -> str:
    at = f"2025-01-06T{hour:02d}:00:00Z"
    who = {"actor": f"{step}-er", "team": "desk", "attributes": {}}
    row = {"case_id": case, "practice": practice, "activity": step, "at": at, **who, **more}
    return json.dumps(row)


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def good(case: str = "A", practice: str = "incident") -> list[str]:
    return [event(case, step, 9 + i, practice) for i, step in enumerate(STEPS)]


def summary(log: Path, out: Path, *words: object) -> dict[str, Any]:
    ran = in_process("audit", log, "--out", out, "--json", *words)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.json()
    return found


def verdicts(found: dict[str, Any], code: str) -> dict[str, int]:
    (row,) = (row for row in found["rules"] if row["code"] == code)
    return {name: row[name] for name in ("conforms", "violates", "unknown")}


def test_equal_times_without_a_declared_order_decide_nothing(tmp_path: Path) -> None:
    lines = [event("A", step, 9) for step in STEPS]
    found = summary(written(tmp_path / "log.ndjson", lines), tmp_path / "out")
    assert verdicts(found, "INC001") == {"conforms": 0, "violates": 0, "unknown": 1}
    assert verdicts(found, "INC006") == {"conforms": 0, "violates": 0, "unknown": 1}
    assert found["conformance"][0]["order_unknown"] == 1
    assert found["findings"] == 0


def test_equal_times_with_a_declared_order_do(tmp_path: Path) -> None:
    lines = [event("A", step, 9, seq=i) for i, step in enumerate(STEPS)]
    found = summary(written(tmp_path / "log.ndjson", lines), tmp_path / "out")
    assert verdicts(found, "INC001") == {"conforms": 1, "violates": 0, "unknown": 0}
    assert found["conformance"][0]["order_unknown"] == 0


def test_a_case_of_two_practices_is_refused(tmp_path: Path) -> None:
    lines = [*good(), event("A", "Close", 20, "problem")]
    ran = in_process("audit", written(tmp_path / "log.ndjson", lines), "--out", tmp_path / "out")
    assert ran.code == 3
    assert ran.err.startswith("LG004 1 cases name two practices, the first is 'A'")


def test_a_copy_of_a_log_under_another_name_is_refused(tmp_path: Path) -> None:
    one, two = (written(tmp_path / f"{n}.ndjson", good()) for n in (1, 2))
    ran = in_process("audit", one, two, "--out", tmp_path / "out")
    assert (ran.code, ran.err[:5]) == (2, "LG015")


def test_a_model_of_ones_own_is_named(tmp_path: Path) -> None:
    own = tmp_path / "ours.bpmn"
    own.write_bytes(MODEL.read_bytes())
    log = written(tmp_path / "log.ndjson", good())
    found = summary(log, tmp_path / "out", "--model", own)
    read = json.loads((tmp_path / "out" / "provenance.json").read_text("utf-8"))["read"]
    assert found["conformance"][0]["model"] != "incident 1"
    assert [(one["role"], one["name"]) for one in read] == [
        ("log", "log.ndjson"),
        ("model", "ours.bpmn"),
    ]


def test_a_model_of_ones_own_needs_one_practice(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", [*good(), *good("B", "problem")])
    ran = in_process("audit", log, "--model", MODEL, "--out", tmp_path / "out")
    assert (ran.code, ran.err[:5]) == (2, "CL015")


def test_a_model_in_foreign_words_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.bpmn"
    text = MODEL.read_text("utf-8")
    for word in (*STEPS, "Escalate", "Reopen", "Cancel", "Await"):
        text = text.replace(f'name="{word}', f'name="X{word}')
    foreign.write_text(text, encoding="utf-8")
    log = written(tmp_path / "log.ndjson", good())
    ran = in_process("audit", log, "--model", foreign, "--out", tmp_path / "out")
    assert (ran.code, ran.err[:5]) == (2, "CL016")


def test_an_audit_that_cannot_write_everything_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "report.html").mkdir(parents=True)
    ran = in_process("audit", written(tmp_path / "log.ndjson", good()), "--out", out)
    assert (ran.code, ran.err[:5]) == (3, "CY001")
    assert [path.name for path in out.iterdir()] == ["report.html"]


def test_an_audit_does_not_write_over_its_own_log(tmp_path: Path) -> None:
    log = written(tmp_path / "summary.json", good())
    ran = in_process("audit", log, "--out", tmp_path)
    assert (ran.code, ran.err[:5]) == (2, "CL017")
    assert log.read_text("utf-8").startswith('{"case_id"')


def test_a_log_without_times_has_no_date(tmp_path: Path) -> None:
    steps = "".join(f'<event><string key="concept:name" value="{s}"/></event>' for s in STEPS)
    trace = f'<trace><string key="concept:name" value="A"/>{steps}</trace>'
    log = tmp_path / "level_a.xes"
    log.write_text(f'<?xml version="1.0"?><log xes.version="1.0">{trace}</log>', encoding="utf-8")
    found = summary(log, tmp_path / "out", "--practice", "incident")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert found["as_of"] is None
    assert "1970" not in page
    assert verdicts(found, "INC001") == {"conforms": 1, "violates": 0, "unknown": 0}


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "3"])
def test_an_impossible_time_is_wrong_usage(tmp_path: Path, moment: str) -> None:
    log = written(tmp_path / "log.ndjson", good())
    ran = in_process("audit", log, "--as-of", moment, "--out", tmp_path / "out")
    assert (ran.code, ran.err[:5]) == (2, "CL002")


def test_what_nobody_foresaw_is_no_failed_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("csi.audit.inspect", broken)
    log = written(tmp_path / "log.ndjson", good())
    ran = in_process("audit", log, "--out", tmp_path / "out")
    assert ran.code == 3
    assert ran.err.startswith("CL099 ZeroDivisionError")
    assert "Traceback" not in ran.err


def test_a_refused_survey_row_stops_the_audit_unless_allowed(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", good())
    surveys = written(
        tmp_path / "surveys.csv",
        [
            "ticket,asked_at,answered_at,channel,scale,score,comment",
            "A,2025-01-06T15:00:00Z,2025-01-07T09:00:00Z,mail,1-5,4,",
            "A,2025-01-08T15:00:00Z,yesterday,mail,1-5,4,",
        ],
    )
    words = ("audit", log, "--surveys", surveys, "--out", tmp_path / "out", "--json")
    ran = in_process(*words)
    assert ran.code == 3
    assert ran.err.startswith("ST506 1 of 2 survey rows are refused: surveys.csv line 3")
    allowed = in_process(*words, "--allow-rejects")
    assert allowed.code == 0
    assert allowed.json()["feedback"]["refused"] == 1
