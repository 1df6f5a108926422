"""What does a person read about what goes with a deviation? A section that pages include.

`causes_section` turns `csi.root_causes.RootCauses` into words for `_causes.html.j2`, which expects
a variable `causes` with a `CausesSection`; the page gives it a heading. The words say that a group
*goes with* a deviation, never that it makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape

from csi.case_attributes import SMALLEST
from csi.report.drawings.svg import clean
from csi.report.words import number, percent, plural
from csi.root_causes import LEVEL, Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.root_causes import Branch, Group, RootCauses
    from csi.statistics import Estimate
    from csi.statistics.association import Ratio

SHOWN: Final = 12
NAME_SHOWN: Final = 120


@dataclass(frozen=True)
class CausesSection:
    """The words of the section; `tree` is a nested list of our own making."""

    lead: str
    groups: Sequence[dict[str, str]]
    groups_note: str
    tree: Markup
    tree_note: str
    left_out: Sequence[dict[str, str]]
    method: str


def causes_section(found: RootCauses) -> CausesSection:
    """Return the section in words."""
    shown = found.found[:SHOWN]
    return CausesSection(
        lead=_lead(found),
        groups=[_group(one) for one in shown],
        groups_note=_groups_note(found),
        tree=Markup() if found.tree is None else _tree(found.tree),
        tree_note=TREE_NOTE,
        left_out=[{"what": one.attribute, "why": one.why} for one in found.left_out],
        method=found.method,
    )


TREE_NOTE: Final = (
    "The questions were chosen on one half of the cases and the shares measured on the other, so "
    "the choice does not flatter them. It shows what goes together; it has no test of its own."
)


def causes_json(found: RootCauses) -> dict[str, Any]:
    """Return what a summary.json holds."""
    return {
        "subject": found.subject,
        "n": found.share.n,
        "share": found.share.value,
        "inconclusive": found.inconclusive,
        "asked": len(found.groups),
        "groups": [_row(one) for one in found.found],
        "left_out": [{"attribute": one.attribute, "why": one.why} for one in found.left_out],
        "method": found.method,
        "level": LEVEL,
    }


def _row(one: Group) -> dict[str, Any]:
    table = one.table
    return {
        "attribute": one.attribute,
        "value": one.value,
        "standing": one.standing.value,
        "k": table.k,
        "n": table.n,
        "k_rest": table.k_rest,
        "n_rest": table.n_rest,
        "lift": [one.lift.value, one.lift.low, one.lift.high],
        "risk_ratio": [one.ratio.value, one.ratio.low, one.ratio.high],
        "p": one.p,
        "adjusted_p": one.adjusted_p,
        "excess_cases": one.excess,
    }


def _lead(found: RootCauses) -> str:
    if found.inconclusive:
        return f"Inconclusive: {found.inconclusive}."
    known, many = found.found, plural(len(found.groups), "group")
    share = f"{found.subject}: {_share(found.share)} of {plural(found.share.n, 'case')}"
    if not known:
        return f"{share}. None of {many} of cases is shown to go with it."
    more = sum(one.standing is Standing.MORE for one in known)
    rest = len(known) - more
    return (
        f"{share}. Of {many} of cases {number(more)} go with more of it and {number(rest)} with "
        "less. To go with it is not to make it: each is a place to look."
    )


def _share(one: Estimate) -> str:
    return "unknown" if one.value is None else percent(one.value)


def _groups_note(found: RootCauses) -> str:
    more = len(found.found) - SHOWN
    rest = f" {number(more)} more go with it." if more > 0 else ""
    return (
        f"Groups of at least {SMALLEST} cases against all others, largest excess first. Values are "
        f"those of the end of the case, where a tool changes them.{rest}"
    )


def _group(one: Group) -> dict[str, str]:
    table = one.table
    return {
        "what": f"{one.attribute}: {clean(one.value, NAME_SHOWN)}",
        "standing": one.standing.value,
        "class": "differs" if one.standing is Standing.MORE else "low",
        "share": f"{_share(one.share)} ({number(table.k)} of {number(table.n)})",
        "elsewhere": _share(one.share_elsewhere),
        "lift": _ratio(one.lift),
        "excess": f"{one.excess:+,.0f}".replace("-", "\N{MINUS SIGN}"),
        "p": f"{one.adjusted_p:.4f}" if one.adjusted_p >= 0.0001 else "under 0.0001",  # noqa: PLR2004 - digits shown
    }


def _ratio(one: Ratio) -> str:
    if one.value is None:
        return "unknown"
    low = "0" if one.low is None else f"{one.low:.2f}"
    high = "unbounded" if one.high is None else f"{one.high:.2f}"
    return f"{one.value:.2f} ({low} to {high})"


def _tree(one: Branch) -> Markup:
    """Return the tree as a nested list; every text of the log is escaped."""
    interval = (
        None if one.share.low is None or one.share.high is None else (one.share.low, one.share.high)
    )
    told = "no case" if one.share.value is None else percent(one.share.value, interval)
    said = Markup("{} of {}").format(told, plural(one.share.n, "case"))
    if one.yes is None or one.no is None:
        return said
    value = escape(clean(one.value or "", NAME_SHOWN))
    return Markup(
        '{}<ul class="tree"><li><strong>{} is {}</strong>: {}</li>'
        "<li><strong>{} is another</strong>: {}</li></ul>"
    ).format(said, one.attribute, value, _tree(one.yes), one.attribute, _tree(one.no))
