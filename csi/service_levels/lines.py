"""What does a person at a terminal see of the service levels? One screen, and where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csi.console import share, table_lines
from csi.report.drawings.svg import clean
from csi.report.level_words import aim_words, attained_words
from csi.report.words import number, plural
from csi.service_levels.causes import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = dict[str, Any]
CAUSES_SHOWN: Final = 3
NAMES_SHOWN: Final = 5
NAME_SHOWN: Final = 60
HEAD: Final = ("target", "n", "attainment", "objective", "verdict")


def level_lines(summary: Row, out: Path) -> list[str]:
    """Say how often each promise was kept, what is open, and what pauses and the tool say."""
    tickets = sum(row["cases"] for row in summary["practices"])
    left = sum(summary["left_out"].values())
    lines = [f"{plural(tickets, 'ticket')} with promises, {number(left)} without any."]
    if summary["as_of"] is not None:
        lines.append(f"Open tickets are judged as of {summary['as_of']}.")
    if summary["targets"] == "shipped":
        lines.append("The targets are the examples that ship; give your own with --targets.")
    cells = [
        (r["target"], number(r["n"]), attained_words(r), aim_words(r["objective"]), r["verdict"])
        for r in summary["attainment"]
    ]
    lines += ["", *(f"  {line}" for line in table_lines(HEAD, cells)), ""]
    lines += [_open_line(summary["open"]), _breach_line(summary["breaches"])]
    lines += [_pause_line(summary["pauses"]), *_tool_lines(summary)]
    lines += _what_if_lines(summary["what_if"])
    if summary["unknown"]["clocks"]:
        because = ", ".join(
            f"{code} {number(n)}" for code, n in summary["unknown"]["because"].items()
        )
        said = f"{plural(summary['unknown']['clocks'], 'clock')} cannot be told from this log"
        lines.append(f"Unknown: {said}{f'; by defects of the log: {because}' if because else ''}.")
    return [
        *lines,
        "",
        f"Look at {out / 'sla.html'}; for customers, a report a service: {out / 'customer'}",
    ]


def _open_line(row: Row) -> str:
    running = f"{plural(row['running'], 'clock')} within the limit, {number(row['paused'])} paused"
    return (
        f"Open: {running}, {number(row['likely'])} likelier than not to exceed it; "
        f"{number(row['breached'])} beyond it already."
    )


def _breach_line(row: Row) -> str:
    if not row["clocks"]:
        return "Breaches: none."
    most = list(row["by_cause"].items())[:CAUSES_SHOWN]
    said = ", ".join(f"{WORDS[cause]} {number(n)}" for cause, n in most)
    return f"Breaches: {plural(row['clocks'], 'clock')}; most of their time went on: {said}."


def _pause_line(row: Row) -> str:
    if not row["pauses"]:
        return "Pauses: none."
    said = f"Pauses: {share(row['met_only_by_pausing'], row['met'])} met clocks met only by pausing"
    found = [
        f"{one['check']} {number(one['findings'])}" for one in row["checks"] if one["findings"]
    ]
    return f"{said}; to be asked about: {', '.join(found)}." if found else f"{said}."


def _tool_lines(summary: Row) -> Iterator[str]:
    for part in summary["reconciliation"] or ():
        for row in part["agreements"]:
            kappa = "" if row["kappa"] is None else f", kappa {row['kappa']:.2f}"
            agree = share(row["agree"], row["n"])
            yield f"Tool's own rows, {row['name']}: {agree} outcomes are ours{kappa}."
        same = f"{number(part['same'])} of {plural(part['pairs'], 'pair')}"
        unexplained = plural(part["unexplained"], "difference")
        yield f"  {same} the same in all that both say; {unexplained} without a cause."
    names = [clean(one["name"], NAME_SHOWN) for one in summary["undeclared"]]
    if names:
        more = f" and {number(len(names) - NAMES_SHOWN)} more" if len(names) > NAMES_SHOWN else ""
        said = ", ".join(names[:NAMES_SHOWN]) + more
        yield f"The log holds the tool's own: {said}; say what they are with --tool-rows."


def _what_if_lines(found: Row | None) -> Iterator[str]:
    if found is None:
        return
    moved = sum(row["cases"] for row in found["changes"] if row["before"] != row["after"])
    yield f"What if {found['name']}: the standing of {plural(moved, 'promise')} would change."
    rows = {row["target"]: row for row in found["before"]}
    for row in found["after"]:
        was = rows.get(row["target"])
        if was is not None and (was["met"], was["breached"]) != (row["met"], row["breached"]):
            yield f"  {row['target']}: {attained_words(was)} would be {attained_words(row)}"
