"""Is the improvement register itself held against the model of continual improvement?"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from improvement.register_story import AT, BASELINE, DRAFT, WHO, evaluation

from csi.cli import cli
from csi.register import Register
from csi.register_log import register_log
from csi.statistics import DecisionRule
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Callable

OLD = Path(__file__).parents[1] / "data" / "register" / "before-seals.sqlite"
LEAD = "Service desk lead"
WIDER = DecisionRule(minimum_effect=0.2)
KEPT = ("assess", "baseline", "start", "implement", "evaluate")
ACTS: dict[str, Callable[[Register, str, dt.datetime], None]] = {
    "assess": lambda r, e, at: r.assess(e, "pursue", "worth it", at=at, actor=WHO),
    "postpone": lambda r, e, at: r.assess(e, "postpone", "later", at=at, actor=WHO),
    "baseline": lambda r, e, at: r.record_baseline(e, BASELINE, at=at, actor=WHO),
    "start": lambda r, e, at: r.start(e, at=at, actor=WHO),
    "restart": lambda r, e, at: r.start(
        e, at=at, actor=WHO, decision_rule=WIDER, reason="too small"
    ),
    "implement": lambda r, e, at: r.implement(e, "The form asks", at=at, actor=LEAD),
    "evaluate": lambda r, e, at: r.record_evaluation(e, evaluation(), at=at, actor=WHO),
    "evaluate again": lambda r, e, at: r.record_evaluation(e, evaluation(WIDER), at=at, actor=WHO),
    "lead evaluates": lambda r, e, at: r.record_evaluation(e, evaluation(), at=at, actor=LEAD),
    "evaluate nothing": lambda r, e, at: r.record_evaluation(
        e, replace(evaluation(), baseline=("", "")), at=at, actor=WHO
    ),
    "note": lambda r, e, at: r.note(e, "seen", at=at, actor=WHO),
    "close": lambda r, e, at: r.close(e, "over", at=at, actor=WHO),
    "cancel": lambda r, e, at: r.close(e, "not wanted", at=at, actor=WHO, cancelled=True),
}


def keep(register: Register, *acts: str) -> str:
    """Add an improvement and do this with it, ten days after each other; "wait" is 120."""
    entry, at = register.add(DRAFT, at=AT, actor=WHO), AT
    for act in acts:
        at += dt.timedelta(days=120 if act == "wait" else 10)
        if act != "wait":
            ACTS[act](register, entry, at)
    return entry


def words_of(register: Register) -> dict[str, list[str]]:
    log = register_log(register)
    of_case: dict[str, list[str]] = {}
    columns = (log.events[name].to_pylist() for name in ("case_id", "activity"))
    for case, word in zip(*columns, strict=True):
        of_case.setdefault(case, []).append(word)
    return of_case


def audited(register: Path, out: Path, *more: str) -> tuple[int, dict[str, Any], set[Any]]:
    """Return exit code, rules by code, and which rule found which case."""
    args = ["register", "audit", str(register), "--out", str(out), *more]
    code = CliRunner().invoke(cli, args, catch_exceptions=False).exit_code
    summary = json.loads((out / "summary.json").read_text())
    found = pq.read_table(out / "findings.parquet").to_pylist()
    rules = {rule["code"]: rule for rule in summary["rules"]}
    return code, rules, {(row["rule"], row["case_id"]) for row in found}


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register.open(tmp_path / "register.sqlite")


def test_every_record_is_told_in_the_words_of_the_model(register: Register) -> None:
    keep(register, *KEPT, "note", "baseline", "restart", "close")
    keep(register, "postpone", "assess", "start", "evaluate", "cancel")
    keep(register, "close")
    keep(register, "postpone", "close")
    keep(register, "assess", "close")
    keep(register, "assess", "baseline", "start", "cancel")
    assert words_of(register) == {
        "IMP-0001": [
            *("add", "assess", "measure baseline", "start", "implement", "evaluate"),
            *("restart", "close"),
        ],
        "IMP-0002": [
            *("add", "assess", "postpone", "assess", "start", "measure baseline", "evaluate"),
            "withdraw",
        ],
        "IMP-0003": ["add", "assess", "withdraw"],
        "IMP-0004": ["add", "assess", "postpone", "assess", "withdraw"],
        "IMP-0005": ["add", "assess", "withdraw"],
        "IMP-0006": ["add", "assess", "measure baseline", "start", "withdraw"],
    }


def test_an_empty_register_is_an_error(register: Register) -> None:
    with pytest.raises(CodedError, match="RG130"):
        register_log(register)


WELL_KEPT = (
    (*KEPT, "close"),
    ("assess", "start", "baseline", "implement", "evaluate", "evaluate", "close"),
    ("postpone", "assess", "note", "baseline", "start", "implement", "note", "evaluate", "close"),
    (*KEPT, "restart", "implement", "evaluate again", "baseline", "close"),
    ("assess", "baseline", "start", "implement", "cancel"),
    ("assess", "baseline", "start", "cancel"),
    ("close",),
    ("postpone", "close"),
    ("assess",),
    KEPT,
)


def test_a_register_that_was_kept_well_has_no_finding(register: Register, tmp_path: Path) -> None:
    for acts in WELL_KEPT:
        keep(register, *acts)
    code, rules, found = audited(tmp_path / "register.sqlite", tmp_path / "out", "--fail-on", "low")
    assert (code, found) == (0, set())
    assert rules["CSI001"]["conforms"] == len(WELL_KEPT) - 2
    own = [rule for name, rule in rules.items() if name.startswith("CSI")]
    assert len(own) == 7
    assert all(rule["unknown"] == 0 for rule in own)
    assert all(rule["conforms"] > 0 for rule in own)


# Each rule that our records can break; CSI007 they cannot: an entry without a KPI is refused.
BROKEN = {
    "nobody assessed it": (
        ("baseline", "start", "implement", "evaluate", "close"),
        {"CSI001", "CSI006"},
    ),
    "never carried out": (("assess", "baseline", "start", "evaluate", "close"), {"CSI001"}),
    "compared with nothing": (
        ("assess", "start", "implement", "evaluate nothing", "close"),
        {"CSI001", "CSI002"},
    ),
    "never evaluated": (
        ("assess", "baseline", "start", "implement", "close"),
        {"CSI001", "CSI003", "CSI005"},
    ),
    "evaluated by who did it": (
        ("assess", "baseline", "start", "implement", "lead evaluates", "close"),
        {"CSI004"},
    ),
    "evaluated too late": (
        ("assess", "baseline", "start", "implement", "wait", "evaluate", "close"),
        {"CSI005"},
    ),
    "assessed too late": (("wait", *KEPT, "close"), {"CSI006"}),
    "changed before it was evaluated": (
        ("assess", "baseline", "start", "restart", "implement", "evaluate again", "close"),
        {"CSI001"},
    ),
}


def test_each_rule_that_records_can_break_is_found(register: Register, tmp_path: Path) -> None:
    expected = set()
    for acts, rules in BROKEN.values():
        entry = keep(register, *acts)
        expected |= {(rule, entry) for rule in rules}
    code, _, found = audited(tmp_path / "register.sqlite", tmp_path / "out", "--fail-on", "high")
    assert (code, found) == (1, expected)


def test_a_finding_says_what_was_left_out(register: Register, tmp_path: Path) -> None:
    keep(register, *BROKEN["never carried out"][0])
    audited(tmp_path / "register.sqlite", tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out" / "findings.parquet").to_pylist()
    assert "Implement was skipped" in row["message"]
    assert row["actor"] == WHO


def test_records_of_the_same_moment_are_in_the_registers_order(
    register: Register, tmp_path: Path
) -> None:
    """As a cycle writes them: all on its report date, two evaluations alike."""
    entry = register.add(DRAFT, at=AT, actor=WHO)
    for act in (*KEPT, "evaluate", "close"):
        ACTS[act](register, entry, AT)
    _, rules, found = audited(tmp_path / "register.sqlite", tmp_path / "out")
    assert found == set()
    assert (rules["CSI001"]["conforms"], rules["CSI001"]["unknown"]) == (1, 0)


def test_an_old_register_lacks_what_was_not_recorded_then(tmp_path: Path) -> None:
    copy(OLD, tmp_path / "old.sqlite")
    _, rules, found = audited(tmp_path / "old.sqlite", tmp_path / "out")
    # the second entry was withdrawn without a reason, so nothing stands for its assessment
    assert found == {
        *(("CSI001", "IMP-0001"), ("CSI006", "IMP-0001")),
        ("CSI001", "IMP-0002"),
    }
    assert rules["CSI002"]["conforms"] == 1
