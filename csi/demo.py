"""What does a newcomer see first? A simulated desk, audited, and one turn of the loop on it.

OUT/  report.html   the way into the rest
      desk/         the six files of the simulation
      audit/        what `trueloop audit` leaves
      sla/          what `trueloop sla` leaves
      feedback/     what `trueloop feedback` leaves
      cycle/        what `trueloop cycle run` leaves
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from csi.audit import AuditRequest, audit
from csi.audit_outputs import summary_of, write_audit
from csi.cycle_run import run
from csi.feedback import outputs as feedback_outputs
from csi.feedback.study import FeedbackRequest, study
from csi.outputs import write_bytes, write_text
from csi.report.demo_page import demo_page
from csi.service_levels import outputs as level_outputs
from csi.service_levels.run import LevelRequest, measure_service_levels
from csi.service_levels.summary import summary_of as levels_of
from csi.simulate import Request, simulate, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """What the demo found: the audit's summary and the cycle's results."""

    summary: dict[str, Any]
    results: dict[str, Any]


def run_demo(
    out: Path, *, tickets: int, seed: int, step: Callable[[str], None] = lambda _: None
) -> Demo:
    """Simulate, audit, run one cycle, and write the way in; an earlier demo is written over."""
    desk = out / "desk"
    step("simulating a desk")
    write(simulate(Request(seed=seed, tickets=tickets, effect="improved")), desk)
    for name in ("register.sqlite", "register.sqlite.seal"):
        (desk / name).unlink(missing_ok=True)
    logs, targets = (desk / "events.ndjson", desk / "tickets.csv"), desk / "targets.toml"
    surveys = desk / "surveys.csv"
    step("auditing it")
    found = audit(AuditRequest(logs=logs, targets=targets, surveys=surveys))
    summary = summary_of(found)
    write_audit(found, summary, out / "audit", None)
    step("its service levels")
    levels = measure_service_levels(LevelRequest(logs=logs, targets=targets))
    promised = levels_of(levels)
    level_outputs.write_levels(levels, promised, out / "sla", None)
    step("its customers")
    answers = study(FeedbackRequest(logs=logs, targets=targets, surveys=(surveys,)))
    said = feedback_outputs.summary_of(answers)
    feedback_outputs.write_feedback(answers, said, out / "feedback")
    outcome = run(desk / "cycle.toml", out / "cycle", step)
    write_text(out / "report.html", demo_page(summary, promised, said, outcome.results))
    return Demo(summary, outcome.results)


def copy_notebooks(folder: Path) -> list[Path]:
    """Copy the four notebooks into a folder; one that is there already is left as it is."""
    copied = []
    for source in sorted(files("notebooks").iterdir(), key=lambda path: path.name):
        target = folder / source.name
        if source.name.endswith(".ipynb") and not target.exists():
            write_bytes(target, source.read_bytes())
            copied.append(target)
    return copied
