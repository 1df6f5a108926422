"""What can be typed after `trueloop cycle`? One turn of the improvement loop: run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from csi.commands.shared import IN_FILE, OUT_DIR, echo_result

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def cycle() -> None:
    """One turn of the improvement loop: measure, analyse, improve, evaluate."""


@cycle.command("run")
@click.argument("cycle_file", type=IN_FILE, metavar="CYCLE.toml")
@click.option("--out", type=OUT_DIR, help="Default: beside the file, by the window's end.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json.")
@click.pass_context
def cycle_run(ctx: click.Context, cycle_file: Path, out: Path | None, *, as_json: bool) -> None:
    """Run the four notebooks on the two windows of a log; exit 1 where it got worse.

    \b
    Example:
      trueloop cycle run desk/cycle.toml --out cycle-out
    """
    from csi.console import cycle_lines, steps
    from csi.cycle_run import run

    with steps("cycle") as step:
        outcome = run(cycle_file, out, step)
    echo_result(outcome.results, cycle_lines(outcome.results, outcome.out), as_json=as_json)
    ctx.exit(outcome.exit_code)
