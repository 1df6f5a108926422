"""What became of each low score: where does its loop stand, or where did it break?

A *loop* begins with an answer whose score is low and runs through the steps that follow it:

    score -> contact -> action agreed -> action done -> customer informed

in a ticket of feedback; in an incident or a request it is the contact alone. It is *closed* when
the customer has been informed of what was done, and *settled* where the contact ended the matter:
the feedback was closed after it without an agreed action, or the ticket knows no further steps. One
contact serves all scores before it; a low score after it begins a loop of its own.

How a loop breaks (`BREAKS`), in the order of its steps, and the rule that says so:

    not contacted           ended, or overdue, without a contact         FBK002, FBK010
    contacted late                                                       FBK002, FBK010
    no action               called again, or left, without an agreement  FBK005
    closed early            the feedback was closed before the action    FBK008
    action not done         ended, or overdue                            FBK006
    action late                                                          FBK006
    customer not informed   ended, or overdue                            FBK009
    informed late                                                        FBK009

What counts as low and how long each step may take is declared (`LoopTerms`); `loop_terms` reads it
off the newest versions of these rules, so a desk that changes a rule changes its loops. A contact
in an incident may follow its end: there it is missing when its time is up. Waits are measured in
open time of the rule's calendar, int64 µs; equal to the limit is in time; open ones run to `as_of`,
or to the end of the ticket after which nothing more comes.

Scores are read on the scale that the event names (attribute `scale`), else on the declared one. An
answer without a score, or with one that does not stand on its scale, may be low: it is counted, and
begins no loop. A step that the source never records leaves the loop *unknown* from there on.

Cost: columns to find the low scores, O(events of their tickets) to follow them. Not checked: what
was said; whether an action that was agreed was the right one; contacts that nobody recorded.
Errors: ST550 where a log has no times.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa

from csi.feedback.loop_steps import (
    AGREE,
    BREAKS,
    CLOSE,
    COMPLETE,
    CONTACT,
    ENDED_BY,
    LATE,
    MISSING,
    STEPS,
    Break,
    Standing,
    Trail,
    Wait,
    Walk,
    follow,
)
from csi.feedback.scales import BAD, GOOD, GOOD_BAD, SCALES, BadScoreError
from process_mining import schema as s
from process_mining.clock import business_us
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from process_mining.eventlog import Ints
    from rules.catalogue import Catalogue
    from rules.practice import Practice, PreparedDesk, Translation

RECEIVE: Final = "Receive feedback"
# the highest score that is low, by scale: the lowest boxes of CSAT and CES, the detractors of NPS
LOW: Final[Mapping[str, int]] = {
    "1-5": 2,
    "1-7": 2,
    "1-10": 4,
    GOOD_BAD: 0,
    "smiley 1-3": 1,
    "0-10": 6,
    "ces 1-7": 3,
}


class Share(Protocol):
    """One practice's share of a log, as an audit or a ready log has it."""

    @property
    def practice(self) -> Practice:
        """Whose cases they are."""

    @property
    def translation(self) -> Translation:
        """The share in the practice's words."""

    @property
    def prepared(self) -> PreparedDesk:
        """The desk that the rules were asked about."""


@dataclass(frozen=True)
class Limit:
    """So much open time (µs) of a calendar."""

    amount_us: int
    calendar: str


@dataclass(frozen=True)
class LoopTerms:
    """What a low score is, and how long each step may take.

    `contact` is the limit in tickets of feedback, `contact_elsewhere` in all others. `low`: the
    highest low score of each scale; `scale` is that of scores whose event names none.
    """

    contact: Limit
    contact_elsewhere: Limit
    action: Limit
    inform: Limit
    low: Mapping[str, int] = field(default_factory=lambda: dict(LOW))
    scale: str = "1-5"

    def of(self, wait: Wait, *, feedback: bool) -> Limit:
        """Return the limit of a wait."""
        if wait == "contact":
            return self.contact if feedback else self.contact_elsewhere
        return self.action if wait == "action" else self.inform


@dataclass(frozen=True)
class Waited:
    """One wait of a loop: open time so far or until it ended (`end_us`, None: it has not)."""

    wait: Wait
    begin_us: int
    end_us: int | None
    open_us: int
    limit_us: int

    @property
    def late(self) -> bool:
        """Whether its limit has passed."""
        return self.open_us > self.limit_us


@dataclass(frozen=True)
class Loop:
    """One low score and what became of it; times in µs UTC, `seq` of its event in the ticket.

    `team` is the last one named up to the score, else the first after it. `ended`: nothing more
    will come. `breaks` are in the order of BREAKS; `decided` means closed, settled, or broken by a
    step that is missing. `seqs` are the events of the loop.
    """

    case_id: str
    seq: int
    practice: str
    scale: str
    score: int
    received_us: int
    standing: Standing
    ended: bool
    breaks: tuple[Break, ...]
    waits: tuple[Waited, ...]
    agreed: bool
    team: str | None
    service: str | None
    channel: str | None
    priority: str | None
    seqs: tuple[int, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether the customer knows what became of it."""
        return self.standing in ("closed", "settled")

    @property
    def decided(self) -> bool:
        """Whether it is known if the loop was closed."""
        missing = set(MISSING.values()) & set(self.breaks)
        return self.closed or bool(missing) or (self.ended and self.standing != "unknown")

    @property
    def broke(self) -> Break | None:
        """Where it broke first."""
        return self.breaks[0] if self.breaks else None

    @property
    def contact(self) -> Waited | None:
        """The wait for the contact."""
        return next((one for one in self.waits if one.wait == "contact"), None)


@dataclass(frozen=True)
class Loops:
    """Every loop, by case and time; of `answers`, how many had no score, or one that is not read.

    `teams`: known people of each team, so that small ones can be suppressed.
    """

    loops: tuple[Loop, ...]
    terms: LoopTerms
    as_of_us: int
    answers: int
    without_score: int
    unreadable: int
    teams: Mapping[str, int] = field(default_factory=dict)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a loop; open times in hours of the calendar of each limit."""
        import pandas as pd  # noqa: PLC0415 - the loops themselves need none

        return pd.DataFrame([_row(one) for one in self.loops], columns=list(_COLUMNS))


def loop_terms(
    catalogue: Catalogue, *, low: Mapping[str, int] | None = None, scale: str = "1-5"
) -> LoopTerms:
    """Read the limits off the newest FBK010, FBK002, FBK006 and FBK009.

    The threshold of the scale 1-5 is that of FBK010; `low` overrules it, scale by scale.
    """
    params = {
        code: catalogue.rule(code).params for code in ("FBK010", "FBK002", "FBK006", "FBK009")
    }
    limits = {code: Limit(one.within, one.calendar) for code, one in params.items()}
    return LoopTerms(
        contact=limits["FBK010"],
        contact_elsewhere=limits["FBK002"],
        action=limits["FBK006"],
        inform=limits["FBK009"],
        low={**LOW, "1-5": params["FBK010"].where.at_most, **(low or {})},
        scale=scale,
    )


def loops_of(shares: Sequence[Share], terms: LoopTerms, *, as_of_us: int) -> Loops:
    """Follow every low score of a log; raises CodedError ST550 where it has no times."""
    found: list[Loop] = []
    counts: dict[str, int] = defaultdict(int)
    teams: dict[str, set[int | str]] = defaultdict(set)
    for share in shares:
        if not share.translation.log.timed:
            fix = "Give a log with times: how soon a customer was called cannot be told without"
            raise CodedError("ST550", "the log has no times", fix=fix)
        walks = list(_walks(share, terms, counts))
        found += _judged(share, walks, terms, as_of_us)
        for team, actor in _members(share):
            teams[team].add(actor)
    return Loops(
        loops=tuple(sorted(found, key=lambda one: (one.case_id, one.received_us, one.seq))),
        terms=terms,
        as_of_us=as_of_us,
        answers=counts["answers"],
        without_score=counts["without score"],
        unreadable=counts["unreadable"],
        teams={team: len(people) for team, people in sorted(teams.items())},
    )


def _members(share: Share) -> Iterator[tuple[str, str]]:
    """Yield each team with each known person who acted for it."""
    arrays = share.translation.log.arrays
    both = (arrays.team >= 0) & (arrays.actor >= 0)
    pairs = np.unique(np.stack([arrays.team[both], arrays.actor[both]]), axis=1)
    for team, actor in pairs.T.tolist():
        yield arrays.teams[team], arrays.actors[actor]


# --- finding the scores


def _walks(share: Share, terms: LoopTerms, counts: dict[str, int]) -> Iterator[Walk]:
    """Find the low scores of a share, each with the steps of its ticket that come after it."""
    arrays = share.translation.log.arrays
    rows = np.flatnonzero(arrays.activity == arrays.code_of(RECEIVE))
    counts["answers"] += len(rows)
    low: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for row, (scale, score) in zip(rows.tolist(), _scores(share, rows, terms), strict=True):
        if scale is None:
            counts["without score"] += 1
        elif score is None:
            counts["unreadable"] += 1
        elif score <= terms.low[scale]:
            low[int(arrays.case_of[row])].append((row, scale, score))
    for case, scores in low.items():
        end = int(arrays.offsets[case + 1])
        places = [row for row, _, _ in scores]
        for row, scale, score in scores:
            steps = _words(share, row + 1, end)
            yield Walk.of(case, row, scale, score, steps=steps, scores=places, end=end)


def _words(share: Share, begin: int, end: int) -> list[tuple[str, int]]:
    arrays = share.translation.log.arrays
    codes = arrays.activity[begin:end].tolist()
    return [(arrays.activities[code], begin + i) for i, code in enumerate(codes) if code >= 0]


def _scores(share: Share, rows: Ints, terms: LoopTerms) -> Iterator[tuple[str | None, int | None]]:
    """Yield scale and score of answers: no scale where none was given, no score where none fits."""
    scores, scales, raw = (
        _texts(share, name, rows)
        for name in (s.ATTRIBUTE_PREFIX + "score", s.ATTRIBUTE_PREFIX + "scale", s.RAW_ACTIVITY)
    )
    for score, named, word in zip(scores, scales, raw, strict=True):
        text, scale = score, named or terms.scale
        if text is None:  # Zendesk's word for the answer is the answer
            text = (word or "").removesuffix("_with_comment")
            if text not in (GOOD, BAD):
                yield None, None
                continue
            scale = GOOD_BAD
        if scale not in SCALES or scale not in terms.low:
            yield scale, None
            continue
        try:
            yield scale, SCALES[scale].read(text.strip(), noughts=True)
        except BadScoreError:
            yield scale, None


def _texts(share: Share, column: str, rows: Ints) -> list[str | None]:
    events = share.translation.log.events
    if column not in events.column_names:
        return [None] * len(rows)
    found: list[str | None] = events[column].take(pa.array(rows)).cast(pa.string()).to_pylist()
    return found


# --- with clocks


def _judged(share: Share, walks: Sequence[Walk], terms: LoopTerms, as_of_us: int) -> Iterator[Loop]:
    """Measure every wait, columns at a time, and say where each loop stands."""
    feedback = share.practice.case_type == "feedback"
    translation = share.translation
    complete, arrays = translation.complete, translation.log.arrays
    at, last = arrays.at, arrays.offsets[1:] - 1
    trails = [follow(walk, whole=feedback, complete=bool(complete[walk.case])) for walk in walks]
    measured: dict[tuple[int, int], Waited] = {}
    for wait in ENDED_BY:
        limit = terms.of(wait, feedback=feedback)
        places = [
            (i, j, begin, end)
            for i, trail in enumerate(trails)
            for j, (kind, begin, end) in enumerate(trail.waits)
            if kind == wait
        ]
        begins = np.array([at[begin] for _, _, begin, _ in places], dtype=np.int64)
        until = [
            at[last[walks[i].case]] if _over(share, walks[i]) else as_of_us for i, *_ in places
        ]
        ends = np.array(
            [x if end is None else at[end] for x, (*_, end) in zip(until, places, strict=True)],
            dtype=np.int64,
        )
        calendar = share.prepared.desk.service_levels.calendar(limit.calendar)
        spent = business_us(begins, ends, calendar) if places else begins
        for (i, j, begin, end), open_us in zip(places, spent.tolist(), strict=True):
            told = None if end is None else int(at[end])
            measured[i, j] = Waited(wait, int(at[begin]), told, open_us, limit.amount_us)
    for i, (walk, trail) in enumerate(zip(walks, trails, strict=True)):
        waits = tuple(measured[i, j] for j in range(len(trail.waits)))
        yield _loop(share, walk, trail, waits)


def _loop(share: Share, walk: Walk, trail: Trail, waits: tuple[Waited, ...]) -> Loop:
    translation = share.translation
    log, ended = translation.log, _over(share, walk)
    standing, breaks = _broken(trail, waits, ended=ended, hidden=_hidden(share))
    own = [x for x in walk.steps if x[0] in (*STEPS, CLOSE) and x[1] < walk.stop]
    rows = [walk.row, *(row for _, row in own)]
    moments = log.arrays.at
    cases = log.cases.slice(walk.case, 1).to_pylist()[0]
    return Loop(
        case_id=cases[s.CASE_ID],
        seq=int(log.arrays.seq[walk.row]),
        practice=share.practice.name,
        scale=walk.scale,
        score=walk.score,
        received_us=int(moments[walk.row]),
        standing=standing,
        ended=ended,
        breaks=breaks,
        waits=waits,
        agreed=trail.agreed,
        team=_team(share, walk),
        service=cases[s.SERVICE],
        channel=cases.get(s.ATTRIBUTE_PREFIX + "channel"),
        priority=cases[s.PRIORITY],
        seqs=tuple(int(log.arrays.seq[row]) for row in rows),
    )


def _broken(
    trail: Trail, waits: Sequence[Waited], *, ended: bool, hidden: frozenset[str]
) -> tuple[Standing, tuple[Break, ...]]:
    """Add what is late or missing; a step that the source never shows is neither."""
    breaks = set(trail.breaks)
    standing = trail.standing
    for one in waits:
        if one.end_us is not None:
            breaks |= {LATE[one.wait]} if one.late else set()
        elif ENDED_BY[one.wait] in hidden:
            standing = "unknown"
        elif ended or one.late:
            breaks.add(MISSING[one.wait])
    if standing == "to be agreed" and AGREE in hidden:
        standing, breaks = "unknown", breaks - {"no action"}
    if "closed early" in breaks and COMPLETE in hidden:
        breaks.remove("closed early")
    return standing, tuple(one for one in BREAKS if one in breaks)


def _over(share: Share, walk: Walk) -> bool:
    """Tell whether nothing more will come: a contact may follow the end of other tickets."""
    return bool(share.translation.complete[walk.case]) and (
        CONTACT not in share.practice.outside_model
    )


def _hidden(share: Share) -> frozenset[str]:
    """Return the steps of a loop that the source never records."""
    return share.prepared.desk.unobserved & set(STEPS)


def _team(share: Share, walk: Walk) -> str | None:
    arrays = share.translation.log.arrays
    begin, end = arrays.offsets[walk.case : walk.case + 2].tolist()
    before = arrays.team[begin : walk.row + 1]
    named = [*before[before >= 0].tolist()[-1:], *arrays.team[walk.row : end].tolist()]
    return next((arrays.teams[code] for code in named if code >= 0), None)


_COLUMNS: Final = (
    *("case_id", "seq", "practice", "scale", "score", "received", "standing", "broke", "breaks"),
    *("ended", "decided", "agreed", "hours_to_contact", "contact_limit_hours", "contacted"),
    *("team", "service", "channel", "priority"),
)


def _row(one: Loop) -> dict[str, object]:
    contact = one.contact
    hour = s.US_PER_HOUR
    return {
        "case_id": one.case_id,
        "seq": one.seq,
        "practice": one.practice,
        "scale": one.scale,
        "score": one.score,
        "received": np.datetime64(one.received_us, "us"),
        "standing": one.standing,
        "broke": one.broke,
        "breaks": ", ".join(one.breaks),
        "ended": one.ended,
        "decided": one.decided,
        "agreed": one.agreed,
        "hours_to_contact": None if contact is None else contact.open_us / hour,
        "contact_limit_hours": None if contact is None else contact.limit_us / hour,
        "contacted": contact is not None and contact.end_us is not None,
        "team": one.team,
        "service": one.service,
        "channel": one.channel,
        "priority": one.priority,
    }
