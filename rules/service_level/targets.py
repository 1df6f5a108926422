"""What is promised, to whom, within how much open time?

A `Target` promises, for the cases of one type that it names by customer, service and priority, that
one metric stays within a limit of a calendar's open time:

    acknowledge   from the start to the first sign that somebody has seen the case
    respond       from the start to the first step of work
    resolve       from the start to the last Resolve that no Reopen follows
    fulfil        from the start to the last Fulfil that no Reopen follows
    update        from each word to the customer (a `reset`) to the next, until the stop

Three kinds of agreement: an SLA with the customer; an OLA with a team of one's own, whose clock
runs while the team holds the case; an underpinning contract (UC) with a supplier, whose clock runs
in the states of `runs_in`. `supports` names the SLA target that an OLA or UC underpins.

Of several targets of one family (agreement, metric, party) the most specific is in force: one that
names the customer goes before one that does not, then the service, then the priority. Two that
name the same may not hold at one time (SL203), nor may a day lie between two versions (SL210).

Sources: ITIL 4 Service level management; ISO/IEC 20000-1:2018, 8.3.3 and 8.3.4; FitSM PR2.
What it does not check: whether the agreed limits are wise, or were agreed at all.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.clock import ALWAYS, Calendar
from process_mining.errors import CodedError, did_you_mean, raise_all
from rules.where import Asking, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

Agreement = Literal["SLA", "OLA", "UC"]
Metric = Literal["acknowledge", "respond", "resolve", "fulfil", "update"]
ReopenPolicy = Literal["continues", "pauses", "restarts", "ignored"]
ChangePolicy = Literal["from start", "from change"]
Period = Literal["month", "quarter", "year"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
LAST_STOP: Final[frozenset[Metric]] = frozenset({"resolve", "fulfil"})
SLA: Final[Agreement] = "SLA"
OLA: Final[Agreement] = "OLA"
UC: Final[Agreement] = "UC"
EVERY_TEAM: Final = "*"

REOPEN: Final = "Reopen"
_WORK: Final = ("Diagnose", "Investigate", "Work", "Resolve", "Fulfil")
STOPS: Final[Mapping[Metric, tuple[str, ...]]] = {
    "acknowledge": ("Classify", "Assign", *_WORK),
    "respond": ("Assign", *_WORK),
    "resolve": ("Resolve",),
    "fulfil": ("Fulfil",),
    "update": ("Resolve", "Fulfil"),
}


@dataclass(frozen=True)
class Condition:
    """Events of one activity, by one team, or with an attribute: all that is said must hold.

    The activity is a step, or a word of the practice for what is written into a case and is no
    step. Without one any event may be meant; one that lacks the attribute is not. A step of the
    activity that lacks it may or may not be: it is unsure.
    """

    activity: str | None = None
    team: str | None = None
    where: Where | None = None

    def among(self, desk: Desk, holder: Ints) -> Asking:
        """Tell which events are meant; `holder` is the team that has the case at each event."""
        arrays = desk.log.arrays
        mask = np.ones(len(arrays.at), bool)
        if self.activity is not None:
            mask = desk.mask(self.activity) | _updates(desk, self.activity)
        if self.team is not None:
            mask = mask & (holder == _code(arrays.teams, self.team))
        if self.where is None:
            return Asking(sure=mask, unsure=np.zeros_like(mask))
        found = self.where.among(desk, mask)
        if self.activity is None:
            return Asking(sure=found.sure, unsure=np.zeros_like(mask))
        return found

    def __str__(self) -> str:
        """Say it in words."""
        team = "" if self.team is None else f" by {self.team}"
        where = "" if self.where is None else self.where.words()
        return f"{self.activity or 'any event'}{team}{where}"


def on(*activities: str) -> tuple[Condition, ...]:
    """Return conditions that hold at each step of these activities."""
    return tuple(Condition(activity) for activity in activities)


def any_of(desk: Desk, conditions: Iterable[Condition], holder: Ints) -> Asking:
    """Tell at which events one of the conditions holds, and at which it may."""
    sure = np.zeros(desk.log.n_events, dtype=bool)
    unsure = np.zeros_like(sure)
    for condition in conditions:
        found = condition.among(desk, holder)
        sure |= found.sure
        unsure |= found.unsure
    return Asking(sure=sure, unsure=unsure & ~sure)


def _updates(desk: Desk, word: str) -> Bools:
    """The events that say a word and are no step."""
    arrays, events = desk.log.arrays, desk.log.events
    if word in arrays.activities or s.RAW_ACTIVITY not in events.column_names:
        return np.zeros(len(arrays.at), dtype=bool)
    said = pc.fill_null(pc.equal(events[s.RAW_ACTIVITY], word), fill_value=False)
    found = said.combine_chunks().to_numpy(zero_copy_only=False)
    return np.asarray(found & (arrays.activity < 0))


def _code(words: Sequence[str], word: str) -> int:
    """Return a word's code, -2 (which no event has) where the log lacks it."""
    return words.index(word) if word in words else -2


@dataclass(frozen=True)
class Target:
    """One promise; `limit_us` is open time of the calendar, `objective` a share of a period.

    `priority`, `service` and `customer` are None where it does not matter which. `team` (OLA) and
    `party` (UC) say who keeps the promise. `allowed` are the pauses that the agreement allows, of
    those that hold the clock; None: all of them.
    """

    name: str
    metric: Metric
    case_type: str
    limit_us: int
    calendar: str
    objective: float
    valid_from: dt.date
    valid_until: dt.date | None = None
    agreement: Agreement = "SLA"
    priority: str | None = None
    service: str | None = None
    customer: str | None = None
    team: str | None = None
    party: str | None = None
    period: Period = "month"
    start: tuple[Condition, ...] = ()
    stop: tuple[Condition, ...] = ()
    reset: tuple[Condition, ...] = ()
    pauses: tuple[Condition, ...] = ()
    allowed: tuple[Condition, ...] | None = None
    runs_in: tuple[Condition, ...] = ()
    reopen: ReopenPolicy = "continues"
    on_change: ChangePolicy = "from start"
    supports: str | None = None

    @property
    def stops(self) -> tuple[Condition, ...]:
        """What stops the clock: the declared conditions, else those of the metric."""
        return self.stop or on(*STOPS[self.metric])

    @property
    def family(self) -> tuple[str, str, str | None]:
        """What several targets promise about in turn: agreement, metric and who keeps it."""
        return self.agreement, self.metric, self.team if self.agreement == OLA else self.party

    @property
    def course(self) -> tuple[object, ...]:
        """All that decides which events start, stop and pause the clock."""
        return (
            *self.family,
            *(self.start, self.stops, self.reset, self.pauses, self.runs_in),
            self.reopen,
        )

    @property
    def specificity(self) -> tuple[bool, bool, bool]:
        """How special it is: of two that fit, the greater one is in force."""
        return self.customer is not None, self.service is not None, self.priority is not None

    @property
    def conditions(self) -> Iterator[Condition]:
        """Every condition that the target names."""
        for part in (self.start, self.stop, self.reset, self.pauses, self.allowed, self.runs_in):
            yield from part or ()


@dataclass(frozen=True)
class ServiceLevels:
    """Targets and the calendars they are counted in, checked when built; `24x7` is always there.

    `customer` is the attribute of the cases that names the customer. `answered` tells the events
    by which a customer answers, `answered_within_us` how long a pause may go on after one.
    """

    targets: tuple[Target, ...]
    calendars: tuple[Calendar, ...] = ()
    customer: str = "customer"
    answered: tuple[Condition, ...] = ()
    answered_within_us: int = 0

    def __post_init__(self) -> None:
        """Raise every mistake at once: SL203, SL204, SL206 to SL208, SL210 to SL214."""
        names = {calendar.name for calendar in (ALWAYS, *self.calendars)}
        raise_all(target_mistakes(self.targets, names, "service levels"))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that any SLA promises, by name."""
        return tuple(sorted({one.metric for one in self.targets if one.agreement == SLA}))

    def calendar(self, name: str) -> Calendar:
        """Return a calendar by name; CodedError SL204 where there is none."""
        known = {calendar.name: calendar for calendar in (ALWAYS, *self.calendars)}
        if name not in known:
            raise CodedError("SL204", f"unknown calendar '{name}'", fix=did_you_mean(name, known))
        return known[name]

    def target(self, name: str) -> Target:
        """Return a target by name; CodedError SL209 where there is none."""
        known = {target.name: target for target in self.targets}
        if name not in known:
            raise CodedError("SL209", f"unknown target '{name}'", fix=did_you_mean(name, known))
        return known[name]


# --- checks


def target_mistakes(
    targets: Sequence[Target], calendars: Iterable[str], place: str
) -> list[CodedError]:
    """Return everything that is wrong with targets, each mistake naming its place."""
    known = sorted(calendars)
    by_name = {target.name: target for target in targets}
    mistakes = [mistake for one in targets for mistake in _mistakes(one, known, by_name, place)]
    return [*mistakes, *_twice(targets, place), *_versions(targets, place)]


def _mistakes(
    target: Target, calendars: Sequence[str], by_name: Mapping[str, Target], place: str
) -> Iterator[CodedError]:
    where = f"{place}, target '{target.name}'"
    if target.calendar not in calendars:
        msg = f"{where}: unknown calendar '{target.calendar}'"
        yield CodedError("SL204", msg, fix=did_you_mean(target.calendar, calendars))
    if target.limit_us <= 0:
        yield CodedError("SL206", f"{where}: the limit is not above 0")
    if not 0 < target.objective < 1:
        msg = f"{where}: objective {target.objective:g} is no share between 0 and 1"
        yield CodedError("SL207", msg, fix="Write 0.95 for 95 %")
    if target.valid_until is not None and target.valid_until <= target.valid_from:
        msg = f"{where}: valid_until {target.valid_until} is not after valid_from"
        yield CodedError("SL208", msg, fix="It is the first day out of force")
    yield from _party_mistakes(target, where)
    yield from _support_mistakes(target, by_name, where)
    if target.metric == "update" and not target.reset:
        fix = "Name in `reset` the events by which the customer hears of the case"
        yield CodedError("SL213", f"{where}: metric 'update' without a reset", fix=fix)
    paused = {condition.activity for condition in target.pauses}
    for condition in target.allowed or ():
        if condition.activity not in paused:
            msg = f"{where}: '{condition}' is allowed as a pause, but pauses nothing"
            yield CodedError("SL214", msg, fix="Name it in `pauses` too")


def _party_mistakes(target: Target, where: str) -> Iterator[CodedError]:
    """Each agreement needs to know who keeps it, and no more than that."""
    needed = {SLA: (), OLA: ("team",), UC: ("party", "runs_in")}[target.agreement]
    for name in ("team", "party", "runs_in"):
        given = bool(getattr(target, name))
        if given != (name in needed):
            said = "is missing" if not given else f"has no meaning for an {target.agreement}"
            fix = "An OLA names its team, a UC its party and the states that it runs_in"
            yield CodedError("SL211", f"{where}: {name} {said}", fix=fix)
    if target.start and target.agreement != SLA:
        msg = f"{where}: start has no meaning for an {target.agreement}"
        yield CodedError("SL211", msg, fix="Its clock starts when the case comes to its party")


def _support_mistakes(
    target: Target, by_name: Mapping[str, Target], where: str
) -> Iterator[CodedError]:
    """An OLA that takes longer than the SLA that it underpins can break it while it is kept."""
    if target.supports is None:
        return
    above = by_name.get(target.supports)
    if above is None:
        msg = f"{where}: supports unknown target '{target.supports}'"
        yield CodedError("SL212", msg, fix=did_you_mean(target.supports, by_name))
    elif above.agreement != SLA or target.agreement == SLA:
        msg = f"{where}: supports '{above.name}'"
        yield CodedError("SL212", msg, fix="An OLA or UC supports a target of an SLA")
    elif above.calendar == target.calendar and above.limit_us < target.limit_us:
        msg = f"{where}: its limit is longer than that of '{above.name}', which it supports"
        yield CodedError("SL212", msg, fix="Shorten it, or have the agreement changed")


def _twice(targets: Sequence[Target], place: str) -> Iterator[CodedError]:
    often = Counter(target.name for target in targets)
    for name in sorted(name for name, n in often.items() if n > 1):
        msg = f"{place}: two targets are called '{name}'"
        yield CodedError("SL208", msg, fix="Give each its own name")


def _versions(targets: Sequence[Target], place: str) -> Iterator[CodedError]:
    """Targets about the same cases follow each other without overlap and without a gap."""
    same: dict[tuple[object, ...], list[Target]] = defaultdict(list)
    for one in targets:
        about = (one.case_type, one.priority, one.service, one.customer)
        same[(*one.family, *about)].append(one)
    for group in same.values():
        ordered = sorted(group, key=lambda one: one.valid_from)
        for a, b in _overlapping(ordered):
            both = f"targets '{a.name}' and '{b.name}'"
            msg = f"{place}: {both} are about the same cases at one time"
            which = a.priority or "of every priority"
            why = f"Both promise {a.metric} for {a.case_type} {which}"
            fix = "Set valid_until of the older to valid_from of the newer"
            yield CodedError("SL203", msg, why=why, fix=fix)
        for a, b in pairwise(ordered):
            if a.valid_until is not None and a.valid_until < b.valid_from:
                msg = f"{place}: nothing is promised between '{a.name}' and '{b.name}'"
                why = f"From {a.valid_until} to {b.valid_from} neither is in force"
                fix = "Set valid_until of the older to valid_from of the newer"
                yield CodedError("SL210", msg, why=why, fix=fix)


def _overlapping(versions: Sequence[Target]) -> Iterator[tuple[Target, Target]]:
    """Yield each version that begins before an older one ends, with the one that ends last."""
    latest: Target | None = None
    for one in versions:
        if one.valid_until is not None and one.valid_until <= one.valid_from:
            continue  # never in force: SL208
        if latest is not None and one.valid_from < (latest.valid_until or dt.date.max):
            yield latest, one
        if latest is None or (one.valid_until or dt.date.max) > (latest.valid_until or dt.date.max):
            latest = one
