"""Which kinds of tickets call for an article, for self-service, or for automation?

Sought among tickets that customers or machines raise (incidents and service requests), in repeated
kinds (`csi.opportunities.kinds`); every number below is a field of `csi.opportunities.definitions`.
A kind is a candidate of one sort at most, the first that fits:

automation      the lower limit of the share that took the commonest way is at least `same_way`;
                the upper limit of the median time in states of work is at most `touch_h` (the time
                to resolve, where states of work are not told); and it comes like a machine: at
                least `machine` of the tickets by a channel of machines, or regularly
self-service    few of high priority (`high_share`); the upper limit of the median time to resolve
                is at most `short_h`; the lower limit of the share of simple tickets is at least
                `simple_share`: resolved by one team, in at most `steps` steps, not reopened
knowledge gap   takes long (the median, less waits for the customer or others, is at least `longer`
                times the desk's, and more tickets than elsewhere lie beyond the desk's) or is
                handed over (share at least `apart` above the others'); and no article (share of
                tickets that used one at most `article_share`) or a first-contact share at least
                `apart` under the others'. What is compared counts only where the adjusted p is at
                most `level`.

What could be saved is an estimate with assumptions, which the sentence names:

automation, self-service   tickets a month x the share that a change could reach; hours: that x the
                           median time to resolve (what customers wait; the median, since the mean
                           of skewed times is that of a few tickets)
knowledge gap              first contacts: tickets a month x the gap in the first-contact share x
                           the share; hours: tickets a month x the difference of the medians (the
                           kind's less the desk's, MOVER limits) x the share. None where it is not
                           for being slow, or not for being behind, that it is a candidate.

Tickets of one kind may still differ in what no column tells: a candidate is a question to the
people who know the work, and no finding. What this does to noise is measured in
tests/improvement/test_opportunity_noise.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot
from typing import TYPE_CHECKING, Final, Literal

import pandas as pd

from csi.opportunities.gain import NOTHING, Range, no_loss, times
from csi.opportunities.kinds import kinds_of
from csi.opportunities.words import candidate_words, sought_words
from rules.opportunity import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from csi.opportunities.definitions import Definitions
    from csi.opportunities.kinds import Contrast, Kind
    from csi.opportunities.tickets import Tickets
    from csi.statistics import Estimate

Sort = Literal["automation", "self-service", "knowledge gap"]
CASE_TYPES: Final = frozenset({"incident", "service_request"})


@dataclass(frozen=True)
class Candidate:
    """A kind of ticket, what it is a candidate for, why, and what could be saved a month.

    `tickets`: fewer tickets, or for a knowledge gap more first contacts. `hours`: of time to
    resolve. `code` is the same for the same kind in every run.
    """

    sort: Sort
    kind: Kind
    why: tuple[str, ...]
    tickets: Range
    hours: Range
    code: str
    sentence: str = ""


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidates, those first that could save most tickets; `frame` has one row each."""

    found: tuple[Candidate, ...]
    sentences: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a candidate, with the figures of its kind; times in hours, shares from 0 to 1."""
        return pd.DataFrame([_row(one) for one in self.found], columns=list(COLUMNS))


def candidates_of(tickets: Tickets, given: Definitions) -> Candidates:
    """Return the candidates among the tickets of a window, and what was sought."""
    seen = kinds_of(tickets, given, case_types=CASE_TYPES)
    found = [one for kind in seen.kinds if (one := _candidate(kind, given)) is not None]
    found.sort(key=lambda one: (-(one.tickets.value or 0.0), one.code))
    return Candidates(tuple(found), sought_words(tickets, seen, found, given))


def _candidate(kind: Kind, given: Definitions) -> Candidate | None:
    for sort, test in _TESTS.items():
        why = test(kind, given)
        if why:
            fewer, hours = _saved(sort, kind, given)
            code = "CND-" + digest("candidate", kind.practice, kind.subject, kind.resolution)
            found = Candidate(sort, kind, why, fewer, hours, code)
            return replace(found, sentence=candidate_words(found, given))
    return None


# --- the three tests: why a kind is a candidate, nothing where it is none


def _automation(kind: Kind, given: Definitions) -> tuple[str, ...]:
    same = _least(kind.commonest, given.same_way)
    if not (same and _most(kind.touch, given.touch_h)):
        return ()
    why = []
    if kind.machine is not None and (kind.machine.value or 0.0) >= given.machine:
        why.append("it comes by a channel of machines")
    if kind.slot:
        why.append(f"it comes {kind.slot}")
    return tuple(why)


def _self_service(kind: Kind, given: Definitions) -> tuple[str, ...]:
    quiet = (kind.high_priority.value or 0.0) <= given.high_share
    short = _most(kind.hours, given.short_h)
    simple = _least(kind.simple, given.simple_share)
    return ("it is short and goes a simple way",) if quiet and short and simple else ()


def _knowledge(kind: Kind, given: Definitions) -> tuple[str, ...]:
    slow = list(_slow(kind, given))
    gap = list(_gap(kind, given))
    return tuple(slow + gap) if slow and gap else ()


def _slow(kind: Kind, given: Definitions) -> Iterator[str]:
    """Why a kind is hard work."""
    if _takes_long(kind, given):
        yield "it takes long"
    if _apart(kind.contrasts["handed_over"], given, sign=1):
        yield "it is handed over"


def _takes_long(kind: Kind, given: Definitions) -> bool:
    mine, desk, long = kind.net.value, kind.desk_net.value, kind.contrasts["long"]
    slower = bool(mine and desk) and (mine or 0.0) >= given.longer * (desk or 0.0)
    return slower and long.gap > 0 and long.p <= given.level


def _gap(kind: Kind, given: Definitions) -> Iterator[str]:
    """Why knowledge may be what is missing."""
    if kind.article is not None and (kind.article.value or 0.0) <= given.article_share:
        yield "hardly any of them used an article"
    if _apart(kind.contrasts["first_contact"], given, sign=-1):
        yield "few are resolved at first contact"


def _apart(one: Contrast, given: Definitions, *, sign: int) -> bool:
    return sign * one.gap >= given.apart and one.p <= given.level


def _least(one: Estimate, limit: float) -> bool:
    return one.low is not None and one.low >= limit


def _most(one: Estimate, limit: float) -> bool:
    return one.high is not None and one.high <= limit


_TESTS: Final[dict[Sort, Callable[[Kind, Definitions], tuple[str, ...]]]] = {
    "automation": _automation,
    "self-service": _self_service,
    "knowledge gap": _knowledge,
}


# --- what could be saved


def _saved(sort: Sort, kind: Kind, given: Definitions) -> tuple[Range, Range]:
    """Return tickets and hours a month."""
    if sort != "knowledge gap":
        reached = given.automation if sort == "automation" else given.self_service
        fewer = times(kind.a_month, reached)
        return fewer, times(fewer, kind.hours)
    reached = given.knowledge
    first, hours = NOTHING, NOTHING
    if _apart(kind.contrasts["first_contact"], given, sign=-1):
        first = times(kind.a_month, no_loss(_behind(kind.contrasts["first_contact"])), reached)
    if _takes_long(kind, given):
        hours = times(kind.a_month, no_loss(_slower(kind)), reached)
    return first, hours


def _behind(one: Contrast) -> Range:
    """By how much the kind's share lies under the others', with Newcombe's limits (method 10)."""
    a, b = one.share, one.others
    return _difference(b, a)


def _slower(kind: Kind) -> Range:
    """By how many hours the kind's median less waits lies over the desk's, with MOVER limits."""
    return _difference(kind.net, kind.desk_net)


def _difference(more: Estimate, less: Estimate) -> Range:
    """Return more - less with MOVER limits (Zou & Donner 2008); of Wilson limits: Newcombe's."""
    if more.value is None or less.value is None:
        return NOTHING
    value = more.value - less.value
    if None in {more.low, more.high, less.low, less.high}:
        return Range(value, None, None)
    down = hypot(more.value - (more.low or 0.0), (less.high or 0.0) - less.value)
    up = hypot((more.high or 0.0) - more.value, less.value - (less.low or 0.0))
    return Range(value, value - down, value + up)


# --- the table


def _row(one: Candidate) -> Mapping[str, object]:
    kind = one.kind
    contrast = kind.contrasts
    values: Sequence[object] = (
        *(one.code, one.sort, kind.practice, kind.subject, kind.category, kind.service),
        *(kind.resolution, kind.n, *_three(kind.a_month), kind.share_of_all),
        *(*_three(kind.hours), kind.desk_hours.value),
        *(kind.net.value, kind.desk_net.value, kind.touch.value),
        *(kind.reopened.value, kind.commonest.value, kind.simple.value),
        *(contrast["handed_over"].share.value, contrast["first_contact"].share.value),
        *(None if kind.article is None else kind.article.value, kind.slot, "; ".join(one.why)),
        *(*_three(one.tickets), *_three(one.hours), one.sentence),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _three(one: Estimate | Range) -> tuple[float | None, float | None, float | None]:
    return one.value, one.low, one.high


COLUMNS: Final = (
    *("code", "sort", "practice", "subject", "category", "service"),
    *("resolution", "n", "a_month", "a_month_low", "a_month_high", "share_of_all"),
    *("median_h", "median_low_h", "median_high_h", "desk_median_h"),
    *("median_net_h", "desk_median_net_h", "median_touch_h"),
    *("reopened", "commonest_way", "simple"),
    *("handed_over", "first_contact", "article", "slot", "why"),
    *("tickets_saved", "tickets_saved_low", "tickets_saved_high"),
    *("hours_saved", "hours_saved_low", "hours_saved_high", "sentence"),
)
