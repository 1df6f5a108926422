"""What does a person at a terminal see? Progress on standard error, results as plain lines."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from csi.ranking import worst_rules
from csi.report.words import duration, percent, score
from process_mining.model import SOUND
from process_mining.schema import US_PER_HOUR
from rules.durations import duration_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    Step = Callable[[str], None]

WORST_SHOWN = 5
CHANGES_SHOWN = 20
REJECTS_SHOWN = 5
SHOW_AFTER_S = 2.0
N_NOTEBOOKS = 4


@contextmanager
def steps(title: str) -> Iterator[Step]:
    """Give a function that names the step under way; shown as a spinner with the time taken.

    Nothing is shown where standard error is no terminal, nor before two seconds have passed.
    """
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(title, total=None)
        yield lambda name: bar.update(task, description=f"{title}: {name}")


def table_lines(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay rows out in columns as wide as their widest cell."""
    cells = [list(head), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def share(part: int, whole: int) -> str:
    """Say "12 of 34 (35.3%)"; neither the last case nor the first is rounded away."""
    said = percent(part / whole).replace(" %", "%") if whole else ""
    return f"{part:,} of {whole:,}" + (f" ({said})" if said else "")


def audit_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """Say on one screen how conformant the log is, the worst offences, and where to look."""
    log, others = summary["log"], summary["not_audited"]
    by_both = log["variants_with_lifecycle"]
    finer = "" if by_both is None else f" by activity, {by_both:,} by activity and lifecycle"
    left = f", {others:,} cases of other practices not audited" if others else ""
    lines = [
        f"{log['cases']:,} cases, {log['events']:,} events, {log['rejected']:,} rows refused.",
        f"{log['variants']:,} variants{finer}{left}.",
        _judged(summary["as_of"]),
        "",
    ]
    lines += [_conformance_line(row) for row in summary["conformance"]]
    lines += _unmapped_lines(summary["practices"])
    worst = worst_rules(summary)
    lines += ["", "Worst offences" if worst else "No offence was found."]
    cells = [
        (r["code"], r["severity"], share(r["violates"], r["conforms"] + r["violates"]), r["title"])
        for r in worst[:WORST_SHOWN]
    ]
    lines += [
        f"  {line}" for line in table_lines(("rule", "severity", "cases", "what"), cells)
    ] * bool(cells)
    if summary["targets"] == "shipped" and summary["service_levels"]:
        lines += ["", "Service levels: the targets that ship; give your own with --targets."]
    unknown = {
        row["code"]: row["conforms"] + row["violates"] for row in summary["rules"] if row["unknown"]
    }
    some, none = (
        [code for code, n in unknown.items() if bool(n) == decided] for decided in (True, False)
    )
    if some:
        lines += ["", f"Not decidable on some cases for want of data: {', '.join(some)}."]
    if none:
        lines += ["", f"Not decidable on any case of this log: {', '.join(none)}."]
    lines += _waiver_lines(summary["waivers"])
    lines += _escalation_lines(summary["escalations"])
    return [*lines, "", f"Look at {out / 'report.html'}"]


def _escalation_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say what has piled up, the gravest first, and where the proposals are."""
    if not rows:
        return []
    cells = [
        (
            row["code"],
            row["severity"],
            f"{row['subject_kind']} {row['subject']}",
            f"{row['n']:,} {row['unit'] if row['n'] != 1 else row['unit'][:-1]}"
            + (f" in {row['window']}" if row["window"] else ""),
            ", ".join(row["rules"]),
        )
        for row in rows[:WORST_SHOWN]
    ]
    head = ("pattern", "severity", "where", "how many", "rules")
    proposed = len({row["opportunity"] for row in rows} - {None})
    lines = ["", f"Escalations: {len(rows):,}; {proposed:,} proposed in opportunities.json"]
    return lines + [f"  {line}" for line in table_lines(head, cells)]


def _waiver_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say what each waiver covers, and which have expired or cover nothing."""
    if not rows:
        return []
    cells = [
        (
            row["id"],
            row["rule"],
            row["state"],
            f"covers {row['findings']:,} findings"
            if not row["orphan"]
            else f"orphan: {row['orphan']}",
        )
        for row in rows
    ]
    return [
        "",
        "Waivers",
        *(f"  {line}" for line in table_lines(("id", "rule", "state", ""), cells)),
    ]


def conform_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """Say on one screen how many cases follow the model, and how the others leave it."""
    fit, cases, bounded = summary["fit"], summary["cases"], summary["bounded"]
    name = f"{summary['model']['name']} {summary['model']['version']}".strip()
    apart = cases["compared_with"] - cases["judged"] - cases["open"]
    fitness = summary["fitness"]["low"]
    lines = [
        f"{share(fit['fitting'], fit['n'])} judged cases follow the model {name}"
        + ("." if fitness is None else f"; fitness of the log {score(fitness)}."),
        f"{cases['open']:,} open, {apart:,} set apart, {cases['of_other_practices']:,} of others.",
        f"{summary['ended_by'].capitalize()}.",
    ]
    if summary["fail_under"] is not None:
        passed = "not reached" if summary["exit_code"] else "reached"
        lines.append(f"The gate, a fitness of {summary['fail_under']:g}, is {passed}.")
    if bounded["variants"]:
        lines.append(f"{bounded['variants']:,} variants have bounds only; the figure is the lower.")
    cells = [
        (row["kind"], share(row["cases"], row["of"]), row["text"])
        for row in summary["deviations"][:WORST_SHOWN]
    ]
    lines += ["", "Most frequent deviations" if cells else "No judged case deviates."]
    lines += [f"  {line}" for line in table_lines(("kind", "cases", "what"), cells)] * bool(cells)
    return [*lines, "", f"Look at {out / 'conform.html'}"]


def mine_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """Say on one screen what was mined, where most time goes, and how well the model fits."""
    mined, hidden = summary["mined"], summary["filters"]["hidden"]
    left = hidden["outside_window"] + hidden["other_practices"]
    ended = "" if mined["ended"] is None else f", {mined['ended']:,} of them ended"
    size = f"{mined['events']:,} events, {mined['variants']:,} variants"
    lines = [f"{mined['cases']:,} cases{ended}, {size}; {left:,} cases left out by filters."]
    if rare := summary["filters"]["rare_activities"]:
        lines.append(f"Of variants, map and model {len(rare):,} rare kinds of steps are left out.")
    if mined["practice"] is None and mined["practices_named"]:
        lines.append(f"Read it in words: --practice {' or '.join(mined['practices_named'])}.")
    cells = [
        (row["source"], row["target"], f"{row['n']:,}", f"{row['share']:.1%}")
        for row in summary["times"]["bottlenecks"][:WORST_SHOWN]
    ]
    lines += ["", "Most time passes"] * bool(cells)
    head = ("from", "to", "times", "of all time")
    lines += [f"  {line}" for line in table_lines(head, cells)] * bool(cells)
    return [*lines, "", _model_line(summary["model"]), "", f"Look at {out / 'mine.html'}"]


def _model_line(model: dict[str, Any]) -> str:
    fit = model["fit"]
    if fit["failed"]:
        return f"Discovered model ({model['method']}): its fitness is not known: {fit['failed']}"
    follow = share(fit["fitting_cases"], fit["cases"] - fit["unsettled_cases"])
    return f"Discovered model ({model['method']}): {follow} cases follow it."


def inspect_lines(result: dict[str, Any], out: Path | None) -> list[str]:
    """Say on one screen what is wrong with a log, and where the verdicts are that hang on it."""
    log, rejects = result["log"], result["rejects"]
    lines = [
        f"{log['cases']:,} cases, {log['events']:,} events from {log['source']}.",
        f"{log['rows_in']:,} rows read, {len(rejects):,} refused.",
    ]
    lines += [
        f"  {r['file']} {r['place']}: {r['code']} {r['reason']}" for r in rejects[:REJECTS_SHOWN]
    ]
    cells = [
        (
            row["code"],
            share(row["count"], row["of"]) + f" {row['unit']}",
            row["name"] + (f" ({row['subject']})" if row["subject"] else ""),
            "accepted" if row["allowed"] else f"{len(row['hangs_on_it'])} rules hang on it",
        )
        for row in result["quality"]
    ]
    lines += ["", "What the gate found" if cells else "The gate found nothing wrong."]
    lines += [
        f"  {line}" for line in table_lines(("code", "how often", "what", "verdicts"), cells)
    ] * bool(cells)
    return lines if out is None else [*lines, "", f"Look at {out / 'inspect.html'}"]


def compare_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """Say on one screen whether two groups differ, where most, and where to look."""
    lines = [_side_line(name.upper(), summary[name]) for name in "ab"]
    lines += ["", summary["sentence"]]
    cells = [
        (name, f"{row['a']:.1%}", f"{row['b']:.1%}", f"{100 * row['difference']:+.1f}")
        for row in summary["features"]
        if row["verdict"] == "differs"
        for name in [" → ".join(row[end] or "·" for end in ("activity", "next") if _said(row, end))]
    ]
    head = ("step or succession", "A", "B", "points")
    lines += [""] * bool(cells)
    lines += [f"  {line}" for line in table_lines(head, cells[:WORST_SHOWN])] * bool(cells)
    slower = [row for row in summary["times"] if row["verdict"] == "differs"]
    lines += [""] * bool(slower)
    lines += [_time_line(row) for row in slower[:WORST_SHOWN]]
    return [*lines, "", f"Look at {out / 'compare.html'}"]


def _side_line(name: str, side: dict[str, Any]) -> str:
    return f"{name}: {side['label']}, {side['cases']:,} cases, {side['open']:,} still open"


def _said(row: dict[str, Any], end: str) -> bool:
    """A step has no next; starts and ends have a place for what is not there."""
    return end == "activity" or row["kind"] != "step"


def _time_line(row: dict[str, Any]) -> str:
    what = "case time" if row["activity"] is None else f"time in {row['activity']}"
    a, b = (duration(round(row[side] * US_PER_HOUR)) for side in "ab")
    return f"Median {what}: A {a}, B {b}"


def _judged(as_of: str | None) -> str:
    if as_of is None:
        return "The log has no times; open cases are judged as they stand."
    return f"Open cases are judged as of {as_of}."


def _conformance_line(row: dict[str, Any]) -> str:
    if not row["cases"]:
        return f"{row['practice']}: no ended case could be compared with the model {row['model']}"
    fits = share(row["fitting_cases"], row["cases"])
    fitness = "" if row["fitness_mean"] is None else f", mean fitness {score(row['fitness_mean'])}"
    proof = "" if row["soundness"] == SOUND else f" (its soundness is {row['soundness']})"
    return f"{row['practice']}: {fits} ended cases fit the model {row['model']}{proof}{fitness}"


def _unmapped_lines(practices: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"{row['practice']}: {sum(row['unmapped'].values()):,} events have words that the "
        f"vocabulary '{row['vocabulary']}' lacks: {', '.join(sorted(row['unmapped']))}"
        for row in practices
        if row["unmapped"]
    ]


def cycle_lines(results: dict[str, Any], out: Path) -> list[str]:
    """Say what a cycle found: the verdict first, then where to look."""
    found = results["evaluate"]
    if results["outcome"] == "no data":
        missing = [f"{row['what']}. {row['to_do']}." for row in results["missing"]]
        return ["No data: nothing was measured.", *missing, "", f"Look at {out / 'report.html'}"]
    lines = [line for one in found["improvements"] for line in _judged_lines(one)]
    if not lines:
        lines = ["No improvement was judged; every KPI and rule was measured."]
    return [*lines, "", f"Look at {out / 'report.html'}"]


def _judged_lines(found: dict[str, Any]) -> list[str]:
    """Say what became of one improvement."""
    lines = [
        f"{found['improvement']}: {found['verdict']}.",
        f"{found['title']}. {found['sentence']}",
    ]
    if found["guardrails"]:
        said = ", ".join(f"{code} {verdict}" for code, verdict in found["guardrails"].items())
        lines.append(f"Guardrails: {said}.")
    return [*lines, f"Entry {found['entry']} of the register."]


def kept_lines(notebooks: Sequence[str]) -> list[str]:
    """Say which notebooks an earlier run had done already."""
    if len(notebooks) == N_NOTEBOOKS:
        return ["Nothing to do: this cycle is complete.", ""]
    return [f"Done already: {', '.join(notebooks)}.", ""] if notebooks else []


def explain_lines(told: dict[str, Any]) -> list[str]:
    """Say why a rule fired on a case, or why not: verdict, versions, and the events in order."""
    lines = [
        f"{told['rule']} {told['name']}: {told['verdict'].upper()} on case {told['case']}",
        f"What it looks for: {told['title']}. Severity {told['severity']}.",
        f"The case is of {told['practice']} and has ended."
        if told["ended"]
        else f"The case is of {told['practice']} and still open. {_judged(told['as_of'])}",
    ]
    lines += [f"Allowed by waiver {name}." for name in told["waived_by"]]
    for one in told["versions"]:
        lines += ["", *_version_lines(one)]
    several = len(told["versions"]) > 1
    cells = [_event_cells(event, several=several) for event in told["events"]]
    head = (
        "seq",
        "when",
        "what",
        "team",
        "who",
        *(["version"] * several),
        "what the rule makes of it",
    )
    lines += ["", f"The {len(cells)} events of the case" if cells else "The case has no events."]
    return lines + [f"  {line}" for line in table_lines(head, cells)] * bool(cells)


def _version_lines(one: dict[str, Any]) -> list[str]:
    """Lay out what one version of a rule says of a case."""
    until = f" until {one['valid_until']} (excluded)" if one["valid_until"] else ""
    lines = [
        f"Version {one['version']}, in force from {one['valid_from']}{until}: {one['verdict']}",
        f"  demanded: {one['expected']}",
    ]
    lines += [f"  only for cases whose {words}" for words in one["only_for"]]
    lines += [f"  {line}" for line in _outcome_lines(one)]
    lines += ["  What was measured"]
    cells = [(fact["name"], fact["value"], fact["meaning"]) for fact in one["facts"]]
    lines += [f"    {line}" for line in table_lines(("fact", "is", "which says"), cells)]
    lines += ["  The decision table; exactly one row holds"]
    rows = [("->" if r["holds"] else "", r["verdict"], _row_words(r)) for r in one["table"]]
    return lines + [f"    {line}" for line in table_lines(("", "verdict", "where"), rows)]


def _row_words(row: dict[str, Any]) -> str:
    """Say why a row of a decision table holds, or what of it does not."""
    said = [
        f"{one['fact']} {one['demanded']}" + ("" if one["holds"] else f", here {one['value']}")
        for one in row["conditions"]
        if one["holds"] == row["holds"]
    ]
    return f"{'' if row['holds'] else 'not: '}{'; '.join(said) or 'always'}"


def _outcome_lines(one: dict[str, Any]) -> list[str]:
    """Say what was measured against which limit, and what the verdict rests on."""
    lines = []
    if one["finding"] is not None:
        lines += [f"found: {one['finding']['message']}", f"seen: {one['finding']['seen']}"]
    elif one["measured"] is not None:
        limit = "" if one["limit"] is None else f", limit {_amount(one['limit'], one['unit'])}"
        lines.append(f"measured: {_amount(one['measured'], one['unit'])}{limit}")
    if one["judged_events"] is not None:
        lines.append(f"events that this version judged: {one['judged_events']}")
    if one["by_table"] != one["verdict"]:
        lines.append(f"the measured facts alone would say: {one['by_table']}")
    lines += [
        f"unknown because {why['text']}" + (f" ({why['code']})" if why["code"] else "")
        for why in one["unknown_because"]
    ]
    lines += [f"vacuous because {why}" for why in one["vacuous_because"]]
    return lines + ([] if one["pending"] is None else _pending_lines(one["pending"]))


def _amount(value: int, unit: str) -> str:
    return duration_words(value) if unit == "us" else f"{value:,} {unit}".rstrip()


def _pending_lines(ahead: dict[str, Any]) -> list[str]:
    """Say until when a case may stay as it is, and what each next step would lead to."""
    if ahead["until"] is None:
        lines = ["pending: it stays so as long as nothing more happens"]
    else:
        lines = [f"pending until {ahead['until']}; if nothing more happens, then {ahead['then']}"]
    by_verdict: dict[str, list[str]] = {}
    for step in ahead["next"]:
        who = "" if step["by"] is None else f" by {step['by']}"
        by_verdict.setdefault(step["verdict"], []).append(f"{step['activity']}{who}")
    return lines + [
        f"if the next step is {' or '.join(steps)}: {verdict}"
        for verdict, steps in by_verdict.items()
    ]


def _event_cells(event: dict[str, Any], *, several: bool) -> tuple[str, ...]:
    """Lay out one event; what a version makes of it names the version where there are several."""
    marks = [
        f"{mark['mark']} (version {mark['version']})" if several else mark["mark"]
        for mark in event["marks"]
    ]
    what = event["activity"] or f"(update: {event['raw']})"
    version = [str(event["version"] or "none")] * several
    return (
        str(event["seq"]),
        event["at"] or "",
        what,
        event["team"] or "",
        event["actor"] or "",
        *version,
        ", ".join(marks),
    )


def diff_lines(summary: dict[str, Any], out: Path | None) -> list[str]:
    """Say which verdicts change between two rulebooks: by rule, then case by case."""
    rules, changes = summary["rules"], summary["changes"]
    lines = [
        f"{side}: {summary[side]['rulebook']}, {summary[side]['rules']} rules"
        f" in {summary[side]['versions']} versions"
        for side in ("old", "new")
    ]
    lines.append(
        f"{rules['same']} rules demand the same, {len(rules['differing'])} of those that judge this"
        f" log differ; {summary['log']['cases']:,} cases."
    )
    if summary["practices_that_differ"]:
        named = ", ".join(summary["practices_that_differ"])
        lines.append(f"Practices that differ, so that all rules were judged twice: {named}.")
    for side, word in (("only_old", "Only in the old"), ("only_new", "Only in the new")):
        lines += _only_lines(word, rules[side])
    lines += ["", f"{len(changes):,} verdicts change." if changes else "No verdict changes."]
    cells = [
        (row["rule"], row["severity"], row["kind"], f"{row['from']} -> {row['to']}", row["cases"])
        for row in summary["by_rule"]
    ]
    head = ("rule", "severity", "kind", "verdict", "cases")
    lines += [f"  {line}" for line in table_lines(head, cells)] * bool(cells)
    lines += _change_lines(changes, out)
    return lines if out is None else [*lines, "", f"Look at {out / 'diff.csv'}"]


def _only_lines(word: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Name the rules that one rulebook alone has, and what they say of the log."""
    if not rows:
        return []
    cells = [(r["rule"], r["severity"], r["name"], r["violates"], r["conforms"]) for r in rows]
    table = table_lines(("rule", "severity", "name", "violate", "conform"), cells)
    return ["", f"{word} rulebook: {len(rows)}", *(f"  {line}" for line in table)]


def _change_lines(changes: Sequence[dict[str, Any]], out: Path | None) -> list[str]:
    cells = [
        (row["rule"], row["case_id"], f"{row['from']} -> {row['to']}", row["message"] or "")
        for row in changes[:CHANGES_SHOWN]
    ]
    lines = [""] * bool(cells)
    table = table_lines(("rule", "case", "verdict", ""), cells)
    lines += [f"  {line}" for line in table] * bool(cells)
    more = len(changes) - CHANGES_SHOWN
    where = "" if out is not None else "; --out DIR or --json has all"
    return [*lines, f"  and {more:,} more{where}"] if more > 0 else lines
