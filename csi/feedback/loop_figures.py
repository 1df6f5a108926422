"""How many loops are closed, how many in time, and how soon is a customer called?

Of all low scores, or of those of one segment (practice, channel, service, team, priority, month of
the score, UTC):

    closure     closed or settled / decided. Decided is what is closed or settled, and what broke by
                a step that is missing, although some of those may still be mended. Wilson interval.
                `bounds`: had all loops that are not decided never been closed, or all of them
    in time     decided, closed and without any break / decided or broken
    to contact  Kaplan-Meier median of the open time until the contact, in hours of the limit's
                calendar; scores whose customer nobody has called yet are censored, and where the
                ticket ended without a contact it is censored then as well: at least so long

A loop whose source cannot show a step (*unknown*) counts among the low scores alone. Segments with
fewer than 5 low scores, and teams of fewer than 5 known people, show their counts and no figures.
Loops of one ticket are taken as independent; tickets seldom have two.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from csi.feedback.loop_steps import BREAKS, Break
from csi.feedback.summary import SMALLEST_GROUP, Bounds
from csi.statistics import Estimate, censored_quantile, proportion
from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean
from process_mining.privacy import SMALLEST_TEAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from csi.feedback.loop import Loop, Loops

MONTH: Final = "month"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _month(one: Loop) -> str:
    return (_EPOCH + dt.timedelta(microseconds=one.received_us)).strftime("%Y-%m")


SEGMENTS: Final[Mapping[str, Callable[[Loop], str | None]]] = {
    "practice": lambda one: one.practice,
    "channel": lambda one: one.channel,
    "service": lambda one: one.service,
    "team": lambda one: one.team,
    "priority": lambda one: one.priority,
    MONTH: _month,
}


@dataclass(frozen=True)
class LoopFigures:
    """The figures of one segment (`by` None: of all loops); `broke` counts first breaks.

    `low` scores began a loop each: `closed` with an answer to the customer, `settled` at the
    contact, `missing` broken by a step that is missing, `open` within their limits, and `unknown`.
    """

    by: str | None
    segment: str | None
    low: int
    closed: int
    settled: int
    missing: int
    open: int
    unknown: int
    broke: Mapping[Break, int]
    closure: Estimate
    bounds: Bounds
    in_time: Estimate
    to_contact: Estimate
    suppressed: bool = False


def loop_figures(loops: Loops, *, by: str | None = None) -> tuple[LoopFigures, ...]:
    """Sum up loops: one LoopFigures, or one for each value of a segment, those without it last.

    Raises CodedError ST551 for an unknown segment.
    """
    if by is None:
        return (_figures(loops.loops, None, None),)
    if by not in SEGMENTS:
        raise CodedError("ST551", f"unknown segment '{by}'", fix=did_you_mean(by, SEGMENTS))
    groups: dict[str | None, list[Loop]] = defaultdict(list)
    for one in loops.loops:
        groups[SEGMENTS[by](one)].append(one)
    return tuple(
        _suppressed(_figures(groups[value], by, value), loops.teams)
        for value in sorted(groups, key=lambda text: (text is None, text or ""))
    )


def figures_to_pandas(figures: Sequence[LoopFigures]) -> pd.DataFrame:
    """Return one row a segment: counts, first breaks, and each figure with its interval."""
    import pandas as pd  # noqa: PLC0415 - the figures themselves need none

    return pd.DataFrame([_row(one) for one in figures])


def _figures(loops: Sequence[Loop], by: str | None, segment: str | None) -> LoopFigures:
    standing = Counter(one.standing for one in loops)
    closed, settled = standing["closed"], standing["settled"]
    decided = [one for one in loops if one.decided]
    missing = sum(not one.closed for one in decided)
    known = len(loops) - standing["unknown"]
    told = [one for one in loops if one.decided or one.breaks]
    kept = sum(one.closed and not one.breaks for one in told)
    still_open = sum(not one.decided and one.standing != "unknown" for one in loops)
    total = closed + settled
    return LoopFigures(
        by=by,
        segment=segment,
        low=len(loops),
        closed=closed,
        settled=settled,
        missing=missing,
        open=still_open,
        unknown=sum(not one.decided and one.standing == "unknown" for one in loops),
        broke=_first_breaks(loops),
        closure=proportion(total, len(decided), unit="share of decided loops"),
        bounds=Bounds(total / known, (total + still_open) / known) if known else Bounds(None, None),
        in_time=proportion(kept, len(told), unit="share of decided or broken loops"),
        to_contact=_to_contact(loops),
    )


def _first_breaks(loops: Sequence[Loop]) -> dict[Break, int]:
    counts = Counter(one.broke for one in loops)
    return {one: counts[one] for one in BREAKS if counts[one]}


def _to_contact(loops: Sequence[Loop]) -> Estimate:
    waits = [
        one.contact
        for one in loops
        if one.contact is not None and (one.contact.end_us is not None or one.standing != "unknown")
    ]
    hours = [one.open_us / s.US_PER_HOUR for one in waits]
    return censored_quantile(hours, [one.end_us is None for one in waits], unit="open hours")


def _suppressed(one: LoopFigures, teams: Mapping[str, int]) -> LoopFigures:
    """Blank the figures of a segment that is too small to be spoken of."""
    few = one.low < SMALLEST_GROUP
    small = one.by == "team" and 0 < teams.get(one.segment or "", 0) < SMALLEST_TEAM
    if not few and not small:
        return one
    why = f"fewer than {SMALLEST_GROUP} low scores" if few else f"a team of under {SMALLEST_TEAM}"
    return replace(
        one,
        closure=_blank(one.closure, why),
        in_time=_blank(one.in_time, why),
        to_contact=_blank(one.to_contact, why),
        bounds=Bounds(None, None),
        broke={},
        suppressed=True,
    )


def _blank(one: Estimate, why: str) -> Estimate:
    return replace(one, value=None, low=None, high=None, method=f"suppressed: {why}")


def _row(one: LoopFigures) -> dict[str, object]:
    counts = ("low", "closed", "settled", "missing", "open", "unknown")
    row: dict[str, object] = {"by": one.by, "segment": one.segment}
    row |= {name: getattr(one, name) for name in counts}
    row |= {f"broke: {name}": one.broke.get(name, 0) for name in BREAKS}
    for name in ("closure", "in_time", "to_contact"):
        found: Estimate = getattr(one, name)
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        row |= {f"{name}_n": found.n, f"{name}_method": found.method}
    return row | {
        "closure_if_none": one.bounds.low,
        "closure_if_all": one.bounds.high,
        "suppressed": one.suppressed,
    }
