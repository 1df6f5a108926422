"""Is the improvement register itself held against the model of continual improvement?"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from csi.cli import cli
from csi.register import Evaluation, Improvement, Register
from csi.register_log import register_log
from csi.statistics import DecisionRule, Share, compare_proportions
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from pathlib import Path

AT = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
WHO = "improvement manager"
RULE = DecisionRule(minimum_effect=0.1)
DRAFT = Improvement(
    title="Ask for the error text at once",
    opportunity="Half of the waiting is for the customer",
    hypothesis="A form field for the error text saves one question",
    kpi="KPI01",
    owner="Service desk lead",
    decision_rule=RULE,
)
FOUND = Evaluation.of(compare_proportions(Share(100, 200), Share(160, 200), rule=RULE), kpi="KPI01")
JUDGED = replace(FOUND, baseline=("2024-01-01", "2024-02-01"))


def keep(register: Register, *acts: str) -> str:
    """Add an improvement and do this with it, a day after each other."""
    entry = register.add(DRAFT, at=AT, actor=WHO)
    for day, act in enumerate(acts, start=1):
        at = AT + dt.timedelta(days=day)
        if act == "start":
            register.start(entry, at=at, actor=WHO)
        elif act == "restart":
            rule = DecisionRule(minimum_effect=0.2)
            register.start(entry, at=at, actor=WHO, decision_rule=rule, reason="too small")
        elif act == "evaluate":
            register.record_evaluation(entry, JUDGED, at=at, actor=WHO)
        elif act == "evaluate without baseline":
            register.record_evaluation(entry, FOUND, at=at, actor=WHO)
        elif act == "note":
            register.note(entry, "seen", at=at, actor=WHO)
        else:
            register.close(entry, act, at=at, actor=WHO)
    return entry


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register.open(tmp_path / "register.sqlite")


def test_every_record_is_a_step_in_the_registers_order(register: Register) -> None:
    keep(register, "start", "note", "evaluate", "evaluate", "restart", "close")
    keep(register, "close")
    log = register_log(register)
    of_case = dict.fromkeys(log.events["case_id"].to_pylist(), ())
    for case, word in zip(
        *(log.events[c].to_pylist() for c in ("case_id", "activity")), strict=True
    ):
        of_case[case] = (*of_case[case], word)
    assert of_case == {
        "IMP-0001": (
            *("add", "start", "note", "measure baseline", "evaluate", "evaluate"),
            *("restart", "close"),
        ),
        "IMP-0002": ("add", "withdraw"),
    }


def test_an_empty_register_is_an_error(register: Register) -> None:
    with pytest.raises(CodedError, match="RG130"):
        register_log(register)


def test_the_audit_finds_what_was_skipped(register: Register, tmp_path: Path) -> None:
    kept = keep(register, "start", "note", "evaluate", "close")
    no_baseline = keep(register, "start", "evaluate without baseline", "close")
    not_evaluated = keep(register, "start", "close")
    withdrawn, still_open = keep(register, "close"), keep(register, "start")
    out = tmp_path / "out"
    args = ["register", "audit", str(tmp_path / "register.sqlite"), "--out", str(out)]
    done = CliRunner().invoke(cli, [*args, "--fail-on", "low"], catch_exceptions=False)
    assert done.exit_code == 1
    summary = json.loads((out / "summary.json").read_text())
    rules = {rule["code"]: rule for rule in summary["rules"]}
    model = rules["CSI001"]
    assert (model["conforms"], model["violates"], model["pending"]) == (2, 2, 1)
    found = pq.read_table(out / "findings.parquet").to_pylist()
    assert {(row["rule"], row["case_id"]) for row in found} == {
        ("CSI001", no_baseline),
        ("CSI001", not_evaluated),
        ("CSI002", no_baseline),
    }
    assert not {kept, withdrawn, still_open} & {row["case_id"] for row in found}
    told = {row["case_id"]: row["message"] for row in found if row["rule"] == "CSI001"}
    assert "Measure baseline was skipped" in told[no_baseline]
    assert "Evaluate was skipped" in told[not_evaluated]
    assert WHO in {row["actor"] for row in found}


def test_what_the_register_does_not_record_is_unknown_and_no_offence(
    register: Register, tmp_path: Path
) -> None:
    """It tells no assessment and no carrying out; it never takes an entry without a KPI."""
    keep(register, "start", "evaluate", "close")
    keep(register, "start")
    out = tmp_path / "out"
    args = ["register", "audit", str(tmp_path / "register.sqlite"), "--out", str(out)]
    as_of = ["--as-of", "2025-03-01T12:00:00Z"]  # a year later no deadline is left
    assert CliRunner().invoke(cli, [*args, *as_of], catch_exceptions=False).exit_code == 0
    rules = {one["code"]: one for one in json.loads((out / "summary.json").read_text())["rules"]}
    assert {code for code, one in rules.items() if one["unknown"] == 2} == {
        *("CSI003", "CSI004", "CSI005", "CSI006"),
        *("FBK012", "FBK014"),  # no entry names a feedback, and no feedback is here to name one
    }
    decided = {code: (one["conforms"], one["pending"]) for code, one in rules.items()}
    assert decided["CSI002"] == decided["CSI007"] == (1, 1)
    assert all(one["violates"] == 0 for one in rules.values())
