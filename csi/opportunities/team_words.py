"""What may be read out of the view of teams, and what may not? In plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.opportunities.words import LONGEST, listed
from csi.report.drawings.svg import clean
from csi.report.words import number, percent, plural
from process_mining.privacy import SMALLEST_TEAM

if TYPE_CHECKING:
    import pandas as pd

    from csi.opportunities.funnel import Funnel

NAMED: Final = 8


def team_sentences(
    table: pd.DataFrame, funnel: Funnel | None, few_people: int, few_tickets: int
) -> tuple[str, ...]:
    """Say what was adjusted, who does not differ, who stands apart, and who is not shown."""
    if table.empty:
        return ("No team can be shown.", *_left_out(few_people, few_tickets))
    alike = int((table["compared"] == "not visibly apart").sum())
    mix = (
        f"{plural(len(table), 'team')}, by name; this is no ranking. Differences of mix are "
        "adjusted as far as the log tells them (practice, priority, category); what it does not "
        "tell, such as how hard the work is, is not."
    )
    same = (
        "Teams whose interval holds the desk's value do not differ visibly from it: here "
        f"{number(alike)} of {number(len(table))}. With many teams some intervals miss it by "
        "chance alone."
    )
    return (mix, same, *_funnel(funnel), *_left_out(few_people, few_tickets))


def _funnel(funnel: Funnel | None) -> list[str]:
    if funnel is None:
        return ["How teams vary cannot be drawn: too few tickets with a known time."]
    apart = [one.team for one in funnel.points if funnel.apart(one)]
    wide = (
        f" Teams vary more than chance would have it; the limits are widened by "
        f"{number(funnel.phi**0.5)}."
        if funnel.phi > 1
        else ""
    )
    if not apart:
        return [f"No team lies outside the 99.8 % limits of the funnel.{wide}"]
    names = [clean(one, LONGEST) for one in apart]
    names = names if len(apart) <= NAMED else [*names[:NAMED], f"{len(apart) - NAMED} more"]
    said = (
        f"{percent(funnel.share)} of tickets take longer than usual for their kind. Outside the "
        f"99.8 % limits: {listed(names)}. That is a reason to ask, and none to judge: it may be "
        f"work that the log does not tell apart.{wide}"
    )
    return [said]


def _left_out(few_people: int, few_tickets: int) -> list[str]:
    said = []
    if few_people:
        teams = plural(few_people, "team")
        said.append(f"{teams} of fewer than {SMALLEST_TEAM} known people: not shown.")
    if few_tickets:
        teams = plural(few_tickets, "team")
        said.append(f"{teams} of fewer than {SMALLEST_TEAM} tickets: not shown.")
    return said
