"""How does a whole cycle run without a person? Four notebooks through papermill, then the report.

What the cycle file asks for is checked before the first kernel starts (`Loop.check`, at the price
of one audit more). Each notebook runs in a kernel of its own and hands on through the cycle folder
(`csi.stages`). The executed notebooks are kept. `results.json` and `report.html` depend on the
inputs and the cycle file alone; the executed notebooks carry the times of their run.

Exit code: 1 where the verdict is "worse" or "guardrail breached", else 0.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from csi.cycle import load_cycle
from csi.outputs import read_json, write_json, write_text
from csi.report.cycle_page import cycle_page
from csi.runner import NOTEBOOKS, checked, run_notebook
from csi.stages import Loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALARMING: Final = ("worse", "guardrail breached")
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class CycleOutcome:
    """What a cycle found and where it lies."""

    out: Path
    results: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """1 where things got worse."""
        return int(self.results["evaluate"]["verdict"] in ALARMING)


def run(path: Path, out: Path | None, step: Callable[[str], None] = lambda _: None) -> CycleOutcome:
    """Check the cycle, run the four notebooks in order, and write results and report."""
    cycle = load_cycle(path)
    folder = (out or cycle.default_out).resolve()
    step("checking the cycle")
    Loop.open(path.resolve(), folder).check()
    parameters = {"cycle": str(path.resolve()), "out": str(folder)}
    for name in NOTEBOOKS:

        def told(done: int, total: int, name: str = name) -> None:
            step(f"notebook {name}, cell {done} of {total}")

        step(f"notebook {name}")
        target = folder / "notebooks" / f"{name}.ipynb"
        run_notebook(name, checked(name, parameters), target, on_cell=told)
    step("report")
    loop = Loop.open(path.resolve(), folder)
    results = results_of(loop)
    write_json(folder / "results.json", results)
    write_text(folder / "report.html", cycle_page(results, folder))
    return CycleOutcome(folder, results)


def results_of(loop: Loop) -> dict[str, Any]:
    """Put together what results.json holds, from what the four steps left."""
    out, settings = loop.out, loop.cycle.settings
    return {
        "window": {name: window.model_dump(mode="json") for name, window in loop.windows.items()},
        "report_date": settings.report_date.isoformat(),
        "cycle_sha256": loop.cycle.sha256,
        "snapshot": read_json(out / "1_measure" / "snapshot.json"),
        "kpis": read_json(out / "1_measure" / "kpis.json"),
        "rules": read_json(out / "1_measure" / "rules.json"),
        "opportunities": read_json(out / "2_analyse" / "opportunities.json"),
        "register": read_json(out / "4_evaluate" / "register.json"),
        "others": read_json(out / "4_evaluate" / "others.json"),
        "evaluate": read_json(out / "4_evaluate" / "evaluation.json"),
    }
