"""How are deviations from a model said and marked? The same on every page.

The rows are those of `csi.conformance`: `deviation_rows` and `activity_rows`. Each activity at
which cases deviate has a place in the page (`anchors`), to which its task in the drawing leads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.report.drawings import signs
from csi.report.drawings.bpmn import Mark
from csi.report.words import number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rows = Sequence[dict[str, Any]]

GROUPS_SHOWN: Final = 40
MEANING: Final = {
    "skipped": "the model asks for the step, the case does not have it",
    "unexpected": "the model has no place for the step on the way that the case took",
    "too early": "the step was done, but before its place in the model",
    "too late": "the step was done, but after its place in the model",
    "repeated": "the step was done once more than the model allows there",
    "wrong branch": "the step belongs to another branch than the one that the case took",
}


def sign(kind: str) -> Markup:
    """Return a kind's sign, to stand beside its word."""
    return Markup(signs.small(kind))  # noqa: S704 - our own drawing


def meanings() -> list[dict[str, Any]]:
    """Say what each kind means, beside its sign."""
    return [{"sign": sign(kind), "word": kind, "means": MEANING[kind]} for kind in MEANING]


def deviating(activities: Rows) -> list[dict[str, Any]]:
    """Return the activities at which cases deviate, most cases first."""
    rows = [row for row in activities if row["deviating"]]
    return sorted(rows, key=lambda row: (-row["deviating"], row["activity"]))


def anchors(activities: Rows, prefix: str) -> dict[str, str]:
    """Return the id of each activity's place in a page; the rarer ones share the last."""
    rows = deviating(activities)
    return {
        row["activity"]: f"{prefix}-{i + 1}" if i < GROUPS_SHOWN else f"{prefix}-more"
        for i, row in enumerate(rows)
    }


def marks_of(activities: Rows, places: Mapping[str, str]) -> dict[str, Mark]:
    """Return what a drawing of the model shows of each activity."""
    return {
        row["activity"]: Mark(
            kinds=tuple(row["kinds"].items()),
            deviating=row["deviating"],
            passed=row["passed"],
            n_cases=row["of"],
            href=f"#{places[row['activity']]}" if row["deviating"] else None,
        )
        for row in activities
    }


def groups(activities: Rows, deviations: Rows, places: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the deviations in words, an activity at a time, most cases first."""
    return [_group(row, deviations, places) for row in deviating(activities)[:GROUPS_SHOWN]]


def _group(row: dict[str, Any], deviations: Rows, places: Mapping[str, str]) -> dict[str, Any]:
    share = percent(row["deviating"] / row["of"])
    return {
        "id": places[row["activity"]],
        "activity": row["activity"],
        "told": f"{number(row['deviating'])} of {plural(row['of'], 'case')} deviate here "
        f"({share}); {number(row['passed'])} did it as expected",
        "rows": [_row(one) for one in deviations if one["activity"] == row["activity"]],
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    more = row["cases"] - len(row["examples"])
    return {
        "sign": sign(row["kind"]),
        "said": row["text"],
        "cases": number(row["cases"]),
        "share": percent(row["share"], (row["low"], row["high"])),
        "n": number(row["n"]),
        "examples": row["examples"],
        "more": f"and {number(more)} more" if more > 0 else "",
    }


def rest(activities: Rows, where: str) -> str:
    """Say how many activities the groups leave out, and `where` they stand."""
    more = len(deviating(activities)) - GROUPS_SHOWN
    if more <= 0:
        return ""
    return f"{plural(more, 'further activity', 'further activities')} with fewer cases: {where}."
