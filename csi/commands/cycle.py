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


@cycle.command("status")
@click.argument("place", type=IN_FILE, default=Path(), metavar="[CYCLE.toml | OUT]")
@click.option("--out", type=OUT_DIR, help="The cycle's folder, where it is not the default one.")
@click.option("--json", "as_json", is_flag=True)
def cycle_status(place: Path, out: Path | None, *, as_json: bool) -> None:
    """Say how far a cycle is: notebooks done, what is next or failed and why, who runs it now.

    \b
    Example:
      trueloop cycle status desk/cycle.toml
    """
    from csi.cycle_status import status_of
    from csi.cycle_words import status_lines

    found = status_of(place, out)
    echo_result(found.to_dict(), status_lines(found), as_json=as_json)


@cycle.command("compare")
@click.argument("a", type=IN_FILE)
@click.argument("b", type=IN_FILE)
@click.option("--json", "as_json", is_flag=True)
def cycle_compare(a: Path, b: Path, *, as_json: bool) -> None:
    """Put the current windows of two cycles side by side: every KPI, every rule, what changed.

    A and B are folders that `cycle run` has left, or their results.json.

    \b
    Example:
      trueloop cycle compare cycle-2025-07-07 cycle-2025-10-06
    """
    from csi.cycle_compare import compare
    from csi.cycle_history import turn_at
    from csi.cycle_words import compared_lines

    found = compare(turn_at(a), turn_at(b))
    echo_result(found.to_dict(), compared_lines(found), as_json=as_json)


def _absolute(register: str) -> str:
    """Return a path as seen from here; the notebooks run elsewhere. A URL stays as it is."""
    return register if not register or "://" in register else str(Path(register).resolve())
