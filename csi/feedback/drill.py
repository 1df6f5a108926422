"""What lies behind a score: which ticket, what happened in it, and was its promise of time kept?

`drill` goes from one answer to its ticket: events with times and teams (actors as the log has them:
pseudonyms, unless somebody gave leave for names), the rules that it broke, its clocks. Customers'
words are no part of it.

`contrast` puts promises and scores side by side, a ticket each. A ticket is *green* where a clock
of an SLA was met, *breached* where one was breached, whatever the others say; clocks that lapsed,
were superseded or have no target say nothing, and a ticket with one that is running or unknown and
none breached is not decided. Its customer is *unhappy* where the lowest answer is low (the
thresholds of the loop), *happy* where every answer counts as satisfied on its scale, else neither.

The four cells of the decided tickets are summed up by the risk ratio of an unhappy customer,
breached against green, with score limits, and Fisher's exact test (csi.statistics.association). It
is an association: late tickets may also be the hard ones. Tickets count as independent.

Cost: O(answers + clocks); a drill O(events of the ticket + findings). Error: ST552 for an answer
about a ticket that the log does not have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.feedback.loop import LOW
from csi.feedback.scales import SCALES
from csi.statistics.association import RATIO_METHOD, Ratio, Table, p_value, risk_ratio
from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from csi.audit import Audit, PracticeAudit
    from csi.feedback.screening import Screening

Promise = Literal["green", "breached"]
Mood = Literal["unhappy", "happy"]

SLA: Final = "SLA"
P_METHOD: Final = "Fisher's exact test, two-sided"
EVENT: Final = ("seq", "at", "activity", "source's word", "team", "actor")


@dataclass(frozen=True)
class Answer:
    """One answer that counts; `at_us` is None where the channel tells no time."""

    ticket: str
    scale: str
    score: int
    at_us: int | None = None
    channel: str | None = None

    @property
    def height(self) -> float:
        """Where the score stands on its scale, from 0 (the lowest) to 1."""
        scale = SCALES[self.scale]
        return (self.score - scale.lowest) / (scale.highest - scale.lowest)


@dataclass(frozen=True)
class Happened:
    """One event of the ticket; `activity` is None where it is an update and no step."""

    seq: int
    at_us: int | None
    activity: str | None
    raw: str | None
    team: str | None
    actor: str | None


@dataclass(frozen=True)
class Broken:
    """One rule that the ticket broke, and the events that show it; `waived_by` where it may."""

    rule: str
    severity: str
    message: str
    seqs: tuple[int, ...]
    waived_by: str | None


@dataclass(frozen=True, eq=False)
class Drilled:
    """What lies behind one answer. `clocks` holds the ticket's rows of the audit's clock table."""

    answer: Answer
    practice: str
    priority: str | None
    service: str | None
    ended: bool
    events: tuple[Happened, ...]
    broken: tuple[Broken, ...]
    clocks: pa.Table

    def to_pandas(self) -> pd.DataFrame:
        """Return one row an event, with the rules whose findings name it."""
        import pandas as pd  # noqa: PLC0415 - the rest needs none

        rules = defaultdict(list)
        for one in self.broken:
            for seq in one.seqs:
                rules[seq].append(one.rule)
        rows = [
            (
                *(x.seq, None if x.at_us is None else np.datetime64(x.at_us, "us"), x.activity),
                *(x.raw, x.team, x.actor, ", ".join(rules[x.seq])),
            )
            for x in self.events
        ]
        return pd.DataFrame(rows, columns=[*EVENT, "rules"])


@dataclass(frozen=True)
class Judged:
    """One ticket of the table: what was promised and kept, and the lowest answer to it."""

    ticket: str
    promise: Promise
    mood: Mood
    answer: Answer
    breached: tuple[str, ...]


@dataclass(frozen=True)
class Contrast:
    """Promises against scores: `judged` by height of the score and ticket.

    `left_out` counts tickets with an answer that are in no cell, by reason. `ratio` is the risk of
    an unhappy customer, breached against green; `p` is None where one side has no tickets.
    """

    judged: tuple[Judged, ...]
    left_out: Mapping[str, int]
    ratio: Ratio
    p: float | None
    ratio_method: str = RATIO_METHOD
    p_method: str = P_METHOD

    def cell(self, promise: Promise, mood: Mood) -> tuple[Judged, ...]:
        """Return the tickets of one of the four cells."""
        return tuple(x for x in self.judged if (x.promise, x.mood) == (promise, mood))

    @property
    def green_and_unhappy(self) -> tuple[Judged, ...]:
        """Every promise was kept, and the customer is not content."""
        return self.cell("green", "unhappy")

    @property
    def breached_and_happy(self) -> tuple[Judged, ...]:
        """A promise was broken, and the customer is content."""
        return self.cell("breached", "happy")

    @property
    def counts(self) -> dict[tuple[Promise, Mood], int]:
        """The four cells."""
        cells: dict[tuple[Promise, Mood], int] = {
            ("breached", "unhappy"): 0,
            ("breached", "happy"): 0,
            ("green", "unhappy"): 0,
            ("green", "happy"): 0,
        }
        for one in self.judged:
            cells[one.promise, one.mood] += 1
        return cells

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a ticket."""
        import pandas as pd  # noqa: PLC0415 - the rest needs none

        rows = [
            (
                *(x.ticket, x.promise, x.mood, x.answer.scale, x.answer.score),
                ", ".join(x.breached),
            )
            for x in self.judged
        ]
        names = ["ticket", "promise", "mood", "scale", "score", "breached"]
        return pd.DataFrame(rows, columns=names)


# --- answers


def answers_of(responses: pa.Table) -> tuple[Answer, ...]:
    """Return the answers in a table of asks (RESPONSES, or more columns): the rows with a score."""
    answered = responses.filter(responses["score"].is_valid())
    at = answered["answered_at"].cast(pa.int64())
    columns = [answered[name] for name in ("ticket", "scale", "score")]
    rows = zip(*(x.to_pylist() for x in (*columns, at, answered["channel"])), strict=True)
    return tuple(Answer(*row) for row in rows)


def answers_that_count(screening: Screening) -> tuple[Answer, ...]:
    """Return the answers that screening has left."""
    return tuple(
        Answer(x.response.ticket, x.response.scale, x.score, x.response.answered_at,
               x.response.channel)
        for x in screening.rows
        if x.score is not None
    )  # fmt: skip


def lowest(answers: Iterable[Answer], n: int) -> tuple[Answer, ...]:
    """Return the n lowest answers by their place on their scale, the latest of equal ones first."""

    def place(x: Answer) -> tuple[object, ...]:
        return (x.height, -(x.at_us or 0), x.ticket, x.scale, x.channel or "")

    return tuple(sorted(answers, key=place)[:n])


# --- the ticket


def drill(audit: Audit, answer: Answer) -> Drilled:
    """Return what lies behind an answer; raises CodedError ST552 where the log lacks the ticket."""
    for part in audit.practices:
        log = part.translation.log
        place = pc.index(log.cases[s.CASE_ID], answer.ticket).as_py()
        if place >= 0:
            return _drilled(part, audit.result.findings, answer, place)
    ids = audit.log.cases[s.CASE_ID].to_pylist()
    msg = f"no ticket '{answer.ticket}' in this log"
    raise CodedError("ST552", msg, fix=did_you_mean(answer.ticket, ids))


def _drilled(part: PracticeAudit, findings: pa.Table, answer: Answer, place: int) -> Drilled:
    log = part.translation.log
    begin, end = log.arrays.offsets[place : place + 2].tolist()
    names = (s.SEQ, s.AT, s.ACTIVITY, s.RAW_ACTIVITY, s.TEAM, s.ACTOR)
    events = log.events.slice(begin, end - begin)
    columns = [(events[x].cast(pa.int64()) if x == s.AT else events[x]).to_pylist() for x in names]
    case = log.cases.slice(place, 1).to_pylist()[0]
    mine = findings.filter(pc.equal(findings[s.CASE_ID], answer.ticket))
    return Drilled(
        answer=answer,
        practice=part.practice.name,
        priority=case[s.PRIORITY],
        service=case[s.SERVICE],
        ended=bool(part.translation.complete[place]),
        events=tuple(Happened(*row) for row in zip(*columns, strict=True)),
        broken=tuple(
            Broken(x["rule"], x["severity"], x["message"], tuple(x["seqs"]), x["waived_by"])
            for x in mine.to_pylist()
        ),
        clocks=part.clocks.filter(pc.equal(part.clocks[s.CASE_ID], answer.ticket)),
    )


# --- promises and scores


def contrast(
    clocks: pa.Table, answers: Iterable[Answer], *, low: Mapping[str, int] = LOW
) -> Contrast:
    """Put the clocks (a table of CLOCKS) and the answers of the same tickets side by side."""
    promised = _promises(clocks)
    by_ticket: dict[str, list[Answer]] = defaultdict(list)
    for one in answers:
        by_ticket[one.ticket].append(one)
    judged, left_out = [], Counter[str]()
    for ticket, some in sorted(by_ticket.items()):
        found = promised.get(ticket, "no promise")
        mood = _mood(some, low)
        if isinstance(found, str):
            left_out[found] += 1
        elif mood is None:
            left_out["neither happy nor unhappy"] += 1
        else:
            promise: Promise = "breached" if found else "green"
            (worst,) = lowest(some, 1)
            judged.append(Judged(ticket, promise, mood, worst, found))
    judged.sort(key=lambda x: (x.answer.height, x.ticket))
    cells = Counter((x.promise, x.mood) for x in judged)
    table = Table(
        k=cells["breached", "unhappy"],
        n=cells["breached", "unhappy"] + cells["breached", "happy"],
        k_rest=cells["green", "unhappy"],
        n_rest=cells["green", "unhappy"] + cells["green", "happy"],
    )
    return Contrast(
        judged=tuple(judged),
        left_out=dict(sorted(left_out.items())),
        ratio=risk_ratio(table),
        p=p_value(table) if table.n and table.n_rest else None,
    )


def _promises(clocks: pa.Table) -> dict[str, tuple[str, ...] | str]:
    """Return the breached metrics of each ticket (none: green), or why it is not decided."""
    if "agreement" in clocks.column_names:
        clocks = clocks.filter(pc.equal(clocks["agreement"], SLA))
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    columns = (clocks[name].to_pylist() for name in (s.CASE_ID, "metric", "status"))
    for ticket, metric, status in zip(*columns, strict=True):
        seen[ticket][status].add(metric)
    return {ticket: _kept(found) for ticket, found in seen.items()}


def _kept(found: Mapping[str, set[str]]) -> tuple[str, ...] | str:
    if found.get("breached"):
        return tuple(sorted(found["breached"]))
    if found.get("unknown"):
        return "a clock is unknown"
    if found.get("running"):
        return "a clock is running"
    return () if found.get("met") else "no promise"


def _mood(answers: Sequence[Answer], low: Mapping[str, int]) -> Mood | None:
    if any(x.score <= low[x.scale] for x in answers if x.scale in low):
        return "unhappy"
    happy = all(x.score >= SCALES[x.scale].satisfied_from for x in answers)
    return "happy" if happy else None


def counts_row(found: Contrast) -> dict[str, Any]:
    """Return the table, the ratio with its limits and the test as JSON types."""
    return {
        "counts": {f"{promise}, {mood}": n for (promise, mood), n in found.counts.items()},
        "left_out": dict(found.left_out),
        "n": len(found.judged),
        "risk_ratio": found.ratio.value,
        "low": found.ratio.low,
        "high": found.ratio.high,
        "ratio_method": found.ratio_method,
        "p": found.p,
        "p_method": found.p_method,
    }
