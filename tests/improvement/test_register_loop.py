"""Do `trueloop register start` and `evaluate` do what the improve and evaluate notebooks do?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from improvement.command_line import in_process

from csi.register import Register
from csi.simulate import Request, simulate
from csi.simulate.files import write
from csi.stages import Loop

if TYPE_CHECKING:
    from pathlib import Path

DRAFT = """
[improvement]
title = "Route P3 and P4 to the solving team at once"
opportunity = "They wait longer for their first look than they are worked on"
hypothesis = "Routing by service shortens the time to resolve"
kpi = "KPI01"
minimum_effect = 0.1
owner = "Service desk manager"
guardrails = ["KPI05"]
scope = { priority = ["P3", "P4"] }
planned_start = 2025-04-07
planned_evaluation = 2025-07-07
"""
STRICTER = """
[improvement]
minimum_effect = 0.2
guardrails = []
planned_evaluation = 2025-07-07
"""


@dataclass(frozen=True)
class Desk:
    """A simulated desk, and a cycle file that states no improvement of its own."""

    folder: Path

    @property
    def cycle(self) -> Path:
        return self.folder / "quarter.toml"

    def register(self, name: str) -> Path:
        """A register with the draft in it."""
        place = self.folder / f"{name}.sqlite"
        ran = in_process("register", "add", place, self.folder / "draft.toml", "--at", "2025-03-10")
        assert ran.code == 0, ran.err
        return place


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    write(simulate(Request(tickets=250, effect="improved")), folder)
    whole = (folder / "cycle.toml").read_text("utf-8").partition("[improvement]")[0]
    (folder / "quarter.toml").write_text(whole, encoding="utf-8")
    (folder / "draft.toml").write_text(DRAFT, encoding="utf-8")
    (folder / "stricter.toml").write_text(STRICTER, encoding="utf-8")
    return Desk(folder)


def told(place: Path) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Every record but for what binds it to the cycle's own key."""
    history = Register.open(place).show("IMP-0001").history
    return [
        (r.kind, r.at, r.actor, {k: v for k, v in r.content.items() if k != "reason"})
        for r in history
    ]


def test_commands_and_notebooks_leave_the_same_records(desk: Desk, tmp_path: Path) -> None:
    by_command, by_notebook = desk.register("command"), desk.register("notebook")
    for command in ("start", "evaluate"):
        words = ("register", command, by_command, "IMP-0001", "--cycle", desk.cycle)
        ran = in_process(*words)
        assert ran.code == 0, ran.err
        assert "IMP-0001" in ran.out
    cycle = desk.folder / "with-entry.toml"
    text = desk.cycle.read_text("utf-8").replace("register.sqlite", "notebook.sqlite")
    cycle.write_text('entry = "IMP-0001"\n' + text, encoding="utf-8")
    loop = Loop.open(cycle, tmp_path / "out")
    loop.improve()
    loop.evaluate()
    assert told(by_command) == told(by_notebook)
    kinds = [record[0] for record in told(by_command)]
    assert kinds == ["add", "assess", "baseline", "start", "evaluate"]
    again = in_process(
        "register", "evaluate", by_command, "IMP-0001", "--cycle", desk.cycle, "--json"
    )
    assert again.code == 0
    assert json.loads(again.out)
    assert told(by_command) == told(by_notebook)  # the same log gives no second record


def test_it_is_started_again_with_a_reason_and_judged_by_the_new_version(desk: Desk) -> None:
    place = desk.register("again")
    start = ("register", "start", place, "IMP-0001", "--cycle", desk.cycle)
    assert in_process(*start).code == 0
    stricter = ("--with", desk.folder / "stricter.toml", "--at", "2025-04-14")
    ran = in_process(*start, *stricter)
    assert (ran.code, ran.err[:5]) == (2, "RG113")
    assert in_process(*start, "--reason", "it costs").code == 2
    ran = in_process(*start, *stricter, "--reason", "A fifth is what pays for it")
    assert ran.code == 0, ran.err
    assert "started again: version 2" in ran.out
    ran = in_process("register", "evaluate", place, "IMP-0001", "--cycle", desk.cycle)
    assert ran.code == 0, ran.err
    entry = Register.open(place).show("IMP-0001")
    assert [version.improvement.minimum_effect for version in entry.versions] == [0.1, 0.2]
    (judged,) = entry.evaluations
    assert (judged.rule_version, judged.decision_rule.minimum_effect) == (2, 0.2)
    assert (judged.current[0], dict(judged.guardrails)) == ("2025-04-14", {})
