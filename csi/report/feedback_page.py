"""What do customers say, how many of them, and what do the others leave open? One page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.report.drawings.ranges import Range, draw_ranges
from csi.report.drawings.svg import clean
from csi.report.feedback_loops import LoopsPart, loops_part
from csi.report.feedback_words import range_words, score_words, value_words
from csi.report.page import render
from csi.report.words import duration, number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]
SEGMENTS_SHOWN: Final = 40
REJECTS_SHOWN: Final = 50
TEXTS_SHOWN: Final = 20
LONGEST: Final = 1000
MEANS: Final = frozenset({"mean score", "share that agrees"})  # told beside another figure
REASONS: Final = {
    "unmatched": "the log has no such ticket",
    "undelivered": "the ask reached nobody",
    "self-rating": "who was asked belongs to the desk",
    "duplicate": "the same row again",
    "superseded": "an earlier answer of the same person to the same ticket",
    "contradictory": "answers of one person at one time that differ",
    "late": "answered after the declared time; the ask counts as unanswered",
}
MEASURES: Final = {
    "CSAT": "share of satisfied answers: the two highest scores of 1-5, 1-7 and 1-10, good of "
    "good/bad, the happy smiley",
    "NPS": "percentage of 9 and 10 minus percentage of 0 to 6, on 0-10 alone (Reichheld 2003)",
    "CES": "agreement that it was made easy, 1-7: mean, and share of 5 to 7 (after Dixon, Freeman "
    "& Toman 2010)",
}
NAMES: Final = {"month": "month of the ticket's end"}


@dataclass(frozen=True)
class FeedbackPage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    headline: str
    cards: Sequence[dict[str, str]]
    parts: Sequence[tuple[str, str]]
    drawing: Markup
    scores: Sequence[dict[str, str]]
    weights: Sequence[dict[str, str]]
    segments: Sequence[Row]
    window: str
    excluded: Sequence[tuple[str, str]]
    unmatched: Sequence[tuple[str, str]]
    unsure: Sequence[tuple[str, str]]
    rejects: Sequence[Row]
    rejects_note: str
    loops: LoopsPart | None
    comments: Sequence[Row]
    comments_note: str
    measures: Sequence[tuple[str, str]]
    channels: Sequence[Row]
    notes: Sequence[str]
    provenance: Sequence[tuple[str, str]]


def feedback_page(summary: Row) -> str:
    """Return the page as HTML."""
    return render("feedback.html.j2", title="Customer feedback", page=_page(_cleaned(summary)))


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Return the same with every text on one line, without characters that steer a reader."""
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return clean(value, LONGEST) if isinstance(value, str) else value


def _page(summary: Row) -> FeedbackPage:
    overall = [row for row in summary["figures"] if row["by"] is None]
    met = {row["measure"] for row in overall}
    more = len(summary["rejects"]) - REJECTS_SHOWN
    log = summary["log"]
    hashes = [(f"Log, SHA-256 ({log['source']})", log["sha256"])] if log is not None else []
    files = [file for one in summary["channels"] for file in one["files"]]
    return FeedbackPage(
        scope=_scope(summary),
        headline=_headline(summary, overall),
        cards=_cards(summary, overall),
        parts=_parts(summary),
        drawing=Markup(draw_ranges([r for r in map(_range, overall) if r is not None])),  # noqa: S704 - our own drawing
        scores=[_score(row) for row in overall],
        weights=[_weight(row, one) for row in overall for one in row["weighted"]],
        segments=_segments(summary),
        window=_window(summary["answer_within_us"]),
        excluded=[(number(n), f"{r}: {REASONS[r]}") for r, n in summary["excluded"].items() if n],
        unmatched=[
            *((number(n), f"begin with {p}") for p, n in summary["unmatched"]["by_prefix"].items()),
            *(
                (number(n), f"would match but for: {what}")
                for what, n in summary["unmatched"]["near_misses"].items()
            ),
        ],
        unsure=[(number(n), what) for what, n in summary["unsure"].items()],
        rejects=summary["rejects"][:REJECTS_SHOWN],
        rejects_note=f"{number(more)} more stand in feedback.json." if more > 0 else "",
        loops=None if summary["loops"] is None else loops_part(summary["loops"]),
        comments=[_group(row) for row in summary["comments"]["groups"]],
        comments_note=_comments_note(summary),
        measures=[(name, words) for name, words in MEASURES.items() if name in met],
        channels=[
            {"name": one["channel"], "rows": number(one["rows_in"]), "no": number(one["refused"])}
            for one in summary["channels"]
        ],
        notes=[f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in summary["notes"]],
        provenance=hashes + [(f"{file['name']}, SHA-256", file["sha256"]) for file in files],
    )


def _scope(summary: Row) -> str:
    answers = plural(summary["responses"], "response")
    channels = ", ".join(dict.fromkeys(one["channel"] for one in summary["channels"]))
    log = summary["log"]
    beside = f", beside a log of {plural(log['cases'], 'ticket')}" if log is not None else ""
    return f"{answers} over {channels}{beside}."


def _headline(summary: Row, overall: Sequence[Row]) -> str:
    rate = summary["rates"][0]
    if rate["asked"] is None:
        who = f"{plural(rate['answered'], 'answer')}; how many were asked is not known."
    else:
        share = rate["rate"]["value"]
        told = "" if share is None else f" ({percent(share)})"
        who = f"{number(rate['answered'])} of {plural(rate['asked'], 'ask')}{told} were answered."
    shown = [row for row in overall if row["what"] not in MEANS and not row["suppressed"]]
    if not shown:
        return f"{who} Too few answers to show a score."
    row = shown[0]
    bounds, unit = row["asked_bounds"], row["score"]["unit"]
    said = f"{who} {_name(row)} is {value_words(row['score']['value'], unit)}"
    if bounds["low"] is None:
        return f"{said}; what the others think is not known."
    ends = range_words(bounds["low"], bounds["high"], unit)
    return f"{said}; had everybody who was asked answered, it would lie within {ends}."


def _cards(summary: Row, overall: Sequence[Row]) -> list[dict[str, str]]:
    rate = summary["rates"][0]
    cards = [
        {
            "label": "Response rate",
            "value": value_words(rate["rate"]["value"], "share"),
            "note": "who was asked is not known"
            if rate["asked"] is None
            else f"{number(rate['answered'])} of {number(rate['asked'])}, "
            f"{range_words(rate['rate']['low'], rate['rate']['high'], 'share')}",
        }
    ]
    if rate["never_asked"] is not None:
        of = f"of {plural(summary['population'], 'ticket')} that ended"
        cards.append({"label": "Never asked", "value": number(rate["never_asked"]), "note": of})
    cards += [
        {
            "label": _name(row),
            "value": value_words(row["score"]["value"], row["score"]["unit"]),
            "note": f"n = {number(row['score']['n'])}, {_interval(row['score'])}",
        }
        for row in overall
        if row["what"] not in MEANS
    ]
    left = sum(summary["excluded"].values())
    return [*cards, {"label": "Left out", "value": number(left), "note": "each with its reason"}]


def _parts(summary: Row) -> list[tuple[str, str]]:
    found = [("scores", "Scores"), ("segments", "Who answered"), ("left-out", "Left out")]
    if summary["loops"] is not None:
        found += [("loops", "Low scores"), ("promises", "Promises and scores")]
        found += [("behind", "Behind the lowest scores")] * bool(summary["loops"]["drilled"])
    found += [("comments", "Comments")] * bool(summary["comments"]["n"])
    return [*found, ("definitions", "Definitions")]


def _name(row: Row) -> str:
    what = {"satisfied share": "", "net promoter score": ""}.get(row["what"], f" {row['what']}")
    return f"{row['measure']}{what} ({row['scale']})"


def _interval(score: Row) -> str:
    if score["value"] is None or score["low"] is None:
        return str(score["method"]) if score["value"] is None else "no interval"
    return f"95 %: {range_words(score['low'], score['high'], score['unit'])}"


def _range(row: Row) -> Range | None:
    score, unit = row["score"], row["score"]["unit"]
    if score["value"] is None:
        return None
    lowest, highest = _ends(row)

    def span(low: float | None, high: float | None) -> tuple[float, float] | None:
        return None if low is None or high is None else (low, high)

    return Range(
        label=f"{row['measure']}, {row['what']}",
        note=f"{row['scale']}, n = {number(score['n'])}",
        lowest=lowest,
        highest=highest,
        value=score["value"],
        interval=span(score["low"], score["high"]),
        asked=span(row["asked_bounds"]["low"], row["asked_bounds"]["high"]),
        everybody=span(row["all_bounds"]["low"], row["all_bounds"]["high"]),
        ends=(value_words(lowest, unit), value_words(highest, unit)),
        said=value_words(score["value"], unit),
    )


def _ends(row: Row) -> tuple[float, float]:
    unit = row["score"]["unit"]
    if unit.startswith("share"):
        return 0.0, 1.0
    if unit == "points":
        return -100.0, 100.0
    low, high = row["scale"].removeprefix("ces ").split("-")
    return float(low), float(high)


def _score(row: Row) -> dict[str, str]:
    score, unit = row["score"], row["score"]["unit"]
    asked, everybody = (row[name] for name in ("asked_bounds", "all_bounds"))
    return {
        "name": f"{row['measure']}, {row['what']}",
        "scale": row["scale"],
        "asked": "not known" if row["asked"] is None else number(row["asked"]),
        "answered": number(row["answered"]),
        "value": value_words(score["value"], unit),
        "interval": _interval(score),
        "method": score["method"],
        "bounds": range_words(asked["low"], asked["high"], unit),
        "all": range_words(everybody["low"], everybody["high"], unit),
    }


def _weight(row: Row, one: Row) -> dict[str, str]:
    unit = row["score"]["unit"]
    return {
        "name": f"{row['measure']}, {row['what']} ({row['scale']})",
        "by": NAMES.get(one["by"]) or one["by"],
        "value": value_words(one["value"], unit),
        "interval": range_words(one["low"], one["high"], unit),
        "n": f"{number(one['tickets'])} of {number(one['population'])}",
        "segments": number(one["segments"]),
        "pooled": ", ".join(one["pooled"]) or "none",
    }


def _segments(summary: Row) -> list[Row]:
    """One table for each way to part the tickets: who answered, and the scores beside."""
    names = list(dict.fromkeys(rate["by"] for rate in summary["rates"] if rate["by"] is not None))
    found = []
    for by in names:
        rates = [rate for rate in summary["rates"] if rate["by"] == by]
        rows = [_segment(rate, summary["figures"]) for rate in rates[:SEGMENTS_SHOWN]]
        more = len(rates) - SEGMENTS_SHOWN
        note = f"{number(more)} more stand in feedback.json." if more > 0 else ""
        found.append({"by": NAMES.get(by, by), "rows": rows, "note": note})
    return found


def _segment(rate: Row, figures: Sequence[Row]) -> Row:
    same = (rate["by"], rate["segment"])
    own = [f for f in figures if (f["by"], f["segment"]) == same and f["what"] not in MEANS]
    share, told = rate["rate"], rate["asked"] is not None
    return {
        "name": "(not said)" if rate["segment"] is None else rate["segment"],
        "asked": number(rate["asked"]) if told else "not known",
        "answered": number(rate["answered"]),
        "rate": value_words(share["value"], "share"),
        "interval": range_words(share["low"], share["high"], "share"),
        "never": "" if rate["never_asked"] is None else number(rate["never_asked"]),
        "scores": [f"{_name(f)}: {score_words(f)}" for f in own],
    }


def _group(row: Row) -> Row:
    scores = [
        f"{value_words(one['value'], one['unit'])} on {scale}, n = {number(one['n'])}, "
        f"{_interval(one)}"
        for scale, one in row["scores"]
    ]
    return {
        "terms": ", ".join(row["terms"]),
        "n": number(row["n"]),
        "tickets": number(row["tickets"]),
        "scores": scores,
        "texts": row["texts"][:TEXTS_SHOWN],
    }


def _comments_note(summary: Row) -> str:
    found = summary["comments"]
    if not found["n"]:
        return "No response that counts has a comment."
    said = f"{plural(found['n'], 'comment')}, grouped by the terms that they share"
    left = []
    if found["without_terms"]:
        left.append(f"{number(found['without_terms'])} have no term that others share")
    if found["in_small_groups"]:
        left.append(f"{number(found['in_small_groups'])} are in groups of fewer than 5")
    shown = (
        "Comments are shown without addresses, by leave."
        if summary["comments_shown"]
        else "Their texts are not shown."
    )
    return f"{said}{'; ' if left else ''}{', '.join(left)}. {shown}"


def _window(us: int | None) -> str:
    """Say how long after its ask an answer counts."""
    if us is None:
        return "An answer counts however late it came."
    return f"An answer counts that came within {duration(us)} of its ask."
