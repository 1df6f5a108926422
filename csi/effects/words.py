"""What does an effect show, and what does it not? In plain sentences.

Only words: every number comes from `csi.effects.violations` and `csi.effects.losses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.effects.definitions import needs_time
from csi.effects.losses import COST, COUNT, TIME_LOST
from csi.effects.outcomes import BREACH, REOPENING, SATISFACTION, TIME
from csi.effects.violations import BEFORE, Standing
from csi.report.words import number, percent, plural
from csi.statistics.adjusted import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from csi.effects.losses import Costing
    from csi.effects.violations import Effect
    from csi.statistics.adjusted import Adjusted

ASSOCIATION: Final = (
    "This is an association: what was not recorded, such as how hard a ticket was, may explain it."
)
SHARED: Final = "That ticket cannot have suffered from a violation that came after it: something "
SAME_SIDE: Final = "else that these tickets share explains at least a part."
OTHER_SIDE: Final = "else that these tickets share is at work, the other way round."
NO_EFFECT: Final = "Not to be read as an effect."
MORE_TIME: Final = "A ticket that runs longer also has more time to break this rule."


def sentence(one: Effect) -> str:
    """Say what one row shows and what it does not."""
    if one.found is None or one.found.value is None:
        what = "left out" if one.standing is Standing.BY_DEFINITION else "not estimated"
        return f"{_name(one)} and {one.outcome}: {what}: {one.why}."
    if one.standing is Standing.NOT_SHOWN:
        return (
            f"{_name(one)} and {one.outcome}: no difference is shown among tickets"
            f"{_alike(one.found)}: {_figure(one.outcome, one.found)}; {one.why}. "
            "That does not prove that there is none."
        )
    parts = [
        (
            f"Among tickets{_alike(one.found)}, those with {_name(one)} "
            f"{_did(one.outcome, one.found)}."
        ),
        _check(one),
        _control(one),
        _shared(one.found, one.control)
        if one.standing is Standing.SHARED_CAUSE and one.control is not None
        else ASSOCIATION,
    ]
    if one.outcome in {TIME, BREACH} and needs_time(one.rule):
        parts.append(MORE_TIME)
    return " ".join(part for part in parts if part)


def story(found: Sequence[Effect], pareto: pd.DataFrame, costing: Costing) -> tuple[str, ...]:
    """Say what weighs most, what goes with what, and how much is not told."""
    told = (Standing.ASSOCIATION, Standing.NOT_RULED_OUT, Standing.SHARED_CAUSE)
    rows = [sentence(one) for kind in told for one in found if one.standing is kind]
    return (*_weightiest(pareto, costing), *rows, *_rest(found))


def _rest(found: Sequence[Effect]) -> list[str]:
    said = []
    for standing, words in (
        (Standing.NOT_SHOWN, "show no difference, which does not prove that there is none"),
        (Standing.NOT_ESTIMATED, f"are not estimated, most for want of {SMALLEST} tickets a side"),
        (
            Standing.BY_DEFINITION,
            "are left out: the violation is by definition part of the outcome, or comes after it",
        ),
    ):
        n = sum(one.standing is standing for one in found)
        if n:
            said.append(f"{number(n)} of {number(len(found))} pairs of rule and outcome {words}.")
    return said


def _weightiest(pareto: pd.DataFrame, costing: Costing) -> list[str]:
    if pareto.empty:
        return ["No rule was violated."]
    first = pareto.iloc[0]
    said = [
        (
            f"Most frequent: {first['code']}, {first['title']}: "
            f"{plural(int(first[COUNT]), 'ticket')} of {number(int(first['n']))}, "
            f"{percent(first[f'{COUNT}_share'])} of all violations."
        )
    ]
    slow = pareto[pareto[TIME_LOST].astype(float) > 0].sort_values(f"{TIME_LOST}_rank")
    if len(slow):
        one = slow.iloc[0]
        said.append(
            f"Most time beyond alike tickets: {one['code']}, {one['title']}: "
            f"{number(float(one[TIME_LOST]), 0)} h ({_between(one, 'time_lost_{}_h')}; n = "
            f"{number(int(one[COUNT]))}; no ticket counts for more than "
            f"{costing.horizon_days:g} days)."
        )
    dear = pareto[pareto[COST].astype(float) > 0].sort_values(f"{COST}_rank")
    if len(dear):
        one = dear.iloc[0]
        unsure = one["reads_as"] == Standing.NOT_RULED_OUT
        doubt = "; a shared cause is not ruled out" if unsure else ""
        said.append(
            f"Highest adjusted cost: {one['code']}, {one['title']}: "
            f"{number(float(one[COST]), 0)} {one['unit']} ({_between(one, 'cost_{}')}){doubt}."
        )
    untold = int(pareto[COST].isna().sum())
    free = len(pareto) - len(dear) - untold
    said.append(
        f"Of {plural(len(pareto), 'violated rule')}, {number(free)} cost nothing that is shown; "
        f"of {number(untold)} it cannot be told. The table says why."
    )
    return said


def _between(row: pd.Series, name: str) -> str:
    low, high = row[name.format("low")], row[name.format("high")]
    if low is None or low != low:  # noqa: PLR0124 - NaN
        return "no interval"
    return f"{number(float(low), 0)} to {number(float(high), 0)}"


def _name(one: Effect) -> str:
    return f"{one.rule.code} ({one.rule.name.replace('-', ' ')})"


def _alike(found: Adjusted) -> str:
    names = [name for name in found.groups if name != BEFORE]
    if not names:
        return " (nothing could be held alike)"
    *most, last = names
    return f" alike in {', '.join(most)} and {last}" if most else f" alike in {last}"


def _did(outcome: str, found: Adjusted) -> str:
    value, counted = found.value or 0.0, f"n = {number(found.n)} against {number(found.n_others)}"
    between = f"({_range(found)}; {counted})"
    if outcome == SATISFACTION:
        way = "higher" if value > 0 else "lower"
        return f"scored {abs(value):.2f} points {way} ({_range(found)} points; {counted})"
    said = {
        TIME: f"took {_times(value)} times as long",
        BREACH: f"had {_times(value)} times the odds of a breached resolution clock",
        REOPENING: f"had {_times(value)} times the odds of a reopening",
    }
    return f"{said[outcome]} {between}"


def _figure(outcome: str, found: Adjusted) -> str:
    value = found.value or 0.0
    said = (
        f"{_signed(value)} points" if outcome == SATISFACTION else f"{found.unit} {_times(value)}"
    )
    return f"{said} ({_range(found)}; n = {number(found.n)} against {number(found.n_others)})"


def _check(one: Effect) -> str:
    found = one.matched
    if found is None or found.value is None or min(found.n, found.n_others) < SMALLEST:
        return ""
    what = {
        TIME: f"the median time is {_times(found.value)} times that",
        BREACH: f"the odds are {_times(found.value)} times those",
        REOPENING: f"the odds are {_times(found.value)} times those",
        SATISFACTION: f"the mean differs by {_signed(found.value)} points from that",
    }[one.outcome]
    counted = f"n = {number(found.n)} against {number(found.n_others)}"
    return f"Matched exactly, {what} of the others ({counted})."


def _control(one: Effect) -> str:
    found = one.control
    if found is None or found.value is None:
        why = "" if found is None else f": {found.why_not}"
        return f"There is no negative control{why}; a cause that is shared is not ruled out."
    value = _signed(found.value) if one.outcome == SATISFACTION else _times(found.value)
    does = "differs too" if found.differs else "is not shown to differ"
    rest = f"; {one.why}" if one.standing is Standing.NOT_RULED_OUT else ""
    return (
        f"The ticket opened just before in the same priority, category and team {does} "
        f"({value}; {_range(found)}; n = {number(found.n)} against {number(found.n_others)}){rest}."
    )


def _shared(found: Adjusted, control: Adjusted) -> str:
    above = [(each.value or 0.0) > each.none for each in (found, control)]
    return f"{SHARED}{SAME_SIDE if above[0] == above[1] else OTHER_SIDE} {NO_EFFECT}"


def _range(found: Adjusted) -> str:
    say = _signed if found.none == 0 else _times
    return f"{say(found.low or 0.0)} to {say(found.high or 0.0)}"


def _times(value: float) -> str:
    return number(value, 2 if round(value, 2) < 10 else 1)  # noqa: PLR2004 - digits enough


def _signed(value: float) -> str:
    return number(value, 2)
