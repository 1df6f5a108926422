"""What does a process owner read about a log and a model? One page: how many follow it, where not.

Everything that the template shows is put into words here, from the comparison and its summary. The
rows of deviations are in deviations.csv beside the page, the cases in cases.parquet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup

from csi.report.causes_section import causes_section
from csi.report.deviation_words import anchors, groups, marks_of, meanings, rest, sign
from csi.report.drawings.bpmn import GAP, TASK_SIZE, draw_bpmn, width_of
from csi.report.drawings.flow_layout import laid_out
from csi.report.inspect_page import privacy_words
from csi.report.page import render
from csi.report.words import number, percent, plural, range_of_shares, score
from process_mining.alignment import Bounded, Optimal
from process_mining.alignment.deviations import DeviationKind
from process_mining.alignment.search import MoveKind
from process_mining.model import Diagram, Shape
from process_mining.model.flow_chart import chart_of, obstacle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.conformance import Conformance
    from process_mining.alignment import Move, PrefixAlignment
    from process_mining.alignment.deviations import Deviation
    from process_mining.eventlog import Ints
    from process_mining.model import ReferenceModel

PREFIX: Final = "at"
WORST_SHOWN: Final = 3
VARIANTS_SHOWN: Final = 12
MOVES_SHOWN: Final = 60
WORDS_SHOWN: Final = 20
STEPS_A_ROW: Final = 6


@dataclass(frozen=True)
class ConformPage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    headline: str
    figures: Sequence[dict[str, str]]
    worst: Sequence[dict[str, Any]]
    parts: Sequence[dict[str, str]]
    model: Markup
    model_width: int
    model_note: str
    deviations: dict[str, Any]
    goes_with: Sequence[dict[str, Any]]
    variants: Sequence[dict[str, Any]]
    variants_note: str
    open_note: str
    open: Sequence[dict[str, Any]]
    unknown: Sequence[tuple[str, str]]
    quality: str
    provenance: Sequence[tuple[str, str]]


def conform_page(found: Conformance, summary: dict[str, Any]) -> str:
    """Return the page as HTML."""
    title = f"Conformance with {_model_name(summary)}"
    return render("conform.html.j2", title=title, page=_page(found, summary))


def _page(found: Conformance, summary: dict[str, Any]) -> ConformPage:
    places = anchors(summary["activities"], PREFIX)
    diagram = _diagram(found.model)
    return ConformPage(
        scope=_scope(summary),
        headline=_headline(summary),
        figures=_figures(summary),
        worst=[_worst(row, places) for row in summary["deviations"][:WORST_SHOWN]],
        parts=_parts(summary),
        model=Markup(_drawing(summary, diagram, places)),  # noqa: S704 - our own drawing
        model_width=width_of(diagram),
        model_note=_model_note(found, summary, diagram),
        deviations={
            "kinds": meanings(),
            "groups": groups(summary["activities"], summary["deviations"], places),
            "rest": rest(summary["activities"], "all rows are in deviations.csv"),
            "rest_id": f"{PREFIX}-more",
        },
        goes_with=[{"title": one.subject, "said": causes_section(one)} for one in found.causes],
        variants=_variants(found),
        variants_note=_variants_note(found),
        open_note=_open_note(summary),
        open=_beginnings(found),
        unknown=_unknown(summary),
        quality=_quality(summary),
        provenance=_provenance(summary),
    )


def _model_name(summary: dict[str, Any]) -> str:
    return f"{summary['model']['name']} {summary['model']['version']}".strip()


def _scope(summary: dict[str, Any]) -> str:
    log, cases = summary["log"], summary["cases"]
    span = f", {log['first'][:10]} to {log['last'][:10]}" if log["first"] else ", without times"
    other = cases["of_other_practices"]
    left = f", {plural(other, 'case')} of other practices left out" if other else ""
    exact = "" if summary["bounded"]["variants"] else ", each aligned exactly"
    return (
        f"{plural(log['cases'], 'case')} with {plural(log['events'], 'event')}{span}; "
        f"{plural(log['rejected'], 'row')} refused{left}. "
        f"{plural(summary['variants'], 'variant')}{exact}."
    )


def _headline(summary: dict[str, Any]) -> str:
    fit = summary["fit"]
    if not fit["n"]:
        return "No case could be compared with the model; see what is not known."
    share = percent(fit["value"], (fit["low"], fit["high"]))
    of = plural(fit["n"], "judged case")
    return f"{number(fit['fitting'])} of {of} follow the model: {share}, 95 % Wilson interval."


def _figures(summary: dict[str, Any]) -> list[dict[str, str]]:
    fit, cases = summary["fit"], summary["cases"]
    apart = cases["compared_with"] - cases["judged"] - cases["open"]
    share = percent(fit["value"]) if fit["n"] else "unknown"
    inside = f"; {range_of_shares(fit['low'], fit['high'])}" if fit["n"] else ""
    return [
        {
            "label": "Follow the model",
            "value": share,
            "note": f"{number(fit['fitting'])} of {number(fit['n'])} cases{inside}",
        },
        {
            "label": "Fitness of the log",
            "value": _fitness(summary),
            "note": _fitness_note(summary["cost"]),
        },
        {
            "label": "Precision",
            "value": _figure(summary["precision"]["value"]),
            "note": _precise_note(summary, "1: the model allows nothing that was not done"),
        },
        {
            "label": "Generalisation",
            "value": _figure(summary["generalisation"]["value"]),
            "note": _precise_note(summary, "1: a next case will show nothing new"),
        },
        {
            "label": "Not judged",
            "value": number(cases["open"] + apart),
            "note": f"{plural(cases['open'], 'open case')}; {plural(apart, 'case')} set apart, "
            "for too little is known of them",
        },
    ]


def _fitness_note(cost: dict[str, Any]) -> str:
    if cost["lower"] < cost["upper"]:
        return "1 is perfect; two bounds, for the search of some variants was stopped"
    return f"1 is perfect; all costs add up to {number(cost['upper'])}"


def _precise_note(summary: dict[str, Any], meaning: str) -> str:
    if summary["precision"]["value"] is not None:
        return meaning
    many = summary["model"]["states"] is None
    return "the model has too many states to tell" if many else "no judged case has a step"


def _fitness(summary: dict[str, Any]) -> str:
    found = summary["fitness"]
    if found["low"] is None or found["low"] == found["high"]:
        return _figure(found["value"])
    return f"{_figure(found['low'])} to {_figure(found['high'])}"


def _figure(value: float | None) -> str:
    return "unknown" if value is None else score(value)


def _worst(row: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    return {
        "sign": sign(row["kind"]),
        "said": row["text"],
        "href": places[row["activity"]],
        "count": f"{number(row['cases'])} of {number(row['of'])} cases, {percent(row['share'])}",
        "interval": f"95 % interval {range_of_shares(row['low'], row['high'])}",
    }


def _parts(summary: dict[str, Any]) -> list[dict[str, str]]:
    parts = [("model", "The model"), ("deviations", "Deviations")]
    parts += [("goes-with", "What goes with them"), ("ways", "Ways that deviate")]
    parts += [("open", "Open cases")] * bool(summary["cases"]["open"])
    parts += [("unknown", "What is not known")]
    return [{"id": key, "name": name} for key, name in parts]


# --- the model


def _diagram(model: ReferenceModel) -> Diagram:
    """The model's own layout, or one of ours, or else its steps in rows without their flows."""
    if model.diagram.shapes:
        return model.diagram
    if not obstacle(model.net):
        return laid_out(chart_of(model.net))
    wide, high = TASK_SIZE
    places = [divmod(i, STEPS_A_ROW) for i in range(len(model.activities))]
    return Diagram(
        shapes=tuple(
            Shape(f"step-{i}", "task", name, column * (wide + GAP), row * (high + GAP), wide, high)
            for i, (name, (row, column)) in enumerate(zip(model.activities, places, strict=True))
        )
    )


def _drawing(summary: dict[str, Any], diagram: Diagram, places: dict[str, str]) -> str:
    return draw_bpmn(
        diagram,
        marks=marks_of(summary["activities"], places),
        unrecorded=summary["words"]["unobserved"],
        name="model-drawing",
        title=f"{_model_name(summary)}: where cases leave it",
    )


def _model_note(found: Conformance, summary: dict[str, Any], diagram: Diagram) -> str:
    of, ours = number(summary["cases"]["judged"]), ""
    if not found.model.diagram.shapes:
        drawn = "this one is ours" if diagram.edges else "its steps are shown without their order"
        ours = f" Its file has no layout: {drawn}."
    return (
        f"{_model_name(summary)}. A badge counts the cases, of {of}, that deviate at a step in "
        f"that way; each step leads to its deviations.{ours}"
    )


# --- variants


def _variants(found: Conformance) -> list[dict[str, Any]]:
    """The variants that deviate, most judged cases first."""
    judged = found.weights(found.standing.judged)
    off = np.flatnonzero((judged > 0) & (found.alignments.upper > 0))
    order = off[np.lexsort((off, -judged[off]))][:VARIANTS_SHOWN]
    whole = int(judged.sum())
    return [_variant(found, int(i), judged, whole) for i in order]


def _variant(found: Conformance, index: int, judged: Ints, whole: int) -> dict[str, Any]:
    one, n = found.alignments, int(judged[index])
    lower, upper = int(one.lower[index]), int(one.upper[index])
    cost = number(upper) if lower == upper else f"{number(lower)} to {number(upper)}"
    aligned = one.alignment(index)
    moves = aligned.moves if isinstance(aligned, Optimal) else ()
    strip = _strip(moves, found.deviations.of(index))
    return {
        "n": plural(n, "case"),
        "share": percent(n / whole),
        "cost": cost,
        "fitness": _figure(float(one.fitness[index])),
        "said": "; ".join(d.text for d in found.deviations.of(index)),
        "strip": strip[:MOVES_SHOWN],
        "more": f"and {plural(len(strip) - MOVES_SHOWN, 'further move')}"
        if len(strip) > MOVES_SHOWN
        else "",
        "bounded": "" if moves or not upper else "The search was stopped: the moves are not known.",
    }


def _strip(moves: Sequence[Move], deviations: Sequence[Deviation]) -> list[dict[str, Any]]:
    """The visible moves of an alignment, each with how it is read."""
    visible = [move for move in moves if move.kind is not MoveKind.SILENT]
    read = _readings(visible, deviations)
    return [
        {
            "kind": MOVE[move.kind],
            "activity": move.activity,
            "sign": sign(read[i][0]) if i in read else "",
            "word": read[i][1] if i in read else "",
        }
        for i, move in enumerate(visible)
    ]


MOVE: Final = {MoveKind.SYNC: "sync", MoveKind.LOG: "log", MoveKind.MODEL: "model"}


def _readings(moves: Sequence[Move], deviations: Sequence[Deviation]) -> dict[int, tuple[str, str]]:
    """Say of each move off the model as what it is read: kind and words.

    A deviation of two moves stands at its log move; its model move is where the step was due.
    """
    read: dict[int, tuple[str, str]] = {}
    for one in deviations:
        kind = one.kind.word
        wanted = MoveKind.MODEL if one.kind is DeviationKind.SKIPPED else MoveKind.LOG
        _read(moves, (wanted, one.activity), (kind, kind), read)
        if one.moves > 1:
            due = one.instead or one.activity
            _read(moves, (MoveKind.MODEL, due), (kind, "was due here"), read)
    return read


def _read(
    moves: Sequence[Move],
    wanted: tuple[MoveKind, str],
    said: tuple[str, str],
    read: dict[int, tuple[str, str]],
) -> None:
    """Give the first such move that is not read yet its reading."""
    for i, move in enumerate(moves):
        if (move.kind, move.activity) == wanted and i not in read:
            read[i] = said
            return


def _variants_note(found: Conformance) -> str:
    judged = found.weights(found.standing.judged)
    off = int(((judged > 0) & (found.alignments.upper > 0)).sum())
    if not off:
        return "No judged case leaves the model."
    shown = min(off, VARIANTS_SHOWN)
    many = f"{number(shown)} of {plural(off, 'variant')} that deviate"
    return f"{many}, most cases first; all are in alignments.parquet."


# --- open cases, and what is not known


def _open_note(summary: dict[str, Any]) -> str:
    found = summary["open"]
    if not found["cases"]:
        return ""
    unsettled = found["unsettled"]
    maybe = f"; of {number(unsettled)} it is not settled" if unsettled else ""
    said = [f"{row['activity']} ({number(row['cases'])})" for row in found["still_to_come"]]
    ways = f" Cheapest ways to the end go through {', '.join(said[:WORDS_SHOWN])}." if said else ""
    return (
        f"{plural(found['cases'], 'case')} have not ended. {number(found['already_off'])} of them "
        f"have left the model already, whatever still comes{maybe}. What is still to come is no "
        f"deviation.{ways}"
    )


def _beginnings(found: Conformance) -> list[dict[str, Any]]:
    """The most frequent ways of open cases: what they did, and a cheapest way to the end."""
    waiting = found.weights(found.standing.open)
    order = sorted(found.beginnings, key=lambda i: (-int(waiting[i]), i))[:VARIANTS_SHOWN]
    return [_beginning(found.beginnings[i], plural(int(waiting[i]), "case")) for i in order]


def _beginning(way: PrefixAlignment | Bounded, n: str) -> dict[str, Any]:
    if isinstance(way, Bounded):
        said = f"off the model by {number(way.lower)} to {number(way.upper)}; moves not known"
        return {"n": n, "said": said, "strip": []}
    done = _strip(way.moves, ())
    to_come = [
        {"kind": "to-come", "activity": name, "sign": "", "word": ""} for name in way.completion
    ]
    said = f"cost so far {number(way.cost)}" if way.cost else "on the model so far"
    return {"n": n, "said": said, "strip": [*done[-MOVES_SHOWN:], *to_come[:MOVES_SHOWN]]}


def _unknown(summary: dict[str, Any]) -> list[tuple[str, str]]:
    cases, words, bounded = summary["cases"], summary["words"], summary["bounded"]
    rows = [("Which cases have ended", f"{summary['ended_by']}.")]
    for key, name, why in APART:
        if cases[key]:
            rows.append((name, f"{plural(cases[key], 'case')} set apart: {why}"))
    if words["unmapped"]:
        rows.append(("Words that the vocabulary lacks", _listed(words["unmapped"])))
    if words["not_in_model"]:
        said = _listed(words["not_in_model"])
        rows.append(("Activities that the model lacks", f"{said}. Each one is off the model."))
    if words["unobserved"]:
        said = ", ".join(words["unobserved"])
        rows.append(("Steps that this source cannot record", f"{said}. They may leave no event."))
    if bounded["variants"]:
        rows.append(("Alignments that are only bounded", _bounded(bounded, summary["fit"])))
    return rows


APART: Final = (
    (
        "order_unknown",
        "Order of events",
        "events share a time and the source declares no order between them.",
    ),
    ("words_unknown", "Words", "they have words outside the vocabulary, which may be any step."),
    ("trace_in_doubt", "Trace", "the quality gate doubts that all of their events are there."),
)


def _listed(words: dict[str, int]) -> str:
    """Words with how often they occur, the most frequent first."""
    found = sorted(words.items(), key=lambda pair: (-pair[1], pair[0]))
    said = ", ".join(f"{word} ({number(n)})" for word, n in found[:WORDS_SHOWN])
    rest = len(found) - WORDS_SHOWN
    return f"{said} and {number(rest)} more" if rest > 0 else said


def _bounded(bounded: dict[str, int], fit: dict[str, Any]) -> str:
    many = plural(bounded["variants"], "variant")
    return (
        f"{many} ({plural(bounded['cases'], 'case')}): the search was stopped, their cost lies "
        f"between two bounds, and they have no moves. For {plural(fit['unsettled'], 'case')} it is "
        "not settled whether they follow the model."
    )


def _quality(summary: dict[str, Any]) -> str:
    allowed = ", ".join(summary["allowed"])
    accepted = f" Accepted knowingly (--allow): {allowed}." if allowed else ""
    said = f"{plural(len(summary['quality']), 'kind')} of defects found by the quality gate"
    return f"{said}; trueloop inspect shows them.{accepted} {privacy_words(summary['log'])}"


def _costs(costs: dict[str, Any]) -> str:
    """Say what a log move and a model move cost."""
    said = f"log moves {costs['default_log']}, model moves {costs['default_model']}"
    named = [
        f"{kind} move of {a}: {n}" for kind in ("log", "model") for a, n in costs[kind].items()
    ]
    return "; ".join([said, *named])


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    model, words = summary["model"], summary["words"]
    states = "too many to list" if model["states"] is None else number(model["states"])
    rows = [
        ("Log, SHA-256 of its content", summary["log"]["sha256"]),
        ("Read by source", summary["log"]["source"]),
        ("Model", f"{model['file']}, SHA-256 {model['sha256']}"),
        ("States of the model", states),
        ("Costs of moves", _costs(summary["costs"])),
        ("Open cases as of", summary["as_of"] or "no times"),
        ("Words", words["vocabulary"] or "the log's own"),
    ]
    rows.append(("Soundness of the model", model["soundness"]))
    rows += [
        (name.capitalize(), summary[name]["method"])
        for name in ("fit", "fitness", "precision", "generalisation")
    ]
    return rows
