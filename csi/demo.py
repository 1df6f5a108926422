"""What does a newcomer see first? A simulated desk, audited, and one turn of the loop on it.

OUT/  report.html   the way into the rest
      desk/         the six files of the simulation
      audit/        what `trueloop audit` leaves
      cycle/        what `trueloop cycle run` leaves
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from csi.audit import AuditRequest, audit
from csi.audit_outputs import summary_of, write_audit
from csi.cycle_run import run
from csi.outputs import write_bytes, write_text
from csi.report.demo_page import demo_page
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
    (desk / "register.sqlite").unlink(missing_ok=True)
    step("auditing it")
    found = audit(
        AuditRequest(
            logs=(desk / "events.ndjson", desk / "tickets.csv"),
            targets=desk / "targets.toml",
            surveys=desk / "surveys.csv",
        )
    )
    summary = summary_of(found)
    write_audit(found, summary, out / "audit", None)
    outcome = run(desk / "cycle.toml", out / "cycle", step)
    write_text(out / "report.html", demo_page(summary, outcome.results))
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
