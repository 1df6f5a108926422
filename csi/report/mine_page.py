"""What does a process owner read who asks what really happens? Mining as one page.

From the general to the particular: how many tickets and how long, the process map, the main ways,
where time goes, what is done again, who hands over to whom, what comes and stays, first contact and
reopening, a model discovered from the tickets, and what the log cannot tell. Everything that the
template shows is put into words here, from the mining and its summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.report.deviation_words import marks_of
from csi.report.drawings.bpmn import draw_bpmn, width_of
from csi.report.drawings.process_map import Place, drawn_map
from csi.report.drawings.svg import clean
from csi.report.mine_sections import (
    flow_part,
    hours_words,
    rate_words,
    resolution_part,
    rework_part,
    teams_part,
    time_part,
)
from csi.report.page import render
from csi.report.words import duration, number, percent, plural, range_of_shares, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.mining import Mining

    Row = dict[str, Any]

WAYS_SHOWN: Final = 10
STEPS_SHOWN: Final = 30
PLACES_SHOWN: Final = 5
EXAMPLES_SHOWN: Final = 3
STEPS_ID: Final = "discovered-steps"


@dataclass(frozen=True)
class MinePage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    headline: str
    figures: Sequence[Row]
    parts: Sequence[dict[str, str]]
    hidden: Sequence[str]
    map: Row
    map_note: str
    ways: Sequence[Row]
    ways_note: str
    time: Row
    rework: Row
    teams: Row | None
    flow: Row
    resolution: Row
    model: Row
    quality: Sequence[dict[str, str]]
    meanings: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]


def mine_page(mining: Mining, summary: Row) -> str:
    """Return the page as HTML."""
    return render("mine.html.j2", title="What really happens", page=_page(mining, summary))


def _page(mining: Mining, as_found: Row) -> MinePage:
    """Put the page together; names of a log are cleaned, but in drawings, which do it themselves.

    Drawings find their numbers by the names as they are.
    """
    summary = _cleaned(as_found)
    return MinePage(
        scope=_scope(summary),
        headline=_headline(summary),
        figures=_figures(summary),
        parts=_parts(summary),
        hidden=_hidden(summary),
        map=_map(mining, as_found),
        map_note=_map_note(summary),
        ways=[_way(i, row) for i, row in enumerate(summary["ways"][:WAYS_SHOWN])],
        ways_note=_ways_note(summary),
        time=time_part(summary),
        rework=rework_part(summary),
        teams=teams_part(mining, summary["teams"]),
        flow=flow_part(mining, summary["flow"]),
        resolution=resolution_part(summary),
        model=_model(mining, as_found["model"], summary["model"]),
        quality=[_defect(row) for row in summary["quality"]],
        meanings=_meanings(summary["mined"]["meanings"]),
        provenance=[
            ("Log, SHA-256 of its content", summary["log"]["sha256"]),
            ("Read by source", summary["log"]["source"]),
        ],
    )


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Return the same with every text on one line, without characters that steer a reader."""
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return clean(value) if isinstance(value, str) else value


# --- the head


def _scope(summary: Row) -> str:
    mined = summary["mined"]
    span = f"{mined['first'][:10]} to {mined['last'][:10]} (UTC)" if mined["first"] else "no times"
    many = f"{plural(mined['cases'], 'ticket')} with {plural(mined['events'], 'event')}"
    words = "in the words of the log"
    if mined["practice"]:
        words = f"in the words of practice {mined['practice']} (vocabulary {mined['vocabulary']})"
    return f"{many}, {span}; {words}."


def _headline(summary: Row) -> str:
    ways, mined = summary["ways"], summary["mined"]
    few = min(len(ways), 5)
    said = f"{number(mined['cases'])} tickets took {plural(mined['variants'], 'different way')}"
    if rare := summary["filters"]["rare_activities"]:
        shown = plural(len(summary["map"]["activities"]), "most frequent step")
        said += f" through the {shown}, {number(len(rare))} rare ones left out"
    if few > 1:
        said += f"; the {few} most frequent cover {percent(ways[few - 1]['cumulative'])} of them"
    spots = summary["times"]["bottlenecks"]
    if spots and spots[0]["total_h"]:
        row = spots[0]
        said += (
            f". Most time passes between {row['source']} and {row['target']}: "
            f"{percent(row['share'])} of all time between steps"
        )
    return f"{said}."


def _figures(summary: Row) -> list[Row]:
    cards = [_tickets_card(summary), _duration_card(summary), _waiting_card(summary)]
    back, first = (summary["resolution"][key] for key in ("reopened", "first_contact"))
    if back and back["resolved"]:
        note = f"{number(back['reopened'])} of {number(back['resolved'])} resolved tickets"
        cards.append(_share_card("Come back", back["rate"], note))
    if first and first["n"]:
        note = f"{number(first['first_contact'])} of {number(first['n'])} decided tickets"
        cards.append(_share_card("Solved at first contact", first["rate"], note))
    teams = summary["teams"]
    if teams and teams["cases_known"]:
        note = f"of {number(teams['cases_known'])} tickets that name a team"
        cards.append(_share_card("Handed over", teams["handed_over"], note))
    flow = summary["flow"]
    if flow.get("open") is not None:
        note = f"at the end; at most {number(flow['most_open'])} on one day"
        cards.append({"label": "Open", "value": number(flow["open"]), "note": note})
    return [card for card in cards if card]


def _tickets_card(summary: Row) -> Row:
    ended = summary["mined"]["ended"]
    note = "which have ended is not known" if ended is None else f"{number(ended)} have ended"
    return {"label": "Tickets", "value": number(summary["mined"]["cases"]), "note": note}


def _duration_card(summary: Row) -> Row:
    found = summary["duration"]["p50"]
    if found["value"] is None:
        return {}
    low, high = (None if found[k] is None else hours_words(found[k]) for k in ("low", "high"))
    between = f"95 % interval {low or 'open'} to {high or 'open'}; " if low or high else ""
    censored = summary["duration"]["censored"]
    apart = f", {number(censored)} of them still open" if censored else ""
    note = f"{between}n = {number(found['n'])}{apart}"
    aside = " that is not left out" if summary["filters"]["left_out"] else ""
    note = f"from first event to the last{aside}; {note}"
    return {"label": "Half take at most", "value": hours_words(found["value"]), "note": note}


def _waiting_card(summary: Row) -> Row:
    split = summary["times"]["split"]
    if split is None or split["waiting_share"] is None:
        return {}
    hours = split["waiting_h"] + split["working_h"]
    note = f"of {number(hours, 0)} h up to resolution or end, elapsed time of all tickets"
    return {"label": "Spent waiting", "value": percent(split["waiting_share"]), "note": note}


def _share_card(label: str, rate: Row, note: str) -> Row:
    between = f"95 % interval {range_of_shares(rate['low'], rate['high'])}"
    return {"label": label, "value": percent(rate["value"]), "note": f"{note}; {between}"}


def _parts(summary: Row) -> list[dict[str, str]]:
    parts = [("map", "Process map"), ("ways", "Main ways"), ("time", "Where time goes")]
    parts += [("rework", "Done again")]
    parts += [("teams", "Teams")] * (summary["teams"] is not None)
    parts += [("flow", "Arrivals and backlog"), ("resolution", "First contact and reopening")]
    parts += [("model", "Discovered model"), ("limits", "What the log cannot tell")]
    return [{"id": key, "name": name} for key, name in parts]


def _hidden(summary: Row) -> list[str]:
    """Say everything that a filter hides, with its number, and where the order is not known."""
    found, hidden, said = summary["filters"], summary["filters"]["hidden"], []
    tied = summary["mined"]["order_unknown"]
    if tied:
        n = plural(tied, "ticket")
        said.append(
            f"In {n} events share a time and the source declares no order: the map, the ways and "
            "the model show them in an order by their content, which may not be that of the work."
        )
    if hidden["other_practices"]:
        n = plural(hidden["other_practices"], "ticket")
        said.append(f"{n} of other practices are not mined.")
    if found["window"]:
        said.append(_window_words(found["window"], hidden))
    if found["left_out"]:
        said.append(f"No steps of this practice's model, left out: {', '.join(found['left_out'])}.")
    if found["rare_activities"]:
        kinds = plural(len(found["rare_activities"]), "rare kind")
        said.append(
            f"Of the map, the ways and the model {kinds} of steps are left out "
            f"({plural(found['rare_steps'], 'step')}): {_listed(found['rare_activities'])}."
        )
    if found["hidden_lines"]:
        said.append(
            f"The map hides {plural(found['hidden_lines'], 'rare line')} "
            f"({plural(found['hidden_successions'], 'succession')})."
        )
    return said


def _window_words(window: Row, hidden: Row) -> str:
    begin = f"from {window['from'][:10]}" if window["from"] else "from the beginning"
    end = f"until before {window['to'][:10]}" if window["to"] else "until the end"
    rule = "lie wholly inside" if window["rule"] == "inside" else "begin inside"
    n, events = (
        plural(hidden["outside_window"], "ticket"),
        plural(hidden["events_outside"], "event"),
    )
    return f"Only tickets that {rule} the window {begin} {end}: {n} with {events} are left out."


def _listed(words: Sequence[str], most: int = 12) -> str:
    more = f" and {number(len(words) - most)} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


# --- map and ways


def _map(mining: Mining, summary: Row) -> Row:
    spots = summary["times"]["bottlenecks"][:PLACES_SHOWN]
    places = {
        (row["source"], row["target"]): Place(row["rank_total"], f"#bottleneck-{row['rank_total']}")
        for row in spots
    }
    drawing, width = drawn_map(mining.map, places=places)
    return {"drawing": Markup(drawing), "width": width}  # noqa: S704 - our own drawing


def _map_note(summary: Row) -> str:
    said = (
        "Boxes are steps, lines what came next; numbers say how often, and the median time from "
        "one step to the next. Numbered discs are the places where most time passes in all."
    )
    slow = summary["filters"]["slower_than_us"]
    if slow is not None:
        lines = plural(summary["filters"]["slow_lines"], "line")
        said += f" Dashed with an hourglass: {lines} slower than {duration(slow)} (median)."
    return said


def _way(place: int, row: Row) -> Row:
    runs = [(step, len(list(same))) for step, same in groupby(row["trace"])]
    more = sum(n for _, n in runs[STEPS_SHOWN:])
    return {
        "place": place + 1,
        "n": plural(row["n"], "ticket"),
        "share": percent(row["share"]),
        "cumulative": percent(row["cumulative"]),
        "median": "" if row["median_us"] is None else duration(row["median_us"]),
        "steps": [
            {"name": step or "(blank)", "times": f" \N{MULTIPLICATION SIGN} {number(n)}" * (n > 1)}
            for step, n in runs[:STEPS_SHOWN]
        ],
        "more": f"and {plural(more, 'further step')}" if more else "",
    }


def _ways_note(summary: Row) -> str:
    n, whole = min(len(summary["ways"]), WAYS_SHOWN), summary["mined"]["variants"]
    aside = " that is not left out" if summary["filters"]["left_out"] else ""
    return (
        f"{number(n)} of {plural(whole, 'way')}, most tickets first; all are in variants.parquet. "
        f"Durations run from the first event to the last{aside}."
    )


# --- the discovered model


def _model(mining: Mining, as_found: Row, found: Row) -> Row:
    drawing = width = ""
    if mining.diagram.shapes:
        steps = as_found["fit"].get("steps", [])
        places = {row["activity"]: STEPS_ID for row in steps}
        drawing = draw_bpmn(
            mining.diagram,
            marks=marks_of(steps, places),
            name="discovered",
            title="Model discovered from the tickets",
        )
        width = str(width_of(mining.diagram))
    return {
        "drawing": Markup(drawing),  # noqa: S704 - our own drawing
        "width": width,
        "note": _model_note(found),
        "facts": _model_facts(found),
        "steps": _steps(found["fit"]),
    }


def _model_note(found: Row) -> str:
    miner = {"inductive": "Inductive Miner", "heuristics": "Heuristics Miner"}[found["method"]]
    which = "ended tickets" if found["ended_only"] else "tickets"
    said = (
        f"Discovered from {number(found['cases'])} {which} by the {miner}, noise threshold "
        f"{found['noise']:g}. It shows what is usual, not what is right."
    )
    if found["unsound"]:
        why = "It is not sound, so it is neither drawn nor measured"
        return f"{said} {why}: {found['unsound']}."
    if found["not_bpmn"]:
        return f"{said} It cannot be written as BPMN: {found['not_bpmn']}."
    return f"{said} model.bpmn beside this page opens in any BPMN editor."


def _model_facts(found: Row) -> list[tuple[str, str]]:
    fit, rows = found["fit"], []
    if fit["failed"]:
        rows.append(("Fitness", f"Not known: {fit['failed']}"))
    else:
        settled = fit["cases"] - fit["unsettled_cases"]
        said = rate_words(fit["fitting"], fit["fitting_cases"], settled)
        rows.append(("Tickets that follow it step by step", said))
        rows.append(("Fitness of the log", _between(fit["fitness"]["low"], fit["fitness"]["high"])))
        for key, words in (("precision", PRECISION), ("generalisation", GENERALISATION)):
            value = "not defined" if fit[key] is None else score(fit[key])
            rows.append((key.capitalize(), f"{value}. {words}"))
    if found["absent"]:
        rows.append(("Steps that it lacks", f"{_listed(found['absent'])}."))
    if found["spelled"]:
        n = plural(len(found["spelled"]), "step name")
        rows.append(
            ("Names", f"{n} cannot stand in XML as they are; summary.json says how each is.")
        )
    return rows


PRECISION: Final = "1: it allows nothing that was not done; near 0: it allows anything."
GENERALISATION: Final = "Near 1: the next tickets will hardly show a step where it had none before."


def _between(low: float, high: float) -> str:
    said = score(low) if low == high else f"{score(low)} to {score(high)}"
    return f"{said}. 1: every step fits; 0: the tickets and the model share nothing."


def _steps(fit: Row) -> list[Row]:
    rows = [row for row in fit.get("steps", []) if row["passed"] or row["deviating"]]
    rows.sort(key=lambda row: (-row["deviating"], row["activity"]))
    return [
        {
            "activity": row["activity"],
            "passed": number(row["passed"]),
            "deviating": number(row["deviating"]),
            "share": percent(row["deviating"] / row["of"]) if row["of"] else "",
            "kinds": ", ".join(f"{kind} {number(n)}" for kind, n in row["kinds"].items()),
        }
        for row in rows
    ]


# --- what the log cannot tell


def _defect(row: Row) -> dict[str, str]:
    subject = f" ({row['subject']})" if row["subject"] else ""
    return {
        "code": row["code"],
        "what": f"{row['explanation']}{subject}",
        "n": f"{number(row['count'])} of {number(row['of'])} {row['unit']}",
        "examples": ", ".join(row["examples"][:EXAMPLES_SHOWN]),
    }


MEANING: Final = {
    "waiting": "Waiting",
    "resolving": "Resolving",
    "closing": "Closing",
    "ends": "Ending a ticket",
    "assigning": "Assigning only",
}


def _meanings(found: Row) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(found[key]) or "not known: none declared") for key, name in MEANING.items()
    ]
