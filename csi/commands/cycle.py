"""What can be typed after `trueloop cycle`? One turn of the loop: run it, look at it, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csi.commands.shared import IN_FILE, OUT_DIR, echo_result


@click.group()
def cycle() -> None:
    """One turn of the improvement loop: measure, analyse, improve, evaluate."""


@cycle.command("run")
@click.argument("cycle_file", type=IN_FILE, metavar="CYCLE.toml")
@click.option("--out", type=OUT_DIR, help="Default: beside the file, by the window's end.")
@click.option("--report-date", default="", metavar="DATE", help="Instead of the file's.")
@click.option("--register", default="", metavar="PLACE", help="Instead of the file's: path or URL.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json.")
@click.pass_context
def cycle_run(ctx: click.Context, /, cycle_file: Path, **options: Any) -> None:
    """Run the four notebooks on the two windows of a log; exit 1 where it got worse.

    A run that failed goes on where it ended. One that is complete has nothing to do.

    \b
    Example:
      trueloop cycle run desk/cycle.toml --out cycle-out
    """
    from csi.console import cycle_lines, kept_lines, steps
    from csi.cycle_run import run

    with steps("cycle") as step:
        outcome = run(
            cycle_file,
            options["out"],
            step,
            report_date=options["report_date"],
            register_place=_absolute(options["register"]),
        )
    lines = [*kept_lines(outcome.kept), *cycle_lines(outcome.results, outcome.out)]
    echo_result(outcome.results, lines, as_json=options["as_json"])
    ctx.exit(outcome.exit_code)


def _absolute(register: str) -> str:
    """Return a path as seen from here; the notebooks run elsewhere. A URL stays as it is."""
    return register if not register or "://" in register else str(Path(register).resolve())
