"""What does a person read who compares two groups of tickets? One page: whether, where, how sure.

Everything is said from `summary` (what summary.json holds); the map is drawn from the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.comparison_flow import Verdict
from csi.report.drawings.difference_map import Part, draw_difference_map
from csi.report.drawings.svg import clean
from csi.report.page import render
from csi.report.words import duration, number, percent, plural
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.comparison import Compared
    from csi.comparison_flow import Feature

SHOWN: Final = 15
NAME_SHOWN: Final = 120
CLASSES: Final = {
    "differs": "differs",
    "differs little": "low",
    "no difference shown": "pass",
    "inconclusive": "inconclusive",
    "too rare": "none",
}


@dataclass(frozen=True)
class ComparePage:
    """The words of the page, in reading order; lists hold one dict a row."""

    scope: str
    groups: Sequence[tuple[str, str]]
    headline: str
    figures: Sequence[dict[str, str]]
    shown_note: str
    p_note: str
    differing: Sequence[dict[str, str]]
    map: Markup
    times: Sequence[dict[str, str]]
    times_note: str
    every: Sequence[dict[str, str]]
    remarks: Sequence[str]
    method: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]


def compare_page(found: Compared, summary: dict[str, Any]) -> str:
    """Return the page as HTML."""
    return render("compare.html.j2", title="Two groups compared", page=_page(found, summary))


def _page(found: Compared, summary: dict[str, Any]) -> ComparePage:
    rows = [feature_words(row) for row in summary["features"]]
    differing = [row for row in rows if row["verdict"] == Verdict.DIFFERS.value]
    return ComparePage(
        scope=f"A against B, {clean(summary['split'])}.",
        groups=[
            (f"{name.upper()}: {clean(summary[name]['label'])}", _group(summary[name]))
            for name in "ab"
        ],
        headline=clean(summary["sentence"]),
        figures=_figures(summary),
        shown_note=_shown_note(len(differing)),
        p_note=_least_p(summary["flow"]),
        differing=differing[:SHOWN],
        map=_map(found),
        times=[time_words(row) for row in summary["times"]],
        times_note=_times_note(summary),
        every=rows,
        remarks=[clean(one) for one in summary["remarks"]],
        method=_method(summary),
        provenance=_provenance(summary),
    )


def _group(side: dict[str, Any]) -> str:
    still = f", {number(side['open'])} of them still open" if side["open"] else ""
    said = f"{plural(side['cases'], 'case')} with {plural(side['events'], 'event')}{still}"
    words = side["vocabulary"]
    return said if words is None else f"{said}; words of the vocabulary {words}"


def _figures(summary: dict[str, Any]) -> list[dict[str, str]]:
    flow, times = summary["flow"], summary["times"]
    judged = sum(row["confidence"] is not None for row in times)
    slower = [row for row in times if row["verdict"] == Verdict.DIFFERS.value]
    return [
        {
            "label": "Do their ways differ?",
            "value": flow["verdict"],
            "note": _p_words(flow),
        },
        {
            "label": "Steps and successions that differ",
            "value": f"{number(flow['differing'])} of {number(flow['tested'])}",
            "note": f"{number(flow['features'] - flow['tested'])} more are in too few cases, or in "
            "too many, to test",
        },
        _variants_card(flow["variants"]),
        {
            "label": "Times that differ",
            "value": f"{number(len(slower))} of {number(judged)}",
            "note": "case time and time in each state, by medians",
        },
    ]


def _p_words(flow: dict[str, Any]) -> str:
    if flow["obstacle"]:
        return str(flow["obstacle"])
    if flow["p"] is None:
        return "nothing could be tested"
    low, high = (f"{flow[name]:.4f}" for name in ("p_low", "p_high"))
    drawn = number(flow["permutations"])
    return f"p = {flow['p']:.4f} ({low} to {high}, {drawn} permutations)"


def _variants_card(found: dict[str, Any] | None) -> dict[str, str]:
    label = "Cases that go another way"
    if found is None:
        return {"label": label, "value": "unknown", "note": "a group has no ended case"}
    chance = f"by chance alone {percent(found['by_chance'])}"
    kinds = plural(found["classes"], "variant")
    return {"label": label, "value": percent(found["distance"]), "note": f"{chance}; {kinds}"}


def _shown_note(n: int) -> str:
    return f"The {number(SHOWN)} largest of {number(n)}; all stand below." if n > SHOWN else ""


def _least_p(flow: dict[str, Any]) -> str:
    """Say how small a p can get: it says as much about the permutations as about the groups."""
    drawn = flow["permutations"]
    return f"With {number(drawn)} permutations p cannot fall below {1 / (1 + drawn):.4f}."


def feature_words(row: dict[str, Any]) -> dict[str, str]:
    """One step or succession in words."""
    p = row["p"]
    return {
        "what": feature_name(row),
        "kind": row["kind"],
        "a": _part(row["k_a"], row["n_a"]),
        "b": _part(row["k_b"], row["n_b"]),
        "difference": points(row["difference"]),
        "interval": "" if row["low"] is None else f"{points(row['low'])} to {points(row['high'])}",
        "p": "not tested" if p is None else f"{p:.4f}",
        "verdict": row["verdict"],
        "class": CLASSES[row["verdict"]],
    }


def feature_name(row: dict[str, Any]) -> str:
    """Say which step or succession it is."""
    step, after = (clean(row[end] or "", NAME_SHOWN) for end in ("activity", "next"))
    said = {"step": step, "start": f"begins with {after}", "end": f"ends with {step}"}
    return said.get(row["kind"], f"{step} → {after}")


def points(share: float | None) -> str:
    """Say a difference of shares in percentage points, with its sign."""
    if share is None:
        return "unknown"
    shown = f"{100 * share:+.1f}"
    return "0.0" if shown in {"+0.0", "-0.0"} else shown.replace("-", "\N{MINUS SIGN}")


def _part(k: int, n: int) -> str:
    return f"{percent(k / n)} ({number(k)})" if n else "no case"


def time_words(row: dict[str, Any]) -> dict[str, str]:
    """One kind of time in words."""
    return {
        "what": "case time"
        if row["activity"] is None
        else f"in {clean(row['activity'], NAME_SHOWN)}",
        "n": f"{_with_open(row['n_a'], row['open_a'])} / {_with_open(row['n_b'], row['open_b'])}",
        "a": _hours(row["a"]),
        "b": _hours(row["b"]),
        "difference": _signed(row["difference"]),
        "interval": _limits(row),
        "verdict": row["verdict"],
        "class": CLASSES[row["verdict"]],
    }


def _with_open(n: int, still: int) -> str:
    return f"{number(n)} ({number(still)} open)" if still else number(n)


def _hours(value: float | None) -> str:
    return "unknown" if value is None else duration(round(value * s.US_PER_HOUR))


def _signed(value: float | None) -> str:
    if value is None:
        return "unknown"
    return ("+" if value > 0 else "") + _hours(value)


def _limits(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return ""
    low, high = (
        side if row[name] is None else _signed(row[name])
        for name, side in (("low", "unbounded"), ("high", "unbounded"))
    )
    return f"{low} to {high}"


def _times_note(summary: dict[str, Any]) -> str:
    if not summary["times"]:
        return "The log has no times."
    least = percent(summary["least"]["change"])
    return (
        "Medians of elapsed time a case; cases still open count as at least as long as they have "
        f"run. The intervals hold together with 95 % confidence. A change matters from {least} of "
        "the median of A on."
    )


def _map(found: Compared) -> Markup:
    features = found.flow.features
    steps = [_drawn(one) for one in features if one.kind == "step"]
    lines = [_drawn(one) for one in features if one.kind != "step"]
    if not steps:
        return Markup()
    drawn = draw_difference_map(steps, lines, name="differences", title="Where A and B part")
    return Markup(drawn)  # noqa: S704 - our own drawing


def _drawn(one: Feature) -> Part:
    return Part(
        is_step=one.kind == "step",
        source=one.source,
        target=one.target,
        share_a=one.k_a / max(one.n_a, 1),
        share_b=one.k_b / max(one.n_b, 1),
        cases=one.k_a + one.k_b,
        differs=one.verdict is Verdict.DIFFERS,
    )


def _method(summary: dict[str, Any]) -> list[tuple[str, str]]:
    flow, least = summary["flow"], summary["least"]
    return [
        ("Which cases have ended", summary["ended_by"]),
        ("Whether, and where", f"{flow['method']}; seed {flow['seed']}"),
        ("Differences of shares", f"{flow['interval_method']}, 95 %, each by itself"),
        ("Times", summary["time_method"]),
        ("What matters", f"shares from {points(least['share'])} points on"),
    ]


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"Log {i + 1}, SHA-256 of its content", row["sha256"])
        for i, row in enumerate(summary["logs"])
    ]
