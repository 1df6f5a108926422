"""What is known about each ticket of a window when opportunities are sought?

One row a ticket that was opened in the window, of each practice of an audit, as the log tells it at
its end:

    practice, case_type, case_id, priority, category, service
    subject       the category, the service and the log's own columns that say what it is about (a
                  name with `subcategory` or `symptom`), joined by SUBJECT_JOINT, of those that at
                  least half of the tickets have; null where none is given
    wider         the subject without its last part, where two parts are left; else null
    resolution    how it was ended: the log's own closure code (a column of tickets or of events,
                  the last value that is not null), told by its name (`close_code`, `resolution`);
                  a text that hardly repeats (more than `MOST_DISTINCT` different values) is none
    channel       how it came in (a column whose name says channel, or contact type)
    article       whether an article was used: a link of kind `knowledge`, or a column whose name
                  says so, in which yes or a name stands
    opened_us, day, week (counted from 1970, UTC; weeks begin on Monday), hour (of the day, UTC)
    hours, running  time to resolve; where it is not resolved, how long it has lasted, and `running`
    first_team, team  the first team named, and the one that had it when it was resolved (the last
                  one named up to then; of a running ticket the last)
    handovers, first_contact, reopened, steps, variant
    waiting_h, queue_h, working_h  time in states of waiting for the customer or others, of queues
                  and hand-overs, and of work (`time_in` of the practice; a state says that it may
                  be worked on: an upper limit of work); null where it says nothing
    net_h         `hours` less `waiting_h`

Resolved is the last step of `time_in` "done" that cancels nothing (Resolve, Fulfil, Close), unless
work went on after it; of a row of them (Resolve, Close) the first. A ticket that was cancelled is
taken as running until then: had it gone on, it is taken to have been like the others.

What the log does not carry stands in `untold`, in words. No person is in the table; a column whose
values are people (pseudonyms) is no subject. O(events) in columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from csi.audit_evidence import holding_team
from csi.case_attributes import NOT_GIVEN, words_of
from csi.comparison_sides import names_people
from process_mining import schema as s
from process_mining.columnar import segments, sql
from process_mining.organisation import team_changes
from process_mining.performance import waiting_split
from process_mining.resolution import first_contact, reopenings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from csi.audit import Audit, PracticeAudit
    from csi.evidence import Span
    from process_mining.eventlog import EventLog, Ints
    from rules.practice import Practice

    Bools = npt.NDArray[np.bool_]
    Column = pd.Series | npt.NDArray[np.generic]

DAYS_A_MONTH: Final = 30.4375
DAYS_A_WEEK: Final = 7
MONDAY: Final = 3  # 1970-01-01 was a Thursday: three days after a Monday
SUBJECT_JOINT: Final = " / "
MOST_NULL: Final = 0.5
FEWEST_PARTS: Final = 2  # that a wider subject keeps
MOST_DISTINCT: Final = 0.2
FEW_CODES: Final = 5
ABOUT: Final = frozenset({"subcategory", "symptom"})
ENDED: Final = frozenset(
    {"close", "closed", "closure", "resolution", "resolved", "solution", "solved"}
)
CODED: Final = frozenset({"code", "codes", "category", "type", "reason"})
ARTICLE_WORDS: Final = frozenset({"knowledge", "article", "kb"})
CLOSE: Final = "Close"
ARTICLE_LINK: Final = "knowledge"
NO: Final = frozenset({"", "false", "no", "0", "n", "none"})


@dataclass(frozen=True, eq=False)
class Tickets:
    """The tickets opened in a window: `frame` as the head-note says, by practice and case.

    `first_day`: when the window begins, in days since 1970; `days`: how long it is, up to the end
    of the log. `untold`: what no ticket tells.
    """

    frame: pd.DataFrame
    first_day: float
    days: float
    untold: tuple[str, ...]

    @property
    def months(self) -> float:
        """The length of the window in months of 30.4375 days."""
        return self.days / DAYS_A_MONTH


def tickets_of(audit: Audit, window: Span) -> Tickets:
    """Return the tickets that were opened in the window, of all practices of the audit."""
    parts = [_part(part, window, audit.as_of_us) for part in audit.practices]
    frame = pd.concat(parts, ignore_index=True)
    end = min(window.end_us, audit.as_of_us)
    days = max(end - window.start_us, 0) / s.US_PER_DAY
    return Tickets(frame, window.start_us / s.US_PER_DAY, days, tuple(_untold(frame)))


def opened_of(log: EventLog) -> tuple[Ints, Bools]:
    """Return when each case was opened (the case table's, else its first event), and if known."""
    arrays = log.arrays
    first = segments.first(arrays, np.ones(log.n_events, dtype=bool))
    at = segments.take(arrays.at, first, fill=0)
    said = log.cases[s.OPENED]
    known = said.is_valid().to_numpy() | ((first != segments.NONE) & log.timed)
    given = said.fill_null(0).to_numpy()
    return np.where(said.is_valid().to_numpy(), given, at), known


def _part(part: PracticeAudit, window: Span, as_of_us: int) -> pd.DataFrame:
    whole, practice = part.translation.log, part.practice
    opened, known = opened_of(whole)
    inside = known & (opened >= window.start_us) & (opened < window.end_us)
    log = whole.select(inside)
    complete = part.translation.complete[inside]
    moments = _Known(opened[inside], complete, as_of_us, practice.outside_model)
    columns = {
        "practice": practice.name,
        "case_type": practice.case_type,
        **{name: log.cases[name].to_pandas() for name in _CASE_WORDS},
        **_told(log),
        **_moments(opened[inside]),
        **_course(log, practice, moments),
    }
    frame = pd.DataFrame(columns).sort_values(s.CASE_ID, ignore_index=True)
    frame["net_h"] = (frame["hours"] - frame["waiting_h"].fillna(0.0)).clip(lower=0.0)
    return frame


_CASE_WORDS: Final = (s.CASE_ID, s.PRIORITY, s.CATEGORY, s.SERVICE)


def _moments(opened: Ints) -> dict[str, Ints]:
    day = opened // s.US_PER_DAY
    return {
        "opened_us": opened,
        "day": day,
        "week": (day + MONDAY) // DAYS_A_WEEK,
        "hour": opened % s.US_PER_DAY // s.US_PER_HOUR,
    }


# --- what the log's own columns tell


def _told(log: EventLog) -> dict[str, pd.Series | None]:
    """Return what tickets are about, how they came in and how they ended."""
    about = [s.CATEGORY, s.SERVICE, *(name for name in _own(log) if _is_about(name))]
    usable = [log.cases[n] for n in about if log.cases[n].null_count <= log.n_cases * MOST_NULL]
    texts = [one.cast(pa.string()) for one in usable if not names_people(one)]
    subject = _joined(texts) if texts and log.n_cases else None
    wider = _joined(texts[:-1]) if len(texts) > FEWEST_PARTS and log.n_cases else None
    return {
        "subject": _text(subject, log),
        "wider": _text(wider, log),
        "resolution": _text(next(_resolutions(log), None), log),
        "channel": _text(next(_channels(log), None), log),
        "article": _article(log),
    }


def _joined(texts: list[pa.ChunkedArray]) -> pd.Series:
    """Join words ticket by ticket; null where none of them is given."""
    given = [pc.fill_null(one, NOT_GIVEN) for one in texts]
    joined: pd.Series = pc.binary_join_element_wise(*given, SUBJECT_JOINT).to_pandas()
    return joined.mask(joined == SUBJECT_JOINT.join([NOT_GIVEN] * len(texts)))


def _own(log: EventLog) -> list[str]:
    return sorted(one for one in log.cases.column_names if one.startswith(s.ATTRIBUTE_PREFIX))


def _words(name: str) -> set[str]:
    return words_of(name.removeprefix(s.ATTRIBUTE_PREFIX))


def _is_about(name: str) -> bool:
    return bool(ABOUT & _words(name))


def _is_resolution(name: str) -> bool:
    """Tell a closure code by its name: `close_code`, `closure_code`, `resolution`."""
    words = _words(name)
    return bool(ENDED & words) and (bool(CODED & words) or words <= ENDED - {"closed", "resolved"})


def _resolutions(log: EventLog) -> Iterator[pd.Series]:
    """The columns that tell how tickets ended: of tickets first, then the last of their events."""
    for name in _own(log):
        if _is_resolution(name):
            yield from _coded(log.cases[name])
    for name in sorted(one for one in log.events.column_names if _is_own_code(one)):
        values = log.events[name].cast(pa.string())
        last = segments.last(log.arrays, values.is_valid().to_numpy())
        places = pa.array(last, mask=last == segments.NONE)
        yield from _coded(values.take(places))


def _is_own_code(name: str) -> bool:
    return name.startswith(s.ATTRIBUTE_PREFIX) and _is_resolution(name)


def _channels(log: EventLog) -> Iterator[pd.Series]:
    for name in _own(log):
        words = _words(name)
        if "channel" in words or {"contact", "type"} <= words:
            yield from _coded(log.cases[name])


def _coded(column: pa.ChunkedArray) -> Iterator[pd.Series]:
    """Yield a column of codes; of people, of nothing, or of texts that hardly repeat: nothing."""
    known = len(column) - column.null_count
    if known and not names_people(column):
        words = column.cast(pa.string())
        if pc.count_distinct(words).as_py() <= max(MOST_DISTINCT * known, FEW_CODES):
            yield words.to_pandas()


def _article(log: EventLog) -> pd.Series:
    """Tell which tickets used an article; null where neither links nor a column tell."""
    links = log.links
    of_articles = links.filter(pc.equal(links[s.KIND], ARTICLE_LINK))[s.CASE_ID]
    linked = pc.is_in(log.cases[s.CASE_ID], value_set=of_articles.combine_chunks()).to_pandas()
    named = [name for name in _own(log) if ARTICLE_WORDS & _words(name)]
    texts = [log.cases[name].cast(pa.string()).fill_null("").to_pandas() for name in named]
    if not texts and not linked.any():
        return pd.Series(pd.NA, index=range(log.n_cases), dtype="boolean")
    used: pd.Series = linked.astype("boolean")
    for text in texts:
        used = used | ~text.str.strip().str.lower().isin(NO)
    return used


def _text(column: pd.Series | None, log: EventLog) -> pd.Series:
    empty = pd.Series(None, index=range(log.n_cases), dtype="str")
    return empty if column is None else column.astype("str")


# --- what happened


@dataclass(frozen=True, eq=False)
class _Known:
    """When each ticket was opened, whether it has ended, up to when the log knows.

    `outside`: the steps that are none of the practice's model.
    """

    opened: Ints
    complete: Bools
    as_of_us: int
    outside: tuple[str, ...]


def _course(log: EventLog, practice: Practice, known: _Known) -> dict[str, Column]:
    """Return what each ticket went through."""
    arrays, outside = log.arrays, practice.outside_model
    resolve = _resolving(log, practice)
    back = reopenings(log, resolve=resolve, closing=practice.ends, leave_out=outside).cases
    contact = first_contact(log, resolve=resolve, closing=practice.ends, leave_out=outside).cases
    ids = log.cases[s.CASE_ID].to_pandas()
    back, contact = (one.set_index(s.CASE_ID).reindex(ids) for one in (back, contact))
    ways = sql.variants(log, leave_out=outside)
    variant = ways.variant_of_case
    resolved = _resolved(log, resolve, known, back["open_again"])
    return {
        **_times(log, known, resolved),
        "first_team": _teams(log, segments.first(arrays, arrays.team >= 0)),
        "team": _teams(log, holding_team(log, resolved)),
        "handovers": _by_id(team_changes(log, leave_out=outside), "handovers", ids),
        "first_contact": contact["first_contact"].astype("boolean").reset_index(drop=True),
        "reopened": (back["reopenings"].fillna(0) > 0).to_numpy(dtype=bool),
        "steps": np.diff(ways.offsets)[variant],
        "variant": variant,
        **_states(log, practice, ids),
    }


def _resolving(log: EventLog, practice: Practice) -> tuple[str, ...]:
    """The steps that resolve, or close what no step has resolved; all ends where none is known."""
    done = {word for word, kind in practice.time_in.items() if kind == "done"}
    found = (done - {*practice.ends}) | ({CLOSE} & {*practice.ends})
    return tuple(sorted(found & {*log.arrays.activities})) or practice.ends


def _steps(log: EventLog, known: _Known) -> Bools:
    """Tell the events that are steps of the practice's model."""
    arrays = log.arrays
    outside = [arrays.code_of(word) for word in known.outside]
    return np.asarray((arrays.activity >= 0) & ~np.isin(arrays.activity, outside))


def _resolved(
    log: EventLog, resolve: tuple[str, ...], known: _Known, open_again: pd.Series
) -> Ints:
    """Return the step that resolved each ticket for good, NONE where it is not resolved."""
    arrays, steps = log.arrays, _steps(log, known)
    resolving = steps & np.isin(arrays.activity, [arrays.code_of(word) for word in resolve])
    # of a row of resolving steps (Resolve, Close) the first: nothing was worked on after it
    before = segments.previous_position(arrays, steps)
    follows = segments.take(resolving.astype(np.int64), before, fill=0) > 0
    last = segments.last(arrays, resolving & ~follows)
    return np.where(open_again.fillna(value=False).to_numpy(dtype=bool), segments.NONE, last)


def _times(log: EventLog, known: _Known, resolved: Ints) -> dict[str, Column]:
    """Return how many hours each ticket took or has taken; a clock set back gives no time."""
    arrays, running = log.arrays, resolved == segments.NONE
    final = segments.last(arrays, _steps(log, known))
    ended = segments.take(arrays.at, final, fill=known.as_of_us)
    over = np.where(known.complete, ended, known.as_of_us)
    until = np.where(running, over, segments.take(arrays.at, resolved, fill=0))
    hours = (until - known.opened) / s.US_PER_HOUR
    return {"hours": np.where(until >= known.opened, hours, np.nan), "running": running}


def _teams(log: EventLog, places: Ints) -> pd.Series:
    codes = segments.take(log.arrays.team, places, fill=segments.NONE)
    return pd.Series(np.array([*log.arrays.teams, None], dtype=object)[codes], dtype="str")


def _by_id(frame: pd.DataFrame, column: str, ids: pd.Series) -> pd.Series:
    found: pd.Series = frame.set_index(s.CASE_ID)[column].reindex(ids).reset_index(drop=True)
    return found


def _states(log: EventLog, practice: Practice, ids: pd.Series) -> dict[str, pd.Series]:
    """Return the time in states of waiting and of work; null where the practice says nothing."""
    times = practice.time_in
    if not times:
        nothing = pd.Series(np.nan, index=range(log.n_cases))
        return dict.fromkeys(("waiting_h", "queue_h", "working_h"), nothing)
    found = {}
    for name, kinds in _STATES.items():
        wanted = [word for word, kind in times.items() if kind in kinds]
        others = [word for word, kind in times.items() if kind not in {*kinds, "work"}]
        split = waiting_split(
            log, waiting=wanted, done=others, leave_out=practice.outside_model, ends=practice.ends
        ).cases
        found[name] = _by_id(split, "waiting_us", ids).astype("float64") / s.US_PER_HOUR
        found["working_h"] = _by_id(split, "working_us", ids).astype("float64") / s.US_PER_HOUR
    return found


_STATES: Final = {"waiting_h": ("customer", "others"), "queue_h": ("queue", "hand_over")}
_MEANT: Final = {
    "subject": "what tickets are about (no category, no service)",
    "resolution": "how tickets ended (no closure code, no resolution)",
    "priority": "priorities",
    "channel": "how tickets came in (no channel)",
    "article": "whether an article was used (no link to one, no such column)",
    "team": "teams",
}


def _untold(frame: pd.DataFrame) -> Iterator[str]:
    for column, words in _MEANT.items():
        if frame[column].isna().all():
            yield f"The log does not tell {words}."
