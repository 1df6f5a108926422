"""What can be typed after `trueloop register`? The improvement register: written, read, judged."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csi.commands.shared import IN_FILE, OUT_DIR, SEVERITIES, echo_result, moment, on_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from csi.register import Entry, Improvement, Register
    from csi.stages import Loop

MANAGER = "Improvement manager"


@click.group()
def register() -> None:
    """The improvement register: an append-only file, its records chained by their hashes.

    REGISTER is a path, or the URL of a PostgreSQL database: postgresql://user@host/database, the
    password in PGPASSWORD or PGPASSFILE.
    """


REGISTER = click.argument("place", metavar="REGISTER")
ENTRY = click.argument("entry", metavar="ID")
JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
CYCLE = click.option(
    "--cycle", required=True, type=IN_FILE, metavar="CYCLE.toml", help="On which log."
)


def _stamped(command: Callable[..., object]) -> Callable[..., object]:
    """Add when and by which role."""
    at = click.option("--at", callback=moment, metavar="DATE", help="When; default: today.")
    actor = click.option("--actor", metavar="ROLE", help=f"Who acts; default: {MANAGER}.")
    return at(actor(command))


@register.command("add")
@REGISTER
@click.argument("file", type=IN_FILE)
@click.option("--opportunity", metavar="FINGERPRINT", help="Which one of an opportunities.json.")
@click.option("--with", "said", type=IN_FILE, metavar="FILE.toml", help="What people say about it.")
@_stamped
@JSON
def register_add(place: str, file: Path, **options: Any) -> None:
    """Add an improvement from a TOML file, or one that an audit proposes.

    FILE has a table [improvement] (docs/howto-register.md), or is the opportunities.json of an
    audit; then --opportunity says which, and the TOML file of --with what only people can say.

    \b
    Example:
      trueloop register add register.sqlite ask-at-once.toml
    """
    draft = _draft(file, options["opportunity"], options["said"])
    opened = _open(place, create=True)
    entry = opened.add(draft, **_stamp(options))
    _tell(opened, entry, f"added: {draft.title}", as_json=options["as_json"])


def _draft(file: Path, opportunity: str | None, said: Path | None) -> Improvement:
    from csi.register.draft_file import read_draft, read_proposal

    if opportunity is None and said is None:
        return read_draft(file)
    if opportunity is None or said is None:
        msg = "--opportunity and --with belong together"
        raise click.UsageError(msg)
    return read_proposal(file, opportunity, said)


@register.command("list")
@REGISTER
@JSON
def register_list(place: str, *, as_json: bool) -> None:
    """List every improvement: state, metric, verdict, owner, and when its next step is due.

    \b
    Example:
      trueloop register list desk/register.sqlite
    """
    from csi.register.words import list_lines

    opened = _intact(place)
    frame = opened.to_pandas()
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    echo_result(rows, list_lines(opened.list()), as_json=as_json)


@register.command("show")
@REGISTER
@ENTRY
@JSON
def register_show(place: str, entry: str, *, as_json: bool) -> None:
    """Show one improvement: what decides, what was found, and its history.

    \b
    Example:
      trueloop register show desk/register.sqlite IMP-0001
    """
    from csi.register.words import entry_json, entry_lines

    found = _intact(place).show(entry)
    echo_result(entry_json(found), entry_lines(found), as_json=as_json)


@register.command("assess")
@REGISTER
@ENTRY
@click.option("--decision", required=True, type=click.Choice(["pursue", "postpone"]))
@click.option("--reason", required=True, help="Why.")
@_stamped
@JSON
def register_assess(place: str, entry: str, **options: Any) -> None:
    """Record whether it is worth it: now, or later. What is not is closed with a reason.

    \b
    Example:
      trueloop register assess register.sqlite IMP-0001 --decision pursue --reason "it pays"
    """
    opened, decision = _intact(place), options["decision"]
    opened.assess(entry, decision, options["reason"], **_stamp(options))
    _tell(opened, entry, f"assessed: {decision}", as_json=options["as_json"])


@register.command("start")
@REGISTER
@ENTRY
@CYCLE
@click.option("--with", "said", type=IN_FILE, metavar="FILE.toml", help="Again: what changes.")
@click.option("--reason", default="", help="Again: why it changes.")
@_stamped
@JSON
def register_start(place: str, entry: str, **options: Any) -> None:
    """Measure its baseline, plan its evaluation, and freeze what decides.

    What was started already is started again, as a new version: --with names a TOML file whose
    [improvement] says what decides from now on, --reason why.

    \b
    Example:
      trueloop register start desk/register.sqlite IMP-0001 --cycle desk/cycle.toml
    """
    opened = _intact(place)
    if options["said"] is not None or options["reason"]:
        _start_again(opened, opened.show(entry), {**options, "place": place})
        return
    found = _loop(place, options["cycle"]).start_entry(entry)
    echo_result(found.to_dict(), found.story.splitlines(), as_json=options["as_json"])


def _start_again(opened: Register, entry: Entry, options: dict[str, Any]) -> None:
    from csi.improving import planned
    from csi.register.draft_file import changed_by

    if options["said"] is None:
        msg = "--reason goes with --with FILE.toml: what changes"
        raise click.UsageError(msg)
    changed = changed_by(entry.improvement, options["said"])
    loop = _loop(options["place"], options["cycle"])
    plan = planned(changed, loop.tickets.window("baseline"))
    stamp, reason = _stamp(options), options["reason"]
    opened.start(entry.id, changed=changed, reason=reason, plan=plan.to_dict(), **stamp)
    told = f"started again: version {entry.rule_version + 1}"
    _tell(opened, entry.id, told, as_json=options["as_json"])


@register.command("implement")
@REGISTER
@ENTRY
@click.option("--what", required=True, help="What was done.")
@_stamped
@JSON
def register_implement(place: str, entry: str, **options: Any) -> None:
    """Record that it was carried out; --actor is who did it, by default its owner.

    \b
    Example:
      trueloop register implement register.sqlite IMP-0001 --what "The form asks for the error text"
    """
    opened = _intact(place)
    options["actor"] = options["actor"] or opened.show(entry).improvement.owner
    opened.implement(entry, options["what"], **_stamp(options))
    _tell(opened, entry, "carried out", as_json=options["as_json"])


@register.command("evaluate")
@REGISTER
@ENTRY
@CYCLE
@JSON
def register_evaluate(place: str, entry: str, *, cycle: Path, as_json: bool) -> None:
    """Judge it by what was frozen at its start, on a cycle's log, and record the verdict.

    \b
    Example:
      trueloop register evaluate desk/register.sqlite IMP-0001 --cycle desk/cycle.toml
    """
    _intact(place)
    found = _loop(place, cycle).evaluate_entry(entry)
    echo_result(found.to_dict(), found.story.splitlines(), as_json=as_json)


@register.command("close")
@REGISTER
@ENTRY
@click.option("--reason", required=True, help="Why.")
@click.option("--cancel", is_flag=True, help="It is no longer wanted: no evaluation is missed.")
@_stamped
@JSON
def register_close(place: str, entry: str, **options: Any) -> None:
    """Close an improvement with a reason; nothing but notes follows.

    \b
    Example:
      trueloop register close register.sqlite IMP-0001 --reason "It worked and stays"
    """
    opened = _intact(place)
    opened.close(entry, options["reason"], cancelled=options["cancel"], **_stamp(options))
    _tell(opened, entry, "closed", as_json=options["as_json"])


@register.command("note")
@REGISTER
@ENTRY
@click.argument("text")
@_stamped
@JSON
def register_note(place: str, entry: str, **options: Any) -> None:
    """Add a note, in any state.

    \b
    Example:
      trueloop register note register.sqlite IMP-0001 "Two teams ask when theirs will follow"
    """
    opened = _intact(place)
    opened.note(entry, options["text"], **_stamp(options))
    _tell(opened, entry, "noted", as_json=options["as_json"])


@register.command("verify")
@REGISTER
@click.option("--head", metavar="HASH", help="The hash that was kept outside must be in it.")
@JSON
def register_verify(place: str, *, head: str | None, as_json: bool) -> None:
    """Walk the chain of hashes and compare the file with its seal; exit 3 for damage.

    \b
    Example:
      trueloop register verify desk/register.sqlite
    """
    from dataclasses import asdict

    found = _open(place).require_intact(head=head)
    lines = [f"{found.records} records, the chain holds; head {found.head}", f"{found.said}."]
    echo_result(asdict(found), lines, as_json=as_json)


@register.command("audit")
@REGISTER
@click.option("--as-of", callback=moment, help="Judge open improvements at this time.")
@click.option("--fail-on", type=SEVERITIES, help="Exit 1 from this severity on.")
@click.option("--out", type=OUT_DIR, default=Path("register-audit-out"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
@click.pass_context
def register_audit(ctx: click.Context, /, place: str, **options: Any) -> None:
    """Judge how improvements were kept by the reference model of continual improvement.

    \b
    Example:
      trueloop register audit desk/register.sqlite --out register-audit-out
    """
    from csi.audit import AuditRequest, audit_log, judged_at
    from csi.audit_outputs import summary_of, write_audit
    from csi.console import audit_lines
    from csi.register_log import PRACTICE, register_log
    from rules.spec import Severity

    fail_on = options["fail_on"]
    log = register_log(_open(place))
    request = AuditRequest(
        logs=(),
        practice=PRACTICE,
        fail_on=Severity[fail_on.upper()] if fail_on else None,
    )
    result = audit_log(log, request, as_of_us=judged_at(log, options["as_of"]))
    summary = summary_of(result)
    write_audit(result, summary, options["out"], None)
    echo_result(summary, audit_lines(summary, options["out"]), as_json=options["as_json"])
    ctx.exit(result.exit_code)


def _open(place: str, *, create: bool = False) -> Register:
    from csi.register import Register

    return Register.open(place, create=create)


def _intact(place: str) -> Register:
    """Open a register that is there; RG116 where it is damaged."""
    opened = _open(place)
    opened.require_intact()
    return opened


def _stamp(options: dict[str, Any]) -> dict[str, Any]:
    """Return when and by which role; the day of the call is today's, at its midnight UTC."""
    today = dt.datetime.now(tz=dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"at": options["at"] or today, "actor": options["actor"] or MANAGER}


def _loop(place: str, cycle: Path) -> Loop:
    """Open a cycle on this register, whatever register its file names."""
    from csi.stages import Loop

    return Loop.open(cycle, register_place=place if "://" in place else str(Path(place).resolve()))


def _tell(opened: Register, entry: str, what: str, *, as_json: bool) -> None:
    """Say what was written, and the head to keep outside; a seal that is behind, to people."""
    head = opened.head()
    said = {"entry": entry, "what": what, "head": head}
    echo_result(said, [f"{entry} {what}", f"head {head}"], as_json=as_json)
    if opened.notice:
        click.echo(on_lines([f"{opened.notice}."]), err=True)
