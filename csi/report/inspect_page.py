"""What does a person read who asks whether a log can be trusted? The quality gate as one page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.report.drawings.volume import draw_volume
from csi.report.page import render
from csi.report.words import duration, number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.eventlog import EventLog

REJECTS_SHOWN: Final = 50
RULES_SHOWN: Final = 12


@dataclass(frozen=True)
class InspectPage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    headline: str
    figures: Sequence[dict[str, str]]
    volume: Markup
    defects: Sequence[dict[str, str]]
    rejects: Sequence[dict[str, str]]
    rejects_note: str
    privacy: str
    notes: Sequence[str]
    files: Sequence[dict[str, str]]
    provenance: Sequence[tuple[str, str]]


def inspect_page(log: EventLog, result: dict[str, Any]) -> str:
    """Return the page as HTML."""
    return render("inspect.html.j2", title="Quality of the log", page=_page(log, result))


def _page(log: EventLog, result: dict[str, Any]) -> InspectPage:
    facts = result["log"]
    span = f"{facts['first'][:10]} to {facts['last'][:10]}" if facts["first"] else "without times"
    many = f"{plural(facts['cases'], 'ticket')} with {plural(facts['events'], 'event')}"
    more = len(result["rejects"]) - REJECTS_SHOWN
    return InspectPage(
        scope=f"{many}, {span}.",
        headline=_headline(result),
        figures=_figures(result),
        volume=Markup(draw_volume(log.arrays.at) if log.timed else ""),  # noqa: S704 - our own drawing
        defects=[defect_words(row) for row in result["quality"]],
        rejects=result["rejects"][:REJECTS_SHOWN],
        rejects_note=f"{number(more)} more stand in quality.json." if more > 0 else "",
        privacy=privacy_words(facts),
        notes=[f"{note.rstrip('.')}." for note in facts["notes"]],
        files=[
            {"name": file["name"], "size": number(file["size"]), "sha256": file["sha256"]}
            for file in facts["files"]
        ],
        provenance=[
            ("Log, SHA-256 of its content", facts["sha256"]),
            ("Read by source", facts["source"]),
            ("Zone of times that carry none", facts["timezone"]),
        ],
    )


def _headline(result: dict[str, Any]) -> str:
    refused, rows = len(result["rejects"]), result["log"]["rows_in"]
    said = f"{number(rows)} rows were read, {number(refused)} of them refused"
    doubts = [row for row in result["quality"] if row["hangs_on_it"] and not row["allowed"]]
    if not result["quality"]:
        return f"{said}. The gate found nothing wrong."
    kinds = plural(len(result["quality"]), "kind")
    taking = f"{len(doubts)} of them can take verdicts away" if doubts else "none takes a verdict"
    return f"{said}. The gate found {kinds} of defects; {taking}."


def _figures(result: dict[str, Any]) -> list[dict[str, str]]:
    facts = result["log"]
    told = facts["time_resolution_us"] > 1
    unit = duration(facts["time_resolution_us"]) if told else "not coarse"
    note = "every time is a multiple of it" if told else "or too few times to tell"
    return [
        {"label": "Rows read", "value": number(facts["rows_in"]), "note": "accepted + refused"},
        {
            "label": "Refused",
            "value": number(facts["rejected"]),
            "note": percent(facts["rejected"] / facts["rows_in"]) if facts["rows_in"] else "",
        },
        {
            "label": "Kinds of defects",
            "value": number(len(result["quality"])),
            "note": f"{len(result['allowed'])} accepted knowingly",
        },
        {"label": "Clock", "value": unit, "note": note},
    ]


def defect_words(row: dict[str, Any]) -> dict[str, str]:
    """One finding of the gate in words, with the verdicts that hang on it or that it took."""
    subject = f" ({row['subject']})" if row["subject"] else ""
    often = f"{number(row['count'])} of {number(row['of'])} {row['unit']}"
    return {
        "code": row["code"],
        "what": f"{row['explanation']}{subject}",
        "n": f"{often} ({percent(row['share'])})",
        "examples": ", ".join(row["examples"]),
        "doubt": ", ".join(row["makes_unknown"]) or "nothing that a verdict rests on",
        "verdicts": "accepted with --allow" if row["allowed"] else _verdicts(row),
    }


def _verdicts(row: dict[str, Any]) -> str:
    if "downgrades" in row:
        taken = [f"{code}: {number(n)}" for code, n in row["downgrades"].items()]
        return "; ".join(taken) or "none"
    found = row["hangs_on_it"].items()
    rules = [code if len(v) > 1 else f"{code} ({v[0]})" for code, v in found]
    more = f" and {len(rules) - RULES_SHOWN} more" if len(rules) > RULES_SHOWN else ""
    return ", ".join(rules[:RULES_SHOWN]) + more or "none"


def privacy_words(facts: dict[str, Any]) -> str:
    """Say what was done to names and addresses."""
    names = "shown in clear (--clear-names)" if facts["clear_names"] else "replaced by pseudonyms"
    masked = ", ".join(f"{number(n)} with {kind}" for kind, n in facts["masked"].items())
    if facts["clear_contacts"]:
        contacts = "E-mail, telephone and IP addresses are kept (--clear-contacts)."
    elif masked:
        contacts = f"Addresses were masked in texts: {masked}."
    else:
        contacts = "No e-mail, telephone or IP address was found in its texts."
    return f"People's names are {names}. {contacts}"
