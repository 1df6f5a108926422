"""What can be typed? The command line; every command hands over to one module of csi or rules.

Exit codes: 0 pass, 1 gate failed (findings at or above --fail-on), 2 usage or configuration,
3 run failed. Results go to standard output (as JSON with --json), progress and errors to standard
error. Modules are imported inside the commands, so that `--help` stays quick.
"""

from __future__ import annotations

import math
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from csi.commands.cycle import cycle
from csi.commands.register import register
from csi.commands.shared import (
    IN_FILE,
    OUT_DIR,
    SEVERITIES,
    echo_result,
    moment,
    on_lines,
    printable,
)
from process_mining.errors import CodedError, ManyCodedErrors, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csi.audit import AuditRequest
    from csi.simulate import Effect
    from process_mining.sources import ReadOptions

MIN_KEY_BYTES = 16


class _Finite(click.FloatRange):
    """A number; click lets "nan" and "inf" pass, which are no limits."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number", param, ctx)
        return found


SHARE = _Finite(0, 1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trueloop")
def cli() -> None:
    """From a raw ticket log to a proven improvement: mine it, check it, improve, and prove it."""


cli.add_command(cycle)
cli.add_command(register)


def main() -> None:
    """Run the command line; an error is one line on standard error and an exit code."""
    try:
        code = cli(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _leave(_wrong_usage(error))
    except click.Abort:
        _leave(RunError("CL003", "interrupted", fix="Run it again; what was written is whole"))
    except BrokenPipeError:
        sys.stdout = None  # whoever read our output has gone; there is nobody to tell
        sys.exit(3)
    except CodedError as error:
        _leave(error)
    except Exception as error:  # noqa: BLE001 - the last resort: 1 would mean "gate failed"
        _leave(_unforeseen(error))
    sys.exit(code if isinstance(code, int) else 0)


def _leave(error: CodedError) -> NoReturn:
    """Print an error, one line each, and leave with its exit code."""
    found = error.errors if isinstance(error, ManyCodedErrors) else (error,)
    with suppress(OSError):  # where even standard error is closed, the code still says it
        click.echo(on_lines([str(one) for one in found]), err=True)
    sys.exit(error.exit_code)


def _unforeseen(error: Exception) -> RunError:
    """What no check foresaw; with TRUELOOP_TRACEBACK set the traceback is printed too."""
    if os.environ.get("TRUELOOP_TRACEBACK"):
        traceback.print_exc()
    return RunError(
        "CL099",
        f"{type(error).__name__}: {error}",
        why="trueloop did not foresee this; no result of this run is to be trusted",
        fix="Report it with this line; TRUELOOP_TRACEBACK=1 prints where it happened",
    )


def _wrong_usage(error: click.ClickException) -> CodedError:
    context = getattr(error, "ctx", None)
    fix = "" if context is None else f"See {context.command_path} --help"
    return CodedError("CL002", error.format_message(), fix=fix)


def _duration(_: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Read a duration such as 90m, 4h or 2d, in microseconds."""
    from rules.durations import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error


def log_options(command: Callable[..., object], *, required: bool = True) -> Callable[..., object]:
    """Add the options that say how a log is read; without `required` no log need be named."""
    shown = "LOG..." if required else "[LOG]..."
    options = [
        click.argument("logs", nargs=-1, required=required, type=IN_FILE, metavar=shown),
        click.option("--source", help="How to read it, where the content does not tell."),
        click.option("--mapping", help="Mapping TOML, or the name of one that ships."),
        click.option("--timezone", help="IANA zone of times that carry none."),
        click.option("--allow-rejects", is_flag=True, help="Go on although rows were refused."),
        click.option("--object-type", multiple=True, help="OCEL: objects of this type are cases."),
        click.option("--clear-names", is_flag=True, help="Show people's names, not pseudonyms."),
        click.option("--clear-contacts", is_flag=True, help="Keep e-mails, phones, IP addresses."),
        click.option("--key-file", type=IN_FILE, help="Key that makes pseudonyms comparable."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def ready_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add the options that say how a log is made ready to be judged."""
    options = [
        click.option("--practice", help="Judge the tickets that name this practice or none."),
        click.option("--model", type=IN_FILE, help="Reference model (BPMN, PNML) instead of ours."),
        click.option("--process", help="The process of --model, where its file holds several."),
        click.option("--targets", type=IN_FILE, help="Service-level targets (TOML)."),
        click.option("--as-of", callback=moment, help="Judge open cases at this time."),
        click.option("--allow", multiple=True, help="Accept a defect of the log, e.g. QG140."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


RULES = click.option("--rules", multiple=True, type=IN_FILE, help="Folder with further rules.")
WAIVERS = click.option("--waivers", type=IN_FILE, help="Offences that are allowed (TOML).")


def judge_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add the options that say by what a log is judged."""
    further = [
        RULES,
        WAIVERS,
        click.option("--surveys", type=IN_FILE, help="Survey rows (CSV)."),
        click.option("--fail-on", type=SEVERITIES, help="Exit 1 from this severity on."),
    ]
    for option in reversed(further):
        command = option(command)
    return ready_options(command)


def _read_options(options: dict[str, Any]) -> ReadOptions:
    """Turn the options of a command into what `open_log` takes."""
    from process_mining.sources import ReadOptions, find_mapping

    key_file, mapping = options["key_file"], options["mapping"]
    return ReadOptions(
        source=options["source"],
        mapping=find_mapping(mapping) if mapping else None,
        timezone=options["timezone"],
        object_types=tuple(options["object_type"]),
        pseudonym_key=read_key(key_file) if key_file else None,
        clear_names=options["clear_names"],
        clear_contacts=options["clear_contacts"],
        allow_rejects=options["allow_rejects"],
    )


def _request(options: dict[str, Any]) -> AuditRequest:
    """Turn the options of a command into what `csi.audit` takes; some commands have not all."""
    from csi.audit import AuditRequest
    from rules.spec import Severity

    fail_on = options.get("fail_on")
    return AuditRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        practice=options["practice"],
        model=options["model"],
        process=options["process"],
        rules=tuple(options.get("rules", ())),
        targets=options["targets"],
        surveys=options.get("surveys"),
        as_of=options["as_of"],
        fail_on=Severity[fail_on.upper()] if fail_on else None,
        allow=tuple(options["allow"]),
        waivers=options.get("waivers"),
    )


def read_key(path: Path) -> bytes:
    """Read a pseudonym key: at least 16 bytes, so that names cannot be tried out."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        msg = f"key file {path.name}: {error.strerror}"
        raise CodedError("CL001", msg, fix="Name a file that can be read") from error
    if len(key) < MIN_KEY_BYTES:
        msg = f"key file {path.name} holds {len(key)} bytes; at least {MIN_KEY_BYTES} are needed"
        raise CodedError("CL001", msg, fix="Make one: openssl rand -hex 32 > key")
    return key


@cli.command("audit")
@log_options
@judge_options
@click.option("--out", type=OUT_DIR, default=Path("audit-out"), show_default=True)
@click.option("--report-date", callback=moment, help="Date on the report; default: --as-of.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
@click.pass_context
def audit_command(ctx: click.Context, /, **options: Any) -> None:
    """Judge a ticket log by the rulebook: how conformant, where not, who must act.

    \b
    Example:
      trueloop audit incidents.csv.gz --mapping uci_servicenow --out audit-out
    """
    from csi.audit import audit
    from csi.audit_outputs import FILES, PROVENANCE, summary_of, write_audit
    from csi.console import audit_lines, steps

    inputs = [*options["logs"], options["surveys"], options["targets"], options["waivers"]]
    _keep_inputs(inputs, options["out"], (*FILES, PROVENANCE))
    with steps("audit") as step:
        result = audit(_request(options), step)
        summary = summary_of(result)
        step("writing")
        write_audit(result, summary, options["out"], options["report_date"])
    echo_result(summary, audit_lines(summary, options["out"]), as_json=options["as_json"])
    ctx.exit(result.exit_code)


@cli.command("conform")
@log_options
@click.option("--model", type=IN_FILE, help="Model (BPMN or PNML); default: the practice's own.")
@click.option("--process", help="The process to take, where the model's file has several.")
@click.option("--practice", help="Read the log in the words of this practice.")
@click.option("--ends", multiple=True, help="An activity that ends a case, e.g. Closed.")
@click.option("--costs", type=IN_FILE, help="Costs of moves by activity (TOML).")
@click.option("--as-of", callback=moment, help="Show open cases as of this time.")
@click.option("--allow", multiple=True, help="Accept a defect of the log, e.g. QG140.")
@click.option("--fail-under", type=SHARE, help="Exit 1 under this log fitness.")
@click.option("--out", type=OUT_DIR, default=Path("conform-out"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
@click.pass_context
def conform_command(ctx: click.Context, /, **options: Any) -> None:
    """Compare a log with one model: how many cases follow it, and where the others leave it.

    \b
    Example:
      trueloop conform problems.xes.gz --model ours.bpmn --ends Closed --out conform-out
    """
    from csi.conformance import ConformRequest, conform
    from csi.conformance_outputs import FILES, PROVENANCE, summary_of, write_conformance
    from csi.console import conform_lines, steps

    out = options["out"]
    inputs = [*options["logs"], options["model"], options["costs"]]
    _keep_inputs(inputs, out, (*FILES, PROVENANCE))
    request = ConformRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        model=options["model"],
        process=options["process"],
        practice=options["practice"],
        ends=tuple(options["ends"]),
        costs=options["costs"],
        as_of=options["as_of"],
        allow=tuple(options["allow"]),
        fail_under=options["fail_under"],
    )
    with steps("conform") as step:
        found = conform(request, step)
        summary = summary_of(found)
        step("writing")
        write_conformance(found, summary, out)
    echo_result(summary, conform_lines(summary, out), as_json=options["as_json"])
    ctx.exit(summary["exit_code"])


@cli.command("mine")
@log_options
@click.option("--practice", help="Read the log in the words of this practice, e.g. incident.")
@click.option("--keep-share", type=SHARE, default=0.9, show_default=True)
@click.option("--top-activities", type=click.IntRange(1), default=25, show_default=True)
@click.option("--from", "begin", callback=moment, help="Only cases from this time on.")
@click.option("--to", "end", callback=moment, help="Only cases before this time.")
@click.option("--window", type=click.Choice(["inside", "begins"]), default="inside")
@click.option("--slower-than", callback=_duration, help="Mark slower lines, e.g. 4h or 2d.")
@click.option("--waiting", multiple=True, help="A step in which nobody works on the case.")
@click.option("--resolving", multiple=True, help="A step that resolves the case.")
@click.option("--ends", multiple=True, help="An activity that ends a case, e.g. Closed.")
@click.option("--discover", type=click.Choice(["inductive", "heuristics"]), default="inductive")
@click.option("--noise", type=SHARE, default=0.2, show_default=True)
@click.option("--out", type=OUT_DIR, default=Path("mine-out"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
def mine_command(**options: Any) -> None:
    """Show what really happens: process map, ways, times, rework, teams, a discovered model.

    \b
    Example:
      trueloop mine incidents.csv.gz --mapping uci_servicenow --practice incident --out mine-out
    """
    from csi.console import mine_lines, steps
    from csi.mining import MineRequest, mine, window_of
    from csi.mining_outputs import FILES, summary_of, write_mining

    _keep_inputs(options["logs"], options["out"], FILES)
    request = MineRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        practice=options["practice"],
        keep_share=options["keep_share"],
        top_activities=options["top_activities"],
        window=window_of(options["begin"], options["end"], options["window"]),
        slower_than_us=options["slower_than"],
        discover=options["discover"],
        noise=options["noise"],
        waiting=options["waiting"],
        resolving=options["resolving"],
        ends=options["ends"],
    )
    with steps("mine") as step:
        found = mine(request, step)
        step("writing")
        summary = summary_of(found)
        write_mining(found, summary, options["out"])
    echo_result(summary, mine_lines(summary, options["out"]), as_json=options["as_json"])


@cli.command("compare")
@log_options
@click.option("--practice", help="Read the logs in the words of this practice, e.g. incident.")
@click.option("--ends", multiple=True, help="An activity that ends a case, e.g. Closed.")
@click.option("--split-at", callback=moment, help="One log: cases begun before this day are A.")
@click.option("--column", help="One log: groups by a case column, first_team, last_team, variant.")
@click.option("--a", help="Value of the column that makes a case one of A.")
@click.option("--b", help="The same for B; without it B is every other value.")
@click.option("--minimum-difference", type=float, default=0.05, show_default=True)
@click.option("--minimum-change", type=float, default=0.1, show_default=True)
@click.option("--permutations", type=int, default=1999, show_default=True)
@click.option("--out", type=OUT_DIR, default=Path("compare-out"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
def compare_command(**options: Any) -> None:
    """Compare two logs, periods, teams or groups of tickets: do they really differ, and where?

    Give two logs (A B), or one with --split-at or --column. --minimum-difference is the least
    difference of shares of cases that matters, --minimum-change that of a median time.

    \b
    Examples:
      trueloop compare spring.csv autumn.csv --mapping ours.toml --out compare-out
      trueloop compare incidents.csv --split-at 2016-04-01 --practice incident
    """
    from csi.comparison import CompareRequest, Least, compare
    from csi.comparison_outputs import FILES, PROVENANCE, summary_of, write_comparison
    from csi.console import compare_lines, steps

    out = options["out"]
    _keep_inputs(options["logs"], out, (*FILES, PROVENANCE))
    request = CompareRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        practice=options["practice"],
        ends=tuple(options["ends"]),
        split_at=options["split_at"],
        column=options["column"],
        a=options["a"],
        b=options["b"],
        least=Least(options["minimum_difference"], options["minimum_change"]),
        permutations=options["permutations"],
    )
    with steps("compare") as step:
        found = compare(request, step)
        step("writing")
        summary = summary_of(found)
        write_comparison(found, summary, out)
    echo_result(summary, compare_lines(summary, out), as_json=options["as_json"])


@cli.command("sla")
@log_options
@click.option("--targets", type=IN_FILE, help="Service-level targets (TOML); default: examples.")
@click.option("--what-if", type=IN_FILE, help="Other targets, to see what would change (TOML).")
@click.option("--tool-rows", type=IN_FILE, help="What the ticket tool's own SLA rows are (TOML).")
@click.option("--practice", help="Judge the tickets that name this practice or none.")
@click.option("--as-of", callback=moment, help="Judge open tickets at this time.")
@click.option("--allow", multiple=True, help="Accept a defect of the log, e.g. QG140.")
@click.option("--fail-on", type=click.Choice(["missed"]), help="Exit 1 where an objective is.")
@click.option("--out", type=OUT_DIR, default=Path("sla-out"), show_default=True)
@click.option("--report-date", callback=moment, help="Date on the reports; default: --as-of.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
@click.pass_context
def sla_command(ctx: click.Context, /, **options: Any) -> None:
    """Say how often each promise of time was kept, what broke it, and what is at risk now.

    \b
    Example:
      trueloop sla desk/events.ndjson desk/tickets.csv --targets desk/targets.toml --out sla-out
    """
    from csi.console import steps
    from csi.service_levels.lines import level_lines
    from csi.service_levels.outputs import FILES, PROVENANCE, write_levels
    from csi.service_levels.run import LevelRequest, measure_service_levels
    from csi.service_levels.summary import summary_of

    out = options["out"]
    inputs = [*options["logs"], *(options[name] for name in ("targets", "what_if", "tool_rows"))]
    _keep_inputs(inputs, out, (*FILES, PROVENANCE))
    request = LevelRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        practice=options["practice"],
        targets=options["targets"],
        what_if=options["what_if"],
        tool_rows=options["tool_rows"],
        as_of=options["as_of"],
        allow=tuple(options["allow"]),
        fail_on_missed=options["fail_on"] is not None,
    )
    with steps("sla") as step:
        found = measure_service_levels(request, step)
        summary = summary_of(found)
        step("writing")
        write_levels(found, summary, out, options["report_date"])
    echo_result(summary, level_lines(summary, out), as_json=options["as_json"])
    ctx.exit(found.exit_code)


@cli.command("feedback")
@partial(log_options, required=False)
@click.option("--surveys", multiple=True, type=IN_FILE, help="Survey file (CSV); may be repeated.")
@click.option("--channel", help="Read survey files as this channel: web, email, telephone, ...")
@click.option("--survey-mapping", type=IN_FILE, help="What survey files and cases hold (TOML).")
@click.option("--practice", help="Read the log in the words of this practice, e.g. incident.")
@click.option("--answer-within", callback=_duration, help="Later answers do not count, e.g. 14d.")
@click.option("--targets", type=IN_FILE, help="Service-level targets (TOML).")
@click.option("--register", type=IN_FILE, help="Improvement register: what answers led to.")
@click.option("--as-of", callback=moment, help="Judge what became of low scores at this time.")
@click.option("--show-comments", is_flag=True, help="Show comments, their addresses masked.")
@click.option("--out", type=OUT_DIR, default=Path("feedback-out"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print feedback.json.")
def feedback_command(**options: Any) -> None:
    """Say what customers think, how far it speaks for all of them, and what they write about.

    \b
    Example:
      trueloop feedback desk/events.ndjson desk/tickets.csv --surveys desk/surveys.csv
    """
    from csi.console import steps
    from csi.feedback.outputs import FILES, feedback_lines, summary_of, write_feedback
    from csi.feedback.study import FeedbackRequest, study

    out = options["out"]
    named = ("survey_mapping", "targets", "register")
    inputs = [*options["logs"], *options["surveys"], *(options[name] for name in named)]
    _keep_inputs(inputs, out, FILES)
    request = FeedbackRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        practice=options["practice"],
        surveys=tuple(options["surveys"]),
        channel=options["channel"],
        survey_mapping=options["survey_mapping"],
        answer_within_us=options["answer_within"],
        show_comments=options["show_comments"],
        as_of=options["as_of"],
        targets=options["targets"],
        register=options["register"],
    )
    with steps("feedback") as step:
        found = study(request, step)
        summary = summary_of(found)
        step("writing")
        write_feedback(found, summary, out)
    echo_result(summary, feedback_lines(summary, out), as_json=options["as_json"])


@cli.command("inspect")
@log_options
@click.option("--practice", help="Practice of all tickets, e.g. incident.")
@click.option("--rules", multiple=True, type=IN_FILE, help="Folder with further rules.")
@click.option("--allow", multiple=True, help="Accept a defect of the log, e.g. QG140.")
@click.option("--out", type=OUT_DIR, help="Write inspect.html and quality.json here.")
@click.option("--json", "as_json", is_flag=True, help="Print quality.json.")
@click.pass_context
def inspect_command(ctx: click.Context, /, **options: Any) -> None:
    """Show what is wrong with a log, and which verdicts hang on it; exit 1 where rows are refused.

    \b
    Example:
      trueloop inspect incidents.csv.gz --mapping uci_servicenow --out inspect-out
    """
    from csi.console import inspect_lines, steps
    from csi.inspection import InspectRequest, inspect_log, quality_of, write_inspection

    request = InspectRequest(
        logs=tuple(options["logs"]),
        read=_read_options(options),
        rules=tuple(options["rules"]),
        practice=options["practice"],
        allow=tuple(options["allow"]),
    )
    with steps("inspect") as step:
        found = inspect_log(request, step)
        result = quality_of(found)
        if options["out"] is not None:
            step("writing")
            write_inspection(found, result, options["out"])
    echo_result(result, inspect_lines(result, options["out"]), as_json=options["as_json"])
    ctx.exit(found.exit_code)


@cli.command("map")
@click.argument("log", type=IN_FILE)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it here.")
def map_command(log: Path, out: Path | None) -> None:
    """Propose a mapping for a CSV or Parquet table; what is unsure is marked UNSURE in it.

    \b
    Example:
      trueloop map incidents.csv --out incidents.toml
    """
    from csi.outputs import write_text
    from process_mining.sources import propose_mapping

    found = propose_mapping(log)
    if out is None:
        click.echo(found.text, nl=False)
        return
    if out.exists():
        msg = f"{out} exists already"
        raise CodedError("CL019", msg, why="It may hold decisions", fix="Give another --out")
    write_text(out, found.text)
    lines = [f"{out}: {len(found.unsure)} things are to be decided."]
    click.echo(on_lines([*lines, *(f"  {mark}" for mark in found.unsure)]))


def _keep_inputs(inputs: list[Path | None], out: Path, files: Sequence[str]) -> None:
    """Refuse to write over what is read."""
    targets = {(out / name).resolve() for name in files}
    for path in inputs:
        if path is not None and path.resolve() in targets:
            msg = f"{path} is an input, and {files[0]} and the like would be written over it"
            raise CodedError("CL017", msg, fix="Give another --out")


@cli.group()
def rules() -> None:
    """The rulebook: list it, explain rules and verdicts, write rules, compare rulebooks."""


RULE_FOLDERS = click.option("--rules", "folders", multiple=True, type=IN_FILE, help="More rules.")


@rules.command("list")
@RULE_FOLDERS
@click.option("--json", "as_json", is_flag=True)
def rules_list(folders: tuple[Path, ...], *, as_json: bool) -> None:
    """List every rule: code, version, severity, practice, kind of constraint, control, title.

    \b
    Example:
      trueloop rules list
    """
    from csi.console import table_lines
    from rules.catalogue import load_catalogue

    rows = load_catalogue(folders).rows()
    shown = ("code", "version", "severity", "practice", "template", "control", "title")
    cells = [[row[name] or "" for name in shown] for row in rows]
    echo_result(rows, table_lines(shown, cells), as_json=as_json)


@rules.command("explain")
@click.argument("code")
@partial(log_options, required=False)
@click.option("--case", "case_id", help="Say why the rule fired on this case of the log, or not.")
@RULES
@WAIVERS
@ready_options
@click.option("--json", "as_json", is_flag=True)
def rules_explain(code: str, case_id: str | None, *, as_json: bool, **options: Any) -> None:
    """Say in words what a rule demands, why, and what to do; with a log, why it fired on a case.

    \b
    Examples:
      trueloop rules explain INC002
      trueloop rules explain INC002 incidents.csv --mapping ours.toml --case INC0000057
    """
    from csi.console import explain_lines, steps
    from csi.rulebook.explanation import explain

    if bool(options["logs"]) != (case_id is not None):
        msg = "a log and --case go together: name both, or none of them"
        raise CodedError("CL032", msg, fix="See trueloop rules explain --help")
    if case_id is None:
        _explain_rule(code, options["rules"], as_json=as_json)
        return
    with steps("explain") as step:
        found = explain(code, case_id, _request(options), step)
    echo_result(found, explain_lines(found), as_json=as_json)


def _explain_rule(code: str, folders: tuple[Path, ...], *, as_json: bool) -> None:
    """Explain all versions of a rule without a log, the one that comes into force last first."""
    from csi.outputs import to_json
    from csi.rulebook.pages import as_data
    from rules.catalogue import explain, load_catalogue

    catalogue = load_catalogue(folders)
    versions = catalogue.versions(catalogue.rule(code).code)[::-1]
    if as_json:
        click.echo(to_json([as_data(rule) for rule in versions]), nl=False)
    else:
        click.echo(printable("\n".join(explain(rule) for rule in versions)))


@rules.command("test")
@click.argument("folders", nargs=-1, type=IN_FILE)
@click.pass_context
def rules_test(ctx: click.Context, folders: tuple[Path, ...]) -> None:
    """Run every rule's examples through both engines; exit 1 if one gives another verdict.

    \b
    Example:
      trueloop rules test my-rules/
    """
    from rules.catalogue import load_catalogue, run_examples

    results = run_examples(load_catalogue(folders))
    wrong = [r for r in results if not r.ok]
    for r in wrong:
        click.echo(
            f"{r.rule} version {r.version} example {r.index + 1}: expected {r.expected.word}, "
            f"durable-rules {r.durable.word}, evaluator {r.evaluator.word}"
        )
    n_rules = len({r.rule for r in results})
    click.echo(f"{len(results) - len(wrong)} of {len(results)} examples of {n_rules} rules hold")
    ctx.exit(1 if wrong else 0)


@rules.command("diff")
@click.argument("old")
@click.argument("new")
@log_options
@ready_options
@click.option("--fail-on", type=SEVERITIES, help="Exit 1 where a case newly violates such a rule.")
@click.option("--out", type=OUT_DIR, help="Write diff.parquet and diff.csv here.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def rules_diff(ctx: click.Context, /, old: str, new: str, **options: Any) -> None:
    """List the verdicts that change between two rulebooks: folders of rules, or the word shipped.

    \b
    Example:
      trueloop rules diff shipped my-rulebook incidents.csv --mapping ours.toml --fail-on high
    """
    from csi.console import diff_lines, steps
    from csi.rulebook.diff import FILES, difference, summary_of, write_difference

    out = options["out"]
    if out is not None:
        _keep_inputs([*options["logs"], options["targets"]], out, FILES)
    with steps("diff") as step:
        found = difference(old, new, _request(options), step)
        if out is not None:
            step("writing")
            write_difference(found, out)
    summary = summary_of(found)
    echo_result(summary, diff_lines(summary, out), as_json=options["as_json"])
    ctx.exit(found.exit_code)


@rules.command("new")
@click.argument("code")
@click.option("--name", help="States the offence, e.g. closed-unreviewed; may be given later.")
@click.option("--template", default="precedes", show_default=True, help="Kind of constraint.")
@click.option("--practice", default="incident", show_default=True, help="Whose cases it judges.")
@click.option("--out", type=OUT_DIR, default=Path("my-rules"), show_default=True)
@RULE_FOLDERS
def rules_new(code: str, *, out: Path, folders: tuple[Path, ...], **options: str) -> None:
    """Begin a rule of one's own: a file that loads, with true examples, to go on with.

    \b
    Example:
      trueloop rules new ABC001 --template responds_within --practice problem --out my-rules
    """
    from csi.console import steps
    from csi.rulebook.new_rule import new_rule

    with steps("examples"):
        path = new_rule(
            code,
            name=options["name"],
            template=options["template"],
            practice=options["practice"],
            out=out,
            folders=folders,
        )
    click.echo(on_lines([f"{path}: go on with it, then run: trueloop rules test {out}"]))


@rules.command("schema")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it here.")
def rules_schema(out: Path | None) -> None:
    """Print the JSON Schema of a rule file, by which editors check and complete one.

    \b
    Example:
      trueloop rules schema --out my-rules/rule.schema.json
    """
    from csi.outputs import to_json, write_json
    from rules.rule_schema import rule_schema

    if out is None:
        click.echo(to_json(rule_schema()), nl=False)
        return
    write_json(out, rule_schema())
    click.echo(f"the schema of rule files in {out}")


@rules.command("docs")
@RULE_FOLDERS
@click.option("--out", type=OUT_DIR, default=Path("docs/rules"), show_default=True)
def rules_docs(folders: tuple[Path, ...], out: Path) -> None:
    """Write the catalogue as Markdown pages, one a rule.

    \b
    Example:
      trueloop rules docs --out docs/rules
    """
    from csi.rulebook.pages import write_pages
    from rules.catalogue import load_catalogue

    click.echo(f"{write_pages(load_catalogue(folders), out)} pages in {out}")


@rules.command("models")
@RULE_FOLDERS
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("docs/reference-models.md"),
    show_default=True,
)
def rules_models(folders: tuple[Path, ...], out: Path) -> None:
    """Write one page on the reference models: their norms, activities and vocabularies.

    \b
    Example:
      trueloop rules models --out docs/reference-models.md
    """
    from csi.outputs import write_text
    from csi.rulebook.pages import models_page
    from rules.practice import load_practices

    found = load_practices(folders)
    write_text(out, models_page(found))
    click.echo(f"{len(found)} practices in {out}")


@cli.command()
@click.option("--out", type=OUT_DIR, required=True, help="Folder for the six files.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True)
@click.option("--tickets", type=click.IntRange(1), default=1500, show_default=True)
@click.option("--months", type=click.IntRange(1), default=6, show_default=True)
@click.option("--effect", type=click.Choice(["none", "improved", "worse"]), default="none")
def simulate(out: Path, seed: int, tickets: int, months: int, effect: Effect) -> None:
    """Simulate a service desk with planted deviations and their truth.

    \b
    Example:
      trueloop simulate --out desk --tickets 1500 --effect improved
      trueloop audit desk/events.ndjson desk/tickets.csv --targets desk/targets.toml
    """
    from csi.console import steps
    from csi.simulate import Request, write
    from csi.simulate import simulate as tell

    with steps("simulate"):
        paths = write(tell(Request(seed=seed, tickets=tickets, months=months, effect=effect)), out)
    click.echo(f"{', '.join(path.name for path in paths)} in {out}")


@cli.command()
@click.option("--out", type=OUT_DIR, default=Path("demo-out"), show_default=True)
@click.option("--tickets", type=click.IntRange(1), default=1500, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True)
def demo(out: Path, tickets: int, seed: int) -> None:
    """Simulate a desk, audit it, and run one full cycle on it: OUT/report.html.

    \b
    Example:
      trueloop demo --out demo-out
    """
    from csi.console import audit_lines, cycle_lines, steps
    from csi.demo import run_demo

    with steps("demo") as step:
        found = run_demo(out, tickets=tickets, seed=seed, step=step)
    lines = ["The desk, audited", *audit_lines(found.summary, out / "audit"), ""]
    lines += ["One turn of the loop", *cycle_lines(found.results, out / "cycle"), ""]
    click.echo(on_lines([*lines, f"Start here: {out / 'report.html'}"]))


@cli.command()
@click.argument("folder", type=OUT_DIR, metavar="DIR")
def init(folder: Path) -> None:
    """Copy the four notebooks into a folder of your own.

    \b
    Example:
      trueloop init my-desk
    """
    from csi.demo import copy_notebooks

    for path in copy_notebooks(folder):
        click.echo(path)


@cli.command()
@click.argument("folder", type=OUT_DIR, default=Path("trueloop-lab"), metavar="[DIR]")
def lab(folder: Path) -> None:
    """Open the four notebooks in JupyterLab, copied into a folder of your own.

    \b
    Example:
      trueloop lab my-desk
    """
    import subprocess

    from csi.demo import copy_notebooks

    copy_notebooks(folder)
    command = [sys.executable, "-m", "jupyterlab", str(folder)]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own interpreter


@cli.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Check that this machine can run trueloop, and say what to mend.

    \b
    Example:
      trueloop doctor
    """
    from dataclasses import asdict

    from csi.console import table_lines
    from csi.doctor import examine

    checks = examine()
    cells = [("ok" if c.ok else "FAILED", c.name, c.seen, c.fix) for c in checks]
    lines = table_lines(("", "check", "seen", "what to do"), cells)
    echo_result([asdict(c) for c in checks], lines, as_json=as_json)
    ctx.exit(0 if all(c.ok for c in checks) else 2)
