"""How do tests run a cycle without the price of four kernels? The notebooks' cells, in one process.

`here` executes the code cells of a notebook of the package in this process; all else is the run
that users get. As a script: `CYCLE OUT` runs one cycle; `serve` loads everything once and then, for
each line `CYCLE<tab>OUT`, forks a child that runs the cycle, and prints its pid and, at its end,
its exit code (negative: killed by that signal).
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csi.cycle_run import run
from csi.outputs import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from csi.runner import NotebookParameters


def here(
    notebook: str,
    parameters: NotebookParameters,
    out: Path,
    *,
    on_cell: Callable[[int, int], None] | None,
) -> None:
    """Execute a notebook's cells in this process, and leave it as papermill would."""
    book = json.loads((files("notebooks") / f"{notebook}.ipynb").read_text("utf-8"))
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, cell in enumerate(cells, 1):
            script = Path(folder) / f"cell_{i}.py"
            script.write_text("".join(cell["source"]), encoding="utf-8")
            names = runpy.run_path(str(script), init_globals=names)
            if "parameters" in cell["metadata"].get("tags", []):
                names.update(parameters.model_dump())
            if on_cell is not None:
                on_cell(i, len(cells))
    told = {"parameters": parameters.model_dump(), "end_time": "then", "exception": None}
    book["metadata"]["papermill"] = told
    with whole(out) as temporary:
        temporary.write_text(json.dumps(book), encoding="utf-8")


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def serve() -> None:
    """Fork a run for each line of standard input; nothing of ours is loaded twice."""
    for line in sys.stdin:
        cycle, out = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            try:
                run(Path(cycle), Path(out), execute=here)
            except BaseException as error:  # noqa: BLE001 - a forked child must not return
                sys.stderr.write(f"{error}\n")
                os._exit(3)
            os._exit(0)
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        run(Path(sys.argv[1]), Path(sys.argv[2]), execute=here)
