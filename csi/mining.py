"""What really happens in this process? From the log's files to everything that mining finds.

files → EventLog → the practice's words (where one is named, else the words of the log) → the cases
that the window picks → process map, variants, times, rework, teams, arrivals, and a model that is
discovered from the variants. Nothing is judged here; that is what audit and conform are for.

**Filters.** The window picks cases (see `discovery.Window`); of more than `top_activities` kinds of
steps the rarest are left out of the map, the ways and the model; the map hides rare lines. Times,
rework, teams and arrivals are of all steps of the cases picked. Whatever is hidden is counted.

**Meanings.** Which steps wait, resolve, close or only assign is said by the words of a practice, or
by options; where neither does, what needs it is left out, and the result says so. A case is ended
where `ends` or its practice says so; with neither, where the case table has a closing time. In a
log that has none of them nothing is known of that, and every case counts as it stands; nor is it
known then which step after a resolving one only closes the case, and which is a coming back.

The model is discovered from the ended cases where that is known, else from all; its fitness is
measured by our own alignments on the same cases.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.audit import by_practice
from csi.report.drawings.flow_layout import laid_out
from process_mining import backlog as arrivals
from process_mining import organisation, performance, resolution
from process_mining import schema as s
from process_mining.alignment import align
from process_mining.alignment.precision import model_quality
from process_mining.columnar import segments, sql
from process_mining.discovery import KEEP_SHARE, Window, in_window, process_map, rework
from process_mining.errors import CodedError
from process_mining.model_discovery import NOISE, discover_model
from process_mining.quality import inspect
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.practice import ended, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from process_mining.alignment import Alignments
    from process_mining.alignment.precision import ModelQuality
    from process_mining.backlog import Backlog
    from process_mining.discovery import ProcessMap, WindowRule
    from process_mining.eventlog import EventLog
    from process_mining.model import Diagram
    from process_mining.model_discovery import Method, MinedModel
    from process_mining.organisation import HandoverSummary, Network
    from process_mining.performance import Batches, Loops, WaitingSplit
    from process_mining.quality import Quality
    from process_mining.resolution import FirstContact, Reopenings
    from process_mining.variants import Variants
    from rules.practice import Practice, Translation

    Bools = npt.NDArray[np.bool_]
    Step = Callable[[str], None]

MAP_ACTIVITIES: Final = 25
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# What words of the practices that ship mean; options add to them.
WAITING_START: Final = "Await "
WAITING: Final = frozenset({"Queue", "Wait"})
RESOLVING: Final = frozenset({"Resolve"})
ASSIGNING: Final = frozenset({"Assign", "Escalate"})


@dataclass(frozen=True)
class MineRequest:
    """What to mine, and how; every field is one option of `trueloop mine`."""

    logs: tuple[Path, ...]
    read: ReadOptions = field(default_factory=ReadOptions)
    practice: str | None = None
    keep_share: float = KEEP_SHARE
    top_activities: int = MAP_ACTIVITIES
    window: Window | None = None
    slower_than_us: int | None = None
    discover: Method = "inductive"
    noise: float = NOISE
    waiting: tuple[str, ...] = ()
    resolving: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Meanings:
    """Which steps wait, resolve, close after that, end a case, or only assign; empty: unknown."""

    waiting: frozenset[str] = frozenset()
    resolving: frozenset[str] = frozenset()
    closing: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()
    assigning: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Hidden:
    """What the filters of the log leave out: cases of other practices, cases outside the window."""

    other_practices: int
    outside_window: int
    events_outside: int


@dataclass(frozen=True, eq=False)
class Times:
    """Where time goes; `split` is None where no waiting step is known."""

    sojourn: pd.DataFrame
    bottlenecks: pd.DataFrame
    split: WaitingSplit | None
    service: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Teams:
    """Who hands over to whom; `changes` has one row a case."""

    network: Network
    summary: HandoverSummary
    ping_pongs: pd.DataFrame
    changes: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Flow:
    """When cases come and go; `failed` says why there is none, `ends_known` whether ends are."""

    backlog: Backlog | None
    profile: pd.DataFrame | None
    ends_known: bool
    failed: str = ""


@dataclass(frozen=True, eq=False)
class Fit:
    """How well the discovered model fits the cases it was discovered from.

    `weights` are the cases of each variant that count. What cannot be told is None, and `failed`
    says why.
    """

    weights: npt.NDArray[np.int64]
    alignments: Alignments | None
    quality: ModelQuality | None
    failed: str = ""


@dataclass(frozen=True, eq=False)
class Mining:
    """Everything that mining found; `log` holds the cases picked, in the words asked for.

    `complete` tells for each case whether it has ended, None where that is unknown. `last_us` is
    the last time of the log before the window picked from it. `variants` are of the activities that
    the map shows. `facts` has one row a case (`columnar.sql.case_facts`), `duration_us` up to its
    last event that is not left out: a survey after the end does not make a case longer.
    """

    request: MineRequest
    whole: EventLog
    log: EventLog
    practice: Practice | None
    translation: Translation | None
    complete: Bools | None
    last_us: int | None
    hidden: Hidden
    quality: Quality
    meanings: Meanings
    leave_out: tuple[str, ...]
    map: ProcessMap
    variants: Variants
    facts: pa.Table
    times: Times
    rework: pd.DataFrame
    loops: Loops
    teams: Teams | None
    batches: Batches
    flow: Flow
    reopened: Reopenings | None
    first_contact: FirstContact | None
    mined: MinedModel
    diagram: Diagram
    fit: Fit

    @property
    def hidden_steps(self) -> tuple[str, ...]:
        """The activities that are too rare for the map, sorted."""
        shown = {node.activity for node in self.map.nodes}
        return tuple(sorted({*self.log.arrays.activities} - shown - {*self.leave_out}))


def window_of(
    begin: dt.datetime | None, end: dt.datetime | None, rule: WindowRule
) -> Window | None:
    """Return the window between two moments; None where neither bounds it."""
    if begin is None and end is None:
        return None
    bounds = [
        None if moment is None else (moment - EPOCH) // dt.timedelta(microseconds=1)
        for moment in (begin, end)
    ]
    return Window(begin_us=bounds[0], end_us=bounds[1], rule=rule)


def mine(request: MineRequest, step: Step = lambda _: None) -> Mining:
    """Run the whole chain, naming each step to `step`; raises CodedError for the user to mend."""
    step("reading")
    whole = open_log(request.logs, request.read)
    part = _picked(whole, request)
    log, outside = part.log, () if part.practice is None else part.practice.outside_model
    _require_words(log, (*request.waiting, *request.resolving, *request.ends))
    means = _meanings(part.practice, request)
    step("process map")
    found = process_map(
        log,
        leave_out=outside,
        keep_share=request.keep_share,
        top_activities=request.top_activities,
        slower_than_us=request.slower_than_us,
    )
    shown = {node.activity for node in found.nodes}
    rare = tuple(sorted({*log.arrays.activities} - shown))
    ways = sql.variants(log, leave_out=rare)
    step("times and teams")
    times = _times(log, part, means, outside)
    teams = _teams(log, means, outside)
    step("model")
    weights = _weights(ways, part.complete)
    mined = discover_model(
        ways, method=request.discover, noise=request.noise, weights=weights, name="Discovered"
    )
    step("fitness")
    return Mining(
        request=request,
        whole=whole,
        log=log,
        practice=part.practice,
        translation=part.translation,
        complete=part.complete,
        last_us=part.last_us,
        hidden=part.hidden,
        quality=inspect(whole),
        meanings=means,
        leave_out=tuple(outside),
        map=found,
        variants=ways,
        facts=_facts(log, outside),
        times=times,
        rework=rework(log, leave_out=outside),
        loops=performance.loops(log, leave_out=outside),
        teams=teams,
        batches=_batches(log, outside),
        flow=_flow(log, means, outside, declared=bool(request.ends)),
        reopened=_reopened(log, means, outside),
        first_contact=_first_contact(log, means, outside),
        mined=mined,
        diagram=_placed(mined),
        fit=_fit(ways, mined, weights),
    )


# --- which cases, in which words


@dataclass(frozen=True, eq=False)
class _Part:
    log: EventLog
    practice: Practice | None
    translation: Translation | None
    complete: Bools | None
    hidden: Hidden
    last_us: int | None


def _picked(whole: EventLog, request: MineRequest) -> _Part:
    """Translate the log where a practice is named, then pick the cases of the window."""
    practice = translation = complete = None
    log = whole
    if request.practice is not None:
        practices = load_catalogue(()).practices
        ((practice, mine_),) = by_practice(whole, practices, request.practice)
        translation = translate(mine_, practice)
        log, complete = translation.log, translation.complete
    elif log.cases[s.CLOSED].null_count < log.n_cases:
        complete = log.cases[s.CLOSED].is_valid().to_numpy()
    if request.ends:
        outside = () if practice is None else practice.outside_model
        complete = ended(log, request.ends, outside=outside)
    others, before, last = whole.n_cases - log.n_cases, log, _last_us(log)
    if request.window is not None:
        keep = in_window(log, request.window)
        log, complete = log.select(keep), None if complete is None else complete[keep]
    if not log.n_cases:
        raise CodedError("CL040", "no case is left to mine", fix="Widen the window: --from, --to")
    hidden = Hidden(others, before.n_cases - log.n_cases, before.n_events - log.n_events)
    return _Part(log, practice, translation, complete, hidden, last)


def _last_us(log: EventLog) -> int | None:
    return int(log.arrays.at.max()) if log.timed and log.n_events else None


def _require_words(log: EventLog, words: Collection[str]) -> None:
    """A meaning given to a step that the log does not have would be no meaning at all."""
    for word in words:
        if word not in log.arrays.activities:
            known = ", ".join(log.arrays.activities[:20])
            msg = f"no step of the log is '{word}'"
            raise CodedError("CL041", msg, fix=f"Its steps are: {known}")


def _meanings(practice: Practice | None, request: MineRequest) -> Meanings:
    words = frozenset() if practice is None else practice.words
    waiting = {word for word in words if word.startswith(WAITING_START) or word in WAITING}
    resolving = (words & RESOLVING) | {*request.resolving}
    ends = frozenset(request.ends or (() if practice is None else practice.ends))
    return Meanings(
        waiting=frozenset((waiting - resolving) | {*request.waiting}),
        resolving=resolving,
        closing=ends - resolving,
        ends=ends,
        assigning=words & ASSIGNING,
    )


# --- what is found


def _times(log: EventLog, part: _Part, means: Meanings, outside: Collection[str]) -> Times:
    split = None
    if means.waiting & {*log.arrays.activities}:
        split = performance.waiting_split(
            log,
            waiting=means.waiting,
            done=means.resolving | means.ends,
            leave_out=outside,
            ends=means.ends,
            as_of_us=part.last_us if means.ends else None,
        )
    return Times(
        sojourn=performance.sojourn(
            log, leave_out=outside, ends=means.ends, as_of_us=part.last_us if means.ends else None
        ),
        bottlenecks=performance.bottlenecks(log, leave_out=outside),
        split=split,
        service=performance.service_times(log, leave_out=outside),
    )


def _facts(log: EventLog, outside: Collection[str]) -> pa.Table:
    """Return the facts of each case, its duration without what is left out after its end."""
    facts, arrays = sql.case_facts(log), log.arrays
    inside = ~np.isin(arrays.activity, [arrays.code_of(word) for word in outside])
    if inside.all() or not log.timed:
        return facts
    first, last = segments.first(arrays, inside | True), segments.last(arrays, inside)
    spent = segments.take(arrays.at, last, fill=0) - segments.take(arrays.at, first, fill=0)
    whole = facts["duration_us"]
    lasted = pc.if_else(pa.array(last == segments.NONE), whole, pa.array(spent))
    return facts.set_column(facts.column_names.index("duration_us"), "duration_us", lasted)


def _teams(log: EventLog, means: Meanings, outside: Collection[str]) -> Teams | None:
    if not log.arrays.teams:
        return None
    return Teams(
        network=organisation.network(log),
        summary=organisation.handover_summary(log),
        ping_pongs=organisation.ping_pongs(log),
        changes=organisation.team_changes(log, assigning=means.assigning, leave_out=outside),
    )


def _batches(log: EventLog, outside: Collection[str]) -> Batches:
    """Ask for batches by whom the log names: people, else teams, else anyone."""
    arrays = log.arrays
    if arrays.actors:
        return performance.batches(log, leave_out=outside, doer="actor")
    return performance.batches(log, leave_out=outside, doer="team" if arrays.teams else "anyone")


def _flow(log: EventLog, means: Meanings, outside: Collection[str], *, declared: bool) -> Flow:
    """Take the ends from the case table where it has them, else from the steps that end a case.

    Where the ending steps are `declared` by an option, from these.
    """
    closed = log.cases[s.CLOSED]
    by_steps = declared or closed.null_count == log.n_cases
    ends_known = bool(means.ends) or not by_steps
    if not log.timed:
        return Flow(None, None, ends_known, "the log has no times")
    ends = means.ends if by_steps else None
    zone = log.meta.timezone or "UTC"
    try:
        found = arrivals.backlog(log, zone=zone, ends=ends, leave_out=outside)
        profile = arrivals.week_profile(log, zone=zone, ends=ends, leave_out=outside)
    except CodedError as error:  # a placeholder among the times: the rest of the page still holds
        return Flow(None, None, ends_known, str(error))
    return Flow(found, profile, ends_known)


def _reopened(log: EventLog, means: Meanings, outside: Collection[str]) -> Reopenings | None:
    if not means.ends or not means.resolving & {*log.arrays.activities}:
        return None
    return resolution.reopenings(
        log, resolve=means.resolving, closing=means.closing, leave_out=outside
    )


def _first_contact(log: EventLog, means: Meanings, outside: Collection[str]) -> FirstContact | None:
    known = means.ends and means.resolving & {*log.arrays.activities}
    if not known or not log.arrays.teams:
        return None
    return resolution.first_contact(
        log,
        resolve=means.resolving,
        closing=means.closing,
        waiting=means.waiting,
        leave_out=outside,
    )


def _weights(ways: Variants, complete: Bools | None) -> npt.NDArray[np.int64]:
    """Return how many cases of each variant count: the ended ones where that is known and any."""
    if complete is None or not complete.any():
        return ways.counts
    return np.bincount(ways.variant_of_case[complete], minlength=len(ways)).astype(np.int64)


def _placed(mined: MinedModel) -> Diagram:
    """Return the model's drawing with its layout; empty where it has none."""
    diagram = mined.model.diagram
    placed = any(edge.waypoints for edge in diagram.edges)
    return diagram if placed or not diagram.shapes else laid_out(diagram)


def _fit(ways: Variants, mined: MinedModel, weights: npt.NDArray[np.int64]) -> Fit:
    if mined.unsound:
        return Fit(weights, None, None, f"the model is not sound: {mined.unsound}")
    try:
        found = align(ways, mined.model)
        return Fit(weights, found, model_quality(found, weights))
    except CodedError as error:  # too large for the search: the model stands, its fit is unknown
        return Fit(weights, None, None, str(error))
